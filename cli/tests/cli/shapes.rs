//! Components and modules that export the right names with the wrong kinds or types are told what is wrong with them.

use crate::sandbox::Sandbox;
use crate::{end, mini_wasm};

/// What makes a component of a function of this type that is imported, so that any type is quickly made.
fn exporting(interface: &str, ty: &str, name: &str) -> String {
    format!(
        r#"(component (import "x" (func $f {ty})) (instance $i (export "{name}" (func $f))) (export "{interface}" (instance $i)))"#
    )
}

#[test]
fn exports_of_the_right_name_and_the_wrong_shape_are_errors() {
    let sandbox = Sandbox::new("shapes");
    let (run, handler) = ("wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.0");
    let empty = |name: &str| format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#);
    for (command, text, told) in [
        ("run", empty(run), "exports `wasi:cli/run@0.2.0` without `run: func() -> result` in it"),
        ("run", empty("wasi:cli/run@0.2.99999999999999999999"), "is not valid"),
        ("run", format!(r#"(component (component $c) (export "{run}" (component $c)))"#), "as a component"),
        ("run", format!(r#"(component (core module $c) (export "{run}" (core module $c)))"#), "as a core module"),
        (
            "run",
            format!(r#"(component (instance $e) (instance $i (export "run" (instance $e))) (export "{run}" (instance $i)))"#),
            "`run` of `wasi:cli/run@0.2.0` as an instance",
        ),
        ("run", exporting(run, "(result u32)", "run"), "with another type than `func() -> result`"),
        ("run", exporting(run, "", "run"), "with another type"),
        ("run", exporting(run, "(param \"a\" u8) (result (result))", "run"), "with another type"),
        ("run", exporting(run, "(result (result u8))", "run"), "with another type"),
        ("serve", empty(handler), "exports `wasi:http/incoming-handler@0.2.0` without `handle"),
        ("serve", exporting(handler, "(result u32)", "handle"), "with another type"),
        ("serve", exporting(handler, "", "handle"), "with another type"),
        ("serve", "(component)".into(), "does not export `wasi:http/incoming-handler@0.2`"),
        ("repl", exporting(run, "(result u32)", "run"), "imports what nobody defines"),
        (
            "run",
            r#"(module (func (export "_initialize") (param i32)) (func (export "_start") (result i32) (i32.const 0)))"#.into(),
            "exports no function `_start` without parameters and results",
        ),
        ("run", r#"(module (memory (export "_start") 1))"#.into(), "exports no function `_start`"),
    ] {
        let file = sandbox.file("shape.wat", &text);
        for engine in ["--engine=interp", "--engine=jit"] {
            let ended = end(&sandbox, mini_wasm(&sandbox).args([command, engine]).arg(&file));
            assert_eq!((ended.status, &*ended.stdout), (1, ""), "{text}: {ended:?}");
            assert!(ended.stderr.contains(told), "{text}: {ended:?}");
        }
    }
}

// Functions of the host that come back as exports are typed in Rust, and a call by values is none of theirs.
#[test]
fn what_is_imported_and_exported_again_is_told_of_when_it_is_called() {
    let sandbox = Sandbox::new("shapes-again");
    let file = sandbox.file(
        "again.wat",
        r#"(component
            (import "wasi:random/random@0.2.0" (instance $r (export "get-random-u64" (func (result u64)))))
            (import "wasi:io/poll@0.2.0" (instance $p (export "pollable" (type (sub resource)))))
            (export "wasi:random/random@0.2.0" (instance $r))
            (export "wasi:io/poll@0.2.0" (instance $p))
            (alias export $r "get-random-u64" (func $g))
            (export "g" (func $g)))"#,
    );
    for call in ["g()", "random.get-random-u64()"] {
        for engine in ["--engine=interp", "--engine=jit"] {
            let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", engine, "--invoke", call]).arg(&file));
            assert!(!ended.stderr.contains("panicked"), "{call}: {ended:?}");
            assert_eq!((ended.status, &*ended.stdout), (1, ""), "{call}: {ended:?}");
            assert!(ended.stderr.contains("a typed function of the host"), "{call}: {ended:?}");
        }
    }
}

// Readers of interfaces have their own expectations of a component.
#[test]
fn an_interface_that_cannot_be_shown_is_an_error() {
    let sandbox = Sandbox::new("shapes-shown");
    let file = sandbox.file(
        "again.wat",
        r#"(component
            (import "x" (func $f (result u32)))
            (export "y" (func $f))
            (import "wasi:io/poll@0.2.0" (instance $p (export "pollable" (type (sub resource)))))
            (export "wasi:io/poll@0.2.0" (instance $p)))"#,
    );
    for flags in [&["inspect"][..], &["inspect", "--wit"], &["inspect", "--permissions"]] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(flags).arg(&file));
        assert!(ended.status <= 1 && !ended.stderr.contains("panicked"), "{ended:?}");
    }
}
