//! `wasi:filesystem`: files and directories beneath what was granted.

pub mod descriptor;
pub mod preopens;
pub mod types;
