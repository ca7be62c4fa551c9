//! The `mini-wasm` command: flags, printing, exit codes; no logic of its own.
//!
//! | where | what |
//! |---|---|
//! | [`flags`] | the list of commands and flags |
//! | [`input`] | a file named on the command line, and what it is by its content |
//! | [`run`], [`serve`], [`aot`], [`wast`], [`validate`], [`inspect`], [`compose`], [`componentize`], [`check`], [`repl`], [`completions`] | one command each |
//! | [`wit`] | WIT, read and printed |
//! | [`engine`], [`guest`], [`deadline`], [`missing`] | from flags to a program that can run |
//! | [`call`], [`wave`], [`wit_type`] | a component's functions as a user calls them: names, values, types |
//! | [`failure`] | what went wrong, how it is printed, the exit status it gives |
//! | [`wat_type`], [`wat_value`] | types and values as the text format writes them |
#![forbid(unsafe_code)]

mod aot;
mod call;
#[cfg(feature = "tools")]
mod check;
mod completions;
#[cfg(feature = "tools")]
mod componentize;
#[cfg(feature = "tools")]
mod compose;
mod deadline;
mod engine;
mod failure;
mod flags;
mod grant;
mod guest;
mod input;
mod inspect;
mod missing;
mod output;
mod permissions;
mod proposals;
mod repl;
mod run;
mod serve;
mod validate;
mod wast;
mod wat_type;
mod wat_value;
mod wave;
#[cfg(feature = "tools")]
mod wit;
mod wit_type;

use clap::Parser;
use failure::Failure;
use flags::{Command, CommandLine};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = flags::with_run_implied(std::env::args_os(), |word| Path::new(word).is_file());
    // Prints help and version itself and ends with 0; wrong usage ends with 2.
    let line = CommandLine::parse_from(words);
    let status = match command(line.command) {
        Ok(status) => status,
        Err(failure) => {
            output::complain(&failure);
            failure.status()
        }
    };
    ExitCode::from(status)
}

fn command(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(flags) => run::run(&flags),
        Command::Serve(flags) => serve::serve(&flags),
        Command::Aot(flags) => aot::aot(&flags),
        Command::Wast(flags) => wast::wast(&flags),
        Command::Validate(flags) => validate::validate(&flags),
        Command::Inspect(flags) => inspect::inspect(&flags),
        #[cfg(feature = "tools")]
        Command::Compose(flags) => compose::compose(&flags),
        #[cfg(feature = "tools")]
        Command::Componentize(flags) => componentize::componentize(&flags),
        #[cfg(feature = "tools")]
        Command::Check(flags) => check::check(&flags),
        Command::Repl(flags) => repl::repl(&flags),
        Command::Completions(flags) => completions::completions(flags.shell),
        Command::Man => completions::manual_page(),
    }
}
