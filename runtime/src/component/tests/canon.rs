//! `canon lift` and `canon lower` with every option and value type, through guests that echo what they get.

use super::super::abi::{Val, ValType};
use super::*;

/// A component that exports `f: func(x: t) -> t`, which calls the import `echo` of the same type. `flat` are the core types of
/// a `t`; more than one of them makes the result a pointer.
fn echo(ty: &str, flat: &str, encoding: &str) -> String {
    let flats: Vec<&str> = flat.split_whitespace().collect();
    let gets: String = (0..flats.len()).map(|i| format!("(local.get {i})")).collect();
    let (import, call, result) = if flats.len() > 1 {
        (
            format!("(param {flat} i32)"),
            format!("(call $echo {gets} (i32.const 1024)) (i32.const 1024)"),
            "i32",
        )
    } else {
        (format!("(param {flat}) (result {flat})"), format!("(call $echo {gets})"), flat)
    };
    format!(
        r#"
        (type $t' {ty})
        (import "t" (type $t (eq $t')))
        (import "echo" (func $echo (param "x" $t) (result $t)))
        {LIBC}
        (core func $echo' (canon lower (func $echo) (memory $memory) (realloc $realloc) {encoding}))
        (core module $m
            (import "" "echo" (func $echo {import}))
            (func (export "f") (param {flat}) (result {result}) {call}))
        (core instance $i (instantiate $m (with "" (instance (export "echo" (func $echo'))))))
        (func (export "f") (param "x" $t) (result $t)
            (canon lift (core func $i "f") (memory $memory) (realloc $realloc) {encoding}))"#
    )
}

/// Sends `vals` through one component and back, then through two of all pairs of string encodings, by both kinds of adapters.
fn echoes(ty: &str, flat: &str, vals: Vec<Val>) {
    let encodings = ["string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16"];
    let mut texts: Vec<String> =
        encodings.iter().map(|encoding| format!("(component {})", echo(ty, flat, encoding))).collect();
    for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
        texts.push(format!(
            r#"(component
                (type $t' {ty})
                (import "t" (type $t (eq $t')))
                (import "echo" (func $echo (param "x" $t) (result $t)))
                (component $A {})
                (component $B {})
                (instance $a (instantiate $A (with "t" (type $t)) (with "echo" (func $echo))))
                (instance $b (instantiate $B (with "t" (type $t)) (with "echo" (func $a "f"))))
                (export "f" (func $b "f")))"#,
            echo(ty, flat, encodings[a]),
            echo(ty, flat, encodings[b])
        ));
    }
    for (text, plain_adapters) in texts.iter().flat_map(|text| [(text, false), (text, true)]) {
        let engine = engine(Config { plain_adapters, ..Config::default() });
        let component = component(&engine, text);
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_new("echo", |mut caller, _, args| {
                *caller.data_mut() += 1;
                Ok(args.first().cloned())
            })
            .unwrap();
        let mut store = Store::new(&engine, 0u32);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance.func(&mut store, "f").unwrap();
        for val in &vals {
            assert_eq!(
                func.call(&mut store, core::slice::from_ref(val)).unwrap().as_ref(),
                Some(val),
                "{ty}"
            );
        }
        assert_eq!(*store.data() as usize, vals.len());
    }
}

#[test]
fn a_function_without_parameters_returns_its_number() {
    let mut setup = instantiate(
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 42)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
    );
    assert_eq!(setup.call("f", &[]).unwrap(), Some(Val::U32(42)));
}

#[test]
fn scalars_cross_unchanged() {
    echoes("bool", "i32", vec![Val::Bool(true), Val::Bool(false)]);
    echoes("u8", "i32", vec![Val::U8(0), Val::U8(255)]);
    echoes("s8", "i32", vec![Val::S8(-128), Val::S8(127)]);
    echoes("u16", "i32", vec![Val::U16(65535)]);
    echoes("s16", "i32", vec![Val::S16(-32768)]);
    echoes("u32", "i32", vec![Val::U32(u32::MAX)]);
    echoes("s32", "i32", vec![Val::S32(i32::MIN)]);
    echoes("u64", "i64", vec![Val::U64(u64::MAX)]);
    echoes("s64", "i64", vec![Val::S64(i64::MIN)]);
    echoes("f32", "f32", vec![Val::F32(1.5), Val::F32(f32::NAN), Val::F32(-0.0)]);
    echoes("f64", "f64", vec![Val::F64(-1e300), Val::F64(f64::INFINITY)]);
    echoes("char", "i32", vec![Val::Char('a'), Val::Char('\u{10ffff}')]);
}

#[test]
fn strings_cross_in_every_encoding() {
    let texts =
        ["", "plain", "Grüße", "日本語", "mixed é 日 \u{1f600} end", "\u{0}\u{7f}\u{80}\u{ff}\u{100}"];
    echoes("string", "i32 i32", texts.map(Val::from).to_vec());
}

#[test]
fn lists_records_and_tuples_cross() {
    let bytes = |n: usize| Val::List((0..n).map(|i| i as u8).collect::<Vec<u8>>().into());
    echoes("(list u8)", "i32 i32", vec![bytes(0), bytes(1), bytes(3000)]);
    echoes("(list f64)", "i32 i32", vec![Val::List(vec![1.0f64, -2.5].into())]);
    echoes(
        "(list string)",
        "i32 i32",
        vec![Val::List(vec![Val::from("one"), Val::from(""), Val::from("drei ü")].into())],
    );
    echoes(
        "(record (field \"a\" u8) (field \"b\" u64) (field \"c\" string))",
        "i32 i64 i32 i32",
        vec![Val::Record(vec![Val::U8(1), Val::U64(2), Val::from("three")])],
    );
    echoes("(tuple f32 char)", "f32 i32", vec![Val::Tuple(vec![Val::F32(0.5), Val::Char('x')])]);
}

#[test]
fn maps_cross_with_repeated_keys() {
    let entries = vec![("a".into(), Val::U32(1)), ("b".into(), Val::U32(2)), ("a".into(), Val::U32(3))];
    echoes("(map string u32)", "i32 i32", vec![Val::Map(entries), Val::Map(vec![])]);
}

#[test]
fn variants_of_all_kinds_cross() {
    let case = |case, payload: Option<Val>| Val::Variant { case, payload: payload.map(Box::new) };
    echoes(
        "(variant (case \"none\") (case \"long\" u64) (case \"real\" f32) (case \"text\" string))",
        "i32 i64 i32",
        vec![
            case(0, None),
            case(1, Some(Val::U64(u64::MAX))),
            case(2, Some(Val::F32(2.5))),
            case(3, Some("t".into())),
        ],
    );
    echoes("(enum \"a\" \"b\" \"c\")", "i32", vec![Val::Enum(0), Val::Enum(2)]);
    echoes("(option u8)", "i32 i32", vec![Val::Option(None), Val::Option(Some(Box::new(Val::U8(7))))]);
    echoes(
        "(option string)",
        "i32 i32 i32",
        vec![Val::Option(None), Val::Option(Some(Box::new("some".into())))],
    );
    echoes("(result)", "i32", vec![Val::Result(Ok(None)), Val::Result(Err(None))]);
    echoes(
        "(result u32 (error string))",
        "i32 i32 i32",
        vec![Val::Result(Ok(Some(Box::new(Val::U32(9))))), Val::Result(Err(Some(Box::new("no".into()))))],
    );
    echoes("(flags \"a\" \"b\" \"c\")", "i32", vec![Val::Flags(0), Val::Flags(5)]);
}

#[test]
fn more_than_16_parameters_go_through_memory() {
    // 17 u8 fields: a pointer in, a pointer out.
    let fields: String = (0..17).map(|i| format!("(field \"f{i}\" u8)")).collect();
    let ty = format!("(record {fields})");
    let val = Val::Record((0..17).map(|i| Val::U8(i * 3)).collect());
    let text = echo(&ty, "i32", "").replace(
        r#"(import "" "echo" (func $echo (param i32) (result i32)))"#,
        r#"(import "" "echo" (func $echo (param i32 i32)))"#,
    );
    let text = text.replace(
        "(call $echo (local.get 0))",
        "(call $echo (local.get 0) (i32.const 1024)) (i32.const 1024)",
    );
    let engine = engine(Config::default());
    let component = component(&engine, &format!("(component {text})"));
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_new("echo", |_, _, args| Ok(args.first().cloned())).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    assert_eq!(func.call(&mut store, core::slice::from_ref(&val)).unwrap(), Some(val));
}

#[test]
fn sixteen_parameters_are_flat_and_seventeen_are_not() {
    for n in [16, 17] {
        let params: String = (0..n).map(|i| format!("(param \"p{i}\" u32)")).collect();
        // The guest adds up what it gets, wherever that is.
        let (core_params, sum) = if n == 16 {
            let sum =
                (1..n).fold("(local.get 0)".to_string(), |sum, i| format!("(i32.add {sum} (local.get {i}))"));
            ("(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)", sum)
        } else {
            let load = |i| format!("(i32.load offset={} (local.get 0))", 4 * i);
            ("(param i32)", (1..n).fold(load(0), |sum, i| format!("(i32.add {sum} {})", load(i))))
        };
        let mut setup = instantiate(&format!(
            r#"(component {LIBC}
                (core module $m
                    (import "" "memory" (memory 0))
                    (func (export "f") {core_params} (result i32) {sum}))
                (core instance $i (instantiate $m (with "" (instance $libc))))
                (func (export "f") {params} (result u32)
                    (canon lift (core func $i "f") (memory $memory) (realloc $realloc))))"#
        ));
        let args: Vec<Val> = (1..=n).map(|i| Val::U32(i * i)).collect();
        assert_eq!(setup.call("f", &args).unwrap(), Some(Val::U32((1..=n).map(|i| i * i).sum())));
    }
}

#[test]
fn post_return_gets_the_core_results_after_they_were_lifted() {
    let mut setup = instantiate(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 16) "\40\00\00\00\05\00\00\00")
                (data (i32.const 64) "hello")
                (global $freed (export "freed") (mut i32) (i32.const 0))
                (func (export "f") (result i32) (i32.const 16))
                (func (export "free") (param i32)
                    (i32.store8 (i32.const 64) (i32.const 0x6a))
                    (global.set $freed (local.get 0)))
                (func (export "freed-by") (result i32) (global.get $freed)))
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (func (export "f") (result string)
                (canon lift (core func $i "f") (memory $memory) (post-return (core func $i "free"))))
            (func (export "freed-by") (result u32) (canon lift (core func $i "freed-by"))))"#,
    );
    assert_eq!(setup.call("f", &[]).unwrap(), Some("hello".into()));
    assert_eq!(setup.call("freed-by", &[]).unwrap(), Some(Val::U32(16)));
    assert_eq!(setup.call("f", &[]).unwrap(), Some("jello".into()));
}

/// A component whose `post-return` or `realloc` calls an import.
fn leaving(from: &str) -> String {
    let (in_realloc, in_post_return) =
        if from == "realloc" { ("(call $import)", "") } else { ("", "(call $import)") };
    format!(
        r#"(component
            (import "import" (func $import))
            (core func $import' (canon lower (func $import)))
            (core module $m
                (import "" "import" (func $import))
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {in_realloc} (i32.const 64))
                (func (export "free") {in_post_return})
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m (with "" (instance (export "import" (func $import'))))))
            (alias core export $i "memory" (core memory $memory))
            (func (export "f") (param "s" string)
                (canon lift (core func $i "f") (memory $memory) (realloc (core func $i "realloc"))
                    (post-return (core func $i "free")))))"#
    )
}

#[test]
fn realloc_and_post_return_may_not_leave_their_instance() {
    for from in ["realloc", "post-return"] {
        let engine = engine(Config::default());
        let component = component(&engine, &leaving(from));
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_wrap("import", |_, (): ()| -> Result<()> { panic!("the host is not reached") })
            .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance.func(&mut store, "f").unwrap();
        let trap = trap_of(func.call(&mut store, &["text".into()]));
        assert!(trap.contains("cannot leave component instance"), "{from}: {trap}");
        let again = trap_of(func.call(&mut store, &["text".into()]));
        assert!(again.contains("cannot enter component instance"), "{from}: {again}");
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_the_guest_runs() {
    let mut setup = instantiate(
        r#"(component
            (core module $m (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" u8) (canon lift (core func $i "f"))))"#,
    );
    for args in [vec![], vec![Val::U16(1)], vec![Val::U8(1), Val::U8(1)]] {
        let error = setup.call("f", &args).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage, "{error}");
    }
    assert_eq!(setup.call("f", &[Val::U8(1)]).unwrap(), None);
}

#[test]
fn typed_functions_move_rust_values() {
    let engine = engine(Config::default());
    let component = component(&engine, &format!("(component {})", echo("(list string)", "i32 i32", "")));
    let mut linker = Linker::<()>::new(&engine);
    linker
        .root()
        .func_wrap("echo", |_, (mut words,): (Vec<String>,)| {
            words.reverse();
            Ok(words)
        })
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    let typed = func.typed::<(Vec<String>,), Vec<String>>(&store).unwrap();
    let words = ["a", "b", "c"].map(String::from).to_vec();
    assert_eq!(typed.call(&mut store, (words,)).unwrap(), ["c", "b", "a"]);
    assert!(func.typed::<(Vec<String>,), String>(&store).is_err());
    let list = ValType::list(ValType::String).unwrap();
    assert_eq!(func.ty(&store).unwrap().param_types(), [list]);
}

#[test]
fn a_handle_of_another_store_is_an_error() {
    let mut a = instantiate(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))",
    );
    let mut b = instantiate("(component)");
    let func = a.instance.func(&mut a.store, "f").unwrap();
    assert_eq!(func.call(&mut b.store, &[]).unwrap_err().kind(), crate::ErrorKind::Usage);
    assert!(a.instance.func(&mut b.store, "f").is_none());
}

#[test]
fn a_host_functions_exit_unwinds_the_guest() {
    let engine = engine(Config::default());
    let text = r#"(component
        (import "exit" (func $exit (param "code" u8)))
        (core func $exit' (canon lower (func $exit)))
        (core module $m (import "" "exit" (func $exit (param i32))) (func (export "f") (call $exit (i32.const 7))))
        (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit'))))))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let component = component(&engine, text);
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("exit", |_, (code,): (u8,)| -> Result<()> { Err(Error::exit(code)) }).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let func = instance.func(&mut store, "f").unwrap();
    assert_eq!(func.call(&mut store, &[]).unwrap_err().kind(), crate::ErrorKind::Exit(7));
}
