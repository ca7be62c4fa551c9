//! What a guest may use up of the host: each budget ends it with what its interface has for that, and what is given back counts no
//! more. That memory keeps to it too is `cli/tests/cli/budgets.rs`.

use mini_wasm_wasi::clocks::monotonic_clock;
use mini_wasm_wasi::filesystem::descriptor::{open_at, read_directory, read_via_stream};
use mini_wasm_wasi::filesystem::preopens::get_directories;
use mini_wasm_wasi::filesystem::types::{DescriptorFlags, ErrorCode as FileError, OpenFlags, PathFlags};
use mini_wasm_wasi::io::poll::{block, poll};
use mini_wasm_wasi::random::{insecure, random};
use mini_wasm_wasi::sockets::instance_network::instance_network;
use mini_wasm_wasi::sockets::ip_name_lookup::{resolve_address_stream, resolve_addresses};
use mini_wasm_wasi::sockets::network::{ErrorCode, IpAddressFamily};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::{tcp_create_socket, udp_create_socket};
use mini_wasm_wasi::{Stop, Wasi};

use crate::sandbox::{Sandbox, trap};

#[test]
fn random_bytes_at_once_have_the_limit_that_the_host_sets() {
    let mut wasi = Wasi::builder().max_random_bytes(1000).build();
    for get in [random::get_random_bytes, insecure::get_insecure_random_bytes] {
        assert_eq!(get(&mut wasi, 1000).unwrap().len(), 1000);
        assert!(trap(get(&mut wasi, 1001)).contains("1000"));
    }
}

#[test]
fn a_list_to_wait_for_has_a_limit_and_naming_one_thing_often_does_not_help() {
    let mut wasi = Wasi::builder().max_poll(100).build();
    let now = monotonic_clock::subscribe_duration(&mut wasi, 0).unwrap();
    let times = |count| (0..count).map(|_| now.borrow()).collect();
    assert_eq!(poll(&mut wasi, times(100)).unwrap().len(), 100);
    assert!(trap(poll(&mut wasi, times(101))).contains("the limit is 100"));
    let mut wasi = Wasi::builder().build();
    let now = monotonic_clock::subscribe_duration(&mut wasi, 0).unwrap();
    trap(poll(&mut wasi, (0..1_000_000).map(|_| now.borrow()).collect()));
}

#[test]
fn resources_have_the_limit_that_the_host_sets() {
    let mut wasi = Wasi::builder().max_resources(10).build();
    let mut held: Vec<_> =
        (0..10).map(|_| monotonic_clock::subscribe_duration(&mut wasi, 0).unwrap()).collect();
    assert!(matches!(monotonic_clock::subscribe_duration(&mut wasi, 0), Err(Stop::Trap(_))));
    wasi.resource_drop(held.pop().unwrap()).unwrap();
    monotonic_clock::subscribe_duration(&mut wasi, 0).unwrap();
}

#[test]
fn open_files_and_sockets_have_one_limit_and_a_stream_keeps_its_file_open() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.inside("file"), "data").unwrap();
    let mut wasi = Wasi::builder()
        .preopen(sandbox.inside(""), "/", false)
        .unwrap()
        .network(Network::all())
        .max_handles(4)
        .build();
    let wasi = &mut wasi;
    let (directory, _) = get_directories(wasi).unwrap().remove(0);
    let open = |wasi: &mut Wasi| {
        let this = directory.borrow();
        let (open, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
        open_at(wasi, this, PathFlags::empty(), "file".into(), open, flags).unwrap()
    };
    let file = open(wasi).unwrap();
    let stream = read_via_stream(wasi, file.borrow(), 0).unwrap().unwrap();
    let tcp = tcp_create_socket::create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let _udp = udp_create_socket::create_udp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let entries = read_directory(wasi, directory.borrow()).unwrap().unwrap();
    assert_eq!(open(wasi).unwrap_err(), FileError::Quota);
    assert_eq!(read_directory(wasi, directory.borrow()).unwrap().unwrap_err(), FileError::Quota);
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let limit = ErrorCode::NewSocketLimit;
        assert_eq!(tcp_create_socket::create_tcp_socket(wasi, family).unwrap().unwrap_err(), limit);
        assert_eq!(udp_create_socket::create_udp_socket(wasi, family).unwrap().unwrap_err(), limit);
    }
    wasi.resource_drop(file).unwrap();
    assert_eq!(open(wasi).unwrap_err(), FileError::Quota, "the stream has it open");
    wasi.resource_drop(stream).unwrap();
    let file = open(wasi).unwrap();
    wasi.resource_drop(entries).unwrap();
    wasi.resource_drop(tcp).unwrap();
    open(wasi).unwrap();
    let other = open(wasi).unwrap();
    assert_eq!(open(wasi).unwrap_err(), FileError::Quota);
    wasi.resource_drop(other).unwrap();
    wasi.resource_drop(file).unwrap();
    // Opening and closing for ever costs nothing.
    for _ in 0..10_000 {
        let file = open(wasi).unwrap();
        wasi.resource_drop(file).unwrap();
    }
}

#[test]
fn a_lookup_takes_a_handle_until_it_is_answered_and_dropped() {
    let mut network = Network::all();
    let network = network.allow_all_lookups().clone();
    let mut wasi = Wasi::builder().network(network).max_handles(2).build();
    let wasi = &mut wasi;
    let network = instance_network(wasi).unwrap();
    let begin = |wasi: &mut Wasi| resolve_addresses(wasi, network.borrow(), "localhost".into()).unwrap();
    let (one, _other) = (begin(wasi).unwrap(), begin(wasi).unwrap());
    assert_eq!(begin(wasi).unwrap_err(), ErrorCode::NewSocketLimit);
    let settled = resolve_address_stream::subscribe(wasi, one.borrow()).unwrap();
    block(wasi, settled.borrow()).unwrap();
    wasi.resource_drop(settled).unwrap();
    resolve_address_stream::resolve_next_address(wasi, one.borrow()).unwrap().unwrap();
    // The thread that has answered lets go of the handle a moment after it has said so.
    let began = std::time::Instant::now();
    while let Err(error) = begin(wasi) {
        assert!(error == ErrorCode::NewSocketLimit && began.elapsed().as_secs() < 20, "{error:?}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // An address is no question.
    assert!(resolve_addresses(wasi, network.borrow(), "127.0.0.1".into()).unwrap().is_ok());
}
