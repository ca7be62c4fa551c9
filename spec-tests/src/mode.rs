//! The modes in which everything must give the same.

use mini_wasm_jit::artifact::{Artifact, Kind, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_jit::{Jit, LoadOnly};
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::module::WasmBytes;
use mini_wasm_runtime::{Config, Engine, Error, ErrorKind, Module, Result};
use mini_wasm_wast::{Binary, Session};
use std::fmt;
use std::sync::Arc;

/// A way to run guest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Interpreted.
    Interp,
    /// Compiled to native code when the module is made.
    Jit,
    /// Compiled to an artifact in memory, which is sealed, loaded again and run by an engine without compiler.
    Aot,
}

impl Mode {
    /// All of them.
    pub const ALL: &'static [Mode] = &[Mode::Interp, Mode::Jit, Mode::Aot];

    /// The word in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Interp => "interp",
            Mode::Jit => "jit",
            Mode::Aot => "aot",
        }
    }

    /// An engine of this mode.
    pub fn engine(self, config: Config) -> Engine {
        match self {
            Mode::Interp => Engine::new(config),
            Mode::Jit => Engine::with_backend(config, Arc::new(Jit::default())),
            Mode::Aot => Engine::with_runtime(config, &LoadOnly),
        }
    }

    /// A module by way of this mode.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn module(self, engine: &Engine, binary: &[u8]) -> Result<Module> {
        match self {
            Mode::Interp | Mode::Jit => Module::new(engine, binary),
            Mode::Aot => reload(engine, binary),
        }
    }

    /// A session for scripts that use `features`, with directives that do not end stopped.
    pub fn session(self, features: Features) -> Session {
        let config = Session::bounded(Config { features, ..Config::default() });
        Session::new(self.engine(config))
            .loader(move |engine, binary| self.module(engine, binary).map(Binary::Module))
    }
}

/// A module by way of an artifact.
fn reload(engine: &Engine, binary: &[u8]) -> Result<Module> {
    let config = engine.config();
    let info = Module::parse_only(engine, WasmBytes::new(binary.into()))?;
    let key = SealKey::random()?;
    let options = ArtifactOptions {
        arch: None,
        cpu: None,
        compile: CompileOptions::default(),
        seal: Seal::Key(key.clone()),
    };
    let artifact = compile_artifact(config, binary, Kind::Module, &[&info], &options)?;
    let loaded = Artifact::load_bytes(config, &artifact.bytes, &Trust::key(key))?
        .map_err(|refused| Error::new(ErrorKind::Artifact, refused.reason.to_string()))?;
    Module::with_native(engine, WasmBytes::new(loaded.wasm), loaded.native.into_iter().next())
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
