//! The protocol by which a runner of WASI's test suite drives an implementation: what its adapter needs to know of ours, and what
//! it then relies on.

use crate::sandbox::Sandbox;
use crate::{end, guests, mini_wasm};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// An adapter's `compute_argv`: the words behind the binary's name.
fn argv(test: &Path, args: &[&str], env: &[(&str, &str)], root: Option<&Path>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["run".into()];
    for (name, value) in env {
        words.extend(["--env".into(), format!("{name}={value}").into()]);
    }
    if let Some(root) = root {
        let mut dir = root.as_os_str().to_owned();
        dir.push("::/");
        words.extend(["--dir".into(), dir]);
    }
    words.push(test.into());
    words.extend(args.iter().map(OsString::from));
    words
}

/// Both forms of a program that prints its arguments, its environment and what it reads.
const HELLO: [&str; 2] = ["bin/rust-hello.wasm", "bin/p1-rust-hello.wasm"];

#[test]
fn the_second_word_of_the_version_is_the_version() {
    let sandbox = Sandbox::new("runner-version");
    let version = end(&sandbox, mini_wasm(&sandbox).arg("--version"));
    let words: Vec<&str> = version.stdout.split_whitespace().collect();
    assert_eq!(words, ["mini-wasm", env!("CARGO_PKG_VERSION")]);
}

#[test]
fn arguments_and_environment_are_as_given_and_nothing_else_is_there() {
    for guest in HELLO {
        let sandbox = Sandbox::new("runner-given");
        let mut command = mini_wasm(&sandbox);
        command.env("LEAK", "it must not arrive");
        let args = ["--help", "", "a b", "-", "--", "grün"];
        command.args(argv(&guests().join(guest), &args, &[("A", "1"), ("EMPTY", ""), ("B", "x=y z")], None));
        let ended = end(&sandbox, &mut command);
        assert_eq!(ended.status, 0, "{ended:?}");
        let mut lines = ended.stdout.lines();
        assert_eq!(lines.next(), Some(&*format!("arguments: {args:?}")));
        assert_eq!(lines.next(), Some(r#"environment: {"A": "1", "B": "x=y z", "EMPTY": ""}"#));
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn the_exit_code_arrives_whole() {
    // A component made by Rust's library has but 0 and 1 to say.
    for (guest, code) in [(HELLO[1], 0), (HELLO[1], 2), (HELLO[1], 33), (HELLO[1], 125), (HELLO[0], 1)] {
        let sandbox = Sandbox::new("runner-exit");
        let arg = format!("exit={code}");
        let ended = end(&sandbox, mini_wasm(&sandbox).args(argv(&guests().join(guest), &[&arg], &[], None)));
        assert_eq!(ended.status, code, "{ended:?}");
    }
    let trap = guests().join(HELLO[1]);
    let sandbox = Sandbox::new("runner-trap");
    assert_eq!(end(&sandbox, mini_wasm(&sandbox).args(argv(&trap, &["panic"], &[], None))).status, 134);
}

#[test]
fn the_root_is_what_the_guest_finds_at_the_top() {
    for guest in ["bin/rust-files.wasm", "bin/p1-rust-files.wasm"] {
        let sandbox = Sandbox::new("runner-root");
        let root = sandbox.path("root");
        std::fs::create_dir(&root).expect("a folder");
        std::fs::write(root.join("given.txt"), "given").expect("a file");
        let ended =
            end(&sandbox, mini_wasm(&sandbox).args(argv(&guests().join(guest), &["/"], &[], Some(&root))));
        assert_eq!(ended.status, 0, "{ended:?}");
    }
}

#[test]
fn a_line_can_be_read_as_soon_as_the_guest_has_written_it() {
    for guest in HELLO {
        let sandbox = Sandbox::new("runner-lines");
        let mut command = mini_wasm(&sandbox);
        command.args(argv(&guests().join(guest), &[], &[], None));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, "arguments: []\n");
        // It has not read yet what it writes about next.
        let mut stdin = process.stdin.take().expect("it is piped");
        stdin.write_all(b"one two\ntwo\n").expect("it is read");
        drop(stdin);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("the rest");
        assert!(rest.contains("stdin: 2 lines, words [(\"two\", 2), (\"one\", 1)]\n"), "{rest}");
        assert_eq!(process.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn a_server_names_its_url_first_and_ends_well_when_it_is_interrupted() {
    let sandbox = Sandbox::new("runner-serve");
    let mut command = mini_wasm(&sandbox);
    command
        .args(["serve", "--addr", "127.0.0.1:0", "--env", "A=1"])
        .arg(guests().join("bin/http-server.wasm"));
    let mut process = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(process.stderr.take().expect("it is piped"));
    let mut first = String::new();
    stderr.read_line(&mut first).expect("a line");
    let url = first.find("http://").map(|at| first[at..].trim_end()).expect(&first);
    let address = url.strip_prefix("http://").and_then(|url| url.strip_suffix('/')).expect(url);
    let address: std::net::SocketAddr = address.parse().expect(address);
    assert!(address.port() != 0, "the real one");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens when it has said so");
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello\n"), "{answer}");
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().expect("`kill` is there").success());
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
}
