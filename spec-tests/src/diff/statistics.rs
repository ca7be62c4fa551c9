//! What a run of the differential fuzzer reached.

use super::Source;
use super::coverage::Counts;
use crate::observe::Observed;
use mini_wasm_runtime::ops::Op;
use mini_wasm_runtime::{ErrorKind, Trap};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Statistics {
    /// How long it took.
    pub time: Duration,
    /// Time of the processors, the compiler's threads included.
    pub processor: Duration,
    /// Modules that a source made.
    pub made: u64,
    /// Modules that were instantiated.
    pub instantiated: u64,
    /// Modules of which a function was called.
    pub executed: u64,
    /// Times that a module was run otherwise than by the reference.
    pub runs: u64,
    /// Calls of the reference.
    pub calls: u64,
    /// Calls that returned.
    pub returned: u64,
    /// Modules that were counted operator by operator.
    pub counted_modules: u64,
    /// Modules that differed.
    pub differences: u64,
    refused: BTreeMap<String, u64>,
    traps: BTreeMap<String, u64>,
    pub(super) operators: Counts,
    every: u64,
}

impl Statistics {
    pub(super) fn new(every: u64) -> Statistics {
        Statistics { every, ..Statistics::default() }
    }

    /// Is the module of this seed one of those whose operators are counted? The sources take turns, so its number would not do.
    /// Drills are for that, so all of them are.
    pub(super) fn is_counted(&self, source: Source, seed: u64) -> bool {
        self.every > 0 && (source == Source::Drill || (seed >> 16).is_multiple_of(self.every))
    }

    /// As lines, for another process.
    pub(super) fn lines(&self) -> String {
        let mut text = format!("{} {} time\n", self.time.as_micros(), self.processor.as_micros());
        let numbers = self.numbers();
        let _ = writeln!(text, "{} numbers", numbers.map(|number| number.to_string()).join(" "));
        for (word, list) in [("refused", &self.refused), ("trap", &self.traps)] {
            for (kind, count) in list {
                let _ = writeln!(text, "{count} {word} {kind}");
            }
        }
        for &op in Op::ALL {
            let (interpreted, native) = self.operators.of(op);
            let _ = writeln!(text, "{} {interpreted} {native} op", op as usize);
        }
        text
    }

    /// Adds what another process wrote down; `None` when that cannot be read.
    pub(super) fn add(&mut self, lines: &str) -> Option<()> {
        for line in lines.lines() {
            let mut words = line.split(' ');
            let mut numbers = Vec::new();
            let word = loop {
                let word = words.next()?;
                match word.parse::<u64>() {
                    Ok(number) => numbers.push(number),
                    Err(_) => break word,
                }
            };
            let kind = || words.collect::<Vec<&str>>().join(" ");
            match (word, numbers.as_slice()) {
                ("time", &[time, processor]) => {
                    self.time = self.time.max(Duration::from_micros(time));
                    self.processor += Duration::from_micros(processor);
                }
                ("numbers", numbers) if numbers.len() == self.numbers().len() => {
                    for (sum, number) in self.numbers_mut().into_iter().zip(numbers) {
                        *sum += number;
                    }
                }
                ("refused", &[count]) => *self.refused.entry(kind()).or_default() += count,
                ("trap", &[count]) => *self.traps.entry(kind()).or_default() += count,
                ("op", &[place, interpreted, native]) => {
                    self.operators.add(usize::try_from(place).ok()?, interpreted, native);
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn numbers(&self) -> [u64; 8] {
        let Statistics { made, instantiated, executed, runs, calls, returned, .. } = *self;
        [made, instantiated, executed, runs, calls, returned, self.counted_modules, self.differences]
    }

    fn numbers_mut(&mut self) -> [&mut u64; 8] {
        let Statistics { made, instantiated, executed, runs, calls, returned, .. } = self;
        [
            made,
            instantiated,
            executed,
            runs,
            calls,
            returned,
            &mut self.counted_modules,
            &mut self.differences,
        ]
    }

    pub(super) fn note(&mut self, observed: &Observed) {
        let calls = match observed {
            Ok(calls) => calls,
            Err(kind) => {
                if matches!(kind, ErrorKind::Trap(_)) {
                    // The start function or a segment trapped: code was run.
                    *self.traps.entry(name(*kind)).or_default() += 1;
                }
                *self.refused.entry(name(*kind)).or_default() += 1;
                return;
            }
        };
        self.instantiated += 1;
        self.executed += u64::from(!calls.is_empty());
        for call in calls {
            self.calls += 1;
            match &call.end {
                Ok(_) => self.returned += 1,
                Err(kind) => *self.traps.entry(name(*kind)).or_default() += 1,
            }
        }
    }

    pub(super) fn count(&mut self, counts: Option<Counts>) {
        if let Some(counts) = counts {
            self.counted_modules += 1;
            self.operators += counts;
        }
    }

    /// How often an operator was executed by the interpreter and by native code, in the modules that were counted.
    pub fn executions(&self, op: Op) -> (u64, u64) {
        self.operators.of(op)
    }
}

fn name(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Trap(trap) => trap.message().to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        writeln!(
            f,
            "{} modules in {seconds:.1} s ({:.1} each second), {:.1} s of processor time",
            self.made,
            self.made as f64 / seconds,
            self.processor.as_secs_f64()
        )?;
        writeln!(
            f,
            "{} instantiated, {} executed past instantiation, run {} times besides the reference",
            self.instantiated, self.executed, self.runs
        )?;
        writeln!(f, "{} calls of the reference, {} returned", self.calls, self.returned)?;
        writeln!(f, "not instantiated, by kind: {}", list(&self.refused))?;
        writeln!(f, "calls that ended in an error, by kind: {}", list(&self.traps))?;
        let unseen: Vec<&str> = Trap::ALL
            .iter()
            .map(|trap| trap.message())
            .filter(|message| !self.traps.contains_key(*message))
            .collect();
        writeln!(f, "traps never seen: {}", unseen.join(", "))?;
        if self.every == 0 {
            return write!(f, "{} differences", self.differences);
        }
        let total: (u64, u64) = Op::ALL.iter().fold((0, 0), |sum, &op| {
            let (interpreted, native) = self.operators.of(op);
            (sum.0 + interpreted, sum.1 + native)
        });
        writeln!(
            f,
            "operators executed, counted in all drills and one other module of {}, {} modules: {} interpreted, {} native",
            self.every, self.counted_modules, total.0, total.1
        )?;
        let rare: Vec<String> = Op::ALL
            .iter()
            .filter(|&&op| self.operators.of(op).0.min(self.operators.of(op).1) < 1000)
            .map(|&op| {
                let (interpreted, native) = self.operators.of(op);
                format!("{} {interpreted}/{native}", op.mnemonic())
            })
            .collect();
        writeln!(
            f,
            "{} of {} operators of the table at least 1000 times in each engine; fewer (interpreted/native): {}",
            Op::ALL.len() - rare.len(),
            Op::ALL.len(),
            if rare.is_empty() { "none".to_owned() } else { rare.join(", ") }
        )?;
        let least: Vec<String> = self
            .operators
            .rarest(12)
            .into_iter()
            .map(|op| {
                let (interpreted, native) = self.operators.of(op);
                format!("{} {interpreted}/{native}", op.mnemonic())
            })
            .collect();
        writeln!(f, "executed least (interpreted/native): {}", least.join(", "))?;
        write!(f, "{} differences", self.differences)
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let texts: Vec<String> = counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_wrote_down_is_added() {
        let mut one = Statistics::new(2);
        (one.made, one.differences) = (7, 1);
        one.traps.insert("out of bounds memory access".to_owned(), 3);
        one.operators.add(Op::I32Add as usize, 5, 4);
        let mut both = Statistics::new(2);
        assert!(both.add(&one.lines()).is_some() && both.add(&one.lines()).is_some());
        assert_eq!((both.made, both.instantiated, both.differences), (14, 0, 2));
        assert_eq!(both.traps["out of bounds memory access"], 6);
        assert_eq!(both.executions(Op::I32Add), (10, 8));
        assert!(both.add("nonsense").is_none());
    }
}
