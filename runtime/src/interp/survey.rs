//! A first look at a function body, before it is translated: which local is used most, and which may be read before they are
//! set.

use crate::error::Result;
use crate::types::{FuncType, ValType};
use alloc::vec::Vec;
use wasmparser::{Operator, ValType as T};

/// What translation wants to know beforehand.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The slot of the integer local with the most uses, each loop counting eightfold; `None` when none is used more than once.
    pub(super) most_used: Option<u16>,
    /// Slots of locals that must begin as zero, in runs: the first and how many. All others are set before they are read.
    pub(super) unset: Vec<(u16, u32)>,
    /// Where the locals lie.
    pub(super) locals: Locals,
}

/// Where locals lie in a frame: one after the other, a v128 in two slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Locals {
    /// Those of type v128, ascending.
    wide: Vec<u32>,
}

impl Locals {
    /// The (first) slot of a local.
    pub(super) fn slot(&self, local: u32) -> u32 {
        match self.wide.is_empty() {
            true => local,
            false => local.saturating_add(self.wide.partition_point(|wide| *wide < local) as u32),
        }
    }

    /// Is a local a v128?
    pub(super) fn is_wide(&self, local: u32) -> bool {
        !self.wide.is_empty() && self.wide.binary_search(&local).is_ok()
    }
}

/// Runs of unset locals with fewer others between them are cleared as one.
const GAP: u32 = 4;

/// Which locals were set for certain, as far as the operators were read. What a block sets is forgotten at its end, since
/// branches may have left it before.
#[derive(Debug, Default)]
struct Sets {
    set: Vec<bool>,
    read_unset: Vec<bool>,
    /// Locals that became set, in order.
    order: Vec<u32>,
    /// For each open block, how many had become set before it.
    blocks: Vec<usize>,
}

impl Sets {
    fn read(&mut self, local: u32) {
        if let Some(false) = self.set.get(local as usize) {
            self.read_unset[local as usize] = true;
        }
    }

    fn write(&mut self, local: u32) {
        if let Some(set @ false) = self.set.get_mut(local as usize) {
            *set = true;
            self.order.push(local);
        }
    }

    fn forget(&mut self, down_to: usize) {
        for local in self.order.drain(down_to.min(self.order.len())..) {
            self.set[local as usize] = false;
        }
    }
}

/// Reads a validated body whose parameters and other locals take `locals` slots.
pub(super) fn survey(body: &wasmparser::FunctionBody<'_>, ty: &FuncType, locals: u32) -> Result<Survey> {
    let mut integer: Vec<bool> =
        ty.params().iter().map(|ty| matches!(ty, ValType::I32 | ValType::I64)).collect();
    let mut sets = Sets { set: alloc::vec![true; integer.len()], ..Sets::default() };
    let wide = ty.params().iter().enumerate().filter(|(_, ty)| **ty == ValType::V128);
    let mut wide: Vec<u32> = wide.map(|(i, _)| i as u32).collect();
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        let room = (locals as usize).saturating_sub(integer.len());
        if ty == T::V128 {
            wide.extend((integer.len() as u32..).take(room.min(count as usize)));
        }
        integer.extend(core::iter::repeat_n(matches!(ty, T::I32 | T::I64), room.min(count as usize)));
    }
    let locals = Locals { wide };
    sets.set.resize(integer.len(), false);
    sets.read_unset.resize(integer.len(), false);
    let mut uses = alloc::vec![0u64; integer.len()];
    let mut loops: Vec<bool> = Vec::new();
    let mut depth = 0u32;
    for op in body.get_operators_reader()? {
        let op = op?;
        match op {
            Operator::Loop { .. }
            | Operator::Block { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => {
                let is_loop = matches!(op, Operator::Loop { .. });
                loops.push(is_loop);
                depth += u32::from(is_loop);
                sets.blocks.push(sets.order.len());
            }
            Operator::Else | Operator::Catch { .. } | Operator::CatchAll => {
                if let Some(&before) = sets.blocks.last() {
                    sets.forget(before);
                }
            }
            Operator::End | Operator::Delegate { .. } => {
                depth -= u32::from(loops.pop().unwrap_or(false));
                if let Some(before) = sets.blocks.pop() {
                    sets.forget(before);
                }
            }
            Operator::LocalGet { local_index } => sets.read(local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                sets.write(local_index)
            }
            _ => {}
        }
        if let Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } = op
            && let Some(uses) = uses.get_mut(local_index as usize)
        {
            *uses = uses.saturating_add(1 << (3 * depth.min(12)));
        }
    }
    let best = uses.iter().zip(&integer).enumerate().filter(|(_, (uses, integer))| **integer && **uses > 1);
    let best = best.max_by_key(|(i, (uses, _))| (**uses, core::cmp::Reverse(*i)));
    let mut unset: Vec<(u16, u32)> = Vec::new();
    for (local, _) in sets.read_unset.iter().enumerate().filter(|(_, unset)| **unset) {
        let Ok(slot) = u16::try_from(locals.slot(local as u32)) else { break };
        let slots = if locals.is_wide(local as u32) { 2 } else { 1 };
        match unset.last_mut() {
            Some((first, count)) if u32::from(slot - *first) <= *count + GAP => {
                *count = u32::from(slot - *first) + slots;
            }
            _ => unset.push((slot, slots)),
        }
    }
    let most_used = best.and_then(|(i, _)| u16::try_from(locals.slot(i as u32)).ok());
    Ok(Survey { most_used, unset, locals })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Survey {
        let wasm = wat::parse_str(alloc::format!("(module (func (param i32) {text}))")).unwrap();
        for payload in wasmparser::Parser::new(0).parse_all(&wasm) {
            if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
                return survey(&body, &FuncType::new([ValType::I32], []), 10).unwrap();
            }
        }
        panic!("no function");
    }

    #[test]
    fn a_local_that_is_set_first_need_not_be_cleared() {
        let survey =
            of("(local i32 i32) (local.set 1 (local.get 0)) (drop (local.get 1)) (drop (local.get 2))");
        assert_eq!(survey.unset, [(2, 1)]);
    }

    #[test]
    fn a_vector_takes_two_slots() {
        let text = "(local v128 i32 v128 i64) (drop (local.get 1)) (drop (local.get 3))
            (loop (local.set 4 (i64.add (local.get 4) (i64.const 1))))";
        let survey = of(text);
        assert_eq!((survey.most_used, &*survey.unset), (Some(6), &[(1, 6)][..]));
        let slots: Vec<u32> = (0..5).map(|local| survey.locals.slot(local)).collect();
        assert_eq!(slots, [0, 1, 3, 4, 6]);
        assert!(survey.locals.is_wide(3) && !survey.locals.is_wide(2));
    }

    #[test]
    fn what_a_block_sets_is_not_certain_behind_it() {
        let block = "(local i32) (block (br_if 0 (local.get 0)) (local.set 1 (i32.const 1)))";
        assert_eq!(of(&alloc::format!("{block} (drop (local.get 1))")).unset, [(1, 1)]);
        let arms =
            "(local i32) (if (local.get 0) (then (local.set 1 (i32.const 1))) (else (drop (local.get 1))))";
        assert_eq!(of(arms).unset, [(1, 1)]);
        let inside = "(local i32) (loop (local.set 1 (i32.const 1)) (block (br_if 1 (local.get 1))))";
        assert_eq!(of(inside).unset, []);
    }

    #[test]
    fn the_most_used_local_is_that_of_the_inner_loop() {
        let text = "(local i32) (drop (local.get 0)) (drop (local.get 0)) (drop (local.get 0))
            (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))))";
        assert_eq!(of(text).most_used, Some(1));
    }
}
