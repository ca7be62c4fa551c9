//! `wasi:config/store`: values by their names, none by default. Both names that programs import it under have the same functions.

use mini_wasm_canonical_abi::variant;

use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:config/store@0.2.0-rc.1";
    func get(key);
    func get_all();
}

/// The same under the name that it had before.
pub mod draft {
    use super::{get, get_all};
    use crate::interface::interface;

    interface! {
        "wasi:config/store@0.2.0-draft";
        func get(key);
        func get_all();
    }
}

variant! {
    /// `error`: never given, since the values are at hand.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Error = "error" {
        /// Whoever keeps the values failed.
        Upstream(String),
        /// The way there failed.
        Io(String),
    }
}

/// `get`.
pub fn get(wasi: &mut Wasi, key: String) -> Result<Result<Option<String>, Error>, Stop> {
    let found = wasi.config.iter().find(|(name, _)| *name == key);
    Ok(Ok(found.map(|(_, value)| value.clone())))
}

/// `get-all`.
pub fn get_all(wasi: &mut Wasi) -> Result<Result<Vec<(String, String)>, Error>, Stop> {
    Ok(Ok(wasi.config.clone()))
}
