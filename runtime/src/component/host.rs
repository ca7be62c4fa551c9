//! Functions of the host: typed ones move their values straight between guest memory and Rust types, dynamic ones through
//! [`Val`]. To a component they are functions like any other.
//!
//! Must not know: names, linkers.

use super::abi::flatten::{FlattenContext, flatten_functype};
use super::abi::handle::Subtask;
use super::abi::typed::{LentList, LiftList, LowerOptional, func_type};
use super::abi::types::TypeError;
use super::abi::{
    self, CoreValueIter, CoreValueSink, FuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PtrType, Val,
    lift_flat_values, lower_flat_values,
};
use super::canon::{Context, core_func_type, out_param, spills_result};
use super::guest::{CanonContext, InstanceGuest, Scope, raise};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Caller, InternedFuncType};
use crate::store::StoreInner;
use crate::trap::Trap;
use alloc::format;
use alloc::sync::Arc;

/// A host function that lifts its own parameters from core values and lowers its result into them; the flag is
/// [`spills_result`] of its type.
pub(super) type TypedBody =
    dyn Fn(&mut StoreInner, &CanonContext, bool, &mut [u64]) -> Result<()> + Send + Sync;

/// The type of a typed host function, made when a component imports it: a host defines hundreds, a guest imports a dozen.
pub(super) type TypeOf = fn() -> core::result::Result<FuncType, TypeError>;

/// A host function over values.
pub(super) type DynamicBody = dyn Fn(&mut StoreInner, &FuncType, &[Val]) -> Result<Option<Val>> + Send + Sync;

/// What a host function does.
#[derive(Clone)]
pub(super) enum HostBody {
    Typed(Arc<TypedBody>),
    Dynamic(Arc<DynamicBody>),
    /// Nobody defined it: the name it was imported by.
    Missing(Arc<str>),
}

/// A host function with the type by which a component imports it.
pub(super) struct HostFunc {
    pub(super) ty: FuncType,
    pub(super) body: HostBody,
    /// [`spills_result`] of `ty`.
    spills_result: bool,
    /// Its type as a core function over 32-bit addresses: instances of one component lower it to the same, one for each request perhaps.
    lowered: InternedFuncType,
}

/// The type of the core function that a component function is lowered to.
fn lowered(engine: &Engine, ty: &FuncType, ptr_type: PtrType) -> InternedFuncType {
    let core = flatten_functype(ptr_type, ty, FlattenContext::Lower);
    InternedFuncType::new(engine, &core_func_type(&core))
}

impl HostFunc {
    /// With the type by which a component of this engine imports it.
    pub(super) fn new(engine: &Engine, ty: FuncType, body: HostBody) -> HostFunc {
        let (spills_result, lowered) = (spills_result(&ty), lowered(engine, &ty, PtrType::I32));
        HostFunc { ty, body, spills_result, lowered }
    }

    /// Its type as a core function.
    pub(super) fn lowered(&self, engine: &Engine, ptr_type: PtrType) -> InternedFuncType {
        match ptr_type {
            PtrType::I32 => self.lowered,
            PtrType::I64 => lowered(engine, &self.ty, ptr_type),
        }
    }

    /// Calls it from an instance; `slots` are the core values of the instance's import.
    pub(super) fn call_lowered(
        &self,
        store: &mut StoreInner,
        cx: &CanonContext,
        slots: &mut [u64],
    ) -> Result<()> {
        let body = match &self.body {
            HostBody::Typed(body) => return body(store, cx, self.spills_result, slots),
            HostBody::Dynamic(body) => body,
            HostBody::Missing(name) => return Err(missing(name)),
        };
        let (params, results) = (self.ty.param_types(), self.ty.result_types());
        call_host(
            store,
            cx,
            self.spills_result,
            slots,
            |cx, flat_args| lift_flat_values(cx, MAX_FLAT_PARAMS, flat_args, params),
            |store, args| body(store, &self.ty, &args),
            |cx, result, out_param, out| {
                lower_flat_values(cx, MAX_FLAT_RESULTS, result.as_slice(), results, out_param, out)
            },
        )
    }

    /// Calls it from the host.
    pub(super) fn call_from_host(&self, store: &mut StoreInner, args: &[Val]) -> Result<Option<Val>> {
        match &self.body {
            HostBody::Dynamic(body) => body(store, &self.ty, args),
            HostBody::Missing(name) => Err(missing(name)),
            HostBody::Typed(_) => Err(Error::usage(
                "this export is a typed function of the host itself: call it without a component in between",
            )),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::Trap(Trap::MissingImport), format!("{}: `{name}`", Trap::MissingImport))
}

/// What all calls of host functions have in common (CanonicalABI.md "canon lower"): parameters out of core values, the call, its result
/// into core values, and what was lent is given back.
fn call_host<A, R>(
    store: &mut StoreInner,
    cx: &CanonContext,
    spills_result: bool,
    slots: &mut [u64],
    lift_params: impl FnOnce(&mut Context<'_, '_>, &mut CoreValueIter<'_>) -> abi::Result<A>,
    call: impl FnOnce(&mut StoreInner, A) -> Result<R>,
    lower_result: impl FnOnce(&mut Context<'_, '_>, &R, Option<usize>, &mut CoreValueSink<'_>) -> abi::Result<()>,
) -> Result<()> {
    let lifted = store.lifted.bytes();
    let outcome = lift_call_lower(store, cx, spills_result, slots, lift_params, call, lower_result);
    store.lifted.shrink(store.lifted.bytes().saturating_sub(lifted));
    outcome
}

fn lift_call_lower<A, R>(
    store: &mut StoreInner,
    cx: &CanonContext,
    spills_result: bool,
    slots: &mut [u64],
    lift_params: impl FnOnce(&mut Context<'_, '_>, &mut CoreValueIter<'_>) -> abi::Result<A>,
    call: impl FnOnce(&mut StoreInner, A) -> Result<R>,
    lower_result: impl FnOnce(&mut Context<'_, '_>, &R, Option<usize>, &mut CoreValueSink<'_>) -> abi::Result<()>,
) -> Result<()> {
    let mut subtask = Subtask::new();
    let mut flat_args = CoreValueIter::new(slots);
    let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut subtask));
    let args = lift_params(&mut caller.context(), &mut flat_args).map_err(|error| raise(error, false))?;
    let out_param = out_param(spills_result, cx.ptr_type, &mut flat_args)?;
    let result = call(store, args)?;
    let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut subtask));
    lower_result(&mut caller.context(), &result, out_param, &mut CoreValueSink::new(slots))
        .map_err(|error| raise(error, false))?;
    subtask.deliver_resolve(&mut store.component_instance(cx.instance)?.handles);
    Ok(())
}

/// The type and body of a host function over Rust types.
pub(super) fn typed<T, P, R>(
    func: impl Fn(Caller<'_, T>, P) -> Result<R> + Send + Sync + 'static,
) -> (TypeOf, HostBody)
where
    T: 'static,
    P: LiftList + 'static,
    R: LowerOptional + Send + 'static,
{
    typed_raw(move |store: &mut StoreInner, params: P| func(Caller::new(store)?, params))
}

/// The same for a function that gets the engine's store.
pub(super) fn typed_raw<P, R>(
    func: impl Fn(&mut StoreInner, P) -> Result<R> + Send + Sync + 'static,
) -> (TypeOf, HostBody)
where
    P: LiftList + 'static,
    R: LowerOptional + Send + 'static,
{
    let body = move |store: &mut StoreInner, cx: &CanonContext, spills_result: bool, slots: &mut [u64]| {
        call_host(
            store,
            cx,
            spills_result,
            slots,
            |cx, flat_args| P::lift_flat_values(cx, MAX_FLAT_PARAMS, flat_args),
            &func,
            |cx, result: &R, out_param, out| result.lower_flat_result(cx, out_param, out),
        )
    };
    (func_type::<P, R>, HostBody::Typed(Arc::new(body)))
}

/// The type and body of a host function that looks at its parameters where they lie.
pub(super) fn typed_lent<T, P, R>(
    func: impl for<'m> Fn(&mut T, P::Views<'m>) -> Result<R> + Send + Sync + 'static,
) -> (TypeOf, HostBody)
where
    T: 'static,
    P: LentList + 'static,
    R: LowerOptional + Send + 'static,
{
    let body = move |store: &mut StoreInner, cx: &CanonContext, spills_result: bool, slots: &mut [u64]| {
        call_host(
            store,
            cx,
            spills_result,
            slots,
            |cx, flat_args| P::places(cx, flat_args),
            |store, places| {
                store.lend_data(|store, data: &mut T| {
                    let memory = cx.memory.and_then(|memory| memory.data(store).ok()).unwrap_or(&[]);
                    func(data, P::views(places, memory).map_err(|error| raise(error, false))?)
                })?
            },
            |cx, result: &R, out_param, out| result.lower_flat_result(cx, out_param, out),
        )
    };
    (func_type::<P, R>, HostBody::Typed(Arc::new(body)))
}

/// The body of a host function over values.
pub(super) fn dynamic<T: 'static>(
    func: impl Fn(Caller<'_, T>, &FuncType, &[Val]) -> Result<Option<Val>> + Send + Sync + 'static,
) -> HostBody {
    HostBody::Dynamic(Arc::new(move |store: &mut StoreInner, ty: &FuncType, args: &[Val]| {
        func(Caller::new(store)?, ty, args)
    }))
}
