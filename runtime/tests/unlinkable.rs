//! What is said of an import that does not fit: every property in which the types differ, by name.

use mini_wasm_runtime::{Config, Engine, ErrorKind, Instance, Linker, Module, Store};

const GIVEN: &str = r#"(module
    (memory (export "memory") 2 9)
    (memory (export "wide") i64 1)
    (memory (export "fine") 1 (pagesize 1))
    (memory (export "shared") 1 2 shared)
    (table (export "table") 2 9 funcref)
    (table (export "wide table") i64 2 funcref)
    (global (export "global") i32 (i32.const 1))
    (global (export "mutable") (mut i64) (i64.const 1))
    (tag (export "tag") (param i32))
    (type $alone (func (param f32)))
    (rec (type $grouped (func (param f32))) (type (struct)))
    (tag (export "grouped") (type $grouped))
    (func (export "grouped func") (type $grouped))
    (func (export "func") (param i32) (result i64) (i64.const 0)))"#;

fn message(import: &str) -> String {
    let mut config = Config::default();
    config.features.custom_page_sizes = true;
    let engine = Engine::new(config);
    let module = |text: &str| Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let given = Instance::new(&mut store, &module(GIVEN), &[]).unwrap();
    let mut linker = Linker::<()>::new();
    linker.instance(&mut store, "a", given).unwrap();
    let error = linker
        .instantiate(&mut store, &module(&format!("(module (type $alone (func (param f32))) {import})")));
    let error = error.expect_err(import);
    assert_eq!(error.kind(), ErrorKind::Unlinkable, "{import}: {error}");
    let text = error.to_string();
    assert!(text.contains("incompatible import type for `a::"), "{text}");
    text
}

#[test]
fn every_difference_is_named_with_what_is_wanted_and_what_is_given() {
    let rows: &[(&str, &[&str])] = &[
        (r#"(memory (import "a" "wide") 1)"#, &["address size (32 bits wanted, 64 bits given)"]),
        (r#"(memory (import "a" "memory") i64 1 3)"#, &["address size (64 bits wanted, 32 bits given)"]),
        (r#"(memory (import "a" "fine") 1)"#, &["page size (65536 bytes wanted, 1 byte given)"]),
        (
            r#"(memory (import "a" "memory") 2 (pagesize 1))"#,
            &["page size (1 byte wanted, 65536 bytes given)"],
        ),
        (r#"(memory (import "a" "shared") 1 2)"#, &["sharing (not shared wanted, shared given)"]),
        (r#"(memory (import "a" "memory") 2 9 shared)"#, &["sharing (shared wanted, not shared given)"]),
        (
            r#"(memory (import "a" "memory") 3 5 shared)"#,
            &[
                "sharing (shared wanted, not shared given)",
                "size (at least 3 pages wanted, 2 given)",
                "maximum (at most 5 pages wanted, 9 given)",
            ],
        ),
        (
            r#"(memory (import "a" "wide") 2 5 (pagesize 1))"#,
            &[
                "address size (32 bits wanted, 64 bits given)",
                "page size (1 byte wanted, 65536 bytes given)",
                "size (at least 2 pages wanted, 1 given)",
                "maximum (at most 5 pages wanted, none given)",
            ],
        ),
        (
            r#"(table (import "a" "table") i64 3 5 externref)"#,
            &[
                "address size (64 bits wanted, 32 bits given)",
                "type of the elements (externref wanted, funcref given)",
                "size (at least 3 elements wanted, 2 given)",
                "maximum (at most 5 elements wanted, 9 given)",
            ],
        ),
        (r#"(table (import "a" "wide table") 2 funcref)"#, &["address size (32 bits wanted, 64 bits given)"]),
        (
            r#"(global (import "a" "global") (mut i64))"#,
            &["mutability (mutable wanted, immutable given)", "type (i64 wanted, i32 given)"],
        ),
        (r#"(global (import "a" "mutable") i64)"#, &["mutability (immutable wanted, mutable given)"]),
        (r#"(tag (import "a" "tag") (param i64))"#, &["tag [i64] -> []", "tag [i32] -> []", "parameters"]),
        (r#"(tag (import "a" "grouped") (type $alone))"#, &["recursion group"]),
        (r#"(func (import "a" "grouped func") (type $alone))"#, &["recursion group or hierarchy"]),
        (r#"(func (import "a" "func") (param i32) (result i32))"#, &["they differ in results"]),
        (r#"(func (import "a" "func"))"#, &["they differ in parameters, results"]),
        (r#"(func (import "a" "memory"))"#, &["function [] -> [] is wanted, memory of 2 pages", "kind"]),
        (
            r#"(memory (import "a" "table") 1)"#,
            &["is wanted, table of 2 funcref, at most 9 is given", "kind"],
        ),
    ];
    for (import, words) in rows {
        let text = message(import);
        for word in *words {
            assert!(text.contains(word), "{import}: no `{word}` in: {text}");
        }
    }
}

#[test]
fn what_fits_is_not_named() {
    let text = message(r#"(memory (import "a" "wide") 1)"#);
    for word in ["page size", "sharing", "size (at least", "maximum ("] {
        assert!(!text.contains(word), "{text}");
    }
}
