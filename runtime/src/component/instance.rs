//! Component instances in a store: their state, the items they export, and the embedder's handle.

use super::Component;
use super::abi::handle::{HandleTable, Tasks};
use super::abi::typed::{LiftOptional, LowerList};
use super::canon::Lifted;
use super::func::{Func, TypedFunc};
use super::guest::CanonContext;
use super::host::HostFunc;
use super::info::ComponentInfo;
use super::names;
use super::resource::{ResourceData, ResourceItem};
use crate::error::{Error, Result};
use crate::handle::StoreId;
use crate::module::Module;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

/// What components add to a store.
#[derive(Default)]
pub(super) struct ComponentStore {
    /// All component instances, nested ones too.
    pub(super) instances: Vec<InstanceData>,
    /// Canonical options, with what they name here, of functions of the host that components import.
    pub(super) contexts: Vec<CanonContext>,
    /// Functions that [`Func`] names.
    pub(super) funcs: Vec<FuncItem>,
    /// Resource types that components of this store define: `ResourceType::Id` counts here.
    pub(super) resources: Vec<ResourceData>,
    /// What the current task keeps (`context.get`, `context.set`).
    pub(super) context: [u64; 2],
    /// Calls into components that are under way and have borrows. Native code knows where it is.
    pub(super) tasks: Box<Tasks>,
}

/// One component instance (CanonicalABI.md "Component Instances").
pub(super) struct InstanceData {
    /// Native code knows where it is.
    pub(super) handles: Box<HandleTable>,
    /// 0 while `realloc` or `post-return` runs: no built-in may be called then. Native code looks at it where it is.
    pub(super) may_leave: Arc<AtomicU32>,
    /// The instance that an embedder made, of which this is a part, or itself.
    pub(super) root: u32,
    /// Of a root: a trap left an instance of it in an unknown state; none of them is entered again.
    pub(super) poisoned: bool,
    /// Calls into it find what their task keeps anew (`ComponentInfo::uses_context`).
    pub(super) uses_context: bool,
    /// How often its new tasks were asked to wait (`backpressure.inc`). Synchronous calls do not ask.
    pub(super) backpressure: u16,
    exports: Arc<Items>,
}

/// Items by name.
pub(super) type Items = BTreeMap<Arc<str>, Item>;

/// What can be imported, exported and given to a nested component.
#[derive(Clone)]
pub(super) enum Item {
    Module(Module),
    Func(FuncItem),
    Instance(Arc<Items>),
    Component(ComponentValue),
    Resource(ResourceItem),
    /// A type that is no resource: nothing at run time.
    Type,
}

impl Item {
    /// The sort as the specification calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Item::Module(_) => "core module",
            Item::Func(_) => "func",
            Item::Instance(_) => "instance",
            Item::Component(_) => "component",
            Item::Resource(_) => "resource",
            Item::Type => "type",
        }
    }
}

/// A component function.
#[derive(Clone)]
pub(super) enum FuncItem {
    /// `canon lift`ed from a core function.
    Lifted(Arc<Lifted>),
    /// Of the host.
    Host(Arc<HostFunc>),
}

/// A component as a value: nested components carry what they take from the components around them.
#[derive(Clone)]
pub(super) struct ComponentValue {
    /// The file it is part of.
    pub(super) file: Component,
    pub(super) info: Arc<ComponentInfo>,
    pub(super) captured: Arc<[Item]>,
}

impl InstanceData {
    /// May it call built-ins and other components?
    pub(super) fn may_leave(&self) -> bool {
        self.may_leave.load(Ordering::Relaxed) != 0
    }

    pub(super) fn set_may_leave(&self, may_leave: bool) {
        self.may_leave.store(u32::from(may_leave), Ordering::Relaxed);
    }
}

impl ComponentStore {
    /// Whether the instance is not to be entered (or is none of this store's).
    pub(super) fn is_poisoned(&self, instance: u32) -> bool {
        let root =
            self.instances.get(instance as usize).and_then(|data| self.instances.get(data.root as usize));
        root.is_none_or(|root| root.poisoned)
    }
}

impl StoreInner {
    /// The components of this store.
    pub(super) fn components(&mut self) -> &mut ComponentStore {
        self.extension()
    }

    /// A component instance of this store.
    pub(super) fn component_instance(&mut self, instance: u32) -> Result<&mut InstanceData> {
        let data = self.components().instances.get_mut(instance as usize);
        data.ok_or_else(|| Error::usage("no such component instance in this store"))
    }

    /// Adds an instance without exports, part of `root` or a root itself.
    pub(super) fn add_component_instance(&mut self, root: Option<u32>) -> Result<u32> {
        let (limit, handles) = (self.limits().instances, self.limits().handles);
        let charge = self.host_charge();
        let instances = &mut self.components().instances;
        let index = instances.len();
        if index >= limit as usize {
            return Err(Error::exhausted(format!("the store's limit of {limit} instances is reached")));
        }
        instances.push(InstanceData {
            handles: Box::new(HandleTable::charged(handles, charge)),
            may_leave: Arc::new(AtomicU32::new(1)),
            root: root.unwrap_or(index as u32),
            poisoned: false,
            uses_context: false,
            backpressure: 0,
            exports: Arc::default(),
        });
        Ok(index as u32)
    }

    pub(super) fn set_component_exports(&mut self, instance: u32, exports: Arc<Items>) -> Result<()> {
        self.component_instance(instance)?.exports = exports;
        Ok(())
    }
}

/// An instance of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub(super) store: StoreId,
    pub(super) index: u32,
}

impl Instance {
    /// What it exports.
    ///
    /// # Errors
    /// `Usage` for an instance of another store.
    pub fn exports(self, store: &(impl AsStore + ?Sized)) -> Result<Exports> {
        let store = store.as_store();
        store.check(self.store)?;
        let data =
            store.extension_ref::<ComponentStore>().and_then(|all| all.instances.get(self.index as usize));
        let data = data.ok_or_else(|| Error::usage("no such component instance in this store"))?;
        Ok(Exports { store: self.store, items: data.exports.clone() })
    }

    /// An exported function, by its name or by the name of another version on the same track.
    pub fn func(self, store: &mut (impl AsStoreMut + ?Sized), name: &str) -> Option<Func> {
        self.exports(store).ok()?.func(store, name)
    }

    /// The same with Rust types.
    ///
    /// # Errors
    /// `Usage` when there is no such export or it has another type; the message says what is exported instead.
    pub fn typed<P: LowerList, R: LiftOptional>(
        self,
        store: &mut (impl AsStoreMut + ?Sized),
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let exports = self.exports(store)?;
        let func = exports.func(store, name).ok_or_else(|| missing(&exports, "the component", name))?;
        func.typed(store).map_err(|error| error.context(format!("`{name}`")))
    }

    /// A function of an exported instance, such as `run` of `wasi:cli/run@0.2.0`; both names as for [`Instance::func`].
    pub fn func_of(self, store: &mut (impl AsStoreMut + ?Sized), instance: &str, name: &str) -> Option<Func> {
        self.exports(store).ok()?.instance(instance)?.func(store, name)
    }

    /// The same with Rust types: `typed_of::<(), core::result::Result<(), ()>>(store, "wasi:cli/run@0.2.0", "run")` is what a
    /// command is started by.
    ///
    /// # Errors
    /// `Usage` when there is no such export or it has another type; the message says what is exported instead.
    pub fn typed_of<P: LowerList, R: LiftOptional>(
        self,
        store: &mut (impl AsStoreMut + ?Sized),
        instance: &str,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let exports = self.exports(store)?;
        let inner = exports.instance(instance).ok_or_else(|| missing(&exports, "the component", instance))?;
        let func = inner.func(store, name).ok_or_else(|| missing(&inner, &format!("`{instance}`"), name))?;
        func.typed(store).map_err(|error| error.context(format!("`{instance}#{name}`")))
    }
}

fn missing(exports: &Exports, who: &str, name: &str) -> Error {
    let names: Vec<&str> = exports.iter().map(|(name, _)| name).collect();
    let found = if names.is_empty() { String::from("nothing") } else { names.join(", ") };
    Error::usage(format!("{who} does not export `{name}`; it exports {found}"))
}

/// The exports of an instance, or of an instance that it exports.
#[derive(Clone)]
pub struct Exports {
    store: StoreId,
    items: Arc<Items>,
}

impl Exports {
    /// Name and sort of each export, ordered by name. (The order of the binary is in the component's type.)
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &'static str)> {
        self.items.iter().map(|(name, item)| (&**name, item.kind()))
    }

    /// The name by which an export that matches `name` stands here.
    pub fn name(&self, name: &str) -> Option<&str> {
        names::lookup(&self.items, name).map(|(found, _)| &**found)
    }

    fn item(&self, name: &str) -> Option<&Item> {
        names::lookup(&self.items, name).map(|(_, item)| item)
    }

    /// An exported function.
    pub fn func(&self, store: &mut (impl AsStoreMut + ?Sized), name: &str) -> Option<Func> {
        let Item::Func(func) = self.item(name)? else { return None };
        let store = store.as_store_mut();
        store.check(self.store).ok()?;
        let index = match func {
            FuncItem::Lifted(lifted) => lifted.index,
            FuncItem::Host(_) => {
                let funcs = &mut store.components().funcs;
                funcs.push(func.clone());
                funcs.len() as u32 - 1
            }
        };
        Some(Func { store: self.store, index })
    }

    /// An exported instance.
    pub fn instance(&self, name: &str) -> Option<Exports> {
        match self.item(name)? {
            Item::Instance(items) => Some(Exports { store: self.store, items: items.clone() }),
            _ => None,
        }
    }

    /// An exported core module.
    pub fn module(&self, name: &str) -> Option<Module> {
        match self.item(name)? {
            Item::Module(module) => Some(module.clone()),
            _ => None,
        }
    }

    /// An exported resource type, as values of this store name it.
    pub fn resource(&self, name: &str) -> Option<super::abi::ResourceType> {
        match self.item(name)? {
            Item::Resource(resource) => Some(resource.rt),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> &Arc<Items> {
        &self.items
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }
}

impl core::fmt::Debug for Exports {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
