//! Files and directories: reading, writing, seeking, listing, times, numbers.

use std::collections::BTreeMap;
use std::fs;

use mini_wasm_wasi::preview1::Errno;

use crate::guest::*;
use crate::sandbox::both;

const RW: u64 = FD_READ | FD_WRITE | FD_SEEK | FD_TELL | 1 << 8 | 1 << 22 | 1 << 21 | 1 << 23 | 1 << 3;

#[test]
fn a_file_is_written_read_sought_and_cut() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.open("new", 0, RW), Err(Errno::NoEnt));
        let file = guest.open("new", CREAT | EXCL, RW | 1 << 4 | 1 | 1 << 7).unwrap();
        assert_eq!(file, 4, "the lowest number that is free");
        assert_eq!(guest.open("new", CREAT | EXCL, RW), Err(Errno::Exist));
        assert_eq!(guest.write_fd(file, b"hello world"), Ok(11));
        let fd = u64::from(file);
        assert_eq!(guest.call("fd_tell", &[fd, OUT.into()]), Errno::Success);
        assert_eq!(guest.u64(OUT), 11);
        assert_eq!(guest.call("fd_seek", &[fd, (-5_i64) as u64, 2, OUT.into()]), Errno::Success);
        assert_eq!(guest.read_fd(file, 100), Ok(b"world".to_vec()));
        assert_eq!(guest.read_fd(file, 100), Ok(Vec::new()));
        for (offset, whence) in [(-1_i64, 0), (-12, 1), (-12, 2), (i64::MIN, 2), (i64::MAX, 1)] {
            assert_eq!(guest.call("fd_seek", &[fd, offset as u64, whence, OUT.into()]), Errno::Inval);
        }
        assert_eq!(guest.call("fd_seek", &[fd, 0, 3, OUT.into()]), Errno::Inval);
        let [at, len] = guest.iovecs(&[(DATA, 2), (DATA + 2, 0), (DATA + 2, 3)]);
        assert_eq!(guest.call("fd_pread", &[fd, at, len, 6, OUT.into()]), Errno::Success);
        assert_eq!((guest.u32(OUT), guest.read(DATA, 5)), (5, b"world".to_vec()));
        assert_eq!(guest.call("fd_pwrite", &[fd, at, len, 0, OUT.into()]), Errno::Success);
        assert_eq!(fs::read(sandbox.inside("new")).unwrap(), b"world world");
        for offset in [1 << 63, u64::MAX] {
            assert_eq!(guest.call("fd_pread", &[fd, at, len, offset, OUT.into()]), Errno::Inval);
            assert_eq!(guest.call("fd_pwrite", &[fd, at, len, offset, OUT.into()]), Errno::FBig);
        }
        assert_eq!(guest.call("fd_filestat_set_size", &[fd, 3]), Errno::Success);
        assert_eq!(guest.call("fd_filestat_set_size", &[fd, u64::MAX]), Errno::FBig);
        assert_eq!(guest.stat(false, "new"), Ok((4, 3)));
        assert!(matches!(guest.call("fd_allocate", &[fd, 0, 100]), Errno::Success | Errno::NotSup));
        assert_eq!(guest.call("fd_allocate", &[fd, u64::MAX, u64::MAX]), Errno::FBig);
        assert_eq!(guest.call("fd_allocate", &[fd, 0, 0]), Errno::Inval);
        // More than any disk has: nothing of it is done.
        let before = guest.stat(false, "new");
        let refused = guest.call("fd_allocate", &[fd, 0, 1 << 60]);
        assert!(matches!(refused, Errno::NoSpc | Errno::FBig | Errno::NotSup), "{refused:?}");
        assert_eq!(guest.stat(false, "new"), before);
        for advice in 0..6 {
            assert_eq!(guest.call("fd_advise", &[fd, 0, 10, advice]), Errno::Success);
        }
        assert_eq!(guest.call("fd_advise", &[fd, 0, 10, 6]), Errno::Inval);
        assert_eq!(guest.call("fd_advise", &[fd, u64::MAX, 10, 0]), Errno::Inval);
        assert_eq!(guest.call("fd_sync", &[fd]), Errno::Success);
        assert_eq!(guest.call("fd_datasync", &[fd]), Errno::Success);
        assert_eq!(guest.close(file), Errno::Success);
        assert_eq!(guest.close(file), Errno::BadF);
        let file = guest.open("new", TRUNC, RW).unwrap();
        assert_eq!(guest.stat(false, "new"), Ok((4, 0)));
        assert_eq!(guest.close(file), Errno::Success);
    });
}

#[test]
fn appending_goes_to_the_end_whatever_the_offset() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let file = guest.open_with(DIR, true, "log", CREAT, RW, APPEND).unwrap();
        assert_eq!(guest.write_fd(file, b"one"), Ok(3));
        assert_eq!(guest.call("fd_seek", &[file.into(), 0, 0, OUT.into()]), Errno::Success);
        assert_eq!(guest.write_fd(file, b"two"), Ok(3));
        assert_eq!(guest.call("fd_tell", &[file.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.u64(OUT), 6);
        assert_eq!(guest.call("fd_fdstat_get", &[file.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.read(OUT, 4), [4, 0, 1, 0]);
        assert_eq!(guest.call("fd_fdstat_set_flags", &[file.into(), 0]), Errno::Success);
        assert_eq!(guest.call("fd_seek", &[file.into(), 0, 0, OUT.into()]), Errno::Success);
        assert_eq!(guest.write_fd(file, b"1"), Ok(1));
        assert_eq!(fs::read(sandbox.inside("log")).unwrap(), b"1netwo");
        assert_eq!(guest.call("fd_fdstat_set_flags", &[file.into(), 16]), Errno::Inval);
        assert_eq!(guest.call("fd_fdstat_set_flags", &[file.into(), 1 << 5]), Errno::Inval);
        assert_eq!(guest.call("fd_fdstat_set_flags", &[file.into(), 1 << 16]), Errno::Inval);
    });
}

#[test]
fn the_direction_a_file_was_opened_for_is_the_only_one() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("f"), "x").unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let reader = guest.open("f", 0, FD_READ).unwrap();
        let writer = guest.open("f", 0, FD_WRITE).unwrap();
        assert_eq!(guest.write_fd(reader, b"y"), Err(Errno::BadF));
        assert_eq!(guest.read_fd(writer, 1), Err(Errno::BadF));
        assert_eq!(guest.read_fd(DIR, 1), Err(Errno::IsDir));
        assert_eq!(guest.write_fd(DIR, b"y"), Err(Errno::BadF));
        assert_eq!(guest.call("fd_seek", &[DIR.into(), 0, 0, OUT.into()]), Errno::BadF);
        assert_eq!(guest.call("fd_tell", &[DIR.into(), OUT.into()]), Errno::BadF);
        assert_eq!(guest.call("fd_filestat_set_size", &[DIR.into(), 0]), Errno::BadF);
        assert_eq!(guest.call("fd_allocate", &[DIR.into(), 0, 1]), Errno::BadF);
        assert_eq!(guest.call("fd_advise", &[DIR.into(), 0, 1, 0]), Errno::BadF);
        assert_eq!(guest.open_with(reader, true, "x", 0, FD_READ, 0), Err(Errno::NotDir));
        assert_eq!(guest.open(".", 0, FD_READ | FD_WRITE), Err(Errno::IsDir));
    });
}

#[test]
fn directories_are_made_listed_and_removed() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.at("path_create_directory", DIR, "d"), Errno::Success);
        assert_eq!(guest.at("path_create_directory", DIR, "d"), Errno::Exist);
        for name in 0..300 {
            fs::write(sandbox.inside(&format!("d/file-{name:03}")), "").unwrap();
        }
        fs::create_dir(sandbox.inside("d/sub")).unwrap();
        let dir = guest.open("d", DIRECTORY, READDIR).unwrap();
        let mut found = BTreeMap::new();
        let (mut cookie, mut calls) = (0, 0);
        // A buffer that cuts entries off again and again.
        let size = 200;
        loop {
            guest.write(DATA, &[0xff; 256]);
            let args = [dir.into(), DATA.into(), size, cookie, OUT.into()];
            assert_eq!(guest.call("fd_readdir", &args), Errno::Success);
            let used = guest.u32(OUT) as usize;
            let bytes = guest.read(DATA, used);
            assert_eq!(guest.read(DATA + 200, 8), [0xff; 8], "nothing beyond the buffer");
            let mut rest = &bytes[..];
            while rest.len() >= 24 {
                let name_len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
                // GHSA-96f6-r43r-8c24: padding with the host's memory in it.
                assert_eq!(rest[21..24], [0, 0, 0]);
                let Some(name) = rest.get(24..24 + name_len) else { break };
                cookie = u64::from_le_bytes(rest[0..8].try_into().unwrap());
                let number = u64::from_le_bytes(rest[8..16].try_into().unwrap());
                let name = String::from_utf8(name.to_vec()).unwrap();
                assert!(found.insert(name, (rest[20], number)).is_none());
                rest = &rest[24 + name_len..];
            }
            calls += 1;
            if used < size as usize {
                break;
            }
        }
        assert!(calls > 40);
        assert_eq!(found.len(), 303);
        assert_eq!((found["."].0, found[".."].0, found["sub"].0, found["file-007"].0), (3, 3, 3, 4));
        // The number is the one that filestat tells.
        let [at, len] = guest.path(PATH, "d/file-007");
        assert_eq!(guest.call("path_filestat_get", &[DIR.into(), 0, at, len, OUT.into()]), Errno::Success);
        assert_eq!(guest.u64(OUT + 8), found["file-007"].1);
        // A cookie from before, one past the end, no room at all.
        for (cookie, expected) in [(302, true), (303, false), (1 << 40, false), (u64::MAX, false)] {
            let args = [dir.into(), DATA.into(), 4096, cookie, OUT.into()];
            assert_eq!(guest.call("fd_readdir", &args), Errno::Success);
            assert_eq!(guest.u32(OUT) > 0, expected, "{cookie}");
        }
        assert_eq!(guest.call("fd_readdir", &[dir.into(), DATA.into(), 0, 0, OUT.into()]), Errno::Success);
        assert_eq!(guest.u32(OUT), 0);
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), Errno::NotEmpty);
        assert_eq!(guest.at("path_unlink_file", DIR, "d/sub"), Errno::IsDir);
        assert_eq!(guest.at("path_remove_directory", DIR, "d/sub"), Errno::Success);
        assert_eq!(guest.at("path_unlink_file", DIR, "d/file-007"), Errno::Success);
        assert_eq!(guest.at("path_unlink_file", DIR, "d/file-007"), Errno::NoEnt);
        assert_eq!(guest.at("path_remove_directory", DIR, "d/file-008"), Errno::NotDir);
    });
}

#[test]
fn names_are_linked_renamed_and_read() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        fs::write(sandbox.inside("f"), "content").unwrap();
        assert_eq!(guest.link(DIR, false, "f", DIR, "g"), Errno::Success);
        assert_eq!(guest.link(DIR, false, "f", DIR, "g"), Errno::Exist);
        assert_eq!(guest.symlink("g", "s"), Errno::Success);
        assert_eq!(guest.stat(false, "s").map(|(kind, _)| kind), Ok(7));
        assert_eq!(guest.stat(true, "s"), Ok((4, 7)));
        let [at, len] = guest.path(PATH, "s");
        let args = [DIR.into(), at, len, DATA.into(), 10, OUT.into()];
        assert_eq!(guest.call("path_readlink", &args), Errno::Success);
        assert_eq!((guest.u32(OUT), guest.read(DATA, 1)), (1, b"g".to_vec()));
        assert_eq!(guest.open_with(DIR, false, "s", 0, FD_READ, 0), Err(Errno::Loop));
        assert_eq!(guest.rename(DIR, "f", DIR, "h"), Errno::Success);
        assert_eq!(guest.stat(false, "f"), Err(Errno::NoEnt));
        assert_eq!(guest.stat(false, "h"), Ok((4, 7)));
        let [at, len] = guest.path(PATH, "h");
        // GHSA-j2g9-4prp-pf6h, GHSA-mr2v-56j5-cmfc: times that have no number elsewhere.
        for time in [0, 1, 1_000_000_000, 5_123_456_789, 1 << 62, u64::MAX] {
            let args = [DIR.into(), 0, at, len, time, time, 1 | 4];
            let errno = guest.call("path_filestat_set_times", &args);
            assert_eq!(errno, Errno::Success, "{time}");
            assert_eq!(
                guest.call("path_filestat_get", &[DIR.into(), 0, at, len, OUT.into()]),
                Errno::Success
            );
            if time < 1 << 62 {
                assert_eq!((guest.u64(OUT + 40), guest.u64(OUT + 48)), (time, time));
            }
        }
        assert_eq!(guest.call("path_filestat_set_times", &[DIR.into(), 0, at, len, 0, 0, 3]), Errno::Inval);
        assert_eq!(guest.call("path_filestat_set_times", &[DIR.into(), 0, at, len, 0, 0, 16]), Errno::Inval);
        assert_eq!(guest.call("path_filestat_set_times", &[DIR.into(), 2, at, len, 0, 0, 1]), Errno::Inval);
        let file = guest.open("h", 0, RW).unwrap();
        assert_eq!(
            guest.call("fd_filestat_set_times", &[file.into(), 7_000_000_000, 0, 1 | 8]),
            Errno::Success
        );
        assert_eq!(guest.call("fd_filestat_get", &[file.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.u64(OUT + 40), 7_000_000_000);
        assert!(guest.u64(OUT + 48) > 1_600_000_000_000_000_000, "now");
        assert_eq!(guest.u64(OUT + 24), 2, "links");
    });
}

#[test]
fn a_granted_directory_has_the_name_it_was_granted_under() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.call("fd_prestat_get", &[DIR.into(), OUT.into()]), Errno::Success);
        assert_eq!(guest.read(OUT, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(guest.call("fd_prestat_dir_name", &[DIR.into(), OUT.into(), 1]), Errno::Success);
        assert_eq!(guest.read(OUT, 1), b"/");
        assert_eq!(guest.call("fd_prestat_dir_name", &[DIR.into(), OUT.into(), 0]), Errno::NameTooLong);
        assert_eq!(guest.call("fd_prestat_get", &[4, OUT.into()]), Errno::BadF);
        let opened = guest.open(".", DIRECTORY, READDIR).unwrap();
        assert_eq!(guest.call("fd_prestat_get", &[opened.into(), OUT.into()]), Errno::BadF);
    });
}

#[test]
fn a_trailing_slash_asks_for_a_directory_and_makes_none_of_anything_else() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("file"), "data").unwrap();
        fs::create_dir(sandbox.inside("dir")).unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.symlink("file", "new/"), Errno::NoEnt);
        assert_eq!(guest.link(DIR, false, "file", DIR, "new/"), Errno::NoEnt);
        for there in ["dir/", "file/"] {
            assert_eq!(guest.symlink("file", there), Errno::Exist, "{there}");
            assert_eq!(guest.link(DIR, false, "file", DIR, there), Errno::Exist, "{there}");
            assert_eq!(guest.at("path_create_directory", DIR, there), Errno::Exist, "{there}");
        }
        assert_eq!(guest.open("file/", 0, FD_READ), Err(Errno::NotDir));
        assert_eq!(guest.open("new/", CREAT, FD_WRITE), Err(Errno::IsDir));
        assert_eq!(guest.stat(false, "file/"), Err(Errno::NotDir));
        assert_eq!(guest.rename(DIR, "file", DIR, "new/"), Errno::NotDir);
        assert_eq!(guest.rename(DIR, "file/", DIR, "new"), Errno::NotDir);
        assert_eq!(guest.at("path_unlink_file", DIR, "file/"), Errno::NotDir);
        assert_eq!(guest.at("path_unlink_file", DIR, "dir/"), Errno::IsDir);
        assert_eq!(guest.at("path_remove_directory", DIR, "file/"), Errno::NotDir);
        assert_eq!(guest.rename(DIR, "dir/", DIR, "new/"), Errno::Success);
        assert_eq!(guest.at("path_create_directory", DIR, "made/"), Errno::Success);
        assert_eq!(guest.at("path_remove_directory", DIR, "made/"), Errno::Success);
    });
}

#[test]
fn a_fifo_is_not_waited_for_by_who_asks_not_to_wait() {
    both(|sandbox, resolution| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), mode).unwrap();
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let open = |guest: &mut Guest, rights| guest.open_with(DIR, true, "fifo", 0, rights, NONBLOCK);
        assert_eq!(open(&mut guest, FD_WRITE), Err(Errno::NxIo), "nobody reads it");
        let reader = open(&mut guest, FD_READ).unwrap();
        assert_eq!(guest.read_fd(reader, 4), Ok(Vec::new()), "nobody writes it");
        let writer = open(&mut guest, FD_WRITE).unwrap();
        assert_eq!(guest.read_fd(reader, 4), Err(Errno::Again));
        assert_eq!(guest.write_fd(writer, b"data"), Ok(4));
        assert_eq!(guest.read_fd(reader, 9), Ok(b"data".to_vec()));
        // Full, sooner or later.
        let full = loop {
            if let Err(errno) = guest.write_fd(writer, &[0; 4096]) {
                break errno;
            }
        };
        assert_eq!(full, Errno::Again);
        assert_eq!(guest.close(reader), Errno::Success);
        assert_eq!(guest.write_fd(writer, b"x"), Err(Errno::Pipe));
    });
}
