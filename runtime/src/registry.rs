//! The types of an engine (core specification 3.3.9 "Recursive Types", 3.4 "Matching"): equal recursion groups are one, so a type
//! has the same identity in every module, and matching is a comparison of addresses or one look into a display of supertypes.
//!
//! Types are kept for as long as the engine lives, at addresses that do not change. Must not know modules or stores.

use crate::gc::{FIELDS, Kind, Shape};
use crate::sync::Mutex;
use crate::types::{FuncType, HeapType, RefType, StorageType, SubType, TypeId, ValType};
use crate::vm::VmType;
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

const _: () = assert!(FIELDS == crate::types::FIELDS_START);

/// Pointers in a display, at least: so that a type less deep than this is looked for without asking how deep the other is.
pub const LEAST_DISPLAY: usize = 8;

/// A type of the engine: what guest code looks at, and what it is.
#[derive(Debug)]
pub struct DefinedType {
    vm: VmType,
    sub: SubType,
    /// What `vm.supers` points at.
    supers: Box<[*const VmType]>,
    /// What `vm.shape.refs` points at.
    _refs: Box<[u32]>,
}

// SAFETY: the pointers lead to other types of the same registry, which nobody changes.
unsafe impl Send for DefinedType {}
// SAFETY: as above.
unsafe impl Sync for DefinedType {}

impl DefinedType {
    /// What guest code looks at. Lives as long as the engine.
    pub fn vm(&self) -> *const VmType {
        &self.vm
    }

    /// What it is.
    pub fn sub(&self) -> &SubType {
        &self.sub
    }

    /// How many supertypes it has.
    pub fn depth(&self) -> u32 {
        self.vm.depth
    }

    /// Its supertypes from the root of its hierarchy down to itself.
    fn chain(&self) -> &[*const VmType] {
        &self.supers[..=self.vm.depth as usize]
    }
}

/// The types of an engine.
#[derive(Debug, Default)]
pub struct TypeRegistry(Mutex<Types>);

#[derive(Debug, Default)]
struct Types {
    groups: BTreeMap<Arc<[SubType]>, TypeId>,
    by_id: Vec<Arc<DefinedType>>,
}

impl TypeRegistry {
    /// The identity of a recursion group: that of its first member; the others follow. Members name each other by
    /// [`TypeId::relative`], and a supertype stands before its subtypes. `None` when they do not, or there are too many types.
    pub fn intern_group(&self, group: &[SubType]) -> Option<TypeId> {
        let mut types = self.0.lock();
        if let Some(&first) = types.groups.get(group) {
            return Some(first);
        }
        let first = TypeId(u32::try_from(types.by_id.len()).ok()?);
        let len = u32::try_from(group.len()).ok()?;
        let end = first.0.checked_add(len)?;
        // The upper half of the numbers is for members of a group among themselves.
        TypeId(end).as_relative().is_none().then_some(())?;
        let members: Vec<SubType> = group.iter().map(|member| member.absolute(first)).collect();
        for (index, member) in members.iter().enumerate() {
            if member.supertype.is_some_and(|of| of.0 >= first.0 + index as u32) {
                return None;
            }
        }
        for (index, sub) in members.into_iter().enumerate() {
            let id = TypeId(first.0 + index as u32);
            let ty = types.define(id, sub);
            types.by_id.push(ty);
        }
        types.groups.insert(group.into(), first);
        Some(first)
    }

    /// The identity of a function type as the embedder writes it: final, with no supertype, a group of its own.
    pub fn intern(&self, ty: &FuncType) -> TypeId {
        match self.intern_group(&[SubType::func(ty.clone())]) {
            Some(id) => id,
            None => unreachable!("crash: two thousand million types"),
        }
    }

    /// The type of an identity; `None` for one that this engine did not give.
    pub fn defined(&self, id: TypeId) -> Option<Arc<DefinedType>> {
        self.0.lock().by_id.get(id.0 as usize).cloned()
    }

    /// What guest code looks at; null for an identity that this engine did not give.
    pub(crate) fn vm(&self, id: TypeId) -> *const VmType {
        self.0.lock().vm(id)
    }

    /// The same for many, in order.
    pub(crate) fn vms(&self, ids: &[TypeId]) -> Vec<*const VmType> {
        let types = self.0.lock();
        ids.iter().map(|&id| types.vm(id)).collect()
    }

    /// Does one defined type match another?
    pub fn is_subtype(&self, sub: TypeId, of: TypeId) -> bool {
        sub == of || self.0.lock().is_subtype(sub, of)
    }

    /// Does a heap type match another?
    pub fn heap_matches(&self, sub: HeapType, of: HeapType) -> bool {
        use HeapType as H;
        if sub == of {
            return true;
        }
        match (sub, of) {
            (H::Concrete(sub) | H::Exact(sub), H::Concrete(of)) => self.is_subtype(sub, of),
            (H::Concrete(_), H::Exact(_)) | (H::Exact(_), H::Exact(_)) => false,
            (H::Concrete(sub) | H::Exact(sub), of) => {
                self.defined(sub).is_some_and(|sub| self.heap_matches(sub.sub().composite.kind(), of))
            }
            (H::None, H::Concrete(of) | H::Exact(of)) => self.is_kind(of, &[H::Struct, H::Array]),
            (H::NoFunc, H::Concrete(of) | H::Exact(of)) => self.is_kind(of, &[H::Func]),
            (H::NoCont, H::Concrete(of) | H::Exact(of)) => self.is_kind(of, &[H::Cont]),
            (H::None, of) => matches!(of, H::Any | H::Eq | H::I31 | H::Struct | H::Array),
            (H::I31 | H::Struct | H::Array, of) => matches!(of, H::Any | H::Eq),
            (H::Eq, of) => of == H::Any,
            (H::NoFunc, of) => of == H::Func,
            (H::NoExtern, of) => of == H::Extern,
            (H::NoExn, of) => of == H::Exn,
            (H::NoCont, of) => of == H::Cont,
            _ => false,
        }
    }

    fn is_kind(&self, id: TypeId, kinds: &[HeapType]) -> bool {
        self.defined(id).is_some_and(|ty| kinds.contains(&ty.sub().composite.kind()))
    }

    /// Does a reference type match another?
    pub fn ref_matches(&self, sub: RefType, of: RefType) -> bool {
        (of.nullable || !sub.nullable) && self.heap_matches(sub.heap, of.heap)
    }

    /// Does a value type match another?
    pub fn val_matches(&self, sub: ValType, of: ValType) -> bool {
        match (sub, of) {
            (ValType::Ref(sub), ValType::Ref(of)) => self.ref_matches(sub, of),
            (sub, of) => sub == of,
        }
    }
}

impl Types {
    fn vm(&self, id: TypeId) -> *const VmType {
        self.by_id.get(id.0 as usize).map_or(core::ptr::null(), |ty| ty.vm())
    }

    fn is_subtype(&self, sub: TypeId, of: TypeId) -> bool {
        let (Some(sub), Some(of)) = (self.by_id.get(sub.0 as usize), self.by_id.get(of.0 as usize)) else {
            return false;
        };
        sub.chain().get(of.vm.depth as usize) == Some(&of.vm())
    }

    fn define(&self, id: TypeId, sub: SubType) -> Arc<DefinedType> {
        let above = sub.supertype.and_then(|of| self.by_id.get(of.0 as usize));
        let chain = above.map_or(&[][..], |above| above.chain());
        let depth = chain.len();
        let mut supers: Box<[*const VmType]> = chain
            .iter()
            .copied()
            .chain(core::iter::repeat(core::ptr::null()))
            .take(LEAST_DISPLAY.max(depth + 1))
            .collect();
        let refs = traced(&sub);
        let mut ty = Arc::new(DefinedType {
            vm: VmType {
                shape: shape(&sub, &refs),
                id: id.0,
                depth: depth as u32,
                supers: supers.as_ptr(),
                descriptor_offset: sub.descriptor_offset().unwrap_or(0),
            },
            sub,
            supers: Box::default(),
            _refs: refs,
        });
        // The display ends with the type itself, whose address is known only now.
        let own = ty.vm();
        if let Some(ty) = Arc::get_mut(&mut ty) {
            supers[depth] = own;
            ty.supers = supers;
            ty.vm.supers = ty.supers.as_ptr();
        }
        ty
    }
}

/// Where the references are that the collector follows, in the objects of a structure.
fn traced(ty: &SubType) -> Box<[u32]> {
    let Some(fields) = ty.as_struct() else { return Box::default() };
    let traced = fields.fields().iter().zip(fields.offsets()).filter(|(field, _)| field.storage.is_traced());
    traced.map(|(_, &offset)| offset).chain(ty.descriptor_offset()).collect()
}

/// How objects of a type lie in memory. `refs` is what [`traced`] says and outlives the shape.
fn shape(ty: &SubType, refs: &[u32]) -> Shape {
    let element = ty.as_array().map(|element| element.storage);
    Shape {
        kind: if element.is_some() { Kind::Array } else { Kind::Struct },
        size: ty.struct_size().unwrap_or(FIELDS),
        element_size: element.map_or(0, StorageType::size),
        element_ref: element.is_some_and(StorageType::is_traced).into(),
        ref_count: refs.len() as u32,
        refs: refs.as_ptr(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{CompositeType, FieldType, StructType};

    fn structure(is_final: bool, supertype: Option<TypeId>, fields: &[StorageType]) -> SubType {
        let fields = fields.iter().map(|&storage| FieldType { storage, mutable: false });
        SubType {
            is_final,
            supertype,
            descriptor: None,
            describes: None,
            composite: CompositeType::Struct(StructType::new(fields)),
        }
    }

    fn to(id: TypeId) -> StorageType {
        StorageType::Val(ValType::Ref(RefType { nullable: true, heap: HeapType::Concrete(id) }))
    }

    #[test]
    fn equal_groups_are_one_and_others_are_not() {
        let types = TypeRegistry::default();
        let list = structure(true, None, &[to(TypeId::relative(0))]);
        let first = types.intern_group(core::slice::from_ref(&list)).unwrap();
        assert_eq!(types.intern_group(core::slice::from_ref(&list)), Some(first));
        // The same content, but not final.
        let open = SubType { is_final: false, ..list.clone() };
        assert_ne!(types.intern_group(&[open]), Some(first));
        // Isomorphic in the unrolled sense only: two mutually recursive types are not the one that names itself.
        let a = structure(true, None, &[to(TypeId::relative(1))]);
        let b = structure(true, None, &[to(TypeId::relative(0))]);
        let pair = types.intern_group(&[a, b]).unwrap();
        assert!(!types.is_subtype(pair, first) && !types.is_subtype(first, pair));
        // A reference to a member of another group is not one to the own group.
        let outside = structure(true, None, &[to(first)]);
        assert_ne!(types.intern_group(&[outside]), Some(first));
    }

    #[test]
    fn members_of_a_group_follow_its_first() {
        let types = TypeRegistry::default();
        let group = [
            structure(false, None, &[]),
            structure(true, Some(TypeId::relative(0)), &[to(TypeId::relative(1))]),
        ];
        let first = types.intern_group(&group).unwrap();
        let second = types.defined(TypeId(first.0 + 1)).unwrap();
        assert_eq!(second.sub().supertype, Some(first));
        assert_eq!(second.sub().as_struct().unwrap().fields()[0].storage, to(TypeId(first.0 + 1)));
    }

    #[test]
    fn matching_goes_up_a_chain_of_any_depth_and_never_down() {
        let types = TypeRegistry::default();
        let mut chain = alloc::vec![types.intern_group(&[structure(false, None, &[])]).unwrap()];
        for _ in 0..63 {
            let above = *chain.last().unwrap();
            chain.push(types.intern_group(&[structure(false, Some(above), &[])]).unwrap());
        }
        for (i, &sub) in chain.iter().enumerate() {
            for (j, &of) in chain.iter().enumerate() {
                assert_eq!(types.is_subtype(sub, of), j <= i, "{i} under {j}");
            }
        }
    }

    #[test]
    fn a_supertype_that_comes_later_is_refused() {
        let types = TypeRegistry::default();
        let group = [structure(false, Some(TypeId::relative(1)), &[]), structure(false, None, &[])];
        assert_eq!(types.intern_group(&group), None);
        assert_eq!(types.intern_group(&[structure(false, Some(TypeId::relative(0)), &[])]), None, "itself");
    }

    #[test]
    fn abstract_types_match_along_their_three_hierarchies() {
        use HeapType as H;
        let types = TypeRegistry::default();
        let func = types.intern(&FuncType::new([], []));
        let list = types.intern_group(&[structure(true, None, &[])]).unwrap();
        for (sub, of, fits) in [
            (H::Concrete(func), H::Func, true),
            (H::Concrete(func), H::Any, false),
            (H::NoFunc, H::Concrete(func), true),
            (H::None, H::Concrete(func), false),
            (H::Concrete(list), H::Struct, true),
            (H::Concrete(list), H::Eq, true),
            (H::Concrete(list), H::Array, false),
            (H::None, H::Concrete(list), true),
            (H::I31, H::Eq, true),
            (H::Eq, H::I31, false),
            (H::Extern, H::Any, false),
            (H::NoExtern, H::Extern, true),
            (H::NoExn, H::Exn, true),
            (H::NoFunc, H::None, false),
            (H::Exact(list), H::Concrete(list), true),
            (H::Concrete(list), H::Exact(list), false),
        ] {
            assert_eq!(types.heap_matches(sub, of), fits, "{sub} under {of}");
        }
    }
}
