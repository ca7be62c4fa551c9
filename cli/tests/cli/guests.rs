//! Every case of guests/expect, in every mode: same output, same exit status, same files (guests/README.md says what a case is).

use crate::sandbox::Sandbox;
use crate::{Mode, end, guests, mini_wasm, prepared};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

struct Case {
    name: String,
    folder: PathBuf,
    guest: String,
}

impl Case {
    fn all() -> Vec<Case> {
        let entries = std::fs::read_dir(guests().join("expect")).expect("guests/expect");
        let folders = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
        let mut cases: Vec<Case> = folders
            .map(|folder| Case {
                name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
                guest: std::fs::read_to_string(folder.join("guest")).expect("guest").trim().into(),
                folder,
            })
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(cases.len() > 30, "the cases are there");
        cases
    }

    /// The guest's file, if it was built.
    fn program(&self) -> Option<PathBuf> {
        let big = std::env::var_os("GUESTS_BIG").map_or_else(|| guests().join("target/big"), PathBuf::from);
        [guests().join("bin"), big]
            .into_iter()
            .map(|folder| folder.join(&self.guest))
            .find(|path| path.is_file())
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// What the artifact must be able to do for the flags of the run.
    fn aot_flags(&self) -> Vec<&'static str> {
        let flags = self.lines("flags");
        let pairs = [("--timeout", "--epoch"), ("--fuel", "--fuel")];
        let wanted = pairs.iter().filter(|(run, _)| flags.iter().any(|flag| flag.starts_with(run)));
        wanted.map(|(_, aot)| *aot).collect()
    }

    /// Runs it; everything that is not as it should be.
    fn check(&self, sandbox: &Sandbox, mode: Mode, program: &Path) -> Vec<String> {
        let mut command = mini_wasm(sandbox);
        command.arg("run").arg(mode.engine()).args(self.lines("flags"));
        for variable in self.lines("env") {
            command.arg("--env").arg(variable);
        }
        let dir = sandbox.fresh("preopen");
        std::fs::create_dir(&dir).expect("a folder to grant");
        if let Some(guest) = self.text("preopen") {
            copy_tree(&self.folder.join("dir"), &dir);
            command.arg("--dir").arg(format!("{}::{}", dir.display(), guest.trim()));
        }
        // An artifact is named at random; the guest is to see its own name.
        command.arg("--argv0").arg(&self.guest);
        command.arg(program).args(self.lines("args"));
        if self.folder.join("stdin-open").exists() {
            command.stdin(Stdio::piped());
        } else if let Ok(file) = std::fs::File::open(self.folder.join("stdin")) {
            command.stdin(file);
        }
        let ended = end(sandbox, &mut command);
        let mut wrong = Vec::new();
        let code: i32 = self.text("code").expect("code").trim().parse().expect("a number");
        if ended.status != code {
            wrong.push(format!("exit status {}, not {code}", ended.status));
        }
        if Some(&ended.stdout) != self.text("stdout").as_ref() {
            wrong.push(format!("standard output is:\n{}", ended.stdout));
        }
        for line in self.lines("stderr").iter().filter(|line| !ended.stderr.contains(*line)) {
            wrong.push(format!("standard error lacks `{line}`"));
        }
        for gone in self.lines("gone").iter().filter(|gone| dir.join(gone).symlink_metadata().is_ok()) {
            wrong.push(format!("{gone} is still there"));
        }
        let after = self.folder.join("after");
        for file in files(&after) {
            let path = file.strip_prefix(&after).expect("it is beneath");
            if std::fs::read(dir.join(path)).ok() != std::fs::read(&file).ok() {
                wrong.push(format!("{} is not as it should be", path.display()));
            }
        }
        if ended.stderr.contains("interpreted") {
            wrong.push("the artifact's code did not run".into());
        }
        if !wrong.is_empty() {
            wrong.push(format!("standard error is:\n{}", ended.stderr));
        }
        let _ = std::fs::remove_dir_all(dir);
        wrong
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("it is beneath"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&file, &target).expect("a copy");
    }
}

/// Straight to standard error: the test harness shows it although the test passes.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[track_caller]
fn all_cases(mode: Mode) {
    let sandbox = Sandbox::new(&format!("guests-{mode:?}"));
    let mut artifacts: BTreeMap<(String, Vec<&str>), PathBuf> = BTreeMap::new();
    let (mut failed, mut ran) = (Vec::new(), 0);
    for case in Case::all() {
        let Some(program) = case.program() else {
            note(&format!(
                "skipped: guest case {} in mode {mode:?}: {} was not built here",
                case.name, case.guest
            ));
            continue;
        };
        let flags = case.aot_flags();
        let program = artifacts
            .entry((case.guest.clone(), flags.clone()))
            .or_insert_with(|| prepared(&sandbox, mode, &program, &flags));
        let wrong = case.check(&sandbox, mode, program);
        ran += 1;
        if !wrong.is_empty() {
            failed.push(format!("{}:\n  {}", case.name, wrong.join("\n  ")));
        }
    }
    note(&format!("{ran} guest cases ran in mode {mode:?}"));
    assert!(
        failed.is_empty(),
        "{} of {ran} cases fail in mode {mode:?}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn every_guest_does_what_it_should_when_interpreted() {
    all_cases(Mode::Interp);
}

#[test]
fn every_guest_does_what_it_should_when_compiled() {
    all_cases(Mode::Jit);
}

#[test]
fn every_guest_does_what_it_should_from_its_artifact() {
    all_cases(Mode::Artifact);
}
