//! Traps, and the limits that end a guest: 134, a message, a backtrace.

use crate::sandbox::Sandbox;
use crate::{Ended, Mode, end, guests, mini_wasm, prepared};
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

const DEADLY: &str = r#"(module $deadly
    (memory (export "memory") 1)
    (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $outer (export "divide") (param i32) (result i32) (call $inner (local.get 0)))
    (func $again (export "recurse") (result i32) (i32.add (call $again) (i32.const 1)))
    (func $spin (export "spin") (loop $l (br $l)))
    (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Runs an export of [`DEADLY`].
fn deadly(sandbox: &Sandbox, mode: Mode, aot: &[&str], flags: &[&str], call: &[&str]) -> Ended {
    let program = sandbox.file("deadly.wat", DEADLY);
    let program = prepared(sandbox, mode, &program, aot);
    let mut command = mini_wasm(sandbox);
    command
        .args(["run", mode.engine()])
        .args(flags)
        .args(["--invoke", call[0]])
        .arg(program)
        .args(&call[1..]);
    end(sandbox, &mut command)
}

/// Is it a trap's end, with these words in this order on standard error?
#[track_caller]
fn trapped(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status, 134, "{ended:?}");
    let mut rest = &*ended.stderr;
    for word in words {
        let Some(at) = rest.find(word) else { panic!("no `{word}` in its place:\n{}", ended.stderr) };
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn a_trap_prints_itself_and_the_functions_it_came_through() {
    let sandbox = Sandbox::new("trap");
    for mode in Mode::ALL {
        assert_eq!(deadly(&sandbox, mode, &[], &[], &["divide", "1"]).stdout, "1\n");
        let ended = deadly(&sandbox, mode, &[], &[], &["divide", "0"]);
        trapped(
            &ended,
            &["wasm trap: integer divide by zero", "wasm backtrace", "deadly!inner", "deadly!outer"],
        );
    }
}

#[test]
fn endless_recursion_is_a_trap() {
    let sandbox = Sandbox::new("recursion");
    for mode in Mode::ALL {
        let ended = deadly(&sandbox, mode, &[], &[], &["recurse"]);
        trapped(&ended, &["call stack exhausted", "wasm backtrace", "deadly!again", "deadly!again", "more"]);
    }
}

#[test]
fn a_timeout_stops_an_endless_loop() {
    let sandbox = Sandbox::new("timeout-loop");
    for mode in Mode::ALL {
        let ended = deadly(&sandbox, mode, &["--epoch"], &["--timeout=100ms"], &["spin"]);
        trapped(&ended, &["deadline reached", "wasm backtrace", "deadly!spin"]);
        assert!(ended.took >= Duration::from_millis(100), "{ended:?}");
        assert!(!ended.stderr.contains("warning"), "{ended:?}");
    }
}

#[test]
fn a_timeout_stops_an_artifact_without_the_checks_too_and_says_how() {
    let sandbox = Sandbox::new("timeout-unfit");
    let ended = deadly(&sandbox, Mode::Artifact, &[], &["--timeout=100ms"], &["spin"]);
    trapped(&ended, &["warning", "aot --epoch", "deadline reached"]);
}

#[test]
fn a_timeout_stops_a_guest_that_waits_for_input() {
    let sandbox = Sandbox::new("timeout-read");
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &guests().join("bin/c-hello.wasm"), &["--epoch"]);
        let mut command = mini_wasm(&sandbox);
        command.args(["run", mode.engine(), "--timeout=100ms"]).arg(program).stdin(Stdio::piped());
        let ended = end(&sandbox, &mut command);
        trapped(&ended, &["deadline reached"]);
        assert!(ended.took >= Duration::from_millis(100), "{ended:?}");
    }
}

#[test]
fn a_guest_that_ends_in_time_does_not_wait_for_the_deadline() {
    let sandbox = Sandbox::new("timeout-unused");
    let ended = deadly(&sandbox, Mode::Interp, &[], &["--timeout=1h"], &["divide", "1"]);
    assert_eq!((ended.status, &*ended.stdout), (0, "1\n"), "{ended:?}");
}

#[test]
fn fuel_runs_out_at_the_same_place_in_every_mode() {
    let sandbox = Sandbox::new("fuel");
    for mode in Mode::ALL {
        let ended = deadly(&sandbox, mode, &["--fuel"], &["--fuel=10000"], &["spin"]);
        trapped(&ended, &["all fuel consumed", "wasm backtrace", "deadly!spin"]);
        assert_eq!(deadly(&sandbox, mode, &["--fuel"], &["--fuel=10000"], &["divide", "1"]).stdout, "1\n");
    }
    let unasked = deadly(&sandbox, Mode::Artifact, &["--fuel"], &[], &["divide", "1"]);
    assert_eq!((unasked.status, &*unasked.stdout, &*unasked.stderr), (0, "1\n", ""), "{unasked:?}");
}

#[test]
fn past_the_memory_limit_growth_fails_and_the_guest_goes_on() {
    let sandbox = Sandbox::new("memory");
    for mode in Mode::ALL {
        let grow = |pages: &str| deadly(&sandbox, mode, &[], &["--max-memory=128K"], &["grow", pages]).stdout;
        assert_eq!(grow("1"), "1\n");
        assert_eq!(grow("2"), "-1\n");
        let ended = deadly(&sandbox, mode, &[], &["--max-memory=1K"], &["grow", "0"]);
        assert_eq!(ended.status, 134, "the first page is too much already: {ended:?}");
    }
}

#[test]
fn the_memory_limit_is_on_the_sum_of_a_components_memories() {
    let sandbox = Sandbox::new("memory-sum");
    // Two instances of one page each; the second grows by as many pages as fit: its result is the exit status.
    let program = sandbox.file(
        "two.wat",
        r#"(component
            (core module $m
                (memory 1)
                (func (export "run") (result i32) (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0))))
            (core instance $a (instantiate $m))
            (core instance $b (instantiate $m))
            (func $run (result (result)) (canon lift (core func $b "run")))
            (instance $i (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $i)))"#,
    );
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &program, &[]);
        for (limit, status) in [("192K", 0), ("128K", 1), ("64K", 134)] {
            let words: [OsString; 4] = [
                "run".into(),
                mode.engine().into(),
                format!("--max-memory={limit}").into(),
                program.clone().into(),
            ];
            let ended = crate::run(&sandbox, words);
            assert_eq!(ended.status, status, "{limit} {mode:?}: {ended:?}");
        }
    }
}
