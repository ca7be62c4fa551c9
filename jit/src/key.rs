//! The key under which native code is valid: the settings that shaped it, and the layout of the structures it reaches into.
//!
//! Code made under another key would read the wrong fields or skip checks that are wanted, so it never runs.

use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::gc::{GcHeader, Shape};
use mini_wasm_runtime::vm::*;
use mini_wasm_runtime::{for_each_builtin, for_each_trap};
use std::mem::offset_of;

/// The settings of [`Config`] that native code depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CodeKey {
    pub(crate) fuel: bool,
    pub(crate) epoch: bool,
    pub(crate) canonicalize_nans: bool,
    pub(crate) guard_pages: bool,
    pub(crate) relaxed_simd_deterministic: bool,
    pub(crate) features: Features,
}

impl CodeKey {
    pub(crate) fn new(config: &Config) -> CodeKey {
        CodeKey {
            fuel: config.fuel,
            epoch: config.epoch,
            canonicalize_nans: config.canonicalize_nans,
            guard_pages: config.guard_pages,
            relaxed_simd_deterministic: config.relaxed_simd_deterministic,
            features: config.features,
        }
    }

    /// One bit for each switch of the code generator.
    pub(crate) fn switches(&self) -> u32 {
        let relaxed = !self.relaxed_simd_deterministic;
        [self.fuel, self.epoch, self.canonicalize_nans, self.guard_pages, relaxed]
            .into_iter()
            .enumerate()
            .map(|(bit, on)| u32::from(on) << bit)
            .sum()
    }

    /// A number that changes with the feature set.
    pub(crate) fn features_hash(&self) -> u64 {
        fnv(0, format!("{:?}", self.features).as_bytes())
    }
}

/// The code generator's own version: raise it when the meaning of compiled code or of the tables changes.
pub(crate) const CODE_VERSION: u32 = 3;

/// A number that changes with the crate's version, the layout of the structures in `vm.rs`, and the trap codes.
pub(crate) fn build_hash() -> u64 {
    macro_rules! traps {
        ($($name:ident $text:literal;)*) => { concat!($(stringify!($name), ";"),*) };
    }
    let mut hash = fnv(0, env!("CARGO_PKG_VERSION").as_bytes());
    hash = fnv(hash, &CODE_VERSION.to_le_bytes());
    hash = fnv(hash, for_each_trap!(traps).as_bytes());
    for (name, offset) in layout() {
        hash = fnv(hash, name.as_bytes());
        hash = fnv(hash, &offset.to_le_bytes());
    }
    hash
}

/// Every field that native code reaches, with its offset.
fn layout() -> Vec<(&'static str, u64)> {
    macro_rules! fields {
        ($($ty:ident { $($field:ident)* })*) => {
            vec![$($((concat!(stringify!($ty), ".", stringify!($field)), offset_of!($ty, $field) as u64),)*
                (stringify!($ty), size_of::<$ty>() as u64),)*]
        };
    }
    macro_rules! builtins {
        ($($name:ident($ctx:ident $(, $arg:ident: $ty:tt)*) -> $ret:tt $doc:literal;)*) => {
            [$((concat!(stringify!($name), stringify!(($($ty),*) -> $ret)), offset_of!(VmBuiltins, $name) as u64)),*]
        };
    }
    let mut all = fields! {
        VmFunc { array_call native context instance store host ty index guard behind adapter }
        VmType { shape id depth supers descriptor_offset }
        GcHeader { shape len }
        Shape { kind }
        VmImport { native context func adapter }
        VmAdapter { caller_may_leave callee func callee_may_leave realloc caller_realloc post_return from to caller_handles callee_handles tasks resources store builtins }
        VmMemory { base len }
        VmTable { base len }
        VmGlobal { slots }
        VmStore { stack_limit fuel epoch_deadline epoch inner builtins copy_bytes_per_call }
        VmContext { store builtins memory0 instance }
    };
    all.extend(for_each_builtin!(builtins));
    all.push(("guard", GUARD_BYTES));
    // How the module's own part is laid out: a sample instance with a different count of everything.
    let sample = VmLayout::new(&VmCounts {
        memories: 1,
        tables: 2,
        globals: 7,
        imported_globals: 3,
        imported_funcs: 4,
        escaping_funcs: 5,
        types: 6,
        tags: 8,
    });
    all.extend([
        ("memories", u64::from(sample.memories)),
        ("tables", u64::from(sample.tables)),
        ("globals", u64::from(sample.globals)),
        ("tags", u64::from(sample.tags)),
        ("imports", u64::from(sample.imports)),
        ("funcs", u64::from(sample.funcs)),
        ("types", u64::from(sample.types)),
        ("own_globals", u64::from(sample.own_globals)),
    ]);
    all
}

/// FNV-1a, continued from `hash`.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let start = if hash == 0 { 0xcbf2_9ce4_8422_2325 } else { hash };
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
