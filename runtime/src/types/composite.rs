//! Defined types (core specification 2.3.8 to 2.3.10, "Composite Types", "Recursive Types"): what a type section defines, and
//! how the fields of an aggregate lie in an object of the heap.
//!
//! A [`SubType`] names other types by [`TypeId`]. In the key of a recursion group, a reference to a member of the same group is
//! [`TypeId::relative`]: so equal groups are equal keys wherever they stand. Everywhere else ids are the engine's.

use super::{FuncType, HeapType, RefType, TypeId, ValType};
use alloc::{boxed::Box, sync::Arc};
use core::fmt;

/// First byte of the fields or elements of an object, from its header's start.
pub const FIELDS_START: u32 = 16;

impl TypeId {
    const RELATIVE: u32 = 1 << 31;

    /// Member `index` of the recursion group that is being defined.
    pub const fn relative(index: u32) -> TypeId {
        TypeId(index | TypeId::RELATIVE)
    }

    /// The member of the own group that it means, if it does.
    pub const fn as_relative(self) -> Option<u32> {
        if self.0 & TypeId::RELATIVE != 0 { Some(self.0 & !TypeId::RELATIVE) } else { None }
    }
}

/// What a field or element is stored as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum StorageType {
    I8,
    I16,
    Val(ValType),
}

impl StorageType {
    /// Bytes that it takes in an object; also its alignment there.
    pub const fn size(self) -> u32 {
        match self {
            StorageType::I8 => 1,
            StorageType::I16 => 2,
            StorageType::Val(ValType::I32 | ValType::F32) => 4,
            StorageType::Val(ValType::I64 | ValType::F64 | ValType::Ref(_)) => 8,
            StorageType::Val(ValType::V128) => 16,
        }
    }

    /// The type of a value that was read from it.
    pub const fn unpacked(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }

    /// Is it a reference that the collector of a store must follow? Functions live as long as their store.
    pub const fn is_traced(self) -> bool {
        match self {
            StorageType::Val(ValType::Ref(r)) => !matches!(r.heap, HeapType::Func | HeapType::NoFunc),
            _ => false,
        }
    }
}

/// Type of a field of a structure, or of the elements of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FieldType {
    /// What is stored.
    pub storage: StorageType,
    /// May it be changed?
    pub mutable: bool,
}

/// Fields of a structure and where they lie. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StructType(Arc<StructInner>);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct StructInner {
    fields: Box<[FieldType]>,
    offsets: Box<[u32]>,
    size: u32,
}

impl StructType {
    /// A structure of these fields. Validation allows ten thousand at most, so no offset overflows.
    pub fn new(fields: impl IntoIterator<Item = FieldType>) -> StructType {
        let fields: Box<[FieldType]> = fields.into_iter().collect();
        let mut end = FIELDS_START;
        let offsets = fields
            .iter()
            .map(|field| {
                let size = field.storage.size();
                let offset = end.next_multiple_of(size);
                end = offset.saturating_add(size);
                offset
            })
            .collect();
        StructType(Arc::new(StructInner { fields, offsets, size: end }))
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[FieldType] {
        &self.0.fields
    }

    /// Where each field lies, in bytes from the object's start.
    pub fn offsets(&self) -> &[u32] {
        &self.0.offsets
    }

    /// Bytes of an object, header included.
    pub fn size(&self) -> u32 {
        self.0.size
    }
}

impl fmt::Debug for StructType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

/// What a defined type is made of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum CompositeType {
    Func(FuncType),
    Struct(StructType),
    Array(FieldType),
    /// A continuation, by the type of its function.
    Cont(TypeId),
}

impl CompositeType {
    /// The abstract type that all types of this kind match.
    pub const fn kind(&self) -> HeapType {
        match self {
            CompositeType::Func(_) => HeapType::Func,
            CompositeType::Struct(_) => HeapType::Struct,
            CompositeType::Array(_) => HeapType::Array,
            CompositeType::Cont(_) => HeapType::Cont,
        }
    }
}

/// A defined type: composite type, place in the hierarchy. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SubType {
    /// May no other type declare this one as its supertype?
    pub is_final: bool,
    /// The type that it declares as its supertype.
    pub supertype: Option<TypeId>,
    /// The type of the objects that describe objects of this one (custom descriptors).
    pub descriptor: Option<TypeId>,
    /// The type whose objects this one's describe.
    pub describes: Option<TypeId>,
    /// What it is made of.
    pub composite: CompositeType,
}

impl SubType {
    /// A final function type without a supertype, as the abbreviation `(func ...)` means it.
    pub fn func(ty: FuncType) -> SubType {
        SubType {
            is_final: true,
            supertype: None,
            descriptor: None,
            describes: None,
            composite: CompositeType::Func(ty),
        }
    }

    /// The function type, if it is one.
    pub fn as_func(&self) -> Option<&FuncType> {
        match &self.composite {
            CompositeType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The structure, if it is one.
    pub fn as_struct(&self) -> Option<&StructType> {
        match &self.composite {
            CompositeType::Struct(ty) => Some(ty),
            _ => None,
        }
    }

    /// Where the descriptor lies in objects of a structure that has one, behind the fields. A subtype may have one where its
    /// supertype has none, so this is a matter of the object's own type.
    pub fn descriptor_offset(&self) -> Option<u32> {
        self.descriptor?;
        Some(self.as_struct()?.size().next_multiple_of(8))
    }

    /// Bytes of an object of a structure, header and descriptor included.
    pub fn struct_size(&self) -> Option<u32> {
        let size = self.as_struct()?.size();
        Some(self.descriptor_offset().map_or(size, |offset| offset + 8))
    }

    /// The type of the elements, if it is an array.
    pub fn as_array(&self) -> Option<FieldType> {
        match self.composite {
            CompositeType::Array(ty) => Some(ty),
            _ => None,
        }
    }

    /// The same with members of its own group named by `first` on.
    pub(crate) fn absolute(&self, first: TypeId) -> SubType {
        let id = |id: TypeId| match id.as_relative() {
            Some(index) => TypeId(first.0 + index),
            None => id,
        };
        let val = |ty: ValType| match ty {
            ValType::Ref(RefType { nullable, heap }) => {
                let heap = match heap {
                    HeapType::Concrete(of) => HeapType::Concrete(id(of)),
                    HeapType::Exact(of) => HeapType::Exact(id(of)),
                    heap => heap,
                };
                ValType::Ref(RefType { nullable, heap })
            }
            ty => ty,
        };
        let field = |ty: FieldType| FieldType {
            storage: match ty.storage {
                StorageType::Val(ty) => StorageType::Val(val(ty)),
                packed => packed,
            },
            mutable: ty.mutable,
        };
        let composite = match &self.composite {
            CompositeType::Func(ty) => {
                let list = |list: &[ValType]| list.iter().map(|&ty| val(ty)).collect::<Box<[_]>>();
                CompositeType::Func(FuncType::new(list(ty.params()), list(ty.results())))
            }
            CompositeType::Struct(ty) => {
                CompositeType::Struct(StructType::new(ty.fields().iter().map(|&ty| field(ty))))
            }
            CompositeType::Array(ty) => CompositeType::Array(field(*ty)),
            CompositeType::Cont(of) => CompositeType::Cont(id(*of)),
        };
        SubType {
            is_final: self.is_final,
            supertype: self.supertype.map(id),
            descriptor: self.descriptor.map(id),
            describes: self.describes.map(id),
            composite,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(storage: StorageType) -> FieldType {
        FieldType { storage, mutable: true }
    }

    #[test]
    fn fields_lie_in_order_at_their_natural_alignment() {
        let any = ValType::Ref(RefType { nullable: true, heap: HeapType::Any });
        let fields = [
            StorageType::I8,
            StorageType::I16,
            StorageType::Val(ValType::I32),
            StorageType::I8,
            StorageType::Val(any),
            StorageType::Val(ValType::V128),
            StorageType::I8,
        ];
        let ty = StructType::new(fields.map(field));
        assert_eq!(ty.offsets(), [16, 18, 20, 24, 32, 48, 64]);
        assert_eq!(ty.size(), 65);
    }

    #[test]
    fn a_supertypes_fields_lie_where_the_subtypes_first_ones_do() {
        let short = StructType::new([field(StorageType::I8)]);
        let long = StructType::new([field(StorageType::I8), field(StorageType::I8)]);
        assert_eq!(short.offsets(), &long.offsets()[..1]);
    }
}
