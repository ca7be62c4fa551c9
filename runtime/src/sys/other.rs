//! A platform that offers nothing: memories lie on the heap, and stacks are assumed small.

/// Not known.
pub(crate) fn thread_stack_low() -> Option<usize> {
    None
}

/// Cannot be made here.
#[derive(Debug)]
pub(crate) enum Reservation {}

impl Reservation {
    pub(crate) fn new(_bytes: usize, _accessible: usize) -> Option<Reservation> {
        None
    }

    pub(crate) fn base(&mut self) -> *mut u8 {
        match *self {}
    }

    pub(crate) fn commit(&mut self, _to: usize) -> Option<()> {
        match *self {}
    }
}
