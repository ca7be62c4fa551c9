//! What is kept, and how much of it: a store that guests share, in memory or in a file, under one set of limits.
//!
//! Each entry has a revision, a number that no other entry of the store ever had: by that a compare-and-swap knows whether
//! anybody has changed it. Each change is whole or not at all, and in a file it is on the disk when the call returns.
//!
//! Must not know: guests, handles.

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::deadline::{self, Deadline};
use crate::keyvalue::file::Database;
use crate::keyvalue::memory::Memory;

/// After how many entries a change, or a reply, looks at the deadline.
pub(super) const STRIDE: usize = 256;

/// How much a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the name of a bucket, and of a key; 1 KiB.
    pub key: usize,
    /// Bytes of a value; 4 MiB.
    pub value: usize,
    /// Entries of all buckets; 100,000.
    pub entries: u64,
    /// Bytes of all names and values; 64 MiB.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { key: 1 << 10, value: 4 << 20, entries: 100_000, bytes: 64 << 20 }
    }
}

/// A store of keys and values; clones are the same store.
#[derive(Clone)]
pub struct KeyValue {
    backend: Arc<dyn Backend>,
    pub(super) limits: Limits,
}

/// A store that cannot be opened, or an operation on it that failed: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValueError(pub(super) String);

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyValueError {}

impl KeyValueError {
    /// The file says what it cannot.
    pub(super) fn damaged() -> Self {
        Self("the file is damaged".into())
    }
}

pub(super) type Outcome<T> = Result<T, KeyValueError>;

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// That of the change that made it so.
    pub(super) revision: u64,
    pub(super) value: Vec<u8>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// The last that was given.
    pub(super) revision: u64,
}

impl Totals {
    /// After an entry of `before` bytes, names included, has become one of `after` bytes.
    pub(super) fn changed(self, before: Option<u64>, after: Option<u64>, limits: &Limits) -> Outcome<Self> {
        let others = self.entries.saturating_sub(u64::from(before.is_some()));
        let entries = others.saturating_add(u64::from(after.is_some()));
        let bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after.unwrap_or(0));
        if after.is_some() && entries > limits.entries {
            return Err(KeyValueError(format!("the store keeps {} entries at most", limits.entries)));
        }
        if after.is_some() && bytes > limits.bytes {
            return Err(KeyValueError(format!("the store keeps {} bytes at most", limits.bytes)));
        }
        // These numbers are what the file says.
        let revision = self.revision.checked_add(1).ok_or_else(KeyValueError::damaged)?;
        Ok(Self { entries, bytes, revision })
    }
}

/// How many bytes an entry counts for.
pub(super) fn size(bucket: &str, key: &str, value: usize) -> u64 {
    (bucket.len() + key.len() + value) as u64
}

/// A bucket while it is changed.
pub(super) trait Change {
    fn get(&self, key: &str) -> Outcome<Option<Entry>>;
    /// `None` removes it.
    fn put(&mut self, key: &str, value: Option<&[u8]>) -> Outcome<()>;
}

/// Where entries lie.
pub(super) trait Backend: Send + Sync {
    fn get(&self, bucket: &str, key: &str) -> Outcome<Option<Entry>>;

    /// At most `most` keys in their order, beginning with the `skip`th behind `after`.
    fn keys(&self, bucket: &str, after: Option<&str>, skip: u64, most: usize) -> Outcome<Vec<String>>;

    /// What `change` does, all of it or, if it fails, nothing. Nobody else changes anything meanwhile.
    fn change(
        &self,
        bucket: &str,
        limits: &Limits,
        change: &mut dyn FnMut(&mut dyn Change) -> Outcome<()>,
    ) -> Outcome<()>;
}

/// Items one after the other, and an error once time is over.
fn in_time<'i, T>(items: &'i [T], deadline: &dyn Deadline) -> impl Iterator<Item = Outcome<&'i T>> {
    items.iter().enumerate().map(move |(at, item)| {
        let is_over = at % STRIDE == STRIDE - 1 && deadline::is_over(deadline);
        if is_over { Err(KeyValueError("time is over".to_owned())) } else { Ok(item) }
    })
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl KeyValue {
    /// An empty store in memory, gone with its last clone.
    pub fn memory(limits: Limits) -> Self {
        Self { backend: Arc::new(Memory::default()), limits }
    }

    /// The store in a file, which is made if it is not there. One process at a time has it open.
    ///
    /// # Errors
    /// If the file cannot be opened, is in use, or is none of ours.
    pub fn file(path: impl AsRef<Path>, limits: Limits) -> Result<Self, KeyValueError> {
        Ok(Self { backend: Arc::new(Database::open(path.as_ref())?), limits })
    }

    /// Whether a name may be that of a bucket or key.
    pub(super) fn check_name(&self, name: &str) -> Outcome<()> {
        match name.len() > self.limits.key {
            true => Err(KeyValueError(format!("a name has {} bytes at most", self.limits.key))),
            false => Ok(()),
        }
    }

    fn check_value(&self, value: &[u8]) -> Outcome<()> {
        match value.len() > self.limits.value {
            true => Err(KeyValueError(format!("a value has {} bytes at most", self.limits.value))),
            false => Ok(()),
        }
    }

    pub(super) fn get(&self, bucket: &str, key: &str) -> Outcome<Option<Entry>> {
        self.check_name(key)?;
        self.backend.get(bucket, key)
    }

    pub(super) fn keys(
        &self,
        bucket: &str,
        after: Option<&str>,
        skip: u64,
        most: usize,
    ) -> Outcome<Vec<String>> {
        self.backend.keys(bucket, after, skip, most)
    }

    /// No more at once than there may be.
    fn check_number(&self, entries: usize) -> Outcome<()> {
        match entries as u64 > self.limits.entries {
            true => {
                Err(KeyValueError(format!("at most {} entries are changed at once", self.limits.entries)))
            }
            false => Ok(()),
        }
    }

    /// Sets all of these, or none: also when time is over before.
    pub(super) fn set(
        &self,
        bucket: &str,
        entries: &[(String, Vec<u8>)],
        deadline: &dyn Deadline,
    ) -> Outcome<()> {
        self.check_number(entries.len())?;
        for (key, value) in entries {
            self.check_name(key)?;
            self.check_value(value)?;
        }
        self.backend.change(bucket, &self.limits, &mut |change| {
            in_time(entries, deadline).try_for_each(|entry| {
                let (key, value) = entry?;
                change.put(key, Some(value))
            })
        })
    }

    /// Removes those of these that are there, or none: also when time is over before.
    pub(super) fn delete(&self, bucket: &str, keys: &[String], deadline: &dyn Deadline) -> Outcome<()> {
        self.check_number(keys.len())?;
        keys.iter().try_for_each(|key| self.check_name(key))?;
        self.backend.change(bucket, &self.limits, &mut |change| {
            in_time(keys, deadline).try_for_each(|key| change.put(key?, None))
        })
    }

    /// Sets a key if it is what `revision` says; the revision that it has if that is another.
    pub(super) fn swap(
        &self,
        bucket: &str,
        key: &str,
        revision: Option<u64>,
        value: &[u8],
    ) -> Outcome<Result<(), Option<u64>>> {
        self.check_name(key)?;
        self.check_value(value)?;
        let mut outcome = Ok(());
        self.backend.change(bucket, &self.limits, &mut |change| {
            let now = change.get(key)?.map(|entry| entry.revision);
            match now == revision {
                true => change.put(key, Some(value)),
                false => {
                    outcome = Err(now);
                    Ok(())
                }
            }
        })?;
        Ok(outcome)
    }

    /// Adds to the number that a key stands for in decimal digits, 0 if it is not there; the sum. `fits` says which sums may be.
    pub(super) fn increment(
        &self,
        bucket: &str,
        key: &str,
        delta: i128,
        fits: impl Fn(i128) -> bool,
    ) -> Outcome<i128> {
        self.check_name(key)?;
        let mut sum = 0;
        self.backend.change(bucket, &self.limits, &mut |change| {
            let number = match change.get(key)? {
                None => 0,
                Some(entry) => core::str::from_utf8(&entry.value)
                    .ok()
                    .and_then(|digits| digits.parse::<i128>().ok())
                    .filter(|number| fits(*number))
                    .ok_or_else(|| KeyValueError("the value is no number".to_owned()))?,
            };
            sum = number.saturating_add(delta);
            match fits(sum) {
                true => change.put(key, Some(sum.to_string().as_bytes())),
                false => Err(KeyValueError("the sum has no room in 64 bits".to_owned())),
            }
        })?;
        Ok(sum)
    }
}
