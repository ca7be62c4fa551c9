//! The two stacks that guest code uses: the store's value stack (interpreted frames), and the native stack of the thread.

use crate::config::Config;
use crate::trap::Trap;
use crate::val::RawVal;

/// The value stack: one block of slots that never moves, so that frames may be pointed at.
#[derive(Debug)]
pub(crate) struct ValueStack {
    /// Held for as long as `base` points into it.
    #[cfg(feature = "std")]
    block: Option<crate::sys::Reservation>,
    #[cfg(not(feature = "std"))]
    _block: alloc::boxed::Box<[RawVal]>,
    base: *mut RawVal,
    slots: usize,
}

/// Where address space is scarce a value stack is no smaller than this.
#[cfg(feature = "std")]
const LEAST_VALUE_STACK: usize = 64 << 10;

impl ValueStack {
    /// Reserves the stack. Where the system has no room for it the stack is smaller, at worst empty: then the first call traps with
    /// `StackOverflow`.
    #[cfg(feature = "std")]
    pub(crate) fn new(bytes: usize) -> ValueStack {
        let page = region::page::size();
        let mut bytes = bytes.max(1).checked_next_multiple_of(page).unwrap_or(usize::MAX / page * page);
        let mut block = crate::sys::Reservation::new(bytes, bytes);
        while block.is_none() && bytes > LEAST_VALUE_STACK.max(page) {
            bytes = (bytes / 2).next_multiple_of(page);
            block = crate::sys::Reservation::new(bytes, bytes);
        }
        let (base, len) = match &mut block {
            Some(block) => {
                block.leave_untouched();
                (block.base().cast::<RawVal>(), bytes)
            }
            None => (core::ptr::NonNull::dangling().as_ptr(), 0),
        };
        ValueStack { block, base, slots: len / size_of::<RawVal>() }
    }

    /// Some function of the store is interpreted: it may be used from now on.
    pub(crate) fn touch(&mut self) {
        #[cfg(feature = "std")]
        if let Some(block) = &mut self.block {
            block.touch();
        }
    }

    /// Allocates the stack.
    #[cfg(not(feature = "std"))]
    pub(crate) fn new(bytes: usize) -> ValueStack {
        let mut block = alloc::vec![0; bytes / size_of::<RawVal>()].into_boxed_slice();
        let (base, slots) = (block.as_mut_ptr(), block.len());
        ValueStack { _block: block, base, slots }
    }

    pub(crate) fn base(&self) -> *mut RawVal {
        self.base
    }

    pub(crate) fn limit(&self) -> *mut RawVal {
        self.base.wrapping_add(self.slots)
    }
}

/// How far guest code may go down on the native stack, and how often it was entered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NativeStack {
    /// Calls from host to guest that are under way.
    pub(crate) depth: u32,
    limit: usize,
    /// Where the outermost of them was made.
    entry: usize,
}

/// Calls from host to guest that may nest where the stack's end is not known.
#[cfg(not(feature = "std"))]
const MAX_DEPTH: u32 = 16;

impl NativeStack {
    /// A call into guest code begins at the address `here` of the native stack: the lowest address it may use.
    pub(crate) fn enter(&mut self, config: &Config, here: usize) -> Result<usize, Trap> {
        if self.depth == 0 {
            self.entry = here;
            self.limit = imp::limit(config);
        }
        self.check(config)?;
        self.depth += 1;
        Ok(self.limit)
    }

    #[cfg(fibers)]
    /// Another stack, whose lowest usable address is this.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// It is over.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Where the outermost call was made, when there is one.
    pub(crate) fn entry(&self) -> Option<usize> {
        (self.depth > 0).then_some(self.entry)
    }

    /// Is there stack enough for the host to run on?
    pub(crate) fn check(&self, _config: &Config) -> Result<(), Trap> {
        #[cfg(not(feature = "std"))]
        if self.depth >= MAX_DEPTH {
            return Err(Trap::StackOverflow);
        }
        if imp::pointer() < self.limit { Err(Trap::StackOverflow) } else { Ok(()) }
    }
}

#[cfg(fibers)]
pub(crate) use imp::reserve;

#[cfg(feature = "std")]
mod imp {
    use crate::config::Config;
    use std::cell::Cell;

    thread_local! {
        /// Lowest usable address of this thread's stack; 0 until it was looked up.
        static LOW: Cell<usize> = const { Cell::new(0) };
    }

    /// About where the stack pointer is.
    #[inline(never)]
    pub(super) fn pointer() -> usize {
        let here = 0u8;
        core::hint::black_box(&raw const here) as usize
    }

    /// What is kept at least, whatever the embedder says: the prologue of native code looks at the limit when it has taken its
    /// frame already (at most 32 KiB, jit/src/compile), and builtins and the way out of a trap run without looking.
    const LEAST_RESERVE: usize = 96 << 10;

    /// Bytes that stay free for host functions.
    pub(crate) fn reserve(config: &Config) -> usize {
        config.native_stack_reserve.max(LEAST_RESERVE)
    }

    /// The reserve stays free for host functions; a thread too small for it gives up half of what it has.
    pub(super) fn limit(config: &Config) -> usize {
        let here = pointer();
        let low = LOW.with(|low| {
            if low.get() == 0 {
                low.set(crate::sys::thread_stack_low().unwrap_or_else(|| here.saturating_sub(256 << 10)));
            }
            low.get()
        });
        let left = here.saturating_sub(low);
        let reserve = reserve(config).min(left / 2);
        (low + reserve).max(here.saturating_sub(config.native_stack_bytes))
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    use crate::config::Config;

    pub(super) fn pointer() -> usize {
        usize::MAX
    }

    pub(super) fn limit(_config: &Config) -> usize {
        0
    }
}
