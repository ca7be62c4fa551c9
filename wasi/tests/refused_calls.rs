//! Newer calls of the system that a filter refuses, as a container's does: everything works all the same. A filter is for
//! good, so each stands in a process of its own, in the thread that does the work there.

#![expect(unsafe_code, reason = "nothing safe installs a filter of system calls")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{DescriptorFlags, NewTimestamp, OpenFlags, PathFlags};
use mini_wasm_wasi::io::streams::{input_stream, output_stream};
use mini_wasm_wasi::random::random::get_random_bytes;
use mini_wasm_wasi::sockets::instance_network::instance_network;
use mini_wasm_wasi::sockets::network::IpAddressFamily;
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::sockets::tcp::tcp_socket;
use mini_wasm_wasi::sockets::tcp_create_socket::create_tcp_socket;
use mini_wasm_wasi::{Own, Resolution, Wasi, io};

#[expect(dead_code, reason = "another test has more use for it")]
#[path = "host/sandbox.rs"]
mod sandbox;

use sandbox::{CREATE, FOLLOW, Guest, NONE, READ, Sandbox, WRITE};

/// Says to a process which calls are refused to it, and with what.
const REFUSED: &str = "MINI_WASM_TEST_REFUSED";

/// A call that the crate uses and Linux 3.2, the oldest that Rust's library runs on, has not or not whole; RATIONALE.md says what
/// takes its place. `fcntl` is refused for the one thing that appending without `pwritev2` asks of it.
const NEWER: [(&str, libc::c_long); 3] =
    [("openat2", libc::SYS_openat2), ("pwritev2", libc::SYS_pwritev2), ("getrandom", libc::SYS_getrandom)];
/// Calls that are not used, so that no kernel and no filter needs to have them.
const UNUSED: [(&str, libc::c_long); 9] = [
    ("statx", libc::SYS_statx),
    ("preadv2", libc::SYS_preadv2),
    ("renameat2", libc::SYS_renameat2),
    ("copy_file_range", libc::SYS_copy_file_range),
    ("memfd_create", libc::SYS_memfd_create),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("epoll_pwait2", libc::SYS_epoll_pwait2),
    ("close_range", libc::SYS_close_range),
    ("faccessat2", libc::SYS_faccessat2),
];

/// What filters and file systems answer. `openat2` and `getrandom` are refused by the first two only: what the others mean of
/// them is no refusal.
const ANSWERS: [i32; 4] = [libc::ENOSYS, libc::EPERM, libc::EOPNOTSUPP, libc::EINVAL];

/// From now on the calling thread gets `answer` from these calls, and from `fcntl(F_SETFL)` if that `too`.
fn refuse(calls: &[libc::c_long], answer: i32, modes_too: bool) {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const IS: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const GIVE: u16 = 0x06; // BPF_RET | BPF_K
    const ALLOW: u32 = 0x7fff_0000;
    const NUMBER: u32 = 0;
    const SECOND: u32 = 24;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let error = step(GIVE, 0, 0, 0x0005_0000 | answer as u32);
    let mut program = vec![step(LOAD, 0, 0, NUMBER)];
    for call in calls {
        program.extend([step(IS, 0, 1, *call as u32), error]);
    }
    if modes_too {
        program.extend([
            step(IS, 0, 3, libc::SYS_fcntl as u32),
            step(LOAD, 0, 0, SECOND),
            step(IS, 0, 1, libc::F_SETFL as u32),
            error,
        ]);
    }
    program.push(step(GIVE, 0, 0, ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the calls read `filter` and the `program` that it points to, which outlive them, and keep neither.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Does with files, sockets and the rest whatever may use a newer call.
fn everything_works() {
    let sandbox = Sandbox::new();
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let mut loopback = Network::nothing();
        loopback.allow("127.0.0.1".parse().unwrap());
        let mut builder = Wasi::builder();
        builder.network(loopback).resolution(resolution).preopen(sandbox.inside(""), "/", false).unwrap();
        let mut guest = Guest::of(builder.build());
        guest.mkdir("d").unwrap();
        guest.write("d/f", b"one two").unwrap();
        guest.symlink("d/f", "s").unwrap();
        assert_eq!(guest.read("s").unwrap(), b"one two");
        assert_eq!(guest.stat(FOLLOW, "s").unwrap().size, 7);
        assert!(guest.open("../outside/canary", NONE, READ).is_err());
        appends(&mut guest);
        guest.rename("d/f", "d/g").unwrap();
        guest.link(PathFlags::empty(), "d/g", "d/h").unwrap();
        assert_eq!(guest.list("d").unwrap(), ["g", "h"]);
        let dir = guest.dir.borrow();
        let (now, keep) = (NewTimestamp::Now, NewTimestamp::NoChange);
        let set = descriptor::set_times_at(&mut guest.wasi, dir, FOLLOW, "s".into(), now, keep);
        assert!(set.unwrap().is_err(), "it leads nowhere now");
        for name in ["d/g", "d/h", "s", "log"] {
            guest.unlink(name).unwrap();
        }
        guest.rmdir("d").unwrap();
        let random = get_random_bytes(&mut guest.wasi, 64).unwrap();
        assert!(random.iter().any(|byte| *byte != random[0]));
        connects(&mut guest.wasi);
        sandbox.check_canary();
    }
}

/// Appending, with positioned writes in between that it must not lead to the end.
fn appends(guest: &mut Guest) {
    let file = guest.open("log", CREATE, READ | WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let stream = descriptor::append_via_stream(wasi, file.borrow()).unwrap().unwrap();
    let append = |wasi: &mut Wasi, text: &str| {
        output_stream::blocking_write_and_flush(wasi, stream.borrow(), text.into()).unwrap().unwrap();
    };
    append(wasi, "first ");
    append(wasi, "second ");
    assert_eq!(descriptor::write(wasi, file.borrow(), b"F".to_vec(), 0).unwrap(), Ok(1));
    append(wasi, "third");
    let (read, _) = descriptor::read(wasi, file.borrow(), 100, 0).unwrap().unwrap();
    assert_eq!(read, b"First second third");
    // A descriptor that cannot be written is an error by either way.
    let none: OpenFlags = NONE;
    let reader = guest.open("log", none, DescriptorFlags::READ).unwrap();
    assert!(descriptor::append_via_stream(&mut guest.wasi, reader.borrow()).unwrap().is_err());
}

fn connects(wasi: &mut Wasi) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let network = instance_network(wasi).unwrap();
    let socket = create_tcp_socket(wasi, IpAddressFamily::Ipv4).unwrap().unwrap();
    tcp_socket::start_connect(wasi, socket.borrow(), network.borrow(), to.into()).unwrap().unwrap();
    let connected = tcp_socket::subscribe(wasi, socket.borrow()).unwrap();
    io::poll::block(wasi, connected.borrow()).unwrap();
    let (input, output): (Own<_>, Own<_>) =
        tcp_socket::finish_connect(wasi, socket.borrow()).unwrap().unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    output_stream::blocking_write_and_flush(wasi, output.borrow(), b"ping".to_vec()).unwrap().unwrap();
    let mut bytes = [0; 4];
    peer.read_exact(&mut bytes).unwrap();
    peer.write_all(&bytes).unwrap();
    assert_eq!(input_stream::blocking_read(wasi, input.borrow(), 4).unwrap(), Ok(b"ping".to_vec()));
}

#[test]
fn everything_works_whatever_newer_call_is_refused() {
    if let Ok(refused) = std::env::var(REFUSED) {
        let (answer, names) = refused.split_once(' ').unwrap();
        let all = NEWER.iter().chain(&UNUSED);
        let calls: Vec<_> = all.filter(|(name, _)| names.contains(name)).map(|(_, call)| *call).collect();
        refuse(&calls, answer.parse().unwrap(), names.contains("F_SETFL"));
        everything_works();
        return;
    }
    let names =
        |list: &[(&str, libc::c_long)]| list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    for answer in ANSWERS {
        let is_refusal_of_all = [libc::ENOSYS, libc::EPERM].contains(&answer);
        let mut cases = vec!["pwritev2".to_owned(), "pwritev2 F_SETFL".to_owned(), names(&UNUSED)];
        if is_refusal_of_all {
            cases.extend(["openat2".to_owned(), "getrandom".to_owned()]);
            cases.push(format!("{} {} F_SETFL", names(&NEWER), names(&UNUSED)));
        } else {
            cases.push("openat2".to_owned());
        }
        for case in cases {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "everything_works_whatever_newer_call_is_refused", "--nocapture"])
                .env(REFUSED, format!("{answer} {case}"))
                .output()
                .unwrap();
            assert!(child.status.success(), "{case} ({answer}): {child:?}");
        }
    }
}

#[test]
fn a_filter_refuses_what_it_is_told_to() {
    // In a thread of its own, which ends with the test.
    std::thread::spawn(|| {
        refuse(&[libc::SYS_getppid], libc::ENOSYS, true);
        // SAFETY: it takes nothing and changes nothing.
        assert_eq!(unsafe { libc::syscall(libc::SYS_getppid) }, -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS));
        let file = fs::File::open("/dev/null").unwrap();
        let mode = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(rustix::fs::fcntl_setfl(&file, mode | rustix::fs::OFlags::APPEND).is_err());
    })
    .join()
    .unwrap();
}
