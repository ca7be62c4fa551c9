//! Damaged files are refused, told of or run by every command, and nothing else: no panic, no endless loop, no memory past the limit.

use mini_wasm_spec_tests::commands::{Request, run};

/// The command `commands` (src/main.rs), in small.
#[test]
fn damaged_files_bring_no_command_down() {
    let request = Request {
        count: 880,
        first: 0,
        seed: 11,
        jobs: 2,
        folder: None,
        program: env!("CARGO_BIN_EXE_mini-wasm-spec-tests").into(),
    };
    let found = run(&request).expect("files of its own");
    assert_eq!((found.faults.len(), found.inputs), (0, 880), "{found}");
}
