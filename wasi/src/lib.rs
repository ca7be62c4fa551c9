//! The WASI 0.2.12 host: one folder per package, one file per interface, nothing granted by default.
//!
//! [`Wasi`] is what one guest has been granted and what it has opened; each interface is a module of functions on it,
//! named in the list at the end of this file, from which linking, README.md and the check against the official WIT
//! derive. System calls stand in `sys` alone.
//!
//! Must not know: native code, command lines.

#![forbid(unsafe_code)]

mod allowance;
pub mod cli;
pub mod clocks;
pub mod config;
mod ctx;
mod deadline;
pub mod filesystem;
mod handles;
pub mod http;
mod interface;
pub mod io;
pub mod keyvalue;
mod link;
pub mod preview1;
pub mod random;
pub mod sockets;
mod stop;
mod sys;
mod table;

use interface::interfaces;

pub use allowance::Allowance;
pub use ctx::{
    Capability, DEFAULT_MAX_FIELD_BYTES, DEFAULT_MAX_HANDLES, DEFAULT_MAX_HOST_MEMORY, DEFAULT_MAX_POLL,
    DEFAULT_MAX_RANDOM_BYTES, DEFAULT_MAX_RESOURCES, Output, PreopenError, Refusal, Stdin, Wasi, WasiBuilder,
};
pub use deadline::{Deadline, Never};
pub use interface::{First, HostFunction, Listed, Rows, Unstable, Waited};
pub use io::streams::{MemoryInput, MemoryOutput};
pub use link::{add_to_linker, add_to_linker_async, link_unstable};
pub use mini_wasm_canonical_abi::{Borrow, Own};
pub use stop::Stop;
pub use sys::path::Resolution;

interfaces! {
    io::error,
    io::poll,
    io::streams,
    cli::environment,
    cli::exit,
    cli::stdin,
    cli::stdout,
    cli::stderr,
    cli::terminal_input,
    cli::terminal_output,
    cli::terminal_stdin,
    cli::terminal_stdout,
    cli::terminal_stderr,
    clocks::monotonic_clock,
    clocks::wall_clock,
    clocks::timezone,
    random::random,
    random::insecure,
    random::insecure_seed,
    filesystem::types,
    filesystem::preopens,
    sockets::network,
    sockets::instance_network,
    sockets::ip_name_lookup,
    sockets::tcp,
    sockets::tcp_create_socket,
    sockets::udp,
    sockets::udp_create_socket,
    http::types,
    http::outgoing_handler,
}

/// Interfaces of proposals that are no part of WASI 0.2: a guest of another version of a draft does not link.
pub mod drafts {
    crate::interface::interfaces! {
        config::store,
        config::store::draft,
        keyvalue::store,
        keyvalue::store::draft,
        keyvalue::atomics,
        keyvalue::atomics::draft,
        keyvalue::batch,
        keyvalue::batch::draft,
    }
}

/// All functions of all interfaces, drafts included.
pub fn functions() -> Vec<Listed> {
    let mut list = interface::List::default();
    let Ok(()) = rows(&mut list);
    let Ok(()) = drafts::rows(&mut list);
    list.functions
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
