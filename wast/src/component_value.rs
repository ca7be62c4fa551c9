//! Values of component scripts. A script names fields, cases and labels; the engine's values carry indices, so a value of a script
//! becomes one of the engine only together with its type.

use mini_wasm_runtime::component::abi::{Val, ValType};
use wast::component::WastVal;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// An argument of type `ty`; `Err` says what does not fit.
pub(crate) fn argument(arg: &WastArg<'_>, ty: &ValType) -> Result<Val, String> {
    match arg {
        WastArg::Component(value) => self::value(value, ty),
        // The words `f32.const` and `f64.const` are core's too, and core's are read first.
        WastArg::Core(WastArgCore::F32(v)) => checked(Val::F32(f32::from_bits(v.bits)), ty),
        WastArg::Core(WastArgCore::F64(v)) => checked(Val::F64(f64::from_bits(v.bits)), ty),
        other => Err(format!("{other:?} is no component value")),
    }
}

/// Does a result of type `ty` fit what the script says? `Err` says why the script's value is none of that type. There is one NaN among
/// component values, so any NaN pattern means it (CanonicalABI.md, "Loading").
pub(crate) fn fits(found: &Val, pattern: &WastRet<'_>, ty: &ValType) -> Result<bool, String> {
    let nan = match pattern {
        WastRet::Component(value) => return Ok(self::value(value, ty)? == *found),
        WastRet::Core(WastRetCore::F32(NanPattern::Value(v))) => Val::F32(f32::from_bits(v.bits)),
        WastRet::Core(WastRetCore::F64(NanPattern::Value(v))) => Val::F64(f64::from_bits(v.bits)),
        WastRet::Core(WastRetCore::F32(_)) => Val::F32(f32::NAN),
        WastRet::Core(WastRetCore::F64(_)) => Val::F64(f64::NAN),
        other => return Err(format!("{other:?} is no component value")),
    };
    Ok(checked(nan, ty)? == *found)
}

fn checked(value: Val, ty: &ValType) -> Result<Val, String> {
    value.check(ty).map_err(|mismatch| mismatch.to_string())?;
    Ok(value)
}

fn value(script: &WastVal<'_>, ty: &ValType) -> Result<Val, String> {
    let mismatch = || format!("{script:?} is no {}", ty.kind());
    Ok(match (script, ty) {
        (WastVal::Bool(v), ValType::Bool) => Val::Bool(*v),
        (WastVal::U8(v), ValType::U8) => Val::U8(*v),
        (WastVal::S8(v), ValType::S8) => Val::S8(*v),
        (WastVal::U16(v), ValType::U16) => Val::U16(*v),
        (WastVal::S16(v), ValType::S16) => Val::S16(*v),
        (WastVal::U32(v), ValType::U32) => Val::U32(*v),
        (WastVal::S32(v), ValType::S32) => Val::S32(*v),
        (WastVal::U64(v), ValType::U64) => Val::U64(*v),
        (WastVal::S64(v), ValType::S64) => Val::S64(*v),
        (WastVal::F32(v), ValType::F32) => Val::F32(f32::from_bits(v.bits)),
        (WastVal::F64(v), ValType::F64) => Val::F64(f64::from_bits(v.bits)),
        (WastVal::Char(v), ValType::Char) => Val::Char(*v),
        (WastVal::String(v), ValType::String) => Val::from(*v),
        (WastVal::List(items), ValType::List(list)) => {
            Val::List(values(items.iter().map(|item| (item, list.element())))?.into())
        }
        (WastVal::Map(entries), ValType::Map(map)) => {
            let pair =
                |(k, v): &(WastVal<'_>, WastVal<'_>)| Ok((value(k, map.key())?, value(v, map.value())?));
            Val::Map(entries.iter().map(pair).collect::<Result<_, String>>()?)
        }
        (WastVal::Record(fields), ValType::Record(record)) if fields.len() == record.fields().len() => {
            let in_order = record.fields().iter().map(|field| {
                let given = fields.iter().find(|(name, _)| **name == *field.label);
                given.map(|(_, value)| (value, &field.t)).ok_or_else(mismatch)
            });
            Val::Record(values(in_order.collect::<Result<Vec<_>, String>>()?)?)
        }
        (WastVal::Tuple(items), ValType::Tuple(tuple)) if items.len() == tuple.types().len() => {
            Val::Tuple(values(items.iter().zip(tuple.types()))?)
        }
        (WastVal::Variant(name, payload), ValType::Variant(variant)) => {
            let case = variant.cases().iter().position(|case| *case.label == **name).ok_or_else(mismatch)?;
            let payload = optional(payload, variant.cases()[case].t.as_ref(), &mismatch)?;
            Val::Variant { case: case as u32, payload }
        }
        (WastVal::Enum(name), ValType::Enum(labels)) => {
            let label = labels.labels().iter().position(|label| **label == **name).ok_or_else(mismatch)?;
            Val::Enum(label as u32)
        }
        (WastVal::Option(None), ValType::Option(_)) => Val::Option(None),
        (WastVal::Option(Some(some)), ValType::Option(option)) => {
            Val::Option(Some(Box::new(value(some, option.some())?)))
        }
        (WastVal::Result(Ok(ok)), ValType::Result(result)) => {
            Val::Result(Ok(optional(ok, result.ok(), &mismatch)?))
        }
        (WastVal::Result(Err(error)), ValType::Result(result)) => {
            Val::Result(Err(optional(error, result.error(), &mismatch)?))
        }
        (WastVal::Flags(names), ValType::Flags(flags)) => {
            let bit =
                |name: &&str| flags.labels().iter().position(|label| **label == **name).ok_or_else(mismatch);
            Val::Flags(names.iter().try_fold(0, |bits, name| Ok::<u32, String>(bits | 1 << bit(name)?))?)
        }
        _ => return Err(mismatch()),
    })
}

fn values<'v, 'a: 'v>(
    items: impl IntoIterator<Item = (&'v WastVal<'a>, &'v ValType)>,
) -> Result<Vec<Val>, String> {
    items.into_iter().map(|(item, ty)| value(item, ty)).collect()
}

fn optional(
    script: &Option<Box<WastVal<'_>>>,
    ty: Option<&ValType>,
    mismatch: &dyn Fn() -> String,
) -> Result<Option<Box<Val>>, String> {
    match (script, ty) {
        (None, None) => Ok(None),
        (Some(script), Some(ty)) => Ok(Some(Box::new(value(script, ty)?))),
        _ => Err(mismatch()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_find_their_place_by_name() {
        let ty = ValType::record([("a", ValType::U8), ("b", ValType::Bool)]).unwrap();
        let script = WastVal::Record(vec![("b", WastVal::Bool(true)), ("a", WastVal::U8(7))]);
        assert_eq!(value(&script, &ty), Ok(Val::Record(vec![Val::U8(7), Val::Bool(true)])));
        let other = WastVal::Record(vec![("b", WastVal::Bool(true)), ("c", WastVal::U8(7))]);
        assert!(value(&other, &ty).is_err());
    }

    #[test]
    fn cases_and_labels_become_their_numbers() {
        let ty = ValType::enumeration(["x", "y"]).unwrap();
        assert_eq!(value(&WastVal::Enum("y"), &ty), Ok(Val::Enum(1)));
        assert!(value(&WastVal::Enum("z"), &ty).is_err());
        let ty = ValType::flags(["x", "y", "z"]).unwrap();
        assert_eq!(value(&WastVal::Flags(vec!["z", "x"]), &ty), Ok(Val::Flags(0b101)));
    }

    #[test]
    fn a_payload_must_be_there_exactly_when_the_case_has_one() {
        let ty = ValType::result(Some(ValType::U8), None).unwrap();
        let seven = || Some(Box::new(WastVal::U8(7)));
        assert!(value(&WastVal::Result(Ok(seven())), &ty).is_ok());
        assert!(value(&WastVal::Result(Ok(None)), &ty).is_err());
        assert!(value(&WastVal::Result(Err(seven())), &ty).is_err());
    }
}
