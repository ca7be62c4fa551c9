//! Translation of a function body to threaded code, one pass over its operators.
//!
//! The operand stack is kept as a list of where its values are: in their own slot, still in a local, or constant. So
//! `local.get` and constants write nothing until an instruction needs them. Each value's own slot is its height on the stack
//! behind the frame's header; at labels all values below are in their own slots or constant, so all ways to a label agree.
//!
//! The body was validated. What would be impossible after that is an error here all the same, never a panic.

use super::code::{Code, CodeTable, FuncEntry, Options, Origin, Writer};
use super::control::{Control, Fixup};
use super::emit::{Caches, Inst, Last, Register, Source};
use super::exception::{Handler, Try};
use super::far::Far;
use super::flow::{Fuel, GlobalSet, HEADER_SLOTS, Zero};
use super::operand::{Acc, Pinned, Slot};
use super::rows::{self, Shape, Ty, shape};
use super::state::{A, B, D};
use super::survey::Locals;
use super::{bulk, call, flow, wide};
use crate::error::{Error, Result};
use crate::module::fuel::FuelPlan;
use crate::module::{FuncIdx, ModuleInfo, TypeIdx};
use crate::ops::Op;
use crate::types::{FuncType, ValType};
use crate::vm::{VmFunc, VmGlobal, VmImport, VmMemory, VmTable};
use alloc::format;
use alloc::vec::Vec;
use wasmparser::{MemArg, MemArgTarget, Operator};

/// Where a value of the operand stack is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In its own slot.
    Own,
    /// In this local still; the next lower entry that is in the same local, or [`NONE`].
    Local(u16, u32),
    /// Nowhere: a constant.
    Const(u64),
}

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// The state of a translation.
pub(super) struct Translator<'a> {
    pub(super) table: &'a CodeTable,
    pub(super) info: &'a ModuleInfo,
    pub(super) options: &'a Options,
    /// The function's type.
    pub(super) ty: FuncType,
    pub(super) out: Writer,
    /// Operators by instruction, when somebody asks.
    pub(super) origins: Option<&'a mut Vec<Origin>>,
    /// Offset of the operator that is being translated.
    pub(super) offset: u32,
    /// The operand stack, an entry for each slot: a v128 has two, in adjacent places or both constant.
    pub(super) stack: Vec<Place>,
    /// Entries that are upper halves of a v128, ascending.
    uppers: Vec<u32>,
    /// For each slot of a local, the highest entry of the stack that is still in it.
    pending: Vec<u32>,
    /// No entry below this one is in a local.
    settled: usize,
    pub(super) controls: Vec<Control>,
    pub(super) fixups: Vec<Fixup>,
    /// Blocks that catch whose bodies are open.
    pub(super) tries: Vec<Try>,
    /// Catch clauses of the bodies that have ended, so innermost first.
    pub(super) handlers: Vec<Handler>,
    /// Can the next operator be reached?
    pub(super) live: bool,
    /// Blocks that began where nothing can be reached.
    pub(super) dead_blocks: u32,
    /// Slot of the frame's header.
    pub(super) header: u16,
    /// Most slots that the frame needs.
    frame: u32,
    pub(super) caches: Caches,
    pub(super) last: Option<Last>,
    /// The one right before it; means nothing when there is no last.
    pub(super) before_last: Option<Last>,
    /// The slot of the pinned local.
    pub(super) l0: Option<u16>,
    locals: Locals,
    /// Most cells that the code may take.
    room: usize,
}

/// Translates an own function; with `origins`, notes where its instructions came from.
pub(super) fn translate(table: &CodeTable, own: usize, origins: Option<&mut Vec<Origin>>) -> Result<Code> {
    let info = table.info();
    let body = &info.bodies[own];
    let bytes = info.wasm.file().get(body.range.clone()).unwrap_or_default();
    let reader = wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(bytes, body.range.start as u64));
    let ty = info.func_type(FuncIdx(info.imported_funcs + own as u32)).clone();
    let locals = table.locals(own);
    let header = u16::try_from(locals).ok().filter(|header| *header < u16::MAX - HEADER_SLOTS as u16);
    let Some(header) = header else { return Err(too_large()) };
    let origins_wanted = origins.is_some();
    let mut translator = Translator {
        table,
        info,
        options: table.options(),
        out: Writer::default(),
        origins,
        offset: body.range.start as u32,
        stack: Vec::new(),
        uppers: Vec::new(),
        pending: alloc::vec![NONE; locals as usize],
        settled: 0,
        controls: Vec::new(),
        fixups: Vec::new(),
        tries: Vec::new(),
        handlers: Vec::new(),
        live: true,
        dead_blocks: 0,
        header,
        frame: (locals + HEADER_SLOTS).max(ty.call_slots() as u32),
        caches: Caches::default(),
        last: None,
        before_last: None,
        l0: None,
        locals: Locals::default(),
        // What was translated once is translated again to learn where its instructions came from.
        room: if origins_wanted { usize::MAX } else { table.room() },
        ty,
    };
    let survey = super::survey::survey(&reader, &translator.ty, locals)?;
    translator.l0 = survey.most_used.filter(|_| table.options().pinned_local);
    translator.locals = survey.locals;
    translator.prologue(&survey.unset);
    let mut charges = Vec::new();
    if table.options().fuel {
        charges = FuelPlan::new(info, body)?.charges().to_vec();
    }
    let mut charges = charges.into_iter().peekable();
    let mut ops = reader.get_operators_reader()?;
    while !ops.eof() {
        let (op, offset) = ops.read_with_offset()?;
        let offset = offset as u32;
        translator.offset = offset;
        while let Some(charge) = charges.next_if(|charge| charge.offset <= offset) {
            if translator.live && charge.offset == offset {
                let at = translator.exec::<Fuel>(16);
                translator.out.set(at, A, charge.cost);
            }
        }
        translator.operator(&op)?;
        translator.check_room()?;
    }
    let (frame, l0) = (translator.frame, translator.l0);
    let handlers = translator.handlers.into();
    Ok(Code { cells: translator.out.finish(), handlers, frame, l0: l0.unwrap_or(0).into() })
}

/// Slot numbers have 16 bits: a frame cannot be larger. Validation allows more only to functions that no compiler makes.
fn too_large() -> Error {
    Error::exhausted(
        "a function needs more than 65,535 slots for its locals and operands, which the interpreter does not offer",
    )
}

impl Translator<'_> {
    /// Does the code still fit?
    pub(super) fn check_room(&self) -> Result<()> {
        match self.out.position() as usize > self.room {
            true => Err(Error::exhausted(
                "the functions of this module grow out of proportion when they are translated: branches or calls move \
                 thousands of operands",
            )),
            false => Ok(()),
        }
    }
}

/// What validation has excluded.
pub(super) fn impossible(what: &str) -> Error {
    Error::invalid(format!("the interpreter met {what}, which validation should have refused"))
}

impl Translator<'_> {
    fn prologue(&mut self, unset: &[(u16, u32)]) {
        for &(first, count) in unset {
            let at = self.exec::<Zero>(16);
            self.out.set(at, D, first);
            self.out.set(at, B, count);
        }
        let cleared = |l0: &u16| {
            unset.iter().any(|(first, count)| l0.checked_sub(*first).is_some_and(|at| u32::from(at) < *count))
        };
        if let Some(l0) = self.l0.filter(cleared) {
            let at = self.exec::<super::arith::Pin>(16);
            self.out.set(at, A, l0);
        }
        self.epoch();
        self.controls.push(Control::function(&self.ty));
    }

    /// Looks at the deadline, if the embedder wants that.
    pub(super) fn epoch(&mut self) {
        if self.options.epoch {
            self.exec::<flow::Epoch>(8);
        }
    }

    // ---- the operand stack ------------------------------------------------------------------------------------------

    /// The own slot of the entry at `height`.
    pub(super) fn slot(&self, height: usize) -> u16 {
        // `push` keeps heights below what slot numbers can say.
        (usize::from(self.header) + HEADER_SLOTS as usize + height) as u16
    }

    /// Is it an operand's slot, not a local's?
    pub(super) fn is_temporary(&self, slot: u16) -> bool {
        slot > self.header
    }

    /// Makes sure that the frame has slots up to the entry before `height`.
    pub(super) fn reserve(&mut self, height: usize) -> Result<()> {
        let end = usize::from(self.header) + HEADER_SLOTS as usize + height;
        if end > usize::from(u16::MAX) {
            return Err(too_large());
        }
        self.frame = self.frame.max(end as u32);
        Ok(())
    }

    fn push_place(&mut self, place: Place) -> Result<u16> {
        let slot = self.stack.len();
        self.reserve(slot + 1)?;
        self.stack.push(place);
        Ok(self.slot(slot))
    }

    /// A value in its own slot.
    pub(super) fn push(&mut self) -> Result<u16> {
        self.push_place(Place::Own)
    }

    pub(super) fn push_const(&mut self, bits: u64) -> Result<()> {
        self.push_place(Place::Const(bits)).map(drop)
    }

    /// Two entries for a v128: both from `push_half`.
    fn push_halves(&mut self, mut push_half: impl FnMut(&mut Self, u32) -> Result<()>) -> Result<()> {
        push_half(self, 0)?;
        push_half(self, 1)?;
        self.uppers.push(self.stack.len() as u32 - 1);
        Ok(())
    }

    /// A v128 in its own two slots; the first.
    pub(super) fn push_wide(&mut self) -> Result<u16> {
        let slot = self.slot(self.stack.len());
        self.push_halves(|this, _| this.push().map(drop))?;
        Ok(slot)
    }

    /// A constant v128.
    pub(super) fn push_wide_const(&mut self, bits: u128) -> Result<()> {
        self.push_halves(|this, half| this.push_const((bits >> (64 * half)) as u64))
    }

    /// Values of these types in their own slots.
    pub(super) fn push_values(&mut self, types: &[ValType]) -> Result<()> {
        for ty in types {
            match ty {
                ValType::V128 => self.push_wide()?,
                _ => self.push()?,
            };
        }
        Ok(())
    }

    fn push_local(&mut self, local: u32) -> Result<()> {
        let slot = self.locals.slot(local);
        if self.locals.is_wide(local) {
            return self.push_halves(|this, half| this.push_local_slot(slot + half));
        }
        self.push_local_slot(slot)
    }

    pub(super) fn push_local_slot(&mut self, slot: u32) -> Result<()> {
        let entry = self.stack.len() as u32;
        let pending = self.pending.get_mut(slot as usize).ok_or_else(|| impossible("an unknown local"))?;
        let below = core::mem::replace(pending, entry);
        self.push_place(Place::Local(slot as u16, below)).map(drop)
    }

    /// Is the top value a v128?
    pub(super) fn is_wide(&self) -> bool {
        self.uppers.last().is_some_and(|upper| *upper as usize + 1 == self.stack.len())
    }

    /// Takes a v128 off: its lower and upper half.
    pub(super) fn pop_wide(&mut self) -> Result<(Source, Source)> {
        let upper = self.pop()?;
        Ok((self.pop()?, upper))
    }

    /// Takes the top entry off.
    pub(super) fn pop(&mut self) -> Result<Source> {
        let place = self.stack.pop().ok_or_else(|| impossible("an empty stack"))?;
        self.settled = self.settled.min(self.stack.len());
        self.uppers.pop_if(|upper| *upper as usize == self.stack.len());
        let own = self.slot(self.stack.len());
        Ok(match place {
            Place::Own => Source::Slot(own),
            Place::Local(local, below) => {
                self.pending[usize::from(local)] = below;
                Source::Slot(local)
            }
            Place::Const(bits) => Source::Const(bits, own),
        })
    }

    /// Takes entries off until `height` are left.
    pub(super) fn truncate(&mut self, height: usize) {
        while self.stack.len() > height && self.pop().is_ok() {}
    }

    /// Where the entry at `height` is.
    pub(super) fn source(&self, height: usize) -> Source {
        match self.stack[height] {
            Place::Own => Source::Slot(self.slot(height)),
            Place::Local(local, _) => Source::Slot(local),
            Place::Const(bits) => Source::Const(bits, self.slot(height)),
        }
    }

    /// Brings the entries from `height` on into their own slots; constants as well if asked.
    pub(super) fn settle(&mut self, height: usize, constants: bool) {
        for entry in (height..self.stack.len()).rev() {
            match self.stack[entry] {
                Place::Own => {}
                Place::Const(_) if !constants => {}
                Place::Const(_) => {
                    self.emit_copy(self.source(entry), self.slot(entry), false);
                    self.stack[entry] = Place::Own;
                }
                Place::Local(local, below) => {
                    // All higher entries are settled, so this is the highest in that local.
                    self.emit_copy(Source::Slot(local), self.slot(entry), false);
                    self.pending[usize::from(local)] = below;
                    self.stack[entry] = Place::Own;
                }
            }
        }
    }

    /// Before a label: no entry stays in a local, and the top `params` entries are in their own slots.
    pub(super) fn settle_all(&mut self, params: usize) {
        let len = self.stack.len();
        self.settle(self.settled.min(len), false);
        self.settle(len - params.min(len), true);
        self.settled = len;
    }

    /// Brings every entry that is still in a local's slot into its own, since the local gets another value.
    fn preserve(&mut self, local: usize) {
        while let Some(&entry) = self.pending.get(local).filter(|entry| **entry != NONE) {
            let Place::Local(_, below) = self.stack[entry as usize] else { return };
            self.emit_copy(Source::Slot(local as u16), self.slot(entry as usize), false);
            self.pending[local] = below;
            self.stack[entry as usize] = Place::Own;
        }
    }

    fn set_local(&mut self, local: u32) -> Result<()> {
        if self.locals.is_wide(local) {
            return self.set_wide_local(self.locals.slot(local) as u16);
        }
        let slot = self.locals.slot(local) as u16;
        let index = usize::from(slot);
        let source = self.pop()?;
        let pending = *self.pending.get(index).ok_or_else(|| impossible("an unknown local"))? != NONE;
        let dying = matches!(source, Source::Slot(from) if self.is_temporary(from));
        if pending {
            if source == Source::Slot(slot) {
                return Ok(());
            }
            // The last instruction may be written again behind the copies, which do not touch its operands.
            self.preserve_before_last(index, 1, source, dying);
        }
        self.emit_copy(source, slot, dying);
        Ok(())
    }

    /// Sets the v128 in the slots from `slot` on.
    fn set_wide_local(&mut self, slot: u16) -> Result<()> {
        let index = usize::from(slot);
        let (lower, upper) = self.pop_wide()?;
        let dying = matches!(lower, Source::Slot(from) if self.is_temporary(from));
        if self.pending[index] != NONE {
            if lower == Source::Slot(slot) {
                return Ok(());
            }
            self.preserve_before_last(index, 2, lower, dying);
        }
        self.emit_wide_copy(lower, upper, slot, dying);
        Ok(())
    }

    /// Preserves what is in `slots` slots from `local` on.
    fn preserve_before_last(&mut self, local: usize, slots: usize, source: Source, dying: bool) {
        let again = match source {
            Source::Slot(from) if dying => self.take_back(from).map(|last| (last, from)),
            _ => None,
        };
        (local..local + slots).for_each(|slot| self.preserve(slot));
        if let Some((last, from)) = again {
            self.emit_again(last, from);
        }
    }

    // ---- operators --------------------------------------------------------------------------------------------------

    fn operator(&mut self, operator: &Operator<'_>) -> Result<()> {
        let op = Op::of(operator).ok_or_else(|| impossible("an operator of another proposal"))?;
        let catches = matches!(op, Op::Catch | Op::CatchAll | Op::Delegate) && self.dead_blocks == 0;
        if !self.live && !catches {
            return self.dead_operator(op);
        }
        match shape(op) {
            // The bits in the slot are the result's already.
            Shape::Unary(..) if keeps_bits(op) => {}
            Shape::Unary(..) => {
                let a = self.pop()?;
                let slot = self.push()?;
                self.emit(Inst::Unary(op, a), slot);
            }
            Shape::Binary(..) | Shape::Compare(_) => {
                let (b, a) = (self.pop()?, self.pop()?);
                let slot = self.push()?;
                self.emit(Inst::Binary(op, a, b), slot);
            }
            Shape::Test(ty) => {
                let a = self.pop()?;
                self.is_zero(a, ty)?;
            }
            Shape::Load(_) | Shape::Store(_) if let Some(far) = self.far_of(operator)? => match shape(op) {
                Shape::Load(_) => self.load_far(op, far)?,
                _ => self.store_far(op, far)?,
            },
            Shape::Load(_) => {
                let (offset, memory) = self.memory_immediate(operator)?;
                let a = self.pop()?;
                let slot = self.push()?;
                let sum = if memory.is_none() { self.sum(a) } else { None };
                let inst = match sum {
                    Some((a, b)) => Inst::LoadSum(op, a, b, offset),
                    None => Inst::Load(op, a, offset, memory),
                };
                self.emit(inst, slot);
            }
            Shape::Store(_) => {
                let (offset, memory) = self.memory_immediate(operator)?;
                let (value, address) = (self.pop()?, self.pop()?);
                self.emit_store(op, address, value, offset, memory);
            }
            Shape::Custom => self.custom(operator)?,
            #[cfg(target_has_atomic = "64")]
            Shape::Vector if super::atomic::is_atomic(op) => self.atomic(op, operator)?,
            Shape::Vector => self.vector(op, operator)?,
        }
        Ok(())
    }

    /// `a == 0`, or the opposite of the comparison that made `a`.
    fn is_zero(&mut self, a: Source, ty: Ty) -> Result<()> {
        let zero = Source::Const(0, self.slot(self.stack.len() + 1));
        self.reserve(self.stack.len() + 2)?;
        let slot = self.push()?;
        let op = if ty == Ty::i64 { Op::I64Eq } else { Op::I32Eq };
        let inst = match self.negated_last(a) {
            Some((op, a, b)) => Inst::Binary(op, a, b),
            None => Inst::Binary(op, a, zero),
        };
        self.emit(inst, slot);
        Ok(())
    }

    fn negated_last(&mut self, a: Source) -> Option<(Op, Source, Source)> {
        let Some(Inst::Binary(op, ..)) = self.last_inst() else { return None };
        rows::negated(op)?;
        match self.condition(a) {
            super::emit::Condition::Compare(op, a, b) => Some((rows::negated(op)?, a, b)),
            super::emit::Condition::Test(_) => None,
        }
    }

    fn far_of(&self, operator: &Operator<'_>) -> Result<Option<Far>> {
        rows::memarg(operator).map_or(Ok(None), |memarg| self.far(&memarg))
    }

    fn memory_immediate(&self, operator: &Operator<'_>) -> Result<(u32, Option<u32>)> {
        let memarg = rows::memarg(operator).ok_or_else(|| impossible("a load without memory"))?;
        self.memarg(memarg)
    }

    /// The offset of a memory immediate, and where the instance keeps the pointer to a memory that is not 0.
    pub(super) fn memarg(&self, memarg: MemArg) -> Result<(u32, Option<u32>)> {
        let MemArgTarget::Memory(memory) = memarg.target else { return Err(impossible("an array access")) };
        let ty = self.info.memories.get(memory as usize).ok_or_else(|| impossible("an unknown memory"))?;
        let (Ok(offset), false) = (u32::try_from(memarg.offset), ty.memory64) else {
            return Err(impossible("a 64-bit memory"));
        };
        Ok((offset, (memory != 0).then(|| self.memory_entry(memory))))
    }

    pub(super) fn memory_entry(&self, memory: u32) -> u32 {
        self.info.layout.memories + memory * size_of::<*mut VmMemory>() as u32
    }

    fn table_entry(&self, table: u32) -> u32 {
        self.info.layout.tables + table * size_of::<*mut VmTable>() as u32
    }

    fn import_entry(&self, func: u32) -> u32 {
        self.info.layout.imports + func * size_of::<VmImport>() as u32
    }

    fn custom(&mut self, operator: &Operator<'_>) -> Result<()> {
        match *operator {
            Operator::Unreachable => {
                self.exec::<flow::Unreachable>(8);
                self.die();
            }
            Operator::Nop => {}
            Operator::Block { blockty } => self.block(blockty)?,
            Operator::Loop { blockty } => self.loop_(blockty)?,
            Operator::If { blockty } => self.if_(blockty)?,
            Operator::Else => self.else_()?,
            Operator::End => self.end()?,
            Operator::Br { relative_depth } => self.br(relative_depth)?,
            Operator::BrIf { relative_depth } => self.br_if(relative_depth)?,
            Operator::BrTable { ref targets } => self.br_table(targets)?,
            Operator::Return => self.return_()?,
            Operator::Call { function_index } => self.call(function_index, false)?,
            Operator::ReturnCall { function_index } => self.call(function_index, true)?,
            Operator::CallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, false)?;
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, true)?;
            }
            Operator::Drop if self.is_wide() => drop(self.pop_wide()?),
            Operator::TryTable { ref try_table } => self.try_table(try_table)?,
            Operator::Throw { tag_index } => self.throw(tag_index)?,
            Operator::ThrowRef => self.throw_ref()?,
            Operator::Try { blockty } => self.try_(blockty)?,
            Operator::Catch { tag_index } => self.catch(Some(tag_index))?,
            Operator::CatchAll => self.catch(None)?,
            Operator::Rethrow { relative_depth } => self.rethrow(relative_depth)?,
            Operator::Delegate { relative_depth } => self.delegate(relative_depth)?,
            Operator::Drop => drop(self.pop()?),
            Operator::Select | Operator::TypedSelect { .. } => self.select()?,
            Operator::LocalGet { local_index } => self.push_local(local_index)?,
            Operator::LocalSet { local_index } => self.set_local(local_index)?,
            Operator::LocalTee { local_index } => {
                self.set_local(local_index)?;
                self.push_local(local_index)?;
            }
            Operator::GlobalGet { global_index } => {
                let (own, offset) = self.global(global_index);
                if self.info.globals[global_index as usize].content == ValType::V128 {
                    return self.global_get_wide(own, offset);
                }
                let slot = self.push()?;
                self.emit(Inst::Global(own, offset), slot);
            }
            Operator::GlobalSet { global_index } => self.global_set(global_index)?,
            Operator::I32Const { value } => self.push_const((value as u32).into())?,
            Operator::I64Const { value } => self.push_const(value as u64)?,
            Operator::F32Const { value } => self.push_const(value.bits().into())?,
            Operator::F64Const { value } => self.push_const(value.bits())?,
            Operator::RefNull { .. } => self.push_const(0)?,
            Operator::RefIsNull => {
                let a = self.pop()?;
                let zero = Source::Const(0, self.slot(self.stack.len() + 1));
                self.reserve(self.stack.len() + 2)?;
                let slot = self.push()?;
                self.emit(Inst::Binary(Op::I64Eq, a, zero), slot);
            }
            Operator::RefFunc { function_index } => self.ref_func(function_index)?,
            Operator::TableGet { table } => {
                self.bulk::<bulk::TableGet>(1, 1, self.table_entry(table), None)?
            }
            Operator::TableSet { table } => {
                self.bulk::<bulk::TableSet>(2, 0, self.table_entry(table), None)?
            }
            Operator::TableSize { table } => {
                self.bulk::<bulk::TableSize>(0, 1, self.table_entry(table), None)?
            }
            Operator::TableGrow { table } => match self.info.tables[table as usize].ty.table64 {
                true => self.bulk::<bulk::TableGrow<u64>>(2, 1, table, None)?,
                false => self.bulk::<bulk::TableGrow<u32>>(2, 1, table, None)?,
            },
            Operator::TableFill { table } => self.bulk::<bulk::TableFill>(3, 0, table, None)?,
            Operator::TableCopy { dst_table, src_table } => {
                self.bulk::<bulk::TableCopy>(3, 0, dst_table, Some(src_table))?;
            }
            Operator::TableInit { elem_index, table } => {
                self.bulk::<bulk::TableInit>(3, 0, table, Some(elem_index))?;
            }
            Operator::ElemDrop { elem_index } => self.bulk::<bulk::ElemDrop>(0, 0, elem_index, None)?,
            Operator::MemorySize { mem } => {
                let shift = self.info.memories[mem as usize].page_size_log2;
                self.bulk::<bulk::MemorySize>(0, 1, self.memory_entry(mem), Some(shift.into()))?;
            }
            Operator::MemoryGrow { mem } => match self.info.memories[mem as usize].memory64 {
                true => self.bulk::<bulk::MemoryGrow<u64>>(1, 1, mem, None)?,
                false => self.bulk::<bulk::MemoryGrow<u32>>(1, 1, mem, None)?,
            },
            Operator::MemoryFill { mem } => self.bulk::<bulk::MemoryFill>(3, 0, mem, None)?,
            Operator::MemoryCopy { dst_mem, src_mem } => {
                self.bulk::<bulk::MemoryCopy>(3, 0, dst_mem, Some(src_mem))?;
            }
            Operator::MemoryInit { data_index, mem } => {
                self.bulk::<bulk::MemoryInit>(3, 0, mem, Some(data_index))?;
            }
            Operator::DataDrop { data_index } => self.bulk::<bulk::DataDrop>(0, 0, data_index, None)?,
            Operator::ContNew { cont_type_index } => self.cont_new(cont_type_index)?,
            Operator::ContBind { argument_index, result_index } => {
                self.cont_bind(argument_index, result_index)?
            }
            Operator::Suspend { tag_index } => self.suspend(tag_index)?,
            Operator::Switch { cont_type_index, tag_index } => self.switch(cont_type_index, tag_index)?,
            Operator::Resume { cont_type_index, ref resume_table } => {
                self.resume(cont_type_index, resume_table)?;
            }
            Operator::ResumeThrow { cont_type_index, tag_index, ref resume_table } => {
                self.resume_throw(cont_type_index, tag_index, resume_table)?;
            }
            Operator::ResumeThrowRef { cont_type_index, ref resume_table } => {
                self.resume_throw_ref(cont_type_index, resume_table)?;
            }
            Operator::I64Add128 => self.bulk::<wide::Add128>(4, 2, 0, None)?,
            Operator::I64Sub128 => self.bulk::<wide::Sub128>(4, 2, 0, None)?,
            Operator::I64MulWideS => self.bulk::<wide::MulWideS>(2, 2, 0, None)?,
            Operator::I64MulWideU => self.bulk::<wide::MulWideU>(2, 2, 0, None)?,
            _ => self.gc(operator)?,
        }
        Ok(())
    }

    /// An operation done by bulk.rs: operands in a row, the result in the first one's place.
    pub(super) fn bulk<E: super::state::Exec>(
        &mut self,
        operands: usize,
        results: usize,
        first: u32,
        second: Option<u32>,
    ) -> Result<()> {
        let size = if second.is_some() { 24 } else { 16 };
        debug_assert!(E::SIZE == 0 || E::SIZE == size);
        let at = self.row(operands, results, super::dispatch::handler::<E>(), size)?;
        self.out.set(at, bulk::FIRST, first);
        if let Some(second) = second {
            self.out.set(at, bulk::SECOND, second);
        }
        Ok(())
    }

    /// Begins an instruction whose operands lie in a row from the slot at [`A`] on, with the results in the same place.
    pub(super) fn row(
        &mut self,
        operands: usize,
        results: usize,
        handler: super::dispatch::Handler,
        size: usize,
    ) -> Result<u32> {
        let height = self.stack.len().checked_sub(operands).ok_or_else(|| impossible("an empty stack"))?;
        self.settle(height, true);
        let slot = self.slot(height);
        self.truncate(height);
        let at = self.instruction(handler, size);
        self.out.set(at, A, slot);
        for _ in 0..results {
            let slot = self.push()?;
            self.caches.forget(slot);
        }
        Ok(at)
    }

    fn select(&mut self) -> Result<()> {
        let c = self.pop()?;
        if self.is_wide() {
            return self.select_wide(c);
        }
        let (b, a) = (self.pop()?, self.pop()?);
        let slot = self.push()?;
        if let Source::Const(bits, _) = c {
            let chosen = if bits as u32 != 0 { a } else { b };
            let dying = matches!(chosen, Source::Slot(from) if self.is_temporary(from));
            self.emit_copy(chosen, slot, dying);
            return Ok(());
        }
        let (a, b, c) = (self.in_slot(a), self.in_slot(b), self.in_slot(c));
        self.emit(Inst::Select(a, b, c), slot);
        Ok(())
    }

    /// Where a global is: in the instance itself or behind a pointer there, and the offset of either.
    fn global(&self, global: u32) -> (bool, u32) {
        let layout = &self.info.layout;
        match global.checked_sub(self.info.imported_globals) {
            Some(own) => (true, layout.own_globals + own * size_of::<VmGlobal>() as u32),
            None => (false, layout.globals + global * size_of::<*mut VmGlobal>() as u32),
        }
    }

    fn global_set(&mut self, global: u32) -> Result<()> {
        use super::dispatch::handler;
        use super::operand::Class;
        let (own, offset) = self.global(global);
        if self.is_wide() {
            return self.global_set_wide(own, offset);
        }
        let source = self.pop()?;
        let source = Source::Slot(self.in_slot(source));
        let handler = match (self.class(source, Ty::i64), own) {
            (Class::A, true) => handler::<GlobalSet<Acc, true>>(),
            (Class::L, true) => handler::<GlobalSet<Pinned, true>>(),
            (_, true) => handler::<GlobalSet<Slot, true>>(),
            (_, false) => handler::<GlobalSet<Slot, false>>(),
        };
        let at = self.instruction(handler, 16);
        self.set_source(at, A, source);
        self.out.set(at, B, offset);
        Ok(())
    }

    fn ref_func(&mut self, func: u32) -> Result<()> {
        let info = &self.info.funcs[func as usize];
        match (func < self.info.imported_funcs, info.escape) {
            (true, _) => self.bulk::<bulk::RefImportedFunc>(0, 1, self.import_entry(func), None),
            (false, Some(escape)) => {
                let offset = self.info.layout.funcs + escape.0 * size_of::<VmFunc>() as u32;
                self.bulk::<bulk::RefOwnFunc>(0, 1, offset, None)
            }
            (false, None) => Err(impossible("a reference to an undeclared function")),
        }
    }

    // ---- calls ------------------------------------------------------------------------------------------------------

    /// Arguments into their own slots, off the stack; where they begin.
    pub(super) fn arguments(&mut self, ty: &FuncType) -> Result<u16> {
        let height =
            self.stack.len().checked_sub(ty.param_slots()).ok_or_else(|| impossible("an empty stack"))?;
        self.settle(height, true);
        self.reserve(height + ty.call_slots())?;
        self.truncate(height);
        Ok(self.slot(height))
    }

    /// After a call: its results, of which a single one is in its accumulator, too.
    fn results(&mut self, ty: &FuncType) -> Result<()> {
        self.label();
        self.push_values(ty.results())?;
        if ty.result_slots() == 1 {
            let slot = self.slot(self.stack.len() - 1);
            self.caches.write(register(ty.results()[0]), slot);
        }
        Ok(())
    }

    fn call(&mut self, func: u32, tail: bool) -> Result<()> {
        let ty = self.info.func_type(FuncIdx(func)).clone();
        let args = self.arguments(&ty)?;
        let own = self.info.own_func(FuncIdx(func));
        let entry =
            own.map(|_| core::ptr::from_ref::<FuncEntry>(self.table.entry_ref(func)).expose_provenance());
        let at = match (own, entry, tail) {
            (Some(own), _, _) if self.table.native(own).is_some() => {
                let at = if tail {
                    self.exec::<call::ReturnCallNative>(32)
                } else {
                    self.exec::<call::CallNative>(24)
                };
                self.out.set(at, call::TARGET, own as u32);
                at
            }
            (Some(_), Some(entry), _) => {
                let at = if tail { self.exec::<call::ReturnCall>(32) } else { self.exec::<call::Call>(24) };
                self.out.set(at, call::TARGET, entry);
                at
            }
            _ => {
                let at = if tail {
                    self.exec::<call::ReturnCallImport>(32)
                } else {
                    self.exec::<call::CallImport>(24)
                };
                self.out.set(at, call::TARGET, self.import_entry(func));
                at
            }
        };
        self.finish_call(at, args, &ty, tail, call::L0_OF_24)
    }

    fn call_indirect(&mut self, ty: u32, table: u32, tail: bool) -> Result<()> {
        let vm_type = self.table.vm_type(TypeIdx(ty)).expose_provenance();
        let ty = self.info.signature(TypeIdx(ty)).clone();
        let index = self.pop()?;
        let index = self.in_slot(index);
        let args = self.arguments(&ty)?;
        let at = if tail {
            self.exec::<call::ReturnCallIndirect>(40)
        } else {
            self.exec::<call::CallIndirect>(40)
        };
        self.out.set(at, call::TYPE, vm_type);
        self.out.set(at, call::TABLE, self.table_entry(table));
        self.out.set(at, call::INDEX, index);
        self.finish_call(at, args, &ty, tail, call::L0_OF_40)
    }

    pub(super) fn finish_call(
        &mut self,
        at: u32,
        args: u16,
        ty: &FuncType,
        tail: bool,
        l0: usize,
    ) -> Result<()> {
        self.out.set(at, call::ARGS, args);
        self.out.set(at, call::PARAMS, ty.param_slots() as u16);
        self.out.set(at, call::RESULTS, ty.result_slots() as u16);
        if tail {
            self.out.set(at, call::OWN_HEADER, self.header);
            self.die();
            return Ok(());
        }
        self.out.set(at, l0, self.l0.unwrap_or(0));
        self.results(ty)
    }
}

/// Is the result's slot the same as the operand's? Short types are zero-extended in theirs.
const fn keeps_bits(op: Op) -> bool {
    matches!(
        op,
        Op::I32ReinterpretF32
            | Op::I64ReinterpretF64
            | Op::F32ReinterpretI32
            | Op::F64ReinterpretI64
            | Op::I64ExtendI32U
    )
}

/// The accumulator of a type.
pub(super) fn register(ty: ValType) -> Register {
    match ty {
        ValType::F32 => Register::F32,
        ValType::F64 => Register::F64,
        _ => Register::Integer,
    }
}
