//! References, structures and arrays: translation and handlers (core specification 4.4.3 "Reference Instructions", 4.4.4
//! "Aggregate Reference Instructions").
//!
//! What allocates has its operands in a row of slots, with the top of the value stack set behind them: all that is alive is below.

use super::bulk::{FIRST, SECOND};
use super::call;
use super::emit::{Condition, Register, Source};
use super::operand::{Slot, Src};
use super::state::{A, B, D, Exec, Flow, State, W};
use super::translate::{Translator, impossible};
use super::unwind::{Leave, check};
use crate::builtins::gc::{array_new_of, struct_new_of};
use crate::error::Result;
use crate::gc::object::is_object;
use crate::gc::{FIELDS, GcHeader};
use crate::module::TypeIdx;
use crate::ops::Op;
use crate::reference::{LEAST_REFERENCE, Test, descriptor, i31, i31_s, i31_u, passes};
use crate::trap::Trap;
use crate::types::{CompositeType, FieldType, StorageType, ValType};
use crate::vm::{VmFunc, VmType};
use core::marker::PhantomData;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use wasmparser::{HeapType, Operator, RefType};

/// Third immediate of a row.
const THIRD: usize = 20;

/// A field or an element of at most 64 bits, as it is stored and how it is extended to a slot.
trait Stored {
    unsafe fn load(at: *const u8) -> u64;
    unsafe fn store(at: *mut u8, slot: u64);
}

macro_rules! stored {
    ($($ty:ty => $extend:expr;)*) => { $(
        impl Stored for $ty {
            #[inline(always)]
            unsafe fn load(at: *const u8) -> u64 {
                // SAFETY: the caller's promise: a field of this size, naturally aligned.
                let value = unsafe { at.cast::<$ty>().read() };
                let extend: fn($ty) -> u64 = $extend;
                extend(value)
            }
            #[inline(always)]
            unsafe fn store(at: *mut u8, slot: u64) {
                // SAFETY: as above.
                unsafe { at.cast::<$ty>().write(slot as $ty) }
            }
        }
    )* };
}
stored! {
    i8 => |v| u64::from(i32::from(v) as u32);
    u8 => |v| v.into();
    i16 => |v| u64::from(i32::from(v) as u32);
    u16 => |v| v.into();
    u32 => |v| v.into();
    u64 => |v| v;
}

/// The address of a field.
///
/// # Safety
/// I2: the slot at `A` holds null or a live structure with a field at the offset at `B`.
#[inline(always)]
unsafe fn field(s: &State) -> Result<*mut u8, Trap> {
    // SAFETY: the caller's promise.
    let (object, offset) = unsafe { (s.slot(A), s.operand::<u32>(B)) };
    match object {
        0 => Err(Trap::NullStructReference),
        object => Ok(with_exposed_provenance_mut::<u8>(object as usize).wrapping_add(offset as usize)),
    }
}

/// The address of an element.
///
/// # Safety
/// I2: the slot at `A` holds null or a live array of elements of this size; the one at `B` an index.
#[inline(always)]
unsafe fn element(s: &State, size: usize) -> Result<*mut u8, Trap> {
    // SAFETY: the caller's promise.
    unsafe {
        let (array, index) = (s.slot(A), Slot::read::<u32>(s, B));
        if array == 0 {
            return Err(Trap::NullArrayReference);
        }
        let array = with_exposed_provenance_mut::<GcHeader>(array as usize);
        if index >= (*array).len {
            return Err(Trap::ArrayOutOfBounds);
        }
        Ok(array.cast::<u8>().wrapping_add(FIELDS as usize + index as usize * size))
    }
}

/// Where an access goes.
trait Place {
    unsafe fn at(s: &State, size: usize) -> Result<*mut u8, Trap>;
}

/// Into a structure: reference, offset at `b`.
pub(super) struct InStruct;
impl Place for InStruct {
    #[inline(always)]
    unsafe fn at(s: &State, _: usize) -> Result<*mut u8, Trap> {
        // SAFETY: the caller's promise.
        unsafe { field(s) }
    }
}

/// Into an array: reference, index at `b`.
pub(super) struct InArray;
impl Place for InArray {
    #[inline(always)]
    unsafe fn at(s: &State, size: usize) -> Result<*mut u8, Trap> {
        // SAFETY: the caller's promise.
        unsafe { element(s, size) }
    }
}

/// `struct.get*`, `array.get*`: place, destination at `d`.
pub(super) struct Get<P, M>(PhantomData<(P, M)>);
impl<P: Place, M: Stored> Exec for Get<P, M> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            match P::at(s, size_of::<M>()) {
                Ok(at) => {
                    let value = M::load(at);
                    *s.slot_at(D) = value;
                    s.acc = value;
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// `struct.set`, `array.set`: place, value at `d`.
pub(super) struct Set<P, M>(PhantomData<(P, M)>);
impl<P: Place, M: Stored> Exec for Set<P, M> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            match P::at(s, size_of::<M>()) {
                Ok(at) => {
                    M::store(at, s.slot(D));
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// The same for a v128, which has two slots.
pub(super) struct GetWide<P>(PhantomData<P>);
impl<P: Place> Exec for GetWide<P> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            match P::at(s, 16) {
                Ok(at) => {
                    let (at, to) = (at.cast::<u64>(), s.slot_at(D));
                    *to = *at;
                    *to.wrapping_add(1) = *at.wrapping_add(1);
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// The same for a v128, which has two slots.
pub(super) struct SetWide<P>(PhantomData<P>);
impl<P: Place> Exec for SetWide<P> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            match P::at(s, 16) {
                Ok(at) => {
                    let (at, from) = (at.cast::<u64>(), s.slot_at(D));
                    *at = *from;
                    *at.wrapping_add(1) = *from.wrapping_add(1);
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// An operation from the slot at `a` to the one at `d`.
macro_rules! simple {
    ($($(#[$doc:meta])* $name:ident, $a:ident => $result:expr;)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;
        impl Exec for $name {
            const SIZE: usize = 16;
            #[inline(always)]
            unsafe fn exec(s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2.
                unsafe {
                    let $a = s.slot(A);
                    let result: Result<u64, Trap> = $result;
                    match result {
                        Ok(value) => {
                            *s.slot_at(D) = value;
                            s.acc = value;
                            Flow::Next
                        }
                        Err(trap) => Flow::Trap(trap),
                    }
                }
            }
        }
    )* };
}

simple! {
    /// `ref.i31`
    RefI31, a => Ok(i31(a as u32));
    /// `i31.get_s`
    I31GetS, a => if a == 0 { Err(Trap::NullI31Reference) } else { Ok((i31_s(a) as u32).into()) };
    /// `i31.get_u`
    I31GetU, a => if a == 0 { Err(Trap::NullI31Reference) } else { Ok(i31_u(a).into()) };
    /// `ref.get_desc`: validation has proved that the object's type has a descriptor.
    RefGetDesc, a => if a == 0 { Err(Trap::NullReference) } else { Ok(descriptor(a).unwrap_or(0)) };
    /// `array.len`
    ArrayLen, a => match a {
        0 => Err(Trap::NullArrayReference),
        array => Ok((*with_exposed_provenance::<GcHeader>(array as usize)).len.into()),
    };
}

/// `ref.as_non_null`: the slot at `a`.
pub(super) struct RefAsNonNull;
impl Exec for RefAsNonNull {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        match unsafe { s.slot(A) } {
            0 => Flow::Trap(Trap::NullReference),
            _ => Flow::Next,
        }
    }
}

/// Set in the number of a test when null passes, too.
const NULL_PASSES: u32 = 1 << 8;

/// Does the reference in the slot at `a` pass the test at `b`, for the type at `w`?
#[inline(never)]
unsafe extern "C" fn test(reference: u64, test: u32, ty: *const VmType) -> bool {
    if reference == 0 {
        return test & NULL_PASSES != 0;
    }
    let test = Test::ALL[(test & 0xff) as usize % Test::ALL.len()];
    // SAFETY: the caller's promise: guest code has the reference, so it is live, and validation put it into its hierarchy.
    unsafe { passes(reference, test, ty) }
}

/// `ref.test`: reference, destination, test, type.
pub(super) struct RefTest;
impl Exec for RefTest {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V6.
        unsafe {
            let passes = test(s.slot(A), s.operand(B), with_exposed_provenance(s.operand(W)));
            *s.slot_at(D) = passes.into();
            s.acc = passes.into();
        }
        Flow::Next
    }
}

/// `ref.cast`: reference, test, type.
pub(super) struct RefCast;
impl Exec for RefCast {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V6.
        match unsafe { test(s.slot(A), s.operand(B), with_exposed_provenance(s.operand(W))) } {
            true => Flow::Next,
            false => Flow::Trap(Trap::CastFailure),
        }
    }
}

/// Where the slot of the descriptor stands that a cast compares with.
const DESCRIPTOR: usize = W;

/// Has the object in the slot at `a` the descriptor that it is held against? Null passes as `b` says.
///
/// # Safety
/// I2: the slots hold references of the `any` hierarchy.
#[inline(always)]
unsafe fn described(s: &State) -> Result<bool, Trap> {
    // SAFETY: the caller's promise.
    unsafe {
        let (reference, want) = (s.slot(A), s.slot(DESCRIPTOR));
        match (want, reference) {
            (0, _) => Err(Trap::NullDescriptorReference),
            (_, 0) => Ok(s.operand::<u32>(B) != 0),
            _ => Ok(is_object(reference) && descriptor(reference) == Some(want)),
        }
    }
}

/// The test of `br_on_cast_desc_eq`: reference, destination, whether null passes, descriptor.
pub(super) struct DescTest;
impl Exec for DescTest {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V6.
        unsafe {
            match described(s) {
                Ok(passes) => {
                    *s.slot_at(D) = passes.into();
                    s.acc = passes.into();
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// `ref.cast_desc_eq`: reference, whether null passes, descriptor.
pub(super) struct DescCast;
impl Exec for DescCast {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V6.
        match unsafe { described(s) } {
            Ok(true) => Flow::Next,
            Ok(false) => Flow::Trap(Trap::DescriptorCastFailure),
            Err(trap) => Flow::Trap(trap),
        }
    }
}

macro_rules! builtin {
    ($s:ident . $name:ident($($arg:expr),*)) => {
        ((*(*$s.ctx).builtins).$name)($s.ctx $(, $arg)*)
    };
}

/// A reference that a builtin made, or the status that it gave instead.
#[inline(always)]
unsafe fn made(s: &mut State, to: *mut u64, reference: u64) -> Flow {
    if reference < LEAST_REFERENCE {
        s.acc = reference;
        return Flow::Cold(super::dispatch::cold::<Leave>());
    }
    // SAFETY: the caller's promise: a slot.
    unsafe { *to = reference };
    Flow::Next
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident, $s:ident, $at:ident, $top:literal: $size:literal $body:block)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;
        impl Exec for $name {
            const SIZE: usize = $size;
            #[inline(always)]
            unsafe fn exec($s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2, I4, V1, V6. The row is the highest of what is alive.
                unsafe {
                    let $at = $s.slot_at(A);
                    (*(*$s.ctx).store).value_stack_top = $at.wrapping_add($top);
                    $body
                }
            }
        }
    )* };
}

rows! {
    /// `struct.new_default`: type.
    StructNewDefault, s, at, 0: 16 {
        let object = builtin!(s.struct_new(s.operand(FIRST)));
        made(s, at, object)
    }
    /// `array.new`: value, length; type.
    ArrayNew, s, at, 2: 16 {
        let array = builtin!(s.array_new(s.operand(FIRST), *at.wrapping_add(1) as u32, *at, 0));
        made(s, at, array)
    }
    /// `array.new` of v128: value, length; type.
    ArrayNewWide, s, at, 3: 16 {
        let len = *at.wrapping_add(2) as u32;
        let array = builtin!(s.array_new(s.operand(FIRST), len, *at, *at.wrapping_add(1)));
        made(s, at, array)
    }
    /// `array.new_default`: length; type.
    ArrayNewDefault, s, at, 1: 16 {
        let array = builtin!(s.array_new(s.operand(FIRST), *at as u32, 0, 0));
        made(s, at, array)
    }
    /// `array.new_data`: from, length; type, data.
    ArrayNewData, s, at, 2: 24 {
        let (from, len) = (*at as u32, *at.wrapping_add(1) as u32);
        let array = builtin!(s.array_new_data(s.operand(FIRST), s.operand(SECOND), from, len));
        made(s, at, array)
    }
    /// `array.new_elem`: from, length; type, elem.
    ArrayNewElem, s, at, 2: 24 {
        let (from, len) = (*at as u32, *at.wrapping_add(1) as u32);
        let array = builtin!(s.array_new_elem(s.operand(FIRST), s.operand(SECOND), from, len));
        made(s, at, array)
    }
    /// `array.fill`: array, index, value, length; type.
    ArrayFill, s, at, 4: 16 {
        let (index, len) = (*at.wrapping_add(1) as u32, *at.wrapping_add(3) as u32);
        let status = builtin!(s.array_fill(s.operand(FIRST), *at, index, *at.wrapping_add(2), 0, len));
        check(s, status)
    }
    /// `array.fill` of v128: array, index, value, length; type.
    ArrayFillWide, s, at, 5: 16 {
        let (index, len) = (*at.wrapping_add(1) as u32, *at.wrapping_add(4) as u32);
        let (low, high) = (*at.wrapping_add(2), *at.wrapping_add(3));
        let status = builtin!(s.array_fill(s.operand(FIRST), *at, index, low, high, len));
        check(s, status)
    }
    /// `array.copy`: to, its index, from, its index, length; type.
    ArrayCopy, s, at, 5: 16 {
        let (to_at, from_at) = (*at.wrapping_add(1) as u32, *at.wrapping_add(3) as u32);
        let (from, len) = (*at.wrapping_add(2), *at.wrapping_add(4) as u32);
        let status = builtin!(s.array_copy(s.operand(FIRST), *at, to_at, from, from_at, len));
        check(s, status)
    }
    /// `array.init_data`: array, index, from, length; type, data.
    ArrayInitData, s, at, 4: 24 {
        let (index, from) = (*at.wrapping_add(1) as u32, *at.wrapping_add(2) as u32);
        let len = *at.wrapping_add(3) as u32;
        let status = builtin!(s.array_init_data(s.operand(FIRST), s.operand(SECOND), *at, index, from, len));
        check(s, status)
    }
    /// `array.init_elem`: array, index, from, length; elem.
    ArrayInitElem, s, at, 4: 16 {
        let (index, from) = (*at.wrapping_add(1) as u32, *at.wrapping_add(2) as u32);
        let len = *at.wrapping_add(3) as u32;
        let status = builtin!(s.array_init_elem(s.operand(FIRST), *at, index, from, len));
        check(s, status)
    }
}

/// `struct.new_desc`: fields, descriptor; type, slots of all.
pub(super) struct StructNewDesc;
impl Exec for StructNewDesc {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: as above.
        unsafe {
            let slots = s.operand::<u32>(SECOND) as usize;
            match *s.slot_at(A).wrapping_add(slots - 1) {
                0 => Flow::Trap(Trap::NullDescriptorReference),
                _ => StructNew::exec(s),
            }
        }
    }
}

/// `struct.new`: fields; type, slots of the fields.
pub(super) struct StructNew;
impl Exec for StructNew {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: as above.
        unsafe {
            let at = s.slot_at(A);
            (*(*s.ctx).store).value_stack_top = at.wrapping_add(s.operand::<u32>(SECOND) as usize);
            let object = struct_new_of(s.ctx, s.operand(FIRST), at);
            made(s, at, object)
        }
    }
}

/// `array.new_fixed`: elements; type, slots of the elements, how many.
pub(super) struct ArrayNewFixed;
impl Exec for ArrayNewFixed {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: as above.
        unsafe {
            let at = s.slot_at(A);
            (*(*s.ctx).store).value_stack_top = at.wrapping_add(s.operand::<u32>(SECOND) as usize);
            let array = array_new_of(s.ctx, s.operand(FIRST), s.operand(THIRD), at);
            made(s, at, array)
        }
    }
}

/// `call_ref`: arguments, parameters, results, function, pinned local.
pub(super) struct CallRef;
impl Exec for CallRef {
    const SIZE: usize = 32;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1: validation has proved the function's type.
        unsafe {
            match s.slot(call::INDEX) {
                0 => Flow::Trap(Trap::NullFunctionReference),
                func => call::call_func::<32>(s, with_exposed_provenance::<VmFunc>(func as usize)),
            }
        }
    }
}

/// `return_call_ref`: arguments, parameters, results, function, own header.
pub(super) struct ReturnCallRef;
impl Exec for ReturnCallRef {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: as above.
        unsafe {
            match s.slot(call::INDEX) {
                0 => Flow::Trap(Trap::NullFunctionReference),
                func => call::tail_func(s, with_exposed_provenance::<VmFunc>(func as usize)),
            }
        }
    }
}

/// Begins the instruction that exists for each way to store something of at most 64 bits.
macro_rules! by_storage {
    ($this:ident, $exec:ident<$place:ty>, $storage:expr, $signed:expr) => {
        match ($storage, $signed) {
            (StorageType::I8, true) => $this.exec::<$exec<$place, i8>>(16),
            (StorageType::I8, false) => $this.exec::<$exec<$place, u8>>(16),
            (StorageType::I16, true) => $this.exec::<$exec<$place, i16>>(16),
            (StorageType::I16, false) => $this.exec::<$exec<$place, u16>>(16),
            (StorageType::Val(ValType::I32 | ValType::F32), _) => $this.exec::<$exec<$place, u32>>(16),
            (StorageType::Val(_), _) => $this.exec::<$exec<$place, u64>>(16),
        }
    };
}

impl Translator<'_> {
    /// Operators on references and on what they lead to.
    pub(super) fn gc(&mut self, operator: &Operator<'_>) -> Result<()> {
        match *operator {
            Operator::RefEq => {
                let (b, a) = (self.pop()?, self.pop()?);
                let slot = self.push()?;
                self.emit(super::emit::Inst::Binary(Op::I64Eq, a, b), slot);
            }
            Operator::RefAsNonNull => {
                let a = self.peek_slot()?;
                let at = self.exec::<RefAsNonNull>(16);
                self.out.set(at, A, a);
            }
            Operator::BrOnNull { relative_depth } => {
                let a = self.pop()?;
                let condition = self.null(Op::I64Eq, a)?;
                self.branch_on(condition, true, relative_depth)?;
                self.push_again(a)?;
            }
            Operator::BrOnNonNull { relative_depth } => {
                let a = self.source(self.top()?);
                let condition = self.null(Op::I64Ne, a)?;
                self.branch_on(condition, true, relative_depth)?;
                self.pop()?;
            }
            Operator::CallRef { type_index } => self.call_ref(type_index, false)?,
            Operator::ReturnCallRef { type_index } => self.call_ref(type_index, true)?,
            Operator::RefI31 => self.simple::<RefI31>()?,
            Operator::I31GetS => self.simple::<I31GetS>()?,
            Operator::I31GetU => self.simple::<I31GetU>()?,
            Operator::ArrayLen => self.simple::<ArrayLen>()?,
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            Operator::RefTestNonNull { hty } => self.ref_test(hty, false)?,
            Operator::RefTestNullable { hty } => self.ref_test(hty, true)?,
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false)?,
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true)?,
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, true)?;
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, false)?;
            }
            Operator::StructNew { struct_type_index: ty } => {
                let fields = self.struct_fields(ty)?;
                let slots: usize = fields.iter().map(|field| field.storage.unpacked().slots()).sum();
                self.bulk::<StructNew>(slots, 1, ty, Some(slots as u32))?;
            }
            Operator::StructNewDefault { struct_type_index: ty } => {
                self.bulk::<StructNewDefault>(0, 1, ty, None)?;
            }
            Operator::StructNewDesc { struct_type_index: ty } => {
                let fields = self.struct_fields(ty)?;
                let slots: usize = fields.iter().map(|field| field.storage.unpacked().slots()).sum();
                self.bulk::<StructNewDesc>(slots + 1, 1, ty, Some(slots as u32 + 1))?;
            }
            Operator::StructNewDefaultDesc { struct_type_index: ty } => {
                // The same with constants for the fields.
                let descriptor = self.pop()?;
                let descriptor = self.in_slot(descriptor);
                let fields = self.struct_fields(ty)?;
                let slots: usize = fields.iter().map(|field| field.storage.unpacked().slots()).sum();
                let to = self.slot(self.stack.len() + slots);
                self.reserve(self.stack.len() + slots + 1)?;
                self.emit_copy(Source::Slot(descriptor), to, false);
                for _ in 0..slots {
                    self.push_const(0)?;
                }
                self.push()?;
                self.bulk::<StructNewDesc>(slots + 1, 1, ty, Some(slots as u32 + 1))?;
            }
            Operator::RefGetDesc { .. } => self.simple::<RefGetDesc>()?,
            Operator::RefCastDescEqNonNull { .. } => self.desc_cast(false)?,
            Operator::RefCastDescEqNullable { .. } => self.desc_cast(true)?,
            Operator::BrOnCastDescEq { relative_depth, to_ref_type, .. } => {
                self.br_on_cast_desc(relative_depth, to_ref_type, true)?;
            }
            Operator::BrOnCastDescEqFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast_desc(relative_depth, to_ref_type, false)?;
            }
            Operator::StructGet { struct_type_index: ty, field_index } => {
                self.struct_get(ty, field_index, false)?;
            }
            Operator::StructGetS { struct_type_index: ty, field_index } => {
                self.struct_get(ty, field_index, true)?;
            }
            Operator::StructGetU { struct_type_index: ty, field_index } => {
                self.struct_get(ty, field_index, false)?;
            }
            Operator::StructSet { struct_type_index: ty, field_index } => self.struct_set(ty, field_index)?,
            Operator::ArrayNew { array_type_index: ty } => match self.is_wide_array(ty)? {
                true => self.bulk::<ArrayNewWide>(3, 1, ty, None)?,
                false => self.bulk::<ArrayNew>(2, 1, ty, None)?,
            },
            Operator::ArrayNewDefault { array_type_index: ty } => {
                self.bulk::<ArrayNewDefault>(1, 1, ty, None)?;
            }
            Operator::ArrayNewFixed { array_type_index: ty, array_size } => {
                let each = self.element(ty)?.unpacked().slots();
                let slots = each * array_size as usize;
                self.bulk::<ArrayNewFixed>(slots, 1, ty, Some(slots as u32))?;
                // It is the last one: what brought the operands into a row stands before it.
                let at = self.out.position() - ArrayNewFixed::SIZE as u32 / 8;
                self.out.set(at, THIRD, array_size);
            }
            Operator::ArrayNewData { array_type_index: ty, array_data_index } => {
                self.bulk::<ArrayNewData>(2, 1, ty, Some(array_data_index))?;
            }
            Operator::ArrayNewElem { array_type_index: ty, array_elem_index } => {
                self.bulk::<ArrayNewElem>(2, 1, ty, Some(array_elem_index))?;
            }
            Operator::ArrayGet { array_type_index: ty } => self.array_get(ty, false)?,
            Operator::ArrayGetS { array_type_index: ty } => self.array_get(ty, true)?,
            Operator::ArrayGetU { array_type_index: ty } => self.array_get(ty, false)?,
            Operator::ArraySet { array_type_index: ty } => self.array_set(ty)?,
            Operator::ArrayFill { array_type_index: ty } => match self.is_wide_array(ty)? {
                true => self.bulk::<ArrayFillWide>(5, 0, ty, None)?,
                false => self.bulk::<ArrayFill>(4, 0, ty, None)?,
            },
            Operator::ArrayCopy { array_type_index_dst, .. } => {
                self.bulk::<ArrayCopy>(5, 0, array_type_index_dst, None)?;
            }
            Operator::ArrayInitData { array_type_index: ty, array_data_index } => {
                self.bulk::<ArrayInitData>(4, 0, ty, Some(array_data_index))?;
            }
            Operator::ArrayInitElem { array_elem_index, .. } => {
                self.bulk::<ArrayInitElem>(4, 0, array_elem_index, None)?;
            }
            _ => return Err(impossible("an operator without translation")),
        }
        Ok(())
    }

    /// The highest entry.
    fn top(&self) -> Result<usize> {
        self.stack.len().checked_sub(1).ok_or_else(|| impossible("an empty stack"))
    }

    /// A slot that holds the highest entry, which stays.
    fn peek_slot(&mut self) -> Result<u16> {
        let source = self.source(self.top()?);
        Ok(self.in_slot(source))
    }

    /// Pushes what was just popped.
    fn push_again(&mut self, source: Source) -> Result<()> {
        match source {
            Source::Slot(slot) if self.is_temporary(slot) => self.push().map(drop),
            Source::Slot(local) => self.push_local_slot(local.into()),
            Source::Const(bits, _) => self.push_const(bits),
        }
    }

    /// The comparison of a reference with null.
    fn null(&mut self, op: Op, reference: Source) -> Result<Condition> {
        let free = self.stack.len() + 1;
        self.reserve(free + 1)?;
        Ok(Condition::Compare(op, reference, Source::Const(0, self.slot(free))))
    }

    /// One operand, one result, which is in the accumulator besides.
    fn simple<E: Exec>(&mut self) -> Result<()> {
        let a = self.pop()?;
        let a = self.in_slot(a);
        let to = self.push()?;
        let at = self.exec::<E>(16);
        self.out.set(at, A, a);
        self.out.set(at, D, to);
        self.caches.write(Register::Integer, to);
        Ok(())
    }

    fn call_ref(&mut self, ty: u32, tail: bool) -> Result<()> {
        let ty = self.info.signature(TypeIdx(ty)).clone();
        let func = self.pop()?;
        let func = self.in_slot(func);
        let args = self.arguments(&ty)?;
        let at = if tail { self.exec::<ReturnCallRef>(32) } else { self.exec::<CallRef>(32) };
        self.out.set(at, call::INDEX, func);
        self.finish_call(at, args, &ty, tail, call::L0_OF_32)
    }

    // ---- tests and casts ------------------------------------------------------------------------------------------

    /// Sets the test of an instruction.
    fn set_test(&mut self, at: u32, ty: HeapType, null_passes: bool) -> Result<()> {
        let is_func = |ty: u32| matches!(self.info.types[ty as usize].composite, CompositeType::Func(_));
        let (test, of) = Test::of(ty, is_func).ok_or_else(|| impossible("a test of this type"))?;
        self.out.set(at, B, test as u32 | if null_passes { NULL_PASSES } else { 0 });
        if let Some(of) = of {
            self.out.set(at, W, self.table.vm_type(TypeIdx(of)).expose_provenance());
        }
        Ok(())
    }

    fn ref_test(&mut self, ty: HeapType, null_passes: bool) -> Result<()> {
        let a = self.pop()?;
        let a = self.in_slot(a);
        let to = self.push()?;
        let at = self.exec::<RefTest>(24);
        self.out.set(at, A, a);
        self.out.set(at, D, to);
        self.set_test(at, ty, null_passes)?;
        self.caches.write(Register::Integer, to);
        Ok(())
    }

    fn ref_cast(&mut self, ty: HeapType, null_passes: bool) -> Result<()> {
        let a = self.peek_slot()?;
        let at = self.exec::<RefCast>(24);
        self.out.set(at, A, a);
        self.set_test(at, ty, null_passes)
    }

    fn br_on_cast(&mut self, depth: u32, to: RefType, sense: bool) -> Result<()> {
        let a = self.peek_slot()?;
        let outcome = self.push()?;
        let at = self.exec::<RefTest>(24);
        self.out.set(at, A, a);
        self.out.set(at, D, outcome);
        self.set_test(at, to.heap_type(), to.is_nullable())?;
        self.caches.write(Register::Integer, outcome);
        let outcome = self.pop()?;
        self.branch_on(Condition::Test(outcome), sense, depth)
    }

    fn desc_cast(&mut self, null_passes: bool) -> Result<()> {
        let want = self.pop()?;
        let want = self.in_slot(want);
        let a = self.peek_slot()?;
        let at = self.exec::<DescCast>(24);
        self.out.set(at, A, a);
        self.out.set(at, B, u32::from(null_passes));
        self.out.set(at, DESCRIPTOR, want);
        Ok(())
    }

    fn br_on_cast_desc(&mut self, depth: u32, to: RefType, sense: bool) -> Result<()> {
        let want = self.pop()?;
        let want = self.in_slot(want);
        let a = self.peek_slot()?;
        let outcome = self.push()?;
        let at = self.exec::<DescTest>(24);
        self.out.set(at, A, a);
        self.out.set(at, D, outcome);
        self.out.set(at, B, u32::from(to.is_nullable()));
        self.out.set(at, DESCRIPTOR, want);
        self.caches.write(Register::Integer, outcome);
        let outcome = self.pop()?;
        self.branch_on(Condition::Test(outcome), sense, depth)
    }

    // ---- structures and arrays --------------------------------------------------------------------------------------

    fn struct_fields(&self, ty: u32) -> Result<alloc::vec::Vec<FieldType>> {
        let ty = self.info.types.get(ty as usize).and_then(|ty| ty.as_struct());
        Ok(ty.ok_or_else(|| impossible("no structure"))?.fields().to_vec())
    }

    /// How a field is stored, and where.
    fn field(&self, ty: u32, field: u32) -> Result<(StorageType, u32)> {
        let ty = self.info.types.get(ty as usize).and_then(|ty| ty.as_struct());
        let ty = ty.ok_or_else(|| impossible("no structure"))?;
        match (ty.fields().get(field as usize), ty.offsets().get(field as usize)) {
            (Some(field), Some(&offset)) => Ok((field.storage, offset)),
            _ => Err(impossible("an unknown field")),
        }
    }

    /// How the elements of an array are stored.
    fn element(&self, ty: u32) -> Result<StorageType> {
        let ty = self.info.types.get(ty as usize).and_then(|ty| ty.as_array());
        Ok(ty.ok_or_else(|| impossible("no array"))?.storage)
    }

    fn is_wide_array(&self, ty: u32) -> Result<bool> {
        Ok(self.element(ty)?.unpacked() == ValType::V128)
    }

    /// The result of a `get` instruction at `at`.
    fn got(&mut self, at: u32, to: u16) {
        self.out.set(at, D, to);
        self.caches.write(Register::Integer, to);
    }

    fn struct_get(&mut self, ty: u32, field: u32, signed: bool) -> Result<()> {
        let (storage, offset) = self.field(ty, field)?;
        let a = self.pop()?;
        let a = self.in_slot(a);
        let at = if storage.unpacked() == ValType::V128 {
            let to = self.push_wide()?;
            let at = self.exec::<GetWide<InStruct>>(16);
            self.got_wide(at, to);
            at
        } else {
            let to = self.push()?;
            let at = by_storage!(self, Get<InStruct>, storage, signed);
            self.got(at, to);
            at
        };
        self.out.set(at, A, a);
        self.out.set(at, B, offset);
        Ok(())
    }

    fn got_wide(&mut self, at: u32, to: u16) {
        self.out.set(at, D, to);
        self.caches.forget(to);
        self.caches.forget(to + 1);
    }

    /// Takes a value of a storage type off, to slots; its first one.
    fn pop_stored(&mut self, storage: StorageType) -> Result<u16> {
        if storage.unpacked() == ValType::V128 {
            let (low, high) = self.pop_wide()?;
            return Ok(self.wide_in_slots(low, high));
        }
        let value = self.pop()?;
        Ok(self.in_slot(value))
    }

    fn struct_set(&mut self, ty: u32, field: u32) -> Result<()> {
        let (storage, offset) = self.field(ty, field)?;
        let value = self.pop_stored(storage)?;
        let a = self.pop()?;
        let a = self.in_slot(a);
        let at = match storage.unpacked() {
            ValType::V128 => self.exec::<SetWide<InStruct>>(16),
            _ => by_storage!(self, Set<InStruct>, storage, false),
        };
        self.out.set(at, A, a);
        self.out.set(at, B, offset);
        self.out.set(at, D, value);
        Ok(())
    }

    fn array_get(&mut self, ty: u32, signed: bool) -> Result<()> {
        let storage = self.element(ty)?;
        let (index, a) = (self.pop()?, self.pop()?);
        let (a, index) = (self.in_slot(a), self.in_slot(index));
        let at = if storage.unpacked() == ValType::V128 {
            let to = self.push_wide()?;
            let at = self.exec::<GetWide<InArray>>(16);
            self.got_wide(at, to);
            at
        } else {
            let to = self.push()?;
            let at = by_storage!(self, Get<InArray>, storage, signed);
            self.got(at, to);
            at
        };
        self.out.set(at, A, a);
        self.out.set(at, B, index);
        Ok(())
    }

    fn array_set(&mut self, ty: u32) -> Result<()> {
        let storage = self.element(ty)?;
        let value = self.pop_stored(storage)?;
        let (index, a) = (self.pop()?, self.pop()?);
        let (a, index) = (self.in_slot(a), self.in_slot(index));
        let at = match storage.unpacked() {
            ValType::V128 => self.exec::<SetWide<InArray>>(16),
            _ => by_storage!(self, Set<InArray>, storage, false),
        };
        self.out.set(at, A, a);
        self.out.set(at, B, index);
        self.out.set(at, D, value);
        Ok(())
    }
}
