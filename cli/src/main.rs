//! The `mini-wasm` command.
#![forbid(unsafe_code)]
fn main() {}
