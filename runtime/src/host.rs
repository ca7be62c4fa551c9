//! Host functions: the one door from guest to host; and, beside it, the door from guest to guest (`crossing`).

pub(crate) mod crossing;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::{Extern, Instance};
#[cfg(feature = "std")]
use crate::store::Parked;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::types::{FuncType, TypeId};
use crate::val::RawVal;
use crate::vm::{ArrayCall, Status, VmFunc, VmStore, VmType};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::marker::PhantomData;
use core::ptr;
use core::sync::atomic::AtomicU32;

/// What a host function does: parameters in the slots, results into the same place.
pub type HostCall = dyn Fn(&mut StoreInner, &mut [RawVal]) -> Result<()> + Send + Sync;

/// A function type, and its identity in an engine.
#[derive(Clone, Debug)]
pub(crate) struct InternedFuncType {
    ty: FuncType,
    id: TypeId,
}

impl InternedFuncType {
    pub(crate) fn new(engine: &Engine, ty: FuncType) -> InternedFuncType {
        InternedFuncType { id: engine.types().intern(&ty), ty }
    }
}

/// A host function of a store. Its [`VmFunc`] is what guests call.
pub(crate) struct HostFunc {
    vm: VmFunc,
    body: Body,
    slots: usize,
    /// Held for as long as [`VmFunc::guard`] points into it.
    guard: Option<Arc<AtomicU32>>,
    /// Held for as long as [`VmFunc::native`] points into it.
    native: Option<crossing::Native>,
    /// The instance whose import this was made for.
    caller: Option<Instance>,
}

/// What is behind a function that is not a module's.
enum Body {
    Host(Arc<HostCall>),
    Crossing(Box<dyn crossing::Crossing>),
}

impl HostFunc {
    pub(crate) fn new(ty: &FuncType, vm_type: *const VmType, call: Arc<HostCall>) -> HostFunc {
        HostFunc::with_body(ty, vm_type, call_host, Body::Host(call))
    }

    fn with_body(ty: &FuncType, vm_type: *const VmType, array_call: ArrayCall, body: Body) -> HostFunc {
        let vm = VmFunc {
            array_call,
            native: ptr::null(),
            context: ptr::null_mut(),
            instance: ptr::null_mut(),
            store: ptr::null_mut(),
            host: ptr::null(),
            guard: ptr::null(),
            behind: ptr::null(),
            adapter: ptr::null(),
            ty: vm_type,
            index: 0,
        };
        HostFunc { vm, body, slots: ty.call_slots(), guard: None, native: None, caller: None }
    }

    /// Called once at its final address.
    pub(crate) fn seal(&mut self, store: *mut VmStore) {
        self.vm.store = store;
        let this = ptr::from_mut(self);
        self.vm.host = this.cast();
        self.vm.context = (&raw mut self.vm).cast();
        if let Some(native) = &mut self.native {
            native.seal(&mut self.vm, store);
        }
    }

    /// Made for an import of this instance, whose exports its [`Caller`] then shows.
    pub(crate) fn for_import_of(mut self, instance: Instance) -> HostFunc {
        self.caller = Some(instance);
        self
    }

    pub(crate) fn vm(&self) -> *const VmFunc {
        &self.vm
    }
}

/// The door: every host function is entered here, whichever engine the guest runs in.
///
/// # Safety
/// As for every [`crate::vm::ArrayCall`]; `func` is the `VmFunc` of a `HostFunc`.
unsafe extern "C" fn call_host(func: *const VmFunc, slots: *mut RawVal) -> Status {
    // SAFETY: V1: sealed at its final address; the store's `inner` was set by the door from host to guest, and whoever
    // holds that borrow is waiting for this call.
    let (host, store) = unsafe {
        let host = &*(*func).host.cast::<HostFunc>();
        (host, &mut *(*host.vm.store).inner.cast::<StoreInner>())
    };
    if let Err(trap) = store.check_native_stack() {
        return Status::trap(trap);
    }
    let Body::Host(call) = &host.body else { unreachable!("crash: the entry of another kind of function") };
    let outer = store.swap_caller(host.caller);
    // SAFETY: V4.
    let slots = unsafe { core::slice::from_raw_parts_mut(slots, host.slots) };
    #[cfg(feature = "std")]
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(store, slots)));
    #[cfg(not(feature = "std"))]
    let result: Result<Result<()>, core::convert::Infallible> = Ok(call(store, slots));
    store.swap_caller(outer);
    match result {
        Ok(Ok(())) => Status::OK,
        Ok(Err(error)) => store.park_error(error),
        #[cfg(feature = "std")]
        Err(payload) => store.park(Parked::Panic(payload)),
        #[cfg(not(feature = "std"))]
        Err(never) => match never {},
    }
}

/// The store as a host function sees it, with the embedder's data.
pub struct Caller<'a, T: 'static> {
    store: &'a mut StoreInner,
    data: PhantomData<&'a mut T>,
}

impl<'a, T: 'static> Caller<'a, T> {
    /// The engine's view of a store whose data is a `T`.
    ///
    /// # Errors
    /// `Usage` when the store's data is of another type.
    pub fn new(store: &'a mut StoreInner) -> Result<Caller<'a, T>> {
        if !store.holds::<T>() {
            return Err(Error::usage("this function was defined for stores with another type of data"));
        }
        Ok(Caller { store, data: PhantomData })
    }

    /// An export of the instance that called, when this function was linked to its import by a [`crate::linker::Linker`].
    pub fn export(&mut self, name: &str) -> Option<Extern> {
        self.store.caller()?.export(&mut *self.store, name)
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        self.store.data_ref()
    }

    /// The embedder's data, to change.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }
}

impl<T: 'static> AsStore for Caller<'_, T> {
    fn as_store(&self) -> &StoreInner {
        self.store
    }
}

impl<T: 'static> AsStoreMut for Caller<'_, T> {
    fn as_store_mut(&mut self) -> &mut StoreInner {
        self.store
    }
}

impl<T: 'static> core::fmt::Debug for Caller<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

/// A boxed call for closures that need a `Caller`.
pub(crate) fn with_caller<T: 'static>(
    call: impl Fn(Caller<'_, T>, &mut [RawVal]) -> Result<()> + Send + Sync + 'static,
) -> Arc<HostCall> {
    Arc::new(move |store: &mut StoreInner, slots: &mut [RawVal]| call(Caller::new(store)?, slots))
}

impl StoreInner {
    /// A host function as the engine keeps it.
    pub(crate) fn new_host_func(
        &mut self,
        ty: &FuncType,
        call: Arc<HostCall>,
        caller: Option<Instance>,
    ) -> *const VmFunc {
        let ty = InternedFuncType::new(self.engine(), ty.clone());
        self.new_interned_host_func(&ty, call, caller)
    }

    /// The same where the engine knows the type already. It is this store's engine.
    pub(crate) fn new_interned_host_func(
        &mut self,
        InternedFuncType { ty, id }: &InternedFuncType,
        call: Arc<HostCall>,
        caller: Option<Instance>,
    ) -> *const VmFunc {
        let func = HostFunc::new(ty, self.engine().types().vm(*id), call);
        self.add_host_func(match caller {
            Some(instance) => func.for_import_of(instance),
            None => func,
        })
    }
}
