//! The deadline comes while one operator is at work that goes by length: it ends in the middle, in every engine. Time passes here
//! when the guest says so, by calling `tick` right before the operator: no loop and no call is between the two.

mod reloading;

use mini_wasm_jit::Jit;
use mini_wasm_runtime::backend::Backend;
use mini_wasm_runtime::handle::{Extern, Func, Instance};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::val::Val;
use mini_wasm_runtime::{Config, Engine, Module, Store};
use reloading::Reloading;
use std::sync::Arc;

/// The interpreter, native code, and native code from an artifact.
fn engines() -> [Engine; 3] {
    let config = Config { epoch: true, ..Config::default() };
    let backends: [Arc<dyn Backend>; 2] = [Arc::new(Jit::default()), Arc::new(Reloading)];
    let [jit, reloading] = backends.map(|backend| Engine::with_backend(config.clone(), backend));
    [Engine::new(config), jit, reloading]
}

const MODULE: &str = r#"(module
    (import "" "tick" (func $tick))
    (type $bytes (array (mut i8)))
    (type $longs (array (mut i64)))
    (type $refs (array (mut anyref)))
    (memory $m 64)
    (memory $n 64)
    (table $t 200000 anyref)
    (table $u 200000 anyref)
    (table $f 200000 funcref)
    (global $b (mut (ref null $bytes)) (ref.null $bytes))
    (global $l (mut (ref null $longs)) (ref.null $longs))
    (global $r (mut (ref null $refs)) (ref.null $refs))
    (func (export "prepare")
        (global.set $b (array.new $bytes (i32.const 1) (i32.const 3000000)))
        (global.set $l (array.new $longs (i64.const 1) (i32.const 300000)))
        (global.set $r (array.new $refs (ref.i31 (i32.const 1)) (i32.const 300000))))
    (func (export "memory.fill") (param i32) (call $tick)
        (memory.fill $m (i32.const 0) (i32.const 1) (local.get 0)))
    (func (export "memory.copy") (param i32) (call $tick)
        (memory.copy $m $n (i32.const 0) (i32.const 0) (local.get 0)))
    (func (export "memory.copy up") (param i32) (call $tick)
        (memory.copy $m $m (i32.const 1) (i32.const 0) (local.get 0)))
    (func (export "table.fill") (param i32) (call $tick)
        (table.fill $t (i32.const 0) (ref.null any) (local.get 0)))
    (func (export "table.copy") (param i32) (call $tick)
        (table.copy $t $u (i32.const 0) (i32.const 0) (local.get 0)))
    (func (export "table.copy up") (param i32) (call $tick)
        (table.copy $t $t (i32.const 1) (i32.const 0) (local.get 0)))
    (func (export "table.grow") (param i32) (call $tick)
        (drop (table.grow $f (ref.null func) (local.get 0))))
    (func (export "array.new bytes") (param i32) (call $tick)
        (drop (array.new $bytes (i32.const 1) (local.get 0))))
    (func (export "array.new") (param i32) (call $tick)
        (drop (array.new $longs (i64.const 1) (local.get 0))))
    (func (export "array.fill bytes") (param i32) (call $tick)
        (array.fill $bytes (global.get $b) (i32.const 0) (i32.const 2) (local.get 0)))
    (func (export "array.fill") (param i32) (call $tick)
        (array.fill $longs (global.get $l) (i32.const 0) (i64.const 2) (local.get 0)))
    (func (export "array.fill references") (param i32) (call $tick)
        (array.fill $refs (global.get $r) (i32.const 0) (ref.i31 (i32.const 3)) (local.get 0)))
    (func (export "array.copy") (param i32) (call $tick)
        (array.copy $bytes $bytes (global.get $b) (i32.const 1) (global.get $b) (i32.const 0) (local.get 0)))
    (func (export "collect") (param i32) (call $tick)
        (drop (array.new_default $bytes (local.get 0))))
    (func (export "size") (result i32) (table.size $f))
    (func (export "filled") (result i32 i32)
        (i32.load8_u $m (i32.const 0)) (i32.load8_u $m (i32.const 2999999))))"#;

/// Operator, a length that is done at once, one that takes a pause.
const OPERATORS: &[(&str, i32, i32)] = &[
    ("memory.fill", 1 << 20, 3_000_000),
    ("memory.copy", 1 << 20, 3_000_000),
    ("memory.copy up", 1 << 20, 3_000_000),
    ("table.fill", 1 << 16, 150_000),
    ("table.copy", 1 << 16, 150_000),
    ("table.copy up", 1 << 16, 150_000),
    ("table.grow", 1 << 10, 150_000),
    ("array.new bytes", 1 << 20, 3_000_000),
    ("array.new", 1 << 16, 150_000),
    ("array.fill bytes", 1 << 20, 2_999_999),
    ("array.fill", 1 << 16, 299_999),
    ("array.fill references", 1 << 16, 299_999),
    ("array.copy", 1 << 20, 2_999_999),
    // So many bytes that the heap is collected before, in which an array of references is looked through.
    ("collect", 16, 16 << 20),
];

struct Guest {
    engine: Engine,
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(engine: Engine) -> Guest {
        let mut store = Store::new(&engine, ());
        let clock = engine.clone();
        let tick = Func::wrap::<(), _, _>(&mut store, move || clock.increment_epoch());
        let module = Module::new(&engine, wat::parse_str(MODULE).unwrap()).unwrap();
        let instance = Instance::new(&mut store, &module, &[Extern::Func(tick)]).unwrap();
        let mut guest = Guest { engine, store, instance };
        guest.call("prepare", &[], 100).unwrap();
        guest
    }

    /// With a deadline after so many ticks.
    fn call(&mut self, name: &str, args: &[Val], ticks: usize) -> Result<Vec<Val>, Option<Trap>> {
        self.store.set_epoch_deadline(ticks);
        let func = self.instance.func(&mut self.store, name).unwrap();
        func.call(&mut self.store, args).map_err(|error| error.trap())
    }
}

#[test]
fn an_operator_that_goes_by_length_ends_at_the_deadline() {
    for engine in engines() {
        let mut guest = Guest::new(engine);
        for &(name, short, long) in OPERATORS {
            let backend = format!("{name} {:?}", guest.engine);
            assert_eq!(guest.call(name, &[Val::I32(short)], 1).err(), None, "{backend}");
            assert_eq!(
                guest.call(name, &[Val::I32(long)], 1).err(),
                Some(Some(Trap::Interrupted)),
                "{backend}"
            );
            assert_eq!(guest.call(name, &[Val::I32(long)], 2).err(), None, "afterwards: {backend}");
        }
    }
}

#[test]
fn what_was_done_before_the_deadline_stays_done() {
    for engine in engines() {
        let mut guest = Guest::new(engine);
        guest.call("memory.fill", &[Val::I32(3_000_000)], 1).unwrap_err();
        let found = guest.call("filled", &[], 1).unwrap();
        assert!(matches!(found[..], [Val::I32(1), Val::I32(0)]), "{found:?}");
    }
}

#[test]
fn a_table_that_was_to_grow_has_not_grown() {
    for engine in engines() {
        let mut guest = Guest::new(engine);
        guest.call("table.grow", &[Val::I32(150_000)], 1).unwrap_err();
        let size = guest.call("size", &[], 1).unwrap();
        assert!(matches!(size[..], [Val::I32(200_000)]), "{size:?}");
    }
}
