//! Runs a WASI 0.2 command component with its arguments, standard output and one read-only directory, and nothing else.
//!
//! `cargo run -p mini-wasm-examples --bin component [FILE [ARGS]...]`

use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, ErrorKind, Store};
use mini_wasm_wasi::{Wasi, add_to_linker, cli};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let hello = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/bin/rust-hello.wasm");
    let args: Vec<String> = std::env::args().skip(1).collect();
    let file = args.first().map_or(hello, String::as_str);

    let engine = Engine::with_backend(Config::default(), Arc::new(Jit::default()));
    let component = Component::new(&engine, std::fs::read(file)?)?;
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi)?;

    let mut wasi = Wasi::builder();
    wasi.arg("guest").args(args.iter().skip(1)).inherit_stdout().preopen(".", "/here", true)?;
    let mut store = Store::new(&engine, wasi.build());
    let instance = linker.instantiate(&mut store, &component)?;

    let run = instance.func_of(&mut store, cli::run::INSTANCE, cli::run::RUN).ok_or("it is no command")?;
    match run.typed::<(), Result<(), ()>>(&store)?.call(&mut store, ()) {
        Ok(result) => Ok(ExitCode::from(u8::from(result.is_err()))),
        Err(error) => match error.kind() {
            ErrorKind::Exit(status) => Ok(ExitCode::from(status)),
            _ => Err(error.into()),
        },
    }
}
