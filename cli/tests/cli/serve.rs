//! `mini-wasm serve` as a client sees it: a real process, a real socket, real signals. The guest is `guests/bin/http-server.wasm`.

use super::sandbox::Sandbox;
use super::{Mode, guests, mini_wasm};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A server; killed when it goes.
struct Server {
    process: Child,
    stderr: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Server {
    fn begin(sandbox: &Sandbox, mode: Mode, flags: &[&str]) -> Server {
        let mut command = mini_wasm(sandbox);
        command
            .args(["serve", mode.engine(), "--addr", "127.0.0.1:0"])
            .args(flags)
            .arg(guests().join("bin/http-server.wasm"));
        let mut process = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut first = String::new();
        stderr.read_line(&mut first).expect("it can be read");
        let url = first.trim_end().rsplit(' ').next().expect("a word");
        let address = url.strip_prefix("http://").expect(url).trim_end_matches('/').to_owned();
        Server { process, stderr, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
        stream
    }

    /// Sends a request with `connection: close`; the whole answer.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut stream = self.connect();
        write!(stream, "{head}\r\nhost: here\r\nconnection: close\r\n\r\n").expect("it is read");
        stream.write_all(body).expect("it is read");
        answer(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1"), b"")
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent =
            std::process::Command::new("kill").args(["-s", name, &pid]).status().expect("`kill` is there");
        assert!(sent.success());
    }

    /// Its exit status and what else it said.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("it can be read");
        (self.process.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it is answered");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn each_request_is_answered_by_an_instance_of_its_own() {
    for mode in [Mode::Interp, Mode::Jit] {
        let sandbox = Sandbox::new("serve-answers");
        let server = Server::begin(&sandbox, mode, &[]);
        for _ in 0..3 {
            let hello = server.get("/");
            assert!(hello.starts_with("HTTP/1.1 200") && hello.contains("hello\n"), "{hello}");
        }
        assert_eq!(status(&server.get("/nowhere")), "404");
        // A guest that traps fails its own request only.
        assert_eq!(status(&server.get("/trap")), "500");
        assert_eq!(status(&server.get("/")), "200");
        let echo = server.ask("POST /echo HTTP/1.1\r\ncontent-length: 5", b"again");
        assert!(status(&echo) == "200" && echo.contains("again"), "{echo}");
        // What the policy does not name is not asked.
        let fetch = server.get(&format!("/fetch?http://{}/", server.address));
        assert!(status(&fetch) != "200", "{fetch}");
        server.signal("TERM");
        let (status, log) = server.ended();
        assert_eq!(status, Some(0), "{log}");
        assert!(log.contains("GET /nowhere 404"), "{log}");
    }
}

#[test]
fn what_takes_too_long_or_is_too_large_is_answered_so() {
    let sandbox = Sandbox::new("serve-limits");
    let server = Server::begin(&sandbox, Mode::Jit, &["--timeout", "1s", "--max-body", "1K"]);
    let began = Instant::now();
    assert_eq!(status(&server.get("/spin")), "504");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(status(&server.ask("POST /echo HTTP/1.1\r\ncontent-length: 1000000", b"")), "413");
    assert_eq!(status(&server.get("/")), "200");
}

/// A request that a guest is at, since it waits for the rest of the body, and the first byte of its answer.
fn begun(server: &Server) -> (TcpStream, String) {
    let mut stream = server.connect();
    let head = "POST /echo HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 9\r\n\r\nfirst";
    stream.write_all(head.as_bytes()).expect("it is read");
    let mut first = [0];
    stream.read_exact(&mut first).expect("the answer begins");
    (stream, String::from_utf8_lossy(&first).into_owned())
}

/// Sends the rest of the body; the whole answer.
fn finished((mut stream, first): (TcpStream, String)) -> String {
    stream.write_all(b"last").expect("it is read");
    first + &answer(&mut stream)
}

#[test]
fn a_server_that_is_full_says_so() {
    let sandbox = Sandbox::new("serve-full");
    let server = Server::begin(&sandbox, Mode::Jit, &["--max-requests", "1"]);
    let one = begun(&server);
    for _ in 0..3 {
        let full = server.get("/");
        assert!(status(&full) == "503" && full.contains("retry-after"), "{full}");
    }
    let one = finished(one);
    assert!(status(&one) == "200" && one.contains("last"), "{one}");
    // Its guest may take a moment to end.
    let began = Instant::now();
    while status(&server.get("/")) != "200" {
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_request_that_has_begun_is_answered_after_the_signal_and_no_other() {
    for signal in ["TERM", "INT"] {
        let sandbox = Sandbox::new("serve-drain");
        let server = Server::begin(&sandbox, Mode::Jit, &[]);
        let one = begun(&server);
        server.signal(signal);
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_ok() {
            assert!(began.elapsed() < Duration::from_secs(60), "connections are still taken");
        }
        let one = finished(one);
        assert!(status(&one) == "200" && one.contains("last"), "{one}");
        assert_eq!(server.ended().0, Some(0));
    }
}
