//! `componentize`: core modules of WASI preview 1 and of custom WIT become components that run.

use crate::sandbox::Sandbox;
use crate::{end, guests, mini_wasm};

/// A program of WASI preview 1: prints, then exits with a status.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "hello from preview 1\n")
    (func $print (export "print")
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 21))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start") (call $print) (call $proc_exit (i32.const 1))))"#;

const WIT: &str = "package ns:calc@0.1.0;\n\
    interface ops { add: func(a: u32, b: u32) -> u32; }\n\
    world calc { export ops; export twice: func(n: u32) -> u32; }\n\
    world other { export twice: func(n: u32) -> u32; }\n";

#[test]
fn a_command_of_preview_1_becomes_a_component_that_runs() {
    let sandbox = Sandbox::new("componentize-command");
    let (program, out) = (sandbox.file("program.wat", PROGRAM), sandbox.path("program.wasm"));
    for adapt in [&[][..], &["--adapt", "command"]] {
        let made = end(
            &sandbox,
            mini_wasm(&sandbox).arg("componentize").args(adapt).arg(&program).arg("-o").arg(&out),
        );
        assert_eq!((made.status, &*made.stdout, &*made.stderr), (0, "", ""), "{made:?}");
        let bytes = std::fs::read(&out).expect("a component");
        wasmparser::Validator::new().validate_all(&bytes).expect("it is valid");
        for engine in ["--engine=interp", "--engine=jit"] {
            let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", engine]).arg(&out));
            assert_eq!((ended.status, &*ended.stdout), (1, "hello from preview 1\n"), "{ended:?}");
        }
    }
    let fits = end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", "wasi:cli/command"]).arg(&out));
    assert_eq!(fits.status, 0, "{fits:?}");
}

#[test]
fn an_adapter_of_a_file_takes_the_place_of_ours() {
    let sandbox = Sandbox::new("componentize-adapter");
    let program = sandbox.file("program.wat", PROGRAM);
    // An adapter that writes nowhere and exits by a trap, found by its file's name or by a name of ours.
    let adapter = r#"(module
        (func (export "fd_write") (param i32 i32 i32 i32) (result i32) i32.const 8)
        (func (export "proc_exit") (param i32) unreachable))"#;
    let adapter = sandbox.file("wasi_snapshot_preview1.mute.wat", adapter);
    let wit = sandbox.file("mute.wit", "package ns:mute;\nworld mute { export print: func(); }\n");
    for adapt in [adapter.display().to_string(), format!("wasi_snapshot_preview1={}", adapter.display())] {
        let out = sandbox.fresh("mute");
        let mut command = mini_wasm(&sandbox);
        command
            .args(["componentize", "--adapt", &adapt, "--wit"])
            .arg(&wit)
            .arg(&program)
            .arg("-o")
            .arg(&out);
        let made = end(&sandbox, &mut command);
        assert_eq!(made.status, 0, "{made:?}");
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--invoke", "print()"]).arg(&out));
        assert_eq!((ended.status, &*ended.stdout), (0, ""), "{ended:?}");
    }
    let none = end(&sandbox, mini_wasm(&sandbox).args(["componentize", "--adapt", "none"]).arg(&program));
    assert_eq!(none.status, 1, "{none:?}");
    assert!(none.stderr.contains("wasi_snapshot_preview1"), "{none:?}");
}

#[test]
fn a_module_becomes_a_component_of_the_world_that_is_named() {
    let sandbox = Sandbox::new("componentize-wit");
    let module = sandbox.file(
        "calc.wat",
        r#"(module
            (func (export "ns:calc/ops@0.1.0#add") (param i32 i32) (result i32)
                (i32.add (local.get 0) (local.get 1)))
            (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"#,
    );
    let wit = sandbox.file("calc.wit", WIT);
    let out = sandbox.path("calc.wasm");
    let made = end(
        &sandbox,
        mini_wasm(&sandbox)
            .args(["componentize", "--world", "calc", "--wit"])
            .arg(&wit)
            .arg(&module)
            .arg("-o")
            .arg(&out),
    );
    assert_eq!((made.status, &*made.stderr), (0, ""), "{made:?}");
    for (call, result) in [("ops.add(40, 2)", "42\n"), ("twice(4)", "8\n")] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--invoke", call]).arg(&out));
        assert_eq!((ended.status, &*ended.stdout), (0, result), "{ended:?}");
    }
    // Two worlds, and none is named.
    let ended = end(&sandbox, mini_wasm(&sandbox).args(["componentize", "--wit"]).arg(&wit).arg(&module));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("ns:calc/other@0.1.0"), "{ended:?}");
    // As text.
    let mut command = mini_wasm(&sandbox);
    command.args(["componentize", "-t", "--world", "other", "--wit"]).arg(&wit).arg(&module);
    let text = end(&sandbox, &mut command);
    assert_eq!(text.status, 0, "{text:?}");
    assert!(text.stdout.starts_with("(component") && text.stdout.contains("(export"), "{}", text.stdout);
}

#[test]
fn what_is_no_core_module_is_refused() {
    let sandbox = Sandbox::new("componentize-refused");
    let component = guests().join("bin/wat-run.wasm");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("componentize").arg(&component));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("is a component already"), "{ended:?}");
    let invalid = sandbox.file("invalid.wat", "(module (func (result i32)))");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("componentize").arg(&invalid));
    assert_eq!((ended.status, &*ended.stdout), (1, ""), "{ended:?}");
}
