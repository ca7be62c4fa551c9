//! `wasi:sockets`: TCP, UDP and the lookup of names, by what [`policy::Network`] grants: nothing by default.
//!
//! Sockets never block and pollables wait in the one wait of this crate, so there is no thread but those that look names up.

pub(crate) mod connection;
pub mod instance_network;
pub mod ip_name_lookup;
pub(crate) mod kept;
pub(crate) mod lookup;
pub mod network;
pub mod policy;
pub mod tcp;
pub mod tcp_create_socket;
pub mod udp;
pub mod udp_create_socket;
