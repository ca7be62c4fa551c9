//! Atomic operators (proposal threads): handlers and their translation.
//!
//! An instruction: slot of the address (where the result goes as well, and behind which the other operands lie), offset of the
//! memory in the instance, 64-bit offset. The i32 and i64 of a width share a handler: slots are zero-extended, and what memory
//! holds is as well.

use super::dispatch::{Handler, handler};
use super::far::SIZE;
use super::state::{A, B, Exec, Flow, State, W};
use super::translate::{Translator, impossible};
use crate::error::Result;
use crate::memory::effective;
use crate::ops::Op;
use crate::trap::Trap;
use crate::vm::{Status, VmMemory};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, Ordering::SeqCst};
use wasmparser::{MemArg, MemArgTarget, Operator};

/// What memory holds.
trait Cell {
    const BYTES: u64;

    /// # Safety
    /// For all: the place is accessible and aligned.
    unsafe fn load(place: *mut u8) -> u64;
    unsafe fn store(place: *mut u8, value: u64);
    /// Changes it; what was there.
    unsafe fn add(place: *mut u8, value: u64) -> u64;
    unsafe fn sub(place: *mut u8, value: u64) -> u64;
    unsafe fn and(place: *mut u8, value: u64) -> u64;
    unsafe fn or(place: *mut u8, value: u64) -> u64;
    unsafe fn xor(place: *mut u8, value: u64) -> u64;
    unsafe fn xchg(place: *mut u8, value: u64) -> u64;
    unsafe fn cmpxchg(place: *mut u8, expected: u64, replacement: u64) -> u64;
}

/// A number from or to little-endian. Addition and subtraction in the other order need a loop.
macro_rules! cell {
    ($($ty:ident $atomic:ident;)*) => { $(
        impl Cell for $ty {
            const BYTES: u64 = size_of::<$ty>() as u64;
            #[inline(always)]
            unsafe fn load(place: *mut u8) -> u64 {
                // SAFETY: the caller's promise.
                unsafe { $ty::from_le($atomic::from_ptr(place.cast()).load(SeqCst)).into() }
            }
            #[inline(always)]
            unsafe fn store(place: *mut u8, value: u64) {
                // SAFETY: the caller's promise.
                unsafe { $atomic::from_ptr(place.cast()).store((value as $ty).to_le(), SeqCst) }
            }
            #[inline(always)]
            unsafe fn add(place: *mut u8, value: u64) -> u64 {
                // SAFETY: the caller's promise.
                let cell = unsafe { $atomic::from_ptr(place.cast()) };
                #[cfg(target_endian = "little")]
                return cell.fetch_add(value as $ty, SeqCst).into();
                #[cfg(target_endian = "big")]
                loop {
                    let old = cell.load(SeqCst);
                    let new = $ty::from_le(old).wrapping_add(value as $ty).to_le();
                    if cell.compare_exchange_weak(old, new, SeqCst, SeqCst).is_ok() {
                        return $ty::from_le(old).into();
                    }
                }
            }
            #[inline(always)]
            unsafe fn sub(place: *mut u8, value: u64) -> u64 {
                // SAFETY: the caller's promise.
                unsafe { Self::add(place, value.wrapping_neg()) }
            }
            cell!(@bits $ty $atomic and fetch_and);
            cell!(@bits $ty $atomic or fetch_or);
            cell!(@bits $ty $atomic xor fetch_xor);
            cell!(@bits $ty $atomic xchg swap);
            #[inline(always)]
            unsafe fn cmpxchg(place: *mut u8, expected: u64, replacement: u64) -> u64 {
                let (expected, replacement) = ((expected as $ty).to_le(), (replacement as $ty).to_le());
                // SAFETY: the caller's promise.
                let cell = unsafe { $atomic::from_ptr(place.cast()) };
                let (Ok(old) | Err(old)) = cell.compare_exchange(expected, replacement, SeqCst, SeqCst);
                $ty::from_le(old).into()
            }
        }
    )* };
    (@bits $ty:ident $atomic:ident $name:ident $method:ident) => {
        #[inline(always)]
        unsafe fn $name(place: *mut u8, value: u64) -> u64 {
            // SAFETY: the caller's promise.
            unsafe { $ty::from_le($atomic::from_ptr(place.cast()).$method((value as $ty).to_le(), SeqCst)).into() }
        }
    };
}
cell! { u8 AtomicU8; u16 AtomicU16; u32 AtomicU32; u64 AtomicU64; }

/// The place that an instruction accesses.
///
/// # Safety
/// I1, I2, I4, V1 and an instruction of this file.
#[inline(always)]
unsafe fn place<M: Cell>(s: &State) -> Result<*mut u8, Trap> {
    // SAFETY: the caller's promise.
    unsafe {
        let memory = *s.instance_entry::<*mut VmMemory>(s.operand(B));
        let len = (*memory).len.load(Ordering::Relaxed);
        Ok((*memory).base.wrapping_add(effective(len, s.slot(A), s.operand(W), M::BYTES, M::BYTES)?))
    }
}

macro_rules! accesses {
    ($($(#[$doc:meta])* $name:ident, $at:ident, $place:ident => $body:expr;)*) => { $(
        $(#[$doc])*
        struct $name<M>(PhantomData<M>);
        impl<M: Cell> Exec for $name<M> {
            const SIZE: usize = SIZE;
            #[inline(always)]
            unsafe fn exec(s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2 for the row of operands; V2 for the place, which is aligned.
                unsafe {
                    match place::<M>(s) {
                        Ok($place) => {
                            let $at = s.slot_at(A);
                            $body;
                            Flow::Next
                        }
                        Err(trap) => Flow::Trap(trap),
                    }
                }
            }
        }
    )* };
}

accesses! {
    /// A load.
    Load, at, place => *at = M::load(place);
    /// A store.
    Store, at, place => M::store(place, *at.wrapping_add(1));
    /// An addition.
    Add, at, place => *at = M::add(place, *at.wrapping_add(1));
    /// A subtraction.
    Sub, at, place => *at = M::sub(place, *at.wrapping_add(1));
    /// A conjunction.
    And, at, place => *at = M::and(place, *at.wrapping_add(1));
    /// A disjunction.
    Or, at, place => *at = M::or(place, *at.wrapping_add(1));
    /// An exclusive disjunction.
    Xor, at, place => *at = M::xor(place, *at.wrapping_add(1));
    /// An exchange.
    Xchg, at, place => *at = M::xchg(place, *at.wrapping_add(1));
    /// An exchange if there is the expected value.
    Cmpxchg, at, place => *at = M::cmpxchg(place, *at.wrapping_add(1), *at.wrapping_add(2));
}

/// `atomic.fence`
struct Fence;

impl Exec for Fence {
    const SIZE: usize = 8;
    #[inline(always)]
    unsafe fn exec(_: &mut State) -> Flow {
        core::sync::atomic::fence(SeqCst);
        Flow::Next
    }
}

/// What a builtin left: a result, or a status in the upper half.
#[inline(always)]
unsafe fn answer(s: &mut State, answer: u64) -> Flow {
    let status = Status((answer >> 32) as u32);
    if status.is_ok() {
        // SAFETY: I2.
        unsafe { *s.slot_at(A) = answer };
    }
    super::unwind::check(s, status)
}

/// `memory.atomic.wait32` and `64`: the index of the memory in place of its offset.
struct Wait<M>(PhantomData<M>);

impl<M: Cell> Exec for Wait<M> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2 for the row of operands, I4.
        unsafe {
            let at = s.slot_at(A);
            let (expected, timeout) = (*at.wrapping_add(1), *at.wrapping_add(2));
            let wait = (*(*s.ctx).builtins).memory_atomic_wait;
            let woken = wait(s.ctx, s.operand(B), *at, s.operand(W), expected, timeout, M::BYTES as u32);
            answer(s, woken)
        }
    }
}

/// `memory.atomic.notify`: the index of the memory in place of its offset.
struct Notify;

impl Exec for Notify {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2 for the row of operands, I4.
        unsafe {
            let at = s.slot_at(A);
            let notify = (*(*s.ctx).builtins).memory_atomic_notify;
            let woken = notify(s.ctx, s.operand(B), *at, s.operand(W), *at.wrapping_add(1) as u32);
            answer(s, woken)
        }
    }
}

macro_rules! rows {
    (
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        rmw { $($r:ident $rt:literal $ra:ident => $rm:ident $ro:ident;)* }
        cmpxchg { $($c:ident $ct:literal $ca:ident => $cm:ident;)* }
        custom { $($x:ident $xt:literal;)* }
    ) => {
        /// The handler of an operator that accesses one place; operands and results beside the address.
        fn access(op: Op) -> Option<(Handler, usize, usize)> {
            Some(match op {
                $(Op::$l => (handler::<Load<$lm>>(), 0, 1),)*
                $(Op::$s => (handler::<Store<$sm>>(), 1, 0),)*
                $(Op::$r => (rows!(@rmw $ro $rm), 1, 1),)*
                $(Op::$c => (handler::<Cmpxchg<$cm>>(), 2, 1),)*
                _ => return None,
            })
        }

        fn memarg(operator: &Operator<'_>) -> Option<MemArg> {
            match operator {
                $(Operator::$l { memarg })|* => Some(*memarg),
                $(Operator::$s { memarg })|* => Some(*memarg),
                $(Operator::$r { memarg })|* => Some(*memarg),
                $(Operator::$c { memarg })|* => Some(*memarg),
                Operator::MemoryAtomicNotify { memarg }
                | Operator::MemoryAtomicWait32 { memarg }
                | Operator::MemoryAtomicWait64 { memarg } => Some(*memarg),
                _ => None,
            }
        }

        /// Is it an operator of this table?
        pub(super) const fn is_atomic(op: Op) -> bool {
            matches!(op, $(Op::$l)|* | $(Op::$s)|* | $(Op::$r)|* | $(Op::$c)|* | $(Op::$x)|*)
        }
    };
    (@rmw add $m:ident) => { handler::<Add<$m>>() };
    (@rmw sub $m:ident) => { handler::<Sub<$m>>() };
    (@rmw and $m:ident) => { handler::<And<$m>>() };
    (@rmw or $m:ident) => { handler::<Or<$m>>() };
    (@rmw xor $m:ident) => { handler::<Xor<$m>>() };
    (@rmw xchg $m:ident) => { handler::<Xchg<$m>>() };
}
crate::for_each_atomic_op!(rows);

impl Translator<'_> {
    /// Translates an atomic operator.
    pub(super) fn atomic(&mut self, op: Op, operator: &Operator<'_>) -> Result<()> {
        if op == Op::AtomicFence {
            self.exec::<Fence>(Fence::SIZE);
            return Ok(());
        }
        let memarg = memarg(operator).ok_or_else(|| impossible("an atomic access without memory"))?;
        let MemArgTarget::Memory(memory) = memarg.target else { return Err(impossible("an array access")) };
        let (handler, operands, results, memory) = match op {
            Op::MemoryAtomicWait32 => (handler::<Wait<u32>>(), 2, 1, memory),
            Op::MemoryAtomicWait64 => (handler::<Wait<u64>>(), 2, 1, memory),
            Op::MemoryAtomicNotify => (handler::<Notify>(), 1, 1, memory),
            _ => {
                let found = access(op).ok_or_else(|| impossible("an atomic operator without handler"))?;
                (found.0, found.1, found.2, self.memory_entry(memory))
            }
        };
        let at = self.row(1 + operands, results, handler, SIZE)?;
        self.out.set(at, B, memory);
        self.out.set(at, W, memarg.offset);
        Ok(())
    }
}

/// Every handler of this file, named, for the tests that look at machine code.
#[cfg(test)]
pub(super) fn handlers() -> alloc::vec::Vec<(alloc::string::String, Handler)> {
    let mut found: alloc::vec::Vec<_> =
        Op::ALL.iter().filter_map(|&op| Some((alloc::format!("{op:?}"), access(op)?.0))).collect();
    found.push(("atomic.fence".into(), handler::<Fence>()));
    found
}
