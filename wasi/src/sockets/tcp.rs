//! `wasi:sockets/tcp`: the resource `tcp-socket` and its states.
//!
//! Every `start-...` makes the system call and keeps how it went, every `finish-...` tells. Only connecting takes time: its
//! `finish` looks whether the socket has become writable.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use mini_wasm_canonical_abi::{Borrow, Own, enumeration};

use crate::clocks::monotonic_clock::Duration;
use crate::ctx::Capability;
use crate::interface::interface;
use crate::io::poll::{self, Pollable};
use crate::io::streams::{InputStream, OutputStream};
use crate::sockets::connection::{Connection, Linger};
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

/// How long a queue of connections that wait to be accepted is, unless a guest says otherwise, and at most.
const BACKLOG: i32 = 128;
const MAX_BACKLOG: i32 = 4096;

/// The states of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Unbound,
    BindInProgress,
    Bound,
    ListenInProgress,
    Listening,
    ConnectInProgress,
    Connected,
    Closed,
}

/// What a socket and its pollables share: which of the two ways it is waited for changes with its state.
#[derive(Debug)]
pub(crate) struct TcpState {
    socket: Arc<OwnedFd>,
    state: AtomicU8,
}

impl TcpState {
    const ALL: [State; 8] = [
        State::Unbound,
        State::BindInProgress,
        State::Bound,
        State::ListenInProgress,
        State::Listening,
        State::ConnectInProgress,
        State::Connected,
        State::Closed,
    ];

    fn load(&self) -> State {
        Self::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// What the operation that is under way waits for, if one is.
    pub(crate) fn waits_for(&self) -> Option<Interest> {
        match self.load() {
            State::ConnectInProgress => Some(Interest::Write),
            State::Listening => Some(Interest::Read),
            _ => None,
        }
    }
}

impl AsFd for TcpState {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The resource `tcp-socket`.
#[derive(Debug)]
pub struct TcpSocket {
    shared: Arc<TcpState>,
    family: Family,
    backlog: i32,
    connection: OnceLock<Arc<Connection>>,
    linger: Arc<Linger>,
    kept: Arc<Kept>,
}

impl TcpSocket {
    pub(crate) fn new(socket: Arc<OwnedFd>, family: Family, linger: Arc<Linger>, kept: Arc<Kept>) -> Self {
        Self::of(socket, family, State::Unbound, linger, kept)
    }

    fn of(socket: Arc<OwnedFd>, family: Family, state: State, linger: Arc<Linger>, kept: Arc<Kept>) -> Self {
        let shared = Arc::new(TcpState { socket, state: AtomicU8::new(state as u8) });
        Self { shared, family, backlog: BACKLOG, connection: OnceLock::new(), linger, kept }
    }

    fn state(&self) -> State {
        self.shared.load()
    }

    fn enter(&self, state: State) {
        self.shared.state.store(state as u8, Ordering::Relaxed);
    }

    fn connection(&self) -> &Arc<Connection> {
        self.connection.get_or_init(|| {
            Connection::new(self.shared.socket.clone(), self.linger.clone(), self.kept.clone())
        })
    }

    /// `Ok` in one of these states, else why not.
    fn is_in(&self, states: &[State]) -> Result<(), ErrorCode> {
        match self.state() {
            state if states.contains(&state) => Ok(()),
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                Err(ErrorCode::ConcurrencyConflict)
            }
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn is_not_closed(&self) -> Result<(), ErrorCode> {
        if self.state() == State::Closed { Err(ErrorCode::InvalidState) } else { Ok(()) }
    }
}

/// `tcp-socket`.
pub mod tcp_socket {
    use super::*;

    /// Gets an option.
    fn option<T>(
        wasi: &mut Wasi,
        this: &Borrow<TcpSocket>,
        option: impl FnOnce(BorrowedFd<'_>, Family) -> Result<T, Errno>,
    ) -> Outcome<T> {
        let socket = wasi.table.get(this)?;
        let value = |()| Ok(option(socket.shared.as_fd(), socket.family)?);
        Ok(socket.is_not_closed().and_then(value))
    }

    /// Sets an option to what is more than nothing.
    fn set<T: PartialEq + Default>(
        wasi: &mut Wasi,
        this: &Borrow<TcpSocket>,
        value: T,
        option: impl FnOnce(BorrowedFd<'_>, Family, T) -> Result<(), Errno>,
    ) -> Outcome<()> {
        let socket = wasi.table.get(this)?;
        if value == T::default() {
            return Ok(Err(ErrorCode::InvalidArgument));
        }
        Ok(socket.is_not_closed().and_then(|()| Ok(option(socket.shared.as_fd(), socket.family, value)?)))
    }

    /// Sets the size of one of the system's buffers.
    fn buffer(wasi: &mut Wasi, this: &Borrow<TcpSocket>, of: Interest, value: u64) -> Outcome<()> {
        let kept = wasi.table.get(this)?.kept.clone();
        match if value == 0 { Ok(0) } else { kept.buffer(of, value) } {
            Ok(bytes) => set(wasi, this, bytes, |socket, _, bytes| net::set_buffer(socket, of, bytes)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// `start-bind`.
    pub fn start_bind(
        wasi: &mut Wasi,
        this: Borrow<TcpSocket>,
        network: Borrow<Network>,
        local_address: IpSocketAddress,
    ) -> Outcome<()> {
        wasi.table.get(&network)?;
        let socket = wasi.table.get(&this)?;
        let address =
            match socket.is_in(&[State::Unbound]).and_then(|()| unicast(socket.family, local_address)) {
                Ok(address) => address,
                Err(error) => return Ok(Err(error)),
            };
        if !wasi.network.allows(SocketUse::TcpBind, &address) {
            wasi.refused(Capability::Network, &address.to_string());
            return Ok(Err(ErrorCode::AccessDenied));
        }
        let bound =
            net::bind(socket.shared.as_fd(), &address, true).map(|()| socket.enter(State::BindInProgress));
        Ok(bound.map_err(ErrorCode::from))
    }

    /// `finish-bind`.
    pub fn finish_bind(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<()> {
        finish(wasi, &this, State::BindInProgress, State::Bound)
    }

    fn finish(wasi: &mut Wasi, this: &Borrow<TcpSocket>, from: State, to: State) -> Outcome<()> {
        let socket = wasi.table.get(this)?;
        if socket.state() != from {
            return Ok(Err(ErrorCode::NotInProgress));
        }
        socket.enter(to);
        Ok(Ok(()))
    }

    /// `start-connect`.
    pub fn start_connect(
        wasi: &mut Wasi,
        this: Borrow<TcpSocket>,
        network: Borrow<Network>,
        remote_address: IpSocketAddress,
    ) -> Outcome<()> {
        wasi.table.get(&network)?;
        let socket = wasi.table.get(&this)?;
        let valid = socket.is_in(&[State::Unbound, State::Bound]);
        let address = match valid.and_then(|()| destination(socket.family, remote_address)) {
            Ok(address) => address,
            Err(error) => return Ok(Err(error)),
        };
        // A socket that is not bound is bound by connecting.
        let binds = socket.state() == State::Unbound;
        let implicit = wasi.network.allows(SocketUse::TcpBind, &socket.family.unspecified());
        if !wasi.network.allows(SocketUse::TcpConnect, &address) || (binds && !implicit) {
            wasi.refused(Capability::Network, &address.to_string());
            return Ok(Err(ErrorCode::AccessDenied));
        }
        Ok(match net::connect(socket.shared.as_fd(), &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                socket.enter(State::ConnectInProgress);
                Ok(())
            }
            Err(error) => {
                socket.enter(State::Closed);
                Err(connect_error(error))
            }
        })
    }

    /// What connecting alone says otherwise.
    fn connect_error(error: Errno) -> ErrorCode {
        match error {
            Errno::ADDRNOTAVAIL => ErrorCode::AddressInUse,
            error => error.into(),
        }
    }

    /// `finish-connect`.
    pub fn finish_connect(
        wasi: &mut Wasi,
        this: Borrow<TcpSocket>,
    ) -> Outcome<(Own<InputStream>, Own<OutputStream>)> {
        wasi.table.room(2)?;
        let socket = wasi.table.get(&this)?;
        if socket.state() != State::ConnectInProgress {
            return Ok(Err(ErrorCode::NotInProgress));
        }
        if !wait::ready(socket.shared.as_fd(), Interest::Write) {
            return Ok(Err(ErrorCode::WouldBlock));
        }
        if let Err(error) = net::error(socket.shared.as_fd()) {
            socket.enter(State::Closed);
            return Ok(Err(connect_error(error)));
        }
        socket.enter(State::Connected);
        let connection = socket.connection().clone();
        let input = wasi.table.push(InputStream::connection(connection.clone()))?;
        let output = wasi.table.push(OutputStream::connection(connection))?;
        Ok(Ok((input, output)))
    }

    /// `start-listen`.
    pub fn start_listen(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<()> {
        let socket = wasi.table.get(&this)?;
        let bound = socket.is_in(&[State::Bound]);
        let address = match bound.and_then(|()| Ok(net::local_address(socket.shared.as_fd())?)) {
            Ok(address) => address,
            Err(error) => return Ok(Err(error)),
        };
        if !wasi.network.allows(SocketUse::TcpListen, &address) {
            wasi.refused(Capability::Network, &address.to_string());
            return Ok(Err(ErrorCode::AccessDenied));
        }
        let listens = net::listen(socket.shared.as_fd(), socket.backlog);
        Ok(listens.map(|()| socket.enter(State::ListenInProgress)).map_err(ErrorCode::from))
    }

    /// `finish-listen`.
    pub fn finish_listen(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<()> {
        finish(wasi, &this, State::ListenInProgress, State::Listening)
    }

    /// `accept`.
    pub fn accept(
        wasi: &mut Wasi,
        this: Borrow<TcpSocket>,
    ) -> Outcome<(Own<TcpSocket>, Own<InputStream>, Own<OutputStream>)> {
        wasi.table.room(3)?;
        let socket = wasi.table.get(&this)?;
        if socket.state() != State::Listening {
            return Ok(Err(ErrorCode::InvalidState));
        }
        let (family, linger) = (socket.family, socket.linger.clone());
        if !wasi.handles.room() {
            return Ok(Err(ErrorCode::NewSocketLimit));
        }
        let kept = match Kept::new(wasi) {
            Ok(kept) => kept,
            Err(error) => return Ok(Err(error)),
        };
        let (accepted, peer) = match net::accept_from(socket.shared.as_fd()) {
            Ok(accepted) => accepted,
            Err(error) => return Ok(Err(error.into())),
        };
        if !wasi.network.allows(SocketUse::TcpAccept, &peer) {
            // Dropped: the peer sees the connection end, the guest sees nothing.
            return Ok(Err(ErrorCode::WouldBlock));
        }
        let accepted = Arc::new(accepted);
        wasi.handles.hold(&accepted);
        let accepted = TcpSocket::of(accepted, family, State::Connected, linger, kept);
        let connection = accepted.connection().clone();
        let accepted = wasi.table.push(accepted)?;
        let input = wasi.table.push(InputStream::connection(connection.clone()))?;
        let output = wasi.table.push(OutputStream::connection(connection))?;
        Ok(Ok((accepted, input, output)))
    }

    /// `local-address`.
    pub fn local_address(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<IpSocketAddress> {
        let socket = wasi.table.get(&this)?;
        Ok(match socket.state() {
            State::Unbound | State::BindInProgress | State::Closed => Err(ErrorCode::InvalidState),
            _ => net::local_address(socket.shared.as_fd()).map(Into::into).map_err(Into::into),
        })
    }

    /// `remote-address`.
    pub fn remote_address(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<IpSocketAddress> {
        let socket = wasi.table.get(&this)?;
        Ok(match socket.state() {
            State::Connected => {
                net::remote_address(socket.shared.as_fd()).map(Into::into).map_err(Into::into)
            }
            _ => Err(ErrorCode::InvalidState),
        })
    }

    /// `is-listening`.
    pub fn is_listening(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Result<bool, Stop> {
        Ok(wasi.table.get(&this)?.state() == State::Listening)
    }

    /// `address-family`.
    pub fn address_family(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Result<IpAddressFamily, Stop> {
        Ok(wasi.table.get(&this)?.family.into())
    }

    /// `set-listen-backlog-size`.
    pub fn set_listen_backlog_size(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: u64) -> Outcome<()> {
        let socket = wasi.table.get_mut(&this)?;
        if value == 0 {
            return Ok(Err(ErrorCode::InvalidArgument));
        }
        let backlog = i32::try_from(value).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        Ok(match socket.state() {
            State::Connected | State::ConnectInProgress | State::Closed => Err(ErrorCode::InvalidState),
            State::Listening | State::ListenInProgress => {
                net::listen(socket.shared.as_fd(), backlog).map_err(ErrorCode::from)
            }
            _ => {
                socket.backlog = backlog;
                Ok(())
            }
        })
    }

    /// `keep-alive-enabled`.
    pub fn keep_alive_enabled(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<bool> {
        option(wasi, &this, |socket, _| net::keep_alive(socket))
    }

    /// `set-keep-alive-enabled`.
    pub fn set_keep_alive_enabled(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: bool) -> Outcome<()> {
        option(wasi, &this, |socket, _| net::set_keep_alive(socket, value))
    }

    /// `keep-alive-idle-time`.
    pub fn keep_alive_idle_time(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<Duration> {
        option(wasi, &this, |socket, _| net::keep_alive_idle(socket).map(nanoseconds))
    }

    /// `set-keep-alive-idle-time`: rounded up to seconds, as far as the system goes.
    pub fn set_keep_alive_idle_time(
        wasi: &mut Wasi,
        this: Borrow<TcpSocket>,
        value: Duration,
    ) -> Outcome<()> {
        set(wasi, &this, value, |socket, _, value| net::set_keep_alive_idle(socket, duration(value)))
    }

    /// `keep-alive-interval`.
    pub fn keep_alive_interval(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<Duration> {
        option(wasi, &this, |socket, _| net::keep_alive_interval(socket).map(nanoseconds))
    }

    /// `set-keep-alive-interval`: rounded up to seconds, as far as the system goes.
    pub fn set_keep_alive_interval(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: Duration) -> Outcome<()> {
        set(wasi, &this, value, |socket, _, value| net::set_keep_alive_interval(socket, duration(value)))
    }

    /// `keep-alive-count`.
    pub fn keep_alive_count(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<u32> {
        option(wasi, &this, |socket, _| net::keep_alive_count(socket))
    }

    /// `set-keep-alive-count`: as far as the system goes.
    pub fn set_keep_alive_count(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: u32) -> Outcome<()> {
        set(wasi, &this, value, |socket, _, value| net::set_keep_alive_count(socket, value))
    }

    /// `hop-limit`.
    pub fn hop_limit(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<u8> {
        option(wasi, &this, |socket, family| net::hop_limit(socket, family))
    }

    /// `set-hop-limit`.
    pub fn set_hop_limit(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: u8) -> Outcome<()> {
        set(wasi, &this, value, |socket, family, value| net::set_hop_limit(socket, family, value))
    }

    /// `receive-buffer-size`.
    pub fn receive_buffer_size(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<u64> {
        option(wasi, &this, |socket, _| net::receive_buffer(socket))
    }

    /// `set-receive-buffer-size`.
    pub fn set_receive_buffer_size(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: u64) -> Outcome<()> {
        buffer(wasi, &this, Interest::Read, value)
    }

    /// `send-buffer-size`.
    pub fn send_buffer_size(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Outcome<u64> {
        option(wasi, &this, |socket, _| net::send_buffer(socket))
    }

    /// `set-send-buffer-size`.
    pub fn set_send_buffer_size(wasi: &mut Wasi, this: Borrow<TcpSocket>, value: u64) -> Outcome<()> {
        buffer(wasi, &this, Interest::Write, value)
    }

    /// `subscribe`: ready when the operation is that is under way at the time of the wait.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<TcpSocket>) -> Result<Own<Pollable>, Stop> {
        let pollable = Pollable::socket(wasi.table.get(&this)?.shared.clone());
        poll::subscribe(wasi, pollable)
    }

    /// `shutdown`: what was written before is sent before the peer is told.
    pub fn shutdown(wasi: &mut Wasi, this: Borrow<TcpSocket>, shutdown_type: ShutdownType) -> Outcome<()> {
        let socket = wasi.table.get(&this)?;
        if socket.state() != State::Connected {
            return Ok(Err(ErrorCode::InvalidState));
        }
        let receive = shutdown_type != ShutdownType::Send;
        let send = shutdown_type != ShutdownType::Receive;
        Ok(socket.connection().shutdown(receive, send).map_err(ErrorCode::from))
    }

    fn nanoseconds(time: core::time::Duration) -> Duration {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }

    fn duration(nanoseconds: Duration) -> core::time::Duration {
        core::time::Duration::from_nanos(nanoseconds)
    }
}
