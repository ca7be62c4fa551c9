//! No client and no guest of the server keeps the others from being served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mini_wasm_wasi::http::server::{Asked, Handler, Limits, on_threads};

use super::serve::{at_work, connect, exchange, hello, measure, rest, serve, serve_by};

/// A connection from this address of the loopback network.
fn connect_from(source: &str, address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &format!("{source}:0").parse::<SocketAddr>().unwrap()).unwrap();
    connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
/// Its guest waits for a body that does not come.
const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";

fn ask(mut stream: TcpStream, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    rest(&mut stream)
}

/// A server whose guests measure bodies, and how many requests they have begun with.
fn measuring(limits: Limits) -> (SocketAddr, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let handler = on_threads(move |asked| {
        counted.fetch_add(1, Ordering::SeqCst);
        at_work(measure, asked)
    });
    (serve_by(limits, handler), begun)
}

/// As many requests as are asked for, whose guests wait for bodies.
fn held((address, begun): &(SocketAddr, Arc<AtomicUsize>), count: usize) -> Vec<TcpStream> {
    let began = Instant::now();
    let one = |already: usize| {
        let stream = begin(connect(*address), POST);
        while begun.load(Ordering::SeqCst) <= already {
            assert!(began.elapsed() < Duration::from_secs(30), "the guest does not begin");
            std::thread::sleep(Duration::from_millis(1));
        }
        stream
    };
    (0..count).map(one).collect()
}

/// Sends a request and leaves it at that.
fn begin(mut stream: TcpStream, request: &[u8]) -> TcpStream {
    stream.write_all(request).unwrap();
    stream
}

/// Asks until the status is this one.
fn until_status(status: &str, mut ask: impl FnMut() -> String) {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.split(' ').nth(1) == Some(status) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no {status}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_address_has_its_share_of_requests() {
    let limits = Limits {
        requests: 20,
        requests_per_address: Some(3),
        body_grace: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = measuring(limits);
    let address = server.0;
    let mut held = held(&server, 3);
    let answer = ask(connect(address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let answer = ask(connect_from("127.0.0.2", address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // What one has back another one may have.
    held.pop().unwrap().write_all(b"123456789").unwrap();
    until_status("200", || ask(connect(address), GET_AND_CLOSE));
}

#[test]
fn the_last_requests_are_kept_for_who_has_none() {
    let limits = Limits {
        requests: 10,
        requests_per_address: Some(10),
        kept_for_new: 20,
        body_grace: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = measuring(limits);
    let address = server.0;
    let _held = held(&server, 8);
    let answer = ask(connect(address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for source in ["127.0.0.2", "127.0.0.3"] {
        let answer = ask(connect_from(source, address), GET_AND_CLOSE);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn a_burst_of_one_address_does_not_come_before_the_next_ones_request() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    // Short enough to be done on the network's threads.
    let handler: Arc<Handler> = Arc::new(move |asked| {
        let counted = counted.clone();
        Box::pin(async move {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(500));
            at_work(hello, asked)
        })
    });
    let address = serve_by(Limits::default(), handler);
    // Many connections, each with many requests; of its answers nobody reads any.
    let burst: Vec<_> =
        (0..200).map(|_| begin(connect_from("127.0.0.2", address), &GET.repeat(50))).collect();
    let began = Instant::now();
    while begun.load(Ordering::SeqCst) < 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "the burst is not served");
        std::thread::sleep(Duration::from_millis(1));
    }
    let already = begun.load(Ordering::SeqCst);
    let answer = ask(connect_from("127.0.0.3", address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let before = begun.load(Ordering::SeqCst) - already;
    assert!(before < 2_000, "{before} requests came before it, and {already} had come already");
    drop(burst);
}

#[test]
fn an_address_has_its_share_of_connections() {
    let address = serve(Limits { connections_per_address: Some(2), ..Limits::default() }, measure);
    let held = [connect(address), connect(address)];
    // Which have been accepted, and hold theirs without a word.
    until_status("503", || rest(&mut connect(address)));
    let answer = ask(connect_from("127.0.0.2", address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(held);
    until_status("200", || {
        let mut stream = connect(address);
        let _ = stream.write_all(GET_AND_CLOSE);
        rest(&mut stream)
    });
}

#[test]
fn connections_that_ask_for_nothing_end_in_both_versions() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let address = serve(limits, measure);
    let mut settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    settings.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for beginning in [GET, &settings] {
        let mut stream = connect(address);
        stream.write_all(beginning).unwrap();
        let began = Instant::now();
        rest(&mut stream);
        // Not for want of a head.
        assert!(began.elapsed() < Duration::from_secs(9), "{}", String::from_utf8_lossy(beginning));
    }
    // A head that has begun has the time of a head.
    let mut stream = connect(address);
    stream.write_all(GET).unwrap();
    let mut bytes = [0; 4096];
    while !String::from_utf8_lossy(&bytes).contains("0 lengths") {
        let at = bytes.iter().position(|byte| *byte == 0).unwrap();
        assert!(stream.read(&mut bytes[at..]).unwrap() > 0);
    }
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconn").unwrap();
    std::thread::sleep(Duration::from_millis(900));
    stream.write_all(b"ection: close\r\n\r\n").unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_connection_that_is_old_takes_no_more_requests() {
    let limits = Limits { age: Duration::from_millis(300), ..Limits::default() };
    let address = serve(limits, measure);
    let mut stream = connect(address);
    let began = Instant::now();
    let mut bytes = [0; 4096];
    loop {
        // It is closed between two requests, or says that it will be.
        match stream.write_all(GET).and_then(|()| stream.read(&mut bytes)) {
            Err(_) | Ok(0) => break,
            Ok(_) => {}
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is kept for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn requests_whose_bodies_do_not_come_leave_their_places_to_others() {
    let limits = Limits { requests: 2, body_grace: Duration::from_millis(200), ..Limits::default() };
    let server = measuring(limits);
    let address = server.0;
    let mut held = held(&server, 2);
    // Full at first, and soon one of them has waited for too long.
    until_status("200", || ask(connect(address), GET_AND_CLOSE));
    let answers: Vec<_> = held.iter_mut().map(first_line).collect();
    assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 408 ")), "{answers:?}");
}

/// What comes within a moment.
fn first_line(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut bytes = [0; 256];
    let read = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// A guest that computes for this many milliseconds, in turns of five, and answers.
fn computes(milliseconds: u64, at_work: Arc<AtWork>) -> impl FnOnce(Asked) -> Computes {
    move |asked| Computes { left: milliseconds, at_work, asked: Some(asked) }
}

struct Computes {
    left: u64,
    at_work: Arc<AtWork>,
    asked: Option<Asked>,
}

/// How many of them compute at once on the threads for that: now, and at most.
#[derive(Default)]
struct AtWork {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Future for Computes {
    type Output = Result<(), String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(match self.asked.take() {
                Some(asked) => at_work(hello, asked),
                None => Err("polled after its end".to_owned()),
            });
        }
        let is_shared = std::thread::current().name() == Some("guest");
        if is_shared {
            let now = self.at_work.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.at_work.most.fetch_max(now, Ordering::SeqCst);
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(5) {}
        self.left = self.left.saturating_sub(5);
        if is_shared {
            self.at_work.now.fetch_sub(1, Ordering::SeqCst);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn guests_that_compute_share_a_few_threads_and_the_one_that_wants_least_is_done_first() {
    let at_work = Arc::new(AtWork::default());
    let counted = at_work.clone();
    let handler: Arc<Handler> = Arc::new(move |asked| {
        let milliseconds = if asked.path() == "/long" { u64::MAX } else { 100 };
        Box::pin(computes(milliseconds, counted.clone())(asked))
    });
    let limits = Limits { computing: 2, request: Duration::from_secs(20), ..Limits::default() };
    let address = serve_by(limits, handler);
    let mut long: Vec<_> = (0..30).map(|_| connect(address)).collect();
    for stream in &mut long {
        stream.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    // Turns in a ring of 31 would take 20 * 31 * 5 ms by one thread: 3 s. By what each has computed it is a part of that.
    let began = Instant::now();
    let answer = ask(connect_from("127.0.0.2", address), GET_AND_CLOSE);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let most = at_work.most.load(Ordering::SeqCst);
    assert!((1..=2).contains(&most), "{most} at once");
}

/// Whether its drop was seen.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_guest_whose_client_has_gone_is_stopped_unless_it_is_to_be_kept() {
    for keep_abandoned in [false, true] {
        let stopped = Arc::new(AtomicUsize::new(0));
        let seen = stopped.clone();
        let handler: Arc<Handler> = Arc::new(move |asked| {
            let dropped = Dropped(seen.clone());
            let path = asked.path().to_owned();
            Box::pin(async move {
                let _dropped = dropped;
                let asked = asked;
                match &*path {
                    "/waits" => std::future::pending().await,
                    _ => computes(u64::MAX, Arc::default())(asked).await,
                }
            })
        });
        let limits = Limits {
            keep_abandoned,
            half_close: Duration::from_millis(200),
            request: Duration::from_secs(20),
            ..Limits::default()
        };
        let address = serve_by(limits, handler);
        for path in ["/waits", "/computes"] {
            let mut stream = connect(address);
            write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            std::thread::sleep(Duration::from_millis(300));
            drop(stream);
        }
        let began = Instant::now();
        if keep_abandoned {
            std::thread::sleep(Duration::from_millis(1500));
            assert_eq!(stopped.load(Ordering::SeqCst), 0);
        }
        while !keep_abandoned && stopped.load(Ordering::SeqCst) < 2 {
            assert!(began.elapsed() < Duration::from_secs(15), "{stopped:?} of two were stopped");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_server_with_few_connections_takes_the_next_when_one_ends() {
    let address = serve(Limits { connections: 1, ..Limits::default() }, measure);
    let one = connect(address);
    let two = std::thread::spawn(move || exchange(address, GET_AND_CLOSE));
    std::thread::sleep(Duration::from_millis(100));
    drop(one);
    let answer = two.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
