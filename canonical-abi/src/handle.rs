//! The handle table of a component instance, and what calls and built-ins do with it. CanonicalABI.md: "Table State",
//! "Resource State", `lift_own`, `lift_borrow`, `lower_own`, `lower_borrow`, `canon resource.{new,drop,rep}`, and the parts
//! of "Task" and "Subtask" that count borrows and lends.
//!
//! Indices are observable: index 0 is never used, and a freed index is the next to be given out.
//!
//! Must not know: destructors, instances, `may_leave`: the embedder's.

use crate::error::{Result, Trap, TypeMismatch};
use crate::types::ResourceType;
use crate::val::Resource;
use alloc::vec::Vec;

/// No table is longer than this.
pub const MAX_LENGTH: u32 = (1 << 28) - 1;

/// Table State
///
/// Elements under the indices that a guest knows them by.
#[derive(Clone, Debug)]
pub struct Table<T> {
    /// Index 0 is reserved: the slot of index `i` is `slots[i - 1]`.
    slots: Vec<Slot<T>>,
    /// The index that was freed last, 0 for none.
    free: u32,
    len: u32,
    limit: u32,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Free {
        /// The index that was freed before this one, 0 for none.
        next: u32,
    },
    Used(T),
}

impl<T> Table<T> {
    /// An empty table for at most `limit` elements (and never more than `MAX_LENGTH`).
    pub fn new(limit: u32) -> Table<T> {
        Table { slots: Vec::new(), free: 0, len: 0, limit: limit.min(MAX_LENGTH) }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element of index `i`, or the trap for an index without one.
    #[inline]
    pub fn get(&self, i: u32) -> Result<&T, Trap> {
        match self.slots.get((i as usize).wrapping_sub(1)) {
            Some(Slot::Used(element)) => Ok(element),
            _ => Err(Trap::UnknownHandle(i)),
        }
    }

    /// The element of index `i`, for changing it.
    #[inline]
    pub fn get_mut(&mut self, i: u32) -> Result<&mut T, Trap> {
        match self.slots.get_mut((i as usize).wrapping_sub(1)) {
            Some(Slot::Used(element)) => Ok(element),
            _ => Err(Trap::UnknownHandle(i)),
        }
    }

    /// Adds an element under the index that was freed last, else under a new one.
    pub fn add(&mut self, element: T) -> Result<u32, Trap> {
        if let Some(Slot::Free { next }) = self.slots.get((self.free as usize).wrapping_sub(1)) {
            let i = core::mem::replace(&mut self.free, *next);
            self.slots[i as usize - 1] = Slot::Used(element);
            self.len += 1;
            return Ok(i);
        }
        if self.slots.len() >= self.limit as usize {
            return Err(Trap::TooManyHandles { limit: self.limit });
        }
        self.slots.try_reserve(1).map_err(|_| Trap::HostMemory)?;
        self.slots.push(Slot::Used(element));
        self.len += 1;
        Ok(self.slots.len() as u32)
    }

    /// Takes the element of index `i` out.
    pub fn remove(&mut self, i: u32) -> Result<T, Trap> {
        self.get(i)?;
        let slot = &mut self.slots[i as usize - 1];
        match core::mem::replace(slot, Slot::Free { next: self.free }) {
            Slot::Used(element) => {
                self.free = i;
                self.len -= 1;
                Ok(element)
            }
            // `get` has seen an element.
            Slot::Free { .. } => Err(Trap::UnknownHandle(i)),
        }
    }

    /// All elements with their indices, in the order of the indices.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().zip(1..).filter_map(|(slot, i)| match slot {
            Slot::Used(element) => Some((i, element)),
            Slot::Free { .. } => None,
        })
    }
}

/// Which call a borrowed handle belongs to: a number that the embedder gives, unique among the calls that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BorrowScope(pub u32);

/// Resource State
///
/// An element of a handle table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceHandle {
    /// Of which resource.
    pub rt: ResourceType,
    /// The number by which the definer of the resource knows this one.
    pub rep: u64,
    /// Whether this is an `own`; else it is a `borrow`.
    pub own: bool,
    /// The call that must drop this handle before it returns; borrows only.
    pub borrow_scope: Option<BorrowScope>,
    /// How many calls it is lent to at the moment.
    pub num_lends: u32,
}

impl ResourceHandle {
    fn resource(&self) -> Resource {
        Resource { rt: self.rt, rep: self.rep }
    }
}

/// A call into a component, as far as borrows are concerned: what was lowered for it as `borrow` is dropped before it
/// returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub scope: BorrowScope,
    /// How many borrowed handles of it there are.
    pub num_borrows: u32,
}

impl Task {
    /// A call that has been given no borrows yet.
    pub fn new(scope: BorrowScope) -> Task {
        Task { scope, num_borrows: 0 }
    }

    /// Traps if the call still has borrows when it returns (`return_`).
    pub fn check_return(&self) -> Result<(), Trap> {
        if self.num_borrows == 0 { Ok(()) } else { Err(Trap::BorrowsRemain) }
    }
}

/// A call out of a component, as far as borrows are concerned: the handles that were lifted for it as `borrow` are lent until
/// it has returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtask {
    /// Most calls lend one handle, if any, and allocate nothing for it.
    lender: Option<u32>,
    more_lenders: Vec<u32>,
}

impl Subtask {
    /// A call that has been lent nothing yet.
    pub fn new() -> Subtask {
        Subtask::default()
    }

    /// Gives back what was lent (`deliver_resolve`). A lent handle cannot be removed, so all of them are still there.
    pub fn deliver_resolve(&mut self, handles: &mut HandleTable) {
        for i in self.lender.take().into_iter().chain(self.more_lenders.drain(..)) {
            if let Ok(handle) = handles.0.get_mut(i) {
                handle.num_lends = handle.num_lends.saturating_sub(1);
            }
        }
    }
}

/// What `canon resource.drop` leaves to the embedder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The resource is at its end: call its destructor with the representation.
    Own(Resource),
    /// A borrow of this call is gone: one less in its `Task::num_borrows`.
    Borrow(BorrowScope),
}

/// The handles of a component instance.
#[derive(Clone, Debug)]
pub struct HandleTable(Table<ResourceHandle>);

impl HandleTable {
    /// An empty table for at most `limit` handles.
    pub fn new(limit: u32) -> HandleTable {
        HandleTable(Table::new(limit))
    }

    /// The table itself, to look at.
    pub fn table(&self) -> &Table<ResourceHandle> {
        &self.0
    }

    /// The handle of index `i`, which must be one of `rt`.
    #[inline]
    fn typed(&mut self, i: u32, rt: ResourceType) -> Result<&mut ResourceHandle, Trap> {
        let handle = self.0.get_mut(i)?;
        if handle.rt == rt {
            Ok(handle)
        } else {
            Err(Trap::WrongResourceType { index: i, expected: rt, found: handle.rt })
        }
    }

    /// The handle of index `i`, which must be one of `rt` and not lent, taken out of the table.
    fn take(&mut self, i: u32, rt: ResourceType, must_own: bool) -> Result<ResourceHandle, Trap> {
        let handle = self.typed(i, rt)?;
        if handle.num_lends != 0 {
            return Err(Trap::HandleLent);
        }
        if must_own && !handle.own {
            return Err(Trap::NotOwned(i));
        }
        self.0.remove(i)
    }

    /// Takes an owned handle out: ownership leaves the instance.
    pub fn lift_own(&mut self, i: u32, rt: ResourceType) -> Result<Resource> {
        Ok(self.take(i, rt, true)?.resource())
    }

    /// Lends a handle to the call `to`.
    pub fn lift_borrow(&mut self, i: u32, rt: ResourceType, to: &mut Subtask) -> Result<Resource> {
        let handle = self.typed(i, rt)?;
        to.more_lenders.try_reserve(usize::from(to.lender.is_some())).map_err(|_| Trap::HostMemory)?;
        handle.num_lends = handle.num_lends.checked_add(1).ok_or(Trap::HandleLent)?;
        match to.lender {
            None => to.lender = Some(i),
            Some(_) => to.more_lenders.push(i),
        }
        Ok(handle.resource())
    }

    /// Gives the instance a resource of type `rt` to own.
    pub fn lower_own(&mut self, resource: Resource, rt: ResourceType) -> Result<u32> {
        check_resource(resource, rt)?;
        let Resource { rt, rep } = resource;
        Ok(self.0.add(ResourceHandle { rt, rep, own: true, borrow_scope: None, num_lends: 0 })?)
    }

    /// Gives the call `to` into this instance a resource of type `rt` to borrow. Not for resources that this instance
    /// defines: those it is given as their representation, without a handle.
    pub fn lower_borrow(&mut self, resource: Resource, rt: ResourceType, to: &mut Task) -> Result<u32> {
        check_resource(resource, rt)?;
        let Resource { rt, rep } = resource;
        let handle = ResourceHandle { rt, rep, own: false, borrow_scope: Some(to.scope), num_lends: 0 };
        let i = self.0.add(handle)?;
        to.num_borrows += 1;
        Ok(i)
    }

    /// `canon resource.new`: a handle for a new resource of this instance.
    pub fn resource_new(&mut self, rt: ResourceType, rep: u64) -> Result<u32> {
        self.lower_own(Resource { rt, rep }, rt)
    }

    /// `canon resource.drop`: takes the handle out and says what is to be done.
    pub fn resource_drop(&mut self, rt: ResourceType, i: u32) -> Result<Dropped> {
        let handle = self.take(i, rt, false)?;
        Ok(match handle.borrow_scope {
            None => Dropped::Own(handle.resource()),
            Some(scope) => Dropped::Borrow(scope),
        })
    }

    /// `canon resource.rep`: the representation behind a handle.
    pub fn resource_rep(&mut self, rt: ResourceType, i: u32) -> Result<u64> {
        Ok(self.typed(i, rt)?.rep)
    }
}

fn check_resource(resource: Resource, rt: ResourceType) -> Result<(), TypeMismatch> {
    if resource.rt == rt { Ok(()) } else { Err(TypeMismatch::Resource { expected: rt, found: resource.rt }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R1: ResourceType = ResourceType::Id(1);
    const R2: ResourceType = ResourceType::Id(2);

    fn trap<T: core::fmt::Debug>(result: Result<T>) -> Trap {
        result.unwrap_err().trap().unwrap().clone()
    }

    #[test]
    fn the_first_handle_is_1_and_the_last_freed_index_is_the_next() {
        let mut handles = HandleTable::new(100);
        for expected in 1..=4 {
            assert_eq!(handles.resource_new(R1, u64::from(10 + expected)).unwrap(), expected);
        }
        handles.resource_drop(R1, 2).unwrap();
        handles.resource_drop(R1, 4).unwrap();
        handles.resource_drop(R1, 1).unwrap();
        let indices = [0; 4].map(|_| handles.resource_new(R1, 0).unwrap());
        assert_eq!(indices, [1, 4, 2, 5]);
    }

    #[test]
    fn index_0_freed_indices_and_indices_beyond_the_end_are_unknown() {
        let mut handles = HandleTable::new(100);
        let i = handles.resource_new(R1, 7).unwrap();
        handles.resource_drop(R1, i).unwrap();
        for i in [0, i, 2, u32::MAX] {
            assert_eq!(trap(handles.resource_drop(R1, i)), Trap::UnknownHandle(i));
            assert_eq!(trap(handles.resource_rep(R1, i)), Trap::UnknownHandle(i));
            assert_eq!(trap(handles.lift_own(i, R1)), Trap::UnknownHandle(i));
            assert_eq!(trap(handles.lift_borrow(i, R1, &mut Subtask::new())), Trap::UnknownHandle(i));
        }
    }

    #[test]
    fn a_reused_index_is_a_handle_of_the_new_type_only() {
        let mut handles = HandleTable::new(100);
        let i = handles.resource_new(R1, 7).unwrap();
        handles.resource_drop(R1, i).unwrap();
        assert_eq!(handles.resource_new(R2, 8).unwrap(), i);
        let wrong = Trap::WrongResourceType { index: i, expected: R1, found: R2 };
        assert_eq!(trap(handles.resource_rep(R1, i)), wrong);
        assert_eq!(trap(handles.lift_own(i, R1)), wrong);
        assert_eq!(trap(handles.lift_borrow(i, R1, &mut Subtask::new())), wrong);
        assert_eq!(trap(handles.resource_drop(R1, i)), wrong);
        assert_eq!(handles.resource_rep(R2, i).unwrap(), 8);
    }

    #[test]
    fn a_lent_handle_can_neither_be_dropped_nor_given_away_until_the_call_returns() {
        let mut handles = HandleTable::new(100);
        let i = handles.resource_new(R1, 7).unwrap();
        let (mut first, mut second) = (Subtask::new(), Subtask::new());
        handles.lift_borrow(i, R1, &mut first).unwrap();
        handles.lift_borrow(i, R1, &mut first).unwrap();
        handles.lift_borrow(i, R1, &mut second).unwrap();
        first.deliver_resolve(&mut handles);
        assert_eq!(trap(handles.lift_own(i, R1)), Trap::HandleLent);
        assert_eq!(trap(handles.resource_drop(R1, i)), Trap::HandleLent);
        second.deliver_resolve(&mut handles);
        assert_eq!(handles.resource_drop(R1, i).unwrap(), Dropped::Own(Resource { rt: R1, rep: 7 }));
    }

    #[test]
    fn a_borrow_is_no_own_and_must_be_dropped_before_its_call_returns() {
        let mut handles = HandleTable::new(100);
        let mut task = Task::new(BorrowScope(3));
        let resource = Resource { rt: R1, rep: 7 };
        let i = handles.lower_borrow(resource, R1, &mut task).unwrap();
        assert_eq!(trap(handles.lift_own(i, R1)), Trap::NotOwned(i));
        assert_eq!(task.check_return(), Err(Trap::BorrowsRemain));
        // Lending it on is allowed, and keeps it from being dropped.
        let mut subtask = Subtask::new();
        assert_eq!(handles.lift_borrow(i, R1, &mut subtask).unwrap(), resource);
        assert_eq!(trap(handles.resource_drop(R1, i)), Trap::HandleLent);
        subtask.deliver_resolve(&mut handles);
        assert_eq!(handles.resource_drop(R1, i).unwrap(), Dropped::Borrow(task.scope));
        task.num_borrows -= 1;
        assert_eq!(task.check_return(), Ok(()));
        assert_eq!(trap(handles.resource_rep(R1, i)), Trap::UnknownHandle(i));
    }

    #[test]
    fn a_full_table_traps_and_goes_on_after_a_drop() {
        let mut handles = HandleTable::new(2);
        handles.resource_new(R1, 1).unwrap();
        handles.resource_new(R1, 2).unwrap();
        assert_eq!(trap(handles.resource_new(R1, 3)), Trap::TooManyHandles { limit: 2 });
        handles.resource_drop(R1, 1).unwrap();
        assert_eq!(handles.resource_new(R1, 3).unwrap(), 1);
        assert_eq!(handles.table().len(), 2);
        let reps: Vec<(u32, u64)> = handles.table().iter().map(|(i, handle)| (i, handle.rep)).collect();
        assert_eq!(reps, [(1, 3), (2, 2)]);
    }

    #[test]
    fn the_host_cannot_pass_a_resource_off_as_another() {
        let mut handles = HandleTable::new(2);
        let error = handles.lower_own(Resource { rt: R2, rep: 1 }, R1).unwrap_err();
        assert!(matches!(error, crate::Error::Type(TypeMismatch::Resource { .. })), "{error}");
        assert!(handles.table().is_empty());
    }
}
