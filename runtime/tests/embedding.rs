//! What an embedder may rely on: handles, host functions, limits, meters, errors.

use mini_wasm_runtime::store::StoreLimits;
use mini_wasm_runtime::types::{FuncType, GlobalType, Limits, MemoryType, RefType, TableType, ValType};
use mini_wasm_runtime::{
    Caller, Config, Engine, Error, ErrorKind, Extern, Func, Global, Instance, Linker, Memory, Module, Store,
    Table, Trap, V128, Val,
};
use std::sync::Arc;

fn module(engine: &Engine, wat: &str) -> Module {
    Module::new(engine, wat::parse_str(wat).unwrap()).unwrap()
}

fn instance(store: &mut Store<()>, engine: &Engine, wat: &str) -> Instance {
    Instance::new(store, &module(engine, wat), &[]).unwrap()
}

fn memory_type(min: u64, max: Option<u64>) -> MemoryType {
    MemoryType { limits: Limits { min, max }, memory64: false, shared: false, page_size_log2: 16 }
}

#[test]
fn a_typed_function_checks_its_type_once_and_computes() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = instance(
        &mut store,
        &engine,
        r#"(module (func (export "f") (param i32 i64 f32 f64) (result f64)
            (f64.add (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
                     (f64.add (f64.promote_f32 (local.get 2)) (local.get 3)))))"#,
    );
    let f = instance.func(&mut store, "f").unwrap();
    let typed = f.typed::<(i32, i64, f32, f64), f64>(&store).unwrap();
    assert_eq!(typed.call(&mut store, (1, -2, 0.5, 40.0)).unwrap(), 39.5);
    assert_eq!(f.typed::<i32, i32>(&store).unwrap_err().kind(), ErrorKind::Usage);
    let wrong = f.call(&mut store, &[Val::I32(1)]).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Usage);
}

#[test]
fn a_host_function_reaches_the_data_and_the_callers_memory() {
    let engine = Engine::default();
    let module = module(
        &engine,
        r#"(module
            (import "host" "print" (func $print (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "hello")
            (func (export "run") (call $print (i32.const 8) (i32.const 5))))"#,
    );
    let mut linker = Linker::<Vec<String>>::new();
    linker
        .func_wrap("host", "print", |mut caller: Caller<'_, Vec<String>>, at: u32, len: u32| {
            let memory =
                caller.export("memory").and_then(Extern::memory).ok_or_else(|| Error::host("no memory"))?;
            let bytes = memory
                .data(&caller)?
                .get(at as usize..(at + len) as usize)
                .ok_or_else(|| Error::host("range"))?;
            let text = String::from_utf8_lossy(bytes).into_owned();
            caller.data_mut().push(text);
            Ok(())
        })
        .unwrap();
    let mut store = Store::new(&engine, Vec::<String>::new());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.func(&mut store, "run").unwrap().call(&mut store, &[]).unwrap();
    assert_eq!(store.into_data(), ["hello"]);
}

#[test]
fn a_host_error_unwinds_the_guest_and_keeps_its_kind_and_the_guests_frames() {
    let engine = Engine::default();
    let module = module(
        &engine,
        r#"(module $m (import "host" "fail" (func $fail)) (func $inner (call $fail)) (func (export "run") (call $inner)))"#,
    );
    let mut linker = Linker::<()>::new();
    linker.func_wrap("host", "fail", || Err::<(), _>(Error::exit(7))).unwrap();
    let mut store = Store::new(&engine, ());
    let run = linker.instantiate(&mut store, &module).unwrap().func(&mut store, "run").unwrap();
    let error = run.call(&mut store, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exit(7));
    let names: Vec<_> = error.backtrace().frames.iter().map(|f| f.name.as_deref()).collect();
    assert_eq!(names, [Some("inner"), Some("run")]);
}

#[test]
fn a_panic_in_a_host_function_passes_the_guest_and_the_store_goes_on() {
    let engine = Engine::default();
    let module = module(
        &engine,
        r#"(module (import "host" "f" (func $f (param i32))) (export "f" (func $f))
        (func (export "run") (param i32) (call $f (local.get 0))))"#,
    );
    let mut linker = Linker::<()>::new();
    linker.func_wrap("host", "f", |n: i32| assert_ne!(n, 13, "unlucky")).unwrap();
    let mut store = Store::new(&engine, ());
    let run = linker.instantiate(&mut store, &module).unwrap().func(&mut store, "run").unwrap();
    let caught =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.call(&mut store, &[Val::I32(13)])));
    assert!(caught.is_err());
    run.call(&mut store, &[Val::I32(12)]).unwrap();
}

#[test]
fn a_handle_of_another_store_is_an_error() {
    let engine = Engine::default();
    let (mut one, mut two) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let func = Func::wrap::<(), (), ()>(&mut one, || ());
    let memory = Memory::new(&mut one, memory_type(1, None)).unwrap();
    let global =
        Global::new(&mut one, GlobalType { content: ValType::I32, mutable: true }, Val::I32(1)).unwrap();
    let ty = TableType { element: RefType::FUNCREF, limits: Limits { min: 1, max: None }, table64: false };
    let table = Table::new(&mut one, ty, Val::FuncRef(Some(func))).unwrap();
    assert_eq!(func.call(&mut two, &[]).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(memory.size(&two).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(global.get(&mut two).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(table.size(&two).unwrap_err().kind(), ErrorKind::Usage);
    assert!(Table::new(&mut two, ty, Val::FuncRef(Some(func))).is_err());
    let importer = module(&engine, r#"(module (import "" "f" (func)))"#);
    assert_eq!(Instance::new(&mut two, &importer, &[func.into()]).unwrap_err().kind(), ErrorKind::Usage);
    let other_engine = Engine::default();
    let foreign = module(&other_engine, "(module)");
    assert_eq!(Instance::new(&mut two, &foreign, &[]).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn the_memory_limit_covers_all_memories_and_growth_past_it_is_minus_one() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    store.set_limits(StoreLimits { memory_bytes: 4 << 16, ..StoreLimits::default() });
    let wat = r#"(module (memory (export "m") 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let one = instance(&mut store, &engine, wat);
    let two = instance(&mut store, &engine, wat);
    let grow = |store: &mut Store<()>, instance: Instance, by: i32| {
        instance
            .func(&mut *store, "grow")
            .unwrap()
            .typed::<i32, i32>(&*store)
            .unwrap()
            .call(store, by)
            .unwrap()
    };
    assert_eq!(grow(&mut store, one, 1), 1);
    assert_eq!(grow(&mut store, two, 2), -1);
    assert_eq!(grow(&mut store, two, 1), 1);
    assert_eq!(grow(&mut store, one, 1), -1);
    assert_eq!(grow(&mut store, one, 0), 2);
    let third = Instance::new(&mut store, &module(&engine, wat), &[]).unwrap_err();
    assert_eq!(third.kind(), ErrorKind::Exhausted);
}

#[test]
fn huge_tables_and_memories_are_refused_before_they_cost_anything() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    store.set_limits(StoreLimits {
        memory_bytes: 1 << 30,
        table_elements: 1 << 20,
        ..StoreLimits::default()
    });
    for wat in [
        "(module (memory 65536))",
        "(module (table 4000000000 funcref))",
        "(module (memory 20000) (memory 20000))",
    ] {
        let error = Instance::new(&mut store, &module(&engine, wat), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{wat}");
    }
}

#[test]
fn endless_recursion_is_a_trap_also_on_a_small_thread() {
    let engine = Engine::default();
    let run = move || {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, &engine, r#"(module (func $f (export "f") (call $f)))"#);
        let f = instance.func(&mut store, "f").unwrap();
        for _ in 0..3 {
            assert_eq!(f.call(&mut store, &[]).unwrap_err().trap(), Some(Trap::StackOverflow));
        }
    };
    run.clone()();
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn recursion_through_the_host_ends_in_a_trap() {
    let engine = Engine::default();
    let run = move || {
        let module =
            module(&engine, r#"(module (import "host" "f" (func $f)) (func (export "run") (call $f)))"#);
        let mut linker = Linker::<()>::new();
        linker
            .func_wrap("host", "f", |mut caller: Caller<'_, ()>| -> mini_wasm_runtime::Result<()> {
                let run =
                    caller.export("run").and_then(Extern::func).ok_or_else(|| Error::host("not exported"))?;
                run.call(&mut caller, &[]).map(|_| ())
            })
            .unwrap();
        let mut store = Store::new(&engine, ());
        let run = linker.instantiate(&mut store, &module).unwrap().func(&mut store, "run").unwrap();
        let error = run.call(&mut store, &[]).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::StackOverflow));
        assert!(error.backtrace().frames.len() > 2);
    };
    run.clone()();
    std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn fuel_is_charged_by_block_and_runs_out() {
    let engine = Engine::new(Config { fuel: true, ..Config::default() });
    let mut store = Store::new(&engine, ());
    let wat = r#"(module (func (export "spin") (loop (br 0))) (func (export "three") (result i32) i32.const 1 i32.const 2 i32.add))"#;
    let instance = instance(&mut store, &engine, wat);
    store.set_fuel(100);
    let three = instance.func(&mut store, "three").unwrap();
    three.call(&mut store, &[]).unwrap();
    assert_eq!(store.fuel(), Some(97));
    let spin = instance.func(&mut store, "spin").unwrap();
    assert_eq!(spin.call(&mut store, &[]).unwrap_err().trap(), Some(Trap::OutOfFuel));
    assert_eq!(store.fuel(), Some(0));
}

#[test]
fn the_deadline_stops_an_endless_loop() {
    let engine = Engine::new(Config { epoch: true, ..Config::default() });
    let mut store = Store::new(&engine, ());
    let instance = instance(&mut store, &engine, r#"(module (func (export "spin") (loop (br 0))))"#);
    store.set_epoch_deadline(1);
    let ticker = engine.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        ticker.increment_epoch();
    });
    let spin = instance.func(&mut store, "spin").unwrap();
    assert_eq!(spin.call(&mut store, &[]).unwrap_err().trap(), Some(Trap::Interrupted));
    thread.join().unwrap();
}

#[test]
fn no_instance_is_made_after_the_deadline() {
    let engine = Engine::new(Config { epoch: true, ..Config::default() });
    let mut store = Store::new(&engine, ());
    let module = module(&engine, "(module (memory 1) (data (i32.const 0) \"a\"))");
    let linker = Linker::<()>::new();
    store.set_epoch_deadline(1);
    linker.instantiate(&mut store, &module).unwrap();
    engine.increment_epoch();
    let error = linker.instantiate(&mut store, &module).unwrap_err();
    assert_eq!(error.trap(), Some(Trap::Interrupted), "{error}");
}

#[test]
fn an_error_at_linking_names_the_import_and_its_neighbours() {
    let engine = Engine::default();
    let module = module(
        &engine,
        r#"(module (import "env" "missing" (func $f (param i32))) (func (export "run") (call $f (i32.const 1))))"#,
    );
    let mut linker = Linker::<()>::new();
    linker.func_wrap("env", "present", || ()).unwrap();
    let error = linker.instantiate_pre(&module).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unlinkable);
    let text = error.to_string();
    assert!(
        text.contains("env::missing") && text.contains("present") && text.contains("[i32] -> []"),
        "{text}"
    );
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let error = instance.func(&mut store, "run").unwrap().call(&mut store, &[]).unwrap_err();
    assert_eq!(error.trap(), Some(Trap::MissingImport));
    assert!(error.to_string().contains("env::missing"), "{error}");
}

#[test]
fn a_clone_of_a_linker_outlives_the_original() {
    let engine = Engine::default();
    let module = module(
        &engine,
        r#"(module (import "a" "f" (func $f (result i32))) (func (export "run") (result i32) (call $f)))"#,
    );
    let mut linker = Linker::<()>::new();
    let captured = Arc::new(41);
    linker.func_wrap("a", "f", move || *captured + 1).unwrap();
    let pre = linker.clone().instantiate_pre(&module).unwrap();
    drop(linker);
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let run = pre.instantiate(&mut store).unwrap().func(&mut store, "run").unwrap();
        assert!(matches!(run.call(&mut store, &[]).unwrap()[..], [Val::I32(42)]));
    }
}

#[test]
fn every_truncation_of_a_module_is_an_error_or_a_smaller_module() {
    let engine = Engine::default();
    let wasm = wat::parse_str(
        r#"(module (import "a" "b" (func)) (memory 1) (table 2 funcref) (global (mut i32) (i32.const 3))
            (func (export "f") (param i32) (result i32) (block (result i32) (i32.const 1) (br_if 0 (local.get 0)) drop (i32.const 7)))
            (elem (i32.const 0) func 0 1) (data (i32.const 0) "abc"))"#,
    )
    .unwrap();
    for len in 0..wasm.len() {
        let _ = Module::new(&engine, &wasm[..len]);
    }
    let mut bent = wasm.clone();
    for i in 0..bent.len() {
        for bit in 0..8 {
            bent[i] ^= 1 << bit;
            let _ = Module::new(&engine, bent.clone());
            bent[i] ^= 1 << bit;
        }
    }
    Module::new(&engine, wasm).unwrap();
}

#[test]
fn host_values_of_wrong_types_are_refused() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let liar = Func::new::<()>(&mut store, FuncType::new([], [ValType::I32]), |_, _, results| {
        results[0] = Val::I64(1);
        Ok(())
    });
    assert_eq!(liar.call(&mut store, &[]).unwrap_err().kind(), ErrorKind::Usage);
    let global =
        Global::new(&mut store, GlobalType { content: ValType::F32, mutable: false }, Val::from(1.5f32))
            .unwrap();
    assert_eq!(global.set(&mut store, Val::from(2.5f32)).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(global.get(&mut store).unwrap().f32(), Some(1.5));
}

#[test]
fn a_host_function_for_another_type_of_data_is_an_error_not_a_panic() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 5u32);
    let func = Func::wrap::<String, (Caller<'_, String>,), ()>(&mut store, |_: Caller<'_, String>| ());
    assert_eq!(func.call(&mut store, &[]).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn vectors_go_through_every_door_beside_other_values() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let lanes = |a: u32| V128::from([a, a + 1, a + 2, a + 3]);
    let mut linker = Linker::<()>::new();
    linker.func_wrap("host", "turn", |a: i32, v: V128, b: i64, w: V128| (w, a + 1, v, b + 1)).unwrap();
    let ty = FuncType::new([ValType::V128, ValType::I32], [ValType::I32, ValType::V128]);
    let swap = Func::new(&mut store, ty, |_: Caller<'_, ()>, params, results| {
        (results[0], results[1]) = (params[1].clone(), params[0].clone());
        Ok(())
    });
    linker.define("host", "swap", swap).unwrap();
    let ty = GlobalType { content: ValType::V128, mutable: true };
    let global = Global::new(&mut store, ty, Val::V128(lanes(20).bits())).unwrap();
    linker.define("host", "g", global).unwrap();
    let module = module(
        &engine,
        r#"(module
            (import "host" "turn" (func $turn (param i32 v128 i64 v128) (result v128 i32 v128 i64)))
            (import "host" "swap" (func $swap (param v128 i32) (result i32 v128)))
            (import "host" "g" (global $g (mut v128)))
            (func (export "f") (param v128 i32 i64) (result v128 i32 v128 i64)
                (global.set $g (i32x4.add (global.get $g) (local.get 0)))
                (call $turn (call $swap (local.get 0) (local.get 1)) (local.get 2) (v128.const i32x4 9 8 7 6))))"#,
    );
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let f = instance.func(&mut store, "f").unwrap();
    let typed = f.typed::<(V128, i32, i64), (V128, i32, V128, i64)>(&store).unwrap();
    let found = typed.call(&mut store, (lanes(1), 40, -1)).unwrap();
    assert_eq!(found, (V128::from([9u32, 8, 7, 6]), 41, lanes(1), 0));
    let Val::V128(bits) = global.get(&mut store).unwrap() else { panic!("a vector") };
    assert_eq!(V128::from_bits(bits).u32x4(), [21, 23, 25, 27]);
    let found = f.call(&mut store, &[Val::V128(5), Val::I32(6), Val::I64(7)]).unwrap();
    assert!(matches!(found[..], [Val::V128(_), Val::I32(7), Val::V128(5), Val::I64(8)]), "{found:?}");
}
