//! What goes wrong when values cross a component boundary: guest faults (`trap_if` in CanonicalABI.md), values of the host
//! that do not have the type they are said to have, and whatever the embedder's `realloc` reports.
//!
//! The texts of traps are the ones that the component test suite expects (`assert_trap`). The suite words some faults
//! differently when the other side of the boundary is a component and not the host: `Trap::between_components`.
//!
//! Must not know: which runtime, which store, which backtrace.

use crate::types::ResourceType;
use alloc::boxed::Box;
use core::fmt;
use core::str::Utf8Error;

/// The result of everything here that can trap.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why lifting or lowering stopped.
#[derive(Debug)]
pub enum Error {
    /// The guest broke a rule of the Canonical ABI.
    Trap(Trap),
    /// The host gave a value that does not fit the type (a mistake of the host, not of the guest).
    Type(TypeMismatch),
    /// The guest's `realloc` or a handle operation of the embedder failed; the embedder's own error, to be downcast.
    Guest(Box<dyn core::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an embedder's error (a trap inside `realloc`, say).
    pub fn guest(error: impl core::error::Error + Send + Sync + 'static) -> Error {
        Error::Guest(Box::new(error))
    }

    /// The trap, if this is one.
    pub fn trap(&self) -> Option<&Trap> {
        match self {
            Error::Trap(trap) => Some(trap),
            _ => None,
        }
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Error {
        Error::Trap(trap)
    }
}

impl From<TypeMismatch> for Error {
    fn from(mismatch: TypeMismatch) -> Error {
        Error::Type(mismatch)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Trap(trap) => trap.fmt(f),
            Error::Type(mismatch) => mismatch.fmt(f),
            Error::Guest(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Guest(error) => error.source(),
            Error::Trap(_) | Error::Type(_) => None,
        }
    }
}

/// What a piece of guest memory was meant to hold, for the wording of a bounds trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The code units of a string.
    String,
    /// The elements of a list.
    List,
    /// Parameters or results that do not fit in flat values.
    Values,
}

/// A fault of the guest. `Display` gives the wording for a host on the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// A pointer is not a multiple of the alignment its type asks for.
    UnalignedPointer,
    /// A pointer and length reach beyond the end of the memory.
    OutOfBounds(Content),
    /// `realloc` returned a region that reaches beyond the end of the memory.
    ReallocOutOfBounds(Content),
    /// `realloc` returned a pointer that is not aligned as asked.
    ReallocUnaligned,
    /// A UTF-8 string is not UTF-8.
    InvalidUtf8(Utf8Error),
    /// A UTF-16 string has a surrogate without its other half.
    UnpairedSurrogate(u16),
    /// A `char` is a surrogate or above U+10FFFF.
    InvalidChar(u32),
    /// The index of a case is not below the number of cases.
    InvalidDiscriminant {
        /// The number that the guest gave.
        discriminant: u32,
        /// How many cases the type has.
        cases: u32,
    },
    /// A string or list is longer than 2^28 - 1 bytes.
    TooLong(Content),
    /// No handle has this index.
    UnknownHandle(u32),
    /// The handle of this index is of another resource type.
    WrongResourceType {
        /// The handle's index.
        index: u32,
        /// The resource type that was asked for.
        expected: ResourceType,
        /// The resource type of the handle.
        found: ResourceType,
    },
    /// The handle cannot go away while it is lent to a call.
    HandleLent,
    /// An `own` was asked for and the handle is a `borrow`.
    NotOwned(u32),
    /// A representation of more than 32 bits where an i32 is passed.
    WideRepresentation,
    /// A call returned before it dropped the borrows it was given.
    BorrowsRemain,
    /// The handle table is full.
    TooManyHandles {
        /// How many handles the table may hold.
        limit: u32,
    },
    /// One call made the host copy more bytes than it may.
    CopyBudget,
    /// The host has no memory for what the guest wants to hand over.
    HostMemory,
}

impl Trap {
    /// The wording of the suite when both sides of the boundary are components. (The prefix `wasm trap: ` is the
    /// engine's to add: it stands before every trap.)
    pub fn between_components(&self) -> impl fmt::Display + '_ {
        BetweenComponents(self)
    }
}

struct BetweenComponents<'a>(&'a Trap);

impl fmt::Display for BetweenComponents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Trap::OutOfBounds(Content::String) | Trap::ReallocOutOfBounds(Content::String) => {
                f.write_str("string content out-of-bounds")
            }
            Trap::OutOfBounds(Content::List) | Trap::ReallocOutOfBounds(Content::List) => {
                f.write_str("list content out-of-bounds")
            }
            Trap::OutOfBounds(Content::Values) | Trap::ReallocOutOfBounds(Content::Values) => {
                f.write_str("out of bounds memory access")
            }
            Trap::ReallocUnaligned => Trap::UnalignedPointer.fmt(f),
            trap => trap.fmt(f),
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::UnalignedPointer => f.write_str("unaligned pointer"),
            Trap::OutOfBounds(Content::String) => {
                f.write_str("string pointer/length out of bounds of memory")
            }
            Trap::OutOfBounds(Content::List) => f.write_str("list pointer/length out of bounds of memory"),
            Trap::OutOfBounds(Content::Values) => f.write_str("pointer out of bounds of memory"),
            Trap::ReallocOutOfBounds(_) => f.write_str("realloc return: beyond end of memory"),
            Trap::ReallocUnaligned => f.write_str("realloc return: result not aligned"),
            Trap::InvalidUtf8(error) => error.fmt(f),
            Trap::UnpairedSurrogate(unit) => write!(f, "unpaired surrogate found: {unit:x}"),
            Trap::InvalidChar(bits) => write!(f, "invalid `char` bit pattern: {bits:#x}"),
            Trap::InvalidDiscriminant { discriminant, cases } => {
                write!(f, "invalid variant discriminant: {discriminant} of a type with {cases} cases")
            }
            Trap::TooLong(content) => {
                let what = match content {
                    Content::String => "string",
                    Content::List | Content::Values => "list",
                };
                write!(f, "{what} too long: more than {} bytes", crate::MAX_LIST_BYTE_LENGTH)
            }
            Trap::UnknownHandle(index) => write!(f, "unknown handle index {index}"),
            Trap::WrongResourceType { index, expected, found } => {
                write!(f, "handle index {index} used with the wrong type, expected {expected} but found ")?;
                match (expected, found) {
                    (ResourceType::Host(_), ResourceType::Host(_))
                    | (ResourceType::Id(_), ResourceType::Id(_)) => {
                        write!(f, "a different {found}")
                    }
                    _ => write!(f, "a {found}"),
                }
            }
            Trap::HandleLent => f.write_str("cannot remove owned resource while borrowed"),
            Trap::WideRepresentation => {
                f.write_str("the representation of a borrowed resource does not fit in an i32")
            }
            Trap::NotOwned(index) => {
                write!(f, "cannot lift own resource from a borrow: handle index {index}")
            }
            Trap::BorrowsRemain => f.write_str("borrow handles still remain at the end of the call"),
            Trap::TooManyHandles { limit } => write!(f, "handle table is full: it may hold {limit} handles"),
            Trap::CopyBudget => {
                f.write_str("one call copies too many bytes out of the component: copy budget exceeded")
            }
            Trap::HostMemory => f.write_str("the host has no memory for a value of the component"),
        }
    }
}

impl core::error::Error for Trap {}

/// A value of the host does not fit where it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeMismatch {
    /// A value of another type.
    Kind {
        /// The kind of the type, as WIT spells it.
        expected: &'static str,
        /// The kind of the value, as WIT spells it.
        found: &'static str,
    },
    /// Fields, elements, parameters or flat values are too many or too few.
    Count {
        /// What is counted.
        what: &'static str,
        /// How many the type has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A case index that the type does not have.
    Case {
        /// How many cases the type has.
        cases: u32,
        /// The index.
        found: u32,
    },
    /// A case has a payload where the type has none, or the other way round.
    Payload {
        /// Whether the type has one.
        expected: bool,
    },
    /// Flag bits beyond the type's labels.
    Flags {
        /// How many labels the type has.
        labels: u32,
        /// All bits of the value.
        found: u32,
    },
    /// A handle of another resource type.
    Resource {
        /// The resource type that the type names.
        expected: ResourceType,
        /// The resource type of the value.
        found: ResourceType,
    },
    /// A string or list of the host is longer than 2^28 - 1 bytes.
    TooLong(Content),
}

impl fmt::Display for TypeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeMismatch::Kind { expected, found } => {
                write!(f, "type mismatch: expected {expected}, found {found}")
            }
            TypeMismatch::Count { what, expected, found } => {
                write!(f, "type mismatch: expected {expected} {what}, found {found}")
            }
            TypeMismatch::Case { cases, found } => {
                write!(f, "type mismatch: case {found} of a type with {cases} cases")
            }
            TypeMismatch::Payload { expected: true } => {
                f.write_str("type mismatch: the case needs a payload")
            }
            TypeMismatch::Payload { expected: false } => {
                f.write_str("type mismatch: the case has no payload")
            }
            TypeMismatch::Flags { labels, found } => {
                write!(f, "type mismatch: bits {found:#x} of flags with {labels} labels")
            }
            TypeMismatch::Resource { expected, found } => {
                write!(f, "type mismatch: expected a handle of {expected}, found one of {found}")
            }
            TypeMismatch::TooLong(content) => {
                write!(f, "{content:?} of the host longer than {} bytes", crate::MAX_LIST_BYTE_LENGTH)
            }
        }
    }
}

impl core::error::Error for TypeMismatch {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn utf8_error(byte: u8) -> Utf8Error {
        core::str::from_utf8(&[byte]).unwrap_err()
    }

    #[test]
    fn traps_speak_the_words_of_the_suite() {
        let texts = [
            (Trap::UnalignedPointer, "unaligned pointer"),
            (Trap::OutOfBounds(Content::String), "string pointer/length out of bounds of memory"),
            (Trap::ReallocOutOfBounds(Content::List), "realloc return: beyond end of memory"),
            (Trap::ReallocUnaligned, "realloc return: result not aligned"),
            (Trap::InvalidUtf8(utf8_error(0xff)), "invalid utf-8"),
            (Trap::InvalidUtf8(utf8_error(0xc3)), "incomplete utf-8 byte sequence"),
            (Trap::InvalidChar(0xd800), "invalid `char` bit pattern"),
            (Trap::InvalidDiscriminant { discriminant: 2, cases: 2 }, "invalid variant discriminant"),
            (Trap::UnknownHandle(u32::MAX), "unknown handle index 4294967295"),
            (
                Trap::WrongResourceType {
                    index: 1,
                    expected: ResourceType::Id(1),
                    found: ResourceType::Id(0),
                },
                "handle index 1 used with the wrong type, expected guest-defined resource but found a different \
                 guest-defined resource",
            ),
            (Trap::HandleLent, "cannot remove owned resource while borrowed"),
            (Trap::BorrowsRemain, "borrow handles still remain at the end of the call"),
        ];
        for (trap, text) in texts {
            assert!(trap.to_string().contains(text), "{trap}");
        }
    }

    #[test]
    fn between_components_some_traps_have_other_words() {
        let texts = [
            (Trap::OutOfBounds(Content::String), "string content out-of-bounds"),
            (Trap::ReallocOutOfBounds(Content::List), "list content out-of-bounds"),
            (Trap::ReallocUnaligned, "unaligned pointer"),
            (Trap::UnalignedPointer, "unaligned pointer"),
        ];
        for (trap, text) in texts {
            assert_eq!(trap.between_components().to_string(), text);
        }
    }
}
