//! `wasi:random/random`: the system's cryptographic generator.

use crate::interface::interface;
use crate::sys::entropy;
use crate::{Stop, Wasi};

interface! {
    "wasi:random/random@0.2.12";
    func get_random_bytes(len);
    func get_random_u64();
}

/// `get-random-bytes`. More at once than the host allows traps.
pub fn get_random_bytes(wasi: &mut Wasi, len: u64) -> Result<Vec<u8>, Stop> {
    let mut bytes = vec![0; super::checked(wasi, len)?];
    for part in bytes.chunks_mut(super::STRIDE) {
        wasi.over()?;
        entropy::fill(part)
            .map_err(|error| Stop::Trap(format!("the system gives no random bytes: {error}")))?;
    }
    Ok(bytes)
}

/// `get-random-u64`.
pub fn get_random_u64(_: &mut Wasi) -> Result<u64, Stop> {
    let mut bytes = [0; 8];
    entropy::fill(&mut bytes)
        .map_err(|error| Stop::Trap(format!("the system gives no random bytes: {error}")))?;
    Ok(u64::from_le_bytes(bytes))
}
