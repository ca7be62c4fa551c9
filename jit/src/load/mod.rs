//! Native code in memory: mapped, registered, ready to be called; and how it is left again.
//!
//! | where | what |
//! |---|---|
//! | [`code`] | the mapping: written once, then executable and read-only |
//! | [`registry`] | which code a program counter belongs to; read by the trap handler |
//! | [`native`] | one module's code as the engine sees it |
//! | [`raise`] | leaving guest frames |
//!
//! Must not know: Cranelift, wasm.

pub(crate) mod code;
pub(crate) mod native;
pub(crate) mod raise;
pub(crate) mod registry;
