//! Resources: own and borrow, numbering, destructors, lending, and what goes wrong with them.

use super::super::abi::{Borrow, Own, Val};
use super::super::resource_drop;
use super::*;

/// A component that defines `r` and hands out its handles; the destructor adds the representation to `sum`.
const DEFINER: &str = r#"
    (core module $dtor
        (global $sum (mut i32) (i32.const 0))
        (func (export "dtor") (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))
        (func (export "sum") (result i32) (global.get $sum)))
    (core instance $dtor (instantiate $dtor))
    (type $r' (resource (rep i32) (dtor (core func $dtor "dtor"))))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r))
    (core func $rep (canon resource.rep $r))
    (core func $drop (canon resource.drop $r))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "rep" (func $rep (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "take") (param i32) (result i32) (call $rep (local.get 0)) (call $drop (local.get 0)))
        (func (export "look") (param i32) (result i32) (local.get 0))
        (func (export "new-index") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "drop-index") (param i32) (call $drop (local.get 0)))
        (func (export "rep-index") (param i32) (result i32) (call $rep (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "take") (param "r" (own $r)) (result u32) (canon lift (core func $i "take")))
    (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "look")))
    (func (export "new-index") (param "rep" u32) (result u32) (canon lift (core func $i "new-index")))
    (func (export "drop-index") (param "i" u32) (canon lift (core func $i "drop-index")))
    (func (export "rep-index") (param "i" u32) (result u32) (canon lift (core func $i "rep-index")))
    (func (export "sum") (result u32) (canon lift (core func $dtor "sum")))"#;

fn definer() -> Setup {
    instantiate(&format!("(component {DEFINER})"))
}

#[test]
fn handles_are_numbered_from_1_and_the_last_freed_is_the_next() {
    let mut setup = definer();
    let new = |setup: &mut Setup, rep| match setup.call("new-index", &[Val::U32(rep)]).unwrap() {
        Some(Val::U32(index)) => index,
        other => panic!("{other:?}"),
    };
    assert_eq!([10, 20, 30].map(|rep| new(&mut setup, rep)), [1, 2, 3]);
    setup.call("drop-index", &[Val::U32(1)]).unwrap();
    setup.call("drop-index", &[Val::U32(3)]).unwrap();
    assert_eq!(setup.call("sum", &[]).unwrap(), Some(Val::U32(40)));
    assert_eq!([40, 50, 60].map(|rep| new(&mut setup, rep)), [3, 1, 4]);
    assert_eq!(setup.call("rep-index", &[Val::U32(3)]).unwrap(), Some(Val::U32(40)));
}

#[test]
fn an_own_handle_goes_to_the_host_and_back() {
    let mut setup = definer();
    let Some(own @ Val::Own(resource)) = setup.call("make", &[Val::U32(7)]).unwrap() else {
        panic!("an own")
    };
    assert_eq!(resource.rep, 7);
    assert_eq!(
        setup.call("look", &[Val::Borrow(resource)]).unwrap(),
        Some(Val::U32(7)),
        "the definer gets the rep"
    );
    assert_eq!(setup.call("take", &[own]).unwrap(), Some(Val::U32(7)));
    assert_eq!(setup.call("sum", &[]).unwrap(), Some(Val::U32(7)));
}

#[test]
fn the_host_ends_a_guests_resource_by_its_destructor() {
    let mut setup = definer();
    let Some(Val::Own(resource)) = setup.call("make", &[Val::U32(9)]).unwrap() else { panic!("an own") };
    resource_drop(&mut setup.store, resource).unwrap();
    assert_eq!(setup.call("sum", &[]).unwrap(), Some(Val::U32(9)));
    let other = definer();
    let other_rt = other.instance.exports(&other.store).unwrap().resource("r").unwrap();
    assert_eq!(other_rt, resource.rt, "each store counts its own resource types");
}

#[test]
fn unknown_and_freed_handles_trap() {
    for index in [0, 1, 5, u32::MAX] {
        let mut setup = definer();
        assert_eq!(setup.trap("rep-index", &[Val::U32(index)]), format!("unknown handle index {index}"));
        let again = setup.trap("sum", &[]);
        assert!(again.contains("cannot enter"), "a trap poisons the instance: {again}");
    }
}

#[test]
fn each_instance_has_resources_of_its_own() {
    let mut setup = instantiate(&format!(
        r#"(component
            (component $D {DEFINER})
            (instance $a (instantiate $D))
            (instance $b (instantiate $D))
            (export "a" (instance $a))
            (export "b" (instance $b)))"#
    ));
    let Setup { store, instance } = &mut setup;
    let make = instance.func_of(store, "a", "make").unwrap();
    let take = instance.func_of(store, "b", "take").unwrap();
    let Some(own) = make.call(&mut *store, &[Val::U32(1)]).unwrap() else { panic!("an own") };
    assert_eq!(take.call(&mut *store, &[own]).unwrap_err().kind(), crate::ErrorKind::Usage);
}

/// A user of `r` beside its definer: `run` makes one, lends it, keeps it or not.
fn user(body: &str) -> String {
    format!(
        r#"(component
            (component $D {DEFINER})
            (instance $d (instantiate $D))
            (component $U
                (import "d" (instance $d
                    (export "r" (type $r (sub resource)))
                    (export "make" (func (param "rep" u32) (result (own $r))))
                    (export "take" (func (param "r" (own $r)) (result u32)))
                    (export "look" (func (param "r" (borrow $r)) (result u32)))))
                (import "keep" (func $keep (param "r" u32)))
                (alias export $d "r" (type $r))
                (core func $make (canon lower (func $d "make")))
                (core func $take (canon lower (func $d "take")))
                (core func $look (canon lower (func $d "look")))
                (core func $keep (canon lower (func $keep)))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "make" (func $make (param i32) (result i32)))
                    (import "" "take" (func $take (param i32) (result i32)))
                    (import "" "look" (func $look (param i32) (result i32)))
                    (import "" "keep" (func $keep (param i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "run") (result i32) {body})
                    (func (export "lent") (param i32) (result i32) (call $look (local.get 0)) (call $drop (local.get 0)))
                    (func (export "kept") (param i32) (result i32) (local.get 0)))
                (core instance $i (instantiate $m (with "" (instance
                    (export "make" (func $make)) (export "take" (func $take)) (export "look" (func $look))
                    (export "keep" (func $keep)) (export "drop" (func $drop))))))
                (func (export "run") (result u32) (canon lift (core func $i "run")))
                (func (export "lent") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "lent")))
                (func (export "kept") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "kept"))))
            (import "keep" (func $keep (param "r" u32)))
            (instance $u (instantiate $U (with "d" (instance $d)) (with "keep" (func $keep))))
            (export $r "r" (type $d "r"))
            (export "make" (func $d "make") (func (param "rep" u32) (result (own $r))))
            (export "sum" (func $d "sum"))
            (export "run" (func $u "run"))
            (export "lent" (func $u "lent") (func (param "r" (borrow $r)) (result u32)))
            (export "kept" (func $u "kept") (func (param "r" (borrow $r)) (result u32))))"#
    )
}

fn with_user(body: &str) -> Setup {
    let engine = engine(Config::default());
    let component = component(&engine, &user(body));
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("keep", |_, (_,): (u32,)| Ok(())).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    Setup { store, instance }
}

#[test]
fn a_user_owns_lends_and_gives_back() {
    let mut setup = with_user(
        "(local $r i32) (local $sum i32)
        (local.set $r (call $make (i32.const 5)))
        (local.set $sum (call $look (local.get $r)))
        (local.set $sum (i32.add (local.get $sum) (call $take (local.get $r))))
        (local.set $r (call $make (i32.const 100)))
        (call $drop (local.get $r))
        (i32.add (local.get $sum) (local.get $r))",
    );
    // 5 by borrow, 5 by own, and the handle 1 again.
    assert_eq!(setup.call("run", &[]).unwrap(), Some(Val::U32(11)));
    assert_eq!(setup.call("sum", &[]).unwrap(), Some(Val::U32(105)));
}

#[test]
fn a_handle_that_was_given_away_is_unknown() {
    let mut setup = with_user(
        "(local $r i32)
        (local.set $r (call $make (i32.const 5)))
        (drop (call $take (local.get $r)))
        (call $look (local.get $r))",
    );
    assert_eq!(setup.trap("run", &[]), "unknown handle index 1");
}

#[test]
fn a_borrow_must_be_dropped_before_its_call_returns() {
    let mut setup = with_user("(i32.const 0)");
    let Some(Val::Own(resource)) = setup.call("make", &[Val::U32(3)]).unwrap() else { panic!("an own") };
    assert_eq!(setup.call("lent", &[Val::Borrow(resource)]).unwrap(), Some(Val::U32(3)));
    assert_eq!(setup.call("sum", &[]).unwrap(), Some(Val::U32(0)), "a borrow ends nothing");
    let trap = setup.trap("kept", &[Val::Borrow(resource)]);
    assert!(trap.contains("borrow handles still remain at the end of the call"), "{trap}");
}

struct Counter;

/// A component that imports the resource `counter` of the host.
const HOST_USER: &str = r#"(component
    (import "h" (instance $h
        (export "counter" (type $c (sub resource)))
        (export "[constructor]counter" (func (param "n" u32) (result (own $c))))
        (export "[method]counter.add" (func (param "self" (borrow $c)) (param "n" u32) (result u32)))
        (export "finish" (func (param "c" (own $c))))))
    (alias export $h "counter" (type $c))
    (core func $new (canon lower (func $h "[constructor]counter")))
    (core func $add (canon lower (func $h "[method]counter.add")))
    (core func $finish (canon lower (func $h "finish")))
    (core func $drop (canon resource.drop $c))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "add" (func $add (param i32 i32) (result i32)))
        (import "" "finish" (func $finish (param i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "f") (result i32)
            (local $a i32) (local $b i32) (local $sum i32)
            (local.set $a (call $new (i32.const 10)))
            (local.set $b (call $new (i32.const 20)))
            (local.set $sum (i32.add (call $add (local.get $a) (i32.const 1)) (call $add (local.get $b) (i32.const 2))))
            (call $finish (local.get $a))
            (call $drop (local.get $b))
            (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "add" (func $add)) (export "finish" (func $finish)) (export "drop" (func $drop))))))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

#[test]
fn host_resources_are_numbers_of_the_host() {
    #[derive(Default)]
    struct Host {
        counters: Vec<u32>,
        finished: Vec<u32>,
        dropped: Vec<u32>,
    }
    let engine = engine(Config::default());
    let component = component(&engine, HOST_USER);
    let mut linker = Linker::<Host>::new(&engine);
    let mut h = linker.instance("h").unwrap();
    h.resource::<Counter>("counter", |mut caller, rep| {
        caller.data_mut().dropped.push(rep);
        Ok(())
    })
    .unwrap();
    h.func_wrap("[constructor]counter", |mut caller, (n,): (u32,)| {
        caller.data_mut().counters.push(n);
        Ok(Own::<Counter>::new(caller.data().counters.len() as u32 - 1))
    })
    .unwrap();
    h.func_wrap("[method]counter.add", |mut caller, (this, n): (Borrow<Counter>, u32)| {
        let counter = &mut caller.data_mut().counters[this.rep() as usize];
        *counter += n;
        Ok(*counter)
    })
    .unwrap();
    h.func_wrap("finish", |mut caller, (counter,): (Own<Counter>,)| {
        caller.data_mut().finished.push(counter.rep());
        Ok(())
    })
    .unwrap();
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    assert_eq!(func.call(&mut store, &[]).unwrap(), Some(Val::U32(33)));
    assert_eq!(store.data().finished, [0]);
    assert_eq!(store.data().dropped, [1], "what was given to the host is the host's to end");
}

#[test]
fn a_resource_of_another_rust_type_does_not_link() {
    struct Other;
    let engine = engine(Config::default());
    let component = component(&engine, HOST_USER);
    let mut linker = Linker::<()>::new(&engine);
    let mut h = linker.instance("h").unwrap();
    h.resource::<Counter>("counter", |_, _| Ok(())).unwrap();
    h.func_wrap("[constructor]counter", |_, (_,): (u32,)| Ok(Own::<Other>::new(0))).unwrap();
    let error = linker.instantiate_pre(&component).unwrap_err();
    assert!(error.to_string().contains("`h#[constructor]counter`"), "{error}");
}

#[test]
fn the_handle_table_is_bounded_by_the_stores_limit() {
    let engine = engine(Config::default());
    let component = component(&engine, &format!("(component {DEFINER})"));
    let mut store = Store::new(&engine, ());
    store.set_limits(crate::StoreLimits { handles: 2, ..Default::default() });
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
    let mut setup = Setup { store, instance };
    setup.call("new-index", &[Val::U32(1)]).unwrap();
    setup.call("new-index", &[Val::U32(1)]).unwrap();
    let trap = setup.trap("new-index", &[Val::U32(1)]);
    assert!(trap.contains("handle table is full"), "{trap}");
}

#[test]
fn a_type_taken_from_an_instance_brings_the_resource_it_names() {
    // Only the record is aliased, never the resource in it.
    let engine = engine(Config::default());
    let component = component(
        &engine,
        r#"(component
            (import "h" (instance $h
                (export "counter" (type $c (sub resource)))
                (type $pair' (record (field "n" u32) (field "c" (own $c))))
                (export "pair" (type $pair (eq $pair')))))
            (alias export $h "pair" (type $pair))
            (core module $m (func (export "f") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "p" $pair) (result u32) (canon lift (core func $i "f"))))"#,
    );
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("h").unwrap().resource::<Counter>("counter", |_, _| Ok(())).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    let resource =
        super::super::abi::Resource { rt: super::super::abi::ResourceType::host::<Counter>(), rep: 77 };
    let pair = Val::Record(vec![Val::U32(1), Val::Own(resource)]);
    assert_eq!(func.call(&mut store, &[pair]).unwrap(), Some(Val::U32(1)), "the first handle");
}

#[test]
fn an_interface_that_uses_anothers_resource_needs_no_second_definition() {
    let engine = engine(Config::default());
    let component = component(
        &engine,
        r#"(component
            (import "a" (instance $a (export "counter" (type (sub resource)))))
            (alias export $a "counter" (type $c))
            (import "b" (instance $b
                (export "counter" (type $c' (eq $c)))
                (export "f" (func (param "c" (borrow $c'))))))
            (alias export $b "counter" (type $again))
            (core func (canon resource.drop $again))
            (core func (canon lower (func $b "f"))))"#,
    );
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("a").unwrap().resource::<Counter>("counter", |_, _| Ok(())).unwrap();
    // With traps for what is unknown, `counter` of `b` is still that of `a`.
    let mut trapping = linker.clone();
    trapping.define_unknown_imports_as_traps(&component).unwrap();
    trapping.instance("b").unwrap();
    trapping.instantiate(Store::new(&engine, ()), &component).unwrap();
    linker.instance("b").unwrap().func_wrap("f", |_, (_,): (Borrow<Counter>,)| Ok(())).unwrap();
    linker.instantiate(Store::new(&engine, ()), &component).unwrap();
}

/// A definer whose code for `realloc` and for the destructor is given, with a host function `host`.
fn odd_definer(realloc: &str, dtor: &str) -> String {
    format!(
        r#"(component
            (import "host" (func $host))
            (core func $host' (canon lower (func $host)))
            (core module $dtor
                (import "" "host" (func $host))
                (func (export "dtor") (param i32) {dtor}))
            (core instance $dtor (instantiate $dtor (with "" (instance (export "host" (func $host'))))))
            (type $r' (resource (rep i32) (dtor (core func $dtor "dtor"))))
            (export $r "r" (type $r'))
            (core func $new (canon resource.new $r))
            (core func $rep (canon resource.rep $r))
            (core func $drop (canon resource.drop $r))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (import "" "rep" (func $rep (param i32) (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (import "" "host" (func $host))
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc} (i32.const 64))
                (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
                (func (export "drop") (param i32) (call $drop (local.get 0)))
                (func (export "text") (param i32 i32)))
            (core instance $i (instantiate $m (with "" (instance
                (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
                (export "host" (func $host'))))))
            (alias core export $i "memory" (core memory $memory))
            (func (export "make") (param "rep" u32) (result u32) (canon lift (core func $i "make")))
            (func (export "drop") (param "i" u32) (canon lift (core func $i "drop")))
            (func (export "text") (param "s" string)
                (canon lift (core func $i "text") (memory $memory) (realloc (core func $i "realloc")))))"#
    )
}

fn odd(realloc: &str, dtor: &str) -> (Store<Option<super::super::Func>>, Instance) {
    let engine = engine(Config::default());
    let component = component(&engine, &odd_definer(realloc, dtor));
    let mut linker = Linker::<Option<super::super::Func>>::new(&engine);
    // The host enters the component again, by the function it was told, once.
    linker
        .root()
        .func_wrap("host", |mut caller, (): ()| match caller.data_mut().take() {
            Some(func) => func.call(&mut caller, &[Val::U32(2)]).map(|_| ()),
            None => Ok(()),
        })
        .unwrap();
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

#[test]
fn resource_new_and_drop_may_not_be_called_from_realloc_but_rep_may() {
    for (realloc, leaves) in [
        ("(drop (call $new (i32.const 1)))", true),
        ("(call $drop (i32.const 1))", true),
        ("(drop (call $rep (i32.const 1)))", false),
    ] {
        let (mut store, instance) = odd(realloc, "");
        let make = instance.func(&mut store, "make").unwrap();
        make.call(&mut store, &[Val::U32(5)]).unwrap();
        let text = instance.func(&mut store, "text").unwrap();
        let result = text.call(&mut store, &["x".into()]);
        if leaves {
            assert!(trap_of(result).contains("cannot leave component instance"), "{realloc}");
        } else {
            result.unwrap();
        }
    }
}

#[test]
fn a_destructor_that_traps_poisons_its_instance() {
    let (mut store, instance) = odd("", "(unreachable)");
    let make = instance.func(&mut store, "make").unwrap();
    let drop = instance.func(&mut store, "drop").unwrap();
    make.call(&mut store, &[Val::U32(5)]).unwrap();
    assert!(trap_of(drop.call(&mut store, &[Val::U32(1)])).contains("unreachable"));
    assert!(trap_of(make.call(&mut store, &[Val::U32(5)])).contains("cannot enter component instance"));
}

#[test]
fn a_destructor_may_enter_its_component_again() {
    let (mut store, instance) = odd("", "(call $host)");
    let make = instance.func(&mut store, "make").unwrap();
    let drop = instance.func(&mut store, "drop").unwrap();
    make.call(&mut store, &[Val::U32(5)]).unwrap();
    make.call(&mut store, &[Val::U32(6)]).unwrap();
    // Dropping 1 calls the host, which drops 2.
    *store.data_mut() = Some(drop);
    drop.call(&mut store, &[Val::U32(1)]).unwrap();
    let again = make.call(&mut store, &[Val::U32(7)]).unwrap();
    assert_eq!(again, Some(Val::U32(2)), "both are free, the last freed is the next");
}

#[test]
fn a_handle_cannot_be_dropped_while_it_is_lent() {
    let engine = engine(Config::default());
    let component = component(
        &engine,
        r#"(component
            (import "h" (instance $h
                (export "counter" (type $c (sub resource)))
                (export "make" (func (result (own $c))))
                (export "lend" (func (param "c" (borrow $c))))))
            (alias export $h "counter" (type $c))
            (core func $make (canon lower (func $h "make")))
            (core func $lend (canon lower (func $h "lend")))
            (core func $drop (canon resource.drop $c))
            (core module $m
                (import "" "make" (func $make (result i32)))
                (import "" "lend" (func $lend (param i32)))
                (import "" "drop" (func $drop (param i32)))
                (func (export "run") (call $lend (call $make)))
                (func (export "drop") (param i32) (call $drop (local.get 0))))
            (core instance $i (instantiate $m (with "" (instance
                (export "make" (func $make)) (export "lend" (func $lend)) (export "drop" (func $drop))))))
            (func (export "run") (canon lift (core func $i "run")))
            (func (export "drop") (param "i" u32) (canon lift (core func $i "drop"))))"#,
    );
    let mut linker = Linker::<Option<super::super::Func>>::new(&engine);
    let mut h = linker.instance("h").unwrap();
    h.resource::<Counter>("counter", |_, _| Ok(())).unwrap();
    h.func_wrap("make", |_, (): ()| Ok(Own::<Counter>::new(1))).unwrap();
    h.func_wrap("lend", |mut caller, (_,): (Borrow<Counter>,)| match *caller.data() {
        Some(drop) => drop.call(&mut caller, &[Val::U32(1)]).map(|_| ()),
        None => Ok(()),
    })
    .unwrap();
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance.func(&mut store, "run").unwrap();
    let drop = instance.func(&mut store, "drop").unwrap();
    run.call(&mut store, &[]).unwrap();
    drop.call(&mut store, &[Val::U32(1)]).unwrap();
    *store.data_mut() = Some(drop);
    let trap = trap_of(run.call(&mut store, &[]));
    assert!(trap.contains("cannot remove owned resource while borrowed"), "{trap}");
}
