//! `wasi:random`: numbers no one can guess, and numbers that are merely mixed.

pub mod insecure;
pub mod insecure_seed;
#[expect(clippy::module_inception, reason = "the interface has the name of its package")]
pub mod random;

use crate::{Stop, Wasi};

/// After how many random bytes a call looks at the deadline.
pub(crate) const STRIDE: usize = 1 << 20;

/// A length that a guest may ask for.
fn checked(wasi: &mut Wasi, len: u64) -> Result<usize, Stop> {
    let limit = wasi.max_random_bytes;
    let len = usize::try_from(len)
        .ok()
        .filter(|_| len <= limit)
        .ok_or_else(|| Stop::Trap(format!("{len} random bytes asked for at once; the limit is {limit}")))?;
    wasi.give(len)?;
    Ok(len)
}
