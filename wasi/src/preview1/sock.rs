//! `sock_*`: sockets that the host has granted ([`WasiBuilder::listener`](crate::WasiBuilder::listener)); preview 1 can open none itself.

use std::sync::Arc;

use crate::preview1::descriptors::{Entry, Object, Socket};
use crate::preview1::fd::gathered;
use crate::preview1::types::{FdFlags, RiFlags, Rights, RoFlags, SdFlags, flags16};
use crate::preview1::{Call, Errno, Outcome};
use crate::sys::{self, net, wait};

/// The socket behind a descriptor, and whether calls on it wait.
fn socket(call: &mut Call<'_>, fd: u32, rights: Rights) -> Outcome<(Socket, bool)> {
    let entry = call.entry(fd)?;
    let Object::Socket(socket) = &entry.object else { return Err(Errno::NotSock.into()) };
    entry.needs(rights)?;
    let (socket, waits) = (socket.borrow(), !entry.flags.has(FdFlags::NONBLOCK));
    Ok((call.wasi.table.get(&socket)?.clone(), waits))
}

/// `sock_accept`.
pub(super) fn sock_accept(call: &mut Call<'_>, fd: u32, flags: u32, accepted: u32) -> Outcome<()> {
    let (listener, waits) = socket(call, fd, Rights::SOCK_ACCEPT)?;
    let flags = FdFlags::checked(flags16(flags)?)?;
    if flags.without(FdFlags::NONBLOCK) != FdFlags::empty() {
        return Err(Errno::Inval.into());
    }
    call.guest.range(accepted, 4)?;
    // A connection is a resource as a file is.
    call.wasi.table.room(1).map_err(|_| Errno::MFile)?;
    if !call.wasi.handles.room() {
        return Err(Errno::MFile.into());
    }
    let connection = loop {
        match net::accept(&*listener) {
            Err(sys::Errno::AGAIN) if waits => wait::readable(&*listener, &*call.wasi.deadline)?,
            result => break result?,
        }
    };
    let connection = Arc::new(connection);
    call.wasi.handles.hold(&connection);
    let connection = call.wasi.table.push(connection)?;
    let number = call.descriptors()?.add(Entry::socket(connection, flags))?;
    call.guest.put_u32(accepted, number)
}

/// `sock_recv`: into the first part that has room.
pub(super) fn sock_recv(
    call: &mut Call<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    ri_flags: u32,
    nread: u32,
    ro_flags: impl Into<Option<u32>>,
) -> Outcome<()> {
    let (socket, waits) = socket(call, fd, Rights::FD_READ)?;
    let deaf = call.entry(fd)?.deaf;
    let flags = RiFlags::checked(flags16(ri_flags)?)?;
    let ro_flags = ro_flags.into();
    let parts = call.guest.iovecs(iovs, iovs_len)?;
    call.guest.range(nread, 4)?;
    if let Some(ro_flags) = ro_flags {
        call.guest.put(ro_flags, &RoFlags::empty().bits().to_le_bytes())?;
    }
    if deaf {
        net::discard(&*socket);
        return call.guest.put_u32(nread, 0);
    }
    let peeks = flags.has(RiFlags::RECV_PEEK);
    let whole = flags.has(RiFlags::RECV_WAITALL) && !peeks && waits;
    let mut total = 0;
    'parts: for part in parts {
        let mut at = part.start;
        while at < part.end {
            let read = match net::receive(&*socket, call.guest.part_mut(at..part.end)?, peeks) {
                Err(sys::Errno::AGAIN) if waits && (total == 0 || whole) => {
                    wait::readable(&*socket, &*call.wasi.deadline)?;
                    continue;
                }
                Err(_) if total > 0 => break 'parts,
                result => result?,
            };
            total += read as u32;
            at += read;
            if read == 0 || !whole {
                break 'parts;
            }
        }
    }
    call.guest.put_u32(nread, total)
}

/// `sock_send`.
pub(super) fn sock_send(
    call: &mut Call<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    si_flags: u32,
    nwritten: u32,
) -> Outcome<()> {
    let (socket, waits) = socket(call, fd, Rights::FD_WRITE)?;
    if si_flags != 0 {
        return Err(Errno::Inval.into());
    }
    let parts = call.guest.iovecs(iovs, iovs_len)?;
    call.guest.range(nwritten, 4)?;
    let mut total = 0;
    for bytes in gathered(call, parts)? {
        let bytes = bytes.bytes(&call.guest)?;
        let sent = loop {
            match net::send(&*socket, bytes) {
                Err(sys::Errno::AGAIN) if waits && total == 0 => {
                    wait::writable(&*socket, &*call.wasi.deadline)?;
                }
                result => break result,
            }
        };
        match sent {
            Ok(sent) => {
                total += sent as u32;
                if sent < bytes.len() {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    call.guest.put_u32(nwritten, total)
}

/// `sock_shutdown`. As in WASI 0.2, what is queued or arrives is thrown away once it is not to be received.
pub(super) fn sock_shutdown(call: &mut Call<'_>, fd: u32, how: u32) -> Outcome<()> {
    let (socket, _) = socket(call, fd, Rights::SOCK_SHUTDOWN)?;
    let how = SdFlags::checked(how)?;
    if how == SdFlags::empty() {
        return Err(Errno::Inval.into());
    }
    net::shutdown(&*socket, how.has(SdFlags::RD), how.has(SdFlags::WR))?;
    if how.has(SdFlags::RD) {
        net::discard(&*socket);
        call.entry(fd)?.deaf = true;
    }
    Ok(())
}
