//! The resources that guests hold: the engine's table from representation numbers to host values, with errors that stop a guest.
//!
//! The runtime keeps each guest's handles and knows which are owned, borrowed or lent; this table only knows what a
//! representation stands for. It has a limit, since each entry is host memory that a guest asked for.

use mini_wasm_canonical_abi::{Borrow, Own};
use mini_wasm_runtime::component::ResourceTable;

use crate::Stop;
use crate::allowance::{self, Charge};

/// What a resource takes beside itself: its slot, and what the allocator needs for it.
const OVERHEAD: usize = 48;

/// The table. Representations are small and used again after a removal.
#[derive(Debug)]
pub(crate) struct Table {
    resources: ResourceTable,
    limit: u32,
    charge: Charge,
}

impl Table {
    /// An empty table that takes at most `limit` resources, and charges them.
    pub(crate) fn new(limit: u32, charge: Charge) -> Self {
        Self { resources: ResourceTable::new(limit), limit, charge }
    }

    /// Drops all resources.
    pub(crate) fn clear(&mut self) {
        self.resources = ResourceTable::new(self.limit);
        self.charge.shrink(usize::MAX);
    }

    /// Whether `more` resources could be pushed.
    pub(crate) fn room(&self, more: u32) -> Result<(), Stop> {
        match self.live().checked_add(more) {
            Some(live) if live <= self.limit => Ok(()),
            _ => Err(Stop::Trap(format!("more than {} resources; raise the limit on the host", self.limit))),
        }
    }

    /// Adds a resource.
    pub(crate) fn push<T: Send + 'static>(&mut self, resource: T) -> Result<Own<T>, Stop> {
        self.room(1)?;
        allowance::grow(&mut self.charge, OVERHEAD + size_of::<T>())?;
        self.resources.push(resource).map_err(stop)
    }

    /// The resource behind a handle.
    pub(crate) fn get<T: 'static>(&self, handle: &Borrow<T>) -> Result<&T, Stop> {
        self.resources.get(handle).map_err(stop)
    }

    /// The resource behind a handle, to change.
    pub(crate) fn get_mut<T: 'static>(&mut self, handle: &Borrow<T>) -> Result<&mut T, Stop> {
        self.resources.get_mut(handle).map_err(stop)
    }

    /// Takes a resource out: the end of an owned handle.
    pub(crate) fn take<T: 'static>(&mut self, handle: Own<T>) -> Result<T, Stop> {
        let taken = self.resources.take(handle).map_err(stop)?;
        self.charge.shrink(OVERHEAD + size_of::<T>());
        Ok(taken)
    }

    /// How many resources there are.
    pub(crate) fn live(&self) -> u32 {
        // The limit is a `u32`.
        self.resources.len() as u32
    }
}

/// A handle that stands for nothing is the guest's fault.
fn stop(error: mini_wasm_runtime::Error) -> Stop {
    Stop::trap(error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_finds_only_a_resource_of_its_own_type() {
        let mut table = Table::new(10, Charge::default());
        let number = table.push(7_u32).unwrap();
        assert_eq!(table.get(&number.borrow()), Ok(&7));
        assert!(table.get(&Borrow::<String>::new(number.rep())).is_err());
        assert!(table.take(Own::<String>::new(number.rep())).is_err());
        assert_eq!(table.take(Own::<u32>::new(number.rep())), Ok(7));
        assert!(table.take(number).is_err(), "taken twice");
        assert!(table.get(&Borrow::<u32>::new(u32::MAX)).is_err());
    }

    #[test]
    fn the_table_takes_no_more_than_its_limit_and_uses_numbers_again() {
        let mut table = Table::new(3, Charge::default());
        let handles: Vec<_> = (0..3_u32).map(|n| table.push(n).unwrap()).collect();
        assert!(matches!(table.push(3_u32), Err(Stop::Trap(_))));
        for handle in handles {
            table.take(handle).unwrap();
        }
        for n in 0..1000_u32 {
            let handle = table.push(n).unwrap();
            assert!(handle.rep() < 3);
            assert_eq!(table.take(handle), Ok(n));
        }
        assert_eq!(table.live(), 0);
    }
}
