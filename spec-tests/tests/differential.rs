//! Random programs do the same in every mode: results, traps, memory, globals, what the host was told, and the fuel left.

use mini_wasm_runtime::Config;
use mini_wasm_spec_tests::Mode;
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::observe::observe;
use mini_wasm_spec_tests::program::{Choices, Program};
use proptest::prelude::*;

fn config() -> Config {
    Config { fuel: true, canonicalize_nans: true, ..Config::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(150), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mode_does_what_the_interpreter_does(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let mut choices = Choices::new(&bytes);
        let program = Program::grow(&mut choices);
        let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
        // The same bytes again, so that arguments and fuel are the same in every mode.
        let arguments = || Choices::new(&bytes);
        let expected = observe(Mode::Interp, config(), &program, &binary, &mut arguments());
        for &mode in Mode::ALL {
            let found = observe(mode, config(), &program, &binary, &mut arguments());
            prop_assert_eq!(&found, &expected, "{} differs from the interpreter\n{}", mode, program.text);
        }
    }
}
