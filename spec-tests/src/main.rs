//! The suites as a table, and the fuzzers, as commands. `lib.rs` says what else there is.

use mini_wasm_spec_tests::diff::{self, Source};
use mini_wasm_spec_tests::{Mode, commands, malformed, panics, table};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
cargo run --release -p mini-wasm-spec-tests -- COMMAND [OPTION...]

table      the official suites, counted by set and mode
    --set NAME       this set only (may be repeated)
    --mode NAME      this mode only: interp, jit, aot, unguarded (may be repeated)
    --script PART    only scripts whose name contains PART

diff       random modules do the same in every engine
    --time SECONDS   ends after that (60)
    --cpu SECONDS    ends after so much processor time of all processes, instead
    --count N        ends after so many modules
    --seed N         decides everything (1)
    --source NAME    smith, typed, drill or all (all)
    --without NAME   without this feature of the engine (may be repeated)
    --differences N  ends after so many differences (1)
    --folder PATH    where differences are kept (spec-tests/found); -: nowhere, and nothing is reduced
    --counted N      drills and one other module in N are counted operator by operator (8); 0: none
    --jobs N         processes (as many as there are processors)
    --job K/N        only what process K of N does
    --shared PATH    where it tells the others how it ended

malformed  mutations of valid modules, components and artifacts
    --count N        inputs (100000)
    --seed N         decides them (1)
    --folder PATH    where inputs that bring something down are kept (spec-tests/found)

commands   damaged files through every command of the command line, each file through one of them
    --count N        inputs (100000)
    --first N        the number of the first (0): what is found is told with its number
    --seed N         decides them (1)
    --folder PATH    where inputs are kept that panic, take 10 s or 512 MiB (spec-tests/found)
    --jobs N         processes (as many as there are processors)
    --part, --shared what a process of these does
";

fn main() -> ExitCode {
    match command(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command; whether it found everything as it should be.
fn command(args: &[String]) -> Result<bool, String> {
    let Some((command, options)) = args.split_first() else { return Err("which command?".into()) };
    let options = Options::parse(options)?;
    match command.as_str() {
        "table" => {
            let modes = options.all("mode").map(|name| Mode::of(name).ok_or(format!("no mode {name:?}")));
            let part = table::Part {
                sets: options.all("set").map(str::to_owned).collect(),
                modes: modes.collect::<Result<_, _>>()?,
                script: options.one("script").unwrap_or_default().to_owned(),
            };
            options.only(&["set", "mode", "script"])?;
            table::print(&part)
        }
        "diff" => {
            options.only(&[
                "time",
                "cpu",
                "count",
                "seed",
                "source",
                "without",
                "differences",
                "folder",
                "counted",
                "jobs",
                "job",
                "shared",
            ])?;
            let counted = options.number("counted", 8)?;
            let processors = std::thread::available_parallelism().map_or(1, |number| number.get() as u64);
            let jobs = options.number("jobs", processors)?;
            if jobs > 1 && options.one("job").is_none() {
                let statistics = diff::jobs::run(jobs, args, counted)?;
                println!("{statistics}");
                return Ok(statistics.differences == 0);
            }
            let share = options.one("job").unwrap_or("0/1").split_once('/');
            let share = share.and_then(|(job, jobs)| Some((job.parse().ok()?, jobs.parse().ok()?)));
            let shared = options.one("shared").map(PathBuf::from);
            let without: Vec<String> = options.all("without").map(str::to_owned).collect();
            let source = options.one("source").unwrap_or("all");
            let folder = options.one("folder").map_or_else(|| PathBuf::from(FOUND), PathBuf::from);
            let folder = (folder.as_os_str() != "-").then_some(folder);
            let processor = match options.one("cpu") {
                Some(_) => Some(Duration::from_secs(options.number("cpu", 0)?)),
                None => None,
            };
            let time = options.number("time", if processor.is_some() { 1 << 32 } else { 60 })?;
            let request = diff::Request {
                time: Duration::from_secs(time),
                processor,
                count: options.number("count", u64::MAX)?,
                seed: options.number("seed", 1)?,
                sources: Source::of(source).ok_or_else(|| format!("no source {source:?}"))?,
                features: diff::features(&without),
                differences: options.number("differences", 1)?,
                folder,
                counted,
                share: share.ok_or("--job wants K/N")?,
                stop: shared.as_ref().map(|folder| diff::jobs::stop(folder)),
            };
            let statistics = on_a_large_stack(move || diff::run(&request));
            match shared {
                Some(folder) => diff::jobs::write(&folder, share.unwrap_or_default().0, &statistics)
                    .map_err(|error| error.to_string())?,
                None => println!("{statistics}"),
            }
            Ok(statistics.differences == 0)
        }
        "malformed" => {
            options.only(&["count", "seed", "folder"])?;
            let request = malformed::Request {
                count: options.number("count", 100_000)?,
                seed: options.number("seed", 1)?,
                folder: Some(options.one("folder").map_or_else(|| PathBuf::from(FOUND), PathBuf::from)),
            };
            let found = on_a_large_stack(move || malformed::run(&request));
            println!("{found}");
            Ok(found.panics == 0)
        }
        "commands" => {
            options.only(&["count", "first", "seed", "folder", "jobs", "part", "shared"])?;
            if let Some(part) = options.one("part") {
                let part = commands::Part::parse(part, options.one("shared").unwrap_or_default());
                part.ok_or("--part is not what we write")?.work().map_err(|error| error.to_string())?;
                return Ok(true);
            }
            let processors = std::thread::available_parallelism().map_or(1, |number| number.get() as u64);
            let request = commands::Request {
                count: options.number("count", 100_000)?,
                first: options.number("first", 0)?,
                seed: options.number("seed", 1)?,
                jobs: options.number("jobs", processors)?,
                folder: Some(options.one("folder").map_or_else(|| PathBuf::from(FOUND), PathBuf::from)),
                program: std::env::current_exe().map_err(|error| error.to_string())?,
            };
            let found = commands::run(&request).map_err(|error| error.to_string())?;
            println!("{found}");
            Ok(found.faults.is_empty())
        }
        other => Err(format!("no command {other:?}")),
    }
}

/// Where differences are kept.
const FOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/found");

/// Guests recurse as far as their fuel goes.
fn on_a_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    panics::watch();
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(work).expect("a thread is made");
    thread.join().unwrap_or_else(|_| panic!("{:?}", panics::take()))
}

/// `--name value` pairs.
struct Options(Vec<(String, String)>);

impl Options {
    fn parse(args: &[String]) -> Result<Options, String> {
        let mut pairs = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").ok_or_else(|| format!("{arg:?} is no option"))?;
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (name, args.next().ok_or_else(|| format!("--{name} wants a value"))?.clone()),
            };
            pairs.push((name.to_owned(), value));
        }
        Ok(Options(pairs))
    }

    fn all<'o>(&'o self, name: &'o str) -> impl Iterator<Item = &'o str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, otherwise: u64) -> Result<u64, String> {
        self.one(name).map_or(Ok(otherwise), |text| {
            let hex = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
            hex.unwrap_or_else(|| text.parse()).map_err(|_| format!("--{name} wants a number, not {text:?}"))
        })
    }

    fn only(&self, names: &[&str]) -> Result<(), String> {
        match self.0.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => Err(format!("no option --{name} here")),
            None => Ok(()),
        }
    }
}
