//! Operations on handles that are open, and on one name in one open directory.
//!
//! The calls on a name get it from [`super::path`]: a single component, which the system is told not to follow.

use std::os::fd::{AsFd, OwnedFd};

pub(crate) use rustix::fs::{Advice, FileType, OFlags};
use rustix::fs::{
    AtFlags, Dir, FallocateFlags, Mode, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fadvise,
    fallocate, fcntl_getfl, fcntl_setfl, fdatasync, fstat, fsync, ftruncate, futimens, linkat, major, minor,
    mkdirat, open, readlinkat, renameat, statat, symlinkat, unlinkat, utimensat,
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
    /// Who may do what: the nine bits.
    pub(crate) permissions: u32,
    /// Of a device: which one, major and minor number.
    pub(crate) names: (u32, u32),
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

/// The status of an open object; also of one opened with `O_PATH`. By `fstat`, which every system and every filter of
/// system calls allows; `statx` could tell nothing more that a guest is told.
pub(crate) fn status(fd: impl AsFd) -> Result<Status, Errno> {
    fstat(fd).map(Status::from)
}

/// The status of a name, a link not followed.
pub(crate) fn status_of(dir: impl AsFd, name: &[u8]) -> Result<Status, Errno> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Status::from)
}

impl From<Stat> for Status {
    #[allow(clippy::unnecessary_cast, reason = "the fields have other widths on other processors")]
    fn from(stat: Stat) -> Self {
        let moment = |seconds: i64, nanoseconds: u64| Moment {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        };
        Self {
            kind: FileType::from_raw_mode(stat.st_mode as u32),
            permissions: stat.st_mode as u32 & 0o777,
            names: (major(stat.st_rdev as u64), minor(stat.st_rdev as u64)),
            links: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: moment(stat.st_atime as i64, stat.st_atime_nsec as u64),
            modified: moment(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: moment(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
            device: u64::from(major(stat.st_dev as u64)) << 32 | u64::from(minor(stat.st_dev as u64)),
            number: stat.st_ino as u64,
        }
    }
}

/// What kind of object a name is, a link not followed.
pub(crate) fn kind_of(dir: impl AsFd, name: &[u8]) -> Result<FileType, Errno> {
    Ok(status_of(dir, name)?.kind)
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
///
/// Linux has `RWF_APPEND` since 4.16, some file systems refuse it, and filters of system calls refuse `pwritev2`
/// altogether. What such a refusal looks like may be a fault of the object too: then the other way meets it as well.
pub(crate) fn append(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    match again(|| rustix::io::pwritev2(fd.as_fd(), &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND)) {
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) => append_by_mode(fd, bytes),
        result => result,
    }
}

/// [`append`] by a mode of the handle, for as long as it takes: positioned writes would go to the end too. Nobody
/// else writes by this handle meanwhile, since a guest has one thread and shares none of its handles.
fn append_by_mode(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = fcntl_getfl(&fd)?;
    if fcntl_setfl(&fd, flags | OFlags::APPEND).is_err() {
        // Here another process that writes the same file can come in between.
        let end = status(&fd)?.size;
        return write_at(fd, bytes, end);
    }
    let written = write(&fd, bytes);
    // It was without the mode a moment ago, so it can be again.
    fcntl_setfl(&fd, flags)?;
    written
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

/// The end of a range that a file may have.
pub(crate) fn end_of(offset: u64, length: u64) -> Result<u64, Errno> {
    offset.checked_add(length).filter(|end| *end <= MAX_OFFSET).ok_or(Errno::FBIG)
}

/// How many bytes the file's file system has room for; `None` where it does not say.
pub(crate) fn room(fd: impl AsFd) -> Option<u64> {
    let about = rustix::fs::fstatvfs(fd).ok().filter(|about| about.f_blocks > 0)?;
    about.f_bavail.checked_mul(about.f_frsize)
}

/// Makes sure that bytes are there to be written without running out of space; extends the file if need be.
pub(crate) fn allocate(fd: impl AsFd, offset: u64, length: u64) -> Result<(), Errno> {
    end_of(offset, length)?;
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
    /// Where the entries after this one begin: for [`Entries::seek`].
    pub(crate) position: i64,
}

/// The entries of a directory, read as they are asked for. Names that vanish or appear meanwhile move no other: the
/// system keeps positions, not counts.
#[derive(Debug)]
pub(crate) struct Entries {
    dir: Dir,
}

impl Entries {
    /// What reading a directory takes: a buffer for what the system tells, and the last entries for whoever goes back.
    pub(crate) const BYTES: usize = 44 << 10;

    /// Begins at the first entry, whatever else reads the same directory.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        Ok(Self { dir: Dir::read_from(fd)? })
    }

    /// Begins again with the directory as it is now.
    pub(crate) fn rewind(&mut self) {
        self.dir.rewind();
    }

    /// Goes on behind the entry that had this position.
    pub(crate) fn seek(&mut self, position: i64) -> Result<(), Errno> {
        self.dir.seek(position)
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
            let (number, position) = (entry.ino(), entry.offset());
            return Some(Ok(DirectoryEntry { kind, number, name: name.to_vec(), position }));
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
