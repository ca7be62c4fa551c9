//! `wasi:filesystem/types`: the types of the interface, and how the system's words become theirs. The resource
//! `descriptor` has a file of its own.

use std::sync::Arc;

use mini_wasm_canonical_abi::{Borrow, enumeration, flags, record, variant};

use crate::allowance::Charge;
use crate::clocks::wall_clock::Datetime;
use crate::filesystem::descriptor::{self, Descriptor};
use crate::interface::interface;
use crate::io::error::Error;
use crate::sys::Errno;
use crate::sys::file::{self, FileType, NewTime, Status};
use crate::{Stop, Wasi};

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
        method open_at(this, path_flags, path, open_flags, flags) after descriptor::first::open;
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
    pub(crate) fn checked(self) -> Result<NewTime, ErrorCode> {
        match self {
            Self::NoChange => Ok(NewTime::Keep),
            Self::Now => Ok(NewTime::Now),
            Self::Timestamp(datetime) => datetime.moment().map(NewTime::At).ok_or(ErrorCode::Invalid),
        }
    }
}

/// The resource `directory-entry-stream`: read lazily, entry by entry.
#[derive(Debug)]
pub struct DirectoryEntryStream {
    pub(crate) entries: file::Entries,
    /// Its place among the guest's handles.
    pub(crate) _held: Arc<Charge>,
}

/// What a function gives: a value or an error code, unless it stops the guest.
pub(crate) type Outcome<T> = Result<Result<T, ErrorCode>, Stop>;

/// Runs what may fail in the guest's own terms.
pub(crate) fn attempt<T>(operate: impl FnOnce() -> Result<T, ErrorCode>) -> Outcome<T> {
    Ok(operate())
}

/// `directory-entry-stream`.
pub mod directory_entry_stream {
    use super::*;

    /// `read-directory-entry`: the next; nothing at the end. `.` and `..` are left out.
    pub fn read_directory_entry(
        wasi: &mut Wasi,
        this: Borrow<DirectoryEntryStream>,
    ) -> Outcome<Option<DirectoryEntry>> {
        let DirectoryEntryStream { entries, .. } = wasi.table.get_mut(&this)?;
        attempt(|| match entries.next() {
            None => Ok(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(entry)) => {
                let name = String::from_utf8(entry.name).map_err(|_| ErrorCode::IllegalByteSequence)?;
                Ok(Some(DirectoryEntry { kind: entry.kind.into(), name }))
            }
        })
    }
}

/// `filesystem-error-code`: the code behind a stream's error, if a file gave it.
pub fn filesystem_error_code(wasi: &mut Wasi, err: Borrow<Error>) -> Result<Option<ErrorCode>, Stop> {
    Ok(wasi.table.get(&err)?.filesystem_code())
}
