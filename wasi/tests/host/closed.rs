//! A closed stream is closed to calls of every length, of every kind of stream; an open one gives nothing to a call that asks
//! for nothing, and does not wait for it.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpListener;

use mini_wasm_wasi::cli::{stdin::get_stdin, stdout::get_stdout};
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::http::types::outgoing_body;
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::{InputStream, OutputStream, StreamError, input_stream, output_stream};
use mini_wasm_wasi::sockets::tcp::{ShutdownType, tcp_socket};
use mini_wasm_wasi::{MemoryOutput, Output, Own, Wasi};

use crate::sandbox::{CREATE, NONE, READ, WRITE};
use crate::splice::{Fixture, Kind, SINKS, SOURCES};

fn all_open<T: Copy>(nothing: T) -> Vec<Result<T, StreamError>> {
    (0..6).map(|_| Ok(nothing)).collect()
}

fn all_closed<T>() -> Vec<Result<T, StreamError>> {
    (0..6).map(|_| Err(StreamError::Closed)).collect()
}

/// What each call for nothing says of a stream: an empty result, or closed.
fn nothing(
    wasi: &mut Wasi,
    stream: &Own<InputStream>,
    sink: &Own<OutputStream>,
) -> Vec<Result<u64, StreamError>> {
    let of = || stream.borrow();
    let len = |bytes: Vec<u8>| bytes.len() as u64;
    vec![
        input_stream::read(wasi, of(), 0).unwrap().map(len),
        input_stream::blocking_read(wasi, of(), 0).unwrap().map(len),
        input_stream::skip(wasi, of(), 0).unwrap(),
        input_stream::blocking_skip(wasi, of(), 0).unwrap(),
        output_stream::splice(wasi, sink.borrow(), of(), 0).unwrap(),
        output_stream::blocking_splice(wasi, sink.borrow(), of(), 0).unwrap(),
    ]
}

fn to_its_end(wasi: &mut Wasi, stream: &Own<InputStream>) {
    while input_stream::blocking_read(wasi, stream.borrow(), u64::MAX).unwrap().is_ok() {}
}

#[test]
fn an_input_stream_of_any_kind_is_closed_to_calls_for_nothing_once_its_end_was_told() {
    for kind in SOURCES {
        let mut fixture = Fixture::new();
        let sink = get_stdout(fixture.wasi()).unwrap();
        let stream = fixture.source(kind);
        let wasi = fixture.wasi();
        assert_eq!(nothing(wasi, &stream, &sink), all_open(0), "{kind:?} is open");
        input_stream::blocking_read(wasi, stream.borrow(), 10).unwrap().unwrap();
        assert_eq!(nothing(wasi, &stream, &sink), all_open(0), "{kind:?} is open");
        to_its_end(wasi, &stream);
        assert_eq!(nothing(wasi, &stream, &sink), all_closed(), "{kind:?}");
        let again = input_stream::blocking_read(wasi, stream.borrow(), 10).unwrap();
        assert_eq!(again, Err(StreamError::Closed), "{kind:?}");
        let ready = input_stream::subscribe(wasi, stream.borrow()).unwrap();
        assert_eq!(poll::ready(wasi, ready.borrow()), Ok(true), "{kind:?}");
    }
}

#[test]
fn an_input_that_was_never_given_is_closed_from_the_start() {
    let mut wasi = Wasi::builder().build();
    let (stream, sink) = (get_stdin(&mut wasi).unwrap(), get_stdout(&mut wasi).unwrap());
    assert_eq!(nothing(&mut wasi, &stream, &sink), all_closed());
}

#[test]
fn after_a_failure_nothing_is_tried_again() {
    let mut fixture = Fixture::new();
    let file = fixture.guest.open("source", NONE, READ).unwrap();
    let wasi = fixture.wasi();
    let sink = get_stdout(wasi).unwrap();
    // No offset that the system takes.
    let stream = descriptor::read_via_stream(wasi, file.borrow(), u64::MAX).unwrap().unwrap();
    let first = input_stream::read(wasi, stream.borrow(), 1).unwrap();
    assert!(matches!(first, Err(StreamError::LastOperationFailed(_))), "{first:?}");
    let second = input_stream::blocking_read(wasi, stream.borrow(), 1).unwrap();
    assert_eq!(second, Err(StreamError::Closed));
    assert_eq!(nothing(wasi, &stream, &sink), all_closed());
}

#[test]
fn a_file_that_grows_goes_on_after_its_end() {
    let mut fixture = Fixture::new();
    let file = fixture.guest.open("log", CREATE, READ | WRITE).unwrap();
    let wasi = fixture.wasi();
    let stream = descriptor::read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    assert_eq!(input_stream::read(wasi, stream.borrow(), 9).unwrap(), Err(StreamError::Closed));
    assert_eq!(descriptor::write(wasi, file.borrow(), b"more".to_vec(), 0).unwrap(), Ok(4));
    assert_eq!(input_stream::read(wasi, stream.borrow(), 9).unwrap(), Ok(b"more".to_vec()));
    assert_eq!(input_stream::read(wasi, stream.borrow(), 0).unwrap(), Ok(Vec::new()), "open again");
}

/// What each call that would write nothing says of a stream.
fn empty_writes(
    wasi: &mut Wasi,
    stream: &Own<OutputStream>,
    source: &Own<InputStream>,
) -> Vec<Result<(), StreamError>> {
    let to = || stream.borrow();
    vec![
        output_stream::write(wasi, to(), Vec::new()).unwrap(),
        output_stream::blocking_write_and_flush(wasi, to(), Vec::new()).unwrap(),
        output_stream::write_zeroes(wasi, to(), 0).unwrap(),
        output_stream::blocking_write_zeroes_and_flush(wasi, to(), 0).unwrap(),
        output_stream::splice(wasi, to(), source.borrow(), 0).unwrap().map(|_| ()),
        output_stream::blocking_splice(wasi, to(), source.borrow(), 0).unwrap().map(|_| ()),
    ]
}

/// What closes a stream.
type Close = Box<dyn FnOnce(&mut Fixture, &Own<OutputStream>)>;

#[test]
fn an_output_stream_of_any_kind_is_closed_to_empty_writes_once_it_is_closed() {
    for kind in SINKS {
        let mut fixture = Fixture::new();
        let source = fixture.source(Kind::File);
        // Closed by what each kind knows: an end that the guest asks for, a reader that has gone, memory that is full, an
        // offset that no file has.
        let (stream, close): (_, Close) = match kind {
            Kind::Memory => {
                let small = Wasi::builder().stdout(Output::Memory(MemoryOutput::new(3))).build();
                let files = std::mem::replace(&mut fixture.guest.wasi, small);
                drop(files);
                (get_stdout(fixture.wasi()).unwrap(), Box::new(too_much))
            }
            Kind::File | Kind::End => {
                let file = fixture.guest.open("limited", CREATE, WRITE).unwrap();
                let wasi = fixture.wasi();
                let stream =
                    descriptor::write_via_stream(wasi, file.borrow(), i64::MAX as u64).unwrap().unwrap();
                (stream, Box::new(too_much))
            }
            Kind::Pipe => {
                let name = fixture.pipe();
                let path = fixture.sandbox.inside(&name);
                let reader = OpenOptions::new().read(true).write(true).open(path).unwrap();
                let file = fixture.guest.open(&name, NONE, WRITE).unwrap();
                let stream = descriptor::write_via_stream(fixture.wasi(), file.borrow(), 0).unwrap().unwrap();
                let close = move |fixture: &mut Fixture, stream: &Own<OutputStream>| {
                    drop(reader);
                    too_much(fixture, stream);
                };
                (stream, Box::new(close))
            }
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let (socket, _, output) = fixture.connect(listener.local_addr().unwrap());
                let close = move |fixture: &mut Fixture, _: &Own<OutputStream>| {
                    let end = tcp_socket::shutdown(fixture.wasi(), socket.borrow(), ShutdownType::Send);
                    assert_eq!(end.unwrap(), Ok(()));
                };
                (output, Box::new(close))
            }
            Kind::Body => {
                let (body, stream, _) = fixture.upload();
                let close = move |fixture: &mut Fixture, _: &Own<OutputStream>| {
                    outgoing_body::finish(fixture.wasi(), body, None).unwrap().unwrap();
                };
                (stream, Box::new(close))
            }
        };
        let source = if kind == Kind::Memory { get_stdin(fixture.wasi()).unwrap() } else { source };
        if kind != Kind::Memory {
            assert_eq!(empty_writes(fixture.wasi(), &stream, &source), all_open(()), "{kind:?} is open");
        }
        close(&mut fixture, &stream);
        let wasi = fixture.wasi();
        assert_eq!(empty_writes(wasi, &stream, &source), all_closed(), "{kind:?}");
        assert_eq!(output_stream::check_write(wasi, stream.borrow()).unwrap(), Err(StreamError::Closed));
        assert_eq!(
            output_stream::flush(wasi, stream.borrow()).unwrap(),
            Err(StreamError::Closed),
            "{kind:?}"
        );
        assert_eq!(output_stream::blocking_flush(wasi, stream.borrow()).unwrap(), Err(StreamError::Closed));
        let ready = output_stream::subscribe(wasi, stream.borrow()).unwrap();
        assert_eq!(poll::ready(wasi, ready.borrow()), Ok(true), "{kind:?}");
    }
}

/// Writes more than fits.
fn too_much(fixture: &mut Fixture, stream: &Own<OutputStream>) {
    let written =
        output_stream::blocking_write_and_flush(fixture.wasi(), stream.borrow(), vec![1; 10]).unwrap();
    assert!(written.is_err());
}

#[test]
fn what_is_queued_and_what_arrives_is_thrown_away_once_it_is_not_to_be_received() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fixture = Fixture::new();
    let (socket, input, output) = fixture.connect(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"stale").unwrap();
    let wasi = fixture.wasi();
    let arrives = input_stream::subscribe(wasi, input.borrow()).unwrap();
    poll::block(wasi, arrives.borrow()).unwrap();
    assert_eq!(tcp_socket::shutdown(wasi, socket.borrow(), ShutdownType::Receive).unwrap(), Ok(()));
    let sink = get_stdout(wasi).unwrap();
    assert_eq!(nothing(wasi, &input, &sink), all_closed());
    let read = |wasi: &mut Wasi| input_stream::blocking_read(wasi, input.borrow(), 16).unwrap();
    assert_eq!(read(wasi), Err(StreamError::Closed));
    assert_eq!(input_stream::skip(wasi, input.borrow(), 16).unwrap(), Err(StreamError::Closed));
    // More than any buffer holds: as long as the guest does something with the connection, the peer is not held up.
    let sender = std::thread::spawn(move || {
        peer.write_all(&vec![7; 16 << 20]).unwrap();
        peer
    });
    while !sender.is_finished() {
        assert_eq!(
            output_stream::check_write(wasi, output.borrow()).unwrap().map(|permit| permit > 0),
            Ok(true)
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut peer = sender.join().unwrap();
    peer.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    assert_eq!(read(wasi), Err(StreamError::Closed));
    // The other direction is open, and its end arrives as one: not as a reset because of what nobody read.
    output_stream::blocking_write_and_flush(wasi, output.borrow(), b"still".to_vec()).unwrap().unwrap();
    peer.write_all(b"unread").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(fixture);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"still");
}
