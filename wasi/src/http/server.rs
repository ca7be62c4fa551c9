//! `mini-wasm serve`: HTTP/1.1 and 2 without TLS, a fresh guest for each request.
//!
//! tokio reads and writes, and guests run where it does, in the task of their connection (`guest`). What a server needs beside
//! hyper is here: limits, time-outs, a queue that says 503 when it is full, and an end that answers everybody first.

mod answer;
mod computing;
mod connection;
mod guest;
mod peers;
mod place;
mod service;
mod target;
mod turns;

use core::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use mini_wasm_canonical_abi::Own;
use mini_wasm_runtime::return_free_memory;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::allowance::Allowance;
use crate::http::body::{BodyReader, CONNECTION_WINDOW, MAX_HEAD, STREAM_WINDOW};
use crate::http::client::runtime;
use crate::http::fields::Fields;
use crate::http::owed::Owed;
use crate::http::server::computing::Computing;
use crate::http::server::connection::{Line, Stream, keep};
use crate::http::server::peers::Peers;
use crate::http::server::service::{Client, Service};
use crate::http::server::turns::{OnTheWay, Turns};
use crate::http::types::{Answer, IncomingRequest, Method, ResponseOutparam};
use crate::sys::process;
use crate::{Stop, Wasi};

/// The instance that a guest exports, and its function: `handle: func(request: incoming-request, response-out:
/// response-outparam)`.
pub const INSTANCE: &str = "wasi:http/incoming-handler@0.2.12";
/// The function in [`INSTANCE`].
pub const HANDLE: &str = "handle";

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many requests are served at once; more are answered 503.
    pub requests: usize,
    /// How many of them may come from one address, or one network of IPv6 of /64; if nothing is said half of them, but at least 32.
    pub requests_per_address: Option<usize>,
    /// How many connections are open at once; more wait to be accepted. No more than three quarters of the descriptors that the
    /// system grants, for which the server asks.
    pub connections: usize,
    /// How many of them one address may have, and what if nothing is said, as with requests; more are closed at once.
    pub connections_per_address: Option<usize>,
    /// How many of a hundred requests and connections are kept for addresses that have none, if there are at least 8.
    pub kept_for_new: u8,
    /// How long a request may take from its head to the end of its answer's head.
    pub request: Duration,
    /// How long a client may take to send a head.
    pub head: Duration,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long a connection may be open; then it takes no more requests.
    pub age: Duration,
    /// How long a request may wait for the client's body while another one needs its place.
    pub body_grace: Duration,
    /// How long a client of HTTP/1.1 that has ended its side is taken for one that still waits for its answer, if nothing goes out.
    pub half_close: Duration,
    /// Whether a guest goes on whose client has gone.
    pub keep_abandoned: bool,
    /// How many guests compute at once, on threads of their own.
    pub computing: usize,
    /// By how much these threads are nicer than others: 0 to 19.
    pub niceness: u8,
    /// How long a client may pause within a body, and take nothing of what it is sent.
    pub between_bytes: Duration,
    /// How many bytes of a body a client has to send in each second that it is waited for, once these seconds are more than
    /// `between_bytes`; 0: no matter how many.
    pub body_rate: u32,
    /// How many bytes a request's body may have.
    pub body: u64,
    /// How many bytes of answers the host keeps for one connection before it begins no more requests on it.
    pub connection_memory: usize,
    /// How many bytes the host keeps for all connections; beyond that requests are answered 503 and connections closed.
    pub connections_memory: usize,
    /// How long requests that are under way may take to end once the server is to end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 1000,
            requests_per_address: None,
            connections: 10_000,
            connections_per_address: None,
            kept_for_new: 5,
            request: Duration::from_secs(30),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            age: Duration::from_secs(3600),
            body_grace: Duration::from_secs(1),
            half_close: Duration::from_secs(2),
            keep_abandoned: false,
            computing: 2 * std::thread::available_parallelism().map_or(1, NonZero::get),
            niceness: 10,
            between_bytes: Duration::from_secs(60),
            body_rate: 100,
            body: 4 << 30,
            connection_memory: 1 << 20,
            connections_memory: 256 << 20,
            drain: Duration::from_secs(30),
        }
    }
}

/// A request as a guest gets it.
#[derive(Debug)]
pub struct Asked {
    head: Parts,
    body: Arc<BodyReader>,
    answer: oneshot::Sender<Answer>,
    /// When it must have been answered.
    pub deadline: Instant,
}

impl Asked {
    /// The path with its query, as it came.
    pub fn path(&self) -> &str {
        self.head.uri.path_and_query().map_or("*", |path| path.as_str())
    }

    /// Gives it to a guest: the two resources that `handle` takes. From now on the guest waits no longer than until the deadline, in
    /// tokio's sight.
    ///
    /// # Errors
    /// If the guest may not hold that much.
    pub fn give(self, wasi: &mut Wasi) -> Result<(Own<IncomingRequest>, Own<ResponseOutparam>), Stop> {
        let Self { head, body, answer, deadline } = self;
        wasi.deadline = Arc::new(guest::Until(deadline));
        let request = IncomingRequest {
            method: method(&head.method),
            path_with_query: target::path(&head.uri),
            scheme: Some(target::scheme(&head.uri)),
            authority: target::authority(&head),
            headers: Fields::of_header_map(wasi, &head.headers)?,
            body: Some(body),
            // A URI is a part of the head, of 64 KiB at most.
            _charge: wasi
                .field_bytes
                .charged(head.uri.path().len() + head.uri.query().map_or(0, str::len))?,
        };
        let request = wasi.table.push(request)?;
        Ok((request, wasi.table.push(ResponseOutparam(answer))?))
    }
}

fn method(method: &hyper::Method) -> Method {
    match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        hyper::Method::CONNECT => Method::Connect,
        hyper::Method::OPTIONS => Method::Options,
        hyper::Method::TRACE => Method::Trace,
        hyper::Method::PATCH => Method::Patch,
        ref other => Method::Other(other.as_str().to_owned()),
    }
}

/// A request that is being served; its words are for the log if that did not end well.
pub type Serving = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Serves one request with a guest. What it gives is polled on the server's own threads until the request's deadline, and may take
/// a few milliseconds each time.
pub type Handler = dyn Fn(Asked) -> Serving + Send + Sync;

/// A handler that waits on its thread: each request gets one.
pub fn on_threads(handler: impl Fn(Asked) -> Result<(), String> + Send + Sync + 'static) -> Arc<Handler> {
    let handler = Arc::new(handler);
    Arc::new(move |asked| {
        let handler = handler.clone();
        let serving = tokio::task::spawn_blocking(move || handler(asked));
        Box::pin(async move { serving.await.unwrap_or_else(|panic| Err(panic.to_string())) })
    })
}

/// What is told of each request that was answered, and again if its answer did not come to its end.
#[derive(Debug)]
pub struct Served<'s> {
    /// Who asked.
    pub peer: SocketAddr,
    /// The method.
    pub method: &'s str,
    /// The path with its query.
    pub path: &'s str,
    /// What was answered; 499 if the client did not wait for it.
    pub status: u16,
    /// From head to head.
    pub took: Duration,
    /// Why the request, or its answer, did not come to its end.
    pub cut: Option<&'s str>,
}

/// Told of each request.
pub type Log = dyn Fn(&Served<'_>) + Send + Sync;

/// Told of what went wrong in serving one.
pub type Complain = dyn Fn(&str) + Send + Sync;

/// Whose memory it is, in messages.
const CLIENTS: &str = "the clients of the server";
/// How much a load has to leave behind before it is returned to the system, and how often that is looked after.
const LEFT_BEHIND: usize = 8 << 20;
const REST: Duration = Duration::from_millis(500);

/// What is said to whom nothing more is granted.
const REFUSED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    handler: Arc<Handler>,
    log: Arc<Log>,
    complain: Arc<Complain>,
    /// What the host keeps for all clients.
    clients: Arc<Allowance>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens. `log` is told of each request, `complain` of what went wrong in serving one.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub fn bind(
        address: SocketAddr,
        limits: Limits,
        handler: Arc<Handler>,
        log: Arc<Log>,
        complain: Arc<Complain>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let clients = Allowance::new(CLIENTS, limits.connections_memory);
        Ok(Self { listener, limits, handler, log, complain, clients })
    }

    /// Lets what is kept for clients be part of an allowance, beside its own limit; of none by default.
    #[must_use]
    pub fn host_memory(mut self, all: &Arc<Allowance>) -> Self {
        self.clients = all.part(CLIENTS, self.limits.connections_memory);
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until SIGTERM or SIGINT comes; then takes no more connections and ends when every request under way has been
    /// answered. A second signal, or the end of patience, ends it at once.
    ///
    /// # Errors
    /// If the network cannot be started.
    pub fn serve(self) -> io::Result<()> {
        let runtime = runtime().map_err(|stop| io::Error::other(stop.to_string()))?;
        runtime.block_on(self.run())
    }

    async fn run(self) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut limits = self.limits;
        // A quarter is for what guests open; without descriptors nobody could be told from anybody.
        let wanted = (limits.connections as u64).saturating_mul(4) / 3;
        let granted = process::descriptors(wanted.saturating_add(64)).saturating_sub(64) / 4 * 3;
        limits.connections = limits.connections.min(usize::try_from(granted).unwrap_or(usize::MAX)).max(1);
        let peers = Peers::new(&limits, &self.clients);
        let (end, ending) = watch::channel(());
        let mut http = auto::Builder::new(TokioExecutor::new());
        // A client that ends its side still gets its answer; and hyper does not look, with a buffer of its own for it, whether each
        // client has ended its side while it is being answered.
        http.http1().half_close(true);
        http.http1().header_read_timeout(None).max_buf_size(MAX_HEAD);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(Some(Duration::from_secs(20)));
        let service = Arc::new(Service {
            limits,
            turns: Turns::new(2 * Handle::current().metrics().num_workers()),
            computing: Computing::new(limits.computing, limits.niceness, Handle::current()),
            handler: self.handler,
            log: self.log,
            complain: self.complain,
        });
        let memory = tokio::spawn(return_memory(self.clients.outermost()));
        loop {
            // Signals count also while no connection more is taken.
            let next = async {
                peers.room().await;
                listener.accept().await
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            };
            let Ok((stream, peer)) = accepted else {
                // No handles left, or a client that has gone: others may be served meanwhile.
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let Some(connected) = peers.connect(peer.ip()) else {
                // Its address has its share.
                let _ = stream.try_write(REFUSED);
                continue;
            };
            // Where there is no memory for another it is closed at once.
            let Some(owed) = Owed::new(&self.clients, connected.memory(), limits.connection_memory) else {
                let _ = stream.try_write(REFUSED);
                continue;
            };
            let _ = stream.set_nodelay(true);
            let line = Line::new(stream, owed.clone(), &limits);
            let address = connected.peer().clone();
            let client = Arc::new(Client { service: service.clone(), connected, line: line.clone(), peer });
            let answer = service_fn(move |request| {
                let on_the_way = OnTheWay::new(client.connected.peer());
                client.clone().answer(request, on_the_way)
            });
            let connection = http.serve_connection(TokioIo::new(Stream(line.clone())), answer).into_owned();
            let mut ending = ending.clone();
            tokio::spawn(async move {
                // It has ended too when nobody can end it any more.
                let ending = async { drop(ending.changed().await) };
                // What goes wrong on a connection is its client's to notice.
                tokio::select! {
                    () = keep(connection, line, &limits, &address, ending) => {}
                    () = owed.watch(limits.between_bytes) => {}
                }
            });
        }
        memory.abort();
        drop((listener, ending));
        let _ = end.send(());
        tokio::select! {
            () = end.closed() => {}
            () = tokio::time::sleep(self.limits.drain) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

/// Returns memory to the system that a load has left behind, as often as it has come and gone: the allocator alone would keep most.
async fn return_memory(all: Arc<Allowance>) {
    loop {
        tokio::time::sleep(REST).await;
        if all.fallen(LEFT_BEHIND) {
            let _ = tokio::task::spawn_blocking(return_free_memory).await;
        }
    }
}
