//! A table for the resources that a host defines: guests know them by handles, the host by a number, and this says what the number
//! stands for.
//!
//! ```
//! use mini_wasm_runtime::component::ResourceTable;
//! use mini_wasm_runtime::component::abi::{Borrow, Own};
//!
//! struct File { bytes: Vec<u8> }
//!
//! let mut table = ResourceTable::new(1000);
//! let file: Own<File> = table.push(File { bytes: vec![1, 2, 3] })?;
//! // What a guest lends comes as a `Borrow`, what it gives away or drops as an `Own`.
//! let lent: Borrow<File> = file.borrow();
//! table.get_mut(&lent)?.bytes.push(4);
//! assert_eq!(table.take(file)?.bytes.len(), 4);
//! assert!(table.get(&lent).is_err());
//! # Ok::<(), mini_wasm_runtime::Error>(())
//! ```
//!
//! Must not know: stores, linkers.

use super::abi::{Borrow, Own};
use crate::error::{Error, ErrorKind, Result};
use crate::trap::Trap;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::any::{Any, type_name};

/// Host values of any type by the numbers that handles carry. A number is used again once its value was taken.
#[derive(Debug)]
pub struct ResourceTable {
    slots: Vec<Slot>,
    /// The number that was freed last.
    free: Option<u32>,
    live: u32,
    limit: u32,
}

#[derive(Debug)]
enum Slot {
    Free { next: Option<u32> },
    Used(Box<dyn Any + Send>),
}

impl ResourceTable {
    /// An empty table for at most `limit` resources: each is memory of the host that a guest asks for.
    pub fn new(limit: u32) -> ResourceTable {
        ResourceTable { slots: Vec::new(), free: None, live: 0, limit }
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Adds a resource; what is returned is a guest's to have.
    ///
    /// # Errors
    /// `Exhausted` when the table is full.
    pub fn push<T: Send + 'static>(&mut self, resource: T) -> Result<Own<T>> {
        if self.live >= self.limit {
            return Err(Error::exhausted(format!("the host's limit of {} resources is reached", self.limit)));
        }
        let used = Slot::Used(Box::new(resource));
        let rep = match self.free.and_then(|rep| Some((rep, self.slots.get_mut(rep as usize)?))) {
            Some((rep, slot)) => {
                if let Slot::Free { next } = *slot {
                    self.free = next;
                }
                *slot = used;
                rep
            }
            None => {
                self.slots.push(used);
                self.slots.len() as u32 - 1
            }
        };
        self.live += 1;
        Ok(Own::new(rep))
    }

    /// The resource that is lent.
    ///
    /// # Errors
    /// A trap when there is none, or one of another type, behind the number.
    pub fn get<T: 'static>(&self, handle: &Borrow<T>) -> Result<&T> {
        match self.slots.get(handle.rep() as usize) {
            Some(Slot::Used(resource)) => resource.downcast_ref().ok_or_else(no_such::<T>),
            _ => Err(no_such::<T>()),
        }
    }

    /// The resource that is lent, to change.
    ///
    /// # Errors
    /// As for [`ResourceTable::get`].
    pub fn get_mut<T: 'static>(&mut self, handle: &Borrow<T>) -> Result<&mut T> {
        match self.slots.get_mut(handle.rep() as usize) {
            Some(Slot::Used(resource)) => resource.downcast_mut().ok_or_else(no_such::<T>),
            _ => Err(no_such::<T>()),
        }
    }

    /// Takes the resource out: its handle has been given back or dropped.
    ///
    /// # Errors
    /// As for [`ResourceTable::get`].
    pub fn take<T: 'static>(&mut self, handle: Own<T>) -> Result<T> {
        let rep = handle.rep();
        let slot = match self.slots.get_mut(rep as usize) {
            Some(slot) if matches!(&*slot, Slot::Used(resource) if resource.is::<T>()) => slot,
            _ => return Err(no_such::<T>()),
        };
        let taken = core::mem::replace(slot, Slot::Free { next: self.free });
        self.free = Some(rep);
        self.live -= 1;
        match taken {
            Slot::Used(resource) => resource.downcast().map(|resource| *resource).map_err(|_| no_such::<T>()),
            Slot::Free { .. } => Err(no_such::<T>()),
        }
    }
}

fn no_such<T>() -> Error {
    let name = type_name::<T>().rsplit("::").next().unwrap_or_default();
    Error::new(ErrorKind::Trap(Trap::HostFunction), format!("no {name} behind this handle"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_stand_for_one_type_only() {
        let mut table = ResourceTable::new(2);
        let (text, number) = (table.push("text").unwrap(), table.push(7u32).unwrap());
        assert!(table.push(8u32).is_err(), "it is full");
        assert_eq!(*table.get(&number.borrow()).unwrap(), 7);
        assert!(table.get(&Borrow::<u32>::new(text.rep())).is_err());
        assert!(table.take(Own::<u32>::new(text.rep())).is_err());
        let rep = text.rep();
        assert_eq!(table.take(text).unwrap(), "text");
        assert!(table.take(Own::<&str>::new(rep)).is_err());
        assert_eq!(table.push(9u32).unwrap().rep(), rep);
        assert_eq!(table.len(), 2);
    }
}
