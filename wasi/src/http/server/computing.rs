//! Guests that compute: a few threads for each processor, of a lower priority than those of the network, take turns with them.
//!
//! A turn ends at the next tick of the epoch. The next one goes to the address whose guests have computed least, and among those to
//! the guest that has computed least: whoever asks for little is soon done, whatever others ask for.

use core::task::{Context, Waker};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Wake;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::http::server::guest::{Turn, Work};
use crate::http::server::peers::Peer;
use crate::sys::{clock, process};

/// How long a thread without work stays.
const LINGER: Duration = Duration::from_secs(1);

/// The guests that compute, and the threads that they share.
pub(super) struct Computing {
    queue: Mutex<Queue>,
    bell: Condvar,
    threads: usize,
    niceness: u8,
    server: Handle,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Work>,
    /// Threads that run a guest or look for one; those that a guest holds without computing are not among them.
    running: usize,
    /// Those of them that have none.
    idle: usize,
    /// Where the address stood that had the last turn: one that comes begins here, not at zero.
    floor: u64,
}

thread_local! {
    /// On threads of ours: whose.
    static OURS: RefCell<Weak<Computing>> = const { RefCell::new(Weak::new()) };
}

/// Runs `wait`, which holds the thread; another one takes its place meanwhile.
pub(super) fn while_held(wait: &mut dyn FnMut()) {
    match OURS.with_borrow(Weak::upgrade) {
        Some(computing) => {
            let mut queue = computing.queue();
            queue.running -= 1;
            computing.call(&mut queue);
            drop(queue);
            wait();
            computing.queue().running += 1;
        }
        None => block_in_place(wait),
    }
}

/// Tells whether it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Computing {
    /// For a server whose tasks `server` runs.
    pub(super) fn new(threads: usize, niceness: u8, server: Handle) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            bell: Condvar::new(),
            threads: threads.max(1),
            niceness,
            server,
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a guest that computes.
    pub(super) fn take(self: &Arc<Self>, work: Work) {
        let mut queue = self.queue();
        let peer = work.place().peer();
        peer.computed.fetch_max(queue.floor, Ordering::Relaxed);
        peer.computing.fetch_add(1, Ordering::Relaxed);
        queue.waiting.push(work);
        self.call(&mut queue);
    }

    /// Whether an address has so many guests here that what else it asks for need not be tried elsewhere first.
    pub(super) fn is_taken_by(&self, peer: &Peer) -> bool {
        peer.computing.load(Ordering::Relaxed) >= 2 * self.threads
    }

    /// Sees to it that somebody looks after who waits.
    fn call(self: &Arc<Self>, queue: &mut Queue) {
        if queue.waiting.is_empty() {
            return;
        }
        if queue.idle > 0 {
            self.bell.notify_one();
        } else if queue.running < self.threads {
            let this = self.clone();
            // If there is no thread more, those that run look after it, or the next one that comes brings one.
            let thread = std::thread::Builder::new().name("guest".into()).spawn(move || this.run());
            queue.running += usize::from(thread.is_ok());
        }
    }

    /// A thread of those that guests share.
    fn run(self: Arc<Self>) {
        process::lower_priority(self.niceness);
        OURS.set(Arc::downgrade(&self));
        let _server = self.server.enter();
        let mut queue = self.queue();
        // One that came back from being held may be one too many.
        while queue.running <= self.threads {
            let Some(mut work) = queue.next() else {
                queue.idle += 1;
                let (back, late) =
                    self.bell.wait_timeout(queue, LINGER).unwrap_or_else(PoisonError::into_inner);
                queue = back;
                queue.idle -= 1;
                match late.timed_out() && queue.waiting.is_empty() {
                    true => break,
                    false => continue,
                }
            };
            self.call(&mut queue);
            drop(queue);
            match work.compute() {
                Turn::Computes => {
                    queue = self.queue();
                    queue.waiting.push(work);
                }
                Turn::Waits => {
                    work.place().peer().computing.fetch_sub(1, Ordering::Relaxed);
                    drop(self.server.spawn(work.go_on()));
                    queue = self.queue();
                }
                Turn::Over => {
                    work.place().peer().computing.fetch_sub(1, Ordering::Relaxed);
                    // Whatever its end takes, it takes here.
                    drop(work);
                    queue = self.queue();
                }
            }
        }
        queue.running -= 1;
        self.call(&mut queue);
    }
}

impl Queue {
    /// Whose turn it is.
    fn next(&mut self) -> Option<Work> {
        let computed = |work: &Work| work.place().peer().computed.load(Ordering::Relaxed);
        // One that is to stop goes first: it is soon gone.
        let rank = |work: &Work| (work.place().ended().is_none(), computed(work), work.computed);
        let next = self.waiting.iter().enumerate().min_by_key(|(_, work)| rank(work))?.0;
        let work = self.waiting.swap_remove(next);
        self.floor = self.floor.max(computed(&work));
        Some(work)
    }
}

impl Work {
    /// One turn on a thread of those that guests share.
    fn compute(&mut self) -> Turn {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let began = clock::thread_cpu();
        let turn = self.turn(&mut Context::from_waker(&waker));
        let took = clock::thread_cpu().saturating_sub(began);
        self.computed += took;
        self.place().peer().computed.fetch_add(took, Ordering::Relaxed);
        match turn {
            Turn::Over => Turn::Over,
            // A guest that gives its turn back at a tick has asked for the next one.
            _ if woken.0.load(Ordering::SeqCst) => Turn::Computes,
            _ => Turn::Waits,
        }
    }
}
