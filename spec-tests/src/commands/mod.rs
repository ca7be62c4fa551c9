//! The fuzzer of the command line: damaged modules, components, artifacts and texts are given to every command, in its own process.
//!
//! A command must end: with a status, within [`TIME`], with no more than [`MAX_KIB`] of memory, and without a panic. Input N goes to
//! command N modulo their number (`list`), and follows from the seed and N alone. Processes do a few hundred inputs each and are
//! watched: one that dies, or takes too long, has found something, and another one goes on behind that input.

mod inputs;
mod list;
mod worker;

use list::COMMANDS;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a command may take.
pub const TIME: Duration = Duration::from_secs(10);
/// How much memory it may have.
pub const MAX_KIB: u64 = 512 << 10;
/// Inputs of a process: what a command leaves to the end of its process adds up.
const INPUTS: u64 = 440;

/// What the fuzzer is asked to do.
#[derive(Debug)]
pub struct Request {
    /// Inputs, and the number of the first.
    pub count: u64,
    /// The number of the first.
    pub first: u64,
    /// Decides them.
    pub seed: u64,
    /// Processes at once.
    pub jobs: u64,
    /// Where inputs are kept that did what they must not do; nowhere if `None`.
    pub folder: Option<PathBuf>,
    /// This program: run with `commands --part ...` it does a part of the work.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    counts: Counts,
    /// Inputs that were tried.
    pub inputs: u64,
    /// What some of them did that they must not do, with the command line.
    pub faults: Vec<String>,
    time: Duration,
}

/// How the inputs of one command ended.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    tried: u64,
    /// Status 0.
    good: u64,
    /// Refused, or used wrongly.
    refused: u64,
    /// Traps and exhausted limits.
    trapped: u64,
    slowest_ms: u64,
    peak_kib: u64,
    /// Time of all.
    micros: u64,
}

/// The same of all commands.
#[derive(Debug, Default)]
struct Counts([Row; COMMANDS.len()]);

impl Counts {
    fn note(&mut self, row: usize, status: u8, took: Duration, peak_kib: u64) {
        let row = &mut self.0[row];
        row.tried += 1;
        match status {
            0 => row.good += 1,
            134 => row.trapped += 1,
            _ => row.refused += 1,
        }
        row.slowest_ms = row.slowest_ms.max(took.as_millis() as u64);
        row.peak_kib = row.peak_kib.max(peak_kib);
        row.micros += took.as_micros() as u64;
    }

    fn write(&self, file: &mut impl Write) -> io::Result<()> {
        for Row { tried, good, refused, trapped, slowest_ms, peak_kib, micros } in self.0 {
            writeln!(file, "{tried} {good} {refused} {trapped} {slowest_ms} {peak_kib} {micros}")?;
        }
        Ok(())
    }

    /// Adds what a process wrote.
    fn add(&mut self, lines: &str) {
        for (row, line) in self.0.iter_mut().zip(lines.lines()) {
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [tried, good, refused, trapped, slowest_ms, peak_kib, micros] = numbers[..] else { continue };
            row.tried += tried;
            row.good += good;
            row.refused += refused;
            row.trapped += trapped;
            row.slowest_ms = row.slowest_ms.max(slowest_ms);
            row.peak_kib = row.peak_kib.max(peak_kib);
            row.micros += micros;
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>9}",
            "command", "inputs", "good", "refused", "trapped", "mean ms", "most ms", "MiB"
        )?;
        for (command, row) in COMMANDS.iter().zip(&self.counts.0) {
            let mean = row.micros as f64 / 1000.0 / row.tried.max(1) as f64;
            let Row { tried, good, refused, trapped, slowest_ms, peak_kib, .. } = row;
            writeln!(
                f,
                "{:<34}{tried:>9}{good:>9}{refused:>9}{trapped:>9}{mean:>10.2}{slowest_ms:>10}{:>9}",
                command.name,
                peak_kib >> 10
            )?;
        }
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        write!(
            f,
            "{} inputs in {:.0} s; {} did what they must not do",
            self.inputs,
            self.time.as_secs_f64(),
            self.faults.len()
        )
    }
}

/// A part of the work, for one process.
#[derive(Debug)]
pub struct Part {
    from: u64,
    to: u64,
    seed: u64,
    job: u64,
    shared: PathBuf,
}

impl Part {
    /// Reads what `Part::words` wrote.
    pub fn parse(text: &str, shared: &str) -> Option<Part> {
        let numbers: Vec<u64> = text.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [from, to, seed, job] = numbers[..] else { return None };
        Some(Part { from, to, seed, job, shared: shared.into() })
    }

    fn words(&self) -> [String; 5] {
        let Part { from, to, seed, job, shared } = self;
        let part = format!("{from}/{to}/{seed}/{job}");
        ["commands".into(), "--part".into(), part, "--shared".into(), shared.display().to_string()]
    }

    /// Does it.
    ///
    /// # Errors
    /// A file of our own cannot be read or written.
    pub fn work(&self) -> io::Result<()> {
        worker::work(self)
    }
}

/// Runs the fuzzer.
///
/// # Errors
/// A file of our own cannot be read or written, a process cannot be started.
pub fn run(request: &Request) -> io::Result<Found> {
    let shared =
        std::env::temp_dir().join(format!("mini-wasm-commands-{}-{:x}", std::process::id(), request.seed));
    let began = Instant::now();
    let done = fs::create_dir_all(shared.join("seeds")).and_then(|()| {
        inputs::write(&shared.join("seeds"), request.seed)?;
        jobs(request, &shared)
    });
    let _ = fs::remove_dir_all(&shared);
    done.map(|found| Found { time: began.elapsed(), ..found })
}

fn jobs(request: &Request, shared: &Path) -> io::Result<Found> {
    let next = AtomicU64::new(request.first);
    let found = Mutex::new(Found::default());
    let end = request.first + request.count;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..request.jobs)
            .map(|job| {
                let (next, found) = (&next, &found);
                scope.spawn(move || -> io::Result<()> {
                    loop {
                        let from = next.fetch_add(INPUTS, Ordering::Relaxed);
                        if from >= end {
                            return Ok(());
                        }
                        let part = Part {
                            from,
                            to: end.min(from + INPUTS),
                            seed: request.seed,
                            job,
                            shared: shared.into(),
                        };
                        stretch(request, part, found)?;
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A part of the inputs, by as many processes as it takes.
fn stretch(request: &Request, mut part: Part, found: &Mutex<Found>) -> io::Result<()> {
    let folder = part.folder();
    while part.from < part.to {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let (ended, next) = watch(request, &part)?;
        let counts = fs::read_to_string(folder.join("counts")).unwrap_or_default();
        let told = fs::read_to_string(folder.join("found")).unwrap_or_default();
        let told = told.lines().filter_map(|line| line.split_once(' '));
        let told = told.filter_map(|(number, what)| Some((number.parse().ok()?, what.to_owned())));
        let mut faults: Vec<(u64, String)> = told.collect();
        faults.extend(ended.map(|what| (next - 1, what)));
        let mut lines = Vec::new();
        for (number, what) in faults {
            lines.push(report(request, &part, number, &what)?);
        }
        let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.inputs += next - part.from;
        found.counts.add(&counts);
        found.faults.extend(lines);
        part.from = next;
    }
    Ok(())
}

/// What is told of an input that did what it must not do.
fn report(request: &Request, part: &Part, number: u64, what: &str) -> io::Result<String> {
    let name = COMMANDS[worker::row(number)].name;
    let again = format!("commands --seed {:#x} --first {number} --count 1", request.seed);
    let by_hand = match &request.folder {
        Some(folder) => {
            let folder = folder.join(format!("commands-{:x}-{number}", request.seed));
            worker::keep(&part.shared, request.seed, number, &folder)?
        }
        None => String::new(),
    };
    let line = format!("{name}: {what}\n  {again}\n  {by_hand}");
    println!("{line}");
    Ok(line)
}

/// Runs a process to its end. How it ended if not well, and the number of the input that comes next.
fn watch(request: &Request, part: &Part) -> io::Result<(Option<String>, u64)> {
    let folder = part.folder();
    fs::write(folder.join("stdin"), "")?;
    fs::write(folder.join("at"), part.from.to_string())?;
    let stderr = fs::File::create(folder.join("stderr"))?;
    let mut child = Command::new(&request.program)
        .args(part.words())
        .env("XDG_STATE_HOME", part.shared.join("state"))
        .stdin(fs::File::open(folder.join("stdin"))?)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()?;
    let at =
        || fs::read_to_string(folder.join("at")).ok().and_then(|text| text.parse().ok()).unwrap_or(part.from);
    let (mut last, mut since) = (at(), Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok((None, part.to));
            }
            let said = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            let said = said.lines().last().unwrap_or_default().to_owned();
            return Ok((Some(format!("the process ended with {status}: {said}")), at() + 1));
        }
        std::thread::sleep(Duration::from_millis(20));
        let now = at();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let too_large = peak_kib(&child) > 4 * MAX_KIB;
        if since.elapsed() > TIME + Duration::from_secs(2) || too_large {
            child.kill()?;
            child.wait()?;
            let what = if too_large { "more and more memory" } else { "it did not end" };
            return Ok((Some(what.into()), now + 1));
        }
    }
}

fn peak_kib(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
