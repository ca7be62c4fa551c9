//! `wasi:sockets/udp-create-socket`.

use mini_wasm_canonical_abi::Own;

use crate::Wasi;
use crate::interface::interface;
use crate::sockets::network::{IpAddressFamily, Outcome, create};
use crate::sockets::udp::UdpSocket;
use crate::sys::net::Kind;

interface! {
    "wasi:sockets/udp-create-socket@0.2.12";
    func create_udp_socket(address_family);
}

/// `create-udp-socket`: denied unless something of the network has been granted.
pub fn create_udp_socket(wasi: &mut Wasi, address_family: IpAddressFamily) -> Outcome<Own<UdpSocket>> {
    create(wasi, address_family, Kind::Udp, "a UDP socket", UdpSocket::new)
}
