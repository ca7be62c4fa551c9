//! What is meant by words that do not begin with a command: `mini-wasm app.wasm`, `mini-wasm --dir . app.wasm`, and what is
//! answered to words that mean nothing.

use crate::flags::{Command, CommandLine};
use crate::output;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The words with their command in its place: in front, and `run` where none is named.
pub(crate) fn completed(words: Vec<OsString>) -> Vec<OsString> {
    complete(words, |word| Path::new(word).symlink_metadata().is_ok())
}

fn complete(mut words: Vec<OsString>, is_there: impl Fn(&OsStr) -> bool) -> Vec<OsString> {
    let Some(first) = words.get(1) else { return words };
    if is_command(first) {
        return words;
    }
    if !is_option(first) {
        // A misspelt command is told for what it is; anything else is a file, whatever is wrong with it.
        if first == "-" || looks_like_path(first) || is_there(first) {
            words.insert(1, "run".into());
        }
        return words;
    }
    if ["-h", "--help", "-V", "--version"].iter().any(|own| first == own) {
        return words;
    }
    // Options first: they are the command's that follows them, or those of `run`.
    match (2..words.len()).find(|at| is_command(&words[*at]) && are_options_of(&words[*at], &words[1..*at])) {
        Some(at) => {
            let command = words.remove(at);
            words.insert(1, command);
        }
        None => words.insert(1, "run".into()),
    }
    words
}

fn is_command(word: &OsStr) -> bool {
    // Asked of the derive, not of the built command: this stands in the way of every start.
    word.to_str().is_some_and(|word| word == "help" || <Command as Subcommand>::has_subcommand(word))
}

fn is_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-") && word != "-"
}

fn looks_like_path(word: &OsStr) -> bool {
    word.as_encoded_bytes().iter().any(|byte| matches!(byte, b'/' | b'.'))
}

/// Whether words are options of a command, and values of these, as a whole.
fn are_options_of(command: &OsStr, words: &[OsString]) -> bool {
    let line = CommandLine::command();
    let command = line.get_subcommands().find(|known| OsStr::new(known.get_name()) == command);
    let Some(command) = command else { return false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(word) = word.to_str().filter(|_| is_option(word)) else { return false };
        let option = command.get_arguments().find(|arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long.split('=').next().unwrap_or(long)),
            None => word[1..].chars().next() == arg.get_short() && arg.get_short().is_some(),
        });
        let Some(option) = option else { return false };
        let has_value = word.contains('=') || !word.starts_with("--") && word.chars().count() > 2;
        if option.get_action().takes_values() && !option.is_require_equals_set() && !has_value {
            words.next();
        }
    }
    true
}

/// Says what is wrong with the words of a command line; the exit status.
pub(crate) fn explain(error: &clap::Error) -> u8 {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
    {
        let near = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::String(near)) => format!("; there is a command `{near}`"),
            Some(ContextValue::Strings(near)) if !near.is_empty() => {
                format!("; there is a command `{}`", near.join("`, `"))
            }
            _ => String::new(),
        };
        output::complain_plainly(&format!(
            "error: `{word}` is no command, and no file of this name is there{near}\n\nUsage: mini-wasm <COMMAND>\n\nFor more \
             information, try '--help'.\n"
        ));
    } else if error.kind() == ErrorKind::InvalidUtf8 {
        output::complain_plainly(
            "error: the value of an option is not Unicode, which WASI asks for of all that a guest is given\n",
        );
    } else if error.use_stderr() {
        output::complain_plainly(&error.render().to_string());
    } else {
        // Nobody may be reading.
        let _ = output::print(error.render().to_string());
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<OsString> {
        std::iter::once("mini-wasm").chain(line.iter().copied()).map(OsString::from).collect()
    }

    fn completed(line: &[&str]) -> Vec<OsString> {
        complete(words(line), |word| word == "there")
    }

    #[test]
    fn run_is_meant_before_whatever_may_be_a_file() {
        for line in [
            &["there", "-x"][..],
            &["missing.wasm"],
            &["missing/file"],
            &["-"],
            &["--", "there"],
            &["--dir", ".", "there"],
            &["--dir=.", "-W", "simd=n", "there", "validate"],
            &["--engine", "interp"],
            &["--allow-net", "there"],
            &["--no-such-option", "there"],
        ] {
            assert_eq!(completed(line), words(&[&["run"], line].concat()), "{line:?}");
        }
    }

    #[test]
    fn options_before_a_command_are_its_own() {
        assert_eq!(
            completed(&["--engine", "interp", "run", "there", "--x"]),
            words(&["run", "--engine", "interp", "there", "--x"])
        );
        assert_eq!(completed(&["-W", "simd", "validate", "a"]), words(&["validate", "-W", "simd", "a"]));
        assert_eq!(completed(&["--wit", "inspect", "a"]), words(&["inspect", "--wit", "a"]));
    }

    #[test]
    fn commands_help_and_misspelt_commands_stay_what_they_are() {
        for line in [&["validate", "x"][..], &["rnu", "x"], &["--help"], &["-V"], &["help", "run"], &[]] {
            assert_eq!(completed(line), words(line));
        }
    }
}
