//! `wasi:sockets/network`: addresses, and the right to use a network.

use mini_wasm_canonical_abi::{enumeration, record, variant};

use crate::interface::interface;

interface! {
    "wasi:sockets/network@0.2.12";
    resource Network in self {}
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

/// Functions of a resource that nothing can make: `this` never stands for a value.
macro_rules! functions_of_none {
    ($Resource:ident; $($(#[$meta:meta])* fn $name:ident($($type:ty),*) -> $result:ty;)*) => {
        $(
            $(#[$meta])*
            pub fn $name(
                wasi: &mut $crate::Wasi,
                this: mini_wasm_canonical_abi::Borrow<$Resource>
                $(, _: $type)*
            ) -> core::result::Result<$result, $crate::Stop> {
                match *wasi.table.get(&this)? {}
            }
        )*
    };
}
pub(crate) use functions_of_none;
