//! Operations on handles that are open, and on one name in one open directory.
//!
//! The calls on a name get it from [`super::path`]: a single component, which the system is told not to follow.

use std::os::fd::{AsFd, OwnedFd};

pub(crate) use rustix::fs::{Advice, FileType, OFlags};
use rustix::fs::{
    AtFlags, Dir, FallocateFlags, Mode, StatxFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fadvise,
    fallocate, fdatasync, fsync, ftruncate, futimens, linkat, mkdirat, open, readlinkat, renameat, statat,
    statx, symlinkat, unlinkat, utimensat,
};
use rustix::io::{IoSlice, ReadWriteFlags};

use crate::sys::Errno;
use crate::sys::clock::Moment;

/// The largest offset the system takes.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// What the system knows about an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) kind: FileType,
    pub(crate) links: u64,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) accessed: Moment,
    pub(crate) modified: Moment,
    pub(crate) changed: Moment,
    /// Device and number: together they identify the object.
    pub(crate) device: u64,
    pub(crate) number: u64,
}

/// A new time of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewTime {
    Keep,
    Now,
    At(Moment),
}

/// Opens a directory of the host by its path, following links: only for what the embedder names, never for guests.
pub(crate) fn open_host_directory(path: &std::path::Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The status of an open object; also of one opened with `O_PATH`.
pub(crate) fn status(fd: impl AsFd) -> Result<Status, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let status = statx(fd, c"", flags, StatxFlags::BASIC_STATS)?;
    let moment =
        |time: rustix::fs::StatxTimestamp| Moment { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
    Ok(Status {
        kind: FileType::from_raw_mode(status.stx_mode.into()),
        links: status.stx_nlink.into(),
        size: status.stx_size,
        accessed: moment(status.stx_atime),
        modified: moment(status.stx_mtime),
        changed: moment(status.stx_ctime),
        device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
        number: status.stx_ino,
    })
}

/// What kind of object a name is, a link not followed.
pub(crate) fn kind_of(dir: impl AsFd, name: &[u8]) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// Reads at an offset; 0 is the end.
pub(crate) fn read_at(fd: impl AsFd, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
    if offset > MAX_OFFSET {
        return Err(Errno::INVAL);
    }
    again(|| rustix::io::pread(fd.as_fd(), &mut *bytes, offset))
}

/// Reads from where the object stands; 0 is the end.
pub(crate) fn read(fd: impl AsFd, bytes: &mut [u8]) -> Result<usize, Errno> {
    again(|| rustix::io::read(fd.as_fd(), &mut *bytes))
}

/// Writes at an offset, at most all of `bytes`.
pub(crate) fn write_at(fd: impl AsFd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    if offset > MAX_OFFSET {
        return Err(Errno::FBIG);
    }
    again(|| rustix::io::pwrite(fd.as_fd(), bytes, offset))
}

/// Writes to where the object stands, at most all of `bytes`.
pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    again(|| rustix::io::write(fd.as_fd(), bytes))
}

/// Writes at the end, wherever that is when the system gets to it.
pub(crate) fn append(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    again(|| rustix::io::pwritev2(fd.as_fd(), &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND))
}

/// Cuts or extends a file to `size` bytes.
pub(crate) fn set_size(fd: impl AsFd, size: u64) -> Result<(), Errno> {
    if size > MAX_OFFSET {
        return Err(Errno::FBIG);
    }
    again(|| ftruncate(fd.as_fd(), size))
}

/// Sets the times of an open object.
pub(crate) fn set_times(fd: impl AsFd, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
    futimens(fd, &timestamps(accessed, modified))
}

/// Sets the times of a name, a link not followed.
pub(crate) fn set_times_of(
    dir: impl AsFd,
    name: &[u8],
    accessed: NewTime,
    modified: NewTime,
) -> Result<(), Errno> {
    utimensat(dir, name, &timestamps(accessed, modified), AtFlags::SYMLINK_NOFOLLOW)
}

fn timestamps(accessed: NewTime, modified: NewTime) -> Timestamps {
    let time = |new: NewTime| match new {
        NewTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        NewTime::At(Moment { seconds, nanoseconds }) => {
            Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() }
        }
    };
    Timestamps { last_access: time(accessed), last_modification: time(modified) }
}

/// Brings data and everything about the object to the disk.
pub(crate) fn sync(fd: impl AsFd) -> Result<(), Errno> {
    again(|| fsync(fd.as_fd()))
}

/// Brings data to the disk.
pub(crate) fn sync_data(fd: impl AsFd) -> Result<(), Errno> {
    again(|| fdatasync(fd.as_fd()))
}

/// Tells the system how bytes will be used; `length` 0 means to the end.
pub(crate) fn advise(fd: impl AsFd, offset: u64, length: u64, advice: Advice) -> Result<(), Errno> {
    if offset > MAX_OFFSET || length > MAX_OFFSET {
        return Err(Errno::INVAL);
    }
    fadvise(fd, offset, std::num::NonZeroU64::new(length), advice)
}

/// Makes sure that bytes are there to be written without running out of space; extends the file if need be.
pub(crate) fn allocate(fd: impl AsFd, offset: u64, length: u64) -> Result<(), Errno> {
    if offset.checked_add(length).is_none_or(|end| end > MAX_OFFSET) {
        return Err(Errno::FBIG);
    }
    again(|| fallocate(fd.as_fd(), FallocateFlags::empty(), offset, length))
}

/// How many bytes can be read without waiting; 0 where the system cannot say.
pub(crate) fn readable_bytes(fd: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
}

/// Makes a directory with mode 0777 less the umask.
pub(crate) fn make_directory(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    mkdirat(dir, name, Mode::from_raw_mode(0o777))
}

/// Removes an empty directory.
pub(crate) fn remove_directory(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Removes a name that is not a directory.
pub(crate) fn unlink(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    unlinkat(dir, name, AtFlags::empty())
}

/// Renames, replacing what is there.
pub(crate) fn rename(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    renameat(from, old, to, new)
}

/// Makes a second name of an object; a link is not followed.
pub(crate) fn link(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    linkat(from, old, to, new, AtFlags::empty())
}

/// Makes a symbolic link.
pub(crate) fn make_link(target: &str, dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    symlinkat(target, dir, name)
}

/// The target of a symbolic link.
pub(crate) fn read_link(dir: impl AsFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
    Ok(readlinkat(dir, name, Vec::new())?.into_bytes())
}

/// A name in a directory.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryEntry {
    pub(crate) kind: FileType,
    /// As [`Status::number`].
    pub(crate) number: u64,
    pub(crate) name: Vec<u8>,
}

/// The entries of a directory, read as they are asked for.
#[derive(Debug)]
pub(crate) struct Entries {
    dir: Dir,
}

impl Entries {
    /// Begins at the first entry, whatever else reads the same directory.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        Ok(Self { dir: Dir::read_from(fd)? })
    }

    /// The next entry but `.` and `..`; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Result<DirectoryEntry, Errno>> {
        loop {
            let entry = match self.dir.read()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    self.dir.fd().and_then(|fd| kind_of(fd, name)).unwrap_or(FileType::Unknown)
                }
                kind => kind,
            };
            return Some(Ok(DirectoryEntry { kind, number: entry.ino(), name: name.to_vec() }));
        }
    }
}

/// Repeats a call that a signal interrupted.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
