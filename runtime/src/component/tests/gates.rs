//! What stands behind gates: lists of a fixed length, values in 64-bit memories, nested and canonical names, attributes of names.

use super::super::abi::Val;
use super::super::{Component, Linker};
use super::{engine, trap_of};
use crate::features::Features;
use crate::{Config, Engine, Store};

fn gated() -> Engine {
    let mut features = Features::default();
    for (name, _, _) in Features::LIST {
        if name.starts_with("component-") {
            features.set(name, true);
        }
    }
    engine(Config { features, ..Config::default() })
}

fn call(wat: &str, name: &str, args: &[Val]) -> crate::Result<Option<Val>> {
    let engine = gated();
    let component = Component::new(&engine, wat::parse_str(wat).expect("the test's text parses"))?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component)?;
    instance.func(&mut store, name).expect("it is exported").call(&mut store, args)
}

/// A component that gives back what it is given, and lies in a 64-bit memory; in front of it another one with a 32-bit memory, so that
/// values cross between memories of both kinds.
const WIDE: &str = r#"(component
    (component $inner
        (core module $libc
            (memory (export "memory") i64 2)
            (global $next (mut i64) (i64.const 4096))
            (func (export "realloc") (param $old i64) (param $old-size i64) (param $align i64) (param $new-size i64) (result i64)
                (local $at i64)
                (local.set $at
                    (i64.and
                        (i64.add (global.get $next) (i64.sub (local.get $align) (i64.const 1)))
                        (i64.xor (i64.sub (local.get $align) (i64.const 1)) (i64.const -1))))
                (global.set $next (i64.add (local.get $at) (local.get $new-size)))
                (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
                (local.get $at)))
        (core instance $libc (instantiate $libc))
        (core module $m
            (import "libc" "memory" (memory i64 1))
            (func (export "echo") (param $at i64) (param $len i64) (result i64)
                (i64.store (i64.const 64) (local.get $at))
                (i64.store (i64.const 72) (local.get $len))
                (i64.const 64))
            (func (export "wrong") (param i64 i64) (result i64)
                ;; A string beyond 4 GiB.
                (i64.store (i64.const 64) (i64.const 0x1_0000_0000))
                (i64.store (i64.const 72) (i64.const 1))
                (i64.const 64))
            (func (export "far") (param i64 i64) (result i64) (i64.const 0x1_0000_0040)))
        (core instance $i (instantiate $m (with "libc" (instance $libc))))
        (func (export "echo") (param "s" string) (result string)
            (canon lift (core func $i "echo") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (func (export "wrong") (param "s" string) (result string)
            (canon lift (core func $i "wrong") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (func (export "far") (param "s" string) (result string)
            (canon lift (core func $i "far") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (func (export "numbers") (param "l" (list u16)) (result (list u16))
            (canon lift (core func $i "echo") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
    (instance $inner (instantiate $inner))
    (component $outer
        (import "echo" (func $echo (param "s" string) (result string)))
        (core module $libc
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.add (global.get $next) (i32.const 64)))
                (memory.copy (global.get $next) (local.get 0) (local.get 1))
                (global.get $next)))
        (core instance $libc (instantiate $libc))
        (core func $lower (canon lower (func $echo) string-encoding=utf16
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "echo" (func $echo (param i32 i32 i32)))
            (func (export "echo") (param i32 i32) (result i32)
                (call $echo (local.get 0) (local.get 1) (i32.const 128))
                (i32.const 128)))
        (core instance $i (instantiate $m (with "" (instance (export "echo" (func $lower))))))
        (func (export "echo") (param "s" string) (result string)
            (canon lift (core func $i "echo") string-encoding=utf16
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
    (instance $outer (instantiate $outer (with "echo" (func $inner "echo"))))
    (export "echo" (func $inner "echo"))
    (export "between" (func $outer "echo"))
    (export "numbers" (func $inner "numbers"))
    (export "far" (func $inner "far"))
    (export "wrong" (func $inner "wrong")))"#;

#[test]
fn values_lie_in_64_bit_memories_and_cross_between_them_and_32_bit_ones() {
    for name in ["echo", "between"] {
        let back = call(WIDE, name, &[Val::from("gr\u{fc}n")]).unwrap();
        assert_eq!(back, Some(Val::from("gr\u{fc}n")), "{name}");
    }
    let numbers = Val::List(vec![1u16, 65535].into());
    assert_eq!(call(WIDE, "numbers", core::slice::from_ref(&numbers)).unwrap(), Some(numbers));
}

#[test]
fn what_lies_beyond_4_gib_is_not_taken_for_what_lies_below() {
    for name in ["wrong", "far"] {
        let trap = trap_of(call(WIDE, name, &[Val::from("s")]));
        assert!(trap.contains("out of bounds"), "{trap}");
    }
}

/// A component with a resource that an i64 represents, behind it another one that has handles of it only.
const WIDE_RESOURCE: &str = r#"(component
    (component $definer
        (core module $dtor
            (global $ended (export "ended") (mut i64) (i64.const 0))
            (func (export "dtor") (param i64) (global.set $ended (local.get 0))))
        (core instance $d (instantiate $dtor))
        (type $r (resource (rep i64) (dtor (core func $d "dtor"))))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "new" (func $new (param i64) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i64)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "ended" (global $ended (mut i64)))
            (func (export "make") (param i64) (result i32) (call $new (local.get 0)))
            (func (export "take") (param i32) (result i64) (call $rep (local.get 0)) (call $drop (local.get 0)))
            ;; A borrow comes as the representation.
            (func (export "look") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
            (func (export "ended") (result i64) (global.get $ended)))
        (core instance $i (instantiate $m (with "" (instance
            (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
            (export "ended" (global $d "ended"))))))
        (export $R "r" (type $r))
        (func (export "make") (param "rep" u64) (result (own $R)) (canon lift (core func $i "make")))
        (func (export "take") (param "r" (own $R)) (result u64) (canon lift (core func $i "take")))
        (func (export "look") (param "r" (borrow $R)) (result u64) (canon lift (core func $i "look")))
        (func (export "ended") (result u64) (canon lift (core func $i "ended"))))
    (instance $d (instantiate $definer))
    (alias export $d "r" (type $r))
    (component $user
        (import "r" (type $r (sub resource)))
        (import "make" (func $make (param "rep" u64) (result (own $r))))
        (import "look" (func $look (param "r" (borrow $r)) (result u64)))
        (core func $make' (canon lower (func $make)))
        (core func $look' (canon lower (func $look)))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "make" (func $make (param i64) (result i32)))
            (import "" "look" (func $look (param i32) (result i64)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "lend") (param i64) (result i64) (local $i i32) (local $seen i64)
                (local.set $i (call $make (local.get 0)))
                (local.set $seen (call $look (local.get $i)))
                (call $drop (local.get $i))
                (local.get $seen)))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make')) (export "look" (func $look')) (export "drop" (func $drop))))))
        (func (export "lend") (param "rep" u64) (result u64) (canon lift (core func $i "lend"))))
    (instance $u (instantiate $user (with "r" (type $r)) (with "make" (func $d "make")) (with "look" (func $d "look"))))
    (export "lend" (func $u "lend"))
    (export $R "r" (type $r))
    (export "make" (func $d "make") (func (param "rep" u64) (result (own $R))))
    (export "take" (func $d "take") (func (param "r" (own $R)) (result u64)))
    (export "look" (func $d "look") (func (param "r" (borrow $R)) (result u64)))
    (export "ended" (func $d "ended")))"#;

#[test]
fn a_resource_may_be_represented_by_an_i64() {
    const WIDE: u64 = 0xfedc_ba98_7654_3210;
    let engine = gated();
    let component = Component::new(&engine, wat::parse_str(WIDE_RESOURCE).unwrap()).unwrap();
    let instantiate = || {
        let mut store = Store::new(&engine, ());
        let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
        (store, instance)
    };
    let (mut store, instance) = instantiate();
    let mut call = |name, args: &[Val]| instance.func(&mut store, name).unwrap().call(&mut store, args);
    let Some(resource @ Val::Own(_)) = call("make", &[Val::U64(WIDE)]).unwrap() else { panic!("an `own`") };
    assert_eq!(call("take", &[resource]).unwrap(), Some(Val::U64(WIDE)));
    assert_eq!(call("ended", &[]).unwrap(), Some(Val::U64(WIDE)), "its destructor saw all of it");
    // What the definer is lent is an i32: it gets the representation if that is one.
    assert_eq!(call("lend", &[Val::U64(0xffff_ffff)]).unwrap(), Some(Val::U64(0xffff_ffff)));
    assert!(trap_of(call("lend", &[Val::U64(WIDE)])).contains("does not fit in an i32"));
    let (mut store, instance) = instantiate();
    let mut call = |name, args: &[Val]| instance.func(&mut store, name).unwrap().call(&mut store, args);
    let Some(Val::Own(resource)) = call("make", &[Val::U64(WIDE)]).unwrap() else { panic!("an `own`") };
    assert_eq!(resource.rep, WIDE);
    assert!(trap_of(call("look", &[Val::Borrow(resource)])).contains("does not fit in an i32"));
}

#[test]
fn lists_of_a_fixed_length_are_flat_or_in_memory() {
    let wat = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "sum") (param i32 i32 i32) (result i32)
                (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2))))
            (func (export "twice") (param i32 i32 i32) (result i32)
                (i32.store16 (i32.const 16) (local.get 0))
                (i32.store16 (i32.const 18) (local.get 1))
                (i32.store16 (i32.const 20) (local.get 2))
                (i32.const 16)))
        (core instance $i (instantiate $m))
        (func (export "sum") (param "l" (list u32 3)) (result u32) (canon lift (core func $i "sum")))
        (func (export "same") (param "l" (list u16 3)) (result (list u16 3))
            (canon lift (core func $i "twice") (memory (core memory $i "memory")))))"#;
    let list = |a: u16, b: u16, c: u16| Val::List(vec![a, b, c].into());
    let numbers = Val::List(vec![1u32, 2, 39].into());
    assert_eq!(call(wat, "sum", &[numbers]).unwrap(), Some(Val::U32(42)));
    assert_eq!(call(wat, "same", &[list(1, 2, 65535)]).unwrap(), Some(list(1, 2, 65535)));
    let short = call(wat, "sum", &[Val::List(vec![1u32].into())]).unwrap_err();
    assert_eq!(short.kind(), crate::ErrorKind::Usage, "{short}");
}

#[test]
fn a_canonical_name_links_to_any_version_on_its_track_and_keeps_its_attributes() {
    let engine = gated();
    let wat = r#"(component
        (import "my:pkg/math@1" (version-suffix ".4.0") (external-id "m-1")
            (instance $math (export "answer" (func (result u32)))))
        (import "other" (implements "my:pkg/more@0.2") (version-suffix ".9") (instance $more (export "answer" (func (result u32)))))
        (core func $a (canon lower (func $math "answer")))
        (core func $b (canon lower (func $more "answer")))
        (core module $m
            (import "" "a" (func $a (result i32)))
            (import "" "b" (func $b (result i32)))
            (func (export "answer") (result i32) (i32.add (call $a) (call $b))))
        (core instance $i (instantiate $m (with "" (instance (export "a" (func $a)) (export "b" (func $b))))))
        (func $answer (result u32) (canon lift (core func $i "answer")))
        (instance $out (export "answer" (func $answer)))
        (export "my:pkg/out@2" (version-suffix ".1.0") (instance $out)))"#;
    let component = Component::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
    let attributes = component.import_attributes("my:pkg/math@1").unwrap();
    assert_eq!(attributes.version_suffix.as_deref(), Some(".4.0"));
    assert_eq!(attributes.external_id.as_deref(), Some("m-1"));
    assert_eq!(component.implements("other"), Some("my:pkg/more@0.2"));
    assert_eq!(component.export_attributes("my:pkg/out@2").unwrap().version_suffix.as_deref(), Some(".1.0"));
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("my:pkg/math@1.2.3").unwrap().func_wrap("answer", |_, ()| Ok(40u32)).unwrap();
    linker.instance("my:pkg/more@0.2.30").unwrap().func_wrap("answer", |_, ()| Ok(2u32)).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    // From outside the export is found by a version of its track as well.
    let answer = instance.typed_of::<(), u32>(&mut store, "my:pkg/out@2.1.0", "answer").unwrap();
    assert_eq!(answer.call(&mut store, ()).unwrap(), 42);
    // Another track is another interface.
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("my:pkg/math@2.0.0").unwrap().func_wrap("answer", |_, ()| Ok(40u32)).unwrap();
    let error = linker.instantiate_pre(&component).unwrap_err().to_string();
    assert!(error.contains("my:pkg/math@1") && error.contains("my:pkg/math@2.0.0"), "{error}");
}

#[test]
fn nested_names_link_as_they_stand() {
    let engine = gated();
    let wat = r#"(component
        (import "a:b:c/d/e@1.0.0" (instance $i (export "f" (func (result u32)))))
        (export "f" (func $i "f")))"#;
    let component = Component::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("a:b:c/d/e@1.3.0").unwrap().func_new("f", |_, _, _| Ok(Some(Val::U32(7)))).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let f = instance.func(&mut store, "f").unwrap();
    assert_eq!(f.call(&mut store, &[]).unwrap(), Some(Val::U32(7)));
}

#[test]
fn gates_are_shut_unless_they_are_opened() {
    let wats = [
        (r#"(component (type (list u8 4)))"#, "ixed-length"),
        (r#"(component (import "a:b:c/d" (func)))"#, "expected `/`"),
        (r#"(component (type (resource (rep i64))))"#, "cm64"),
    ];
    let engine = engine(Config::default());
    for (wat, says) in wats {
        let error = Component::new(&engine, wat::parse_str(wat).unwrap()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// A component whose `get` and `set` are those of the current task, and that calls `other` in between: `run` sets 1, calls, and returns what
/// it finds times ten plus what the callee found at its beginning.
#[test]
fn what_a_task_keeps_is_its_own() {
    let wat = r#"(component
        (component $inner
            (core func $get (canon context.get i32 0))
            (core func $set (canon context.set i32 0))
            (core module $m
                (import "" "get" (func $get (result i32)))
                (import "" "set" (func $set (param i32)))
                (memory (export "memory") 1)
                ;; A task begins with 0, in `realloc` too.
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (i32.store (i32.const 8) (call $get)) (call $set (i32.const 5)) (i32.const 64))
                (func (export "other") (param i32 i32) (result i32) (local $found i32)
                    (local.set $found (call $get))
                    (call $set (i32.const 2))
                    (i32.add (local.get $found) (i32.load (i32.const 8)))))
            (core instance $i (instantiate $m (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
            (func (export "other") (param "s" string) (result u32)
                (canon lift (core func $i "other") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
        (instance $inner (instantiate $inner))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $other (canon lower (func $inner "other") (memory (core memory $libc "memory"))))
        (core func $get (canon context.get i32 0))
        (core func $set (canon context.set i32 0))
        (core module $m
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (import "" "other" (func $other (param i32 i32) (result i32)))
            (func (export "run") (result i32) (local $other i32)
                (if (call $get) (then (unreachable)))
                (call $set (i32.const 1))
                (local.set $other (call $other (i32.const 0) (i32.const 3)))
                (i32.add (i32.mul (call $get) (i32.const 10)) (local.get $other))))
        (core instance $i (instantiate $m (with "" (instance
            (export "get" (func $get)) (export "set" (func $set)) (export "other" (func $other))))))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;
    assert_eq!(call(wat, "run", &[]).unwrap(), Some(Val::U32(15)));
}

#[test]
fn a_builtin_that_is_not_there_yet_traps_by_its_name_when_it_is_called() {
    let wat = r#"(component
        (core func $new (canon waitable-set.new))
        (core module $m
            (import "" "new" (func $new (result i32)))
            (func (export "quiet") (result i32) (i32.const 1))
            (func (export "call") (result i32) (call $new)))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "quiet") (result u32) (canon lift (core func $i "quiet")))
        (func (export "call") (result u32) (canon lift (core func $i "call"))))"#;
    assert_eq!(call(wat, "quiet", &[]).unwrap(), Some(Val::U32(1)));
    assert!(trap_of(call(wat, "call", &[])).contains("`waitable-set.new` is not supported yet"));
}
