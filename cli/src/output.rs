//! Standard output of our own commands, written whole: what a command prints is one write, and a reader that has gone
//! (`mini-wasm inspect app.wasm | head -1`) is no failure.

use crate::failure::Failure;
#[cfg(feature = "tools")]
use crate::flags::Made;
use std::io::{ErrorKind, Write};

/// Writes a line to standard error, whole; nobody may be reading.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes `text` to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a component that a command made to where the flags want it. A file appears whole or not at all.
#[cfg(feature = "tools")]
pub(crate) fn write_component(component: &[u8], made: &Made) -> Result<(), Failure> {
    use std::io::IsTerminal;
    let text = match made.text {
        true => Some(
            wasmprinter::print_bytes(component)
                .map_err(|error| Failure::Other(format!("what was made cannot be printed: {error:#}")))?,
        ),
        false => None,
    };
    let bytes = text.as_ref().map_or(component, |text| text.as_bytes());
    match &made.output {
        Some(path) => {
            mini_wasm_jit::artifact::write(path, bytes).map_err(Failure::engine("cannot write what was made"))
        }
        None if text.is_none() && std::io::stdout().is_terminal() => Err(Failure::Usage(
            "a binary is no text for a terminal: give a file with `-o`, or `--text`".into(),
        )),
        None => print(bytes),
    }
}

/// Says on standard error what a command failed in, without ending it.
pub(crate) fn complain(failure: &Failure) {
    // Standard error may be closed; the exit status still tells.
    let _ = writeln!(std::io::stderr(), "error: {failure}");
}

/// Says on standard error what has its own form already.
pub(crate) fn complain_plainly(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Says something on standard error that does not end the command.
pub(crate) fn warn(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "warning: {message}");
}
