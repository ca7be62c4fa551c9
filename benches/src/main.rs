//! mini-wasm beside its peers, in one run: `cargo run --release -p mini-wasm-benches [--features wasmtime] -- [QUESTION]...`
//!
//! One file per question. Every figure is a ratio of two engines that took turns in this very run (CPU time of the thread, so
//! that a busy machine disturbs both alike); absolute times are printed for orientation only.

#![forbid(unsafe_code)]

mod compile;
mod component;
mod instantiate;
mod interp;
mod native;
mod peers;
mod start;
mod timing;

/// Name, what it asks, who answers.
type Question = (&'static str, &'static str, fn(&Options));

const QUESTIONS: &[Question] = &[
    ("interp", "compute in the interpreter, beside wasmi", interp::run),
    ("native", "compute in native code, beside wasmtime", native::run),
    ("component", "calls across the boundary of a component, beside wasmtime", component::run),
    ("instantiate", "a fresh instance of a component, as a server makes for a request", instantiate::run),
    ("compile", "compile time, artifact size, load and seal check, beside wasmtime", compile::run),
    ("start", "a whole process: from .wasm and from an artifact, beside wasmtime", start::run),
];

/// What the command line asks for.
struct Options {
    /// Turns that each engine takes.
    rounds: usize,
}

fn main() {
    let mut rounds = 7;
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(rounds),
            "--help" | "-h" => return help(),
            name if QUESTIONS.iter().any(|q| q.0 == name) => wanted.push(arg),
            _ => {
                eprintln!("there is no question `{arg}`");
                help();
                std::process::exit(2);
            }
        }
    }
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: the figures mean nothing. Use --release.");
    }
    let options = Options { rounds };
    for (name, about, run) in QUESTIONS {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("\n## {name}: {about}\n");
            run(&options);
        }
    }
}

fn help() {
    println!("usage: bench [--rounds N] [QUESTION]...\n\nquestions (all when none is named):");
    for (name, about, _) in QUESTIONS {
        println!("  {name:11} {about}");
    }
}
