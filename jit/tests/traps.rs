//! Every trap, with signals and without: the right one, with a backtrace, and the store is fit for use afterwards.

use mini_wasm_jit::Jit;
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::error::{Error, ErrorKind};
use mini_wasm_runtime::handle::{Extern, Func, Instance};
use mini_wasm_runtime::host::Caller;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::val::Val;
use std::sync::Arc;

fn configs() -> [Config; 3] {
    let guarded = Config::default();
    let refused = Config { refuse_guards: true, ..guarded.clone() };
    [guarded.clone(), Config { guard_pages: false, ..guarded }, refused]
}

fn instance<T: Send + 'static>(
    config: &Config,
    wat: &str,
    data: T,
    imports: impl FnOnce(&mut Store<T>) -> Vec<Extern>,
) -> (Store<T>, Instance) {
    let engine = Engine::with_backend(config.clone(), Arc::new(Jit::new(CompileOptions::default())));
    let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
    let mut store = Store::new(&engine, data);
    let imports = imports(&mut store);
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    (store, instance)
}

fn try_call<T: Send + 'static>(
    store: &mut Store<T>,
    instance: Instance,
    name: &str,
    args: &[Val],
) -> Result<Vec<Val>, Error> {
    instance.func(&mut *store, name).unwrap().call(store, args)
}

const TRAPS: &str = r#"(module
    (memory 1 2)
    (type $v (func)) (type $i (func (result i32)))
    (table $t 5 funcref) (elem (i32.const 1) $nothing $one)
    (func $nothing) (func $one (result i32) (i32.const 1))
    (func (export "unreachable") unreachable)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "load8 far") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0)))
    (func (export "load guard") (param i32) (result i32) (i32.load8_u offset=0x3fffff0 (local.get 0)))
    (func (export "load beyond") (param i32) (result i32) (i32.load8_u offset=0x4000010 (local.get 0)))
    (func (export "store") (param i32) (i64.store (local.get 0) (i64.const -1)))
    (func (export "div_s") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func (export "div_u") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
    (func (export "rem_s") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
    (func (export "rem_u") (param i32 i32) (result i32) (i32.rem_u (local.get 0) (local.get 1)))
    (func (export "div_s 64") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
    (func (export "div_u 64") (param i64 i64) (result i64) (i64.div_u (local.get 0) (local.get 1)))
    (func (export "trunc i32 f32") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
    (func (export "trunc u32 f64") (param f64) (result i32) (i32.trunc_f64_u (local.get 0)))
    (func (export "trunc i32 f64") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
    (func (export "trunc i64 f64") (param f64) (result i64) (i64.trunc_f64_s (local.get 0)))
    (func (export "trunc u64 f32") (param f32) (result i64) (i64.trunc_f32_u (local.get 0)))
    (func (export "call") (param i32) (call_indirect (type $v) (local.get 0)))
    (func (export "get") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
    (func (export "fill") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const 100)))
    (func $endless (export "endless") (result i32) (i32.add (call $endless) (i32.const 1))))"#;

fn f32v(v: f32) -> Val {
    Val::F32(v.to_bits())
}

fn f64v(v: f64) -> Val {
    Val::F64(v.to_bits())
}

/// Calls, what they end with: `None` for a result.
fn cases() -> Vec<(&'static str, Vec<Val>, Option<Trap>)> {
    use Trap::*;
    use Val::*;
    let two_to = |n| 2f64.powi(n);
    vec![
        ("unreachable", vec![], Some(Unreachable)),
        ("load", vec![I32(65532)], None),
        ("load", vec![I32(65533)], Some(MemoryOutOfBounds)),
        ("load", vec![I32(-1)], Some(MemoryOutOfBounds)),
        ("load8 far", vec![I32(0)], Some(MemoryOutOfBounds)),
        ("load8 far", vec![I32(-1)], Some(MemoryOutOfBounds)),
        ("load guard", vec![I32(-1)], Some(MemoryOutOfBounds)),
        ("load beyond", vec![I32(-1)], Some(MemoryOutOfBounds)),
        ("store", vec![I32(65528)], None),
        ("store", vec![I32(65529)], Some(MemoryOutOfBounds)),
        ("fill", vec![I32(65500)], Some(MemoryOutOfBounds)),
        ("div_s", vec![I32(7), I32(-2)], None),
        ("div_s", vec![I32(7), I32(0)], Some(IntegerDivideByZero)),
        ("div_s", vec![I32(i32::MIN), I32(-1)], Some(IntegerOverflow)),
        ("div_u", vec![I32(7), I32(0)], Some(IntegerDivideByZero)),
        ("rem_s", vec![I32(7), I32(0)], Some(IntegerDivideByZero)),
        ("rem_s", vec![I32(i32::MIN), I32(-1)], None),
        ("rem_u", vec![I32(7), I32(0)], Some(IntegerDivideByZero)),
        ("div_s 64", vec![I64(i64::MIN), I64(-1)], Some(IntegerOverflow)),
        ("div_s 64", vec![I64(1), I64(0)], Some(IntegerDivideByZero)),
        ("div_u 64", vec![I64(1), I64(0)], Some(IntegerDivideByZero)),
        ("trunc i32 f32", vec![f32v(f32::NAN)], Some(InvalidConversionToInteger)),
        ("trunc i32 f32", vec![f32v(two_to(31) as f32)], Some(IntegerOverflow)),
        ("trunc i32 f32", vec![f32v(-two_to(31) as f32)], None),
        ("trunc u32 f64", vec![f64v(-1.0)], Some(IntegerOverflow)),
        ("trunc u32 f64", vec![f64v(-0.9)], None),
        ("trunc u32 f64", vec![f64v(two_to(32))], Some(IntegerOverflow)),
        ("trunc u32 f64", vec![f64v(two_to(32) - 0.5)], None),
        ("trunc i32 f64", vec![f64v(-two_to(31) - 0.9)], None),
        ("trunc i32 f64", vec![f64v(-two_to(31) - 1.0)], Some(IntegerOverflow)),
        ("trunc i32 f64", vec![f64v(two_to(31) - 0.1)], None),
        ("trunc i64 f64", vec![f64v(-two_to(63))], None),
        ("trunc i64 f64", vec![f64v(two_to(63))], Some(IntegerOverflow)),
        ("trunc i64 f64", vec![f64v(f64::NAN)], Some(InvalidConversionToInteger)),
        ("trunc u64 f32", vec![f32v(two_to(64) as f32)], Some(IntegerOverflow)),
        ("call", vec![I32(1)], None),
        ("call", vec![I32(2)], Some(IndirectCallTypeMismatch)),
        ("call", vec![I32(3)], Some(UninitializedElement)),
        ("call", vec![I32(5)], Some(UndefinedElement)),
        ("call", vec![I32(-1)], Some(UndefinedElement)),
        ("get", vec![I32(4)], None),
        ("get", vec![I32(5)], Some(TableOutOfBounds)),
        ("endless", vec![], Some(StackOverflow)),
    ]
}

fn every_case(config: &Config) {
    let (mut store, instance) = instance(config, TRAPS, (), |_| vec![]);
    for round in 0..2 {
        for (name, args, want) in cases() {
            let end = try_call(&mut store, instance, name, &args);
            let got = end.as_ref().err().map(|e| e.trap().unwrap_or_else(|| panic!("{name}: {e:?}")));
            assert_eq!(got, want, "{name} {args:?}, round {round}, guard pages {}", config.guard_pages);
            if let Err(error) = end {
                let frame = &error.backtrace().frames[0];
                assert!(frame.offset.is_some(), "{name}: {frame:?}");
            }
        }
    }
}

#[test]
fn each_trap_comes_out_as_itself() {
    for config in configs() {
        every_case(&config);
    }
}

#[test]
fn traps_come_out_on_small_threads_of_the_embedder() {
    for config in configs() {
        let run = move || every_case(&config);
        std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn a_backtrace_names_functions_and_operators_innermost_first() {
    for config in configs() {
        let wat = r#"(module $m
            (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
            (func $middle (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1)))
            (func (export "outer") (param i32) (result i32) (i32.mul (call $middle (local.get 0)) (i32.const 3))))"#;
        let (mut store, instance) = instance(&config, wat, (), |_| vec![]);
        let error = try_call(&mut store, instance, "outer", &[Val::I32(0)]).unwrap_err();
        let frames = &error.backtrace().frames;
        let names: Vec<_> = frames.iter().map(|f| (f.func, f.name.as_deref())).collect();
        assert_eq!(names, [(0, Some("inner")), (1, Some("middle")), (2, Some("outer"))]);
        let offsets: Vec<_> = frames.iter().map(|f| f.offset.unwrap()).collect();
        let bytes = wat::parse_str(wat).unwrap();
        let opcodes: Vec<u8> = offsets.iter().map(|&o| bytes[o as usize]).collect();
        assert_eq!(opcodes, [0x6e, 0x10, 0x10], "i32.div_u and two calls");
        assert!(frames.iter().all(|f| f.module.as_deref() == Some("m")));
    }
}

#[test]
fn a_trap_right_behind_a_call_is_told_from_the_call() {
    for config in configs() {
        let wat = r#"(module (func $f) (func (export "run") (call $f) unreachable))"#;
        let (mut store, instance) = instance(&config, wat, (), |_| vec![]);
        let error = try_call(&mut store, instance, "run", &[]).unwrap_err();
        let offset = error.backtrace().frames[0].offset.unwrap() as usize;
        assert_eq!(wat::parse_str(wat).unwrap()[offset], 0x00, "unreachable, not call");
    }
}

#[test]
fn deep_recursion_counts_the_frames_that_a_backtrace_omits() {
    for config in configs() {
        let (mut store, instance) = instance(&config, TRAPS, (), |_| vec![]);
        let error = try_call(&mut store, instance, "endless", &[]).unwrap_err();
        assert_eq!(error.backtrace().frames.len(), config.max_backtrace);
        assert!(error.backtrace().omitted > 1000);
    }
}

/// A host function that calls back into the guest; a trap in there is an error of that call only.
#[test]
fn traps_nest_through_the_host() {
    for config in configs() {
        let wat = r#"(module
            (import "m" "again" (func $again (param i32) (result i32)))
            (func (export "run") (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then unreachable))
                (i32.add (call $again (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))))"#;
        let (mut store, instance) = instance(&config, wat, None::<Func>, |store| {
            let again = |mut caller: Caller<'_, Option<Func>>, n: i32| {
                let func = caller.data().unwrap();
                match func.call(&mut caller, &[Val::I32(n)]) {
                    Ok(_) => 100,
                    Err(error) => {
                        assert_eq!(error.trap(), Some(Trap::Unreachable));
                        7
                    }
                }
            };
            vec![Func::wrap(store, again).into()]
        });
        let func = instance.func(&mut store, "run").unwrap();
        *store.data_mut() = Some(func);
        assert!(matches!(func.call(&mut store, &[Val::I32(1)]).unwrap()[..], [Val::I32(8)]));
        assert!(matches!(func.call(&mut store, &[Val::I32(5)]).unwrap()[..], [Val::I32(101)]));
        assert_eq!(func.call(&mut store, &[Val::I32(0)]).unwrap_err().trap(), Some(Trap::Unreachable));
    }
}

#[test]
fn an_error_of_the_host_leaves_the_guest_and_keeps_its_kind() {
    for config in configs() {
        let wat = r#"(module (import "m" "exit" (func $exit (param i32)))
            (func $f (call $exit (i32.const 3)) unreachable)
            (func (export "run") (call $f) unreachable))"#;
        let (mut store, instance) = instance(&config, wat, (), |store| {
            let exit = |code: i32| -> Result<(), Error> { Err(Error::exit(code as u8)) };
            vec![Func::wrap::<(), _, _>(store, exit).into()]
        });
        let error = try_call(&mut store, instance, "run", &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit(3));
        assert_eq!(error.backtrace().frames.len(), 2);
    }
}

#[test]
fn a_panic_of_the_host_leaves_the_guest_and_goes_on() {
    for config in configs() {
        let wat = r#"(module (import "m" "panic" (func $panic)) (func (export "run") (call $panic)))"#;
        let (mut store, instance) = instance(&config, wat, (), |store| {
            let panic = || -> () { std::panic::panic_any("from the host") };
            vec![Func::wrap::<(), _, _>(store, panic).into()]
        });
        let run = std::panic::AssertUnwindSafe(|| try_call(&mut store, instance, "run", &[]));
        let payload = std::panic::catch_unwind(run).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"from the host"));
    }
}

#[test]
fn a_host_function_called_at_the_end_of_the_stack_is_a_trap() {
    for config in configs() {
        let wat = r#"(module (import "m" "deep" (func $deep))
            (func $f (export "run") (call $deep) (call $f) (call $deep)))"#;
        let run = move || {
            let (mut store, instance) = instance(&config, wat, (), |store| {
                let deep = || {
                    std::hint::black_box([0u8; 64 << 10]);
                };
                vec![Func::wrap::<(), _, _>(store, deep).into()]
            });
            let error = try_call(&mut store, instance, "run", &[]).unwrap_err();
            assert_eq!(error.trap(), Some(Trap::StackOverflow));
        };
        std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn fuel_runs_out_where_it_should() {
    for config in configs() {
        let config = Config { fuel: true, ..config };
        let wat = r#"(module (func (export "run") (param i32) (result i32)
            (loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0)))
            (i32.const 1)))"#;
        let (mut store, instance) = instance(&config, wat, (), |_| vec![]);
        store.set_fuel(1000);
        try_call(&mut store, instance, "run", &[Val::I32(10)]).unwrap();
        // Ten times (get, const, sub, set, get, br_if), and the constant behind.
        assert_eq!(store.fuel(), Some(1000 - 61));
        let error = try_call(&mut store, instance, "run", &[Val::I32(1000)]).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::OutOfFuel));
        assert_eq!(store.fuel(), Some((1000 - 61) % 6));
    }
}

#[test]
fn a_deadline_stops_an_endless_loop() {
    for config in configs() {
        let config = Config { epoch: true, ..config };
        let wat = r#"(module (func (export "run") (loop (br 0))))"#;
        let (mut store, instance) = instance(&config, wat, (), |_| vec![]);
        store.set_epoch_deadline(1);
        let engine = instance.module(&store).unwrap().engine().clone();
        let ticker = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            engine.increment_epoch();
        });
        let error = try_call(&mut store, instance, "run", &[]).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::Interrupted));
        ticker.join().unwrap();
    }
}

/// The trap handler reads the list of code while other threads change it.
#[test]
fn threads_trap_while_others_bring_and_take_code() {
    let run = |seed: i32| {
        for i in 0..40 {
            let config = Config { guard_pages: (seed + i) % 4 != 0, ..Config::default() };
            let wat = format!(
                r#"(module (memory 1)
                (func (export "run") (param i32) (result i32) (i32.load offset={} (local.get 0))))"#,
                i * 8
            );
            let (mut store, instance) = instance(&config, &wat, (), |_| vec![]);
            for _ in 0..20 {
                let error = try_call(&mut store, instance, "run", &[Val::I32(-8)]).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds));
                assert_eq!(error.backtrace().frames.len(), 1);
            }
        }
    };
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || run(seed));
        }
    });
}
