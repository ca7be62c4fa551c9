//! The runner itself: what passes, what fails and how it is told, and that no script can harm it.

use mini_wasm_runtime::{Config, Engine, Error, ErrorKind};
use mini_wasm_wast::{Counts, FileReport, Kind, Options, Session, run};
use std::time::{Duration, Instant};

fn session() -> Session {
    Session::new(Engine::new(Session::bounded(Config::default())))
}

fn report(script: &str) -> FileReport {
    run(&session(), script, &Options::default())
}

#[track_caller]
fn passes(script: &str) {
    let report = report(script);
    assert!(report.is_success() && report.skips.is_empty(), "{:#?} {:#?}", report.failures, report.skips);
}

/// The lines that fail, with what was found.
#[track_caller]
fn failures(script: &str) -> Vec<(u32, String)> {
    report(script).failures.into_iter().map(|failure| (failure.line, failure.found)).collect()
}

const ADD: &str = r#"(module $M (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))) (func (export "no") unreachable)
    (global (export "g") f32 (f32.const 1.5)))"#;

#[test]
fn what_goes_as_the_script_says_passes() {
    passes(&format!(
        r#"{ADD}
        (assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))
        (assert_return (invoke $M "add" (i32.const 1) (i32.const 2)) (either (i32.const 4) (i32.const 3)))
        (assert_return (get "g") (f32.const 1.5))
        (assert_trap (invoke "no") "unreachable")
        (assert_invalid (module (func (result i32))) "type mismatch")
        (assert_malformed (module quote "(func") "unexpected token")
        (assert_malformed (module binary "\00asm") "unexpected end")
        (assert_unlinkable (module (import "spectest" "nobody" (func))) "unknown import")"#
    ));
}

#[test]
fn a_failure_names_its_line_what_was_expected_and_what_came() {
    let script = format!("{ADD}\n(assert_return (invoke \"add\" (i32.const 1) (i32.const 2)) (i32.const 4))");
    let report = report(&script);
    let failure = &report.failures[0];
    assert_eq!((failure.line, failure.kind), (4, Some(Kind::Return)));
    assert_eq!((failure.expected.as_str(), failure.found.as_str()), ("i32 4 (0x4)", "i32 3 (0x3)"));
    assert_eq!(report.tally.of(Kind::Return), Counts { passed: 0, failed: 1, skipped: 0 });
}

#[test]
fn assertions_fail_when_the_engine_does_otherwise() {
    let wrong = [
        r#"(assert_trap (invoke "add" (i32.const 1) (i32.const 2)) "unreachable")"#,
        r#"(assert_trap (invoke "no") "integer overflow")"#,
        r#"(assert_return (invoke "no"))"#,
        r#"(assert_return (invoke "nobody"))"#,
        r#"(assert_return (invoke "add" (i32.const 1) (i32.const 2)))"#,
        r#"(assert_return (invoke "add" (i32.const 1)) (i32.const 1))"#,
        r#"(assert_exhaustion (invoke "no") "unreachable")"#,
        r#"(assert_invalid (module) "type mismatch")"#,
        r#"(assert_malformed (module quote "(func)") "unexpected token")"#,
        r#"(assert_unlinkable (module) "unknown import")"#,
        r#"(assert_unlinkable (module (import "spectest" "print" (func (param f64)))) "unknown import")"#,
        r#"(invoke "no")"#,
        r#"(register "x" $nobody)"#,
        r#"(module (import "spectest" "nobody" (func)))"#,
    ];
    for directive in wrong {
        let failures = failures(&format!("{ADD}\n{directive}"));
        assert_eq!(
            failures.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [4],
            "{directive} {failures:?}"
        );
    }
}

#[test]
fn what_uses_a_failed_module_fails_too() {
    let failures =
        failures("(module $M (import \"no\" \"thing\" (func)))\n(invoke $M \"f\")\n(register \"x\" $M)");
    assert_eq!(failures.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(failures[1].1.contains("line 1"), "{failures:?}");
}

#[test]
fn a_name_registered_again_stands_for_the_later_instance_alone() {
    passes(
        r#"(module (func (export "a")) (func (export "b")))
        (register "lib")
        (module (func (export "a")))
        (register "lib")
        (module (import "lib" "a" (func)))
        (assert_unlinkable (module (import "lib" "b" (func))) "unknown import")"#,
    );
}

#[test]
fn definitions_are_instantiated_as_often_as_asked() {
    passes(
        r#"(module definition $D (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        (module instance $a $D)
        (module instance $b $D)
        (assert_return (invoke $a "next") (i32.const 1))
        (assert_return (invoke $a "next") (i32.const 2))
        (assert_return (invoke $b "next") (i32.const 1))"#,
    );
}

#[test]
fn component_scripts_run_with_values_of_every_shape() {
    passes(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "swap") (param i32 i32) (result i32)
                    (i32.store8 (i32.const 0) (local.get 1))
                    (i32.store8 offset=1 (i32.const 0) (local.get 0))
                    (i32.const 0))
                (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
                (func (export "no") unreachable))
            (core instance $i (instantiate $m))
            (type $pair (tuple bool u8))
            (func (export "swap") (param "a" u8) (param "b" bool) (result (tuple bool u8))
                (canon lift (core func $i "swap") (memory (core memory $i "memory"))))
            (func (export "half") (param "x" f64) (result f64) (canon lift (core func $i "half")))
            (func (export "no") (canon lift (core func $i "no"))))
        (assert_return (invoke "swap" (u8.const 7) (bool.const true)) (tuple.const (bool.const true) (u8.const 7)))
        (assert_return (invoke "half" (f64.const 3)) (f64.const 1.5))
        (assert_trap (invoke "no") "unreachable")
        (assert_invalid (component (export "a" (func 0))) "unknown function")"#,
    );
}

#[test]
fn a_component_value_of_another_type_is_a_failure() {
    let component = r#"(component (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "a" u8) (result u8) (canon lift (core func $i "f"))))"#;
    let wrong = [
        r#"(assert_return (invoke "f" (u16.const 1)) (u8.const 1))"#,
        r#"(assert_return (invoke "f" (u8.const 1)) (u16.const 1))"#,
        r#"(assert_return (invoke "f" (u8.const 1)))"#,
        r#"(assert_return (invoke "f") (u8.const 1))"#,
        r#"(assert_return (invoke "f" (u8.const 1)) (u8.const 2))"#,
    ];
    for directive in wrong {
        assert_eq!(failures(&format!("{component}\n{directive}")).len(), 1, "{directive}");
    }
}

#[test]
fn what_needs_a_gated_feature_is_skipped_with_all_that_uses_it() {
    let session = session().gate(|_| Some("needs levitation".into()));
    let script = "(module $M (type $f (func)) (type (cont $f)) (func (export \"f\")))\n(invoke $M \"f\")\n(register \"x\" $M)";
    let report = run(&session, script, &Options::default());
    assert!(report.is_success(), "{:?}", report.failures);
    let skips: Vec<_> = report.skips.iter().map(|skip| (skip.line, skip.reason.as_str())).collect();
    assert_eq!(skips, [(1, "needs levitation"), (2, "needs levitation"), (3, "needs levitation")]);
}

#[test]
fn a_text_that_is_no_script_is_one_failure_with_its_line() {
    let report = report("(module)\n(module)\n(assert_nothing)");
    assert_eq!(report.failures.len(), 1);
    assert_eq!((report.failures[0].line, report.failures[0].kind), (3, None));
    assert!(!self::report(&"(".repeat(100_000)).is_success());
}

#[test]
fn a_directive_that_does_not_end_is_stopped_by_time_or_fuel() {
    let script = r#"(module (func (export "f") (loop (br 0))))
        (assert_return (invoke "f"))
        (module (func $start (loop (br 0))) (start $start))
        (assert_trap (module (func $start unreachable) (start $start)) "unreachable")"#;
    let begun = Instant::now();
    let options = Options { time: Duration::from_millis(200), fuel: 1_000_000, ..Options::default() };
    let by_time = run(&session(), script, &options);
    let fuel = Engine::new(Config { fuel: true, ..Config::default() });
    let by_fuel = run(&Session::new(fuel), script, &options);
    assert!(begun.elapsed() < Duration::from_secs(30));
    for (report, word) in [(by_time, "Interrupted"), (by_fuel, "OutOfFuel")] {
        assert_eq!(report.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [2, 3]);
        assert!(report.failures[0].found.contains(word), "{:?}", report.failures);
        assert_eq!(report.tally.of(Kind::Trap).passed, 1);
    }
}

#[test]
fn endless_recursion_and_greed_are_failures_of_the_script_alone() {
    let options = Options { memory_bytes: 1 << 20, table_elements: 1000, ..Options::default() };
    let script = r#"(module (func $f (export "f") (call $f)))
        (assert_exhaustion (invoke "f") "call stack exhausted")
        (module (memory 17))
        (module (table 1001 funcref))
        (module (memory (export "m") 1) (func (export "grow") (result i32) (memory.grow (i32.const 60000))))
        (assert_return (invoke "grow") (i32.const -1))"#;
    let report = run(&session(), script, &options);
    assert_eq!(report.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_panic_of_the_engine_is_a_failure_and_ends_the_script() {
    let session = session().loader(|_, bytes| match bytes.len() {
        8 => panic!("crash: for a test"),
        _ => Err(Error::new(ErrorKind::Malformed, "refused")),
    });
    let script = "(assert_malformed (module binary \"\") \"x\")\n(module)\n(assert_malformed (module binary \"\") \"x\")";
    let report = run(&session, script, &Options::default());
    let failures: Vec<_> =
        report.failures.iter().map(|failure| (failure.line, failure.found.as_str())).collect();
    assert_eq!(failures[0], (2, "a panic of the engine: crash: for a test"));
    assert_eq!(failures[1], (3, "nothing was run after the panic in line 2"));
    assert_eq!(report.tally.all(), Counts { passed: 1, failed: 2, skipped: 0 });
}
