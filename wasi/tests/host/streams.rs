//! Streams: permits, limits, ends.

use std::io::{Read, Write};

use mini_wasm_wasi::cli::{stderr::get_stderr, stdin::get_stdin, stdout::get_stdout};
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{ErrorCode, filesystem_error_code};
use mini_wasm_wasi::io::error::to_debug_string;
use mini_wasm_wasi::io::poll::{self, poll};
use mini_wasm_wasi::io::streams::{CHUNK, OutputStream, PERMIT, StreamError, input_stream, output_stream};
use mini_wasm_wasi::{MemoryInput, MemoryOutput, Output, Own, Resolution, Stdin, Wasi};

use crate::sandbox::{CREATE, Guest, NONE, READ, Sandbox, WRITE, trap};

#[test]
fn by_default_input_is_at_its_end_and_output_goes_nowhere() {
    let mut wasi = Wasi::builder().build();
    let input = get_stdin(&mut wasi).unwrap();
    assert_eq!(input_stream::read(&mut wasi, input.borrow(), 10).unwrap(), Err(StreamError::Closed));
    assert_eq!(input_stream::blocking_read(&mut wasi, input.borrow(), 10).unwrap(), Err(StreamError::Closed));
    assert_eq!(input_stream::blocking_skip(&mut wasi, input.borrow(), 10).unwrap(), Err(StreamError::Closed));
    for output in [get_stdout(&mut wasi).unwrap(), get_stderr(&mut wasi).unwrap()] {
        // GHSA-gqmc-89g8-p25r: an output that goes nowhere promised to take usize::MAX bytes.
        assert_eq!(output_stream::check_write(&mut wasi, output.borrow()).unwrap(), Ok(PERMIT));
        assert_eq!(output_stream::write(&mut wasi, output.borrow(), vec![0; 10]).unwrap(), Ok(()));
        assert_eq!(output_stream::blocking_flush(&mut wasi, output.borrow()).unwrap(), Ok(()));
    }
}

#[test]
fn streams_over_memory_share_where_they_stand() {
    let input = MemoryInput::new(*b"hello, world");
    let output = MemoryOutput::new(20);
    let mut wasi =
        Wasi::builder().stdin(Stdin::Memory(input.clone())).stdout(Output::Memory(output.clone())).build();
    let (one, other) = (get_stdin(&mut wasi).unwrap(), get_stdin(&mut wasi).unwrap());
    assert_eq!(input_stream::read(&mut wasi, one.borrow(), 5).unwrap(), Ok(b"hello".to_vec()));
    assert_eq!(input_stream::skip(&mut wasi, other.borrow(), 2).unwrap(), Ok(2));
    assert_eq!(input.left(), 5, "no more was taken than was asked for");
    let sink = get_stdout(&mut wasi).unwrap();
    assert_eq!(output_stream::blocking_splice(&mut wasi, sink.borrow(), one.borrow(), 100).unwrap(), Ok(5));
    assert_eq!(output.contents(), b"world");
    assert_eq!(
        output_stream::blocking_splice(&mut wasi, sink.borrow(), one.borrow(), 100).unwrap(),
        Err(StreamError::Closed)
    );
    let write = |wasi: &mut Wasi, len| {
        output_stream::blocking_write_and_flush(wasi, sink.borrow(), vec![b'.'; len]).unwrap()
    };
    assert_eq!(write(&mut wasi, 15), Ok(()));
    assert_eq!(write(&mut wasi, 1), Err(StreamError::Closed), "memory takes its limit and no more");
    assert_eq!(output_stream::check_write(&mut wasi, sink.borrow()).unwrap(), Err(StreamError::Closed));
    assert_eq!(output.contents().len(), 20);
}

// GHSA-c9gc-w9vx-w86p and its kin: a write beyond what was permitted.
#[test]
fn a_write_beyond_the_permit_traps() {
    let sandbox = Sandbox::new();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    let file = guest.open("file", CREATE, WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let streams: Vec<Own<OutputStream>> = vec![
        get_stdout(wasi).unwrap(),
        descriptor::write_via_stream(wasi, file.borrow(), 0).unwrap().unwrap(),
        descriptor::append_via_stream(wasi, file.borrow()).unwrap().unwrap(),
    ];
    for stream in streams {
        let message = trap(output_stream::write(wasi, stream.borrow(), vec![0; 1]));
        assert!(message.contains("permitted 0"), "{message}");
        assert_eq!(output_stream::write(wasi, stream.borrow(), vec![]).unwrap(), Ok(()));
        assert_eq!(output_stream::check_write(wasi, stream.borrow()).unwrap(), Ok(PERMIT));
        trap(output_stream::write(wasi, stream.borrow(), vec![0; PERMIT as usize + 1]));
        trap(output_stream::write_zeroes(wasi, stream.borrow(), u64::MAX));
        assert_eq!(
            output_stream::write(wasi, stream.borrow(), vec![0; PERMIT as usize - 1]).unwrap(),
            Ok(())
        );
        assert_eq!(output_stream::write_zeroes(wasi, stream.borrow(), 1).unwrap(), Ok(()));
        trap(output_stream::write(wasi, stream.borrow(), vec![0; 1]));
        trap(output_stream::blocking_write_and_flush(wasi, stream.borrow(), vec![0; 4097]));
        trap(output_stream::blocking_write_zeroes_and_flush(wasi, stream.borrow(), u64::MAX));
        assert_eq!(
            output_stream::blocking_write_zeroes_and_flush(wasi, stream.borrow(), 4096).unwrap(),
            Ok(())
        );
    }
    // Both streams wrote a permit and 4096 bytes; the second at the end of the first.
    assert_eq!(std::fs::metadata(sandbox.inside("file")).unwrap().len(), 2 * (PERMIT + 4096));
}

// Class G: lengths that a guest names do not size the host's memory.
#[test]
fn a_read_never_gives_more_than_a_chunk_whatever_was_asked_for() {
    let sandbox = Sandbox::new();
    std::fs::File::create(sandbox.inside("sparse")).unwrap().set_len(1 << 40).unwrap();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    let file = guest.open("sparse", NONE, READ).unwrap();
    let wasi = &mut guest.wasi;
    for len in [1 << 31, 1 << 63, u64::MAX] {
        let stream = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
        assert_eq!(input_stream::read(wasi, stream.borrow(), len).unwrap().unwrap().len(), CHUNK);
        assert_eq!(input_stream::blocking_read(wasi, stream.borrow(), len).unwrap().unwrap().len(), CHUNK);
        let left = (1 << 40) - 2 * CHUNK as u64;
        assert_eq!(input_stream::skip(wasi, stream.borrow(), len).unwrap(), Ok(len.min(left)));
        let end = descriptor::read_via_stream(wasi, file.borrow(), 1 << 40).unwrap().unwrap();
        assert_eq!(input_stream::blocking_read(wasi, end.borrow(), len).unwrap(), Err(StreamError::Closed));
        assert_eq!(input_stream::skip(wasi, end.borrow(), len).unwrap(), Err(StreamError::Closed));
        let output = get_stdout(wasi).unwrap();
        let start = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
        let moved = output_stream::splice(wasi, output.borrow(), start.borrow(), len).unwrap();
        assert_eq!(moved, Ok(CHUNK as u64));
    }
}

// Class G, GHSA-5m8g and GHSA-f8mm: many tiny or empty calls leave nothing behind.
#[test]
fn a_million_empty_writes_and_reads_cost_no_memory() {
    let mut wasi = Wasi::builder().stdin(Stdin::Memory(MemoryInput::new(*b"never read"))).build();
    let (input, output) = (get_stdin(&mut wasi).unwrap(), get_stdout(&mut wasi).unwrap());
    let before = resident();
    for _ in 0..1_000_000 {
        output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), vec![]).unwrap().unwrap();
        assert_eq!(input_stream::read(&mut wasi, input.borrow(), 0).unwrap(), Ok(vec![]));
    }
    assert_eq!(wasi.resources(), 2);
    assert!(resident() < before + 256 * 1024 * 1024);
}

// Class G: 2 GB down each path.
#[test]
fn two_gigabytes_to_nowhere_cost_no_memory() {
    let mut wasi = Wasi::builder().build();
    let output = get_stdout(&mut wasi).unwrap();
    let before = resident();
    for _ in 0..(2 << 30) / PERMIT {
        output_stream::check_write(&mut wasi, output.borrow()).unwrap().unwrap();
        output_stream::write_zeroes(&mut wasi, output.borrow(), PERMIT).unwrap().unwrap();
    }
    assert!(resident() < before + 256 * 1024 * 1024);
}

/// Bytes of memory that this process has in use.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn an_append_stream_writes_at_the_end_wherever_that_is() {
    let sandbox = Sandbox::new();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    guest.write("file", b"one").unwrap();
    let file = guest.open("file", NONE, WRITE).unwrap();
    let stream = descriptor::append_via_stream(&mut guest.wasi, file.borrow()).unwrap().unwrap();
    let put = |wasi: &mut Wasi, text: &[u8]| {
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), text.into()).unwrap().unwrap();
    };
    put(&mut guest.wasi, b" two");
    std::fs::OpenOptions::new()
        .append(true)
        .open(sandbox.inside("file"))
        .unwrap()
        .write_all(b" three")
        .unwrap();
    put(&mut guest.wasi, b" four");
    assert_eq!(guest.read("file").unwrap(), b"one two three four");
}

#[test]
fn a_failed_write_gives_an_error_with_its_code_and_closes_the_stream() {
    let sandbox = Sandbox::new();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    let file = guest.open("file", CREATE, WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let stream = descriptor::write_via_stream(wasi, file.borrow(), u64::MAX).unwrap().unwrap();
    let result = output_stream::blocking_write_and_flush(wasi, stream.borrow(), vec![1]).unwrap();
    let Err(StreamError::LastOperationFailed(error)) = result else { panic!("{result:?}") };
    assert_eq!(filesystem_error_code(wasi, error.borrow()).unwrap(), Some(ErrorCode::FileTooLarge));
    assert!(!to_debug_string(wasi, error.borrow()).unwrap().is_empty());
    for _ in 0..2 {
        assert_eq!(output_stream::check_write(wasi, stream.borrow()).unwrap(), Err(StreamError::Closed));
        assert_eq!(
            output_stream::blocking_write_and_flush(wasi, stream.borrow(), vec![1]).unwrap(),
            Err(StreamError::Closed)
        );
    }
}

#[test]
fn a_fifo_without_a_reader_closes_the_stream_instead_of_killing_the_host() {
    let sandbox = Sandbox::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(sandbox.inside("fifo")).unwrap();
    let file = guest.open("fifo", NONE, WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let stream = descriptor::write_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    assert_eq!(
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), b"text".to_vec()).unwrap(),
        Ok(())
    );
    drop(reader);
    assert_eq!(
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), b"text".to_vec()).unwrap(),
        Err(StreamError::Closed)
    );
}

#[test]
fn a_fifo_gives_what_is_there_and_waits_only_when_asked() {
    let sandbox = Sandbox::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    let mut guest = sandbox.guest(Resolution::Kernel, false);
    let file = guest.open("fifo", NONE, READ).unwrap();
    let wasi = &mut guest.wasi;
    let stream = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(sandbox.inside("fifo")).unwrap();
    assert_eq!(input_stream::read(wasi, stream.borrow(), 10).unwrap(), Ok(vec![]));
    let pollable = input_stream::subscribe(wasi, stream.borrow()).unwrap();
    assert!(!poll::ready(wasi, pollable.borrow()).unwrap());
    writer.write_all(b"hello").unwrap();
    assert!(poll::ready(wasi, pollable.borrow()).unwrap());
    assert_eq!(input_stream::read(wasi, stream.borrow(), 2).unwrap(), Ok(b"he".to_vec()));
    // What was not asked for is still in the pipe.
    let mut rest = [0; 3];
    writer.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"llo");
    let late = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(input_stream::blocking_read(wasi, stream.borrow(), 10).unwrap(), Ok(b"late".to_vec()));
    late.join().unwrap();
    assert_eq!(input_stream::blocking_read(wasi, stream.borrow(), 10).unwrap(), Err(StreamError::Closed));
}

#[test]
fn poll_of_nothing_traps_and_poll_of_one_thing_ten_thousand_times_works() {
    let mut wasi = Wasi::builder().build();
    trap(poll(&mut wasi, vec![]));
    let output = get_stdout(&mut wasi).unwrap();
    let ready = output_stream::subscribe(&mut wasi, output.borrow()).unwrap();
    let list = (0..10_000).map(|_| ready.borrow()).collect();
    assert_eq!(poll(&mut wasi, list).unwrap(), (0..10_000).collect::<Vec<u32>>());
    let sandbox = Sandbox::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap().max_poll(200_000);
    let mut guest = Guest::of(builder.build());
    let file = guest.open("fifo", NONE, READ | WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let stream = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    let never = input_stream::subscribe(wasi, stream.borrow()).unwrap();
    let output = get_stdout(wasi).unwrap();
    let ready = output_stream::subscribe(wasi, output.borrow()).unwrap();
    // More entries than a process may have handles.
    let mut list: Vec<_> = (0..100_000).map(|_| never.borrow()).collect();
    list.push(ready.borrow());
    assert_eq!(poll(wasi, list).unwrap(), [100_000]);
}
