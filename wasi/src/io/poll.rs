//! `wasi:io/poll`: waiting for one of several things, on the calling thread.

use std::os::fd::{AsFd, BorrowedFd};

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::interface::interface;
use crate::io::streams::Handle;
use crate::sys::clock;
use crate::sys::wait::{self, Interest};
use crate::{Deadline, Stop, Wasi};

interface! {
    "wasi:io/poll@0.2.12";
    resource Pollable in self {
        method ready(this);
        method block(this);
    }
    func poll(r#in);
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
}

/// Waits until one of `pollables` is ready (`wait`) or only looks; says which are.
fn ready_of(pollables: &[&Pollable], wait: bool, deadline: &dyn Deadline) -> Result<Vec<bool>, Stop> {
    let now = clock::monotonic();
    let mut earliest: Option<u64> = None;
    let mut at_once = !wait;
    let mut fds: Vec<(BorrowedFd<'_>, Interest)> = Vec::new();
    for pollable in pollables {
        match &pollable.0 {
            Kind::Ready => at_once = true,
            Kind::At(instant) => {
                at_once |= *instant <= now;
                earliest = Some(earliest.map_or(*instant, |earliest| earliest.min(*instant)));
            }
            Kind::Handle(handle, interest) => fds.push((handle.as_fd(), *interest)),
        }
    }
    let until = if at_once { Some(0) } else { earliest };
    let mut ready_fds = wait::wait(&fds, until, deadline)?.into_iter();
    let now = clock::monotonic();
    let ready = |pollable: &&Pollable| match &pollable.0 {
        Kind::Ready => true,
        Kind::At(instant) => *instant <= now,
        Kind::Handle(..) => ready_fds.next().unwrap_or(true),
    };
    Ok(pollables.iter().map(ready).collect())
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
/// never become ready.
pub fn poll(wasi: &mut Wasi, r#in: Vec<Borrow<Pollable>>) -> Result<Vec<u32>, Stop> {
    if r#in.is_empty() {
        return Err(Stop::trap("poll of an empty list"));
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
