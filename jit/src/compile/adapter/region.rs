//! Places: core values, and what lies in the memories of both sides. Ranges that are checked, and regions that `realloc` gives.
//!
//! A range that was checked stays inside: memories only grow. Where they begin is read anew at each access.

use super::super::call::{as_slot, never};
use super::Translation;
use super::walk::{Part, Way};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;
use mini_wasm_runtime::component::abi::plan::At;
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::vm::{AdapterContent, AdapterTrap, VmAdapter, VmMemory};
use std::mem::offset_of;

/// A region of memory whose parts are moved, element by element. Numbers of 64 bits.
pub(super) struct Frame {
    /// Where the current element begins.
    pub(super) from: Variable,
    /// Where it goes.
    pub(super) to: Variable,
    /// Elements to go before the next pause, this one included.
    pub(super) left: Variable,
    /// Elements to go after it.
    pub(super) rest: Variable,
    /// Where the first went, and how many there are.
    pub(super) begin: Value,
    pub(super) length: Value,
}

/// More bytes are moved by a call.
const MOST_INLINE: u32 = 32;

/// Guests' bytes. Plans know how they are aligned; nothing is made of it.
fn guest() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

impl Translation<'_> {
    /// The source's memory or the destination's.
    pub(super) fn memory(&mut self, way: &Way<'_>, destination: bool) -> Value {
        let is_callers = way.results == destination;
        self.own(if is_callers { offset_of!(VmAdapter, from) } else { offset_of!(VmAdapter, to) })
    }

    /// The address of the first byte of a memory.
    fn base(&mut self, way: &Way<'_>, destination: bool) -> Value {
        let memory = self.memory(way, destination);
        self.word(memory, offset_of!(VmMemory, base))
    }

    /// The address where the current element begins.
    fn element(&mut self, way: &Way<'_>, destination: bool) -> Value {
        let base = self.base(way, destination);
        match way.frames.last() {
            Some(frame) => {
                let at = self.b.use_var(if destination { frame.to } else { frame.from });
                self.b.ins().iadd(base, at)
            }
            None => unreachable!("crash: a place in memory outside of any region"),
        }
    }

    /// The address of a place in the source that was checked.
    pub(super) fn source(&mut self, way: &Way<'_>, ptr: Value) -> Value {
        let base = self.base(way, false);
        self.b.ins().iadd(base, ptr)
    }

    fn load(&mut self, size: u32, address: Value, offset: u32) -> Value {
        let offset = offset as i32;
        match size {
            1 => self.b.ins().uload8(types::I32, guest(), address, offset),
            2 => self.b.ins().uload16(types::I32, guest(), address, offset),
            4 => self.b.ins().load(types::I32, guest(), address, offset),
            _ => self.b.ins().load(types::I64, guest(), address, offset),
        }
    }

    fn store(&mut self, size: u32, value: Value, address: Value, offset: u32) {
        let offset = offset as i32;
        match size {
            1 => self.b.ins().istore8(guest(), value, address, offset),
            2 => self.b.ins().istore16(guest(), value, address, offset),
            _ => self.b.ins().store(guest(), value, address, offset),
        };
    }

    /// The source's core value, or the bits of `size` bytes of its memory.
    pub(super) fn read(&mut self, way: &Way<'_>, at: At, size: u32) -> Value {
        match at {
            At::Slot(slot) => way.source[usize::from(slot)],
            At::Memory { from, .. } => {
                let address = self.element(way, false);
                self.load(size, address, from)
            }
        }
    }

    /// Puts a number of `size` bytes where the destination expects it: 32 bits up to 4 bytes.
    pub(super) fn write(&mut self, way: &Way<'_>, at: At, size: u32, value: Value) {
        match at {
            At::Slot(slot) => self.set(way, usize::from(slot), value),
            At::Memory { to, .. } => {
                let address = self.element(way, true);
                self.store(size, value, address, to);
            }
        }
    }

    /// Makes 32 bits a core value of the destination.
    fn set(&mut self, way: &Way<'_>, slot: usize, value: Value) {
        let value = match self.b.func.dfg.value_type(way.source[slot]) {
            types::I64 => as_slot(&mut self.b, value),
            types::F32 => self.b.ins().bitcast(types::F32, MemFlagsData::new(), value),
            _ => value,
        };
        self.b.def_var(way.slots[slot], value);
    }

    /// Pointer and length of the source, as 64-bit numbers.
    pub(super) fn read_range(&mut self, way: &Way<'_>, at: At) -> (Value, Value) {
        let second = match at {
            At::Slot(slot) => At::Slot(slot + 1),
            At::Memory { from, to } => At::Memory { from: from + 4, to },
        };
        let [ptr, length] = [at, second].map(|at| {
            let value = self.read(way, at, 4);
            let value = self.low(value);
            self.b.ins().uextend(types::I64, value)
        });
        (ptr, length)
    }

    /// What the destination gets: pointer and length, of 64 bits each.
    pub(super) fn write_range(&mut self, way: &Way<'_>, at: At, ptr: Value, length: Value) {
        let second = match at {
            At::Slot(slot) => At::Slot(slot + 1),
            At::Memory { from, to } => At::Memory { from, to: to + 4 },
        };
        for (at, value) in [(at, ptr), (second, length)] {
            let value = self.b.ins().ireduce(types::I32, value);
            self.write(way, at, 4, value);
        }
    }

    /// Bytes that need no look.
    pub(super) fn bytes(&mut self, way: &Way<'_>, from: u32, to: u32, len: u32) {
        let (source, destination) = (self.element(way, false), self.element(way, true));
        if len > MOST_INLINE {
            let source = self.b.ins().iadd_imm_u(source, i64::from(from));
            let destination = self.b.ins().iadd_imm_u(destination, i64::from(to));
            let len = self.b.ins().iconst(types::I64, i64::from(len));
            let vm = self.vm;
            return self.builtin("adapter_list", &[vm, source, destination, len]);
        }
        let mut done = 0;
        while done < len {
            let size = [8, 4, 2, 1].into_iter().find(|&size| size <= len - done).unwrap_or(1);
            let part = self.load(size, source, from + done);
            self.store(size, part, destination, to + done);
            done += size;
        }
    }

    pub(super) fn times(&mut self, n: Value, factor: usize) -> Value {
        if factor == 1 { n } else { self.b.ins().imul_imm_s(n, factor as i64) }
    }

    fn unaligned(&mut self, ptr: Value, alignment: usize) -> Option<Value> {
        (alignment > 1).then(|| self.b.ins().band_imm_u(ptr, alignment as i64 - 1))
    }

    fn outside(&mut self, memory: Value, (ptr, bytes): (Value, Value)) -> Value {
        let end = self.b.ins().iadd(ptr, bytes);
        let len = self.word(memory, offset_of!(VmMemory, len));
        self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, len)
    }

    /// Goes to a block unless a range is aligned and inside of a memory.
    pub(super) fn leave_unless_inside(
        &mut self,
        memory: Value,
        range: (Value, Value),
        alignment: usize,
        to: Block,
    ) {
        if let Some(unaligned) = self.unaligned(range.0, alignment) {
            self.leave_if(unaligned, to);
        }
        let outside = self.outside(memory, range);
        self.leave_if(outside, to);
    }

    /// Checks a range of the source: its length, which is at most `most` bytes, alignment, bounds.
    pub(super) fn check_source(
        &mut self,
        way: &Way<'_>,
        part: Part<'_>,
        range: (Value, Value),
        alignment: usize,
        most: usize,
        content: AdapterContent,
    ) {
        let (too_long, out_of_bounds) = match content {
            AdapterContent::String => (AdapterTrap::StringTooLong, AdapterTrap::StringOutOfBounds),
            // Values are of a size that is known, and checked in the first part.
            AdapterContent::List | AdapterContent::Values => {
                (AdapterTrap::ListTooLong, AdapterTrap::ListOutOfBounds)
            }
        };
        if let Ok(most @ ..0x1_0000_0000) = i64::try_from(most) {
            let too_many = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, range.1, most);
            self.broken_if(way, part, too_many, too_long);
        }
        if let Some(unaligned) = self.unaligned(range.0, alignment) {
            self.broken_if(way, part, unaligned, AdapterTrap::Unaligned);
        }
        let memory = self.memory(way, false);
        let outside = self.outside(memory, range);
        self.broken_if(way, part, outside, out_of_bounds);
    }

    /// Has the destination's `realloc` give a region of `bytes`: where it is, as the guest says (32 bits) and as an address.
    pub(super) fn allocate(
        &mut self,
        way: &Way<'_>,
        bytes: Value,
        alignment: usize,
        content: AdapterContent,
    ) -> (Value, Value) {
        let sig = self.target.signature(&FuncType::new([ValType::I32; 4], [ValType::I32]));
        let sig = self.b.import_signature(sig);
        let zero = self.b.ins().iconst(types::I32, 0);
        let align = self.b.ins().iconst(types::I32, alignment as i64);
        let size = self.b.ins().ireduce(types::I32, bytes);
        let (may_leave, realloc) = if way.results {
            (offset_of!(VmAdapter, caller_may_leave), offset_of!(VmAdapter, caller_realloc))
        } else {
            (offset_of!(VmAdapter, callee_may_leave), offset_of!(VmAdapter, realloc))
        };
        let ptr = self.own_call(may_leave, realloc, sig, &[zero, zero, align, size])[0];
        let wide = self.b.ins().uextend(types::I64, ptr);
        let memory = self.memory(way, true);
        let (bad, good) = (self.cold_block(), self.b.create_block());
        if let Some(unaligned) = self.unaligned(ptr, alignment) {
            self.leave_if(unaligned, bad);
        }
        let outside = self.outside(memory, (wide, bytes));
        self.b.ins().brif(outside, bad, &[], good, &[]);
        self.b.switch_to_block(bad);
        let [results, content] =
            [u32::from(way.results), content as u32].map(|n| self.b.ins().iconst(types::I32, i64::from(n)));
        let align = self.b.ins().iconst(types::I64, alignment as i64);
        let vm = self.vm;
        self.builtin("adapter_refuse", &[vm, results, content, wide, align, bytes]);
        never(&mut self.b);
        self.b.switch_to_block(good);
        let base = self.word(memory, offset_of!(VmMemory, base));
        (ptr, self.b.ins().iadd(base, wide))
    }

    /// Has the runtime tell which rule is broken. Fills the block.
    pub(super) fn trap(&mut self, trap: AdapterTrap, first: Option<Value>, second: u32) {
        let number = self.b.ins().iconst(types::I32, i64::from(trap as u32));
        let first = match first {
            Some(value) => {
                let value = self.low(value);
                self.b.ins().uextend(types::I64, value)
            }
            None => self.b.ins().iconst(types::I64, 0),
        };
        let second = self.b.ins().iconst(types::I64, i64::from(second));
        let vm = self.vm;
        self.builtin("adapter_trap", &[vm, number, first, second]);
        never(&mut self.b);
    }
}
