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

/// Keeps objects, exceptions or continuations without end.
const GREEDY: &str = r#"(module $greedy
    (type $node (struct (field (ref null $node)) (field i64 i64 i64 i64)))
    (type $kept (struct (field (ref null $kept)) (field exnref)))
    (type $f (func)) (type $k (cont $f))
    (tag $oops (param i64 i64 i64 i64))
    (tag $stop)
    (table $conts 10 (ref null $k))
    (elem declare func $halt)
    (func (export "objects") (local $last (ref null $node))
        (loop $l
            (local.set $last (struct.new $node (local.get $last)
                (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
            (br $l)))
    (func (export "exceptions") (local $last (ref null $kept)) (local $e exnref)
        (loop $l
            (block $caught (result i64 i64 i64 i64 exnref)
                (try_table (catch_ref $oops $caught)
                    (throw $oops (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
                (unreachable))
            (local.set $e) (drop) (drop) (drop) (drop)
            (local.set $last (struct.new $kept (local.get $last) (local.get $e)))
            (br $l)))
    (func $deep (param i32 i64 i64 i64 i64)
        (if (local.get 0)
            (then (call $deep (i32.sub (local.get 0) (i32.const 1))
                (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
            (else (suspend $stop))))
    (func $halt (call $deep (i32.const 500) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
    (func (export "continuations") (local $at i32)
        (loop $l
            (if (i32.eq (local.get $at) (table.size $conts))
                (then (drop (table.grow $conts (ref.null $k) (i32.const 10)))))
            (local.get $at)
            (block $on (result (ref $k))
                (resume $k (on $stop $on) (cont.new $k (ref.func $halt)))
                (unreachable))
            (table.set $conts)
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $l)))
    (func (export "tables") (result i32)
        (loop $l (br_if $l (i32.ne (table.grow $conts (ref.null $k) (i32.const 1000)) (i32.const -1))))
        (table.size $conts)))"#;

#[test]
fn the_memory_limit_is_on_all_that_a_guest_fills() {
    let sandbox = Sandbox::new("memory-all");
    let program = sandbox.file("greedy.wat", GREEDY);
    for mode in Mode::ALL {
        let language = "-Wstack-switching=y";
        let program = prepared(&sandbox, mode, &program, &[language]);
        let call = |name: &str, flags: &[&str]| {
            let mut command = mini_wasm(&sandbox);
            command.args(["run", mode.engine(), language]).args(flags).args(["--invoke", name]).arg(&program);
            end(&sandbox, &mut command)
        };
        let most = "--max-memory=6M";
        trapped(&call("objects", &[most]), &["GC heap", "greedy!objects"]);
        trapped(&call("exceptions", &[most]), &["GC heap", "greedy!exceptions"]);
        trapped(&call("continuations", &[most]), &["continuations", "greedy!continuations"]);
        let size: u64 = call("tables", &[most]).stdout.trim().parse().expect("the table's size");
        assert!((6 << 17) - 1000 < size && size <= 6 << 17, "{size}");
        // Each part has a ceiling of its own.
        trapped(&call("objects", &["--max-gc-heap=1M"]), &["GC heap"]);
        trapped(&call("continuations", &["--max-continuations=20"]), &["continuations"]);
        trapped(&call("continuations", &["--max-continuation-space=10M"]), &["continuations"]);
        assert_eq!(call("tables", &["--max-table-elements=5010"]).stdout, "5010\n");
        let none = call("tables", &["--max-instance-bytes=10"]);
        assert!(none.status == 134 && none.stderr.contains("limit of 10 bytes for instances"), "{none:?}");
    }
    let sandbox = Sandbox::new("memory-linear");
    for mode in Mode::ALL {
        let grow = |flags: &[&str]| deadly(&sandbox, mode, &[], flags, &["grow", "2"]).stdout;
        assert_eq!(grow(&["--max-linear-memory=192K"]), "1\n");
        assert_eq!(grow(&["--max-linear-memory=128K", "--max-memory=1M"]), "-1\n");
        assert_eq!(grow(&["--max-linear-memory=1M", "--max-memory=128K"]), "-1\n");
    }
}
