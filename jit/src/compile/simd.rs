//! The lowering of vector operators: one function for each name in the last column of the table in `runtime/src/ops/simd.rs`
//! (core specification 4.4.3 "Vector Instructions").
//!
//! A v128 is an `i8x16` wherever it waits: on the operand stack, in locals, in blocks' parameters, across calls. An operator sees it
//! as the lanes that its row names; the casts cost nothing. The meaning is fixed by `simd.rs` of the runtime.
//!
//! Relaxed operators: by default what the meaning says on every machine. With `Config::relaxed_simd_deterministic` off, what the
//! machine does best within the specification's limits.

use super::func::Translation;
use crate::cpu::Arch;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    ConstantData, Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value, types,
};
use mini_wasm_runtime::for_each_simd_op;
use wasmparser::Operator;

type T<'a> = Translation<'a>;

/// How a vector waits.
pub(super) const WAITING: Type = types::I8X16;

/// Expands the rows of the table's second half.
macro_rules! operators_by_row {
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
        /// Lowers a vector operator; hands back all others.
        pub(super) fn by_row<'o>(t: &mut T<'_>, op: Operator<'o>) -> Option<Operator<'o>> {
            match op {
                $(Operator::$u => operators_by_row!(@unary t $ua $ul),)*
                $(Operator::$v => operators_by_row!(@unary t $va $vl),)*
                $(Operator::$b => operators_by_row!(@binary t $ba $bl),)*
                $(Operator::$c => operators_by_row!(@binary t $ca $cl),)*
                $(Operator::$d => operators_by_row!(@ternary t $da $dl),)*
                $(Operator::$e => operators_by_row!(@ternary t $ea $el),)*
                $(Operator::$h => {
                    let by = t.pop();
                    let a = t.pop_lanes(operators_by_row!(@ty $ha));
                    let value = t.b.ins().$hl(a, by);
                    t.push_lanes(value);
                })*
                $(Operator::$p => {
                    let a = t.pop();
                    let value = $pl(t, a);
                    t.push_lanes(value);
                })*
                $(Operator::$x { lane } => {
                    let a = t.pop_lanes(operators_by_row!(@ty $xa));
                    let value = $xl(t, a, lane);
                    t.push(value);
                })*
                $(Operator::$y { lane } => {
                    let b = t.pop();
                    let a = t.pop_lanes(operators_by_row!(@ty $ya));
                    let value = $yl(t, a, b, lane);
                    t.push_lanes(value);
                })*
                $(Operator::$r => {
                    let a = t.pop_lanes(operators_by_row!(@ty $ra));
                    let value = $rl(t, a);
                    t.push(value);
                })*
                $(Operator::$l { memarg } => {
                    let (at, offset, flags) = t.address(&memarg, size_of::<$lm>() as u32);
                    let value = $ll(t, at, offset, flags);
                    t.push_lanes(value);
                })*
                $(Operator::$s { memarg } => {
                    let value = t.pop();
                    let (at, offset, flags) = t.address_to_write(&memarg, size_of::<$sm>() as u32);
                    t.b.ins().store(flags, value, at, offset);
                })*
                $(Operator::$i { memarg, lane } => {
                    let ty = operators_by_row!(@ty $ia);
                    let a = t.pop_lanes(ty);
                    let (at, offset, flags) = t.address(&memarg, size_of::<$im>() as u32);
                    let one = t.b.ins().load(ty.lane_type(), flags, at, offset);
                    let value = t.b.ins().insertlane(a, one, lane);
                    t.push_lanes(value);
                })*
                $(Operator::$j { memarg, lane } => {
                    let a = t.pop_lanes(operators_by_row!(@ty $ja));
                    let (at, offset, flags) = t.address_to_write(&memarg, size_of::<$jm>() as u32);
                    let one = t.b.ins().extractlane(a, lane);
                    t.b.ins().store(flags, one, at, offset);
                })*
                Operator::V128Const { value } => {
                    let value = t.vector(types::I8X16, value.bytes());
                    t.push(value);
                }
                Operator::I8x16Shuffle { lanes } => {
                    let (b, a) = (t.pop_lanes(types::I8X16), t.pop_lanes(types::I8X16));
                    let mask = t.b.func.dfg.immediates.push(ConstantData::from(&lanes[..]));
                    let value = t.b.ins().shuffle(a, b, mask);
                    t.push(value);
                }
                other => return Some(other),
            }
            None
        }
    };
    (@unary $t:ident $ty:ident $lower:ident) => {{
        let a = $t.pop_lanes(operators_by_row!(@ty $ty));
        let value = $lower($t, a);
        $t.push_lanes(value);
    }};
    (@binary $t:ident $ty:ident $lower:ident) => {{
        let ty = operators_by_row!(@ty $ty);
        let (b, a) = ($t.pop_lanes(ty), $t.pop_lanes(ty));
        let value = $lower($t, a, b);
        $t.push_lanes(value);
    }};
    (@ternary $t:ident $ty:ident $lower:ident) => {{
        let ty = operators_by_row!(@ty $ty);
        let (c, b, a) = ($t.pop_lanes(ty), $t.pop_lanes(ty), $t.pop_lanes(ty));
        let value = $lower($t, a, b, c);
        $t.push_lanes(value);
    }};
    (@ty i8x16) => { types::I8X16 };
    (@ty i16x8) => { types::I16X8 };
    (@ty i32x4) => { types::I32X4 };
    (@ty i64x2) => { types::I64X2 };
    (@ty f32x4) => { types::F32X4 };
    (@ty f64x2) => { types::F64X2 };
}
for_each_simd_op!(operators_by_row);

impl Translation<'_> {
    /// A vector seen as other lanes. A cast of a cast is one cast: what the outer one sees is what the inner one got.
    fn as_lanes(&mut self, ty: Type, value: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let mut value = value;
        if let Some(inst) = dfg.value_def(value).inst()
            && let InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } = dfg.insts[inst]
            && dfg.value_type(arg).bits() == 128
        {
            value = arg;
        }
        if dfg.value_type(value) == ty {
            return value;
        }
        self.b.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), value)
    }

    fn pop_lanes(&mut self, ty: Type) -> Value {
        let value = self.pop();
        self.as_lanes(ty, value)
    }

    fn push_lanes(&mut self, value: Value) {
        let value = self.as_lanes(WAITING, value);
        self.push(value);
    }

    /// A constant.
    pub(super) fn vector(&mut self, ty: Type, bytes: &[u8; 16]) -> Value {
        let constant = self.b.func.dfg.constants.insert(ConstantData::from(&bytes[..]));
        self.b.ins().vconst(ty, constant)
    }

    fn ty(&self, value: Value) -> Type {
        self.b.func.dfg.value_type(value)
    }

    /// May relaxed operators do what an x86-64 processor does with them?
    fn relaxed_x86(&self) -> bool {
        !self.env.key.relaxed_simd_deterministic && self.env.target.arch == Arch::X86_64
    }
}

macro_rules! same_name {
    (unary $($name:ident)*) => { $(
        fn $name(t: &mut T<'_>, a: Value) -> Value { t.b.ins().$name(a) }
    )* };
    (binary $($name:ident)*) => { $(
        fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value { t.b.ins().$name(a, b) }
    )* };
}
same_name! {
    unary bnot iabs ineg popcnt swiden_low swiden_high uwiden_low uwiden_high fabs ceil floor trunc nearest sqrt
}
same_name! {
    binary swizzle band bor bxor band_not snarrow unarrow iadd isub imul sadd_sat uadd_sat ssub_sat usub_sat smin umin smax umax
    avg_round sqmul_round_sat fadd fsub fmul fdiv fmin fmax
}

/// Lanes with the other sign. Not Cranelift's own instruction, of which it takes two off the operands of a product, whatever becomes of
/// the sign of a NaN.
fn fneg(t: &mut T<'_>, a: Value) -> Value {
    let ty = t.ty(a);
    let bytes = ty.lane_type().bytes() as usize;
    let signs = core::array::from_fn(|i| if i % bytes == bytes - 1 { 0x80 } else { 0 });
    let signs = t.vector(ty, &signs);
    t.b.ins().bxor(a, signs)
}

// Comparisons: lanes of ones or zeros

macro_rules! compare {
    ($($name:ident $inst:ident $cc:expr;)*) => { $(
        fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value { t.b.ins().$inst($cc, a, b) }
    )* };
}
compare! {
    eq icmp IntCC::Equal; ne icmp IntCC::NotEqual;
    lt_s icmp IntCC::SignedLessThan; lt_u icmp IntCC::UnsignedLessThan;
    gt_s icmp IntCC::SignedGreaterThan; gt_u icmp IntCC::UnsignedGreaterThan;
    le_s icmp IntCC::SignedLessThanOrEqual; le_u icmp IntCC::UnsignedLessThanOrEqual;
    ge_s icmp IntCC::SignedGreaterThanOrEqual; ge_u icmp IntCC::UnsignedGreaterThanOrEqual;
    feq fcmp FloatCC::Equal; fne fcmp FloatCC::NotEqual; flt fcmp FloatCC::LessThan; fgt fcmp FloatCC::GreaterThan;
    fle fcmp FloatCC::LessThanOrEqual; fge fcmp FloatCC::GreaterThanOrEqual;
}

/// `if` lane by lane: ones in `mask` take the lane of `a`.
fn choose(t: &mut T<'_>, mask: Value, a: Value, b: Value) -> Value {
    let ty = t.ty(a);
    let mask = t.as_lanes(ty, mask);
    t.b.ins().bitselect(mask, a, b)
}

fn pmin(t: &mut T<'_>, a: Value, b: Value) -> Value {
    let less = flt(t, b, a);
    choose(t, less, b, a)
}

fn pmax(t: &mut T<'_>, a: Value, b: Value) -> Value {
    let less = flt(t, a, b);
    choose(t, less, b, a)
}

fn bitselect(t: &mut T<'_>, a: Value, b: Value, c: Value) -> Value {
    t.b.ins().bitselect(c, a, b)
}

// Widths

fn pairwise(t: &mut T<'_>, low: Value, high: Value) -> Value {
    t.b.ins().iadd_pairwise(low, high)
}

fn extadd_pairwise_s(t: &mut T<'_>, a: Value) -> Value {
    let (low, high) = (swiden_low(t, a), swiden_high(t, a));
    pairwise(t, low, high)
}

fn extadd_pairwise_u(t: &mut T<'_>, a: Value) -> Value {
    let (low, high) = (uwiden_low(t, a), uwiden_high(t, a));
    pairwise(t, low, high)
}

macro_rules! extmul {
    ($($name:ident $widen:ident;)*) => { $(
        fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value {
            let (a, b) = ($widen(t, a), $widen(t, b));
            t.b.ins().imul(a, b)
        }
    )* };
}
extmul! {
    extmul_low_s swiden_low; extmul_high_s swiden_high; extmul_low_u uwiden_low; extmul_high_u uwiden_high;
}

fn dot(t: &mut T<'_>, a: Value, b: Value) -> Value {
    let (low, high) = (extmul_low_s(t, a, b), extmul_high_s(t, a, b));
    pairwise(t, low, high)
}

// Between integers and floats

fn convert_s(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fcvt_from_sint(types::F32X4, a)
}

fn convert_u(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fcvt_from_uint(types::F32X4, a)
}

fn convert_low_s(t: &mut T<'_>, a: Value) -> Value {
    let wide = swiden_low(t, a);
    t.b.ins().fcvt_from_sint(types::F64X2, wide)
}

fn convert_low_u(t: &mut T<'_>, a: Value) -> Value {
    let wide = uwiden_low(t, a);
    t.b.ins().fcvt_from_uint(types::F64X2, wide)
}

fn trunc_sat_s(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fcvt_to_sint_sat(types::I32X4, a)
}

fn trunc_sat_u(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fcvt_to_uint_sat(types::I32X4, a)
}

// The x86-64 backend knows these two as a whole only, with exactly this zero.

fn trunc_sat_s_zero(t: &mut T<'_>, a: Value) -> Value {
    let wide = t.b.ins().fcvt_to_sint_sat(types::I64X2, a);
    let zero = t.vector(types::I64X2, &[0; 16]);
    t.b.ins().snarrow(wide, zero)
}

fn trunc_sat_u_zero(t: &mut T<'_>, a: Value) -> Value {
    let wide = t.b.ins().fcvt_to_uint_sat(types::I64X2, a);
    let zero = t.vector(types::I64X2, &[0; 16]);
    t.b.ins().uunarrow(wide, zero)
}

fn demote_zero(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fvdemote(a)
}

fn promote_low(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fvpromote_low(a)
}

// Relaxed

fn relaxed_swizzle(t: &mut T<'_>, a: Value, b: Value) -> Value {
    if t.relaxed_x86() { t.b.ins().x86_pshufb(a, b) } else { swizzle(t, a, b) }
}

fn relaxed_trunc_s(t: &mut T<'_>, a: Value) -> Value {
    if t.relaxed_x86() { t.b.ins().x86_cvtt2dq(types::I32X4, a) } else { trunc_sat_s(t, a) }
}

fn relaxed_trunc_u(t: &mut T<'_>, a: Value) -> Value {
    trunc_sat_u(t, a)
}

fn relaxed_trunc_s_zero(t: &mut T<'_>, a: Value) -> Value {
    if !t.relaxed_x86() {
        return trunc_sat_s_zero(t, a);
    }
    let wide = t.b.ins().x86_cvtt2dq(types::I64X2, a);
    let zero = t.vector(types::I64X2, &[0; 16]);
    t.b.ins().snarrow(wide, zero)
}

fn relaxed_trunc_u_zero(t: &mut T<'_>, a: Value) -> Value {
    trunc_sat_u_zero(t, a)
}

fn relaxed_madd(t: &mut T<'_>, a: Value, b: Value, c: Value) -> Value {
    if !t.env.key.relaxed_simd_deterministic && t.env.target.has_fma {
        return t.b.ins().fma(a, b, c);
    }
    let product = t.b.ins().fmul(a, b);
    t.b.ins().fadd(product, c)
}

fn relaxed_nmadd(t: &mut T<'_>, a: Value, b: Value, c: Value) -> Value {
    let a = fneg(t, a);
    relaxed_madd(t, a, b, c)
}

fn relaxed_laneselect(t: &mut T<'_>, a: Value, b: Value, c: Value) -> Value {
    // For 16-bit lanes x86 has a selection by bytes only, which would take a lane apart.
    let whole = t.ty(a) != types::I16X8;
    if t.relaxed_x86() && whole { t.b.ins().blendv(c, a, b) } else { bitselect(t, a, b, c) }
}

/// The lesser one as x86 has it: the second operand when either is a NaN or both are zero.
fn relaxed_min(t: &mut T<'_>, a: Value, b: Value) -> Value {
    if t.relaxed_x86() { pmin(t, b, a) } else { fmin(t, a, b) }
}

fn relaxed_max(t: &mut T<'_>, a: Value, b: Value) -> Value {
    if t.relaxed_x86() { pmax(t, b, a) } else { fmax(t, a, b) }
}

fn relaxed_q15mulr(t: &mut T<'_>, a: Value, b: Value) -> Value {
    if t.relaxed_x86() { t.b.ins().x86_pmulhrsw(a, b) } else { sqmul_round_sat(t, a, b) }
}

fn relaxed_dot(t: &mut T<'_>, a: Value, b: Value) -> Value {
    dot(t, a, b)
}

fn relaxed_dot_add(t: &mut T<'_>, a: Value, b: Value, c: Value) -> Value {
    let products = relaxed_dot(t, a, b);
    let sums = extadd_pairwise_s(t, products);
    let c = t.as_lanes(types::I32X4, c);
    t.b.ins().iadd(sums, c)
}

// Lanes

/// A scalar as a lane has it.
fn as_lane(t: &mut T<'_>, lane: Type, a: Value) -> Value {
    if t.ty(a) == lane { a } else { t.b.ins().ireduce(lane, a) }
}

macro_rules! splats {
    ($($name:ident $ty:ident;)*) => { $(
        fn $name(t: &mut T<'_>, a: Value) -> Value {
            let one = as_lane(t, types::$ty.lane_type(), a);
            t.b.ins().splat(types::$ty, one)
        }
    )* };
}
splats! {
    splat_i8x16 I8X16; splat_i16x8 I16X8; splat_i32x4 I32X4; splat_i64x2 I64X2; splat_f32x4 F32X4; splat_f64x2 F64X2;
}

fn extract(t: &mut T<'_>, a: Value, lane: u8) -> Value {
    t.b.ins().extractlane(a, lane)
}

fn extract_s(t: &mut T<'_>, a: Value, lane: u8) -> Value {
    let one = extract(t, a, lane);
    t.b.ins().sextend(types::I32, one)
}

fn extract_u(t: &mut T<'_>, a: Value, lane: u8) -> Value {
    let one = extract(t, a, lane);
    t.b.ins().uextend(types::I32, one)
}

fn replace(t: &mut T<'_>, a: Value, b: Value, lane: u8) -> Value {
    let ty = t.ty(a).lane_type();
    let one = as_lane(t, ty, b);
    t.b.ins().insertlane(a, one, lane)
}

fn any_true(t: &mut T<'_>, a: Value) -> Value {
    let truth = t.b.ins().vany_true(a);
    t.b.ins().uextend(types::I32, truth)
}

fn all_true(t: &mut T<'_>, a: Value) -> Value {
    let truth = t.b.ins().vall_true(a);
    t.b.ins().uextend(types::I32, truth)
}

fn bitmask(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().vhigh_bits(types::I32, a)
}

// Memory

fn load(t: &mut T<'_>, at: Value, offset: i32, flags: MemFlagsData) -> Value {
    t.b.ins().load(WAITING, flags, at, offset)
}

macro_rules! loads {
    (widening $($name:ident)*) => { $(
        fn $name(t: &mut T<'_>, at: Value, offset: i32, flags: MemFlagsData) -> Value {
            t.b.ins().$name(flags, at, offset)
        }
    )* };
    ($inst:ident $($name:ident $ty:ident;)*) => { $(
        fn $name(t: &mut T<'_>, at: Value, offset: i32, flags: MemFlagsData) -> Value {
            let one = t.b.ins().load(types::$ty.lane_type(), flags, at, offset);
            t.b.ins().$inst(types::$ty, one)
        }
    )* };
}
loads! { widening sload8x8 uload8x8 sload16x4 uload16x4 sload32x2 uload32x2 }
loads! { splat splat8 I8X16; splat16 I16X8; splat32 I32X4; splat64 I64X2; }
loads! { scalar_to_vector zero32 I32X4; zero64 I64X2; }
