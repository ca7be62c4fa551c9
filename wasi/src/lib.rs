//! The WASI 0.2 host of mini-wasm: one folder per package, one file per interface.
