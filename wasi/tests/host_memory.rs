//! `docs/host-memory.md`: each kind of memory that the host keeps for others has a test, which is there.

use std::fs;
use std::path::Path;

/// Where the tests of a file are that the page names.
fn path(file: &str) -> String {
    match file.split_once('/') {
        Some(("wasi", file)) => format!("wasi/tests/{file}.rs"),
        Some(("cli", file)) => format!("cli/tests/cli/{file}.rs"),
        Some(("runtime", file)) => format!("runtime/src/component/tests/{file}.rs"),
        Some(("canonical-abi", file)) => format!("canonical-abi/src/{file}.rs"),
        _ => panic!("no such place for tests: {file}"),
    }
}

#[test]
fn each_kind_of_memory_has_a_ceiling_and_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/host-memory.md")).unwrap();
    let mut rows = 0;
    for line in page.lines() {
        let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect();
        let [what, charged, bound, tests] = cells[..] else { continue };
        if !tests.contains("::") {
            // Heads, and the allowances themselves.
            continue;
        }
        rows += 1;
        assert!(!charged.is_empty() && !bound.is_empty(), "{what}");
        for test in tests.split('`').skip(1).step_by(2) {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{what}: no test: {test}"));
            let path = path(file);
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{what}: {path} has no test {name}");
        }
    }
    assert!(rows >= 20, "{rows} rows");
}

#[test]
fn each_flag_that_the_page_names_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/host-memory.md")).unwrap();
    let flags = fs::read_to_string(root.join("cli/src/flags.rs")).unwrap();
    let named = page.split("--").skip(1).filter(|rest| rest.starts_with("max-"));
    for name in named.map(|rest| rest.split(|c: char| c != '-' && !c.is_ascii_lowercase()).next().unwrap()) {
        let field = format!("{}:", name.replace('-', "_"));
        assert!(flags.contains(&field) || flags.contains(&format!("long = \"{name}\"")), "--{name}");
    }
}
