//! What a store may take of the host: its ceilings, and what is charged against them.
//!
//! Each kind of memory that a guest fills has a ceiling of its own, and [`StoreLimits::total_bytes`] is one on their sum. What counts:
//!
//! | kind | bytes | its own ceiling | who passes it |
//! |---|---|---|---|
//! | linear memories | their length | `memory_bytes` | `memory.grow` gives -1, an instantiation fails |
//! | tables | 8 for each element | `table_elements` | `table.grow` gives -1, an instantiation fails |
//! | structs, arrays, exceptions, continuations (the objects) | blocks that were used since the system gave them, large objects, and the records of both | `gc_heap_bytes` | `GcHeapOutOfMemory` |
//! | stacks of continuations | all that can be touched while one runs or is kept for later; what lives on it once it was settled (`switching::room`) | `continuation_bytes`, of address space | `TooManyContinuations` |
//!
//! What the engine keeps because of the module (contexts, references to functions, globals, segments, functions between components)
//! the guest cannot make grow while it runs: it has a ceiling beside the sum, `instance_bytes`. So have the stacks of calls from the
//! host: a value stack for each store, native stack and slots for each call that may wait (`Config`).

use crate::store::StoreInner;
use alloc::{format, string::String};

/// Ceilings of one store. Reaching one is an error for the embedder or a failed `grow` for the guest, never more memory.
#[derive(Clone, Debug)]
pub struct StoreLimits {
    /// Bytes of memories, tables, the heap and the stacks of continuations together.
    pub total_bytes: u64,
    /// Bytes of all memories together.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Instances of core modules.
    pub instances: u32,
    /// Bytes that the engine keeps for instances beside memories, tables and code: contexts, globals, segments, references to functions.
    pub instance_bytes: u64,
    /// Handles of one component instance's table.
    pub handles: u32,
    /// Continuations that were begun and have not ended.
    pub continuations: u32,
    /// Bytes of address space that their stacks take. Memory is used as they are touched.
    pub continuation_bytes: u64,
    /// Bytes of the heap on which structs, arrays, exceptions and continuations lie.
    pub gc_heap_bytes: u64,
    /// Bytes that one call may make the host copy out of guest memory.
    pub copy_bytes_per_call: u64,
}

impl Default for StoreLimits {
    fn default() -> StoreLimits {
        StoreLimits {
            total_bytes: u64::MAX,
            memory_bytes: u64::MAX,
            table_elements: 10_000_000,
            instances: 10_000,
            instance_bytes: 1 << 30,
            handles: 1_000_000,
            continuations: 20_000,
            continuation_bytes: 32 << 30,
            gc_heap_bytes: 1 << 30,
            copy_bytes_per_call: 128 << 20,
        }
    }
}

/// Bytes of a table's element.
pub(crate) const ELEMENT_BYTES: u64 = size_of::<crate::val::RawVal>() as u64;

impl StoreInner {
    /// Bytes that count against [`StoreLimits::total_bytes`] now.
    pub fn bytes_in_use(&self) -> u64 {
        self.bytes_beside_heap().saturating_add(self.gc.held_bytes())
    }

    /// The same without the heap's.
    fn bytes_beside_heap(&self) -> u64 {
        let tables = self.table_elements.saturating_mul(ELEMENT_BYTES);
        self.memory_bytes.saturating_add(tables).saturating_add(self.switching.charged_bytes())
    }

    /// What is said of something that does not fit below [`StoreLimits::total_bytes`].
    pub(crate) fn past_total(&self, what: core::fmt::Arguments<'_>, total: u64) -> String {
        format!(
            "{what} goes past the store's limit of {total} bytes for all it holds ({} are left)",
            self.bytes_left()
        )
    }

    /// Bytes that are left below [`StoreLimits::total_bytes`].
    pub(crate) fn bytes_left(&self) -> u64 {
        self.limits().total_bytes.saturating_sub(self.bytes_in_use())
    }

    /// The same, after the stacks of continuations gave back what they can if there are fewer than `wanted`.
    pub(crate) fn bytes_left_for(&mut self, wanted: u64) -> u64 {
        let left = self.bytes_left();
        if wanted <= left {
            return left;
        }
        self.switching.settle();
        self.bytes_left()
    }

    /// Bytes that the heap may hold, if nothing else grows.
    pub(crate) fn heap_share(&self) -> u64 {
        self.limits().total_bytes.saturating_sub(self.bytes_beside_heap())
    }
}
