//! The second half of the operator table as types: each vector operator's meaning behind a trait of its class, its shape for
//! the translator, its handlers.
//!
//! Adding an operator of a known class is a row in ops/simd.rs and a function in simd.rs; nothing here changes.

use super::exec;
use crate::interp::dispatch::{Handler, handler};
use crate::interp::operand::Value;
use crate::interp::rows::Ty;
use crate::memory::Racy;
use crate::ops::Op;
use crate::simd::{self, V128};
use wasmparser::{MemArg, Operator};

/// `v -> v`
pub(super) trait Unary {
    /// The meaning.
    fn eval(a: V128) -> V128;
}

/// `v v -> v`
pub(super) trait Binary {
    /// The meaning.
    fn eval(a: V128, b: V128) -> V128;
}

/// `v v v -> v`
pub(super) trait Ternary {
    /// The meaning.
    fn eval(a: V128, b: V128, c: V128) -> V128;
}

/// `v i32 -> v`
pub(super) trait Shift {
    /// The meaning.
    fn eval(a: V128, by: u32) -> V128;
}

/// `s -> v`
pub(super) trait Splat {
    /// The scalar.
    type S: Value;
    /// The meaning.
    fn eval(a: Self::S) -> V128;
}

/// `v -> s`
pub(super) trait Extract {
    /// The scalar.
    type S: Value;
    /// The meaning.
    fn eval(a: V128, lane: u8) -> Self::S;
}

/// `v s -> v`
pub(super) trait Replace {
    /// The scalar.
    type S: Value;
    /// The meaning.
    fn eval(a: V128, b: Self::S, lane: u8) -> V128;
}

/// `v -> i32`
pub(super) trait Reduce {
    /// The meaning.
    fn eval(a: V128) -> u32;
}

/// `addr -> v`
pub(super) trait Load {
    /// What memory holds.
    type M: Racy;
    /// From memory's bytes, which are little-endian.
    fn eval(m: Self::M) -> V128;
}

/// `addr v -> v`
pub(super) trait LoadLane {
    /// What memory holds.
    type M: Racy;
    /// With memory's bytes, which are little-endian, as a lane.
    fn eval(a: V128, m: Self::M, lane: u8) -> V128;
}

/// `addr v ->`
pub(super) trait StoreLane {
    /// What memory holds.
    type M: Racy;
    /// A lane as memory's bytes, which are little-endian.
    fn eval(a: V128, lane: u8) -> Self::M;
}

/// How an operator sees a vector's lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(non_camel_case_types, reason = "as the operator table writes them")]
pub(in crate::interp) enum Lanes {
    f32x4,
    f64x2,
}

/// What the translator must know of a vector operator. The first three: the lanes that may be new NaNs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// `v -> v`
    Unary(Option<Lanes>),
    /// `v v -> v`
    Binary(Option<Lanes>),
    /// `v v v -> v`
    Ternary(Option<Lanes>),
    /// `v i32 -> v`
    Shift,
    /// `s -> v`
    Splat,
    /// `v -> s`
    Extract(Ty),
    /// `v s -> v`
    Replace,
    /// `v -> i32`
    Reduce,
    /// `addr -> v`
    Load,
    /// `addr v ->`
    Store,
    /// `addr v -> v`
    LoadLane,
    /// `addr v ->`
    StoreLane,
    /// Written by hand.
    Custom,
}

/// The Rust types of the table's type names.
#[allow(non_camel_case_types, reason = "as the operator table writes them")]
mod ty {
    pub(super) type i32 = u32;
    pub(super) type i64 = u64;
    pub(super) type f32 = core::primitive::f32;
    pub(super) type f64 = core::primitive::f64;
}

macro_rules! rows {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_float { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_float { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        ternary { $($d:ident $dt:literal $da:ident -> $dr:ident $dm:ident $dl:ident;)* }
        ternary_float { $($e:ident $et:literal $ea:ident -> $er:ident $em:ident $el:ident;)* }
        shift { $($h:ident $ht:literal $ha:ident $hm:ident $hl:ident;)* }
        splat { $($p:ident $pt:literal $pa:ident -> $pr:ident $pm:ident $pl:ident;)* }
        extract { $($x:ident $xt:literal $xa:ident -> $xr:ident $xm:ident $xl:ident;)* }
        replace { $($y:ident $yt:literal $ya:ident $yb:ident $ym:ident $yl:ident;)* }
        reduce { $($r:ident $rt:literal $ra:ident $rm:ident $rl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident $lf:ident $ll:ident;)* }
        store { $($s:ident $st:literal $sm:ident;)* }
        load_lane { $($i:ident $it:literal $im:ident $ia:ident $if:ident;)* }
        store_lane { $($j:ident $jt:literal $jm:ident $ja:ident $jf:ident;)* }
        custom { $($z:ident $zt:literal;)* }
    ) => {
        /// One type for each operator that has a trait.
        mod row {
            $(pub(super) struct $u;)*
            $(pub(super) struct $v;)*
            $(pub(super) struct $b;)*
            $(pub(super) struct $c;)*
            $(pub(super) struct $d;)*
            $(pub(super) struct $e;)*
            $(pub(super) struct $h;)*
            $(pub(super) struct $p;)*
            $(pub(super) struct $x;)*
            $(pub(super) struct $y;)*
            $(pub(super) struct $r;)*
            $(pub(super) struct $l;)*
            $(pub(super) struct $i;)*
            $(pub(super) struct $j;)*
        }

        $(rows!(@unary $u $um);)*
        $(rows!(@unary $v $vm);)*
        $(rows!(@binary $b $bm);)*
        $(rows!(@binary $c $cm);)*
        $(rows!(@ternary $d $dm);)*
        $(rows!(@ternary $e $em);)*
        $(impl Shift for row::$h {
            #[inline(always)]
            fn eval(a: V128, by: u32) -> V128 { simd::$hm(a, by) }
        })*
        $(impl Splat for row::$p {
            type S = ty::$pa;
            #[inline(always)]
            fn eval(a: ty::$pa) -> V128 { simd::$pm(a) }
        })*
        $(impl Extract for row::$x {
            type S = ty::$xr;
            #[inline(always)]
            fn eval(a: V128, lane: u8) -> ty::$xr { simd::$xm(a, lane) }
        })*
        $(impl Replace for row::$y {
            type S = ty::$yb;
            #[inline(always)]
            fn eval(a: V128, b: ty::$yb, lane: u8) -> V128 { simd::$ym(a, b, lane) }
        })*
        $(impl Reduce for row::$r {
            #[inline(always)]
            fn eval(a: V128) -> u32 { simd::$rm(a) }
        })*
        $(impl Load for row::$l {
            type M = $lm;
            #[inline(always)]
            fn eval(m: $lm) -> V128 { simd::$lf($lm::from_le(m)) }
        })*
        $(impl LoadLane for row::$i {
            type M = $im;
            #[inline(always)]
            fn eval(a: V128, m: $im, lane: u8) -> V128 { simd::$if(a, $im::from_le(m), lane) }
        })*
        $(impl StoreLane for row::$j {
            type M = $jm;
            #[inline(always)]
            fn eval(a: V128, lane: u8) -> $jm { simd::$jf(a, lane).to_le() }
        })*

        /// What the translator must know of an operator; [`Shape::Custom`] for those of the table's first half.
        pub(super) const fn shape(op: Op) -> Shape {
            match op {
                $(Op::$u => Shape::Unary(None),)*
                $(Op::$v => Shape::Unary(Some(Lanes::$vr)),)*
                $(Op::$b => Shape::Binary(None),)*
                $(Op::$c => Shape::Binary(Some(Lanes::$cr)),)*
                $(Op::$d => Shape::Ternary(None),)*
                $(Op::$e => Shape::Ternary(Some(Lanes::$er)),)*
                $(Op::$h => Shape::Shift,)*
                $(Op::$p => Shape::Splat,)*
                $(Op::$x => Shape::Extract(Ty::$xr),)*
                $(Op::$y => Shape::Replace,)*
                $(Op::$r => Shape::Reduce,)*
                $(Op::$l => Shape::Load,)*
                $(Op::$s => Shape::Store,)*
                $(Op::$i => Shape::LoadLane,)*
                $(Op::$j => Shape::StoreLane,)*
                _ => Shape::Custom,
            }
        }

        /// The memory immediate of an operator that accesses memory.
        pub(super) fn memarg(op: &Operator<'_>) -> Option<MemArg> {
            match op {
                $(Operator::$l { memarg } => Some(*memarg),)*
                $(Operator::$s { memarg } => Some(*memarg),)*
                $(Operator::$i { memarg, .. } => Some(*memarg),)*
                $(Operator::$j { memarg, .. } => Some(*memarg),)*
                _ => None,
            }
        }

        /// The lane that an operator names.
        pub(super) fn lane(op: &Operator<'_>) -> Option<u8> {
            match op {
                $(Operator::$x { lane } => Some(*lane),)*
                $(Operator::$y { lane } => Some(*lane),)*
                $(Operator::$i { lane, .. } => Some(*lane),)*
                $(Operator::$j { lane, .. } => Some(*lane),)*
                _ => None,
            }
        }

        /// The handler of an operator whose operands are all in slots and that does not access memory.
        pub(super) fn lanes(op: Op) -> Option<Handler> {
            Some(match op {
                $(Op::$u => handler::<exec::Un<row::$u>>(),)*
                $(Op::$v => handler::<exec::Un<row::$v>>(),)*
                $(Op::$b => handler::<exec::Bin<row::$b>>(),)*
                $(Op::$c => handler::<exec::Bin<row::$c>>(),)*
                $(Op::$d => handler::<exec::Tern<row::$d>>(),)*
                $(Op::$e => handler::<exec::Tern<row::$e>>(),)*
                $(Op::$h => handler::<exec::ShiftSlot<row::$h>>(),)*
                $(Op::$p => handler::<exec::ToAll<row::$p>>(),)*
                $(Op::$x => handler::<exec::FromLane<row::$x>>(),)*
                $(Op::$y => handler::<exec::ToLane<row::$y>>(),)*
                $(Op::$r => handler::<exec::ToOne<row::$r>>(),)*
                _ => return None,
            })
        }

        /// The handler of a shift by an immediate.
        pub(super) fn shift_by(op: Op) -> Option<Handler> {
            Some(match op {
                $(Op::$h => handler::<exec::ShiftBy<row::$h>>(),)*
                _ => return None,
            })
        }

        /// The handler of an operator that accesses memory, by how it reaches that.
        pub(super) fn access(op: Op, reach: u8) -> Option<Handler> {
            match reach {
                exec::MEMORY0 => access_of::<{ exec::MEMORY0 }>(op),
                exec::OTHER => access_of::<{ exec::OTHER }>(op),
                exec::FAR => access_of::<{ exec::FAR }>(op),
                #[cfg(shared_memory)]
                exec::SHARED => access_of::<{ exec::SHARED }>(op),
                _ => None,
            }
        }

        fn access_of<const REACH: u8>(op: Op) -> Option<Handler> {
            Some(match op {
                $(Op::$l => handler::<exec::FromMemory<row::$l, REACH>>(),)*
                $(Op::$s => handler::<exec::ToMemory<REACH>>(),)*
                $(Op::$i => handler::<exec::LaneFromMemory<row::$i, REACH>>(),)*
                $(Op::$j => handler::<exec::LaneToMemory<row::$j, REACH>>(),)*
                _ => return None,
            })
        }
    };
    (@unary $op:ident $meaning:ident) => {
        impl Unary for row::$op {
            #[inline(always)]
            fn eval(a: V128) -> V128 { simd::$meaning(a) }
        }
    };
    (@binary $op:ident $meaning:ident) => {
        impl Binary for row::$op {
            #[inline(always)]
            fn eval(a: V128, b: V128) -> V128 { simd::$meaning(a, b) }
        }
    };
    (@ternary $op:ident $meaning:ident) => {
        impl Ternary for row::$op {
            #[inline(always)]
            fn eval(a: V128, b: V128, c: V128) -> V128 { simd::$meaning(a, b, c) }
        }
    };
}
crate::for_each_simd_op!(rows);

/// Every handler of a vector operator, named, for the tests that look at machine code.
#[cfg(test)]
pub(in crate::interp) fn handlers() -> alloc::vec::Vec<(alloc::string::String, Handler)> {
    use alloc::format;
    let mut found = alloc::vec::Vec::new();
    for &op in Op::ALL {
        let memories = [exec::MEMORY0, exec::OTHER, exec::FAR]
            .map(|reach| (format!("{op:?} {reach}"), access(op, reach)));
        let plain = [(format!("{op:?}"), lanes(op)), (format!("{op:?} by immediate"), shift_by(op))];
        for (name, handler) in plain.into_iter().chain(memories) {
            found.extend(handler.map(|handler| (name, handler)));
        }
    }
    found.push(("v128.const".into(), handler::<exec::Const>()));
    found.push(("i8x16.shuffle".into(), handler::<exec::Shuffle>()));
    found.push(("vector copy".into(), handler::<exec::Copy>()));
    found.push(("vector select".into(), handler::<exec::Select>()));
    found.push(("canonical f32x4".into(), handler::<exec::Canonical<true>>()));
    found.push(("canonical f64x2".into(), handler::<exec::Canonical<false>>()));
    found.push(("vector global.get".into(), handler::<exec::GlobalGet<false>>()));
    found.push(("vector global.set".into(), handler::<exec::GlobalSet<true>>()));
    found
}
