//! Flags, rights and records of preview 1, and their bytes in a guest's memory.

use crate::clocks::wall_clock::Datetime;
use crate::filesystem::types::{DescriptorType, NewTimestamp};
use crate::preview1::{Edition, Errno, Outcome};
use crate::sys::clock::Moment;
use crate::sys::file::Status;

/// Declares a set of flags: named bits from 0 up, and which set has all of them.
macro_rules! bits {
    ($(#[$meta:meta])* $name:ident: $ty:ident { $($flag:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name($ty);

        #[allow(dead_code, reason = "the list is witx's, whole")]
        impl $name {
            bits!(@flags $name $ty 0; $($flag)*);
            pub(super) const ALL: Self = Self($(Self::$flag.0)|*);

            pub(super) const fn empty() -> Self { Self(0) }
            /// The flags of a number; `inval` if it has bits that have no name.
            pub(super) fn checked(bits: $ty) -> Outcome<Self> {
                if bits & !Self::ALL.0 == 0 { Ok(Self(bits)) } else { Err(Errno::Inval.into()) }
            }
            /// The flags of a number, other bits dropped.
            pub(super) const fn truncated(bits: $ty) -> Self { Self(bits & Self::ALL.0) }
            pub(super) const fn bits(self) -> $ty { self.0 }
            pub(super) const fn has(self, other: Self) -> bool { self.0 & other.0 == other.0 }
            pub(super) const fn meets(self, other: Self) -> bool { self.0 & other.0 != 0 }
            pub(super) const fn and(self, other: Self) -> Self { Self(self.0 & other.0) }
            pub(super) const fn or(self, other: Self) -> Self { Self(self.0 | other.0) }
            pub(super) const fn without(self, other: Self) -> Self { Self(self.0 & !other.0) }
        }
    };
    (@flags $name:ident $ty:ident $at:expr; $first:ident $($rest:ident)*) => {
        pub(super) const $first: $name = $name(1 << ($at));
        bits!(@flags $name $ty $at + 1; $($rest)*);
    };
    (@flags $name:ident $ty:ident $at:expr;) => {};
}

bits! {
    /// `rights`.
    Rights: u64 {
        FD_DATASYNC, FD_READ, FD_SEEK, FD_FDSTAT_SET_FLAGS, FD_SYNC, FD_TELL, FD_WRITE, FD_ADVISE, FD_ALLOCATE,
        PATH_CREATE_DIRECTORY, PATH_CREATE_FILE, PATH_LINK_SOURCE, PATH_LINK_TARGET, PATH_OPEN, FD_READDIR,
        PATH_READLINK, PATH_RENAME_SOURCE, PATH_RENAME_TARGET, PATH_FILESTAT_GET, PATH_FILESTAT_SET_SIZE,
        PATH_FILESTAT_SET_TIMES, FD_FILESTAT_GET, FD_FILESTAT_SET_SIZE, FD_FILESTAT_SET_TIMES, PATH_SYMLINK,
        PATH_REMOVE_DIRECTORY, PATH_UNLINK_FILE, POLL_FD_READWRITE, SOCK_SHUTDOWN, SOCK_ACCEPT,
    }
}

impl Rights {
    /// What can be done with a file.
    pub(super) const FILE: Self = Self::FD_DATASYNC
        .or(Self::FD_READ)
        .or(Self::FD_SEEK)
        .or(Self::FD_FDSTAT_SET_FLAGS)
        .or(Self::FD_SYNC)
        .or(Self::FD_TELL)
        .or(Self::FD_WRITE)
        .or(Self::FD_ADVISE)
        .or(Self::FD_ALLOCATE)
        .or(Self::FD_FILESTAT_GET)
        .or(Self::FD_FILESTAT_SET_SIZE)
        .or(Self::FD_FILESTAT_SET_TIMES)
        .or(Self::POLL_FD_READWRITE);
    /// What can be done with a directory.
    pub(super) const DIRECTORY: Self = Self::FD_FDSTAT_SET_FLAGS
        .or(Self::FD_SYNC)
        .or(Self::FD_ADVISE)
        .or(Self::PATH_CREATE_DIRECTORY)
        .or(Self::PATH_CREATE_FILE)
        .or(Self::PATH_LINK_SOURCE)
        .or(Self::PATH_LINK_TARGET)
        .or(Self::PATH_OPEN)
        .or(Self::FD_READDIR)
        .or(Self::PATH_READLINK)
        .or(Self::PATH_RENAME_SOURCE)
        .or(Self::PATH_RENAME_TARGET)
        .or(Self::PATH_FILESTAT_GET)
        .or(Self::PATH_FILESTAT_SET_SIZE)
        .or(Self::PATH_FILESTAT_SET_TIMES)
        .or(Self::FD_FILESTAT_GET)
        .or(Self::FD_FILESTAT_SET_TIMES)
        .or(Self::PATH_SYMLINK)
        .or(Self::PATH_REMOVE_DIRECTORY)
        .or(Self::PATH_UNLINK_FILE)
        .or(Self::POLL_FD_READWRITE);
    /// What can be done with a standard stream. A terminal is recognised by what is not here: seek and tell.
    pub(super) const STREAM: Self = Self::FD_READ
        .or(Self::FD_WRITE)
        .or(Self::FD_FDSTAT_SET_FLAGS)
        .or(Self::FD_FILESTAT_GET)
        .or(Self::POLL_FD_READWRITE);
    /// What can be done with a socket.
    pub(super) const SOCKET: Self = Self::STREAM.or(Self::SOCK_SHUTDOWN).or(Self::SOCK_ACCEPT);
}

bits! {
    /// `fdflags`.
    FdFlags: u16 { APPEND, DSYNC, NONBLOCK, RSYNC, SYNC }
}
bits! {
    /// `oflags`.
    OFlags: u16 { CREAT, DIRECTORY, EXCL, TRUNC }
}
bits! {
    /// `lookupflags`.
    LookupFlags: u32 { SYMLINK_FOLLOW }
}
bits! {
    /// `fstflags`.
    FstFlags: u16 { ATIM, ATIM_NOW, MTIM, MTIM_NOW }
}
bits! {
    /// `riflags`.
    RiFlags: u16 { RECV_PEEK, RECV_WAITALL }
}
bits! {
    /// `roflags`.
    RoFlags: u16 { RECV_DATA_TRUNCATED }
}
bits! {
    /// `sdflags`.
    SdFlags: u32 { RD, WR }
}

/// Flags of 16 bits, which arrive in 32.
pub(super) fn flags16(bits: u32) -> Outcome<u16> {
    u16::try_from(bits).map_err(|_| Errno::Inval.into())
}

/// `filetype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Filetype {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl From<DescriptorType> for Filetype {
    fn from(kind: DescriptorType) -> Self {
        match kind {
            // It has no word for a fifo.
            DescriptorType::Unknown | DescriptorType::Fifo => Self::Unknown,
            DescriptorType::BlockDevice => Self::BlockDevice,
            DescriptorType::CharacterDevice => Self::CharacterDevice,
            DescriptorType::Directory => Self::Directory,
            DescriptorType::SymbolicLink => Self::SymbolicLink,
            DescriptorType::RegularFile => Self::RegularFile,
            DescriptorType::Socket => Self::SocketStream,
        }
    }
}

/// `fdstat`, 24 bytes.
pub(super) fn fdstat(kind: Filetype, flags: FdFlags, base: Rights, inheriting: Rights) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[0] = kind as u8;
    bytes[2..4].copy_from_slice(&flags.bits().to_le_bytes());
    bytes[8..16].copy_from_slice(&base.bits().to_le_bytes());
    bytes[16..24].copy_from_slice(&inheriting.bits().to_le_bytes());
    bytes
}

/// What a `filestat` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filestat {
    pub(super) kind: Filetype,
    device: u64,
    number: u64,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
}

impl Filestat {
    /// Of something that is no file.
    pub(super) fn of_stream(kind: Filetype) -> Self {
        Self { kind, device: 0, number: 0, links: 0, size: 0, accessed: 0, modified: 0, changed: 0 }
    }

    /// Its bytes: 64 of them, and 56 in the forerunner.
    pub(super) fn bytes(&self, edition: Edition) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.device.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend([self.kind as u8, 0, 0, 0]);
        match edition {
            Edition::Snapshot => {
                bytes.extend([0; 4]);
                bytes.extend(self.links.to_le_bytes());
            }
            Edition::Unstable => bytes.extend(u32::try_from(self.links).unwrap_or(u32::MAX).to_le_bytes()),
        }
        for value in [self.size, self.accessed, self.modified, self.changed] {
            bytes.extend(value.to_le_bytes());
        }
        bytes
    }
}

impl From<Status> for Filestat {
    fn from(status: Status) -> Self {
        Self {
            kind: DescriptorType::from(status.kind).into(),
            device: status.device,
            number: status.number,
            links: status.links,
            size: status.size,
            accessed: timestamp(status.accessed),
            modified: timestamp(status.modified),
            changed: timestamp(status.changed),
        }
    }
}

/// Nanoseconds since 1970; what lies before is 0, what has no number is the last that has.
pub(super) fn timestamp(moment: Moment) -> u64 {
    let Ok(seconds) = u64::try_from(moment.seconds) else { return 0 };
    seconds.saturating_mul(1_000_000_000).saturating_add(moment.nanoseconds.into())
}

/// The two times that a call with `fstflags` asks for.
pub(super) fn new_times(accessed: u64, modified: u64, flags: u32) -> Outcome<(NewTimestamp, NewTimestamp)> {
    let flags = FstFlags::checked(flags16(flags)?)?;
    let at = |nanoseconds: u64| {
        NewTimestamp::Timestamp(Datetime {
            seconds: nanoseconds / 1_000_000_000,
            nanoseconds: (nanoseconds % 1_000_000_000) as u32,
        })
    };
    let time = |set: FstFlags, now: FstFlags, value: u64| match (flags.has(set), flags.has(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(at(value)),
        (false, true) => Ok(NewTimestamp::Now),
        (false, false) => Ok(NewTimestamp::NoChange),
    };
    Ok((
        time(FstFlags::ATIM, FstFlags::ATIM_NOW, accessed)?,
        time(FstFlags::MTIM, FstFlags::MTIM_NOW, modified)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_sizes_of_witx() {
        let stat = Filestat::of_stream(Filetype::Unknown);
        assert_eq!(stat.bytes(Edition::Snapshot).len(), 64);
        assert_eq!(stat.bytes(Edition::Unstable).len(), 56);
        assert_eq!(Rights::SOCK_ACCEPT.bits(), 1 << 29);
        assert_eq!(Rights::PATH_UNLINK_FILE.bits(), 1 << 26);
        assert_eq!(FdFlags::SYNC.bits(), 16);
    }

    #[test]
    fn a_moment_before_1970_or_past_the_last_is_no_panic() {
        assert_eq!(timestamp(Moment { seconds: -1, nanoseconds: 5 }), 0);
        assert_eq!(timestamp(Moment { seconds: i64::MAX, nanoseconds: 5 }), u64::MAX);
        assert!(new_times(u64::MAX, u64::MAX, 5).is_ok());
        assert!(new_times(0, 0, 3).is_err());
        assert!(new_times(0, 0, 16).is_err());
    }
}
