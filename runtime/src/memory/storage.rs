//! Where a memory's bytes lie: reserved address space where the system has it, else the heap.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::types::MemoryType;
#[cfg(feature = "std")]
use crate::vm::GUARDED_BYTES;
use alloc::alloc::{Layout, alloc_zeroed};
use alloc::{format, vec::Vec};

/// Address space that a memory without guard reserves at first, unless its maximum is less. Growth beyond moves it.
#[cfg(feature = "std")]
const FIRST_RESERVATION: u64 = 4 << 30;
/// Of a memory that never moves and whose maximum cannot be had, as much is reserved at most: others need address space, too.
#[cfg(feature = "std")]
const LARGEST_PART: u64 = 16 << 30;
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

    /// `len` bytes of a memory that may become as large as `ty` says. With `fixed` it never moves.
    pub(super) fn new(engine: &Engine, ty: &MemoryType, len: usize, fixed: bool) -> Result<Storage> {
        #[cfg(feature = "std")]
        if let Some(storage) = Storage::map(engine, ty, len, fixed)? {
            return Ok(storage);
        }
        #[cfg(not(feature = "std"))]
        let _ = engine;
        let most = ty.most_bytes();
        let room = if fixed { usize::try_from(most).map_err(|_| refused(usize::MAX))? } else { len };
        let mut bytes = zeroed(room.max(len)).ok_or_else(|| refused(room))?;
        bytes.truncate(len);
        Ok(Storage::Heap(bytes))
    }

    /// The same in address space of its own: with guards if native code that relies on them may run on it and the system has the
    /// room, else as much as growth may need, else what it needs now. `None` if the system has not even that.
    #[cfg(feature = "std")]
    fn map(engine: &Engine, ty: &MemoryType, len: usize, fixed: bool) -> Result<Option<Storage>> {
        let config = engine.config();
        if config.guard_pages && engine.runs_native_code() && ty.could_have_guard() {
            let guarded = match config.refuse_guards {
                true => None,
                false => Storage::reserve(GUARDED_BYTES, len, true),
            };
            if guarded.is_some() {
                return Ok(guarded);
            }
            if !config.guards_may_lack {
                return Err(Error::exhausted(format!(
                    "the system refused {GUARDED_BYTES} bytes of address space for a memory with guard pages, which \
                     Config::guard_pages (--guard-pages always) asks for"
                )));
            }
        }
        let most = ty.most_bytes();
        if fixed {
            // It never moves, so it never becomes larger than what it gets now: all, or as much as there is.
            let mut room = most.max(len as u64);
            loop {
                let storage = Storage::reserve(room, len, false);
                if storage.is_some() || room <= len as u64 {
                    return Ok(storage);
                }
                room = (room / 2).min(LARGEST_PART).max(len as u64);
            }
        }
        let roomy = match config.guard_pages {
            true => Storage::reserve(most.min(FIRST_RESERVATION).max(len as u64), len, false),
            false => None,
        };
        Ok(roomy.or_else(|| Storage::reserve(len as u64, len, false)))
    }

    /// `len` accessible bytes of `room` reserved ones.
    #[cfg(feature = "std")]
    fn reserve(room: u64, len: usize, guarded: bool) -> Option<Storage> {
        // An empty mapping does not exist.
        let room = usize::try_from(room).ok()?.max(1).checked_next_multiple_of(region::page::size())?;
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
                // Some more than asked for, so that a memory that grows page by page is not moved by each.
                let ahead =
                    (new as u64).max((old as u64).saturating_add(old as u64 / 8)).min(most.max(new as u64));
                let ahead = usize::try_from(ahead).unwrap_or(new);
                if reservation.extend(ahead).or_else(|| reservation.extend(new)).is_some() {
                    return Some(());
                }
                let room = (new as u64).saturating_mul(2).min(most.max(new as u64));
                let roomy = Storage::reserve(room, new, false);
                let mut moved = roomy.or_else(|| Storage::reserve(new as u64, new, false))?;
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
