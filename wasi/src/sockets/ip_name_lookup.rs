//! `wasi:sockets/ip-name-lookup`: denied. A lookup alone could carry secrets out.

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::interface::interface;
use crate::io::poll::Pollable;
use crate::sockets::network::{ErrorCode, IpAddress, Network, functions_of_none};
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/ip-name-lookup@0.2.12";
    resource ResolveAddressStream in resolve_address_stream {
        method resolve_next_address(this);
        method subscribe(this);
    }
    func resolve_addresses(network, name);
}

/// The resource `resolve-address-stream`. Nothing makes one.
#[derive(Debug)]
pub enum ResolveAddressStream {}

/// `resolve-address-stream`.
pub mod resolve_address_stream {
    use super::*;

    functions_of_none! {
        ResolveAddressStream;
        /// `resolve-next-address`.
        fn resolve_next_address() -> Result<Option<IpAddress>, ErrorCode>;
        /// `subscribe`.
        fn subscribe() -> Own<Pollable>;
    }
}

/// `resolve-addresses`: denied.
pub fn resolve_addresses(
    wasi: &mut Wasi,
    network: Borrow<Network>,
    _name: String,
) -> Result<Result<Own<ResolveAddressStream>, ErrorCode>, Stop> {
    wasi.table.get(&network)?;
    Ok(Err(ErrorCode::AccessDenied))
}
