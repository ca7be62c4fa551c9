//! `wasi:config`, a draft: names and values that whoever runs the guest gives it.

pub mod store;
