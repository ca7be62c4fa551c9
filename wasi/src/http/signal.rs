//! The bell between tokio's threads and a guest's: a waker on one side, a handle that can be waited for on the other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;

use crate::sys::wait;

/// Rung by wakers. The system's handle is made when somebody waits: most never do.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    rung: AtomicBool,
    handle: OnceLock<Option<OwnedFd>>,
}

impl Signal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Silences it: before each look at what it is for.
    pub(crate) fn silence(&self) {
        self.rung.store(false, Ordering::SeqCst);
        if let Some(Some(handle)) = self.handle.get() {
            wait::lower(handle);
        }
    }

    /// The handle that becomes readable when it is rung; `None` if the system has none left.
    pub(crate) fn handle(&self) -> Option<BorrowedFd<'_>> {
        let handle = self.handle.get_or_init(|| wait::signal().ok()).as_ref()?;
        if self.rung.load(Ordering::SeqCst) {
            wait::raise(handle);
        }
        Some(handle.as_fd())
    }

    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        if let Some(Some(handle)) = self.handle.get() {
            wait::raise(handle);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
