//! Bodies of the functions that guest code calls by pointer ([`crate::vm::VmBuiltins`]): what is too big or too rare to be
//! done inline by an engine. Each takes its fuel by length before it does the work.

pub(crate) mod gc;

use crate::deadline::{PIECE_BYTES, PIECE_ELEMS};
use crate::error::Error;
use crate::host::crossing;
use crate::instance::InstanceData;
use crate::interp;
use crate::memory::{MemoryData, effective};
use crate::module::{DataIdx, ElemIdx};
use crate::ops::{BULK_BYTES_PER_FUEL, BULK_ELEMS_PER_FUEL};
use crate::store::StoreInner;
use crate::switching::builtins as switching;
use crate::table::TableData;
use crate::trap::Trap;
use crate::val::RawVal;
use crate::vm::{Status, VmBuiltins, VmContext, VmTable, VmTag};
use core::ptr::NonNull;

/// The table of an engine that only interprets.
pub(crate) const TABLE: VmBuiltins = VmBuiltins {
    memory_grow,
    memory_fill,
    memory_copy,
    memory_init,
    data_drop,
    memory_atomic_wait,
    memory_atomic_notify,
    table_grow,
    table_fill,
    table_copy,
    table_init,
    elem_drop,
    struct_new: gc::struct_new,
    array_new: gc::array_new,
    array_new_data: gc::array_new_data,
    array_new_elem: gc::array_new_elem,
    array_fill: gc::array_fill,
    array_copy: gc::array_copy,
    array_init_data: gc::array_init_data,
    array_init_elem: gc::array_init_elem,
    epoch,
    call_own: interp::call_own,
    throw,
    throw_ref,
    cont_new: switching::cont_new,
    cont_bind: switching::cont_bind,
    resume: switching::resume,
    resume_throw: switching::resume_throw,
    resume_throw_ref: switching::resume_throw_ref,
    suspend: switching::suspend,
    adapter_string: crossing::string,
    adapter_list: crossing::list,
    adapter_pause: crossing::pause,
    adapter_refuse: crossing::refuse,
    adapter_trap: crossing::trap,
    adapter_checked: crossing::checked,
    adapter_text: crossing::text,
    adapter_own: crossing::own,
    adapter_borrow: crossing::borrow,
    adapter_finish: crossing::finish,
    switch_to: switching::switch_to,
    raise,
};

/// The store and the instance behind a context.
///
/// # Safety
/// `ctx` is a live instance (V1) whose store is running (V5): `inner` is the borrow of the door that waits for this call. The
/// two must not be used at the same time for the same thing: the instance is owned by the store.
unsafe fn parts<'a>(ctx: *mut VmContext) -> (&'a mut StoreInner, &'a mut InstanceData) {
    // SAFETY: the caller vouches.
    unsafe {
        (&mut *(*(*ctx).store).inner.cast::<StoreInner>(), &mut *(*ctx).instance.cast::<InstanceData>())
    }
}

/// A memory of the instance; the module has one of this index.
fn memory(store: &StoreInner, instance: &InstanceData, index: u32) -> NonNull<MemoryData> {
    store.memories[instance.memories[index as usize] as usize]
}

/// # Safety
/// As [`parts`]; the module has a table `index`.
unsafe fn table(ctx: *mut VmContext, instance: &InstanceData, index: u32) -> NonNull<TableData> {
    let layout = &instance.module.info().layout;
    // SAFETY: the caller vouches; a `VmTable` is the head of a `TableData` (V1).
    unsafe { NonNull::new_unchecked(*VmContext::entry::<*mut VmTable>(ctx, layout.tables, index)).cast() }
}

fn status(result: Result<(), Trap>) -> Status {
    match result {
        Ok(()) => Status::OK,
        Err(trap) => Status::trap(trap),
    }
}

unsafe extern "C" fn memory_grow(ctx: *mut VmContext, index: u32, delta: u64) -> u64 {
    // SAFETY: called by guest code of a validated module: V1, V5.
    unsafe {
        let (store, instance) = parts(ctx);
        store.grow_memory(memory(store, instance, index), delta).unwrap_or(u64::MAX)
    }
}

unsafe extern "C" fn memory_fill(ctx: *mut VmContext, index: u32, at: u64, value: u32, len: u64) -> Status {
    // SAFETY: as above.
    let (store, mut memory) = unsafe {
        let (store, instance) = parts(ctx);
        let memory = memory(store, instance, index);
        (store, memory)
    };
    status((|| {
        // SAFETY: V1, V5.
        let range = StoreInner::memory_range(unsafe { memory.as_ref() }, at, len)?;
        store.consume_fuel(len / BULK_BYTES_PER_FUEL)?;
        store.in_pieces(range.len(), PIECE_BYTES, |_, part| {
            // SAFETY: V1, V5.
            unsafe { memory.as_mut() }.fill(range.start + part.start..range.start + part.end, value as u8);
        })
    })())
}

unsafe extern "C" fn memory_copy(
    ctx: *mut VmContext,
    to_memory: u32,
    from_memory: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Status {
    // SAFETY: as above. The two memories may be the same one, so neither is borrowed exclusively.
    let (store, to_data, from_data) = unsafe {
        let (store, instance) = parts(ctx);
        let (to, from) = (memory(store, instance, to_memory), memory(store, instance, from_memory));
        (store, to, from)
    };
    status((|| {
        // SAFETY: V1.
        let (to, from) = unsafe {
            (
                StoreInner::memory_range(to_data.as_ref(), to, len)?,
                StoreInner::memory_range(from_data.as_ref(), from, len)?,
            )
        };
        store.consume_fuel(len / BULK_BYTES_PER_FUEL)?;
        let behind = from_data == to_data && to.start > from.start;
        store.copy_in_pieces(from.len(), PIECE_BYTES, behind, |_, part| {
            let at = to.start + part.start;
            // SAFETY: V1; both ranges were checked.
            unsafe {
                MemoryData::copy(from_data, from.start + part.start..from.start + part.end, to_data, at);
            }
        })
    })())
}

unsafe extern "C" fn memory_init(
    ctx: *mut VmContext,
    index: u32,
    data: u32,
    to: u64,
    from: u32,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let number = instance.index;
    status((|| {
        store.consume_fuel(u64::from(len) / BULK_BYTES_PER_FUEL)?;
        store.memory_init(number, index, DataIdx(data), to, u64::from(from), u64::from(len))
    })())
}

unsafe extern "C" fn data_drop(ctx: *mut VmContext, data: u32) -> Status {
    // SAFETY: as above.
    let (_, instance) = unsafe { parts(ctx) };
    instance.dropped_data[data as usize] = true;
    Status::OK
}

unsafe extern "C" fn memory_atomic_wait(
    ctx: *mut VmContext,
    index: u32,
    address: u64,
    offset: u64,
    expected: u64,
    timeout: u64,
    bytes: u32,
) -> u64 {
    // SAFETY: as above.
    let (store, memory) = unsafe {
        let (store, instance) = parts(ctx);
        let memory = memory(store, instance, index);
        (store, memory.as_ref())
    };
    let bytes = u64::from(bytes);
    let woken = effective(memory.len(), address, offset, bytes, bytes).and_then(|at| {
        #[cfg(shared_memory)]
        if let Some(shared) = memory.shared() {
            let timeout = u64::try_from(timeout as i64).ok().map(core::time::Duration::from_nanos);
            return shared.wait_in(store, at as u64, bytes == 8, expected, timeout).map(|woken| woken as u64);
        }
        let _ = (at, expected, timeout);
        Err(Trap::ExpectedSharedMemory)
    });
    match woken {
        Ok(woken) => woken,
        Err(Trap::Interrupted) => in_upper_half(store.park_error(Error::from(Trap::Interrupted))),
        Err(trap) => in_upper_half(Status::trap(trap)),
    }
}

unsafe extern "C" fn memory_atomic_notify(
    ctx: *mut VmContext,
    index: u32,
    address: u64,
    offset: u64,
    count: u32,
) -> u64 {
    // SAFETY: as above.
    let memory = unsafe {
        let (store, instance) = parts(ctx);
        memory(store, instance, index).as_ref()
    };
    match effective(memory.len(), address, offset, 4, 4) {
        Err(trap) => in_upper_half(Status::trap(trap)),
        #[cfg(shared_memory)]
        Ok(at) => memory.shared().map_or(0, |shared| shared.notify_at(at as u64, count).into()),
        // Nobody waits where nobody can.
        #[cfg(not(shared_memory))]
        Ok(_) => {
            let _ = count;
            0
        }
    }
}

/// A status beside results of 32 bits.
fn in_upper_half(status: Status) -> u64 {
    u64::from(status.0) << 32
}

unsafe extern "C" fn table_grow(ctx: *mut VmContext, index: u32, value: u64, delta: u64) -> u64 {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = parts(ctx);
        let table = table(ctx, instance, index);
        // What no limit allows costs nothing: a 64-bit table may be asked for more than there is fuel.
        if store.table_growth(table.as_ref(), delta).is_none() {
            return u64::MAX;
        }
        if store.consume_fuel(delta / BULK_ELEMS_PER_FUEL).is_err() {
            return u64::MAX - 1;
        }
        match store.grow_table(table, value, delta) {
            Ok(old) => old.unwrap_or(u64::MAX),
            Err(_interrupted) => u64::MAX - 2,
        }
    }
}

unsafe extern "C" fn table_fill(ctx: *mut VmContext, index: u32, at: u64, value: u64, len: u64) -> Status {
    // SAFETY: as above.
    let (store, mut table) = unsafe {
        let (store, instance) = parts(ctx);
        (store, table(ctx, instance, index))
    };
    status((|| {
        // SAFETY: V1, V5.
        let range = unsafe { table.as_ref() }.range(at, len)?;
        store.consume_fuel(len / BULK_ELEMS_PER_FUEL)?;
        store.in_pieces(range.len(), PIECE_ELEMS, |_, part| {
            // SAFETY: V1, V5.
            let elements = unsafe { table.as_mut() }.elements_mut();
            elements[range.start + part.start..range.start + part.end].fill(value);
        })
    })())
}

unsafe extern "C" fn table_copy(
    ctx: *mut VmContext,
    to_table: u32,
    from_table: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Status {
    // SAFETY: as above. The two tables may be the same one, so neither is borrowed exclusively.
    let (store, to_data, from_data) = unsafe {
        let (store, instance) = parts(ctx);
        (store, table(ctx, instance, to_table), table(ctx, instance, from_table))
    };
    status((|| {
        // SAFETY: V1.
        let (to, from) = unsafe { (to_data.as_ref().range(to, len)?, from_data.as_ref().range(from, len)?) };
        store.consume_fuel(len / BULK_ELEMS_PER_FUEL)?;
        let behind = from_data == to_data && to.start > from.start;
        store.copy_in_pieces(from.len(), PIECE_ELEMS, behind, |_, part| {
            // SAFETY: V3; both ranges were checked, and `copy` allows them to overlap.
            unsafe {
                let source = from_data.as_ref().vm.base.add(from.start + part.start);
                core::ptr::copy(source, to_data.as_ref().vm.base.add(to.start + part.start), part.len());
            }
        })
    })())
}

unsafe extern "C" fn table_init(
    ctx: *mut VmContext,
    index: u32,
    elem: u32,
    to: u64,
    from: u32,
    len: u32,
) -> Status {
    // SAFETY: as above.
    let (store, instance) = unsafe { parts(ctx) };
    let number = instance.index;
    status((|| {
        store.consume_fuel(u64::from(len) / BULK_ELEMS_PER_FUEL)?;
        store.table_init(number, index, ElemIdx(elem), to, u64::from(from), u64::from(len))
    })())
}

unsafe extern "C" fn elem_drop(ctx: *mut VmContext, elem: u32) -> Status {
    // SAFETY: as above.
    let (_, instance) = unsafe { parts(ctx) };
    instance.drop_elem(elem);
    Status::OK
}

unsafe extern "C" fn epoch(ctx: *mut VmContext) -> Status {
    // SAFETY: as above.
    let (store, _) = unsafe { parts(ctx) };
    status(store.pause())
}

unsafe extern "C" fn throw(ctx: *mut VmContext, tag: u32, values: *mut RawVal) -> Status {
    // SAFETY: as above; the module has this tag, and `values` are what its exceptions carry.
    unsafe {
        let (store, instance) = parts(ctx);
        let tags = instance.module.info().layout.tags;
        store.throw(*VmContext::entry::<*const VmTag>(ctx, tags, tag), values)
    }
}

unsafe extern "C" fn throw_ref(ctx: *mut VmContext, exception: u64) -> Status {
    // SAFETY: as above.
    let (store, _) = unsafe { parts(ctx) };
    store.throw_ref(exception)
}

/// Without a backend nobody can call this: it exists so that the table is whole.
unsafe extern "C" fn raise(_ctx: *mut VmContext, code: u32) -> ! {
    unreachable!("crash: status {code:#x} raised with no native code about")
}
