//! Component functions that may wait, and functions of the host that give a future ([`crate::call_async`] says what that means). To the
//! component both are what they would be otherwise: synchronous. Asynchrony between components is another matter.
//!
//! ```
//! use mini_wasm_runtime::component::{Component, Linker};
//! use mini_wasm_runtime::{Config, Engine, Store};
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) { return output; }
//! #     }
//! # }
//! # async fn look_up(id: u32) -> String { format!("number {id}") }
//! let engine = Engine::new(Config::default());
//! let component = Component::new(&engine, wat::parse_str(
//!     r#"(component
//!         (import "name-of" (func $name-of (param "id" u32) (result string)))
//!         (core module $libc
//!             (memory (export "memory") 1)
//!             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
//!         (core instance $libc (instantiate $libc))
//!         (core func $name-of' (canon lower (func $name-of)
//!             (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
//!         (core module $m
//!             (import "" "name-of" (func $name-of (param i32 i32)))
//!             (func (export "ask") (param i32) (result i32)
//!                 (call $name-of (local.get 0) (i32.const 16))
//!                 (i32.const 16)))
//!         (core instance $i (instantiate $m (with "" (instance (export "name-of" (func $name-of'))))))
//!         (func (export "ask") (param "id" u32) (result string)
//!             (canon lift (core func $i "ask") (memory (core memory $libc "memory")))))"#,
//! )?)?;
//! let mut linker = Linker::<()>::new(&engine);
//! linker.root().func_wrap_async("name-of", |_caller, (id,): (u32,)| {
//!     Box::new(async move { Ok(look_up(id).await) })
//! })?;
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &component)?;
//! let ask = instance.typed::<(u32,), String>(&mut store, "ask")?;
//! assert_eq!(block_on(ask.call_async(&mut store, (7,)))?, "number 7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::abi::typed::{LiftList, LiftOptional, LowerList, LowerListAs, LowerOptional};
use super::abi::{FuncType, Resource, ResourceType, Val};
use super::check::Definition;
use super::instance::Item;
use super::resource::{HostDestructor, ResourceItem};
use super::{Component, Func, Instance, InstancePre, Linker, LinkerInstance, TypedFunc, host};
use crate::call_async::{AsyncCall, HostFuture, wait_for};
use crate::error::Result;
use crate::host::Caller;
use crate::store::{AsStoreMut, StoreInner};
use alloc::sync::Arc;

impl Func {
    /// Calls it; functions of the host that it leads to may wait. A call that is dropped before it is over leaves its instance in a state
    /// in which it cannot be entered again.
    ///
    /// # Errors
    /// As for [`Func::call`].
    pub fn call_async<'s>(
        self,
        store: &'s mut (impl AsStoreMut + ?Sized),
        args: &[Val],
    ) -> AsyncCall<'s, Option<Val>> {
        let args = args.to_vec();
        AsyncCall::new(store.as_store_mut(), move |store| self.call_here(store, &args))
    }
}

impl<P: LowerList + 'static, R: LiftOptional + Send + 'static> TypedFunc<P, R> {
    /// Calls it; functions of the host that it leads to may wait. As for [`Func::call_async`].
    pub fn call_async<'s>(&self, store: &'s mut (impl AsStoreMut + ?Sized), params: P) -> AsyncCall<'s, R>
    where
        P: Send,
    {
        let func = self.clone();
        AsyncCall::new(store.as_store_mut(), move |store| func.call_raw(store, &params))
    }

    /// The same with parameters that lower as `P` does without being it; what they lend is lent until the call is over.
    pub fn call_lent_async<'s, Q: LowerListAs<P> + Send + 's>(
        &self,
        store: &'s mut (impl AsStoreMut + ?Sized),
        params: Q,
    ) -> AsyncCall<'s, R> {
        let func = self.clone();
        AsyncCall::new(store.as_store_mut(), move |store| func.call_raw(store, &params))
    }
}

impl<T: 'static> InstancePre<T> {
    /// Instantiates it; functions of the host that its start functions lead to may wait.
    ///
    /// # Errors
    /// As for [`InstancePre::instantiate`].
    pub fn instantiate_async<'s>(
        &self,
        store: &'s mut (impl AsStoreMut + ?Sized),
    ) -> AsyncCall<'s, Instance> {
        let pre = self.clone();
        AsyncCall::new(store.as_store_mut(), move |store| pre.instantiate_here(store))
    }
}

impl<T: 'static> Linker<T> {
    /// Links and instantiates; functions of the host that start functions lead to may wait.
    ///
    /// # Errors
    /// As for [`Linker::instantiate`].
    pub fn instantiate_async<'s>(
        &self,
        store: &'s mut (impl AsStoreMut + ?Sized),
        component: &Component,
    ) -> AsyncCall<'s, Instance> {
        let pre = self.instantiate_pre(component);
        AsyncCall::new(store.as_store_mut(), move |store| pre?.instantiate_here(store))
    }
}

impl<T: 'static> LinkerInstance<'_, T> {
    /// A host function over Rust types that gives a future: the guest's stack stands still until it is ready.
    ///
    /// # Errors
    /// As for [`LinkerInstance::func_wrap`].
    pub fn func_wrap_async<P, R>(
        &mut self,
        name: &str,
        func: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
    ) -> Result<&mut Self>
    where
        P: LiftList + 'static,
        R: LowerOptional + Send + 'static,
    {
        let (ty, body) = host::typed_raw(move |store: &mut StoreInner, params: P| {
            wait_for(store, |caller| func(caller, params))
        });
        self.insert(name, Definition::Func { ty: Some(ty), body })
    }

    /// A host function over values that gives a future.
    ///
    /// # Errors
    /// As for [`LinkerInstance::func_new`].
    pub fn func_new_async(
        &mut self,
        name: &str,
        func: impl for<'a> Fn(Caller<'a, T>, &'a FuncType, &'a [Val]) -> HostFuture<'a, Option<Val>>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Self> {
        let body = move |store: &mut StoreInner, ty: &FuncType, args: &[Val]| {
            wait_for(store, |caller| func(caller, ty, args))
        };
        self.insert(name, Definition::Func { ty: None, body: host::HostBody::Dynamic(Arc::new(body)) })
    }

    /// A resource of the host whose destructor gives a future.
    ///
    /// # Errors
    /// As for [`LinkerInstance::resource`].
    pub fn resource_async<R: 'static + ?Sized>(
        &mut self,
        name: &str,
        destructor: impl for<'a> Fn(Caller<'a, T>, u32) -> HostFuture<'a, ()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let destructor: Arc<HostDestructor> = Arc::new(move |store: &mut StoreInner, rep: u32| {
            wait_for(store, |caller| destructor(caller, rep))
        });
        let resource = ResourceItem { rt: ResourceType::host::<R>(), destructor: Some(destructor) };
        self.insert(name, Definition::Item(Item::Resource(resource)))
    }
}

/// Ends a resource that the host owns; functions of the host that the destructor leads to may wait.
///
/// # Errors
/// As for [`super::resource_drop`].
pub fn resource_drop_async<'s>(
    store: &'s mut (impl AsStoreMut + ?Sized),
    resource: Resource,
) -> AsyncCall<'s, ()> {
    AsyncCall::new(store.as_store_mut(), move |store| super::resource::resource_drop_here(store, resource))
}
