//! `sock_*` over a socket that the host has granted.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::Errno;

use crate::guest::{DATA, Guest, NONBLOCK, OUT};

#[test]
fn a_granted_socket_accepts_and_connections_carry_bytes_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Guest::of(Wasi::builder().listener(listener).unwrap().build());
    let accept = |guest: &mut Guest| guest.call("sock_accept", &[3, NONBLOCK.into(), OUT.into()]);
    assert_eq!(guest.call("fd_fdstat_set_flags", &[3, NONBLOCK.into()]), Errno::Success);
    assert_eq!(accept(&mut guest), Errno::Again);
    assert_eq!(guest.call("fd_fdstat_set_flags", &[3, 0]), Errno::Success);
    let mut peer = TcpStream::connect(address).unwrap();
    assert_eq!(accept(&mut guest), Errno::Success);
    let connection = u64::from(guest.u32(OUT));
    assert_eq!(connection, 4);
    assert_eq!(guest.call("fd_fdstat_get", &[connection, OUT.into()]), Errno::Success);
    assert_eq!(guest.read(OUT, 1), [6], "a stream socket");
    let [at, len] = guest.iovec(16);
    let recv = |guest: &mut Guest, flags: u64| {
        guest.call("sock_recv", &[connection, at, len, flags, OUT.into(), (OUT + 8).into()])
    };
    assert_eq!(recv(&mut guest, 0), Errno::Again);
    assert_eq!(guest.call("fd_fdstat_set_flags", &[connection, 0]), Errno::Success);
    peer.write_all(b"ping").unwrap();
    for flags in [1, 0] {
        assert_eq!(recv(&mut guest, flags), Errno::Success, "peeked at, then taken");
        assert_eq!(guest.u32(OUT), 4);
        assert_eq!(guest.read(DATA, 4), b"ping");
        assert_eq!(guest.read(OUT + 8, 2), [0, 0]);
    }
    assert_eq!(recv(&mut guest, 4), Errno::Inval);
    let [at, len] = guest.iovecs(&[(DATA, 2), (DATA + 2, 2)]);
    assert_eq!(guest.call("sock_send", &[connection, at, len, 0, OUT.into()]), Errno::Success);
    assert_eq!(guest.call("sock_send", &[connection, at, len, 1, OUT.into()]), Errno::Inval);
    assert_eq!(guest.write_fd(connection as u32, b"pong"), Ok(4), "as a file");
    assert_eq!(guest.call("sock_shutdown", &[connection, 0]), Errno::Inval);
    assert_eq!(guest.call("sock_shutdown", &[connection, 2]), Errno::Success);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"pingpong");
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.read_fd(connection as u32, 4), Ok(Vec::new()), "the end");
    assert_eq!(guest.write_fd(connection as u32, b"late"), Err(Errno::Pipe));
    assert_eq!(guest.close(connection as u32), Errno::Success);
    assert_eq!(guest.call("sock_shutdown", &[connection, 2]), Errno::BadF);
}

#[test]
fn what_is_no_socket_says_so() {
    let mut guest = Guest::of(Wasi::builder().build());
    assert_eq!(guest.call("sock_accept", &[0, 0, OUT.into()]), Errno::NotSock);
    assert_eq!(guest.call("sock_recv", &[1, 0, 0, 0, OUT.into(), OUT.into()]), Errno::NotSock);
    assert_eq!(guest.call("sock_send", &[1, 0, 0, 0, OUT.into()]), Errno::NotSock);
    assert_eq!(guest.call("sock_shutdown", &[77, 1]), Errno::BadF);
}
