//! What a file that is refused would need: the switches of `-W` with which it is valid.
//!
//! Found by trying, so that every proposal of the engine's list is covered and no message of the validator's has to be understood.

use crate::failure::Failure;
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::{Config, Engine, Error, ErrorKind, Module};

/// For `map_err`: what was refused by an engine, with the switches that would allow it.
pub(crate) fn refused(
    name: impl Into<String>,
    engine: &Engine,
    wasm: impl AsRef<[u8]>,
) -> impl FnOnce(Error) -> Failure {
    let (name, features) = (name.into(), engine.config().features);
    move |error| {
        let kind = error.kind();
        if !matches!(kind, ErrorKind::Invalid | ErrorKind::Malformed) {
            return Failure::engine(name)(error);
        }
        match missing(features, wasm.as_ref()) {
            missing if missing.is_empty() => Failure::engine(name)(error),
            missing => {
                let switches = missing.join(",");
                Failure::engine(name)(Error::new(kind, format!("{error}; -W {switches} allows it")))
            }
        }
    }
}

/// The names of the proposals that have to be switched on: the fewest; none if no number of them helps.
fn missing(features: Features, wasm: &[u8]) -> Vec<&'static str> {
    let off: Vec<&'static str> = Features::LIST
        .iter()
        .map(|(name, ..)| *name)
        .filter(|name| {
            let mut on = features;
            on.set(name, true).is_some() && on != features
        })
        .collect();
    let mut needed = off.clone();
    if !is_valid(with(features, &needed), wasm) {
        return Vec::new();
    }
    // One after the other: what can be left out is left out.
    for name in off {
        let others: Vec<_> = needed.iter().copied().filter(|needed| *needed != name).collect();
        if is_valid(with(features, &others), wasm) {
            needed = others;
        }
    }
    needed
}

fn with(mut features: Features, names: &[&str]) -> Features {
    for name in names {
        let _ = features.set(name, true);
    }
    features
}

fn is_valid(features: Features, wasm: &[u8]) -> bool {
    let engine = Engine::new(Config { features, ..Config::default() });
    match Component::is_component(wasm) {
        true => Component::new(&engine, wasm).is_ok(),
        false => Module::new(&engine, wasm).is_ok(),
    }
}
