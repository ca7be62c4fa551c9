//! Functions of the host that look at their parameters where they lie.

use super::super::abi::Lent;
use super::*;
use crate::StoreLimits;

/// A component that calls `look` with these core arguments; its memory is one page with this data at 64.
fn caller(encoding: &str, params: &str, core: &str, data: &str, args: &str) -> String {
    format!(
        r#"(component
            (import "look" (func $look {params}))
            (core module $libc (memory (export "memory") 1) (data (i32.const 64) "{data}"))
            (core instance $libc (instantiate $libc))
            (core func $look (canon lower (func $look) string-encoding={encoding} (memory (core memory $libc "memory"))))
            (core module $m (import "" "look" (func $look (param {core}))) (func (export "go") (call $look {args})))
            (core instance $i (instantiate $m (with "" (instance (export "look" (func $look))))))
            (func (export "go") (canon lift (core func $i "go"))))"#
    )
}

/// What the host saw, or how the call ended.
fn seen(wat: &str, define: impl Fn(&mut Linker<String>), budget: u64) -> Result<String> {
    let engine = engine(Config::default());
    let component = component(&engine, wat);
    let mut linker = Linker::<String>::new(&engine);
    define(&mut linker);
    let mut store = Store::new(&engine, String::new());
    store.set_limits(StoreLimits { copy_bytes_per_call: budget, ..StoreLimits::default() });
    let instance = linker.instantiate(&mut store, &component)?;
    instance.typed::<(), ()>(&mut store, "go")?.call(&mut store, ())?;
    Ok(store.data().clone())
}

fn text(linker: &mut Linker<String>) {
    let mut root = linker.root();
    root.func_wrap_lent::<(Lent<str>,), _>("look", |seen, (text,)| {
        *seen = text.into_owned();
        Ok(())
    })
    .unwrap();
}

#[test]
fn text_is_seen_in_every_encoding_and_checked_like_any_other() {
    let wat = |encoding: &str, data: &str, len: i32, at: i32| {
        let args = format!("(i32.const {at}) (i32.const {len})");
        caller(encoding, r#"(param "s" string)"#, "i32 i32", data, &args)
    };
    let good = [
        ("utf8", "gr\\c3\\bcn", 5),
        ("utf16", "g\\00r\\00\\fc\\00n\\00", 4),
        ("latin1+utf16", "gr\\fcn", 4),
        ("latin1+utf16", "g\\00r\\00\\fc\\00n\\00", 4 | i32::MIN),
    ];
    for (encoding, data, len) in good {
        assert_eq!(seen(&wat(encoding, data, len, 64), text, 1 << 20).unwrap(), "gr\u{fc}n", "{encoding}");
    }
    // In place there is nothing to pay for.
    assert_eq!(seen(&wat("utf8", "text", 4, 64), text, 0).unwrap(), "text");
    let bad = [
        ("utf8", "\\c0\\80", 2, 64, "utf-8"),
        ("utf8", "x", 5, 65532, "out of bounds"),
        ("utf8", "x", -1, 64, "string"),
        ("utf16", "\\00\\d8", 1, 64, "surrogate"),
        ("utf16", "xx", 1, 65, "aligned"),
    ];
    for (encoding, data, len, at, says) in bad {
        let trap = trap_of(seen(&wat(encoding, data, len, at), text, 1 << 20));
        assert!(trap.contains(says), "{encoding} {data}: {trap}");
    }
}

#[test]
fn lists_of_numbers_are_seen_in_place_and_other_parameters_beside_them() {
    let wat = |at: i32, len: i32| {
        let args = format!("(i32.const 7) (i32.const {at}) (i32.const {len}) (f64.const 0.5)");
        let params = r#"(param "n" u8) (param "l" (list u32)) (param "x" f64)"#;
        caller("utf8", params, "i32 i32 i32 f64", "\\01\\00\\00\\00\\ff\\ff\\ff\\ff", &args)
    };
    let define = |linker: &mut Linker<String>| {
        let mut root = linker.root();
        root.func_wrap_lent::<(u8, Lent<[u32]>, f64), _>("look", |seen, (n, list, x)| {
            *seen = format!("{n} {:?} {} {x}", list.iter().collect::<Vec<u32>>(), list.as_bytes().len());
            Ok(())
        })
        .unwrap();
    };
    assert_eq!(seen(&wat(64, 2), define, 0).unwrap(), "7 [1, 4294967295] 8 0.5");
    assert_eq!(seen(&wat(64, 0), define, 0).unwrap(), "7 [] 0 0.5");
    for (at, len, says) in [(66, 1, "aligned"), (65532, 2, "out of bounds"), (64, 1 << 30, "too l")] {
        let trap = trap_of(seen(&wat(at, len), define, 0));
        assert!(trap.contains(says), "{at} {len}: {trap}");
    }
}

#[test]
fn parameters_that_lie_in_memory_themselves_are_found_there() {
    // Seven strings and an optional one are seventeen core values: a pointer to them is handed over.
    let params: String = (0..7).map(|i| format!(r#"(param "s{i}" string)"#)).collect();
    let params = params + r#"(param "o" (option string))"#;
    let entry = "\\a8\\00\\00\\00\\02\\00\\00\\00";
    let data = entry.repeat(7) + "\\01\\00\\00\\00" + entry + &"\\00".repeat(36) + "ok";
    type Eight =
        (Lent<str>, Lent<str>, Lent<str>, Lent<str>, Lent<str>, Lent<str>, Lent<str>, Option<String>);
    let define = |linker: &mut Linker<String>| {
        let mut root = linker.root();
        root.func_wrap_lent::<Eight, _>("look", |seen, (a, _, _, _, _, _, g, o)| {
            *seen = format!("{a}{g}{}", o.unwrap_or_default());
            Ok(())
        })
        .unwrap();
    };
    let wat = |at: i32| caller("utf8", &params, "i32", &data, &format!("(i32.const {at})"));
    assert_eq!(seen(&wat(64), define, 1 << 10).unwrap(), "okokok");
    assert!(trap_of(seen(&wat(65500), define, 1 << 10)).contains("out of bounds"));
}

#[test]
fn a_panic_while_the_host_looks_leaves_the_store_its_data() {
    let engine = engine(Config::default());
    let wat = caller("utf8", r#"(param "s" string)"#, "i32 i32", "x", "(i32.const 64) (i32.const 1)");
    let component = component(&engine, &wat);
    let mut linker = Linker::<String>::new(&engine);
    let mut root = linker.root();
    root.func_wrap_lent::<(Lent<str>,), ()>("look", |_, _| panic!("the host is at fault")).unwrap();
    let mut store = Store::new(&engine, String::from("kept"));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let go = instance.typed::<(), ()>(&mut store, "go").unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| go.call(&mut store, ())));
    assert!(caught.is_err());
    assert_eq!(store.data(), "kept");
}
