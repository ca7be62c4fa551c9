//! `run --invoke` of a component: the function by its name, values as WAVE, both ways and in every mode.

use crate::sandbox::Sandbox;
use crate::{Ended, Mode, end, guests, mini_wasm, prepared};
use std::path::Path;

#[track_caller]
fn invoke(sandbox: &Sandbox, mode: Mode, program: &Path, call: &str) -> Ended {
    end(sandbox, mini_wasm(sandbox).arg("run").arg(mode.engine()).args(["--invoke", call]).arg(program))
}

#[test]
fn every_kind_of_value_goes_in_and_comes_out_as_wave() {
    let sandbox = Sandbox::new("invoke-values");
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &guests().join("bin/wat-values.wasm"), &[]);
        for (call, result) in [
            ("add(1, 4294967295)", "0"),
            ("wide(-1, 2, 'x', true, -5, 1.5)", "(-1, 2, 'x', true, -5, 1.5)"),
            ("greet(\"wörld ☃\")", "\"hello, wörld ☃\""),
            ("total([1, 2, 65535])", "65538"),
            ("norm2({y: 4, x: 3})", "25"),
            ("area(square(1.5))", "ok(2.25)"),
            ("area(%nothing)", "err(\"nothing has no area\")"),
            ("toggle({read})", "{write, exec}"),
            ("after(red)", "some(green)"),
            ("after(blue)", "none"),
            ("words(\"a b c\")", "[\"a\", \"b\", \"c\"]"),
            (" live ( ) ", "0"),
        ] {
            let ended = invoke(&sandbox, mode, &program, call);
            assert_eq!(
                (ended.status, &*ended.stdout, &*ended.stderr),
                (0, &*format!("{result}\n"), ""),
                "{call}"
            );
        }
    }
}

#[test]
fn a_function_is_known_by_as_much_of_its_name_as_leaves_one() {
    let sandbox = Sandbox::new("invoke-names");
    let program = guests().join("bin/demo-provider.wasm");
    for name in [
        "area",
        "engine.area",
        "engine#area",
        "demo:poly/engine.area",
        "demo:poly/engine@0.1.0.area",
        "demo:poly/engine@0.1.0#area",
        "demo:poly/engine.area@0.1.0",
        "engine.area@0.1.0",
    ] {
        let ended = invoke(&sandbox, Mode::Interp, &program, &format!("{name}(%empty)"));
        assert_eq!((ended.status, &*ended.stdout), (0, "err(\"empty shape\")\n"), "{name}: {ended:?}");
    }
    for name in
        ["engine@0.2.0.area", "demo:poly/engine.area@0.2.0", "area@0.1.0", "poly/engine.area", ".area"]
    {
        let ended = invoke(&sandbox, Mode::Interp, &program, &format!("{name}(%empty)"));
        assert_eq!((ended.status, &*ended.stdout), (2, ""), "{name}: {ended:?}");
    }
    let missing = invoke(&sandbox, Mode::Interp, &program, "engine.volume(%empty)");
    assert_eq!(missing.status, 2);
    for line in [
        "there is no `engine.volume`",
        "demo:poly/engine@0.1.0#area: func(s: shape) -> result<f64, string>",
        "demo:poly/engine@0.1.0#[constructor]counter: func(start: s32) -> counter",
    ] {
        assert!(missing.stderr.contains(line), "{}", missing.stderr);
    }
}

#[test]
fn a_name_that_two_interfaces_have_is_ambiguous_until_one_is_named() {
    let sandbox = Sandbox::new("invoke-ambiguous");
    let instance = |name: &str, value: u32| {
        format!(
            r#"(core module $m{value} (func (export "f") (result i32) i32.const {value}))
               (core instance $i{value} (instantiate $m{value}))
               (func $f{value} (result u32) (canon lift (core func $i{value} "f")))
               (instance $e{value} (export "f" (func $f{value})))
               (export "{name}" (instance $e{value}))"#
        )
    };
    let text = format!("(component {} {})", instance("a:b/one@1.2.3", 1), instance("a:b/two", 2));
    let program = sandbox.file("two.wat", text);
    let ended = invoke(&sandbox, Mode::Interp, &program, "f()");
    assert_eq!(ended.status, 2, "{ended:?}");
    for line in ["may be any of", "a:b/one@1.2.3#f: func() -> u32", "a:b/two#f: func() -> u32"] {
        assert!(ended.stderr.contains(line), "{ended:?}");
    }
    for (call, result) in [("one.f()", "1\n"), ("a:b/one@1.2.3.f()", "1\n"), ("two#f()", "2\n")] {
        assert_eq!(invoke(&sandbox, Mode::Interp, &program, call).stdout, result, "{call}");
    }
}

#[test]
fn wrong_arguments_are_wrong_usage_and_are_pointed_at() {
    let sandbox = Sandbox::new("invoke-wrong");
    let program = guests().join("bin/wat-values.wasm");
    for (call, hint) in [
        ("add(1)", "missing required param"),
        ("add(1, 2, 3)", "more param(s) than expected"),
        ("add(1, -2)", "   ^^"),
        ("area(circle(1))", "unknown case \"circle\""),
        ("add(1, 2", "(1, 2"),
    ] {
        let ended = invoke(&sandbox, Mode::Interp, &program, call);
        assert_eq!(ended.status, 2, "{call}: {ended:?}");
        assert!(ended.stderr.contains(hint), "{call}: {ended:?}");
    }
    // Of a long text, the part where the fault is.
    let call = format!("add({}, !{})", "1".repeat(40_000), "2".repeat(40_000));
    let ended = invoke(&sandbox, Mode::Interp, &program, &call);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.lines().all(|line| line.chars().count() <= 200), "{ended:?}");
    assert!(ended.stderr.lines().count() <= 4, "{ended:?}");
    let handle = guests().join("bin/wat-counter.wasm");
    let ended = invoke(&sandbox, Mode::Interp, &handle, "counter.inc(counter-1, 3)");
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("takes a handle (`self: borrow<counter>`)"), "{ended:?}");
}

#[test]
fn what_the_called_function_does_ends_the_command() {
    let sandbox = Sandbox::new("invoke-ends");
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &guests().join("bin/wat-values.wasm"), &[]);
        let ended = invoke(&sandbox, mode, &program, "fail()");
        assert_eq!((ended.status, &*ended.stdout), (134, ""), "{ended:?}");
        assert!(ended.stderr.contains("unreachable") && ended.stderr.contains("fail"), "{ended:?}");
    }
    // A command's own entry is a function like any other; its failure is then a value.
    let fails = guests().join("bin/wat-fail.wasm");
    let ended = invoke(&sandbox, Mode::Interp, &fails, "wasi:cli/run@0.2.0#run()");
    assert_eq!((ended.status, &*ended.stdout), (0, "err\n"), "{ended:?}");
}

#[test]
fn a_name_alone_takes_its_arguments_from_the_command_line() {
    let sandbox = Sandbox::new("invoke-words");
    let program = guests().join("bin/wat-values.wasm");
    let mut command = mini_wasm(&sandbox);
    let ended = end(&sandbox, command.args(["run", "--invoke", "add"]).arg(&program).args(["40", "2"]));
    assert_eq!((ended.status, &*ended.stdout), (0, "42\n"), "{ended:?}");
}
