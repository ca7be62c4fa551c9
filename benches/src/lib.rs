//! mini-wasm beside its peers, in one run.
