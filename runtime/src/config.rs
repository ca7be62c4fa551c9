//! What an embedder decides once for an [`crate::Engine`].

use crate::features::Features;

/// Settings of an engine. All of them are part of the key under which an artifact is valid, except the sizes of stacks, what
/// concerns the collector, and `guards_may_lack`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Proposals that modules may use.
    pub features: Features,
    /// Count fuel: each basic block is paid in full when it is entered (module/fuel.rs).
    pub fuel: bool,
    /// Check the epoch at function entry and loop heads, so that a deadline stops guest code.
    pub epoch: bool,
    /// Every NaN that arithmetic makes is the canonical one.
    pub canonicalize_nans: bool,
    /// Relaxed vector operators give on every machine and in every engine what the specification's deterministic profile says:
    /// what the strict operator of the same name would, `relaxed_madd` with two roundings. On by default, so that the
    /// interpreter, compiled code and artifacts agree wherever they run. Off: native code does what the machine does best
    /// (which results depend on it, the specification lists); interpreted functions go on as before.
    pub relaxed_simd_deterministic: bool,
    /// Bytes of a store's value stack, on which interpreted frames lie. The guest traps with `StackOverflow` past it.
    pub value_stack_bytes: usize,
    /// Bytes of native stack that must be left when guest code calls the host or starts.
    pub native_stack_reserve: usize,
    /// Largest part of the native stack that guest code may use, in bytes. The thread's own end is respected as well.
    pub native_stack_bytes: usize,
    /// Bytes of native stack that the guest code of one continuation may use.
    pub continuation_stack_bytes: usize,
    /// Bytes of a continuation's value stack, for interpreted frames.
    pub continuation_value_stack_bytes: usize,
    /// Bytes of native stack that the guest code of one call that may wait (`call_async`) may use.
    pub async_stack_bytes: usize,
    /// Bytes of such a call's value stack, for interpreted frames.
    pub async_value_stack_bytes: usize,
    /// Reserve 4 GiB plus guard for 32-bit memories so that native code needs no bounds checks, and let signals tell of
    /// faults. Off: explicit checks everywhere and no signal handler (for hosts that own their signals). The default is on where
    /// address space is plenty: not on 32-bit systems, nor under a small `ulimit -v`. The interpreter needs no guards.
    pub guard_pages: bool,
    /// If the system refuses the guards of a memory although `guard_pages` is on, it is made without, and instances that use it are
    /// interpreted. Off: such a memory is an error.
    pub guards_may_lack: bool,
    /// Collect the heap at every allocation, and overwrite what is freed: for tests of whoever holds references.
    pub gc_stress: bool,
    /// Frames that a backtrace keeps.
    pub max_backtrace: usize,
    /// Calls between components go through values of the engine's own, as the specification words it: for tests of the plans that
    /// they follow otherwise.
    #[doc(hidden)]
    pub plain_adapters: bool,
    /// No memory gets guards, as if the system refused them: for tests of what happens then.
    #[doc(hidden)]
    pub refuse_guards: bool,
    /// What the interpreter's translator may do for speed. Results never depend on it: it is switched to prove that.
    #[doc(hidden)]
    pub translator: Liberties,
}

/// What the interpreter's translator may do for speed.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Liberties {
    /// Read results from the accumulators where they are still there.
    pub accumulators: bool,
    /// Keep the most used integer local of a function in a register.
    pub pinned_local: bool,
    /// Merge instructions.
    pub fusion: bool,
}

impl Default for Liberties {
    fn default() -> Liberties {
        Liberties { accumulators: true, pinned_local: true, fusion: true }
    }
}

#[cfg(all(feature = "std", target_os = "linux", target_pointer_width = "64"))]
fn guard_pages() -> bool {
    crate::sys::has_plenty_of_address_space()
}

#[cfg(not(all(feature = "std", target_os = "linux", target_pointer_width = "64")))]
fn guard_pages() -> bool {
    false
}

impl Default for Config {
    fn default() -> Config {
        Config {
            features: Features::default(),
            fuel: false,
            epoch: false,
            canonicalize_nans: false,
            relaxed_simd_deterministic: true,
            value_stack_bytes: if cfg!(feature = "std") { 8 << 20 } else { 32 << 10 },
            native_stack_reserve: 256 << 10,
            native_stack_bytes: 4 << 20,
            continuation_stack_bytes: 256 << 10,
            continuation_value_stack_bytes: 256 << 10,
            async_stack_bytes: 2 << 20,
            async_value_stack_bytes: 1 << 20,
            guard_pages: guard_pages(),
            guards_may_lack: true,
            refuse_guards: false,
            gc_stress: false,
            max_backtrace: 64,
            plain_adapters: false,
            translator: Liberties::default(),
        }
    }
}
