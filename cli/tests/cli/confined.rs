//! Little address space (`ulimit -v`): memories do without guard pages, and whatever has no room says so in words.

use crate::sandbox::Sandbox;
use crate::{Ended, Mode, end, mini_wasm, prepared};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// A memory that is written and read at its ends, grows, and is left.
const ENDS: &str = r#"(module $ends
    (memory (export "memory") 1 20)
    (func $store (param i32) (i32.store8 (local.get 0) (i32.const 7)))
    (func (export "inside") (param i32) (result i32)
        (drop (memory.grow (local.get 0)))
        (call $store (i32.const 0))
        (call $store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)))
        (i32.add (i32.load8_u (i32.const 0)) (memory.size)))
    (func (export "outside") (param i32) (call $store (local.get 0)))
    (func (export "far") (param i32) (result i32) (i32.load offset=0xfffffff0 (local.get 0))))"#;

/// The command with so many KiB of address space.
fn confined<S: AsRef<std::ffi::OsStr>>(
    sandbox: &Sandbox,
    kib: u64,
    words: impl IntoIterator<Item = S>,
) -> Ended {
    let inner = mini_wasm(sandbox);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\"")).arg(inner.get_program());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    end(sandbox, command.args(words).stdin(Stdio::null()))
}

fn call(mode: Mode, flags: &[&str], program: &Path, call: &[&str]) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["run", mode.engine()].iter().chain(flags).map(Into::into).collect();
    words.extend(["--invoke".into(), call[0].into(), program.into()]);
    words.extend(call[1..].iter().map(Into::into));
    words
}

/// Address space for the command itself: this build of it, tests' or not.
const SCARCE: u64 = 1 << 20;

#[test]
fn where_address_space_is_scarce_memories_do_without_guard_pages() {
    let sandbox = Sandbox::new("scarce");
    let program = sandbox.file("ends.wat", ENDS);
    for mode in Mode::ALL {
        for aot in [&[][..], &["--guard-pages=never"], &["--guard-pages=always"]] {
            let made = prepared(&sandbox, mode, &program, aot);
            let ended = confined(&sandbox, SCARCE, call(mode, &[], &made, &["inside", "19"]));
            assert_eq!((ended.status, &*ended.stdout), (0, "27\n"), "{mode:?} {aot:?}: {ended:?}");
            let is_told = mode == Mode::Artifact && aot != ["--guard-pages=never"];
            assert_eq!(
                ended.stderr.contains("aot --guard-pages never"),
                is_told,
                "{mode:?} {aot:?}: {ended:?}"
            );
            for (name, at) in [("outside", "65536"), ("outside", "-1"), ("far", "1"), ("far", "-1")] {
                let ended = confined(&sandbox, SCARCE, call(mode, &[], &made, &[name, at]));
                assert_eq!(ended.status, 134, "{mode:?} {aot:?}: {ended:?}");
                assert!(ended.stderr.contains("out of bounds memory access"), "{mode:?} {aot:?}: {ended:?}");
            }
            if mode != Mode::Artifact {
                break;
            }
        }
    }
}

#[test]
fn guard_pages_are_had_always_or_never_by_a_flag() {
    let sandbox = Sandbox::new("guard-flag");
    let program = sandbox.file("ends.wat", ENDS);
    for mode in Mode::ALL {
        for made_with in ["auto", "always", "never"] {
            let made = prepared(&sandbox, mode, &program, &[&format!("--guard-pages={made_with}")]);
            for choice in ["auto", "always", "never"] {
                let flag = format!("--guard-pages={choice}");
                let ended =
                    end(&sandbox, mini_wasm(&sandbox).args(call(mode, &[&flag], &made, &["inside", "19"])));
                assert_eq!((ended.status, &*ended.stdout), (0, "27\n"), "{mode:?} {choice}: {ended:?}");
                let refused = mode == Mode::Artifact && choice == "never" && made_with != "never";
                assert_eq!(ended.stderr.contains("guard pages"), refused, "{made_with} {choice}: {ended:?}");
                let ended = end(
                    &sandbox,
                    mini_wasm(&sandbox).args(call(mode, &[&flag], &made, &["outside", "65536"])),
                );
                assert_eq!(ended.status, 134, "{mode:?} {choice}: {ended:?}");
            }
            if mode != Mode::Artifact {
                break;
            }
        }
    }
    let ended =
        confined(&sandbox, SCARCE, call(Mode::Jit, &["--guard-pages=always"], &program, &["inside", "1"]));
    assert_eq!(ended.status, 134, "{ended:?}");
    assert!(ended.stderr.contains("address space for a memory with guard pages"), "{ended:?}");
    let script = sandbox.file(
        "ends.wast",
        format!("{ENDS}\n(assert_return (invoke \"inside\" (i32.const 19)) (i32.const 27))"),
    );
    for choice in ["auto", "always", "never"] {
        let ended = crate::run(
            &sandbox,
            ["wast".into(), format!("--guard-pages={choice}").into(), script.clone().into_os_string()],
        );
        assert_eq!(ended.status, 0, "{ended:?}");
    }
}

#[test]
fn however_little_address_space_there_is_the_command_ends_in_words() {
    let sandbox = Sandbox::new("tight");
    let program = sandbox.file("ends.wat", ENDS);
    let large = sandbox.file(
        "large.wat",
        r#"(module (memory (export "m") 2000) (func (export "inside") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    for mode in [Mode::Interp, Mode::Jit] {
        // From more than enough down to what the loader itself does not come up with.
        for mib in [512, 256, 192, 160, 128, 112, 96] {
            for program in [&program, &large] {
                let ended = confined(&sandbox, mib << 10, call(mode, &[], program, &["inside", "19"]));
                let usual = matches!(ended.status, 0 | 1 | 134);
                let crashed =
                    ["panicked", "crash:", "SIGSEGV"].iter().any(|word| ended.stderr.contains(word));
                assert!(usual && !crashed, "{mode:?} under {mib} MiB: {ended:?}");
            }
        }
    }
}

#[test]
fn a_write_past_the_limit_on_files_is_an_error_to_the_guest() {
    let sandbox = Sandbox::new("file-size");
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "file")
        (data (i32.const 16) "\00\00\00\00\04\00\00\00")
        (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4)
                (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
            (call $exit (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1)
                (i64.const 0x100000) (i32.const 40)))))"#;
    let program = sandbox.file("write.wat", guest);
    let mut command = Command::new("sh");
    let inner = mini_wasm(&sandbox);
    command.args(["-c", "ulimit -f 4 && ulimit -c 0 && exec \"$0\" \"$@\""]).arg(inner.get_program());
    command.args(["run", "--engine=interp", "--dir"]).arg(format!("{}::/", sandbox.path("").display()));
    let ended = end(&sandbox, command.arg(program).stdin(Stdio::null()));
    assert_eq!(ended.status, 22, "`fbig`: {ended:?}");
}

/// A component's magic number and version, and a section of 256 MiB that is not there.
fn cut(section: u8) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".as_slice(), &[section, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat()
}

#[test]
fn a_section_that_says_it_is_larger_than_the_file_makes_no_room_for_itself() {
    let sandbox = Sandbox::new("cut-section");
    let importer = crate::guests().join("bin/demo-importer.wasm");
    let (importer, out) = (importer.to_str().expect("a path"), sandbox.path("out"));
    let out = out.to_str().expect("a path");
    for (name, bytes) in [
        ("types.wasm", cut(7)),
        ("custom.wasm", cut(0)),
        ("nested.wasm", [b"\0asm\x0d\0\x01\0\x04\x0e".as_slice(), &cut(7)].concat()),
    ] {
        let file = sandbox.file(name, bytes);
        for words in [
            &["inspect"][..],
            &["inspect", "--wit"],
            &["check", "--world", "wasi:cli/command@0.2.0"],
            &["validate"],
            &["compose", importer, "-o", out, "--plug"],
            &["repl"],
            &["run", "--engine=interp"],
            &["aot", "-o", out],
        ] {
            let words = words.iter().map(OsString::from).chain([file.clone().into()]);
            let ended = confined(&sandbox, SCARCE, words);
            assert_eq!(ended.status, 1, "{name}: {ended:?}");
            assert!(ended.stderr.contains("error: "), "{name}: {ended:?}");
            assert!(!ended.stderr.contains("allocation"), "{name}: {ended:?}");
        }
    }
}
