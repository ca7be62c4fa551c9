//! `mini-wasm inspect FILE`: what a file imports and exports. A component is shown as the WIT it carries, a core module as a
//! list in the text format's words, an artifact by its head and seal and then by what it was made from. With `--wit`: WIT only.

#[cfg(not(feature = "tools"))]
use crate::call::Function;
use crate::failure::Failure;
use crate::flags::Inspect;
#[cfg(feature = "tools")]
use crate::input;
use crate::input::{ArtifactFile, Content, Input};
use crate::proposals::refused;
#[cfg(feature = "tools")]
use crate::proposals::warn_of_wasi_03;
use crate::wat_type::extern_type;
#[cfg(feature = "tools")]
use crate::wit::{Unstable, Wit};
use crate::{engine, output, permissions};
use mini_wasm_jit::artifact::{Artifact, Kind, SealedBy};
#[cfg(not(feature = "tools"))]
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::{Config, Engine, Module};
use std::fmt::Write;

/// Prints it.
pub(crate) fn inspect(flags: &Inspect) -> Result<u8, Failure> {
    #[cfg(feature = "tools")]
    if flags.wit {
        return output::print(wit(flags)?).map(|()| 0);
    }
    let Input { name, content } = Input::read(&flags.file)?;
    let reader = engine::reader(&flags.language);
    let text = match content {
        content if flags.permissions => asked(&name, content, &reader)?,
        Content::Module(bytes) => module(&name, &bytes, &reader)?,
        Content::Component(bytes) => component(&name, &bytes, &reader)?,
        Content::Artifact(file) => artifact(&name, &file, flags)?,
    };
    output::print(text).map(|()| 0)
}

/// What it can ask for.
fn asked(name: &str, content: Content, engine: &Engine) -> Result<String, Failure> {
    let (kind, wasm) = match content {
        Content::Module(bytes) => (Kind::Module, bytes.into()),
        Content::Component(bytes) => (Kind::Component, bytes.into()),
        Content::Artifact(file) => Artifact::wasm(&file.bytes()?)
            .ok_or_else(|| Failure::Other(format!("{name} is damaged: its WebAssembly is not intact")))?,
    };
    match kind {
        Kind::Module => permissions::of_module(name, &wasm, engine),
        Kind::Component => permissions::of_component(name, &wasm, engine),
    }
}

fn module(name: &str, bytes: &[u8], engine: &Engine) -> Result<String, Failure> {
    let module = Module::new(engine, bytes).map_err(refused(name, engine, bytes))?;
    let mut text = String::from("core module\n");
    for (from, name, ty) in module.imports() {
        let _ = writeln!(text, "  import {from:?} {name:?} {}", extern_type(ty));
    }
    for (name, ty) in module.exports() {
        let _ = writeln!(text, "  export {name:?} {}", extern_type(&ty));
    }
    Ok(text)
}

#[cfg(feature = "tools")]
fn component(name: &str, bytes: &[u8], _: &Engine) -> Result<String, Failure> {
    warn_of_wasi_03(name, bytes);
    Wit::of_component(name, bytes)?.print()
}

/// Without the crates that know WIT: names and kinds, and the types of functions.
#[cfg(not(feature = "tools"))]
fn component(name: &str, bytes: &[u8], engine: &Engine) -> Result<String, Failure> {
    let component = Component::new(engine, bytes).map_err(refused(name, engine, bytes))?;
    let mut text = String::from("component\n");
    for (name, ty) in component.imports() {
        let _ = writeln!(text, "  import {name}: {}", ty.kind());
    }
    for (name, ty) in component.exports() {
        let _ = writeln!(text, "  export {name}: {}", ty.kind());
    }
    for function in Function::all(&component) {
        let _ = writeln!(text, "  {}", function.signature());
    }
    Ok(text)
}

/// WIT and nothing else.
#[cfg(feature = "tools")]
fn wit(flags: &Inspect) -> Result<String, Failure> {
    let path = &flags.file;
    if path.is_dir() {
        return Wit::read(path, Unstable::Counts)?.print();
    }
    let (name, bytes) = input::read_bytes(path)?;
    if path.extension().is_some_and(|extension| extension == "wit") {
        return Wit::of(name, bytes, Unstable::Counts)?.print();
    }
    let Input { name, content } = Input::recognise(name, bytes)?;
    let (kind, bytes) = match content {
        Content::Component(bytes) => (Kind::Component, bytes),
        Content::Module(bytes) => (Kind::Module, bytes),
        Content::Artifact(file) => match Artifact::wasm(&file.bytes()?) {
            Some((kind, wasm)) => (kind, wasm.to_vec()),
            None => return Err(Failure::Other(format!("{name} is damaged: its WebAssembly is not intact"))),
        },
    };
    match kind {
        Kind::Component => component(&name, &bytes, &engine::reader(&flags.language)),
        Kind::Module => match Wit::of_module(&name, &bytes)? {
            Some(wit) => wit.print(),
            None => Err(Failure::Other(format!("{name} is a core module and carries no world"))),
        },
    }
}

fn artifact(name: &str, file: &ArtifactFile, flags: &Inspect) -> Result<String, Failure> {
    let config = Config { features: flags.language.features(), ..Config::default() };
    let settings = engine::settings(&config, file.facts.as_ref());
    let trust = engine::trust(&flags.trusted)?;
    let bytes = file.bytes()?;
    let loaded = Artifact::load_bytes(&settings, &bytes, &trust).map_err(Failure::engine(name))?;
    let state = match &loaded {
        Ok(_) => "good: its native code runs".into(),
        Err(refused) => engine::refusal(&refused.reason, &config, file.facts.as_ref()),
    };
    let mut text = String::from("artifact\n");
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:<14}{value}");
    };
    row("state", state);
    if let Some(facts) = &file.facts {
        let sealed = match &facts.sealed {
            SealedBy::Nobody => "none".into(),
            SealedBy::Key => "a user's key".into(),
            SealedBy::Signer(key) => format!("signature by {key}"),
        };
        let checks =
            [(facts.fuel, "fuel"), (facts.epoch, "epoch"), (facts.canonicalize_nans, "canonical NaNs")];
        let checks: Vec<&str> = checks.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        row("seal", sealed);
        row(
            "build",
            if facts.this_build { "this one".into() } else { "another version of mini-wasm".into() },
        );
        row("target", facts.arch.map_or("unknown".into(), |arch| arch.triple().into()));
        row("checks", if checks.is_empty() { "none".into() } else { checks.join(", ") });
        row("core modules", facts.modules.to_string());
        row("WebAssembly", format!("{} bytes", facts.wasm_bytes));
        row("native code", format!("{} bytes", facts.text_bytes));
    }
    text += "\n";
    text += &match Artifact::wasm(&bytes) {
        Some((Kind::Module, wasm)) => module(name, &wasm, &engine::reader(&flags.language))?,
        Some((Kind::Component, wasm)) => component(name, &wasm, &engine::reader(&flags.language))?,
        None => "the WebAssembly inside is not intact\n".into(),
    };
    Ok(text)
}
