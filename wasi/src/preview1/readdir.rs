//! `fd_readdir`: the entries of a directory, from a cookie on.
//!
//! A cookie is the number of entries before it, `.` and `..` included. Whoever goes on where the last call ended costs
//! nothing; another cookie reads from the start again.

use std::sync::Arc;

use crate::filesystem::types::DescriptorType;
use crate::preview1::descriptors::{Object, status};
use crate::preview1::types::{Filetype, Rights};
use crate::preview1::{Call, Errno, Outcome};
use crate::sys::file::{DirectoryEntry, Entries, FileType};

/// The size of a `dirent`, after which the name follows.
const DIRENT: usize = 24;

/// Where reading a directory stands.
#[derive(Debug)]
pub(super) struct Listing {
    entries: Entries,
    /// The cookie of what comes next.
    next: u64,
    /// What was read and did not fit whole.
    held: Option<DirectoryEntry>,
    /// The directory's own number, for `.` and `..`.
    own: u64,
    /// Its place among the guest's handles.
    _held: Arc<()>,
}

impl Listing {
    fn next(&mut self) -> Option<Outcome<DirectoryEntry>> {
        let entry = match self.held.take() {
            Some(entry) => Ok(entry),
            None if self.next < 2 => {
                let name = if self.next == 0 { b".".to_vec() } else { b"..".to_vec() };
                // What lies above the directory is nobody's business: `..` has its own number.
                Ok(DirectoryEntry { kind: FileType::Directory, number: self.own, name })
            }
            None => self.entries.next()?.map_err(Into::into),
        };
        self.next += u64::from(entry.is_ok());
        Some(entry)
    }

    /// Takes an entry back that was not delivered whole.
    fn hold(&mut self, entry: DirectoryEntry) {
        self.next -= 1;
        self.held = Some(entry);
    }
}

/// `fd_readdir`: as many entries as fit, the last one cut off; fewer bytes than `buf_len` mean the end.
pub(super) fn fd_readdir(
    call: &mut Call<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    bufused: u32,
) -> Outcome<()> {
    let descriptor = call.entry(fd)?.directory(Rights::FD_READDIR)?;
    let room = call.guest.range(buf, buf_len)?;
    call.guest.range(bufused, 4)?;
    let Object::Directory { listing, .. } = &mut call.entry(fd)?.object else {
        return Err(Errno::NotDir.into());
    };
    // Another one is closed before its successor is opened.
    let kept = listing.take().filter(|listing| listing.next == cookie);
    let mut listing = match kept {
        Some(listing) => listing,
        None => {
            let own = status(call.wasi, &descriptor)?.number;
            if !call.wasi.handles.room() {
                return Err(Errno::MFile.into());
            }
            let entries = Entries::of(&**call.wasi.table.get(&descriptor)?.object())?;
            let place = Arc::new(());
            call.wasi.handles.hold(&place);
            let mut listing = Box::new(Listing { entries, next: 0, held: None, own, _held: place });
            while listing.next < cookie {
                match listing.next() {
                    Some(entry) => entry?,
                    None => break,
                };
                if listing.next.is_multiple_of(1024) {
                    call.over()?;
                }
            }
            // Past the end: nothing, and again nothing.
            listing.next = cookie;
            listing
        }
    };
    let mut used = room.start;
    while used < room.end {
        let Some(entry) = listing.next() else { break };
        let entry = match entry {
            Ok(entry) => entry,
            // What was read before the error is delivered; the next call meets it again.
            Err(_) if used > room.start => break,
            Err(fault) => return Err(fault),
        };
        let mut record = [0; DIRENT];
        record[0..8].copy_from_slice(&listing.next.to_le_bytes());
        record[8..16].copy_from_slice(&entry.number.to_le_bytes());
        record[16..20].copy_from_slice(&u32::try_from(entry.name.len()).unwrap_or(u32::MAX).to_le_bytes());
        record[20] = Filetype::from(DescriptorType::from(entry.kind)) as u8;
        for bytes in [&record[..], &entry.name] {
            let fits = bytes.len().min(room.end - used);
            call.guest.part_mut(used..used + fits)?.copy_from_slice(&bytes[..fits]);
            used += fits;
        }
        // Also when it just fitted nobody loses: a full buffer says that there is more.
        if used == room.end {
            listing.hold(entry);
        }
    }
    if let Object::Directory { listing: kept, .. } = &mut call.entry(fd)?.object {
        *kept = Some(listing);
    }
    call.guest.put_u32(bufused, (used - room.start) as u32)
}
