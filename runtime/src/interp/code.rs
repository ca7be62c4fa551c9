//! Translated code: how instructions are written, and the table of a module's functions, each translated when first called.
//!
//! The table belongs to the module and is shared by its instances and by threads; the code lives as long as it does.

use super::call;
use super::dispatch::Handler;
use super::exception;
use super::flow::HEADER_SLOTS;
use super::translate::translate;
use crate::backend::{NativeCode, NativeFunc};
use crate::config::Config;
use crate::error::Result;
use crate::module::{FuncIdx, ModuleInfo, TypeIdx};
use crate::registry::{DefinedType, TypeRegistry};
use crate::sync::Mutex;
use crate::vm::VmType;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// What code is translated to. The meters and NaNs are the embedder's choice and change what a guest can see; the rest is
/// about speed only, and switched off by tests to compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Charge fuel at block entries.
    pub(crate) fuel: bool,
    /// Check the deadline at function entries and loop heads.
    pub(crate) epoch: bool,
    /// Replace NaNs that arithmetic makes by the canonical one.
    pub(crate) canonicalize_nans: bool,
    /// Read results from the accumulators where they are still there.
    pub(crate) accumulators: bool,
    /// Keep the most used integer local of a function in a register.
    pub(crate) pinned_local: bool,
    /// Merge instructions: comparison and branch, result and `local.set`.
    pub(crate) fusion: bool,
}

impl Options {
    /// The options of a configuration.
    pub(crate) fn new(config: &Config) -> Options {
        let options = Options {
            fuel: config.fuel,
            epoch: config.epoch,
            canonicalize_nans: config.canonicalize_nans,
            accumulators: config.translator.accumulators,
            pinned_local: config.translator.pinned_local,
            fusion: config.translator.fusion,
        };
        #[cfg(test)]
        let options = super::tests::with_speed(options);
        options
    }
}

/// What a caller needs of a function. All slots are 8 bytes.
#[derive(Debug)]
pub(super) struct FuncEntry {
    /// First instruction; [`call::translate_ip`] until the function is translated.
    pub(super) code: AtomicPtr<u8>,
    /// Slots of the frame; before translation, as many as its locals and header take. Grows once, before `code` is set.
    pub(super) frame: AtomicU32,
    /// Slots of the locals, behind which the header lies.
    pub(super) header: u32,
    /// Slot of the pinned local, 0 if there is none.
    pub(super) l0: AtomicU32,
}

/// A translated function.
#[derive(Debug)]
pub(super) struct Code {
    /// The instructions.
    pub(super) cells: Vec<u64>,
    /// Catch clauses, innermost first.
    pub(super) handlers: Box<[exception::Handler]>,
    /// Slots of the frame.
    pub(super) frame: u32,
    /// Slot of the pinned local.
    pub(super) l0: u32,
}

/// Where an instruction begins, in cells, and the operator it came from, as an offset in the file.
pub(super) type Origin = (u32, u32);

/// Code that exists, by address.
type Blocks = BTreeMap<usize, Block>;

/// Code of an own function.
struct Block {
    own: usize,
    cells: Box<[u64]>,
    handlers: Box<[exception::Handler]>,
}

/// The functions of one module.
pub(crate) struct CodeTable {
    info: Arc<ModuleInfo>,
    options: Options,
    native: Option<Arc<dyn NativeCode>>,
    entries: Box<[FuncEntry]>,
    /// The module's types, which live as long as the engine.
    types: Box<[Arc<DefinedType>]>,
    /// Imported functions, which come first in the index space.
    imported: u32,
    blocks: Mutex<Blocks>,
    /// Cells of code that translation may still make.
    room: AtomicUsize,
}

/// Bytes of code that any module may be translated to, and how many more for each byte of its bodies. What compilers make takes
/// about ten; branches that move a thousand operands, for four bytes of wasm, would take four thousand.
const ROOM: usize = 16 << 20;
const ROOM_PER_BYTE: usize = 64;

impl CodeTable {
    /// The table of a module; nothing is translated yet.
    pub(crate) fn new(
        info: &Arc<ModuleInfo>,
        types: &TypeRegistry,
        config: &Config,
        native: Option<Arc<dyn NativeCode>>,
    ) -> CodeTable {
        CodeTable::with_options(info, types, native, Options::new(config))
    }

    /// The same with options of one's own.
    pub(crate) fn with_options(
        info: &Arc<ModuleInfo>,
        types: &TypeRegistry,
        native: Option<Arc<dyn NativeCode>>,
        options: Options,
    ) -> CodeTable {
        let entries = (0..info.bodies.len())
            .map(|own| {
                let header = local_slots(info, own);
                FuncEntry {
                    code: AtomicPtr::new(call::translate_ip().cast_mut()),
                    frame: AtomicU32::new(header.saturating_add(HEADER_SLOTS)),
                    header,
                    l0: AtomicU32::new(0),
                }
            })
            .collect();
        let bodies: usize = info.bodies.iter().map(|body| body.range.len()).sum();
        CodeTable {
            info: info.clone(),
            options,
            native,
            entries,
            types: info.type_ids.iter().filter_map(|&id| types.defined(id)).collect(),
            imported: info.imported_funcs,
            blocks: Mutex::new(Blocks::new()),
            room: AtomicUsize::new(
                ROOM.saturating_add(bodies.saturating_mul(ROOM_PER_BYTE)) / size_of::<u64>(),
            ),
        }
    }

    /// What instances keep of it.
    pub(crate) fn as_ptr(&self) -> *const c_void {
        core::ptr::from_ref(self).cast()
    }

    /// The module.
    pub(super) fn info(&self) -> &ModuleInfo {
        &self.info
    }

    /// A type of the module as the engine has it.
    pub(super) fn vm_type(&self, ty: TypeIdx) -> *const VmType {
        self.types[ty.index()].vm()
    }

    /// What its code is translated to.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Native code of an own function.
    pub(super) fn native(&self, own: usize) -> Option<NativeFunc> {
        self.native.as_ref()?.func(own)
    }

    /// The address of the entry of an own function, by its index in the module. Without checks, for handlers: a panic there
    /// would cost registers.
    #[inline(always)]
    pub(super) fn entry(&self, func: u32) -> *const FuncEntry {
        self.entries.as_ptr().wrapping_add(func.wrapping_sub(self.imported) as usize)
    }

    /// The entry of an own function, borrowed.
    pub(super) fn entry_ref(&self, func: u32) -> &FuncEntry {
        &self.entries[(func - self.imported) as usize]
    }

    /// Slots of the locals of an own function.
    pub(super) fn locals(&self, own: usize) -> u32 {
        self.entries[own].header
    }

    /// The own function of an entry.
    pub(super) fn own_of(&self, entry: *const FuncEntry) -> usize {
        (entry.addr() - self.entries.as_ptr().addr()) / size_of::<FuncEntry>()
    }

    /// Slots of the frame of an own function.
    pub(super) fn frame_slots(&self, own: usize) -> usize {
        self.entries[own].frame.load(Ordering::Relaxed) as usize
    }

    /// Translates an own function, once.
    pub(super) fn translate(&self, own: usize) -> Result<()> {
        let mut blocks = self.blocks.lock();
        let entry = &self.entries[own];
        if !core::ptr::eq(entry.code.load(Ordering::Acquire), call::translate_ip()) {
            return Ok(());
        }
        let code = translate(self, own, None)?;
        let (cells, handlers) = (code.cells.into_boxed_slice(), code.handlers);
        entry.frame.store(code.frame, Ordering::Relaxed);
        entry.l0.store(code.l0, Ordering::Relaxed);
        let start = cells.as_ptr();
        start.expose_provenance();
        entry.code.store(start.cast::<u8>().cast_mut(), Ordering::Release);
        blocks.insert(start.addr(), Block { own, cells, handlers });
        Ok(())
    }

    /// Cells that the translation of one more function may take.
    pub(super) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// The own function whose code an address lies in.
    pub(super) fn func_at(&self, address: usize) -> Option<usize> {
        self.with_function_at(address, |own, _, _| own)
    }

    /// What `look` makes of the own function whose code an address lies in: its number, where its code begins, its catch
    /// clauses.
    pub(super) fn with_function_at<R>(
        &self,
        address: usize,
        look: impl FnOnce(usize, usize, &[exception::Handler]) -> R,
    ) -> Option<R> {
        let blocks = self.blocks.lock();
        let (start, block) = blocks.range(..=address).next_back()?;
        let inside = address < start + size_of_val::<[u64]>(&block.cells);
        inside.then(|| look(block.own, *start, &block.handlers))
    }

    /// The operator behind an address in the code of a function, as an offset in the file. To learn
    /// it each function is translated once more, unless it is among the `known`.
    pub(crate) fn offset_of(&self, address: usize, known: &mut KnownOrigins) -> Option<u32> {
        let own = self.func_at(address)?;
        let start = self.entries[own].code.load(Ordering::Acquire).addr();
        let cell = u32::try_from(address.checked_sub(start)? / size_of::<u64>()).ok()?;
        let index = match known.0.iter().position(|(first, _)| *first == start) {
            Some(index) => index,
            None => {
                let mut origins = Vec::new();
                translate(self, own, Some(&mut origins)).ok()?;
                known.0.push((start, origins));
                known.0.len() - 1
            }
        };
        let origins = &known.0[index].1;
        let after = origins.partition_point(|&(first, _)| first <= cell);
        Some(origins[after.checked_sub(1)?].1)
    }
}

/// Of some functions, by where their code begins: the cells that operators begin at, and these
/// operators' offsets in the file.
#[derive(Debug, Default)]
pub(crate) struct KnownOrigins(Vec<(usize, Vec<Origin>)>);

impl core::fmt::Debug for CodeTable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CodeTable")
            .field("functions", &self.entries.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Slots of the parameters and other locals of an own function. The body was validated, so nothing overflows or fails; were
/// it otherwise, translation would report it.
fn local_slots(info: &ModuleInfo, own: usize) -> u32 {
    let func = FuncIdx(info.imported_funcs + own as u32);
    let mut slots = info.func_type(func).param_slots() as u32;
    let range = info.bodies[own].range.clone();
    let bytes = info.wasm.file().get(range.clone()).unwrap_or_default();
    let body = wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(bytes, range.start as u64));
    let locals = body.get_locals_reader().into_iter().flatten();
    for (count, ty) in locals.flatten() {
        let each = if ty == wasmparser::ValType::V128 { 2 } else { 1 };
        slots = slots.saturating_add(count.saturating_mul(each));
    }
    slots
}

/// Writes instructions.
#[derive(Debug, Default)]
pub(super) struct Writer {
    cells: Vec<u64>,
}

/// A number that an instruction can hold.
pub(super) trait Field: Copy {
    /// Writes it to the front of `bytes`, as the machine keeps it.
    fn put(self, bytes: &mut [u8]);
}

macro_rules! fields {
    ($($ty:ty)*) => { $(
        impl Field for $ty {
            fn put(self, bytes: &mut [u8]) {
                bytes[..size_of::<$ty>()].copy_from_slice(&self.to_ne_bytes());
            }
        }
    )* };
}
fields!(u16 u32 i32 u64 usize);

impl Writer {
    /// Cells written so far: where the next instruction begins.
    pub(super) fn position(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Begins an instruction of `size` bytes.
    pub(super) fn instruction(&mut self, handler: Handler, size: usize) -> u32 {
        let at = self.position();
        self.cells.resize(self.cells.len() + size.div_ceil(8), 0);
        let address = (handler as *const ()).expose_provenance();
        self.set(at, 0, address);
        at
    }

    /// Writes an operand at byte `offset` of the instruction at cell `at`.
    pub(super) fn set(&mut self, at: u32, offset: usize, value: impl Field) {
        let cell = &mut self.cells[at as usize + offset / 8];
        let mut bytes = cell.to_ne_bytes();
        value.put(&mut bytes[offset % 8..]);
        *cell = u64::from_ne_bytes(bytes);
    }

    /// Takes back everything from cell `at` on.
    pub(super) fn truncate(&mut self, at: u32) {
        self.cells.truncate(at as usize);
    }

    /// The code.
    pub(super) fn finish(self) -> Vec<u64> {
        self.cells
    }
}
