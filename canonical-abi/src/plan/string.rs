//! Strings of a plan: `load_string` and `store_string` in one, for all pairs of encodings.
//!
//! Which calls of `realloc` the destination sees depends on the encoding of the source (string.rs follows the same rules): first
//! the optimistic size, then the worst case, then the final one. Text is judged while it is written; each write goes into a
//! slice of exactly the region that `realloc` returned last and that was checked.

use core::cell::Cell;

use super::run::{Run, part, part_mut};
use super::{PIECE_BYTES, Sides};
use crate::context::StringEncoding;
use crate::error::{Content, Error, Result, Trap};
use crate::string::between::*;
use crate::string::{MAX_STRING_BYTE_LENGTH, SourceEncoding, utf16_tag};

/// What happens to a string of which is known from the start how many bytes it will have: one call of `realloc`, and one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transcode {
    /// UTF-8 stays, and is judged.
    Utf8,
    /// UTF-16 stays, and is judged.
    Utf16,
    /// Latin-1 stays.
    Latin1,
    /// Latin-1 to UTF-16.
    Widen,
}

/// What happens between two encodings of which a string goes over in one pass; the source is not tagged.
pub fn transcode(from: StringEncoding, to: StringEncoding) -> Option<Transcode> {
    match (from, to) {
        (StringEncoding::Utf8, StringEncoding::Utf8) => Some(Transcode::Utf8),
        (StringEncoding::Utf16, StringEncoding::Utf16) => Some(Transcode::Utf16),
        (StringEncoding::Latin1OrUtf16, StringEncoding::Utf16) => Some(Transcode::Widen),
        (StringEncoding::Latin1OrUtf16, StringEncoding::Latin1OrUtf16) => Some(Transcode::Latin1),
        _ => None,
    }
}

impl Transcode {
    /// All of them, by number (`as u32`).
    pub const ALL: [Transcode; 4] = [Transcode::Utf8, Transcode::Utf16, Transcode::Latin1, Transcode::Widen];

    /// Bytes of a code unit of the source, and of the destination. There are as many units on both sides.
    pub const fn units(self) -> (usize, usize) {
        match self {
            Transcode::Utf8 | Transcode::Latin1 => (1, 1),
            Transcode::Utf16 => (2, 2),
            Transcode::Widen => (1, 2),
        }
    }

    /// How a pointer of the source is aligned, and what `realloc` is asked for.
    pub const fn alignments(self) -> (usize, usize) {
        match self {
            Transcode::Utf8 => (1, 1),
            Transcode::Utf16 | Transcode::Latin1 | Transcode::Widen => (2, 2),
        }
    }

    /// Where to cut a string of the source in two, at `at` or a little before, so that no character is parted. What is no text is
    /// found to be none on either side of the cut.
    pub fn cut(self, src: &[u8], at: usize) -> usize {
        let mut at = at.min(src.len());
        match self {
            Transcode::Utf8 => {
                // A character has three bytes at most that are not its first.
                for _ in 0..3 {
                    if at == src.len() || at == 0 || src[at] & 0xc0 != 0x80 {
                        break;
                    }
                    at -= 1;
                }
            }
            Transcode::Utf16 => {
                at -= at % 2;
                if at < src.len() && at >= 2 && src[at - 1] & 0xfc == 0xd8 {
                    at -= 2;
                }
            }
            Transcode::Latin1 | Transcode::Widen => {}
        }
        at
    }

    /// Moves the string: `src` and `dst` are as long as [`Transcode::units`] says.
    ///
    /// # Errors
    /// The trap of a source that is no text.
    pub fn run(self, src: &[u8], dst: &mut [u8]) -> Result<(), Trap> {
        match self {
            Transcode::Utf8 => utf8_to_utf8(src, dst)?,
            Transcode::Utf16 => {
                utf16_to_utf16(src, dst)?;
            }
            Transcode::Latin1 => dst.copy_from_slice(src),
            Transcode::Widen => latin1_to_utf16(src, dst),
        }
        Ok(())
    }
}

/// A string of the source that was checked.
#[derive(Clone, Copy)]
struct Source {
    ptr: usize,
    /// Bytes.
    len: usize,
    /// Code units.
    units: usize,
}

fn outside() -> Error {
    Trap::OutOfBounds(Content::String).into()
}

impl<S: Sides + ?Sized> Run<'_, S> {
    /// Moves the string of this pointer and (tagged) length; pointer and (tagged) length of what it became.
    pub(super) fn string(&mut self, ptr: usize, tagged_code_units: u64) -> Result<(usize, u64)> {
        let tag = utf16_tag(self.plan.from.ptr_type);
        let (alignment, unit, units, encoding) = match self.plan.from.string_encoding {
            StringEncoding::Utf8 => (1, 1, tagged_code_units, SourceEncoding::Utf8),
            StringEncoding::Utf16 => (2, 2, tagged_code_units, SourceEncoding::Utf16),
            StringEncoding::Latin1OrUtf16 if tagged_code_units & tag != 0 => {
                (2, 2, tagged_code_units ^ tag, SourceEncoding::TaggedUtf16)
            }
            StringEncoding::Latin1OrUtf16 => (2, 1, tagged_code_units, SourceEncoding::Latin1),
        };
        let len = match units.checked_mul(unit) {
            Some(bytes) if bytes <= MAX_STRING_BYTE_LENGTH as u64 => bytes as usize,
            _ => return Err(Trap::TooLong(Content::String).into()),
        };
        self.check_source(ptr, alignment, len, Content::String)?;
        self.sides.charge(len)?;
        let source = Source { ptr, len, units: units as usize };
        use SourceEncoding::{Latin1, TaggedUtf16, Utf8, Utf16};
        let (ptr, units) = match (self.plan.to.string_encoding, encoding) {
            (StringEncoding::Utf8, Utf8) => self.store_copy(source, Transcode::Utf8)?,
            (StringEncoding::Utf8, Utf16 | TaggedUtf16) => {
                self.store_to_utf8(source, Transcode::Utf16, 3, utf16_to_ascii, utf16_to_utf8)?
            }
            (StringEncoding::Utf8, Latin1) => {
                self.store_to_utf8(source, Transcode::Latin1, 2, latin1_to_ascii, |src, dst| {
                    Ok(latin1_to_utf8(src, dst))
                })?
            }
            (StringEncoding::Utf16, Utf8) => self.store_utf8_to_utf16(source)?,
            (StringEncoding::Utf16, Utf16 | TaggedUtf16) => self.store_copy(source, Transcode::Utf16)?,
            (StringEncoding::Utf16, Latin1) => self.store_copy(source, Transcode::Widen)?,
            (StringEncoding::Latin1OrUtf16, Latin1) => self.store_copy(source, Transcode::Latin1)?,
            (StringEncoding::Latin1OrUtf16, Utf8) => {
                return self.store_to_latin1_or_utf16(source, Transcode::Utf8, utf8_to_latin1, utf8_to_utf16);
            }
            (StringEncoding::Latin1OrUtf16, Utf16) => {
                return self.store_to_latin1_or_utf16(
                    source,
                    Transcode::Utf16,
                    |src, dst| {
                        let units = utf16_to_latin1(src, dst);
                        (2 * units, units)
                    },
                    |src, dst| {
                        let dst = dst.get_mut(..src.len()).ok_or(Trap::OutOfBounds(Content::String))?;
                        utf16_to_utf16(src, dst).map(|_| src.len())
                    },
                );
            }
            (StringEncoding::Latin1OrUtf16, TaggedUtf16) => return self.probably_utf16(source),
        };
        Ok((ptr, units as u64))
    }

    /// The source from byte `read` on, and `len` bytes of the destination at `ptr`.
    fn slices(&mut self, source: Source, read: usize, ptr: usize, len: usize) -> Result<(&[u8], &mut [u8])> {
        let (from, to) = self.sides.memories();
        let from = part(from, source.ptr, source.len).and_then(|source| source.get(read..));
        match (from, part_mut(to, ptr, len)) {
            (Some(from), Some(to)) => Ok((from, to)),
            _ => Err(outside()),
        }
    }

    /// One region is enough.
    fn store_copy(&mut self, source: Source, transcode: Transcode) -> Result<(usize, usize)> {
        let len = transcode.units().1 * source.units;
        let ptr = self.reallocate(0, 0, transcode.alignments().1, len, Content::String)?;
        let (unit, to_unit) = transcode.units();
        let mut read = 0;
        loop {
            let (src, dst) = self.slices(source, read, ptr, len)?;
            let piece = transcode.cut(src, PIECE_BYTES);
            let dst =
                dst.get_mut(read / unit * to_unit..(read + piece) / unit * to_unit).ok_or_else(outside)?;
            transcode.run(&src[..piece], dst)?;
            read += piece;
            if read == source.len {
                return Ok((ptr, source.units));
            }
            self.sides.pause()?;
        }
    }

    /// Moves the source to the `len` bytes at `ptr`, from where both sides are (`done`) on, until
    /// it ends or a piece of it is not taken whole; where both sides are then. Pieces are cut as
    /// `text` is; `step` gives the bytes read and written of one.
    fn by_pieces(
        &mut self,
        source: Source,
        text: Transcode,
        (ptr, len): (usize, usize),
        mut done: (usize, usize),
        step: impl Fn(&[u8], &mut [u8]) -> Result<(usize, usize), Trap>,
    ) -> Result<(usize, usize)> {
        loop {
            let (src, dst) = self.slices(source, done.0, ptr, len)?;
            let piece = text.cut(src, PIECE_BYTES);
            let (read, written) = step(&src[..piece], dst.get_mut(done.1..).ok_or_else(outside)?)?;
            done = (done.0 + read, done.1 + written);
            if read < piece || done.0 == source.len {
                return Ok(done);
            }
            self.sides.pause()?;
        }
    }

    /// From UTF-16 or Latin-1: as if all were ASCII, until it is not. `ascii` gives the code units
    /// that it took, `rest` the bytes that it wrote; `worst` is how many of these a code unit can
    /// be.
    fn store_to_utf8(
        &mut self,
        source: Source,
        text: Transcode,
        worst: usize,
        ascii: impl Fn(&[u8], &mut [u8]) -> usize,
        rest: impl Fn(&[u8], &mut [u8]) -> Result<usize, Trap>,
    ) -> Result<(usize, usize)> {
        let (unit, _) = text.units();
        let mut ptr = self.reallocate(0, 0, 1, source.units, Content::String)?;
        let done = self.by_pieces(source, text, (ptr, source.units), (0, 0), |src, dst| {
            let units = ascii(src, dst);
            Ok((units * unit, units))
        })?;
        if done.0 == source.len {
            return Ok((ptr, done.1));
        }
        let worst_case_size = worst * source.units;
        // `realloc` keeps what was written.
        ptr = self.reallocate(ptr, source.units, 1, worst_case_size, Content::String)?;
        let (_, len) = self.by_pieces(source, text, (ptr, worst_case_size), done, |src, dst| {
            Ok((src.len(), rest(src, dst)?))
        })?;
        if worst_case_size > len {
            ptr = self.reallocate(ptr, worst_case_size, 1, len, Content::String)?;
        }
        Ok((ptr, len))
    }

    fn store_utf8_to_utf16(&mut self, source: Source) -> Result<(usize, usize)> {
        let worst_case_size = 2 * source.units;
        let mut ptr = self.reallocate(0, 0, 2, worst_case_size, Content::String)?;
        let (_, len) =
            self.by_pieces(source, Transcode::Utf8, (ptr, worst_case_size), (0, 0), |src, dst| {
                Ok((src.len(), utf8_to_utf16(src, dst)?))
            })?;
        if len < worst_case_size {
            ptr = self.reallocate(ptr, worst_case_size, 2, len, Content::String)?;
        }
        Ok((ptr, len / 2))
    }

    /// From UTF-8 or UTF-16: as if all were Latin-1, until it is not. `latin1` gives bytes read and written, `utf16` bytes written.
    fn store_to_latin1_or_utf16(
        &mut self,
        source: Source,
        text: Transcode,
        latin1: impl Fn(&[u8], &mut [u8]) -> (usize, usize),
        utf16: impl Fn(&[u8], &mut [u8]) -> Result<usize, Trap>,
    ) -> Result<(usize, u64)> {
        let mut ptr = self.reallocate(0, 0, 2, source.units, Content::String)?;
        let (read, written) =
            self.by_pieces(source, text, (ptr, source.units), (0, 0), |src, dst| Ok(latin1(src, dst)))?;
        if read < source.len {
            let worst_case_size = 2 * source.units;
            ptr = self.reallocate(ptr, source.units, 2, worst_case_size, Content::String)?;
            let (_, dst) = self.slices(source, read, ptr, worst_case_size)?;
            widen_in_place(dst, written);
            let (_, len) =
                self.by_pieces(source, text, (ptr, worst_case_size), (read, 2 * written), |src, dst| {
                    Ok((src.len(), utf16(src, dst)?))
                })?;
            if worst_case_size > len {
                ptr = self.reallocate(ptr, worst_case_size, 2, len, Content::String)?;
            }
            return Ok((ptr, (len / 2) as u64 | utf16_tag(self.plan.to.ptr_type)));
        }
        if written < source.units {
            ptr = self.reallocate(ptr, source.units, 2, written, Content::String)?;
        }
        Ok((ptr, written as u64))
    }

    /// From tagged UTF-16, which another component found necessary: as if it were still so.
    fn probably_utf16(&mut self, source: Source) -> Result<(usize, u64)> {
        let ptr = self.reallocate(0, 0, 2, source.len, Content::String)?;
        let is_latin1 = Cell::new(true);
        self.by_pieces(source, Transcode::Utf16, (ptr, source.len), (0, 0), |src, dst| {
            let dst = dst.get_mut(..src.len()).ok_or(Trap::OutOfBounds(Content::String))?;
            is_latin1.set(utf16_to_utf16(src, dst)? && is_latin1.get());
            Ok((src.len(), src.len()))
        })?;
        if !is_latin1.get() {
            return Ok((ptr, source.units as u64 | utf16_tag(self.plan.to.ptr_type)));
        }
        let (_, dst) = self.slices(source, 0, ptr, source.len)?;
        narrow_in_place(dst, source.units);
        let ptr = self.reallocate(ptr, source.len, 1, source.units, Content::String)?;
        Ok((ptr, source.units as u64))
    }
}
