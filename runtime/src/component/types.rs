//! Types of what a component imports and exports, and value types that are not whole before the component is instantiated
//! (Explainer.md "Type Definitions").
//!
//! Resource types are generative: each instantiation makes new ones. Inside one component every resource type that it can name
//! has a *slot*, and its value types say `ResourceType::Id(slot)`. An instance binds slots to resource types of its store;
//! `OpenTypes` then gives the value types of that instance, each built once, so the work is bounded by the size of the
//! binary however often a type is named. Types without resources are closed and shared by all instances.
//!
//! Must not know: binaries, stores, linkers.

use super::abi::types::TypeError;
use super::abi::{FuncType, ResourceType, ValType};
use crate::error::{Error, Result};
use crate::types::ExternType as CoreExternType;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Number of a resource type among those that one component can name.
pub(crate) type Slot = u32;

/// Type of an import or export of a component (`externdesc`).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the specification's own names")]
pub enum ExternType {
    Module(Arc<ModuleType>),
    Func(ItemFunc),
    Type(TypeBound),
    Instance(Arc<InstanceType>),
    Component(Arc<ComponentType>),
}

impl ExternType {
    /// The sort as the specification calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            ExternType::Module(_) => "core module",
            ExternType::Func(_) => "func",
            ExternType::Type(TypeBound::Resource(_)) => "resource",
            ExternType::Type(_) => "type",
            ExternType::Instance(_) => "instance",
            ExternType::Component(_) => "component",
        }
    }
}

/// Type of a function among imports and exports. In it `ResourceType::Id` counts the component's slots; see
/// [`super::Component::resource_name`].
#[derive(Clone, Debug)]
pub struct ItemFunc {
    pub(crate) ty: FuncType,
    pub(crate) open: Option<Arc<OpenFunc>>,
}

impl ItemFunc {
    /// Parameters and result.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }
}

/// What a type import or export says.
#[derive(Clone, Debug)]
pub enum TypeBound {
    /// A resource type (`sub resource`), by its slot.
    Resource(u32),
    /// A value type.
    Value(ValType),
    /// A type of a function, instance or component.
    Other,
}

/// Exports of an instance, by name, in order.
#[derive(Debug, Default)]
pub struct InstanceType {
    /// Name and type of each export.
    pub exports: Vec<(Arc<str>, ExternType)>,
}

impl InstanceType {
    /// The type of an export.
    pub fn export(&self, name: &str) -> Option<&ExternType> {
        self.exports.iter().find(|(found, _)| &**found == name).map(|(_, ty)| ty)
    }
}

/// Imports and exports of a component, by name, in order.
#[derive(Debug, Default)]
pub struct ComponentType {
    /// Name and type of each import.
    pub imports: Vec<(Arc<str>, ExternType)>,
    /// Name and type of each export.
    pub exports: Vec<(Arc<str>, ExternType)>,
}

/// Imports and exports of a core module, by name, in order.
#[derive(Debug, Default)]
pub struct ModuleType {
    /// Both names and the type of each import.
    pub imports: Vec<(Box<str>, Box<str>, CoreExternType)>,
    /// Name and type of each export.
    pub exports: Vec<(Box<str>, CoreExternType)>,
}

impl From<TypeError> for Error {
    fn from(error: TypeError) -> Error {
        Error::invalid(format!("{error}"))
    }
}

/// A value type as a component names it: as it stands in the binary, and how to make it whole if it names a resource.
#[derive(Clone, Debug)]
pub(crate) struct TypeRef {
    /// With slots for resources.
    pub(crate) ty: ValType,
    /// Index in [`OpenTypes`]; `None` for a closed type.
    pub(crate) open: Option<u32>,
}

impl TypeRef {
    pub(crate) fn closed(ty: ValType) -> TypeRef {
        TypeRef { ty, open: None }
    }
}

/// A value type that names a resource somewhere inside.
#[derive(Debug)]
pub(crate) enum OpenType {
    Own(Slot),
    Borrow(Slot),
    List(TypeRef, Option<u32>),
    Record(Box<[(Arc<str>, TypeRef)]>),
    Tuple(Box<[TypeRef]>),
    Variant(Box<[(Arc<str>, Option<TypeRef>)]>),
    Option(TypeRef),
    Result(Option<TypeRef>, Option<TypeRef>),
    Map(TypeRef, TypeRef),
}

/// A function type that names a resource somewhere inside.
#[derive(Debug)]
pub(crate) struct OpenFunc {
    pub(crate) params: Box<[(Arc<str>, TypeRef)]>,
    pub(crate) result: Option<TypeRef>,
}

/// All value types of a component that are not closed; parts come before what they are part of.
#[derive(Debug, Default)]
pub(crate) struct OpenTypes(pub(crate) Vec<OpenType>);

/// What slots are bound to, and the types made so far.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    slots: Vec<Option<ResourceType>>,
    resolved: BTreeMap<u32, ValType>,
}

impl Bindings {
    /// Nothing bound yet, with room for so many slots.
    pub(crate) fn with_capacity(slots: usize) -> Bindings {
        Bindings { slots: Vec::with_capacity(slots), resolved: BTreeMap::new() }
    }

    /// Binds a slot. A slot is bound again only to the same type.
    pub(crate) fn bind(&mut self, slot: Slot, rt: ResourceType) {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(rt);
    }

    /// What a slot is bound to.
    pub(crate) fn resource(&self, slot: Slot) -> Option<ResourceType> {
        self.slots.get(slot as usize).copied().flatten()
    }

    fn bound(&self, slot: Slot) -> Result<ResourceType> {
        self.resource(slot).ok_or_else(|| Error::unlinkable("a type names a resource that is not there yet"))
    }

    /// The function type with the bound resources in it.
    pub(crate) fn func(&mut self, types: &OpenTypes, func: &ItemFunc) -> Result<FuncType> {
        let Some(open) = &func.open else { return Ok(func.ty.clone()) };
        let mut params = Vec::with_capacity(open.params.len());
        for (name, param) in &open.params {
            params.push((name.clone(), self.value(types, param)?));
        }
        let result = open.result.as_ref().map(|result| self.value(types, result)).transpose()?;
        Ok(FuncType::new(params, result))
    }

    /// The value type with the bound resources in it. Recursion is as deep as the type, which validation bounds.
    fn value(&mut self, types: &OpenTypes, ty: &TypeRef) -> Result<ValType> {
        let Some(index) = ty.open else { return Ok(ty.ty.clone()) };
        if let Some(resolved) = self.resolved.get(&index) {
            return Ok(resolved.clone());
        }
        let Some(open) = types.0.get(index as usize) else {
            return Err(Error::invalid("crash: a type refers to none of its component's types"));
        };
        let resolved = match open {
            OpenType::Own(slot) => ValType::Own(self.bound(*slot)?),
            OpenType::Borrow(slot) => ValType::Borrow(self.bound(*slot)?),
            OpenType::List(element, length) => {
                let element = self.value(types, element)?;
                match length {
                    None => ValType::list(element)?,
                    Some(length) => ValType::fixed_length_list(element, *length)?,
                }
            }
            OpenType::Record(fields) => {
                let mut whole = Vec::with_capacity(fields.len());
                for (label, ty) in fields {
                    whole.push((label.clone(), self.value(types, ty)?));
                }
                ValType::record(whole)?
            }
            OpenType::Tuple(parts) => {
                let mut whole = Vec::with_capacity(parts.len());
                for ty in parts {
                    whole.push(self.value(types, ty)?);
                }
                ValType::tuple(whole)?
            }
            OpenType::Variant(cases) => {
                let mut whole = Vec::with_capacity(cases.len());
                for (label, ty) in cases {
                    whole.push((label.clone(), ty.as_ref().map(|ty| self.value(types, ty)).transpose()?));
                }
                ValType::variant(whole)?
            }
            OpenType::Option(some) => ValType::option(self.value(types, some)?)?,
            OpenType::Result(ok, error) => {
                let ok = ok.as_ref().map(|ty| self.value(types, ty)).transpose()?;
                let error = error.as_ref().map(|ty| self.value(types, ty)).transpose()?;
                ValType::result(ok, error)?
            }
            OpenType::Map(key, value) => ValType::map(self.value(types, key)?, self.value(types, value)?)?,
        };
        self.resolved.insert(index, resolved.clone());
        Ok(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_type_is_built_once_per_instance_and_gets_its_resources() {
        let types = OpenTypes(Vec::from([
            OpenType::Own(7),
            OpenType::List(TypeRef { ty: ValType::Own(ResourceType::Id(7)), open: Some(0) }, None),
        ]));
        let list = TypeRef { ty: ValType::list(ValType::Own(ResourceType::Id(7))).unwrap(), open: Some(1) };
        let mut bindings = Bindings::default();
        assert!(bindings.value(&types, &list).is_err(), "the resource is not bound");
        bindings.bind(7, ResourceType::Id(40));
        let whole = bindings.value(&types, &list).unwrap();
        assert_eq!(whole, ValType::list(ValType::Own(ResourceType::Id(40))).unwrap());
        assert_eq!(bindings.resolved.len(), 2);
    }
}
