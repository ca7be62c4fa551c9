//! `wasi:clocks/wall-clock`: the time of day, which may be set back and forth.

use mini_wasm_canonical_abi::record;

use crate::interface::interface;
use crate::sys::clock::{self, Moment};
use crate::{Stop, Wasi};

interface! {
    "wasi:clocks/wall-clock@0.2.12";
    func now();
    func resolution();
}

record! {
    /// `datetime`: since 1970-01-01T00:00:00Z.
    #[derive(Debug, Copy, Clone, PartialEq, Eq)]
    pub struct Datetime = "datetime" {
        /// Whole seconds.
        pub seconds: u64,
        /// The rest in nanoseconds, less than 1,000,000,000 in what the host gives.
        pub nanoseconds: u32,
    }
}

impl Datetime {
    /// `None` before 1970.
    pub(crate) fn of(moment: Moment) -> Option<Self> {
        Some(Self { seconds: u64::try_from(moment.seconds).ok()?, nanoseconds: moment.nanoseconds })
    }

    /// `None` if the system has no such moment.
    pub(crate) fn moment(self) -> Option<Moment> {
        let seconds = i64::try_from(self.seconds).ok()?;
        (self.nanoseconds < 1_000_000_000).then_some(Moment { seconds, nanoseconds: self.nanoseconds })
    }
}

/// `now`. A system clock set before 1970 reads as 1970.
pub fn now(_: &mut Wasi) -> Result<Datetime, Stop> {
    Ok(Datetime::of(clock::wall()).unwrap_or(Datetime { seconds: 0, nanoseconds: 0 }))
}

/// `resolution`.
pub fn resolution(_: &mut Wasi) -> Result<Datetime, Stop> {
    Ok(Datetime::of(clock::wall_resolution()).unwrap_or(Datetime { seconds: 0, nanoseconds: 1 }))
}
