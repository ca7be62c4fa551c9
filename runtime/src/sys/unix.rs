//! Unix: pthread for the stack's bounds, mmap and mprotect for reservations.

use crate::sync::Mutex;
use crate::types::GUARDED_BYTES;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;
use std::sync::OnceLock;

/// Lowest usable address of the calling thread's stack. On the main thread the system's limit counts, at most 8 MiB of it:
/// `ulimit -s unlimited` would otherwise leave no bound at all.
#[cfg(target_os = "linux")]
pub(crate) fn thread_stack_low() -> Option<usize> {
    let mut attr = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut addr, mut size, mut guard) = (core::ptr::null_mut(), 0usize, 0usize);
    // SAFETY: `attr` is initialised by the first call, which is checked, and destroyed once; the outputs are plain words.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attr.as_mut_ptr()) != 0 {
            return None;
        }
        let got = libc::pthread_attr_getstack(attr.as_ptr(), &mut addr, &mut size);
        libc::pthread_attr_getguardsize(attr.as_ptr(), &mut guard);
        libc::pthread_attr_destroy(attr.as_mut_ptr());
        if got != 0 {
            return None;
        }
    }
    let high = (addr as usize).checked_add(size)?;
    let main = high.checked_sub(8 << 20)?;
    Some((addr as usize).max(main).checked_add(guard)?.min(high))
}

/// Not known here: the caller assumes a small stack.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_stack_low() -> Option<usize> {
    None
}

/// Returns to the system what the allocator has free and keeps for later. That takes time, for much of it tens of milliseconds: after a
/// load, not with each thing that is freed. Does nothing where the allocator is not known.
pub fn return_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: changes nothing but which pages of free blocks are resident.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the system answer a write past the limit on the size of files (`ulimit -f`) with `EFBIG`,
/// where nobody has said otherwise: its signal would end the process, and it is a guest that
/// writes. Does nothing the second time.
pub fn survive_file_size_limit() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the action is looked at and replaced as a whole, and ignoring runs no code.
    ONCE.call_once(|| unsafe {
        let mut action = core::mem::zeroed::<libc::sigaction>();
        let known = libc::sigaction(libc::SIGXFSZ, core::ptr::null(), &raw mut action) == 0;
        if known && action.sa_sigaction == libc::SIG_DFL {
            action.sa_sigaction = libc::SIG_IGN;
            libc::sigaction(libc::SIGXFSZ, &raw const action, core::ptr::null_mut());
        }
    });
}

/// Memories with guards for which there must be address space, so that it counts as plenty.
const GUARDED_MEMORIES: usize = 16;

/// Is address space plenty? Not under a small `ulimit -v`, nor where the system counts what is reserved as used. Asked once: the answer
/// is meant for settings, not for this or that reservation.
pub(crate) fn has_plenty_of_address_space() -> bool {
    static PLENTY: OnceLock<bool> = OnceLock::new();
    *PLENTY.get_or_init(|| {
        let bytes = usize::try_from(GUARDED_BYTES).ok().and_then(|bytes| bytes.checked_mul(GUARDED_MEMORIES));
        bytes.is_some_and(has_address_space)
    })
}

/// Could so many bytes be reserved in one piece now?
pub(crate) fn has_address_space(bytes: usize) -> bool {
    Mapping::reserve(bytes).is_some()
}

/// Address space that is this process's own, none of it accessible at first.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns its pages as a box does.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Not accessible, so that a system that counts what could be written does not count it.
    fn reserve(len: usize) -> Option<Mapping> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
        // SAFETY: a mapping of its own, wherever the system wants it.
        let base = unsafe { libc::mmap(core::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        Some(Mapping { base: NonNull::new(base.cast())?, len })
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn len(&self) -> usize {
        self.len
    }

    /// Becomes larger, perhaps elsewhere. All of it must have the same protection. `false` when the system refuses.
    #[cfg(target_os = "linux")]
    fn extend(&mut self, len: usize) -> bool {
        // SAFETY: the mapping is this one's own, and whoever has its base is told that it moved.
        let base = unsafe { libc::mremap(self.base.as_ptr().cast(), self.len, len, libc::MREMAP_MAYMOVE) };
        match NonNull::new(base.cast()).filter(|_| base != libc::MAP_FAILED) {
            Some(base) => {
                (self.base, self.len) = (base, len);
                true
            }
            None => false,
        }
    }

    /// As on Linux.
    #[cfg(not(target_os = "linux"))]
    fn extend(&mut self, _: usize) -> bool {
        false
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and goes with it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Address space of which a growing part from the start is accessible.
///
/// What is given back is kept for the next that has the same size: a server makes and drops some for each request, and asking the
/// system for gigabytes, protecting and returning them is dear next to such a guest. Their pages are returned at once, but for a few
/// that whoever comes next is known to touch ([`Reservation::keep`]).
#[derive(Debug)]
pub(crate) struct Reservation {
    /// There until it is dropped.
    map: Option<Mapping>,
    /// Bytes from the start that can be touched.
    accessible: usize,
    /// What may be other than zero.
    touched: Touched,
    /// Bytes, whole pages, that stay with it when it is given back.
    kept: Range<usize>,
}

/// Which bytes of a reservation may be other than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    All,
    None,
}

/// How many are kept, and their bytes in all: of address space, which costs nothing but itself.
const SPARES: usize = 128;
/// Bytes that are kept resident of one, at most: so many are faster to clear than to ask the system for.
const KEPT_BYTES: usize = 128 << 10;
const SPARE_BYTES: usize = if usize::BITS == 64 { 1 << 40 } else { 0 };
/// The same where address space is scarce.
const FEW_SPARE_BYTES: usize = 16 << 20;

static SPARE: Mutex<Vec<(Mapping, usize)>> = Mutex::new(Vec::new());

/// Makes a mapping's accessible bytes zero again, and none but those of `kept` take memory. `None` where the system promises no such thing.
#[cfg(target_os = "linux")]
fn emptied(mut map: Mapping, accessible: usize, kept: Range<usize>) -> Option<Mapping> {
    let kept = kept.start.min(accessible)..kept.end.min(accessible);
    let base = map.as_mut_ptr();
    // SAFETY: inside the mapping, whose accessible bytes can be written, and nobody looks into it any more.
    unsafe { base.add(kept.start).write_bytes(0, kept.len()) };
    for returned in [0..kept.start, kept.end..accessible] {
        // SAFETY: inside the mapping, which is private and anonymous.
        let done = returned.is_empty()
            || unsafe { libc::madvise(base.add(returned.start).cast(), returned.len(), libc::MADV_DONTNEED) }
                == 0;
        if !done {
            return None;
        }
    }
    Some(map)
}

/// As on Linux.
#[cfg(not(target_os = "linux"))]
fn emptied(_: Mapping, _: usize, _: Range<usize>) -> Option<Mapping> {
    None
}

/// One with this size that was given back, the best that there is.
fn spare(bytes: usize, accessible: usize) -> Option<Reservation> {
    let mut spares = SPARE.lock();
    let fits = |(map, _): &(Mapping, usize)| map.len() == bytes;
    let same = spares.iter().rposition(|spare| fits(spare) && spare.1 == accessible);
    let at = same.or_else(|| spares.iter().rposition(fits))?;
    let (map, accessible) = spares.swap_remove(at);
    Some(Reservation { map: Some(map), accessible, touched: Touched::All, kept: 0..0 })
}

impl Reservation {
    /// Reserves `bytes` (a multiple of the page size), of which `accessible` from the start on, rounded up to pages, can be touched.
    pub(crate) fn new(bytes: usize, accessible: usize) -> Option<Reservation> {
        let accessible = accessible.next_multiple_of(region::page::size());
        if accessible > bytes {
            return None;
        }
        let mut reservation = match spare(bytes, accessible) {
            Some(spare) => spare,
            None => Reservation::fresh(bytes).or_else(|| {
                // Somebody may need the address space more.
                SPARE.lock().clear();
                Reservation::fresh(bytes)
            })?,
        };
        reservation.protect(accessible)?;
        Some(reservation)
    }

    fn fresh(bytes: usize) -> Option<Reservation> {
        let map = Mapping::reserve(bytes)?;
        Some(Reservation { map: Some(map), accessible: 0, touched: Touched::All, kept: 0..0 })
    }

    fn map(&mut self) -> &mut Mapping {
        self.map.as_mut().expect("crash: a reservation without its mapping")
    }

    /// Makes so many bytes from the start accessible, and no others.
    fn protect(&mut self, accessible: usize) -> Option<()> {
        let known = self.accessible;
        let (from, to) = (known.min(accessible), known.max(accessible));
        if from < to {
            let protection =
                if accessible > known { region::Protection::READ_WRITE } else { region::Protection::NONE };
            // SAFETY: inside this reservation's own mapping; what becomes inaccessible nobody has looked into.
            unsafe { region::protect(self.map().as_mut_ptr().add(from), to - from, protection).ok()? };
        }
        self.accessible = accessible;
        Some(())
    }

    /// Says that nobody will touch it before the next [`Reservation::touch`].
    pub(crate) fn leave_untouched(&mut self) {
        self.touched = Touched::None;
    }

    /// Says that it may be touched.
    pub(crate) fn touch(&mut self) {
        self.touched = Touched::All;
    }

    /// These bytes (as far as they are not too many) will be touched by the next that uses the reservation, too.
    pub(crate) fn keep(&mut self, bytes: Range<usize>) {
        let page = region::page::size();
        let start = bytes.start / page * page;
        let end = bytes.end.checked_next_multiple_of(page).unwrap_or(start);
        self.kept = start..end.clamp(start, start.saturating_add(KEPT_BYTES));
    }

    /// First address.
    pub(crate) fn base(&mut self) -> *mut u8 {
        self.map().as_mut_ptr()
    }

    /// Becomes larger, perhaps elsewhere, and all accessible (rounded up to pages). Only one that is accessible whole can. `None` when it
    /// cannot, or the system refuses; nothing has changed then.
    pub(crate) fn extend(&mut self, bytes: usize) -> Option<()> {
        let bytes = bytes.checked_next_multiple_of(region::page::size())?;
        let whole = self.accessible == self.map().len() && self.accessible < bytes;
        if !whole || !self.map().extend(bytes) {
            return None;
        }
        self.accessible = bytes;
        Some(())
    }

    /// Makes everything up to `to` accessible (rounded up to pages). `None` when the system refuses.
    pub(crate) fn commit(&mut self, to: usize) -> Option<()> {
        let to = to.next_multiple_of(region::page::size());
        if to > self.map().len() {
            return None;
        }
        self.protect(to.max(self.accessible))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(map) = self.map.take() else { return };
        let map = match self.touched {
            Touched::None => Some(map),
            Touched::All => emptied(map, self.accessible, self.kept.clone()),
        };
        let Some(map) = map else { return };
        let mut spares = SPARE.lock();
        let kept: usize = spares.iter().map(|(map, _)| map.len()).sum();
        let most = if has_plenty_of_address_space() { SPARE_BYTES } else { FEW_SPARE_BYTES };
        if spares.len() < SPARES && kept.saturating_add(map.len()) <= most {
            spares.push((map, self.accessible));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_again_is_empty_and_no_more_of_it_accessible_than_asked_for() {
        let (page, bytes) = (region::page::size(), 77 << 20);
        for (before, after) in [(3, 3), (3, 1), (1, 3), (0, 2), (2, 0)] {
            let mut one = Reservation::new(bytes, before * page).unwrap();
            one.commit((before + 1) * page).unwrap();
            one.keep(page + 5..2 * page + 5);
            // SAFETY: just made accessible.
            unsafe { one.base().write_bytes(7, (before + 1) * page) };
            let base = one.base();
            drop(one);
            let mut two = Reservation::new(bytes, after * page).unwrap();
            assert_eq!(two.base(), base, "it is used again");
            assert_eq!(two.accessible, after * page);
            two.commit(8 * page).unwrap();
            // SAFETY: just made accessible.
            let all = unsafe { core::slice::from_raw_parts(two.base(), 8 * page) };
            assert!(all.iter().all(|&byte| byte == 0));
        }
        assert!(Reservation::new(page, 2 * page).is_none());
    }
}
