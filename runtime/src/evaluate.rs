//! The value of a constant expression (core specification 3.3.7 "Constant Expressions", 4.7.4), in an instance that is being made.
//!
//! The operand stack lies in [`crate::gc::Heap::scratch`], since operators may allocate: each value takes two slots there.

use crate::builtins::gc::{new_array, write_elements, write_fields};
use crate::error::{Error, Result};
use crate::gc::{self, object};
use crate::instance::InstanceData;
use crate::module::{ConstExpr, ConstOp, GlobalIdx, ModuleInfo, TypeIdx};
use crate::reference::i31;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FieldType, RefType, StorageType, ValType};
use crate::val::RawVal;
use crate::vm::{VmContext, VmGlobal, VmType};
use alloc::vec::Vec;

/// Slots of a value on the operand stack.
const EACH: usize = 2;

/// The value of a constant expression of an instance. The caller keeps a reference among it alive.
pub(crate) fn evaluate(store: &mut StoreInner, instance: u32, expr: &ConstExpr) -> Result<[RawVal; 2]> {
    let base = store.gc.scratch.len();
    let value = run(store, instance, expr, base);
    store.gc.scratch.truncate(base);
    value
}

/// What an expression says that validation should have refused.
fn malformed() -> Error {
    Error::malformed("constant expression")
}

fn run(store: &mut StoreInner, instance: u32, expr: &ConstExpr, base: usize) -> Result<[RawVal; 2]> {
    for op in &expr.0 {
        let one = |v: RawVal| [v, 0];
        let value = match *op {
            ConstOp::I32(v) => one(u64::from(v as u32)),
            ConstOp::I64(v) => one(v as u64),
            ConstOp::F32(bits) => one(u64::from(bits)),
            ConstOp::F64(bits) => one(bits),
            ConstOp::V128(v) => [v as u64, (v >> 64) as u64],
            ConstOp::RefNull => one(0),
            ConstOp::RefFunc(func) => {
                let data = &store.instances[instance as usize];
                one(data.func(func).ok_or_else(malformed)? as usize as u64)
            }
            ConstOp::GlobalGet(global) => {
                global_slots(&store.instances[instance as usize], global).ok_or_else(malformed)?
            }
            ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul => {
                let (b, a) = (pop(store, base)?[0] as u32, pop(store, base)?[0] as u32);
                one(u64::from(match op {
                    ConstOp::I32Add => a.wrapping_add(b),
                    ConstOp::I32Sub => a.wrapping_sub(b),
                    _ => a.wrapping_mul(b),
                }))
            }
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => {
                let (b, a) = (pop(store, base)?[0], pop(store, base)?[0]);
                one(match op {
                    ConstOp::I64Add => a.wrapping_add(b),
                    ConstOp::I64Sub => a.wrapping_sub(b),
                    _ => a.wrapping_mul(b),
                })
            }
            ConstOp::RefI31 => one(i31(pop(store, base)?[0] as u32)),
            ConstOp::StructNew(ty) | ConstOp::StructNewDesc(ty) => {
                one(structure(store, instance, ty, base, false)?)
            }
            ConstOp::StructNewDefault(ty) | ConstOp::StructNewDefaultDesc(ty) => {
                one(structure(store, instance, ty, base, true)?)
            }
            ConstOp::ArrayNew(ty) => {
                let len = pop(store, base)?[0] as u32;
                let value = pop(store, base)?;
                one(array(store, instance, ty, len, value)?)
            }
            ConstOp::ArrayNewDefault(ty) => {
                let len = pop(store, base)?[0] as u32;
                one(array(store, instance, ty, len, [0, 0])?)
            }
            ConstOp::ArrayNewFixed(ty, len) => one(array_of(store, instance, ty, len, base)?),
        };
        store.gc.scratch.extend(value);
    }
    pop(store, base)
}

fn pop(store: &mut StoreInner, base: usize) -> Result<[RawVal; 2]> {
    let stack = &mut store.gc.scratch;
    let at = stack.len().checked_sub(EACH).filter(|&at| at >= base).ok_or_else(malformed)?;
    let value = [stack[at], stack[at + 1]];
    stack.truncate(at);
    Ok(value)
}

/// The slots of the top values of these types, as a call would lay them out. They stay on the stack.
fn top(store: &StoreInner, types: &[StorageType], base: usize) -> Result<Vec<RawVal>> {
    let stack = &store.gc.scratch;
    let start = stack.len().checked_sub(types.len() * EACH).filter(|&at| at >= base).ok_or_else(malformed)?;
    let mut slots = Vec::new();
    for (value, ty) in stack[start..].chunks_exact(EACH).zip(types) {
        slots.push(value[0]);
        if ty.unpacked() == ValType::V128 {
            slots.push(value[1]);
        }
    }
    Ok(slots)
}

/// A type of the instance's module.
fn vm_type(store: &StoreInner, instance: u32, ty: TypeIdx) -> (crate::module::Module, *const VmType) {
    let module = store.instances[instance as usize].module.clone();
    let vm = store.engine().types().vm(module.info().type_ids[ty.index()]);
    (module, vm)
}

fn structure(
    store: &mut StoreInner,
    instance: u32,
    ty: TypeIdx,
    base: usize,
    default: bool,
) -> Result<RawVal> {
    let (module, vm) = vm_type(store, instance, ty);
    let info: &ModuleInfo = module.info();
    let sub = info.types[ty.index()].clone();
    let fields = sub.as_struct().ok_or_else(malformed)?;
    let mut types: Vec<StorageType> = fields.fields().iter().map(|field| field.storage).collect();
    if default {
        types.clear();
    }
    if sub.descriptor.is_some() {
        types.push(StorageType::Val(ValType::Ref(RefType::ANYREF)));
    }
    let mut slots = top(store, &types, base)?;
    if sub.descriptor.is_some() && slots.last() == Some(&0) {
        return Err(Trap::NullDescriptorReference.into());
    }
    if default {
        let zeros: usize = fields.fields().iter().map(|field| field.storage.unpacked().slots()).sum();
        slots.splice(0..0, core::iter::repeat_n(0, zeros));
    }
    // SAFETY: V6. The operands are still on the stack, which is a root.
    let object = unsafe { gc::alloc(store, vm.cast(), 0)? };
    // SAFETY: the object is of this type, the slots are its fields' and the descriptor's.
    unsafe { write_fields(object, info, ty.0, slots.as_ptr()) };
    let left = store.gc.scratch.len() - types.len() * EACH;
    store.gc.scratch.truncate(left);
    Ok(object::reference(object))
}

fn element(info: &ModuleInfo, ty: TypeIdx) -> Result<StorageType> {
    let element: Option<FieldType> = info.types[ty.index()].as_array();
    Ok(element.ok_or_else(malformed)?.storage)
}

fn array(store: &mut StoreInner, instance: u32, ty: TypeIdx, len: u32, value: [RawVal; 2]) -> Result<RawVal> {
    let (module, vm) = vm_type(store, instance, ty);
    let storage = element(module.info(), ty)?;
    // SAFETY: V6; the value is kept by the callee.
    Ok(object::reference(unsafe { new_array(store, vm, storage, len, value)? }))
}

fn array_of(store: &mut StoreInner, instance: u32, ty: TypeIdx, len: u32, base: usize) -> Result<RawVal> {
    let (module, vm) = vm_type(store, instance, ty);
    let storage = element(module.info(), ty)?;
    let slots = top(store, &alloc::vec![storage; len as usize], base)?;
    // SAFETY: V6; the slots are as many as the new array has elements, and still on the stack.
    let array = unsafe {
        let array = new_array(store, vm, storage, len, [0, 0])?;
        write_elements(array.as_ptr(), storage, len, slots.as_ptr());
        array
    };
    let left = store.gc.scratch.len() - len as usize * EACH;
    store.gc.scratch.truncate(left);
    Ok(object::reference(array))
}

fn global_slots(data: &InstanceData, global: GlobalIdx) -> Option<[RawVal; 2]> {
    let info = data.module.info();
    if global.index() >= info.globals.len() {
        return None;
    }
    // SAFETY: V1; the index is within the globals. An entry that is not filled in yet is null.
    unsafe {
        let vm = *VmContext::entry::<*mut VmGlobal>(data.context(), info.layout.globals, global.0);
        Some(vm.as_ref()?.slots)
    }
}
