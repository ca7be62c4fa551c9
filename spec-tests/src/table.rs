//! The suites as a table: each set in each mode, counted by kind of assertion, beside what the inventory of the official suites and
//! a reader of the text give for it.

use crate::failures::Known;
use crate::mode::tiers;
use crate::suites::{self, CoreSet};
use crate::{Mode, gate};
use mini_wasm_wast::{Class, Counts, Kind, Options, Tally, run};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The kinds of engine assertions, as columns.
const COLUMNS: [(Kind, &str); 6] = [
    (Kind::Return, "return"),
    (Kind::Trap, "trap"),
    (Kind::Unlinkable, "unlinkable"),
    (Kind::Exhaustion, "exhaustion"),
    (Kind::Exception, "exception"),
    (Kind::Suspension, "suspension"),
];

/// What part of the suites is wanted. Nothing named is everything.
#[derive(Debug, Default)]
pub struct Part {
    /// Names of sets.
    pub sets: Vec<String>,
    /// Modes.
    pub modes: Vec<Mode>,
    /// A part of a script's name.
    pub script: String,
}

/// One set in one mode.
#[derive(Default)]
struct Cell {
    files: usize,
    left_out: BTreeMap<String, Vec<String>>,
    tally: Tally,
    /// Functions of the modules, and those of them that have native code.
    tiers: (u64, u64),
    failures: Vec<(String, String)>,
}

/// Prints the table of a part of the suites row by row; whether nothing failed that is not listed.
///
/// # Errors
/// The scripts or the lists cannot be read.
pub fn print(part: &Part) -> Result<bool, String> {
    let modes =
        if part.modes.is_empty() { vec![Mode::Interp, Mode::Jit, Mode::Aot] } else { part.modes.clone() };
    let mut sets = suites::core()?;
    sets.push(suites::component_static()?);
    sets.push(suites::component_set()?);
    sets.retain(|set| part.sets.is_empty() || part.sets.iter().any(|name| name == set.name));
    let mut header = format!("{:<27}{:<10}{:>5}{:>5}", "set", "mode", "files", "out");
    for (_, word) in COLUMNS {
        let _ = write!(header, "{word:>15}");
    }
    println!(
        "{header}{:>16}{:>9}{:>7}   {:>16}{:>17}",
        "engine", "counted", "study", "static", "native/functions"
    );
    let mut good = true;
    let mut totals: BTreeMap<&str, (Cell, usize)> = BTreeMap::new();
    let mut notes = String::new();
    for set in &sets {
        let counted = set.engine_assertions();
        for &mode in &modes {
            let cell = run_set(set, mode, &part.script);
            println!("{}", row(set.name, mode.name(), &cell, counted, set.inventory));
            let (sum, all) = totals.entry(mode.name()).or_default();
            sum.files += cell.files;
            sum.tally += &cell.tally;
            sum.tiers = (sum.tiers.0 + cell.tiers.0, sum.tiers.1 + cell.tiers.1);
            *all += counted;
            good &= note(&mut notes, set, mode, &cell)?;
        }
    }
    for (mode, (cell, counted)) in totals {
        println!("{}", row("together", mode, &cell, counted, None));
    }
    println!(
        "\nfiles: run; out: left out, by name below; passed/failed/skipped. counted: engine assertions that a reader of"
    );
    println!(
        "the texts counts, those of files left out too; study: what the inventory of the official suites gives."
    );
    println!(
        "native/functions: functions of the scripts' modules that have native code, of all; the others run interpreted."
    );
    println!("{notes}");
    Ok(good)
}

fn run_set(set: &CoreSet, mode: Mode, part: &str) -> Cell {
    let mut cell = Cell::default();
    tiers::take();
    for (script, features) in set.plan().filter(|(script, _)| script.name.contains(part)) {
        match features {
            Err(why) => cell.left_out.entry(why).or_default().push(script.name.clone()),
            Ok(features) => {
                let mut session = mode.session(features);
                if set.gated {
                    session = session.gate(move |bytes| gate::gate(suites::without_async(features), bytes));
                }
                let report = run(&session, &script.text, &Options::default());
                cell.files += 1;
                cell.tally += &report.tally;
                for failure in &report.failures {
                    cell.failures.push((format!("{}:{}", script.name, failure.line), failure.to_string()));
                }
            }
        }
    }
    cell.tiers = tiers::take();
    cell
}

fn row(name: &str, mode: &str, cell: &Cell, counted: usize, inventory: Option<(usize, usize)>) -> String {
    let show = |Counts { passed, failed, skipped }: Counts| match passed + failed + skipped {
        0 => "-".to_owned(),
        _ => format!("{passed}/{failed}/{skipped}"),
    };
    let left_out: usize = cell.left_out.values().map(Vec::len).sum();
    let mut text = format!("{name:<27}{mode:<10}{:>5}{left_out:>5}", cell.files);
    for (kind, _) in COLUMNS {
        let _ = write!(text, "{:>15}", show(cell.tally.of(kind)));
    }
    let study = inventory.map_or_else(|| "-".to_owned(), |(_, engine)| engine.to_string());
    let (engine, fixed) = (cell.tally.class(Class::Engine), cell.tally.class(Class::Static));
    let _ = write!(text, "{:>16}{counted:>9}{study:>7}   {:>16}", show(engine), show(fixed));
    let _ = write!(text, "{:>17}", format!("{}/{}", cell.tiers.1, cell.tiers.0));
    text
}

/// What was left out and what failed, with the reasons of the lists; whether every failure is listed.
fn note(notes: &mut String, set: &CoreSet, mode: Mode, cell: &Cell) -> Result<bool, String> {
    for (why, scripts) in &cell.left_out {
        let _ = writeln!(notes, "{} {mode}: left out, {why}: {}", set.name, scripts.join(" "));
    }
    let name = match set.name {
        // What reading and validation decide is the same in every mode.
        "component-model" => "component-static-interp.txt".to_owned(),
        "component" => format!("component-{mode}.txt"),
        _ => format!("core-{mode}.txt"),
    };
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("failures").join(name);
    let known = Known::read(&list)?;
    let mut good = true;
    for (place, what) in &cell.failures {
        let why = known.why(place);
        good &= why.is_some();
        let _ = writeln!(notes, "{mode} {place}: {what}  [{}]", why.unwrap_or("NOT LISTED"));
    }
    Ok(good)
}
