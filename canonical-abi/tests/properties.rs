//! Random types and values: what is stored and loaded, lowered and lifted, is what it was; and no bytes make lifting panic.

mod plain_guest;

use mini_wasm_canonical_abi::flatten::flat_count;
use mini_wasm_canonical_abi::load::load;
use mini_wasm_canonical_abi::store::store;
use mini_wasm_canonical_abi::string::SourceEncoding;
use mini_wasm_canonical_abi::*;
use plain_guest::PlainGuest;
use proptest::collection::vec;
use proptest::prelude::*;

fn types() -> impl Strategy<Value = ValType> {
    use ValType::*;
    let leaf = prop_oneof![
        4 => prop::sample::select(std::vec![
            Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String,
        ]),
        1 => (1usize..300).prop_map(|n| ValType::enumeration((0..n).map(|i| format!("e{i}"))).unwrap()),
        1 => (1usize..=32).prop_map(|n| ValType::flags((0..n).map(|i| format!("b{i}"))).unwrap()),
    ];
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

fn values(t: &ValType) -> BoxedStrategy<Val> {
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
            prop_oneof!["[ -~]{0,8}", "[ -ÿ]{0,8}", ".{0,8}"],
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
        ValType::Own(_) | ValType::Borrow(_) => unreachable!("handles have tests of their own"),
    }
}

fn options() -> impl Strategy<Value = Options> {
    (
        prop::sample::select(std::vec![
            StringEncoding::Utf8,
            StringEncoding::Utf16,
            StringEncoding::Latin1OrUtf16,
        ]),
        prop::sample::select(std::vec![PtrType::I32, PtrType::I32, PtrType::I64]),
    )
        .prop_map(|(string_encoding, ptr_type)| Options {
            string_encoding,
            ptr_type,
            ..Options::default()
        })
}

fn typed_values(n: usize) -> impl Strategy<Value = (Vec<ValType>, Vec<Val>)> {
    vec(types(), 0..=n).prop_flat_map(|types| {
        let vals = each(types.iter());
        (Just(types), vals)
    })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_stored_is_loaded((types, vals) in typed_values(1), opts in options()) {
        for (t, val) in types.iter().zip(&vals) {
            val.check(t).unwrap();
            let mut guest = PlainGuest::new(1 << 16);
            guest.next = 1 << 14;
            let mut cx = LiftLowerContext::new(&mut guest, opts);
            store(&mut cx, val, t, 8).unwrap();
            prop_assert_eq!(&load(&mut cx, 8, t).unwrap(), val);
        }
    }

    #[test]
    fn what_is_lowered_is_lifted((types, vals) in typed_values(4), opts in options(), out_param in any::<bool>()) {
        for max_flat in [MAX_FLAT_PARAMS, MAX_FLAT_RESULTS] {
            let mut guest = PlainGuest::new(1 << 16);
            guest.next = 1 << 14;
            let mut cx = LiftLowerContext::new(&mut guest, opts);
            let mut slots = [u64::MAX; MAX_FLAT_PARAMS];
            let mut out = CoreValueSink::new(&mut slots);
            let spilled = flat_count(&types) > max_flat;
            let to = (spilled && out_param).then_some(64);
            lower_flat_values(&mut cx, max_flat, &vals, &types, to, &mut out).unwrap();
            let filled = out.filled();
            let expected = match to {
                Some(_) => 0,
                None if spilled => 1,
                None => flat_count(&types),
            };
            prop_assert_eq!(filled, expected);
            if let Some(ptr) = to {
                slots[0] = ptr as u64;
            }
            let lifted = lift_flat_values(&mut cx, max_flat, &mut CoreValueIter::new(&slots), &types).unwrap();
            prop_assert_eq!(&lifted, &vals);
        }
    }

    #[test]
    fn no_bytes_make_lifting_panic_and_what_it_takes_is_of_its_type(
        t in types(),
        opts in options(),
        bytes in vec(prop_oneof![Just(0u8), Just(1), 0u8..64, any::<u8>()], 64..4096),
        flat in vec(prop_oneof![0u64..4, 0u64..256, any::<u64>()], 16),
    ) {
        let mut guest = PlainGuest::new(0);
        guest.memory = bytes;
        let opts = Options { copy_budget: 1 << 20, ..opts };
        let types = [t];
        for max_flat in [MAX_FLAT_PARAMS, 0] {
            let mut cx = LiftLowerContext::new(&mut guest, opts);
            match lift_flat_values(&mut cx, max_flat, &mut CoreValueIter::new(&flat), &types) {
                Ok(vals) => vals[0].check(&types[0]).unwrap(),
                Err(Error::Trap(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
