//! References of the `any` hierarchy as the host holds them, and what it may read through them (core specification 4.2.13
//! "Aggregate Instances").

use crate::builtins::gc::{element_at, read};
use crate::error::{Error, Result};
use crate::gc::{Kind, Rooted, object};
use crate::reference::{self, Test};
use crate::registry::TypeRegistry;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::types::{HeapType, RefType, StorageType, StructType, TypeId};
use crate::val::{ExternRef, RawVal, Val};
use alloc::sync::Arc;

/// A reference that is not null, of the `any` hierarchy: also what an `externref` is that was one of these before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnyRef {
    /// An `i31`: only its lower 31 bits count, and it reads as they are sign-extended.
    I31(i32),
    /// A value of the host, seen from inside.
    Host(ExternRef),
    /// A structure.
    Struct(StructRef),
    /// An array.
    Array(ArrayRef),
    /// An object of another hierarchy, which the host cannot look into.
    Other(Rooted),
}

/// A structure, kept alive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructRef(Rooted);

/// An array, kept alive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArrayRef(Rooted);

fn defined(store: &StoreInner, object: &Rooted) -> Result<Arc<crate::registry::DefinedType>> {
    let found = object.reference(store)?;
    // SAFETY: a handle keeps its object alive; it is a structure or an array (V6).
    let id = unsafe { (*reference::type_of(found)).id };
    store.engine().types().defined(TypeId(id)).ok_or_else(|| Error::usage("an object of another engine"))
}

impl StructRef {
    /// Its type in the engine.
    pub fn ty(&self, store: impl AsStore) -> Result<TypeId> {
        let store = store.as_store();
        let found = self.0.reference(store)?;
        // SAFETY: as in `defined`.
        Ok(TypeId(unsafe { (*reference::type_of(found)).id }))
    }

    fn layout(&self, store: &StoreInner) -> Result<StructType> {
        let ty = defined(store, &self.0)?;
        ty.sub().as_struct().cloned().ok_or_else(|| Error::usage("no structure"))
    }

    /// How many fields it has.
    pub fn fields(&self, store: impl AsStore) -> Result<usize> {
        Ok(self.layout(store.as_store())?.fields().len())
    }

    /// A field; packed ones zero-extended. `None` past the last.
    pub fn field(&self, mut store: impl AsStoreMut, index: usize) -> Result<Option<Val>> {
        let store = store.as_store_mut();
        let layout = self.layout(store)?;
        let (Some(field), Some(&offset)) = (layout.fields().get(index), layout.offsets().get(index)) else {
            return Ok(None);
        };
        let object = self.0.object(store)?.as_ptr().cast::<u8>();
        // SAFETY: a handle keeps its object alive, which has this field there.
        let slots = unsafe { read(object.add(offset as usize), field.storage) };
        Ok(Some(store.lift_val(field.storage.unpacked(), &slots)))
    }
}

impl ArrayRef {
    /// Its type in the engine.
    pub fn ty(&self, store: impl AsStore) -> Result<TypeId> {
        StructRef(self.0.clone()).ty(store)
    }

    /// How many elements it has.
    pub fn len(&self, store: impl AsStore) -> Result<u32> {
        // SAFETY: a handle keeps its object alive.
        Ok(unsafe { self.0.object(store.as_store())?.as_ref() }.len)
    }

    /// Has it none?
    pub fn is_empty(&self, store: impl AsStore) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    /// An element; packed ones zero-extended. `None` past the end.
    pub fn get(&self, mut store: impl AsStoreMut, index: u32) -> Result<Option<Val>> {
        let store = store.as_store_mut();
        if index >= self.len(&*store)? {
            return Ok(None);
        }
        let ty = defined(store, &self.0)?;
        let storage: StorageType = ty.sub().as_array().ok_or_else(|| Error::usage("no array"))?.storage;
        let object = self.0.object(store)?.as_ptr();
        // SAFETY: a handle keeps its object alive; the index was checked.
        let slots = unsafe { read(element_at(object, storage.size(), index), storage) };
        Ok(Some(store.lift_val(storage.unpacked(), &slots)))
    }
}

/// The hierarchy of a heap type, by its top.
pub(crate) fn top(types: &TypeRegistry, heap: HeapType) -> HeapType {
    use HeapType as H;
    match heap {
        H::Func | H::NoFunc => H::Func,
        H::Extern | H::NoExtern => H::Extern,
        H::Any | H::Eq | H::I31 | H::Struct | H::Array | H::None => H::Any,
        H::Exn | H::NoExn => H::Exn,
        H::Cont | H::NoCont => H::Cont,
        H::Concrete(id) | H::Exact(id) => match types.defined(id).map(|ty| ty.sub().composite.kind()) {
            Some(H::Func) | None => H::Func,
            Some(H::Cont) => H::Cont,
            Some(_) => H::Any,
        },
    }
}

impl StoreInner {
    pub(crate) fn lower_any(&self, any: &AnyRef) -> Result<RawVal> {
        Ok(match any {
            AnyRef::I31(value) => reference::i31(*value as u32),
            AnyRef::Host(ExternRef(n)) => reference::host(*n),
            AnyRef::Struct(StructRef(object)) | AnyRef::Array(ArrayRef(object)) | AnyRef::Other(object) => {
                object.reference(self)?
            }
        })
    }

    /// A reference of the `any`, `extern` or another hierarchy of objects; `None` for null.
    pub(crate) fn lift_any(&mut self, reference: RawVal) -> Option<AnyRef> {
        if reference == 0 {
            return None;
        }
        if reference::is_i31(reference) {
            return Some(AnyRef::I31(reference::i31_s(reference)));
        }
        Some(match (reference::as_host(reference), object::object(reference)) {
            (Some(n), _) => AnyRef::Host(ExternRef(n)),
            (None, Some(object)) => {
                let rooted = Rooted::new(self, object);
                // SAFETY: guest code or a field has the reference, so the object is alive.
                match unsafe { reference::kind_of(reference) } {
                    Some(Kind::Struct) => AnyRef::Struct(StructRef(rooted)),
                    Some(Kind::Array) => AnyRef::Array(ArrayRef(rooted)),
                    _ => AnyRef::Other(rooted),
                }
            }
            (None, None) => unreachable!("crash: a reference with the bits {reference:#x}"),
        })
    }

    /// Is a reference, null or of the `any` hierarchy, of this type?
    pub(crate) fn any_matches(&self, any: Option<&AnyRef>, ty: RefType) -> bool {
        use HeapType as H;
        let types = self.engine().types();
        let Some(any) = any else { return ty.nullable };
        let Ok(reference) = self.lower_any(any) else { return false };
        let mut vm = core::ptr::null();
        let test = match ty.heap {
            H::Any => Test::Always,
            H::Eq => Test::Eq,
            H::I31 => Test::I31,
            H::Struct => Test::Struct,
            H::Array => Test::Array,
            H::Concrete(id) | H::Exact(id) if top(types, ty.heap) == H::Any => {
                vm = types.vm(id);
                if matches!(ty.heap, H::Exact(_)) { Test::ObjectExact } else { Test::Object }
            }
            _ => return false,
        };
        if matches!(any, AnyRef::Other(_)) {
            return false;
        }
        // SAFETY: a handle keeps its object alive, and was checked to be of this store; V6.
        unsafe { reference::passes(reference, test, vm) }
    }
}
