//! Which handlers exist: for each kind of operator the combinations of operand classes that are worth one.
//!
//! A combination that is not listed costs nothing but speed: the translator falls back to slots, which are always right. What
//! is listed is paid for in code size, so additions come with a measurement.

use super::arith::{Bin, Branch, Cmp, CommonBit, Step, Un};
use super::dispatch::{Handler, handler};
use super::memory::{Load0, LoadOther, LoadSum, Store0, StoreOther, StoreSum};
use super::operand::{Acc, Class, Imm, Pinned, Slot, Wide};
use super::rows::{Binary, Compare, Load, Store, Ty, Unary};
use Class::{A, K, L, S, W};

macro_rules! class {
    (S) => {
        Slot
    };
    (K) => {
        Imm
    };
    (W) => {
        Wide
    };
    (A) => {
        Acc
    };
    (L) => {
        Pinned
    };
}

macro_rules! combos {
    ($key:expr; $kind:ident<$o:ident>; $($a:ident $($b:ident)*,)*) => {
        match $key {
            $(combos!(@pattern $a $($b)*) => Some(handler::<$kind<$o, class!($a) $(, class!($b))*>>()),)*
            _ => None,
        }
    };
    (@pattern $a:ident) => { $a };
    (@pattern $a:ident $b:ident) => { ($a, $b) };
    (@pattern $a:ident $b:ident $c:ident) => { ($a, $b, $c) };
}

/// A unary operator.
pub(super) fn unary<O: Unary>(a: Class, d: Class, _from: Ty, _to: Ty) -> Option<Handler> {
    combos!((a, d); Un<O>; S S, A S,)
}

/// A binary operator on integers.
pub(super) fn binary<O: Binary>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Bin<O>;
        S S S, S K S, S A S, S L S, A S S, A K S, A L S, L S S, L K S, L A S,
        S S L, S K L, S A L, S L L, A S L, A K L, A L L, L S L, L K L, L A L,
    )
}

/// A binary operator that is slow itself, so that few combinations do.
pub(super) fn binary_slow<O: Binary>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Bin<O>; S S S, S K S, A S S, A K S, L K S,)
}

/// A binary operator on `f32`.
pub(super) fn binary_f32<O: Binary>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Bin<O>; S S S, S K S, S A S, A S S, A K S,)
}

/// A binary operator on `f64`.
pub(super) fn binary_f64<O: Binary>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Bin<O>; S S S, S W S, S A S, A S S, A W S,)
}

/// A comparison of integers, its outcome in a slot.
pub(super) fn compare<O: Compare>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Cmp<O>; S S S, S K S, S A S, A S S, A K S, L S S, L K S,)
}

/// A comparison of `f32`, its outcome in a slot.
pub(super) fn compare_f32<O: Compare>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Cmp<O>; S S S, S K S, A S S, A K S,)
}

/// A comparison of `f64`, its outcome in a slot.
pub(super) fn compare_f64<O: Compare>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); Cmp<O>; S S S, S W S, A S S, A W S,)
}

/// A comparison of integers and the branch that it decides.
pub(super) fn branch<O: Compare>(a: Class, b: Class) -> Option<Handler> {
    combos!((a, b); Branch1<O>; S S, S K, S A, S L, A S, A K, A L, L S, L K, L A,)
}

/// A comparison of `f32` and the branch that it decides.
pub(super) fn branch_f32<O: Compare>(a: Class, b: Class, sense: bool) -> Option<Handler> {
    if sense {
        combos!((a, b); Branch1<O>; S S, S K, A S, A K,)
    } else {
        combos!((a, b); Branch0<O>; S S, S K, A S, A K,)
    }
}

/// A comparison of `f64` and the branch that it decides.
pub(super) fn branch_f64<O: Compare>(a: Class, b: Class, sense: bool) -> Option<Handler> {
    if sense {
        combos!((a, b); Branch1<O>; S S, S W, A S, A W,)
    } else {
        combos!((a, b); Branch0<O>; S S, S W, A S, A W,)
    }
}

/// An addition and a branch on its sum; `d` is both the class of the first operand and of the sum.
pub(super) fn step<O: Compare<A = u32>>(d: Class, y: Class, limit: Class) -> Option<Handler> {
    combos!((d, y, limit); Step<O>; S K S, S K K, S S S, S S K, L K S, L K K, L S S, L S K,)
}

/// A branch on whether two `i32` have a bit in common.
pub(super) fn bit_test(a: Class, b: Class, sense: bool) -> Option<Handler> {
    if sense {
        combos!((a, b); Branch1<CommonBit>; S S, S K, S L, A S, A K, A L, L S, L K, L A,)
    } else {
        combos!((a, b); Branch0<CommonBit>; S S, S K, S L, A S, A K, A L, L S, L K, L A,)
    }
}

/// A load at a sum.
pub(super) fn load_sum<O: Load>(a: Class, b: Class, d: Class) -> Option<Handler> {
    combos!((a, b, d); LoadSum<O>; S S S, S K S, L S S, L K S, A S S,)
}

/// A store at a sum.
pub(super) fn store_sum<O: Store>(a: Class, b: Class, value: Class) -> Option<Handler> {
    combos!((a, b, value); StoreSum<O>; S S S, S K S, L S S, L K S, S S K, S K K, L S K, L K K,)
}

type Branch1<O, A, B> = Branch<O, A, B, true>;
type Branch0<O, A, B> = Branch<O, A, B, false>;

/// A load of an integer.
pub(super) fn load<O: Load>(a: Class, d: Class, other: bool) -> Option<Handler> {
    if other {
        return (a == S && d == S).then_some(handler::<LoadOther<O>>());
    }
    combos!((a, d); Load0<O>; S S, A S, L S, K S, S L, A L, L L,)
}

/// A load of a float.
pub(super) fn load_float<O: Load>(a: Class, d: Class, other: bool) -> Option<Handler> {
    if other {
        return (a == S && d == S).then_some(handler::<LoadOther<O>>());
    }
    combos!((a, d); Load0<O>; S S, A S, L S, K S,)
}

/// A store of an integer.
pub(super) fn store<O: Store>(a: Class, b: Class, other: bool) -> Option<Handler> {
    if other {
        return (a == S && b == S).then_some(handler::<StoreOther<O>>());
    }
    combos!((a, b); Store0<O>; S S, S A, S L, S W, A S, A L, A W, L S, L A, L W, K S, K A,)
}

/// A store of a float.
pub(super) fn store_float<O: Store>(a: Class, b: Class, other: bool) -> Option<Handler> {
    if other {
        return (a == S && b == S).then_some(handler::<StoreOther<O>>());
    }
    // An address in the accumulator beside a value in the other one: both at once.
    combos!((a, b); Store0<O>; S S, S A, A S, A A, L S, L A, K S, K A,)
}
