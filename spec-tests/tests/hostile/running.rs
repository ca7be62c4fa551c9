//! What happens when hostile code runs: it does not end, it calls itself in every way there is, it asks for more and more.

use super::alone::{Budget, USUAL, alone};
use super::instantiate;
use mini_wasm_runtime::{
    Caller, Config, Engine, ErrorKind, Extern, Linker, Module, Store, StoreLimits, Trap, Val,
};
use mini_wasm_spec_tests::Mode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const MODES: [Mode; 3] = [Mode::Interp, Mode::Jit, Mode::Aot];

fn module(mode: Mode, engine: &Engine, text: &str) -> Module {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    mode.module(engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a module of functions that never end looks like, one per way of not ending.
const ENDLESS: [&str; 7] = [
    "(func $f (loop $l (br $l)))",
    "(func $f (local i32) (loop $l (br_table $l $l (local.get 0))))",
    "(func $f (return_call $f))",
    "(table funcref (elem $f)) (func $f (return_call_indirect (i32.const 0)))",
    "(func $f (return_call $g)) (func $g (return_call $f))",
    "(func $e) (func $f (loop $l (call $e) (br $l)))",
    // Bulk work in a loop: the time goes by inside it.
    "(memory 1000) (func $f (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3e80000)) (br $l)))",
];

#[test]
fn a_start_function_that_never_ends_is_stopped_by_fuel_and_by_the_deadline() {
    alone(USUAL, || {
        for mode in MODES {
            for endless in ENDLESS {
                let text = format!("(module {endless} (start $f))");
                let engine = mode.engine(Config { fuel: true, ..Config::default() });
                let mut store = Store::new(&engine, ());
                store.set_fuel(1_000_000);
                let error =
                    Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, &text)).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::OutOfFuel), "{mode} {endless}");

                let engine = mode.engine(Config { epoch: true, ..Config::default() });
                let mut store = Store::new(&engine, ());
                store.set_epoch_deadline(1);
                let ticker = engine.clone();
                let module = module(mode, &engine, &text);
                let begun = Instant::now();
                let clock = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(30));
                    ticker.increment_epoch();
                });
                let error = Linker::<()>::new().instantiate(&mut store, &module).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::Interrupted), "{mode} {endless}");
                assert!(begun.elapsed() < Duration::from_secs(10));
                clock.join().unwrap();
            }
        }
    });
}

#[test]
fn bulk_work_is_paid_by_its_length_before_it_is_done() {
    alone(USUAL, || {
        let cases = [
            "(memory 100) (func (export \"run\") (memory.fill (i32.const 0) (i32.const 0) (i32.const 6553600)))",
            "(memory 100) (func (export \"run\") (memory.copy (i32.const 1) (i32.const 0) (i32.const 6553599)))",
            "(table 1000000 funcref) (func (export \"run\") (table.fill (i32.const 0) (ref.null func) (i32.const 1000000)))",
            "(table 1000000 funcref) (func (export \"run\") (table.copy (i32.const 1) (i32.const 0) (i32.const 999999)))",
            "(table 1 funcref) (func (export \"run\") (drop (table.grow (ref.null func) (i32.const 1000000))))",
        ];
        for mode in MODES {
            let engine = mode.engine(Config { fuel: true, ..Config::default() });
            for case in cases {
                let module = module(mode, &engine, &format!("(module {case})"));
                let mut store = Store::new(&engine, ());
                store.set_fuel(1000);
                let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
                let run = instance.func(&mut store, "run").unwrap();
                let error = run.call(&mut store, &[]).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::OutOfFuel), "{mode} {case}");
                store.set_fuel(1_000_000_000);
                run.call(&mut store, &[]).unwrap();
                let used = 1_000_000_000 - store.fuel().unwrap();
                assert!(used > 1000, "{mode} {case}: {used}");
            }
        }
    });
}

/// Each calls itself, without end, in another way; `host` calls `run` of the instance that called it.
const RECURSIVE: [(&str, &str); 11] = [
    ("call", "(func $f (export \"run\") (call $f))"),
    ("call_indirect", "(table funcref (elem $f)) (func $f (export \"run\") (call_indirect (i32.const 0)))"),
    ("call_ref", "(type $t (func)) (elem declare func $f) (func $f (type $t) (call_ref $t (ref.func $f))) (export \"run\" (func $f))"),
    ("in a try block", "(func $f (export \"run\") (block $h (try_table (catch_all $h) (call $f))))"),
    ("in a handler", "(tag $t) (func $f (export \"run\") (block $h (try_table (catch $t $h) (throw $t))) (call $f))"),
    (
        "an exception thrown again",
        "(tag $t) (func $f (export \"run\") (block $h (result exnref) (try_table (catch_all_ref $h) (call $g)) (unreachable)) (throw_ref))
            (func $g (call $f) (throw $t))",
    ),
    ("two functions", "(func $f (export \"run\") (call $g)) (func $g (call $f))"),
    (
        "behind a tail call",
        "(func $f (export \"run\") (call $g)) (func $g (return_call $h)) (func $h (call $f))",
    ),
    ("the host", "(func $f (export \"run\") (call $host))"),
    ("the host, tail called", "(func $f (export \"run\") (return_call $host))"),
    (
        "the host, in a table",
        "(table funcref (elem $host)) (func $f (export \"run\") (call_indirect (i32.const 0)))",
    ),
];

#[test]
fn recursion_through_every_kind_of_call_is_a_trap_and_the_store_goes_on() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut linker = Linker::<()>::new();
            linker
                .func_wrap("", "host", |mut caller: Caller<'_, ()>| {
                    let run = caller.export("run").and_then(Extern::func).expect("`run` is exported");
                    run.call(&mut caller, &[]).map(|_| ())
                })
                .unwrap();
            for (name, text) in RECURSIVE {
                let text = format!(
                    "(module (import \"\" \"host\" (func $host)) {text} (func (export \"after\") (result i32) (i32.const 3)))"
                );
                let mut store = Store::new(&engine, ());
                let instance = linker.instantiate(&mut store, &module(mode, &engine, &text)).unwrap();
                let run = instance.func(&mut store, "run").unwrap();
                for _ in 0..2 {
                    let error = run.call(&mut store, &[]).unwrap_err();
                    assert_eq!(error.trap(), Some(Trap::StackOverflow), "{mode} {name}: {error}");
                    let after = instance.func(&mut store, "after").unwrap();
                    assert!(matches!(after.call(&mut store, &[]).unwrap()[..], [Val::I32(3)]));
                }
            }
        }
    });
}

/// Each continuation begins the next, or keeps it suspended: native stacks are what the limit of the store is about.
#[test]
fn continuations_without_end_are_a_trap_inside_the_budget_of_memory() {
    alone(USUAL, || {
        // A stack in a stack ends where stacks do, or where there are too many of them.
        let deep: &[Trap] = &[Trap::StackOverflow, Trap::TooManyContinuations];
        let cases = [
            ("each in the last", "(func $f (resume $c (cont.new $c (ref.func $f))))", deep),
            (
                "each suspended and held",
                "(func $f (loop $l (drop (block $s (result (ref $c))
                    (resume $c (on $t $s) (cont.new $c (ref.func $waits))) (unreachable)) ) (br $l)))",
                // Nobody holds it: the collector gives its stack back.
                &[Trap::Interrupted],
            ),
            (
                "each suspended and in a table",
                "(table $k 1 (ref null $c)) (func $f (local $i i32) (loop $l
                    (drop (table.grow $k (block $s (result (ref $c))
                        (resume $c (on $t $s) (cont.new $c (ref.func $waits))) (unreachable)) (i32.const 1)))
                    (br $l)))",
                deep,
            ),
            (
                "deep inside one",
                "(func $f (resume $c (cont.new $c (ref.func $deep))))",
                &[Trap::StackOverflow],
            ),
        ];
        for mode in MODES {
            let mut config = Config { epoch: true, ..Config::default() };
            config.features.set("stack-switching", true).expect("there is such a feature");
            let engine = mode.engine(config);
            for (name, case, expected) in cases {
                let text = format!(
                    "(module (type $f (func)) (type $c (cont $f)) (tag $t) (elem declare func $f $waits $deep)
                        (func $waits (suspend $t)) (func $deep (call $deep) (call $after) (drop)) {case}
                        (func $after (export \"after\") (result i32) (i32.const 3)) (export \"run\" (func $f)))"
                );
                let mut store = Store::new(&engine, ());
                // A deadline only for the one that nothing else ends: how long the others take is the machine's affair.
                store.set_epoch_deadline(if expected.contains(&Trap::Interrupted) { 1 } else { 1 << 20 });
                let instance =
                    Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, &text)).unwrap();
                let run = instance.func(&mut store, "run").unwrap();
                let engine = &engine;
                let error = std::thread::scope(|scope| {
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_millis(500));
                        engine.increment_epoch();
                    });
                    run.call(&mut store, &[]).unwrap_err()
                });
                assert!(error.trap().is_some_and(|trap| expected.contains(&trap)), "{mode} {name}: {error}");
                store.set_epoch_deadline(1 << 20);
                let after = instance.func(&mut store, "after").unwrap();
                assert!(matches!(after.call(&mut store, &[]).unwrap()[..], [Val::I32(3)]));
            }
        }
    });
}

#[test]
fn instances_that_call_each_other_without_end_are_a_trap() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            let mut linker = Linker::<()>::new();
            let table = module(mode, &engine, "(module (table (export \"t\") 2 funcref))");
            let table = linker.instantiate(&mut store, &table).unwrap();
            linker.instance(&mut store, "t", table).unwrap();
            let mut last = None;
            for (own, other) in [(0, 1), (1, 0)] {
                let text = format!(
                    "(module (import \"t\" \"t\" (table 2 funcref)) (elem (i32.const {own}) $f)
                        (func $f (export \"run\") (call_indirect (i32.const {other}))))"
                );
                last = Some(linker.instantiate(&mut store, &module(mode, &engine, &text)).unwrap());
            }
            let run = last.unwrap().func(&mut store, "run").unwrap();
            let error = run.call(&mut store, &[]).unwrap_err();
            assert_eq!(error.trap(), Some(Trap::StackOverflow), "{mode}: {error}");
        }
    });
}

#[test]
fn a_start_function_that_instantiates_its_own_module_without_end_reaches_a_limit() {
    alone(Budget { cpu: Duration::from_secs(60), mib: 1024 }, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let text = "(module (import \"\" \"again\" (func $again)) (memory 1) (start $again))";
            let module = module(mode, &engine, text);
            // The host function finds the linker that defines it.
            let found = Arc::new(OnceLock::<Linker<()>>::new());
            let (linker_of_all, again) = (found.clone(), module.clone());
            let mut linker = Linker::new();
            linker
                .func_wrap("", "again", move |mut caller: Caller<'_, ()>| {
                    let linker = linker_of_all.get().expect("set before anything runs");
                    linker.instantiate(&mut caller, &again).map(|_| ())
                })
                .unwrap();
            assert!(found.set(linker.clone()).is_ok());
            let mut store = Store::new(&engine, ());
            store.set_limits(StoreLimits { instances: 1000, ..StoreLimits::default() });
            for _ in 0..1001 {
                let error = linker.instantiate(&mut store, &module).unwrap_err();
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Exhausted | ErrorKind::Trap(Trap::StackOverflow)),
                    "{mode}: {error}"
                );
            }
        }
    });
}

#[test]
fn growing_a_memory_page_by_page_ends_at_the_limit_in_time() {
    alone(USUAL, || {
        let grow = r#"(module (memory 0) (func (export "run") (result i32)
            (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (memory.size)))"#;
        for mode in MODES {
            for guard_pages in [true, false] {
                let engine = mode.engine(Config { guard_pages, ..Config::default() });
                let module = module(mode, &engine, grow);
                let mut store = Store::new(&engine, ());
                store.set_limits(StoreLimits { memory_bytes: 100 << 20, ..StoreLimits::default() });
                let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
                let run = instance.func(&mut store, "run").unwrap();
                let pages = run.call(&mut store, &[]).unwrap();
                assert!(matches!(pages[..], [Val::I32(1600)]), "{mode} {guard_pages}: {pages:?}");
            }
            // Without a limit to all that its addresses reach.
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            let instance = Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, grow)).unwrap();
            let pages = instance.func(&mut store, "run").unwrap().call(&mut store, &[]).unwrap();
            assert!(matches!(pages[..], [Val::I32(65536)]), "{mode}: {pages:?}");
        }
    });
}

#[test]
fn growing_a_table_element_by_element_ends_at_the_limit_in_time() {
    alone(USUAL, || {
        let grow = r#"(module (table 0 funcref) (func (export "run") (result i32)
            (loop $l (br_if $l (i32.ne (table.grow (ref.null func) (i32.const 7)) (i32.const -1)))) (table.size)))"#;
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            store.set_limits(StoreLimits { table_elements: 2_000_001, ..StoreLimits::default() });
            let instance = Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, grow)).unwrap();
            let size = instance.func(&mut store, "run").unwrap().call(&mut store, &[]).unwrap();
            assert!(matches!(size[..], [Val::I32(1_999_998)]), "{mode}: {size:?}");
        }
    });
}

#[test]
fn the_largest_memories_cost_nothing_until_they_are_touched() {
    alone(Budget { cpu: Duration::from_secs(20), mib: 200 }, || {
        for mode in MODES {
            for guard_pages in [true, false] {
                let engine = mode.engine(Config { guard_pages, ..Config::default() });
                let text = "(module (memory (export \"m\") 65536) (func (export \"run\") (result i32)
                    (i32.store8 (i32.const -1) (i32.const 7)) (i32.load8_u (i32.const -1))))";
                let (mut store, instance) = match mode {
                    Mode::Aot => {
                        let mut store = Store::new(&engine, ());
                        let instance = Linker::<()>::new()
                            .instantiate(&mut store, &module(mode, &engine, text))
                            .unwrap();
                        (store, instance)
                    }
                    _ => instantiate(&engine, &wat::parse_str(text).unwrap()).unwrap(),
                };
                let run = instance.func(&mut store, "run").unwrap();
                assert!(matches!(run.call(&mut store, &[]).unwrap()[..], [Val::I32(7)]));
            }
        }
        // A hundred of them in one module: the system may refuse, in words.
        let engine = Engine::new(Config::default());
        let many = format!("(module {})", "(memory 65536)".repeat(100));
        if let Err(error) = instantiate(&engine, &wat::parse_str(many).unwrap()) {
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
        }
    });
}

#[test]
fn what_is_past_a_limit_of_the_store_is_an_error_in_words() {
    alone(Budget { cpu: Duration::from_secs(20), mib: 128 }, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let limits = StoreLimits {
                memory_bytes: 1 << 20,
                table_elements: 1000,
                instances: 3,
                instance_bytes: 1 << 20,
                ..StoreLimits::default()
            };
            let functions = 20_000;
            let refs = format!(
                "(module (func $f) {} (elem declare func {}))",
                "(func)".repeat(functions),
                (0..functions).map(|i| format!("{i} ")).collect::<String>()
            );
            for (text, words) in [
                ("(module (memory 17))", "limit of 1048576 bytes"),
                ("(module (memory 9) (memory 8))", "limit of 1048576 bytes"),
                ("(module (table 1001 funcref))", "limit of 1000 elements"),
                ("(module (table 4294967295 funcref))", "limit of 1000 elements"),
                ("(module (table 600 funcref) (table 401 externref))", "limit of 1000 elements"),
                (&refs, "limit of 1048576 bytes for instances"),
            ] {
                let mut store = Store::new(&engine, ());
                store.set_limits(limits.clone());
                let error =
                    Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, text)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                assert!(error.message().contains(words), "{error}");
            }
            let mut store = Store::new(&engine, ());
            store.set_limits(limits);
            let empty = module(mode, &engine, "(module)");
            for _ in 0..3 {
                Linker::<()>::new().instantiate(&mut store, &empty).unwrap();
            }
            let error = Linker::<()>::new().instantiate(&mut store, &empty).unwrap_err();
            assert!(error.message().contains("3 instances"), "{error}");
        }
    });
}
