//! Types of core WebAssembly (core specification 2.3) as the engine keeps them: small, `Copy` where they can be.
//!
//! A concrete heap type names a type of the *engine* ([`TypeId`]); inside a module, types are counted by [`crate::module::TypeIdx`].

mod composite;

use alloc::{boxed::Box, sync::Arc};
pub use composite::{CompositeType, FIELDS_START, FieldType, StorageType, StructType, SubType};
use core::fmt;

/// Identity of a type in an engine: equal types have equal ids, over all modules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct TypeId(pub u32);

/// Abstract or concrete type of what a reference points at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum HeapType {
    Func,
    NoFunc,
    Extern,
    NoExtern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    Exn,
    NoExn,
    Cont,
    NoCont,
    /// A defined type and its subtypes.
    Concrete(TypeId),
    /// A defined type without its subtypes (custom descriptors).
    Exact(TypeId),
}

/// Type of a reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RefType {
    /// May the reference be null?
    pub nullable: bool,
    /// What it points at.
    pub heap: HeapType,
}

impl RefType {
    /// `(ref null func)`
    pub const FUNCREF: RefType = RefType { nullable: true, heap: HeapType::Func };
    /// `(ref null exn)`
    pub const EXNREF: RefType = RefType { nullable: true, heap: HeapType::Exn };
    /// `(ref null extern)`
    pub const EXTERNREF: RefType = RefType { nullable: true, heap: HeapType::Extern };
    /// `(ref null any)`
    pub const ANYREF: RefType = RefType { nullable: true, heap: HeapType::Any };
}

/// Type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum ValType {
    I32,
    I64,
    F32,
    F64,
    V128,
    Ref(RefType),
}

impl ValType {
    /// 8-byte slots that a value of this type takes in frames, arguments and results.
    pub const fn slots(self) -> usize {
        match self {
            ValType::V128 => 2,
            _ => 1,
        }
    }
}

/// Parameters and results of a function. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FuncType(Arc<FuncTypeInner>);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct FuncTypeInner {
    params: Box<[ValType]>,
    results: Box<[ValType]>,
    param_slots: u32,
    result_slots: u32,
}

impl FuncType {
    /// A function type from its parameters and results.
    pub fn new(
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> FuncType {
        let params: Box<[ValType]> = params.into_iter().collect();
        let results: Box<[ValType]> = results.into_iter().collect();
        let slots = |types: &[ValType]| types.iter().map(|t| t.slots() as u32).sum();
        let (param_slots, result_slots) = (slots(&params), slots(&results));
        FuncType(Arc::new(FuncTypeInner { params, results, param_slots, result_slots }))
    }

    /// Types of the parameters.
    pub fn params(&self) -> &[ValType] {
        &self.0.params
    }

    /// Types of the results.
    pub fn results(&self) -> &[ValType] {
        &self.0.results
    }

    /// 8-byte slots of all parameters.
    pub fn param_slots(&self) -> usize {
        self.0.param_slots as usize
    }

    /// 8-byte slots of all results.
    pub fn result_slots(&self) -> usize {
        self.0.result_slots as usize
    }

    /// Slots of the area that a call through [`crate::vm::ArrayCall`] needs: parameters in, results out, in the same place.
    pub fn call_slots(&self) -> usize {
        self.param_slots().max(self.result_slots())
    }
}

/// Bounds of a memory (in pages) or a table (in elements).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Limits {
    /// Size at creation.
    pub min: u64,
    /// Size that growth may reach.
    pub max: Option<u64>,
}

impl Limits {
    /// Whether something with limits `self` and current size `size` may be imported where `wanted` is declared.
    pub fn matches(&self, size: u64, wanted: &Limits) -> bool {
        size >= wanted.min
            && match (self.max, wanted.max) {
                (_, None) => true,
                (Some(have), Some(want)) => have <= want,
                (None, Some(_)) => false,
            }
    }
}

/// Type of a memory. Sizes count pages of `1 << page_size_log2` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MemoryType {
    /// Bounds in pages.
    pub limits: Limits,
    /// 64-bit addresses?
    pub memory64: bool,
    /// Shared between threads?
    pub shared: bool,
    /// 16 for the usual 64 KiB pages.
    pub page_size_log2: u8,
}

/// Address space that a guarded 32-bit memory owns from its base on: what a 32-bit index reaches, and [`GUARD_BYTES`] more.
pub const GUARDED_BYTES: u64 = (4 << 30) + GUARD_BYTES;
/// What a constant offset plus the access size may add to a 32-bit index without an explicit check, in the guarded layout.
pub const GUARD_BYTES: u64 = 64 << 20;

impl MemoryType {
    /// Bytes of one page.
    pub const fn page_size(&self) -> u64 {
        1 << self.page_size_log2
    }

    /// The most pages that the address type can reach and count.
    pub const fn max_pages(&self) -> u64 {
        match (self.memory64, self.page_size_log2) {
            (true, 0) => u64::MAX,
            (false, 0) => u32::MAX as u64,
            (true, log2) => 1 << (64 - log2),
            (false, log2) => 1 << (32 - log2),
        }
    }

    /// The largest size in pages: its own maximum or what its addresses reach.
    pub fn most_pages(&self) -> u64 {
        self.limits.max.unwrap_or(u64::MAX).min(self.max_pages())
    }

    /// The same in bytes; 2^64 bytes count as one less.
    pub fn most_bytes(&self) -> u64 {
        self.most_pages().saturating_mul(self.page_size())
    }

    /// Is it one that 32-bit addresses reach, whose length is always one of whole pages of the host? Then guard pages can take the
    /// place of checks.
    pub const fn could_have_guard(&self) -> bool {
        !self.memory64 && self.page_size_log2 >= 16
    }

    /// Does a memory of this type, its size as the minimum, do for an import of `want` (core specification 3.4)?
    pub(crate) fn fits(&self, want: &MemoryType) -> bool {
        self.memory64 == want.memory64
            && self.shared == want.shared
            && self.page_size_log2 == want.page_size_log2
            && self.limits.matches(self.limits.min, &want.limits)
    }
}

/// Type of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TableType {
    /// Type of the elements.
    pub element: RefType,
    /// Bounds in elements.
    pub limits: Limits,
    /// 64-bit indices?
    pub table64: bool,
}

impl TableType {
    /// Does a table of this type, its size as the minimum, do for an import of `want` (core specification 3.4)?
    pub(crate) fn fits(&self, want: &TableType) -> bool {
        self.element == want.element
            && self.table64 == want.table64
            && self.limits.matches(self.limits.min, &want.limits)
    }
}

/// Type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GlobalType {
    /// Type of the content.
    pub content: ValType,
    /// May it be set?
    pub mutable: bool,
}

/// Type of an import or export.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum ExternType {
    Func(FuncType),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
    /// A tag, by the parameters of its exceptions.
    Tag(FuncType),
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Cont => "cont",
            HeapType::NoCont => "nocont",
            HeapType::Concrete(id) => return write!(f, "(type {})", id.0),
            HeapType::Exact(id) => return write!(f, "(exact (type {}))", id.0),
        })
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.nullable, self.heap) {
            (true, HeapType::Concrete(_) | HeapType::Exact(_)) | (false, _) => {
                write!(f, "(ref {}{})", if self.nullable { "null " } else { "" }, self.heap)
            }
            (true, heap) => write!(f, "{heap}ref"),
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(r) => write!(f, "{r}"),
        }
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| {
            f.write_str("[")?;
            for (i, t) in types.iter().enumerate() {
                write!(f, "{}{t}", if i == 0 { "" } else { " " })?;
            }
            f.write_str("]")
        };
        list(f, self.params())?;
        f.write_str(" -> ")?;
        list(f, self.results())
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
