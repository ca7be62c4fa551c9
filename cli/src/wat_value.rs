//! Core values on the command line, as the text format writes them (core specification 6.3 "Values"): what `run --invoke`
//! reads and prints.

use mini_wasm_runtime::types::{HeapType, RefType, ValType};
use mini_wasm_runtime::{AnyRef, Val};

/// Reads a value of a type.
pub(crate) fn parse(ty: ValType, text: &str) -> Result<Val, String> {
    let wrong = || format!("`{text}` is no {ty}");
    match ty {
        ValType::I32 => integer(text, 32).map(|bits| Val::I32(bits as i32)).ok_or_else(wrong),
        ValType::I64 => integer(text, 64).map(|bits| Val::I64(bits as i64)).ok_or_else(wrong),
        ValType::V128 => integer(text, 128).map(Val::V128).ok_or_else(wrong),
        ValType::F32 => {
            let nan = |payload: u64| 0x7f80_0000 | payload as u32;
            let found = match nan_payload(text, 23) {
                Some((negative, payload)) => Some(nan(payload) | u32::from(negative) << 31),
                None => text.replace('_', "").parse().ok().map(f32::to_bits),
            };
            found.map(Val::F32).ok_or_else(wrong)
        }
        ValType::F64 => {
            let found = match nan_payload(text, 52) {
                Some((negative, payload)) => {
                    Some(0x7ff0_0000_0000_0000 | payload | u64::from(negative) << 63)
                }
                None => text.replace('_', "").parse().ok().map(f64::to_bits),
            };
            found.map(Val::F64).ok_or_else(wrong)
        }
        ValType::Ref(RefType { nullable: true, .. }) if text == "null" => {
            Val::default_for(ty).ok_or_else(wrong)
        }
        ValType::Ref(_) => Err(format!("a {ty} cannot be written on the command line, but for `null`")),
    }
}

/// An integer of `bits` bits, signed or not, decimal or hexadecimal: its bits.
fn integer(text: &str, bits: u32) -> Option<u128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with(['+', '-']) => u128::from_str_radix(hex, 16).ok()?,
        Some(_) => return None,
        None => digits.parse().ok()?,
    };
    let mask = u128::MAX >> (128 - bits);
    match negative {
        true => (magnitude <= 1 << (bits - 1)).then(|| magnitude.wrapping_neg() & mask),
        false => (magnitude <= mask).then_some(magnitude),
    }
}

/// Sign and payload of `nan`, `nan:0x123`, for a format with this many bits of significand.
fn nan_payload(text: &str, significand: u32) -> Option<(bool, u64)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let rest = text.strip_prefix("nan")?;
    let payload = match rest.strip_prefix(":0x") {
        Some(hex) if !hex.starts_with(['+', '-']) => u64::from_str_radix(hex, 16).ok()?,
        None if rest.is_empty() => 1 << (significand - 1),
        _ => return None,
    };
    (payload != 0 && payload >> significand == 0).then_some((negative, payload))
}

/// Writes a value so that [`parse`] reads the same bits, references apart.
pub(crate) fn format(val: &Val) -> String {
    match val {
        Val::I32(v) => v.to_string(),
        Val::I64(v) => v.to_string(),
        Val::F32(bits) if f32::from_bits(*bits).is_nan() => {
            nan(*bits >> 31 == 1, u64::from(bits & 0x7f_ffff), 23)
        }
        Val::F64(bits) if f64::from_bits(*bits).is_nan() => {
            nan(*bits >> 63 == 1, bits & 0xf_ffff_ffff_ffff, 52)
        }
        Val::F32(bits) => format!("{:?}", f32::from_bits(*bits)),
        Val::F64(bits) => format!("{:?}", f64::from_bits(*bits)),
        Val::V128(v) => format!("{v:#034x}"),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => "null".into(),
        Val::ExnRef(Some(_)) => HeapType::Exn.to_string(),
        Val::AnyRef(Some(any)) | Val::Externalized(any) => match any {
            AnyRef::I31(value) => format!("{} {value}", HeapType::I31),
            AnyRef::Host(host) => format!("{} {}", HeapType::Any, host.0),
            AnyRef::Struct(_) => HeapType::Struct.to_string(),
            AnyRef::Array(_) => HeapType::Array.to_string(),
            AnyRef::Other(_) => HeapType::Any.to_string(),
        },
        Val::FuncRef(Some(_)) => HeapType::Func.to_string(),
        Val::ExternRef(Some(host)) => format!("{} {}", HeapType::Extern, host.0),
    }
}

fn nan(negative: bool, payload: u64, significand: u32) -> String {
    let sign = if negative { "-" } else { "" };
    match payload == 1 << (significand - 1) {
        true => format!("{sign}nan"),
        false => format!("{sign}nan:{payload:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(ty: ValType, text: &str) -> Option<u128> {
        Some(match parse(ty, text).ok()? {
            Val::I32(v) => u128::from(v as u32),
            Val::I64(v) => u128::from(v as u64),
            Val::F32(v) => u128::from(v),
            Val::F64(v) => u128::from(v),
            Val::V128(v) => v,
            Val::FuncRef(_) | Val::ExternRef(_) | Val::AnyRef(_) | Val::Externalized(_) | Val::ExnRef(_) => {
                return None;
            }
        })
    }

    #[test]
    fn an_integer_may_be_signed_unsigned_or_hexadecimal_and_must_fit() {
        assert_eq!(bits(ValType::I32, "-1"), Some(0xffff_ffff));
        assert_eq!(bits(ValType::I32, "4294967295"), Some(0xffff_ffff));
        assert_eq!(bits(ValType::I32, "-0x8000_0000"), Some(0x8000_0000));
        assert_eq!(bits(ValType::I64, "0xffff_ffff_ffff_ffff"), Some(u128::from(u64::MAX)));
        assert_eq!(bits(ValType::V128, "-1"), Some(u128::MAX));
        for wrong in ["", "-", "0x", "4294967296", "-2147483649", "1.0", "x", "+-1", "0x-1", "--1"] {
            assert_eq!(bits(ValType::I32, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_reads_back_to_the_same_bits() {
        let vals = [
            Val::I32(i32::MIN),
            Val::I64(-5),
            Val::V128(1 << 100),
            Val::from(0.1f32),
            Val::from(f64::MIN_POSITIVE / 3.0),
            Val::from(-0.0f64),
            Val::from(f32::NEG_INFINITY),
            Val::F32(0xffc0_0000),
            Val::F32(0x7f80_0001),
            Val::F64(0x7ff8_0000_0000_0000),
            Val::F64(0xfff4_5678_0000_0001),
        ];
        for val in vals {
            let text = format(&val);
            let again = parse(val.ty(), &text).unwrap();
            assert_eq!(format!("{val:?}"), format!("{again:?}"), "{text}");
        }
    }

    #[test]
    fn a_reference_can_only_be_null() {
        assert!(matches!(parse(ValType::Ref(RefType::FUNCREF), "null"), Ok(Val::FuncRef(None))));
        assert!(parse(ValType::Ref(RefType::EXTERNREF), "1").is_err());
    }
}
