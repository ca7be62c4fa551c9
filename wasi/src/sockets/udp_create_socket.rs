//! `wasi:sockets/udp-create-socket`.

use mini_wasm_canonical_abi::Own;

use crate::Wasi;
use crate::ctx::Capability;
use crate::interface::interface;
use crate::sockets::network::{ErrorCode, IpAddressFamily, Outcome};
use crate::sockets::udp::UdpSocket;
use crate::sys::net::{self, Kind};

interface! {
    "wasi:sockets/udp-create-socket@0.2.12";
    func create_udp_socket(address_family);
}

/// `create-udp-socket`: denied unless something of the network has been granted.
pub fn create_udp_socket(wasi: &mut Wasi, address_family: IpAddressFamily) -> Outcome<Own<UdpSocket>> {
    if !wasi.network.allows_sockets() {
        wasi.refused(Capability::Network, "a UDP socket");
        return Ok(Err(ErrorCode::AccessDenied));
    }
    wasi.table.room(1)?;
    match net::open(address_family.into(), Kind::Udp) {
        Ok(socket) => wasi.table.push(UdpSocket::new(socket, address_family.into())).map(Ok),
        Err(error) => Ok(Err(error.into())),
    }
}
