//! One ceiling for all that a guest fills (`StoreLimits::total_bytes`): memories, tables, the heap, stacks of continuations.

use mini_wasm_runtime::{
    Config, Engine, Error, ErrorKind, Instance, Linker, Module, Store, StoreLimits, Trap, Val,
};

const MIB: u64 = 1 << 20;

/// A store with this ceiling and an instance in it.
fn instance(total_bytes: u64, wat: &str) -> (Store<()>, Result<Instance, Error>) {
    let mut config = Config::default();
    config.features.stack_switching = true;
    // Small stacks: what there is of them is what counts here.
    config.native_stack_reserve = 0;
    config.continuation_stack_bytes = 64 << 10;
    config.continuation_value_stack_bytes = 64 << 10;
    let engine = Engine::new(config);
    let module = Module::new(&engine, wat::parse_str(wat).expect("it is a module")).expect("it is valid");
    let mut store = Store::new(&engine, ());
    store.set_limits(StoreLimits { total_bytes, ..StoreLimits::default() });
    let instance = Linker::<()>::new().instantiate(&mut store, &module);
    (store, instance)
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> Result<i64, Error> {
    let func = instance.func(&mut *store, name).expect("it is exported");
    match func.call(store, args)?[..] {
        [Val::I32(v)] => Ok(i64::from(v)),
        [Val::I64(v)] => Ok(v),
        _ => Ok(0),
    }
}

const EVERYTHING: &str = r#"(module
    (type $node (struct (field (ref null $node)) (field i64 i64 i64 i64)))
    (type $bytes (array (mut i8)))
    (type $f (func)) (type $k (cont $f))
    (tag $oops (param i64 i64 i64 i64))
    (tag $stop)
    (memory 1)
    (table $refs 1 externref)
    (table $kept 0 exnref)
    (table $conts 0 (ref null $k))
    (global $list (mut (ref null $node)) (ref.null $node))
    (global $large (mut (ref null $bytes)) (ref.null $bytes))
    (elem declare func $halt)
    (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "table") (param i32) (result i32) (table.grow $refs (ref.null extern) (local.get 0)))
    (func (export "objects") (param i32)
        (loop $l
            (global.set $list (struct.new $node (global.get $list)
                (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "large") (param i32) (global.set $large (array.new_default $bytes (local.get 0))))
    (func (export "forget") (global.set $list (ref.null $node)) (global.set $large (ref.null $bytes)))
    (func (export "exceptions") (param i32) (local $e exnref)
        (drop (table.grow $kept (ref.null exn) (local.get 0)))
        (loop $l
            (block $caught (result i64 i64 i64 i64 exnref)
                (try_table (catch_ref $oops $caught)
                    (throw $oops (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
                (unreachable))
            (local.set $e) (drop) (drop) (drop) (drop)
            (table.set $kept (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (local.get $e))
            (br_if $l (local.get 0))))
    (func $deep (param i32)
        (if (local.get 0)
            (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
            (else (suspend $stop))))
    (func $halt (call $deep (global.get $depth)))
    (global $depth (mut i32) (i32.const 0))
    (func (export "continuations") (param i32) (param $depth i32) (local $at i32)
        (global.set $depth (local.get $depth))
        (local.set $at (table.grow $conts (ref.null $k) (local.get 0)))
        (loop $l
            (local.get $at)
            (block $on (result (ref $k))
                (resume $k (on $stop $on) (cont.new $k (ref.func $halt)))
                (unreachable))
            (table.set $conts)
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "finish") (param i32) (result i32)
        (resume $k (table.get $conts (local.get 0)))
        (table.set $conts (local.get 0) (ref.null $k))
        (i32.const 1)))"#;

#[test]
fn each_kind_of_memory_counts_and_is_refused_past_the_ceiling_in_its_own_way() {
    let (mut store, made) = instance(8 * MIB, EVERYTHING);
    let all = made.expect("it fits");
    assert_eq!(store.bytes_in_use(), 65536 + 8);
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(15)]).unwrap(), 1);
    assert_eq!(store.bytes_in_use(), MIB + 8);
    assert_eq!(call(&mut store, all, "table", &[Val::I32(131_071)]).unwrap(), 1);
    assert_eq!(store.bytes_in_use(), 2 * MIB);
    // Six MiB are left, for whoever comes first.
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(97)]).unwrap(), -1);
    assert_eq!(call(&mut store, all, "table", &[Val::I32(6 * 131_072 + 1)]).unwrap(), -1);
    call(&mut store, all, "objects", &[Val::I32(40_000)]).expect("4 MiB at most");
    let objects = store.bytes_in_use() - 2 * MIB;
    assert!((40_000 * 48..4 * MIB).contains(&objects), "{objects}");
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(64)]).unwrap(), -1, "the heap has the room");
    let full = call(&mut store, all, "objects", &[Val::I32(1_000_000)]).unwrap_err();
    assert_eq!(full.trap(), Some(Trap::GcHeapOutOfMemory));
    assert!(store.bytes_in_use() <= 8 * MIB);
    assert!(store.bytes_in_use() > 7 * MIB);
    // What is let go is there for others, though not for memories before it was collected.
    call(&mut store, all, "forget", &[]).unwrap();
    store.collect();
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(64)]).unwrap(), 16);
    let large = call(&mut store, all, "large", &[Val::I32(5 << 20)]).unwrap_err();
    assert_eq!(large.trap(), Some(Trap::GcHeapOutOfMemory));
    call(&mut store, all, "large", &[Val::I32(300_000)]).expect("there is so much left");
    assert!(store.bytes_in_use() <= 8 * MIB);
}

#[test]
fn an_instance_that_needs_more_than_the_ceiling_is_not_made() {
    for (wat, word) in [
        ("(module (memory 17))", "memory of 1114112 bytes"),
        ("(module (table 131073 funcref))", "table of 131073 elements"),
        ("(module (memory 10) (memory 7))", "memory of 458752 bytes"),
        ("(module (memory 16) (table 1 funcref))", "table of 1 elements"),
    ] {
        let error = instance(MIB, wat).1.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{wat}: {error}");
        assert!(error.to_string().contains(word), "{wat}: {error}");
    }
    instance(MIB, "(module (memory 15) (table 8192 funcref))").1.expect("exactly the ceiling");
}

#[test]
fn exceptions_that_are_kept_count() {
    let (mut store, made) = instance(4 * MIB, EVERYTHING);
    let all = made.expect("it fits");
    call(&mut store, all, "exceptions", &[Val::I32(20_000)]).expect("they fit");
    assert!(store.bytes_in_use() >= 20_000 * (8 + 48), "{}", store.bytes_in_use());
    let full = call(&mut store, all, "exceptions", &[Val::I32(100_000)]).unwrap_err();
    assert_eq!(full.trap(), Some(Trap::GcHeapOutOfMemory));
    assert!(store.bytes_in_use() <= 4 * MIB);
}

#[test]
fn suspended_continuations_count_with_what_lives_on_their_stacks() {
    let (mut store, made) = instance(8 * MIB, EVERYTHING);
    let all = made.expect("it fits");
    // In full each would take more than 200 KiB: 300 are far more than 8 MiB, but shallow ones need a few pages.
    call(&mut store, all, "continuations", &[Val::I32(300), Val::I32(0)])
        .expect("they fit once they are settled");
    assert_eq!(store.gc_stats().continuations, 300);
    assert!(store.bytes_in_use() <= 8 * MIB, "{}", store.bytes_in_use());
    // They go on where they were, from the first to the last and once more.
    for i in (0..300).rev().step_by(3) {
        assert_eq!(call(&mut store, all, "finish", &[Val::I32(i)]).unwrap(), 1);
        assert!(store.bytes_in_use() <= 8 * MIB);
    }
    assert_eq!(store.gc_stats().continuations, 200);
    let memory = call(&mut store, all, "memory", &[Val::I32(60)]).unwrap();
    assert_eq!(memory, 1, "stacks that nobody uses give way to a memory");
    let full = call(&mut store, all, "continuations", &[Val::I32(10_000), Val::I32(0)]).unwrap_err();
    assert_eq!(full.trap(), Some(Trap::TooManyContinuations));
    assert!(store.bytes_in_use() <= 8 * MIB);
    assert!(store.gc_stats().continuations > 200);
}

#[test]
fn deep_continuations_count_with_all_that_is_deep() {
    let count = |depth: i32| {
        let (mut store, made) = instance(8 * MIB, EVERYTHING);
        let all = made.expect("it fits");
        let full = call(&mut store, all, "continuations", &[Val::I32(10_000), Val::I32(depth)]).unwrap_err();
        assert_eq!(full.trap(), Some(Trap::TooManyContinuations));
        assert!(store.bytes_in_use() <= 8 * MIB);
        store.gc_stats().continuations
    };
    let (shallow, deep) = (count(0), count(1000));
    assert!(shallow > 2 * deep && deep > 10, "{shallow} shallow ones, {deep} deep ones");
}

#[test]
fn one_ceiling_of_a_kind_holds_beside_that_of_all() {
    let (mut store, made) = instance(64 * MIB, EVERYTHING);
    let all = made.expect("it fits");
    store.set_limits(StoreLimits {
        total_bytes: 64 * MIB,
        memory_bytes: 2 * 65536,
        table_elements: 100,
        gc_heap_bytes: MIB,
        continuations: 3,
        ..StoreLimits::default()
    });
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(2)]).unwrap(), -1);
    assert_eq!(call(&mut store, all, "memory", &[Val::I32(1)]).unwrap(), 1);
    assert_eq!(call(&mut store, all, "table", &[Val::I32(100)]).unwrap(), -1);
    assert_eq!(call(&mut store, all, "table", &[Val::I32(9)]).unwrap(), 1);
    let full = call(&mut store, all, "objects", &[Val::I32(100_000)]).unwrap_err();
    assert_eq!(full.trap(), Some(Trap::GcHeapOutOfMemory));
    call(&mut store, all, "forget", &[]).unwrap();
    let full = call(&mut store, all, "continuations", &[Val::I32(4), Val::I32(0)]).unwrap_err();
    assert_eq!(full.trap(), Some(Trap::TooManyContinuations));
}

#[test]
fn segments_and_tags_count_for_what_is_kept_of_an_instance() {
    for wat in [
        format!("(module (elem externref {}))", "(ref.null extern)".repeat(1000)),
        format!("(module {})", "(tag (param i64))".repeat(200)),
        format!("(module {})", "(table 0 funcref)".repeat(90)),
    ] {
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(&wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_limits(StoreLimits { instance_bytes: 64 << 10, ..StoreLimits::default() });
        let made = (0..100).map_while(|_| Instance::new(&mut store, &module, &[]).ok()).count();
        assert!((1..20).contains(&made), "{made} instances of {}", &wat[..40]);
    }
}
