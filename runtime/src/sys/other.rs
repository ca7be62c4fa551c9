//! A platform that offers nothing: memories lie on the heap, and stacks are assumed small.

/// Not known.
pub(crate) fn thread_stack_low() -> Option<usize> {
    None
}

/// None to reserve.
pub(crate) fn has_plenty_of_address_space() -> bool {
    false
}

/// Not known: there may be.
pub(crate) fn has_address_space(_bytes: usize) -> bool {
    true
}

/// Not known how.
pub fn return_free_memory() {}

/// There is no such limit.
pub fn survive_file_size_limit() {}

/// Memory that is accessible whole; address space that is not cannot be had here.
#[derive(Debug)]
pub(crate) struct Reservation(memmap2::MmapMut);

impl Reservation {
    pub(crate) fn new(bytes: usize, accessible: usize) -> Option<Reservation> {
        (accessible == bytes).then(|| memmap2::MmapMut::map_anon(bytes).ok().map(Reservation))?
    }

    pub(crate) fn base(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    pub(crate) fn commit(&mut self, to: usize) -> Option<()> {
        (to <= self.0.len()).then_some(())
    }

    pub(crate) fn extend(&mut self, _bytes: usize) -> Option<()> {
        None
    }

    pub(crate) fn leave_untouched(&mut self) {}

    pub(crate) fn touch(&mut self) {}

    pub(crate) fn keep(&mut self, _bytes: core::ops::Range<usize>) {}
}
