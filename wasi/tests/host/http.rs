//! Requests that go out, against a server of raw bytes; what is refused without a grant is in denied.rs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::fields;
use mini_wasm_wasi::http::outgoing_handler::handle;
use mini_wasm_wasi::http::types::{
    ErrorCode, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme, future_incoming_response,
    future_trailers, http_error_code, incoming_body, incoming_response, outgoing_body, outgoing_request,
    request_options,
};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::{StreamError, input_stream, output_stream};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::{Own, Wasi};

/// A guest that may ask the hosts of these rules.
fn guest(rules: &[&str]) -> Wasi {
    let mut hosts = Network::nothing();
    for rule in rules {
        hosts.allow(rule.parse().unwrap());
    }
    let deadline = Arc::new(Instant::now() + Duration::from_secs(30));
    Wasi::builder().http(&Outgoing::to(hosts)).deadline(deadline).build()
}

/// A server that reads a request up to `until` and sends `answer`, then closes; what it read.
fn server(until: &'static str, answer: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut bytes).unwrap();
            all.extend_from_slice(&bytes[..read]);
            if read == 0 || String::from_utf8_lossy(&all).ends_with(until) {
                break;
            }
        }
        // The client may have seen enough.
        let _ = stream.write_all(&answer);
        String::from_utf8_lossy(&all).into_owned()
    });
    (address, thread)
}

fn request(wasi: &mut Wasi, to: &str, path: &str, headers: &[(&str, &str)]) -> Own<OutgoingRequest> {
    let list = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let headers = fields::from_list(wasi, list).unwrap().unwrap();
    let request = outgoing_request::new(wasi, headers).unwrap();
    outgoing_request::set_scheme(wasi, request.borrow(), Some(Scheme::Http)).unwrap().unwrap();
    outgoing_request::set_authority(wasi, request.borrow(), Some(to.into())).unwrap().unwrap();
    outgoing_request::set_path_with_query(wasi, request.borrow(), Some(path.into())).unwrap().unwrap();
    request
}

/// Sends a request and waits for the answer.
fn send(wasi: &mut Wasi, request: Own<OutgoingRequest>) -> Result<Own<IncomingResponse>, ErrorCode> {
    let future = handle(wasi, request, None).unwrap()?;
    let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    let answer = future_incoming_response::get(wasi, future.borrow()).unwrap().expect("it is ready").unwrap();
    assert!(matches!(future_incoming_response::get(wasi, future.borrow()).unwrap(), Some(Err(()))), "once");
    answer
}

/// Names and values of fields.
type Entries = Vec<(String, Vec<u8>)>;

/// Reads a body to its end: what it was, and its trailers.
fn read(wasi: &mut Wasi, response: &Own<IncomingResponse>) -> Result<(Vec<u8>, Entries), ErrorCode> {
    let body = incoming_response::consume(wasi, response.borrow()).unwrap().unwrap();
    let stream = incoming_body::stream(wasi, body.borrow()).unwrap().unwrap();
    let mut all = Vec::new();
    loop {
        match input_stream::blocking_read(wasi, stream.borrow(), 1000).unwrap() {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(wasi, error.borrow()).unwrap().unwrap());
            }
        }
    }
    wasi.resource_drop(stream).unwrap();
    let trailers = incoming_body::finish(wasi, body).unwrap();
    let end = future_trailers::get(wasi, trailers.borrow()).unwrap().expect("the end is there").unwrap()?;
    let trailers = end.map(|trailers| fields::entries(wasi, trailers.borrow()).unwrap()).unwrap_or_default();
    Ok((all, trailers))
}

fn body_of(wasi: &mut Wasi, request: &Own<OutgoingRequest>) -> Own<OutgoingBody> {
    outgoing_request::body(wasi, request.borrow()).unwrap().unwrap()
}

#[test]
fn a_request_goes_out_and_its_answer_comes_in_with_trailers() {
    let answer = "HTTP/1.1 203 Fine\r\nX-One: 1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n\
                  5\r\nhello\r\n1\r\n!\r\n0\r\nx-end: yes\r\ntransfer-encoding: evil\r\n\r\n";
    let (address, server) = server("\r\n\r\n", answer.into());
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let request = request(wasi, &address.to_string(), "/a?b=c", &[("X-Asked", "yes"), ("TE", "trailers")]);
    let response = send(wasi, request).unwrap();
    assert_eq!(incoming_response::status(wasi, response.borrow()).unwrap(), 203);
    let headers = incoming_response::headers(wasi, response.borrow()).unwrap();
    assert_eq!(fields::get(wasi, headers.borrow(), "X-ONE".into()).unwrap(), [b"1".to_vec()]);
    assert!(!fields::has(wasi, headers.borrow(), "connection".into()).unwrap(), "the host's own");
    let (body, trailers) = read(wasi, &response).unwrap();
    assert_eq!(body, b"hello!");
    // GHSA-jxcf-8qw5-5c33: trailers that speak of the connection.
    assert_eq!(trailers, [("x-end".to_owned(), b"yes".to_vec())]);
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains(&format!("host: {address}\r\n")), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("x-asked: yes\r\n"), "{asked}");
}

#[test]
fn a_body_is_as_long_as_was_promised_or_the_other_side_learns_that_it_is_not() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (address, asked) = server("abc", ok.to_vec());
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let good = request(wasi, &address.to_string(), "/", &[("content-length", "3"), ("Content-Length", "3")]);
    outgoing_request::set_method(wasi, good.borrow(), Method::Post).unwrap().unwrap();
    let body = body_of(wasi, &good);
    assert!(outgoing_request::body(wasi, good.borrow()).unwrap().is_err(), "once");
    let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
    let future = handle(wasi, good, None).unwrap().unwrap();
    output_stream::blocking_write_and_flush(wasi, stream.borrow(), b"ab".to_vec()).unwrap().unwrap();
    output_stream::blocking_write_and_flush(wasi, stream.borrow(), b"c".to_vec()).unwrap().unwrap();
    let more = output_stream::blocking_write_and_flush(wasi, stream.borrow(), b"d".to_vec()).unwrap();
    let Err(StreamError::LastOperationFailed(error)) = more else { panic!("{more:?}") };
    assert_eq!(http_error_code(wasi, error.borrow()).unwrap(), Some(ErrorCode::HttpRequestBodySize(Some(4))));
    wasi.resource_drop(stream).unwrap();
    assert_eq!(outgoing_body::finish(wasi, body, None).unwrap(), Ok(()));
    let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    let asked = asked.join().unwrap();
    assert_eq!(asked.to_ascii_lowercase().matches("content-length: 3").count(), 1, "{asked}");
    // Shorter than promised.
    let (address, asked) = server("never", ok.to_vec());
    let short = request(wasi, &address.to_string(), "/", &[("content-length", "3")]);
    let body = body_of(wasi, &short);
    let future = handle(wasi, short, None).unwrap().unwrap();
    assert_eq!(
        outgoing_body::finish(wasi, body, None).unwrap(),
        Err(ErrorCode::HttpRequestBodySize(Some(0)))
    );
    let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    let answer = future_incoming_response::get(wasi, future.borrow()).unwrap().unwrap().unwrap();
    assert!(answer.is_err(), "the request was not whole");
    asked.join().unwrap();
}

// GHSA-r8xh-cgf7-392j, GHSA-h4wp-g4x3-7398, GHSA-9prg-84vf-g5fc.
#[test]
fn lengths_that_contradict_each_other_are_not_sent() {
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    for headers in [
        &[("content-length", "3"), ("content-length", "4")][..],
        &[("content-length", "+3")],
        &[("content-length", "3,3")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
    ] {
        let request = request(wasi, "127.0.0.1:9", "/", headers);
        let sent = handle(wasi, request, None).unwrap();
        assert!(matches!(sent, Err(ErrorCode::HttpProtocolError)), "{headers:?}");
    }
    let request = request(wasi, "127.0.0.1:9", "/", &[("content-length", "3")]);
    assert!(
        matches!(handle(wasi, request, None).unwrap(), Err(ErrorCode::HttpRequestBodySize(_))),
        "no body"
    );
}

#[test]
fn answers_that_are_none_are_errors_and_not_the_end_of_the_host() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    for answer in [
        "",
        "nonsense\r\n\r\n",
        cut,
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        &many,
    ] {
        let (address, server) = server("\r\n\r\n", answer.into());
        let mut wasi = guest(&["127.0.0.1"]);
        let request = request(&mut wasi, &address.to_string(), "/", &[]);
        let end = send(&mut wasi, request).and_then(|response| read(&mut wasi, &response));
        assert!(end.is_err(), "{:.40}", answer);
        server.join().unwrap();
    }
}

#[test]
fn an_answer_without_end_is_read_piece_by_piece() {
    // CVE-2026-27887: what a server sends fills no memory of the host's.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut sent = 0_u64;
        while let Ok(more) = stream.write(&[7; 65_536]) {
            sent += more as u64;
        }
        sent
    });
    let mut wasi = guest(&["127.0.0.1"]);
    let request = request(&mut wasi, &address.to_string(), "/", &[]);
    let response = send(&mut wasi, request).unwrap();
    let body = incoming_response::consume(&mut wasi, response.borrow()).unwrap().unwrap();
    let stream = incoming_body::stream(&mut wasi, body.borrow()).unwrap().unwrap();
    input_stream::blocking_read(&mut wasi, stream.borrow(), 10).unwrap().unwrap();
    // The guest takes no more: the server stands still at what the system keeps.
    let sent = server.join().unwrap();
    assert!(sent < 64 << 20, "{sent} bytes");
}

#[test]
fn no_host_is_asked_but_those_that_are_granted() {
    let (address, _server) = server("\r\n\r\n", Vec::new());
    let mut wasi = guest(&["example.com", "localhost:1", "10.0.0.0/8"]);
    let wasi = &mut wasi;
    for refused in
        [&*address.to_string(), "example.org", "169.254.169.254", "[::1]:80", "example.com.evil.example"]
    {
        let request = request(wasi, refused, "/", &[]);
        assert!(
            matches!(handle(wasi, request, None).unwrap(), Err(ErrorCode::HttpRequestDenied)),
            "{refused}"
        );
    }
    // The name is granted, at another port.
    let elsewhere = request(wasi, &format!("localhost:{}", address.port()), "/", &[]);
    assert_eq!(send(wasi, elsewhere).err(), Some(ErrorCode::DestinationIpProhibited));
    for wrong in ["user:secret@example.com", "example.com:99999"] {
        let request = request(wasi, wrong, "/", &[]);
        assert!(
            matches!(handle(wasi, request, None).unwrap(), Err(ErrorCode::HttpRequestUriInvalid)),
            "{wrong}"
        );
    }
    let connect = request(wasi, "example.com", "/", &[]);
    outgoing_request::set_method(wasi, connect.borrow(), Method::Other("CONNECT".into())).unwrap().unwrap();
    assert!(matches!(handle(wasi, connect, None).unwrap(), Err(ErrorCode::HttpRequestMethodInvalid)));
    let long = request(wasi, "example.com", &format!("/{}", "x".repeat(65_536)), &[]);
    assert!(matches!(handle(wasi, long, None).unwrap(), Err(ErrorCode::HttpRequestUriTooLong)));
}

// GHSA-w4qr-p94g-mjhv: times of nothing.
#[test]
fn times_that_are_over_end_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let request = request(wasi, &address.to_string(), "/", &[]);
    let options = request_options::new(wasi).unwrap();
    request_options::set_connect_timeout(wasi, options.borrow(), Some(0)).unwrap().unwrap();
    request_options::set_first_byte_timeout(wasi, options.borrow(), Some(0)).unwrap().unwrap();
    request_options::set_between_bytes_timeout(wasi, options.borrow(), Some(0)).unwrap().unwrap();
    let future = handle(wasi, request, Some(options)).unwrap().unwrap();
    let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    let answer = future_incoming_response::get(wasi, future.borrow()).unwrap().unwrap().unwrap();
    assert!(matches!(answer, Err(ErrorCode::HttpResponseTimeout)));
}
