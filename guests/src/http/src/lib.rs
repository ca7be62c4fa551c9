//! `/` says hello, `/echo` sends the body back as it comes, with trailers, `/fetch?URL` asks another server and sends its answer on,
//! `/spin` never ends, `/trap` traps, `/wait` pauses for a second; anything else is 404.

use wasip2::clocks::monotonic_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

struct Server;

wasip2::http::proxy::export!(Server);

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.split_once('?').unwrap_or((&path, "")) {
            ("/", _) => answer(out, 200, b"hello\n"),
            ("/echo", _) => echo(request, out),
            ("/fetch", url) => fetch(url, out),
            ("/spin", _) => loop {
                core::hint::black_box(0);
            },
            ("/trap", _) => panic!("as asked"),
            ("/wait", _) => {
                monotonic_clock::subscribe_duration(1_000_000_000).block();
                answer(out, 200, b"waited\n");
            }
            _ => answer(out, 404, b"nothing here\n"),
        }
    }
}

fn answer(out: ResponseOutparam, status: u16, text: &[u8]) {
    let fields = Fields::new();
    fields.set("content-type", &[b"text/plain".to_vec()]).unwrap();
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    {
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(text).unwrap();
    }
    OutgoingBody::finish(body, None).unwrap();
}

/// Copies a body, piece by piece; whether it came to its end.
fn copy(from: &IncomingBody, to: &OutgoingBody) -> bool {
    let (input, output) = (from.stream().unwrap(), to.write().unwrap());
    loop {
        match output.blocking_splice(&input, 65_536) {
            Ok(_) => {}
            Err(StreamError::Closed) => return true,
            Err(StreamError::LastOperationFailed(_)) => return false,
        }
    }
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let to = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let from = request.consume().unwrap();
    if copy(&from, &to) {
        let trailers = Fields::new();
        trailers.set("x-echo", &[b"whole".to_vec()]).unwrap();
        OutgoingBody::finish(to, Some(trailers)).unwrap();
    }
}

fn fetch(url: &str, out: ResponseOutparam) {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some((_, rest)) => (Scheme::Https, rest),
        None => return answer(out, 400, b"no URL\n"),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Get).unwrap();
    request.set_scheme(Some(&scheme)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).unwrap();
    let future = match outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(error) => return answer(out, 502, format!("{error:?}\n").as_bytes()),
    };
    future.subscribe().block();
    let incoming = match future.get().unwrap().unwrap() {
        Ok(incoming) => incoming,
        Err(error) => return answer(out, 502, format!("{error:?}\n").as_bytes()),
    };
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(incoming.status()).unwrap();
    let to = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    if copy(&incoming.consume().unwrap(), &to) {
        OutgoingBody::finish(to, None).unwrap();
    }
}
