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
    ErrorCode, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
    future_incoming_response, future_trailers, http_error_code, incoming_body, incoming_response,
    outgoing_body, outgoing_request, request_options,
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

pub(crate) fn request(
    wasi: &mut Wasi,
    to: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Own<OutgoingRequest> {
    let list = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let headers = fields::from_list(wasi, list).unwrap().unwrap();
    let request = outgoing_request::new(wasi, headers).unwrap();
    outgoing_request::set_scheme(wasi, request.borrow(), Some(Scheme::Http)).unwrap().unwrap();
    outgoing_request::set_authority(wasi, request.borrow(), Some(to.into())).unwrap().unwrap();
    outgoing_request::set_path_with_query(wasi, request.borrow(), Some(path.into())).unwrap().unwrap();
    request
}

/// Sends a request and waits for the answer.
pub(crate) fn send(
    wasi: &mut Wasi,
    request: Own<OutgoingRequest>,
) -> Result<Own<IncomingResponse>, ErrorCode> {
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
pub(crate) fn read(
    wasi: &mut Wasi,
    response: &Own<IncomingResponse>,
) -> Result<(Vec<u8>, Entries), ErrorCode> {
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
    let pollable = future_trailers::subscribe(wasi, trailers.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    wasi.resource_drop(pollable).unwrap();
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
    let finished = outgoing_body::finish(wasi, body, None).unwrap();
    assert_eq!(finished, Err(ErrorCode::HttpRequestBodySize(Some(4))), "what was too much counts");
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

/// The times that a request may take, in milliseconds: to connect, until the answer begins, between two pieces of it.
fn ask_within(
    wasi: &mut Wasi,
    request: Own<OutgoingRequest>,
    times: [Option<u64>; 3],
) -> Own<FutureIncomingResponse> {
    let [connect, first, between] = times.map(|time| time.map(|milliseconds| milliseconds * 1_000_000));
    let options = request_options::new(wasi).unwrap();
    request_options::set_connect_timeout(wasi, options.borrow(), connect).unwrap().unwrap();
    request_options::set_first_byte_timeout(wasi, options.borrow(), first).unwrap().unwrap();
    request_options::set_between_bytes_timeout(wasi, options.borrow(), between).unwrap().unwrap();
    handle(wasi, request, Some(options)).unwrap().unwrap()
}

fn answer_of(
    wasi: &mut Wasi,
    future: &Own<FutureIncomingResponse>,
) -> Result<Own<IncomingResponse>, ErrorCode> {
    let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
    poll::block(wasi, pollable.borrow()).unwrap();
    future_incoming_response::get(wasi, future.borrow()).unwrap().expect("it is ready").unwrap()
}

// GHSA-w4qr-p94g-mjhv: times of nothing.
#[test]
fn times_of_nothing_are_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut wasi = guest(&["127.0.0.1"]);
    let request = request(&mut wasi, &address.to_string(), "/", &[]);
    let future = ask_within(&mut wasi, request, [Some(0); 3]);
    let answer = answer_of(&mut wasi, &future);
    assert!(matches!(answer, Err(ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout)));
}

#[test]
fn each_step_of_a_request_has_the_time_that_the_guest_gives_it() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let began = Instant::now();
    // To connect: nobody takes connections, and the few that wait for that fill the queue.
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&full, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    listen(&full, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&full).unwrap()).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    let one = request(wasi, &address.to_string(), "/", &[]);
    let future = ask_within(wasi, one, [Some(300), None, None]);
    assert_eq!(answer_of(wasi, &future).err(), Some(ErrorCode::ConnectionTimeout));
    // Until the answer begins.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let two = request(wasi, &silent.local_addr().unwrap().to_string(), "/", &[]);
    let future = ask_within(wasi, two, [None, Some(300), None]);
    assert_eq!(answer_of(wasi, &future).err(), Some(ErrorCode::ConnectionReadTimeout));
    // Between two pieces.
    let halting = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = halting.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = halting.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
        stream
    });
    let three = request(wasi, &address.to_string(), "/", &[]);
    let future = ask_within(wasi, three, [None, None, Some(300)]);
    let answer = answer_of(wasi, &future).unwrap();
    assert_eq!(read(wasi, &answer).err(), Some(ErrorCode::ConnectionReadTimeout));
    drop(server.join().unwrap());
    assert!(began.elapsed() < Duration::from_secs(9), "none took its usual time");
}

#[test]
fn a_request_that_goes_out_slowly_is_not_late() {
    let (address, asked) =
        server("end", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec());
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let slow = request(wasi, &address.to_string(), "/", &[("content-length", "13")]);
    outgoing_request::set_method(wasi, slow.borrow(), Method::Post).unwrap().unwrap();
    let body = body_of(wasi, &slow);
    let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
    let future = ask_within(wasi, slow, [None, Some(1000), None]);
    for piece in ["0123456789", "e", "n", "d"] {
        std::thread::sleep(Duration::from_millis(500));
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), piece.into()).unwrap().unwrap();
    }
    wasi.resource_drop(stream).unwrap();
    outgoing_body::finish(wasi, body, None).unwrap().unwrap();
    let answer = answer_of(wasi, &future).unwrap();
    assert_eq!(incoming_response::status(wasi, answer.borrow()).unwrap(), 200);
    asked.join().unwrap();
}

// CVE-2026-27887.
#[test]
fn an_answer_that_is_larger_than_allowed_is_an_error_wherever_it_shows() {
    let hosts = || {
        let mut hosts = Network::nothing();
        hosts.allow("127.0.0.1".parse().unwrap());
        hosts
    };
    let said = "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned();
    let chunks = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        "1\r\nx\r\n".repeat(1001)
    );
    let until_the_end = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
    let fits = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
    for (answer, is_error) in [(said, true), (chunks, true), (until_the_end, true), (fits, false)] {
        let (address, server) = server("\r\n\r\n", answer.into());
        let mut wasi = Wasi::builder().http(Outgoing::to(hosts()).max_body(1000)).build();
        let request = request(&mut wasi, &address.to_string(), "/", &[]);
        let end = send(&mut wasi, request).and_then(|response| read(&mut wasi, &response));
        match is_error {
            true => assert_eq!(end.err(), Some(ErrorCode::HttpResponseBodySize(Some(1001)))),
            false => assert_eq!(end.unwrap().0.len(), 1000),
        }
        server.join().unwrap();
    }
}

#[test]
fn an_answer_that_is_cut_short_is_incomplete_and_one_that_would_speak_something_else_is_refused() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ErrorCode::HttpResponseIncomplete),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", ErrorCode::HttpResponseIncomplete),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: odd\r\n\r\n",
            ErrorCode::HttpUpgradeFailed,
        ),
    ] {
        let (address, server) = server("\r\n\r\n", answer.into());
        let mut wasi = guest(&["127.0.0.1"]);
        let request = request(&mut wasi, &address.to_string(), "/", &[]);
        let end = send(&mut wasi, request).and_then(|response| read(&mut wasi, &response));
        assert_eq!(end.err(), Some(code), "{answer:.40}");
        server.join().unwrap();
    }
}

#[test]
fn a_method_that_has_a_body_as_a_rule_says_so_when_there_is_none() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (method, is_told) in [
        (Method::Post, true),
        (Method::Put, true),
        (Method::Patch, true),
        (Method::Get, false),
        (Method::Delete, false),
    ] {
        // Never taken; finished before the request is sent, and after.
        for way in ["none", "before", "after"] {
            let (address, server) = server("\r\n\r\n", ok.to_vec());
            let mut wasi = guest(&["127.0.0.1"]);
            let wasi = &mut wasi;
            let request = request(wasi, &address.to_string(), "/", &[]);
            outgoing_request::set_method(wasi, request.borrow(), method.clone()).unwrap().unwrap();
            let body = (way != "none").then(|| body_of(wasi, &request));
            let finish = |wasi: &mut Wasi, body| outgoing_body::finish(wasi, body, None).unwrap().unwrap();
            let body = match (way, body) {
                ("before", Some(body)) => {
                    finish(wasi, body);
                    None
                }
                (_, body) => body,
            };
            let future = handle(wasi, request, None).unwrap().unwrap();
            body.into_iter().for_each(|body| finish(wasi, body));
            assert!(answer_of(wasi, &future).is_ok());
            let asked = server.join().unwrap().to_ascii_lowercase();
            let told = asked.contains("content-length: 0\r\n");
            // Of a body that has not ended yet nobody knows that it is empty.
            let is_chunked = way == "after" && asked.contains("transfer-encoding: chunked\r\n");
            assert!(if is_told { told || is_chunked } else { !told }, "{method:?} {way}: {asked}");
            assert!(way == "after" || !asked.contains("transfer-encoding"), "{method:?} {way}: {asked}");
        }
    }
}

#[test]
fn trailers_that_are_known_with_the_head_go_out() {
    let (address, server) = server(
        "\r\n\r\n0\r\nx-sum: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    );
    let mut wasi = guest(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let request = request(wasi, &address.to_string(), "/", &[]);
    outgoing_request::set_method(wasi, request.borrow(), Method::Post).unwrap().unwrap();
    let body = body_of(wasi, &request);
    let trailers = fields::from_list(wasi, vec![("X-Sum".into(), b"7".to_vec())]).unwrap().unwrap();
    outgoing_body::finish(wasi, body, Some(trailers)).unwrap().unwrap();
    send(wasi, request).unwrap();
    let asked = server.join().unwrap().to_ascii_lowercase();
    assert!(asked.contains("trailer: x-sum\r\n") && asked.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), "{asked}");
}

#[test]
fn interim_answers_without_end_are_an_error_and_a_few_are_not() {
    let ask = |interim: usize, most: Option<u32>| {
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let answer =
            hint.repeat(interim) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (address, _) = server("\r\n\r\n", answer.into_bytes());
        let mut hosts = Network::nothing();
        hosts.allow("127.0.0.1".parse().unwrap());
        let mut outgoing = Outgoing::to(hosts);
        if let Some(most) = most {
            outgoing.max_interim(most);
        }
        let mut wasi = Wasi::builder().http(&outgoing).build();
        let request = request(&mut wasi, &address.to_string(), "/", &[]);
        send(&mut wasi, request)
            .map(|response| incoming_response::status(&mut wasi, response.borrow()).unwrap())
    };
    assert_eq!(ask(3, None), Ok(200));
    assert_eq!(ask(3, Some(3)), Ok(200));
    assert_eq!(ask(100_000, None), Err(ErrorCode::HttpProtocolError));
    assert_eq!(ask(100_000, Some(3)), Err(ErrorCode::HttpProtocolError));
}
