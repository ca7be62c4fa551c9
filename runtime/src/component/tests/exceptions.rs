//! Exceptions stay inside a component: whatever of it the outside calls, what comes out is a trap. Among those are the functions
//! that the host calls between lifting and lowering, where other engines have crashed (CVE-2025-62711).

use super::super::abi::Val;
use super::*;
use crate::{ErrorKind, ExnRef, Tag, Trap};

/// A component whose core module throws wherever its text says `THROW`, if `$when` is the number given.
fn throwing(when: u32) -> String {
    let throw = |place: u32| if place == when { "(throw $t)" } else { "" };
    format!(
        r#"(component
            (core module $m (tag $t (export "t")) (memory (export "memory") 1)
                (func $start {}) (start $start)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {} (i32.const 1024))
                (func (export "f") (param i32 i32) (result i32) {} (i32.const 64))
                (func (export "post") (param i32) {})
                (func (export "dtor") (param i32) {}))
            (core instance $i (instantiate $m))
            (alias core export $i "t" (core tag $t))
            (core module $n (import "" "t" (tag)))
            (core instance (instantiate $n (with "" (instance (export "t" (tag $t))))))
            (type $r' (resource (rep i32) (dtor (core func $i "dtor"))))
            (export $r "r" (type $r'))
            (core func $new (canon resource.new $r))
            (func (export "f") (param "s" string) (result string) (canon lift (core func $i "f")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc")) (post-return (core func $i "post"))))
            (func (export "new") (param "n" s32) (result (own $r)) (canon lift (core func $new))))"#,
        throw(1),
        throw(2),
        throw(3),
        throw(4),
        throw(5),
    )
}

#[test]
fn what_a_component_throws_traps_at_its_boundary() {
    let engine = engine(Config::default());
    for when in 0..=5 {
        let component = component(&engine, &throwing(when));
        let mut store = Store::new(&engine, ());
        let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component);
        let outcome = instance.and_then(|instance| {
            let func = instance.func(&mut store, "f").unwrap();
            func.call(&mut store, &[Val::String("x".into())])
        });
        match (when, outcome) {
            (0 | 5, Ok(Some(Val::String(s)))) => assert_eq!(s.to_string(), ""),
            (1..=4, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Trap(Trap::UnhandledException), "{when}");
                assert!(error.exception().is_none());
                assert_eq!(error.message(), "unhandled exception in a component");
                assert!(!error.backtrace().frames.is_empty(), "{when}");
            }
            (when, outcome) => panic!("{when}: {outcome:?}"),
        }
    }
}

#[test]
fn a_component_cannot_catch_what_another_one_or_the_host_throws() {
    let text = r#"(component
        (import "host" (func $host))
        (component $inner
            (core module $m (tag $t) (func (export "f") (throw $t)))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
        (component $outer
            (import "f" (func $f))
            (core func $f' (canon lower (func $f)))
            (core module $m (import "" "f" (func $f))
                (func (export "g") (block $h (try_table (catch_all $h) (call $f)) (return))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
            (func (export "g") (canon lift (core func $i "g"))))
        (instance $inner (instantiate $inner))
        (instance $a (instantiate $outer (with "f" (func $inner "f"))))
        (instance $b (instantiate $outer (with "f" (func $host))))
        (export "component" (func $a "g"))
        (export "host" (func $b "g")))"#;
    let engine = engine(Config::default());
    let component = component(&engine, text);
    for name in ["component", "host"] {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_wrap("host", |mut caller: crate::Caller<'_, ()>, (): ()| -> Result<()> {
                let tag = Tag::new(&mut caller, crate::types::FuncType::new([], []))?;
                Err(Error::throw(ExnRef::new(&mut caller, tag, &[])?))
            })
            .unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let error = instance.func(&mut store, name).unwrap().call(&mut store, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trap(Trap::UnhandledException), "{name}");
    }
}
