//! Runs `.wast` scripts, core and component, against a mini-wasm engine: what the official suites are written in.
//!
//! ```
//! use mini_wasm_runtime::Engine;
//! use mini_wasm_wast::{Options, Session, run};
//!
//! let engine = Engine::new(Session::bounded(Default::default()));
//! let script = r#"
//!     (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
//!     (assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))
//! "#;
//! let report = run(&Session::new(engine), script, &Options::default());
//! assert!(report.is_success(), "{:?}", report.failures);
//! ```
//!
//! | where | what |
//! |---|---|
//! | [`Session`] | the engine under test, and how bytes become a module or component (parsed, or by way of an artifact) |
//! | [`run`] | one script from its text to a [`FileReport`]; each script has a store of its own |
//! | [`text`] | text to binary, that of before 2026 as well |
//! | [`Kind`], [`Class`] | the table of directives |
//! | [`FileReport`], [`Tally`] | counts, and each failed or skipped directive with its line |
//!
//! The rules by which a directive passes:
//!
//! - `assert_return`: each result fits its pattern bit by bit, NaN patterns as the core specification defines them.
//! - `assert_trap`, `assert_exhaustion`: the engine reports a trap and its message *contains* the script's text, as other
//!   runners of these suites have it. Two things are taken off the script's text first: the words `wasm trap: ` at its
//!   beginning, and a number at its end that says which table element it was, where ours is a trap of the core table and
//!   does not say. `assert_exhaustion` wants the trap to be a stack overflow as well.
//! - `assert_unlinkable`: the engine says "unlinkable", and its message contains the script's text.
//! - `assert_invalid`, `assert_malformed`: reading or validation refuses the binary (the text format's reader counts). The
//!   message is not compared: it is wasmparser's and `wast`'s, not ours.
//! - A directive in which a component comes to a built-in that the engine does not support yet is skipped by that name, and so is whatever
//!   uses that instance afterwards.
//! - A directive that uses a module which failed fails as well; one that uses a skipped module is skipped.
//!
//! A script is not trusted: a directive's guest code is stopped by epoch or fuel (whichever the engine counts), a store has
//! limits, and a panic of the engine is a failure of that directive (the rest of the script then counts as failed too).
//!
//! This crate knows neither compiler nor WASI: [`Session::loader`] is where a caller brings native code in.

mod component_value;
mod core_value;
mod directive;
mod report;
mod script;
mod session;
mod spectest;
pub mod text;

pub use directive::{Class, Kind};
pub use report::{Counts, Failure, FileReport, Skip, Tally};
pub use session::{Binary, Options, Session, kinds, run};
