//! `wasi:http`: requests out through one client with a pool of connections, requests in through a server.
//!
//! A guest's thread never runs the network: tokio does, started when the first request goes out or a server is made, and
//! bodies pass between the two in bounded pieces. What either side waits for is a signal that pollables can wait for.

pub(crate) mod answer;
pub(crate) mod body;
pub mod client;
pub(crate) mod connect;
pub mod fields;
pub mod outgoing_handler;
pub(crate) mod patient;
pub mod server;
pub(crate) mod signal;
pub mod types;
