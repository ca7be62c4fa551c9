//! Which operator a memory trap is blamed on, where Cranelift folds the load into what takes its value.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::{Config, Engine, Instance, Module, Store, Trap};
use std::sync::Arc;

fn blamed(engine: &Engine, wasm: &[u8]) -> Option<u32> {
    let module = Module::new(engine, wasm).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let error = instance.func(&mut store, "f").unwrap().call(&mut store, &[]).unwrap_err();
    assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds));
    error.backtrace().frames[0].offset
}

#[test]
fn a_folded_load_is_blamed_and_not_what_takes_its_value() {
    for body in [
        "i32.const 65534 i32.load i32.const 16383 i32.and drop",
        "i32.const 65534 i32.load i32.const 16383 i32.and i32.load8_s drop",
        "i32.const 65534 i32.load i32.load drop",
        "i32.const 8 i32.const 65534 i32.load i32.add drop",
        "i32.const 65534 i32.const 65534 i32.load i32.const 1 i32.add i32.store",
        "i32.const 65534 i32.const 8 i32.load i32.const 1 i32.add i32.store",
        "i32.const 65534 i64.load32_u i64.const 3 i64.add i64.eqz drop",
        "i32.const 65530 f64.load f64.sqrt drop",
    ] {
        let text =
            format!(r#"(module (memory 1) (global $g (mut i32) (i32.const 0)) (func (export "f") {body}))"#);
        let wasm = wat::parse_str(text).unwrap();
        let interpreted = blamed(&Engine::default(), &wasm);
        let native = blamed(&Engine::with_backend(Config::default(), Arc::new(Jit::default())), &wasm);
        assert_eq!(native, interpreted, "{body}");
    }
}
