//! Tests of calls and of code at the limits of what validation allows.

use crate::{Config, Engine, ErrorKind, Instance, Linker, Module, Store, Trap, Val};
use alloc::format;
use alloc::string::String;

fn engine() -> (Engine, Store<()>) {
    let engine = Engine::new(Config::default());
    let store = Store::new(&engine, ());
    (engine, store)
}

fn instantiate(engine: &Engine, store: &mut Store<()>, linker: &Linker<()>, text: &str) -> Instance {
    let module = Module::new(engine, wat::parse_str(text).unwrap()).unwrap();
    linker.instantiate(store, &module).unwrap()
}

fn run(store: &mut Store<()>, instance: Instance, args: &[Val]) -> crate::Result<alloc::vec::Vec<Val>> {
    instance.func(&mut *store, "run").unwrap().call(store, args)
}

#[test]
fn tail_calls_between_instances_take_constant_stack() {
    let (engine, mut store) = engine();
    let mut linker = Linker::<()>::new();
    let table = instantiate(&engine, &mut store, &linker, "(module (table (export \"t\") 2 funcref))");
    linker.instance(&mut store, "t", table).unwrap();
    // Each counts down and goes on in the other instance; memories tell which instance runs.
    for (own, other) in [(0, 1), (1, 0)] {
        let text = format!(
            r#"(module (import "t" "t" (table 2 funcref)) (memory {}) (type $f (func (param i64 i64) (result i64 i64)))
                (func $f (export "run") (type $f)
                  (if (result i64 i64) (i64.eqz (local.get 0))
                    (then (local.get 1) (i64.extend_i32_u (memory.size)))
                    (else (return_call_indirect (type $f) (i64.sub (local.get 0) (i64.const 1))
                      (i64.add (local.get 1) (i64.extend_i32_u (memory.size))) (i32.const {other})))))
                (func (export "outer") (param i64 i64) (result i64 i64) (call $f (local.get 0) (local.get 1)))
                (elem (i32.const {own}) $f))"#,
            own + 1
        );
        let instance = instantiate(&engine, &mut store, &linker, &text);
        if own == 1 {
            for name in ["run", "outer"] {
                let func = instance.func(&mut store, name).unwrap();
                let values = func.call(&mut store, &[Val::I64(1_000_001), Val::I64(0)]).unwrap();
                // Odd: it ends in the other one, whose memory has one page.
                assert!(matches!(values[..], [Val::I64(1_500_002), Val::I64(1)]), "{name}: {values:?}");
            }
        }
    }
}

#[test]
fn endless_recursion_traps_and_the_store_goes_on() {
    let (engine, mut store) = engine();
    let text = "(module (func $f (export \"run\") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (i32.add (call $f (local.get 0)) (i32.const 1))) (else (i32.const 7)))))";
    let instance = instantiate(&engine, &mut store, &Linker::new(), text);
    for _ in 0..3 {
        let error = run(&mut store, instance, &[Val::I32(1)]).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::StackOverflow));
        assert!(error.backtrace().omitted > 1000);
        assert!(matches!(run(&mut store, instance, &[Val::I32(0)]).unwrap()[..], [Val::I32(7)]));
    }
}

#[test]
fn fifty_thousand_locals_are_fine() {
    let (engine, mut store) = engine();
    let text = format!(
        "(module (func (export \"run\") (result i64) (local {}) (local.set 49999 (i64.const 5))
            (i64.add (local.get 49999) (local.get 49998))))",
        "i64 ".repeat(50_000)
    );
    let instance = instantiate(&engine, &mut store, &Linker::new(), &text);
    assert!(matches!(run(&mut store, instance, &[]).unwrap()[..], [Val::I64(5)]));
}

#[test]
fn operands_in_many_locals_are_saved_quickly_and_rightly() {
    let (engine, mut store) = engine();
    // Ten thousand operands, each still in its local when that gets another value.
    let count = 10_000;
    let mut body = String::new();
    (0..count).for_each(|i| body.push_str(&format!("(local.set {i} (i32.const {i}))")));
    (0..count).for_each(|i| body.push_str(&format!("(local.get {i})")));
    (0..count).for_each(|i| body.push_str(&format!("(local.set {i} (i32.const 0))")));
    (1..count).for_each(|_| body.push_str("(i32.add)"));
    let text =
        format!("(module (func (export \"run\") (result i32) (local {}) {body}))", "i32 ".repeat(count));
    let instance = instantiate(&engine, &mut store, &Linker::new(), &text);
    let expected = (count * (count - 1) / 2) as i32;
    assert!(matches!(run(&mut store, instance, &[]).unwrap()[..], [Val::I32(sum)] if sum == expected));
}

#[test]
fn a_frame_beyond_what_slot_numbers_can_say_is_an_error_with_words() {
    let (engine, mut store) = engine();
    let text = format!(
        "(module (func (export \"run\") (result i32) {} {}))",
        "(i32.const 1)".repeat(70_000),
        "(i32.add)".repeat(69_999)
    );
    let instance = instantiate(&engine, &mut store, &Linker::new(), &text);
    let error = run(&mut store, instance, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.message().contains("65,535 slots"), "{error}");
}

#[test]
fn a_deep_nest_and_a_huge_jump_table_are_translated_without_recursion() {
    let (engine, mut store) = engine();
    let depth = 20_000;
    let labels: String = (0..depth).map(|i| format!("{i} ")).collect();
    let text = format!(
        "(module (func (export \"run\") (param i32) (result i32) (local i32) {}
            (br_table {labels} (local.get 0)) {} (local.get 1)))",
        "(block ".repeat(depth),
        "(local.set 1 (i32.add (local.get 1) (i32.const 1))))".repeat(depth)
    );
    // The text format's parser recurses over nested blocks in parentheses: written flat.
    let text = text.replace("(block ", "block ").replace("(i32.const 1))))", "(i32.const 1))) end ");
    let instance = instantiate(&engine, &mut store, &Linker::new(), &text);
    let values = run(&mut store, instance, &[Val::I32(19_000)]).unwrap();
    assert!(matches!(values[..], [Val::I32(999)]), "{values:?}");
}
