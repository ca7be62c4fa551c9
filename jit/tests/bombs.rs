//! Functions made to be expensive: each is compiled in bounded time and memory, or left to the interpreter.
//!
//! `MINI_WASM_LONG=1 BOMB=name cargo test --release -p mini-wasm-jit --test bombs -- --nocapture` runs one at full size and prints
//! what it took.

use mini_wasm_jit::compile::{CompileOptions, CompiledModule, LeftOut, compile};
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
    // A valid function has 50,000 at most.
    let locals = |each: usize| (size / each).min(40_000);
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
        ("nested loops with locals", loops_around(&func, nested / 2, 2)),
        ("wide loops", loops_around(&func, 1000.min(nested), 400.min(size / 40))),
        (
            "rotating locals",
            func(
                &format!("(local {})", "i32 ".repeat(locals(16))),
                format!(
                    "(local.set {} (local.get 0)) (loop {} (br_if 0 (local.get 0)))",
                    locals(16),
                    each(locals(16) - 1, &|i| format!("(local.set {} (local.get {}))", i + 1, i + 2)),
                ),
            ),
        ),
        (
            // Equal values, far from each other, that are merged.
            "equal values",
            func(
                "",
                format!(
                    "{values} {} {values}",
                    rep("(block (br_if 0 (local.get 0)))", size / 12),
                    values = each(size / 40, &|i| format!(
                        "(i32.store (i32.const 0) (i32.xor (i32.mul (local.get 0) (i32.const {i})) (i32.const {i})))"
                    )),
                ),
            ),
        ),
        (
            "values over calls",
            format!(
                "(module (func $f (param i32) (result i32) (local.get 0)) (func (param i32) (result i32) {} {} {} {}))",
                format_args!("(local {})", "i32 ".repeat(locals(20))),
                each(locals(20), &|i| format!(
                    "(local.set {} (i32.mul (local.get 0) (i32.const {i})))",
                    i + 1
                )),
                rep("(local.set 0 (call $f (local.get 0)))", size / 12),
                format_args!(
                    "(local.get 0) {}",
                    each(locals(20), &|i| format!("(i32.add (local.get {}))", i + 1))
                ),
            ),
        ),
        (
            "diamonds",
            func(
                &format!("(local {})", "i32 ".repeat(100)),
                each(size / 500, &|_| {
                    let sets = each(100, &|i| format!("(local.set {} (i32.const {i}))", i + 1));
                    format!("(if (local.get 0) (then {sets}))")
                }),
            ),
        ),
        (
            "many functions",
            format!("(module {})", rep("(func (param i32) (result i32) (local.get 0))", size / 7)),
        ),
        (
            "many wide loops",
            format!(
                "(module {})",
                rep(
                    &loops_around(&|locals, body| format!("(func (param i32) {locals} {body})"), 300, 60),
                    size / 12_000 + 1
                )
            ),
        ),
        (
            "clauses",
            format!(
                "(module (tag $t) (func $f) (func (block $b {} {} {})))",
                rep("(try_table (catch_all $b)", (size / 20).min(1000)),
                rep("(call $f)", (size / 4).min(5000)),
                rep(")", (size / 20).min(1000)),
            ),
        ),
        (
            "vectors",
            func(
                "(local v128)",
                rep(
                    "(local.set 1 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 1) (i8x16.add (local.get 1) (local.get 1))))",
                    size / 28,
                ),
            ),
        ),
        (
            "casts",
            format!(
                "(module (type $s (sub (struct))) (type $t (sub $s (struct (field i32)))) (func (param anyref) (result i32) {} (i32.const 0)))",
                rep("(drop (ref.cast (ref null $t) (local.get 0)))", size / 7)
            ),
        ),
    ]
}

/// Loops in each other, around locals that the innermost changes.
fn loops_around(func: &dyn Fn(&str, String) -> String, depth: usize, locals: usize) -> String {
    let counting: String =
        (1..=locals).map(|i| format!("(local.set {i} (i32.add (local.get {i}) (i32.const 1)))")).collect();
    func(
        &format!("(local {})", "i32 ".repeat(locals)),
        format!("{} {counting} {}", "(loop ".repeat(depth), "(br_if 0 (local.get 0)))".repeat(depth)),
    )
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

/// A MiB each; in optimised builds only, which are those that users have.
#[test]
fn expensive_functions_of_full_size_take_ten_seconds_at_most() {
    if std::env::var_os("MINI_WASM_LONG").is_none() {
        return;
    }
    let only = std::env::var("BOMB").unwrap_or_else(|_| "all".into());
    explode(1_000_000, Some(&only), Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 10 }));
}

fn compiled(wat: &str, options: &CompileOptions) -> CompiledModule {
    let config = Config::default();
    let info =
        Module::parse_only(&Engine::default(), WasmBytes::new(wat::parse_str(wat).unwrap().into())).unwrap();
    compile(&info, &config, Arch::X86_64, CpuFeatures::baseline(Arch::X86_64), options).unwrap()
}

#[test]
fn what_is_too_dear_is_known_before_it_is_begun() {
    let func = |locals: &str, body: String| format!("(module (func (param i32) {locals} {body}))");
    // 12 KB of text that took Cranelift 20 seconds and a gigabyte.
    let done = compiled(&loops_around(&func, 1000, 400), &CompileOptions::default());
    assert_eq!(done.left_out, [(0, LeftOut::TooCostly)]);
    // As many locals in a few loops are nothing special.
    let done = compiled(&loops_around(&func, 4, 400), &CompileOptions::default());
    assert_eq!(done.left_out, []);
}

#[test]
fn without_time_every_function_is_left_out() {
    let options = CompileOptions { time_budget: Some(Duration::ZERO), ..CompileOptions::default() };
    let done = compiled("(module (func) (func (result i32) (i32.const 1)))", &options);
    assert_eq!(done.left_out, [(0, LeftOut::OutOfTime), (1, LeftOut::OutOfTime)]);
}
