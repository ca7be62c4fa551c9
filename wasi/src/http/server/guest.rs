//! A guest at work on a request, in the task of its connection.
//!
//! Most guests have answered and ended after one poll, a small part of a millisecond: no thread, no queue and no timer is between a
//! request and its answer. One that waits is suspended, and costs its stack. One that computes gives its turn back at the next tick of
//! the epoch, within milliseconds; then it goes on beside others that do, on threads of their own (`computing`), until it waits.

use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll};
use std::future::poll_fn;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::timeout_at;

use crate::Deadline;
use crate::http::server::computing::{Computing, while_held};
use crate::http::server::place::{End, Place};
use crate::http::server::{Complain, Serving};

/// Who holds a thread of the server's for so long at once computes.
const LONG: Duration = Duration::from_millis(4);

/// The guest. Dropped before it has answered, its client has gone, and it ends; dropped after that, it goes on by itself.
pub(super) struct Guest {
    /// Until it is over, or somebody else's.
    work: Option<Work>,
    place: Arc<Place>,
    complain: Arc<Complain>,
    has_answered: bool,
}

/// What is left of a guest's work.
pub(super) struct Work {
    call: Serving,
    until: Instant,
    complain: Arc<Complain>,
    computing: Arc<Computing>,
    /// Processor time that it has used where guests compute, in nanoseconds.
    pub(super) computed: u64,
    /// Held for as long as the guest runs, also after it has answered.
    place: Arc<Place>,
}

/// What came of a guest's turn.
pub(super) enum Turn {
    Over,
    Waits,
    Computes,
}

const OVERDUE: &str = "the guest was stopped: it took too long";

impl Work {
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// One turn of the guest's.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        if self.place.ended().is_some() {
            return Turn::Over;
        }
        let began = Instant::now();
        if began >= self.until {
            self.overdue();
            return Turn::Over;
        }
        self.place.begin_turn();
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
    pub(super) async fn go_on(self) {
        let (until, complain, place) = (self.until, self.complain.clone(), self.place.clone());
        place.waits();
        let mut work = Some(self);
        let end = poll_fn(|cx| {
            // Also for a guest that waits for something else.
            if place.poll_ended(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(mut own) = work.take() else { return Poll::Ready(()) };
            match own.turn(cx) {
                Turn::Over => Poll::Ready(()),
                Turn::Waits => {
                    work = Some(own);
                    Poll::Pending
                }
                Turn::Computes => {
                    own.compute_with_others();
                    Poll::Ready(())
                }
            }
        });
        if timeout_at(until.into(), end).await.is_err() && place.end(End::Overdue) {
            complain(OVERDUE);
        }
    }

    fn overdue(&self) {
        if self.place.end(End::Overdue) {
            (self.complain)(OVERDUE);
        }
    }

    /// Goes on where guests compute.
    fn compute_with_others(self) {
        self.computing.clone().take(self);
    }
}

impl Guest {
    pub(super) fn new(
        call: Serving,
        until: Instant,
        place: Arc<Place>,
        computing: Arc<Computing>,
        complain: Arc<Complain>,
    ) -> Self {
        let work =
            Work { call, until, complain: complain.clone(), computing, computed: 0, place: place.clone() };
        let mut guest = Self { work: None, place, complain, has_answered: false };
        // An address that has many guests at work does not take the network's threads for its next ones, even for a moment.
        match work.computing.is_taken_by(work.place.peer()) {
            true => work.compute_with_others(),
            false => guest.work = Some(work),
        }
        guest
    }

    /// Lets it have a turn, if it still needs one here; ready once it has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        match work.turn(cx) {
            Turn::Waits => {
                self.place.waits();
                // It is woken when its place is lost, too.
                if self.place.poll_ended(cx).is_ready() {
                    self.work = None;
                    return Poll::Ready(());
                }
                Poll::Pending
            }
            Turn::Over => {
                self.work = None;
                Poll::Ready(())
            }
            Turn::Computes => {
                self.work.take().into_iter().for_each(Work::compute_with_others);
                Poll::Pending
            }
        }
    }

    /// It has answered: it goes on by itself, if it has anything left to do.
    pub(super) fn answered(&mut self) {
        self.has_answered = true;
    }

    /// Ends it: its time is over.
    pub(super) fn stop(&mut self) {
        if self.place.end(End::Overdue) {
            (self.complain)(OVERDUE);
        }
        self.work = None;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.has_answered {
            self.place.end(End::Gone);
        }
        if self.place.ended().is_some() {
            return;
        }
        if let (Some(work), Ok(server)) = (self.work.take(), Handle::try_current()) {
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
        while_held(wait);
    }

    fn hold(&self, work: &mut dyn FnMut()) {
        while_held(work);
    }
}
