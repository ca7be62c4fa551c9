//! The bell between the network's tasks and a guest: a waker on one side; on the other a handle that a thread can wait for, or
//! the waker of the guest's own task.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::sys::{clock, wait};

/// Rung by wakers. The system's handle is made when somebody waits: most never do.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// When it was first rung since it was silenced, in nanoseconds of the system's monotonic clock; 0 if it was not.
    rung: AtomicU64,
    handle: OnceLock<Option<OwnedFd>>,
    /// Of the task that waits.
    waker: Mutex<Option<Waker>>,
    /// Whether somebody began to wait since that was last forgotten.
    waited_for: AtomicBool,
}

impl Signal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Silences it: before each look at what it is for. When it was rung first, in nanoseconds of the system's monotonic clock; 0 if it
    /// was not.
    pub(crate) fn silence(&self) -> u64 {
        let rung = self.rung.swap(0, Ordering::SeqCst);
        if let Some(Some(handle)) = self.handle.get() {
            wait::lower(handle);
        }
        rung
    }

    fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst) != 0
    }

    /// The handle that becomes readable when it is rung; `None` if the system has none left.
    pub(crate) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.waited_for.store(true, Ordering::Relaxed);
        let handle = self.handle.get_or_init(|| wait::signal().ok()).as_ref()?;
        if self.is_rung() {
            wait::raise(handle);
        }
        Some(handle.as_fd())
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once it is rung; until then the task is woken when that happens.
    pub(crate) fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waited_for.store(true, Ordering::Relaxed);
        // First the waker: it may be rung at any moment.
        match &mut *self.waker() {
            Some(known) => known.clone_from(cx.waker()),
            unknown => *unknown = Some(cx.waker().clone()),
        }
        if self.is_rung() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whoever waits may go on to something else, and says so anew if not.
    pub(crate) fn forget_wait(&self) {
        self.waited_for.store(false, Ordering::Relaxed);
    }

    /// Whether somebody waits, as far as is known.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waited_for.load(Ordering::Relaxed)
    }

    pub(crate) fn ring(&self) {
        let now = clock::monotonic().max(1);
        let _ = self.rung.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        let waker = self.waker().take();
        waker.into_iter().for_each(Waker::wake);
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
