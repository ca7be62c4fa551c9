//! `wasi:sockets/tcp`: there by type. No socket can be made: see tcp_create_socket.rs.

use mini_wasm_canonical_abi::{Borrow, Own, enumeration};

use crate::clocks::monotonic_clock::Duration;
use crate::interface::interface;
use crate::io::poll::Pollable;
use crate::io::streams::{InputStream, OutputStream};
use crate::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network, functions_of_none};

interface! {
    "wasi:sockets/tcp@0.2.12";
    resource TcpSocket in tcp_socket {
        method start_bind(this, network, local_address);
        method finish_bind(this);
        method start_connect(this, network, remote_address);
        method finish_connect(this);
        method start_listen(this);
        method finish_listen(this);
        method accept(this);
        method local_address(this);
        method remote_address(this);
        method is_listening(this);
        method address_family(this);
        method set_listen_backlog_size(this, value);
        method keep_alive_enabled(this);
        method set_keep_alive_enabled(this, value);
        method keep_alive_idle_time(this);
        method set_keep_alive_idle_time(this, value);
        method keep_alive_interval(this);
        method set_keep_alive_interval(this, value);
        method keep_alive_count(this);
        method set_keep_alive_count(this, value);
        method hop_limit(this);
        method set_hop_limit(this, value);
        method receive_buffer_size(this);
        method set_receive_buffer_size(this, value);
        method send_buffer_size(this);
        method set_send_buffer_size(this, value);
        method subscribe(this);
        method shutdown(this, shutdown_type);
    }
}

enumeration! {
    /// `shutdown-type`: which half.
    pub enum ShutdownType = "shutdown-type" {
        /// What comes in.
        Receive,
        /// What goes out.
        Send,
        /// Both.
        Both,
    }
}

/// The resource `tcp-socket`. Nothing makes one.
#[derive(Debug)]
pub enum TcpSocket {}

/// `tcp-socket`.
pub mod tcp_socket {
    use super::*;

    functions_of_none! {
        TcpSocket;
        /// `start-bind`.
        fn start_bind(Borrow<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        /// `finish-bind`.
        fn finish_bind() -> Result<(), ErrorCode>;
        /// `start-connect`.
        fn start_connect(Borrow<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        /// `finish-connect`.
        fn finish_connect() -> Result<(Own<InputStream>, Own<OutputStream>), ErrorCode>;
        /// `start-listen`.
        fn start_listen() -> Result<(), ErrorCode>;
        /// `finish-listen`.
        fn finish_listen() -> Result<(), ErrorCode>;
        /// `accept`.
        fn accept() -> Result<(Own<TcpSocket>, Own<InputStream>, Own<OutputStream>), ErrorCode>;
        /// `local-address`.
        fn local_address() -> Result<IpSocketAddress, ErrorCode>;
        /// `remote-address`.
        fn remote_address() -> Result<IpSocketAddress, ErrorCode>;
        /// `is-listening`.
        fn is_listening() -> bool;
        /// `address-family`.
        fn address_family() -> IpAddressFamily;
        /// `set-listen-backlog-size`.
        fn set_listen_backlog_size(u64) -> Result<(), ErrorCode>;
        /// `keep-alive-enabled`.
        fn keep_alive_enabled() -> Result<bool, ErrorCode>;
        /// `set-keep-alive-enabled`.
        fn set_keep_alive_enabled(bool) -> Result<(), ErrorCode>;
        /// `keep-alive-idle-time`.
        fn keep_alive_idle_time() -> Result<Duration, ErrorCode>;
        /// `set-keep-alive-idle-time`.
        fn set_keep_alive_idle_time(Duration) -> Result<(), ErrorCode>;
        /// `keep-alive-interval`.
        fn keep_alive_interval() -> Result<Duration, ErrorCode>;
        /// `set-keep-alive-interval`.
        fn set_keep_alive_interval(Duration) -> Result<(), ErrorCode>;
        /// `keep-alive-count`.
        fn keep_alive_count() -> Result<u32, ErrorCode>;
        /// `set-keep-alive-count`.
        fn set_keep_alive_count(u32) -> Result<(), ErrorCode>;
        /// `hop-limit`.
        fn hop_limit() -> Result<u8, ErrorCode>;
        /// `set-hop-limit`.
        fn set_hop_limit(u8) -> Result<(), ErrorCode>;
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
        /// `shutdown`.
        fn shutdown(ShutdownType) -> Result<(), ErrorCode>;
    }
}
