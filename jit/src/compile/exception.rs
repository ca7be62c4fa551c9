//! Exceptions (core specification 4.4.11): blocks that catch, and what throws.
//!
//! A block that catches costs nothing to enter. A call in its body is a `try_call` whose table names the clauses around it, the
//! innermost first; the way out of frames (load/raise.rs) finds the call's return address in the tables (tables.rs), compares
//! tags, and lands in the clause's block with the reference to the exception. So that it knows which tags are meant, a function
//! with such calls keeps its `VmContext` in its frame.
//!
//! Must not know: how frames are left, how tables are written.

use super::LeftOut;
use super::call::{builtin_signature, load_slots, never, slot_area, store_slots};
use super::func::{Kind, Translation};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self, Block, BlockArg, ExceptionTableData, ExceptionTableItem, ExceptionTag, InstBuilder, MemFlagsData,
    SigRef, StackSlot, Type, Value, types,
};
use mini_wasm_runtime::gc::FIELDS;
use mini_wasm_runtime::module::TagIdx;
use mini_wasm_runtime::vm::VmTag;
use wasmparser::{BinaryReader, BlockType, Catch, FunctionBody, Operator, TryTable};

/// Most clauses that the calls of a function may name: each call names all around it.
const MOST_CLAUSES: usize = 1 << 16;

/// What the body of an open block does with exceptions.
struct Scope {
    /// The block, by its place among the open ones.
    frame: usize,
    does: Does,
}

enum Does {
    /// Catches.
    Catch(Vec<Clause>),
    /// Lets only blocks up to this one catch.
    Delegate(usize),
}

struct Clause {
    /// Any, if there is none.
    tag: Option<u32>,
    /// Where it lands, with the reference, once a call names it.
    landing: Option<Block>,
    /// Its label, counted from outside the block, and whether it takes the reference. Unused by a legacy clause.
    label: u32,
    reference: bool,
}

/// How a legacy `try` goes on: known from a first look, since the calls of its body come before its clauses.
#[derive(Default)]
struct Legacy {
    clauses: Vec<Option<u32>>,
    delegate: Option<u32>,
}

/// What a translation knows of exceptions.
#[derive(Default)]
pub(crate) struct Exceptions {
    scopes: Vec<Scope>,
    /// The legacy `try`s that are still to come, the next one last.
    legacy: Vec<Legacy>,
    /// Clauses that calls have named so far.
    named: usize,
    /// The word that holds the `VmContext`.
    context: Option<StackSlot>,
}

/// The legacy `try`s of a body, in order of their beginnings.
fn legacy_tries(reader: &FunctionBody<'_>) -> Result<Vec<Legacy>, LeftOut> {
    let mut tries: Vec<Legacy> = Vec::new();
    // For each open block, which `try` it is.
    let mut open: Vec<Option<usize>> = vec![None];
    let mut ops = reader.get_operators_reader().map_err(|_| LeftOut::Malformed)?;
    while !ops.eof() {
        let mut clause = |open: &[Option<usize>], tag: Option<u32>| {
            if let Some(&Some(at)) = open.last() {
                tries[at].clauses.push(tag);
            }
        };
        match ops.read().map_err(|_| LeftOut::Malformed)? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                open.push(None);
            }
            Operator::Try { .. } => {
                open.push(Some(tries.len()));
                tries.push(Legacy::default());
            }
            Operator::Catch { tag_index } => clause(&open, Some(tag_index)),
            Operator::CatchAll => clause(&open, None),
            Operator::Delegate { relative_depth } => {
                if let Some(at) = open.pop().flatten() {
                    tries[at].delegate = Some(relative_depth);
                }
            }
            Operator::End => drop(open.pop()),
            _ => {}
        }
    }
    tries.reverse();
    Ok(tries)
}

impl Translation<'_> {
    /// Looks ahead, where legacy exceptions are on.
    pub(super) fn look_for_tries(&mut self, body: &[u8], start: usize) -> Result<(), LeftOut> {
        if self.env.info.features.legacy_exceptions {
            let reader = FunctionBody::new(BinaryReader::new(body, start as u64));
            self.exceptions.legacy = legacy_tries(&reader)?;
        }
        Ok(())
    }

    /// Are more clauses named than is reasonable?
    pub(super) fn too_many_clauses(&self) -> bool {
        self.exceptions.named > MOST_CLAUSES
    }

    /// The clauses that a call here has to name: innermost first, those that cannot be reached left out. Their number is noted.
    fn clauses(&mut self) -> Vec<(Option<u32>, Block)> {
        let mut found: Vec<(Option<u32>, Block)> = Vec::new();
        let mut limit = usize::MAX;
        'scopes: for scope in self.exceptions.scopes.iter_mut().rev() {
            if scope.frame > limit {
                continue;
            }
            let clauses = match &mut scope.does {
                Does::Delegate(to) => {
                    limit = *to;
                    continue;
                }
                Does::Catch(clauses) => clauses,
            };
            for clause in clauses {
                if clause.tag.is_some() && found.iter().any(|(tag, _)| *tag == clause.tag) {
                    continue;
                }
                let landing = *clause.landing.get_or_insert_with(|| {
                    let landing = self.b.create_block();
                    self.b.append_block_param(landing, types::I64);
                    self.b.set_cold_block(landing);
                    landing
                });
                found.push((clause.tag, landing));
                if clause.tag.is_none() {
                    break 'scopes;
                }
            }
            if found.len() > MOST_CLAUSES {
                break;
            }
        }
        self.exceptions.named = self.exceptions.named.saturating_add(found.len());
        found
    }

    /// Could an exception out of a call here be caught in this function?
    pub(super) fn catches(&self) -> bool {
        !self.exceptions.scopes.is_empty()
    }

    /// The table of a call here, its block behind it, and what its results are there; `None` where nothing catches.
    pub(super) fn exception_table(
        &mut self,
        sig: SigRef,
        results: &[Type],
    ) -> Option<(ir::ExceptionTable, Block)> {
        let clauses = self.clauses();
        if clauses.is_empty() {
            return None;
        }
        if self.exceptions.context.is_none() {
            self.exceptions.context = Some(slot_area(&mut self.b, 1));
        }
        let returned = self.b.create_block();
        let mut values = Vec::with_capacity(results.len());
        for (i, &ty) in results.iter().enumerate() {
            self.b.append_block_param(returned, ty);
            values.push(BlockArg::TryCallRet(i as u32));
        }
        let normal = self.b.func.dfg.block_call(returned, &values);
        let items: Vec<ExceptionTableItem> = clauses
            .into_iter()
            .map(|(tag, landing)| {
                let landing = self.b.func.dfg.block_call(landing, &[BlockArg::TryCallExn(0)]);
                match tag {
                    Some(tag) => {
                        ExceptionTableItem::Tag(ExceptionTag::from_u32(self.tag_entry(tag)), landing)
                    }
                    None => ExceptionTableItem::Default(landing),
                }
            })
            .collect();
        let table = ExceptionTableData::new(sig, normal, items);
        Some((self.b.func.dfg.exception_tables.push(table), returned))
    }

    /// Goes on in the block behind a `try_call`: its results.
    pub(super) fn behind_try_call(&mut self, returned: Block) -> Vec<Value> {
        self.b.seal_block(returned);
        self.b.switch_to_block(returned);
        self.b.block_params(returned).to_vec()
    }

    /// Where the instance has the pointer to a tag.
    fn tag_entry(&self, tag: u32) -> u32 {
        self.env.info.layout.tags + tag * size_of::<*const VmTag>() as u32
    }

    /// At the end of a function: keeps the context in the frame, if a call is going to be left from further in. `to_start` is
    /// the entry block's jump.
    pub(super) fn keep_context(&mut self, to_start: ir::Inst) -> Option<StackSlot> {
        let slot = self.exceptions.context?;
        let vmctx = self.vmctx;
        let srcloc = self.b.srcloc();
        let mut at = FuncCursor::new(self.b.func).at_inst(to_start).with_srcloc(srcloc);
        let place = at.ins().stack_addr(types::I64, slot, 0);
        at.ins().store(MemFlagsData::trusted(), vmctx, place, 0);
        Some(slot)
    }

    // Throwing

    pub(super) fn throw(&mut self, tag: u32) {
        let ty = self.env.info.tag_type(TagIdx(tag)).clone();
        let values = self.pop_many(ty.params().len());
        self.widen_by(values.len());
        let area = self.result_room(ty.param_slots());
        store_slots(&mut self.b, area, ty.params(), &values);
        let tag = self.immediate(tag);
        let status = self.builtin("throw", &[tag, area]);
        self.raise_here(status);
    }

    pub(super) fn throw_ref(&mut self) {
        let reference = self.pop();
        self.send(reference);
    }

    fn send(&mut self, reference: Value) {
        let status = self.builtin("throw_ref", &[reference]);
        self.raise_here(status);
    }

    /// As `raise`, where the status may be that of an exception: this function may catch it. Fills the block.
    pub(super) fn raise_here(&mut self, status: Value) {
        let (offset, signature) = builtin_signature(self.env.target, "raise");
        let sig = self.b.import_signature(signature);
        match self.exception_table(sig, &[]) {
            None => self.raise(status),
            Some((table, returned)) => {
                let address = self.builtin_address(offset);
                self.b.ins().try_call_indirect(address, &[self.vmctx, status], table);
                self.behind_try_call(returned);
                never(&mut self.b);
            }
        }
    }

    // Blocks

    pub(super) fn try_table(&mut self, table: &TryTable) {
        let clause = |catch: &Catch| {
            let (tag, label, reference) = match *catch {
                Catch::One { tag, label } => (Some(tag), label, false),
                Catch::OneRef { tag, label } => (Some(tag), label, true),
                Catch::All { label } => (None, label, false),
                Catch::AllRef { label } => (None, label, true),
            };
            Clause { tag, landing: None, label, reference }
        };
        let clauses = table.catches.iter().map(clause).collect();
        self.open_try(Kind::TryTable, table.ty, Does::Catch(clauses));
    }

    /// Legacy `try`.
    pub(super) fn try_(&mut self, ty: BlockType) {
        let legacy = self.exceptions.legacy.pop().unwrap_or_default();
        let does = match legacy.delegate {
            // Counted from outside the block, which is not open yet.
            Some(depth) => Does::Delegate(self.frames.len().saturating_sub(1 + depth as usize)),
            None => {
                let clause = |tag| Clause { tag, landing: None, label: 0, reference: false };
                Does::Catch(legacy.clauses.into_iter().map(clause).collect())
            }
        };
        self.open_try(Kind::Try, ty, does);
    }

    /// A legacy `try` that nothing reaches: its clauses are not asked for.
    pub(super) fn dead_try(&mut self) {
        self.exceptions.legacy.pop();
    }

    fn open_try(&mut self, kind: Kind, ty: BlockType, does: Does) {
        self.exceptions.scopes.push(Scope { frame: self.frames.len(), does });
        let (params, results) = self.block_type(ty);
        self.open(kind, params.len(), &results);
    }

    /// The end of a `try_table`, whose frame was taken off and whose end is left for: lets its clauses lead to their labels.
    pub(super) fn end_try_table(&mut self) {
        let Some(Scope { does: Does::Catch(clauses), .. }) = self.exceptions.scopes.pop() else { return };
        for clause in clauses {
            let Some(landing) = clause.landing else { continue };
            let reference = self.land(landing);
            let mut values = clause.tag.map_or_else(Vec::new, |tag| self.payload(tag, reference));
            values.extend(clause.reference.then_some(reference));
            self.widen_by(values.len());
            self.jump_to_label(clause.label, &values);
        }
    }

    /// Begins the code of a clause; the reference to the exception.
    fn land(&mut self, landing: Block) -> Value {
        self.b.seal_block(landing);
        self.b.switch_to_block(landing);
        self.b.block_params(landing)[0]
    }

    /// What an exception of a tag carries.
    fn payload(&mut self, tag: u32, exception: Value) -> Vec<Value> {
        let ty = self.env.info.tag_type(TagIdx(tag)).clone();
        let fields = self.b.ins().iconst(types::I64, i64::from(FIELDS));
        let first = self.b.ins().iadd(exception, fields);
        load_slots(&mut self.b, first, ty.params())
    }

    /// Legacy `catch`, or `catch_all` without a tag: the code that follows is the clause's.
    pub(super) fn catch(&mut self, tag: Option<u32>) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (next, results, height) = (frame.next, frame.results, frame.height);
        let kind = std::mem::replace(&mut frame.kind, Kind::Block);
        if self.reachable {
            frame.branched = true;
            let args = self.top(results);
            self.b.ins().jump(next, &args);
        }
        self.stack.truncate(height);
        let mut rest = match kind {
            Kind::Catch { rest, .. } => rest,
            // The first clause: the body is over, and what the clauses throw goes past them.
            _ => match self.exceptions.scopes.pop() {
                Some(Scope { does: Does::Catch(clauses), .. }) => {
                    clauses.into_iter().rev().map(|clause| clause.landing).collect()
                }
                _ => Vec::new(),
            },
        };
        let landing = rest.pop().flatten();
        let reference = landing.map(|landing| self.land(landing));
        if let Some(frame) = self.frames.last_mut() {
            frame.kind = Kind::Catch { rest, reference };
        }
        self.reachable = reference.is_some();
        if let (Some(reference), Some(tag)) = (reference, tag) {
            let values = self.payload(tag, reference);
            self.stack.extend(values);
        }
    }

    /// Legacy `rethrow`.
    pub(super) fn rethrow(&mut self, depth: u32) {
        let frame = &self.frames[self.frames.len() - 1 - depth as usize];
        match frame.kind {
            Kind::Catch { reference: Some(reference), .. } => self.send(reference),
            // Validation has proved that the label is that of a clause, and this place is inside it.
            _ => unreachable!("crash: a rethrow outside a clause"),
        }
    }

    /// The end of the body of a legacy `try` that has no clauses.
    pub(super) fn end_try(&mut self) {
        self.exceptions.scopes.pop();
    }
}
