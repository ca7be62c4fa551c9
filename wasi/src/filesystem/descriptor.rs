//! The resource `descriptor` of `wasi:filesystem/types`: an open file or directory, and what can be done with it.
//!
//! A descriptor carries whether it came from a read-only grant; what is opened through it inherits that and can never
//! lose it. Every function that changes something asks `writable` first, on both ends where there are
//! two. Paths are resolved by `sys::path`, which nothing here second-guesses.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::ctx::Preopen;
use crate::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream, ErrorCode, Filesize,
    MetadataHashValue, NewTimestamp, OpenFlags, Outcome, PathFlags, attempt,
};
use crate::interface::Waited;
use crate::io::poll::Pollable;
use crate::io::streams::{CHUNK, Handle, InputStream, OutputStream};
use crate::io::waiting::until_ready;
use crate::random::insecure::mix;
use crate::sys::file::{self, FileType, OFlags, Status};
use crate::sys::path::{self, Entry, Opened, Paths, Place};
use crate::sys::{Errno, clock, wait};
use crate::{Deadline, Stop, Wasi};

/// How often a writer looks whether a fifo has got a reader, in nanoseconds.
const FIFO_PAUSE: u64 = 10_000_000;

/// The resource `descriptor`: an open file or directory.
#[derive(Debug)]
pub struct Descriptor {
    object: Arc<OwnedFd>,
    kind: DescriptorType,
    flags: DescriptorFlags,
    grant: Grant,
}

/// What everything that is opened through a granted directory inherits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) read_only: bool,
    /// Something that is withheld lies beneath: names may not be changed freely.
    pub(crate) reaches_withheld: bool,
}

impl Descriptor {
    /// A granted directory.
    pub(crate) fn granted(preopen: &Preopen) -> Self {
        Self::directory(preopen.directory.clone(), preopen.grant)
    }

    fn directory(object: Arc<OwnedFd>, grant: Grant) -> Self {
        let mut flags = DescriptorFlags::READ;
        if !grant.read_only {
            flags |= DescriptorFlags::MUTATE_DIRECTORY;
        }
        Self { object, kind: DescriptorType::Directory, flags, grant }
    }

    /// What the system has open.
    pub(crate) fn object(&self) -> &Arc<OwnedFd> {
        &self.object
    }

    /// What kind of object it is.
    pub(crate) fn kind(&self) -> DescriptorType {
        self.kind
    }

    /// Whether anything may be changed through this. The code is what WIT asks for where it describes
    /// `mutate-directory`.
    pub(crate) fn writable(&self) -> Result<(), ErrorCode> {
        if self.grant.read_only { Err(ErrorCode::ReadOnly) } else { Ok(()) }
    }

    /// The object as one that paths can be resolved beneath.
    fn as_directory(&self) -> Result<BorrowedFd<'_>, ErrorCode> {
        match self.kind {
            DescriptorType::Directory => Ok(self.object.as_fd()),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    /// The object as one that has data, opened in the mode that `flag` says.
    pub(crate) fn as_file(&self, flag: DescriptorFlags) -> Result<&Arc<OwnedFd>, ErrorCode> {
        match self.kind {
            DescriptorType::Directory => Err(ErrorCode::IsDirectory),
            _ if !self.flags.contains(flag) => Err(ErrorCode::BadDescriptor),
            _ => Ok(&self.object),
        }
    }

    /// Whether data have offsets; else they come and go in one order.
    pub(crate) fn has_offsets(&self) -> bool {
        matches!(self.kind, DescriptorType::RegularFile | DescriptorType::BlockDevice)
    }

    /// Opens `path` beneath this directory. To write to a fifo that nobody reads is waited for, if it `waits`.
    fn open(
        &self,
        how: &Paths,
        follow: bool,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
        waits: Option<&dyn Deadline>,
    ) -> Result<Result<Self, ErrorCode>, Stop> {
        match self.open_flags(open, flags) {
            Ok((oflags, flags)) => self.open_as(how, follow, path, oflags, flags, waits),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Checks permissions, and says it in the system's words.
    fn open_flags(
        &self,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<(OFlags, DescriptorFlags), ErrorCode> {
        self.as_directory()?;
        let changes = open.contains(OpenFlags::CREATE)
            || open.contains(OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE)
            || flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
        if changes {
            self.writable()?;
        }
        let directory = open.contains(OpenFlags::DIRECTORY);
        if directory && (open.contains(OpenFlags::CREATE) || open.contains(OpenFlags::TRUNCATE)) {
            return Err(ErrorCode::Invalid);
        }
        // A fifo is waited for below, within the deadline; a terminal must not become the host's.
        let mut oflags = OFlags::NONBLOCK | OFlags::NOCTTY;
        oflags |= match (flags.contains(DescriptorFlags::READ), flags.contains(DescriptorFlags::WRITE)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        let pairs = [
            (open.contains(OpenFlags::CREATE), OFlags::CREATE),
            (open.contains(OpenFlags::TRUNCATE), OFlags::TRUNC),
            (open.contains(OpenFlags::CREATE) && open.contains(OpenFlags::EXCLUSIVE), OFlags::EXCL),
            (directory, OFlags::DIRECTORY),
            (flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC), OFlags::SYNC),
            (flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC), OFlags::DSYNC),
            (flags.contains(DescriptorFlags::REQUESTED_WRITE_SYNC), OFlags::RSYNC),
        ];
        for (asked, flag) in pairs {
            if asked {
                oflags |= flag;
            }
        }
        Ok((oflags, flags))
    }

    fn open_as(
        &self,
        how: &Paths,
        follow: bool,
        path: &str,
        oflags: OFlags,
        flags: DescriptorFlags,
        waits: Option<&dyn Deadline>,
    ) -> Result<Result<Self, ErrorCode>, Stop> {
        if oflags.contains(OFlags::CREATE) && self.grant.reaches_withheld {
            let judged = path::parent(how, self.object.as_fd(), path).map_err(ErrorCode::from);
            match judged {
                Ok(Entry::Name(place)) => {
                    if let Err(error) = self.changeable(how, &place) {
                        return Ok(Err(error));
                    }
                }
                Ok(_) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let object = loop {
            match (path::open(how, self.object.as_fd(), path, follow, oflags), waits) {
                (Ok(object), _) => break object,
                (Err(Errno::NXIO), Some(deadline)) if self.is_fifo(how, follow, path) => {
                    wait::pause(FIFO_PAUSE, deadline)?;
                }
                (Err(error), _) => return Ok(Err(error.into())),
            }
        };
        Ok(Ok(self.of(object, flags)))
    }

    /// What was opened beneath this directory.
    fn of(&self, opened: Opened, flags: DescriptorFlags) -> Self {
        let object = Arc::new(opened.object);
        match opened.status.kind.into() {
            DescriptorType::Directory => Self::directory(object, self.grant),
            kind => Self { object, kind, flags, grant: self.grant },
        }
    }

    fn is_fifo(&self, how: &Paths, follow: bool, path: &str) -> bool {
        path::open(how, self.object.as_fd(), path, follow, OFlags::PATH)
            .is_ok_and(|opened| opened.status.kind == FileType::Fifo)
    }

    /// What `path` names beneath this directory.
    pub(crate) fn status_at(&self, how: &Paths, flags: PathFlags, path: &str) -> Result<Status, ErrorCode> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        Ok(path::open(how, self.as_directory()?, path, follow, OFlags::PATH)?.status)
    }

    /// The place of a name that is about to be changed.
    fn place(&self, how: &Paths, path: &str) -> Result<Entry<'_>, ErrorCode> {
        let directory = self.as_directory()?;
        self.writable()?;
        let entry = path::parent(how, directory, path)?;
        if let Entry::Name(place) = &entry {
            self.changeable(how, place)?;
        }
        Ok(entry)
    }

    /// Refuses a name that leads to something withheld.
    fn changeable(&self, how: &Paths, place: &Place<'_>) -> Result<(), ErrorCode> {
        match self.grant.reaches_withheld {
            true => Ok(how.withheld.judge_name(place)?),
            false => Ok(()),
        }
    }
}

/// `Ok` with a place that is a name; `.` and `..` name directories that are there.
fn name(entry: Entry<'_>) -> Result<Place<'_>, ErrorCode> {
    match entry {
        Entry::Name(place) => Ok(place),
        Entry::Dot | Entry::DotDot => Err(ErrorCode::Exist),
    }
}

/// What a path with a trailing `/` gets from a call that would make a name which is no directory.
fn no_directory(place: &Place<'_>) -> Result<(), ErrorCode> {
    match (place.directory, file::kind_of(&place.parent, &place.name)) {
        (false, _) => Ok(()),
        (true, Ok(_)) => Err(ErrorCode::Exist),
        (true, Err(error)) => Err(error.into()),
    }
}

/// Refuses a path with a trailing `/` whose name is not a directory, a symbolic link to one included.
fn must_be_directory(place: &Place<'_>) -> Result<(), ErrorCode> {
    match file::kind_of(&place.parent, &place.name)? {
        FileType::Directory => Ok(()),
        _ => Err(ErrorCode::NotDirectory),
    }
}

fn hash(status: &Status) -> MetadataHashValue {
    // Device and number name the object. Nothing that changes with its content is taken, since libraries use this
    // as its inode number.
    let lower = mix(mix(status.device).wrapping_add(status.number));
    MetadataHashValue { lower, upper: mix(lower ^ status.number.rotate_left(32)) }
}

/// `read-via-stream`.
pub fn read_via_stream(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    offset: Filesize,
) -> Outcome<Own<InputStream>> {
    let descriptor = wasi.table.get(&this)?;
    let stream = match descriptor.as_file(DescriptorFlags::READ) {
        Ok(file) if descriptor.has_offsets() => InputStream::at(file.clone(), offset),
        Ok(file) => InputStream::handle(Handle::Open(file.clone())),
        Err(error) => return Ok(Err(error)),
    };
    wasi.table.push(stream).map(Ok)
}

/// `write-via-stream`.
pub fn write_via_stream(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    offset: Filesize,
) -> Outcome<Own<OutputStream>> {
    let descriptor = wasi.table.get(&this)?;
    let stream = match descriptor.as_file(DescriptorFlags::WRITE) {
        Ok(file) if descriptor.has_offsets() => OutputStream::at(file.clone(), offset),
        Ok(file) => OutputStream::handle(Handle::Open(file.clone())),
        Err(error) => return Ok(Err(error)),
    };
    wasi.table.push(stream).map(Ok)
}

/// `append-via-stream`.
pub fn append_via_stream(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<Own<OutputStream>> {
    let descriptor = wasi.table.get(&this)?;
    let stream = match descriptor.as_file(DescriptorFlags::WRITE) {
        Ok(file) if descriptor.has_offsets() => OutputStream::append(file.clone()),
        Ok(file) => OutputStream::handle(Handle::Open(file.clone())),
        Err(error) => return Ok(Err(error)),
    };
    wasi.table.push(stream).map(Ok)
}

/// `advise`.
pub fn advise(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    offset: Filesize,
    length: Filesize,
    advice: Advice,
) -> Outcome<()> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let file = descriptor.as_file(DescriptorFlags::empty())?;
        let advice = match advice {
            Advice::Normal => file::Advice::Normal,
            Advice::Sequential => file::Advice::Sequential,
            Advice::Random => file::Advice::Random,
            Advice::WillNeed => file::Advice::WillNeed,
            Advice::DontNeed => file::Advice::DontNeed,
            Advice::NoReuse => file::Advice::NoReuse,
        };
        Ok(file::advise(&**file, offset, length, advice)?)
    })
}

/// `sync-data`.
pub fn sync_data(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<()> {
    let descriptor = wasi.table.get(&this)?;
    wasi.holding(|| attempt(|| Ok(file::sync_data(&*descriptor.object)?)))
}

/// `get-flags`.
pub fn get_flags(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<DescriptorFlags> {
    Ok(Ok(wasi.table.get(&this)?.flags))
}

/// `get-type`.
pub fn get_type(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<DescriptorType> {
    Ok(Ok(wasi.table.get(&this)?.kind))
}

/// `set-size`.
pub fn set_size(wasi: &mut Wasi, this: Borrow<Descriptor>, size: Filesize) -> Outcome<()> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let file = descriptor.as_file(DescriptorFlags::WRITE)?;
        descriptor.writable()?;
        // To cut off many gigabytes takes seconds.
        Ok(wasi.holding(|| file::set_size(&**file, size))?)
    })
}

/// `set-times`.
pub fn set_times(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    data_access_timestamp: NewTimestamp,
    data_modification_timestamp: NewTimestamp,
) -> Outcome<()> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        descriptor.writable()?;
        let accessed = data_access_timestamp.checked()?;
        let modified = data_modification_timestamp.checked()?;
        Ok(file::set_times(&*descriptor.object, accessed, modified)?)
    })
}

/// `read`: at most 64 KiB at once; `true` at the end.
pub fn read(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    length: Filesize,
    offset: Filesize,
) -> Outcome<(Vec<u8>, bool)> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let file = descriptor.as_file(DescriptorFlags::READ)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(CHUNK).min(CHUNK)];
        let read = file::read_at(&**file, &mut bytes, offset)?;
        bytes.truncate(read);
        Ok((bytes, read == 0 && length > 0))
    })
}

/// `write`: how many bytes were written.
pub fn write(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    buffer: Vec<u8>,
    offset: Filesize,
) -> Outcome<Filesize> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let file = descriptor.as_file(DescriptorFlags::WRITE)?;
        Ok(file::write_at(&**file, &buffer, offset)? as u64)
    })
}

/// `read-directory`.
pub fn read_directory(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<Own<DirectoryEntryStream>> {
    let descriptor = wasi.table.get(&this)?;
    if !wasi.handles.room() {
        return Ok(Err(ErrorCode::Quota));
    }
    let Ok(held) = wasi.memory.charged(file::Entries::BYTES) else {
        return Ok(Err(ErrorCode::InsufficientMemory));
    };
    match attempt(|| Ok(file::Entries::of(descriptor.as_directory()?)?))? {
        Ok(entries) => {
            let held = Arc::new(held);
            wasi.handles.hold(&held);
            wasi.table.push(DirectoryEntryStream { entries, _held: held }).map(Ok)
        }
        Err(error) => Ok(Err(error)),
    }
}

/// `sync`.
pub fn sync(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<()> {
    let descriptor = wasi.table.get(&this)?;
    wasi.holding(|| attempt(|| Ok(file::sync(&*descriptor.object)?)))
}

/// `create-directory-at`.
pub fn create_directory_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<()> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let place = name(descriptor.place(how, &path)?)?;
        Ok(file::make_directory(&place.parent, &place.name)?)
    })
}

/// `stat`.
pub fn stat(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<DescriptorStat> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| Ok(file::status(&*descriptor.object)?.into()))
}

/// `stat-at`.
pub fn stat_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    path_flags: PathFlags,
    path: String,
) -> Outcome<DescriptorStat> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| Ok(descriptor.status_at(how, path_flags, &path)?.into()))
}

/// `set-times-at`.
pub fn set_times_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    path_flags: PathFlags,
    path: String,
    data_access_timestamp: NewTimestamp,
    data_modification_timestamp: NewTimestamp,
) -> Outcome<()> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let directory = descriptor.as_directory()?;
        descriptor.writable()?;
        let accessed = data_access_timestamp.checked()?;
        let modified = data_modification_timestamp.checked()?;
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW) || path.ends_with('/');
        let place = match follow {
            true => path::leaf(how, directory, &path)?,
            false => match path::parent(how, directory, &path)? {
                Entry::Name(place) => place,
                Entry::Dot | Entry::DotDot => path::leaf(how, directory, &path)?,
            },
        };
        descriptor.changeable(how, &place)?;
        Ok(file::set_times_of(&place.parent, &place.name, accessed, modified)?)
    })
}

/// `link-at`.
pub fn link_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    old_path_flags: PathFlags,
    old_path: String,
    new_descriptor: Borrow<Descriptor>,
    new_path: String,
) -> Outcome<()> {
    let how = &wasi.paths;
    let (from, to) = (wasi.table.get(&this)?, wasi.table.get(&new_descriptor)?);
    attempt(|| {
        // A second name is a way to write: both ends must be writable.
        from.writable()?;
        let old = match old_path_flags.contains(PathFlags::SYMLINK_FOLLOW) || old_path.ends_with('/') {
            true => path::leaf(how, from.as_directory()?, &old_path)?,
            // Directories have one name.
            false => match from.place(how, &old_path)? {
                Entry::Name(place) => place,
                Entry::Dot | Entry::DotDot => return Err(ErrorCode::NotPermitted),
            },
        };
        from.changeable(how, &old)?;
        let new = name(to.place(how, &new_path)?)?;
        no_directory(&new)?;
        Ok(file::link(&old.parent, &old.name, &new.parent, &new.name)?)
    })
}

/// What is waited for before these functions are called, where a guest may be suspended.
pub(super) mod first {
    use super::*;

    type Params = (Borrow<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);

    /// Opens a fifo to write as soon as somebody reads it, and keeps it for the call; all else is the call's own.
    pub(in crate::filesystem) fn open<'a>(
        wasi: &'a mut Wasi,
        (this, path_flags, path, open, flags): &'a Params,
    ) -> Waited<'a> {
        Box::pin(async move {
            let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
            let descriptor = wasi.table.get(this)?;
            // Who reads it too is its own reader.
            if !flags.contains(DescriptorFlags::WRITE) || flags.contains(DescriptorFlags::READ) {
                return Ok(());
            }
            let Ok((oflags, _)) = descriptor.open_flags(*open, *flags) else { return Ok(()) };
            while descriptor.is_fifo(&wasi.paths, follow, path) {
                match path::open(&wasi.paths, descriptor.object.as_fd(), path, follow, oflags) {
                    Ok(object) => {
                        wasi.fifo = Some(object);
                        return Ok(());
                    }
                    Err(Errno::NXIO) => {
                        let later = Pollable::at(clock::monotonic().saturating_add(FIFO_PAUSE));
                        until_ready(&[&later], &*wasi.deadline).await?;
                    }
                    Err(_) => return Ok(()),
                }
            }
            Ok(())
        })
    }
}

/// `open-at`.
pub fn open_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    path_flags: PathFlags,
    path: String,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> Outcome<Own<Descriptor>> {
    open(wasi, &this, path_flags, &path, (open_flags, flags), true)
}

/// [`open_at`], which waits for a fifo's reader or not.
pub(crate) fn open(
    wasi: &mut Wasi,
    this: &Borrow<Descriptor>,
    path_flags: PathFlags,
    path: &str,
    (open_flags, flags): (OpenFlags, DescriptorFlags),
    waits: bool,
) -> Outcome<Own<Descriptor>> {
    let fifo = wasi.fifo.take();
    wasi.table.room(1)?;
    if !wasi.has_memory() {
        return Ok(Err(ErrorCode::InsufficientMemory));
    }
    let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
    let descriptor = wasi.table.get(this)?;
    if !wasi.handles.room() {
        return Ok(Err(ErrorCode::Quota));
    }
    let deadline = waits.then_some(&*wasi.deadline);
    let opened = match fifo {
        Some(object) => Ok(descriptor.of(object, flags)),
        None => descriptor.open(&wasi.paths, follow, path, open_flags, flags, deadline)?,
    };
    match opened {
        Ok(opened) => {
            wasi.handles.hold(&opened.object);
            wasi.table.push(opened).map(Ok)
        }
        Err(error) => Ok(Err(error)),
    }
}

/// `readlink-at`. An absolute target is not told.
pub fn readlink_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<String> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let directory = descriptor.as_directory()?;
        let place = match path::parent(how, directory, &path)? {
            Entry::Name(place) if !place.directory => place,
            // With a trailing `/` the path names a directory, if anything.
            _ => {
                path::open(how, directory, &path, true, OFlags::PATH | OFlags::DIRECTORY)?;
                return Err(ErrorCode::Invalid);
            }
        };
        let target = file::read_link(&place.parent, &place.name)?;
        if target.starts_with(b"/") {
            return Err(ErrorCode::NotPermitted);
        }
        String::from_utf8(target).map_err(|_| ErrorCode::IllegalByteSequence)
    })
}

/// `remove-directory-at`.
pub fn remove_directory_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<()> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| match descriptor.place(how, &path)? {
        Entry::Name(place) => Ok(file::remove_directory(&place.parent, &place.name)?),
        Entry::Dot => Err(ErrorCode::Invalid),
        Entry::DotDot => Err(ErrorCode::NotEmpty),
    })
}

/// `rename-at`.
pub fn rename_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    old_path: String,
    new_descriptor: Borrow<Descriptor>,
    new_path: String,
) -> Outcome<()> {
    let how = &wasi.paths;
    let (from, to) = (wasi.table.get(&this)?, wasi.table.get(&new_descriptor)?);
    attempt(|| {
        let (Entry::Name(old), Entry::Name(new)) = (from.place(how, &old_path)?, to.place(how, &new_path)?)
        else {
            return Err(ErrorCode::Busy);
        };
        // A trailing `/` on either side asks for a directory, and a link to one is none. The call below acts on
        // the names alone, so nothing is followed whatever happens in between.
        if old.directory || new.directory {
            must_be_directory(&old)?;
        }
        Ok(file::rename(&old.parent, &old.name, &new.parent, &new.name)?)
    })
}

/// `symlink-at`. A target that leaves the directory can be written but not followed; an absolute one not even
/// written.
pub fn symlink_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    old_path: String,
    new_path: String,
) -> Outcome<()> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let place = name(descriptor.place(how, &new_path)?)?;
        match old_path.as_bytes() {
            [] => return Err(ErrorCode::NoEntry),
            [b'/', ..] => return Err(ErrorCode::NotPermitted),
            target if target.contains(&0) => return Err(ErrorCode::Invalid),
            _ => no_directory(&place)?,
        }
        Ok(file::make_link(&old_path, &place.parent, &place.name)?)
    })
}

/// `unlink-file-at`.
pub fn unlink_file_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<()> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| {
        let Entry::Name(place) = descriptor.place(how, &path)? else {
            return Err(ErrorCode::IsDirectory);
        };
        if place.directory {
            must_be_directory(&place)?;
            return Err(ErrorCode::IsDirectory);
        }
        Ok(file::unlink(&place.parent, &place.name)?)
    })
}

/// `is-same-object`.
pub fn is_same_object(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    other: Borrow<Descriptor>,
) -> Result<bool, Stop> {
    let status =
        |handle: &Borrow<Descriptor>| Ok::<_, Stop>(file::status(&*wasi.table.get(handle)?.object).ok());
    Ok(match (status(&this)?, status(&other)?) {
        (Some(this), Some(other)) => (this.device, this.number) == (other.device, other.number),
        _ => false,
    })
}

/// `metadata-hash`.
pub fn metadata_hash(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<MetadataHashValue> {
    let descriptor = wasi.table.get(&this)?;
    attempt(|| Ok(hash(&file::status(&*descriptor.object)?)))
}

/// `metadata-hash-at`.
pub fn metadata_hash_at(
    wasi: &mut Wasi,
    this: Borrow<Descriptor>,
    path_flags: PathFlags,
    path: String,
) -> Outcome<MetadataHashValue> {
    let how = &wasi.paths;
    let descriptor = wasi.table.get(&this)?;
    attempt(|| Ok(hash(&descriptor.status_at(how, path_flags, &path)?)))
}
