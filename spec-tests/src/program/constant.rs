//! Constants of random programs: numbers at which operators change their mind, and any.

use super::Type::{self, *};
use super::choices::Choices;

/// A constant expression of a type, without its parentheses.
pub(super) fn constant(choices: &mut Choices<'_>, ty: Type) -> String {
    const INTEGERS: [u64; 14] = [
        0,
        1,
        u64::MAX,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        i64::MAX as u64,
        1 << 63,
        31,
        64,
        255,
        65532,
        65536,
        1 << 32,
    ];
    const FLOATS: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        2_147_483_648.0,
        -2_147_483_649.0,
        4_294_967_296.0,
        9_223_372_036_854_775_808.0,
        18_446_744_073_709_551_616.0,
        1e-45,
        0.5,
    ];
    // Quiet and signalling, of both signs: which of two an operator gives shows by its payload.
    const NANS: [u64; 4] =
        [0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0002, 0x7ff4_0000_0000_0003, 0xfff4_0000_4000_0004];
    const NANS_32: [u32; 4] = [0x7fc0_0001, 0xffc0_0002, 0x7fa0_0003, 0xffa0_0004];
    let known = !choices.one_in(4);
    match ty {
        I32 => {
            let bits = if known { choices.of(&INTEGERS) } else { choices.bits() };
            format!("i32.const {}", bits as i32)
        }
        I64 => {
            let bits = if known { choices.of(&INTEGERS) } else { choices.bits() };
            format!("i64.const {}", bits as i64)
        }
        F32 => {
            let value = match (known, choices.one_in(4)) {
                (true, true) => f32::from_bits(choices.of(&NANS_32)),
                (true, false) => choices.of(&FLOATS) as f32,
                (false, _) => f32::from_bits(choices.bits() as u32),
            };
            let sign = if value.is_sign_negative() { "-" } else { "" };
            if value.is_nan() {
                format!("f32.const {sign}nan:{:#x}", value.to_bits() & 0x7f_ffff)
            } else {
                format!("f32.const {value:?}")
            }
        }
        F64 => {
            let value = match (known, choices.one_in(4)) {
                (true, true) => f64::from_bits(choices.of(&NANS)),
                (true, false) => choices.of(&FLOATS),
                (false, _) => f64::from_bits(choices.bits()),
            };
            let sign = if value.is_sign_negative() { "-" } else { "" };
            if value.is_nan() {
                format!("f64.const {sign}nan:{:#x}", value.to_bits() & 0xf_ffff_ffff_ffff)
            } else {
                format!("f64.const {value:?}")
            }
        }
        V128 => {
            let halves = [choices.bits(), choices.bits()];
            match choices.below(4) {
                0 => format!("v128.const i64x2 {} {}", halves[0] as i64, halves[1] as i64),
                // The same number in each lane, or few that are not 0: what shapes have in common.
                1 => format!(
                    "v128.const i8x16 {}",
                    [const { String::new() }; 16].map(|_| (halves[0] as i8).to_string()).join(" ")
                ),
                2 => format!("v128.const i16x8 0 1 -1 32767 -32768 255 {} 256", halves[0] as i16),
                _ => format!("v128.const f32x4 0 -0 inf {:?}", (halves[0] as i32) as f32),
            }
        }
        FuncRef => "ref.null func".into(),
        ExternRef => "ref.null extern".into(),
        AnyRef | EqRef | I31Ref => "ref.null none".into(),
        Heap(number) => format!("ref.null $h{number}"),
    }
}
