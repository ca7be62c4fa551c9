//! `wasi:http/outgoing-handler`.

use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_LENGTH;
use mini_wasm_canonical_abi::Own;

use crate::ctx::Capability;
use crate::http::body::{BodyWriter, OutBody};
use crate::http::client::{BETWEEN_BYTES_TIMEOUT, CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT, Times};
use crate::http::fields;
use crate::http::types::{
    ErrorCode, FutureIncomingResponse, Method, OutgoingRequest, RequestOptions, Scheme,
};
use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:http/outgoing-handler@0.2.12";
    func handle(request, options);
}

/// The longest path that is sent.
const MAX_PATH: usize = 8 * 1024;

/// `handle`: sends a request to the host that it names, if that has been granted.
pub fn handle(
    wasi: &mut Wasi,
    request: Own<OutgoingRequest>,
    options: Option<Own<RequestOptions>>,
) -> Result<Result<Own<FutureIncomingResponse>, ErrorCode>, Stop> {
    let request = wasi.table.take(request)?;
    let options = options.map(|options| wasi.table.take(options)).transpose()?.unwrap_or_default();
    wasi.table.room(1)?;
    let Some(client) = wasi.http.clone() else {
        wasi.refused(Capability::Http, request.authority.as_deref().unwrap_or("an HTTP request"));
        return Ok(Err(ErrorCode::HttpRequestDenied));
    };
    let request = match message(request) {
        Ok(request) => request,
        Err(error) => return Ok(Err(error)),
    };
    let https = request.uri().scheme_str() == Some("https");
    let host = request.uri().host().unwrap_or_default();
    let port = request.uri().port_u16().unwrap_or(if https { 443 } else { 80 });
    if !client.allows(host, port) {
        wasi.refused(Capability::Http, host);
        return Ok(Err(ErrorCode::HttpRequestDenied));
    }
    let time = |asked: Option<u64>, otherwise| asked.map_or(otherwise, Duration::from_nanos);
    let times = Times {
        connect: time(options.connect_timeout, CONNECT_TIMEOUT),
        first_byte: time(options.first_byte_timeout, FIRST_BYTE_TIMEOUT),
        between_bytes: time(options.between_bytes_timeout, BETWEEN_BYTES_TIMEOUT),
    };
    let future = client.send(request, times, &wasi.memory)?;
    wasi.table.push(FutureIncomingResponse(future)).map(Ok)
}

/// The request as it is sent: to its authority, whatever its path or fields say.
fn message(request: OutgoingRequest) -> Result<Request<OutBody>, ErrorCode> {
    let scheme = match &request.scheme {
        None | Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let authority = request.authority.as_deref().ok_or(ErrorCode::HttpRequestUriInvalid)?;
    // A user's name and password would be sent nowhere, and only mislead whoever reads.
    if authority.contains('@') {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let path = match request.path_with_query.as_deref() {
        None | Some("") => "/".to_owned(),
        Some(path) if path.starts_with('?') => format!("/{path}"),
        Some(path) => path.to_owned(),
    };
    if path.len() > MAX_PATH {
        return Err(ErrorCode::HttpRequestUriTooLong);
    }
    let uri = hyper::Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    let uri = uri.map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    // A port that is none must not become the usual one.
    if uri.port_u16().is_none() && uri.host() != Some(authority) {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let method = match &request.method {
        Method::Get => hyper::Method::GET,
        Method::Head => hyper::Method::HEAD,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Delete => hyper::Method::DELETE,
        Method::Options => hyper::Method::OPTIONS,
        Method::Trace => hyper::Method::TRACE,
        Method::Patch => hyper::Method::PATCH,
        // A tunnel would lead past every check.
        Method::Connect => return Err(ErrorCode::HttpRequestMethodInvalid),
        Method::Other(name) if name.eq_ignore_ascii_case("connect") => {
            return Err(ErrorCode::HttpRequestMethodInvalid);
        }
        Method::Other(name) => {
            hyper::Method::from_bytes(name.as_bytes()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?
        }
    };
    let length = request.headers.content_length()?;
    let mut headers = request.headers.to_header_map();
    // One, and the one that the body is held to.
    headers.remove(CONTENT_LENGTH);
    let body = match request.body {
        Some(body) => body,
        // A length was promised for a body that nobody can write.
        None if length.is_some_and(|length| length > 0) => {
            return Err(ErrorCode::HttpRequestBodySize(Some(0)));
        }
        None => BodyWriter::empty(),
    };
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let body = match method {
        hyper::Method::POST | hyper::Method::PUT | hyper::Method::PATCH => OutBody::told(body),
        _ => OutBody::new(body),
    };
    let names = body.writer().trailer_names();
    fields::name_trailers(&mut headers, names);
    let mut message = Request::new(body);
    *message.method_mut() = method;
    *message.uri_mut() = uri;
    *message.headers_mut() = headers;
    Ok(message)
}
