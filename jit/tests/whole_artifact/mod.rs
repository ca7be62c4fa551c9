//! A component that was an artifact in between, as a whole: with the code between the components in it, for an engine without a compiler.

use mini_wasm_jit::LoadOnly;
use mini_wasm_jit::artifact::{Artifact, Kind, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::module::{ModuleInfo, WasmBytes};
use mini_wasm_runtime::{Config, Engine};

/// Compiles, seals, loads.
pub(crate) fn reloaded(config: &Config, wasm: &[u8]) -> Component {
    let made = Component::new(&Engine::new(config.clone()), wasm).unwrap();
    let infos: Vec<&ModuleInfo> = made.core_modules().iter().map(|module| &**module.info()).collect();
    let key = SealKey::random().unwrap();
    let seal = Seal::Key(key.clone());
    let options = ArtifactOptions { arch: None, cpu: None, compile: CompileOptions::default(), seal };
    let calls = made.adapter_infos();
    let new = compile_artifact(config, wasm, Kind::Component, &infos, &calls, &options).unwrap();
    let loaded = Artifact::load_bytes(config, &new.bytes, &Trust::key(key)).unwrap().unwrap();
    let engine = Engine::with_runtime(config.clone(), &LoadOnly);
    let Artifact { wasm, native, adapters, .. } = loaded;
    let native = native.into_iter().map(Some).collect();
    let code_of = |calls: &[_]| adapters.and_then(|code| code.of(calls));
    Component::with_native(&engine, WasmBytes::new(wasm), native, code_of).unwrap()
}
