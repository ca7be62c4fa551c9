//! Marking: from roots through all that they reach. Iterative, and without memory of its own: an object that waits to be scanned
//! is linked into a list by its own header.

use super::block::Block;
use super::object::{FIELDS, GcHeader, Kind};
use super::space::{Gray, Space};
use crate::deadline::PIECE_ELEMS;
use core::ptr::{NonNull, with_exposed_provenance};

/// A collection under way.
pub(crate) struct Marker<'a> {
    space: &'a mut Space,
    /// First of the objects that wait, by name.
    gray: u32,
}

/// What a collection that was given up has left in the heap: marks, and objects that wait, the first by name. Nobody minds it but the
/// next collection.
#[derive(Clone, Copy, Default)]
pub(super) struct Leftover {
    gray: u32,
    marks: bool,
}

impl Leftover {
    /// Both, of which one at most has objects that wait: nothing is marked before all is tidy.
    pub(super) fn and(self, other: Leftover) -> Leftover {
        Leftover { gray: self.gray.max(other.gray), marks: self.marks || other.marks }
    }
}

impl<'a> Marker<'a> {
    pub(super) fn new(space: &'a mut Space) -> Marker<'a> {
        Marker { space, gray: 0 }
    }

    /// Gives up.
    pub(super) fn abandon(self) -> Leftover {
        Leftover { gray: self.gray, marks: true }
    }

    /// Takes the traces of a collection that was given up out of the heap.
    ///
    /// # Errors
    /// What `pause` says; the rest is left over then.
    pub(super) fn tidy<E>(
        &mut self,
        leftover: &mut Leftover,
        mut pause: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = PIECE_ELEMS;
        while leftover.gray != 0 {
            if left == 0 {
                pause()?;
                left = PIECE_ELEMS;
            }
            left -= 1;
            let mut object = self.named(leftover.gray);
            // SAFETY: G1: it was alive when it was named, and no sweep has been since.
            leftover.gray = core::mem::take(&mut unsafe { object.as_mut() }.bits);
        }
        if core::mem::take(&mut leftover.marks) {
            self.space.clear_marks();
        }
        Ok(())
    }

    /// The object of a name.
    fn named(&self, name: u32) -> NonNull<GcHeader> {
        let (number, offset) = Gray::parts(name);
        let Some(block) = self.space.numbered(number) else {
            unreachable!("crash: an object waits in no block")
        };
        // SAFETY: G2: the name was made from a cell of this block.
        unsafe { block.as_ref().base.add(offset) }.cast()
    }

    /// Marks what a word points into, if it points into an object.
    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        let Ok(address) = usize::try_from(word) else { return };
        if let Some((block, cell)) = self.space.find(address) {
            self.mark(block, cell);
        }
    }

    #[inline]
    fn mark(&mut self, mut block: NonNull<Block>, cell: u32) {
        // SAFETY: G2; no other borrow of the block is alive.
        let block = unsafe { block.as_mut() };
        if !block.mark(cell) {
            return;
        }
        let mut object = block.at(cell).cast::<GcHeader>();
        // SAFETY: G1.
        unsafe {
            let shape = &*object.as_ref().shape;
            let leaf = shape.ref_count == 0 && shape.element_ref == 0 && shape.kind != Kind::Continuation;
            if !leaf {
                object.as_mut().bits = self.gray;
                self.gray = Gray::name(block, cell);
            }
        }
    }

    /// Marks what the words from `low` up to `high` point into, every aligned one.
    ///
    /// # Safety
    /// The words may be read.
    pub(crate) unsafe fn words(&mut self, low: *const u8, high: *const u8) {
        const STEP: usize = size_of::<usize>();
        let mut at = low.expose_provenance().next_multiple_of(STEP);
        while at + STEP <= high.addr() {
            // SAFETY: the caller's promise. Volatile: the memory may be somebody's frame.
            let word = unsafe { with_exposed_provenance::<usize>(at).read_volatile() };
            self.word(word as u64);
            at += STEP;
        }
    }

    /// Scans all that waits, and what that makes wait.
    ///
    /// # Errors
    /// What `pause` says, which is asked now and then.
    ///
    /// # Safety
    /// G1, G3.
    pub(super) unsafe fn drain<E>(
        &mut self,
        mut continuation: impl FnMut(&mut Marker<'a>, NonNull<GcHeader>),
        mut pause: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = PIECE_ELEMS;
        while self.gray != 0 {
            if left == 0 {
                pause()?;
                left = PIECE_ELEMS;
            }
            left -= 1;
            let mut object = self.named(self.gray);
            // SAFETY: G1.
            unsafe {
                self.gray = core::mem::take(&mut object.as_mut().bits);
                if (*object.as_ref().shape).kind == Kind::Continuation {
                    continuation(self, object);
                }
                self.scan(object, &mut pause)?;
            }
        }
        Ok(())
    }

    /// Marks what an object refers to.
    ///
    /// # Safety
    /// G1, G3.
    unsafe fn scan<E>(
        &mut self,
        object: NonNull<GcHeader>,
        pause: &mut impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        // SAFETY: G1: the shape tells what lies in the object.
        unsafe {
            let header = object.as_ref();
            let shape = &*header.shape;
            let start = object.cast::<u8>();
            for &offset in shape.ref_offsets() {
                let word = start.add(offset as usize).cast::<u64>().read();
                self.reference(word);
            }
            if shape.element_ref != 0 {
                let elements = start.add(FIELDS as usize).cast::<u64>();
                for i in 0..header.len as usize {
                    if i % PIECE_ELEMS == PIECE_ELEMS - 1 {
                        pause()?;
                    }
                    self.reference(elements.add(i).read());
                }
            }
        }
        Ok(())
    }

    /// Marks what a reference refers to. Null, numbers and functions are no objects.
    #[inline]
    pub(crate) fn reference(&mut self, reference: u64) {
        if super::object::is_object(reference) {
            self.word(reference);
        }
    }

    /// Was the object reached? To be asked when marking is over.
    #[cfg(any(fibers, test))]
    pub(crate) fn is_marked(&self, object: NonNull<GcHeader>) -> bool {
        let found = self.space.find(object.as_ptr().addr());
        // SAFETY: G2.
        found.is_some_and(|(block, cell)| unsafe { block.as_ref() }.is_marked(cell))
    }
}
