//! A suite in a mode: its scripts run, the table and the report, the list of failures held against it.

use crate::Mode;
use crate::failures::Known;
use crate::suites::Script;
use mini_wasm_runtime::features::Features;
use mini_wasm_wast::{Class, Counts, FileReport, Options, Tally, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// What came out of a suite in one mode.
#[derive(Default)]
pub struct Verdict {
    groups: BTreeMap<String, (usize, Tally)>,
    failures: Vec<(String, u32, String)>,
    skips: BTreeMap<String, BTreeMap<String, usize>>,
    passes: BTreeMap<String, Vec<u32>>,
    left_out: BTreeMap<String, Vec<String>>,
    ran: BTreeSet<String>,
}

impl Verdict {
    /// Runs a script in a mode with these features, or leaves it out for the reason given.
    pub fn run(&mut self, mode: Mode, script: &Script, features: Result<Features, String>) {
        match features {
            Err(why) => self.leave_out(&script.name, &why),
            Ok(features) => {
                let session = mode.session(features);
                self.add(&script.name, run(&session, &script.text, &Options::default()));
            }
        }
    }

    /// Takes in the report of a script; its group in the table is the part of the name before the slash.
    pub fn add(&mut self, script: &str, report: FileReport) {
        let group = script.split_once('/').map_or("", |(group, _)| group);
        let (files, tally) = self.groups.entry(group.into()).or_default();
        *files += 1;
        *tally += &report.tally;
        self.ran.insert(script.into());
        for failure in &report.failures {
            self.failures.push((script.into(), failure.line, failure.to_string()));
        }
        if !report.skips.is_empty() && !report.passes.is_empty() {
            self.passes.insert(script.into(), report.passes);
        }
        for skip in report.skips {
            *self.skips.entry(script.into()).or_default().entry(skip.reason).or_default() += 1;
        }
    }

    /// Notes that a script was not run, and why.
    pub fn leave_out(&mut self, script: &str, why: &str) {
        self.left_out.entry(why.into()).or_default().push(script.into());
    }

    /// The table, what was left out and skipped by name, every failure by `file:line`.
    pub fn report(&self) -> String {
        let mut text = String::new();
        let mut all = Tally::default();
        let _ = writeln!(
            text,
            "{:<16}{:>6} | engine {:>6} {:>6} {:>6} | static {:>6} {:>6} {:>6} | setup failed",
            "", "files", "pass", "fail", "skip", "pass", "fail", "skip"
        );
        let row = |text: &mut String, name: &str, files: usize, tally: &Tally| {
            let (engine, fixed) = (tally.class(Class::Engine), tally.class(Class::Static));
            let setup = tally.class(Class::Setup);
            let _ = writeln!(
                text,
                "{name:<16}{files:>6} |        {:>6} {:>6} {:>6} |        {:>6} {:>6} {:>6} | {:>6}",
                engine.passed,
                engine.failed,
                engine.skipped,
                fixed.passed,
                fixed.failed,
                fixed.skipped,
                setup.failed
            );
        };
        for (group, (files, tally)) in &self.groups {
            row(&mut text, group, *files, tally);
            all += tally;
        }
        row(&mut text, "together", self.ran.len(), &all);
        let _ = write!(text, "\n{all}");
        for (why, scripts) in &self.left_out {
            let _ = writeln!(text, "\nleft out, {} scripts: {why}", scripts.len());
            let names: Vec<&str> = scripts.iter().map(|name| name.as_str()).collect();
            let _ = writeln!(text, "  {}", names.join(" "));
        }
        if !self.skips.is_empty() {
            let _ = writeln!(text, "\nskipped directives:");
        }
        for (script, reasons) in &self.skips {
            for (reason, count) in reasons {
                let _ = writeln!(text, "  {script}: {count} x {reason}");
            }
        }
        if !self.passes.is_empty() {
            let _ = writeln!(
                text,
                "\nwhat passed of scripts with skipped directives, of assertions that take an engine:"
            );
        }
        for (script, lines) in &self.passes {
            let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
            let _ = writeln!(text, "  {script}: {}, lines {}", lines.len(), lines.join(" "));
        }
        for (script, line, what) in &self.failures {
            let _ = writeln!(text, "{script}:{line}: {what}");
        }
        text
    }

    /// The counts of everything.
    pub fn counts(&self) -> Counts {
        let mut all = Tally::default();
        for (_, tally) in self.groups.values() {
            all += tally;
        }
        all.all()
    }

    /// Prints the report, writes it to `folder/<suite>-<mode>.txt` and holds the failures against the list.
    ///
    /// # Panics
    /// When the list and the failures are not the same; the message says where.
    #[track_caller]
    pub fn settle(&self, suite: &str, mode: Mode, folder: &Path, scripts: &BTreeSet<String>) {
        let report = self.report();
        println!("{suite} scripts, mode {mode}\n{report}");
        let name = format!("{suite}-{mode}.txt");
        let written =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(&name), &report));
        if let Err(error) = written {
            println!("{}: {error}", folder.join(&name).display());
        }
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("failures").join(&name);
        let known = Known::read(&list).unwrap_or_else(|why| panic!("{why}"));
        let strangers = known.strangers(scripts);
        assert!(strangers.is_empty(), "{}: there are no such scripts: {strangers:?}", list.display());
        let failed = self.failures.iter().map(|(script, line, _)| format!("{script}:{line}")).collect();
        let differences = known.differences(&failed, &self.ran);
        let mut wrong = String::new();
        for place in &differences.unlisted {
            let what = self.failures.iter().find(|(script, line, _)| *place == format!("{script}:{line}"));
            let _ = writeln!(wrong, "fails: {place}: {}", what.map_or("", |(_, _, what)| what.as_str()));
        }
        for place in &differences.passing {
            let _ = writeln!(wrong, "passes, take it off {}: {place}", list.display());
        }
        assert!(wrong.is_empty(), "{suite} scripts, mode {mode}:\n{wrong}");
    }
}

/// Whether `SPEC` in the environment, a part of a name, lets a script be run.
pub fn wanted(script: &str) -> bool {
    std::env::var("SPEC").map_or(true, |part| script.contains(&part))
}
