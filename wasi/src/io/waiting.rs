//! Waiting without a thread: the guest's stack is suspended (`call_async`), and its task is woken by tokio.
//!
//! What [`crate::sys::wait`] does on the calling thread. Functions that may wait come here first and have little left to wait for
//! when they are called.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep};

use crate::io::poll::{Pollable, Source};
use crate::sys::clock;
use crate::sys::wait::{self, Interest};
use crate::{Deadline, Stop};

/// Waits until one of `pollables` is ready. Needs tokio, with its clock and its reactor, when none is at once.
pub(crate) async fn until_ready(pollables: &[&Pollable], deadline: &dyn Deadline) -> Result<(), Stop> {
    loop {
        let mut handles: Vec<(BorrowedFd<'_>, Interest)> = Vec::new();
        let mut signals = Vec::new();
        let mut earliest = u64::MAX;
        for pollable in pollables {
            let (source, until) = pollable.waits_for();
            match source {
                Some(Source::Handle(handle, interest)) => handles.push((handle, interest)),
                Some(Source::Signal(signal)) => signals.push(signal),
                None if until.is_none() => return Ok(()),
                None => {}
            }
            earliest = earliest.min(until.unwrap_or(u64::MAX));
        }
        let now = clock::monotonic();
        if earliest <= now {
            return Ok(());
        }
        if !handles.is_empty() && wait::wait(&handles, Some(0), deadline)?.contains(&true) {
            return Ok(());
        }
        let left = Duration::from_nanos(earliest - now);
        let pause = match deadline.remaining() {
            Some(Duration::ZERO) => return Err(Stop::Deadline),
            Some(allowed) => Some(allowed.min(left)),
            None if earliest == u64::MAX => None,
            None => Some(left),
        };
        let mut pause = pause.map(|pause| Box::pin(sleep(pause)));
        let mut bell = match handles.is_empty() {
            true => None,
            // The system has no handle left: the functions themselves wait, on the thread.
            false => match Bell::of(&handles) {
                Some(bell) => Some(bell),
                None => return Ok(()),
            },
        };
        poll_fn(|cx| {
            // Each of them has to know the task.
            let mut over = false;
            for signal in &signals {
                over |= signal.poll_rung(cx).is_ready();
            }
            over |= bell.as_mut().is_some_and(|bell| bell.poll(cx));
            over |=
                pause.as_mut().is_some_and(|pause: &mut Pin<Box<Sleep>>| pause.as_mut().poll(cx).is_ready());
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Handles of the system's, each in whatever state, behind one that tokio knows.
struct Bell(AsyncFd<OwnedFd>);

impl Bell {
    #[expect(
        deprecated,
        reason = "sound for a handle that is owned and stays open; what is to take its place is `unsafe`"
    )]
    fn of(handles: &[(BorrowedFd<'_>, Interest)]) -> Option<Self> {
        AsyncFd::with_interest(wait::set(handles).ok()?, tokio::io::Interest::READABLE).ok().map(Self)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.0.poll_read_ready(cx).is_ready()
    }
}
