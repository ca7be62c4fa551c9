//! Memories that several stores, and so several threads, use at the same time (proposal threads).
//!
//! Their address space is reserved for the maximum when they are made, so the base never changes and growth is no more than a
//! larger length, which is atomic (V2). Who waits at an address is kept in the memory's parking place.

use super::racy;
use super::storage::Storage;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::Memory;
use crate::store::{AsStoreMut, StoreInner};
use crate::sync::Mutex;
use crate::trap::Trap;
use crate::types::MemoryType;
use crate::vm::VmMemory;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::{format, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::{Thread, current, park_timeout};
use std::time::{Duration, Instant};

/// A waiting thread looks at the deadline of its store this often.
const GLANCE: Duration = Duration::from_millis(5);

/// A shared memory. Cheap to clone; any thread may use it, and any store of its engine may import it.
#[derive(Clone)]
pub struct SharedMemory(Arc<Inner>);

struct Inner {
    vm: VmMemory,
    ty: MemoryType,
    engine: Engine,
    guarded_bytes: u64,
    /// Held while the memory grows.
    storage: Mutex<Storage>,
    parking: Parking,
}

// SAFETY: `vm.base` leads into `storage`, which lives as long and never moves; its bytes are reached by atomic accesses only (V2).
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// How waiting ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Somebody notified.
    Notified = 0,
    /// The memory did not hold the expected value.
    NotEqual = 1,
    /// The time was over.
    TimedOut = 2,
}

impl SharedMemory {
    /// A new memory.
    ///
    /// # Errors
    /// `Usage` for a type that is not shared or has no maximum, `Invalid` for a size that its addresses do not reach, `Exhausted` when
    /// the system refuses the address space for the maximum.
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<SharedMemory> {
        if !ty.shared || ty.limits.max.is_none() {
            return Err(Error::usage("a shared memory has a type that is shared and a maximum"));
        }
        let bytes = ty.limits.min.checked_mul(ty.page_size()).filter(|_| ty.limits.min <= ty.most_pages());
        let bytes = bytes
            .ok_or_else(|| Error::invalid("memory size exceeds its maximum or what its addresses reach"))?;
        let len = usize::try_from(bytes)
            .map_err(|_| Error::exhausted("memory is larger than this machine's addresses"))?;
        let mut storage = Storage::new(engine, &ty, len, true)?;
        let vm = VmMemory { base: storage.base(), len: AtomicUsize::new(len) };
        Ok(SharedMemory(Arc::new(Inner {
            vm,
            ty,
            engine: engine.clone(),
            guarded_bytes: storage.guarded_bytes(),
            storage: Mutex::new(storage),
            parking: Parking::default(),
        })))
    }

    /// Its type, with its current size as the minimum.
    pub fn ty(&self) -> MemoryType {
        let mut ty = self.0.ty;
        ty.limits.min = self.size();
        ty
    }

    /// Size in bytes, at least.
    pub fn len(&self) -> usize {
        self.0.vm.len.load(Ordering::SeqCst)
    }

    /// Is it empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size in pages, at least.
    pub fn size(&self) -> u64 {
        (self.len() as u64) >> self.0.ty.page_size_log2
    }

    /// Grows by `delta` pages; the old size in pages.
    ///
    /// # Errors
    /// `Exhausted` past the maximum, or when the system refuses.
    pub fn grow(&self, delta: u64) -> Result<u64> {
        let grown = self.grow_within(delta, u64::MAX);
        grown
            .map(|(old, _)| old)
            .ok_or_else(|| Error::exhausted(format!("memory cannot grow by {delta} pages")))
    }

    /// Grows by `delta` pages and at most `budget` bytes: the old size in pages, and the bytes that came.
    pub(crate) fn grow_within(&self, delta: u64, budget: u64) -> Option<(u64, u64)> {
        let mut storage = self.0.storage.lock();
        let (old_len, old) = (self.len(), self.size());
        let new = old.checked_add(delta).filter(|&new| new <= self.0.ty.most_pages())?;
        let len = usize::try_from(new.checked_mul(self.0.ty.page_size())?).ok()?;
        let more = (len - old_len) as u64;
        if more > budget {
            return None;
        }
        if more > 0 {
            storage.grow_in_place(old_len, len)?;
            // Whoever sees the new length sees the new bytes accessible.
            self.0.vm.len.store(len, Ordering::SeqCst);
        }
        Some((old, more))
    }

    /// Copies bytes out, each as it is at some moment meanwhile.
    ///
    /// # Errors
    /// `Trap` for a range that does not lie in the memory; then nothing was read.
    pub fn read(&self, at: u64, to: &mut [u8]) -> Result<()> {
        let place = self.place(at, 0, to.len() as u64, 1)?;
        // SAFETY: V2; the range was checked.
        unsafe { racy::read(place, to) };
        Ok(())
    }

    /// Copies bytes in, one after the other.
    ///
    /// # Errors
    /// `Trap` for a range that does not lie in the memory; then nothing was written.
    pub fn write(&self, at: u64, from: &[u8]) -> Result<()> {
        let place = self.place(at, 0, from.len() as u64, 1)?;
        // SAFETY: V2; the range was checked.
        unsafe { racy::write(place, from) };
        Ok(())
    }

    /// An aligned `i32` of the memory, for atomic operations. Memory is little-endian.
    ///
    /// # Errors
    /// `Trap` when it is not aligned or does not lie in the memory.
    pub fn atomic_u32(&self, at: u64) -> Result<&AtomicU32> {
        let place = self.place(at, 0, 4, 4)?;
        // SAFETY: V2: in bounds, aligned, and there as long as the memory is.
        Ok(unsafe { AtomicU32::from_ptr(place.cast()) })
    }

    /// An aligned `i64` of the memory, for atomic operations. Memory is little-endian.
    ///
    /// # Errors
    /// `Trap` when it is not aligned or does not lie in the memory.
    pub fn atomic_u64(&self, at: u64) -> Result<&AtomicU64> {
        let place = self.place(at, 0, 8, 8)?;
        // SAFETY: V2: in bounds, aligned, and there as long as the memory is.
        Ok(unsafe { AtomicU64::from_ptr(place.cast()) })
    }

    /// Wakes at most `count` threads that wait at an address; how many.
    ///
    /// # Errors
    /// `Trap` when the address is not aligned to 4 or does not lie in the memory.
    pub fn notify(&self, at: u64, count: u32) -> Result<u32> {
        self.place(at, 0, 4, 4)?;
        Ok(self.0.parking.notify(at, count))
    }

    /// Waits until somebody notifies the address, if there is `expected`; no longer than `timeout`.
    ///
    /// # Errors
    /// `Trap` when the address is not aligned to 4 or does not lie in the memory.
    pub fn wait32(&self, at: u64, expected: u32, timeout: Option<Duration>) -> Result<Woken> {
        let word = self.atomic_u32(at)?;
        let holds = || word.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.parking.wait(at, holds, timeout, || Ok(()))?)
    }

    /// As [`SharedMemory::wait32`] with an `i64`, aligned to 8.
    ///
    /// # Errors
    /// As there.
    pub fn wait64(&self, at: u64, expected: u64, timeout: Option<Duration>) -> Result<Woken> {
        let word = self.atomic_u64(at)?;
        let holds = || word.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.parking.wait(at, holds, timeout, || Ok(()))?)
    }

    /// The handle of this memory in a store, the same each time.
    ///
    /// # Errors
    /// `Usage` for a store of another engine.
    pub fn memory(&self, mut store: impl AsStoreMut) -> Result<Memory> {
        let store = store.as_store_mut();
        if !self.0.engine.is(store.engine()) {
            return Err(Error::usage("a shared memory is used in stores of its own engine only"));
        }
        Ok(Memory { store: store.id(), index: store.adopt_memory(self) })
    }

    // ---- for guests -------------------------------------------------------------------------------------------------

    pub(super) fn vm(&self) -> *mut VmMemory {
        core::ptr::from_ref(&self.0.vm).cast_mut()
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.0.vm.base
    }

    pub(super) fn guarded_bytes(&self) -> u64 {
        self.0.guarded_bytes
    }

    pub(super) fn declared(&self) -> MemoryType {
        self.0.ty
    }

    pub(super) fn is(&self, other: &SharedMemory) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The place of `bytes` aligned bytes.
    fn place(&self, address: u64, offset: u64, bytes: u64, alignment: u64) -> Result<*mut u8, Trap> {
        Ok(self.base().wrapping_add(super::effective(self.len(), address, offset, bytes, alignment)?))
    }

    /// `memory.atomic.wait` by a store: it ends, too, when the store's deadline comes.
    pub(crate) fn wait_in(
        &self,
        store: &StoreInner,
        at: u64,
        wide: bool,
        expected: u64,
        timeout: Option<Duration>,
    ) -> Result<Woken, Trap> {
        let place = self.base().wrapping_add(at as usize);
        // SAFETY: V2: the caller checked bounds and alignment.
        let holds = || unsafe {
            match wide {
                true => AtomicU64::from_ptr(place.cast()).load(Ordering::SeqCst) == expected.to_le(),
                false => {
                    AtomicU32::from_ptr(place.cast()).load(Ordering::SeqCst) == (expected as u32).to_le()
                }
            }
        };
        let limited = store.engine().config().epoch;
        let glance = || if limited && store.deadline_reached() { Err(Trap::Interrupted) } else { Ok(()) };
        self.0.parking.wait(at, holds, timeout, glance)
    }

    pub(crate) fn notify_at(&self, at: u64, count: u32) -> u32 {
        self.0.parking.notify(at, count)
    }
}

impl core::fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedMemory").field("ty", &self.ty()).finish_non_exhaustive()
    }
}

/// Who waits at which address, the longest waiting first.
#[derive(Default)]
struct Parking(Mutex<BTreeMap<u64, VecDeque<Arc<Waiter>>>>);

struct Waiter {
    /// Set by the notifier, under the lock.
    woken: AtomicBool,
    thread: Thread,
}

impl Parking {
    /// Waits at `at` if `holds`, until woken, or for `timeout`, or until `glance` refuses, which is asked now and then.
    fn wait(
        &self,
        at: u64,
        holds: impl FnOnce() -> bool,
        timeout: Option<Duration>,
        glance: impl Fn() -> Result<(), Trap>,
    ) -> Result<Woken, Trap> {
        // A time that the clock cannot say does not come.
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiter = Arc::new(Waiter { woken: AtomicBool::new(false), thread: current() });
        {
            // The value is looked at under the lock that a notifier takes after it has changed the value: either it is seen
            // here, or the notifier finds the waiter.
            let mut queues = self.0.lock();
            if !holds() {
                return Ok(Woken::NotEqual);
            }
            queues.entry(at).or_default().push_back(waiter.clone());
        }
        loop {
            if waiter.woken.load(Ordering::Acquire) {
                return Ok(Woken::Notified);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let refused = glance().err();
            if left == Some(Duration::ZERO) || refused.is_some() {
                if !self.leave(at, &waiter) {
                    return Ok(Woken::Notified);
                }
                return refused.map_or(Ok(Woken::TimedOut), Err);
            }
            park_timeout(left.unwrap_or(GLANCE).min(GLANCE));
        }
    }

    /// Takes a waiter off its queue; false if it was woken before.
    fn leave(&self, at: u64, waiter: &Arc<Waiter>) -> bool {
        let mut queues = self.0.lock();
        let Some(queue) = queues.get_mut(&at) else { return false };
        let before = queue.len();
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        let found = queue.len() < before;
        if queue.is_empty() {
            queues.remove(&at);
        }
        found
    }

    fn notify(&self, at: u64, count: u32) -> u32 {
        let mut woken = Vec::new();
        {
            let mut queues = self.0.lock();
            let Some(queue) = queues.get_mut(&at) else { return 0 };
            let count = queue.len().min(count as usize);
            woken.extend(queue.drain(..count));
            for waiter in &woken {
                waiter.woken.store(true, Ordering::Release);
            }
            if queue.is_empty() {
                queues.remove(&at);
            }
        }
        for waiter in &woken {
            waiter.thread.unpark();
        }
        woken.len() as u32
    }
}
