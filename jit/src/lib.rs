//! Native code for mini-wasm: Wasm to Cranelift, the artifact file, loading and traps.
//!
//! | where | what |
//! |---|---|
//! | [`compile`] | the compiler (feature `compile`): operators to code, stubs, linking |
//! | [`artifact`], [`seal`] | the file, and what makes it trustworthy |
//! | `tables` | what each program counter means, as flat tables |
//! | `load` | code in memory, and how it is left again |
//! | `sys` | the trap handler |
//! | `cpu`, `key` | what code may run where |
//!
//! Unsafe code stands in the modules that own code memory, signals and entries; the compiler has none.

#[expect(unsafe_code, reason = "vouches for code whose seal it has checked")]
pub mod artifact;
#[cfg_attr(feature = "compile", expect(unsafe_code, reason = "vouches for code that it has just compiled"))]
mod backend;
mod cpu;
mod key;
#[expect(unsafe_code, reason = "maps code, calls it, and walks its frames")]
mod load;
pub mod seal;
#[expect(unsafe_code, reason = "signal handlers and cache maintenance")]
mod sys;
mod tables;

#[cfg(feature = "compile")]
pub mod compile;

pub use backend::LoadOnly;
#[cfg(feature = "compile")]
pub use backend::{COMPILE_SPACE, Jit};
pub use cpu::{Arch, CpuFeatures};
