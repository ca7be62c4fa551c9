//! How long does a whole process take that does next to nothing: from a component, and from its artifact?
//!
//! Needs `target/release/mini-wasm`. The peer is the `wasmtime` command 48.0.8, found through `MINI_WASM_BENCH_WASMTIME` or on the path
//! (`cargo install wasmtime-cli@48.0.8 --locked`); without it only our own times are printed. Wall time, since a process start is
//! mostly the system's.

use crate::Options;
use crate::peers::guests;
use crate::timing::{head, pairs, row};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

fn wall(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let seconds = start.elapsed().as_secs_f64();
    assert!(status.is_ok_and(|s| s.success()), "{command:?} failed");
    seconds
}

fn wasmtime() -> Option<PathBuf> {
    let named = std::env::var_os("MINI_WASM_BENCH_WASMTIME").map(PathBuf::from);
    let path = named.unwrap_or_else(|| PathBuf::from("wasmtime"));
    let version = Command::new(&path).arg("--version").output().ok()?;
    println!("peer: {}", String::from_utf8_lossy(&version.stdout).trim());
    Some(path)
}

/// Prepares the artifact of each engine, then lets them take turns.
fn question(
    name: &str,
    options: &Options,
    ours: &mut dyn FnMut() -> Command,
    theirs: &mut dyn FnMut() -> Command,
) {
    let times = pairs(options.rounds * 5, &mut || wall(&mut ours()), &mut || wall(&mut theirs()));
    let speed = row(name, &times);
    println!("{:19}our time is {:.2} of theirs", "", 1.0 / speed);
}

pub(crate) fn run(options: &Options) {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/mini-wasm");
    let mini_wasm =
        std::env::var_os("MINI_WASM_BENCH_OURS").map_or_else(|| PathBuf::from(here), PathBuf::from);
    if !mini_wasm.exists() {
        println!("left out: there is no {} (cargo build --release -p mini-wasm-cli)", mini_wasm.display());
        return;
    }
    let folder = std::env::temp_dir().join(format!("mini-wasm-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let wasm = guests().join("bin/c-hello.wasm");
    let (ours, theirs) = (folder.join("ours.cwasm"), folder.join("theirs.cwasm"));
    wall(Command::new(&mini_wasm).arg("aot").arg(&wasm).arg("-o").arg(&ours));
    let run = |binary: &Path, flags: &[&str], file: &Path| {
        let mut command = Command::new(binary);
        command.arg("run").args(flags).arg(file);
        command
    };
    match wasmtime() {
        Some(wasmtime) => {
            wall(Command::new(&wasmtime).arg("compile").arg(&wasm).arg("-o").arg(&theirs));
            head("ours", "wasmtime");
            let interp: &[&str] = &["--engine", "interp"];
            question("artifact", options, &mut || run(&mini_wasm, &[], &ours), &mut || {
                run(&wasmtime, &["--allow-precompiled"], &theirs)
            });
            question("wasm, interpreted", options, &mut || run(&mini_wasm, interp, &wasm), &mut || {
                run(&wasmtime, &["-C", "cache=n"], &wasm)
            });
            question(
                "wasm, compiled",
                options,
                &mut || run(&mini_wasm, &["--engine", "jit"], &wasm),
                &mut || run(&wasmtime, &["-C", "cache=n"], &wasm),
            );
        }
        None => {
            println!("the peer is not on this machine; our own times, in ms:");
            for (name, flags, file) in [
                ("artifact", &[][..], &ours),
                ("interpreted", &["--engine", "interp"], &wasm),
                ("compiled", &["--engine", "jit"], &wasm),
            ] {
                let times = (0..options.rounds * 5).map(|_| wall(&mut run(&mini_wasm, flags, file)));
                println!("| {name:16} | {:8.3} |", crate::timing::median(times) * 1e3);
            }
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}
