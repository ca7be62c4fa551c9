//! The component model's scripts in every mode. `spec-tests/src/lib.rs` says how to read what this prints.

use mini_wasm_spec_tests::verdict::{Verdict, wanted};
use mini_wasm_spec_tests::{Mode, gate, suites};
use mini_wasm_wast::{Options, run};
use std::path::Path;

fn suite(mode: Mode) {
    let scripts = suites::component().unwrap_or_else(|why| panic!("{why}"));
    let features = suites::component_features();
    let mut verdict = Verdict::default();
    let session =
        mode.session(features).gate(move |bytes| gate::gate(suites::without_async(features), bytes));
    for script in scripts.iter().filter(|script| wanted(&script.name)) {
        verdict.add(&script.name, run(&session, &script.text, &Options::default()));
    }
    let names = scripts.iter().map(|script| script.name.clone()).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("spec-tests");
    verdict.settle("component", mode, &folder, &names);
}

/// What reading and validation alone decide is the same in every mode.
#[test]
fn every_static_component_script_goes_as_it_says() {
    let set = suites::component_static().unwrap_or_else(|why| panic!("{why}"));
    let mut verdict = Verdict::default();
    for (script, features) in set.plan().filter(|(script, _)| wanted(&script.name)) {
        match features {
            Err(why) => verdict.leave_out(&script.name, &why),
            Ok(features) => {
                let gated = suites::without_async(features);
                let session = Mode::Interp.session(features).gate(move |bytes| gate::gate(gated, bytes));
                verdict.add(&script.name, run(&session, &script.text, &Options::default()));
            }
        }
    }
    let names = set.scripts.iter().map(|script| script.name.clone()).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("spec-tests");
    verdict.settle("component-static", Mode::Interp, &folder, &names);
}

#[test]
fn every_component_script_goes_as_it_says_when_interpreted() {
    suite(Mode::Interp);
}

#[test]
fn every_component_script_goes_as_it_says_when_compiled() {
    suite(Mode::Jit);
}

#[test]
fn every_component_script_goes_as_it_says_from_an_artifact() {
    suite(Mode::Aot);
}
