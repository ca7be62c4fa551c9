//! `wasi:sockets/tcp-create-socket`.

use mini_wasm_canonical_abi::Own;

use crate::Wasi;
use crate::ctx::Capability;
use crate::interface::interface;
use crate::sockets::network::{ErrorCode, IpAddressFamily, Outcome};
use crate::sockets::tcp::TcpSocket;
use crate::sys::net::{self, Kind};

interface! {
    "wasi:sockets/tcp-create-socket@0.2.12";
    func create_tcp_socket(address_family);
}

/// `create-tcp-socket`: denied unless something of the network has been granted.
pub fn create_tcp_socket(wasi: &mut Wasi, address_family: IpAddressFamily) -> Outcome<Own<TcpSocket>> {
    if !wasi.network.allows_sockets() {
        wasi.refused(Capability::Network, "a TCP socket");
        return Ok(Err(ErrorCode::AccessDenied));
    }
    wasi.table.room(1)?;
    match net::open(address_family.into(), Kind::Tcp) {
        Ok(socket) => wasi.table.push(TcpSocket::new(socket, address_family.into())).map(Ok),
        Err(error) => Ok(Err(error.into())),
    }
}
