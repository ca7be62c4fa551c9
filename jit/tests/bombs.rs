//! Functions made to be expensive: each is compiled in bounded time and memory, or left to the interpreter.
//!
//! `BOMB=name cargo test -p mini-wasm-jit --test bombs -- --nocapture --ignored` runs one at full size and prints what it took.

use mini_wasm_jit::compile::{CompileOptions, compile};
use mini_wasm_jit::{Arch, CpuFeatures};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::module::{Module, WasmBytes};
use std::time::{Duration, Instant};

/// Name, and the text of a module whose body is about `size` bytes.
fn bombs(size: usize) -> Vec<(&'static str, String)> {
    let func = |locals: &str, body: String| {
        format!(
            "(module (memory 1) (table 1 funcref) (func (param i32) (result i32) {locals} {body} (i32.const 0)))"
        )
    };
    let rep = |text: &str, n: usize| text.repeat(n);
    let each = |n: usize, f: &dyn Fn(usize) -> String| (0..n).map(f).collect::<String>();
    let chain = size / 10;
    let nested = (size / 5).min(50_000);
    let many = "i32 ".repeat(900);
    vec![
        (
            "straight",
            func(
                "",
                each(size / 8, &|i| format!("(local.set 0 (i32.add (local.get 0) (i32.const {})))", i % 50)),
            ),
        ),
        ("loads", func("", rep("(local.set 0 (i32.load (local.get 0)))", size / 7))),
        ("stores", func("", rep("(i32.store (local.get 0) (local.get 0))", size / 7))),
        ("divisions", func("", rep("(local.set 0 (i32.div_s (local.get 0) (local.get 0)))", size / 7))),
        ("branches", func("", format!("(block {})", rep("(br_if 0 (local.get 0))", size / 4)))),
        (
            "nested blocks",
            func("", format!("{} (br_if 0 (local.get 0)) {}", rep("(block ", nested), rep(")", nested))),
        ),
        (
            "nested loops",
            func(
                "",
                format!(
                    "{} (br_if 0 (local.get 0)) {}",
                    rep("(loop ", nested / 10),
                    rep("(br_if 0 (local.get 0)))", nested / 10)
                ),
            ),
        ),
        (
            "ifs",
            func(
                "",
                rep(
                    "(if (local.get 0) (then (local.set 0 (i32.const 1))) (else (local.set 0 (i32.const 2))))",
                    size / 12,
                ),
            ),
        ),
        (
            "many locals",
            func(
                &format!("(local {})", "i32 ".repeat(5000)),
                each(size / 10, &|i| {
                    format!("(if (local.get 0) (then (local.set {} (i32.const 1))))", 1 + i % 5000)
                }),
            ),
        ),
        (
            "live locals",
            func(
                &format!("(local {})", "i32 ".repeat(3000)),
                format!(
                    "{} {}",
                    each(3000, &|i| format!("(local.set {} (i32.load (i32.const {i})))", i + 1)),
                    each(size / 10, &|i| format!(
                        "(local.set {} (i32.add (local.get {}) (local.get 0)))",
                        1 + i % 3000,
                        1 + i * 7 % 3000
                    )),
                ),
            ),
        ),
        (
            "br_tables",
            func("", rep(&format!("(block (br_table {} (local.get 0)))", "0 ".repeat(5000)), size / 5000)),
        ),
        (
            "selects",
            func("", rep("(local.set 0 (select (local.get 0) (i32.const 5) (local.get 0)))", size / 8)),
        ),
        (
            "calls",
            format!(
                "(module (func $f (param i32) (result i32) (local.get 0)) (func (param i32) (result i32) {} (local.get 0)))",
                rep("(local.set 0 (call $f (local.get 0)))", size / 6)
            ),
        ),
        (
            "wide calls",
            format!(
                "(module (func $f (param {many}) (result {many}) {}) (func (param i32) (result {many}) {} {}))",
                each(900, &|i| format!("(local.get {i})")),
                rep("(local.get 0)", 900),
                rep("(call $f)", (size / 2).min(300)),
            ),
        ),
        ("stack", func("", format!("{} {}", rep("(i32.load (local.get 0))", chain), rep("drop ", chain)))),
        (
            "deep sum",
            func(
                "",
                format!("{} {} drop", rep("(i32.load (local.get 0))", chain), rep("i32.add ", chain - 1)),
            ),
        ),
        (
            "floats",
            func(
                "(local f64)",
                rep("(local.set 1 (f64.sqrt (f64.add (local.get 1) (f64.const 0.1))))", size / 16),
            ),
        ),
        ("truncations", func("(local f64)", rep("(local.set 0 (i32.trunc_f64_s (local.get 1)))", size / 6))),
        (
            "indirect calls",
            format!(
                "(module (table 1 funcref) (type $t (func (param i32) (result i32))) (func (param i32) (result i32) {} (local.get 0)))",
                rep("(local.set 0 (call_indirect (type $t) (local.get 0) (local.get 0)))", size / 9)
            ),
        ),
    ]
}

fn explode(size: usize, only: Option<&str>, limit: Duration) {
    for (name, text) in
        bombs(size).into_iter().filter(|(name, _)| only.is_none_or(|only| only == "all" || only == *name))
    {
        for guard_pages in [true, false] {
            let config = Config { guard_pages, ..Config::default() };
            let engine = Engine::new(config.clone());
            let wasm = wat::parse_str(&text).unwrap();
            let info = Module::parse_only(&engine, WasmBytes::new(wasm.into())).unwrap();
            let options = CompileOptions { verifier: false, ..CompileOptions::default() };
            let begun = Instant::now();
            let arch = Arch::X86_64;
            let done = compile(&info, &config, arch, CpuFeatures::baseline(arch), &options).unwrap();
            let took = begun.elapsed();
            println!(
                "{name:<16} {size:>8} bytes, guard pages {guard_pages:<5} {:>6} ms {:?}",
                took.as_millis(),
                done.left_out.iter().map(|(own, why)| format!("{own}: {why:?}")).collect::<Vec<_>>()
            );
            assert!(took < limit, "{name}: {took:?}");
        }
    }
}

#[test]
fn expensive_functions_are_compiled_or_left_out() {
    explode(20_000, Some("all"), Duration::from_secs(60));
}

#[test]
#[ignore = "takes minutes"]
fn expensive_functions_of_full_size() {
    explode(1_000_000, std::env::var("BOMB").ok().as_deref(), Duration::from_secs(600));
}
