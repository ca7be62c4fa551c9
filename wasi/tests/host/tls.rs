//! Requests over TLS, against real peers: rustls and, where there is one, openssl.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::outgoing_handler::handle;
use mini_wasm_wasi::http::types::{ErrorCode, Scheme, future_incoming_response, outgoing_request};
use mini_wasm_wasi::io::poll;
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::{Own, Wasi};

use crate::http::{read, request, send};
use crate::peer::{Authority, Peer};

/// A guest that may ask this machine, and believes this authority.
fn guest(authority: &Authority) -> Wasi {
    let mut hosts = Network::nothing();
    hosts.allow("localhost".parse().unwrap()).allow("127.0.0.1".parse().unwrap());
    let mut outgoing = Outgoing::to(hosts);
    outgoing.ca_file(authority.file()).unwrap();
    let deadline = Arc::new(Instant::now() + Duration::from_secs(60));
    Wasi::builder().http(&outgoing).deadline(deadline).build()
}

fn secure(wasi: &mut Wasi, to: &str, path: &str) -> Own<mini_wasm_wasi::http::types::OutgoingRequest> {
    let request = request(wasi, to, path, &[]);
    outgoing_request::set_scheme(wasi, request.borrow(), Some(Scheme::Https)).unwrap().unwrap();
    request
}

/// Asks; the text of the answer.
fn ask(wasi: &mut Wasi, to: &str, path: &str) -> Result<String, ErrorCode> {
    let request = secure(wasi, to, path);
    let response = send(wasi, request)?;
    let (body, _) = read(wasi, &response)?;
    Ok(String::from_utf8(body).unwrap())
}

#[test]
fn the_best_version_that_both_speak_is_spoken_and_connections_are_used_again() {
    let authority = Authority::new("versions");
    for (protocols, version) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let peer = Peer::begin(&authority.certificate("localhost", 2100), protocols, None);
        let mut wasi = guest(&authority);
        let to = format!("localhost:{}", peer.address.port());
        for path in ["/one", "/two", "/three"] {
            assert_eq!(ask(&mut wasi, &to, path), Ok(format!("{version} localhost {path}")));
        }
        assert_eq!(peer.connections(), 1, "{version}");
    }
}

#[test]
fn many_requests_at_once_share_one_connection_of_http_2() {
    let authority = Authority::new("shared");
    let peer = Peer::begin(&authority.certificate("127.0.0.1", 2100), &["h2"], None);
    let mut wasi = guest(&authority);
    let wasi = &mut wasi;
    let to = peer.address.to_string();
    ask(wasi, &to, "/first").unwrap();
    let futures: Vec<_> = (0..50)
        .map(|_| {
            let request = secure(wasi, &to, "/");
            handle(wasi, request, None).unwrap().unwrap()
        })
        .collect();
    for future in futures {
        let pollable = future_incoming_response::subscribe(wasi, future.borrow()).unwrap();
        poll::block(wasi, pollable.borrow()).unwrap();
        let answer = future_incoming_response::get(wasi, future.borrow()).unwrap().unwrap().unwrap();
        assert_eq!(read(wasi, &answer.unwrap()).unwrap().0, b"HTTP/2.0 127.0.0.1 /");
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_certificate_that_nobody_vouches_for_or_for_another_name_or_of_the_past_is_refused() {
    let (authority, other) = (Authority::new("believed"), Authority::new("not-believed"));
    for (certificate, host) in [
        (other.certificate("localhost", 2100), "localhost"),
        (authority.certificate("localhost", 2020), "localhost"),
        (authority.certificate("example.com", 2100), "localhost"),
        (authority.certificate("localhost", 2100), "127.0.0.1"),
    ] {
        let peer = Peer::begin(&certificate, &["h2", "http/1.1"], None);
        let mut wasi = guest(&authority);
        let answer = ask(&mut wasi, &format!("{host}:{}", peer.address.port()), "/");
        assert_eq!(answer, Err(ErrorCode::TlsCertificateError));
        assert_eq!(peer.connections(), 0, "nothing was sent to {host}");
    }
}

#[test]
fn a_peer_that_wants_to_know_who_asks_or_speaks_no_tls_is_an_error_of_its_own() {
    let authority = Authority::new("odd-peers");
    let certificate = authority.certificate("localhost", 2100);
    let peer = Peer::begin(&certificate, &["http/1.1"], Some(&authority));
    let mut wasi = guest(&authority);
    let answer = ask(&mut wasi, &format!("localhost:{}", peer.address.port()), "/");
    let Err(ErrorCode::TlsAlertReceived(alert)) = answer else { panic!("{answer:?}") };
    // certificate_required (RFC 8446, 6.2).
    assert_eq!(alert.alert_id, Some(116));
    // What speaks plain HTTP.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = plain.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = plain.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    assert_eq!(ask(&mut wasi, &to, "/"), Err(ErrorCode::TlsProtocolError));
    server.join().unwrap();
}

#[test]
fn openssl_is_understood_if_it_is_there() {
    let authority = Authority::new("openssl");
    let certificate = authority.certificate("localhost", 2100);
    let file = |name: &str, text: &str| {
        let path = authority.file().with_extension(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (chain, key) = (file("crt", &certificate.certificate), file("key", &certificate.key));
    for version in ["-tls1_2", "-tls1_3"] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut openssl = Command::new("openssl");
        openssl.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www", "-quiet", version]);
        openssl.arg("-cert").arg(&chain).arg("-key").arg(&key);
        let started = openssl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(mut process) = started else {
            println!("skipped: there is no `openssl`");
            break;
        };
        let mut wasi = guest(&authority);
        let began = Instant::now();
        let answer = loop {
            match ask(&mut wasi, &format!("localhost:{port}"), "/") {
                Err(ErrorCode::ConnectionRefused) if began.elapsed() < Duration::from_secs(30) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                answer => break answer,
            }
        };
        let _ = process.kill();
        let _ = process.wait();
        let answer = answer.unwrap();
        assert!(answer.contains(&version.replace("-tls1_", "TLSv1.")), "{answer}");
    }
    for path in [chain, key] {
        let _ = std::fs::remove_file(path);
    }
}
