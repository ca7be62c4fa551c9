//! `wasi:cli/run`: what a command exports. The host calls it; there is nothing to implement.

/// The instance that a command exports.
pub const INSTANCE: &str = "wasi:cli/run@0.2.12";
/// Its function: `run: func() -> result`; `err` is exit code 1.
pub const RUN: &str = "run";
