//! Turns what the toolchains print into what `guests/bin` holds. The same steps as `wasm-tools component new --adapt`,
//! `wasm-tools validate`, `wasm-tools parse` and `wac plug`, without the ten minutes that installing those takes.
//! It knows nothing of the engine: the libraries it stands on are the Bytecode Alliance's own.

mod pages;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  guest-tools command CORE.wasm OUT.wasm         a wasip1 command becomes a WASI 0.2 command component
  guest-tools command --pages CORE.wasm OUT.wasm the same for a program that sets memory aside for the adapter (Go)
  guest-tools component CORE.wasm OUT.wasm       a core module that carries its WIT becomes a component
  guest-tools wat IN.wat OUT.wasm                text becomes binary
  guest-tools validate FILE...                   prints kind, size and imports of each; fails on the first invalid one
  guest-tools plug IMPORTER PROVIDER OUT.wasm    the importer's imports are filled from the provider (feature `compose`)";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-tools: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["command", core, out] => component(&fs::read(core)?, out, true),
        ["command", "--pages", core, out] => component(&pages::with_realloc(&fs::read(core)?)?, out, true),
        ["component", core, out] => component(&fs::read(core)?, out, false),
        ["wat", text, out] => wat::parse_file(text).map_err(Into::into).and_then(|bytes| write(out, &bytes)),
        ["validate", files @ ..] if !files.is_empty() => files.iter().try_for_each(|file| validate(file)),
        ["plug", importer, provider, out] => plug(importer, provider, out),
        _ => Err(USAGE.into()),
    }
}

fn component(core: &[u8], out: &str, command: bool) -> Result<()> {
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder.validate(true).module(core)?;
    if command {
        encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?;
    }
    write(out, &encoder.encode()?)
}

fn validate(file: &str) -> Result<()> {
    let bytes = fs::read(file)?;
    // Exactly what WebAssembly 3.0 and WASI 0.2 hold: a guest that needs a proposal beyond them is a mistake here.
    let features = WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL;
    Validator::new_with_features(features)
        .validate_all(&bytes)
        .map_err(|error| format!("{file}: {error}"))?;
    let kind = if Parser::is_component(&bytes) { "component" } else { "module" };
    println!("{file}: {kind}, {} bytes", bytes.len());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ImportSection(imports) if depth == 0 => {
                for import in imports.into_imports() {
                    let import = import?;
                    println!("  import {} {}", import.module, import.name);
                }
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    println!("  import {}", import?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(feature = "compose")]
fn plug(importer: &str, provider: &str, out: &str) -> Result<()> {
    use wac_graph::{CompositionGraph, EncodeOptions};
    use wac_types::Package;

    let mut graph = CompositionGraph::new();
    let importer = Package::from_file("demo:importer", None, importer, graph.types_mut())?;
    let importer = graph.register_package(importer)?;
    let provider = Package::from_file("demo:provider", None, provider, graph.types_mut())?;
    let provider = graph.register_package(provider)?;
    wac_graph::plug(&mut graph, vec![provider], importer)?;
    write(out, &graph.encode(EncodeOptions::default())?)
}

#[cfg(not(feature = "compose"))]
fn plug(_: &str, _: &str, _: &str) -> Result<()> {
    Err("built without `--features compose`".into())
}

fn write(out: &str, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = Path::new(out).parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(out, bytes).map_err(|error| format!("{out}: {error}").into())
}
