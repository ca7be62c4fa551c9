//! TCP and UDP sockets. None of them ever blocks: who wants to wait does so in [`super::wait`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, acceptfrom_with, connect_unspec,
    getpeername, getsockname, ipproto, recv, recvfrom, sendto, socket_with, sockopt,
};

use crate::sys::Errno;
use crate::sys::wait::Interest;

/// The two families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn number(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::INET,
            Self::V6 => AddressFamily::INET6,
        }
    }

    /// Any address, any port.
    pub(crate) fn unspecified(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into(),
            Self::V6 => SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into(),
        }
    }
}

/// The two kinds of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
}

/// A new socket. One of IPv6 speaks IPv6 alone.
pub(crate) fn open(family: Family, kind: Kind) -> Result<OwnedFd, Errno> {
    let (ty, protocol) = match kind {
        Kind::Tcp => (SocketType::STREAM, ipproto::TCP),
        Kind::Udp => (SocketType::DGRAM, ipproto::UDP),
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family.number(), ty, flags, Some(protocol))?;
    if family == Family::V6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// Binds. With `reuse` connections of the past do not stand in the way.
pub(crate) fn bind(socket: impl AsFd, address: &SocketAddr, reuse: bool) -> Result<(), Errno> {
    let socket = socket.as_fd();
    if reuse {
        sockopt::set_socket_reuseaddr(socket, address.port() != 0)?;
    }
    rustix::net::bind(socket, address)
}

/// Begins to connect; `INPROGRESS` if that takes time, after which the socket becomes writable.
pub(crate) fn connect(socket: impl AsFd, address: &SocketAddr) -> Result<(), Errno> {
    rustix::net::connect(socket, address)
}

/// Ends the connection of a UDP socket.
pub(crate) fn disconnect(socket: impl AsFd) -> Result<(), Errno> {
    connect_unspec(socket)
}

/// What went wrong with a connection since this was last asked.
pub(crate) fn error(socket: impl AsFd) -> Result<(), Errno> {
    sockopt::socket_error(socket)?
}

/// Listens.
pub(crate) fn listen(socket: impl AsFd, backlog: i32) -> Result<(), Errno> {
    rustix::net::listen(socket, backlog)
}

/// Takes a connection, and who it is with; `AGAIN` if there is none.
pub(crate) fn accept_from(socket: impl AsFd) -> Result<(OwnedFd, SocketAddr), Errno> {
    let socket = socket.as_fd();
    loop {
        match acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((connection, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).ok_or(Errno::CONNABORTED)?;
                return Ok((connection, peer));
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes a connection; `AGAIN` if there is none.
pub(crate) fn accept(socket: impl AsFd) -> Result<OwnedFd, Errno> {
    accept_from(socket).map(|(connection, _)| connection)
}

/// The address a socket is bound to.
pub(crate) fn local_address(socket: impl AsFd) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(getsockname(socket)?).map_err(|_| Errno::AFNOSUPPORT)
}

/// The address a socket is connected to.
pub(crate) fn remote_address(socket: impl AsFd) -> Result<SocketAddr, Errno> {
    let peer = getpeername(socket)?.ok_or(Errno::NOTCONN)?;
    SocketAddr::try_from(peer).map_err(|_| Errno::AFNOSUPPORT)
}

/// Receives bytes, with `peek` without taking them; 0 is the end, `AGAIN` nothing yet.
pub(crate) fn receive(socket: impl AsFd, bytes: &mut [u8], peek: bool) -> Result<usize, Errno> {
    let flags = if peek { RecvFlags::PEEK } else { RecvFlags::empty() };
    loop {
        match recv(socket.as_fd(), &mut *bytes, flags | RecvFlags::DONTWAIT) {
            Ok((received, _)) => return Ok(received),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Throws away what has arrived on a connection; not for ever, since a fast peer must not hold the guest up.
pub(crate) fn discard(socket: impl AsFd) {
    let mut bytes = [0; 16 * 1024];
    for _ in 0..256 {
        match receive(socket.as_fd(), &mut bytes, false) {
            // The end, nothing, or an error that is told where something is sent.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Receives a datagram and where it is from; what does not fit is lost.
pub(crate) fn receive_from(socket: impl AsFd, bytes: &mut [u8]) -> Result<(usize, SocketAddr), Errno> {
    loop {
        match recvfrom(socket.as_fd(), &mut *bytes, RecvFlags::DONTWAIT) {
            Ok((received, _, from)) => {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok()).ok_or(Errno::AFNOSUPPORT)?;
                return Ok((received, from));
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends bytes, at most all; a closed connection is an error and no signal.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::send(socket.as_fd(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Sends a datagram to an address.
pub(crate) fn send_to(socket: impl AsFd, bytes: &[u8], to: &SocketAddr) -> Result<usize, Errno> {
    loop {
        match sendto(socket.as_fd(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, to) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Ends one direction of a connection, or both.
pub(crate) fn shutdown(socket: impl AsFd, receive: bool, send: bool) -> Result<(), Errno> {
    rustix::net::shutdown(
        socket,
        match (receive, send) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            _ => Shutdown::Write,
        },
    )
}

/// Whether an idle connection is probed.
pub(crate) fn keep_alive(socket: impl AsFd) -> Result<bool, Errno> {
    sockopt::socket_keepalive(socket)
}

/// Sets [`keep_alive`].
pub(crate) fn set_keep_alive(socket: impl AsFd, on: bool) -> Result<(), Errno> {
    sockopt::set_socket_keepalive(socket, on)
}

/// How long a connection is idle before it is probed.
pub(crate) fn keep_alive_idle(socket: impl AsFd) -> Result<Duration, Errno> {
    sockopt::tcp_keepidle(socket)
}

/// Sets [`keep_alive_idle`]: whole seconds, at most 32,767.
pub(crate) fn set_keep_alive_idle(socket: impl AsFd, time: Duration) -> Result<(), Errno> {
    sockopt::set_tcp_keepidle(socket, seconds(time))
}

/// The time between probes.
pub(crate) fn keep_alive_interval(socket: impl AsFd) -> Result<Duration, Errno> {
    sockopt::tcp_keepintvl(socket)
}

/// Sets [`keep_alive_interval`]: whole seconds, at most 32,767.
pub(crate) fn set_keep_alive_interval(socket: impl AsFd, time: Duration) -> Result<(), Errno> {
    sockopt::set_tcp_keepintvl(socket, seconds(time))
}

/// How many probes go unanswered before the connection is given up.
pub(crate) fn keep_alive_count(socket: impl AsFd) -> Result<u32, Errno> {
    sockopt::tcp_keepcnt(socket)
}

/// Sets [`keep_alive_count`]: at most 127.
pub(crate) fn set_keep_alive_count(socket: impl AsFd, count: u32) -> Result<(), Errno> {
    sockopt::set_tcp_keepcnt(socket, count.clamp(1, 127))
}

/// What the system takes of a time of more than nothing.
fn seconds(time: Duration) -> Duration {
    let up = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    Duration::from_secs(up.clamp(1, 32_767))
}

/// How many routers a packet may pass.
pub(crate) fn hop_limit(socket: impl AsFd, family: Family) -> Result<u8, Errno> {
    match family {
        Family::V4 => Ok(u8::try_from(sockopt::ip_ttl(socket)?).unwrap_or(u8::MAX)),
        Family::V6 => sockopt::ipv6_unicast_hops(socket),
    }
}

/// Sets [`hop_limit`].
pub(crate) fn set_hop_limit(socket: impl AsFd, family: Family, limit: u8) -> Result<(), Errno> {
    match family {
        Family::V4 => sockopt::set_ip_ttl(socket, limit.into()),
        Family::V6 => sockopt::set_ipv6_unicast_hops(socket, Some(limit)),
    }
}

/// Size in bytes of the buffer for what comes in. The system keeps books in it too and counts double.
pub(crate) fn receive_buffer(socket: impl AsFd) -> Result<u64, Errno> {
    Ok(sockopt::socket_recv_buffer_size(socket)? as u64 / 2)
}

/// Size in bytes of the buffer for what goes out, as [`receive_buffer`].
pub(crate) fn send_buffer(socket: impl AsFd) -> Result<u64, Errno> {
    Ok(sockopt::socket_send_buffer_size(socket)? as u64 / 2)
}

/// Sets [`receive_buffer`] or [`send_buffer`], as near as the system allows.
pub(crate) fn set_buffer(socket: impl AsFd, of: Interest, bytes: u64) -> Result<(), Errno> {
    match of {
        Interest::Read => sockopt::set_socket_recv_buffer_size(socket, size(bytes)),
        Interest::Write => sockopt::set_socket_send_buffer_size(socket, size(bytes)),
    }
}

/// A size that half an `int` holds.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(i32::MAX as usize / 2)
}
