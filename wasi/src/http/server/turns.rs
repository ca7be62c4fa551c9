//! Whose request gets to its guest next, where one address has many on the way: the network's threads would take them in the order
//! in which they came, and who comes after a burst would wait for all of it.
//!
//! The requests of an address that has few on the way go to their guests at once. Those of one that has many wait here, and so do its
//! connections before more is read of them; they get turns one address after the other, a few at a time. The turn of a request is
//! over when its guest first waits, computes for long, or has ended.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::http::server::peers::Peer;

/// How many requests of an address may be on the way to their guests before they wait for each other.
const FEW: usize = 32;

/// The turns of those that wait for each other.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
    at_once: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Turns that are taken.
    taken: usize,
    /// Who waits, by address, and the addresses in the order of their next turns.
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
    order: VecDeque<IpAddr>,
}

impl State {
    /// Whose turn it is next.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let address = self.order.pop_front()?;
        let Entry::Occupied(mut waiting) = self.waiting.entry(address) else { return None };
        let next = waiting.get_mut().pop_front();
        match waiting.get().is_empty() {
            true => drop(waiting.remove()),
            false => self.order.push_back(address),
        }
        next
    }
}

/// A turn; over when it is dropped. `None`: nobody waits for it.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Turns>>);

/// A request on the way to its guest.
#[derive(Debug)]
pub(super) struct OnTheWay(Arc<Peer>);

impl OnTheWay {
    pub(super) fn new(peer: &Arc<Peer>) -> Self {
        peer.on_the_way.fetch_add(1, Ordering::Relaxed);
        Self(peer.clone())
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.0.on_the_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), at_once: at_once.max(1) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn for this request.
    pub(super) async fn turn(self: &Arc<Self>, request: &OnTheWay) -> Turn {
        self.turn_of(&request.0).await
    }

    /// Whether an address has to wait for turns.
    pub(super) fn is_crowded(peer: &Peer) -> bool {
        peer.on_the_way.load(Ordering::Relaxed) > FEW
    }

    /// A turn for this address.
    pub(super) async fn turn_of(self: &Arc<Self>, peer: &Peer) -> Turn {
        if !Self::is_crowded(peer) {
            return Turn(None);
        }
        let given = {
            let mut state = self.state();
            if state.taken < self.at_once {
                state.taken += 1;
                return Turn(Some(self.clone()));
            }
            let (give, given) = oneshot::channel();
            let State { waiting, order, .. } = &mut *state;
            let own = waiting.entry(peer.address()).or_insert_with(|| {
                order.push_back(peer.address());
                VecDeque::new()
            });
            own.push_back(give);
            given
        };
        given.await.unwrap_or(Turn(None))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        let mut state = turns.state();
        while let Some(next) = state.next() {
            // Who has gone meanwhile gives it back, which must not end that turn once more.
            match next.send(Turn(Some(turns.clone()))) {
                Ok(()) => return,
                Err(mut turn) => turn.0 = None,
            }
        }
        state.taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::future::Future;

    use super::*;
    use crate::allowance::Allowance;
    use crate::http::server::Limits;
    use crate::http::server::peers::Peers;

    fn poll<T>(future: core::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn addresses_with_many_requests_take_turns_and_one_with_few_waits_for_nobody() {
        let peers = Peers::new(&Limits::default(), &Allowance::new("clients", 1 << 20));
        let connected =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| peers.connect(ip.parse().unwrap()).unwrap());
        let [busy, other, few] = connected.each_ref().map(|connected| connected.peer());
        let turns = Turns::new(1);
        let many: Vec<_> = (0..FEW + 1).map(|_| (OnTheWay::new(busy), OnTheWay::new(other))).collect();
        let first = poll(pin!(turns.turn(&many[0].0))).expect("nobody is before it");
        let mut second = pin!(turns.turn(&many[1].0));
        let mut third = Box::pin(turns.turn(&many[2].0));
        let mut fourth = pin!(turns.turn(&many[3].0));
        let mut others = pin!(turns.turn(&many[0].1));
        assert!(poll(second.as_mut()).is_none());
        assert!(poll(third.as_mut()).is_none());
        assert!(poll(fourth.as_mut()).is_none());
        assert!(poll(others.as_mut()).is_none());
        assert!(poll(pin!(turns.turn(&OnTheWay::new(few)))).is_some());
        drop(first);
        let turn = poll(second.as_mut()).expect("it came first");
        assert!(poll(others.as_mut()).is_none());
        // One that goes away, waiting or with its turn, leaves it to the next.
        drop(turn);
        let turn = poll(others.as_mut()).expect("the other address is next");
        drop(third);
        drop(turn);
        drop(poll(fourth.as_mut()).expect("the one before has gone"));
        let state = turns.state();
        assert_eq!((state.taken, state.order.len(), state.waiting.len()), (0, 0, 0));
    }
}
