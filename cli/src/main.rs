//! The program: `lib.rs` has the commands.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mini_wasm_cli::run(std::env::args_os()))
}
