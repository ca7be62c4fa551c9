//! `check`, and `inspect --wit`, which shows what it checks.

use crate::sandbox::Sandbox;
use crate::{Ended, end, guests, mini_wasm, run};
use std::ffi::OsString;
use std::path::Path;

/// A component that exports `twice` and imports `ns:calc/log@0.1.3`.
const COMPONENT: &str = r#"(component
    (import "ns:calc/log@0.1.3" (instance (export "note" (func (param "n" u32)))))
    (core module $m (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
    (core instance $i (instantiate $m))
    (func (export "twice") (param "n" u32) (result u32) (canon lift (core func $i "twice"))))"#;

fn wit(world: &str) -> String {
    format!(
        "package ns:calc@0.1.5;\n\
         interface log {{ note: func(n: u32); loud: func(); }}\n\
         interface ops {{ add: func(a: u32, b: u32) -> u32; }}\n\
         world calc {{ {world} }}\n"
    )
}

#[track_caller]
fn check(sandbox: &Sandbox, component: &Path, world: &str) -> Ended {
    let wit = sandbox.file("calc.wit", wit(world));
    end(sandbox, mini_wasm(sandbox).args(["check", "--world", "calc", "--wit"]).arg(wit).arg(component))
}

#[test]
fn a_component_fits_a_world_that_imports_more_and_exports_less() {
    let sandbox = Sandbox::new("check-fits");
    let component = sandbox.file("calc.wat", COMPONENT);
    // It uses one of the interface's functions, and a lower version.
    for world in ["import log; import ops; export twice: func(n: u32) -> u32;", "import log;"] {
        let ended = check(&sandbox, &component, world);
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "{world}: {ended:?}");
        assert!(ended.stdout.ends_with("calc.wat fits ns:calc/calc@0.1.5\n"), "{ended:?}");
    }
}

#[test]
fn what_keeps_a_component_from_a_world_is_listed() {
    let sandbox = Sandbox::new("check-misses");
    let component = sandbox.file("calc.wat", COMPONENT);
    for (world, misses) in [
        (
            "export ops; export twice: func(n: u32) -> u32;",
            &["it imports `ns:calc/log@0.1.3`", "it does not export `ns:calc/ops@0.1.5` (instance)"][..],
        ),
        ("import log; export thrice: func();", &["it does not export `thrice` (function)"]),
        (
            "import log; export twice: func(n: u64) -> u32;",
            &["its export `twice` is of another type: ", "u32"],
        ),
    ] {
        let ended = check(&sandbox, &component, world);
        assert_eq!((ended.status, &*ended.stdout), (1, ""), "{world}: {ended:?}");
        assert!(ended.stderr.contains("does not fit ns:calc/calc@0.1.5:"), "{ended:?}");
        for miss in misses {
            assert!(ended.stderr.contains(miss), "{world}: no {miss} in {}", ended.stderr);
        }
    }
}

#[test]
fn what_a_languages_library_imports_of_wasi_may_be_allowed() {
    let sandbox = Sandbox::new("check-wasi");
    let program = guests().join("bin/rust-hello.wasm");
    let wit = sandbox.file("app.wit", "package ns:app; world app { import log: func(); }");
    let mut command = mini_wasm(&sandbox);
    command.args(["check", "--world", "app", "--wit"]).arg(&wit).arg(&program);
    let strict = end(&sandbox, &mut command);
    assert_eq!(strict.status, 1, "{strict:?}");
    assert!(strict.stderr.contains("it imports `wasi:cli/environment@0.2.6`"), "{strict:?}");
    let allowed = end(&sandbox, command.arg("--wasi"));
    assert_eq!((allowed.status, &*allowed.stderr), (0, ""), "{allowed:?}");
    // A world that is WASI's own already.
    let ended = run(
        &sandbox,
        ["check", "--world", "wasi:cli/command", "--wasi"]
            .map(OsString::from)
            .into_iter()
            .chain([program.into()]),
    );
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    // Of another interface it allows nothing, and what the world exports is still wanted.
    let component = sandbox.file("calc.wat", COMPONENT);
    let wit = sandbox.file(
        "app.wit",
        "package ns:app; world app { export wasi:cli/run@0.2.6; }
        package wasi:cli@0.2.6 { interface run { run: func() -> result; } }",
    );
    let mut command = mini_wasm(&sandbox);
    command.args(["check", "--wasi", "--world", "ns:app/app", "--wit"]).arg(&wit);
    let ended = end(&sandbox, command.arg(component));
    assert_eq!(ended.status, 1, "{ended:?}");
    for miss in ["it imports `ns:calc/log@0.1.3`", "it does not export `wasi:cli/run@0.2.6`"] {
        assert!(ended.stderr.contains(miss), "no {miss} in {ended:?}");
    }
}

#[test]
fn a_feature_that_is_off_is_switched_on_for_a_check() {
    let sandbox = Sandbox::new("check-features");
    let component = sandbox.file("four.wat", r#"(component (import "f" (func (param "x" (list u8 4)))))"#);
    let wit = sandbox.file("app.wit", "package ns:app; world app { import f: func(x: list<u8, 4>); }");
    let mut command = mini_wasm(&sandbox);
    command.args(["check", "--wit"]).arg(&wit).arg(&component);
    let off = end(&sandbox, &mut command);
    assert_eq!(off.status, 1, "{off:?}");
    assert!(off.stderr.contains("fixed-length lists feature"), "{off:?}");
    let on = end(&sandbox, command.args(["-W", "component-fixed-length-lists"]));
    assert_eq!((on.status, &*on.stderr), (0, ""), "{on:?}");
}

#[test]
fn the_worlds_of_wasi_come_with_us() {
    let sandbox = Sandbox::new("check-builtin");
    let program = guests().join("bin/rust-hello.wasm");
    for world in ["wasi:cli/command", "wasi:cli/command@0.2.12"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", world]).arg(&program));
        assert_eq!(ended.status, 0, "{ended:?}");
    }
    let ended =
        end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", "wasi:http/proxy"]).arg(&program));
    assert_eq!(ended.status, 1, "{ended:?}");
    for miss in
        ["imports `wasi:cli/environment@0.2.6`", "export `wasi:http/incoming-handler@0.2.12` (instance)"]
    {
        assert!(ended.stderr.contains(miss), "no {miss} in {ended:?}");
    }
    let library = guests().join("bin/wat-values.wasm");
    let ended =
        end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", "wasi:cli/command"]).arg(&library));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("it does not export `wasi:cli/run@0.2.12`"), "{ended:?}");
    let ended = end(&sandbox, mini_wasm(&sandbox).args(["check", "--world", "ns:no/world"]).arg(&library));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("wasi:cli/command@0.2.12") && ended.stderr.contains("--wit"), "{ended:?}");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("check").arg(&library));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("--world"), "{ended:?}");
}

#[test]
fn inspect_wit_prints_what_can_be_read_again() {
    let sandbox = Sandbox::new("check-inspect");
    let show = |path: &Path| end(&sandbox, mini_wasm(&sandbox).args(["inspect", "--wit"]).arg(path));
    // A component, an artifact of it, the text it prints, a folder of that.
    let provider = guests().join("bin/demo-provider.wasm");
    let shown = show(&provider);
    assert_eq!(shown.status, 0, "{shown:?}");
    for line in
        ["world root {", "export demo:poly/engine@0.1.0;", "package demo:poly@0.1.0 {", "resource counter {"]
    {
        assert!(shown.stdout.contains(line), "no {line} in {}", shown.stdout);
    }
    let artifact = sandbox.path("provider.cwasm");
    let made = end(&sandbox, mini_wasm(&sandbox).arg("aot").arg(&provider).arg("-o").arg(&artifact));
    assert_eq!(made.status, 0, "{made:?}");
    assert_eq!(show(&artifact).stdout, shown.stdout);
    let file = sandbox.file("provider.wit", &shown.stdout);
    assert_eq!(show(&file).stdout, shown.stdout);
    std::fs::create_dir(sandbox.path("wit")).expect("a folder");
    std::fs::rename(&file, sandbox.path("wit/provider.wit")).expect("a move");
    assert_eq!(show(&sandbox.path("wit")).stdout, shown.stdout);
    // The component fits what it shows.
    let mut command = mini_wasm(&sandbox);
    command.args(["check", "--world", "root", "--wit"]).arg(sandbox.path("wit")).arg(&provider);
    let fits = end(&sandbox, &mut command);
    assert_eq!(fits.status, 0, "{fits:?}");
    // A core module carries a world or does not.
    let plain = show(&guests().join("bin/bench-fib.wasm"));
    assert_eq!(plain.status, 1, "{plain:?}");
    assert!(plain.stderr.contains("carries no world"), "{plain:?}");
}

#[test]
fn the_wit_that_comes_with_us_is_the_official_one() {
    let sandbox = Sandbox::new("check-official");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasi/Cargo.toml");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = std::process::Command::new(cargo);
    command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path", manifest]);
    // Else cargo would fetch what other systems need.
    let metadata = end(&sandbox, command.args(["--filter-platform", &platform]));
    assert_eq!(metadata.status, 0, "{}", metadata.stderr);
    let package = "wasip2-2.0.1+wasi-0.2.12/";
    let at = metadata.stdout.find(&format!("{package}Cargo.toml")).expect("the crate with the official WIT");
    let begin = metadata.stdout[..at].rfind('"').expect("a path") + 1;
    let official = Path::new(&metadata.stdout[begin..at]).join(package).join("wit");
    let shown = end(&sandbox, mini_wasm(&sandbox).args(["inspect", "--wit"]).arg(official));
    assert_eq!(shown.status, 0, "{shown:?}");
    let is_text = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let ours = include_str!("../../src/wasi-0.2.12.wit");
    // The first line names the package that holds them all, which is each one's own.
    let lines = |text: &str| text.lines().filter(is_text).skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(
        lines(ours) == lines(&shown.stdout),
        "cli/src/wasi-0.2.12.wit is not what `inspect --wit` prints"
    );
}
