//! A store in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::keyvalue::kept::{Backend, Change, Entry, Limits, Outcome, Totals, size};

/// The entries by bucket and key.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    entries: BTreeMap<(String, String), Entry>,
    totals: Totals,
}

impl Memory {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(bucket: &str, key: &str) -> (String, String) {
    (bucket.to_owned(), key.to_owned())
}

/// A change under way, and what was there before.
struct Changing<'e> {
    all: &'e mut Entries,
    bucket: &'e str,
    limits: &'e Limits,
    before: Vec<(String, Option<Entry>)>,
}

impl Change for Changing<'_> {
    fn get(&self, key: &str) -> Outcome<Option<Entry>> {
        Ok(self.all.entries.get(&name(self.bucket, key)).cloned())
    }

    fn put(&mut self, key: &str, value: Option<&[u8]>) -> Outcome<()> {
        let at = name(self.bucket, key);
        let size = |value: &[u8]| size(self.bucket, key, value.len());
        let before = self.all.entries.get(&at).map(|entry| size(&entry.value));
        self.all.totals = self.all.totals.changed(before, value.map(size), self.limits)?;
        let revision = self.all.totals.revision;
        let before = match value {
            Some(value) => self.all.entries.insert(at, Entry { revision, value: value.to_owned() }),
            None => self.all.entries.remove(&at),
        };
        self.before.push((key.to_owned(), before));
        Ok(())
    }
}

impl Backend for Memory {
    fn get(&self, bucket: &str, key: &str) -> Outcome<Option<Entry>> {
        Ok(self.entries().entries.get(&name(bucket, key)).cloned())
    }

    fn keys(&self, bucket: &str, after: Option<&str>, skip: u64, most: usize) -> Outcome<Vec<String>> {
        let all = self.entries();
        let from = match after {
            Some(after) => Bound::Excluded(name(bucket, after)),
            None => Bound::Included(name(bucket, "")),
        };
        let keys = all.entries.range((from, Bound::Unbounded));
        let keys = keys.map(|(name, _)| name).take_while(|(of, _)| of == bucket).map(|(_, key)| key);
        Ok(keys.skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(most).cloned().collect())
    }

    fn change(
        &self,
        bucket: &str,
        limits: &Limits,
        change: &mut dyn FnMut(&mut dyn Change) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut all = self.entries();
        let totals = all.totals;
        let mut changing = Changing { all: &mut all, bucket, limits, before: Vec::new() };
        let outcome = change(&mut changing);
        if outcome.is_err() {
            let before = core::mem::take(&mut changing.before);
            for (key, entry) in before.into_iter().rev() {
                match entry {
                    Some(entry) => all.entries.insert(name(bucket, &key), entry),
                    None => all.entries.remove(&name(bucket, &key)),
                };
            }
            // Revisions that were given stay given.
            all.totals = Totals { revision: all.totals.revision, ..totals };
        }
        outcome
    }
}
