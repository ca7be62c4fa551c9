//! Wrong usage ends with 2 and says what is right; what is the guest's reaches the guest.

use crate::sandbox::Sandbox;
use crate::{end, guests, mini_wasm, run};

#[test]
fn wrong_usage_ends_with_2() {
    let sandbox = Sandbox::new("usage");
    for (words, hint) in [
        (&["run"][..], "FILE"),
        (&[], "Usage"),
        (&["run", "--enginee", "jit", "x"], "'--engine'"),
        (&["run", "--engine", "fast", "x"], "interp, jit, auto"),
        (&["run", "--dir", "a::b::rw", "x"], "`ro`"),
        (&["run", "--timeout", "100", "x"], "the unit is missing"),
        (&["run", "--max-memory", "1.5G", "x"], "whole number"),
        (&["run", "--fuel", "lots", "x"], "--fuel"),
        (&["run", "--preload", "x", "y"], "NAME=FILE"),
        (&["run", "-W", "telepathy", "x"], "multi-value"),
        (&["aot", "x"], "--output"),
        (&["aot", "x", "-o", "y", "--threads", "0"], "--threads"),
        (&["completions", "cmd"], "bash"),
        (&["rnu", "x.wasm"], "`rnu` is no command, and no file of this name is there"),
        (&["inspekt", "x.wasm"], "there is a command `inspect`"),
        (&["--engine", "fast", "run", "x"], "interp, jit, auto"),
        (&["serve", "--addr", "localhost:99999", "x"], "`99999` is no port"),
        (&["serve", "--addr", "example.com:80", "x"], "`localhost:8080`"),
    ] {
        let ended = run(&sandbox, words);
        assert_eq!(ended.status, 2, "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(hint), "{words:?}: no `{hint}` in:\n{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{words:?}");
    }
}

#[test]
fn a_flag_for_core_modules_is_refused_for_components() {
    let sandbox = Sandbox::new("usage-component");
    let component = guests().join("bin/wat-run.wasm");
    let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--preload", "env=x.wasm"]).arg(&component));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("--preload") && ended.stderr.contains("is a component"), "{ended:?}");
}

#[test]
fn a_file_that_is_not_there_or_nothing_of_ours_ends_with_1() {
    let sandbox = Sandbox::new("usage-file");
    let noise = sandbox.file("noise.wasm", [0xff; 64]);
    let short = sandbox.file("short.wasm", b"\0asm\x01\0\0");
    let missing = sandbox.path("missing.wasm");
    for (file, hint) in [(&noise, "no WebAssembly"), (&missing, "cannot read"), (&short, "short.wasm")] {
        let ended = end(&sandbox, mini_wasm(&sandbox).arg("run").arg(file));
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.stderr.contains(hint), "{ended:?}");
    }
    let ended = run(
        &sandbox,
        ["run", "--dir", "/no/such/folder", guests().join("bin/c-hello.wasm").to_str().unwrap()],
    );
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("/no/such/folder"), "{ended:?}");
}

#[test]
fn words_after_the_file_and_only_granted_variables_reach_the_guest() {
    let sandbox = Sandbox::new("usage-guest");
    let hello = guests().join("bin/c-hello.wasm");
    let mut command = mini_wasm(&sandbox);
    command.env("PASSED", "on").env("KEPT", "back");
    command.args(["run", "--env", "SET=here", "--env", "PASSED", "--env", "ABSENT"]).arg(&hello);
    let ended = end(&sandbox, command.args(["--env", "X=1", "--", "--help", "--dir=/"]));
    assert_eq!(ended.status, 0, "{ended:?}");
    for line in [
        "5 arguments",
        "[--env]",
        "[X=1]",
        "[--]",
        "[--help]",
        "[--dir=/]",
        "2 environment variables",
        "[SET=here]",
        "[PASSED=on]",
    ] {
        assert!(ended.stdout.contains(line), "no `{line}` in:\n{}", ended.stdout);
    }
}

#[test]
fn what_wasi_calls_unstable_is_offered_to_who_asks_and_named_to_who_does_not() {
    let sandbox = Sandbox::new("usage-unstable");
    let program = sandbox.file(
        "zone.wat",
        r#"(component
            (import "wasi:clocks/timezone@0.2.12" (instance $zone
                (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
                (export "datetime" (type $datetime (eq $record)))
                (export "utc-offset" (func (param "when" $datetime) (result s32)))))
            (core func $offset (canon lower (func $zone "utc-offset")))
            (core module $m
                (import "" "offset" (func $offset (param i64 i32) (result i32)))
                (func (export "run") (result i32) (call $offset (i64.const 0) (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "offset" (func $offset))))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#,
    );
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("run").arg(&program));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("wasi:clocks/timezone@0.2.12"), "{ended:?}");
    assert!(ended.stderr.contains("--unstable clocks-timezone"), "{ended:?}");
    let asked = ["run", "--unstable", "clocks-timezone", "--unstable=clocks-timezone"];
    let ended = end(&sandbox, mini_wasm(&sandbox).args(asked).arg(&program));
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--unstable", "clocks"]).arg(&program));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("network-error-code"), "{ended:?}");
}

#[test]
fn what_a_refused_file_needs_is_named_by_its_switch() {
    let sandbox = Sandbox::new("proposals");
    let cases = [
        // Off by default.
        ("(module (memory 1 (pagesize 1)))", vec![], "-W custom-page-sizes allows it"),
        ("(module (func try catch_all end))", vec![], "-W legacy-exceptions allows it"),
        (
            "(module (memory 1 (pagesize 1)) (func try catch_all end))",
            vec![],
            "-W custom-page-sizes,legacy-exceptions allows it",
        ),
        ("(component (type (list u8 4)))", vec![], "-W component-fixed-length-lists allows it"),
        // Switched off.
        (
            "(module (func (result v128) (v128.const i64x2 0 0)))",
            vec!["-W", "simd=n,relaxed-simd=n"],
            "-W simd allows it",
        ),
    ];
    for (text, flags, expected) in cases {
        let file = sandbox.file("refused.wat", text);
        for command in ["validate", "run", "inspect"] {
            // What is shown of a component is read by other crates.
            if command == "inspect" && text.starts_with("(component") {
                continue;
            }
            let refused = end(&sandbox, mini_wasm(&sandbox).arg(command).args(&flags).arg(&file));
            assert_eq!(refused.status, 1, "{command} {text}: {refused:?}");
            assert!(refused.stderr.contains(expected), "{command} {text}: {refused:?}");
            let switch = expected.strip_suffix(" allows it").unwrap().strip_prefix("-W ").unwrap();
            let ended = end(&sandbox, mini_wasm(&sandbox).args(["validate", "-W", switch]).arg(&file));
            assert_eq!(ended.status, 0, "{switch}: {ended:?}");
        }
    }
    // What no switch allows is told without one.
    let wrong = sandbox.file("wrong.wat", "(module (func (result i32)))");
    let refused = end(&sandbox, mini_wasm(&sandbox).arg("validate").arg(&wrong));
    assert!(refused.status == 1 && !refused.stderr.contains("-W"), "{refused:?}");
}

// wasmtime #13544.
#[test]
fn directories_whose_names_overlap_are_told_of() {
    let sandbox = Sandbox::new("overlap");
    let file = sandbox.file("empty.wat", "(module (func (export \"_start\")))");
    let host = sandbox.path("").display().to_string();
    let run = |guests: &[&str]| {
        let flags: Vec<String> = guests.iter().map(|guest| format!("--dir={host}::{guest}")).collect();
        let ended = end(&sandbox, mini_wasm(&sandbox).arg("run").args(&flags).arg(&file));
        assert_eq!(ended.status, 0, "{ended:?}");
        ended.stderr
    };
    for (guests, told) in [
        (&["/a", "/a/b"][..], "`/a/b` lies within `/a`"),
        (&["/a/b/", "/"], "`/a/b/` lies within `/`"),
        (&["x", "x"], "`x` lies within `x`"),
        (&["./x", "."], "`./x` lies within `.`"),
    ] {
        let stderr = run(guests);
        assert_eq!(stderr.matches(told).count(), 1, "{guests:?}: {stderr}");
    }
    for apart in [&["/a", "/ab"][..], &["/a", "a"], &["/a/b", "/a/c"], &["/"]] {
        assert_eq!(run(apart), "", "{apart:?}");
    }
}

#[test]
fn a_file_without_a_command_is_told_what_is_wrong_with_it() {
    let sandbox = Sandbox::new("usage-implied");
    sandbox.file("noise", [0xff; 64]);
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    for (words, hint) in [
        (&["missing.wasm"][..], "cannot read missing.wasm: No such file"),
        (&["./missing"], "cannot read ./missing: No such file"),
        (&["folder"], "folder is a folder, and a file is wanted"),
        (&["noise", "--flag"], "noise is no WebAssembly"),
        (&["-"], "standard input is empty"),
        (&["--max-memory", "1M", "noise"], "noise is no WebAssembly"),
        (&["--engine=interp", "run", "folder"], "folder is a folder"),
        (&["-W", "simd=n", "validate", "folder"], "folder is a folder"),
        (&["wast", "folder"], "folder is a folder"),
        (&["inspect", "missing.wasm"], "cannot read missing.wasm"),
        (&["serve", "--addr", ":0", "noise"], "noise is no WebAssembly"),
    ] {
        let ended = end(&sandbox, mini_wasm(&sandbox).current_dir(sandbox.path("")).args(words));
        assert_eq!((ended.status, &*ended.stdout), (1, ""), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(hint), "{words:?}: {ended:?}");
    }
    sandbox.file("program.wat", "(module (func (export \"_start\")))");
    for words in [
        &["program.wat"][..],
        &["--engine", "interp", "program.wat"],
        &["--engine=interp", "run", "program.wat", "-x"],
    ] {
        let ended = end(&sandbox, mini_wasm(&sandbox).current_dir(sandbox.path("")).args(words));
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "{words:?}: {ended:?}");
    }
}

#[test]
fn a_variable_that_is_not_unicode_is_left_out_and_told_once() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new("usage-unicode");
    let odd = OsStr::from_bytes(b"a\xff");
    let hello = guests().join("bin/c-hello.wasm");
    for flags in [&["--inherit-env"][..], &["--env", "ODD"], &["--env", "ODD", "--inherit-env"]] {
        let mut command = mini_wasm(&sandbox);
        command.env_clear().env("XDG_STATE_HOME", sandbox.path("state")).env("ODD", odd);
        let ended = end(&sandbox, command.arg("run").args(flags).args(["--env", "SET=1"]).arg(&hello));
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.stdout.contains("[SET=1]") && !ended.stdout.contains("ODD"), "{ended:?}");
        assert_eq!(ended.stderr.matches("ODD").count(), 1, "{ended:?}");
        assert!(ended.stderr.starts_with("warning: left out of the guest's environment"), "{ended:?}");
    }
    // What is said on the command line is not dropped but refused.
    let dir = OsStr::from_bytes(b"--dir=a\xff");
    let value = OsStr::from_bytes(b"--env=A=\xff");
    let config = OsStr::from_bytes(b"--config=A=\xff");
    for words in [
        &[dir, hello.as_os_str()][..],
        &[value, hello.as_os_str()],
        &[config, hello.as_os_str()],
        &[hello.as_os_str(), odd],
    ] {
        let ended = end(&sandbox, mini_wasm(&sandbox).arg("run").args(words));
        assert_eq!(ended.status, 2, "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("not Unicode, which WASI asks for"), "{ended:?}");
    }
}
