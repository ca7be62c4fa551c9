//! What came out of a script: counts by kind of directive, and every directive that failed or was left out, by line.

use crate::directive::{Class, Kind};
use std::fmt;

/// How many directives went how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// As the script says.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Not tried.
    pub skipped: usize,
}

impl Counts {
    /// All of them.
    pub fn total(self) -> usize {
        self.passed + self.failed + self.skipped
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Counts for each kind of directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally([Counts; Kind::ALL.len()]);

impl Default for Tally {
    fn default() -> Tally {
        Tally([Counts::default(); Kind::ALL.len()])
    }
}

impl Tally {
    /// The counts of a kind.
    pub fn of(&self, kind: Kind) -> Counts {
        self.0[kind as usize]
    }

    /// The counts of a class of kinds.
    pub fn class(&self, class: Class) -> Counts {
        let mut sum = Counts::default();
        for &kind in Kind::ALL.iter().filter(|kind| kind.class() == class) {
            sum += self.of(kind);
        }
        sum
    }

    /// The counts of everything.
    pub fn all(&self) -> Counts {
        let mut sum = Counts::default();
        for &counts in &self.0 {
            sum += counts;
        }
        sum
    }

    pub(crate) fn of_mut(&mut self, kind: Kind) -> &mut Counts {
        &mut self.0[kind as usize]
    }
}

impl std::ops::AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        for (sum, &counts) in self.0.iter_mut().zip(&other.0) {
            *sum += counts;
        }
    }
}

/// The table that reports print: a row for each kind of assertion that occurred.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<9}{:<26}{:>8}{:>8}{:>8}", "", "", "passed", "failed", "skipped")?;
        for class in [Class::Engine, Class::Static, Class::Setup] {
            let word = match class {
                Class::Engine => "engine",
                Class::Static => "static",
                Class::Setup => "setup",
            };
            for &kind in Kind::ALL.iter().filter(|kind| kind.class() == class) {
                let Counts { passed, failed, skipped } = self.of(kind);
                if self.of(kind).total() > 0 {
                    writeln!(f, "{word:<9}{:<26}{passed:>8}{failed:>8}{skipped:>8}", kind.name())?;
                }
            }
            let Counts { passed, failed, skipped } = self.class(class);
            if self.class(class).total() > 0 {
                writeln!(f, "{word:<9}{:<26}{passed:>8}{failed:>8}{skipped:>8}", "together")?;
            }
        }
        Ok(())
    }
}

/// A directive that went otherwise than the script says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Line of the directive, from 1.
    pub line: u32,
    /// What it was; `None` when the script itself could not be read.
    pub kind: Option<Kind>,
    /// What the script says.
    pub expected: String,
    /// What came.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("script", Kind::name);
        write!(f, "{kind}: expected {}, found {}", self.expected, self.found)
    }
}

/// A directive that was not tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skip {
    /// Line of the directive, from 1.
    pub line: u32,
    /// What it was.
    pub kind: Kind,
    /// Why.
    pub reason: String,
}

/// What came out of one script.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FileReport {
    /// Counts by kind.
    pub tally: Tally,
    /// Each directive that failed, in order.
    pub failures: Vec<Failure>,
    /// Each directive that was not tried, in order.
    pub skips: Vec<Skip>,
    /// The line of each assertion that passed and takes an engine ([`Class::Engine`]), in order.
    pub passes: Vec<u32>,
}

impl FileReport {
    /// Nothing failed.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn unreadable(line: u32, why: String) -> FileReport {
        let failure = Failure { line, kind: None, expected: "a script".into(), found: why };
        FileReport { failures: vec![failure], ..FileReport::default() }
    }

    /// Adds what a thread of the script found.
    pub(crate) fn take_over(&mut self, other: FileReport) {
        self.tally += &other.tally;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        self.passes.extend(other.passes);
    }

    pub(crate) fn note(&mut self, line: u32, kind: Kind, outcome: Outcome) {
        let counts = self.tally.of_mut(kind);
        match outcome {
            Outcome::Passed => {
                counts.passed += 1;
                if kind.class() == Class::Engine {
                    self.passes.push(line);
                }
            }
            Outcome::Failed { expected, found } => {
                counts.failed += 1;
                self.failures.push(Failure { line, kind: Some(kind), expected, found });
            }
            Outcome::Skipped(reason) => {
                counts.skipped += 1;
                self.skips.push(Skip { line, kind, reason });
            }
        }
    }
}

/// How one directive went.
pub(crate) enum Outcome {
    Passed,
    Failed { expected: String, found: String },
    Skipped(String),
}

impl Outcome {
    pub(crate) fn failed(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
        Outcome::Failed { expected: expected.into(), found: found.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_and_kept_with_its_line() {
        let mut report = FileReport::default();
        report.note(3, Kind::Return, Outcome::Passed);
        report.note(7, Kind::Return, Outcome::failed("1", "2"));
        report.note(9, Kind::Invalid, Outcome::Skipped("no".into()));
        report.note(11, Kind::Invalid, Outcome::Passed);
        assert_eq!(report.passes, [3]);
        assert_eq!(report.tally.of(Kind::Return), Counts { passed: 1, failed: 1, skipped: 0 });
        assert_eq!(report.tally.class(Class::Static), Counts { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(report.tally.all().total(), 4);
        assert_eq!(report.failures[0].line, 7);
        assert_eq!(report.failures[0].to_string(), "assert_return: expected 1, found 2");
        assert!(!report.is_success());
    }

    #[test]
    fn the_table_has_a_row_for_what_occurred_only() {
        let mut report = FileReport::default();
        report.note(1, Kind::Trap, Outcome::Passed);
        let table = report.tally.to_string();
        assert!(table.contains("assert_trap") && !table.contains("assert_return"), "{table}");
    }
}
