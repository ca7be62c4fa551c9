//! Random modules do the same in every mode: results, traps, memory, globals, what the host was told, and the fuel left. The
//! command `diff` (src/main.rs) goes further.

use mini_wasm_runtime::ops::Op;
use mini_wasm_runtime::{ErrorKind, Trap};
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::diff::coverage::{self, Counts};
use mini_wasm_spec_tests::diff::{Source, Way, disagreement, features, found};
use mini_wasm_spec_tests::observe::{Called, Observed, Plan};
use mini_wasm_spec_tests::program::{Abilities, Choices, Program};
use mini_wasm_spec_tests::random::Random;
use mini_wasm_spec_tests::{Mode, observe};
use proptest::prelude::*;
use std::path::Path;

/// A plan for a program of these bytes.
fn plan(bytes: &[u8]) -> Plan {
    Plan::new(bytes.iter().fold(bytes.len() as u64, |seed, &byte| seed.rotate_left(9) ^ u64::from(byte)))
}

fn program(bytes: &[u8]) -> (Program, Vec<u8>) {
    let program = Program::grow(&mut Choices::new(bytes));
    let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
    (program, binary)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mode_does_what_the_interpreter_does(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let (program, binary) = program(&bytes);
        if let Some((way, difference)) = disagreement(features(&[]), &binary, plan(&bytes), &Way::all()) {
            return Err(TestCaseError::fail(format!("{way:?}: {difference}\n{}", program.text)));
        }
    }

    #[test]
    fn every_mode_does_what_the_interpreter_does_with_modules_of_wasm_smith(seed in any::<u64>()) {
        let Some(binary) = Source::Smith.module(seed, features(&[]), None) else { return Ok(()) };
        if let Some((way, difference)) = disagreement(features(&[]), &binary, Plan::new(seed), &Way::all()) {
            return Err(TestCaseError::fail(format!("seed {seed:#x}, {way:?}: {difference}")));
        }
    }

    #[test]
    fn every_mode_does_what_the_interpreter_does_with_drills(seed in any::<u64>()) {
        let Some(binary) = Source::Drill.module(seed, features(&[]), None) else { return Ok(()) };
        if let Some((way, difference)) = disagreement(features(&[]), &binary, Plan::new(seed), &Way::all()) {
            return Err(TestCaseError::fail(format!("seed {seed:#x}, {way:?}: {difference}")));
        }
    }

    #[test]
    fn every_mode_blames_the_same_operator_for_a_trap(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (program, binary) = program(&bytes);
        let native = Way { mode: Mode::Jit, ..Way::REFERENCE };
        let run = |way: Way| -> Observed { way.run(features(&[]), &binary, plan(&bytes)).expect("no panic") };
        if let (Ok(found), Ok(expected)) = (run(native), run(Way::REFERENCE)) {
            for (found, expected) in found.iter().zip(&expected) {
                if found.is_incomparable() || expected.is_incomparable() {
                    break;
                }
                prop_assert_eq!(blamed(found), blamed(expected), "{:?}\n{}", expected.end, program.text);
            }
        }
    }
}

/// The frames of a trap. Where fuel ran out is nobody's fault, and native code has one exit for it in each function, so there the
/// innermost frame counts without its offset.
fn blamed(call: &Called) -> Vec<(u32, Option<u32>)> {
    let mut frames = call.backtrace.clone();
    if let (Err(ErrorKind::Trap(Trap::OutOfFuel)), Some(innermost)) = (&call.end, frames.first_mut()) {
        innermost.1 = None;
    }
    frames
}

/// No operator of the table is left out: each has a drill that executes it, in both engines.
#[test]
fn every_operator_is_executed_by_its_drills_in_both_engines() {
    // Without vectors the compiler leaves functions out that mention them.
    let native = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    let mut counts = Counts::default();
    let executed = |counts: &Counts, op| {
        let (interpreted, compiled) = counts.of(op);
        interpreted > 0 && (compiled > 0 || !native)
    };
    for (number, ops) in Op::ALL.chunks(8).enumerate() {
        for seed in 0..40 {
            let wanted: Vec<Op> = ops.iter().copied().filter(|&op| !executed(&counts, op)).collect();
            if wanted.is_empty() {
                break;
            }
            let bytes = Random::new(seed << 32 | number as u64).bytes(1500);
            let abilities = Abilities::of(features(&[]));
            let program = Program::drill(&mut Choices::new(&bytes), abilities, &wanted);
            let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
            counts +=
                coverage::count(features(&[]), &binary, Plan::new(seed), &[]).expect("it can be rewritten");
        }
    }
    let left: Vec<&str> =
        Op::ALL.iter().filter(|&&op| !executed(&counts, op)).map(|op| op.mnemonic()).collect();
    assert_eq!(left, [""; 0]);
}

/// What the fuzzer once found stays mended.
#[test]
fn every_way_agrees_on_the_modules_that_were_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    let mut wrong = Vec::new();
    for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
        if path.extension().is_some_and(|extension| extension == "wast") {
            let text = std::fs::read_to_string(&path).expect("a script can be read");
            if let Err(why) = found::replay(&text) {
                wrong.push(format!("{}: {why}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A module that shows a difference is noticed: the comparison itself works.
#[test]
fn results_that_differ_are_noticed() {
    let text = |n: u32| format!("(module (func (export \"f\") (result i32) (i32.const {n})))");
    let run = |n| {
        let binary = wat::parse_str(text(n)).expect("text of a module");
        Way::REFERENCE.run(features(&[]), &binary, Plan::new(3)).expect("no panic")
    };
    assert!(observe::difference(&run(1), &run(2)).is_some());
    assert!(observe::difference(&run(1), &run(1)).is_none());
}
