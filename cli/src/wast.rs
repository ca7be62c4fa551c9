//! `mini-wasm wast FILE...`: runs scripts of the official suites and counts how their directives went.

use crate::failure::Failure;
use crate::flags::{Compiling, Wast};
use crate::{engine, input, output, quote};
use mini_wasm_runtime::Config;
use mini_wasm_wast::{Counts, FileReport, Options, Session};
use std::fmt::Write;

/// One line for each file and a total on standard output, each failure on standard error; 1 if there is one.
pub(crate) fn wast(flags: &Wast) -> Result<u8, Failure> {
    let config =
        Session::bounded(Config { features: flags.language.features(), ..engine::guarded(flags.guards) });
    let session = Session::new(engine::engine(flags.engine, &Compiling::default(), config));
    let mut total = Counts::default();
    let mut success = true;
    for file in &flags.files {
        let (name, text) = input::read_text(file)?;
        let report = mini_wasm_wast::run(&session, &text, &Options::default());
        output::complain_plainly(&details(&name, &report, flags.verbose));
        // A script that cannot be read is a failure that no directive counts.
        success &= report.is_success();
        let counts = report.tally.all();
        total += counts;
        output::print(format!("{name}: {}\n", words(counts)))?;
    }
    output::print(format!("total of {} files: {}\n", flags.files.len(), words(total)))?;
    Ok(u8::from(!success))
}

fn words(counts: Counts) -> String {
    let Counts { passed, failed, skipped } = counts;
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

fn details(name: &str, report: &FileReport, skips: bool) -> String {
    let mut text = String::new();
    for failure in &report.failures {
        let _ = writeln!(text, "{name}:{}: failed {}", failure.line, quote::brief(&failure.to_string()));
    }
    for skip in report.skips.iter().filter(|_| skips) {
        let _ = writeln!(text, "{name}:{}: skipped {}: {}", skip.line, skip.kind.name(), skip.reason);
    }
    text
}
