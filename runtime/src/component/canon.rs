//! The canonical definitions, one function each (CanonicalABI.md "Canonical Definitions"): `canon lift`, `canon lower`,
//! `canon resource.{new,drop,rep}`, and what all calls into an instance have in common.
//!
//! A call of a sync function is a plain call on the caller's stack. Whatever ends it other than a return (a trap, an exit, a
//! host's error) leaves its instance in an unknown state: the instance is poisoned and not entered again.
//!
//! Must not know: plans, linkers.

use super::Component;
use super::abi::flatten::{self, CoreType, flat_count};
use super::abi::handle::BorrowScope;
use super::abi::{
    self, CoreValueIter, CoreValueSink, FuncType, LiftLowerContext, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
    PtrType, ValType,
};
use super::adapter::{self, LastKind};
use super::guest::{CanonContext, InstanceGuest, ResourceNames, Scope, leaving, raise};
use super::host::HostFunc;
use super::instance::{ComponentStore, FuncItem};
use super::resource::ResourceItem;
use crate::error::{Error, Result};
use crate::handle::Func as CoreFunc;
use crate::host::crossing::Callee;
use crate::host::{InternedFuncType, NumberedCall};
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FuncType as CoreFuncType, ValType as CoreValType};
use alloc::sync::Arc;

/// Core values of a call: parameters, a result pointer, results.
pub(super) const CALL_SLOTS: usize = crate::vm::CROSSING_SLOTS;
const _: () = assert!(CALL_SLOTS == MAX_FLAT_PARAMS + 1);

/// A lifted function of an instance.
pub(super) struct Lifted {
    /// Its number among the store's functions.
    pub(super) index: u32,
    /// Instance and options.
    pub(super) cx: CanonContext,
    pub(super) callee: Callee,
    /// The same as a function of the store.
    pub(super) core_func: CoreFunc,
    pub(super) post_return: Option<Callee>,
    /// Does a call of it have borrows that it must give back?
    pub(super) borrows: bool,
    /// Can an exception come out of `callee`?
    pub(super) may_throw: bool,
    /// With the resource types of the store.
    pub(super) ty: FuncType,
    /// Does a caller say where the result goes? [`spills_result`] of `ty`.
    pub(super) spills_result: bool,
}

impl Lifted {
    /// `core_func` lifted. `may_throw`: some code of its component can throw.
    pub(super) fn new(
        store: &mut StoreInner,
        cx: CanonContext,
        core_func: CoreFunc,
        post_return: Option<CoreFunc>,
        ty: FuncType,
        may_throw: bool,
    ) -> Result<Lifted> {
        Ok(Lifted {
            index: store.components().funcs.len() as u32,
            cx,
            callee: Callee::new(store, core_func)?,
            core_func,
            post_return: post_return.map(|func| Callee::new(store, func)).transpose()?,
            borrows: ty.param_types().iter().any(ValType::contains_borrow),
            may_throw,
            spills_result: spills_result(&ty),
            ty,
        })
    }
}

/// Whether the result of such a function goes into memory: then the last parameter of a lowered function is a pointer to it.
pub(super) fn spills_result(ty: &FuncType) -> bool {
    flat_count(ty.result_types()) > MAX_FLAT_RESULTS
}

/// The pointer to where the result of a lowered function goes, after its parameters have been taken.
pub(super) fn out_param(
    spills_result: bool,
    ptr_type: PtrType,
    args: &mut CoreValueIter<'_>,
) -> Result<Option<usize>> {
    if !spills_result {
        return Ok(None);
    }
    args.next_ptr(ptr_type).map(Some).map_err(|error| raise(error, false))
}

/// What lifts and lowers for an instance.
pub(super) type Context<'c, 'g> = LiftLowerContext<'c, InstanceGuest<'g>>;

/// May code of this instance be called?
fn enter(components: &ComponentStore, instance: u32) -> Result<()> {
    if components.is_poisoned(instance) { Err(Trap::CannotEnterComponent.into()) } else { Ok(()) }
}

/// May this instance call a built-in?
pub(super) fn leave(store: &mut StoreInner, instance: u32) -> Result<()> {
    if !store.component_instance(instance)?.may_leave() {
        return Err(Trap::CannotLeaveComponent.into());
    }
    Ok(())
}

/// Code of this instance did not return: it is not entered again, and neither is any instance of its root, since each of them may
/// have been on the way (calls between them are not all seen, see adapter/mod.rs).
pub(super) fn poison(store: &mut StoreInner, instance: u32) {
    let instances = &mut store.components().instances;
    if let Some(root) = instances.get(instance as usize).map(|data| data.root)
        && let Some(root) = instances.get_mut(root as usize)
    {
        root.poisoned = true;
    }
}

/// Who calls a lifted function.
#[derive(Clone, Copy)]
pub(super) enum CalledBy<'n> {
    /// Another component.
    Component,
    /// The host, whose Rust types name resources so.
    Host(&'n ResourceNames),
}

/// Why a call did not return.
enum Failed {
    /// The arguments are not there or do not fit; the instance has done nothing but allocate.
    Arguments(Error),
    /// Anything else.
    Call(Error),
}

/// `canon lift`: calls the core function. `on_start` gets the arguments once the instance is entered, `lower_params` puts them
/// into core values, `lift_result` takes the result out of them; `on_resolve` hands the result on before `post-return` runs.
pub(super) fn canon_lift<A, R, S>(
    store: &mut StoreInner,
    lifted: &Lifted,
    caller: CalledBy<'_>,
    on_start: impl FnOnce(&mut StoreInner) -> Result<A>,
    lower_params: impl FnOnce(&mut Context<'_, '_>, &A, &mut CoreValueSink<'_>) -> abi::Result<()>,
    lift_result: impl FnOnce(&mut Context<'_, '_>, &mut CoreValueIter<'_>) -> abi::Result<R>,
    on_resolve: impl FnOnce(&mut StoreInner, A, R) -> Result<S>,
) -> Result<S> {
    let (instance, kept) = (lifted.cx.instance, store.lifted.bytes());
    let (between, names): (bool, &ResourceNames) = match caller {
        CalledBy::Component => (true, &[]),
        CalledBy::Host(names) => (false, names),
    };
    let components = store.components();
    enter(components, instance)?;
    // A task begins with nothing kept; who called goes on with what it had.
    let outer = match components.instances.get(instance as usize) {
        Some(data) if data.uses_context => Some(core::mem::take(&mut components.context)),
        _ => None,
    };
    let begun = components.tasks.depth();
    // Without borrows nobody asks for the scope.
    let scope = if lifted.borrows { components.tasks.begin() } else { BorrowScope(u32::MAX) };
    let call = || {
        let failed = |error| Failed::Call(raise(error, between));
        let args = on_start(store).map_err(Failed::Arguments)?;
        let mut slots = [0; CALL_SLOTS];
        let mut guest = InstanceGuest::new(store, &lifted.cx, Scope::Callee(scope)).with_names(names);
        lower_params(&mut guest.context(), &args, &mut CoreValueSink::new(&mut slots)).map_err(|error| {
            match error {
                abi::Error::Type(_) => Failed::Arguments(raise(error, between)),
                error => failed(error),
            }
        })?;
        store.call_from_host(lifted.callee, &mut slots).map_err(Failed::Call)?;
        let mut guest = InstanceGuest::new(store, &lifted.cx, Scope::Callee(scope)).with_names(names);
        let result = lift_result(&mut guest.context(), &mut CoreValueIter::new(&slots)).map_err(failed)?;
        if lifted.borrows {
            store.components().tasks.check_return(scope).map_err(|trap| failed(trap.into()))?;
        }
        let own = outer.map(|outer| core::mem::replace(&mut store.components().context, outer));
        let resolved = on_resolve(store, args, result).map_err(Failed::Call)?;
        if let Some(own) = own {
            store.components().context = own;
        }
        if let Some(post_return) = lifted.post_return {
            leaving(store, instance, |store| store.call_from_host(post_return, &mut slots))
                .map_err(Failed::Call)?;
        }
        Ok(resolved)
    };
    let result = unless_panic(call);
    store.lifted.shrink(store.lifted.bytes().saturating_sub(kept));
    if let Some(outer) = outer {
        store.components().context = outer;
    }
    // Native code that was left on the way has ended none of its calls.
    if lifted.borrows || !matches!(result, Ok(Ok(_))) {
        store.components().tasks.end(BorrowScope(begun));
    }
    let result = match result {
        Ok(result) => result,
        Err(panic) => {
            poison(store, instance);
            resume(panic)
        }
    };
    result.map_err(|failed| match failed {
        Failed::Arguments(error) => error.contained(),
        Failed::Call(error) => {
            poison(store, instance);
            error.contained()
        }
    })
}

/// Calls a destructor, a core function of the instance that defines the resource.
pub(super) fn call_destructor(
    store: &mut StoreInner,
    definer: u32,
    destructor: CoreFunc,
    rep: u64,
) -> Result<()> {
    enter(store.components(), definer)?;
    let result = unless_panic(|| destructor.call_raw(store, &mut [rep]));
    match result {
        Ok(result) => result.map_err(Error::contained).inspect_err(|_| poison(store, definer)),
        Err(panic) => {
            poison(store, definer);
            resume(panic)
        }
    }
}

/// What a host function panicked with, on its way through the guests that called it.
#[cfg(feature = "std")]
type Panic = alloc::boxed::Box<dyn core::any::Any + Send>;
#[cfg(not(feature = "std"))]
type Panic = core::convert::Infallible;

/// Runs guests; a panic of the host among them is held, so that their instances can be poisoned before it goes on.
fn unless_panic<R>(run: impl FnOnce() -> R) -> core::result::Result<R, Panic> {
    #[cfg(feature = "std")]
    return std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    #[cfg(not(feature = "std"))]
    Ok(run())
}

fn resume(panic: Panic) -> ! {
    #[cfg(feature = "std")]
    std::panic::resume_unwind(panic);
    #[cfg(not(feature = "std"))]
    match panic {}
}

/// `canon lower`: the core function through which an instance calls `callee`; `cx` is the number of its options (`ComponentStore::contexts`),
/// `file`, `last` and `always_leaves` as for [`adapter::link`].
pub(super) fn canon_lower(
    store: &mut StoreInner,
    file: &Component,
    last: &LastKind,
    cx: u32,
    always_leaves: bool,
    callee: &FuncItem,
) -> Result<CoreFunc> {
    let context = context(store, cx)?;
    match callee {
        FuncItem::Lifted(lifted) => adapter::link(store, file, last, context, always_leaves, lifted.clone()),
        FuncItem::Host(host) => {
            let ty = host.lowered(store.engine(), context.ptr_type);
            let func = store.new_numbered_host_func(ty, host.clone(), cx);
            Ok(store.func_handle(func))
        }
    }
}

fn context(store: &mut StoreInner, cx: u32) -> Result<CanonContext> {
    let context = store.components().contexts.get(cx as usize).copied();
    context.ok_or_else(|| Error::usage("no such canonical options in this store"))
}

/// A call of a function of the host that `canon_lower` has lowered.
impl NumberedCall for HostFunc {
    fn call(&self, store: &mut StoreInner, number: u32, slots: &mut [u64]) -> Result<()> {
        let cx = context(store, number)?;
        leave(store, cx.instance)?;
        self.call_lowered(store, &cx, slots).map_err(Error::contained)?;
        // It may have called into this component again, and kept to itself how that ended.
        enter(store.components(), cx.instance)
    }
}

/// The engine's word for a core signature of the Canonical ABI.
pub(super) fn core_func_type(core: &flatten::CoreFuncType) -> CoreFuncType {
    CoreFuncType::new(core_types(core.params.as_slice()), core_types(core.results.as_slice()))
}

fn core_types(types: &[CoreType]) -> impl Iterator<Item = CoreValType> {
    types.iter().map(|ty| match ty {
        CoreType::I32 => CoreValType::I32,
        CoreType::I64 => CoreValType::I64,
        CoreType::F32 => CoreValType::F32,
        CoreType::F64 => CoreValType::F64,
    })
}

/// The one slot of a built-in of one parameter and one result (or none).
fn slot(slots: &mut [u64]) -> Result<&mut u64> {
    slots.first_mut().ok_or_else(|| Error::usage("too few slots"))
}

/// `canon resource.new`
pub(super) fn canon_resource_new(
    store: &mut StoreInner,
    instance: u32,
    resource: &ResourceItem,
    ty: CoreFuncType,
) -> CoreFunc {
    let rt = resource.rt;
    let wide = ty.params() == [CoreValType::I64];
    CoreFunc::new_raw(store, ty, move |store, slots| {
        leave(store, instance)?;
        let slot = slot(slots)?;
        let rep = if wide { *slot } else { u64::from(*slot as u32) };
        let index = store.component_instance(instance)?.handles.resource_new(rt, rep);
        *slot = u64::from(index.map_err(|error| raise(error, false))?);
        Ok(())
    })
}

/// `canon resource.drop`
pub(super) fn canon_resource_drop(
    store: &mut StoreInner,
    ty: InternedFuncType,
    instance: u32,
    resource: ResourceItem,
) -> CoreFunc {
    let drop = move |store: &mut StoreInner, slots: &mut [u64]| {
        leave(store, instance)?;
        store.drop_handle(instance, &resource, *slot(slots)? as u32)
    };
    let func = store.new_interned_host_func(ty, Arc::new(drop), None);
    store.func_handle(func)
}

/// The type of every `canon resource.drop`.
pub(super) fn resource_drop_type() -> CoreFuncType {
    CoreFuncType::new([CoreValType::I32], [])
}

/// `canon resource.rep`
pub(super) fn canon_resource_rep(
    store: &mut StoreInner,
    instance: u32,
    resource: &ResourceItem,
    ty: CoreFuncType,
) -> CoreFunc {
    let rt = resource.rt;
    CoreFunc::new_raw(store, ty, move |store, slots| {
        let slot = slot(slots)?;
        let rep = store.component_instance(instance)?.handles.resource_rep(rt, *slot as u32);
        *slot = rep.map_err(|error| raise(error, false))?;
        Ok(())
    })
}
