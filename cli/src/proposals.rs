//! What a file that is refused would need: the switches of `-W` with which it is valid.
//!
//! Found by trying, so that every proposal of the engine's list is covered and no message of the validator's has to be understood.

use crate::failure::Failure;
use crate::output;
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
        let (kind, wasm) = (error.kind(), wasm.as_ref());
        let switches = match kind {
            ErrorKind::Invalid | ErrorKind::Malformed => missing(features, wasm),
            _ => Vec::new(),
        };
        let is_async = |switch: &&str| ASYNC.contains(switch);
        // What the engine does not have yet no switch allows, and the validator has its own words for it.
        let said = error.to_string();
        let says_async =
            ["component model async", "is not supported yet"].iter().any(|words| said.contains(words));
        let what = if switches.iter().any(is_async) || says_async || needs_wasi_03(wasm) {
            let checks = if switches.is_empty() {
                String::new()
            } else {
                format!(" (-W {} checks it)", switches.join(","))
            };
            format!("it {NEEDS_ASYNC}{checks}")
        } else if switches.is_empty() {
            return Failure::engine(name)(error);
        } else {
            format!("-W {} allows it", switches.join(","))
        };
        Failure::engine(name)(Error::new(kind, format!("{error}; {what}")))
    }
}

/// What WASI 0.3 is told, whichever command meets it.
pub(crate) const NEEDS_ASYNC: &str =
    "needs WASI 0.3 / component-model async, which mini-wasm does not run yet";

/// The switches of what WASI 0.3 is built on.
const ASYNC: &[&str] = &[
    "component-async",
    "component-more-async-builtins",
    "component-async-stackful",
    "component-threading",
    "component-forward",
];

/// Whether a name is one of WASI 0.3.
pub(crate) fn is_wasi_03(name: &str) -> bool {
    name.starts_with("wasi:") && name.contains("@0.3.")
}

/// Warns of a component that only WASI 0.3 would run, for commands that do not run what they read.
pub(crate) fn warn_of_wasi_03(name: &str, wasm: &[u8]) {
    if needs_wasi_03(wasm) {
        output::warn(format_args!("{name} {NEEDS_ASYNC}"));
    }
}

/// Whether a component names an interface of WASI 0.3. Not parsed: it may be of a kind that is not read here yet.
fn needs_wasi_03(wasm: &[u8]) -> bool {
    const LONGEST: usize = 80;
    Component::is_component(wasm)
        && wasm.windows(5).enumerate().filter(|(_, word)| *word == b"wasi:").any(|(at, _)| {
            let name = &wasm[at..wasm.len().min(at + LONGEST)];
            let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b":/-@.".contains(byte));
            std::str::from_utf8(&name[..end.unwrap_or(name.len())]).is_ok_and(is_wasi_03)
        })
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
