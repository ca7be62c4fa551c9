//! The heap of a store (core specification 4.2.13 "Aggregate instances" and on): objects, their allocation, the host's handles.
//!
//! Objects do not move. Allocation is the only safepoint. Nothing here knows operators or types beyond [`object::Shape`].

pub mod object;
mod rooted;

pub use object::{FIELDS, GcHeader, Kind, Shape};
pub use rooted::Rooted;

use crate::store::StoreInner;
use crate::trap::Trap;
use crate::val::RawVal;
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::vec::Vec;
use core::ptr::NonNull;

/// The heap of one store.
#[derive(Default)]
pub(crate) struct Heap {
    objects: Vec<(NonNull<GcHeader>, Layout)>,
    bytes: u64,
    roots: rooted::Roots,
    /// References that engine code holds across allocations where no guest's stack has them: each is a root. Whoever pushes
    /// truncates to the length it found.
    pub(crate) scratch: Vec<RawVal>,
}

/// What a store's heap holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GcStats {
    /// Objects, garbage that was not collected yet included.
    pub objects: u64,
    /// Bytes that count against [`crate::StoreLimits::gc_heap_bytes`].
    pub bytes: u64,
    /// Objects' handles that the host holds.
    pub handles: u64,
}

/// A new object, all zero behind its header. May collect: every reference the caller needs later must be reachable from a root
/// (guest stacks, this native stack, [`Heap::scratch`]).
///
/// # Errors
/// [`Trap::GcHeapOutOfMemory`] when the store's limit or the system refuses.
///
/// # Safety
/// `shape` is live for as long as the store.
pub(crate) unsafe fn alloc(
    store: &mut StoreInner,
    shape: *const Shape,
    len: u32,
) -> Result<NonNull<GcHeader>, Trap> {
    let limit = store.limits().gc_heap_bytes;
    let heap = &mut store.gc;
    // SAFETY: the caller's promise.
    let bytes = unsafe { (*shape).bytes(len) }.and_then(|n| n.checked_next_multiple_of(16));
    let bytes = bytes.ok_or(Trap::GcHeapOutOfMemory)?;
    let total = heap.bytes.checked_add(bytes as u64).filter(|&total| total <= limit);
    let total = total.ok_or(Trap::GcHeapOutOfMemory)?;
    let layout = Layout::from_size_align(bytes, 16).map_err(|_| Trap::GcHeapOutOfMemory)?;
    heap.objects.try_reserve(1).map_err(|_| Trap::GcHeapOutOfMemory)?;
    // SAFETY: at least a header's bytes.
    let object = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Trap::GcHeapOutOfMemory)?.cast();
    // SAFETY: it is ours and big enough.
    unsafe { object.write(GcHeader { shape, len, bits: 0 }) };
    heap.objects.push((object, layout));
    heap.bytes = total;
    Ok(object)
}

impl StoreInner {
    /// What the heap holds.
    pub fn gc_stats(&self) -> GcStats {
        GcStats {
            objects: self.gc.objects.len() as u64,
            bytes: self.gc.bytes,
            handles: self.gc.roots.held() as u64,
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for (object, layout) in self.objects.drain(..) {
            // SAFETY: allocated in `alloc` with this layout.
            unsafe { dealloc(object.as_ptr().cast(), layout) }
        }
    }
}
