//! What the flags grant to a guest of either WASI, and what it is told where that is not enough.

use crate::failure::Failure;
use crate::flags::value::{Directory, KeyValueStore};
use crate::flags::{Budgets, Grants};
use crate::output;
use crate::permissions::Permission;
use mini_wasm_jit::seal::SealKey;
use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::keyvalue::{KeyValue, Limits};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::{Capability, Wasi, WasiBuilder};
use std::ffi::OsString;
use std::sync::Arc;

/// Everything that the flags grant; output goes where ours goes.
pub(crate) fn grant(args: Vec<String>, grants: &Grants, budgets: &Budgets) -> Result<WasiBuilder, Failure> {
    let mut wasi = Wasi::builder();
    limit(&mut wasi, budgets);
    wasi.args(args).inherit_stdout().inherit_stderr();
    environment(&mut wasi, grants);
    for dir in &grants.directories {
        wasi.preopen(&dir.host, dir.guest.clone(), dir.read_only)
            .map_err(|error| Failure::Other(format!("--dir: {error}")))?;
    }
    withhold_key(&mut wasi);
    for (inner, outer) in overlaps(&grants.directories) {
        output::warn(format_args!(
            "--dir: `{inner}` lies within `{outer}`: through which of them a path goes is the guest's choice"
        ));
    }
    if grants.inherit_network || !grants.allow_http.is_empty() {
        wasi.http(&outgoing(grants)?);
    }
    for variable in &grants.config {
        wasi.config(variable.name.clone(), variable.value.clone().unwrap_or_default());
    }
    if let Some(store) = &grants.keyvalue {
        wasi.keyvalue(keyvalue(store, grants.max_keyvalue)?);
    }
    wasi.network(network(grants)?).on_refusal(Arc::new(hint));
    Ok(wasi)
}

/// Keeps the key under which artifacts are sealed from the guest, and says which directories reach what it is not handed.
fn withhold_key(wasi: &mut WasiBuilder) {
    if let Ok(key) = SealKey::user_path() {
        // The path is absolute, so nothing can fail.
        let _ = wasi.withhold(key);
    }
    for sentence in wasi.withheld() {
        output::warn(format_args!("--dir: {sentence}"));
    }
}

/// The variables. WASI's are Unicode: one of ours that is not is left out, however it was to be passed on, and told.
fn environment(wasi: &mut WasiBuilder, grants: &Grants) {
    let mut left_out = Vec::new();
    let mut pass = |wasi: &mut WasiBuilder, name: OsString, value: OsString| match (
        name.into_string(),
        value.into_string(),
    ) {
        (Ok(name), Ok(value)) => drop(wasi.env(name, value)),
        (name, _) => left_out.push(name.unwrap_or_else(|name| name.to_string_lossy().into_owned())),
    };
    if grants.inherit_env {
        std::env::vars_os().for_each(|(name, value)| pass(wasi, name, value));
    }
    for variable in &grants.variables {
        match &variable.value {
            Some(value) => drop(wasi.env(variable.name.clone(), value.clone())),
            None => {
                if let Some(value) = std::env::var_os(&variable.name) {
                    pass(wasi, variable.name.clone().into(), value);
                }
            }
        }
    }
    left_out.sort();
    left_out.dedup();
    if !left_out.is_empty() {
        output::warn(format_args!(
            "left out of the guest's environment, since WASI's variables are Unicode and these are not: {}",
            left_out.join(", ")
        ));
    }
}

/// Names of directories that lie within those of others, or are the same: guests' libraries differ in which they take.
fn overlaps(directories: &[Directory]) -> Vec<(&str, &str)> {
    let parts = |directory: &Directory| -> Vec<String> {
        let names = directory.guest.split('/').filter(|name| !matches!(*name, "" | "."));
        names.map(str::to_owned).collect()
    };
    let is_absolute = |directory: &Directory| directory.guest.starts_with('/');
    let mut found = Vec::new();
    for (at, inner) in directories.iter().enumerate() {
        for (other, outer) in directories.iter().enumerate() {
            let same_kind = is_absolute(inner) == is_absolute(outer);
            let (inside, around) = (parts(inner), parts(outer));
            // Two of one name are told once.
            if at != other && same_kind && inside.starts_with(&around) && (inside != around || at > other) {
                found.push((&*inner.guest, &*outer.guest));
            }
        }
    }
    found
}

/// What the guest may use up of the host.
fn limit(wasi: &mut WasiBuilder, budgets: &Budgets) {
    if let Some(limit) = budgets.max_handles {
        wasi.max_resources(limit);
    }
    if let Some(limit) = budgets.max_descriptors {
        wasi.max_handles(limit);
    }
    if let Some(limit) = budgets.max_poll {
        wasi.max_poll(limit);
    }
    if let Some(limit) = budgets.max_random {
        wasi.max_random_bytes(limit);
    }
    if let Some(limit) = budgets.max_header_bytes {
        wasi.max_field_bytes(size(limit));
    }
    if let Some(limit) = budgets.max_host_memory {
        wasi.max_host_memory(size(limit));
    }
}

/// A size in memory.
pub(crate) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The store of keys and values.
fn keyvalue(store: &KeyValueStore, bytes: Option<u64>) -> Result<KeyValue, Failure> {
    let usual = Limits::default();
    let limits = Limits { bytes: bytes.unwrap_or(usual.bytes), ..usual };
    match store {
        KeyValueStore::Memory => Ok(KeyValue::memory(limits)),
        KeyValueStore::File(path) if SealKey::is_user_key(path) => {
            Err(Failure::Other(format!("--kv: {} is the key that seals artifacts", path.display())))
        }
        KeyValueStore::File(path) => KeyValue::file(path, limits)
            .map_err(|error| Failure::Other(format!("--kv: cannot open {}: {error}", path.display()))),
    }
}

/// What the flags grant of the network.
fn network(grants: &Grants) -> Result<Network, Failure> {
    if grants.inherit_network {
        return Ok(Network::all());
    }
    let mut network = Network::nothing();
    for rule in &grants.allow_net {
        network.allow(rule.clone());
    }
    for name in &grants.allow_resolve {
        match &**name {
            "*" => network.allow_all_lookups(),
            name => network
                .allow_lookup(name)
                .map_err(|error| Failure::Usage(format!("--allow-resolve: {error}")))?,
        };
    }
    Ok(network)
}

/// Which requests the flags grant.
fn outgoing(grants: &Grants) -> Result<Outgoing, Failure> {
    let mut hosts = Network::nothing();
    if grants.inherit_network {
        hosts = Network::all();
    }
    for rule in &grants.allow_http {
        if rule.is_any_host() {
            // Whatever name leads to the addresses that are granted.
            hosts.allow_all_lookups();
        }
        hosts.allow(rule.clone());
    }
    let mut outgoing = Outgoing::to(hosts);
    if let Some(bytes) = grants.max_response {
        outgoing.max_body(bytes);
    }
    if let Some(answers) = grants.max_interim {
        outgoing.max_interim(answers);
    }
    for file in &grants.ca_files {
        outgoing.ca_file(file).map_err(|error| Failure::Other(format!("--ca-file: {error}")))?;
    }
    Ok(outgoing)
}

/// Names the flag that would have granted what was refused.
fn hint(kind: Capability, what: &str) {
    let (_, flag) = Permission::from(kind).text();
    output::warn(format_args!("the guest was refused {what}; {flag} grants it"));
}
