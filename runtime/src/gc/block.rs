//! A block: equal cells in a row, and which of them are in use. A large object is a block of one cell.
//!
//! A cell is taken in address order, so "in use" is: before `next`, or alive at the last collection. Invariants of this folder:
//!
//! * G1. A cell in use begins with a [`GcHeader`] whose `shape` is live; a cell that is not is never looked into.
//! * G2. `Block`s and the memory they describe belong to the heap that made them and stay where they are until it frees them.
//! * G3. While a collection runs nobody allocates, and no field of an object changes.

use core::ptr::NonNull;

/// Bytes of a block of cells, and its alignment.
pub(super) const BLOCK_BYTES: usize = 1 << BLOCK_SHIFT;
/// Its binary logarithm: small blocks for boards.
pub(super) const BLOCK_SHIFT: u32 = if cfg!(feature = "std") { 16 } else { 12 };
/// What cells are a multiple of.
pub(super) const GRANULE: usize = 16;
/// Largest cell of a block; what is larger gets a block of its own.
pub(super) const LARGEST_CELL: usize = BLOCK_BYTES / 8;
/// Sizes of cells: every granule up to eight, then four for each doubling.
pub(super) const CLASSES: usize = class_of(LARGEST_CELL) + 1;

const WORDS: usize = BLOCK_BYTES / GRANULE / 64;

/// The class of the smallest cell with so many bytes, which are at least 1.
pub(super) const fn class_of(bytes: usize) -> usize {
    let granules = bytes.div_ceil(GRANULE);
    if granules <= 8 {
        return granules - 1;
    }
    let log = (granules - 1).ilog2() as usize;
    8 + (log - 3) * 4 + ((granules - 1) >> (log - 2) & 3)
}

/// Bytes of a class's cells.
pub(super) const fn cell_bytes(class: usize) -> usize {
    if class < 8 {
        return (class + 1) * GRANULE;
    }
    let (log, quarter) = ((class - 8) / 4 + 3, (class - 8) % 4);
    ((4 + quarter + 1) << (log - 2)) * GRANULE
}

/// What the heap knows of a block.
pub(super) struct Block {
    /// First byte of the first cell.
    pub(super) base: NonNull<u8>,
    /// Bytes of a cell.
    pub(super) cell: usize,
    /// How many cells there are; 0 for a block that is not in use.
    pub(super) cells: u32,
    /// 2^32 / `cell`, rounded up: dividing by multiplying.
    reciprocal: u64,
    /// The block's number in its heap.
    pub(super) number: u32,
    /// Was it in use since the system gave its memory?
    pub(super) used: bool,
    /// First cell that was not looked at since the last collection.
    next: u32,
    /// Another block, in whatever list this one is.
    pub(super) link: Option<NonNull<Block>>,
    /// Cells that were alive at the last collection.
    alive: [u64; WORDS],
    marks: [u64; WORDS],
}

impl Block {
    /// A block that is not in use.
    pub(super) fn new(base: NonNull<u8>, number: u32) -> Block {
        Block {
            base,
            cell: 0,
            cells: 0,
            reciprocal: 0,
            number,
            used: false,
            next: 0,
            link: None,
            alive: [0; WORDS],
            marks: [0; WORDS],
        }
    }

    /// Takes it into use for cells of a class, all free.
    pub(super) fn assign(&mut self, class: usize) {
        self.cell = cell_bytes(class);
        self.cells = (BLOCK_BYTES / self.cell) as u32;
        self.reciprocal = (1u64 << 32).div_ceil(self.cell as u64);
        self.clear();
    }

    /// Makes it the block of one large object.
    pub(super) fn assign_large(&mut self, bytes: usize) {
        (self.cell, self.cells, self.reciprocal) = (bytes, 1, 0);
        self.clear();
        self.next = 1;
    }

    fn clear(&mut self) {
        (self.next, self.link) = (0, None);
        self.alive = [0; WORDS];
        self.marks = [0; WORDS];
    }

    /// A free cell, no longer free.
    #[inline]
    pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
        while self.next < self.cells {
            let word = self.next / 64;
            let free = !self.alive[word as usize] & (u64::MAX << (self.next % 64));
            if free == 0 {
                self.next = self.cells.min((word + 1) * 64);
                continue;
            }
            let cell = word * 64 + free.trailing_zeros();
            if cell >= self.cells {
                self.next = self.cells;
                break;
            }
            self.next = cell + 1;
            return Some(self.at(cell));
        }
        None
    }

    /// The cell in use that holds an address of this block.
    #[inline]
    pub(super) fn cell_at(&self, address: usize) -> Option<u32> {
        let offset = address.wrapping_sub(self.base.as_ptr().addr());
        // Exact: offsets are below 2^16, cells at least 2^4 and at most 2^13 bytes. A large block has 0 here: its only cell.
        let cell = ((offset as u64).wrapping_mul(self.reciprocal) >> 32) as u32;
        (cell < self.cells && self.in_use(cell)).then_some(cell)
    }

    fn in_use(&self, cell: u32) -> bool {
        cell < self.next || self.alive[(cell / 64) as usize] >> (cell % 64) & 1 != 0
    }

    /// First byte of a cell.
    pub(super) fn at(&self, cell: u32) -> NonNull<u8> {
        // SAFETY: G2: the block has that many cells.
        unsafe { self.base.add(cell as usize * self.cell) }
    }

    /// Marks a cell; false when it was marked already.
    #[inline]
    pub(super) fn mark(&mut self, cell: u32) -> bool {
        let (word, bit) = (&mut self.marks[(cell / 64) as usize], 1u64 << (cell % 64));
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    /// How many cells were marked in this collection. Counted from the marks, not in [`Block::mark`]: once that is inlined, rustc 1.95 moves
    /// its comparison into the branch on its result and forgets that a counter reads the result as well (RATIONALE.md).
    pub(super) fn marked(&self) -> u32 {
        self.marks.iter().map(|word| word.count_ones()).sum()
    }

    /// Was the cell marked in this collection?
    pub(super) fn is_marked(&self, cell: u32) -> bool {
        self.marks[(cell / 64) as usize] >> (cell % 64) & 1 != 0
    }

    /// Overwrites what was in use and is not marked, so that whoever still uses it fails soon.
    pub(super) fn poison(&mut self) {
        for cell in 0..self.cells {
            if self.in_use(cell) && !self.is_marked(cell) {
                // SAFETY: G2; nobody may use the cell any more.
                unsafe { self.at(cell).write_bytes(super::POISON, self.cell) };
            }
        }
    }

    /// The collection is over: what is marked is alive, all else is free.
    pub(super) fn sweep(&mut self) {
        self.alive = self.marks;
        self.marks = [0; WORDS];
        (self.next, self.link) = (0, None);
    }

    /// The collection was given up.
    pub(super) fn clear_marks(&mut self) {
        self.marks = [0; WORDS];
    }

    /// The same for a large object that stays.
    pub(super) fn sweep_large(&mut self) {
        self.marks[0] = 0;
    }

    /// What lies in the cells in use.
    #[cfg(test)]
    pub(super) fn used_cells(&self) -> impl Iterator<Item = NonNull<super::object::GcHeader>> + '_ {
        (0..self.cells).filter(|&cell| self.in_use(cell)).map(|cell| self.at(cell).cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for bytes in 1..=LARGEST_CELL {
            let class = class_of(bytes);
            assert!(cell_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || cell_bytes(class - 1) < bytes, "{bytes}");
        }
        assert_eq!(cell_bytes(CLASSES - 1), LARGEST_CELL);
    }

    #[test]
    fn every_address_leads_to_the_cell_that_holds_it() {
        for class in 0..CLASSES {
            let mut memory = alloc::vec![0u8; BLOCK_BYTES];
            let base = NonNull::from(&mut memory[0]);
            let mut block = Block::new(base, 0);
            block.assign(class);
            while block.take().is_some() {}
            for offset in 0..BLOCK_BYTES {
                let cell = offset / cell_bytes(class);
                let expected = (cell < block.cells as usize).then_some(cell as u32);
                assert_eq!(block.cell_at(base.as_ptr().addr() + offset), expected, "{class} {offset}");
            }
        }
    }

    #[test]
    fn cells_that_were_alive_are_not_taken_again() {
        let mut memory = alloc::vec![0u8; BLOCK_BYTES];
        let base = NonNull::from(&mut memory[0]);
        let mut block = Block::new(base, 0);
        block.assign(0);
        let mut cells = alloc::vec::Vec::new();
        while let Some(cell) = block.take() {
            cells.push(cell);
        }
        assert_eq!(cells.len(), BLOCK_BYTES / GRANULE);
        for cell in (0..block.cells).step_by(3) {
            assert!(block.mark(cell));
            assert!(!block.mark(cell));
        }
        block.sweep();
        let mut again = alloc::vec::Vec::new();
        while let Some(cell) = block.take() {
            again.push(cell);
        }
        let expected: alloc::vec::Vec<_> =
            cells.iter().enumerate().filter(|(i, _)| i % 3 != 0).map(|(_, &cell)| cell).collect();
        assert_eq!(again, expected);
    }
}
