//! A server whose one answer is 204, after it has called the four functions that WASI 0.2.12 calls unstable. The loopback is granted.

wit_bindgen::generate!({
    path: "../../target/world-unstable",
    world: "command",
    features: ["clocks-timezone", "network-error-code", "informational-outbound-responses"],
    generate_all,
});

use wasi::clocks::{timezone, wall_clock};
use wasi::http::types::{ErrorCode, Fields, IncomingRequest, OutgoingResponse, ResponseOutparam};
use wasi::io::streams::{Error, StreamError};
use wasi::sockets::instance_network::instance_network;
use wasi::sockets::network::{self, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, network_error_code};
use wasi::sockets::tcp_create_socket::create_tcp_socket;

struct Server;

export!(Server);

impl exports::wasi::http::incoming_handler::Guest for Server {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let now = wall_clock::now();
        let zone = timezone::display(now);
        assert_eq!((zone.utc_offset, zone.in_daylight_saving_time), (timezone::utc_offset(now), false));
        assert_eq!((zone.utc_offset, zone.name.as_str()), (0, "UTC"));

        assert_eq!(network_error_code(&reset()), Some(network::ErrorCode::ConnectionReset));

        // A host that cannot send it says so, and the answer proper is still possible.
        let hints = Fields::from_list(&[("link".to_owned(), b"</style.css>; rel=preload".to_vec())]).unwrap();
        assert!(matches!(out.send_informational(103, hints), Ok(()) | Err(ErrorCode::InternalError(_))));
        let response = OutgoingResponse::new(Fields::new());
        response.set_status_code(204).unwrap();
        ResponseOutparam::set(out, Ok(response));
    }
}

/// The error of a connection whose other end went away with bytes that it had not read.
fn reset() -> Error {
    let network = instance_network();
    let listener = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let anywhere = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    listener.start_bind(&network, anywhere).unwrap();
    listener.finish_bind().unwrap();
    listener.start_listen().unwrap();
    listener.finish_listen().unwrap();
    let client = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    client.start_connect(&network, listener.local_address().unwrap()).unwrap();
    let (input, output) = loop {
        match client.finish_connect() {
            Err(network::ErrorCode::WouldBlock) => client.subscribe().block(),
            done => break done.unwrap(),
        }
    };
    listener.subscribe().block();
    let (server, from_client, to_client) = listener.accept().unwrap();
    output.blocking_write_and_flush(b"unread").unwrap();
    from_client.subscribe().block();
    drop((from_client, to_client));
    drop(server);
    match input.blocking_read(1) {
        Err(StreamError::LastOperationFailed(error)) => error,
        other => panic!("{other:?}"),
    }
}
