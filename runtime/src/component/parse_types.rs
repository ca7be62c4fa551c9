//! From the validator's types to ours (types.rs). Each of its types is looked at once per component, whatever names it; the
//! recursion is as deep as a type nests, which the validator bounds (100 levels).
//!
//! Must not know: sections, plans.

use super::abi::plan::{Plan, Side};
use super::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, ResourceType, ValType};
use super::types::*;
use crate::error::{Error, Result};
use crate::module::{ScalarCall, val_type};
use crate::types::{
    ExternType as CoreExternType, FuncType as CoreFuncType, GlobalType, Limits, MemoryType, RefType,
    TableType,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentCoreModuleTypeId, ComponentDefinedType, ComponentDefinedTypeId,
    ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentItem, ComponentTypeId,
    ComponentValType, ResourceId,
};
use wasmparser::types::{CoreTypeId, EntityType, TypesRef};
use wasmparser::{CompositeInnerType, PrimitiveValType};

/// The types of one component, as far as something has named them.
#[derive(Default)]
pub(super) struct TypeReader {
    slots: BTreeMap<ResourceId, Slot>,
    pub(super) resource_names: Vec<Option<Arc<str>>>,
    pub(super) open_types: OpenTypes,
    defined: BTreeMap<ComponentDefinedTypeId, TypeRef>,
    funcs: BTreeMap<ComponentFuncTypeId, ItemFunc>,
    modules: BTreeMap<ComponentCoreModuleTypeId, Arc<ModuleType>>,
    instances: BTreeMap<ComponentInstanceTypeId, Arc<InstanceType>>,
    components: BTreeMap<ComponentTypeId, Arc<ComponentType>>,
}

fn unsupported(what: &str) -> Error {
    Error::invalid(format!("{what} is not supported yet"))
}

impl TypeReader {
    /// The slot of a resource type.
    pub(super) fn slot(&mut self, id: ResourceId) -> Slot {
        let next = self.resource_names.len() as Slot;
        let slot = *self.slots.entry(id).or_insert(next);
        if slot == next {
            self.resource_names.push(None);
        }
        slot
    }

    /// Remembers what a resource is called; the first name stays.
    pub(super) fn name(&mut self, slot: Slot, name: &str) {
        if let Some(known @ None) = self.resource_names.get_mut(slot as usize) {
            *known = Some(name.into());
        }
    }

    /// The slot of a type that may be a resource.
    pub(super) fn any_type(&mut self, id: ComponentAnyTypeId) -> Option<Slot> {
        match id {
            ComponentAnyTypeId::Resource(id) => Some(self.slot(id.resource())),
            _ => None,
        }
    }

    /// The type of an import or export.
    pub(super) fn entity(&mut self, types: TypesRef<'_>, ty: ComponentEntityType) -> Result<ExternType> {
        Ok(match ty {
            ComponentEntityType::Module(id) => ExternType::Module(self.module(types, id)?),
            ComponentEntityType::Func(id) => ExternType::Func(self.func(types, id)?),
            ComponentEntityType::Value(_) => return Err(unsupported("a value import or export")),
            ComponentEntityType::Type { created, .. } => ExternType::Type(match created {
                ComponentAnyTypeId::Resource(id) => TypeBound::Resource(self.slot(id.resource())),
                ComponentAnyTypeId::Defined(id) => TypeBound::Value(self.defined(types, id)?.ty),
                _ => TypeBound::Other,
            }),
            ComponentEntityType::Instance(id) => ExternType::Instance(self.instance(types, id)?),
            ComponentEntityType::Component(id) => ExternType::Component(self.component(types, id)?),
        })
    }

    fn items<'i>(
        &mut self,
        types: TypesRef<'_>,
        items: impl Iterator<Item = (&'i alloc::string::String, &'i ComponentItem)>,
    ) -> Result<Vec<(Arc<str>, ExternType)>> {
        let mut exports = Vec::new();
        for (name, item) in items {
            let ty = self.entity(types, item.ty)?;
            if let ExternType::Type(TypeBound::Resource(slot)) = ty {
                self.name(slot, name);
            }
            exports.push((name.as_str().into(), ty));
        }
        Ok(exports)
    }

    pub(super) fn instance(
        &mut self,
        types: TypesRef<'_>,
        id: ComponentInstanceTypeId,
    ) -> Result<Arc<InstanceType>> {
        if let Some(known) = self.instances.get(&id) {
            return Ok(known.clone());
        }
        let exports = self.items(types, types[id].exports.iter())?;
        let ty = Arc::new(InstanceType { exports });
        self.instances.insert(id, ty.clone());
        Ok(ty)
    }

    fn component(&mut self, types: TypesRef<'_>, id: ComponentTypeId) -> Result<Arc<ComponentType>> {
        if let Some(known) = self.components.get(&id) {
            return Ok(known.clone());
        }
        let imports = self.items(types, types[id].imports.iter())?;
        let exports = self.items(types, types[id].exports.iter())?;
        let ty = Arc::new(ComponentType { imports, exports });
        self.components.insert(id, ty.clone());
        Ok(ty)
    }

    /// A function type.
    pub(super) fn func(&mut self, types: TypesRef<'_>, id: ComponentFuncTypeId) -> Result<ItemFunc> {
        if let Some(known) = self.funcs.get(&id) {
            return Ok(known.clone());
        }
        let ty = &types[id];
        if ty.async_ {
            return Err(unsupported("an async function type"));
        }
        let mut params: Vec<(Arc<str>, TypeRef)> = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            params.push((name.as_str().into(), self.value(types, *ty)?));
        }
        let result = ty.result.map(|ty| self.value(types, ty)).transpose()?;
        let closed = super::abi::FuncType::new(
            params.iter().map(|(name, ty)| (name.clone(), ty.ty.clone())),
            result.as_ref().map(|ty| ty.ty.clone()),
        );
        let is_open = params.iter().map(|(_, ty)| ty).chain(&result).any(|ty| ty.open.is_some());
        let open = is_open.then(|| Arc::new(OpenFunc { params: params.into(), result }));
        let func = ItemFunc { ty: closed, open };
        self.funcs.insert(id, func.clone());
        Ok(func)
    }

    fn value(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> Result<TypeRef> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(TypeRef::closed(primitive(ty)?)),
            ComponentValType::Type(id) => self.defined(types, id),
        }
    }

    fn optional(&mut self, types: TypesRef<'_>, ty: Option<ComponentValType>) -> Result<Option<TypeRef>> {
        ty.map(|ty| self.value(types, ty)).transpose()
    }

    fn defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId) -> Result<TypeRef> {
        if let Some(known) = self.defined.get(&id) {
            return Ok(known.clone());
        }
        let (ty, open) = match &types[id] {
            ComponentDefinedType::Primitive(ty) => (primitive(*ty)?, None),
            ComponentDefinedType::Own(id) => {
                let slot = self.slot(id.resource());
                (ValType::Own(ResourceType::Id(slot)), Some(OpenType::Own(slot)))
            }
            ComponentDefinedType::Borrow(id) => {
                let slot = self.slot(id.resource());
                (ValType::Borrow(ResourceType::Id(slot)), Some(OpenType::Borrow(slot)))
            }
            ComponentDefinedType::Record(record) => {
                let mut fields: Vec<(Arc<str>, TypeRef)> = Vec::with_capacity(record.fields.len());
                for (label, ty) in &record.fields {
                    fields.push((label.as_str().into(), self.value(types, *ty)?));
                }
                let ty = ValType::record(fields.iter().map(|(label, t)| (label.clone(), t.ty.clone())))?;
                (ty, is_open(fields.iter().map(|(_, t)| t)).then(|| OpenType::Record(fields.into())))
            }
            ComponentDefinedType::Variant(variant) => {
                let mut cases: Vec<(Arc<str>, Option<TypeRef>)> = Vec::with_capacity(variant.cases.len());
                for (label, case) in &variant.cases {
                    cases.push((label.as_str().into(), self.optional(types, case.ty)?));
                }
                let ty = ValType::variant(
                    cases.iter().map(|(label, t)| (label.clone(), t.as_ref().map(|t| t.ty.clone()))),
                )?;
                (ty, is_open(cases.iter().flat_map(|(_, t)| t)).then(|| OpenType::Variant(cases.into())))
            }
            ComponentDefinedType::List { element, .. } => {
                let element = self.value(types, *element)?;
                (
                    ValType::list(element.ty.clone())?,
                    is_open([&element]).then_some(OpenType::List(element, None)),
                )
            }
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                let element = self.value(types, *element)?;
                let ty = ValType::fixed_length_list(element.ty.clone(), *length)?;
                (ty, is_open([&element]).then_some(OpenType::List(element, Some(*length))))
            }
            ComponentDefinedType::Tuple(tuple) => {
                let mut parts = Vec::with_capacity(tuple.types.len());
                for ty in &tuple.types {
                    parts.push(self.value(types, *ty)?);
                }
                let ty = ValType::tuple(parts.iter().map(|t| t.ty.clone()))?;
                (ty, is_open(&parts).then(|| OpenType::Tuple(parts.into())))
            }
            ComponentDefinedType::Flags(labels) => {
                (ValType::flags(labels.iter().map(|label| Arc::from(label.as_str())))?, None)
            }
            ComponentDefinedType::Enum(labels) => {
                (ValType::enumeration(labels.iter().map(|label| Arc::from(label.as_str())))?, None)
            }
            ComponentDefinedType::Option { ty, .. } => {
                let some = self.value(types, *ty)?;
                (ValType::option(some.ty.clone())?, is_open([&some]).then_some(OpenType::Option(some)))
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                let (ok, error) = (self.optional(types, *ok)?, self.optional(types, *err)?);
                let ty =
                    ValType::result(ok.as_ref().map(|t| t.ty.clone()), error.as_ref().map(|t| t.ty.clone()))?;
                (ty, is_open(ok.iter().chain(&error)).then_some(OpenType::Result(ok, error)))
            }
            ComponentDefinedType::Map { key, value, .. } => {
                let (key, value) = (self.value(types, *key)?, self.value(types, *value)?);
                let ty = ValType::map(key.ty.clone(), value.ty.clone())?;
                (ty, is_open([&key, &value]).then_some(OpenType::Map(key, value)))
            }
            ComponentDefinedType::Future { .. } => return Err(unsupported("the type `future`")),
            ComponentDefinedType::Stream { .. } => return Err(unsupported("the type `stream`")),
        };
        let open = open.map(|open| {
            self.open_types.0.push(open);
            self.open_types.0.len() as u32 - 1
        });
        let ty = TypeRef { ty, open };
        self.defined.insert(id, ty.clone());
        Ok(ty)
    }

    fn module(&mut self, types: TypesRef<'_>, id: ComponentCoreModuleTypeId) -> Result<Arc<ModuleType>> {
        if let Some(known) = self.modules.get(&id) {
            return Ok(known.clone());
        }
        let ty = &types[id];
        let mut module = ModuleType::default();
        for ((namespace, name), ty) in &ty.imports {
            module.imports.push((namespace.as_str().into(), name.as_str().into(), core_entity(types, *ty)?));
        }
        for (name, ty) in &ty.exports {
            module.exports.push((name.as_str().into(), core_entity(types, *ty)?));
        }
        let module = Arc::new(module);
        self.modules.insert(id, module.clone());
        Ok(module)
    }
}

fn is_open<'t>(parts: impl IntoIterator<Item = &'t TypeRef>) -> bool {
    parts.into_iter().any(|part| part.open.is_some())
}

/// A call of a function whose parameters and result are primitive types without memory, if it is a small one. (Whether the caller has
/// to be asked is not known here.)
pub(super) fn scalar_call(types: TypesRef<'_>, id: ComponentFuncTypeId) -> Option<ScalarCall> {
    let plan = |values: &mut dyn Iterator<Item = ComponentValType>, most: usize| {
        let values = values.map(|ty| match ty {
            ComponentValType::Primitive(ty) => primitive(ty).ok(),
            ComponentValType::Type(id) => match &types[id] {
                ComponentDefinedType::Primitive(ty) => primitive(*ty).ok(),
                _ => None,
            },
        });
        Plan::new(&values.collect::<Option<Vec<ValType>>>()?, most, Side::default(), Side::default(), false)
            .ok()
    };
    let ty = &types[id];
    let params = plan(&mut ty.params.iter().map(|(_, ty)| *ty), MAX_FLAT_PARAMS)?;
    ScalarCall::new(&params, &plan(&mut ty.result.into_iter(), MAX_FLAT_RESULTS)?, false)
}

fn primitive(ty: PrimitiveValType) -> Result<ValType> {
    Ok(match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => return Err(unsupported("the type `error-context`")),
    })
}

/// A core function type.
pub(super) fn core_func(types: TypesRef<'_>, id: CoreTypeId) -> Result<CoreFuncType> {
    match &types[id].composite_type.inner {
        CompositeInnerType::Func(func) => {
            let list = |list: &[wasmparser::ValType]| {
                list.iter().map(|ty| val_type(&|_| None, *ty)).collect::<Result<Box<[_]>>>()
            };
            Ok(CoreFuncType::new(list(func.params())?, list(func.results())?))
        }
        _ => Err(unsupported("this kind of core type")),
    }
}

fn core_entity(types: TypesRef<'_>, ty: EntityType) -> Result<CoreExternType> {
    let func = |id: CoreTypeId| core_func(types, id);
    Ok(match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => CoreExternType::Func(func(id)?),
        EntityType::Tag(id) => CoreExternType::Tag(func(id)?),
        EntityType::Table(table) => CoreExternType::Table(TableType {
            element: match val_type(&|_| None, wasmparser::ValType::Ref(table.element_type))? {
                crate::types::ValType::Ref(element) => element,
                _ => RefType::FUNCREF,
            },
            limits: Limits { min: table.initial, max: table.maximum },
            table64: table.table64,
        }),
        EntityType::Memory(memory) => CoreExternType::Memory(MemoryType {
            limits: Limits { min: memory.initial, max: memory.maximum },
            memory64: memory.memory64,
            shared: memory.shared,
            page_size_log2: memory.page_size_log2.unwrap_or(16) as u8,
        }),
        EntityType::Global(global) => CoreExternType::Global(GlobalType {
            content: val_type(&|_| None, global.content_type)?,
            mutable: global.mutable,
        }),
    })
}
