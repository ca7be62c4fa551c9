//! `wasi:sockets`: there by type, denied in effect.
//!
//! Creating a socket and resolving a name fail with `access-denied`, so the resources behind them are types without
//! values: their functions have nothing they could be called on, and the compiler knows.

pub mod instance_network;
pub mod ip_name_lookup;
pub mod network;
pub mod tcp;
pub mod tcp_create_socket;
pub mod udp;
pub mod udp_create_socket;
