//! `mini-wasm serve`: HTTP/1.1 and 2 without TLS, a fresh guest for each request.
//!
//! tokio reads and writes, and guests run where it does, in the task of their connection (`guest`). What a server needs beside
//! hyper is here: limits, time-outs, a queue that says 503 when it is full, and an end that answers everybody first.

mod guest;

use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use mini_wasm_canonical_abi::Own;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;

use crate::http::body::{BodyReader, Bounds, Message, OutBody};
use crate::http::client::runtime;
use crate::http::fields::Fields;
use crate::http::patient::Patient;
use crate::http::server::guest::Guest;
use crate::http::types::{Answer, ErrorCode, IncomingRequest, Method, ResponseOutparam, Scheme};
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
    /// How many connections are open at once; more wait to be accepted.
    pub connections: usize,
    /// How long a request may take from its head to the end of its answer's head.
    pub request: Duration,
    /// How long a client may take to send a head.
    pub head: Duration,
    /// How long a client may pause within a body, and take nothing of what it is sent.
    pub between_bytes: Duration,
    /// How many bytes of a body a client has to send in each second that it is waited for, once these seconds are more than
    /// `between_bytes`; 0: no matter how many.
    pub body_rate: u32,
    /// How many bytes a request's body may have.
    pub body: u64,
    /// How long requests that are under way may take to end once the server is to end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 1000,
            connections: 10_000,
            request: Duration::from_secs(30),
            head: Duration::from_secs(10),
            between_bytes: Duration::from_secs(60),
            body_rate: 100,
            body: 4 << 30,
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
    /// Gives it to a guest: the two resources that `handle` takes. From now on the guest waits no longer than until the deadline, in
    /// tokio's sight.
    ///
    /// # Errors
    /// If the guest may not hold that much.
    pub fn give(self, wasi: &mut Wasi) -> Result<(Own<IncomingRequest>, Own<ResponseOutparam>), Stop> {
        let Self { head, body, answer, deadline } = self;
        wasi.deadline = Arc::new(guest::Until(deadline));
        let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let request = IncomingRequest {
            method: method(&head.method),
            path_with_query: head.uri.path_and_query().map(|path| path.as_str().to_owned()),
            scheme: Some(Scheme::Http),
            authority: head.uri.authority().map(|authority| authority.as_str().to_owned()).or_else(host),
            headers: Fields::of_header_map(wasi, &head.headers)?,
            body: Some(body),
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

/// What is told of each request that was answered.
#[derive(Debug)]
pub struct Served<'s> {
    /// Who asked.
    pub peer: SocketAddr,
    /// The method.
    pub method: &'s str,
    /// The path with its query.
    pub path: &'s str,
    /// What was answered.
    pub status: u16,
    /// From head to head.
    pub took: Duration,
}

/// Told of each request.
pub type Log = dyn Fn(&Served<'_>) + Send + Sync;

/// Told of what went wrong in serving one.
pub type Complain = dyn Fn(&str) + Send + Sync;

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    handler: Arc<Handler>,
    log: Arc<Log>,
    complain: Arc<Complain>,
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
        Ok(Self { listener, limits, handler, log, complain })
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
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let mut http = auto::Builder::new(TokioExecutor::new());
        // A client that ends its side still gets its answer; and hyper does not look, with a buffer of its own for it, whether each
        // client has ended its side while it is being answered.
        http.http1().half_close(true);
        http.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.head).max_buf_size(64 * 1024);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(Some(Duration::from_secs(20)));
        let service = Arc::new(Service {
            requests: Arc::new(Semaphore::new(self.limits.requests)),
            limits: self.limits,
            handler: self.handler,
            log: self.log,
            complain: self.complain,
        });
        loop {
            // Signals count also while no connection more is taken.
            let next = async {
                let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((permit, listener.accept().await))
            };
            let (permit, accepted) = tokio::select! {
                next = next => next?,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            };
            let Ok((stream, peer)) = accepted else {
                // No handles left, or a client that has gone: others may be served meanwhile.
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let service = service.clone();
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { service.answer(peer, request).await }
            });
            let io = TokioIo::new(Patient::new(stream, self.limits.head, self.limits.between_bytes));
            let connection = graceful.watch(http.serve_connection(io, answer).into_owned());
            tokio::spawn(async move {
                // What goes wrong on a connection is its client's to notice.
                let _ = connection.await;
                drop(permit);
            });
        }
        drop(listener);
        let mut drained = pin!(graceful.shutdown());
        tokio::select! {
            () = &mut drained => {}
            () = tokio::time::sleep(self.limits.drain) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

struct Service {
    limits: Limits,
    requests: Arc<Semaphore>,
    handler: Arc<Handler>,
    log: Arc<Log>,
    complain: Arc<Complain>,
}

/// An answer of the server's own.
fn own(status: StatusCode, text: &str) -> Response<OutBody> {
    let mut response = Response::new(OutBody::of_text(text));
    *response.status_mut() = status;
    response
}

impl Service {
    async fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Result<Response<OutBody>, hyper::Error> {
        let began = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path_and_query().cloned();
        let response = self.ask(request, began).await;
        (self.log)(&Served {
            peer,
            method: method.as_str(),
            path: path.as_ref().map_or("*", |path| path.as_str()),
            status: response.status().as_u16(),
            took: began.elapsed(),
        });
        Ok(response)
    }

    async fn ask(&self, request: Request<Incoming>, began: Instant) -> Response<OutBody> {
        use hyper::body::Body;
        if request.body().size_hint().lower() > self.limits.body {
            return too_large();
        }
        let Ok(permit) = self.requests.clone().try_acquire_owned() else {
            let mut full = own(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once\n");
            full.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return full;
        };
        let (head, body) = request.into_parts();
        let Limits { between_bytes, body_rate: rate, body: bytes, .. } = self.limits;
        let body = BodyReader::new(body, Bounds { of: Message::Request, between_bytes, rate, bytes });
        let (answer, mut answered) = oneshot::channel();
        let deadline = began + self.limits.request;
        let call = (self.handler)(Asked { head, body: body.clone(), answer, deadline });
        let mut guest = Guest::new(call, deadline, permit, self.complain.clone());
        // The guest first: most have ended when they have answered, and all that they have said goes out in one piece.
        let answered = timeout_at(
            deadline.into(),
            poll_fn(|cx| {
                let over = guest.poll(cx).is_ready();
                match Pin::new(&mut answered).poll(cx) {
                    Poll::Pending if over => Poll::Ready(None),
                    answered => answered.map(Result::ok),
                }
            }),
        )
        .await;
        if answered.is_err() {
            guest.stop();
        }
        match answered {
            Ok(Some(Ok(response))) => response,
            Ok(_) if body.is_too_large() => too_large(),
            Ok(_) if body.is_too_slow() => own(StatusCode::REQUEST_TIMEOUT, "the body is too slow\n"),
            Ok(Some(Err(error))) => {
                (self.complain)(&format!("the guest answered with an error: {error:?}"));
                own(status_of(&error), "the program failed\n")
            }
            // It ended without having answered; why is in the log.
            Ok(None) => own(StatusCode::INTERNAL_SERVER_ERROR, "the program gave no answer\n"),
            Err(_) => own(StatusCode::GATEWAY_TIMEOUT, "the program took too long\n"),
        }
    }
}

fn too_large() -> Response<OutBody> {
    own(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")
}

fn status_of(error: &ErrorCode) -> StatusCode {
    match error {
        ErrorCode::HttpRequestBodySize(_) => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::HttpRequestDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
