//! Random types and values: what is stored and loaded, lowered and lifted, is what it was; and no bytes make lifting panic.

mod plain_guest;
mod random;

use mini_wasm_canonical_abi::flatten::flat_count;
use mini_wasm_canonical_abi::load::load;
use mini_wasm_canonical_abi::store::store;
use mini_wasm_canonical_abi::*;
use plain_guest::PlainGuest;
use proptest::collection::vec;
use proptest::prelude::*;
use random::{typed_values, types};

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
