//! Instantiation: the plan of a component (info.rs) is carried out, definition by definition (Explainer.md "Component
//! Instantiation").
//!
//! Nested instantiations are frames of an explicit stack. A small binary can ask for very many of them, so they count against
//! the store's limit of instances.
//!
//! Must not know: names of interfaces, types beyond what the plan says of them.

use super::Component;
use super::abi::PtrType;
use super::builtins;
use super::canon::{self, Lifted};
use super::foreseen::Foreseen;
use super::guest::CanonContext;
use super::info::*;
use super::instance::{ComponentValue, FuncItem, Instance, Item, Items};
use super::places::CorePlace;
use super::resource::ResourceItem;
use super::types::{Bindings, Slot};
use crate::error::{Error, Result};
use crate::handle::{
    Extern, Func as CoreFunc, Global, Instance as CoreInstanceHandle, Memory, StoreId, Table, Tag,
};
use crate::host::crossing::Callee;
use crate::module::Module;
use crate::store::{AsStoreMut, StoreInner};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// A component with all its imports found and checked. Holds no store, unless a definition did.
pub struct InstancePre<T> {
    pub(super) component: Component,
    pub(super) args: Arc<Items>,
    pub(super) foreseen: Foreseen,
    /// The store that some definition belongs to.
    pub(super) store: Option<StoreId>,
    pub(super) data: PhantomData<fn() -> T>,
}

impl<T> Clone for InstancePre<T> {
    fn clone(&self) -> InstancePre<T> {
        InstancePre {
            component: self.component.clone(),
            args: self.args.clone(),
            foreseen: self.foreseen.clone(),
            store: self.store,
            data: PhantomData,
        }
    }
}

impl<T: 'static> InstancePre<T> {
    /// Instantiates it.
    ///
    /// # Errors
    /// `Usage` for a store of another engine, with other data, or not the one that a definition belongs to; `Exhausted` past
    /// the store's limits; what start functions end with.
    pub fn instantiate(&self, mut store: impl AsStoreMut) -> Result<Instance> {
        store.as_store_mut().without_waiting(|store| self.instantiate_here(store))
    }

    /// The same on whatever stack this is.
    pub(super) fn instantiate_here(&self, store: &mut StoreInner) -> Result<Instance> {
        if !store.engine().same(self.component.engine()) {
            return Err(Error::usage("the component was made in another engine than the store"));
        }
        if !store.holds::<T>() {
            return Err(Error::usage("the linker is for stores with another type of data"));
        }
        if let Some(bound) = self.store {
            store.check(bound)?;
        }
        let component = ComponentValue {
            file: self.component.clone(),
            info: self.component.root().clone(),
            captured: Arc::default(),
        };
        let index = instantiate(store, component, self.args.clone(), self.foreseen.clone())?;
        Ok(Instance { store: store.id(), index })
    }

    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }
}

impl<T> core::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InstancePre").field("component", &self.component).finish_non_exhaustive()
    }
}

/// Instantiates a component with its imports by name; the number of the new instance.
fn instantiate(
    store: &mut StoreInner,
    component: ComponentValue,
    args: Arc<Items>,
    foreseen: Foreseen,
) -> Result<u32> {
    let mut frames = Vec::new();
    let mut frame = Frame::new(store, component, args, foreseen, None)?;
    let root = Some(frame.instance);
    'frame: loop {
        let info = frame.component.info.clone();
        while let Some(def) = info.plan.get(frame.next) {
            frame.next += 1;
            if let Def::Instantiate { component, args } = def {
                let component = at(&frame.components, *component)?.clone();
                let args = frame.items(args)?;
                let foreseen = frame.foreseen.nested(frame.next - 1);
                let nested = Frame::new(store, component, Arc::new(args), foreseen, root)?;
                frames.push(core::mem::replace(&mut frame, nested));
                continue 'frame;
            }
            frame.define(store, def)?;
        }
        // The plan is done: its exports are an instance of the component around it, or of the host.
        let (index, exports) = (frame.instance, Arc::new(frame.exports));
        store.set_component_exports(index, exports.clone())?;
        let Some(outer) = frames.pop() else { return Ok(index) };
        frame = outer;
        frame.instances.push(exports);
    }
}

/// An entry of an index space. Validation keeps indices in range; a plan that breaks this is the engine's fault.
fn at<T>(space: &[T], index: u32) -> Result<&T> {
    space.get(index as usize).ok_or_else(|| Error::invalid("crash: a plan refers to what is not there"))
}

fn not_a(item: &Item, wanted: &str) -> Error {
    Error::unlinkable(format!("a {wanted} is wanted, a {} is given", item.kind()))
}

/// A core instance.
enum CoreInstance {
    Instance(CoreInstanceHandle),
    /// Inline exports: of the definition at this place in the plan, whose names are in order.
    Exports(usize, Vec<Extern>),
}

/// How many of the contexts made last are looked through for one that is the same.
const LIKELY_CONTEXTS: usize = 8;

/// What a definition of a plan may leave in the store at most: functions and their contexts, resource types.
const DEFINITION_BYTES: u64 = 512;

/// A component function.
enum FuncEntry {
    /// What is foreseen for the definition at this place in the plan.
    Foreseen(usize),
    Item(FuncItem),
}

/// An instantiation under way: where the plan is, and the index spaces so far.
struct Frame {
    component: ComponentValue,
    foreseen: Foreseen,
    /// The next definition.
    next: usize,
    instance: u32,
    args: Arc<Items>,
    core_modules: Vec<Module>,
    core_instances: Vec<CoreInstance>,
    core_funcs: Vec<CoreFunc>,
    core_memories: Vec<Memory>,
    core_tables: Vec<Table>,
    core_globals: Vec<Global>,
    core_tags: Vec<Tag>,
    components: Vec<ComponentValue>,
    instances: Vec<Arc<Items>>,
    funcs: Vec<FuncEntry>,
    /// Options that were met, with the numbers of their contexts in the store.
    contexts: Vec<(CanonOptions, u32)>,
    /// By slot.
    resources: Vec<Option<ResourceItem>>,
    bindings: Bindings,
    exports: Items,
}

impl Frame {
    /// Begins an instantiation; `root` is the instance that all nested ones are part of.
    fn new(
        store: &mut StoreInner,
        component: ComponentValue,
        args: Arc<Items>,
        foreseen: Foreseen,
        root: Option<u32>,
    ) -> Result<Frame> {
        let instance = store.add_component_instance(root)?;
        store.charge_instance_bytes(component.info.plan.len() as u64 * DEFINITION_BYTES)?;
        let facts = component.info.facts;
        store.component_instance(instance)?.uses_context = facts.uses_context;
        Ok(Frame {
            component,
            foreseen,
            next: 0,
            instance,
            args,
            core_modules: Vec::new(),
            core_instances: Vec::new(),
            core_funcs: Vec::with_capacity(facts.core_funcs),
            core_memories: Vec::new(),
            core_tables: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
            components: Vec::new(),
            instances: Vec::new(),
            funcs: Vec::with_capacity(facts.funcs),
            contexts: Vec::new(),
            resources: Vec::with_capacity(facts.slots),
            bindings: Bindings::with_capacity(facts.slots),
            exports: Items::new(),
        })
    }

    /// Carries out one definition (nested instantiation excepted).
    fn define(&mut self, store: &mut StoreInner, def: &Def) -> Result<()> {
        match (self.foreseen.at(self.next - 1), def) {
            // Most of what is imported: not even counted.
            (
                Some(Item::Func(_)),
                Def::Import { sort: Sort::Func, .. } | Def::Alias { sort: Sort::Func, .. },
            ) => {
                self.funcs.push(FuncEntry::Foreseen(self.next - 1));
                return Ok(());
            }
            (Some(item), Def::Import { sort, .. } | Def::Alias { sort, .. }) => {
                let item = item.clone();
                return self.add(*sort, item);
            }
            (Some(Item::Resource(resource)), Def::Bind { slot, .. }) => {
                let resource = resource.clone();
                self.bind(*slot, resource);
                return Ok(());
            }
            _ => {}
        }
        match def {
            Def::CoreModule(module) => {
                self.core_modules.push(at(self.component.file.core_modules(), *module)?.clone());
            }
            Def::CoreInstantiate { module, args, places } => {
                self.core_instantiate(store, *module, args, places.as_deref())?;
            }
            Def::CoreExports(exports) => {
                let mut items = Vec::with_capacity(exports.len());
                for (_, sort, index) in exports {
                    items.push(self.core_item(*sort, *index)?);
                }
                self.core_instances.push(CoreInstance::Exports(self.next - 1, items));
            }
            Def::CoreAlias { instance, name, sort, place } => {
                let found = match place {
                    Some(export) => {
                        Some(self.core_place(store, CorePlace { instance: *instance, export: *export })?)
                    }
                    None => self.core_export(store, *instance, name)?,
                };
                self.core_alias(name, *sort, found)?;
            }
            Def::Component(nested) => {
                let (info, captures) = at(&self.component.info.components, *nested)?;
                let mut captured = Vec::with_capacity(captures.len());
                for capture in captures {
                    captured.push(self.capture(*capture)?);
                }
                let (file, info) = (self.component.file.clone(), info.clone());
                self.components.push(ComponentValue { file, info, captured: captured.into() });
            }
            Def::Instantiate { .. } => {
                return Err(Error::invalid("crash: nested instantiation outside the loop"));
            }
            Def::Exports(exports) => {
                let items = self.items(exports)?;
                self.instances.push(Arc::new(items));
            }
            Def::Alias { instance, name, sort } => {
                let item = at(&self.instances, *instance)?.get(name).cloned();
                let item =
                    item.ok_or_else(|| Error::unlinkable(format!("an instance lacks the export `{name}`")))?;
                self.add(*sort, item)?;
            }
            Def::Bind { instance, path, slot } => {
                let mut items = at(&self.instances, *instance)?.clone();
                for name in path {
                    let found = items.get(name).cloned();
                    match found
                        .ok_or_else(|| Error::unlinkable(format!("an instance lacks the export `{name}`")))?
                    {
                        Item::Instance(nested) => items = nested,
                        Item::Resource(resource) => self.bind(*slot, resource),
                        other => return Err(not_a(&other, "resource")),
                    }
                }
            }
            Def::Outer(capture) => match self.capture(*capture)? {
                Item::Module(module) => self.core_modules.push(module),
                Item::Component(component) => self.components.push(component),
                other => return Err(not_a(&other, "core module or component")),
            },
            Def::Resource { slot, dtor } => {
                let destructor = dtor.map(|dtor| at(&self.core_funcs, dtor).copied()).transpose()?;
                let rt = store.add_resource_type(self.instance, destructor)?;
                self.bind(*slot, ResourceItem { rt, destructor: None });
            }
            Def::Import { import, sort } => {
                let (name, _) = at(&self.component.info.imports, *import)?;
                let item = self.args.get(name).cloned();
                let item =
                    item.ok_or_else(|| Error::unlinkable(format!("the import `{name}` is not given")))?;
                self.add(*sort, item)?;
            }
            Def::Export { name, item, sort } => {
                let item = self.item(*item)?;
                self.exports.insert(name.clone(), item.clone());
                self.add(*sort, item)?;
            }
            Def::Lift { core_func, ty, options } => {
                let ty = self.bindings.func(&self.component.info.open_types, ty)?;
                let post_return =
                    options.post_return.map(|func| at(&self.core_funcs, func).copied()).transpose()?;
                let (cx, core_func) =
                    (self.canon_context(store, options)?, *at(&self.core_funcs, *core_func)?);
                let lifted =
                    Lifted::new(store, cx, core_func, post_return, ty, self.component.info.facts.may_throw)?;
                let func = FuncItem::Lifted(Arc::new(lifted));
                store.components().funcs.push(func.clone());
                self.funcs.push(FuncEntry::Item(func));
            }
            Def::Lower { func, options, last, .. } => {
                let cx = self.numbered_context(store, options)?;
                let callee = self.func(*func)?;
                self.core_funcs.push(canon::canon_lower(
                    store,
                    &self.component.file,
                    last,
                    cx,
                    self.component.info.facts.always_leaves,
                    callee,
                )?);
            }
            Def::ResourceNew { slot, ty } => {
                let resource = self.resource(*slot)?;
                let func = canon::canon_resource_new(store, self.instance, resource, ty.clone());
                self.core_funcs.push(func);
            }
            Def::ResourceDrop(slot) => {
                let func = canon::canon_resource_drop(
                    store,
                    self.component.file.resource_drop_type(),
                    self.instance,
                    self.resource(*slot)?.clone(),
                );
                self.core_funcs.push(func);
            }
            Def::ContextGet { slot, ty } => {
                self.core_funcs.push(builtins::canon_context_get(store, *slot, ty.clone()));
            }
            Def::ContextSet { slot, ty } => {
                self.core_funcs.push(builtins::canon_context_set(store, *slot, ty.clone()));
            }
            Def::BackpressureInc => {
                self.core_funcs.push(builtins::canon_backpressure(store, self.instance, true));
            }
            Def::BackpressureDec => {
                self.core_funcs.push(builtins::canon_backpressure(store, self.instance, false));
            }
            Def::Unsupported { name, ty } => {
                self.core_funcs.push(builtins::unsupported(store, self.instance, name, ty.clone()));
            }
            Def::ResourceRep { slot, ty } => {
                let resource = self.resource(*slot)?;
                let func = canon::canon_resource_rep(store, self.instance, resource, ty.clone());
                self.core_funcs.push(func);
            }
        }
        Ok(())
    }

    /// The number of the context for some options. Functions that are lowered one after another mostly have the same.
    fn numbered_context(&mut self, store: &mut StoreInner, options: &CanonOptions) -> Result<u32> {
        let known = self.contexts.iter().rev().take(LIKELY_CONTEXTS).find(|(known, _)| known == options);
        if let Some(&(_, number)) = known {
            return Ok(number);
        }
        let cx = self.canon_context(store, options)?;
        let contexts = &mut store.components().contexts;
        let number = contexts.len() as u32;
        contexts.push(cx);
        self.contexts.push((*options, number));
        Ok(number)
    }

    fn canon_context(&self, store: &StoreInner, options: &CanonOptions) -> Result<CanonContext> {
        let memory = options.memory.map(|memory| at(&self.core_memories, memory).copied()).transpose()?;
        let ptr_type = match memory.map(|memory| memory.ty(store)).transpose()? {
            Some(ty) if ty.memory64 => PtrType::I64,
            _ => PtrType::I32,
        };
        let realloc = options.realloc.map(|func| at(&self.core_funcs, func).copied()).transpose()?;
        Ok(CanonContext {
            instance: self.instance,
            string_encoding: options.string_encoding,
            ptr_type,
            memory,
            realloc: realloc.map(|func| Callee::new(store, func)).transpose()?,
        })
    }

    fn core_instantiate(
        &mut self,
        store: &mut StoreInner,
        module: u32,
        args: &[(Box<str>, u32)],
        places: Option<&[CorePlace]>,
    ) -> Result<()> {
        let module = at(&self.core_modules, module)?.clone();
        let mut imports = Vec::with_capacity(module.info().imports.len());
        for place in places.unwrap_or(&[]) {
            imports.push(self.core_place(store, *place)?);
        }
        let by_name = if places.is_some() { &[][..] } else { &module.info().imports };
        for import in by_name {
            let arg = args.iter().find(|(name, _)| *name == import.module);
            let found = match arg {
                Some((_, instance)) => self.core_export(store, *instance, &import.name)?,
                None => None,
            };
            imports.push(found.ok_or_else(|| {
                Error::unlinkable(format!(
                    "a core module's import `{}::{}` is not given",
                    import.module, import.name
                ))
            })?);
        }
        let instance = CoreInstanceHandle::new_here(store, &module, &imports).map_err(Error::contained)?;
        self.core_instances.push(CoreInstance::Instance(instance));
        Ok(())
    }

    fn core_export(&self, store: &mut StoreInner, instance: u32, name: &str) -> Result<Option<Extern>> {
        Ok(match at(&self.core_instances, instance)? {
            CoreInstance::Instance(instance) => instance.export(store, name),
            CoreInstance::Exports(def, items) => match self.component.info.plan.get(*def) {
                Some(Def::CoreExports(names)) => {
                    let at = names.binary_search_by(|(known, ..)| (**known).cmp(name)).ok();
                    at.and_then(|at| items.get(at)).copied()
                }
                _ => return Err(Error::invalid("crash: a core instance of no definition")),
            },
        })
    }

    /// The same by its place.
    fn core_place(&self, store: &mut StoreInner, place: CorePlace) -> Result<Extern> {
        let found = match at(&self.core_instances, place.instance)? {
            CoreInstance::Instance(instance) => instance.export_at(store, place.export),
            CoreInstance::Exports(_, items) => items.get(place.export as usize).copied(),
        };
        found.ok_or_else(|| Error::invalid("crash: a plan refers to a core export that is not there"))
    }

    fn core_alias(&mut self, name: &str, sort: CoreSort, found: Option<Extern>) -> Result<()> {
        match (sort, found) {
            (CoreSort::Func, Some(Extern::Func(func))) => self.core_funcs.push(func),
            (CoreSort::Memory, Some(Extern::Memory(memory))) => self.core_memories.push(memory),
            (CoreSort::Table, Some(Extern::Table(table))) => self.core_tables.push(table),
            (CoreSort::Global, Some(Extern::Global(global))) => self.core_globals.push(global),
            (CoreSort::Tag, Some(Extern::Tag(tag))) => self.core_tags.push(tag),
            _ => return Err(Error::unlinkable(format!("a core instance lacks the export `{name}`"))),
        }
        Ok(())
    }

    fn core_item(&self, sort: CoreSort, index: u32) -> Result<Extern> {
        Ok(match sort {
            CoreSort::Func => Extern::Func(*at(&self.core_funcs, index)?),
            CoreSort::Memory => Extern::Memory(*at(&self.core_memories, index)?),
            CoreSort::Table => Extern::Table(*at(&self.core_tables, index)?),
            CoreSort::Global => Extern::Global(*at(&self.core_globals, index)?),
            CoreSort::Tag => Extern::Tag(*at(&self.core_tags, index)?),
        })
    }

    fn capture(&self, capture: Capture) -> Result<Item> {
        Ok(match capture {
            Capture::Module(index) => Item::Module(at(&self.core_modules, index)?.clone()),
            Capture::Component(index) => Item::Component(at(&self.components, index)?.clone()),
            Capture::Captured(index) => at(&self.component.captured, index)?.clone(),
        })
    }

    fn func(&self, index: u32) -> Result<&FuncItem> {
        match at(&self.funcs, index)? {
            FuncEntry::Item(func) => Ok(func),
            FuncEntry::Foreseen(place) => match self.foreseen.at(*place) {
                Some(Item::Func(func)) => Ok(func),
                _ => Err(Error::invalid("crash: what was foreseen is no function")),
            },
        }
    }

    fn item(&self, item: ItemIdx) -> Result<Item> {
        Ok(match item {
            ItemIdx::Module(index) => Item::Module(at(&self.core_modules, index)?.clone()),
            ItemIdx::Func(index) => Item::Func(self.func(index)?.clone()),
            ItemIdx::Instance(index) => Item::Instance(at(&self.instances, index)?.clone()),
            ItemIdx::Component(index) => Item::Component(at(&self.components, index)?.clone()),
            ItemIdx::Resource(slot) => Item::Resource(self.resource(slot)?.clone()),
            ItemIdx::Type => Item::Type,
        })
    }

    fn items(&self, items: &[(Arc<str>, ItemIdx)]) -> Result<Items> {
        items.iter().map(|(name, item)| Ok((name.clone(), self.item(*item)?))).collect()
    }

    /// Adds an item to its index space.
    fn add(&mut self, sort: Sort, item: Item) -> Result<()> {
        match (sort, item) {
            (Sort::Module, Item::Module(module)) => self.core_modules.push(module),
            (Sort::Func, Item::Func(func)) => self.funcs.push(FuncEntry::Item(func)),
            (Sort::Instance, Item::Instance(items)) => self.instances.push(items),
            (Sort::Component, Item::Component(component)) => self.components.push(component),
            (Sort::Type(None), _) => {}
            (Sort::Type(Some(slot)), Item::Resource(resource)) => self.bind(slot, resource),
            (Sort::Module, other) => return Err(not_a(&other, "core module")),
            (Sort::Func, other) => return Err(not_a(&other, "func")),
            (Sort::Instance, other) => return Err(not_a(&other, "instance")),
            (Sort::Component, other) => return Err(not_a(&other, "component")),
            (Sort::Type(Some(_)), other) => return Err(not_a(&other, "resource")),
        }
        Ok(())
    }

    fn bind(&mut self, slot: Slot, resource: ResourceItem) {
        self.bindings.bind(slot, resource.rt);
        let slot = slot as usize;
        if slot >= self.resources.len() {
            self.resources.resize(slot + 1, None);
        }
        self.resources[slot] = Some(resource);
    }

    fn resource(&self, slot: Slot) -> Result<&ResourceItem> {
        let resource = self.resources.get(slot as usize).and_then(Option::as_ref);
        resource.ok_or_else(|| Error::invalid("crash: a plan refers to an unbound resource"))
    }
}
