//! Core modules: binary, text, from standard input; `--invoke`, `--preload`, `-W`; what is missing and what would provide it.

use crate::sandbox::Sandbox;
use crate::{Mode, end, guests, mini_wasm, prepared, run};
use std::process::Stdio;

const VALUES: &str = r#"(module
    (func (export "swap") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
        local.get 3 local.get 2 local.get 1 local.get 0)
    (func (export "nothing"))
    (table (export "table") 3 funcref)
    (func (export "is-null") (param externref) (result i32) (ref.is_null (local.get 0))))"#;

#[test]
fn invoke_reads_arguments_by_their_types_and_prints_results_one_a_line() {
    let sandbox = Sandbox::new("invoke");
    let program = sandbox.file("values.wat", VALUES);
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &program, &[]);
        let words = |words: &[&str]| {
            let mut line = vec!["run".into(), mode.engine().into()];
            line.extend(["--invoke".into(), words[0].into()]);
            line.push(program.clone().into_os_string());
            line.extend(words[1..].iter().map(Into::into));
            run(&sandbox, line)
        };
        let swapped = words(&["swap", "4294967295", "-0x10", "nan:0x1", "1e300"]);
        assert_eq!((swapped.status, &*swapped.stdout), (0, "1e300\nnan:0x1\n-16\n-1\n"), "{swapped:?}");
        let nothing = words(&["nothing"]);
        assert_eq!((nothing.status, &*nothing.stdout), (0, ""), "{nothing:?}");
        assert_eq!(words(&["is-null", "null"]).stdout, "1\n");
        for (wrong, what) in [
            (&["swap", "1", "2", "3"][..], "(func (param i32 i64 f32 f64) (result f64 f32 i64 i32))"),
            (&["swap", "1.5", "2", "3", "4"], "`1.5` is no i32"),
            (&["swop"], "`--invoke NAME` can call swap, nothing, is-null"),
            (&["table"], "(table 3 funcref)"),
        ] {
            let ended = words(wrong);
            assert_eq!(ended.status, 2, "{ended:?}");
            assert!(ended.stderr.contains(what), "{ended:?}");
        }
    }
}

#[test]
fn a_module_comes_from_standard_input_as_binary_or_text() {
    let sandbox = Sandbox::new("stdin");
    let text = sandbox.file("sum.wat", r#"(module (func (export "sum") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#);
    for file in [text, guests().join("bin/bench-fib.wasm")] {
        let mut command = mini_wasm(&sandbox);
        command.stdin(std::fs::File::open(&file).unwrap());
        let (name, args, result) = if file.extension().unwrap() == "wat" {
            ("sum", &["20", "22"][..], "42\n")
        } else {
            ("run", &["20"][..], "6765\n")
        };
        let ended = end(&sandbox, command.args(["run", "--invoke", name, "-"]).args(args));
        assert_eq!((ended.status, &*ended.stdout), (0, result), "{ended:?}");
    }
}

#[test]
fn a_file_is_run_without_the_word_run() {
    let sandbox = Sandbox::new("implied");
    let program = sandbox.file("start.wat", r#"(module (func (export "_start") unreachable))"#);
    let ended = end(&sandbox, mini_wasm(&sandbox).arg(program));
    assert_eq!(ended.status, 134, "{ended:?}");
    let ended = run(&sandbox, ["no-such-command"]);
    assert_eq!(ended.status, 2, "{ended:?}");
}

#[test]
fn preloaded_modules_provide_imports_in_order() {
    let sandbox = Sandbox::new("preload");
    let one = sandbox.file("one.wat", r#"(module (global (export "g") i32 (i32.const 40)))"#);
    let two = sandbox.file(
        "two.wat",
        r#"(module (import "one" "g" (global $g i32)) (func (export "f") (result i32) (i32.add (global.get $g) (i32.const 2))))"#,
    );
    let main = sandbox.file(
        "main.wat",
        r#"(module (import "two" "f" (func $f (result i32))) (func (export "main") (result i32) (call $f)))"#,
    );
    let with = |order: [(&str, &std::path::Path); 2], engine: &str| {
        let mut command = mini_wasm(&sandbox);
        command.args(["run", engine]);
        for (name, file) in order {
            command.arg("--preload").arg(format!("{name}={}", file.display()));
        }
        end(&sandbox, command.args(["--invoke", "main"]).arg(&main))
    };
    for mode in [Mode::Interp, Mode::Jit] {
        let ended = with([("one", &one), ("two", &two)], mode.engine());
        assert_eq!((ended.status, &*ended.stdout), (0, "42\n"), "{ended:?}");
    }
    let ended = with([("two", &two), ("one", &one)], "--engine=auto");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("\"one\" \"g\" (global i32)"), "{ended:?}");
}

#[test]
fn a_preloaded_module_may_be_an_artifact_and_is_initialised_before_anyone_imports_from_it() {
    let sandbox = Sandbox::new("preload-reactor");
    let reactor = sandbox.file(
        "reactor.wat",
        r#"(module (global $n (mut i32) (i32.const 1))
            (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 41))))
            (func (export "n") (result i32) (global.get $n)))"#,
    );
    let main = sandbox.file(
        "main.wat",
        r#"(module (import "reactor" "n" (func $n (result i32))) (func (export "main") (result i32) (call $n)))"#,
    );
    let with = |reactor: &std::path::Path, main: &std::path::Path, engine: &str| {
        let mut command = mini_wasm(&sandbox);
        command.args(["run", engine, "--preload"]).arg(format!("reactor={}", reactor.display()));
        end(&sandbox, command.args(["--invoke", "main"]).arg(main))
    };
    for mode in Mode::ALL {
        let preloaded = prepared(&sandbox, mode, &reactor, &[]);
        for main in [&main, &prepared(&sandbox, mode, &main, &[])] {
            let ended = with(&preloaded, main, mode.engine());
            assert_eq!(
                (ended.status, &*ended.stdout, &*ended.stderr),
                (0, "42\n", ""),
                "{mode:?}: {ended:?}"
            );
        }
    }
    // An artifact that does what the run does not ask for is not for the run's engine.
    let counting = prepared(&sandbox, Mode::Artifact, &reactor, &["--fuel"]);
    let ended = with(&counting, &main, "--engine=jit");
    assert_eq!((ended.status, &*ended.stdout), (0, "42\n"), "{ended:?}");
    assert!(ended.stderr.contains("interpreted"), "{ended:?}");
    // What ends while it is initialised ends the program.
    let exits = sandbox.file(
        "exits.wat",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "_initialize") (call $exit (i32.const 5))) (func (export "n") (result i32) (i32.const 0)))"#,
    );
    let ended = with(&exits, &main, "--engine=interp");
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (5, "", ""), "{ended:?}");
}

#[test]
fn a_missing_import_is_named_with_what_would_provide_it() {
    let sandbox = Sandbox::new("missing");
    let program = sandbox
        .file("needs.wat", r#"(module (import "env" "log" (func (param i32))) (func (export "_start")))"#);
    let ended = run(&sandbox, ["run".into(), program.into_os_string()]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("\"env\" \"log\" (func (param i32))"), "{ended:?}");
    assert!(ended.stderr.contains("--preload env=FILE"), "{ended:?}");

    let old = sandbox.file(
        "old.wat",
        r#"(module (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
            (func (export "_start") (call $exit (i32.const 5))))"#,
    );
    let ended = run(&sandbox, ["run".into(), old.clone().into_os_string()]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("--wasi-unstable"), "{ended:?}");
    let ended = run(&sandbox, ["run".into(), "--wasi-unstable".into(), old.into_os_string()]);
    assert_eq!(ended.status, 5, "{ended:?}");

    let component = sandbox.file(
        "component.wat",
        r#"(component (import "acme:db/query@1.0.0" (instance (export "ask" (func))))
            (core module $m (func (export "run") (result i32) i32.const 0))
            (core instance $m (instantiate $m))
            (func $run (result (result)) (canon lift (core func $m "run")))
            (instance $i (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $i)))"#,
    );
    let ended = run(&sandbox, ["run".into(), component.into_os_string()]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("acme:db/query@1.0.0") && ended.stderr.contains("mini-wasm compose"),
        "{ended:?}"
    );
}

#[test]
fn a_missing_import_that_is_stubbed_traps_only_when_it_is_called() {
    let sandbox = Sandbox::new("stubs");
    let program = sandbox.file(
        "stubs.wat",
        r#"(module (import "env" "log" (func $log)) (func (export "_start"))
            (func (export "calls") (call $log)))"#,
    );
    let words = |flags: &[&str]| {
        let mut words: Vec<std::ffi::OsString> = vec!["run".into()];
        words.extend(flags.iter().map(std::ffi::OsString::from));
        words.push(program.clone().into_os_string());
        words
    };
    let ended = run(&sandbox, words(&[]));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("--stub-missing"), "{ended:?}");
    assert_eq!(run(&sandbox, words(&["--stub-missing"])).status, 0);
    let ended = run(&sandbox, words(&["--stub-missing", "--invoke=calls"]));
    assert_eq!(ended.status, 134, "{ended:?}");
    assert!(ended.stderr.contains("`env::log`"), "{ended:?}");
}

#[test]
fn a_reactor_is_initialized_before_anything_else_is_called() {
    let sandbox = Sandbox::new("reactor");
    let program = sandbox.file(
        "reactor.wat",
        r#"(module (global $n (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 7))))
            (func (export "n") (result i32) (global.get $n)))"#,
    );
    for (flags, stdout) in [(&[][..], ""), (&["--invoke=n"], "7\n"), (&["--invoke=_initialize"], "")] {
        let mut words: Vec<std::ffi::OsString> = vec!["run".into()];
        words.extend(flags.iter().map(std::ffi::OsString::from));
        words.push(program.clone().into_os_string());
        let ended = run(&sandbox, words);
        assert_eq!((ended.status, &*ended.stdout), (0, stdout), "{flags:?} {ended:?}");
    }
}

#[test]
fn a_module_without_a_start_says_what_it_has() {
    let sandbox = Sandbox::new("no-start");
    let ended = run(&sandbox, ["run".into(), guests().join("bin/bench-fib.wasm").into_os_string()]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("`--invoke NAME` can call run"), "{ended:?}");
    let library = run(&sandbox, ["run".into(), guests().join("bin/demo-provider.wasm").into_os_string()]);
    assert_eq!(library.status, 1, "{library:?}");
    assert!(library.stderr.contains("no command but a library"), "{library:?}");
}

#[test]
fn a_start_function_is_a_program_too() {
    let sandbox = Sandbox::new("start");
    let program = sandbox.file("start.wat", "(module (func $s unreachable) (start $s))");
    let ended = run(&sandbox, ["run".into(), program.into_os_string()]);
    assert_eq!(ended.status, 134, "{ended:?}");
}

#[test]
fn a_proposal_that_is_switched_off_is_refused() {
    let sandbox = Sandbox::new("features");
    let program =
        sandbox.file("multi.wat", r#"(module (func (export "f") (result i32 i32) i32.const 1 i32.const 2))"#);
    let with =
        |flag: &str| end(&sandbox, mini_wasm(&sandbox).args(["run", flag, "--invoke", "f"]).arg(&program));
    assert_eq!(with("-Wmulti-value=y").stdout, "1\n2\n");
    assert_eq!(with("-Wmulti-value=n").status, 1);
    assert_eq!(with("-Wmulti-values=n").status, 2);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let sandbox = Sandbox::new("pipe");
    let program = sandbox.file("values.wat", VALUES);
    let mut child = mini_wasm(&sandbox)
        .arg("inspect")
        .arg(program)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_guest_whose_reader_has_gone_gets_an_error_and_ends_by_itself() {
    let sandbox = Sandbox::new("guest-pipe");
    let mut child = mini_wasm(&sandbox)
        .args(["run", "--engine=interp"])
        .arg(guests().join("bin/c-hello.wasm"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // Killed by SIGPIPE it would have no exit status.
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn an_exception_that_nobody_catches_ends_with_134_and_names_its_tag() {
    let sandbox = Sandbox::new("exception");
    let program = sandbox.file(
        "throw.wat",
        r#"(module $m (tag $oops (param i32 f64))
            (func $inner (throw $oops (i32.const 4) (f64.const 0.5)))
            (func (export "f") (call $inner)))"#,
    );
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &program, &[]);
        let ended = run(
            &sandbox,
            ["run".as_ref(), mode.engine().as_ref(), "--invoke".as_ref(), "f".as_ref(), program.as_os_str()],
        );
        assert_eq!(ended.status, 134, "{ended:?}");
        assert!(
            ended.stderr.contains("wasm exception: unhandled exception: tag `oops` of `m` (4, 0.5)"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("m!inner") && ended.stderr.contains("m!f"), "{ended:?}");
    }
    let legacy =
        sandbox.file("legacy.wat", r#"(module (tag $t) (func (export "f") try throw $t catch_all end))"#);
    let refused = run(&sandbox, ["run".as_ref(), "--invoke".as_ref(), "f".as_ref(), legacy.as_os_str()]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("legacy"), "{refused:?}");
    let words = [
        "run".as_ref(),
        "-W".as_ref(),
        "legacy-exceptions=y".as_ref(),
        "--invoke".as_ref(),
        "f".as_ref(),
        legacy.as_os_str(),
    ];
    assert_eq!(run(&sandbox, words).status, 0);
}
