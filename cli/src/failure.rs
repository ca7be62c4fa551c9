//! Why a command did not do what it was asked: the words on standard error and the exit status.

use mini_wasm_runtime::{Error, ErrorKind};
use std::fmt;

/// After a trap, an exception that nobody caught, an exhausted limit or the deadline: 128 + SIGABRT, as shells show a program that aborted.
const ABORTED: u8 = 134;
/// Wrong usage, as clap ends as well.
const USAGE: u8 = 2;
const OTHER: u8 = 1;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    Usage(String),
    /// The engine or the guest, while `doing` something (empty: the error says enough).
    Engine { doing: String, error: Error },
    /// Anything else, in words for the user.
    Other(String),
}

impl Failure {
    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Other(_) => OTHER,
            Failure::Engine { error, .. } => match error.kind() {
                ErrorKind::Exit(status) => status,
                ErrorKind::Trap(_) | ErrorKind::Exception | ErrorKind::Exhausted => ABORTED,
                _ => OTHER,
            },
        }
    }

    /// For `map_err`: the engine's error while doing something.
    pub(crate) fn engine(doing: impl Into<String>) -> impl FnOnce(Error) -> Failure {
        move |error| Failure::Engine { doing: doing.into(), error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Engine { doing: String::new(), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(message) | Failure::Other(message) => f.write_str(message),
            Failure::Engine { doing, error } => {
                if !doing.is_empty() {
                    write!(f, "{doing}: ")?;
                }
                match error.kind() {
                    ErrorKind::Trap(_) => f.write_str("wasm trap: ")?,
                    ErrorKind::Exception => f.write_str("wasm exception: ")?,
                    _ => {}
                }
                write!(f, "{error}")?;
                let backtrace = error.backtrace();
                match backtrace.frames.is_empty() {
                    true => Ok(()),
                    false => write!(f, "\nwasm backtrace:{backtrace}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_runtime::Trap;
    use mini_wasm_runtime::error::{Backtrace, Frame};

    fn status(error: Error) -> u8 {
        Failure::from(error).status()
    }

    #[test]
    fn the_exit_status_follows_from_the_kind_of_error() {
        assert_eq!(status(Error::exit(7)), 7);
        for &trap in Trap::ALL {
            assert_eq!(status(Error::from(trap)), 134);
        }
        assert_eq!(status(Error::new(ErrorKind::Exhausted, "")), 134);
        assert_eq!(status(Error::new(ErrorKind::Exception, "")), 134);
        for kind in [
            ErrorKind::Malformed,
            ErrorKind::Invalid,
            ErrorKind::Unlinkable,
            ErrorKind::Artifact,
            ErrorKind::Io,
        ] {
            assert_eq!(status(Error::new(kind, "")), 1);
        }
        assert_eq!(Failure::Usage(String::new()).status(), 2);
    }

    #[test]
    fn a_trap_is_printed_with_the_guests_stack_below_it() {
        let frame = |name: &str| Frame { module: None, name: Some(name.into()), func: 0, offset: None };
        let backtrace = Backtrace { frames: vec![frame("inner"), frame("outer")], omitted: 3 };
        let failure = Failure::from(Error::from(Trap::Unreachable).with_backtrace(backtrace));
        assert_eq!(
            failure.to_string(),
            "wasm trap: wasm `unreachable` instruction executed\nwasm backtrace:\n    0: inner\n    1: outer\n    ... and 3 more"
        );
    }
}
