//! The resources that guests hold: a table from representation numbers to host values.
//!
//! The runtime keeps each guest's handles and knows which are owned, borrowed or lent; this table only knows what a
//! representation stands for. It has a limit, since each entry is host memory that a guest asked for.

use core::any::{Any, type_name};

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::Stop;

/// The table. Representations are small and used again after a removal.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Option<u32>,
    live: u32,
    limit: u32,
}

#[derive(Debug)]
enum Slot {
    Free { next: Option<u32> },
    Used(Box<dyn Any + Send>),
}

impl Table {
    /// An empty table that takes at most `limit` resources.
    pub(crate) fn new(limit: u32) -> Self {
        Self { slots: Vec::new(), free: None, live: 0, limit }
    }

    /// Whether `more` resources could be pushed.
    pub(crate) fn room(&self, more: u32) -> Result<(), Stop> {
        match self.live.checked_add(more) {
            Some(live) if live <= self.limit => Ok(()),
            _ => Err(Stop::Trap(format!("more than {} resources; raise the limit on the host", self.limit))),
        }
    }

    /// Adds a resource.
    pub(crate) fn push<T: Send + 'static>(&mut self, resource: T) -> Result<Own<T>, Stop> {
        self.room(1)?;
        let used = Slot::Used(Box::new(resource));
        let rep = match self.free {
            Some(rep) => {
                let slot = &mut self.slots[rep as usize];
                let Slot::Free { next } = *slot else { panic!("crash: the free list names a used slot") };
                self.free = next;
                *slot = used;
                rep
            }
            None => {
                let rep =
                    u32::try_from(self.slots.len()).map_err(|_| Stop::trap("the resource table is full"))?;
                self.slots.push(used);
                rep
            }
        };
        self.live += 1;
        Ok(Own::new(rep))
    }

    /// The resource behind a handle.
    pub(crate) fn get<T: 'static>(&self, handle: &Borrow<T>) -> Result<&T, Stop> {
        match self.slots.get(handle.rep() as usize) {
            Some(Slot::Used(resource)) => resource.downcast_ref().ok_or_else(no_such::<T>),
            _ => Err(no_such::<T>()),
        }
    }

    /// The resource behind a handle, to change.
    pub(crate) fn get_mut<T: 'static>(&mut self, handle: &Borrow<T>) -> Result<&mut T, Stop> {
        match self.slots.get_mut(handle.rep() as usize) {
            Some(Slot::Used(resource)) => resource.downcast_mut().ok_or_else(no_such::<T>),
            _ => Err(no_such::<T>()),
        }
    }

    /// Takes a resource out: the end of an owned handle.
    pub(crate) fn take<T: 'static>(&mut self, handle: Own<T>) -> Result<T, Stop> {
        let rep = handle.rep();
        let Some(slot) = self.slots.get_mut(rep as usize) else { return Err(no_such::<T>()) };
        match slot {
            Slot::Used(resource) if resource.is::<T>() => {}
            _ => return Err(no_such::<T>()),
        }
        let Slot::Used(resource) = core::mem::replace(slot, Slot::Free { next: self.free }) else {
            panic!("crash: a used slot is free")
        };
        self.free = Some(rep);
        self.live -= 1;
        resource.downcast().map(|resource| *resource).map_err(|_| no_such::<T>())
    }

    /// How many resources there are.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }
}

fn no_such<T>() -> Stop {
    let name = type_name::<T>().rsplit("::").next().unwrap_or_default();
    Stop::Trap(format!("no {name} behind this handle"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_finds_only_a_resource_of_its_own_type() {
        let mut table = Table::new(10);
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
        let mut table = Table::new(3);
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
