//! `wasi:http`: requests can be put together; sending one is denied.
//!
//! Nothing receives yet, so the resources of the incoming side are types without values.

pub mod fields;
pub mod outgoing_handler;
pub mod types;
