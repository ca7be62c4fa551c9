//! What a program can ask for, what grants it, and the stores that flags grant.

use crate::sandbox::Sandbox;
use crate::{Mode, end, guests, mini_wasm, prepared};

/// What `inspect --permissions` says of a file.
#[track_caller]
fn permissions(sandbox: &Sandbox, program: &std::path::Path) -> String {
    let ended = end(sandbox, mini_wasm(sandbox).args(["inspect", "--permissions"]).arg(program));
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.stdout
}

#[test]
fn a_file_says_what_it_can_ask_for_whatever_it_is() {
    let sandbox = Sandbox::new("permissions");
    let component = guests().join("bin/rust-files.wasm");
    let text = permissions(&sandbox, &component);
    for part in ["--dir HOST", "wasi:filesystem/types@", "open-at", "streams (given)", "--env NAME"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    for part in ["--allow-net", "--allow-http", "--kv", "does not have"] {
        assert!(!text.contains(part), "`{part}` in:\n{text}");
    }
    let artifact = prepared(&sandbox, Mode::Artifact, &component, &[]);
    let of_artifact = permissions(&sandbox, &artifact);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), of_artifact.lines().skip(1).collect::<Vec<_>>());
    let module = permissions(&sandbox, &guests().join("bin/p1-rust-files.wasm"));
    for part in ["--dir HOST", "wasi_snapshot_preview1", "path_open", "standard streams (given)"] {
        assert!(module.contains(part), "no `{part}` in:\n{module}");
    }
    assert!(!module.contains("--allow-net"), "{module}");
    let server = permissions(&sandbox, &guests().join("bin/http-server.wasm"));
    assert!(server.contains("mini-wasm serve"), "{server}");
    let nothing = sandbox.file("nothing.wat", "(module (func (export \"f\")))");
    assert!(permissions(&sandbox, &nothing).contains("nothing"));
    let other = sandbox.file(
        "other.wat",
        r#"(module (import "env" "f" (func)) (import "wasi_snapshot_preview1" "fd_frob" (func)))"#,
    );
    let text = permissions(&sandbox, &other);
    assert!(text.contains("does not have") && text.contains("env f") && text.contains("fd_frob"), "{text}");
}

/// A component that opens a bucket, adds one to `n` in it, and ends with 0 if that worked.
const COUNTS: &str = r#"(component
    (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store
        (export "bucket" (type $bucket (sub resource)))
        (type $error' (variant (case "no-such-store") (case "access-denied") (case "other" string)))
        (export "error" (type $error (eq $error')))
        (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
    (alias export $store "bucket" (type $bucket))
    (alias export $store "error" (type $error))
    (import "wasi:keyvalue/atomics@0.2.0-draft2" (instance $atomics
        (export "bucket" (type $bucket' (eq $bucket)))
        (export "error" (type $error' (eq $error)))
        (export "increment" (func (param "bucket" (borrow $bucket')) (param "key" string) (param "delta" s64)
            (result (result s64 (error $error')))))))
    (core module $memory
        (memory (export "memory") 1)
        (data (i32.const 0) "n")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $open (canon lower (func $store "open") (memory $mem) (realloc $realloc)))
    (core func $increment (canon lower (func $atomics "increment") (memory $mem) (realloc $realloc)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "open" (func $open (param i32 i32 i32)))
        (import "" "increment" (func $increment (param i32 i32 i32 i64 i32)))
        (func (export "run") (result i32)
            (call $open (i32.const 0) (i32.const 0) (i32.const 16))
            (if (i32.load8_u (i32.const 16)) (then (return (i32.const 1))))
            (call $increment (i32.load (i32.const 20)) (i32.const 0) (i32.const 1) (i64.const 1) (i32.const 32))
            (i32.load8_u (i32.const 32)))
        (func (export "count") (result i64) (drop (call 2)) (i64.load (i32.const 40))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $mem)) (export "open" (func $open)) (export "increment" (func $increment))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $r (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $r))
    (func (export "count") (result s64) (canon lift (core func $i "count"))))"#;

#[test]
fn a_store_is_granted_by_a_flag_and_one_in_a_file_outlives_the_guest() {
    let sandbox = Sandbox::new("keyvalue");
    let program = sandbox.file("counts.wat", COUNTS);
    let denied = end(&sandbox, mini_wasm(&sandbox).arg("run").arg(&program));
    assert_eq!(denied.status, 1, "{denied:?}");
    assert!(denied.stderr.contains("--kv memory|file:PATH"), "{denied:?}");
    let file = format!("file:{}", sandbox.path("store.redb").display());
    for mode in Mode::ALL {
        let program = prepared(&sandbox, mode, &program, &[]);
        let granted =
            end(&sandbox, mini_wasm(&sandbox).args(["run", mode.engine(), "--kv=memory"]).arg(&program));
        assert_eq!((granted.status, &*granted.stderr), (0, ""), "{granted:?}");
    }
    for count in 1..=3 {
        let words = ["run", "--kv", &file, "--invoke", "count()"];
        let ended = end(&sandbox, mini_wasm(&sandbox).args(words).arg(&program));
        assert_eq!((ended.status, &*ended.stdout), (0, &*format!("{count}\n")), "{ended:?}");
    }
    let noise = sandbox.file("noise", [1; 5000]);
    let words = ["run".into(), format!("--kv=file:{}", noise.display())];
    let ended = end(&sandbox, mini_wasm(&sandbox).args(words).arg(&program));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("--kv: cannot open"), "{ended:?}");
}
