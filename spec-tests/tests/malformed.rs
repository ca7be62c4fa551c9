//! Damaged binaries are refused or run, and nothing else: no panic, no endless loop, no memory past the limits.

use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::{Config, Engine, Module};
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::diff::features;
use mini_wasm_spec_tests::malformed::{self, COMPONENTS, run_component};
use mini_wasm_spec_tests::observe::{Plan, observe_module};
use mini_wasm_spec_tests::program::{Choices, Program};
use proptest::prelude::*;

/// One damage: where (as a part of the length), what, and how.
type Damage = (u16, u8, u8);

fn damage(binary: &mut Vec<u8>, damages: &[Damage]) {
    for &(place, byte, how) in damages {
        if binary.is_empty() {
            return;
        }
        // The header is left alone: what follows it is what the reader has to withstand.
        let at = (8 + usize::from(place) * binary.len() / 65536).min(binary.len() - 1);
        match how % 6 {
            0 => binary[at] = byte,
            1 => binary[at] ^= 1 << (byte % 8),
            2 => binary.insert(at, byte),
            3 => drop(binary.remove(at)),
            4 => binary.truncate(at),
            _ => {
                let end = (at + usize::from(byte)).min(binary.len());
                let piece = binary[at..end].to_vec();
                binary.splice(at..at, piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_module_is_refused_or_runs(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        damages in proptest::collection::vec(any::<Damage>(), 1..4),
    ) {
        let program = Program::grow(&mut Choices::new(&bytes));
        let mut binary = wat::parse_str(&program.text).expect("a generated program is valid text");
        damage(&mut binary, &damages);
        let engine = Engine::new(Config { fuel: true, features: features(&[]), ..Config::default() });
        if let Ok(module) = Module::new(&engine, binary) {
            let _ = observe_module(&module, Plan::new(bytes.len() as u64));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(600), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_component_is_refused_or_runs(
        which in 0..COMPONENTS.len(),
        damages in proptest::collection::vec(any::<Damage>(), 1..4),
    ) {
        let mut binary = wat::parse_str(COMPONENTS[which]).expect("text of a component");
        damage(&mut binary, &damages);
        let engine = Engine::new(Config { fuel: true, features: features(&[]), ..Config::default() });
        if let Ok(component) = Component::new(&engine, binary) {
            run_component(&component);
        }
    }
}

#[test]
fn every_truncation_of_a_component_is_refused_unless_it_is_one_too() {
    let engine = Engine::new(Config { fuel: true, features: features(&[]), ..Config::default() });
    for text in COMPONENTS {
        let binary = wat::parse_str(text).expect("text of a component");
        for length in 0..binary.len() {
            // Behind a whole section a component may end, and be one that runs or not.
            if let Ok(component) = Component::new(&engine, &binary[..length]) {
                assert!(
                    wasmparser::validate(&binary[..length]).is_ok(),
                    "{length} of {} bytes",
                    binary.len()
                );
                run_component(&component);
            }
        }
        let whole = Component::new(&engine, binary).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(run_component(&whole), "{text}");
    }
}

#[test]
fn every_truncation_of_a_module_is_refused_unless_it_is_one_too() {
    let entropy: Vec<u8> = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let program = Program::grow(&mut Choices::new(&entropy));
    let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
    let engine = Engine::new(Config { features: features(&[]), ..Config::default() });
    assert!(Module::new(&engine, binary.clone()).is_ok());
    for length in 0..binary.len() {
        let cut = Module::new(&engine, &binary[..length]);
        // Behind a whole section a module may end, if what it declared is there.
        if cut.is_ok() {
            assert!(is_valid(&binary[..length]), "{length} of {} bytes", binary.len());
        }
    }
}

/// The command `malformed` (src/main.rs), in small.
#[test]
fn mutated_modules_components_and_artifacts_bring_nothing_down() {
    let request = malformed::Request { count: 3000, seed: 7, folder: None };
    let found = malformed::run(&request);
    assert_eq!((found.panics, found.inputs), (0, 3000), "{found}");
    assert!(found.bodies * 5 >= found.modules_looked_at, "{found}");
}

fn is_valid(binary: &[u8]) -> bool {
    wasmparser::Validator::new_with_features(features(&[]).wasmparser()).validate_all(binary).is_ok()
}
