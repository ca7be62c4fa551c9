//! A call from one component into another: the caller's side of `canon lower` joined to the callee's side of `canon lift`.
//!
//! What stands between the two is decided once, when the caller is instantiated and both sides are known ([`link`]):
//!
//! * nothing, where nothing can be seen to be missing: every value goes over as it is, and neither of the instances can be in a
//!   state that forbids the call. The caller's import is the callee's core function;
//! * a look at the caller's `may_leave`, where that is all that could be missing: native stubs look themselves and go on to the
//!   callee's code (`VmFunc::guard`), the interpreter takes the plan;
//! * [`fused`], a plan (canonical-abi/src/plan) that moves values from slots to slots and from memory to memory. Where the backend
//!   makes native code of it ([`crate::backend::Backend::adapter`]), native callers are linked to that, and the plan is what the code
//!   falls back on;
//! * [`plain`], through values of the host's own: where the callee looks at what its task keeps; where both sides are one instance, whose memory and handles would change while
//!   they are read; where a type unfolds into too large a plan; and for tests, as the oracle of the other two.
//!
//! Must not know: the host.

mod fused;
mod kind;
mod pairs;
mod plain;
#[cfg(all(test, feature = "std"))]
mod tests;

use super::Component;
use super::abi::flatten::{FlattenContext, flatten_functype};
use super::abi::plan::Side;
use super::canon::{Lifted, core_func_type, leave};
use super::guest::CanonContext;
use crate::error::{Error, Result};
use crate::handle::Func as CoreFunc;
use crate::host::crossing::Shortcuts;
use crate::store::StoreInner;
use alloc::boxed::Box;
use alloc::sync::Arc;
use fused::Fused;
pub(super) use kind::LastKind;
pub(super) use pairs::{Adapters, pairs};

/// The core function by which the instance of `cx` calls `lifted`; `file` is what its component is part of, `last` is kept by the
/// definition that asks. `always_leaves`: the instance has no `realloc` and no `post-return` during which it could not.
pub(super) fn link(
    store: &mut StoreInner,
    file: &Component,
    last: &LastKind,
    cx: CanonContext,
    always_leaves: bool,
    lifted: Arc<Lifted>,
) -> Result<CoreFunc> {
    let side = |cx: &CanonContext| Side { string_encoding: cx.string_encoding, ptr_type: cx.ptr_type };
    let is_self = cx.instance == lifted.cx.instance || (cx.memory.is_some() && cx.memory == lifted.cx.memory);
    let callee_keeps = store.component_instance(lifted.cx.instance)?.uses_context;
    if !is_self
        && !callee_keeps
        && !store.engine().config().plain_adapters
        && let Some(kind) = last.of(store.engine(), &lifted.ty, side(&cx), side(&lifted.cx))
    {
        let instances = &store.components().instances;
        let (Some(caller), Some(callee)) =
            (instances.get(cx.instance as usize), instances.get(lifted.cx.instance as usize))
        else {
            return Err(Error::usage("no such component instance in this store"));
        };
        // A trap ends all instances of a root together, so a caller that runs has a callee that can.
        let can_run = caller.root == callee.root;
        let as_it_is =
            kind.params.is_identity() && kind.results.is_identity() && lifted.post_return.is_none();
        let is_direct = as_it_is && can_run && !lifted.may_throw;
        if is_direct && always_leaves {
            return Ok(lifted.core_func);
        }
        let guarded = is_direct.then(|| (caller.may_leave.clone(), lifted.core_func));
        let ty = kind.interned;
        let fused = Fused::new(store, cx, lifted, kind)?;
        let native = fused.native(store, file.adapters(), !always_leaves);
        return CoreFunc::new_crossing(store, ty, Box::new(fused), Shortcuts { guarded, native });
    }
    let ty = core_func_type(&flatten_functype(cx.ptr_type, &lifted.ty, FlattenContext::Lower));
    Ok(CoreFunc::new_raw(store, ty, move |store, slots| {
        leave(store, cx.instance)?;
        plain::call(store, &cx, &lifted, slots).map_err(Error::contained)
    }))
}
