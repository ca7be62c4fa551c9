//! Linking: names and versions, types, modules and components as imports, nested components and aliases.

use super::super::abi::Val;
use super::*;

/// The error that linking `wat` ends with.
fn unlinkable(linker: impl FnOnce(&mut Linker<()>, &Engine), wat: &str) -> String {
    let engine = engine(Config::default());
    let component = component(&engine, wat);
    let mut names = Linker::new(&engine);
    linker(&mut names, &engine);
    let error = names.instantiate_pre(&component).expect_err("it does not link");
    assert_eq!(error.kind(), crate::ErrorKind::Unlinkable, "{error}");
    error.to_string()
}

const STDOUT: &str = r#"(component
    (import "wasi:cli/stdout@0.2.3" (instance
        (export "print" (func (param "s" string)))
        (export "flush" (func)))))"#;

#[test]
fn what_is_not_linked_is_named_with_the_nearest_version() {
    let text = unlinkable(|_, _| (), STDOUT);
    assert!(text.contains("`wasi:cli/stdout@0.2.3`") && text.contains("not linked"), "{text}");
    let text = unlinkable(
        |linker, _| {
            linker.instance("wasi:cli/stdout@0.3.0").unwrap();
        },
        STDOUT,
    );
    assert!(text.contains("nearest definition is `wasi:cli/stdout@0.3.0`"), "{text}");
}

#[test]
fn a_function_that_is_missing_is_named_with_both_versions() {
    let text = unlinkable(
        |linker, _| {
            linker
                .instance("wasi:cli/stdout@0.2.12")
                .unwrap()
                .func_wrap("print", |_, (_,): (String,)| Ok(()))
                .unwrap();
        },
        STDOUT,
    );
    for part in ["`flush`", "`wasi:cli/stdout@0.2.3`", "`wasi:cli/stdout@0.2.12`", "missing"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_function_of_another_type_is_named_with_both_types() {
    let text = unlinkable(
        |linker, _| {
            linker
                .instance("wasi:cli/stdout@0.2.3")
                .unwrap()
                .func_wrap("print", |_, (_,): (u32,)| Ok(1u8))
                .unwrap();
        },
        STDOUT,
    );
    for part in ["`wasi:cli/stdout@0.2.3#print`", "func(string)", "func(u32) -> u8"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn other_functions_do_not_disturb_and_other_versions_of_the_track_link() {
    let engine = engine(Config::default());
    let component = component(&engine, STDOUT);
    let mut linker = Linker::<()>::new(&engine);
    let mut stdout = linker.instance("wasi:cli/stdout@0.2.0").unwrap();
    stdout.func_wrap("print", |_, (_,): (String,)| Ok(())).unwrap();
    stdout.func_wrap("flush", |_, (): ()| Ok(())).unwrap();
    stdout.func_wrap("more", |_, (): ()| Ok(())).unwrap();
    linker.instantiate(Store::new(&engine, ()), &component).unwrap();
}

#[test]
fn an_import_may_bear_a_name_of_its_own_and_say_what_it_implements() {
    let engine = engine(Config::default());
    let wat = r#"(component
        (import "primary" (implements "a:b/c@1.0.0") (instance $p (export "f" (func (result u32)))))
        (import "secondary" (implements "a:b/c@1.0.0") (instance $s (export "f" (func (result u32)))))
        (core func $p (canon lower (func $p "f")))
        (core func $s (canon lower (func $s "f")))
        (core module $m
            (import "" "p" (func $p (result i32)))
            (import "" "s" (func $s (result i32)))
            (func (export "f") (result i32) (i32.add (call $p) (call $s))))
        (core instance $i (instantiate $m (with "" (instance (export "p" (func $p)) (export "s" (func $s))))))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
    let component = component(&engine, wat);
    assert_eq!(component.implements("primary"), Some("a:b/c@1.0.0"));
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("a:b/c@1.3.0").unwrap().func_wrap("f", |_, (): ()| Ok(1u32)).unwrap();
    linker.instance("secondary").unwrap().func_wrap("f", |_, (): ()| Ok(20u32)).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    assert_eq!(func.call(&mut store, &[]).unwrap(), Some(Val::U32(21)));
}

#[test]
fn a_name_is_defined_once_unless_shadowing_is_allowed() {
    let engine = engine(Config::default());
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("f", |_, (): ()| Ok(())).unwrap();
    assert!(linker.root().func_wrap("f", |_, (): ()| Ok(())).is_err());
    assert!(linker.instance("f").is_err());
    linker.allow_shadowing(true).root().func_wrap("f", |_, (): ()| Ok(())).unwrap();
}

#[test]
fn unknown_imports_can_be_traps_that_say_their_names() {
    let engine = engine(Config::default());
    let component = component(
        &engine,
        r#"(component
            (import "a:b/c@0.2.0" (instance $c
                (export "r" (type $r (sub resource)))
                (export "known" (func))
                (export "unknown" (func (param "r" (own $r))))))
            (alias export $c "unknown" (func $unknown))
            (core func $unknown' (canon lower (func $unknown)))
            (core module $m (import "" "u" (func $u (param i32))) (func (export "f") (call $u (i32.const 1))))
            (core instance $i (instantiate $m (with "" (instance (export "u" (func $unknown'))))))
            (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("a:b/c@0.2.7").unwrap().func_wrap("known", |_, (): ()| Ok(())).unwrap();
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    let trap = trap_of(func.call(&mut store, &[]));
    assert_eq!(trap, "import that is not linked was called: `a:b/c@0.2.0#unknown`");
}

#[test]
fn exports_are_found_by_another_version_of_their_track() {
    let mut setup = instantiate(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (component $shim (import "run" (func $run (result (result)))) (export "run" (func $run)))
            (instance $run (instantiate $shim (with "run" (func $run))))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#,
    );
    let Setup { store, instance } = &mut setup;
    let run = instance.func_of(store, "wasi:cli/run@0.2.12", "run").unwrap();
    assert_eq!(run.call(&mut *store, &[]).unwrap(), Some(Val::Result(Err(None))));
    type Run = core::result::Result<(), ()>;
    let typed = instance.typed_of::<(), Run>(store, "wasi:cli/run@0.2.0", "run").unwrap();
    assert_eq!(typed.call(&mut *store, ()).unwrap(), Err(()));
    let error =
        instance.typed_of::<(), Run>(store, "wasi:http/incoming-handler@0.2.0", "handle").unwrap_err();
    assert!(error.to_string().contains("it exports wasi:cli/run@0.2.3"), "{error}");
    assert!(instance.func_of(store, "wasi:cli/run@0.3.0", "run").is_none());
}

#[test]
fn nested_components_take_modules_and_components_from_outside() {
    let mut setup = instantiate(
        r#"(component $outer
            (core module $one (func (export "n") (result i32) (i32.const 1)))
            (component $two
                (core module $m (func (export "n") (result i32) (i32.const 2)))
                (core instance $i (instantiate $m))
                (func (export "n") (result u32) (canon lift (core func $i "n"))))
            (component $middle
                (component $inner
                    (alias outer $outer $one (core module $one))
                    (alias outer $outer $two (component $two))
                    (core instance $one (instantiate $one))
                    (instance $two (instantiate $two))
                    (func (export "one") (result u32) (canon lift (core func $one "n")))
                    (export "two" (func $two "n")))
                (instance $inner (instantiate $inner))
                (export "inner" (instance $inner)))
            (instance $middle (instantiate $middle))
            (alias export $middle "inner" (instance $inner))
            (export "one" (func $inner "one"))
            (export "two" (func $inner "two")))"#,
    );
    assert_eq!(setup.call("one", &[]).unwrap(), Some(Val::U32(1)));
    assert_eq!(setup.call("two", &[]).unwrap(), Some(Val::U32(2)));
}

#[test]
fn modules_and_components_are_given_and_checked() {
    let wat = r#"(component
        (import "m" (core module $m (export "f" (func (result i32)))))
        (import "c" (component $c (import "f" (func (result u32))) (export "g" (func (result u32)))))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $c (instantiate $c (with "f" (func $f))))
        (export "g" (func $c "g")))"#;
    let passing = r#"(component (import "f" (func $f (result u32))) (export "g" (func $f)))"#;
    let module =
        |engine: &Engine, wat: &str| crate::Module::new(engine, wat::parse_str(wat).unwrap()).unwrap();
    let seven = r#"(module (func (export "f") (result i32) (i32.const 7)) (func (export "more")))"#;

    let engine = engine(Config::default());
    let mut linker = Linker::<()>::new(&engine);
    linker.root().module("m", &module(&engine, seven)).unwrap();
    linker.root().component("c", &component(&engine, passing)).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component(&engine, wat)).unwrap();
    let func = instance.func(&mut store, "g").unwrap();
    assert_eq!(func.call(&mut store, &[]).unwrap(), Some(Val::U32(7)));

    for (m, c, message) in [
        (r#"(module (func (export "f") (result i64) (i64.const 7)))"#, passing, "module's export `f`"),
        (
            r#"(module (import "x" "y" (func)) (func (export "f") (result i32) (i32.const 7)))"#,
            passing,
            "`x::y`",
        ),
        (seven, r#"(component (import "h" (func $h (result u32))) (export "g" (func $h)))"#, "imports `h`"),
        (seven, r#"(component (import "f" (func $f (result u32))))"#, "lacks the export `g`"),
        (seven, r#"(component (import "f" (func $f (result s32))) (export "g" (func $f)))"#, "`c#f`"),
    ] {
        let text = unlinkable(
            |linker, engine| {
                linker.root().module("m", &module(engine, m)).unwrap();
                linker.root().component("c", &component(engine, c)).unwrap();
            },
            wat,
        );
        assert!(text.contains(message), "{message}: {text}");
    }
}

#[test]
fn a_live_instance_is_linked_into_another_component_of_its_store() {
    let engine = engine(Config::default());
    let provider = component(
        &engine,
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 5)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
    );
    let user = component(
        &engine,
        r#"(component
            (import "p" (instance $p (export "f" (func (result u32)))))
            (export "g" (func $p "f")))"#,
    );
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &provider).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    linker.root().exports("p", &instance.exports(&store).unwrap()).unwrap();
    let user = linker.instantiate_pre(&user).unwrap();
    let instance = user.instantiate(&mut store).unwrap();
    let func = instance.func(&mut store, "g").unwrap();
    assert_eq!(func.call(&mut store, &[]).unwrap(), Some(Val::U32(5)));
    let error = user.instantiate(Store::new(&engine, ())).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Usage);
}

#[test]
fn a_linkers_data_must_be_the_stores() {
    let engine = engine(Config::default());
    let component = component(&engine, "(component)");
    let error = Linker::<u32>::new(&engine).instantiate(Store::new(&engine, "text"), &component).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Usage);
}

#[test]
fn imports_and_exports_are_told_with_their_types() {
    let engine = engine(Config::default());
    let component = component(
        &engine,
        r#"(component
            (import "a:b/c@1.0.0" (instance $c
                (export "r" (type $r (sub resource)))
                (export "[method]r.f" (func (param "self" (borrow $r)) (result u8)))))
            (core module $m)
            (export "m" (core module $m)))"#,
    );
    let [(name, super::super::ExternType::Instance(ty))] = component.imports() else { panic!("one import") };
    assert_eq!(&**name, "a:b/c@1.0.0");
    let Some(super::super::ExternType::Func(func)) = ty.export("[method]r.f") else { panic!("a function") };
    let [super::super::abi::ValType::Borrow(rt)] = func.ty().param_types() else { panic!("a borrow") };
    assert_eq!(component.resource_name(*rt), Some("r"));
    let [(name, super::super::ExternType::Module(_))] = component.exports() else { panic!("one export") };
    assert_eq!(&**name, "m");
    assert_eq!(component.core_modules().len(), 1);
}
