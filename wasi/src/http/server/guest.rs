//! A guest at work on a request, in the task of its connection.
//!
//! Most guests have answered and ended after one poll, a small part of a millisecond: no thread, no queue and no timer is between a
//! request and its answer. One that waits is suspended, and costs its stack. One that computes gives its turn back at the next tick of
//! the epoch, within milliseconds; then it goes on with a thread of its own until it waits, so that the system divides the
//! processors among such guests and the server, which would otherwise wait for all of them in turn.

use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll};
use std::future::poll_fn;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::timeout_at;

use crate::Deadline;
use crate::http::server::{Complain, Serving};

/// Who holds a thread of the server's for so long at once computes.
const LONG: Duration = Duration::from_millis(4);

/// The guest. Dropped before its end, it goes on by itself: it is not stopped because it has answered, or whoever asked has gone.
pub(super) struct Guest(Option<Work>);

struct Work {
    call: Serving,
    until: Instant,
    complain: Arc<Complain>,
    /// Held for as long as the guest runs, also after it has answered.
    _permit: OwnedSemaphorePermit,
}

enum Turn {
    Over,
    Waits,
    Computes,
}

impl Work {
    /// One turn of the guest's.
    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let began = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| self.call.as_mut().poll(cx))) {
            Ok(Poll::Pending) if began.elapsed() >= LONG => Turn::Computes,
            Ok(Poll::Pending) => Turn::Waits,
            Ok(Poll::Ready(Ok(()))) => Turn::Over,
            Ok(Poll::Ready(Err(what))) => {
                (self.complain)(&what);
                Turn::Over
            }
            Err(_) => {
                (self.complain)("the host panicked");
                Turn::Over
            }
        }
    }

    /// Goes on until the end, or until time is over.
    async fn go_on(self) {
        let (until, complain) = (self.until, self.complain.clone());
        let mut work = Some(self);
        let end = poll_fn(|cx| {
            let Some(mut own) = work.take() else { return Poll::Ready(()) };
            match own.turn(cx) {
                Turn::Over => Poll::Ready(()),
                Turn::Waits => {
                    work = Some(own);
                    Poll::Pending
                }
                Turn::Computes => {
                    own.on_a_thread();
                    Poll::Ready(())
                }
            }
        });
        if timeout_at(until.into(), end).await.is_err() {
            complain(OVERDUE);
        }
    }

    /// Goes on with a thread of its own, for as long as it computes.
    fn on_a_thread(self) {
        let Ok(server) = Handle::try_current() else { return };
        spawn_blocking(move || {
            let (until, complain) = (self.until, self.complain.clone());
            let mut work = Some(self);
            let computed = poll_fn(|cx| match work.as_mut().map(|work| work.turn(cx)) {
                Some(Turn::Computes) => Poll::Pending,
                Some(Turn::Waits) => Poll::Ready(work.take()),
                Some(Turn::Over) | None => Poll::Ready(None),
            });
            match server.block_on(async { timeout_at(until.into(), computed).await }) {
                Ok(waits) => waits.into_iter().for_each(|work| drop(server.spawn(work.go_on()))),
                Err(_) => complain(OVERDUE),
            }
        });
    }
}

const OVERDUE: &str = "the guest was stopped: it took too long";

impl Guest {
    pub(super) fn new(
        call: Serving,
        until: Instant,
        permit: OwnedSemaphorePermit,
        complain: Arc<Complain>,
    ) -> Self {
        Self(Some(Work { call, until, complain, _permit: permit }))
    }

    /// Lets it have a turn, if it still needs one here; ready once it has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        match work.turn(cx) {
            Turn::Waits => Poll::Pending,
            Turn::Over => {
                self.0 = None;
                Poll::Ready(())
            }
            Turn::Computes => {
                self.0.take().into_iter().for_each(Work::on_a_thread);
                Poll::Pending
            }
        }
    }

    /// Ends it: its time is over.
    pub(super) fn stop(&mut self) {
        if let Some(work) = self.0.take() {
            (work.complain)(OVERDUE);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let (Some(work), Ok(server)) = (self.0.take(), Handle::try_current()) {
            server.spawn(work.go_on());
        }
    }
}

/// The deadline of what a guest waits for.
pub(super) struct Until(pub(super) Instant);

impl Deadline for Until {
    fn remaining(&self) -> Option<Duration> {
        self.0.remaining()
    }

    /// Another thread takes this one's place while it is held.
    fn wait(&self, wait: &mut dyn FnMut()) {
        block_in_place(wait);
    }
}
