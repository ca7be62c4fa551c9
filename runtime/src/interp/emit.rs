//! Emission: from an operation on slots and constants to the best instruction for it.
//!
//! What is known while code is written straight on: which slots the accumulators hold, and which instruction was the last, so
//! that it can be written again with another destination or merged into a branch. Both end at labels.

use super::arith::{self, Canonical, Const32, Const64, Copy, Pin};
use super::code::Writer;
use super::dispatch::{Handler, handler};
use super::far::Far;
use super::flow::{BrIf, GlobalGet};
use super::memory::MEMORY;
use super::operand::{Acc, Class, Pinned, Slot};
use super::rows::{self, Shape, Ty, shape};
use super::state::{A, B, D, Exec, W};
use super::translate::Translator;
use super::vector::Vector;
use crate::ops::Op;
use Class::{A as InAcc, K, L, S, W as InWide};

/// Where a value is that an operation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// In a slot.
    Slot(u16),
    /// It is a constant, and this slot is free to hold it.
    Const(u64, u16),
}

/// An operation that leaves one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inst {
    /// A unary operator.
    Unary(Op, Source),
    /// A binary operator or a comparison.
    Binary(Op, Source, Source),
    /// A load, its offset, and where the instance keeps the pointer to a memory that is not 0.
    Load(Op, Source, u32, Option<u32>),
    /// A load from memory 0 at a sum, and its offset.
    LoadSum(Op, Source, Source, u32),
    /// A load from a 64-bit memory: its address is in a slot.
    LoadFar(Op, Source, Far),
    /// A slot's bits.
    Copy(Source),
    /// The first when the third is not 0, else the second: slots.
    Select(u16, u16, u16),
    /// A global, whether it is the instance's own, and its offset in the instance.
    Global(bool, u32),
    /// An operation on vectors.
    Vector(Vector),
}

/// The register that an operation's result is left in, besides its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Integer,
    F32,
    F64,
}

impl Register {
    pub(super) const fn of(ty: Ty) -> Register {
        match ty {
            Ty::i32 | Ty::i64 => Register::Integer,
            Ty::f32 => Register::F32,
            Ty::f64 => Register::F64,
        }
    }
}

/// Which slot's content each accumulator holds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Caches {
    acc: Option<u16>,
    f32: Option<u16>,
    f64: Option<u16>,
}

impl Caches {
    fn holds(&self, register: Register, slot: u16) -> bool {
        Some(slot)
            == match register {
                Register::Integer => self.acc,
                Register::F32 => self.f32,
                Register::F64 => self.f64,
            }
    }

    /// `slot` got another content, which `register` does not hold.
    pub(super) fn forget(&mut self, slot: u16) {
        for cache in [&mut self.acc, &mut self.f32, &mut self.f64] {
            if *cache == Some(slot) {
                *cache = None;
            }
        }
    }

    /// `slot` got another content, which `register` holds as well.
    pub(super) fn write(&mut self, register: Register, slot: u16) {
        self.forget(slot);
        *match register {
            Register::Integer => &mut self.acc,
            Register::F32 => &mut self.f32,
            Register::F64 => &mut self.f64,
        } = Some(slot);
    }
}

/// The last instruction, if it can still be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) at: u32,
    /// The operator it came from, as an offset in the file.
    pub(super) origin: u32,
    pub(super) inst: Inst,
    pub(super) dst: u16,
    pub(super) before: Caches,
}

/// What a branch asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    /// A comparison that was not written, or was taken back.
    Compare(Op, Source, Source),
    /// Is an `i32` not 0?
    Test(Source),
}

/// How a destination is written.
#[derive(Clone, Copy)]
struct Target {
    class: Class,
    slot: u16,
}

impl Translator<'_> {
    /// Begins an instruction.
    pub(super) fn instruction(&mut self, handler: Handler, size: usize) -> u32 {
        let at = self.out.instruction(handler, size);
        if let Some(origins) = &mut self.origins {
            origins.push((at, self.offset));
        }
        self.last = None;
        at
    }

    /// Begins an instruction of a kind that exists once.
    pub(super) fn exec<E: Exec>(&mut self, size: usize) -> u32 {
        debug_assert!(E::SIZE == 0 || E::SIZE == size);
        self.instruction(handler::<E>(), size)
    }

    /// Takes the last instruction back if it made the content of `slot`, which nobody needs any more.
    pub(super) fn take_back(&mut self, slot: u16) -> Option<Last> {
        if !self.options.fusion {
            return None;
        }
        let last = self.last.filter(|last| last.dst == slot)?;
        self.take_back_last(last);
        Some(last)
    }

    fn take_back_last(&mut self, last: Last) {
        self.out.truncate(last.at);
        if let Some(origins) = &mut self.origins {
            while origins.pop_if(|(at, _)| *at >= last.at).is_some() {}
        }
        self.caches = last.before;
        self.last = self.before_last.take();
    }

    /// Writes an operation that was taken back, for another slot. If it traps, that is the fault of the operator it came
    /// from, not of the one that takes its value.
    pub(super) fn emit_again(&mut self, last: Last, slot: u16) {
        let now = core::mem::replace(&mut self.offset, last.origin);
        self.emit(last.inst, slot);
        self.offset = now;
    }

    /// The last instruction's operation.
    pub(super) fn last_inst(&self) -> Option<Inst> {
        self.last.map(|last| last.inst)
    }

    /// A label: code can arrive here from elsewhere.
    pub(super) fn label(&mut self) {
        self.caches = Caches::default();
        self.last = None;
        self.before_last = None;
    }

    /// Writes the operation that leaves its value in `slot`.
    pub(super) fn emit(&mut self, inst: Inst, slot: u16) {
        if let Inst::Vector(vector) = inst {
            return self.emit_vector(vector, slot);
        }
        let (previous, end) = (self.last, self.out.position());
        let inst = self.with_possible_operands(inst);
        let (at, before) = (self.out.position(), self.caches);
        let register = register_of(&inst);
        let pinned = self.l0 == Some(slot);
        let class = if pinned && register == Register::Integer { L } else { S };
        if !self.write(inst, Target { class, slot }) {
            let written = class == L && self.write(inst, Target { class: S, slot });
            debug_assert!(written, "no handler for {inst:?}");
        }
        if self.options.canonicalize_nans && makes_nans(&inst) {
            let handler = match register {
                Register::F32 => handler::<Canonical<f32>>(),
                _ => handler::<Canonical<f64>>(),
            };
            let canonical = self.instruction(handler, Canonical::<f32>::SIZE);
            self.out.set(canonical, D, slot);
        }
        if pinned && register != Register::Integer {
            // A float's bits become an integer's as they lie in the slot.
            let at = self.exec::<Pin>(16);
            self.out.set(at, A, slot);
        }
        self.last = Some(Last { at, origin: self.offset, inst, dst: slot, before });
        self.before_last = previous.filter(|_| end == at);
    }

    /// Writes the value of `source` to `slot`; if the last instruction made it for nothing else, lets that write there.
    pub(super) fn emit_copy(&mut self, source: Source, slot: u16, dying: bool) {
        if let Source::Slot(from) = source {
            if from == slot {
                return;
            }
            if dying && let Some(last) = self.take_back(from) {
                return self.emit_again(last, slot);
            }
        }
        if !self.emit_second_copy(source, slot) {
            self.emit(Inst::Copy(source), slot);
        }
    }

    /// Merges a copy with the one right before it.
    fn emit_second_copy(&mut self, source: Source, slot: u16) -> bool {
        let (Source::Slot(second), true) = (source, self.options.fusion) else { return false };
        let Some(Last { inst: Inst::Copy(Source::Slot(first)), dst, .. }) = self.last else { return false };
        if self.l0 == Some(dst) || self.l0 == Some(slot) {
            return false;
        }
        if let Some(last) = self.last {
            self.take_back_last(last);
        }
        let at = self.exec::<arith::Copy2>(16);
        self.out.set(at, A, first);
        self.out.set(at, D, dst);
        self.out.set(at, B, second);
        self.out.set(at, arith::CONDITION, slot);
        self.caches.forget(dst);
        self.caches.write(Register::Integer, slot);
        true
    }

    /// Makes a slot of a source.
    pub(super) fn in_slot(&mut self, source: Source) -> u16 {
        match source {
            Source::Slot(slot) => slot,
            Source::Const(_, slot) => {
                self.emit(Inst::Copy(source), slot);
                slot
            }
        }
    }

    /// The class in which an operand of a type is read best.
    pub(super) fn class(&self, source: Source, ty: Ty) -> Class {
        match source {
            Source::Const(..) if ty == Ty::f64 => InWide,
            Source::Const(..) => K,
            Source::Slot(slot) if self.l0 == Some(slot) && !ty.is_float() => L,
            Source::Slot(slot) if self.options.accumulators && self.caches.holds(Register::of(ty), slot) => {
                InAcc
            }
            Source::Slot(_) => S,
        }
    }

    /// Brings constants into slots that no instruction takes as immediates, and puts the others second.
    fn with_possible_operands(&mut self, inst: Inst) -> Inst {
        match inst {
            Inst::Unary(op, a) => Inst::Unary(op, Source::Slot(self.in_slot(a))),
            Inst::Binary(op, a, b) => {
                let (op, a, b) = self.possible_pair(op, a, b);
                Inst::Binary(op, a, b)
            }
            Inst::Load(op, a, offset, memory) => {
                let (a, offset) = self.possible_address(a, offset, memory.is_some());
                Inst::Load(op, a, offset, memory)
            }
            other => other,
        }
    }

    fn possible_pair(&mut self, op: Op, a: Source, b: Source) -> (Op, Source, Source) {
        let ty = operand_type(op);
        let (op, a, b) = match (a, b) {
            (Source::Const(..), Source::Slot(_)) if rows::commutes(op) => (op, b, a),
            (Source::Const(..), Source::Slot(_)) => match rows::swapped(op) {
                Some(swapped) => (swapped, b, a),
                None => (op, a, b),
            },
            _ => (op, a, b),
        };
        let a = Source::Slot(self.in_slot(a));
        let b = match b {
            Source::Const(bits, _) if ty == Ty::i64 && i32::try_from(bits as i64).is_err() => {
                Source::Slot(self.in_slot(b))
            }
            b => b,
        };
        (op, a, b)
    }

    /// A constant address becomes part of the offset.
    pub(super) fn possible_address(&mut self, a: Source, offset: u32, other: bool) -> (Source, u32) {
        match a {
            Source::Const(bits, slot) => match offset.checked_add(bits as u32) {
                Some(sum) if !other => (Source::Const(0, slot), sum),
                _ => (Source::Slot(self.in_slot(a)), offset),
            },
            slot => (slot, offset),
        }
    }

    fn write(&mut self, inst: Inst, to: Target) -> bool {
        match inst {
            Inst::Unary(op, a) => {
                let Shape::Unary(from, _) = shape(op) else { return false };
                let best = self.class(a, from);
                let Some(handler) = rows::unary(op, best, to.class).or_else(|| rows::unary(op, S, to.class))
                else {
                    return self.write_unpinned(inst, to);
                };
                let at = self.instruction(handler, 16);
                self.set_source(at, A, a);
                self.set_target(at, to, register_of(&inst));
            }
            Inst::Binary(op, a, b) => {
                let ty = operand_type(op);
                let select =
                    if matches!(shape(op), Shape::Compare(_)) { rows::compare } else { rows::binary };
                let found = self.best_pair(a, b, ty, |x, y| select(op, x, y, to.class));
                let Some((handler, x, y)) = found else { return self.write_unpinned(inst, to) };
                let at = self.instruction(handler, 16 + extra(y));
                self.set_operand(at, A, a, x);
                self.set_operand(at, B, b, y);
                self.set_target(at, to, register_of(&inst));
            }
            Inst::Load(op, a, offset, memory) => {
                let best = if memory.is_some() { S } else { self.class(a, Ty::i32) };
                let other = memory.is_some();
                // A constant address is in no slot: without a handler that takes it, the target gives way.
                let slots = || if best == K { None } else { rows::load(op, S, to.class, other) };
                let found = rows::load(op, best, to.class, other).or_else(slots);
                let Some(handler) = found else { return self.write_unpinned(inst, to) };
                let at = self.instruction(handler, if other { 24 } else { 16 });
                if best != K {
                    self.set_source(at, A, a);
                }
                self.out.set(at, B, offset);
                if let Some(memory) = memory {
                    self.out.set(at, MEMORY, memory);
                }
                self.set_target(at, to, register_of(&inst));
            }
            Inst::LoadSum(op, a, b, offset) => {
                let (x, y) = (self.class(a, Ty::i32), if matches!(b, Source::Const(..)) { K } else { S });
                let found = rows::load_sum(op, x, y, to.class).map(|handler| (handler, x));
                let found = found.or_else(|| rows::load_sum(op, S, y, to.class).map(|handler| (handler, S)));
                let Some((handler, x)) = found else { return self.write_unpinned(inst, to) };
                let at = self.instruction(handler, 24);
                self.set_operand(at, A, a, x);
                self.set_operand(at, super::memory::SUMMAND, b, y);
                self.out.set(at, B, offset);
                self.set_target(at, to, register_of(&inst));
            }
            Inst::LoadFar(op, a, far) => {
                if to.class == L {
                    return self.write_unpinned(inst, to);
                }
                if !self.write_load_far(op, a, far, to.slot) {
                    return false;
                }
                self.set_target_register(to, register_of(&inst));
            }
            Inst::Copy(Source::Const(bits, _)) => {
                let at = match (u32::try_from(bits), to.class) {
                    (Ok(bits), L) => {
                        let at = self.exec::<Const32<Pinned>>(16);
                        self.out.set(at, B, bits);
                        at
                    }
                    (Ok(bits), _) => {
                        let at = self.exec::<Const32<Slot>>(16);
                        self.out.set(at, B, bits);
                        at
                    }
                    (Err(_), L) => {
                        let at = self.exec::<Const64<Pinned>>(24);
                        self.out.set(at, W, bits);
                        at
                    }
                    (Err(_), _) => {
                        let at = self.exec::<Const64<Slot>>(24);
                        self.out.set(at, W, bits);
                        at
                    }
                };
                self.set_target(at, to, Register::Integer);
            }
            Inst::Copy(a) => {
                let handler = match (self.class(a, Ty::i64), to.class) {
                    (InAcc, L) => handler::<Copy<Acc, Pinned>>(),
                    (_, L) => handler::<Copy<Slot, Pinned>>(),
                    (InAcc, _) => handler::<Copy<Acc, Slot>>(),
                    (L, _) => handler::<Copy<Pinned, Slot>>(),
                    _ => handler::<Copy<Slot, Slot>>(),
                };
                let at = self.instruction(handler, 16);
                self.set_source(at, A, a);
                self.set_target(at, to, Register::Integer);
            }
            Inst::Select(a, b, c) => {
                let condition = self.class(Source::Slot(c), Ty::i32);
                let handler = match (condition, to.class) {
                    (InAcc, L) => handler::<arith::Select<Acc, Pinned>>(),
                    (_, L) => handler::<arith::Select<Slot, Pinned>>(),
                    (InAcc, _) => handler::<arith::Select<Acc, Slot>>(),
                    _ => handler::<arith::Select<Slot, Slot>>(),
                };
                let at = self.instruction(handler, 16);
                self.out.set(at, A, a);
                self.out.set(at, B, b);
                self.out.set(at, arith::CONDITION, c);
                self.set_target(at, to, Register::Integer);
            }
            Inst::Global(own, offset) => {
                let handler = match (own, to.class) {
                    (true, L) => handler::<GlobalGet<Pinned, true>>(),
                    (false, L) => handler::<GlobalGet<Pinned, false>>(),
                    (true, _) => handler::<GlobalGet<Slot, true>>(),
                    (false, _) => handler::<GlobalGet<Slot, false>>(),
                };
                let at = self.instruction(handler, 16);
                self.out.set(at, B, offset);
                self.set_target(at, to, Register::Integer);
            }
            Inst::Vector(_) => return false,
        }
        true
    }

    /// When no handler writes the pinned local itself: to its slot, from which it is loaded again.
    fn write_unpinned(&mut self, inst: Inst, to: Target) -> bool {
        if to.class != L || !self.write(inst, Target { class: S, ..to }) {
            return false;
        }
        let at = self.exec::<Pin>(16);
        self.out.set(at, A, to.slot);
        true
    }

    /// The handler for the best classes of a pair of operands, nearer to slots where there is none.
    fn best_pair(
        &self,
        a: Source,
        b: Source,
        ty: Ty,
        select: impl Fn(Class, Class) -> Option<Handler>,
    ) -> Option<(Handler, Class, Class)> {
        let (x, y) = (self.class(a, ty), self.class(b, ty));
        let plain = if matches!(b, Source::Const(..)) { y } else { S };
        [(x, y), (x, plain), (S, y), (S, plain)]
            .into_iter()
            .find_map(|(x, y)| select(x, y).map(|handler| (handler, x, y)))
    }

    /// Sets a source that is in a slot, if only as a copy.
    pub(super) fn set_source(&mut self, at: u32, offset: usize, source: Source) {
        if let Source::Slot(slot) = source {
            self.out.set(at, offset, slot);
        }
    }

    fn set_operand(&mut self, at: u32, offset: usize, source: Source, class: Class) {
        match (source, class) {
            (Source::Const(bits, _), InWide) => self.out.set(at, W, bits),
            (Source::Const(bits, _), _) => self.out.set(at, offset, bits as u32),
            (Source::Slot(slot), _) => self.out.set(at, offset, slot),
        }
    }

    fn set_target(&mut self, at: u32, to: Target, register: Register) {
        self.out.set(at, D, to.slot);
        self.set_target_register(to, register);
    }

    fn set_target_register(&mut self, to: Target, register: Register) {
        if to.class == L {
            self.caches.forget(to.slot);
        } else {
            self.caches.write(register, to.slot);
        }
    }

    /// The condition that an `i32` is not 0: the comparison that made it, if that was just now and for nothing else.
    pub(super) fn condition(&mut self, source: Source) -> Condition {
        if let Source::Slot(slot) = source
            && let Some(Last { inst: Inst::Binary(op, a, b), .. }) = self.last
            && matches!(shape(op), Shape::Compare(_))
            && self.is_temporary(slot)
            && self.take_back(slot).is_some()
        {
            return Condition::Compare(op, a, b);
        }
        Condition::Test(source)
    }

    /// Writes a branch taken when the outcome of `condition` is `sense`; where its offset stands. `None`: it is never taken.
    pub(super) fn emit_branch(&mut self, condition: Condition, sense: bool) -> Option<(u32, usize)> {
        if let Some(field) = self.emit_step(condition, sense) {
            return Some(field);
        }
        match condition {
            Condition::Test(Source::Const(bits, _)) => {
                if (bits as u32 != 0) != sense {
                    return None;
                }
                let at = self.exec::<super::flow::Br>(16);
                Some((at, A))
            }
            Condition::Test(source) => Some(self.emit_test(source, sense)),
            Condition::Compare(Op::I32Eq, a, Source::Const(0, _)) if matches!(a, Source::Slot(_)) => {
                Some(self.emit_test(a, !sense))
            }
            Condition::Compare(Op::I32Ne, a, Source::Const(0, _)) if matches!(a, Source::Slot(_)) => {
                Some(self.emit_test(a, sense))
            }
            Condition::Compare(op, a, b) => {
                let (op, a, b) = self.possible_pair(op, a, b);
                let (op, sense) = match rows::negated(op) {
                    Some(negated) if !sense => (negated, true),
                    _ => (op, sense),
                };
                let ty = operand_type(op);
                let (handler, x, y) = self.best_pair(a, b, ty, |x, y| rows::branch(op, x, y, sense))?;
                let at = self.instruction(handler, 24 + extra(y));
                self.set_operand(at, A, a, x);
                self.set_operand(at, B, b, y);
                Some((at, 16 + extra(y)))
            }
        }
    }

    /// The end of a counting loop: an addition whose sum is compared, and the branch, as one instruction.
    fn emit_step(&mut self, condition: Condition, sense: bool) -> Option<(u32, usize)> {
        let (op, slot, b) = match condition {
            Condition::Compare(op, Source::Slot(slot), b) => (op, slot, b),
            Condition::Test(Source::Slot(slot)) => (Op::I32Ne, slot, Source::Const(0, slot)),
            _ => return None,
        };
        let last = self.last.filter(|last| last.dst == slot && self.options.fusion)?;
        let Inst::Binary(Op::I32Add, Source::Slot(x), y) = last.inst else { return None };
        let pinned = self.l0 == Some(slot);
        if b == Source::Slot(slot) || (pinned && x != slot) {
            return None;
        }
        let op = if sense { op } else { rows::negated(op)? };
        let class = |source| if matches!(source, Source::Const(..)) { K } else { S };
        let handler = rows::step(op, if pinned { L } else { S }, class(y), class(b))?;
        self.take_back_last(last);
        let at = self.instruction(handler, 24);
        self.out.set(at, A, x);
        self.set_operand(at, B, y, class(y));
        self.set_operand(at, arith::LIMIT, b, class(b));
        self.set_target(at, Target { class: if pinned { L } else { S }, slot }, Register::Integer);
        Some((at, arith::STEP_OFFSET))
    }

    /// A branch on whether an `i32` has one of some bits set.
    fn emit_bit_test(&mut self, source: Source, sense: bool) -> Option<(u32, usize)> {
        let Source::Slot(slot) = source else { return None };
        let last =
            self.last.filter(|last| last.dst == slot && self.is_temporary(slot) && self.options.fusion)?;
        let Inst::Binary(Op::I32And, a, b) = last.inst else { return None };
        self.take_back_last(last);
        // There is one for slots, as a test makes sure.
        let (handler, x, y) = self.best_pair(a, b, Ty::i32, |x, y| super::select::bit_test(x, y, sense))?;
        let at = self.instruction(handler, 24);
        self.set_operand(at, A, a, x);
        self.set_operand(at, B, b, y);
        Some((at, 16))
    }

    fn emit_test(&mut self, source: Source, sense: bool) -> (u32, usize) {
        if let Some(field) = self.emit_bit_test(source, sense) {
            return field;
        }
        let handler = match (self.class(source, Ty::i32), sense) {
            (InAcc, true) => handler::<BrIf<Acc, true>>(),
            (InAcc, false) => handler::<BrIf<Acc, false>>(),
            (L, true) => handler::<BrIf<Pinned, true>>(),
            (L, false) => handler::<BrIf<Pinned, false>>(),
            (_, true) => handler::<BrIf<Slot, true>>(),
            (_, false) => handler::<BrIf<Slot, false>>(),
        };
        let at = self.instruction(handler, 16);
        self.set_source(at, A, source);
        (at, B)
    }

    /// An address that was just computed as a sum for nothing else: its summands, the one in a register first. The addition is
    /// taken back.
    pub(super) fn sum(&mut self, address: Source) -> Option<(Source, Source)> {
        let Source::Slot(slot) = address else { return None };
        let last =
            self.last.filter(|last| last.dst == slot && self.is_temporary(slot) && self.options.fusion)?;
        let Inst::Binary(Op::I32Add, a, b) = last.inst else { return None };
        self.take_back_last(last);
        let in_register = |source| matches!(self.class(source, Ty::i32), InAcc | L);
        Some(if !in_register(a) && in_register(b) { (b, a) } else { (a, b) })
    }

    /// A store at a sum, if the address is one; tells whether it was written.
    fn emit_store_sum(&mut self, op: Op, address: Source, value: Source, offset: u32) -> bool {
        let y = match value {
            Source::Const(bits, _) => {
                // Immediates are sign-extended from 32 bits.
                let narrow = matches!(op, Op::I32Store | Op::I32Store8 | Op::I32Store16);
                if !narrow && i32::try_from(bits as i64).is_err() {
                    return false;
                }
                K
            }
            Source::Slot(_) => S,
        };
        let Some((a, b)) = self.sum(address) else { return false };
        let class = |source| if matches!(source, Source::Const(..)) { K } else { S };
        let x = if self.class(a, Ty::i32) == L { L } else { S };
        // There is one for each of these classes, as a test makes sure.
        let Some(handler) = rows::store_sum(op, x, class(b), y) else { return false };
        let at = self.instruction(handler, 24);
        self.set_source(at, A, a);
        self.set_operand(at, super::memory::SUMMAND, b, class(b));
        self.set_operand(at, if y == K { super::memory::VALUE } else { D }, value, y);
        self.out.set(at, B, offset);
        true
    }

    /// Writes a store.
    pub(super) fn emit_store(
        &mut self,
        op: Op,
        address: Source,
        value: Source,
        offset: u32,
        memory: Option<u32>,
    ) {
        let Shape::Store(ty) = shape(op) else { return };
        // The bits are stored, of whatever type: constants as those of integers.
        let (op, ty) = match (op, value) {
            (Op::F32Store, Source::Const(..)) => (Op::I32Store, Ty::i32),
            (Op::F64Store, Source::Const(..)) => (Op::I64Store, Ty::i64),
            _ => (op, ty),
        };
        if memory.is_none() && self.emit_store_sum(op, address, value, offset) {
            return;
        }
        let (address, offset) = self.possible_address(address, offset, memory.is_some());
        let value = match (address, value) {
            (_, Source::Const(..)) if memory.is_some() => Source::Slot(self.in_slot(value)),
            (Source::Const(..), Source::Const(..)) => Source::Slot(self.in_slot(value)),
            _ => value,
        };
        let x = self.class(address, Ty::i32);
        let y = match self.class(value, ty) {
            K => InWide,
            class => class,
        };
        let plain = if y == InWide { y } else { S };
        let rough = if x == K { K } else { S };
        let classes =
            if memory.is_some() { [(S, S); 4] } else { [(x, y), (x, plain), (rough, y), (rough, plain)] };
        let found = classes
            .into_iter()
            .find_map(|(x, y)| rows::store(op, x, y, memory.is_some()).map(|handler| (handler, y)));
        let Some((handler, y)) = found else {
            debug_assert!(false, "no handler for {op:?} of {address:?}, {value:?}");
            return;
        };
        let size = if memory.is_some() { 24 } else { 16 + extra(y) };
        let at = self.instruction(handler, size);
        self.set_source(at, A, address);
        self.set_operand(at, D, value, y);
        self.out.set(at, B, offset);
        if let Some(memory) = memory {
            self.out.set(at, MEMORY, memory);
        }
    }

    /// Lets the branch whose offset stands at `(at, field)` go to cell `to`.
    pub(super) fn patch(out: &mut Writer, (at, field): (u32, usize), to: u32) {
        // A body has at most 7,654,321 bytes and an operator at most a few cells, so the distance fits.
        let offset = (i64::from(to) - i64::from(at)) * size_of::<u64>() as i64;
        out.set(at, field, offset as i32);
    }
}

/// Bytes by which an immediate lengthens an instruction.
const fn extra(class: Class) -> usize {
    match class {
        InWide => 8,
        _ => 0,
    }
}

/// Type of the operands of a binary operator or comparison.
pub(super) const fn operand_type(op: Op) -> Ty {
    match shape(op) {
        Shape::Binary(ty, _) | Shape::Compare(ty) => ty,
        _ => Ty::i32,
    }
}

fn register_of(inst: &Inst) -> Register {
    match inst {
        Inst::Unary(op, _)
        | Inst::Binary(op, ..)
        | Inst::Load(op, ..)
        | Inst::LoadSum(op, ..)
        | Inst::LoadFar(op, ..) => match shape(*op) {
            Shape::Unary(_, ty) | Shape::Binary(_, ty) | Shape::Load(ty) => Register::of(ty),
            _ => Register::Integer,
        },
        Inst::Copy(_) | Inst::Select(..) | Inst::Global(..) | Inst::Vector(_) => Register::Integer,
    }
}

/// Can the operation make a NaN that was not there before, or another one?
fn makes_nans(inst: &Inst) -> bool {
    let (Inst::Unary(op, _) | Inst::Binary(op, ..)) = inst else { return false };
    if register_of(inst) == Register::Integer {
        return false;
    }
    !matches!(
        op,
        Op::F32Abs
            | Op::F32Neg
            | Op::F32Copysign
            | Op::F64Abs
            | Op::F64Neg
            | Op::F64Copysign
            | Op::F32ReinterpretI32
            | Op::F64ReinterpretI64
            | Op::F32ConvertI32S
            | Op::F32ConvertI32U
            | Op::F32ConvertI64S
            | Op::F32ConvertI64U
            | Op::F64ConvertI32S
            | Op::F64ConvertI32U
            | Op::F64ConvertI64S
            | Op::F64ConvertI64U
    )
}
