//! The deadline of guest code (`Config::epoch`), and work that goes by length: it is done in pieces, between which the deadline is
//! looked at, so that no single operator holds out much longer than a loop would.
//!
//! Whoever pauses may wait for its next turn meanwhile (`Store::set_epoch_yield`). Nobody else enters the store then, but no borrow
//! of a memory's or a table's content may last over a pause, since the store is lent as a whole.

use crate::store::StoreInner;
use crate::trap::Trap;
use core::ops::Range;

/// Bytes that are written or compared between two looks at the deadline: a fraction of a millisecond, also where each page is new.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// The same for references, elements of objects, and whatever else takes some nanoseconds each.
pub(crate) const PIECE_ELEMS: usize = PIECE_BYTES / 16;

impl StoreInner {
    /// By how much the deadline moves on when it is reached, if that is not the end.
    fn turn(&self) -> Option<usize> {
        #[cfg(fibers)]
        return self.epoch_yield.filter(|_| self.waiter().is_ok());
        #[cfg(not(fibers))]
        None
    }

    /// Has the deadline come, and is it the end?
    pub(crate) fn ends_here(&self) -> bool {
        self.deadline_reached() && self.turn().is_none()
    }

    #[cold]
    fn at_deadline(&mut self) -> Result<(), Trap> {
        #[cfg(fibers)]
        if let Some(ticks) = self.turn() {
            // The error is that of a call that was dropped: nobody will see it.
            self.yield_turn().map_err(|_| Trap::Interrupted)?;
            self.set_epoch_deadline(ticks);
            return Ok(());
        }
        Err(Trap::Interrupted)
    }

    /// Looks at the deadline: when it has come the guest ends, or waits for its next turn.
    ///
    /// # Errors
    /// `Interrupted`
    pub(crate) fn pause(&mut self) -> Result<(), Trap> {
        if self.deadline_reached() { self.at_deadline() } else { Ok(()) }
    }

    /// Does something for `0..len`, from the front in pieces of at most `piece`.
    ///
    /// # Errors
    /// `Interrupted`; part of it has been done then.
    pub(crate) fn in_pieces(
        &mut self,
        len: usize,
        piece: usize,
        mut work: impl FnMut(&mut StoreInner, Range<usize>),
    ) -> Result<(), Trap> {
        let mut done = 0;
        while len - done > piece {
            work(self, done..done + piece);
            done += piece;
            self.pause()?;
        }
        work(self, done..len);
        Ok(())
    }

    /// The same for a copy between places that may overlap: from the end where the target is `behind` the source, so that every
    /// element is read before it is overwritten.
    ///
    /// # Errors
    /// `Interrupted`; part of it has been done then.
    pub(crate) fn copy_in_pieces(
        &mut self,
        len: usize,
        piece: usize,
        behind: bool,
        mut work: impl FnMut(&mut StoreInner, Range<usize>),
    ) -> Result<(), Trap> {
        if !behind {
            return self.in_pieces(len, piece, work);
        }
        self.in_pieces(len, piece, |store, part| work(store, len - part.end..len - part.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::engine::Engine;
    use crate::store::{AsStoreMut, Store};
    use alloc::vec::Vec;

    fn pieces(len: usize, piece: usize, behind: bool) -> Vec<Range<usize>> {
        let engine = Engine::new(Config { epoch: true, ..Config::default() });
        let mut store = Store::new(&engine, ());
        let mut parts = Vec::new();
        store.as_store_mut().copy_in_pieces(len, piece, behind, |_, part| parts.push(part)).unwrap();
        parts
    }

    #[test]
    fn pieces_make_up_the_whole_in_the_order_asked_for() {
        assert_eq!(pieces(0, 4, false), Vec::from_iter(core::iter::once(0..0)));
        assert_eq!(pieces(4, 4, false), Vec::from_iter(core::iter::once(0..4)));
        assert_eq!(pieces(9, 4, false), [0..4, 4..8, 8..9]);
        assert_eq!(pieces(9, 4, true), [5..9, 1..5, 0..1]);
    }

    #[test]
    fn a_deadline_ends_it_between_two_pieces() {
        let engine = Engine::new(Config { epoch: true, ..Config::default() });
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let mut done = 0;
        let result = store.as_store_mut().in_pieces(100, 10, |_, part| {
            done = part.end;
            if done == 30 {
                engine.increment_epoch();
            }
        });
        assert_eq!((result, done), (Err(Trap::Interrupted), 30));
    }
}
