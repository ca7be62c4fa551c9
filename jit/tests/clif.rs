//! The intermediate code of a few functions, as text. `BLESS=1 cargo test -p mini-wasm-jit --test clif` writes what is found.
//!
//! A `;;` line in the first line of a case may name settings: `no guard pages`, `fuel`, `epoch`. The last function is shown.

use mini_wasm_jit::Arch;
use mini_wasm_jit::compile::clif;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::module::{Module, WasmBytes};
use std::path::Path;

#[test]
fn the_intermediate_code_is_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clif");
    let mut cases: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|e| e == "wat"));
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let settings = text.lines().next().unwrap();
        let config = Config {
            guard_pages: !settings.contains("no guard pages"),
            fuel: settings.contains("fuel"),
            epoch: settings.contains("epoch"),
            ..Config::default()
        };
        let engine = Engine::new(config.clone());
        let wasm = WasmBytes::new(wat::parse_str(&text).unwrap().into());
        let info = Module::parse_only(&engine, wasm).unwrap();
        let found = clif(&info, &config, Arch::X86_64, info.bodies.len() - 1).unwrap();
        let golden = case.with_extension("clif");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, wanted, "{}", case.display());
    }
}
