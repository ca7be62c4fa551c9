//! Where the exports of core instances lie: names that a plan says are looked up once for a component, not in each instantiation
//! of it. And the other facts of a component that every instantiation asks for.
//!
//! Of an instance of a module that comes from outside nothing is known here: its exports are found by name each time.
//!
//! Must not know: stores.

use super::info::{AddsModule, ComponentInfo, CoreSort, Def, Facts};
use crate::module::Module;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An export of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CorePlace {
    /// The instance.
    pub(crate) instance: u32,
    /// Which of its exports, in the order of the module or of the definition.
    pub(crate) export: u32,
}

/// How many places are kept for a component: a small binary can ask for a module with many imports very often.
const MOST_PLACES: usize = 1 << 18;

/// Settles a component and those inside it; `modules` are the file's.
pub(super) fn settle(root: &mut ComponentInfo, modules: &[Module]) {
    let mut settling = Settling { modules, exports: BTreeMap::new(), room: MOST_PLACES };
    let mut components = Vec::from([root]);
    while let Some(component) = components.pop() {
        settling.component(component);
        components.extend(component.components.iter_mut().filter_map(|(nested, _)| Arc::get_mut(nested)));
    }
}

struct Settling<'m> {
    modules: &'m [Module],
    /// Of the modules asked for so far: their exports by name.
    exports: BTreeMap<u32, BTreeMap<&'m str, u32>>,
    /// How many places may still be kept.
    room: usize,
}

/// What is known of a core instance.
#[derive(Clone, Copy)]
enum Known<'p> {
    /// The file's module that it is an instance of.
    Module(u32),
    /// Inline exports, whose names are in order.
    Exports(&'p [(Box<str>, CoreSort, u32)]),
    Nothing,
}

impl<'m> Settling<'m> {
    fn component(&mut self, info: &mut ComponentInfo) {
        let count = |is: fn(&Def) -> bool| info.plan.iter().filter(|def| is(def)).count();
        info.facts = Facts {
            core_funcs: count(Def::adds_core_func),
            funcs: count(Def::adds_func),
            slots: info.resource_names.len().min(info.plan.len()),
            always_leaves: info.always_leaves(),
            uses_context: info.uses_context(),
            may_throw: info.may_throw(self.modules),
        };
        let found = self.find(&info.plan);
        for (at, found) in found {
            match (&mut info.plan[at], found) {
                (Def::CoreInstantiate { places, .. }, Found::Imports(found)) => *places = Some(found),
                (Def::CoreAlias { place, .. }, Found::Export(found)) => *place = Some(found),
                _ => {}
            }
        }
    }

    /// Follows the index spaces of a plan: by place in it, what was found.
    fn find(&mut self, plan: &[Def]) -> Vec<(usize, Found)> {
        let mut core_modules: Vec<Option<u32>> = Vec::new();
        let mut instances: Vec<Known<'_>> = Vec::new();
        let mut all = Vec::new();
        for (at, def) in plan.iter().enumerate() {
            match def.adds_core_module() {
                AddsModule::No => {}
                AddsModule::OfFile(module) => core_modules.push(Some(module)),
                AddsModule::Other => core_modules.push(None),
                // From here on modules cannot be told apart.
                AddsModule::Perhaps => return all,
            }
            match def {
                Def::CoreExports(exports) => instances.push(Known::Exports(exports)),
                Def::CoreInstantiate { module, args, .. } => {
                    let module = core_modules.get(*module as usize).copied().flatten();
                    if let Some(found) = module.and_then(|module| self.imports(module, args, &instances)) {
                        all.push((at, Found::Imports(found)));
                    }
                    instances.push(module.map_or(Known::Nothing, Known::Module));
                }
                Def::CoreAlias { instance, name, .. } => {
                    if let Some(found) = self.export(&instances, *instance, name) {
                        all.push((at, Found::Export(found.export)));
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Where the imports of a module lie; `None` when not all is known.
    fn imports(
        &mut self,
        module: u32,
        args: &[(Box<str>, u32)],
        instances: &[Known<'_>],
    ) -> Option<Box<[CorePlace]>> {
        let imports = &self.modules.get(module as usize)?.info().imports;
        self.room = self.room.checked_sub(imports.len())?;
        let args: BTreeMap<&str, u32> = args.iter().map(|(name, instance)| (&**name, *instance)).collect();
        imports
            .iter()
            .map(|import| self.export(instances, *args.get(&*import.module)?, &import.name))
            .collect()
    }

    fn export(&mut self, instances: &[Known<'_>], instance: u32, name: &str) -> Option<CorePlace> {
        let export = match *instances.get(instance as usize)? {
            Known::Module(module) => {
                let of = self.modules.get(module as usize)?;
                let by_name = || {
                    let exports = of.info().exports.iter().enumerate();
                    exports.map(|(at, export)| (&*export.name, at as u32)).collect()
                };
                *self.exports.entry(module).or_insert_with(by_name).get(name)?
            }
            Known::Exports(exports) => {
                exports.binary_search_by(|(known, ..)| (**known).cmp(name)).ok()? as u32
            }
            Known::Nothing => return None,
        };
        Some(CorePlace { instance, export })
    }
}

/// What was found for a definition.
enum Found {
    /// For each import of the module that is instantiated.
    Imports(Box<[CorePlace]>),
    /// The export that an alias names.
    Export(u32),
}
