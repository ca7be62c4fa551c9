//! What the host keeps for a socket of a guest's: what it costs by itself, the buffers that the guest asks of the system, and bytes that
//! the system has not taken yet.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Wasi;
use crate::allowance::Charge;
use crate::sockets::network::ErrorCode;
use crate::sys::wait::Interest;

/// A socket: its place in the system, and a little of its buffers. What they take beyond that is the system's to limit.
const SOCKET: usize = 16 << 10;
/// The largest buffer that the system is asked for.
pub(crate) const MAX_BUFFER: u64 = 1 << 20;

/// The charge of a socket; whoever uses the socket shares it.
#[derive(Debug)]
pub(crate) struct Kept(Mutex<Parts>);

#[derive(Debug)]
struct Parts {
    charge: Charge,
    receive: usize,
    send: usize,
    waiting: usize,
}

impl Kept {
    /// For a new socket.
    pub(crate) fn new(wasi: &Wasi) -> Result<Arc<Self>, ErrorCode> {
        let charge = wasi.memory.charged(SOCKET).map_err(|_| ErrorCode::OutOfMemory)?;
        Ok(Arc::new(Self(Mutex::new(Parts { charge, receive: 0, send: 0, waiting: 0 }))))
    }

    fn change(&self, part: impl Fn(&mut Parts) -> &mut usize, bytes: usize) -> Result<(), ErrorCode> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = core::mem::replace(part(&mut parts), bytes);
        let charged = parts.charge.bytes() - before + bytes;
        if parts.charge.resize(charged) {
            return Ok(());
        }
        *part(&mut parts) = before;
        Err(ErrorCode::OutOfMemory)
    }

    /// The guest asks for a buffer for what it reads or writes: how large that may be.
    pub(crate) fn buffer(&self, of: Interest, bytes: u64) -> Result<u64, ErrorCode> {
        let bytes = bytes.min(MAX_BUFFER);
        match of {
            Interest::Read => self.change(|parts| &mut parts.receive, bytes as usize)?,
            Interest::Write => self.change(|parts| &mut parts.send, bytes as usize)?,
        }
        Ok(bytes)
    }

    /// So many bytes wait for the system.
    pub(crate) fn waiting(&self, bytes: usize) -> Result<(), ErrorCode> {
        self.change(|parts| &mut parts.waiting, bytes)
    }
}
