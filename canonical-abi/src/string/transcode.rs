//! From one encoding to another, on slices: no pointers, no `realloc`, no traps but for what is no text.
//!
//! Each function has a fast loop for blocks that are all alike (ASCII mostly), written so that the compiler makes vector
//! instructions of it, and a plain loop for the rest. The tests hold both against the standard library's decoders.

use alloc::vec::Vec;

/// Units (or bytes) that the fast loops take at once.
const BLOCK: usize = 32;

pub(super) fn is_surrogate(unit: u16) -> bool {
    unit & 0xf800 == 0xd800
}

fn unit(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// How many bytes of UTF-8 the little-endian code units in `bytes` become, if they are UTF-16.
pub(super) fn utf8_len_of_utf16(bytes: &[u8]) -> usize {
    // Narrow sums within a block are what vector units are good at.
    let more = |block: &[u8]| -> u16 {
        let beyond_ascii = |pair: &[u8]| {
            let unit = unit(pair);
            // Half of a surrogate pair is two of its four bytes.
            u16::from(unit >= 0x80) + u16::from(unit >= 0x800) - u16::from(is_surrogate(unit))
        };
        block.chunks_exact(2).map(beyond_ascii).sum()
    };
    bytes.len() / 2 + bytes.chunks(1 << 12).map(|block| usize::from(more(block))).sum::<usize>()
}

/// Adds the little-endian code units in `bytes` to `out`, or gives the surrogate that has no other half.
pub(super) fn utf16_to_utf8(mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), u16> {
    loop {
        while let Some(block) = bytes.first_chunk::<{ 2 * BLOCK }>() {
            let units: [u16; BLOCK] =
                core::array::from_fn(|i| u16::from_le_bytes([block[2 * i], block[2 * i + 1]]));
            if units.iter().fold(0, |all, unit| all | unit) < 0x80 {
                out.extend_from_slice(&units.map(|unit| unit as u8));
            } else if units.iter().fold(true, |all, unit| all & (*unit >= 0x800) & !is_surrogate(*unit)) {
                let mut utf8 = [[0; 3]; BLOCK];
                for (unit, utf8) in units.iter().zip(&mut utf8) {
                    *utf8 = [
                        0xe0 | (unit >> 12) as u8,
                        0x80 | (unit >> 6) as u8 & 0x3f,
                        0x80 | *unit as u8 & 0x3f,
                    ];
                }
                out.extend_from_slice(utf8.as_flattened());
            } else {
                break;
            }
            bytes = &bytes[2 * BLOCK..];
        }
        // The rest, or a mixed block: character by character.
        let mut units = bytes.chunks_exact(2).map(unit);
        for _ in 0..BLOCK {
            let Some(first) = units.next() else { return Ok(()) };
            let mut taken = 2;
            let c = match char::from_u32(u32::from(first)) {
                Some(c) => c,
                None => match (first, units.next()) {
                    (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
                        taken = 4;
                        let code = 0x1_0000 + (u32::from(first - 0xd800) << 10) + u32::from(second - 0xdc00);
                        char::from_u32(code).ok_or(first)?
                    }
                    _ => return Err(first),
                },
            };
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            bytes = &bytes[taken..];
        }
    }
}

/// How many UTF-16 code units `text` has.
pub(super) fn utf16_len(text: &str) -> usize {
    // One for each first byte of a character, one more for those beyond U+FFFF.
    let units = |block: &[u8]| -> u16 {
        block.iter().map(|byte| u16::from(byte & 0xc0 != 0x80) + u16::from(*byte >= 0xf0)).sum()
    };
    text.as_bytes().chunks(1 << 12).map(|block| usize::from(units(block))).sum()
}

/// Writes `text` as little-endian code units from the front of `out`; how many bytes they took. What does not fit is not
/// written (callers have made room).
pub(super) fn utf8_to_utf16(mut text: &str, out: &mut [u8]) -> usize {
    let mut at = 0;
    loop {
        let mut ascii = 0;
        while let (Some(block), Some(out)) =
            (text.as_bytes()[ascii..].first_chunk::<BLOCK>(), out.get_mut(at..))
            && let Some(out) = out.first_chunk_mut::<{ 2 * BLOCK }>()
            && block.iter().fold(0, |all, byte| all | byte) < 0x80
        {
            let (pairs, _) = out.as_chunks_mut::<2>();
            for (byte, pair) in block.iter().zip(pairs) {
                *pair = [*byte, 0];
            }
            at += 2 * BLOCK;
            ascii += BLOCK;
        }
        let mut chars = text[ascii..].chars();
        for _ in 0..BLOCK {
            let Some(c) = chars.next() else { return at };
            match u16::try_from(u32::from(c)) {
                Ok(unit) => {
                    let Some(pair) = out.get_mut(at..at + 2) else { return at };
                    pair.copy_from_slice(&unit.to_le_bytes());
                    at += 2;
                }
                Err(_) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let Some(pair) = out.get_mut(at..at + 2) else { return at };
                        pair.copy_from_slice(&unit.to_le_bytes());
                        at += 2;
                    }
                }
            }
        }
        text = chars.as_str();
    }
}

/// How many bytes of UTF-8 the Latin-1 characters in `bytes` become.
pub(super) fn utf8_len_of_latin1(bytes: &[u8]) -> usize {
    let two_bytes = |block: &[u8]| -> u16 { block.iter().map(|byte| u16::from(*byte >> 7)).sum() };
    bytes.len() + bytes.chunks(1 << 12).map(|block| usize::from(two_bytes(block))).sum::<usize>()
}

/// Adds the Latin-1 characters in `bytes` to `out`.
pub(super) fn latin1_to_utf8(bytes: &[u8], out: &mut Vec<u8>) {
    for block in bytes.chunks(BLOCK) {
        if block.is_ascii() {
            out.extend_from_slice(block);
        } else {
            for byte in block {
                out.extend_from_slice(char::from(*byte).encode_utf8(&mut [0; 2]).as_bytes());
            }
        }
    }
}

/// How many bytes of `text` come before its first character above U+00FF.
pub(super) fn latin1_prefix(text: &str) -> usize {
    // Such a character begins with a byte from 0xc4 on, and no other character has one.
    let above = |byte: &u8| *byte >= 0xc4;
    let bytes = text.as_bytes();
    let blocks =
        bytes.chunks(BLOCK).take_while(|block| block.iter().fold(0, |max, byte| (*byte).max(max)) < 0xc4);
    let start = (blocks.count() * BLOCK).min(bytes.len());
    bytes[start..].iter().position(above).map_or(bytes.len(), |i| start + i)
}

/// Writes `text`, whose characters are all below U+0100, as one byte each from the front of `out`.
pub(super) fn utf8_to_latin1(mut text: &str, out: &mut [u8]) {
    let mut at = 0;
    loop {
        while let (Some(block), Some(out)) =
            (text.as_bytes().first_chunk::<BLOCK>(), out.get_mut(at..at + BLOCK))
        {
            if !block.is_ascii() {
                break;
            }
            out.copy_from_slice(block);
            at += BLOCK;
            text = &text[BLOCK..];
        }
        let mut chars = text.chars();
        for _ in 0..BLOCK {
            let (Some(c), Some(out)) = (chars.next(), out.get_mut(at)) else { return };
            *out = c as u8;
            at += 1;
        }
        text = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn le_bytes(units: &[u16]) -> Vec<u8> {
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
    }

    fn check_utf16(units: &[u16]) {
        let bytes = le_bytes(units);
        let mut out = Vec::new();
        let result = utf16_to_utf8(&bytes, &mut out);
        match char::decode_utf16(units.iter().copied()).collect::<Result<String, _>>() {
            Ok(text) => {
                assert_eq!((result, &out[..]), (Ok(()), text.as_bytes()));
                assert_eq!(utf8_len_of_utf16(&bytes), text.len());
            }
            Err(error) => assert_eq!(result, Err(error.unpaired_surrogate())),
        }
    }

    fn check_text(text: &str) {
        let units: Vec<u16> = text.encode_utf16().collect();
        check_utf16(&units);
        assert_eq!(utf16_len(text), units.len());
        // With room to spare and with none: the bytes are the same, and nothing beyond is written.
        for spare in [0, 1, 40] {
            let mut out = alloc::vec![0xa5; 2 * units.len() + spare];
            assert_eq!(utf8_to_utf16(text, &mut out), 2 * units.len());
            assert_eq!(out[..2 * units.len()], le_bytes(&units));
            assert!(out[2 * units.len()..].iter().all(|byte| *byte == 0xa5));
        }
        let prefix = latin1_prefix(text);
        assert_eq!(prefix, text.char_indices().find(|(_, c)| *c > 'ÿ').map_or(text.len(), |(at, _)| at));
        let latin1: Vec<u8> = text[..prefix].chars().map(|c| c as u8).collect();
        let mut out = alloc::vec![0; latin1.len()];
        utf8_to_latin1(&text[..prefix], &mut out);
        assert_eq!(out, latin1);
        let mut utf8 = Vec::new();
        latin1_to_utf8(&latin1, &mut utf8);
        assert_eq!(utf8, &text.as_bytes()[..prefix]);
        assert_eq!(utf8_len_of_latin1(&latin1), prefix);
    }

    #[test]
    fn every_character_goes_over_and_back_wherever_it_stands() {
        let step = if cfg!(miri) { 4099 } else { 7 };
        for c in ('\0'..=char::MAX)
            .step_by(step)
            .chain(['\u{7f}', '\u{80}', 'ÿ', '\u{100}', '\u{d7ff}', '\u{e000}'])
        {
            let mut text = String::new();
            text.extend(core::iter::repeat_n('a', c as usize % 17));
            text.push(c);
            text.push_str("bcdefghijklmnopqrstu");
            check_text(&text);
        }
    }

    #[test]
    fn a_surrogate_pair_across_blocks_is_one_character_and_a_half_of_one_is_none() {
        for before in 0..40 {
            let mut units = alloc::vec![0x4141; before];
            units.extend([0xd83c, 0xdf70]);
            check_utf16(&units);
            check_utf16(&units[..before + 1]);
            units.swap(before, before + 1);
            check_utf16(&units);
        }
    }

    #[test]
    fn room_that_is_too_small_is_never_overrun() {
        let mut out = [0xa5; 5];
        assert_eq!(utf8_to_utf16("abc", &mut out), 4);
        assert_eq!(utf8_to_utf16("a☃🍰", &mut out[..3]), 2);
        utf8_to_latin1("abcdefgh", &mut out);
        assert_eq!(&out, b"abcde");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 3 } else { 300 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn texts_go_over_and_back(text in prop_oneof!["[ -~]{0,80}", "[ -ÿ]{0,80}", ".{0,80}", "[ -~]{0,40}.{0,3}[ -~]{0,40}"]) {
            check_text(&text);
        }

        #[test]
        fn any_code_units_are_judged_as_the_standard_library_does(
            units in proptest::collection::vec(
                prop_oneof![0u16..0x80, any::<u16>(), 0xd7f0u16..0xe010, 0x4e00u16..0x5000], 0..70),
        ) {
            check_utf16(&units);
        }
    }
}
