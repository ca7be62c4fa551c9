//! A call between components through values of the host's own.
//!
//! The plain version, and the oracle of every faster one: arguments are lifted out of the caller as [`Val`]s,
//! all of them before any is lowered into the callee; the result goes back the same way, before the callee's `post-return`
//! runs. Strings carry their source encoding and lists of numbers stay packed, so no element becomes a value of its own there.
//!
//! Must not know: the host.

use super::super::abi::handle::Subtask;
use super::super::abi::{
    CoreValueIter, CoreValueSink, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Val, lift_flat_values, lower_flat_values,
};
use super::super::canon::{CALL_SLOTS, CalledBy, Lifted, canon_lift, out_param};
use super::super::guest::{CanonContext, InstanceGuest, Scope, raise};
use crate::error::Result;
use crate::store::StoreInner;
use alloc::vec::Vec;

/// Calls `lifted` from the instance of `cx`; `slots` are the core values of the caller's import.
pub(super) fn call(
    store: &mut StoreInner,
    cx: &CanonContext,
    lifted: &Lifted,
    slots: &mut [u64],
) -> Result<()> {
    let (params, results) = (lifted.ty.param_types(), lifted.ty.result_types());
    // Parameters and results share the slots: what is read stays what it was.
    let mut flat = [0; CALL_SLOTS];
    flat.iter_mut().zip(&*slots).for_each(|(copy, slot)| *copy = *slot);
    let started = canon_lift(
        store,
        lifted,
        CalledBy::Component,
        |store| {
            let mut flat_args = CoreValueIter::new(&flat);
            let mut subtask = Subtask::new();
            let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut subtask));
            let args = lift_flat_values(&mut caller.context(), MAX_FLAT_PARAMS, &mut flat_args, params)
                .map_err(|error| raise(error, true))?;
            let out_param = out_param(lifted.spills_result, cx.ptr_type, &mut flat_args)?;
            Ok(Started { args, out_param, subtask })
        },
        |callee, started, out| lower_flat_values(callee, MAX_FLAT_PARAMS, &started.args, params, None, out),
        |callee, flat_results| lift_flat_values(callee, MAX_FLAT_RESULTS, flat_results, results),
        |store, mut started, result| {
            let mut caller = InstanceGuest::new(store, cx, Scope::Caller(&mut started.subtask));
            let (out_param, mut out) = (started.out_param, CoreValueSink::new(slots));
            lower_flat_values(&mut caller.context(), MAX_FLAT_RESULTS, &result, results, out_param, &mut out)
                .map_err(|error| raise(error, true))?;
            Ok(started)
        },
    );
    let Started { mut subtask, .. } = started?;
    subtask.deliver_resolve(&mut store.component_instance(cx.instance)?.handles);
    Ok(())
}

/// The caller's side of a call that has begun.
struct Started {
    args: Vec<Val>,
    /// Where a result goes that is not flat.
    out_param: Option<usize>,
    /// What the caller lends.
    subtask: Subtask,
}
