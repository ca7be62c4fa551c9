//! `wasi:cli`, `wasi:clocks`, `wasi:random`, `wasi:io/poll`, and the streams of a command. Run as `surroundings a b` with `KEY=value`, the
//! input `in the pipe` and the directory `/work`; `surroundings fail` and `surroundings code` end otherwise than well.

use wasip2::cli::{environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::poll;
use wasip2::io::streams::StreamError;
use wasip2::random::{insecure, insecure_seed, random};

const MILLISECOND: u64 = 1_000_000;

fn main() {
    let arguments = environment::get_arguments();
    match arguments[1].as_str() {
        "fail" => exit::exit(Err(())),
        "code" => exit::exit_with_code(7),
        _ => {}
    }
    assert_eq!(arguments[1..], ["a", "b"]);
    assert_eq!(environment::get_environment(), [("KEY".to_owned(), "value".to_owned())]);
    assert_eq!(environment::initial_cwd().as_deref(), Some("/work"));
    clocks();
    randomness();
    standard_streams();
    exit::exit(Ok(()));
}

fn clocks() {
    let (before, wall) = (monotonic_clock::now(), wall_clock::now());
    assert!((1..MILLISECOND).contains(&monotonic_clock::resolution()));
    assert_eq!(wall_clock::resolution().seconds, 0);
    // After 2020, before 2100.
    assert!((1_577_836_800..4_102_444_800).contains(&wall.seconds) && wall.nanoseconds < 1_000_000_000);

    let now = monotonic_clock::subscribe_duration(0);
    assert!(now.ready());
    let past = monotonic_clock::subscribe_instant(before);
    assert!(past.ready());
    let soon = monotonic_clock::subscribe_duration(5 * MILLISECOND);
    let never = monotonic_clock::subscribe_instant(u64::MAX);
    let long = monotonic_clock::subscribe_duration(u64::MAX);
    assert!(!never.ready() && !long.ready());
    let ready = poll(&[&never, &past, &long, &now, &past]);
    assert_eq!(ready, [1, 3, 4], "the same one twice is ready twice");
    let started = monotonic_clock::now();
    assert_eq!(poll(&[&long, &monotonic_clock::subscribe_duration(10 * MILLISECOND)]), [1]);
    let waited = monotonic_clock::now() - started;
    assert!((10 * MILLISECOND..10_000 * MILLISECOND).contains(&waited), "{waited}");
    soon.block();
    assert!(soon.ready() && monotonic_clock::now() >= before + 5 * MILLISECOND);
}

fn randomness() {
    assert_eq!(random::get_random_bytes(0), []);
    let (one, other) = (random::get_random_bytes(32), random::get_random_bytes(32));
    assert!(one.len() == 32 && other.len() == 32 && one != other);
    assert_ne!(random::get_random_u64(), random::get_random_u64());
    let (one, other) = (insecure::get_insecure_random_bytes(32), insecure::get_insecure_random_bytes(32));
    assert!(one.len() == 32 && other.len() == 32 && one != other);
    assert_ne!(insecure::get_insecure_random_u64(), insecure::get_insecure_random_u64());
    assert_eq!(insecure_seed::insecure_seed(), insecure_seed::insecure_seed(), "one for each guest");
}

fn standard_streams() {
    assert!(terminal_stdin::get_terminal_stdin().is_none());
    assert!(terminal_stdout::get_terminal_stdout().is_none());
    assert!(terminal_stderr::get_terminal_stderr().is_none());

    let input = stdin::get_stdin();
    let arrives = input.subscribe();
    arrives.block();
    assert!(arrives.ready());
    assert_eq!(input.blocking_read(0).unwrap(), b"");
    assert_eq!(input.blocking_read(3).unwrap(), b"in ");
    // Another handle of the same stream goes on where this one stands.
    assert_eq!(stdin::get_stdin().read(4).unwrap(), b"the ");

    let (out, err) = (stdout::get_stdout(), stderr::get_stderr());
    assert!(out.check_write().unwrap() >= 4096);
    out.write(b"out: ").unwrap();
    assert_eq!(out.blocking_splice(&input, 4).unwrap(), 4);
    out.flush().unwrap();
    out.blocking_flush().unwrap();
    let room = out.subscribe();
    assert_eq!(poll(&[&room]), [0]);
    assert!(matches!(out.splice(&input, 4), Err(StreamError::Closed)), "the input is at its end");
    assert!(matches!(input.read(4), Err(StreamError::Closed)));
    out.blocking_write_and_flush(b"\n").unwrap();
    err.blocking_write_and_flush(b"err\n").unwrap();
}
