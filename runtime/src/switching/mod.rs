//! Stack switching (proposal "stack-switching"): continuations, which are objects of the heap, and the fibers that they run on.
//!
//! A continuation that was begun runs on a fiber: native stack and slots of its own ([`crate::sys::fiber`]), so that interpreted and
//! native frames, and the engine's between them, suspend alike. The fibers that are entered form a stack, innermost last.
//! `suspend` takes those from the handler's on off that stack and into a continuation object: several at once, when the handler
//! stands further out. `resume` puts them back. Frames of host functions cannot be suspended: a call from host to guest puts up a
//! barrier that no search for handlers passes.
//!
//! Invariants: S1, a fiber belongs to its store's `Switching` and stays where it is until it is released; it is entered, or a
//! continuation object that was not consumed leads to it, never both. S2, whoever waits in [`sys::fiber::switch`] holds no borrow of the
//! store and no destructor: a fiber may be released without ever going on. S3, the words of `VmStore` that concern stacks are those
//! of the innermost fiber.

pub(crate) mod builtins;
mod room;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;

use crate::engine::Engine;
use crate::gc::{self, FIELDS, GcHeader, Kind, Marker, Shape};
use crate::ops::BULK_ELEMS_PER_FUEL;
use crate::store::StoreInner;
use crate::sys::fiber::{FiberStack, switch};
use crate::trap::Trap;
use crate::val::RawVal;
use crate::vm::{Status, VmContext, VmFunc, VmStore, VmTag};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

/// Stacks that are kept for later, so that a short continuation asks the system for nothing.
const SPARE_STACKS: usize = 64;
/// Fibers that are made at least before the heap is collected for their sake.
const LEAST_BEGUN: u32 = 1000;
/// At the limit, the part of the fibers that must have been made since the last collection.
const LEAST_GAIN: u32 = 16;

/// What lies in a continuation object.
#[repr(C)]
struct Continuation {
    header: GcHeader,
    /// How far it is.
    state: State,
    /// Values that `cont.bind` has given so far, in `args`.
    bound: u32,
    /// Slots of the values that it goes on with, those of `bound` included.
    expects: u32,
    /// Slots that a call of `func` needs.
    call_slots: u32,
    /// What it begins with, while it is fresh.
    func: *const VmFunc,
    /// An [`ARGS`] array, or null.
    args: u64,
    /// Where it goes on, when it was suspended.
    inner: Option<NonNull<Fiber>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum State {
    Consumed,
    Fresh,
    Suspended,
}

const CONTINUATION_REFS: [u32; 1] = [offset_of!(Continuation, args) as u32];
/// All continuations look alike: their types are known statically and never asked for.
static CONTINUATION: Shape = Shape {
    kind: Kind::Continuation,
    size: size_of::<Continuation>() as u32,
    element_size: 0,
    element_ref: 0,
    ref_count: 1,
    refs: CONTINUATION_REFS.as_ptr(),
};
/// Slots of bound arguments, any of which may be a reference.
static ARGS: Shape = Shape {
    kind: Kind::Array,
    size: FIELDS,
    element_size: size_of::<RawVal>() as u32,
    element_ref: 1,
    ref_count: 0,
    refs: ptr::dangling(),
};

/// The stacks, as the engines see them.
#[derive(Clone, Copy, Debug)]
struct Words {
    stack_limit: usize,
    value_top: *mut RawVal,
    value_limit: *mut RawVal,
}

impl Words {
    /// # Safety
    /// `vm` is a live store (V1, V5).
    unsafe fn read(vm: *const VmStore) -> Words {
        // SAFETY: the caller's promise.
        unsafe {
            Words {
                stack_limit: (*vm).stack_limit,
                value_top: (*vm).value_stack_top,
                value_limit: (*vm).value_stack_limit,
            }
        }
    }
}

/// A `resume` that waits: what its fiber comes back to.
#[derive(Clone, Copy, Debug)]
struct Resumer {
    /// Its stack pointer.
    sp: usize,
    words: Words,
    /// Its instance, whose tags the handlers name.
    ctx: *mut VmContext,
    /// The handlers: twice the tag's index, and 1 more for those of `switch`.
    handlers: *const RawVal,
    count: u32,
    /// Where it wants values.
    values: *mut RawVal,
    /// Slots of the results when its continuation returns.
    results: u32,
}

impl Resumer {
    /// The `resume` of an instance that is about to wait.
    ///
    /// # Safety
    /// `ctx` is live (V1, V5), the rest as the fields say.
    unsafe fn new(
        ctx: *mut VmContext,
        results: u32,
        handlers: *const RawVal,
        count: u32,
        values: *mut RawVal,
    ) -> Resumer {
        // SAFETY: the caller's promise.
        let words = unsafe { Words::read((*ctx).store) };
        Resumer { sp: 0, words, ctx, handlers, count, values, results }
    }

    /// Who has no handlers, and nothing to be told; the words are the store's outside.
    fn nobody(words: Words) -> Resumer {
        let (ctx, handlers, values) = (ptr::null_mut(), ptr::null(), ptr::null_mut());
        Resumer { sp: 0, words, ctx, handlers, count: 0, values, results: 0 }
    }
}

/// A continuation's stacks.
struct Fiber {
    stack: FiberStack,
    /// Bytes that it counts with: all that it may touch, or what was alive when it was settled.
    charged: u64,
    /// Was it settled since it was last entered?
    settled: bool,
    /// Stack pointer, while it is not the innermost.
    sp: usize,
    /// The same for the words of the store.
    words: Words,
    /// Who entered it last.
    resumer: Resumer,
    /// The fiber around it in a suspended continuation.
    outer: Option<NonNull<Fiber>>,
    /// Where its `suspend` or `switch` wants values.
    values: *mut RawVal,
    func: *const VmFunc,
    /// The continuation that leads to it.
    owner: Option<NonNull<GcHeader>>,
    /// Its place in `Switching::suspended`, when it has an owner.
    place: usize,
}

/// The fibers of a store.
pub(crate) struct Switching {
    /// Counts the stacks' bytes, over all stores.
    engine: Engine,
    /// Those that are entered, innermost last.
    active: Vec<NonNull<Fiber>>,
    /// How many of them are outside the innermost call from host to guest.
    barrier: usize,
    /// The innermost fiber of each suspended continuation.
    suspended: Vec<NonNull<Fiber>>,
    spare: Vec<FiberStack>,
    /// Fibers that exist.
    live: u32,
    /// Bytes of their stacks.
    bytes: u64,
    /// Bytes that they and the spare ones count with (`room`).
    charged: u64,
    /// Suspended continuations that were settled.
    settled: usize,
    /// What the one that switches to a resumer has for it: a status, and which handler (0 for none: it returned).
    outcome: (Status, u32),
    /// Bytes of one stack.
    fiber_bytes: usize,
    /// Fibers made since the last collection, and how many of them make the next one due.
    begun: u32,
    threshold: u32,
    /// A fiber that has ended, on whose stack somebody still ran.
    ended: Option<NonNull<Fiber>>,
    /// Calls from the host that may wait and are entered, innermost last.
    calls: Vec<NonNull<waiting::Waiting>>,
    spare_call_stacks: Vec<FiberStack>,
}

impl Switching {
    pub(crate) fn new(engine: &Engine) -> Switching {
        let config = engine.config();
        Switching {
            engine: engine.clone(),
            active: Vec::new(),
            barrier: 0,
            suspended: Vec::new(),
            spare: Vec::new(),
            live: 0,
            bytes: 0,
            charged: 0,
            settled: 0,
            outcome: (Status::OK, 0),
            fiber_bytes: config
                .continuation_stack_bytes
                .saturating_add(crate::stack::reserve(config))
                .saturating_add(config.continuation_value_stack_bytes),
            begun: 0,
            threshold: LEAST_BEGUN,
            ended: None,
            calls: Vec::new(),
            spare_call_stacks: Vec::new(),
        }
    }

    /// Calls from host to guest begin here; what was there before is given back by [`Switching::leave`].
    pub(crate) fn enter(&mut self) -> usize {
        core::mem::replace(&mut self.barrier, self.active.len())
    }

    /// The call is over.
    pub(crate) fn leave(&mut self, barrier: usize) {
        self.barrier = barrier;
    }

    /// Fibers that exist.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// The end of the native stack that runs now, if it is a fiber's.
    pub(crate) fn native_end(&self) -> Option<usize> {
        // SAFETY: S1.
        self.active.last().map(|fiber| unsafe { fiber.as_ref() }.stack.high().addr())
    }

    /// Notes that a continuation leads to this fiber and those around it.
    fn suspend(&mut self, mut fiber: NonNull<Fiber>, owner: NonNull<GcHeader>) {
        // SAFETY: S1; no other borrow of it is alive.
        let record = unsafe { fiber.as_mut() };
        record.owner = Some(owner);
        record.place = self.suspended.len();
        self.suspended.push(fiber);
    }

    fn unsuspend(&mut self, mut fiber: NonNull<Fiber>) {
        // SAFETY: S1; no other borrow of a fiber is alive.
        unsafe {
            fiber.as_mut().owner = None;
            let place = fiber.as_ref().place;
            self.suspended.swap_remove(place);
            if let Some(moved) = self.suspended.get_mut(place) {
                moved.as_mut().place = place;
            }
        }
    }

    /// Marks what the entered fibers hold, and whoever waits for them. The words of the innermost are not among it.
    ///
    /// # Safety
    /// G1, G3. `main` is the range of native stack below the first fiber (its end), and the first slot of the main value stack.
    pub(crate) unsafe fn mark_active(&self, marker: &mut Marker<'_>, main: (usize, *mut RawVal)) {
        let (mut end, mut values) = main;
        for fiber in &self.active {
            // SAFETY: S1; a waiting stack is mapped from its stack pointer to its end.
            unsafe {
                let fiber = fiber.as_ref();
                let high = ptr::with_exposed_provenance(end);
                marker.words(ptr::with_exposed_provenance(fiber.resumer.sp), high);
                marker.words(values.cast(), fiber.resumer.words.value_top.cast());
                end = fiber.stack.high().addr();
                values = fiber.stack.values();
            }
        }
    }

    /// The first slot of the innermost value stack, if it is a fiber's.
    pub(crate) fn values(&self) -> Option<*mut RawVal> {
        // SAFETY: S1.
        self.active.last().map(|fiber| unsafe { fiber.as_ref() }.stack.values())
    }

    /// Marking is over: stacks of continuations that nobody reaches are released.
    pub(crate) fn release_unmarked(&mut self, marker: &Marker<'_>) {
        self.begun = 0;
        for i in (0..self.suspended.len()).rev() {
            let fiber = self.suspended[i];
            // SAFETY: S1.
            let (owner, settled) = unsafe { (fiber.as_ref().owner, fiber.as_ref().settled) };
            if owner.is_none_or(|owner| !marker.is_marked(owner)) {
                self.settled -= usize::from(settled);
                self.unsuspend(fiber);
                let mut next = Some(fiber);
                while let Some(fiber) = next {
                    // SAFETY: S1: nobody leads to it any more. S2: nothing is lost with its frames.
                    next = unsafe { self.release(fiber) };
                }
            }
        }
    }

    /// Gives a fiber's stack back; the fiber around it.
    ///
    /// # Safety
    /// Nothing leads to the fiber any more, and nobody runs on it.
    unsafe fn release(&mut self, fiber: NonNull<Fiber>) -> Option<NonNull<Fiber>> {
        // SAFETY: made by `Box::leak` in `new_fiber`.
        let fiber = unsafe { Box::from_raw(fiber.as_ptr()) };
        self.live -= 1;
        self.bytes -= fiber.stack.bytes() as u64;
        if self.spare.len() < SPARE_STACKS && !fiber.settled {
            self.spare.push(fiber.stack);
        } else {
            self.charged = self.charged.saturating_sub(fiber.charged);
            self.engine.count_gc_bytes(-(fiber.stack.bytes() as isize));
        }
        fiber.outer
    }
}

impl Drop for Switching {
    fn drop(&mut self) {
        for fiber in core::mem::take(&mut self.suspended).into_iter().chain(core::mem::take(&mut self.active))
        {
            let mut next = Some(fiber);
            while let Some(fiber) = next {
                // SAFETY: the store is gone: nobody runs on the fiber or leads to it. S2.
                next = unsafe { self.release(fiber) };
            }
        }
        let spare: usize = self.spare.iter().chain(&self.spare_call_stacks).map(FiberStack::bytes).sum();
        self.engine.count_gc_bytes(-(spare as isize));
        for stack in self.spare_call_stacks.drain(..) {
            self.engine.spare_stacks().put(stack);
        }
    }
}

/// Scans what a continuation has on its stacks.
///
/// # Safety
/// G1, G3; the object is a continuation.
pub(crate) unsafe fn mark_continuation(marker: &mut Marker<'_>, object: NonNull<GcHeader>) {
    // SAFETY: the caller's promise; S1: the stacks are mapped from their stack pointers to their ends.
    unsafe {
        let continuation = object.cast::<Continuation>().as_ref();
        if continuation.state != State::Suspended {
            return;
        }
        let mut next = continuation.inner;
        // The innermost has its own stack pointer; those around it wait in the `resume` of the one inside.
        let mut waiting: Option<Resumer> = None;
        while let Some(fiber) = next {
            let fiber = fiber.as_ref();
            let (sp, top) = match waiting {
                None => (fiber.sp, fiber.words.value_top),
                Some(resumer) => (resumer.sp, resumer.words.value_top),
            };
            marker.words(ptr::with_exposed_provenance(sp), fiber.stack.high());
            marker.words(fiber.stack.values().cast(), top.cast());
            waiting = Some(fiber.resumer);
            next = fiber.outer;
        }
    }
}

/// A continuation reference that can be used.
///
/// # Safety
/// `reference` is null or a live continuation.
unsafe fn usable<'a>(reference: RawVal) -> Result<&'a mut Continuation, Trap> {
    let object = gc::object::object(reference).ok_or(Trap::NullContinuation)?;
    // SAFETY: the caller's promise.
    let continuation = unsafe { object.cast::<Continuation>().as_mut() };
    match continuation.state {
        State::Consumed => Err(Trap::ContinuationConsumed),
        _ => Ok(continuation),
    }
}

impl StoreInner {
    fn new_continuation(&mut self) -> Result<NonNull<Continuation>, Trap> {
        // SAFETY: the shape is static.
        Ok(unsafe { gc::alloc(self, &CONTINUATION, 0) }?.cast())
    }

    /// `cont.new`
    ///
    /// # Safety
    /// `func` is null or a live function whose type has parameters of `params` slots and `call_slots` (V4).
    unsafe fn cont_new(&mut self, func: RawVal, params: u32, call_slots: u32) -> Result<RawVal, Trap> {
        if func == 0 {
            return Err(Trap::NullFunctionReference);
        }
        let mut object = self.new_continuation()?;
        // SAFETY: it was made just now.
        let continuation = unsafe { object.as_mut() };
        continuation.state = State::Fresh;
        continuation.expects = params;
        continuation.call_slots = call_slots;
        continuation.func = ptr::with_exposed_provenance(func as usize);
        Ok(gc::object::reference(object.cast()))
    }

    /// `cont.bind`: `values` has so many slots of arguments, then the continuation.
    ///
    /// # Safety
    /// The slots fit the continuation's type, and the collector finds them.
    unsafe fn cont_bind(&mut self, given: u32, values: *const RawVal) -> Result<RawVal, Trap> {
        // SAFETY: the caller's promise; what is allocated here is on this native stack, what was there before in the slots.
        unsafe {
            let reference = *values.add(given as usize);
            let (bound, expects) = match usable(reference)? {
                old if old.args == 0 => (0, old.expects),
                old => (old.bound, old.expects),
            };
            let mut object = self.new_continuation()?;
            let mut args = usable(reference)?.args;
            if args == 0 && given > 0 {
                args = gc::object::reference(gc::alloc(self, &ARGS, expects)?);
            }
            if let Some(array) = gc::object::object(args) {
                let first = array.as_ptr().byte_add(FIELDS as usize).cast::<RawVal>();
                ptr::copy_nonoverlapping(values, first.add(bound as usize), given as usize);
            }
            let old = usable(reference)?;
            let new = object.as_mut();
            (new.state, new.func, new.call_slots) = (old.state, old.func, old.call_slots);
            (new.expects, new.inner, new.args) = (old.expects, old.inner, args);
            new.bound = bound + given;
            old.consume();
            if let Some(mut inner) = new.inner {
                inner.as_mut().owner = Some(object.cast());
            }
            Ok(gc::object::reference(object.cast()))
        }
    }

    /// The fiber that a continuation goes on with, on which `given` further values wait for it, and the continuation is consumed.
    ///
    /// # Safety
    /// As for [`StoreInner::cont_bind`].
    unsafe fn begin(
        &mut self,
        reference: RawVal,
        given: &[RawVal],
        last: Option<RawVal>,
    ) -> Result<NonNull<Fiber>, Trap> {
        // SAFETY: the caller's promise; S1.
        unsafe {
            let continuation = usable(reference)?;
            if continuation.inner.is_none() {
                self.make_room()?;
            } else if let Some(fiber) = continuation.settled() {
                self.charge_again(fiber)?;
            }
            let continuation = usable(reference)?;
            let fiber = match continuation.inner {
                Some(fiber) => {
                    self.switching.unsuspend(fiber);
                    fiber
                }
                None => self.new_fiber(continuation)?,
            };
            let values = fiber.as_ref().values;
            let bound = continuation.bound as usize;
            if let Some(args) = gc::object::object(continuation.args) {
                ptr::copy_nonoverlapping(args.as_ptr().byte_add(FIELDS as usize).cast(), values, bound);
            }
            ptr::copy(given.as_ptr(), values.add(bound), given.len());
            if let Some(last) = last {
                values.add(bound + given.len()).write(last);
            }
            continuation.consume();
            Ok(fiber)
        }
    }

    /// A fiber for a fresh continuation. Its arguments go where its `values` say.
    fn new_fiber(&mut self, continuation: &Continuation) -> Result<NonNull<Fiber>, Trap> {
        let config = self.engine().config();
        let (native, values) = (config.continuation_stack_bytes, config.continuation_value_stack_bytes);
        let reserve = crate::stack::reserve(config);
        // The reserve is for the host, on top of what the guest may use.
        let stack = match self.switching.spare.pop() {
            Some(stack) => stack,
            None => {
                let stack = FiberStack::new(native.saturating_add(reserve), values);
                let stack = stack.ok_or(Trap::TooManyContinuations)?;
                self.engine().count_gc_bytes(stack.bytes() as isize);
                self.switching.charged += stack.touchable() as u64;
                stack
            }
        };
        let bytes = stack.bytes() as u64;
        let base = stack.values();
        let value_top = base.wrapping_add(continuation.call_slots as usize);
        if value_top > stack.values_end() {
            self.switching.spare.push(stack);
            return Err(Trap::StackOverflow);
        }
        let words = Words { stack_limit: stack.low() + reserve, value_top, value_limit: stack.values_end() };
        let fiber = Box::leak(Box::new(Fiber {
            charged: stack.touchable() as u64,
            settled: false,
            stack,
            sp: 0,
            words,
            resumer: Resumer::nobody(words),
            outer: None,
            values: base,
            func: continuation.func,
            owner: None,
            place: 0,
        }));
        let this = NonNull::from(&mut *fiber);
        // SAFETY: nobody is on the stack; `run` never returns.
        fiber.sp = unsafe { fiber.stack.prepare(run, this.as_ptr().cast()) };
        self.switching.live += 1;
        self.switching.bytes += bytes;
        Ok(this)
    }

    /// The innermost handler for a tag inside the barrier: which fiber its `resume` entered, and its number from 1. A search that
    /// is long costs fuel.
    ///
    /// # Safety
    /// V1; S1.
    unsafe fn handler(&mut self, tag: *const VmTag, switches: bool) -> Result<(usize, u32), Trap> {
        let mut steps = 0u64;
        let mut found = Err(Trap::UnhandledTag);
        'search: for i in (self.switching.barrier..self.switching.active.len()).rev() {
            // SAFETY: S1; the resumer waits, so its list of handlers and its instance are there.
            unsafe {
                let resumer = &self.switching.active[i].as_ref().resumer;
                steps += u64::from(resumer.count) + 1;
                for at in 0..resumer.count {
                    let handler = *resumer.handlers.add(at as usize);
                    let is_switch = handler & 1 != 0;
                    if is_switch == switches && builtins::tag(resumer.ctx, (handler >> 1) as u32) == tag {
                        found = Ok((i, at + 1));
                        break 'search;
                    }
                }
            }
        }
        self.consume_fuel(steps / BULK_ELEMS_PER_FUEL)?;
        found
    }

    /// Takes the fibers from number `from` on off those that are entered and into a continuation; the innermost of them, and who
    /// waits for the outermost.
    ///
    /// # Safety
    /// S1, S3; there is a fiber `from`; the object was made just now.
    unsafe fn capture(
        &mut self,
        from: usize,
        mut object: NonNull<Continuation>,
        values: *mut RawVal,
        expects: u32,
    ) -> (NonNull<Fiber>, Resumer) {
        // SAFETY: S1, S3, the caller's promise.
        unsafe {
            let chain = self.switching.active.split_off(from);
            for pair in chain.windows(2) {
                let mut inner = pair[1];
                inner.as_mut().outer = Some(pair[0]);
            }
            let resumer = chain[0].as_ref().resumer;
            let mut inner = chain[chain.len() - 1];
            let fiber = inner.as_mut();
            fiber.words = Words::read(self.vm());
            fiber.values = values;
            let continuation = object.as_mut();
            continuation.state = State::Suspended;
            continuation.expects = expects;
            continuation.inner = Some(inner);
            self.switching.suspend(inner, object.cast());
            (inner, resumer)
        }
    }

    /// Enters the fibers of a continuation that goes on for a `resume` that waits; the outermost of them.
    ///
    /// # Safety
    /// S1; `inner` came from [`StoreInner::begin`].
    unsafe fn push_fibers(&mut self, inner: NonNull<Fiber>, resumer: Resumer) -> NonNull<Fiber> {
        // SAFETY: S1.
        unsafe {
            let at = self.switching.active.len();
            let mut next = Some(inner);
            while let Some(mut fiber) = next {
                self.switching.active.push(fiber);
                next = fiber.as_mut().outer.take();
            }
            self.switching.active[at..].reverse();
            let mut outermost = self.switching.active[at];
            outermost.as_mut().resumer = resumer;
            let words = inner.as_ref().words;
            self.use_stacks(words);
            outermost
        }
    }

    /// Sets the store's words (S3).
    fn use_stacks(&mut self, words: Words) {
        // SAFETY: V1, V5.
        unsafe {
            let vm = self.vm();
            (*vm).stack_limit = words.stack_limit;
            (*vm).value_stack_top = words.value_top;
            (*vm).value_stack_limit = words.value_limit;
        }
        self.set_native_limit(words.stack_limit);
    }
}

impl Continuation {
    fn consume(&mut self) {
        self.state = State::Consumed;
        self.args = 0;
        self.inner = None;
        self.bound = 0;
    }
}

/// What runs first on a fiber: the continuation's function, then whoever resumed it last.
///
/// # Safety
/// `fiber` is a [`Fiber`] that was entered (S1), with its arguments in the first slots of its value stack.
unsafe extern "C" fn run(fiber: *mut u8) -> ! {
    // SAFETY: S1, S2, S3; V4: the slots cover the function's type; the store runs on this thread (V5).
    unsafe {
        let this = fiber.cast::<Fiber>();
        let (func, slots) = ((*this).func, (*this).stack.values());
        let status = ((*func).array_call)(func, slots);
        let store = builtins::store((*this).resumer.ctx);
        let resumer = (*this).resumer;
        store.switching.active.pop();
        if status.is_ok() {
            ptr::copy(slots, resumer.values, resumer.results as usize);
        }
        store.switching.outcome = (status, 0);
        store.switching.ended = NonNull::new(this);
        store.use_stacks(resumer.words);
        switch(&raw mut (*this).sp, resumer.sp);
    }
    unreachable!("crash: a continuation that has ended was resumed")
}
