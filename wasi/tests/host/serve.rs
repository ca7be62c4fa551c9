//! The server against clients of raw bytes. Its guests are written here: what they get is what a component would get.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_wasi::clocks::monotonic_clock;
use mini_wasm_wasi::http::fields;
use mini_wasm_wasi::http::server::{Asked, Handler, Limits, Server, on_threads};
use mini_wasm_wasi::http::types::{
    ErrorCode, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam, http_error_code,
    incoming_body, incoming_request, outgoing_body, outgoing_response, response_outparam,
};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::{OutputStream, StreamError, input_stream, output_stream};
use mini_wasm_wasi::{Own, Wasi};

type Guest = fn(&mut Wasi, Own<IncomingRequest>, Own<ResponseOutparam>) -> Result<(), String>;

/// Serves each request by `guest`, which may wait, until the test's process ends.
fn serve(limits: Limits, guest: Guest) -> SocketAddr {
    serve_by(limits, on_threads(move |asked| at_work(guest, asked)))
}

fn at_work(guest: Guest, asked: Asked) -> Result<(), String> {
    let mut wasi = Wasi::builder().build();
    let (request, response) = asked.give(&mut wasi).map_err(|stop| stop.to_string())?;
    guest(&mut wasi, request, response)
}

fn serve_by(limits: Limits, handler: Arc<Handler>) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, limits, handler, Arc::new(|_| {}), Arc::new(|_| {})).unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.serve());
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends these bytes; everything that comes back until the server closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may have seen enough before the end.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    // A reset ends it too: the server did not want the rest.
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        all.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Begins an answer with these fields.
fn begin(
    wasi: &mut Wasi,
    out: Own<ResponseOutparam>,
    entries: &[(&str, &str)],
) -> (Own<OutgoingBody>, Own<OutputStream>) {
    let list = entries.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let headers = fields::from_list(wasi, list).unwrap().unwrap();
    let response: Own<OutgoingResponse> = outgoing_response::new(wasi, headers).unwrap();
    let body = outgoing_response::body(wasi, response.borrow()).unwrap().unwrap();
    let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
    response_outparam::set(wasi, out, Ok(response)).unwrap();
    (body, stream)
}

fn say(wasi: &mut Wasi, stream: &Own<OutputStream>, text: &str) -> Result<(), String> {
    let said = output_stream::blocking_write_and_flush(wasi, stream.borrow(), text.into());
    said.map_err(|stop| stop.to_string())?.map_err(|error| format!("{error:?}"))
}

fn finish(wasi: &mut Wasi, body: Own<OutgoingBody>, stream: Own<OutputStream>) -> Result<(), String> {
    wasi.resource_drop(stream).unwrap();
    outgoing_body::finish(wasi, body, None).unwrap().map_err(|error| format!("{error:?}"))
}

/// Reads the body to its end; how long it was.
fn read(wasi: &mut Wasi, request: &Own<IncomingRequest>) -> Result<usize, ErrorCode> {
    let body = incoming_request::consume(wasi, request.borrow()).unwrap().unwrap();
    let stream = incoming_body::stream(wasi, body.borrow()).unwrap().unwrap();
    let mut len = 0;
    loop {
        match input_stream::blocking_read(wasi, stream.borrow(), 65_536).unwrap() {
            Ok(bytes) => len += bytes.len(),
            Err(StreamError::Closed) => return Ok(len),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(wasi, error.borrow()).unwrap().unwrap());
            }
        }
    }
}

/// Answers with how long the body was, and what the request says it is.
fn measure(wasi: &mut Wasi, request: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let headers = incoming_request::headers(wasi, request.borrow()).unwrap();
    let said = fields::get(wasi, headers.borrow(), "content-length".into()).unwrap().len();
    match read(wasi, &request) {
        Ok(len) => {
            let (body, stream) = begin(wasi, out, &[]);
            say(wasi, &stream, &format!("{len} bytes, {said} lengths"))?;
            finish(wasi, body, stream)
        }
        Err(error) => response_outparam::set(wasi, out, Err(error)).map_err(|stop| stop.to_string()),
    }
}

/// A guest that does not expect that a body could fail.
fn trusts(wasi: &mut Wasi, request: Own<IncomingRequest>, _: Own<ResponseOutparam>) -> Result<(), String> {
    read(wasi, &request).map(|_| ()).map_err(|error| format!("{error:?}"))
}

#[test]
fn a_body_without_a_length_has_a_limit_too() {
    let chunks = |count| {
        let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
        format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(count)
        )
    };
    let limits = Limits { body: 1000, ..Limits::default() };
    let address = serve(limits, measure);
    let fits = exchange(address, chunks(10).as_bytes());
    // Whether its length or chunks say how long the answer is depends on who is faster, the guest or the server.
    assert!(fits.starts_with("HTTP/1.1 200 ") && fits.contains("1000 bytes, 0 lengths"), "{fits}");
    for (guest, name) in [(measure as Guest, "says so"), (trusts, "gives up")] {
        let address = serve(limits, guest);
        let more = exchange(address, chunks(11).as_bytes());
        assert!(more.starts_with("HTTP/1.1 413 "), "{name}: {more}");
        let endless = exchange(address, chunks(100_000).as_bytes());
        assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 413 "), "{name}: {endless}");
    }
    let said = exchange(address, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

// GHSA-r8xh-cgf7-392j and others: what two readers would understand differently is understood by nobody.
#[test]
fn requests_of_two_meanings_are_not_served() {
    let address = serve(Limits::default(), measure);
    for (head, body) in [
        ("content-length: 3\r\ncontent-length: 4", "abcd"),
        ("content-length: 3, 4", "abcd"),
        ("content-length: +3", "abc"),
        ("content-length: 0x3", "abc"),
        ("content-length: 99999999999999999999", "abc"),
        ("transfer-encoding: chunked, identity", "3\r\nabc\r\n0\r\n\r\n"),
        ("transfer-encoding: xchunked", "3\r\nabc\r\n0\r\n\r\n"),
        ("name : value", ""),
        ("na(me: value", ""),
    ] {
        let answer =
            exchange(address, format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{body}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer}");
    }
    // Chunks count, a length beside them is not told to the guest.
    let both = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n\
                3\r\nabc\r\n0\r\n\r\n";
    let answer = exchange(address, both.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 ") || answer.contains("3 bytes, 0 lengths"), "{answer}");
    // Sizes that overflow, or are none.
    for chunk in ["10000000000000003\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n"] {
        let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = exchange(address, format!("{head}{chunk}").as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 200 "), "{chunk:?}: {answer}");
    }
}

/// Whether the server closes a connection on which these bytes came and no more.
fn is_closed_after(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let began = Instant::now();
    rest(&mut stream);
    began.elapsed() < Duration::from_secs(20)
}

#[test]
fn a_client_that_does_not_say_what_it_wants_is_not_waited_for() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let address = serve(limits, measure);
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        assert!(is_closed_after(address, beginning.as_bytes()), "{beginning:?}");
    }
    // And one that has nothing more to ask.
    assert!(is_closed_after(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), "idle");
}

/// Writes for as long as anybody takes it.
fn endless(wasi: &mut Wasi, _: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let (_body, stream) = begin(wasi, out, &[]);
    let text = "x".repeat(4096);
    while say(wasi, &stream, &text).is_ok() {}
    ENDED.store(true, std::sync::atomic::Ordering::SeqCst);
    Ok(())
}

static ENDED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let limits = Limits { between_bytes: Duration::from_millis(500), ..Limits::default() };
    let address = serve(limits, endless);
    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let began = Instant::now();
    while !ENDED.load(std::sync::atomic::Ordering::SeqCst) {
        assert!(began.elapsed() < Duration::from_secs(20), "the guest still waits for its reader");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Answers with what the head of the request said.
fn tells(wasi: &mut Wasi, request: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let this = || request.borrow();
    let method = incoming_request::method(wasi, this()).unwrap();
    let scheme = incoming_request::scheme(wasi, this()).unwrap();
    let authority = incoming_request::authority(wasi, this()).unwrap();
    let path = incoming_request::path_with_query(wasi, this()).unwrap();
    let (body, stream) = begin(wasi, out, &[]);
    say(wasi, &stream, &format!("{method:?} {scheme:?} {authority:?} {path:?}"))?;
    finish(wasi, body, stream)
}

#[test]
fn a_request_says_how_it_was_asked() {
    let address = serve(Limits::default(), tells);
    let head = "QUERY /a?b=c HTTP/1.1\r\nhost: example.com:81\r\nconnection: close\r\n\r\n";
    let answer = exchange(address, head.as_bytes());
    let told = r#"Other("QUERY") Some(Http) Some("example.com:81") Some("/a?b=c")"#;
    assert!(answer.contains(told), "{answer}");
}

/// Answers with what came of informational responses before that.
fn informs(wasi: &mut Wasi, _: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let mut told = String::new();
    for status in [103, 99, 200] {
        let headers = fields::new(wasi).unwrap();
        let sent = response_outparam::send_informational(wasi, out.borrow(), status, headers).unwrap();
        told += &format!("{status}: {sent:?}\n");
    }
    let (body, stream) = begin(wasi, out, &[]);
    say(wasi, &stream, &told)?;
    finish(wasi, body, stream)
}

#[test]
fn an_informational_response_is_refused_and_the_answer_still_goes_out() {
    let address = serve(Limits::default(), informs);
    let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let told = "103: Err(InternalError(Some(\"informational responses are not sent\")))\n99: Err(HttpProtocolError)\n200: Err(HttpProtocolError)\n";
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(told), "{answer}");
}

/// Promises five bytes; writes as many as the path says.
fn promises(
    wasi: &mut Wasi,
    request: Own<IncomingRequest>,
    out: Own<ResponseOutparam>,
) -> Result<(), String> {
    let path = incoming_request::path_with_query(wasi, request.borrow()).unwrap().unwrap();
    let (body, stream) = begin(wasi, out, &[("content-length", "5")]);
    let written = say(wasi, &stream, &"x".repeat(path[1..].parse().unwrap()));
    written.and(finish(wasi, body, stream))
}

#[test]
fn an_answer_is_as_long_as_it_says_or_the_client_sees_that_it_is_not() {
    let address = serve(Limits::default(), promises);
    let get = |len: usize| {
        exchange(address, format!("GET /{len} HTTP/1.1\r\nhost: a\r\n\r\nGET /5 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
    };
    let good = get(5);
    assert_eq!(good.matches("xxxxx").count(), 2, "{good}");
    for len in [0, 3, 6] {
        let wrong = get(len);
        // Nothing that could be taken for the next answer follows.
        assert!(wrong.matches("HTTP/1.1").count() <= 1 && !wrong.contains("xxxxx"), "{len}: {wrong}");
    }
}

/// Answers at once, and after the head it waits, or computes.
fn pauses(wasi: &mut Wasi, request: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let path = incoming_request::path_with_query(wasi, request.borrow()).unwrap().unwrap();
    let (body, stream) = begin(wasi, out, &[]);
    say(wasi, &stream, "first")?;
    if path == "/waits" {
        let pollable = monotonic_clock::subscribe_duration(wasi, 1_000_000_000).unwrap();
        poll::block(wasi, pollable.borrow()).unwrap();
    } else {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) {}
    }
    say(wasi, &stream, "last")?;
    finish(wasi, body, stream)
}

#[test]
fn what_a_guest_says_first_is_not_kept_until_it_says_the_last() {
    let address = serve(Limits::default(), pauses);
    for path in ["/waits", "/computes"] {
        let mut stream = connect(address);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let (mut first, mut bytes) = (Vec::new(), [0; 4096]);
        while !first.windows(5).any(|five| five == b"first") {
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0);
            first.extend_from_slice(&bytes[..read]);
        }
        let first = String::from_utf8(first).unwrap();
        assert!(first.starts_with("HTTP/1.1 200 ") && !first.contains("last"), "{path}: {first}");
        assert!(rest(&mut stream).contains("last"));
    }
}

/// Says hello.
fn hello(wasi: &mut Wasi, _: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let (body, stream) = begin(wasi, out, &[]);
    say(wasi, &stream, "hello")?;
    finish(wasi, body, stream)
}

#[test]
fn a_short_answer_goes_over_in_one_piece_with_its_length() {
    let inline: Arc<Handler> = Arc::new(|asked| Box::pin(async move { at_work(hello, asked) }));
    let address = serve_by(Limits::default(), inline);
    for _ in 0..20 {
        let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
        assert!(answer.contains("content-length: 5\r\n"), "{answer}");
    }
}

#[test]
fn a_guest_that_panics_the_host_fails_its_own_request_only() {
    let handler: Arc<Handler> = Arc::new(|asked| {
        Box::pin(async move {
            let mut wasi = Wasi::builder().build();
            let (request, _) = asked.give(&mut wasi).map_err(|stop| stop.to_string())?;
            let path = incoming_request::path_with_query(&mut wasi, request.borrow()).unwrap().unwrap();
            assert_eq!(path, "/", "the panic that is wanted");
            Ok(())
        })
    });
    let address = serve_by(Limits::default(), handler);
    let mut stream = connect(address);
    // The connection is good for the next request, too.
    for path in ["/panic", "/", "/panic"] {
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).unwrap();
        assert!(bytes[..read].starts_with(b"HTTP/1.1 500 "), "{}", String::from_utf8_lossy(&bytes[..read]));
    }
}

/// Sends a byte of a body every 20 ms; how many the server took before it lost patience, and what it said.
fn trickled(limits: Limits) -> (usize, String) {
    let address = serve(limits, measure);
    let mut stream = connect(address);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_nonblocking(true).unwrap();
    for sent in 0..100 {
        if !matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock) {
            stream.set_nonblocking(false).unwrap();
            return (sent, rest(&mut stream));
        }
        stream.write_all(b"x").unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    stream.set_nonblocking(false).unwrap();
    (100, rest(&mut stream))
}

#[test]
fn a_body_that_only_trickles_is_given_up() {
    let limits = Limits { between_bytes: Duration::from_millis(500), ..Limits::default() };
    // No pause is ever too long, but a second's worth of body takes 20.
    let (taken, answer) = trickled(Limits { body_rate: 1000, ..limits });
    assert!(taken < 100 && answer.starts_with("HTTP/1.1 408 "), "{taken}: {answer}");
    let (taken, answer) = trickled(Limits { body_rate: 0, ..limits });
    assert!(taken == 100 && answer.contains("100 bytes, 1 lengths"), "{taken}: {answer}");
}

#[test]
fn a_client_that_has_said_all_and_ends_its_side_is_answered() {
    let address = serve(Limits::default(), pauses);
    let mut stream = connect(address);
    stream.write_all(b"GET /waits HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("last"), "{answer}");
}

/// Never answers.
fn forgets(wasi: &mut Wasi, _: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    wasi.resource_drop(out).map_err(|stop| stop.to_string())?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

#[test]
fn nobody_waits_for_an_answer_that_will_not_come() {
    let address = serve(Limits::default(), forgets);
    let began = Instant::now();
    let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(began.elapsed() < Duration::from_millis(1900), "the guest runs on by itself");
}
