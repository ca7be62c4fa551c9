//! A guest for tests: a vector of bytes, a `realloc` that hands out fresh aligned regions (or does one of the things that a
//! hostile one would), and a real handle table.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part of this")]

use mini_wasm_canonical_abi::handle::{BorrowScope, HandleTable, Subtask, Tasks};
use mini_wasm_canonical_abi::{Error, Guest, Resource, ResourceType, Trap};

/// What `realloc` does instead of its duty, at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Returns a region that ends `n` bytes beyond the memory (aligned).
    Beyond(usize),
    /// Returns a pointer outside of the memory.
    Far,
    /// Returns a pointer whose region wraps around.
    Wrapping,
    /// Returns an odd pointer.
    Odd,
    /// Returns the region where everything began, whatever lies there.
    Overlap,
    /// Returns the last region that fits.
    AtEnd,
    /// Traps.
    Trap,
}

/// A call of `realloc`: `(old_ptr, old_size, alignment, new_size)`.
pub type ReallocCall = (usize, usize, usize, usize);

pub struct PlainGuest {
    pub memory: Vec<u8>,
    /// Where the next region begins.
    pub next: usize,
    /// At the call of this number (from 0) `realloc` is hostile.
    pub hostile: Option<(usize, Hostile)>,
    /// How much the memory grows at each `realloc`.
    pub grow: usize,
    pub calls: Vec<ReallocCall>,
    pub handles: HandleTable,
    pub tasks: Tasks,
    pub subtask: Subtask,
}

impl PlainGuest {
    /// With `size` bytes of memory, allocating from address 16.
    pub fn new(size: usize) -> PlainGuest {
        let mut tasks = Tasks::default();
        tasks.begin();
        PlainGuest {
            memory: vec![0xa5; size],
            next: 16,
            hostile: None,
            grow: 0,
            calls: Vec::new(),
            handles: HandleTable::new(1000),
            tasks,
            subtask: Subtask::new(),
        }
    }
}

#[derive(Debug)]
pub struct ReallocTrapped;

impl std::fmt::Display for ReallocTrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("realloc trapped")
    }
}

impl std::error::Error for ReallocTrapped {}

impl Guest for PlainGuest {
    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> Result<usize, Error> {
        let call = self.calls.len();
        self.calls.push((old_ptr, old_size, alignment, new_size));
        self.memory.resize(self.memory.len() + self.grow, 0xa5);
        let len = self.memory.len();
        match self.hostile {
            Some((at, hostile)) if at == call => match hostile {
                Hostile::Beyond(n) => Ok((len + n).saturating_sub(new_size) & !(alignment - 1)),
                Hostile::Far => Ok(0xffff_fff8),
                Hostile::Wrapping => Ok(usize::MAX & !(alignment - 1)),
                Hostile::Odd => Ok(17),
                Hostile::Overlap => Ok(16),
                Hostile::AtEnd => Ok((len - new_size) & !(alignment - 1)),
                Hostile::Trap => Err(Error::guest(ReallocTrapped)),
            },
            _ => {
                let ptr = self.next.next_multiple_of(alignment);
                self.next = ptr + new_size;
                if self.next > self.memory.len() {
                    return Err(Error::guest(ReallocTrapped));
                }
                self.memory.copy_within(old_ptr..old_ptr + old_size.min(new_size), ptr);
                Ok(ptr)
            }
        }
    }

    fn lift_own(&mut self, index: u32, rt: ResourceType) -> Result<Resource, Error> {
        self.handles.lift_own(index, rt)
    }

    fn lift_borrow(&mut self, index: u32, rt: ResourceType) -> Result<Resource, Error> {
        self.handles.lift_borrow(index, rt, &mut self.subtask)
    }

    fn lower_own(&mut self, resource: Resource, rt: ResourceType) -> Result<u32, Error> {
        self.handles.lower_own(resource, rt)
    }

    fn lower_borrow(&mut self, resource: Resource, rt: ResourceType) -> Result<u32, Error> {
        let lowered = self.handles.lower_borrow(resource, rt, &mut self.tasks, BorrowScope(0))?;
        Ok(lowered.expect("a call was begun"))
    }
}

/// The trap that an error is.
pub fn trap(error: Error) -> Trap {
    match error {
        Error::Trap(trap) => trap,
        other => panic!("not a trap: {other}"),
    }
}
