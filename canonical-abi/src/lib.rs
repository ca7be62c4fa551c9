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
//! | [`host_memory`] | | [`HostMemory`], [`Charge`]: what the host keeps because of a guest |
//! | [`layout`] | Alignment, Element Size | [`Layout`](layout::Layout): computed once per type |
//! | [`load`](mod@load) | Loading | memory to `Val` |
//! | [`store`](mod@store) | Storing | `Val` to memory |
//! | [`string`] | `load_string`, `store_string` | three encodings, both ways |
//! | [`flatten`] | Flattening | [`flatten_functype`](flatten::flatten_functype), [`CoreType`](flatten::CoreType) |
//! | [`lift`] | Flat Lifting, Lifting and Lowering Values | core values to `Val`: [`lift_flat_values`] |
//! | [`lower`] | Flat Lowering, Lifting and Lowering Values | `Val` to core values: [`lower_flat_values`] |
//! | [`plan`] | both, fused | a call between two components as a flat list of steps, and what runs it |
//! | [`typed`] | | the same for Rust types: [`ComponentType`], [`Lift`], [`Lower`], [`record!`] and its like |
//!
//! An embedder implements [`Guest`] for a component instance, makes a [`LiftLowerContext`] per call and direction, and
//! calls [`lift_flat_values`] and [`lower_flat_values`], or [`typed::ValueList`] and [`typed::OptionalType`] for Rust
//! types. All of them treat the guest as hostile: no panic, no unbounded recursion, no allocation beyond the copy budget.
//!
//! ```
//! use mini_wasm_canonical_abi::*;
//! use mini_wasm_canonical_abi::typed::{LiftList, LowerList};
//!
//! /// A guest without handles whose `realloc` only ever goes up.
//! struct Bump(Vec<u8>, usize);
//! # fn none<T>() -> Result<T> { Err(Error::guest(std::io::Error::other("no handles here"))) }
//! impl Guest for Bump {
//!     fn memory(&self) -> &[u8] { &self.0 }
//!     fn memory_mut(&mut self) -> &mut [u8] { &mut self.0 }
//!     fn realloc(&mut self, _: usize, _: usize, alignment: usize, new_size: usize) -> Result<usize> {
//!         let ptr = self.1.next_multiple_of(alignment);
//!         self.1 = ptr + new_size;
//!         Ok(ptr)
//!     }
//!     // lift_own, lift_borrow, lower_own, lower_borrow: see `handle::HandleTable`
//! #   fn lift_own(&mut self, _: u32, _: ResourceType) -> Result<Resource> { none() }
//! #   fn lift_borrow(&mut self, _: u32, _: ResourceType) -> Result<Resource> { none() }
//! #   fn lower_own(&mut self, _: Resource, _: ResourceType) -> Result<u32> { none() }
//! #   fn lower_borrow(&mut self, _: Resource, _: ResourceType) -> Result<u32> { none() }
//! }
//!
//! let mut guest = Bump(vec![0; 1024], 8);
//! let mut slots = [0; MAX_FLAT_PARAMS];
//!
//! // The host calls `f(name: string, sizes: list<u32>)`: four core values.
//! let mut cx = LiftLowerContext::new(&mut guest, Options::default());
//! let mut out = CoreValueSink::new(&mut slots);
//! ("name", &[1u32, 2, 3][..]).lower_flat_values(&mut cx, MAX_FLAT_PARAMS, None, &mut out)?;
//! assert_eq!(slots[..4], [8, 4, 12, 3]);
//!
//! // The guest calls a host function of the same type with them.
//! let mut cx = LiftLowerContext::new(&mut guest, Options::default());
//! let mut flat_args = CoreValueIter::new(&slots[..4]);
//! let (name, sizes) = <(String, Vec<u32>)>::lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut flat_args)?;
//! assert_eq!((&*name, &*sizes), ("name", &[1, 2, 3][..]));
//!
//! // The same by types that are known at run time.
//! let types = [ValType::String, ValType::list(ValType::U32).unwrap()];
//! let mut flat_args = CoreValueIter::new(&slots[..4]);
//! let vals = lift_flat_values(&mut cx, MAX_FLAT_PARAMS, &mut flat_args, &types)?;
//! assert_eq!(vals, [Val::from("name"), Val::List(vec![1u32, 2, 3].into())]);
//! # Ok::<(), Error>(())
//! ```

#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod context;
pub mod error;
pub mod flatten;
pub mod handle;
pub mod host_memory;
pub mod layout;
pub mod lift;
pub mod load;
pub mod lower;
pub mod plan;
pub mod store;
pub mod string;
pub mod typed;
pub mod types;
pub mod val;

pub use context::{Guest, LiftLowerContext, Options, StringEncoding, check_reallocated};
pub use error::{Error, Result, Trap, TypeMismatch};
pub use flatten::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub use host_memory::{Charge, HostMemory};
pub use layout::PtrType;
pub use lift::{CoreValueIter, lift_flat_values};
pub use load::{CANONICAL_FLOAT32_NAN, CANONICAL_FLOAT64_NAN, MAX_LIST_BYTE_LENGTH};
pub use lower::{CoreValueSink, lower_flat_values};
pub use string::MAX_STRING_BYTE_LENGTH;
pub use typed::{Borrow, ComponentType, GuestBorrow, GuestOwn, Lent, Lift, Lower, Own};
pub use types::{FuncType, ResourceType, ValType};
pub use val::{List, Resource, Text, Val};
