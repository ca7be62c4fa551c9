//! `wasi:random/insecure`: well mixed, fast, and predictable by whoever has seen enough of it.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:random/insecure@0.2.12";
    func get_insecure_random_bytes(len);
    func get_insecure_random_u64();
}

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix per number.
#[derive(Debug, Clone)]
pub(crate) struct Generator(u64);

impl Generator {
    /// Begins at a place that differs from guest to guest: no guest finds out another's from its own. Asks the system only once for
    /// each thread, since there is a new guest for each request of a server.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// The finalizer of SplitMix64: every bit of the input changes about half of the bits of the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// `get-insecure-random-bytes`. More at once than the host allows traps.
pub fn get_insecure_random_bytes(wasi: &mut Wasi, len: u64) -> Result<Vec<u8>, Stop> {
    let mut bytes = vec![0; super::checked(wasi, len)?];
    for part in bytes.chunks_mut(super::STRIDE) {
        wasi.over()?;
        for chunk in part.chunks_mut(8) {
            chunk.copy_from_slice(&wasi.insecure.next().to_le_bytes()[..chunk.len()]);
        }
    }
    Ok(bytes)
}

/// `get-insecure-random-u64`.
pub fn get_insecure_random_u64(wasi: &mut Wasi) -> Result<u64, Stop> {
    Ok(wasi.insecure.next())
}
