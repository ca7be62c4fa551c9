//! Handlers of 128-bit arithmetic (proposal wide-arithmetic): operands in a row of slots, the two results in the first ones.

use super::state::{A, Exec, Flow, State};
use crate::num::wide;

macro_rules! wide {
    ($($(#[$doc:meta])* $name:ident, $at:ident => $eval:expr;)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;
        impl Exec for $name {
            const SIZE: usize = 16;
            #[inline(always)]
            unsafe fn exec(s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2 for the row.
                unsafe {
                    let at = s.slot_at(A);
                    let $at = |i: usize| *at.wrapping_add(i);
                    let (low, high) = $eval;
                    *at = low;
                    *at.wrapping_add(1) = high;
                }
                Flow::Next
            }
        }
    )* };
}

wide! {
    /// `i64.add128`
    Add128, at => wide::i64_add128((at(0), at(1)), (at(2), at(3)));
    /// `i64.sub128`
    Sub128, at => wide::i64_sub128((at(0), at(1)), (at(2), at(3)));
    /// `i64.mul_wide_s`
    MulWideS, at => wide::i64_mul_wide_s(at(0), at(1));
    /// `i64.mul_wide_u`
    MulWideU, at => wide::i64_mul_wide_u(at(0), at(1));
}
