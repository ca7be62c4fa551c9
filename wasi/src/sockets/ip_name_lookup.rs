//! `wasi:sockets/ip-name-lookup`. A lookup alone can carry secrets out, so each name takes a grant.

use std::collections::VecDeque;
use std::net::IpAddr;

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::ctx::Capability;
use crate::interface::interface;
use crate::io::poll::{self, Pollable};
use crate::io::streams::Handle;
use crate::sockets::lookup::Lookup;
use crate::sockets::network::{ErrorCode, IpAddress, Network, Outcome};
use crate::sockets::policy;
use crate::sys::clock;
use crate::sys::wait::Interest;
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/ip-name-lookup@0.2.12";
    resource ResolveAddressStream in resolve_address_stream {
        method resolve_next_address(this);
        method subscribe(this);
    }
    func resolve_addresses(network, name);
}

/// After how many nanoseconds a lookup is given up.
const PATIENCE: u64 = 30_000_000_000;

/// The resource `resolve-address-stream`.
#[derive(Debug)]
pub struct ResolveAddressStream(State);

#[derive(Debug)]
enum State {
    Waits {
        name: String,
        lookup: Lookup,
        /// Nanoseconds of the system's monotonic clock.
        until: u64,
    },
    Found(VecDeque<IpAddr>),
    Failed(ErrorCode),
}

/// `resolve-address-stream`.
pub mod resolve_address_stream {
    use super::*;

    /// `resolve-next-address`: the next; nothing at the end.
    pub fn resolve_next_address(
        wasi: &mut Wasi,
        this: Borrow<ResolveAddressStream>,
    ) -> Outcome<Option<IpAddress>> {
        let stream = wasi.table.get_mut(&this)?;
        if let State::Waits { name, lookup, until } = &stream.0 {
            let answer = match lookup.answer() {
                None if clock::monotonic() >= *until => Err(ErrorCode::TemporaryResolverFailure),
                None => return Ok(Err(ErrorCode::WouldBlock)),
                Some(answer) => answer.map_err(|not_found| not_found.code),
            };
            stream.0 = match answer {
                Ok(addresses) => {
                    wasi.network.found(name, &addresses);
                    State::Found(addresses.into())
                }
                Err(error) => State::Failed(error),
            };
        }
        Ok(match &mut stream.0 {
            State::Found(addresses) => Ok(addresses.pop_front().map(IpAddress::from)),
            State::Failed(error) => Err(*error),
            State::Waits { .. } => Err(ErrorCode::WouldBlock),
        })
    }

    /// `subscribe`: ready when the answer is there, or time is over.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<ResolveAddressStream>) -> Result<Own<Pollable>, Stop> {
        let pollable = match &wasi.table.get(&this)?.0 {
            State::Waits { lookup, until, .. } => {
                Pollable::handle_until(Handle::Open(lookup.done.clone()), Interest::Read, *until)
            }
            _ => Pollable::ready(),
        };
        poll::subscribe(wasi, pollable)
    }
}

/// `resolve-addresses`: an address as it is, a name if that has been granted.
pub fn resolve_addresses(
    wasi: &mut Wasi,
    network: Borrow<Network>,
    name: String,
) -> Outcome<Own<ResolveAddressStream>> {
    wasi.table.get(&network)?;
    wasi.table.room(1)?;
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    if let Ok(address) = literal.parse::<IpAddr>() {
        let found = State::Found([address.to_canonical()].into());
        return wasi.table.push(ResolveAddressStream(found)).map(Ok);
    }
    let Some(known) = policy::name(&name) else { return Ok(Err(ErrorCode::InvalidArgument)) };
    if !wasi.network.allows_lookup(&known) {
        wasi.refused(Capability::Resolve, &known);
        return Ok(Err(ErrorCode::AccessDenied));
    }
    // Until it is answered it takes a handle of the system's.
    if !wasi.handles.room() {
        return Ok(Err(ErrorCode::NewSocketLimit));
    }
    let until = clock::monotonic().saturating_add(PATIENCE);
    match Lookup::begin(wasi.asker, known.clone()) {
        Ok(lookup) => {
            wasi.handles.hold(&lookup.done);
            wasi.table.push(ResolveAddressStream(State::Waits { name: known, lookup, until })).map(Ok)
        }
        Err(error) => Ok(Err(error)),
    }
}
