//! Random programs do the same in every mode: results, traps, memory, globals, what the host was told, and the fuel left.

use mini_wasm_runtime::{Config, ErrorKind, Trap};
use mini_wasm_spec_tests::Mode;
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::observe::{Called, observe};
use mini_wasm_spec_tests::program::{Choices, Program};
use proptest::prelude::*;

fn config() -> Config {
    Config { fuel: true, canonicalize_nans: true, ..Config::default() }
}

/// What the program of `bytes` does in a mode. The same bytes give arguments and fuel, so these are the same in every mode.
fn calls(mode: Mode, program: &Program, binary: &[u8], bytes: &[u8]) -> Result<Vec<Called>, ErrorKind> {
    observe(mode, config(), program, binary, &mut Choices::new(bytes))
}

/// Frames are compared by a test of their own: a wrong operator in a backtrace is a lesser fault than a wrong result.
fn without_backtraces(calls: Result<Vec<Called>, ErrorKind>) -> Result<Vec<Called>, ErrorKind> {
    Ok(calls?.into_iter().map(|call| Called { backtrace: Vec::new(), ..call }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(150), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mode_does_what_the_interpreter_does(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let program = Program::grow(&mut Choices::new(&bytes));
        let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
        let expected = without_backtraces(calls(Mode::Interp, &program, &binary, &bytes));
        for &mode in Mode::ALL {
            let found = without_backtraces(calls(mode, &program, &binary, &bytes));
            if let Some(difference) = difference(&found, &expected) {
                return Err(TestCaseError::fail(format!("{mode}: {difference}\n{}", program.text)));
            }
        }
    }

    #[test]
    fn every_mode_blames_the_same_operator_for_a_trap(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let program = Program::grow(&mut Choices::new(&bytes));
        let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
        let expected = calls(Mode::Interp, &program, &binary, &bytes);
        let found = calls(Mode::Jit, &program, &binary, &bytes);
        if let (Ok(found), Ok(expected)) = (&found, &expected) {
            for (found, expected) in found.iter().zip(expected) {
                let end = &expected.end;
                let (found, expected) = (blamed(found), blamed(expected));
                prop_assert_eq!(&found, &expected, "{:?}\n{}", end, program.text);
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

/// The first call that differs, in words.
fn difference(
    found: &Result<Vec<Called>, ErrorKind>,
    expected: &Result<Vec<Called>, ErrorKind>,
) -> Option<String> {
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            let (found, expected) = found.iter().zip(expected).find(|(found, expected)| found != expected)?;
            Some(format!("\nfound       {found:?}\ninterpreter {expected:?}"))
        }
        (found, expected) => {
            (found != expected).then(|| format!("found {found:?}, interpreter {expected:?}"))
        }
    }
}
