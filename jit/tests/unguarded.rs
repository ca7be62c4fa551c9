//! Memories for which the system refuses guards: code that relies on them runs nowhere near, everything else as ever.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::{Config, Engine, ErrorKind, Instance, Linker, Module, Store, Trap, Val};
use std::sync::Arc;

/// Has a memory: interpreted where that has no guards.
const OWNER: &str = r#"(module $owner
    (type $f (func (param i32) (result i32)))
    (import "host" "table" (table $t 4 funcref))
    (memory (export "memory") 1 3)
    (elem (table $t) (i32.const 0) func $load $store)
    (func $load (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func $inner (param i32) (result i32) (i32.store8 (local.get 0) (i32.const 5)) (call $load (local.get 0)))
    (func $store (export "store") (param i32) (result i32) (return_call $inner (local.get 0)))
    (func (export "there and back") (param i32) (result i32)
        (i32.add (i32.const 100) (call_indirect $t (type $f) (local.get 0) (i32.const 2))))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Has none: native.
const CALLER: &str = r#"(module $caller
    (type $f (func (param i32) (result i32)))
    (import "host" "table" (table $t 4 funcref))
    (import "owner" "store" (func $store (param i32) (result i32)))
    (elem (table $t) (i32.const 2) func $through)
    (func $through (param i32) (result i32)
        (i32.add (i32.const 10) (call_indirect $t (type $f) (local.get 0) (i32.const 1))))
    (func (export "call") (param i32) (result i32) (call $store (local.get 0)))
    (func (export "last call") (param i32) (result i32) (return_call $store (local.get 0)))
    (func (export "by table") (param i32) (result i32)
        (call_indirect $t (type $f) (local.get 0) (i32.const 0))))"#;

/// Imports the memory.
const BORROWER: &str = r#"(module $borrower
    (import "owner" "memory" (memory 1))
    (func $deep (param i32) (result i32) (i32.load8_u offset=1 (local.get 0)))
    (func (export "peek") (param i32) (result i32) (call $deep (i32.sub (local.get 0) (i32.const 1)))))"#;

fn engine(guards_may_lack: bool) -> Engine {
    let config = Config { guard_pages: true, refuse_guards: true, guards_may_lack, ..Config::default() };
    Engine::with_backend(config, Arc::new(Jit::default()))
}

fn module(engine: &Engine, wat: &str) -> Module {
    Module::new(engine, wat::parse_str(wat).unwrap()).unwrap()
}

#[test]
fn instances_of_a_memory_without_guards_are_interpreted_and_all_of_them_call_each_other() {
    let engine = engine(true);
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::<()>::new();
    let table = r#"(module (table (export "table") 4 funcref))"#;
    let table = linker.instantiate(&mut store, &module(&engine, table)).unwrap();
    linker.instance(&mut store, "host", table).unwrap();
    let owner = linker.instantiate(&mut store, &module(&engine, OWNER)).unwrap();
    linker.instance(&mut store, "owner", owner).unwrap();
    let caller = linker.instantiate(&mut store, &module(&engine, CALLER)).unwrap();
    let borrower = linker.instantiate(&mut store, &module(&engine, BORROWER)).unwrap();
    let call = |store: &mut Store<()>, instance: Instance, name: &str, at: i32| {
        let func = instance.func(&mut *store, name).unwrap();
        match func.call(store, &[Val::I32(at)]) {
            Ok(values) => match values[..] {
                [Val::I32(value)] => Ok(value),
                _ => panic!("{values:?}"),
            },
            Err(error) => Err(error.trap()),
        }
    };
    // Beyond the length, and beyond what a memory of 32-bit addresses can ever have.
    for (end, outside) in [(65_535, [65_536, -1]), (131_071, [131_072, i32::MIN])] {
        for (instance, name, plus) in [
            (owner, "store", 0),
            (owner, "there and back", 110),
            (caller, "call", 0),
            (caller, "last call", 0),
            (caller, "by table", 0),
            (borrower, "peek", 0),
        ] {
            assert_eq!(call(&mut store, instance, name, end), Ok(5 + plus), "{name}");
            for at in outside {
                let trap = Err(Some(Trap::MemoryOutOfBounds));
                assert_eq!(call(&mut store, instance, name, at), trap, "{name} at {at}");
            }
        }
        if end == 65_535 {
            assert_eq!(call(&mut store, owner, "grow", 1), Ok(1));
        }
    }
    assert_eq!(call(&mut store, owner, "grow", 2), Ok(-1));
    assert_eq!(call(&mut store, owner, "load", 65_535), Ok(5), "what was there is there");
}

#[test]
fn where_guards_may_not_lack_the_memory_is_refused_in_words() {
    let engine = engine(false);
    let mut store = Store::new(&engine, ());
    let linker = Linker::<()>::new();
    let error = linker.instantiate(&mut store, &module(&engine, "(module (memory 1))")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("guard pages"), "{error}");
    // Memories that never have guards are none of that.
    for memory in ["(memory i64 1)", "(memory 1 (pagesize 1))"] {
        let mut config =
            Config { guard_pages: true, refuse_guards: true, guards_may_lack: false, ..Config::default() };
        config.features.custom_page_sizes = true;
        let engine = Engine::with_backend(config, Arc::new(Jit::default()));
        let mut store = Store::new(&engine, ());
        linker.instantiate(&mut store, &module(&engine, &format!("(module {memory})"))).unwrap();
    }
    // An interpreter asks for none.
    let config =
        Config { guard_pages: true, refuse_guards: true, guards_may_lack: false, ..Config::default() };
    let engine = Engine::new(config);
    linker.instantiate(&mut Store::new(&engine, ()), &module(&engine, "(module (memory 1))")).unwrap();
}
