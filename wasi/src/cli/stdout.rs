//! `wasi:cli/stdout`.

use mini_wasm_canonical_abi::Own;

use crate::ctx::Output;
use crate::interface::interface;
use crate::io::streams::OutputStream;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/stdout@0.2.12";
    func get_stdout();
}

/// `get-stdout`.
pub fn get_stdout(wasi: &mut Wasi) -> Result<Own<OutputStream>, Stop> {
    let stream = match &wasi.stdout {
        Output::Null => OutputStream::null(),
        Output::Inherit => OutputStream::stdout(),
        Output::Memory(memory) => OutputStream::memory(memory.clone()),
    };
    wasi.table.push(stream)
}
