//! `mini-wasm inspect --permissions`: what a file can ask of whoever runs it, by what it imports, and the flag that grants each.
//!
//! What a program does not import it cannot do. What it imports it may never use: this is the most it can ask for.

use crate::failure::Failure;
use crate::guest::unversioned;
use crate::proposals::{refused, warn_of_wasi_03};
use mini_wasm_runtime::component::{Component, ExternType};
use mini_wasm_runtime::{Engine, Module};
use mini_wasm_wasi::{Capability, preview1};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Something that is granted or given, in the order in which it is listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Permission {
    Files,
    Environment,
    Sockets,
    Lookups,
    Http,
    Requests,
    Config,
    KeyValue,
    Arguments,
    Streams,
    Clocks,
    Random,
    Nothing,
    Unknown,
}

impl From<Capability> for Permission {
    fn from(refused: Capability) -> Self {
        match refused {
            Capability::Network => Self::Sockets,
            Capability::Resolve => Self::Lookups,
            Capability::Http => Self::Http,
            Capability::KeyValue => Self::KeyValue,
        }
    }
}

impl Permission {
    /// What it is, and how it is granted.
    pub(crate) fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Files => ("files and directories", "--dir HOST[::GUEST[::ro]]"),
            Self::Environment => ("environment variables", "--env NAME[=VALUE], --inherit-env"),
            Self::Sockets => ("sockets", "--allow-net[=ADDR|CIDR|NAME[:PORT]]"),
            Self::Lookups => ("the lookup of names", "--allow-resolve[=NAME]"),
            Self::Http => ("requests to hosts", "--allow-http[=HOST[:PORT]]"),
            Self::Requests => ("requests and answers", "given, to make them and by `mini-wasm serve`"),
            Self::Config => ("configuration", "--config NAME=VALUE"),
            Self::KeyValue => ("a store of keys and values", "--kv memory|file:PATH"),
            Self::Arguments => ("arguments", "given: the words after FILE"),
            Self::Streams => ("standard streams", "given"),
            Self::Clocks => ("clocks", "given"),
            Self::Random => ("random numbers", "given"),
            Self::Nothing => ("waiting, errors, its own end", "given"),
            Self::Unknown => {
                ("what mini-wasm does not have", "not to be granted: --stub-missing runs it anyway")
            }
        }
    }

    /// That of a function of an interface, named without its version.
    fn of(interface: &str, function: &str) -> Self {
        match (interface, function) {
            ("wasi:cli/environment", "get-environment" | "initial-cwd") => Self::Environment,
            ("wasi:cli/environment", _) => Self::Arguments,
            ("wasi:cli/exit" | "wasi:io/error" | "wasi:io/poll", _) => Self::Nothing,
            ("wasi:io/streams", _) => Self::Streams,
            ("wasi:http/outgoing-handler", _) => Self::Http,
            ("wasi:sockets/ip-name-lookup", _) => Self::Lookups,
            _ => match interface.split('/').next() {
                Some("wasi:cli") => Self::Streams,
                Some("wasi:filesystem") => Self::Files,
                Some("wasi:sockets") => Self::Sockets,
                Some("wasi:http") => Self::Requests,
                Some("wasi:clocks") => Self::Clocks,
                Some("wasi:random") => Self::Random,
                Some("wasi:config") => Self::Config,
                Some("wasi:keyvalue") => Self::KeyValue,
                _ => Self::Unknown,
            },
        }
    }

    /// That of a function of preview 1.
    fn of_preview1(function: &str) -> Self {
        match function {
            "args_get" | "args_sizes_get" => Self::Arguments,
            "environ_get" | "environ_sizes_get" => Self::Environment,
            "clock_res_get" | "clock_time_get" => Self::Clocks,
            "random_get" => Self::Random,
            // Of the standard streams too.
            "fd_close"
            | "fd_fdstat_get"
            | "fd_fdstat_set_flags"
            | "fd_filestat_get"
            | "fd_read"
            | "fd_renumber"
            | "fd_seek"
            | "fd_tell"
            | "fd_write" => Self::Streams,
            "poll_oneoff" | "proc_exit" | "proc_raise" | "sched_yield" => Self::Nothing,
            function if function.starts_with("fd_") || function.starts_with("path_") => Self::Files,
            function if function.starts_with("sock_") => Self::Sockets,
            _ => Self::Unknown,
        }
    }
}

/// Which functions of which imports, by what they ask for.
type Asked = BTreeMap<Permission, BTreeMap<String, Vec<String>>>;

fn add(asked: &mut Asked, permission: Permission, import: &str, function: &str) {
    let functions = asked.entry(permission).or_default().entry(import.to_owned()).or_default();
    if !function.is_empty() {
        functions.push(function.to_owned());
    }
}

/// What a component can ask for, as text.
pub(crate) fn of_component(name: &str, bytes: &[u8], engine: &Engine) -> Result<String, Failure> {
    let component = Component::new(engine, bytes).map_err(refused(name, engine, bytes))?;
    warn_of_wasi_03(name, bytes);
    let known = mini_wasm_wasi::functions();
    let mut asked = Asked::new();
    for (import, ty) in component.imports() {
        let interface = unversioned(import);
        match ty {
            ExternType::Instance(ty) => {
                for (function, ty) in &ty.exports {
                    if !matches!(ty, ExternType::Func(_)) {
                        continue;
                    }
                    let ours = known
                        .iter()
                        .any(|known| known.name == **function && unversioned(&known.interface) == interface);
                    let permission = match ours {
                        true => Permission::of(interface, function),
                        false => Permission::Unknown,
                    };
                    add(&mut asked, permission, import, function);
                }
            }
            ExternType::Type(_) => {}
            _ => add(&mut asked, Permission::Unknown, import, ""),
        }
    }
    Ok(print(name, &asked))
}

/// What a core module can ask for, as text.
pub(crate) fn of_module(name: &str, bytes: &[u8], engine: &Engine) -> Result<String, Failure> {
    let module = Module::new(engine, bytes).map_err(refused(name, engine, bytes))?;
    let mut asked = Asked::new();
    for (from, function, _) in module.imports() {
        let known = preview1::FUNCTIONS.iter().any(|known| known.name == function);
        let permission = match from {
            preview1::SNAPSHOT | preview1::UNSTABLE if known => Permission::of_preview1(function),
            _ => Permission::Unknown,
        };
        add(&mut asked, permission, from, function);
    }
    Ok(print(name, &asked))
}

fn print(name: &str, asked: &Asked) -> String {
    if asked.is_empty() {
        return format!("{name} can ask for nothing: it imports no function\n");
    }
    let mut text = format!("{name} can ask for\n");
    for (permission, imports) in asked {
        let (what, how) = permission.text();
        let _ = writeln!(text, "  {what} ({how})");
        for (import, functions) in imports {
            // What a resource's methods are called, their brackets say nothing to whoever reads this.
            let plain =
                |name: &String| name.split_once(']').map_or(name.clone(), |(_, name)| name.to_owned());
            let functions: Vec<String> = functions.iter().map(plain).collect();
            let _ = writeln!(text, "    {import} {}", functions.join(" "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_host_has_is_granted_or_given_somehow() {
        for function in mini_wasm_wasi::functions() {
            assert_ne!(
                Permission::of(unversioned(&function.interface), &function.name),
                Permission::Unknown,
                "{function:?}"
            );
        }
        for function in preview1::FUNCTIONS {
            assert_ne!(Permission::of_preview1(function.name), Permission::Unknown, "{}", function.name);
        }
    }
}
