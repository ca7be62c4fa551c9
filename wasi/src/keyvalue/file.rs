//! A store in a file, by the crate redb: a tree that each change copies where it changes it, so that a crash leaves it as it was
//! before the change or after.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{ReadableDatabase, ReadableTable, Table, TableDefinition};

use crate::keyvalue::kept::{Backend, Change, Entry, KeyValueError, Limits, Outcome, Totals, size};

/// Bucket and key; revision and value.
const ENTRIES: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("entries");
/// The [`Totals`], by the names of their fields.
const TOTALS: TableDefinition<'_, &str, u64> = TableDefinition::new("totals");
/// Bytes of the file that are kept in memory.
const CACHE: usize = 4 << 20;

/// An open file; `None` only while it is dropped.
pub(super) struct Database(Option<redb::Database>);

/// Any of the crate's errors.
fn failed(error: impl Into<redb::Error>) -> KeyValueError {
    KeyValueError(error.into().to_string())
}

/// Does what reads the file. The crate trusts most of what stands there, and ends in a panic where somebody has written what it
/// never would: to a guest that is an error.
fn trusting<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(KeyValueError::damaged()))
}

fn entry(
    table: &impl ReadableTable<(&'static str, &'static str), (u64, &'static [u8])>,
    bucket: &str,
    key: &str,
) -> Outcome<Option<Entry>> {
    let found = table.get((bucket, key)).map_err(failed)?;
    Ok(found.map(|found| {
        let (revision, value) = found.value();
        Entry { revision, value: value.to_owned() }
    }))
}

fn totals(table: &impl ReadableTable<&'static str, u64>) -> Outcome<Totals> {
    let number = |name| Ok(table.get(name).map_err(failed)?.map_or(0, |number| number.value()));
    Ok(Totals { entries: number("entries")?, bytes: number("bytes")?, revision: number("revision")? })
}

impl Database {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        trusting(|| {
            let database = redb::Database::builder().set_cache_size(CACHE).create(path).map_err(failed)?;
            let database = Self(Some(database));
            // Readers need the tables to be there.
            let making = database.begun()?.begin_write().map_err(failed)?;
            making.open_table(ENTRIES).map_err(failed)?;
            making.open_table(TOTALS).map_err(failed)?;
            making.commit().map_err(failed)?;
            Ok(database)
        })
    }

    fn begun(&self) -> Outcome<&redb::Database> {
        self.0.as_ref().ok_or_else(KeyValueError::damaged)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let database = self.0.take();
        // The crate writes to the file once more, and panics over a damaged one: what a guest has
        // committed is in the file already, and there is nobody to tell.
        let _ = trusting(|| {
            drop(database);
            Ok(())
        });
    }
}

struct Changing<'t, 'l> {
    entries: Table<'t, (&'static str, &'static str), (u64, &'static [u8])>,
    totals: Totals,
    bucket: &'l str,
    limits: &'l Limits,
}

impl Change for Changing<'_, '_> {
    fn get(&self, key: &str) -> Outcome<Option<Entry>> {
        entry(&self.entries, self.bucket, key)
    }

    fn put(&mut self, key: &str, value: Option<&[u8]>) -> Outcome<()> {
        let at = (self.bucket, key);
        let size = |len: usize| size(self.bucket, key, len);
        let before = self.entries.get(at).map_err(failed)?.map(|found| size(found.value().1.len()));
        self.totals = self.totals.changed(before, value.map(|value| size(value.len())), self.limits)?;
        match value {
            Some(value) => drop(self.entries.insert(at, (self.totals.revision, value)).map_err(failed)?),
            None => drop(self.entries.remove(at).map_err(failed)?),
        }
        Ok(())
    }
}

impl Backend for Database {
    fn get(&self, bucket: &str, key: &str) -> Outcome<Option<Entry>> {
        trusting(|| {
            let reading = self.begun()?.begin_read().map_err(failed)?;
            entry(&reading.open_table(ENTRIES).map_err(failed)?, bucket, key)
        })
    }

    fn keys(&self, bucket: &str, after: Option<&str>, skip: u64, most: usize) -> Outcome<Vec<String>> {
        trusting(|| self.listed(bucket, after, skip, most))
    }

    fn change(
        &self,
        bucket: &str,
        limits: &Limits,
        change: &mut dyn FnMut(&mut dyn Change) -> Outcome<()>,
    ) -> Outcome<()> {
        trusting(|| self.changed(bucket, limits, change))
    }
}

impl Database {
    fn listed(&self, bucket: &str, after: Option<&str>, skip: u64, most: usize) -> Outcome<Vec<String>> {
        let reading = self.begun()?.begin_read().map_err(failed)?;
        let entries = reading.open_table(ENTRIES).map_err(failed)?;
        let mut skip = skip;
        let mut keys = Vec::new();
        for found in entries.range((bucket, after.unwrap_or(""))..).map_err(failed)? {
            let (name, _) = found.map_err(failed)?;
            let (of, key) = name.value();
            if of != bucket || keys.len() == most {
                break;
            }
            if after == Some(key) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            keys.push(key.to_owned());
        }
        Ok(keys)
    }

    fn changed(
        &self,
        bucket: &str,
        limits: &Limits,
        change: &mut dyn FnMut(&mut dyn Change) -> Outcome<()>,
    ) -> Outcome<()> {
        let writing = self.begun()?.begin_write().map_err(failed)?;
        {
            let mut rows = writing.open_table(TOTALS).map_err(failed)?;
            let entries = writing.open_table(ENTRIES).map_err(failed)?;
            let mut changing = Changing { entries, totals: totals(&rows)?, bucket, limits };
            // Dropped without a commit, all of it is undone.
            change(&mut changing)?;
            let Totals { entries, bytes, revision } = changing.totals;
            for (name, number) in [("entries", entries), ("bytes", bytes), ("revision", revision)] {
                rows.insert(name, number).map_err(failed)?;
            }
        }
        writing.commit().map_err(failed)
    }
}
