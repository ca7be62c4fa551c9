//! The `mini-wasm` command: flags, printing, exit codes; no logic of its own. A library, so that tests can run commands in their own
//! process; `main.rs` is the program.
//!
//! | where | what |
//! |---|---|
//! | `flags`, `words` | the list of commands and flags; what is meant by words that name no command |
//! | `input` | a file named on the command line, and what it is by its content |
//! | `run`, `serve`, `aot`, `wast`, `validate`, `inspect`, `compose`, `componentize`, `check`, `repl`, `completions` | one command each |
//! | `wit` | WIT, read and printed |
//! | `engine`, `guest`, `deadline`, `missing` | from flags to a program that can run |
//! | `call`, `wave`, `wit_type` | a component's functions as a user calls them: names, values, types |
//! | `output`, `quote`, `deep` | what is written where; places in text; room for what nests |
//! | `failure` | what went wrong, how it is printed, the exit status it gives |
//! | `wat_type`, `wat_value` | types and values as the text format writes them |
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
mod deep;
mod engine;
mod failure;
mod flags;
mod grant;
mod guest;
mod input;
mod inspect;
mod missing;
#[cfg(feature = "tools")]
mod nesting;
mod output;
mod permissions;
mod proposals;
mod quote;
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
mod words;

use clap::Parser;
use failure::Failure;
use flags::{Command, CommandLine};
use std::ffi::OsString;

/// Does what the words of a command line say, the first being the command's own name; the exit status.
///
/// It reads and writes the standard streams of the process, and may leave memory to the end of the process that a program of its
/// own has no use for any more.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    // A file that a command writes may reach the limit, too.
    mini_wasm_runtime::survive_file_size_limit();
    let words = words::completed(words.into_iter().collect());
    let line = match CommandLine::try_parse_from(words) {
        Ok(line) => line,
        // Help and the version are asked for, and end with 0; wrong usage ends with 2.
        Err(error) => return words::explain(&error),
    };
    match command(line.command) {
        Ok(status) => status,
        Err(failure) => {
            output::complain(&failure);
            failure.status()
        }
    }
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
