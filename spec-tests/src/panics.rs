//! Panics that somebody caught: the compiler leaves a function out when its code generator panics, and a fuzzer has to hear of
//! that.

use std::sync::{Mutex, Once, PoisonError};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on panics of every thread are noted instead of printed. For commands: a test wants its panics printed.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() < 20 {
                seen.push(panic.to_string().replace('\n', " "));
            }
        }));
    });
}

/// What was noted since the last time; nothing unless [`watch`] was called.
pub fn take() -> Vec<String> {
    std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner))
}
