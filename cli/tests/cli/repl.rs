//! `repl`: one instance for all lines; traps end the instance, not the session.

use crate::sandbox::Sandbox;
use crate::{Ended, end, guests, mini_wasm};
use std::fs::File;

/// Feeds lines to `repl` of a guest.
#[track_caller]
fn repl(sandbox: &Sandbox, guest: &str, flags: &[&str], lines: &str) -> Ended {
    let input = sandbox.file("lines", lines);
    let mut command = mini_wasm(sandbox);
    command.arg("repl").args(flags).arg(guests().join("bin").join(guest));
    end(sandbox, command.stdin(File::open(input).expect("the lines")))
}

#[test]
fn handles_that_calls_return_are_arguments_of_later_ones() {
    let sandbox = Sandbox::new("repl-handles");
    let lines = "// a comment, then an empty line\n\n\
        counter(10)\n\
        counter.inc(counter-1, 5)\n\
        [constructor]counter(100)\n\
        :handles\n\
        counter.merge(counter-1, counter-2)\n\
        counter.inc(counter-1, 0)\n\
        dropped()\n\
        :drop counter-2\n\
        dropped()\n\
        :handles";
    let ended = repl(&sandbox, "wat-counter.wasm", &["--engine=interp"], lines);
    // merge took counter-1 and ended it; what it gave back is the first name that was free.
    let expected = "counter-1\n15\ncounter-2\ncounter-1\ncounter-2\ncounter-1\n115\n1\n2\ncounter-1\n";
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (0, expected, ""), "{ended:?}");
}

#[test]
fn a_trap_makes_the_instance_anew_and_the_session_goes_on() {
    let sandbox = Sandbox::new("repl-trap");
    let ended = repl(&sandbox, "wat-values.wasm", &[], "add(1, 2)\nfail()\nadd(3, 4)\n:quit\nadd(5, 6)\n");
    assert_eq!((ended.status, &*ended.stdout), (1, "3\n7\n"), "{ended:?}");
    for line in ["wasm trap: wasm `unreachable`", "m!fail", "the instance was made anew"] {
        assert!(ended.stderr.contains(line), "{ended:?}");
    }
    // What it held is gone with it.
    let lines = "counter(1)\ncounter.inc(counter-1, 1)\n:reset\ncounter.inc(counter-1, 1)\ncounter(5)\n";
    let ended = repl(&sandbox, "wat-counter.wasm", &[], lines);
    assert_eq!((ended.status, &*ended.stdout), (1, "counter-1\n2\ncounter-1\n"), "{ended:?}");
    assert!(ended.stderr.contains("takes a handle"), "{ended:?}");
}

#[test]
fn a_wrong_line_changes_nothing() {
    let sandbox = Sandbox::new("repl-wrong");
    let lines = "counter(1)\ncounter.inc(counter-7, 1)\nnope()\n:nope\ncounter.inc(counter-1\n:drop x\ncounter.inc(counter-1, 1)";
    let ended = repl(&sandbox, "wat-counter.wasm", &[], lines);
    assert_eq!((ended.status, &*ended.stdout), (1, "counter-1\n2\n"), "{ended:?}");
    for line in [
        "no handle is called \"counter-7\"",
        "there is no `nope`",
        "there is no `:nope`",
        "no handle is called `x`",
    ] {
        assert!(ended.stderr.contains(line), "no {line} in {ended:?}");
    }
}

#[test]
fn exports_and_types_are_told() {
    let sandbox = Sandbox::new("repl-types");
    let ended = repl(&sandbox, "demo-provider.wasm", &[], ":exports\n:type engine.echo-item\n:help\n");
    assert_eq!(ended.status, 0, "{ended:?}");
    for line in [
        "demo:poly/engine@0.1.0#area: func(s: shape) -> result<f64, string>\n",
        "demo:poly/engine@0.1.0#echo-item: func(i: item) -> item\n  record item { id: u64,",
        "  variant shape { circle(tuple<point, f64>), polygon(list<point>), empty }\n",
        "  record point { x: f64, y: f64, label: option<string> }\n",
        ":reset",
    ] {
        assert!(ended.stdout.contains(line), "no {line} in:\n{}", ended.stdout);
    }
}

#[test]
fn the_limits_are_those_of_a_single_call() {
    let sandbox = Sandbox::new("repl-limits");
    let text = r#"(component
        (core module $m
            (func (export "spin") (param i32)
                (loop
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_if 0 (local.get 0)))))
        (core instance $i (instantiate $m))
        (func (export "spin") (param "n" u32) (canon lift (core func $i "spin"))))"#;
    let program = sandbox.file("spin.wat", text);
    let lines = sandbox.file("lines", "spin(1000)\n".repeat(20) + "spin(0)\nspin(1000)\n");
    for flags in [["--fuel=20000", "--engine=interp"], ["--timeout=300ms", "--engine=jit"]] {
        let mut command = mini_wasm(&sandbox);
        command.arg("repl").args(flags).arg(&program).stdin(File::open(&lines).expect("the lines"));
        let ended = end(&sandbox, &mut command);
        let failed = ended.stderr.matches("the instance was made anew").count();
        assert_eq!((failed, ended.status), (1, 1), "{flags:?}: {ended:?}");
    }
}

#[test]
fn a_core_module_is_refused() {
    let sandbox = Sandbox::new("repl-module");
    let ended = repl(&sandbox, "bench-fib.wasm", &[], "");
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("core module"), "{ended:?}");
}
