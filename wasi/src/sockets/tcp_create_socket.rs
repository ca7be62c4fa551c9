//! `wasi:sockets/tcp-create-socket`: denied.

use mini_wasm_canonical_abi::Own;

use crate::interface::interface;
use crate::sockets::network::{ErrorCode, IpAddressFamily};
use crate::sockets::tcp::TcpSocket;
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/tcp-create-socket@0.2.12";
    func create_tcp_socket(address_family);
}

/// `create-tcp-socket`: denied.
pub fn create_tcp_socket(
    _: &mut Wasi,
    _: IpAddressFamily,
) -> Result<Result<Own<TcpSocket>, ErrorCode>, Stop> {
    Ok(Err(ErrorCode::AccessDenied))
}
