//! What a component is once it is parsed: a flat plan of definitions, in the order of the binary, that every instantiation
//! carries out one after another (Binary.md "Component Definitions").
//!
//! Each definition adds to an index space: core modules, core instances, core functions (memories, tables, globals),
//! components, instances, functions. Types have no index space at run time: what remains of them are slots for resources
//! (types.rs), and a plan step that makes a resource type nameable says which slot it binds.
//!
//! Outer aliases are settled here: what a nested component takes from outside is listed with it and captured when the plan of
//! the component around it comes to its definition.
//!
//! Must not know: stores.

use super::abi::StringEncoding;
use super::adapter::LastKind;
use super::places::CorePlace;
use super::types::{ExternType, ItemFunc, OpenTypes, Slot};
use crate::module::{Module, ScalarCall};
use crate::types::FuncType as CoreFuncType;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A component or nested component, parsed.
#[derive(Debug, Default)]
pub(crate) struct ComponentInfo {
    /// What instantiation does, in order.
    pub(crate) plan: Vec<Def>,
    /// Imports in order.
    pub(crate) imports: Vec<(Arc<str>, ExternType)>,
    /// Exports in order.
    pub(crate) exports: Vec<(Arc<str>, ExternType)>,
    /// What imports say of themselves, by name; those that say nothing are not in it.
    pub(crate) import_attributes: BTreeMap<Arc<str>, NameAttributes>,
    /// The same of exports.
    pub(crate) export_attributes: BTreeMap<Arc<str>, NameAttributes>,
    /// Nested components, as the plan numbers them.
    pub(crate) components: Vec<(Arc<ComponentInfo>, Box<[Capture]>)>,
    /// Value types that name resources.
    pub(crate) open_types: OpenTypes,
    /// Names of the resource slots, for messages and printing.
    pub(crate) resource_names: Vec<Option<Arc<str>>>,
    /// Once all modules are known (places.rs).
    pub(crate) facts: Facts,
}

/// What every instantiation of a component asks of it, found out once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// [`ComponentInfo::always_leaves`]
    pub(crate) always_leaves: bool,
    /// [`ComponentInfo::uses_context`]
    pub(crate) uses_context: bool,
    /// [`ComponentInfo::may_throw`]
    pub(crate) may_throw: bool,
    /// Definitions of core functions.
    pub(crate) core_funcs: usize,
    /// Definitions of functions.
    pub(crate) funcs: usize,
    /// Slots for resource types, as far as definitions may bind them.
    pub(crate) slots: usize,
}

impl ComponentInfo {
    /// The interface that an import says it implements.
    pub(crate) fn implements(&self, import: &str) -> Option<&Arc<str>> {
        self.import_attributes.get(import)?.implements.as_ref()
    }
}

/// What an import or export says beside its name (Explainer.md "Import and Export Definitions", `attribute`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameAttributes {
    /// `implements`: the interface that it is an instance of, when it bears a name of its own.
    pub implements: Option<Arc<str>>,
    /// `versionsuffix`: the rest of the version, of which the name (or the interface that it implements) has the canonical part.
    pub version_suffix: Option<Arc<str>>,
    /// `external-id`: what something outside the component knows it by. Means nothing to the engine.
    pub external_id: Option<Arc<str>>,
}

impl ComponentInfo {
    /// Whether no instance of it is ever kept from leaving: none of its functions has a `realloc` or a `post-return`.
    pub(crate) fn always_leaves(&self) -> bool {
        !self.plan.iter().any(|def| match def {
            Def::Lift { options, .. } | Def::Lower { options, .. } => {
                options.realloc.is_some() || options.post_return.is_some()
            }
            _ => false,
        })
    }

    /// Whether its code could look at what the current task keeps for it.
    pub(crate) fn uses_context(&self) -> bool {
        self.plan.iter().any(|def| matches!(def, Def::ContextGet { .. } | Def::ContextSet { .. }))
    }

    /// Whether its own code could throw an exception, or suspend: both need a tag. `modules` are those of its file; of a module that
    /// comes from outside nothing is known. (What it calls outside of itself throws nothing into it.)
    pub(crate) fn may_throw(&self, modules: &[Module]) -> bool {
        self.plan.iter().any(|def| match def {
            Def::CoreModule(module) => {
                modules.get(*module as usize).is_none_or(|module| !module.info().tags.is_empty())
            }
            Def::Import { sort: Sort::Module, .. }
            | Def::Alias { sort: Sort::Module, .. }
            | Def::Outer(_) => true,
            _ => false,
        })
    }
}

/// Something that a nested component takes from the component around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// A core module of the component around it.
    Module(u32),
    /// A component of the component around it.
    Component(u32),
    /// What the component around it has captured itself.
    Captured(u32),
}

/// An item of a component's index spaces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ItemIdx {
    Module(u32),
    Func(u32),
    Instance(u32),
    Component(u32),
    /// A resource type.
    Resource(Slot),
    /// Any other type: nothing at run time.
    Type,
}

/// Sort of a component's item, as an alias or import names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Module,
    Func,
    Instance,
    Component,
    /// A type, with the slot that it binds if it is a resource.
    Type(Option<Slot>),
}

/// Sort of a core item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreSort {
    Func,
    Memory,
    Table,
    Global,
    Tag,
}

/// Options of `canon lift` and `canon lower` (Explainer.md `canonopt`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CanonOptions {
    pub(crate) string_encoding: StringEncoding,
    /// Core memory.
    pub(crate) memory: Option<u32>,
    /// Core function.
    pub(crate) realloc: Option<u32>,
    /// Core function.
    pub(crate) post_return: Option<u32>,
}

/// One definition.
#[derive(Debug)]
pub(crate) enum Def {
    /// A core module: its number among all core modules of the file.
    CoreModule(u32),
    /// `core instance (instantiate module (with name (instance i)))`
    /// (`places`: what each import of the module is, where that is known before.)
    CoreInstantiate { module: u32, args: Box<[(Box<str>, u32)]>, places: Option<Box<[CorePlace]>> },
    /// `core instance` of inline exports.
    CoreExports(Box<[(Box<str>, CoreSort, u32)]>),
    /// `alias core export` (`place`: which export it is, where that is known before)
    CoreAlias { instance: u32, name: Box<str>, sort: CoreSort, place: Option<u32> },
    /// A nested component, by its number in `ComponentInfo::components`.
    Component(u32),
    /// `instance (instantiate component (with name item))`
    Instantiate { component: u32, args: Box<[(Arc<str>, ItemIdx)]> },
    /// `instance` of inline exports.
    Exports(Box<[(Arc<str>, ItemIdx)]>),
    /// `alias export`
    Alias { instance: u32, name: Arc<str>, sort: Sort },
    /// Makes a resource that an instance exports known, because a type that was aliased out of it names the resource.
    Bind { instance: u32, path: Box<[Arc<str>]>, slot: Slot },
    /// `alias outer` of a core module or component, or of one of the component's own (then not captured).
    Outer(Capture),
    /// `type (resource (rep i32) (dtor f))`; what represents it (i64 too) shows in the types of its built-ins.
    Resource { slot: Slot, dtor: Option<u32> },
    /// `import`, by its number in `ComponentInfo::imports`.
    Import { import: u32, sort: Sort },
    /// `export`; a type's export may be a new type (`sort` says its slot).
    Export { name: Arc<str>, item: ItemIdx, sort: Sort },
    /// `canon lift`
    Lift { core_func: u32, ty: ItemFunc, options: CanonOptions },
    /// `canon lower`; with what is known of a call if its type is a small one (that the caller is asked is left out), and with what it
    /// was linked with last.
    Lower { func: u32, options: CanonOptions, scalars: Option<ScalarCall>, last: LastKind },
    /// `canon resource.new`
    ResourceNew { slot: Slot, ty: CoreFuncType },
    /// `canon resource.drop`
    ResourceDrop(Slot),
    /// `canon resource.rep`
    ResourceRep { slot: Slot, ty: CoreFuncType },
    /// `canon context.get`, of this slot.
    ContextGet { slot: u32, ty: CoreFuncType },
    /// `canon context.set`
    ContextSet { slot: u32, ty: CoreFuncType },
    /// `canon backpressure.inc`
    BackpressureInc,
    /// `canon backpressure.dec`
    BackpressureDec,
    /// A built-in that the engine does not have yet, by name: it may be there and be called by nobody, or where nothing may be called.
    Unsupported { name: &'static str, ty: CoreFuncType },
}

/// What a definition adds to the core modules.
pub(crate) enum AddsModule {
    No,
    /// This module of the file.
    OfFile(u32),
    /// One that comes from outside, or of which it is not known which it is.
    Other,
    /// One that was captured, unless that was a component.
    Perhaps,
}

impl Def {
    /// What does it add to the core modules?
    pub(crate) fn adds_core_module(&self) -> AddsModule {
        match self {
            Def::CoreModule(module) => AddsModule::OfFile(*module),
            Def::Import { sort: Sort::Module, .. }
            | Def::Alias { sort: Sort::Module, .. }
            | Def::Export { sort: Sort::Module, .. }
            | Def::Outer(Capture::Module(_)) => AddsModule::Other,
            Def::Outer(Capture::Captured(_)) => AddsModule::Perhaps,
            _ => AddsModule::No,
        }
    }

    /// Does it add to the core functions?
    pub(crate) fn adds_core_func(&self) -> bool {
        match self {
            Def::CoreAlias { sort, .. } => *sort == CoreSort::Func,
            Def::Lower { .. }
            | Def::ResourceNew { .. }
            | Def::ResourceDrop(_)
            | Def::ResourceRep { .. }
            | Def::ContextGet { .. }
            | Def::ContextSet { .. }
            | Def::BackpressureInc
            | Def::BackpressureDec
            | Def::Unsupported { .. } => true,
            _ => false,
        }
    }

    /// Does it add to the functions?
    pub(crate) fn adds_func(&self) -> bool {
        match self {
            Def::Import { sort, .. } | Def::Alias { sort, .. } | Def::Export { sort, .. } => {
                *sort == Sort::Func
            }
            Def::Lift { .. } => true,
            _ => false,
        }
    }
}
