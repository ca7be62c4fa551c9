//! What the system grants this process and its threads.

use rustix::process::{Resource, getrlimit, nice, setrlimit};

/// Lets threads of the usual priority go before this one: `by` steps of what the system calls niceness. What the system does not
/// allow stays as it is.
pub(crate) fn lower_priority(by: u8) {
    // On Linux each thread has a niceness of its own.
    let _ = nice(i32::from(by));
}

/// How many descriptors this process may have open, after it has asked for `wanted`.
pub(crate) fn descriptors(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let granted = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if granted(limit.current) < wanted {
        limit.current = Some(wanted.min(granted(limit.maximum)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
    granted(getrlimit(Resource::Nofile).current)
}
