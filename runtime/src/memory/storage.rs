//! Where a memory's bytes lie: reserved address space where the system has it, else the heap.

use crate::error::{Error, Result};
use crate::types::MemoryType;
#[cfg(feature = "std")]
use crate::vm::GUARDED_BYTES;
use alloc::alloc::{Layout, alloc_zeroed};
use alloc::{format, vec::Vec};

/// Address space that a memory without guard reserves at first, unless its maximum is less. Growth beyond moves it.
#[cfg(feature = "std")]
const FIRST_RESERVATION: u64 = 4 << 30;
/// Bytes that are compared with zero at once when a memory moves: what was never touched stays so.
#[cfg(feature = "std")]
const CHUNK: usize = 4096;

/// The bytes of one memory, all zero until they are written.
pub(super) enum Storage {
    /// Address space of which the memory's length is accessible.
    #[cfg(feature = "std")]
    Reserved {
        /// The address space.
        reservation: crate::sys::Reservation,
        /// Does it own [`GUARDED_BYTES`], so that native code need not check?
        guarded: bool,
    },
    /// On the heap: growth may move it.
    Heap(Vec<u8>),
}

fn refused(len: usize) -> Error {
    Error::exhausted(format!("the system refused {len} bytes for a memory"))
}

impl Storage {
    /// Nothing.
    pub(super) const fn none() -> Storage {
        Storage::Heap(Vec::new())
    }

    /// `len` bytes of a memory that may become as large as `ty` says. With `guard_pages` a memory of 32-bit addresses owns all that native code
    /// can reach without a check. With `fixed` it never moves, so there is room for its maximum at once.
    pub(super) fn new(ty: &MemoryType, len: usize, guard_pages: bool, fixed: bool) -> Result<Storage> {
        #[cfg(feature = "std")]
        if guard_pages && !ty.memory64 {
            let storage = Storage::reserve(GUARDED_BYTES, len, true);
            return storage.ok_or_else(|| {
                Error::exhausted(format!(
                    "the system refused {GUARDED_BYTES} bytes of address space for a guarded memory; \
                     set Config::guard_pages to false for small memories"
                ))
            });
        }
        let most = ty.most_bytes();
        #[cfg(feature = "std")]
        if guard_pages || fixed {
            let room = if fixed { most } else { most.min(FIRST_RESERVATION) };
            if let Some(storage) = Storage::reserve(room.max(len as u64), len, false) {
                return Ok(storage);
            }
        }
        let _ = guard_pages;
        let room = if fixed { usize::try_from(most).map_err(|_| refused(usize::MAX))? } else { len };
        let mut bytes = zeroed(room.max(len)).ok_or_else(|| refused(room))?;
        bytes.truncate(len);
        Ok(Storage::Heap(bytes))
    }

    /// `len` accessible bytes of `room` reserved ones.
    #[cfg(feature = "std")]
    fn reserve(room: u64, len: usize, guarded: bool) -> Option<Storage> {
        // An empty mapping does not exist.
        let room = usize::try_from(room).ok()?.max(1);
        let reservation = crate::sys::Reservation::new(room, len)?;
        Some(Storage::Reserved { reservation, guarded })
    }

    /// The first byte.
    pub(super) fn base(&mut self) -> *mut u8 {
        match self {
            #[cfg(feature = "std")]
            Storage::Reserved { reservation, .. } => reservation.base(),
            Storage::Heap(bytes) => bytes.as_mut_ptr(),
        }
    }

    /// The next of its kind will touch these bytes, too.
    pub(super) fn keep(&mut self, bytes: core::ops::Range<usize>) {
        match self {
            #[cfg(feature = "std")]
            Storage::Reserved { reservation, .. } => reservation.keep(bytes),
            Storage::Heap(_) => {
                let _ = bytes;
            }
        }
    }

    /// Bytes from the base that belong to nobody else and fault where they are not the memory's.
    pub(super) fn guarded_bytes(&self) -> u64 {
        match self {
            #[cfg(feature = "std")]
            Storage::Reserved { guarded: true, .. } => GUARDED_BYTES,
            _ => 0,
        }
    }

    /// Grows from `old` to `new` bytes where it lies. `None` when there is no room; nothing has changed then.
    pub(super) fn grow_in_place(&mut self, old: usize, new: usize) -> Option<()> {
        match self {
            #[cfg(feature = "std")]
            Storage::Reserved { reservation, .. } => reservation.commit(new),
            Storage::Heap(bytes) => {
                debug_assert_eq!(bytes.len(), old, "the length that guests see");
                // Beyond the length it is zero: nothing was written there, and memories do not shrink.
                (new <= bytes.capacity()).then(|| bytes.resize(new, 0))
            }
        }
    }

    /// Grows from `old` to `new` bytes, at most `most` ever; the base may change. `None` when the system refuses; nothing has changed then.
    pub(super) fn grow(&mut self, old: usize, new: usize, most: u64) -> Option<()> {
        if self.grow_in_place(old, new).is_some() {
            return Some(());
        }
        match self {
            #[cfg(feature = "std")]
            Storage::Reserved { guarded: true, .. } => None,
            #[cfg(feature = "std")]
            Storage::Reserved { reservation, .. } => {
                let room = (new as u64).saturating_mul(2).min(most.max(new as u64));
                let mut moved = Storage::reserve(room, new, false)?;
                let (from, to) = (reservation.base(), moved.base());
                let mut at = 0;
                while at < old {
                    let len = CHUNK.min(old - at);
                    // SAFETY: V2: both have `old` accessible bytes, and nobody else looks at either while the store is borrowed.
                    unsafe {
                        let chunk = core::slice::from_raw_parts(from.add(at), len);
                        if chunk.iter().any(|&byte| byte != 0) {
                            core::ptr::copy_nonoverlapping(chunk.as_ptr(), to.add(at), len);
                        }
                    }
                    at += len;
                }
                *self = moved;
                Some(())
            }
            Storage::Heap(bytes) => {
                let _ = most;
                bytes.try_reserve_exact(new - old).ok()?;
                bytes.resize(new, 0);
                Some(())
            }
        }
    }
}

/// Zeroed bytes that the system need not touch before somebody else does; `None` when it refuses.
fn zeroed(len: usize) -> Option<Vec<u8>> {
    if len == 0 {
        return Some(Vec::new());
    }
    let layout = Layout::array::<u8>(len).ok()?;
    // SAFETY: the layout's size is not 0; what comes back is `len` initialised bytes of the global allocator.
    unsafe {
        let bytes = alloc_zeroed(layout);
        (!bytes.is_null()).then(|| Vec::from_raw_parts(bytes, len, len))
    }
}
