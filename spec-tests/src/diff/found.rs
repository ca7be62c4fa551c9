//! Modules that once showed a difference, as scripts: `spec-tests/found/*.wast`.
//!
//! The first lines of a script are comments that say what was found and how the module was run; then the module. Running it
//! again ([`replay`]) asks only whether every way to run it agrees. Whoever mends the fault may add assertions of what is right;
//! then the script runs as a script, too.

use super::{Way, disagreement, features};
use crate::observe::Plan;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// Writes a module down; where.
///
/// # Errors
/// The file cannot be written.
pub fn keep(folder: &Path, binary: &[u8], plan: Plan, way: Way, what: &str) -> Result<PathBuf, String> {
    let mut text =
        String::from(";; Found by the differential fuzzer: every way to run this module must do the same.\n");
    let _ = writeln!(text, ";; plan: {:#x}", plan.seed);
    let _ = writeln!(text, ";; differed: {way:?}");
    for line in what.lines().flat_map(|line| line.as_bytes().chunks(160)) {
        let _ = writeln!(text, ";;   {}", String::from_utf8_lossy(line));
    }
    let bytes: String = binary.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    });
    match wasmprinter::print_bytes(binary) {
        Ok(module) if wat::parse_str(&module).is_ok() => text.push_str(&module),
        _ => drop(write!(text, "(module binary \"{bytes}\")")),
    }
    text.push('\n');
    let path = folder.join(format!("{:016x}.wast", plan.seed));
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    std::fs::write(&path, text).map_err(|error| error.to_string())?;
    Ok(path)
}

/// Runs the module of a script in every way.
///
/// # Errors
/// Two ways disagree, and how; or the script cannot be read.
pub fn replay(text: &str) -> Result<(), String> {
    let seed = text.lines().find_map(|line| line.strip_prefix(";; plan: 0x"));
    let seed = seed.and_then(|seed| u64::from_str_radix(seed, 16).ok()).ok_or("no line `;; plan: 0x...`")?;
    let buffer = ParseBuffer::new(text).map_err(|error| error.to_string())?;
    let script = parser::parse::<Wast<'_>>(&buffer).map_err(|error| error.to_string())?;
    let binary = script.directives.into_iter().find_map(|directive| match directive {
        WastDirective::Module(mut module) => module.encode().ok(),
        _ => None,
    });
    let binary = binary.ok_or("no module")?;
    match disagreement(features(&[]), &binary, Plan::new(seed), &Way::all()) {
        Some((way, what)) => Err(format!("{way:?}: {what}")),
        None => Ok(()),
    }
}
