//! The examples do what they say.

use std::process::Command;

#[track_caller]
fn stdout(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn embed_calls_back_and_is_stopped_by_its_fuel() {
    let text = stdout(env!("CARGO_BIN_EXE_embed"), &[]);
    assert_eq!(text, "the guest noted [0, 1, 4, 9, 16]\nthen it was stopped: all fuel consumed\n");
}

#[test]
fn component_runs_a_command_with_its_arguments() {
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/bin/rust-hello.wasm");
    let text = stdout(env!("CARGO_BIN_EXE_component"), &[guest, "one", "two"]);
    assert!(text.contains(r#"["one", "two"]"#), "{text}");
}

#[test]
fn artifact_computes_what_the_module_says() {
    assert_eq!(stdout(env!("CARGO_BIN_EXE_artifact"), &[]), "fib(30) = 832040\n");
}

#[test]
fn bindings_calls_what_the_component_exports() {
    let text = stdout(env!("CARGO_BIN_EXE_bindings"), &[]);
    assert_eq!(text, "area: Ok(9.0)\narea of nothing: Err(\"empty shape\")\ncounted to 42\n");
}

#[test]
fn linking_puts_a_component_between_another_and_its_import() {
    let text = stdout(env!("CARGO_BIN_EXE_linking"), &[]);
    assert_eq!(text, "alone: [1, 2]\nvirtualised: [100, 200], 2 counted\n");
}
