//! Functions in the interpreter and functions in native code call each other, both ways, tail calls and traps included.

use mini_wasm_jit::Jit;
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::handle::Instance;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::val::Val;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn configs() -> [Config; 3] {
    let guarded = Config::default();
    let refused = Config { refuse_guards: true, ..guarded.clone() };
    [guarded.clone(), Config { guard_pages: false, ..guarded }, refused]
}

/// An engine whose compiler leaves the functions of the bit set to the interpreter; and the set, to change between modules.
fn engine(config: &Config, interpreted: u32) -> (Engine, Arc<AtomicU32>) {
    let set = Arc::new(AtomicU32::new(interpreted));
    let seen = set.clone();
    let options = CompileOptions {
        interpret: Some(Arc::new(move |own| seen.load(Ordering::Relaxed) >> own & 1 == 1)),
        ..CompileOptions::default()
    };
    (Engine::with_backend(config.clone(), Arc::new(Jit::new(options))), set)
}

const WAT: &str = r#"(module $mixed
    (type $t (func (param i32) (result i32)))
    (table 3 funcref) (elem (i32.const 0) $even $odd $trap)
    (func $even (export "even") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
            (else (call $odd (i32.sub (local.get 0) (i32.const 1))))))
    (func $odd (export "odd") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
            (else (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
    (func $trap (export "trap") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (i32.add (i32.const 1) (call $trap2 (i32.sub (local.get 0) (i32.const 1)))))
    (func $trap2 (param i32) (result i32)
        (i32.add (i32.const 1) (call_indirect (type $t) (local.get 0) (i32.const 2))))
    (func (export "many") (param i32 i64 f32 f64) (result f64 f32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32)
        (call $swap (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func $swap (param i32 i64 f32 f64) (result f64 f32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0)
        (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8))
    (func $endless (export "endless") (param i32) (result i32) (i32.add (call $endless2 (local.get 0)) (i32.const 1)))
    (func $endless2 (param i32) (result i32) (i32.add (call $endless (local.get 0)) (i32.const 1)))
    (func $down (export "down") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 5))
            (else (return_call $down2 (i32.sub (local.get 0) (i32.const 1))))))
    (func $down2 (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 6))
            (else (return_call $down (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn calls_between_the_two_work_whichever_functions_are_interpreted() {
    for config in configs() {
        for interpreted in [0, 0x3ff, 0b01_0101_0101, 0b10_1010_1010, 0b1100, 0b11_0000_0000] {
            let (engine, _) = engine(&config, interpreted);
            let module = Module::new(&engine, wat::parse_str(WAT).unwrap()).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let mut call =
                |name: &str, args: &[Val]| instance.func(&mut store, name).unwrap().call(&mut store, args);
            let what = format!("{interpreted:#b}, guard pages {}", config.guard_pages);
            assert!(matches!(call("even", &[Val::I32(100)]).unwrap()[..], [Val::I32(1)]), "{what}");
            assert!(matches!(call("odd", &[Val::I32(100)]).unwrap()[..], [Val::I32(0)]), "{what}");
            assert!(matches!(call("down", &[Val::I32(1001)]).unwrap()[..], [Val::I32(6)]), "{what}");
            let args = [Val::I32(-1), Val::I64(-2), Val::F32(0x7fc0_0001), Val::F64(3)];
            let many = format!("{:?}", call("many", &args).unwrap());
            let rest = "I32(1), I32(2), I32(3), I32(4), I32(5), I32(6), I32(7), I32(8)";
            assert_eq!(many, format!("[F64(3), F32(2143289345), I64(-2), I32(-1), {rest}]"), "{what}");
            for _ in 0..2 {
                let error = call("trap", &[Val::I32(3)]).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::Unreachable), "{what}");
                let funcs: Vec<u32> = error.backtrace().frames.iter().map(|f| f.func).collect();
                assert_eq!(funcs, [2, 3, 2, 3, 2, 3, 2], "{what}");
                assert!(error.backtrace().frames.iter().all(|f| f.offset.is_some()), "{what}");
            }
            assert_eq!(
                call("endless", &[Val::I32(0)]).unwrap_err().trap(),
                Some(Trap::StackOverflow),
                "{what}"
            );
            assert!(matches!(call("even", &[Val::I32(7)]).unwrap()[..], [Val::I32(0)]), "{what}");
        }
    }
}

#[test]
fn instances_call_each_other_across_the_two() {
    for config in configs() {
        let (engine, set) = engine(&config, 0);
        let inner = r#"(module $inner (memory 1) (global $n (mut i32) (i32.const 0))
            (func (export "load") (param i32) (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.load (local.get 0)))
            (func (export "count") (result i32) (global.get $n)))"#;
        let outer = r#"(module $outer (import "i" "load" (func $load (param i32) (result i32)))
            (memory 1) (data (i32.const 0) "\07")
            (func (export "sum") (param i32) (result i32) (i32.add (call $load (local.get 0)) (i32.load (i32.const 0))))
            (func (export "tail") (param i32) (result i32) (return_call $load (local.get 0))))"#;
        for (of_inner, of_outer) in [(0, 0), (3, 0), (0, 3), (3, 3)] {
            let mut store = Store::new(&engine, ());
            set.store(of_inner, Ordering::Relaxed);
            let inner = Module::new(&engine, wat::parse_str(inner).unwrap()).unwrap();
            set.store(of_outer, Ordering::Relaxed);
            let outer = Module::new(&engine, wat::parse_str(outer).unwrap()).unwrap();
            let inner = Instance::new(&mut store, &inner, &[]).unwrap();
            let load = inner.func(&mut store, "load").unwrap();
            let outer = Instance::new(&mut store, &outer, &[load.into()]).unwrap();
            for name in ["sum", "tail"] {
                let func = outer.func(&mut store, name).unwrap().typed::<i32, i32>(&store).unwrap();
                assert_eq!(func.call(&mut store, 8).unwrap(), if name == "sum" { 7 } else { 0 });
                let error = func.call(&mut store, -1).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds));
                let names: Vec<_> =
                    error.backtrace().frames.iter().map(|f| f.module.clone().unwrap()).collect();
                let want: &[&str] = if name == "sum" { &["inner", "outer"] } else { &["inner"] };
                // A tail call between the engines may keep its caller's frame.
                assert_eq!(names[0], want[0]);
                assert!(names == want || name == "tail", "{names:?}");
            }
            let count = inner.func(&mut store, "count").unwrap().typed::<(), i32>(&store).unwrap();
            assert_eq!(count.call(&mut store, ()).unwrap(), 4);
        }
    }
}

#[test]
fn fuel_left_is_the_same_whoever_runs_what() {
    let wat = r#"(module (memory 1)
        (func $work (export "work") (param i32) (result i32) (local i32)
            (loop $l
                (local.set 1 (i32.add (local.get 1) (call $step (local.get 0))))
                (if (i32.and (local.get 0) (i32.const 1)) (then (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))
        (func $step (param i32) (result i32)
            (block (block (br_table 0 1 (i32.and (local.get 0) (i32.const 1)))) (return (i32.const 1)))
            (i32.div_u (i32.const 100) (i32.sub (local.get 0) (i32.const 3)))))"#;
    for config in configs() {
        let config = Config { fuel: true, ..config };
        let ends: Vec<_> = [0, 1, 2, 3]
            .into_iter()
            .map(|interpreted| {
                let (engine, _) = engine(&config, interpreted);
                let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
                let mut store = Store::new(&engine, ());
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                let func = instance.func(&mut store, "work").unwrap();
                let mut ends = Vec::new();
                for fuel in (0..600).step_by(7) {
                    store.set_fuel(fuel);
                    let end = func.call(&mut store, &[Val::I32(9)]);
                    ends.push((end.map(|v| format!("{v:?}")).map_err(|e| e.trap()), store.fuel()));
                }
                ends
            })
            .collect();
        assert!(ends.iter().all(|e| *e == ends[0]), "{ends:?}");
        assert!(ends[0].iter().any(|(end, _)| *end == Err(Some(Trap::IntegerDivideByZero))));
    }
}
