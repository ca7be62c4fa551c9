//! Handles by which the host keeps objects alive.
//!
//! The store's table and the handle share a small counted cell. Dropping the handle needs no store: the table is pruned when it
//! has doubled, and at every collection.

use super::object::{self, GcHeader};
use crate::error::Result;
use crate::handle::StoreId;
use crate::store::StoreInner;
use crate::val::RawVal;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Keeps an object of a store alive for as long as the host holds it or a clone. Usable with its own store only.
#[derive(Clone)]
pub struct Rooted {
    store: StoreId,
    /// The object's address.
    root: Arc<usize>,
}

impl Rooted {
    /// A handle of a live object of this store.
    ///
    /// # Panics
    /// Never: `object` must come from this store's heap, for which the engine's own callers answer.
    pub(crate) fn new(store: &mut StoreInner, object: NonNull<GcHeader>) -> Rooted {
        let root = Arc::new(object::reference(object) as usize);
        store.gc.roots.add(root.clone());
        Rooted { store: store.id(), root }
    }

    /// The reference, as slots carry it.
    ///
    /// # Errors
    /// `Usage` when the handle belongs to another store.
    pub(crate) fn reference(&self, store: &StoreInner) -> Result<RawVal> {
        store.check(self.store)?;
        Ok(*self.root as u64)
    }

    /// The object.
    ///
    /// # Errors
    /// `Usage` when the handle belongs to another store.
    pub(crate) fn object(&self, store: &StoreInner) -> Result<NonNull<GcHeader>> {
        store.check(self.store)?;
        match object::object(*self.root as u64) {
            Some(object) => Ok(object),
            None => unreachable!("crash: a handle of no object"),
        }
    }

    /// The store it belongs to.
    pub fn store(&self) -> StoreId {
        self.store
    }
}

/// The same object of the same store?
impl PartialEq for Rooted {
    fn eq(&self, other: &Rooted) -> bool {
        self.store == other.store && self.root == other.root
    }
}
impl Eq for Rooted {}

impl core::fmt::Debug for Rooted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Rooted({:#x})", *self.root)
    }
}

/// What the host holds of one store.
#[derive(Default)]
pub(super) struct Roots {
    cells: Vec<Arc<usize>>,
    /// Cells when the table was last pruned.
    pruned: usize,
}

impl Roots {
    fn add(&mut self, root: Arc<usize>) {
        if self.cells.len() >= 2 * self.pruned.max(32) {
            self.prune();
        }
        self.cells.push(root);
    }

    /// Forgets what nobody holds.
    pub(super) fn prune(&mut self) {
        self.cells.retain(|cell| Arc::strong_count(cell) > 1);
        self.pruned = self.cells.len();
    }

    /// The objects' addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = usize> + '_ {
        self.cells.iter().map(|cell| **cell)
    }

    /// How many the host holds.
    pub(super) fn held(&self) -> usize {
        self.cells.iter().filter(|cell| Arc::strong_count(cell) > 1).count()
    }
}
