//! One connection from its first byte to its last: how long it may take for a head, do nothing, and live; and whether its client is
//! still there while a guest works for it.

use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use crate::http::owed::Owed;
use crate::http::patient::Patient;
use crate::http::server::Limits;
use crate::http::server::peers::Peer;
use crate::http::server::turns;

/// How a connection of HTTP/2 begins (RFC 9113, 3.4). Until something else comes it is not known which version it is.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection that is not busy has for a farewell.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a client for whom a guest works is looked after.
const LOOK: Duration = Duration::from_millis(500);

/// What is known of a connection by all who have to do with it.
pub(super) struct Line {
    stream: Mutex<Patient>,
    opened: Instant,
    /// Requests that are not answered to their end.
    requests: AtomicUsize,
    /// When a request last came to its end, in milliseconds since it was opened.
    moved: AtomicU64,
    /// The same of when something last went out.
    written: AtomicU64,
    /// The same of when a head began to come; [`NEVER`] if none has.
    head: AtomicU64,
    /// How much of the preface of HTTP/2 has come while nothing else has.
    preface: AtomicUsize,
    is_http2: AtomicBool,
    /// A request was answered in the turn that the connection's task has now.
    has_answered: AtomicBool,
    /// What is kept because of it.
    pub(super) owed: Arc<Owed>,
}

const NEVER: u64 = u64::MAX;

/// A request that keeps its connection busy.
pub(super) struct Busy(Arc<Line>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.moved.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    pub(super) fn new(stream: TcpStream, owed: Arc<Owed>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            stream: Mutex::new(Patient::new(stream, limits.between_bytes)),
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            written: AtomicU64::new(0),
            // Whoever connects has something to say.
            head: AtomicU64::new(0),
            preface: AtomicUsize::new(0),
            is_http2: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            owed,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn at(&self, milliseconds: &AtomicU64) -> Instant {
        self.opened + Duration::from_millis(milliseconds.load(Ordering::Relaxed))
    }

    fn stream(&self) -> MutexGuard<'_, Patient> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A head has come.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head.store(NEVER, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// A request after another one of the same turn lets other tasks have theirs first. Over HTTP/2
    /// each is a task of its own.
    pub(super) async fn take_turns(&self) {
        if !self.is_http2() && self.has_answered.swap(true, Ordering::Relaxed) {
            yield_now().await;
            self.has_answered.store(true, Ordering::Relaxed);
        }
    }

    fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// These bytes came.
    fn came(&self, bytes: &[u8]) {
        if self.is_http2() || self.is_busy() || bytes.is_empty() {
            return;
        }
        let known = self.preface.load(Ordering::Relaxed);
        if let Some(expected) = PREFACE.get(known..).filter(|expected| !expected.is_empty()) {
            let part = expected.len().min(bytes.len());
            if expected[..part] == bytes[..part] {
                self.preface.store(known + part, Ordering::Relaxed);
                if part == expected.len() {
                    self.is_http2.store(true, Ordering::Relaxed);
                    self.head.store(NEVER, Ordering::Relaxed);
                    self.moved.store(self.now(), Ordering::Relaxed);
                }
                return;
            }
            self.preface.store(PREFACE.len(), Ordering::Relaxed);
        }
        if self.head.load(Ordering::Relaxed) == NEVER {
            self.head.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Until when a connection that is not busy may stay as it is, and whether it may end in peace then.
    fn patience(&self, limits: &Limits) -> (Instant, Next) {
        match self.head.load(Ordering::Relaxed) {
            NEVER => {
                // What goes out over HTTP/2 may be no more than the answer to a ping.
                let written = if self.is_http2() { self.opened } else { self.at(&self.written) };
                (self.at(&self.moved).max(written) + limits.idle, Next::Close)
            }
            _ => (self.at(&self.head) + limits.head, Next::Drop),
        }
    }

    /// Whether the client has ended its side, and whether it has let go of the connection.
    fn left(&self) -> (bool, bool) {
        let stream = self.stream();
        let mut ready = pin!(stream.stream().ready(Interest::READABLE | Interest::WRITABLE));
        match ready.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => (ready.is_read_closed(), ready.is_write_closed()),
            Poll::Ready(Err(_)) => (true, true),
            Poll::Pending => (false, false),
        }
    }
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    /// It takes no more requests and ends when it has nothing left to do.
    Close,
    /// It ends now.
    Drop,
}

/// Sees to a connection until its end, which `ending` asks for.
pub(super) async fn keep(
    connection: impl GracefulConnection,
    line: Arc<Line>,
    limits: &Limits,
    peer: &Arc<Peer>,
    ending: impl Future<Output = ()>,
) {
    let (mut connection, mut ending) = (pin!(connection), pin!(ending));
    let mut waiting = None;
    let mut timer = pin!(sleep_until((line.opened + limits.head).into()));
    let mut watch = Watch { line: &line, limits, closes: None, ended: None };
    poll_fn(|cx| {
        loop {
            // A request of HTTP/1.1 goes on in this very task.
            let may_wait = line.is_http2() || !line.is_busy();
            if waiting.is_none() && may_wait && turns::is_crowded(peer) {
                waiting = Some(Box::pin(turns::calm(peer.clone())));
            }
            let calm = waiting.as_mut().map(|waiting| waiting.as_mut().poll(cx));
            if !matches!(calm, Some(Poll::Pending)) {
                waiting = None;
                line.has_answered.store(false, Ordering::Relaxed);
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
            }
            drop(calm);
            let mut next = Next::Keep;
            // Once only: from then on the timer says when it has had long enough.
            if watch.closes.is_none() && (line.owed.is_refused() || ending.as_mut().poll(cx).is_ready()) {
                next = Next::Close;
            }
            let due: tokio::time::Instant = watch.due().into();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if next == Next::Keep && timer.as_mut().poll(cx).is_ready() {
                let (verdict, until) = watch.look();
                next = verdict;
                timer.as_mut().reset(until.into());
            }
            match next {
                Next::Drop => return Poll::Ready(()),
                Next::Close if watch.closes.is_none() => {
                    watch.closes = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                // A timer that was set anew has to be polled.
                _ if timer.as_mut().poll(cx).is_pending() => return Poll::Pending,
                _ => {}
            }
        }
    })
    .await;
}

/// What `keep` knows beside the line.
struct Watch<'k> {
    line: &'k Line,
    limits: &'k Limits,
    /// Since when it takes no more requests.
    closes: Option<Instant>,
    /// Since when it is known that the client has ended its side.
    ended: Option<Instant>,
}

impl Watch<'_> {
    /// The latest moment to look again, as far as that needs no look.
    fn due(&self) -> Instant {
        match self.line.is_busy() || self.closes.is_some() {
            true => Instant::now() + LOOK,
            false => self.line.patience(self.limits).0,
        }
    }

    /// What is to be done now, and when to look again.
    fn look(&mut self) -> (Next, Instant) {
        let now = Instant::now();
        let Self { line, limits, .. } = *self;
        if line.is_busy() && !line.is_http2() && self.has_left(now) {
            return (Next::Drop, now);
        }
        if let Some(since) = self.closes {
            let patience = if line.is_busy() { limits.drain } else { FAREWELL };
            let until = since.max(line.at(&line.written)) + patience;
            // Nobody keeps it open by taking a byte now and then.
            let until = until.min(since + limits.drain.saturating_mul(2));
            return match until <= now {
                true => (Next::Drop, now),
                false => (Next::Keep, until.min(now + LOOK)),
            };
        }
        let age = line.opened + limits.age;
        if age <= now {
            return (Next::Close, now + LOOK);
        }
        if line.is_busy() {
            return (Next::Keep, age.min(now + LOOK));
        }
        match line.patience(limits) {
            (until, next) if until <= now => (next, now + LOOK),
            (until, _) => (Next::Keep, age.min(until)),
        }
    }

    /// Whether the client of HTTP/1.1 for whom a guest works has gone: it has let go of the connection, or has ended its side and
    /// nothing goes out to it.
    fn has_left(&mut self, now: Instant) -> bool {
        if self.limits.keep_abandoned {
            return false;
        }
        match self.line.left() {
            (_, true) => true,
            (true, false) => {
                let ended = *self.ended.get_or_insert(now);
                now.saturating_duration_since(ended.max(self.line.at(&self.line.written)))
                    >= self.limits.half_close
            }
            _ => false,
        }
    }
}

/// The connection as hyper has it.
pub(super) struct Stream(pub(super) Arc<Line>);

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut *self.0.stream()).poll_read(cx, buf);
        let came = &buf.filled()[before..];
        self.0.came(came);
        match self.0.owed.came(came.len()) {
            true => result,
            false => Poll::Ready(Err(ErrorKind::OutOfMemory.into())),
        }
    }
}

impl Stream {
    fn written(&self, result: Poll<Result<usize, Error>>) -> Poll<Result<usize, Error>> {
        if let Poll::Ready(Ok(sent)) = result {
            self.0.owed.sent(sent);
            self.0.written.store(self.0.now(), Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let result = Pin::new(&mut *self.0.stream()).poll_write(cx, buf);
        self.written(result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = Pin::new(&mut *self.0.stream()).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.0.owed.flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.0.stream()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let result = Pin::new(&mut *self.0.stream()).poll_write_vectored(cx, bufs);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
