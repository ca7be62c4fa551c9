//! Handlers that move `ip`: branches, returns; the meters that stand at block entries and loop heads; globals.

use super::operand::{Dst, Src, Value};
use super::state::{A, B, D, Exec, Flow, State};
use super::unwind;
use crate::trap::Trap;
use crate::vm::{Status, VmGlobal};
use core::marker::PhantomData;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::Ordering;

/// `br`: offset.
pub(super) struct Br;

impl Exec for Br {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe { s.branch(A) }
    }
}

/// A branch taken when an `i32` is not 0 (`SENSE`), or is: `a`, offset.
pub(super) struct BrIf<X, const SENSE: bool>(PhantomData<X>);

impl<X: Src, const SENSE: bool> Exec for BrIf<X, SENSE> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe { if (X::read::<u32>(s, A) != 0) == SENSE { s.branch(B) } else { Flow::Next } }
    }
}

/// Where the offsets of a [`BrTable`] begin.
pub(super) const TARGETS: usize = 16;

/// `br_table`: `a`, how many targets besides the default, their offsets, the default's.
pub(super) struct BrTable<X>(PhantomData<X>);

impl<X: Src> Exec for BrTable<X> {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; the last offset is the default's, so `count` is a valid index.
        unsafe {
            let index = X::read::<u32>(s, A).min(s.operand::<u32>(B));
            let offset = *s.ip.wrapping_add(TARGETS).cast::<i32>().wrapping_add(index as usize);
            s.ip = s.ip.wrapping_offset(offset as isize);
        }
        Flow::Jump
    }
}

/// Slots between a frame's locals and its operands: where to return to, the caller's frame.
pub(super) const HEADER_SLOTS: u32 = 2;

/// Reads a frame's header: the caller's next instruction and frame.
///
/// # Safety
/// `header` is the address of a header.
#[inline(always)]
pub(super) unsafe fn read_header(header: *const u64) -> (*const u8, *mut u64) {
    // SAFETY: the caller's promise.
    let (ip, sp) = unsafe { (*header, *header.wrapping_add(1)) };
    (with_exposed_provenance(ip as usize), with_exposed_provenance_mut(sp as usize))
}

/// Writes a frame's header.
///
/// # Safety
/// `header` leads to two slots of the value stack.
#[inline(always)]
pub(super) unsafe fn write_header(header: *mut u64, ip: *const u8, sp: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe {
        *header = ip.expose_provenance() as u64;
        *header.wrapping_add(1) = sp.expose_provenance() as u64;
    }
}

/// Goes back to the caller: the slot number of its pinned local is the last operand of the call it returns behind.
///
/// # Safety
/// `ip` and `sp` come from a header.
#[inline(always)]
pub(super) unsafe fn return_to(s: &mut State, ip: *const u8, sp: *mut u64) -> Flow {
    s.ip = ip;
    s.sp = sp;
    // SAFETY: I1: every instruction that a header can lead to has a slot number before it.
    s.l0 = unsafe { *sp.wrapping_add(usize::from(*ip.wrapping_sub(2).cast::<u16>())) };
    Flow::Jump
}

/// `return` without results: header's slot at `d`.
pub(super) struct Return0;

impl Exec for Return0 {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            let (ip, sp) = read_header(s.slot_at(D));
            return_to(s, ip, sp)
        }
    }
}

/// `return` with one result, which also goes to its accumulator: header's slot at `d`, value at `b`.
pub(super) struct Return1<V, X>(PhantomData<(V, X)>);

impl<V: Value, X: Src> Exec for Return1<V, X> {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2. The header is read before the result overwrites what may be a part of it.
        unsafe {
            let value = X::read::<V>(s, B);
            let (ip, sp) = read_header(s.slot_at(D));
            *s.sp = value.slot();
            V::set_acc(s, value);
            return_to(s, ip, sp)
        }
    }
}

/// Copies slots to lower ones, lowest first. Volatile, or LLVM makes a call of it, for which registers would be saved.
///
/// # Safety
/// I2 for all slots.
#[inline(always)]
pub(super) unsafe fn copy_down(from: *const u64, to: *mut u64, count: usize) {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller's promise.
        unsafe { to.wrapping_add(at).write_volatile(*from.wrapping_add(at)) };
        at += 1;
    }
}

/// `return` with results that lie in a row: first at `a`, header's slot at `d`, how many.
pub(super) struct ReturnMany;

impl Exec for ReturnMany {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2. The header is read before the results overwrite it.
        unsafe {
            let (ip, sp) = read_header(s.slot_at(D));
            copy_down(s.slot_at(A), s.sp, s.operand::<u32>(B) as usize);
            return_to(s, ip, sp)
        }
    }
}

/// `unreachable`
pub(super) struct Unreachable;

impl Exec for Unreachable {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(_: &mut State) -> Flow {
        Flow::Trap(Trap::Unreachable)
    }
}

/// Charges fuel for a block: cost.
pub(super) struct Fuel;

impl Exec for Fuel {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I4, V1.
        unsafe {
            let store = (*s.ctx).store;
            match (*store).fuel.checked_sub(s.operand::<u32>(A).into()) {
                Some(left) => {
                    (*store).fuel = left;
                    Flow::Next
                }
                None => Flow::Trap(Trap::OutOfFuel),
            }
        }
    }
}

/// Looks whether the deadline's epoch has come.
pub(super) struct Epoch;

impl Exec for Epoch {
    const SIZE: usize = 8;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: I4, V1.
        unsafe {
            let store = (*s.ctx).store;
            if (*(*store).epoch).load(Ordering::Relaxed) >= (*store).epoch_deadline {
                Flow::Cold(super::dispatch::cold::<EpochReached>())
            } else {
                Flow::Next
            }
        }
    }
}

/// The rest of [`Epoch`]: asks the engine.
pub(super) struct EpochReached;

impl Exec for EpochReached {
    const SIZE: usize = Epoch::SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: I2, I4, V1.
        let status = unsafe { unwind::epoch_reached(s.ctx, s.ip, s.sp) };
        unwind::check(s, status)
    }
}

/// `global.get`: `d`, the global's offset in the instance. `OWN`: the global lies there, else a pointer to it.
pub(super) struct GlobalGet<R, const OWN: bool>(PhantomData<R>);

/// The slots of the global at the offset that stands at `b`.
///
/// # Safety
/// I1, I4, and the instruction has such an offset.
#[inline(always)]
pub(super) unsafe fn global<const OWN: bool>(s: &State) -> *mut u64 {
    // SAFETY: I1, I4, V1.
    unsafe {
        let offset = s.operand::<u32>(B);
        let global = if OWN {
            s.instance_entry::<VmGlobal>(offset)
        } else {
            *s.instance_entry::<*mut VmGlobal>(offset)
        };
        global.cast()
    }
}

impl<R: Dst, const OWN: bool> Exec for GlobalGet<R, OWN> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1.
        unsafe {
            let value = *global::<OWN>(s);
            R::write(s, value);
        }
        Flow::Next
    }
}

/// `global.set`: `a`, the global's offset in the instance.
pub(super) struct GlobalSet<X, const OWN: bool>(PhantomData<X>);

impl<X: Src, const OWN: bool> Exec for GlobalSet<X, OWN> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1.
        unsafe { *global::<OWN>(s) = X::read(s, A) };
        Flow::Next
    }
}

/// Clears locals: first at `d`, how many.
pub(super) struct Zero;

impl Exec for Zero {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2.
        unsafe {
            let (first, count) = (s.slot_at(D), s.operand::<u32>(B) as usize);
            // Volatile, or LLVM makes a call of it, for which registers would be saved. There are few locals.
            let mut at = 0;
            while at < count {
                first.wrapping_add(at).write_volatile(0);
                at += 1;
            }
        }
        Flow::Next
    }
}

/// The status as a trap's number in the accumulator, for [`unwind::Leave`].
pub(super) const fn status_word(status: Status) -> u64 {
    status.0 as u64
}
