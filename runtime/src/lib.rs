//! The mini-wasm engine: core WebAssembly, components, interpreter.
