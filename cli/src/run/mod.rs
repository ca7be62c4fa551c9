//! `mini-wasm run`: journey 1 of ARCHITECTURE.md. From a file and flags to the guest's exit status.

mod component;
mod deadline;
mod missing;
mod module;

use crate::engine::{self, Program};
use crate::failure::Failure;
use crate::flags::Run;
use crate::input::{Input, base_name};
use mini_wasm_runtime::{Config, Engine, Store, StoreLimits};
use std::ffi::OsStr;
use std::path::Path;

/// Runs a program; the guest's exit status.
pub(crate) fn run(flags: &Run) -> Result<u8, Failure> {
    let (file, args) = flags.program.split_first().expect("clap: FILE is required");
    let file = Path::new(file);
    let args =
        args.iter().map(|arg| unicode("the argument", arg)).collect::<Result<Vec<String>, Failure>>()?;
    let config = Config {
        features: flags.language.features(),
        fuel: flags.fuel.is_some(),
        epoch: flags.timeout.is_some(),
        ..Config::default()
    };
    let input = Input::read(file)?;
    let name = input.name.clone();
    let program = engine::load(input, flags.engine, config, &flags.trusted)?;
    let status = match &program {
        Program::Module(module) => module::run(module, &name, &args, flags),
        Program::Component(component) => {
            let argv0 = flags.argv0.clone().unwrap_or_else(|| base_name(file));
            component::run(component, &name, argv0, args, flags)
        }
    };
    // The process ends now: the system takes memory back faster whole than we would in pieces.
    std::mem::forget(program);
    status
}

/// A store with the limits of the flags.
fn store<T: Send + 'static>(engine: &Engine, data: T, flags: &Run) -> Store<T> {
    let mut store = Store::new(engine, data);
    if let Some(memory_bytes) = flags.max_memory {
        store.set_limits(StoreLimits { memory_bytes, ..StoreLimits::default() });
    }
    // An artifact may count fuel although nobody asked for it.
    store.set_fuel(flags.fuel.unwrap_or(u64::MAX));
    store
}

/// Text of the system's as WASI wants it.
fn unicode(what: &str, text: &OsStr) -> Result<String, Failure> {
    text.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Usage(format!("{what} {text:?} is not Unicode, which WASI asks for")))
}
