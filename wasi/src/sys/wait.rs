//! Waiting, never past a deadline.
//!
//! Every blocking call of the host comes through here: a call that may block first waits for its handle with
//! [`readable`] or [`writable`], and only then reads or writes.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

use crate::sys::{Errno, clock};
use crate::{Deadline, Stop};

/// What a waiting call wants of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Interest {
    Read,
    Write,
}

impl Interest {
    fn flags(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
        }
    }
}

/// Waits until one of `fds` is ready, or the monotonic clock reaches `until` (nanoseconds of
/// [`clock::monotonic`]), whichever is first; says which handles are ready. `until = Some(0)` only looks.
///
/// A handle that the system cannot wait for (closed, invalid) counts as ready: the operation on it reports the error.
pub(crate) fn wait(
    fds: &[(BorrowedFd<'_>, Interest)],
    until: Option<u64>,
    deadline: &dyn Deadline,
) -> Result<Vec<bool>, Stop> {
    // The system refuses more entries than a process may have handles, and a guest may name one handle many
    // times: each (handle, interest) is asked once.
    let mut asked: Vec<(BorrowedFd<'_>, Interest)> = Vec::new();
    let mut known: BTreeMap<(RawFd, Interest), usize> = BTreeMap::new();
    let mut index = Vec::with_capacity(fds.len());
    for (fd, interest) in fds {
        index.push(*known.entry((fd.as_raw_fd(), *interest)).or_insert_with(|| {
            asked.push((*fd, *interest));
            asked.len() - 1
        }));
    }
    let mut entries: Vec<PollFd<'_>> =
        asked.iter().map(|(fd, interest)| PollFd::from_borrowed_fd(*fd, interest.flags())).collect();
    // A look first: who need not wait holds nobody's thread.
    let mut looks = !entries.is_empty();
    loop {
        let now = clock::monotonic();
        let left = until.map(|until| until.saturating_sub(now));
        let allowed = deadline.remaining().map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        let only_look = left == Some(0);
        if allowed == Some(0) && !only_look {
            return Err(Stop::Deadline);
        }
        let timeout = match (left, allowed) {
            (Some(left), Some(allowed)) => Some(left.min(allowed)),
            (left, allowed) => left.or(allowed),
        };
        let timeout = timeout.map(|nanoseconds| Timespec {
            tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
        });
        let mut polled = Ok(0);
        if only_look || core::mem::take(&mut looks) {
            polled = poll(&mut entries, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        } else {
            deadline.wait(&mut || polled = poll(&mut entries, timeout.as_ref()));
        }
        match polled {
            Ok(0) if only_look => return Ok(vec![false; fds.len()]),
            Ok(0) => {
                if until.is_some_and(|until| clock::monotonic() >= until) {
                    return Ok(vec![false; fds.len()]);
                }
            }
            Ok(_) => return Ok(index.iter().map(|&at| !entries[at].revents().is_empty()).collect()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // More handles than the process may wait for at once: let the operations themselves report.
            Err(_) => return Ok(vec![true; fds.len()]),
        }
    }
}

/// A handle that is readable while one of `fds` is ready.
pub(crate) fn set(fds: &[(BorrowedFd<'_>, Interest)]) -> Result<OwnedFd, Errno> {
    let mut flags: BTreeMap<RawFd, (BorrowedFd<'_>, epoll::EventFlags)> = BTreeMap::new();
    for (fd, interest) in fds {
        let (_, flags) = flags.entry(fd.as_raw_fd()).or_insert((*fd, epoll::EventFlags::empty()));
        *flags |= match interest {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
        };
    }
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (fd, flags) in flags.into_values() {
        epoll::add(&set, fd, epoll::EventData::new_u64(0), flags)?;
    }
    Ok(set)
}

/// A handle that becomes readable when it is raised and stays so.
pub(crate) fn signal() -> Result<OwnedFd, Errno> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
}

/// Raises a [`signal`], from whatever thread.
pub(crate) fn raise(signal: impl AsFd) {
    // Full is raised too.
    let _ = rustix::io::write(signal, &1_u64.to_ne_bytes());
}

/// Lowers a [`signal`].
pub(crate) fn lower(signal: impl AsFd) {
    let _ = rustix::io::read(signal, &mut [0; 8]);
}

/// Waits until reading from `fd` would not block.
pub(crate) fn readable(fd: impl AsFd, deadline: &dyn Deadline) -> Result<(), Stop> {
    wait(&[(fd.as_fd(), Interest::Read)], None, deadline).map(|_| ())
}

/// Waits until writing to `fd` would not block.
pub(crate) fn writable(fd: impl AsFd, deadline: &dyn Deadline) -> Result<(), Stop> {
    wait(&[(fd.as_fd(), Interest::Write)], None, deadline).map(|_| ())
}

/// Whether `fd` is ready now.
pub(crate) fn ready(fd: impl AsFd, interest: Interest) -> bool {
    wait(&[(fd.as_fd(), interest)], Some(0), &crate::deadline::Never).is_ok_and(|ready| ready[0])
}

/// Whether the other end of a connection or pipe has gone. Bytes may still be there.
pub(crate) fn hung_up(fd: impl AsFd) -> bool {
    let mut entries = [PollFd::new(&fd, PollFlags::RDHUP)];
    let gone = PollFlags::HUP | PollFlags::RDHUP;
    poll(&mut entries, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
        .is_ok_and(|_| entries[0].revents().intersects(gone))
}

/// Waits for a time span in nanoseconds.
pub(crate) fn pause(nanoseconds: u64, deadline: &dyn Deadline) -> Result<(), Stop> {
    wait(&[], Some(clock::monotonic().saturating_add(nanoseconds)), deadline).map(|_| ())
}
