//! `wasi:cli/terminal-stdin`.

use mini_wasm_canonical_abi::Own;

use crate::cli::terminal_input::TerminalInput;
use crate::ctx::Stdin;
use crate::interface::interface;
use crate::sys::stdio;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/terminal-stdin@0.2.12";
    func get_terminal_stdin();
}

/// `get-terminal-stdin`: something if standard input is inherited and a terminal.
pub fn get_terminal_stdin(wasi: &mut Wasi) -> Result<Option<Own<TerminalInput>>, Stop> {
    if matches!(wasi.stdin, Stdin::Inherit) && stdio::is_terminal(stdio::stdin()) {
        return wasi.table.push(TerminalInput::new()).map(Some);
    }
    Ok(None)
}
