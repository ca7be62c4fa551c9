//! Running a plan.
//!
//! Every access to memory goes through a slice of exactly the bytes it concerns, taken anew after each `realloc`. Where the
//! program is in nested lists is a stack of frames as deep as the plan says, on the native stack while that is shallow.

use super::{At, Check, Elements, PIECE_BYTES, PIECE_ELEMENTS, Plan, Scalar, Sides, Step};
use crate::context::{check_range, check_reallocated};
use crate::error::{Content, Error, Result, Trap, TypeMismatch};
use crate::layout::PtrType;
use crate::load::{CANONICAL_FLOAT32_NAN, CANONICAL_FLOAT64_NAN, list_bytes};
use alloc::vec::Vec;

/// Frames that need no allocation: a list in a list of values that are spilled.
const SHALLOW: usize = 3;

/// A region of memory that is being moved, element by element.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// Where the current element begins.
    from: usize,
    to: usize,
    /// Elements to go, this one included.
    left: usize,
    /// Where the first went, and how many there are: what a list leaves in its own place at the end.
    begin: usize,
    length: usize,
}

/// One run.
pub(super) struct Run<'r, S: Sides + ?Sized> {
    pub(super) sides: &'r mut S,
    pub(super) plan: &'r Plan,
    from: &'r [u64],
    to: &'r mut [u64],
    frame: Frame,
}

fn slots(found: usize) -> Error {
    TypeMismatch::Count { what: "core values", expected: found + 1, found }.into()
}

fn out_of_bounds() -> Error {
    Trap::OutOfBounds(Content::Values).into()
}

impl Plan {
    /// Moves the values: out of the slots `from` of the source, into the slots `to` of the destination; what does not go flat, into a
    /// region that the destination's `realloc` gives, or at `out_param` if there is one (a pointer that the destination gave:
    /// for results).
    ///
    /// # Errors
    /// The traps of lifting and lowering; what `sides` answers with; `TypeMismatch` for too few slots.
    pub fn run<S: Sides + ?Sized>(
        &self,
        sides: &mut S,
        from: &[u64],
        to: &mut [u64],
        out_param: Option<usize>,
    ) -> Result<()> {
        let run = Run::new(sides, self, from, to);
        let depth = self.depth as usize;
        if depth == 0 {
            run.steps(&mut [], out_param)
        } else if depth <= SHALLOW {
            run.steps(&mut [Frame::default(); SHALLOW], out_param)
        } else {
            let mut frames = Vec::new();
            frames.try_reserve_exact(depth).map_err(|_| Trap::HostMemory)?;
            frames.resize(depth, Frame::default());
            run.steps(&mut frames, out_param)
        }
    }
}

impl<'r, S: Sides + ?Sized> Run<'r, S> {
    pub(super) fn new(sides: &'r mut S, plan: &'r Plan, from: &'r [u64], to: &'r mut [u64]) -> Run<'r, S> {
        Run { sides, plan, from, to, frame: Frame::default() }
    }
}

impl<S: Sides + ?Sized> Run<'_, S> {
    fn steps(mut self, frames: &mut [Frame], out_param: Option<usize>) -> Result<()> {
        let steps = &self.plan.steps[..];
        let mut next = 0;
        // How many frames are below the current one.
        let mut below = 0;
        macro_rules! enter {
            ($frame:expr) => {{
                // The plan's depth counts all of them.
                if let Some(place) = frames.get_mut(below) {
                    *place = self.frame;
                }
                below += 1;
                self.frame = $frame;
            }};
        }
        while let Some(step) = steps.get(next) {
            next += 1;
            match *step {
                Step::Scalar { kind, at } => {
                    let bits = kind.convert(self.read(at, kind.size())?)?;
                    self.write(at, kind.size(), bits)?;
                }
                Step::Bytes { from, to, len } => {
                    let (from, to) = (self.frame.from + from as usize, self.frame.to + to as usize);
                    self.copy(from, to, len as usize)?;
                }
                Step::String { at } => {
                    let (ptr, units) = self.read_range(at)?;
                    let (ptr, units) = self.string(ptr, units)?;
                    self.write_range(at, ptr as u64, units)?;
                }
                Step::Case { at, size, cases, first } => {
                    let discriminant = self.read(at, u32::from(size))? as u32;
                    check_case(discriminant, cases)?;
                    self.write(at, u32::from(size), u64::from(discriminant))?;
                    next = self.plan.targets[first as usize + discriminant as usize] as usize;
                }
                Step::Jump(to) => next = to as usize,
                Step::Zero { first, end } => {
                    let found = self.to.len();
                    let unused = self.to.get_mut(usize::from(first)..usize::from(end));
                    unused.ok_or_else(|| slots(found))?.fill(0);
                }
                Step::Whole { at, size, alignment, check } => self.whole(at, size, alignment, check)?,
                Step::List { at, elements, end } => {
                    let (from, length) = self.read_range(at)?;
                    let length = self.plan.from.ptr_type.address(length);
                    let bytes = list_bytes(length, elements.from_size as usize)?;
                    self.check_source(from, elements.from_alignment, bytes, Content::List)?;
                    let bytes = list_bytes(length, elements.to_size as usize)?;
                    self.sides.charge(bytes)?;
                    let alignment = usize::from(elements.to_alignment);
                    let to = self.reallocate(0, 0, alignment, bytes, Content::List)?;
                    if length == 0 {
                        self.write_range(at, to as u64, 0)?;
                        next = end as usize;
                    } else {
                        enter!(Frame { from, to, left: length, begin: to, length });
                    }
                }
                Step::Repeat { from, to, count, .. } => {
                    let (from, to) = (self.frame.from + from as usize, self.frame.to + to as usize);
                    enter!(Frame { from, to, left: count as usize, begin: 0, length: 0 });
                }
                Step::Next { begin } => {
                    let (elements, list) = match steps.get(begin as usize) {
                        Some(Step::List { elements, at, .. }) => (elements, Some(*at)),
                        Some(Step::Repeat { elements, .. }) => (elements, None),
                        _ => return Err(out_of_bounds()),
                    };
                    if self.frame.left > 1 {
                        self.frame.left -= 1;
                        if self.frame.left.is_multiple_of(PIECE_ELEMENTS) {
                            self.sides.pause()?;
                        }
                        self.frame.from += elements.from_size as usize;
                        self.frame.to += elements.to_size as usize;
                        next = begin as usize + 1;
                    } else {
                        let done = self.frame;
                        below -= 1;
                        self.frame = frames.get(below).copied().unwrap_or_default();
                        if let Some(at) = list {
                            self.write_range(at, done.begin as u64, done.length as u64)?;
                        }
                    }
                }
                Step::Spilled { elements } => {
                    let frame = self.spilled(elements, out_param)?;
                    enter!(frame);
                }
                Step::Own { at, resource } => {
                    let index = self.read(at, 4)? as u32;
                    let index = self.sides.transfer_own(index, self.plan.resources[resource as usize])?;
                    self.write(at, 4, u64::from(index))?;
                }
                Step::Borrow { at, resource } => {
                    let index = self.read(at, 4)? as u32;
                    let index = self.sides.transfer_borrow(index, self.plan.resources[resource as usize])?;
                    self.write(at, 4, u64::from(index))?;
                }
            }
        }
        Ok(())
    }

    /// The bits of a value of `size` bytes, zeros above what memory holds.
    #[inline]
    fn read(&mut self, at: At, size: u32) -> Result<u64> {
        match at {
            At::Slot(slot) => {
                let found = self.from.len();
                self.from.get(usize::from(slot)).copied().ok_or_else(|| slots(found))
            }
            At::Memory { from, .. } => {
                let (memory, _) = self.sides.memories();
                read(memory, self.frame.from + from as usize, size)
            }
        }
    }

    #[inline]
    fn write(&mut self, at: At, size: u32, bits: u64) -> Result<()> {
        match at {
            At::Slot(slot) => {
                let found = self.to.len();
                *self.to.get_mut(usize::from(slot)).ok_or_else(|| slots(found))? = bits;
                Ok(())
            }
            At::Memory { to, .. } => {
                let (_, memory) = self.sides.memories();
                let at = self.frame.to + to as usize;
                let size = size as usize;
                let place = memory.get_mut(at..at.saturating_add(size)).ok_or_else(out_of_bounds)?;
                place.copy_from_slice(&bits.to_le_bytes()[..size]);
                Ok(())
            }
        }
    }

    /// A pointer and a length of the source.
    fn read_range(&mut self, at: At) -> Result<(usize, u64)> {
        let ptr_type = self.plan.from.ptr_type;
        let size = ptr_type.size() as u32;
        let second = match at {
            At::Slot(slot) => At::Slot(slot + 1),
            At::Memory { from, to } => At::Memory { from: from + size, to },
        };
        let (ptr, length) = (self.read(at, size)?, self.read(second, size)?);
        let length = match ptr_type {
            PtrType::I32 => u64::from(length as u32),
            PtrType::I64 => length,
        };
        Ok((ptr_type.address(ptr), length))
    }

    /// A pointer and a length of the destination.
    fn write_range(&mut self, at: At, ptr: u64, length: u64) -> Result<()> {
        let size = self.plan.to.ptr_type.size() as u32;
        let second = match at {
            At::Slot(slot) => At::Slot(slot + 1),
            At::Memory { from, to } => At::Memory { from, to: to + size },
        };
        self.write(at, size, ptr)?;
        self.write(second, size, length)
    }

    fn copy(&mut self, from: usize, to: usize, len: usize) -> Result<()> {
        let mut done = 0;
        loop {
            let piece = (len - done).min(PIECE_BYTES);
            let (source, destination) = self.sides.memories();
            match (part(source, from + done, piece), part_mut(destination, to + done, piece)) {
                (Some(source), Some(destination)) => destination.copy_from_slice(source),
                _ => return Err(out_of_bounds()),
            }
            done += piece;
            if done == len {
                return Ok(());
            }
            self.sides.pause()?;
        }
    }

    /// A list whose elements move all at once, each of `size` bytes on both sides.
    fn whole(&mut self, at: At, size: u32, alignment: u8, check: Check) -> Result<()> {
        let (from, length) = self.read_range(at)?;
        let bytes = list_bytes(self.plan.from.ptr_type.address(length), size as usize)?;
        self.check_source(from, alignment, bytes, Content::List)?;
        self.sides.charge(bytes)?;
        let to = self.reallocate(0, 0, usize::from(alignment), bytes, Content::List)?;
        self.copy(from, to, bytes)?;
        if let Check::Scalar(kind) = check {
            let (_, memory) = self.sides.memories();
            kind.convert_all(part_mut(memory, to, bytes).ok_or_else(out_of_bounds)?)?;
        }
        self.write_range(at, to as u64, length)
    }

    fn spilled(&mut self, elements: Elements, out_param: Option<usize>) -> Result<Frame> {
        let ptr_type = self.plan.from.ptr_type;
        let from = ptr_type.address(self.read(At::Slot(0), ptr_type.size() as u32)?);
        self.check_source(from, elements.from_alignment, elements.from_size as usize, Content::Values)?;
        let (alignment, size) = (usize::from(elements.to_alignment), elements.to_size as usize);
        self.sides.charge(size)?;
        let to = match out_param {
            Some(to) => {
                let (_, memory) = self.sides.memories();
                check_range(to, alignment, size, memory.len(), Content::Values)?;
                to
            }
            None => {
                let to = self.reallocate(0, 0, alignment, size, Content::Values)?;
                self.write(At::Slot(0), 8, to as u64)?;
                to
            }
        };
        Ok(Frame { from, to, left: 1, begin: to, length: 1 })
    }

    /// Checks a region of the source: alignment first, then bounds.
    pub(super) fn check_source(
        &mut self,
        ptr: usize,
        alignment: u8,
        bytes: usize,
        content: Content,
    ) -> Result<()> {
        check_range(ptr, usize::from(alignment), bytes, self.sides.memories().0.len(), content)
    }

    /// Calls the destination's `realloc` and checks what it returns, as `LiftLowerContext::reallocate` does.
    pub(super) fn reallocate(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
        content: Content,
    ) -> Result<usize> {
        let ptr = self.sides.realloc(old_ptr, old_size, alignment, new_size)?;
        check_reallocated(ptr, alignment, new_size, self.sides.memories().1.len(), content)?;
        Ok(ptr)
    }
}

pub(super) fn part(memory: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    memory.get(at..at.checked_add(len)?)
}

pub(super) fn part_mut(memory: &mut [u8], at: usize, len: usize) -> Option<&mut [u8]> {
    memory.get_mut(at..at.checked_add(len)?)
}

#[inline]
fn read(memory: &[u8], at: usize, size: u32) -> Result<u64> {
    fn bytes<const N: usize>(memory: &[u8], at: usize) -> Result<[u8; N]> {
        memory.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(out_of_bounds)
    }
    Ok(match size {
        1 => u64::from(u8::from_le_bytes(bytes(memory, at)?)),
        2 => u64::from(u16::from_le_bytes(bytes(memory, at)?)),
        4 => u64::from(u32::from_le_bytes(bytes(memory, at)?)),
        _ => u64::from_le_bytes(bytes(memory, at)?),
    })
}

fn check_case(discriminant: u32, cases: u32) -> Result<()> {
    if discriminant < cases { Ok(()) } else { Err(Trap::InvalidDiscriminant { discriminant, cases }.into()) }
}

impl Scalar {
    /// The value that these bits mean, as a slot holds it: zeros above the core value.
    #[inline]
    fn convert(self, bits: u64) -> Result<u64> {
        let low = bits as u32;
        Ok(match self {
            Scalar::Bool => u64::from(low != 0),
            Scalar::U8 => u64::from(low as u8),
            Scalar::S8 => u64::from(i32::from(low as i8) as u32),
            Scalar::U16 => u64::from(low as u16),
            Scalar::S16 => u64::from(i32::from(low as i16) as u32),
            Scalar::Word32 => u64::from(low),
            Scalar::Word64 => bits,
            Scalar::F32 if f32::from_bits(low).is_nan() => u64::from(CANONICAL_FLOAT32_NAN),
            Scalar::F32 => u64::from(low),
            Scalar::F64 if f64::from_bits(bits).is_nan() => CANONICAL_FLOAT64_NAN,
            Scalar::F64 => bits,
            Scalar::Char => match char::from_u32(low) {
                Some(_) => u64::from(low),
                None => return Err(Trap::InvalidChar(low).into()),
            },
            Scalar::Flags { mask, .. } => u64::from(low & mask),
            Scalar::Enum { cases, .. } => {
                check_case(low, cases)?;
                u64::from(low)
            }
        })
    }

    /// Makes the elements of a list values, where they lie.
    ///
    /// # Errors
    /// The trap of the first that is no value.
    pub fn convert_all(self, bytes: &mut [u8]) -> Result<()> {
        match self {
            // What is in most lists, in a form that vector units like.
            Scalar::Bool => bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0)),
            Scalar::Char => {
                let (chars, _) = bytes.as_chunks::<4>();
                let is_none = |c: &[u8; 4]| {
                    let c = u32::from_le_bytes(*c);
                    (c > 0x10_ffff) | (c & 0xffff_f800 == 0xd800)
                };
                for block in chars.chunks(64) {
                    if block.iter().fold(false, |any, c| any | is_none(c))
                        && let Some(c) = block.iter().find(|c| is_none(c))
                    {
                        return Err(Trap::InvalidChar(u32::from_le_bytes(*c)).into());
                    }
                }
            }
            Scalar::Enum { size: 1, cases } => {
                if let Some(byte) = bytes.iter().find(|byte| u32::from(**byte) >= cases) {
                    check_case(u32::from(*byte), cases)?;
                }
            }
            Scalar::Flags { size: 1, mask } => bytes.iter_mut().for_each(|byte| *byte &= mask as u8),
            kind => {
                for element in bytes.chunks_exact_mut(kind.size() as usize) {
                    let bits = kind.convert(read(element, 0, kind.size())?)?;
                    element.copy_from_slice(&bits.to_le_bytes()[..element.len()]);
                }
            }
        }
        Ok(())
    }
}
