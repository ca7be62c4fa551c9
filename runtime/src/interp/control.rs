//! Translation of structured control: blocks become labels, branches become relative jumps (core specification 3.4 "Blocks").

use super::dispatch::handler;
use super::emit::{Condition, Source};
use super::flow::{Br, BrTable, Return0, Return1, ReturnMany, TARGETS};
use super::operand::{Acc, Class, Imm, Pinned, Slot, Wide};
use super::rows::Ty;
use super::state::{A, B, D, W};
use super::translate::{NONE, Translator, impossible, register};
use crate::error::Result;
use crate::module::TypeIdx;
use crate::ops::Op;
use crate::types::{FuncType, SubType, ValType};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use wasmparser::BlockType;

/// A block that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    pub(super) kind: Kind,
    /// Entries of the stack below its parameters.
    pub(super) height: usize,
    /// Its type, for the entries that it leaves behind.
    ty: BlockType,
    /// Slots of its parameters.
    params: usize,
    /// Slots of its results.
    results: usize,
    /// First of its fixups, or [`NONE`].
    fixups: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Function,
    Block,
    /// `try_table`
    TryTable,
    /// The body of a legacy `try`.
    Try,
    /// A legacy `catch` or `catch_all`: its lowest operand is the reference to the exception.
    Catch,
    /// Where it begins.
    Loop(u32),
    /// The branch around its first part, if there is one.
    If(Option<(u32, usize)>),
    Else,
}

/// A branch whose target is not known yet: where its offset stands, and the next fixup of the same block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixup {
    field: Field,
    next: u32,
}

/// What a fixup changes.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// The offset in an instruction.
    Code(u32, usize),
    /// Where a handler leads.
    Handler(u32),
}

impl Control {
    /// The outermost block.
    pub(super) fn function(ty: &FuncType) -> Control {
        let (ty, results) = (BlockType::Empty, ty.result_slots());
        Control { kind: Kind::Function, height: 0, ty, params: 0, results, fixups: NONE }
    }

    /// Slots that a branch to it takes along.
    fn arity(&self) -> usize {
        match self.kind {
            Kind::Loop(_) => self.params,
            _ => self.results,
        }
    }
}

impl Translator<'_> {
    /// Slots of the parameters and results of a block.
    pub(super) fn signature(&self, ty: BlockType) -> Result<(usize, usize)> {
        Ok(match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(wasmparser::ValType::V128) => (0, 2),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = self.info.types.get(index as usize).and_then(SubType::as_func);
                let ty = ty.ok_or_else(|| impossible("an unknown type"))?;
                (ty.param_slots(), ty.result_slots())
            }
        })
    }

    pub(super) fn open(
        &mut self,
        kind: Kind,
        ty: BlockType,
        (params, results): (usize, usize),
    ) -> Result<()> {
        let height = self.stack.len().checked_sub(params).ok_or_else(|| impossible("an empty stack"))?;
        self.reserve(height + results)?;
        self.controls.push(Control { kind, height, ty, params, results, fixups: NONE });
        Ok(())
    }

    /// The values that a block begins with, in their own slots.
    fn push_params(&mut self, ty: BlockType) -> Result<()> {
        let BlockType::FuncType(index) = ty else { return Ok(()) };
        let ty = self.info.signature(TypeIdx(index)).clone();
        self.push_values(ty.params())
    }

    /// The values that a block leaves, in their own slots.
    fn push_results(&mut self, ty: BlockType) -> Result<()> {
        match ty {
            BlockType::Empty => Ok(()),
            BlockType::Type(wasmparser::ValType::V128) => self.push_wide().map(drop),
            BlockType::Type(_) => self.push().map(drop),
            BlockType::FuncType(index) => {
                let ty = self.info.signature(TypeIdx(index)).clone();
                self.push_values(ty.results())
            }
        }
    }

    pub(super) fn block(&mut self, ty: BlockType) -> Result<()> {
        let signature = self.signature(ty)?;
        self.settle_all(signature.0);
        self.open(Kind::Block, ty, signature)
    }

    pub(super) fn loop_(&mut self, ty: BlockType) -> Result<()> {
        let signature = self.signature(ty)?;
        self.settle_all(signature.0);
        self.label();
        self.open(Kind::Loop(self.out.position()), ty, signature)?;
        self.epoch();
        Ok(())
    }

    pub(super) fn if_(&mut self, ty: BlockType) -> Result<()> {
        let signature = self.signature(ty)?;
        let condition = self.pop()?;
        let condition = self.condition(condition);
        self.settle_all(signature.0);
        let around = self.emit_branch(condition, false);
        self.open(Kind::If(around), ty, signature)
    }

    pub(super) fn else_(&mut self) -> Result<()> {
        let control = self.controls.len() - 1;
        let Control { kind: Kind::If(around), height, ty, .. } = self.controls[control] else {
            return Err(impossible("an else without if"));
        };
        self.leave_to_end(control);
        self.controls[control].kind = Kind::Else;
        self.truncate(height);
        self.push_params(ty)?;
        self.label();
        self.live = true;
        match around {
            Some(field) => {
                let here = self.out.position();
                Translator::patch(&mut self.out, field, here);
            }
            // The condition was a constant and not 0.
            None => self.die(),
        }
        Ok(())
    }

    /// Goes to a block's end from within, if anything gets here.
    pub(super) fn leave_to_end(&mut self, control: usize) {
        if self.live {
            self.results_in_place(&{ self.controls[control] });
            let at = self.exec::<Br>(16);
            self.fixup(control, (at, A));
        }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let Some(control) = self.controls.pop() else { return Err(impossible("an end too many")) };
        if control.kind == Kind::Function {
            return self.end_function(&control);
        }
        if self.live {
            self.results_in_place(&control);
        }
        match control.kind {
            Kind::TryTable => self.end_try_table()?,
            Kind::Try | Kind::Catch => drop(self.tries.pop()),
            _ => {}
        }
        let here = self.out.position();
        let mut reached = false;
        if let Kind::If(Some(field)) = control.kind {
            Translator::patch(&mut self.out, field, here);
            reached = true;
        }
        reached |= self.patch_all(control.fixups, here);
        if reached {
            self.label();
            self.live = true;
        }
        self.truncate(control.height);
        self.push_results(control.ty)
    }

    /// Lets all that goes to a label go to cell `to`. Is there any?
    fn patch_all(&mut self, first: u32, to: u32) -> bool {
        let mut next = first;
        while let Some(fixup) = self.fixups.get(next as usize).copied() {
            match fixup.field {
                Field::Code(at, field) => Translator::patch(&mut self.out, (at, field), to),
                Field::Handler(handler) => self.patch_handler(handler, to),
            }
            next = fixup.next;
        }
        first != NONE
    }

    /// The function returns here, and once more for the handlers that lead to its own label.
    fn end_function(&mut self, control: &Control) -> Result<()> {
        if self.live {
            self.return_values()?;
        }
        let here = self.out.position();
        if self.patch_all(control.fixups, here) {
            self.label();
            self.truncate(0);
            let ty = self.ty.clone();
            self.push_values(ty.results())?;
            self.return_values()?;
        }
        self.live = false;
        Ok(())
    }

    /// The first slot that a branch to a block leaves its values in.
    pub(super) fn landing_slot(&self, control: usize) -> u16 {
        self.slot(self.controls[control].height)
    }

    /// Lets a handler lead to the label of a block.
    pub(super) fn target_of_handler(&mut self, control: usize, handler: u32) {
        match self.controls[control].kind {
            Kind::Loop(begin) => self.patch_handler(handler, begin),
            _ => self.fixup_field(control, Field::Handler(handler)),
        }
    }

    /// Brings the results of a block, whose end is reached, to where its label has them.
    pub(super) fn results_in_place(&mut self, control: &Control) {
        match control.kind {
            Kind::Catch => self.write_out(control.results, control.height),
            _ => self.settle(self.stack.len().saturating_sub(control.results), true),
        }
    }

    /// Nothing behind this operator can be reached, up to the next label.
    pub(super) fn die(&mut self) {
        self.live = false;
        self.dead_blocks = 0;
        let height = self.controls.last().map_or(0, |control| control.height);
        self.truncate(height);
    }

    /// An operator that cannot be reached: only the ends of blocks matter.
    pub(super) fn dead_operator(&mut self, op: Op) -> Result<()> {
        match op {
            Op::Block | Op::Loop | Op::If | Op::TryTable | Op::Try => self.dead_blocks += 1,
            Op::Else if self.dead_blocks == 0 => self.else_()?,
            Op::End if self.dead_blocks == 0 => self.end()?,
            Op::End | Op::Delegate => self.dead_blocks -= 1,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn fixup(&mut self, control: usize, (at, field): (u32, usize)) {
        self.fixup_field(control, Field::Code(at, field));
    }

    fn fixup_field(&mut self, control: usize, field: Field) {
        let next = core::mem::replace(&mut self.controls[control].fixups, self.fixups.len() as u32);
        self.fixups.push(Fixup { field, next });
    }

    /// Lets a branch go to the label of a block.
    fn target(&mut self, control: usize, field: (u32, usize)) {
        match self.controls[control].kind {
            Kind::Loop(begin) => Translator::patch(&mut self.out, field, begin),
            _ => self.fixup(control, field),
        }
    }

    pub(super) fn control_at(&self, depth: u32) -> Result<usize> {
        (self.controls.len() - 1)
            .checked_sub(depth as usize)
            .ok_or_else(|| impossible("a branch out of the function"))
    }

    /// Copies the top `count` entries to the slots from entry `to` on, and changes nothing else that is known: the code that
    /// follows leaves. Lowest first, and never upwards, so nothing is overwritten that is still to be read.
    fn write_out(&mut self, count: usize, to: usize) {
        let first = self.stack.len() - count;
        for i in 0..count {
            self.emit_copy(self.source(first + i), self.slot(to + i), false);
        }
    }

    /// Are the values that a branch to `control` takes along in place already?
    fn in_place(&self, control: usize) -> bool {
        let Control { height, .. } = self.controls[control];
        let count = self.controls[control].arity();
        let first = self.stack.len().saturating_sub(count);
        (0..count).all(|i| self.source(first + i) == Source::Slot(self.slot(height + i)))
    }

    pub(super) fn br(&mut self, depth: u32) -> Result<()> {
        let control = self.control_at(depth)?;
        self.jump(control)?;
        self.die();
        Ok(())
    }

    /// An unconditional branch with the values on the stack, which stay there.
    pub(super) fn jump(&mut self, control: usize) -> Result<()> {
        if self.controls[control].kind == Kind::Function {
            return self.return_values();
        }
        let (count, height) = (self.controls[control].arity(), self.controls[control].height);
        if count > self.stack.len() {
            return Err(impossible("an empty stack"));
        }
        self.write_out(count, height);
        let at = self.exec::<Br>(16);
        self.target(control, (at, A));
        Ok(())
    }

    pub(super) fn br_if(&mut self, depth: u32) -> Result<()> {
        let control = self.control_at(depth)?;
        let condition = self.pop()?;
        let condition = self.condition(condition);
        self.branch_to(condition, true, control)
    }

    /// A branch taken when the outcome of `condition` is `sense`.
    pub(super) fn branch_on(&mut self, condition: Condition, sense: bool, depth: u32) -> Result<()> {
        let control = self.control_at(depth)?;
        self.branch_to(condition, sense, control)
    }

    fn branch_to(&mut self, condition: Condition, sense: bool, control: usize) -> Result<()> {
        if self.controls[control].kind != Kind::Function && self.in_place(control) {
            if let Some(field) = self.emit_branch(condition, sense) {
                self.target(control, field);
            }
            return Ok(());
        }
        self.branch_around(condition, sense, control)
    }

    /// A conditional branch that has values to move or returns: around the code that does so.
    fn branch_around(&mut self, condition: Condition, sense: bool, control: usize) -> Result<()> {
        let around = self.emit_branch(condition, !sense);
        let caches = self.caches;
        self.jump(control)?;
        // Behind it everything is as before the moves.
        self.last = None;
        self.caches = caches;
        if let Some(field) = around {
            let here = self.out.position();
            Translator::patch(&mut self.out, field, here);
        }
        Ok(())
    }

    pub(super) fn br_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<()> {
        let index = self.pop()?;
        let index = Source::Slot(self.in_slot(index));
        let count = targets.len();
        let depths = targets.targets().collect::<Result<Vec<u32>, _>>()?;
        let depths = depths.into_iter().chain([targets.default()]);
        // All targets take the same number of values; those that need moves get code behind the table, once each.
        let handler = match self.class(index, Ty::i32) {
            Class::A => handler::<BrTable<Acc>>(),
            Class::L => handler::<BrTable<Pinned>>(),
            _ => handler::<BrTable<Slot>>(),
        };
        let at = self.instruction(handler, TARGETS + (count as usize + 1) * size_of::<i32>());
        self.set_source(at, A, index);
        self.out.set(at, B, count);
        let caches = self.caches;
        // By label: looking at what moves is dear when a thousand values do.
        let mut labels: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (i, depth) in depths.enumerate() {
            labels.entry(self.control_at(depth)?).or_default().push(i as u32);
        }
        let field = |entry: u32| TARGETS + entry as usize * size_of::<i32>();
        self.fixups.reserve(count as usize + 1);
        for (&control, entries) in &labels {
            if self.controls[control].kind != Kind::Function && self.in_place(control) {
                entries.iter().for_each(|&entry| self.target(control, (at, field(entry))));
                continue;
            }
            let here = self.out.position();
            for &entry in entries {
                Translator::patch(&mut self.out, (at, field(entry)), here);
            }
            self.caches = caches;
            self.last = None;
            self.jump(control)?;
            self.check_room()?;
        }
        self.die();
        Ok(())
    }

    pub(super) fn return_(&mut self) -> Result<()> {
        self.return_values()?;
        self.die();
        Ok(())
    }

    /// Returns the top values, which stay on the stack.
    fn return_values(&mut self) -> Result<()> {
        let count = self.ty.result_slots();
        let first = self.stack.len().checked_sub(count).ok_or_else(|| impossible("an empty stack"))?;
        if count == 0 {
            let at = self.exec::<Return0>(16);
            self.out.set(at, D, self.header);
        } else if count == 1 {
            self.return_one(self.source(first), self.ty.results()[0]);
        } else {
            self.write_out(count, first);
            let at = self.exec::<ReturnMany>(16);
            self.out.set(at, A, self.slot(first));
            self.out.set(at, D, self.header);
            self.out.set(at, B, count as u32);
        }
        Ok(())
    }

    fn return_one(&mut self, source: Source, ty: ValType) {
        let kind = match ty {
            ValType::I32 => Ty::i32,
            ValType::F32 => Ty::f32,
            ValType::F64 => Ty::f64,
            // A v128 never comes alone: its slots are two.
            ValType::I64 | ValType::V128 | ValType::Ref(_) => Ty::i64,
        };
        debug_assert_eq!(super::emit::Register::of(kind), register(ty));
        let class = match (self.class(source, kind), source) {
            (Class::K, Source::Const(..)) if kind == Ty::i64 => Class::W,
            (class, _) => class,
        };
        macro_rules! pick {
            ($value:ty) => {
                match class {
                    Class::A => handler::<Return1<$value, Acc>>(),
                    Class::K => handler::<Return1<$value, Imm>>(),
                    Class::W => handler::<Return1<$value, Wide>>(),
                    Class::L => handler::<Return1<$value, Pinned>>(),
                    Class::S => handler::<Return1<$value, Slot>>(),
                }
            };
        }
        let handler = match kind {
            Ty::i32 => pick!(u32),
            Ty::i64 => pick!(u64),
            Ty::f32 => pick!(f32),
            Ty::f64 => pick!(f64),
        };
        let at = self.instruction(handler, if class == Class::W { 24 } else { 16 });
        self.out.set(at, D, self.header);
        match (source, class) {
            (Source::Const(bits, _), Class::W) => self.out.set(at, W, bits),
            (Source::Const(bits, _), _) => self.out.set(at, B, bits as u32),
            (Source::Slot(slot), _) => self.out.set(at, B, slot),
        }
    }
}
