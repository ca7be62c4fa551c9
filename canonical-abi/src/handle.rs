//! The handle table of a component instance, and what calls and built-ins do with it. CanonicalABI.md: "Table State",
//! "Resource State", `lift_own`, `lift_borrow`, `lower_own`, `lower_borrow`, `canon resource.{new,drop,rep}`, and the parts
//! of "Task" and "Subtask" that count borrows and lends.
//!
//! Indices are observable: index 0 is never used, and a freed index is the next to be given out.
//!
//! Must not know: destructors, instances, `may_leave`: the embedder's.

use crate::error::{Result, Trap, TypeMismatch};
use crate::host_memory::Charge;
use crate::types::ResourceType;
use crate::val::Resource;
use alloc::vec::Vec;
use core::any::TypeId;
use core::fmt;

/// No table is longer than this.
pub const MAX_LENGTH: u32 = (1 << 28) - 1;

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

/// The calls into components that are under way, innermost last, as far as borrows are concerned ("Task"): what was lowered for a call
/// as `borrow` is dropped before it returns.
///
/// Native code begins and ends calls too, where these fields lie ([`native`]).
#[derive(Debug)]
#[repr(C)]
pub struct Tasks {
    /// The address of the first word of `num_borrows`.
    words: usize,
    /// How many words there are.
    room: u32,
    /// How many calls are under way: the scope of the next.
    depth: u32,
    /// How many borrowed handles each call has.
    num_borrows: Vec<u32>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        let mut tasks = Tasks { words: 0, room: 0, depth: 0, num_borrows: Vec::new() };
        tasks.grow();
        tasks
    }
}

impl Tasks {
    /// Makes room, and notes for native code where it is.
    fn grow(&mut self) {
        self.num_borrows.resize((2 * self.num_borrows.len()).max(16), 0);
        self.words = self.num_borrows.as_mut_ptr().expose_provenance();
        self.room = self.num_borrows.len() as u32;
    }

    /// How many calls are under way.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Begins a call that has been given no borrows yet. Calls end in the opposite order.
    pub fn begin(&mut self) -> BorrowScope {
        if self.depth == self.room {
            self.grow();
        }
        let scope = self.depth;
        self.num_borrows[scope as usize] = 0;
        self.depth += 1;
        BorrowScope(scope)
    }

    /// Ends the call and all that began after it.
    pub fn end(&mut self, scope: BorrowScope) {
        self.depth = self.depth.min(scope.0);
    }

    /// How many borrowed handles the call has.
    fn borrows(&mut self, scope: BorrowScope) -> Option<&mut u32> {
        if scope.0 < self.depth { self.num_borrows.get_mut(scope.0 as usize) } else { None }
    }

    /// Traps if the call still has borrows when it returns (`return_`).
    pub fn check_return(&self, scope: BorrowScope) -> Result<(), Trap> {
        match self.num_borrows.get(scope.0 as usize) {
            Some(1..) if scope.0 < self.depth => Err(Trap::BorrowsRemain),
            _ => Ok(()),
        }
    }

    /// A borrow of the call was dropped. Whether there is such a call.
    pub fn dropped(&mut self, scope: BorrowScope) -> bool {
        let Some(borrows) = self.borrows(scope) else { return false };
        *borrows = borrows.saturating_sub(1);
        true
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
            if let Ok(slot) = handles.slot(i) {
                slot.num_lends = slot.num_lends.saturating_sub(1);
            }
        }
    }
}

/// What `canon resource.drop` leaves to the embedder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The resource is at its end: call its destructor with the representation.
    Own(Resource),
    /// A borrow of this call is gone: [`Tasks::dropped`].
    Borrow(BorrowScope),
}

/// The handles of a component instance ("Table State").
///
/// Native code finds handles, lends them and moves them on, where these fields lie ([`native`]).
#[repr(C)]
pub struct HandleTable {
    /// The address of the first slot.
    first: usize,
    /// How many slots there are, used and free.
    count: u32,
    /// The index that was freed last, 0 for none.
    free: u32,
    limit: u32,
    /// Index 0 is reserved: the slot of index `i` is `slots[i - 1]`.
    slots: Vec<Slot>,
    /// For the room that `slots` has.
    charge: Charge,
}

/// A place in a table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Slot {
    /// [`native::resource_word`] of its handle; [`FREE`] without one.
    rt: u64,
    rep: u64,
    /// How many calls it is lent to. Without a handle: the index that was freed before this one, 0 for none.
    num_lends: u32,
    /// Of a borrow, the call that must drop it before it returns, plus 1; 0 of an own.
    scope: u32,
    /// Which resource, when `rt` is [`HOST`].
    host: Option<TypeId>,
}

/// No handle.
const FREE: u64 = 0;
/// A handle of a resource that the host defines.
const HOST: u64 = 1;

/// Where native code finds what: offsets in bytes. An own handle that is not lent has eight bytes of zeros at [`SLOT_STATE`].
///
/// [`SLOT_STATE`]: native::SLOT_STATE
pub mod native {
    use super::{FREE, HOST, HandleTable, ResourceType, Slot, Tasks};
    use core::mem::offset_of;

    /// In a [`HandleTable`]: the address of the first slot (8 bytes), which changes when the table grows.
    pub const TABLE_FIRST: usize = offset_of!(HandleTable, first);
    /// In a [`HandleTable`]: how many slots there are (4 bytes). It never becomes less.
    pub const TABLE_COUNT: usize = offset_of!(HandleTable, count);
    /// In a [`HandleTable`]: the index that was freed last, 0 for none (4 bytes).
    pub const TABLE_FREE: usize = offset_of!(HandleTable, free);
    /// Bytes of a slot. The slot of index `i` is the `i - 1`th.
    pub const SLOT_SIZE: usize = size_of::<Slot>();
    /// In a slot: its [`resource_word`] (8 bytes), 0 without a handle.
    pub const SLOT_RESOURCE: usize = offset_of!(Slot, rt);
    /// In a slot: the representation (8 bytes).
    pub const SLOT_REP: usize = offset_of!(Slot, rep);
    /// In a slot: lends (4 bytes) and the borrow's scope plus 1 (4 bytes).
    pub const SLOT_STATE: usize = offset_of!(Slot, num_lends);
    /// In a slot: how many calls it is lent to (4 bytes). Without a handle: the index that was freed before, 0 for none.
    pub const SLOT_LENDS: usize = offset_of!(Slot, num_lends);
    /// In [`Tasks`]: the address of the words that count borrows (8 bytes), which changes when there are more.
    pub const TASKS_WORDS: usize = offset_of!(Tasks, words);
    /// In [`Tasks`]: how many words there are (4 bytes).
    pub const TASKS_ROOM: usize = offset_of!(Tasks, room);
    /// In [`Tasks`]: how many calls are under way (4 bytes); the next one's scope, whose word is to be made 0 first.
    pub const TASKS_DEPTH: usize = offset_of!(Tasks, depth);

    /// What native code is told of a resource type that it cannot know: the word of no slot.
    pub const UNKNOWN: u64 = u64::MAX;

    /// The word by which slots tell the resources that components define; of the host's, that they are the host's.
    pub const fn resource_word(rt: ResourceType) -> u64 {
        match rt {
            ResourceType::Id(id) => id as u64 + 2,
            ResourceType::Host(_) => HOST,
        }
    }

    const _: () = assert!(
        size_of::<usize>() == 8 || cfg!(not(target_pointer_width = "64")),
        "addresses are 8 bytes where there is native code"
    );
    const _: () = assert!(
        offset_of!(Slot, scope) == SLOT_STATE + 4 && SLOT_STATE.is_multiple_of(8),
        "lends and scope are read as one word"
    );
    const _: () = assert!(FREE == 0 && HOST == 1);
}

impl Slot {
    fn handle(&self) -> Option<ResourceHandle> {
        let rt = match (self.rt, self.host) {
            (FREE, _) => return None,
            (HOST, Some(host)) => ResourceType::Host(host),
            (word, _) => ResourceType::Id(word.wrapping_sub(2) as u32),
        };
        let scope = self.scope.checked_sub(1).map(BorrowScope);
        let (rep, num_lends) = (self.rep, self.num_lends);
        Some(ResourceHandle { rt, rep, own: scope.is_none(), borrow_scope: scope, num_lends })
    }

    fn is(&self, rt: ResourceType) -> bool {
        self.rt == native::resource_word(rt)
            && match rt {
                ResourceType::Id(_) => true,
                ResourceType::Host(host) => self.host == Some(host),
            }
    }
}

impl HandleTable {
    /// An empty table for at most `limit` handles (and never more than [`MAX_LENGTH`]).
    pub fn new(limit: u32) -> HandleTable {
        HandleTable::charged(limit, Charge::default())
    }

    /// The same; what it takes is added to `charge`.
    pub fn charged(limit: u32, charge: Charge) -> HandleTable {
        let limit = limit.min(MAX_LENGTH);
        HandleTable { first: 0, count: 0, free: 0, limit, slots: Vec::new(), charge }
    }

    /// Makes room for one more slot.
    #[cold]
    fn grow(&mut self) -> Result<(), Trap> {
        let more = self.slots.len().max(16).min(self.limit as usize - self.slots.len());
        if !self.charge.grow(more * size_of::<Slot>()) {
            return Err(Trap::HostMemory);
        }
        self.slots.try_reserve_exact(more).map_err(|_| Trap::HostMemory)
    }

    /// All handles with their indices, in the order of the indices.
    pub fn iter(&self) -> impl Iterator<Item = (u32, ResourceHandle)> {
        self.slots.iter().zip(1..).filter_map(|(slot, i)| Some((i, slot.handle()?)))
    }

    /// The slot of index `i`, which has a handle.
    #[inline]
    fn slot(&mut self, i: u32) -> Result<&mut Slot, Trap> {
        match self.slots.get_mut((i as usize).wrapping_sub(1)) {
            Some(slot) if slot.rt != FREE => Ok(slot),
            _ => Err(Trap::UnknownHandle(i)),
        }
    }

    /// The slot of index `i`, whose handle must be one of `rt`.
    #[inline]
    fn typed(&mut self, i: u32, rt: ResourceType) -> Result<&mut Slot, Trap> {
        let slot = self.slot(i)?;
        if slot.is(rt) {
            return Ok(slot);
        }
        let found = slot.handle().map_or(rt, |handle| handle.rt);
        Err(Trap::WrongResourceType { index: i, expected: rt, found })
    }

    /// Adds a handle under the index that was freed last, else under a new one.
    fn add(&mut self, resource: Resource, scope: u32) -> Result<u32, Trap> {
        let host = match resource.rt {
            ResourceType::Host(host) => Some(host),
            ResourceType::Id(_) => None,
        };
        let new =
            Slot { rt: native::resource_word(resource.rt), rep: resource.rep, num_lends: 0, scope, host };
        if let Some(slot) = self.slots.get_mut((self.free as usize).wrapping_sub(1)) {
            let i = core::mem::replace(&mut self.free, slot.num_lends);
            *slot = new;
            return Ok(i);
        }
        if self.slots.len() >= self.limit as usize {
            return Err(Trap::TooManyHandles { limit: self.limit });
        }
        if self.slots.len() == self.slots.capacity() {
            self.grow()?;
        }
        self.slots.push(new);
        self.first = self.slots.as_mut_ptr().expose_provenance();
        self.count += 1;
        Ok(self.count)
    }

    /// The handle of index `i`, which must be one of `rt` and not lent, taken out of the table.
    fn take(&mut self, i: u32, rt: ResourceType, must_own: bool) -> Result<Slot, Trap> {
        let free = self.free;
        let slot = self.typed(i, rt)?;
        if slot.num_lends != 0 {
            return Err(Trap::HandleLent);
        }
        if must_own && slot.scope != 0 {
            return Err(Trap::NotOwned(i));
        }
        let taken = *slot;
        (slot.rt, slot.num_lends) = (FREE, free);
        self.free = i;
        Ok(taken)
    }

    /// Takes an owned handle out: ownership leaves the instance.
    pub fn lift_own(&mut self, i: u32, rt: ResourceType) -> Result<Resource> {
        Ok(Resource { rt, rep: self.take(i, rt, true)?.rep })
    }

    /// Lends a handle to the call `to`.
    pub fn lift_borrow(&mut self, i: u32, rt: ResourceType, to: &mut Subtask) -> Result<Resource> {
        let slot = self.typed(i, rt)?;
        to.more_lenders.try_reserve(usize::from(to.lender.is_some())).map_err(|_| Trap::HostMemory)?;
        slot.num_lends = slot.num_lends.checked_add(1).ok_or(Trap::HandleLent)?;
        match to.lender {
            None => to.lender = Some(i),
            Some(_) => to.more_lenders.push(i),
        }
        Ok(Resource { rt, rep: slot.rep })
    }

    /// Gives the instance a resource of type `rt` to own.
    pub fn lower_own(&mut self, resource: Resource, rt: ResourceType) -> Result<u32> {
        check_resource(resource, rt)?;
        Ok(self.add(resource, 0)?)
    }

    /// Gives a call into this instance a resource of type `rt` to borrow. Not for resources that this instance
    /// defines: those it is given as their representation, without a handle. `None` when there is no such call.
    pub fn lower_borrow(
        &mut self,
        resource: Resource,
        rt: ResourceType,
        tasks: &mut Tasks,
        scope: BorrowScope,
    ) -> Result<Option<u32>> {
        check_resource(resource, rt)?;
        let Some(borrows) = tasks.borrows(scope) else { return Ok(None) };
        let i = self.add(resource, scope.0 + 1)?;
        // Fewer than there are slots in all tables.
        *borrows += 1;
        Ok(Some(i))
    }

    /// `canon resource.new`: a handle for a new resource of this instance.
    pub fn resource_new(&mut self, rt: ResourceType, rep: u64) -> Result<u32> {
        self.lower_own(Resource { rt, rep }, rt)
    }

    /// `canon resource.drop`: takes the handle out and says what is to be done.
    pub fn resource_drop(&mut self, rt: ResourceType, i: u32) -> Result<Dropped> {
        let slot = self.take(i, rt, false)?;
        Ok(match slot.scope.checked_sub(1) {
            None => Dropped::Own(Resource { rt, rep: slot.rep }),
            Some(scope) => Dropped::Borrow(BorrowScope(scope)),
        })
    }

    /// `canon resource.rep`: the representation behind a handle.
    pub fn resource_rep(&mut self, rt: ResourceType, i: u32) -> Result<u64> {
        Ok(self.typed(i, rt)?.rep)
    }
}

impl fmt::Debug for HandleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleTable").field("free", &self.free).field("slots", &self.slots).finish()
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
        let mut tasks = Tasks::default();
        (0..40).for_each(|outer| assert_eq!(tasks.begin(), BorrowScope(outer)));
        let scope = tasks.begin();
        let resource = Resource { rt: R1, rep: 7 };
        assert_eq!(handles.lower_borrow(resource, R1, &mut tasks, BorrowScope(41)).unwrap(), None);
        let i = handles.lower_borrow(resource, R1, &mut tasks, scope).unwrap().unwrap();
        assert_eq!(trap(handles.lift_own(i, R1)), Trap::NotOwned(i));
        assert_eq!(tasks.check_return(scope), Err(Trap::BorrowsRemain));
        // Lending it on is allowed, and keeps it from being dropped.
        let mut subtask = Subtask::new();
        assert_eq!(handles.lift_borrow(i, R1, &mut subtask).unwrap(), resource);
        assert_eq!(trap(handles.resource_drop(R1, i)), Trap::HandleLent);
        subtask.deliver_resolve(&mut handles);
        assert_eq!(handles.resource_drop(R1, i).unwrap(), Dropped::Borrow(scope));
        assert!(tasks.dropped(scope) && !tasks.dropped(BorrowScope(41)));
        assert_eq!(tasks.check_return(scope), Ok(()));
        tasks.end(BorrowScope(1));
        assert_eq!(tasks.depth(), 1);
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
        let reps: Vec<(u32, u64)> = handles.iter().map(|(i, handle)| (i, handle.rep)).collect();
        assert_eq!(reps, [(1, 3), (2, 2)]);
    }

    #[test]
    fn a_table_is_no_larger_than_the_memory_there_is_for_it() {
        struct Two(core::sync::atomic::AtomicUsize);
        impl crate::HostMemory for Two {
            fn take(&self, bytes: usize) -> bool {
                let least = |taken: usize| (taken + bytes <= 32 * size_of::<Slot>()).then_some(taken + bytes);
                let order = core::sync::atomic::Ordering::Relaxed;
                self.0.try_update(order, order, least).is_ok()
            }
            fn give(&self, bytes: usize) {
                self.0.fetch_sub(bytes, core::sync::atomic::Ordering::Relaxed);
            }
        }
        let memory = alloc::sync::Arc::new(Two(0.into()));
        let mut handles = HandleTable::charged(1000, Charge::new(memory.clone()));
        for i in 1..=32 {
            assert_eq!(handles.resource_new(R1, 0).unwrap(), i);
        }
        assert_eq!(trap(handles.resource_new(R1, 0)), Trap::HostMemory);
        handles.resource_drop(R1, 7).unwrap();
        assert_eq!(handles.resource_new(R1, 0).unwrap(), 7);
        drop(handles);
        assert_eq!(memory.0.load(core::sync::atomic::Ordering::Relaxed), 0);
    }

    #[test]
    fn the_host_cannot_pass_a_resource_off_as_another() {
        let mut handles = HandleTable::new(2);
        let error = handles.lower_own(Resource { rt: R2, rep: 1 }, R1).unwrap_err();
        assert!(matches!(error, crate::Error::Type(TypeMismatch::Resource { .. })), "{error}");
        assert_eq!(handles.iter().count(), 0);
    }
}
