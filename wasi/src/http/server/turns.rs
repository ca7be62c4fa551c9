//! Whose request gets to its guest next, where one address has many on the way: the network's
//! threads would take them in the order in which they came, and who comes after a burst would wait
//! for all.
//!
//! The requests of an address that has few on the way go to their guests at once. Those of one that
//! has many wait here, and get turns one address after the other, a few at a time; a turn is over
//! when the guest first waits, computes for long, or has ended. Meanwhile nothing more is read of
//! its connections: what is read becomes tasks, and who comes next would stand behind all of them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::http::server::peers::Peer;

/// How many requests of an address may be on the way to their guests before they wait for each
/// other.
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
pub(super) struct OnTheWay {
    peer: Arc<Peer>,
    is_counted: bool,
}

impl OnTheWay {
    pub(super) fn new(peer: &Arc<Peer>) -> Self {
        let mut new = Self { peer: peer.clone(), is_counted: false };
        new.goes_on();
        new
    }

    /// It waits for something else: its client.
    pub(super) fn rests(&mut self) {
        if core::mem::take(&mut self.is_counted) {
            self.peer.on_the_way.fetch_sub(1, Ordering::SeqCst);
            call(&self.peer);
        }
    }

    /// It is on the way again, if it rested.
    pub(super) fn goes_on(&mut self) {
        if !core::mem::replace(&mut self.is_counted, true) {
            self.peer.on_the_way.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.rests();
    }
}

/// Whether an address has so many on the way that they wait for each other.
pub(super) fn is_crowded(peer: &Peer) -> bool {
    peer.on_the_way.load(Ordering::SeqCst) > FEW
}

/// Lets one connection of an address go on that has waited for this, if the address is no longer
/// crowded.
fn call(peer: &Peer) {
    if peer.held_back.load(Ordering::SeqCst) > 0 && !is_crowded(peer) {
        peer.calm.notify_one();
    }
}

/// Waits until an address is no longer crowded. Whoever has waited calls the next one when it has
/// read, by dropping what it gets.
pub(super) async fn calm(peer: Arc<Peer>) -> Calm {
    peer.held_back.fetch_add(1, Ordering::SeqCst);
    let calm = Calm(peer);
    while is_crowded(&calm.0) {
        calm.0.calm.notified().await;
    }
    calm
}

/// The leave to read of a connection.
#[derive(Debug)]
pub(super) struct Calm(Arc<Peer>);

impl Drop for Calm {
    fn drop(&mut self) {
        self.0.held_back.fetch_sub(1, Ordering::SeqCst);
        call(&self.0);
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
        let peer = &request.peer;
        if !is_crowded(peer) {
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
