//! The process that gives inputs to commands. Another one watches it (`mod.rs`): it may die of an input, or never end.

use super::inputs::{CALLS, Seeds, damage_text};
use super::list::{COMMANDS, Kind, Row};
use super::{Counts, MAX_KIB, Part, TIME};
use crate::panics;
use crate::random::Random;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The place of the row that an input is given to: each in turn.
pub(super) fn row(number: u64) -> usize {
    (number % COMMANDS.len() as u64) as usize
}

/// An input, by its number and seed alone.
struct Case {
    row: &'static Row,
    kind: Kind,
    damaged: Vec<u8>,
    whole: Vec<u8>,
    call: String,
}

impl Case {
    fn new(seeds: &Seeds, seed: u64, number: u64) -> Case {
        let mut random = Random::new(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        random.bits();
        let row = &COMMANDS[row(number)];
        let kind = row.takes[random.below(row.takes.len())];
        let damaged = seeds.damaged(kind, &mut random);
        let whole = seeds.whole(row.whole, &mut random).to_vec();
        let mut call =
            CALLS[if random.one_in(2) { 0 } else { random.below(CALLS.len()) }].as_bytes().to_vec();
        if random.one_in(3) {
            damage_text(&mut call, CALLS[random.below(CALLS.len())].as_bytes(), &mut random);
        }
        Case { row, kind, damaged, whole, call: String::from_utf8_lossy(&call).replace('\0', "0") }
    }

    /// Writes its files to a folder; the words of the command line.
    fn write(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let file = |name: &str, kind: Kind| folder.join(format!("{name}.{}", kind.ending()));
        let (damaged, whole) = (file("damaged", self.kind), file("whole", self.row.whole));
        fs::write(&damaged, &self.damaged)?;
        if self.row.words.iter().any(|word| word.contains("WHOLE")) {
            fs::write(&whole, &self.whole)?;
        }
        fs::write(folder.join("stdin"), if self.row.reads { &*self.call } else { "" })?;
        let path = |path: &Path| path.display().to_string();
        let words = self.row.words.iter().map(|word| match *word {
            "OUT" => path(&folder.join("out")),
            "CALL" => self.call.clone(),
            word => word.replace("FILE", &path(&damaged)).replace("WHOLE", &path(&whole)),
        });
        Ok(std::iter::once("mini-wasm".to_owned()).chain(words).map(OsString::from).collect())
    }
}

/// Writes the files of one input to a folder; how to run it by hand.
pub(super) fn keep(shared: &Path, seed: u64, number: u64, folder: &Path) -> io::Result<String> {
    fs::create_dir_all(folder)?;
    let words = Case::new(&Seeds::read(&shared.join("seeds"))?, seed, number).write(folder)?;
    let quoted = words.iter().map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
    Ok(format!("{} < {}", quoted.collect::<Vec<_>>().join(" "), folder.join("stdin").display()))
}

/// Does a part of the inputs; how the commands ended. What is found goes to the part's own file as it is found.
pub(super) fn work(part: &Part) -> io::Result<()> {
    panics::watch();
    let seeds = Seeds::read(&part.shared.join("seeds"))?;
    let folder = part.folder();
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut counts = Counts::default();
    for number in part.from..part.to {
        let case = Case::new(&seeds, part.seed, number);
        let words = case.write(&folder)?;
        stdin.seek(SeekFrom::Start(0))?;
        part.begin(number)?;
        forget_peak();
        let began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| mini_wasm_cli::run(words)));
        let took = began.elapsed();
        // Lines that a session did not come to are not for the next one.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        let noted = panics::take();
        let peak = peak_kib();
        match ended {
            Ok(status) if noted.is_empty() => counts.note(row(number), status, took, peak),
            _ => part.found(number, &format!("a panic: {}", noted.join("; ")))?,
        }
        if took > TIME {
            part.found(number, &format!("{:.1} s", took.as_secs_f64()))?;
        }
        if peak > MAX_KIB {
            part.found(number, &format!("{} MiB", peak >> 10))?;
        }
    }
    counts.write(&mut File::create(folder.join("counts"))?)
}

/// From here on the system counts anew how much memory the process has at most.
fn forget_peak() {
    if let Ok(mut file) = fs::OpenOptions::new().write(true).open("/proc/self/clear_refs") {
        let _ = file.write_all(b"5");
    }
}

/// What the system says the process held at most, since then; 0 where it does not say.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl Part {
    /// A folder that is this process's own.
    pub(super) fn folder(&self) -> PathBuf {
        self.shared.join(format!("job-{}", self.job))
    }

    /// Says which input it is at.
    fn begin(&self, number: u64) -> io::Result<()> {
        fs::write(self.folder().join("at"), number.to_string())
    }

    /// Says what an input did.
    fn found(&self, number: u64, what: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.folder().join("found"))?;
        writeln!(file, "{number} {}", what.replace('\n', " "))
    }
}
