//! Requests that go out: one client for each grant, with a pool of connections, HTTP/1.1 and 2, TLS.
//!
//! A request goes to the host that it names and to no other. Which hosts may be named is a [`Network`] of its own; how a
//! connection comes about is `connect`'s business. Each step has its time: to connect, until an answer begins, between two
//! pieces of it.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::error::Error as _;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::Stop;
use crate::allowance::{Allowance, Charge};
use crate::http::body::{
    Bounds, CONNECTION_WINDOW, MAX_HEAD, Message, OutBody, STREAM_WINDOW, code_of, code_of_cause,
};
use crate::http::connect::{ATTEMPT, Attempt, Connector, address_of};
use crate::http::signal::Signal;
use crate::http::types::ErrorCode;
use crate::io::poll::Event;
use crate::sockets::policy::{Network, SocketUse};

/// How long each step may take unless the guest says otherwise.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an unused connection is kept, and how many for each host.
const IDLE: Duration = Duration::from_secs(15);
const IDLE_PER_HOST: usize = 32;
/// How many requests of one grant may wait for the heads of their answers.
const MAX_WAITING: usize = 1024;
/// How many interim answers (1xx) may come before the answer to a request, if the embedder says nothing.
pub const DEFAULT_MAX_INTERIM: u32 = 64;
/// How many bytes the body of an answer may have, if the embedder says nothing.
pub const DEFAULT_MAX_BODY: u64 = 4 << 30;

/// The threads that run the network: begun with the first request or server.
pub(crate) fn runtime() -> Result<&'static Runtime, Stop> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(4096)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    runtime.as_ref().map_err(|error| Stop::Trap(format!("the network cannot be started: {error}")))
}

/// Which hosts requests may go to, and whose certificates are believed.
#[derive(Debug, Clone)]
pub struct Outgoing {
    hosts: Network,
    authorities: Vec<CertificateDer<'static>>,
    max_body: u64,
    max_interim: u32,
}

impl Outgoing {
    /// Requests to the hosts of these rules; a name has to be among their names, unless a rule covers all.
    pub fn to(hosts: Network) -> Self {
        Self { hosts, authorities: Vec::new(), max_body: DEFAULT_MAX_BODY, max_interim: DEFAULT_MAX_INTERIM }
    }

    /// Believes the certificates of a PEM file too, beside those that the system does (or `SSL_CERT_FILE`).
    ///
    /// # Errors
    /// If the file cannot be read, or has none.
    pub fn ca_file(&mut self, path: &Path) -> Result<&mut Self, String> {
        let wrong = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
        let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
        if found.is_empty() {
            return Err(wrong(&"there is no certificate in it"));
        }
        self.authorities.extend(found);
        Ok(self)
    }

    /// Limits how many bytes the body of an answer may have; [`DEFAULT_MAX_BODY`] by default.
    pub fn max_body(&mut self, bytes: u64) -> &mut Self {
        self.max_body = bytes;
        self
    }

    /// Limits how many interim answers (1xx) may come before an answer over HTTP/1.1; [`DEFAULT_MAX_INTERIM`] by default. Over HTTP/2
    /// only time limits them.
    pub fn max_interim(&mut self, answers: u32) -> &mut Self {
        self.max_interim = answers;
        self
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::new(Client {
            hosts: Arc::new(Mutex::new(self.hosts.clone())),
            authorities: self.authorities.clone(),
            max_body: self.max_body,
            max_interim: self.max_interim,
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            pool: OnceLock::new(),
        })
    }
}

/// What was agreed with the other side, once somebody has asked.
pub(crate) struct Client {
    hosts: Arc<Mutex<Network>>,
    authorities: Vec<CertificateDer<'static>>,
    max_body: u64,
    max_interim: u32,
    waiting: Arc<Semaphore>,
    pool: OnceLock<Result<legacy::Client<Connector, OutBody>, String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// The times that a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) between_bytes: Duration,
}

impl Client {
    /// Whether a host may be asked at all; what it leads to is checked later.
    pub(crate) fn allows(&self, host: &str, port: u16) -> bool {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        match address_of(host) {
            Some(address) => hosts.allows(SocketUse::TcpConnect, &SocketAddr::new(address, port)),
            None => hosts.allows_lookup(&host.to_ascii_lowercase()),
        }
    }

    fn pool(&self) -> Result<legacy::Client<Connector, OutBody>, ErrorCode> {
        let pool = self.pool.get_or_init(|| {
            let connector = Connector::new(self.hosts.clone(), &self.authorities)?;
            let mut builder = legacy::Client::builder(TokioExecutor::new());
            builder
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .http1_max_buf_size(MAX_HEAD)
                .http2_max_header_list_size(MAX_HEAD as u32)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .http2_keep_alive_interval(Duration::from_secs(20));
            Ok(builder.build(connector))
        });
        pool.clone().map_err(|error: String| ErrorCode::InternalError(Some(error)))
    }

    /// Sends a request; the answer comes by itself.
    pub(crate) fn send(
        &self,
        request: Request<OutBody>,
        times: Times,
        memory: &Arc<Allowance>,
    ) -> Result<Arc<ResponseFuture>, Stop> {
        // For the request under way, and the head of its answer.
        let charge = memory.charged(MAX_HEAD)?;
        let (sender, receiver) = oneshot::channel();
        let bounds = Bounds {
            of: Message::Response,
            between_bytes: times.between_bytes,
            rate: 0,
            bytes: self.max_body,
        };
        let future = ResponseFuture {
            state: Mutex::new(State::Waits(receiver)),
            signal: Signal::new(),
            bounds,
            _charge: charge,
        };
        let waiting = self.waiting.clone().try_acquire_owned();
        match waiting
            .map_err(|_| ErrorCode::ConnectionLimitReached)
            .and_then(|permit| Ok((permit, self.pool()?)))
        {
            Ok((permit, pool)) => {
                let max_interim = self.max_interim;
                runtime()?.spawn(async move {
                    let mut sender = sender;
                    let answer = tokio::select! {
                        answer = ask(&pool, request, times, max_interim) => answer,
                        // The guest has dropped the future.
                        () = sender.closed() => return,
                    };
                    drop(permit);
                    let _ = sender.send(answer.and_then(|response| judge(response, bounds.bytes)));
                });
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
        Ok(Arc::new(future))
    }
}

/// Sends a request and waits for the head of its answer, no longer than may be.
async fn ask(
    pool: &legacy::Client<Connector, OutBody>,
    mut request: Request<OutBody>,
    times: Times,
    max_interim: u32,
) -> Answer {
    let body = request.body().writer();
    let too_many = Arc::new(Notify::new());
    let (came, told) = (AtomicU32::new(0), too_many.clone());
    hyper::ext::on_informational(&mut request, move |_| {
        if came.fetch_add(1, Ordering::Relaxed) >= max_interim {
            told.notify_one();
        }
    });
    let (since, connected) = watch::channel(Some(Instant::now()));
    let attempt = Attempt { patience: times.connect, since: Arc::new(since) };
    tokio::select! {
        biased;
        // First, since the answer may have come meanwhile, after more than may be.
        () = too_many.notified() => Err(ErrorCode::HttpProtocolError),
        answer = ATTEMPT.scope(attempt, pool.request(request)) => answer.map_err(|error| code_of_client(&error)),
        () = too_late(connected, || body.moved(), times.first_byte) => Err(ErrorCode::ConnectionReadTimeout),
    }
}

/// Returns when the other side has been silent for too long: since it was connected, or took a piece of the request.
async fn too_late(
    mut connected: watch::Receiver<Option<Instant>>,
    moved: impl Fn() -> Option<Instant>,
    patience: Duration,
) {
    loop {
        let since = *connected.borrow_and_update();
        let until = since.and_then(|since| since.max(moved().unwrap_or(since)).checked_add(patience));
        if until.is_some_and(|until| until <= Instant::now()) {
            return;
        }
        let late = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            () = late => {}
            changed = connected.changed() => if changed.is_err() {
                // The request is over.
                core::future::pending::<()>().await;
            },
        }
    }
}

/// An answer that a guest may have.
fn judge(response: Response<Incoming>, max_body: u64) -> Answer {
    // Nobody asked to speak anything else.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ErrorCode::HttpUpgradeFailed);
    }
    let length = response.body().size_hint().lower();
    if length > max_body {
        return Err(ErrorCode::HttpResponseBodySize(Some(length)));
    }
    Ok(response)
}

fn code_of_client(error: &legacy::Error) -> ErrorCode {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return code_of(error);
        }
        source = error.source();
    }
    error.source().and_then(code_of_cause).unwrap_or(ErrorCode::ConnectionTerminated)
}

/// What came of a request.
type Answer = Result<Response<Incoming>, ErrorCode>;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct ResponseFuture {
    state: Mutex<State>,
    signal: Arc<Signal>,
    bounds: Bounds,
    _charge: Charge,
}

#[derive(Debug)]
enum State {
    Waits(oneshot::Receiver<Answer>),
    There(Box<Answer>),
    Taken,
}

impl ResponseFuture {
    /// Looks; whether it is there, or was.
    fn look(&self, state: &mut State) -> bool {
        let State::Waits(receiver) = state else { return true };
        self.signal.silence();
        let waker = Waker::from(self.signal.clone());
        match Pin::new(receiver).poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => false,
            Poll::Ready(answer) => {
                let lost = || Err(ErrorCode::InternalError(Some("the request was dropped".into())));
                *state = State::There(Box::new(answer.unwrap_or_else(|_| lost())));
                true
            }
        }
    }

    /// The answer: `None` if it is not there yet, `Some(None)` if it has been taken.
    #[expect(clippy::type_complexity, reason = "as WIT has it")]
    pub(crate) fn take(&self) -> Option<Option<Result<(Response<Incoming>, Bounds), ErrorCode>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.look(&mut state) {
            return None;
        }
        Some(match core::mem::replace(&mut *state, State::Taken) {
            State::There(answer) => Some(answer.map(|response| (response, self.bounds))),
            _ => None,
        })
    }
}

impl Event for ResponseFuture {
    fn waits_for(&self) -> Option<(&Signal, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.look(&mut state) {
            return None;
        }
        Some((&self.signal, u64::MAX))
    }
}
