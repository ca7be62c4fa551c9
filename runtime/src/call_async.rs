//! Calls that may wait: `call_async` and `instantiate_async`, and functions of the host that give a future.
//!
//! A guest knows nothing of it: it calls an import, and the import returns. In between its stack, a fiber's, stands still, and whoever
//! polls the call does other things. No executor is asked for; a future of any of them will do. Calls that do not wait (`call`) run on the
//! caller's stack as ever and pay nothing; what they lead to may not wait.
//!
//! ```
//! use mini_wasm_runtime::{Caller, Config, Engine, Linker, Module, Store};
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) { return output; }
//! #     }
//! # }
//! # async fn some_service(n: i32) -> i32 { n * 2 }
//! let engine = Engine::new(Config::default());
//! let module = Module::new(&engine, wat::parse_str(
//!     r#"(module
//!         (import "host" "twice" (func $twice (param i32) (result i32)))
//!         (func (export "answer") (result i32) (call $twice (i32.const 21))))"#,
//! )?)?;
//! let mut linker = Linker::<u32>::new();
//! linker.func_wrap_async("host", "twice", |mut caller: Caller<'_, u32>, (n,): (i32,)| {
//!     Box::new(async move {
//!         *caller.data_mut() += 1;
//!         Ok(some_service(n).await)
//!     })
//! })?;
//! let mut store = Store::new(&engine, 0u32);
//! let instance = linker.instantiate(&mut store, &module)?;
//! let answer = instance.func(&mut store, "answer").expect("it is exported").typed::<(), i32>(&store)?;
//! assert_eq!(block_on(answer.call_async(&mut store, ()))?, 42);
//! assert_eq!(*store.data(), 1);
//! // A call that cannot wait does not get to a function that may have to.
//! assert!(answer.call(&mut store, ()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Dropping** a call before it is over ends it: the host's future is dropped, and the guest's frames are left as by a trap, none of its
//! code runs any more. A component instance that was in the call cannot be entered again; of a core instance the host must know
//! itself whether it can go on from wherever the guest was. The store is as good as before.
//!
//! Each call has stacks of [`Config::async_stack_bytes`](crate::Config::async_stack_bytes) and
//! [`Config::async_value_stack_bytes`](crate::Config::async_value_stack_bytes); the guest traps at their end as it would elsewhere.
//! Calls stand on each other when a host function makes one inside the future it gives; what is too deep traps.

use crate::error::{Error, Result};
use crate::func::WasmTypes;
use crate::handle::{Extern, Func, Instance};
use crate::host::{Caller, HostCall};
use crate::linker::{InstancePre, Linker};
use crate::module::Module;
use crate::store::{AsStoreMut, StoreInner};
use crate::switching::waiting::{Waiting, Work};
use crate::types::FuncType;
use crate::val::{RawVal, Val};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

/// What an asynchronous function of the host gives.
pub type HostFuture<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

/// A call that may wait: a future of its result. Nothing has run before it is polled; dropping it ends the call (see the module).
///
/// It may be polled by one thread after another: everything on its stacks is the engine's, or a future that may be sent.
#[must_use = "nothing runs before it is polled"]
pub struct AsyncCall<'s, R> {
    store: NonNull<StoreInner>,
    state: State<'s, R>,
    borrow: PhantomData<&'s mut StoreInner>,
}

/// A call that was begun, and where it leaves its result.
type Begun<R> = (NonNull<Waiting>, NonNull<Option<Result<R>>>);
type Fresh<'s, R> = Box<dyn FnOnce(&mut StoreInner) -> Result<R> + Send + 's>;

enum State<'s, R> {
    Fresh(Fresh<'s, R>),
    /// The call, and where it leaves its result.
    Running(NonNull<Waiting>, NonNull<Option<Result<R>>>),
    Over,
}

// SAFETY: what is on the fiber is the engine's frames, whose state is the store's (`Send`), the work and its result, and futures of
// host functions, all `Send`. A function of the host that may not be sent is never on it while it waits (`StoreInner::may_wait`).
unsafe impl<R: Send> Send for AsyncCall<'_, R> {}

impl<R> Unpin for AsyncCall<'_, R> {}

/// A pointer that goes to the fiber with the work.
struct ToSlot<R>(NonNull<Option<Result<R>>>);
// SAFETY: the slot is the call's own, and what is put there is sent with it.
unsafe impl<R: Send> Send for ToSlot<R> {}

impl<'s, R: Send + 's> AsyncCall<'s, R> {
    /// Runs `work`, which may call guests, so that functions of the host that it leads to may wait.
    pub(crate) fn new(
        store: &'s mut StoreInner,
        work: impl FnOnce(&mut StoreInner) -> Result<R> + Send + 's,
    ) -> AsyncCall<'s, R> {
        AsyncCall { store: NonNull::from(store), state: State::Fresh(Box::new(work)), borrow: PhantomData }
    }

    fn begin(&mut self, work: Fresh<'s, R>) -> Result<Begun<R>> {
        let slot = NonNull::from(Box::leak(Box::new(None::<Result<R>>)));
        let to = ToSlot(slot);
        let work: Box<dyn FnOnce(&mut StoreInner) + Send + 's> = Box::new(move |store: &mut StoreInner| {
            let to: ToSlot<R> = to;
            let result = work(store);
            // SAFETY: the slot is there as long as the call is (S4), and its owner waits.
            unsafe { to.0.write(Some(result)) };
        });
        // SAFETY: what the work borrows lives for 's, and the call is ended when this is dropped, within 's; if it is forgotten instead,
        // the work never runs on.
        let work: Work = unsafe { core::mem::transmute(work) };
        // SAFETY: the store is borrowed for 's.
        match unsafe { self.store.as_mut().new_waiting(work) } {
            Ok(waiting) => Ok((waiting, slot)),
            Err(error) => {
                // SAFETY: made above, and the work that had it is gone.
                drop(unsafe { Box::from_raw(slot.as_ptr()) });
                Err(error)
            }
        }
    }
}

impl<'s, R: Send + 's> Future for AsyncCall<'s, R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let (waiting, slot) = match core::mem::replace(&mut self.state, State::Over) {
            State::Fresh(work) => match self.begin(work) {
                Ok(begun) => begun,
                Err(error) => return Poll::Ready(Err(error)),
            },
            State::Running(waiting, slot) => (waiting, slot),
            State::Over => return Poll::Ready(Err(Error::usage("this call is over"))),
        };
        self.state = State::Running(waiting, slot);
        // SAFETY: it has not ended, and the store is borrowed for as long as `self` lives (S4). If it panics, the drop of `self` releases it.
        match unsafe { Waiting::poll(waiting, cx) } {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                // SAFETY: it has ended; the work has left its result.
                let result = unsafe { slot.as_ptr().as_mut().and_then(Option::take) };
                self.release();
                Poll::Ready(
                    result.unwrap_or_else(|| Err(Error::usage("crash: a call ended without a result"))),
                )
            }
            Err(trap) => {
                self.release();
                Poll::Ready(Err(trap.into()))
            }
        }
    }
}

impl<R> AsyncCall<'_, R> {
    /// Ends the call, if it has not, and gives everything back.
    fn release(&mut self) {
        if let State::Running(waiting, slot) = core::mem::replace(&mut self.state, State::Over) {
            // SAFETY: S4: nobody has entered it; the store is still borrowed. If there is no native stack left even for this, the fiber is
            // never entered again and its memory is lost with it.
            unsafe {
                if Waiting::cancel(waiting) {
                    self.store.as_mut().release_waiting(waiting);
                    drop(Box::from_raw(slot.as_ptr()));
                }
            }
        }
    }
}

impl<R> Drop for AsyncCall<'_, R> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<R> core::fmt::Debug for AsyncCall<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = match self.state {
            State::Fresh(_) => "fresh",
            State::Running(..) => "running",
            State::Over => "over",
        };
        f.debug_struct("AsyncCall").field("state", &state).finish_non_exhaustive()
    }
}

impl Func {
    /// Calls it; functions of the host that it leads to may wait.
    ///
    /// # Errors
    /// As for [`Func::call`].
    pub fn call_async<'s>(
        self,
        store: &'s mut (impl AsStoreMut + ?Sized),
        args: &[Val],
    ) -> AsyncCall<'s, Vec<Val>> {
        let args = args.to_vec();
        AsyncCall::new(store.as_store_mut(), move |store| self.call_here(store, &args))
    }

    /// A host function that gives a future, over Rust types. `T` must be the type of the store's data.
    pub fn wrap_async<T: 'static, P: WasmTypes, R: WasmTypes>(
        mut store: impl AsStoreMut,
        func: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
    ) -> Func {
        let store = store.as_store_mut();
        let (ty, call) = typed(func);
        let func = store.new_host_func(&ty, call, None);
        store.func_handle(func)
    }
}

impl<P: WasmTypes + Send, R: WasmTypes + Send> crate::func::TypedFunc<P, R> {
    /// Calls it; functions of the host that it leads to may wait.
    pub fn call_async<'s>(self, store: &'s mut (impl AsStoreMut + ?Sized), params: P) -> AsyncCall<'s, R> {
        AsyncCall::new(store.as_store_mut(), move |store| self.call_here(store, params))
    }
}

/// The type and body of a host function that gives a future.
fn typed<T: 'static, P: WasmTypes, R: WasmTypes>(
    func: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
) -> (FuncType, Arc<HostCall>) {
    let ty = FuncType::new(P::types(), R::types());
    let call = move |store: &mut StoreInner, slots: &mut [RawVal]| {
        wait_for(store, |caller| func(caller, P::load(slots)))?.store(slots);
        Ok(())
    };
    (ty, Arc::new(call))
}

impl<T: 'static> Linker<T> {
    /// A host function that gives a future: the guest's stack stands still until it is ready. Parameters come as a tuple.
    pub fn func_wrap_async<P: WasmTypes, R: WasmTypes>(
        &mut self,
        module: &str,
        name: &str,
        func: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let (ty, call) = typed(func);
        self.insert_host(module, name, ty, call)
    }

    /// Links and instantiates; functions of the host that its start function leads to may wait.
    ///
    /// # Errors
    /// As for [`Linker::instantiate`].
    pub fn instantiate_async<'s>(
        &self,
        store: &'s mut (impl AsStoreMut + ?Sized),
        module: &Module,
    ) -> AsyncCall<'s, Instance> {
        let pre = self.instantiate_pre(module);
        AsyncCall::new(store.as_store_mut(), move |store| pre?.instantiate_here(store))
    }
}

impl<T: 'static> InstancePre<T> {
    /// Instantiates it; functions of the host that its start function leads to may wait.
    pub fn instantiate_async<'s>(
        &'s self,
        store: &'s mut (impl AsStoreMut + ?Sized),
    ) -> AsyncCall<'s, Instance> {
        AsyncCall::new(store.as_store_mut(), move |store| self.instantiate_here(store))
    }
}

impl Instance {
    /// Instantiates a module whose imports are given in order; functions of the host that its start function leads to may wait.
    pub fn new_async<'s>(
        store: &'s mut (impl AsStoreMut + ?Sized),
        module: &Module,
        imports: &[Extern],
    ) -> AsyncCall<'s, Instance> {
        let (module, imports) = (module.clone(), imports.to_vec());
        AsyncCall::new(store.as_store_mut(), move |store| Instance::new_here(store, &module, &imports))
    }
}

/// Calls a function of the host and waits for its future, while the guest's stack stands still.
pub(crate) fn wait_for<'a, T: 'static, R>(
    store: &'a mut StoreInner,
    func: impl FnOnce(Caller<'a, T>) -> HostFuture<'a, R>,
) -> Result<R> {
    let waiter = store.waiter()?;
    waiter.wait(Box::into_pin(func(Caller::new(store)?)))?
}
