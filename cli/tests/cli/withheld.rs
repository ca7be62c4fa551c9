//! What no grant hands out: processes by way of procfs, and the key that seals artifacts. Whoever grants it is told.

use crate::sandbox::Sandbox;
use crate::{end, mini_wasm};
use std::path::Path;

/// A program that opens what its text says, to read, and ends with the error code.
fn opens(sandbox: &Sandbox, path: &str) -> std::path::PathBuf {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{path}")
        (func (export "_start")
            (call $exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {})
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))))"#,
        path.len()
    );
    let program = sandbox.fresh("opens").with_extension("wat");
    std::fs::write(&program, text).expect("a file for the test");
    program
}

/// `errno` of what may not be done.
const PERM: i32 = 63;

#[test]
fn a_grant_of_procfs_is_warned_of_and_hands_out_no_process() {
    let sandbox = Sandbox::new("withheld-proc");
    for (granted, path, status) in [
        ("/proc::/", "self/mem", PERM),
        ("/proc::/::ro", "self/environ", PERM),
        ("/proc::/::ro", "meminfo", 0),
        ("/::/::ro", "proc/self/mem", PERM),
    ] {
        let program = opens(&sandbox, path);
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--dir", granted]).arg(program));
        assert_eq!(ended.status, status, "{granted} {path}: {ended:?}");
        assert!(ended.stderr.contains("reaches procfs (/proc)"), "{ended:?}");
    }
    let program = opens(&sandbox, "mem");
    let refused = end(&sandbox, mini_wasm(&sandbox).args(["run", "--dir", "/proc/self::/"]).arg(&program));
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("/proc/self") && refused.stderr.contains("procfs"), "{refused:?}");
    // What reaches nothing of the kind is granted without a word.
    std::fs::create_dir(sandbox.path("plain")).expect("a folder");
    let mut plain = sandbox.path("plain").into_os_string();
    plain.push("::/");
    let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", "--dir"]).arg(plain).arg(&program));
    assert_eq!((ended.status, &*ended.stderr), (44, ""), "not there");
}

#[test]
fn the_key_that_seals_artifacts_is_no_guests() {
    let sandbox = Sandbox::new("withheld-key");
    let module = sandbox.file("empty.wat", "(module (func (export \"_start\")))");
    let sealed =
        end(&sandbox, mini_wasm(&sandbox).arg("aot").arg(&module).arg("-o").arg(sandbox.path("a.cwasm")));
    assert_eq!(sealed.status, 0, "{sealed:?}");
    let key = sandbox.path("state/mini-wasm/seal.key");
    std::fs::hard_link(&key, sandbox.path("state/second")).expect("a second name");
    let granted = |folder: &Path| {
        let mut granted = folder.as_os_str().to_owned();
        granted.push("::/");
        granted
    };
    for (folder, path, status) in [
        ("state", "mini-wasm/seal.key", PERM),
        ("state", "second", PERM),
        ("state/mini-wasm", "seal.key", PERM),
        ("state", "mini-wasm/none", 44),
    ] {
        let program = opens(&sandbox, path);
        let mut command = mini_wasm(&sandbox);
        let ended =
            end(&sandbox, command.args(["run", "--dir"]).arg(granted(&sandbox.path(folder))).arg(program));
        assert_eq!(ended.status, status, "{folder} {path}: {ended:?}");
        assert!(ended.stderr.contains("seal.key, which is withheld"), "{ended:?}");
    }
    let before = std::fs::read(&key).expect("the key");
    for path in [key.clone(), sandbox.path("state/second"), sandbox.path("state/../state/mini-wasm/seal.key")]
    {
        let store = format!("file:{}", path.display());
        let refused = end(&sandbox, mini_wasm(&sandbox).args(["run", "--kv", &store]).arg(&module));
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains("is the key that seals artifacts"), "{refused:?}");
    }
    let over = end(&sandbox, mini_wasm(&sandbox).arg("aot").arg(&module).arg("-o").arg(&key));
    assert_eq!(over.status, 1, "{over:?}");
    assert_eq!(std::fs::read(&key).expect("the key"), before);
}
