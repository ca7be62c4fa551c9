//! What commands make of files that they were not made for: other formats, endless ones, text of before, deep text, and names
//! that would steer a terminal.

#[cfg(feature = "tools")]
use crate::guests;
use crate::sandbox::Sandbox;
use crate::{end, mini_wasm};
use std::process::{Command, Stdio};

#[test]
fn files_of_other_kinds_are_called_what_they_are() {
    let sandbox = Sandbox::new("input-kinds");
    let object = [b"\0asm\x01\0\0\0\x00\x08\x07linking".as_slice()].concat();
    for (content, told) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "compressed by gzip"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0", "object file"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0", "core dump"),
        (b"MZ\x90\0", "Windows (PE)"),
        (b"#!/bin/sh\necho hi\n", "a script (`#!/bin/sh`)"),
        (b"{\"a\": [1, 2]}", "JSON"),
        (b"(module) (assert_return (invoke \"f\"))", "`mini-wasm wast` runs it"),
        (&object, "an object file of a compiler"),
    ] {
        let file = sandbox.file("other", content);
        for command in ["run", "aot", "validate", "inspect", "serve", "repl"] {
            // It is a valid module all the same.
            if content == object && command != "run" {
                continue;
            }
            let mut words = mini_wasm(&sandbox);
            words.arg(command).arg(&file);
            if command == "aot" {
                words.arg("-o").arg(sandbox.path("out"));
            }
            let ended = end(&sandbox, &mut words);
            assert_eq!(ended.status, 1, "{command}: {ended:?}");
            assert!(ended.stderr.contains(told), "{command}: no `{told}` in {ended:?}");
        }
    }
}

#[test]
fn reading_stops_where_nothing_of_ours_can_come() {
    let sandbox = Sandbox::new("input-endless");
    for command in ["run", "validate", "inspect", "wast", "serve", "repl"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).arg(command).arg("/dev/zero"));
        assert_eq!(ended.status, 1, "{command}: {ended:?}");
    }
    for command in [&["validate", "-"][..], &["run", "-"]] {
        let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn().expect("yes");
        let ended = end(&sandbox, mini_wasm(&sandbox).args(command).stdin(yes.stdout.take().unwrap()));
        let _ = yes.wait();
        assert_eq!(ended.status, 1, "{command:?}: {ended:?}");
    }
    // Larger than anything is read, without a byte of it on the disk.
    let huge = sandbox.file("huge.wasm", b"\0asm\x01\0\0\0");
    std::fs::OpenOptions::new().write(true).open(&huge).unwrap().set_len(1 << 40).unwrap();
    for command in ["run", "validate", "inspect"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).arg(command).arg(&huge));
        assert_eq!(ended.status, 1, "{command}: {ended:?}");
        assert!(ended.stderr.contains("larger than 512 MiB"), "{command}: {ended:?}");
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_is_waited_for_and_said_so() {
    let sandbox = Sandbox::new("input-pipe");
    let pipe = sandbox.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let stderr = sandbox.path("said");
    let mut child = mini_wasm(&sandbox)
        .arg("run")
        .arg(&pipe)
        .stderr(std::fs::File::create(&stderr).unwrap())
        .spawn()
        .expect("it starts");
    let begin = std::time::Instant::now();
    while !std::fs::read_to_string(&stderr).unwrap().contains("waiting for") {
        assert!(begin.elapsed() < crate::PATIENCE && child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::fs::write(&pipe, "(module (func (export \"_start\")))").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn text_of_components_as_it_was_until_2026_is_read_by_every_command() {
    let sandbox = Sandbox::new("input-older");
    let text = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
            (func (export "length") (param i32 i32) (result i32) (local.get 1)))
        (core instance $m (instantiate $m))
        (func (export "length") (param "s" string) (result u32)
            (canon lift (core func $m "length") (memory $m "memory") (realloc (func $m "realloc")))))"#;
    let file = sandbox.file("older.wat", text);
    for engine in ["--engine=interp", "--engine=jit"] {
        let ended = end(
            &sandbox,
            mini_wasm(&sandbox).args(["run", engine, "--invoke", "length(\"abc\")"]).arg(&file),
        );
        assert_eq!((ended.status, &*ended.stdout), (0, "3\n"), "{ended:?}");
    }
    for command in ["validate", "inspect"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).arg(command).arg(&file));
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "{command}: {ended:?}");
    }
    let script = sandbox.file(
        "older.wast",
        format!("{text}\n(assert_return (invoke \"length\" (str.const \"ab\")) (u32.const 2))"),
    );
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("wast").arg(&script));
    assert_eq!(ended.status, 0, "{ended:?}");
    // A mistake in it is told where it stands.
    let wrong = sandbox.file("wrong.wat", text.replace("(result u32)", "(result u33)"));
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("validate").arg(&wrong));
    assert!(ended.stderr.contains("wrong.wat:7:"), "{ended:?}");
}

#[test]
fn of_wrong_text_a_few_short_lines_are_quoted() {
    let sandbox = Sandbox::new("input-quote");
    let long = "x".repeat(200_000);
    for (name, text) in [
        ("long.wat", format!("(module (func ${long} {long} {long}))")),
        ("names.wat", format!("(module (func (call ${long})))")),
        ("long.wac", format!("package a:b; let {long} = {long};")),
        ("long.wast", format!("(module (func ({long})))")),
    ] {
        let file = sandbox.file(name, text);
        let command = match name.rsplit_once('.') {
            #[cfg(feature = "tools")]
            Some((_, "wac")) => &["compose"][..],
            #[cfg(not(feature = "tools"))]
            Some((_, "wac")) => continue,
            Some((_, "wast")) => &["wast"],
            _ => &["validate"],
        };
        let ended = end(&sandbox, mini_wasm(&sandbox).args(command).arg(&file));
        assert_eq!(ended.status, 1, "{name}: {ended:?}");
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert!(lines.len() <= 4, "{name}: {}", ended.stderr);
        let sandbox_path = sandbox.path("").display().to_string().len();
        assert!(lines.iter().all(|line| line.len() <= 260 + sandbox_path), "{name}: {}", ended.stderr);
    }
}

#[test]
fn names_from_files_do_not_steer_the_terminal() {
    let sandbox = Sandbox::new("input-control");
    let module = r#"(module
        (import "\1b[31m\nerror: forged" "\u{202e}" (func))
        (func $"\1b]0;title\07" (export "\1b[2J") unreachable)
        (func (export "_start") (call 1)))"#;
    let file = sandbox.file("names.wat", module);
    let text = sandbox.file("text.wat", "(module (func \u{1b}[2J \u{7}))");
    for words in [
        &["run", "names.wat"][..],
        &["run", "--stub-missing", "names.wat"],
        &["run", "--invoke", "x", "names.wat"],
        &["inspect", "names.wat"],
        &["validate", "text.wat"],
        &["\u{1b}[2Jno-command"],
    ] {
        let ended = end(&sandbox, mini_wasm(&sandbox).current_dir(sandbox.path("")).args(words));
        let steers = |text: &str| text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}');
        assert!(!steers(&ended.stderr), "{words:?}: {ended:?}");
        assert!(words[0] != "inspect" || !steers(&ended.stdout), "{words:?}: {ended:?}");
    }
    drop((file, text));
}

#[cfg(feature = "tools")]
#[test]
fn deep_text_of_tools_ends_in_words() {
    let sandbox = Sandbox::new("input-deep");
    let chain = |types: usize, of: &dyn Fn(usize) -> String| {
        let chain: String = (1..=types).map(|n| format!("type t{n} = {};\n", of(n - 1))).collect();
        format!(
            "package a:b; interface i {{ type t0 = u8;\n{chain} f: func(x: t{types}); }} world w {{ export i; }}"
        )
    };
    let deep = if std::env::var_os("MINI_WASM_LONG").is_some() { 100_000 } else { 3_000 };
    let depth = 100_000;
    for (name, text) in [
        ("alias.wit", chain(deep, &|n| format!("t{n}"))),
        ("list.wit", chain(deep, &|n| format!("list<t{n}>"))),
        ("double.wit", chain(60, &|n| format!("tuple<t{n}, t{n}>"))),
        (
            "brackets.wit",
            format!(
                "package a:b; interface i {{ type t = {}u8{}; }}",
                "list<".repeat(depth),
                ">".repeat(depth)
            ),
        ),
        (
            "uses.wit",
            format!(
                "package a:b; interface i0 {{ type t = u8; }} {}",
                (1..=deep.min(3000))
                    .map(|n| format!("interface i{n} {{ use i{}.{{t}}; }}\n", n - 1))
                    .collect::<String>()
            ),
        ),
        ("nested.wac", format!("package a:b; let x = {}y{};", "(".repeat(depth), ")".repeat(depth))),
        (
            "chain.wac",
            format!(
                "package a:b; type t0 = u8; {}",
                (1..30_000).map(|n| format!("type t{n} = list<t{}>;", n - 1)).collect::<String>()
            ),
        ),
        ("new.wac", format!("package a:b; let x = {}", "new a:c { b: ".repeat(depth))),
        ("types.wac", format!("package a:b; type t = {}u8{};", "list<".repeat(depth), ">".repeat(depth))),
    ] {
        let file = sandbox.file(name, text);
        let module = guests().join("bin/bench-fib.wasm");
        let component = guests().join("bin/wat-run.wasm");
        let commands = if name.ends_with("wac") {
            vec![vec!["compose".into(), file.into_os_string()]]
        } else {
            vec![
                vec!["inspect".into(), "--wit".into(), file.clone().into_os_string()],
                vec![
                    "componentize".into(),
                    "-t".into(),
                    module.into_os_string(),
                    "--wit".into(),
                    file.clone().into_os_string(),
                ],
                vec!["check".into(), component.into_os_string(), "--wit".into(), file.into_os_string()],
            ]
        };
        for words in commands {
            let ended = end(&sandbox, mini_wasm(&sandbox).args(&words));
            // Whatever comes of it: `end` fails on signals.
            assert!([0, 1, 2].contains(&ended.status), "{words:?}: {ended:?}");
            assert!(!ended.stderr.contains("panicked"), "{words:?}: {ended:?}");
            assert!(ended.took < std::time::Duration::from_secs(100), "{words:?}: {:?}", ended.took);
        }
    }
}

#[test]
fn what_needs_wasi_0_3_is_told_so_by_every_command() {
    let sandbox = Sandbox::new("input-async");
    let lifted = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0)) (func (export "c") (param i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run async (result (result)) (canon lift (core func $i "f") async (callback (core func $i "c"))))
        (instance $r (export "run" (func $run)))
        (export "wasi:cli/run@0.3.0" (instance $r)))"#;
    let imported = r#"(component (import "wasi:clocks/monotonic-clock@0.3.0" (instance (export "now" (func (result u64)))))
        (core module $m (func (export "f") (result i32) (i32.const 0))) (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "f")))
        (instance $r (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    for text in [lifted, imported] {
        let file = sandbox.file("async.wat", text);
        let out = sandbox.path("out");
        for words in [
            &["run"][..],
            &["run", "--invoke", "run()"],
            &["serve"],
            &["repl"],
            &["validate"],
            &["inspect"],
            &["inspect", "--permissions"],
            &["aot", "-o", out.to_str().unwrap()],
            #[cfg(feature = "tools")]
            &["inspect", "--wit"],
            #[cfg(feature = "tools")]
            &["check", "--world", "wasi:cli/command"],
            #[cfg(feature = "tools")]
            &["compose", "--plug", file.to_str().unwrap()],
        ] {
            // Serving takes a handler, which is told first.
            if words[0] == "serve" && text == imported {
                continue;
            }
            let ended = end(&sandbox, mini_wasm(&sandbox).args(words).arg(&file));
            assert!(
                ended.stderr.contains("needs WASI 0.3 / component-model async"),
                "{words:?}: {ended:?}\n{text}"
            );
        }
    }
}
