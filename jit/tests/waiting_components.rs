//! Calls that may wait (`call_async`), of component functions: interpreted and compiled.

mod executor;

use executor::{Pending, block_on, engines, poll_once};
use mini_wasm_runtime::component::abi::{Borrow, GuestOwn, Own, Val};
use mini_wasm_runtime::component::{Component, Instance, Linker, resource_drop_async};
use mini_wasm_runtime::{Engine, ErrorKind, Store, Trap};

/// The host's side of a table whose entries are words.
#[derive(Default)]
struct Words {
    kept: Vec<String>,
    dropped: u32,
}

enum Word {}

fn linker(engine: &Engine) -> Linker<Words> {
    let mut linker = Linker::<Words>::new(engine);
    let mut words = linker.instance("my:test/words@1.0.0").unwrap();
    words
        .resource_async::<Word>("word", |mut caller, _| {
            Box::new(async move {
                Pending(1).await;
                caller.data_mut().dropped += 1;
                Ok(())
            })
        })
        .unwrap();
    words
        .func_wrap_async("[constructor]word", |mut caller, (text,): (String,)| {
            Box::new(async move {
                Pending(text.len()).await;
                caller.data_mut().kept.push(text);
                Ok(Own::<Word>::new(caller.data().kept.len() as u32 - 1))
            })
        })
        .unwrap();
    words
        .func_wrap_async("[method]word.read", |caller, (word,): (Borrow<Word>,)| {
            Box::new(async move {
                Pending(2).await;
                Ok(caller.data().kept[word.rep() as usize].clone())
            })
        })
        .unwrap();
    words
        .func_new_async("sum", |_, _, args| {
            Box::new(async move {
                Pending(3).await;
                let sum = args.iter().map(|arg| match arg {
                    Val::U32(n) => *n,
                    _ => 0,
                });
                Ok(Some(Val::U32(sum.sum())))
            })
        })
        .unwrap();
    linker
}

/// `echo` makes a word of the host, reads it, and drops it: the host waits in all three. It goes through two components, `$outer` and
/// `$inner`. `trap` waits and traps; `borrow` takes a borrow of the guest's own resource and waits.
const GUEST: &str = r#"(component
    (import "my:test/words@1.0.0" (instance $words
        (export "word" (type $word (sub resource)))
        (export "[constructor]word" (func (param "text" string) (result (own $word))))
        (export "[method]word.read" (func (param "self" (borrow $word)) (result string)))
        (export "sum" (func (param "a" u32) (param "b" u32) (result u32)))))
    (alias export $words "word" (type $word))
    (component $inner
        (import "word" (type $word (sub resource)))
        (import "make" (func $make (param "text" string) (result (own $word))))
        (import "read" (func $read (param "self" (borrow $word)) (result string)))
        (import "sum" (func $sum (param "a" u32) (param "b" u32) (result u32)))
        (core module $libc
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))
                (i32.sub (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
        (core instance $libc (instantiate $libc))
        (core func $make (canon lower (func $make) (memory (core memory $libc "memory"))))
        (core func $read (canon lower (func $read)
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core func $sum (canon lower (func $sum)))
        (core func $drop (canon resource.drop $word))
        (type $own (resource (rep i32)))
        (core func $new (canon resource.new $own))
        (core module $m
            (import "" "make" (func $make (param i32 i32) (result i32)))
            (import "" "read" (func $read (param i32 i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "sum" (func $sum (param i32 i32) (result i32)))
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "echo") (param i32 i32) (result i32) (local $word i32)
                (local.set $word (call $make (local.get 0) (local.get 1)))
                (call $read (local.get $word) (i32.const 16))
                (call $drop (local.get $word))
                (i32.const 16))
            (func (export "trap") (drop (call $sum (i32.const 1) (i32.const 2))) (unreachable))
            (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
            (func (export "use") (param i32) (result i32) (call $sum (local.get 0) (i32.const 1))))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "read" (func $read)) (export "drop" (func $drop))
            (export "sum" (func $sum)) (export "new" (func $new))))))
        (func (export "echo") (param "text" string) (result string)
            (canon lift (core func $i "echo") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (func (export "trap") (canon lift (core func $i "trap")))
        (export $own' "thing" (type $own))
        (func (export "new") (param "rep" u32) (result (own $own')) (canon lift (core func $i "new")))
        (func (export "use") (param "thing" (borrow $own')) (result u32) (canon lift (core func $i "use"))))
    (instance $inner (instantiate $inner
        (with "word" (type $word))
        (with "make" (func $words "[constructor]word"))
        (with "read" (func $words "[method]word.read"))
        (with "sum" (func $words "sum"))))
    (component $outer
        (import "echo" (func $echo (param "text" string) (result string)))
        (core module $libc
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.add (global.get $next) (local.get 3)))
                (i32.sub (global.get $next) (local.get 3))))
        (core instance $libc (instantiate $libc))
        (core func $echo (canon lower (func $echo)
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "echo" (func $echo (param i32 i32 i32)))
            (func (export "echo") (param i32 i32) (result i32)
                (call $echo (local.get 0) (local.get 1) (i32.const 32))
                (i32.const 32)))
        (core instance $i (instantiate $m (with "" (instance (export "echo" (func $echo))))))
        (func (export "echo") (param "text" string) (result string)
            (canon lift (core func $i "echo") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
    (instance $outer (instantiate $outer (with "echo" (func $inner "echo"))))
    (export "echo" (func $outer "echo"))
    (export "direct" (func $inner "echo"))
    (export "trap" (func $inner "trap"))
    (export "things" (instance $inner)))"#;

enum Thing {}

fn each(test: impl Fn(&mut Store<Words>, Instance, &Component)) {
    for engine in engines(|_| ()) {
        let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
        let mut store = Store::new(&engine, Words::default());
        let instance = linker(&engine).instantiate(&mut store, &component).unwrap();
        test(&mut store, instance, &component);
        drop(store);
        assert_eq!(engine.gc_bytes(), 0, "stacks are given back");
    }
}

#[test]
fn a_component_waits_in_imports_and_in_the_destructor_of_a_host_resource() {
    each(|store, instance, _| {
        let echo = instance.typed::<(String,), String>(store, "echo").unwrap();
        for text in ["four", "fiver", "gr\u{fc}n"] {
            let (result, polls) = block_on(echo.call_async(store, (text.to_owned(),)));
            assert_eq!((result.unwrap().as_str(), polls), (text, 1 + text.len() + 2 + 1));
            let (result, _) = block_on(echo.call_lent_async(store, (text,)));
            assert_eq!(result.unwrap(), text);
        }
        assert_eq!((store.data().kept.len(), store.data().dropped), (6, 6));
        let dynamic = instance.func(store, "echo").unwrap();
        assert_eq!(block_on(dynamic.call_async(store, &[Val::from("x")])).0.unwrap(), Some(Val::from("x")));
    });
}

#[test]
fn instances_in_a_call_that_was_dropped_cannot_be_entered_again_and_others_can() {
    each(|store, _, component| {
        let linker = linker(component.engine());
        let pre = linker.instantiate_pre(component).unwrap();
        let (sound, _) = block_on(pre.instantiate_async(store));
        let sound = sound.unwrap();
        for polls in 0..8 {
            let (instance, _) = block_on(pre.instantiate_async(store));
            let instance = instance.unwrap();
            let echo = instance.typed::<(String,), String>(store, "echo").unwrap();
            let direct = instance.typed::<(String,), String>(store, "direct").unwrap();
            let mut call = echo.call_async(store, ("four".into(),));
            let mut over = false;
            for _ in 0..polls {
                over = over || poll_once(&mut call).is_ready();
            }
            drop(call);
            for func in [&echo, &direct] {
                match block_on(func.call_async(store, ("again".into(),))).0 {
                    Ok(text) => assert!((over || polls == 0) && text == "again"),
                    Err(error) => {
                        assert!(!over && polls > 0, "{error}");
                        assert_eq!(error.trap(), Some(Trap::CannotEnterComponent));
                    }
                }
            }
            let echo = sound.typed::<(String,), String>(store, "echo").unwrap();
            assert_eq!(block_on(echo.call_async(store, ("yes".into(),))).0.unwrap(), "yes");
        }
    });
}

#[test]
fn a_trap_after_a_wait_is_a_trap_and_a_call_without_waiting_says_what_to_do() {
    each(|store, instance, _| {
        let echo = instance.typed::<(String,), String>(store, "echo").unwrap();
        let error = echo.call(&mut *store, ("x".into(),)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("call_async"), "{error}");
    });
    each(|store, instance, _| {
        let trap = instance.typed::<(), ()>(store, "trap").unwrap();
        let (result, polls) = block_on(trap.call_async(store, ()));
        assert_eq!((result.unwrap_err().trap(), polls), (Some(Trap::Unreachable), 4));
    });
}

#[test]
fn what_a_call_borrows_is_borrowed_while_it_waits() {
    each(|store, instance, _| {
        let new = instance.typed_of::<(u32,), GuestOwn<Thing>>(store, "things", "new").unwrap();
        let thing = new.call(&mut *store, (40,)).unwrap();
        let lend = instance.func_of(store, "things", "use").unwrap();
        let resource = thing.resource();
        let (result, polls) = block_on(lend.call_async(store, &[Val::Borrow(resource)]));
        assert_eq!((result.unwrap(), polls), (Some(Val::U32(41)), 4));
        block_on(resource_drop_async(store, resource)).0.unwrap();
    });
}

#[test]
fn two_stores_with_components_take_turns() {
    for engine in engines(|_| ()) {
        let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
        let linker = linker(&engine);
        let mut stores: Vec<Store<Words>> = (0..4).map(|_| Store::new(&engine, Words::default())).collect();
        let mut calls = Vec::new();
        for (n, store) in stores.iter_mut().enumerate() {
            let instance = linker.instantiate(&mut *store, &component).unwrap();
            let echo = instance.typed::<(String,), String>(store, "echo").unwrap();
            calls.push((n, echo.call_async(store, ("x".repeat(n + 1),))));
        }
        let mut finished = Vec::new();
        while !calls.is_empty() {
            calls.retain_mut(|(n, call)| match poll_once(call) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(result) => {
                    assert_eq!(result.unwrap(), "x".repeat(*n + 1));
                    finished.push(*n);
                    false
                }
            });
        }
        assert_eq!(finished, [0, 1, 2, 3], "the shorter wait is over first");
    }
}
