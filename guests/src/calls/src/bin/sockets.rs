//! `wasi:sockets`: a guest that talks to itself over the loopback, which is granted, and so are all names.

use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

const SECOND: u64 = 1_000_000_000;

fn main() {
    let network = instance_network();
    options(&network);
    tcp(&network);
    udp(&network);
    names(&network);
}

fn v4(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) }) => port,
        other => panic!("{other:?}"),
    }
}

/// Sets what must be more than nothing; what is read afterwards is at least that.
macro_rules! option {
    ($socket:ident $get:ident $set:ident $value:expr) => {
        assert_eq!($socket.$set(0), Err(ErrorCode::InvalidArgument));
        $socket.$set($value).unwrap();
        assert!($socket.$get().unwrap() >= $value, concat!(stringify!($get), " {}"), $socket.$get().unwrap());
    };
}

fn options(network: &Network) {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    assert!(matches!(socket.address_family(), IpAddressFamily::Ipv4));
    assert_eq!(socket.keep_alive_enabled(), Ok(false));
    socket.set_keep_alive_enabled(true).unwrap();
    assert_eq!(socket.keep_alive_enabled(), Ok(true));
    option!(socket keep_alive_idle_time set_keep_alive_idle_time 30 * SECOND);
    option!(socket keep_alive_interval set_keep_alive_interval 5 * SECOND);
    option!(socket keep_alive_count set_keep_alive_count 4);
    option!(socket hop_limit set_hop_limit 42);
    option!(socket receive_buffer_size set_receive_buffer_size 16_384);
    option!(socket send_buffer_size set_send_buffer_size 16_384);
    option!(socket hop_limit set_hop_limit 42);
    assert_eq!(socket.set_listen_backlog_size(0), Err(ErrorCode::InvalidArgument));
    socket.set_listen_backlog_size(8).unwrap();
    // The wrong family, and what cannot be done yet.
    let v6 = IpSocketAddress::Ipv6(Ipv6SocketAddress { port: 0, flow_info: 0, address: (0, 0, 0, 0, 0, 0, 0, 1), scope_id: 0 });
    assert_eq!(socket.start_bind(network, v6), Err(ErrorCode::InvalidArgument));
    assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.start_listen(), Err(ErrorCode::InvalidState));
    assert_eq!(socket.finish_listen(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.finish_connect().err(), Some(ErrorCode::NotInProgress));
    assert_eq!(socket.accept().err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.local_address().err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.remote_address().err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.shutdown(ShutdownType::Both), Err(ErrorCode::InvalidState));

    let socket = create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    assert!(matches!(socket.address_family(), IpAddressFamily::Ipv4));
    option!(socket unicast_hop_limit set_unicast_hop_limit 42);
    option!(socket receive_buffer_size set_receive_buffer_size 16_384);
    option!(socket send_buffer_size set_send_buffer_size 16_384);
    assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.stream(None).err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.local_address().err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.remote_address().err(), Some(ErrorCode::InvalidState));
}

/// A socket that is connected to this address, and its streams.
fn connect(network: &Network, to: IpSocketAddress) -> (TcpSocket, InputStream, OutputStream) {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let settled = socket.subscribe();
    socket.start_connect(network, to).unwrap();
    let (input, output) = loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => settled.block(),
            done => break done.unwrap(),
        }
    };
    (socket, input, output)
}

fn tcp(network: &Network) {
    let listener = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    listener.start_bind(network, v4(0)).unwrap();
    assert_eq!(listener.start_listen(), Err(ErrorCode::ConcurrencyConflict));
    listener.finish_bind().unwrap();
    assert!(!listener.is_listening());
    listener.start_listen().unwrap();
    listener.finish_listen().unwrap();
    assert!(listener.is_listening());
    let address = listener.local_address().unwrap();
    assert_ne!(port(address), 0);
    assert_eq!(listener.accept().err(), Some(ErrorCode::WouldBlock));
    let asked = listener.subscribe();
    assert!(!asked.ready());

    let (client, from_server, to_server) = connect(network, address);
    asked.block();
    let (server, from_client, to_client) = listener.accept().unwrap();
    assert_eq!(port(client.remote_address().unwrap()), port(address));
    assert_eq!(port(client.local_address().unwrap()), port(server.remote_address().unwrap()));
    assert_eq!(port(server.local_address().unwrap()), port(address));
    assert!(!client.is_listening());

    // Every call of a stream, over a connection.
    let arrives = from_client.subscribe();
    assert_eq!(from_client.read(10).unwrap(), b"");
    assert!(!arrives.ready());
    to_server.subscribe().block();
    assert!(to_server.check_write().unwrap() >= 4096);
    to_server.write(b"ping").unwrap();
    to_server.blocking_flush().unwrap();
    assert_eq!(poll(&[&asked, &arrives]), [1]);
    assert_eq!(from_client.blocking_read(2).unwrap(), b"pi");
    assert_eq!(from_client.skip(1).unwrap(), 1);
    // Echo the rest without looking at it.
    assert_eq!(to_client.blocking_splice(&from_client, u64::MAX).unwrap(), 1);
    assert_eq!(to_client.splice(&from_client, u64::MAX).unwrap(), 0, "nothing there yet");
    assert_eq!(from_server.blocking_read(10).unwrap(), b"g");
    to_client.blocking_write_zeroes_and_flush(3).unwrap();
    assert_eq!(from_server.blocking_skip(3).unwrap(), 3);

    // One half ends, the other goes on; then both.
    client.shutdown(ShutdownType::Send).unwrap();
    assert!(matches!(to_server.blocking_write_and_flush(b"x"), Err(StreamError::Closed)));
    assert!(matches!(from_client.blocking_read(1), Err(StreamError::Closed)));
    to_client.blocking_write_and_flush(b"bye").unwrap();
    assert_eq!(from_server.blocking_read(10).unwrap(), b"bye");
    server.shutdown(ShutdownType::Both).unwrap();
    assert!(matches!(from_server.blocking_read(1), Err(StreamError::Closed)));
    client.shutdown(ShutdownType::Receive).unwrap();

    // Nobody listens there any more.
    drop((asked, arrives));
    drop((from_client, to_client));
    drop((server, listener));
    let refused = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    refused.start_connect(network, address).unwrap();
    let error = loop {
        match refused.finish_connect() {
            Err(ErrorCode::WouldBlock) => refused.subscribe().block(),
            done => break done.err(),
        }
    };
    assert_eq!(error, Some(ErrorCode::ConnectionRefused));
}

fn bound(network: &Network) -> UdpSocket {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    socket.start_bind(network, v4(0)).unwrap();
    socket.finish_bind().unwrap();
    socket.subscribe().block();
    socket
}

fn receive(from: &IncomingDatagramStream) -> Vec<(Vec<u8>, u16)> {
    let arrives = from.subscribe();
    loop {
        let datagrams = from.receive(10).unwrap();
        if !datagrams.is_empty() {
            return datagrams.into_iter().map(|one| (one.data, port(one.remote_address))).collect();
        }
        arrives.block();
    }
}

fn udp(network: &Network) {
    let (one, other) = (bound(network), bound(network));
    let (here, there) = (one.local_address().unwrap(), other.local_address().unwrap());
    let (from_other, to_other) = one.stream(None).unwrap();
    assert_eq!(one.remote_address().err(), Some(ErrorCode::InvalidState), "it is with everybody");
    let (from_one, to_one) = other.stream(Some(here)).unwrap();
    assert_eq!(port(other.remote_address().unwrap()), port(here));

    assert_eq!(from_one.receive(0).unwrap().len(), 0);
    to_other.subscribe().block();
    assert!(to_other.check_send().unwrap() >= 1);
    let hello = OutgoingDatagram { data: b"hello".to_vec(), remote_address: Some(there) };
    assert_eq!(to_other.send(&[hello]), Ok(1));
    assert_eq!(receive(&from_one), [(b"hello".to_vec(), port(here))]);
    assert!(to_one.check_send().unwrap() >= 2);
    let parts = [&b""[..], b"back"].map(|data| OutgoingDatagram { data: data.to_vec(), remote_address: None });
    assert_eq!(to_one.send(&parts), Ok(2));
    let mut got = receive(&from_other);
    if got.len() == 1 {
        got.extend(receive(&from_other));
    }
    assert_eq!(got, [(vec![], port(there)), (b"back".to_vec(), port(there))]);
    // To whom?
    to_other.check_send().unwrap();
    let nobody = OutgoingDatagram { data: vec![], remote_address: None };
    assert_eq!(to_other.send(&[nobody]), Err(ErrorCode::InvalidArgument));
}

fn names(network: &Network) {
    let first = |name: &str| {
        let stream = resolve_addresses(network, name).unwrap();
        let settled = stream.subscribe();
        loop {
            match stream.resolve_next_address() {
                Err(ErrorCode::WouldBlock) => settled.block(),
                done => return done.map(Option::unwrap),
            }
        }
    };
    assert!(matches!(first("127.0.0.1"), Ok(IpAddress::Ipv4((127, 0, 0, 1)))));
    match first("localhost") {
        Ok(IpAddress::Ipv4((127, 0, 0, 1)) | IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 1))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(resolve_addresses(network, "no name").err(), Some(ErrorCode::InvalidArgument));
}
