//! Looking names up: the system's resolver, on threads of its own, since it cannot be asked without waiting.
//!
//! At most [`MAX_THREADS`] of them, which end when there is nothing to look up. A name whose server
//! does not answer holds one for many seconds, so the guests that ask take turns, and each has at
//! most [`AT_ONCE`] names looked up at a time: one that asks for many waits for itself only.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::oneshot;

use crate::sockets::network::ErrorCode;
use crate::sys::{Errno, wait};

/// How many names are looked up at once, in the whole process.
const MAX_THREADS: usize = 64;
/// How many of them for one guest.
const AT_ONCE: usize = 2;
/// How many of one guest's wait for that.
const MAX_WAITING: usize = 64;
/// How many wait in the whole process.
const MAX_WAITING_ALL: usize = 4096;
/// How many addresses a name has at most.
const MAX_ADDRESSES: usize = 64;

type Answer = Result<Vec<IpAddr>, NotFound>;

/// Why a name has no addresses.
#[derive(Debug, Clone)]
pub(crate) struct NotFound {
    pub(crate) code: ErrorCode,
    /// What the resolver says.
    pub(crate) said: String,
}

impl From<ErrorCode> for NotFound {
    fn from(code: ErrorCode) -> Self {
        Self { code, said: format!("{code:?}") }
    }
}

/// Who asks: the guests take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asker(u64);

impl Asker {
    /// One that is nobody else.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A lookup under way.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// Readable when the answer is there.
    pub(crate) done: Arc<OwnedFd>,
    answer: Arc<Mutex<Option<Answer>>>,
}

/// Who is told.
enum Told {
    Lookup(Arc<OwnedFd>, Arc<Mutex<Option<Answer>>>),
    Future(oneshot::Sender<Answer>),
}

impl Told {
    /// Whether whoever asked is still there.
    fn is_wanted(&self) -> bool {
        match self {
            Self::Lookup(_, answer) => Arc::strong_count(answer) > 1,
            Self::Future(sender) => !sender.is_closed(),
        }
    }

    fn tell(self, answer: Answer) {
        match self {
            Self::Lookup(done, place) => {
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                wait::raise(&*done);
            }
            Self::Future(sender) => drop(sender.send(answer)),
        }
    }
}

struct Task {
    name: String,
    told: Told,
}

/// What one guest asks for.
#[derive(Default)]
struct Asked {
    waiting: VecDeque<Task>,
    under_way: usize,
}

#[derive(Default)]
struct Queue {
    askers: HashMap<Asker, Asked>,
    /// Those who wait and may have one more under way, in the order of their turns.
    order: VecDeque<Asker>,
    waiting: usize,
    threads: usize,
}

impl Queue {
    /// Adds a task; false where too much waits.
    fn push(&mut self, asker: Asker, task: Task) -> bool {
        if self.is_full_for(asker) {
            self.forget(asker, |task| !task.told.is_wanted());
            if self.is_full_for(asker) {
                return false;
            }
        }
        let asked = self.askers.entry(asker).or_default();
        if asked.waiting.is_empty() && asked.under_way < AT_ONCE {
            self.order.push_back(asker);
        }
        asked.waiting.push_back(task);
        self.waiting += 1;
        true
    }

    fn is_full_for(&self, asker: Asker) -> bool {
        let waiting = self.askers.get(&asker).map_or(0, |asked| asked.waiting.len());
        self.waiting >= MAX_WAITING_ALL || waiting >= MAX_WAITING
    }

    /// Takes tasks of one guest out that wait; without any it has no turn, and without one under
    /// way no place.
    fn forget(&mut self, asker: Asker, is_in_vain: impl Fn(&Task) -> bool) {
        let Some(asked) = self.askers.get_mut(&asker) else { return };
        self.waiting -= asked.waiting.len();
        asked.waiting.retain(|task| !is_in_vain(task));
        self.waiting += asked.waiting.len();
        if asked.waiting.is_empty() {
            self.order.retain(|waits| *waits != asker);
            if asked.under_way == 0 {
                self.askers.remove(&asker);
            }
        }
    }

    /// The task whose turn it is.
    fn next(&mut self) -> Option<(Asker, Task)> {
        while let Some(asker) = self.order.pop_front() {
            let Some(asked) = self.askers.get_mut(&asker) else { continue };
            while let Some(task) = asked.waiting.pop_front() {
                self.waiting -= 1;
                if !task.told.is_wanted() {
                    continue;
                }
                asked.under_way += 1;
                if !asked.waiting.is_empty() && asked.under_way < AT_ONCE {
                    self.order.push_back(asker);
                }
                return Some((asker, task));
            }
            if asked.under_way == 0 {
                self.askers.remove(&asker);
            }
        }
        None
    }

    /// A task of this one's is done.
    fn done(&mut self, asker: Asker) {
        let Some(asked) = self.askers.get_mut(&asker) else { return };
        let was_full = asked.under_way == AT_ONCE;
        asked.under_way -= 1;
        match asked.waiting.is_empty() {
            true if asked.under_way == 0 => drop(self.askers.remove(&asker)),
            false if was_full => self.order.push_back(asker),
            _ => {}
        }
    }
}

fn queue() -> MutexGuard<'static, Queue> {
    static QUEUE: OnceLock<Mutex<Queue>> = OnceLock::new();
    QUEUE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to look up a name.
fn begin(asker: Asker, name: String, told: Told) -> Result<(), ErrorCode> {
    let mut queue = queue();
    if !queue.push(asker, Task { name, told }) {
        return Err(ErrorCode::TemporaryResolverFailure);
    }
    if !queue.order.is_empty() && queue.threads < MAX_THREADS {
        let thread = std::thread::Builder::new().name("lookup".into()).stack_size(256 << 10).spawn(work);
        match thread {
            Ok(_) => queue.threads += 1,
            // Those that are there will get to it.
            Err(_) if queue.threads > 0 => {}
            Err(_) => {
                // Nobody looks up what waits: nothing is under way.
                queue.forget(asker, |_| true);
                return Err(ErrorCode::TemporaryResolverFailure);
            }
        }
    }
    Ok(())
}

impl Lookup {
    /// Begins to look up a name.
    pub(crate) fn begin(asker: Asker, name: String) -> Result<Self, ErrorCode> {
        let done = Arc::new(wait::signal().map_err(ErrorCode::from)?);
        let answer = Arc::new(Mutex::new(None));
        begin(asker, name, Told::Lookup(done.clone(), answer.clone()))?;
        Ok(Self { done, answer })
    }

    /// The answer, if it is there.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Looks up a name; dropped before it is begun, it is not.
pub(crate) async fn look_up(asker: Asker, name: String) -> Answer {
    let (told, answer) = oneshot::channel();
    begin(asker, name, Told::Future(told))?;
    answer.await.unwrap_or_else(|_| Err(ErrorCode::TemporaryResolverFailure.into()))
}

/// Looks up names until there is none left whose turn it is.
fn work() {
    loop {
        let (asker, task) = {
            let mut queue = queue();
            match queue.next() {
                Some(next) => next,
                None => {
                    queue.threads -= 1;
                    return;
                }
            }
        };
        task.told.tell(resolve(&task.name));
        queue().done(asker);
    }
}

/// The addresses of a name, each once, none of them IPv4 in IPv6's clothes; waits for the resolver.
fn resolve(name: &str) -> Answer {
    // A resolver would try `name.local-domain` for a name without this dot.
    let asked = if name.contains('.') { format!("{name}.") } else { name.to_owned() };
    match (asked.as_str(), 0).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|address| address.ip().to_canonical()).take(MAX_ADDRESSES) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() { Err(ErrorCode::NameUnresolvable.into()) } else { Ok(addresses) }
        }
        // The library gives the resolver's error as text alone.
        Err(error) => {
            let said = error.to_string();
            let code = if error.kind() == ErrorKind::OutOfMemory {
                ErrorCode::OutOfMemory
            } else if said.contains("Temporary failure") {
                ErrorCode::TemporaryResolverFailure
            } else if said.contains("Non-recoverable failure") {
                ErrorCode::PermanentResolverFailure
            } else if let Some(error) = error.raw_os_error().map(Errno::from_raw_os_error) {
                error.into()
            } else {
                ErrorCode::NameUnresolvable
            };
            Err(NotFound { code, said })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> (Task, oneshot::Receiver<Answer>) {
        let (told, answer) = oneshot::channel();
        (Task { name: name.to_owned(), told: Told::Future(told) }, answer)
    }

    #[test]
    fn who_asks_for_many_names_waits_for_itself_only() {
        let (many, one) = (Asker::new(), Asker::new());
        let mut queue = Queue::default();
        let mut kept = Vec::new();
        for n in 0..MAX_WAITING {
            let (task, answer) = task(&format!("many-{n}"));
            kept.push(answer);
            assert!(queue.push(many, task));
        }
        let (refused, _answer) = task("one too many");
        assert!(!queue.push(many, refused));
        let (other, _answer) = task("other");
        assert!(queue.push(one, other));
        let mut begun = Vec::new();
        while let Some((asker, task)) = queue.next() {
            begun.push((asker, task.name));
        }
        let names: Vec<&str> = begun.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["many-0", "other", "many-1"], "as many under way as there may be");
        queue.done(one);
        assert!(queue.next().is_none());
        queue.done(many);
        assert_eq!(queue.next().map(|(_, task)| task.name).as_deref(), Some("many-2"));
        // What nobody waits for any more is neither counted nor looked up.
        kept.clear();
        let (last, _answer) = task("last");
        assert!(queue.push(many, last));
        queue.done(many);
        assert_eq!(queue.next().map(|(_, task)| task.name).as_deref(), Some("last"));
        queue.done(many);
        queue.done(many);
        assert!(queue.next().is_none());
        assert_eq!((queue.waiting, queue.askers.len(), queue.order.len()), (0, 0, 0));
    }

    #[test]
    fn who_asks_in_vain_again_and_again_has_one_turn_and_then_no_place() {
        let asker = Asker::new();
        let mut queue = Queue::default();
        for n in 0..10 * MAX_WAITING {
            let (task, _gone) = task(&format!("vain-{n}"));
            assert!(queue.push(asker, task));
            assert!(queue.waiting <= MAX_WAITING);
        }
        assert_eq!((queue.askers.len(), queue.order.len()), (1, 1));
        queue.waiting += MAX_WAITING_ALL;
        let (refused, _answer) = task("all places are taken");
        assert!(!queue.push(Asker::new(), refused));
        assert_eq!(queue.askers.len(), 1);
        queue.waiting -= MAX_WAITING_ALL;
        queue.forget(asker, |_| true);
        assert_eq!((queue.waiting, queue.askers.len(), queue.order.len()), (0, 0, 0));
    }
}
