//! `wasi:cli/terminal-stderr`.

use mini_wasm_canonical_abi::Own;

use crate::cli::terminal_output::TerminalOutput;
use crate::ctx::Output;
use crate::interface::interface;
use crate::sys::stdio;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/terminal-stderr@0.2.12";
    func get_terminal_stderr();
}

/// `get-terminal-stderr`: something if it is inherited and a terminal.
pub fn get_terminal_stderr(wasi: &mut Wasi) -> Result<Option<Own<TerminalOutput>>, Stop> {
    if matches!(wasi.stderr, Output::Inherit) && stdio::is_terminal(stdio::stderr()) {
        return wasi.table.push(TerminalOutput::new()).map(Some);
    }
    Ok(None)
}
