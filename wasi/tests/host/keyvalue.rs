//! `wasi:config` and `wasi:keyvalue`: what is granted, what both drafts share, and how much is kept.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use mini_wasm_wasi::config;
use mini_wasm_wasi::keyvalue::atomics::{self, CasError, cas};
use mini_wasm_wasi::keyvalue::batch;
use mini_wasm_wasi::keyvalue::store::{self, Bucket, Error, PAGE, bucket, draft};
use mini_wasm_wasi::keyvalue::{KeyValue, Limits};
use mini_wasm_wasi::{Capability, Never, Own, Stop, Wasi};

use crate::sandbox::Sandbox;

fn with(store: KeyValue) -> (Wasi, Own<Bucket>) {
    let mut wasi = Wasi::builder().keyvalue(store).build();
    let bucket = store::open(&mut wasi, "default".into()).unwrap().unwrap();
    (wasi, bucket)
}

/// A store in memory and one in a file, each with these limits.
fn both(limits: Limits, test: impl Fn(&mut Wasi, &Own<Bucket>)) {
    let sandbox = Sandbox::new();
    for store in [KeyValue::memory(limits), KeyValue::file(sandbox.inside("store.redb"), limits).unwrap()] {
        let (mut wasi, bucket) = with(store);
        test(&mut wasi, &bucket);
    }
}

fn set(wasi: &mut Wasi, this: &Own<Bucket>, key: &str, value: &[u8]) -> Result<(), Error> {
    bucket::set(wasi, this.borrow(), key.into(), value.to_vec()).unwrap()
}

fn get(wasi: &mut Wasi, this: &Own<Bucket>, key: &str) -> Option<Vec<u8>> {
    bucket::get(wasi, this.borrow(), key.into()).unwrap().unwrap()
}

#[test]
fn a_batch_ends_at_the_deadline_and_then_nothing_of_it_is_done() {
    both(Limits::default(), |wasi, this| {
        let keys = || (0..1000).map(|n| format!("key-{n}")).collect::<Vec<_>>();
        let pairs = || keys().into_iter().map(|key| (key, b"1".to_vec())).collect::<Vec<_>>();
        wasi.deadline(Arc::new(Instant::now()));
        assert_eq!(batch::set_many(wasi, this.borrow(), pairs()).unwrap_err(), Stop::Deadline);
        wasi.deadline(Arc::new(Never));
        assert_eq!(get(wasi, this, "key-0"), None);
        batch::set_many(wasi, this.borrow(), pairs()).unwrap().unwrap();
        wasi.deadline(Arc::new(Instant::now()));
        assert_eq!(batch::get_many(wasi, this.borrow(), keys()).unwrap_err(), Stop::Deadline);
        assert_eq!(batch::delete_many(wasi, this.borrow(), keys()).unwrap_err(), Stop::Deadline);
        wasi.deadline(Arc::new(Never));
        assert_eq!(get(wasi, this, "key-0").as_deref(), Some(&b"1"[..]));
        batch::delete_many(wasi, this.borrow(), keys()).unwrap().unwrap();
        assert_eq!(get(wasi, this, "key-0"), None);
    });
}

#[test]
fn more_keys_than_there_may_be_are_not_changed_at_once_and_the_names_given_back_are_counted() {
    both(Limits { entries: 10, ..Limits::default() }, |wasi, this| {
        let keys = |count| vec!["key".to_owned(); count];
        let pairs = |count| keys(count).into_iter().map(|key| (key, Vec::new())).collect::<Vec<_>>();
        batch::set_many(wasi, this.borrow(), pairs(10)).unwrap().unwrap();
        assert!(matches!(batch::set_many(wasi, this.borrow(), pairs(11)).unwrap(), Err(Error::Other(_))));
        batch::delete_many(wasi, this.borrow(), keys(10)).unwrap().unwrap();
        assert!(matches!(batch::delete_many(wasi, this.borrow(), keys(11)).unwrap(), Err(Error::Other(_))));
        let many = batch::get_many(wasi, this.borrow(), keys(batch::REPLY / 32)).unwrap();
        assert!(matches!(many, Err(Error::Other(_))), "{:?}", many.map(|pairs| pairs.len()));
    });
}

#[test]
fn the_keys_of_moments_are_charged() {
    let mut builder = Wasi::builder();
    builder.keyvalue(KeyValue::memory(Limits::default())).max_host_memory(1 << 20);
    let mut wasi = builder.build();
    let this = store::open(&mut wasi, "default".into()).unwrap().unwrap();
    let mut kept = Vec::new();
    let stop = loop {
        match cas::new(&mut wasi, this.borrow(), "k".repeat(1024)) {
            Ok(moment) => kept.push(moment.unwrap()),
            Err(stop) => break stop,
        }
        assert!(kept.len() < 2000, "a mebibyte holds no more than 1024 of these keys");
    };
    assert!(stop.to_string().contains("more memory than the host allows"), "{stop}");
    let half = kept.len() / 2;
    kept.drain(..half).for_each(|moment| wasi.resource_drop(moment).unwrap());
    assert!(cas::new(&mut wasi, this.borrow(), "k".repeat(1024)).is_ok());
}

#[test]
fn configuration_is_exactly_what_was_given() {
    let mut wasi = Wasi::builder().build();
    assert_eq!(config::store::get(&mut wasi, "a".into()).unwrap(), Ok(None));
    assert_eq!(config::store::get_all(&mut wasi).unwrap(), Ok(Vec::new()));
    let mut wasi = Wasi::builder().config("a", "1").config("b", "").config("a", "2").build();
    assert_eq!(config::store::get(&mut wasi, "a".into()).unwrap(), Ok(Some("2".into())));
    assert_eq!(config::store::get(&mut wasi, "b".into()).unwrap(), Ok(Some(String::new())));
    let all = [("a", "2"), ("b", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(config::store::get_all(&mut wasi).unwrap().unwrap(), all);
}

#[test]
fn without_a_grant_no_bucket_opens_and_whoever_runs_the_guest_is_told_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    let mut wasi =
        Wasi::builder().on_refusal(Arc::new(move |kind, _: &str| into.lock().unwrap().push(kind))).build();
    for _ in 0..3 {
        assert_eq!(store::open(&mut wasi, String::new()).unwrap(), Err(Error::AccessDenied));
    }
    assert_eq!(*told.lock().unwrap(), [Capability::KeyValue]);
}

#[test]
fn keys_are_set_read_listed_and_deleted_each_bucket_for_itself() {
    both(Limits::default(), |wasi, this| {
        assert_eq!(get(wasi, this, "a"), None);
        set(wasi, this, "a", b"1").unwrap();
        set(wasi, this, "a", b"2").unwrap();
        set(wasi, this, "", b"").unwrap();
        assert_eq!(get(wasi, this, "a").as_deref(), Some(&b"2"[..]));
        assert_eq!(get(wasi, this, "").as_deref(), Some(&b""[..]));
        assert_eq!(bucket::exists(wasi, this.borrow(), "a".into()).unwrap(), Ok(true));
        assert_eq!(bucket::exists(wasi, this.borrow(), "b".into()).unwrap(), Ok(false));
        let other = store::open(wasi, "defaulu".into()).unwrap().unwrap();
        assert_eq!(get(wasi, &other, "a"), None);
        set(wasi, &other, "b", b"3").unwrap();
        let listed = bucket::list_keys(wasi, this.borrow(), None).unwrap().unwrap();
        assert_eq!((listed.keys, listed.cursor), (vec![String::new(), "a".to_owned()], None));
        bucket::delete(wasi, this.borrow(), "a".into()).unwrap().unwrap();
        bucket::delete(wasi, this.borrow(), "a".into()).unwrap().unwrap();
        assert_eq!(get(wasi, this, "a"), None);
        assert_eq!(get(wasi, &other, "b").as_deref(), Some(&b"3"[..]));
    });
}

#[test]
fn a_long_list_comes_page_by_page_by_either_kind_of_cursor() {
    both(Limits::default(), |wasi, this| {
        let entries = (0..2 * PAGE + 1).map(|n| (format!("k{n:05}"), vec![])).collect();
        batch::set_many(wasi, this.borrow(), entries).unwrap().unwrap();
        let (mut by_name, mut cursor) = (Vec::new(), None);
        loop {
            let page = bucket::list_keys(wasi, this.borrow(), cursor).unwrap().unwrap();
            assert!(page.keys.len() <= PAGE);
            by_name.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let (mut by_number, mut cursor) = (Vec::new(), None);
        loop {
            let page = draft::bucket::list_keys(wasi, this.borrow(), cursor).unwrap().unwrap();
            by_number.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(by_name.len(), 2 * PAGE + 1);
        assert_eq!(by_name, by_number);
        let end = draft::bucket::list_keys(wasi, this.borrow(), Some(u64::MAX)).unwrap().unwrap();
        assert!(end.keys.is_empty() && end.cursor.is_none());
    });
}

#[test]
fn several_keys_go_at_once_in_the_form_of_either_draft() {
    both(Limits::default(), |wasi, this| {
        let entries = vec![("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())];
        batch::set_many(wasi, this.borrow(), entries).unwrap().unwrap();
        let keys = || ["a", "x", "b"].map(str::to_owned).to_vec();
        let found = batch::get_many(wasi, this.borrow(), keys()).unwrap().unwrap();
        let names: Vec<_> = found.iter().map(|(key, value)| (&**key, value.is_some())).collect();
        assert_eq!(names, [("a", true), ("x", false), ("b", true)]);
        let found = batch::draft::get_many(wasi, this.borrow(), keys()).unwrap().unwrap();
        let of_b = Some(("b".to_owned(), b"2".to_vec()));
        assert_eq!((found[0].is_some(), &found[1], &found[2]), (true, &None, &of_b));
        batch::delete_many(wasi, this.borrow(), keys()).unwrap().unwrap();
        assert_eq!(get(wasi, this, "a"), None);
    });
}

#[test]
fn a_swap_fails_when_somebody_came_between_even_if_the_value_is_the_same_again() {
    both(Limits::default(), |wasi, this| {
        set(wasi, this, "k", b"1").unwrap();
        let mine = cas::new(wasi, this.borrow(), "k".into()).unwrap().unwrap();
        assert_eq!(cas::current(wasi, mine.borrow()).unwrap(), Ok(Some(b"1".to_vec())));
        set(wasi, this, "k", b"2").unwrap();
        set(wasi, this, "k", b"1").unwrap();
        let Err(CasError::CasFailed(again)) = atomics::swap(wasi, mine, b"3".to_vec()).unwrap() else {
            panic!("it was swapped")
        };
        atomics::swap(wasi, again, b"3".to_vec()).unwrap().unwrap();
        assert_eq!(get(wasi, this, "k").as_deref(), Some(&b"3"[..]));
        let absent = cas::new(wasi, this.borrow(), "new".into()).unwrap().unwrap();
        atomics::swap(wasi, absent, b"made".to_vec()).unwrap().unwrap();
        let absent = cas::new(wasi, this.borrow(), "newer".into()).unwrap().unwrap();
        set(wasi, this, "newer", b"x").unwrap();
        assert!(atomics::swap(wasi, absent, b"y".to_vec()).unwrap().is_err());
    });
}

#[test]
fn numbers_are_counted_and_what_is_none_or_has_no_room_is_an_error() {
    both(Limits::default(), |wasi, this| {
        let up = |wasi: &mut Wasi, delta| atomics::increment(wasi, this.borrow(), "n".into(), delta).unwrap();
        assert_eq!(up(wasi, 5), Ok(5));
        assert_eq!(up(wasi, -7), Ok(-2));
        assert_eq!(get(wasi, this, "n").as_deref(), Some(&b"-2"[..]));
        let unsigned = atomics::draft::increment(wasi, this.borrow(), "n".into(), 1).unwrap();
        assert!(unsigned.is_err(), "the older draft has no negative numbers");
        assert_eq!(up(wasi, i64::MAX), Ok(i64::MAX - 2));
        assert!(up(wasi, 3).is_err());
        assert_eq!(up(wasi, 2), Ok(i64::MAX), "what failed changed nothing");
        let unsigned = atomics::draft::increment(wasi, this.borrow(), "n".into(), u64::MAX).unwrap();
        assert!(unsigned.is_err());
        set(wasi, this, "n", b"one").unwrap();
        assert!(up(wasi, 1).is_err());
    });
}

#[test]
fn names_values_entries_and_bytes_have_limits_and_what_is_refused_changes_nothing() {
    let limits = Limits { key: 10, value: 100, entries: 5, bytes: 300 };
    both(limits, |wasi, this| {
        assert!(set(wasi, this, "12345678901", b"").is_err(), "the key");
        assert!(set(wasi, this, "k", &[0; 101]).is_err(), "the value");
        let long = store::open(wasi, "12345678901".into()).unwrap();
        assert_eq!(long, Err(Error::NoSuchStore));
        let many = |count: usize| (0..count).map(|n| (format!("{n}"), vec![])).collect::<Vec<_>>();
        assert!(batch::set_many(wasi, this.borrow(), many(6)).unwrap().is_err(), "the entries");
        assert_eq!(bucket::list_keys(wasi, this.borrow(), None).unwrap().unwrap().keys.len(), 0);
        batch::set_many(wasi, this.borrow(), many(5)).unwrap().unwrap();
        batch::delete_many(wasi, this.borrow(), many(5).into_iter().map(|(key, _)| key).collect())
            .unwrap()
            .unwrap();
        // The bucket's name counts: 7 bytes, and 1 of the key.
        set(wasi, this, "a", &[1; 100]).unwrap();
        set(wasi, this, "b", &[1; 100]).unwrap();
        assert!(set(wasi, this, "c", &[1; 100]).is_err(), "the bytes");
        set(wasi, this, "a", &[2; 100]).unwrap();
        set(wasi, this, "c", &[1; 60]).unwrap();
        bucket::delete(wasi, this.borrow(), "a".into()).unwrap().unwrap();
        set(wasi, this, "a", &[1; 100]).unwrap();
    });
}

// GHSA-852m-cvvp-9p4w: a key named a million times is no million values in memory.
#[test]
fn a_key_named_many_times_is_not_answered_without_end() {
    let (mut wasi, this) = with(KeyValue::memory(Limits::default()));
    set(&mut wasi, &this, "k", &vec![0; 4 << 20]).unwrap();
    let keys = vec!["k".to_owned(); 1_000_000];
    assert!(batch::get_many(&mut wasi, this.borrow(), keys).unwrap().is_err());
}

#[test]
fn a_file_keeps_what_was_set_and_is_one_hosts_at_a_time() {
    let sandbox = Sandbox::new();
    let path = sandbox.inside("store.redb");
    {
        let (mut wasi, this) = with(KeyValue::file(&path, Limits::default()).unwrap());
        set(&mut wasi, &this, "kept", b"yes").unwrap();
        assert!(KeyValue::file(&path, Limits::default()).is_err(), "it is open");
    }
    let (mut wasi, this) = with(KeyValue::file(&path, Limits { entries: 1, ..Limits::default() }).unwrap());
    assert_eq!(get(&mut wasi, &this, "kept").as_deref(), Some(&b"yes"[..]));
    assert!(set(&mut wasi, &this, "more", b"").is_err(), "what was there counts");
    let noise = sandbox.inside("noise");
    std::fs::write(&noise, [7; 100_000]).unwrap();
    assert!(KeyValue::file(&noise, Limits::default()).is_err());
}

#[test]
fn guests_of_one_builder_share_the_store() {
    let mut builder = Wasi::builder();
    builder.keyvalue(KeyValue::memory(Limits::default()));
    let (mut one, mut other) = (builder.build(), builder.build());
    let of_one = store::open(&mut one, String::new()).unwrap().unwrap();
    let of_other = store::open(&mut other, String::new()).unwrap().unwrap();
    set(&mut one, &of_one, "k", b"v").unwrap();
    assert_eq!(get(&mut other, &of_other, "k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_file_that_was_damaged_is_an_error_and_no_panic() {
    let sandbox = Sandbox::new();
    let whole = sandbox.inside("whole.redb");
    let (mut wasi, bucket) = with(KeyValue::file(&whole, Limits::default()).unwrap());
    for n in 0..100 {
        set(&mut wasi, &bucket, &format!("key-{n}"), &[n; 200]).unwrap();
    }
    drop(wasi);
    let bytes = std::fs::read(&whole).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let count = if std::env::var_os("MINI_WASM_LONG").is_some() { 5000 } else { 150 };
    let damaged = sandbox.inside("damaged.redb");
    let mut number = 1_u64;
    for round in 0..count {
        let mut next = |below: usize| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) as usize % below
        };
        let mut copy = bytes.clone();
        for _ in 0..next(8) + 1 {
            // Where something stands, so that it is read.
            copy[used[next(used.len())]] = next(256) as u8;
        }
        if round % 10 == 0 {
            copy.truncate(next(bytes.len()));
        }
        std::fs::write(&damaged, copy).unwrap();
        let Ok(store) = KeyValue::file(&damaged, Limits::default()) else { continue };
        let (mut wasi, bucket) = with(store);
        for n in [0, 50, 99] {
            let _ = bucket::get(&mut wasi, bucket.borrow(), format!("key-{n}")).unwrap();
        }
        let _ = bucket::list_keys(&mut wasi, bucket.borrow(), None).unwrap();
        let _ = set(&mut wasi, &bucket, "key-50", b"new");
        let _ = atomics::increment(&mut wasi, bucket.borrow(), "key-1".into(), 1).unwrap();
    }
}
