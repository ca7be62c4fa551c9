//! What each plain operator means: one function per row of the operator table, named by its meaning column (core
//! specification 4.3 "Numerics").
//!
//! `i32` is `u32`, `i64` is `u64`, floats are themselves; a comparison or test is a `bool`; what can trap returns a `Result`.
//! The interpreter's handlers and constant folding call these, and a test may. Nothing here knows frames, slots or
//! instances. `abs`, `neg` and `copysign` work on bits, so every NaN keeps its payload; everything else makes quiet NaNs.
//!
//! The roundings are written out rather than taken from `std`: `core` has none, and without SSE4.1 `std` calls into the
//! system's mathematics library for each of them.

#![allow(missing_docs, reason = "each function is named by its operator; the specification says the rest")]
#![allow(clippy::manual_range_contains, reason = "bounds of one kind read alike")]

use crate::ordered;
use crate::trap::Trap;

pub mod wide;

/// The canonical NaN of `f32`.
pub const F32_CANONICAL_NAN: u32 = 0x7fc0_0000;
/// The canonical NaN of `f64`.
pub const F64_CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;
const F32_SIGN: u32 = 1 << 31;
const F64_SIGN: u64 = 1 << 63;
const F32_QUIET: u32 = 1 << 22;
const F64_QUIET: u64 = 1 << 51;

/// `x`, or the canonical NaN in place of any other: what `canonicalize_nans` wraps around arithmetic.
#[inline(always)]
pub fn f32_canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(F32_CANONICAL_NAN) } else { x }
}

/// `x`, or the canonical NaN in place of any other: what `canonicalize_nans` wraps around arithmetic.
#[inline(always)]
pub fn f64_canonical(x: f64) -> f64 {
    if x.is_nan() { f64::from_bits(F64_CANONICAL_NAN) } else { x }
}

// ---- i32 ----

#[inline(always)]
pub fn i32_clz(a: u32) -> u32 {
    a.leading_zeros()
}

#[inline(always)]
pub fn i32_ctz(a: u32) -> u32 {
    a.trailing_zeros()
}

#[inline(always)]
pub fn i32_popcnt(a: u32) -> u32 {
    a.count_ones()
}

#[inline(always)]
pub fn i32_extend8_s(a: u32) -> u32 {
    a as i8 as u32
}

#[inline(always)]
pub fn i32_extend16_s(a: u32) -> u32 {
    a as i16 as u32
}

#[inline(always)]
pub fn i32_add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

#[inline(always)]
pub fn i32_sub(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b)
}

#[inline(always)]
pub fn i32_mul(a: u32, b: u32) -> u32 {
    a.wrapping_mul(b)
}

#[inline(always)]
pub fn i32_and(a: u32, b: u32) -> u32 {
    a & b
}

#[inline(always)]
pub fn i32_or(a: u32, b: u32) -> u32 {
    a | b
}

#[inline(always)]
pub fn i32_xor(a: u32, b: u32) -> u32 {
    a ^ b
}

#[inline(always)]
pub fn i32_shl(a: u32, b: u32) -> u32 {
    a.wrapping_shl(b)
}

#[inline(always)]
pub fn i32_shr_s(a: u32, b: u32) -> u32 {
    (a as i32).wrapping_shr(b) as u32
}

#[inline(always)]
pub fn i32_shr_u(a: u32, b: u32) -> u32 {
    a.wrapping_shr(b)
}

#[inline(always)]
pub fn i32_rotl(a: u32, b: u32) -> u32 {
    a.rotate_left(b & 31)
}

#[inline(always)]
pub fn i32_rotr(a: u32, b: u32) -> u32 {
    a.rotate_right(b & 31)
}

#[inline(always)]
pub fn i32_div_s(a: u32, b: u32) -> Result<u32, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    match (a as i32).checked_div(b as i32) {
        Some(r) => Ok(r as u32),
        None => Err(Trap::IntegerOverflow),
    }
}

#[inline(always)]
pub fn i32_div_u(a: u32, b: u32) -> Result<u32, Trap> {
    a.checked_div(b).ok_or(Trap::IntegerDivideByZero)
}

#[inline(always)]
pub fn i32_rem_s(a: u32, b: u32) -> Result<u32, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    Ok((a as i32).wrapping_rem(b as i32) as u32)
}

#[inline(always)]
pub fn i32_rem_u(a: u32, b: u32) -> Result<u32, Trap> {
    a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)
}

#[inline(always)]
pub fn i32_eqz(a: u32) -> bool {
    a == 0
}

#[inline(always)]
pub fn i32_eq(a: u32, b: u32) -> bool {
    a == b
}

#[inline(always)]
pub fn i32_ne(a: u32, b: u32) -> bool {
    a != b
}

#[inline(always)]
pub fn i32_lt_s(a: u32, b: u32) -> bool {
    (a as i32) < (b as i32)
}

#[inline(always)]
pub fn i32_lt_u(a: u32, b: u32) -> bool {
    a < b
}

#[inline(always)]
pub fn i32_gt_s(a: u32, b: u32) -> bool {
    (a as i32) > (b as i32)
}

#[inline(always)]
pub fn i32_gt_u(a: u32, b: u32) -> bool {
    a > b
}

#[inline(always)]
pub fn i32_le_s(a: u32, b: u32) -> bool {
    (a as i32) <= (b as i32)
}

#[inline(always)]
pub fn i32_le_u(a: u32, b: u32) -> bool {
    a <= b
}

#[inline(always)]
pub fn i32_ge_s(a: u32, b: u32) -> bool {
    (a as i32) >= (b as i32)
}

#[inline(always)]
pub fn i32_ge_u(a: u32, b: u32) -> bool {
    a >= b
}

// ---- i64 ----

#[inline(always)]
pub fn i64_clz(a: u64) -> u64 {
    a.leading_zeros().into()
}

#[inline(always)]
pub fn i64_ctz(a: u64) -> u64 {
    a.trailing_zeros().into()
}

#[inline(always)]
pub fn i64_popcnt(a: u64) -> u64 {
    a.count_ones().into()
}

#[inline(always)]
pub fn i64_extend8_s(a: u64) -> u64 {
    a as i8 as u64
}

#[inline(always)]
pub fn i64_extend16_s(a: u64) -> u64 {
    a as i16 as u64
}

#[inline(always)]
pub fn i64_extend32_s(a: u64) -> u64 {
    a as i32 as u64
}

#[inline(always)]
pub fn i64_add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

#[inline(always)]
pub fn i64_sub(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b)
}

#[inline(always)]
pub fn i64_mul(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

#[inline(always)]
pub fn i64_and(a: u64, b: u64) -> u64 {
    a & b
}

#[inline(always)]
pub fn i64_or(a: u64, b: u64) -> u64 {
    a | b
}

#[inline(always)]
pub fn i64_xor(a: u64, b: u64) -> u64 {
    a ^ b
}

#[inline(always)]
pub fn i64_shl(a: u64, b: u64) -> u64 {
    a.wrapping_shl(b as u32)
}

#[inline(always)]
pub fn i64_shr_s(a: u64, b: u64) -> u64 {
    (a as i64).wrapping_shr(b as u32) as u64
}

#[inline(always)]
pub fn i64_shr_u(a: u64, b: u64) -> u64 {
    a.wrapping_shr(b as u32)
}

#[inline(always)]
pub fn i64_rotl(a: u64, b: u64) -> u64 {
    a.rotate_left((b & 63) as u32)
}

#[inline(always)]
pub fn i64_rotr(a: u64, b: u64) -> u64 {
    a.rotate_right((b & 63) as u32)
}

#[inline(always)]
pub fn i64_div_s(a: u64, b: u64) -> Result<u64, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    match (a as i64).checked_div(b as i64) {
        Some(r) => Ok(r as u64),
        None => Err(Trap::IntegerOverflow),
    }
}

#[inline(always)]
pub fn i64_div_u(a: u64, b: u64) -> Result<u64, Trap> {
    a.checked_div(b).ok_or(Trap::IntegerDivideByZero)
}

#[inline(always)]
pub fn i64_rem_s(a: u64, b: u64) -> Result<u64, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    Ok((a as i64).wrapping_rem(b as i64) as u64)
}

#[inline(always)]
pub fn i64_rem_u(a: u64, b: u64) -> Result<u64, Trap> {
    a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)
}

#[inline(always)]
pub fn i64_eqz(a: u64) -> bool {
    a == 0
}

#[inline(always)]
pub fn i64_eq(a: u64, b: u64) -> bool {
    a == b
}

#[inline(always)]
pub fn i64_ne(a: u64, b: u64) -> bool {
    a != b
}

#[inline(always)]
pub fn i64_lt_s(a: u64, b: u64) -> bool {
    (a as i64) < (b as i64)
}

#[inline(always)]
pub fn i64_lt_u(a: u64, b: u64) -> bool {
    a < b
}

#[inline(always)]
pub fn i64_gt_s(a: u64, b: u64) -> bool {
    (a as i64) > (b as i64)
}

#[inline(always)]
pub fn i64_gt_u(a: u64, b: u64) -> bool {
    a > b
}

#[inline(always)]
pub fn i64_le_s(a: u64, b: u64) -> bool {
    (a as i64) <= (b as i64)
}

#[inline(always)]
pub fn i64_le_u(a: u64, b: u64) -> bool {
    a <= b
}

#[inline(always)]
pub fn i64_ge_s(a: u64, b: u64) -> bool {
    (a as i64) >= (b as i64)
}

#[inline(always)]
pub fn i64_ge_u(a: u64, b: u64) -> bool {
    a >= b
}

// ---- f32 ----

#[inline(always)]
pub fn f32_abs(a: f32) -> f32 {
    f32::from_bits(a.to_bits() & !F32_SIGN)
}

#[inline(always)]
pub fn f32_neg(a: f32) -> f32 {
    f32::from_bits(a.to_bits() ^ F32_SIGN)
}

#[inline(always)]
pub fn f32_copysign(a: f32, b: f32) -> f32 {
    f32::from_bits((a.to_bits() & !F32_SIGN) | (b.to_bits() & F32_SIGN))
}

#[inline(always)]
pub fn f32_trunc(a: f32) -> f32 {
    let bits = a.to_bits();
    let exponent = ((bits & !F32_SIGN) >> 23) as i32 - 127;
    if exponent >= 23 {
        if a.is_nan() { f32::from_bits(bits | F32_QUIET) } else { a }
    } else if exponent < 0 {
        f32::from_bits(bits & F32_SIGN)
    } else {
        f32::from_bits(bits & !(((1 << 23) - 1) >> exponent))
    }
}

#[inline(always)]
pub fn f32_ceil(a: f32) -> f32 {
    let whole = f32_trunc(a);
    if whole < a { whole + 1.0 } else { whole }
}

#[inline(always)]
pub fn f32_floor(a: f32) -> f32 {
    let whole = f32_trunc(a);
    if whole > a { whole - 1.0 } else { whole }
}

/// To the nearest whole number, ties to even: adding 2^23 leaves no bit for a fraction, and the sum rounds as asked.
#[inline(always)]
pub fn f32_nearest(a: f32) -> f32 {
    const WHOLE: f32 = 8_388_608.0;
    let magnitude = f32_abs(a);
    if magnitude < WHOLE {
        f32_copysign((magnitude + WHOLE) - WHOLE, a)
    } else if a.is_nan() {
        f32::from_bits(a.to_bits() | F32_QUIET)
    } else {
        a
    }
}

#[cfg(feature = "std")]
#[inline(always)]
pub fn f32_sqrt(a: f32) -> f32 {
    a.sqrt()
}

#[cfg(not(feature = "std"))]
#[inline(never)]
pub fn f32_sqrt(a: f32) -> f32 {
    f32_sqrt_by_integers(a)
}

/// The square root, correctly rounded, by whole numbers only: for targets where `core` offers none.
#[cfg(any(test, not(feature = "std")))]
fn f32_sqrt_by_integers(a: f32) -> f32 {
    let bits = a.to_bits();
    if a.is_nan() {
        return f32::from_bits(bits | F32_QUIET);
    }
    if a == 0.0 || bits == f32::INFINITY.to_bits() {
        return a;
    }
    if a < 0.0 {
        return f32::from_bits(F32_CANONICAL_NAN);
    }
    // a = mantissa * 2^exponent with an even exponent, and bit 23 or the next the mantissa's highest.
    let mut exponent = (bits >> 23) as i32;
    let mut mantissa = bits & ((1 << 23) - 1);
    if exponent == 0 {
        let shift = mantissa.leading_zeros() - 8;
        mantissa <<= shift;
        exponent = 1 - shift as i32;
    } else {
        mantissa |= 1 << 23;
    }
    // One bit more than fits, so that it decides the rounding: a root is never halfway between two floats.
    exponent -= 175;
    if exponent & 1 != 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    let square = u64::from(mantissa) << 25;
    let root = square.isqrt();
    let rounded = ((root >> 1) + (root & 1)) as u32;
    let exponent = exponent / 2 + 151;
    f32::from_bits((rounded & ((1 << 23) - 1)) | ((exponent as u32 + (rounded >> 23) - 1) << 23))
}

#[inline(always)]
pub fn f32_add(a: f32, b: f32) -> f32 {
    ordered::f32_add(a, b)
}

#[inline(always)]
pub fn f32_sub(a: f32, b: f32) -> f32 {
    a - b
}

#[inline(always)]
pub fn f32_mul(a: f32, b: f32) -> f32 {
    ordered::f32_mul(a, b)
}

#[inline(always)]
pub fn f32_div(a: f32, b: f32) -> f32 {
    a / b
}

#[inline(always)]
pub fn f32_min(a: f32, b: f32) -> f32 {
    f32_min_else(a, b, ordered::f32_nan_of)
}

/// The minimum; of operands of which one is NaN at least, what `nan` makes of them.
#[inline(always)]
pub(crate) fn f32_min_else(a: f32, b: f32, nan: impl FnOnce(f32, f32) -> f32) -> f32 {
    if a < b {
        a
    } else if b < a {
        b
    } else if a == b {
        // Equal, or zeros of which one may be negative.
        f32::from_bits(a.to_bits() | b.to_bits())
    } else {
        nan(a, b)
    }
}

#[inline(always)]
pub fn f32_max(a: f32, b: f32) -> f32 {
    f32_max_else(a, b, ordered::f32_nan_of)
}

/// The maximum, likewise.
#[inline(always)]
pub(crate) fn f32_max_else(a: f32, b: f32, nan: impl FnOnce(f32, f32) -> f32) -> f32 {
    if a > b {
        a
    } else if b > a {
        b
    } else if a == b {
        f32::from_bits(a.to_bits() & b.to_bits())
    } else {
        nan(a, b)
    }
}

#[inline(always)]
pub fn f32_eq(a: f32, b: f32) -> bool {
    a == b
}

#[inline(always)]
pub fn f32_ne(a: f32, b: f32) -> bool {
    a != b
}

#[inline(always)]
pub fn f32_lt(a: f32, b: f32) -> bool {
    a < b
}

#[inline(always)]
pub fn f32_gt(a: f32, b: f32) -> bool {
    a > b
}

#[inline(always)]
pub fn f32_le(a: f32, b: f32) -> bool {
    a <= b
}

#[inline(always)]
pub fn f32_ge(a: f32, b: f32) -> bool {
    a >= b
}

// ---- f64 ----

#[inline(always)]
pub fn f64_abs(a: f64) -> f64 {
    f64::from_bits(a.to_bits() & !F64_SIGN)
}

#[inline(always)]
pub fn f64_neg(a: f64) -> f64 {
    f64::from_bits(a.to_bits() ^ F64_SIGN)
}

#[inline(always)]
pub fn f64_copysign(a: f64, b: f64) -> f64 {
    f64::from_bits((a.to_bits() & !F64_SIGN) | (b.to_bits() & F64_SIGN))
}

#[inline(always)]
pub fn f64_trunc(a: f64) -> f64 {
    let bits = a.to_bits();
    let exponent = ((bits & !F64_SIGN) >> 52) as i32 - 1023;
    if exponent >= 52 {
        if a.is_nan() { f64::from_bits(bits | F64_QUIET) } else { a }
    } else if exponent < 0 {
        f64::from_bits(bits & F64_SIGN)
    } else {
        f64::from_bits(bits & !(((1 << 52) - 1) >> exponent))
    }
}

#[inline(always)]
pub fn f64_ceil(a: f64) -> f64 {
    let whole = f64_trunc(a);
    if whole < a { whole + 1.0 } else { whole }
}

#[inline(always)]
pub fn f64_floor(a: f64) -> f64 {
    let whole = f64_trunc(a);
    if whole > a { whole - 1.0 } else { whole }
}

/// To the nearest whole number, ties to even: adding 2^52 leaves no bit for a fraction, and the sum rounds as asked.
#[inline(always)]
pub fn f64_nearest(a: f64) -> f64 {
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    let magnitude = f64_abs(a);
    if magnitude < WHOLE {
        f64_copysign((magnitude + WHOLE) - WHOLE, a)
    } else if a.is_nan() {
        f64::from_bits(a.to_bits() | F64_QUIET)
    } else {
        a
    }
}

#[cfg(feature = "std")]
#[inline(always)]
pub fn f64_sqrt(a: f64) -> f64 {
    a.sqrt()
}

#[cfg(not(feature = "std"))]
#[inline(never)]
pub fn f64_sqrt(a: f64) -> f64 {
    f64_sqrt_by_integers(a)
}

/// The square root, correctly rounded, by whole numbers only: for targets where `core` offers none.
#[cfg(any(test, not(feature = "std")))]
fn f64_sqrt_by_integers(a: f64) -> f64 {
    let bits = a.to_bits();
    if a.is_nan() {
        return f64::from_bits(bits | F64_QUIET);
    }
    if a == 0.0 || bits == f64::INFINITY.to_bits() {
        return a;
    }
    if a < 0.0 {
        return f64::from_bits(F64_CANONICAL_NAN);
    }
    // a = mantissa * 2^exponent with an even exponent, and bit 52 or the next the mantissa's highest.
    let mut exponent = (bits >> 52) as i32;
    let mut mantissa = bits & ((1 << 52) - 1);
    if exponent == 0 {
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        exponent = 1 - shift as i32;
    } else {
        mantissa |= 1 << 52;
    }
    // One bit more than fits, so that it decides the rounding: a root is never halfway between two floats.
    exponent -= 1129;
    if exponent & 1 != 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    let square = u128::from(mantissa) << 54;
    let root = square.isqrt();
    let rounded = ((root >> 1) + (root & 1)) as u64;
    let exponent = exponent / 2 + 1076;
    f64::from_bits((rounded & ((1 << 52) - 1)) | ((exponent as u64 + (rounded >> 52) - 1) << 52))
}

#[inline(always)]
pub fn f64_add(a: f64, b: f64) -> f64 {
    ordered::f64_add(a, b)
}

#[inline(always)]
pub fn f64_sub(a: f64, b: f64) -> f64 {
    a - b
}

#[inline(always)]
pub fn f64_mul(a: f64, b: f64) -> f64 {
    ordered::f64_mul(a, b)
}

#[inline(always)]
pub fn f64_div(a: f64, b: f64) -> f64 {
    a / b
}

#[inline(always)]
pub fn f64_min(a: f64, b: f64) -> f64 {
    f64_min_else(a, b, ordered::f64_nan_of)
}

/// The minimum; of operands of which one is NaN at least, what `nan` makes of them.
#[inline(always)]
pub(crate) fn f64_min_else(a: f64, b: f64, nan: impl FnOnce(f64, f64) -> f64) -> f64 {
    if a < b {
        a
    } else if b < a {
        b
    } else if a == b {
        // Equal, or zeros of which one may be negative.
        f64::from_bits(a.to_bits() | b.to_bits())
    } else {
        nan(a, b)
    }
}

#[inline(always)]
pub fn f64_max(a: f64, b: f64) -> f64 {
    f64_max_else(a, b, ordered::f64_nan_of)
}

/// The maximum, likewise.
#[inline(always)]
pub(crate) fn f64_max_else(a: f64, b: f64, nan: impl FnOnce(f64, f64) -> f64) -> f64 {
    if a > b {
        a
    } else if b > a {
        b
    } else if a == b {
        f64::from_bits(a.to_bits() & b.to_bits())
    } else {
        nan(a, b)
    }
}

#[inline(always)]
pub fn f64_eq(a: f64, b: f64) -> bool {
    a == b
}

#[inline(always)]
pub fn f64_ne(a: f64, b: f64) -> bool {
    a != b
}

#[inline(always)]
pub fn f64_lt(a: f64, b: f64) -> bool {
    a < b
}

#[inline(always)]
pub fn f64_gt(a: f64, b: f64) -> bool {
    a > b
}

#[inline(always)]
pub fn f64_le(a: f64, b: f64) -> bool {
    a <= b
}

#[inline(always)]
pub fn f64_ge(a: f64, b: f64) -> bool {
    a >= b
}

// ---- conversions ----

#[inline(always)]
pub fn i32_wrap_i64(a: u64) -> u32 {
    a as u32
}

#[inline(always)]
pub fn i64_extend_i32_s(a: u32) -> u64 {
    a as i32 as u64
}

#[inline(always)]
pub fn i64_extend_i32_u(a: u32) -> u64 {
    a.into()
}

#[inline(always)]
pub fn f32_convert_i32_s(a: u32) -> f32 {
    a as i32 as f32
}

#[inline(always)]
pub fn f32_convert_i32_u(a: u32) -> f32 {
    a as f32
}

#[inline(always)]
pub fn f32_convert_i64_s(a: u64) -> f32 {
    a as i64 as f32
}

#[inline(always)]
pub fn f32_convert_i64_u(a: u64) -> f32 {
    a as f32
}

#[inline(always)]
pub fn f64_convert_i32_s(a: u32) -> f64 {
    a as i32 as f64
}

#[inline(always)]
pub fn f64_convert_i32_u(a: u32) -> f64 {
    a as f64
}

#[inline(always)]
pub fn f64_convert_i64_s(a: u64) -> f64 {
    a as i64 as f64
}

#[inline(always)]
pub fn f64_convert_i64_u(a: u64) -> f64 {
    a as f64
}

#[inline(always)]
pub fn f32_demote_f64(a: f64) -> f32 {
    a as f32
}

#[inline(always)]
pub fn f64_promote_f32(a: f32) -> f64 {
    a.into()
}

#[inline(always)]
pub fn i32_reinterpret_f32(a: f32) -> u32 {
    a.to_bits()
}

#[inline(always)]
pub fn i64_reinterpret_f64(a: f64) -> u64 {
    a.to_bits()
}

#[inline(always)]
pub fn f32_reinterpret_i32(a: u32) -> f32 {
    f32::from_bits(a)
}

#[inline(always)]
pub fn f64_reinterpret_i64(a: u64) -> f64 {
    f64::from_bits(a)
}

#[inline(always)]
pub fn i32_trunc_sat_f32_s(a: f32) -> u32 {
    a as i32 as u32
}

#[inline(always)]
pub fn i32_trunc_sat_f32_u(a: f32) -> u32 {
    a as u32
}

#[inline(always)]
pub fn i32_trunc_sat_f64_s(a: f64) -> u32 {
    a as i32 as u32
}

#[inline(always)]
pub fn i32_trunc_sat_f64_u(a: f64) -> u32 {
    a as u32
}

#[inline(always)]
pub fn i64_trunc_sat_f32_s(a: f32) -> u64 {
    a as i64 as u64
}

#[inline(always)]
pub fn i64_trunc_sat_f32_u(a: f32) -> u64 {
    a as u64
}

#[inline(always)]
pub fn i64_trunc_sat_f64_s(a: f64) -> u64 {
    a as i64 as u64
}

#[inline(always)]
pub fn i64_trunc_sat_f64_u(a: f64) -> u64 {
    a as u64
}

// Bounds: the last float below and the first above which truncation leaves the range.
#[inline(always)]
pub fn i32_trunc_f32_s(a: f32) -> Result<u32, Trap> {
    if a >= -2_147_483_648.0 && a < 2_147_483_648.0 {
        Ok(a as i32 as u32)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i32_trunc_f32_u(a: f32) -> Result<u32, Trap> {
    if a > -1.0 && a < 4_294_967_296.0 {
        Ok(a as u32)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i32_trunc_f64_s(a: f64) -> Result<u32, Trap> {
    if a > -2_147_483_649.0 && a < 2_147_483_648.0 {
        Ok(a as i32 as u32)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i32_trunc_f64_u(a: f64) -> Result<u32, Trap> {
    if a > -1.0 && a < 4_294_967_296.0 {
        Ok(a as u32)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i64_trunc_f32_s(a: f32) -> Result<u64, Trap> {
    if a >= -9_223_372_036_854_775_808.0 && a < 9_223_372_036_854_775_808.0 {
        Ok(a as i64 as u64)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i64_trunc_f32_u(a: f32) -> Result<u64, Trap> {
    if a > -1.0 && a < 18_446_744_073_709_551_616.0 {
        Ok(a as u64)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i64_trunc_f64_s(a: f64) -> Result<u64, Trap> {
    if a >= -9_223_372_036_854_775_808.0 && a < 9_223_372_036_854_775_808.0 {
        Ok(a as i64 as u64)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[inline(always)]
pub fn i64_trunc_f64_u(a: f64) -> Result<u64, Trap> {
    if a > -1.0 && a < 18_446_744_073_709_551_616.0 {
        Ok(a as u64)
    } else if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

#[cfg(test)]
mod tests;
