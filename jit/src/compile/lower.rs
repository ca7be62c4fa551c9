//! The lowering of each plain operator: one function for each name in the last column of the table in `runtime/src/ops.rs`.
//! (core specification 4.3 "Numerics")
//!
//! A function serves all widths that share its name; the operands' types say which. The meaning is fixed by `num.rs`, and the
//! differential tests compare the two.

use super::func::Translation;
use crate::cpu::Arch;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Opcode, Type, Value, types};
use mini_wasm_runtime::trap::Trap;

type T<'a> = Translation<'a>;

macro_rules! unary {
    ($($name:ident)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value) -> Value { t.b.ins().$name(a) }
    )* };
}
unary! { clz ctz popcnt fabs fneg ceil floor trunc nearest sqrt }

macro_rules! binary {
    ($($name:ident)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value { t.b.ins().$name(a, b) }
    )* };
}
// Cranelift's shifts and rotations take the amount modulo the width, its fmin and fmax treat NaN and zeros as wasm does.
binary! { iadd isub imul band bor bxor ishl sshr ushr rotl rotr fsub fdiv fmin fmax fcopysign }

// Of two NaNs the first operand's bits come out (runtime/src/ordered.rs).

pub(super) fn fadd(t: &mut T<'_>, a: Value, b: Value) -> Value {
    let a = first(t, a);
    t.b.ins().fadd(a, b)
}

pub(super) fn fmul(t: &mut T<'_>, a: Value, b: Value) -> Value {
    let a = first(t, a);
    t.b.ins().fmul(a, b)
}

/// The first operand of a sum or a product, so that Cranelift leaves it where it is: on x86-64 it takes a load that is the first operand
/// into the instruction as the second, and everywhere it drops the signs of a product's operands if both were turned round just
/// before. Neither sees through a vector, whose first lane is the very register.
pub(super) fn first(t: &mut T<'_>, a: Value) -> Value {
    let dfg = &t.b.func.dfg;
    let opcode = dfg.value_def(a).inst().map(|inst| dfg.insts[inst].opcode());
    let hidden = match t.env.target.arch {
        // What is only named here may turn out to be either.
        Arch::X86_64 => !matches!(
            opcode,
            Some(
                Opcode::Fadd
                    | Opcode::Fsub
                    | Opcode::Fmul
                    | Opcode::Fdiv
                    | Opcode::Sqrt
                    | Opcode::F32const
                    | Opcode::F64const
                    | Opcode::FcvtFromSint
                    | Opcode::FcvtFromUint
                    | Opcode::Fpromote
                    | Opcode::Fdemote
                    | Opcode::Extractlane
            )
        ),
        Arch::Aarch64 => opcode == Some(Opcode::Fneg),
        // Every NaN that comes out is the canonical one.
        Arch::Riscv64 => false,
    };
    let wide = match dfg.value_type(a) {
        types::F32 => types::F32X4,
        types::F64 => types::F64X2,
        _ => return a,
    };
    if !hidden {
        return a;
    }
    let vector = t.b.ins().scalar_to_vector(wide, a);
    t.b.ins().extractlane(vector, 0)
}

macro_rules! compare {
    ($($name:ident $cc:ident;)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value { t.b.ins().icmp(IntCC::$cc, a, b) }
    )* };
}
compare! {
    eq Equal; ne NotEqual;
    lt_s SignedLessThan; lt_u UnsignedLessThan; gt_s SignedGreaterThan; gt_u UnsignedGreaterThan;
    le_s SignedLessThanOrEqual; le_u UnsignedLessThanOrEqual; ge_s SignedGreaterThanOrEqual; ge_u UnsignedGreaterThanOrEqual;
}

macro_rules! compare_float {
    ($($name:ident $cc:ident;)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value, b: Value) -> Value { t.b.ins().fcmp(FloatCC::$cc, a, b) }
    )* };
}
compare_float! { feq Equal; fne NotEqual; flt LessThan; fgt GreaterThan; fle LessThanOrEqual; fge GreaterThanOrEqual; }

pub(super) fn eqz(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().icmp_imm_u(IntCC::Equal, a, 0)
}

// Widths

fn extend_from(t: &mut T<'_>, a: Value, from: Type) -> Value {
    let to = t.b.func.dfg.value_type(a);
    let low = t.b.ins().ireduce(from, a);
    t.b.ins().sextend(to, low)
}

pub(super) fn extend8_s(t: &mut T<'_>, a: Value) -> Value {
    extend_from(t, a, types::I8)
}

pub(super) fn extend16_s(t: &mut T<'_>, a: Value) -> Value {
    extend_from(t, a, types::I16)
}

pub(super) fn extend32_s(t: &mut T<'_>, a: Value) -> Value {
    extend_from(t, a, types::I32)
}

pub(super) fn wrap(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().ireduce(types::I32, a)
}

pub(super) fn sextend(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().sextend(types::I64, a)
}

pub(super) fn uextend(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().uextend(types::I64, a)
}

pub(super) fn demote(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fdemote(types::F32, a)
}

pub(super) fn promote(t: &mut T<'_>, a: Value) -> Value {
    t.b.ins().fpromote(types::F64, a)
}

// Between integers and floats

macro_rules! convert {
    ($($name:ident $inst:ident $to:ident;)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value) -> Value { t.b.ins().$inst(types::$to, a) }
    )* };
}
convert! {
    convert_s_f32 fcvt_from_sint F32; convert_u_f32 fcvt_from_uint F32;
    convert_s_f64 fcvt_from_sint F64; convert_u_f64 fcvt_from_uint F64;
    trunc_sat_s_i32 fcvt_to_sint_sat I32; trunc_sat_u_i32 fcvt_to_uint_sat I32;
    trunc_sat_s_i64 fcvt_to_sint_sat I64; trunc_sat_u_i64 fcvt_to_uint_sat I64;
}

macro_rules! reinterpret {
    ($($name:ident $to:ident;)*) => { $(
        pub(super) fn $name(t: &mut T<'_>, a: Value) -> Value {
            t.b.ins().bitcast(types::$to, MemFlagsData::new(), a)
        }
    )* };
}
reinterpret! { reinterpret_i32 I32; reinterpret_i64 I64; reinterpret_f32 F32; reinterpret_f64 F64; }

/// Truncation that traps: NaN is an invalid conversion, all else outside the integer's range an overflow.
fn trunc_to(t: &mut T<'_>, a: Value, to: Type, signed: bool) -> Value {
    if t.env.key.guard_pages {
        return match signed {
            true => t.b.ins().fcvt_to_sint(to, a),
            false => t.b.ins().fcvt_to_uint(to, a),
        };
    }
    let nan = t.b.ins().fcmp(FloatCC::Unordered, a, a);
    t.trap_if(nan, Trap::InvalidConversionToInteger);
    let (low, inclusive, high) = bounds(t.b.func.dfg.value_type(a), to, signed);
    let constant = |t: &mut T<'_>, x: f64| match t.b.func.dfg.value_type(a) {
        types::F32 => t.b.ins().f32const(x as f32),
        _ => t.b.ins().f64const(x),
    };
    let low = constant(t, low);
    let high = constant(t, high);
    let too_low = if inclusive { FloatCC::LessThanOrEqual } else { FloatCC::LessThan };
    let under = t.b.ins().fcmp(too_low, a, low);
    let over = t.b.ins().fcmp(FloatCC::GreaterThanOrEqual, a, high);
    let outside = t.b.ins().bor(under, over);
    t.trap_if(outside, Trap::IntegerOverflow);
    match signed {
        true => t.b.ins().fcvt_to_sint_sat(to, a),
        false => t.b.ins().fcvt_to_uint_sat(to, a),
    }
}

/// The range of a truncation in its float type: the highest number that is too low (or, when it is exact, the lowest that is
/// not, `inclusive` false), and the lowest that is too high.
fn bounds(from: Type, to: Type, signed: bool) -> (f64, bool, f64) {
    let two_to = |n: i32| 2f64.powi(n);
    match (signed, to, from) {
        (false, _, _) => (-1.0, true, two_to(to.bits() as i32)),
        // -2^31 - 1 is a number of f64 but not of f32, where -2^31 is the neighbour above what is too low.
        (true, types::I32, types::F64) => (-two_to(31) - 1.0, true, two_to(31)),
        (true, _, _) => (-two_to(to.bits() as i32 - 1), false, two_to(to.bits() as i32 - 1)),
    }
}

pub(super) fn trunc_s_i32(t: &mut T<'_>, a: Value) -> Value {
    trunc_to(t, a, types::I32, true)
}

pub(super) fn trunc_u_i32(t: &mut T<'_>, a: Value) -> Value {
    trunc_to(t, a, types::I32, false)
}

pub(super) fn trunc_s_i64(t: &mut T<'_>, a: Value) -> Value {
    trunc_to(t, a, types::I64, true)
}

pub(super) fn trunc_u_i64(t: &mut T<'_>, a: Value) -> Value {
    trunc_to(t, a, types::I64, false)
}

// Division

/// Without signals, division is guarded by explicit tests; with them Cranelift's own traps do.
fn divisor(t: &mut T<'_>, b: Value) {
    if !t.env.key.guard_pages {
        let zero = t.b.ins().icmp_imm_u(IntCC::Equal, b, 0);
        t.trap_if(zero, Trap::IntegerDivideByZero);
    }
}

pub(super) fn sdiv(t: &mut T<'_>, a: Value, b: Value) -> Value {
    divisor(t, b);
    if !t.env.key.guard_pages {
        let ty = t.b.func.dfg.value_type(a);
        let lowest = t.b.ins().iconst(ty, if ty == types::I32 { i64::from(i32::MIN) } else { i64::MIN });
        let is_lowest = t.b.ins().icmp(IntCC::Equal, a, lowest);
        let minus_one = t.b.ins().icmp_imm_s(IntCC::Equal, b, -1);
        let both = t.b.ins().band(is_lowest, minus_one);
        t.trap_if(both, Trap::IntegerOverflow);
    }
    t.b.ins().sdiv(a, b)
}

pub(super) fn udiv(t: &mut T<'_>, a: Value, b: Value) -> Value {
    divisor(t, b);
    t.b.ins().udiv(a, b)
}

pub(super) fn srem(t: &mut T<'_>, a: Value, b: Value) -> Value {
    divisor(t, b);
    t.b.ins().srem(a, b)
}

pub(super) fn urem(t: &mut T<'_>, a: Value, b: Value) -> Value {
    divisor(t, b);
    t.b.ins().urem(a, b)
}
