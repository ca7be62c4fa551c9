//! A call from one component into another: the caller's side of `canon lower` joined to the callee's side of `canon lift`.
//!
//! The plain version, and the oracle of every faster one: arguments are lifted out of the caller as [`Val`](super::abi::Val)s,
//! all of them before any is lowered into the callee; the result goes back the same way, before the callee's `post-return`
//! runs. Strings carry their source encoding and lists of numbers stay packed, so no element becomes a value of its own there.
//!
//! Must not know: the host.

use super::abi::handle::Subtask;
use super::abi::{
    CoreValueIter, CoreValueSink, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PtrType, lift_flat_values,
    lower_flat_values,
};
use super::canon::{Lifted, canon_lift, enter};
use super::guest::{CanonContext, InstanceGuest, Scope, raise};
use crate::error::Result;
use crate::store::StoreInner;

/// Calls `lifted` from the instance of `cx`; `slots` are the core values of the caller's import.
pub(super) fn call(
    store: &mut StoreInner,
    cx: &CanonContext,
    lifted: &Lifted,
    slots: &mut [u64],
) -> Result<()> {
    enter(store, lifted.cx.instance)?;
    let (params, results) = (lifted.ty.param_types(), lifted.ty.result_types());
    let mut subtask = Subtask::new();
    let mut flat_args = CoreValueIter::new(slots);
    let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut subtask));
    let args = lift_flat_values(&mut caller.context(), MAX_FLAT_PARAMS, &mut flat_args, params)
        .map_err(|error| raise(error, true))?;
    let out_param = flat_args.next_ptr(PtrType::I32).ok();
    canon_lift(
        store,
        lifted,
        true,
        |callee, out| lower_flat_values(callee, MAX_FLAT_PARAMS, &args, params, None, out),
        |callee, flat_results| lift_flat_values(callee, MAX_FLAT_RESULTS, flat_results, results),
        |store, result| {
            let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut subtask));
            let mut out = CoreValueSink::new(slots);
            lower_flat_values(&mut caller.context(), MAX_FLAT_RESULTS, &result, results, out_param, &mut out)
                .map_err(|error| raise(error, true))
        },
    )?;
    subtask.deliver_resolve(&mut store.component_instance(cx.instance)?.handles);
    Ok(())
}
