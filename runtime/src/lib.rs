//! The mini-wasm engine: core WebAssembly, components, interpreter.
//!
//! | where | what |
//! |---|---|
//! | [`ops`], [`num`], [`simd`] | the table of operators, from which everything else derives, and what each one means |
//! | [`types`], [`val`], [`trap`], [`error`], [`config`], [`features`], [`handle`] | the vocabulary |
//! | [`module`] | a parsed module |
//! | [`vm`] | what an instance is in memory, shared with native code |
//! | [`backend`] | the seam to a compiler |
//! | [`engine`], [`store`], [`linker`] | what an embedder holds |
//! | `instance`, `instantiate`, [`func`], `memory`, `table`, `global`, [`host`] | what a store owns |
//! | `interp` | the interpreter |
//! | [`component`] | components |
//!
//! ```
//! use mini_wasm_runtime::{Config, Engine, Linker, Module, Store};
//!
//! let engine = Engine::new(Config::default());
//! let module = Module::new(&engine, wat::parse_str(
//!     r#"(module
//!         (import "host" "twice" (func $twice (param i32) (result i32)))
//!         (func (export "answer") (result i32) (call $twice (i32.const 21))))"#,
//! )?)?;
//! let mut linker = Linker::<()>::new();
//! linker.func_wrap("host", "twice", |n: i32| n * 2)?;
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &module)?;
//! let answer = instance.func(&mut store, "answer").expect("it is exported").typed::<(), i32>(&store)?;
//! assert_eq!(answer.call(&mut store, ())?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod backend;
pub mod config;
mod difference;
pub mod engine;
pub mod error;
pub mod features;
pub mod handle;
mod limits;
pub mod module;
pub mod num;
pub mod ops;
#[expect(unsafe_code, reason = "sixteen bytes seen as lanes")]
pub mod simd;
pub mod trap;
pub mod types;
pub mod val;

// The register of unsafe code. Each block in these modules cites an invariant of `vm` (V1 to V5).
#[expect(unsafe_code, reason = "reads objects that a handle keeps alive")]
pub mod any_ref;
#[expect(unsafe_code, reason = "guest code calls in with pointers into a store")]
mod builtins;
#[cfg(fibers)]
#[expect(unsafe_code, reason = "what a call borrows is on a stack that the borrow checker does not see")]
pub mod call_async;
mod deadline;
#[expect(unsafe_code, reason = "constant expressions make objects")]
mod evaluate;
#[expect(unsafe_code, reason = "an exception's payload lies behind its header")]
pub mod exception;
#[expect(unsafe_code, reason = "calls functions by pointer after their types were compared")]
pub mod func;
#[expect(unsafe_code, reason = "objects behind pointers; roots are found in raw memory")]
pub mod gc;
#[expect(unsafe_code, reason = "a handle becomes the pointer that the store keeps")]
mod global;
#[expect(unsafe_code, reason = "the door from guest to host gets pointers into a store")]
pub mod host;
#[expect(unsafe_code, reason = "an instance's context is laid out by hand")]
mod instance;
#[expect(unsafe_code, reason = "fills an instance's context")]
mod instantiate;
#[expect(unsafe_code, reason = "threaded code over frames in a value stack")]
mod interp;
#[expect(unsafe_code, reason = "linear memory is bytes behind a pointer")]
mod memory;
#[expect(unsafe_code, reason = "instructions by name: the compiler may swap the operands of its own")]
mod ordered;
#[expect(unsafe_code, reason = "asks an object for its type")]
pub mod reference;
#[expect(unsafe_code, reason = "types point at each other and are shared by threads")]
pub mod registry;
mod stack;
#[expect(unsafe_code, reason = "owns by pointer what guest code points at; the door from host to guest")]
pub mod store;
#[cfg_attr(not(fibers), path = "switching/unsupported.rs")]
#[expect(unsafe_code, reason = "goes over from stack to stack")]
mod switching;
#[cfg_attr(not(feature = "std"), expect(unsafe_code, reason = "a spin lock around an UnsafeCell"))]
mod sync;
#[cfg(feature = "std")]
#[expect(unsafe_code, reason = "system calls for stack bounds and address space; the allocator's")]
mod sys;
#[expect(unsafe_code, reason = "a table is references behind a pointer")]
mod table;
mod tag;
#[expect(
    unsafe_code,
    reason = "repr(C) structures that guest code shares with the engine: pointers into a store"
)]
pub mod vm;

pub mod linker;

pub mod component;

pub use any_ref::{AnyRef, ArrayRef, StructRef};
#[cfg(fibers)]
pub use call_async::{AsyncCall, HostFuture};
pub use config::Config;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use exception::ExnRef;
pub use func::TypedFunc;
pub use gc::{GcStats, Rooted};
pub use handle::{Extern, Func, Global, Instance, Memory, Table, Tag};
pub use host::Caller;
pub use linker::{InstancePre, Linker};
#[cfg(shared_memory)]
pub use memory::{SharedMemory, Woken};
pub use module::Module;
pub use simd::V128;
pub use store::{AsStore, AsStoreMut, Store, StoreInner, StoreLimits};
#[cfg(feature = "std")]
pub use sys::{return_free_memory, survive_file_size_limit};
pub use trap::Trap;
pub use val::{ExternRef, Val};
