//! Who holds what of a server: connections and places for requests, all in all and by address. One address gets a share, and the last
//! ones are kept for those that hold nothing yet.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::allowance::Allowance;
use crate::http::server::Limits;
use crate::http::server::place::{End, Place};
use crate::sys::clock;

/// What one address may have in any case, however few there are.
const LEAST_SHARE: usize = 32;

/// Things of one kind of which there are only so many.
#[derive(Debug)]
struct Stock {
    most: usize,
    /// How many one address may hold.
    each: usize,
    /// The last ones, for addresses that hold none.
    kept: usize,
    taken: AtomicUsize,
}

impl Stock {
    fn new(most: usize, each: Option<usize>, kept: u8) -> Self {
        let each = each.unwrap_or_else(|| (most / 2).max(LEAST_SHARE));
        // Of very few none is kept: whoever sets such a limit counts on all of them.
        let kept = if most < 8 { 0 } else { most.saturating_mul(usize::from(kept)).div_ceil(100) };
        Self { most, each, kept, taken: AtomicUsize::new(0) }
    }

    /// Takes one for an address that holds `held`.
    fn take(&self, held: &AtomicUsize) -> bool {
        let before = held.fetch_add(1, Ordering::Relaxed);
        let left = |taken: usize| match before {
            0 => taken < self.most,
            _ => taken.saturating_add(self.kept) < self.most,
        };
        let taken = before < self.each
            && self
                .taken
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| left(taken).then_some(taken + 1))
                .is_ok();
        if !taken {
            held.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// As large a part of `whole` as one address may have of these.
    fn share(&self, whole: usize) -> usize {
        let share = whole as u128 * self.each as u128 / self.most.max(1) as u128;
        usize::try_from(share).map_or(whole, |share| share.min(whole))
    }

    fn give_back(&self, held: &AtomicUsize) {
        held.fetch_sub(1, Ordering::Relaxed);
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everybody who is connected or is being served.
#[derive(Debug)]
pub(super) struct Peers {
    known: Mutex<HashMap<IpAddr, Arc<Peer>>>,
    connections: Stock,
    requests: Stock,
    /// What is kept for all of them.
    memory: Arc<Allowance>,
    /// Told when a connection has ended.
    freed: Notify,
    /// Requests whose guests wait.
    waiting: Mutex<Vec<Weak<Place>>>,
    /// How long a request may wait for its client while another one needs its place.
    grace: Duration,
}

/// One address; of IPv6 a network of /64, which is what one host is usually given.
#[derive(Debug)]
pub(super) struct Peer {
    address: IpAddr,
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Requests that have come and not got to their guests; see `turns`.
    pub(super) on_the_way: AtomicUsize,
    /// Its connections that are not read meanwhile, and what tells one of them that it may be.
    pub(super) held_back: AtomicUsize,
    pub(super) calm: Notify,
    /// What is kept for it: of the memory for all clients as large a part as it may have of the
    /// connections.
    memory: Arc<Allowance>,
    /// Processor time that its guests have used where they compute, in nanoseconds; see `computing`.
    pub(super) computed: AtomicU64,
    /// How many of its guests are there.
    pub(super) computing: AtomicUsize,
}

fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

impl Peer {
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }
}

impl Peers {
    /// What is kept for clients is a part of `memory`.
    pub(super) fn new(limits: &Limits, memory: &Arc<Allowance>) -> Arc<Self> {
        let Limits { kept_for_new: kept, .. } = *limits;
        Arc::new(Self {
            known: Mutex::default(),
            connections: Stock::new(limits.connections, limits.connections_per_address, kept),
            requests: Stock::new(limits.requests, limits.requests_per_address, kept),
            memory: memory.clone(),
            freed: Notify::new(),
            waiting: Mutex::default(),
            grace: limits.body_grace,
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Peer>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when one more connection may be open.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            if self.connections.taken.load(Ordering::Relaxed) < self.connections.most {
                return;
            }
            freed.await;
        }
    }

    /// Counts a connection, unless this address has its share.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Connected> {
        let address = group(address);
        let mut known = self.known();
        let peer = known.entry(address).or_insert_with(|| {
            Arc::new(Peer {
                address,
                connections: AtomicUsize::new(0),
                requests: AtomicUsize::new(0),
                memory: self
                    .memory
                    .part("clients of one address", self.connections.share(self.memory.limit())),
                on_the_way: AtomicUsize::new(0),
                held_back: AtomicUsize::new(0),
                calm: Notify::new(),
                computed: AtomicU64::new(0),
                computing: AtomicUsize::new(0),
            })
        });
        let peer = self.connections.take(&peer.connections).then(|| peer.clone());
        drop(known);
        match peer {
            Some(peer) => Some(Connected { peers: self.clone(), peer }),
            None => {
                self.forget(address);
                None
            }
        }
    }

    /// An address that holds nothing is forgotten.
    fn forget(&self, address: IpAddr) {
        let mut known = self.known();
        let holds = |held: &AtomicUsize| held.load(Ordering::Relaxed) > 0;
        if known.get(&address).is_some_and(|peer| !holds(&peer.connections) && !holds(&peer.requests)) {
            known.remove(&address);
        }
    }

    /// Remembers a request whose guest waits: it may be for its client.
    pub(super) fn waits(&self, place: &Arc<Place>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == waiting.capacity() {
            waiting.retain(|place| place.strong_count() > 0);
        }
        waiting.push(Arc::downgrade(place));
    }

    /// Ends the request that has waited longest for its client, if that is too long, and frees its place. Where `peer` has its
    /// share it must be one of its own.
    fn displace(&self, peer: &Arc<Peer>) -> bool {
        let has_its_share = peer.requests.load(Ordering::Relaxed) >= self.requests.each;
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |place: &Arc<Place>| {
            let others = has_its_share && !Arc::ptr_eq(place.peer(), peer);
            if others { None } else { place.waits_since() }
        };
        let longest = waiting
            .iter()
            .filter_map(Weak::upgrade)
            .filter_map(|place| since(&place).map(|since| (since, place)))
            .min_by_key(|(since, _)| *since);
        drop(waiting);
        let Some((since, place)) = longest else { return false };
        let grace = u64::try_from(self.grace.as_nanos()).unwrap_or(u64::MAX);
        let is_too_long = clock::monotonic().saturating_sub(since) >= grace;
        if is_too_long {
            place.end(End::Displaced);
        }
        is_too_long
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected {
    peers: Arc<Peers>,
    peer: Arc<Peer>,
}

impl Connected {
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// What is kept for this address.
    pub(super) fn memory(&self) -> &Arc<Allowance> {
        &self.peer.memory
    }

    /// Takes a place for a request; if there is none, that of one that waits for its client in vain.
    pub(super) fn slot(&self) -> Option<Slot> {
        let take = || self.peers.requests.take(&self.peer.requests);
        let taken = take() || (self.peers.displace(&self.peer) && take());
        taken.then(|| Slot { peers: self.peers.clone(), peer: self.peer.clone() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.peers.connections.give_back(&self.peer.connections);
        self.peers.forget(self.peer.address);
        self.peers.freed.notify_one();
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) peers: Arc<Peers>,
    pub(super) peer: Arc<Peer>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.peers.requests.give_back(&self.peer.requests);
        if self.peer.connections.load(Ordering::Relaxed) == 0 {
            self.peers.forget(self.peer.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(limits: &Limits) -> impl Fn(&str) -> Option<Connected> {
        let peers = Peers::new(limits, &Allowance::new("clients", 1 << 20));
        move |address| peers.connect(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_the_last_are_for_new_ones() {
        let limits = Limits { connections: 10, connections_per_address: Some(6), ..Limits::default() };
        let connect = peers(&limits);
        let six: Vec<_> = (0..6).filter_map(|_| connect("10.0.0.1")).collect();
        assert_eq!(six.len(), 6);
        assert!(connect("10.0.0.1").is_none(), "its share");
        assert!(connect("::ffff:10.0.0.1").is_none(), "the same address");
        let three: Vec<_> = (0..6).filter_map(|_| connect("10.0.0.2")).collect();
        assert_eq!(three.len(), 3, "one is kept for addresses that hold none");
        let last = connect("10.0.0.3");
        assert!(last.is_some());
        assert!(connect("10.0.0.4").is_none(), "there are no more");
        drop(six);
        assert!(connect("10.0.0.4").is_some() && connect("10.0.0.1").is_some());
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let limits = Limits { connections: 4, connections_per_address: Some(1), ..Limits::default() };
        let connect = peers(&limits);
        let one = connect("2001:db8::1");
        assert!(one.is_some() && connect("2001:db8::2").is_none());
        assert!(connect("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn whoever_holds_nothing_is_forgotten() {
        let memory = Allowance::new("clients", 1 << 20);
        let peers = Peers::new(&Limits { requests: 2, ..Limits::default() }, &memory);
        let connected = peers.connect("10.0.0.1".parse().unwrap()).unwrap();
        let (one, two) = (connected.slot().unwrap(), connected.slot().unwrap());
        assert!(connected.slot().is_none());
        drop(one);
        drop(connected);
        assert_eq!(peers.known().len(), 1, "a request goes on without its connection");
        drop(two);
        assert_eq!(peers.known().len(), 0);
        assert_eq!(peers.requests.taken.load(Ordering::Relaxed), 0);
        assert_eq!(peers.connections.taken.load(Ordering::Relaxed), 0);
    }
}
