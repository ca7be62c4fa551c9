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

pub(crate) type Guest = fn(&mut Wasi, Own<IncomingRequest>, Own<ResponseOutparam>) -> Result<(), String>;

/// Serves each request by `guest`, which may wait, until the test's process ends.
pub(crate) fn serve(limits: Limits, guest: Guest) -> SocketAddr {
    serve_by(limits, on_threads(move |asked| at_work(guest, asked)))
}

pub(crate) fn at_work(guest: Guest, asked: Asked) -> Result<(), String> {
    let mut wasi = Wasi::builder().build();
    let (request, response) = asked.give(&mut wasi).map_err(|stop| stop.to_string())?;
    guest(&mut wasi, request, response)
}

pub(crate) fn serve_by(limits: Limits, handler: Arc<Handler>) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, limits, handler, Arc::new(|_| {}), Arc::new(|_| {})).unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.serve());
    address
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends these bytes; everything that comes back until the server closes.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may have seen enough before the end.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

pub(crate) fn rest(stream: &mut TcpStream) -> String {
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
pub(crate) fn measure(
    wasi: &mut Wasi,
    request: Own<IncomingRequest>,
    out: Own<ResponseOutparam>,
) -> Result<(), String> {
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
    let limits =
        Limits { head: Duration::from_millis(300), idle: Duration::from_millis(300), ..Limits::default() };
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

#[test]
fn a_request_names_its_host_once_and_means_one_thing() {
    let address = serve(Limits::default(), tells);
    let ask = |head: &str| exchange(address, format!("{head}\r\nconnection: close\r\n\r\n").as_bytes());
    for (head, told) in [
        ("GET /a HTTP/1.1\r\nhost: one", r#"Get Some(Http) Some("one") Some("/a")"#),
        ("GET /a HTTP/1.1\r\nhost: [::1]:8080", r#"Some("[::1]:8080")"#),
        ("GET /a HTTP/1.0", r#"Get Some(Http) None Some("/a")"#),
        ("OPTIONS * HTTP/1.1\r\nhost: one", r#"Options Some(Http) Some("one") Some("*")"#),
        // The target counts, and `host` is ignored beside it.
        ("GET http://one/a?b HTTP/1.1\r\nhost: two", r#"Get Some(Http) Some("one") Some("/a?b")"#),
        ("GET https://one:81/a HTTP/1.1\r\nhost: one", r#"Get Some(Https) Some("one:81") Some("/a")"#),
        ("GET ftp://one/a HTTP/1.1\r\nhost: one", r#"Some(Other("ftp"))"#),
        ("GET http://one?b HTTP/1.1\r\nhost: one", r#"Some("/?b")"#),
    ] {
        let answer = ask(head);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 "),
            "{head}: {answer}"
        );
        assert!(answer.contains(told), "{head}: {answer}");
    }
    for head in [
        "GET /a HTTP/1.1",
        "GET http://one/a HTTP/1.1",
        "GET /a HTTP/1.1\r\nhost: one\r\nhost: one",
        "GET /a HTTP/1.0\r\nhost: one\r\nhost: two",
        "GET /a HTTP/1.1\r\nhost:",
        "GET /a HTTP/1.1\r\nhost: one two",
        "GET /a HTTP/1.1\r\nhost: one/two",
        "GET /a HTTP/1.1\r\nhost: user@one",
        "GET /a HTTP/1.1\r\nhost: one:eighty",
        "GET http://one/a HTTP/1.1\r\nhost: one two",
        "GET http://user@one/a HTTP/1.1\r\nhost: one",
        "GET * HTTP/1.1\r\nhost: one",
        "GET one:80 HTTP/1.1\r\nhost: one",
        "GET a HTTP/1.1\r\nhost: one",
        "GET /a HTTP/1.1\r\nhost: one\r\nx-folded: one\r\n two",
        "GET /a HTTP/1.1\r\n host: one",
    ] {
        let answer = ask(head);
        // What hyper itself refuses it answers in its own words, and may drop.
        assert!(answer.split(' ').nth(1) == Some("400"), "{head}: {answer}");
    }
    for head in [
        "CONNECT one:80 HTTP/1.1\r\nhost: one:80",
        "POST /a HTTP/1.1\r\nhost: one\r\ntransfer-encoding: gzip, chunked",
        "POST /a HTTP/1.1\r\nhost: one\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked",
    ] {
        let answer = ask(head);
        assert!(answer.starts_with("HTTP/1.1 501 "), "{head}: {answer}");
    }
}

/// Sends one request over HTTP/2; its status and its body.
fn ask_by_h2(address: SocketAddr, uri: &str, hosts: &[&str]) -> (u16, String) {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::get(uri).body(String::new()).unwrap();
        for host in hosts {
            request.headers_mut().append("host", host.parse().unwrap());
        }
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let (mut body, mut all) = (std::pin::pin!(response.into_body()), Vec::new());
        while let Some(frame) =
            std::future::poll_fn(|cx| hyper::body::Body::poll_frame(body.as_mut(), cx)).await
        {
            all.extend(frame.unwrap().into_data().unwrap_or_default());
        }
        (status, String::from_utf8(all).unwrap())
    })
}

#[test]
fn over_http_2_too_a_request_is_for_one_host() {
    let address = serve(Limits::default(), tells);
    let (status, told) = ask_by_h2(address, "https://one.example/a?b", &[]);
    assert_eq!((status, &*told), (200, r#"Get Some(Https) Some("one.example") Some("/a?b")"#));
    assert_eq!(ask_by_h2(address, "http://one.example/a", &["ONE.example:80"]).0, 200);
    assert_eq!(ask_by_h2(address, "http://one.example/a", &["two.example"]).0, 400);
    assert_eq!(ask_by_h2(address, "http://one.example/a", &["one.example", "one.example"]).0, 400);
}

/// Answers with trailers, of which the head says nothing.
fn trails(wasi: &mut Wasi, _: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let (body, stream) = begin(wasi, out, &[]);
    say(wasi, &stream, "body")?;
    wasi.resource_drop(stream).unwrap();
    let trailers = fields::from_list(wasi, vec![("x-sum".into(), b"42".to_vec())]).unwrap().unwrap();
    outgoing_body::finish(wasi, body, Some(trailers)).unwrap().map_err(|error| format!("{error:?}"))
}

#[test]
fn trailers_go_to_who_says_that_they_are_welcome() {
    let address = serve(Limits::default(), trails);
    let ask = |head: &str| exchange(address, format!("{head}\r\nconnection: close\r\n\r\n").as_bytes());
    let answer = ask("GET / HTTP/1.1\r\nhost: a\r\nTE: trailers");
    assert!(answer.contains("trailer: x-sum\r\n"), "{answer}");
    assert!(answer.ends_with("4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n"), "{answer}");
    let answer = ask("GET / HTTP/1.1\r\nhost: a");
    assert!(answer.contains("body") && !answer.contains("x-sum: 42"), "{answer}");
}

/// Waits for what does not come, and answers with an error or not at all.
fn waits_too_long(
    wasi: &mut Wasi,
    request: Own<IncomingRequest>,
    out: Own<ResponseOutparam>,
) -> Result<(), String> {
    let path = incoming_request::path_with_query(wasi, request.borrow()).unwrap().unwrap();
    let pollable = monotonic_clock::subscribe_duration(wasi, 60_000_000_000).unwrap();
    let waited = poll::block(wasi, pollable.borrow());
    if path == "/error" {
        response_outparam::set(wasi, out, Err(ErrorCode::ConnectionReadTimeout)).unwrap();
        return Ok(());
    }
    waited.map_err(|stop| stop.to_string())
}

#[test]
fn a_request_whose_time_is_over_is_always_answered_so() {
    let limits = Limits { request: Duration::from_millis(100), ..Limits::default() };
    let address = serve(limits, waits_too_long);
    for path in ["/", "/error"].repeat(5) {
        let answer = exchange(
            address,
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 504 "), "{path}: {answer}");
    }
}

/// Says 200 whatever became of the body.
fn shrugs(wasi: &mut Wasi, request: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let _ = read(wasi, &request);
    hello(wasi, request, out)
}

#[test]
fn a_body_without_a_length_that_is_too_long_is_answered_so_whatever_the_guest_makes_of_it() {
    let address = serve(Limits { body: 1000, ..Limits::default() }, shrugs);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let answer = exchange(address, format!("{head}{}0\r\n\r\n", chunk.repeat(11)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// Promises five bytes, writes as many as the path says, and tells what came of that in a later request.
fn counts(wasi: &mut Wasi, request: Own<IncomingRequest>, out: Own<ResponseOutparam>) -> Result<(), String> {
    let path = incoming_request::path_with_query(wasi, request.borrow()).unwrap().unwrap();
    let (body, stream) = begin(wasi, out, &[("content-length", "5")]);
    for part in path[1..].split('+') {
        let _ = say(wasi, &stream, &"x".repeat(part.parse().unwrap()));
    }
    wasi.resource_drop(stream).unwrap();
    let finished = outgoing_body::finish(wasi, body, None).unwrap();
    COUNTED.lock().unwrap().push((path, finished.err()));
    Ok(())
}

static COUNTED: std::sync::Mutex<Vec<(String, Option<ErrorCode>)>> = std::sync::Mutex::new(Vec::new());

#[test]
fn the_end_of_a_body_counts_what_was_written_also_what_was_too_much_or_nobody_is_to_have() {
    let address = serve(Limits::default(), counts);
    let size = |bytes| Some(ErrorCode::HttpResponseBodySize(Some(bytes)));
    for (method, path, expected) in [
        ("GET", "/5", None),
        ("GET", "/2+3", None),
        ("GET", "/4", size(4)),
        ("GET", "/10", size(10)),
        ("GET", "/3+3", size(6)),
        // An answer to HEAD has no body, but the length of one.
        ("HEAD", "/2+3", None),
        ("HEAD", "/4", size(4)),
    ] {
        let answer = exchange(
            address,
            format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
        );
        if method == "HEAD" {
            assert!(answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        }
        let began = Instant::now();
        let counted = loop {
            if let Some(counted) = COUNTED.lock().unwrap().pop() {
                break counted;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{method} {path}: the guest does not end");
        };
        assert_eq!(counted, (path.to_owned(), expected), "{method} {path}");
    }
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
    let get = |address, len: usize| {
        exchange(address, format!("GET /{len} HTTP/1.1\r\nhost: a\r\n\r\nGET /5 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
    };
    // The answer is broken before its head went out: the client is told so, and the next request is
    // answered.
    let told = |wrong: &str| {
        wrong.starts_with("HTTP/1.1 500 ")
            && wrong.contains("\r\n\r\nthe program did not finish its answer\nHTTP/1.1 200 ")
            && wrong.matches("xxxxx").count() == 1
    };
    let at_once = serve_by(
        Limits::default(),
        Arc::new(|asked| Box::pin(core::future::ready(at_work(promises, asked)))),
    );
    let at_work = serve(Limits::default(), promises);
    for address in [at_once, at_work] {
        let good = get(address, 5);
        assert_eq!(good.matches("xxxxx").count(), 2, "{good}");
        for len in [0, 3, 6] {
            let wrong = get(address, len);
            // Else nothing that could be taken for the next answer follows.
            let cut = || wrong.matches("HTTP/1.1").count() <= 1 && !wrong.contains("xxxxx");
            assert!(told(&wrong) || address == at_work && cut(), "{len}: {wrong}");
        }
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
pub(crate) fn hello(
    wasi: &mut Wasi,
    _: Own<IncomingRequest>,
    out: Own<ResponseOutparam>,
) -> Result<(), String> {
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
