//! `wasi:keyvalue/store`: buckets, which are parts of the one store that has been granted, each by any name.

use std::sync::Arc;

use mini_wasm_canonical_abi::{Borrow, Own, record, variant};

use crate::allowance::Charge;
use crate::ctx::Capability;
use crate::interface::interface;
use crate::keyvalue::kept::{Entry, KeyValue, KeyValueError};
use crate::{Stop, Wasi};

interface! {
    "wasi:keyvalue/store@0.2.0-draft2";
    resource Bucket in bucket {
        method get(this, key);
        method set(this, key, value);
        method delete(this, key);
        method exists(this, key);
        method list_keys(this, cursor);
    }
    func open(identifier);
}

/// How many keys one call lists at most.
pub const PAGE: usize = 1000;

variant! {
    /// `error`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Error = "error" {
        /// No store of this name.
        NoSuchStore,
        /// No store has been granted.
        AccessDenied,
        /// Anything else: a limit, the disk.
        Other(String),
    }
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

record! {
    /// `key-response`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeyResponse = "key-response" {
        /// Some keys.
        pub keys: Vec<String>,
        /// Where the next ones begin; none if these are the last.
        pub cursor: Option<String>,
    }
}

/// The resource `bucket`.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(super) store: KeyValue,
    /// Shared by whatever comes of the bucket.
    pub(super) name: Arc<str>,
    /// For the name.
    _charge: Arc<Charge>,
}

/// What a function gives: a value or an error, unless it stops the guest.
pub(super) type Outcome<T> = Result<Result<T, Error>, Stop>;

/// `open`: any name is that of a bucket, empty until something is set.
pub fn open(wasi: &mut Wasi, identifier: String) -> Outcome<Own<Bucket>> {
    let Some(store) = wasi.keyvalue.clone() else {
        wasi.refused(Capability::KeyValue, "a key-value store");
        return Ok(Err(Error::AccessDenied));
    };
    if store.check_name(&identifier).is_err() {
        return Ok(Err(Error::NoSuchStore));
    }
    let charge = Arc::new(wasi.memory.charged(identifier.len())?);
    wasi.table.push(Bucket { store, name: identifier.into(), _charge: charge }).map(Ok)
}

/// The methods of [`Bucket`].
pub mod bucket {
    use super::{Borrow, Bucket, Entry, Error, KeyResponse, Outcome, PAGE, Stop, Wasi};
    use crate::Never;

    /// `[method]bucket.get`.
    pub fn get(wasi: &mut Wasi, this: Borrow<Bucket>, key: String) -> Outcome<Option<Vec<u8>>> {
        let bucket = wasi.table.get(&this)?;
        let found = bucket.store.get(&bucket.name, &key);
        let bytes = |entry: &Option<Entry>| entry.as_ref().map_or(0, |entry| entry.value.len());
        wasi.give(found.as_ref().map_or(0, bytes))?;
        Ok(found.map(|entry| entry.map(|entry| entry.value)).map_err(Error::from))
    }

    /// `[method]bucket.set`.
    pub fn set(wasi: &mut Wasi, this: Borrow<Bucket>, key: String, value: Vec<u8>) -> Outcome<()> {
        let bucket = wasi.table.get(&this)?;
        Ok(bucket.store.set(&bucket.name, &[(key, value)], &Never).map_err(Error::from))
    }

    /// `[method]bucket.delete`.
    pub fn delete(wasi: &mut Wasi, this: Borrow<Bucket>, key: String) -> Outcome<()> {
        let bucket = wasi.table.get(&this)?;
        Ok(bucket.store.delete(&bucket.name, &[key], &Never).map_err(Error::from))
    }

    /// `[method]bucket.exists`.
    pub fn exists(wasi: &mut Wasi, this: Borrow<Bucket>, key: String) -> Outcome<bool> {
        let bucket = wasi.table.get(&this)?;
        Ok(bucket.store.get(&bucket.name, &key).map(|entry| entry.is_some()).map_err(Error::from))
    }

    /// `[method]bucket.list-keys`: in their order; the cursor is the last that was listed.
    pub fn list_keys(wasi: &mut Wasi, this: Borrow<Bucket>, cursor: Option<String>) -> Outcome<KeyResponse> {
        let listed = page(wasi, &this, cursor.as_deref(), 0)?;
        Ok(listed.map(|(keys, more)| {
            let cursor = if more { keys.last().cloned() } else { None };
            KeyResponse { keys, cursor }
        }))
    }

    /// A page of keys, beginning with the `skip`th behind `after`; whether there are more.
    pub(super) fn page(
        wasi: &mut Wasi,
        bucket: &Borrow<Bucket>,
        after: Option<&str>,
        skip: u64,
    ) -> Outcome<(Vec<String>, bool)> {
        let bucket = wasi.table.get(bucket)?;
        let mut keys = match bucket.store.keys(&bucket.name, after, skip, PAGE + 1) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error.into())),
        };
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        wasi.give(keys.iter().map(|key| key.len() + size_of::<String>()).sum())?;
        Ok(Ok((keys, more)))
    }

    /// So that a bucket which is gone is one kind of error only.
    pub(in crate::keyvalue) fn of(wasi: &Wasi, this: &Borrow<Bucket>) -> Result<Bucket, Stop> {
        wasi.table.get(this).cloned()
    }
}

/// The older draft: a cursor is a number.
pub mod draft {
    use super::open;
    use crate::interface::interface;
    use crate::keyvalue::store::Bucket;

    interface! {
        "wasi:keyvalue/store@0.2.0-draft";
        resource Bucket in bucket {
            method get(this, key);
            method set(this, key, value);
            method delete(this, key);
            method exists(this, key);
            method list_keys(this, cursor);
        }
        func open(identifier);
    }

    mini_wasm_canonical_abi::record! {
        /// `key-response`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct KeyResponse = "key-response" {
            /// Some keys.
            pub keys: Vec<String>,
            /// How many were listed so far; none if these are the last.
            pub cursor: Option<u64>,
        }
    }

    /// The methods of [`Bucket`].
    pub mod bucket {
        use super::{Bucket, KeyResponse};
        use crate::Wasi;
        use crate::keyvalue::store::bucket::page;
        pub use crate::keyvalue::store::bucket::{delete, exists, get, set};
        use crate::keyvalue::store::{Outcome, PAGE};
        use mini_wasm_canonical_abi::Borrow;

        /// `[method]bucket.list-keys`: in their order.
        pub fn list_keys(wasi: &mut Wasi, this: Borrow<Bucket>, cursor: Option<u64>) -> Outcome<KeyResponse> {
            let from = cursor.unwrap_or(0);
            let listed = page(wasi, &this, None, from)?;
            Ok(listed.map(|(keys, more)| KeyResponse {
                keys,
                cursor: more.then(|| from.saturating_add(PAGE as u64)),
            }))
        }
    }
}
