//! Handles: `own` from table to table, `borrow` lent and given back, and the call that has borrows (canonical-abi/handle, where its
//! structures lie: [`native`]).
//!
//! What is inline is what happens to a handle of the right type that is there, where the other table has a free slot. Anything else (a table
//! that grows, a trap, a resource of the host's) is a call of the runtime, which does the step as the plan does.
//!
//! What is lent when a guest traps stays so, in tables that nobody looks at again: no instance of its root is entered any more. The calls
//! with borrows that it leaves open end with the call from the host that it was part of (runtime/component/canon).

use super::Translation;
use super::walk::Way;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Value, types};
use mini_wasm_runtime::backend::AdapterInfo;
use mini_wasm_runtime::component::abi::handle::native;
use mini_wasm_runtime::component::abi::plan::{At, Step};
use mini_wasm_runtime::vm::{AdapterTrap, VmAdapter};
use std::mem::offset_of;

/// A call with borrows, begun.
pub(super) struct Task {
    /// The `Tasks`.
    tasks: Value,
    /// Its scope.
    scope: Value,
}

fn field() -> MemFlagsData {
    MemFlagsData::trusted()
}

impl Translation<'_> {
    fn narrow(&mut self, base: Value, offset: usize) -> Value {
        self.b.ins().load(types::I32, field(), base, offset as i32)
    }

    fn keep(&mut self, value: Value, base: Value, offset: usize) {
        self.b.ins().store(field(), value, base, offset as i32);
    }

    /// Where the word of a call's borrows is.
    fn task_word(&mut self, tasks: Value, scope: Value) -> Value {
        let words = self.word(tasks, native::TASKS_WORDS);
        let scope = self.b.ins().uextend(types::I64, scope);
        let offset = self.b.ins().ishl_imm_u(scope, 2);
        self.b.ins().iadd(words, offset)
    }

    /// Begins the call, if it is given borrows that are handles.
    pub(super) fn begin_task(&mut self, adapter: &AdapterInfo, refused: Block) -> Option<Task> {
        let has_handles = adapter.params.steps().iter().any(|step| match step {
            Step::Borrow { resource, .. } => {
                !adapter.callee_defines.get(*resource as usize).unwrap_or(&false)
            }
            _ => false,
        });
        if !has_handles {
            return None;
        }
        let tasks = self.own(offset_of!(VmAdapter, tasks));
        let scope = self.narrow(tasks, native::TASKS_DEPTH);
        let room = self.narrow(tasks, native::TASKS_ROOM);
        let full = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, scope, room);
        self.leave_if(full, refused);
        let word = self.task_word(tasks, scope);
        let none = self.b.ins().iconst(types::I32, 0);
        self.keep(none, word, 0);
        let depth = self.b.ins().iadd_imm_s(scope, 1);
        self.keep(depth, tasks, native::TASKS_DEPTH);
        Some(Task { tasks, scope })
    }

    /// Ends it: it has dropped what it borrowed.
    pub(super) fn end_task(&mut self, task: Option<Task>) {
        let Some(Task { tasks, scope }) = task else { return };
        let word = self.task_word(tasks, scope);
        let left = self.narrow(word, 0);
        self.trap_if(left, AdapterTrap::BorrowsRemain, None, 0);
        self.keep(scope, tasks, native::TASKS_DEPTH);
    }

    /// Gives back what the caller has lent.
    pub(super) fn give_back(&mut self, way: &Way<'_>) {
        let always = way.plan.targets().is_empty();
        for &index in way.lent.values() {
            let index = self.b.use_var(index);
            let done = self.b.create_block();
            if !always {
                let lent = self.b.create_block();
                self.b.ins().brif(index, lent, &[], done, &[]);
                self.b.switch_to_block(lent);
            }
            // It is still there: what is lent cannot be removed, and a table never becomes shorter.
            let table = self.own(offset_of!(VmAdapter, caller_handles));
            let slot = self.slot(table, index);
            let lends = self.narrow(slot, native::SLOT_LENDS);
            let lends = self.b.ins().iadd_imm_s(lends, -1);
            self.keep(lends, slot, native::SLOT_LENDS);
            self.b.ins().jump(done, &[]);
            self.b.switch_to_block(done);
        }
    }

    /// The address of the slot of an index that the table has.
    fn slot(&mut self, table: Value, index: Value) -> Value {
        let first = self.word(table, native::TABLE_FIRST);
        let index = self.b.ins().uextend(types::I64, index);
        let index = self.b.ins().iadd_imm_s(index, -1);
        let offset = self.b.ins().imul_imm_s(index, native::SLOT_SIZE as i64);
        self.b.ins().iadd(first, offset)
    }

    /// The slot of an index that a guest gave, with a handle of the resource; and that resource's word.
    fn lookup(&mut self, way: &Way<'_>, index: Value, resource: u32, slow: Block) -> (Value, Value, Value) {
        let table = self.own(if way.results {
            offset_of!(VmAdapter, callee_handles)
        } else {
            offset_of!(VmAdapter, caller_handles)
        });
        let count = self.narrow(table, native::TABLE_COUNT);
        let before = self.b.ins().iadd_imm_s(index, -1);
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, before, count);
        self.go_on_if(inside, slow);
        let slot = self.slot(table, index);
        let found = self.word(slot, native::SLOT_RESOURCE);
        let words = self.own(offset_of!(VmAdapter, resources));
        let expected = self.field(types::I64, words, 8 * way.resource(resource));
        let same = self.b.ins().icmp(IntCC::Equal, found, expected);
        self.go_on_if(same, slow);
        (table, slot, expected)
    }

    /// The table of the destination and its free slot, with the index.
    fn free_slot(&mut self, way: &Way<'_>, slow: Block) -> (Value, Value, Value) {
        let table = self.own(if way.results {
            offset_of!(VmAdapter, caller_handles)
        } else {
            offset_of!(VmAdapter, callee_handles)
        });
        let index = self.narrow(table, native::TABLE_FREE);
        self.go_on_if(index, slow);
        let slot = self.slot(table, index);
        (table, slot, index)
    }

    /// Takes the free slot into use; `scope`: of a borrow, 0 for an own.
    fn lower(&mut self, (table, slot): (Value, Value), resource: Value, rep: Value, scope: Option<Value>) {
        let next = self.narrow(slot, native::SLOT_LENDS);
        self.keep(next, table, native::TABLE_FREE);
        self.keep(resource, slot, native::SLOT_RESOURCE);
        self.keep(rep, slot, native::SLOT_REP);
        let state = match scope {
            Some(scope) => {
                let scope = self.b.ins().iadd_imm_s(scope, 1);
                let scope = self.b.ins().uextend(types::I64, scope);
                self.b.ins().ishl_imm_u(scope, 32)
            }
            None => self.b.ins().iconst(types::I64, 0),
        };
        self.keep(state, slot, native::SLOT_STATE);
    }

    /// The index of the source, and where both ways meet with that of the destination.
    fn begin_handle(&mut self, way: &Way<'_>, at: At) -> (Value, Block, Block) {
        let index = self.read(way, at, 4);
        let index = self.low(index);
        let (slow, done) = (self.cold_block(), self.b.create_block());
        self.b.append_block_param(done, types::I32);
        (index, slow, done)
    }

    fn end_handle(&mut self, way: &Way<'_>, at: At, moved: Option<Value>, done: Block) {
        if let Some(moved) = moved {
            self.b.ins().jump(done, &[BlockArg::Value(moved)]);
        }
        self.b.switch_to_block(done);
        let index = self.b.block_params(done)[0];
        self.write(way, at, 4, index);
    }

    /// A handle of its own goes from table to table.
    pub(super) fn own_handle(&mut self, way: &Way<'_>, at: At, resource: u32) {
        let (index, slow, done) = self.begin_handle(way, at);
        let (table, slot, word) = self.lookup(way, index, resource, slow);
        let state = self.word(slot, native::SLOT_STATE);
        self.leave_if(state, slow);
        let (to_table, to_slot, to_index) = self.free_slot(way, slow);
        let rep = self.word(slot, native::SLOT_REP);
        self.lower((to_table, to_slot), word, rep, None);
        let none = self.b.ins().iconst(types::I64, 0);
        self.keep(none, slot, native::SLOT_RESOURCE);
        let freed = self.narrow(table, native::TABLE_FREE);
        self.keep(freed, slot, native::SLOT_LENDS);
        self.keep(index, table, native::TABLE_FREE);
        self.b.ins().jump(done, &[BlockArg::Value(to_index)]);

        self.b.switch_to_block(slow);
        let [results, resource] =
            [u32::from(way.results), resource].map(|n| self.b.ins().iconst(types::I32, i64::from(n)));
        let vm = self.vm;
        let moved = self.builtin_number("adapter_own", &[vm, results, resource, index]);
        self.end_handle(way, at, moved, done);
    }

    /// A handle is lent, by step `step`. `defined`: the destination defines the resource, and gets what it represents.
    pub(super) fn borrow_handle(&mut self, way: &Way<'_>, step: usize, at: At, resource: u32, defined: bool) {
        let (index, slow, done) = self.begin_handle(way, at);
        if let Some(&lent) = way.lent.get(&step) {
            self.b.def_var(lent, index);
        }
        let (_, slot, word) = self.lookup(way, index, resource, slow);
        let lends = self.narrow(slot, native::SLOT_LENDS);
        let more = self.b.ins().iadd_imm_s(lends, 1);
        self.go_on_if(more, slow);
        let rep = self.word(slot, native::SLOT_REP);
        if defined {
            let high = self.b.ins().ushr_imm_u(rep, 32);
            self.leave_if(high, slow);
            self.keep(more, slot, native::SLOT_LENDS);
            let rep = self.b.ins().ireduce(types::I32, rep);
            self.b.ins().jump(done, &[BlockArg::Value(rep)]);
        } else {
            let (to_table, to_slot, to_index) = self.free_slot(way, slow);
            let tasks = self.own(offset_of!(VmAdapter, tasks));
            let depth = self.narrow(tasks, native::TASKS_DEPTH);
            let scope = self.b.ins().iadd_imm_s(depth, -1);
            self.keep(more, slot, native::SLOT_LENDS);
            self.lower((to_table, to_slot), word, rep, Some(scope));
            let count = self.task_word(tasks, scope);
            let borrows = self.narrow(count, 0);
            let borrows = self.b.ins().iadd_imm_s(borrows, 1);
            self.keep(borrows, count, 0);
            self.b.ins().jump(done, &[BlockArg::Value(to_index)]);
        }

        self.b.switch_to_block(slow);
        let resource = self.b.ins().iconst(types::I32, i64::from(resource));
        let vm = self.vm;
        let moved = self.builtin_number("adapter_borrow", &[vm, resource, index]);
        self.end_handle(way, at, moved, done);
    }
}
