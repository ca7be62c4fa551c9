//! Compiled modules through the engine's public API: values in and out, calls of every kind.

use mini_wasm_jit::Jit;
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::handle::{Extern, Func, Instance};
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::val::Val;
use std::sync::Arc;

/// With guard pages and signals, and without either.
fn configs() -> [Config; 2] {
    let guarded = Config::default();
    [guarded.clone(), Config { guard_pages: false, ..guarded }]
}

fn instance(
    config: &Config,
    wat: &str,
    imports: impl FnOnce(&mut Store<()>) -> Vec<Extern>,
) -> (Store<()>, Instance) {
    let engine = Engine::with_backend(config.clone(), Arc::new(Jit::new(CompileOptions::default())));
    let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let imports = imports(&mut store);
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    (store, instance)
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> Vec<Val> {
    let func = instance.func(&mut *store, name).unwrap();
    func.call(store, args).unwrap()
}

fn i32s(vals: &[Val]) -> Vec<i32> {
    vals.iter()
        .map(|v| match v {
            Val::I32(n) => *n,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_function_adds() {
    for config in configs() {
        let wat =
            r#"(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))"#;
        let (mut store, instance) = instance(&config, wat, |_| vec![]);
        let sum = call(&mut store, instance, "add", &[Val::I32(40), Val::I32(2)]);
        assert_eq!(i32s(&sum), [42]);
    }
}

#[test]
fn loops_blocks_and_calls_work() {
    for config in configs() {
        let wat = r#"(module
            (func $fib (export "fib") (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                                   (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
            (func (export "sum") (param i32) (result i64) (local i64)
                (block (loop
                    (br_if 1 (i32.eqz (local.get 0)))
                    (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br 0)))
                (local.get 1))
            (func (export "pick") (param i32) (result i32)
                (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
                (i32.const 30)))"#;
        let (mut store, instance) = instance(&config, wat, |_| vec![]);
        assert_eq!(i32s(&call(&mut store, instance, "fib", &[Val::I32(20)])), [6765]);
        let sum = call(&mut store, instance, "sum", &[Val::I32(1000)]);
        assert!(matches!(sum[..], [Val::I64(500_500)]));
        for (n, want) in [(0, 10), (1, 20), (2, 30), (99, 30)] {
            assert_eq!(i32s(&call(&mut store, instance, "pick", &[Val::I32(n)])), [want]);
        }
    }
}

#[test]
fn memory_globals_and_tables_are_reached() {
    for config in configs() {
        let wat = r#"(module
            (memory (export "memory") 1)
            (global $g (mut i32) (i32.const 7))
            (table 4 funcref)
            (elem (i32.const 1) $seven $eight)
            (type $t (func (result i32)))
            (func $seven (result i32) (i32.const 7))
            (func $eight (result i32) (i32.const 8))
            (func (export "store") (param i32 i32) (i32.store16 offset=2 (local.get 0) (local.get 1)))
            (func (export "load") (param i32) (result i32) (i32.load16_s offset=2 (local.get 0)))
            (func (export "bump") (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))
            (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
            (func (export "at") (param i32) (result i32) (call_indirect (type $t) (local.get 0))))"#;
        let (mut store, instance) = instance(&config, wat, |_| vec![]);
        call(&mut store, instance, "store", &[Val::I32(100), Val::I32(0xffff_1234u32 as i32 | 0x8000)]);
        assert_eq!(i32s(&call(&mut store, instance, "load", &[Val::I32(100)])), [0x9234u16 as i16 as i32]);
        assert_eq!(i32s(&call(&mut store, instance, "bump", &[])), [8]);
        assert_eq!(i32s(&call(&mut store, instance, "bump", &[])), [9]);
        assert_eq!(i32s(&call(&mut store, instance, "grow", &[Val::I32(2)])), [1, 3]);
        assert_eq!(i32s(&call(&mut store, instance, "at", &[Val::I32(1)])), [7]);
        assert_eq!(i32s(&call(&mut store, instance, "at", &[Val::I32(2)])), [8]);
    }
}

#[test]
fn host_functions_are_called_directly_and_through_tables() {
    for config in configs() {
        let wat = r#"(module
            (import "m" "f" (func $f (param i32 i64 f32 f64) (result f64)))
            (type $t (func (param i32 i64 f32 f64) (result f64)))
            (table funcref (elem $f))
            (func (export "direct") (result f64)
                (call $f (i32.const 1) (i64.const 2) (f32.const 4) (f64.const 8)))
            (func (export "indirect") (result f64)
                (call_indirect (type $t) (i32.const 1) (i64.const 2) (f32.const 4) (f64.const 8) (i32.const 0)))
            (func (export "tail") (result f64)
                (return_call $f (i32.const 1) (i64.const 2) (f32.const 4) (f64.const 8))))"#;
        let (mut store, instance) = instance(&config, wat, |store| {
            let f = |a: i32, b: i64, c: f32, d: f64| f64::from(a) + b as f64 + f64::from(c) + d;
            vec![Func::wrap::<(), _, _>(store, f).into()]
        });
        for name in ["direct", "indirect", "tail"] {
            let sum = call(&mut store, instance, name, &[]);
            assert!(matches!(sum[..], [Val::F64(bits)] if f64::from_bits(bits) == 15.0), "{name}");
        }
    }
}

#[test]
fn results_beyond_the_registers_come_back_through_an_area() {
    for config in configs() {
        let many: Vec<i32> = (0..20).collect();
        let results = "i32 ".repeat(20);
        let consts: String = many.iter().map(|n| format!("(i32.const {n})")).collect();
        let sum = "i32.add ".repeat(19);
        let wat = format!(
            r#"(module
            (type $many (func (result {results})))
            (table funcref (elem $make))
            (func $make (export "make") (result {results}) {consts})
            (func (export "pass") (result {results}) (call $make))
            (func (export "tail") (result {results}) (return_call $make))
            (func (export "through") (result {results}) (call_indirect (type $many) (i32.const 0)))
            (func (export "early") (param i32) (result {results})
                (br_if 0 {consts} (local.get 0)) {drops} {consts})
            (func (export "sum") (result i32) (call $make) {sum}))"#,
            drops = "drop ".repeat(20),
        );
        let (mut store, instance) = instance(&config, &wat, |_| vec![]);
        for name in ["make", "pass", "tail", "through"] {
            assert_eq!(i32s(&call(&mut store, instance, name, &[])), many, "{name}");
        }
        assert_eq!(i32s(&call(&mut store, instance, "early", &[Val::I32(0)])), many);
        assert_eq!(i32s(&call(&mut store, instance, "early", &[Val::I32(1)])), many);
        assert_eq!(i32s(&call(&mut store, instance, "sum", &[])), [190]);
    }
}

#[test]
fn tail_calls_with_twenty_parameters_use_no_stack() {
    for config in configs() {
        let params = "i64 ".repeat(20);
        let pass: String = (1..20).map(|i| format!("(local.get {i})")).collect();
        let wat = format!(
            r#"(module
            (func $narrow (export "narrow") (param i64) (result i64)
                (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 77))
                    (else (return_call $wide (i64.sub (local.get 0) (i64.const 1)) {zeros}))))
            (func $wide (param {params}) (result i64)
                (if (result i64) (i64.eqz (local.get 0)) (then (local.get 19))
                    (else (return_call $other (i64.sub (local.get 0) (i64.const 1)) {pass}))))
            (func $other (param {params}) (result i64)
                (if (result i64) (i64.eqz (local.get 0)) (then (local.get 18))
                    (else (return_call $narrow (i64.sub (local.get 0) (i64.const 1)))))))"#,
            zeros = "(i64.const 5)".repeat(19),
        );
        let (mut store, instance) = instance(&config, &wat, |_| vec![]);
        for (n, want) in [(0, 77), (3_000_000, 77), (3_000_001, 5)] {
            let got = call(&mut store, instance, "narrow", &[Val::I64(n)]);
            assert!(matches!(got[..], [Val::I64(v)] if v == want), "{n}: {got:?}");
        }
    }
}
