//! A call between components by a plan: the values move from slots to slots and from memory to memory.
//!
//! Of the bookkeeping of a call there is as much as the plan needs: a scope for borrows only where the type has some, `may_leave`
//! of an instance only around calls of its own `realloc` and `post-return`.
//!
//! Must not know: the host, values.

use super::super::abi::handle::{BorrowScope, Subtask, native};
use super::super::abi::plan::{Check, Plan, Scalar, Sides, Step};
use super::super::abi::{self, Error as AbiError, ResourceType, Trap as AbiTrap};
use super::super::canon::{CALL_SLOTS, Lifted, poison};
use super::super::guest::{CanonContext, raise};
use super::super::instance::ComponentStore;
use super::kind::{Kind, Terms};
use super::pairs::Adapters;
use crate::error::Error;
use crate::host::crossing::{Between, Callee, Crossing, Native, Stopped};
use crate::memory::TwoMemories;
use crate::ops::BULK_BYTES_PER_FUEL;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{FuncType, ValType};
use alloc::sync::Arc;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

type Result<T> = core::result::Result<T, Stopped>;

/// A pair of `canon lower` and `canon lift`.
pub(super) struct Fused {
    caller: CanonContext,
    lifted: Arc<Lifted>,
    kind: Arc<Kind>,
    borrows: bool,
    one_root: bool,
    /// Memories, in the direction of the parameters and of the results.
    memories: (TwoMemories, TwoMemories),
    caller_may_leave: Arc<AtomicU32>,
    callee_may_leave: Arc<AtomicU32>,
}

impl Fused {
    /// The pair, a call of this kind.
    pub(super) fn new(
        store: &mut StoreInner,
        caller: CanonContext,
        lifted: Arc<Lifted>,
        kind: Arc<Kind>,
    ) -> crate::error::Result<Fused> {
        let (from, to) = (caller.memory, lifted.cx.memory);
        let memories = (TwoMemories::new(store, from, to)?, TwoMemories::new(store, to, from)?);
        let state = |store: &mut StoreInner, instance| {
            store.component_instance(instance).map(|data| (data.root, data.may_leave.clone()))
        };
        let (caller_root, caller_may_leave) = state(store, caller.instance)?;
        let (callee_root, callee_may_leave) = state(store, lifted.cx.instance)?;
        Ok(Fused {
            caller,
            borrows: kind.params.needs().borrow,
            one_root: caller_root == callee_root,
            lifted,
            kind,
            memories,
            caller_may_leave,
            callee_may_leave,
        })
    }

    /// What native callers do instead: code for it, where the caller's file has some or the backend makes some, and what they do themselves. `asks_caller`: the caller may be kept from leaving.
    pub(super) fn native(
        &self,
        store: &mut StoreInner,
        known: &Adapters,
        asks_caller: bool,
    ) -> Option<Native> {
        let needs = self.kind.params.needs();
        // The caller runs, so the callee can, and no exception comes by; of fuel native code knows nothing.
        let metered = store.engine().config().fuel;
        if !self.one_root || self.lifted.may_throw || needs.memory && metered {
            return None;
        }
        let defines =
            self.kind.params.resources().iter().map(|&rt| store.defines(self.lifted.cx.instance, rt));
        let callee_defines = defines.collect();
        let handles = |store: &mut StoreInner, instance| -> Option<*mut c_void> {
            Some((&raw mut *store.component_instance(instance).ok()?.handles).cast())
        };
        let handles = [
            handles(store, self.caller.instance)?,
            handles(store, self.lifted.cx.instance)?,
            (&raw mut *store.components().tasks).cast(),
        ];
        let allocates = self.kind.results.allocates(self.kind.out_param.is_some());
        let between = Between {
            callee: self.lifted.callee,
            realloc: [
                if self.kind.params.allocates(false) { self.lifted.cx.realloc } else { None },
                if allocates { self.caller.realloc } else { None },
            ],
            post_return: self.lifted.post_return,
            handles,
            resources: [&self.kind.params, &self.kind.results]
                .into_iter()
                .flat_map(|plan| plan.resources())
                .map(|&rt| match rt {
                    ResourceType::Id(_) => native::resource_word(rt),
                    ResourceType::Host(_) => native::UNKNOWN,
                })
                .collect(),
            memories: &self.memories.0,
            may_leave: [&self.caller_may_leave, &self.callee_may_leave],
        };
        let engine = store.engine();
        between.link(store, |types| {
            let i32s = |n: usize| core::iter::repeat_n(ValType::I32, n);
            let realloc = FuncType::new(i32s(4), i32s(1));
            let as_expected = (!needs.memory || types.memories)
                && (!self.kind.params.allocates(false) || types.realloc.as_ref() == Some(&realloc))
                && types
                    .post_return
                    .as_ref()
                    .is_none_or(|ty| ty.params() == types.callee.results() && ty.results().is_empty());
            if !as_expected {
                return (None, None);
            }
            let results_too = !self.kind.results.needs().memory
                || types.memories && !metered && (!allocates || types.caller_realloc == Some(realloc));
            let terms = Terms {
                has_post_return: types.post_return.is_some(),
                callee: types.callee,
                callee_defines,
                results_too,
                asks_caller,
            };
            self.kind.native(engine, known, terms)
        })
    }

    /// A plan, and values on their way by it.
    fn travel<'a>(&'a self, store: &'a mut StoreInner, results: bool) -> (&'a Plan, Travel<'a>) {
        let (caller, callee) = (&self.caller, &self.lifted.cx);
        if results {
            let sides = (callee, caller);
            (&self.kind.results, Travel::new(store, sides, &self.memories.1, &self.caller_may_leave, None))
        } else {
            let sides = (caller, callee);
            (&self.kind.params, Travel::new(store, sides, &self.memories.0, &self.callee_may_leave, None))
        }
    }

    /// Poisons what an error leaves behind.
    fn contained<T>(&self, store: &mut StoreInner, result: Result<T>) -> Result<T> {
        if result.is_err() {
            poison(store, self.lifted.cx.instance);
        }
        result
    }

    fn values(
        &self,
        store: &mut StoreInner,
        slots: &mut [u64],
        scope: BorrowScope,
        lent: &mut Subtask,
    ) -> Result<()> {
        let mut inner = [0; CALL_SLOTS];
        let (plan, mut travel) = self.travel(store, false);
        travel.scopes = Some((scope, lent));
        travel.run(plan, slots, &mut inner, None)?;
        store.call_inside(self.lifted.callee, &mut inner)?;
        if self.borrows {
            let left = store.components().tasks.check_return(scope);
            left.map_err(|trap| Stopped::Error(raise(trap.into(), true)))?;
        }
        self.rest(store, slots, &mut inner)
    }

    /// The result goes back, then `post-return` runs.
    fn rest(&self, store: &mut StoreInner, slots: &mut [u64], inner: &mut [u64]) -> Result<()> {
        if !self.kind.results.is_empty() {
            let out_param = self.kind.out_param.and_then(|slot| slots.get(slot));
            let out_param = out_param.map(|slot| self.caller.ptr_type.address(*slot));
            let (plan, travel) = self.travel(store, true);
            travel.run(plan, inner, slots, out_param)?;
        }
        if let Some(post_return) = self.lifted.post_return {
            call_own(store, &self.callee_may_leave, post_return, inner)?;
        }
        Ok(())
    }
}

impl Crossing for Fused {
    fn call(&self, store: &mut StoreInner, slots: &mut [u64]) -> Result<()> {
        let callee = self.lifted.cx.instance;
        if self.caller_may_leave.load(Ordering::Relaxed) == 0 {
            return Err(Trap::CannotLeaveComponent.into());
        }
        // Instances of one root end together: the caller runs.
        if !self.one_root && store.components().is_poisoned(callee) {
            return Err(Trap::CannotEnterComponent.into());
        }
        let result = if self.borrows {
            let scope = store.components().tasks.begin();
            let mut lent = Subtask::new();
            let result = self.values(store, slots, scope, &mut lent);
            store.components().tasks.end(scope);
            lent.deliver_resolve(&mut instance(store.components(), self.caller.instance)?.handles);
            result
        } else {
            self.values(store, slots, BorrowScope(u32::MAX), &mut Subtask::new())
        };
        self.contained(store, result)
    }

    fn finish(&self, store: &mut StoreInner, slots: &mut [u64], results: &mut [u64]) -> Result<()> {
        let result = self.rest(store, slots, results);
        self.contained(store, result)
    }

    fn refuse(&self, store: &mut StoreInner, trap: AbiTrap) -> Stopped {
        poison(store, self.lifted.cx.instance);
        Stopped::Error(raise(trap.into(), true))
    }

    fn elements(&self, results: bool, step: u32) -> Scalar {
        let plan = if results { &self.kind.results } else { &self.kind.params };
        match plan.steps().get(step as usize) {
            Some(Step::Whole { check: Check::Scalar(kind), .. }) => *kind,
            _ => unreachable!("crash: native code has elements checked that no step checks"),
        }
    }

    fn text(
        &self,
        store: &mut StoreInner,
        results: bool,
        (ptr, length): (u64, u64),
        moved: &mut u64,
    ) -> Result<(u64, u64)> {
        let (plan, mut travel) = self.travel(store, results);
        let all = travel.budget;
        travel.budget = all.saturating_sub(*moved);
        let found = plan.move_string(&mut travel, ptr as usize, length);
        *moved = all - travel.budget;
        let found = found.map_err(|error| travel.stopped(error));
        let (ptr, length) = self.contained(store, found)?;
        Ok((ptr as u64, length))
    }

    fn own(&self, store: &mut StoreInner, results: bool, resource: u32, index: u32) -> Result<u32> {
        let (plan, mut travel) = self.travel(store, results);
        let moved = match plan.resources().get(resource as usize) {
            Some(&rt) => travel.transfer_own(index, rt),
            None => Err(AbiTrap::UnknownHandle(index).into()),
        };
        let moved = moved.map_err(|error| travel.stopped(error));
        self.contained(store, moved)
    }

    fn borrow(&self, store: &mut StoreInner, resource: u32, index: u32) -> Result<u32> {
        // Native code counts by itself what is lent.
        let mut lent = Subtask::new();
        let scope = BorrowScope(store.components().tasks.depth().wrapping_sub(1));
        let (plan, mut travel) = self.travel(store, false);
        travel.scopes = Some((scope, &mut lent));
        let moved = match plan.resources().get(resource as usize) {
            Some(&rt) => travel.transfer_borrow(index, rt),
            None => Err(AbiTrap::UnknownHandle(index).into()),
        };
        let moved = moved.map_err(|error| travel.stopped(error));
        self.contained(store, moved)
    }
}

/// An instance that a pair names is there as long as the store is.
fn instance(
    components: &mut ComponentStore,
    instance: u32,
) -> Result<&mut super::super::instance::InstanceData> {
    let data = components.instances.get_mut(instance as usize);
    data.ok_or_else(|| Error::usage("no such component instance in this store").into())
}

/// Calls a `realloc` or `post-return` of an instance, which may not leave meanwhile. After an error it stays so.
fn call_own(store: &mut StoreInner, may_leave: &AtomicU32, callee: Callee, slots: &mut [u64]) -> Result<()> {
    may_leave.store(0, Ordering::Relaxed);
    store.call_inside(callee, slots)?;
    may_leave.store(1, Ordering::Relaxed);
    Ok(())
}

/// Values on their way from one instance to another.
struct Travel<'a> {
    store: &'a mut StoreInner,
    from: &'a CanonContext,
    to: &'a CanonContext,
    memories: &'a TwoMemories,
    /// Of the destination.
    may_leave: &'a AtomicU32,
    /// The scope of what the destination borrows, and what the source lends: for parameters.
    scopes: Option<(BorrowScope, &'a mut Subtask)>,
    /// Bytes that may still be moved.
    budget: u64,
    /// Why a call of `realloc` did not return.
    stopped: Option<Stopped>,
}

impl<'a> Travel<'a> {
    fn new(
        store: &'a mut StoreInner,
        (from, to): (&'a CanonContext, &'a CanonContext),
        memories: &'a TwoMemories,
        may_leave: &'a AtomicU32,
        scopes: Option<(BorrowScope, &'a mut Subtask)>,
    ) -> Travel<'a> {
        let budget = store.limits().copy_bytes_per_call;
        Travel { store, from, to, memories, may_leave, scopes, budget, stopped: None }
    }

    fn run(mut self, plan: &Plan, from: &[u64], to: &mut [u64], out_param: Option<usize>) -> Result<()> {
        plan.run(&mut self, from, to, out_param).map_err(|error| self.stopped(error))
    }

    /// A guest's limit is reached.
    fn stop(&mut self, trap: Trap) -> AbiError {
        self.stopped = Some(trap.into());
        AbiError::guest(Error::from(trap))
    }

    /// Why it ends.
    fn stopped(&mut self, error: AbiError) -> Stopped {
        match self.stopped.take() {
            Some(stopped) => stopped,
            None => Stopped::Error(raise(error, true)),
        }
    }

    /// The handle tables of the source and of the destination.
    fn tables(&mut self) -> abi::Result<&mut ComponentStore> {
        let components = self.store.components();
        let count = components.instances.len();
        if self.from.instance as usize >= count || self.to.instance as usize >= count {
            return Err(AbiError::guest(Error::usage("no such component instance in this store")));
        }
        Ok(components)
    }
}

impl Sides for Travel<'_> {
    fn memories(&mut self) -> (&[u8], &mut [u8]) {
        self.memories.bytes(self.store)
    }

    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> abi::Result<usize> {
        let realloc = self.to.realloc()?;
        let mut slots = [old_ptr, old_size, alignment, new_size].map(|size| self.to.ptr_type.slot(size));
        if let Err(stopped) = call_own(self.store, self.may_leave, realloc, &mut slots) {
            self.stopped = Some(stopped);
            return Err(AbiError::guest(Error::usage("`realloc` did not return")));
        }
        Ok(self.to.ptr_type.address(slots[0]))
    }

    fn charge(&mut self, bytes: usize) -> abi::Result<()> {
        let bytes = bytes as u64;
        self.budget = self.budget.checked_sub(bytes).ok_or(AbiTrap::CopyBudget)?;
        self.store.consume_fuel(bytes / BULK_BYTES_PER_FUEL).map_err(|trap| self.stop(trap))
    }

    fn pause(&mut self) -> abi::Result<()> {
        self.store.pause().map_err(|trap| self.stop(trap))
    }

    fn transfer_own(&mut self, index: u32, rt: ResourceType) -> abi::Result<u32> {
        let (from, to) = (self.from.instance as usize, self.to.instance as usize);
        let instances = &mut self.tables()?.instances;
        let resource = instances[from].handles.lift_own(index, rt)?;
        instances[to].handles.lower_own(resource, rt)
    }

    fn transfer_borrow(&mut self, index: u32, rt: ResourceType) -> abi::Result<u32> {
        let (from, to) = (self.from.instance as usize, self.to.instance as usize);
        let defines = self.store.defines(self.to.instance, rt);
        self.tables()?;
        let components = self.store.components();
        let Some((scope, lent)) = &mut self.scopes else {
            return Err(AbiError::guest(Error::usage("a borrow among the results of a call")));
        };
        let resource = components.instances[from].handles.lift_borrow(index, rt, lent)?;
        if defines {
            return Ok(resource.rep_i32()?);
        }
        let ComponentStore { instances, tasks, .. } = components;
        let lowered = instances[to].handles.lower_borrow(resource, rt, tasks, *scope)?;
        lowered.ok_or_else(|| AbiError::guest(Error::usage("a borrow outside of any call")))
    }
}
