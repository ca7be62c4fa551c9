//! Strings in all three encodings, both ways. CanonicalABI.md: `load_string` in "Loading", `store_string` in "Storing".
//!
//! Which `realloc` calls a guest sees depends on the encoding of the string's source and is followed to the letter: first
//! the optimistic size, then the worst case, then the final one. Each result of `realloc` is checked for alignment and
//! bounds before a byte is written (`LiftLowerContext::reallocate`), and each write goes through a slice of exactly the
//! region that was checked. The text to be stored is the host's own, so a `realloc` that returns a region overlapping
//! another, or moves things about, harms the guest only.
//!
//! Must not know: types other than strings.

pub(crate) mod between;
mod transcode;

use crate::context::{Guest, LiftLowerContext, StringEncoding};
use crate::error::{Content, Result, Trap, TypeMismatch};
use crate::layout::PtrType;
use crate::load::load_ptr;
use crate::store::store_range;
use crate::val::Text;
use alloc::string::String;
use alloc::vec::Vec;
use transcode::{
    latin1_prefix, latin1_to_utf8, utf8_len_of_latin1, utf8_len_of_utf16, utf8_to_latin1, utf8_to_utf16,
    utf16_len, utf16_to_utf8,
};

/// A string has at most this many bytes, in the encoding of its memory.
pub const MAX_STRING_BYTE_LENGTH: usize = (1 << 28) - 1;

/// How a string was encoded where it came from (`src_encoding` and the tag of `src_tagged_code_units`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEncoding {
    /// `utf8`; also every string of the host.
    Utf8,
    /// `utf16`
    Utf16,
    /// `latin1+utf16` without the tag.
    Latin1,
    /// `latin1+utf16` with the tag.
    TaggedUtf16,
}

/// The bit of a `latin1+utf16` length that says UTF-16.
pub const fn utf16_tag(ptr_type: PtrType) -> u64 {
    1 << (ptr_type.size() * 8 - 1)
}

pub(crate) fn load_string<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Text> {
    let begin = load_ptr(cx, ptr)?;
    let tagged_code_units = match cx.ptr_type() {
        PtrType::I32 => u64::from(crate::load::load_int::<u32, G>(cx, ptr + 4)?),
        PtrType::I64 => crate::load::load_int(cx, ptr + 8)?,
    };
    load_string_from_range(cx, begin, tagged_code_units)
}

/// The string at `ptr`, neither pointer nor length checked. Total size, alignment and bounds are checked in this order.
pub(crate) fn load_string_from_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    tagged_code_units: u64,
) -> Result<Text> {
    let tag = utf16_tag(cx.ptr_type());
    let (alignment, byte_length, encoding) = match cx.opts().string_encoding {
        StringEncoding::Utf8 => (1, Some(tagged_code_units), SourceEncoding::Utf8),
        StringEncoding::Utf16 => (2, tagged_code_units.checked_mul(2), SourceEncoding::Utf16),
        StringEncoding::Latin1OrUtf16 if tagged_code_units & tag != 0 => {
            (2, (tagged_code_units ^ tag).checked_mul(2), SourceEncoding::TaggedUtf16)
        }
        StringEncoding::Latin1OrUtf16 => (2, Some(tagged_code_units), SourceEncoding::Latin1),
    };
    let byte_length = match byte_length.map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= MAX_STRING_BYTE_LENGTH => bytes,
        _ => return Err(Trap::TooLong(Content::String).into()),
    };
    cx.check_range(ptr, alignment, byte_length, Content::String)?;
    let text = match encoding {
        SourceEncoding::Utf8 => decode(cx, ptr, byte_length, byte_length, |bytes, utf8| {
            utf8.extend_from_slice(bytes);
            Ok(())
        })?,
        SourceEncoding::Utf16 | SourceEncoding::TaggedUtf16 => {
            let utf8_length = utf8_len_of_utf16(cx.bytes(ptr, byte_length)?);
            decode(cx, ptr, byte_length, utf8_length, |bytes, utf8| {
                utf16_to_utf8(bytes, utf8).map_err(Trap::UnpairedSurrogate)
            })?
        }
        SourceEncoding::Latin1 => {
            let utf8_length = utf8_len_of_latin1(cx.bytes(ptr, byte_length)?);
            decode(cx, ptr, byte_length, utf8_length, |bytes, utf8| {
                latin1_to_utf8(bytes, utf8);
                Ok(())
            })?
        }
    };
    Ok(Text::decoded(text, encoding))
}

/// Decodes the `length` bytes at `ptr` into a string of `utf8_length` bytes, paid from the copy budget.
fn decode<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
    utf8_length: usize,
    into_utf8: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), Trap>,
) -> Result<String> {
    let mut utf8 = cx.vec(utf8_length)?;
    into_utf8(cx.bytes(ptr, length)?, &mut utf8)?;
    Ok(String::from_utf8(utf8).map_err(|error| Trap::InvalidUtf8(error.utf8_error()))?)
}

pub(crate) fn store_string<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    encoding: SourceEncoding,
    ptr: usize,
) -> Result<()> {
    let (begin, tagged_code_units) = store_string_into_range(cx, text, encoding)?;
    store_range(cx, begin, tagged_code_units, ptr)
}

/// Allocates and stores the text in the encoding of the guest; pointer and tagged code units.
pub(crate) fn store_string_into_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    encoding: SourceEncoding,
) -> Result<(usize, u64)> {
    let src_code_units = match encoding {
        SourceEncoding::Utf8 => text.len(),
        SourceEncoding::Utf16 | SourceEncoding::TaggedUtf16 => utf16_len(text),
        SourceEncoding::Latin1 => text.chars().count(),
    };
    if src_code_units > MAX_STRING_BYTE_LENGTH {
        return Err(TypeMismatch::TooLong(Content::String).into());
    }
    let (ptr, units) = match (cx.opts().string_encoding, encoding) {
        (StringEncoding::Utf8, SourceEncoding::Utf8) => store_string_copy_utf8(cx, text)?,
        (StringEncoding::Utf8, SourceEncoding::Utf16 | SourceEncoding::TaggedUtf16) => {
            store_string_to_utf8(cx, text, src_code_units, src_code_units * 3)?
        }
        (StringEncoding::Utf8, SourceEncoding::Latin1) => {
            store_string_to_utf8(cx, text, src_code_units, src_code_units * 2)?
        }
        (StringEncoding::Utf16, SourceEncoding::Utf8) => store_utf8_to_utf16(cx, text, src_code_units)?,
        (StringEncoding::Utf16, _) => store_string_copy_utf16(cx, text, src_code_units)?,
        (StringEncoding::Latin1OrUtf16, SourceEncoding::Utf8 | SourceEncoding::Utf16) => {
            return store_string_to_latin1_or_utf16(cx, text, src_code_units);
        }
        (StringEncoding::Latin1OrUtf16, SourceEncoding::Latin1) => {
            store_string_copy_latin1(cx, text, src_code_units)?
        }
        (StringEncoding::Latin1OrUtf16, SourceEncoding::TaggedUtf16) => {
            return store_probably_utf16_to_latin1_or_utf16(cx, text, src_code_units);
        }
    };
    Ok((ptr, units as u64))
}

// `store_string_copy`, once for each encoding: the size is known, one allocation is enough.

fn store_string_copy_utf8<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
) -> Result<(usize, usize)> {
    let ptr = cx.allocate(1, text.len(), Content::String)?;
    cx.bytes_mut(ptr, text.len())?.copy_from_slice(text.as_bytes());
    Ok((ptr, text.len()))
}

fn store_string_copy_utf16<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    code_units: usize,
) -> Result<(usize, usize)> {
    let ptr = cx.allocate(2, 2 * code_units, Content::String)?;
    utf8_to_utf16(text, cx.bytes_mut(ptr, 2 * code_units)?);
    Ok((ptr, code_units))
}

fn store_string_copy_latin1<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    code_units: usize,
) -> Result<(usize, usize)> {
    let ptr = cx.allocate(2, code_units, Content::String)?;
    utf8_to_latin1(text, cx.bytes_mut(ptr, code_units)?);
    Ok((ptr, code_units))
}

/// From UTF-16 or Latin-1: as if all were ASCII, until it is not.
fn store_string_to_utf8<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    src_code_units: usize,
    worst_case_size: usize,
) -> Result<(usize, usize)> {
    let mut ptr = cx.allocate(1, src_code_units, Content::String)?;
    let ascii = if text.is_ascii() { text.len() } else { text.bytes().take_while(u8::is_ascii).count() };
    cx.bytes_mut(ptr, ascii)?.copy_from_slice(&text.as_bytes()[..ascii]);
    if ascii == text.len() {
        return Ok((ptr, src_code_units));
    }
    ptr = cx.reallocate(ptr, src_code_units, 1, worst_case_size, Content::String)?;
    // `realloc` kept what was written; the rest is within the worst case.
    let rest = &text.as_bytes()[ascii..];
    cx.bytes_mut(ptr + ascii, rest.len())?.copy_from_slice(rest);
    if worst_case_size > text.len() {
        ptr = cx.reallocate(ptr, worst_case_size, 1, text.len(), Content::String)?;
    }
    Ok((ptr, text.len()))
}

fn store_utf8_to_utf16<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    src_code_units: usize,
) -> Result<(usize, usize)> {
    let worst_case_size = 2 * src_code_units;
    let mut ptr = cx.allocate(2, worst_case_size, Content::String)?;
    let encoded = utf8_to_utf16(text, cx.bytes_mut(ptr, worst_case_size)?);
    if encoded < worst_case_size {
        ptr = cx.reallocate(ptr, worst_case_size, 2, encoded, Content::String)?;
    }
    Ok((ptr, encoded / 2))
}

/// From UTF-8 or UTF-16: as if all were Latin-1, until it is not.
fn store_string_to_latin1_or_utf16<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    src_code_units: usize,
) -> Result<(usize, u64)> {
    let mut ptr = cx.allocate(2, src_code_units, Content::String)?;
    let latin1 = latin1_prefix(text);
    let dst_byte_length = text[..latin1].chars().count();
    utf8_to_latin1(&text[..latin1], cx.bytes_mut(ptr, dst_byte_length)?);
    if latin1 < text.len() {
        let worst_case_size = 2 * src_code_units;
        ptr = cx.reallocate(ptr, src_code_units, 2, worst_case_size, Content::String)?;
        // What `realloc` kept is spread out where it lies, from the end.
        let region = cx.bytes_mut(ptr, worst_case_size)?;
        for j in (0..dst_byte_length).rev() {
            region[2 * j] = region[j];
            region[2 * j + 1] = 0;
        }
        let rest = utf8_to_utf16(&text[latin1..], &mut region[2 * dst_byte_length..]);
        let encoded = 2 * dst_byte_length + rest;
        if worst_case_size > encoded {
            ptr = cx.reallocate(ptr, worst_case_size, 2, encoded, Content::String)?;
        }
        return Ok((ptr, (encoded / 2) as u64 | utf16_tag(cx.ptr_type())));
    }
    if dst_byte_length < src_code_units {
        ptr = cx.reallocate(ptr, src_code_units, 2, dst_byte_length, Content::String)?;
    }
    Ok((ptr, dst_byte_length as u64))
}

/// From tagged UTF-16, which another component found necessary: as if it were still so.
fn store_probably_utf16_to_latin1_or_utf16<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    text: &str,
    src_code_units: usize,
) -> Result<(usize, u64)> {
    let src_byte_length = 2 * src_code_units;
    let ptr = cx.allocate(2, src_byte_length, Content::String)?;
    let region = cx.bytes_mut(ptr, src_byte_length)?;
    utf8_to_utf16(text, region);
    if latin1_prefix(text) < text.len() {
        return Ok((ptr, src_code_units as u64 | utf16_tag(cx.ptr_type())));
    }
    for i in 0..src_code_units {
        region[i] = region[2 * i];
    }
    let ptr = cx.reallocate(ptr, src_byte_length, 1, src_code_units, Content::String)?;
    Ok((ptr, src_code_units as u64))
}
