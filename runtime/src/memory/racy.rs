//! Accesses of bytes that other threads may touch at the same time (proposal threads, "unordered" accesses).
//!
//! A plain read or write of such bytes would be a data race, which Rust gives no meaning. These are relaxed atomics: the widest
//! one that the address is aligned for, else byte by byte, as the proposal allows an unaligned access to tear. (Rust's model does
//! not speak of accesses of different widths to the same bytes that race; guests do that, and the machines have a meaning for it.)

use crate::simd::V128;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A number that can be read from and written to shared bytes.
pub(crate) trait Racy: Copy {
    /// Reads it, as the machine keeps it.
    ///
    /// # Safety
    /// All its bytes at `from` are accessible.
    unsafe fn load(from: *mut u8) -> Self;

    /// Writes it, as the machine keeps it.
    ///
    /// # Safety
    /// All its bytes at `to` are accessible.
    unsafe fn store(to: *mut u8, value: Self);
}

macro_rules! racy {
    ($($ty:ident $atomic:ident $word:ident;)*) => { $(
        impl Racy for $ty {
            #[inline(always)]
            unsafe fn load(from: *mut u8) -> $ty {
                const BYTES: usize = size_of::<$ty>();
                // SAFETY: the caller vouches for the bytes; the alignment was looked at.
                unsafe {
                    if from.addr().is_multiple_of(BYTES) {
                        return $atomic::from_ptr(from.cast()).load(Relaxed) as $ty;
                    }
                    let mut value: $word = 0;
                    let mut at = 0;
                    while at < BYTES {
                        let byte = AtomicU8::from_ptr(from.wrapping_add(at)).load(Relaxed);
                        let shift = if cfg!(target_endian = "little") { at } else { BYTES - 1 - at };
                        value |= $word::from(byte) << (8 * shift);
                        at += 1;
                    }
                    value as $ty
                }
            }

            #[inline(always)]
            unsafe fn store(to: *mut u8, value: $ty) {
                const BYTES: usize = size_of::<$ty>();
                // SAFETY: as above.
                unsafe {
                    if to.addr().is_multiple_of(BYTES) {
                        return $atomic::from_ptr(to.cast()).store(value as $word, Relaxed);
                    }
                    let mut at = 0;
                    while at < BYTES {
                        let shift = if cfg!(target_endian = "little") { at } else { BYTES - 1 - at };
                        let byte = ((value as $word) >> (8 * shift)) as u8;
                        AtomicU8::from_ptr(to.wrapping_add(at)).store(byte, Relaxed);
                        at += 1;
                    }
                }
            }
        }
    )* };
}
racy! { i8 AtomicU8 u8; u8 AtomicU8 u8; i16 AtomicU16 u16; u16 AtomicU16 u16; i32 AtomicU32 u32; u32 AtomicU32 u32; u64 AtomicU64 u64; }

impl Racy for u128 {
    #[inline(always)]
    unsafe fn load(from: *mut u8) -> u128 {
        // SAFETY: the caller's promise.
        let (first, second) = unsafe { (u64::load(from), u64::load(from.wrapping_add(8))) };
        let (low, high) = if cfg!(target_endian = "little") { (first, second) } else { (second, first) };
        u128::from(high) << 64 | u128::from(low)
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        let (first, second) = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
        // SAFETY: the caller's promise.
        unsafe {
            u64::store(to, first);
            u64::store(to.wrapping_add(8), second);
        }
    }
}

impl Racy for V128 {
    #[inline(always)]
    unsafe fn load(from: *mut u8) -> V128 {
        // SAFETY: the caller's promise.
        V128::from(unsafe { u128::load(from) }.to_ne_bytes())
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, value: V128) {
        // SAFETY: the caller's promise.
        unsafe { u128::store(to, u128::from_ne_bytes(value.u8x16())) }
    }
}

const WORD: usize = size_of::<u64>();

/// Do words at both addresses lie aligned at the same time?
fn in_step(a: *const u8, b: *const u8) -> bool {
    (a.addr() ^ b.addr()) & (WORD - 1) == 0
}

/// Copies shared bytes out.
///
/// # Safety
/// As many bytes as `to` has are accessible at `from`.
pub(crate) unsafe fn read(from: *mut u8, to: &mut [u8]) {
    let mut at = 0;
    while at < to.len() {
        let place = from.wrapping_add(at);
        // SAFETY: the caller vouches for the bytes.
        unsafe {
            match to[at..].first_chunk_mut::<WORD>() {
                Some(word) if place.addr() & (WORD - 1) == 0 => {
                    *word = u64::load(place).to_ne_bytes();
                    at += WORD;
                }
                _ => {
                    to[at] = u8::load(place);
                    at += 1;
                }
            }
        }
    }
}

/// Copies bytes into shared ones.
///
/// # Safety
/// As many bytes as `from` has are accessible at `to`.
pub(crate) unsafe fn write(to: *mut u8, from: &[u8]) {
    let mut at = 0;
    while at < from.len() {
        let place = to.wrapping_add(at);
        // SAFETY: the caller vouches for the bytes.
        unsafe {
            match from[at..].first_chunk::<WORD>() {
                Some(word) if place.addr() & (WORD - 1) == 0 => {
                    u64::store(place, u64::from_ne_bytes(*word));
                    at += WORD;
                }
                _ => {
                    u8::store(place, from[at]);
                    at += 1;
                }
            }
        }
    }
}

/// Fills shared bytes.
///
/// # Safety
/// `len` bytes are accessible at `to`.
pub(crate) unsafe fn fill(to: *mut u8, value: u8, len: usize) {
    let mut at = 0;
    while at < len {
        let place = to.wrapping_add(at);
        // SAFETY: the caller vouches for the bytes.
        unsafe {
            if len - at >= WORD && place.addr() & (WORD - 1) == 0 {
                u64::store(place, u64::from_ne_bytes([value; WORD]));
                at += WORD;
            } else {
                u8::store(place, value);
                at += 1;
            }
        }
    }
}

/// Copies between bytes of which some are shared and which may overlap, as if by way of a third place.
///
/// # Safety
/// `len` bytes are accessible at both.
pub(crate) unsafe fn copy(from: *mut u8, to: *mut u8, len: usize) {
    let words = in_step(from, to);
    // Forwards unless that would overwrite what is still to be read.
    let forwards = to.addr() <= from.addr() || to.addr() - from.addr() >= len;
    let mut done = 0;
    while done < len {
        let left = len - done;
        // SAFETY: the caller vouches for the bytes: `at` and what is taken from there lie inside `len`.
        unsafe {
            let next = if forwards { done } else { len - done };
            let aligned = words && from.wrapping_add(next).addr() & (WORD - 1) == 0;
            let step = if aligned && left >= WORD { WORD } else { 1 };
            let at = if forwards { next } else { next - step };
            if step == WORD {
                u64::store(to.wrapping_add(at), u64::load(from.wrapping_add(at)));
            } else {
                u8::store(to.wrapping_add(at), u8::load(from.wrapping_add(at)));
            }
            done += step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn copies_of_every_overlap_and_alignment_are_what_a_copy_by_a_third_place_is() {
        for from in 0..20usize {
            for to in 0..20usize {
                for len in 0..20usize {
                    let mut bytes: [u64; 6] =
                        core::array::from_fn(|i| 0x0706_0504_0302_0100 + 0x0808_0808_0808_0808 * i as u64);
                    let base = bytes.as_mut_ptr().cast::<u8>();
                    let mut expected: Vec<u8> = bytes.iter().flat_map(|word| word.to_ne_bytes()).collect();
                    expected.copy_within(from..from + len, to);
                    // SAFETY: all of it lies in `bytes`.
                    unsafe { copy(base.wrapping_add(from), base.wrapping_add(to), len) };
                    let mut found = alloc::vec![0; 48];
                    // SAFETY: as above.
                    unsafe { read(base, &mut found) };
                    assert_eq!(found, expected, "{from} {to} {len}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_at_any_address_is_read_there() {
        let mut words = [0u64; 4];
        let base = words.as_mut_ptr().cast::<u8>();
        for at in 0..16 {
            let place = base.wrapping_add(at);
            // SAFETY: all of it lies in `words`.
            unsafe {
                fill(base, 0xee, 32);
                u64::store(place, 0x0102_0304_0506_0708);
                assert_eq!(u64::load(place), 0x0102_0304_0506_0708);
                i16::store(place, -2);
                assert_eq!((i16::load(place), u8::load(place.wrapping_add(16))), (-2, 0xee));
                write(place, b"mini-wasm");
                let mut found = [0; 10];
                read(place, &mut found);
                assert_eq!(&found, b"mini-wasm\xee");
            }
        }
    }
}
