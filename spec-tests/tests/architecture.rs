//! The rules of the house, held against every manifest and every source: arrows point down only, what may be named where,
//! where `unsafe` may stand. ARCHITECTURE.md has the reasons.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use mini_wasm_spec_tests::source::{code_only, code_without_tests, names};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floors. A crate may depend on crates of lower floors only, so those of one floor never know each other.
const FLOORS: &[(&str, u32)] = &[
    ("canonical-abi", 0),
    ("runtime", 1),
    ("jit", 2),
    ("wasi", 2),
    ("wast", 2),
    ("bindgen", 2),
    ("cli", 3),
    ("spec-tests", 4),
    ("benches", 4),
    ("examples", 4),
];

/// Packages from outside that one room keeps to itself: beginning of the name, the rooms.
const KEPT: &[(&str, &[&str])] = &[
    ("cranelift", &["jit"]),
    ("regalloc", &["jit"]),
    ("tokio", &["wasi"]),
    ("hyper", &["wasi"]),
    ("rustls", &["wasi"]),
    ("socket2", &["wasi"]),
    ("mio", &["wasi"]),
    ("wasmtime", &["benches"]),
    ("wasmi", &["benches"]),
];

/// Paths of the standard library and of packages that only these rooms may name: sockets are WASI's.
const KEPT_PATHS: &[(&str, &[&str])] =
    &[("std::net::", &["wasi"]), ("rustix::net::", &["wasi"]), ("std::os::unix::net::", &["wasi"])];

/// The second ladder, inside `runtime`: a module may name modules of its own step and of lower ones.
const LADDER: &[&[&str]] = &[
    &[
        "ops",
        "num",
        "ordered",
        "simd",
        "types",
        "difference",
        "val",
        "trap",
        "error",
        "config",
        "features",
        "handle",
        "sync",
        "sys",
    ],
    &["module"],
    &["vm", "stack", "backend", "registry"],
    &[
        "engine",
        "gc",
        "reference",
        "any_ref",
        "evaluate",
        "switching",
        "tag",
        "exception",
        "store",
        "limits",
        "deadline",
        "memory",
        "table",
        "global",
        "instance",
        "instantiate",
        "func",
        "host",
        "builtins",
        "linker",
        "call_async",
    ],
    &["interp"],
    &["component"],
];

/// Arrows of the second ladder that run up, each with its reason. One that is not needed any more is an error.
const LADDER_EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("error", "exception", "an error carries the exception that has reached the host"),
    ("val", "exception", "a value may be an exception, which a store keeps"),
    ("module", "vm", "the layout of an instance is a fact of its module"),
    ("module", "registry", "a module's types are matched with the engine's"),
    ("val", "any_ref", "a value may be a reference to an object"),
    ("vm", "gc", "a type begins with the shape of its objects"),
    ("registry", "gc", "a type begins with the shape of its objects"),
    ("module", "engine", "a module belongs to an engine, whose types its own are matched with"),
    ("module", "backend", "a module holds its native code"),
    ("module", "interp", "a module holds its translated code"),
    ("instantiate", "interp", "the interpreter's entry is what a function begins with"),
    ("builtins", "interp", "native code calls an own function that was not compiled"),
];

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace's own manifests")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("spec-tests stands in the root").to_owned()
}

fn room(package: &Package) -> &str {
    package.manifest_path.parent().and_then(|folder| folder.file_name()).expect("a crate stands in a folder")
}

/// Every Rust file under a folder with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable source");
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[track_caller]
fn settle(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_stands_on_a_floor_and_is_named_after_its_folder() {
    let mut wrong = Vec::new();
    for package in &workspace().packages {
        let room = room(package);
        if !FLOORS.iter().any(|(name, _)| *name == room) {
            wrong.push(format!(
                "{room}/ has no floor: add it to FLOORS, and to the code map of ARCHITECTURE.md"
            ));
        }
        if package.name.as_str() != format!("mini-wasm-{room}") {
            wrong.push(format!("{room}/ holds a package called {}", package.name));
        }
    }
    settle(wrong);
}

#[test]
fn a_crate_depends_on_lower_floors_only() {
    let floor = |room: &str| FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor);
    let mut wrong = Vec::new();
    for package in &workspace().packages {
        let Some(own) = floor(room(package)) else { continue };
        for dependency in &package.dependencies {
            let Some(other) = dependency.name.strip_prefix("mini-wasm-") else { continue };
            if floor(other).is_none_or(|other| other >= own) {
                wrong.push(format!("{} (floor {own}) depends on {other}", room(package)));
            }
        }
    }
    settle(wrong);
}

#[test]
fn code_names_crates_of_lower_floors_only() {
    let mut wrong = Vec::new();
    for (room, own) in FLOORS {
        for (path, text) in sources(&root().join(room)) {
            let code = code_only(&text);
            for (other, floor) in FLOORS.iter().filter(|(other, _)| other != room) {
                let name = format!("mini_wasm_{}", other.replace('-', "_"));
                if *floor >= *own && code.contains(&format!("{name}::")) {
                    wrong.push(format!("{} (floor {own}) names {name} (floor {floor})", shown(&path)));
                }
            }
        }
    }
    settle(wrong);
}

#[test]
fn compilers_sockets_and_peers_are_each_kept_in_their_room() {
    let mut wrong = Vec::new();
    for package in &workspace().packages {
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            for (prefix, rooms) in KEPT {
                if dependency.name.starts_with(prefix) && !rooms.contains(&room(package)) {
                    wrong.push(format!("{} depends on {}", room(package), dependency.name));
                }
            }
        }
    }
    for (room, _) in FLOORS {
        for (path, text) in sources(&root().join(room).join("src")) {
            let code = code_without_tests(&text);
            for (name, rooms) in KEPT_PATHS {
                if code.contains(name) && !rooms.contains(room) {
                    wrong.push(format!("{} names {name}", shown(&path)));
                }
            }
        }
    }
    settle(wrong);
}

#[test]
fn canonical_abi_has_no_dependencies() {
    let workspace = workspace();
    let package =
        workspace.packages.iter().find(|package| room(package) == "canonical-abi").expect("the crate");
    let used = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    settle(used.map(|dependency| format!("canonical-abi depends on {}", dependency.name)).collect());
}

/// The module of a file in a crate's `src`: `store` for `src/store.rs` and for everything under `src/store/`.
fn top_module(src: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(src).expect("a file of the crate");
    let first = inside.iter().next().expect("a file name").to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

#[test]
fn inside_runtime_arrows_point_down_the_second_ladder() {
    let step = |module: &str| LADDER.iter().position(|step| step.contains(&module));
    let src = root().join("runtime/src");
    let mut wrong = Vec::new();
    let mut used = vec![false; LADDER_EXCEPTIONS.len()];
    for (path, text) in sources(&src) {
        let own = top_module(&src, &path);
        if own == "lib" {
            continue;
        }
        let Some(own_step) = step(&own) else {
            wrong.push(format!("{}: the module {own} has no step on the LADDER", shown(&path)));
            continue;
        };
        for (line, other) in names(&code_without_tests(&text), "crate::") {
            let up = step(&other).is_some_and(|other| other > own_step);
            let exception = LADDER_EXCEPTIONS.iter().position(|(from, to, _)| *from == own && *to == other);
            match exception {
                Some(exception) => used[exception] |= up,
                None if up => wrong.push(format!("{}:{line}: {own} names {other}, further up", shown(&path))),
                None => {}
            }
        }
    }
    for ((from, to, _), used) in LADDER_EXCEPTIONS.iter().zip(used) {
        if !used {
            wrong.push(format!("the exception {from} -> {to} is not needed any more"));
        }
    }
    settle(wrong);
}

#[test]
fn unsafe_stands_only_in_modules_that_lib_rs_registers() {
    let mut wrong = Vec::new();
    for (room, _) in FLOORS {
        let src = root().join(room).join("src");
        let Ok(lib) = std::fs::read_to_string(src.join("lib.rs"))
            .or_else(|_| std::fs::read_to_string(src.join("main.rs")))
        else {
            continue;
        };
        let registered = registered_modules(&lib);
        let mut blocks = 0;
        for (path, text) in sources(&src) {
            let code = code_only(&text);
            let top = top_module(&src, &path);
            let lines = || code.lines().zip(1..);
            let uses = lines().filter(|(line, _)| is_unsafe(line)).count();
            blocks += uses;
            if uses > 0 && !registered.contains(&top) {
                wrong.push(format!(
                    "{}: unsafe, but {room}/src/lib.rs does not register the module",
                    shown(&path)
                ));
            }
            if top != "lib" && top != "main" {
                for (_, number) in lines()
                    .filter(|(line, _)| line.contains("(unsafe_code") || line.contains("( unsafe_code"))
                {
                    wrong.push(format!(
                        "{}:{number}: exceptions for unsafe code stand in lib.rs",
                        shown(&path)
                    ));
                }
            }
        }
        println!("{room}: {blocks} lines with unsafe in {} registered modules", registered.len());
    }
    settle(wrong);
}

fn is_unsafe(line: &str) -> bool {
    line.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == "unsafe")
}

/// The modules that stand in `lib.rs` under `#[expect(unsafe_code, reason = "...")]`, on its own or for some platforms
/// (`cfg_attr`).
fn registered_modules(lib: &str) -> Vec<String> {
    let code = code_only(lib);
    let mut modules = Vec::new();
    let mut start = 0;
    for (end, _) in code.match_indices(';') {
        let item = &code[start..end];
        let excepted = item.contains("expect(") && item.contains("unsafe_code") && item.contains("reason");
        let name = item.rsplit_once("mod ").map(|(_, name)| name.trim());
        if let Some(name) = name.filter(|name| excepted && !name.contains(char::is_whitespace)) {
            modules.push(name.to_owned());
        }
        start = end + 1;
    }
    modules
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut wrong = Vec::new();
    for (room, _) in FLOORS {
        for (path, text) in sources(&root().join(room)) {
            let code = code_only(&text);
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in code.lines().enumerate() {
                let opens = ["unsafe {", "unsafe impl", "unsafe extern {"]
                    .iter()
                    .any(|opening| line.contains(opening));
                if opens && !is_argued(&lines, at) {
                    wrong.push(format!("{}:{}: unsafe without a SAFETY comment", shown(&path), at + 1));
                }
            }
        }
    }
    settle(wrong);
}

/// A SAFETY comment stands on the line, or in the comment above the statement that the line belongs to.
fn is_argued(lines: &[&str], at: usize) -> bool {
    if lines[at].contains("SAFETY:") {
        return true;
    }
    let mut code_lines = 0;
    for line in lines[..at].iter().rev().map(|line| line.trim()) {
        if line.starts_with("//") {
            if line.contains("SAFETY:") {
                return true;
            }
        } else if line.starts_with("#[") {
        } else {
            code_lines += 1;
            // A statement may begin a few lines further up; its comment stands above that.
            if code_lines > 3 || line.is_empty() {
                return false;
            }
        }
    }
    false
}

/// Not a rule but a sign: printed, never failed.
#[test]
fn files_past_a_thousand_lines_are_named() {
    let mut long: BTreeMap<usize, String> = BTreeMap::new();
    for (room, _) in FLOORS {
        for (path, text) in sources(&root().join(room)) {
            let count = text.lines().count();
            if count > 1000 {
                long.insert(count, shown(&path));
            }
        }
    }
    for (count, path) in long.iter().rev() {
        println!("{path} has {count} lines: is a room missing?");
    }
}
