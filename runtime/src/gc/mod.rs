//! The heap of a store (core specification 4.2.13 "Aggregate instances" and on): objects, the collector, the host's handles.
//!
//! | file | what |
//! |---|---|
//! | [`object`] | what an object looks like |
//! | `space`, `block` | where objects lie, which cells are free, from an address to its object |
//! | `mark`, `roots`, `registers` | what is reachable |
//! | `rooted` | what the host holds |
//!
//! Mark and sweep, the world stopped; objects do not move. Allocation is the only safepoint (and [`StoreInner::collect_garbage`]). Stacks are
//! scanned conservatively, interior pointers count; objects are scanned by their shape. A pointer one past the end of an object
//! does not keep it: nothing reads through it, and who goes on with the object has its header or a field. Nothing here knows
//! operators or types beyond [`object::Shape`].

mod block;
mod mark;
pub mod object;
mod registers;
mod rooted;
mod roots;
mod space;
#[cfg(test)]
mod tests;

pub(crate) use mark::Marker;
pub use object::{FIELDS, GcHeader, Kind, Shape};
pub use rooted::Rooted;

use crate::engine::Engine;
use crate::store::StoreInner;
use crate::switching;
use crate::trap::Trap;
use crate::val::RawVal;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// What freed cells are filled with under [`crate::Config::gc_stress`]: as a pointer it leads nowhere.
const POISON: u8 = 0xdb;
/// Bytes that are allocated at least before the heap is collected again.
const LEAST_ALLOCATED: u64 = if cfg!(feature = "std") { 4 << 20 } else { 8 << 10 };
/// At the limit a collection must have been worth its while: this part of what lives was allocated since the one before. Otherwise
/// the heap counts as full: else each of a guest's allocations could cost a collection.
const LEAST_GAIN: u64 = 16;

/// The heap of one store.
pub(crate) struct Heap {
    space: space::Space,
    roots: rooted::Roots,
    /// References that engine code holds across allocations where no guest's stack has them: each is a root. Whoever pushes
    /// truncates to the length it found.
    pub(crate) scratch: Vec<RawVal>,
    /// Bytes allocated since the last collection.
    allocated: u64,
    /// The heap is collected when `allocated` comes here.
    threshold: u64,
    /// Bytes that were alive at the last collection.
    live: u64,
    collections: u64,
    /// Of a collection that was given up at the deadline.
    leftover: mark::Leftover,
}

/// What a store's heap holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GcStats {
    /// Objects, garbage that was not collected yet included.
    pub objects: u64,
    /// Bytes that count against [`crate::StoreLimits::gc_heap_bytes`]: blocks in use and large objects.
    pub bytes: u64,
    /// Handles of objects that the host holds.
    pub handles: u64,
    /// Stacks of continuations that were begun and have not ended.
    pub continuations: u32,
    /// How often the heap was collected.
    pub collections: u64,
}

impl Heap {
    pub(crate) fn new(engine: &Engine) -> Heap {
        Heap {
            space: space::Space::new(engine.clone()),
            roots: rooted::Roots::default(),
            scratch: Vec::new(),
            allocated: 0,
            threshold: LEAST_ALLOCATED,
            live: 0,
            collections: 0,
            leftover: mark::Leftover::default(),
        }
    }

    /// Bytes that count against [`crate::StoreLimits::total_bytes`].
    pub(crate) fn held_bytes(&self) -> u64 {
        self.space.held
    }
}

/// A new object, all zero behind its header. May collect: every reference the caller needs later must be reachable from a root
/// (guest stacks, this native stack, [`Heap::scratch`]). The interpreter sets `VmStore::value_stack_top` behind its live slots before
/// it calls what allocates.
///
/// # Errors
/// [`Trap::GcHeapOutOfMemory`] when the store's limit or the system refuses, `Interrupted` at the deadline.
///
/// # Safety
/// `shape` is live for as long as the store.
pub(crate) unsafe fn alloc(
    store: &mut StoreInner,
    shape: *const Shape,
    len: u32,
) -> Result<NonNull<GcHeader>, Trap> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { (*shape).bytes(len) }.ok_or(Trap::GcHeapOutOfMemory)?;
    let heap = &store.gc;
    if heap.allocated.saturating_add(bytes as u64) >= heap.threshold || store.engine().config().gc_stress {
        store.collect()?;
    }
    let (cell, taken) = match store.gc.space.take(bytes) {
        Some(cell) => cell,
        None => allocate(store, bytes)?,
    };
    store.gc.allocated += taken as u64;
    let object = cell.cast();
    // SAFETY: the cell is ours, aligned, and big enough for the shape.
    unsafe { object.write(GcHeader { shape, len, bits: 0 }) };
    Ok(object)
}

/// A cell that is not at hand: of another block, or a large one.
#[inline(never)]
fn allocate(store: &mut StoreInner, bytes: usize) -> Result<(NonNull<u8>, usize), Trap> {
    let room =
        |store: &StoreInner| space::Room { used: store.limits().gc_heap_bytes, held: store.heap_share() };
    let now = room(store);
    if let Ok(cell) = store.gc.space.allocate(bytes, now) {
        return Ok(cell);
    }
    let since = store.gc.allocated.saturating_add(bytes as u64);
    store.collect()?;
    if since < store.gc.live / LEAST_GAIN {
        return Err(Trap::GcHeapOutOfMemory);
    }
    // What stacks do not need the heap may have.
    store.switching.settle();
    let now = room(store);
    store.gc.space.allocate(bytes, now).map_err(|space::Full| Trap::GcHeapOutOfMemory)
}

impl StoreInner {
    /// Collects now: what nobody can reach any more becomes free. At a deadline that is over nothing is collected.
    pub fn collect_garbage(&mut self) {
        let _interrupted = self.collect();
    }

    /// Collects.
    ///
    /// # Errors
    /// `Interrupted` at the deadline: nothing was freed then.
    #[inline(never)]
    pub(crate) fn collect(&mut self) -> Result<(), Trap> {
        // What callers keep in registers is in this array, or in a frame between it and them.
        let registers = registers::callee_saved();
        let low = core::hint::black_box(&raw const registers).cast::<u8>();
        let poison = self.engine().config().gc_stress;
        self.gc.roots.prune();
        let empty = space::Space::new(self.engine().clone());
        let mut space = core::mem::replace(&mut self.gc.space, empty);
        let mut leftover = core::mem::take(&mut self.gc.leftover);
        let mut marker = Marker::new(&mut space);
        let marked = marker.tidy(&mut leftover, || self.pause()).and_then(|()| {
            // SAFETY: V5: guest code of this store waits for this call, so nothing changes meanwhile, also while this waits for
            // its turn (G3).
            unsafe {
                self.mark_roots(&mut marker, low)?;
                marker.drain(|marker, object| switching::mark_continuation(marker, object), || self.pause())
            }
        });
        if let Err(interrupted) = marked {
            self.gc.leftover = leftover.and(marker.abandon());
            self.gc.space = space;
            return Err(interrupted);
        }
        self.switching.release_unmarked(&marker);
        self.gc.live = space.sweep(poison);
        self.gc.space = space;
        self.gc.allocated = 0;
        self.gc.threshold = self.gc.live.max(LEAST_ALLOCATED);
        self.gc.collections += 1;
        Ok(())
    }

    /// What the heap holds.
    pub fn gc_stats(&self) -> GcStats {
        GcStats {
            objects: self.gc.space.objects,
            bytes: self.gc.space.bytes,
            handles: self.gc.roots.held() as u64,
            continuations: self.switching.live(),
            collections: self.gc.collections,
        }
    }
}
