//! The standard handles of this process. They are shared with whoever started it: nothing here changes their flags.

use std::os::fd::BorrowedFd;

/// The handle that standard input reads.
pub(crate) fn stdin() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// The handle that standard output writes.
pub(crate) fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

/// The handle that standard error writes.
pub(crate) fn stderr() -> BorrowedFd<'static> {
    rustix::stdio::stderr()
}

/// Whether `fd` is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(fd)
}
