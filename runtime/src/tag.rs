//! Tags (core specification 4.2.11 "Tag Instances"): what exceptions are thrown and caught by, and the embedder's handle.
//!
//! A tag is itself alone: its type says what its exceptions carry, its address says which tag it is.

use crate::error::{Error, Result};
use crate::gc::{self, Kind, Shape};
use crate::handle::Tag;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::types::{FuncType, TypeId, ValType};
use crate::val::RawVal;
use crate::vm::VmTag;
use alloc::{boxed::Box, format, vec::Vec};

/// A tag of a store. Guest code and exceptions point at its head (V1).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TagData {
    vm: VmTag,
    ty: FuncType,
    /// Held for as long as `vm.shape` points into it.
    _refs: Box<[u32]>,
}

impl TagData {
    pub(crate) fn vm(&self) -> *const VmTag {
        &self.vm
    }

    /// The identity of its type.
    pub(crate) fn type_id(&self) -> u32 {
        self.vm.type_id
    }

    /// Its parameters are what its exceptions carry.
    pub(crate) fn ty(&self) -> &FuncType {
        &self.ty
    }
}

impl StoreInner {
    /// A new tag of a type, which has this identity in the engine.
    pub(crate) fn add_tag(&mut self, ty: FuncType, id: TypeId) -> u32 {
        let index = self.tags.len() as u32;
        let mut at = gc::FIELDS;
        let mut refs = Vec::new();
        for param in ty.params() {
            if matches!(param, ValType::Ref(_)) {
                refs.push(at);
            }
            at += param.slots() as u32 * size_of::<RawVal>() as u32;
        }
        let refs: Box<[u32]> = refs.into();
        let shape = Shape {
            kind: Kind::Exception,
            size: at,
            element_size: 0,
            element_ref: 0,
            ref_count: refs.len() as u32,
            refs: refs.as_ptr(),
        };
        let vm = VmTag { shape, type_id: id.0, index };
        self.tags.push(Box::new(TagData { vm, ty, _refs: refs }));
        index
    }

    pub(crate) fn tag_data(&self, tag: Tag) -> Result<&TagData> {
        self.check(tag.store)?;
        let data = self.tags.get(tag.index as usize);
        data.map(|data| &**data).ok_or_else(|| Error::usage("no such tag in this store"))
    }
}

impl Tag {
    /// A new tag, different from all others. The parameters of `ty` are what its exceptions carry.
    ///
    /// # Errors
    /// `Usage` when `ty` has results.
    pub fn new(mut store: impl AsStoreMut, ty: FuncType) -> Result<Tag> {
        let store = store.as_store_mut();
        if !ty.results().is_empty() {
            return Err(Error::usage(format!("a tag has no results, {ty} has")));
        }
        let id = store.engine().intern(&ty);
        Ok(Tag { store: store.id(), index: store.add_tag(ty, id) })
    }

    /// Its type.
    pub fn ty(self, store: impl AsStore) -> Result<FuncType> {
        Ok(store.as_store().tag_data(self)?.ty().clone())
    }
}
