//! Values of core scripts: the arguments that they give, and the patterns that they hold results against (the reference
//! interpreter's README, "Scripts": `const`, `result_pat`, `num_pat`).

use mini_wasm_runtime::AnyRef;
use mini_wasm_runtime::val::{ExternRef, Val};
use std::fmt::Write;
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};

/// An argument as the engine takes it; `Err` names what the engine has no value for.
pub(crate) fn argument(arg: &WastArgCore<'_>) -> Result<Val, String> {
    Ok(match arg {
        WastArgCore::I32(v) => Val::I32(*v),
        WastArgCore::I64(v) => Val::I64(*v),
        WastArgCore::F32(v) => Val::F32(v.bits),
        WastArgCore::F64(v) => Val::F64(v.bits),
        WastArgCore::V128(v) => Val::V128(u128::from_le_bytes(v.to_le_bytes())),
        WastArgCore::RefExtern(n) => Val::ExternRef(Some(ExternRef(*n))),
        WastArgCore::RefNull(heap) => match abstract_heap(heap) {
            Some(AbstractHeapType::Func | AbstractHeapType::NoFunc) => Val::FuncRef(None),
            Some(AbstractHeapType::Extern | AbstractHeapType::NoExtern) => Val::ExternRef(None),
            Some(AbstractHeapType::Exn | AbstractHeapType::NoExn) => Val::ExnRef(None),
            Some(AbstractHeapType::Cont | AbstractHeapType::NoCont) => {
                return Err(format!("a null of {heap:?}"));
            }
            _ => Val::AnyRef(None),
        },
        WastArgCore::RefHost(n) => Val::AnyRef(Some(AnyRef::Host(ExternRef(*n)))),
    })
}

fn abstract_heap(heap: &HeapType<'_>) -> Option<AbstractHeapType> {
    match heap {
        HeapType::Abstract { ty, .. } => Some(*ty),
        _ => None,
    }
}

/// Does a result fit the pattern?
pub(crate) fn fits(found: &Val, pattern: &WastRetCore<'_>) -> bool {
    match (pattern, found) {
        (WastRetCore::I32(want), Val::I32(have)) => want == have,
        (WastRetCore::I64(want), Val::I64(have)) => want == have,
        (WastRetCore::F32(want), Val::F32(have)) => f32_fits(*have, want),
        (WastRetCore::F64(want), Val::F64(have)) => f64_fits(*have, want),
        (WastRetCore::V128(want), Val::V128(have)) => v128_fits(*have, want),
        (
            WastRetCore::RefNull(None),
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None),
        ) => true,
        (WastRetCore::RefNull(Some(heap)), Val::ExnRef(None)) => {
            matches!(abstract_heap(heap), Some(AbstractHeapType::Exn | AbstractHeapType::NoExn))
        }
        (WastRetCore::RefNull(Some(heap)), Val::AnyRef(None)) => !matches!(
            abstract_heap(heap),
            Some(
                AbstractHeapType::Func
                    | AbstractHeapType::NoFunc
                    | AbstractHeapType::Extern
                    | AbstractHeapType::NoExtern
            )
        ),
        (WastRetCore::RefExtern(None), Val::Externalized(_)) => true,
        (WastRetCore::RefAny, Val::AnyRef(Some(_))) => true,
        (WastRetCore::RefEq, Val::AnyRef(Some(any))) => {
            matches!(any, AnyRef::I31(_) | AnyRef::Struct(_) | AnyRef::Array(_))
        }
        (WastRetCore::RefStruct, Val::AnyRef(Some(any))) => matches!(any, AnyRef::Struct(_)),
        (WastRetCore::RefArray, Val::AnyRef(Some(any))) => matches!(any, AnyRef::Array(_)),
        (WastRetCore::RefI31, Val::AnyRef(Some(any))) => matches!(any, AnyRef::I31(_)),
        (WastRetCore::RefHost(want), Val::AnyRef(Some(any))) => *any == AnyRef::Host(ExternRef(*want)),
        (WastRetCore::RefNull(Some(heap)), Val::FuncRef(None)) => {
            matches!(abstract_heap(heap), None | Some(AbstractHeapType::Func | AbstractHeapType::NoFunc))
        }
        (WastRetCore::RefNull(Some(heap)), Val::ExternRef(None)) => {
            matches!(abstract_heap(heap), Some(AbstractHeapType::Extern | AbstractHeapType::NoExtern))
        }
        (WastRetCore::RefExtern(None), Val::ExternRef(Some(_))) => true,
        (WastRetCore::RefExtern(Some(want)), Val::ExternRef(Some(ExternRef(have)))) => want == have,
        (WastRetCore::RefFunc(_), Val::FuncRef(Some(_))) => true,
        (WastRetCore::Either(cases), _) => cases.iter().any(|case| fits(found, case)),
        _ => false,
    }
}

/// A canonical NaN has only the quiet bit set in its payload, an arithmetic one at least that; the sign is free
/// (core specification 4.3.3 "Floating-Point Operations").
fn f32_fits(have: u32, want: &NanPattern<F32>) -> bool {
    match want {
        NanPattern::CanonicalNan => have & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => have & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(want) => have == want.bits,
    }
}

fn f64_fits(have: u64, want: &NanPattern<F64>) -> bool {
    match want {
        NanPattern::CanonicalNan => have & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => have & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(want) => have == want.bits,
    }
}

fn v128_fits(have: u128, want: &V128Pattern) -> bool {
    let bytes = have.to_le_bytes();
    let lane32 = |i: usize| (have >> (32 * i)) as u32;
    let lane64 = |i: usize| (have >> (64 * i)) as u64;
    match want {
        V128Pattern::I8x16(lanes) => lanes.iter().zip(bytes).all(|(&want, have)| want as u8 == have),
        V128Pattern::I16x8(lanes) => {
            lanes.iter().enumerate().all(|(i, &want)| want as u16 == (have >> (16 * i)) as u16)
        }
        V128Pattern::I32x4(lanes) => lanes.iter().enumerate().all(|(i, &want)| want as u32 == lane32(i)),
        V128Pattern::I64x2(lanes) => lanes.iter().enumerate().all(|(i, &want)| want as u64 == lane64(i)),
        V128Pattern::F32x4(lanes) => lanes.iter().enumerate().all(|(i, want)| f32_fits(lane32(i), want)),
        V128Pattern::F64x2(lanes) => lanes.iter().enumerate().all(|(i, want)| f64_fits(lane64(i), want)),
    }
}

/// Results as a report shows them.
pub(crate) fn show(values: &[Val]) -> String {
    list(values, |text, value| {
        let _ = match value {
            Val::I32(v) => write!(text, "i32 {v} ({v:#x})"),
            Val::I64(v) => write!(text, "i64 {v} ({v:#x})"),
            Val::F32(bits) => write!(text, "f32 {:?} ({bits:#010x})", f32::from_bits(*bits)),
            Val::F64(bits) => write!(text, "f64 {:?} ({bits:#018x})", f64::from_bits(*bits)),
            Val::V128(bits) => write!(text, "v128 {bits:#034x}"),
            Val::FuncRef(None) => write!(text, "null funcref"),
            Val::FuncRef(Some(_)) => write!(text, "a funcref"),
            Val::ExternRef(None) => write!(text, "null externref"),
            Val::ExternRef(Some(ExternRef(n))) => write!(text, "externref {n}"),
            Val::ExnRef(None) => write!(text, "null exnref"),
            Val::ExnRef(Some(_)) => write!(text, "an exnref"),
            Val::AnyRef(None) => write!(text, "null anyref"),
            Val::AnyRef(Some(any)) => write!(text, "{any:?}"),
            Val::Externalized(any) => write!(text, "externref of {any:?}"),
        };
    })
}

/// Patterns as a report shows them.
pub(crate) fn show_patterns(patterns: &[&WastRetCore<'_>]) -> String {
    list(patterns, |text, pattern| {
        let _ = match pattern {
            WastRetCore::I32(v) => write!(text, "i32 {v} ({v:#x})"),
            WastRetCore::I64(v) => write!(text, "i64 {v} ({v:#x})"),
            WastRetCore::F32(NanPattern::Value(v)) => {
                write!(text, "f32 {:?} ({:#010x})", f32::from_bits(v.bits), v.bits)
            }
            WastRetCore::F64(NanPattern::Value(v)) => {
                write!(text, "f64 {:?} ({:#018x})", f64::from_bits(v.bits), v.bits)
            }
            other => write!(text, "{other:?}"),
        };
    })
}

fn list<T>(items: &[T], show: impl Fn(&mut String, &T)) -> String {
    if items.is_empty() {
        return "no results".into();
    }
    let mut text = String::new();
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        show(&mut text, item);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_nan_has_only_the_quiet_bit_and_any_sign() {
        assert!(f32_fits(0x7fc0_0000, &NanPattern::CanonicalNan));
        assert!(f32_fits(0xffc0_0000, &NanPattern::CanonicalNan));
        assert!(!f32_fits(0x7fc0_0001, &NanPattern::CanonicalNan));
        assert!(!f32_fits(0x7f80_0000, &NanPattern::CanonicalNan), "an infinity");
        assert!(f64_fits(0xfff8_0000_0000_0000, &NanPattern::CanonicalNan));
        assert!(!f64_fits(0x7ff8_0000_0000_0001, &NanPattern::CanonicalNan));
    }

    #[test]
    fn an_arithmetic_nan_is_any_quiet_one() {
        assert!(f32_fits(0xffc1_2345, &NanPattern::ArithmeticNan));
        assert!(!f32_fits(0x7fa0_0000, &NanPattern::ArithmeticNan), "a signalling one");
        assert!(f64_fits(0x7ff8_0000_0000_0001, &NanPattern::ArithmeticNan));
        assert!(!f64_fits(0x7ff4_0000_0000_0000, &NanPattern::ArithmeticNan));
    }

    #[test]
    fn numbers_are_held_against_each_other_bit_by_bit() {
        let zero = F32 { bits: 0 };
        assert!(fits(&Val::F32(0), &WastRetCore::F32(NanPattern::Value(zero))));
        assert!(!fits(&Val::F32(0x8000_0000), &WastRetCore::F32(NanPattern::Value(zero))), "-0 is not 0");
        assert!(!fits(&Val::I64(1), &WastRetCore::I32(1)), "another type");
    }

    #[test]
    fn either_takes_any_of_its_cases() {
        let either = WastRetCore::Either(vec![WastRetCore::I32(1), WastRetCore::I32(2)]);
        assert!(fits(&Val::I32(2), &either));
        assert!(!fits(&Val::I32(3), &either));
    }

    #[test]
    fn references_are_told_apart_by_null_kind_and_number() {
        assert!(fits(&Val::ExternRef(Some(ExternRef(3))), &WastRetCore::RefExtern(Some(3))));
        assert!(!fits(&Val::ExternRef(Some(ExternRef(3))), &WastRetCore::RefExtern(Some(4))));
        assert!(!fits(&Val::ExternRef(None), &WastRetCore::RefExtern(None)));
        assert!(fits(&Val::FuncRef(None), &WastRetCore::RefNull(None)));
        assert!(!fits(&Val::FuncRef(None), &WastRetCore::RefFunc(None)));
    }

    #[test]
    fn lanes_are_counted_from_the_low_end() {
        let have = 0x0000_0004_0000_0003_0000_0002_0000_0001;
        assert!(v128_fits(have, &V128Pattern::I32x4([1, 2, 3, 4])));
        assert!(!v128_fits(have, &V128Pattern::I32x4([4, 3, 2, 1])));
        assert!(v128_fits(u128::MAX, &V128Pattern::I8x16([-1; 16])));
    }
}
