//! `wasi:keyvalue`, a draft: bytes by their names, in the store that has been granted, none by default.
//!
//! Programs import two drafts of it, `0.2.0-draft` and `0.2.0-draft2`, which differ in few types: each file has both, over one
//! [`KeyValue`].

pub mod atomics;
pub mod batch;
mod file;
mod kept;
mod memory;
pub mod store;

pub use kept::{KeyValue, KeyValueError, Limits};
