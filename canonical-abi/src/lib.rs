//! The Component Model's Canonical ABI: values across a component boundary.
//!
//! This crate follows CanonicalABI.md (and its executable form, definitions.py) of the component-model repository: the
//! same names in the same order, at the level of WASI 0.2. It knows memories, core values, handles and types; it knows no
//! runtime. Floor 0 of the house: no dependencies, no `std` needed, no `unsafe`.
//!
//! | module | CanonicalABI.md | what it has |
//! |---|---|---|
//! | [`types`] | Despecialization, Type Predicates | [`ValType`], [`FuncType`], [`ResourceType`] |
//! | [`val`] | | [`Val`]: a value whose type is known at run time |
//! | [`error`] | `trap_if` | [`Error`], [`Trap`] (the suite's texts), [`TypeMismatch`] |
//! | [`context`] | Canonical ABI Options, Lifting and Lowering Context | [`Guest`], [`LiftLowerContext`], the copy budget |
//! | [`handle`] | Table State, Resource State, `canon resource.*` | [`HandleTable`](handle::HandleTable), borrows and lends |
//! | [`layout`] | Alignment, Element Size | [`Layout`](layout::Layout): computed once per type |
//! | [`load`](mod@load) | Loading | memory to `Val` |
//! | [`store`](mod@store) | Storing | `Val` to memory |
//! | [`string`] | `load_string`, `store_string` | three encodings, both ways |
//! | [`flatten`] | Flattening | [`flatten_functype`](flatten::flatten_functype), [`CoreType`](flatten::CoreType) |
//! | [`lift`] | Flat Lifting, Lifting and Lowering Values | core values to `Val`: [`lift_flat_values`] |
//! | [`lower`] | Flat Lowering, Lifting and Lowering Values | `Val` to core values: [`lower_flat_values`] |
//! | [`typed`] | | the same for Rust types: [`ComponentType`], [`Lift`], [`Lower`], [`record!`] and its like |
//!
//! An embedder implements [`Guest`] for a component instance, makes a [`LiftLowerContext`] per call and direction, and
//! calls [`lift_flat_values`] and [`lower_flat_values`], or [`typed::ParamList`] and [`typed::OptionalType`] for Rust
//! types. All of them treat the guest as hostile: no panic, no unbounded recursion, no allocation beyond the copy budget.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
// The tests and the macros' users name the crate alike.
#[cfg(test)]
extern crate self as mini_wasm_canonical_abi;

pub mod context;
pub mod error;
pub mod flatten;
pub mod handle;
pub mod layout;
pub mod lift;
pub mod load;
pub mod lower;
pub mod store;
pub mod string;
pub mod typed;
pub mod types;
pub mod val;

pub use context::{Guest, LiftLowerContext, Options, StringEncoding};
pub use error::{Error, Result, Trap, TypeMismatch};
pub use flatten::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub use layout::PtrType;
pub use lift::{CoreValueIter, lift_flat_values};
pub use load::MAX_LIST_BYTE_LENGTH;
pub use lower::{CoreValueSink, lower_flat_values};
pub use string::MAX_STRING_BYTE_LENGTH;
pub use typed::{Borrow, ComponentType, Lift, Lower, Own};
pub use types::{FuncType, ResourceType, ValType};
pub use val::{List, Resource, Text, Val};
