//! What compiling may take: time for a file and for each function, memory for all that the process compiles at once.
//!
//! Cranelift cannot be stopped. So a function is begun only when its price, told from its [`super::shape::Shape`], fits into what is left;
//! memory is lent before it is used; and should a price have been wrong, the thread that is still at it keeps what it was lent,
//! and no other function of that kind is begun until it has ended.
//!
//! Must not know: wasm, what code is made of.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time for a file of up to a MiB, and for each MiB beyond the first.
const FILE_TIME: Duration = Duration::from_secs(6);
/// The verifier, and the unoptimised builds that have it on, take more.
const VERIFIER_TIMES: u32 = 4;
/// Memory of all compilations of the process, beside that of functions too small to count, while it compiles a file of up to a MiB; each
/// MiB beyond the first adds a tenth.
const ROOM: u64 = 320 << 20;
/// However large the file is.
const MOST_ROOM: u64 = 1 << 30;

/// MiB of a file that are begun.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX).max(1)
}

/// How much longer everything may take.
pub(super) fn times(verifier: bool) -> u32 {
    if verifier { VERIFIER_TIMES } else { 1 }
}

/// Time for the native code of a file of this many bytes.
pub(super) fn file_time(bytes: u64, verifier: bool) -> Duration {
    FILE_TIME.saturating_mul(mebibytes(bytes)).saturating_mul(times(verifier))
}

/// Memory for it.
pub(super) fn file_room(bytes: u64) -> u64 {
    (ROOM / 10 * (9 + u64::from(mebibytes(bytes)))).min(MOST_ROOM)
}

/// When the parts of a module's compilation are over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// No function is begun any more that would take longer.
    pub(crate) functions: Instant,
    /// The stubs around the functions take time as well: with one missing all is useless.
    pub(crate) stubs: Instant,
}

impl Clock {
    /// For work that begins now and has this long. Stubs may use what the functions left, and a third of the whole.
    pub(crate) fn new(time: Duration) -> Clock {
        let now = Instant::now();
        // What no clock can show is far enough.
        let far = now + Duration::from_secs(1 << 31);
        Clock {
            functions: now.checked_add(time - time / 3).unwrap_or(far),
            stubs: now.checked_add(time).unwrap_or(far),
        }
    }
}

/// What Cranelift is expected to need for a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

impl Price {
    /// Is there as much?
    pub(crate) fn fits(self, time: Duration, room: u64) -> bool {
        self.time <= time && self.bytes <= room
    }
}

/// Memory that a compilation has been lent; given back when it is dropped.
pub(crate) struct Loan(u64);

static LENT: Mutex<u64> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();
/// Threads that nobody waits for any more.
static STRAYS: AtomicUsize = AtomicUsize::new(0);

impl Loan {
    /// Waits until no more than `room` is lent with it, no longer than `until`.
    pub(crate) fn take(bytes: u64, room: u64, until: Instant) -> Option<Loan> {
        let mut lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
        while lent.saturating_add(bytes) > room {
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            lent = GIVEN_BACK.wait_timeout(lent, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *lent += bytes;
        Some(Loan(bytes))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *LENT.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}

/// Is a thread still at work that nobody waits for any more? Then its price was wrong, and so may the next one's be.
pub(crate) fn has_strays() -> bool {
    STRAYS.load(Ordering::Relaxed) > 0
}

enum Work<T> {
    Going,
    Done(T),
    Abandoned,
}

/// Does `work` on a thread of its own and waits for it no longer than `time`. The thread keeps `loan` until it has ended.
///
/// # Errors
/// The system refuses a thread.
pub(crate) fn watched<T: Send + 'static>(
    time: Duration,
    stack: usize,
    loan: Loan,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Option<T>> {
    let shared = Arc::new((Mutex::new(Work::Going), Condvar::new()));
    let theirs = shared.clone();
    let thread = std::thread::Builder::new().name("compile".into()).stack_size(stack);
    thread.spawn(move || {
        let result = work();
        let mut state = theirs.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, Work::Abandoned) {
            STRAYS.fetch_sub(1, Ordering::Relaxed);
        } else {
            *state = Work::Done(result);
        }
        drop(loan);
        theirs.1.notify_one();
    })?;
    let state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    let going = |state: &mut Work<T>| matches!(state, Work::Going);
    let waited = shared.1.wait_timeout_while(state, time, going);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *state, Work::Abandoned) {
        Work::Done(result) => Ok(Some(result)),
        Work::Going | Work::Abandoned => {
            STRAYS.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }
    }
}
