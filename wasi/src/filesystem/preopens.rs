//! `wasi:filesystem/preopens`: the directories that the embedder granted.

use mini_wasm_canonical_abi::Own;

use crate::filesystem::descriptor::Descriptor;
use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:filesystem/preopens@0.2.12";
    func get_directories();
}

/// `get-directories`: each granted directory with the guest's name for it.
pub fn get_directories(wasi: &mut Wasi) -> Result<Vec<(Own<Descriptor>, String)>, Stop> {
    let granted = wasi.preopens.iter();
    let granted: Vec<_> =
        granted.map(|preopen| (Descriptor::granted(preopen), preopen.guest.clone())).collect();
    granted.into_iter().map(|(descriptor, guest)| Ok((wasi.table.push(descriptor)?, guest))).collect()
}
