//! `fd_readdir`: the entries of a directory, from a cookie on.
//!
//! A cookie stands for a position that the system gave for the directory, so names that vanish or appear between two calls
//! make nobody skip another. Cookies are small numbers that count up, since libraries keep them in 32 bits: 0 begins
//! again with the directory as it is, 1 is behind `.`, 2 behind `..`; those of entries follow in the order in which they
//! were given. Several may be in use at once, each for as long as its position is kept: the last [`FREE`] of a listing, and
//! of all listings of a guest together [`POSITIONS`] more. A cookie whose position is gone, or that was never given, counts
//! entries from the start.
//!
//! A few of the last entries are kept themselves ([`WINDOW`]): whoever goes on from the middle of what the last call gave
//! costs no call of the system, and needs no exact positions of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::allowance::Charge;
use crate::filesystem::types::DescriptorType;
use crate::preview1::descriptors::{Object, status};
use crate::preview1::types::{Filetype, Rights};
use crate::preview1::{Call, Errno, Outcome};
use crate::sys;
use crate::sys::file::{DirectoryEntry, Entries, FileType};

/// The size of a `dirent`, after which the name follows.
const DIRENT: usize = 24;
/// The cookie of the first entry that is in the directory itself, not `.` or `..`.
const FIRST: u64 = 2;
/// How many positions each listing keeps at least.
const FREE: usize = 256;
/// After how many entries the deadline is looked at.
const PASSED: u32 = 1024;
/// How many more all listings of a guest keep together: 8 MiB.
pub(super) const POSITIONS: usize = 1024 * 1024;
/// How many bytes of entries a listing keeps: more than a library asks for at once.
const WINDOW: usize = 8 * 1024;

/// Where reading a directory stands.
#[derive(Debug)]
pub(super) struct Listing {
    entries: Entries,
    /// The cookie of what `entries` gives next.
    at: u64,
    /// What `entries` gave last, each with the cookie that leads to it.
    recent: VecDeque<(u64, DirectoryEntry)>,
    /// Bytes of `recent`.
    bytes: usize,
    /// The positions of cookies, from `oldest` on.
    positions: VecDeque<i64>,
    oldest: u64,
    /// How many positions all listings of the guest may still keep.
    budget: Arc<AtomicUsize>,
    /// For those of this one beyond [`FREE`].
    charge: Charge,
    /// What reading failed with after entries that had to be delivered first.
    failed: Option<sys::Errno>,
    /// The directory's own number, for `.` and `..`.
    own: u64,
    /// Its place among the guest's handles.
    _held: Arc<Charge>,
}

/// One entry as it is delivered.
struct Record<'l> {
    kind: FileType,
    number: u64,
    name: &'l [u8],
    /// The cookie of what comes next.
    next: u64,
}

impl Listing {
    fn new(entries: Entries, own: u64, budget: Arc<AtomicUsize>, charge: Charge, place: Arc<Charge>) -> Self {
        Self {
            entries,
            at: FIRST,
            recent: VecDeque::new(),
            bytes: 0,
            positions: VecDeque::new(),
            oldest: FIRST + 1,
            budget,
            charge,
            failed: None,
            own,
            _held: place,
        }
    }

    /// The cookie after the last that was given.
    fn end(&self) -> u64 {
        self.oldest + self.positions.len() as u64
    }

    fn position(&self, cookie: u64) -> Option<i64> {
        let index = usize::try_from(cookie.checked_sub(self.oldest)?).ok()?;
        self.positions.get(index).copied()
    }

    /// The cookie behind an entry that `entries` gave at `at`: the one that it had before, or a new one.
    fn cookie_behind(&mut self, entry: &DirectoryEntry) -> u64 {
        match self.at.checked_add(1) {
            Some(next) if self.position(next) == Some(entry.position) => return next,
            _ => {}
        }
        let take = |left: usize| left.checked_sub(1);
        // Twice its size: a queue that grows takes more than it holds.
        let room = self.positions.len() < FREE
            || self.charge.grow(2 * size_of::<i64>())
                && self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if !room {
            self.positions.pop_front();
            self.oldest += 1;
        }
        self.positions.push_back(entry.position);
        self.end() - 1
    }

    /// Reads one entry more into `recent`; whether there is one.
    fn read(&mut self) -> Result<bool, sys::Errno> {
        let Some(entry) = self.entries.next().transpose()? else { return Ok(false) };
        let next = self.cookie_behind(&entry);
        let size = |entry: &DirectoryEntry| size_of::<(u64, DirectoryEntry)>() + entry.name.len();
        self.bytes += size(&entry);
        self.recent.push_back((self.at, entry));
        self.at = next;
        // The two that a call ends with are kept whatever their size.
        while self.bytes > WINDOW && self.recent.len() > 2 {
            if let Some((_, entry)) = self.recent.pop_front() {
                self.bytes -= size(&entry);
            }
        }
        Ok(true)
    }

    fn forget_recent(&mut self) {
        self.recent.clear();
        self.bytes = 0;
    }

    /// Where in `recent` a cookie leads; its length for what is still to be read.
    fn place(&self, cookie: u64) -> Option<usize> {
        match cookie == self.at {
            true => Some(self.recent.len()),
            false => self.recent.iter().rposition(|(at, _)| *at == cookie),
        }
    }

    /// Sees to it that `cookie` has a [`place`](Self::place).
    fn go_to(&mut self, call: &Call<'_>, cookie: u64) -> Outcome<()> {
        let cookie = match cookie {
            0 => {
                self.forget_recent();
                self.failed = None;
                self.entries.rewind();
                self.at = FIRST;
                return Ok(());
            }
            cookie => cookie.max(FIRST),
        };
        if self.place(cookie).is_some() {
            return Ok(());
        }
        self.forget_recent();
        self.failed = None;
        // From where on entries are counted, and how many.
        let (start, position) = match self.position(cookie) {
            Some(position) => (cookie, position),
            None if cookie > self.end() - 1 && self.end() > self.oldest => {
                let last = self.end() - 1;
                (last, self.position(last).unwrap_or(0))
            }
            None => (FIRST, 0),
        };
        match start {
            FIRST => self.entries.rewind(),
            _ => self.entries.seek(position)?,
        }
        self.at = start;
        let mut left = cookie - start;
        let mut passed: u32 = 0;
        while left > 0 {
            // A cookie that was forgotten has no successors that are known: nothing is remembered on the way to it.
            let found = match cookie < self.oldest {
                true => self.entries.next().transpose()?.is_some(),
                false => self.read()?,
            };
            if !found {
                // These do not lead to the cookie.
                self.forget_recent();
                break;
            }
            left -= 1;
            passed = passed.wrapping_add(1);
            if passed.is_multiple_of(PASSED) {
                call.over()?;
            }
        }
        // Past the end: nothing, and again nothing.
        self.at = cookie;
        Ok(())
    }

    /// What stands at a cookie that has a place; `None` at the end.
    fn at(&mut self, cookie: u64) -> Result<Option<Record<'_>>, sys::Errno> {
        if cookie < FIRST {
            let name: &[u8] = if cookie == 0 { b"." } else { b".." };
            // What lies above the directory is nobody's business: `..` has its own number.
            let record = Record { kind: FileType::Directory, number: self.own, name, next: cookie + 1 };
            return Ok(Some(record));
        }
        if cookie == self.at {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if !self.read()? {
                return Ok(None);
            }
        }
        let Some(place) = self.place(cookie) else { return Ok(None) };
        let next = self.recent.get(place + 1).map_or(self.at, |(at, _)| *at);
        let entry = self.recent.get(place).map(|(_, entry)| entry);
        Ok(entry.map(|entry| Record { kind: entry.kind, number: entry.number, name: &entry.name, next }))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.budget.fetch_add(self.positions.len().saturating_sub(FREE), Ordering::Relaxed);
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
    let budget = call.descriptors()?.positions.clone();
    let Object::Directory { listing, .. } = &mut call.entry(fd)?.object else {
        return Err(Errno::NotDir.into());
    };
    let mut listing = match listing.take() {
        Some(listing) => listing,
        None => {
            let own = status(call.wasi, &descriptor)?.number;
            if !call.wasi.handles.room() {
                return Err(Errno::MFile.into());
            }
            let held = call.wasi.memory.charged(Entries::BYTES).map_err(|_| Errno::NoMem)?;
            let entries = Entries::of(&**call.wasi.table.get(&descriptor)?.object())?;
            let place = Arc::new(held);
            call.wasi.handles.hold(&place);
            let charge = call.wasi.memory.charge();
            Box::new(Listing::new(entries, own, budget, charge, place))
        }
    };
    let listed = list(call, &mut listing, room, cookie);
    // Cookies are good for the next call too, however this one ended.
    if let Object::Directory { listing: kept, .. } = &mut call.entry(fd)?.object {
        *kept = Some(listing);
    }
    call.guest.put_u32(bufused, listed?)
}

/// Writes entries into `room`; how many bytes.
fn list(
    call: &mut Call<'_>,
    listing: &mut Listing,
    room: core::ops::Range<usize>,
    mut cookie: u64,
) -> Outcome<u32> {
    listing.go_to(call, cookie)?;
    let mut used = room.start;
    for passed in 1_u32.. {
        if used >= room.end {
            break;
        }
        if passed.is_multiple_of(PASSED) {
            call.over()?;
        }
        let entry = match listing.at(cookie) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            // What was read before the error is delivered; the next call meets it again.
            Err(error) if used > room.start => {
                listing.failed = Some(error);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let mut record = [0; DIRENT];
        record[0..8].copy_from_slice(&entry.next.to_le_bytes());
        record[8..16].copy_from_slice(&entry.number.to_le_bytes());
        record[16..20].copy_from_slice(&u32::try_from(entry.name.len()).unwrap_or(u32::MAX).to_le_bytes());
        record[20] = Filetype::from(DescriptorType::from(entry.kind)) as u8;
        cookie = entry.next;
        for bytes in [&record[..], entry.name] {
            let fits = bytes.len().min(room.end - used);
            call.guest.part_mut(used..used + fits)?.copy_from_slice(&bytes[..fits]);
            used += fits;
        }
    }
    Ok((used - room.start) as u32)
}
