//! What the host keeps because of a guest or a client is charged and has a ceiling: `docs/host-memory.md`. That the process keeps to it
//! too is `cli/tests/cli/budgets.rs`.

use std::net::TcpListener;

use mini_wasm_wasi::clocks::monotonic_clock;
use mini_wasm_wasi::filesystem::descriptor::read_directory;
use mini_wasm_wasi::filesystem::preopens::get_directories;
use mini_wasm_wasi::filesystem::types::ErrorCode as FileError;
use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::fields;
use mini_wasm_wasi::http::outgoing_handler::handle;
use mini_wasm_wasi::http::types::{OutgoingBody, OutgoingResponse, outgoing_body, outgoing_response};
use mini_wasm_wasi::io::streams::{OutputStream, output_stream};
use mini_wasm_wasi::keyvalue::{KeyValue, Limits, store};
use mini_wasm_wasi::random::random;
use mini_wasm_wasi::sockets::instance_network::instance_network;
use mini_wasm_wasi::sockets::network::{ErrorCode, IpAddressFamily};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::tcp::tcp_socket;
use mini_wasm_wasi::sockets::udp::udp_socket;
use mini_wasm_wasi::sockets::{tcp_create_socket, udp_create_socket};
use mini_wasm_wasi::{Allowance, Own, Stop, Wasi};

use crate::sandbox::{Sandbox, trap};

type Answer = (Own<OutgoingResponse>, Own<OutgoingBody>, Own<OutputStream>);

fn answer(wasi: &mut Wasi) -> Result<Answer, Stop> {
    let fields = fields::new(wasi)?;
    let response = outgoing_response::new(wasi, fields)?;
    let body = outgoing_response::body(wasi, response.borrow())?.unwrap();
    let stream = outgoing_body::write(wasi, body.borrow())?.unwrap();
    Ok((response, body, stream))
}

/// Writes 64 KiB by so many bytes at once.
fn fill(wasi: &mut Wasi, stream: &Own<OutputStream>, each: usize) -> Result<(), Stop> {
    assert_eq!(output_stream::check_write(wasi, stream.borrow())?, Ok(65_536));
    for _ in 0..65_536 / each {
        output_stream::write(wasi, stream.borrow(), vec![1; each])?.unwrap();
    }
    assert_eq!(output_stream::check_write(wasi, stream.borrow())?, Ok(0));
    Ok(())
}

fn drop_answer(wasi: &mut Wasi, (response, body, stream): Answer) {
    wasi.resource_drop(stream).unwrap();
    wasi.resource_drop(body).unwrap();
    wasi.resource_drop(response).unwrap();
}

#[test]
fn bodies_that_are_never_sent_are_charged_however_they_are_written() {
    for each in [65_536, 4096, 64, 1] {
        let mut wasi = Wasi::builder().max_host_memory(1 << 20).build();
        let before = wasi.host_memory().used();
        let first = answer(&mut wasi).unwrap();
        fill(&mut wasi, &first.2, each).unwrap();
        let one = wasi.host_memory().used() - before;
        assert!((65_536..80_000).contains(&one), "{one} bytes for 64 KiB by {each}");
        drop_answer(&mut wasi, first);
        assert_eq!(wasi.host_memory().used(), before);
        let mut filled = 0;
        let stop = loop {
            let made = answer(&mut wasi).and_then(|answer| fill(&mut wasi, &answer.2, each));
            match made {
                Ok(()) => filled += 1,
                Err(stop) => break stop,
            }
        };
        assert!((13..16).contains(&filled), "{filled} bodies of 64 KiB in 1 MiB");
        assert!(stop.to_string().contains("1048576 bytes"), "{stop}");
        assert!(wasi.host_memory().used() <= 1 << 20);
    }
}

#[test]
fn resources_are_charged_for_as_long_as_they_are_there() {
    let mut wasi = Wasi::builder().max_host_memory(100_000).build();
    let mut held = Vec::new();
    while let Ok(timer) = monotonic_clock::subscribe_duration(&mut wasi, 1) {
        held.push(timer);
        assert!(held.len() < 2000, "48 bytes each, and more");
    }
    assert!(held.len() > 500);
    held.drain(..).for_each(|timer| wasi.resource_drop(timer).unwrap());
    assert_eq!(wasi.host_memory().used(), 0);
    monotonic_clock::subscribe_duration(&mut wasi, 1).unwrap();
}

#[test]
fn fields_are_a_part_of_what_the_guest_may_have() {
    let mut wasi = Wasi::builder().max_host_memory(100_000).build();
    let entry = |len| vec![("name".to_owned(), vec![b'v'; len])];
    let kept = fields::from_list(&mut wasi, entry(60_000)).unwrap().unwrap();
    assert!(trap(fields::from_list(&mut wasi, entry(60_000))).contains("100000"));
    assert!(trap(fields::clone(&mut wasi, kept.borrow())).contains("100000"));
    wasi.resource_drop(kept).unwrap();
    fields::from_list(&mut wasi, entry(60_000)).unwrap().unwrap();
}

#[test]
fn what_a_call_gives_is_charged_until_the_next_one_does() {
    let mut wasi = Wasi::builder().max_host_memory(100_000).build();
    for _ in 0..10 {
        assert_eq!(random::get_random_bytes(&mut wasi, 90_000).unwrap().len(), 90_000);
    }
    assert!(trap(random::get_random_bytes(&mut wasi, 200_000)).contains("100000"));
    random::get_random_bytes(&mut wasi, 0).unwrap();
    assert_eq!(wasi.host_memory().used(), 0);
    let store = KeyValue::memory(Limits::default());
    let mut wasi = Wasi::builder().keyvalue(store).max_host_memory(100_000).build();
    let bucket = store::open(&mut wasi, "b".to_owned()).unwrap().unwrap();
    let set = |wasi: &mut Wasi, len| store::bucket::set(wasi, bucket.borrow(), "k".to_owned(), vec![1; len]);
    set(&mut wasi, 90_000).unwrap().unwrap();
    store::bucket::get(&mut wasi, bucket.borrow(), "k".to_owned()).unwrap().unwrap();
    set(&mut wasi, 200_000).unwrap().unwrap();
    trap(store::bucket::get(&mut wasi, bucket.borrow(), "k".to_owned()));
}

#[test]
fn sockets_are_charged_and_their_buffers_as_far_as_the_guest_asks_for_them() {
    let mut wasi = Wasi::builder().network(Network::all()).max_host_memory(200_000).build();
    let wasi = &mut wasi;
    let tcp = tcp_create_socket::create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let udp = udp_create_socket::create_udp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let before = wasi.host_memory().used();
    assert!(before > 2 * 16_384);
    assert_eq!(tcp_socket::set_receive_buffer_size(wasi, tcp.borrow(), 100_000).unwrap(), Ok(()));
    assert_eq!(wasi.host_memory().used(), before + 100_000);
    for refused in [
        tcp_socket::set_send_buffer_size(wasi, tcp.borrow(), 100_000),
        udp_socket::set_receive_buffer_size(wasi, udp.borrow(), u64::MAX),
        udp_socket::set_send_buffer_size(wasi, udp.borrow(), 100_000),
    ] {
        assert_eq!(refused.unwrap(), Err(ErrorCode::OutOfMemory));
    }
    assert_eq!(tcp_socket::set_receive_buffer_size(wasi, tcp.borrow(), 20_000).unwrap(), Ok(()));
    assert_eq!(udp_socket::set_send_buffer_size(wasi, udp.borrow(), 100_000).unwrap(), Ok(()));
    wasi.resource_drop(tcp).unwrap();
    wasi.resource_drop(udp).unwrap();
    assert_eq!(wasi.host_memory().used(), 0);
    let sockets = (0..).map_while(|_| {
        let made = tcp_create_socket::create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap();
        made.map_err(|error| assert_eq!(error, ErrorCode::OutOfMemory)).ok()
    });
    assert!((10..13).contains(&sockets.count()));
}

#[test]
fn listings_are_charged() {
    let sandbox = Sandbox::new();
    let mut builder = Wasi::builder();
    builder.preopen(sandbox.inside(""), "/", false).unwrap().max_host_memory(100_000);
    let mut wasi = builder.build();
    let (directory, _) = get_directories(&mut wasi).unwrap().remove(0);
    let first = read_directory(&mut wasi, directory.borrow()).unwrap().unwrap();
    let _second = read_directory(&mut wasi, directory.borrow()).unwrap().unwrap();
    let third = read_directory(&mut wasi, directory.borrow()).unwrap();
    assert_eq!(third.map(|_| ()), Err(FileError::InsufficientMemory));
    wasi.resource_drop(first).unwrap();
    read_directory(&mut wasi, directory.borrow()).unwrap().unwrap();
}

#[test]
fn all_guests_of_a_host_have_one_ceiling_beside_their_own() {
    let all = Allowance::new("all guests", 1 << 20);
    let mut builder = Wasi::builder();
    builder.max_host_memory(600_000).host_memory(&all);
    let (mut one, mut other) = (builder.build(), builder.build());
    random::get_random_bytes(&mut one, 590_000).unwrap();
    assert!(trap(random::get_random_bytes(&mut one, 600_001)).contains("600000 bytes"));
    assert!(trap(random::get_random_bytes(&mut other, 590_000)).contains("all guests"));
    drop(one);
    random::get_random_bytes(&mut other, 590_000).unwrap();
    drop(other);
    assert_eq!(all.used(), 0);
}

#[test]
fn requests_under_way_are_charged() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let mut builder = Wasi::builder();
    let mut wasi = builder.http(&Outgoing::to(Network::all())).max_host_memory(400_000).build();
    let before = wasi.host_memory().used();
    let mut futures = Vec::new();
    let stop = loop {
        let request = crate::http::request(&mut wasi, &to, "/", &[]);
        match handle(&mut wasi, request, None) {
            Ok(future) => futures.push(future.unwrap()),
            Err(stop) => break stop,
        }
    };
    assert!((4..7).contains(&futures.len()) && matches!(stop, Stop::Trap(_)), "{} {stop}", futures.len());
    futures.drain(..).for_each(|future| wasi.resource_drop(future).unwrap());
    // Fields, which are a part, keep a step for the next.
    assert!(wasi.host_memory().used() <= before + 16_384, "{}", wasi.host_memory().used());
}

#[test]
fn bytes_that_a_peer_does_not_take_are_charged() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wasi = Wasi::builder().network(Network::all()).build();
    let wasi = &mut wasi;
    let network = instance_network(wasi).unwrap();
    let (_socket, _input, output) =
        crate::network::connect(wasi, &network, listener.local_addr().unwrap()).unwrap();
    let before = wasi.host_memory().used();
    while output_stream::check_write(wasi, output.borrow()).unwrap().unwrap() > 0 {
        output_stream::write(wasi, output.borrow(), vec![1; 65_536]).unwrap().unwrap();
    }
    let kept = wasi.host_memory().used() - before;
    assert!((1..=2 * 65_536).contains(&kept), "{kept}");
    drop(listener);
}
