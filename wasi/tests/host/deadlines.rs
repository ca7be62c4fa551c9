//! Class K: no call of the host waits past the deadline.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mini_wasm_wasi::clocks::monotonic_clock;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{DescriptorFlags, PathFlags};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::{input_stream, output_stream};
use mini_wasm_wasi::random::{insecure, random};
use mini_wasm_wasi::{Deadline, Stop, Wasi};

use crate::sandbox::{Guest, NONE, READ, Sandbox, WRITE};

fn fifo(sandbox: &Sandbox) {
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
}

fn guest(sandbox: &Sandbox) -> Guest {
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap();
    Guest::of(builder.build())
}

/// Runs a call that would wait for ever, with a deadline soon.
fn stopped<T: std::fmt::Debug>(guest: &mut Guest, call: impl FnOnce(&mut Guest) -> Result<T, Stop>) {
    let begin = Instant::now();
    guest.wasi.deadline(Arc::new(begin + Duration::from_millis(50)));
    let result = call(guest);
    assert!(matches!(result, Err(Stop::Deadline)), "{result:?}");
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(50), "too soon: {took:?}");
    assert!(took < Duration::from_secs(5), "too late: {took:?}");
    guest.wasi.deadline(Arc::new(mini_wasm_wasi::Never));
}

#[test]
fn a_sleep_and_a_read_and_an_open_of_a_fifo_end_at_the_deadline() {
    let sandbox = Sandbox::new();
    fifo(&sandbox);
    let mut guest = guest(&sandbox);
    let timer = monotonic_clock::subscribe_duration(&mut guest.wasi, 60_000_000_000).unwrap();
    stopped(&mut guest, |guest| poll::block(&mut guest.wasi, timer.borrow()));
    stopped(&mut guest, |guest| poll::poll(&mut guest.wasi, vec![timer.borrow()]));

    // A writer's open waits for a reader.
    let dir = guest.dir.borrow();
    stopped(&mut guest, |guest| {
        descriptor::open_at(
            &mut guest.wasi,
            dir,
            PathFlags::empty(),
            "fifo".into(),
            NONE,
            DescriptorFlags::WRITE,
        )
    });

    let file = guest.open("fifo", NONE, READ | WRITE).unwrap();
    let stream = descriptor::read_via_stream(&mut guest.wasi, file.borrow(), 0).unwrap().unwrap();
    stopped(&mut guest, |guest| input_stream::blocking_read(&mut guest.wasi, stream.borrow(), 1));
    stopped(&mut guest, |guest| input_stream::blocking_skip(&mut guest.wasi, stream.borrow(), 1));
    let pollable = input_stream::subscribe(&mut guest.wasi, stream.borrow()).unwrap();
    stopped(&mut guest, |guest| poll::poll(&mut guest.wasi, vec![pollable.borrow(), timer.borrow()]));
    let sink = mini_wasm_wasi::cli::stdout::get_stdout(&mut guest.wasi).unwrap();
    stopped(&mut guest, |guest| {
        output_stream::blocking_splice(&mut guest.wasi, sink.borrow(), stream.borrow(), 10)
    });
}

#[test]
fn a_write_to_a_full_pipe_ends_at_the_deadline() {
    let sandbox = Sandbox::new();
    fifo(&sandbox);
    let mut guest = guest(&sandbox);
    let file = guest.open("fifo", NONE, READ | WRITE).unwrap();
    let stream = descriptor::write_via_stream(&mut guest.wasi, file.borrow(), 0).unwrap().unwrap();
    stopped(&mut guest, |guest| {
        loop {
            output_stream::blocking_write_and_flush(&mut guest.wasi, stream.borrow(), vec![7; 4096])?
                .unwrap();
        }
        #[expect(unreachable_code, reason = "gives the loop its type")]
        Ok(())
    });
    // Everything that was reported as written is there.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(sandbox.inside("fifo")).unwrap();
    let mut bytes = [0; 4096];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [7; 4096]);
}

#[test]
fn a_call_that_need_not_wait_works_even_after_the_deadline() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.wasi.deadline(Arc::new(Instant::now()));
    guest.write("file", b"text").unwrap();
    assert_eq!(guest.read("file").unwrap(), b"text");
    let timer = monotonic_clock::subscribe_duration(&mut guest.wasi, 0).unwrap();
    poll::block(&mut guest.wasi, timer.borrow()).unwrap();
}

#[test]
fn random_bytes_by_the_megabyte_end_at_the_deadline() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.wasi.deadline(Arc::new(Instant::now()));
    let many = 8 << 20;
    assert_eq!(random::get_random_bytes(&mut guest.wasi, many).unwrap_err(), Stop::Deadline);
    assert_eq!(insecure::get_insecure_random_bytes(&mut guest.wasi, many).unwrap_err(), Stop::Deadline);
}

/// A deadline that another thread calls.
struct Called(AtomicBool);

impl Deadline for Called {
    fn remaining(&self) -> Option<Duration> {
        Some(if self.0.load(Ordering::Relaxed) { Duration::ZERO } else { Duration::from_millis(20) })
    }
}

#[test]
fn a_deadline_called_by_another_thread_ends_a_wait() {
    let called = Arc::new(Called(AtomicBool::new(false)));
    let mut wasi = Wasi::builder().deadline(called.clone()).build();
    let timer = monotonic_clock::subscribe_duration(&mut wasi, 60_000_000_000).unwrap();
    let short = monotonic_clock::subscribe_duration(&mut wasi, 50_000_000).unwrap();
    assert_eq!(poll::block(&mut wasi, short.borrow()), Ok(()), "it is asked again and again");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            called.0.store(true, Ordering::Relaxed);
        });
        assert_eq!(poll::block(&mut wasi, timer.borrow()), Err(Stop::Deadline));
    });
}
