//! The store (core specification 4.2.3): owns every instance, function, memory, table and global, and the limits they share.
//!
//! Three faces, and no more: [`Store<T>`] for the embedder, [`Caller<'_, T>`](crate::host::Caller) for host functions,
//! [`StoreInner`] for the engine, where `T` is erased. Guest code reaches the store through [`VmStore`].

use crate::any_ref::{self, AnyRef};
use crate::engine::Engine;
use crate::error::{Backtrace, Error, Frame, Result};
use crate::exception::{ExnRef, Landing};
use crate::gc;
use crate::handle::{Func, Instance, StoreId};
use crate::host::{HostFunc, HostFuncs};
use crate::instance::{ElemValues, InstanceData};
pub use crate::limits::StoreLimits;
use crate::memory::MemoryData;
use crate::module::ModuleInfo;
use crate::reference;
use crate::stack::{NativeStack, ValueStack};
use crate::switching::Switching;
use crate::table::TableData;
use crate::tag::TagData;
use crate::trap::Trap;
use crate::types::{GlobalType, HeapType, ValType};
use crate::val::{ExternRef, RawVal, Val};
use crate::vm::{Status, VmContext, VmFunc, VmGlobal, VmStore, VmType};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::any::{Any, TypeId as RustTypeId};
use core::marker::PhantomData;
use core::num::NonZeroU64;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};
use mini_wasm_canonical_abi::{Charge, HostMemory};

/// Owns everything that guest code made, and the embedder's own data.
///
/// One thread at a time uses a store; it may move between threads when `T` may.
pub struct Store<T: Send + 'static> {
    inner: NonNull<StoreInner>,
    data: PhantomData<T>,
}

// SAFETY: `StoreInner` owns all it points to (V1), and its `data` is a `T: Send`.
unsafe impl<T: Send + 'static> Send for Store<T> {}

impl<T: Send + 'static> Store<T> {
    /// An empty store with the embedder's data and default limits.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        Store { inner: NonNull::from(Box::leak(StoreInner::new(engine, Box::new(data)))), data: PhantomData }
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        self.as_store().data_ref()
    }

    /// The embedder's data, to change.
    pub fn data_mut(&mut self) -> &mut T {
        self.as_store_mut().data_mut()
    }

    /// Takes the data out and drops everything else.
    pub fn into_data(mut self) -> T {
        let data = core::mem::replace(&mut self.as_store_mut().data, Box::new(()));
        match data.downcast::<T>() {
            Ok(data) => *data,
            Err(_) => unreachable!("crash: the store's data has another type than the store"),
        }
    }

    /// Sets the ceilings. What exists already stays.
    pub fn set_limits(&mut self, limits: StoreLimits) {
        self.as_store_mut().set_limits(limits);
    }

    /// Sets who counts what the engine keeps because of guests, beside their own memories: contexts of instances, tables of handles,
    /// and values that are lifted, for as long as their call is under way (a [`LIFTED_PIECE`](crate::component::abi::context::LIFTED_PIECE) is free for each
    /// call). What exists already is not counted.
    pub fn set_host_memory(&mut self, memory: Arc<dyn HostMemory>) {
        self.as_store_mut().set_host_memory(memory);
    }

    /// Calls between components that went by a plan, step by step: for tests of the ways around it.
    #[doc(hidden)]
    pub fn planned_calls(&mut self) -> u64 {
        self.as_store_mut().planned_calls
    }

    /// Bytes that count against [`StoreLimits::total_bytes`] now.
    pub fn bytes_in_use(&self) -> u64 {
        self.as_store().bytes_in_use()
    }

    /// Collects the heap: what neither guests nor handles of the host reach becomes free.
    pub fn collect(&mut self) {
        self.as_store_mut().collect_garbage();
    }

    /// What the heap holds.
    pub fn gc_stats(&self) -> gc::GcStats {
        self.as_store().gc_stats()
    }

    /// The fuel left; `None` when the engine does not count.
    pub fn fuel(&self) -> Option<u64> {
        self.as_store().fuel()
    }

    /// Sets the fuel. No effect when the engine does not count.
    pub fn set_fuel(&mut self, fuel: u64) {
        self.as_store_mut().set_fuel(fuel);
    }

    /// Guest code stops when the engine's epoch reaches `ticks` more than now. No effect when the engine does not check.
    pub fn set_epoch_deadline(&mut self, ticks: usize) {
        self.as_store_mut().set_epoch_deadline(ticks);
    }

    /// At its deadline the guest of a call that may wait (`call_async`) lets others have a turn and goes on with a deadline that is
    /// `ticks` later, instead of stopping. `None` takes that back. Of calls that do not wait the deadline is the end all the same.
    #[cfg(fibers)]
    pub fn set_epoch_yield(&mut self, ticks: Option<usize>) {
        self.as_store_mut().epoch_yield = ticks;
    }
}

impl<T: Send + 'static> Drop for Store<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `new`, dropped once.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

impl<T: Send + 'static + core::fmt::Debug> core::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("data", self.data()).finish_non_exhaustive()
    }
}

/// What can be read as a store.
pub trait AsStore {
    /// The store, its data's type erased.
    fn as_store(&self) -> &StoreInner;
}

/// What can be used as a store.
pub trait AsStoreMut: AsStore {
    /// The store, its data's type erased.
    fn as_store_mut(&mut self) -> &mut StoreInner;
}

impl<T: Send + 'static> AsStore for Store<T> {
    fn as_store(&self) -> &StoreInner {
        // SAFETY: made in `new`, alive until drop; `&self` lends it shared.
        unsafe { self.inner.as_ref() }
    }
}
impl<T: Send + 'static> AsStoreMut for Store<T> {
    fn as_store_mut(&mut self) -> &mut StoreInner {
        // SAFETY: as above; `&mut self` lends it exclusively.
        unsafe { self.inner.as_mut() }
    }
}
impl AsStore for StoreInner {
    fn as_store(&self) -> &StoreInner {
        self
    }
}
impl AsStoreMut for StoreInner {
    fn as_store_mut(&mut self) -> &mut StoreInner {
        self
    }
}
impl<S: AsStore + ?Sized> AsStore for &S {
    fn as_store(&self) -> &StoreInner {
        (**self).as_store()
    }
}
impl<S: AsStore + ?Sized> AsStore for &mut S {
    fn as_store(&self) -> &StoreInner {
        (**self).as_store()
    }
}
impl<S: AsStoreMut + ?Sized> AsStoreMut for &mut S {
    fn as_store_mut(&mut self) -> &mut StoreInner {
        (**self).as_store_mut()
    }
}

/// A global of the store: where its value lies, and its type.
pub(crate) struct GlobalData {
    pub(crate) vm: *mut VmGlobal,
    pub(crate) ty: GlobalType,
    /// The value, when no instance holds it.
    owned: bool,
}

/// What waits at the outermost door while guest frames are left.
pub(crate) enum Parked {
    Error(Error),
    #[cfg(feature = "std")]
    Panic(Box<dyn Any + Send>),
}

/// A guest frame that was left, by address. The doors turn it into a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct RawFrame {
    /// The instance.
    pub instance: *mut VmContext,
    /// The function's index in its module.
    pub func: u32,
    /// Where in the function.
    pub(crate) place: Place,
}

/// Where in a function a frame was left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Byte offset in the file, if it is known.
    Offset(Option<u32>),
    /// An address in translated code: what it means is found out when somebody asks, which is dear, and often nobody does.
    Translated(usize),
}

/// A store with the type of its data erased: what the engine works on.
pub struct StoreInner {
    id: StoreId,
    engine: Engine,
    vm: NonNull<VmStore>,
    limits: StoreLimits,
    /// Who counts what the engine keeps because of guests, beside their own memories; `None`: nobody.
    host_memory: Option<Arc<dyn HostMemory>>,
    /// What instances take of it.
    kept: Charge,
    /// What the values take that are lifted for the calls under way.
    pub(crate) lifted: Charge,
    /// Calls between components that went by a plan, step by step.
    pub(crate) planned_calls: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u64,
    instance_bytes: u64,
    pub(crate) gc: gc::Heap,
    pub(crate) switching: Switching,
    /// Where the interpreter goes on after an exception; means nothing at other times.
    pub(crate) landing: Landing,
    /// Held for as long as `vm` points into it.
    value_stack: ValueStack,
    native_stack: NativeStack,
    /// Is every call between the innermost `call_async` and here one that may wait?
    pub(crate) may_wait: bool,
    #[cfg(fibers)]
    /// By how many epochs the deadline of a call that may wait moves on when it is reached; `None`: the guest stops.
    pub(crate) epoch_yield: Option<usize>,
    #[expect(
        clippy::vec_box,
        reason = "contexts point back at these: they must not move when the list grows"
    )]
    pub(crate) instances: Vec<Box<InstanceData>>,
    funcs: Vec<*const VmFunc>,
    pub(crate) memories: Vec<NonNull<MemoryData>>,
    pub(crate) tables: Vec<NonNull<TableData>>,
    pub(crate) globals: Vec<GlobalData>,
    #[expect(clippy::vec_box, reason = "contexts point at these: they must not move when the list grows")]
    pub(crate) tags: Vec<Box<TagData>>,
    host_funcs: HostFuncs,
    no_memory: NonNull<MemoryData>,
    parked: Option<Parked>,
    caller: Option<Instance>,
    backtrace: Vec<RawFrame>,
    omitted_frames: u64,
    data: Box<dyn Any + Send>,
    /// By type. There are one or two, and calls between components ask for theirs: a list is the fastest map.
    extensions: Vec<(RustTypeId, Box<dyn Any + Send>)>,
}

// SAFETY: every pointer in it leads to something that it owns (V1) or to the engine it holds; one thread uses it at a time (V5).
unsafe impl Send for StoreInner {}

impl StoreInner {
    fn new(engine: &Engine, data: Box<dyn Any + Send>) -> Box<StoreInner> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed) as u64;
        let id = StoreId(NonZeroU64::new(id).unwrap_or(NonZeroU64::MIN));
        let value_stack = ValueStack::new(engine.config().value_stack_bytes);
        let vm = VmStore {
            stack_limit: 0,
            fuel: if engine.config().fuel { 0 } else { u64::MAX },
            epoch_deadline: usize::MAX,
            epoch: engine.epoch_counter(),
            value_stack_top: value_stack.base(),
            value_stack_limit: value_stack.limit(),
            inner: ptr::null_mut(),
            builtins: engine.builtins(),
            copy_bytes_per_call: StoreLimits::default().copy_bytes_per_call,
            exception: 0,
        };
        Box::new(StoreInner {
            id,
            engine: engine.clone(),
            vm: NonNull::from(Box::leak(Box::new(vm))),
            limits: StoreLimits::default(),
            host_memory: None,
            kept: Charge::default(),
            lifted: Charge::default(),
            planned_calls: 0,
            memory_bytes: 0,
            table_elements: 0,
            instance_bytes: 0,
            gc: gc::Heap::new(engine),
            switching: Switching::new(engine),
            value_stack,
            landing: Landing::default(),
            native_stack: NativeStack::default(),
            may_wait: false,
            #[cfg(fibers)]
            epoch_yield: None,
            instances: Vec::new(),
            funcs: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            host_funcs: HostFuncs::default(),
            no_memory: NonNull::from(Box::leak(Box::new(MemoryData::none()))),
            parked: None,
            caller: None,
            backtrace: Vec::new(),
            omitted_frames: 0,
            data,
            extensions: Vec::new(),
        })
    }

    /// The store's identity.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The ceilings.
    pub fn limits(&self) -> &StoreLimits {
        &self.limits
    }

    /// The embedder's data; panics if `T` is not the store's type, which only the engine's own code could cause.
    pub(crate) fn data_ref<T: 'static>(&self) -> &T {
        match self.data.downcast_ref() {
            Some(data) => data,
            None => unreachable!("crash: the store's data has another type than the host function's"),
        }
    }

    pub(crate) fn data_mut<T: 'static>(&mut self) -> &mut T {
        match self.data.downcast_mut() {
            Some(data) => data,
            None => unreachable!("crash: the store's data has another type than the host function's"),
        }
    }

    /// Runs what needs the embedder's data to change and the rest of the store to look at.
    pub(crate) fn lend_data<T: 'static, R>(
        &mut self,
        run: impl FnOnce(&StoreInner, &mut T) -> R,
    ) -> Result<R> {
        let mut data = core::mem::replace(&mut self.data, Box::new(()));
        let result = data.downcast_mut::<T>().map(|data| {
            #[cfg(feature = "std")]
            return std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| run(self, data)));
            #[cfg(not(feature = "std"))]
            Ok::<R, core::convert::Infallible>(run(self, data))
        });
        self.data = data;
        match result {
            Some(Ok(result)) => Ok(result),
            #[cfg(feature = "std")]
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            #[cfg(not(feature = "std"))]
            Some(Err(never)) => match never {},
            None => Err(Error::usage("this function was defined for stores with another type of data")),
        }
    }

    /// Is the embedder's data a `T`?
    pub(crate) fn holds<T: 'static>(&self) -> bool {
        self.data.is::<T>()
    }

    /// State of a layer above this one (components), made when first asked for.
    pub fn extension<E: Default + Send + 'static>(&mut self) -> &mut E {
        let key = RustTypeId::of::<E>();
        let at = self.extensions.iter().position(|(found, _)| *found == key).unwrap_or_else(|| {
            self.extensions.push((key, Box::new(E::default())));
            self.extensions.len() - 1
        });
        match self.extensions[at].1.downcast_mut() {
            Some(extension) => extension,
            None => unreachable!("crash: an extension under another type's key"),
        }
    }

    /// The same, to read: `None` when nobody has made it yet.
    pub fn extension_ref<E: 'static>(&self) -> Option<&E> {
        let key = RustTypeId::of::<E>();
        self.extensions.iter().find(|(found, _)| *found == key)?.1.downcast_ref()
    }

    pub(crate) fn vm(&self) -> *mut VmStore {
        self.vm.as_ptr()
    }

    /// The fuel left; `None` when the engine does not count.
    pub fn fuel(&self) -> Option<u64> {
        // SAFETY: V1.
        self.engine.config().fuel.then(|| unsafe { (*self.vm()).fuel })
    }

    /// Sets the fuel.
    pub fn set_fuel(&mut self, fuel: u64) {
        if self.engine.config().fuel {
            // SAFETY: V1, V5.
            unsafe { (*self.vm()).fuel = fuel }
        }
    }

    /// Takes fuel for work that the host does for the guest.
    pub fn consume_fuel(&mut self, units: u64) -> Result<(), Trap> {
        if !self.engine.config().fuel {
            return Ok(());
        }
        // SAFETY: V1, V5.
        let fuel = unsafe { &mut (*self.vm()).fuel };
        *fuel = fuel.checked_sub(units).ok_or(Trap::OutOfFuel)?;
        Ok(())
    }

    /// Guest code stops when the engine's epoch reaches `ticks` more than now.
    pub fn set_epoch_deadline(&mut self, ticks: usize) {
        // SAFETY: V1, V5.
        unsafe { (*self.vm()).epoch_deadline = self.engine.epoch().saturating_add(ticks) }
    }

    /// Is the deadline over?
    pub fn deadline_reached(&self) -> bool {
        // SAFETY: V1.
        self.engine.config().epoch && self.engine.epoch() >= unsafe { (*self.vm()).epoch_deadline }
    }

    /// The instance whose import runs, as far as it is known.
    pub(crate) fn caller(&self) -> Option<Instance> {
        self.caller
    }

    pub(crate) fn swap_caller(&mut self, caller: Option<Instance>) -> Option<Instance> {
        core::mem::replace(&mut self.caller, caller)
    }

    pub(crate) fn no_memory(&self) -> NonNull<MemoryData> {
        self.no_memory
    }

    // ---- functions -----------------------------------------------------------------------------------------------

    /// The handle of a function that this store owns.
    pub(crate) fn func_handle(&mut self, func: *const VmFunc) -> Func {
        // SAFETY: V1; one thread at a time uses a store (V5).
        let handle = unsafe { &(*func).handle };
        let index = match handle.load(Ordering::Relaxed) {
            0 => {
                self.funcs.push(func);
                let count = self.funcs.len() as u32;
                handle.store(count, Ordering::Relaxed);
                count - 1
            }
            count => count - 1,
        };
        Func { store: self.id, index }
    }

    fn set_limits(&mut self, limits: StoreLimits) {
        // SAFETY: V1, V5.
        unsafe { (*self.vm()).copy_bytes_per_call = limits.copy_bytes_per_call };
        self.limits = limits;
    }

    fn set_host_memory(&mut self, memory: Arc<dyn HostMemory>) {
        (self.kept, self.lifted) = (Charge::new(memory.clone()), Charge::new(memory.clone()));
        self.host_memory = Some(memory);
    }

    /// A charge of what counts the host's memory, for what lives as long as this store.
    pub(crate) fn host_charge(&self) -> Charge {
        self.host_memory.clone().map_or_else(Charge::default, Charge::new)
    }

    /// The function behind a handle.
    pub(crate) fn func_ptr(&self, func: Func) -> Result<*const VmFunc> {
        self.check(func.store)?;
        self.funcs
            .get(func.index as usize)
            .copied()
            .ok_or_else(|| Error::usage("no such function in this store"))
    }

    pub(crate) fn add_host_func(&mut self, func: HostFunc) -> *const VmFunc {
        let vm = self.vm();
        let mut func = self.host_funcs.push(func);
        // SAFETY: just made, at its final address; nobody else has it.
        let func = unsafe { func.as_mut() };
        func.seal(vm);
        func.vm()
    }

    /// Is the handle this store's?
    pub(crate) fn check(&self, store: StoreId) -> Result<()> {
        if store == self.id {
            return Ok(());
        }
        Err(Error::usage(format!("this handle belongs to store {}, not to store {}", store.0, self.id.0)))
    }

    /// Takes what an instance of a module needs from [`StoreLimits::instance_bytes`].
    pub(crate) fn charge_instance(&mut self, module: &ModuleInfo) -> Result<()> {
        // What stands here for imports is a host function and its handle, the largest that one can need.
        let rows = [
            (module.imports.len(), size_of::<HostFunc>() + 64),
            (module.globals.len(), size_of::<GlobalData>()),
            (module.tags.len(), size_of::<TagData>() + size_of::<usize>()),
            (module.memories.len(), size_of::<MemoryData>() + size_of::<usize>()),
            (module.tables.len(), size_of::<TableData>() + size_of::<usize>()),
            (module.elems.len(), size_of::<ElemValues>()),
            (module.elems.iter().map(|elem| elem.evaluated()).sum(), size_of::<RawVal>()),
            (module.data.len(), size_of::<bool>()),
        ];
        let bytes: u64 = rows.iter().map(|&(count, size)| count as u64 * size as u64).sum();
        self.charge_instance_bytes(bytes + u64::from(module.layout.size))
    }

    /// Takes so many bytes from [`StoreLimits::instance_bytes`], for something that lives as long as the store.
    pub(crate) fn charge_instance_bytes(&mut self, bytes: u64) -> Result<()> {
        let total = self.instance_bytes.saturating_add(bytes);
        if total > self.limits.instance_bytes {
            return Err(Error::exhausted(format!(
                "an instance of {bytes} bytes goes past the store's limit of {} bytes for instances ({} are in use)",
                self.limits.instance_bytes, self.instance_bytes
            )));
        }
        if !self.kept.grow(usize::try_from(bytes).unwrap_or(usize::MAX)) {
            return Err(Error::exhausted(format!(
                "an instance of {bytes} bytes takes more of the host's memory than there is for this store"
            )));
        }
        self.instance_bytes = total;
        Ok(())
    }

    pub(crate) fn add_global(&mut self, vm: *mut VmGlobal, ty: GlobalType) -> u32 {
        self.globals.push(GlobalData { vm, ty, owned: false });
        self.globals.len() as u32 - 1
    }

    pub(crate) fn add_owned_global(&mut self, slots: [RawVal; 2], ty: GlobalType) -> u32 {
        let vm = Box::into_raw(Box::new(VmGlobal { slots }));
        self.globals.push(GlobalData { vm, ty, owned: true });
        self.globals.len() as u32 - 1
    }

    // ---- values --------------------------------------------------------------------------------------------------

    /// Writes a value into its slots. The value must have this type.
    pub(crate) fn lower_val(&self, val: &Val, slots: &mut [RawVal]) -> Result<()> {
        let (slot, rest) = slots.split_first_mut().ok_or_else(|| Error::usage("too few slots"))?;
        *slot = match val.clone() {
            Val::I32(v) => u64::from(v as u32),
            Val::I64(v) => v as u64,
            Val::F32(bits) => u64::from(bits),
            Val::F64(bits) => bits,
            Val::V128(v) => {
                *rest.first_mut().ok_or_else(|| Error::usage("too few slots"))? = (v >> 64) as u64;
                v as u64
            }
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => 0,
            Val::ExnRef(Some(exception)) => exception.reference(self)?,
            Val::AnyRef(Some(any)) | Val::Externalized(any) => self.lower_any(&any)?,
            Val::FuncRef(Some(func)) => self.func_ptr(func)? as usize as u64,
            Val::ExternRef(Some(ExternRef(n))) => reference::host(n),
        };
        Ok(())
    }

    /// Reads a value of a type from its slots.
    pub(crate) fn lift_val(&mut self, ty: ValType, slots: &[RawVal]) -> Val {
        let slot = slots.first().copied().unwrap_or(0);
        match ty {
            ValType::I32 => Val::I32(slot as i32),
            ValType::I64 => Val::I64(slot as i64),
            ValType::F32 => Val::F32(slot as u32),
            ValType::F64 => Val::F64(slot),
            ValType::V128 => {
                Val::V128(u128::from(slot) | u128::from(slots.get(1).copied().unwrap_or(0)) << 64)
            }
            ValType::Ref(r) => match any_ref::top(self.engine.types(), r.heap) {
                HeapType::Func if slot == 0 => Val::FuncRef(None),
                HeapType::Func => Val::FuncRef(Some(self.func_handle(slot as usize as *const VmFunc))),
                HeapType::Extern => match self.lift_any(slot) {
                    None => Val::ExternRef(None),
                    Some(AnyRef::Host(host)) => Val::ExternRef(Some(host)),
                    Some(any) => Val::Externalized(any),
                },
                HeapType::Exn => Val::ExnRef(ExnRef::from_reference(self, slot)),
                _ => Val::AnyRef(self.lift_any(slot)),
            },
        }
    }

    /// Does a value have a type? References to functions are compared by their own type.
    pub(crate) fn val_matches(&self, val: &Val, ty: ValType) -> bool {
        match (val, ty) {
            (Val::FuncRef(func), ValType::Ref(r)) => match (func, r.heap) {
                (None, HeapType::Func | HeapType::NoFunc | HeapType::Concrete(_) | HeapType::Exact(_)) => {
                    r.nullable
                }
                (Some(func), HeapType::Func) => self.func_ptr(*func).is_ok(),
                (Some(func), HeapType::Concrete(id)) => {
                    let want = self.engine.types().vm(id);
                    // SAFETY: V1, V6.
                    !want.is_null()
                        && self.func_ptr(*func).is_ok_and(|f| unsafe { VmType::is_subtype((*f).ty, want) })
                }
                _ => false,
            },
            (Val::ExternRef(r), ValType::Ref(ty)) => match ty.heap {
                HeapType::Extern => r.is_some() || ty.nullable,
                HeapType::NoExtern => r.is_none() && ty.nullable,
                _ => false,
            },
            (Val::AnyRef(any), ValType::Ref(ty)) => self.any_matches(any.as_ref(), ty),
            (Val::Externalized(_), ValType::Ref(ty)) => ty.heap == HeapType::Extern,
            (Val::ExnRef(exception), ValType::Ref(ty)) => match (exception, ty.heap) {
                (None, HeapType::Exn | HeapType::NoExn) => ty.nullable,
                (Some(exception), HeapType::Exn) => exception.reference(self).is_ok(),
                _ => false,
            },
            (val, ty) => val.ty() == ty,
        }
    }

    // ---- the door from host to guest -------------------------------------------------------------------------------

    /// Calls a function. `slots` holds the parameters and receives the results.
    ///
    /// # Safety
    /// `func` is a live function of this store (V1) and `slots` covers its type's `call_slots()` (V4).
    pub(crate) unsafe fn call(&mut self, func: *const VmFunc, slots: &mut [RawVal]) -> Result<()> {
        let vm = self.vm();
        // Frames of the guest lie below this one.
        let here = 0usize;
        let here = core::hint::black_box(&raw const here).addr();
        let entered = self.native_stack.enter(self.engine.config(), here);
        // SAFETY: V1, V5: nobody else uses the store's words while `self` is borrowed.
        let (outer, top, limit) = unsafe { ((*vm).inner, (*vm).value_stack_top, (*vm).stack_limit) };
        let barrier = self.switching.enter();
        let status = match entered {
            Err(trap) => Status::trap(trap),
            // SAFETY: the caller vouches for `func` and `slots`. Host functions and builtins reach this store through
            // `inner`, which is derived from this very borrow; `self` is not used until the call is back.
            Ok(stack_limit) => unsafe {
                (*vm).stack_limit = stack_limit;
                (*vm).inner = ptr::from_mut(self).cast();
                ((*func).array_call)(func, slots.as_mut_ptr())
            },
        };
        // SAFETY: V1, V5.
        unsafe {
            (*vm).inner = outer;
            (*vm).value_stack_top = top;
            (*vm).stack_limit = limit;
        }
        self.switching.leave(barrier);
        if entered.is_ok() {
            self.native_stack.leave();
        }
        if status.is_ok() { Ok(()) } else { Err(self.unwound(status, outer.is_null())) }
    }

    /// A guest is about to call another one, on the stack of the activation that runs.
    pub(crate) fn enter_inside(&mut self) -> Result<()> {
        if self.native_stack.entry().is_none() {
            return Err(Error::usage("no guest runs that could call another one"));
        }
        self.native_stack.enter(self.engine.config(), 0)?;
        Ok(())
    }

    /// That call is over.
    pub(crate) fn leave_inside(&mut self) {
        self.native_stack.leave();
    }

    /// Continuations of the guest that calls are out of reach for the one that is called.
    pub(crate) fn swap_barrier(&mut self) -> usize {
        self.switching.enter()
    }

    /// The call is over.
    pub(crate) fn restore_barrier(&mut self, barrier: usize) {
        self.switching.leave(barrier);
    }

    /// The error of a call that did not return.
    pub(crate) fn unwound(&mut self, status: Status, outermost: bool) -> Error {
        let backtrace = self.take_backtrace();
        if status == Status::EXCEPTION {
            return self.uncaught(backtrace, outermost);
        }
        match (status.as_trap(), self.parked.take()) {
            (Some(trap), _) => Error::from(trap).with_backtrace(backtrace),
            (None, Some(Parked::Error(error))) => error.extend_backtrace(backtrace),
            #[cfg(feature = "std")]
            (None, Some(Parked::Panic(payload))) => std::panic::resume_unwind(payload),
            (None, None) => {
                unreachable!("crash: a call ended with status {:#x} and nothing parked", status.0)
            }
        }
    }

    /// The error of an exception that has reached the host. Behind the `outermost` call there is no guest any more that might
    /// catch it: it is described.
    fn uncaught(&mut self, backtrace: Backtrace, outermost: bool) -> Error {
        let parked = self.parked.take();
        let Some(exception) = ExnRef::of(self) else {
            unreachable!("crash: a call ended with an exception and there is none");
        };
        let words = outermost.then(|| exception.describe(self));
        let error = match parked {
            // A host function threw it: it knows the frames further in.
            Some(Parked::Error(error)) => error.extend_backtrace(backtrace),
            _ => Error::throw(exception).with_backtrace(backtrace),
        };
        match words {
            Some(words) => error.saying(words),
            None => error,
        }
    }

    /// Leaves an error at the door; the status tells callers to unwind to it.
    pub(crate) fn park(&mut self, parked: Parked) -> Status {
        self.parked = Some(parked);
        Status::PARKED
    }

    /// The status of a host function's or builtin's error.
    pub(crate) fn park_error(&mut self, error: Error) -> Status {
        match error.trap() {
            Some(trap) if error.says_only(trap) => Status::trap(trap),
            _ => match error.exception().map(|exception| exception.reference(self)) {
                Some(Ok(reference)) => {
                    // It is thrown where the host function was called. The error itself waits for the host to be told.
                    self.park(Parked::Error(error));
                    self.throw_ref(reference)
                }
                Some(Err(foreign)) => self.park(Parked::Error(foreign)),
                None => self.park(Parked::Error(error)),
            },
        }
    }

    /// The exception that is on its way was caught: gives it, and forgets the frames noted since it was thrown.
    pub fn caught(&mut self) -> RawVal {
        self.backtrace.clear();
        self.omitted_frames = 0;
        self.parked = None;
        self.take_exception()
    }

    /// Notes a guest frame that is being left, innermost first.
    pub fn push_frame(&mut self, frame: RawFrame) {
        if self.backtrace.len() < self.engine.config().max_backtrace {
            self.backtrace.push(frame);
        } else {
            self.omitted_frames += 1;
        }
    }

    /// Does the address lie in what a guarded memory of this store owns? Only there may native code fault.
    pub fn is_guarded(&self, address: usize) -> bool {
        self.memories.iter().any(|memory| {
            // SAFETY: V1.
            unsafe { memory.as_ref() }.guards(address as u64)
        })
    }

    /// Notes a frame of native code that is being left, by its program counter as [`crate::backend::NativeCode::locate`] takes it. The instance is any of the module's: what a
    /// backtrace tells of it are names.
    pub fn push_native_frame(&mut self, pc: usize) {
        if self.backtrace.len() >= self.engine.config().max_backtrace {
            self.omitted_frames += 1;
            return;
        }
        let found = self.instances.iter().find_map(|instance| {
            let (own, offset) = instance.module.native()?.locate(pc)?;
            let func = instance.module.info().imported_funcs + own;
            Some(RawFrame { instance: instance.context(), func, place: Place::Offset(offset) })
        });
        if let Some(frame) = found {
            self.backtrace.push(frame);
        }
    }

    fn take_backtrace(&mut self) -> Backtrace {
        let frames = core::mem::take(&mut self.backtrace);
        // Of functions that were translated to find the place of a frame.
        let mut known = Default::default();
        let frames = frames.iter().filter_map(|raw| {
            // SAFETY: V1; a frame's instance belongs to this store.
            let module = &unsafe { InstanceData::of(raw.instance)?.as_ref() }.module;
            let info: &ModuleInfo = module.info();
            let offset = match raw.place {
                Place::Offset(offset) => offset,
                Place::Translated(address) => module.interp_code().offset_of(address, &mut known),
            };
            Some(Frame { module: info.module_name(), name: info.func_name(raw.func), func: raw.func, offset })
        });
        Backtrace { frames: frames.collect(), omitted: core::mem::take(&mut self.omitted_frames) }
    }

    /// Where the outermost frame of guest code begins on the native stack; `None` when no guest runs.
    pub(crate) fn native_stack_entry(&self) -> Option<usize> {
        self.native_stack.entry()
    }

    #[cfg(fibers)]
    /// How far down the native stack is, for whoever goes over to another one.
    pub(crate) fn native_stack_state(&self) -> NativeStack {
        self.native_stack
    }

    #[cfg(fibers)]
    /// Back to where this was asked for.
    pub(crate) fn set_native_stack_state(&mut self, state: NativeStack) {
        self.native_stack = state;
    }

    #[cfg(fibers)]
    /// A call that may wait is entered from the address `here`.
    pub(crate) fn enter_native_stack(&mut self, here: usize) -> Result<(), Trap> {
        self.native_stack.enter(self.engine.config(), here).map(|_| ())
    }

    #[cfg(fibers)]
    /// Calls from host to guest that stand on the stack gone over to.
    pub(crate) fn deepen_native_stack(&mut self, calls: u32) {
        self.native_stack.depth += calls;
    }

    /// Runs what the host has called without being able to wait: nothing that this leads to may wait either, whatever is around it.
    #[inline]
    pub(crate) fn without_waiting<R>(&mut self, run: impl FnOnce(&mut StoreInner) -> R) -> R {
        let may_wait = core::mem::replace(&mut self.may_wait, false);
        let result = run(self);
        self.may_wait = may_wait;
        result
    }

    #[cfg(fibers)]
    /// Guest code runs on another stack from now on, whose lowest address it may use is this.
    pub(crate) fn set_native_limit(&mut self, limit: usize) {
        self.native_stack.set_limit(limit);
    }

    /// A function that is interpreted came to the store.
    pub(crate) fn touch_value_stack(&mut self) {
        self.value_stack.touch();
    }

    /// First slot of the value stack.
    pub(crate) fn value_stack_base(&self) -> *mut RawVal {
        self.value_stack.base()
    }

    /// Is there native stack enough for a host function? The door to the host asks.
    pub(crate) fn check_native_stack(&self) -> Result<(), Trap> {
        self.native_stack.check(self.engine.config())
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        // The embedder's data and the layers above may own handles only, never pointers: order does not matter.
        // SAFETY: each was made by `Box::leak` or `Box::into_raw` and is dropped once; no guest code runs any more.
        unsafe {
            for memory in self.memories.drain(..).chain([self.no_memory]) {
                drop(Box::from_raw(memory.as_ptr()));
            }
            for table in self.tables.drain(..) {
                drop(Box::from_raw(table.as_ptr()));
            }
            for global in self.globals.drain(..).filter(|g| g.owned) {
                drop(Box::from_raw(global.vm));
            }
            drop(Box::from_raw(self.vm.as_ptr()));
        }
    }
}

impl core::fmt::Debug for StoreInner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StoreInner")
            .field("id", &self.id)
            .field("instances", &self.instances.len())
            .finish_non_exhaustive()
    }
}
