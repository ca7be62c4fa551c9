//! The seam between the engine and a compiler: what the `jit` crate fills in.
//!
//! The engine never sees Cranelift, the compiler never sees stores: they share [`ModuleInfo`], the operator table and the
//! `repr(C)` structures of [`crate::vm`].

use crate::config::Config;
use crate::error::Result;
use crate::module::ModuleInfo;
use crate::types::FuncType;
use crate::vm::{ArrayCall, VmBuiltins};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::c_void;
use core::time::Duration;
use mini_wasm_canonical_abi::plan::Plan;

/// A compiler to native code.
pub trait Backend: Send + Sync + core::fmt::Debug {
    /// Compiles a module. A function that cannot or should not be compiled is left out and runs in the interpreter; only a
    /// failure that concerns the whole module is an error. `file` is what all modules of the file share.
    fn compile(&self, module: &ModuleInfo, config: &Config, file: &FileBudget)
    -> Result<Arc<dyn NativeCode>>;

    /// Compiles what stands between two components, for this machine. `None` when it is left to its plan.
    fn adapter(&self, _adapter: &AdapterInfo) -> Option<Arc<dyn NativeAdapter>> {
        None
    }

    /// The builtins that only a backend can provide, filled in over the engine's own (`raise`).
    fn builtins(&self, builtins: &mut VmBuiltins);
}

/// What compiling has taken of the time that one file gets, however many core modules are in it.
#[derive(Debug)]
pub struct FileBudget {
    /// Length of the file.
    pub bytes: usize,
    /// What the compiler has used up of it so far; the compiler counts.
    pub spent: Cell<Duration>,
}

impl FileBudget {
    /// Of a file of which nothing has been compiled.
    pub fn new(bytes: usize) -> FileBudget {
        FileBudget { bytes, spent: Cell::new(Duration::ZERO) }
    }
}

/// Is there so much address space left that a compiler may use? Where it is not, an allocation that fails would end the process.
#[cfg(feature = "std")]
pub fn has_address_space(bytes: usize) -> bool {
    crate::sys::has_address_space(bytes)
}

/// A call from one component into another, as a compiler sees it: all that its code depends on. What else differs between two calls
/// the code finds in a [`crate::vm::VmAdapter`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AdapterInfo {
    /// The core function that the caller imports.
    pub caller: FuncType,
    /// The core function behind the callee's `canon lift`.
    pub callee: FuncType,
    /// What happens to the parameters. The resource types in it have no meaning: see [`crate::vm::VmAdapter::resources`].
    pub params: Plan,
    /// What happens to the results, as with the parameters. `None`: they are left to the plan.
    pub results: Option<Plan>,
    /// Which resources of the parameters' plan the callee defines: it knows what it borrows of them by its representation.
    pub callee_defines: Vec<bool>,
    /// Whether there are times at which the caller may not leave, so that it has to be asked.
    pub asks_caller: bool,
    /// Whether the callee has a `post-return`.
    pub has_post_return: bool,
}

/// Native code of an [`AdapterInfo`].
pub trait NativeAdapter: Send + Sync + core::fmt::Debug {
    /// `tail` convention: the [`crate::vm::VmAdapter`], then the parameters of the caller's import.
    fn entry(&self) -> *const c_void;
}

/// Native code of one module, ready to run.
pub trait NativeCode: Send + Sync + core::fmt::Debug {
    /// Code of an own function (counted without imports); `None` when it is not compiled.
    fn func(&self, own: usize) -> Option<NativeFunc>;

    /// The stub, in the `tail` convention, by which this module's code calls a function that has no native entry, for type
    /// index `ty` of the module: its first parameter is the [`crate::vm::VmFunc`]. Null only if no call of this type exists.
    fn stub(&self, ty: u32) -> *const c_void;

    /// The function and operator behind an address inside an instruction of this code, for backtraces: own function number and
    /// byte offset in the wasm file, if recorded. For a call that is under way the address is its return address less one.
    fn locate(&self, pc: usize) -> Option<(u32, Option<u32>)>;
}

/// Entries of a compiled function.
#[derive(Clone, Copy, Debug)]
pub struct NativeFunc {
    /// `tail` convention: `VmContext`, then the wasm parameters.
    pub native: *const c_void,
    /// For callers with slots; calls `VmFunc::native` with `VmFunc::context`.
    pub array_call: ArrayCall,
}
