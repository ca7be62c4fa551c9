//! The deadline of `--timeout`: one thread that sleeps until then and moves the engine's epoch on. Without the flag there is
//! no thread.

use crate::failure::Failure;
use mini_wasm_runtime::{AsStoreMut, Engine};
use std::time::{Duration, Instant};

/// Starts the clock for a store of `engine`; when time will be over.
pub(super) fn start(
    engine: &Engine,
    mut store: impl AsStoreMut,
    timeout: Duration,
) -> Result<Instant, Failure> {
    store.as_store_mut().set_epoch_deadline(1);
    let over =
        Instant::now().checked_add(timeout).ok_or_else(|| Failure::Usage("--timeout is too long".into()))?;
    let engine = engine.clone();
    let sleep = move || {
        std::thread::sleep(over.saturating_duration_since(Instant::now()));
        engine.increment_epoch();
    };
    // Never joined: the process ends when the guest does, whichever comes first.
    std::thread::Builder::new().name("deadline".into()).stack_size(64 << 10).spawn(sleep).map_err(
        |error| Failure::Other(format!("cannot start the thread that watches --timeout: {error}")),
    )?;
    Ok(over)
}
