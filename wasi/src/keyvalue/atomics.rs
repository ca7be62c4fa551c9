//! `wasi:keyvalue/atomics`: changes that nobody comes between.

use mini_wasm_canonical_abi::{Borrow, Own, variant};

use crate::allowance::Charge;
use crate::interface::interface;
use crate::keyvalue::store::{Bucket, Error, Outcome, bucket};
use crate::{Stop, Wasi};

interface! {
    "wasi:keyvalue/atomics@0.2.0-draft2";
    resource Cas in cas {
        static_method new(bucket, key);
        method current(this);
    }
    func increment(bucket, key, delta);
    func swap(cas, value);
}

/// The resource `cas`: a key as it was at a moment.
#[derive(Debug)]
pub struct Cas {
    bucket: Bucket,
    key: String,
    revision: Option<u64>,
    /// For the key.
    _charge: Charge,
}

impl Cas {
    fn new(wasi: &mut Wasi, bucket: Bucket, key: String, revision: Option<u64>) -> Result<Own<Self>, Stop> {
        let charge = wasi.memory.charged(key.len())?;
        wasi.table.push(Self { bucket, key, revision, _charge: charge })
    }
}

variant! {
    /// `cas-error`.
    #[derive(Debug, PartialEq, Eq)]
    pub enum CasError = "cas-error" {
        /// The store failed.
        StoreError(Error),
        /// Somebody else has changed it: the key as it is now.
        CasFailed(Own<Cas>),
    }
}

/// `increment`: of a number in decimal digits.
pub fn increment(wasi: &mut Wasi, bucket: Borrow<Bucket>, key: String, delta: i64) -> Outcome<i64> {
    let bucket = bucket::of(wasi, &bucket)?;
    let sum = bucket.store.increment(&bucket.name, &key, delta.into(), |sum| i64::try_from(sum).is_ok());
    Ok(sum.map(|sum| sum as i64).map_err(Error::from))
}

/// `swap`: sets the key unless somebody has changed it since.
pub fn swap(wasi: &mut Wasi, cas: Own<Cas>, value: Vec<u8>) -> Result<Result<(), CasError>, Stop> {
    let Cas { bucket, key, revision, .. } = wasi.table.take(cas)?;
    match bucket.store.swap(&bucket.name, &key, revision, &value) {
        Ok(Ok(())) => Ok(Ok(())),
        Ok(Err(revision)) => Cas::new(wasi, bucket, key, revision).map(|cas| Err(CasError::CasFailed(cas))),
        Err(error) => Ok(Err(CasError::StoreError(error.into()))),
    }
}

/// The functions of [`Cas`].
pub mod cas {
    use super::{Borrow, Bucket, Cas, Error, Outcome, Own, Wasi, bucket};

    /// `[static]cas.new`.
    pub fn new(wasi: &mut Wasi, bucket: Borrow<Bucket>, key: String) -> Outcome<Own<Cas>> {
        let bucket = bucket::of(wasi, &bucket)?;
        match bucket.store.get(&bucket.name, &key) {
            Ok(entry) => {
                let revision = entry.map(|entry| entry.revision);
                Cas::new(wasi, bucket, key, revision).map(Ok)
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// `[method]cas.current`: what the store has now.
    pub fn current(wasi: &mut Wasi, this: Borrow<Cas>) -> Outcome<Option<Vec<u8>>> {
        let Cas { bucket, key, .. } = wasi.table.get(&this)?;
        let found = bucket.store.get(&bucket.name, key);
        Ok(found.map(|entry| entry.map(|entry| entry.value)).map_err(Error::from))
    }
}

/// The older draft: numbers have no sign, and nothing is swapped.
pub mod draft {
    use super::{Borrow, Bucket, Error, Outcome, Wasi};
    use crate::interface::interface;

    interface! {
        "wasi:keyvalue/atomics@0.2.0-draft";
        func increment(bucket, key, delta);
    }

    /// `increment`: of a number in decimal digits.
    pub fn increment(wasi: &mut Wasi, bucket: Borrow<Bucket>, key: String, delta: u64) -> Outcome<u64> {
        let bucket = super::bucket::of(wasi, &bucket)?;
        let sum = bucket.store.increment(&bucket.name, &key, delta.into(), |sum| u64::try_from(sum).is_ok());
        Ok(sum.map(|sum| sum as u64).map_err(Error::from))
    }
}
