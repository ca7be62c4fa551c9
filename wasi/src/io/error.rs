//! `wasi:io/error`: what went wrong in a stream.

use mini_wasm_canonical_abi::Borrow;

use crate::filesystem::types::ErrorCode;
use crate::http;
use crate::interface::interface;
use crate::sockets::network;
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
    code: Code,
}

/// The same in the words of the interface that the stream belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Code {
    Filesystem(ErrorCode),
    Network(network::ErrorCode),
    Http(http::types::ErrorCode),
}

impl Error {
    /// An error of the system, in a stream over a file.
    pub(crate) fn system(error: Errno) -> Self {
        Self { message: error.to_string(), code: Code::Filesystem(error.into()) }
    }

    /// What went wrong with a message.
    pub(crate) fn http(code: http::types::ErrorCode) -> Self {
        Self { message: format!("{code:?}"), code: Code::Http(code) }
    }

    /// An error of the system, in a stream over a connection.
    pub(crate) fn connection(error: Errno) -> Self {
        Self { message: error.to_string(), code: Code::Network(error.into()) }
    }

    /// The code that `wasi:filesystem` has for this, if a file gave it.
    pub(crate) fn filesystem_code(&self) -> Option<ErrorCode> {
        match self.code {
            Code::Filesystem(code) => Some(code),
            _ => None,
        }
    }

    /// The code that `wasi:sockets` has for this, if a connection gave it.
    pub fn network_code(&self) -> Option<network::ErrorCode> {
        match self.code {
            Code::Network(code) => Some(code),
            _ => None,
        }
    }

    /// The code that `wasi:http` has for this, if a body gave it.
    pub(crate) fn http_code(&self) -> Option<http::types::ErrorCode> {
        match &self.code {
            Code::Http(code) => Some(code.clone()),
            _ => None,
        }
    }
}

/// `[method]error.to-debug-string`: for people; no program should branch on it.
pub fn to_debug_string(wasi: &mut Wasi, this: Borrow<Error>) -> Result<String, Stop> {
    Ok(wasi.table.get(&this)?.message.clone())
}
