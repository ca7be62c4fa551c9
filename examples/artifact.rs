//! Compiles ahead of time, and runs what was compiled without the compiler.
//!
//! `cargo run -p mini-wasm-examples --bin artifact`

use mini_wasm_jit::LoadOnly;
use mini_wasm_jit::artifact::{Artifact, Kind, Seal, Trust};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::SealKey;
use mini_wasm_runtime::module::WasmBytes;
use mini_wasm_runtime::{Config, Engine, Linker, Module, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wasm = include_bytes!("../guests/bin/bench-fib.wasm");
    let config = Config::default();

    // Whoever holds this key may have code run here. `SealKey::user` keeps one in a file of the user's.
    let key = SealKey::random()?;
    let module = Module::new(&Engine::new(config.clone()), &wasm[..])?;
    let (compile, seal) = (CompileOptions::default(), Seal::Key(key.clone()));
    let options = ArtifactOptions { arch: None, cpu: None, compile, seal };
    let bytes = compile_artifact(&config, wasm, Kind::Module, &[module.info()], &[], &options)?.bytes;

    // In another process, on another day.
    let engine = Engine::with_runtime(config.clone(), &LoadOnly);
    let module = match Artifact::load_bytes(&config, &bytes, &Trust::key(key))? {
        Ok(mut artifact) => {
            Module::with_native(&engine, WasmBytes::new(artifact.wasm), artifact.native.pop())?
        }
        // The code is not trusted; the WebAssembly inside may still be interpreted.
        Err(refused) => return Err(refused.reason.to_string().into()),
    };
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new().instantiate(&mut store, &module)?;
    let run = instance.func(&mut store, "run").ok_or("no export `run`")?.typed::<i32, i64>(&store)?;
    println!("fib(30) = {}", run.call(&mut store, 30)?);
    Ok(())
}
