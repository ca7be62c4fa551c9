//! Atomic operators (proposal threads) in native code. Cranelift's atomics are sequentially consistent, as wasm's are, and a
//! barrier for its own analysis of memory; the addresses are checked as for other accesses, and aligned.

use super::func::Translation;
use super::memory::MemTy;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value, types};
use mini_wasm_runtime::for_each_atomic_op;
use mini_wasm_runtime::trap::Trap;
use wasmparser::{MemArg, MemArgTarget, Operator};

macro_rules! operators_by_row {
    (
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        rmw { $($r:ident $rt:literal $ra:ident => $rm:ident $ro:ident;)* }
        cmpxchg { $($c:ident $ct:literal $ca:ident => $cm:ident;)* }
        custom { $($x:ident $xt:literal;)* }
    ) => {
        /// Lowers an operator of the table's atomic rows; hands back all others.
        pub(super) fn by_row<'o>(t: &mut Translation<'_>, op: Operator<'o>) -> Option<Operator<'o>> {
            match op {
                $(Operator::$l { memarg } => t.atomic_load(&memarg, MemTy::$lm, operators_by_row!(@clif $lr)),)*
                $(Operator::$s { memarg } => t.atomic_store(&memarg, MemTy::$sm),)*
                $(Operator::$r { memarg } => t.atomic_rmw(&memarg, MemTy::$rm, operators_by_row!(@rmw $ro)),)*
                $(Operator::$c { memarg } => t.atomic_cmpxchg(&memarg, MemTy::$cm),)*
                Operator::MemoryAtomicWait32 { memarg } => t.atomic_wait(&memarg, 4),
                Operator::MemoryAtomicWait64 { memarg } => t.atomic_wait(&memarg, 8),
                Operator::MemoryAtomicNotify { memarg } => t.atomic_notify(&memarg),
                Operator::AtomicFence { .. } => {
                    t.b.ins().fence();
                }
                other => return Some(other),
            }
            None
        }
    };
    (@clif i32) => { types::I32 };
    (@clif i64) => { types::I64 };
    (@rmw add) => { AtomicRmwOp::Add };
    (@rmw sub) => { AtomicRmwOp::Sub };
    (@rmw and) => { AtomicRmwOp::And };
    (@rmw or) => { AtomicRmwOp::Or };
    (@rmw xor) => { AtomicRmwOp::Xor };
    (@rmw xchg) => { AtomicRmwOp::Xchg };
}
for_each_atomic_op!(operators_by_row);

fn of(memarg: &MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(memory) => memory,
        _ => unreachable!("crash: an atomic access to something that is no memory"),
    }
}

impl Translation<'_> {
    /// The host address of an aligned access at the index on the stack.
    fn atomic_address(&mut self, memarg: &MemArg, mem: MemTy) -> (Value, MemFlagsData) {
        let index = self.pop_index();
        if mem.bytes() > 1 {
            let offset = self.b.ins().iconst(types::I64, memarg.offset as i64);
            let at = self.b.ins().iadd(index, offset);
            let mask = self.b.ins().iconst(types::I64, i64::from(mem.bytes() - 1));
            let low = self.b.ins().band(at, mask);
            self.trap_if(low, Trap::UnalignedAtomic);
        }
        self.push(index);
        let (base, offset, flags) = self.address(memarg, mem.bytes());
        let offset = self.b.ins().iconst(types::I64, i64::from(offset));
        (self.b.ins().iadd(base, offset), flags)
    }

    /// A value as memory holds it.
    fn narrow(&mut self, value: Value, mem: MemTy) -> Value {
        match mem.clif() {
            ty if self.b.func.dfg.value_type(value) == ty => value,
            ty => self.b.ins().ireduce(ty, value),
        }
    }

    fn push_extended(&mut self, value: Value, to: Type) {
        let value = match self.b.func.dfg.value_type(value) {
            ty if ty == to => value,
            _ => self.b.ins().uextend(to, value),
        };
        self.push(value);
    }

    fn atomic_load(&mut self, memarg: &MemArg, mem: MemTy, to: Type) {
        let (at, flags) = self.atomic_address(memarg, mem);
        let value = self.b.ins().atomic_load(mem.clif(), flags, at);
        self.push_extended(value, to);
    }

    fn atomic_store(&mut self, memarg: &MemArg, mem: MemTy) {
        let value = self.pop();
        let value = self.narrow(value, mem);
        let (at, flags) = self.atomic_address(memarg, mem);
        self.b.ins().atomic_store(flags, value, at);
    }

    fn atomic_rmw(&mut self, memarg: &MemArg, mem: MemTy, op: AtomicRmwOp) {
        let operand = self.pop();
        let to = self.b.func.dfg.value_type(operand);
        let operand = self.narrow(operand, mem);
        let (at, flags) = self.atomic_address(memarg, mem);
        let old = self.b.ins().atomic_rmw(mem.clif(), flags, op, at, operand);
        self.push_extended(old, to);
    }

    fn atomic_cmpxchg(&mut self, memarg: &MemArg, mem: MemTy) {
        let (replacement, expected) = (self.pop(), self.pop());
        let to = self.b.func.dfg.value_type(expected);
        let (expected, replacement) = (self.narrow(expected, mem), self.narrow(replacement, mem));
        let (at, flags) = self.atomic_address(memarg, mem);
        let old = self.b.ins().atomic_cas(flags, at, expected, replacement);
        self.push_extended(old, to);
    }

    fn atomic_wait(&mut self, memarg: &MemArg, bytes: u32) {
        let (timeout, expected, address) = (self.pop(), self.pop_index(), self.pop_index());
        let (memory, bytes) = (self.immediate(of(memarg)), self.immediate(bytes));
        let offset = self.b.ins().iconst(types::I64, memarg.offset as i64);
        let args = [memory, address, offset, expected, timeout, bytes];
        let answer = self.builtin("memory_atomic_wait", &args);
        self.push_answer(answer);
    }

    fn atomic_notify(&mut self, memarg: &MemArg) {
        let (count, address) = (self.pop(), self.pop_index());
        let memory = self.immediate(of(memarg));
        let offset = self.b.ins().iconst(types::I64, memarg.offset as i64);
        let answer = self.builtin("memory_atomic_notify", &[memory, address, offset, count]);
        self.push_answer(answer);
    }

    /// An i32 beside a status in the upper half.
    fn push_answer(&mut self, answer: Value) {
        let upper = self.b.ins().ushr_imm_u(answer, 32);
        let status = self.b.ins().ireduce(types::I32, upper);
        self.raise_unless_ok(status);
        let value = self.b.ins().ireduce(types::I32, answer);
        self.push(value);
    }
}
