//! Handlers that touch linear memory: loads and stores.
//!
//! The effective address is computed in 64 bits, where a 32-bit address plus a 32-bit offset cannot overflow; then one
//! comparison with the length decides.

use super::operand::{Dst, Slot, Src};
use super::rows::{Load, Store};
use super::state::{A, B, D, Exec, Flow, State};
use crate::trap::Trap;
use crate::vm::VmMemory;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// Where the immediate of another memory stands: the byte offset, in the instance, of the pointer to it.
pub(super) const MEMORY: usize = 16;

/// A value at any address. Copying it out of the place needs no intermediate on the stack, with or without debug assertions.
#[repr(C, packed)]
pub(super) struct Anywhere<T>(pub(super) T);

/// The place of a `T` at `address + offset` in a memory, if it lies inside.
#[inline(always)]
pub(super) fn place<T>(base: *mut u8, len: usize, address: u32, offset: u32) -> Option<*mut Anywhere<T>> {
    let start = u64::from(address) + u64::from(offset);
    if start + size_of::<T>() as u64 <= len as u64 {
        Some(base.wrapping_add(start as usize).cast())
    } else {
        None
    }
}

/// A load from memory 0: address, `d`, offset.
pub(super) struct Load0<O, X, R>(PhantomData<(O, X, R)>);

impl<O: Load, X: Src, R: Dst> Exec for Load0<O, X, R> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            // An immediate address was added to the offset already.
            let address = if X::IMMEDIATE { 0 } else { X::read::<u32>(s, A) };
            match place::<O::M>(s.mem, s.len, address, s.operand(B)) {
                Some(place) => {
                    R::write(s, O::extend((*place).0));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to memory 0: address, value, offset.
pub(super) struct Store0<O, X, Y>(PhantomData<(O, X, Y)>);

impl<O: Store, X: Src, Y: Src> Exec for Store0<O, X, Y> {
    const SIZE: usize = 16 + Y::EXTRA;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            let address = if X::IMMEDIATE { 0 } else { X::read::<u32>(s, A) };
            match place::<O::M>(s.mem, s.len, address, s.operand(B)) {
                Some(place) => {
                    (*place).0 = O::wrap(Y::read(s, D));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// Where the second summand of an address stands.
pub(super) const SUMMAND: usize = 16;
/// Where an immediate value to store stands beside a sum.
pub(super) const VALUE: usize = 20;

/// A load from memory 0 at a sum of two `i32`: first summand, `d`, offset, second summand.
pub(super) struct LoadSum<O, X, Y, R>(PhantomData<(O, X, Y, R)>);

impl<O: Load, X: Src, Y: Src, R: Dst> Exec for LoadSum<O, X, Y, R> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            let address = X::read::<u32>(s, A).wrapping_add(Y::read(s, SUMMAND));
            match place::<O::M>(s.mem, s.len, address, s.operand(B)) {
                Some(place) => {
                    R::write(s, O::extend((*place).0));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to memory 0 at a sum of two `i32`: first summand, value, offset, second summand, immediate value.
pub(super) struct StoreSum<O, X, Y, Z>(PhantomData<(O, X, Y, Z)>);

impl<O: Store, X: Src, Y: Src, Z: Src> Exec for StoreSum<O, X, Y, Z> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            let address = X::read::<u32>(s, A).wrapping_add(Y::read(s, SUMMAND));
            match place::<O::M>(s.mem, s.len, address, s.operand(B)) {
                Some(place) => {
                    (*place).0 = O::wrap(Z::read(s, if Z::IMMEDIATE { VALUE } else { D }));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A load from another memory: address, `d`, offset, memory.
pub(super) struct LoadOther<O>(PhantomData<O>);

impl<O: Load> Exec for LoadOther<O> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1 and V2 for the memory.
        unsafe {
            let memory = *s.instance_entry::<*mut VmMemory>(s.operand(MEMORY));
            match place::<O::M>(
                (*memory).base,
                (*memory).len.load(Ordering::Relaxed),
                Slot::read(s, A),
                s.operand(B),
            ) {
                Some(place) => {
                    Slot::write(s, O::extend((*place).0));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

/// A store to another memory: address, value, offset, memory.
pub(super) struct StoreOther<O>(PhantomData<O>);

impl<O: Store> Exec for StoreOther<O> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1 and V2 for the memory.
        unsafe {
            let memory = *s.instance_entry::<*mut VmMemory>(s.operand(MEMORY));
            match place::<O::M>(
                (*memory).base,
                (*memory).len.load(Ordering::Relaxed),
                Slot::read(s, A),
                s.operand(B),
            ) {
                Some(place) => {
                    (*place).0 = O::wrap(Slot::read(s, D));
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}
