//! The same tests as in components.rs, on native code that was an artifact in between.

mod reloading;
mod runtime_names;

use reloading::Reloading;
use runtime_names::*;
use std::sync::Arc;

#[path = "../../runtime/src/component/tests/mod.rs"]
mod tests;

/// The engine that they run on.
fn engine(config: Config) -> Engine {
    Engine::with_backend(config, Arc::new(Reloading))
}
