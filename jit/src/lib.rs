//! Native code for mini-wasm: Wasm to Cranelift, the artifact file, loading and traps.
