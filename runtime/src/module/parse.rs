//! Binary to [`ModuleInfo`] (core specification 5 "Binary Format"): wasmparser reads and validates, this keeps the facts.

use super::Bodies;
use super::info::*;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::registry::TypeRegistry;
use crate::types::*;
use crate::vm::{VmCounts, VmLayout};
use alloc::{boxed::Box, collections::BTreeMap, format, vec::Vec};
use core::ops::Range;
use wasmparser::{
    CompositeInnerType, ConstExpr as ParserConstExpr, DataKind, ElementItems, ElementKind, ExternalKind,
    Operator, Parser, Payload, TableInit, TypeRef, UnpackedIndex, ValidPayload, Validator,
};

/// Parses a module. With `validate` off, the bytes must have been validated before with the same features (as part of a
/// component, or before they were sealed in an artifact).
pub(crate) fn parse(
    wasm: WasmBytes,
    features: Features,
    validate: bool,
    registry: &TypeRegistry,
) -> Result<ModuleInfo> {
    if u32::try_from(wasm.file().len()).is_err() {
        return Err(Error::malformed("the file is larger than 4 GiB"));
    }
    let mut validator = validate.then(|| Validator::new_with_features(features.wasmparser()));
    let mut bodies = Bodies::default();
    let mut builder = Builder::new(wasm.clone(), features, registry);
    let invalid = |e: wasmparser::BinaryReaderError| {
        Error::invalid(format!("{} (at offset {:#x})", e.message(), e.offset()))
    };
    let start = wasm.start();
    // Some encodings exist only with their proposal.
    let mut parser = Parser::new(start as u64);
    parser.set_features(features.wasmparser());
    for payload in parser.parse_all(wasm.bytes()) {
        let payload = payload?;
        bodies.payload(&payload);
        if let Some(validator) = &mut validator
            && let ValidPayload::Func(to_validate, body) = validator.payload(&payload).map_err(invalid)?
        {
            bodies.validate(to_validate, &body)?;
        }
        builder.payload(payload)?;
    }
    Ok(builder.finish())
}

struct Builder<'a> {
    info: ModuleInfo,
    registry: &'a TypeRegistry,
    escaping: Vec<FuncIdx>,
}

impl<'a> Builder<'a> {
    fn new(wasm: WasmBytes, features: Features, registry: &'a TypeRegistry) -> Builder<'a> {
        let info = ModuleInfo {
            wasm,
            features,
            types: Vec::new(),
            type_ids: Vec::new(),
            types_by_id: BTreeMap::new(),
            depths: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            funcs: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            global_inits: Vec::new(),
            start: None,
            elems: Vec::new(),
            data: Vec::new(),
            bodies: Vec::new(),
            imported_funcs: 0,
            imported_tables: 0,
            imported_memories: 0,
            imported_globals: 0,
            imported_tags: 0,
            scalar_calls: Vec::new(),
            escaping_funcs: 0,
            name_section: None,
            name: None,
            layout: VmLayout::new(&VmCounts::default()),
        };
        Builder { info, registry, escaping: Vec::new() }
    }

    fn payload(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
                return Err(Error::malformed("this is a component, not a core module"));
            }
            Payload::TypeSection(section) => {
                for group in section {
                    self.rec_group(group?)?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty = self.import(import.ty)?;
                    let index = match import.ty {
                        TypeRef::Func(index) | TypeRef::FuncExact(index) => Some(index),
                        TypeRef::Tag(tag) => Some(tag.func_type_idx),
                        _ => None,
                    };
                    self.info.imports.push(Import {
                        module: import.module.into(),
                        name: import.name.into(),
                        ty,
                        type_id: index.and_then(|index| self.info.type_ids.get(index as usize).copied()),
                        exact: matches!(import.ty, TypeRef::FuncExact(_)),
                    });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.info.funcs.push(FuncInfo { ty: TypeIdx(ty?), escape: None });
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    let init = match table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(self.const_expr(&expr)?),
                    };
                    let ty = self.table_type(&table.ty)?;
                    self.info.tables.push(TableInfo { ty, init });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.info.memories.push(memory_type(&memory?));
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let ty = self.global_type(&global.ty)?;
                    self.info.globals.push(ty);
                    let init = self.const_expr(&global.init_expr)?;
                    self.info.global_inits.push(init);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let item = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            self.escaping.push(FuncIdx(export.index));
                            ExternIdx::Func(FuncIdx(export.index))
                        }
                        ExternalKind::Table => ExternIdx::Table(TableIdx(export.index)),
                        ExternalKind::Memory => ExternIdx::Memory(MemoryIdx(export.index)),
                        ExternalKind::Global => ExternIdx::Global(GlobalIdx(export.index)),
                        ExternalKind::Tag => ExternIdx::Tag(TagIdx(export.index)),
                    };
                    self.info.exports.push(Export { name: export.name.into(), item });
                }
            }
            Payload::StartSection { func, .. } => {
                self.info.start = Some(FuncIdx(func));
                self.escaping.push(FuncIdx(func));
            }
            Payload::ElementSection(section) => {
                for elem in section {
                    let elem = self.elem(elem?)?;
                    self.info.elems.push(elem);
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let active = match data.kind {
                        DataKind::Passive => None,
                        DataKind::Active { memory_index, offset_expr } => {
                            Some((MemoryIdx(memory_index), self.const_expr(&offset_expr)?))
                        }
                    };
                    let range = tail(data.range.end, data.data.len());
                    self.info.data.push(Data { active, range });
                }
            }
            Payload::CodeSectionEntry(body) => {
                self.info.bodies.push(FuncBody { range: file_range(body.range()) })
            }
            Payload::CustomSection(section) if section.name() == "name" => {
                self.info.name_section = Some(tail(section.range().end, section.data().len()));
            }
            Payload::TagSection(section) => {
                for tag in section {
                    self.info.tags.push(TypeIdx(tag?.func_type_idx));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rec_group(&mut self, group: wasmparser::RecGroup) -> Result<()> {
        let (start, ids) = (self.info.type_ids.len(), &self.info.type_ids);
        let len = group.types().len();
        // Members of the group are named by their place in it, all others by their identity.
        let resolve = |index: u32| match (index as usize).checked_sub(start) {
            None => ids.get(index as usize).copied(),
            Some(own) => (own < len).then(|| TypeId::relative(own as u32)),
        };
        let members = group.types().map(|ty| sub_type(&resolve, ty)).collect::<Result<Vec<SubType>>>()?;
        let first = self.registry.intern_group(&members);
        let first = first.ok_or_else(|| Error::malformed("a type whose supertype comes later"))?;
        for index in 0..len as u32 {
            let id = TypeId(first.0 + index);
            let ty = self.registry.defined(id).ok_or_else(|| Error::malformed("unknown type"))?;
            self.info.type_ids.push(id);
            self.info.depths.push(ty.depth());
            self.info.types.push(ty.sub().clone());
        }
        Ok(())
    }

    fn import(&mut self, ty: TypeRef) -> Result<ExternType> {
        let info = &mut self.info;
        Ok(match ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                info.imported_funcs += 1;
                info.funcs.push(FuncInfo { ty: TypeIdx(index), escape: None });
                let ty = info.types.get(index as usize).and_then(SubType::as_func);
                ExternType::Func(ty.ok_or_else(|| Error::malformed("unknown type"))?.clone())
            }
            TypeRef::Table(ty) => {
                let ty = self.table_type(&ty)?;
                self.info.imported_tables += 1;
                self.info.tables.push(TableInfo { ty, init: None });
                ExternType::Table(ty)
            }
            TypeRef::Memory(ty) => {
                let ty = memory_type(&ty);
                info.imported_memories += 1;
                info.memories.push(ty);
                ExternType::Memory(ty)
            }
            TypeRef::Global(ty) => {
                let ty = self.global_type(&ty)?;
                self.info.imported_globals += 1;
                self.info.globals.push(ty);
                ExternType::Global(ty)
            }
            TypeRef::Tag(tag) => {
                info.imported_tags += 1;
                info.tags.push(TypeIdx(tag.func_type_idx));
                let ty = info.types.get(tag.func_type_idx as usize).and_then(SubType::as_func);
                ExternType::Tag(ty.ok_or_else(|| Error::malformed("unknown type"))?.clone())
            }
        })
    }

    fn elem(&mut self, elem: wasmparser::Element<'_>) -> Result<Elem> {
        let mode = match elem.kind {
            ElementKind::Passive => ElemMode::Passive,
            ElementKind::Declared => ElemMode::Declared,
            ElementKind::Active { table_index, offset_expr } => ElemMode::Active {
                table: TableIdx(table_index.unwrap_or(0)),
                offset: self.const_expr(&offset_expr)?,
            },
        };
        let (ty, items) = match elem.items {
            ElementItems::Functions(funcs) => {
                let funcs = funcs.into_iter().map(|f| Ok(FuncIdx(f?))).collect::<Result<Box<[FuncIdx]>>>()?;
                self.escaping.extend_from_slice(&funcs);
                (RefType::FUNCREF, ElemItems::Funcs(funcs))
            }
            ElementItems::Expressions(ty, exprs) => {
                let exprs =
                    exprs.into_iter().map(|e| self.const_expr(&e?)).collect::<Result<Box<[ConstExpr]>>>()?;
                (self.ref_type(ty)?, ElemItems::Exprs(exprs))
            }
        };
        Ok(Elem { mode, ty, items })
    }

    fn const_expr(&mut self, expr: &ParserConstExpr<'_>) -> Result<ConstExpr> {
        let mut ops = Vec::new();
        for op in expr.get_operators_reader() {
            ops.push(match op? {
                Operator::I32Const { value } => ConstOp::I32(value),
                Operator::I64Const { value } => ConstOp::I64(value),
                Operator::F32Const { value } => ConstOp::F32(value.bits()),
                Operator::F64Const { value } => ConstOp::F64(value.bits()),
                Operator::V128Const { value } => ConstOp::V128(u128::from_le_bytes(*value.bytes())),
                Operator::RefNull { .. } => ConstOp::RefNull,
                Operator::RefFunc { function_index } => {
                    self.escaping.push(FuncIdx(function_index));
                    ConstOp::RefFunc(FuncIdx(function_index))
                }
                Operator::GlobalGet { global_index } => ConstOp::GlobalGet(GlobalIdx(global_index)),
                Operator::I32Add => ConstOp::I32Add,
                Operator::I32Sub => ConstOp::I32Sub,
                Operator::I32Mul => ConstOp::I32Mul,
                Operator::I64Add => ConstOp::I64Add,
                Operator::I64Sub => ConstOp::I64Sub,
                Operator::I64Mul => ConstOp::I64Mul,
                Operator::RefI31 => ConstOp::RefI31,
                Operator::StructNew { struct_type_index: ty } => ConstOp::StructNew(TypeIdx(ty)),
                Operator::StructNewDefault { struct_type_index: ty } => {
                    ConstOp::StructNewDefault(TypeIdx(ty))
                }
                Operator::StructNewDesc { struct_type_index: ty } => ConstOp::StructNewDesc(TypeIdx(ty)),
                Operator::StructNewDefaultDesc { struct_type_index: ty } => {
                    ConstOp::StructNewDefaultDesc(TypeIdx(ty))
                }
                Operator::ArrayNew { array_type_index: ty } => ConstOp::ArrayNew(TypeIdx(ty)),
                Operator::ArrayNewDefault { array_type_index: ty } => ConstOp::ArrayNewDefault(TypeIdx(ty)),
                Operator::ArrayNewFixed { array_type_index: ty, array_size } => {
                    ConstOp::ArrayNewFixed(TypeIdx(ty), array_size)
                }
                // Both hierarchies share one encoding.
                Operator::AnyConvertExtern | Operator::ExternConvertAny => continue,
                Operator::End => break,
                _ => return Err(unsupported("this operator in a constant expression")),
            });
        }
        Ok(ConstExpr(ops.into()))
    }

    fn val_type(&self, ty: wasmparser::ValType) -> Result<ValType> {
        val_type(&|index| self.info.type_ids.get(index as usize).copied(), ty)
    }

    fn ref_type(&self, ty: wasmparser::RefType) -> Result<RefType> {
        ref_type(&|index| self.info.type_ids.get(index as usize).copied(), ty)
    }

    fn table_type(&self, ty: &wasmparser::TableType) -> Result<TableType> {
        let limits = Limits { min: ty.initial, max: ty.maximum };
        Ok(TableType { element: self.ref_type(ty.element_type)?, limits, table64: ty.table64 })
    }

    fn global_type(&self, ty: &wasmparser::GlobalType) -> Result<GlobalType> {
        Ok(GlobalType { content: self.val_type(ty.content_type)?, mutable: ty.mutable })
    }

    fn finish(mut self) -> ModuleInfo {
        if self.info.types.iter().any(|ty| matches!(ty.composite, CompositeType::Cont(_))) {
            let ids = self.info.type_ids.iter().enumerate();
            self.info.types_by_id = ids.map(|(index, &id)| (id, TypeIdx(index as u32))).collect();
        }
        let imported = self.info.imported_funcs as usize;
        for func in &self.escaping {
            if func.index() >= imported
                && let Some(info) = self.info.funcs.get_mut(func.index())
                && info.escape.is_none()
            {
                info.escape = Some(EscapeIdx(self.info.escaping_funcs));
                self.info.escaping_funcs += 1;
            }
        }
        self.info.layout = VmLayout::new(&self.info.counts());
        self.info
    }
}

/// Who knows the identity of a type by its index.
type Resolve<'a> = &'a dyn Fn(u32) -> Option<TypeId>;

fn sub_type(resolve: Resolve<'_>, ty: &wasmparser::SubType) -> Result<SubType> {
    let id = |index: wasmparser::PackedIndex| type_id(resolve, index.unpack());
    let field = |ty: wasmparser::FieldType| {
        let storage = match ty.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(val_type(resolve, ty)?),
        };
        Ok(FieldType { storage, mutable: ty.mutable })
    };
    let of = &ty.composite_type;
    if of.shared {
        return Err(unsupported("a shared type"));
    }
    let composite = match &of.inner {
        CompositeInnerType::Func(ty) => {
            let list = |list: &[wasmparser::ValType]| {
                list.iter().map(|&ty| val_type(resolve, ty)).collect::<Result<Vec<_>>>()
            };
            CompositeType::Func(FuncType::new(list(ty.params())?, list(ty.results())?))
        }
        CompositeInnerType::Struct(ty) => {
            let fields = ty.fields.iter().map(|&ty| field(ty)).collect::<Result<Vec<_>>>()?;
            CompositeType::Struct(StructType::new(fields))
        }
        CompositeInnerType::Array(ty) => CompositeType::Array(field(ty.0)?),
        CompositeInnerType::Cont(ty) => CompositeType::Cont(id(ty.0)?),
    };
    Ok(SubType {
        is_final: ty.is_final,
        supertype: ty.supertype_idxs.first().map(|&index| id(index)).transpose()?,
        descriptor: of.descriptor_idx.map(id).transpose()?,
        describes: of.describes_idx.map(id).transpose()?,
        composite,
    })
}

fn type_id(resolve: Resolve<'_>, index: UnpackedIndex) -> Result<TypeId> {
    index.as_module_index().and_then(resolve).ok_or_else(|| Error::malformed("unknown type"))
}

/// A value type of the binary, its concrete types named by what `resolve` says.
pub fn val_type(resolve: Resolve<'_>, ty: wasmparser::ValType) -> Result<ValType> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type(resolve, ty)?),
    })
}

fn ref_type(resolve: Resolve<'_>, ty: wasmparser::RefType) -> Result<RefType> {
    use wasmparser::AbstractHeapType as A;
    let heap = match ty.heap_type() {
        wasmparser::HeapType::Abstract { ty, .. } => match ty {
            A::Func => HeapType::Func,
            A::NoFunc => HeapType::NoFunc,
            A::Extern => HeapType::Extern,
            A::NoExtern => HeapType::NoExtern,
            A::Any => HeapType::Any,
            A::Eq => HeapType::Eq,
            A::I31 => HeapType::I31,
            A::Struct => HeapType::Struct,
            A::Array => HeapType::Array,
            A::None => HeapType::None,
            A::Exn => HeapType::Exn,
            A::NoExn => HeapType::NoExn,
            A::Cont => HeapType::Cont,
            A::NoCont => HeapType::NoCont,
        },
        wasmparser::HeapType::Concrete(index) => HeapType::Concrete(type_id(resolve, index)?),
        wasmparser::HeapType::Exact(index) => HeapType::Exact(type_id(resolve, index)?),
    };
    Ok(RefType { nullable: ty.is_nullable(), heap })
}

fn memory_type(ty: &wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        limits: Limits { min: ty.initial, max: ty.maximum },
        memory64: ty.memory64,
        shared: ty.shared,
        page_size_log2: ty.page_size_log2.unwrap_or(16) as u8,
    }
}

/// A reader's range as indices into the file, which is in memory.
fn file_range(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// The last `len` bytes before `end`.
fn tail(end: u64, len: usize) -> Range<usize> {
    let end = end as usize;
    end.saturating_sub(len)..end
}

fn unsupported(what: &str) -> Error {
    Error::invalid(format!("{what} needs a feature that is switched off"))
}
