//! How long does compiling take, how large is what it makes, and what does taking it into use cost?
//!
//! Compile time is CPU time of the whole process, since both engines compile on all cores.

use crate::Options;
use crate::peers::workloads;
use crate::timing::{process_cpu, time};
use mini_wasm_jit::artifact::{Artifact, Kind, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_runtime::module::WasmBytes;
use mini_wasm_runtime::{Config, Engine, Module};

/// Compiles to an artifact; its bytes.
fn ours(wasm: &[u8], key: &SealKey) -> Vec<u8> {
    let config = Config::default();
    let engine = Engine::new(config.clone());
    let info = Module::parse_only(&engine, WasmBytes::new(wasm.into())).expect("a benchmark module is valid");
    let seal = Seal::Key(key.clone());
    let options = ArtifactOptions { arch: None, cpu: None, compile: CompileOptions::default(), seal };
    compile_artifact(&config, wasm, Kind::Module, &[&info], &[], &options)
        .expect("this machine has native code")
        .bytes
}

#[cfg(feature = "wasmtime")]
fn theirs(wasm: &[u8]) -> Vec<u8> {
    wasmtime::Engine::default().precompile_module(wasm).expect("a benchmark module is valid")
}

#[cfg(not(feature = "wasmtime"))]
fn theirs(_wasm: &[u8]) -> Vec<u8> {
    Vec::new()
}

/// CPU seconds of the process for `work`, and what it made.
fn process_time(work: &mut dyn FnMut() -> Vec<u8>) -> (f64, Vec<u8>) {
    let start = process_cpu();
    let made = work();
    (process_cpu() - start, made)
}

pub(crate) fn run(options: &Options) {
    if !cfg!(feature = "wasmtime") {
        println!("built without the feature `wasmtime`: its columns are empty");
    }
    let key = SealKey::random().expect("the system has randomness");
    let trust = Trust::key(key.clone());
    println!(
        "| workload | wasm KiB | ours ms | wasmtime ms | time ratio | ours KiB | wasmtime KiB | size ratio | load ms | of it seal ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for w in workloads() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds.div_ceil(2) {
            let (t, made) = process_time(&mut || ours(&w.wasm, &key));
            our_times.push(t);
            a = made;
            let (t, made) = process_time(&mut || theirs(&w.wasm));
            their_times.push(t);
            b = made;
        }
        let (t_ours, t_theirs) = (crate::timing::median(our_times), crate::timing::median(their_times));
        let config = Config::default();
        let load = |trust: Option<&Trust>| {
            crate::timing::median((0..options.rounds).map(|_| {
                time(&mut || {
                    let loaded = match trust {
                        Some(trust) => Artifact::load_bytes(&config, &a, trust),
                        None => Artifact::load_bytes(&config, &a, &Trust::default()),
                    };
                    let loaded = loaded.expect("there is memory");
                    assert_eq!(loaded.is_ok(), trust.is_some(), "{}: the seal decides", w.name);
                })
            }))
        };
        let sealed = load(Some(&trust));
        let seal = time(&mut || {
            std::hint::black_box(blake3::keyed_hash(&[7; 32], &a));
        });
        let kib = |n: usize| n as f64 / 1024.0;
        println!(
            "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.2} | {:.3} | {:.3} |",
            w.name,
            kib(w.wasm.len()),
            t_ours * 1e3,
            t_theirs * 1e3,
            t_ours / t_theirs,
            kib(a.len()),
            kib(b.len()),
            kib(a.len()) / kib(b.len()),
            sealed * 1e3,
            seal * 1e3
        );
    }
}
