//! Clocks, random numbers, environment, exit.

use mini_wasm_wasi::cli::{environment, exit, terminal_stderr, terminal_stdin, terminal_stdout};
use mini_wasm_wasi::clocks::{monotonic_clock, timezone, wall_clock};
use mini_wasm_wasi::io::poll::{self, poll};
use mini_wasm_wasi::random::{insecure, insecure_seed, random};
use mini_wasm_wasi::{DEFAULT_MAX_RANDOM_BYTES as MAX_BYTES, Stop, Wasi};

use crate::sandbox::trap;

#[test]
fn the_monotonic_clock_starts_near_zero_and_never_goes_back() {
    let mut wasi = Wasi::builder().build();
    let mut last = monotonic_clock::now(&mut wasi).unwrap();
    assert!(last < 10_000_000_000);
    for _ in 0..1000 {
        let now = monotonic_clock::now(&mut wasi).unwrap();
        assert!(now >= last);
        last = now;
    }
    assert!(monotonic_clock::resolution(&mut wasi).unwrap() > 0);
}

#[test]
fn the_wall_clock_tells_the_hosts_time() {
    let mut wasi = Wasi::builder().build();
    let now = wall_clock::now(&mut wasi).unwrap();
    let host = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(host.abs_diff(now.seconds) <= 1);
    assert!(now.nanoseconds < 1_000_000_000);
    let resolution = wall_clock::resolution(&mut wasi).unwrap();
    assert!(resolution.seconds > 0 || resolution.nanoseconds > 0);
}

#[test]
fn the_time_zone_of_the_host_is_not_told() {
    let mut wasi = Wasi::builder().build();
    for seconds in [0, 1_700_000_000, u64::MAX] {
        let when = wall_clock::Datetime { seconds, nanoseconds: 0 };
        let zone = timezone::display(&mut wasi, when).unwrap();
        assert_eq!((&*zone.name, zone.utc_offset, zone.in_daylight_saving_time), ("UTC", 0, false));
        assert_eq!(timezone::utc_offset(&mut wasi, when).unwrap(), 0);
    }
}

// GHSA-w4qr-p94g-mjhv: a zero timeout; and its opposite.
#[test]
fn a_timer_of_zero_is_ready_at_once_and_one_of_all_time_never() {
    let mut wasi = Wasi::builder().build();
    let zero = monotonic_clock::subscribe_duration(&mut wasi, 0).unwrap();
    let past = monotonic_clock::subscribe_instant(&mut wasi, 0).unwrap();
    let never = monotonic_clock::subscribe_duration(&mut wasi, u64::MAX).unwrap();
    let end = monotonic_clock::subscribe_instant(&mut wasi, u64::MAX).unwrap();
    poll::block(&mut wasi, zero.borrow()).unwrap();
    poll::block(&mut wasi, past.borrow()).unwrap();
    assert!(!poll::ready(&mut wasi, never.borrow()).unwrap());
    assert!(!poll::ready(&mut wasi, end.borrow()).unwrap());
    let all = vec![never.borrow(), zero.borrow(), end.borrow(), past.borrow()];
    assert_eq!(poll(&mut wasi, all).unwrap(), [1, 3]);
}

#[test]
fn a_timer_waits_as_long_as_it_says() {
    let mut wasi = Wasi::builder().build();
    let begin = monotonic_clock::now(&mut wasi).unwrap();
    let short = monotonic_clock::subscribe_duration(&mut wasi, 30_000_000).unwrap();
    let long = monotonic_clock::subscribe_duration(&mut wasi, 60_000_000_000).unwrap();
    assert_eq!(poll(&mut wasi, vec![long.borrow(), short.borrow()]).unwrap(), [1]);
    let waited = monotonic_clock::now(&mut wasi).unwrap() - begin;
    assert!((30_000_000..30_000_000_000).contains(&waited), "{waited}");
}

// GHSA-852m-cvvp-9p4w: random bytes without a limit.
#[test]
fn random_bytes_come_in_any_number_up_to_a_limit_and_beyond_it_trap() {
    let mut wasi = Wasi::builder().build();
    for get in [random::get_random_bytes, insecure::get_insecure_random_bytes] {
        for len in [0, 1, 7, 8, 9, 1000] {
            assert_eq!(get(&mut wasi, len).unwrap().len() as u64, len);
        }
        assert_ne!(get(&mut wasi, 32).unwrap(), get(&mut wasi, 32).unwrap());
        for len in [MAX_BYTES + 1, 1 << 31, 1 << 40, 1 << 63, u64::MAX] {
            trap(get(&mut wasi, len));
        }
    }
    assert_eq!(random::get_random_bytes(&mut wasi, MAX_BYTES).unwrap().len() as u64, MAX_BYTES);
    assert_ne!(random::get_random_u64(&mut wasi).unwrap(), random::get_random_u64(&mut wasi).unwrap());
    assert_ne!(
        insecure::get_insecure_random_u64(&mut wasi).unwrap(),
        insecure::get_insecure_random_u64(&mut wasi).unwrap()
    );
    let seed = insecure_seed::insecure_seed(&mut wasi).unwrap();
    assert_eq!(seed, insecure_seed::insecure_seed(&mut wasi).unwrap());
    assert_ne!(seed, insecure_seed::insecure_seed(&mut Wasi::builder().build()).unwrap());
}

#[test]
fn by_default_there_are_no_arguments_no_variables_no_terminals_and_no_working_directory() {
    let mut wasi = Wasi::builder().build();
    assert_eq!(environment::get_arguments(&mut wasi).unwrap(), Vec::<String>::new());
    assert_eq!(environment::get_environment(&mut wasi).unwrap(), vec![]);
    assert_eq!(environment::initial_cwd(&mut wasi).unwrap(), None);
    assert_eq!(terminal_stdin::get_terminal_stdin(&mut wasi).unwrap(), None);
    assert_eq!(terminal_stdout::get_terminal_stdout(&mut wasi).unwrap(), None);
    assert_eq!(terminal_stderr::get_terminal_stderr(&mut wasi).unwrap(), None);
}

#[test]
fn arguments_and_variables_are_exactly_those_that_were_given() {
    let mut wasi = Wasi::builder()
        .arg("prog")
        .args(["a", ""])
        .env("A", "1")
        .env("B", "2")
        .env("A", "3")
        .initial_cwd("/work")
        .build();
    assert_eq!(environment::get_arguments(&mut wasi).unwrap(), ["prog", "a", ""]);
    let env = [("A", "3"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(environment::get_environment(&mut wasi).unwrap(), env);
    assert_eq!(environment::initial_cwd(&mut wasi).unwrap().as_deref(), Some("/work"));
}

#[test]
fn exit_does_not_return_and_carries_its_code() {
    let mut wasi = Wasi::builder().build();
    assert_eq!(exit::exit(&mut wasi, Ok(())), Err(Stop::Exit(0)));
    assert_eq!(exit::exit(&mut wasi, Err(())), Err(Stop::Exit(1)));
    assert_eq!(exit::exit_with_code(&mut wasi, 125), Err(Stop::Exit(125)));
}
