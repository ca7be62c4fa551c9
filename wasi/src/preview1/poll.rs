//! `poll_oneoff`: waits for the first of several clocks and descriptors.

use std::os::fd::{AsFd, BorrowedFd};

use mini_wasm_canonical_abi::Borrow;

use crate::filesystem::descriptor::Descriptor;
use crate::filesystem::types::DescriptorFlags;
use crate::io::streams::{Handle, InputStream};
use crate::preview1::descriptors::{Object, Socket, status};
use crate::preview1::errno::Fault;
use crate::preview1::memory::offset;
use crate::preview1::system;
use crate::preview1::types::Rights;
use crate::preview1::{Call, Edition, Errno, Outcome};
use crate::sys::clock;
use crate::sys::file;
use crate::sys::wait::{self, Interest};

/// The size of an `event`.
const EVENT: u32 = 32;

/// When a subscription is due.
enum Due {
    /// When the system's monotonic clock has reached this.
    At(u64),
    /// When this handle is ready.
    Handle(Handle, Interest),
    /// At once, with this many bytes.
    Now(u64),
    /// At once: it failed.
    Failed(Errno),
}

struct Subscription {
    userdata: u64,
    /// 0 for a clock, 1 for reading, 2 for writing.
    kind: u8,
    due: Due,
}

/// `poll_oneoff`.
pub(super) fn poll_oneoff(
    call: &mut Call<'_>,
    subscriptions: u32,
    events: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Outcome<()> {
    let size = if call.edition == Edition::Snapshot { 48 } else { 56 };
    if nsubscriptions == 0 {
        return Err(Errno::Inval.into());
    }
    let bytes = |size: u32| nsubscriptions.checked_mul(size).ok_or(Errno::Fault);
    call.guest.range(subscriptions, bytes(size)?)?;
    call.guest.range(events, bytes(EVENT)?)?;
    call.guest.range(nevents, 4)?;
    // Each takes memory of the host's.
    if nsubscriptions > call.wasi.max_poll {
        return Err(Errno::NoMem.into());
    }
    let waiting = (0..nsubscriptions)
        .map(|index| subscription(call, offset(subscriptions, index * size)?))
        .collect::<Outcome<Vec<_>>>()?;
    let mut until: Option<u64> = None;
    let mut fds: Vec<(BorrowedFd<'_>, Interest)> = Vec::new();
    for subscription in &waiting {
        match &subscription.due {
            Due::At(instant) => until = Some(until.map_or(*instant, |until| until.min(*instant))),
            Due::Now(_) | Due::Failed(_) => until = Some(0),
            Due::Handle(handle, interest) => fds.push((handle.as_fd(), *interest)),
        }
    }
    let mut count = 0;
    while count == 0 {
        let mut ready = wait::wait(&fds, until, &*call.wasi.deadline)?.into_iter();
        let now = clock::monotonic();
        for Subscription { userdata, kind, due } in &waiting {
            let (errno, bytes, hung_up) = match due {
                Due::At(instant) if *instant <= now => (Errno::Success, 0, false),
                Due::At(_) => continue,
                Due::Handle(handle, interest) if ready.next().unwrap_or(true) => {
                    let bytes = if *interest == Interest::Read { file::readable_bytes(handle) } else { 0 };
                    (Errno::Success, bytes, wait::hung_up(handle))
                }
                Due::Handle(..) => continue,
                Due::Now(bytes) => (Errno::Success, *bytes, false),
                Due::Failed(errno) => (*errno, 0, false),
            };
            let mut event = [0; EVENT as usize];
            event[0..8].copy_from_slice(&userdata.to_le_bytes());
            event[8..10].copy_from_slice(&(errno as u16).to_le_bytes());
            event[10] = *kind;
            event[16..24].copy_from_slice(&bytes.to_le_bytes());
            // `fd_readwrite_hangup`.
            event[24] = hung_up.into();
            call.guest.put(offset(events, count * EVENT)?, &event)?;
            count += 1;
        }
    }
    call.guest.put_u32(nevents, count)
}

/// Reads a subscription.
fn subscription(call: &mut Call<'_>, at: u32) -> Outcome<Subscription> {
    let userdata = call.guest.u64(at)?;
    let kind = call.guest.u8(offset(at, 8)?)?;
    let due = match kind {
        0 => timer(call, offset(at, 16)?),
        1 | 2 => {
            let fd = call.guest.u32(offset(at, 16)?)?;
            descriptor(call, fd, if kind == 1 { Interest::Read } else { Interest::Write })
        }
        _ => return Err(Errno::Inval.into()),
    };
    // What is wrong with one subscription is an event of its own.
    let due = match due {
        Err(Fault::Errno(errno)) => Due::Failed(errno),
        due => due?,
    };
    Ok(Subscription { userdata, kind, due })
}

fn timer(call: &mut Call<'_>, at: u32) -> Outcome<Due> {
    // The forerunner has a name of the timer's before the clock.
    let at = if call.edition == Edition::Snapshot { at } else { offset(at, 8)? };
    let clock = call.guest.u32(at)?;
    let timeout = call.guest.u64(offset(at, 8)?)?;
    let flags = call.guest.u16(offset(at, 24)?)?;
    let left = match (clock, flags) {
        (0 | 1, 0) => timeout,
        (0 | 1, 1) => timeout.saturating_sub(system::now(call, clock)?),
        // Processor time cannot be waited for.
        (2 | 3, 0 | 1) => return Err(Errno::NotSup.into()),
        _ => return Err(Errno::Inval.into()),
    };
    Ok(Due::At(clock::monotonic().saturating_add(left)))
}

/// What a descriptor is waited for by.
enum Waited {
    Input(Borrow<InputStream>),
    Output,
    File(Borrow<Descriptor>, u64),
    Socket(Borrow<Socket>),
}

fn descriptor(call: &mut Call<'_>, fd: u32, interest: Interest) -> Outcome<Due> {
    let entry = call.entry(fd)?;
    entry.needs(Rights::POLL_FD_READWRITE)?;
    let waited = match &entry.object {
        Object::Input(stream) if interest == Interest::Read => Waited::Input(stream.borrow()),
        // What is written goes to the system at once.
        Object::Output(_) if interest == Interest::Write => Waited::Output,
        Object::Input(_) | Object::Output(_) | Object::Directory { .. } => return Err(Errno::BadF.into()),
        Object::File { descriptor, offset } => Waited::File(descriptor.borrow(), *offset),
        Object::Socket(socket) => Waited::Socket(socket.borrow()),
    };
    Ok(match waited {
        Waited::Input(stream) => match call.wasi.table.get(&stream)?.waits_for() {
            Some(handle) => Due::Handle(handle, interest),
            None => Due::Now(0),
        },
        Waited::Output => Due::Now(0),
        Waited::Socket(socket) => Due::Handle(Handle::Open(call.wasi.table.get(&socket)?.clone()), interest),
        Waited::File(file, offset) => {
            let needed = match interest {
                Interest::Read => DescriptorFlags::READ,
                Interest::Write => DescriptorFlags::WRITE,
            };
            let descriptor = call.wasi.table.get(&file)?;
            let object = descriptor.as_file(needed)?.clone();
            match (descriptor.has_offsets(), interest) {
                (false, _) => Due::Handle(Handle::Open(object), interest),
                (true, Interest::Read) => Due::Now(status(call.wasi, &file)?.size.saturating_sub(offset)),
                (true, Interest::Write) => Due::Now(0),
            }
        }
    })
}
