//! The deadline of `--timeout`: one thread that sleeps until then and moves the engine's epoch on. Without the flag there is
//! no thread.

use crate::failure::Failure;
use crate::flags::Limits;
use mini_wasm_runtime::{AsStoreMut, Engine};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Instant;

/// A deadline that is called off when this is dropped.
pub(crate) struct Deadline {
    /// When time will be over.
    pub(crate) over: Instant,
    _watch: Sender<()>,
}

impl Deadline {
    /// Starts the clock for a store of `engine`, if the flags set one.
    pub(crate) fn start(
        engine: &Engine,
        mut store: impl AsStoreMut,
        limits: &Limits,
    ) -> Result<Option<Deadline>, Failure> {
        let Some(timeout) = limits.timeout else { return Ok(None) };
        store.as_store_mut().set_epoch_deadline(1);
        let over = Instant::now()
            .checked_add(timeout)
            .ok_or_else(|| Failure::Usage("--timeout is too long".into()))?;
        let engine = engine.clone();
        let (watch, watched) = mpsc::channel::<()>();
        let sleep = move || {
            // Nothing is ever sent: the other end goes away, or time is over.
            let left = over.saturating_duration_since(Instant::now());
            if watched.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        // Never joined: the process ends when the guest does, whichever comes first.
        std::thread::Builder::new().name("deadline".into()).stack_size(64 << 10).spawn(sleep).map_err(
            |error| Failure::Other(format!("cannot start the thread that watches --timeout: {error}")),
        )?;
        Ok(Some(Deadline { over, _watch: watch }))
    }
}
