//! What is the same of a call between two components in all their instances: its plans, its types, its native code. A server makes
//! an instance of both for each request, so the caller's `canon lower` keeps what it was linked with last.
//!
//! Must not know: stores, instances.

use super::super::abi::flatten::{FlattenContext, flatten_functype};
use super::super::abi::plan::{Plan, Side};
use super::super::abi::{FuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use super::super::canon::{core_func_type, spills_result};
use super::pairs::Adapters;
use crate::backend::{AdapterInfo, NativeAdapter};
use crate::engine::Engine;
use crate::host::InternedFuncType;
use crate::module::ScalarCall;
use crate::sync::Mutex;
use crate::types::FuncType as CoreFuncType;

use alloc::sync::Arc;
use alloc::vec::Vec;

/// A kind of calls.
pub(in super::super) struct Kind {
    ty: FuncType,
    caller: Side,
    callee: Side,
    pub(super) params: Plan,
    pub(super) results: Plan,
    /// The caller's import.
    pub(super) core: CoreFuncType,
    pub(super) interned: InternedFuncType,
    /// The slot of the caller in which it says where the result goes, if it is not flat.
    pub(super) out_param: Option<usize>,
    native: Mutex<Option<(Terms, Ways)>>,
}

/// What native code depends on besides the plans, as [`AdapterInfo`] says it.
#[derive(Clone, PartialEq)]
pub(super) struct Terms {
    pub(super) callee: CoreFuncType,
    pub(super) callee_defines: Vec<bool>,
    pub(super) results_too: bool,
    pub(super) asks_caller: bool,
    pub(super) has_post_return: bool,
}

/// What native callers do instead of following the plans: call this, or make the call themselves.
pub(super) type Ways = (Option<Arc<dyn NativeAdapter>>, Option<ScalarCall>);

impl Kind {
    /// `None` where the plans would be too large.
    fn new(engine: &Engine, ty: &FuncType, caller: Side, callee: Side) -> Option<Kind> {
        let nans = engine.config().canonicalize_nans;
        let params = Plan::new(ty.param_types(), MAX_FLAT_PARAMS, caller, callee, nans).ok()?;
        let results = Plan::new(ty.result_types(), MAX_FLAT_RESULTS, callee, caller, nans).ok()?;
        let flat = flatten_functype(caller.ptr_type, ty, FlattenContext::Lower);
        let core = core_func_type(&flat);
        Some(Kind {
            caller,
            callee,
            params,
            results,
            interned: InternedFuncType::new(engine, &core),
            out_param: spills_result(ty).then(|| core.params().len() - 1),
            core,
            ty: ty.clone(),
            native: Mutex::new(None),
        })
    }

    /// The ways past the plans on these terms: the code of the caller's file, or what the engine's backend makes.
    pub(super) fn native(&self, engine: &Engine, known: &Adapters, terms: Terms) -> Ways {
        let mut native = self.native.lock();
        if let Some((on, ways)) = &*native
            && *on == terms
        {
            return ways.clone();
        }
        let scalars = if terms.has_post_return || self.core != terms.callee {
            None
        } else {
            ScalarCall::new(&self.params, &self.results, terms.asks_caller)
        };
        let info = AdapterInfo {
            caller: self.core.clone(),
            callee: terms.callee.clone(),
            params: self.params.anonymous(),
            results: terms.results_too.then(|| self.results.anonymous()),
            callee_defines: terms.callee_defines.clone(),
            asks_caller: terms.asks_caller,
            has_post_return: terms.has_post_return,
        };
        let code = known.find(&info);
        let code = code.or_else(|| engine.backend().and_then(|backend| backend.adapter(&info)));
        let ways = (code, scalars);
        *native = Some((terms, ways.clone()));
        ways
    }
}

/// What a `canon lower` was linked with last.
#[derive(Default)]
pub(in super::super) struct LastKind(Mutex<Option<Arc<Kind>>>);

impl LastKind {
    /// The kind of a call of a function of this type; `None` where its plans would be too large.
    pub(super) fn of(&self, engine: &Engine, ty: &FuncType, caller: Side, callee: Side) -> Option<Arc<Kind>> {
        let mut last = self.0.lock();
        if let Some(kind) = &*last
            && (kind.caller, kind.callee) == (caller, callee)
            && kind.ty == *ty
        {
            return Some(kind.clone());
        }
        let kind = Arc::new(Kind::new(engine, ty, caller, callee)?);
        *last = Some(kind.clone());
        Some(kind)
    }
}

impl core::fmt::Debug for LastKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LastKind").finish_non_exhaustive()
    }
}
