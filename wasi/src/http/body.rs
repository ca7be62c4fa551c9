//! Bodies: what comes in is asked of hyper by the guest's own thread, so that no more is read than it takes; what goes out
//! waits in a queue of at most one permit until hyper takes it.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderMap;

use crate::Deadline;
use crate::http::signal::Signal;
use crate::http::types::ErrorCode;
use crate::io::error::Error;
use crate::io::poll::Event;
use crate::io::streams::{Failure, PERMIT};
use crate::sys::clock;
use crate::sys::wait::{self, Interest};

/// How a body ended: with its trailers, or not well.
type End = Result<Option<HeaderMap>, ErrorCode>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that comes in.
#[derive(Debug)]
pub(crate) struct BodyReader {
    inner: Mutex<Reading>,
    signal: Arc<Signal>,
    /// The longest pause.
    between_bytes: Duration,
}

#[derive(Debug)]
struct Reading {
    incoming: Option<Incoming>,
    /// What came and the guest has not taken.
    held: Bytes,
    end: Option<End>,
    /// Data is passed over: only the end matters.
    passes: bool,
    /// Nanoseconds of the system's monotonic clock: when the pause is too long.
    until: u64,
}

impl BodyReader {
    pub(crate) fn new(incoming: Incoming, between_bytes: Duration) -> Arc<Self> {
        let reading = Reading {
            incoming: Some(incoming),
            held: Bytes::new(),
            end: None,
            passes: false,
            until: u64::MAX,
        };
        Arc::new(Self { inner: Mutex::new(reading), signal: Signal::new(), between_bytes })
    }

    /// Looks for more; whether there is something: data, or the end.
    fn look(&self, reading: &mut Reading) -> bool {
        loop {
            if !reading.held.is_empty() && !reading.passes {
                return true;
            }
            reading.held = Bytes::new();
            let Some(incoming) = &mut reading.incoming else { return true };
            self.signal.silence();
            let waker = Waker::from(self.signal.clone());
            let end = match Pin::new(incoming).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(Ok(frame))) => {
                    reading.until = u64::MAX;
                    match frame.into_data().map_err(Frame::into_trailers) {
                        Ok(data) => {
                            reading.held = data;
                            continue;
                        }
                        Err(Ok(trailers)) => Ok(Some(trailers)),
                        Err(Err(_)) => continue,
                    }
                }
                Poll::Ready(Some(Err(error))) => Err(code_of(&error)),
                Poll::Ready(None) => Ok(None),
                Poll::Pending => {
                    let now = clock::monotonic();
                    if reading.until == u64::MAX {
                        let pause = u64::try_from(self.between_bytes.as_nanos()).unwrap_or(u64::MAX);
                        reading.until = now.saturating_add(pause);
                    }
                    if now < reading.until {
                        return false;
                    }
                    Err(ErrorCode::ConnectionReadTimeout)
                }
            };
            reading.end = Some(end);
            reading.incoming = None;
        }
    }

    /// What is there, at most `len` bytes; empty at the end, `None` if nothing is there yet.
    pub(crate) fn read(
        &self,
        len: usize,
        waits: bool,
        deadline: &dyn Deadline,
    ) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let until = {
                let mut reading = lock(&self.inner);
                if self.look(&mut reading) {
                    let part = reading.held.len().min(len);
                    let part = reading.held.split_to(part);
                    return match (&reading.end, part.is_empty()) {
                        (Some(Err(error)), true) => Err(Failure::Failed(Error::http(error.clone()))),
                        _ => Ok(Some(part.to_vec())),
                    };
                }
                reading.until
            };
            if !waits {
                return Ok(None);
            }
            match self.signal.handle() {
                Some(handle) => wait::wait(&[(handle, Interest::Read)], Some(until), deadline).map(|_| ())?,
                None => wait::pause(1_000_000, deadline)?,
            }
        }
    }

    /// From now on only the end matters.
    pub(crate) fn pass_over(&self) {
        lock(&self.inner).passes = true;
    }

    /// How it ended, once it has.
    pub(crate) fn trailers(&self) -> Option<End> {
        let mut reading = lock(&self.inner);
        self.look(&mut reading).then(|| reading.end.take().unwrap_or(Ok(None)))
    }
}

impl Event for BodyReader {
    fn waits_for(&self) -> Option<(BorrowedFd<'_>, u64)> {
        let mut reading = lock(&self.inner);
        if self.look(&mut reading) {
            return None;
        }
        self.signal.handle().map(|handle| (handle, reading.until))
    }
}

/// The code of what hyper says went wrong.
pub(crate) fn code_of(error: &hyper::Error) -> ErrorCode {
    if error.is_timeout() {
        ErrorCode::ConnectionReadTimeout
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        ErrorCode::ConnectionTerminated
    } else if error.is_parse_too_large() {
        ErrorCode::HttpResponseHeaderSectionSize(None)
    } else if error.is_body_write_aborted() {
        ErrorCode::HttpRequestBodySize(None)
    } else {
        ErrorCode::HttpProtocolError
    }
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
}

/// A body that goes out, as the guest writes it.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    inner: Mutex<Writing>,
    signal: Arc<Signal>,
    of: Message,
}

#[derive(Debug, Default)]
struct Writing {
    queue: VecDeque<Bytes>,
    /// In the queue.
    bytes: usize,
    /// In all.
    written: u64,
    /// What `content-length` promised.
    length: Option<u64>,
    /// Finished, or given up.
    end: Option<Result<Option<HeaderMap>, ()>>,
    /// Of whoever takes it.
    waker: Option<Waker>,
    /// Nobody takes it any more.
    gone: bool,
}

impl BodyWriter {
    pub(crate) fn new(length: Option<u64>, of: Message) -> Arc<Self> {
        let writing = Writing { length, ..Writing::default() };
        Arc::new(Self { inner: Mutex::new(writing), signal: Signal::new(), of })
    }

    /// A body that was never written.
    pub(crate) fn empty() -> Arc<Self> {
        let writing = Writing { end: Some(Ok(None)), ..Writing::default() };
        Arc::new(Self { inner: Mutex::new(writing), signal: Signal::new(), of: Message::Response })
    }

    fn size_error(&self, written: u64) -> ErrorCode {
        match self.of {
            Message::Request => ErrorCode::HttpRequestBodySize(Some(written)),
            Message::Response => ErrorCode::HttpResponseBodySize(Some(written)),
        }
    }

    /// How many bytes may be written.
    pub(crate) fn permit(&self) -> Result<u64, Failure> {
        let writing = lock(&self.inner);
        self.signal.silence();
        match writing.gone || writing.end.is_some() {
            true => Err(Failure::Closed),
            false => Ok(PERMIT.saturating_sub(writing.bytes as u64)),
        }
    }

    /// Waits until something may be written.
    pub(crate) fn ready(&self, deadline: &dyn Deadline) -> Result<(), Failure> {
        while self.permit()? == 0 {
            match self.signal.handle() {
                Some(handle) => wait::wait(&[(handle, Interest::Read)], None, deadline).map(|_| ())?,
                None => wait::pause(1_000_000, deadline)?,
            }
        }
        Ok(())
    }

    /// Takes bytes; no more than were promised.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut writing = lock(&self.inner);
        if writing.gone || writing.end.is_some() {
            return Err(Failure::Closed);
        }
        let written = writing.written.saturating_add(bytes.len() as u64);
        if writing.length.is_some_and(|length| written > length) {
            return Err(Failure::Failed(Error::http(self.size_error(written))));
        }
        writing.written = written;
        writing.bytes += bytes.len();
        writing.queue.push_back(Bytes::copy_from_slice(bytes));
        let waker = writing.waker.take();
        drop(writing);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn end(&self, end: Result<Option<HeaderMap>, ()>) {
        let mut writing = lock(&self.inner);
        writing.end.get_or_insert(end);
        let waker = writing.waker.take();
        drop(writing);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ends it well, if it is as long as was promised.
    pub(crate) fn finish(&self, trailers: Option<HeaderMap>) -> Result<(), ErrorCode> {
        let (written, length) = {
            let writing = lock(&self.inner);
            (writing.written, writing.length)
        };
        match length.is_none_or(|length| length == written) {
            true => {
                self.end(Ok(trailers.filter(|trailers| !trailers.is_empty())));
                Ok(())
            }
            false => {
                self.end(Err(()));
                Err(self.size_error(written))
            }
        }
    }

    /// Gives it up, unless it has ended.
    pub(crate) fn abort(&self) {
        self.end(Err(()));
    }
}

impl Event for BodyWriter {
    fn waits_for(&self) -> Option<(BorrowedFd<'_>, u64)> {
        match self.permit() {
            Ok(0) => self.signal.handle().map(|handle| (handle, u64::MAX)),
            _ => None,
        }
    }
}

/// A body that goes out, as hyper takes it.
#[derive(Debug)]
pub(crate) struct OutBody(Arc<BodyWriter>);

impl OutBody {
    pub(crate) fn new(writer: Arc<BodyWriter>) -> Self {
        Self(writer)
    }

    /// A body of the host's own.
    pub(crate) fn of_text(text: &str) -> Self {
        let writer = BodyWriter::new(None, Message::Response);
        let _ = writer.write(text.as_bytes());
        let _ = writer.finish(None);
        Self(writer)
    }
}

/// The guest gave the body up.
#[derive(Debug)]
pub(crate) struct Aborted;

impl core::fmt::Display for Aborted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the guest did not finish the body")
    }
}

impl std::error::Error for Aborted {}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let mut writing = lock(&self.0.inner);
        if let Some(bytes) = writing.queue.pop_front() {
            writing.bytes -= bytes.len();
            self.0.signal.ring();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut writing.end {
            Some(Ok(trailers)) => Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Some(Err(())) => Poll::Ready(Some(Err(Aborted))),
            None => {
                writing.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let writing = lock(&self.0.inner);
        writing.queue.is_empty() && matches!(writing.end, Some(Ok(None)))
    }

    fn size_hint(&self) -> SizeHint {
        let writing = lock(&self.0.inner);
        match (&writing.end, writing.length) {
            (Some(Ok(None)), _) => SizeHint::with_exact(writing.bytes as u64),
            (None, Some(length)) => {
                let taken = writing.written - writing.bytes as u64;
                SizeHint::with_exact(length.saturating_sub(taken))
            }
            _ => SizeHint::default(),
        }
    }
}

impl Drop for OutBody {
    fn drop(&mut self) {
        let mut writing = lock(&self.0.inner);
        writing.gone = true;
        writing.queue.clear();
        self.0.signal.ring();
    }
}
