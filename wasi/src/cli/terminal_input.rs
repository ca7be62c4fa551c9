//! `wasi:cli/terminal-input`: that an input is a terminal.

use crate::interface::interface;

interface! {
    "wasi:cli/terminal-input@0.2.12";
    resource TerminalInput in self {}
}

/// The resource `terminal-input`. It has no functions.
#[derive(Debug)]
pub struct TerminalInput(());

impl TerminalInput {
    pub(crate) fn new() -> Self {
        Self(())
    }
}
