//! `wasi:io`: errors, readiness, byte streams.

pub mod error;
pub mod poll;
pub mod streams;
pub(crate) mod waiting;
