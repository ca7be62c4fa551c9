//! The error codes of preview 1, and how the system's and those of WASI 0.2 become theirs.

use crate::filesystem::types::ErrorCode;
use crate::io::streams::Failure;
use crate::{Stop, sys};

macro_rules! errnos {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// `errno`, numbered as they stand here.
        #[allow(missing_docs, reason = "the names are those of POSIX")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Errno { $($(#[$meta])* $name),* }

        impl Errno {
            /// All of them, in order.
            pub const ALL: &'static [Errno] = &[$(Errno::$name),*];
        }
    };
}

errnos! {
    Success, TooBig, Acces, AddrInUse, AddrNotAvail, AfNoSupport, Again, Already, BadF, BadMsg, Busy, Canceled, Child,
    ConnAborted, ConnRefused, ConnReset, Deadlk, DestAddrReq, Dom, DQuot, Exist, Fault, FBig, HostUnreach, IdRm, IlSeq,
    InProgress, Intr, Inval, Io, IsConn, IsDir, Loop, MFile, MLink, MsgSize, Multihop, NameTooLong, NetDown, NetReset,
    NetUnreach, NFile, NoBufs, NoDev, NoEnt, NoExec, NoLck, NoLink, NoMem, NoMsg, NoProtoOpt, NoSpc, NoSys, NotConn,
    NotDir, NotEmpty, NotRecoverable, NotSock, NotSup, NotTy, NxIo, Overflow, OwnerDead, Perm, Pipe, Proto,
    ProtoNoSupport, Prototype, Range, RoFs, SPipe, Srch, Stale, TimedOut, TxtBsy, XDev,
    /// A right is missing that the guest gave up.
    NotCapable,
}

/// How a function ends otherwise than well.
#[derive(Debug)]
pub(super) enum Fault {
    /// The guest is told.
    Errno(Errno),
    /// The guest is stopped.
    Stop(Stop),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::Errno(code.into())
    }
}

impl From<sys::Errno> for Fault {
    fn from(error: sys::Errno) -> Self {
        Self::Errno(error.into())
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Errno(Errno::Pipe),
            Failure::Failed(error) => Self::Errno(error.filesystem_code().map_or(Errno::Io, Errno::from)),
            Failure::Stop(stop) => Self::Stop(stop),
        }
    }
}

impl From<sys::Errno> for Errno {
    fn from(error: sys::Errno) -> Self {
        // What files have no word for; the rest as in WASI 0.2.
        match error {
            sys::Errno::MFILE => Self::MFile,
            sys::Errno::NFILE => Self::NFile,
            sys::Errno::CONNABORTED => Self::ConnAborted,
            sys::Errno::CONNREFUSED => Self::ConnRefused,
            sys::Errno::CONNRESET => Self::ConnReset,
            sys::Errno::HOSTUNREACH => Self::HostUnreach,
            sys::Errno::NETUNREACH => Self::NetUnreach,
            sys::Errno::NOBUFS => Self::NoBufs,
            sys::Errno::NOTCONN => Self::NotConn,
            sys::Errno::NOTSOCK => Self::NotSock,
            sys::Errno::TIMEDOUT => Self::TimedOut,
            error => ErrorCode::from(error).into(),
        }
    }
}

impl From<ErrorCode> for Errno {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Access => Self::Acces,
            ErrorCode::WouldBlock => Self::Again,
            ErrorCode::Already => Self::Already,
            ErrorCode::BadDescriptor => Self::BadF,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::Deadlock => Self::Deadlk,
            ErrorCode::Quota => Self::DQuot,
            ErrorCode::Exist => Self::Exist,
            ErrorCode::FileTooLarge => Self::FBig,
            ErrorCode::IllegalByteSequence => Self::IlSeq,
            ErrorCode::InProgress => Self::InProgress,
            ErrorCode::Interrupted => Self::Intr,
            ErrorCode::Invalid => Self::Inval,
            ErrorCode::Io => Self::Io,
            ErrorCode::IsDirectory => Self::IsDir,
            ErrorCode::Loop => Self::Loop,
            ErrorCode::TooManyLinks => Self::MLink,
            ErrorCode::MessageSize => Self::MsgSize,
            ErrorCode::NameTooLong => Self::NameTooLong,
            ErrorCode::NoDevice => Self::NoDev,
            ErrorCode::NoEntry => Self::NoEnt,
            ErrorCode::NoLock => Self::NoLck,
            ErrorCode::InsufficientMemory => Self::NoMem,
            ErrorCode::InsufficientSpace => Self::NoSpc,
            ErrorCode::NotDirectory => Self::NotDir,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NotRecoverable => Self::NotRecoverable,
            ErrorCode::Unsupported => Self::NotSup,
            ErrorCode::NoTty => Self::NotTy,
            ErrorCode::NoSuchDevice => Self::NxIo,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::NotPermitted => Self::Perm,
            ErrorCode::Pipe => Self::Pipe,
            ErrorCode::ReadOnly => Self::RoFs,
            ErrorCode::InvalidSeek => Self::SPipe,
            ErrorCode::TextFileBusy => Self::TxtBsy,
            ErrorCode::CrossDevice => Self::XDev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_have_the_numbers_of_witx() {
        assert_eq!(Errno::ALL.len(), 77);
        for (errno, number) in [
            (Errno::Success, 0),
            (Errno::BadF, 8),
            (Errno::Exist, 20),
            (Errno::Fault, 21),
            (Errno::Inval, 28),
            (Errno::IsDir, 31),
            (Errno::NoEnt, 44),
            (Errno::NotDir, 54),
            (Errno::NotSock, 57),
            (Errno::NotSup, 58),
            (Errno::Perm, 63),
            (Errno::RoFs, 69),
            (Errno::SPipe, 70),
            (Errno::XDev, 75),
            (Errno::NotCapable, 76),
        ] {
            assert_eq!(errno as u16, number, "{errno:?}");
        }
    }
}
