//! Rust types and `Val` are two ways to the same bytes, flat values, `realloc` calls, results and traps.

mod plain_guest;

use mini_wasm_canonical_abi::lift::lift_flat;
use mini_wasm_canonical_abi::load::load;
use mini_wasm_canonical_abi::lower::lower_flat;
use mini_wasm_canonical_abi::store::store;
use mini_wasm_canonical_abi::typed::{
    LiftList, LiftOptional, LowerList, LowerOptional, ValueList, func_type,
};
use mini_wasm_canonical_abi::*;
use plain_guest::{PlainGuest, trap};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

record! {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Entry = "entry" {
        pub r#type: Kind,
        pub name: String,
        size_now: Option<u64> = "size",
        ok: bool,
    }
}

variant! {
    #[derive(Clone, Debug, PartialEq)]
    pub enum Shape = "shape" {
        Nothing,
        Circle(f32),
        Polygon(Vec<(f64, f64)>) = "poly-gon",
        Named(String),
    }
}

enumeration! {
    /// With a case for each label form.
    pub enum Kind = "kind" { Unknown, BlockDevice, IPv4 = "ipv4" }
}

flags! {
    pub struct Access = "access" { READ, WRITE, FILE_SYNC, D, E, F, G, H, LAST }
}

struct Stream;

const ENCODINGS: [StringEncoding; 3] =
    [StringEncoding::Utf8, StringEncoding::Utf16, StringEncoding::Latin1OrUtf16];

fn options() -> impl Iterator<Item = Options> {
    [PtrType::I32, PtrType::I64].into_iter().flat_map(|ptr_type| {
        ENCODINGS.map(|string_encoding| Options { string_encoding, ptr_type, ..Options::default() })
    })
}

/// Stores and loads, lowers and lifts `value` in both ways and compares everything.
fn both_ways<T: Lower + Lift + PartialEq + Debug>(value: T) {
    let t = T::val_type().unwrap();
    assert_eq!(t.layout(), T::LAYOUT, "{t:?}");
    for opts in options() {
        // In memory: typed store, dynamic load, dynamic store, typed load.
        let mut typed = PlainGuest::new(4096);
        let at = 8;
        typed.next = 256;
        value.store(&mut LiftLowerContext::new(&mut typed, opts), at).unwrap();
        let val = load(&mut LiftLowerContext::new(&mut typed, opts), at, &t).unwrap();
        val.check(&t).unwrap();
        let mut dynamic = PlainGuest::new(4096);
        dynamic.next = 256;
        // The host's strings are UTF-8; `val` has been told otherwise by the guest it came from.
        let val = of_host(val);
        store(&mut LiftLowerContext::new(&mut dynamic, opts), &val, &t, at).unwrap();
        assert_eq!(typed.memory, dynamic.memory, "{t:?} {opts:?}");
        assert_eq!(typed.calls, dynamic.calls, "{t:?} {opts:?}");
        assert_eq!(T::load(&mut LiftLowerContext::new(&mut dynamic, opts), at).unwrap(), value);

        // As core values.
        if T::LAYOUT.flat_count() > MAX_FLAT_PARAMS {
            continue;
        }
        let (mut typed, mut dynamic) = (PlainGuest::new(4096), PlainGuest::new(4096));
        let (mut a, mut b) = ([1; 16], [2; 16]);
        let mut out = CoreValueSink::new(&mut a);
        value.lower_flat(&mut LiftLowerContext::new(&mut typed, opts), &mut out).unwrap();
        let filled = out.filled();
        let mut out = CoreValueSink::new(&mut b);
        lower_flat(&mut LiftLowerContext::new(&mut dynamic, opts), &val, &t, &mut out).unwrap();
        assert_eq!(filled, out.filled());
        assert_eq!(filled, T::LAYOUT.flat_count());
        assert_eq!(a[..filled], b[..filled], "{t:?}");
        assert_eq!(typed.memory, dynamic.memory);
        let mut cx = LiftLowerContext::new(&mut typed, opts);
        let mut vi = CoreValueIter::new(&a[..filled]);
        assert_eq!(T::lift_flat(&mut cx, &mut vi).unwrap(), value);
        assert_eq!(vi.taken(), filled);
        let mut vi = CoreValueIter::new(&a[..filled]);
        assert_eq!(of_host(lift_flat(&mut cx, &mut vi, &t).unwrap()), val);
        assert_eq!(vi.taken(), filled);
    }
}

/// `val` with its strings as the host would make them.
fn of_host(val: Val) -> Val {
    let all = |vals: Vec<Val>| vals.into_iter().map(of_host).collect::<Vec<Val>>();
    let boxed = |val: Option<Box<Val>>| val.map(|val| Box::new(of_host(*val)));
    match val {
        Val::String(text) => Val::from(text.into_string()),
        Val::List(List::Vals(vals)) => Val::List(all(vals).into()),
        Val::Record(vals) => Val::Record(all(vals)),
        Val::Tuple(vals) => Val::Tuple(all(vals)),
        Val::Map(entries) => Val::Map(entries.into_iter().map(|(k, v)| (of_host(k), of_host(v))).collect()),
        Val::Variant { case, payload } => Val::Variant { case, payload: boxed(payload) },
        Val::Option(payload) => Val::Option(boxed(payload)),
        Val::Result(Ok(payload)) => Val::Result(Ok(boxed(payload))),
        Val::Result(Err(payload)) => Val::Result(Err(boxed(payload))),
        val => val,
    }
}

#[test]
fn numbers_bool_and_char_go_both_ways() {
    both_ways((u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN, u64::MAX, i64::MIN));
    both_ways((1.5f32, -0.0f64, true, false, 'ß', '\u{10ffff}'));
    both_ways((-1i8, -1i16, -1i32, -1i64));
}

#[test]
fn strings_go_both_ways() {
    for text in ["", "plain", "grüße", "☃", "a☃ö🍰", "\0", "ÿ\u{100}"] {
        both_ways(text.to_string());
        both_ways((1u8, text.to_string(), 2u8));
        both_ways(vec![text.to_string(); 3]);
    }
}

#[test]
fn lists_go_both_ways() {
    both_ways(vec![1u8, 2, 3]);
    both_ways(Vec::<u8>::new());
    both_ways((1u8, vec![u64::MAX, 1, 0], vec![1.5f32, -0.0], vec![true, false], vec!['a', '☃']));
    both_ways(vec![vec![(1u8, 2u32)], vec![], vec![(3, 4), (5, 6)]]);
}

#[test]
fn maps_and_arrays_go_both_ways() {
    both_ways(BTreeMap::from([("one".to_string(), 1_u16), ("two".to_string(), 2), (String::new(), 0)]));
    both_ways(BTreeMap::<char, bool>::new());
    both_ways(vec![BTreeMap::from([(1_u8, vec!["é".to_string()])])]);
    both_ways([1_u16, 2, 3]);
    both_ways([["a".to_string(), "b".to_string()], ["c".to_string(), "d".to_string()]]);
    both_ways((7_u8, [(1_u32, false), (2, true)], 9_u64));
    both_ways([0_u8; 40]);
}

#[test]
fn of_two_pairs_with_one_key_the_later_one_counts() {
    let mut guest = PlainGuest::new(4096);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    vec![(5_u32, 1_u32), (6, 2), (5, 3)].store(&mut cx, 8).unwrap();
    assert_eq!(BTreeMap::<u32, u32>::load(&mut cx, 8).unwrap(), BTreeMap::from([(5, 3), (6, 2)]));
}

#[test]
fn options_and_results_go_both_ways() {
    both_ways((Some(1u8), None::<u64>, Some(Some(2u16)), Some(None::<u8>)));
    both_ways(Ok::<u32, String>(7));
    both_ways(Err::<u32, String>("why".into()));
    both_ways(Ok::<(), ()>(()));
    both_ways(Err::<(), ()>(()));
    both_ways((Ok::<(), u8>(()), Err::<(), u8>(3), Ok::<f64, ()>(0.5), Err::<f32, u64>(1 << 40)));
}

#[test]
fn declared_types_go_both_ways() {
    for kind in Kind::ALL {
        both_ways(*kind);
    }
    for size_now in [None, Some(1 << 40)] {
        both_ways(Entry { r#type: Kind::IPv4, name: "näme".into(), size_now, ok: true });
    }
    for shape in [
        Shape::Nothing,
        Shape::Circle(2.5),
        Shape::Polygon(vec![(1.0, 2.0), (3.0, 4.0)]),
        Shape::Named("ö☃".into()),
    ] {
        both_ways(shape.clone());
        both_ways(vec![shape.clone(), Shape::Nothing]);
        both_ways(Some(shape));
    }
    for access in [Access::empty(), Access::all(), Access::READ | Access::LAST] {
        both_ways(access);
        both_ways((access, 1u8));
    }
    both_ways((1u8, 2u16, 3u32, 4u64, 5u8, 6u8, 7u8, 8u8, 9u8, 10u8, 11u8, 12u64));
}

#[test]
fn labels_come_from_the_rust_names_unless_given() {
    assert_eq!(
        format!("{:?}", Entry::val_type().unwrap()),
        "record { type: enum { unknown, block-device, ipv4 }, name: string, size: option<u64>, ok: bool }"
    );
    assert_eq!(
        format!("{:?}", Shape::val_type().unwrap()),
        "variant { nothing, circle(f32), poly-gon(list<tuple<f64, f64>>), named(string) }"
    );
    assert_eq!(
        format!("{:?}", Access::val_type().unwrap()),
        "flags { read, write, file-sync, d, e, f, g, h, last }"
    );
    assert_eq!(Entry::WIT_NAME, "entry");
    assert_eq!(format!("{:?}", Access::READ | Access::D), "{READ, D}");
}

#[test]
fn borrowed_forms_lower_like_owned_ones() {
    fn bytes<T: Lower + ?Sized>(value: &T) -> Vec<u8> {
        let mut guest = PlainGuest::new(512);
        guest.next = 64;
        value.store(&mut LiftLowerContext::new(&mut guest, Options::default()), 0).unwrap();
        guest.memory
    }
    assert_eq!(bytes("text"), bytes(&"text".to_string()));
    assert_eq!(bytes(&Cow::Borrowed("text")), bytes("text"));
    assert_eq!(bytes(&[1u16, 2][..]), bytes(&vec![1u16, 2]));
    assert_eq!(bytes(&(&"a", &7u8)), bytes(&("a".to_string(), 7u8)));
    assert_eq!(bytes(&Some(&[1u8][..])), bytes(&Some(vec![1u8])));
    assert_eq!(bytes(&Box::new(5u32)), bytes(&5u32));
}

#[test]
fn handles_pass_through_the_table_of_the_guest() {
    let mut guest = PlainGuest::new(256);
    let mut flat = [0; 2];
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    (Own::<Stream>::new(7), Borrow::<Stream>::new(8))
        .lower_flat(&mut cx, &mut CoreValueSink::new(&mut flat))
        .unwrap();
    assert_eq!(flat, [1, 2]);
    let (own, borrow) =
        <(Borrow<Stream>, Borrow<Stream>)>::lift_flat(&mut cx, &mut CoreValueIter::new(&flat)).unwrap();
    assert_eq!((own.rep(), borrow.rep()), (7, 8));
    let lent = Own::<Stream>::lift_flat(&mut cx, &mut CoreValueIter::new(&flat)).unwrap_err();
    assert_eq!(trap(lent), Trap::HandleLent);
    guest.subtask.deliver_resolve(&mut guest.handles);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    assert_eq!(Own::<Stream>::lift_flat(&mut cx, &mut CoreValueIter::new(&flat)).unwrap().rep(), 7);
    let wrong = Borrow::<str>::lift_flat(&mut cx, &mut CoreValueIter::new(&[2])).unwrap_err();
    assert!(matches!(trap(wrong), Trap::WrongResourceType { index: 2, .. }));
}

#[test]
fn parameters_beyond_sixteen_go_through_memory_in_both_ways() {
    type Params = (String, String, String, String, String, String, String, String, u8);
    let s = |n: u8| format!("text {n}");
    let params: Params = (s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7), 9);
    for opts in options() {
        let (mut typed, mut dynamic) = (PlainGuest::new(4096), PlainGuest::new(4096));
        let (mut a, mut b) = ([0; 1], [0; 1]);
        let mut cx = LiftLowerContext::new(&mut typed, opts);
        params.lower_flat_values(&mut cx, MAX_FLAT_PARAMS, None, &mut CoreValueSink::new(&mut a)).unwrap();
        let lifted = Params::lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut CoreValueIter::new(&a)).unwrap();
        assert_eq!(lifted, params);

        let types = Params::val_types().unwrap();
        let mut cx = LiftLowerContext::new(&mut dynamic, opts);
        let vals: Vec<Val> = (0..8).map(|n| Val::from(s(n))).chain([Val::U8(9)]).collect();
        lower_flat_values(&mut cx, MAX_FLAT_PARAMS, &vals, &types, None, &mut CoreValueSink::new(&mut b))
            .unwrap();
        assert_eq!(a, b);
        assert_eq!(
            lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut CoreValueIter::new(&b), &types).unwrap(),
            vals
        );
        assert_eq!(typed.memory, dynamic.memory);
        assert_eq!(typed.calls, dynamic.calls);

        let traps = [(2, Trap::UnalignedPointer), (4096, Trap::OutOfBounds(error::Content::Values))];
        for (ptr, expected) in traps {
            let flat = [ptr];
            let mut vi = CoreValueIter::new(&flat);
            let mut cx = LiftLowerContext::new(&mut typed, opts);
            assert_eq!(
                trap(Params::lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut vi).unwrap_err()),
                expected
            );
            let mut vi = CoreValueIter::new(&flat);
            let mut cx = LiftLowerContext::new(&mut dynamic, opts);
            assert_eq!(
                trap(lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut vi, &types).unwrap_err()),
                expected
            );
        }
    }
}

#[test]
fn a_result_of_two_core_values_goes_where_the_guest_said() {
    let mut guest = PlainGuest::new(256);
    let opts = Options::default();
    let mut none = [0; 0];
    let mut out = CoreValueSink::new(&mut none);
    let result: Result<String, Kind> = Ok("yes".into());
    result.lower_flat_result(&mut LiftLowerContext::new(&mut guest, opts), Some(100), &mut out).unwrap();
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    let lifted = <Result<String, Kind>>::lift_flat_result(&mut cx, &mut CoreValueIter::new(&[100])).unwrap();
    assert_eq!(lifted, result);
    for (ptr, expected) in [(101, Trap::UnalignedPointer), (252, Trap::OutOfBounds(error::Content::Values))] {
        let error =
            result.lower_flat_result(&mut cx, Some(ptr), &mut CoreValueSink::new(&mut [])).unwrap_err();
        assert_eq!(trap(error), expected);
    }
    // One core value is returned as it is, and no value as nothing.
    let mut one = [0; 1];
    Kind::IPv4.lower_flat_result(&mut cx, None, &mut CoreValueSink::new(&mut one)).unwrap();
    assert_eq!(one, [2]);
    ().lower_flat_result(&mut cx, None, &mut CoreValueSink::new(&mut [])).unwrap();
    <()>::lift_flat_result(&mut cx, &mut CoreValueIter::new(&[])).unwrap();
}

#[test]
fn the_type_of_a_rust_function_has_its_parameters_and_result() {
    let ft = func_type::<(String, Own<Stream>), Result<(), Kind>>().unwrap();
    assert_eq!(ft.param_types(), [ValType::String, ValType::Own(ResourceType::host::<Stream>())]);
    assert_eq!(ft.result(), Some(&ValType::result(None, Some(Kind::val_type().unwrap())).unwrap()));
    assert_eq!(func_type::<(), ()>().unwrap().result(), None);
}

#[test]
fn typed_and_dynamic_ways_trap_alike_on_hostile_bytes() {
    fn same<T: Lift + Debug>(bytes: &[u8]) -> Trap {
        let t = T::val_type().unwrap();
        let mut guest = PlainGuest::new(64);
        guest.memory[..bytes.len()].copy_from_slice(bytes);
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        let typed = trap(T::load(&mut cx, 0).unwrap_err());
        assert_eq!(trap(load(&mut cx, 0, &t).unwrap_err()), typed);
        typed
    }
    let disc = |discriminant, cases| Trap::InvalidDiscriminant { discriminant, cases };
    assert_eq!(same::<Kind>(&[3]), disc(3, 3));
    assert_eq!(same::<Kind>(&[255]), disc(255, 3));
    assert_eq!(same::<Shape>(&[4]), disc(4, 4));
    assert_eq!(same::<Option<u8>>(&[2]), disc(2, 2));
    assert_eq!(same::<Result<(), ()>>(&[2]), disc(2, 2));
    assert_eq!(same::<char>(&[0, 0xd8, 0, 0]), Trap::InvalidChar(0xd800));
    assert_eq!(same::<char>(&[0, 0, 0x11, 0]), Trap::InvalidChar(0x11_0000));
    assert_eq!(same::<Vec<u32>>(&[2, 0, 0, 0, 1, 0, 0, 0]), Trap::UnalignedPointer);
    assert_eq!(same::<Vec<u32>>(&[64, 0, 0, 0, 1, 0, 0, 0]), Trap::OutOfBounds(error::Content::List));
    assert_eq!(same::<Vec<u32>>(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), Trap::TooLong(error::Content::List));
    assert_eq!(same::<String>(&[65, 0, 0, 0, 0, 0, 0, 0]), Trap::OutOfBounds(error::Content::String));
    // Flag bits beyond the labels are dropped by both.
    let mut guest = PlainGuest::new(64);
    guest.memory[..2].copy_from_slice(&[0xff, 0xff]);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    assert_eq!(Access::load(&mut cx, 0).unwrap(), Access::all());
    assert_eq!(load(&mut cx, 0, &Access::val_type().unwrap()).unwrap(), Val::Flags(0x1ff));
    assert_eq!(Access::lift_flat(&mut cx, &mut CoreValueIter::new(&[u64::MAX])).unwrap(), Access::all());
}

/// Lifts a `T` from `memory` and `flat` in both ways and, if that is one, lowers it again in both ways.
fn same_from<T: Lift + Lower>(memory: &[u8], flat: &[u64; MAX_FLAT_PARAMS], opts: Options) {
    let t = T::val_type().unwrap();
    let mut guest = PlainGuest::new(0);
    guest.memory = memory.to_vec();
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    let (mut typed_vi, mut dynamic_vi) = (CoreValueIter::new(flat), CoreValueIter::new(flat));
    for typed in [true, false].map(|in_memory| {
        if in_memory {
            (T::load(&mut cx, 0), load(&mut cx, 0, &t))
        } else {
            (T::lift_flat(&mut cx, &mut typed_vi), lift_flat(&mut cx, &mut dynamic_vi, &t))
        }
    }) {
        match typed {
            (Ok(value), Ok(val)) => {
                let (mut a, mut b) = (PlainGuest::new(1 << 16), PlainGuest::new(1 << 16));
                (a.next, b.next) = (4096, 4096);
                value.store(&mut LiftLowerContext::new(&mut a, opts), 8).unwrap();
                store(&mut LiftLowerContext::new(&mut b, opts), &of_host(val), &t, 8).unwrap();
                assert!(a.memory == b.memory && a.calls == b.calls, "{t:?}");
            }
            (Err(typed), Err(dynamic)) => assert_eq!(trap(typed), trap(dynamic)),
            (typed, dynamic) => panic!("{t:?}: typed {:?}, dynamic {dynamic:?}", typed.err()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_the_same_value_or_the_same_trap_in_both_ways(
        memory in proptest::collection::vec(prop_oneof![4 => Just(0u8), 3 => 0u8..4, 2 => 0u8..64, 1 => any::<u8>()], 256),
        flat in proptest::array::uniform16(prop_oneof![0u64..3, 0u64..64, any::<u64>()]),
        opts in proptest::sample::select(options().collect::<Vec<_>>()),
    ) {
        same_from::<Entry>(&memory, &flat, opts);
        same_from::<Shape>(&memory, &flat, opts);
        same_from::<(Kind, Access, bool, char, f32, f64, i8, i16)>(&memory, &flat, opts);
        same_from::<Option<Result<Vec<Option<u16>>, Shape>>>(&memory, &flat, opts);
        same_from::<(Result<(), Kind>, Result<u64, f32>, Vec<(u8, String)>)>(&memory, &flat, opts);
        same_from::<Vec<Entry>>(&memory, &flat, opts);
    }
}
