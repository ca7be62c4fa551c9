//! How many files and sockets a guest has open: each is a handle of the system's, of which a process has few.
//!
//! What is open is shared by descriptors, streams and pollables, and is open for as long as one of them is there; so what counts is
//! the thing itself, not who names it.

use core::any::Any;
use std::sync::{Arc, Weak};

/// What is open, and how much may be.
#[derive(Debug)]
pub(crate) struct Handles {
    /// Some of them may be closed since.
    held: Vec<Weak<dyn Any + Send + Sync>>,
    limit: usize,
}

impl Handles {
    pub(crate) fn new(limit: u32) -> Self {
        Self { held: Vec::new(), limit: limit as usize }
    }

    /// Whether one more may be opened.
    pub(crate) fn room(&mut self) -> bool {
        if self.held.len() >= self.limit {
            self.held.retain(|handle| handle.strong_count() > 0);
        }
        self.held.len() < self.limit
    }

    /// Counts what was opened, for as long as it is.
    pub(crate) fn hold<T: Any + Send + Sync>(&mut self, handle: &Arc<T>) {
        let handle: Arc<dyn Any + Send + Sync> = handle.clone();
        self.held.push(Arc::downgrade(&handle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_makes_room_and_what_is_shared_counts_once() {
        let open = || Arc::new(());
        let mut handles = Handles::new(2);
        let (one, other) = (open(), open());
        let shared = one.clone();
        for handle in [&one, &other] {
            assert!(handles.room());
            handles.hold(handle);
        }
        assert!(!handles.room());
        drop(one);
        assert!(!handles.room(), "a stream still has it");
        drop(shared);
        assert!(handles.room());
        assert!(!Handles::new(0).room());
    }
}
