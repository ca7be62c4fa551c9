//! The last table of README.md: for each function the guests of real toolchains that call it, and the test files that do. Guests are run
//! and their calls noted; for preview 1, a guest calls what it does not end well without.
//! With `UPDATE=1` this test writes the table, without it compares.

#[path = "exercised/recorded.rs"]
mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mini_wasm_wasi::drafts;
use mini_wasm_wasi::preview1::{FUNCTIONS, SNAPSHOT};

const BEGIN: &str =
    "<!-- made by tests/exercised.rs: UPDATE=1 cargo test -p mini-wasm-wasi --test exercised -->\n";
const END: &str = "<!-- end -->\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The test files beneath a folder, by their names without ending.
fn sources(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    assert!(!found.is_empty(), "{}", folder.display());
    found
}

/// Does `text` have this, and no longer name that ends with it?
fn says(text: &str, what: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(what).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + what.len()..].chars().next());
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// Does `text` call a function of a module, by a path to it or by a name that it took from there?
fn calls(text: &str, [module, function]: &[String; 2]) -> bool {
    let list = format!("{module}::{{");
    let mut taken = text.split(&list).skip(1).filter_map(|rest| rest.split('}').next());
    says(text, &format!("{module}::{function}")) || taken.any(|names| says(names, function))
}

/// Where Rust has a function of an interface: its resource or its interface, and its name.
fn places(interface: &str, function: &str) -> Vec<[String; 2]> {
    let snake = |name: &str| name.replace('-', "_");
    let base = interface.split('@').next().unwrap();
    let module = snake(base.split('/').nth(1).unwrap());
    match function.split_once(']') {
        Some((kind, rest)) => {
            let (resource, name) = rest.split_once('.').unwrap_or((rest, "new"));
            assert!(rest.contains('.') || kind == "[constructor", "{function}");
            [snake(resource), module].map(|module| [module, snake(name)]).to_vec()
        }
        None => vec![[module, snake(function)]],
    }
}

/// The first of several names, so that the table does not change with every test that is written.
fn first(all: &BTreeSet<String>) -> String {
    all.first().cloned().unwrap_or_default()
}

#[test]
fn the_readme_says_who_calls_each_function_and_each_is_called_by_a_guest() {
    let tests = root().join("tests");
    let (host, preview1) = (sources(&tests.join("host")), sources(&tests.join("preview1")));
    let noted = recorded::all();
    let needed = recorded::Core::new().needed();
    let mut table = String::from(BEGIN);
    table += "| function | called by guests | by a module written by hand | by a test of the host |\n|---|---|---|---|\n";
    let mut uncalled = Vec::new();
    let mut row =
        |interface: &str, name: &str, guests: BTreeSet<String>, by_hand: &str, tests: BTreeSet<String>| {
            // Drafts are no part of WASI 0.2: no toolchain's bindings have them.
            let no_guest = guests.is_empty() && !drafts::INTERFACES.contains(&interface);
            if no_guest || tests.is_empty() && by_hand.is_empty() {
                uncalled.push(format!("{interface} {name}"));
            }
            table += &format!(
                "| `{interface}` {name} | {} | {by_hand} | {} |\n",
                guests.iter().cloned().collect::<Vec<_>>().join(", "),
                first(&tests)
            );
        };
    for function in mini_wasm_wasi::functions() {
        let places = places(&function.interface, &function.name);
        let files = host.iter().filter(|(_, text)| places.iter().any(|place| calls(text, place)));
        let files = files.map(|(file, _)| file.clone()).collect();
        row(&function.interface, &function.name, noted.of(&function.interface, &function.name), "", files);
    }
    for function in FUNCTIONS {
        let quoted = format!("\"{}\"", function.name);
        // The module of tests/preview1/guest.rs hands every call on; `official` only lists the names.
        let files = preview1.iter().filter(|(file, text)| *file != "official" && text.contains(&quoted));
        let files: BTreeSet<String> = files.map(|(file, _)| file.clone()).collect();
        let guests = needed.contains(function.name).then(|| "p1-calls".to_owned());
        row(SNAPSHOT, function.name, guests.into_iter().collect(), &first(&files), BTreeSet::new());
    }
    table += END;
    assert!(
        uncalled.is_empty(),
        "no guest of {} calls, or no test of the host\n{}",
        recorded::sources().display(),
        uncalled.join("\n")
    );
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let begin = readme.find(BEGIN).expect("the table's beginning");
    let end = readme.find(END).expect("the table's end") + END.len();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, [&readme[..begin], &table, &readme[end..]].concat()).unwrap();
        return;
    }
    assert!(readme[begin..end] == table, "wasi/README.md is behind: run this test with UPDATE=1");
}
