//! Builtins of structures and arrays (core specification 4.4.4 "Aggregate Reference Instructions"): allocation, and whatever goes
//! by length. The order of checks is the specification's; fuel by length is taken before the work is done.
//!
//! What gives a reference gives instead a status that is not 0 when it fails: no object has so low an address.

use super::parts;
use crate::deadline::{PIECE_BYTES, PIECE_ELEMS};
use crate::gc::{self, FIELDS, GcHeader, object};
use crate::instance::InstanceData;
use crate::module::ModuleInfo;
use crate::ops::{BULK_BYTES_PER_FUEL, BULK_ELEMS_PER_FUEL};
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FieldType, StorageType};
use crate::val::RawVal;
use crate::vm::{Status, VmContext, VmType};
use core::ptr::{self, NonNull};

fn reference(result: Result<NonNull<GcHeader>, Trap>) -> u64 {
    match result {
        Ok(object) => object::reference(object),
        Err(trap) => u64::from(trap.code()),
    }
}

/// A type of the instance's module, as guest code looks at it.
///
/// # Safety
/// V1; the module has a type `ty`.
unsafe fn vm_type(ctx: *mut VmContext, info: &ModuleInfo, ty: u32) -> *const VmType {
    // SAFETY: the caller vouches.
    unsafe { *VmContext::entry::<*const VmType>(ctx, info.layout.types, ty) }
}

/// The elements of an array type. Validation has proved that it is one.
fn element(info: &ModuleInfo, ty: u32) -> FieldType {
    match info.types[ty as usize].as_array() {
        Some(element) => element,
        None => unreachable!("crash: type {ty} is no array"),
    }
}

/// Writes a field or an element. Stores are little-endian nowhere: objects are the host's.
///
/// # Safety
/// `at` leads to a place of this storage type; `slots` to the value's slots.
pub(crate) unsafe fn write(at: *mut u8, storage: StorageType, slots: *const RawVal) {
    // SAFETY: the caller vouches; fields are naturally aligned, a v128 possibly to 8 bytes on the value stack only.
    unsafe {
        let low = *slots;
        match storage.size() {
            1 => *at = low as u8,
            2 => at.cast::<u16>().write(low as u16),
            4 => at.cast::<u32>().write(low as u32),
            16 => {
                at.cast::<u64>().write(low);
                at.cast::<u64>().add(1).write(*slots.add(1));
            }
            _ => at.cast::<u64>().write(low),
        }
    }
}

/// Reads a field or an element as it is stored, zero-extended.
///
/// # Safety
/// `at` leads to a place of this storage type.
pub(crate) unsafe fn read(at: *const u8, storage: StorageType) -> [RawVal; 2] {
    // SAFETY: the caller vouches.
    unsafe {
        match storage.size() {
            1 => [u64::from(*at), 0],
            2 => [u64::from(at.cast::<u16>().read()), 0],
            4 => [u64::from(at.cast::<u32>().read()), 0],
            16 => [at.cast::<u64>().read(), at.cast::<u64>().add(1).read()],
            _ => [at.cast::<u64>().read(), 0],
        }
    }
}

/// The first byte of element `index`.
///
/// # Safety
/// `array` is a live array of elements of this size, longer than `index` or as long.
pub(crate) unsafe fn element_at(array: *mut GcHeader, size: u32, index: u32) -> *mut u8 {
    // SAFETY: the caller vouches.
    unsafe { array.cast::<u8>().add(FIELDS as usize + index as usize * size as usize) }
}

/// The array of a reference, and a range of it that lies inside.
///
/// # Safety
/// `array` is null or a live array.
unsafe fn range(array: u64, at: u32, len: u32) -> Result<*mut GcHeader, Trap> {
    let header = object::object(array).ok_or(Trap::NullArrayReference)?.as_ptr();
    // SAFETY: the caller vouches.
    let have = unsafe { (*header).len };
    at.checked_add(len).filter(|&end| end <= have).map(|_| header).ok_or(Trap::ArrayOutOfBounds)
}

/// Fuel for the bytes of an array that are written beside what the operator costs.
fn charge(store: &mut StoreInner, storage: StorageType, len: u32) -> Result<(), Trap> {
    store.consume_fuel(u64::from(storage.size()) * u64::from(len) / BULK_BYTES_PER_FUEL)
}

/// Sets `len` elements to one value, looking at the deadline now and then.
///
/// # Safety
/// The range lies inside a live array of this type, which something keeps alive.
pub(crate) unsafe fn fill(
    store: &mut StoreInner,
    array: *mut GcHeader,
    storage: StorageType,
    at: u32,
    len: u32,
    value: [RawVal; 2],
) -> Result<(), Trap> {
    let size = storage.size();
    // SAFETY: the caller vouches.
    let start = unsafe { element_at(array, size, at) };
    if value == [0, 0] || size == 1 {
        return store.in_pieces(len as usize * size as usize, PIECE_BYTES, |_, part| {
            // SAFETY: the caller vouches.
            unsafe { ptr::write_bytes(start.add(part.start), value[0] as u8, part.len()) };
        });
    }
    store.in_pieces(len as usize, PIECE_ELEMS, |_, part| {
        for i in part {
            // SAFETY: the caller vouches.
            unsafe { write(start.add(i * size as usize), storage, value.as_ptr()) };
        }
    })
}

pub(super) unsafe extern "C" fn struct_new(ctx: *mut VmContext, ty: u32) -> u64 {
    // SAFETY: called by guest code of a validated module: V1, V5, V6.
    unsafe {
        let (store, instance) = parts(ctx);
        let ty = vm_type(ctx, instance.module.info(), ty);
        reference(gc::alloc(store, ty.cast(), 0))
    }
}

/// `struct.new` with the fields in slots: what the interpreter calls.
///
/// # Safety
/// As every builtin; `slots` leads to the fields' values.
pub(crate) unsafe extern "C" fn struct_new_of(ctx: *mut VmContext, ty: u32, slots: *const RawVal) -> u64 {
    // SAFETY: the caller vouches: V1, V5, V6.
    unsafe {
        let (store, instance) = parts(ctx);
        let info = instance.module.info();
        let of = vm_type(ctx, info, ty);
        match gc::alloc(store, of.cast(), 0) {
            Ok(object) => {
                write_fields(object, info, ty, slots);
                object::reference(object)
            }
            Err(trap) => u64::from(trap.code()),
        }
    }
}

/// # Safety
/// `object` is of type `ty` of the module; `slots` leads to the fields' values and, if the type has one, the descriptor.
pub(crate) unsafe fn write_fields(
    object: NonNull<GcHeader>,
    info: &ModuleInfo,
    ty: u32,
    mut slots: *const RawVal,
) {
    let sub = &info.types[ty as usize];
    let Some(ty) = sub.as_struct() else { return };
    for (field, &offset) in ty.fields().iter().zip(ty.offsets()) {
        // SAFETY: the caller vouches.
        unsafe {
            write(object.as_ptr().cast::<u8>().add(offset as usize), field.storage, slots);
            slots = slots.add(field.storage.unpacked().slots());
        }
    }
    if let Some(offset) = sub.descriptor_offset() {
        // SAFETY: as above.
        unsafe { object.as_ptr().cast::<u8>().add(offset as usize).cast::<RawVal>().write(*slots) };
    }
}

pub(super) unsafe extern "C" fn array_new(
    ctx: *mut VmContext,
    ty: u32,
    len: u32,
    low: u64,
    high: u64,
) -> u64 {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = parts(ctx);
        let info = instance.module.info();
        let of = vm_type(ctx, info, ty);
        reference(new_array(store, of, element(info, ty).storage, len, [low, high]))
    }
}

/// A new array of one value.
///
/// # Safety
/// `ty` is an array type with this element (V6); a reference `value` is live.
pub(crate) unsafe fn new_array(
    store: &mut StoreInner,
    ty: *const VmType,
    storage: StorageType,
    len: u32,
    value: [RawVal; 2],
) -> Result<NonNull<GcHeader>, Trap> {
    charge(store, storage, len)?;
    // The value must not be collected meanwhile, wherever the caller has it.
    let before = store.gc.scratch.len();
    store.gc.scratch.push(value[0]);
    // SAFETY: V6.
    let array = unsafe { gc::alloc(store, ty.cast(), len) };
    store.gc.scratch.truncate(before);
    let array = array?;
    if value != [0, 0] {
        // SAFETY: the new array is this long.
        unsafe { fill(store, array.as_ptr(), storage, 0, len, value)? };
    }
    Ok(array)
}

/// `array.new_fixed` with the elements in slots: what the interpreter calls.
///
/// # Safety
/// As every builtin; `slots` leads to the elements' values.
pub(crate) unsafe extern "C" fn array_new_of(
    ctx: *mut VmContext,
    ty: u32,
    len: u32,
    slots: *const RawVal,
) -> u64 {
    // SAFETY: the caller vouches: V1, V5, V6.
    unsafe {
        let (store, instance) = parts(ctx);
        let info = instance.module.info();
        let of = vm_type(ctx, info, ty);
        let storage = element(info, ty).storage;
        reference(new_array(store, of, storage, len, [0, 0]).inspect(|array| {
            write_elements(array.as_ptr(), storage, len, slots);
        }))
    }
}

/// # Safety
/// `array` has `len` elements of this type; `slots` leads to as many values.
pub(crate) unsafe fn write_elements(
    array: *mut GcHeader,
    storage: StorageType,
    len: u32,
    slots: *const RawVal,
) {
    let each = storage.unpacked().slots();
    for i in 0..len {
        // SAFETY: the caller vouches.
        unsafe { write(element_at(array, storage.size(), i), storage, slots.add(i as usize * each)) };
    }
}

/// Bytes of a data segment for `len` elements; none of a dropped one.
fn data_bytes(
    instance: &InstanceData,
    data: u32,
    storage: StorageType,
    from: u32,
    len: u32,
) -> Result<&[u8], Trap> {
    let info = instance.module.info();
    let segment = match instance.dropped_data[data as usize] {
        true => &[][..],
        false => &info.wasm.file()[info.data[data as usize].range.clone()],
    };
    let end = u64::from(from) + u64::from(len) * u64::from(storage.size());
    match end <= segment.len() as u64 {
        true => Ok(&segment[from as usize..end as usize]),
        false => Err(Trap::MemoryOutOfBounds),
    }
}

/// Copies bytes of a segment, which are little-endian, to elements, looking at the deadline now and then.
///
/// # Safety
/// The range lies inside a live array of this type, which something keeps alive; it is no array of references.
unsafe fn write_bytes(
    store: &mut StoreInner,
    array: *mut GcHeader,
    storage: StorageType,
    at: u32,
    bytes: &[u8],
) -> Result<(), Trap> {
    let size = storage.size() as usize;
    // SAFETY: the caller vouches.
    let start = unsafe { element_at(array, size as u32, at) };
    // A piece is a multiple of every size.
    store.in_pieces(bytes.len(), PIECE_BYTES, |_, part| {
        let bytes = &bytes[part.clone()];
        // SAFETY: the caller vouches.
        unsafe {
            let start = start.add(part.start);
            if cfg!(target_endian = "little") || size == 1 {
                ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
                return;
            }
            for (i, number) in bytes.chunks_exact(size).enumerate() {
                let mut wide = [0; 16];
                wide[..size].copy_from_slice(number);
                let value = u128::from_le_bytes(wide);
                let slots = [value as u64, (value >> 64) as u64];
                write(start.add(i * size), storage, slots.as_ptr());
            }
        }
    })
}

pub(super) unsafe extern "C" fn array_new_data(
    ctx: *mut VmContext,
    ty: u32,
    data: u32,
    from: u32,
    len: u32,
) -> u64 {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let info = instance.module.info();
    let storage = element(info, ty).storage;
    reference((|| {
        let bytes = data_bytes(instance, data, storage, from, len)?;
        // SAFETY: V6; the new array is this long.
        unsafe {
            let array = new_array(store, vm_type(ctx, info, ty), storage, len, [0, 0])?;
            write_bytes(store, array.as_ptr(), storage, 0, bytes)?;
            Ok(array)
        }
    })())
}

/// References of an element segment; none of a dropped one.
fn elem_range(instance: &InstanceData, elem: u32, from: u32, len: u32) -> Result<(), Trap> {
    let end = u64::from(from) + u64::from(len);
    if end <= instance.elem_len(elem) as u64 { Ok(()) } else { Err(Trap::TableOutOfBounds) }
}

/// # Safety
/// Both ranges were checked; the array's elements are references, and something keeps it alive.
unsafe fn write_elems(
    store: &mut StoreInner,
    array: *mut GcHeader,
    instance: &InstanceData,
    elem: u32,
    at: u32,
    from: u32,
    len: u32,
) -> Result<(), Trap> {
    store.in_pieces(len as usize, PIECE_ELEMS, |_, part| {
        for i in part.start as u32..part.end as u32 {
            let value = instance.elem(elem, from + i);
            // SAFETY: the caller vouches.
            unsafe { element_at(array, 8, at + i).cast::<RawVal>().write(value) };
        }
    })
}

pub(super) unsafe extern "C" fn array_new_elem(
    ctx: *mut VmContext,
    ty: u32,
    elem: u32,
    from: u32,
    len: u32,
) -> u64 {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let info = instance.module.info();
    let storage = element(info, ty).storage;
    reference((|| {
        elem_range(instance, elem, from, len)?;
        // SAFETY: V6; the new array is this long. Segments are roots, so what is copied is alive.
        unsafe {
            let array = new_array(store, vm_type(ctx, info, ty), storage, len, [0, 0])?;
            write_elems(store, array.as_ptr(), instance, elem, 0, from, len)?;
            Ok(array)
        }
    })())
}

pub(super) unsafe extern "C" fn array_fill(
    ctx: *mut VmContext,
    ty: u32,
    array: u64,
    at: u32,
    low: u64,
    high: u64,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let storage = element(instance.module.info(), ty).storage;
    super::status((|| {
        // SAFETY: the reference is live: guest code has it.
        unsafe {
            let array = range(array, at, len)?;
            charge(store, storage, len)?;
            fill(store, array, storage, at, len, [low, high])
        }
    })())
}

pub(super) unsafe extern "C" fn array_copy(
    ctx: *mut VmContext,
    ty: u32,
    to: u64,
    to_at: u32,
    from: u64,
    from_at: u32,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let storage = element(instance.module.info(), ty).storage;
    super::status((|| {
        // SAFETY: the references are live: guest code has them. `copy` allows the ranges to overlap; validation has proved that the
        // elements are of one size.
        unsafe {
            let (to, from) = (range(to, to_at, len)?, range(from, from_at, len)?);
            charge(store, storage, len)?;
            let size = storage.size();
            let (source, target) = (element_at(from, size, from_at), element_at(to, size, to_at));
            let bytes = len as usize * size as usize;
            store.copy_in_pieces(bytes, PIECE_BYTES, target.addr() > source.addr(), |_, part| {
                ptr::copy(source.add(part.start), target.add(part.start), part.len());
            })
        }
    })())
}

pub(super) unsafe extern "C" fn array_init_data(
    ctx: *mut VmContext,
    ty: u32,
    data: u32,
    array: u64,
    at: u32,
    from: u32,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let storage = element(instance.module.info(), ty).storage;
    super::status((|| {
        // SAFETY: the reference is live: guest code has it; the range was checked.
        unsafe {
            let array = range(array, at, len)?;
            let bytes = data_bytes(instance, data, storage, from, len)?;
            charge(store, storage, len)?;
            write_bytes(store, array, storage, at, bytes)
        }
    })())
}

pub(super) unsafe extern "C" fn array_init_elem(
    ctx: *mut VmContext,
    elem: u32,
    array: u64,
    at: u32,
    from: u32,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    super::status((|| {
        // SAFETY: the reference is live: guest code has it; both ranges were checked.
        unsafe {
            let array = range(array, at, len)?;
            elem_range(instance, elem, from, len)?;
            store.consume_fuel(u64::from(len) / BULK_ELEMS_PER_FUEL)?;
            write_elems(store, array, instance, elem, at, from, len)
        }
    })())
}
