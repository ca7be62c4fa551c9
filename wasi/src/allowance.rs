//! How much the host keeps because of a guest, or of whoever is at the other end of a connection.
//!
//! Each guest has an [`Allowance`], each connection of a server's has one, and those of a process can lie within one for all. Whatever
//! keeps bytes for somebody holds a [`Charge`] on that one's allowance for as long as it does, and is refused what is beyond: before
//! it allocates. `docs/host-memory.md` lists what is charged where.
//!
//! An allowance takes what it gives on from the one around it by [`STEP`]s, so that what a guest does rarely touches what all share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mini_wasm_canonical_abi::HostMemory;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::Stop;

/// What is charged, for as long as this is held.
pub(crate) type Charge = mini_wasm_canonical_abi::Charge<Allowance>;

/// What is taken at once from the allowance around one.
const STEP: usize = 16 << 10;

/// A limit on what the host keeps, shared by all who keep it.
#[derive(Debug)]
pub struct Allowance {
    /// For whom or what, as messages have it.
    name: &'static str,
    limit: usize,
    around: Option<Arc<Allowance>>,
    held: Mutex<Held>,
    /// Told when something is given back, if it is awaited.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    used: usize,
    /// Taken from the allowance around this one: at least what is used.
    granted: usize,
    /// The most that was used since this was last asked.
    peak: usize,
    /// Whether anybody waits for what is given back.
    is_awaited: bool,
}

impl Allowance {
    /// At most `limit` bytes for what `name` says.
    pub fn new(name: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self { name, limit, around: None, held: Mutex::default(), freed: Notify::new() })
    }

    /// A part of this one: at most `limit` bytes, and never more than this one has left.
    pub fn part(self: &Arc<Self>, name: &'static str, limit: usize) -> Arc<Self> {
        let around = Some(self.clone());
        Arc::new(Self { name, limit, around, held: Mutex::default(), freed: Notify::new() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes are charged now.
    pub fn used(&self) -> usize {
        self.held().used
    }

    /// Whether so many bytes less are charged now than were at most since this was last true.
    pub(crate) fn fallen(&self, bytes: usize) -> bool {
        let mut held = self.held();
        let fallen = held.peak.saturating_sub(held.used) >= bytes;
        if fallen {
            held.peak = held.used;
        }
        fallen
    }

    /// The one that is around all that are around this one.
    pub(crate) fn outermost(self: &Arc<Self>) -> Arc<Self> {
        self.around.as_ref().map_or_else(|| self.clone(), Self::outermost)
    }

    /// How many bytes there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Ready when something has been given back after this.
    pub(crate) fn freed(&self) -> Notified<'_> {
        let freed = self.freed.notified();
        self.held().is_awaited = true;
        freed
    }

    /// Nothing yet of this.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge::new(self.clone())
    }

    /// `bytes` of this.
    pub(crate) fn charged(self: &Arc<Self>, bytes: usize) -> Result<Charge, Stop> {
        let mut charge = self.charge();
        grow(&mut charge, bytes).map(|()| charge)
    }

    /// Why `bytes` more are refused.
    fn refusal(&self, bytes: usize) -> Stop {
        match &self.around {
            Some(around) if bytes <= self.limit.saturating_sub(self.used()) => around.refusal(bytes),
            _ => Stop::Trap(format!(
                "{} take more memory than the host allows: {} bytes",
                self.name, self.limit
            )),
        }
    }
}

impl HostMemory for Allowance {
    fn take(&self, bytes: usize) -> bool {
        let mut held = self.held();
        let Some(used) = held.used.checked_add(bytes).filter(|used| *used <= self.limit) else {
            return false;
        };
        if let Some(around) = &self.around {
            let lacks = used.saturating_sub(held.granted);
            if lacks > 0 {
                let step = lacks.checked_next_multiple_of(STEP).unwrap_or(lacks);
                match [step, lacks].into_iter().find(|more| around.take(*more)) {
                    Some(more) => held.granted += more,
                    None => return false,
                }
            }
        }
        held.used = used;
        held.peak = held.peak.max(used);
        true
    }

    fn give(&self, bytes: usize) {
        let mut held = self.held();
        held.used = held.used.saturating_sub(bytes);
        if let Some(around) = &self.around {
            // One step is kept for whatever comes next.
            let spare = held.granted.saturating_sub(held.used);
            if spare >= 2 * STEP {
                held.granted -= spare - STEP;
                around.give(spare - STEP);
            }
        }
        let is_awaited = core::mem::take(&mut held.is_awaited);
        drop(held);
        if is_awaited {
            self.freed.notify_waiters();
        }
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        let granted = self.held().granted;
        if let Some(around) = &self.around {
            around.give(granted);
        }
    }
}

/// Charges until it is `bytes`.
pub(crate) fn resize(charge: &mut Charge, bytes: usize) -> Result<(), Stop> {
    match charge.resize(bytes) {
        true => Ok(()),
        false => Err(refused(charge, bytes.saturating_sub(charge.bytes()))),
    }
}

/// Charges so many more.
pub(crate) fn grow(charge: &mut Charge, bytes: usize) -> Result<(), Stop> {
    if charge.grow(bytes) { Ok(()) } else { Err(refused(charge, bytes)) }
}

fn refused(charge: &Charge, bytes: usize) -> Stop {
    charge.memory().map_or_else(|| Stop::trap("out of memory"), |memory| memory.refusal(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_no_more_than_itself_and_no_more_than_what_is_around_it() {
        let all = Allowance::new("all guests", 120_000);
        let [one, other] = [(); 2].map(|()| all.part("this guest", 80_000));
        let mut first = one.charged(80_000).unwrap();
        assert!(!first.grow(1), "its own limit");
        let second = other.charged(20_000).unwrap();
        let text = |stop: Stop| stop.to_string();
        assert!(text(other.charged(30_000).unwrap_err()).starts_with("all guests take"));
        assert!(text(one.charged(1).unwrap_err()).starts_with("this guest take"));
        drop(first);
        let third = other.charged(60_000).unwrap();
        assert_eq!((one.used(), other.used()), (0, 80_000));
        drop((second, third, one, other));
        assert_eq!(all.used(), 0, "what ends gives back all it had");
    }

    #[test]
    fn what_all_share_is_touched_by_steps() {
        let all = Allowance::new("all guests", 1 << 20);
        let one = all.part("this guest", 1 << 20);
        let mut charge = one.charged(1).unwrap();
        assert_eq!(all.used(), STEP);
        resize(&mut charge, STEP).unwrap();
        assert_eq!(all.used(), STEP);
        resize(&mut charge, STEP + 1).unwrap();
        assert_eq!(all.used(), 2 * STEP);
        resize(&mut charge, 10 * STEP).unwrap();
        resize(&mut charge, 1).unwrap();
        assert!(all.used() <= 2 * STEP, "{}", all.used());
    }

    #[test]
    fn threads_that_take_and_give_leave_nothing() {
        let all = Allowance::new("all guests", 1 << 20);
        std::thread::scope(|scope| {
            for seed in 0..4_usize {
                let one = all.part("this guest", 1 << 18);
                scope.spawn(move || {
                    let mut charge = one.charge();
                    for step in 0..20_000_usize {
                        let _refused_or_not = charge.resize((step * 7919 + seed * 104_729) % (1 << 18));
                    }
                });
            }
        });
        assert_eq!(all.used(), 0);
    }
}
