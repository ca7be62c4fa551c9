//! The operator table as types: each plain operator's meaning behind one of four traits, its shape for the translator, and
//! the handlers that exist for it.
//!
//! Adding an operator of a known class is a row in ops.rs and a function in num.rs; nothing here changes.

use super::dispatch::Handler;
use super::far::{self, Way};
use super::operand::{Class, Value};
use super::select;
use crate::memory::Racy;
use crate::num;
use crate::ops::Op;
use crate::trap::Trap;
use wasmparser::{MemArg, Operator};

/// `a -> r`
pub(super) trait Unary {
    /// The operand.
    type A: Value;
    /// The result.
    type R: Value;
    /// The meaning.
    fn eval(a: Self::A) -> Result<Self::R, Trap>;
}

/// `a a -> r`
pub(super) trait Binary {
    /// The operands.
    type A: Value;
    /// The result.
    type R: Value;
    /// The meaning.
    fn eval(a: Self::A, b: Self::A) -> Result<Self::R, Trap>;
}

/// `a a -> bool`
pub(super) trait Compare {
    /// The operands.
    type A: Value;
    /// The meaning.
    fn test(a: Self::A, b: Self::A) -> bool;
}

/// `addr -> r`
pub(super) trait Load {
    /// What memory holds.
    type M: Racy;
    /// The result.
    type R: Value;
    /// From memory's bytes, which are little-endian.
    fn extend(m: Self::M) -> Self::R;
}

/// `addr a ->`
pub(super) trait Store {
    /// The operand.
    type A: Value;
    /// What memory holds.
    type M: Racy;
    /// To memory's bytes, which are little-endian.
    fn wrap(a: Self::A) -> Self::M;
}

/// The type of an operand, as far as its accumulator and its immediates depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(non_camel_case_types, reason = "as the operator table writes them")]
pub(super) enum Ty {
    i32,
    i64,
    f32,
    f64,
}

impl Ty {
    pub(super) const fn is_float(self) -> bool {
        matches!(self, Ty::f32 | Ty::f64)
    }
}

/// What the translator must know of a plain operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// `a -> r`
    Unary(Ty, Ty),
    /// `a a -> r`
    Binary(Ty, Ty),
    /// `a a -> i32`
    Compare(Ty),
    /// `a -> i32`: whether it is zero.
    Test(Ty),
    /// `addr -> r`
    Load(Ty),
    /// `addr a ->`
    Store(Ty),
    /// Written by hand.
    Custom,
    /// A vector operator: [`super::vector`] knows more.
    Vector,
}

/// The Rust types of the table's type names.
#[allow(non_camel_case_types, reason = "as the operator table writes them")]
mod ty {
    pub(super) type i32 = u32;
    pub(super) type i64 = u64;
    pub(super) type f32 = core::primitive::f32;
    pub(super) type f64 = core::primitive::f64;
}

macro_rules! extend {
    (f32, $m:ident) => {
        f32::from_bits(<u32>::from_le($m))
    };
    (f64, $m:ident) => {
        f64::from_bits(<u64>::from_le($m))
    };
    (i32, $m:ident) => {
        $m.to_le() as i32 as u32
    };
    (i64, $m:ident) => {
        $m.to_le() as i64 as u64
    };
}

macro_rules! rows {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_trap { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_trap { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        compare { $($d:ident $dt:literal $da:ident $dm:ident $dn:ident $dl:ident;)* }
        compare_float { $($e:ident $et:literal $ea:ident $em:ident $el:ident;)* }
        test { $($t:ident $tt:literal $ta:ident $tm:ident $tl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        custom { $($x:ident $xt:literal $xf:ident;)* }
    ) => {
        /// One type for each plain operator.
        pub(super) mod row {
            $(pub(in crate::interp) struct $u;)*
            $(pub(in crate::interp) struct $v;)*
            $(pub(in crate::interp) struct $b;)*
            $(pub(in crate::interp) struct $c;)*
            $(pub(in crate::interp) struct $d;)*
            $(pub(in crate::interp) struct $e;)*
            $(pub(in crate::interp) struct $l;)*
            $(pub(in crate::interp) struct $s;)*
        }

        $(impl Unary for row::$u {
            type A = ty::$ua;
            type R = ty::$ur;
            #[inline(always)]
            fn eval(a: ty::$ua) -> Result<ty::$ur, Trap> { Ok(num::$um(a)) }
        })*
        $(impl Unary for row::$v {
            type A = ty::$va;
            type R = ty::$vr;
            #[inline(always)]
            fn eval(a: ty::$va) -> Result<ty::$vr, Trap> { num::$vm(a) }
        })*
        $(impl Binary for row::$b {
            type A = ty::$ba;
            type R = ty::$br;
            #[inline(always)]
            fn eval(a: ty::$ba, b: ty::$ba) -> Result<ty::$br, Trap> { Ok(num::$bm(a, b)) }
        })*
        $(impl Binary for row::$c {
            type A = ty::$ca;
            type R = ty::$cr;
            #[inline(always)]
            fn eval(a: ty::$ca, b: ty::$ca) -> Result<ty::$cr, Trap> { num::$cm(a, b) }
        })*
        $(impl Compare for row::$d {
            type A = ty::$da;
            #[inline(always)]
            fn test(a: ty::$da, b: ty::$da) -> bool { num::$dm(a, b) }
        })*
        $(impl Compare for row::$e {
            type A = ty::$ea;
            #[inline(always)]
            fn test(a: ty::$ea, b: ty::$ea) -> bool { num::$em(a, b) }
        })*
        $(impl Load for row::$l {
            type M = $lm;
            type R = ty::$lr;
            #[inline(always)]
            fn extend(m: $lm) -> ty::$lr { extend!($lr, m) }
        })*
        $(impl Store for row::$s {
            type A = ty::$sa;
            type M = $sm;
            #[inline(always)]
            fn wrap(a: ty::$sa) -> $sm { (a.slot() as $sm).to_le() }
        })*

        /// What the translator must know of an operator.
        pub(super) const fn shape(op: Op) -> Shape {
            match op {
                $(Op::$u => Shape::Unary(Ty::$ua, Ty::$ur),)*
                $(Op::$v => Shape::Unary(Ty::$va, Ty::$vr),)*
                $(Op::$b => Shape::Binary(Ty::$ba, Ty::$br),)*
                $(Op::$c => Shape::Binary(Ty::$ca, Ty::$cr),)*
                $(Op::$d => Shape::Compare(Ty::$da),)*
                $(Op::$e => Shape::Compare(Ty::$ea),)*
                $(Op::$t => Shape::Test(Ty::$ta),)*
                $(Op::$l => Shape::Load(Ty::$lr),)*
                $(Op::$s => Shape::Store(Ty::$sa),)*
                $(Op::$x => Shape::Custom,)*
                // The table has no other rows.
                _ => Shape::Vector,
            }
        }

        /// The comparison that holds exactly when `op` does not; `None` for floats, where NaN compares with nothing.
        pub(super) const fn negated(op: Op) -> Option<Op> {
            match op {
                $(Op::$d => Some(Op::$dn),)*
                _ => None,
            }
        }

        /// The memory immediate of a load or store.
        pub(super) fn memarg(op: &Operator<'_>) -> Option<MemArg> {
            match op {
                $(Operator::$l { memarg } => Some(*memarg),)*
                $(Operator::$s { memarg } => Some(*memarg),)*
                _ => None,
            }
        }

        /// The handler of a unary operator.
        pub(super) fn unary(op: Op, a: Class, d: Class) -> Option<Handler> {
            match op {
                $(Op::$u => select::unary::<row::$u>(a, d, Ty::$ua, Ty::$ur),)*
                $(Op::$v => select::unary::<row::$v>(a, d, Ty::$va, Ty::$vr),)*
                _ => None,
            }
        }

        /// The handler of a binary operator.
        pub(super) fn binary(op: Op, a: Class, b: Class, d: Class) -> Option<Handler> {
            match op {
                $(Op::$b => rows!(@binary $ba $b, op, a, b, d),)*
                $(Op::$c => select::binary_slow::<row::$c>(a, b, d),)*
                _ => None,
            }
        }

        /// The handler that leaves a comparison's outcome in a slot.
        pub(super) fn compare(op: Op, a: Class, b: Class, d: Class) -> Option<Handler> {
            match op {
                $(Op::$d => select::compare::<row::$d>(a, b, d),)*
                $(Op::$e => rows!(@compare $ea $e, a, b, d),)*
                _ => None,
            }
        }

        /// The handler that branches when a comparison's outcome is `sense`.
        pub(super) fn branch(op: Op, a: Class, b: Class, sense: bool) -> Option<Handler> {
            match op {
                $(Op::$d => if sense { select::branch::<row::$d>(a, b) } else { None },)*
                $(Op::$e => rows!(@branch $ea $e, a, b, sense),)*
                _ => None,
            }
        }

        /// The handler of an addition and a branch on its sum.
        pub(super) fn step(op: Op, d: Class, y: Class, limit: Class) -> Option<Handler> {
            match op {
                $(Op::$d => rows!(@step $da $d, d, y, limit),)*
                _ => None,
            }
        }

        /// The handler of a load; `other`: from another memory than 0.
        pub(super) fn load(op: Op, a: Class, d: Class, other: bool) -> Option<Handler> {
            match op {
                $(Op::$l => rows!(@load $lr $l, a, d, other),)*
                _ => None,
            }
        }

        /// The handler of a load from memory 0 at a sum.
        pub(super) fn load_sum(op: Op, a: Class, b: Class, d: Class) -> Option<Handler> {
            match op {
                $(Op::$l => select::load_sum::<row::$l>(a, b, d),)*
                _ => None,
            }
        }

        /// The handler of a store to memory 0 at a sum.
        pub(super) fn store_sum(op: Op, a: Class, b: Class, value: Class) -> Option<Handler> {
            match op {
                $(Op::$s => select::store_sum::<row::$s>(a, b, value),)*
                _ => None,
            }
        }

        /// The handler of a load that goes another way than memory.rs.
        pub(super) fn load_far(op: Op, way: Way, a: Class) -> Option<Handler> {
            match op {
                $(Op::$l => Some(far::load::<row::$l>(way, a)),)*
                _ => None,
            }
        }

        /// The handler of a store that goes another way than memory.rs.
        pub(super) fn store_far(op: Op, way: Way, a: Class) -> Option<Handler> {
            match op {
                $(Op::$s => Some(far::store::<row::$s>(way, a)),)*
                _ => None,
            }
        }

        /// The handler of a store; `other`: to another memory than 0.
        pub(super) fn store(op: Op, a: Class, b: Class, other: bool) -> Option<Handler> {
            match op {
                $(Op::$s => rows!(@store $sa $s, a, b, other),)*
                _ => None,
            }
        }
    };
    (@binary i32 $b:ident, $op:ident, $x:ident, $y:ident, $z:ident) => { select::binary::<row::$b>($x, $y, $z) };
    (@binary i64 $b:ident, $op:ident, $x:ident, $y:ident, $z:ident) => { select::binary::<row::$b>($x, $y, $z) };
    (@binary f32 $b:ident, $op:ident, $x:ident, $y:ident, $z:ident) => { select::binary_f32::<row::$b>($x, $y, $z) };
    (@binary f64 $b:ident, $op:ident, $x:ident, $y:ident, $z:ident) => { select::binary_f64::<row::$b>($x, $y, $z) };
    (@compare f32 $b:ident, $x:ident, $y:ident, $z:ident) => { select::compare_f32::<row::$b>($x, $y, $z) };
    (@compare f64 $b:ident, $x:ident, $y:ident, $z:ident) => { select::compare_f64::<row::$b>($x, $y, $z) };
    (@branch f32 $b:ident, $x:ident, $y:ident, $s:ident) => { select::branch_f32::<row::$b>($x, $y, $s) };
    (@branch f64 $b:ident, $x:ident, $y:ident, $s:ident) => { select::branch_f64::<row::$b>($x, $y, $s) };
    (@step i32 $b:ident, $x:ident, $y:ident, $z:ident) => { select::step::<row::$b>($x, $y, $z) };
    (@step i64 $b:ident, $x:ident, $y:ident, $z:ident) => { None };
    (@load i32 $l:ident, $x:ident, $y:ident, $o:ident) => { select::load::<row::$l>($x, $y, $o) };
    (@load i64 $l:ident, $x:ident, $y:ident, $o:ident) => { select::load::<row::$l>($x, $y, $o) };
    (@load f32 $l:ident, $x:ident, $y:ident, $o:ident) => { select::load_float::<row::$l>($x, $y, $o) };
    (@load f64 $l:ident, $x:ident, $y:ident, $o:ident) => { select::load_float::<row::$l>($x, $y, $o) };
    (@store i32 $l:ident, $x:ident, $y:ident, $o:ident) => { select::store::<row::$l>($x, $y, $o) };
    (@store i64 $l:ident, $x:ident, $y:ident, $o:ident) => { select::store::<row::$l>($x, $y, $o) };
    (@store f32 $l:ident, $x:ident, $y:ident, $o:ident) => { select::store_float::<row::$l>($x, $y, $o) };
    (@store f64 $l:ident, $x:ident, $y:ident, $o:ident) => { select::store_float::<row::$l>($x, $y, $o) };
}
crate::for_each_op!(rows);

/// Do the operands of `op` commute?
pub(super) const fn commutes(op: Op) -> bool {
    matches!(
        op,
        Op::I32Add
            | Op::I32Mul
            | Op::I32And
            | Op::I32Or
            | Op::I32Xor
            | Op::I64Add
            | Op::I64Mul
            | Op::I64And
            | Op::I64Or
            | Op::I64Xor
    )
}

/// The comparison that holds for `(b, a)` exactly when `op` holds for `(a, b)`.
pub(super) const fn swapped(op: Op) -> Option<Op> {
    Some(match op {
        Op::I32Eq | Op::I32Ne | Op::I64Eq | Op::I64Ne | Op::F32Eq | Op::F32Ne | Op::F64Eq | Op::F64Ne => op,
        Op::I32LtS => Op::I32GtS,
        Op::I32LtU => Op::I32GtU,
        Op::I32GtS => Op::I32LtS,
        Op::I32GtU => Op::I32LtU,
        Op::I32LeS => Op::I32GeS,
        Op::I32LeU => Op::I32GeU,
        Op::I32GeS => Op::I32LeS,
        Op::I32GeU => Op::I32LeU,
        Op::I64LtS => Op::I64GtS,
        Op::I64LtU => Op::I64GtU,
        Op::I64GtS => Op::I64LtS,
        Op::I64GtU => Op::I64LtU,
        Op::I64LeS => Op::I64GeS,
        Op::I64LeU => Op::I64GeU,
        Op::I64GeS => Op::I64LeS,
        Op::I64GeU => Op::I64LeU,
        Op::F32Lt => Op::F32Gt,
        Op::F32Gt => Op::F32Lt,
        Op::F32Le => Op::F32Ge,
        Op::F32Ge => Op::F32Le,
        Op::F64Lt => Op::F64Gt,
        Op::F64Gt => Op::F64Lt,
        Op::F64Le => Op::F64Ge,
        Op::F64Ge => Op::F64Le,
        _ => return None,
    })
}
