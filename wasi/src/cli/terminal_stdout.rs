//! `wasi:cli/terminal-stdout`.

use mini_wasm_canonical_abi::Own;

use crate::cli::terminal_output::TerminalOutput;
use crate::ctx::Output;
use crate::interface::interface;
use crate::sys::stdio;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/terminal-stdout@0.2.12";
    func get_terminal_stdout();
}

/// `get-terminal-stdout`: something if it is inherited and a terminal.
pub fn get_terminal_stdout(wasi: &mut Wasi) -> Result<Option<Own<TerminalOutput>>, Stop> {
    if matches!(wasi.stdout, Output::Inherit) && stdio::is_terminal(stdio::stdout()) {
        return wasi.table.push(TerminalOutput::new()).map(Some);
    }
    Ok(None)
}
