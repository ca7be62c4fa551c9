//! What belongs to one store, engine, instance or thread and meets another; frames that are left in unusual places.

use super::alone::{USUAL, alone};
use mini_wasm_runtime::types::{FuncType, HeapType, RefType, TypeId, ValType};
use mini_wasm_runtime::{
    AnyRef, Caller, Config, Engine, ErrorKind, Extern, Func, Instance, Linker, Module, Store, Trap, Val,
};
use mini_wasm_spec_tests::Mode;

const MODES: [Mode; 3] = [Mode::Interp, Mode::Jit, Mode::Aot];

fn module(mode: Mode, engine: &Engine, text: &str) -> Module {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    mode.module(engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn what_is_of_another_engine_or_store_is_refused() {
    alone(USUAL, || {
        for mode in MODES {
            let (here, there) = (mode.engine(Config::default()), mode.engine(Config::default()));
            // The same index in both engines means two types.
            here.intern(&FuncType::new([ValType::I32], []));
            there.intern(&FuncType::new([ValType::F64], []));
            let text = "(module (type $t (func (param i32) (result i32))) (table (export \"t\") 2 funcref)
                (func (export \"f\") (type $t) (local.get 0))
                (func (export \"run\") (result i32) (call_indirect (type $t) (i32.const 5) (i32.const 0))))";
            let foreign = module(mode, &there, text);
            let mut store = Store::new(&here, ());
            let error = Linker::<()>::new().instantiate(&mut store, &foreign).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");

            let mut other = Store::new(&there, ());
            let foreign = Linker::<()>::new().instantiate(&mut other, &foreign).unwrap();
            let own = Linker::<()>::new().instantiate(&mut store, &module(mode, &here, text)).unwrap();
            let func = foreign.func(&mut other, "f").unwrap();
            assert_eq!(func.call(&mut store, &[Val::I32(1)]).unwrap_err().kind(), ErrorKind::Usage);
            assert!(func.ty(&store).is_err());
            assert!(foreign.func(&mut store, "f").is_none());
            let table = own.export(&mut store, "t").and_then(Extern::table).unwrap();
            assert!(table.set(&mut store, 0, Val::FuncRef(Some(func))).is_err());
            assert!(table.set(&mut other, 0, Val::FuncRef(Some(func))).is_err());
            let importer =
                module(mode, &here, "(module (import \"\" \"f\" (func (param i32) (result i32))))");
            assert!(Instance::new(&mut store, &importer, &[func.into()]).is_err());
            // Nothing was written: the element is still null.
            let run = own.func(&mut store, "run").unwrap();
            assert_eq!(run.call(&mut store, &[]).unwrap_err().trap(), Some(Trap::UninitializedElement));
        }
    });
}

/// GHSA-hgjw: the number that a type has in one engine names another type, or none, in the next. Whatever a host function claims by
/// such a number, a value of another type does not get past it.
#[test]
fn a_number_of_a_type_of_another_engine_lets_no_value_past_its_type() {
    alone(USUAL, || {
        for mode in MODES {
            let (here, there) = (mode.engine(Config::default()), mode.engine(Config::default()));
            // There, a few types more: the same number is `$pair` there and `$long` here.
            let types =
                "(type $long (struct (field i64))) (type $pair (struct (field anyref) (field anyref)))";
            let body = "(func (export \"long\") (result (ref $long)) (struct.new $long (i64.const 0x1122334455667788)))
                (func (export \"pair\") (result (ref $pair)) (struct.new_default $pair))";
            let run = "(func (export \"run\") (result anyref) (struct.get $pair 0 (call $claims)))";
            let import = "(import \"\" \"claims\" (func $claims (result (ref $pair))))";
            let text = format!("(module {types} {import} {body} {run})");
            let makers = format!("(module {types} {body})");
            let type_of = |engine: &Engine, name: &str| {
                let mut store = Store::new(engine, ());
                let instance =
                    Linker::<()>::new().instantiate(&mut store, &module(mode, engine, &makers)).unwrap();
                let value = instance.func(&mut store, name).unwrap().call(&mut store, &[]).unwrap();
                let [Val::AnyRef(Some(AnyRef::Struct(object)))] = &value[..] else { panic!("{value:?}") };
                object.ty(&store).unwrap()
            };
            there.intern(&FuncType::new([ValType::F64], []));
            let _ = (type_of(&there, "long"), type_of(&here, "long"));
            let unknown = TypeId(1 << 20);
            for id in [
                type_of(&here, "pair"),
                type_of(&here, "long"),
                type_of(&there, "pair"),
                type_of(&there, "long"),
                unknown,
            ] {
                let claimed = ValType::Ref(RefType { nullable: false, heap: HeapType::Concrete(id) });
                for gives in ["long", "pair"] {
                    let mut store = Store::new(&here, ());
                    let maker =
                        Linker::<()>::new().instantiate(&mut store, &module(mode, &here, &makers)).unwrap();
                    let maker = maker.func(&mut store, gives).unwrap();
                    let mut linker = Linker::<()>::new();
                    linker
                        .func_new(
                            "",
                            "claims",
                            FuncType::new([], [claimed]),
                            move |mut caller, _, results| {
                                results[0] = maker.call(&mut caller, &[])?.remove(0);
                                Ok(())
                            },
                        )
                        .unwrap();
                    let outcome = linker
                        .instantiate(&mut store, &module(mode, &here, &text))
                        .and_then(|instance| instance.func(&mut store, "run").unwrap().call(&mut store, &[]));
                    let right = id == type_of(&here, "pair") && gives == "pair";
                    match outcome {
                        Ok(values) => assert!(
                            right && matches!(values[..], [Val::AnyRef(None)]),
                            "{mode} {id:?} {gives}"
                        ),
                        Err(error) => {
                            assert!(!right, "{mode} {id:?} {gives}: {error}");
                            assert!(
                                matches!(error.kind(), ErrorKind::Usage | ErrorKind::Unlinkable),
                                "{mode} {id:?} {gives}: {error}"
                            );
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn threads_that_make_and_drop_modules_agree_on_types() {
    alone(USUAL, || {
        for mode in [Mode::Interp, Mode::Jit] {
            let engine = mode.engine(Config::default());
            let work = |seed: usize| {
                for round in 0..40 {
                    // Types of this round only, beside those that all threads have, in an order of this thread's own.
                    let params = |n: usize| ["i32 ", "i64 ", "f32 ", "f64 "][n % 4].repeat(n / 4 % 5);
                    let own =
                        (0..6).map(|i| format!("(type (func (param {}))) ", params(seed * 7 + round + i)));
                    let text = format!(
                        "(module {} (type $a (func (result i32))) (type $b (func (param i32) (result i32)))
                            (table funcref (elem $f $g)) (func $f (type $a) (i32.const 1)) (func $g (type $b) (local.get 0))
                            (func (export \"right\") (result i32) (call_indirect (type $b) (i32.const {round}) (i32.const 1)))
                            (func (export \"wrong\") (result i32) (call_indirect (type $a) (i32.const 1))))",
                        own.collect::<String>()
                    );
                    let module = module(mode, &engine, &text);
                    let mut store = Store::new(&engine, ());
                    let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
                    drop(module);
                    let right = instance.func(&mut store, "right").unwrap().call(&mut store, &[]).unwrap();
                    assert!(matches!(right[..], [Val::I32(n)] if n as usize == round));
                    let wrong =
                        instance.func(&mut store, "wrong").unwrap().call(&mut store, &[]).unwrap_err();
                    assert_eq!(wrong.trap(), Some(Trap::IndirectCallTypeMismatch));
                }
            };
            std::thread::scope(|scope| {
                for seed in 0..4 {
                    scope.spawn(move || work(seed));
                }
            });
        }
    });
}

#[test]
fn what_an_instance_that_failed_left_in_a_table_can_still_be_called() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            let mut linker = Linker::<()>::new();
            let caller = module(
                mode,
                &engine,
                "(module (table (export \"t\") 2 funcref) (type $f (func (result i32)))
                    (func (export \"run\") (result i32) (call_indirect (type $f) (i32.const 1))))",
            );
            let caller = linker.instantiate(&mut store, &caller).unwrap();
            linker.instance(&mut store, "t", caller).unwrap();
            for failing in
                ["(start $start) (func $start (unreachable))", "(memory 1) (data (i32.const 65536) \"x\")"]
            {
                let text = format!(
                    "(module (import \"t\" \"t\" (table 2 funcref)) (elem (i32.const 1) $f)
                        (global $g i32 (i32.const 42)) (func $f (result i32) (global.get $g)) {failing})"
                );
                let module = module(mode, &engine, &text);
                let error = linker.instantiate(&mut store, &module).unwrap_err();
                assert!(error.trap().is_some(), "{error}");
                drop(module);
                let run = caller.func(&mut store, "run").unwrap();
                assert!(matches!(run.call(&mut store, &[]).unwrap()[..], [Val::I32(42)]));
            }
        }
    });
}

#[test]
fn linkers_and_modules_may_go_before_the_instances_made_of_them() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, 0u32);
            let run = {
                let mut linker = Linker::<u32>::new();
                linker
                    .func_wrap("", "add", |mut caller: Caller<'_, u32>, n: u32| *caller.data_mut() += n)
                    .unwrap();
                let clone = linker.clone();
                drop(linker);
                let text = "(module (import \"\" \"add\" (func $add (param i32)))
                    (func (export \"run\") (call $add (i32.const 5)) (call $add (i32.const 6))))";
                let instance = clone.instantiate(&mut store, &module(mode, &engine, text)).unwrap();
                instance.func(&mut store, "run").unwrap()
            };
            drop(engine);
            run.call(&mut store, &[]).unwrap();
            assert_eq!(*store.data(), 11);
        }
    });
}

#[test]
fn a_backtrace_over_tail_calls_names_frames_that_exist() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let text = r#"(module
                (import "" "look" (func $look))
                (table funcref (elem $third))
                (func $first (export "run") (param i32) (call $second (local.get 0)) (nop))
                (func $second (param i32) (return_call_indirect (param i32) (local.get 0) (i32.const 0)))
                (func $third (param i32) (if (local.get 0) (then (call $look))) (return_call $fourth (local.get 0)))
                (func $fourth (param i32) (if (local.get 0) (then (return_call $look))) (unreachable)))"#;
            let mut linker = Linker::<()>::new();
            linker.func_wrap("", "look", || ()).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = linker.instantiate(&mut store, &module(mode, &engine, text)).unwrap();
            let run = instance.func(&mut store, "run").unwrap();
            run.call(&mut store, &[Val::I32(1)]).unwrap();
            let error = run.call(&mut store, &[Val::I32(0)]).unwrap_err();
            let frames: Vec<_> =
                error.backtrace().frames.iter().map(|f| f.name.clone().unwrap_or_default()).collect();
            assert_eq!(frames, ["fourth", "first"], "{mode}");
        }
    });
}

#[test]
fn a_host_function_works_whoever_calls_it() {
    alone(USUAL, || {
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            // By the host itself, outside any guest: there is no instance whose exports it could see.
            let host = Func::wrap(&mut store, |mut caller: Caller<'_, ()>, n: i32| match n {
                0 => Err(Trap::Unreachable.into()),
                1 => panic!("on purpose"),
                _ => Ok(i32::from(caller.export("memory").is_some())),
            });
            assert!(matches!(host.call(&mut store, &[Val::I32(2)]).unwrap()[..], [Val::I32(0)]));
            assert_eq!(host.call(&mut store, &[Val::I32(0)]).unwrap_err().trap(), Some(Trap::Unreachable));
            // From a table, by another instance than put it there; as a start function; as an export of an importer.
            let mut linker = Linker::<()>::new();
            linker.define("", "host", host).unwrap();
            let text = "(module (import \"\" \"host\" (func $host (param i32) (result i32))) (memory (export \"memory\") 1)
                (table (export \"t\") funcref (elem $host)) (export \"host\" (func $host))
                (func (export \"run\") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))";
            let instance = linker.instantiate(&mut store, &module(mode, &engine, text)).unwrap();
            for name in ["host", "run"] {
                let func = instance.func(&mut store, name).unwrap();
                assert!(func.call(&mut store, &[Val::I32(2)]).is_ok());
                assert_eq!(
                    func.call(&mut store, &[Val::I32(0)]).unwrap_err().trap(),
                    Some(Trap::Unreachable)
                );
                let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    func.call(&mut store, &[Val::I32(1)]).map(|_| ())
                }));
                assert!(panicked.is_err());
                assert!(func.call(&mut store, &[Val::I32(2)]).is_ok());
            }
        }
    });
}

#[test]
fn every_builtin_that_traps_leaves_the_guest_and_the_store_whole() {
    alone(USUAL, || {
        let cases = [
            (
                "memory.fill",
                "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))",
                Trap::MemoryOutOfBounds,
            ),
            (
                "memory.copy",
                "(memory.copy (i32.const 65530) (i32.const 0) (i32.const 7))",
                Trap::MemoryOutOfBounds,
            ),
            (
                "memory.init",
                "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 3))",
                Trap::MemoryOutOfBounds,
            ),
            (
                "table.fill",
                "(table.fill (i32.const 9) (ref.null func) (i32.const 2))",
                Trap::TableOutOfBounds,
            ),
            ("table.copy", "(table.copy (i32.const 0) (i32.const 9) (i32.const 2))", Trap::TableOutOfBounds),
            (
                "table.init",
                "(table.init $e (i32.const 0) (i32.const 1) (i32.const 1))",
                Trap::TableOutOfBounds,
            ),
            ("table.get", "(drop (table.get (i32.const 10)))", Trap::TableOutOfBounds),
            ("table.set", "(table.set (i32.const -1) (ref.null func))", Trap::TableOutOfBounds),
        ];
        let funcs: String = cases
            .iter()
            .map(|(name, code, _)| format!("(func (export \"{name}\") (call $inner) {code}) "))
            .collect();
        let text = format!(
            "(module (memory (export \"memory\") 1) (table 10 funcref) (data $d \"abc\") (elem $e func $inner)
                (func $inner) {funcs})"
        );
        for mode in MODES {
            let engine = mode.engine(Config::default());
            let mut store = Store::new(&engine, ());
            let instance =
                Linker::<()>::new().instantiate(&mut store, &module(mode, &engine, &text)).unwrap();
            for _ in 0..2 {
                for (name, _, trap) in cases {
                    let error = instance.func(&mut store, name).unwrap().call(&mut store, &[]).unwrap_err();
                    assert_eq!(error.trap(), Some(trap), "{mode} {name}");
                    assert_eq!(error.backtrace().frames.len(), 1, "{mode} {name}");
                }
            }
            let memory = instance.export(&mut store, "memory").and_then(Extern::memory).unwrap();
            assert!(
                memory.data(&store).unwrap().iter().all(|&byte| byte == 0),
                "{mode}: nothing was written"
            );
        }
    });
}
