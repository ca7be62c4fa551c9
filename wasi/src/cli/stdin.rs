//! `wasi:cli/stdin`.

use mini_wasm_canonical_abi::Own;

use crate::ctx::Stdin;
use crate::interface::interface;
use crate::io::streams::InputStream;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/stdin@0.2.12";
    func get_stdin();
}

/// `get-stdin`: every stream that this gives reads on where the others stopped.
pub fn get_stdin(wasi: &mut Wasi) -> Result<Own<InputStream>, Stop> {
    let stream = match &wasi.stdin {
        Stdin::Null => InputStream::null(),
        Stdin::Inherit => InputStream::stdin(),
        Stdin::Memory(memory) => InputStream::memory(memory.clone()),
    };
    wasi.table.push(stream)
}
