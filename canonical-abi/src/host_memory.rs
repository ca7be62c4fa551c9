//! Memory of the host that it keeps because of a guest: whoever keeps it holds a [`Charge`], and a [`HostMemory`] says how much
//! there may be.
//!
//! Must not know: what is kept, and whose limits these are.

use alloc::sync::Arc;
use core::fmt;

/// What may be kept because of a guest: a limit that several holders share.
pub trait HostMemory: Send + Sync {
    /// Takes bytes before they are allocated. False if that many are not left; nothing is taken then.
    fn take(&self, bytes: usize) -> bool;

    /// Gives bytes back that were taken.
    fn give(&self, bytes: usize);
}

/// Bytes that are kept, for as long as this is.
pub struct Charge<M: HostMemory + ?Sized = dyn HostMemory> {
    /// `None`: nobody counts.
    memory: Option<Arc<M>>,
    bytes: usize,
}

impl<M: HostMemory + ?Sized> Charge<M> {
    /// Nothing yet of a memory that is counted.
    pub fn new(memory: Arc<M>) -> Charge<M> {
        Charge { memory: Some(memory), bytes: 0 }
    }

    /// Whose memory it is, if that is counted.
    pub fn memory(&self) -> Option<&Arc<M>> {
        self.memory.as_ref()
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes or gives back until it is `bytes`. False if they are not to be had: then nothing has changed.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        if let Some(memory) = &self.memory {
            if bytes > self.bytes {
                if !memory.take(bytes - self.bytes) {
                    return false;
                }
            } else if bytes < self.bytes {
                memory.give(self.bytes - bytes);
            }
        }
        self.bytes = bytes;
        true
    }

    /// Takes so many more.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        match self.bytes.checked_add(bytes) {
            Some(bytes) => self.resize(bytes),
            None => false,
        }
    }

    /// Gives so many back, at most all.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        if let (Some(memory), 1..) = (&self.memory, bytes) {
            memory.give(bytes);
        }
    }

    /// A part of this charge, `bytes` or as much as there is, that is held by itself from now on.
    pub fn split(&mut self, bytes: usize) -> Charge<M> {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Charge { memory: self.memory.clone(), bytes }
    }
}

/// Of memory that nobody counts.
impl<M: HostMemory + ?Sized> Default for Charge<M> {
    fn default() -> Charge<M> {
        Charge { memory: None, bytes: 0 }
    }
}

impl<M: HostMemory + ?Sized> Drop for Charge<M> {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

impl<M: HostMemory + ?Sized> fmt::Debug for Charge<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    struct Limited(AtomicUsize);

    impl HostMemory for Limited {
        fn take(&self, bytes: usize) -> bool {
            let less = |left: usize| left.checked_sub(bytes);
            self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
        }

        fn give(&self, bytes: usize) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_charged_is_given_back_once() {
        let memory = Arc::new(Limited(AtomicUsize::new(100)));
        let left = || memory.0.load(Ordering::Relaxed);
        let mut charge = Charge::new(memory.clone());
        assert!(charge.grow(60) && left() == 40);
        assert!(!charge.grow(41) && !charge.grow(usize::MAX) && left() == 40, "nothing is taken by halves");
        assert!(charge.resize(10) && left() == 90);
        charge.shrink(20);
        assert_eq!((charge.bytes(), left()), (0, 100));
        assert!(charge.grow(100));
        drop(charge);
        assert_eq!(left(), 100);
        let mut uncounted = Charge::<Limited>::default();
        assert!(uncounted.grow(usize::MAX));
    }
}
