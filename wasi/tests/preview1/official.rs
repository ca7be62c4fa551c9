//! The functions are those of the official list, which the crate wasi 0.11 was generated from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use mini_wasm_runtime::types::ValType;
use mini_wasm_runtime::{Config, Engine, Linker, Module};
use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::{FUNCTIONS, add_to_linker};

/// The source of the generated bindings.
fn bindings() -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let args = [
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--manifest-path",
        manifest,
        "--filter-platform",
        &platform,
    ];
    let output = Command::new(cargo).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).unwrap();
    let name = "wasi-0.11.1+wasi-snapshot-preview1/";
    let at = metadata.find(&format!("{name}Cargo.toml\"")).expect("wasi 0.11.1 is a dependency of this test");
    let begin = metadata[..at].rfind('"').unwrap() + 1;
    let path = PathBuf::from(&metadata[begin..at]).join(name).join("src/lib_generated.rs");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_functions_are_those_of_the_official_list_with_their_types() {
    let bindings = bindings();
    let imports = &bindings[bindings.find("wasm_import_module").unwrap()..];
    let mut official = BTreeMap::new();
    for declaration in imports.split("pub fn ").skip(1) {
        let (name, rest) = declaration.split_once('(').unwrap();
        let (params, rest) = rest.split_once(')').unwrap();
        let params: Vec<ValType> = params
            .split(',')
            .filter_map(|param| param.split_once(": "))
            .map(|(_, ty)| if ty.trim() == "i64" { ValType::I64 } else { ValType::I32 })
            .collect();
        official.insert(name.to_owned(), (params, rest.trim_start().starts_with("-> i32")));
    }
    let ours: BTreeMap<_, _> =
        FUNCTIONS.iter().map(|f| (f.name.to_owned(), (f.params.to_vec(), f.returns))).collect();
    assert_eq!(ours, official);
    assert_eq!(ours.len(), 46);
}

#[test]
fn what_is_linked_is_what_is_listed() {
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new();
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    for function in FUNCTIONS {
        let params: String =
            function.params.iter().map(|ty| if *ty == ValType::I32 { "i32 " } else { "i64 " }).collect();
        let result = if function.returns { "(result i32)" } else { "" };
        let wat = format!(
            "(module (import \"wasi_snapshot_preview1\" \"{}\" (func (param {params}) {result})))",
            function.name
        );
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        linker.instantiate_pre(&module).unwrap_or_else(|error| panic!("{}: {error}", function.name));
    }
}
