//! The mini-wasm engine: core WebAssembly, components, interpreter.
//!
//! | where | what |
//! |---|---|
//! | [`ops`] | the table of operators, from which everything else derives |
//! | [`types`], [`val`], [`trap`], [`error`], [`config`], [`features`] | the vocabulary |
//! | [`module`] | a parsed module |
//! | [`vm`] | what an instance is in memory, shared with native code |
//! | [`backend`] | the seam to a compiler |

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod backend;
pub mod config;
pub mod error;
pub mod features;
pub mod handle;
pub mod module;
pub mod num;
pub mod ops;
pub mod trap;
pub mod types;
pub mod val;
#[expect(
    unsafe_code,
    reason = "repr(C) structures that guest code shares with the engine: pointers into a store"
)]
pub mod vm;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use trap::Trap;
