//! Stack switching (proposal "stack-switching"): operands go to slots in this frame, a builtin does the work, results come back
//! in the same slots. Whatever stacks were run on meanwhile, a builtin returns like any other call.
//!
//! A `resume` answers which of its handlers was chosen; a jump table leads on.

use super::LeftOut;
use super::call::{load_slots, store_slots};
use super::func::Translation;
use cranelift_codegen::ir::{InstBuilder, JumpTableData, MemFlagsData, Value, types};
use mini_wasm_runtime::module::{TagIdx, TypeIdx};
use mini_wasm_runtime::types::{FuncType, RefType, ValType};
use wasmparser::{Handle, Operator, ResumeTable};

/// What a handler gets behind its values: one slot, as any reference takes.
const CONTINUATION: ValType = ValType::Ref(RefType::EXTERNREF);

impl Translation<'_> {
    /// Lowers an operator of stack switching; hands back all others.
    pub(super) fn switching<'o>(&mut self, op: Operator<'o>) -> Result<Option<Operator<'o>>, LeftOut> {
        match op {
            Operator::ContNew { cont_type_index } => self.cont_new(cont_type_index),
            Operator::ContBind { argument_index, result_index } => {
                self.cont_bind(argument_index, result_index);
            }
            Operator::Suspend { tag_index } => self.suspend(tag_index),
            Operator::Switch { cont_type_index, tag_index } => self.switch(cont_type_index, tag_index)?,
            Operator::Resume { cont_type_index, ref resume_table } => {
                let given = self.cont_signature(cont_type_index);
                self.resume("resume", cont_type_index, resume_table, given.params(), None);
            }
            Operator::ResumeThrow { cont_type_index, tag_index, ref resume_table } => {
                let given = self.tag_type(tag_index);
                self.resume("resume_throw", cont_type_index, resume_table, given.params(), Some(tag_index));
            }
            Operator::ResumeThrowRef { cont_type_index, ref resume_table } => {
                self.resume("resume_throw_ref", cont_type_index, resume_table, &[CONTINUATION], None);
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn cont_signature(&self, ty: u32) -> FuncType {
        self.env.info.cont_signature(TypeIdx(ty)).clone()
    }

    fn tag_type(&self, tag: u32) -> FuncType {
        self.env.info.tag_type(TagIdx(tag)).clone()
    }

    /// Takes operands of these types, the continuation last if there is one, and stores them in slots, of which there are `needs`.
    fn in_slots(&mut self, given: &[ValType], continuation: bool, needs: usize) -> Value {
        let mut types = given.to_vec();
        if continuation {
            types.push(CONTINUATION);
        }
        self.widen_by(types.len());
        let values = self.pop_many(types.len());
        let slots: usize = types.iter().map(|ty| ty.slots()).sum();
        let area = self.result_room(needs.max(slots));
        store_slots(&mut self.b, area, &types, &values);
        area
    }

    fn out_of_slots(&mut self, area: Value, types: &[ValType]) {
        self.widen_by(types.len());
        for value in load_slots(&mut self.b, area, types) {
            self.push(value);
        }
    }

    fn slots(&mut self, count: usize) -> Value {
        self.immediate(count as u32)
    }

    /// Sends off an exception that has come here from another stack, or leaves with a trap.
    fn go_on_if_ok(&mut self, status: Value) {
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(status, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        self.raise_here(status);
        self.b.switch_to_block(go_on);
    }

    fn cont_new(&mut self, ty: u32) {
        let func = self.cont_signature(ty);
        let area = self.in_slots(&[CONTINUATION], false, 1);
        let (params, all) = (self.slots(func.param_slots()), self.slots(func.call_slots()));
        self.builtin_status("cont_new", &[params, all, area]);
        self.out_of_slots(area, &[CONTINUATION]);
    }

    fn cont_bind(&mut self, from: u32, to: u32) {
        let (from, to) = (self.cont_signature(from), self.cont_signature(to));
        let given = &from.params()[..from.params().len() - to.params().len()];
        let area = self.in_slots(given, true, 1);
        let count = self.slots(given.iter().map(|ty| ty.slots()).sum());
        self.builtin_status("cont_bind", &[count, area]);
        self.out_of_slots(area, &[CONTINUATION]);
    }

    fn suspend(&mut self, tag: u32) {
        let ty = self.tag_type(tag);
        let area = self.in_slots(ty.params(), false, ty.call_slots());
        let tag = self.immediate(tag);
        let (params, results) = (self.slots(ty.param_slots()), self.slots(ty.result_slots()));
        let status = self.builtin("suspend", &[tag, params, results, area]);
        self.go_on_if_ok(status);
        self.out_of_slots(area, ty.results());
    }

    fn switch(&mut self, ty: u32, tag: u32) -> Result<(), LeftOut> {
        let func = self.cont_signature(ty);
        let back = self.env.info.switch_results(TypeIdx(ty)).ok_or(LeftOut::Malformed)?.clone();
        let given = func.params().split_last().ok_or(LeftOut::Malformed)?.1;
        let area = self.in_slots(given, true, back.param_slots());
        let tag = self.immediate(tag);
        let (given, results) = (self.slots(func.param_slots() - 1), self.slots(back.param_slots()));
        let status = self.builtin("switch_to", &[tag, given, results, area]);
        self.go_on_if_ok(status);
        self.out_of_slots(area, back.params());
        Ok(())
    }

    /// `resume` and its like: `tag` goes in front of what the builtin takes.
    fn resume(
        &mut self,
        builtin: &'static str,
        ty: u32,
        table: &ResumeTable,
        given: &[ValType],
        tag: Option<u32>,
    ) {
        let results = self.cont_signature(ty);
        let payload = |handle: &Handle| match *handle {
            Handle::OnLabel { tag, .. } => self.tag_type(tag).param_slots() + 1,
            Handle::OnSwitch { .. } => 0,
        };
        let most = table.handlers.iter().map(payload).max().unwrap_or(0);
        let given_slots: usize = given.iter().map(|ty| ty.slots()).sum();
        let values = (given_slots + 1).max(results.result_slots()).max(most);
        // The handlers' list lies behind the values.
        let count = table.handlers.len();
        let area = self.in_slots(given, true, values + count);
        let list = self.b.ins().iadd_imm_u(area, 8 * values as i64);
        for (i, handle) in table.handlers.iter().enumerate() {
            let (tag, switches) = match *handle {
                Handle::OnLabel { tag, .. } => (tag, 0),
                Handle::OnSwitch { tag } => (tag, 1),
            };
            let word = self.b.ins().iconst(types::I64, i64::from(tag) << 1 | switches);
            self.b.ins().store(MemFlagsData::trusted(), word, list, 8 * i as i32);
        }
        let result_slots = self.slots(results.result_slots());
        let handlers = self.slots(count);
        let args = match (builtin, tag) {
            (_, Some(tag)) => {
                let (tag, params) = (self.immediate(tag), self.slots(given_slots));
                vec![tag, params, result_slots, list, handlers, area]
            }
            ("resume", None) => vec![self.slots(given_slots), result_slots, list, handlers, area],
            _ => vec![result_slots, list, handlers, area],
        };
        let answer = self.builtin(builtin, &args);
        let status = self.b.ins().ushr_imm_u(answer, 32);
        let status = self.b.ins().ireduce(types::I32, status);
        self.go_on_if_ok(status);
        let returned = self.b.create_block();
        // One edge per label, as for `br_table`.
        let mut edges = std::collections::BTreeMap::new();
        let mut calls = vec![self.b.func.dfg.block_call(returned, &[])];
        for handle in &table.handlers {
            let block = match *handle {
                Handle::OnLabel { tag, label } => {
                    edges.entry(label).or_insert_with(|| (tag, self.b.create_block())).1
                }
                Handle::OnSwitch { .. } => returned,
            };
            calls.push(self.b.func.dfg.block_call(block, &[]));
        }
        let default = self.b.func.dfg.block_call(returned, &[]);
        let index = self.b.ins().ireduce(types::I32, answer);
        let jumps = self.b.create_jump_table(JumpTableData::new(default, &calls));
        self.b.ins().br_table(index, jumps);
        for (label, (tag, edge)) in edges {
            self.b.seal_block(edge);
            self.b.switch_to_block(edge);
            let mut gets = self.tag_type(tag).params().to_vec();
            gets.push(CONTINUATION);
            self.widen_by(gets.len());
            let values = load_slots(&mut self.b, area, &gets);
            self.jump_to_label(label, &values);
        }
        self.b.seal_block(returned);
        self.b.switch_to_block(returned);
        self.out_of_slots(area, results.results());
    }
}
