//! Calls between components in native code: what goes straight on to the callee's code, by way of a stub that looks at a guard or of code
//! made for the pair, and what still forbids it.

mod reloading;
mod whole_artifact;

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

/// Component A makes two counters of B, whose interface is an instance, and calls their methods. Both stand in a component that is
/// captured from outside and instantiated within another one.
const COUNTERS: &str = r#"(component
    (component $B
        (type $counter' (resource (rep i32)))
        (core func $new (canon resource.new $counter'))
        (core func $drop (canon resource.drop $counter'))
        (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "never")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128))
            (func (export "make") (param i32 i32) (result i32) (call $new (i32.load8_u (local.get 0))))
            (func (export "add") (param i32 i32) (result i32)
                (i32.store (i32.const 8) (i32.gt_u (local.get 1) (i32.const 9)))
                (i32.store (i32.const 12) (select (i32.const 64) (i32.add (local.get 0) (local.get 1)) (i32.gt_u (local.get 1) (i32.const 9))))
                (i32.store (i32.const 16) (i32.const 5))
                (i32.const 8)))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func $make (param "name" string) (result (own $counter'))
            (canon lift (core func $i "make") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (func $add (param "self" (borrow $counter')) (param "n" u32) (result (result u32 (error string)))
            (canon lift (core func $i "add") (memory (core memory $i "memory"))))
        (component $interface
            (import "counter" (type $counter' (sub resource)))
            (import "make" (func $make (param "name" string) (result (own $counter'))))
            (import "add" (func $add (param "self" (borrow $counter')) (param "n" u32) (result (result u32 (error string)))))
            (export $counter "counter" (type $counter'))
            (export "make" (func $make) (func (param "name" string) (result (own $counter))))
            (export "add" (func $add) (func (param "self" (borrow $counter)) (param "n" u32) (result (result u32 (error string))))))
        (instance $interface (instantiate $interface
            (with "counter" (type $counter')) (with "make" (func $make)) (with "add" (func $add))))
        (export "example:counter/counter" (instance $interface)))
    (component $A
        (import "example:counter/counter" (instance $counters
            (export "counter" (type $counter (sub resource)))
            (export "make" (func (param "name" string) (result (own $counter))))
            (export "add" (func (param "self" (borrow $counter)) (param "n" u32) (result (result u32 (error string)))))))
        (core module $libc
            (memory (export "memory") 1) (data (i32.const 32) "(")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 512)))
        (core instance $libc (instantiate $libc))
        (core func $make (canon lower (func $counters "make") (memory (core memory $libc "memory"))))
        (core func $add (canon lower (func $counters "add")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "make" (func $make (param i32 i32) (result i32)))
            (import "" "add" (func $add (param i32 i32 i32)))
            (func (export "run") (param i32) (result i32)
                (drop (call $make (i32.const 32) (i32.const 1)))
                (call $add (call $make (i32.const 32) (i32.const 1)) (local.get 0) (i32.const 256))
                (if (i32.load8_u (i32.const 256)) (then
                    (return (i32.add (i32.mul (i32.const 1000) (i32.load8_u (i32.load (i32.const 260)))) (i32.load (i32.const 264))))))
                (i32.load (i32.const 260))))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $libc "memory")) (export "make" (func $make)) (export "add" (func $add))))))
        (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
    (component $both
        (instance $b (instantiate $B))
        (instance $a (instantiate $A (with "example:counter/counter" (instance $b "example:counter/counter"))))
        (export "run" (func $a "run")))
    (instance $first (instantiate $both))
    (instance $second (instantiate $both))
    (export "first" (func $first "run"))
    (export "second" (func $second "run")))"#;

#[test]
fn interfaces_that_are_linked_in_an_artifact_have_code_there() {
    let wasm = wat::parse_str(COUNTERS).unwrap();
    let config = Config::default();
    let ways = [
        (
            Component::new(&Engine::with_backend(config.clone(), Arc::new(Jit::default())), wasm.as_slice())
                .unwrap(),
            0,
        ),
        (whole_artifact::reloaded(&config, &wasm), 0),
        // Modules have code, and nothing stands between the components but the plan.
        (
            Component::new(&Engine::with_backend(config.clone(), Arc::new(Reloading)), wasm.as_slice())
                .unwrap(),
            3,
        ),
        (Component::new(&Engine::new(config), wasm.as_slice()).unwrap(), 3),
    ];
    // `make` and `add`, each once.
    assert_eq!(ways[0].0.adapter_infos().len(), 2);
    for (component, planned) in ways {
        let mut store = Store::new(component.engine(), ());
        let instance = Linker::<()>::new(component.engine()).instantiate(&mut store, &component).unwrap();
        for (call, name) in (1..).zip(["first", "second"]) {
            let run = instance.typed::<(u32,), u32>(&mut store, name).unwrap();
            assert_eq!(run.call(&mut store, (2,)).unwrap(), 42);
            assert_eq!(store.planned_calls(), (2 * call - 1) * planned, "{:?}", component.engine());
            // "n", and five letters of it.
            assert_eq!(run.call(&mut store, (10,)).unwrap(), 110_005);
            assert_eq!(store.planned_calls(), 2 * call * planned, "{:?}", component.engine());
        }
    }
}

/// Component A, whose `send` gives component B a list that lies in A's memory; B gives the numbers of its last element back.
const LONG: &str = r#"(component
    (component $B
        (core module $m
            (memory (export "memory") 100)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "take") (param i32 i32) (result i32)
                (local.set 0 (i32.add (local.get 0) (i32.mul (i32.sub (local.get 1) (i32.const 1)) (i32.const 8))))
                (i32.add (i32.load8_u (local.get 0)) (i32.load (i32.add (local.get 0) (i32.const 4))))))
        (core instance $i (instantiate $m))
        (func (export "take") (param "it" (list (tuple u8 char))) (result u32)
            (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
    (component $A
        (import "take" (func $take (param "it" (list (tuple u8 char))) (result u32)))
        (core module $n (memory (export "memory") 100))
        (core instance $n (instantiate $n))
        (core func $take' (canon lower (func $take) (memory (core memory $n "memory"))))
        (core module $m
            (import "" "take" (func $take (param i32 i32) (result i32)))
            (import "" "memory" (memory 100))
            (func (export "send") (param i32) (result i32) (local i32)
                (loop $each
                    (i32.store8 (local.get 1) (local.get 0))
                    (i32.store offset=4 (local.get 1) (i32.const 1000))
                    (local.set 1 (i32.add (local.get 1) (i32.const 8)))
                    (br_if $each (i32.lt_u (local.get 1) (i32.mul (local.get 0) (i32.const 8)))))
                (i32.store8 (i32.sub (local.get 1) (i32.const 8)) (i32.const 7))
                (i32.store (i32.sub (local.get 1) (i32.const 4)) (i32.const 9000))
                (call $take (i32.const 0) (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance
            (export "take" (func $take')) (export "memory" (memory $n "memory"))))))
        (func (export "send") (param "length" u32) (result u32) (canon lift (core func $i "send"))))
    (instance $b (instantiate $B))
    (instance $a (instantiate $A (with "take" (func $b "take"))))
    (export "send" (func $a "send")))"#;

#[test]
fn a_list_that_is_moved_in_pieces_arrives_whole() {
    for (engine, planned) in engines().into_iter().zip([0, 6]).chain([(Engine::default(), 6)]) {
        let (mut store, instance) = instantiate(&engine, LONG);
        let send = instance.typed::<(u32,), u32>(&mut store, "send").unwrap();
        for length in [1, 32_767, 32_768, 32_769, 65_536, 100_000] {
            assert_eq!(send.call(&mut store, (length,)).unwrap(), 9007, "{length}");
        }
        assert_eq!(store.planned_calls(), planned, "{engine:?}");
    }
}
