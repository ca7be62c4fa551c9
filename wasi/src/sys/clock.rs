//! The two clocks of the system, in nanoseconds.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z; `nanoseconds < 1_000_000_000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// Nanoseconds on a clock that never goes back; its zero has no meaning.
pub(crate) fn monotonic() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The step of [`monotonic`] in nanoseconds, at least 1.
pub(crate) fn monotonic_resolution() -> u64 {
    nanoseconds(clock_getres(ClockId::Monotonic)).max(1)
}

/// Processor time that this process has used, in nanoseconds.
pub(crate) fn process_cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Processor time that this thread has used, in nanoseconds.
pub(crate) fn thread_cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

/// The step of [`process_cpu`] and [`thread_cpu`] in nanoseconds, at least 1.
pub(crate) fn cpu_resolution() -> u64 {
    nanoseconds(clock_getres(ClockId::ProcessCPUTime)).max(1)
}

/// The time of day.
pub(crate) fn wall() -> Moment {
    moment(clock_gettime(ClockId::Realtime))
}

/// The step of [`wall`].
pub(crate) fn wall_resolution() -> Moment {
    moment(clock_getres(ClockId::Realtime))
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn moment(time: Timespec) -> Moment {
    Moment { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}
