//! A TCP connection as its streams share it.
//!
//! Nothing here waits but [`Connection::drain`] and a receive that is asked to. What the system does not take at once is
//! kept, at most one permit of a stream's, and handed on whenever the guest does anything with the connection, at the latest
//! when it is dropped: then for a moment, so that what a guest has written before it ends is not lost. However many connections a
//! guest leaves behind, they share that moment ([`Linger`]); a task of tokio's does not wait itself.
//!
//! After `shutdown(receive)` whatever is queued or arrives is thrown away: at once, whenever the guest does anything with the
//! connection, and when it is dropped. What a system still held then would make it tell the peer of an error, instead of the
//! end of what the guest has sent.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Deadline;
use crate::io::error::Error;
use crate::io::poll::Pollable;
use crate::io::streams::{Failure, Handle, PERMIT};
use crate::io::waiting::until_ready;
use crate::sockets::kept::Kept;
use crate::sys::wait::{self, Interest};
use crate::sys::{Errno, net};

/// How long the end of a connection waits for a slow reader.
const LINGER: Duration = Duration::from_secs(2);

/// Until when the ends of a guest's connections wait for slow readers.
pub(crate) struct Linger(Mutex<State>);

struct State {
    until: Option<Instant>,
    /// The guest's, which it does not outlast.
    deadline: Arc<dyn Deadline>,
}

impl Linger {
    pub(crate) fn new(deadline: Arc<dyn Deadline>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { until: None, deadline })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another deadline from now on.
    pub(crate) fn deadline(&self, deadline: Arc<dyn Deadline>) {
        self.state().deadline = deadline;
    }

    /// [`LINGER`] from the first of several ends on; as long after that it begins anew. Never past
    /// the deadline.
    fn until(&self) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        let until = match state.until {
            Some(until) if now < until + LINGER => until,
            _ => *state.until.insert(now + LINGER),
        };
        state.deadline.remaining().map_or(until, |left| until.min(now + left))
    }
}

impl core::fmt::Debug for Linger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Linger").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    socket: Arc<OwnedFd>,
    outgoing: Mutex<Outgoing>,
    /// The guest has ended the other direction: what arrives is nobody's.
    deaf: AtomicBool,
    /// For what is on its way, and the socket itself.
    charge: Arc<Kept>,
    /// None once its end has come.
    linger: Option<Arc<Linger>>,
}

/// What is on its way.
#[derive(Debug, Default)]
struct Outgoing {
    kept: Vec<u8>,
    /// How many of these are gone.
    sent: usize,
    /// The guest has ended this direction; the peer is told when all is gone.
    ends: bool,
    ended: bool,
}

impl Connection {
    pub(crate) fn new(socket: Arc<OwnedFd>, linger: Arc<Linger>, charge: Arc<Kept>) -> Arc<Self> {
        let deaf = AtomicBool::new(false);
        Arc::new(Self { socket, outgoing: Mutex::default(), deaf, charge, linger: Some(linger) })
    }

    /// For pollables.
    pub(crate) fn handle(&self) -> Handle {
        Handle::Open(self.socket.clone())
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there, at most `len` bytes; empty at the end, `None` if nothing is there yet.
    pub(crate) fn receive(
        &self,
        len: usize,
        waits: bool,
        deadline: &dyn Deadline,
    ) -> Result<Option<Vec<u8>>, Failure> {
        // What was asked has to be on its way before the answer is waited for.
        self.flush()?;
        if self.receives_no_more() {
            return Ok(Some(Vec::new()));
        }
        let mut bytes = vec![0; len];
        loop {
            match net::receive(&*self.socket, &mut bytes, false) {
                Ok(received) => {
                    bytes.truncate(received);
                    return Ok(Some(bytes));
                }
                Err(Errno::AGAIN) if waits => {
                    // Both directions: the peer may wait for the rest of what was asked.
                    let asked = if self.flush()? { 1 } else { 2 };
                    let both = [(self.as_fd(), Interest::Read), (self.as_fd(), Interest::Write)];
                    wait::wait(&both[..asked], None, deadline)?;
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Whether the guest has ended this direction.
    pub(crate) fn receives_no_more(&self) -> bool {
        self.deaf.load(Ordering::Relaxed)
    }

    /// Whether the guest has ended the direction to the peer.
    pub(crate) fn sends_no_more(&self) -> bool {
        self.outgoing().ends
    }

    /// Whether all is gone too that was written before that.
    pub(crate) fn is_ended(&self) -> bool {
        self.outgoing().ended
    }

    /// Throws away what has arrived, if nobody is to have it.
    fn discard(&self) {
        if self.receives_no_more() {
            net::discard(&*self.socket);
        }
    }

    /// Takes bytes: to the system, or to keep.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.discard();
        let mut outgoing = self.outgoing();
        if outgoing.ends {
            return Err(Failure::Closed);
        }
        let mut sent = 0;
        if outgoing.kept.is_empty() {
            match net::send(&*self.socket, bytes) {
                Ok(taken) => sent = taken,
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if sent < bytes.len() {
            let waiting = outgoing.kept.len() + bytes.len() - sent;
            // Twice: a vector that grows takes more than it holds.
            self.charge.waiting(2 * waiting).map_err(|_| failed(Errno::NOMEM))?;
            outgoing.kept.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// How many bytes may be sent: none as long as some are kept.
    pub(crate) fn permit(&self) -> Result<u64, Failure> {
        let all_gone = self.flush()?;
        match self.outgoing().ends {
            true => Err(Failure::Closed),
            false => Ok(if all_gone { PERMIT } else { 0 }),
        }
    }

    /// Nothing is kept any more.
    fn forget(&self, outgoing: &mut Outgoing) {
        if outgoing.kept.capacity() > 0 {
            (outgoing.kept, outgoing.sent) = (Vec::new(), 0);
            // To give back is not refused.
            let _ = self.charge.waiting(0);
        }
    }

    /// Hands on what is kept, as far as the system takes it; whether all is gone.
    pub(crate) fn flush(&self) -> Result<bool, Failure> {
        self.discard();
        let mut outgoing = self.outgoing();
        while outgoing.sent < outgoing.kept.len() {
            match net::send(&*self.socket, &outgoing.kept[outgoing.sent..]) {
                Ok(sent) => outgoing.sent += sent,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => {
                    self.forget(&mut outgoing);
                    return Err(failed(error));
                }
            }
        }
        self.forget(&mut outgoing);
        if outgoing.ends && !outgoing.ended {
            outgoing.ended = true;
            // A peer that is gone already needs not be told.
            let _ = net::shutdown(&*self.socket, false, true);
        }
        Ok(true)
    }

    /// Waits until all is gone.
    pub(crate) fn drain(&self, deadline: &dyn Deadline) -> Result<(), Failure> {
        while !self.flush()? {
            wait::writable(self.as_fd(), deadline)?;
        }
        Ok(())
    }

    /// Waits until all is gone or time is over; whatever is kept then is lost.
    async fn drain_by(self, until: Instant) {
        let writable = Pollable::handle(self.handle(), Interest::Write);
        while let Ok(false) = self.flush() {
            if until_ready(&[&writable], &until).await.is_err() {
                break;
            }
            // Without a handle of the system's left it could not wait.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.outgoing().kept.clear();
    }

    /// Ends one direction or both.
    pub(crate) fn shutdown(&self, receive: bool, send: bool) -> Result<(), Errno> {
        if receive {
            match net::shutdown(&*self.socket, true, false) {
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(error) => return Err(error),
            }
            self.deaf.store(true, Ordering::Relaxed);
            self.discard();
        }
        if send {
            self.outgoing().ends = true;
            // An error is the stream's to tell.
            let _ = self.flush();
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.discard();
        let Some(linger) = self.linger.take().filter(|_| !self.outgoing().kept.is_empty()) else { return };
        let until = linger.until();
        // Nobody is left to be told of an error.
        match tokio::runtime::Handle::try_current() {
            Ok(tokio) => {
                let outgoing = Mutex::new(std::mem::take(&mut *self.outgoing()));
                // A runtime that is ending drops it at once.
                let deaf = AtomicBool::new(self.receives_no_more());
                let (socket, charge) = (self.socket.clone(), self.charge.clone());
                let rest = Self { socket, outgoing, deaf, charge, linger: None };
                tokio.spawn(rest.drain_by(until));
            }
            Err(_) => {
                let _ = self.drain(&until);
            }
        }
    }
}

fn failed(error: Errno) -> Failure {
    match error {
        Errno::PIPE => Failure::Closed,
        error => Failure::Failed(Error::connection(error)),
    }
}
