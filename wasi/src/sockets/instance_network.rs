//! `wasi:sockets/instance-network`.

use mini_wasm_canonical_abi::Own;

use crate::interface::interface;
use crate::sockets::network::Network;
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/instance-network@0.2.12";
    func instance_network();
}

/// `instance-network`: a handle to name the network by.
pub fn instance_network(wasi: &mut Wasi) -> Result<Own<Network>, Stop> {
    wasi.table.push(Network::new())
}
