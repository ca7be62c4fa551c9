//! Where objects lie: blocks of equal cells cut from chunks, large objects apart, and the way from any address to its object.
//!
//! Blocks are found by a hash of their address, large objects in an ordered map: both in bounded time, whatever the guest does.

use super::block::{BLOCK_BYTES, BLOCK_SHIFT, Block, CLASSES, GRANULE, LARGEST_CELL, class_of};
use crate::engine::Engine;
use alloc::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Blocks of a chunk: what is asked of the system at once.
const CHUNK_BLOCKS: usize = if cfg!(feature = "std") { 16 } else { 1 };
const CHUNK_BYTES: usize = CHUNK_BLOCKS * BLOCK_BYTES;
/// Numbers of blocks and large objects: what a gray list's links can tell apart.
const MAX_NUMBERS: usize = (1 << (32 - Gray::GRANULE_BITS)) - 1;

/// No room: the limit or the system refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

/// What a heap may have at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Of [`Space::bytes`].
    pub(super) used: u64,
    /// Of [`Space::held`].
    pub(super) held: u64,
}

/// What a block or large object takes beside its cells.
const RECORD_BYTES: u64 = size_of::<Block>() as u64 + 64;
/// What a block takes of the host once it was in use.
const HELD_BYTES: u64 = BLOCK_BYTES as u64 + RECORD_BYTES;

struct Chunk {
    base: NonNull<u8>,
    blocks: [NonNull<Block>; CHUNK_BLOCKS],
}

#[derive(Clone, Copy, Default)]
struct Class {
    /// Cells are taken from here.
    current: Option<NonNull<Block>>,
    /// Blocks with free cells, by their links.
    partial: Option<NonNull<Block>>,
}

/// The memory of one heap.
pub(super) struct Space {
    /// Counts what is reserved, over all stores.
    engine: Engine,
    classes: [Class; CLASSES],
    chunks: Vec<Chunk>,
    /// Blocks that no class uses, by their links: those that some class has used before.
    free: Option<NonNull<Block>>,
    /// Those that nobody has used, so that the system has given nothing for them.
    fresh: Option<NonNull<Block>>,
    directory: Directory,
    large: BTreeMap<usize, NonNull<Block>>,
    /// Blocks and large objects by number.
    numbers: Vec<Option<NonNull<Block>>>,
    free_numbers: Vec<u32>,
    /// Bytes of blocks in use and of large objects: what counts against the heap's own limit.
    pub(super) bytes: u64,
    /// Bytes of blocks that were used since they came from the system, of large objects, and of the records of both.
    pub(super) held: u64,
    /// Objects, garbage included.
    pub(super) objects: u64,
}

impl Space {
    pub(super) fn new(engine: Engine) -> Space {
        Space {
            engine,
            classes: [Class::default(); CLASSES],
            chunks: Vec::new(),
            free: None,
            fresh: None,
            directory: Directory::default(),
            large: BTreeMap::new(),
            numbers: Vec::new(),
            free_numbers: Vec::new(),
            bytes: 0,
            held: 0,
            objects: 0,
        }
    }

    /// Memory for an object of `bytes` bytes, all zero, and the bytes it really takes: from the block that is at hand.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)> {
        if bytes > LARGEST_CELL {
            return None;
        }
        let mut block = self.classes[class_of(bytes)].current?;
        // SAFETY: G2; no other borrow of the block is alive.
        let block = unsafe { block.as_mut() };
        let cell = block.take()?;
        // SAFETY: the cell is at least so big and nobody's.
        unsafe { cell.write_bytes(0, bytes) };
        self.objects += 1;
        Some((cell, block.cell))
    }

    /// The same from wherever there is room.
    pub(super) fn allocate(&mut self, bytes: usize, room: Room) -> Result<(NonNull<u8>, usize), Full> {
        if bytes > LARGEST_CELL {
            return self.allocate_large(bytes, room);
        }
        let class = class_of(bytes);
        loop {
            if let Some(cell) = self.take(bytes) {
                return Ok(cell);
            }
            let next = match self.classes[class].partial {
                Some(block) => {
                    // SAFETY: G2.
                    self.classes[class].partial = unsafe { block.as_ref() }.link;
                    block
                }
                None => self.new_block(class, room)?,
            };
            self.classes[class].current = Some(next);
        }
    }

    fn new_block(&mut self, class: usize, room: Room) -> Result<NonNull<Block>, Full> {
        let bytes =
            self.bytes.checked_add(BLOCK_BYTES as u64).filter(|&bytes| bytes <= room.used).ok_or(Full)?;
        let mut block = match self.free {
            Some(block) => {
                // SAFETY: G2.
                self.free = unsafe { block.as_ref() }.link;
                block
            }
            None => {
                let held = self.held.checked_add(HELD_BYTES).filter(|&held| held <= room.held).ok_or(Full)?;
                if self.fresh.is_none() {
                    self.new_chunk()?;
                }
                let mut block = self.fresh.ok_or(Full)?;
                // SAFETY: G2; no other borrow of the block is alive.
                unsafe {
                    self.fresh = block.as_ref().link;
                    block.as_mut().used = true;
                }
                self.held = held;
                block
            }
        };
        // SAFETY: G2; no other borrow of the block is alive.
        unsafe { block.as_mut() }.assign(class);
        self.bytes = bytes;
        Ok(block)
    }

    fn new_chunk(&mut self) -> Result<(), Full> {
        self.chunks.try_reserve(1).map_err(|_| Full)?;
        self.reserve_numbers(CHUNK_BLOCKS)?;
        self.directory.reserve(CHUNK_BLOCKS)?;
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { alloc(chunk_layout()) }).ok_or(Full)?;
        base.as_ptr().expose_provenance();
        self.engine.count_gc_bytes(CHUNK_BYTES as isize);
        let blocks = core::array::from_fn(|i| {
            // SAFETY: inside the chunk.
            let block = self.number_block(unsafe { base.add(i * BLOCK_BYTES) });
            self.directory.insert(block);
            block
        });
        for mut block in blocks.into_iter().rev() {
            // SAFETY: G2: it was made just now.
            unsafe { block.as_mut() }.link = self.fresh;
            self.fresh = Some(block);
        }
        self.chunks.push(Chunk { base, blocks });
        Ok(())
    }

    fn allocate_large(&mut self, bytes: usize, room: Room) -> Result<(NonNull<u8>, usize), Full> {
        let bytes = bytes.checked_next_multiple_of(GRANULE).ok_or(Full)?;
        let total = self.bytes.checked_add(bytes as u64).filter(|&total| total <= room.used).ok_or(Full)?;
        let held = self.held.checked_add(bytes as u64 + RECORD_BYTES).filter(|&held| held <= room.held);
        let held = held.ok_or(Full)?;
        self.reserve_numbers(1)?;
        let layout = large_layout(bytes).ok_or(Full)?;
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Full)?;
        self.engine.count_gc_bytes(bytes as isize);
        let mut block = self.number_block(base);
        // SAFETY: G2: it was made just now.
        unsafe { block.as_mut() }.assign_large(bytes);
        self.large.insert(base.as_ptr().expose_provenance(), block);
        (self.bytes, self.held) = (total, held);
        self.objects += 1;
        Ok((base, bytes))
    }

    /// Room for further numbers.
    fn reserve_numbers(&mut self, count: usize) -> Result<(), Full> {
        if self.free_numbers.len() >= count {
            return Ok(());
        }
        if self.numbers.len() + count > MAX_NUMBERS {
            return Err(Full);
        }
        self.numbers.try_reserve(count).map_err(|_| Full)?;
        // So that giving numbers back needs no memory.
        let all = self.numbers.len() + count;
        self.free_numbers.try_reserve(all - self.free_numbers.len()).map_err(|_| Full)
    }

    /// A block record under a number of its own.
    fn number_block(&mut self, base: NonNull<u8>) -> NonNull<Block> {
        let number = self.free_numbers.pop().unwrap_or_else(|| {
            self.numbers.push(None);
            self.numbers.len() as u32 - 1
        });
        let block = NonNull::from(Box::leak(Box::new(Block::new(base, number))));
        self.numbers[number as usize] = Some(block);
        block
    }

    /// Forgets a block record.
    ///
    /// # Safety
    /// It was made by `number_block`, and no list has it any more.
    unsafe fn drop_block(&mut self, block: NonNull<Block>) {
        // SAFETY: the caller's promise.
        let block = unsafe { Box::from_raw(block.as_ptr()) };
        self.numbers[block.number as usize] = None;
        self.free_numbers.push(block.number);
    }

    /// The object in use that holds an address: its block and cell.
    #[inline]
    pub(super) fn find(&self, address: usize) -> Option<(NonNull<Block>, u32)> {
        let block = match self.directory.find(address >> BLOCK_SHIFT) {
            Some(block) => block,
            None => {
                let (&base, &block) = self.large.range(..=address).next_back()?;
                // SAFETY: G2.
                if address - base >= unsafe { block.as_ref() }.cell {
                    return None;
                }
                block
            }
        };
        // SAFETY: G2.
        Some((block, unsafe { block.as_ref() }.cell_at(address)?))
    }

    /// The block of a number that a gray link has.
    #[inline]
    pub(super) fn numbered(&self, number: u32) -> Option<NonNull<Block>> {
        self.numbers.get(number as usize).copied().flatten()
    }

    /// Nothing is marked any more.
    pub(super) fn clear_marks(&mut self) {
        for block in self.numbers.iter_mut().flatten() {
            // SAFETY: G2; no other borrow of the block is alive.
            unsafe { block.as_mut() }.clear_marks();
        }
    }

    /// Everything that is in use and not marked becomes free; the bytes of the objects that stay.
    pub(super) fn sweep(&mut self, poison: bool) -> u64 {
        self.classes = [Class::default(); CLASSES];
        (self.free, self.fresh) = (None, None);
        self.bytes = 0;
        self.objects = 0;
        let mut live = 0;
        let mut spare = false;
        for i in (0..self.chunks.len()).rev() {
            let mut in_use = false;
            for mut block in self.chunks[i].blocks {
                // SAFETY: G2; no other borrow of the block is alive.
                let block = unsafe { block.as_mut() };
                if block.cells != 0 && poison {
                    block.poison();
                }
                if block.marked() == 0 {
                    block.cells = 0;
                }
                in_use |= block.cells != 0;
            }
            // One empty chunk is kept, so that a heap at a boundary does not ask the system again and again.
            if in_use || !spare {
                spare |= !in_use;
                for block in self.chunks[i].blocks {
                    live += self.sweep_block(block);
                }
            } else {
                let chunk = self.chunks.swap_remove(i);
                // SAFETY: no object is left in it, and its blocks are in no list: those were emptied above.
                unsafe { self.free_chunk(&chunk) };
            }
        }
        let mut large = core::mem::take(&mut self.large);
        large.retain(|_, block| {
            // SAFETY: G2; no other borrow of the block is alive.
            let record = unsafe { block.as_mut() };
            if record.marked() == 0 {
                // SAFETY: the object is dead, and the map forgets it.
                unsafe { self.free_large(*block, poison) };
                return false;
            }
            record.sweep_large();
            self.bytes += record.cell as u64;
            self.objects += 1;
            live += record.cell as u64;
            true
        });
        self.large = large;
        live
    }

    /// Puts a block into the list where it belongs now; the bytes of its objects.
    fn sweep_block(&mut self, mut pointer: NonNull<Block>) -> u64 {
        // SAFETY: G2; no other borrow of the block is alive.
        let block = unsafe { pointer.as_mut() };
        if block.cells == 0 {
            let list = if block.used { &mut self.free } else { &mut self.fresh };
            block.link = *list;
            *list = Some(pointer);
            return 0;
        }
        let marked = block.marked();
        let (objects, full) = (u64::from(marked), marked == block.cells);
        block.sweep();
        self.bytes += BLOCK_BYTES as u64;
        self.objects += objects;
        if !full {
            let class = &mut self.classes[class_of(block.cell)];
            block.link = class.partial;
            class.partial = Some(pointer);
        }
        objects * block.cell as u64
    }

    /// # Safety
    /// The chunk is out of `chunks`, its blocks are in no list.
    unsafe fn free_chunk(&mut self, chunk: &Chunk) {
        for block in chunk.blocks {
            // SAFETY: G2.
            let record = unsafe { block.as_ref() };
            self.directory.remove(record);
            self.held -= if record.used { HELD_BYTES } else { 0 };
            // SAFETY: the caller's promise.
            unsafe { self.drop_block(block) };
        }
        // SAFETY: allocated in `new_chunk`.
        unsafe { dealloc(chunk.base.as_ptr(), chunk_layout()) };
        self.engine.count_gc_bytes(-(CHUNK_BYTES as isize));
    }

    /// # Safety
    /// The object is nobody's, and the map forgets it.
    unsafe fn free_large(&mut self, block: NonNull<Block>, poison: bool) {
        // SAFETY: G2.
        let (base, bytes) = unsafe { (block.as_ref().base, block.as_ref().cell) };
        if poison {
            // SAFETY: G2; nobody may use the object any more.
            unsafe { base.write_bytes(super::POISON, bytes) };
        }
        let Some(layout) = large_layout(bytes) else { unreachable!("crash: it was allocated with a layout") };
        // SAFETY: allocated in `allocate_large` with this layout; the caller's promise.
        unsafe {
            dealloc(base.as_ptr(), layout);
            self.drop_block(block);
        }
        self.engine.count_gc_bytes(-(bytes as isize));
        self.held -= bytes as u64 + RECORD_BYTES;
    }

    /// Every object, garbage included.
    #[cfg(test)]
    pub(super) fn each_object(&self, mut visit: impl FnMut(NonNull<super::object::GcHeader>)) {
        for block in self.numbers.iter().flatten() {
            // SAFETY: G2.
            unsafe { block.as_ref() }.used_cells().for_each(&mut visit);
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for (_, block) in core::mem::take(&mut self.large) {
            // SAFETY: the heap is gone, so nobody uses the object.
            unsafe { self.free_large(block, false) };
        }
        while let Some(chunk) = self.chunks.pop() {
            // SAFETY: as above; the lists are not used again.
            unsafe { self.free_chunk(&chunk) };
        }
    }
}

fn chunk_layout() -> Layout {
    match Layout::from_size_align(CHUNK_BYTES, BLOCK_BYTES) {
        Ok(layout) => layout,
        Err(_) => unreachable!("crash: a chunk has a layout"),
    }
}

fn large_layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, GRANULE).ok()
}

/// Names of objects in 32 bits, so that an object's own header can link it into the list of those to be scanned: 0 for none.
pub(super) struct Gray;

impl Gray {
    const GRANULE_BITS: u32 = BLOCK_SHIFT - GRANULE.ilog2();

    /// The name of a cell.
    #[inline]
    pub(super) fn name(block: &Block, cell: u32) -> u32 {
        let granule = (cell as usize * block.cell / GRANULE) as u32;
        (block.number << Gray::GRANULE_BITS | granule) + 1
    }

    /// The block's number, and the object's place in it in bytes.
    #[inline]
    pub(super) fn parts(name: u32) -> (u32, usize) {
        let name = name - 1;
        let granule = name & ((1 << Gray::GRANULE_BITS) - 1);
        (name >> Gray::GRANULE_BITS, granule as usize * GRANULE)
    }
}

/// Blocks by the number that their address divided by their size is: open addressing, at most half full.
#[derive(Default)]
struct Directory {
    slots: Vec<(usize, Option<NonNull<Block>>)>,
    used: usize,
}

impl Directory {
    fn key(block: NonNull<Block>) -> usize {
        // SAFETY: G2.
        unsafe { block.as_ref() }.base.as_ptr().addr() >> BLOCK_SHIFT
    }

    /// Where the search for a key begins. There are slots, a power of two of them.
    #[inline]
    fn home(&self, key: usize) -> usize {
        let mixed = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn find(&self, key: usize) -> Option<NonNull<Block>> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(key);
        loop {
            match self.slots[at] {
                (_, None) => return None,
                (k, block) if k == key => return block,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Room for more blocks.
    fn reserve(&mut self, more: usize) -> Result<(), Full> {
        let wanted = (2 * (self.used + more)).next_power_of_two().max(32);
        if wanted <= self.slots.len() {
            return Ok(());
        }
        let mut slots = Vec::new();
        slots.try_reserve_exact(wanted).map_err(|_| Full)?;
        slots.resize(wanted, (0, None));
        let old = core::mem::replace(&mut self.slots, slots);
        self.used = 0;
        old.into_iter().filter_map(|(_, block)| block).for_each(|block| self.insert(block));
        Ok(())
    }

    /// Adds a block; there is room for it.
    fn insert(&mut self, block: NonNull<Block>) {
        let key = Directory::key(block);
        let mut at = self.home(key);
        while self.slots[at].1.is_some() {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = (key, Some(block));
        self.used += 1;
    }

    /// Removes a block and closes the gap, so that searches need no tombstones.
    fn remove(&mut self, block: &Block) {
        let key = Directory::key(NonNull::from(block));
        let mask = self.slots.len() - 1;
        let mut gap = self.home(key);
        while self.slots[gap].0 != key || self.slots[gap].1.is_none() {
            gap = (gap + 1) & mask;
        }
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            if self.slots[at].1.is_none() {
                break;
            }
            // What lies between its home and the gap may move into it.
            let home = self.home(self.slots[at].0);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
        }
        self.slots[gap] = (0, None);
        self.used -= 1;
    }
}
