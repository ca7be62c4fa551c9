//! Stack switching: whichever functions are interpreted and whichever run natively, continuations behave the same.

use mini_wasm_jit::Jit;
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::{Store, StoreLimits};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::val::Val;
use mini_wasm_runtime::{Error, GcStats, Linker};
use std::sync::Arc;

fn config() -> Config {
    let mut config = Config::default();
    config.features.stack_switching = true;
    config
}

/// An engine whose compiler leaves the functions of the bit set to the interpreter.
fn engine(config: Config, interpreted: u32) -> Engine {
    let options = CompileOptions {
        interpret: Some(Arc::new(move |own| interpreted >> own & 1 == 1)),
        ..CompileOptions::default()
    };
    Engine::with_backend(config, Arc::new(Jit::new(options)))
}

/// Runs the export `main`; what is left of the heap after a last collection.
fn main_of(engine: &Engine, wat: &str, limits: StoreLimits) -> (Result<Vec<Val>, Error>, GcStats) {
    let module = Module::new(engine, wat::parse_str(wat).expect("it is a module")).expect("it is valid");
    let mut store = Store::new(engine, ());
    store.set_limits(limits);
    let instance = Linker::<()>::new().instantiate(&mut store, &module).expect("it links");
    let main = instance.func(&mut store, "main").expect("it is exported");
    let result = main.call(&mut store, &[]);
    store.collect();
    let stats = store.gc_stats();
    drop(store);
    assert_eq!(engine.gc_bytes(), 0);
    (result, stats)
}

/// The `i32` that `main` returns, the same for every choice of interpreted functions, with and without guard pages, and when
/// the heap is collected at every allocation.
fn answers(wat: &str, functions: u32, expected: i32) {
    for interpreted in 0..1u32 << functions {
        for (guard_pages, gc_stress) in [(true, false), (false, true)] {
            let engine = engine(Config { guard_pages, gc_stress, ..config() }, interpreted);
            let (result, _) = main_of(&engine, wat, StoreLimits::default());
            match result.as_deref() {
                Ok([Val::I32(n)]) => assert_eq!(*n, expected, "{interpreted:b}"),
                other => panic!("{interpreted:b}: {other:?}"),
            }
        }
    }
}

fn traps(wat: &str, functions: u32, expected: Trap) {
    for interpreted in 0..1u32 << functions {
        for guard_pages in [true, false] {
            let engine = engine(Config { guard_pages, ..config() }, interpreted);
            let (result, stats) = main_of(&engine, wat, StoreLimits::default());
            assert_eq!(result.expect_err("it traps").trap(), Some(expected), "{interpreted:b}");
            assert_eq!(stats.continuations, 0, "{interpreted:b}");
        }
    }
}

#[test]
fn a_generator_yields_values_of_all_types() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (type $g (func (param f64) (result i32))) (type $kg (cont $g))
        (tag $yield (param i32 i64 f32 f64 v128) (result f64))
        (elem declare func $gen)
        (func $gen (local $i i32) (local $back f64)
            (loop $l
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (local.set $back (f64.add (local.get $back)
                    (suspend $yield (local.get $i) (i64.const 1) (f32.const 2) (local.get $back)
                        (i32x4.splat (local.get $i)))))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 10))))
            (if (f64.ne (local.get $back) (f64.const 50)) (then (unreachable))))
        (func $use (param i32 i64 f32 f64 v128) (result i32)
            (i32.add (local.get 0) (i32.add (i32.wrap_i64 (local.get 1)) (i32.add
                (i32.trunc_f32_s (local.get 2)) (i32x4.extract_lane 3 (local.get 4))))))
        (func (export "main") (result i32) (local $sum i32) (local $k (ref null $h)) (local $f f64) (local $v v128)
            (block $on (result i32 i64 f32 f64 v128 (ref $h))
                (resume $k (on $yield $on) (cont.new $k (ref.func $gen)))
                (unreachable))
            (loop $l (param i32 i64 f32 f64 v128 (ref $h))
                (local.set $k)
                (call $use)
                (local.set $sum (i32.add (local.get $sum)))
                (block $on (result i32 i64 f32 f64 v128 (ref $h))
                    (resume $h (on $yield $on) (f64.const 5) (local.get $k))
                    (return (local.get $sum)))
                (br $l))
            (unreachable))
        (type $hf (func (param f64))) (type $h (cont $hf)))"#;
    answers(wat, 3, 2 * 55 + 30);
}

#[test]
fn a_suspension_takes_the_stacks_between_along() {
    let wat = r#"(module
        (type $f (func (result i32))) (type $k (cont $f))
        (type $g (func (param i32) (result i32))) (type $h (cont $g))
        (tag $inner (result i32)) (tag $outer (result i32))
        (elem declare func $leaf $middle)
        (func $leaf (result i32)
            (i32.add (suspend $outer) (i32.mul (suspend $outer) (suspend $inner))))
        (func $middle (result i32) (local $l (ref null $h))
            (block $on (result (ref $h))
                (return (i32.mul (i32.const 100)
                    (resume $k (on $inner $on) (cont.new $k (ref.func $leaf))))))
            (local.set $l)
            (i32.add (i32.const 1000) (resume $h (i32.const 7) (local.get $l))))
        (func (export "main") (result i32) (local $l (ref null $h))
            (block $on (result (ref $h))
                (return (resume $k (on $outer $on) (cont.new $k (ref.func $middle)))))
            (local.set $l)
            (block $on (result (ref $h))
                (return (resume $h (on $outer $on) (i32.const 3) (local.get $l))))
            (local.set $l)
            (resume $h (on $outer switch) (i32.const 5) (local.get $l))))"#;
    answers(wat, 3, 1000 + 3 + 5 * 7);
}

#[test]
fn switching_goes_from_one_to_the_other_and_back() {
    // Two tasks count down together by switching to each other.
    let wat = r#"(module
        (rec (type $f (func (param i32 (ref null $k)) (result i32))) (type $k (cont $f)))
        (tag $t (result i32))
        (global $turns (mut i32) (i32.const 0))
        (elem declare func $a $b)
        (func $a (type $f)
            (loop $l
                (if (i32.eqz (local.get 0)) (then (return (global.get $turns))))
                (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
                (switch $k $t (i32.sub (local.get 0) (i32.const 1)) (local.get 1))
                (local.set 1) (local.set 0) (br $l))
            (unreachable))
        (func $b (type $f)
            (loop $l
                (if (i32.eqz (local.get 0)) (then (return (i32.sub (i32.const 0) (global.get $turns)))))
                (global.set $turns (i32.add (global.get $turns) (i32.const 10)))
                (switch $k $t (i32.sub (local.get 0) (i32.const 1)) (local.get 1))
                (local.set 1) (local.set 0) (br $l))
            (unreachable))
        (func (export "main") (result i32)
            (resume $k (on $t switch) (i32.const 1000) (cont.new $k (ref.func $a)) (cont.new $k (ref.func $b)))))"#;
    answers(wat, 3, -5500);
}

#[test]
fn exceptions_arrive_where_a_continuation_was_resumed() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop) (tag $e (param i32))
        (elem declare func $throws $catches)
        (func $throws (suspend $stop) (throw $e (i32.const 40)))
        (func $catches
            (block $c (result i32)
                (try_table (catch $e $c) (suspend $stop))
                (unreachable))
            (throw $e (i32.add (i32.const 1))))
        (func $until_stop (param $k (ref $k)) (result (ref $k))
            (block $on (result (ref $k)) (resume $k (on $stop $on) (local.get $k)) (unreachable)))
        (func (export "main") (result i32) (local $k (ref null $k)) (local $sum i32)
            (local.set $k (call $until_stop (cont.new $k (ref.func $throws))))
            (block $c (result i32)
                (try_table (catch $e $c) (resume $k (local.get $k)))
                (unreachable))
            (local.set $sum)
            (local.set $k (call $until_stop (cont.new $k (ref.func $catches))))
            (block $c (result i32)
                (try_table (catch $e $c) (resume_throw $k $e (i32.const 1) (local.get $k)))
                (unreachable))
            (i32.add (local.get $sum))))"#;
    answers(wat, 4, 42);
}

#[test]
fn what_a_trap_leaves_behind_is_collected() {
    let trap = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop)
        (elem declare func $inner $middle)
        (func $inner (suspend $stop) (unreachable))
        (func $middle (resume $k (cont.new $k (ref.func $inner))))
        (func (export "main") (local $k (ref null $k))
            (block $on (result (ref $k))
                (resume $k (on $stop $on) (cont.new $k (ref.func $middle)))
                (unreachable))
            (local.set $k)
            (resume $k (local.get $k))))"#;
    traps(trap, 3, Trap::Unreachable);
    let lost = trap.replace("(resume $k (local.get $k))))", "(resume $k (ref.null $k))))");
    traps(&lost, 3, Trap::NullContinuation);
    let twice = trap.replace("(suspend $stop) (unreachable)", "(suspend $stop)");
    let twice = twice
        .replace("(resume $k (local.get $k))))", "(resume $k (local.get $k)) (resume $k (local.get $k))))");
    traps(&twice, 3, Trap::ContinuationConsumed);
    let unhandled = trap.replacen("(unreachable))\n", "(suspend $stop))\n", 1);
    traps(&unhandled, 3, Trap::UnhandledTag);
}

#[test]
fn the_stack_of_a_continuation_ends_in_a_trap() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (elem declare func $deep)
        (func $deep (call $deep2) (call $deep2))
        (func $deep2 (call $deep) (call $deep))
        (func (export "main") (resume $k (cont.new $k (ref.func $deep)))))"#;
    traps(wat, 3, Trap::StackOverflow);
}

#[test]
fn ten_thousand_tasks_take_turns() {
    let wat = r#"(module
        (type $f (func (param i32))) (type $k0 (cont $f))
        (type $g (func)) (type $k (cont $g))
        (tag $yield)
        (table $tasks 10000 (ref null $k))
        (global $sum (mut i32) (i32.const 0))
        (elem declare func $task)
        (func $task (param $i i32)
            (suspend $yield)
            (global.set $sum (i32.add (global.get $sum) (local.get $i)))
            (suspend $yield)
            (global.set $sum (i32.add (global.get $sum) (local.get $i))))
        (func (export "main") (result i32) (local $i i32) (local $round i32)
            (loop $make
                (table.set $tasks (local.get $i)
                    (cont.bind $k0 $k (local.get $i) (cont.new $k0 (ref.func $task))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $make (i32.lt_u (local.get $i) (i32.const 10000))))
            (loop $rounds
                (local.set $i (i32.const 0))
                (loop $each
                    (block $done
                        (table.set $tasks (local.get $i)
                            (block $on (result (ref $k))
                                (resume $k (on $yield $on) (table.get $tasks (local.get $i)))
                                (br $done))))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $each (i32.lt_u (local.get $i) (i32.const 10000))))
                (local.set $round (i32.add (local.get $round) (i32.const 1)))
                (br_if $rounds (i32.lt_u (local.get $round) (i32.const 3))))
            (global.get $sum)))"#;
    for interpreted in 0..4 {
        let engine = engine(config(), interpreted);
        let (result, stats) = main_of(&engine, wat, StoreLimits::default());
        assert!(matches!(result.as_deref(), Ok([Val::I32(99_990_000)])), "{result:?}");
        assert_eq!(stats.continuations, 0);
        let engine = self::engine(config(), interpreted);
        let few = StoreLimits { continuations: 9_999, ..StoreLimits::default() };
        let error = main_of(&engine, wat, few).0.expect_err("it traps");
        assert_eq!(error.trap(), Some(Trap::TooManyContinuations));
    }
}

#[test]
fn a_store_takes_its_suspended_continuations_to_another_thread() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop)
        (global $k (mut (ref null $k)) (ref.null $k))
        (global $seen (mut i32) (i32.const 0))
        (elem declare func $steps)
        (func $steps
            (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
            (suspend $stop)
            (global.set $seen (i32.add (global.get $seen) (i32.const 10)))
            (suspend $stop)
            (global.set $seen (i32.add (global.get $seen) (i32.const 100))))
        (func (export "main") (result i32)
            (if (ref.is_null (global.get $k)) (then (global.set $k (cont.new $k (ref.func $steps)))))
            (block $on (result (ref $k))
                (resume $k (on $stop $on) (global.get $k))
                (return (global.get $seen)))
            (global.set $k)
            (global.get $seen)))"#;
    for interpreted in 0..4 {
        let engine = engine(config(), interpreted);
        let module = Module::new(&engine, wat::parse_str(wat).expect("it is a module")).expect("it is valid");
        let mut store = Store::new(&engine, ());
        let instance = Linker::<()>::new().instantiate(&mut store, &module).expect("it links");
        let main = instance.func(&mut store, "main").expect("it is exported");
        let main = main.typed::<(), i32>(&store).expect("it has this type");
        for expected in [1, 11, 111] {
            let step = std::thread::spawn(move || {
                let seen = main.call(&mut store, ()).expect("it returns");
                store.collect();
                (seen, store)
            });
            let seen;
            (seen, store) = step.join().expect("it ends");
            assert_eq!(seen, expected);
        }
        assert_eq!(store.gc_stats().continuations, 0);
    }
}
