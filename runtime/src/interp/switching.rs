//! Stack switching in the interpreter (proposal "stack-switching"): operands go to slots in a row, a builtin does the work.
//!
//! When a builtin comes back the frame is as it was, whichever stacks were run on meanwhile. A `resume` answers which of its
//! handlers was chosen; each leads to code that takes its values from the operands' slots to the label.

use super::bulk::FIRST;
use super::flow::status_word;
use super::state::{A, D, Exec, Flow, State};
use super::translate::{Translator, impossible};
use super::unwind::{Leave, check};
use crate::error::Result;
use crate::module::{TagIdx, TypeIdx};
use crate::types::ValType;
use crate::vm::Status;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use wasmparser::{Handle, ResumeTable};

// Operands: `A` the first slot, `D` the slot behind all that live, then words.
const SECOND: usize = 16;
const THIRD: usize = 20;
const TAG: usize = 24;
/// Where a `resume` has its handlers, behind which their targets stand.
const HANDLERS: usize = 32;

/// Tells the collector, and what runs on this stack next, where live slots end.
#[inline(always)]
unsafe fn publish(s: &State) {
    // SAFETY: I2, I4.
    unsafe { (*(*s.ctx).store).value_stack_top = s.slot_at(D) };
}

macro_rules! switching {
    ($($(#[$doc:meta])* $name:ident = $builtin:ident($($operand:expr),*);)*) => { $(
        $(#[$doc])*
        struct $name;
        impl Exec for $name {
            const SIZE: usize = 32;
            #[inline(always)]
            unsafe fn exec(s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2, I4.
                unsafe {
                    publish(s);
                    let builtins = (*s.ctx).builtins;
                    let status = ((*builtins).$builtin)(s.ctx $(, s.operand($operand))*, s.slot_at(A));
                    s.reload_memory();
                    check(s, status)
                }
            }
        }
    )* };
}
switching! {
    /// `cont.new`: slots of the parameters, slots that a call needs.
    ContNew = cont_new(FIRST, SECOND);
    /// `cont.bind`: slots of the values given.
    ContBind = cont_bind(FIRST);
    /// `suspend`: tag, slots of its parameters and results.
    Suspend = suspend(TAG, FIRST, SECOND);
    /// `switch`: tag, slots of the values given and of those that come back.
    Switch = switch_to(TAG, FIRST, SECOND);
}

/// How a continuation is gone on with.
const RESUME: u8 = 0;
/// With an exception of a tag.
const THROW: u8 = 1;
/// With an exception.
const THROW_REF: u8 = 2;

/// `resume` and its like: slots of the values given and of the results, how many handlers, tag; handlers, targets.
struct Resume<const HOW: u8>;

impl<const HOW: u8> Exec for Resume<HOW> {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I1, I2, I4; there is one target more than there are handlers.
        unsafe {
            publish(s);
            let builtins = &*(*s.ctx).builtins;
            let (given, results, count) = (s.operand(FIRST), s.operand(SECOND), s.operand::<u32>(THIRD));
            let (handlers, values) = (s.ip.wrapping_add(HANDLERS).cast_mut().cast::<u64>(), s.slot_at(A));
            let answer = match HOW {
                RESUME => (builtins.resume)(s.ctx, given, results, handlers, count, values),
                THROW => {
                    let tag = s.operand(TAG);
                    (builtins.resume_throw)(s.ctx, tag, given, results, handlers, count, values)
                }
                _ => (builtins.resume_throw_ref)(s.ctx, results, handlers, count, values),
            };
            s.reload_memory();
            let status = Status((answer >> 32) as u32);
            if !status.is_ok() {
                s.acc = status_word(status);
                return Flow::Cold(super::dispatch::cold::<Leave>());
            }
            let targets = handlers.wrapping_add(count as usize).cast::<i32>();
            let offset = *targets.wrapping_add(answer as u32 as usize);
            s.ip = s.ip.wrapping_offset(offset as isize);
            Flow::Jump
        }
    }
}

impl Translator<'_> {
    /// The operands of an operator, `slots` of them, into their own slots and off the stack; room for as many as it needs.
    /// Gives the height where they begin.
    fn values(&mut self, slots: usize, needs: usize) -> Result<usize> {
        let height = self.stack.len().checked_sub(slots).ok_or_else(|| impossible("an empty stack"))?;
        self.settle(height, true);
        self.reserve(height + needs.max(slots))?;
        self.truncate(height);
        Ok(height)
    }

    /// Writes an instruction on values from `height` on.
    fn switching<E: Exec>(&mut self, height: usize, needs: usize, size: usize) -> u32 {
        let (first, top) = (self.slot(height), self.slot(height + needs));
        let at = self.exec::<E>(size);
        self.out.set(at, A, first);
        self.out.set(at, D, top);
        at
    }

    fn came_back(&mut self, types: &[ValType]) -> Result<()> {
        self.label();
        self.push_values(types)
    }

    pub(super) fn cont_new(&mut self, ty: u32) -> Result<()> {
        let func = self.info.cont_signature(TypeIdx(ty)).clone();
        let height = self.values(1, 1)?;
        let at = self.switching::<ContNew>(height, 1, 32);
        self.out.set(at, FIRST, func.param_slots() as u32);
        self.out.set(at, SECOND, func.call_slots() as u32);
        self.label();
        self.push().map(drop)
    }

    pub(super) fn cont_bind(&mut self, from: u32, to: u32) -> Result<()> {
        let (from, to) =
            (self.info.cont_signature(TypeIdx(from)).clone(), self.info.cont_signature(TypeIdx(to)));
        let given = from.param_slots().saturating_sub(to.param_slots());
        let height = self.values(given + 1, 1)?;
        let at = self.switching::<ContBind>(height, given + 1, 32);
        self.out.set(at, FIRST, given as u32);
        self.label();
        self.push().map(drop)
    }

    pub(super) fn suspend(&mut self, tag: u32) -> Result<()> {
        let ty = self.info.tag_type(TagIdx(tag)).clone();
        let needs = ty.call_slots();
        let height = self.values(ty.param_slots(), needs)?;
        let at = self.switching::<Suspend>(height, needs, 32);
        self.out.set(at, TAG, tag);
        self.out.set(at, FIRST, ty.param_slots() as u32);
        self.out.set(at, SECOND, ty.result_slots() as u32);
        self.came_back(ty.results())
    }

    pub(super) fn switch(&mut self, ty: u32, tag: u32) -> Result<()> {
        let func = self.info.cont_signature(TypeIdx(ty)).clone();
        let back = self.info.switch_results(TypeIdx(ty)).ok_or_else(|| impossible("a switch to nowhere"))?;
        let (given, back) = (func.param_slots() - 1, back.clone());
        let needs = (given + 1).max(back.param_slots());
        let height = self.values(given + 1, needs)?;
        let at = self.switching::<Switch>(height, needs, 32);
        self.out.set(at, TAG, tag);
        self.out.set(at, FIRST, given as u32);
        self.out.set(at, SECOND, back.param_slots() as u32);
        self.came_back(back.params())
    }

    pub(super) fn resume(&mut self, ty: u32, table: &ResumeTable) -> Result<()> {
        let given = self.info.cont_signature(TypeIdx(ty)).param_slots();
        self.resume_by::<RESUME>(ty, table, given, 0)
    }

    pub(super) fn resume_throw(&mut self, ty: u32, tag: u32, table: &ResumeTable) -> Result<()> {
        let given = self.info.tag_type(TagIdx(tag)).param_slots();
        self.resume_by::<THROW>(ty, table, given, tag)
    }

    pub(super) fn resume_throw_ref(&mut self, ty: u32, table: &ResumeTable) -> Result<()> {
        self.resume_by::<THROW_REF>(ty, table, 1, 0)
    }

    fn resume_by<const HOW: u8>(
        &mut self,
        ty: u32,
        table: &ResumeTable,
        given: usize,
        tag: u32,
    ) -> Result<()> {
        let results = self.info.cont_signature(TypeIdx(ty)).clone();
        let payload = |handle: &Handle| match handle {
            Handle::OnLabel { tag, .. } => self.info.tag_type(TagIdx(*tag)).param_slots() + 1,
            Handle::OnSwitch { .. } => 0,
        };
        let most = table.handlers.iter().map(payload).max().unwrap_or(0);
        let needs = (given + 1).max(results.result_slots()).max(most);
        let count = table.handlers.len();
        let height = self.values(given + 1, needs)?;
        let targets = HANDLERS + 8 * count;
        let at = self.switching::<Resume<HOW>>(height, needs, targets + 4 * (count + 1));
        self.out.set(at, FIRST, given as u32);
        self.out.set(at, SECOND, results.result_slots() as u32);
        self.out.set(at, THIRD, count as u32);
        self.out.set(at, TAG, tag);
        // Handlers of one label share the code that goes there.
        let mut landings: BTreeMap<u32, (u32, Vec<usize>)> = BTreeMap::new();
        for (i, handle) in table.handlers.iter().enumerate() {
            let (tag, switches) = match *handle {
                Handle::OnLabel { tag, label } => {
                    landings.entry(label).or_insert((tag, Vec::new())).1.push(targets + 4 * (i + 1));
                    (tag, 0)
                }
                Handle::OnSwitch { tag } => (tag, 1),
            };
            self.out.set(at, HANDLERS + 8 * i, u64::from(tag) << 1 | switches);
        }
        for (label, (tag, fields)) in landings {
            let here = self.out.position();
            for field in fields {
                Translator::patch(&mut self.out, (at, field), here);
            }
            self.label();
            self.push_values(self.info.tag_type(TagIdx(tag)).clone().params())?;
            self.push()?;
            let control = self.control_at(label)?;
            self.jump(control)?;
            self.truncate(height);
        }
        let here = self.out.position();
        Translator::patch(&mut self.out, (at, targets), here);
        self.came_back(results.results())
    }
}
