//! Guests that lie: `realloc` results, pointers, lengths, encodings, and attempts to make the host copy without end. Each
//! test is a row of class G or H of the advisories of other engines.

mod plain_guest;

use mini_wasm_canonical_abi::error::Content;
use mini_wasm_canonical_abi::lift::lift_flat;
use mini_wasm_canonical_abi::load::load;
use mini_wasm_canonical_abi::lower::lower_flat;
use mini_wasm_canonical_abi::store::store;
use mini_wasm_canonical_abi::string::SourceEncoding;
use mini_wasm_canonical_abi::types::MAX_TYPE_DEPTH;
use mini_wasm_canonical_abi::*;
use plain_guest::{Hostile, PlainGuest, ReallocTrapped, trap};

const ENCODINGS: [StringEncoding; 3] =
    [StringEncoding::Utf8, StringEncoding::Utf16, StringEncoding::Latin1OrUtf16];

fn options(string_encoding: StringEncoding) -> Options {
    Options { string_encoding, ..Options::default() }
}

/// Lowers `val` into a fresh guest that is hostile as told.
fn lower_string(
    val: &Val,
    opts: Options,
    hostile: Option<(usize, Hostile)>,
    grow: usize,
) -> (PlainGuest, Result<[u64; 2]>) {
    let mut guest = PlainGuest::new(256);
    guest.hostile = hostile;
    guest.grow = grow;
    let mut flat = [0; 2];
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    let result = lower_flat(&mut cx, val, &ValType::String, &mut CoreValueSink::new(&mut flat));
    (guest, result.map(|()| flat))
}

/// CVE-2026-35195 (the second result was not checked for bounds) and CVE-2026-34942 (only the first was checked for
/// alignment): every source encoding into every other, every `realloc` call of it.
#[test]
fn every_result_of_realloc_is_checked_first_grow_and_shrink_in_all_encodings() {
    let sources =
        [SourceEncoding::Utf8, SourceEncoding::Utf16, SourceEncoding::Latin1, SourceEncoding::TaggedUtf16];
    let mut calls_seen = 0;
    for text in ["", "ascii only", "lätin", "mixed ☃ö🍰", "ö", "☃"] {
        for (source, dst) in sources.into_iter().flat_map(|source| ENCODINGS.map(|dst| (source, dst))) {
            let val = Val::String(Text::with_encoding(text.into(), source));
            let (honest, result) = lower_string(&val, options(dst), None, 0);
            result.unwrap();
            for call in 0..honest.calls.len() {
                calls_seen = calls_seen.max(call + 1);
                let (_, _, alignment, size) = honest.calls[call];
                let lower = |hostile, grow| lower_string(&val, options(dst), Some((call, hostile)), grow).1;
                for hostile in [Hostile::Beyond(8), Hostile::Far, Hostile::Wrapping] {
                    for grow in [0, 64] {
                        let error = lower(hostile, grow).unwrap_err();
                        assert_eq!(
                            trap(error),
                            Trap::ReallocOutOfBounds(Content::String),
                            "{hostile:?} {text}"
                        );
                    }
                }
                match lower(Hostile::Odd, 0) {
                    Err(error) => {
                        assert_eq!(
                            (trap(error), alignment),
                            (Trap::ReallocUnaligned, 2),
                            "{source:?} {dst:?} {text}"
                        );
                    }
                    Ok(_) => assert_eq!(alignment, 1, "{source:?} {dst:?} {text}"),
                }
                match lower(Hostile::Trap, 0).unwrap_err() {
                    Error::Guest(error) => assert!(error.is::<ReallocTrapped>()),
                    error => panic!("{error}"),
                }
                // These harm the guest alone: a region over another one, and the last bytes there are.
                lower(Hostile::Overlap, 0).unwrap();
                let end = lower(Hostile::AtEnd, 0).unwrap();
                if call + 1 == honest.calls.len() {
                    assert_eq!(end[0] as usize, (256 - size) & !(alignment - 1));
                }
            }
        }
    }
    assert_eq!(calls_seen, 3, "first, grow and shrink");
}

#[test]
fn strings_survive_a_memory_that_grows_at_each_realloc() {
    for dst in ENCODINGS {
        let val = Val::from("mixed ☃ö🍰");
        let (mut guest, flat) = lower_string(&val, options(dst), None, 4096);
        let mut cx = LiftLowerContext::new(&mut guest, options(dst));
        let lifted = lift_flat(&mut cx, &mut CoreValueIter::new(&flat.unwrap()), &ValType::String).unwrap();
        assert_eq!(lifted, val);
    }
}

#[test]
fn lists_and_spilled_parameters_check_what_realloc_returns() {
    let list = ValType::list(ValType::U32).unwrap();
    let val = Val::List(vec![1u32, 2, 3].into());
    let many: Vec<ValType> = vec![ValType::U32; 17];
    let vals: Vec<Val> = vec![Val::U32(1); 17];
    let cases = [
        (Hostile::Beyond(4), Trap::ReallocOutOfBounds(Content::List)),
        (Hostile::Far, Trap::ReallocOutOfBounds(Content::List)),
        (Hostile::Wrapping, Trap::ReallocOutOfBounds(Content::List)),
        (Hostile::Odd, Trap::ReallocUnaligned),
    ];
    for (hostile, expected) in cases {
        let mut guest = PlainGuest::new(256);
        guest.hostile = Some((0, hostile));
        let mut flat = [0; 2];
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        let error = lower_flat(&mut cx, &val, &list, &mut CoreValueSink::new(&mut flat)).unwrap_err();
        assert_eq!(trap(error), expected);

        let mut guest = PlainGuest::new(256);
        guest.hostile = Some((0, hostile));
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        let mut out = CoreValueSink::new(&mut flat);
        let error = lower_flat_values(&mut cx, MAX_FLAT_PARAMS, &vals, &many, None, &mut out).unwrap_err();
        let expected = match expected {
            Trap::ReallocOutOfBounds(_) => Trap::ReallocOutOfBounds(Content::Values),
            other => other,
        };
        assert_eq!(trap(error), expected);
    }
}

/// #12886 and its like: also a list of no elements has its pointer checked.
#[test]
fn the_pointer_of_an_empty_list_or_string_is_checked_all_the_same() {
    let list = ValType::list(ValType::U32).unwrap();
    let mut guest = PlainGuest::new(64);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    let mut lift = |t: &ValType, flat: [u64; 2]| lift_flat(&mut cx, &mut CoreValueIter::new(&flat), t);
    assert!(lift(&list, [64, 0]).is_ok());
    assert_eq!(trap(lift(&list, [68, 0]).unwrap_err()), Trap::OutOfBounds(Content::List));
    assert_eq!(trap(lift(&list, [2, 0]).unwrap_err()), Trap::UnalignedPointer);
    assert!(lift(&ValType::String, [64, 0]).is_ok());
    assert_eq!(trap(lift(&ValType::String, [65, 0]).unwrap_err()), Trap::OutOfBounds(Content::String));
}

/// CVE-2026-34941: code units were compared where bytes had to be.
#[test]
fn a_string_may_end_where_the_memory_ends_and_not_one_byte_later() {
    let mut guest = PlainGuest::new(64);
    guest.memory.fill(b'a');
    let mut lift = |encoding, ptr: u64, units: u64| {
        let mut cx = LiftLowerContext::new(&mut guest, options(encoding));
        lift_flat(&mut cx, &mut CoreValueIter::new(&[ptr, units]), &ValType::String).map_err(trap)
    };
    let tag = 1 << 31;
    let beyond = Err(Trap::OutOfBounds(Content::String));
    assert_eq!(lift(StringEncoding::Utf8, 60, 4), Ok("aaaa".into()));
    assert_eq!(lift(StringEncoding::Utf8, 60, 5), beyond);
    assert_eq!(lift(StringEncoding::Utf16, 60, 2), Ok("慡慡".into()));
    assert_eq!(lift(StringEncoding::Utf16, 60, 3), beyond);
    assert_eq!(lift(StringEncoding::Utf16, 62, 2), beyond);
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 60, 4), Ok("aaaa".into()));
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 60, 5), beyond);
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 60, 2 | tag), Ok("慡慡".into()));
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 60, 3 | tag), beyond);
    assert_eq!(lift(StringEncoding::Utf16, 1, 0), Err(Trap::UnalignedPointer));
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 1, 0), Err(Trap::UnalignedPointer));
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, 1, tag), Err(Trap::UnalignedPointer));
}

/// #12886, #12882, #13653: off by one at the largest length, and lengths whose product with the element size wraps.
#[test]
fn lengths_around_the_limit_are_out_of_bounds_or_too_long_and_never_wrap() {
    let mut guest = PlainGuest::new(64);
    let mut lift = |encoding, t: &ValType, length: u64| {
        let mut cx = LiftLowerContext::new(&mut guest, options(encoding));
        trap(lift_flat(&mut cx, &mut CoreValueIter::new(&[0, length]), t).unwrap_err())
    };
    let max = MAX_LIST_BYTE_LENGTH as u64;
    let list = |t| ValType::list(t).unwrap();
    for (t, size) in [(ValType::U8, 1), (ValType::U16, 2), (ValType::U64, 8)] {
        for length in [max / size - 1, max / size] {
            assert_eq!(
                lift(StringEncoding::Utf8, &list(t.clone()), length),
                Trap::OutOfBounds(Content::List)
            );
        }
        for length in [max / size + 1, 1 << 29, 1 << 31, u64::from(u32::MAX)] {
            assert_eq!(lift(StringEncoding::Utf8, &list(t.clone()), length), Trap::TooLong(Content::List));
        }
    }
    let huge = ValType::fixed_length_list(ValType::U8, (1 << 28) - 1).unwrap();
    assert_eq!(lift(StringEncoding::Utf8, &list(huge.clone()), 1), Trap::OutOfBounds(Content::List));
    assert_eq!(lift(StringEncoding::Utf8, &list(huge), u64::from(u32::MAX)), Trap::TooLong(Content::List));
    let string = ValType::String;
    assert_eq!(lift(StringEncoding::Utf8, &string, max), Trap::OutOfBounds(Content::String));
    assert_eq!(lift(StringEncoding::Utf8, &string, max + 1), Trap::TooLong(Content::String));
    assert_eq!(lift(StringEncoding::Utf16, &string, max / 2), Trap::OutOfBounds(Content::String));
    assert_eq!(lift(StringEncoding::Utf16, &string, max / 2 + 1), Trap::TooLong(Content::String));
    // Without the tag the top bit would be a length of 2^31.
    let tag = 1 << 31;
    assert_eq!(
        lift(StringEncoding::Latin1OrUtf16, &string, (max / 2) | tag),
        Trap::OutOfBounds(Content::String)
    );
    assert_eq!(
        lift(StringEncoding::Latin1OrUtf16, &string, (max / 2 + 1) | tag),
        Trap::TooLong(Content::String)
    );
}

#[test]
fn text_that_is_not_text_traps() {
    let mut guest = PlainGuest::new(64);
    let mut lift = |encoding, bytes: &[u8], units: u64| {
        guest.memory[..bytes.len()].copy_from_slice(bytes);
        let mut cx = LiftLowerContext::new(&mut guest, options(encoding));
        lift_flat(&mut cx, &mut CoreValueIter::new(&[0, units]), &ValType::String).map_err(trap)
    };
    // A lone byte, an overlong '/', an encoded surrogate, beyond U+10FFFF, and a sequence that stops.
    for bytes in [&[0xff][..], &[0xc0, 0xaf], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80], &[0xe2, 0x98]] {
        let result = lift(StringEncoding::Utf8, bytes, bytes.len() as u64);
        assert!(matches!(result, Err(Trap::InvalidUtf8(_))), "{bytes:x?}");
    }
    let tag = 1 << 31;
    for (bytes, unit) in [
        (&[0x00, 0xd8][..], 0xd800),
        (&[0xff, 0xdf], 0xdfff),
        (&[0x00, 0xd8, 0x41, 0x00], 0xd800),
        (&[0x00, 0xdc, 0x00, 0xd8], 0xdc00),
    ] {
        let units = bytes.len() as u64 / 2;
        assert_eq!(lift(StringEncoding::Utf16, bytes, units), Err(Trap::UnpairedSurrogate(unit)));
        assert_eq!(
            lift(StringEncoding::Latin1OrUtf16, bytes, units | tag),
            Err(Trap::UnpairedSurrogate(unit))
        );
    }
    assert_eq!(lift(StringEncoding::Latin1OrUtf16, &[0xff, 0x80], 2), Ok("ÿ\u{80}".into()));
}

/// CVE-2026-27204: a list of ten thousand strings that are all the same 64 KiB would be 640 MB on the host.
#[test]
fn a_quadratic_list_of_strings_is_stopped_by_the_copy_budget() {
    let (length, size) = (1000u32, 64 << 10);
    let mut guest = PlainGuest::new(size);
    guest.memory.fill(b'a');
    for i in 0..length as usize {
        guest.memory[8 * i..8 * i + 4].copy_from_slice(&0u32.to_le_bytes());
        guest.memory[8 * i + 4..8 * i + 8].copy_from_slice(&(size as u32).to_le_bytes());
    }
    // The pointers are valid UTF-8 too (0 and 0x10000), so nothing but the budget can stop it.
    let t = ValType::list(ValType::String).unwrap();
    let opts = Options { copy_budget: 1 << 20, ..Options::default() };
    let flat = [0, u64::from(length)];
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    assert_eq!(trap(lift_flat(&mut cx, &mut CoreValueIter::new(&flat), &t).unwrap_err()), Trap::CopyBudget);
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    let error = Vec::<String>::lift_flat(&mut cx, &mut CoreValueIter::new(&flat)).unwrap_err();
    assert_eq!(trap(error), Trap::CopyBudget);
    // The same with little enough of it is within the budget.
    let mut cx = LiftLowerContext::new(&mut guest, opts);
    let lifted = Vec::<String>::lift_flat(&mut cx, &mut CoreValueIter::new(&[0, 5])).unwrap();
    assert_eq!(lifted.iter().map(String::len).sum::<usize>(), 5 * size);
    assert!(cx.budget() < (1 << 20) - 5 * size);
}

#[test]
fn small_elements_that_become_large_values_are_paid_for_as_values() {
    let mut guest = PlainGuest::new(1 << 16);
    guest.memory.fill(0);
    let opts = Options { copy_budget: 1 << 18, ..Options::default() };
    let mut lift = |t: ValType, length: u64| {
        let mut cx = LiftLowerContext::new(&mut guest, opts);
        let lifted = lift_flat(&mut cx, &mut CoreValueIter::new(&[0, length]), &ValType::list(t).unwrap());
        (lifted.map(|_| ()).map_err(trap), cx.budget())
    };
    // A byte each: numbers stay bytes, the rest become values.
    assert_eq!(lift(ValType::U8, 1 << 16), (Ok(()), (1 << 18) - (1 << 16)));
    assert_eq!(lift(ValType::Bool, 1 << 16).0, Err(Trap::CopyBudget));
    assert_eq!(lift(ValType::option(ValType::U8).unwrap(), 1 << 14).0, Err(Trap::CopyBudget));
    assert_eq!(lift(ValType::tuple([ValType::U8]).unwrap(), 1 << 13).0, Err(Trap::CopyBudget));
    assert!(lift(ValType::Bool, 1 << 12).0.is_ok());
}

/// CVE-2026-34943: unknown flag bits made the dynamic way panic.
#[test]
fn flag_bits_without_a_label_are_dropped_in_memory_and_as_core_values() {
    for labels in [1, 3, 8, 9, 16, 17, 31, 32] {
        let t = ValType::flags((0..labels).map(|i| format!("f{i}"))).unwrap();
        let all = Val::Flags(u32::MAX >> (32 - labels));
        let mut guest = PlainGuest::new(64);
        guest.memory.fill(0xff);
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        assert_eq!(load(&mut cx, 0, &t).unwrap(), all);
        assert_eq!(lift_flat(&mut cx, &mut CoreValueIter::new(&[u64::MAX]), &t).unwrap(), all);
        if labels < 32 {
            let error = store(&mut cx, &Val::Flags(1 << labels), &t, 0).unwrap_err();
            assert!(matches!(error, Error::Type(TypeMismatch::Flags { .. })), "{error}");
        }
    }
}

/// dde8960d0d: a discriminant equal to the number of cases went through.
#[test]
fn a_discriminant_is_below_the_number_of_cases() {
    let types = [
        ValType::enumeration((0..3).map(|i| format!("e{i}"))).unwrap(),
        ValType::enumeration((0..256).map(|i| format!("e{i}"))).unwrap(),
        ValType::enumeration((0..300).map(|i| format!("e{i}"))).unwrap(),
        ValType::variant([("a", None), ("b", Some(ValType::U64))]).unwrap(),
        ValType::option(ValType::Bool).unwrap(),
        ValType::result(Some(ValType::U8), None).unwrap(),
    ];
    for (t, cases) in types.iter().zip([3u32, 256, 300, 2, 2, 2]) {
        let mut guest = PlainGuest::new(64);
        guest.memory.fill(0);
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        let mut lift = |discriminant: u32| {
            let mut flat = [0; 3];
            flat[0] = u64::from(discriminant);
            lift_flat(&mut cx, &mut CoreValueIter::new(&flat), t).map_err(trap)
        };
        assert!(lift(cases - 1).is_ok());
        for discriminant in [cases, cases + 1, 0x8000_0000, u32::MAX] {
            assert_eq!(lift(discriminant), Err(Trap::InvalidDiscriminant { discriminant, cases }));
        }
        guest.memory[..4].fill(0xff);
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        match load(&mut cx, 0, t).map_err(trap) {
            Err(Trap::InvalidDiscriminant { .. }) => assert_ne!(cases, 256),
            // One byte cannot be beyond 256 cases.
            result => assert_eq!((result, cases), (Ok(Val::Enum(255)), 256)),
        }
    }
}

#[test]
fn bool_takes_any_number_but_zero_for_true() {
    let mut guest = PlainGuest::new(64);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    for bits in [1u64, 2, 255, 256, 0x8000_0000] {
        assert_eq!(
            lift_flat(&mut cx, &mut CoreValueIter::new(&[bits]), &ValType::Bool).unwrap(),
            Val::Bool(true)
        );
    }
    // What stands above an i32 in its slot is not part of it.
    assert_eq!(
        lift_flat(&mut cx, &mut CoreValueIter::new(&[1 << 32]), &ValType::Bool).unwrap(),
        Val::Bool(false)
    );
    for byte in [1, 2, 0x80, 0xff] {
        cx.bytes_mut(0, 1).unwrap()[0] = byte;
        assert_eq!(load(&mut cx, 0, &ValType::Bool).unwrap(), Val::Bool(true));
    }
}

#[test]
fn the_deepest_type_needs_less_than_256_kib_of_stack() {
    let work = || {
        let mut t = ValType::U8;
        let mut val = Val::U8(7);
        for level in 1..MAX_TYPE_DEPTH {
            let deeper;
            (deeper, val) = match level % 6 {
                0 => (ValType::option(t), Val::Option(Some(Box::new(val)))),
                1 => (ValType::tuple([t]), Val::Tuple(vec![val])),
                2 => (ValType::list(t), Val::List(vec![val].into())),
                3 => (ValType::record([("f", t)]), Val::Record(vec![val])),
                4 => (ValType::result(None, Some(t)), Val::Result(Err(Some(Box::new(val))))),
                _ => (
                    ValType::variant([("c", Some(t))]),
                    Val::Variant { case: 0, payload: Some(Box::new(val)) },
                ),
            };
            t = deeper.unwrap();
        }
        val.check(&t).unwrap();
        let mut guest = PlainGuest::new(8192);
        guest.next = 1024;
        let mut cx = LiftLowerContext::new(&mut guest, Options::default());
        store(&mut cx, &val, &t, 0).unwrap();
        assert_eq!(load(&mut cx, 0, &t).unwrap(), val);
        let mut flat = [0; MAX_FLAT_PARAMS];
        let mut out = CoreValueSink::new(&mut flat);
        lower_flat_values(
            &mut cx,
            MAX_FLAT_PARAMS,
            std::slice::from_ref(&val),
            std::slice::from_ref(&t),
            None,
            &mut out,
        )
        .unwrap();
        let lifted = lift_flat_values(
            &mut cx,
            MAX_FLAT_PARAMS,
            &mut CoreValueIter::new(&flat),
            std::slice::from_ref(&t),
        );
        assert_eq!(lifted.unwrap(), [val.clone()]);
        assert_eq!(t, t.clone());
        assert!(format!("{t:?}").len() > 100 && format!("{val:?}").len() > 100);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn too_few_core_values_are_an_error_of_the_embedder() {
    let mut guest = PlainGuest::new(64);
    let mut cx = LiftLowerContext::new(&mut guest, Options::default());
    let error = lift_flat(&mut cx, &mut CoreValueIter::new(&[1]), &ValType::String).unwrap_err();
    assert!(matches!(error, Error::Type(TypeMismatch::Count { .. })), "{error}");
    let error = lower_flat(&mut cx, &Val::U8(1), &ValType::U8, &mut CoreValueSink::new(&mut [])).unwrap_err();
    assert!(matches!(error, Error::Type(TypeMismatch::Count { .. })), "{error}");
}

#[test]
fn a_value_of_another_type_is_an_error_and_no_panic() {
    let types = [
        ValType::Bool,
        ValType::U8,
        ValType::F64,
        ValType::Char,
        ValType::String,
        ValType::list(ValType::U8).unwrap(),
        ValType::list(ValType::String).unwrap(),
        ValType::fixed_length_list(ValType::U8, 2).unwrap(),
        ValType::record([("f", ValType::U8)]).unwrap(),
        ValType::tuple([ValType::U8]).unwrap(),
        ValType::variant([("c", None)]).unwrap(),
        ValType::enumeration(["e"]).unwrap(),
        ValType::option(ValType::U8).unwrap(),
        ValType::result(None, None).unwrap(),
        ValType::map(ValType::U8, ValType::U8).unwrap(),
        ValType::flags(["a"]).unwrap(),
        ValType::Own(ResourceType::Id(0)),
        ValType::Borrow(ResourceType::Id(0)),
    ];
    let vals = [
        Val::S8(1),
        Val::U16(1),
        Val::F32(1.0),
        Val::List(vec![1u16].into()),
        Val::List(vec![1u8, 2, 3].into()),
        Val::List(vec![Val::Bool(true)].into()),
        Val::Record(vec![]),
        Val::Tuple(vec![Val::U8(1), Val::U8(2)]),
        Val::Variant { case: 9, payload: None },
        Val::Enum(9),
        Val::Option(Some(Box::new(Val::Char('x')))),
        Val::Result(Ok(Some(Box::new(Val::U8(1))))),
        Val::Map(vec![(Val::U8(1), Val::Bool(true))]),
        Val::Flags(2),
    ];
    for t in &types {
        for val in &vals {
            let checked = val.check(t);
            let mut guest = PlainGuest::new(256);
            let mut cx = LiftLowerContext::new(&mut guest, Options::default());
            let stored = store(&mut cx, val, t, 0);
            assert_eq!(checked.is_ok(), stored.is_ok(), "{val:?} as {t:?}");
            let lowered = lower_flat(&mut cx, val, t, &mut CoreValueSink::new(&mut [0; 16]));
            assert_eq!(checked.is_ok(), lowered.is_ok(), "{val:?} as {t:?}");
            if let (Err(mismatch), Err(Error::Type(stored))) = (checked, stored) {
                assert_eq!(mismatch, stored);
            }
        }
    }
}
