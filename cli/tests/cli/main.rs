//! Drives the real binary as a user does: arguments in; standard output, standard error and exit status out.

mod artifacts;
#[cfg(feature = "tools")]
mod both_ways;
mod budgets;
#[cfg(feature = "tools")]
mod check;
#[cfg(feature = "tools")]
mod componentize;
#[cfg(feature = "tools")]
mod compose;
mod confined;
mod guests;
mod input;
mod invoke;
mod limits;
mod modules;
mod output;
mod permissions;
mod reading;
mod readme;
mod repl;
mod runner;
mod sandbox;
mod serve;
mod shapes;
mod usage;
mod withheld;

use sandbox::Sandbox;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The three ways a program runs; each must do the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Interp,
    Jit,
    Artifact,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Interp, Mode::Jit, Mode::Artifact];

    fn engine(self) -> &'static str {
        match self {
            Mode::Interp => "--engine=interp",
            Mode::Jit | Mode::Artifact => "--engine=jit",
        }
    }
}

/// What came out of a process.
#[derive(Debug)]
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
    took: Duration,
}

/// Longest that a test waits for a process; it is killed then and the test fails.
const PATIENCE: Duration = Duration::from_secs(400);

/// `mini-wasm` with a key of the sandbox's own, an empty standard input, and nothing of our environment that it reads.
fn mini_wasm(sandbox: &Sandbox) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-wasm"));
    command.env("XDG_STATE_HOME", sandbox.path("state")).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs a command to its end. Output goes by way of files, so that a chatty guest cannot block.
#[track_caller]
fn end(sandbox: &Sandbox, command: &mut Command) -> Ended {
    let (stdout, stderr) = (sandbox.fresh("stdout"), sandbox.fresh("stderr"));
    let file = |path: &Path| std::fs::File::create(path).expect("a file for output");
    let begin = Instant::now();
    let mut child = command.stdout(file(&stdout)).stderr(file(&stderr)).spawn().expect("the binary starts");
    let status = wait(&mut child, begin);
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).expect("its output")).into_owned();
    Ended { status, stdout: read(&stdout), stderr: read(&stderr), took: begin.elapsed() }
}

#[track_caller]
fn wait(child: &mut Child, begin: Instant) -> i32 {
    loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status.code().unwrap_or_else(|| panic!("killed by a signal: {status}"));
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it did not end in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Runs `mini-wasm` with these words.
#[track_caller]
fn run<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, words: impl IntoIterator<Item = S>) -> Ended {
    end(sandbox, mini_wasm(sandbox).args(words))
}

/// The program as the mode wants it: itself, or an artifact made of it with `aot`'s `flags`.
#[track_caller]
fn prepared(sandbox: &Sandbox, mode: Mode, program: &Path, flags: &[&str]) -> PathBuf {
    if mode != Mode::Artifact {
        return program.into();
    }
    let artifact = sandbox.fresh("artifact");
    let made = end(sandbox, mini_wasm(sandbox).arg("aot").args(flags).arg(program).arg("-o").arg(&artifact));
    assert_eq!(made.status, 0, "{made:?}");
    artifact
}

/// The folder of guests.
fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("guests")
}
