//! A request's place among those that are served: held by its guest and by its answer, and lost when its client has gone or keeps a
//! place from others that it does not use.

use core::task::{Context, Poll};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::body::BodyReader;
use crate::http::server::peers::{Peer, Peers, Slot};
use crate::http::signal::Signal;

/// Why a request ends before its guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    /// Its time is over.
    Overdue = 1,
    /// Nobody waits for the answer any more.
    Gone = 2,
    /// It kept waiting for its client, and another request needed its place.
    Displaced = 3,
}

#[derive(Debug)]
pub(super) struct Place {
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    slot: Mutex<Option<Slot>>,
    body: Arc<BodyReader>,
    end: AtomicU8,
    /// Rung at the end.
    bell: Signal,
    /// The guest goes on although its client has gone.
    outlasts: bool,
    /// Whether it is known as one whose guest waits.
    is_known: AtomicBool,
}

impl Place {
    pub(super) fn new(slot: Slot, body: Arc<BodyReader>, outlasts: bool) -> Arc<Self> {
        Arc::new(Self {
            peers: slot.peers.clone(),
            peer: slot.peer.clone(),
            slot: Mutex::new(Some(slot)),
            body,
            end: AtomicU8::new(0),
            bell: Signal::default(),
            outlasts,
            is_known: AtomicBool::new(false),
        })
    }

    /// The guest waits: perhaps for its client.
    pub(super) fn waits(self: &Arc<Self>) {
        if !self.is_known.swap(true, Ordering::Relaxed) {
            self.peers.waits(self);
        }
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// The guest is about to have a turn: what it waits for is found out anew.
    pub(super) fn begin_turn(&self) {
        self.body.forget_wait();
    }

    /// Since when its guest has been waiting for the client's body and nothing else is known to keep it, in nanoseconds of the
    /// system's monotonic clock.
    pub(super) fn waits_since(&self) -> Option<u64> {
        if self.ended().is_some() {
            return None;
        }
        self.body.waited_for_since()
    }

    /// Ends it, unless it has ended: its place is free, and its guest stops at its next turn.
    pub(super) fn end(&self, why: End) -> bool {
        if why == End::Gone && self.outlasts {
            return false;
        }
        let is_first = self.end.compare_exchange(0, why as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if is_first {
            drop(self.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
            self.bell.ring();
        }
        is_first
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> Option<End> {
        match self.end.load(Ordering::SeqCst) {
            1 => Some(End::Overdue),
            2 => Some(End::Gone),
            3 => Some(End::Displaced),
            _ => None,
        }
    }

    /// Ready when it has ended.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<End> {
        match self.ended() {
            Some(why) => Poll::Ready(why),
            None => {
                let _ = self.bell.poll_rung(cx);
                self.ended().map_or(Poll::Pending, Poll::Ready)
            }
        }
    }
}
