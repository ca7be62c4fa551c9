//! What the stacks of continuations count against [`crate::StoreLimits::total_bytes`].
//!
//! A stack that somebody runs on, or that is kept for the next continuation, counts in full: what it touches nobody can watch. One that is
//! suspended may be settled: what lies beyond its live part is given back to the system, and from then on it counts with that part
//! only. This costs two calls to the system, so it is done when there is no room otherwise, for all that were entered since they were
//! settled last. Who resumes a settled one needs room for all of it again.

use super::{Continuation, Fiber, LEAST_BEGUN, LEAST_GAIN, Resumer, Switching};
use crate::store::StoreInner;
use crate::trap::Trap;
use core::ptr::NonNull;

impl Switching {
    /// Bytes that the stacks count with.
    pub(crate) fn charged_bytes(&self) -> u64 {
        self.charged
    }

    /// Gives back what the stacks of suspended continuations do not need, and those that are kept for later.
    pub(crate) fn settle(&mut self) {
        for stack in self.spare.drain(..) {
            self.charged -= stack.touchable() as u64;
            self.engine.count_gc_bytes(-(stack.bytes() as isize));
        }
        // Those that were suspended last are behind the others, most often.
        for i in (0..self.suspended.len()).rev() {
            if self.settled == self.suspended.len() {
                break;
            }
            let inner = self.suspended[i];
            // SAFETY: S1.
            if unsafe { inner.as_ref() }.settled {
                continue;
            }
            // SAFETY: S1: the continuation is suspended.
            unsafe { self.settle_continuation(inner) };
            // SAFETY: S1.
            self.settled += usize::from(unsafe { inner.as_ref() }.settled);
        }
    }

    /// # Safety
    /// S1; `inner` is the innermost fiber of a suspended continuation.
    unsafe fn settle_continuation(&mut self, inner: NonNull<Fiber>) {
        let mut next = Some(inner);
        // As in `mark_continuation`: the innermost has its own stack pointer, those around it wait in the `resume` of the one inside.
        let mut waiting: Option<Resumer> = None;
        while let Some(mut fiber) = next {
            // SAFETY: S1; no other borrow of it is alive.
            let fiber = unsafe { fiber.as_mut() };
            let (sp, top) = match waiting {
                None => (fiber.sp, fiber.words.value_top),
                Some(resumer) => (resumer.sp, resumer.words.value_top),
            };
            let native = fiber.stack.high().addr().saturating_sub(sp);
            let values = top.addr().saturating_sub(fiber.stack.values().addr());
            if let Some(live) = fiber.stack.keep(native, values) {
                self.charged -= fiber.charged;
                (fiber.charged, fiber.settled) = (live as u64, true);
                self.charged += fiber.charged;
            }
            waiting = Some(fiber.resumer);
            next = fiber.outer;
        }
    }
}

impl StoreInner {
    /// Is there room for stacks of so many bytes more?
    fn has_room_for_stacks(&mut self, bytes: impl Fn(&Switching) -> u64) -> bool {
        if bytes(&self.switching) <= self.bytes_left() {
            return true;
        }
        self.switching.settle();
        bytes(&self.switching) <= self.bytes_left()
    }

    /// Is there room for a further fiber? Collects the heap now and then, since only that gives the stacks of continuations back
    /// that nobody reaches.
    pub(super) fn make_room(&mut self) -> Result<(), Trap> {
        let full = |store: &mut StoreInner| {
            let (switching, limits) = (&store.switching, store.limits());
            let bytes = switching.bytes.saturating_add(switching.fiber_bytes as u64);
            switching.live >= limits.continuations
                || bytes > limits.continuation_bytes
                || !store.has_room_for_stacks(|switching| match switching.spare.is_empty() {
                    true => switching.fiber_bytes as u64,
                    false => 0,
                })
        };
        let begun = self.switching.begun;
        if full(self) || begun >= self.switching.threshold {
            self.collect()?;
            self.switching.threshold = self.switching.live.max(LEAST_BEGUN);
            // As for the heap: at the limit a collection must have been worth its while.
            if full(self) || begun < self.switching.live / LEAST_GAIN {
                return Err(Trap::TooManyContinuations);
            }
        }
        self.switching.begun += 1;
        Ok(())
    }

    /// The fibers of a continuation that was settled count in full again: it is about to go on.
    ///
    /// # Safety
    /// S1; `inner` is the innermost fiber of a suspended continuation that the collector finds.
    pub(super) unsafe fn charge_again(&mut self, inner: NonNull<Fiber>) -> Result<(), Trap> {
        let fibers = || {
            core::iter::successors(Some(inner), |fiber| {
                // SAFETY: the caller's promise.
                unsafe { fiber.as_ref() }.outer
            })
        };
        let more = fibers().map(|fiber| {
            // SAFETY: the caller's promise.
            let fiber = unsafe { fiber.as_ref() };
            fiber.stack.touchable() as u64 - fiber.charged
        });
        let more: u64 = more.sum();
        if !self.has_room_for_stacks(|_| more) {
            if self.switching.begun >= self.switching.live / LEAST_GAIN {
                self.collect()?;
            }
            if !self.has_room_for_stacks(|_| more) {
                return Err(Trap::TooManyContinuations);
            }
        }
        self.switching.charged += more;
        self.switching.settled -= 1;
        for mut fiber in fibers() {
            // SAFETY: the caller's promise; no other borrow of it is alive.
            let fiber = unsafe { fiber.as_mut() };
            (fiber.charged, fiber.settled) = (fiber.stack.touchable() as u64, false);
        }
        Ok(())
    }
}

impl Continuation {
    /// The innermost fiber, if it was settled.
    pub(super) fn settled(&self) -> Option<NonNull<Fiber>> {
        // SAFETY: S1.
        self.inner.filter(|fiber| unsafe { fiber.as_ref() }.settled)
    }
}
