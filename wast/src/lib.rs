//! Runs .wast scripts, core and component, against mini-wasm.
