//! The tests of components that stand in the runtime (runtime/src/component/tests), on native code that was an artifact in between.

#![allow(unused_imports, reason = "what the tests find in the runtime's own modules")]

mod reloading;

use mini_wasm_runtime::component::{
    Component, ExternType, Func, Instance, Linker, LinkerInstance, TypedFunc, abi, resource_drop,
};
use mini_wasm_runtime::{
    Caller, Config, Engine, Error, ErrorKind, ExnRef, Module, Result, Store, StoreLimits, Tag, Trap, error,
    features, types,
};
use reloading::Reloading;
use std::sync::Arc;

#[path = "../../runtime/src/component/tests/mod.rs"]
mod tests;

/// The engine that they run on.
fn engine(config: Config) -> Engine {
    Engine::with_backend(config, Arc::new(Reloading))
}
