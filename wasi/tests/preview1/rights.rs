//! Rights that a guest gives up, and what a read-only grant never gave.

use std::fs;

use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::Errno;

use crate::guest::*;
use crate::sandbox::{Sandbox, both};

const PATH_OPEN: u64 = 1 << 13;

#[test]
fn rights_given_up_are_gone() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("f"), "x").unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let file = guest.open("f", 0, FD_READ | FD_WRITE | FD_SEEK | FD_TELL).unwrap();
        let set = |guest: &mut Guest, fd: u32, base: u64, inheriting: u64| {
            guest.call("fd_fdstat_set_rights", &[fd.into(), base, inheriting])
        };
        assert_eq!(set(&mut guest, file, FD_READ | FD_TELL, 0), Errno::Success);
        assert_eq!(set(&mut guest, file, FD_READ | FD_WRITE, 0), Errno::NotCapable, "not back");
        assert_eq!(set(&mut guest, file, FD_READ | FD_TELL, FD_READ), Errno::NotCapable);
        assert_eq!(set(&mut guest, file, 1 << 40, 0), Errno::Inval);
        assert_eq!(guest.write_fd(file, b"y"), Err(Errno::NotCapable));
        assert_eq!(guest.call("fd_seek", &[file.into(), 1, 0, OUT.into()]), Errno::NotCapable);
        assert_eq!(guest.call("fd_seek", &[file.into(), 0, 1, OUT.into()]), Errno::Success, "only tells");
        assert_eq!(guest.read_fd(file, 1), Ok(b"x".to_vec()));
        // What is opened through a directory has no right that the directory does not pass on.
        assert_eq!(set(&mut guest, DIR, PATH_OPEN, FD_READ), Errno::Success);
        assert_eq!(guest.open("f", 0, FD_READ | FD_WRITE), Err(Errno::NotCapable));
        assert_eq!(guest.at("path_create_directory", DIR, "d"), Errno::NotCapable);
        assert_eq!(guest.open("new", CREAT, 0), Err(Errno::NotCapable));
        let [at, len] = guest.path(PATH, "f");
        let args = |inheriting| [DIR.into(), 0, at, len, 0, FD_READ, inheriting, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &args(FD_WRITE)), Errno::NotCapable);
        assert_eq!(guest.call("path_open", &args(0)), Errno::Success);
        assert_eq!(set(&mut guest, DIR, 0, 0), Errno::Success);
        assert_eq!(guest.call("path_open", &args(0)), Errno::NotCapable);
    });
}

#[test]
fn a_right_that_was_not_asked_for_is_not_missed_but_for_reading_and_writing() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("f"), "x").unwrap();
        fs::create_dir(sandbox.inside("d")).unwrap();
        fs::write(sandbox.inside("d/f"), "yy").unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let file = guest.open("f", 0, FD_READ).unwrap();
        assert_eq!(guest.call("fd_filestat_get", &[file.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.call("fd_seek", &[file.into(), 0, 2, OUT.into()]), Errno::Success);
        assert_eq!(guest.call("fd_sync", &[file.into()]), Errno::Success);
        assert_eq!(guest.write_fd(file, b"y"), Err(Errno::BadF));
        assert_eq!(guest.call("fd_fdstat_get", &[file.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.u64(OUT + 8), FD_READ, "what was asked for");
        let dir = guest.open("d", DIRECTORY, 0).unwrap();
        let [at, len] = guest.path(PATH, "f");
        let open = |guest: &mut Guest| {
            guest.call("path_open", &[dir.into(), 0, at, len, 0, FD_READ, 0, 0, OUT.into()])
        };
        assert_eq!(open(&mut guest), Errno::Success);
        // What the grant no longer passes on is lost on the whole way.
        let all = guest.call("fd_fdstat_get", &[DIR.into(), OUT.into()]);
        assert_eq!(all, Errno::Success);
        let (base, inheriting) = (guest.u64(OUT + 8), guest.u64(OUT + 16));
        let set = guest.call("fd_fdstat_set_rights", &[DIR.into(), base, inheriting & !FD_READ]);
        assert_eq!(set, Errno::Success);
        let [at, len] = guest.path(PATH, "d");
        let below = [DIR.into(), 0, at, len, DIRECTORY.into(), 0, 0, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &below), Errno::Success);
        let dir = u64::from(guest.u32(OUT));
        let [at, len] = guest.path(PATH, "f");
        let opened = guest.call("path_open", &[dir, 0, at, len, 0, FD_READ, 0, 0, OUT.into()]);
        assert_eq!(opened, Errno::NotCapable);
    });
}

// GHSA-2r75-cxrj-cmph (CVE-2026-47261), GHSA-4ch3-9j33-3pmj (CVE-2026-58494).
#[test]
fn nothing_changes_beneath_a_read_only_directory() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("f"), "keep").unwrap();
        fs::create_dir(sandbox.inside("d")).unwrap();
        std::os::unix::fs::symlink("f", sandbox.inside("s")).unwrap();
        let before = fs::metadata(sandbox.inside("f")).unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, true);
        for (oflags, rights) in
            [(TRUNC, FD_READ), (TRUNC, 0), (CREAT, FD_READ), (0, FD_WRITE), (0, 1 << 8), (0, 1 << 22)]
        {
            assert_eq!(guest.open("f", oflags, rights), Err(Errno::RoFs), "{oflags} {rights}");
        }
        assert_eq!(guest.open("new", CREAT, FD_READ), Err(Errno::RoFs));
        for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
            assert_eq!(guest.at(name, DIR, "f"), Errno::RoFs, "{name}");
        }
        assert_eq!(guest.symlink("f", "t"), Errno::RoFs);
        assert_eq!(guest.rename(DIR, "f", DIR, "g"), Errno::RoFs);
        assert_eq!(guest.link(DIR, false, "f", DIR, "g"), Errno::RoFs);
        let [at, len] = guest.path(PATH, "f");
        assert_eq!(guest.call("path_filestat_set_times", &[DIR.into(), 0, at, len, 0, 0, 5]), Errno::RoFs);
        assert_eq!(guest.call("fd_filestat_set_times", &[DIR.into(), 0, 0, 5]), Errno::RoFs);
        // What is opened through it inherits that.
        let dir =
            guest.open("d", DIRECTORY, ALL_RIGHTS & !FD_WRITE & !(1 << 8) & !(1 << 22) & !FD_READ).unwrap();
        assert_eq!(guest.at("path_create_directory", dir, "x"), Errno::RoFs);
        let file = guest.open("f", 0, FD_READ | 1 << 23).unwrap();
        assert_eq!(guest.call("fd_filestat_set_times", &[file.into(), 0, 0, 5]), Errno::RoFs);
        assert_eq!(guest.read_fd(file, 10), Ok(b"keep".to_vec()));
        let after = fs::metadata(sandbox.inside("f")).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
        assert_eq!(fs::read(sandbox.inside("f")).unwrap(), b"keep");
        assert_eq!(fs::read_dir(sandbox.inside("")).unwrap().count(), 3);
    });
}

#[test]
fn both_ends_of_a_link_or_rename_must_be_writable() {
    both(|sandbox, resolution| {
        for dir in ["ro", "rw"] {
            fs::create_dir(sandbox.inside(dir)).unwrap();
            fs::write(sandbox.inside(&format!("{dir}/f")), dir).unwrap();
        }
        let mut builder = Wasi::builder();
        builder.resolution(resolution);
        builder.preopen(sandbox.inside("ro"), "/ro", true).unwrap();
        builder.preopen(sandbox.inside("rw"), "/rw", false).unwrap();
        let mut guest = Guest::of(builder.build());
        let (ro, rw) = (3, 4);
        for (from, to) in [(ro, rw), (rw, ro), (ro, ro)] {
            assert_eq!(guest.rename(from, "f", to, "g"), Errno::RoFs);
            assert_eq!(guest.link(from, false, "f", to, "g"), Errno::RoFs);
        }
        assert_eq!(guest.rename(rw, "f", rw, "g"), Errno::Success);
        assert_eq!(fs::read(sandbox.inside("ro/f")).unwrap(), b"ro");
    });
}

// GHSA-fm79-3f68-h2fc (CVE-2025-53901): renumbering to what is closed, or to itself, ended the host.
#[test]
fn renumbering_works_for_all_pairs_and_never_ends_the_host() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "x").unwrap();
    for from in [0, 2, 3, 4, 5, 99, u32::MAX] {
        for to in [0, 2, 3, 4, 5, 99, u32::MAX] {
            let mut guest = Guest::in_sandbox(&sandbox, Default::default(), false);
            let open = [0, 1, 2, 3, 4];
            guest.open("f", 0, FD_READ).unwrap();
            let errno = guest.call("fd_renumber", &[from.into(), to.into()]);
            let expected =
                if open.contains(&from) && open.contains(&to) { Errno::Success } else { Errno::BadF };
            assert_eq!(errno, expected, "{from} to {to}");
            let mut is_open =
                |fd: u32| guest.call("fd_fdstat_get", &[fd.into(), OUT.into()]) == Errno::Success;
            if expected == Errno::Success {
                assert!(is_open(to));
                assert_eq!(is_open(from), from == to);
            }
        }
    }
}

// GHSA-3p27-qvp9-27qf (CVE-2026-54786): what was renumbered over stayed open.
#[test]
fn a_hundred_thousand_renumberings_leave_no_handle_behind() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "x").unwrap();
    let mut guest = Guest::in_sandbox(&sandbox, Default::default(), false);
    let first = guest.open("f", 0, FD_READ).unwrap();
    let resources = guest.store.data().resources();
    for _ in 0..100_000 {
        let next = guest.open("f", 0, FD_READ).unwrap();
        assert_eq!(next, first + 1);
        assert_eq!(guest.call("fd_renumber", &[next.into(), first.into()]), Errno::Success);
    }
    assert_eq!(guest.store.data().resources(), resources);
    assert_eq!(guest.read_fd(first, 1), Ok(b"x".to_vec()));
}

#[test]
fn descriptors_have_a_limit_and_closing_makes_room() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("f"), "x").unwrap();
    let mut builder = Wasi::builder();
    builder.max_resources(8).preopen(sandbox.inside(""), "/", false).unwrap();
    let mut guest = Guest::of(builder.build());
    let opened: Vec<u32> = (0..4).map(|_| guest.open("f", 0, FD_READ).unwrap()).collect();
    assert_eq!(guest.open("f", 0, FD_READ), Err(Errno::MFile));
    assert_eq!(guest.close(opened[1]), Errno::Success);
    assert_eq!(guest.open("f", 0, FD_READ), Ok(opened[1]), "the lowest that is free");
    assert_eq!(guest.close(0), Errno::Success);
    assert_eq!(guest.close(DIR), Errno::Success);
    assert_eq!(guest.open("f", 0, FD_READ), Err(Errno::BadF), "a grant can be given back");
}

#[test]
fn a_directory_that_is_being_listed_takes_a_second_handle() {
    both(|sandbox, resolution| {
        let mut builder = Wasi::builder();
        builder.resolution(resolution).preopen(sandbox.inside(""), "/", false).unwrap().max_handles(2);
        let mut guest = Guest::of(builder.build());
        let list = |guest: &mut Guest, fd: u32| {
            guest.call("fd_readdir", &[fd.into(), DATA.into(), 100, 0, OUT.into()])
        };
        assert_eq!(list(&mut guest, DIR), Errno::Success);
        let other = guest.open(".", DIRECTORY, READDIR).unwrap();
        assert_eq!(list(&mut guest, other), Errno::MFile);
        // To begin again takes no more than to go on.
        assert_eq!(list(&mut guest, DIR), Errno::Success);
        assert_eq!(guest.close(DIR), Errno::Success);
        assert_eq!(list(&mut guest, other), Errno::Success);
    });
}
