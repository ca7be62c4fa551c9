//! The modes in which everything must give the same.

use mini_wasm_jit::artifact::{Artifact, Kind, Refused, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_jit::{Jit, LoadOnly};
use mini_wasm_runtime::backend::AdapterInfo;
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::module::{ModuleInfo, WasmBytes};
use mini_wasm_runtime::{Config, Engine, Error, ErrorKind, Module, Result};
use mini_wasm_wast::{Binary, Session};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A way to run guest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Interpreted.
    Interp,
    /// Compiled to native code when a module is made.
    Jit,
    /// Compiled to an artifact, which is sealed, loaded again by an engine without a compiler, and run.
    Aot,
    /// As [`Mode::Jit`], by an engine that installs no signal handlers: every bound is checked in code.
    Unguarded,
    /// As [`Mode::Jit`], by an engine that collects its heap whenever it allocates.
    Stress,
    /// As [`Mode::Interp`], likewise.
    StressInterp,
}

impl Mode {
    /// All of them.
    pub const ALL: &'static [Mode] =
        &[Mode::Interp, Mode::Jit, Mode::Aot, Mode::Unguarded, Mode::Stress, Mode::StressInterp];

    /// The mode of a name.
    pub fn of(name: &str) -> Option<Mode> {
        Mode::ALL.iter().copied().find(|mode| mode.name() == name)
    }

    /// The word in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Interp => "interp",
            Mode::Jit => "jit",
            Mode::Aot => "aot",
            Mode::Unguarded => "unguarded",
            Mode::Stress => "stress",
            Mode::StressInterp => "stress-interp",
        }
    }

    /// An engine of this mode.
    pub fn engine(self, config: Config) -> Engine {
        let guard_pages = config.guard_pages && self != Mode::Unguarded;
        let gc_stress = config.gc_stress || matches!(self, Mode::Stress | Mode::StressInterp);
        let config = Config { guard_pages, gc_stress, ..config };
        match self {
            Mode::Interp | Mode::StressInterp => Engine::new(config),
            Mode::Jit | Mode::Unguarded | Mode::Stress => {
                Engine::with_backend(config, Arc::new(Jit::default()))
            }
            Mode::Aot => Engine::with_runtime(config, &LoadOnly),
        }
    }

    /// From bytes to code by way of this mode.
    ///
    /// # Errors
    /// As [`Binary::new`]; `Artifact` when an artifact that was just made is refused.
    pub fn binary(self, engine: &Engine, bytes: &[u8]) -> Result<Binary> {
        let made = self.made(engine, bytes)?;
        match &made {
            Binary::Module(module) => tiers::note(module),
            Binary::Component(component) => component.core_modules().iter().for_each(tiers::note),
        }
        Ok(made)
    }

    fn made(self, engine: &Engine, bytes: &[u8]) -> Result<Binary> {
        let parsed = Binary::new(engine, bytes)?;
        match (self, &parsed) {
            (Mode::Aot, Binary::Module(module)) => {
                let artifact = reload(engine, bytes, Kind::Module, &[module.info()], &[])?;
                let native = artifact.native.into_iter().next();
                Module::with_native(engine, WasmBytes::new(artifact.wasm), native).map(Binary::Module)
            }
            (Mode::Aot, Binary::Component(component)) => {
                let infos: Vec<&ModuleInfo> =
                    component.core_modules().iter().map(|module| &**module.info()).collect();
                let artifact = reload(engine, bytes, Kind::Component, &infos, &component.adapter_infos())?;
                let native = artifact.native.into_iter().map(Some).collect();
                let code_of = |calls: &[AdapterInfo]| artifact.adapters.and_then(|code| code.of(calls));
                Component::with_native(engine, WasmBytes::new(artifact.wasm), native, code_of)
                    .map(Binary::Component)
            }
            (_, _) => Ok(parsed),
        }
    }

    /// A module by way of this mode.
    ///
    /// # Errors
    /// As [`Mode::binary`], and `Usage` for a component.
    pub fn module(self, engine: &Engine, bytes: &[u8]) -> Result<Module> {
        match self.binary(engine, bytes)? {
            Binary::Module(module) => Ok(module),
            Binary::Component(_) => Err(Error::new(ErrorKind::Usage, "a component is no module")),
        }
    }

    /// A session for scripts that use `features`, with directives that do not end stopped. One mode counts fuel as well, so
    /// that the suites run over code of both kinds.
    pub fn session(self, features: Features) -> Session {
        let config = Config { features, fuel: self == Mode::Jit, ..Config::default() };
        let engine = self.engine(Session::bounded(config));
        Session::new(engine).loader(move |engine, bytes| self.binary(engine, bytes))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compiles into an artifact and loads that.
fn reload(
    engine: &Engine,
    bytes: &[u8],
    kind: Kind,
    modules: &[&ModuleInfo],
    adapters: &[AdapterInfo],
) -> Result<Artifact> {
    load(engine, &artifact(engine, bytes, kind, modules, adapters)?)?
        .map_err(|refused| Error::new(ErrorKind::Artifact, format!("refused: {}", refused.reason)))
}

/// The artifact of a module or component, sealed with the key of this process.
///
/// # Errors
/// As [`compile_artifact`].
pub fn artifact(
    engine: &Engine,
    bytes: &[u8],
    kind: Kind,
    modules: &[&ModuleInfo],
    adapters: &[AdapterInfo],
) -> Result<Vec<u8>> {
    let seal = Seal::Key(key()?.clone());
    let options = ArtifactOptions { arch: None, cpu: None, compile: CompileOptions::default(), seal };
    Ok(compile_artifact(engine.config(), bytes, kind, modules, adapters, &options)?.bytes)
}

/// Loads an artifact that was sealed with the key of this process.
///
/// # Errors
/// As [`Artifact::load_bytes`].
pub fn load(engine: &Engine, artifact: &[u8]) -> Result<std::result::Result<Artifact, Refused>> {
    Artifact::load_bytes(engine.config(), artifact, &Trust::key(key()?.clone()))
}

/// The key of this process.
fn key() -> Result<&'static SealKey> {
    static KEY: OnceLock<SealKey> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key);
    }
    let key = SealKey::random()?;
    Ok(KEY.get_or_init(|| key))
}

/// How many functions the modules of a run have, and how many of those native code: on a machine without vectors not all of them.
pub mod tiers {
    use mini_wasm_runtime::Module;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ALL: AtomicU64 = AtomicU64::new(0);
    static NATIVE: AtomicU64 = AtomicU64::new(0);

    pub(super) fn note(module: &Module) {
        let functions = module.info().bodies.len();
        ALL.fetch_add(functions as u64, Ordering::Relaxed);
        if let Some(code) = module.native() {
            let native = (0..functions).filter(|&own| code.func(own).is_some()).count();
            NATIVE.fetch_add(native as u64, Ordering::Relaxed);
        }
    }

    /// All functions and those with native code, of the modules that were made since the last time.
    pub fn take() -> (u64, u64) {
        (ALL.swap(0, Ordering::Relaxed), NATIVE.swap(0, Ordering::Relaxed))
    }
}
