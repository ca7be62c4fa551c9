//! What the values of flags look like, and what is wrong with one that does not.

use mini_wasm_runtime::features::Features;
use mini_wasm_wasi::Unstable;
use std::path::PathBuf;
use std::time::Duration;

/// `--dir HOST[::GUEST[::ro]]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Directory {
    /// Its path on this machine.
    pub(crate) host: PathBuf,
    /// Its path as the guest sees it.
    pub(crate) guest: String,
    /// Nothing beneath it can be changed through it.
    pub(crate) read_only: bool,
}

pub(crate) fn directory(text: &str) -> Result<Directory, String> {
    let mut parts = text.split("::");
    let host = parts.next().unwrap_or_default();
    let guest = parts.next().unwrap_or(host);
    let read_only = match parts.next() {
        None => false,
        Some("ro") => true,
        Some(other) => {
            return Err(format!("`{other}` is not `ro`, the only thing that can follow the guest's path"));
        }
    };
    if parts.next().is_some() {
        return Err("there are more than three parts; a path with `::` in it cannot be granted".into());
    }
    if host.is_empty() || guest.is_empty() {
        return Err("a path is empty".into());
    }
    Ok(Directory { host: host.into(), guest: guest.into(), read_only })
}

/// `--env NAME[=VALUE]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// `None`: as it is here.
    pub(crate) value: Option<String>,
}

pub(crate) fn variable(text: &str) -> Result<Variable, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok(Variable { name: name.into(), value })
}

/// `--addr ADDR:PORT`, or a part of it. Whoever names no address means this machine.
pub(crate) fn address(text: &str) -> Result<core::net::SocketAddr, String> {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    const PORT: u16 = 8080;
    let unbracketed =
        |host: &str| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    let host = |host: &str| match (host, unbracketed(host)) {
        ("" | "localhost", _) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        (_, Some(inner)) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        (host, None) => host.parse().ok(),
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // A number alone is a port. With several colons and no brackets it is an address of IPv6, whole.
    let found = match (text.parse::<u16>(), text.rsplit_once(':')) {
        (Ok(port), _) => host("").map(|host| (host, port)),
        (_, Some((before, port))) if before.ends_with(']') || !before.contains(':') => match port.parse() {
            Ok(port) => host(before).map(|host| (host, port)),
            Err(_) => return Err(format!("`{port}` is no port: 0 to 65535 is wanted")),
        },
        _ => host(text).map(|host| (host, PORT)).filter(|_| !text.is_empty()),
    };
    found.map(|(host, port)| SocketAddr::new(host, port)).ok_or_else(|| {
        "an address and a port are wanted, such as `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `8080`".into()
    })
}

/// `--config NAME=VALUE`
pub(crate) fn setting(text: &str) -> Result<Variable, String> {
    match variable(text)? {
        Variable { value: None, .. } => Err("NAME=VALUE is wanted".into()),
        setting => Ok(setting),
    }
}

/// `--kv memory|file:PATH`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyValueStore {
    Memory,
    File(PathBuf),
}

pub(crate) fn keyvalue(text: &str) -> Result<KeyValueStore, String> {
    match (text, text.strip_prefix("file:")) {
        ("memory", _) => Ok(KeyValueStore::Memory),
        (_, Some(path)) if !path.is_empty() => Ok(KeyValueStore::File(path.into())),
        _ => Err("`memory` or `file:PATH` is wanted".into()),
    }
}

/// `--unstable FEATURE`
pub(crate) fn unstable(text: &str) -> Result<Unstable, String> {
    Unstable::ALL.iter().copied().find(|feature| feature.name() == text).ok_or_else(|| {
        let all: Vec<&str> = Unstable::ALL.iter().map(|feature| feature.name()).collect();
        format!("there are {}", all.join(", "))
    })
}

/// `--preload NAME=FILE`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Preload {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

pub(crate) fn preload(text: &str) -> Result<Preload, String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok(Preload { name: name.into(), file: file.into() })
        }
        _ => Err("NAME=FILE is wanted".into()),
    }
}

/// `--adapt [NAME=]FILE|KIND`
#[cfg(feature = "tools")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Adapter {
    /// Even where one is wanted.
    None,
    /// One of those that come with us.
    Builtin(BuiltinAdapter),
    File {
        /// The name under which modules import it; without one the file's name says it.
        name: Option<String>,
        file: PathBuf,
    },
}

/// What a program of WASI preview 1 becomes.
#[cfg(feature = "tools")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BuiltinAdapter {
    Command,
    Reactor,
    Proxy,
}

#[cfg(feature = "tools")]
pub(crate) fn adapter(text: &str) -> Result<Adapter, String> {
    Ok(match text {
        "" => return Err("it is empty".into()),
        "none" => Adapter::None,
        "command" => Adapter::Builtin(BuiltinAdapter::Command),
        "reactor" => Adapter::Builtin(BuiltinAdapter::Reactor),
        "proxy" => Adapter::Builtin(BuiltinAdapter::Proxy),
        text => match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Adapter::File { name: Some(name.into()), file: file.into() }
            }
            Some(_) => return Err("NAME=FILE is wanted".into()),
            None => Adapter::File { name: None, file: text.into() },
        },
    })
}

/// `-W FEATURE[=y|n]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Switch {
    /// A name of [`Features::LIST`].
    pub(crate) name: String,
    pub(crate) on: bool,
}

pub(crate) fn switch(text: &str) -> Result<Switch, String> {
    let (name, on) = text.split_once('=').unwrap_or((text, "y"));
    if !Features::LIST.iter().any(|(known, _, _)| *known == name) {
        let lead = match name {
            "help" => String::from("the proposals are:"),
            _ => format!("there is no proposal `{name}`; there are:"),
        };
        let rows = Features::LIST.iter().map(|(name, what, default)| {
            format!("\n  {name:<26}{what} ({} by default)", if *default { "on" } else { "off" })
        });
        return Err(lead + &rows.collect::<String>());
    }
    let on = match on {
        "y" | "yes" | "true" | "on" => true,
        "n" | "no" | "false" | "off" => false,
        other => return Err(format!("`{other}` is neither `y` nor `n`")),
    };
    Ok(Switch { name: name.into(), on })
}

/// A number and the unit after it.
fn number_and_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// A duration with its unit: `ns`, `us`, `ms`, `s`, `m`, `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" => return Err("the unit is missing: 100ms, 1.5s, 2m".into()),
        other => return Err(format!("`{other}` is no unit of time; there are ns, us, ms, s, m, h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    // A moment that far ahead is still one that every clock has.
    let longest = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|time| *time <= longest)
        .ok_or_else(|| "it is too long: at most 100 years".into())
}

/// A count of bytes, or with K, M, G, T (powers of 1024; `64M`, `64MB` and `64MiB` say the same).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let shift = match unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit) {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return Err(format!("`{unit}` is no unit of size; there are K, M, G, T")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{number}` is not a whole number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| "it is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_a_host_path_a_guest_path_and_ro() {
        let of = |host: &str, guest: &str, read_only| Directory {
            host: host.into(),
            guest: guest.into(),
            read_only,
        };
        assert_eq!(directory("a/b"), Ok(of("a/b", "a/b", false)));
        assert_eq!(directory("a::/"), Ok(of("a", "/", false)));
        assert_eq!(directory("a::/::ro"), Ok(of("a", "/", true)));
        assert_eq!(directory("c:d::e"), Ok(of("c:d", "e", false)));
        for wrong in ["", "::x", "a::", "a::b::rw", "a::b::ro::c"] {
            assert!(directory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        assert_eq!(variable("A=b=c"), Ok(Variable { name: "A".into(), value: Some("b=c".into()) }));
        assert_eq!(variable("A="), Ok(Variable { name: "A".into(), value: Some(String::new()) }));
        assert_eq!(variable("A"), Ok(Variable { name: "A".into(), value: None }));
        assert!(variable("=x").is_err() && variable("").is_err());
    }

    #[test]
    fn an_address_may_be_written_in_part() {
        for (text, whole) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("8080", "127.0.0.1:8080"),
            (":81", "127.0.0.1:81"),
            ("localhost:82", "127.0.0.1:82"),
            ("localhost", "127.0.0.1:8080"),
            ("[::1]:83", "[::1]:83"),
            ("[::1]", "[::1]:8080"),
            ("::1", "[::1]:8080"),
            ("::", "[::]:8080"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(text).map(|found| found.to_string()), Ok(whole.into()), "{text}");
        }
        for wrong in [
            "",
            ":",
            "x",
            "example.com:80",
            "65536",
            "localhost:65536",
            "localhost:",
            "1.2.3:80",
            "[::1",
            "[]:80",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "100", "ms", "-1s", "1d", "1.2.3s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_counts_in_powers_of_1024() {
        assert_eq!(size("4096"), Ok(4096));
        for sixty_four in ["64M", "64m", "64MB", "64MiB", "65536K"] {
            assert_eq!(size(sixty_four), Ok(64 << 20));
        }
        assert_eq!(size("2G"), Ok(2 << 30));
        for wrong in ["", "M", "1.5G", "-1", "1X", "99999999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "tools")]
    #[test]
    fn an_adapter_is_a_file_or_one_of_ours() {
        let file =
            |name: Option<&str>| Adapter::File { name: name.map(str::to_owned), file: "a.wasm".into() };
        assert_eq!(adapter("a.wasm"), Ok(file(None)));
        assert_eq!(adapter("env=a.wasm"), Ok(file(Some("env"))));
        assert_eq!(adapter("reactor"), Ok(Adapter::Builtin(BuiltinAdapter::Reactor)));
        assert_eq!(adapter("none"), Ok(Adapter::None));
        for wrong in ["", "=a.wasm", "env="] {
            assert!(adapter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_names_a_feature_of_the_runtimes_list() {
        assert_eq!(switch("multi-value"), Ok(Switch { name: "multi-value".into(), on: true }));
        assert_eq!(switch("multi-value=n"), Ok(Switch { name: "multi-value".into(), on: false }));
        assert!(switch("multi-value=maybe").is_err());
        let listed = switch("help").unwrap_err();
        for (name, _, _) in Features::LIST {
            assert!(listed.contains(name));
        }
    }
}
