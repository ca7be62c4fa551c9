//! Official suites, oracles, differential tests and fuzzers for mini-wasm.
