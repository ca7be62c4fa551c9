//! The answer to a request on its way from a guest's thread to the server's.
//!
//! Handing it over wakes the server, which is dear next to what most guests do. So a head whose body the guest is still
//! writing is held back until the body has ended, the guest is about to wait for anything, or the server's patience with it is over: most
//! answers then go over whole, with their length, in one piece.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Deadline;
use crate::http::types::Answer;

/// Where a guest's answer goes.
#[derive(Debug)]
pub(crate) struct Answering(Mutex<State>);

#[derive(Debug)]
enum State {
    /// The guest has not answered. What it answers is held back, if the server has patience yet.
    Open {
        asker: oneshot::Sender<Answer>,
        holds: bool,
    },
    Held(oneshot::Sender<Answer>, Box<Answer>),
    Gone,
}

impl Answering {
    /// And where it comes out.
    pub(crate) fn new() -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (asker, answered) = oneshot::channel();
        (Arc::new(Self(Mutex::new(State::Open { asker, holds: true }))), answered)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers. `whole` says that nothing more will come of it.
    pub(crate) fn set(&self, answer: Answer, whole: bool) {
        let mut state = self.state();
        match core::mem::replace(&mut *state, State::Gone) {
            State::Open { asker, holds: true } if !whole => *state = State::Held(asker, Box::new(answer)),
            // Whoever asked may be gone.
            State::Open { asker, .. } => drop(asker.send(answer)),
            other => *state = other,
        }
    }

    /// Hands over what is held back.
    pub(crate) fn release(&self) {
        let mut state = self.state();
        if let State::Held(..) = &*state
            && let State::Held(asker, answer) = core::mem::replace(&mut *state, State::Gone)
        {
            let _ = asker.send(*answer);
        }
    }

    /// From now on nothing is held back.
    pub(crate) fn hurry(&self) {
        if let State::Open { holds, .. } = &mut *self.state() {
            *holds = false;
        }
        self.release();
    }

    /// The guest has ended, or will never answer.
    pub(crate) fn close(&self) {
        self.release();
        *self.state() = State::Gone;
    }
}

/// A guest's deadline, which hands its answer over before it waits.
pub(crate) struct BeforeWaiting {
    pub(crate) deadline: Arc<dyn Deadline>,
    pub(crate) answer: Arc<Answering>,
}

impl Deadline for BeforeWaiting {
    fn remaining(&self) -> Option<Duration> {
        self.deadline.remaining()
    }

    fn begins_to_wait(&self) {
        self.answer.release();
        self.deadline.begins_to_wait();
    }
}
