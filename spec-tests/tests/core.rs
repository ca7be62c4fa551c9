//! The core suites in every mode. `spec-tests/src/lib.rs` says how to read what this prints.

use mini_wasm_spec_tests::Mode;
use mini_wasm_spec_tests::suites::{self, CoreSet};
use mini_wasm_spec_tests::verdict::{Verdict, wanted};
use mini_wasm_wast::{Options, run};
use std::path::Path;

fn suite(mode: Mode) {
    let sets: Vec<CoreSet> = suites::core();
    let mut verdict = Verdict::default();
    for set in &sets {
        let wanted = set.scripts.iter().filter(|script| wanted(&script.name));
        match set.features() {
            Err(feature) => {
                let why = format!("the engine does not have the feature {feature}");
                wanted.for_each(|script| verdict.leave_out(&script.name, &why));
            }
            Ok(features) => {
                let session = mode.session(features);
                wanted.for_each(|script| {
                    verdict.add(&script.name, run(&session, &script.text, &Options::default()));
                });
            }
        }
    }
    let scripts = sets.iter().flat_map(|set| &set.scripts).map(|script| script.name.clone()).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("spec-tests");
    verdict.settle("core", mode, &folder, &scripts);
}

#[test]
fn every_core_script_goes_as_it_says_when_interpreted() {
    suite(Mode::Interp);
}

#[test]
fn every_core_script_goes_as_it_says_when_compiled() {
    suite(Mode::Jit);
}

#[test]
fn every_core_script_goes_as_it_says_from_an_artifact() {
    suite(Mode::Aot);
}
