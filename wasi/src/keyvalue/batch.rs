//! `wasi:keyvalue/batch`: several keys at once.

use mini_wasm_canonical_abi::Borrow;

use crate::Wasi;
use crate::interface::interface;
use crate::keyvalue::store::{Bucket, Error, Outcome, bucket};

interface! {
    "wasi:keyvalue/batch@0.2.0-draft2";
    func get_many(bucket, keys);
    func set_many(bucket, key_values);
    func delete_many(bucket, keys);
}

/// How many bytes of values one `get-many` gives at most: a guest may name one key many times.
pub const REPLY: usize = 16 << 20;

/// `get-many`: a key that is not there has no value.
pub fn get_many(
    wasi: &mut Wasi,
    bucket: Borrow<Bucket>,
    keys: Vec<String>,
) -> Outcome<Vec<(String, Option<Vec<u8>>)>> {
    let bucket = bucket::of(wasi, &bucket)?;
    let mut bytes = 0;
    let pairs = keys.into_iter().map(|key| {
        let value = bucket.store.get(&bucket.name, &key)?.map(|entry| entry.value);
        bytes += value.as_ref().map_or(0, Vec::len);
        match bytes > REPLY {
            true => Err(Error::Other(format!("more than {REPLY} bytes at once"))),
            false => Ok((key, value)),
        }
    });
    let pairs = pairs.collect();
    wasi.give(bytes)?;
    Ok(pairs)
}

/// `set-many`: all or none.
pub fn set_many(wasi: &mut Wasi, bucket: Borrow<Bucket>, key_values: Vec<(String, Vec<u8>)>) -> Outcome<()> {
    let bucket = bucket::of(wasi, &bucket)?;
    Ok(bucket.store.set(&bucket.name, &key_values).map_err(Error::from))
}

/// `delete-many`: those that are there.
pub fn delete_many(wasi: &mut Wasi, bucket: Borrow<Bucket>, keys: Vec<String>) -> Outcome<()> {
    let bucket = bucket::of(wasi, &bucket)?;
    Ok(bucket.store.delete(&bucket.name, &keys).map_err(Error::from))
}

/// The older draft: where a key is not there, there is no pair.
pub mod draft {
    use super::{Borrow, Bucket, Outcome, Wasi};
    pub use super::{delete_many, set_many};
    use crate::interface::interface;

    interface! {
        "wasi:keyvalue/batch@0.2.0-draft";
        func get_many(bucket, keys);
        func set_many(bucket, key_values);
        func delete_many(bucket, keys);
    }

    /// `get-many`.
    #[expect(clippy::type_complexity, reason = "it is the interface's")]
    pub fn get_many(
        wasi: &mut Wasi,
        bucket: Borrow<Bucket>,
        keys: Vec<String>,
    ) -> Outcome<Vec<Option<(String, Vec<u8>)>>> {
        let pairs = super::get_many(wasi, bucket, keys)?;
        let found = |(key, value): (String, Option<Vec<u8>>)| value.map(|value| (key, value));
        Ok(pairs.map(|pairs| pairs.into_iter().map(found).collect()))
    }
}
