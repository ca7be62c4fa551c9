//! Clients of a server that take nothing of what they asked for, or send more than anybody reads: what the host keeps for them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_wasi::http::fields;
use mini_wasm_wasi::http::server::{Asked, Limits, Server, on_threads};
use mini_wasm_wasi::http::types::{outgoing_body, outgoing_response, response_outparam};
use mini_wasm_wasi::io::streams::output_stream;
use mini_wasm_wasi::{Allowance, Wasi};

/// How long a test waits for what has to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that there is is for one address.
const EVERYTHING: Option<usize> = Some(usize::MAX);

/// Answers each request with so many KiB. What it keeps is counted in `all`.
fn serve(limits: Limits, all: &Arc<Allowance>, kibibytes: usize) -> SocketAddr {
    let mut builder = Wasi::builder();
    builder.host_memory(all);
    let builder = std::sync::Mutex::new(builder);
    let handler = on_threads(move |asked| answer(builder.lock().unwrap().build(), asked, kibibytes));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, limits, handler, Arc::new(|_| {}), Arc::new(|_| {})).unwrap();
    let server = server.host_memory(all);
    let address = server.address().unwrap();
    std::thread::spawn(move || server.serve());
    address
}

/// The first 64 KiB at once, as far as they go, then by little.
fn answer(mut wasi: Wasi, asked: Asked, kibibytes: usize) -> Result<(), String> {
    let wasi = &mut wasi;
    let (_, out) = asked.give(wasi).map_err(|stop| stop.to_string())?;
    let fields = fields::new(wasi).unwrap();
    let response = outgoing_response::new(wasi, fields).unwrap();
    let body = outgoing_response::body(wasi, response.borrow()).unwrap().unwrap();
    let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
    let first =
        output_stream::check_write(wasi, stream.borrow()).unwrap().unwrap().min(kibibytes as u64 * 1024);
    output_stream::write(wasi, stream.borrow(), vec![b'.'; first as usize]).unwrap().unwrap();
    response_outparam::set(wasi, out, Ok(response)).unwrap();
    for _ in 0..(kibibytes - first as usize / 1024) {
        let written = output_stream::blocking_write_and_flush(wasi, stream.borrow(), vec![b'.'; 1024]);
        written.map_err(|stop| stop.to_string())?.map_err(|error| format!("{error:?}"))?;
    }
    wasi.resource_drop(stream).unwrap();
    outgoing_body::finish(wasi, body, None).unwrap().map_err(|error| format!("{error:?}"))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection of HTTP/2 whose windows are closed, with so many requests.
fn closed_window(address: SocketAddr, requests: u32) -> TcpStream {
    burst(address, 0, requests)
}

/// A connection of HTTP/2 whose streams have this window, with so many requests at once.
fn burst(address: SocketAddr, window: u32, requests: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    bytes.extend(frame(4, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat()));
    let mut head = Vec::new();
    for (name, value) in [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "here")] {
        head.push(0);
        for text in [name, value] {
            head.push(text.len() as u8);
            head.extend(text.as_bytes());
        }
    }
    for request in 0..requests {
        bytes.extend(frame(1, 4 | 1, 2 * request + 1, &head));
    }
    stream.write_all(&bytes).unwrap();
    stream
}

#[track_caller]
fn becomes(what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn get(address: SocketAddr) -> Vec<u8> {
    ask(address, "close")
}

/// All that comes until the connection is closed.
fn ask(address: SocketAddr, connection: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: here\r\nconnection: {connection}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn clients_that_open_no_window_hold_little_and_not_for_ever() {
    // `MINI_WASM_LONG`: as many as a server sees on a bad day.
    let (clients, requests) =
        if std::env::var_os("MINI_WASM_LONG").is_some() { (100, 100) } else { (12, 30) };
    const MIB: usize = 1 << 20;
    let all = Allowance::new("all", 64 * MIB);
    let limits = Limits {
        connection_memory: MIB / 4,
        connections_memory: 8 * MIB,
        connections_per_address: EVERYTHING,
        between_bytes: Duration::from_secs(2),
        ..Limits::default()
    };
    let address = serve(limits, &all, 64);
    let mut streams: Vec<_> = (0..clients).map(|_| closed_window(address, requests)).collect();
    becomes("answers wait", || all.used() > 2 * MIB);
    // Whatever guests have at work, they end soon.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        assert!(all.used() <= 64 * MIB);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(all.used() <= 9 * MIB, "{}", all.used());
    // Also what hyper has taken of them is there until it goes out.
    assert!(all.used() > 2 * MIB, "{}", all.used());
    // Nothing is taken of any of them: they are given up, and the connections with them.
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    becomes("nothing is kept", || all.used() <= MIB / 8);
    assert!(get(address).starts_with(b"HTTP/1.1 200"));
}

#[test]
fn an_answer_arrives_whole_however_little_is_kept_of_it() {
    let all = Allowance::new("all", 64 << 20);
    let address = serve(Limits { connection_memory: 1, ..Limits::default() }, &all, 2000);
    let answer = get(address);
    assert!(answer.iter().filter(|byte| **byte == b'.').count() >= 2000 * 1024, "{}", answer.len());
}

#[test]
fn a_connection_for_which_there_is_no_memory_is_closed_and_the_next_one_is_served() {
    let all = Allowance::new("all", 64 << 20);
    // A connection takes 16 KiB, a request a little.
    let address = serve(
        Limits { connections_memory: 45_000, connections_per_address: EVERYTHING, ..Limits::default() },
        &all,
        1,
    );
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    becomes("they are accepted", || all.used() >= 2 * 16_384);
    let mut refused = TcpStream::connect(address).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    // It is told so, or reset.
    let mut said = Vec::new();
    let _ = refused.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&said));
    assert!(all.used() >= 2 * 16_384, "it did not have to wait for the others");
    drop(held);
    // A step is kept for the next.
    becomes("they are gone", || all.used() <= 16_384);
    assert!(get(address).starts_with(b"HTTP/1.1 200"));
}

#[test]
fn heads_that_do_not_end_are_charged() {
    let all = Allowance::new("all", 64 << 20);
    let limits = Limits {
        connections_memory: 1 << 20,
        connections_per_address: EVERYTHING,
        head: PATIENCE,
        ..Limits::default()
    };
    let address = serve(limits, &all, 1);
    let head = format!("GET / HTTP/1.1\r\nhost: here\r\nx: {}", "x".repeat(60_000));
    let streams: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Those for which there is no memory are closed meanwhile.
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    becomes("some are kept", || all.used() > 600_000);
    assert!(all.used() <= 1 << 20);
    drop(streams);
    becomes("they are gone", || all.used() < 65_536);
    assert!(get(address).starts_with(b"HTTP/1.1 200"));
}

#[test]
fn bodies_that_nobody_reads_are_charged() {
    let all = Allowance::new("all", 64 << 20);
    let address = serve(
        Limits { connections_memory: 8 << 20, connections_per_address: EVERYTHING, ..Limits::default() },
        &all,
        64,
    );
    let post = |length: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n").unwrap();
        stream
    };
    // The guests answer without having read: all that was there for bodies is free again.
    let streams: Vec<_> = (0..10).map(|_| post(1_000_000)).collect();
    for mut stream in streams {
        let mut answer = [0; 12];
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    becomes("they are gone", || all.used() < 65_536);
    // 64 KiB for each of them are not there.
    let address = serve(
        Limits { connections_memory: 60_000, connections_per_address: EVERYTHING, ..Limits::default() },
        &all,
        1,
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1000000\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[test]
fn a_connection_that_is_refused_memory_ends_even_if_its_client_takes_nothing() {
    let all = Allowance::new("all", 64 << 20);
    // Enough for a connection, and for no request of it; it would be kept otherwise.
    let limits = Limits {
        connections_memory: 17_000,
        connections_per_address: EVERYTHING,
        idle: 60 * PATIENCE,
        drain: Duration::from_millis(300),
        ..Limits::default()
    };
    let address = serve(limits, &all, 1);
    // Over HTTP/2 the refusal itself waits for a window.
    let mut stream = closed_window(address, 4);
    // Less than hyper waits before it looks whether the client is there.
    stream.set_read_timeout(Some(PATIENCE / 4)).unwrap();
    let end = stream.read_to_end(&mut Vec::new());
    let is_reset = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(end.map_or_else(is_reset, |_| true), "it is not closed");
    becomes("its memory is back", || all.used() <= 16_384);
    let answer = String::from_utf8(ask(address, "keep-alive")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[test]
fn room_for_as_many_requests_as_came_at_once_stays_charged() {
    let all = Allowance::new("all", 64 << 20);
    let limits = Limits { connections_memory: 1 << 20, ..Limits::default() };
    let address = serve(limits, &all, 1);
    let mut stream = burst(address, 65_535, 64);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut came, mut bytes) = (0, [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        came += read;
    }
    assert!(came > 64 << 10, "they are answered: {came}");
    // The protocol does not give it back either.
    assert!(all.used() >= (16 << 10) + 8 * (4 << 10), "{}", all.used());
    // An address has half of what there is, as of connections.
    let more: Vec<_> = (0..60).map(|_| burst(address, 65_535, 1)).collect();
    becomes("some are served", || all.used() > (256 << 10));
    std::thread::sleep(Duration::from_millis(300));
    assert!(all.used() <= (512 << 10) + (64 << 10), "{}", all.used());
    drop((more, stream));
    becomes("nothing is kept", || all.used() <= 64 << 10);
}
