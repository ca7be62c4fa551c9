//! Endless recursion on the process's first thread, whose stack grows: with the usual limit, with none, and with a small one.
//! A program of its own, because tests otherwise run on threads of their own.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::handle::Instance;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::trap::Trap;
use std::sync::Arc;

fn main() {
    if std::env::args().any(|arg| arg == "--recurse") {
        return recurse();
    }
    let this = std::env::current_exe().unwrap();
    for limit in ["8192", "unlimited", "512"] {
        let command = format!("ulimit -s {limit} && exec {:?} --recurse", this);
        let status = std::process::Command::new("sh").args(["-c", &command]).status().unwrap();
        if status.code() == Some(126) {
            // An emulated program cannot start itself: the stack is as it is, then.
            println!("the stack's limit cannot be changed here");
            return recurse();
        }
        assert!(status.success(), "stack limit {limit}: {status}");
    }
    println!("endless recursion is a trap on the main thread");
}

fn recurse() {
    for guard_pages in [true, false] {
        let config = Config { guard_pages, ..Config::default() };
        let engine = Engine::with_backend(config, Arc::new(Jit::default()));
        let wat = r#"(module (func $f (export "f") (param i64) (result i64)
            (i64.add (call $f (i64.add (local.get 0) (i64.const 1))) (local.get 0))))"#;
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let func = instance.func(&mut store, "f").unwrap().typed::<i64, i64>(&store).unwrap();
        for _ in 0..3 {
            assert_eq!(func.call(&mut store, 0).unwrap_err().trap(), Some(Trap::StackOverflow));
        }
    }
}
