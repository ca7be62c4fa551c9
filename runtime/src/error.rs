//! The one error type of the engine, and what a trap carries with it.
//!
//! Branch on [`Error::kind`]; print by `Display`, which says what was asked, what was found and what to do, with the chain
//! of where it happened. The kinds are the verbs of the official suites.

use crate::exception::ExnRef;
use crate::trap::Trap;
use alloc::{borrow::ToOwned, boxed::Box, string::String, vec::Vec};
use core::fmt;

/// `Result` with the engine's [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong. One word wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    backtrace: Backtrace,
    exception: Option<ExnRef>,
}

/// The kinds of error; the first five are the verbs of the official suites.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no module or component.
    Malformed,
    /// The module or component breaks a validation rule, or uses a feature that is switched off.
    Invalid,
    /// An import is missing or of the wrong type.
    Unlinkable,
    /// The guest trapped.
    Trap(Trap),
    /// A limit of the embedder was reached outside guest code (memory, tables, instances, handles).
    Exhausted,
    /// The guest asked to exit with this status.
    Exit(u8),
    /// The guest threw, or a host function did, and nobody caught it: [`Error::exception`] is it.
    Exception,
    /// A host function failed.
    Host,
    /// A handle of another store, a wrong type, a wrong count of arguments: the embedder's mistake.
    Usage,
    /// An artifact is damaged, foreign or not sealed.
    Artifact,
    /// The system refused.
    Io,
}

/// Where guest code was when it trapped, innermost frame first.
#[derive(Clone, Debug, Default)]
pub struct Backtrace {
    /// The frames that were kept.
    pub frames: Vec<Frame>,
    /// How many further frames there were.
    pub omitted: u64,
}

/// One guest function on the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Name of the module, from its name section.
    pub module: Option<String>,
    /// Name of the function, from the name section.
    pub name: Option<String>,
    /// Index of the function in its module.
    pub func: u32,
    /// Byte offset of the operator in the module's binary, when it is known.
    pub offset: Option<u32>,
}

impl Error {
    /// An error of a kind with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            backtrace: Backtrace::default(),
            exception: None,
        }))
    }

    /// A failing host function's error. The message is the embedder's own.
    pub fn host(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Host, message)
    }

    /// A guest's request to exit; not a failure, but it unwinds like one.
    pub fn exit(status: u8) -> Error {
        Error::new(ErrorKind::Exit(status), "the guest exited")
    }

    /// An exception: returned by a host function, the guest that called it sees it thrown, and may catch it.
    pub fn throw(exception: ExnRef) -> Error {
        let mut error = Error::new(ErrorKind::Exception, Trap::UnhandledException.message());
        error.0.exception = Some(exception);
        error
    }

    /// The exception, if this is one.
    pub fn exception(&self) -> Option<&ExnRef> {
        self.0.exception.as_ref()
    }

    /// The same error as it leaves a component: exceptions stay inside, what leaves is a trap.
    pub(crate) fn contained(mut self) -> Error {
        if self.0.exception.take().is_some() {
            self.0.kind = ErrorKind::Trap(Trap::UnhandledException);
            self.0.message = alloc::format!("{} in a component", Trap::UnhandledException);
        }
        self
    }

    /// The same error in other words.
    pub(crate) fn saying(mut self, message: String) -> Error {
        self.0.message = message;
        self
    }

    /// What went wrong, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The trap, if this is one.
    pub fn trap(&self) -> Option<Trap> {
        match self.0.kind {
            ErrorKind::Trap(trap) => Some(trap),
            _ => None,
        }
    }

    /// The message without its context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Does the error say nothing that its trap does not say?
    pub(crate) fn says_only(&self, trap: Trap) -> bool {
        self.0.message == trap.message() && self.0.context.is_empty() && self.0.backtrace.frames.is_empty()
    }

    /// Where guest code was; empty when no guest code ran.
    pub fn backtrace(&self) -> &Backtrace {
        &self.0.backtrace
    }

    /// The same error with the guest's stack.
    pub fn with_backtrace(mut self, backtrace: Backtrace) -> Error {
        self.0.backtrace = backtrace;
        self
    }

    /// The same error, with the frames that were left after it was made.
    pub(crate) fn extend_backtrace(mut self, outer: Backtrace) -> Error {
        let inner = &mut self.0.backtrace;
        inner.omitted += outer.omitted;
        inner.frames.extend(outer.frames);
        self
    }

    /// The same error, one step further out: `context` says what was being done.
    pub fn context(mut self, context: impl Into<String>) -> Error {
        self.0.context.push(context.into());
        self
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn unlinkable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unlinkable, message)
    }

    pub(crate) fn exhausted(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Exhausted, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message)
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Error {
        Error::new(ErrorKind::Trap(trap), trap.message().to_owned())
    }
}

/// Whether a reader's error is about the encoding or about validity is not told by wasmparser: what validates says
/// "invalid", what only reads says "malformed". This is the reading side.
impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Error {
        Error::malformed(alloc::format!("{} (at offset {:#x})", error.message(), error.offset()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{}: ", Said::lines(context))?;
        }
        write!(f, "{}", Said::lines(&self.0.message))
    }
}

/// A guest's own words in a message: control characters escaped, so that they can neither steer a terminal nor look like
/// another line of ours, and no more of them than somebody would read.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    text: &'a str,
    /// Characters at most.
    most: usize,
    /// Line ends stay what they are.
    lines: bool,
}

impl<'a> Said<'a> {
    /// All of a text of several lines, which stay lines.
    pub fn lines(text: &'a str) -> Said<'a> {
        Said { text, most: usize::MAX, lines: true }
    }

    /// All of a text that is to be one line.
    pub fn line(text: &'a str) -> Said<'a> {
        Said { text, most: usize::MAX, lines: false }
    }
}

/// A name that a guest chose, for a message.
pub(crate) fn said(name: &str) -> Said<'_> {
    Said { text: name, most: 256, lines: false }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (i, c) in self.text.chars().enumerate() {
            if i == self.most {
                return f.write_str("...");
            }
            // The second range: marks that turn the direction of what follows.
            let steers = c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match c {
                '\n' | '\t' if self.lines => f.write_char(c)?,
                c if steers => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}{}", self.0.kind, self.0.backtrace)
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, frame) in self.frames.iter().enumerate() {
            write!(f, "\n    {depth}: ")?;
            if let Some(offset) = frame.offset {
                write!(f, "{offset:#x} - ")?;
            }
            if let Some(module) = &frame.module {
                write!(f, "{}!", said(module))?;
            }
            match &frame.name {
                Some(name) => write!(f, "{}", said(name))?,
                None => write!(f, "<wasm function {}>", frame.func)?,
            }
        }
        if self.omitted > 0 {
            write!(f, "\n    ... and {} more", self.omitted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_calls_itself_cannot_steer_a_terminal() {
        let shown = alloc::format!("{}", said("\x1b[31mred\r\n\u{202e}\u{e9}"));
        assert_eq!(shown, "\\u{1b}[31mred\\r\\n\\u{202e}\u{e9}");
        let long = "x".repeat(100_000);
        assert_eq!(alloc::format!("{}", said(&long)).len(), 259);
        let error = Error::host("two\nlines\x07").context(long);
        assert!(alloc::format!("{error}").ends_with("x: two\nlines\\u{7}"), "{error}");
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
