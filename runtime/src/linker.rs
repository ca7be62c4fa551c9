//! Linking by name: definitions of an embedder, matched with a module's imports once ([`InstancePre`]), instantiated often.

use crate::difference::{describe, wanted_and_given};
use crate::error::{Error, Result, said};
use crate::func::{IntoFunc, dynamic};
use crate::handle::{Extern, Instance};
use crate::host::{Caller, HostCall};
use crate::instantiate::check_import;
#[cfg(shared_memory)]
use crate::memory::SharedMemory;
use crate::module::Module;
use crate::store::{AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::types::{ExternType, FuncType};
use crate::val::Val;
use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::marker::PhantomData;

/// Names and what they stand for, for stores with data of type `T`. Holds no store of its own, but definitions may.
pub struct Linker<T> {
    definitions: BTreeMap<(String, String), Definition>,
    shadowing: bool,
    data: PhantomData<fn() -> T>,
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Linker<T> {
        Linker { definitions: self.definitions.clone(), shadowing: self.shadowing, data: PhantomData }
    }
}

#[derive(Clone)]
enum Definition {
    /// Something of a store.
    Extern(Extern),
    /// A shared memory, which each store takes over.
    #[cfg(shared_memory)]
    SharedMemory(SharedMemory),
    /// A host function, made anew for each instance that imports it.
    Host(FuncType, Arc<HostCall>),
}

impl<T: 'static> Linker<T> {
    /// Knows no names.
    #[allow(
        clippy::new_without_default,
        reason = "`Default` would ask for nothing else, but `new` is what one looks for"
    )]
    pub fn new() -> Linker<T> {
        Linker { definitions: BTreeMap::new(), shadowing: false, data: PhantomData }
    }

    /// May a name be defined twice, the later definition counting?
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.shadowing = allow;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<&mut Self> {
        let key = (String::from(module), String::from(name));
        if !self.shadowing && self.definitions.contains_key(&key) {
            return Err(Error::usage(format!("`{module}::{name}` is defined twice")));
        }
        self.definitions.insert(key, definition);
        Ok(self)
    }

    /// A name for a host function, as the engine keeps it.
    #[cfg(fibers)]
    pub(crate) fn insert_host(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        call: Arc<HostCall>,
    ) -> Result<&mut Self> {
        self.insert(module, name, Definition::Host(ty, call))
    }

    /// A name for something of a store.
    pub fn define(&mut self, module: &str, name: &str, item: impl Into<Extern>) -> Result<&mut Self> {
        self.insert(module, name, Definition::Extern(item.into()))
    }

    /// A name for a shared memory, for all stores of its engine.
    #[cfg(shared_memory)]
    pub fn define_shared_memory(
        &mut self,
        module: &str,
        name: &str,
        memory: &SharedMemory,
    ) -> Result<&mut Self> {
        self.insert(module, name, Definition::SharedMemory(memory.clone()))
    }

    /// A host function from a Rust closure. The first parameter may be a [`Caller`].
    pub fn func_wrap<P, R>(
        &mut self,
        module: &str,
        name: &str,
        func: impl IntoFunc<T, P, R>,
    ) -> Result<&mut Self> {
        let (ty, call) = func.into_func();
        self.insert(module, name, Definition::Host(ty, call))
    }

    /// A host function over values.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        call: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        self.insert(module, name, Definition::Host(ty.clone(), dynamic(ty, call)))
    }

    /// All exports of an instance under one module name.
    pub fn instance(
        &mut self,
        store: impl AsStoreMut,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        for (name, item) in instance.exports(store) {
            self.define(module, &name, item)?;
        }
        Ok(self)
    }

    /// A trap when called, for each function that `module` imports and nobody defined.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for (module, name, ty) in module.imports() {
            let key = (String::from(module), String::from(name));
            if let ExternType::Func(ty) = ty
                && !self.definitions.contains_key(&key)
            {
                let what = format!("`{}::{}`", said(module), said(name));
                let call: Arc<HostCall> = Arc::new(move |_: &mut StoreInner, _: &mut [u64]| {
                    Err(Error::from(Trap::MissingImport).context(what.clone()))
                });
                self.definitions.insert(key, Definition::Host(ty.clone(), call));
            }
        }
        Ok(())
    }

    /// Finds every import of a module.
    ///
    /// # Errors
    /// `Unlinkable` naming the first import that nobody defined, and what is defined beside it.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        let mut items = Vec::new();
        for import in &module.info().imports {
            let key = (String::from(&*import.module), String::from(&*import.name));
            let definition = self.definitions.get(&key).ok_or_else(|| self.unknown(import))?;
            if let (Definition::Host(have, _), want) = (definition, &import.ty)
                && !import.func_fits(module.engine().types(), module.engine().intern(have))
            {
                return Err(Error::unlinkable(format!(
                    "incompatible import type for `{}::{}`: {}",
                    said(&import.module),
                    said(&import.name),
                    wanted_and_given(want, &ExternType::Func(have.clone()), "defined")
                )));
            }
            items.push(definition.clone());
        }
        Ok(InstancePre { module: module.clone(), items, data: PhantomData })
    }

    fn unknown(&self, import: &crate::module::Import) -> Error {
        let near: Vec<&str> = self
            .definitions
            .keys()
            .filter(|(module, _)| *module == *import.module)
            .map(|(_, name)| name.as_str())
            .take(8)
            .collect();
        let hint = match near.as_slice() {
            [] => format!("nothing is defined under `{}`", said(&import.module)),
            near => format!("`{}` has {}", said(&import.module), near.join(", ")),
        };
        Error::unlinkable(format!(
            "unknown import: `{}::{}` ({}) has not been defined; {hint}",
            said(&import.module),
            said(&import.name),
            describe(&import.ty)
        ))
    }

    /// Links and instantiates.
    pub fn instantiate(&self, store: impl AsStoreMut, module: &Module) -> Result<Instance> {
        self.instantiate_pre(module)?.instantiate(store)
    }
}

impl<T> core::fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.definitions.keys()).finish()
    }
}

/// A module with all its imports found.
pub struct InstancePre<T> {
    module: Module,
    items: Vec<Definition>,
    data: PhantomData<fn() -> T>,
}

impl<T: 'static> InstancePre<T> {
    /// Instantiates it.
    pub fn instantiate(&self, mut store: impl AsStoreMut) -> Result<Instance> {
        store.as_store_mut().without_waiting(|store| self.instantiate_here(store))
    }

    /// The same on whatever stack this is.
    pub(crate) fn instantiate_here(&self, store: &mut StoreInner) -> Result<Instance> {
        let next = Instance { store: store.id(), index: store.instances.len() as u32 };
        let mut imports = Vec::with_capacity(self.items.len());
        for (item, import) in self.items.iter().zip(&self.module.info().imports) {
            imports.push(match item {
                Definition::Extern(item) => {
                    check_import(store, import, *item)?;
                    *item
                }
                #[cfg(shared_memory)]
                Definition::SharedMemory(memory) => {
                    let item = Extern::Memory(memory.memory(&mut *store)?);
                    check_import(store, import, item)?;
                    item
                }
                Definition::Host(ty, call) => {
                    let func = store.new_host_func(ty, call.clone(), Some(next));
                    Extern::Func(store.func_handle(func))
                }
            });
        }
        Instance::new_here(store, &self.module, &imports)
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }
}

impl<T> core::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InstancePre").field("module", &self.module).finish_non_exhaustive()
    }
}
