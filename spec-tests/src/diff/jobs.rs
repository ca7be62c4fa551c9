//! Several processes share one run of the differential fuzzer.
//!
//! They are processes and not threads: a fault that ends one of them leaves the others, panics are known to be their own, and guard
//! pages are mapped without waiting for each other. Each takes every so many-th module and writes its statistics down at the end.

use super::Statistics;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The file that ends the run of every process.
pub fn stop(folder: &Path) -> PathBuf {
    folder.join("stop")
}

fn statistics(folder: &Path, job: u64) -> PathBuf {
    folder.join(format!("{job}.txt"))
}

/// Writes down what a process counted.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, job: u64, counted: &Statistics) -> io::Result<()> {
    if counted.differences > 0 {
        fs::write(stop(folder), "")?;
    }
    fs::write(statistics(folder, job), counted.lines())
}

/// Runs this program once for each job with these arguments and `--job K/JOBS --shared FOLDER`; what they counted together.
///
/// # Errors
/// A process cannot be started, or one ended without its statistics: how.
pub fn run(jobs: u64, args: &[String], every: u64) -> Result<Statistics, String> {
    let folder = std::env::temp_dir().join(format!("mini-wasm-diff-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut children = Vec::new();
    for job in 0..jobs {
        let share = format!("{job}/{jobs}");
        let mut command = Command::new(&program);
        command.args(args).args(["--job", &share, "--shared"]).arg(&folder);
        children.push(command.spawn().map_err(|error| error.to_string())?);
    }
    let mut counted = Statistics::new(every);
    let mut broken = Vec::new();
    let mut running: Vec<_> = (0..).zip(children).collect();
    while !running.is_empty() {
        std::thread::sleep(Duration::from_millis(50));
        let mut ended = None;
        for (place, (_, child)) in running.iter_mut().enumerate() {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                ended = Some((place, status));
            }
        }
        let Some((place, status)) = ended else { continue };
        let (job, _) = running.remove(place);
        let read = fs::read_to_string(statistics(&folder, job)).ok().and_then(|lines| counted.add(&lines));
        if read.is_none() {
            // Nobody else will find anything as bad.
            let _ = fs::write(stop(&folder), "");
            broken.push(format!("process {job} of {jobs} ended with {status} and without statistics"));
        }
    }
    let _ = fs::remove_dir_all(&folder);
    if broken.is_empty() { Ok(counted) } else { Err(broken.join("; ")) }
}

/// Processor time of this process; nothing where the system does not tell it in `/proc`.
pub fn processor_time() -> Duration {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    // Behind the name, which is in parentheses: the 12th and 13th words, in hundredths of a second.
    let words = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = words.filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
