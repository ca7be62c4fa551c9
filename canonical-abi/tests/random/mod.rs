//! Random types, and random values of them.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part of this")]

use mini_wasm_canonical_abi::string::SourceEncoding;
use mini_wasm_canonical_abi::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Types without handles.
pub fn types() -> BoxedStrategy<ValType> {
    types_of(leaves())
}

/// Types of all kinds: `own` of resource 0, `borrow` of resource 1.
pub fn types_with_handles() -> BoxedStrategy<ValType> {
    let handles =
        prop_oneof![Just(ValType::Own(ResourceType::Id(0))), Just(ValType::Borrow(ResourceType::Id(1))),];
    types_of(prop_oneof![6 => leaves(), 1 => handles].boxed())
}

fn leaves() -> BoxedStrategy<ValType> {
    use ValType::*;
    prop_oneof![
        4 => prop::sample::select(std::vec![
            Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String,
        ]),
        1 => (1usize..300).prop_map(|n| ValType::enumeration((0..n).map(|i| format!("e{i}"))).unwrap()),
        1 => (1usize..=32).prop_map(|n| ValType::flags((0..n).map(|i| format!("b{i}"))).unwrap()),
    ]
    .boxed()
}

fn types_of(leaf: BoxedStrategy<ValType>) -> BoxedStrategy<ValType> {
    leaf.prop_recursive(4, 24, 5, |part| {
        let maybe = prop::option::of(part.clone());
        prop_oneof![
            part.clone().prop_map(|t| ValType::list(t).unwrap()),
            (part.clone(), 1u32..5).prop_map(|(t, n)| ValType::fixed_length_list(t, n).unwrap()),
            vec(part.clone(), 1..5).prop_map(|ts| {
                ValType::record(ts.into_iter().enumerate().map(|(i, t)| (format!("f{i}"), t))).unwrap()
            }),
            vec(part.clone(), 1..5).prop_map(|ts| ValType::tuple(ts).unwrap()),
            vec(maybe.clone(), 1..5).prop_map(|ts| {
                ValType::variant(ts.into_iter().enumerate().map(|(i, t)| (format!("c{i}"), t))).unwrap()
            }),
            part.clone().prop_map(|t| ValType::option(t).unwrap()),
            (maybe.clone(), maybe).prop_map(|(ok, error)| ValType::result(ok, error).unwrap()),
            (part.clone(), part).prop_map(|(k, v)| ValType::map(k, v).unwrap()),
        ]
    })
    .boxed()
}

fn payload(t: Option<&ValType>) -> BoxedStrategy<Option<Box<Val>>> {
    match t {
        None => Just(None).boxed(),
        Some(t) => values(t).prop_map(|val| Some(Box::new(val))).boxed(),
    }
}

fn each<'t>(types: impl Iterator<Item = &'t ValType>) -> Vec<BoxedStrategy<Val>> {
    types.map(values).collect()
}

/// Values of a type.
pub fn values(t: &ValType) -> BoxedStrategy<Val> {
    match t {
        ValType::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        ValType::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        ValType::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        ValType::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        ValType::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        ValType::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        ValType::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        ValType::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        ValType::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        ValType::F32 => any::<u32>().prop_map(|bits| Val::F32(f32::from_bits(bits))).boxed(),
        ValType::F64 => any::<u64>().prop_map(|bits| Val::F64(f64::from_bits(bits))).boxed(),
        ValType::Char => any::<char>().prop_map(Val::Char).boxed(),
        ValType::String => (
            prop_oneof![
                3 => "[ -~]{0,8}",
                3 => "[ -ÿ]{0,8}",
                3 => ".{0,8}",
                1 => "[ -~]{0,100}.{0,3}[ -ÿ]{0,100}",
            ],
            prop::sample::select(std::vec![
                SourceEncoding::Utf8,
                SourceEncoding::Utf16,
                SourceEncoding::Latin1,
                SourceEncoding::TaggedUtf16,
            ]),
        )
            .prop_map(|(text, encoding)| Val::String(Text::with_encoding(text, encoding)))
            .boxed(),
        ValType::List(t) => {
            let lengths = t.length().map_or(0..4, |n| n as usize..n as usize + 1);
            vec(values(t.element()), lengths).prop_map(|vals| Val::List(vals.into())).boxed()
        }
        ValType::Record(t) => each(t.fields().iter().map(|field| &field.t)).prop_map(Val::Record).boxed(),
        ValType::Tuple(t) => each(t.types().iter()).prop_map(Val::Tuple).boxed(),
        ValType::Variant(t) => {
            let t = t.clone();
            (0..t.cases().len())
                .prop_flat_map(move |case| {
                    payload(t.cases()[case].t.as_ref())
                        .prop_map(move |payload| Val::Variant { case: case as u32, payload })
                })
                .boxed()
        }
        ValType::Enum(t) => (0..t.labels().len() as u32).prop_map(Val::Enum).boxed(),
        ValType::Option(t) => {
            prop::option::of(values(t.some())).prop_map(|val| Val::Option(val.map(Box::new))).boxed()
        }
        ValType::Result(t) => prop_oneof![
            payload(t.ok()).prop_map(|payload| Val::Result(Ok(payload))),
            payload(t.error()).prop_map(|payload| Val::Result(Err(payload))),
        ]
        .boxed(),
        ValType::Map(t) => vec((values(t.key()), values(t.value())), 0..3).prop_map(Val::Map).boxed(),
        ValType::Flags(t) => {
            let all = u32::MAX >> (32 - t.labels().len());
            any::<u32>().prop_map(move |bits| Val::Flags(bits & all)).boxed()
        }
        ValType::Own(rt) => {
            let rt = *rt;
            any::<u64>().prop_map(move |rep| Val::Own(Resource { rt, rep })).boxed()
        }
        ValType::Borrow(rt) => {
            let rt = *rt;
            any::<u64>().prop_map(move |rep| Val::Borrow(Resource { rt, rep })).boxed()
        }
    }
}

/// Up to `n` types, and a value of each.
pub fn typed_values(n: usize) -> impl Strategy<Value = (Vec<ValType>, Vec<Val>)> {
    typed_values_of(types(), n)
}

/// The same of other types.
pub fn typed_values_of(
    types: BoxedStrategy<ValType>,
    n: usize,
) -> impl Strategy<Value = (Vec<ValType>, Vec<Val>)> {
    vec(types, 0..=n).prop_flat_map(|types| {
        let vals = each(types.iter());
        (Just(types), vals)
    })
}
