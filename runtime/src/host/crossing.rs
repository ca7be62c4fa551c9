//! The door from guest to guest: a function of the engine's that stands between two components. It is called by one guest and
//! calls another, without leaving the activation that both run in.
//!
//! What a status says stays a status on the way through: an error that waits in the store goes on waiting, frames are noted as if
//! the guests had called each other. An exception ends here: none passes between components.
//!
//! Must not know: components.

use super::{Body, HostFunc};
use crate::error::{Error, Result};
use crate::handle::{Func, StoreId};
#[cfg(feature = "std")]
use crate::store::Parked;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FuncType, TypeId};
use crate::val::RawVal;
use crate::vm::{Status, VmFunc};
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::AtomicU32;

/// Slots of a call between guests: parameters of the Canonical ABI and a pointer for the result.
pub(crate) const CROSSING_SLOTS: usize = 17;

/// Why a call between guests did not return.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A guest further in stopped it: the status says how, what belongs to it waits in the store.
    Guest(Status),
    /// This.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Error(error)
    }
}

impl From<Trap> for Stopped {
    fn from(trap: Trap) -> Stopped {
        Stopped::Guest(Status::trap(trap))
    }
}

/// What stands between: parameters in the slots, results into the same place.
pub(crate) type Crossing =
    dyn Fn(&mut StoreInner, &mut [RawVal]) -> core::result::Result<(), Stopped> + Send + Sync;

/// A function of a store whose slots are known to be no more than [`CROSSING_SLOTS`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callee {
    func: *const VmFunc,
    /// How many slots its type needs.
    slots: usize,
    store: StoreId,
}

// SAFETY: used only with the store that owns the function (V1), which is compared; one thread at a time uses that (V5).
unsafe impl Send for Callee {}
// SAFETY: as above; nothing is reached through a shared `Callee` without the store.
unsafe impl Sync for Callee {}

impl Callee {
    /// A function that is going to be called.
    ///
    /// # Errors
    /// `Usage` for a function of another store, or one with more slots.
    pub(crate) fn new(store: &StoreInner, func: Func) -> Result<Callee> {
        let ptr = store.func_ptr(func)?;
        // SAFETY: V1, V6.
        let id = TypeId(unsafe { (*(*ptr).ty).id });
        let needed = store.engine().func_type(id).map_or(usize::MAX, |ty| ty.call_slots());
        if needed > CROSSING_SLOTS {
            return Err(Error::usage(format!("{needed} slots are needed, {CROSSING_SLOTS} are there")));
        }
        Ok(Callee { func: ptr, slots: needed, store: store.id() })
    }
}

impl Func {
    /// A function that stands between two guests. `guarded`: where this word of the store's is not 0, calling that function instead
    /// comes to the same.
    ///
    /// # Errors
    /// `Usage` when that function is not the store's or has another type.
    pub(crate) fn new_crossing(
        store: &mut StoreInner,
        ty: FuncType,
        crossing: Arc<Crossing>,
        guarded: Option<(Arc<AtomicU32>, Func)>,
    ) -> Result<Func> {
        let types = store.engine().types();
        let vm_type = types.vm(types.intern(&ty));
        let mut func = HostFunc::with_body(&ty, vm_type, cross, Body::Crossing(crossing));
        if let Some((guard, behind)) = guarded {
            let behind = store.func_ptr(behind)?;
            // SAFETY: V1.
            let (native, behind_ty) = unsafe { ((*behind).native, (*behind).ty) };
            if behind_ty != vm_type {
                return Err(Error::usage("the function behind a guard has another type"));
            }
            if !native.is_null() {
                (func.vm.guard, func.vm.behind) = (Arc::as_ptr(&guard), behind);
                func.guard = Some(guard);
            }
        }
        let func = store.add_host_func(func);
        Ok(store.func_handle(func))
    }
}

impl StoreInner {
    /// Calls a guest for another one that is running.
    ///
    /// # Errors
    /// How it ended; an exception as the trap that it is at a component's boundary.
    pub(crate) fn call_inside(
        &mut self,
        callee: Callee,
        slots: &mut [RawVal],
    ) -> core::result::Result<(), Stopped> {
        self.check(callee.store)?;
        if slots.len() < callee.slots {
            return Err(Error::usage("too few slots").into());
        }
        self.enter_inside()?;
        let vm = self.vm();
        let barrier = self.swap_barrier();
        // SAFETY: the function is this store's (V1), its slots were counted (V4). Host functions and builtins reach this store
        // through `inner`, which is derived from this very borrow; `self` is not used until the call is back (V5). The limit of
        // the native stack is that of the activation, which goes on.
        let status = unsafe {
            let outer = core::mem::replace(&mut (*vm).inner, core::ptr::from_mut(self).cast());
            let status = ((*callee.func).array_call)(callee.func, slots.as_mut_ptr());
            (*vm).inner = outer;
            status
        };
        self.restore_barrier(barrier);
        self.leave_inside();
        match status {
            Status::OK => Ok(()),
            Status::EXCEPTION => Err(Stopped::Error(self.unwound(status, false).contained())),
            status => Err(Stopped::Guest(status)),
        }
    }

    /// Calls a guest from the host.
    ///
    /// # Errors
    /// How it ended.
    pub(crate) fn call_from_host(
        &mut self,
        callee: Callee,
        slots: &mut [RawVal; CROSSING_SLOTS],
    ) -> Result<()> {
        self.check(callee.store)?;
        // SAFETY: the function is this store's (V1), its slots were counted (V4).
        unsafe { self.call(callee.func, slots) }
    }
}

/// # Safety
/// As for every [`crate::vm::ArrayCall`]; `func` is the `VmFunc` of a `HostFunc`.
unsafe extern "C" fn cross(func: *const VmFunc, slots: *mut RawVal) -> Status {
    // SAFETY: as in `call_host`.
    let (func, store) = unsafe {
        let func = &*(*func).host.cast::<HostFunc>();
        (func, &mut *(*func.vm.store).inner.cast::<StoreInner>())
    };
    let Body::Crossing(crossing) = &func.body else {
        unreachable!("crash: the entry of another kind of function")
    };
    // SAFETY: V4.
    let slots = unsafe { core::slice::from_raw_parts_mut(slots, func.slots) };
    #[cfg(feature = "std")]
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crossing(store, slots)));
    #[cfg(not(feature = "std"))]
    let result: core::result::Result<_, core::convert::Infallible> = Ok(crossing(store, slots));
    match result {
        Ok(Ok(())) => Status::OK,
        Ok(Err(Stopped::Guest(status))) => status,
        Ok(Err(Stopped::Error(error))) => store.park_error(error),
        #[cfg(feature = "std")]
        Err(payload) => store.park(Parked::Panic(payload)),
        #[cfg(not(feature = "std"))]
        Err(never) => match never {},
    }
}
