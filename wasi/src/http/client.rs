//! Requests that go out: one client for each grant, with a pool of connections, HTTP/1.1 and 2, TLS.
//!
//! A request goes to the host that it names and to no other. Which hosts may be named is a [`Network`] of its own;
//! where a name leads to is checked again before a connection is made, and the connection goes to the address that was checked.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::future::Future;
use std::io::{Error as IoError, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Stop;
use crate::http::body::{OutBody, code_of};
use crate::http::signal::Signal;
use crate::http::types::{DnsErrorPayload, ErrorCode};
use crate::io::poll::Event;
use crate::sockets::policy::{Network, SocketUse};

/// How long each step may take unless the guest says otherwise.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an unused connection is kept, and how many for each host.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_PER_HOST: usize = 32;
/// The longest head of an answer over HTTP/1.1.
const MAX_HEAD: usize = 64 * 1024;

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
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    hosts: Network,
    authorities: Vec<CertificateDer<'static>>,
}

impl Outgoing {
    /// Requests to the hosts of these rules; a name has to be among their names, unless a rule covers all.
    pub fn to(hosts: Network) -> Self {
        Self { hosts, authorities: Vec::new() }
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

    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::new(Client {
            hosts: Arc::new(Mutex::new(self.hosts.clone())),
            authorities: self.authorities.clone(),
            pool: OnceLock::new(),
        })
    }
}

/// What was agreed with the other side, once somebody has asked.
pub(crate) struct Client {
    hosts: Arc<Mutex<Network>>,
    authorities: Vec<CertificateDer<'static>>,
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
            let tls = tls(&self.authorities)?;
            let connector = Connector { hosts: self.hosts.clone(), tls: TlsConnector::from(Arc::new(tls)) };
            let mut builder = legacy::Client::builder(TokioExecutor::new());
            builder
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .http1_max_buf_size(MAX_HEAD)
                .http2_max_header_list_size(MAX_HEAD as u32);
            Ok(builder.build(connector))
        });
        pool.clone().map_err(|error: String| ErrorCode::InternalError(Some(error)))
    }

    /// Sends a request; the answer comes by itself.
    pub(crate) fn send(&self, request: Request<OutBody>, times: Times) -> Result<Arc<ResponseFuture>, Stop> {
        let (sender, receiver) = oneshot::channel();
        let future = ResponseFuture {
            state: Mutex::new(State::Waits(receiver)),
            signal: Signal::new(),
            between_bytes: times.between_bytes,
        };
        match self.pool() {
            Ok(pool) => {
                let patience = times.connect.saturating_add(times.first_byte);
                runtime()?.spawn(async move {
                    let mut sender = sender;
                    let answer = tokio::select! {
                        answer = tokio::time::timeout(patience, pool.request(request)) => answer,
                        // The guest has dropped the future.
                        () = sender.closed() => return,
                    };
                    let answer = match answer {
                        Ok(Ok(response)) => Ok(response),
                        Ok(Err(error)) => Err(code_of_client(&error)),
                        Err(_) => Err(ErrorCode::HttpResponseTimeout),
                    };
                    let _ = sender.send(answer);
                });
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
        Ok(Arc::new(future))
    }
}

/// The host as an address, if it is one.
fn address_of(host: &str) -> Option<IpAddr> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse().ok()
}

fn tls(authorities: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    // What cannot be read is missing; a connection that needs it says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| format!("a certificate of --ca-file: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// An error of ours on its way through hyper.
#[derive(Debug)]
struct Refused(ErrorCode);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Refused {}

fn code_of_client(error: &legacy::Error) -> ErrorCode {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(Refused(code)) = error.downcast_ref() {
            return code.clone();
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return code_of(error);
        }
        source = error.source();
    }
    ErrorCode::ConnectionTerminated
}

/// Makes connections to hosts that may be asked.
#[derive(Clone)]
struct Connector {
    hosts: Arc<Mutex<Network>>,
    tls: TlsConnector,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, this.connect(uri)).await {
                Ok(result) => result.map_err(Refused),
                Err(_) => Err(Refused(ErrorCode::ConnectionTimeout)),
            }
        })
    }
}

impl Connector {
    async fn connect(&self, uri: Uri) -> Result<Stream, ErrorCode> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let addresses = match address_of(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => self.resolve(host, port).await?,
        };
        let allowed: Vec<SocketAddr> = {
            let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.into_iter().filter(|address| hosts.allows(SocketUse::TcpConnect, address)).collect()
        };
        let mut last = ErrorCode::DestinationIpProhibited;
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return self.secure(stream, host, https).await;
                }
                Err(error) => last = code_of_io(&error),
            }
        }
        Err(last)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorCode> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
            let rcode = Some(error.to_string());
            ErrorCode::DnsError(DnsErrorPayload { rcode, info_code: None })
        })?;
        let found: Vec<SocketAddr> = found.collect();
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.found(&host.to_ascii_lowercase(), &addresses);
        Ok(found)
    }

    async fn secure(&self, stream: TcpStream, host: &str, https: bool) -> Result<Stream, ErrorCode> {
        if !https {
            return Ok(Stream::Plain(TokioIo::new(stream)));
        }
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| {
            let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
                Some(_) => ErrorCode::TlsProtocolError,
                None => code_of_io(&error),
            }
        })?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }
}

fn code_of_io(error: &IoError) -> ErrorCode {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        std::io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            ErrorCode::DestinationIpUnroutable
        }
        _ => ErrorCode::ConnectionTerminated,
    }
}

/// A connection, plain or not.
enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream) if stream.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<Result<(), IoError>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, IoError>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize, IoError>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// What came of a request, and how long its body may pause.
type Answer = Result<Response<Incoming>, ErrorCode>;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct ResponseFuture {
    state: Mutex<State>,
    signal: Arc<Signal>,
    between_bytes: Duration,
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
    pub(crate) fn take(&self) -> Option<Option<Result<(Response<Incoming>, Duration), ErrorCode>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.look(&mut state) {
            return None;
        }
        Some(match core::mem::replace(&mut *state, State::Taken) {
            State::There(answer) => Some(answer.map(|response| (response, self.between_bytes))),
            _ => None,
        })
    }
}

impl Event for ResponseFuture {
    fn waits_for(&self) -> Option<(BorrowedFd<'_>, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.look(&mut state) {
            return None;
        }
        self.signal.handle().map(|handle| (handle, u64::MAX))
    }
}
