//! `wasi:sockets/network`: addresses, and the right to use a network.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mini_wasm_canonical_abi::{Borrow, Own, enumeration, record, variant};

use crate::ctx::Capability;
use crate::interface::interface;
use crate::io::error::Error;
use crate::sockets::kept::Kept;
use crate::sys::Errno;
use crate::sys::net::{self, Family, Kind};
use crate::{Stop, Wasi};

interface! {
    "wasi:sockets/network@0.2.12";
    resource Network in self {}
    func network_error_code(err) unstable NetworkErrorCode;
}

/// The resource `network`: names the network of the instance; gives no access by itself.
#[derive(Debug)]
pub struct Network(());

impl Network {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

enumeration! {
    /// `error-code`.
    pub enum ErrorCode = "error-code" {
        /// None of the others.
        Unknown,
        /// Not granted.
        AccessDenied,
        /// Not supported.
        NotSupported,
        /// Makes no sense.
        InvalidArgument,
        /// Out of memory.
        OutOfMemory,
        /// Took too long.
        Timeout,
        /// Another operation is under way.
        ConcurrencyConflict,
        /// No operation is under way.
        NotInProgress,
        /// Would have to wait.
        WouldBlock,
        /// Not in this state.
        InvalidState,
        /// Too many sockets.
        NewSocketLimit,
        /// No such address here.
        AddressNotBindable,
        /// Address in use.
        AddressInUse,
        /// No way there.
        RemoteUnreachable,
        /// Refused.
        ConnectionRefused,
        /// Reset.
        ConnectionReset,
        /// Aborted.
        ConnectionAborted,
        /// Too large for one datagram.
        DatagramTooLarge,
        /// No such name.
        NameUnresolvable,
        /// The resolver failed; may work later.
        TemporaryResolverFailure,
        /// The resolver failed for good.
        PermanentResolverFailure,
    }
}

enumeration! {
    /// `ip-address-family`.
    pub enum IpAddressFamily = "ip-address-family" {
        /// IPv4.
        Ipv4,
        /// IPv6.
        Ipv6,
    }
}

/// Four bytes, first to last.
pub type Ipv4Address = (u8, u8, u8, u8);
/// Eight groups, first to last.
pub type Ipv6Address = (u16, u16, u16, u16, u16, u16, u16, u16);

variant! {
    /// `ip-address`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum IpAddress = "ip-address" {
        /// IPv4.
        Ipv4(Ipv4Address),
        /// IPv6.
        Ipv6(Ipv6Address),
    }
}

record! {
    /// `ipv4-socket-address`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ipv4SocketAddress = "ipv4-socket-address" {
        /// Port.
        pub port: u16,
        /// Address.
        pub address: Ipv4Address,
    }
}

record! {
    /// `ipv6-socket-address`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ipv6SocketAddress = "ipv6-socket-address" {
        /// Port.
        pub port: u16,
        /// Flow.
        pub flow_info: u32,
        /// Address.
        pub address: Ipv6Address,
        /// Scope.
        pub scope_id: u32,
    }
}

variant! {
    /// `ip-socket-address`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum IpSocketAddress = "ip-socket-address" {
        /// IPv4.
        Ipv4(Ipv4SocketAddress),
        /// IPv6.
        Ipv6(Ipv6SocketAddress),
    }
}

/// `network-error-code`, unstable: what a stream's error is in the words of sockets, if a connection gave it.
pub fn network_error_code(wasi: &mut Wasi, err: Borrow<Error>) -> Result<Option<ErrorCode>, Stop> {
    Ok(wasi.table.get(&err)?.network_code())
}

/// What a function gives: a value or an error code, unless it stops the guest.
pub(crate) type Outcome<T> = Result<Result<T, ErrorCode>, Stop>;

/// Makes a socket, unless nothing of the network has been granted. `what` names it to whoever runs the guest.
pub(crate) fn create<T: Send + 'static>(
    wasi: &mut Wasi,
    family: IpAddressFamily,
    kind: Kind,
    what: &str,
    socket: impl FnOnce(Arc<OwnedFd>, Family, Arc<Kept>) -> T,
) -> Outcome<Own<T>> {
    if !wasi.network.allows_sockets() {
        wasi.refused(Capability::Network, what);
        return Ok(Err(ErrorCode::AccessDenied));
    }
    wasi.table.room(1)?;
    if !wasi.handles.room() {
        return Ok(Err(ErrorCode::NewSocketLimit));
    }
    let kept = match Kept::new(wasi) {
        Ok(kept) => kept,
        Err(error) => return Ok(Err(error)),
    };
    match net::open(family.into(), kind) {
        Ok(opened) => {
            let opened = Arc::new(opened);
            wasi.handles.hold(&opened);
            wasi.table.push(socket(opened, family.into(), kept)).map(Ok)
        }
        Err(error) => Ok(Err(error.into())),
    }
}

impl From<Errno> for ErrorCode {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ACCESS | Errno::PERM => Self::AccessDenied,
            Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::NOSYS => Self::NotSupported,
            Errno::INVAL | Errno::AFNOSUPPORT | Errno::FAULT => Self::InvalidArgument,
            Errno::NOMEM | Errno::NOBUFS => Self::OutOfMemory,
            Errno::TIMEDOUT => Self::Timeout,
            Errno::ALREADY | Errno::INPROGRESS => Self::ConcurrencyConflict,
            Errno::AGAIN => Self::WouldBlock,
            Errno::ISCONN | Errno::NOTCONN | Errno::DESTADDRREQ => Self::InvalidState,
            Errno::MFILE | Errno::NFILE => Self::NewSocketLimit,
            Errno::ADDRNOTAVAIL => Self::AddressNotBindable,
            Errno::ADDRINUSE => Self::AddressInUse,
            Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETUNREACH | Errno::NETDOWN => {
                Self::RemoteUnreachable
            }
            Errno::CONNREFUSED => Self::ConnectionRefused,
            Errno::CONNRESET | Errno::PIPE => Self::ConnectionReset,
            Errno::CONNABORTED => Self::ConnectionAborted,
            Errno::MSGSIZE => Self::DatagramTooLarge,
            _ => Self::Unknown,
        }
    }
}

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Self::V4,
            IpAddressFamily::Ipv6 => Self::V6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Ipv4,
            Family::V6 => Self::Ipv6,
        }
    }
}

impl From<IpAddr> for IpAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::Ipv4(v4.octets().into()),
            IpAddr::V6(v6) => Self::Ipv6(v6.segments().into()),
        }
    }
}

impl From<IpSocketAddress> for SocketAddr {
    fn from(address: IpSocketAddress) -> Self {
        match address {
            IpSocketAddress::Ipv4(v4) => {
                let address: [u8; 4] = v4.address.into();
                SocketAddrV4::new(address.into(), v4.port).into()
            }
            IpSocketAddress::Ipv6(v6) => {
                let address: [u16; 8] = v6.address.into();
                SocketAddrV6::new(address.into(), v6.port, v6.flow_info, v6.scope_id).into()
            }
        }
    }
}

impl From<SocketAddr> for IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => {
                Self::Ipv4(Ipv4SocketAddress { port: v4.port(), address: v4.ip().octets().into() })
            }
            SocketAddr::V6(v6) => Self::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: v6.ip().segments().into(),
                scope_id: v6.scope_id(),
            }),
        }
    }
}

/// An address that a socket of this family may be given at all: of one host, and not IPv4 in IPv6's clothes.
pub(crate) fn unicast(family: Family, address: IpSocketAddress) -> Result<SocketAddr, ErrorCode> {
    let address = SocketAddr::from(address);
    let single = match address.ip() {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast() && v6.to_ipv4_mapped().is_none(),
    };
    match single && Family::of(&address) == family {
        true => Ok(address),
        false => Err(ErrorCode::InvalidArgument),
    }
}

/// [`unicast`], and one that something can be sent to.
pub(crate) fn destination(family: Family, address: IpSocketAddress) -> Result<SocketAddr, ErrorCode> {
    let address = unicast(family, address)?;
    match address.ip().is_unspecified() || address.port() == 0 {
        true => Err(ErrorCode::InvalidArgument),
        false => Ok(address),
    }
}
