//! Values of core WebAssembly at the edge of the engine, and the raw slots that frames, arguments and results are made of.

use crate::any_ref::AnyRef;
use crate::exception::ExnRef;
use crate::handle::Func;
use crate::types::{HeapType, RefType, ValType};

/// One 8-byte slot. `i32` and `f32` are zero-extended bits; a `v128` takes two slots, low half first; a reference is a
/// pointer-sized word, 0 for null.
pub type RawVal = u64;

/// A host value that guests may hold but not look into. The number is the embedder's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExternRef(pub u32);

/// A value, typed.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Val {
    I32(i32),
    I64(i64),
    /// The bits, so that NaNs keep theirs.
    F32(u32),
    /// The bits, so that NaNs keep theirs.
    F64(u64),
    V128(u128),
    FuncRef(Option<Func>),
    ExternRef(Option<ExternRef>),
    AnyRef(Option<AnyRef>),
    ExnRef(Option<ExnRef>),
    /// An `externref` that is no value of the host, but one of the `any` hierarchy seen from outside.
    Externalized(AnyRef),
}

impl Val {
    /// The type of the value; references count as nullable and abstract.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::Ref(RefType::FUNCREF),
            Val::ExternRef(_) | Val::Externalized(_) => ValType::Ref(RefType::EXTERNREF),
            Val::AnyRef(_) => ValType::Ref(RefType::ANYREF),
            Val::ExnRef(_) => ValType::Ref(RefType::EXNREF),
        }
    }

    /// The zero or null of a type; `None` where the type has none.
    pub fn default_for(ty: ValType) -> Option<Val> {
        Some(match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(0),
            ValType::Ref(RefType { nullable: false, .. }) => return None,
            ValType::Ref(RefType { heap: HeapType::Extern | HeapType::NoExtern, .. }) => Val::ExternRef(None),
            ValType::Ref(RefType { heap: HeapType::Func | HeapType::NoFunc, .. }) => Val::FuncRef(None),
            ValType::Ref(RefType { heap: HeapType::Exn | HeapType::NoExn, .. }) => Val::ExnRef(None),
            ValType::Ref(_) => Val::AnyRef(None),
        })
    }

    /// The `f32` of an F32, the number otherwise lost.
    pub fn f32(&self) -> Option<f32> {
        match self {
            Val::F32(bits) => Some(f32::from_bits(*bits)),
            _ => None,
        }
    }

    /// The `f64` of an F64.
    pub fn f64(&self) -> Option<f64> {
        match self {
            Val::F64(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

impl From<i32> for Val {
    fn from(v: i32) -> Val {
        Val::I32(v)
    }
}
impl From<i64> for Val {
    fn from(v: i64) -> Val {
        Val::I64(v)
    }
}
impl From<f32> for Val {
    fn from(v: f32) -> Val {
        Val::F32(v.to_bits())
    }
}
impl From<f64> for Val {
    fn from(v: f64) -> Val {
        Val::F64(v.to_bits())
    }
}
