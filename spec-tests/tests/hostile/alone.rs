//! Each bomb goes off in a process of its own, whose time and memory are its budget: a crash, an abort or an endless loop is that
//! test's failure and nobody else's.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// What a test's process may take.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    /// Processor time, of all threads.
    pub(crate) cpu: Duration,
    /// Most memory in use at once, in MiB.
    pub(crate) mib: u64,
}

/// For most tests. The code under test is compiled for debugging and the machine may be an emulated one, so what is bounded here
/// is the order of magnitude.
pub(crate) const USUAL: Budget = Budget { cpu: Duration::from_secs(60), mib: 512 };

/// How many times the processor time, and how many MiB more, an emulator needs.
const EMULATED: (u32, u64) = (20, 3072);

/// The variable that tells a process that it is the one that runs the test.
const ALONE: &str = "HOSTILE_ALONE";

/// Runs `body` in a process of its own and holds it against its budget. The test's name is found by the closure's type, so this
/// must be called by the test function itself.
pub(crate) fn alone<F: FnOnce()>(budget: Budget, body: F) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    let program = std::env::current_exe().expect("a test knows its program");
    let emulator = emulator();
    let budget = match emulator {
        Some(_) => Budget { cpu: budget.cpu * EMULATED.0, mib: budget.mib + EMULATED.1 },
        None => budget,
    };
    let mut words = emulator.unwrap_or_default();
    words.push(program.into_os_string());
    let child = Command::new(&words[0])
        .args(&words[1..])
        .args([name, "--exact", "--nocapture", "--include-ignored"])
        .env(ALONE, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
    // Its output is a few lines, less than a pipe holds.
    let begun = Instant::now();
    let (mut cpu, mut peak) = (Duration::ZERO, 0);
    while child.try_wait().expect("a child can be waited for").is_none() {
        let id = child.id();
        cpu = cpu_time(id).unwrap_or(cpu);
        peak = peak_memory(id).unwrap_or(peak);
        // Somebody who waits for nothing uses no time at all; twenty budgets are enough on any machine.
        if cpu > budget.cpu * 2 || peak > budget.mib * 2 * MIB || begun.elapsed() > budget.cpu * 20 {
            let _ = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    println!(
        "{name}: {:.2} s, {} MiB at most, {:.2} s of waiting",
        cpu.as_secs_f64(),
        peak / MIB,
        begun.elapsed().as_secs_f64()
    );
    assert!(cpu <= budget.cpu, "{name}: {cpu:?} of processor time, {:?} are allowed\n{text}", budget.cpu);
    assert!(peak <= budget.mib * MIB, "{name}: {} MiB, {} are allowed\n{text}", peak / MIB, budget.mib);
    assert!(output.status.success(), "{name}: {}\n{text}", output.status);
    assert!(text.contains("1 passed"), "{name} did not run:\n{text}");
}

/// The words that run an emulated program: what cargo was told to run tests by. The system itself need not know the emulator.
fn emulator() -> Option<Vec<OsString>> {
    if cfg!(target_arch = "x86_64") {
        return None;
    }
    let is_runner = |name: &OsString| name.to_str().is_some_and(|name| name.ends_with("_RUNNER"));
    let (_, words) = std::env::vars_os().find(|(name, words)| {
        is_runner(name)
            && words.to_str().is_some_and(|words| words.contains(&format!("qemu-{}", std::env::consts::ARCH)))
    })?;
    Some(words.to_str()?.split_whitespace().map(OsString::from).collect())
}

/// Processor time so far.
fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which stands in parentheses: the 12th and 13th word, in hundredths of a second.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Most memory in use so far, in bytes.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
