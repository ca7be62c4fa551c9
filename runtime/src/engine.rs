//! The engine: configuration, identities of types, the compiler if there is one. Immutable after it is made, shared by threads.

use crate::backend::Backend;
use crate::builtins;
use crate::config::Config;
use crate::registry::TypeRegistry;
#[cfg(fibers)]
use crate::switching::waiting::SpareStacks;
use crate::types::{FuncType, TypeId};
use crate::vm::VmBuiltins;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What modules, components and stores are made in. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

struct EngineInner {
    config: Config,
    backend: Option<Arc<dyn Backend>>,
    types: TypeRegistry,
    builtins: VmBuiltins,
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "only address space has guards"))]
    runs_native_code: bool,
    epoch: AtomicUsize,
    /// Bytes that the heaps of all stores hold.
    gc_bytes: AtomicUsize,
    /// Held for the next call that may wait.
    #[cfg(fibers)]
    spare_stacks: SpareStacks,
}

impl Engine {
    /// An engine that interprets.
    pub fn new(config: Config) -> Engine {
        Engine::make(config, None, builtins::TABLE, false)
    }

    /// An engine that compiles what it can.
    pub fn with_backend(config: Config, backend: Arc<dyn Backend>) -> Engine {
        let mut table = builtins::TABLE;
        backend.builtins(&mut table);
        Engine::make(config, Some(backend), table, true)
    }

    /// An engine that does not compile but runs native code that was compiled before: `backend` supplies what such code needs.
    pub fn with_runtime(config: Config, backend: &dyn Backend) -> Engine {
        let mut table = builtins::TABLE;
        backend.builtins(&mut table);
        Engine::make(config, None, table, true)
    }

    fn make(
        config: Config,
        backend: Option<Arc<dyn Backend>>,
        builtins: VmBuiltins,
        runs_native_code: bool,
    ) -> Engine {
        Engine(Arc::new(EngineInner {
            config,
            backend,
            types: TypeRegistry::default(),
            builtins,
            runs_native_code,
            epoch: AtomicUsize::new(0),
            gc_bytes: AtomicUsize::new(0),
            #[cfg(fibers)]
            spare_stacks: SpareStacks::default(),
        }))
    }

    /// What was decided for it.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Lets time pass for stores with a deadline. May be called from any thread, also from a signal handler.
    pub fn increment_epoch(&self) {
        self.0.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Is it the same engine?
    #[cfg(shared_memory)]
    pub(crate) fn is(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The epoch now.
    pub fn epoch(&self) -> usize {
        self.0.epoch.load(Ordering::Relaxed)
    }

    /// The types of its modules and host functions.
    pub fn types(&self) -> &TypeRegistry {
        &self.0.types
    }

    /// The identity of a function type: equal types have equal ids.
    pub fn intern(&self, ty: &FuncType) -> TypeId {
        self.0.types.intern(ty)
    }

    /// The function type of an id of this engine.
    pub fn func_type(&self, id: TypeId) -> Option<FuncType> {
        self.0.types.defined(id)?.sub().as_func().cloned()
    }

    /// Bytes that the heaps of this engine's stores hold now, free blocks included: 0 when all of them are gone.
    pub fn gc_bytes(&self) -> usize {
        self.0.gc_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count_gc_bytes(&self, change: isize) {
        self.0.gc_bytes.fetch_add(change as usize, Ordering::Relaxed);
    }

    #[cfg(fibers)]
    pub(crate) fn spare_stacks(&self) -> &SpareStacks {
        &self.0.spare_stacks
    }

    /// Are these the same engine?
    pub fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn backend(&self) -> Option<&Arc<dyn Backend>> {
        self.0.backend.as_ref()
    }

    /// Is any of its modules' code native, perhaps?
    #[cfg(feature = "std")]
    pub(crate) fn runs_native_code(&self) -> bool {
        self.0.runs_native_code
    }

    pub(crate) fn builtins(&self) -> *const VmBuiltins {
        &self.0.builtins
    }

    pub(crate) fn epoch_counter(&self) -> *const AtomicUsize {
        &self.0.epoch
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new(Config::default())
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.0.config)
            .field("backend", &self.0.backend)
            .finish_non_exhaustive()
    }
}
