//! `wasi:random/insecure-seed`: a seed for hash maps, the same throughout one run.

use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:random/insecure-seed@0.2.12";
    func insecure_seed();
}

/// `insecure-seed`.
pub fn insecure_seed(wasi: &mut Wasi) -> Result<(u64, u64), Stop> {
    Ok(wasi.insecure_seed)
}
