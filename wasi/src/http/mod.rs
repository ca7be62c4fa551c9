//! `wasi:http`: requests out through one client with a pool of connections, requests in through a server.
//!
//! tokio runs the network, started when the first request goes out or a server is made, and bodies pass between it and guests in
//! bounded pieces. What either side waits for is a signal that pollables can wait for.

pub(crate) mod body;
pub mod client;
pub(crate) mod connect;
pub mod fields;
pub mod outgoing_handler;
pub(crate) mod owed;
pub(crate) mod patient;
pub mod server;
pub(crate) mod signal;
pub mod types;
