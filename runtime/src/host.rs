//! Host functions: the one door from guest to host; and, beside it, the door from guest to guest (`crossing`).

pub(crate) mod crossing;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::{Extern, Instance};
#[cfg(feature = "std")]
use crate::store::Parked;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::types::FuncType;
use crate::val::RawVal;
use crate::vm::{ArrayCall, Status, VmFunc, VmStore, VmType};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU32;

/// What a host function does: parameters in the slots, results into the same place.
pub type HostCall = dyn Fn(&mut StoreInner, &mut [RawVal]) -> Result<()> + Send + Sync;

/// What many host functions do, told apart by a number that whoever made them chose.
pub(crate) trait NumberedCall: Send + Sync {
    /// As [`HostCall`].
    fn call(&self, store: &mut StoreInner, number: u32, slots: &mut [RawVal]) -> Result<()>;
}

/// What a host function's type comes to in an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InternedFuncType {
    vm: *const VmType,
    slots: usize,
}

// SAFETY: V6: who has one holds the engine.
unsafe impl Send for InternedFuncType {}
// SAFETY: as above; nobody changes a `VmType`.
unsafe impl Sync for InternedFuncType {}

impl InternedFuncType {
    pub(crate) fn new(engine: &Engine, ty: &FuncType) -> InternedFuncType {
        let types = engine.types();
        InternedFuncType { vm: types.vm(types.intern(ty)), slots: ty.call_slots() }
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
    Numbered(Arc<dyn NumberedCall>, u32),
    Crossing(Box<dyn crossing::Crossing>),
}

impl HostFunc {
    fn with_body(ty: InternedFuncType, array_call: ArrayCall, body: Body) -> HostFunc {
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
            ty: ty.vm,
            index: 0,
            handle: AtomicU32::new(0),
        };
        HostFunc { vm, body, slots: ty.slots, guard: None, native: None, caller: None }
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
    let outer = store.swap_caller(host.caller);
    // SAFETY: V4.
    let slots = unsafe { core::slice::from_raw_parts_mut(slots, host.slots) };
    let run = |store: &mut StoreInner, slots: &mut [RawVal]| match &host.body {
        Body::Host(call) => call(store, slots),
        Body::Numbered(call, number) => call.call(store, *number, slots),
        Body::Crossing(_) => unreachable!("crash: the entry of another kind of function"),
    };
    #[cfg(feature = "std")]
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(store, slots)));
    #[cfg(not(feature = "std"))]
    let result: Result<Result<()>, core::convert::Infallible> = Ok(run(store, slots));
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
        let ty = InternedFuncType::new(self.engine(), ty);
        self.new_interned_host_func(ty, call, caller)
    }

    /// The same where the type is known already, as one of this store's engine.
    pub(crate) fn new_interned_host_func(
        &mut self,
        ty: InternedFuncType,
        call: Arc<HostCall>,
        caller: Option<Instance>,
    ) -> *const VmFunc {
        let func = HostFunc::with_body(ty, call_host, Body::Host(call));
        self.add_host_func(match caller {
            Some(instance) => func.for_import_of(instance),
            None => func,
        })
    }

    /// A function of many that do the same; the type is one of this store's engine.
    pub(crate) fn new_numbered_host_func(
        &mut self,
        ty: InternedFuncType,
        call: Arc<dyn NumberedCall>,
        number: u32,
    ) -> *const VmFunc {
        self.add_host_func(HostFunc::with_body(ty, call_host, Body::Numbered(call, number)))
    }
}

/// The host functions of a store, at addresses that do not change.
#[derive(Default)]
pub(crate) struct HostFuncs {
    /// None grows beyond what it was made for.
    chunks: Vec<Vec<HostFunc>>,
}

impl HostFuncs {
    /// Keeps one; where it is.
    pub(crate) fn push(&mut self, func: HostFunc) -> NonNull<HostFunc> {
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() == chunk.capacity());
        if full {
            // Few for a store with few, and little left over.
            let len = (4 << self.chunks.len().min(5)).min(128);
            self.chunks.push(Vec::with_capacity(len));
        }
        let Some(chunk) = self.chunks.last_mut() else { unreachable!("crash: there is a chunk") };
        chunk.push(func);
        // SAFETY: the last of the chunk. No reference to the others is made, which guests point at.
        unsafe { NonNull::new_unchecked(chunk.as_mut_ptr().add(chunk.len() - 1)) }
    }
}
