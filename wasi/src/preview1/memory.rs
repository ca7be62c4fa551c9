//! A guest's memory as the functions of preview 1 see it: addresses and lengths of 32 bits, each access checked whole.
//!
//! No address of a guest's reaches anything without having gone through [`Guest::range`]. Addresses that are not aligned are
//! taken as they are.

use core::ops::Range;

use crate::Stop;
use crate::preview1::Outcome;
use crate::preview1::errno::{Errno, Fault};

/// How many `iovec`s one call takes, as the systems have it.
const MAX_IOVECS: u32 = 1024;
/// How many bytes a path may have: more than any system takes.
const MAX_PATH: u32 = 64 * 1024;

/// The bytes of the memory that the calling instance exports as `memory`.
pub(super) struct Guest<'m>(Option<&'m mut [u8]>);

/// A part of the memory: an `iovec` that has been checked.
pub(super) type Part = Range<usize>;

impl<'m> Guest<'m> {
    pub(super) fn new(bytes: &'m mut [u8]) -> Self {
        Self(Some(bytes))
    }

    /// Of an instance that exports none: every access traps.
    pub(super) fn none() -> Self {
        Self(None)
    }

    fn all(&self) -> Outcome<&[u8]> {
        self.0.as_deref().ok_or_else(no_memory)
    }

    fn all_mut(&mut self) -> Outcome<&mut [u8]> {
        self.0.as_deref_mut().ok_or_else(no_memory)
    }

    /// Where `len` bytes at an address lie.
    pub(super) fn range(&self, at: u32, len: u32) -> Outcome<Part> {
        let (at, len) = (at as usize, len as usize);
        let end = at.checked_add(len).filter(|end| self.all().is_ok_and(|all| *end <= all.len()));
        match end {
            Some(end) => Ok(at..end),
            None => self.all().and(Err(Errno::Fault.into())),
        }
    }

    /// A part that [`Guest::range`] gave.
    pub(super) fn part(&self, part: Part) -> Outcome<&[u8]> {
        self.all()?.get(part).ok_or(Errno::Fault.into())
    }

    /// A part that [`Guest::range`] gave, to write.
    pub(super) fn part_mut(&mut self, part: Part) -> Outcome<&mut [u8]> {
        self.all_mut()?.get_mut(part).ok_or(Errno::Fault.into())
    }

    fn array<const N: usize>(&self, at: u32) -> Outcome<[u8; N]> {
        let bytes = self.part(self.range(at, N as u32)?)?;
        bytes.try_into().map_err(|_| Errno::Fault.into())
    }

    pub(super) fn u8(&self, at: u32) -> Outcome<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    pub(super) fn u16(&self, at: u32) -> Outcome<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: u32) -> Outcome<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u32) -> Outcome<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// Writes bytes at an address.
    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Outcome<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        let part = self.range(at, len)?;
        self.part_mut(part)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: u32, value: u32) -> Outcome<()> {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: u32, value: u64) -> Outcome<()> {
        self.put(at, &value.to_le_bytes())
    }

    /// A path: UTF-8, of a length that some system might take.
    pub(super) fn path(&self, at: u32, len: u32) -> Outcome<String> {
        let part = self.range(at, len)?;
        if len > MAX_PATH {
            return Err(Errno::NameTooLong.into());
        }
        let bytes = self.part(part)?;
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Errno::IlSeq.into()),
        }
    }

    /// The parts that an array of `iovec` or `ciovec` names, all of them checked before anything is moved.
    pub(super) fn iovecs(&self, at: u32, len: u32) -> Outcome<Vec<Part>> {
        if len > MAX_IOVECS {
            return Err(Errno::Inval.into());
        }
        self.range(at, len * 8)?;
        let mut total: u32 = 0;
        (0..len)
            .map(|index| {
                let entry = at + index * 8;
                let (buf, buf_len) = (self.u32(entry)?, self.u32(entry + 4)?);
                // The sum is what a call reports, in 32 bits.
                total = total.checked_add(buf_len).ok_or(Errno::Inval)?;
                self.range(buf, buf_len)
            })
            .collect()
    }
}

fn no_memory() -> Fault {
    Fault::Stop(Stop::trap("the calling instance exports no memory of the name `memory`"))
}

/// The address `by` bytes on, if there is one.
pub(super) fn offset(at: u32, by: u32) -> Outcome<u32> {
    at.checked_add(by).ok_or(Errno::Fault.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T>(outcome: Outcome<T>, errno: Errno) {
        assert!(matches!(outcome, Err(Fault::Errno(found)) if found == errno));
    }

    #[test]
    fn no_address_and_length_reach_beyond_the_end_or_around() {
        let mut bytes = [0; 16];
        let mut guest = Guest::new(&mut bytes);
        assert!(guest.range(0, 16).is_ok());
        assert!(guest.range(16, 0).is_ok());
        for (at, len) in
            [(0, 17), (16, 1), (17, 0), (u32::MAX, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)]
        {
            fault(guest.range(at, len), Errno::Fault);
        }
        fault(guest.u64(9), Errno::Fault);
        fault(guest.u32(u32::MAX - 1), Errno::Fault);
        fault(guest.put_u64(9, 1), Errno::Fault);
        fault(guest.path(15, 2), Errno::Fault);
    }

    #[test]
    fn iovecs_are_counted_and_checked_before_anything_moves() {
        let mut bytes = vec![0; 64];
        bytes[0..4].copy_from_slice(&8_u32.to_le_bytes());
        bytes[4..8].copy_from_slice(&8_u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        let guest = Guest::new(&mut bytes);
        assert_eq!(guest.iovecs(0, 1).ok().and_then(|parts| parts.first().cloned()), Some(8..16));
        fault(guest.iovecs(0, 2), Errno::Inval);
        fault(guest.iovecs(8, 1), Errno::Fault);
        fault(guest.iovecs(0, 1025), Errno::Inval);
        fault(guest.iovecs(60, 1), Errno::Fault);
        fault(guest.iovecs(u32::MAX, 1), Errno::Fault);
    }

    #[test]
    fn an_instance_without_memory_traps() {
        assert!(matches!(Guest::none().u32(0), Err(Fault::Stop(_))));
    }
}
