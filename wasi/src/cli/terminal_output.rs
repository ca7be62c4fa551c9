//! `wasi:cli/terminal-output`: that an output is a terminal.

use crate::interface::interface;

interface! {
    "wasi:cli/terminal-output@0.2.12";
    resource TerminalOutput in self {}
}

/// The resource `terminal-output`. It has no functions.
#[derive(Debug)]
pub struct TerminalOutput(());

impl TerminalOutput {
    pub(crate) fn new() -> Self {
        Self(())
    }
}
