//! `fd_*`: what is done with open descriptors. `fd_readdir` has a file of its own.

use mini_wasm_canonical_abi::Borrow;

use crate::filesystem::descriptor::{self, Descriptor};
use crate::filesystem::types::{Advice, DescriptorFlags};
use crate::io::streams::Failure;
use crate::preview1::descriptors::{Object, status};
use crate::preview1::memory::{Guest, Part};
use crate::preview1::types::{FdFlags, Filestat, Rights, fdstat, flags16, new_times};
use crate::preview1::{Call, Edition, Errno, Outcome, sock};
use crate::sys::{self, file, wait};

/// Up to how many bytes the parts of one write are put together, so that they reach the system at once.
const GATHER: usize = 64 * 1024;
/// After how many bytes of `fd_allocate` the deadline is looked at.
const ALLOCATED_AT_ONCE: u64 = 64 << 20;
/// After how many bytes a long transfer looks at the deadline.
const STRIDE: usize = 4 * 1024 * 1024;

/// `fd_advise`.
pub(super) fn fd_advise(call: &mut Call<'_>, fd: u32, offset: u64, len: u64, advice: u32) -> Outcome<()> {
    let file = call.entry(fd)?.file(Rights::FD_ADVISE, Errno::SPipe)?;
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval.into()),
    };
    Ok(descriptor::advise(call.wasi, file, offset, len, advice)??)
}

/// `fd_allocate`.
pub(super) fn fd_allocate(call: &mut Call<'_>, fd: u32, offset: u64, len: u64) -> Outcome<()> {
    let file = call.entry(fd)?.file(Rights::FD_ALLOCATE, Errno::SPipe)?;
    let descriptor = call.wasi.table.get(&file)?;
    let object = descriptor.as_file(DescriptorFlags::WRITE)?;
    descriptor.writable()?;
    if len <= ALLOCATED_AT_ONCE {
        return Ok(call.wasi.holding(|| file::allocate(&**object, offset, len))?);
    }
    // Where the system fills blocks with zeros itself it takes a second for some gigabytes.
    let (end, before) = (file::end_of(offset, len)?, file::status(&**object)?.size);
    // What does not fit fails at once, and not when the parts before it have filled the disk.
    if file::room(&**object).is_some_and(|room| end.saturating_sub(before) > room) {
        return Err(Errno::NoSpc.into());
    }
    let mut at = offset;
    loop {
        let part = (end - at).min(ALLOCATED_AT_ONCE);
        if let Err(error) = call.wasi.holding(|| file::allocate(&**object, at, part)) {
            // All of it or none: what came before is not kept from others.
            if at > offset && at > before {
                let _the_first_error_counts = file::set_size(&**object, before);
            }
            return Err(error.into());
        }
        at += part;
        if at == end {
            return Ok(());
        }
        call.over()?;
    }
}

/// `fd_close`.
pub(super) fn fd_close(call: &mut Call<'_>, fd: u32) -> Outcome<()> {
    let entry = call.descriptors()?.remove(fd)?;
    entry.close(call.wasi)
}

/// `fd_datasync`.
pub(super) fn fd_datasync(call: &mut Call<'_>, fd: u32) -> Outcome<()> {
    let descriptor = call.entry(fd)?.descriptor(Rights::FD_DATASYNC, Errno::Inval)?;
    Ok(descriptor::sync_data(call.wasi, descriptor)??)
}

/// `fd_sync`.
pub(super) fn fd_sync(call: &mut Call<'_>, fd: u32) -> Outcome<()> {
    let descriptor = call.entry(fd)?.descriptor(Rights::FD_SYNC, Errno::Inval)?;
    Ok(descriptor::sync(call.wasi, descriptor)??)
}

/// `fd_fdstat_get`.
pub(super) fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, stat: u32) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let (flags, base, inheriting) = (entry.flags, entry.base, entry.inheriting);
    let kind = call.filetype(fd)?;
    call.guest.put(stat, &fdstat(kind, flags, base, inheriting))
}

/// `fd_fdstat_set_flags`: to append and not to wait can be changed, how careful writes are cannot.
pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>, fd: u32, flags: u32) -> Outcome<()> {
    const CHANGEABLE: FdFlags = FdFlags::APPEND.or(FdFlags::NONBLOCK);
    let entry = call.entry(fd)?;
    if matches!(entry.object, Object::Directory { .. }) {
        return Err(Errno::BadF.into());
    }
    entry.needs(Rights::FD_FDSTAT_SET_FLAGS)?;
    let flags = FdFlags::checked(flags16(flags)?)?;
    if flags.without(CHANGEABLE) != entry.flags.without(CHANGEABLE) {
        return Err(Errno::Inval.into());
    }
    entry.flags = flags;
    Ok(())
}

/// `fd_fdstat_set_rights`: rights can be given up and never got back.
pub(super) fn fd_fdstat_set_rights(
    call: &mut Call<'_>,
    fd: u32,
    rights_base: u64,
    rights_inheriting: u64,
) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let (base, inheriting) = (Rights::checked(rights_base)?, Rights::checked(rights_inheriting)?);
    entry.keep(base, inheriting)
}

/// `fd_filestat_get`.
pub(super) fn fd_filestat_get(call: &mut Call<'_>, fd: u32, stat: u32) -> Outcome<()> {
    let entry = call.entry(fd)?;
    entry.needs(Rights::FD_FILESTAT_GET)?;
    let filestat = match &entry.object {
        Object::File { descriptor, .. } | Object::Directory { descriptor, .. } => {
            let descriptor = descriptor.borrow();
            Filestat::from(status(call.wasi, &descriptor)?)
        }
        _ => Filestat::of_stream(call.filetype(fd)?),
    };
    call.guest.put(stat, &filestat.bytes(call.edition))
}

/// `fd_filestat_set_size`.
pub(super) fn fd_filestat_set_size(call: &mut Call<'_>, fd: u32, size: u64) -> Outcome<()> {
    let file = call.entry(fd)?.file(Rights::FD_FILESTAT_SET_SIZE, Errno::Inval)?;
    Ok(descriptor::set_size(call.wasi, file, size)??)
}

/// `fd_filestat_set_times`.
pub(super) fn fd_filestat_set_times(
    call: &mut Call<'_>,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Outcome<()> {
    let descriptor = call.entry(fd)?.descriptor(Rights::FD_FILESTAT_SET_TIMES, Errno::BadF)?;
    let (accessed, modified) = new_times(accessed, modified, flags)?;
    Ok(descriptor::set_times(call.wasi, descriptor, accessed, modified)??)
}

/// `fd_prestat_get`: a directory that was granted; `badf` ends a guest's search for them.
pub(super) fn fd_prestat_get(call: &mut Call<'_>, fd: u32, prestat: u32) -> Outcome<()> {
    let len = call.preopen(fd)?.len();
    let len = u32::try_from(len).map_err(|_| Errno::Overflow)?;
    let mut bytes = [0; 8];
    bytes[4..].copy_from_slice(&len.to_le_bytes());
    call.guest.put(prestat, &bytes)
}

/// `fd_prestat_dir_name`.
pub(super) fn fd_prestat_dir_name(call: &mut Call<'_>, fd: u32, path: u32, path_len: u32) -> Outcome<()> {
    let name = call.preopen(fd)?;
    if name.len() > path_len as usize {
        return Err(Errno::NameTooLong.into());
    }
    call.guest.put(path, name.as_bytes())
}

/// `fd_renumber`: `to` must be open. What it stood for is closed.
pub(super) fn fd_renumber(call: &mut Call<'_>, fd: u32, to: u32) -> Outcome<()> {
    match call.descriptors()?.renumber(fd, to)? {
        Some(replaced) => replaced.close(call.wasi),
        None => Ok(()),
    }
}

/// `fd_seek`.
pub(super) fn fd_seek(
    call: &mut Call<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    new_offset: u32,
) -> Outcome<()> {
    enum From {
        Start,
        Here,
        End,
    }
    let from = match (call.edition, whence) {
        (Edition::Snapshot, 0) | (Edition::Unstable, 2) => From::Start,
        (Edition::Snapshot, 1) | (Edition::Unstable, 0) => From::Here,
        (Edition::Snapshot, 2) | (Edition::Unstable, 1) => From::End,
        _ => {
            call.entry(fd)?;
            return Err(Errno::Inval.into());
        }
    };
    let only_tells = offset == 0 && matches!(from, From::Here);
    let entry = call.entry(fd)?;
    let file = entry.file(Rights::empty(), Errno::SPipe)?;
    // Who may seek may also tell.
    if !only_tells || entry.needs(Rights::FD_TELL).is_err() {
        entry.needs(Rights::FD_SEEK)?;
    }
    let Object::File { offset: here, .. } = entry.object else { return Err(Errno::SPipe.into()) };
    if !call.wasi.table.get(&file)?.has_offsets() {
        return Err(Errno::SPipe.into());
    }
    let base = match from {
        From::Start => 0,
        From::Here => here,
        From::End => status(call.wasi, &file)?.size,
    };
    let new =
        base.checked_add_signed(offset).filter(|new| i64::try_from(*new).is_ok()).ok_or(Errno::Inval)?;
    call.guest.put_u64(new_offset, new)?;
    call.set_offset(fd, new)
}

/// `fd_tell`.
pub(super) fn fd_tell(call: &mut Call<'_>, fd: u32, offset: u32) -> Outcome<()> {
    let whence = if call.edition == Edition::Snapshot { 1 } else { 0 };
    fd_seek(call, fd, 0, whence, offset)
}

/// `fd_read`: from where the file stands; from a stream what is there.
pub(super) fn fd_read(call: &mut Call<'_>, fd: u32, iovs: u32, iovs_len: u32, nread: u32) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let waits = !entry.flags.has(FdFlags::NONBLOCK);
    match &entry.object {
        Object::Directory { .. } => Err(Errno::IsDir.into()),
        Object::Output(_) => Err(Errno::BadF.into()),
        Object::Socket(_) => sock::sock_recv(call, fd, iovs, iovs_len, 0, nread, None),
        Object::Input(stream) => {
            let stream = stream.borrow();
            entry.needs(Rights::FD_READ)?;
            let parts = call.guest.iovecs(iovs, iovs_len)?;
            call.guest.range(nread, 4)?;
            let Some(part) = parts.into_iter().find(|part| !part.is_empty()) else {
                return call.guest.put_u32(nread, 0);
            };
            let stream = call.wasi.table.get_mut(&stream)?;
            let bytes = match stream.read(part.len() as u64, waits, &*call.wasi.deadline) {
                Ok(bytes) if bytes.is_empty() => return Err(Errno::Again.into()),
                Err(Failure::Closed) => Vec::new(),
                result => result?,
            };
            call.guest.part_mut(part.start..part.start + bytes.len())?.copy_from_slice(&bytes);
            call.guest.put_u32(nread, bytes.len() as u32)
        }
        Object::File { descriptor, offset } => {
            let (descriptor, offset) = (descriptor.borrow(), *offset);
            call.wasi.table.get(&descriptor)?.as_file(DescriptorFlags::READ)?;
            call.entry(fd)?.needs(Rights::FD_READ)?;
            let parts = call.guest.iovecs(iovs, iovs_len)?;
            call.guest.range(nread, 4)?;
            let read = read_file(call, &descriptor, parts, offset, waits)?;
            call.set_offset(fd, offset.saturating_add(read.into()))?;
            call.guest.put_u32(nread, read)
        }
    }
}

/// `fd_pread`: at an offset, which is not remembered.
pub(super) fn fd_pread(
    call: &mut Call<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Outcome<()> {
    let entry = call.entry(fd)?;
    if matches!(entry.object, Object::Directory { .. }) {
        return Err(Errno::IsDir.into());
    }
    let file = entry.file(Rights::FD_READ.or(Rights::FD_SEEK), Errno::SPipe)?;
    let descriptor = call.wasi.table.get(&file)?;
    descriptor.as_file(DescriptorFlags::READ)?;
    if !descriptor.has_offsets() {
        return Err(Errno::SPipe.into());
    }
    let parts = call.guest.iovecs(iovs, iovs_len)?;
    call.guest.range(nread, 4)?;
    let read = read_file(call, &file, parts, offset, true)?;
    call.guest.put_u32(nread, read)
}

/// `fd_write`: to where the file stands, or to its end.
pub(super) fn fd_write(call: &mut Call<'_>, fd: u32, iovs: u32, iovs_len: u32, nwritten: u32) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let flags = entry.flags;
    match &entry.object {
        Object::Directory { .. } | Object::Input(_) => Err(Errno::BadF.into()),
        Object::Socket(_) => sock::sock_send(call, fd, iovs, iovs_len, 0, nwritten),
        Object::Output(stream) => {
            let stream = stream.borrow();
            entry.needs(Rights::FD_WRITE)?;
            let parts = call.guest.iovecs(iovs, iovs_len)?;
            call.guest.range(nwritten, 4)?;
            let mut written: u32 = 0;
            for bytes in gathered(call, parts)? {
                let bytes = bytes.bytes(&call.guest)?;
                let stream = call.wasi.table.get_mut(&stream)?;
                stream.write(bytes, &*call.wasi.deadline)?;
                written += bytes.len() as u32;
            }
            call.guest.put_u32(nwritten, written)
        }
        Object::File { descriptor, offset } => {
            let (descriptor, offset) = (descriptor.borrow(), *offset);
            call.wasi.table.get(&descriptor)?.as_file(DescriptorFlags::WRITE)?;
            call.entry(fd)?.needs(Rights::FD_WRITE)?;
            let parts = call.guest.iovecs(iovs, iovs_len)?;
            call.guest.range(nwritten, 4)?;
            let append = flags.has(FdFlags::APPEND);
            let written = write_file(call, &descriptor, parts, offset, append, flags)?;
            let end = match append {
                true => status(call.wasi, &descriptor)?.size,
                false => offset.saturating_add(written.into()),
            };
            call.set_offset(fd, end)?;
            call.guest.put_u32(nwritten, written)
        }
    }
}

/// `fd_pwrite`: at an offset, which is not remembered.
pub(super) fn fd_pwrite(
    call: &mut Call<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let flags = entry.flags;
    let file = entry.file(Rights::FD_WRITE.or(Rights::FD_SEEK), Errno::SPipe)?;
    let descriptor = call.wasi.table.get(&file)?;
    descriptor.as_file(DescriptorFlags::WRITE)?;
    if !descriptor.has_offsets() {
        return Err(Errno::SPipe.into());
    }
    let parts = call.guest.iovecs(iovs, iovs_len)?;
    call.guest.range(nwritten, 4)?;
    let written = write_file(call, &file, parts, offset, false, flags)?;
    call.guest.put_u32(nwritten, written)
}

impl Call<'_> {
    fn preopen(&mut self, fd: u32) -> Outcome<String> {
        match &self.entry(fd)?.object {
            Object::Directory { preopen: Some(name), .. } => Ok(name.clone()),
            _ => Err(Errno::BadF.into()),
        }
    }

    fn set_offset(&mut self, fd: u32, new: u64) -> Outcome<()> {
        if let Object::File { offset, .. } = &mut self.entry(fd)?.object {
            *offset = new;
        }
        Ok(())
    }

    pub(super) fn over(&self) -> Outcome<()> {
        Ok(self.wasi.over()?)
    }

    pub(super) fn filetype(&mut self, fd: u32) -> Outcome<crate::preview1::types::Filetype> {
        self.entry(fd)?;
        // The table stands aside for as long as it is read.
        let Some(mut descriptors) = self.wasi.preview1.take() else { return Err(Errno::BadF.into()) };
        let kind = match descriptors.entry(fd) {
            Ok(entry) => entry.filetype(self.wasi),
            Err(errno) => Err(errno.into()),
        };
        self.wasi.preview1 = Some(descriptors);
        kind
    }
}

/// Reads into the parts until one is not filled; how many bytes.
fn read_file(
    call: &mut Call<'_>,
    descriptor: &Borrow<Descriptor>,
    parts: Vec<Part>,
    mut offset: u64,
    waits: bool,
) -> Outcome<u32> {
    let mut total = 0;
    for part in parts {
        let mut at = part.start;
        while at < part.end {
            if total > 0 {
                call.over()?;
            }
            let end = part.end.min(at.saturating_add(STRIDE));
            let file = call.wasi.table.get(descriptor)?;
            let object = file.as_file(DescriptorFlags::READ)?;
            let into = call.guest.part_mut(at..end)?;
            let read = if file.has_offsets() {
                file::read_at(&**object, into, offset)?
            } else {
                loop {
                    if waits {
                        wait::readable(&**object, &*call.wasi.deadline)?;
                    }
                    match file::read(&**object, &mut *into) {
                        Err(sys::Errno::AGAIN) if waits => {}
                        result => break result?,
                    }
                }
            };
            total += read as u32;
            offset = offset.saturating_add(read as u64);
            if read < end - at || !file.has_offsets() {
                return Ok(total);
            }
            at = end;
        }
    }
    Ok(total)
}

/// Bytes of one write to the system.
pub(super) enum Bytes {
    /// Of several parts, put together.
    Gathered(Vec<u8>),
    /// A part as it lies.
    Part(Part),
}

impl Bytes {
    pub(super) fn bytes<'b>(&'b self, guest: &'b Guest<'_>) -> Outcome<&'b [u8]> {
        match self {
            Self::Gathered(bytes) => Ok(bytes),
            Self::Part(part) => guest.part(part.clone()),
        }
    }
}

/// What is written with one call to the system each: small parts together, long ones in strides.
pub(super) fn gathered(call: &Call<'_>, parts: Vec<Part>) -> Outcome<Vec<Bytes>> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    if parts.len() > 1 && total <= GATHER {
        let mut all = Vec::with_capacity(total);
        for part in parts {
            all.extend_from_slice(call.guest.part(part)?);
        }
        return Ok(if all.is_empty() { Vec::new() } else { vec![Bytes::Gathered(all)] });
    }
    let strides = |part: Part| {
        let end = part.end;
        part.step_by(STRIDE).map(move |at| Bytes::Part(at..end.min(at.saturating_add(STRIDE))))
    };
    Ok(parts.into_iter().flat_map(strides).collect())
}

/// Writes the parts until one is not taken whole; how many bytes.
fn write_file(
    call: &mut Call<'_>,
    descriptor: &Borrow<Descriptor>,
    parts: Vec<Part>,
    mut offset: u64,
    append: bool,
    flags: FdFlags,
) -> Outcome<u32> {
    let mut total = 0;
    for bytes in gathered(call, parts)? {
        if total > 0 {
            call.over()?;
        }
        let file = call.wasi.table.get(descriptor)?;
        let object = file.as_file(DescriptorFlags::WRITE)?;
        let bytes = bytes.bytes(&call.guest)?;
        let result = match (file.has_offsets(), append) {
            (true, false) => file::write_at(&**object, bytes, offset),
            (true, true) => file::append(&**object, bytes),
            (false, _) => loop {
                match file::write(&**object, bytes) {
                    Err(sys::Errno::AGAIN) if !flags.has(FdFlags::NONBLOCK) => {
                        wait::writable(&**object, &*call.wasi.deadline)?;
                    }
                    result => break result,
                }
            },
        };
        let written = match result {
            // What went before is written: the next call will meet the error.
            Err(_) if total > 0 => return Ok(total),
            result => result?,
        };
        total += written as u32;
        offset = offset.saturating_add(written as u64);
        if written < bytes.len() {
            break;
        }
    }
    Ok(total)
}
