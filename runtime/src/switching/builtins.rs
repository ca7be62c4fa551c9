//! The operators of stack switching, as guest code of either engine calls them.
//!
//! Values travel in the caller's slots: parameters come first, the continuation behind them; results are left from the
//! first slot on. So they must cover the larger of both, and for `resume` what any of its handlers gets. A `resume` answers with
//! the status in its upper half, and in the lower one with the number from 1 of the handler that was chosen, 0 when the continuation has returned.

use super::{Resumer, usable};
use crate::instance::InstanceData;
use crate::store::StoreInner;
use crate::sys::fiber::switch;
use crate::trap::Trap;
use crate::val::RawVal;
use crate::vm::{Status, VmContext, VmTag};
use core::ptr::NonNull;

/// The store of a running instance.
///
/// # Safety
/// `ctx` is live (V1) and its store runs on this thread (V5). Not to be held over a call of guest code.
pub(super) unsafe fn store<'a>(ctx: *mut VmContext) -> &'a mut StoreInner {
    // SAFETY: the caller's promise.
    unsafe { &mut *(*(*ctx).store).inner.cast::<StoreInner>() }
}

/// A tag of an instance.
///
/// # Safety
/// `ctx` is live (V1) and has such a tag.
pub(super) unsafe fn tag(ctx: *mut VmContext, index: u32) -> *const VmTag {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = &(*(*ctx).instance.cast::<InstanceData>()).module.info().layout;
        *VmContext::entry::<*const VmTag>(ctx, layout.tags, index)
    }
}

fn status(result: Result<(), Trap>) -> Status {
    match result {
        Ok(()) => Status::OK,
        Err(trap) => Status::trap(trap),
    }
}

/// `cont.new`: a function in the first slot.
pub(crate) unsafe extern "C" fn cont_new(
    ctx: *mut VmContext,
    params: u32,
    call_slots: u32,
    values: *mut RawVal,
) -> Status {
    // SAFETY: called by guest code of a validated module: V1, V4, V5.
    status(
        unsafe { store(ctx).cont_new(*values, params, call_slots) }
            .map(|reference| unsafe { *values = reference }),
    )
}

/// `cont.bind`: `given` slots of values, then the continuation.
pub(crate) unsafe extern "C" fn cont_bind(ctx: *mut VmContext, given: u32, values: *mut RawVal) -> Status {
    // SAFETY: as above.
    status(unsafe { store(ctx).cont_bind(given, values) }.map(|reference| unsafe { *values = reference }))
}

/// `resume`: `given` slots of values, then the continuation.
pub(crate) unsafe extern "C" fn resume(
    ctx: *mut VmContext,
    given: u32,
    results: u32,
    handlers: *mut RawVal,
    count: u32,
    values: *mut RawVal,
) -> u64 {
    // SAFETY: as above.
    unsafe {
        let store = store(ctx);
        let reference = *values.add(given as usize);
        let given = core::slice::from_raw_parts(values, given as usize);
        store.switching.outcome = (Status::OK, 0);
        match store.begin(reference, given, None) {
            Ok(fiber) => go(ctx, fiber, Resumer::new(ctx, results, handlers, count, values)),
            Err(trap) => answer(Status::trap(trap), 0),
        }
    }
}

/// `resume_throw`: `params` slots that an exception of this tag carries, then the continuation.
pub(crate) unsafe extern "C" fn resume_throw(
    ctx: *mut VmContext,
    tag_index: u32,
    params: u32,
    results: u32,
    handlers: *mut RawVal,
    count: u32,
    values: *mut RawVal,
) -> u64 {
    // SAFETY: as above.
    unsafe {
        let reference = *values.add(params as usize);
        if let Err(trap) = usable(reference) {
            return answer(Status::trap(trap), 0);
        }
        match store(ctx).new_exception(tag(ctx, tag_index), values) {
            Ok(exception) => {
                let exception = crate::gc::object::reference(exception);
                throw_into(ctx, exception, reference, Resumer::new(ctx, results, handlers, count, values))
            }
            Err(trap) => answer(Status::trap(trap), 0),
        }
    }
}

/// `resume_throw_ref`: an exception, then the continuation.
pub(crate) unsafe extern "C" fn resume_throw_ref(
    ctx: *mut VmContext,
    results: u32,
    handlers: *mut RawVal,
    count: u32,
    values: *mut RawVal,
) -> u64 {
    // SAFETY: as above.
    unsafe { throw_into(ctx, *values, *values.add(1), Resumer::new(ctx, results, handlers, count, values)) }
}

/// Lets a continuation go on with an exception.
///
/// # Safety
/// As for the builtins that end here.
unsafe fn throw_into(ctx: *mut VmContext, exception: RawVal, reference: RawVal, resumer: Resumer) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let store = store(ctx);
        let continuation = match usable(reference) {
            Ok(continuation) => continuation,
            Err(trap) => return answer(Status::trap(trap), 0),
        };
        let status = store.throw_ref(exception);
        if status != Status::EXCEPTION {
            return answer(status, 0);
        }
        if continuation.inner.is_none() {
            // Nobody in there can catch it.
            continuation.consume();
            return answer(status, 0);
        }
        match store.begin(reference, &[], None) {
            Ok(fiber) => {
                // Its `suspend` hands this on.
                store.switching.outcome = (status, 0);
                go(ctx, fiber, resumer)
            }
            Err(trap) => answer(Status::trap(trap), 0),
        }
    }
}

fn answer(status: Status, handler: u32) -> u64 {
    u64::from(status.0) << 32 | u64::from(handler)
}

/// Goes over to a continuation, and comes back when it ends or a handler of `resumer` is chosen.
///
/// # Safety
/// S1, S2, S3; `fiber` came from [`StoreInner::begin`].
unsafe fn go(ctx: *mut VmContext, fiber: NonNull<super::Fiber>, resumer: Resumer) -> u64 {
    // SAFETY: the caller's promise. Borrows of the store end before the switch.
    unsafe {
        let outermost = store(ctx).push_fibers(fiber, resumer);
        switch(&raw mut (*outermost.as_ptr()).resumer.sp, fiber.as_ref().sp);
        let store = store(ctx);
        if let Some(ended) = store.switching.ended.take() {
            store.switching.release(ended);
        }
        let (status, handler) = store.switching.outcome;
        answer(status, handler)
    }
}

/// `suspend`: `params` slots of values for the handler; `results` come back.
pub(crate) unsafe extern "C" fn suspend(
    ctx: *mut VmContext,
    tag_index: u32,
    params: u32,
    results: u32,
    values: *mut RawVal,
) -> Status {
    // SAFETY: as above. Borrows of the store end before the switch.
    unsafe {
        let store_of = store(ctx);
        let (from, handler) = match store_of.handler(tag(ctx, tag_index), false) {
            Ok(found) => found,
            Err(trap) => return Status::trap(trap),
        };
        let object = match store_of.new_continuation() {
            Ok(object) => object,
            Err(trap) => return Status::trap(trap),
        };
        let (fiber, resumer) = store_of.capture(from, object, values, results);
        core::ptr::copy(values, resumer.values, params as usize);
        resumer.values.add(params as usize).write(crate::gc::object::reference(object.cast()));
        store_of.use_stacks(resumer.words);
        store_of.switching.outcome = (Status::OK, handler);
        switch(&raw mut (*fiber.as_ptr()).sp, resumer.sp);
        went_on(ctx)
    }
}

/// `switch`: `given` slots of values, then the continuation to go over to; `results` come back.
pub(crate) unsafe extern "C" fn switch_to(
    ctx: *mut VmContext,
    tag_index: u32,
    given: u32,
    results: u32,
    values: *mut RawVal,
) -> Status {
    // SAFETY: as above. Borrows of the store end before the switch.
    unsafe {
        let store_of = store(ctx);
        let reference = *values.add(given as usize);
        if let Err(trap) = usable(reference) {
            return Status::trap(trap);
        }
        let found = store_of.handler(tag(ctx, tag_index), true);
        let made = found.and_then(|(from, _)| Ok((from, store_of.new_continuation()?)));
        let begun = made.and_then(|(from, object)| {
            let own = crate::gc::object::reference(object.cast());
            let given = core::slice::from_raw_parts(values, given as usize);
            Ok((from, object, store_of.begin(reference, given, Some(own))?))
        });
        let (from, object, to) = match begun {
            Ok(begun) => begun,
            Err(trap) => return Status::trap(trap),
        };
        let (fiber, resumer) = store_of.capture(from, object, values, results);
        store_of.push_fibers(to, resumer);
        store_of.switching.outcome = (Status::OK, 0);
        switch(&raw mut (*fiber.as_ptr()).sp, to.as_ref().sp);
        went_on(ctx)
    }
}

/// Behind a `suspend` or `switch`, when its continuation goes on: an exception may have been sent in.
///
/// # Safety
/// As [`store`].
unsafe fn went_on(ctx: *mut VmContext) -> Status {
    // SAFETY: the caller's promise.
    let store = unsafe { store(ctx) };
    if let Some(ended) = store.switching.ended.take() {
        // SAFETY: it switched away for good.
        unsafe { store.switching.release(ended) };
    }
    core::mem::replace(&mut store.switching.outcome, (Status::OK, 0)).0
}
