//! Arguments, environment, clocks, randomness, standard streams, the end.

use mini_wasm_runtime::{ErrorKind, Trap};
use mini_wasm_wasi::preview1::Errno;
use mini_wasm_wasi::{MemoryInput, MemoryOutput, Output, Stdin, Wasi};

use crate::guest::{DATA, Guest, NONBLOCK, OUT};

#[test]
fn arguments_and_variables_are_exactly_those_given() {
    let mut guest = Guest::of(Wasi::builder().args(["prog", "ä b"]).env("K", "V=W").env("E", "").build());
    assert_eq!(guest.call("args_sizes_get", &[0x10, 0x14]), Errno::Success);
    assert_eq!((guest.u32(0x10), guest.u32(0x14)), (2, 5 + 5));
    assert_eq!(guest.call("args_get", &[0x20, 0x40]), Errno::Success);
    assert_eq!((guest.u32(0x20), guest.u32(0x24)), (0x40, 0x45));
    assert_eq!(guest.read(0x40, 10), "prog\0ä b\0".as_bytes());
    assert_eq!(guest.call("environ_sizes_get", &[0x10, 0x14]), Errno::Success);
    assert_eq!((guest.u32(0x10), guest.u32(0x14)), (2, 6 + 3));
    assert_eq!(guest.call("environ_get", &[0x20, 0x40]), Errno::Success);
    assert_eq!(guest.read(0x40, 9), b"K=V=W\0E=\0");
    let mut nothing = Guest::of(Wasi::builder().build());
    assert_eq!(nothing.call("environ_sizes_get", &[0x10, 0x14]), Errno::Success);
    assert_eq!((nothing.u32(0x10), nothing.u32(0x14)), (0, 0));
}

#[test]
fn clocks_go_on_and_unknown_ones_are_invalid() {
    let mut guest = Guest::of(Wasi::builder().build());
    for id in 0..4 {
        assert_eq!(guest.call("clock_res_get", &[id, OUT.into()]), Errno::Success);
        assert!(guest.u64(OUT) >= 1);
        assert_eq!(guest.call("clock_time_get", &[id, 0, OUT.into()]), Errno::Success);
        let before = guest.u64(OUT);
        assert_eq!(guest.call("clock_time_get", &[id, u64::MAX, OUT.into()]), Errno::Success);
        assert!(guest.u64(OUT) >= before);
    }
    assert_eq!(guest.call("clock_time_get", &[4, 0, OUT.into()]), Errno::Inval);
    assert_eq!(guest.call("clock_res_get", &[u64::MAX, OUT.into()]), Errno::Inval);
}

#[test]
fn random_bytes_fill_what_is_asked_for_and_nothing_else() {
    let mut guest = Guest::of(Wasi::builder().build());
    assert_eq!(guest.call("random_get", &[DATA.into(), 64]), Errno::Success);
    assert_ne!(guest.read(DATA, 64), vec![0; 64]);
    assert_eq!(guest.read(DATA + 64, 64), vec![0; 64]);
    assert_eq!(guest.call("random_get", &[DATA.into(), 0]), Errno::Success);
    assert_eq!(guest.call("random_get", &[DATA.into(), u64::from(u32::MAX)]), Errno::Fault);
}

#[test]
fn the_end_is_the_exit_code_and_a_signal_is_a_trap() {
    for (code, expected) in [(0, 0), (7, 7), (255, 255), (256, 0), (u64::from(u32::MAX), 255)] {
        let mut guest = Guest::of(Wasi::builder().build());
        let error = guest.raw("proc_exit", &[code]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit(expected));
    }
    let mut guest = Guest::of(Wasi::builder().build());
    assert_eq!(guest.call("proc_raise", &[0]), Errno::Success);
    assert_eq!(guest.call("proc_raise", &[17]), Errno::Success);
    assert_eq!(guest.call("proc_raise", &[19]), Errno::NotSup);
    assert_eq!(guest.call("proc_raise", &[31]), Errno::Inval);
    assert_eq!(guest.call("sched_yield", &[]), Errno::Success);
    let error = guest.raw("proc_raise", &[6]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::HostFunction));
}

#[test]
fn standard_streams_are_those_granted_byte_for_byte() {
    let output = MemoryOutput::new(64);
    let mut guest = Guest::of(
        Wasi::builder()
            .stdin(Stdin::Memory(MemoryInput::new("hello")))
            .stdout(Output::Memory(output.clone()))
            .build(),
    );
    assert_eq!(guest.read_fd(0, 3), Ok(b"hel".to_vec()));
    assert_eq!(guest.read_fd(0, 30), Ok(b"lo".to_vec()));
    assert_eq!(guest.read_fd(0, 30), Ok(Vec::new()), "the end");
    assert_eq!(guest.write_fd(1, b"a\0b"), Ok(3));
    guest.write(DATA, b"xyz");
    let [at, len] = guest.iovecs(&[(DATA, 1), (DATA, 0), (DATA + 1, 2)]);
    assert_eq!(guest.call("fd_write", &[1, at, len, OUT.into()]), Errno::Success);
    assert_eq!(guest.u32(OUT), 3);
    assert_eq!(output.contents(), b"a\0bxyz");
    assert_eq!(guest.write_fd(2, b"nobody sees it"), Ok(14));
    assert_eq!(guest.write_fd(1, &[b'.'; 100]), Err(Errno::Pipe), "past the limit the stream is closed");
    // The wrong direction, and what streams cannot do.
    assert_eq!(guest.write_fd(0, b"x"), Err(Errno::BadF));
    assert_eq!(guest.read_fd(1, 1), Err(Errno::BadF));
    assert_eq!(guest.call("fd_seek", &[1, 0, 1, OUT.into()]), Errno::SPipe);
    assert_eq!(guest.call("fd_tell", &[0, OUT.into()]), Errno::SPipe);
    let [at, len] = guest.iovec(1);
    assert_eq!(guest.call("fd_pread", &[0, at, len, 0, OUT.into()]), Errno::SPipe);
    assert_eq!(guest.call("fd_pwrite", &[1, at, len, 0, OUT.into()]), Errno::SPipe);
    assert_eq!(guest.call("fd_sync", &[1]), Errno::Inval);
    assert_eq!(guest.call("fd_datasync", &[1]), Errno::Inval);
    assert_eq!(guest.call("fd_filestat_get", &[1, OUT.into()]), Errno::Success);
    assert_eq!(guest.call("fd_fdstat_get", &[1, OUT.into()]), Errno::Success);
    assert_eq!(guest.read(OUT, 2), [0, 0], "memory is no terminal");
    assert_eq!(guest.call("fd_fdstat_set_flags", &[0, NONBLOCK.into()]), Errno::Success);
    assert_eq!(guest.call("path_create_directory", &[0, 0, 1]), Errno::NotDir);
}

// CVE-2023-51661 (wasmer), GHSA-4mq4: the working directory granted though nobody asked.
#[test]
fn without_a_grant_there_is_no_directory() {
    let mut guest = Guest::of(Wasi::builder().build());
    for fd in 3..10 {
        assert_eq!(guest.call("fd_prestat_get", &[fd, OUT.into()]), Errno::BadF);
        assert_eq!(guest.open_with(fd as u32, true, ".", 0, 0, 0), Err(Errno::BadF));
    }
}
