//! Tests of what vector operators mean, where a lane is more than the scalar operator of its kind: the edges of saturation,
//! orders of lanes, bits that are left alone.

use super::*;

fn bytes(f: impl Fn(u8) -> u8) -> V128 {
    let mut lanes = [0; 16];
    (0..16).for_each(|i| lanes[usize::from(i)] = f(i));
    V128::from(lanes)
}

#[test]
fn lane_0_is_the_lowest_byte() {
    let v = V128::from_bits(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
    assert_eq!(v, bytes(|i| i));
    assert_eq!(v.u16x8()[0], 0x0100);
    assert_eq!(v.u64x2(), [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
    assert_eq!(V128::from(v.f64x2()), v);
    assert_eq!(V128::from(v.f32x4()), v);
}

#[test]
fn swizzle_takes_zero_for_every_index_from_16_on() {
    let picked =
        i8x16_swizzle(bytes(|i| 0x40 + i), bytes(|i| [15, 16, 0, 127, 128, 255, 31, 1][usize::from(i % 8)]));
    assert_eq!(picked.u8x16()[..8], [0x4f, 0, 0x40, 0, 0, 0, 0, 0x41]);
}

#[test]
fn shuffle_counts_through_both_operands() {
    let lanes = [0, 31, 16, 15, 17, 1, 30, 14, 2, 29, 18, 13, 19, 3, 28, 12];
    assert_eq!(i8x16_shuffle(bytes(|i| i), bytes(|i| 16 + i), lanes).u8x16(), lanes);
}

#[test]
fn shifts_take_the_amount_modulo_the_lane() {
    let v = bytes(|_| 0x81);
    assert_eq!(i8x16_shl(v, 9), bytes(|_| 2));
    assert_eq!(i8x16_shr_s(v, 7), bytes(|_| 0xff));
    assert_eq!(i8x16_shr_u(v, 15), bytes(|_| 1));
    assert_eq!(i64x2_shr_s(V128::from([i64::MIN, -1]), 127).i64x2(), [-1, -1]);
    assert_eq!(i16x8_shl(v, 16), v);
    assert_eq!(i32x4_shr_u(V128::from([u32::MAX; 4]), 33).u32x4(), [0x7fff_ffff; 4]);
}

#[test]
fn narrowing_reads_signed_lanes_and_saturates() {
    let a = V128::from([0i16, 127, 128, 255, 256, i16::MAX, -1, i16::MIN]);
    let b = V128::from([-128i16, -129, 1, 2, 3, 4, 5, 6]);
    assert_eq!(
        i8x16_narrow_i16x8_s(a, b).i8x16(),
        [0, 127, 127, 127, 127, 127, -1, -128, -128, -128, 1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        i8x16_narrow_i16x8_u(a, b).u8x16(),
        [0, 127, 128, 255, 255, 255, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    );
}

#[test]
fn only_minus_one_times_minus_one_saturates() {
    let q15 = |a: i16, b: i16| i16x8_q15mulr_sat_s(V128::from([a; 8]), V128::from([b; 8])).i16x8()[3];
    assert_eq!(q15(i16::MIN, i16::MIN), i16::MAX);
    assert_eq!(q15(i16::MIN, i16::MAX), -32767);
    assert_eq!(q15(0x4000, 0x4000), 0x2000);
    assert_eq!(q15(-1, 1), 0, "half rounds up");
}

#[test]
fn dot_products_wrap_at_the_one_sum_that_is_too_large() {
    let low = V128::from([i16::MIN; 8]);
    assert_eq!(i32x4_dot_i16x8_s(low, low).i32x4(), [i32::MIN; 4]);
    let low = V128::from([i8::MIN; 16]);
    assert_eq!(i16x8_relaxed_dot_i8x16_i7x16_s(low, low).i16x8(), [i16::MIN; 8]);
    let sum = i32x4_relaxed_dot_i8x16_i7x16_add_s(low, low, V128::from([5i32; 4])).i32x4();
    assert_eq!(sum, [5 - 0x1_0000; 4]);
}

#[test]
fn averages_round_up_and_do_not_overflow() {
    assert_eq!(i8x16_avgr_u(bytes(|_| 255), bytes(|_| 254)), bytes(|_| 255));
    assert_eq!(i16x8_avgr_u(V128::from([65535u16; 8]), V128::from([0u16; 8])).u16x8(), [0x8000; 8]);
}

#[test]
fn the_lowest_integer_is_its_own_absolute_value() {
    assert_eq!(i8x16_abs(bytes(|_| 0x80)), bytes(|_| 0x80));
    assert_eq!(i64x2_abs(V128::from([i64::MIN, -5])).i64x2(), [i64::MIN, 5]);
}

#[test]
fn masks_and_truths_look_at_each_lane() {
    assert_eq!(i8x16_bitmask(bytes(|i| if i % 3 == 0 { 0x80 } else { 0x7f })), 0b1001_0010_0100_1001);
    assert_eq!(i64x2_bitmask(V128::from([0i64, -1])), 2);
    assert_eq!(i16x8_all_true(V128::from([1u16, 1, 1, 0, 1, 1, 1, 1])), 0);
    assert_eq!(i16x8_all_true(V128::from([0x100u16; 8])), 1);
    assert_eq!(i8x16_all_true(V128::from([0x100u16; 8])), 0);
    assert_eq!(v128_any_true(V128::from_bits(1 << 127)), 1);
}

#[test]
fn pseudo_minimum_takes_the_first_operand_unless_the_second_is_less() {
    let nan = f32::from_bits(0x7fa0_1234);
    let bits = |v: V128| v.u32x4();
    let (a, b) = (V128::from([nan, 1.0, 0.0, -0.0]), V128::from([1.0, nan, -0.0, 0.0]));
    assert_eq!(bits(f32x4_pmin(a, b)), [0x7fa0_1234, 0x3f80_0000, 0, 0x8000_0000]);
    assert_eq!(bits(f32x4_pmax(a, b)), [0x7fa0_1234, 0x3f80_0000, 0, 0x8000_0000]);
    // The strict ones make quiet NaNs and order the zeros.
    let least = bits(f32x4_min(a, b));
    assert!(f32::from_bits(least[0]).is_nan() && least[0] & 0x0040_0000 != 0);
    assert_eq!(least[2..], [0x8000_0000; 2]);
}

#[test]
fn conversions_of_two_lanes_clear_the_others() {
    let v = V128::from([-1.5f64, 1e10]);
    assert_eq!(i32x4_trunc_sat_f64x2_s_zero(v).i32x4(), [-1, i32::MAX, 0, 0]);
    assert_eq!(i32x4_trunc_sat_f64x2_u_zero(v).u32x4(), [0, u32::MAX, 0, 0]);
    assert_eq!(f32x4_demote_f64x2_zero(v).f32x4(), [-1.5, 1e10, 0.0, 0.0]);
    assert_eq!(f64x2_convert_low_i32x4_u(V128::from([u32::MAX, 1, 2, 3])).f64x2(), [4_294_967_295.0, 1.0]);
}

#[test]
fn a_multiply_add_rounds_twice() {
    // The exact product is 1 + 2^-11 + 2^-24: rounded first, the last bit is lost.
    let a = V128::from([1.0 + f32::powi(2.0, -12); 4]);
    assert_eq!(f32x4_relaxed_madd(a, a, V128::from([-1.0f32; 4])).f32x4(), [f32::powi(2.0, -11); 4]);
    assert_eq!(f32x4_relaxed_nmadd(a, a, V128::from([1.0f32; 4])).f32x4(), [-f32::powi(2.0, -11); 4]);
}

#[test]
fn canonical_vectors_replace_nans_lane_by_lane() {
    let v = V128::from([0xffa0_0001u32, 0x3f80_0000, 0x7fc0_0001, 0]);
    assert_eq!(f32x4_canonical(v).u32x4(), [0x7fc0_0000, 0x3f80_0000, 0x7fc0_0000, 0]);
}
