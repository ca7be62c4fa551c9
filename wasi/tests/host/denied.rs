//! Sockets and HTTP are there and denied; fields and requests work and have limits.

use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::fields::{self, HeaderError, MAX_FIELDS_BYTES};
use mini_wasm_wasi::http::outgoing_handler::handle;
use mini_wasm_wasi::http::types::{
    ErrorCode as HttpError, Method, Scheme, outgoing_body, outgoing_request, outgoing_response,
    request_options,
};
use mini_wasm_wasi::io::streams::output_stream;
use mini_wasm_wasi::sockets::network::{ErrorCode, IpAddressFamily};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};
use mini_wasm_wasi::{Borrow, Own, Wasi};

use crate::sandbox::trap;

// Every capability has a twin without the permission: here nothing else exists yet.
#[test]
fn no_socket_is_made_and_no_name_is_resolved() {
    let mut wasi = Wasi::builder().build();
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let denied = ErrorCode::AccessDenied;
        assert_eq!(tcp_create_socket::create_tcp_socket(&mut wasi, family).unwrap(), Err(denied));
        assert_eq!(udp_create_socket::create_udp_socket(&mut wasi, family).unwrap(), Err(denied));
    }
    let network = instance_network::instance_network(&mut wasi).unwrap();
    let found = ip_name_lookup::resolve_addresses(&mut wasi, network.borrow(), "localhost".into()).unwrap();
    assert_eq!(found, Err(ErrorCode::AccessDenied));
}

#[test]
fn a_handle_that_stands_for_no_socket_traps() {
    let mut wasi = Wasi::builder().build();
    trap(mini_wasm_wasi::sockets::tcp::tcp_socket::is_listening(&mut wasi, Borrow::new(0)));
    let network = instance_network::instance_network(&mut wasi).unwrap();
    trap(mini_wasm_wasi::sockets::tcp::tcp_socket::subscribe(&mut wasi, Borrow::new(network.rep())));
    trap(mini_wasm_wasi::http::types::incoming_body::finish(&mut wasi, Own::new(network.rep())));
}

#[test]
fn a_request_can_be_put_together_but_sending_it_is_denied() {
    let mut wasi = Wasi::builder().build();
    let wasi = &mut wasi;
    let headers = fields::from_list(wasi, vec![("Accept".into(), b"*/*".to_vec())]).unwrap().unwrap();
    let request = outgoing_request::new(wasi, headers).unwrap();
    let this = || request.borrow();
    assert_eq!(outgoing_request::method(wasi, this()).unwrap(), Method::Get);
    assert_eq!(outgoing_request::set_method(wasi, this(), Method::Other("X Y".into())).unwrap(), Err(()));
    assert_eq!(outgoing_request::set_method(wasi, this(), Method::Post).unwrap(), Ok(()));
    assert_eq!(outgoing_request::set_scheme(wasi, this(), Some(Scheme::Other("9".into()))).unwrap(), Err(()));
    assert_eq!(outgoing_request::set_scheme(wasi, this(), Some(Scheme::Https)).unwrap(), Ok(()));
    assert_eq!(outgoing_request::set_authority(wasi, this(), Some("a/b".into())).unwrap(), Err(()));
    assert_eq!(outgoing_request::set_authority(wasi, this(), Some("example.com:80".into())).unwrap(), Ok(()));
    // GHSA-5qpp-g3j2-8frx, GHSA-w36r-2hch-9xp9: absolute forms, and a path of 64 KiB.
    for path in ["http://evil/", "*", "x", "//a b", "/a#b", "/\r\nx"] {
        assert_eq!(
            outgoing_request::set_path_with_query(wasi, this(), Some(path.into())).unwrap(),
            Err(()),
            "{path}"
        );
    }
    let long = format!("/{}", "x".repeat(65_536));
    assert_eq!(outgoing_request::set_path_with_query(wasi, this(), Some(long.clone())).unwrap(), Ok(()));
    assert_eq!(outgoing_request::path_with_query(wasi, this()).unwrap(), Some(long));
    let headers = outgoing_request::headers(wasi, this()).unwrap();
    assert_eq!(fields::get(wasi, headers.borrow(), "ACCEPT".into()).unwrap(), [b"*/*"]);
    let changed = fields::append(wasi, headers.borrow(), "a".into(), vec![]).unwrap();
    assert_eq!(changed, Err(HeaderError::Immutable));
    let body = outgoing_request::body(wasi, this()).unwrap().unwrap();
    assert_eq!(outgoing_request::body(wasi, this()).unwrap(), Err(()));
    let stream = outgoing_body::write(wasi, body.borrow()).unwrap().unwrap();
    assert_eq!(outgoing_body::write(wasi, body.borrow()).unwrap(), Err(()));
    assert_eq!(
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), vec![1; 4096]).unwrap(),
        Ok(())
    );
    let trailers = fields::new(wasi).unwrap();
    assert_eq!(outgoing_body::finish(wasi, body, Some(trailers)).unwrap(), Ok(()));
    let options = request_options::new(wasi).unwrap();
    assert_eq!(request_options::set_connect_timeout(wasi, options.borrow(), Some(0)).unwrap(), Ok(()));
    assert_eq!(request_options::connect_timeout(wasi, options.borrow()).unwrap(), Some(0));
    assert_eq!(handle(wasi, request, Some(options)).unwrap(), Err(HttpError::HttpRequestDenied));
}

#[test]
fn fields_ignore_the_case_of_names_and_keep_the_order_of_values() {
    let mut wasi = Wasi::builder().build();
    let wasi = &mut wasi;
    let fields = fields::new(wasi).unwrap();
    for (name, value) in [("a", "1"), ("B", "2"), ("A", "3")] {
        fields::append(wasi, fields.borrow(), name.into(), value.into()).unwrap().unwrap();
    }
    assert_eq!(fields::get(wasi, fields.borrow(), "a".into()).unwrap(), [b"1", b"3"]);
    assert!(fields::has(wasi, fields.borrow(), "b".into()).unwrap());
    let copy = fields::clone(wasi, fields.borrow()).unwrap();
    fields::set(wasi, fields.borrow(), "a".into(), vec![b"4".to_vec()]).unwrap().unwrap();
    fields::delete(wasi, fields.borrow(), "b".into()).unwrap().unwrap();
    assert_eq!(fields::entries(wasi, fields.borrow()).unwrap(), [("a".to_owned(), b"4".to_vec())]);
    assert_eq!(fields::entries(wasi, copy.borrow()).unwrap().len(), 3);
}

#[test]
fn what_is_no_field_and_what_is_the_hosts_own_are_refused() {
    let mut wasi = Wasi::builder().build();
    let wasi = &mut wasi;
    let fields = fields::new(wasi).unwrap();
    for (name, value, error) in [
        ("", "x", HeaderError::InvalidSyntax),
        ("a b", "x", HeaderError::InvalidSyntax),
        ("a:", "x", HeaderError::InvalidSyntax),
        ("\u{e4}", "x", HeaderError::InvalidSyntax),
        ("a", "x\r\nb: c", HeaderError::InvalidSyntax),
        ("a", "x\0", HeaderError::InvalidSyntax),
        ("Host", "x", HeaderError::Forbidden),
        ("transfer-encoding", "chunked", HeaderError::Forbidden),
        ("Connection", "close", HeaderError::Forbidden),
        ("upgrade", "websocket", HeaderError::Forbidden),
    ] {
        let entry = (name.to_owned(), value.as_bytes().to_vec());
        let this = fields.borrow();
        assert_eq!(
            fields::append(wasi, this, entry.0.clone(), entry.1.clone()).unwrap(),
            Err(error),
            "{name}"
        );
        let this = fields.borrow();
        assert_eq!(
            fields::set(wasi, this, entry.0.clone(), vec![entry.1.clone()]).unwrap(),
            Err(error),
            "{name}"
        );
        assert_eq!(fields::from_list(wasi, vec![entry]).unwrap(), Err(error), "{name}");
    }
    assert_eq!(fields::entries(wasi, fields.borrow()).unwrap(), []);
}

// GHSA-243v-98vx-264h: too many header fields; GHSA-852m-cvvp-9p4w: memory without limit.
#[test]
fn fields_have_a_limit_each_and_all_together() {
    let mut wasi = Wasi::builder().max_field_bytes(1_000_000).build();
    let wasi = &mut wasi;
    let many = (0..100_000).map(|n| (format!("f{n}"), vec![])).collect();
    assert!(trap(fields::from_list(wasi, many)).contains(&MAX_FIELDS_BYTES.to_string()));
    let one = fields::new(wasi).unwrap();
    trap(fields::append(wasi, one.borrow(), "a".into(), vec![b'x'; MAX_FIELDS_BYTES]));
    fields::append(wasi, one.borrow(), "a".into(), vec![b'x'; 100_000]).unwrap().unwrap();
    let mut copies = Vec::new();
    let message = loop {
        match fields::clone(wasi, one.borrow()) {
            Ok(copy) => copies.push(copy),
            Err(_) => break trap(fields::clone(wasi, one.borrow())),
        }
    };
    assert!(message.contains("more memory"), "{message}");
    assert_eq!(copies.len(), 8, "a million bytes are nine times a hundred thousand");
    // What is given back can be used again.
    let request = outgoing_request::new(wasi, copies.pop().unwrap()).unwrap();
    handle(wasi, request, None).unwrap().unwrap_err();
    copies.push(fields::clone(wasi, one.borrow()).unwrap());
    fields::delete(wasi, one.borrow(), "a".into()).unwrap().unwrap();
    fields::clone(wasi, copies[0].borrow()).unwrap();
}

#[test]
fn a_status_has_three_digits() {
    let mut wasi = Wasi::builder().build();
    let headers = fields::new(&mut wasi).unwrap();
    let response = outgoing_response::new(&mut wasi, headers).unwrap();
    for (status, expected) in
        [(99, Err(())), (100, Ok(())), (999, Ok(())), (1000, Err(())), (u16::MAX, Err(()))]
    {
        let set = outgoing_response::set_status_code(&mut wasi, response.borrow(), status).unwrap();
        assert_eq!(set, expected, "{status}");
    }
    assert_eq!(outgoing_response::status_code(&mut wasi, response.borrow()).unwrap(), 999);
}

// CVE-2024-32980: whom a request goes to was taken from the `host` of the one that had come in.
#[test]
fn a_request_names_its_host_itself_or_goes_nowhere() {
    let mut wasi = Wasi::builder().http(&Outgoing::to(Network::all())).build();
    let wasi = &mut wasi;
    for name in ["host", "Host", "HOST"] {
        let given = fields::from_list(wasi, vec![(name.into(), b"127.0.0.1".to_vec())]).unwrap();
        assert_eq!(given.unwrap_err(), HeaderError::Forbidden);
    }
    let headers = fields::new(wasi).unwrap();
    let request = outgoing_request::new(wasi, headers).unwrap();
    outgoing_request::set_path_with_query(wasi, request.borrow(), Some("/".into())).unwrap().unwrap();
    assert_eq!(outgoing_request::authority(wasi, request.borrow()).unwrap(), None);
    assert_eq!(handle(wasi, request, None).unwrap().unwrap_err(), HttpError::HttpRequestUriInvalid);
}
