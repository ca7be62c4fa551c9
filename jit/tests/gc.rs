//! Types, references and objects where they could go wrong: types of several modules, objects under a collector that runs at each
//! allocation, lengths and numbers of types that a hostile module chooses. Everything in the interpreter and in native code.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::store::StoreLimits;
use mini_wasm_runtime::types::{FuncType, HeapType, RefType, ValType};
use mini_wasm_runtime::{
    AnyRef, Engine, ErrorKind, ExternRef, Func, Instance, Linker, Module, Result, Store, Trap, Val,
};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An interpreting engine, a compiling one, and one that compiles without signal handlers.
fn engines(config: &Config) -> [Engine; 3] {
    let unguarded = Config { guard_pages: false, ..config.clone() };
    [
        Engine::new(config.clone()),
        Engine::with_backend(config.clone(), Arc::new(Jit::default())),
        Engine::with_backend(unguarded, Arc::new(Jit::default())),
    ]
}

fn module(engine: &Engine, text: &str) -> Module {
    Module::new(engine, wat::parse_str(text).unwrap()).unwrap()
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> Result<Vec<Val>> {
    instance.func(&mut *store, name).unwrap().call(store, args)
}

fn number(store: &mut Store<()>, instance: Instance, name: &str, arg: i32) -> Result<i32> {
    match call(store, instance, name, &[Val::I32(arg)])?[..] {
        [Val::I32(n)] => Ok(n),
        ref other => panic!("{other:?}"),
    }
}

/// A module that makes objects and one that takes them, with its own idea of their type.
fn pair(engine: &Engine, made: &str, wanted: &str) -> (Result<Instance>, Store<()>) {
    let mut store = Store::new(engine, ());
    let maker = format!(
        "(module {made} (func (export \"make\") (result (ref $t)) (struct.new_default $t))
           (func (export \"any\") (result anyref) (struct.new_default $t)))"
    );
    let taker = format!(
        "(module {wanted} (import \"m\" \"make\" (func $make (result (ref $t))))
           (func (export \"get\") (param i32) (result i32) (struct.get $t 0 (call $make))))"
    );
    let maker = Instance::new(&mut store, &module(engine, &maker), &[]).unwrap();
    let mut linker = Linker::<()>::new();
    linker.instance(&mut store, "m", maker).unwrap();
    let taker = linker.instantiate(&mut store, &module(engine, &taker));
    (taker, store)
}

#[test]
fn modules_share_a_type_if_and_only_if_its_whole_recursion_group_is_equal() {
    let plain = "(type $t (struct (field i32)))";
    let twice = "(rec (type $u (struct (field (ref null $t)))) (type $t (struct (field i32))))";
    let cases = [
        (plain, plain, true),
        (plain, "(type $other (func)) (type $t (struct (field i32)))", true),
        (twice, twice, true),
        // The same fields in another group, at another place of a group, mutable, open, below another type.
        (plain, twice, false),
        (twice, "(rec (type $t (struct (field i32))) (type $u (struct (field (ref null $t)))))", false),
        (plain, "(type $t (struct (field (mut i32))))", false),
        (plain, "(type $t (sub (struct (field i32))))", false),
        (plain, "(type $s (sub (struct))) (type $t (sub final $s (struct (field i32))))", false),
        (plain, "(type $t (struct (field i32 i32)))", false),
    ];
    for engine in engines(&Config::default()) {
        for (made, wanted, links) in cases {
            let (taker, mut store) = pair(&engine, made, wanted);
            match taker {
                Ok(taker) => {
                    assert!(links, "{made} as {wanted}");
                    assert_eq!(number(&mut store, taker, "get", 0).unwrap(), 0);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unlinkable);
                    assert!(!links, "{made} as {wanted}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_cast_in_one_module_knows_the_types_of_another() {
    let first = r#"(module (type $a (sub (struct (field i32)))) (type $b (sub $a (struct (field i32 i64))))
        (func (export "a") (result anyref) (struct.new $a (i32.const 7)))
        (func (export "b") (result anyref) (struct.new $b (i32.const 8) (i64.const 9))))"#;
    let second = r#"(module (type $x (func)) (type $a (sub (struct (field i32)))) (type $c (sub $a (struct (field i32 f64))))
        (func (export "as_a") (param anyref) (result i32) (struct.get $a 0 (ref.cast (ref $a) (local.get 0))))
        (func (export "as_c") (param anyref) (result i32) (struct.get $c 0 (ref.cast (ref $c) (local.get 0)))))"#;
    for engine in engines(&Config::default()) {
        let mut store = Store::new(&engine, ());
        let first = Instance::new(&mut store, &module(&engine, first), &[]).unwrap();
        let second = Instance::new(&mut store, &module(&engine, second), &[]).unwrap();
        for (made, value) in [("a", 7), ("b", 8)] {
            let object = call(&mut store, first, made, &[]).unwrap();
            let found = call(&mut store, second, "as_a", &object).unwrap();
            assert!(matches!(found[..], [Val::I32(n)] if n == value));
            assert_eq!(
                call(&mut store, second, "as_c", &object).unwrap_err().trap(),
                Some(Trap::CastFailure)
            );
        }
        for other in [AnyRef::I31(5), AnyRef::Host(ExternRef(3))] {
            let other = [Val::AnyRef(Some(other))];
            assert_eq!(call(&mut store, second, "as_a", &other).unwrap_err().trap(), Some(Trap::CastFailure));
        }
    }
}

#[test]
fn indirect_calls_take_subtypes_and_nothing_else() {
    let text = r#"(module
        (type $f (sub (func (param i32) (result i32)))) (type $g (sub $f (func (param i32) (result i32))))
        (type $h (func (param i32) (result i32)))
        (table funcref (elem $f0 $g0 $h0))
        (func $f0 (type $f) (i32.const 1)) (func $g0 (type $g) (i32.const 2)) (func $h0 (type $h) (i32.const 3))
        (func (export "f") (param i32) (result i32) (call_indirect (type $f) (i32.const 0) (local.get 0)))
        (func (export "g") (param i32) (result i32) (call_indirect (type $g) (i32.const 0) (local.get 0)))
        (func (export "tail") (param i32) (result i32) (return_call_indirect (type $f) (i32.const 0) (local.get 0))))"#;
    for engine in engines(&Config::default()) {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module(&engine, text), &[]).unwrap();
        let wrong = Err(Some(Trap::IndirectCallTypeMismatch));
        for (name, outcomes) in
            [("f", [Ok(1), Ok(2), wrong]), ("g", [wrong, Ok(2), wrong]), ("tail", [Ok(1), Ok(2), wrong])]
        {
            for (i, want) in outcomes.into_iter().enumerate() {
                let found = number(&mut store, instance, name, i as i32).map_err(|error| error.trap());
                assert_eq!(found, want, "{name} {i}");
            }
        }
    }
}

/// Everything that holds references, used while each allocation collects.
const BUSY: &str = r#"(module
    (type $node (struct (field i32) (field (mut (ref null $node)))))
    (type $nodes (array (mut (ref null $node))))
    (type $bytes (array (mut i8)))
    (data $data "\01\02\03\04\05")
    (global $global (mut (ref null $node)) (struct.new $node (i32.const 1) (struct.new $node (i32.const 2) (ref.null $node))))
    (table $table 2 (ref null $node) (struct.new $node (i32.const 4) (ref.null $node)))
    (elem $elem (ref null $node) (item (struct.new $node (i32.const 8) (ref.null $node))) (item (global.get $kept)))
    (global $kept (ref null $node) (struct.new $node (i32.const 16) (ref.null $node)))
    (func $node (param i32) (result (ref $node)) (struct.new $node (local.get 0) (ref.null $node)))
    ;; A list made while its tail waits in a local and its parts on the operand stack.
    (func $list (param $n i32) (result (ref null $node)) (local $head (ref null $node))
        (loop $again
            (local.set $head (struct.new $node (local.get $n) (local.get $head)))
            (drop (call $node (i32.const -1)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $head))
    (func $sum (param $list (ref null $node)) (result i32) (local $sum i32)
        (block $done
            (loop $again
                (br_on_null $done (local.get $list)) (drop)
                (local.set $sum (i32.add (local.get $sum) (struct.get $node 0 (local.get $list))))
                (local.set $list (struct.get $node 1 (local.get $list)))
                (br $again)))
        (local.get $sum))
    ;; References on the operand stack across calls that allocate.
    (func (export "stack") (param i32) (result i32)
        (i32.add
            (i32.add (struct.get $node 0 (call $node (local.get 0))) (call $sum (call $list (local.get 0))))
            (call $both (call $node (i32.const 100)) (call $list (i32.const 3)))))
    (func $both (param (ref $node) (ref null $node)) (result i32)
        (drop (call $list (i32.const 5)))
        (i32.add (struct.get $node 0 (local.get 0)) (call $sum (local.get 1))))
    (func (export "roots") (param i32) (result i32)
        (drop (call $list (i32.const 9)))
        (i32.add
            (i32.add (call $sum (global.get $global)) (struct.get $node 0 (table.get $table (i32.const 1))))
            (i32.add
                (struct.get $node 0 (array.get $nodes (array.new_elem $nodes $elem (i32.const 0) (i32.const 2)) (i32.const 0)))
                (struct.get $node 0 (array.get $nodes (array.new_elem $nodes $elem (i32.const 0) (i32.const 2)) (i32.const 1))))))
    (func (export "arrays") (param $n i32) (result i32) (local $a (ref null $nodes)) (local $b (ref null $bytes)) (local $i i32) (local $sum i32)
        (local.set $a (array.new $nodes (call $node (i32.const 3)) (local.get $n)))
        (local.set $b (array.new_data $bytes $data (i32.const 0) (i32.const 5)))
        (loop $again
            (array.set $nodes (local.get $a) (local.get $i) (struct.new $node (local.get $i) (array.get $nodes (local.get $a) (local.get $i))))
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (array.copy $nodes $nodes (local.get $a) (i32.const 1) (local.get $a) (i32.const 0) (i32.sub (local.get $n) (i32.const 1)))
        (local.set $i (i32.const 0))
        (loop $more
            (local.set $sum (i32.add (local.get $sum) (call $sum (array.get $nodes (local.get $a) (local.get $i)))))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (i32.add (local.get $sum) (array.get_u $bytes (local.get $b) (i32.const 4))))
    (func (export "fixed") (param i32) (result i32)
        (call $sum (array.get $nodes
            (array.new_fixed $nodes 3 (call $list (i32.const 2)) (call $list (local.get 0)) (call $list (i32.const 4)))
            (i32.const 1)))))"#;

#[test]
fn what_is_reachable_survives_a_collection_at_every_allocation() {
    for engine in engines(&Config { gc_stress: true, ..Config::default() }) {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module(&engine, BUSY), &[]).unwrap();
        for n in [1, 7, 20] {
            let triangle = n * (n + 1) / 2;
            assert_eq!(number(&mut store, instance, "stack", n).unwrap(), n + triangle + 106);
            assert_eq!(number(&mut store, instance, "roots", n).unwrap(), 3 + 4 + 8 + 16);
            // Element 0 twice, the last one lost; each has the 3 that all began with behind it.
            let kept = (0..n).sum::<i32>() - if n > 1 { n - 1 } else { 0 };
            assert_eq!(number(&mut store, instance, "arrays", n).unwrap(), kept + 3 * n + 5);
            assert_eq!(number(&mut store, instance, "fixed", n).unwrap(), triangle);
        }
        assert!(store.gc_stats().collections > 100);
    }
}

#[test]
fn the_host_reads_objects_and_gives_them_back() {
    let text = r#"(module
        (type $point (struct (field i32) (field i8) (field f64) (field v128) (field anyref)))
        (type $row (array i16))
        (func (export "point") (result (ref $point))
            (struct.new $point (i32.const -1) (i32.const -2) (f64.const 0.5) (v128.const i64x2 3 4) (ref.i31 (i32.const -5))))
        (func (export "row") (result (ref $row)) (array.new_fixed $row 2 (i32.const 6) (i32.const -1)))
        (func (export "first") (param (ref $point)) (result i32) (struct.get $point 0 (local.get 0)))
        (func (export "out") (param externref) (result externref) (extern.convert_any (any.convert_extern (local.get 0)))))"#;
    for engine in engines(&Config::default()) {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module(&engine, text), &[]).unwrap();
        let point = call(&mut store, instance, "point", &[]).unwrap();
        let [Val::AnyRef(Some(AnyRef::Struct(object)))] = &point[..] else { panic!("{point:?}") };
        let fields: Vec<Val> = (0..5).map(|i| object.field(&mut store, i).unwrap().unwrap()).collect();
        assert!(
            matches!(
                fields[..],
                [Val::I32(-1), Val::I32(0xfe), Val::F64(_), Val::V128(wide), Val::AnyRef(Some(AnyRef::I31(-5)))]
                if wide == 3 | 4 << 64
            ),
            "{fields:?}"
        );
        assert!(object.field(&mut store, 5).unwrap().is_none());
        let row = call(&mut store, instance, "row", &[]).unwrap();
        let [Val::AnyRef(Some(AnyRef::Array(array)))] = &row[..] else { panic!("{row:?}") };
        assert_eq!(array.len(&store).unwrap(), 2);
        assert!(matches!(array.get(&mut store, 1).unwrap(), Some(Val::I32(0xffff))));
        assert!(array.get(&mut store, 2).unwrap().is_none());
        assert!(matches!(call(&mut store, instance, "first", &point).unwrap()[..], [Val::I32(-1)]));
        // Another type, null, another store: each is an error and no call.
        for wrong in [row[0].clone(), Val::AnyRef(None), Val::AnyRef(Some(AnyRef::I31(1)))] {
            let error = call(&mut store, instance, "first", &[wrong]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
        let mut other = Store::new(&engine, ());
        let there = Instance::new(&mut other, &module(&engine, text), &[]).unwrap();
        assert_eq!(call(&mut other, there, "first", &point).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(object.field(&mut other, 0).unwrap_err().kind(), ErrorKind::Usage);
        let number = [Val::ExternRef(Some(ExternRef(u32::MAX)))];
        let back = call(&mut store, instance, "out", &number).unwrap();
        assert!(matches!(back[..], [Val::ExternRef(Some(ExternRef(u32::MAX)))]));
    }
}

#[test]
fn a_host_function_of_another_type_is_not_taken_for_one_of_a_defined_type() {
    let text = r#"(module (type $f (sub (func))) (import "h" "f" (func (type $f))))"#;
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let func = Func::new_raw(&mut store, FuncType::new([], []), |_, _| Ok(()));
    // The host's types are final, so they are never the open one.
    let error = Instance::new(&mut store, &module(&engine, text), &[func.into()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unlinkable);
    let any = ValType::Ref(RefType { nullable: true, heap: HeapType::Any });
    let echo = Func::new::<()>(&mut store, FuncType::new([any], [any]), |_, args, results| {
        results[0] = args[0].clone();
        Ok(())
    });
    let back = echo.call(&mut store, &[Val::AnyRef(Some(AnyRef::I31(-3)))]).unwrap();
    assert!(matches!(back[..], [Val::AnyRef(Some(AnyRef::I31(-3)))]));
}

#[test]
fn lengths_that_no_memory_has_room_for_are_traps() {
    let text = r#"(module (type $wide (array (mut v128))) (type $refs (array (mut anyref))) (memory 0) (data $d "abc") (elem $e anyref (item (ref.null any)))
        (func (export "new") (param i32) (result i32) (array.len (array.new $wide (v128.const i64x2 1 1) (local.get 0))))
        (func (export "default") (param i32) (result i32) (array.len (array.new_default $refs (local.get 0))))
        (func (export "data") (param i32) (result i32) (array.len (array.new_data $wide $d (i32.const 0) (local.get 0))))
        (func (export "elem") (param i32) (result i32) (array.len (array.new_elem $refs $e (i32.const -1) (local.get 0))))
        (func (export "fill") (param i32) (result i32) (local $a (ref $refs))
            (local.set $a (array.new_default $refs (i32.const 10)))
            (array.fill $refs (local.get $a) (i32.const 5) (ref.null any) (local.get 0)) (i32.const 0))
        (func (export "copy") (param i32) (result i32) (local $a (ref $refs))
            (local.set $a (array.new_default $refs (i32.const 10)))
            (array.copy $refs $refs (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) (local.get 0)) (i32.const 0)))"#;
    for engine in engines(&Config::default()) {
        let mut store = Store::new(&engine, ());
        store.set_limits(StoreLimits { gc_heap_bytes: 16 << 20, ..StoreLimits::default() });
        let instance = Instance::new(&mut store, &module(&engine, text), &[]).unwrap();
        for len in [-1, i32::MAX, 1 << 28, 1 << 20] {
            let mut trap = |name| number(&mut store, instance, name, len).unwrap_err().trap();
            assert_eq!(trap("new"), Some(Trap::GcHeapOutOfMemory), "{len}");
            assert_eq!(trap("data"), Some(Trap::MemoryOutOfBounds));
            assert_eq!(trap("elem"), Some(Trap::TableOutOfBounds));
            assert_eq!(trap("fill"), Some(Trap::ArrayOutOfBounds));
            assert_eq!(trap("copy"), Some(Trap::ArrayOutOfBounds));
        }
        assert_eq!(
            number(&mut store, instance, "default", -1).unwrap_err().trap(),
            Some(Trap::GcHeapOutOfMemory)
        );
        assert_eq!(number(&mut store, instance, "default", 1000).unwrap(), 1000);
    }
}

#[test]
fn work_by_length_costs_fuel_by_length_and_the_same_everywhere() {
    let text = r#"(module (type $bytes (array (mut i8))) (data $d "0123456789abcdef")
        (func (export "run") (param i32) (result i32) (local $a (ref $bytes))
            (local.set $a (array.new $bytes (i32.const 1) (local.get 0)))
            (array.fill $bytes (local.get $a) (i32.const 0) (i32.const 2) (local.get 0))
            (array.copy $bytes $bytes (local.get $a) (i32.const 0) (local.get $a) (i32.const 0) (local.get 0))
            (array.init_data $bytes $d (local.get $a) (i32.const 0) (i32.const 0) (i32.const 16))
            (array.len (local.get $a))))"#;
    let mut spent = Vec::new();
    for engine in engines(&Config { fuel: true, ..Config::default() }) {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module(&engine, text), &[]).unwrap();
        store.set_fuel(1 << 20);
        number(&mut store, instance, "run", 1 << 16).unwrap();
        spent.push((1 << 20) - store.fuel().unwrap());
        store.set_fuel(2000);
        let short = number(&mut store, instance, "run", 1 << 16).unwrap_err();
        assert_eq!(short.trap(), Some(Trap::OutOfFuel));
    }
    assert!(spent[0] > 3 * (1 << 16) / 64, "{spent:?}");
    assert_eq!(spent, [spent[0]; 3]);
}

#[test]
fn many_types_take_little_time_and_equal_ones_no_room() {
    let mut text = String::from("(module (rec");
    for i in 0..5_000 {
        let _ = write!(
            text,
            "(type $t{i} (sub (struct (field (ref null $t{})) (field (mut i32)))))",
            (i + 1) % 5_000
        );
    }
    text.push(')');
    for i in 0..5_000 {
        let _ = write!(text, "(type $s{i} (array (ref null $t{i})))");
    }
    // As deep as types may be.
    text.push_str("(type $d0 (sub (struct)))");
    for i in 1..=63 {
        let _ = write!(text, "(type $d{i} (sub $d{} (struct)))", i - 1);
    }
    text.push_str(
        "(func (export \"deep\") (param i32) (result i32) (local $x anyref)
           (local.set $x (if (result anyref) (local.get 0) (then (struct.new $d63)) (else (struct.new $d61))))
           (i32.add (ref.test (ref $d62) (local.get $x)) (i32.mul (i32.const 2) (ref.test (ref $d7) (local.get $x))))))",
    );
    let wasm = wat::parse_str(&text).unwrap();
    for engine in engines(&Config::default()) {
        let begin = Instant::now();
        let first = Module::new(&engine, wasm.clone()).unwrap();
        let again = Module::new(&engine, wasm.clone()).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        assert_eq!(first.info().type_ids, again.info().type_ids);
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &again, &[]).unwrap();
        assert_eq!(number(&mut store, instance, "deep", 1).unwrap(), 3);
        assert_eq!(number(&mut store, instance, "deep", 0).unwrap(), 2);
    }
    let deeper = text.replace("(func (export", "(type $d64 (sub $d63 (struct))) (func (export");
    let error = Module::new(&Engine::default(), wat::parse_str(&deeper).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn threads_that_make_the_same_types_agree() {
    let engine = Engine::default();
    let text = "(module (rec (type $a (struct (field (ref null $b)))) (type $b (struct (field (ref null $a))))) (type (array (ref $a))))";
    let wasm = wat::parse_str(text).unwrap();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let make = |_| scope.spawn(|| Module::new(&engine, wasm.clone()).unwrap().info().type_ids.clone());
        let threads: Vec<_> = (0..8).map(make).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let first = Module::new(&engine, wasm).unwrap().info().type_ids.clone();
    assert!(ids.iter().all(|ids| *ids == first));
}
