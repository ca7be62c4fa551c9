//! Linking by name: what the host offers to components, matched with a component's imports once ([`InstancePre`]) and
//! instantiated often.
//!
//! Names with versions find each other as names.rs says: define `wasi:cli/stdout@0.2.12` once, and components that import
//! 0.2.0 link as well, unless they use a function that the definition lacks. An import under a name of the component's own that
//! says which interface it implements gets the definition of its name, else that of the interface.
//!
//! ```
//! use mini_wasm_runtime::component::{Component, Linker};
//! use mini_wasm_runtime::{Config, Engine, Store};
//!
//! let engine = Engine::new(Config::default());
//! let component = Component::new(&engine, wat::parse_str(
//!     r#"(component
//!         (import "my:pkg/math@1.0.0" (instance $math
//!             (export "twice" (func (param "n" u32) (result u32)))))
//!         (core func $twice (canon lower (func $math "twice")))
//!         (core module $m
//!             (import "" "twice" (func $twice (param i32) (result i32)))
//!             (func (export "answer") (result i32) (call $twice (i32.const 21))))
//!         (core instance $i (instantiate $m (with "" (instance (export "twice" (func $twice))))))
//!         (func (export "answer") (result u32) (canon lift (core func $i "answer"))))"#,
//! )?)?;
//! let mut linker = Linker::<u32>::new(&engine);
//! linker.instance("my:pkg/math@1.2.0")?.func_wrap("twice", |mut caller, (n,): (u32,)| {
//!     *caller.data_mut() += 1;
//!     Ok(n * 2)
//! })?;
//! let mut store = Store::new(&engine, 0u32);
//! let instance = linker.instantiate(&mut store, &component)?;
//! let answer = instance.func(&mut store, "answer").expect("it is exported").typed::<(), u32>(&store)?;
//! assert_eq!(answer.call(&mut store, ())?, 42);
//! assert_eq!(*store.data(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::abi::typed::{LentList, LiftList, LowerOptional};
use super::abi::{FuncType, ResourceType, Val};
use super::check::{Definition, Matcher};
use super::foreseen::Foreseen;
use super::host::{self, HostBody};
use super::info::ComponentInfo;
use super::instance::{ComponentValue, Exports, Instance, Item, Items};
use super::instantiate::InstancePre;
use super::resource::{HostDestructor, ResourceItem};
use super::types::{ExternType, TypeBound};
use super::{Component, names};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::StoreId;
use crate::host::Caller;
use crate::module::Module;
use crate::store::{AsStoreMut, StoreInner};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::marker::PhantomData;

/// Names and what they stand for, for stores with data of type `T`.
pub struct Linker<T> {
    engine: Engine,
    root: BTreeMap<Arc<str>, Definition>,
    shadowing: bool,
    /// The store that an instance defined here belongs to.
    store: Option<StoreId>,
    data: PhantomData<fn() -> T>,
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Linker<T> {
        Linker {
            engine: self.engine.clone(),
            root: self.root.clone(),
            shadowing: self.shadowing,
            store: self.store,
            data: PhantomData,
        }
    }
}

/// A namespace of a linker: its root, or an instance in it.
pub struct LinkerInstance<'l, T> {
    names: &'l mut BTreeMap<Arc<str>, Definition>,
    store: &'l mut Option<StoreId>,
    engine: &'l Engine,
    shadowing: bool,
    data: PhantomData<fn() -> T>,
}

impl<T: 'static> Linker<T> {
    /// Knows no names.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            root: BTreeMap::new(),
            shadowing: false,
            store: None,
            data: PhantomData,
        }
    }

    /// May a name be defined twice, the later definition counting?
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.shadowing = allow;
        self
    }

    /// The namespace of imports that are not in an instance.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance {
            names: &mut self.root,
            store: &mut self.store,
            engine: &self.engine,
            shadowing: self.shadowing,
            data: PhantomData,
        }
    }

    /// The instance `name`, such as `wasi:cli/stdout@0.2.12`; begun when it is not there yet, else gone on with.
    ///
    /// # Errors
    /// `Usage` when the name stands for something that is no instance.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        self.root().into_instance(name)
    }

    /// A trap when called, for every function that `component` imports and nobody defined, and an empty resource for every
    /// resource.
    ///
    /// # Errors
    /// `Unlinkable` for an import that is neither function, resource, type nor an instance of these.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<()> {
        for (name, ty) in component.imports() {
            if let Some((found, _)) = names::lookup(&self.root, name) {
                let found = found.clone();
                if let (ExternType::Instance(want), Some(Definition::Instance(inner))) =
                    (ty, self.root.get_mut(&found))
                {
                    for (function, ty) in &want.exports {
                        if names::lookup(inner, function).is_none() {
                            let definition = trap(&format!("{name}#{function}"), ty)?;
                            inner.insert(function.clone(), definition);
                        }
                    }
                }
            } else {
                let definition = trap(name, ty)?;
                self.root.insert(name.clone(), definition);
            }
        }
        Ok(())
    }

    /// Finds every import of a component and checks its type.
    ///
    /// # Errors
    /// `Unlinkable` naming the first import or function that is missing or does not fit, and the nearest there is.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>> {
        let info: &ComponentInfo = component.root();
        let mut matcher = Matcher::new(component.engine(), info);
        let mut args = Items::new();
        for (name, ty) in &info.imports {
            let found =
                names::lookup(&self.root, name).or_else(|| names::lookup(&self.root, info.implements(name)?));
            let item = match (found, ty) {
                (_, ExternType::Type(TypeBound::Value(_) | TypeBound::Other)) => Item::Type,
                // An instance that only names types needs no definition.
                (None, ty @ ExternType::Instance(_)) => matcher
                    .item(name, ty, &Definition::Instance(BTreeMap::new()))
                    .map_err(|_| self.unknown(name, ty))?,
                (None, ty) => return Err(self.unknown(name, ty)),
                (Some((found, definition)), ty) => matcher.item(name, ty, definition).map_err(|error| {
                    if found == name {
                        error
                    } else {
                        error.context(format!("`{name}` is imported, `{found}` is what is defined"))
                    }
                })?,
            };
            args.insert(name.clone(), item);
        }
        Ok(InstancePre {
            component: component.clone(),
            foreseen: Foreseen::new(info, &args),
            args: Arc::new(args),
            store: self.store,
            data: PhantomData,
        })
    }

    fn unknown(&self, name: &str, ty: &ExternType) -> Error {
        let hint = match names::nearest(&self.root, name) {
            Some(near) => format!("the nearest definition is `{near}`"),
            None => String::from("no version of it is defined"),
        };
        Error::unlinkable(format!("the {} `{name}` is imported but not linked; {hint}", ty.kind()))
    }

    /// Links and instantiates.
    ///
    /// # Errors
    /// As for [`Linker::instantiate_pre`] and [`InstancePre::instantiate`].
    pub fn instantiate(&self, store: impl AsStoreMut, component: &Component) -> Result<Instance> {
        self.instantiate_pre(component)?.instantiate(store)
    }
}

/// What stands in for an import that nobody defined.
fn trap(name: &str, ty: &ExternType) -> Result<Definition> {
    Ok(match ty {
        ExternType::Func(_) => Definition::Func { ty: None, body: HostBody::Missing(name.into()) },
        ExternType::Instance(instance) => {
            let mut inner = BTreeMap::new();
            for (function, ty) in &instance.exports {
                inner.insert(function.clone(), trap(&format!("{name}#{function}"), ty)?);
            }
            Definition::Instance(inner)
        }
        ExternType::Type(TypeBound::Resource(_)) => Definition::MissingResource,
        ExternType::Type(_) => Definition::Item(Item::Type),
        ExternType::Module(_) | ExternType::Component(_) => {
            return Err(Error::unlinkable(format!(
                "`{name}` is a {}: nothing can stand in for it",
                ty.kind()
            )));
        }
    })
}

impl<'l, T: 'static> LinkerInstance<'l, T> {
    pub(super) fn insert(&mut self, name: &str, definition: Definition) -> Result<&mut Self> {
        if !self.shadowing && self.names.contains_key(name) {
            return Err(Error::usage(format!("`{name}` is defined twice")));
        }
        self.names.insert(name.into(), definition);
        Ok(self)
    }

    /// A host function over Rust types: parameters as a tuple, the result as a type or `()`. An error that it returns unwinds
    /// the guest and comes out of the host's call as it is.
    ///
    /// # Errors
    /// `Usage` for a name that is taken. Types that no component can have are `Invalid` when a component imports the function.
    pub fn func_wrap<P, R>(
        &mut self,
        name: &str,
        func: impl Fn(Caller<'_, T>, P) -> Result<R> + Send + Sync + 'static,
    ) -> Result<&mut Self>
    where
        P: LiftList + 'static,
        R: LowerOptional + Send + 'static,
    {
        let (ty, body) = host::typed(func);
        self.insert(name, Definition::Func { ty: Some(ty), body })
    }

    /// A host function over Rust types that looks at what is `Lent` where it lies, in the guest's memory, without a copy: it gets
    /// what the store holds and the parameters, and nothing by which the guest could run meanwhile.
    ///
    /// ```
    /// use mini_wasm_runtime::component::{Component, Linker, abi::Lent};
    /// use mini_wasm_runtime::{Config, Engine, Store};
    ///
    /// let engine = Engine::new(Config::default());
    /// let component = Component::new(&engine, wat::parse_str(
    ///     r#"(component
    ///         (import "write" (func $write (param "to" string) (param "bytes" (list u8)) (result u32)))
    ///         (core module $libc (memory (export "memory") 1) (data (i32.const 16) "outhello"))
    ///         (core instance $libc (instantiate $libc))
    ///         (core func $write' (canon lower (func $write) (memory (core memory $libc "memory"))))
    ///         (core module $m
    ///             (import "" "write" (func $write (param i32 i32 i32 i32) (result i32)))
    ///             (func (export "go") (result i32)
    ///                 (call $write (i32.const 16) (i32.const 3) (i32.const 19) (i32.const 5))))
    ///         (core instance $i (instantiate $m (with "" (instance (export "write" (func $write'))))))
    ///         (func (export "go") (result u32) (canon lift (core func $i "go"))))"#,
    /// )?)?;
    /// let mut linker = Linker::<Vec<u8>>::new(&engine);
    /// linker.root().func_wrap_lent::<(Lent<str>, Lent<[u8]>), _>("write", |written, (to, bytes)| {
    ///     assert_eq!(to, "out");
    ///     written.extend_from_slice(bytes);
    ///     Ok(bytes.len() as u32)
    /// })?;
    /// let mut store = Store::new(&engine, Vec::<u8>::new());
    /// let instance = linker.instantiate(&mut store, &component)?;
    /// assert_eq!(instance.typed::<(), u32>(&mut store, "go")?.call(&mut store, ())?, 5);
    /// assert_eq!(store.data(), b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`LinkerInstance::func_wrap`].
    pub fn func_wrap_lent<P, R>(
        &mut self,
        name: &str,
        func: impl for<'m> Fn(&mut T, P::Views<'m>) -> Result<R> + Send + Sync + 'static,
    ) -> Result<&mut Self>
    where
        P: LentList + 'static,
        R: LowerOptional + Send + 'static,
    {
        let (ty, body) = host::typed_lent::<T, P, R>(func);
        self.insert(name, Definition::Func { ty: Some(ty), body })
    }

    /// A host function over values. It has whatever type a component imports it with, and is told which.
    ///
    /// # Errors
    /// `Usage` for a name that is taken.
    pub fn func_new(
        &mut self,
        name: &str,
        func: impl Fn(Caller<'_, T>, &FuncType, &[Val]) -> Result<Option<Val>> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        self.insert(name, Definition::Func { ty: None, body: host::dynamic(func) })
    }

    /// A resource of the host, in Rust told apart by the type `R`: guests get it by `Own<R>` and `Borrow<R>`, whose number the
    /// host chooses. `destructor` is called with that number when a guest drops the last handle.
    ///
    /// # Errors
    /// `Usage` for a name that is taken.
    pub fn resource<R: 'static + ?Sized>(
        &mut self,
        name: &str,
        destructor: impl Fn(Caller<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let destructor: Arc<HostDestructor> =
            Arc::new(move |store: &mut StoreInner, rep: u32| destructor(Caller::new(store)?, rep));
        let resource = ResourceItem { rt: ResourceType::host::<R>(), destructor: Some(destructor) };
        self.insert(name, Definition::Item(Item::Resource(resource)))
    }

    /// A core module.
    ///
    /// # Errors
    /// `Usage` for a name that is taken or a module of another engine.
    pub fn module(&mut self, name: &str, module: &Module) -> Result<&mut Self> {
        if !module.engine().same(self.engine) {
            return Err(Error::usage("the module was made in another engine than the linker"));
        }
        self.insert(name, Definition::Item(Item::Module(module.clone())))
    }

    /// A component.
    ///
    /// # Errors
    /// `Usage` for a name that is taken or a component of another engine.
    pub fn component(&mut self, name: &str, component: &Component) -> Result<&mut Self> {
        if !component.engine().same(self.engine) {
            return Err(Error::usage("the component was made in another engine than the linker"));
        }
        let value = ComponentValue {
            file: component.clone(),
            info: component.root().clone(),
            captured: Arc::default(),
        };
        self.insert(name, Definition::Item(Item::Component(value)))
    }

    /// The exports of an instance that is alive in a store. The linker is then good for that store only.
    ///
    /// # Errors
    /// `Usage` for a name that is taken, or when the linker is bound to another store already.
    pub fn exports(&mut self, name: &str, exports: &Exports) -> Result<&mut Self> {
        if self.store.is_some_and(|bound| bound != exports.store()) {
            return Err(Error::usage("the linker has an instance of another store already"));
        }
        *self.store = Some(exports.store());
        self.insert(name, Definition::Item(Item::Instance(exports.items().clone())))
    }

    /// The instance `name` inside this namespace; begun when it is not there yet.
    ///
    /// # Errors
    /// `Usage` when the name stands for something that is no instance.
    pub fn into_instance(self, name: &str) -> Result<LinkerInstance<'l, T>> {
        let LinkerInstance { names, store, engine, shadowing, data } = self;
        match names.entry(name.into()).or_insert_with(|| Definition::Instance(BTreeMap::new())) {
            Definition::Instance(names) => Ok(LinkerInstance { names, store, engine, shadowing, data }),
            other => Err(Error::usage(format!("`{name}` is a {} already", other.kind()))),
        }
    }
}

impl<T> core::fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.root.keys()).finish()
    }
}

impl<T> core::fmt::Debug for LinkerInstance<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.names.keys()).finish()
    }
}
