//! The interpreter through the public API.

use crate::{Config, Engine, Instance, Linker, Module, Store, Val};
use alloc::vec::Vec;

fn instance(store: &mut Store<()>, engine: &Engine, text: &str) -> Instance {
    let module = Module::new(engine, wat::parse_str(text).unwrap()).unwrap();
    Linker::<()>::new().instantiate(store, &module).unwrap()
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> crate::Result<Vec<Val>> {
    let func = instance.export(&mut *store, name).unwrap().func().unwrap();
    func.call(store, args)
}

#[test]
fn fib_is_right() {
    let engine = Engine::new(Config::default());
    let mut store = Store::new(&engine, ());
    let i = instance(
        &mut store,
        &engine,
        r#"(module (func $fib (export "fib") (param i32) (result i32)
            (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
              (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                             (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#,
    );
    let r = call(&mut store, i, "fib", &[Val::I32(20)]).unwrap();
    assert!(matches!(r[..], [Val::I32(6765)]), "{r:?}");
}
