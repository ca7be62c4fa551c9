//! Which imports of a component's core modules can be calls of another component with core values only ([`ScalarCall`]): read off the
//! component, before its modules are compiled.
//!
//! An import may be such a call where an instantiation of its module gives it a function that `canon lower` makes of a function of a small
//! type. Whether it is one in an instance, linking says (adapter/mod.rs): what is said here decides only for what code there is.
//!
//! Must not know: stores, native code.

use super::info::{AddsModule, ComponentInfo, CoreSort, Def};
use crate::module::{ModuleInfo, ScalarCall};
use crate::types::ExternType;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// For each core module of a file: what its imports may be.
#[derive(Default)]
pub(super) struct ScalarImports(BTreeMap<u32, Imports>);

/// By the first and the second of their names.
type Imports = BTreeMap<Box<str>, BTreeMap<Box<str>, ScalarCall>>;

/// An instance of inline exports: functions by name.
type Exports<'p> = BTreeMap<&'p str, Option<&'p ScalarCall>>;

impl ScalarImports {
    /// Reads a component, with those inside it.
    pub(super) fn new(root: &ComponentInfo) -> ScalarImports {
        let mut imports = ScalarImports::default();
        let mut components = Vec::from([root]);
        while let Some(component) = components.pop() {
            imports.read(component);
            components.extend(component.components.iter().map(|(nested, _)| &**nested));
        }
        imports
    }

    /// Follows the index spaces of one component.
    fn read(&mut self, component: &ComponentInfo) {
        let asks_caller = !component.always_leaves();
        let mut modules: Vec<Option<u32>> = Vec::new();
        let mut instances: Vec<Exports<'_>> = Vec::new();
        let mut funcs: Vec<Option<&ScalarCall>> = Vec::new();
        for def in &component.plan {
            match def.adds_core_module() {
                AddsModule::No => {}
                AddsModule::OfFile(module) => modules.push(Some(module)),
                AddsModule::Other => modules.push(None),
                // From here on modules cannot be told apart.
                AddsModule::Perhaps => return,
            }
            match def {
                Def::CoreExports(exports) => instances.push(
                    exports
                        .iter()
                        .filter(|(_, sort, _)| *sort == CoreSort::Func)
                        .map(|(name, _, func)| (&**name, funcs.get(*func as usize).copied().flatten()))
                        .collect(),
                ),
                Def::CoreInstantiate { module, args, .. } => {
                    if let Some(module) = modules.get(*module as usize).copied().flatten() {
                        let known = self.0.entry(module).or_default();
                        for (name, instance) in args {
                            let known = known.entry(name.clone()).or_default();
                            let exports = instances.get(*instance as usize);
                            for (field, call) in exports.into_iter().flatten() {
                                let Some(call) = call else { continue };
                                let asked = || ScalarCall { asks_caller, ..(*call).clone() };
                                known.entry((*field).into()).or_insert_with(asked);
                            }
                        }
                    }
                    instances.push(Exports::new());
                }
                Def::CoreAlias { instance, name, sort: CoreSort::Func, .. } => {
                    let func = instances.get(*instance as usize).and_then(|exports| exports.get(&**name));
                    funcs.push(func.copied().flatten());
                }
                Def::Lower { scalars, .. } => funcs.push(scalars.as_ref()),
                def if def.adds_core_func() => funcs.push(None),
                _ => {}
            }
        }
    }

    /// Tells module `index` of the file.
    pub(super) fn tell(&self, index: u32, info: &mut ModuleInfo) {
        let Some(known) = self.0.get(&index) else { return };
        let funcs = info.imports.iter().filter(|import| matches!(import.ty, ExternType::Func(_)));
        let calls = funcs.map(|import| known.get(&*import.module)?.get(&*import.name).cloned());
        info.scalar_calls = calls.collect();
    }
}
