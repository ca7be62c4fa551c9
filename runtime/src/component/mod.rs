//! Components (Explainer.md): parsing, linking, instantiation, and calls across their boundaries.
//!
//! | where | what |
//! |---|---|
//! | [`Component`] | a parsed component: a flat plan, shared by all its instances |
//! | [`Linker`], [`InstancePre`] | what the host offers; names resolved, types checked |
//! | [`Instance`], [`Func`], [`TypedFunc`] | handles into a store |
//! | `canon` | one function per canonical built-in |
//! | `adapter` | a call from one component into another |
//! | `foreseen`, `places` | what is settled before anything is instantiated |
//! | `builtins` | what asynchrony between components brings and synchronous ones can use |
//! | `call_async` | calls and functions of the host that may wait |
//! | [`ResourceTable`] | what a host keeps for its resources |
//! | `resource` | resource types, destructors, borrow scopes |
//! | [`types`], `info`, `parse` | types of imports and exports; the plan; how it is made |
//!
//! Values cross boundaries by the rules of the crate `canonical-abi`, re-exported here as [`abi`].
//!
//! Must not know: which engine runs the core code, what any interface means.

mod adapter;
mod builtins;
#[cfg(fibers)]
mod call_async;
mod canon;
mod check;
mod foreseen;
mod func;
mod guest;
mod host;
mod info;
mod instance;
mod instantiate;
mod linker;
mod names;
mod parse;
mod parse_types;
mod places;
mod resource;
mod resource_table;
mod scalars;
pub mod types;

#[cfg(all(test, feature = "std"))]
mod tests;

/// The engine that `tests` run on. The same tests run on native code in jit/tests/components.rs.
#[cfg(all(test, feature = "std"))]
fn engine(config: crate::Config) -> Engine {
    Engine::new(config)
}

#[cfg(fibers)]
pub use call_async::resource_drop_async;
pub use func::{Func, TypedFunc};
pub use info::NameAttributes;
pub use instance::{Exports, Instance};
pub use instantiate::InstancePre;
pub use linker::{Linker, LinkerInstance};
/// The Canonical ABI: value types, dynamic values, typed values.
pub use mini_wasm_canonical_abi as abi;
pub use resource::resource_drop;
pub use resource_table::ResourceTable;
pub use types::{ComponentType, ExternType, InstanceType, ItemFunc, ModuleType, TypeBound};

use crate::backend::{AdapterInfo, FileBudget, NativeCode};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::host::InternedFuncType;
use crate::module::{Module, WasmBytes};
use abi::ResourceType;
use adapter::Adapters;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use info::ComponentInfo;
use scalars::ScalarImports;

/// A validated component, ready to be instantiated in any store of its engine. Cheap to clone; holds no store.
#[derive(Clone)]
pub struct Component(Arc<ComponentInner>);

/// What has code for calls between components.
type CodeBetween<'a> = Box<dyn FnOnce(&[AdapterInfo]) -> Option<Arc<dyn NativeCode>> + 'a>;

struct ComponentInner {
    engine: Engine,
    wasm: WasmBytes,
    root: Arc<ComponentInfo>,
    modules: Vec<Module>,
    /// Of [`canon::resource_drop_type`], which most components ask for a dozen times in each instantiation.
    resource_drop_type: InternedFuncType,
    /// Code of the artifact that it comes from.
    adapters: Adapters,
}

impl Component {
    /// Parses and validates a binary; compiles its core modules when the engine has a backend.
    ///
    /// # Errors
    /// `Malformed` and `Invalid` for the binary's own faults; what the backend says otherwise.
    pub fn new(engine: &Engine, wasm: impl Into<Arc<[u8]>>) -> Result<Component> {
        let wasm = WasmBytes::new(wasm.into());
        let parsed = parse::parse(&wasm, engine.config().features, true)?;
        let mut modules = Vec::with_capacity(parsed.modules.len());
        let scalars = ScalarImports::new(&parsed.root);
        let budget = FileBudget::new(wasm.file().len());
        for (i, part) in parsed.modules.into_iter().enumerate() {
            modules.push(Module::from_part(engine, part, &budget, |info| scalars.tell(i as u32, info))?);
        }
        Ok(Component::assemble(engine, wasm, parsed.root, modules, None))
    }

    /// A component whose core modules have native code already (from an artifact whose seal was checked): one entry per module,
    /// in the order of [`Component::core_modules`]. Function bodies are not validated again. `adapters` is asked for the code between the
    /// components in it, whose stubs are those of the calls that it is given, in order.
    ///
    /// # Errors
    /// `Artifact` when the number of entries is not the number of modules; otherwise as for [`Component::new`].
    pub fn with_native(
        engine: &Engine,
        wasm: WasmBytes,
        native: Vec<Option<Arc<dyn NativeCode>>>,
        adapters: impl FnOnce(&[AdapterInfo]) -> Option<Arc<dyn NativeCode>>,
    ) -> Result<Component> {
        let parsed = parse::parse(&wasm, engine.config().features, false)?;
        if parsed.modules.len() != native.len() {
            return Err(Error::new(
                crate::error::ErrorKind::Artifact,
                format!(
                    "native code of {} modules for a component with {}",
                    native.len(),
                    parsed.modules.len()
                ),
            ));
        }
        let mut modules = Vec::with_capacity(native.len());
        let scalars = ScalarImports::new(&parsed.root);
        for (i, (part, native)) in parsed.modules.into_iter().zip(native).enumerate() {
            modules.push(Module::part_with_native(engine, part, native, |info| {
                scalars.tell(i as u32, info);
            })?);
        }
        Ok(Component::assemble(engine, wasm, parsed.root, modules, Some(Box::new(adapters))))
    }

    fn assemble(
        engine: &Engine,
        wasm: WasmBytes,
        mut root: ComponentInfo,
        modules: Vec<Module>,
        adapters: Option<CodeBetween<'_>>,
    ) -> Component {
        places::settle(&mut root, &modules);
        let root = Arc::new(root);
        let adapters = adapters.map_or_else(Adapters::default, |code_of| {
            let calls = adapter::pairs(&root, engine.config());
            let code = if calls.is_empty() { None } else { code_of(&calls) };
            code.map_or_else(Adapters::default, |code| Adapters::new(calls, &code))
        });
        Component(Arc::new(ComponentInner {
            engine: engine.clone(),
            wasm,
            root,
            modules,
            resource_drop_type: InternedFuncType::new(engine, &canon::resource_drop_type()),
            adapters,
        }))
    }

    /// The calls from one component to another that its own definitions link, each kind once: what an artifact can have code for. The
    /// same whenever the same binary is read with the same settings.
    pub fn adapter_infos(&self) -> Vec<AdapterInfo> {
        adapter::pairs(&self.0.root, self.0.engine.config())
    }

    /// The code for them.
    fn adapters(&self) -> &Adapters {
        &self.0.adapters
    }

    /// Whether the bytes begin as a component does (and not as a core module).
    pub fn is_component(bytes: &[u8]) -> bool {
        wasmparser::Parser::is_component(bytes)
    }

    /// All core modules in it, nested components' too, in the order in which they appear in the binary.
    pub fn core_modules(&self) -> &[Module] {
        &self.0.modules
    }

    /// Name and type of each import, in order.
    pub fn imports(&self) -> &[(Arc<str>, ExternType)] {
        &self.0.root.imports
    }

    /// Name and type of each export, in order.
    pub fn exports(&self) -> &[(Arc<str>, ExternType)] {
        &self.0.root.exports
    }

    /// The interface that an import says it implements, if it does not bear the interface's name.
    pub fn implements(&self, import: &str) -> Option<&str> {
        self.0.root.implements(import).map(|interface| &**interface)
    }

    /// What an import says beside its name; `None` when it says nothing or there is no such import.
    pub fn import_attributes(&self, import: &str) -> Option<&NameAttributes> {
        self.0.root.import_attributes.get(import)
    }

    /// What an export says beside its name; `None` when it says nothing or there is no such export.
    pub fn export_attributes(&self, export: &str) -> Option<&NameAttributes> {
        self.0.root.export_attributes.get(export)
    }

    /// What the component calls a resource in the types of its imports and exports: the name of the first import or export
    /// that is this resource.
    pub fn resource_name(&self, rt: ResourceType) -> Option<&str> {
        match rt {
            ResourceType::Id(slot) => self.0.root.resource_names.get(slot as usize)?.as_deref(),
            ResourceType::Host(_) => None,
        }
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The binary.
    pub fn wasm(&self) -> &WasmBytes {
        &self.0.wasm
    }

    fn resource_drop_type(&self) -> InternedFuncType {
        self.0.resource_drop_type
    }

    fn root(&self) -> &Arc<ComponentInfo> {
        &self.0.root
    }
}

impl core::fmt::Debug for Component {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Component").field("core_modules", &self.0.modules.len()).finish_non_exhaustive()
    }
}
