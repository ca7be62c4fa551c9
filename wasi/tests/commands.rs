//! Real components link with the host, and run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, ErrorKind, Store};
use mini_wasm_wasi::cli::run::RUN;
use mini_wasm_wasi::{
    MemoryInput, MemoryOutput, Output, Stdin, Unstable, Wasi, add_to_linker, link_unstable,
};

fn guests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../guests")
}

/// All components in the folders of guests, with their names; the big ones too where they have been built.
fn components() -> Vec<(String, Vec<u8>)> {
    let big = std::env::var_os("GUESTS_BIG").map_or_else(|| guests().join("target/big"), PathBuf::from);
    let mut found = Vec::new();
    for folder in [guests().join("bin"), big] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            if Component::is_component(&bytes) {
                found.push((path.file_name().unwrap().to_string_lossy().into_owned(), bytes));
            }
        }
    }
    found
}

#[test]
fn every_component_that_a_toolchain_made_links() {
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    for feature in Unstable::ALL {
        link_unstable(&mut linker, |wasi| wasi, *feature).unwrap();
    }
    let mut linked = 0;
    for (name, bytes) in components() {
        let component = Component::new(&engine, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let foreign = component.imports().iter().any(|(import, _)| !import.starts_with("wasi:"));
        match linker.instantiate_pre(&component) {
            Ok(_) => linked += 1,
            Err(error) => {
                assert!(foreign, "{name}: {error}");
                assert!(error.to_string().contains("demo:poly/"), "{name}: the import is not named: {error}");
            }
        }
    }
    assert!(linked >= 10, "{linked} components");
}

/// One case of guests/expect; README.md there says what the files mean.
struct Case {
    folder: PathBuf,
}

impl Case {
    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        self.text(file).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Every file beneath `expected` is in `found`, with the same bytes.
fn same(expected: &Path, found: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(expected) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let other = found.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            same(&entry.path(), &other, name);
        } else {
            let found =
                fs::read(&other).unwrap_or_else(|error| panic!("{name}: {}: {error}", other.display()));
            assert_eq!(found, fs::read(entry.path()).unwrap(), "{name}: {}", other.display());
        }
    }
}

/// Runs a command as a CLI would; its exit code.
fn run(engine: &Engine, linker: &Linker<Wasi>, component: &Component, wasi: Wasi) -> (i32, String) {
    let mut store = Store::new(engine, wasi);
    let result = linker.instantiate(&mut store, component).and_then(|instance| {
        let name =
            component.exports().iter().map(|(name, _)| name).find(|name| name.starts_with("wasi:cli/run@"));
        let exports = instance.exports(&store)?;
        let exports = exports.instance(name.expect("a command exports run")).expect("run is an instance");
        let run = exports.func(&mut store, RUN).expect("run is a function");
        run.typed::<(), Result<(), ()>>(&store)?.call(&mut store, ())
    });
    match result {
        Ok(ended) => (i32::from(ended.is_err()), String::new()),
        Err(error) => match error.kind() {
            ErrorKind::Exit(code) => (code.into(), String::new()),
            ErrorKind::Trap(_) => (134, format!("{error}\n{}", error.backtrace())),
            _ => panic!("{error}"),
        },
    }
}

#[test]
fn commands_print_and_leave_what_they_should() {
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    let components: BTreeMap<_, _> = components().into_iter().collect();
    let scratch = std::env::temp_dir().join(format!("mini-wasm-commands-{}", std::process::id()));
    // What a process of this number left that was killed.
    let _ = fs::remove_dir_all(&scratch);
    let mut cases = 0;
    for entry in fs::read_dir(guests().join("expect")).unwrap() {
        let case = Case { folder: entry.unwrap().path() };
        let Some(guest) = case.text("guest") else { continue };
        let name = case.folder.file_name().unwrap().to_string_lossy().into_owned();
        // Options of the command line have their tests there, and so has an input that nobody closes.
        let Some(bytes) = components
            .get(guest.trim())
            .filter(|_| case.text("flags").is_none() && !case.folder.join("stdin-open").exists())
        else {
            continue;
        };
        eprintln!("{name}");
        let component = Component::new(&engine, bytes.clone()).unwrap();
        let (stdout, stderr) = (MemoryOutput::new(1 << 20), MemoryOutput::new(1 << 20));
        let mut builder = Wasi::builder();
        builder.arg(guest.trim()).args(case.lines("args"));
        builder
            .stdin(Stdin::Memory(MemoryInput::new(fs::read(case.folder.join("stdin")).unwrap_or_default())));
        builder.stdout(Output::Memory(stdout.clone())).stderr(Output::Memory(stderr.clone()));
        for variable in case.lines("env") {
            let (name, value) = variable.split_once('=').unwrap();
            builder.env(name, value);
        }
        let dir = scratch.join(&name);
        if let Some(preopen) = case.text("preopen") {
            copy(&case.folder.join("dir"), &dir);
            let preopen = preopen.trim();
            let guest = preopen.strip_suffix("::ro");
            builder.preopen(&dir, guest.unwrap_or(preopen), guest.is_some()).unwrap();
        }
        let (code, error) = run(&engine, &linker, &component, builder.build());
        let stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        let printed = stdout.contents();
        let expected = fs::read(case.folder.join("stdout")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&printed),
            String::from_utf8_lossy(&expected),
            "{name}: stderr {stderr} {error}"
        );
        let expected: i32 = case.text("code").unwrap().trim().parse().unwrap();
        assert_eq!(code, expected, "{name}: stderr {stderr} {error}");
        same(&case.folder.join("after"), &dir, &name);
        for gone in case.lines("gone") {
            assert!(fs::symlink_metadata(dir.join(&gone)).is_err(), "{name}: {gone} is still there");
        }
        cases += 1;
    }
    let _ = fs::remove_dir_all(scratch);
    assert!(cases >= 20, "{cases} cases");
}
