//! Sockets between a guest and the test, over the loopback; what is refused without a grant, and what a grant does not cover.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mini_wasm_wasi::clocks::monotonic_clock;
use mini_wasm_wasi::filesystem::types::filesystem_error_code;
use mini_wasm_wasi::io::poll::{self, Pollable};
use mini_wasm_wasi::io::streams::{InputStream, OutputStream, StreamError, input_stream, output_stream};
use mini_wasm_wasi::sockets::instance_network;
use mini_wasm_wasi::sockets::ip_name_lookup::{resolve_address_stream, resolve_addresses};
use mini_wasm_wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Network, network_error_code,
};
use mini_wasm_wasi::sockets::policy;
use mini_wasm_wasi::sockets::tcp::{ShutdownType, TcpSocket, tcp_socket};
use mini_wasm_wasi::sockets::tcp_create_socket::create_tcp_socket;
use mini_wasm_wasi::sockets::udp::{
    OutgoingDatagram, incoming_datagram_stream, outgoing_datagram_stream, udp_socket,
};
use mini_wasm_wasi::sockets::udp_create_socket::create_udp_socket;
use mini_wasm_wasi::{Capability, Own, Stop, Wasi};

use crate::sandbox::trap;

fn granted(rules: &[&str]) -> (Wasi, Own<Network>) {
    let mut network = policy::Network::nothing();
    for rule in rules {
        network.allow(rule.parse().unwrap());
    }
    let mut wasi =
        Wasi::builder().network(network).deadline(Arc::new(Instant::now() + Duration::from_secs(20))).build();
    let network = instance_network::instance_network(&mut wasi).unwrap();
    (wasi, network)
}

fn tcp(wasi: &mut Wasi) -> Own<TcpSocket> {
    create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap()
}

fn at(address: &str) -> IpSocketAddress {
    address.parse::<SocketAddr>().unwrap().into()
}

fn wait(wasi: &mut Wasi, pollable: Own<Pollable>) {
    poll::block(wasi, pollable.borrow()).unwrap();
    wasi.resource_drop(pollable).unwrap();
}

pub(crate) type Connected = (Own<TcpSocket>, Own<InputStream>, Own<OutputStream>);

pub(crate) fn connect(
    wasi: &mut Wasi,
    network: &Own<Network>,
    to: SocketAddr,
) -> Result<Connected, ErrorCode> {
    let socket = tcp(wasi);
    // As wasi-libc does, before there is anything to wait for.
    let pollable = tcp_socket::subscribe(wasi, socket.borrow()).unwrap();
    tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), to.into()).unwrap()?;
    wait(wasi, pollable);
    let (input, output) = tcp_socket::finish_connect(wasi, socket.borrow()).unwrap()?;
    Ok((socket, input, output))
}

#[test]
fn a_guest_connects_sends_receives_and_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&[&address.to_string()]);
    let wasi = &mut wasi;
    let (socket, input, output) = connect(wasi, &network, address).unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    let this = || socket.borrow();
    assert_eq!(tcp_socket::local_address(wasi, this()).unwrap(), Ok(from.into()));
    assert_eq!(tcp_socket::remote_address(wasi, this()).unwrap(), Ok(address.into()));
    assert_eq!(tcp_socket::is_listening(wasi, this()), Ok(false));
    assert_eq!(input_stream::read(wasi, input.borrow(), 10).unwrap(), Ok(Vec::new()), "nothing yet");
    output_stream::blocking_write_and_flush(wasi, output.borrow(), b"ping".to_vec()).unwrap().unwrap();
    let mut bytes = [0; 4];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
    peer.write_all(b"pong").unwrap();
    let pollable = input_stream::subscribe(wasi, input.borrow()).unwrap();
    wait(wasi, pollable);
    assert_eq!(input_stream::read(wasi, input.borrow(), 3).unwrap(), Ok(b"pon".to_vec()));
    assert_eq!(input_stream::blocking_read(wasi, input.borrow(), 9).unwrap(), Ok(b"g".to_vec()));
    assert_eq!(tcp_socket::shutdown(wasi, this(), ShutdownType::Send).unwrap(), Ok(()));
    assert_eq!(peer.read(&mut bytes).unwrap(), 0, "the end");
    let late = output_stream::blocking_write_and_flush(wasi, output.borrow(), b"late".to_vec()).unwrap();
    assert_eq!(late, Err(StreamError::Closed));
    drop(peer);
    assert_eq!(input_stream::blocking_read(wasi, input.borrow(), 9).unwrap(), Err(StreamError::Closed));
}

#[test]
fn what_the_peer_does_not_take_is_kept_permitted_again_later_and_not_lost_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&["127.0.0.1"]);
    let (socket, input, output) = connect(&mut wasi, &network, address).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    // Nobody reads: in the end nothing more is permitted, and nothing has waited.
    let mut sent = fill(&mut wasi, &output);
    let pollable = output_stream::subscribe(&mut wasi, output.borrow()).unwrap();
    assert!(!poll::ready(&mut wasi, pollable.borrow()).unwrap());
    trap(output_stream::write(&mut wasi, output.borrow(), vec![0]));
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all.len()
    });
    wait(&mut wasi, pollable);
    while output_stream::check_write(&mut wasi, output.borrow()).unwrap().unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    output_stream::write(&mut wasi, output.borrow(), vec![8; 65_536]).unwrap().unwrap();
    sent += 65_536;
    // No flush: the end of everything that holds it is enough.
    wasi.resource_drop(input).unwrap();
    wasi.resource_drop(output).unwrap();
    wasi.resource_drop(socket).unwrap();
    assert_eq!(reader.join().unwrap(), sent);
}

/// Writes until nothing more is permitted; how many bytes.
fn fill(wasi: &mut Wasi, output: &Own<OutputStream>) -> usize {
    let mut sent = 0;
    loop {
        let permit = output_stream::check_write(wasi, output.borrow()).unwrap().unwrap();
        if permit == 0 {
            return sent;
        }
        output_stream::write(wasi, output.borrow(), vec![7; permit as usize]).unwrap().unwrap();
        sent += permit as usize;
        assert!(sent < 64 << 20);
    }
}

#[test]
fn a_guest_that_is_over_has_sent_what_it_wrote_unless_its_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for in_time in [true, false] {
        let (mut wasi, network) = granted(&["127.0.0.1"]);
        let (_socket, _input, output) = connect(&mut wasi, &network, address).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let sent = fill(&mut wasi, &output);
        if !in_time {
            wasi.deadline(Arc::new(Instant::now()));
            let begun = Instant::now();
            wasi.finish();
            // It would wait for two seconds.
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all.len()
        });
        if in_time {
            wasi.finish();
            // A program would end its process here, and drop nothing.
            std::mem::forget(wasi);
        }
        let came = reader.join().unwrap();
        assert!(if in_time { came == sent } else { came < sent }, "{came} of {sent}");
    }
}

#[test]
fn a_guest_listens_and_accepts() {
    let (mut wasi, network) = granted(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let socket = tcp(wasi);
    let this = || socket.borrow();
    assert_eq!(tcp_socket::start_listen(wasi, this()).unwrap(), Err(ErrorCode::InvalidState), "not bound");
    assert_eq!(tcp_socket::finish_bind(wasi, this()).unwrap(), Err(ErrorCode::NotInProgress));
    assert_eq!(tcp_socket::local_address(wasi, this()).unwrap(), Err(ErrorCode::InvalidState));
    assert_eq!(tcp_socket::start_bind(wasi, this(), network.borrow(), at("127.0.0.1:0")).unwrap(), Ok(()));
    let again = tcp_socket::start_bind(wasi, this(), network.borrow(), at("127.0.0.1:0")).unwrap();
    assert_eq!(again, Err(ErrorCode::ConcurrencyConflict));
    assert_eq!(tcp_socket::finish_bind(wasi, this()).unwrap(), Ok(()));
    assert_eq!(
        tcp_socket::set_listen_backlog_size(wasi, this(), 0).unwrap(),
        Err(ErrorCode::InvalidArgument)
    );
    assert_eq!(tcp_socket::set_listen_backlog_size(wasi, this(), u64::MAX).unwrap(), Ok(()));
    assert_eq!(tcp_socket::start_listen(wasi, this()).unwrap(), Ok(()));
    assert_eq!(tcp_socket::finish_listen(wasi, this()).unwrap(), Ok(()));
    assert_eq!(tcp_socket::is_listening(wasi, this()), Ok(true));
    assert!(matches!(tcp_socket::accept(wasi, this()).unwrap(), Err(ErrorCode::WouldBlock)));
    let address = SocketAddr::from(tcp_socket::local_address(wasi, this()).unwrap().unwrap());
    let mut peer = TcpStream::connect(address).unwrap();
    let pollable = tcp_socket::subscribe(wasi, this()).unwrap();
    wait(wasi, pollable);
    let (accepted, input, output) = tcp_socket::accept(wasi, this()).unwrap().unwrap();
    peer.write_all(b"hi").unwrap();
    assert_eq!(input_stream::blocking_read(wasi, input.borrow(), 9).unwrap(), Ok(b"hi".to_vec()));
    let spliced = output_stream::blocking_write_zeroes_and_flush(wasi, output.borrow(), 3).unwrap();
    assert_eq!(spliced, Ok(()));
    let mut bytes = [1; 3];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 3]);
    let local = tcp_socket::remote_address(wasi, accepted.borrow()).unwrap();
    assert_eq!(local, Ok(peer.local_addr().unwrap().into()));
}

#[test]
fn options_keep_what_they_are_set_to_and_nothing_is_no_value() {
    let (mut wasi, _) = granted(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let socket = tcp(wasi);
    let this = || socket.borrow();
    assert_eq!(tcp_socket::set_keep_alive_enabled(wasi, this(), true).unwrap(), Ok(()));
    assert_eq!(tcp_socket::keep_alive_enabled(wasi, this()).unwrap(), Ok(true));
    for (value, expected) in
        [(1, 1_000_000_000), (2_500_000_000, 3_000_000_000), (u64::MAX, 32_767_000_000_000)]
    {
        assert_eq!(tcp_socket::set_keep_alive_idle_time(wasi, this(), value).unwrap(), Ok(()));
        assert_eq!(tcp_socket::keep_alive_idle_time(wasi, this()).unwrap(), Ok(expected));
        assert_eq!(tcp_socket::set_keep_alive_interval(wasi, this(), value).unwrap(), Ok(()));
        assert_eq!(tcp_socket::keep_alive_interval(wasi, this()).unwrap(), Ok(expected));
    }
    assert_eq!(tcp_socket::set_keep_alive_count(wasi, this(), 5).unwrap(), Ok(()));
    assert_eq!(tcp_socket::keep_alive_count(wasi, this()).unwrap(), Ok(5));
    assert_eq!(tcp_socket::set_hop_limit(wasi, this(), 42).unwrap(), Ok(()));
    assert_eq!(tcp_socket::hop_limit(wasi, this()).unwrap(), Ok(42));
    assert_eq!(tcp_socket::set_receive_buffer_size(wasi, this(), 16_384).unwrap(), Ok(()));
    assert_eq!(tcp_socket::receive_buffer_size(wasi, this()).unwrap(), Ok(16_384));
    assert_eq!(tcp_socket::set_send_buffer_size(wasi, this(), u64::MAX).unwrap(), Ok(()));
    assert!(tcp_socket::send_buffer_size(wasi, this()).unwrap().unwrap() > 16_384);
    let nothing = Err(ErrorCode::InvalidArgument);
    assert_eq!(tcp_socket::set_keep_alive_idle_time(wasi, this(), 0).unwrap(), nothing);
    assert_eq!(tcp_socket::set_keep_alive_interval(wasi, this(), 0).unwrap(), nothing);
    assert_eq!(tcp_socket::set_keep_alive_count(wasi, this(), 0).unwrap(), nothing);
    assert_eq!(tcp_socket::set_hop_limit(wasi, this(), 0).unwrap(), nothing);
    assert_eq!(tcp_socket::set_receive_buffer_size(wasi, this(), 0).unwrap(), nothing);
    assert_eq!(tcp_socket::address_family(wasi, this()), Ok(IpAddressFamily::Ipv4));
    assert_eq!(tcp_socket::shutdown(wasi, this(), ShutdownType::Both).unwrap(), Err(ErrorCode::InvalidState));
}

#[test]
fn a_refused_connection_says_so_and_the_socket_is_done() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut wasi, network) = granted(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let socket = tcp(wasi);
    tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), address.into()).unwrap().unwrap();
    let pollable = tcp_socket::subscribe(wasi, socket.borrow()).unwrap();
    wait(wasi, pollable);
    let refused = tcp_socket::finish_connect(wasi, socket.borrow()).unwrap();
    assert!(matches!(refused, Err(ErrorCode::ConnectionRefused)));
    let again = tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), address.into()).unwrap();
    assert_eq!(again, Err(ErrorCode::InvalidState));
}

#[test]
fn addresses_that_are_none_of_one_host_are_invalid() {
    let (mut wasi, network) = granted(&["*"]);
    let wasi = &mut wasi;
    let socket = tcp(wasi);
    for address in ["0.0.0.0:80", "224.0.0.1:80", "255.255.255.255:80", "127.0.0.1:0", "[::1]:80"] {
        let connect =
            tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), at(address)).unwrap();
        assert_eq!(connect, Err(ErrorCode::InvalidArgument), "{address}");
    }
    let socket = create_tcp_socket(wasi, IpAddressFamily::Ipv6).unwrap().unwrap();
    for address in ["[::ffff:127.0.0.1]:80", "[ff02::1]:80", "127.0.0.1:80"] {
        let connect =
            tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), at(address)).unwrap();
        assert_eq!(connect, Err(ErrorCode::InvalidArgument), "{address}");
    }
}

// GHSA-hmmr-87qq-258j, GHSA-r9vm-8mq9-73g9: each use is asked for, the implicit ones too.
#[test]
fn a_grant_covers_no_more_than_it_says() {
    let (mut wasi, network) = granted(&["127.0.0.1:9"]);
    let wasi = &mut wasi;
    let denied = Err(ErrorCode::AccessDenied);
    let socket = tcp(wasi);
    for address in ["127.0.0.1:10", "127.0.0.2:9", "10.0.0.1:9"] {
        let connect =
            tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), at(address)).unwrap();
        assert_eq!(connect, denied, "{address}");
        let bind = tcp_socket::start_bind(wasi, socket.borrow(), network.borrow(), at(address)).unwrap();
        assert_eq!(bind, denied, "{address}");
    }
    // What connecting does by itself may be done first; but not listened at.
    assert_eq!(
        tcp_socket::start_bind(wasi, socket.borrow(), network.borrow(), at("0.0.0.0:0")).unwrap(),
        Ok(())
    );
    assert_eq!(tcp_socket::finish_bind(wasi, socket.borrow()).unwrap(), Ok(()));
    assert_eq!(tcp_socket::start_listen(wasi, socket.borrow()).unwrap(), denied);
    let udp = create_udp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    assert!(matches!(udp_socket::stream(wasi, udp.borrow(), None).unwrap(), Err(ErrorCode::InvalidState)));
    assert_eq!(
        udp_socket::start_bind(wasi, udp.borrow(), network.borrow(), at("0.0.0.0:0")).unwrap(),
        Ok(())
    );
    assert_eq!(udp_socket::finish_bind(wasi, udp.borrow()).unwrap(), Ok(()));
    let stream = udp_socket::stream(wasi, udp.borrow(), Some(at("127.0.0.1:10"))).unwrap();
    assert!(matches!(stream, Err(ErrorCode::AccessDenied)));
    let (incoming, outgoing) = udp_socket::stream(wasi, udp.borrow(), None).unwrap().unwrap();
    let port = SocketAddr::from(udp_socket::local_address(wasi, udp.borrow()).unwrap().unwrap()).port();
    // A stranger is not heard.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"psst", ("127.0.0.1", port)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(incoming_datagram_stream::receive(wasi, incoming.borrow(), 10).unwrap(), Ok(Vec::new()));
    assert_eq!(outgoing_datagram_stream::check_send(wasi, outgoing.borrow()).unwrap(), Ok(16));
    let datagram =
        OutgoingDatagram { data: vec![1], remote_address: Some(stranger.local_addr().unwrap().into()) };
    assert_eq!(
        outgoing_datagram_stream::send(wasi, outgoing.borrow(), vec![datagram]).unwrap(),
        denied.map(|()| 0)
    );
}

#[test]
fn datagrams_go_both_ways_and_only_the_last_streams_work() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut wasi, network) = granted(&["127.0.0.1"]);
    let wasi = &mut wasi;
    let socket = create_udp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let this = || socket.borrow();
    udp_socket::start_bind(wasi, this(), network.borrow(), at("127.0.0.1:0")).unwrap().unwrap();
    udp_socket::finish_bind(wasi, this()).unwrap().unwrap();
    let here = SocketAddr::from(udp_socket::local_address(wasi, this()).unwrap().unwrap());
    let (old, old_out) = udp_socket::stream(wasi, this(), None).unwrap().unwrap();
    assert_eq!(udp_socket::remote_address(wasi, this()).unwrap(), Err(ErrorCode::InvalidState));
    let to = peer.local_addr().unwrap();
    let datagram = |data: &[u8], to: Option<SocketAddr>| OutgoingDatagram {
        data: data.to_vec(),
        remote_address: to.map(Into::into),
    };
    trap(outgoing_datagram_stream::send(wasi, old_out.borrow(), vec![datagram(b"x", Some(to))]));
    assert_eq!(outgoing_datagram_stream::check_send(wasi, old_out.borrow()).unwrap(), Ok(16));
    let sent = outgoing_datagram_stream::send(
        wasi,
        old_out.borrow(),
        vec![datagram(b"one", Some(to)), datagram(b"two", Some(to))],
    );
    assert_eq!(sent.unwrap(), Ok(2));
    let nowhere = outgoing_datagram_stream::send(wasi, old_out.borrow(), vec![datagram(b"x", None)]).unwrap();
    assert_eq!(nowhere, Err(ErrorCode::InvalidArgument));
    let long = outgoing_datagram_stream::send(wasi, old_out.borrow(), vec![datagram(&[0; 65_536], Some(to))])
        .unwrap();
    assert_eq!(long, Err(ErrorCode::DatagramTooLarge));
    let mut bytes = [0; 16];
    for expected in [b"one", b"two"] {
        let (len, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..len], from), (&expected[..], here));
    }
    let (incoming, outgoing) = udp_socket::stream(wasi, this(), Some(to.into())).unwrap().unwrap();
    let dead = incoming_datagram_stream::receive(wasi, old.borrow(), 1).unwrap();
    assert_eq!(dead, Err(ErrorCode::InvalidState), "superseded");
    peer.send_to(b"back", here).unwrap();
    let pollable = incoming_datagram_stream::subscribe(wasi, incoming.borrow()).unwrap();
    wait(wasi, pollable);
    let received = incoming_datagram_stream::receive(wasi, incoming.borrow(), u64::MAX).unwrap().unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].data.as_slice(), received[0].remote_address), (&b"back"[..], to.into()));
    let pollable = outgoing_datagram_stream::subscribe(wasi, outgoing.borrow()).unwrap();
    wait(wasi, pollable);
    outgoing_datagram_stream::check_send(wasi, outgoing.borrow()).unwrap().unwrap();
    let sent =
        outgoing_datagram_stream::send(wasi, outgoing.borrow(), vec![datagram(b"again", None)]).unwrap();
    assert_eq!(sent, Ok(1));
    let other =
        outgoing_datagram_stream::send(wasi, outgoing.borrow(), vec![datagram(b"x", Some(here))]).unwrap();
    assert_eq!(other, Err(ErrorCode::InvalidArgument), "to another than the one it is for");
    assert_eq!(udp_socket::set_unicast_hop_limit(wasi, this(), 9).unwrap(), Ok(()));
    assert_eq!(udp_socket::unicast_hop_limit(wasi, this()).unwrap(), Ok(9));
    assert_eq!(udp_socket::set_send_buffer_size(wasi, this(), 0).unwrap(), Err(ErrorCode::InvalidArgument));
}

#[test]
fn names_are_looked_up_only_when_granted_and_addresses_need_no_lookup() {
    let (mut wasi, network) = granted(&["localhost:80"]);
    let wasi = &mut wasi;
    let mut lookup = |name: &str| resolve_addresses(wasi, network.borrow(), name.into()).unwrap();
    for refused in ["example.com", "localhost.evil.example"] {
        assert!(matches!(lookup(refused), Err(ErrorCode::AccessDenied)), "{refused}");
    }
    for wrong in ["", "a b", "a..b", "-x", "1.2.3", "x\0y", &"x".repeat(300)] {
        assert!(matches!(lookup(wrong), Err(ErrorCode::InvalidArgument)), "{wrong}");
    }
    let literal = lookup("[::ffff:1.2.3.4]").unwrap();
    let found = lookup("LOCALHOST").unwrap();
    let next =
        |wasi: &mut Wasi| resolve_address_stream::resolve_next_address(wasi, literal.borrow()).unwrap();
    assert_eq!(next(wasi), Ok(Some(IpAddress::Ipv4((1, 2, 3, 4)))));
    assert_eq!(next(wasi), Ok(None));
    let pollable = resolve_address_stream::subscribe(wasi, found.borrow()).unwrap();
    wait(wasi, pollable);
    let address = resolve_address_stream::resolve_next_address(wasi, found.borrow()).unwrap().unwrap();
    assert!(matches!(
        address,
        Some(IpAddress::Ipv4((127, 0, 0, 1)) | IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 1)))
    ));
}

#[test]
fn a_refusal_is_told_once_for_each_kind() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    let mut wasi = Wasi::builder()
        .on_refusal(Arc::new(move |kind, what: &str| list.lock().unwrap().push((kind, what.to_owned()))))
        .build();
    let network = instance_network::instance_network(&mut wasi).unwrap();
    for _ in 0..3 {
        create_tcp_socket(&mut wasi, IpAddressFamily::Ipv4).unwrap().unwrap_err();
        resolve_addresses(&mut wasi, network.borrow(), "example.com".into()).unwrap().unwrap_err();
    }
    let told = told.lock().unwrap();
    let expected = [(Capability::Network, "a TCP socket"), (Capability::Resolve, "example.com")];
    assert_eq!(*told, expected.map(|(kind, what)| (kind, what.to_owned())));
}

#[test]
fn ten_thousand_idle_pollables_wait_on_this_thread_alone() {
    let mut wasi = Wasi::builder().build();
    let mut pollables = Vec::new();
    for _ in 0..10_000 {
        pollables.push(monotonic_clock::subscribe_duration(&mut wasi, 3_600_000_000_000).unwrap());
    }
    pollables.push(monotonic_clock::subscribe_duration(&mut wasi, 20_000_000).unwrap());
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let list = pollables.iter().map(|pollable| pollable.borrow()).collect();
    let ready: Result<Vec<u32>, Stop> = poll::poll(&mut wasi, list);
    assert_eq!(ready, Ok(vec![10_000]));
    assert!(threads() <= before + 2, "other tests of this program may have begun one");
}

#[test]
fn a_streams_error_says_what_it_is_in_the_words_of_sockets_if_a_connection_gave_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&[&address.to_string()]);
    let wasi = &mut wasi;
    let (_socket, input, output) = connect(wasi, &network, address).unwrap();
    let (peer, _) = listener.accept().unwrap();
    output_stream::blocking_write_and_flush(wasi, output.borrow(), b"unread".to_vec()).unwrap().unwrap();
    peer.peek(&mut [0; 6]).unwrap();
    // Bytes that nobody has read: the system resets the connection.
    drop(peer);
    let Err(StreamError::LastOperationFailed(error)) =
        input_stream::blocking_read(wasi, input.borrow(), 10).unwrap()
    else {
        panic!("no error")
    };
    assert_eq!(network_error_code(wasi, error.borrow()).unwrap(), Some(ErrorCode::ConnectionReset));
    assert_eq!(filesystem_error_code(wasi, error.borrow()).unwrap(), None);
}

/// A connection to a peer that reads nothing, with as much written to it as it takes.
fn clogged(wasi: &mut Wasi, network: &Own<Network>, address: SocketAddr) -> Connected {
    let connected = connect(wasi, network, address).unwrap();
    let output = &connected.2;
    loop {
        match output_stream::check_write(wasi, output.borrow()).unwrap().unwrap() {
            0 => return connected,
            permit => {
                let bytes = vec![0; usize::try_from(permit).unwrap()];
                output_stream::write(wasi, output.borrow(), bytes).unwrap().unwrap();
            }
        }
    }
}

// Class K: what a guest leaves behind does not hold the host up for as long as the guest likes.
#[test]
fn many_connections_that_nobody_reads_end_together_within_a_moment() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&[&address.to_string()]);
    let connections: Vec<Connected> = (0..8).map(|_| clogged(&mut wasi, &network, address)).collect();
    let started = Instant::now();
    drop(wasi);
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(500), "the peer might have begun to read: {waited:?}");
    assert!(waited < Duration::from_secs(6), "{waited:?}");
    drop(connections);
}

#[test]
fn a_task_that_serves_others_too_does_not_wait_for_a_slow_reader_and_loses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&[&address.to_string()]);
    let (_, _, output) = clogged(&mut wasi, &network, address);
    // A few that nobody has but the host.
    let (mut peer, _) = listener.accept().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (waited, read) = runtime.block_on(async move {
        let started = Instant::now();
        drop((output, wasi));
        let waited = started.elapsed();
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all.len())
        });
        (waited, reader.await.unwrap().unwrap())
    });
    assert!(waited < Duration::from_millis(500), "{waited:?}");
    assert!(read.is_multiple_of(64 * 1024), "{read} bytes of whole permits");
}

#[test]
fn a_connection_that_outlives_the_network_ends_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut wasi, network) = granted(&[&address.to_string()]);
    let _clogged = clogged(&mut wasi, &network, address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let started = Instant::now();
    drop(wasi);
    assert!(started.elapsed() < Duration::from_secs(5));
}
