//! Loads and stores of memories whose addresses have 64 bits, or whose bytes other threads may touch.
//!
//! An instruction: address, slot of the value or the result, offset of the memory in the instance (unused by memory 0), 64-bit offset.

use super::dispatch::{Handler, handler};
use super::operand::{Acc, Class, Dst, Slot, Src};
use super::rows::{Load, Store};
use super::state::{A, B, D, Exec, Flow, State, W};
#[cfg(shared_memory)]
use crate::memory::racy::Racy as _;
use crate::trap::Trap;
use crate::vm::VmMemory;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// Bytes of an instruction.
pub(super) const SIZE: usize = 24;

/// How an access goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Memory 0, 64-bit addresses.
    Memory0,
    /// Another memory, 64-bit addresses.
    Other,
    /// A memory that other threads may touch, addresses of either size.
    #[cfg(shared_memory)]
    Shared,
}

/// A memory immediate that needs one of these instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Far {
    pub(super) way: Way,
    /// Byte offset, in the instance, of the pointer to the memory.
    pub(super) memory: u32,
    pub(super) offset: u64,
}

/// The place of `bytes` bytes at `address + offset` in a memory, if they lie inside.
#[inline(always)]
pub(super) fn place(base: *mut u8, len: usize, address: u64, offset: u64, bytes: usize) -> Option<*mut u8> {
    let start = address.checked_add(offset)?;
    if start.checked_add(bytes as u64)? <= len as u64 {
        Some(base.wrapping_add(start as usize))
    } else {
        None
    }
}

/// A value at any address.
#[repr(C, packed)]
struct Anywhere<T>(T);

/// A load from memory 0.
pub(super) struct Load0<O, X>(PhantomData<(O, X)>);

impl<O: Load, X: Src> Exec for Load0<O, X> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            match place(s.mem, s.len, X::read(s, A), s.operand(W), size_of::<O::M>()) {
                Some(place) => {
                    Slot::write(s, O::extend((*place.cast::<Anywhere<O::M>>()).0));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to memory 0.
pub(super) struct Store0<O, X>(PhantomData<(O, X)>);

impl<O: Store, X: Src> Exec for Store0<O, X> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            match place(s.mem, s.len, X::read(s, A), s.operand(W), size_of::<O::M>()) {
                Some(place) => {
                    (*place.cast::<Anywhere<O::M>>()).0 = O::wrap(Slot::read(s, D));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// The place that an instruction accesses in the memory that it names; its address is in a slot.
///
/// # Safety
/// I1, I2, I4, V1 and an instruction of this file.
#[inline(always)]
pub(super) unsafe fn place_other(s: &State, bytes: usize) -> Option<*mut u8> {
    // SAFETY: the caller's promise.
    unsafe {
        let memory = *s.instance_entry::<*mut VmMemory>(s.operand(B));
        let len = (*memory).len.load(Ordering::Relaxed);
        place((*memory).base, len, s.slot(A), s.operand(W), bytes)
    }
}

/// A load from another memory.
pub(super) struct LoadOther<O>(PhantomData<O>);

impl<O: Load> Exec for LoadOther<O> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 for the bytes.
        unsafe {
            match place_other(s, size_of::<O::M>()) {
                Some(place) => {
                    Slot::write(s, O::extend((*place.cast::<Anywhere<O::M>>()).0));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to another memory.
pub(super) struct StoreOther<O>(PhantomData<O>);

impl<O: Store> Exec for StoreOther<O> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 for the bytes.
        unsafe {
            match place_other(s, size_of::<O::M>()) {
                Some(place) => {
                    (*place.cast::<Anywhere<O::M>>()).0 = O::wrap(Slot::read(s, D));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A load from a memory that other threads may touch.
#[cfg(shared_memory)]
pub(super) struct LoadShared<O>(PhantomData<O>);

#[cfg(shared_memory)]
impl<O: Load> Exec for LoadShared<O> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 for the bytes.
        unsafe {
            match place_other(s, size_of::<O::M>()) {
                Some(place) => {
                    Slot::write(s, O::extend(O::M::load(place)));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to a memory that other threads may touch.
#[cfg(shared_memory)]
pub(super) struct StoreShared<O>(PhantomData<O>);

#[cfg(shared_memory)]
impl<O: Store> Exec for StoreShared<O> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 for the bytes.
        unsafe {
            match place_other(s, size_of::<O::M>()) {
                Some(place) => {
                    O::M::store(place, O::wrap(Slot::read(s, D)));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// The handler of a load whose address is of class `a`; every way has one for slots.
pub(super) fn load<O: Load>(way: Way, a: Class) -> Handler {
    match (way, a) {
        (Way::Memory0, Class::A) => handler::<Load0<O, Acc>>(),
        (Way::Memory0, _) => handler::<Load0<O, Slot>>(),
        (Way::Other, _) => handler::<LoadOther<O>>(),
        #[cfg(shared_memory)]
        (Way::Shared, _) => handler::<LoadShared<O>>(),
    }
}

/// The handler of a store whose address is of class `a`.
pub(super) fn store<O: Store>(way: Way, a: Class) -> Handler {
    match (way, a) {
        (Way::Memory0, Class::A) => handler::<Store0<O, Acc>>(),
        (Way::Memory0, _) => handler::<Store0<O, Slot>>(),
        (Way::Other, _) => handler::<StoreOther<O>>(),
        #[cfg(shared_memory)]
        (Way::Shared, _) => handler::<StoreShared<O>>(),
    }
}

/// Every handler of this file, named, for the tests that look at machine code.
#[cfg(test)]
pub(super) fn handlers() -> alloc::vec::Vec<(alloc::string::String, Handler)> {
    let mut found = alloc::vec::Vec::new();
    let ways = [
        Way::Memory0,
        Way::Other,
        #[cfg(shared_memory)]
        Way::Shared,
    ];
    for &op in crate::ops::Op::ALL {
        for (way, class) in ways.into_iter().flat_map(|way| [(way, Class::S), (way, Class::A)]) {
            let both = [super::rows::load_far(op, way, class), super::rows::store_far(op, way, class)];
            let named = |handler| (alloc::format!("{op:?} {way:?} {class:?}"), handler);
            found.extend(both.into_iter().flatten().map(named));
        }
    }
    found
}

mod translate {
    //! From operators to the instructions above.

    use super::{Far, SIZE, Way};
    use crate::error::Result;
    use crate::interp::emit::{Inst, Source};
    use crate::interp::operand::Class;
    use crate::interp::rows::{self, Ty};
    use crate::interp::state::{A, B, D, W};
    use crate::interp::translate::{Translator, impossible};
    use crate::ops::Op;
    use wasmparser::{MemArg, MemArgTarget};

    impl Translator<'_> {
        /// The memory immediate of an access that the plain instructions do not do.
        pub(in crate::interp) fn far(&self, memarg: &MemArg) -> Result<Option<Far>> {
            let MemArgTarget::Memory(memory) = memarg.target else {
                return Err(impossible("an array access"));
            };
            let ty =
                self.info.memories.get(memory as usize).ok_or_else(|| impossible("an unknown memory"))?;
            #[cfg(shared_memory)]
            if ty.shared {
                return Ok(Some(Far {
                    way: Way::Shared,
                    memory: self.memory_entry(memory),
                    offset: memarg.offset,
                }));
            }
            let way = match (ty.memory64, memory) {
                (false, _) => return Ok(None),
                (true, 0) => Way::Memory0,
                (true, _) => Way::Other,
            };
            Ok(Some(Far { way, memory: self.memory_entry(memory), offset: memarg.offset }))
        }

        fn far_address(&self, far: Far, address: Source) -> Class {
            match (far.way, self.class(address, Ty::i64)) {
                (Way::Memory0, Class::A) => Class::A,
                _ => Class::S,
            }
        }

        fn set_far(&mut self, at: u32, far: Far, address: Source, value: u16) {
            self.set_source(at, A, address);
            self.out.set(at, D, value);
            self.out.set(at, B, far.memory);
            self.out.set(at, W, far.offset);
        }

        /// Writes a load to `slot`, whose address is in a slot.
        pub(in crate::interp) fn write_load_far(
            &mut self,
            op: Op,
            address: Source,
            far: Far,
            slot: u16,
        ) -> bool {
            let class = self.far_address(far, address);
            let Some(handler) = rows::load_far(op, far.way, class) else { return false };
            let at = self.instruction(handler, SIZE);
            self.set_far(at, far, address, slot);
            true
        }

        pub(in crate::interp) fn load_far(&mut self, op: Op, far: Far) -> Result<()> {
            let address = self.pop()?;
            let slot = self.push()?;
            let address = Source::Slot(self.in_slot(address));
            self.emit(Inst::LoadFar(op, address, far), slot);
            Ok(())
        }

        pub(in crate::interp) fn store_far(&mut self, op: Op, far: Far) -> Result<()> {
            let (value, address) = (self.pop()?, self.pop()?);
            let (address, value) = (Source::Slot(self.in_slot(address)), self.in_slot(value));
            let class = self.far_address(far, address);
            let handler =
                rows::store_far(op, far.way, class).ok_or_else(|| impossible("a store of another kind"))?;
            let at = self.instruction(handler, SIZE);
            self.set_far(at, far, address, value);
            Ok(())
        }
    }
}
