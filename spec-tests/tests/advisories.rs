//! Published defects of other engines, each with a script that shows that this one does not have it: `advisories/*.wast`, in every
//! mode. `tests/hostile/main.rs` has the list of all of them, also of those that no script can show.
//!
//! A script's head names the defect. A line `;; features: a, b` names what it needs beyond the first version of the specification's
//! second edition; a feature that the engine does not know yet leaves the script out, by name.

use mini_wasm_runtime::features::Features;
use mini_wasm_spec_tests::Mode;
use mini_wasm_wast::{Options, run};
use std::path::Path;

fn run_all(mode: Mode) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("advisories");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "{} scripts", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let needs = text.lines().find_map(|line| line.strip_prefix(";; features: ")).unwrap_or_default();
        let mut features = Features::default();
        let unknown = needs.split(", ").find(|need| !need.is_empty() && features.set(need, true).is_none());
        if let Some(unknown) = unknown {
            println!("{name}: left out, the engine does not have {unknown}");
            continue;
        }
        // Some need all that 32 bits can reach; untouched, it costs nothing.
        let options = Options { memory_bytes: 8 << 30, ..Options::default() };
        let report = run(&mode.session(features), &text, &options);
        wrong.extend(report.failures.iter().map(|failure| format!("{name}:{}: {failure}", failure.line)));
        wrong.extend(report.skips.iter().map(|skip| format!("{name}: skipped, {}", skip.reason)));
    }
    assert!(wrong.is_empty(), "{mode}:\n{}", wrong.join("\n"));
}

#[test]
fn no_advisory_holds_when_interpreted() {
    run_all(Mode::Interp);
}

#[test]
fn no_advisory_holds_when_compiled() {
    run_all(Mode::Jit);
}

#[test]
fn no_advisory_holds_from_an_artifact() {
    run_all(Mode::Aot);
}

/// GHSA-897f and GHSA-mghf are fixed in Cranelift 0.135.7.
#[test]
fn the_compiler_underneath_is_no_older_than_its_own_advisories_ask() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"));
    let lock = lock.expect("the lock file is there");
    let mut lines = lock.lines();
    let mut found = 0;
    while let Some(line) = lines.next() {
        if line == "name = \"cranelift-codegen\"" {
            let version = lines.next().and_then(|line| line.strip_prefix("version = \"")).unwrap_or_default();
            let numbers: Vec<u32> = version.trim_end_matches('"').split('.').flat_map(str::parse).collect();
            assert!(numbers >= vec![0, 135, 7], "{version}");
            found += 1;
        }
    }
    assert!(found > 0);
}
