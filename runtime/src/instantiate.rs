//! Instantiation (core specification 4.7.6): imports are matched, the context is filled, segments are written, `start` runs.

use crate::deadline::{PIECE_BYTES, PIECE_ELEMS};
use crate::difference::wanted_and_given;
use crate::error::{Error, Result, said};
use crate::evaluate::evaluate;
use crate::handle::{Extern, Instance};
use crate::instance::{ElemValues, InstanceData};
use crate::interp;
use crate::memory::MemoryData;
use crate::module::{ConstExpr, DataIdx, Elem, ElemIdx, ElemItems, ElemMode, FuncIdx, Import, Module};
use crate::store::{AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::types::{ExternType, HeapType, TypeId};
use crate::val::RawVal;
use crate::vm::{VmAdapter, VmContext, VmFunc, VmGlobal, VmImport, VmMemory, VmTable, VmTag, VmType};
use alloc::{boxed::Box, format, vec::Vec};
use core::ptr;
use core::sync::atomic::AtomicU32;

impl Instance {
    /// Instantiates a module with its imports in order.
    ///
    /// # Errors
    /// `Unlinkable` when an import is missing or of another type, `Exhausted` past the store's limits, and what segments and
    /// the start function trap with. What was written into imported memories and tables before a trap stays written.
    pub fn new(mut store: impl AsStoreMut, module: &Module, imports: &[Extern]) -> Result<Instance> {
        store.as_store_mut().without_waiting(|store| Instance::new_here(store, module, imports))
    }

    /// The same on whatever stack this is.
    pub(crate) fn new_here(store: &mut StoreInner, module: &Module, imports: &[Extern]) -> Result<Instance> {
        if !store.engine().same(module.engine()) {
            return Err(Error::usage("the module was made in another engine than the store"));
        }
        let wanted = &module.info().imports;
        if imports.len() != wanted.len() {
            return Err(Error::unlinkable(format!(
                "{} imports are wanted, {} are given",
                wanted.len(),
                imports.len()
            )));
        }
        for (import, &given) in wanted.iter().zip(imports) {
            check_import(store, import, given)?;
        }
        if store.instances.len() >= store.limits().instances as usize {
            return Err(Error::exhausted(format!(
                "the store may hold {} instances",
                store.limits().instances
            )));
        }
        // An instance takes a bounded time to make, but a component may make thousands.
        store.pause()?;
        store.charge_instance(module.info())?;
        let index = store.instances.len() as u32;
        let data = InstanceData::new(index, module.clone())?;
        store.instances.push(Box::new(data));
        let instance = Instance { store: store.id(), index };
        allocate(store, index, module, imports)?;
        initialize(store, index, module)?;
        if let Some(start) = module.info().start {
            let func = store.instances[index as usize].func(start);
            let func = func.ok_or_else(|| Error::malformed("the start function does not exist"))?;
            // SAFETY: V1; a start function has neither parameters nor results (V4).
            unsafe { store.call(func, &mut [])? };
        }
        Ok(instance)
    }
}

/// Does what is given fit what is wanted (core specification 3.4 "Import matching")?
pub(crate) fn check_import(store: &StoreInner, import: &Import, given: Extern) -> Result<()> {
    if fits(store, import, given)? {
        return Ok(());
    }
    let have = match given {
        Extern::Func(func) => ExternType::Func(func.ty(store)?),
        Extern::Table(table) => ExternType::Table(table.ty(store)?),
        Extern::Memory(memory) => ExternType::Memory(memory.ty(store)?),
        Extern::Global(global) => ExternType::Global(global.ty(store)?),
        Extern::Tag(tag) => ExternType::Tag(store.tag_data(tag)?.ty().clone()),
    };
    Err(Error::unlinkable(format!(
        "incompatible import type for `{}::{}`: {}",
        said(&import.module),
        said(&import.name),
        wanted_and_given(&import.ty, &have, "given")
    )))
}

fn fits(store: &StoreInner, import: &Import, given: Extern) -> Result<bool> {
    Ok(match (&import.ty, given) {
        (ExternType::Func(_), Extern::Func(func)) => {
            // SAFETY: V1, V6.
            let id = TypeId(unsafe { (*(*store.func_ptr(func)?).ty).id });
            import.func_fits(store.engine().types(), id)
        }
        (ExternType::Table(want), Extern::Table(table)) => table.ty(store)?.fits(want),
        (ExternType::Memory(want), Extern::Memory(memory)) => memory.ty(store)?.fits(want),
        (ExternType::Global(want), Extern::Global(global)) => {
            let have = global.ty(store)?;
            let types = store.engine().types();
            have.mutable == want.mutable
                && match want.mutable {
                    true => have.content == want.content,
                    false => types.val_matches(have.content, want.content),
                }
        }
        (ExternType::Tag(_), Extern::Tag(tag)) => {
            import.type_id == Some(TypeId(store.tag_data(tag)?.type_id()))
        }
        _ => false,
    })
}

/// Fills the context: imported and own memories, tables, globals and functions.
fn allocate(store: &mut StoreInner, index: u32, module: &Module, imports: &[Extern]) -> Result<()> {
    let info = module.info().clone();
    let layout = info.layout;
    let context = store.instances[index as usize].context();
    // With room for all at once: instances are made per request.
    let mut memories = Vec::with_capacity(info.memories.len());
    let mut tables = Vec::with_capacity(info.tables.len());
    let mut globals = Vec::with_capacity(info.globals.len());
    let mut tags = Vec::with_capacity(info.tags.len());
    let mut imported_funcs = Vec::with_capacity(info.imported_funcs as usize);
    for given in imports {
        match *given {
            Extern::Memory(memory) => memories.push(memory.index),
            Extern::Table(table) => tables.push(table.index),
            Extern::Global(global) => globals.push(global.index),
            Extern::Tag(tag) => tags.push(tag.index),
            Extern::Func(func) => imported_funcs.push(store.func_ptr(func)?),
        }
    }
    for ty in &info.memories[info.imported_memories as usize..] {
        memories.push(store.add_memory(*ty)?);
    }
    // Code that relies on guards must not run on a memory without (V2): this instance is interpreted.
    let lacks_guard = store.engine().config().guard_pages
        && memories.iter().any(|&memory| {
            // SAFETY: V1.
            unsafe { store.memories[memory as usize].as_ref() }.lacks_guard()
        });
    let interpreted = (lacks_guard && module.native().is_some()).then(|| module.interpreted());
    let module = interpreted.as_ref().unwrap_or(module);
    if let Some(interpreted) = &interpreted {
        store.instances[index as usize].module = interpreted.clone();
    }
    if !module.is_wholly_native() {
        store.touch_value_stack();
    }
    for (i, &func) in imported_funcs.iter().enumerate() {
        let import = import_entry(module, i as u32, func);
        // SAFETY: V1; the layout has an entry for each imported function.
        unsafe { VmContext::entry::<VmImport>(context, layout.imports, i as u32).write(import) };
    }

    // SAFETY: V1: the context is this instance's, all zero so far, and each array has as many entries as are written.
    unsafe {
        context.write(VmContext {
            store: store.vm(),
            builtins: store.engine().builtins(),
            memory0: MemoryData::vm(store.no_memory()),
            interp_code: module.interp_code().as_ptr(),
            instance: ptr::from_mut(&mut *store.instances[index as usize]).cast(),
        });
        for (i, &memory) in memories.iter().enumerate() {
            let vm = MemoryData::vm(store.memories[memory as usize]);
            VmContext::entry::<*mut VmMemory>(context, layout.memories, i as u32).write(vm);
            if i == 0 {
                (*context).memory0 = vm;
            }
        }
    }
    let types: Vec<*const VmType> = store.engine().types().vms(&info.type_ids);
    for (own, func) in info.funcs.iter().enumerate().skip(info.imported_funcs as usize) {
        let Some(escape) = func.escape else { continue };
        let ty = types[func.ty.index()];
        let native = module.native().and_then(|n| n.func(own - info.imported_funcs as usize));
        // SAFETY: V1; the layout has an entry for each escaping function.
        unsafe {
            let place = VmContext::entry::<VmFunc>(context, layout.funcs, escape.0);
            place.write(VmFunc {
                array_call: native.map_or(interp::array_call, |n| n.array_call),
                native: native.map_or(ptr::null(), |n| n.native),
                context: if native.is_some() { context.cast() } else { place.cast() },
                instance: context,
                store: store.vm(),
                host: ptr::null(),
                guard: ptr::null(),
                behind: ptr::null(),
                adapter: ptr::null(),
                ty,
                index: own as u32,
                handle: AtomicU32::new(0),
            });
        }
    }
    for (i, &ty) in types.iter().enumerate() {
        // SAFETY: V1; the layout has an entry for each type.
        unsafe { VmContext::entry::<*const VmType>(context, layout.types, i as u32).write(ty) };
    }

    // A tag that the module defines is a new one for each instance.
    for ty in &info.tags[info.imported_tags as usize..] {
        tags.push(store.add_tag(info.signature(*ty).clone(), info.type_ids[ty.index()]));
    }
    for (i, &tag) in tags.iter().enumerate() {
        let vm = store.tags[tag as usize].vm();
        // SAFETY: V1; the layout has an entry for each tag.
        unsafe { VmContext::entry::<*const VmTag>(context, layout.tags, i as u32).write(vm) };
    }
    store.instances[index as usize].tags = tags.into();

    // Own globals: an initialiser may read the globals before it, so each is in place before the next is made.
    store.instances[index as usize].memories = memories.into();
    for (i, global) in globals.iter().enumerate() {
        let vm = store.globals[*global as usize].vm;
        // SAFETY: V1; the layout has an entry for each global.
        unsafe { VmContext::entry::<*mut VmGlobal>(context, layout.globals, i as u32).write(vm) };
    }
    for (own, init) in info.global_inits.iter().enumerate() {
        let i = globals.len() as u32;
        let slots = evaluate(store, index, init)?;
        let ty = info.globals[i as usize];
        // SAFETY: V1; the layout has an entry for each own global.
        unsafe {
            let vm = VmContext::entry::<VmGlobal>(context, layout.own_globals, own as u32);
            (*vm).slots = slots;
            VmContext::entry::<*mut VmGlobal>(context, layout.globals, i).write(vm);
            globals.push(store.add_global(vm, ty));
        }
    }
    store.instances[index as usize].globals = globals.into();

    for table in &info.tables[info.imported_tables as usize..] {
        let init = match &table.init {
            Some(init) => evaluate(store, index, init)?[0],
            None => 0,
        };
        tables.push(store.add_table(table.ty, init)?);
    }
    for (i, &table) in tables.iter().enumerate() {
        let vm = store.tables[table as usize].as_ptr().cast::<VmTable>();
        // SAFETY: V1; the layout has an entry for each table.
        unsafe { VmContext::entry::<*mut VmTable>(context, layout.tables, i as u32).write(vm) };
    }
    store.instances[index as usize].tables = tables.into();
    Ok(())
}

/// What a call of an imported function reads. A function without native code is entered through the importing module's stub.
fn import_entry(module: &Module, index: u32, func: *const VmFunc) -> VmImport {
    // SAFETY: V1.
    let (native, context) = unsafe { ((*func).native, (*func).context) };
    let ty = module.info().funcs[index as usize].ty;
    let native = match module.native() {
        Some(code) if native.is_null() => code.stub(ty.0),
        Some(_) => native,
        None => ptr::null(),
    };
    VmImport { native, context, func, adapter: adapter_of(module, FuncIdx(index), func) }
}

/// What the module's code reads to make a call of this import itself, if the function is what the module's code takes it for.
fn adapter_of(module: &Module, index: FuncIdx, func: *const VmFunc) -> *const VmAdapter {
    let call = module.info().scalar_call(index);
    // SAFETY: V1: what a function points at lives as long as the function.
    let (adapter, scalars) = unsafe {
        let adapter = (*func).adapter;
        (adapter, adapter.as_ref().and_then(|adapter| adapter.scalars.as_ref()))
    };
    if call.is_some() && call == scalars { adapter } else { ptr::null() }
}

/// Writes the active segments in order (core specification 4.7.6, steps 30 on), elements before data.
fn initialize(store: &mut StoreInner, index: u32, module: &Module) -> Result<()> {
    let info = module.info().clone();
    for (i, elem) in info.elems.iter().enumerate() {
        if let (ElemItems::Exprs(exprs), false) = (&elem.items, matches!(elem.mode, ElemMode::Declared)) {
            let values = elem_values(store, index, exprs)?;
            let traced = !store.engine().types().heap_matches(elem.ty.heap, HeapType::Func);
            store.instances[index as usize].elems[i] = ElemValues { values, traced };
        }
    }
    for (i, elem) in info.elems.iter().enumerate() {
        match &elem.mode {
            ElemMode::Passive => continue,
            ElemMode::Declared => {}
            ElemMode::Active { table, offset } => {
                let at = offset_of(evaluate(store, index, offset)?[0], info.tables[table.index()].ty.table64);
                let len = elem.items.len() as u64;
                store.table_init(index, table.0, ElemIdx(i as u32), at, 0, len)?;
            }
        }
        store.instances[index as usize].drop_elem(i as u32);
    }
    // Where active segments of the first memory lie.
    let mut written: Option<(u64, u64)> = None;
    for (i, data) in info.data.iter().enumerate() {
        let Some((memory, offset)) = &data.active else { continue };
        let at = offset_of(evaluate(store, index, offset)?[0], info.memories[memory.index()].memory64);
        let len = data.range.len() as u64;
        store.memory_init(index, memory.0, DataIdx(i as u32), at, 0, len)?;
        store.instances[index as usize].dropped_data[i] = true;
        if memory.0 == 0 && len > 0 {
            let (start, end) = written.unwrap_or((at, at + len));
            written = Some((start.min(at), end.max(at + len)));
        }
    }
    if let (Some((start, end)), Some(&memory)) = (written, store.instances[index as usize].memories.first()) {
        // SAFETY: V1, V5.
        unsafe { store.memories[memory as usize].as_mut() }.keep(start as usize, end as usize);
    }
    Ok(())
}

/// The elements of a segment, which from now on is a root. Each is evaluated once.
fn elem_values(store: &mut StoreInner, index: u32, exprs: &[ConstExpr]) -> Result<Box<[RawVal]>> {
    let base = store.gc.scratch.len();
    let mut result = Ok(());
    for expr in exprs {
        match evaluate(store, index, expr) {
            Ok(value) => store.gc.scratch.push(value[0]),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    let values = store.gc.scratch.split_off(base);
    result.map(|()| values.into())
}

fn offset_of(slot: RawVal, wide: bool) -> u64 {
    if wide { slot } else { u64::from(slot as u32) }
}

impl ElemItems {
    /// How many elements.
    pub fn len(&self) -> usize {
        match self {
            ElemItems::Funcs(funcs) => funcs.len(),
            ElemItems::Exprs(exprs) => exprs.len(),
        }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Elem {
    /// How many elements an instance keeps the values of.
    pub(crate) fn evaluated(&self) -> usize {
        match (&self.items, &self.mode) {
            (ElemItems::Exprs(exprs), ElemMode::Passive | ElemMode::Active { .. }) => exprs.len(),
            _ => 0,
        }
    }
}

impl StoreInner {
    /// `memory.init`: bytes of a data segment into a memory. All or nothing, but for the deadline.
    pub(crate) fn memory_init(
        &mut self,
        instance: u32,
        memory: u32,
        data: DataIdx,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), Trap> {
        fn segment(instance: &InstanceData, data: DataIdx) -> &[u8] {
            let info = instance.module.info();
            match instance.dropped_data[data.index()] {
                true => &[],
                false => &info.wasm.file()[info.data[data.index()].range.clone()],
            }
        }
        let own = &self.instances[instance as usize];
        let mut memory = self.memories[own.memories[memory as usize] as usize];
        // SAFETY: V1, V5.
        let to = StoreInner::memory_range(unsafe { memory.as_ref() }, to, len)?;
        let end = from.checked_add(len).filter(|&end| end <= segment(own, data).len() as u64);
        let from = from as usize..end.ok_or(Trap::MemoryOutOfBounds)? as usize;
        self.in_pieces(from.len(), PIECE_BYTES, |store, part| {
            let bytes = &segment(&store.instances[instance as usize], data)[from.clone()];
            // SAFETY: V1, V5.
            unsafe { memory.as_mut() }.write(to.start + part.start, &bytes[part]);
        })
    }

    /// `table.init`: references of an element segment into a table. All or nothing, but for the deadline.
    pub(crate) fn table_init(
        &mut self,
        instance: u32,
        table: u32,
        elem: ElemIdx,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let data = &self.instances[instance as usize];
        let mut table = self.tables[data.tables[table as usize] as usize];
        // SAFETY: V1, V5.
        let to = unsafe { table.as_ref() }.range(to, len)?;
        let count = data.elem_len(elem.0) as u64;
        from.checked_add(len).filter(|&end| end <= count).ok_or(Trap::TableOutOfBounds)?;
        self.in_pieces(to.len(), PIECE_ELEMS, |store, part| {
            let data = &store.instances[instance as usize];
            // SAFETY: V1, V5; the range was checked.
            let places =
                &mut unsafe { table.as_mut() }.elements_mut()[to.start + part.start..to.start + part.end];
            for (place, from) in places.iter_mut().zip(from as u32 + part.start as u32..) {
                *place = data.elem(elem.0, from);
            }
        })
    }
}
