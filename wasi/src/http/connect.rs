//! Connections to hosts that may be asked: names are looked up, every address is checked again, and the connection goes to
//! the address that was checked. TLS by rustls, which also learns whether the other side speaks HTTP/2.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::future::Future;
use std::io::{Error as IoError, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::client::CONNECT_TIMEOUT;
use crate::http::types::{DnsErrorPayload, ErrorCode, TlsAlertReceivedPayload};
use crate::sockets::lookup::{Asker, look_up};
use crate::sockets::policy::{Network, SocketUse};

/// How many connections one grant has open at once; more wait for as long as they may take to connect.
const MAX_CONNECTIONS: usize = 512;

/// What the request that needs a connection says of it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// How long it may take.
    pub(crate) patience: Duration,
    /// Since when an answer can come; nothing while a connection is being made.
    pub(crate) since: Arc<watch::Sender<Option<Instant>>>,
}

tokio::task_local! {
    /// Of the request that the task sends: the pool hands a connector nothing but a URI.
    pub(crate) static ATTEMPT: Attempt;
}

/// The host as an address, if it is one.
pub(crate) fn address_of(host: &str) -> Option<IpAddr> {
    unbracketed(host).parse().ok()
}

/// A host as URIs have it, without the brackets of an IPv6 address.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The names that the system (or `SSL_CERT_FILE`) and these authorities vouch for.
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
pub(crate) struct Refused(pub(crate) ErrorCode);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Refused {}

/// Makes connections to hosts that may be asked.
#[derive(Clone)]
pub(crate) struct Connector {
    hosts: Arc<Mutex<Network>>,
    tls: TlsConnector,
    connections: Arc<Semaphore>,
    asker: Asker,
}

impl Connector {
    /// For these hosts; these authorities are believed beside those of the system.
    pub(crate) fn new(
        hosts: Arc<Mutex<Network>>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let tls = TlsConnector::from(Arc::new(tls(authorities)?));
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Ok(Self { hosts, tls, connections, asker: Asker::new() })
    }
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
        // Asked for now: the pool may go on with this on a task of its own.
        let attempt = ATTEMPT.try_with(Attempt::clone).ok();
        Box::pin(async move {
            let patience = attempt.as_ref().map_or(CONNECT_TIMEOUT, |attempt| attempt.patience);
            let waits = |since| attempt.as_ref().map(|attempt| attempt.since.send_replace(since));
            waits(None);
            let connected = this.connect(&uri, Instant::now().checked_add(patience)).await;
            waits(Some(Instant::now()));
            connected.map_err(Refused)
        })
    }
}

/// Waits for a step, but not past `until`.
async fn by<T>(
    until: Option<Instant>,
    step: impl Future<Output = T>,
    late: ErrorCode,
) -> Result<T, ErrorCode> {
    match until {
        Some(until) => timeout_at(until, step).await.map_err(|_| late),
        None => Ok(step.await),
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri, until: Option<Instant>) -> Result<Stream, ErrorCode> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let room = self.connections.clone().acquire_owned();
        let permit = by(until, room, ErrorCode::ConnectionLimitReached)
            .await?
            .map_err(|_| ErrorCode::ConnectionLimitReached)?;
        let addresses = match address_of(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => by(until, self.resolve(host, port), ErrorCode::DnsTimeout).await??,
        };
        let allowed: Vec<SocketAddr> = {
            let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.into_iter().filter(|address| hosts.allows(SocketUse::TcpConnect, address)).collect()
        };
        let mut last = ErrorCode::DestinationIpProhibited;
        for (at, address) in allowed.iter().enumerate() {
            // One that does not answer leaves time for the others.
            let now = Instant::now();
            let share = u32::try_from(allowed.len() - at).unwrap_or(u32::MAX);
            let turn = until.map(|until| now + until.saturating_duration_since(now) / share);
            match by(turn, TcpStream::connect(address), ErrorCode::ConnectionTimeout).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    let secured = self.secure(stream, host, https, permit);
                    return by(until, secured, ErrorCode::ConnectionTimeout).await?;
                }
                Ok(Err(error)) => last = code_of_io(&error),
                Err(late) => last = late,
            }
        }
        Err(last)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorCode> {
        let addresses = look_up(self.asker, host.to_owned()).await.map_err(|not_found| {
            ErrorCode::DnsError(DnsErrorPayload { rcode: Some(not_found.said), info_code: None })
        })?;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.found(&host.to_ascii_lowercase(), &addresses);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
        https: bool,
        permit: OwnedSemaphorePermit,
    ) -> Result<Stream, ErrorCode> {
        let kind = if https {
            let name = ServerName::try_from(unbracketed(host).to_owned())
                .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
            let stream = self.tls.connect(name, stream).await.map_err(|error| code_of_io(&error))?;
            Kind::Tls(Box::new(TokioIo::new(stream)))
        } else {
            Kind::Plain(TokioIo::new(stream))
        };
        Ok(Stream { kind, _permit: permit })
    }
}

/// The code of what the system, or TLS above it, says went wrong with a connection.
pub(crate) fn code_of_io(error: &IoError) -> ErrorCode {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return code_of_tls(tls);
    }
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        std::io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            ErrorCode::DestinationIpUnroutable
        }
        _ => ErrorCode::ConnectionTerminated,
    }
}

fn code_of_tls(error: &rustls::Error) -> ErrorCode {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ErrorCode::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        }),
        _ => ErrorCode::TlsProtocolError,
    }
}

/// A connection, plain or not.
pub(crate) struct Stream {
    kind: Kind,
    /// Its place among the connections that may be open.
    _permit: OwnedSemaphorePermit,
}

enum Kind {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match &self.kind {
            Kind::Tls(stream) if stream.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
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
        match &mut self.get_mut().kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, IoError>> {
        match &mut self.get_mut().kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        match &mut self.get_mut().kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        match &mut self.get_mut().kind {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize, IoError>> {
        match &mut self.get_mut().kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
