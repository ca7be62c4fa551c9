//! README.md's first command does what it says.

use crate::sandbox::Sandbox;
use crate::{end, guests};
use std::process::Command;

#[test]
fn the_first_command_of_the_readme_runs_a_component_and_its_artifact() {
    let sandbox = Sandbox::new("readme");
    let root = guests().parent().expect("the workspace").to_owned();
    let text = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("cargo build"))
        .expect("a command that builds");
    // What it builds is built already; the rest runs as it stands, but in places of the test's own.
    let (build, rest) = line.trim().split_once(" && ").expect("a build, then more");
    assert_eq!(build, "cargo build --release -p mini-wasm-cli");
    let script = rest.replace("target/release/mini-wasm", "$BUILT").replace("target/", "$PLACE/");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&script).current_dir(&root).env("XDG_STATE_HOME", sandbox.path("state"));
    shell.env("BUILT", env!("CARGO_BIN_EXE_mini-wasm")).env("PLACE", sandbox.path(""));
    let ended = end(&sandbox, &mut shell);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let (first, second) = ended.stdout.split_at(ended.stdout.len() / 2);
    assert!(!first.is_empty() && first == second, "twice the same: {ended:?}");
}
