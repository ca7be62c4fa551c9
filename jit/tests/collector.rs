//! The collector under both engines: whatever keeps an object alive is found, in each choice of interpreted functions, with a
//! collection at every allocation and what is freed overwritten. Classes B and G of the advisories.

use mini_wasm_jit::Jit;
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::{Store, StoreLimits};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::val::Val;
use mini_wasm_runtime::{Caller, Error, Linker};
use std::sync::Arc;

fn engine(gc_stress: bool, guard_pages: bool, interpreted: u32) -> Engine {
    let mut config = Config { gc_stress, guard_pages, ..Config::default() };
    config.features.stack_switching = true;
    let options = CompileOptions {
        interpret: Some(Arc::new(move |own| interpreted >> own & 1 == 1)),
        ..CompileOptions::default()
    };
    Engine::with_backend(config, Arc::new(Jit::new(options)))
}

fn main_of(engine: &Engine, wat: &str, limits: StoreLimits) -> (Result<Vec<Val>, Error>, Store<u32>) {
    let module = Module::new(engine, wat::parse_str(wat).expect("it is a module")).expect("it is valid");
    let mut store = Store::new(engine, 0);
    store.set_limits(limits);
    let mut linker = Linker::<u32>::new();
    linker
        .func_wrap("host", "again", |mut caller: Caller<'_, u32>| -> Result<i32, Error> {
            let func = caller.export("callback").and_then(|item| item.func());
            let func = func.expect("it is exported").typed::<(), i32>(&caller)?;
            func.call(&mut caller, ())
        })
        .expect("it is new");
    let instance = linker.instantiate(&mut store, &module).expect("it links");
    let main = instance.func(&mut store, "main").expect("it is exported");
    (main.call(&mut store, &[]), store)
}

/// The `i32` that `main` returns, whoever runs which of so many functions; nothing lives when the store is gone.
fn answers(wat: &str, functions: u32, expected: i32) {
    for interpreted in 0..1u32 << functions {
        for (stress, guard_pages) in [(true, true), (true, false), (false, true)] {
            let engine = engine(stress, guard_pages, interpreted);
            let (result, store) = main_of(&engine, wat, StoreLimits::default());
            match result.as_deref() {
                Ok([Val::I32(n)]) => assert_eq!(*n, expected, "{interpreted:b} {stress}"),
                other => panic!("{interpreted:b} {stress}: {other:?}"),
            }
            drop(store);
            assert_eq!(engine.gc_bytes(), 0);
        }
    }
}

#[test]
fn references_in_frames_of_a_deep_recursion_live() {
    // Each frame holds its own pair over the call that allocates all others.
    let wat = r#"(module
        (type $p (struct (field i32) (field (ref null $p))))
        (func $build (param $n i32) (param $below (ref null $p)) (result i32) (local $own (ref null $p))
            (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
            (local.set $own (struct.new $p (local.get $n) (local.get $below)))
            (i32.add (call $build (i32.sub (local.get $n) (i32.const 1)) (local.get $own))
                (i32.add (struct.get $p 0 (local.get $own))
                    (if (result i32) (ref.is_null (struct.get $p 1 (local.get $own)))
                        (then (i32.const 1000))
                        (else (i32.sub (struct.get $p 0 (struct.get $p 1 (local.get $own)))
                            (struct.get $p 0 (local.get $own))))))))
        (func (export "main") (result i32) (call $build (i32.const 100) (ref.null $p))))"#;
    answers(wat, 2, 5050 + 1000 + 99);
}

#[test]
fn references_on_the_operand_stack_live_over_allocations() {
    let wat = r#"(module
        (type $b (struct (field i32)))
        (type $t (struct (field (ref $b)) (field (ref $b)) (field (ref $b)) (field (ref $b))))
        (func $box (param i32) (result (ref $b)) (struct.new $b (local.get 0)))
        (func $sum (param $t (ref $t)) (result i32)
            (i32.add
                (i32.add (struct.get $b 0 (struct.get $t 0 (local.get $t))) (struct.get $b 0 (struct.get $t 1 (local.get $t))))
                (i32.add (struct.get $b 0 (struct.get $t 2 (local.get $t))) (struct.get $b 0 (struct.get $t 3 (local.get $t))))))
        (func (export "main") (result i32)
            (i32.mul
                (call $sum (struct.new $t (call $box (i32.const 1)) (struct.new $b (i32.const 2))
                    (call $box (i32.const 3)) (struct.new $b (i32.const 4))))
                (call $sum (struct.new $t (struct.new $b (i32.const 5)) (call $box (i32.const 6))
                    (struct.new $b (i32.const 7)) (call $box (i32.const 8)))))))"#;
    answers(wat, 3, 10 * 26);
}

#[test]
fn references_live_over_calls_that_throw() {
    let wat = r#"(module
        (type $b (struct (field i32)))
        (tag $e (param (ref $b)))
        (func $thrower (param i32)
            (drop (struct.new $b (i32.const -1)))
            (throw $e (struct.new $b (local.get 0))))
        (func (export "main") (result i32) (local $kept (ref null $b)) (local $i i32) (local $sum i32)
            (loop $l
                (local.set $kept (struct.new $b (local.get $i)))
                (block $c (result (ref $b))
                    (try_table (catch $e $c) (call $thrower (i32.const 100)))
                    (unreachable))
                (drop (struct.new $b (i32.const -2)))
                (struct.get $b 0)
                (local.set $sum (i32.add (local.get $sum) (i32.add (struct.get $b 0 (local.get $kept)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 10))))
            (local.get $sum)))"#;
    answers(wat, 2, 1000 + 45);
}

#[test]
fn references_in_globals_tables_and_segments_live() {
    let wat = r#"(module
        (type $b (struct (field (mut i32))))
        (type $a (array (mut (ref null $b))))
        (global $g (mut (ref null $b)) (struct.new $b (i32.const 1)))
        (global $h (ref $a) (array.new_fixed $a 2 (struct.new $b (i32.const 2)) (struct.new $b (i32.const 4))))
        (table $t 2 (ref null $b))
        (elem $e (ref null $b) (item (struct.new $b (i32.const 8))) (item (struct.new $b (i32.const 16))))
        (func $read (param (ref null $b)) (result i32) (struct.get $b 0 (local.get 0)))
        (func $churn (local $i i32)
            (loop $l
                (drop (array.new_default $a (local.get $i)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 50)))))
        (func (export "main") (result i32)
            (table.set $t (i32.const 0) (struct.new $b (i32.const 32)))
            (call $churn)
            (table.init $t $e (i32.const 1) (i32.const 1) (i32.const 1))
            (call $churn)
            (i32.add (call $read (global.get $g))
            (i32.add (call $read (array.get $a (global.get $h) (i32.const 0)))
            (i32.add (call $read (array.get $a (global.get $h) (i32.const 1)))
            (i32.add (call $read (table.get $t (i32.const 0)))
            (i32.add (call $read (table.get $t (i32.const 1)))
            (call $read (array.get $a (array.new_elem $a $e (i32.const 0) (i32.const 2)) (i32.const 0))))))))))"#;
    answers(wat, 3, 1 + 2 + 4 + 32 + 16 + 8);
}

#[test]
fn references_on_suspended_stacks_live() {
    let wat = r#"(module
        (type $b (struct (field i32)))
        (type $f (func)) (type $k (cont $f))
        (type $fb (func (param (ref $b)) (result i32))) (type $kb (cont $fb))
        (type $fi (func (result i32))) (type $ki (cont $fi))
        (tag $stop)
        (elem declare func $holds $nests)
        (func $holds (param $p (ref $b)) (result i32) (local $own (ref null $b))
            (local.set $own (struct.new $b (i32.const 1)))
            (struct.new $b (i32.const 10))
            (suspend $stop)
            (struct.get $b 0)
            (i32.add (struct.get $b 0 (local.get $p)))
            (i32.add (struct.get $b 0 (local.get $own))))
        (func $nests (param $p (ref $b)) (result i32) (local $own (ref null $b))
            (local.set $own (struct.new $b (i32.const 1000)))
            (resume $kb (struct.new $b (i32.const 100)) (cont.new $kb (ref.func $holds)))
            (i32.add (struct.get $b 0 (local.get $own)))
            (i32.add (struct.get $b 0 (local.get $p))))
        (func $churn (result i32) (local $i i32)
            (loop $l
                (drop (struct.new $b (i32.const -1)))
                (drop (cont.bind $kb $ki (struct.new $b (i32.const -1)) (cont.new $kb (ref.func $holds))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 50))))
            (i32.const 0))
        (func (export "main") (result i32) (local $k (ref null $ki))
            (local.set $k (cont.bind $kb $ki (struct.new $b (i32.const 10000)) (cont.new $kb (ref.func $nests))))
            (drop (call $churn))
            (block $on (result (ref $ki))
                (return (resume $ki (on $stop $on) (local.get $k))))
            (local.set $k)
            (drop (call $churn))
            (resume $ki (local.get $k))))"#;
    answers(wat, 4, 11111);
}

#[test]
fn references_live_while_the_host_is_in_between() {
    let wat = r#"(module
        (type $b (struct (field i32)))
        (import "host" "again" (func $again (result i32)))
        (func (export "callback") (result i32) (local $i i32)
            (loop $l
                (drop (struct.new $b (i32.const -1)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 50))))
            (struct.get $b 0 (struct.new $b (i32.const 2))))
        (func $holds (param $p (ref $b)) (result i32)
            (i32.add (call $again) (struct.get $b 0 (local.get $p))))
        (func (export "main") (result i32)
            (i32.add (call $holds (struct.new $b (i32.const 40))) (i32.const 0))))"#;
    answers(wat, 3, 42);
}

#[test]
fn a_guest_that_keeps_all_it_allocates_ends_in_a_trap_within_its_limit() {
    let list = r#"(module
        (type $p (struct (field (ref null $p)) (field i64)))
        (func (export "main") (local $l (ref null $p))
            (loop $more
                (local.set $l (struct.new $p (local.get $l) (i64.const 1)))
                (br $more))))"#;
    let nested = r#"(module
        (type $a (array (mut (ref null $a))))
        (func (export "main") (local $l (ref null $a)) (local $new (ref null $a))
            (loop $more
                (local.set $new (array.new_default $a (i32.const 1000)))
                (array.set $a (local.get $new) (i32.const 999) (local.get $l))
                (local.set $l (local.get $new))
                (br $more))))"#;
    let huge = r#"(module
        (type $a (array i64))
        (func (export "main") (drop (array.new_default $a (i32.const -1)))))"#;
    let limits = StoreLimits { gc_heap_bytes: 16 << 20, ..StoreLimits::default() };
    for interpreted in [0, 1] {
        for wat in [list, nested, huge] {
            let engine = engine(false, true, interpreted);
            let (result, store) = main_of(&engine, wat, limits.clone());
            assert_eq!(result.expect_err("it traps").trap(), Some(Trap::GcHeapOutOfMemory));
            assert!(store.gc_stats().bytes <= 16 << 20);
            assert!(engine.gc_bytes() <= 17 << 20, "{}", engine.gc_bytes());
            assert!(store.gc_stats().collections < 100);
        }
    }
}

#[test]
fn garbage_is_collected_while_the_guest_runs() {
    let wat = r#"(module
        (type $p (struct (field (mut (ref null $p))) (field i64)))
        (type $a (array i8))
        (func (export "main") (result i32) (local $i i32) (local $x (ref null $p))
            (loop $l
                ;; a cycle
                (local.set $x (struct.new $p (ref.null $p) (i64.const 1)))
                (struct.set $p 0 (local.get $x) (local.get $x))
                (drop (array.new_default $a (i32.rem_u (local.get $i) (i32.const 3000))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 100000))))
            (local.get $i)))"#;
    for interpreted in [0, 1] {
        let engine = engine(false, true, interpreted);
        let (result, store) =
            main_of(&engine, wat, StoreLimits { gc_heap_bytes: 32 << 20, ..StoreLimits::default() });
        assert!(matches!(result.as_deref(), Ok([Val::I32(100_000)])), "{result:?}");
        assert!(store.gc_stats().collections > 10);
        assert!(engine.gc_bytes() < 33 << 20);
    }
}
