//! Damaged binaries are refused or run, and nothing else: no panic, no endless loop, no memory past the limits.

use mini_wasm_runtime::{Config, Engine, Module};
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::observe::observe_module;
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
        let engine = Engine::new(Config { fuel: true, ..Config::default() });
        if let Ok(module) = Module::new(&engine, binary) {
            let _ = observe_module(&module, &program, &mut Choices::new(&bytes));
        }
    }
}

#[test]
fn every_truncation_of_a_module_is_refused() {
    let entropy: Vec<u8> = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let program = Program::grow(&mut Choices::new(&entropy));
    let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
    let engine = Engine::new(Config::default());
    assert!(Module::new(&engine, binary.clone()).is_ok());
    for length in 0..binary.len() {
        let cut = Module::new(&engine, &binary[..length]);
        // Behind a whole section a module may end, if what it declared is there.
        if cut.is_ok() {
            assert!(wasmparser::validate(&binary[..length]).is_ok(), "{length} of {} bytes", binary.len());
        }
    }
}
