//! Vectors in the interpreter: how operators on `v128` are translated.
//!
//! A v128 takes two slots one behind the other, lower half first, on the operand stack as in locals. So whatever moves slots
//! (labels, calls, returns) moves vectors without knowing it, and only `drop`, `select` and accesses to locals and globals ask
//! for types. No register keeps a vector between instructions: operands come from slots, results go there.

mod exec;
mod rows;

use super::dispatch::handler;
use super::emit::{Inst, Last, Register, Source};
use super::state::{A, B, D, W};
use super::translate::{Translator, impossible};
use crate::error::Result;
use crate::ops::Op;
use exec::{C, MEMORY, SECOND};
use rows::Shape;
use wasmparser::Operator;

pub(super) use rows::Lanes;

#[cfg(test)]
pub(super) use rows::handlers;

/// An operation that leaves a vector, or a scalar that it takes out of one. All operands are in slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Vector {
    /// An operator on up to three operands; in place of the third, the lane that `extract` and `replace` name.
    Lanes(Op, [u16; 3]),
    /// A shift by a constant.
    ShiftBy(Op, u16, u32),
    /// A load.
    Load(Op, Access),
    /// A load to a lane of a vector.
    LoadLane(Op, Access, u16, u8),
    /// `v128.const`: lower and upper half.
    Const(u64, u64),
    /// `i8x16.shuffle`
    Shuffle(u16, u16, [u8; 16]),
    /// Two slots' bits.
    Copy(u16),
    /// The first when the third, an `i32`, is not 0, else the second.
    Select(u16, u16, u16),
    /// A global, whether it is the instance's own, and its offset in the instance.
    Global(bool, u32),
}

/// Where memory is accessed: the address's slot, the offset, how the memory is reached, and where the instance keeps the pointer
/// to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access {
    address: u16,
    offset: u64,
    reach: u8,
    memory: u32,
}

impl Translator<'_> {
    /// Translates an operator of the table's second half.
    pub(super) fn vector(&mut self, op: Op, operator: &Operator<'_>) -> Result<()> {
        match rows::shape(op) {
            Shape::Unary(_) => {
                let a = self.pop_vector()?;
                self.leave(Vector::Lanes(op, [a, 0, 0]))
            }
            Shape::Binary(_) => {
                let (b, a) = (self.pop_vector()?, self.pop_vector()?);
                self.leave(Vector::Lanes(op, [a, b, 0]))
            }
            Shape::Ternary(_) => {
                let (c, b, a) = (self.pop_vector()?, self.pop_vector()?, self.pop_vector()?);
                self.leave(Vector::Lanes(op, [a, b, c]))
            }
            Shape::Shift => {
                let by = self.pop()?;
                let a = self.pop_vector()?;
                match by {
                    Source::Const(bits, _) => self.leave(Vector::ShiftBy(op, a, bits as u32)),
                    Source::Slot(by) => self.leave(Vector::Lanes(op, [a, by, 0])),
                }
            }
            Shape::Splat => {
                let a = self.pop()?;
                let a = self.in_slot(a);
                self.leave(Vector::Lanes(op, [a, 0, 0]))
            }
            Shape::Extract(_) => {
                let lane = rows::lane(operator).ok_or_else(|| impossible("a lane without number"))?;
                let a = self.pop_vector()?;
                let slot = self.push()?;
                self.emit_vector(Vector::Lanes(op, [a, 0, lane.into()]), slot);
                Ok(())
            }
            Shape::Replace => {
                let lane = rows::lane(operator).ok_or_else(|| impossible("a lane without number"))?;
                let b = self.pop()?;
                let b = self.in_slot(b);
                let a = self.pop_vector()?;
                self.leave(Vector::Lanes(op, [a, b, lane.into()]))
            }
            Shape::Reduce => {
                let a = self.pop_vector()?;
                let slot = self.push()?;
                self.emit_vector(Vector::Lanes(op, [a, 0, 0]), slot);
                Ok(())
            }
            Shape::Load => {
                let access = self.access(operator)?;
                self.leave(Vector::Load(op, access))
            }
            Shape::LoadLane => {
                let lane = rows::lane(operator).ok_or_else(|| impossible("a lane without number"))?;
                let a = self.pop_vector()?;
                let access = self.access(operator)?;
                self.leave(Vector::LoadLane(op, access, a, lane))
            }
            Shape::Store | Shape::StoreLane => {
                let a = self.pop_vector()?;
                let access = self.access(operator)?;
                let at = self.access_memory(op, access, 24)?;
                self.out.set(at, D, a);
                if let Some(lane) = rows::lane(operator) {
                    self.out.set(at, SECOND + 2, u16::from(lane));
                }
                Ok(())
            }
            Shape::Custom => match *operator {
                Operator::V128Const { value } => self.push_wide_const(u128::from_le_bytes(*value.bytes())),
                Operator::I8x16Shuffle { lanes } => {
                    let (b, a) = (self.pop_vector()?, self.pop_vector()?);
                    self.leave(Vector::Shuffle(a, b, lanes))
                }
                _ => Err(impossible("a vector operator without translation")),
            },
        }
    }

    /// Pushes the vector that an operation makes.
    fn leave(&mut self, vector: Vector) -> Result<()> {
        let slot = self.push_wide()?;
        self.emit_vector(vector, slot);
        Ok(())
    }

    /// Takes a vector off; its slots.
    fn pop_vector(&mut self) -> Result<u16> {
        let (lower, upper) = self.pop_wide()?;
        Ok(self.wide_in_slots(lower, upper))
    }

    pub(super) fn wide_in_slots(&mut self, lower: Source, upper: Source) -> u16 {
        match (lower, upper) {
            (Source::Const(lower, slot), Source::Const(upper, _)) => {
                self.emit_vector(Vector::Const(lower, upper), slot);
                slot
            }
            (lower, upper) => {
                // Halves are pushed and brought into their own slots together.
                let slot = self.in_slot(lower);
                debug_assert_eq!(upper, Source::Slot(slot + 1));
                slot
            }
        }
    }

    /// Takes an address off.
    fn access(&mut self, operator: &Operator<'_>) -> Result<Access> {
        let memarg = rows::memarg(operator).ok_or_else(|| impossible("a load without memory"))?;
        let (offset, reach, memory) = match self.far(&memarg)? {
            #[cfg(shared_memory)]
            Some(far) if far.way == super::far::Way::Shared => (far.offset, exec::SHARED, far.memory),
            Some(far) => (far.offset, exec::FAR, far.memory),
            None => match self.memarg(memarg)? {
                (offset, None) => (offset.into(), exec::MEMORY0, 0),
                (offset, Some(memory)) => (offset.into(), exec::OTHER, memory),
            },
        };
        let address = self.pop()?;
        Ok(Access { address: self.in_slot(address), offset, reach, memory })
    }

    /// Begins an instruction that accesses memory and takes `near` bytes for memory 0.
    fn access_memory(&mut self, op: Op, access: Access, near: usize) -> Result<u32> {
        let handler = rows::access(op, access.reach);
        let handler = handler.ok_or_else(|| impossible("a vector operator without handler"))?;
        let at = self.instruction(handler, exec::size(access.reach, near));
        self.out.set(at, A, access.address);
        match access.reach {
            exec::FAR | exec::SHARED => self.out.set(at, exec::OFFSET, access.offset),
            _ => self.out.set(at, B, access.offset as u32),
        }
        if access.reach != exec::MEMORY0 {
            self.out.set(at, MEMORY, access.memory);
        }
        Ok(at)
    }

    pub(super) fn select_wide(&mut self, condition: Source) -> Result<()> {
        let (b, a) = (self.pop_wide()?, self.pop_wide()?);
        if let Source::Const(bits, _) = condition {
            let (lower, upper) = if bits as u32 != 0 { a } else { b };
            let dying = matches!(lower, Source::Slot(from) if self.is_temporary(from));
            let slot = self.push_wide()?;
            self.emit_wide_copy(lower, upper, slot, dying);
            return Ok(());
        }
        let condition = self.in_slot(condition);
        let (a, b) = (self.wide_in_slots(a.0, a.1), self.wide_in_slots(b.0, b.1));
        self.leave(Vector::Select(a, b, condition))
    }

    pub(super) fn global_get_wide(&mut self, own: bool, offset: u32) -> Result<()> {
        self.leave(Vector::Global(own, offset))
    }

    pub(super) fn global_set_wide(&mut self, own: bool, offset: u32) -> Result<()> {
        let a = self.pop_vector()?;
        let at = match own {
            true => self.exec::<exec::GlobalSet<true>>(16),
            false => self.exec::<exec::GlobalSet<false>>(16),
        };
        self.out.set(at, A, a);
        self.out.set(at, B, offset);
        Ok(())
    }

    /// Writes a vector to the slots from `slot` on; if the last instruction made it for nothing else, lets that write there.
    pub(super) fn emit_wide_copy(&mut self, lower: Source, upper: Source, slot: u16, dying: bool) {
        match (lower, upper) {
            (Source::Const(lower, _), Source::Const(upper, _)) => {
                self.emit_vector(Vector::Const(lower, upper), slot);
            }
            (Source::Slot(from), _) if from == slot => {}
            (Source::Slot(from), _) => {
                // The last instruction may also have brought but one half to its slot.
                let whole = dying && matches!(self.last_inst(), Some(Inst::Vector(_)));
                match if whole { self.take_back(from) } else { None } {
                    Some(last) => self.emit_again(last, slot),
                    None => self.emit_vector(Vector::Copy(from), slot),
                }
            }
            (Source::Const(..), Source::Slot(_)) => debug_assert!(false, "half a constant"),
        }
    }

    /// Writes the operation that leaves its value in `slot`, and the one after it if that is a vector.
    pub(super) fn emit_vector(&mut self, vector: Vector, slot: u16) {
        let (previous, end) = (self.last, self.out.position());
        let before = self.caches;
        let Some(at) = self.write_vector(vector) else {
            debug_assert!(false, "no handler for {vector:?}");
            return;
        };
        self.out.set(at, D, slot);
        let shape = match vector {
            Vector::Lanes(op, _) => Some(rows::shape(op)),
            _ => None,
        };
        match shape {
            Some(Shape::Extract(ty)) => self.caches.write(Register::of(ty), slot),
            Some(Shape::Reduce) => self.caches.write(Register::Integer, slot),
            _ => {
                self.caches.forget(slot);
                self.caches.forget(slot + 1);
            }
        }
        if self.l0 == Some(slot) {
            let at = self.exec::<super::arith::Pin>(16);
            self.out.set(at, A, slot);
        }
        let makes_nans = match shape {
            Some(Shape::Unary(lanes) | Shape::Binary(lanes) | Shape::Ternary(lanes)) => lanes,
            _ => None,
        };
        if let Some(lanes) = makes_nans.filter(|_| self.options.canonicalize_nans) {
            let handler = match lanes {
                Lanes::f32x4 => handler::<exec::Canonical<true>>(),
                _ => handler::<exec::Canonical<false>>(),
            };
            let canonical = self.instruction(handler, 16);
            self.out.set(canonical, D, slot);
        }
        let inst = Inst::Vector(vector);
        self.last = Some(Last { at, origin: self.offset, inst, dst: slot, before });
        self.before_last = previous.filter(|_| end == at);
    }

    /// Writes an operation without its destination.
    fn write_vector(&mut self, vector: Vector) -> Option<u32> {
        let at = match vector {
            Vector::Lanes(op, [a, b, c]) => {
                let at = self.instruction(rows::lanes(op)?, 16);
                self.out.set(at, A, a);
                self.out.set(at, B, b);
                self.out.set(at, C, c);
                at
            }
            Vector::ShiftBy(op, a, by) => {
                let at = self.instruction(rows::shift_by(op)?, 16);
                self.out.set(at, A, a);
                self.out.set(at, B, by);
                at
            }
            Vector::Load(op, access) => self.access_memory(op, access, 16).ok()?,
            Vector::LoadLane(op, access, a, lane) => {
                let at = self.access_memory(op, access, 24).ok()?;
                self.out.set(at, SECOND, a);
                self.out.set(at, SECOND + 2, u16::from(lane));
                at
            }
            Vector::Const(lower, upper) => {
                let at = self.exec::<exec::Const>(32);
                self.out.set(at, W, lower);
                self.out.set(at, W + 8, upper);
                at
            }
            Vector::Shuffle(a, b, lanes) => {
                let at = self.exec::<exec::Shuffle>(32);
                self.out.set(at, A, a);
                self.out.set(at, B, b);
                let lanes = crate::simd::V128::from(lanes).u64x2();
                self.out.set(at, W, lanes[0]);
                self.out.set(at, W + 8, lanes[1]);
                at
            }
            Vector::Copy(a) => {
                let at = self.exec::<exec::Copy>(16);
                self.out.set(at, A, a);
                at
            }
            Vector::Select(a, b, c) => {
                let at = self.exec::<exec::Select>(16);
                self.out.set(at, A, a);
                self.out.set(at, B, b);
                self.out.set(at, C, c);
                at
            }
            Vector::Global(own, offset) => {
                let at = match own {
                    true => self.exec::<exec::GlobalGet<true>>(16),
                    false => self.exec::<exec::GlobalGet<false>>(16),
                };
                self.out.set(at, B, offset);
                at
            }
        };
        Some(at)
    }
}
