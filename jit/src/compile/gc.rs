//! References, structures and arrays (core specification 4.4.3 "Reference Instructions", 4.4.4 "Aggregate Reference
//! Instructions"): fields and elements are reached inline behind a check for null, casts compare the type's address first;
//! what allocates or goes by length is the engine's (`runtime/src/builtins/gc.rs`).

use super::LeftOut;
use super::call::as_slot;
use super::func::Translation;
use super::target::clif_type;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AliasRegionData, InstBuilder, MemFlagsData, Value, types};
use mini_wasm_runtime::gc::{FIELDS, GcHeader, Kind, Shape};
use mini_wasm_runtime::reference::{LEAST_REFERENCE, Test};
use mini_wasm_runtime::registry::LEAST_DISPLAY;
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::types::{StorageType, StructType, ValType};
use mini_wasm_runtime::vm::{VmFunc, VmType};
use std::mem::offset_of;
use wasmparser::{HeapType, Operator};

/// What a value says that is not an object's address.
const TAG_BITS: i64 = 7;

impl Translation<'_> {
    /// Operators on references and on what they lead to.
    pub(super) fn gc(&mut self, op: Operator<'_>) -> Result<(), LeftOut> {
        use Operator as O;
        match op {
            O::RefEq => {
                let (b, a) = (self.pop(), self.pop());
                let equal = self.b.ins().icmp(IntCC::Equal, a, b);
                self.push_bool(equal);
            }
            O::RefAsNonNull => {
                let reference = self.pop();
                self.trap_unless(reference, Trap::NullReference);
                self.push(reference);
            }
            O::BrOnNull { relative_depth } => {
                let reference = self.pop();
                let null = self.b.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                self.branch_if(null, relative_depth);
                self.push(reference);
            }
            O::BrOnNonNull { relative_depth } => {
                let reference = self.pop();
                self.push(reference);
                self.branch_if(reference, relative_depth);
                self.pop();
            }
            O::CallRef { type_index } => self.call_ref(type_index),
            O::ReturnCallRef { type_index } => self.return_call_ref(type_index),
            O::RefI31 => {
                let value = self.pop();
                let shifted = self.b.ins().ishl_imm_u(value, 1);
                let tagged = self.b.ins().bor_imm_u(shifted, 1);
                let reference = self.b.ins().uextend(types::I64, tagged);
                self.push(reference);
            }
            O::I31GetS | O::I31GetU => {
                let reference = self.pop();
                self.trap_unless(reference, Trap::NullI31Reference);
                let low = self.b.ins().ireduce(types::I32, reference);
                let value = match op {
                    O::I31GetS => self.b.ins().sshr_imm_u(low, 1),
                    _ => self.b.ins().ushr_imm_u(low, 1),
                };
                self.push(value);
            }
            O::AnyConvertExtern | O::ExternConvertAny => {}
            O::RefTestNonNull { hty } => self.ref_test(hty, false)?,
            O::RefTestNullable { hty } => self.ref_test(hty, true)?,
            O::RefCastNonNull { hty } => self.ref_cast(hty, false)?,
            O::RefCastNullable { hty } => self.ref_cast(hty, true)?,
            O::BrOnCast { relative_depth, to_ref_type: to, .. } => {
                let passes = self.passes_top(to.heap_type(), to.is_nullable())?;
                self.branch_if(passes, relative_depth);
            }
            O::BrOnCastFail { relative_depth, to_ref_type: to, .. } => {
                let passes = self.passes_top(to.heap_type(), to.is_nullable())?;
                let fails = self.b.ins().icmp_imm_u(IntCC::Equal, passes, 0);
                self.branch_if(fails, relative_depth);
            }
            O::StructNew { struct_type_index: ty } => {
                let layout = self.structure(ty);
                let values = self.pop_many(layout.fields().len());
                let object = self.new_structure(ty);
                for ((field, &offset), value) in layout.fields().iter().zip(layout.offsets()).zip(values) {
                    self.store_stored(field.storage, value, object, offset);
                }
                self.push(object);
            }
            O::StructNewDefault { struct_type_index: ty } => {
                let object = self.new_structure(ty);
                self.push(object);
            }
            O::StructNewDesc { struct_type_index: ty } => {
                let layout = self.structure(ty);
                let descriptor = self.pop();
                let values = self.pop_many(layout.fields().len());
                let object = self.new_described(ty, descriptor);
                for ((field, &offset), value) in layout.fields().iter().zip(layout.offsets()).zip(values) {
                    self.store_stored(field.storage, value, object, offset);
                }
                self.push(object);
            }
            O::StructNewDefaultDesc { struct_type_index: ty } => {
                let descriptor = self.pop();
                let object = self.new_described(ty, descriptor);
                self.push(object);
            }
            O::RefGetDesc { .. } => {
                let object = self.pop();
                self.trap_unless(object, Trap::NullReference);
                let flags = self.regions.field().with_readonly();
                let shape = self.b.ins().load(types::I64, flags, object, offset_of!(GcHeader, shape) as i32);
                let descriptor = self.descriptor(object, shape);
                self.push(descriptor);
            }
            O::RefCastDescEqNonNull { .. } | O::RefCastDescEqNullable { .. } => {
                let passes = self.described(matches!(op, O::RefCastDescEqNullable { .. }));
                self.trap_unless(passes, Trap::DescriptorCastFailure);
            }
            O::BrOnCastDescEq { relative_depth, to_ref_type: to, .. } => {
                let passes = self.described(to.is_nullable());
                self.branch_if(passes, relative_depth);
            }
            O::BrOnCastDescEqFail { relative_depth, to_ref_type: to, .. } => {
                let passes = self.described(to.is_nullable());
                let fails = self.b.ins().icmp_imm_u(IntCC::Equal, passes, 0);
                self.branch_if(fails, relative_depth);
            }
            O::StructGet { struct_type_index: ty, field_index }
            | O::StructGetU { struct_type_index: ty, field_index } => self.struct_get(ty, field_index, false),
            O::StructGetS { struct_type_index: ty, field_index } => self.struct_get(ty, field_index, true),
            O::StructSet { struct_type_index: ty, field_index } => {
                let layout = self.structure(ty);
                let field = field_index as usize;
                let (value, object) = (self.pop(), self.pop());
                self.trap_unless(object, Trap::NullStructReference);
                self.store_stored(layout.fields()[field].storage, value, object, layout.offsets()[field]);
            }
            O::ArrayNew { array_type_index: ty } => {
                let (len, value) = (self.pop(), self.pop());
                let (low, high) = self.both_slots(value);
                let array = self.new_array(ty, len, low, high);
                self.push(array);
            }
            O::ArrayNewDefault { array_type_index: ty } => {
                let len = self.pop();
                let zero = self.b.ins().iconst(types::I64, 0);
                let array = self.new_array(ty, len, zero, zero);
                self.push(array);
            }
            O::ArrayNewFixed { array_type_index: ty, array_size } => {
                let storage = self.element_type(ty);
                let values = self.pop_many(array_size as usize);
                let (len, zero) = (self.immediate(array_size), self.b.ins().iconst(types::I64, 0));
                let array = self.new_array(ty, len, zero, zero);
                for (i, value) in (0..).zip(values) {
                    self.store_stored(storage, value, array, FIELDS + i * storage.size());
                }
                self.push(array);
            }
            O::ArrayNewData { array_type_index: ty, array_data_index: segment } => {
                self.array_of_segment("array_new_data", ty, segment);
            }
            O::ArrayNewElem { array_type_index: ty, array_elem_index: segment } => {
                self.array_of_segment("array_new_elem", ty, segment);
            }
            O::ArrayGet { array_type_index: ty } | O::ArrayGetU { array_type_index: ty } => {
                self.array_get(ty, false);
            }
            O::ArrayGetS { array_type_index: ty } => self.array_get(ty, true),
            O::ArraySet { array_type_index: ty } => {
                let storage = self.element_type(ty);
                let (value, index, array) = (self.pop(), self.pop(), self.pop());
                let at = self.array_element(array, index, storage);
                self.store_stored(storage, value, at, FIELDS);
            }
            O::ArrayLen => {
                let array = self.pop();
                let len = self.array_len(array);
                self.push(len);
            }
            O::ArrayFill { array_type_index: ty } => {
                let (len, value, at, array) = (self.pop(), self.pop(), self.pop(), self.pop());
                let (low, high) = self.both_slots(value);
                let ty = self.immediate(ty);
                self.builtin_status("array_fill", &[ty, array, at, low, high, len]);
            }
            O::ArrayCopy { array_type_index_dst: ty, .. } => {
                let (len, from_at, from) = (self.pop(), self.pop(), self.pop());
                let (to_at, to) = (self.pop(), self.pop());
                let ty = self.immediate(ty);
                self.builtin_status("array_copy", &[ty, to, to_at, from, from_at, len]);
            }
            O::ArrayInitData { array_type_index: ty, array_data_index } => {
                let (len, from, at, array) = (self.pop(), self.pop(), self.pop(), self.pop());
                let (ty, data) = (self.immediate(ty), self.immediate(array_data_index));
                self.builtin_status("array_init_data", &[ty, data, array, at, from, len]);
            }
            O::ArrayInitElem { array_elem_index, .. } => {
                let (len, from, at, array) = (self.pop(), self.pop(), self.pop(), self.pop());
                let elem = self.immediate(array_elem_index);
                self.builtin_status("array_init_elem", &[elem, array, at, from, len]);
            }
            other => return Err(LeftOut::Unsupported(format!("{other:?}"))),
        }
        Ok(())
    }

    // Objects

    /// Fields and elements of objects.
    fn object_flags(&mut self) -> MemFlagsData {
        let func = &mut self.b.func;
        let region = *self.regions.objects.get_or_insert_with(|| {
            func.dfg.alias_regions.insert(AliasRegionData { user_id: 4, description: "objects".into() })
        });
        MemFlagsData::trusted().with_alias_region(Some(region))
    }

    /// What a builtin made; leaves all frames if it is a status.
    fn made(&mut self, reference: Value) -> Value {
        let failed = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, reference, LEAST_REFERENCE as i64);
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(failed, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        let status = self.b.ins().ireduce(types::I32, reference);
        self.raise(status);
        self.b.switch_to_block(go_on);
        reference
    }

    fn new_structure(&mut self, ty: u32) -> Value {
        let ty = self.immediate(ty);
        let object = self.builtin("struct_new", &[ty]);
        self.made(object)
    }

    /// A structure of zeros and nulls with its descriptor, which traps when it is null.
    fn new_described(&mut self, ty: u32, descriptor: Value) -> Value {
        self.trap_unless(descriptor, Trap::NullDescriptorReference);
        let object = self.new_structure(ty);
        let offset = self.env.info.types[ty as usize].descriptor_offset();
        let offset = offset.expect("crash: validated code has a described type here");
        let flags = self.object_flags();
        self.b.ins().store(flags, descriptor, object, offset as i32);
        object
    }

    /// The descriptor of an object of this shape. For an object without one, the first word of its header, which is no reference.
    fn descriptor(&mut self, object: Value, shape: Value) -> Value {
        let flags = self.regions.field().with_readonly();
        let offset = offset_of!(VmType, descriptor_offset) as i32;
        let offset = self.b.ins().load(types::I32, flags, shape, offset);
        let offset = self.b.ins().uextend(types::I64, offset);
        let at = self.b.ins().iadd(object, offset);
        let flags = self.object_flags();
        self.b.ins().load(types::I64, flags, at, 0)
    }

    /// Takes a descriptor off: has the topmost operand, which stays, this one? Answers as an i8.
    fn described(&mut self, null_passes: bool) -> Value {
        let (want, reference) = (self.pop(), self.pop());
        self.push(reference);
        self.trap_unless(want, Trap::NullDescriptorReference);
        self.object_passes(reference, null_passes.into(), true, |t, shape| {
            let have = t.descriptor(reference, shape);
            t.b.ins().icmp(IntCC::Equal, have, want)
        })
    }

    fn new_array(&mut self, ty: u32, len: Value, low: Value, high: Value) -> Value {
        let ty = self.immediate(ty);
        let array = self.builtin("array_new", &[ty, len, low, high]);
        self.made(array)
    }

    fn array_of_segment(&mut self, builtin: &'static str, ty: u32, segment: u32) {
        let (len, from) = (self.pop(), self.pop());
        let (ty, segment) = (self.immediate(ty), self.immediate(segment));
        let array = self.builtin(builtin, &[ty, segment, from, len]);
        let array = self.made(array);
        self.push(array);
    }

    fn structure(&self, ty: u32) -> StructType {
        let ty = self.env.info.types[ty as usize].as_struct();
        ty.expect("crash: validated code has a structure here").clone()
    }

    fn element_type(&self, ty: u32) -> StorageType {
        let ty = self.env.info.types[ty as usize].as_array();
        ty.expect("crash: validated code has an array here").storage
    }

    /// A value as two slots; the second is 0 for all but v128.
    fn both_slots(&mut self, value: Value) -> (Value, Value) {
        let ty = self.b.func.dfg.value_type(value);
        if ty.is_vector() {
            let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
            let halves = self.b.ins().bitcast(types::I64X2, flags, value);
            return (self.b.ins().extractlane(halves, 0), self.b.ins().extractlane(halves, 1));
        }
        let low = match ty {
            types::F64 => self.b.ins().bitcast(types::I64, MemFlagsData::new(), value),
            _ => as_slot(&mut self.b, value),
        };
        (low, self.b.ins().iconst(types::I64, 0))
    }

    fn load_stored(&mut self, storage: StorageType, signed: bool, base: Value, offset: u32) -> Value {
        let (flags, offset) = (self.object_flags(), offset as i32);
        let ins = self.b.ins();
        match (storage, signed) {
            (StorageType::I8, true) => ins.sload8(types::I32, flags, base, offset),
            (StorageType::I8, false) => ins.uload8(types::I32, flags, base, offset),
            (StorageType::I16, true) => ins.sload16(types::I32, flags, base, offset),
            (StorageType::I16, false) => ins.uload16(types::I32, flags, base, offset),
            (StorageType::Val(ty), _) => ins.load(clif_type(ty), flags, base, offset),
        }
    }

    fn store_stored(&mut self, storage: StorageType, value: Value, base: Value, offset: u32) {
        let (mut flags, offset) = (self.object_flags(), offset as i32);
        if storage == StorageType::Val(ValType::V128) {
            flags = flags.with_endianness(cranelift_codegen::ir::Endianness::Little);
        }
        let ins = self.b.ins();
        match storage {
            StorageType::I8 => ins.istore8(flags, value, base, offset),
            StorageType::I16 => ins.istore16(flags, value, base, offset),
            StorageType::Val(_) => ins.store(flags, value, base, offset),
        };
    }

    fn struct_get(&mut self, ty: u32, field: u32, signed: bool) {
        let (layout, field) = (self.structure(ty), field as usize);
        let object = self.pop();
        self.trap_unless(object, Trap::NullStructReference);
        let value = self.load_stored(layout.fields()[field].storage, signed, object, layout.offsets()[field]);
        self.push(value);
    }

    /// The length of an array; traps for null.
    fn array_len(&mut self, array: Value) -> Value {
        self.trap_unless(array, Trap::NullArrayReference);
        // It never changes, but `array` may be null above this point: not `can_move`.
        let flags = self.object_flags().with_readonly();
        self.b.ins().load(types::I32, flags, array, offset_of!(GcHeader, len) as i32)
    }

    /// The address of an element, less [`FIELDS`].
    fn array_element(&mut self, array: Value, index: Value, storage: StorageType) -> Value {
        let len = self.array_len(array);
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.trap_if(outside, Trap::ArrayOutOfBounds);
        let index = self.widen(index);
        let bytes = self.b.ins().ishl_imm_u(index, i64::from(storage.size().trailing_zeros()));
        self.b.ins().iadd(array, bytes)
    }

    fn array_get(&mut self, ty: u32, signed: bool) {
        let storage = self.element_type(ty);
        let (index, array) = (self.pop(), self.pop());
        let at = self.array_element(array, index, storage);
        let value = self.load_stored(storage, signed, at, FIELDS);
        self.push(value);
    }

    // Tests

    fn ref_test(&mut self, ty: HeapType, null_passes: bool) -> Result<(), LeftOut> {
        let reference = self.pop();
        let passes = self.passes(reference, ty, null_passes)?;
        self.push_bool(passes);
        Ok(())
    }

    fn ref_cast(&mut self, ty: HeapType, null_passes: bool) -> Result<(), LeftOut> {
        let passes = self.passes_top(ty, null_passes)?;
        self.trap_unless(passes, Trap::CastFailure);
        Ok(())
    }

    /// The same for the topmost operand, which stays.
    fn passes_top(&mut self, ty: HeapType, null_passes: bool) -> Result<Value, LeftOut> {
        let reference = self.pop();
        self.push(reference);
        self.passes(reference, ty, null_passes)
    }

    /// Does a reference pass a test? Answers as an i8. The meaning is that of [`mini_wasm_runtime::reference::passes`].
    fn passes(&mut self, reference: Value, ty: HeapType, null_passes: bool) -> Result<Value, LeftOut> {
        let types_of = &self.env.info.types;
        let is_func = |ty: u32| types_of[ty as usize].as_func().is_some();
        let (test, of) =
            Test::of(ty, is_func).ok_or_else(|| LeftOut::Unsupported(format!("a test for {ty:?}")))?;
        let null = i64::from(null_passes);
        Ok(match (test, of) {
            (Test::Never, _) if null_passes => self.b.ins().icmp_imm_u(IntCC::Equal, reference, 0),
            (Test::Never, _) => self.b.ins().iconst(types::I8, 0),
            (Test::Always, _) if null_passes => self.b.ins().iconst(types::I8, 1),
            (Test::Always, _) => self.b.ins().icmp_imm_u(IntCC::NotEqual, reference, 0),
            (Test::I31, _) => {
                let bit = self.b.ins().band_imm_u(reference, 1);
                let is = self.b.ins().icmp_imm_u(IntCC::NotEqual, bit, 0);
                match null_passes {
                    false => is,
                    true => {
                        let null = self.b.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                        self.b.ins().bor(is, null)
                    }
                }
            }
            (Test::Eq, _) => {
                let bit = self.b.ins().band_imm_u(reference, 1);
                let i31 = self.b.ins().icmp_imm_u(IntCC::NotEqual, bit, 0);
                let tag = self.b.ins().band_imm_u(reference, TAG_BITS);
                // Null has no tag either.
                let object = self.b.ins().icmp_imm_u(IntCC::Equal, tag, 0);
                let is = self.b.ins().bor(i31, object);
                match null_passes {
                    true => is,
                    false => {
                        let some = self.b.ins().icmp_imm_u(IntCC::NotEqual, reference, 0);
                        self.b.ins().band(is, some)
                    }
                }
            }
            (Test::Struct, _) => {
                self.object_passes(reference, null, true, |t, shape| t.is_kind(shape, Kind::Struct))
            }
            (Test::Array, _) => {
                self.object_passes(reference, null, true, |t, shape| t.is_kind(shape, Kind::Array))
            }
            (Test::Object | Test::ObjectExact | Test::Func | Test::FuncExact, Some(of)) => {
                let heap = matches!(test, Test::Object | Test::ObjectExact);
                let exact = matches!(test, Test::ObjectExact | Test::FuncExact);
                self.object_passes(reference, null, heap, |t, have| t.is_type(have, of, exact))
            }
            (_, None) => unreachable!("crash: a test for a type without its index"),
        })
    }

    /// Branches around `test`, which is given the type of an object (`heap`) or of a function: null passes as `null` says, what is
    /// no object fails.
    fn object_passes(
        &mut self,
        reference: Value,
        null: i64,
        heap: bool,
        test: impl FnOnce(&mut Self, Value) -> Value,
    ) -> Value {
        let done = self.b.create_block();
        let answer = self.b.append_block_param(done, types::I8);
        let some = self.b.create_block();
        let null = self.b.ins().iconst(types::I8, null);
        self.b.ins().brif(reference, some, &[], done, &[null.into()]);
        self.b.seal_block(some);
        self.b.switch_to_block(some);
        let mut offset = offset_of!(VmFunc, ty);
        if heap {
            let object = self.b.create_block();
            let tag = self.b.ins().band_imm_u(reference, TAG_BITS);
            let no = self.b.ins().iconst(types::I8, 0);
            self.b.ins().brif(tag, done, &[no.into()], object, &[]);
            self.b.seal_block(object);
            self.b.switch_to_block(object);
            offset = offset_of!(GcHeader, shape);
        }
        // Neither an object's type nor a function's ever changes.
        let flags = self.regions.field().with_readonly();
        let have = self.b.ins().load(types::I64, flags, reference, offset as i32);
        let passes = test(self, have);
        self.b.ins().jump(done, &[passes.into()]);
        self.b.seal_block(done);
        self.b.switch_to_block(done);
        answer
    }

    fn is_kind(&mut self, shape: Value, kind: Kind) -> Value {
        let flags = self.regions.field().with_readonly();
        let have = self.b.ins().load(types::I32, flags, shape, offset_of!(Shape, kind) as i32);
        self.b.ins().icmp_imm_u(IntCC::Equal, have, kind as i64)
    }

    /// Is the type `have` type `ty` of the module, or one of its subtypes?
    fn is_type(&mut self, have: Value, ty: u32, exact: bool) -> Value {
        let want = self.vm_type(ty);
        let equal = self.b.ins().icmp(IntCC::Equal, have, want);
        if exact || self.env.info.types[ty as usize].is_final {
            return equal;
        }
        let (done, above) = (self.b.create_block(), self.b.create_block());
        let answer = self.b.append_block_param(done, types::I8);
        self.b.ins().brif(equal, done, &[equal.into()], above, &[]);
        self.b.seal_block(above);
        self.b.switch_to_block(above);
        let matches = self.matches_above(have, want, ty);
        self.b.ins().jump(done, &[matches.into()]);
        self.b.seal_block(done);
        self.b.switch_to_block(done);
        answer
    }

    /// The address of a type of the module.
    pub(super) fn vm_type(&mut self, ty: u32) -> Value {
        let (fixed, offset) = (self.regions.fixed(), self.env.info.layout.types + ty * 8);
        self.b.ins().load(types::I64, fixed, self.vmctx, offset as i32)
    }

    /// Is `want`, which is type `ty` of the module, in the display of the type `have`? Answers as an i8.
    pub(super) fn matches_above(&mut self, have: Value, want: Value, ty: u32) -> Value {
        let depth = self.env.info.depth(ty);
        // V6: a type never changes; `have` may be read only where it is one: not `can_move`.
        let field = self.regions.field().with_readonly();
        let supers = self.b.ins().load(types::I64, field, have, offset_of!(VmType, supers) as i32);
        if (depth as usize) < LEAST_DISPLAY {
            let above = self.b.ins().load(types::I64, field, supers, depth as i32 * 8);
            return self.b.ins().icmp(IntCC::Equal, above, want);
        }
        let own_depth = self.b.ins().load(types::I32, field, have, offset_of!(VmType, depth) as i32);
        let deep = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, own_depth, i64::from(depth));
        let (look, done) = (self.b.create_block(), self.b.create_block());
        let answer = self.b.append_block_param(done, types::I8);
        self.b.ins().brif(deep, look, &[], done, &[deep.into()]);
        self.b.seal_block(look);
        self.b.switch_to_block(look);
        let above = self.b.ins().load(types::I64, field, supers, depth as i32 * 8);
        let equal = self.b.ins().icmp(IntCC::Equal, above, want);
        self.b.ins().jump(done, &[equal.into()]);
        self.b.seal_block(done);
        self.b.switch_to_block(done);
        answer
    }
}
