//! `wasi:http/types`: what requests and responses are made of. `fields` has a file of its own.

use std::sync::Arc;

use hyper::header::CONTENT_LENGTH;
use mini_wasm_canonical_abi::{Borrow, Own, record, variant};
use tokio::sync::oneshot;

use crate::allowance::{self, Allowance, Charge};
use crate::clocks::monotonic_clock::Duration;
use crate::http::body::{BodyReader, BodyWriter, Message, OutBody, read_ahead};
use crate::http::client::ResponseFuture;
use crate::http::fields::{self, Fields};
use crate::interface::interface;
use crate::io::error::Error;
use crate::io::poll::{self, Pollable};
use crate::io::streams::{InputStream, OutputStream};
use crate::{Stop, Wasi};

interface! {
    "wasi:http/types@0.2.12";
    resource Fields in fields {
        constructor new();
        static_method from_list(entries);
        method get(this, name);
        method has(this, name);
        method set(this, name, value);
        method delete(this, name);
        method append(this, name, value);
        method entries(this);
        method clone(this);
    }
    resource IncomingRequest in incoming_request {
        method method(this);
        method path_with_query(this);
        method scheme(this);
        method authority(this);
        method headers(this);
        method consume(this);
    }
    resource OutgoingRequest in outgoing_request {
        constructor new(headers);
        method body(this);
        method method(this);
        method set_method(this, method);
        method path_with_query(this);
        method set_path_with_query(this, path_with_query);
        method scheme(this);
        method set_scheme(this, scheme);
        method authority(this);
        method set_authority(this, authority);
        method headers(this);
    }
    resource RequestOptions in request_options {
        constructor new();
        method connect_timeout(this);
        method set_connect_timeout(this, duration);
        method first_byte_timeout(this);
        method set_first_byte_timeout(this, duration);
        method between_bytes_timeout(this);
        method set_between_bytes_timeout(this, duration);
    }
    resource ResponseOutparam in response_outparam {
        static_method set(param, response);
        method send_informational(this, status, headers) unstable InformationalOutboundResponses;
    }
    resource IncomingResponse in incoming_response {
        method status(this);
        method headers(this);
        method consume(this);
    }
    resource IncomingBody in incoming_body {
        method stream(this);
        static_method finish(this);
    }
    resource FutureTrailers in future_trailers {
        method subscribe(this);
        method get(this);
    }
    resource OutgoingResponse in outgoing_response {
        constructor new(headers);
        method status_code(this);
        method set_status_code(this, status_code);
        method headers(this);
        method body(this);
    }
    resource OutgoingBody in outgoing_body {
        method write(this);
        static_method finish(this, trailers);
    }
    resource FutureIncomingResponse in future_incoming_response {
        method subscribe(this);
        method get(this);
    }
    func http_error_code(err);
}

variant! {
    /// `method`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Method = "method" {
        /// GET.
        Get,
        /// HEAD.
        Head,
        /// POST.
        Post,
        /// PUT.
        Put,
        /// DELETE.
        Delete,
        /// CONNECT.
        Connect,
        /// OPTIONS.
        Options,
        /// TRACE.
        Trace,
        /// PATCH.
        Patch,
        /// Another.
        Other(String),
    }
}

variant! {
    /// `scheme`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Scheme = "scheme" {
        /// http.
        Http = "HTTP",
        /// https.
        Https = "HTTPS",
        /// Another.
        Other(String),
    }
}

record! {
    /// `DNS-error-payload`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DnsErrorPayload = "DNS-error-payload" {
        /// What the server said.
        pub rcode: Option<String>,
        /// And its number.
        pub info_code: Option<u16>,
    }
}

record! {
    /// `TLS-alert-received-payload`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TlsAlertReceivedPayload = "TLS-alert-received-payload" {
        /// The alert's number.
        pub alert_id: Option<u8>,
        /// And its name.
        pub alert_message: Option<String>,
    }
}

record! {
    /// `field-size-payload`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct FieldSizePayload = "field-size-payload" {
        /// Which field.
        pub field_name: Option<String>,
        /// How large.
        pub field_size: Option<u32>,
    }
}

variant! {
    /// `error-code`: as the registry of proxy errors (RFC 9209) has them.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum ErrorCode = "error-code" {
        DnsTimeout = "DNS-timeout",
        DnsError(DnsErrorPayload) = "DNS-error",
        DestinationNotFound,
        DestinationUnavailable,
        DestinationIpProhibited = "destination-IP-prohibited",
        DestinationIpUnroutable = "destination-IP-unroutable",
        ConnectionRefused,
        ConnectionTerminated,
        ConnectionTimeout,
        ConnectionReadTimeout,
        ConnectionWriteTimeout,
        ConnectionLimitReached,
        TlsProtocolError = "TLS-protocol-error",
        TlsCertificateError = "TLS-certificate-error",
        TlsAlertReceived(TlsAlertReceivedPayload) = "TLS-alert-received",
        HttpRequestDenied = "HTTP-request-denied",
        HttpRequestLengthRequired = "HTTP-request-length-required",
        HttpRequestBodySize(Option<u64>) = "HTTP-request-body-size",
        HttpRequestMethodInvalid = "HTTP-request-method-invalid",
        HttpRequestUriInvalid = "HTTP-request-URI-invalid",
        HttpRequestUriTooLong = "HTTP-request-URI-too-long",
        HttpRequestHeaderSectionSize(Option<u32>) = "HTTP-request-header-section-size",
        HttpRequestHeaderSize(Option<FieldSizePayload>) = "HTTP-request-header-size",
        HttpRequestTrailerSectionSize(Option<u32>) = "HTTP-request-trailer-section-size",
        HttpRequestTrailerSize(FieldSizePayload) = "HTTP-request-trailer-size",
        HttpResponseIncomplete = "HTTP-response-incomplete",
        HttpResponseHeaderSectionSize(Option<u32>) = "HTTP-response-header-section-size",
        HttpResponseHeaderSize(FieldSizePayload) = "HTTP-response-header-size",
        HttpResponseBodySize(Option<u64>) = "HTTP-response-body-size",
        HttpResponseTrailerSectionSize(Option<u32>) = "HTTP-response-trailer-section-size",
        HttpResponseTrailerSize(FieldSizePayload) = "HTTP-response-trailer-size",
        HttpResponseTransferCoding(Option<String>) = "HTTP-response-transfer-coding",
        HttpResponseContentCoding(Option<String>) = "HTTP-response-content-coding",
        HttpResponseTimeout = "HTTP-response-timeout",
        HttpUpgradeFailed = "HTTP-upgrade-failed",
        HttpProtocolError = "HTTP-protocol-error",
        LoopDetected,
        ConfigurationError,
        InternalError(Option<String>),
    }
}

/// `headers` and `trailers` are fields.
pub type Headers = Fields;
/// `headers` and `trailers` are fields.
pub type Trailers = Fields;
/// 100 to 999.
pub type StatusCode = u16;

/// The resource `incoming-request`.
#[derive(Debug)]
pub struct IncomingRequest {
    pub(crate) method: Method,
    pub(crate) path_with_query: Option<String>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<String>,
    pub(crate) headers: Fields,
    /// Until it is consumed.
    pub(crate) body: Option<Arc<BodyReader>>,
    /// For the strings.
    pub(crate) _charge: Charge,
}

/// What is answered to a request.
pub(crate) type Answer = Result<hyper::Response<OutBody>, ErrorCode>;

/// The resource `response-outparam`. Dropped without having been set, there will be no answer.
#[derive(Debug)]
pub struct ResponseOutparam(pub(crate) oneshot::Sender<Answer>);

/// The resource `incoming-response`.
#[derive(Debug)]
pub struct IncomingResponse {
    status: StatusCode,
    headers: Fields,
    /// Until it is consumed.
    body: Option<Arc<BodyReader>>,
}

/// The resource `incoming-body`.
#[derive(Debug)]
pub struct IncomingBody {
    body: Arc<BodyReader>,
    stream_taken: bool,
}

/// The resource `future-trailers`.
#[derive(Debug)]
pub struct FutureTrailers {
    body: Arc<BodyReader>,
    taken: bool,
}

/// The resource `future-incoming-response`.
#[derive(Debug)]
pub struct FutureIncomingResponse(pub(crate) Arc<ResponseFuture>);

/// The resource `outgoing-request`.
#[derive(Debug)]
pub struct OutgoingRequest {
    pub(crate) method: Method,
    pub(crate) path_with_query: Option<String>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<String>,
    pub(crate) headers: Fields,
    /// Once it has been taken.
    pub(crate) body: Option<Arc<BodyWriter>>,
    /// For the strings.
    charge: Charge,
}

impl OutgoingRequest {
    /// Pays for the strings as they are now.
    fn settle(&mut self) -> Result<(), Stop> {
        let len = |string: &Option<String>| string.as_ref().map_or(0, String::len);
        let method = match &self.method {
            Method::Other(name) => name.len(),
            _ => 0,
        };
        let scheme = match &self.scheme {
            Some(Scheme::Other(name)) => name.len(),
            _ => 0,
        };
        allowance::resize(
            &mut self.charge,
            method + scheme + len(&self.path_with_query) + len(&self.authority),
        )
    }
}

/// The resource `request-options`. The times are in nanoseconds.
#[derive(Debug, Default)]
pub struct RequestOptions {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) between_bytes_timeout: Option<Duration>,
}

/// The resource `outgoing-response`.
#[derive(Debug)]
pub struct OutgoingResponse {
    status_code: StatusCode,
    headers: Fields,
    /// Once it has been taken.
    body: Option<Arc<BodyWriter>>,
}

/// The resource `outgoing-body`. Dropped without having been finished, it is incomplete, and the other side learns that.
#[derive(Debug)]
pub struct OutgoingBody {
    body: Arc<BodyWriter>,
    stream_taken: bool,
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.body.abort();
    }
}

/// Whether `text` is a token of RFC 9110.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether `text` is printable ASCII without spaces and without any of `except`.
fn is_plain(text: &str, except: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !except.contains(&byte))
}

/// Gives the body of a message, once.
fn take_body(
    headers: &Fields,
    slot: &mut Option<Arc<BodyWriter>>,
    of: Message,
    memory: &Arc<Allowance>,
) -> Result<OutgoingBody, ()> {
    if slot.is_some() {
        return Err(());
    }
    // What `content-length` says wrongly is told when the message is sent.
    let body = BodyWriter::new(headers.content_length().ok().flatten(), of, memory.charge());
    *slot = Some(body.clone());
    Ok(OutgoingBody { body, stream_taken: false })
}

/// Gives the body of a message that came in, once.
fn consume_body(
    wasi: &mut Wasi,
    body: Option<Arc<BodyReader>>,
) -> Result<Result<Own<IncomingBody>, ()>, Stop> {
    match body {
        Some(body) => wasi.table.push(IncomingBody { body, stream_taken: false }).map(Ok),
        None => Ok(Err(())),
    }
}

/// `incoming-request`.
pub mod incoming_request {
    use super::*;

    /// `method`.
    pub fn method(wasi: &mut Wasi, this: Borrow<IncomingRequest>) -> Result<Method, Stop> {
        Ok(wasi.table.get(&this)?.method.clone())
    }

    /// `path-with-query`.
    pub fn path_with_query(wasi: &mut Wasi, this: Borrow<IncomingRequest>) -> Result<Option<String>, Stop> {
        Ok(wasi.table.get(&this)?.path_with_query.clone())
    }

    /// `scheme`.
    pub fn scheme(wasi: &mut Wasi, this: Borrow<IncomingRequest>) -> Result<Option<Scheme>, Stop> {
        Ok(wasi.table.get(&this)?.scheme.clone())
    }

    /// `authority`.
    pub fn authority(wasi: &mut Wasi, this: Borrow<IncomingRequest>) -> Result<Option<String>, Stop> {
        Ok(wasi.table.get(&this)?.authority.clone())
    }

    /// `headers`: for reading.
    pub fn headers(wasi: &mut Wasi, this: Borrow<IncomingRequest>) -> Result<Own<Headers>, Stop> {
        let headers = wasi.table.get(&this)?.headers.frozen();
        wasi.table.push(headers)
    }

    /// `consume`: once.
    pub fn consume(
        wasi: &mut Wasi,
        this: Borrow<IncomingRequest>,
    ) -> Result<Result<Own<IncomingBody>, ()>, Stop> {
        wasi.table.room(1)?;
        let body = wasi.table.get_mut(&this)?.body.take();
        consume_body(wasi, body)
    }
}

/// `outgoing-request`.
pub mod outgoing_request {
    use super::*;

    /// `constructor`: GET, and nothing else said.
    pub fn new(wasi: &mut Wasi, headers: Own<Headers>) -> Result<Own<OutgoingRequest>, Stop> {
        let headers = wasi.table.take(headers)?;
        let charge = wasi.field_bytes.charge();
        wasi.table.push(OutgoingRequest {
            method: Method::Get,
            path_with_query: None,
            scheme: None,
            authority: None,
            headers,
            body: None,
            charge,
        })
    }

    /// `body`: once.
    pub fn body(
        wasi: &mut Wasi,
        this: Borrow<OutgoingRequest>,
    ) -> Result<Result<Own<OutgoingBody>, ()>, Stop> {
        wasi.table.room(1)?;
        let request = wasi.table.get_mut(&this)?;
        match take_body(&request.headers, &mut request.body, Message::Request, &wasi.memory) {
            Ok(body) => wasi.table.push(body).map(Ok),
            Err(()) => Ok(Err(())),
        }
    }

    /// `method`.
    pub fn method(wasi: &mut Wasi, this: Borrow<OutgoingRequest>) -> Result<Method, Stop> {
        Ok(wasi.table.get(&this)?.method.clone())
    }

    /// `set-method`: fails for what is no token.
    pub fn set_method(
        wasi: &mut Wasi,
        this: Borrow<OutgoingRequest>,
        method: Method,
    ) -> Result<Result<(), ()>, Stop> {
        let request = wasi.table.get_mut(&this)?;
        if matches!(&method, Method::Other(name) if !is_token(name)) {
            return Ok(Err(()));
        }
        request.method = method;
        request.settle().map(Ok)
    }

    /// `path-with-query`.
    pub fn path_with_query(wasi: &mut Wasi, this: Borrow<OutgoingRequest>) -> Result<Option<String>, Stop> {
        Ok(wasi.table.get(&this)?.path_with_query.clone())
    }

    /// `set-path-with-query`: fails unless it begins with `/` or `?`, so that it can never name another host.
    pub fn set_path_with_query(
        wasi: &mut Wasi,
        this: Borrow<OutgoingRequest>,
        path_with_query: Option<String>,
    ) -> Result<Result<(), ()>, Stop> {
        let request = wasi.table.get_mut(&this)?;
        let valid = |path: &String| path.is_empty() || (path.starts_with(['/', '?']) && is_plain(path, b"#"));
        if !path_with_query.as_ref().is_none_or(valid) {
            return Ok(Err(()));
        }
        request.path_with_query = path_with_query;
        request.settle().map(Ok)
    }

    /// `scheme`.
    pub fn scheme(wasi: &mut Wasi, this: Borrow<OutgoingRequest>) -> Result<Option<Scheme>, Stop> {
        Ok(wasi.table.get(&this)?.scheme.clone())
    }

    /// `set-scheme`: fails for what is no scheme.
    pub fn set_scheme(
        wasi: &mut Wasi,
        this: Borrow<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>, Stop> {
        let request = wasi.table.get_mut(&this)?;
        let valid = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        if matches!(&scheme, Some(Scheme::Other(name)) if !valid(name)) {
            return Ok(Err(()));
        }
        request.scheme = scheme;
        request.settle().map(Ok)
    }

    /// `authority`.
    pub fn authority(wasi: &mut Wasi, this: Borrow<OutgoingRequest>) -> Result<Option<String>, Stop> {
        Ok(wasi.table.get(&this)?.authority.clone())
    }

    /// `set-authority`: fails for what is no authority.
    pub fn set_authority(
        wasi: &mut Wasi,
        this: Borrow<OutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>, Stop> {
        let request = wasi.table.get_mut(&this)?;
        let valid = |authority: &String| !authority.is_empty() && is_plain(authority, b"/?#\\<>\"{}|^`");
        if !authority.as_ref().is_none_or(valid) {
            return Ok(Err(()));
        }
        request.authority = authority;
        request.settle().map(Ok)
    }

    /// `headers`: for reading.
    pub fn headers(wasi: &mut Wasi, this: Borrow<OutgoingRequest>) -> Result<Own<Headers>, Stop> {
        let headers = wasi.table.get(&this)?.headers.frozen();
        wasi.table.push(headers)
    }
}

/// `request-options`.
pub mod request_options {
    use super::*;

    type Set = Result<Result<(), ()>, Stop>;

    /// `constructor`: no limit said.
    pub fn new(wasi: &mut Wasi) -> Result<Own<RequestOptions>, Stop> {
        wasi.table.push(RequestOptions::default())
    }

    /// `connect-timeout`.
    pub fn connect_timeout(wasi: &mut Wasi, this: Borrow<RequestOptions>) -> Result<Option<Duration>, Stop> {
        Ok(wasi.table.get(&this)?.connect_timeout)
    }

    /// `set-connect-timeout`.
    pub fn set_connect_timeout(
        wasi: &mut Wasi,
        this: Borrow<RequestOptions>,
        duration: Option<Duration>,
    ) -> Set {
        wasi.table.get_mut(&this)?.connect_timeout = duration;
        Ok(Ok(()))
    }

    /// `first-byte-timeout`.
    pub fn first_byte_timeout(
        wasi: &mut Wasi,
        this: Borrow<RequestOptions>,
    ) -> Result<Option<Duration>, Stop> {
        Ok(wasi.table.get(&this)?.first_byte_timeout)
    }

    /// `set-first-byte-timeout`.
    pub fn set_first_byte_timeout(
        wasi: &mut Wasi,
        this: Borrow<RequestOptions>,
        duration: Option<Duration>,
    ) -> Set {
        wasi.table.get_mut(&this)?.first_byte_timeout = duration;
        Ok(Ok(()))
    }

    /// `between-bytes-timeout`.
    pub fn between_bytes_timeout(
        wasi: &mut Wasi,
        this: Borrow<RequestOptions>,
    ) -> Result<Option<Duration>, Stop> {
        Ok(wasi.table.get(&this)?.between_bytes_timeout)
    }

    /// `set-between-bytes-timeout`.
    pub fn set_between_bytes_timeout(
        wasi: &mut Wasi,
        this: Borrow<RequestOptions>,
        duration: Option<Duration>,
    ) -> Set {
        wasi.table.get_mut(&this)?.between_bytes_timeout = duration;
        Ok(Ok(()))
    }
}

/// `response-outparam`.
pub mod response_outparam {
    use super::*;

    /// `set`: answers. Whoever asked may be gone.
    pub fn set(
        wasi: &mut Wasi,
        param: Own<ResponseOutparam>,
        response: Result<Own<OutgoingResponse>, ErrorCode>,
    ) -> Result<(), Stop> {
        let ResponseOutparam(asker) = wasi.table.take(param)?;
        let answer = match response {
            Ok(response) => head(wasi.table.take(response)?),
            Err(error) => Err(error),
        };
        let _ = asker.send(answer);
        Ok(())
    }

    /// `send-informational`, unstable: the server that is used here cannot send such a response, which the interface allows for.
    pub fn send_informational(
        wasi: &mut Wasi,
        this: Borrow<ResponseOutparam>,
        status: StatusCode,
        headers: Own<Headers>,
    ) -> Result<Result<(), ErrorCode>, Stop> {
        wasi.table.get(&this)?;
        wasi.table.take(headers)?;
        Ok(Err(match status {
            100..=199 => ErrorCode::InternalError(Some("informational responses are not sent".to_owned())),
            _ => ErrorCode::HttpProtocolError,
        }))
    }

    fn head(response: OutgoingResponse) -> Answer {
        let length = response.headers.content_length()?;
        let mut headers = response.headers.to_header_map();
        // One, and the one that the body is held to.
        headers.remove(CONTENT_LENGTH);
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        let body = response.body.unwrap_or_else(BodyWriter::empty);
        let mut answer = hyper::Response::new(OutBody::new(body));
        *answer.status_mut() =
            hyper::StatusCode::from_u16(response.status_code).map_err(|_| ErrorCode::HttpProtocolError)?;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// `incoming-response`.
pub mod incoming_response {
    use super::*;

    /// `status`.
    pub fn status(wasi: &mut Wasi, this: Borrow<IncomingResponse>) -> Result<StatusCode, Stop> {
        Ok(wasi.table.get(&this)?.status)
    }

    /// `headers`: for reading.
    pub fn headers(wasi: &mut Wasi, this: Borrow<IncomingResponse>) -> Result<Own<Headers>, Stop> {
        let headers = wasi.table.get(&this)?.headers.frozen();
        wasi.table.push(headers)
    }

    /// `consume`: once.
    pub fn consume(
        wasi: &mut Wasi,
        this: Borrow<IncomingResponse>,
    ) -> Result<Result<Own<IncomingBody>, ()>, Stop> {
        wasi.table.room(1)?;
        let body = wasi.table.get_mut(&this)?.body.take();
        consume_body(wasi, body)
    }
}

/// `incoming-body`.
pub mod incoming_body {
    use super::*;

    /// `stream`: once.
    pub fn stream(wasi: &mut Wasi, this: Borrow<IncomingBody>) -> Result<Result<Own<InputStream>, ()>, Stop> {
        wasi.table.room(1)?;
        let body = wasi.table.get_mut(&this)?;
        if core::mem::replace(&mut body.stream_taken, true) {
            return Ok(Err(()));
        }
        let stream = InputStream::body(body.body.clone());
        wasi.table.push(stream).map(Ok)
    }

    /// `finish`: what is left of the body is passed over, then the trailers come.
    pub fn finish(wasi: &mut Wasi, this: Own<IncomingBody>) -> Result<Own<FutureTrailers>, Stop> {
        let IncomingBody { body, .. } = wasi.table.take(this)?;
        body.pass_over();
        wasi.table.push(FutureTrailers { body, taken: false })
    }
}

/// `future-trailers`.
pub mod future_trailers {
    use super::*;

    /// `subscribe`.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<FutureTrailers>) -> Result<Own<Pollable>, Stop> {
        let pollable = Pollable::event(wasi.table.get(&this)?.body.clone());
        poll::subscribe(wasi, pollable)
    }

    /// `get`: once.
    #[expect(clippy::type_complexity, reason = "it is WIT's")]
    pub fn get(
        wasi: &mut Wasi,
        this: Borrow<FutureTrailers>,
    ) -> Result<Option<Result<Result<Option<Own<Trailers>>, ErrorCode>, ()>>, Stop> {
        wasi.table.room(1)?;
        let trailers = wasi.table.get_mut(&this)?;
        if trailers.taken {
            return Ok(Some(Err(())));
        }
        let Some(end) = trailers.body.trailers() else { return Ok(None) };
        trailers.taken = true;
        Ok(Some(Ok(match end {
            Ok(None) => Ok(None),
            Ok(Some(map)) => {
                let fields = Fields::of_header_map(wasi, &map)?;
                Ok(Some(wasi.table.push(fields)?))
            }
            Err(error) => Err(error),
        })))
    }
}

/// `outgoing-response`.
pub mod outgoing_response {
    use super::*;

    /// `constructor`: status 200.
    pub fn new(wasi: &mut Wasi, headers: Own<Headers>) -> Result<Own<OutgoingResponse>, Stop> {
        let headers = wasi.table.take(headers)?;
        wasi.table.push(OutgoingResponse { status_code: 200, headers, body: None })
    }

    /// `status-code`.
    pub fn status_code(wasi: &mut Wasi, this: Borrow<OutgoingResponse>) -> Result<StatusCode, Stop> {
        Ok(wasi.table.get(&this)?.status_code)
    }

    /// `set-status-code`: fails unless it has three digits.
    pub fn set_status_code(
        wasi: &mut Wasi,
        this: Borrow<OutgoingResponse>,
        status_code: StatusCode,
    ) -> Result<Result<(), ()>, Stop> {
        let response = wasi.table.get_mut(&this)?;
        if !(100..1000).contains(&status_code) {
            return Ok(Err(()));
        }
        response.status_code = status_code;
        Ok(Ok(()))
    }

    /// `headers`: for reading.
    pub fn headers(wasi: &mut Wasi, this: Borrow<OutgoingResponse>) -> Result<Own<Headers>, Stop> {
        let headers = wasi.table.get(&this)?.headers.frozen();
        wasi.table.push(headers)
    }

    /// `body`: once.
    pub fn body(
        wasi: &mut Wasi,
        this: Borrow<OutgoingResponse>,
    ) -> Result<Result<Own<OutgoingBody>, ()>, Stop> {
        wasi.table.room(1)?;
        let response = wasi.table.get_mut(&this)?;
        match take_body(&response.headers, &mut response.body, Message::Response, &wasi.memory) {
            Ok(body) => wasi.table.push(body).map(Ok),
            Err(()) => Ok(Err(())),
        }
    }
}

/// `outgoing-body`.
pub mod outgoing_body {
    use super::*;

    /// `write`: once.
    pub fn write(wasi: &mut Wasi, this: Borrow<OutgoingBody>) -> Result<Result<Own<OutputStream>, ()>, Stop> {
        wasi.table.room(1)?;
        let body = wasi.table.get_mut(&this)?;
        if core::mem::replace(&mut body.stream_taken, true) {
            return Ok(Err(()));
        }
        let stream = OutputStream::body(body.body.clone());
        wasi.table.push(stream).map(Ok)
    }

    /// `finish`: fails if the body is not as long as `content-length` says.
    pub fn finish(
        wasi: &mut Wasi,
        this: Own<OutgoingBody>,
        trailers: Option<Own<Trailers>>,
    ) -> Result<Result<(), ErrorCode>, Stop> {
        let body = wasi.table.take(this)?;
        let trailers = trailers.map(|trailers| wasi.table.take(trailers)).transpose()?;
        Ok(body.body.finish(trailers.map(|trailers| trailers.to_header_map())))
    }
}

/// `future-incoming-response`.
pub mod future_incoming_response {
    use super::*;

    /// `subscribe`.
    pub fn subscribe(wasi: &mut Wasi, this: Borrow<FutureIncomingResponse>) -> Result<Own<Pollable>, Stop> {
        let FutureIncomingResponse(response) = wasi.table.get(&this)?;
        let pollable = Pollable::event(response.clone());
        poll::subscribe(wasi, pollable)
    }

    /// `get`: once.
    #[expect(clippy::type_complexity, reason = "it is WIT's")]
    pub fn get(
        wasi: &mut Wasi,
        this: Borrow<FutureIncomingResponse>,
    ) -> Result<Option<Result<Result<Own<IncomingResponse>, ErrorCode>, ()>>, Stop> {
        wasi.table.room(1)?;
        let FutureIncomingResponse(response) = wasi.table.get(&this)?;
        let Some(result) = response.take() else { return Ok(None) };
        Ok(Some(match result {
            None => Err(()),
            Some(Err(error)) => Ok(Err(error)),
            Some(Ok((response, bounds))) => {
                let (parts, body) = response.into_parts();
                let charge = wasi.memory.charged(read_ahead(&body, parts.version))?;
                let headers = Fields::of_header_map(wasi, &parts.headers)?;
                let status = parts.status.as_u16();
                let body = Some(BodyReader::new(body, bounds, charge));
                Ok(Ok(wasi.table.push(IncomingResponse { status, headers, body })?))
            }
        }))
    }
}

/// `http-error-code`: the code behind a stream's error, if a body gave it.
pub fn http_error_code(wasi: &mut Wasi, err: Borrow<Error>) -> Result<Option<ErrorCode>, Stop> {
    Ok(wasi.table.get(&err)?.http_code())
}
