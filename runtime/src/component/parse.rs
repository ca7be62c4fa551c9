//! Binary to [`Component`](super::Component): one walk over the file in which the validator goes first, payload by payload,
//! and this keeps a plan (info.rs) of what it let pass (Binary.md).
//!
//! Core modules are validated on the way; afterwards each becomes a [`Module`](crate::module::Module) of its part of the same
//! file. Nested components are frames of an explicit stack, so hostile nesting costs no native stack.
//!
//! Must not know: stores, what the plan will do.

use super::abi::StringEncoding;
use super::adapter::LastKind;
use super::info::*;
use super::parse_types::TypeReader;
use super::types::{ExternType, InstanceType, ItemFunc, Slot, TypeBound};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::module::{Bodies, WasmBytes};
use crate::types::FuncType as CoreFuncType;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::component_types::ComponentAnyTypeId;
use wasmparser::types::TypesRef;
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternName,
    ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentType, Encoding, ExternalKind,
    Instance, Parser, Payload, ValidPayload, Validator,
};

/// What a component's binary holds: the root component, and where its core modules lie in the file.
pub(super) struct Parsed {
    pub(super) root: ComponentInfo,
    pub(super) modules: Vec<WasmBytes>,
}

fn invalid(error: BinaryReaderError) -> Error {
    Error::invalid(format!("{} (at offset {:#x})", error.message(), error.offset()))
}

fn unsupported(what: &str) -> Error {
    Error::invalid(format!("{what} is not supported yet"))
}

/// Reads a component. With `validate_bodies` off, function bodies are taken as validated before (they come from an artifact
/// whose seal was checked); all else is validated still, since the plan needs the validator's types.
pub(super) fn parse(wasm: &WasmBytes, features: Features, validate_bodies: bool) -> Result<Parsed> {
    let mut validator = Validator::new_with_features(features.wasmparser());
    let mut bodies = Bodies::default();
    let mut frames: Vec<Frame> = Vec::new();
    let mut modules = Vec::new();
    // What the next version header begins: none but the first stands outside a section.
    let mut next = None;
    let mut parser = Parser::new(wasm.start() as u64);
    parser.set_features(features.wasmparser());
    for payload in parser.parse_all(wasm.bytes()) {
        let payload = payload?;
        bodies.payload(&payload);
        match validator.payload(&payload).map_err(invalid)? {
            ValidPayload::Func(to_validate, body) if validate_bodies => {
                bodies.validate(to_validate, &body)?;
            }
            _ => {}
        }
        match payload {
            Payload::Version { encoding, .. } => match next.take() {
                Some(frame) => frames.push(frame),
                None if encoding == Encoding::Component => frames.push(Frame::component()),
                None => return Err(Error::malformed("this is a core module, not a component")),
            },
            Payload::ModuleSection { unchecked_range, .. } => {
                if let Some(frame) = open(&mut frames) {
                    frame.info.plan.push(Def::CoreModule(modules.len() as u32));
                }
                modules.push(part(wasm, unchecked_range)?);
                next = Some(Frame::Module);
            }
            Payload::ComponentSection { .. } => next = Some(Frame::component()),
            Payload::End(_) => match frames.pop() {
                Some(Frame::Component(done)) => {
                    let (info, captures) = done.finish();
                    match open(&mut frames) {
                        None => return Ok(Parsed { root: info, modules }),
                        Some(frame) => {
                            let nested = frame.info.components.len() as u32;
                            frame.info.components.push((Arc::new(info), captures));
                            frame.info.plan.push(Def::Component(nested));
                        }
                    }
                }
                Some(Frame::Module) => {}
                None => return Err(Error::malformed("an end without a beginning")),
            },
            payload => {
                if let (Some(Frame::Component(_)), Some(types)) = (frames.last(), validator.types(0)) {
                    section(&mut frames, types, payload)?;
                }
            }
        }
    }
    Err(Error::malformed("unexpected end of the component"))
}

fn part(wasm: &WasmBytes, range: Range<u64>) -> Result<WasmBytes> {
    let bound =
        |at: u64| usize::try_from(at).map_err(|_| Error::malformed("a section lies outside the file"));
    wasm.part(bound(range.start)?..bound(range.end)?)
        .ok_or_else(|| Error::malformed("a section lies outside the file"))
}

/// What is being read: the innermost frame last.
enum Frame {
    Module,
    Component(Box<ComponentFrame>),
}

#[derive(Default)]
struct ComponentFrame {
    info: ComponentInfo,
    types: TypeReader,
    captures: Vec<Capture>,
    /// Entries of the type index space so far.
    type_count: u32,
    /// Entries of the core function index space so far.
    core_func_count: u32,
    /// Slots that some definition of the plan binds.
    bound: BTreeSet<Slot>,
    /// Instance types, which `types` keeps, all of whose slots are bound: a type may have one and the same in it very often.
    walked: BTreeSet<*const InstanceType>,
    /// Instances all of whose resources are bound.
    opened: BTreeSet<u32>,
}

impl Frame {
    fn component() -> Frame {
        Frame::Component(Box::default())
    }
}

impl ComponentFrame {
    fn finish(mut self: Box<Self>) -> (ComponentInfo, Box<[Capture]>) {
        self.info.open_types = self.types.open_types;
        self.info.resource_names = self.types.resource_names;
        (self.info, self.captures.into())
    }

    /// Counts a type that was just defined; its slot if it is a resource.
    fn new_type(&mut self, types: TypesRef<'_>) -> Option<u32> {
        let id = types.component_any_type_at(self.type_count);
        self.type_count += 1;
        self.types.any_type(id)
    }

    fn item(&mut self, types: TypesRef<'_>, kind: ComponentExternalKind, index: u32) -> Result<ItemIdx> {
        Ok(match kind {
            ComponentExternalKind::Module => ItemIdx::Module(index),
            ComponentExternalKind::Func => ItemIdx::Func(index),
            ComponentExternalKind::Instance => ItemIdx::Instance(index),
            ComponentExternalKind::Component => ItemIdx::Component(index),
            ComponentExternalKind::Type => match self.types.any_type(types.component_any_type_at(index)) {
                Some(slot) => ItemIdx::Resource(slot),
                None => ItemIdx::Type,
            },
            ComponentExternalKind::Value => return Err(unsupported("a component-level value")),
        })
    }

    /// The sort of an item that was just added to its index space.
    fn new_sort(&mut self, types: TypesRef<'_>, kind: ComponentExternalKind, name: &str) -> Result<Sort> {
        Ok(match kind {
            ComponentExternalKind::Module => Sort::Module,
            ComponentExternalKind::Func => Sort::Func,
            ComponentExternalKind::Instance => Sort::Instance,
            ComponentExternalKind::Component => Sort::Component,
            ComponentExternalKind::Type => {
                let slot = self.new_type(types);
                if let Some(slot) = slot {
                    self.types.name(slot, name);
                    self.bound.insert(slot);
                }
                Sort::Type(slot)
            }
            ComponentExternalKind::Value => return Err(unsupported("a component-level value")),
        })
    }

    /// A type that is no resource itself was aliased out of an instance: the resources it may name become known.
    fn open_instance(&mut self, types: TypesRef<'_>, instance: u32) -> Result<()> {
        if !self.opened.insert(instance) {
            return Ok(());
        }
        let ty = self.types.instance(types, types.component_instance_at(instance))?;
        self.bind_resources(instance, &ty, &mut Vec::new());
        Ok(())
    }

    /// Recursion is as deep as instance types nest, which the validator bounds.
    fn bind_resources(&mut self, instance: u32, ty: &Arc<InstanceType>, path: &mut Vec<Arc<str>>) {
        if !self.walked.insert(Arc::as_ptr(ty)) {
            return;
        }
        for (name, ty) in &ty.exports {
            path.push(name.clone());
            match ty {
                ExternType::Type(TypeBound::Resource(slot)) if self.bound.insert(*slot) => {
                    self.info.plan.push(Def::Bind { instance, path: path.as_slice().into(), slot: *slot });
                }
                ExternType::Instance(ty) => self.bind_resources(instance, ty, path),
                _ => {}
            }
            path.pop();
        }
    }

    /// The type of the core function that is defined next.
    fn core_func_type(&self, types: TypesRef<'_>) -> Result<CoreFuncType> {
        super::parse_types::core_func(types, types.core_function_at(self.core_func_count))
    }

    fn resource(&mut self, types: TypesRef<'_>, index: u32) -> Result<u32> {
        self.types
            .any_type(types.component_any_type_at(index))
            .ok_or_else(|| Error::invalid("a resource built-in names a type that is no resource"))
    }
}

/// The component that is being read, unless it is a core module.
fn open(frames: &mut [Frame]) -> Option<&mut ComponentFrame> {
    match frames.last_mut() {
        Some(Frame::Component(frame)) => Some(frame),
        _ => None,
    }
}

/// What the component `outer` levels above the last of `frames` knows as `item`, seen from the last.
fn capture(frames: &mut [Frame], outer: u32, item: Capture) -> Result<Capture> {
    let missing = || Error::invalid("an outer alias leads outside the component");
    let Some((Frame::Component(_), around)) = frames.split_last_mut() else { return Err(missing()) };
    if outer == 0 {
        return Ok(item);
    }
    let source = capture(around, outer - 1, item)?;
    let Some(Frame::Component(frame)) = frames.last_mut() else { return Err(missing()) };
    let known = frame.captures.iter().position(|capture| *capture == source);
    let index = known.unwrap_or_else(|| {
        frame.captures.push(source);
        frame.captures.len() - 1
    });
    Ok(Capture::Captured(index as u32))
}

fn section(frames: &mut [Frame], types: TypesRef<'_>, payload: Payload<'_>) -> Result<()> {
    if let Payload::ComponentAliasSection(section) = payload {
        for alias in section {
            self::alias(frames, types, alias?)?;
        }
        return Ok(());
    }
    let Some(frame) = open(frames) else { return Ok(()) };
    match payload {
        Payload::InstanceSection(section) => {
            for instance in section {
                frame.info.plan.push(core_instance(instance?)?);
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                let def = match instance? {
                    ComponentInstance::Instantiate { component_index, args } => {
                        let mut with = Vec::with_capacity(args.len());
                        for arg in &args {
                            with.push((arg.name.into(), frame.item(types, arg.kind, arg.index)?));
                        }
                        Def::Instantiate { component: component_index, args: with.into() }
                    }
                    ComponentInstance::FromExports(exports) => {
                        let mut with = Vec::with_capacity(exports.len());
                        for export in &exports {
                            with.push((
                                export.name.name.into(),
                                frame.item(types, export.kind, export.index)?,
                            ));
                        }
                        Def::Exports(with.into())
                    }
                };
                frame.info.plan.push(def);
            }
        }
        Payload::ComponentTypeSection(section) => {
            for ty in section {
                let ty = ty?;
                let slot = frame.new_type(types);
                if let (ComponentType::Resource { dtor, .. }, Some(slot)) = (ty, slot) {
                    frame.bound.insert(slot);
                    frame.info.plan.push(Def::Resource { slot, dtor });
                }
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for canon in section {
                let canon = canon?;
                let is_lift = matches!(canon, CanonicalFunction::Lift { .. });
                let def = canonical(frame, types, canon)?;
                frame.core_func_count += u32::from(!is_lift);
                frame.info.plan.push(def);
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import?;
                let name: Arc<str> = import.name.name.into();
                let sort = frame.new_sort(types, import.ty.kind(), &name)?;
                if let Some(attributes) = attributes(&import.name) {
                    frame.info.import_attributes.insert(name.clone(), attributes);
                }
                let item = types.component_item_for_import(&name).ok_or_else(|| {
                    Error::invalid(format!("crash: the validator does not know import `{name}`"))
                })?;
                let ty = frame.types.entity(types, item.ty)?;
                frame.info.plan.push(Def::Import { import: frame.info.imports.len() as u32, sort });
                frame.info.imports.push((name, ty));
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                let export = export?;
                let name: Arc<str> = export.name.name.into();
                if let Some(attributes) = attributes(&export.name) {
                    frame.info.export_attributes.insert(name.clone(), attributes);
                }
                let item = frame.item(types, export.kind, export.index)?;
                let sort = frame.new_sort(types, export.kind, &name)?;
                let entity = types.component_item_for_export(&name).ok_or_else(|| {
                    Error::invalid(format!("crash: the validator does not know export `{name}`"))
                })?;
                let ty = frame.types.entity(types, entity.ty)?;
                frame.info.plan.push(Def::Export { name: name.clone(), item, sort });
                frame.info.exports.push((name, ty));
            }
        }
        Payload::ComponentStartSection { .. } => return Err(unsupported("a component's start function")),
        // Core types matter inside the validator only; custom sections carry names.
        _ => {}
    }
    Ok(())
}

fn attributes(name: &ComponentExternName<'_>) -> Option<NameAttributes> {
    let ComponentExternName { name: _, implements, version_suffix, external_id } = *name;
    let attributes = NameAttributes {
        implements: implements.map(Arc::from),
        version_suffix: version_suffix.map(Arc::from),
        external_id: external_id.map(Arc::from),
    };
    (attributes != NameAttributes::default()).then_some(attributes)
}

fn core_sort(kind: ExternalKind) -> Result<CoreSort> {
    Ok(match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreSort::Func,
        ExternalKind::Memory => CoreSort::Memory,
        ExternalKind::Table => CoreSort::Table,
        ExternalKind::Global => CoreSort::Global,
        ExternalKind::Tag => CoreSort::Tag,
    })
}

fn core_instance(instance: Instance<'_>) -> Result<Def> {
    Ok(match instance {
        Instance::Instantiate { module_index, args } => Def::CoreInstantiate {
            module: module_index,
            args: args.iter().map(|arg| (arg.name.into(), arg.index)).collect(),
            places: None,
        },
        Instance::FromExports(exports) => {
            let mut with = Vec::with_capacity(exports.len());
            for export in &exports {
                with.push((export.name.into(), core_sort(export.kind)?, export.index));
            }
            // For looking one up. Which of equal names counts is no question: there are none.
            with.sort_by(|(a, ..): &(Box<str>, _, _), (b, ..)| a.cmp(b));
            Def::CoreExports(with.into())
        }
    })
}

fn alias(frames: &mut [Frame], types: TypesRef<'_>, alias: ComponentAlias<'_>) -> Result<()> {
    let def = match alias {
        ComponentAlias::Outer { kind, count, index } => {
            let item = match kind {
                ComponentOuterAliasKind::CoreModule => Capture::Module(index),
                ComponentOuterAliasKind::Component => Capture::Component(index),
                ComponentOuterAliasKind::CoreType => return Ok(()),
                ComponentOuterAliasKind::Type => {
                    // A resource is never taken from another component; one of the same component is bound already.
                    if let Some(frame) = open(frames) {
                        frame.new_type(types);
                    }
                    return Ok(());
                }
            };
            Def::Outer(capture(frames, count, item)?)
        }
        ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
            let sort = core_sort(kind)?;
            if let (CoreSort::Func, Some(frame)) = (sort, open(frames)) {
                frame.core_func_count += 1;
            }
            Def::CoreAlias { instance: instance_index, name: name.into(), sort, place: None }
        }
        ComponentAlias::InstanceExport { kind, instance_index, name } => {
            let Some(frame) = open(frames) else { return Ok(()) };
            let sort = frame.new_sort(types, kind, name)?;
            if sort == Sort::Type(None) {
                frame.open_instance(types, instance_index)?;
            }
            Def::Alias { instance: instance_index, name: name.into(), sort }
        }
    };
    if let Some(frame) = open(frames) {
        frame.info.plan.push(def);
    }
    Ok(())
}

fn canonical(frame: &mut ComponentFrame, types: TypesRef<'_>, canon: CanonicalFunction) -> Result<Def> {
    Ok(match canon {
        CanonicalFunction::Lift { core_func_index, type_index, options } => {
            let ty: ItemFunc = match types.component_any_type_at(type_index) {
                ComponentAnyTypeId::Func(id) => frame.types.func(types, id)?,
                _ => return Err(Error::invalid("canon lift names a type that is no function type")),
            };
            Def::Lift { core_func: core_func_index, ty, options: canon_options(&options)? }
        }
        CanonicalFunction::Lower { func_index, options } => {
            let scalars = super::parse_types::scalar_call(types, types.component_function_at(func_index));
            let (options, last) = (canon_options(&options)?, LastKind::default());
            Def::Lower { func: func_index, options, scalars, last }
        }
        CanonicalFunction::ResourceNew { resource } => {
            Def::ResourceNew { slot: frame.resource(types, resource)?, ty: frame.core_func_type(types)? }
        }
        CanonicalFunction::ResourceDrop { resource } => Def::ResourceDrop(frame.resource(types, resource)?),
        CanonicalFunction::ResourceRep { resource } => {
            Def::ResourceRep { slot: frame.resource(types, resource)?, ty: frame.core_func_type(types)? }
        }
        CanonicalFunction::BackpressureInc => Def::BackpressureInc,
        CanonicalFunction::BackpressureDec => Def::BackpressureDec,
        CanonicalFunction::ContextGet { slot, .. } => {
            Def::ContextGet { slot, ty: frame.core_func_type(types)? }
        }
        CanonicalFunction::ContextSet { slot, .. } => {
            Def::ContextSet { slot, ty: frame.core_func_type(types)? }
        }
        other => Def::Unsupported { name: builtin_name(&other), ty: frame.core_func_type(types)? },
    })
}

/// What the specification calls a built-in that the engine does not have.
fn builtin_name(canon: &CanonicalFunction) -> &'static str {
    use CanonicalFunction::*;
    match canon {
        ThreadSpawnRef { .. } => "thread.spawn-ref",
        ThreadSpawnIndirect { .. } => "thread.spawn-indirect",
        ThreadAvailableParallelism => "thread.available-parallelism",
        TaskReturn { .. } => "task.return",
        TaskCancel => "task.cancel",
        ThreadYield => "thread.yield",
        SubtaskDrop => "subtask.drop",
        SubtaskCancel { .. } => "subtask.cancel",
        StreamNew { .. } => "stream.new",
        StreamRead { .. } => "stream.read",
        StreamWrite { .. } => "stream.write",
        StreamForward { .. } => "stream.forward",
        StreamCancelRead { .. } => "stream.cancel-read",
        StreamCancelWrite { .. } => "stream.cancel-write",
        StreamDropReadable { .. } => "stream.drop-readable",
        StreamDropWritable { .. } => "stream.drop-writable",
        FutureNew { .. } => "future.new",
        FutureRead { .. } => "future.read",
        FutureWrite { .. } => "future.write",
        FutureForward { .. } => "future.forward",
        FutureCancelRead { .. } => "future.cancel-read",
        FutureCancelWrite { .. } => "future.cancel-write",
        FutureDropReadable { .. } => "future.drop-readable",
        FutureDropWritable { .. } => "future.drop-writable",
        ErrorContextNew { .. } => "error-context.new",
        ErrorContextDebugMessage { .. } => "error-context.debug-message",
        ErrorContextDrop => "error-context.drop",
        WaitableSetNew => "waitable-set.new",
        WaitableSetWait { .. } => "waitable-set.wait",
        WaitableSetPoll { .. } => "waitable-set.poll",
        WaitableSetDrop => "waitable-set.drop",
        WaitableJoin => "waitable.join",
        ThreadIndex => "thread.index",
        ThreadNewIndirect { .. } => "thread.new-indirect",
        ThreadResumeLater => "thread.resume-later",
        ThreadSuspend => "thread.suspend",
        ThreadSuspendThenResume => "thread.suspend-then-resume",
        ThreadYieldThenResume => "thread.yield-then-resume",
        ThreadSuspendThenPromote => "thread.suspend-then-promote",
        ThreadYieldThenPromote => "thread.yield-then-promote",
        Lift { .. }
        | Lower { .. }
        | ResourceNew { .. }
        | ResourceDrop { .. }
        | ResourceRep { .. }
        | BackpressureInc
        | BackpressureDec
        | ContextGet { .. }
        | ContextSet { .. } => "a built-in that is there",
    }
}

fn canon_options(options: &[CanonicalOption]) -> Result<CanonOptions> {
    let mut canon = CanonOptions::default();
    for option in options {
        match *option {
            CanonicalOption::UTF8 => canon.string_encoding = StringEncoding::Utf8,
            CanonicalOption::UTF16 => canon.string_encoding = StringEncoding::Utf16,
            CanonicalOption::CompactUTF16 => canon.string_encoding = StringEncoding::Latin1OrUtf16,
            CanonicalOption::Memory(memory) => canon.memory = Some(memory),
            CanonicalOption::Realloc(realloc) => canon.realloc = Some(realloc),
            CanonicalOption::PostReturn(post_return) => canon.post_return = Some(post_return),
            CanonicalOption::Async | CanonicalOption::Callback(_) => {
                return Err(unsupported("the canonical option `async`"));
            }
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                return Err(unsupported("the canonical option `gc`"));
            }
        }
    }
    Ok(canon)
}
