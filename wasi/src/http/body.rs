//! Bodies: what comes in is asked of hyper by the guest's own thread, so that no more is read than it takes; what goes out
//! waits in a queue of at most one permit until hyper takes it.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Version;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::allowance::{self, Allowance, Charge};
use crate::http::connect::{Refused, code_of_io};
use crate::http::owed::Owed;
use crate::http::signal::Signal;
use crate::http::types::ErrorCode;
use crate::io::error::Error;
use crate::io::poll::Event;
use crate::io::streams::{Failure, PERMIT};
use crate::sys::clock;
use crate::sys::wait::{self, Interest};
use crate::{Deadline, Stop};

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
    bounds: Bounds,
    /// For what may have come and not been read.
    _charge: Charge,
}

/// What a body that comes in may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) of: Message,
    /// The longest pause.
    pub(crate) between_bytes: Duration,
    /// How many bytes have to come in each second, the pauses in which they are waited for added up and one longest pause left out;
    /// 0: no matter how many.
    pub(crate) rate: u32,
    /// How many bytes in all.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Reading {
    incoming: Option<Incoming>,
    /// What came and the guest has not taken.
    held: Bytes,
    /// How many bytes came.
    came: u64,
    end: Option<End>,
    /// How it ended, if not well; also when the end has been told.
    failed: Option<ErrorCode>,
    /// Data is passed over: only the end matters.
    passes: bool,
    /// Nanoseconds of the system's monotonic clock: since when more is waited for, and when that is too long.
    pause: Option<(u64, u64)>,
    /// Nanoseconds of all pauses.
    waited: u64,
    too_slow: bool,
}

impl Reading {
    fn until(&self) -> u64 {
        self.pause.map_or(u64::MAX, |(_, until)| until)
    }
}

impl Bounds {
    /// How many nanoseconds the next pause may take, after pauses of `waited` in which `came` bytes came.
    fn patience(&self, came: u64, waited: u64) -> u64 {
        let pause = u64::try_from(self.between_bytes.as_nanos()).unwrap_or(u64::MAX);
        let earned = u128::from(came) * 1_000_000_000 / u128::from(self.rate.max(1));
        match self.rate {
            0 => pause,
            _ => {
                let earned = u64::try_from(earned).unwrap_or(u64::MAX);
                pause.min(pause.saturating_add(earned).saturating_sub(waited))
            }
        }
    }
}

/// What the other side may send over HTTP/2 before it is read, of one body.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all bodies of a connection.
pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How much of a message is read ahead over HTTP/1.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// How many bytes of a body may have come before anybody reads them.
pub(crate) fn read_ahead(body: &Incoming, version: Version) -> usize {
    let most = if version == Version::HTTP_2 { STREAM_WINDOW as usize } else { MAX_HEAD };
    body.size_hint().upper().map_or(most, |length| most.min(usize::try_from(length).unwrap_or(most)))
}

impl BodyReader {
    /// `charge` is what may wait of it to be read ([`read_ahead`]).
    pub(crate) fn new(incoming: Incoming, bounds: Bounds, charge: Charge) -> Arc<Self> {
        let reading = Reading {
            incoming: Some(incoming),
            held: Bytes::new(),
            came: 0,
            end: None,
            failed: None,
            passes: false,
            pause: None,
            waited: 0,
            too_slow: false,
        };
        Arc::new(Self { inner: Mutex::new(reading), signal: Signal::new(), bounds, _charge: charge })
    }

    /// Looks for more; whether there is something: data, or the end.
    fn look(&self, reading: &mut Reading) -> bool {
        loop {
            if !reading.held.is_empty() && !reading.passes {
                return true;
            }
            reading.held = Bytes::new();
            let Some(incoming) = &mut reading.incoming else { return true };
            let rung = self.signal.silence();
            let waker = Waker::from(self.signal.clone());
            let end = match Pin::new(incoming).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some((since, _)) = reading.pause.take() {
                        // Until something came, which may be long ago: whoever reads may be the slow one.
                        reading.waited = reading.waited.saturating_add(rung.saturating_sub(since));
                    }
                    match frame.into_data().map_err(Frame::into_trailers) {
                        Ok(data) => {
                            reading.came = reading.came.saturating_add(data.len() as u64);
                            if reading.came <= self.bounds.bytes {
                                reading.held = data;
                                continue;
                            }
                            Err(self.bounds.of.size_error(reading.came))
                        }
                        Err(Ok(trailers)) => Ok(Some(trailers)),
                        Err(Err(_)) => continue,
                    }
                }
                Poll::Ready(Some(Err(error))) => match code_of(&error) {
                    ErrorCode::ConnectionTerminated if self.bounds.of == Message::Response => {
                        Err(ErrorCode::HttpResponseIncomplete)
                    }
                    code => Err(code),
                },
                Poll::Ready(None) => Ok(None),
                Poll::Pending => {
                    let now = clock::monotonic();
                    let patience = || self.bounds.patience(reading.came, reading.waited);
                    let (_, until) =
                        *reading.pause.get_or_insert_with(|| (now, now.saturating_add(patience())));
                    if now < until {
                        return false;
                    }
                    reading.too_slow = true;
                    Err(ErrorCode::ConnectionReadTimeout)
                }
            };
            reading.failed = end.as_ref().err().cloned();
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
                reading.until()
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

    /// Whether all that came was taken and no more will come.
    pub(crate) fn is_at_end(&self) -> bool {
        let reading = lock(&self.inner);
        reading.held.is_empty() && reading.incoming.is_none()
    }

    /// Whether more came than may.
    pub(crate) fn is_too_large(&self) -> bool {
        lock(&self.inner).came > self.bounds.bytes
    }

    /// Whether it was given up because what comes comes too slowly.
    pub(crate) fn is_too_slow(&self) -> bool {
        lock(&self.inner).too_slow
    }

    /// Whoever waited for it may go on to something else.
    pub(crate) fn forget_wait(&self) {
        self.signal.forget_wait();
    }

    /// Since when it is waited for, in nanoseconds of the system's monotonic clock, if it is.
    pub(crate) fn waited_for_since(&self) -> Option<u64> {
        self.signal.is_waited_for().then(|| lock(&self.inner).pause.map(|(since, _)| since)).flatten()
    }

    /// How many bytes came of a body that was cut before its end, and why.
    pub(crate) fn cut(&self) -> Option<(u64, ErrorCode)> {
        let reading = lock(&self.inner);
        reading.failed.clone().map(|code| (reading.came, code))
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
    fn waits_for(&self) -> Option<(&Signal, u64)> {
        let mut reading = lock(&self.inner);
        if self.look(&mut reading) {
            return None;
        }
        Some((&self.signal, reading.until()))
    }
}

/// The code of what hyper says went wrong.
pub(crate) fn code_of(error: &hyper::Error) -> ErrorCode {
    if let Some(code) = error.source().and_then(code_of_cause) {
        return code;
    }
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

/// The code of what lies behind an error, if it is one of ours or of the connection.
pub(crate) fn code_of_cause(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(Refused(code)) = error.downcast_ref() {
            return Some(code.clone());
        }
        if let Some(error) = error.downcast_ref::<Aborted>() {
            return Some(error.0.clone());
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(code_of_io(error));
        }
        source = error.source();
    }
    None
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
}

impl Message {
    /// The code of a body that has the wrong length.
    fn size_error(self, bytes: u64) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::HttpRequestBodySize(Some(bytes)),
            Self::Response => ErrorCode::HttpResponseBodySize(Some(bytes)),
        }
    }
}

/// Writes are put together in the queue as long as a piece has no more bytes than this.
const PIECE: usize = 16 * 1024;
/// What may be written to a body with nothing in its queue, however much the host keeps for the client.
const LEAST_PERMIT: u64 = 4096;
/// What a piece takes beside its bytes.
const OVERHEAD: usize = 64;

/// A body that goes out, as the guest writes it.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    inner: Mutex<Writing>,
    signal: Arc<Signal>,
    of: Message,
}

#[derive(Debug, Default)]
struct Writing {
    queue: VecDeque<Vec<u8>>,
    /// In the queue.
    bytes: usize,
    /// Pieces that were taken from it and are kept still.
    taken: usize,
    /// For the queue: what its pieces have room for, and [`OVERHEAD`] for each.
    charge: Charge,
    /// That were ever in the queue.
    queued: u64,
    /// In all that the guest wrote: more than were promised are counted, and not queued.
    written: u64,
    /// What `content-length` promised.
    length: Option<u64>,
    /// Finished, or given up.
    end: Option<Result<Option<HeaderMap>, ()>>,
    /// Of whoever takes it.
    waker: Option<Waker>,
    /// When a piece of it was last taken, or let go of.
    moved: Option<Instant>,
    /// The client that it is an answer to, and since when.
    to: Option<(Arc<Owed>, Instant)>,
    /// Nobody takes it any more.
    gone: bool,
    /// Nobody is to have it: what is written is counted and forgotten.
    discards: bool,
}

impl Writing {
    /// Puts bytes into the queue: many small writes take no more than one large one.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match self.queue.back_mut().filter(|last| last.len() + bytes.len() <= PIECE) {
            Some(last) => {
                let needed = last.len() + bytes.len();
                if needed > last.capacity() {
                    let room = needed.max(2 * last.capacity()).min(PIECE);
                    allowance::grow(&mut self.charge, room - last.capacity())?;
                    last.reserve_exact(room - last.len());
                }
                last.extend_from_slice(bytes);
            }
            None => {
                allowance::grow(&mut self.charge, bytes.len() + OVERHEAD)?;
                self.queue.push_back(bytes.to_vec());
            }
        }
        self.bytes += bytes.len();
        Ok(())
    }

    /// The next piece. It stays charged until whoever takes it is done with it.
    fn take(&mut self, writer: &Arc<BodyWriter>) -> Option<Bytes> {
        let bytes = self.queue.pop_front()?;
        self.bytes -= bytes.len();
        self.taken += 1;
        self.moved = Some(Instant::now());
        let charge = self.charge.split(bytes.capacity() + OVERHEAD);
        Some(Bytes::from_owner(Piece { bytes, writer: writer.clone(), _charge: charge }))
    }

    /// Forgets what nobody will take.
    fn clear(&mut self) {
        (self.queue, self.bytes) = (VecDeque::new(), 0);
        self.charge.shrink(usize::MAX);
    }
}

/// A piece of a body that hyper has, until the system has it.
struct Piece {
    bytes: Vec<u8>,
    writer: Arc<BodyWriter>,
    _charge: Charge,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut writing = lock(&self.writer.inner);
        writing.taken -= 1;
        writing.moved = Some(Instant::now());
    }
}

impl BodyWriter {
    /// What waits to be taken is added to `charge`.
    pub(crate) fn new(length: Option<u64>, of: Message, charge: Charge) -> Arc<Self> {
        let writing = Writing { length, charge, ..Writing::default() };
        Arc::new(Self { inner: Mutex::new(writing), signal: Signal::new(), of })
    }

    /// A body that was never written.
    pub(crate) fn empty() -> Arc<Self> {
        let writing = Writing { end: Some(Ok(None)), ..Writing::default() };
        Arc::new(Self { inner: Mutex::new(writing), signal: Signal::new(), of: Message::Response })
    }

    /// How many bytes may be written.
    pub(crate) fn permit(&self) -> Result<u64, Failure> {
        let writing = lock(&self.inner);
        self.signal.silence();
        if writing.is_closed() {
            return Err(Failure::Closed);
        }
        let room = PERMIT.saturating_sub(writing.bytes as u64);
        Ok(match &writing.to {
            // What is in the queue has to go first; if nothing is, a little goes on, or nothing would ever.
            Some((owed, _)) if owed.is_full() => {
                if writing.bytes == 0 {
                    room.min(LEAST_PERMIT)
                } else {
                    0
                }
            }
            _ => room,
        })
    }

    /// Whether nothing can be written any more: it has ended, or nobody takes it.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inner).is_closed()
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
        if writing.is_closed() {
            return Err(Failure::Closed);
        }
        writing.written = writing.written.saturating_add(bytes.len() as u64);
        if writing.length.is_some_and(|length| writing.written > length) {
            return Err(Failure::Failed(Error::http(self.of.size_error(writing.written))));
        }
        if writing.discards {
            return Ok(());
        }
        writing.keep(bytes)?;
        writing.queued += bytes.len() as u64;
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
                Err(self.of.size_error(written))
            }
        }
    }

    /// The body of an answer that has none, such as one to HEAD: the guest writes it all the same, and learns of its length.
    pub(crate) fn discard(&self) {
        lock(&self.inner).discards = true;
    }

    /// The names of its trailers, once it has ended with some.
    pub(crate) fn trailer_names(&self) -> Vec<HeaderName> {
        match &lock(&self.inner).end {
            Some(Ok(Some(trailers))) => trailers.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Ready once nothing more is written. For as long as nobody takes it.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut writing = lock(&self.inner);
        if writing.end.is_some() {
            return Poll::Ready(());
        }
        writing.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// It is an answer to this client from now on, who is charged for what waits. False if there is no memory for that.
    pub(crate) fn send_to(&self, owed: &Arc<Owed>, memory: &Arc<Allowance>) -> bool {
        let mut writing = lock(&self.inner);
        let Ok(charge) = memory.charged(writing.charge.bytes()) else { return false };
        writing.charge = charge;
        writing.to = Some((owed.clone(), Instant::now()));
        true
    }

    /// How long a client has taken nothing of what waits for it.
    pub(crate) fn waits(&self) -> Option<Duration> {
        let writing = lock(&self.inner);
        let (_, since) = writing.to.as_ref().filter(|_| writing.taken > 0 || !writing.queue.is_empty())?;
        Some(writing.moved.unwrap_or(*since).max(*since).elapsed())
    }

    /// Forgets what waits; whoever takes it learns that it is not whole, and the guest that nobody takes it.
    pub(crate) fn give_up(&self) {
        let mut writing = lock(&self.inner);
        writing.gone = true;
        writing.clear();
        writing.end = Some(Err(()));
        let waker = writing.waker.take();
        drop(writing);
        waker.into_iter().for_each(Waker::wake);
        self.signal.ring();
    }

    /// When a piece of it was last taken.
    pub(crate) fn moved(&self) -> Option<Instant> {
        lock(&self.inner).moved
    }

    /// Gives it up, unless it has ended.
    pub(crate) fn abort(&self) {
        self.end(Err(()));
    }
}

impl Event for BodyWriter {
    fn waits_for(&self) -> Option<(&Signal, u64)> {
        match self.permit() {
            Ok(0) => Some((&self.signal, u64::MAX)),
            _ => None,
        }
    }
}

impl Writing {
    /// Whether nothing more may be written.
    fn is_closed(&self) -> bool {
        // One that was taken whole is not closed for that: what is written after it is too much.
        let is_lost = self.gone && !self.discards && self.length != Some(self.queued);
        is_lost || self.end.is_some()
    }
}

/// A body that goes out, as hyper takes it.
#[derive(Debug)]
pub(crate) struct OutBody {
    writer: Arc<BodyWriter>,
    /// Its length is told, also that there is nothing: hyper is silent about a body that is at its end.
    is_told: bool,
}

impl OutBody {
    pub(crate) fn new(writer: Arc<BodyWriter>) -> Self {
        Self { writer, is_told: false }
    }

    /// The body of a request whose method has one as a rule: a server may insist on a length (RFC 9110, 8.6).
    pub(crate) fn told(writer: Arc<BodyWriter>) -> Self {
        Self { writer, is_told: true }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::new(BodyWriter::empty())
    }

    /// Whether nothing more is written.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(lock(&self.writer.inner).end, Some(Ok(_)))
    }

    /// Whether it has ended, and not well.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(lock(&self.writer.inner).end, Some(Err(())))
    }

    /// Whether all of it has been taken, which is `taken` bytes.
    pub(crate) fn is_whole(&self, taken: u64) -> bool {
        lock(&self.writer.inner).length == Some(taken) || self.is_end_stream()
    }

    /// Where the guest writes it.
    pub(crate) fn writer(&self) -> Arc<BodyWriter> {
        self.writer.clone()
    }

    /// A body of the host's own.
    pub(crate) fn of_text(text: &str) -> Self {
        let writer = BodyWriter::new(None, Message::Response, Charge::default());
        let _ = writer.write(text.as_bytes());
        let _ = writer.finish(None);
        Self::new(writer)
    }
}

/// The guest gave the body up: what is said to whoever waits for an answer to it.
#[derive(Debug)]
pub(crate) struct Aborted(ErrorCode);

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
        let this = self.get_mut();
        let mut writing = lock(&this.writer.inner);
        if let Some(bytes) = writing.take(&this.writer) {
            this.writer.signal.ring();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut writing.end {
            Some(Ok(trailers)) => {
                this.is_told = false;
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Some(Err(())) => {
                let written = writing.written;
                Poll::Ready(Some(Err(Aborted(this.writer.of.size_error(written)))))
            }
            None => {
                writing.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let writing = lock(&self.writer.inner);
        let is_told = self.is_told && writing.queued == 0;
        !is_told && writing.queue.is_empty() && matches!(writing.end, Some(Ok(None)))
    }

    fn size_hint(&self) -> SizeHint {
        let writing = lock(&self.writer.inner);
        match (&writing.end, writing.length) {
            (Some(Ok(None)), _) => SizeHint::with_exact(writing.bytes as u64),
            (None, Some(length)) => {
                let taken = writing.queued - writing.bytes as u64;
                SizeHint::with_exact(length.saturating_sub(taken))
            }
            _ => SizeHint::default(),
        }
    }
}

impl Drop for OutBody {
    fn drop(&mut self) {
        let mut writing = lock(&self.writer.inner);
        writing.gone = true;
        writing.clear();
        self.writer.signal.ring();
    }
}
