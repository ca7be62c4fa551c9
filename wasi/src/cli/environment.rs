//! `wasi:cli/environment`: what the embedder chose to tell; empty by default.

use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:cli/environment@0.2.12";
    func get_environment();
    func get_arguments();
    func initial_cwd();
}

/// `get-environment`.
pub fn get_environment(wasi: &mut Wasi) -> Result<Vec<(String, String)>, Stop> {
    Ok(wasi.env.clone())
}

/// `get-arguments`: the first is the program's name.
pub fn get_arguments(wasi: &mut Wasi) -> Result<Vec<String>, Stop> {
    Ok(wasi.args.clone())
}

/// `initial-cwd`.
pub fn initial_cwd(wasi: &mut Wasi) -> Result<Option<String>, Stop> {
    Ok(wasi.initial_cwd.clone())
}
