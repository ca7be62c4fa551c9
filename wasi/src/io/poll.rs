//! `wasi:io/poll`: waiting for one of several things, on the calling thread or, before that, without one.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::http::signal::Signal;
use crate::interface::{Waited, interface};
use crate::io::streams::Handle;
use crate::io::waiting;
use crate::sockets::tcp::TcpState;
use crate::sys::clock;
use crate::sys::wait::{self, Interest};
use crate::{Deadline, Stop, Wasi};

interface! {
    "wasi:io/poll@0.2.12";
    resource Pollable in self {
        method ready(this);
        method block(this) after first::block;
    }
    func poll(r#in) after first::poll;
}

/// The resource `pollable`: a promise to say when something is ready. It keeps what it needs alive by itself.
#[derive(Debug, Clone)]
pub struct Pollable(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Ready,
    /// Nanoseconds of the system's monotonic clock.
    At(u64),
    Handle(Handle, Interest),
    /// Ready when a handle is or a moment has come.
    HandleUntil(Handle, Interest, u64),
    /// As its state at the time of the wait says.
    Socket(Arc<TcpState>),
    /// Something of another thread's.
    Event(Arc<dyn Event>),
}

/// Something that another thread brings about.
pub(crate) trait Event: core::fmt::Debug + Send + Sync {
    /// `None` if it has come about; else what is rung when it may have, and until when, in nanoseconds of the system's monotonic
    /// clock, to wait for that.
    fn waits_for(&self) -> Option<(&Signal, u64)>;
}

impl Pollable {
    /// Ready at once and for ever.
    pub(crate) fn ready() -> Self {
        Self(Kind::Ready)
    }

    /// Ready when the system's monotonic clock has reached `instant` nanoseconds.
    pub(crate) fn at(instant: u64) -> Self {
        Self(Kind::At(instant))
    }

    /// Ready when a handle is.
    pub(crate) fn handle(handle: Handle, interest: Interest) -> Self {
        Self(Kind::Handle(handle, interest))
    }

    /// Ready when a handle is, or the system's monotonic clock has reached `instant` nanoseconds.
    pub(crate) fn handle_until(handle: Handle, interest: Interest, instant: u64) -> Self {
        Self(Kind::HandleUntil(handle, interest, instant))
    }

    /// Ready when the operation is that a socket is in the middle of.
    pub(crate) fn socket(state: Arc<TcpState>) -> Self {
        Self(Kind::Socket(state))
    }

    /// Ready when something has come about.
    pub(crate) fn event(event: Arc<dyn Event>) -> Self {
        Self(Kind::Event(event))
    }

    /// What has to be waited for now: a handle, a moment, both, or nothing.
    pub(crate) fn waits_for(&self) -> (Option<Source<'_>>, Option<u64>) {
        let handle = |handle, interest| Some(Source::Handle(handle, interest));
        match &self.0 {
            Kind::Ready => (None, None),
            Kind::At(instant) => (None, Some(*instant)),
            Kind::Handle(of, interest) => (handle(of.as_fd(), *interest), None),
            Kind::HandleUntil(of, interest, instant) => (handle(of.as_fd(), *interest), Some(*instant)),
            Kind::Event(event) => match event.waits_for() {
                Some((signal, until)) => (Some(Source::Signal(signal)), Some(until)),
                None => (None, None),
            },
            Kind::Socket(state) => {
                (state.waits_for().and_then(|interest| handle(state.as_fd(), interest)), None)
            }
        }
    }
}

/// What makes something ready: a handle of the system's, or another task.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'s> {
    Handle(BorrowedFd<'s>, Interest),
    Signal(&'s Signal),
}

impl<'s> Source<'s> {
    /// What a thread can wait for; `None` if the system has no handle left.
    fn handle(self) -> Option<(BorrowedFd<'s>, Interest)> {
        match self {
            Self::Handle(handle, interest) => Some((handle, interest)),
            Self::Signal(signal) => signal.handle().map(|handle| (handle, Interest::Read)),
        }
    }
}

/// Waits until one of `pollables` is ready (`wait`) or only looks; says which are.
fn ready_of(pollables: &[&Pollable], wait: bool, deadline: &dyn Deadline) -> Result<Vec<bool>, Stop> {
    let now = clock::monotonic();
    let mut earliest: Option<u64> = None;
    let mut at_once = !wait;
    let mut fds: Vec<(BorrowedFd<'_>, Interest)> = Vec::new();
    let waiting = pollables.iter().map(|pollable| match pollable.waits_for() {
        (Some(source), until) => match source.handle() {
            Some(handle) => (Some(handle), until),
            None => (None, None),
        },
        (None, until) => (None, until),
    });
    let waiting: Vec<_> = waiting.collect();
    for (handle, instant) in &waiting {
        at_once |= handle.is_none() && instant.is_none();
        fds.extend(*handle);
        if let Some(instant) = *instant {
            at_once |= instant <= now;
            earliest = Some(earliest.map_or(instant, |earliest| earliest.min(instant)));
        }
    }
    let until = if at_once { Some(0) } else { earliest };
    let mut ready_fds = wait::wait(&fds, until, deadline)?.into_iter();
    let now = clock::monotonic();
    let ready = |(handle, instant): &(Option<_>, Option<u64>)| {
        // Every handle was asked, in this order.
        let handle_is = handle.is_some().then(|| ready_fds.next().unwrap_or(true));
        let moment_is = instant.map(|instant| instant <= now);
        match (handle_is, moment_is) {
            (None, None) => true,
            (handle, moment) => handle == Some(true) || moment == Some(true),
        }
    };
    Ok(waiting.iter().map(ready).collect())
}

/// What is waited for before these functions are called, where a guest may be suspended.
pub(crate) mod first {
    use super::*;

    pub(crate) fn block<'a>(wasi: &'a mut Wasi, (this,): &'a (Borrow<Pollable>,)) -> Waited<'a> {
        Box::pin(async move { waiting::until_ready(&[wasi.table.get(this)?], &*wasi.deadline).await })
    }

    pub(crate) fn poll<'a>(wasi: &'a mut Wasi, (list,): &'a (Vec<Borrow<Pollable>>,)) -> Waited<'a> {
        Box::pin(async move {
            // What is wrong with the list is said by the function itself.
            if list.is_empty() || list.len() > wasi.max_poll as usize {
                return Ok(());
            }
            let pollables =
                list.iter().map(|handle| wasi.table.get(handle)).collect::<Result<Vec<_>, _>>()?;
            waiting::until_ready(&pollables, &*wasi.deadline).await
        })
    }
}

/// `[method]pollable.ready`.
pub fn ready(wasi: &mut Wasi, this: Borrow<Pollable>) -> Result<bool, Stop> {
    let pollable = wasi.table.get(&this)?;
    Ok(ready_of(&[pollable], false, &*wasi.deadline)?[0])
}

/// `[method]pollable.block`.
pub fn block(wasi: &mut Wasi, this: Borrow<Pollable>) -> Result<(), Stop> {
    let pollable = wasi.table.get(&this)?;
    ready_of(&[pollable], true, &*wasi.deadline).map(|_| ())
}

/// `poll`: waits until at least one is ready; the indices of those that are. Traps on an empty list, which could
/// never become ready, and on one longer than the host allows.
pub fn poll(wasi: &mut Wasi, r#in: Vec<Borrow<Pollable>>) -> Result<Vec<u32>, Stop> {
    if r#in.is_empty() {
        return Err(Stop::trap("poll of an empty list"));
    }
    if r#in.len() > wasi.max_poll as usize {
        let asked = r#in.len();
        return Err(Stop::Trap(format!("poll of {asked} at once; the limit is {}", wasi.max_poll)));
    }
    let pollables = r#in.iter().map(|handle| wasi.table.get(handle)).collect::<Result<Vec<_>, _>>()?;
    loop {
        let ready = ready_of(&pollables, true, &*wasi.deadline)?;
        let ready: Vec<u32> =
            (0_u32..).zip(ready).filter_map(|(index, ready)| ready.then_some(index)).collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
    }
}

/// Gives a guest a pollable.
pub(crate) fn subscribe(wasi: &mut Wasi, pollable: Pollable) -> Result<Own<Pollable>, Stop> {
    wasi.table.push(pollable)
}
