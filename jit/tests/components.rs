//! The tests of components that stand in the runtime (runtime/src/component/tests), on native code.

mod runtime_names;

use mini_wasm_jit::Jit;
use runtime_names::*;
use std::sync::Arc;

#[path = "../../runtime/src/component/tests/mod.rs"]
mod tests;

/// The engine that they run on.
fn engine(config: Config) -> Engine {
    Engine::with_backend(config, Arc::new(Jit::default()))
}
