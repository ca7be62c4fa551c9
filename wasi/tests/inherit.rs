//! Inherited standard streams, in child processes whose streams are pipes of this one. Without the usual harness: a child
//! must have its streams for itself.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio, exit};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_wasi::cli::{stdin::get_stdin, stdout::get_stdout, terminal_stdout::get_terminal_stdout};
use mini_wasm_wasi::io::streams::{StreamError, input_stream, output_stream};
use mini_wasm_wasi::{Stop, Wasi};

/// What a child does, and what this process expects of it.
type Case = (&'static str, fn(), fn(Child));

const CASES: [Case; 5] = [
    ("no more is read from stdin than the guest asks for", reads_three, expects_the_rest),
    ("a reader that goes away closes stdout and does not kill the host", writes_until_closed, goes_away),
    ("a read of a silent stdin ends at the deadline", reads_in_vain, keeps_silent),
    ("a write to a full stdout ends at the deadline", writes_in_vain, never_reads),
    ("a pipe is no terminal", asks_for_a_terminal, expects_success),
];

fn main() {
    if let Ok(name) = std::env::var("MINI_WASM_CHILD") {
        let (_, child, _) = CASES.iter().find(|(known, ..)| *known == name).unwrap();
        child();
        exit(0);
    }
    for (name, _, parent) in CASES {
        let child = Command::new(std::env::current_exe().unwrap())
            .env("MINI_WASM_CHILD", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parent(child);
        println!("test {name} ... ok");
    }
    println!("test result: ok. {} passed; 0 failed", CASES.len());
}

fn inherited() -> Wasi {
    Wasi::builder().inherit_stdio().build()
}

fn hurried() -> Wasi {
    Wasi::builder().inherit_stdio().deadline(Arc::new(Instant::now() + Duration::from_millis(100))).build()
}

fn reads_three() {
    let mut wasi = inherited();
    let (input, output) = (get_stdin(&mut wasi).unwrap(), get_stdout(&mut wasi).unwrap());
    let mut read = Vec::new();
    while read.len() < 3 {
        let len = 3 - read.len() as u64;
        read.extend(input_stream::blocking_read(&mut wasi, input.borrow(), len).unwrap().unwrap());
    }
    output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), read).unwrap().unwrap();
    // Somebody else reads on.
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
    output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), b"|".to_vec()).unwrap().unwrap();
    output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), rest).unwrap().unwrap();
    let end = input_stream::blocking_read(&mut wasi, input.borrow(), 1).unwrap();
    assert_eq!(end, Err(StreamError::Closed));
}

fn expects_the_rest(mut child: Child) {
    child.stdin.take().unwrap().write_all(b"abcdef").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"abc|def");
}

fn writes_until_closed() {
    let mut wasi = inherited();
    let (input, output) = (get_stdin(&mut wasi).unwrap(), get_stdout(&mut wasi).unwrap());
    // Until the other end is gone.
    let _ = input_stream::blocking_read(&mut wasi, input.borrow(), 1).unwrap();
    for _ in 0..2 {
        let written =
            output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), vec![0; 10]).unwrap();
        assert_eq!(written, Err(StreamError::Closed));
    }
    assert_eq!(output_stream::check_write(&mut wasi, output.borrow()).unwrap(), Err(StreamError::Closed));
}

fn goes_away(mut child: Child) {
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    assert!(child.wait().unwrap().success());
}

fn reads_in_vain() {
    let mut wasi = hurried();
    let input = get_stdin(&mut wasi).unwrap();
    assert_eq!(input_stream::read(&mut wasi, input.borrow(), 1).unwrap(), Ok(vec![]));
    assert_eq!(input_stream::blocking_read(&mut wasi, input.borrow(), 1), Err(Stop::Deadline));
}

fn keeps_silent(mut child: Child) {
    let stdin = child.stdin.take();
    assert!(child.wait().unwrap().success());
    drop(stdin);
}

fn writes_in_vain() {
    let mut wasi = hurried();
    let output = get_stdout(&mut wasi).unwrap();
    let mut written = 0;
    let stop = loop {
        match output_stream::blocking_write_and_flush(&mut wasi, output.borrow(), vec![0; 4096]) {
            Ok(result) => result.unwrap(),
            Err(stop) => break stop,
        }
        written += 4096;
    };
    assert_eq!(stop, Stop::Deadline);
    assert!(written > 0);
}

fn never_reads(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

fn asks_for_a_terminal() {
    assert_eq!(get_terminal_stdout(&mut inherited()).unwrap(), None);
}

fn expects_success(mut child: Child) {
    assert!(child.wait().unwrap().success());
}
