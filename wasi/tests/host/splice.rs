//! `splice` and `blocking-splice` between every kind of stream: everything arrives once and in order, no call moves more than a chunk,
//! nothing is taken from a source that the sink would not take.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mini_wasm_wasi::cli::{stdin::get_stdin, stdout::get_stdout};
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::outgoing_handler::handle;
use mini_wasm_wasi::http::types::{
    Method, OutgoingBody, future_incoming_response, incoming_body, incoming_response, outgoing_body,
    outgoing_request,
};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::{
    CHUNK, InputStream, OutputStream, PERMIT, StreamError, input_stream, output_stream,
};
use mini_wasm_wasi::sockets::instance_network::instance_network;
use mini_wasm_wasi::sockets::network::IpAddressFamily;
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::tcp::{ShutdownType, TcpSocket, tcp_socket};
use mini_wasm_wasi::sockets::tcp_create_socket::create_tcp_socket;
use mini_wasm_wasi::{MemoryInput, MemoryOutput, Output, Own, Resolution, Stdin, Wasi};

use crate::http::{request, send};
use crate::sandbox::{CREATE, Guest, NONE, READ, Sandbox, WRITE, trap};

/// More than a chunk, a permit and what a pipe holds; no two chunks of it are alike.
fn data() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Memory,
    File,
    /// A file written at its end.
    End,
    Pipe,
    Tcp,
    Body,
}

pub(crate) const SOURCES: [Kind; 5] = [Kind::Memory, Kind::File, Kind::Pipe, Kind::Tcp, Kind::Body];
pub(crate) const SINKS: [Kind; 6] = [Kind::Memory, Kind::File, Kind::End, Kind::Pipe, Kind::Tcp, Kind::Body];

/// A guest that may do everything on the loopback and in its directory, and what its streams end in.
pub(crate) struct Fixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) guest: Guest,
    input: MemoryInput,
    output: MemoryOutput,
    pipes: u32,
}

/// What came out of a sink, once the stream has been dropped.
pub(crate) type Arrived = Box<dyn FnOnce(&mut Fixture) -> Vec<u8>>;

impl Fixture {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let (input, output) = (MemoryInput::new(data()), MemoryOutput::new(1 << 30));
        let mut loopback = Network::nothing();
        loopback.allow("127.0.0.1".parse().unwrap());
        let mut builder = Wasi::builder();
        builder.stdin(Stdin::Memory(input.clone())).stdout(Output::Memory(output.clone()));
        builder.http(&Outgoing::to(loopback.clone())).network(loopback);
        builder.resolution(Resolution::Kernel).preopen(sandbox.inside(""), "/", false).unwrap();
        builder.deadline(Arc::new(Instant::now() + Duration::from_secs(60)));
        fs::write(sandbox.inside("source"), data()).unwrap();
        Self { guest: Guest::of(builder.build()), sandbox, input, output, pipes: 0 }
    }

    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        &mut self.guest.wasi
    }

    pub(crate) fn pipe(&mut self) -> String {
        self.pipes += 1;
        let name = format!("pipe{}", self.pipes);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, self.sandbox.inside(&name), mode).unwrap();
        name
    }

    /// A stream that gives all of the data and ends.
    pub(crate) fn source(&mut self, kind: Kind) -> Own<InputStream> {
        match kind {
            Kind::Memory => get_stdin(self.wasi()).unwrap(),
            Kind::File | Kind::End => {
                let file = self.guest.open("source", NONE, READ).unwrap();
                descriptor::read_via_stream(self.wasi(), file.borrow(), 0).unwrap().unwrap()
            }
            Kind::Pipe => {
                let name = self.pipe();
                // Else the guest might find a pipe that nobody has written to, which is at its end.
                let path = self.sandbox.inside(&name);
                let mut end = OpenOptions::new().read(true).write(true).open(path).unwrap();
                let file = self.guest.open(&name, NONE, READ).unwrap();
                std::thread::spawn(move || end.write_all(&data()));
                descriptor::read_via_stream(self.wasi(), file.borrow(), 0).unwrap().unwrap()
            }
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let (_, input, _) = self.connect(listener.local_addr().unwrap());
                let (mut peer, _) = listener.accept().unwrap();
                std::thread::spawn(move || peer.write_all(&data()));
                input
            }
            Kind::Body => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap().to_string();
                std::thread::spawn(move || {
                    let (mut peer, _) = listener.accept().unwrap();
                    until(&mut peer, b"\r\n\r\n");
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", data().len());
                    peer.write_all(head.as_bytes()).and_then(|()| peer.write_all(&data()))
                });
                let wasi = self.wasi();
                let request = request(wasi, &address, "/", &[]);
                let response = send(wasi, request).unwrap();
                let body = incoming_response::consume(wasi, response.borrow()).unwrap().unwrap();
                incoming_body::stream(wasi, body.borrow()).unwrap().unwrap()
            }
        }
    }

    pub(crate) fn connect(
        &mut self,
        to: SocketAddr,
    ) -> (Own<TcpSocket>, Own<InputStream>, Own<OutputStream>) {
        let wasi = self.wasi();
        let network = instance_network(wasi).unwrap();
        let socket = create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
        tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), to.into()).unwrap().unwrap();
        let pollable = tcp_socket::subscribe(wasi, socket.borrow()).unwrap();
        poll::block(wasi, pollable.borrow()).unwrap();
        let (input, output) = tcp_socket::finish_connect(wasi, socket.borrow()).unwrap().unwrap();
        (socket, input, output)
    }

    /// A stream, and what has come out of it in the end.
    pub(crate) fn sink(&mut self, kind: Kind) -> (Own<OutputStream>, Arrived) {
        match kind {
            Kind::Memory => {
                let stream = get_stdout(self.wasi()).unwrap();
                (stream, Box::new(|fixture| fixture.output.contents()))
            }
            Kind::File | Kind::End => {
                let file = self.guest.open("sink", CREATE, WRITE).unwrap();
                let stream = match kind {
                    Kind::File => descriptor::write_via_stream(self.wasi(), file.borrow(), 0),
                    _ => descriptor::append_via_stream(self.wasi(), file.borrow()),
                };
                let arrived: Arrived = Box::new(|fixture| fs::read(fixture.sandbox.inside("sink")).unwrap());
                (stream.unwrap().unwrap(), arrived)
            }
            Kind::Pipe => {
                let name = self.pipe();
                let path = self.sandbox.inside(&name);
                let reader = std::thread::spawn(move || fs::read(path).unwrap());
                let file = self.guest.open(&name, NONE, WRITE).unwrap();
                let stream = descriptor::write_via_stream(self.wasi(), file.borrow(), 0).unwrap().unwrap();
                let arrived = move |fixture: &mut Self| {
                    fixture.wasi().resource_drop(file).unwrap();
                    reader.join().unwrap()
                };
                (stream, Box::new(arrived))
            }
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let (socket, _, output) = self.connect(listener.local_addr().unwrap());
                let reader = std::thread::spawn(move || {
                    let mut all = Vec::new();
                    listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
                    all
                });
                let arrived = move |fixture: &mut Self| {
                    let ended = tcp_socket::shutdown(fixture.wasi(), socket.borrow(), ShutdownType::Send);
                    ended.unwrap().unwrap();
                    reader.join().unwrap()
                };
                (output, Box::new(arrived))
            }
            Kind::Body => {
                let (body, stream, server) = self.upload();
                let arrived = move |fixture: &mut Self| {
                    outgoing_body::finish(fixture.wasi(), body, None).unwrap().unwrap();
                    server.join().unwrap()
                };
                (stream, Box::new(arrived))
            }
        }
    }

    /// A request whose body a server reads, and gives when it ends.
    pub(crate) fn upload(&mut self) -> (Own<OutgoingBody>, Own<OutputStream>, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let all = until(&mut peer, b"\r\n0\r\n\r\n");
            let _ = peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            let head = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            unchunked(&all[head..])
        });
        let wasi = self.wasi();
        let request = request(wasi, &address, "/", &[]);
        outgoing_request::set_method(wasi, request.borrow(), Method::Post).unwrap().unwrap();
        let body = outgoing_request::body(wasi, request.borrow()).unwrap().unwrap();
        handle(wasi, request, None).unwrap().unwrap();
        let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
        (body, stream, server)
    }

    /// Splices until the source is at its end; how much each call moved.
    fn all(&mut self, from: &Own<InputStream>, to: &Own<OutputStream>, waits: bool) -> Vec<u64> {
        let mut moved = Vec::new();
        let wasi = self.wasi();
        loop {
            let result = match waits {
                true => output_stream::blocking_splice(wasi, to.borrow(), from.borrow(), u64::MAX),
                false => output_stream::splice(wasi, to.borrow(), from.borrow(), u64::MAX),
            };
            match result.unwrap() {
                Ok(0) => {
                    assert!(!waits, "a byte at least");
                    let (arrives, room) = (
                        input_stream::subscribe(wasi, from.borrow()).unwrap(),
                        output_stream::subscribe(wasi, to.borrow()).unwrap(),
                    );
                    poll::block(wasi, arrives.borrow()).unwrap();
                    poll::block(wasi, room.borrow()).unwrap();
                    wasi.resource_drop(arrives).unwrap();
                    wasi.resource_drop(room).unwrap();
                }
                Ok(bytes) => moved.push(bytes),
                Err(StreamError::Closed) => return moved,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// Reads up to these bytes.
fn until(peer: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    while !all.ends_with(end) {
        let read = peer.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "it ended too early");
        all.extend_from_slice(&bytes[..read]);
    }
    all
}

/// What a body was before it was cut into chunks.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let line = bytes.windows(2).position(|end| end == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if len == 0 {
            return all;
        }
        all.extend_from_slice(&bytes[line + 2..line + 2 + len]);
        bytes = &bytes[line + 2 + len + 2..];
    }
}

fn everything_arrives(waits: bool) {
    for from in SOURCES {
        for to in SINKS {
            let mut fixture = Fixture::new();
            let source = fixture.source(from);
            let (sink, arrived) = fixture.sink(to);
            let moved = fixture.all(&source, &sink, waits);
            assert_eq!(moved.iter().sum::<u64>(), data().len() as u64, "{from:?} to {to:?}");
            assert!(moved.iter().all(|bytes| *bytes <= CHUNK as u64), "{from:?} to {to:?}: {moved:?}");
            fixture.wasi().resource_drop(source).unwrap();
            fixture.wasi().resource_drop(sink).unwrap();
            assert!(arrived(&mut fixture) == data(), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn blocking_splice_brings_every_kind_of_stream_into_every_other() {
    everything_arrives(true);
}

#[test]
fn splice_and_poll_bring_every_kind_of_stream_into_every_other() {
    everything_arrives(false);
}

#[test]
fn a_splice_of_nothing_takes_nothing() {
    for from in SOURCES {
        for to in SINKS {
            let mut fixture = Fixture::new();
            let source = fixture.source(from);
            let (sink, _) = fixture.sink(to);
            let wasi = fixture.wasi();
            let splice = output_stream::splice(wasi, sink.borrow(), source.borrow(), 0).unwrap();
            let blocking = output_stream::blocking_splice(wasi, sink.borrow(), source.borrow(), 0).unwrap();
            assert_eq!((splice, blocking), (Ok(0), Ok(0)), "{from:?} to {to:?}");
            let first = input_stream::blocking_read(wasi, source.borrow(), 3).unwrap().unwrap();
            assert_eq!(first, data()[..first.len()], "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_length_is_kept_to_the_byte() {
    for from in SOURCES {
        let mut fixture = Fixture::new();
        let source = fixture.source(from);
        let (sink, arrived) = fixture.sink(Kind::Memory);
        let mut whole = 0;
        while whole < 1000 {
            let wasi = fixture.wasi();
            let left = 1000 - whole;
            whole +=
                output_stream::blocking_splice(wasi, sink.borrow(), source.borrow(), left).unwrap().unwrap();
        }
        assert_eq!(arrived(&mut fixture), data()[..1000], "{from:?}");
    }
}

/// A sink that is closed: each kind in its own way.
fn closed(fixture: &mut Fixture, kind: Kind) -> Own<OutputStream> {
    match kind {
        Kind::Memory => unreachable!("its limit is a matter of streams.rs"),
        Kind::File | Kind::End => {
            // No file is as long as that.
            let file = fixture.guest.open("sink", CREATE, WRITE).unwrap();
            let stream = descriptor::write_via_stream(fixture.wasi(), file.borrow(), u64::MAX - 1);
            let stream = stream.unwrap().unwrap();
            let failed = output_stream::blocking_write_and_flush(fixture.wasi(), stream.borrow(), vec![0]);
            assert!(matches!(failed.unwrap(), Err(StreamError::LastOperationFailed(_))));
            stream
        }
        Kind::Pipe => {
            let name = fixture.pipe();
            let reader =
                OpenOptions::new().read(true).write(true).open(fixture.sandbox.inside(&name)).unwrap();
            let file = fixture.guest.open(&name, NONE, WRITE).unwrap();
            let stream = descriptor::write_via_stream(fixture.wasi(), file.borrow(), 0).unwrap().unwrap();
            drop(reader);
            let failed = output_stream::blocking_write_and_flush(fixture.wasi(), stream.borrow(), vec![0]);
            assert_eq!(failed.unwrap(), Err(StreamError::Closed));
            stream
        }
        Kind::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (socket, _, output) = fixture.connect(listener.local_addr().unwrap());
            tcp_socket::shutdown(fixture.wasi(), socket.borrow(), ShutdownType::Send).unwrap().unwrap();
            output
        }
        Kind::Body => {
            let (body, stream, _) = fixture.upload();
            fixture.wasi().resource_drop(body).unwrap();
            stream
        }
    }
}

#[test]
fn a_sink_that_is_closed_takes_nothing_from_the_source() {
    for from in SOURCES {
        for to in [Kind::File, Kind::Pipe, Kind::Tcp, Kind::Body] {
            let mut fixture = Fixture::new();
            let source = fixture.source(from);
            let sink = closed(&mut fixture, to);
            let wasi = fixture.wasi();
            for waits in [false, true] {
                let result = match waits {
                    true => output_stream::blocking_splice(wasi, sink.borrow(), source.borrow(), 10),
                    false => output_stream::splice(wasi, sink.borrow(), source.borrow(), 10),
                };
                assert_eq!(result.unwrap(), Err(StreamError::Closed), "{from:?} to {to:?}");
            }
            let first = input_stream::blocking_read(wasi, source.borrow(), 3).unwrap().unwrap();
            assert_eq!(first, data()[..first.len()], "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_file_can_be_spliced_into_itself() {
    let mut fixture = Fixture::new();
    fs::write(fixture.sandbox.inside("same"), "0123456789").unwrap();
    let file = fixture.guest.open("same", NONE, READ | WRITE).unwrap();
    let wasi = fixture.wasi();
    let from = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    let to = descriptor::append_via_stream(wasi, file.borrow()).unwrap().unwrap();
    // What is appended is there to be read; no call runs after its own tail.
    for _ in 0..3 {
        assert_eq!(output_stream::splice(wasi, to.borrow(), from.borrow(), u64::MAX).unwrap(), Ok(10));
    }
    assert_eq!(fs::read_to_string(fixture.sandbox.inside("same")).unwrap(), "0123456789".repeat(4));
    // A step ahead of itself, in one call.
    let wasi = fixture.wasi();
    descriptor::set_size(wasi, file.borrow(), 10).unwrap().unwrap();
    let from = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    let to = descriptor::write_via_stream(wasi, file.borrow(), 4).unwrap().unwrap();
    assert_eq!(output_stream::blocking_splice(wasi, to.borrow(), from.borrow(), u64::MAX).unwrap(), Ok(10));
    assert_eq!(fs::read_to_string(fixture.sandbox.inside("same")).unwrap(), "01230123456789");
}

// Class G: a source without an end, a sink that nobody empties.
#[test]
fn a_peer_that_does_not_read_is_sent_no_more_than_the_system_and_one_permit_hold() {
    let mut fixture = Fixture::new();
    let endless = fs::File::create(fixture.sandbox.inside("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    for kind in [Kind::Tcp, Kind::Body] {
        let file = fixture.guest.open("endless", NONE, READ).unwrap();
        let source = descriptor::read_via_stream(fixture.wasi(), file.borrow(), 0).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sink = match kind {
            Kind::Tcp => fixture.connect(address).2,
            _ => {
                let wasi = fixture.wasi();
                let request = request(wasi, &address.to_string(), "/", &[]);
                outgoing_request::set_method(wasi, request.borrow(), Method::Post).unwrap().unwrap();
                let body = outgoing_request::body(wasi, request.borrow()).unwrap().unwrap();
                let future = handle(wasi, request, None).unwrap().unwrap();
                let _ = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
                outgoing_body::write(wasi, body.borrow()).unwrap().unwrap()
            }
        };
        let (mut moved, mut idle) = (0, 0);
        let wasi = fixture.wasi();
        // The system may take a little more after a while.
        while idle < 20 {
            match output_stream::splice(wasi, sink.borrow(), source.borrow(), u64::MAX).unwrap().unwrap() {
                0 => {
                    idle += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                bytes => {
                    assert!(bytes <= PERMIT);
                    (moved, idle) = (moved + bytes, 0);
                }
            }
            assert!(moved < 64 << 20, "{kind:?}: {moved} bytes that nobody read");
        }
        // What was permitted for a splice is not there for a write as well.
        let message = trap(output_stream::write(wasi, sink.borrow(), vec![0]));
        assert!(message.contains("permitted 0"), "{message}");
        // It would have to wait, and says so instead of being ready for ever.
        let room = output_stream::subscribe(wasi, sink.borrow()).unwrap();
        assert_eq!(poll::ready(wasi, room.borrow()), Ok(false), "{kind:?}");
        // The source stands where the last byte was taken.
        let there = input_stream::skip(wasi, source.borrow(), u64::MAX).unwrap();
        assert_eq!(there, Ok((1 << 40) - moved), "{kind:?}");
    }
    assert_eq!(fixture.input.left(), data().len());
}
