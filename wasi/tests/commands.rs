//! Real components link with the host, and run.

use std::fs;
use std::path::PathBuf;

use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine};
use mini_wasm_wasi::{Wasi, add_to_linker};

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
    let mut linked = 0;
    for (name, bytes) in components() {
        let component = Component::new(&engine, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let result = linker.instantiate_pre(&component);
        if let Some((foreign, _)) =
            component.imports().iter().find(|(import, _)| !import.starts_with("wasi:"))
        {
            let error = result.err().unwrap_or_else(|| panic!("{name} linked without {foreign}"));
            assert!(error.to_string().contains(&**foreign), "the import is not named: {error}");
            continue;
        }
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        linked += 1;
    }
    assert!(linked >= 10, "{linked} components");
}
