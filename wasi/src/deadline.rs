//! How long a blocking host call may wait.

use std::time::{Duration, Instant};

/// The limit of every blocking host call of one [`Wasi`](crate::Wasi).
///
/// The runtime stops running guests at an epoch; a guest that waits inside the host is stopped by this.
pub trait Deadline: Send + Sync {
    /// How long to wait before asking again: `None` for ever, zero if time is over.
    ///
    /// A fixed deadline answers with what is left of it. One that another thread may call at any moment answers with
    /// the delay it can afford, say 50 ms, until it is called.
    fn remaining(&self) -> Option<Duration>;

    /// Runs `wait`, which holds the thread until something happens or the time is over. Where others need this thread meanwhile, this
    /// is the place to see to it.
    fn wait(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    /// Runs `work`, which holds the thread for long without waiting for anything: one call of the
    /// system on much data, or a large batch. As for [`wait`](Deadline::wait), this is the place to
    /// see to it that others get on.
    fn hold(&self, work: &mut dyn FnMut()) {
        work();
    }
}

/// Whether time is over: for work that goes by length.
pub(crate) fn is_over(deadline: &dyn Deadline) -> bool {
    deadline.remaining().is_some_and(|left| left.is_zero())
}

impl Deadline for Instant {
    fn remaining(&self) -> Option<Duration> {
        Some(self.saturating_duration_since(Self::now()))
    }
}

/// No deadline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Deadline for Never {
    fn remaining(&self) -> Option<Duration> {
        None
    }
}
