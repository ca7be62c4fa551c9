//! `wasi:keyvalue/batch`: several keys at once.

use mini_wasm_canonical_abi::Borrow;

use crate::Wasi;
use crate::interface::interface;
use crate::keyvalue::kept::STRIDE;
use crate::keyvalue::store::{Bucket, Error, Outcome, bucket};

interface! {
    "wasi:keyvalue/batch@0.2.0-draft2";
    func get_many(bucket, keys);
    func set_many(bucket, key_values);
    func delete_many(bucket, keys);
}

/// How many bytes one `get-many` gives at most: a guest may name one key many times.
pub const REPLY: usize = 16 << 20;
/// What a pair counts for beside its key and its value.
const PAIR: usize = size_of::<(String, Option<Vec<u8>>)>();

/// `get-many`: a key that is not there has no value.
pub fn get_many(
    wasi: &mut Wasi,
    bucket: Borrow<Bucket>,
    keys: Vec<String>,
) -> Outcome<Vec<(String, Option<Vec<u8>>)>> {
    let bucket = bucket::of(wasi, &bucket)?;
    let found = batch(wasi, keys.len(), || {
        let (mut bytes, mut pairs) = (0, Vec::new());
        for (at, key) in keys.into_iter().enumerate() {
            if at % STRIDE == STRIDE - 1 {
                wasi.over()?;
            }
            let value = match bucket.store.get(&bucket.name, &key) {
                Ok(found) => found.map(|entry| entry.value),
                Err(error) => return Ok(Err(error.into())),
            };
            bytes += PAIR + key.len() + value.as_ref().map_or(0, Vec::len);
            if bytes > REPLY {
                return Ok(Err(Error::Other(format!("more than {REPLY} bytes at once"))));
            }
            pairs.push((key, value));
        }
        Ok(Ok((bytes, pairs)))
    })?;
    match found {
        Ok((bytes, pairs)) => wasi.give(bytes).map(|()| Ok(pairs)),
        Err(error) => Ok(Err(error)),
    }
}

/// Works on so many keys; a large batch lets others have the thread.
fn batch<T>(wasi: &Wasi, keys: usize, work: impl FnOnce() -> T) -> T {
    if keys < STRIDE { work() } else { wasi.holding(work) }
}

/// `set-many`: all or none.
pub fn set_many(wasi: &mut Wasi, bucket: Borrow<Bucket>, key_values: Vec<(String, Vec<u8>)>) -> Outcome<()> {
    let bucket = bucket::of(wasi, &bucket)?;
    let set = || bucket.store.set(&bucket.name, &key_values, &*wasi.deadline);
    let done = batch(wasi, key_values.len(), set);
    wasi.over()?;
    Ok(done.map_err(Error::from))
}

/// `delete-many`: those that are there.
pub fn delete_many(wasi: &mut Wasi, bucket: Borrow<Bucket>, keys: Vec<String>) -> Outcome<()> {
    let bucket = bucket::of(wasi, &bucket)?;
    let delete = || bucket.store.delete(&bucket.name, &keys, &*wasi.deadline);
    let done = batch(wasi, keys.len(), delete);
    wasi.over()?;
    Ok(done.map_err(Error::from))
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
