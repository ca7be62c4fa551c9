//! Class E of the advisories: paths and permissions.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use mini_wasm_wasi::clocks::wall_clock::Datetime;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::preopens::get_directories;
use mini_wasm_wasi::filesystem::types::{ErrorCode, NewTimestamp};
use mini_wasm_wasi::{Own, Resolution, Wasi};

use crate::sandbox::{
    CREATE, DIRECTORY, EXCLUSIVE, FOLLOW, Guest, NO_FOLLOW, NONE, READ, Sandbox, TRUNCATE, WRITE, both,
};

/// A tree with every kind of link that points out: `up` -> `..`, `out` -> `../outside`, `abs` -> the absolute path of
/// it, `file` -> the canary, `dangling` -> a name outside that is not there, `a/far` -> `../../outside`.
fn with_links(sandbox: &Sandbox) {
    fs::create_dir(sandbox.inside("a")).unwrap();
    fs::write(sandbox.inside("a/plain"), "plain").unwrap();
    let links = [
        ("..", "up"),
        ("../outside", "out"),
        ("../outside/canary", "file"),
        ("../outside/new", "dangling"),
        ("a", "in"),
        ("a/plain", "in_file"),
        ("a/new", "in_dangling"),
    ];
    for (target, name) in links {
        symlink(target, sandbox.inside(name)).unwrap();
    }
    symlink(sandbox.outside(""), sandbox.inside("abs")).unwrap();
    symlink("../../outside", sandbox.inside("a/far")).unwrap();
}

const ESCAPES: [&str; 24] = [
    "..",
    "../",
    "../outside",
    "../outside/canary",
    "../inside",
    "a/../..",
    "a/../../outside/canary",
    "./..",
    "up/",
    "up/.",
    "up/outside/canary",
    "out/",
    "out/.",
    "out/canary",
    "out/dir",
    "out/dir/",
    "abs/",
    "abs/canary",
    "a/far/",
    "a/far/canary",
    "in/far/canary",
    "in/../../outside",
    "/etc/passwd",
    "/",
];

// GHSA-vqjp-4c8c-hfgg (trailing slash), wazero #2321 and walrus #458 (no containment), CVE-2024-38358.
#[test]
fn no_path_that_leaves_the_directory_opens_or_tells_anything() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        for read_only in [true, false] {
            let mut guest = sandbox.guest(resolution, read_only);
            for path in ESCAPES {
                let denied = Some(ErrorCode::NotPermitted);
                for follow in [FOLLOW, NO_FOLLOW] {
                    let dir = Own::new(guest.dir.rep());
                    assert_eq!(guest.open_in(&dir, follow, path, NONE, READ).err(), denied, "open {path}");
                    assert_eq!(
                        guest.open_in(&dir, follow, path, DIRECTORY, READ).err(),
                        denied,
                        "opendir {path}"
                    );
                    assert_eq!(guest.stat(follow, path).err(), denied, "stat {path}");
                    let hash =
                        descriptor::metadata_hash_at(&mut guest.wasi, dir.borrow(), follow, path.into())
                            .unwrap();
                    assert_eq!(hash.err(), denied, "hash {path}");
                }
            }
        }
    });
}

#[test]
fn a_link_out_is_told_of_but_not_followed() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for link in ["up", "out", "abs", "file", "dangling", "a/far", "in/far"] {
            assert!(guest.stat(NO_FOLLOW, link).is_ok(), "{link}");
            assert_eq!(guest.stat(FOLLOW, link).err(), Some(ErrorCode::NotPermitted), "{link}");
            let dir = Own::new(guest.dir.rep());
            assert_eq!(
                guest.open_in(&dir, NO_FOLLOW, link, NONE, READ).err(),
                Some(ErrorCode::Loop),
                "{link}"
            );
            assert_eq!(guest.open(link, NONE, READ).err(), Some(ErrorCode::NotPermitted), "{link}");
        }
    });
}

// CVE-2024-38358: a link that points out, together with CREATE and WRITE.
#[test]
fn creating_through_a_link_stays_beneath() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for path in ["file", "dangling", "out/new", "abs/new", "up/new", "../new", "a/far/new"] {
            assert_eq!(guest.open(path, CREATE, WRITE).err(), Some(ErrorCode::NotPermitted), "{path}");
            assert_eq!(
                guest.open(path, CREATE | TRUNCATE, WRITE).err(),
                Some(ErrorCode::NotPermitted),
                "{path}"
            );
            let exclusive = guest.open(path, CREATE | EXCLUSIVE, WRITE).err();
            let expected = match path {
                "file" | "dangling" => ErrorCode::Exist,
                _ => ErrorCode::NotPermitted,
            };
            assert_eq!(exclusive, Some(expected), "{path}");
        }
        // A dangling link that stays beneath makes its target.
        guest.write("in_dangling", b"made").unwrap();
        assert_eq!(guest.read("a/new").unwrap(), b"made");
    });
}

#[test]
fn calls_on_names_refuse_every_escape() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        let denied = Err(ErrorCode::NotPermitted);
        for path in [
            "../x",
            "out/x",
            "up/x",
            "abs/x",
            "a/far/x",
            "a/../../x",
            "/x",
            "../outside/canary",
            "out/canary",
        ] {
            assert_eq!(guest.mkdir(path), denied, "{path}");
            assert_eq!(guest.rmdir(path), denied, "{path}");
            assert_eq!(guest.unlink(path), denied, "{path}");
            assert_eq!(guest.symlink("x", path), denied, "{path}");
            assert_eq!(guest.readlink(path), Err(ErrorCode::NotPermitted), "{path}");
            assert_eq!(guest.rename(path, "y"), denied, "{path}");
            assert_eq!(guest.rename("a/plain", path), denied, "{path}");
            assert_eq!(guest.link(NO_FOLLOW, path, "y"), denied, "{path}");
            assert_eq!(guest.link(FOLLOW, path, "y"), denied, "{path}");
            assert_eq!(guest.link(NO_FOLLOW, "a/plain", path), denied, "{path}");
            let now = NewTimestamp::Now;
            for flags in [FOLLOW, NO_FOLLOW] {
                let dir = guest.dir.borrow();
                let set =
                    descriptor::set_times_at(&mut guest.wasi, dir, flags, path.into(), now, now).unwrap();
                assert_eq!(set, denied, "{path}");
            }
        }
        for path in ["..", "../", "../.", "out/.", "a/../.."] {
            assert_eq!(guest.rmdir(path), denied, "{path}");
            assert_eq!(guest.unlink(path), denied, "{path}");
            assert_eq!(guest.mkdir(path), denied, "{path}");
            assert_eq!(guest.rename(path, "y"), denied, "{path}");
            assert_eq!(guest.rename("a", path), denied, "{path}");
        }
    });
}

// GHSA-vqjp-4c8c-hfgg again, for calls that act on the link itself.
#[test]
fn a_trailing_slash_never_follows_the_last_link_of_a_call_on_a_name() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for link in ["out/", "up/", "abs/", "in/", "out//"] {
            assert_eq!(guest.rmdir(link), Err(ErrorCode::NotDirectory), "{link}");
            assert_eq!(guest.unlink(link), Err(ErrorCode::NotDirectory), "{link}");
            assert_eq!(guest.mkdir(link), Err(ErrorCode::Exist), "{link}");
        }
        assert_eq!(guest.unlink("a/"), Err(ErrorCode::IsDirectory));
        assert_eq!(guest.unlink("a/plain/"), Err(ErrorCode::NotDirectory));
        assert_eq!(guest.unlink("nothing/"), Err(ErrorCode::NoEntry));
        assert_eq!(guest.mkdir("made/"), Ok(()));
        assert_eq!(guest.rmdir("made/"), Ok(()));
        assert_eq!(guest.symlink("x", "made/"), Err(ErrorCode::NoEntry));
        assert_eq!(guest.link(NO_FOLLOW, "a/plain", "made/"), Err(ErrorCode::NoEntry));
        // What is there is there, whatever it is.
        for path in ["a/", "a/plain/", "in/", "out/"] {
            assert_eq!(guest.symlink("x", path), Err(ErrorCode::Exist), "{path}");
            assert_eq!(guest.link(NO_FOLLOW, "a/plain", path), Err(ErrorCode::Exist), "{path}");
        }
        assert_eq!(guest.readlink("in/"), Err(ErrorCode::Invalid));
        assert_eq!(guest.readlink("out/"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.open("made/", CREATE, WRITE).err(), Some(ErrorCode::IsDirectory));
        assert_eq!(guest.open("a/plain/", NONE, READ).err(), Some(ErrorCode::NotDirectory));
        assert_eq!(guest.open("in_file/", NONE, READ).err(), Some(ErrorCode::NotDirectory));
        // Opening `link/` follows, as POSIX says, and stays beneath.
        assert!(guest.open("in/", NONE, READ).is_ok());
        assert!(guest.stat(NO_FOLLOW, "in/").is_ok());
    });
}

// GHSA-m9f7-9w4p-gv38.
#[test]
fn renaming_a_link_with_a_trailing_slash_touches_nothing_outside() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for link in ["out/", "abs/", "up/", "in/", "a/far/"] {
            assert_eq!(guest.rename(link, "moved"), Err(ErrorCode::NotDirectory), "{link}");
            assert_eq!(guest.rename("a/plain", link), Err(ErrorCode::NotDirectory), "{link}");
            guest.mkdir("empty").unwrap();
            assert_eq!(guest.rename("empty/", link), Err(ErrorCode::NotDirectory), "{link}");
            guest.rmdir("empty").unwrap();
        }
        // Without the slash it is the link that moves.
        assert_eq!(guest.rename("out", "moved"), Ok(()));
        assert_eq!(fs::read_link(sandbox.inside("moved")).unwrap().to_str(), Some("../outside"));
        assert_eq!(guest.rename("a/", "b/"), Ok(()));
        assert_eq!(guest.read("b/plain").unwrap(), b"plain");
        assert_eq!(guest.rename(".", "c"), Err(ErrorCode::Busy));
        assert_eq!(guest.rename("b", "."), Err(ErrorCode::Busy));
        assert_eq!(guest.rename("b/plain", "new/"), Err(ErrorCode::NotDirectory));
    });
}

#[test]
fn unlinking_a_link_removes_the_link_and_not_what_it_points_to() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for link in ["out", "file", "abs", "up", "in", "in_file", "dangling"] {
            assert_eq!(guest.unlink(link), Ok(()), "{link}");
        }
        assert_eq!(guest.list(".").unwrap(), ["a", "in_dangling"]);
        assert_eq!(guest.read("a/plain").unwrap(), b"plain");
        assert_eq!(guest.unlink("a"), Err(ErrorCode::IsDirectory));
        assert_eq!(guest.rmdir("a/plain"), Err(ErrorCode::NotDirectory));
        assert_eq!(guest.rmdir("a"), Err(ErrorCode::NotEmpty));
        assert_eq!(guest.rmdir("."), Err(ErrorCode::Invalid));
    });
}

// CVE-2024-38358, WAMR CVE-2025-43853: links that a guest makes itself.
#[test]
fn a_link_with_an_absolute_target_cannot_be_made_and_one_that_escapes_cannot_be_followed() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        assert_eq!(guest.symlink("/etc/passwd", "abs"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.symlink("", "empty"), Err(ErrorCode::NoEntry));
        assert_eq!(guest.symlink("a\0b", "nul"), Err(ErrorCode::Invalid));
        assert_eq!(guest.symlink("../outside/canary", "out"), Ok(()));
        assert_eq!(guest.readlink("out").unwrap(), "../outside/canary");
        assert_eq!(guest.open("out", NONE, READ).err(), Some(ErrorCode::NotPermitted));
        assert_eq!(guest.open("out", CREATE | TRUNCATE, WRITE).err(), Some(ErrorCode::NotPermitted));
        assert_eq!(guest.symlink("out", "chain"), Ok(()));
        assert_eq!(guest.open("chain", NONE, READ).err(), Some(ErrorCode::NotPermitted));
        assert_eq!(guest.symlink("self", "self"), Ok(()));
        assert_eq!(guest.open("self", NONE, READ).err(), Some(ErrorCode::Loop));
        assert_eq!(guest.stat(FOLLOW, "self/x").err(), Some(ErrorCode::Loop));
        let long = "x/".repeat(3000);
        assert_eq!(guest.symlink(&long, "long"), Err(ErrorCode::NameTooLong));
    });
}

#[test]
fn an_absolute_target_that_the_host_made_is_not_told() {
    both(|sandbox, resolution| {
        symlink("/etc/passwd", sandbox.inside("abs")).unwrap();
        let mut guest = sandbox.guest(resolution, false);
        assert_eq!(guest.readlink("abs"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.open("abs", NONE, READ).err(), Some(ErrorCode::NotPermitted));
    });
}

#[test]
fn empty_nul_absolute_and_overlong_paths_have_their_own_errors() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        let long = "a/".repeat(40_000);
        let name = "n".repeat(256);
        let rows = [
            ("", ErrorCode::NoEntry),
            ("a\0b", ErrorCode::Invalid),
            ("/", ErrorCode::NotPermitted),
            ("//x", ErrorCode::NotPermitted),
            (long.as_str(), ErrorCode::NameTooLong),
            (name.as_str(), ErrorCode::NameTooLong),
        ];
        for (path, error) in rows {
            let what = &path[..path.len().min(10)];
            assert_eq!(guest.open(path, NONE, READ).err(), Some(error), "open {what}");
            assert_eq!(guest.open(path, CREATE, WRITE).err(), Some(error), "create {what}");
            assert_eq!(guest.stat(NO_FOLLOW, path).err(), Some(error), "stat {what}");
            assert_eq!(guest.mkdir(path), Err(error), "mkdir {what}");
            assert_eq!(guest.rmdir(path), Err(error), "rmdir {what}");
            assert_eq!(guest.unlink(path), Err(error), "unlink {what}");
            assert_eq!(guest.readlink(path), Err(error), "readlink {what}");
            assert_eq!(guest.symlink("t", path), Err(error), "symlink {what}");
            assert_eq!(guest.rename(path, "y"), Err(error), "rename {what}");
        }
    });
}

// CVE-2023-51661, GHSA-4mq4: the working directory granted by default.
#[test]
fn without_a_grant_there_is_no_directory_at_all() {
    let mut wasi = Wasi::builder().build();
    assert!(get_directories(&mut wasi).unwrap().is_empty());
    assert_eq!(wasi.resources(), 0);
}

// CVE-2026-47261 (O_TRUNC), CVE-2026-58494 and all other ways to change something.
#[test]
fn nothing_changes_through_a_read_only_grant() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let before = fs::metadata(sandbox.inside("a/plain")).unwrap();
        let mut guest = sandbox.guest(resolution, true);
        let refused = ErrorCode::ReadOnly;
        for path in ["a/plain", "in_file", "new", "in_dangling", "a/new", "a"] {
            assert_eq!(guest.open(path, TRUNCATE, READ).err(), Some(refused), "{path}");
            assert_eq!(guest.open(path, TRUNCATE, WRITE).err(), Some(refused), "{path}");
            assert_eq!(guest.open(path, CREATE, READ).err(), Some(refused), "{path}");
            assert_eq!(guest.open(path, CREATE | EXCLUSIVE, READ).err(), Some(refused), "{path}");
            assert_eq!(guest.open(path, NONE, WRITE).err(), Some(refused), "{path}");
            assert_eq!(guest.open(path, NONE, READ | WRITE).err(), Some(refused), "{path}");
            let mutate = mini_wasm_wasi::filesystem::types::DescriptorFlags::MUTATE_DIRECTORY;
            assert_eq!(guest.open(path, NONE, READ | mutate).err(), Some(refused), "{path}");
            assert_eq!(guest.mkdir(path), Err(refused), "{path}");
            assert_eq!(guest.rmdir(path), Err(refused), "{path}");
            assert_eq!(guest.unlink(path), Err(refused), "{path}");
            assert_eq!(guest.symlink("t", path), Err(refused), "{path}");
            assert_eq!(guest.rename(path, "y"), Err(refused), "{path}");
            assert_eq!(guest.link(NO_FOLLOW, path, "y"), Err(refused), "{path}");
            let dir = guest.dir.borrow();
            let at = NewTimestamp::Timestamp(Datetime { seconds: 5, nanoseconds: 0 });
            let set = descriptor::set_times_at(&mut guest.wasi, dir, FOLLOW, path.into(), at, at).unwrap();
            assert_eq!(set, Err(refused), "{path}");
        }
        let file = guest.open("a/plain", NONE, READ).unwrap();
        let now = NewTimestamp::Now;
        assert_eq!(descriptor::set_times(&mut guest.wasi, file.borrow(), now, now).unwrap(), Err(refused));
        assert_eq!(
            descriptor::set_size(&mut guest.wasi, file.borrow(), 0).unwrap(),
            Err(ErrorCode::BadDescriptor)
        );
        assert_eq!(
            descriptor::write(&mut guest.wasi, file.borrow(), vec![1], 0).unwrap(),
            Err(ErrorCode::BadDescriptor)
        );
        assert!(descriptor::write_via_stream(&mut guest.wasi, file.borrow(), 0).unwrap().is_err());
        assert!(descriptor::append_via_stream(&mut guest.wasi, file.borrow()).unwrap().is_err());
        let dir = guest.dir.borrow();
        assert_eq!(descriptor::set_times(&mut guest.wasi, dir, now, now).unwrap(), Err(refused));
        assert_eq!(guest.read("a/plain").unwrap(), b"plain");
        let after = fs::metadata(sandbox.inside("a/plain")).unwrap();
        assert_eq!(
            (before.mtime(), before.len(), before.nlink()),
            (after.mtime(), after.len(), after.nlink())
        );
        assert_eq!(fs::read_dir(sandbox.inside("")).unwrap().count(), 9);
    });
}

#[test]
fn what_is_opened_through_a_read_only_grant_inherits_that() {
    both(|sandbox, resolution| {
        fs::create_dir_all(sandbox.inside("a/b/c")).unwrap();
        fs::write(sandbox.inside("a/b/c/file"), "text").unwrap();
        let mut guest = sandbox.guest(resolution, true);
        let mut dir = Own::new(guest.dir.rep());
        for name in ["a", "b", "c", "..", "c"] {
            if name == ".." {
                assert_eq!(
                    guest.open_in(&dir, FOLLOW, name, DIRECTORY, READ).err(),
                    Some(ErrorCode::NotPermitted)
                );
                continue;
            }
            if let Ok(next) = guest.open_in(&dir, FOLLOW, name, DIRECTORY, READ) {
                dir = next;
            }
            let flags = descriptor::get_flags(&mut guest.wasi, dir.borrow()).unwrap().unwrap();
            assert_eq!(flags, READ);
            assert_eq!(guest.open_in(&dir, FOLLOW, "new", CREATE, WRITE).err(), Some(ErrorCode::ReadOnly));
        }
        let made = descriptor::create_directory_at(&mut guest.wasi, dir.borrow(), "d".into()).unwrap();
        assert_eq!(made, Err(ErrorCode::ReadOnly));
        assert_eq!(guest.open_in(&dir, FOLLOW, "file", NONE, WRITE).err(), Some(ErrorCode::ReadOnly));
        assert!(guest.open_in(&dir, FOLLOW, "file", NONE, READ).is_ok());
    });
}

// CVE-2026-58494: the destination's grant was not asked.
#[test]
fn renames_and_links_ask_both_ends() {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let sandbox = Sandbox::new();
        for name in ["rw", "ro"] {
            fs::create_dir(sandbox.inside(name)).unwrap();
            fs::write(sandbox.inside(name).join("file"), name).unwrap();
        }
        let mut builder = Wasi::builder();
        builder.resolution(resolution);
        builder.preopen(sandbox.inside("rw"), "/rw", false).unwrap();
        builder.preopen(sandbox.inside("ro"), "/ro", true).unwrap();
        let mut wasi = builder.build();
        let granted = get_directories(&mut wasi).unwrap();
        let ((rw, _), (ro, _)) = (&granted[0], &granted[1]);
        for (from, to) in [(rw, ro), (ro, rw), (ro, ro)] {
            let refused = Err(ErrorCode::ReadOnly);
            let rename =
                descriptor::rename_at(&mut wasi, from.borrow(), "file".into(), to.borrow(), "new".into())
                    .unwrap();
            assert_eq!(rename, refused);
            for flags in [NO_FOLLOW, FOLLOW] {
                let link = descriptor::link_at(
                    &mut wasi,
                    from.borrow(),
                    flags,
                    "file".into(),
                    to.borrow(),
                    "new".into(),
                );
                assert_eq!(link.unwrap(), refused);
            }
        }
        let rename =
            descriptor::rename_at(&mut wasi, rw.borrow(), "file".into(), rw.borrow(), "new".into()).unwrap();
        assert_eq!(rename, Ok(()));
        assert_eq!(fs::read_to_string(sandbox.inside("rw/new")).unwrap(), "rw");
        assert_eq!(fs::read_to_string(sandbox.inside("ro/file")).unwrap(), "ro");
    }
}

#[test]
fn a_hard_link_follows_a_link_only_when_asked_and_only_beneath() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        assert_eq!(guest.link(FOLLOW, "in_file", "hard"), Ok(()));
        assert_eq!(guest.read("hard").unwrap(), b"plain");
        assert_eq!(guest.link(NO_FOLLOW, "in_file", "soft"), Ok(()));
        assert_eq!(guest.readlink("soft").unwrap(), "a/plain");
        assert_eq!(guest.link(FOLLOW, "file", "canary"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.link(NO_FOLLOW, "a", "b"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.link(NO_FOLLOW, "a/.", "b"), Err(ErrorCode::NotPermitted));
        assert_eq!(guest.link(NO_FOLLOW, "a/plain", "hard"), Err(ErrorCode::Exist));
        assert_eq!(guest.link(NO_FOLLOW, "a/plain/", "b"), Err(ErrorCode::NotDirectory));
    });
}

#[test]
fn dots_and_slashes_inside_the_directory_mean_what_they_say() {
    both(|sandbox, resolution| {
        with_links(sandbox);
        let mut guest = sandbox.guest(resolution, false);
        for path in
            ["a/plain", "./a/plain", "a//plain", "a/./plain", "a/../a/plain", "in/plain", "in/../a/plain"]
        {
            assert_eq!(guest.read(path).unwrap(), b"plain", "{path}");
        }
        assert_eq!(guest.open("a/plain/.", NONE, READ).err(), Some(ErrorCode::NotDirectory));
        assert_eq!(guest.open("a/plain/../plain", NONE, READ).err(), Some(ErrorCode::NotDirectory));
        assert_eq!(guest.open("no/../a", NONE, READ).err(), Some(ErrorCode::NoEntry));
        assert!(guest.open("a/..", DIRECTORY, READ).is_ok());
        assert_eq!(guest.open("a/plain", DIRECTORY, READ).err(), Some(ErrorCode::NotDirectory));
        assert_eq!(guest.open("a", NONE, WRITE).err(), Some(ErrorCode::IsDirectory));
        assert_eq!(guest.open(".", CREATE, WRITE).err(), Some(ErrorCode::IsDirectory));
        assert_eq!(guest.open("a", CREATE | DIRECTORY, READ).err(), Some(ErrorCode::Invalid));
        assert_eq!(guest.mkdir("a"), Err(ErrorCode::Exist));
        assert_eq!(guest.mkdir("a/."), Err(ErrorCode::Exist));
        assert_eq!(guest.mkdir("no/b"), Err(ErrorCode::NoEntry));
    });
}

#[test]
fn a_descriptor_of_a_file_is_no_directory_to_resolve_beneath() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("file"), "").unwrap();
        let mut guest = sandbox.guest(resolution, false);
        let file = guest.open("file", NONE, READ | WRITE).unwrap();
        let mut on_file = Guest { wasi: guest.wasi, dir: file };
        assert_eq!(on_file.open("x", NONE, READ).err(), Some(ErrorCode::NotDirectory));
        assert_eq!(on_file.stat(FOLLOW, "x").err(), Some(ErrorCode::NotDirectory));
        assert_eq!(on_file.mkdir("x"), Err(ErrorCode::NotDirectory));
        assert_eq!(on_file.unlink("x"), Err(ErrorCode::NotDirectory));
        assert_eq!(on_file.rename("x", "y"), Err(ErrorCode::NotDirectory));
        assert_eq!(on_file.symlink("x", "y"), Err(ErrorCode::NotDirectory));
        assert_eq!(on_file.readlink("x"), Err(ErrorCode::NotDirectory));
        let dir = on_file.dir.borrow();
        assert!(descriptor::read_directory(&mut on_file.wasi, dir).unwrap().is_err());
    });
}

#[test]
fn forty_links_are_followed_and_not_one_more() {
    both(|sandbox, resolution| {
        fs::write(sandbox.inside("l0"), "end").unwrap();
        for n in 1..=41 {
            symlink(format!("l{}", n - 1), sandbox.inside(&format!("l{n}"))).unwrap();
        }
        let mut guest = sandbox.guest(resolution, false);
        assert_eq!(guest.read("l40").unwrap(), b"end");
        assert_eq!(guest.open("l41", NONE, READ).err(), Some(ErrorCode::Loop));
    });
}

#[test]
fn magic_links_of_proc_lead_nowhere() {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let mut builder = Wasi::builder();
        builder.resolution(resolution).preopen("/proc", "/", true).unwrap();
        let mut guest = Guest::of(builder.build());
        for path in ["cwd", "root", "exe", "root/etc/passwd", "cwd/Cargo.toml", "fd/0"] {
            let path = &format!("self/{path}");
            let error = guest.open(path, NONE, READ).err().unwrap_or_else(|| panic!("{path} opened"));
            assert!(
                matches!(error, ErrorCode::NotPermitted | ErrorCode::Loop | ErrorCode::NoEntry),
                "{path}: {error:?}"
            );
        }
    }
}

// Class F: a handle for each level of a path that a guest makes would be many of the process's.
#[test]
fn a_path_of_many_levels_takes_few_handles() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        let deep = "d/".repeat(600);
        for end in 1..=600 {
            let path = sandbox.inside(&deep[..end * 2]);
            fs::create_dir(path).unwrap();
        }
        fs::write(sandbox.inside(&format!("{deep}f")), "x").unwrap();
        symlink("../d/d/f", sandbox.inside(&format!("{}link", &deep[2..]))).unwrap();
        let (file, link) = (format!("{deep}f"), format!("{}link", &deep[2..]));
        // The walk has one for each, and says when that is enough.
        let expected = match resolution {
            Resolution::Kernel => Ok(()),
            Resolution::Walk => Err(ErrorCode::NameTooLong),
        };
        for path in [&file, &link] {
            assert_eq!(guest.open(path, NONE, READ).map(|_| ()), expected, "{path}");
            let dir = guest.dir.borrow();
            let set = descriptor::set_times_at(
                &mut guest.wasi,
                dir,
                FOLLOW,
                path.clone(),
                NewTimestamp::Now,
                NewTimestamp::NoChange,
            );
            assert_eq!(set.unwrap(), expected, "{path}");
        }
        assert_eq!(guest.link(FOLLOW, &link, "here"), expected);
        if expected.is_ok() {
            assert_eq!(guest.read("here"), Ok(b"x".to_vec()));
        }
        // To the walk it is the open levels that count, not the length of the path.
        let round = format!("{}{}d/d", "d/".repeat(100), "../d/".repeat(600));
        assert!(guest.stat(FOLLOW, &round).is_ok());
    });
}
