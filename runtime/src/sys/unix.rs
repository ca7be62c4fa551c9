//! Unix: pthread for the stack's bounds, mmap and mprotect for reservations.

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

/// Address space of which a growing part from the start is accessible.
#[derive(Debug)]
pub(crate) struct Reservation {
    map: memmap2::MmapMut,
}

impl Reservation {
    /// Reserves `bytes` (a multiple of the page size), none of it accessible.
    pub(crate) fn new(bytes: usize) -> Option<Reservation> {
        let mut map = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon().ok()?;
        // SAFETY: the mapping is this reservation's own, and nobody has looked into it.
        unsafe { region::protect(map.as_mut_ptr(), bytes, region::Protection::NONE).ok()? };
        Some(Reservation { map })
    }

    /// First address.
    pub(crate) fn base(&mut self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Makes `from..to` accessible (both are rounded up to pages). `None` when the system refuses.
    pub(crate) fn commit(&mut self, from: usize, to: usize) -> Option<()> {
        let page = region::page::size();
        let (from, to) = (from.next_multiple_of(page), to.next_multiple_of(page));
        if to > self.map.len() {
            return None;
        }
        if from < to {
            // SAFETY: inside this reservation's own mapping; making it accessible takes nothing away from anybody.
            unsafe {
                region::protect(self.map.as_mut_ptr().add(from), to - from, region::Protection::READ_WRITE)
                    .ok()?
            };
        }
        Some(())
    }
}
