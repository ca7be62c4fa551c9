//! Modules: parsing, validation, and the facts that stay.

mod bodies;
pub mod fuel;
mod info;
mod names;
mod parse;
mod scalar_call;

use crate::backend::{FileBudget, NativeCode};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::interp::CodeTable;
use crate::sync::Mutex;
use crate::types::ExternType;
use alloc::{format, sync::Arc};
pub(crate) use bodies::Bodies;
pub use info::*;
pub(crate) use parse::parse;
pub use parse::val_type;
pub use scalar_call::ScalarCall;

/// A validated module, ready to be instantiated in any store of its engine. Cheap to clone; holds no store.
#[derive(Clone)]
pub struct Module(Arc<ModuleInner>);

struct ModuleInner {
    engine: Engine,
    info: Arc<ModuleInfo>,
    native: Option<Arc<dyn NativeCode>>,
    interp: CodeTable,
    /// Has every function native code?
    wholly_native: bool,
    /// The same without native code, once somebody has asked for it.
    interpreted: Mutex<Option<Module>>,
}

impl Module {
    /// Parses and validates a binary; compiles it when the engine has a backend.
    ///
    /// # Errors
    /// `Malformed` and `Invalid` for the binary's own faults; what the backend says otherwise.
    pub fn new(engine: &Engine, wasm: impl Into<Arc<[u8]>>) -> Result<Module> {
        let info = parse(WasmBytes::new(wasm.into()), engine.config().features, true, engine.types())?;
        let budget = FileBudget::new(info.wasm.file().len());
        Module::compile(engine, info, &budget)
    }

    /// The same for a part of a file, which the caller has validated with the engine's features; `tell` adds what is known of it there.
    pub(crate) fn from_part(
        engine: &Engine,
        wasm: WasmBytes,
        budget: &FileBudget,
        tell: impl FnOnce(&mut ModuleInfo),
    ) -> Result<Module> {
        let mut info = parse(wasm, engine.config().features, false, engine.types())?;
        tell(&mut info);
        Module::compile(engine, info, budget)
    }

    fn compile(engine: &Engine, info: ModuleInfo, budget: &FileBudget) -> Result<Module> {
        let native = match engine.backend() {
            Some(backend) => Some(backend.compile(&info, engine.config(), budget)?),
            None => None,
        };
        Module::assemble(engine, info.into(), native)
    }

    /// A module whose native code exists already (from an artifact whose seal was checked). The binary is parsed; its
    /// validation was done before it was sealed and is not repeated.
    pub fn with_native(
        engine: &Engine,
        wasm: WasmBytes,
        native: Option<Arc<dyn NativeCode>>,
    ) -> Result<Module> {
        Module::part_with_native(engine, wasm, native, |_| {})
    }

    /// The same for a part of a file; `tell` adds what is known of it there.
    pub(crate) fn part_with_native(
        engine: &Engine,
        wasm: WasmBytes,
        native: Option<Arc<dyn NativeCode>>,
        tell: impl FnOnce(&mut ModuleInfo),
    ) -> Result<Module> {
        let mut info = parse(wasm, engine.config().features, false, engine.types())?;
        tell(&mut info);
        Module::assemble(engine, info.into(), native)
    }

    /// The facts alone, validated, without compiling: what an ahead-of-time compiler starts from.
    pub fn parse_only(engine: &Engine, wasm: WasmBytes) -> Result<ModuleInfo> {
        parse(wasm, engine.config().features, true, engine.types())
    }

    fn assemble(
        engine: &Engine,
        info: Arc<ModuleInfo>,
        native: Option<Arc<dyn NativeCode>>,
    ) -> Result<Module> {
        if info.bodies.len() + info.imported_funcs as usize != info.funcs.len() {
            return Err(Error::malformed(format!(
                "function and code section have inconsistent lengths: {} and {}",
                info.funcs.len() - info.imported_funcs as usize,
                info.bodies.len()
            )));
        }
        Ok(Module::assembled(engine, info, native))
    }

    fn assembled(engine: &Engine, info: Arc<ModuleInfo>, native: Option<Arc<dyn NativeCode>>) -> Module {
        let interp = CodeTable::new(&info, engine.types(), engine.config(), native.clone());
        let is_native = |own| native.as_ref().is_some_and(|native| native.func(own).is_some());
        let wholly_native = (0..info.bodies.len()).all(is_native);
        let interpreted = Mutex::new(None);
        Module(Arc::new(ModuleInner {
            engine: engine.clone(),
            info,
            native,
            interp,
            wholly_native,
            interpreted,
        }))
    }

    /// What it is.
    pub fn info(&self) -> &Arc<ModuleInfo> {
        &self.0.info
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Its native code, if it has any.
    pub fn native(&self) -> Option<&Arc<dyn NativeCode>> {
        self.0.native.as_ref()
    }

    /// The same module without native code, for instances on which that must not run.
    pub(crate) fn interpreted(&self) -> Module {
        let mut known = self.0.interpreted.lock();
        known.get_or_insert_with(|| Module::assembled(self.engine(), self.info().clone(), None)).clone()
    }

    /// Does no function of it run in the interpreter?
    pub(crate) fn is_wholly_native(&self) -> bool {
        self.0.wholly_native
    }

    pub(crate) fn interp_code(&self) -> &CodeTable {
        &self.0.interp
    }

    /// Module name, name and type of each import, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = (&str, &str, &ExternType)> {
        self.0.info.imports.iter().map(|i| (&*i.module, &*i.name, &i.ty))
    }

    /// Name and type of each export, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = (&str, ExternType)> {
        self.0.info.exports.iter().map(|e| (&*e.name, self.0.info.extern_type(e.item)))
    }
}

impl core::fmt::Debug for Module {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Module").field("functions", &self.0.info.funcs.len()).finish_non_exhaustive()
    }
}
