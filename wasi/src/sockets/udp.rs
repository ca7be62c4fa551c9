//! `wasi:sockets/udp`: the resource `udp-socket` and its two streams of datagrams.
//!
//! Sending and receiving are checked for each peer, so a socket that may send somewhere hears nobody else.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mini_wasm_canonical_abi::{Borrow, Own, record};

use crate::ctx::Capability;
use crate::interface::interface;
use crate::io::poll::{self, Pollable};
use crate::io::streams::Handle;
use crate::sockets::kept::Kept;
use crate::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Network, Outcome, destination, unicast,
};
use crate::sockets::policy::SocketUse;
use crate::sys::Errno;
use crate::sys::net::{self, Family};
use crate::sys::wait::{self, Interest};
use crate::{Stop, Wasi};

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

/// How many datagrams one call moves at most.
const BATCH: u64 = 16;
/// The longest datagram there can be.
const MAX_DATAGRAM: usize = 65_535;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unbound,
    BindInProgress,
    Bound,
}

/// The resource `udp-socket`.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Arc<OwnedFd>,
    family: Family,
    state: State,
    remote: Option<SocketAddr>,
    /// How many times streams have been made: only the last pair works.
    association: Arc<AtomicU64>,
    kept: Arc<Kept>,
}

impl UdpSocket {
    pub(crate) fn new(socket: Arc<OwnedFd>, family: Family, kept: Arc<Kept>) -> Self {
        Self { socket, family, state: State::Unbound, remote: None, association: Arc::default(), kept }
    }
}

/// What the two streams of a socket have in common.
#[derive(Debug)]
struct End {
    socket: Arc<OwnedFd>,
    family: Family,
    remote: Option<SocketAddr>,
    /// The socket's count, and what it was when these were made.
    association: Arc<AtomicU64>,
    made: u64,
    /// For the socket, which is there as long as this is.
    _kept: Arc<Kept>,
}

impl End {
    fn is_current(&self) -> Result<(), ErrorCode> {
        match self.association.load(Ordering::Relaxed) == self.made {
            true => Ok(()),
            false => Err(ErrorCode::InvalidState),
        }
    }
}

/// The resource `incoming-datagram-stream`.
#[derive(Debug)]
pub struct IncomingDatagramStream(End);

/// The resource `outgoing-datagram-stream`.
#[derive(Debug)]
pub struct OutgoingDatagramStream {
    end: End,
    /// What the last `check-send` permitted and no `send` has used.
    permit: u64,
}

/// `udp-socket`.
pub mod udp_socket {
    use super::*;

    fn option<T>(
        wasi: &mut Wasi,
        this: &Borrow<UdpSocket>,
        option: impl FnOnce(BorrowedFd<'_>, Family) -> Result<T, Errno>,
    ) -> Outcome<T> {
        let socket = wasi.table.get(this)?;
        Ok(option(socket.socket.as_fd(), socket.family).map_err(ErrorCode::from))
    }

    /// Sets an option to what is more than nothing.
    fn set<T: PartialEq + Default>(
        wasi: &mut Wasi,
        this: &Borrow<UdpSocket>,
        value: T,
        set: impl FnOnce(BorrowedFd<'_>, Family, T) -> Result<(), Errno>,
    ) -> Outcome<()> {
        if value == T::default() {
            wasi.table.get(this)?;
            return Ok(Err(ErrorCode::InvalidArgument));
        }
        option(wasi, this, |socket, family| set(socket, family, value))
    }

    /// Sets the size of one of the system's buffers.
    fn buffer(wasi: &mut Wasi, this: &Borrow<UdpSocket>, of: Interest, value: u64) -> Outcome<()> {
        let kept = wasi.table.get(this)?.kept.clone();
        match if value == 0 { Ok(0) } else { kept.buffer(of, value) } {
            Ok(bytes) => set(wasi, this, bytes, |socket, _, bytes| net::set_buffer(socket, of, bytes)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// `start-bind`.
    pub fn start_bind(
        wasi: &mut Wasi,
        this: Borrow<UdpSocket>,
        network: Borrow<Network>,
        local_address: IpSocketAddress,
    ) -> Outcome<()> {
        wasi.table.get(&network)?;
        let socket = wasi.table.get_mut(&this)?;
        let address = match (socket.state, unicast(socket.family, local_address)) {
            (State::Unbound, Ok(address)) => address,
            (State::Unbound, Err(error)) => return Ok(Err(error)),
            (State::BindInProgress, _) => return Ok(Err(ErrorCode::ConcurrencyConflict)),
            (State::Bound, _) => return Ok(Err(ErrorCode::InvalidState)),
        };
        if !wasi.network.allows(SocketUse::UdpBind, &address) {
            wasi.refused(Capability::Network, &address.to_string());
            return Ok(Err(ErrorCode::AccessDenied));
        }
        Ok(match net::bind(&*socket.socket, &address, false) {
            Ok(()) => {
                socket.state = State::BindInProgress;
                Ok(())
            }
            Err(error) => Err(error.into()),
        })
    }

    /// `finish-bind`.
    pub fn finish_bind(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<()> {
        let socket = wasi.table.get_mut(&this)?;
        if socket.state != State::BindInProgress {
            return Ok(Err(ErrorCode::NotInProgress));
        }
        socket.state = State::Bound;
        Ok(Ok(()))
    }

    /// `stream`: with everybody, or with one peer: to name one takes the right to send and to receive.
    pub fn stream(
        wasi: &mut Wasi,
        this: Borrow<UdpSocket>,
        remote_address: Option<IpSocketAddress>,
    ) -> Outcome<(Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>)> {
        wasi.table.room(2)?;
        let socket = wasi.table.get_mut(&this)?;
        if socket.state != State::Bound {
            return Ok(Err(ErrorCode::InvalidState));
        }
        let remote = match remote_address.map(|address| destination(socket.family, address)).transpose() {
            Ok(remote) => remote,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(remote) = &remote {
            let uses = [SocketUse::UdpSend, SocketUse::UdpReceive];
            if !uses.iter().all(|socket_use| wasi.network.allows(*socket_use, remote)) {
                wasi.refused(Capability::Network, &remote.to_string());
                return Ok(Err(ErrorCode::AccessDenied));
            }
        }
        if socket.remote.take().is_some()
            && let Err(error) = net::disconnect(&*socket.socket)
        {
            return Ok(Err(error.into()));
        }
        if let Some(remote) = &remote
            && let Err(error) = net::connect(&*socket.socket, remote)
        {
            return Ok(Err(error.into()));
        }
        socket.remote = remote;
        let made = socket.association.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let end = || End {
            socket: socket.socket.clone(),
            family: socket.family,
            remote,
            association: socket.association.clone(),
            made,
            _kept: socket.kept.clone(),
        };
        let (incoming, outgoing) = (end(), end());
        let incoming = wasi.table.push(IncomingDatagramStream(incoming))?;
        let outgoing = wasi.table.push(OutgoingDatagramStream { end: outgoing, permit: 0 })?;
        Ok(Ok((incoming, outgoing)))
    }

    /// `local-address`.
    pub fn local_address(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<IpSocketAddress> {
        let socket = wasi.table.get(&this)?;
        Ok(match socket.state {
            State::Bound => net::local_address(&*socket.socket).map(Into::into).map_err(Into::into),
            _ => Err(ErrorCode::InvalidState),
        })
    }

    /// `remote-address`.
    pub fn remote_address(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<IpSocketAddress> {
        Ok(wasi.table.get(&this)?.remote.map(Into::into).ok_or(ErrorCode::InvalidState))
    }

    /// `address-family`.
    pub fn address_family(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Result<IpAddressFamily, Stop> {
        Ok(wasi.table.get(&this)?.family.into())
    }

    /// `unicast-hop-limit`.
    pub fn unicast_hop_limit(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<u8> {
        option(wasi, &this, |socket, family| net::hop_limit(socket, family))
    }

    /// `set-unicast-hop-limit`.
    pub fn set_unicast_hop_limit(wasi: &mut Wasi, this: Borrow<UdpSocket>, value: u8) -> Outcome<()> {
        set(wasi, &this, value, |socket, family, value| net::set_hop_limit(socket, family, value))
    }

    /// `receive-buffer-size`.
    pub fn receive_buffer_size(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<u64> {
        option(wasi, &this, |socket, _| net::receive_buffer(socket))
    }

    /// `set-receive-buffer-size`.
    pub fn set_receive_buffer_size(wasi: &mut Wasi, this: Borrow<UdpSocket>, value: u64) -> Outcome<()> {
        buffer(wasi, &this, Interest::Read, value)
    }

    /// `send-buffer-size`.
    pub fn send_buffer_size(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Outcome<u64> {
        option(wasi, &this, |socket, _| net::send_buffer(socket))
    }

    /// `set-send-buffer-size`.
    pub fn set_send_buffer_size(wasi: &mut Wasi, this: Borrow<UdpSocket>, value: u64) -> Outcome<()> {
        buffer(wasi, &this, Interest::Write, value)
    }

    /// `subscribe`: nothing that the socket itself does takes time.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<UdpSocket>) -> Result<Own<Pollable>, Stop> {
        wasi.table.get(&this)?;
        poll::subscribe(wasi, Pollable::ready())
    }
}

/// `incoming-datagram-stream`.
pub mod incoming_datagram_stream {
    use super::*;

    /// `receive`: what is there, at most sixteen of them; none if nothing is there yet.
    pub fn receive(
        wasi: &mut Wasi,
        this: Borrow<IncomingDatagramStream>,
        max_results: u64,
    ) -> Outcome<Vec<IncomingDatagram>> {
        let IncomingDatagramStream(end) = wasi.table.get(&this)?;
        if let Err(error) = end.is_current() {
            return Ok(Err(error));
        }
        let mut received = Vec::new();
        let mut buffer = vec![0; if max_results == 0 { 0 } else { MAX_DATAGRAM }];
        let mut bytes = 0;
        // What nobody may hear is taken and forgotten, but not for ever.
        for _ in 0..BATCH * 4 {
            if received.len() as u64 >= max_results.min(BATCH) {
                break;
            }
            match net::receive_from(&*end.socket, &mut buffer) {
                Ok((len, from)) => {
                    let expected = end.remote.is_none_or(|remote| remote == from);
                    if expected && wasi.network.allows(SocketUse::UdpReceive, &from) {
                        let data = buffer[..len].to_vec();
                        bytes += len + size_of::<IncomingDatagram>();
                        received.push(IncomingDatagram { data, remote_address: from.into() });
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(_) if !received.is_empty() => break,
                Err(error) => return Ok(Err(error.into())),
            }
        }
        wasi.give(bytes)?;
        Ok(Ok(received))
    }

    /// `subscribe`: ready when something is there.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<IncomingDatagramStream>) -> Result<Own<Pollable>, Stop> {
        let IncomingDatagramStream(end) = wasi.table.get(&this)?;
        let pollable = Pollable::handle(Handle::Open(end.socket.clone()), Interest::Read);
        poll::subscribe(wasi, pollable)
    }
}

/// `outgoing-datagram-stream`.
pub mod outgoing_datagram_stream {
    use super::*;

    /// `check-send`: how many datagrams the next `send` may have.
    pub fn check_send(wasi: &mut Wasi, this: Borrow<OutgoingDatagramStream>) -> Outcome<u64> {
        let stream = wasi.table.get_mut(&this)?;
        if let Err(error) = stream.end.is_current() {
            return Ok(Err(error));
        }
        stream.permit = if wait::ready(&*stream.end.socket, Interest::Write) { BATCH } else { 0 };
        Ok(Ok(stream.permit))
    }

    /// `send`: how many were sent; an error is told if it was the first that failed. More than permitted traps.
    pub fn send(
        wasi: &mut Wasi,
        this: Borrow<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> Outcome<u64> {
        let stream = wasi.table.get_mut(&this)?;
        let Some(left) = stream.permit.checked_sub(datagrams.len() as u64) else {
            return Err(Stop::Trap(format!(
                "send of {} datagrams where check-send permitted {}",
                datagrams.len(),
                stream.permit
            )));
        };
        stream.permit = left;
        let stream = wasi.table.get(&this)?;
        let mut sent = 0;
        for datagram in &datagrams {
            match send_one(wasi, &stream.end, datagram) {
                Ok(()) => sent += 1,
                Err(ErrorCode::WouldBlock) => break,
                Err(_) if sent > 0 => break,
                Err(error) => {
                    if error == ErrorCode::AccessDenied {
                        wasi.refused(Capability::Network, "a datagram's destination");
                    }
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(sent))
    }

    fn send_one(wasi: &Wasi, end: &End, datagram: &OutgoingDatagram) -> Result<(), ErrorCode> {
        end.is_current()?;
        let to = datagram.remote_address.map(|address| destination(end.family, address)).transpose()?;
        let to = match (end.remote, to) {
            (Some(remote), None) => remote,
            (Some(remote), Some(to)) if to == remote => remote,
            (None, Some(to)) => to,
            _ => return Err(ErrorCode::InvalidArgument),
        };
        if !wasi.network.allows(SocketUse::UdpSend, &to) {
            return Err(ErrorCode::AccessDenied);
        }
        match end.remote {
            Some(_) => net::send(&*end.socket, &datagram.data)?,
            None => net::send_to(&*end.socket, &datagram.data, &to)?,
        };
        Ok(())
    }

    /// `subscribe`: ready when `check-send` would permit something.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<OutgoingDatagramStream>) -> Result<Own<Pollable>, Stop> {
        let stream = wasi.table.get(&this)?;
        let pollable = Pollable::handle(Handle::Open(stream.end.socket.clone()), Interest::Write);
        poll::subscribe(wasi, pollable)
    }
}
