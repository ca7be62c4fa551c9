//! `wasi:cli/stderr`.

use mini_wasm_canonical_abi::Own;

use crate::ctx::Output;
use crate::interface::interface;
use crate::io::streams::OutputStream;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/stderr@0.2.12";
    func get_stderr();
}

/// `get-stderr`.
pub fn get_stderr(wasi: &mut Wasi) -> Result<Own<OutputStream>, Stop> {
    let stream = match &wasi.stderr {
        Output::Null => OutputStream::null(),
        Output::Inherit => OutputStream::stderr(),
        Output::Memory(memory) => OutputStream::memory(memory.clone()),
    };
    wasi.table.push(stream)
}
