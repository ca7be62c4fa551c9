//! What no call of preview 1 may do: wait past the deadline, take the host's memory, hand some of it over, lose a handle.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_runtime::{ErrorKind, Trap};
use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::Errno;
use proptest::prelude::*;

use crate::guest::*;
use crate::sandbox::Sandbox;

/// Ends at the deadline, not sooner and not much later.
fn stopped(guest: &mut Guest, name: &str, args: &[u64]) {
    let begin = Instant::now();
    guest.store.data_mut().deadline(Arc::new(begin + Duration::from_millis(40)));
    let error = guest.raw(name, args).expect_err(name);
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted), "{name}");
    assert!((Duration::from_millis(40)..Duration::from_secs(5)).contains(&begin.elapsed()), "{name}");
}

// Class K.
#[test]
fn every_call_that_may_wait_ends_at_the_deadline() {
    let sandbox = Sandbox::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), mode).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap().listener(listener).unwrap();
    let mut guest = Guest::of(builder.build());
    let listener = u64::from(DIR) + 1;
    assert_eq!(guest.call("sock_accept", &[listener, 0, OUT.into()]), Errno::Success);
    let connection = u64::from(guest.u32(OUT));
    let [at, len] = guest.iovec(1000);
    stopped(&mut guest, "sock_accept", &[listener, 0, OUT.into()]);
    stopped(&mut guest, "sock_recv", &[connection, at, len, 0, OUT.into(), (OUT + 8).into()]);
    stopped(&mut guest, "fd_read", &[connection, at, len, OUT.into()]);
    // A fifo: nobody writes, nobody reads.
    guest.store.data_mut().deadline(Arc::new(Instant::now() + Duration::from_secs(60)));
    let fifo = guest.open("fifo", 0, FD_READ).unwrap();
    stopped(&mut guest, "fd_read", &[fifo.into(), at, len, OUT.into()]);
    assert_eq!(guest.close(fifo), Errno::Success);
    let [path, path_len] = guest.path(PATH, "fifo");
    let open = [DIR.into(), 0, path, path_len, 0, FD_WRITE, 0, 0, OUT.into()];
    stopped(&mut guest, "path_open", &open);
    // A peer that takes nothing.
    guest.store.data_mut().deadline(Arc::new(Instant::now() + Duration::from_millis(300)));
    let [at, len] = guest.iovec(0x8000);
    let begin = Instant::now();
    let error = loop {
        if let Err(error) = guest.raw("sock_send", &[connection, at, len, 0, OUT.into()]) {
            break error;
        }
        assert!(begin.elapsed() < Duration::from_secs(30));
    };
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted));
}

#[test]
fn what_goes_by_length_ends_at_the_deadline() {
    let sandbox = Sandbox::new();
    for n in 0..1500 {
        fs::write(sandbox.inside(&format!("file-{n}")), "").unwrap();
    }
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap();
    let mut guest = Guest::of(builder.build());
    // With the right `fd_allocate`.
    let file = guest.open("file-0", 0, FD_WRITE | (1 << 8)).unwrap();
    let mut over = |name: &str, args: &[u64]| {
        guest.store.data_mut().deadline(Arc::new(Instant::now()));
        let error = guest.raw(name, args).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted), "{name}");
    };
    over("fd_readdir", &[DIR.into(), 0, 65_000, 0, OUT.into()]);
    over("fd_allocate", &[file.into(), 0, 128 << 20]);
    assert!(sandbox.inside("file-0").metadata().unwrap().len() <= 64 << 20, "as far as it came");
}

fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

// Class G, GHSA-x84v-gj2h-g759: how much one call writes is the guest's affair, how much the host keeps of it is not.
#[test]
fn two_gigabytes_in_parts_that_overlap_cost_no_memory() {
    let sandbox = Sandbox::new();
    let mut guest = Guest::in_sandbox(&sandbox, Default::default(), false);
    let before = resident();
    let parts: Vec<(u32, u32)> = (0..1024).map(|n| (0x1000 + n, 0x1_0000)).collect();
    // The array has to lie where it is not in the way: at the end of memory.
    let array: Vec<u8> =
        parts.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect();
    let at = 0x2_0000 - array.len() as u32;
    guest.write(at, &array);
    for _ in 0..32 {
        assert_eq!(guest.call("fd_write", &[1, at.into(), 1024, OUT.into()]), Errno::Success);
        assert_eq!(guest.u32(OUT), 64 << 20);
    }
    assert!(resident() < before + (256 << 20), "{} bytes more", resident() - before);
}

/// Bytes that a guest would recognise.
const MARK: u8 = 0xa5;

// Class I, GHSA-96f6-r43r-8c24: gaps in records.
#[test]
fn gaps_in_records_are_zero_and_nothing_is_written_beside_them() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "x").unwrap();
    let mut guest = Guest::in_sandbox(&sandbox, Default::default(), false);
    let file = u64::from(guest.open("f", 0, FD_READ).unwrap());
    let mut record = |name: &str, args: &[u64], len: usize, gaps: &[(usize, usize)]| {
        guest.write(OUT, &[MARK; 128]);
        assert_eq!(guest.call(name, args), Errno::Success, "{name}");
        let bytes = guest.read(OUT, 128);
        for &(from, to) in gaps {
            assert!(bytes[from..to].iter().all(|byte| *byte == 0), "{name}: {bytes:x?}");
        }
        assert!(bytes[len..].iter().all(|byte| *byte == MARK), "{name}: {bytes:x?}");
    };
    let out = u64::from(OUT);
    record("fd_fdstat_get", &[file, out], 24, &[(1, 2), (4, 8)]);
    record("fd_filestat_get", &[file, out], 64, &[(17, 24)]);
    record("fd_filestat_get", &[1, out], 64, &[(17, 24)]);
    record("fd_prestat_get", &[DIR.into(), out], 8, &[(1, 4)]);
    record("clock_time_get", &[1, 0, out], 8, &[]);
    // A clock that is due: everything in the event is the guest's but for the kind.
    let subscription = OUT + 0x1000;
    guest.write(subscription, &[0; 48]);
    guest.write(OUT, &[MARK; 128]);
    let done = guest.call("poll_oneoff", &[subscription.into(), out, 1, (OUT + 120).into()]);
    assert_eq!(done, Errno::Success);
    let bytes = guest.read(OUT, 120);
    assert_eq!(bytes[..32], [0; 32]);
    assert!(bytes[32..].iter().all(|byte| *byte == MARK));
}

/// How many handles of this process lead to this file.
fn open_handles(path: &std::path::Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.filter(|link| fs::read_link(link.path()).is_ok_and(|target| target == path)).count()
}

/// Opens, closes and renumbers, by numbers that may or may not be open.
fn steps() -> impl Strategy<Value = Vec<(u8, u32, u32)>> {
    prop::collection::vec((0..3_u8, 0..16_u32, 0..16_u32), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    // Class F.
    #[test]
    fn opening_renumbering_and_closing_in_any_order_is_what_a_simple_table_says(steps in steps()) {
        let sandbox = Sandbox::new();
        for file in 0..2 {
            fs::write(sandbox.inside(&file.to_string()), vec![0; file]).unwrap();
        }
        let mut guest = Guest::in_sandbox(&sandbox, Default::default(), false);
        // Of what is open which file it is; the granted directory and the streams are none.
        let mut open: BTreeMap<u32, Option<usize>> = (0..4).map(|fd| (fd, None)).collect();
        for (step, one, other) in steps {
            match step {
                0 if open.len() < 12 && open.contains_key(&DIR) && open[&DIR].is_none() => {
                    let file = (one % 2) as usize;
                    let fd = (0..).find(|fd| !open.contains_key(fd)).unwrap();
                    prop_assert_eq!(guest.open(&file.to_string(), 0, FD_READ | 1 << 21), Ok(fd));
                    open.insert(fd, Some(file));
                }
                // Streams and the directory stay: without them nothing more can be opened.
                1 if one > 3 => {
                    let expected = open.remove(&one).map_or(Errno::BadF, |_| Errno::Success);
                    prop_assert_eq!(guest.close(one), expected);
                }
                2 if one > 3 && other > 3 => {
                    let both = open.contains_key(&one) && open.contains_key(&other);
                    let expected = if both { Errno::Success } else { Errno::BadF };
                    prop_assert_eq!(guest.call("fd_renumber", &[one.into(), other.into()]), expected);
                    if both && one != other {
                        let moved = open.remove(&one).unwrap();
                        open.insert(other, moved);
                    }
                }
                _ => {}
            }
            for (&fd, file) in &open {
                prop_assert_eq!(guest.call("fd_filestat_get", &[fd.into(), OUT.into()]), Errno::Success);
                if let Some(size) = *file {
                    prop_assert_eq!(guest.u64(OUT + 32), size as u64);
                }
            }
        }
        for file in 0..2 {
            let expected = open.values().filter(|open| **open == Some(file)).count();
            prop_assert_eq!(open_handles(&sandbox.inside(&file.to_string())), expected);
        }
        drop(guest);
        for file in 0..2 {
            prop_assert_eq!(open_handles(&sandbox.inside(&file.to_string())), 0);
        }
    }
}

// Class G: `docs/host-memory.md`.
#[test]
fn descriptors_and_listings_are_charged() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "x").unwrap();
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap().max_host_memory(100_000);
    let mut guest = Guest::of(builder.build());
    let list =
        |guest: &mut Guest, fd: u32| guest.call("fd_readdir", &[fd.into(), DATA.into(), 100, 0, OUT.into()]);
    let directories: Vec<u32> = (0..3).map(|_| guest.open(".", DIRECTORY, READDIR).unwrap()).collect();
    let listed = directories.iter().map(|directory| list(&mut guest, *directory));
    assert_eq!(listed.collect::<Vec<_>>(), [Errno::Success, Errno::Success, Errno::NoMem]);
    assert_eq!(guest.close(directories[0]), Errno::Success);
    assert_eq!(list(&mut guest, directories[2]), Errno::Success);
    let opened = (0..1000).take_while(|_| guest.open("f", 0, FD_READ).is_ok()).count();
    assert!((10..500).contains(&opened), "{opened} descriptors in what was left of 100,000 bytes");
    assert_eq!(guest.open("f", 0, FD_READ), Err(Errno::NoMem));
    assert!(guest.store.data().host_memory().used() <= 100_000);
}
