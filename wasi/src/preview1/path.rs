//! `path_*`: what is done with names beneath a directory. Resolution, permissions and error codes are those of the
//! resource `descriptor` of WASI 0.2.

use mini_wasm_canonical_abi::Borrow;

use crate::filesystem::descriptor::{self, Descriptor};
use crate::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use crate::preview1::descriptors::Entry;
use crate::preview1::types::{FdFlags, Filestat, LookupFlags, OFlags, Rights, flags16, new_times};
use crate::preview1::{Call, Errno, Outcome};

fn lookup(flags: u32) -> Outcome<PathFlags> {
    Ok(match LookupFlags::checked(flags)?.has(LookupFlags::SYMLINK_FOLLOW) {
        true => PathFlags::SYMLINK_FOLLOW,
        false => PathFlags::empty(),
    })
}

/// The directory that a descriptor with this right stands for, and the path beneath it.
fn beneath(
    call: &mut Call<'_>,
    right: Rights,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome<(Borrow<Descriptor>, String)> {
    let directory = call.entry(fd)?.directory(right)?;
    Ok((directory, call.guest.path(path, path_len)?))
}

/// `path_create_directory`.
pub(super) fn path_create_directory(call: &mut Call<'_>, fd: u32, path: u32, path_len: u32) -> Outcome<()> {
    let (directory, path) = beneath(call, Rights::PATH_CREATE_DIRECTORY, fd, path, path_len)?;
    Ok(descriptor::create_directory_at(call.wasi, directory, path)??)
}

/// `path_filestat_get`.
pub(super) fn path_filestat_get(
    call: &mut Call<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Outcome<()> {
    let directory = call.entry(fd)?.directory(Rights::PATH_FILESTAT_GET)?;
    let (flags, path) = (lookup(flags)?, call.guest.path(path, path_len)?);
    let status = call.wasi.table.get(&directory)?.status_at(&call.wasi.paths, flags, &path)?;
    call.guest.put(stat, &Filestat::from(status).bytes(call.edition))
}

/// `path_filestat_set_times`.
#[expect(clippy::too_many_arguments, reason = "they are witx's")]
pub(super) fn path_filestat_set_times(
    call: &mut Call<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    accessed: u64,
    modified: u64,
    fst_flags: u32,
) -> Outcome<()> {
    let directory = call.entry(fd)?.directory(Rights::PATH_FILESTAT_SET_TIMES)?;
    let (flags, path) = (lookup(flags)?, call.guest.path(path, path_len)?);
    let (accessed, modified) = new_times(accessed, modified, fst_flags)?;
    Ok(descriptor::set_times_at(call.wasi, directory, flags, path, accessed, modified)??)
}

/// `path_link`.
#[expect(clippy::too_many_arguments, reason = "they are witx's")]
pub(super) fn path_link(
    call: &mut Call<'_>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome<()> {
    let old = call.entry(old_fd)?.directory(Rights::PATH_LINK_SOURCE)?;
    let new = call.entry(new_fd)?.directory(Rights::PATH_LINK_TARGET)?;
    let flags = lookup(old_flags)?;
    let old_path = call.guest.path(old_path, old_path_len)?;
    let new_path = call.guest.path(new_path, new_path_len)?;
    Ok(descriptor::link_at(call.wasi, old, flags, old_path, new, new_path)??)
}

/// `path_open`: the rights asked for must be among those that the directory still passes on. To read and to write say how the file
/// is opened; other rights that were not asked for are not missed.
#[expect(clippy::too_many_arguments, reason = "they are witx's")]
pub(super) fn path_open(
    call: &mut Call<'_>,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights_base: u64,
    rights_inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> Outcome<()> {
    let entry = call.entry(fd)?;
    let directory = entry.directory(Rights::PATH_OPEN)?;
    // Old programs ask for every right there may ever be.
    let (base, inheriting) = (Rights::truncated(rights_base), Rights::truncated(rights_inheriting));
    let lost = entry.passes_on(base.or(inheriting))?;
    let oflags = OFlags::checked(flags16(oflags)?)?;
    let fdflags = FdFlags::checked(flags16(fdflags)?)?;
    let needed = [(OFlags::CREAT, Rights::PATH_CREATE_FILE), (OFlags::TRUNC, Rights::PATH_FILESTAT_SET_SIZE)];
    for (flag, right) in needed {
        if oflags.has(flag) {
            entry.needs(right)?;
        }
    }
    let path_flags = lookup(dirflags)?;
    let path = call.guest.path(path, path_len)?;
    call.guest.range(opened, 4)?;
    let mut open = OpenFlags::empty();
    let mut flags = DescriptorFlags::empty();
    let opens = [
        (OFlags::CREAT, OpenFlags::CREATE),
        (OFlags::DIRECTORY, OpenFlags::DIRECTORY),
        (OFlags::EXCL, OpenFlags::EXCLUSIVE),
        (OFlags::TRUNC, OpenFlags::TRUNCATE),
    ];
    for (asked, flag) in opens {
        if oflags.has(asked) {
            open |= flag;
        }
    }
    let syncs = [
        (FdFlags::SYNC, DescriptorFlags::FILE_INTEGRITY_SYNC),
        (FdFlags::DSYNC, DescriptorFlags::DATA_INTEGRITY_SYNC),
        (FdFlags::RSYNC, DescriptorFlags::REQUESTED_WRITE_SYNC),
    ];
    for (asked, flag) in syncs {
        if fdflags.has(asked) {
            flags |= flag;
        }
    }
    if base.meets(Rights::FD_READ) {
        flags |= DescriptorFlags::READ;
    }
    // A directory is never written itself: the system says `isdir` to whoever asks for that. What is said of sizes is asked
    // for with everything else by old programs, and on a directory it is nothing.
    let of_sizes = Rights::FD_ALLOCATE.or(Rights::FD_FILESTAT_SET_SIZE);
    if base.meets(Rights::FD_WRITE) || base.meets(of_sizes) && !oflags.has(OFlags::DIRECTORY) {
        flags |= DescriptorFlags::WRITE;
    }
    if call.wasi.table.room(1).is_err() || !call.wasi.handles.room() {
        return Err(Errno::MFile.into());
    }
    let waits = !fdflags.has(FdFlags::NONBLOCK);
    let descriptor = descriptor::open(call.wasi, &directory, path_flags, &path, (open, flags), waits)??;
    let kind = call.wasi.table.get(&descriptor.borrow())?.kind();
    let entry = Entry::opened(descriptor, kind, (base, inheriting), lost, fdflags);
    let number = call.descriptors()?.add(entry)?;
    call.guest.put_u32(opened, number)
}

/// `path_readlink`: as much of the target as fits.
pub(super) fn path_readlink(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    bufused: u32,
) -> Outcome<()> {
    let (directory, path) = beneath(call, Rights::PATH_READLINK, fd, path, path_len)?;
    let room = call.guest.range(buf, buf_len)?;
    call.guest.range(bufused, 4)?;
    let target = descriptor::readlink_at(call.wasi, directory, path)??;
    let fits = target.len().min(room.len());
    call.guest.part_mut(room.start..room.start + fits)?.copy_from_slice(&target.as_bytes()[..fits]);
    call.guest.put_u32(bufused, fits as u32)
}

/// `path_remove_directory`.
pub(super) fn path_remove_directory(call: &mut Call<'_>, fd: u32, path: u32, path_len: u32) -> Outcome<()> {
    let (directory, path) = beneath(call, Rights::PATH_REMOVE_DIRECTORY, fd, path, path_len)?;
    Ok(descriptor::remove_directory_at(call.wasi, directory, path)??)
}

/// `path_rename`.
pub(super) fn path_rename(
    call: &mut Call<'_>,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome<()> {
    let old = call.entry(fd)?.directory(Rights::PATH_RENAME_SOURCE)?;
    let new = call.entry(new_fd)?.directory(Rights::PATH_RENAME_TARGET)?;
    let old_path = call.guest.path(old_path, old_path_len)?;
    let new_path = call.guest.path(new_path, new_path_len)?;
    Ok(descriptor::rename_at(call.wasi, old, old_path, new, new_path)??)
}

/// `path_symlink`.
pub(super) fn path_symlink(
    call: &mut Call<'_>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome<()> {
    let directory = call.entry(fd)?.directory(Rights::PATH_SYMLINK)?;
    let old_path = call.guest.path(old_path, old_path_len)?;
    let new_path = call.guest.path(new_path, new_path_len)?;
    Ok(descriptor::symlink_at(call.wasi, directory, old_path, new_path)??)
}

/// `path_unlink_file`.
pub(super) fn path_unlink_file(call: &mut Call<'_>, fd: u32, path: u32, path_len: u32) -> Outcome<()> {
    let (directory, path) = beneath(call, Rights::PATH_UNLINK_FILE, fd, path, path_len)?;
    Ok(descriptor::unlink_file_at(call.wasi, directory, path)??)
}
