//! Calls from the host that may wait ([`crate::call_async`]): each runs on a fiber of its own, beside the continuations of guests.
//!
//! Whoever polls such a call enters its fiber and is, for the fibers' stack, its resumer. A host function inside that has to wait
//! goes back to the poller, and what the store's words said then is kept until the next poll. Fibers of continuations that the
//! call has entered go with it.
//!
//! Invariants: S4, a [`Waiting`] stays where it is, and so does its store, until it has ended; it is entered (`Switching::calls`
//! says so, and its poller waits in [`switch`]) or not, never both. S5, a fiber is released when what runs on it has returned: a call
//! that is dropped is entered once more, its host function then gives an error, and guest code is left as by a trap. So destructors
//! run, and no frame of a host function is lost.

use super::{Fiber, Resumer, Words};
use crate::error::{Error, Result};
use crate::handle::Instance;
use crate::store::StoreInner;
use crate::sync::Mutex;
use crate::sys::fiber::{FiberStack, switch};
use crate::trap::Trap;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::ffi::c_void;
use core::pin::pin;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};

/// Calls that may stand on each other: a guest whose import waits for a call that may wait itself, and so on. Each has stacks of its
/// own.
const MAX_NESTED: usize = 64;
/// Stacks that a store keeps for its next call.
const SPARE_STACKS: usize = 2;

/// Stacks that stores have given back, for calls of other stores of the engine: a store that lives for one call only maps nothing.
///
/// All are of one size, that of the engine's settings. What a guest left on them no other can read: frames are written before
/// they are read.
#[derive(Debug, Default)]
pub(crate) struct SpareStacks {
    stacks: Mutex<Vec<FiberStack>>,
    put: AtomicUsize,
}

impl SpareStacks {
    /// How many are kept.
    const MOST: usize = 32;
    /// How much memory each keeps at either of its ends.
    const WARM: usize = 64 << 10;
    /// So many may keep all that guests have touched, for a while: giving it back is dear next to a short call.
    const HOT: usize = 2;
    /// The while: of so many that are put back one is cooled in any case.
    const WHILE: usize = 16;

    fn take(&self) -> Option<FiberStack> {
        self.stacks.lock().pop()
    }

    pub(super) fn put(&self, mut stack: FiberStack) {
        let due = self.put.fetch_add(1, Ordering::Relaxed).is_multiple_of(Self::WHILE);
        let kept = self.stacks.lock().len();
        // Not while the list is locked: who comes at the same time may make it longer by one.
        if kept < Self::MOST && ((kept < Self::HOT && !due) || stack.cool(Self::WARM)) {
            self.stacks.lock().push(stack);
        }
    }
}

/// What runs on the fiber.
pub(crate) type Work = Box<dyn FnOnce(&mut StoreInner) + Send>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    Fresh,
    Suspended,
    Ended,
}

/// A call that may wait: what its poller and its fiber share.
pub(crate) struct Waiting {
    store: NonNull<StoreInner>,
    fiber: NonNull<Fiber>,
    work: Option<Work>,
    progress: Progress,
    /// Its future was dropped: it is to end.
    cancelled: bool,
    /// What it panicked with.
    panic: Option<Box<dyn Any + Send>>,
    /// Who polls; null when nobody does.
    context: *mut Context<'static>,
    kept: Kept,
}

/// What is to be as it was when the call goes on.
struct Kept {
    words: Words,
    inner: *mut c_void,
    /// Its fiber and those of continuations inside, innermost last.
    fibers: Vec<NonNull<Fiber>>,
    /// Which of them are outside the innermost call from host to guest.
    barrier: Option<usize>,
    /// Calls from host to guest.
    depth: u32,
    caller: Option<Instance>,
}

/// A host function's right to wait.
#[derive(Clone, Copy)]
pub(crate) struct Waiter(NonNull<Waiting>);

fn cancelled() -> Error {
    Error::host("the call was dropped before it was over")
}

impl StoreInner {
    /// Prepares a call; nothing runs yet.
    ///
    /// # Errors
    /// `Trap(StackOverflow)` when too many such calls stand on each other; `Exhausted` when there is no address space.
    ///
    /// # Safety
    /// The store stays where it is, and is used by nobody else, until the call was ended or released. What `work` borrows outlives
    /// the call.
    pub(crate) unsafe fn new_waiting(&mut self, work: Work) -> Result<NonNull<Waiting>> {
        if self.switching.calls.len() >= MAX_NESTED {
            return Err(Trap::StackOverflow.into());
        }
        let config = self.engine().config();
        let reserve = crate::stack::reserve(config);
        let (native, values) =
            (config.async_stack_bytes.saturating_add(reserve), config.async_value_stack_bytes);
        let stack = match self.switching.spare_call_stacks.pop() {
            Some(stack) => stack,
            None => {
                let stack = self.engine().spare_stacks().take().or_else(|| FiberStack::new(native, values));
                let stack = stack.ok_or_else(|| Error::exhausted("no address space for a stack"))?;
                self.engine().count_gc_bytes(stack.bytes() as isize);
                stack
            }
        };
        let words = Words {
            stack_limit: stack.low() + reserve,
            value_top: stack.values(),
            value_limit: stack.values_end(),
        };
        let fiber = Box::leak(Box::new(Fiber {
            values: stack.values(),
            charged: stack.touchable() as u64,
            settled: false,
            stack,
            sp: 0,
            words,
            resumer: Resumer::nobody(words),
            outer: None,
            func: ptr::null(),
            owner: None,
            place: 0,
        }));
        let at = NonNull::from(&mut *fiber);
        let waiting = NonNull::from(Box::leak(Box::new(Waiting {
            store: NonNull::from(&mut *self),
            fiber: at,
            work: Some(work),
            progress: Progress::Fresh,
            cancelled: false,
            panic: None,
            context: ptr::null_mut(),
            kept: Kept {
                words,
                inner: ptr::null_mut(),
                fibers: Vec::from([at]),
                barrier: None,
                depth: 0,
                caller: None,
            },
        })));
        // SAFETY: nobody is on the stack; `begin` never returns.
        fiber.sp = unsafe { fiber.stack.prepare(begin, waiting.as_ptr().cast()) };
        Ok(waiting)
    }

    /// The right to wait, for a host function that a guest has just called.
    ///
    /// # Errors
    /// `Usage` when nobody polls, or when a function of the host that cannot wait is in between.
    pub(crate) fn waiter(&self) -> Result<Waiter> {
        match self.switching.calls.last() {
            Some(waiting) if self.may_wait => Ok(Waiter(*waiting)),
            _ => Err(Error::usage(
                "this function of the host may have to wait: what leads to it must be called with `call_async` or \
                 `instantiate_async`",
            )),
        }
    }

    /// At the deadline of a call that is to yield: waits for the next turn.
    pub(crate) fn yield_turn(&mut self) -> Result<()> {
        let mut first = true;
        self.waiter()?.wait(core::future::poll_fn(|cx| {
            if core::mem::take(&mut first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        }))
    }

    /// Gives a call's stacks back.
    ///
    /// # Safety
    /// Nothing on them is needed any more, and nobody has the pointer.
    pub(crate) unsafe fn release_waiting(&mut self, waiting: NonNull<Waiting>) {
        // SAFETY: both were made by `Box::leak` in `new_waiting`.
        let fiber = unsafe {
            let waiting = Box::from_raw(waiting.as_ptr());
            Box::from_raw(waiting.fiber.as_ptr())
        };
        if self.switching.spare_call_stacks.len() < SPARE_STACKS {
            self.switching.spare_call_stacks.push(fiber.stack);
        } else {
            self.engine().count_gc_bytes(-(fiber.stack.bytes() as isize));
            self.engine().spare_stacks().put(fiber.stack);
        }
    }

    /// Enters the call until it waits again or has ended.
    ///
    /// # Safety
    /// As for [`Waiting::poll`].
    unsafe fn enter_waiting(this: NonNull<StoreInner>, waiting: NonNull<Waiting>) -> Result<(), Trap> {
        let waiting = waiting.as_ptr();
        // SAFETY: V1, V5, S1, S3, S4. Borrows of the store end before the switch.
        unsafe {
            let store = &mut *this.as_ptr();
            let native = store.native_stack_state();
            // Frames of the guest lie below this one, or on the fiber.
            let here = 0usize;
            let here = core::hint::black_box(&raw const here).addr();
            if let Err(trap) = store.enter_native_stack(here) {
                store.set_native_stack_state(native);
                return Err(trap);
            }
            let vm = store.vm();
            let (words, inner) = (Words::read(vm), (*vm).inner);
            let (barrier, at) = (store.switching.barrier, store.switching.active.len());
            let may_wait = core::mem::replace(&mut store.may_wait, true);
            let depth = store.native_stack_state().depth;

            let kept = &mut (*waiting).kept;
            store.switching.active.append(&mut kept.fibers);
            if let Some(inside) = kept.barrier {
                store.switching.barrier = at + inside;
                (*vm).inner = kept.inner;
            }
            let caller = store.swap_caller(kept.caller);
            store.deepen_native_stack(kept.depth);
            let kept_words = kept.words;
            store.use_stacks(kept_words);
            store.switching.calls.push(NonNull::new_unchecked(waiting));
            let fiber = (*waiting).fiber.as_ptr();
            (*fiber).resumer = Resumer::nobody(words);
            switch(&raw mut (*fiber).resumer.sp, (*fiber).sp);

            let store = &mut *this.as_ptr();
            store.switching.calls.pop();
            let fibers = store.switching.active.split_off(at);
            let caller = store.swap_caller(caller);
            if (*waiting).progress == Progress::Suspended {
                (*waiting).kept = Kept {
                    words: Words::read(vm),
                    inner: (*vm).inner,
                    fibers,
                    barrier: Some(store.switching.barrier - at),
                    depth: store.native_stack_state().depth - depth,
                    caller,
                };
            }
            store.may_wait = may_wait;
            store.switching.barrier = barrier;
            (*vm).inner = inner;
            store.use_stacks(words);
            store.set_native_stack_state(native);
        }
        Ok(())
    }
}

impl Waiting {
    /// Lets the call go on until it waits or ends; the answer says which. A panic of the call comes out of here.
    ///
    /// # Errors
    /// `Trap(StackOverflow)` when there is no native stack left to enter anything from; the call is as it was.
    ///
    /// # Safety
    /// The call has not ended, nobody has entered it, and nobody uses its store (S4).
    pub(crate) unsafe fn poll(this: NonNull<Waiting>, cx: &mut Context<'_>) -> Result<Poll<()>, Trap> {
        let waiting = this.as_ptr();
        // SAFETY: the caller's promise; the context is looked at while this waits only.
        unsafe {
            (*waiting).context = ptr::from_mut(cx).cast();
            let entered = StoreInner::enter_waiting((*waiting).store, this);
            (*waiting).context = ptr::null_mut();
            entered?;
            match (*waiting).progress {
                Progress::Ended => match (*waiting).panic.take() {
                    Some(panic) => std::panic::resume_unwind(panic),
                    None => Ok(Poll::Ready(())),
                },
                _ => Ok(Poll::Pending),
            }
        }
    }

    /// Ends the call if it was begun, by an error where it waits; a fresh one loses its work. `false` if there is no native stack for it.
    ///
    /// # Safety
    /// As for [`Waiting::poll`], save that it may have ended.
    pub(crate) unsafe fn cancel(this: NonNull<Waiting>) -> bool {
        let waiting = this.as_ptr();
        // SAFETY: the caller's promise.
        unsafe {
            (*waiting).cancelled = true;
            if (*waiting).progress == Progress::Suspended {
                let mut context = Context::from_waker(core::task::Waker::noop());
                let _ = Waiting::poll(this, &mut context);
            }
            (*waiting).progress != Progress::Suspended
        }
    }
}

impl Waiter {
    /// Waits for a future: polls it, and as long as it is not ready lets the poller of the call do other things.
    ///
    /// # Errors
    /// The call was dropped; then the future is dropped as well.
    pub(crate) fn wait<F: Future>(self, future: F) -> Result<F::Output> {
        let waiting = self.0.as_ptr();
        let mut future = pin!(future);
        loop {
            // SAFETY: S4: this runs on the fiber, whose poller waits and has left its context.
            unsafe {
                if (*waiting).cancelled {
                    return Err(cancelled());
                }
                if let Poll::Ready(output) = future.as_mut().poll(&mut *(*waiting).context) {
                    return Ok(output);
                }
                (*waiting).progress = Progress::Suspended;
                let fiber = (*waiting).fiber.as_ptr();
                switch(&raw mut (*fiber).sp, (*fiber).resumer.sp);
            }
        }
    }
}

/// What runs first on the fiber of a call.
///
/// # Safety
/// `waiting` is a [`Waiting`] that was entered (S4).
unsafe extern "C" fn begin(waiting: *mut u8) -> ! {
    // SAFETY: S4; S5: what was made here is gone before the switch.
    unsafe {
        let waiting = waiting.cast::<Waiting>();
        if let Some(work) = (*waiting).work.take() {
            let store = (*waiting).store.as_ptr();
            let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| work(&mut *store)));
            (*waiting).panic = result.err();
        }
        (*waiting).progress = Progress::Ended;
        let fiber = (*waiting).fiber.as_ptr();
        switch(&raw mut (*fiber).sp, (*fiber).resumer.sp);
    }
    unreachable!("crash: a call that has ended was entered")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> FiberStack {
        FiberStack::new(1 << 20, 1 << 20).expect("there is address space")
    }

    #[test]
    fn an_engine_keeps_a_bounded_number_of_stacks_and_gives_them_out_again() {
        let spare = SpareStacks::default();
        assert!(spare.take().is_none());
        let low = stack();
        let known = low.low();
        spare.put(low);
        assert_eq!(spare.take().map(|stack| stack.low()), Some(known));
        for _ in 0..2 * SpareStacks::MOST {
            spare.put(stack());
        }
        assert_eq!(core::iter::from_fn(|| spare.take()).count(), SpareStacks::MOST);
    }

    #[test]
    fn a_stack_that_is_cooled_keeps_only_what_lies_where_it_begins() {
        let mut stack = stack();
        let ends = [stack.high().wrapping_sub(8), stack.values().cast::<u8>()];
        let deep = [stack.high().with_addr(stack.low()), stack.values_end().cast::<u8>().wrapping_sub(8)];
        // SAFETY: all of them lie on the stack, above its guard, and nobody runs on it.
        unsafe {
            for at in ends.into_iter().chain(deep) {
                at.write(7);
            }
            assert!(stack.cool(SpareStacks::WARM));
            assert_eq!(ends.map(|at| at.read()), [7, 7]);
            assert_eq!(
                deep.map(|at| at.read()),
                [0, 0],
                "what a guest left far down is gone, and its memory"
            );
        }
    }
}
