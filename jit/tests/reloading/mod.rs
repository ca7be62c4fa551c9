//! A backend whose every module goes by way of an artifact: compiled, sealed, loaded again, run by an engine's part without a compiler.

use mini_wasm_jit::LoadOnly;
use mini_wasm_jit::artifact::{Artifact, Kind, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_runtime::backend::{Backend, FileBudget, NativeCode};
use mini_wasm_runtime::module::ModuleInfo;
use mini_wasm_runtime::vm::VmBuiltins;
use mini_wasm_runtime::{Config, Error, ErrorKind, Result};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Reloading;

impl Backend for Reloading {
    fn compile(
        &self,
        module: &ModuleInfo,
        config: &Config,
        _file: &FileBudget,
    ) -> Result<Arc<dyn NativeCode>> {
        let key = SealKey::random()?;
        let seal = Seal::Key(key.clone());
        let options = ArtifactOptions { arch: None, cpu: None, compile: CompileOptions::default(), seal };
        let made = compile_artifact(config, module.wasm.bytes(), Kind::Module, &[module], &[], &options)?;
        let loaded = Artifact::load_bytes(config, &made.bytes, &Trust::key(key))?
            .map_err(|refused| Error::new(ErrorKind::Artifact, refused.reason.to_string()))?;
        let native = loaded.native.into_iter().next();
        native.ok_or_else(|| Error::new(ErrorKind::Artifact, "an artifact without its module"))
    }

    fn builtins(&self, builtins: &mut VmBuiltins) {
        LoadOnly.builtins(builtins);
    }
}
