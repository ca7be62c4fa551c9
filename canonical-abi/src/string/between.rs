//! From memory to memory, from one encoding to another, judged on the way: no text of the host's own lies in between.
//!
//! Sources are as hostile as any guest and are read once; each function writes exactly what it says it wrote, within the
//! slice it was given. Runs of one kind (ASCII mostly) go in blocks that the compiler makes vector instructions of.
//!
//! Must not know: pointers, `realloc`.

use super::transcode::{is_surrogate, utf8_to_utf16 as str_to_utf16};
use crate::error::Trap;

/// Bytes that are looked at before they are taken: more than any first-level cache line, less than that cache.
const PIECE: usize = 1024;
/// Bytes or units that the fast loops take at once.
const BLOCK: usize = 32;

/// Part of a UTF-8 string.
enum Piece<'a> {
    /// One byte each.
    Ascii(&'a [u8]),
    /// Anything.
    Text(&'a str),
}

fn is_ascii(bytes: &[u8]) -> bool {
    bytes.chunks(2 * BLOCK).all(|block| block.iter().fold(0, |all, byte| all | byte) < 0x80)
}

/// Gives `take` one piece after the other, whole characters each, with the place where it begins.
fn pieces(src: &[u8], mut take: impl FnMut(usize, Piece<'_>)) -> Result<(), Trap> {
    let mut at = 0;
    while at < src.len() {
        let piece = &src[at..src.len().min(at + PIECE)];
        if is_ascii(piece) {
            take(at, Piece::Ascii(piece));
            at += piece.len();
            continue;
        }
        let whole = match core::str::from_utf8(piece) {
            Ok(text) => text,
            // A character that goes on in the next piece. It is shorter than this one, so there is something before it.
            Err(error) if error.error_len().is_none() && at + piece.len() < src.len() => {
                match core::str::from_utf8(&piece[..error.valid_up_to()]) {
                    Ok(text) if !text.is_empty() => text,
                    _ => return Err(Trap::InvalidUtf8(error)),
                }
            }
            Err(error) => return Err(Trap::InvalidUtf8(error)),
        };
        take(at, Piece::Text(whole));
        at += whole.len();
    }
    Ok(())
}

/// UTF-8 stays: `dst` is as long as `src`.
pub(crate) fn utf8_to_utf8(src: &[u8], dst: &mut [u8]) -> Result<(), Trap> {
    pieces(src, |at, piece| {
        let bytes = match piece {
            Piece::Ascii(bytes) => bytes,
            Piece::Text(text) => text.as_bytes(),
        };
        dst[at..at + bytes.len()].copy_from_slice(bytes);
    })
}

/// Bytes to units with zeros above: `dst` is twice as long as `src`.
pub(crate) fn latin1_to_utf16(src: &[u8], dst: &mut [u8]) {
    let (pairs, _) = dst.as_chunks_mut::<2>();
    for (byte, pair) in src.iter().zip(pairs) {
        *pair = [*byte, 0];
    }
}

/// `dst` is twice as long as `src`. Gives the bytes written.
pub(crate) fn utf8_to_utf16(src: &[u8], dst: &mut [u8]) -> Result<usize, Trap> {
    let mut to = 0;
    pieces(src, |_, piece| match piece {
        Piece::Ascii(bytes) => {
            latin1_to_utf16(bytes, &mut dst[to..to + 2 * bytes.len()]);
            to += 2 * bytes.len();
        }
        Piece::Text(text) => to += str_to_utf16(text, &mut dst[to..]),
    })?;
    Ok(to)
}

/// Up to the first character above U+00FF, or up to what is no character: `dst` is as long as `src`. Gives the bytes read and
/// the bytes written.
pub(crate) fn utf8_to_latin1(src: &[u8], dst: &mut [u8]) -> (usize, usize) {
    let (mut from, mut to) = (0, 0);
    loop {
        while let (Some(block), Some(out)) = (src[from..].first_chunk::<BLOCK>(), dst.get_mut(to..))
            && let Some(out) = out.first_chunk_mut::<BLOCK>()
            && is_ascii(block)
        {
            *out = *block;
            from += BLOCK;
            to += BLOCK;
        }
        for _ in 0..BLOCK {
            let (byte, read) = match src[from..] {
                [byte @ 0..0x80, ..] => (byte, 1),
                [lead @ 0xc2..=0xc3, next @ 0x80..=0xbf, ..] => (lead << 6 | next & 0x3f, 2),
                _ => return (from, to),
            };
            dst[to] = byte;
            from += read;
            to += 1;
        }
    }
}

fn unit(pair: [u8; 2]) -> u16 {
    u16::from_le_bytes(pair)
}

/// The surrogate at unit `i`, if it has no other half; how many units the character there has otherwise.
fn character(units: &[[u8; 2]], i: usize) -> Result<usize, Trap> {
    let first = unit(units[i]);
    match (first, units.get(i + 1).map(|pair| unit(*pair))) {
        (0xd800..=0xdbff, Some(0xdc00..=0xdfff)) => Ok(2),
        (0xd800..=0xdfff, _) => Err(Trap::UnpairedSurrogate(first)),
        _ => Ok(1),
    }
}

/// UTF-16 stays: `dst` is as long as `src`. Says whether every unit is below U+0100.
pub(crate) fn utf16_to_utf16(src: &[u8], dst: &mut [u8]) -> Result<bool, Trap> {
    let (units, _) = src.as_chunks::<2>();
    let (mut i, mut all) = (0, 0);
    while i < units.len() {
        if let Some(block) = units[i..].first_chunk::<BLOCK>() {
            let block = block.map(unit);
            if !block.iter().fold(false, |any, unit| any | is_surrogate(*unit)) {
                all |= block.iter().fold(0, |all, unit| all | unit);
                i += BLOCK;
                continue;
            }
        }
        let end = units.len().min(i + BLOCK);
        while i < end {
            all |= unit(units[i]);
            i += character(units, i)?;
        }
    }
    dst.copy_from_slice(src);
    Ok(all < 0x100)
}

/// Units below U+0100, up to the first that is not: `dst` has a byte for each. Gives how many.
pub(crate) fn utf16_to_latin1(src: &[u8], dst: &mut [u8]) -> usize {
    narrow(src, dst, 0x100)
}

/// ASCII, up to the first unit that is not: `dst` has a byte for each. Gives how many.
pub(crate) fn utf16_to_ascii(src: &[u8], dst: &mut [u8]) -> usize {
    narrow(src, dst, 0x80)
}

fn narrow(src: &[u8], dst: &mut [u8], below: u16) -> usize {
    let (units, _) = src.as_chunks::<2>();
    let mut i = 0;
    while let (Some(block), Some(out)) =
        (units[i..].first_chunk::<BLOCK>(), dst[i..].first_chunk_mut::<BLOCK>())
    {
        let block = block.map(unit);
        if block.iter().fold(0, |all, unit| all | unit) >= below {
            break;
        }
        *out = block.map(|unit| unit as u8);
        i += BLOCK;
    }
    for (pair, byte) in units[i..].iter().zip(&mut dst[i..]) {
        if unit(*pair) >= below {
            break;
        }
        *byte = pair[0];
        i += 1;
    }
    i
}

/// The units in place become bytes: `region` holds `units` of them, all below U+0100.
pub(crate) fn narrow_in_place(region: &mut [u8], units: usize) {
    let mut i = 0;
    // A block is read whole before its narrower form is written, which lies at or before it.
    while i + BLOCK <= units {
        let Some(block) = region[2 * i..].first_chunk::<{ 2 * BLOCK }>() else { break };
        let (pairs, _) = block.as_chunks::<2>();
        let mut bytes = [0; BLOCK];
        for (pair, byte) in pairs.iter().zip(&mut bytes) {
            *byte = pair[0];
        }
        region[i..i + BLOCK].copy_from_slice(&bytes);
        i += BLOCK;
    }
    for i in i..units {
        region[i] = region[2 * i];
    }
}

/// The bytes in place become units: the first `bytes` of `region`, which has room for them.
pub(crate) fn widen_in_place(region: &mut [u8], bytes: usize) {
    for i in (0..bytes).rev() {
        region[2 * i] = region[i];
        region[2 * i + 1] = 0;
    }
}

/// `dst` has three bytes for each unit. Gives the bytes written.
pub(crate) fn utf16_to_utf8(src: &[u8], dst: &mut [u8]) -> Result<usize, Trap> {
    let (units, _) = src.as_chunks::<2>();
    let (mut i, mut to) = (0, 0);
    while i < units.len() {
        while let (Some(block), Some(room)) = (units[i..].first_chunk::<BLOCK>(), dst.get_mut(to..)) {
            let block = block.map(unit);
            if block.iter().fold(0, |all, unit| all | unit) < 0x80 {
                let Some(out) = room.first_chunk_mut::<BLOCK>() else { break };
                *out = block.map(|unit| unit as u8);
                to += BLOCK;
            } else if block.iter().fold(true, |all, unit| all & (*unit >= 0x800) & !is_surrogate(*unit)) {
                let Some(out) = room.first_chunk_mut::<{ 3 * BLOCK }>() else { break };
                three_bytes_each(&block, out);
                to += 3 * BLOCK;
            } else {
                break;
            }
            i += BLOCK;
        }
        let end = units.len().min(i + BLOCK);
        while i < end {
            let first = u32::from(unit(units[i]));
            let code = match character(units, i)? {
                2 => {
                    i += 1;
                    0x1_0000 + ((first - 0xd800) << 10) + (u32::from(unit(units[i])) - 0xdc00)
                }
                _ => first,
            };
            i += 1;
            // No surrogate is left here: every code is a character.
            let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            to += c.encode_utf8(&mut dst[to..]).len();
        }
    }
    Ok(to)
}

/// Units from U+0800 on that are no surrogates, three bytes each. Four are stored at a time, the last of them to be overwritten.
fn three_bytes_each(units: &[u16; BLOCK], out: &mut [u8; 3 * BLOCK]) {
    let wide = units.map(|unit| {
        let unit = u32::from(unit);
        (0xe0 | unit >> 12) | (0x80 | unit >> 6 & 0x3f) << 8 | (0x80 | unit & 0x3f) << 16
    });
    for i in 0..BLOCK - 1 {
        out[3 * i..3 * i + 4].copy_from_slice(&wide[i].to_le_bytes());
    }
    out[3 * BLOCK - 3..].copy_from_slice(&wide[BLOCK - 1].to_le_bytes()[..3]);
}

/// ASCII, up to the first byte that is not: `dst` is as long as `src`. Gives how many.
pub(crate) fn latin1_to_ascii(src: &[u8], dst: &mut [u8]) -> usize {
    let mut i = 0;
    for block in src.chunks(PIECE) {
        if !is_ascii(block) {
            break;
        }
        dst[i..i + block.len()].copy_from_slice(block);
        i += block.len();
    }
    for (byte, out) in src[i..].iter().zip(&mut dst[i..]).take_while(|(byte, _)| byte.is_ascii()) {
        *out = *byte;
        i += 1;
    }
    i
}

/// `dst` has two bytes for each of `src`. Gives the bytes written.
pub(crate) fn latin1_to_utf8(src: &[u8], dst: &mut [u8]) -> usize {
    let (mut i, mut to) = (0, 0);
    while let (Some(block), Some(room)) = (src[i..].first_chunk::<BLOCK>(), dst.get_mut(to..)) {
        if is_ascii(block) {
            let Some(out) = room.first_chunk_mut::<BLOCK>() else { break };
            *out = *block;
            to += BLOCK;
        } else {
            let Some(out) = room.first_chunk_mut::<{ 2 * BLOCK }>() else { break };
            // Where no more follows, a byte too many would stay.
            if src.len() - i == BLOCK {
                break;
            }
            let mut at = 0;
            for byte in block {
                let two = u16::from(byte >> 7);
                let pair = if two == 0 { u16::from(*byte) } else { two_bytes(*byte) };
                // `at` is at most two for each byte before.
                if let Some(out) = out.get_mut(at..at + 2) {
                    out.copy_from_slice(&pair.to_le_bytes());
                }
                at += 1 + usize::from(two);
            }
            to += at;
        }
        i += BLOCK;
    }
    for byte in &src[i..] {
        if *byte < 0x80 {
            dst[to] = *byte;
            to += 1;
        } else {
            dst[to..to + 2].copy_from_slice(&two_bytes(*byte).to_le_bytes());
            to += 2;
        }
    }
    to
}

/// A character from U+0080 to U+00FF, its first byte below.
fn two_bytes(byte: u8) -> u16 {
    u16::from(0xc0 | byte >> 6) | u16::from(0x80 | byte & 0x3f) << 8
}
