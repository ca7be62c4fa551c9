//! `wasi:clocks/monotonic-clock`: nanoseconds since this host state was made; never goes back.

use mini_wasm_canonical_abi::Own;

use crate::interface::interface;
use crate::io::poll::{self, Pollable};
use crate::sys::clock;
use crate::{Stop, Wasi};

interface! {
    "wasi:clocks/monotonic-clock@0.2.12";
    func now();
    func resolution();
    func subscribe_instant(when);
    func subscribe_duration(when);
}

/// A moment in nanoseconds.
pub type Instant = u64;
/// A time span in nanoseconds.
pub type Duration = u64;

/// `now`.
pub fn now(wasi: &mut Wasi) -> Result<Instant, Stop> {
    Ok(clock::monotonic().saturating_sub(wasi.epoch))
}

/// `resolution`.
pub fn resolution(_: &mut Wasi) -> Result<Duration, Stop> {
    Ok(clock::monotonic_resolution())
}

/// `subscribe-instant`: ready when `now` has reached `when`.
pub fn subscribe_instant(wasi: &mut Wasi, when: Instant) -> Result<Own<Pollable>, Stop> {
    let when = when.saturating_add(wasi.epoch);
    poll::subscribe(wasi, Pollable::at(when))
}

/// `subscribe-duration`: ready after a time span.
pub fn subscribe_duration(wasi: &mut Wasi, when: Duration) -> Result<Own<Pollable>, Stop> {
    poll::subscribe(wasi, Pollable::at(clock::monotonic().saturating_add(when)))
}
