//! `wasi:cli/exit`: the guest ends itself. Neither function returns; the runtime hands the code to whoever called
//! the guest.

use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/exit@0.2.12";
    func exit(status);
    func exit_with_code(status_code);
}

/// `exit`: 0 for `ok`, 1 for `err`.
pub fn exit(_: &mut Wasi, status: Result<(), ()>) -> Result<(), Stop> {
    Err(Stop::Exit(u8::from(status.is_err())))
}

/// `exit-with-code`.
pub fn exit_with_code(_: &mut Wasi, status_code: u8) -> Result<(), Stop> {
    Err(Stop::Exit(status_code))
}
