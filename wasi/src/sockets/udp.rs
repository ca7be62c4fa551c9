//! `wasi:sockets/udp`: there by type. No socket can be made: see udp_create_socket.rs.

use mini_wasm_canonical_abi::{Borrow, Own, record};

use crate::interface::interface;
use crate::io::poll::Pollable;
use crate::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network, functions_of_none};

interface! {
    "wasi:sockets/udp@0.2.12";
    resource UdpSocket in udp_socket {
        method start_bind(this, network, local_address);
        method finish_bind(this);
        method stream(this, remote_address);
        method local_address(this);
        method remote_address(this);
        method address_family(this);
        method unicast_hop_limit(this);
        method set_unicast_hop_limit(this, value);
        method receive_buffer_size(this);
        method set_receive_buffer_size(this, value);
        method send_buffer_size(this);
        method set_send_buffer_size(this, value);
        method subscribe(this);
    }
    resource IncomingDatagramStream in incoming_datagram_stream {
        method receive(this, max_results);
        method subscribe(this);
    }
    resource OutgoingDatagramStream in outgoing_datagram_stream {
        method check_send(this);
        method send(this, datagrams);
        method subscribe(this);
    }
}

record! {
    /// `incoming-datagram`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct IncomingDatagram = "incoming-datagram" {
        /// What came.
        pub data: Vec<u8>,
        /// Where from.
        pub remote_address: IpSocketAddress,
    }
}

record! {
    /// `outgoing-datagram`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OutgoingDatagram = "outgoing-datagram" {
        /// What goes.
        pub data: Vec<u8>,
        /// Where to, unless the stream is connected.
        pub remote_address: Option<IpSocketAddress>,
    }
}

/// The resource `udp-socket`. Nothing makes one.
#[derive(Debug)]
pub enum UdpSocket {}

/// The resource `incoming-datagram-stream`. Nothing makes one.
#[derive(Debug)]
pub enum IncomingDatagramStream {}

/// The resource `outgoing-datagram-stream`. Nothing makes one.
#[derive(Debug)]
pub enum OutgoingDatagramStream {}

/// `udp-socket`.
pub mod udp_socket {
    use super::*;

    functions_of_none! {
        UdpSocket;
        /// `start-bind`.
        fn start_bind(Borrow<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        /// `finish-bind`.
        fn finish_bind() -> Result<(), ErrorCode>;
        /// `stream`.
        fn stream(Option<IpSocketAddress>) -> Result<(Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>), ErrorCode>;
        /// `local-address`.
        fn local_address() -> Result<IpSocketAddress, ErrorCode>;
        /// `remote-address`.
        fn remote_address() -> Result<IpSocketAddress, ErrorCode>;
        /// `address-family`.
        fn address_family() -> IpAddressFamily;
        /// `unicast-hop-limit`.
        fn unicast_hop_limit() -> Result<u8, ErrorCode>;
        /// `set-unicast-hop-limit`.
        fn set_unicast_hop_limit(u8) -> Result<(), ErrorCode>;
        /// `receive-buffer-size`.
        fn receive_buffer_size() -> Result<u64, ErrorCode>;
        /// `set-receive-buffer-size`.
        fn set_receive_buffer_size(u64) -> Result<(), ErrorCode>;
        /// `send-buffer-size`.
        fn send_buffer_size() -> Result<u64, ErrorCode>;
        /// `set-send-buffer-size`.
        fn set_send_buffer_size(u64) -> Result<(), ErrorCode>;
        /// `subscribe`.
        fn subscribe() -> Own<Pollable>;
    }
}

/// `incoming-datagram-stream`.
pub mod incoming_datagram_stream {
    use super::*;

    functions_of_none! {
        IncomingDatagramStream;
        /// `receive`.
        fn receive(u64) -> Result<Vec<IncomingDatagram>, ErrorCode>;
        /// `subscribe`.
        fn subscribe() -> Own<Pollable>;
    }
}

/// `outgoing-datagram-stream`.
pub mod outgoing_datagram_stream {
    use super::*;

    functions_of_none! {
        OutgoingDatagramStream;
        /// `check-send`.
        fn check_send() -> Result<u64, ErrorCode>;
        /// `send`.
        fn send(Vec<OutgoingDatagram>) -> Result<u64, ErrorCode>;
        /// `subscribe`.
        fn subscribe() -> Own<Pollable>;
    }
}
