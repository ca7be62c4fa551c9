//! Instances (core specification 4.2.5): the immovable context that guest code runs in, and what the engine keeps beside it.

use crate::error::{Error, Result};
use crate::handle::{Extern, Func, Global, Instance, Memory, Table, Tag};
use crate::module::{ElemItems, ExternIdx, FuncIdx, Module};
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::val::RawVal;
use crate::vm::{VmContext, VmFunc, VmImport};
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::ptr::NonNull;

/// Elements of a segment, evaluated.
#[derive(Default)]
pub(crate) struct ElemValues {
    pub(crate) values: Box<[RawVal]>,
    /// May they be objects? Then the segment is a root.
    pub(crate) traced: bool,
}

/// An instance, on the engine's side. Its index in the store never changes.
pub(crate) struct InstanceData {
    pub(crate) index: u32,
    pub(crate) module: Module,
    context: NonNull<VmContext>,
    layout: Layout,
    /// Indices into the store, by the module's own index spaces.
    pub(crate) memories: Box<[u32]>,
    pub(crate) tables: Box<[u32]>,
    pub(crate) globals: Box<[u32]>,
    pub(crate) tags: Box<[u32]>,
    dropped_elems: Vec<bool>,
    /// Elements of segments that are expressions, by segment; empty for the others, and when dropped.
    pub(crate) elems: Vec<ElemValues>,
    pub(crate) dropped_data: Vec<bool>,
}

impl InstanceData {
    /// An instance whose context is all zero.
    pub(crate) fn new(index: u32, module: Module) -> Result<InstanceData> {
        let size = module.info().layout.size as usize;
        let (elems, data) = (module.info().elems.len(), module.info().data.len());
        let Ok(layout) = Layout::from_size_align(size, 16) else {
            unreachable!("crash: the layout of a module is {size} bytes");
        };
        // SAFETY: the size is not 0: there is a header.
        let context = unsafe { alloc_zeroed(layout) }.cast::<VmContext>();
        let context = NonNull::new(context)
            .ok_or_else(|| Error::exhausted(format!("the system refused {size} bytes for an instance")))?;
        Ok(InstanceData {
            index,
            module,
            context,
            layout,
            memories: Box::default(),
            tables: Box::default(),
            globals: Box::default(),
            tags: Box::default(),
            dropped_elems: alloc::vec![false; elems],
            elems: (0..elems).map(|_| ElemValues::default()).collect(),
            dropped_data: alloc::vec![false; data],
        })
    }

    pub(crate) fn context(&self) -> *mut VmContext {
        self.context.as_ptr()
    }

    /// The engine's side of a context. `None` for a null context.
    ///
    /// # Safety
    /// `context` is null or a live instance (V1). The caller does not make two exclusive borrows from it.
    pub(crate) unsafe fn of(context: *mut VmContext) -> Option<NonNull<InstanceData>> {
        // SAFETY: the caller vouches.
        let instance = unsafe { context.as_ref()?.instance };
        NonNull::new(instance.cast())
    }

    /// How many elements a segment has; none when it was dropped.
    pub(crate) fn elem_len(&self, elem: u32) -> usize {
        match self.dropped_elems[elem as usize] {
            true => 0,
            false => self.module.info().elems[elem as usize].items.len(),
        }
    }

    /// An element of a segment that was not dropped.
    pub(crate) fn elem(&self, elem: u32, index: u32) -> RawVal {
        match &self.module.info().elems[elem as usize].items {
            ElemItems::Funcs(funcs) => {
                self.func(funcs[index as usize]).unwrap_or(core::ptr::null()) as usize as RawVal
            }
            ElemItems::Exprs(_) => self.elems[elem as usize].values[index as usize],
        }
    }

    /// `elem.drop`
    pub(crate) fn drop_elem(&mut self, elem: u32) {
        self.dropped_elems[elem as usize] = true;
        self.elems[elem as usize] = ElemValues::default();
    }

    /// A function of the instance that something may refer to: an import or an escaping one.
    pub(crate) fn func(&self, index: FuncIdx) -> Option<*const VmFunc> {
        let info = self.module.info();
        let context = self.context();
        if index.0 < info.imported_funcs {
            // SAFETY: V1; the index is within the imports.
            let import = unsafe { &*VmContext::entry::<VmImport>(context, info.layout.imports, index.0) };
            return Some(import.func);
        }
        let escape = info.funcs.get(index.index())?.escape?;
        // SAFETY: V1; the index is within the escaping functions.
        Some(unsafe { VmContext::entry::<VmFunc>(context, info.layout.funcs, escape.0) })
    }
}

impl Drop for InstanceData {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.context().cast(), self.layout) }
    }
}

impl StoreInner {
    fn instance_extern(&mut self, instance: u32, item: ExternIdx) -> Option<Extern> {
        let data = self.instances.get(instance as usize)?;
        let store = self.id();
        Some(match item {
            ExternIdx::Func(i) => {
                let func = data.func(i)?;
                Extern::Func(self.func_handle(func))
            }
            ExternIdx::Table(i) => Extern::Table(Table { store, index: *data.tables.get(i.index())? }),
            ExternIdx::Memory(i) => Extern::Memory(Memory { store, index: *data.memories.get(i.index())? }),
            ExternIdx::Global(i) => Extern::Global(Global { store, index: *data.globals.get(i.index())? }),
            ExternIdx::Tag(i) => Extern::Tag(Tag { store, index: *data.tags.get(i.index())? }),
        })
    }
}

impl Instance {
    /// An export by name; `None` when there is none, or the instance is another store's.
    pub fn export(self, mut store: impl AsStoreMut, name: &str) -> Option<Extern> {
        let store = store.as_store_mut();
        let module = self.module(&*store)?.clone();
        let export = module.info().exports.iter().find(|e| &*e.name == name)?;
        store.instance_extern(self.index, export.item)
    }

    /// An export by its number in the module's order.
    pub(crate) fn export_at(self, store: &mut StoreInner, export: u32) -> Option<Extern> {
        store.check(self.store).ok()?;
        let data = store.instances.get(self.index as usize)?;
        let item = data.module.info().exports.get(export as usize)?.item;
        store.instance_extern(self.index, item)
    }

    /// An exported function by name.
    pub fn func(self, store: impl AsStoreMut, name: &str) -> Option<Func> {
        self.export(store, name)?.func()
    }

    /// An exported memory by name.
    pub fn memory(self, store: impl AsStoreMut, name: &str) -> Option<Memory> {
        self.export(store, name)?.memory()
    }

    /// All exports, in the module's order.
    pub fn exports(self, mut store: impl AsStoreMut) -> Vec<(String, Extern)> {
        let store = store.as_store_mut();
        let Some(module) = self.module(&*store).cloned() else { return Vec::new() };
        let exports = module.info().exports.iter();
        exports
            .filter_map(|e| Some((String::from(&*e.name), store.instance_extern(self.index, e.item)?)))
            .collect()
    }

    /// The module it is an instance of; `None` for another store's instance.
    pub fn module(self, store: &(impl AsStore + ?Sized)) -> Option<&Module> {
        let store = store.as_store();
        store.check(self.store).ok()?;
        Some(&store.instances.get(self.index as usize)?.module)
    }
}
