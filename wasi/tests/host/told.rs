//! What resources say of themselves.

use std::fs;

use mini_wasm_wasi::cli::stdout::get_stdout;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::DescriptorType;
use mini_wasm_wasi::http::fields;
use mini_wasm_wasi::http::types::{Scheme, outgoing_request, outgoing_response, request_options};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::io::streams::output_stream;
use mini_wasm_wasi::sockets::network::{ErrorCode, IpAddressFamily};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::udp::udp_socket;
use mini_wasm_wasi::sockets::udp_create_socket::create_udp_socket;
use mini_wasm_wasi::{Resolution, Wasi};

use crate::sandbox::{NONE, READ, Sandbox};

#[test]
fn an_open_file_says_what_it_is() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("file"), "12345").unwrap();
    let mut guest = sandbox.guest(Resolution::Kernel, true);
    let file = guest.open("file", NONE, READ).unwrap();
    let (wasi, dir) = (&mut guest.wasi, &guest.dir);
    assert_eq!(descriptor::get_type(wasi, file.borrow()).unwrap(), Ok(DescriptorType::RegularFile));
    assert_eq!(descriptor::get_type(wasi, dir.borrow()).unwrap(), Ok(DescriptorType::Directory));
    let stat = descriptor::stat(wasi, file.borrow()).unwrap().unwrap();
    assert_eq!((stat.kind, stat.size, stat.link_count), (DescriptorType::RegularFile, 5, 1));
}

#[test]
fn a_flush_of_what_is_written_already_is_done_at_once() {
    let mut wasi = Wasi::builder().build();
    let output = get_stdout(&mut wasi).unwrap();
    assert!(output_stream::check_write(&mut wasi, output.borrow()).unwrap().unwrap() > 0);
    output_stream::write(&mut wasi, output.borrow(), b"text".to_vec()).unwrap().unwrap();
    assert_eq!(output_stream::flush(&mut wasi, output.borrow()).unwrap(), Ok(()));
    assert!(output_stream::check_write(&mut wasi, output.borrow()).unwrap().unwrap() > 0);
}

#[test]
fn a_udp_socket_has_a_family_buffers_and_nothing_to_wait_for() {
    let mut wasi = Wasi::builder().network(Network::all()).build();
    let wasi = &mut wasi;
    let socket = create_udp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    let this = || socket.borrow();
    assert_eq!(udp_socket::address_family(wasi, this()).unwrap(), IpAddressFamily::Ipv4);
    assert_eq!(
        udp_socket::set_receive_buffer_size(wasi, this(), 0).unwrap(),
        Err(ErrorCode::InvalidArgument)
    );
    udp_socket::set_receive_buffer_size(wasi, this(), 65_536).unwrap().unwrap();
    assert!(udp_socket::receive_buffer_size(wasi, this()).unwrap().unwrap() >= 65_536);
    udp_socket::set_send_buffer_size(wasi, this(), 65_536).unwrap().unwrap();
    assert!(udp_socket::send_buffer_size(wasi, this()).unwrap().unwrap() >= 65_536);
    let pollable = udp_socket::subscribe(wasi, this()).unwrap();
    assert!(poll::ready(wasi, pollable.borrow()).unwrap());
}

#[test]
fn a_request_its_options_and_an_answer_say_what_was_set() {
    let mut wasi = Wasi::builder().build();
    let wasi = &mut wasi;
    let headers = fields::new(wasi).unwrap();
    let request = outgoing_request::new(wasi, headers).unwrap();
    let this = || request.borrow();
    assert_eq!(outgoing_request::scheme(wasi, this()).unwrap(), None);
    assert_eq!(outgoing_request::authority(wasi, this()).unwrap(), None);
    outgoing_request::set_scheme(wasi, this(), Some(Scheme::Http)).unwrap().unwrap();
    outgoing_request::set_authority(wasi, this(), Some("[::1]:80".into())).unwrap().unwrap();
    assert_eq!(outgoing_request::scheme(wasi, this()).unwrap(), Some(Scheme::Http));
    assert_eq!(outgoing_request::authority(wasi, this()).unwrap().as_deref(), Some("[::1]:80"));
    let options = request_options::new(wasi).unwrap();
    let this = || options.borrow();
    assert_eq!(request_options::first_byte_timeout(wasi, this()).unwrap(), None);
    request_options::set_first_byte_timeout(wasi, this(), Some(7)).unwrap().unwrap();
    request_options::set_between_bytes_timeout(wasi, this(), Some(8)).unwrap().unwrap();
    assert_eq!(request_options::first_byte_timeout(wasi, this()).unwrap(), Some(7));
    assert_eq!(request_options::between_bytes_timeout(wasi, this()).unwrap(), Some(8));
    let headers = fields::from_list(wasi, vec![("a".into(), b"b".to_vec())]).unwrap().unwrap();
    let response = outgoing_response::new(wasi, headers).unwrap();
    let headers = outgoing_response::headers(wasi, response.borrow()).unwrap();
    assert_eq!(fields::get(wasi, headers.borrow(), "A".into()).unwrap(), [b"b"]);
}
