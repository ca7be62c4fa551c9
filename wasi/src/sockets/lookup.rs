//! Looking names up: the system's resolver, on threads of its own, since it cannot be asked without waiting.
//!
//! At most [`MAX_THREADS`] of them, which end when there is nothing to look up.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::sockets::network::ErrorCode;
use crate::sys::{Errno, wait};

/// How many names are looked up at once, in the whole process.
const MAX_THREADS: usize = 8;
/// How many wait for that.
const MAX_WAITING: usize = 1024;
/// How many addresses a name has at most.
const MAX_ADDRESSES: usize = 64;

type Answer = Result<Vec<IpAddr>, ErrorCode>;

/// A lookup under way.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// Readable when the answer is there.
    pub(crate) done: Arc<OwnedFd>,
    answer: Arc<Mutex<Option<Answer>>>,
}

struct Task {
    name: String,
    done: Arc<OwnedFd>,
    answer: Arc<Mutex<Option<Answer>>>,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    threads: usize,
}

fn queue() -> MutexGuard<'static, Queue> {
    static QUEUE: OnceLock<Mutex<Queue>> = OnceLock::new();
    QUEUE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lookup {
    /// Begins to look up a name.
    pub(crate) fn begin(name: String) -> Result<Self, ErrorCode> {
        let done = wait::signal().map_err(ErrorCode::from)?;
        let (done, answer) = (Arc::new(done), Arc::new(Mutex::new(None)));
        let task = Task { name, done: done.clone(), answer: answer.clone() };
        let mut queue = queue();
        if queue.tasks.len() >= MAX_WAITING {
            return Err(ErrorCode::TemporaryResolverFailure);
        }
        queue.tasks.push_back(task);
        if queue.threads < MAX_THREADS {
            let thread = std::thread::Builder::new().name("lookup".into()).stack_size(256 << 10).spawn(work);
            match thread {
                Ok(_) => queue.threads += 1,
                // Those that are there will get to it.
                Err(_) if queue.threads > 0 => {}
                Err(_) => {
                    queue.tasks.pop_back();
                    return Err(ErrorCode::TemporaryResolverFailure);
                }
            }
        }
        Ok(Self { done, answer })
    }

    /// The answer, if it is there.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Looks up names until there is none left.
fn work() {
    loop {
        let task = {
            let mut queue = queue();
            match queue.tasks.pop_front() {
                Some(task) => task,
                None => {
                    queue.threads -= 1;
                    return;
                }
            }
        };
        // Whoever asked may have gone.
        if Arc::strong_count(&task.answer) == 1 {
            continue;
        }
        let answer = resolve(&task.name);
        *task.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        wait::raise(&*task.done);
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
            if addresses.is_empty() { Err(ErrorCode::NameUnresolvable) } else { Ok(addresses) }
        }
        // The library gives the resolver's error as text alone.
        Err(error) if error.kind() == ErrorKind::OutOfMemory => Err(ErrorCode::OutOfMemory),
        Err(error) => {
            let text = error.to_string();
            if text.contains("Temporary failure") {
                Err(ErrorCode::TemporaryResolverFailure)
            } else if text.contains("Non-recoverable failure") {
                Err(ErrorCode::PermanentResolverFailure)
            } else if let Some(error) = error.raw_os_error().map(Errno::from_raw_os_error) {
                Err(error.into())
            } else {
                Err(ErrorCode::NameUnresolvable)
            }
        }
    }
}
