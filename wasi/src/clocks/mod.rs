//! `wasi:clocks`: time that only goes on, and the time of day.

pub mod monotonic_clock;
pub mod timezone;
pub mod wall_clock;
