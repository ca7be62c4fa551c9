//! What a module is once it is parsed: immutable facts, shared by its instances and by both engines.
//!
//! Indices count inside the module, imported things first (core specification 2.5 "Index spaces").

use crate::features::Features;
use crate::registry::TypeRegistry;
use crate::types::{
    CompositeType, ExternType, FuncType, GlobalType, HeapType, MemoryType, RefType, SubType, TableType,
    TypeId, ValType,
};
use crate::vm::{VmCounts, VmLayout};
use alloc::{boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::ops::Range;

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(transparent)]
        pub struct $name(pub u32);
        impl $name {
            /// For indexing.
            pub const fn index(self) -> usize { self.0 as usize }
        }
    )* };
}
indices! {
    /// Index of a type in its module.
    TypeIdx
    /// Index of a function in its module, imports first.
    FuncIdx
    /// Index of a table in its module, imports first.
    TableIdx
    /// Index of a memory in its module, imports first.
    MemoryIdx
    /// Index of a global in its module, imports first.
    GlobalIdx
    /// Index of a tag in its module, imports first.
    TagIdx
    /// Index of an element segment.
    ElemIdx
    /// Index of a data segment.
    DataIdx
    /// Index among the own functions that something can refer to.
    EscapeIdx
}

/// Bytes of a module or component: the whole file, shared, and the part that is meant.
#[derive(Clone)]
pub struct WasmBytes {
    file: Arc<[u8]>,
    range: Range<usize>,
}

impl WasmBytes {
    /// The whole of `file`.
    pub fn new(file: Arc<[u8]>) -> WasmBytes {
        let range = 0..file.len();
        WasmBytes { file, range }
    }

    /// A part of the same file; positions count in the file. `None` when it lies outside.
    pub fn part(&self, range: Range<usize>) -> Option<WasmBytes> {
        self.file.get(range.clone())?;
        Some(WasmBytes { file: self.file.clone(), range })
    }

    /// The bytes that are meant.
    pub fn bytes(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }

    /// The whole file; the ranges of [`FuncBody`] count in it.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// Where the meant part begins in the file.
    pub fn start(&self) -> usize {
        self.range.start
    }
}

/// An import.
#[derive(Clone, Debug)]
pub struct Import {
    /// First name.
    pub module: Box<str>,
    /// Second name.
    pub name: Box<str>,
    /// What is wanted.
    pub ty: ExternType,
    /// The identity of a function's or tag's type.
    pub type_id: Option<TypeId>,
    /// Must a function have this type itself, not a subtype of it?
    pub exact: bool,
}

impl Import {
    /// May a function of this type be given?
    pub fn func_fits(&self, types: &TypeRegistry, given: TypeId) -> bool {
        self.type_id.is_some_and(|want| given == want || (!self.exact && types.is_subtype(given, want)))
    }
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its name.
    pub name: Box<str>,
    /// What it leads to.
    pub item: ExternIdx,
}

/// What an export leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum ExternIdx {
    Func(FuncIdx),
    Table(TableIdx),
    Memory(MemoryIdx),
    Global(GlobalIdx),
    Tag(TagIdx),
}

/// A function's own facts.
#[derive(Clone, Copy, Debug)]
pub struct FuncInfo {
    /// Its type in this module.
    pub ty: TypeIdx,
    /// Set for an own function that something can refer to.
    pub escape: Option<EscapeIdx>,
}

/// Where the code of an own function stands.
#[derive(Clone, Debug)]
pub struct FuncBody {
    /// The body (local declarations, then operators) in [`WasmBytes::file`].
    pub range: Range<usize>,
}

/// A constant expression, parsed (core specification 3.3 "Constant expressions").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstExpr(pub Box<[ConstOp]>);

/// An operator of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the operators are")]
pub enum ConstOp {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    RefNull,
    RefFunc(FuncIdx),
    GlobalGet(GlobalIdx),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
    RefI31,
    StructNew(TypeIdx),
    StructNewDefault(TypeIdx),
    /// With the descriptor above the fields.
    StructNewDesc(TypeIdx),
    /// With the descriptor alone.
    StructNewDefaultDesc(TypeIdx),
    ArrayNew(TypeIdx),
    ArrayNewDefault(TypeIdx),
    ArrayNewFixed(TypeIdx, u32),
}

/// An element segment.
#[derive(Clone, Debug)]
pub struct Elem {
    /// Where it goes at instantiation.
    pub mode: ElemMode,
    /// Type of the elements.
    pub ty: RefType,
    /// The elements.
    pub items: ElemItems,
}

/// Elements of a segment.
#[derive(Clone, Debug)]
pub enum ElemItems {
    /// Functions by index.
    Funcs(Box<[FuncIdx]>),
    /// Expressions.
    Exprs(Box<[ConstExpr]>),
}

/// Mode of an element segment.
#[derive(Clone, Debug)]
pub enum ElemMode {
    /// Waits for `table.init`.
    Passive,
    /// Written at instantiation.
    Active {
        /// Into this table.
        table: TableIdx,
        /// From here on.
        offset: ConstExpr,
    },
    /// Only declares that `ref.func` may name its functions.
    Declared,
}

/// A data segment.
#[derive(Clone, Debug)]
pub struct Data {
    /// Memory and offset of an active one.
    pub active: Option<(MemoryIdx, ConstExpr)>,
    /// The bytes, in [`WasmBytes::file`].
    pub range: Range<usize>,
}

/// A table and what its elements begin as.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its type.
    pub ty: TableType,
    /// What fills an own table (null when absent).
    pub init: Option<ConstExpr>,
}

/// The immutable facts of a module.
#[derive(Clone)]
pub struct ModuleInfo {
    /// The binary.
    pub wasm: WasmBytes,
    /// What the module was validated with.
    pub features: Features,
    /// Types by [`TypeIdx`]; other types are named by the engine's ids.
    pub types: Vec<SubType>,
    /// The same types' identities in the engine.
    pub type_ids: Vec<TypeId>,
    /// Types by identity. Only modules with continuation types have it filled.
    pub types_by_id: BTreeMap<TypeId, TypeIdx>,
    /// How many supertypes each type has.
    pub depths: Vec<u32>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// All functions, imported ones first.
    pub funcs: Vec<FuncInfo>,
    /// All tables, imported ones first.
    pub tables: Vec<TableInfo>,
    /// All memories, imported ones first.
    pub memories: Vec<MemoryType>,
    /// All globals, imported ones first.
    pub globals: Vec<GlobalType>,
    /// Types of all tags, imported ones first.
    pub tags: Vec<TypeIdx>,
    /// What own globals begin as.
    pub global_inits: Vec<ConstExpr>,
    /// The start function.
    pub start: Option<FuncIdx>,
    /// Element segments.
    pub elems: Vec<Elem>,
    /// Data segments.
    pub data: Vec<Data>,
    /// Code of the own functions.
    pub bodies: Vec<FuncBody>,
    /// How many of `funcs` are imported.
    pub imported_funcs: u32,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// How many of `tags` are imported.
    pub imported_tags: u32,
    /// For imported functions, of a module in a component: what a call of it may be. Shorter than they are when nothing is known.
    pub scalar_calls: Vec<Option<super::ScalarCall>>,
    /// How many own functions something can refer to.
    pub escaping_funcs: u32,
    /// The name section's content in the file, unread and untrusted.
    pub name_section: Option<Range<usize>>,
    /// Module name for messages, when the embedder or the name section gave one.
    pub name: Option<String>,
    /// Offsets in the [`crate::vm::VmContext`].
    pub layout: VmLayout,
}

impl ModuleInfo {
    /// What a call of an imported function may be.
    pub fn scalar_call(&self, func: FuncIdx) -> Option<&super::ScalarCall> {
        self.scalar_calls.get(func.index())?.as_ref()
    }

    /// Type of a function.
    pub fn func_type(&self, func: FuncIdx) -> &FuncType {
        self.signature(self.funcs[func.index()].ty)
    }

    /// How many supertypes a type has.
    pub fn depth(&self, ty: u32) -> u32 {
        self.depths[ty as usize]
    }

    /// A type that validation has proved to be a function's.
    pub fn signature(&self, ty: TypeIdx) -> &FuncType {
        match self.types[ty.index()].as_func() {
            Some(ty) => ty,
            None => unreachable!("crash: type {} is no function type", ty.0),
        }
    }

    /// The function type of a continuation type.
    pub fn cont_signature(&self, ty: TypeIdx) -> &FuncType {
        let func = match self.types[ty.index()].composite {
            CompositeType::Cont(func) => self.index_of(func),
            _ => None,
        };
        match func {
            Some(func) => self.signature(func),
            None => unreachable!("crash: type {} is no continuation type", ty.0),
        }
    }

    /// What comes back from a `switch` to a continuation of this type: the parameters of this function type.
    pub fn switch_results(&self, ty: TypeIdx) -> Option<&FuncType> {
        match self.cont_signature(ty).params().last()? {
            ValType::Ref(RefType { heap: HeapType::Concrete(back) | HeapType::Exact(back), .. }) => {
                Some(self.cont_signature(self.index_of(*back)?))
            }
            _ => None,
        }
    }

    /// A type of this module by its identity, in modules that have continuation types.
    fn index_of(&self, id: TypeId) -> Option<TypeIdx> {
        self.types_by_id.get(&id).copied()
    }

    /// Type of a tag: its parameters are what its exceptions carry.
    pub fn tag_type(&self, tag: TagIdx) -> &FuncType {
        self.signature(self.tags[tag.index()])
    }

    /// The own function's number (index into `bodies`), `None` for an import.
    pub fn own_func(&self, func: FuncIdx) -> Option<usize> {
        func.index().checked_sub(self.imported_funcs as usize)
    }

    /// Type of what an export leads to.
    pub fn extern_type(&self, item: ExternIdx) -> ExternType {
        match item {
            ExternIdx::Func(i) => ExternType::Func(self.func_type(i).clone()),
            ExternIdx::Table(i) => ExternType::Table(self.tables[i.index()].ty),
            ExternIdx::Memory(i) => ExternType::Memory(self.memories[i.index()]),
            ExternIdx::Global(i) => ExternType::Global(self.globals[i.index()]),
            ExternIdx::Tag(i) => ExternType::Tag(self.tag_type(i).clone()),
        }
    }

    /// The counts that the layout is made from.
    pub fn counts(&self) -> VmCounts {
        VmCounts {
            memories: self.memories.len() as u32,
            tables: self.tables.len() as u32,
            globals: self.globals.len() as u32,
            imported_globals: self.imported_globals,
            imported_funcs: self.imported_funcs,
            escaping_funcs: self.escaping_funcs,
            tags: self.tags.len() as u32,
            types: self.types.len() as u32,
        }
    }
}
