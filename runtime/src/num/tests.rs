//! Edges of the operators' meanings.

use super::*;

/// Bit patterns worth trying: zeros, ones, bounds, subnormals, infinities, NaNs of both kinds and signs, then noise.
fn f64_samples() -> Vec<u64> {
    let mut samples: Vec<u64> = [
        0.0,
        0.5,
        1.0,
        1.5,
        2.0,
        2.5,
        3.5,
        0.49999999999999994,
        4503599627370495.5,
        4503599627370496.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        2147483647.5,
        9.3,
        1e300,
    ]
    .iter()
    .flat_map(|f: &f64| [f.to_bits(), (-f).to_bits()])
    .collect();
    samples.extend([1, 2, 0x000f_ffff_ffff_ffff, 0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0001]);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        samples.push(seed);
        // Small magnitudes too, where rounding has something to do.
        samples.push((seed & 0x800f_ffff_ffff_ffff) | ((1000 + seed % 80) << 52));
    }
    samples
}

fn same_f64(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan() && a.to_bits() & F64_QUIET != 0)
}

fn same_f32(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan() && a.to_bits() & F32_QUIET != 0)
}

#[cfg(feature = "std")]
#[test]
fn roundings_and_roots_equal_those_of_std() {
    for bits in f64_samples() {
        let x = f64::from_bits(bits);
        for (ours, theirs) in [
            (f64_trunc(x), x.trunc()),
            (f64_ceil(x), x.ceil()),
            (f64_floor(x), x.floor()),
            (f64_nearest(x), x.round_ties_even()),
            (f64_sqrt(x), x.sqrt()),
            (f64_sqrt_by_integers(x), x.sqrt()),
        ] {
            assert!(same_f64(ours, theirs), "{x:?} {bits:#x}: {ours:?} is not {theirs:?}");
        }
        for x in [f32::from_bits(bits as u32), f32::from_bits((bits >> 32) as u32), x as f32] {
            for (ours, theirs) in [
                (f32_trunc(x), x.trunc()),
                (f32_ceil(x), x.ceil()),
                (f32_floor(x), x.floor()),
                (f32_nearest(x), x.round_ties_even()),
                (f32_sqrt(x), x.sqrt()),
                (f32_sqrt_by_integers(x), x.sqrt()),
            ] {
                assert!(same_f32(ours, theirs), "{x:?}: {ours:?} is not {theirs:?}");
            }
        }
    }
}

#[test]
fn a_signalling_nan_leaves_a_rounding_quiet() {
    let signalling = f64::from_bits(0x7ff0_0000_0000_0001);
    for round in [f64_trunc, f64_ceil, f64_floor, f64_nearest, f64_sqrt_by_integers] {
        assert_eq!(round(signalling).to_bits(), 0x7ff8_0000_0000_0001);
    }
    let signalling = f32::from_bits(0x7f80_0001);
    for round in [f32_trunc, f32_ceil, f32_floor, f32_nearest, f32_sqrt_by_integers] {
        assert_eq!(round(signalling).to_bits(), 0x7fc0_0001);
    }
}

#[test]
fn sign_operators_keep_the_bits_of_a_nan() {
    let nan = f32::from_bits(0xff80_0123);
    assert_eq!(f32_abs(nan).to_bits(), 0x7f80_0123);
    assert_eq!(f32_neg(nan).to_bits(), 0x7f80_0123);
    assert_eq!(f32_copysign(nan, 1.0).to_bits(), 0x7f80_0123);
    let nan = f64::from_bits(0x7ff0_0000_0000_0123);
    assert_eq!(f64_abs(nan).to_bits(), 0x7ff0_0000_0000_0123);
    assert_eq!(f64_neg(nan).to_bits(), 0xfff0_0000_0000_0123);
    assert_eq!(f64_copysign(nan, -1.0).to_bits(), 0xfff0_0000_0000_0123);
}

#[test]
fn min_and_max_order_zeros_and_pass_nans() {
    assert_eq!(f64_min(0.0, -0.0).to_bits(), F64_SIGN);
    assert_eq!(f64_min(-0.0, 0.0).to_bits(), F64_SIGN);
    assert_eq!(f64_max(0.0, -0.0).to_bits(), 0);
    assert_eq!(f64_max(-0.0, 0.0).to_bits(), 0);
    assert!(f64_min(1.0, f64::NAN).is_nan() && f64_max(f64::NAN, 1.0).is_nan());
    assert_eq!((f32_min(1.0, 2.0), f32_max(1.0, 2.0), f32_min(2.0, 1.0)), (1.0, 2.0, 1.0));
    assert_eq!(f32_min(0.0, -0.0).to_bits(), F32_SIGN);
}

#[test]
fn division_traps_by_zero_and_by_overflow_only() {
    assert_eq!(i32_div_s(7, 0), Err(Trap::IntegerDivideByZero));
    assert_eq!(i32_div_s(0x8000_0000, u32::MAX), Err(Trap::IntegerOverflow));
    assert_eq!(i32_rem_s(0x8000_0000, u32::MAX), Ok(0));
    assert_eq!(i32_rem_u(7, 0), Err(Trap::IntegerDivideByZero));
    assert_eq!(i32_div_s(-7i32 as u32, 2), Ok(-3i32 as u32));
    assert_eq!(i64_div_s(1 << 63, u64::MAX), Err(Trap::IntegerOverflow));
    assert_eq!(i64_div_u(1 << 63, u64::MAX), Ok(0));
    assert_eq!(i64_rem_s(1 << 63, u64::MAX), Ok(0));
}

#[test]
fn truncation_traps_exactly_outside_the_range() {
    assert_eq!(i32_trunc_f64_s(2147483647.9), Ok(i32::MAX as u32));
    assert_eq!(i32_trunc_f64_s(2147483648.0), Err(Trap::IntegerOverflow));
    assert_eq!(i32_trunc_f64_s(-2147483648.9), Ok(0x8000_0000));
    assert_eq!(i32_trunc_f64_s(-2147483649.0), Err(Trap::IntegerOverflow));
    assert_eq!(i32_trunc_f32_s(-2147483648.0), Ok(0x8000_0000));
    assert_eq!(i32_trunc_f32_u(-0.9), Ok(0));
    assert_eq!(i32_trunc_f32_u(-1.0), Err(Trap::IntegerOverflow));
    assert_eq!(i64_trunc_f64_u(18446744073709549568.0), Ok(18446744073709549568));
    assert_eq!(i64_trunc_f64_u(18446744073709551616.0), Err(Trap::IntegerOverflow));
    assert_eq!(i64_trunc_f32_s(f32::NAN), Err(Trap::InvalidConversionToInteger));
    assert_eq!(i32_trunc_sat_f64_s(f64::NAN), 0);
    assert_eq!(i64_trunc_sat_f32_u(f32::INFINITY), u64::MAX);
}

#[test]
fn shifts_and_rotations_take_their_count_modulo_the_width() {
    assert_eq!(i32_shl(1, 33), 2);
    assert_eq!(i32_shr_s(0x8000_0000, 63), u32::MAX);
    assert_eq!(i64_shr_u(1 << 63, 127), 1);
    assert_eq!(i64_rotl(1, u64::MAX), 1 << 63);
    assert_eq!(i32_rotr(1, 33), 0x8000_0000);
    assert_eq!(i64_shl(1, 1 << 32), 1);
}
