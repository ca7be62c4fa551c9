//! The core suites in every mode. `spec-tests/src/lib.rs` says how to read what this prints.

use mini_wasm_spec_tests::Mode;
use mini_wasm_spec_tests::suites;
use mini_wasm_spec_tests::verdict::{Verdict, wanted};
use std::path::Path;

fn suite(mode: Mode, also: impl Fn(&str) -> bool) {
    let sets = suites::core().unwrap_or_else(|why| panic!("{why}"));
    let mut verdict = Verdict::default();
    for (script, features) in sets.iter().flat_map(|set| set.plan()) {
        if wanted(&script.name) && also(&script.name) {
            verdict.run(mode, script, features);
        }
    }
    let scripts = sets.iter().flat_map(|set| &set.scripts).map(|script| script.name.clone()).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("spec-tests");
    verdict.settle("core", mode, &folder, &scripts);
}

#[test]
fn every_core_script_goes_as_it_says_when_interpreted() {
    suite(Mode::Interp, |_| true);
}

#[test]
fn every_core_script_goes_as_it_says_when_compiled() {
    suite(Mode::Jit, |_| true);
}

#[test]
fn every_core_script_goes_as_it_says_from_an_artifact() {
    suite(Mode::Aot, |_| true);
}

/// Scripts where something lies on the heap.
fn allocates(name: &str) -> bool {
    let parts = [
        "gc/",
        "function-references/",
        "stack-switching/",
        "array",
        "struct",
        "i31",
        "cast",
        "extern",
        "exceptions",
        "throw",
        "try",
        "type-",
        "cont",
        "descriptors",
    ];
    parts.iter().any(|part| name.contains(part))
}

/// Each allocation collects what nothing leads to.
#[test]
fn every_core_script_of_the_heap_goes_as_it_says_when_each_allocation_collects() {
    suite(Mode::Stress, allocates);
}

#[test]
fn every_core_script_of_the_heap_goes_as_it_says_when_interpreted_and_each_allocation_collects() {
    suite(Mode::StressInterp, allocates);
}

/// Where guard pages make a difference: scripts about memories, about traps, and about the end of the stack.
#[test]
fn every_core_script_of_memories_and_traps_goes_as_it_says_without_signal_handlers() {
    let parts = [
        "mem",
        "address",
        "align",
        "bulk",
        "load",
        "store",
        "data",
        "trap",
        "guard",
        "fac",
        "call",
        "endianness",
    ];
    suite(Mode::Unguarded, |name| parts.iter().any(|part| name.contains(part)));
}
