//! What no grant hands out, to preview 1: as to WASI 0.2 (tests/host/withheld.rs has more).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mini_wasm_wasi::preview1::Errno;
use mini_wasm_wasi::{Resolution, Wasi};

use crate::guest::*;
use crate::sandbox::both;

#[test]
fn a_grant_that_reaches_procfs_does_not_reach_processes() {
    let own = std::process::id();
    for (host, before) in [("/proc", ""), ("/", "proc/")] {
        for (resolution, read_only) in [
            (Resolution::Kernel, true),
            (Resolution::Kernel, false),
            (Resolution::Walk, true),
            (Resolution::Walk, false),
        ] {
            let mut builder = Wasi::builder();
            builder.resolution(resolution).preopen(host, "/", read_only).unwrap();
            let mut guest = Guest::of(builder.build());
            for path in [
                "self/mem",
                "self/environ",
                "self/maps",
                "thread-self/mem",
                "1/status",
                &format!("{own}/mem"),
            ] {
                let path = format!("{before}{path}");
                assert_eq!(guest.open(&path, 0, FD_READ), Err(Errno::Perm), "{path}");
                assert_eq!(guest.stat(true, &path), Err(Errno::Perm), "{path}");
                assert!(guest.open(&path, 0, FD_READ | FD_WRITE).is_err(), "{path}");
            }
            for path in ["self", "self/fd", "self/task", "self/root", "self/cwd", "self/ns"] {
                let path = format!("{before}{path}");
                assert!(guest.open(&path, DIRECTORY, READDIR).is_err(), "{path}");
            }
            let file = guest.open(&format!("{before}meminfo"), 0, FD_READ).unwrap();
            assert_eq!(guest.read_fd(file, 8), Ok(b"MemTotal".to_vec()));
        }
    }
}

#[test]
fn a_withheld_file_is_not_handed_out_nor_cut() {
    both(|sandbox, resolution| {
        let key = sandbox.inside("seal.key");
        fs::write(&key, [7; 32]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::hard_link(&key, sandbox.inside("second")).unwrap();
        let mut builder = Wasi::builder();
        builder.withhold(&key).unwrap();
        builder.resolution(resolution).preopen(sandbox.inside(""), "/", false).unwrap();
        let mut guest = Guest::of(builder.build());
        for path in ["seal.key", "second"] {
            for (oflags, rights) in
                [(0, FD_READ), (0, FD_WRITE), (TRUNC, FD_WRITE), (TRUNC, 0), (CREAT | TRUNC, FD_READ)]
            {
                assert_eq!(guest.open(path, oflags, rights), Err(Errno::Perm), "{path} {oflags}");
            }
            assert_eq!(guest.stat(false, path), Err(Errno::Perm));
            assert_eq!(guest.at("path_unlink_file", DIR, path), Errno::Perm);
            assert_eq!(guest.rename(DIR, path, DIR, "x"), Errno::Perm);
            assert_eq!(guest.link(DIR, false, path, DIR, "x"), Errno::Perm);
        }
        assert_eq!(fs::read(&key).unwrap(), [7; 32]);
    });
}
