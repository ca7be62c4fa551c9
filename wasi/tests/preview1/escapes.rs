//! Paths that would leave their directory, in every function that takes one.

use std::fs;
use std::os::unix::fs::symlink;

use mini_wasm_wasi::preview1::Errno;

use crate::guest::*;
use crate::sandbox::both;

/// Paths that lead outside: by `..`, by links, by links with something after them.
const ESCAPES: [&str; 16] = [
    "..",
    "../outside",
    "../outside/canary",
    "d/../../outside/canary",
    "/etc/passwd",
    "/",
    "up",
    "up/",
    "up/.",
    "up/canary",
    "d/up",
    "d/up/",
    "d/up/canary",
    "absolute",
    "absolute/",
    "canary-link/",
];

// GHSA-vqjp-4c8c-hfgg (RUSTSEC-2026-0269), GHSA-m9f7-9w4p-gv38, CVE-2024-38358, CVE-2025-43853, wazero #2321.
#[test]
fn no_function_reaches_outside() {
    both(|sandbox, resolution| {
        fs::create_dir(sandbox.inside("d")).unwrap();
        fs::write(sandbox.inside("f"), "inside").unwrap();
        symlink("../outside", sandbox.inside("up")).unwrap();
        symlink("../../outside", sandbox.inside("d/up")).unwrap();
        symlink(sandbox.outside(""), sandbox.inside("absolute")).unwrap();
        symlink("../outside/canary", sandbox.inside("canary-link")).unwrap();
        symlink("../outside/new", sandbox.inside("dangling")).unwrap();
        for read_only in [true, false] {
            let mut guest = Guest::in_sandbox(sandbox, resolution, read_only);
            for path in ESCAPES {
                for (oflags, rights) in [
                    (0, FD_READ),
                    (0, 0),
                    (DIRECTORY, READDIR),
                    (CREAT, FD_READ | FD_WRITE),
                    (TRUNC, FD_WRITE),
                    (CREAT | EXCL, FD_WRITE),
                ] {
                    let opened = guest.open(path, oflags, rights);
                    assert!(opened.is_err(), "{path} {oflags} {rights}");
                }
                assert!(guest.stat(true, path).is_err(), "{path}");
                for name in ["path_create_directory", "path_remove_directory"] {
                    let errno = guest.at(name, DIR, path);
                    assert_ne!(errno, Errno::Success, "{name} {path}");
                }
                // Without a slash at its end a link may be named, and only the link.
                if path.ends_with('/') || path.contains("..") {
                    assert_ne!(guest.at("path_unlink_file", DIR, path), Errno::Success, "{path}");
                    assert_ne!(guest.rename(DIR, path, DIR, "moved"), Errno::Success, "{path}");
                    assert_ne!(guest.rename(DIR, "f", DIR, path), Errno::Success, "{path}");
                    assert_ne!(guest.link(DIR, false, path, DIR, "linked"), Errno::Success, "{path}");
                    assert_ne!(guest.link(DIR, false, "f", DIR, path), Errno::Success, "{path}");
                    assert_ne!(guest.symlink("f", path), Errno::Success, "{path}");
                }
                assert_ne!(guest.link(DIR, true, path, DIR, "linked"), Errno::Success, "{path}");
                let [at, len] = guest.path(PATH, path);
                let args = [DIR.into(), 1, at, len, 0, 0, 5];
                assert_ne!(guest.call("path_filestat_set_times", &args), Errno::Success, "{path}");
            }
            for oflags in [CREAT, CREAT | TRUNC, CREAT | EXCL] {
                for follow in [true, false] {
                    let opened = guest.open_with(DIR, follow, "dangling", oflags, FD_WRITE, 0);
                    assert!(opened.is_err(), "dangling {oflags} {follow}");
                }
            }
            sandbox.check_canary();
        }
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.open("..", 0, FD_READ), Err(Errno::Perm));
        assert_eq!(guest.open("/etc/passwd", 0, FD_READ), Err(Errno::Perm));
        assert_eq!(guest.symlink("/etc/passwd", "mine"), Errno::Perm, "absolute targets are not written");
        assert_eq!(guest.symlink("../../etc/passwd", "mine"), Errno::Success, "and these not followed");
        assert_eq!(guest.open("mine", 0, FD_READ), Err(Errno::Perm));
        let [at, len] = guest.path(PATH, "absolute");
        let args = [DIR.into(), at, len, DATA.into(), 100, OUT.into()];
        assert_eq!(guest.call("path_readlink", &args), Errno::Perm, "the host's paths are not told");
    });
}

#[test]
fn odd_paths_have_their_error_codes() {
    both(|sandbox, resolution| {
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        assert_eq!(guest.open("", 0, FD_READ), Err(Errno::NoEnt));
        assert_eq!(guest.open("a\0b", CREAT, FD_READ), Err(Errno::Inval));
        assert_eq!(guest.open(&"x".repeat(5000), 0, FD_READ), Err(Errno::NameTooLong));
        guest.write(PATH, &[0xff, 0xfe]);
        let args = [DIR.into(), 0, PATH.into(), 2, 0, FD_READ, 0, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &args), Errno::IlSeq);
        let args = [DIR.into(), 0, 0, 70_000, 0, FD_READ, 0, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &args), Errno::NameTooLong);
        let args = [DIR.into(), 2, PATH.into(), 1, 0, FD_READ, 0, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &args), Errno::Inval, "no such lookupflag");
        let args = [DIR.into(), 0, PATH.into(), 1, 16, FD_READ, 0, 0, OUT.into()];
        assert_eq!(guest.call("path_open", &args), Errno::Inval, "no such oflag");
        assert_eq!(guest.open("d", CREAT | DIRECTORY, FD_READ), Err(Errno::Inval));
    });
}
