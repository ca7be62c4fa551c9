//! Continuations in the interpreter. What both engines must agree on is in jit/tests/switching.rs.

use crate::{Config, Engine, Error, Linker, Module, Store, StoreLimits, Trap};

fn config() -> Config {
    let mut config = Config::default();
    config.features.stack_switching = true;
    config
}

/// Runs the export `main` of a module.
fn main_of(config: Config, limits: StoreLimits, wat: &str) -> (Result<i32, Error>, Store<()>, Engine) {
    let engine = Engine::new(config);
    let module = Module::new(&engine, wat::parse_str(wat).expect("it is a module")).expect("it is valid");
    let mut store = Store::new(&engine, ());
    store.set_limits(limits);
    let mut linker = Linker::<()>::new();
    linker
        .func_wrap("host", "again", |mut caller: crate::Caller<'_, ()>| -> Result<(), Error> {
            let func = caller.export("callback").and_then(|item| item.func());
            let func = func.expect("it is exported").typed::<(), ()>(&caller)?;
            func.call(&mut caller, ())
        })
        .expect("it is new");
    let instance = linker.instantiate(&mut store, &module).expect("it links");
    let main = instance.func(&mut store, "main").expect("it is exported");
    let main = main.typed::<(), i32>(&store).expect("it has this type");
    (main.call(&mut store, ()), store, engine)
}

fn answer(wat: &str) -> i32 {
    main_of(config(), StoreLimits::default(), wat).0.unwrap_or_else(|error| panic!("{error:?}"))
}

fn trap(wat: &str) -> Option<Trap> {
    main_of(config(), StoreLimits::default(), wat).0.expect_err("it traps").trap()
}

/// Sums what a generator yields from 1 to 10.
const GENERATOR: &str = r#"(module
    (type $f (func)) (type $k (cont $f))
    (tag $yield (param i32))
    (elem declare func $gen)
    (func $gen (local $i i32)
        (loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (suspend $yield (local.get $i))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 10)))))
    (func (export "main") (result i32) (local $sum i32) (local $k (ref null $k)) (local $v i32)
        (local.set $k (cont.new $k (ref.func $gen)))
        (loop $l
            (block $on (result i32 (ref $k))
                (resume $k (on $yield $on) (local.get $k))
                (return (local.get $sum)))
            (local.set $k)
            (local.set $v)
            (local.set $sum (i32.add (local.get $sum) (local.get $v)))
            (br $l))
        (unreachable)))"#;

#[test]
fn a_generator_yields_value_after_value() {
    assert_eq!(answer(GENERATOR), 55);
}

#[test]
fn nothing_is_left_of_continuations_when_the_store_goes() {
    let (result, store, engine) = main_of(config(), StoreLimits::default(), GENERATOR);
    assert_eq!(result.expect("it returns"), 55);
    assert_eq!(store.gc_stats().continuations, 0);
    assert!(engine.gc_bytes() > 0);
    drop(store);
    assert_eq!(engine.gc_bytes(), 0);
}

#[test]
fn a_continuation_that_nobody_reaches_gives_its_stack_back() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop)
        (elem declare func $halt)
        (func $halt (suspend $stop))
        (func (export "main") (result i32) (local $i i32)
            (loop $l
                (drop (block $on (result (ref $k))
                    (resume $k (on $stop $on) (cont.new $k (ref.func $halt)))
                    (unreachable)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 200))))
            (local.get $i)))"#;
    let limits = StoreLimits { continuations: 300, ..StoreLimits::default() };
    let (result, mut store, engine) = main_of(config(), limits, wat);
    assert_eq!(result.expect("it returns"), 200);
    assert_eq!(store.gc_stats().continuations, 200);
    store.collect();
    assert_eq!(store.gc_stats().continuations, 0);
    drop(store);
    assert_eq!(engine.gc_bytes(), 0);
    // The heap is collected when the number of stacks comes to its limit.
    let limits = StoreLimits { continuations: 20, ..StoreLimits::default() };
    assert_eq!(main_of(config(), limits, wat).0.expect("it returns"), 200);
    // And a store may go with all of them suspended.
    let (result, store, engine) = main_of(config(), StoreLimits::default(), wat);
    assert_eq!(result.expect("it returns"), 200);
    drop(store);
    assert_eq!(engine.gc_bytes(), 0);
}

#[test]
fn more_continuations_than_the_limit_are_a_trap() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop)
        (table $all 1000 (ref null $k))
        (elem declare func $halt)
        (func $halt (suspend $stop))
        (func (export "main") (result i32) (local $i i32)
            (loop $l
                (local.get $i)
                (block $on (result (ref $k))
                    (resume $k (on $stop $on) (cont.new $k (ref.func $halt)))
                    (unreachable))
                (table.set $all)
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))
            (local.get $i)))"#;
    let few = StoreLimits { continuations: 999, ..StoreLimits::default() };
    let error = main_of(config(), few, wat).0.expect_err("it traps");
    assert_eq!(error.trap(), Some(Trap::TooManyContinuations));
    let small = StoreLimits { continuation_bytes: 100 << 20, ..StoreLimits::default() };
    let error = main_of(config(), small, wat).0.expect_err("it traps");
    assert_eq!(error.trap(), Some(Trap::TooManyContinuations));
    assert_eq!(main_of(config(), StoreLimits::default(), wat).0.expect("it returns"), 1000);
}

#[test]
fn a_suspension_does_not_pass_a_host_function() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (tag $stop)
        (import "host" "again" (func $again))
        (elem declare func $through)
        (func (export "callback") (suspend $stop))
        (func $through (call $again))
        (func (export "main") (result i32)
            (drop (block $on (result (ref $k))
                (resume $k (on $stop $on) (cont.new $k (ref.func $through)))
                (unreachable)))
            (i32.const 1)))"#;
    assert_eq!(trap(wat), Some(Trap::UnhandledTag));
    // Inside the call it is as ever.
    let inside = wat.replace(
        r#"(func (export "callback") (suspend $stop))"#,
        r#"(func $halt (suspend $stop)) (elem declare func $halt)
           (func (export "callback")
               (drop (block $on (result (ref $k))
                   (resume $k (on $stop $on) (cont.new $k (ref.func $halt)))
                   (unreachable)))
               (suspend $stop))"#,
    );
    assert_eq!(trap(&inside), Some(Trap::UnhandledTag));
    let handled = inside.replace("(unreachable)))\n               (suspend $stop))", "(unreachable))))");
    assert_eq!(
        answer(&handled.replace(
            "(unreachable)))\n            (i32.const 1)",
            "(return (i32.const 2))))\n            (i32.const 1)"
        )),
        2
    );
}

#[test]
fn recursion_without_end_inside_a_continuation_is_a_stack_overflow() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (elem declare func $deep $nest)
        (func $deep (call $deep))
        (func $nest (resume $k (cont.new $k (ref.func $nest))))
        (func (export "main") (result i32)
            (resume $k (cont.new $k (ref.func $deep)))
            (i32.const 1)))"#;
    assert_eq!(trap(wat), Some(Trap::StackOverflow));
    let nested = wat.replace("(ref.func $deep)))\n", "(ref.func $nest)))\n");
    // Fewer than by default: a process has only so many mappings, and tests run side by side.
    let few = StoreLimits { continuations: 2_000, ..StoreLimits::default() };
    let error = main_of(config(), few, &nested).0.expect_err("it traps");
    assert_eq!(error.trap(), Some(Trap::TooManyContinuations));
}

#[test]
fn a_trap_inside_names_the_frames_of_all_stacks() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (elem declare func $inner $middle)
        (func $inner (unreachable))
        (func $middle (resume $k (cont.new $k (ref.func $inner))))
        (func (export "main") (result i32)
            (resume $k (cont.new $k (ref.func $middle)))
            (i32.const 1)))"#;
    let (result, mut store, _) = main_of(config(), StoreLimits::default(), wat);
    let error = result.expect_err("it traps");
    assert_eq!(error.trap(), Some(Trap::Unreachable));
    let funcs: alloc::vec::Vec<u32> = error.backtrace().frames.iter().map(|frame| frame.func).collect();
    assert_eq!(funcs, [0, 1, 2]);
    store.collect();
    assert_eq!(store.gc_stats().continuations, 0);
}

#[test]
fn fuel_goes_on_being_counted() {
    let (result, mut store, _) = {
        let engine = Engine::new(Config { fuel: true, ..config() });
        let module = Module::new(&engine, wat::parse_str(GENERATOR).expect("a module")).expect("valid");
        let mut store = Store::new(&engine, ());
        store.set_fuel(100);
        let instance = Linker::<()>::new().instantiate(&mut store, &module).expect("it links");
        let main =
            instance.func(&mut store, "main").expect("exported").typed::<(), i32>(&store).expect("fits");
        (main.call(&mut store, ()), store, main)
    };
    assert_eq!(result.expect_err("it ends").trap(), Some(Trap::OutOfFuel));
    store.collect();
}

/// A scheduler of 10,000 tasks, each of which yields three times.
const MANY: &str = r#"(module
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
        (global.set $sum (i32.add (global.get $sum) (local.get $i)))
        (suspend $yield))
    (func (export "main") (result i32) (local $i i32) (local $round i32)
        (loop $make
            (table.set $tasks (local.get $i)
                (cont.bind $k0 $k (local.get $i) (cont.new $k0 (ref.func $task))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $make (i32.lt_u (local.get $i) (i32.const 10000))))
        (loop $rounds
            (local.set $i (i32.const 0))
            (loop $each
                (local.get $i)
                (block $on (result (ref $k))
                    (resume $k (on $yield $on) (table.get $tasks (local.get $i)))
                    (table.set $tasks (local.get $i) (ref.null $k))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $each (i32.lt_u (local.get $i) (i32.const 10000)))
                    (return (global.get $sum)))
                (table.set $tasks)
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $each (i32.lt_u (local.get $i) (i32.const 10000))))
            (br $rounds))
        (unreachable)))"#;

#[test]
fn ten_thousand_continuations_live_side_by_side() {
    assert_eq!(answer(MANY), 2 * (0..10_000).sum::<i32>());
}
