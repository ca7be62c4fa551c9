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
        Self::begin_in(sandbox, mode, flags, &[])
    }

    /// With these variables in its own environment.
    fn begin_in(sandbox: &Sandbox, mode: Mode, flags: &[&str], env: &[(&str, &str)]) -> Server {
        let mut command = mini_wasm(sandbox);
        command.envs(env.iter().copied());
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

/// Between the requests of a loop: thousands of lines of log that nobody reads would fill a pipe,
/// which then holds the server.
const BETWEEN: Duration = Duration::from_millis(10);

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
fn guests_that_compute_without_end_keep_nobody_waiting() {
    for mode in [Mode::Interp, Mode::Jit] {
        let sandbox = Sandbox::new("serve-spin");
        let server = Server::begin(
            &sandbox,
            mode,
            &[
                "--timeout",
                "20s",
                "--max-computing",
                "2",
                "--niceness",
                "7",
                "--max-requests-per-address",
                "1000",
            ],
        );
        // The full size is that of an attack, by whom nothing but time limits.
        let count = if std::env::var_os("MINI_WASM_LONG").is_some() { 600 } else { 16 };
        let mut spinning: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
        for stream in &mut spinning {
            write!(stream, "GET /spin HTTP/1.1\r\nhost: here\r\n\r\n").expect("it is read");
        }
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(status(&server.get("/")), "200");
        }
        // While they all compute: their time is not over.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let niceness = niceness_of_guests(&server);
        assert!(
            (1..=2).contains(&niceness.len())
                && niceness.iter().all(|nice| *nice == (niceness_of_this_thread() + 7).min(19)),
            "{niceness:?}"
        );
    }
}

/// The niceness of a thread, from its folder in /proc, and its name; nothing if it has ended meanwhile.
fn niceness(task: &std::path::Path) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    let (name, fields) = stat.rsplit_once(')')?;
    let name = name.split_once('(')?.1.to_owned();
    Some((name, fields.split_whitespace().nth(16)?.parse().ok()?))
}

fn niceness_of_this_thread() -> i32 {
    niceness(std::path::Path::new("/proc/thread-self")).expect("it lives").1
}

/// Of each thread on which guests compute.
fn niceness_of_guests(server: &Server) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process.id())).expect("it lives");
    let all = tasks.filter_map(|task| niceness(&task.ok()?.path()));
    all.filter(|(name, _)| name == "guest").map(|(_, nice)| nice).collect()
}

#[test]
fn a_guest_ends_when_its_client_has_gone_unless_it_is_to_be_kept() {
    for keeps in [false, true] {
        let sandbox = Sandbox::new("serve-gone");
        let mut flags = vec!["--timeout", "1h", "--max-requests", "1", "--half-close", "100ms"];
        flags.extend(keeps.then_some("--keep-abandoned"));
        let server = Server::begin(&sandbox, Mode::Jit, &flags);
        let began = Instant::now();
        let mut spinning = Vec::new();
        // Until it has the only place, and no other request.
        loop {
            let mut stream = server.connect();
            write!(stream, "GET /spin HTTP/1.1\r\nhost: here\r\n\r\n").expect("it is read");
            spinning.push(stream);
            std::thread::sleep(Duration::from_millis(100));
            if status(&server.get("/")) == "503" {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the guest does not begin");
        }
        drop(spinning);
        if keeps {
            std::thread::sleep(Duration::from_secs(2));
            assert_eq!(status(&server.get("/")), "503");
            continue;
        }
        while status(&server.get("/")) != "200" {
            std::thread::sleep(BETWEEN);
            assert!(began.elapsed() < Duration::from_secs(60), "the guest does not end");
        }
        server.signal("TERM");
        let (_, log) = server.ended();
        assert!(log.contains("GET /spin 499"), "{log}");
    }
}

#[test]
fn the_log_tells_of_answers_that_were_cut() {
    let sandbox = Sandbox::new("serve-cut");
    let server = Server::begin(&sandbox, Mode::Jit, &[]);
    let (stream, _) = begun(&server);
    drop(stream);
    // Its body was cut, and so is the answer.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(BETWEEN);
        assert_eq!(status(&server.get("/")), "200");
    }
    server.signal("TERM");
    let (_, log) = server.ended();
    assert!(
        log.lines().any(|line| line.contains("POST /echo 200") && line.contains(", cut after 5 bytes")),
        "{log}"
    );
}

#[test]
fn a_guest_that_waits_takes_no_thread() {
    let sandbox = Sandbox::new("serve-waits");
    let server = Server::begin(&sandbox, Mode::Jit, &[]);
    let threads = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("it is there");
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).expect("it says how many");
        line.trim().parse::<usize>().expect("a number")
    };
    status(&server.get("/"));
    let before = threads();
    // Each has begun its answer and waits for the rest of the body.
    let waiting: Vec<_> = (0..200).map(|_| begun(&server)).collect();
    let during = threads();
    // One that happened to be slow for some milliseconds may have got one.
    assert!(during < before + 50, "{before} threads, {during} while 200 guests wait");
    for one in waiting {
        let one = finished(one);
        assert!(status(&one) == "200" && one.contains("last"), "{one}");
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

/// A server of TLS with a certificate for `localhost` that nobody knows; the file with that certificate, and its port.
fn secure_peer(sandbox: &Sandbox) -> (String, u16) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let file = sandbox.file("certificate.pem", made.cert.pem());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("they belong together");
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(config.clone()).expect("a session");
            let mut stream = rustls::StreamOwned::new(session, stream);
            // Who does not believe the certificate goes.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsecret\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (file.to_str().expect("UTF-8").to_owned(), port)
}

#[test]
fn a_guest_asks_over_tls_whom_the_flags_allow_and_the_given_authorities_vouch_for() {
    let sandbox = Sandbox::new("serve-tls");
    let (file, port) = secure_peer(&sandbox);
    let allowed = format!("--allow-http=localhost:{port}");
    let ask = |server: &Server| server.get(&format!("/fetch?https://localhost:{port}/"));
    for (flags, env, expected) in [
        (vec!["--ca-file", &file, &allowed], vec![], "secret\n"),
        (vec![&*allowed], vec![("SSL_CERT_FILE", &*file)], "secret\n"),
        (vec![&*allowed], vec![], "TlsCertificateError"),
        (vec!["--ca-file", &file], vec![], "HttpRequestDenied"),
        (vec!["--ca-file", &file, "--allow-http=localhost:1"], vec![], "DestinationIpProhibited"),
        (vec!["--ca-file", &file, &allowed, "--max-response", "6"], vec![], "HttpResponseBodySize"),
    ] {
        let server = Server::begin_in(&sandbox, Mode::Interp, &flags, &env);
        let answer = ask(&server);
        assert!(answer.contains(expected), "{flags:?} {env:?}: {answer}");
    }
}

#[test]
fn curl_is_served_over_both_versions_if_it_is_there() {
    let sandbox = Sandbox::new("serve-curl");
    let server = Server::begin(&sandbox, Mode::Interp, &[]);
    let body = sandbox.file("body", vec![b'x'; 300_000]);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut curl = std::process::Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail",
            version,
            "--write-out",
            "%{http_version}",
            "--data-binary",
        ]);
        curl.arg(format!("@{}", body.display())).arg(format!("http://{}/echo", server.address));
        let Ok(output) = curl.output() else {
            println!("skipped: there is no `curl`");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        if String::from_utf8_lossy(&output.stderr).contains("does not support") {
            println!("skipped: this `curl` does not know {version}");
            continue;
        }
        let said = text.trim_start_matches('x');
        assert_eq!(
            (text.len() - said.len(), said),
            (300_000, if version == "--http1.1" { "1.1" } else { "2" })
        );
    }
}
