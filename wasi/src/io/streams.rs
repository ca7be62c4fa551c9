//! `wasi:io/streams`: bytes in and out.
//!
//! All work is done on the calling thread. `read` never waits and `blocking-read` waits, no longer than the deadline.
//! What a guest writes goes to the system before the call returns, so there is no buffer here that a guest could
//! fill, `flush` has nothing to do, and `check-write` always permits [`PERMIT`] bytes; a connection keeps what the system does
//! not take at once, at most one permit, and permits nothing until that is gone. A `write` beyond the permit traps. A guest's length never sizes memory: one call moves at most [`CHUNK`] bytes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use mini_wasm_canonical_abi::variant;
use mini_wasm_canonical_abi::{Borrow, Own};

use crate::http::body::{BodyReader, BodyWriter};
use crate::interface::{Waited, interface};
use crate::io::error::Error;
use crate::io::poll::{self, Pollable};
use crate::io::waiting;
use crate::sockets::connection::Connection;
use crate::sys::wait::{self, Interest};
use crate::sys::{Errno, file, stdio};
use crate::{Deadline, Stop, Wasi};

interface! {
    "wasi:io/streams@0.2.12";
    resource InputStream in input_stream {
        method read(this, len);
        method blocking_read(this, len) after first::readable;
        method skip(this, len);
        method blocking_skip(this, len) after first::readable;
        method subscribe(this);
    }
    resource OutputStream in output_stream {
        method check_write(this);
        method write(this, contents);
        method blocking_write_and_flush(this, contents) after first::writable;
        method flush(this);
        method blocking_flush(this) after first::flushed;
        method subscribe(this);
        method write_zeroes(this, len);
        method blocking_write_zeroes_and_flush(this, len) after first::writable;
        method splice(this, src, len);
        method blocking_splice(this, src, len) after first::movable;
    }
}

/// How many bytes one call moves at most.
pub const CHUNK: usize = 64 * 1024;
/// How many bytes `check-write` permits.
pub const PERMIT: u64 = 64 * 1024;
/// How many bytes the `blocking-write-...-and-flush` calls take, as their documentation says.
const BLOCKING_WRITE: u64 = 4096;
/// What a pipe surely takes once it is writable (`PIPE_BUF`).
const PIPE: usize = 4096;

variant! {
    /// `stream-error`.
    #[derive(Debug, PartialEq, Eq)]
    pub enum StreamError = "stream-error" {
        /// The last operation failed; the stream is closed.
        LastOperationFailed(Own<Error>),
        /// The stream is at its end, or closed.
        Closed,
    }
}

/// A handle of the system that streams and pollables share.
#[derive(Debug, Clone)]
pub(crate) enum Handle {
    /// One of the process's own.
    Standard(BorrowedFd<'static>),
    /// One that was opened for a guest.
    Open(Arc<OwnedFd>),
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Standard(fd) => *fd,
            Self::Open(fd) => fd.as_fd(),
        }
    }
}

/// How a stream operation ends otherwise than well.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    Closed,
    Failed(Error),
    Stop(Stop),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        match error {
            // Nobody reads the other end: the end of the stream, not an error.
            Errno::PIPE => Self::Closed,
            error => Self::Failed(Error::system(error)),
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Bytes in memory that a guest reads as its input; clones share where they stand.
#[derive(Debug, Clone, Default)]
pub struct MemoryInput(Arc<Mutex<(Vec<u8>, usize)>>);

impl MemoryInput {
    /// Input that ends after `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new((bytes.into(), 0))))
    }

    /// The next bytes, at most `len`; none at the end.
    fn take(&self, len: usize) -> Vec<u8> {
        let (bytes, at) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = bytes[*at..].iter().take(len).copied().collect::<Vec<_>>();
        *at += taken.len();
        taken
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        let (bytes, at) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.len() - at
    }
}

/// Memory that takes a guest's output up to a limit; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryOutput {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl MemoryOutput {
    /// Takes at most `limit` bytes; the stream is closed beyond.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// What has been written.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut all = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() > self.limit.saturating_sub(all.len()) {
            return Err(Failure::Closed);
        }
        all.extend_from_slice(bytes);
        Ok(())
    }
}

/// The resource `input-stream`.
///
/// A stream whose end was told is closed: calls of no length say so. One that asks for bytes looks again, since what a
/// file or a terminal gives may go on, and programs of preview 1 count on that where they are components too. After a
/// failure nothing is tried again.
#[derive(Debug)]
pub struct InputStream {
    source: Source,
    /// The guest was told of the end.
    closed: bool,
    /// The guest was told of a failure.
    failed: bool,
}

#[derive(Debug)]
enum Source {
    Null,
    Memory(MemoryInput),
    /// A file read at an offset; never waits.
    At {
        file: Arc<OwnedFd>,
        offset: u64,
    },
    /// A pipe, terminal or the like.
    Handle(Handle),
    /// A connection.
    Connection(Arc<Connection>),
    /// The body of a message.
    Body(Arc<BodyReader>),
}

impl InputStream {
    fn new(source: Source) -> Self {
        Self { source, closed: false, failed: false }
    }

    /// At its end from the start.
    pub(crate) fn null() -> Self {
        Self::new(Source::Null)
    }

    /// Over memory.
    pub(crate) fn memory(memory: MemoryInput) -> Self {
        Self::new(Source::Memory(memory))
    }

    /// Over a file, from `offset` on.
    pub(crate) fn at(file: Arc<OwnedFd>, offset: u64) -> Self {
        Self::new(Source::At { file, offset })
    }

    /// Over something that has no offsets.
    pub(crate) fn handle(handle: Handle) -> Self {
        Self::new(Source::Handle(handle))
    }

    /// The body of a message.
    pub(crate) fn body(body: Arc<BodyReader>) -> Self {
        Self::new(Source::Body(body))
    }

    /// What comes in on a connection.
    pub(crate) fn connection(connection: Arc<Connection>) -> Self {
        Self::new(Source::Connection(connection))
    }

    /// The process's standard input.
    pub(crate) fn stdin() -> Self {
        Self::new(Source::Handle(Handle::Standard(stdio::stdin())))
    }

    /// A call of WASI 0.2 for `len` bytes: a stream that is closed says so whatever the length.
    fn called<T>(
        &mut self,
        len: u64,
        operate: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.failed || len == 0 && self.is_closed() {
            return Err(Failure::Closed);
        }
        let result = operate(self);
        self.closed = matches!(result, Err(Failure::Closed | Failure::Failed(_)));
        self.failed = matches!(result, Err(Failure::Failed(_)));
        result
    }

    /// Whether it is known without a read that nothing will come.
    fn is_closed(&self) -> bool {
        self.closed
            || match &self.source {
                Source::Null => true,
                Source::Memory(memory) => memory.left() == 0,
                Source::Connection(connection) => connection.receives_no_more(),
                Source::Body(body) => body.is_at_end(),
                Source::At { .. } | Source::Handle(_) => false,
            }
    }

    /// Reads at most `len` bytes, and not a byte more than that leaves the source. Without `wait` the result is
    /// empty if nothing is there yet.
    pub(crate) fn read(&mut self, len: u64, wait: bool, deadline: &dyn Deadline) -> Result<Vec<u8>, Failure> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK);
        if len == 0 {
            return Ok(Vec::new());
        }
        let bytes = match &mut self.source {
            Source::Null => Vec::new(),
            Source::Memory(memory) => memory.take(len),
            Source::At { file, offset } => {
                let mut bytes = vec![0; len];
                let read = file::read_at(&**file, &mut bytes, *offset)?;
                bytes.truncate(read);
                *offset = offset.saturating_add(read as u64);
                bytes
            }
            Source::Handle(handle) => {
                let mut bytes = vec![0; len];
                loop {
                    if wait {
                        wait::readable(&*handle, deadline)?;
                    } else if !wait::ready(&*handle, Interest::Read) {
                        return Ok(Vec::new());
                    }
                    match file::read(&*handle, &mut bytes) {
                        Err(Errno::AGAIN) if wait => {}
                        Err(Errno::AGAIN) => return Ok(Vec::new()),
                        result => {
                            bytes.truncate(result?);
                            break bytes;
                        }
                    }
                }
            }
            Source::Connection(connection) => match connection.receive(len, wait, deadline)? {
                Some(bytes) => bytes,
                None => return Ok(Vec::new()),
            },
            Source::Body(body) => match body.read(len, wait, deadline)? {
                Some(bytes) => bytes,
                None => return Ok(Vec::new()),
            },
        };
        if bytes.is_empty() { Err(Failure::Closed) } else { Ok(bytes) }
    }

    /// What a read waits for, if it ever waits.
    pub(crate) fn waits_for(&self) -> Option<Handle> {
        match &self.source {
            Source::Handle(handle) => Some(handle.clone()),
            _ => None,
        }
    }

    /// Whether a person types it.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.source, Source::Handle(handle) if stdio::is_terminal(handle.as_fd()))
    }

    /// Passes over at most `len` bytes; how many.
    fn skip(&mut self, len: u64, wait: bool, deadline: &dyn Deadline) -> Result<u64, Failure> {
        if let Source::At { file, offset } = &mut self.source {
            let size = file::status(&**file)?.size;
            let skipped = len.min(size.saturating_sub(*offset));
            *offset += skipped;
            return if skipped == 0 && len > 0 { Err(Failure::Closed) } else { Ok(skipped) };
        }
        self.read(len, wait, deadline).map(|bytes| bytes.len() as u64)
    }

    fn pollable(&self) -> Pollable {
        match &self.source {
            _ if self.failed => Pollable::ready(),
            Source::Handle(handle) => Pollable::handle(handle.clone(), Interest::Read),
            Source::Connection(connection) => Pollable::handle(connection.handle(), Interest::Read),
            Source::Body(body) => Pollable::event(body.clone()),
            _ => Pollable::ready(),
        }
    }
}

/// The resource `output-stream`.
#[derive(Debug)]
pub struct OutputStream {
    sink: Sink,
    /// What the last `check-write` permitted and no write has used.
    permit: u64,
    closed: bool,
}

#[derive(Debug)]
enum Sink {
    Null,
    Memory(MemoryOutput),
    /// A file written at an offset.
    At {
        file: Arc<OwnedFd>,
        offset: u64,
    },
    /// A file written at its end.
    Append {
        file: Arc<OwnedFd>,
    },
    /// A pipe, terminal or the like.
    Handle(Handle),
    /// A connection.
    Connection(Arc<Connection>),
    /// The body of a message.
    Body(Arc<BodyWriter>),
}

impl OutputStream {
    fn new(sink: Sink) -> Self {
        Self { sink, permit: 0, closed: false }
    }

    /// Takes everything and keeps nothing.
    pub(crate) fn null() -> Self {
        Self::new(Sink::Null)
    }

    /// Into memory.
    pub(crate) fn memory(memory: MemoryOutput) -> Self {
        Self::new(Sink::Memory(memory))
    }

    /// Into a file, from `offset` on.
    pub(crate) fn at(file: Arc<OwnedFd>, offset: u64) -> Self {
        Self::new(Sink::At { file, offset })
    }

    /// At the end of a file.
    pub(crate) fn append(file: Arc<OwnedFd>) -> Self {
        Self::new(Sink::Append { file })
    }

    /// Into something that has no offsets.
    pub(crate) fn handle(handle: Handle) -> Self {
        Self::new(Sink::Handle(handle))
    }

    /// The body of a message.
    pub(crate) fn body(body: Arc<BodyWriter>) -> Self {
        Self::new(Sink::Body(body))
    }

    /// What goes out on a connection.
    pub(crate) fn connection(connection: Arc<Connection>) -> Self {
        Self::new(Sink::Connection(connection))
    }

    /// The process's standard output.
    pub(crate) fn stdout() -> Self {
        Self::new(Sink::Handle(Handle::Standard(stdio::stdout())))
    }

    /// The process's standard error.
    pub(crate) fn stderr() -> Self {
        Self::new(Sink::Handle(Handle::Standard(stdio::stderr())))
    }

    /// Whether a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.sink, Sink::Handle(handle) if stdio::is_terminal(handle.as_fd()))
    }

    fn check_write(&mut self) -> Result<u64, Failure> {
        self.takes_more()?;
        self.permit = match &self.sink {
            Sink::Connection(connection) => match connection.permit() {
                Ok(permit) => permit,
                Err(failure) => return Err(self.fail(failure)),
            },
            Sink::Body(body) => match body.permit() {
                Ok(permit) => permit,
                Err(failure) => return Err(self.fail(failure)),
            },
            _ => PERMIT,
        };
        Ok(self.permit)
    }

    /// Closes the stream if it has failed.
    fn fail(&mut self, failure: Failure) -> Failure {
        self.closed |= matches!(failure, Failure::Closed | Failure::Failed(_));
        failure
    }

    /// Sees to it that what was written is with the system: begins that, or waits for it.
    fn flush(&mut self, wait: bool, deadline: &dyn Deadline) -> Result<(), Failure> {
        self.open()?;
        let flushed = match &self.sink {
            Sink::Connection(connection) if wait => connection.drain(deadline),
            Sink::Connection(connection) => connection.flush().map(|_| ()),
            // What is in its queue is on its way; a guest that waited for more might wait for itself.
            Sink::Body(body) if wait => body.ready(deadline),
            _ => Ok(()),
        };
        flushed.map_err(|failure| self.fail(failure))
    }

    /// Waits until what was written is with the system, and no longer.
    fn settle(&mut self, deadline: &dyn Deadline) -> Result<(), Failure> {
        if matches!(self.sink, Sink::Body(_)) { Ok(()) } else { self.flush(true, deadline) }
    }

    fn pollable(&self) -> Pollable {
        match &self.sink {
            Sink::Connection(connection) if !self.closed => {
                Pollable::handle(connection.handle(), Interest::Write)
            }
            Sink::Body(body) if !self.closed => Pollable::event(body.clone()),
            _ => Pollable::ready(),
        }
    }

    /// `Closed` after a failure, and once nothing that was written is on its way any more.
    fn open(&self) -> Result<(), Failure> {
        let ended = match &self.sink {
            Sink::Connection(connection) => connection.is_ended(),
            Sink::Body(body) => body.is_closed(),
            _ => false,
        };
        if self.closed || ended { Err(Failure::Closed) } else { Ok(()) }
    }

    /// `Closed` if nothing can be written, not even no bytes.
    fn takes_more(&self) -> Result<(), Failure> {
        match &self.sink {
            Sink::Connection(connection) if connection.sends_no_more() => Err(Failure::Closed),
            _ => self.open(),
        }
    }

    /// Uses up the permit.
    fn spend(&mut self, len: u64) -> Result<(), Failure> {
        match self.permit.checked_sub(len) {
            Some(left) => {
                self.permit = left;
                Ok(())
            }
            None => Err(Failure::Stop(Stop::Trap(format!(
                "write of {len} bytes where check-write permitted {}",
                self.permit
            )))),
        }
    }

    /// Writes all of `bytes`. After a failure the stream is closed.
    pub(crate) fn write(&mut self, bytes: &[u8], deadline: &dyn Deadline) -> Result<(), Failure> {
        self.takes_more()?;
        let result = self.write_all(bytes, deadline);
        self.closed |= matches!(result, Err(Failure::Closed | Failure::Failed(_)));
        result
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: &dyn Deadline) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = match &mut self.sink {
                Sink::Null => bytes.len(),
                Sink::Memory(memory) => {
                    memory.put(bytes)?;
                    bytes.len()
                }
                Sink::At { file, offset } => {
                    let written = file::write_at(&**file, bytes, *offset)?;
                    *offset = offset.saturating_add(written as u64);
                    written
                }
                Sink::Append { file } => file::append(&**file, bytes)?,
                Sink::Connection(connection) => {
                    connection.send(bytes)?;
                    bytes.len()
                }
                Sink::Body(body) => {
                    body.write(bytes)?;
                    bytes.len()
                }
                Sink::Handle(handle) => {
                    // Only a write that surely fits may be begun if it must not outlast the deadline.
                    let limited = deadline.remaining().is_some();
                    if limited {
                        wait::writable(&*handle, deadline)?;
                    }
                    let most = if limited { PIPE } else { bytes.len() };
                    match file::write(&*handle, &bytes[..bytes.len().min(most)]) {
                        // The handle does not block: whoever gave it to us chose so.
                        Err(Errno::AGAIN) => {
                            wait::writable(&*handle, deadline)?;
                            continue;
                        }
                        result => result?,
                    }
                }
            };
            if written == 0 {
                return Err(Failure::Failed(Error::system(Errno::IO)));
            }
            bytes = &bytes[written..];
        }
        Ok(())
    }

    fn zeroes(&mut self, len: u64, deadline: &dyn Deadline) -> Result<(), Failure> {
        // `len` is at most a permit.
        let len = usize::try_from(len).unwrap_or(CHUNK).min(CHUNK);
        self.write(&vec![0; len], deadline)
    }
}

/// Turns the outcome of a stream operation into what the guest gets.
fn outcome<T>(wasi: &mut Wasi, result: Result<T, Failure>) -> Result<Result<T, StreamError>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Closed) => Ok(Err(StreamError::Closed)),
        Err(Failure::Failed(error)) => Ok(Err(StreamError::LastOperationFailed(wasi.table.push(error)?))),
        Err(Failure::Stop(stop)) => Err(stop),
    }
}

/// What is waited for before these functions are called, where a guest may be suspended.
mod first {
    use super::*;

    async fn input(wasi: &mut Wasi, stream: &Borrow<InputStream>, len: u64) -> Result<(), Stop> {
        let deadline = &*wasi.deadline;
        let stream = wasi.table.get(stream)?;
        match &stream.source {
            _ if stream.failed => Ok(()),
            // Both directions: the peer may wait for the rest of what was asked. What fails is the stream's to tell.
            Source::Connection(connection) => {
                let [receives, sends] = [Interest::Read, Interest::Write]
                    .map(|interest| Pollable::handle(connection.handle(), interest));
                while len > 0 && connection.flush() == Ok(false) {
                    waiting::until_ready(&[&receives, &sends], deadline).await?;
                    if wait::ready(&**connection, Interest::Read) {
                        return Ok(());
                    }
                }
                if len > 0 { waiting::until_ready(&[&receives], deadline).await } else { Ok(()) }
            }
            _ if len > 0 => waiting::until_ready(&[&stream.pollable()], deadline).await,
            _ => Ok(()),
        }
    }

    async fn output(wasi: &mut Wasi, stream: &Borrow<OutputStream>) -> Result<(), Stop> {
        let deadline = &*wasi.deadline;
        let stream = wasi.table.get(stream)?;
        match &stream.sink {
            Sink::Connection(connection) => {
                let sends = Pollable::handle(connection.handle(), Interest::Write);
                while connection.flush() == Ok(false) {
                    waiting::until_ready(&[&sends], deadline).await?;
                }
                Ok(())
            }
            Sink::Handle(handle) => {
                waiting::until_ready(&[&Pollable::handle(handle.clone(), Interest::Write)], deadline).await
            }
            Sink::Body(_) => waiting::until_ready(&[&stream.pollable()], deadline).await,
            _ => Ok(()),
        }
    }

    pub(super) fn readable<'a>(
        wasi: &'a mut Wasi,
        (this, len): &'a (Borrow<InputStream>, u64),
    ) -> Waited<'a> {
        Box::pin(input(wasi, this, *len))
    }

    /// What a `blocking-write-...` is given.
    pub(super) trait Content: Sync {
        fn len(&self) -> u64;
    }

    impl Content for Vec<u8> {
        fn len(&self) -> u64 {
            self.len() as u64
        }
    }

    impl Content for u64 {
        fn len(&self) -> u64 {
            *self
        }
    }

    pub(super) fn writable<'a, C: Content>(
        wasi: &'a mut Wasi,
        (this, content): &'a (Borrow<OutputStream>, C),
    ) -> Waited<'a> {
        Box::pin(async move {
            // What is too much the function says itself; it is not kept for as long as a wait takes.
            if content.len() > BLOCKING_WRITE { Ok(()) } else { output(wasi, this).await }
        })
    }

    pub(super) fn flushed<'a>(wasi: &'a mut Wasi, (this,): &'a (Borrow<OutputStream>,)) -> Waited<'a> {
        Box::pin(async move {
            match wasi.table.get(this)?.sink {
                // What is in its queue is on its way.
                Sink::Body(_) => Ok(()),
                _ => output(wasi, this).await,
            }
        })
    }

    pub(super) fn movable<'a>(
        wasi: &'a mut Wasi,
        (this, src, len): &'a (Borrow<OutputStream>, Borrow<InputStream>, u64),
    ) -> Waited<'a> {
        Box::pin(async move {
            output(wasi, this).await?;
            input(wasi, src, *len).await
        })
    }
}

/// `input-stream`.
pub mod input_stream {
    use super::*;

    fn with<T>(
        wasi: &mut Wasi,
        this: &Borrow<InputStream>,
        len: u64,
        operate: impl FnOnce(&mut InputStream, &dyn Deadline) -> Result<T, Failure>,
    ) -> Result<Result<T, StreamError>, Stop> {
        let deadline = &*wasi.deadline;
        let result = wasi.table.get_mut(this)?.called(len, |stream| operate(stream, deadline));
        outcome(wasi, result)
    }

    /// `read`: what is there, at most `len` bytes; empty if nothing is there yet.
    pub fn read(
        wasi: &mut Wasi,
        this: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<Vec<u8>, StreamError>, Stop> {
        with(wasi, &this, len, |stream, deadline| stream.read(len, false, deadline))
    }

    /// `blocking-read`: waits until at least one byte is there.
    pub fn blocking_read(
        wasi: &mut Wasi,
        this: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<Vec<u8>, StreamError>, Stop> {
        with(wasi, &this, len, |stream, deadline| stream.read(len, true, deadline))
    }

    /// `skip`: as `read`, but only how many bytes.
    pub fn skip(
        wasi: &mut Wasi,
        this: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<u64, StreamError>, Stop> {
        with(wasi, &this, len, |stream, deadline| stream.skip(len, false, deadline))
    }

    /// `blocking-skip`: as `blocking-read`, but only how many bytes.
    pub fn blocking_skip(
        wasi: &mut Wasi,
        this: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<u64, StreamError>, Stop> {
        with(wasi, &this, len, |stream, deadline| stream.skip(len, true, deadline))
    }

    /// `subscribe`: ready when a `read` would give bytes or the end.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<InputStream>) -> Result<Own<Pollable>, Stop> {
        let pollable = wasi.table.get(&this)?.pollable();
        poll::subscribe(wasi, pollable)
    }
}

/// `output-stream`.
pub mod output_stream {
    use super::*;

    fn with<T>(
        wasi: &mut Wasi,
        this: &Borrow<OutputStream>,
        operate: impl FnOnce(&mut OutputStream, &dyn Deadline) -> Result<T, Failure>,
    ) -> Result<Result<T, StreamError>, Stop> {
        let result = operate(wasi.table.get_mut(this)?, &*wasi.deadline);
        outcome(wasi, result)
    }

    fn at_most_blocking_write(len: u64) -> Result<(), Stop> {
        if len > BLOCKING_WRITE {
            return Err(Stop::Trap(format!(
                "blocking write of {len} bytes; at most {BLOCKING_WRITE} are allowed"
            )));
        }
        Ok(())
    }

    /// `check-write`: how many bytes the next write may have.
    pub fn check_write(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
    ) -> Result<Result<u64, StreamError>, Stop> {
        with(wasi, &this, |stream, _| stream.check_write())
    }

    /// `write`: at most as many bytes as `check-write` permitted; more traps.
    pub fn write(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        contents: Vec<u8>,
    ) -> Result<Result<(), StreamError>, Stop> {
        with(wasi, &this, |stream, deadline| {
            stream.takes_more()?;
            stream.spend(contents.len() as u64)?;
            stream.write(&contents, deadline)
        })
    }

    /// `blocking-write-and-flush`: at most 4096 bytes; more traps.
    pub fn blocking_write_and_flush(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        contents: Vec<u8>,
    ) -> Result<Result<(), StreamError>, Stop> {
        at_most_blocking_write(contents.len() as u64)?;
        with(wasi, &this, |stream, deadline| {
            stream.flush(true, deadline)?;
            stream.write(&contents, deadline)?;
            stream.settle(deadline)
        })
    }

    /// `flush`: begins to hand on what was written and is not with the system already.
    pub fn flush(wasi: &mut Wasi, this: Borrow<OutputStream>) -> Result<Result<(), StreamError>, Stop> {
        with(wasi, &this, |stream, deadline| stream.flush(false, deadline))
    }

    /// `blocking-flush`: waits until everything written is with the system.
    pub fn blocking_flush(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
    ) -> Result<Result<(), StreamError>, Stop> {
        with(wasi, &this, |stream, deadline| {
            stream.open()?;
            stream.settle(deadline)
        })
    }

    /// `subscribe`: ready when `check-write` would permit something or fail.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<OutputStream>) -> Result<Own<Pollable>, Stop> {
        let pollable = wasi.table.get(&this)?.pollable();
        poll::subscribe(wasi, pollable)
    }

    /// `write-zeroes`: at most as many as `check-write` permitted; more traps.
    pub fn write_zeroes(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        len: u64,
    ) -> Result<Result<(), StreamError>, Stop> {
        with(wasi, &this, |stream, deadline| {
            stream.takes_more()?;
            stream.spend(len)?;
            stream.zeroes(len, deadline)
        })
    }

    /// `blocking-write-zeroes-and-flush`: at most 4096; more traps.
    pub fn blocking_write_zeroes_and_flush(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        len: u64,
    ) -> Result<Result<(), StreamError>, Stop> {
        at_most_blocking_write(len)?;
        with(wasi, &this, |stream, deadline| {
            stream.flush(true, deadline)?;
            stream.zeroes(len, deadline)?;
            stream.settle(deadline)
        })
    }

    /// `splice`: moves what is there, at most `len` bytes.
    pub fn splice(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        src: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<u64, StreamError>, Stop> {
        moved(wasi, &this, &src, len, false)
    }

    /// `blocking-splice`: waits until at least one byte is there.
    pub fn blocking_splice(
        wasi: &mut Wasi,
        this: Borrow<OutputStream>,
        src: Borrow<InputStream>,
        len: u64,
    ) -> Result<Result<u64, StreamError>, Stop> {
        moved(wasi, &this, &src, len, true)
    }

    fn moved(
        wasi: &mut Wasi,
        this: &Borrow<OutputStream>,
        src: &Borrow<InputStream>,
        len: u64,
        wait: bool,
    ) -> Result<Result<u64, StreamError>, Stop> {
        // The sink first: bytes must not be lost between a read that worked and a sink that is closed or full.
        let sink = wasi.table.get_mut(this)?;
        let permit = match if wait { sink.flush(true, &*wasi.deadline) } else { Ok(()) } {
            Ok(()) => sink.check_write(),
            Err(failure) => Err(failure),
        };
        let len = match permit {
            Ok(permit) => len.min(permit),
            Err(failure) => return outcome(wasi, Err(failure)),
        };
        let deadline = &*wasi.deadline;
        let read = wasi.table.get_mut(src)?.called(len, |src| src.read(len, wait, deadline));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(failure) => return outcome(wasi, Err(failure)),
        };
        with(wasi, this, |stream, deadline| {
            // What was permitted for this is not left for a write.
            stream.permit = 0;
            stream.write(&bytes, deadline).map(|()| bytes.len() as u64)
        })
    }
}
