//! The door from guest to guest: a function of the engine's that stands between two components. It is called by one guest and
//! calls another, without leaving the activation that both run in.
//!
//! What a status says stays a status on the way through: an error that waits in the store goes on waiting, frames are noted as if
//! the guests had called each other. An exception ends here: none passes between components.
//!
//! Native callers may have a way past it ([`Shortcuts`]): the callee itself behind a word that is looked at, or code made for the pair, which reads
//! a [`VmAdapter`] and comes back to here with what it leaves to the plan.
//!
//! Must not know: component instances.

use super::{Body, HostFunc, InternedFuncType};
use crate::backend::NativeAdapter;
use crate::deadline::PIECE_BYTES;
use crate::error::{Error, Result};
use crate::handle::{Func, StoreId};
use crate::memory::TwoMemories;
use crate::module::ScalarCall;
#[cfg(feature = "std")]
use crate::store::Parked;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FuncType, TypeId};
use crate::val::RawVal;
use crate::vm::{
    AdapterContent, AdapterTrap, CROSSING_SLOTS, Status, VmAdapter, VmContext, VmFunc, VmImport, VmStore,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use mini_wasm_canonical_abi::error::Content;
use mini_wasm_canonical_abi::plan::{Scalar, Transcode};
use mini_wasm_canonical_abi::{Error as AbiError, Trap as AbiTrap, check_reallocated};

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

/// What stands between two guests.
pub(crate) trait Crossing: Send + Sync {
    /// The whole call: parameters in the slots, results into the same place.
    fn call(&self, store: &mut StoreInner, slots: &mut [RawVal]) -> core::result::Result<(), Stopped>;

    /// The rest of a call, where the callee has returned `results`.
    fn finish(
        &self,
        store: &mut StoreInner,
        slots: &mut [RawVal],
        results: &mut [RawVal],
    ) -> core::result::Result<(), Stopped>;

    /// The end of a call in which native code has found this.
    fn refuse(&self, store: &mut StoreInner, trap: AbiTrap) -> Stopped;

    /// What the elements of a list are checked for, whose step of the plan for parameters (or results) this is.
    fn elements(&self, results: bool, step: u32) -> Scalar;

    /// Moves a string: pointer and (tagged) length, of it and of what it became. `moved`: bytes that went over before.
    fn text(
        &self,
        store: &mut StoreInner,
        results: bool,
        string: (u64, u64),
        moved: &mut u64,
    ) -> core::result::Result<(u64, u64), Stopped>;

    /// Moves a handle.
    fn own(
        &self,
        store: &mut StoreInner,
        results: bool,
        resource: u32,
        index: u32,
    ) -> core::result::Result<u32, Stopped>;

    /// Lends a handle to the innermost call.
    fn borrow(&self, store: &mut StoreInner, resource: u32, index: u32)
    -> core::result::Result<u32, Stopped>;
}

/// Ways past a [`Crossing`] for callers in native code.
pub(crate) struct Shortcuts {
    /// Where this word of the store's is not 0, calling that function instead comes to the same.
    pub(crate) guarded: Option<(Arc<AtomicU32>, Func)>,
    /// Code that does the same, or as much as it can.
    pub(crate) native: Option<Native>,
}

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
    /// A function that stands between two guests.
    ///
    /// # Errors
    /// `Usage` when the function behind a guard is not the store's or has another type.
    pub(crate) fn new_crossing(
        store: &mut StoreInner,
        ty: InternedFuncType,
        crossing: Box<dyn Crossing>,
        shortcuts: Shortcuts,
    ) -> Result<Func> {
        let mut func = HostFunc::with_body(ty, cross, Body::Crossing(crossing));
        if let Some((guard, behind)) = shortcuts.guarded {
            let behind = store.func_ptr(behind)?;
            // SAFETY: V1.
            let (native, behind_ty) = unsafe { ((*behind).native, (*behind).ty) };
            if behind_ty != ty.vm {
                return Err(Error::usage("the function behind a guard has another type"));
            }
            if !native.is_null() {
                (func.vm.guard, func.vm.behind) = (Arc::as_ptr(&guard), behind);
                func.guard = Some(guard);
            }
        }
        func.native = shortcuts.native;
        let func = store.add_host_func(func);
        Ok(store.func_handle(func))
    }
}

/// Native code between two guests, and what it reads.
pub(crate) struct Native {
    vm: VmAdapter,
    code: Option<Arc<dyn NativeAdapter>>,
    /// What callers may do themselves.
    scalars: Option<ScalarCall>,
    /// `vm` points there.
    _resources: Box<[u64]>,
    /// Held for as long as `vm` points there.
    _may_leave: [Arc<AtomicU32>; 2],
}

/// What native code between two guests reaches.
pub(crate) struct Between<'a> {
    pub(crate) callee: Callee,
    /// The callee's and the caller's.
    pub(crate) realloc: [Option<Callee>; 2],
    pub(crate) post_return: Option<Callee>,
    /// Handles of the caller and of the callee, and the calls with borrows, as [`VmAdapter`] has them.
    pub(crate) handles: [*mut c_void; 3],
    /// As [`VmAdapter`] has them.
    pub(crate) resources: Box<[u64]>,
    /// In the direction of the parameters.
    pub(crate) memories: &'a TwoMemories,
    /// Of the caller and of the callee.
    pub(crate) may_leave: [&'a Arc<AtomicU32>; 2],
}

impl Between<'_> {
    /// What `compile` makes of an adapter, linked, and what callers may do themselves; it is told the types of callee, both `realloc`s and
    /// `post-return`. `None` where it makes nothing, and where a function has no native code.
    pub(crate) fn link(
        self,
        store: &StoreInner,
        compile: impl FnOnce(Types) -> (Option<Arc<dyn NativeAdapter>>, Option<ScalarCall>),
    ) -> Option<Native> {
        let entry = |callee: Option<Callee>| {
            let (mut native, mut context, mut func) = (ptr::null(), ptr::null_mut(), ptr::null());
            if let Some(callee) = callee {
                store.check(callee.store).ok()?;
                func = callee.func;
                // SAFETY: V1.
                (native, context) = unsafe { ((*func).native, (*func).context) };
                if native.is_null() {
                    return None;
                }
            }
            Some(VmImport { native, context, func, adapter: ptr::null() })
        };
        let [realloc, caller_realloc] = self.realloc;
        let (callee, own_realloc, post_return) =
            (entry(Some(self.callee))?, entry(realloc)?, entry(self.post_return)?);
        let other_realloc = entry(caller_realloc);
        let memories = self.memories.vms();
        let ty = |callee: Callee| {
            // SAFETY: V1, V6.
            store.engine().func_type(TypeId(unsafe { (*(*callee.func).ty).id }))
        };
        let (code, scalars) = compile(Types {
            callee: ty(self.callee)?,
            realloc: realloc.and_then(ty),
            caller_realloc: caller_realloc.filter(|_| other_realloc.is_some()).and_then(ty),
            post_return: self.post_return.and_then(ty),
            memories: memories.0.is_some() && memories.1.is_some(),
        });
        if code.is_none() && scalars.is_none() {
            return None;
        }
        let vm = VmAdapter {
            caller_may_leave: Arc::as_ptr(self.may_leave[0]),
            callee,
            func: ptr::null(),
            callee_may_leave: Arc::as_ptr(self.may_leave[1]),
            realloc: own_realloc,
            caller_realloc: other_realloc.or_else(|| entry(None))?,
            post_return,
            from: memories.0.unwrap_or(ptr::null()),
            to: memories.1.unwrap_or(ptr::null()),
            caller_handles: self.handles[0],
            callee_handles: self.handles[1],
            tasks: self.handles[2],
            resources: self.resources.as_ptr(),
            store: ptr::null_mut(),
            builtins: store.engine().builtins(),
            scalars: ptr::null(),
        };
        Some(Native {
            vm,
            code,
            scalars,
            _resources: self.resources,
            _may_leave: self.may_leave.map(Arc::clone),
        })
    }
}

/// What a compiler is told of the functions that an adapter calls.
pub(crate) struct Types {
    pub(crate) callee: FuncType,
    pub(crate) realloc: Option<FuncType>,
    /// Where it has native code.
    pub(crate) caller_realloc: Option<FuncType>,
    pub(crate) post_return: Option<FuncType>,
    /// Both sides have a memory that no other thread touches.
    pub(crate) memories: bool,
}

impl Native {
    /// Called once at its final address; tells the function that it is the code of.
    pub(super) fn seal(&mut self, func: &mut VmFunc, store: *mut VmStore) {
        (self.vm.func, self.vm.store) = (&raw const *func, store);
        if let Some(scalars) = &self.scalars {
            (self.vm.scalars, func.adapter) = (&raw const *scalars, &raw const self.vm);
        }
        if let Some(code) = &self.code {
            (func.native, func.context) = (code.entry(), (&raw mut self.vm).cast());
        }
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
    store.planned_calls = store.planned_calls.wrapping_add(1);
    // SAFETY: V4.
    let slots = unsafe { core::slice::from_raw_parts_mut(slots, func.slots) };
    status(store, |store| func.crossing().call(store, slots))
}

/// Runs what may stop; how it ended.
fn status(
    store: &mut StoreInner,
    run: impl FnOnce(&mut StoreInner) -> core::result::Result<(), Stopped>,
) -> Status {
    #[cfg(feature = "std")]
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(store)));
    #[cfg(not(feature = "std"))]
    let result: core::result::Result<_, core::convert::Infallible> = Ok(run(store));
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

impl HostFunc {
    fn crossing(&self) -> &dyn Crossing {
        match &self.body {
            Body::Crossing(crossing) => &**crossing,
            Body::Host(_) | Body::Numbered(..) => {
                unreachable!("crash: the entry of another kind of function")
            }
        }
    }
}

// What native code between two guests calls.

/// The function that an adapter is the code of, its store, and what the adapter reads.
///
/// # Safety
/// `adapter` is the address of a [`VmAdapter`] whose code runs (V1, V5), and whoever holds the store's borrow waits for this call.
unsafe fn parts<'a>(adapter: u64) -> (&'a HostFunc, &'a mut StoreInner, &'a VmAdapter) {
    // SAFETY: the caller vouches; the record was sealed at its final address.
    unsafe {
        let vm = &*(adapter as usize as *const VmAdapter);
        (&*(*vm.func).host.cast::<HostFunc>(), &mut *(*vm.store).inner.cast::<StoreInner>(), vm)
    }
}

/// [`crate::vm::VmBuiltins::adapter_string`]
pub(crate) unsafe extern "C" fn string(
    _ctx: *mut VmContext,
    adapter: u64,
    transcode: u32,
    from: u64,
    to: u64,
    units: u64,
) -> Status {
    let Some(transcode) = Transcode::ALL.get(transcode as usize) else {
        unreachable!("crash: native code asks for an unknown pair of encodings")
    };
    let (from_unit, to_unit) = transcode.units();
    let units = units as usize;
    // SAFETY: V2: native code has checked that both ranges lie in memories that are two and that no other thread touches; no borrow of
    // their bytes lasts over a call of a guest.
    let (src, dst) = unsafe {
        (
            core::slice::from_raw_parts(from as usize as *const u8, units * from_unit),
            core::slice::from_raw_parts_mut(to as usize as *mut u8, units * to_unit),
        )
    };
    let mut read = 0;
    loop {
        let piece = transcode.cut(&src[read..], PIECE_BYTES);
        let place = read / from_unit * to_unit..(read + piece) / from_unit * to_unit;
        let moved = transcode.run(&src[read..read + piece], &mut dst[place]);
        read += piece;
        if moved.is_ok() && read == src.len() {
            return Status::OK;
        }
        // SAFETY: native code calls with its own context.
        let (func, store, _) = unsafe { parts(adapter) };
        let ended = match moved {
            Ok(()) => store.pause().map_err(Stopped::from),
            Err(trap) => Err(func.crossing().refuse(store, trap)),
        };
        if let Err(stopped) = ended {
            return status(store, |_| Err(stopped));
        }
    }
}

/// [`crate::vm::VmBuiltins::adapter_pause`]
pub(crate) unsafe extern "C" fn pause(_ctx: *mut VmContext, adapter: u64) -> Status {
    // SAFETY: native code calls with its own context.
    let (_, store, _) = unsafe { parts(adapter) };
    status(store, |store| store.pause().map_err(Stopped::from))
}

/// [`crate::vm::VmBuiltins::adapter_list`]
pub(crate) unsafe extern "C" fn list(
    _ctx: *mut VmContext,
    adapter: u64,
    from: u64,
    to: u64,
    bytes: u64,
) -> Status {
    // SAFETY: as in `string`, and native code calls with its own context.
    unsafe { by_pieces(adapter, from, to, bytes, |_| Ok(())) }
}

/// Moves bytes from one memory to another in pieces, between which the deadline is looked at.
/// `judge` sees where each piece is now, and how long it is.
///
/// # Safety
/// As for [`parts`], and for the addresses as in [`string`].
unsafe fn by_pieces(
    adapter: u64,
    from: u64,
    to: u64,
    bytes: u64,
    mut judge: impl FnMut(*mut [u8]) -> core::result::Result<(), Stopped>,
) -> Status {
    let (from, to, bytes) = (from as usize as *const u8, to as usize as *mut u8, bytes as usize);
    let mut done = 0;
    loop {
        // A piece is a multiple of every element's size.
        let piece = (bytes - done).min(PIECE_BYTES);
        // SAFETY: the caller vouches for the addresses.
        let place = unsafe {
            ptr::copy_nonoverlapping(from.add(done), to.add(done), piece);
            ptr::slice_from_raw_parts_mut(to.add(done), piece)
        };
        done += piece;
        let judged = judge(place);
        if judged.is_ok() && done == bytes {
            return Status::OK;
        }
        // SAFETY: the caller vouches for the adapter.
        let (_, store, _) = unsafe { parts(adapter) };
        let ended = judged.and_then(|()| store.pause().map_err(Stopped::from));
        if let Err(stopped) = ended {
            return status(store, |_| Err(stopped));
        }
    }
}

/// [`crate::vm::VmBuiltins::adapter_refuse`]
pub(crate) unsafe extern "C" fn refuse(
    _ctx: *mut VmContext,
    adapter: u64,
    results: u32,
    content: u32,
    ptr: u64,
    alignment: u64,
    bytes: u64,
) -> Status {
    let content = match AdapterContent::ALL.get(content as usize) {
        Some(AdapterContent::String) => Content::String,
        Some(AdapterContent::List) => Content::List,
        _ => Content::Values,
    };
    // SAFETY: native code calls with its own context; there is a memory where there is a `realloc`.
    let (func, store, length) = unsafe {
        let (func, store, vm) = parts(adapter);
        let memory = if results == 0 { vm.to } else { vm.from };
        (func, store, (*memory).len.load(Ordering::Relaxed))
    };
    match check_reallocated(ptr as usize, alignment as usize, bytes as usize, length, content) {
        Err(AbiError::Trap(trap)) => status(store, |store| Err(func.crossing().refuse(store, trap))),
        _ => unreachable!("crash: native code refuses what is right"),
    }
}

/// [`crate::vm::VmBuiltins::adapter_trap`]
pub(crate) unsafe extern "C" fn trap(
    _ctx: *mut VmContext,
    adapter: u64,
    trap: u32,
    first: u64,
    second: u64,
) -> Status {
    let (first, second) = (first as u32, second as u32);
    let trap = match AdapterTrap::ALL.get(trap as usize) {
        Some(AdapterTrap::Unaligned) => AbiTrap::UnalignedPointer,
        Some(AdapterTrap::StringOutOfBounds) => AbiTrap::OutOfBounds(Content::String),
        Some(AdapterTrap::ListOutOfBounds) => AbiTrap::OutOfBounds(Content::List),
        Some(AdapterTrap::StringTooLong) => AbiTrap::TooLong(Content::String),
        Some(AdapterTrap::ListTooLong) => AbiTrap::TooLong(Content::List),
        Some(AdapterTrap::CopyBudget) => AbiTrap::CopyBudget,
        Some(AdapterTrap::Char) => AbiTrap::InvalidChar(first),
        Some(AdapterTrap::Discriminant) => {
            AbiTrap::InvalidDiscriminant { discriminant: first, cases: second }
        }
        Some(AdapterTrap::BorrowsRemain) => AbiTrap::BorrowsRemain,
        None => unreachable!("crash: native code has found an unknown trap"),
    };
    // SAFETY: native code calls with its own context.
    let (func, store, _) = unsafe { parts(adapter) };
    status(store, |store| Err(func.crossing().refuse(store, trap)))
}

/// [`crate::vm::VmBuiltins::adapter_checked`]
pub(crate) unsafe extern "C" fn checked(
    _ctx: *mut VmContext,
    adapter: u64,
    results: u32,
    step: u32,
    from: u64,
    to: u64,
    bytes: u64,
) -> Status {
    let judge = |place: *mut [u8]| {
        // SAFETY: native code calls with its own context; the piece is as in `string`.
        let (func, store, elements) = unsafe {
            let (func, store, _) = parts(adapter);
            (func, store, &mut *place)
        };
        match func.crossing().elements(results != 0, step).convert_all(elements) {
            Ok(()) => Ok(()),
            Err(AbiError::Trap(trap)) => Err(func.crossing().refuse(store, trap)),
            Err(_) => unreachable!("crash: elements of a list are values, or the guest is to blame"),
        }
    };
    // SAFETY: as in `list`.
    unsafe { by_pieces(adapter, from, to, bytes, judge) }
}

/// [`crate::vm::VmBuiltins::adapter_text`]
pub(crate) unsafe extern "C" fn text(
    _ctx: *mut VmContext,
    adapter: u64,
    results: u32,
    values: *mut RawVal,
) -> Status {
    // SAFETY: native code calls with its own context, and with three slots.
    let (func, store, values) = unsafe {
        let (func, store, _) = parts(adapter);
        (func, store, &mut *values.cast::<[RawVal; 3]>())
    };
    status(store, |store| {
        let [ptr, length, moved] = values;
        (*ptr, *length) = func.crossing().text(store, results != 0, (*ptr, *length), moved)?;
        Ok(())
    })
}

/// What a builtin answers with that has an index or a status.
fn index(
    store: &mut StoreInner,
    run: impl FnOnce(&mut StoreInner) -> core::result::Result<u32, Stopped>,
) -> u64 {
    let mut found = 0;
    let status = status(store, |store| {
        found = run(store)?;
        Ok(())
    });
    u64::from(status.0) << 32 | u64::from(found)
}

/// [`crate::vm::VmBuiltins::adapter_own`]
pub(crate) unsafe extern "C" fn own(
    _ctx: *mut VmContext,
    adapter: u64,
    results: u32,
    resource: u32,
    handle: u32,
) -> u64 {
    // SAFETY: native code calls with its own context.
    let (func, store, _) = unsafe { parts(adapter) };
    index(store, |store| func.crossing().own(store, results != 0, resource, handle))
}

/// [`crate::vm::VmBuiltins::adapter_borrow`]
pub(crate) unsafe extern "C" fn borrow(
    _ctx: *mut VmContext,
    adapter: u64,
    resource: u32,
    handle: u32,
) -> u64 {
    // SAFETY: native code calls with its own context.
    let (func, store, _) = unsafe { parts(adapter) };
    index(store, |store| func.crossing().borrow(store, resource, handle))
}

/// [`crate::vm::VmBuiltins::adapter_finish`]
pub(crate) unsafe extern "C" fn finish(
    _ctx: *mut VmContext,
    adapter: u64,
    values: *mut RawVal,
    results: *mut RawVal,
) -> Status {
    // SAFETY: native code calls with its own context, and with slots for its own type (V4) and for the callee's results.
    let (func, store, values, results) = unsafe {
        let (func, store, _) = parts(adapter);
        (
            func,
            store,
            core::slice::from_raw_parts_mut(values, func.slots),
            core::slice::from_raw_parts_mut(results, CROSSING_SLOTS),
        )
    };
    status(store, |store| func.crossing().finish(store, values, results))
}
