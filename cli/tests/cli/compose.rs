//! `compose`: what it makes is valid and runs like what wac makes.

use crate::sandbox::Sandbox;
use crate::{Ended, end, guests, mini_wasm};
use std::path::{Path, PathBuf};

/// A component that exports `ns:pkg/NAME#f`: the value of the imported `f`, if there is an import, plus `own`.
fn link(sandbox: &Sandbox, file: &str, export: &str, import: Option<&str>, own: u32) -> PathBuf {
    let (imported, lowered, with, call) = match import {
        Some(name) => (
            format!(r#"(import "{name}" (instance $up (export "f" (func (result u32)))))"#),
            r#"(core func $f (canon lower (func $up "f")))"#,
            r#"(with "up" (instance (export "f" (func $f))))"#,
            r#"(import "up" "f" (func $f (result i32)))"#,
        ),
        None => (String::new(), "", "", "(func $f (result i32) i32.const 0)"),
    };
    let text = format!(
        r#"(component
            {imported}
            {lowered}
            (core module $m
                {call}
                (func (export "f") (result i32) (i32.add (call $f) (i32.const {own}))))
            (core instance $i (instantiate $m {with}))
            (func $lifted (result u32) (canon lift (core func $i "f")))
            (instance $e (export "f" (func $lifted)))
            (export "{export}" (instance $e)))"#
    );
    sandbox.file(file, text)
}

#[track_caller]
fn compose(sandbox: &Sandbox, words: &[&dyn AsRef<std::ffi::OsStr>]) -> Ended {
    let mut command = mini_wasm(sandbox);
    command.arg("compose").current_dir(sandbox.path(""));
    for word in words {
        command.arg(word);
    }
    end(sandbox, &mut command)
}

#[track_caller]
fn assert_valid(file: &Path) {
    let bytes = std::fs::read(file).expect("what was composed");
    wasmparser::Validator::new().validate_all(&bytes).expect("what was composed is valid");
}

#[track_caller]
fn invoke(sandbox: &Sandbox, file: &Path, call: &str) -> Ended {
    end(sandbox, mini_wasm(sandbox).args(["run", "--engine=interp", "--invoke", call]).arg(file))
}

#[test]
fn an_importer_and_its_provider_become_a_program() {
    let sandbox = Sandbox::new("compose-plug");
    let (bin, out) = (guests().join("bin"), sandbox.path("whole.wasm"));
    let made = compose(
        &sandbox,
        &[&bin.join("demo-importer.wasm"), &"--plug", &bin.join("demo-provider.wasm"), &"-o", &out],
    );
    assert_eq!((made.status, &*made.stdout, &*made.stderr), (0, "", ""), "{made:?}");
    assert_valid(&out);
    let expected = std::fs::read_to_string(guests().join("expect/demo-composed/stdout")).expect("a case");
    for engine in ["--engine=interp", "--engine=jit"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", engine]).arg(&out));
        assert_eq!((ended.status, &*ended.stdout), (0, &*expected), "{ended:?}");
    }
}

#[test]
fn plugs_fill_the_imports_of_plugs_before_them() {
    let sandbox = Sandbox::new("compose-chain");
    // auth -> pipeline -> storage; versions match as semantic versioning has it.
    let auth = link(&sandbox, "auth.wat", "ns:pkg/auth", Some("ns:pkg/pipeline@1.0.0"), 100);
    let pipeline = link(&sandbox, "pipeline.wat", "ns:pkg/pipeline@1.2.0", Some("ns:pkg/storage"), 10);
    let storage = link(&sandbox, "storage.wat", "ns:pkg/storage", None, 1);
    let out = sandbox.path("whole.wasm");
    let made = compose(&sandbox, &[&auth, &"--plug", &pipeline, &"--plug", &storage, &"-o", &out]);
    assert_eq!((made.status, &*made.stderr), (0, ""), "{made:?}");
    assert_valid(&out);
    assert_eq!(invoke(&sandbox, &out, "auth.f()").stdout, "111\n");
    // Without a socket the first plug is that.
    let out2 = sandbox.path("again.wasm");
    let words: [&dyn AsRef<std::ffi::OsStr>; 8] =
        [&"--plug", &auth, &"--plug", &pipeline, &"--plug", &storage, &"-o", &out2];
    assert_eq!(compose(&sandbox, &words).status, 0);
    assert_eq!(std::fs::read(&out2).ok(), std::fs::read(&out).ok());
    // In the other order storage is only the socket's to take, and what is missing stays an import.
    let made = compose(&sandbox, &[&auth, &"--plug", &storage, &"--plug", &pipeline, &"-o", &out]);
    assert_eq!(made.status, 0, "{made:?}");
    assert!(made.stderr.contains("storage.wat is left out"), "{made:?}");
    assert_valid(&out);
    let shown = end(&sandbox, mini_wasm(&sandbox).arg("inspect").arg(&out));
    assert!(shown.stdout.contains("import ns:pkg/storage;"), "{shown:?}");
    // A folder of plugs.
    std::fs::create_dir(sandbox.path("deps")).expect("a folder");
    std::fs::rename(&pipeline, sandbox.path("deps/pipeline.wat")).expect("a move");
    std::fs::rename(&storage, sandbox.path("deps/storage.wat")).expect("a move");
    let made = compose(&sandbox, &[&"-d", &"deps", &auth, &"-o", &out]);
    assert_eq!((made.status, &*made.stderr), (0, ""), "{made:?}");
    assert_eq!(invoke(&sandbox, &out, "auth.f()").stdout, "111\n");
}

#[test]
fn a_plug_of_another_type_fills_nothing_and_is_told() {
    let sandbox = Sandbox::new("compose-type");
    let socket = link(&sandbox, "socket.wat", "ns:pkg/a", Some("ns:pkg/b"), 1);
    let other = sandbox.file(
        "other.wat",
        r#"(component
            (core module $m (func (export "f") (result i64) i64.const 1))
            (core instance $i (instantiate $m))
            (func $f (result u64) (canon lift (core func $i "f")))
            (instance $e (export "f" (func $f)))
            (export "ns:pkg/b" (instance $e)))"#,
    );
    let ended = compose(&sandbox, &[&socket, &"--plug", &other, &"-o", &"x.wasm"]);
    assert_eq!(ended.status, 1, "{ended:?}");
    for line in ["exports `ns:pkg/b`, but not as", "no plug exports what", "imports: ns:pkg/b"] {
        assert!(ended.stderr.contains(line), "no {line} in {ended:?}");
    }
    assert!(!sandbox.path("x.wasm").exists());
}

#[test]
fn a_script_composes_packages_of_a_folder() {
    let sandbox = Sandbox::new("compose-script");
    std::fs::create_dir_all(sandbox.path("deps/ns/one")).expect("a folder");
    link(&sandbox, "deps/ns/one/1.2.3.wat", "ns:pkg/b", None, 5);
    link(&sandbox, "deps/ns/two.wat", "ns:pkg/a", Some("ns:pkg/b"), 20);
    let script = sandbox.file(
        "whole.wac",
        "package ns:whole;\n\
         let one = new ns:one@1.2.3 {};\n\
         let two = new ns:two { ...one };\n\
         export two[\"ns:pkg/a\"];\n",
    );
    let out = sandbox.path("whole.wasm");
    let made = compose(&sandbox, &[&script, &"-o", &out]);
    assert_eq!((made.status, &*made.stderr), (0, ""), "{made:?}");
    assert_valid(&out);
    assert_eq!(invoke(&sandbox, &out, "f()").stdout, "25\n");
    // A package by its own file, and the result as text on standard output.
    let other = link(&sandbox, "other.wat", "ns:pkg/a", Some("ns:pkg/b"), 40);
    let dep = format!("ns:two={}", other.display());
    let made = compose(&sandbox, &[&script, &"--dep", &dep, &"--text"]);
    assert_eq!((made.status, &*made.stderr), (0, ""), "{made:?}");
    let text = sandbox.file("whole.wat", &made.stdout);
    assert_eq!(invoke(&sandbox, &text, "f()").stdout, "45\n");
}

#[test]
fn what_is_wrong_with_a_script_is_pointed_at() {
    let sandbox = Sandbox::new("compose-script-wrong");
    std::fs::create_dir_all(sandbox.path("deps/ns")).expect("a folder");
    link(&sandbox, "deps/ns/one.wat", "ns:pkg/b", None, 5);
    for (text, hint) in [
        ("package ns:whole;\nlet one = new ns:one {}\n", "bad.wac:2:"),
        ("package ns:whole;\nlet one = new ns:one {};\nexport one.nothing;\n", "bad.wac:3:"),
        ("package ns:whole;\nlet one = new ns:missing {};\n", "deps/ns/missing.wasm"),
        ("package ns:whole;\nlet one = new ns:one@1.0.0 {};\n", "`ns:one@1.0.0` is not there"),
    ] {
        let script = sandbox.file("bad.wac", text);
        let ended = compose(&sandbox, &[&script, &"-o", &"x.wasm"]);
        assert_eq!(ended.status, 1, "{text}: {ended:?}");
        assert!(ended.stderr.contains(hint), "no {hint} in {ended:?}");
    }
}

#[test]
fn a_core_module_is_no_plug() {
    let sandbox = Sandbox::new("compose-module");
    let module = guests().join("bin/bench-fib.wasm");
    let socket = guests().join("bin/demo-importer.wasm");
    for words in [[&socket, &module], [&module, &socket]] {
        let ended = compose(&sandbox, &[words[0], &"--plug", words[1], &"-o", &"x.wasm"]);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains("mini-wasm componentize"), "{ended:?}");
    }
    let ended = compose(&sandbox, &[&socket]);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("--plug"), "{ended:?}");
}

#[test]
fn a_damaged_component_is_an_error_wherever_it_stops() {
    let sandbox = Sandbox::new("compose-damaged");
    let whole = std::fs::read(guests().join("bin/wat-linked.wasm")).expect("a guest");
    let socket = guests().join("bin/demo-importer.wasm");
    for length in (8..whole.len()).step_by(97) {
        let part = sandbox.file("part.wasm", &whole[..length]);
        for ended in [
            compose(&sandbox, &[&part, &"--plug", &part, &"-o", &"x.wasm"]),
            compose(&sandbox, &[&socket, &"--plug", &part, &"-o", &"x.wasm"]),
            end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", "wasi:cli/command"]).arg(&part)),
            end(&sandbox, mini_wasm(&sandbox).args(["inspect", "--wit"]).arg(&part)),
        ] {
            // What ends between two sections may be whole.
            let is_clean = ended.status == 1 || ended.status == 0;
            assert!(is_clean && !ended.stderr.contains("panicked"), "{length}: {ended:?}");
        }
    }
}

#[test]
fn a_feature_that_is_off_is_switched_on_for_a_composition() {
    let sandbox = Sandbox::new("compose-features");
    let module = r#"(core module $m (memory (export "memory") 1)
        (func (export "f") (param i32 i32 i32) (result i32) (i32.add (local.get 0) (local.get 2))))
        (core instance $i (instantiate $m))
        (func $f (param "x" (list u8 3)) (result u32) (canon lift (core func $i "f")))"#;
    let plug = format!(
        r#"(component {module} (instance $e (export "f" (func $f))) (export "ns:pkg/three" (instance $e)))"#
    );
    sandbox.file("plug.wat", plug);
    let socket = r#"(component
        (import "ns:pkg/three" (instance $i (export "f" (func (param "x" (list u8 3)) (result u32)))))
        (export "f" (func $i "f")))"#;
    sandbox.file("socket.wat", socket);
    let words: [&dyn AsRef<std::ffi::OsStr>; 5] = [&"socket.wat", &"--plug", &"plug.wat", &"-o", &"out.wasm"];
    let off = compose(&sandbox, &words);
    assert_eq!(off.status, 1, "{off:?}");
    assert!(off.stderr.contains("fixed-length lists feature"), "{off:?}");
    let on = compose(&sandbox, &[&words[..], &[&"-Wcomponent-fixed-length-lists"]].concat());
    assert_eq!((on.status, &*on.stderr), (0, ""), "{on:?}");
    let mut run = mini_wasm(&sandbox);
    run.args(["run", "-Wcomponent-fixed-length-lists", "--invoke", "f([1, 2, 40])"]);
    assert_eq!(end(&sandbox, run.arg(sandbox.path("out.wasm"))).stdout, "41\n");
}

#[test]
fn a_name_without_end_is_not_said_whole() {
    let sandbox = Sandbox::new("compose-long-name");
    let script = format!("package ns:whole;\nlet one = new ns{} {{}};\n", ":missing".repeat(50_000));
    let script = sandbox.file("whole.wac", script);
    let ended = compose(&sandbox, &[&script, &"-o", &"out.wasm"]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("is not there") && ended.stderr.len() < 2_000,
        "{} bytes",
        ended.stderr.len()
    );
}
