//! Memories, tables and globals: where guest addresses become host addresses, and what is checked on the way
//! (core specification 4.4.5 to 4.4.7).
//!
//! Guarded memories need no check: whatever a 32-bit index and an offset below [`GUARD_BYTES`] reach is either the memory or
//! faults (V2). All others compare against the length. A memory's base is loaded as a constant when it cannot move.

use super::func::Translation;
use crate::cpu::Arch;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use mini_wasm_runtime::module::FuncIdx;
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::types::ValType;
use mini_wasm_runtime::vm::{GUARD_BYTES, VmContext, VmFunc, VmGlobal, VmImport, VmMemory, VmTable};
use std::mem::offset_of;
use wasmparser::{MemArg, MemArgTarget};

use super::target::clif_type;

/// What lies in memory for an access: width, and how a load extends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(non_camel_case_types, reason = "named as the table's column")]
pub(crate) enum MemTy {
    i8,
    u8,
    i16,
    u16,
    i32,
    u32,
    u64,
}

impl MemTy {
    /// The integer of its width.
    pub(crate) fn clif(self) -> Type {
        match self {
            MemTy::i8 | MemTy::u8 => types::I8,
            MemTy::i16 | MemTy::u16 => types::I16,
            MemTy::i32 | MemTy::u32 => types::I32,
            MemTy::u64 => types::I64,
        }
    }

    pub(crate) fn bytes(self) -> u32 {
        match self {
            MemTy::i8 | MemTy::u8 => 1,
            MemTy::i16 | MemTy::u16 => 2,
            MemTy::i32 | MemTy::u32 => 4,
            MemTy::u64 => 8,
        }
    }
}

impl Translation<'_> {
    fn word_at(&mut self, base: Value, offset: u32, flags: MemFlagsData) -> Value {
        self.b.ins().load(types::I64, flags, base, offset as i32)
    }

    // Memories

    fn vm_memory(&mut self, memory: u32) -> Value {
        let fixed = self.regions.fixed();
        match memory {
            0 => self.word_at(self.vmctx, offset_of!(VmContext, memory0) as u32, fixed),
            _ => self.word_at(self.vmctx, self.env.info.layout.memories + memory * 8, fixed),
        }
    }

    fn memory_base(&mut self, vm_memory: Value, guarded: bool) -> Value {
        // V2: the base of a guarded memory never changes, so the load may leave loops and cross calls.
        let flags = if guarded { self.regions.fixed() } else { self.regions.field() };
        self.word_at(vm_memory, offset_of!(VmMemory, base) as u32, flags)
    }

    fn memory_len(&mut self, vm_memory: Value) -> Value {
        let field = self.regions.field();
        self.word_at(vm_memory, offset_of!(VmMemory, len) as u32, field)
    }

    /// The host address of an access of `bytes` at the index on the stack: base, offset to add in the instruction, flags.
    pub(super) fn address(&mut self, memarg: &MemArg, bytes: u32) -> (Value, i32, MemFlagsData) {
        let MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("crash: validated without GC arrays, yet one is accessed");
        };
        let ty = self.env.info.memories[memory as usize];
        let guarded = self.env.key.guard_pages && ty.could_have_guard();
        let index = self.pop_index();
        let vm_memory = self.vm_memory(memory);
        let reach = memarg.offset.checked_add(u64::from(bytes));
        let by_guard = guarded && reach.is_some_and(|reach| reach <= GUARD_BYTES);
        let flags = if by_guard {
            self.regions.heap().with_trap_code(Some(Self::code(Trap::MemoryOutOfBounds)))
        } else {
            self.check_bounds(vm_memory, index, reach, ty.memory64);
            self.regions.heap().with_notrap()
        };
        let base = self.memory_base(vm_memory, guarded);
        let address = self.b.ins().iadd(base, index);
        match i32::try_from(memarg.offset) {
            Ok(offset) => (address, offset, flags),
            Err(_) => {
                let offset = self.b.ins().iconst(types::I64, memarg.offset as i64);
                (self.b.ins().iadd(address, offset), 0, flags)
            }
        }
    }

    /// The same for an access that writes. One that traps writes nothing, also where only its end is outside: x86-64 promises that
    /// for a store into two pages, AArch64 and RISC-V let the first page be written before the second one faults (and qemu does). There
    /// the last byte is read first when a guard page is to say what is outside.
    pub(super) fn address_to_write(&mut self, memarg: &MemArg, bytes: u32) -> (Value, i32, MemFlagsData) {
        let (at, offset, flags) = self.address(memarg, bytes);
        let by_guard = flags.trap_code().is_some();
        if by_guard && bytes > 1 && self.env.target.arch != Arch::X86_64 {
            let last = self.b.ins().iadd_imm_u(at, i64::from(bytes - 1));
            self.b.ins().load(types::I8, flags, last, offset);
        }
        (at, offset, flags)
    }

    /// Traps unless `index + reach <= len`.
    fn check_bounds(&mut self, vm_memory: Value, index: Value, reach: Option<u64>, memory64: bool) {
        let len = self.memory_len(vm_memory);
        let Some(reach) = reach else {
            // No index brings so large an offset back into the memory.
            let always = self.b.ins().iconst(types::I8, 1);
            return self.trap_if(always, Trap::MemoryOutOfBounds);
        };
        let reach = self.b.ins().iconst(types::I64, reach as i64);
        let end = self.b.ins().iadd(index, reach);
        let mut outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        if memory64 {
            // A 64-bit sum may wrap; with 32-bit indices and offsets it cannot.
            let wrapped = self.b.ins().icmp(IntCC::UnsignedLessThan, end, index);
            outside = self.b.ins().bor(outside, wrapped);
        }
        self.trap_if(outside, Trap::MemoryOutOfBounds);
    }

    pub(super) fn load(&mut self, memarg: &MemArg, mem: MemTy, to: Type) {
        let (at, offset, flags) = self.address(memarg, mem.bytes());
        let ins = self.b.ins();
        let value = match (mem, to) {
            (_, to) if to.bytes() == mem.bytes() => ins.load(to, flags, at, offset),
            (MemTy::i8, to) => ins.sload8(to, flags, at, offset),
            (MemTy::u8, to) => ins.uload8(to, flags, at, offset),
            (MemTy::i16, to) => ins.sload16(to, flags, at, offset),
            (MemTy::u16, to) => ins.uload16(to, flags, at, offset),
            (MemTy::i32, _) => ins.sload32(flags, at, offset),
            (MemTy::u32 | MemTy::u64, _) => ins.uload32(flags, at, offset),
        };
        self.push(value);
    }

    pub(super) fn store_to(&mut self, memarg: &MemArg, mem: MemTy) {
        let value = self.pop();
        let (at, offset, flags) = self.address_to_write(memarg, mem.bytes());
        let whole = self.b.func.dfg.value_type(value).bytes() == mem.bytes();
        let ins = self.b.ins();
        match mem {
            _ if whole => ins.store(flags, value, at, offset),
            MemTy::i8 | MemTy::u8 => ins.istore8(flags, value, at, offset),
            MemTy::i16 | MemTy::u16 => ins.istore16(flags, value, at, offset),
            MemTy::i32 | MemTy::u32 | MemTy::u64 => ins.istore32(flags, value, at, offset),
        };
    }

    /// A 64-bit count as the index type has it.
    fn push_count(&mut self, count: Value, wide: bool) {
        let count = if wide { count } else { self.b.ins().ireduce(types::I32, count) };
        self.push(count);
    }

    pub(super) fn memory_size(&mut self, memory: u32) {
        let ty = self.env.info.memories[memory as usize];
        let vm_memory = self.vm_memory(memory);
        let len = match ty.shared {
            // Another thread may grow it: no earlier load will do.
            true => {
                let offset = self.b.ins().iconst(types::I64, offset_of!(VmMemory, len) as i64);
                let at = self.b.ins().iadd(vm_memory, offset);
                self.b.ins().atomic_load(types::I64, MemFlagsData::trusted(), at)
            }
            false => self.memory_len(vm_memory),
        };
        let pages = self.b.ins().ushr_imm_u(len, i64::from(ty.page_size_log2));
        self.push_count(pages, ty.memory64);
    }

    pub(super) fn memory_grow(&mut self, memory: u32) {
        let delta = self.pop_index();
        let index = self.immediate(memory);
        let old = self.builtin("memory_grow", &[index, delta]);
        self.push_count(old, self.env.info.memories[memory as usize].memory64);
    }

    // Tables

    fn vm_table(&mut self, table: u32) -> Value {
        let fixed = self.regions.fixed();
        self.word_at(self.vmctx, self.env.info.layout.tables + table * 8, fixed)
    }

    fn table_len(&mut self, vm_table: Value) -> Value {
        let field = self.regions.field();
        self.word_at(vm_table, offset_of!(VmTable, len) as u32, field)
    }

    /// The address of the element at `index`; `trap` when there is none.
    pub(super) fn element(&mut self, table: u32, index: Value, trap: Trap) -> Value {
        let index = self.widen(index);
        let vm_table = self.vm_table(table);
        let len = self.table_len(vm_table);
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.trap_if(outside, trap);
        let field = self.regions.field();
        let base = self.word_at(vm_table, offset_of!(VmTable, base) as u32, field);
        let bytes = self.b.ins().ishl_imm_u(index, 3);
        self.b.ins().iadd(base, bytes)
    }

    pub(super) fn table_get(&mut self, table: u32) {
        let index = self.pop();
        let at = self.element(table, index, Trap::TableOutOfBounds);
        let flags = self.regions.table();
        let value = self.word_at(at, 0, flags);
        self.push(value);
    }

    pub(super) fn table_set(&mut self, table: u32) {
        let (value, index) = (self.pop(), self.pop());
        let at = self.element(table, index, Trap::TableOutOfBounds);
        let flags = self.regions.table();
        self.b.ins().store(flags, value, at, 0);
    }

    pub(super) fn table_size(&mut self, table: u32) {
        let vm_table = self.vm_table(table);
        let len = self.table_len(vm_table);
        self.push_count(len, self.env.info.tables[table as usize].ty.table64);
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        let (delta, value) = (self.pop_index(), self.pop());
        let index = self.immediate(table);
        let old = self.builtin("table_grow", &[index, value, delta]);
        if self.env.key.fuel {
            let short = self.b.ins().icmp_imm_s(IntCC::Equal, old, -2);
            self.trap_if(short, Trap::OutOfFuel);
        }
        if self.env.key.epoch {
            let interrupted = self.b.ins().icmp_imm_s(IntCC::Equal, old, -3);
            self.trap_if(interrupted, Trap::Interrupted);
        }
        self.push_count(old, self.env.info.tables[table as usize].ty.table64);
    }

    // Globals and functions

    fn global_address(&mut self, global: u32) -> (Value, i32) {
        let info = self.env.info;
        match global.checked_sub(info.imported_globals) {
            Some(own) => (self.vmctx, (info.layout.own_globals + own * size_of::<VmGlobal>() as u32) as i32),
            None => {
                let fixed = self.regions.fixed();
                (self.word_at(self.vmctx, info.layout.globals + global * 8, fixed), 0)
            }
        }
    }

    fn global_type(&self, global: u32) -> ValType {
        self.env.info.globals[global as usize].content
    }

    pub(super) fn global_get(&mut self, global: u32) {
        let ty = clif_type(self.global_type(global));
        let (at, offset) = self.global_address(global);
        let flags = self.regions.global();
        let value = self.b.ins().load(ty, flags, at, offset);
        self.push(value);
    }

    pub(super) fn global_set(&mut self, global: u32) {
        let value = self.pop();
        let (at, offset) = self.global_address(global);
        let flags = self.regions.global();
        let slot = super::call::as_slot(&mut self.b, value);
        self.b.ins().store(flags, slot, at, offset);
    }

    pub(super) fn ref_func(&mut self, func: FuncIdx) {
        let info = self.env.info;
        let value = match info.funcs[func.index()].escape {
            Some(escape) => {
                let offset = info.layout.funcs + escape.0 * size_of::<VmFunc>() as u32;
                self.b.ins().iadd_imm_u(self.vmctx, i64::from(offset))
            }
            // An import: what it was linked to.
            None => {
                let offset = info.layout.imports
                    + func.0 * size_of::<VmImport>() as u32
                    + offset_of!(VmImport, func) as u32;
                let fixed = self.regions.fixed();
                self.word_at(self.vmctx, offset, fixed)
            }
        };
        self.push(value);
    }
}
