//! The commands that read and tell: `validate`, `inspect`, `wast`, `completions`, `--version`.

use crate::sandbox::Sandbox;
use crate::{end, guests, mini_wasm, run};

#[test]
fn validate_judges_each_file() {
    let sandbox = Sandbox::new("validate");
    let good = sandbox.file("good.wat", "(module)");
    let bad = sandbox.file("bad.wat", "(module (func (result i32)))");
    let component = guests().join("bin/rust-hello.wasm");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("validate").args([&good, &component]));
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stdout.contains("good.wat: a valid core module\n"), "{ended:?}");
    assert!(ended.stdout.contains("rust-hello.wasm: a valid component\n"), "{ended:?}");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("validate").args([&bad, &good]));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("bad.wat"), "{ended:?}");
    assert!(ended.stdout.contains("good.wat"), "the others are judged all the same: {ended:?}");
}

#[test]
fn inspect_lists_a_core_modules_imports_and_exports() {
    let sandbox = Sandbox::new("inspect-module");
    let program = sandbox.file(
        "all.wat",
        r#"(module
            (import "host" "f" (func (param i32 f64) (result externref)))
            (import "host" "t" (table 1 2 funcref))
            (import "host" "m" (memory 1))
            (import "host" "g" (global (mut i64)))
            (export "again" (func 0)))"#,
    );
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("inspect").arg(program));
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(
        ended.stdout,
        "core module
  import \"host\" \"f\" (func (param i32 f64) (result externref))
  import \"host\" \"t\" (table 1 2 funcref)
  import \"host\" \"m\" (memory 1)
  import \"host\" \"g\" (global (mut i64))
  export \"again\" (func (param i32 f64) (result externref))
"
    );
}

#[cfg(feature = "tools")]
#[test]
fn inspect_shows_a_component_as_wit() {
    let sandbox = Sandbox::new("inspect-component");
    let ended =
        end(&sandbox, mini_wasm(&sandbox).arg("inspect").arg(guests().join("bin/demo-provider.wasm")));
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stdout.contains("world root") && ended.stdout.contains("export "), "{}", ended.stdout);
    assert!(ended.stdout.contains("resource "), "types of exports are shown: {}", ended.stdout);
}

#[test]
fn wast_counts_directives_and_fails_when_one_does() {
    let sandbox = Sandbox::new("wast");
    let module = r#"(module (func (export "two") (result i32) i32.const 2))"#;
    let good = sandbox.file("good.wast", format!(r#"{module} (assert_return (invoke "two") (i32.const 2))"#));
    let bad = sandbox.file("bad.wast", format!("{module}\n(assert_return (invoke \"two\") (i32.const 3))"));
    for engine in ["interp", "jit"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["wast", "--engine", engine]).arg(&good));
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.stdout.contains("good.wast: 2 passed, 0 failed, 0 skipped\n"), "{ended:?}");
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["wast", "--engine", engine]).args([&good, &bad]));
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.stdout.ends_with("total of 2 files: 3 passed, 1 failed, 0 skipped\n"), "{ended:?}");
        assert!(ended.stderr.contains("bad.wast:2: failed assert_return"), "{ended:?}");
    }
}

#[test]
fn the_second_word_of_the_version_is_the_version() {
    let sandbox = Sandbox::new("version");
    let ended = run(&sandbox, ["--version"]);
    assert_eq!(ended.status, 0);
    assert_eq!(ended.stdout.split_whitespace().nth(1), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_the_manual_page_know_every_flag() {
    let sandbox = Sandbox::new("completions");
    for words in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let ended = run(&sandbox, words);
        assert_eq!(ended.status, 0, "{ended:?}");
        for flag in ["max", "preload", "timeout", "trust", "argv0"] {
            assert!(ended.stdout.contains(flag), "{words:?} lacks {flag}");
        }
    }
}
