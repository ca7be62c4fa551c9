//! Guests and binaries that mean harm: every one ends in an error, none in a panic, an abort, a hang, or memory without bound.

use super::super::abi::Val;
use super::*;

/// A component that exports `f: func(s: string)` with this body for `realloc`.
fn with_realloc(realloc: &str) -> Setup {
    instantiate(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (func (export "f") (param "l" (list u32))
                (canon lift (core func $i "f") (memory $memory) (realloc (core func $i "realloc")))))"#
    ))
}

#[test]
fn a_hostile_realloc_traps() {
    let numbers = Val::List(vec![1u32, 2, 3].into());
    for (realloc, message) in [
        ("(i32.const 65536)", "realloc return: beyond end of memory"),
        ("(i32.const 65528)", "realloc return: beyond end of memory"),
        ("(i32.const -4)", "realloc return: beyond end of memory"),
        ("(i32.const 1)", "realloc return: result not aligned"),
        ("(unreachable)", "unreachable"),
    ] {
        let trap = with_realloc(realloc).trap("f", core::slice::from_ref(&numbers));
        assert!(trap.contains(message), "{realloc}: {trap}");
    }
    with_realloc("(i32.const 65524)").call("f", &[numbers]).unwrap();
}

/// A component whose `f` returns a `t` that its core function gives as `result`, with this data at address 16.
fn returning(ty: &str, core: &str, data: &str) -> Setup {
    instantiate(&format!(
        r#"(component
            (type $t' {ty})
            (export $t "t" (type $t'))
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 16) "{data}")
                (func (export "f") (result i32) {core}))
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (func (export "f") (result $t) (canon lift (core func $i "f") (memory $memory))))"#
    ))
}

#[test]
fn discriminants_past_the_last_case_trap() {
    let ty = "(enum \"a\" \"b\" \"c\")";
    assert_eq!(returning(ty, "(i32.const 2)", "").call("f", &[]).unwrap(), Some(Val::Enum(2)));
    for discriminant in ["3", "4", "255", "-1"] {
        let trap = returning(ty, &format!("(i32.const {discriminant})"), "").trap("f", &[]);
        assert!(trap.contains("invalid variant discriminant"), "{discriminant}: {trap}");
    }
}

#[test]
fn pointers_that_lie_trap() {
    let string = |ptr: &str, len: &str| format!("{ptr}{len}");
    for (data, message) in [
        (string("\\ff\\ff\\00\\00", "\\01\\00\\00\\00"), None),
        (
            string("\\ff\\ff\\00\\00", "\\02\\00\\00\\00"),
            Some("string pointer/length out of bounds of memory"),
        ),
        (string("\\00\\00\\00\\00", "\\ff\\ff\\ff\\ff"), Some("string")),
        (string("\\ff\\ff\\ff\\ff", "\\ff\\ff\\ff\\ff"), Some("string")),
    ] {
        let mut setup = returning("string", "(i32.const 16)", &data);
        match message {
            None => assert_eq!(setup.call("f", &[]).unwrap(), Some("\0".into())),
            Some(message) => {
                let trap = setup.trap("f", &[]);
                assert!(trap.contains(message), "{trap}");
            }
        }
    }
    for (core, message) in [
        ("(i32.const 17)", "unaligned pointer"),
        ("(i32.const 65532)", "out of bounds"),
        ("(i32.const -4)", "out of bounds"),
    ] {
        let trap = returning("string", core, "").trap("f", &[]);
        assert!(trap.contains(message), "{core}: {trap}");
    }
}

#[test]
fn characters_and_bools_are_checked() {
    for bits in ["0xd800", "0xdfff", "0x110000", "-1"] {
        let trap = returning("char", &format!("(i32.const {bits})"), "").trap("f", &[]);
        assert!(trap.contains("invalid `char` bit pattern"), "{bits}: {trap}");
    }
    for bits in ["1", "2", "255", "-1"] {
        let val = returning("bool", &format!("(i32.const {bits})"), "").call("f", &[]).unwrap();
        assert_eq!(val, Some(Val::Bool(true)), "{bits}");
    }
    assert_eq!(
        returning("(flags \"a\" \"b\")", "(i32.const -1)", "").call("f", &[]).unwrap(),
        Some(Val::Flags(3))
    );
}

#[test]
fn one_call_copies_no_more_than_its_budget() {
    // A list of 8000 strings, each of them the whole memory.
    let mut setup = instantiate(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (func (export "f") (result i32)
                    (local $i i32)
                    (loop $l
                        (i32.store offset=16 (i32.mul (local.get $i) (i32.const 8)) (i32.const 0))
                        (i32.store offset=20 (i32.mul (local.get $i) (i32.const 8)) (i32.const 65536))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if $l (i32.lt_u (local.get $i) (i32.const 8000))))
                    (i32.store (i32.const 0) (i32.const 16))
                    (i32.store (i32.const 4) (i32.const 8000))
                    (memory.fill (i32.const 64016) (i32.const 32) (i32.const 1520))
                    (i32.const 0)))
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (func (export "f") (result (list (list u8))) (canon lift (core func $i "f") (memory $memory))))"#,
    );
    setup.store.set_limits(crate::StoreLimits { copy_bytes_per_call: 1 << 20, ..Default::default() });
    let trap = setup.trap("f", &[]);
    assert!(trap.contains("copy budget"), "{trap}");
}

#[test]
fn every_truncation_of_a_component_is_an_error() {
    let wat = r#"(component
        (import "h" (instance $h (export "r" (type (sub resource))) (export "f" (func (param "s" string)))))
        (core module $m (memory (export "memory") 1) (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (component $c (type (enum "a" "b")) (export "m" (type 0)))
        (instance $n (instantiate $c))
        (alias core export $i "memory" (core memory $memory))
        (type $r (resource (rep i32)))
        (core func (canon resource.new $r))
        (core func (canon lower (func $h "f") (memory $memory)))
        (func (export "f") (result string) (canon lift (core func $i "f") (memory $memory))))"#;
    let bytes = wat::parse_str(wat).unwrap();
    let engine = engine(Config::default());
    Component::new(&engine, bytes.clone()).unwrap();
    for len in 0..bytes.len() {
        // A section's end is a component's end only where the rest is custom sections (names), which say nothing.
        if let Ok(component) = Component::new(&engine, bytes[..len].to_vec()) {
            assert!(component.exports().len() <= 1);
        }
    }
    let mut damaged = bytes.clone();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            let _ = Component::new(&engine, damaged.clone());
            damaged[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_component_with_one_bit_changed_does_no_harm() {
    let wat = r#"(component
        (import "f" (func $f (param "s" string) (result (list u8))))
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core module $libc
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256)))
        (core instance $libc (instantiate $libc))
        (alias core export $libc "memory" (core memory $memory))
        (alias core export $libc "realloc" (core func $realloc))
        (core func $f (canon lower (func $f) (memory $memory) (realloc $realloc)))
        (core module $m
            (import "l" "memory" (memory 1))
            (import "" "f" (func $f (param i32 i32 i32)))
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (func (export "g") (param i32 i32) (result i32)
                (call $f (local.get 0) (local.get 1) (i32.const 16))
                (i32.store8 (i32.const 256) (call $rep (call $new (i32.const 7))))
                (i32.const 16)))
        (core instance $i (instantiate $m (with "l" (instance $libc)) (with "" (instance
            (export "f" (func $f)) (export "new" (func $new)) (export "rep" (func $rep))))))
        (func (export "g") (param "s" string) (result (list u8))
            (canon lift (core func $i "g") (memory $memory) (realloc $realloc))))"#;
    let bytes = wat::parse_str(wat).unwrap();
    let engine = engine(Config { fuel: true, ..Config::default() });
    let run = |bytes: Vec<u8>| -> Result<Option<Val>> {
        let component = Component::new(&engine, bytes)?;
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_new("f", |_, _, args| Ok(args.first().cloned().map(|_| Val::List(vec![1u8, 2].into()))))?;
        linker.define_unknown_imports_as_traps(&component)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(10_000);
        store.set_limits(crate::StoreLimits { memory_bytes: 16 << 20, ..Default::default() });
        let instance = linker.instantiate(&mut store, &component)?;
        let Some(func) = instance.func(&mut store, "g") else { return Ok(None) };
        func.call(&mut store, &["text".into()])
    };
    assert_eq!(run(bytes.clone()).unwrap(), Some(Val::List(vec![7u8, 2].into())));
    let (mut ran, mut damaged) = (0, bytes.clone());
    for bit in 0..bytes.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        ran += usize::from(run(damaged.clone()).is_ok());
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(ran > 100, "names and constants may change: {ran}");
}

#[test]
fn a_core_module_is_no_component() {
    let engine = engine(Config::default());
    let module = wat::parse_str("(module)").unwrap();
    assert!(!Component::is_component(&module));
    assert_eq!(Component::new(&engine, module).unwrap_err().kind(), crate::ErrorKind::Malformed);
    assert!(Component::is_component(&wat::parse_str("(component)").unwrap()));
}

#[test]
fn components_nested_very_deep_are_no_danger() {
    let mut bytes = wat::parse_str("(component)").unwrap();
    let header = bytes.clone();
    for _ in 0..900 {
        let mut outer = header.clone();
        outer.push(4);
        let mut len = bytes.len();
        while len >= 0x80 {
            outer.push(len as u8 | 0x80);
            len >>= 7;
        }
        outer.push(len as u8);
        outer.extend(&bytes);
        bytes = outer;
    }
    let engine = engine(Config::default());
    let component = Component::new(&engine, bytes).unwrap();
    Linker::<()>::new(&engine).instantiate(Store::new(&engine, ()), &component).unwrap();
}

#[test]
fn a_small_binary_cannot_make_instances_without_bound() {
    // Each level instantiates the next twice: 2^40 instances.
    let mut text = String::from("(component $c0)");
    for level in 1..40 {
        let inner = level - 1;
        text = format!(
            "(component $c{level} {text} (instance (instantiate $c{inner})) (instance (instantiate $c{inner})))"
        );
    }
    let engine = engine(Config::default());
    let component = component(&engine, &text.replacen("(component $c39", "(component", 1));
    let error = Linker::<()>::new(&engine).instantiate(Store::new(&engine, ()), &component).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Exhausted, "{error}");
}

#[test]
fn a_module_with_many_imports_may_be_instantiated_very_often() {
    // More imports in all than places are kept for: the last are found by name.
    const EACH: usize = 700;
    let imports: String =
        (0..EACH).map(|i| format!("(import \"m\" \"f{i}\" (func $f{i} (result i32)))")).collect();
    let exports: String = (0..EACH).map(|i| format!("(export \"f{i}\" (func $p \"f{}\"))", i % 2)).collect();
    let instances: String = (0..EACH)
        .map(|i| format!("(core instance $i{i} (instantiate $m (with \"m\" (instance $a))))"))
        .collect();
    let last = EACH - 1;
    let text = format!(
        r#"(component
            (core module $p (func (export "f0") (result i32) i32.const 20) (func (export "f1") (result i32) i32.const 21))
            (core instance $p (instantiate $p))
            (core module $m {imports} (func (export "sum") (result i32) (i32.add (call $f{last}) (call $f0))))
            (core instance $a {exports})
            {instances}
            (func (export "first") (result u32) (canon lift (core func $i0 "sum")))
            (func (export "last") (result u32) (canon lift (core func $i{last} "sum"))))"#
    );
    let mut setup = instantiate(&text);
    for name in ["first", "last"] {
        assert_eq!(setup.call(name, &[]).unwrap(), Some(Val::U32(41)));
    }
}

#[test]
fn endless_recursion_through_the_host_is_a_trap() {
    let engine = engine(Config::default());
    let text = r#"(component
        (import "again" (func $again))
        (core func $again' (canon lower (func $again)))
        (core module $m (import "" "again" (func $again)) (func (export "f") (call $again)))
        (core instance $i (instantiate $m (with "" (instance (export "again" (func $again'))))))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let component = component(&engine, text);
    let mut linker = Linker::<Option<super::super::Func>>::new(&engine);
    linker
        .root()
        .func_wrap("again", |mut caller, (): ()| match *caller.data() {
            Some(func) => func.call(&mut caller, &[]).map(|_| ()),
            None => Ok(()),
        })
        .unwrap();
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    *store.data_mut() = Some(func);
    let error = func.call(&mut store, &[]).unwrap_err();
    assert_eq!(error.trap(), Some(crate::Trap::StackOverflow), "{error}");
}

#[test]
fn a_panic_in_a_host_function_comes_through() {
    let engine = engine(Config::default());
    let text = r#"(component
        (import "p" (func $p))
        (core func $p' (canon lower (func $p)))
        (core module $m (import "" "p" (func $p)) (func (export "f") (call $p)))
        (core instance $i (instantiate $m (with "" (instance (export "p" (func $p'))))))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let component = component(&engine, text);
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("p", |_, (): ()| -> Result<()> { panic!("as the host wishes") }).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| func.call(&mut store, &[])));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"as the host wishes"));
    let trap = trap_of(func.call(&mut store, &[]));
    assert!(trap.contains("cannot enter component instance"), "{trap}");
}

/// So many bytes, of which the first are taken.
struct Counted(core::sync::atomic::AtomicUsize, usize);

impl super::super::abi::HostMemory for Counted {
    fn take(&self, bytes: usize) -> bool {
        let order = core::sync::atomic::Ordering::Relaxed;
        let taken = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.1);
        self.0.try_update(order, order, taken).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_sub(bytes, core::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn what_is_kept_for_a_guest_is_counted() {
    let engine = engine(Config::default());
    let wat = r#"(component
        (import "look" (func $look (param "l" (list u8)) (result u32)))
        (core module $libc (memory (export "memory") 16))
        (core instance $libc (instantiate $libc))
        (core func $look (canon lower (func $look) (memory (core memory $libc "memory"))))
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core module $m
            (import "" "look" (func $look (param i32 i32) (result i32)))
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "give") (param i32) (result i32) (call $look (i32.const 0) (local.get 0)))
            (func (export "make") (param i32)
                (loop $l
                    (drop (call $new (i32.const 1)))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
        (core instance $i (instantiate $m (with "" (instance
            (export "look" (func $look)) (export "new" (func $new))))))
        (func (export "give") (param "n" u32) (result u32) (canon lift (core func $i "give")))
        (func (export "make") (param "n" u32) (canon lift (core func $i "make"))))"#;
    let component = component(&engine, wat);
    let memory = std::sync::Arc::new(Counted(0.into(), 950_000));
    let taken = || memory.0.load(core::sync::atomic::Ordering::Relaxed);
    let mut linker = Linker::<std::sync::Arc<Counted>>::new(&engine);
    linker
        .root()
        .func_wrap("look", |caller, (list,): (Vec<u8>,)| {
            let taken = caller.data().0.load(core::sync::atomic::Ordering::Relaxed);
            Ok(u32::from(taken + (64 << 10) >= list.len()))
        })
        .unwrap();
    let instantiated = || {
        let mut store = Store::new(&engine, memory.clone());
        store.set_host_memory(memory.clone());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        (store, instance)
    };
    let (mut store, instance) = instantiated();
    let context = taken();
    assert!(context > 0, "contexts of instances");
    let give = instance.typed::<(u32,), u32>(&mut store, "give").unwrap();
    for bytes in [1, 1 << 16, 700_000, 900_000] {
        assert_eq!(
            give.call(&mut store, (bytes,)).unwrap(),
            1,
            "{bytes} bytes are counted while they are there"
        );
        assert_eq!(taken(), context);
    }
    let refused = trap_of(give.call(&mut store, (1 << 20,)));
    assert!(refused.contains("no memory for a value"), "{refused}");
    drop(store);
    assert_eq!(taken(), 0);
    let (mut store, instance) = instantiated();
    let make = instance.typed::<(u32,), ()>(&mut store, "make").unwrap();
    make.call(&mut store, (10_000,)).unwrap();
    assert!(taken() >= 10_000 * 48, "handles are counted: {}", taken());
    assert!(trap_of(make.call(&mut store, (1_000_000,))).contains("no memory"));
    drop(store);
    assert_eq!(taken(), 0);
    // A store for which there is nothing has no instances.
    let nothing = std::sync::Arc::new(Counted(0.into(), 0));
    let mut store = Store::new(&engine, nothing.clone());
    store.set_host_memory(nothing);
    assert!(linker.instantiate(&mut store, &component).is_err());
}
