//! `wasi:clocks/timezone`, unstable: where this machine stands is not told, so all of it says UTC, as the interface asks of hosts
//! that expose no zone.

use mini_wasm_canonical_abi::record;

use crate::clocks::wall_clock::Datetime;
use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:clocks/timezone@0.2.12" unstable ClocksTimezone;
    func display(when);
    func utc_offset(when);
}

record! {
    /// `timezone-display`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TimezoneDisplay = "timezone-display" {
        /// Seconds from UTC to local time, less than a day either way.
        pub utc_offset: i32,
        /// What people call it.
        pub name: String,
        /// Whether it is summer time.
        pub in_daylight_saving_time: bool,
    }
}

/// `display`.
pub fn display(_: &mut Wasi, _: Datetime) -> Result<TimezoneDisplay, Stop> {
    Ok(TimezoneDisplay { utc_offset: 0, name: "UTC".to_owned(), in_daylight_saving_time: false })
}

/// `utc-offset`.
pub fn utc_offset(_: &mut Wasi, _: Datetime) -> Result<i32, Stop> {
    Ok(0)
}
