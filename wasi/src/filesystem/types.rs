//! `wasi:filesystem/types`: descriptors and what can be done with them.
//!
//! A descriptor carries whether it came from a read-only grant; what is opened through it inherits that and can never
//! lose it. Every function that changes something asks [`Descriptor::writable`] first, on both ends where there are
//! two. Paths are resolved by `sys::path`, which nothing here second-guesses.

use crate::interface::interface;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::clocks::wall_clock::Datetime;
use crate::ctx::Preopen;
use crate::io::error::Error;
use crate::io::streams::{CHUNK, Handle, InputStream, OutputStream};
use crate::random::insecure::mix;
use crate::sys::file::{self, FileType, NewTime, OFlags, Status};
use crate::sys::path::{self, Entry, Place, Resolution};
use crate::sys::{Errno, wait};
use crate::{Deadline, Stop, Wasi};
use mini_wasm_canonical_abi::{Borrow, Own};
use mini_wasm_canonical_abi::{enumeration, flags, record, variant};

interface! {
    "wasi:filesystem/types@0.2.12";
    resource Descriptor in descriptor {
        method read_via_stream(this, offset);
        method write_via_stream(this, offset);
        method append_via_stream(this);
        method advise(this, offset, length, advice);
        method sync_data(this);
        method get_flags(this);
        method get_type(this);
        method set_size(this, size);
        method set_times(this, data_access_timestamp, data_modification_timestamp);
        method read(this, length, offset);
        method write(this, buffer, offset);
        method read_directory(this);
        method sync(this);
        method create_directory_at(this, path);
        method stat(this);
        method stat_at(this, path_flags, path);
        method set_times_at(this, path_flags, path, data_access_timestamp, data_modification_timestamp);
        method link_at(this, old_path_flags, old_path, new_descriptor, new_path);
        method open_at(this, path_flags, path, open_flags, flags);
        method readlink_at(this, path);
        method remove_directory_at(this, path);
        method rename_at(this, old_path, new_descriptor, new_path);
        method symlink_at(this, old_path, new_path);
        method unlink_file_at(this, path);
        method is_same_object(this, other);
        method metadata_hash(this);
        method metadata_hash_at(this, path_flags, path);
    }
    resource DirectoryEntryStream in directory_entry_stream {
        method read_directory_entry(this);
    }
    func filesystem_error_code(err);
}

/// A size or offset in bytes.
pub type Filesize = u64;

enumeration! {
    /// `descriptor-type`: what kind of object.
    pub enum DescriptorType = "descriptor-type" {
        /// None of the others.
        Unknown,
        /// A block device.
        BlockDevice,
        /// A character device.
        CharacterDevice,
        /// A directory.
        Directory,
        /// A named pipe.
        Fifo,
        /// A symbolic link.
        SymbolicLink,
        /// A file.
        RegularFile,
        /// A socket.
        Socket,
    }
}

flags! {
    /// `descriptor-flags`: how a descriptor was opened.
    pub struct DescriptorFlags = "descriptor-flags" {
        /// Data can be read.
        READ,
        /// Data can be written.
        WRITE,
        /// Writes return when data and metadata are on the disk.
        FILE_INTEGRITY_SYNC,
        /// Writes return when data are on the disk.
        DATA_INTEGRITY_SYNC,
        /// Reads are as careful as writes.
        REQUESTED_WRITE_SYNC,
        /// Names in the directory can be made and removed.
        MUTATE_DIRECTORY,
    }
}

flags! {
    /// `path-flags`: how a path is resolved.
    pub struct PathFlags = "path-flags" {
        /// A symbolic link in the last component is followed.
        SYMLINK_FOLLOW,
    }
}

flags! {
    /// `open-flags`: what opening may do.
    pub struct OpenFlags = "open-flags" {
        /// Make the file if it is not there.
        CREATE,
        /// Fail unless it is a directory.
        DIRECTORY,
        /// Fail if it is there.
        EXCLUSIVE,
        /// Cut it to no bytes.
        TRUNCATE,
    }
}

record! {
    /// `descriptor-stat`: what is known about an object.
    #[derive(Debug, Copy, Clone, PartialEq, Eq)]
    pub struct DescriptorStat = "descriptor-stat" {
        /// The kind.
        pub kind: DescriptorType = "type",
        /// How many names it has.
        pub link_count: u64,
        /// Bytes; of a symbolic link, of its target's path.
        pub size: Filesize,
        /// When it was last read, if that was after 1970.
        pub data_access_timestamp: Option<Datetime>,
        /// When its data last changed, if that was after 1970.
        pub data_modification_timestamp: Option<Datetime>,
        /// When anything about it last changed, if that was after 1970.
        pub status_change_timestamp: Option<Datetime>,
    }
}

variant! {
    /// `new-timestamp`: what to set a time to.
    #[derive(Debug, Copy, Clone, PartialEq, Eq)]
    pub enum NewTimestamp = "new-timestamp" {
        /// Keep it.
        NoChange,
        /// The system's time.
        Now,
        /// This time.
        Timestamp(Datetime),
    }
}

record! {
    /// `directory-entry`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DirectoryEntry = "directory-entry" {
        /// The kind of object.
        pub kind: DescriptorType = "type",
        /// Its name in the directory.
        pub name: String,
    }
}

enumeration! {
    /// `error-code`: the names of POSIX, in words.
    pub enum ErrorCode = "error-code" {
        /// Permission denied.
        Access,
        /// Would have to wait.
        WouldBlock,
        /// Connection already in progress.
        Already,
        /// Not a descriptor for this.
        BadDescriptor,
        /// In use.
        Busy,
        /// Would be a deadlock.
        Deadlock,
        /// Quota used up; also the host's limit of open files.
        Quota,
        /// Is there already.
        Exist,
        /// File too large.
        FileTooLarge,
        /// Not Unicode.
        IllegalByteSequence,
        /// In progress.
        InProgress,
        /// Interrupted.
        Interrupted,
        /// Makes no sense.
        Invalid,
        /// Input or output failed.
        Io,
        /// Is a directory.
        IsDirectory,
        /// Too many symbolic links.
        Loop,
        /// Too many names.
        TooManyLinks,
        /// Message too large.
        MessageSize,
        /// Name too long.
        NameTooLong,
        /// No such device.
        NoDevice,
        /// Not there.
        NoEntry,
        /// No locks left.
        NoLock,
        /// Out of memory.
        InsufficientMemory,
        /// No space left.
        InsufficientSpace,
        /// Not a directory.
        NotDirectory,
        /// Directory not empty.
        NotEmpty,
        /// State not recoverable.
        NotRecoverable,
        /// Not supported.
        Unsupported,
        /// Not a terminal.
        NoTty,
        /// No such device or address.
        NoSuchDevice,
        /// Too large for its type.
        Overflow,
        /// Not permitted; also every path that would leave its directory.
        NotPermitted,
        /// Nobody reads.
        Pipe,
        /// Read-only.
        ReadOnly,
        /// Has no offsets.
        InvalidSeek,
        /// Program in use.
        TextFileBusy,
        /// On another file system.
        CrossDevice,
    }
}

enumeration! {
    /// `advice`: how bytes will be used.
    pub enum Advice = "advice" {
        /// Nothing special.
        Normal,
        /// From front to back.
        Sequential,
        /// In no order.
        Random,
        /// Soon.
        WillNeed,
        /// Not soon.
        DontNeed,
        /// Once.
        NoReuse,
    }
}

record! {
    /// `metadata-hash-value`: the same for the same object.
    #[derive(Debug, Copy, Clone, PartialEq, Eq)]
    pub struct MetadataHashValue = "metadata-hash-value" {
        /// 64 bits of it.
        pub lower: u64,
        /// 64 more.
        pub upper: u64,
    }
}

impl From<Errno> for ErrorCode {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ACCESS => Self::Access,
            Errno::AGAIN => Self::WouldBlock,
            Errno::ALREADY => Self::Already,
            Errno::BADF => Self::BadDescriptor,
            Errno::BUSY => Self::Busy,
            Errno::DEADLK => Self::Deadlock,
            // WASI has no word for "too many open files".
            Errno::DQUOT | Errno::MFILE | Errno::NFILE => Self::Quota,
            Errno::EXIST => Self::Exist,
            Errno::FBIG => Self::FileTooLarge,
            Errno::ILSEQ => Self::IllegalByteSequence,
            Errno::INPROGRESS => Self::InProgress,
            Errno::INTR => Self::Interrupted,
            Errno::INVAL => Self::Invalid,
            Errno::ISDIR => Self::IsDirectory,
            Errno::LOOP => Self::Loop,
            Errno::MLINK => Self::TooManyLinks,
            Errno::MSGSIZE => Self::MessageSize,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NODEV => Self::NoDevice,
            Errno::NOENT => Self::NoEntry,
            Errno::NOLCK => Self::NoLock,
            Errno::NOMEM => Self::InsufficientMemory,
            Errno::NOSPC => Self::InsufficientSpace,
            Errno::NOTDIR => Self::NotDirectory,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOTRECOVERABLE => Self::NotRecoverable,
            Errno::NOTSUP | Errno::NOSYS => Self::Unsupported,
            Errno::NOTTY => Self::NoTty,
            Errno::NXIO => Self::NoSuchDevice,
            Errno::OVERFLOW => Self::Overflow,
            Errno::PERM => Self::NotPermitted,
            Errno::PIPE => Self::Pipe,
            Errno::ROFS => Self::ReadOnly,
            Errno::SPIPE => Self::InvalidSeek,
            Errno::TXTBSY => Self::TextFileBusy,
            Errno::XDEV => Self::CrossDevice,
            _ => Self::Io,
        }
    }
}

impl From<FileType> for DescriptorType {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::RegularFile,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::SymbolicLink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Unknown => Self::Unknown,
        }
    }
}

impl From<Status> for DescriptorStat {
    fn from(status: Status) -> Self {
        Self {
            kind: status.kind.into(),
            link_count: status.links,
            size: status.size,
            data_access_timestamp: Datetime::of(status.accessed),
            data_modification_timestamp: Datetime::of(status.modified),
            status_change_timestamp: Datetime::of(status.changed),
        }
    }
}

impl NewTimestamp {
    fn checked(self) -> Result<NewTime, ErrorCode> {
        match self {
            Self::NoChange => Ok(NewTime::Keep),
            Self::Now => Ok(NewTime::Now),
            Self::Timestamp(datetime) => datetime.moment().map(NewTime::At).ok_or(ErrorCode::Invalid),
        }
    }
}

/// The resource `descriptor`: an open file or directory.
#[derive(Debug)]
pub struct Descriptor {
    object: Arc<OwnedFd>,
    kind: DescriptorType,
    flags: DescriptorFlags,
    read_only: bool,
}

impl Descriptor {
    /// A granted directory.
    pub(crate) fn granted(preopen: &Preopen) -> Self {
        Self::directory(preopen.directory.clone(), preopen.read_only)
    }

    fn directory(object: Arc<OwnedFd>, read_only: bool) -> Self {
        let mut flags = DescriptorFlags::READ;
        if !read_only {
            flags |= DescriptorFlags::MUTATE_DIRECTORY;
        }
        Self { object, kind: DescriptorType::Directory, flags, read_only }
    }

    /// Whether anything may be changed through this. The code is what WIT asks for where it describes
    /// `mutate-directory`.
    fn writable(&self) -> Result<(), ErrorCode> {
        if self.read_only { Err(ErrorCode::ReadOnly) } else { Ok(()) }
    }

    /// The object as one that paths can be resolved beneath.
    fn as_directory(&self) -> Result<BorrowedFd<'_>, ErrorCode> {
        match self.kind {
            DescriptorType::Directory => Ok(self.object.as_fd()),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    /// The object as one that has data, opened in the mode that `flag` says.
    fn as_file(&self, flag: DescriptorFlags) -> Result<&Arc<OwnedFd>, ErrorCode> {
        match self.kind {
            DescriptorType::Directory => Err(ErrorCode::IsDirectory),
            _ if !self.flags.contains(flag) => Err(ErrorCode::BadDescriptor),
            _ => Ok(&self.object),
        }
    }

    /// Whether data have offsets; else they come and go in one order.
    fn has_offsets(&self) -> bool {
        matches!(self.kind, DescriptorType::RegularFile | DescriptorType::BlockDevice)
    }

    /// Opens `path` beneath this directory.
    fn open(
        &self,
        how: Resolution,
        follow: bool,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
        deadline: &dyn Deadline,
    ) -> Result<Result<Self, ErrorCode>, Stop> {
        match self.open_flags(open, flags) {
            Ok((oflags, flags)) => self.open_as(how, follow, path, oflags, flags, deadline),
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
        how: Resolution,
        follow: bool,
        path: &str,
        oflags: OFlags,
        flags: DescriptorFlags,
        deadline: &dyn Deadline,
    ) -> Result<Result<Self, ErrorCode>, Stop> {
        /// How often a writer looks whether a fifo has got a reader.
        const FIFO_PAUSE: u64 = 10_000_000;
        let object = loop {
            match path::open(how, self.object.as_fd(), path, follow, oflags) {
                Ok(object) => break object,
                // A fifo that nobody reads: opening it to write waits for a reader.
                Err(Errno::NXIO) if self.is_fifo(how, follow, path) => wait::pause(FIFO_PAUSE, deadline)?,
                Err(error) => return Ok(Err(error.into())),
            }
        };
        let kind = match file::status(&object) {
            Ok(status) => status.kind.into(),
            Err(error) => return Ok(Err(error.into())),
        };
        let object = Arc::new(object);
        Ok(Ok(match kind {
            DescriptorType::Directory => Self::directory(object, self.read_only),
            kind => Self { object, kind, flags, read_only: self.read_only },
        }))
    }

    fn is_fifo(&self, how: Resolution, follow: bool, path: &str) -> bool {
        let object = path::open(how, self.object.as_fd(), path, follow, OFlags::PATH);
        object.and_then(file::status).is_ok_and(|status| status.kind == FileType::Fifo)
    }

    /// What `path` names beneath this directory.
    fn status_at(&self, how: Resolution, flags: PathFlags, path: &str) -> Result<Status, ErrorCode> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let object = path::open(how, self.as_directory()?, path, follow, OFlags::PATH)?;
        Ok(file::status(object)?)
    }

    /// The place of a name that is about to be changed.
    fn place(&self, how: Resolution, path: &str) -> Result<Entry<'_>, ErrorCode> {
        let directory = self.as_directory()?;
        self.writable()?;
        Ok(path::parent(how, directory, path)?)
    }
}

/// `Ok` with a place that is a name; `.` and `..` name directories that are there.
fn name(entry: Entry<'_>) -> Result<Place<'_>, ErrorCode> {
    match entry {
        Entry::Name(place) => Ok(place),
        Entry::Dot | Entry::DotDot => Err(ErrorCode::Exist),
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

/// The resource `directory-entry-stream`: read lazily, entry by entry.
#[derive(Debug)]
pub struct DirectoryEntryStream(file::Entries);

type Outcome<T> = Result<Result<T, ErrorCode>, Stop>;

/// Runs what may fail in the guest's own terms.
fn attempt<T>(operate: impl FnOnce() -> Result<T, ErrorCode>) -> Outcome<T> {
    Ok(operate())
}

/// `descriptor`.
pub mod descriptor {
    use super::*;

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
        attempt(|| Ok(file::sync_data(&*descriptor.object)?))
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
            Ok(file::set_size(&**file, size)?)
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
        match attempt(|| Ok(file::Entries::of(descriptor.as_directory()?)?))? {
            Ok(entries) => wasi.table.push(DirectoryEntryStream(entries)).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// `sync`.
    pub fn sync(wasi: &mut Wasi, this: Borrow<Descriptor>) -> Outcome<()> {
        let descriptor = wasi.table.get(&this)?;
        attempt(|| Ok(file::sync(&*descriptor.object)?))
    }

    /// `create-directory-at`.
    pub fn create_directory_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<()> {
        let how = wasi.resolution;
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
        let how = wasi.resolution;
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
        let how = wasi.resolution;
        let descriptor = wasi.table.get(&this)?;
        attempt(|| {
            let directory = descriptor.as_directory()?;
            descriptor.writable()?;
            let accessed = data_access_timestamp.checked()?;
            let modified = data_modification_timestamp.checked()?;
            let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW) || path.ends_with('/');
            let place = match follow {
                true => path::leaf(directory, &path)?,
                false => match path::parent(how, directory, &path)? {
                    Entry::Name(place) => place,
                    Entry::Dot | Entry::DotDot => path::leaf(directory, &path)?,
                },
            };
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
        let how = wasi.resolution;
        let (from, to) = (wasi.table.get(&this)?, wasi.table.get(&new_descriptor)?);
        attempt(|| {
            // A second name is a way to write: both ends must be writable.
            from.writable()?;
            let old = match old_path_flags.contains(PathFlags::SYMLINK_FOLLOW) || old_path.ends_with('/') {
                true => path::leaf(from.as_directory()?, &old_path)?,
                // Directories have one name.
                false => match from.place(how, &old_path)? {
                    Entry::Name(place) => place,
                    Entry::Dot | Entry::DotDot => return Err(ErrorCode::NotPermitted),
                },
            };
            let new = name(to.place(how, &new_path)?)?;
            if new.directory {
                return Err(ErrorCode::NoEntry);
            }
            Ok(file::link(&old.parent, &old.name, &new.parent, &new.name)?)
        })
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
        wasi.table.room(1)?;
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let descriptor = wasi.table.get(&this)?;
        match descriptor.open(wasi.resolution, follow, &path, open_flags, flags, &*wasi.deadline)? {
            Ok(opened) => wasi.table.push(opened).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// `readlink-at`. An absolute target is not told.
    pub fn readlink_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<String> {
        let how = wasi.resolution;
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
        let how = wasi.resolution;
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
        let how = wasi.resolution;
        let (from, to) = (wasi.table.get(&this)?, wasi.table.get(&new_descriptor)?);
        attempt(|| {
            let (Entry::Name(old), Entry::Name(new)) =
                (from.place(how, &old_path)?, to.place(how, &new_path)?)
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
        let how = wasi.resolution;
        let descriptor = wasi.table.get(&this)?;
        attempt(|| {
            let place = name(descriptor.place(how, &new_path)?)?;
            match old_path.as_bytes() {
                [] => return Err(ErrorCode::NoEntry),
                [b'/', ..] => return Err(ErrorCode::NotPermitted),
                target if target.contains(&0) => return Err(ErrorCode::Invalid),
                _ if place.directory => return Err(ErrorCode::NoEntry),
                _ => {}
            }
            Ok(file::make_link(&old_path, &place.parent, &place.name)?)
        })
    }

    /// `unlink-file-at`.
    pub fn unlink_file_at(wasi: &mut Wasi, this: Borrow<Descriptor>, path: String) -> Outcome<()> {
        let how = wasi.resolution;
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
        let how = wasi.resolution;
        let descriptor = wasi.table.get(&this)?;
        attempt(|| Ok(hash(&descriptor.status_at(how, path_flags, &path)?)))
    }
}

/// `directory-entry-stream`.
pub mod directory_entry_stream {
    use super::*;

    /// `read-directory-entry`: the next; nothing at the end. `.` and `..` are left out.
    pub fn read_directory_entry(
        wasi: &mut Wasi,
        this: Borrow<DirectoryEntryStream>,
    ) -> Outcome<Option<DirectoryEntry>> {
        let DirectoryEntryStream(entries) = wasi.table.get_mut(&this)?;
        attempt(|| match entries.next() {
            None => Ok(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok((kind, name))) => {
                let name = String::from_utf8(name).map_err(|_| ErrorCode::IllegalByteSequence)?;
                Ok(Some(DirectoryEntry { kind: kind.into(), name }))
            }
        })
    }
}

/// `filesystem-error-code`: the code behind a stream's error, if a file gave it.
pub fn filesystem_error_code(wasi: &mut Wasi, err: Borrow<Error>) -> Result<Option<ErrorCode>, Stop> {
    Ok(wasi.table.get(&err)?.filesystem_code())
}
