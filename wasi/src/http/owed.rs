//! What the host keeps because of a client of a server: on the allowance of its connection, which is a part of that of all clients.
//!
//! Charged are the connection itself, what has come and no guest has seen, requests under way, answers that wait in their queues until
//! the client takes them, and what hyper has been given and the system has not taken. A connection that has much of this begins no
//! more requests until the client takes something; answers of which it takes nothing for too long are given up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use hyper::{Response, Uri};
use tokio::time::{sleep, timeout_at};

use crate::allowance::{Allowance, Charge};
use crate::http::body::{BodyWriter, OutBody};

/// A connection: its task, its buffers, what the protocol keeps of it.
const CONNECTION: usize = 16 << 10;
/// A request under way, beside its fields. The protocol keeps the room of as many as there were at
/// once.
const REQUEST: usize = 4 << 10;
/// How much hyper reads ahead of what it has made a request of.
const READ_AHEAD: usize = 64 << 10;
/// A field, beside its name and value.
const FIELD: usize = 64;

/// A connection.
#[derive(Debug)]
pub(crate) struct Owed {
    /// What all clients have.
    clients: Arc<Allowance>,
    memory: Arc<Allowance>,
    /// The part of it that answers take, and how much that may be before no more requests are begun.
    outgoing: Arc<Allowance>,
    most: usize,
    /// There was no memory for a request.
    refused: AtomicBool,
    /// For the connection itself, and the requests that it ever had at once.
    own: Mutex<Charge>,
    /// What was read since it was last idle.
    came: Mutex<Charge>,
    /// The heads of answers that hyper has.
    heads: Mutex<Charge>,
    /// How many requests are under way, and the answers that are not taken whole, as far as they are there still.
    answers: Mutex<(usize, Vec<Weak<BodyWriter>>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request under way.
pub(crate) struct Asking<'o> {
    owed: &'o Owed,
    _charge: Charge,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(&self.owed.answers).0 -= 1;
    }
}

/// About how much fields take.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| FIELD + name.as_str().len() + value.len()).sum()
}

impl Owed {
    /// A connection that keeps about `most` bytes of answers; `None` if there is no memory left for
    /// it in that of its `address`, which is a part of what all `clients` have.
    pub(crate) fn new(clients: &Arc<Allowance>, address: &Arc<Allowance>, most: usize) -> Option<Arc<Self>> {
        let memory = address.part("a client of the server", usize::MAX);
        let outgoing = memory.part("answers to a client of the server", usize::MAX);
        let own = memory.charged(CONNECTION).ok()?;
        let (came, heads) = (Mutex::new(memory.charge()), Mutex::new(outgoing.charge()));
        Some(Arc::new(Self {
            clients: clients.clone(),
            memory,
            outgoing,
            most,
            refused: AtomicBool::new(false),
            own: Mutex::new(own),
            came,
            heads,
            answers: Mutex::default(),
        }))
    }

    /// Bytes have come. False if there is no memory for them.
    pub(crate) fn came(&self, bytes: usize) -> bool {
        let mut came = lock(&self.came);
        let more = bytes.min(READ_AHEAD.saturating_sub(came.bytes()));
        more == 0 || came.grow(more)
    }

    /// The system has taken bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        lock(&self.heads).shrink(bytes);
    }

    /// The system has taken all there was.
    pub(crate) fn flushed(&self) {
        lock(&self.heads).shrink(usize::MAX);
        if lock(&self.answers).0 == 0 {
            lock(&self.came).shrink(usize::MAX);
        }
    }

    /// Whether the client has to take something before it gets more.
    pub(crate) fn is_full(&self) -> bool {
        self.outgoing.used() >= self.most
    }

    /// Waits until it is not full; false if that takes too long.
    pub(crate) async fn room(&self, until: Instant) -> bool {
        while self.is_full() {
            let freed = self.outgoing.freed();
            if self.is_full() && timeout_at(until.into(), freed).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether there was no memory for a request of it: it should end, since what the protocol
    /// keeps of it is there all the same.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// A request begins; `None` if there is no memory for it.
    pub(crate) fn asks(&self, uri: &Uri, headers: &HeaderMap) -> Option<Asking<'_>> {
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
        let asking = self.begin(path + size(headers));
        if asking.is_none() {
            self.refused.store(true, Ordering::Relaxed);
        }
        asking
    }

    /// A request whose head has so many bytes.
    fn begin(&self, head: usize) -> Option<Asking<'_>> {
        let charge = self.memory.charged(head).ok()?;
        let mut answers = lock(&self.answers);
        let mut own = lock(&self.own);
        let room = CONNECTION + REQUEST * (answers.0 + 1);
        if own.bytes() < room && !own.resize(room) {
            return None;
        }
        answers.0 += 1;
        Some(Asking { owed: self, _charge: charge })
    }

    /// Bytes of a body of a request that may be kept until the guest reads them; `None` if there is no memory for them.
    pub(crate) fn body(&self, bytes: usize) -> Option<Charge> {
        self.memory.charged(bytes).ok()
    }

    /// From now on this connection answers for what is kept of an answer. False if there is no memory for it: of the last half of what
    /// all clients have, nothing is for one that has its share.
    pub(crate) fn answers(self: &Arc<Self>, response: &Response<OutBody>) -> bool {
        if self.is_full() && self.clients.used() > self.clients.limit() / 2 {
            return false;
        }
        let writer = response.body().writer();
        let head = lock(&self.heads).grow(size(response.headers()));
        if !head || !writer.send_to(self, &self.outgoing) {
            return false;
        }
        let (_, answers) = &mut *lock(&self.answers);
        if answers.len() == answers.capacity() {
            answers.retain(|answer| answer.strong_count() > 0);
        }
        answers.push(Arc::downgrade(&writer));
        true
    }

    /// Gives answers up of which nothing was taken for as long as `patience`; returns if the client took nothing of any.
    pub(crate) async fn watch(&self, patience: Duration) {
        loop {
            sleep((patience / 4).max(Duration::from_millis(10))).await;
            let answers: Vec<_> = lock(&self.answers).1.iter().filter_map(Weak::upgrade).collect();
            let late: Vec<_> =
                answers.iter().filter(|answer| answer.waits().is_some_and(|time| time >= patience)).collect();
            late.iter().for_each(|answer| answer.give_up());
            if !late.is_empty() && late.len() == answers.len() {
                return;
            }
        }
    }
}
