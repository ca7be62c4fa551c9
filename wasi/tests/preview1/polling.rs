//! `poll_oneoff`, and where the two editions differ.

use std::time::{Duration, Instant};
use std::{fs, sync::Arc};

use mini_wasm_runtime::{ErrorKind, Trap};
use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::{Errno, UNSTABLE};

use crate::guest::{DIR, FD_READ, FD_SEEK, Guest, OUT};
use crate::sandbox::Sandbox;

const SUBSCRIPTIONS: u32 = 0x2000;
const EVENTS: u32 = 0x4000;

fn clock(userdata: u64, id: u32, timeout: u64, flags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[16..20].copy_from_slice(&id.to_le_bytes());
    bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
    bytes[40..42].copy_from_slice(&flags.to_le_bytes());
    bytes
}

fn fd(userdata: u64, kind: u8, fd: u32) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = kind;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes
}

/// Userdata, errno, kind and bytes of each event.
fn poll(guest: &mut Guest, subscriptions: &[Vec<u8>]) -> Vec<(u64, Errno, u8, u64)> {
    guest.write(SUBSCRIPTIONS, &subscriptions.concat());
    let args = [SUBSCRIPTIONS.into(), EVENTS.into(), subscriptions.len() as u64, OUT.into()];
    assert_eq!(guest.call("poll_oneoff", &args), Errno::Success);
    (0..guest.u32(OUT))
        .map(|index| {
            let event = guest.read(EVENTS + index * 32, 32);
            let errno = u16::from_le_bytes([event[8], event[9]]);
            let bytes = u64::from_le_bytes(event[16..24].try_into().unwrap());
            assert_eq!(&event[11..16], [0; 5], "padding tells nothing");
            let userdata = u64::from_le_bytes(event[0..8].try_into().unwrap());
            (userdata, Errno::ALL[errno as usize], event[10], bytes)
        })
        .collect()
}

#[test]
fn the_earliest_clock_ends_the_wait() {
    let mut guest = Guest::of(Wasi::builder().build());
    let begin = Instant::now();
    let events = poll(&mut guest, &[clock(1, 1, 20_000_000, 0), clock(2, 0, u64::MAX, 0)]);
    assert_eq!(events, [(1, Errno::Success, 0, 0)]);
    assert!(begin.elapsed() >= Duration::from_millis(20));
    assert_eq!(guest.call("clock_time_get", &[1, 0, 0x10]), Errno::Success);
    let now = guest.u64(0x10);
    // GHSA-w4qr-p94g-mjhv: a time-out of nothing.
    let events = poll(&mut guest, &[clock(1, 1, 0, 0), clock(2, 1, now, 1), clock(3, 0, 0, 1)]);
    assert_eq!(events.len(), 3);
}

#[test]
fn what_is_wrong_with_one_subscription_is_an_event_of_its_own() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "12345").unwrap();
    let mut guest = Guest::of(Wasi::builder().preopen(sandbox.inside(""), "/", false).unwrap().build());
    let file = guest.open("f", 0, FD_READ | FD_SEEK | 1 << 27).unwrap();
    let events = poll(
        &mut guest,
        &[
            fd(1, 1, 99),
            fd(2, 1, file),
            fd(3, 2, file),
            fd(4, 2, 1),
            fd(5, 1, 0),
            clock(6, 2, 0, 0),
            fd(7, 1, DIR),
            clock(8, 9, 0, 0),
            clock(9, 0, 0, 7),
        ],
    );
    assert_eq!(
        events,
        [
            (1, Errno::BadF, 1, 0),
            (2, Errno::Success, 1, 5),
            (3, Errno::BadF, 2, 0),
            (4, Errno::Success, 2, 0),
            (5, Errno::Success, 1, 0),
            (6, Errno::NotSup, 0, 0),
            (7, Errno::BadF, 1, 0),
            (8, Errno::Inval, 0, 0),
            (9, Errno::Inval, 0, 0),
        ]
    );
}

// GHSA-j366-h8gg-77pm: lists that cost the guest nothing.
#[test]
fn a_list_is_bounded_by_memory_and_by_the_host() {
    let mut guest = Guest::of(Wasi::builder().build());
    let mut poll = |n: u64| guest.call("poll_oneoff", &[0, 0, n, OUT.into()]);
    assert_eq!(poll(0), Errno::Inval);
    for n in [3000, 1 << 20, u32::MAX.into(), (1 << 32) / 48 + 1] {
        assert_eq!(poll(n), Errno::Fault, "{n}");
    }
}

#[test]
fn a_wait_is_no_longer_than_the_deadline() {
    let mut guest = Guest::of(Wasi::builder().build());
    let begin = Instant::now();
    guest.store.data_mut().deadline(Arc::new(begin + Duration::from_millis(30)));
    guest.write(SUBSCRIPTIONS, &clock(1, 1, u64::MAX, 0));
    let error = guest.raw("poll_oneoff", &[SUBSCRIPTIONS.into(), EVENTS.into(), 1, OUT.into()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_forerunner_has_its_own_whence_filestat_and_subscription() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "12345").unwrap();
    let wasi = Wasi::builder().preopen(sandbox.inside(""), "/", false).unwrap().build();
    let mut guest = Guest::importing(UNSTABLE, wasi);
    let file = u64::from(guest.open("f", 0, FD_READ | FD_SEEK | 1 << 5 | 1 << 21).unwrap());
    assert_eq!(guest.call("fd_seek", &[file, 2, 2, OUT.into()]), Errno::Success, "2 is from the start");
    assert_eq!(guest.call("fd_seek", &[file, 1, 0, OUT.into()]), Errno::Success, "0 is from here");
    assert_eq!(guest.u64(OUT), 3);
    assert_eq!(guest.call("fd_tell", &[file, OUT.into()]), Errno::Success);
    assert_eq!(guest.u64(OUT), 3);
    assert_eq!(guest.call("fd_seek", &[file, 0, 1, OUT.into()]), Errno::Success, "1 is from the end");
    assert_eq!(guest.u64(OUT), 5);
    guest.write(OUT + 56, &[0xee; 8]);
    assert_eq!(guest.call("fd_filestat_get", &[file, OUT.into()]), Errno::Success);
    assert_eq!((guest.u32(OUT + 20), guest.u64(OUT + 24)), (1, 5), "links, size");
    assert_eq!(guest.read(OUT + 56, 8), [0xee; 8]);
    // A subscription of 56 bytes: the clock stands 8 bytes further on.
    let mut subscription = vec![0; 56];
    subscription[0] = 9;
    subscription[24..28].copy_from_slice(&1_u32.to_le_bytes());
    guest.write(SUBSCRIPTIONS, &subscription);
    let args = [SUBSCRIPTIONS.into(), EVENTS.into(), 1, OUT.into()];
    assert_eq!(guest.call("poll_oneoff", &args), Errno::Success);
    assert_eq!(guest.read(EVENTS, 1), [9]);
}
