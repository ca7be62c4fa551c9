//! Handlers of plain operators: unary, binary, comparisons and the branches that they decide; copies, constants, `select`.

use super::operand::{Dst, Src, Value};
use super::rows::{Binary, Compare, Unary};
use super::state::{A, B, D, Exec, Flow, State};
use core::marker::PhantomData;

/// A unary operator: `a`, `d`.
pub(super) struct Un<O, X, R>(PhantomData<(O, X, R)>);

impl<O: Unary, X: Src, R: Dst> Exec for Un<O, X, R> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            match O::eval(X::read(s, A)) {
                Ok(value) => {
                    R::write(s, value);
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// A binary operator: `a`, `d`, `b`.
pub(super) struct Bin<O, X, Y, R>(PhantomData<(O, X, Y, R)>);

impl<O: Binary, X: Src, Y: Src, R: Dst> Exec for Bin<O, X, Y, R> {
    const SIZE: usize = 16 + Y::EXTRA;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            match O::eval(X::read(s, A), Y::read(s, B)) {
                Ok(value) => {
                    R::write(s, value);
                    Flow::Next
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// A comparison: `a`, `d`, `b`.
pub(super) struct Cmp<O, X, Y, R>(PhantomData<(O, X, Y, R)>);

impl<O: Compare, X: Src, Y: Src, R: Dst> Exec for Cmp<O, X, Y, R> {
    const SIZE: usize = 16 + Y::EXTRA;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let outcome = O::test(X::read(s, A), Y::read(s, B));
            R::write(s, u32::from(outcome));
        }
        Flow::Next
    }
}

/// A comparison and a branch taken when its outcome is `SENSE`: `a`, `b`, then the offset behind the immediates.
pub(super) struct Branch<O, X, Y, const SENSE: bool>(PhantomData<(O, X, Y)>);

impl<O: Compare, X: Src, Y: Src, const SENSE: bool> Exec for Branch<O, X, Y, SENSE> {
    const SIZE: usize = 24 + Y::EXTRA;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            if O::test(X::read(s, A), Y::read(s, B)) == SENSE { s.branch(16 + Y::EXTRA) } else { Flow::Next }
        }
    }
}

/// Where a [`Step`] has what its sum is compared with.
pub(super) const LIMIT: usize = 16;
/// Where a [`Step`] has its branch offset.
pub(super) const STEP_OFFSET: usize = 20;

/// An addition and a branch on its sum, `d = a + b`: `a`, `d`, `b`, limit, offset.
pub(super) struct Step<O, X, Y, Z>(PhantomData<(O, X, Y, Z)>);

impl<O: Compare<A = u32>, X: Src + Dst, Y: Src, Z: Src> Exec for Step<O, X, Y, Z> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let sum = X::read::<u32>(s, A).wrapping_add(Y::read(s, B));
            X::write(s, sum);
            if O::test(sum, Z::read(s, LIMIT)) { s.branch(STEP_OFFSET) } else { Flow::Next }
        }
    }
}

/// Whether two `i32` have a bit in common.
pub(super) struct CommonBit;

impl Compare for CommonBit {
    type A = u32;
    #[inline(always)]
    fn test(a: u32, b: u32) -> bool {
        a & b != 0
    }
}

/// Copies a slot's bits: `a`, `d`.
pub(super) struct Copy<X, R>(PhantomData<(X, R)>);

impl<X: Src, R: Dst> Exec for Copy<X, R> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let value = X::read::<u64>(s, A);
            R::write(s, value);
        }
        Flow::Next
    }
}

/// Two copies of slots' bits, in order: `a` to `d`, `b` to the slot at [`CONDITION`].
pub(super) struct Copy2;

impl Exec for Copy2 {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            *s.slot_at(D) = s.slot(A);
            let second = s.slot(B);
            *s.slot_at(CONDITION) = second;
            s.acc = second;
        }
        Flow::Next
    }
}

/// A constant whose slot has its upper half clear: `d`, immediate at `b`.
pub(super) struct Const32<R>(PhantomData<R>);

impl<R: Dst> Exec for Const32<R> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let value = s.operand::<u32>(B);
            R::write(s, value);
        }
        Flow::Next
    }
}

/// Any constant: `d`, immediate behind.
pub(super) struct Const64<R>(PhantomData<R>);

impl<R: Dst> Exec for Const64<R> {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let value = s.operand::<u64>(super::state::W);
            R::write(s, value);
        }
        Flow::Next
    }
}

/// Where the condition of a [`Select`] stands, or the second destination of a [`Copy2`].
pub(super) const CONDITION: usize = 14;

/// `select`: `a` when the condition is not 0, else `b`; to `d`.
pub(super) struct Select<C, R>(PhantomData<(C, R)>);

impl<C: Src, R: Dst> Exec for Select<C, R> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = (s.slot(A), s.slot(B));
            let value = if C::read::<u32>(s, CONDITION) != 0 { a } else { b };
            R::write(s, value);
        }
        Flow::Next
    }
}

/// Makes a NaN the canonical one, in place: `d`.
pub(super) struct Canonical<V>(PhantomData<V>);

macro_rules! canonical {
    ($ty:ident, $function:ident) => {
        impl Exec for Canonical<$ty> {
            const SIZE: usize = 16;
            #[inline(always)]
            unsafe fn exec(s: &mut State) -> Flow {
                // SAFETY: the caller's promise.
                unsafe {
                    let value = crate::num::$function($ty::of_slot(s.slot(D)));
                    super::operand::Slot::write(s, value);
                }
                Flow::Next
            }
        }
    };
}
canonical!(f32, f32_canonical);
canonical!(f64, f64_canonical);

/// Loads the pinned local's register from its slot: `a`.
pub(super) struct Pin;

impl Exec for Pin {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        s.l0 = unsafe { s.slot(A) };
        Flow::Next
    }
}
