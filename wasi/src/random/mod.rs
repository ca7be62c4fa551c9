//! `wasi:random`: numbers no one can guess, and numbers that are merely mixed.

pub mod insecure;
pub mod insecure_seed;
#[expect(clippy::module_inception, reason = "the interface has the name of its package")]
pub mod random;

use crate::Stop;

/// How many bytes one call gives at most.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A length that a guest may ask for.
fn checked(len: u64) -> Result<usize, Stop> {
    usize::try_from(len)
        .ok()
        .filter(|_| len <= MAX_BYTES)
        .ok_or_else(|| Stop::Trap(format!("{len} random bytes asked for at once; the limit is {MAX_BYTES}")))
}
