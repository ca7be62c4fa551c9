//! Calls between components in native code: what goes straight on to the callee's code, by way of a stub that looks at a guard or of code
//! made for the pair, and what still forbids it.

mod reloading;

use mini_wasm_jit::Jit;
use mini_wasm_runtime::backend::Backend;
use mini_wasm_runtime::component::{Component, Instance, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use reloading::Reloading;
use std::sync::Arc;

/// One that makes code between components, and one that has the code of an artifact, with nothing between components.
fn engines() -> [Engine; 2] {
    let backends: [Arc<dyn Backend>; 2] = [Arc::new(Jit::default()), Arc::new(Reloading)];
    backends.map(|backend| Engine::with_backend(Config::default(), backend))
}

/// Component A, whose `f` calls `add` of component B with numbers that go over as they are, and whose `realloc` does the same when it
/// is told to.
const GUARDED: &str = r#"(component
    (component $B
        (core module $m (func (export "add") (param i32 i64 f32 f64) (result i32)
            (i32.add (local.get 0) (i32.add (i32.wrap_i64 (local.get 1))
                (i32.add (i32.trunc_f32_s (local.get 2)) (i32.trunc_f64_s (local.get 3)))))))
        (core instance $i (instantiate $m))
        (func (export "add") (param "a" u32) (param "b" u64) (param "c" f32) (param "d" f64) (result u32)
            (canon lift (core func $i "add"))))
    (component $A
        (import "add" (func $add (param "a" u32) (param "b" u64) (param "c" f32) (param "d" f64) (result u32)))
        (core func $add' (canon lower (func $add)))
        (core module $m
            (import "" "add" (func $add (param i32 i64 f32 f64) (result i32)))
            (memory (export "memory") 1)
            (func $sum (result i32) (call $add (i32.const 1) (i64.const 20) (f32.const 300) (f64.const 4000)))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (if (i32.gt_u (local.get 3) (i32.const 3)) (then (drop (call $sum))))
                (i32.const 64))
            (func (export "f") (param i32 i32) (result i32) (i32.add (local.get 1) (call $sum))))
        (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
        (func (export "f") (param "s" string) (result u32)
            (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
    (instance $b (instantiate $B))
    (instance $a (instantiate $A (with "add" (func $b "add"))))
    (export "f" (func $a "f")))"#;

fn instantiate(engine: &Engine, wat: &str) -> (Store<()>, Instance) {
    let component = Component::new(engine, wat::parse_str(wat).unwrap()).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Linker::<()>::new(engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

#[test]
fn numbers_go_straight_on_to_the_callee_while_the_caller_may_leave() {
    for (engine, planned) in engines().into_iter().zip([0, 0]).chain([(Engine::default(), 3)]) {
        let (mut store, instance) = instantiate(&engine, GUARDED);
        let f = instance.typed::<(String,), u32>(&mut store, "f").unwrap();
        for text in ["", "a", "abc"] {
            assert_eq!(f.call(&mut store, (text.to_string(),)).unwrap(), 4321 + text.len() as u32);
        }
        assert_eq!(store.planned_calls(), planned, "{engine:?}");
    }
}

#[test]
fn a_realloc_that_calls_out_traps_before_the_callee_is_reached() {
    for engine in engines() {
        let (mut store, instance) = instantiate(&engine, GUARDED);
        let f = instance.typed::<(String,), u32>(&mut store, "f").unwrap();
        let error = f.call(&mut store, ("abcd".to_string(),)).unwrap_err();
        assert!(error.to_string().contains("cannot leave component instance"), "{error}");
        let error = f.call(&mut store, (String::new(),)).unwrap_err();
        assert!(error.to_string().contains("cannot enter component instance"), "{error}");
        assert_eq!(store.planned_calls(), 1, "the plan tells why");
    }
}

/// Component A, whose `f` gives bits of its own to `take` of component B, which gives others back.
const SMALL: &str = r#"(component
    (component $B
        (core module $m
            (func (export "take") (param i32 i32 i32 i64) (result i32)
                (i32.add (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 1000)))
                    (i32.add (local.get 2) (i32.shl (i32.wrap_i64 (local.get 3)) (i32.const 8))))))
        (core instance $i (instantiate $m))
        (func (export "take") (param "a" s8) (param "b" bool) (param "c" char) (param "d" u64) (result u16)
            (canon lift (core func $i "take"))))
    (component $A
        (import "take" (func $take (param "a" s8) (param "b" bool) (param "c" char) (param "d" u64) (result u16)))
        (core func $take' (canon lower (func $take)))
        (core module $m
            (import "" "take" (func $take (param i32 i32 i32 i64) (result i32)))
            (func (export "f") (param i32) (result i32)
                (call $take (i32.const 0x1ff) (i32.const 0x100) (local.get 0) (i64.const 0x1_0000_0001))))
        (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
        (func (export "f") (param "c" u32) (result u32) (canon lift (core func $i "f"))))
    (instance $b (instantiate $B))
    (instance $a (instantiate $A (with "take" (func $b "take"))))
    (export "f" (func $a "f")))"#;

#[test]
fn small_numbers_are_made_where_the_call_stands_in_reloaded_code_too() {
    for (engine, planned) in engines().into_iter().zip([0, 0]).chain([(Engine::default(), 2)]) {
        let (mut store, instance) = instantiate(&engine, SMALL);
        let f = instance.typed::<(u32,), u32>(&mut store, "f").unwrap();
        // -1 + 1 * 1000 + c + 0x100, of which 16 bits are left.
        assert_eq!(f.call(&mut store, (65,)).unwrap(), 1000 - 1 + 65 + 256);
        assert_eq!(f.call(&mut store, (0x10_ffff,)).unwrap(), (1000 - 1 + 0x10_ffff + 256) & 0xffff);
        assert_eq!(store.planned_calls(), planned, "{engine:?}");
        let error = f.call(&mut store, (0xd800,)).unwrap_err();
        assert!(error.to_string().contains("invalid `char` bit pattern"), "{error}");
        assert_eq!(store.planned_calls(), planned + 1, "the plan tells what is no value");
    }
}
