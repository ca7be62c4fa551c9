//! `mini-wasm run`: journey 1 of ARCHITECTURE.md. From a file and flags to the guest's exit status.

mod component;
mod module;

use crate::engine::{self, Program};
use crate::failure::Failure;
use crate::flags::Run;
use crate::guest::unicode;
use crate::input::{Input, base_name};
use std::path::Path;

/// Runs a program; the guest's exit status.
pub(crate) fn run(flags: &Run) -> Result<u8, Failure> {
    let Some((file, args)) = flags.program.split_first() else {
        return Err(Failure::Usage("FILE is missing".into()));
    };
    let file = Path::new(file);
    let args =
        args.iter().map(|arg| unicode("the argument", arg)).collect::<Result<Vec<String>, Failure>>()?;
    let config = engine::config(&flags.code, &flags.limits);
    let input = Input::read(file)?;
    let name = input.name.clone();
    let program = engine::load(input, &flags.code, config)?;
    let argv0 = flags.argv0.clone().unwrap_or_else(|| base_name(file));
    let status = match &program {
        Program::Module(module) => module::run(module, &name, argv0, args, flags),
        Program::Component(component) => component::run(component, &name, argv0, args, flags),
    };
    // The process ends now: the system takes memory back faster whole than we would in pieces.
    std::mem::forget(program);
    status
}
