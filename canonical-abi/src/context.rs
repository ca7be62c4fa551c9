//! What lifting and lowering work with. CanonicalABI.md: "Canonical ABI Options", "Lifting and Lowering Context".
//!
//! `Guest` is all that this crate knows of a component instance: its memory, its `realloc`, its handles. A
//! `LiftLowerContext` is one lifting or lowering: a guest, its options, and what is left of the call's copy budget.
//! Every pointer that `realloc` returns is checked in one place, `check_reallocated`.
//!
//! Must not know: stores, tasks, how `realloc` is called.

use crate::error::{Content, Error, Result, Trap};
use crate::layout::PtrType;
use crate::types::ResourceType;
use crate::val::Resource;
use alloc::vec::Vec;

/// How strings lie in the memory of a component (`string-encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum StringEncoding {
    /// `utf8`
    #[default]
    Utf8,
    /// `utf16`
    Utf16,
    /// `latin1+utf16`: either, told apart by the top bit of the length.
    Latin1OrUtf16,
}

/// The options of a `canon lift` or `canon lower` that this crate needs, and the limit of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How strings lie in memory.
    pub string_encoding: StringEncoding,
    /// The address type of the memory.
    pub ptr_type: PtrType,
    /// How many bytes of host memory one call may fill with values of the guest.
    pub copy_budget: usize,
}

/// How much of the copy budget of a call is spent before its guest is asked for more ([`Guest::keep`]), and by which pieces then.
pub const LIFTED_PIECE: usize = 64 << 10;

/// The copy budget of a call if the embedder sets none, in bytes.
pub const DEFAULT_COPY_BUDGET: usize = 128 << 20;

impl Default for Options {
    fn default() -> Options {
        Options {
            string_encoding: StringEncoding::Utf8,
            ptr_type: PtrType::I32,
            copy_budget: DEFAULT_COPY_BUDGET,
        }
    }
}

/// Checks a pointer that a guest gave for `byte_length` bytes of a memory of `memory_length`: alignment first, then bounds.
#[inline]
pub(crate) fn check_range(
    ptr: usize,
    alignment: usize,
    byte_length: usize,
    memory_length: usize,
    content: Content,
) -> Result<()> {
    check_region(
        ptr,
        alignment,
        byte_length,
        memory_length,
        Trap::UnalignedPointer,
        Trap::OutOfBounds(content),
    )
}

/// Checks what `realloc` returned for `new_size` bytes: alignment first, then bounds, as the specification does after each call
/// (also for a length of 0).
///
/// # Errors
/// The trap.
#[inline]
pub fn check_reallocated(
    ptr: usize,
    alignment: usize,
    new_size: usize,
    memory_length: usize,
    content: Content,
) -> Result<()> {
    check_region(
        ptr,
        alignment,
        new_size,
        memory_length,
        Trap::ReallocUnaligned,
        Trap::ReallocOutOfBounds(content),
    )
}

/// Alignment first, then bounds.
#[inline]
fn check_region(
    ptr: usize,
    alignment: usize,
    byte_length: usize,
    memory_length: usize,
    unaligned: Trap,
    outside: Trap,
) -> Result<()> {
    if ptr & (alignment - 1) != 0 {
        return Err(unaligned.into());
    }
    match ptr.checked_add(byte_length) {
        Some(end) if end <= memory_length => Ok(()),
        _ => Err(outside.into()),
    }
}

/// One side of a boundary: a component instance with its memory, its `realloc`, its handle table, and the call that borrows
/// are scoped to.
pub trait Guest {
    /// The linear memory; empty if the options name none. It may be longer after each `realloc`.
    fn memory(&self) -> &[u8];

    /// The linear memory, for writing.
    fn memory_mut(&mut self) -> &mut [u8];

    /// Calls the `realloc` of the options, with `may_leave` false while it runs. The result is not to be trusted and is
    /// checked by the caller. `Error::Guest` if it traps.
    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> Result<usize>;

    /// Takes so many bytes of the host's memory for values of this guest, until the call is over. False if they are not to be had.
    /// Asked for [`LIFTED_PIECE`]s; a guest that does not say otherwise has all that its copy budget allows.
    fn keep(&mut self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }

    /// What this side knows a resource by that Rust names by a type: the resource of a guest that
    /// [`GuestOwn`](crate::typed::GuestOwn) stands for. The host's own resources are what they are.
    fn resource_type(&self, rt: ResourceType) -> ResourceType {
        rt
    }

    /// Takes the owned handle `index` of type `rt` out of the handle table (`lift_own`).
    fn lift_own(&mut self, index: u32, rt: ResourceType) -> Result<Resource>;

    /// Lends the handle `index` of type `rt` for the rest of the call (`lift_borrow`).
    fn lift_borrow(&mut self, index: u32, rt: ResourceType) -> Result<Resource>;

    /// Puts an owned handle into the handle table and gives its index (`lower_own`). A resource that is not of type `rt` is
    /// a `TypeMismatch::Resource`.
    fn lower_own(&mut self, resource: Resource, rt: ResourceType) -> Result<u32>;

    /// Puts a borrowed handle into the handle table for the rest of the call and gives its index, or gives the
    /// representation itself if this instance defines the resource (`lower_borrow`). A resource that is not of type `rt`
    /// is a `TypeMismatch::Resource`.
    fn lower_borrow(&mut self, resource: Resource, rt: ResourceType) -> Result<u32>;
}

/// One lifting or lowering of a list of values (`LiftLowerContext`; `inst` and `borrow_scope` are the guest's).
pub struct LiftLowerContext<'g, G: Guest + ?Sized> {
    /// The component instance whose values are lifted or lowered.
    pub guest: &'g mut G,
    opts: Options,
    /// What may be spent without asking.
    budget: usize,
    /// What the guest is asked for before it is spent.
    more: usize,
}

impl<'g, G: Guest + ?Sized> LiftLowerContext<'g, G> {
    /// A context with the whole copy budget of `opts`. Use one for all parameters (or results) of a call.
    pub fn new(guest: &'g mut G, opts: Options) -> LiftLowerContext<'g, G> {
        let budget = opts.copy_budget.min(LIFTED_PIECE);
        LiftLowerContext { guest, opts, budget, more: opts.copy_budget - budget }
    }

    /// The options.
    #[inline]
    pub fn opts(&self) -> Options {
        self.opts
    }

    /// The address type of the memory.
    #[inline]
    pub fn ptr_type(&self) -> PtrType {
        self.opts.ptr_type
    }

    /// What is left of the copy budget, in bytes.
    pub fn budget(&self) -> usize {
        self.budget + self.more
    }

    /// Takes `bytes` from the copy budget before the host allocates them for a value of the guest.
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => self.charge_more(bytes),
        }
    }

    /// The same, for more than may be spent without asking.
    #[cold]
    fn charge_more(&mut self, bytes: usize) -> Result<()> {
        let lacks = bytes.saturating_sub(self.budget);
        if lacks > self.more {
            return Err(Trap::CopyBudget.into());
        }
        let piece = lacks.checked_next_multiple_of(LIFTED_PIECE).unwrap_or(lacks).min(self.more);
        if !self.guest.keep(piece) {
            return Err(Trap::HostMemory.into());
        }
        self.more -= piece;
        self.budget = self.budget + piece - bytes;
        Ok(())
    }

    /// An empty vector with room for `length` elements that the guest asked for, paid from the copy budget.
    pub fn vec<T>(&mut self, length: usize) -> Result<Vec<T>> {
        self.charge(length.saturating_mul(size_of::<T>()))?;
        let mut vec = Vec::new();
        vec.try_reserve_exact(length).map_err(|_| Trap::HostMemory)?;
        Ok(vec)
    }

    /// Calls `realloc` and checks what it returns: alignment first, then bounds, as the specification does after each call
    /// (also for a length of 0).
    pub fn reallocate(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
        content: Content,
    ) -> Result<usize> {
        let ptr = self.guest.realloc(old_ptr, old_size, alignment, new_size)?;
        check_reallocated(ptr, alignment, new_size, self.guest.memory().len(), content)?;
        Ok(ptr)
    }

    /// A fresh region of guest memory (`allocate`), checked.
    pub fn allocate(&mut self, alignment: usize, byte_length: usize, content: Content) -> Result<usize> {
        self.reallocate(0, 0, alignment, byte_length, content)
    }

    /// Checks a pointer that the guest gave for `byte_length` bytes: alignment first, then bounds.
    pub fn check_range(
        &self,
        ptr: usize,
        alignment: usize,
        byte_length: usize,
        content: Content,
    ) -> Result<()> {
        check_range(ptr, alignment, byte_length, self.guest.memory().len(), content)
    }

    /// `length` bytes of memory at `ptr`.
    #[inline]
    pub fn bytes(&self, ptr: usize, length: usize) -> Result<&[u8]> {
        ptr.checked_add(length)
            .and_then(|end| self.guest.memory().get(ptr..end))
            .ok_or(Error::Trap(Trap::OutOfBounds(Content::Values)))
    }

    /// `length` bytes of memory at `ptr`, for writing.
    #[inline]
    pub fn bytes_mut(&mut self, ptr: usize, length: usize) -> Result<&mut [u8]> {
        ptr.checked_add(length)
            .and_then(|end| self.guest.memory_mut().get_mut(ptr..end))
            .ok_or(Error::Trap(Trap::OutOfBounds(Content::Values)))
    }

    /// The `N` bytes at `ptr`.
    #[inline]
    pub fn array<const N: usize>(&self, ptr: usize) -> Result<[u8; N]> {
        match ptr.checked_add(N).and_then(|end| self.guest.memory().get(ptr..end)).map(<[u8; N]>::try_from) {
            Some(Ok(bytes)) => Ok(bytes),
            _ => Err(Error::Trap(Trap::OutOfBounds(Content::Values))),
        }
    }
}
