//! Linear memories (core specification 4.2.8): where the bytes lie, how they grow, and the embedder's handle.

mod storage;

use crate::error::{Error, Result};
use crate::handle::Memory;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::types::{Limits, MemoryType};
use crate::vm::VmMemory;
use alloc::{boxed::Box, format};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use storage::Storage;

/// A memory of a store. Guest code points at its head (V1).
pub(crate) struct MemoryData {
    pub(crate) ty: MemoryType,
    vm: VmMemory,
    storage: Storage,
}

impl MemoryData {
    /// The memory of modules that have none: empty, cannot grow.
    pub(crate) fn none() -> MemoryData {
        let limits = Limits { min: 0, max: Some(0) };
        let ty = MemoryType { limits, memory64: false, shared: false, page_size_log2: 16 };
        let vm = VmMemory { base: NonNull::<u8>::dangling().as_ptr(), len: AtomicUsize::new(0) };
        MemoryData { vm, ty, storage: Storage::none() }
    }

    /// A zeroed memory of its minimal size.
    fn new(ty: MemoryType, len: usize, guard_pages: bool) -> Result<MemoryData> {
        let mut storage = Storage::new(&ty, len, guard_pages, false)?;
        let vm = VmMemory { base: storage.base(), len: AtomicUsize::new(len) };
        Ok(MemoryData { vm, ty, storage })
    }

    /// Where guest code looks at a memory. Stays where it is as long as the store lives (V1).
    pub(crate) fn vm(this: NonNull<MemoryData>) -> *mut VmMemory {
        // SAFETY: V1. No reference is made: guest code keeps the pointer.
        unsafe { &raw mut (*this.as_ptr()).vm }
    }

    /// The first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.vm.base
    }

    /// Size in bytes now.
    pub(crate) fn len(&self) -> usize {
        self.vm.len.load(Ordering::Relaxed)
    }

    /// Size in pages now.
    pub(crate) fn pages(&self) -> u64 {
        (self.len() as u64) >> self.ty.page_size_log2
    }

    /// May native code fault at this address?
    pub(crate) fn guards(&self, address: u64) -> bool {
        let base = self.vm.base as u64;
        (base..base.saturating_add(self.storage.guarded_bytes())).contains(&address)
    }

    /// Grows to `len` bytes, zeroed. `None` when the system refuses; nothing has changed then.
    fn resize(&mut self, len: usize) -> Option<()> {
        self.storage.grow(self.len(), len, self.ty.most_bytes())?;
        self.vm.base = self.storage.base();
        self.vm.len.store(len, Ordering::Relaxed);
        Some(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: V2.
        unsafe { core::slice::from_raw_parts(self.vm.base, self.len()) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: V2; the memory is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.vm.base, self.len()) }
    }
}

impl StoreInner {
    /// A new memory, within the limits.
    pub(crate) fn add_memory(&mut self, ty: MemoryType) -> Result<u32> {
        let bytes = ty.limits.min.checked_mul(ty.page_size()).filter(|_| ty.limits.min <= ty.max_pages());
        let bytes = bytes.ok_or_else(|| Error::invalid("memory size exceeds what its addresses reach"))?;
        let total = self.memory_bytes.checked_add(bytes).filter(|&total| total <= self.limits().memory_bytes);
        let Some(total) = total else {
            return Err(Error::exhausted(format!(
                "a memory of {bytes} bytes goes past the store's limit of {} bytes ({} are in use)",
                self.limits().memory_bytes,
                self.memory_bytes
            )));
        };
        let len = usize::try_from(bytes)
            .map_err(|_| Error::exhausted("memory is larger than this machine's addresses"))?;
        let memory = MemoryData::new(ty, len, self.engine().config().guard_pages)?;
        self.memory_bytes = total;
        self.memories.push(NonNull::from(Box::leak(Box::new(memory))));
        Ok(self.memories.len() as u32 - 1)
    }

    /// `memory.grow`: the old size in pages, or `None` when a limit or the system refuses.
    pub(crate) fn grow_memory(&mut self, memory: NonNull<MemoryData>, delta: u64) -> Option<u64> {
        // SAFETY: V1, V5.
        let memory = unsafe { &mut *memory.as_ptr() };
        let old = memory.pages();
        let new = old.checked_add(delta).filter(|&new| new <= memory.ty.most_pages())?;
        let len = usize::try_from(new.checked_mul(memory.ty.page_size())?).ok()?;
        let more = (len - memory.len()) as u64;
        let total =
            self.memory_bytes.checked_add(more).filter(|&total| total <= self.limits().memory_bytes)?;
        if more > 0 {
            memory.resize(len)?;
            self.memory_bytes = total;
        }
        Some(old)
    }

    /// A part of a memory, checked.
    pub(crate) fn memory_range(
        memory: &MemoryData,
        at: u64,
        len: u64,
    ) -> Result<core::ops::Range<usize>, Trap> {
        let end =
            at.checked_add(len).filter(|&end| end <= memory.len() as u64).ok_or(Trap::MemoryOutOfBounds)?;
        Ok(at as usize..end as usize)
    }

    pub(crate) fn memory_ptr(&self, memory: Memory) -> Result<NonNull<MemoryData>> {
        self.check(memory.store)?;
        self.memories
            .get(memory.index as usize)
            .copied()
            .ok_or_else(|| Error::usage("no such memory in this store"))
    }
}

impl Memory {
    /// A new memory.
    ///
    /// # Errors
    /// `Exhausted` past the store's limits or the system's, `Invalid` for a size that its addresses do not reach.
    pub fn new(mut store: impl AsStoreMut, ty: MemoryType) -> Result<Memory> {
        let store = store.as_store_mut();
        Ok(Memory { store: store.id(), index: store.add_memory(ty)? })
    }

    /// Its type, with its current size as the minimum.
    pub fn ty(self, store: impl AsStore) -> Result<MemoryType> {
        // SAFETY: V1.
        let data = unsafe { store.as_store().memory_ptr(self)?.as_ref() };
        let mut ty = data.ty;
        ty.limits.min = data.pages();
        Ok(ty)
    }

    /// Its bytes.
    pub fn data(self, store: &(impl AsStore + ?Sized)) -> Result<&[u8]> {
        // SAFETY: V1; the store is borrowed for as long as the bytes are.
        Ok(unsafe { &*store.as_store().memory_ptr(self)?.as_ptr() }.bytes())
    }

    /// Its bytes, to change.
    pub fn data_mut(self, store: &mut (impl AsStoreMut + ?Sized)) -> Result<&mut [u8]> {
        // SAFETY: V1; the store is borrowed mutably for as long as the bytes are.
        Ok(unsafe { &mut *store.as_store_mut().memory_ptr(self)?.as_ptr() }.bytes_mut())
    }

    /// Size in pages.
    pub fn size(self, store: impl AsStore) -> Result<u64> {
        // SAFETY: V1.
        Ok(unsafe { store.as_store().memory_ptr(self)?.as_ref() }.pages())
    }

    /// Grows by `delta` pages; the old size in pages.
    ///
    /// # Errors
    /// `Exhausted` when a limit or the system refuses.
    pub fn grow(self, mut store: impl AsStoreMut, delta: u64) -> Result<u64> {
        let store = store.as_store_mut();
        let memory = store.memory_ptr(self)?;
        store
            .grow_memory(memory, delta)
            .ok_or_else(|| Error::exhausted(format!("memory cannot grow by {delta} pages")))
    }
}
