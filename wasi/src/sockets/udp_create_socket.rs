//! `wasi:sockets/udp-create-socket`: denied.

use mini_wasm_canonical_abi::Own;

use crate::interface::interface;
use crate::sockets::network::{ErrorCode, IpAddressFamily};
use crate::sockets::udp::UdpSocket;
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/udp-create-socket@0.2.12";
    func create_udp_socket(address_family);
}

/// `create-udp-socket`: denied.
pub fn create_udp_socket(
    _: &mut Wasi,
    _: IpAddressFamily,
) -> Result<Result<Own<UdpSocket>, ErrorCode>, Stop> {
    Ok(Err(ErrorCode::AccessDenied))
}
