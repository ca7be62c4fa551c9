//! What our own commands write: standard output whole (what a command prints is one write, and a reader that has gone, as in
//! `mini-wasm inspect app.wasm | head -1`, is no failure), files, and lines on standard error.
//!
//! Whatever files say of themselves reaches a terminal as text only: characters that steer one are escaped.

use crate::failure::Failure;
#[cfg(feature = "tools")]
use crate::flags::Made;
use mini_wasm_runtime::error::Said;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// Writes text to standard output.
pub(crate) fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    match std::io::stdout().is_terminal() {
        true => print_bytes(Said::lines(text.as_ref()).to_string().as_bytes()),
        false => print_bytes(text.as_ref().as_bytes()),
    }
}

/// Writes bytes to standard output as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether `-o` names standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes what a command made to where `-o` wants it, `-` being standard output. A file appears whole or not at all.
pub(crate) fn write_made(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match is_stdout(path) {
        true => to_stdout(bytes),
        false => {
            mini_wasm_jit::artifact::write(path, bytes).map_err(Failure::engine("cannot write what was made"))
        }
    }
}

fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().is_terminal() {
        true => Err(Failure::Usage("a binary is no text for a terminal: give a file with `-o`".into())),
        false => print_bytes(bytes),
    }
}

/// Writes a component that a command made to where the flags want it.
#[cfg(feature = "tools")]
pub(crate) fn write_component(component: &[u8], made: &Made) -> Result<(), Failure> {
    let output = made.output.as_deref().filter(|path| !is_stdout(path));
    let text = match made.text {
        true => Some(
            crate::deep::on_a_large_stack(|| wasmprinter::print_bytes(component))?
                .map_err(|error| Failure::Other(format!("what was made cannot be printed: {error:#}")))?,
        ),
        false => None,
    };
    match (output, text) {
        (Some(path), text) => write_made(path, text.as_ref().map_or(component, |text| text.as_bytes())),
        (None, Some(text)) => print(text),
        (None, None) => to_stdout(component),
    }
}

/// Writes a line to standard error, whole; nobody may be reading.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let line = line.to_string();
    to_stderr(&format!("{}\n", Said::line(&line)));
}

/// Says on standard error what a command failed in, without ending it.
pub(crate) fn complain(failure: &Failure) {
    complain_plainly(&format!("error: {failure}\n"));
}

/// Says on standard error what has its own form already.
pub(crate) fn complain_plainly(text: &str) {
    to_stderr(&Said::lines(text).to_string());
}

/// Says something on standard error that does not end the command.
pub(crate) fn warn(message: impl std::fmt::Display) {
    complain_plainly(&format!("warning: {message}\n"));
}

fn to_stderr(text: &str) {
    // Standard error may be closed; the exit status still tells.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
