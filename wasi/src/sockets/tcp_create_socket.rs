//! `wasi:sockets/tcp-create-socket`.

use mini_wasm_canonical_abi::Own;

use crate::Wasi;
use crate::interface::interface;
use crate::sockets::network::{IpAddressFamily, Outcome, create};
use crate::sockets::tcp::TcpSocket;
use crate::sys::net::Kind;

interface! {
    "wasi:sockets/tcp-create-socket@0.2.12";
    func create_tcp_socket(address_family);
}

/// `create-tcp-socket`: denied unless something of the network has been granted.
pub fn create_tcp_socket(wasi: &mut Wasi, address_family: IpAddressFamily) -> Outcome<Own<TcpSocket>> {
    let linger = wasi.linger.clone();
    create(wasi, address_family, Kind::Tcp, "a TCP socket", |socket, family, kept| {
        TcpSocket::new(socket, family, linger, kept)
    })
}
