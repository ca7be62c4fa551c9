//! Exceptions in the interpreter, with the translator's options on and off.

use super::tests::{call, for_all_speeds, instance};
use crate::types::{FuncType, ValType};
use crate::{
    Config, Engine, Error, ErrorKind, ExnRef, Func, Instance, Linker, Module, Store, Tag, Trap, Val,
};

fn config() -> Config {
    let mut config = Config::default();
    config.features.set("exceptions", true).unwrap();
    config.features.set("legacy-exceptions", true).unwrap();
    config
}

/// Calls `name` in a new instance of `text` for each argument, with every combination of options.
fn check(text: &str, name: &str, cases: &[(i32, Result<i32, ErrorKind>)]) {
    let wasm = wat::parse_str(text).unwrap();
    for_all_speeds(|speed| {
        let engine = Engine::new(config());
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, &engine, &wasm);
        for (arg, expected) in cases {
            let got = call(&mut store, instance, name, &[Val::I32(*arg)]);
            match (&got, expected) {
                (Ok(values), Ok(n)) if matches!(values[..], [Val::I32(v)] if v == *n) => {}
                (Err(error), Err(kind)) if error.kind() == *kind => {}
                _ => panic!("{name}({arg}) with {speed:?}: {got:?}, expected {expected:?}"),
            }
        }
    });
}

#[test]
fn a_handler_sees_the_locals_as_the_body_left_them() {
    // The counter is the function's most used local, pinned where that is on.
    let text = r#"(module (tag $t (param i32))
        (func $may (param i32) (if (i32.gt_u (local.get 0) (i32.const 3)) (then (throw $t (local.get 0)))))
        (func (export "f") (param i32) (result i32) (local $n i32) (local $float f32)
          (block $h (result i32)
            (try_table (catch $t $h)
              (loop $l
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $float (f32.add (local.get $float) (f32.const 1)))
                (call $may (local.get $n))
                (br_if $l (i32.lt_u (local.get $n) (local.get 0)))))
            (return (i32.sub (i32.const 0) (local.get $n))))
          (i32.add (i32.mul (i32.const 100)) (i32.add (i32.mul (local.get $n) (i32.const 10))
             (i32.trunc_f32_s (local.get $float))))))"#;
    check(text, "f", &[(2, Ok(-2)), (3, Ok(-3)), (4, Ok(444)), (9, Ok(444))]);
}

#[test]
fn values_below_a_label_survive_what_is_thrown_above_it() {
    let text = r#"(module (tag $t (param i64 f32 i32))
        (func $throw (param i32) (throw $t (i64.const 5) (f32.const 2) (local.get 0)))
        (func (export "f") (param i32) (result i32) (local i32)
          (i32.const 1000)
          (local.get 0)
          (local.set 1 (i32.const 7))
          (block $h (result i64 f32 i32)
            (i32.const 1) (i32.const 2)
            (try_table (param i32 i32) (result i32) (catch $t $h)
              (call $throw (i32.add)) (local.get 1))
            (drop) (i64.const 0) (f32.const 0) (i32.const 0))
          (i32.add (i32.trunc_f32_s)) 
          (i32.add (i32.wrap_i64)) (i32.add) (i32.add)))"#;
    // The text format folds operands first: written flat.
    let text = text
        .replace(
            "(i32.add (i32.trunc_f32_s)) ",
            "local.set 1 i32.trunc_f32_s local.get 1 i32.add local.set 1",
        )
        .replace(
            "(i32.add (i32.wrap_i64)) (i32.add) (i32.add)",
            "i32.wrap_i64 local.get 1 i32.add i32.add i32.add",
        );
    check(&text, "f", &[(10, Ok(1020)), (0, Ok(1010))]);
}

#[test]
fn clauses_are_tried_from_the_inside_out_and_in_order() {
    let text = r#"(module (tag $a) (tag $b) (tag $c)
        (func $throw (param i32)
          (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $a)))
          (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $b)))
          (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $c))))
        (func (export "f") (param i32) (result i32)
          (block $all (block $b2 (block $b1 (block $a1
            (try_table (catch $b $b2) (catch_all $all)
              (try_table (catch $a $a1) (catch $b $b1)
                (call $throw (local.get 0)))
              (call $throw (i32.const 1)))
            (unreachable))
            (return (i32.const 1))) (return (i32.const 2))) (return (i32.const 3))) (i32.const 4)))"#;
    check(text, "f", &[(0, Ok(1)), (1, Ok(2)), (2, Ok(4)), (3, Ok(3))]);
}

#[test]
fn a_clause_may_lead_to_a_loop_and_to_the_function_itself() {
    let text = r#"(module (tag $t (param i32))
        (func $down (param i32) (throw $t (i32.sub (local.get 0) (i32.const 1))))
        (func (export "loop") (param i32) (result i32) (local $turns i32)
          (local.get 0)
          (loop $l (param i32) (result i32)
            (local.set 0)
            (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
            (try_table (catch $t $l)
              (if (i32.gt_s (local.get 0) (i32.const 0)) (then (call $down (local.get 0)))))
            (i32.mul (local.get $turns) (i32.const 10)))
          (i32.add (local.get 0)))
        (func (export "function") (param i32) (result i32)
          (try_table (catch $t 0) (call $down (local.get 0)))
          (i32.const -1)))"#;
    check(text, "loop", &[(0, Ok(10)), (5, Ok(60))]);
    check(text, "function", &[(8, Ok(7))]);
}

#[test]
fn a_tail_call_leaves_the_block_that_catches() {
    let text = r#"(module (tag $t) (table funcref (elem $throw))
        (func $throw (param i32) (result i32) (throw $t))
        (func $direct (param i32) (result i32)
          (block $h (try_table (catch_all $h) (return_call $throw (local.get 0)))) (i32.const 1))
        (func $indirect (param i32) (result i32)
          (block $h (try_table (catch_all $h)
            (return_call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))) (i32.const 1))
        (func (export "f") (param i32) (result i32)
          (block $h (try_table (catch_all $h)
            (return (if (result i32) (local.get 0) (then (call $direct (i32.const 0))) (else (call $indirect (i32.const 0)))))))
          (i32.const 2))
        (export "direct" (func $direct)))"#;
    check(text, "f", &[(0, Ok(2)), (1, Ok(2))]);
    check(text, "direct", &[(0, Err(ErrorKind::Exception))]);
}

#[test]
fn traps_pass_every_clause() {
    let text = r#"(module (tag $t)
        (func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
        (func (export "f") (param i32) (result i32)
          (block $h (try_table (catch_all $h)
            (drop (i32.div_u (i32.const 1) (local.get 0)))
            (drop (call $deep (i32.const 1)))))
          (i32.const 1)))"#;
    check(
        text,
        "f",
        &[
            (0, Err(ErrorKind::Trap(Trap::IntegerDivideByZero))),
            (1, Err(ErrorKind::Trap(Trap::StackOverflow))),
            (0, Err(ErrorKind::Trap(Trap::IntegerDivideByZero))),
        ],
    );
}

#[test]
fn a_caught_reference_is_thrown_again_and_null_traps() {
    let text = r#"(module (tag $t (param i32)) (global $kept (mut exnref) (ref.null exn)) (table $tab 1 exnref)
        (func $catch (result exnref) (local i32)
          (block $h (result i32 exnref)
            (try_table (catch_ref $t $h) (throw $t (i32.const 41)))
            (unreachable))
          (global.set $kept) (local.set 0)
          (table.set $tab (i32.const 0) (global.get $kept))
          (block $h (result exnref)
            (try_table (catch_all_ref $h) (throw_ref (table.get $tab (i32.const 0))))
            (unreachable)))
        (func (export "f") (param i32) (result i32)
          (block $h (result i32)
            (try_table (catch $t $h) (throw_ref (call $catch)))
            (unreachable))
          (i32.add (local.get 0)))
        (func (export "null") (param i32) (result i32)
          (block $h (try_table (catch_all $h) (throw_ref (ref.null exn)))) (i32.const 1)))"#;
    check(text, "f", &[(1, Ok(42))]);
    check(text, "null", &[(1, Err(ErrorKind::Trap(Trap::NullReference)))]);
}

#[test]
fn each_instance_has_tags_of_its_own() {
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let thrower = Module::new(
        &engine,
        wat::parse_str(r#"(module (tag $t (export "t")) (func (export "throw") (throw $t)))"#).unwrap(),
    )
    .unwrap();
    let catcher = r#"(module (import "t" "t" (tag $t)) (import "f" "throw" (func $throw))
        (func (export "f") (result i32) (block $h (try_table (catch $t $h) (call $throw)) (unreachable)) (i32.const 1)))"#;
    let catcher = Module::new(&engine, wat::parse_str(catcher).unwrap()).unwrap();
    let one = Instance::new(&mut store, &thrower, &[]).unwrap();
    let two = Instance::new(&mut store, &thrower, &[]).unwrap();
    for (tag, func, caught) in [(one, one, true), (one, two, false), (two, one, false)] {
        let imports = [tag.export(&mut store, "t").unwrap(), func.export(&mut store, "throw").unwrap()];
        let instance = Instance::new(&mut store, &catcher, &imports).unwrap();
        let got = call(&mut store, instance, "f", &[]);
        match caught {
            true => assert!(matches!(got.unwrap()[..], [Val::I32(1)])),
            false => assert_eq!(got.unwrap_err().kind(), ErrorKind::Exception),
        }
    }
}

#[test]
fn a_tag_of_another_type_does_not_link() {
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let module = wat::parse_str(r#"(module (import "m" "t" (tag (param i32))))"#).unwrap();
    let module = Module::new(&engine, module).unwrap();
    let good = Tag::new(&mut store, FuncType::new([ValType::I32], [])).unwrap();
    let bad = Tag::new(&mut store, FuncType::new([ValType::I64], [])).unwrap();
    Instance::new(&mut store, &module, &[good.into()]).unwrap();
    let error = Instance::new(&mut store, &module, &[bad.into()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unlinkable);
    assert!(error.message().contains("tag [i32] -> [] is wanted, tag [i64] -> [] is given"), "{error}");
    assert_eq!(Tag::new(&mut store, FuncType::new([], [ValType::I32])).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn the_host_throws_catches_and_throws_again() {
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let ty = FuncType::new([ValType::I32, ValType::F64], []);
    let tag = Tag::new(&mut store, ty.clone()).unwrap();
    let text = r#"(module (import "h" "tag" (tag $t (param i32 f64))) (import "h" "throw" (func $throw (param i32)))
        (import "h" "pass" (func $pass (param i32)))
        (func (export "catch") (param i32) (result i32)
          (block $h (result i32 f64) (try_table (catch $t $h) (call $pass (local.get 0))) (return (i32.const 0)))
          (drop))
        (func (export "throw") (param i32) (call $throw (local.get 0))))"#;
    let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let mut linker = Linker::<()>::new();
    linker.define("h", "tag", tag).unwrap();
    let one = FuncType::new([ValType::I32], []);
    let throw = Func::new(&mut store, one.clone(), move |mut caller: crate::Caller<'_, ()>, args, _| {
        let values = [args[0].clone(), Val::from(0.5)];
        Err(Error::throw(ExnRef::new(&mut caller, tag, &values)?))
    });
    linker.define("h", "throw", throw).unwrap();
    // Calls the export that throws, looks at what comes, hands it on.
    let pass = |mut caller: crate::Caller<'_, ()>, args: &[Val], _: &mut [Val]| {
        let func = caller.export("throw").unwrap().func().unwrap();
        let error = func.call(&mut caller, args).unwrap_err();
        let exception = error.exception().unwrap().clone();
        assert!(matches!(exception.values(&mut caller).unwrap()[..], [Val::I32(7), Val::F64(_)]));
        assert_eq!(error.backtrace().frames.len(), 1);
        Err(error)
    };
    linker.func_new("h", "pass", one, pass).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let got = call(&mut store, instance, "catch", &[Val::I32(7)]).unwrap();
    assert!(matches!(got[..], [Val::I32(7)]));
    let error = call(&mut store, instance, "throw", &[Val::I32(9)]).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Exception, "unhandled exception: tag `t` (9, 0.5)")
    );
    let exception = error.exception().unwrap();
    assert_eq!(exception.tag(), tag);
    assert_eq!(error.backtrace().frames.len(), 1);
    // An exception of another store is the host's mistake.
    let mut other = Store::new(&engine, ());
    assert_eq!(exception.values(&mut other).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn an_exception_that_nobody_catches_tells_where_it_was_thrown() {
    let text = r#"(module (tag $t) (tag $u)
        (func $throw (param i32) (if (local.get 0) (then (throw $t))) (throw $u))
        (func $between (param i32) (block $h (try_table (catch $u $h) (call $throw (local.get 0))) (return)) (unreachable))
        (func (export "f") (param i32) (call $between (local.get 0))))"#;
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let instance = instance(&mut store, &engine, &wat::parse_str(text).unwrap());
    for (arg, funcs) in [(1, &[0, 1, 2][..]), (0, &[1, 2])] {
        let error = call(&mut store, instance, "f", &[Val::I32(arg)]).unwrap_err();
        let frames = &error.backtrace().frames;
        let got: alloc::vec::Vec<u32> = frames.iter().map(|frame| frame.func).collect();
        assert_eq!(got, funcs, "{error:?}");
        assert!(frames.iter().all(|frame| frame.offset.is_some()));
    }
}

#[test]
fn a_start_function_may_throw() {
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let text = r#"(module (tag $t) (func $s (throw $t)) (start $s))"#;
    let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(Instance::new(&mut store, &module, &[]).unwrap_err().kind(), ErrorKind::Exception);
}

#[test]
fn a_full_heap_traps_where_an_exception_is_thrown() {
    let text = r#"(module (tag $t (param i64))
        (func (export "f") (result i32) (block $h (try_table (catch_all $h) (throw $t (i64.const 1)))) (i32.const 1)))"#;
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    store.set_limits(crate::StoreLimits { gc_heap_bytes: 0, ..Default::default() });
    let instance = instance(&mut store, &engine, &wat::parse_str(text).unwrap());
    let error = call(&mut store, instance, "f", &[]).unwrap_err();
    assert_eq!(error.trap(), Some(Trap::GcHeapOutOfMemory));
}

#[test]
fn legacy_clauses_catch_rethrow_and_delegate() {
    let text = r#"(module (tag $a (param i32)) (tag $b)
        (func $throw (param i32)
          local.get 0 i32.eqz if throw $b end
          local.get 0 throw $a)
        (func (export "f") (param i32) (result i32) (local i32)
          i32.const 5
          local.get 0
          try (param i32) (result i32)
            local.set 1
            local.get 1 i32.const 1 i32.add call $throw
            i32.const 1
          catch $a
            local.get 1 i32.const 10 i32.mul
            i32.add
          catch_all
            i32.const -1
          end
          i32.add)
        (func (export "rethrow") (param i32) (result i32)
          try (result i32)
            try (result i32)
              local.get 0 call $throw
              i32.const 0
            catch $a
              local.get 0
              i32.const 2 i32.eq if rethrow 1 end
            end
          catch $a
            i32.const 100 i32.add
          end)
        (func (export "delegate") (param i32) (result i32)
          try $outer (result i32)
            try (result i32)
              try (result i32)
                local.get 0 call $throw
                i32.const 0
              delegate $outer
            catch_all
              i32.const 1
            end
          catch $a
            i32.const 1000 i32.add
          end)
        (func (export "delegate_out") (param i32) (result i32)
          try (result i32)
            try (result i32)
              local.get 0 call $throw
              i32.const 0
            delegate 1
          catch_all
            i32.const 1
          end)
        (func (export "branch") (param i32) (result i32)
          try $t (result i32)
            local.get 0 call $throw
            i32.const 0
          catch $a
            br $t
          catch_all
            i32.const 77
            br 0
          end))"#;
    check(text, "f", &[(3, Ok(39)), (-1, Ok(4)), (0, Ok(6))]);
    check(text, "rethrow", &[(1, Ok(1)), (2, Ok(102)), (0, Err(ErrorKind::Exception))]);
    check(text, "delegate", &[(1, Ok(1001)), (0, Err(ErrorKind::Exception))]);
    check(text, "delegate_out", &[(1, Err(ErrorKind::Exception)), (0, Err(ErrorKind::Exception))]);
    check(text, "branch", &[(0, Ok(77)), (3, Ok(3))]);
}

#[test]
fn the_host_holds_exceptions_as_values() {
    let engine = Engine::new(config());
    let mut store = Store::new(&engine, ());
    let text = r#"(module (tag $t (export "t") (param i32)) (global (export "g") (mut exnref) (ref.null exn))
        (table (export "tab") 2 exnref)
        (func (export "catch") (param i32) (result exnref)
          (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t (local.get 0))) (unreachable)))
        (func (export "throw") (param exnref) (throw_ref (local.get 0))))"#;
    let instance = instance(&mut store, &engine, &wat::parse_str(text).unwrap());
    let got = call(&mut store, instance, "catch", &[Val::I32(5)]).unwrap();
    let Val::ExnRef(Some(exception)) = &got[0] else { panic!("{got:?}") };
    let tag = instance.export(&mut store, "t").unwrap().tag().unwrap();
    assert_eq!(exception.tag(), tag);
    assert!(matches!(exception.values(&mut store).unwrap()[..], [Val::I32(5)]));
    let global = instance.export(&mut store, "g").unwrap().global().unwrap();
    assert!(matches!(global.get(&mut store).unwrap(), Val::ExnRef(None)));
    global.set(&mut store, got[0].clone()).unwrap();
    assert!(matches!(global.get(&mut store).unwrap(), Val::ExnRef(Some(e)) if e == *exception));
    let table = instance.export(&mut store, "tab").unwrap().table().unwrap();
    assert_eq!(table.ty(&store).unwrap().element.heap, crate::types::HeapType::Exn);
    let error = call(&mut store, instance, "throw", &[got[0].clone()]).unwrap_err();
    assert_eq!(error.exception(), Some(exception));
    let error = call(&mut store, instance, "throw", &[Val::ExnRef(None)]).unwrap_err();
    assert_eq!(error.trap(), Some(Trap::NullReference));
    // Neither a value of another kind nor one of another store gets in.
    let wrong = call(&mut store, instance, "throw", &[Val::FuncRef(None)]).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Usage);
    let mut other = Store::new(&engine, ());
    let foreign = Tag::new(&mut other, FuncType::new([], [])).unwrap();
    let foreign = ExnRef::new(&mut other, foreign, &[]).unwrap();
    let wrong = call(&mut store, instance, "throw", &[Val::ExnRef(Some(foreign))]).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Usage);
}
