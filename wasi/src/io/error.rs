//! `wasi:io/error`: what went wrong in a stream.

use mini_wasm_canonical_abi::Borrow;

use crate::filesystem::types::ErrorCode;
use crate::interface::interface;
use crate::sys::Errno;
use crate::{Stop, Wasi};

interface! {
    "wasi:io/error@0.2.12";
    resource Error in self { method to_debug_string(this); }
}

/// The resource `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    code: Option<ErrorCode>,
}

impl Error {
    /// An error of the system, in a stream over a file.
    pub(crate) fn system(error: Errno) -> Self {
        Self { message: error.to_string(), code: Some(ErrorCode::from(error)) }
    }

    /// The code that `wasi:filesystem` has for this, if a file gave it.
    pub(crate) fn filesystem_code(&self) -> Option<ErrorCode> {
        self.code
    }
}

/// `[method]error.to-debug-string`: for people; no program should branch on it.
pub fn to_debug_string(wasi: &mut Wasi, this: Borrow<Error>) -> Result<String, Stop> {
    Ok(wasi.table.get(&this)?.message.clone())
}
