//! Linear memories (core specification 4.2.8): where the bytes lie, how they grow, and the embedder's handle.

#[cfg(shared_memory)]
pub(crate) mod racy;
#[cfg(shared_memory)]
mod shared;
mod storage;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::{Memory, StoreId};
use crate::host::Caller;
use crate::limits::StoreLimits;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::types::{Limits, MemoryType};
use crate::vm::VmMemory;
use alloc::{boxed::Box, format};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use storage::Storage;

#[cfg(shared_memory)]
pub(crate) use racy::Racy;
#[cfg(shared_memory)]
pub use shared::{SharedMemory, Woken};

/// Numbers that memory holds; without shared memories nothing more is asked of them.
#[cfg(not(shared_memory))]
pub(crate) trait Racy: Copy {}
#[cfg(not(shared_memory))]
impl<T: Copy> Racy for T {}

/// A memory of a store. Guest code points at its `vm` (V1).
pub(crate) struct MemoryData {
    pub(crate) ty: MemoryType,
    home: Home,
}

/// Where a memory lives.
enum Home {
    /// Here, for this store alone.
    Own { vm: VmMemory, storage: Storage },
    /// With others.
    #[cfg(shared_memory)]
    Shared(SharedMemory),
}

impl MemoryData {
    /// The memory of modules that have none: empty, cannot grow.
    pub(crate) fn none() -> MemoryData {
        let limits = Limits { min: 0, max: Some(0) };
        let ty = MemoryType { limits, memory64: false, shared: false, page_size_log2: 16 };
        let vm = VmMemory { base: NonNull::<u8>::dangling().as_ptr(), len: AtomicUsize::new(0) };
        MemoryData { ty, home: Home::Own { vm, storage: Storage::none() } }
    }

    /// A zeroed memory of its minimal size, in bytes `len`.
    fn new(engine: &Engine, ty: MemoryType, len: usize) -> Result<MemoryData> {
        if ty.shared {
            #[cfg(shared_memory)]
            return SharedMemory::new(engine, ty).map(|shared| MemoryData { ty, home: Home::Shared(shared) });
            #[cfg(not(shared_memory))]
            return Err(Error::exhausted("there are no shared memories on this system"));
        }
        let mut storage = Storage::new(engine, &ty, len, false)?;
        let vm = VmMemory { base: storage.base(), len: AtomicUsize::new(len) };
        Ok(MemoryData { ty, home: Home::Own { vm, storage } })
    }

    /// Where guest code looks at a memory. Stays where it is as long as the store lives (V1).
    pub(crate) fn vm(this: NonNull<MemoryData>) -> *mut VmMemory {
        // SAFETY: V1. No reference is kept: guest code keeps the pointer.
        match unsafe { &mut (*this.as_ptr()).home } {
            Home::Own { vm, .. } => &raw mut *vm,
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.vm(),
        }
    }

    /// The first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        match &self.home {
            Home::Own { vm, .. } => vm.base,
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.base(),
        }
    }

    /// Size in bytes now.
    pub(crate) fn len(&self) -> usize {
        match &self.home {
            Home::Own { vm, .. } => vm.len.load(Ordering::Relaxed),
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.len(),
        }
    }

    /// Size in pages now.
    pub(crate) fn pages(&self) -> u64 {
        (self.len() as u64) >> self.ty.page_size_log2
    }

    /// May native code fault at this address?
    pub(crate) fn guards(&self, address: u64) -> bool {
        let bytes = match &self.home {
            Home::Own { storage, .. } => storage.guarded_bytes(),
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.guarded_bytes(),
        };
        let base = self.base() as u64;
        (base..base.saturating_add(bytes)).contains(&address)
    }

    /// Has it no guards, although native code that relies on them takes a memory of its type to have some?
    pub(crate) fn lacks_guard(&self) -> bool {
        let bytes = match &self.home {
            Home::Own { storage, .. } => storage.guarded_bytes(),
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.guarded_bytes(),
        };
        self.ty.could_have_guard() && bytes == 0
    }

    /// The memory behind, if others may use it, too.
    #[cfg(shared_memory)]
    pub(crate) fn shared(&self) -> Option<&SharedMemory> {
        match &self.home {
            Home::Own { .. } => None,
            Home::Shared(shared) => Some(shared),
        }
    }

    fn is_shared(&self) -> bool {
        self.ty.shared
    }

    /// Grows by `delta` pages and at most `budget` bytes: the old size in pages, and the bytes that came. `None` when the type, the
    /// budget or the system refuses; nothing has changed then.
    fn grow(&mut self, delta: u64, budget: u64) -> Option<(u64, u64)> {
        let (old, old_len) = (self.pages(), self.len());
        match &mut self.home {
            #[cfg(shared_memory)]
            Home::Shared(shared) => shared.grow_within(delta, budget),
            Home::Own { vm, storage } => {
                let new = old.checked_add(delta).filter(|&new| new <= self.ty.most_pages())?;
                let len = usize::try_from(new.checked_mul(self.ty.page_size())?).ok()?;
                let more = (len - old_len) as u64;
                if more > budget {
                    return None;
                }
                if more > 0 {
                    storage.grow(old_len, len, self.ty.most_bytes())?;
                    vm.base = storage.base();
                    vm.len.store(len, Ordering::Relaxed);
                }
                Some((old, more))
            }
        }
    }

    /// Instances of the same module will have something here from the start: data, behind it the heap, before it most often the stack that
    /// compilers keep in memory.
    pub(crate) fn keep(&mut self, data_start: usize, data_end: usize) {
        const BEFORE: usize = 16 << 10;
        const BEHIND: usize = 16 << 10;
        let len = self.len();
        match &mut self.home {
            Home::Own { storage, .. } => {
                storage.keep(data_start.saturating_sub(BEFORE)..data_end.saturating_add(BEHIND).min(len));
            }
            #[cfg(shared_memory)]
            Home::Shared(_) => {}
        }
    }

    /// Its bytes; `None` when others may touch them meanwhile.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        // SAFETY: V2.
        (!self.is_shared()).then(|| unsafe { core::slice::from_raw_parts(self.base(), self.len()) })
    }

    /// Its bytes, to change; `None` when others may touch them meanwhile.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: V2; the memory is borrowed mutably.
        (!self.is_shared()).then(|| unsafe { core::slice::from_raw_parts_mut(self.base(), self.len()) })
    }

    /// Fills a part that was checked.
    pub(crate) fn fill(&mut self, part: Range<usize>, value: u8) {
        if let Some(bytes) = self.bytes_mut() {
            return bytes[part].fill(value);
        }
        #[cfg(shared_memory)]
        // SAFETY: V2; the part was checked, and a memory does not shrink.
        unsafe {
            racy::fill(self.base().wrapping_add(part.start), value, part.len());
        }
    }

    /// Writes bytes to where there is room, as was checked.
    pub(crate) fn write(&mut self, at: usize, from: &[u8]) {
        if let Some(bytes) = self.bytes_mut() {
            return bytes[at..at + from.len()].copy_from_slice(from);
        }
        #[cfg(shared_memory)]
        // SAFETY: V2; the range was checked, and a memory does not shrink.
        unsafe {
            racy::write(self.base().wrapping_add(at), from);
        }
    }

    /// Copies parts that were checked, of memories that may be the same one.
    ///
    /// # Safety
    /// V1 for both; nobody else borrows them.
    pub(crate) unsafe fn copy(
        from: NonNull<MemoryData>,
        part: Range<usize>,
        to: NonNull<MemoryData>,
        at: usize,
    ) {
        // SAFETY: V1, V2; the parts were checked, and memories do not shrink. `copy` allows them to overlap.
        unsafe {
            let (source, target) = (from.as_ref(), to.as_ref());
            let (source_at, target_at) =
                (source.base().wrapping_add(part.start), target.base().wrapping_add(at));
            #[cfg(shared_memory)]
            if source.is_shared() || target.is_shared() {
                return racy::copy(source_at, target_at, part.len());
            }
            core::ptr::copy(source_at, target_at, part.len());
        }
    }
}

/// Where `bytes` bytes at `address + offset` begin in a memory of `len` bytes.
///
/// # Errors
/// `UnalignedAtomic` if that is no multiple of `alignment`, else `MemoryOutOfBounds` if they do not lie inside.
pub(crate) fn effective(
    len: usize,
    address: u64,
    offset: u64,
    bytes: u64,
    alignment: u64,
) -> Result<usize, Trap> {
    if address.wrapping_add(offset) & (alignment - 1) != 0 {
        return Err(Trap::UnalignedAtomic);
    }
    let start = address.checked_add(offset);
    let start = start.filter(|start| start.checked_add(bytes).is_some_and(|end| end <= len as u64));
    start.map(|start| start as usize).ok_or(Trap::MemoryOutOfBounds)
}

impl StoreInner {
    /// A new memory, within the limits.
    pub(crate) fn add_memory(&mut self, ty: MemoryType) -> Result<u32> {
        let bytes = ty.limits.min.checked_mul(ty.page_size()).filter(|_| ty.limits.min <= ty.max_pages());
        let bytes = bytes.ok_or_else(|| Error::invalid("memory size exceeds what its addresses reach"))?;
        let room = self.memory_room(bytes);
        let total = self.memory_bytes.checked_add(bytes).filter(|_| bytes <= room);
        let Some(total) = total else {
            let StoreLimits { memory_bytes, total_bytes, .. } = *self.limits();
            return Err(Error::exhausted(if bytes > memory_bytes.saturating_sub(self.memory_bytes) {
                format!(
                    "a memory of {bytes} bytes goes past the store's limit of {memory_bytes} bytes for memories ({} are \
                     in use)",
                    self.memory_bytes
                )
            } else {
                self.past_total(format_args!("a memory of {bytes} bytes"), total_bytes)
            }));
        };
        let len = usize::try_from(bytes)
            .map_err(|_| Error::exhausted("memory is larger than this machine's addresses"))?;
        let memory = MemoryData::new(self.engine(), ty, len)?;
        self.memory_bytes = total;
        self.memories.push(NonNull::from(Box::leak(Box::new(memory))));
        Ok(self.memories.len() as u32 - 1)
    }

    /// Bytes by which memories may grow, if `wanted` can be had.
    fn memory_room(&mut self, wanted: u64) -> u64 {
        let own = self.limits().memory_bytes.saturating_sub(self.memory_bytes);
        own.min(self.bytes_left_for(wanted))
    }

    /// `memory.grow`: the old size in pages, or `None` when a limit or the system refuses.
    pub(crate) fn grow_memory(&mut self, memory: NonNull<MemoryData>, delta: u64) -> Option<u64> {
        // SAFETY: V1, V5.
        let memory = unsafe { &mut *memory.as_ptr() };
        let budget = self.memory_room(delta.saturating_mul(memory.ty.page_size()));
        let (old, more) = memory.grow(delta, budget)?;
        self.memory_bytes += more;
        Some(old)
    }

    /// The number of a shared memory in this store. What it holds counts where it was made and where it grew.
    #[cfg(shared_memory)]
    pub(crate) fn adopt_memory(&mut self, shared: &SharedMemory) -> u32 {
        // SAFETY: V1.
        let is =
            |memory: &NonNull<MemoryData>| unsafe { memory.as_ref() }.shared().is_some_and(|s| s.is(shared));
        if let Some(known) = self.memories.iter().position(is) {
            return known as u32;
        }
        let memory = MemoryData { ty: shared.declared(), home: Home::Shared(shared.clone()) };
        self.memories.push(NonNull::from(Box::leak(Box::new(memory))));
        self.memories.len() as u32 - 1
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

/// Two memories of a store between which values go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TwoMemories {
    from: Option<NonNull<MemoryData>>,
    to: Option<NonNull<MemoryData>>,
    store: StoreId,
}

// SAFETY: used only with the store that owns the memories (V1), which is compared; one thread at a time uses that (V5).
unsafe impl Send for TwoMemories {}
// SAFETY: as above; nothing is reached through a shared `TwoMemories` without the store.
unsafe impl Sync for TwoMemories {}

impl TwoMemories {
    /// One to read and one to write.
    ///
    /// # Errors
    /// `Usage` for memories of another store, and for one and the same memory twice.
    pub(crate) fn new(store: &StoreInner, from: Option<Memory>, to: Option<Memory>) -> Result<TwoMemories> {
        let find = |memory: Option<Memory>| memory.map(|memory| store.memory_ptr(memory)).transpose();
        let (from, to) = (find(from)?, find(to)?);
        if from.is_some() && from == to {
            return Err(Error::usage("one memory is no two"));
        }
        Ok(TwoMemories { from, to, store: store.id() })
    }

    /// Where native code finds them; `None` where there is none, and where other threads may touch the bytes.
    pub(crate) fn vms(&self) -> (Option<*const VmMemory>, Option<*const VmMemory>) {
        // SAFETY: V1.
        let vm = |memory: NonNull<MemoryData>| unsafe {
            (!memory.as_ref().is_shared()).then(|| MemoryData::vm(memory).cast_const())
        };
        (self.from.and_then(vm), self.to.and_then(vm))
    }

    /// Their bytes. Empty where there is no memory, and where other threads may touch the bytes.
    pub(crate) fn bytes<'s>(&self, store: &'s mut StoreInner) -> (&'s [u8], &'s mut [u8]) {
        if store.id() != self.store {
            return (&[], &mut []);
        }
        // SAFETY: V1; they are different memories of this store, which is borrowed mutably for as long as their bytes are.
        unsafe {
            (
                self.from.and_then(|memory| (*memory.as_ptr()).bytes()).unwrap_or(&[]),
                self.to.and_then(|memory| (*memory.as_ptr()).bytes_mut()).unwrap_or(&mut []),
            )
        }
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

    /// The shared memory behind, if it is one.
    #[cfg(shared_memory)]
    pub fn shared(self, store: impl AsStore) -> Result<Option<SharedMemory>> {
        // SAFETY: V1.
        Ok(unsafe { store.as_store().memory_ptr(self)?.as_ref() }.shared().cloned())
    }

    /// Its bytes.
    ///
    /// # Errors
    /// `Usage` for a shared memory, whose bytes other threads may change meanwhile.
    pub fn data(self, store: &(impl AsStore + ?Sized)) -> Result<&[u8]> {
        // SAFETY: V1; the store is borrowed for as long as the bytes are.
        let bytes = unsafe { &*store.as_store().memory_ptr(self)?.as_ptr() }.bytes();
        bytes.ok_or_else(shared_bytes)
    }

    /// Its bytes, to change.
    ///
    /// # Errors
    /// As [`Memory::data`].
    pub fn data_mut(self, store: &mut (impl AsStoreMut + ?Sized)) -> Result<&mut [u8]> {
        // SAFETY: V1; the store is borrowed mutably for as long as the bytes are.
        let bytes = unsafe { &mut *store.as_store_mut().memory_ptr(self)?.as_ptr() }.bytes_mut();
        bytes.ok_or_else(shared_bytes)
    }

    /// Its bytes and the embedder's data at once, for host functions that move bytes between the two.
    ///
    /// # Errors
    /// As [`Memory::data`].
    pub fn bytes_and_data_mut<'a, T: 'static>(
        self,
        caller: &'a mut Caller<'_, T>,
    ) -> Result<(&'a mut [u8], &'a mut T)> {
        // SAFETY: V1; the store is borrowed mutably for as long as the bytes are, and what is lent of it besides, the
        // embedder's data, is a box of its own that no memory is part of.
        let bytes = unsafe { &mut *caller.as_store_mut().memory_ptr(self)?.as_ptr() }.bytes_mut();
        Ok((bytes.ok_or_else(shared_bytes)?, caller.data_mut()))
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

fn shared_bytes() -> Error {
    Error::usage(
        "other threads may touch a shared memory's bytes: use Memory::shared, SharedMemory::read and write",
    )
}
