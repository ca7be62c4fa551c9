//! What a guest may do with the network: rules over addresses, and the names that may be looked up.
//!
//! Nothing by default. A rule grants the use of addresses: those that a guest binds, connects to, sends to or
//! receives from. A rule with a name also grants the lookup of that name, and then the addresses it had in the lookup, each
//! checked again: a name that leads to this machine, to the link or to no single host grants nothing, so whoever controls
//! a name server gains no way inside. Only `localhost` may mean this machine.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What a socket is about to be used for, each checked on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketUse {
    /// Bind a TCP socket to this local address.
    TcpBind,
    /// Listen at this local address.
    TcpListen,
    /// Take a connection that this peer made.
    TcpAccept,
    /// Connect to this peer.
    TcpConnect,
    /// Bind a UDP socket to this local address.
    UdpBind,
    /// Send to this peer.
    UdpSend,
    /// Receive from this peer.
    UdpReceive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    /// An address and how many of its first bits count.
    Net(IpAddr, u8),
    /// In lower case.
    Name(String),
}

/// `[ADDR|CIDR|NAME][:PORT]`: what `--allow-net=` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetRule {
    host: Host,
    port: Option<u16>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotARule(String);

impl fmt::Display for NotARule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotARule {}

impl NetRule {
    /// Every address and port.
    pub const ANY: Self = Self { host: Host::Any, port: None };

    /// Whether it names no host: all of them, at one port or at all.
    pub fn is_any_host(&self) -> bool {
        self.host == Host::Any
    }

    fn covers(&self, address: &SocketAddr) -> bool {
        self.port.is_none_or(|port| port == address.port())
            && match &self.host {
                Host::Any => true,
                Host::Net(net, bits) => contains(*net, *bits, address.ip()),
                Host::Name(_) => false,
            }
    }
}

impl FromStr for NetRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let wrong = |why: &str| NotARule(format!("`{text}`: {why}"));
        if text.contains("://") {
            return Err(wrong("a host and its port are wanted, not a URL"));
        }
        let port = |port: &str| port.parse().map_err(|_| wrong("the port is no number below 65536"));
        // `::1` is an address and `[::1]:80` one with a port.
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("`]` is missing"))?;
            match rest.strip_prefix(':') {
                Some(rest) => (host, Some(port(rest)?)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong("after `]` only `:PORT` can stand")),
            }
        } else if text.matches(':').count() == 1 {
            let (host, rest) = text.split_once(':').ok_or_else(|| wrong("the port is missing"))?;
            (host, Some(port(rest)?))
        } else {
            (text, None)
        };
        if host.is_empty() || host == "*" {
            return Ok(Self { host: Host::Any, port });
        }
        let (address, bits) = match host.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (host, None),
        };
        let host = match (address.parse::<IpAddr>(), bits) {
            (Ok(address), bits) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most);
                let bits: u8 = bits.ok_or_else(|| wrong("the prefix is longer than the address"))?;
                match (address.to_canonical(), bits.checked_sub(128 - 32)) {
                    // IPv4 in IPv6's clothes.
                    (v4 @ IpAddr::V4(_), Some(bits)) if address.is_ipv6() => Host::Net(v4, bits),
                    (_, _) => Host::Net(address, bits),
                }
            }
            (Err(_), None) => Host::Name(name(host).ok_or_else(|| wrong("neither an address nor a name"))?),
            (Err(_), Some(_)) => return Err(wrong("the part before `/` is no address")),
        };
        Ok(Self { host, port })
    }
}

/// A host's name in lower case, if `text` can be one: labels of letters, digits, `-` and `_`, at most 253 bytes.
pub(crate) fn name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name of digits alone at its end would be read as an address by some resolvers.
    let last = text.rsplit('.').next().unwrap_or_default();
    let like_address = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    (text.len() <= 253 && text.split('.').all(label) && !like_address).then(|| text.to_ascii_lowercase())
}

fn contains(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    let same = |a: &[u8], b: &[u8]| {
        a.iter().zip(b).enumerate().all(|(at, (a, b))| {
            let left = usize::from(bits).saturating_sub(at * 8).min(8);
            let mask = (0xff00_u16 >> left) as u8;
            a & mask == b & mask
        })
    };
    match (net.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(net), IpAddr::V4(address)) => same(&net.octets(), &address.octets()),
        (IpAddr::V6(net), IpAddr::V6(address)) => same(&net.octets(), &address.octets()),
        _ => false,
    }
}

/// Whether an address that a name led to may be used for that: one single host beyond this machine and its links.
fn is_remote(address: IpAddr) -> bool {
    let is_beyond = match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local())
        }
    };
    is_beyond && !is_own(address)
}

/// Whether it is an address of this machine: then the system talks to it from itself. Nothing is
/// sent.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = || {
        let socket = UdpSocket::bind((any, 0))?;
        // Any port will do.
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    from().is_ok_and(|from| from.ip() == address)
}

/// Which names may be looked up.
#[derive(Debug, Clone, Default)]
struct Names {
    all: bool,
    names: Vec<String>,
}

/// What a guest may do with the network. Nothing, until something is allowed.
#[derive(Debug, Clone, Default)]
pub struct Network {
    rules: Vec<NetRule>,
    lookups: Names,
    /// Addresses that names of rules have led to, with the ports that those rules grant.
    found: BTreeMap<IpAddr, Vec<Option<u16>>>,
}

/// How many addresses found by lookups are remembered.
const MAX_FOUND: usize = 1024;

impl Network {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Everything: all addresses and all lookups.
    pub fn all() -> Self {
        let mut all = Self::nothing();
        all.allow(NetRule::ANY).allow_all_lookups();
        all
    }

    /// Grants what a rule says.
    pub fn allow(&mut self, rule: NetRule) -> &mut Self {
        self.rules.push(rule);
        self
    }

    /// Grants the lookup of one name; not the use of what it leads to.
    ///
    /// # Errors
    /// If it is no name.
    pub fn allow_lookup(&mut self, text: &str) -> Result<&mut Self, NotARule> {
        let name = name(text).ok_or_else(|| NotARule(format!("`{text}` is no name of a host")))?;
        self.lookups.names.push(name);
        Ok(self)
    }

    /// Grants the lookup of every name.
    pub fn allow_all_lookups(&mut self) -> &mut Self {
        self.lookups.all = true;
        self
    }

    /// Whether anything at all is granted that takes a socket.
    pub(crate) fn allows_sockets(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a name, in lower case, may be looked up.
    pub(crate) fn allows_lookup(&self, name: &str) -> bool {
        self.lookups.all
            || self.lookups.names.iter().any(|known| known == name)
            || self.rules.iter().any(|rule| matches!(&rule.host, Host::Name(known) if known == name))
    }

    /// Remembers where a name led to, for the rules that name it.
    pub(crate) fn found(&mut self, name: &str, addresses: &[IpAddr]) {
        let is_named = |rule: &&NetRule| matches!(&rule.host, Host::Name(known) if known == name);
        if !self.rules.iter().any(|rule| is_named(&rule)) {
            return;
        }
        let local = name == "localhost" || name.ends_with(".localhost");
        for address in addresses {
            let granted = is_remote(*address) || (local && address.to_canonical().is_loopback());
            if !granted || (self.found.len() >= MAX_FOUND && !self.found.contains_key(address)) {
                continue;
            }
            let ports = self.found.entry(address.to_canonical()).or_default();
            for rule in self.rules.iter().filter(is_named) {
                if !ports.contains(&rule.port) {
                    ports.push(rule.port);
                }
            }
        }
    }

    /// Whether a socket may be used so.
    pub(crate) fn allows(&self, socket_use: SocketUse, address: &SocketAddr) -> bool {
        let covered = || {
            self.rules.iter().any(|rule| rule.covers(address))
                || self.found.get(&address.ip().to_canonical()).is_some_and(|ports| {
                    ports.iter().any(|port| port.is_none_or(|port| port == address.port()))
                })
        };
        match socket_use {
            // Any address and any port: what the system would do by itself before it connects or sends. To
            // listen there is a check of its own, to receive as well.
            SocketUse::TcpBind | SocketUse::UdpBind
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                self.allows_sockets()
            }
            // Who listens at a granted address takes whoever comes.
            SocketUse::TcpAccept => true,
            _ => covered(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> NetRule {
        text.parse().unwrap()
    }

    fn network(rules: &[&str]) -> Network {
        let mut network = Network::nothing();
        rules.iter().for_each(|text| {
            network.allow(rule(text));
        });
        network
    }

    fn connects(network: &Network, address: &str) -> bool {
        network.allows(SocketUse::TcpConnect, &address.parse().unwrap())
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        assert_eq!(rule("*"), NetRule::ANY);
        assert_eq!(rule(":80"), NetRule { host: Host::Any, port: Some(80) });
        assert_eq!(rule("::1").port, None);
        assert_eq!(
            rule("[::1]:80"),
            NetRule { host: Host::Net("::1".parse().unwrap(), 128), port: Some(80) }
        );
        assert_eq!(rule("Example.COM.:443").host, Host::Name("example.com".into()));
        for wrong in
            ["a:b", "1.2.3.4/33", "x/8", "[::1", "[::1]x", "a b", "-a", "a..b", "1.2.3", "1.2.3.4:65536"]
        {
            assert!(wrong.parse::<NetRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_allowed_but_what_a_rule_covers() {
        assert!(!connects(&Network::nothing(), "1.2.3.4:80"));
        assert!(connects(&Network::all(), "127.0.0.1:80"));
        let some = network(&["10.1.0.0/16:80", "192.168.7.9", "fd00::/8", ":53", "::ffff:172.16.0.0/112"]);
        for (address, allowed) in [
            ("10.1.255.255:80", true),
            ("10.1.0.1:81", false),
            ("10.2.0.1:80", false),
            ("192.168.7.9:1", true),
            ("192.168.7.8:1", false),
            ("[fd12::1]:9", true),
            ("[fe80::1]:9", false),
            ("8.8.8.8:53", true),
            // The same host in other clothes.
            ("[::ffff:192.168.7.9]:1", true),
            ("[::ffff:192.168.7.8]:1", false),
            ("172.16.9.9:1", true),
            ("172.17.9.9:1", false),
        ] {
            assert_eq!(connects(&some, address), allowed, "{address}");
        }
    }

    #[test]
    fn a_name_grants_the_addresses_it_leads_to_unless_they_lead_inside() {
        let mut network = network(&["db.example:5432"]);
        assert!(network.allows_lookup("db.example") && !network.allows_lookup("example"));
        assert!(!connects(&network, "93.184.216.34:5432"));
        let addresses = [
            "93.184.216.34",
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
        ];
        network.found("db.example", &addresses.map(|text| text.parse().unwrap()));
        network.found("evil.example", &["10.0.0.1".parse().unwrap()]);
        assert!(connects(&network, "93.184.216.34:5432"));
        for refused in
            ["93.184.216.34:22", "127.0.0.1:5432", "169.254.169.254:5432", "[::1]:5432", "10.0.0.1:5432"]
        {
            assert!(!connects(&network, refused), "{refused}");
        }
    }

    #[test]
    fn a_name_that_leads_to_an_address_of_this_machine_grants_nothing() {
        // The address from which others would be asked; nothing is sent.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_err() {
            eprintln!("skipped: this machine has no address but that of the loopback");
            return;
        }
        let own = socket.local_addr().unwrap().ip();
        let mut network = network(&["db.example"]);
        network.found("db.example", &[own, "93.184.216.34".parse().unwrap()]);
        assert!(!connects(&network, &format!("{own}:80")));
        assert!(connects(&network, "93.184.216.34:80"));
    }

    #[test]
    fn only_localhost_may_mean_this_machine() {
        let mut network = network(&["localhost:80"]);
        network.found("localhost", &["127.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap()]);
        assert!(connects(&network, "127.0.0.1:80"));
        assert!(!connects(&network, "127.0.0.1:81"));
    }

    #[test]
    fn a_way_out_grants_no_way_in() {
        let out = network(&["93.184.216.34:443"]);
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        assert!(out.allows(SocketUse::TcpBind, &any) && out.allows(SocketUse::UdpBind, &any));
        assert!(!out.allows(SocketUse::TcpListen, &"0.0.0.0:40000".parse().unwrap()));
        assert!(!out.allows(SocketUse::TcpBind, &"0.0.0.0:80".parse().unwrap()));
        assert!(!out.allows(SocketUse::UdpReceive, &"8.8.8.8:53".parse().unwrap()));
        assert!(!Network::nothing().allows(SocketUse::TcpBind, &any));
    }
}
