//! Why a host function does not return to its guest.

use core::fmt;

/// What a guest cannot see or answer: the runtime unwinds it.
///
/// Errors that a guest may handle are values of its interface's own error type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The guest asked to end, with this exit code.
    Exit(u8),
    /// A call would have waited past the [`Deadline`](crate::Deadline).
    Deadline,
    /// The guest broke a rule that its interface says traps, or passed a limit of the host.
    Trap(String),
}

impl Stop {
    /// A trap with a message.
    pub(crate) fn trap(message: impl Into<String>) -> Self {
        Self::Trap(message.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "the guest exited with code {code}"),
            Self::Deadline => f.write_str("deadline reached in a host call"),
            Self::Trap(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Stop {}
