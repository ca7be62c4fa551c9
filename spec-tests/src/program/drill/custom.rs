//! Drills of the operators with immediates of their own: control, variables, exceptions, whole memories and tables.

use super::super::Type::*;
use super::super::constant::constant;
use super::Drill;
use mini_wasm_runtime::ops::Op;
use std::fmt::Write;

impl Drill<'_, '_> {
    /// Code that executes one of the operators that are no rows; `None` when the program does without what it needs.
    pub(super) fn custom(&mut self, op: Op) -> Option<String> {
        let name = op.mnemonic();
        if let Some(code) = self.control(op).or_else(|| self.bulk(op)) {
            return Some(code);
        }
        match op {
            Op::Throw | Op::ThrowRef | Op::TryTable => self.exception(op),
            Op::Try | Op::Catch | Op::CatchAll | Op::Rethrow | Op::Delegate => self.legacy_exception(op),
            _ if name.starts_with("cont.")
                || name.starts_with("resume")
                || ["suspend", "switch"].contains(&name) =>
            {
                self.switching(op)
            }
            _ => self.reference(op),
        }
    }

    /// A function of its own for code that ends the function it stands in, and a call of it.
    fn assistant(&mut self, code: &str) -> String {
        let name = self.name();
        let (number, long) = (self.operand(I32), self.operand(I64));
        let _ = writeln!(self.assistants, "  (func $assistant{name} (type $leaf) {code})");
        let taken = self.taken(I64);
        format!("{number} {long} call $assistant{name} {taken}")
    }

    fn control(&mut self, op: Op) -> Option<String> {
        let n = self.name();
        let ty = self.number();
        let (a, b, c) = (self.operand(ty), self.operand(ty), self.operand(I32));
        let (number, long) = (self.operand(I32), self.operand(I64));
        let (taken, kept) = (self.taken(ty), self.taken(I64));
        let callee = self.choices.of(&["$sum", "$difference"]);
        let (function, table) = match self.choices.below(60) {
            // A function of another type, and whatever others put into the table.
            58 => ("i32.const 4".to_owned(), "$calls"),
            59 => (self.small(I32, 7), "$refs"),
            _ => (self.small(I32, 3), "$calls"),
        };
        let reference =
            if self.careless() { "ref.null $leaf".to_owned() } else { format!("ref.func {callee}") };
        let both = "local.get 0 local.get 1";
        Some(match op {
            // `unreachable` stands at the end of the function (`Drill::traps`).
            Op::Unreachable | Op::Nop => "nop".to_owned(),
            Op::Block | Op::End => format!("{a} block (param {ty}) (result {ty}) end {taken}"),
            Op::Loop => format!("{a} loop (param {ty}) (result {ty}) end {taken}"),
            Op::If | Op::Else => format!("{c} if (result {ty}) {a} else {b} end {taken}"),
            Op::Br => format!("block $b{n} (result {ty}) {a} br $b{n} end {taken}"),
            Op::BrIf => format!("block $b{n} (result {ty}) {a} {c} br_if $b{n} drop {b} end {taken}"),
            Op::BrTable => format!(
                "block $b{n} (result {ty}) block $c{n} (result {ty}) {a} {c} i32.const 3 i32.and \
                 br_table $b{n} $c{n} $b{n} end drop {b} end {taken}"
            ),
            Op::Return => self.assistant(&format!("local.get 0 if {both} call $sum return end local.get 1")),
            Op::Call => match self.choices.below(4) {
                0 => format!("{long} call $log drop"),
                _ => format!("{number} {long} call {callee} {kept}"),
            },
            Op::CallIndirect if self.abilities.gc && self.choices.one_in(4) => {
                // The last is of a type above the one that is asked for.
                let (ty, place) =
                    self.choices.of(&[("$upper", 3), ("$lower", 2), ("$upper", 1), ("$lower", 0)]);
                let place = if self.careless() { 1 } else { place };
                format!("{long} i32.const {place} call_indirect $mixed (type {ty}) {kept}")
            }
            Op::CallIndirect => {
                format!("{number} {long} {function} call_indirect {table} (type $leaf) {kept}")
            }
            Op::ReturnCall => self.assistant(&format!("{both} return_call {callee}")),
            Op::ReturnCallIndirect => self.assistant(&format!(
                "{both} local.get 0 i32.const 3 i32.and return_call_indirect $calls (type $leaf)"
            )),
            Op::ReturnCallRef if self.abilities.function_references => {
                self.assistant(&format!("{both} {reference} return_call_ref $leaf"))
            }
            Op::CallRef if self.abilities.function_references => {
                format!("{number} {long} {reference} call_ref $leaf {kept}")
            }
            Op::Drop => format!("{a} drop"),
            Op::Select => format!("{a} {b} {c} select {taken}"),
            Op::TypedSelect => {
                let ty = self.choices.of(&[ty, FuncRef, ExternRef]);
                let (a, b, taken) = (self.operand(ty), self.operand(ty), self.taken(ty));
                format!("{a} {b} {c} select (result {ty}) {taken}")
            }
            Op::LocalGet => format!("local.get ${ty}_0 {taken}"),
            Op::LocalSet => format!("{a} local.set ${ty}_1"),
            Op::LocalTee => format!("{a} local.tee ${ty}_1 {taken}"),
            Op::GlobalGet => format!("global.get $g_{ty} {taken}"),
            Op::GlobalSet => format!("{a} global.set $g_{ty}"),
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const | Op::V128Const => {
                let ty = [(Op::I32Const, I32), (Op::I64Const, I64), (Op::F32Const, F32), (Op::F64Const, F64)]
                    .into_iter()
                    .find_map(|(known, ty)| (known == op).then_some(ty))
                    .unwrap_or(V128);
                if ty == V128 && !self.abilities.vectors {
                    return None;
                }
                let (constant, taken) = (constant(self.choices, ty), self.taken(ty));
                format!("{constant} {taken}")
            }
            _ => return None,
        })
    }

    fn bulk(&mut self, op: Op) -> Option<String> {
        let (memory, address, mask) = self.place();
        let (from, source, bound) = self.place();
        let mask = mask.min(bound);
        let length = if address == I64 && source == I64 { I64 } else { I32 };
        let tables: &[_] =
            if self.abilities.memory64 { &[("$refs", I32), ("$refs64", I64)] } else { &[("$refs", I32)] };
        let ((table, index), (other, second)) = (self.choices.of(tables), self.choices.of(tables));
        let elements = if index == I64 && second == I64 { I64 } else { I32 };
        let (byte, func) = (self.operand(I32), self.operand(FuncRef));
        let (taken, kept) = (self.taken(address), self.taken(index));
        let held = self.taken(FuncRef);
        let mut at = |ty, mask| self.small(ty, mask);
        Some(match op {
            Op::MemorySize => format!("memory.size {memory} {taken}"),
            Op::MemoryGrow => {
                let pages = self.choices.of(&[0, 0, 0, 1, 70000]);
                format!("{address}.const {pages} memory.grow {memory} {taken}")
            }
            Op::MemoryFill => {
                let (to, length) = (at(address, mask), at(address, 255));
                format!("{to} {byte} {length} memory.fill {memory}")
            }
            Op::MemoryCopy => {
                let (to, at_from, length) = (at(address, mask), at(source, mask), at(length, 255));
                format!("{to} {at_from} {length} memory.copy {memory} {from}")
            }
            Op::MemoryInit => {
                let (to, at_from, length) = (at(address, mask), at(I32, 63), at(I32, 63));
                format!("{to} {at_from} {length} memory.init {memory} $bytes")
            }
            Op::DataDrop => "data.drop $gone".to_owned(),
            Op::TableGet => {
                let place = at(index, 7);
                format!("{place} table.get {table} {held}")
            }
            Op::TableSet => {
                let place = at(index, 7);
                format!("{place} {func} table.set {table}")
            }
            Op::TableSize => format!("table.size {table} {kept}"),
            Op::TableGrow => {
                let count = self.choices.of(&[0, 0, 0, 1, 100]);
                format!("{func} {index}.const {count} table.grow {table} {kept}")
            }
            Op::TableFill => {
                let (place, count) = (at(index, 3), at(index, 3));
                format!("{place} {func} {count} table.fill {table}")
            }
            Op::TableCopy => {
                let (to, at_from, count) = (at(index, 3), at(second, 3), at(elements, 3));
                format!("{to} {at_from} {count} table.copy {table} {other}")
            }
            Op::TableInit => {
                let (to, at_from, count) = (at(index, 3), at(I32, 3), at(I32, 3));
                format!("{to} {at_from} {count} table.init {table} $functions")
            }
            Op::ElemDrop => "elem.drop $dropped".to_owned(),
            Op::MemoryAtomicWait32 | Op::MemoryAtomicWait64 if self.abilities.threads => {
                // Nobody wakes it: it finds another value, or its time is over.
                let (bits, ty) = if op == Op::MemoryAtomicWait32 { (32, I32) } else { (64, I64) };
                let address = self.address(I32, super::MASK, bits / 8, true);
                let (expected, taken) = (self.operand(ty), self.taken(I32));
                let memory = if self.careless() { "$m0" } else { "$shared" };
                format!("{address} {expected} i64.const 0 memory.atomic.wait{bits} {memory} {taken}")
            }
            _ => return None,
        })
    }

    fn exception(&mut self, op: Op) -> Option<String> {
        if !self.abilities.exceptions {
            return None;
        }
        let n = self.name();
        let (long, other, taken) = (self.operand(I64), self.operand(I64), self.taken(I64));
        let thrown = format!("{long} throw $e1");
        // An exception comes from the function itself or from one that it calls.
        let from = if self.choices.one_in(2) {
            let name = self.name();
            let _ = writeln!(self.assistants, "  (func $thrower{name} (param i64) local.get 0 throw $e1)");
            format!("{long} call $thrower{name} {other}")
        } else {
            thrown
        };
        Some(match op {
            Op::TryTable => match self.choices.below(3) {
                0 => format!("block $b{n} try_table (result i64) (catch_all $b{n}) {long} end {taken} end"),
                1 => format!("block $b{n} try_table (catch $e0 $b{n}) {from} {taken} end end"),
                _ => format!("block $b{n} try_table (catch_all $b{n}) throw $e0 end end"),
            }
            // An exception that nothing catches here goes on to the caller.
            .replace("(catch $e0", if self.careless() { "(catch $e0" } else { "(catch_all" }),
            Op::ThrowRef => format!(
                "block $b{n} (result i64) try_table (result i64) (catch $e1 $b{n}) block $c{n} (result i64 exnref) \
                 try_table (result i64) (catch_ref $e1 $c{n}) {from} end drop unreachable end throw_ref end end {taken}"
            ),
            _ => format!(
                "block $b{n} (result i64) try_table (result i64) (catch $e1 $b{n}) {from} end end {taken}"
            ),
        })
    }

    fn legacy_exception(&mut self, op: Op) -> Option<String> {
        if !self.abilities.legacy_exceptions {
            return None;
        }
        let (long, other, taken) = (self.operand(I64), self.operand(I64), self.taken(I64));
        let condition = self.operand(I32);
        Some(match op {
            Op::Try => format!("try (result i64) {long} catch_all {other} end {taken}"),
            Op::Catch => {
                format!("try (result i64) {long} throw $e1 catch $e0 {other} catch $e1 end {taken}")
            }
            Op::CatchAll => format!("try (result i64) {long} throw $e1 catch_all {other} end {taken}"),
            Op::Rethrow => format!(
                "try (result i64) try (result i64) {long} throw $e1 catch_all rethrow 0 end catch $e1 end {taken}"
            ),
            _ => format!(
                "try (result i64) try (result i64) {condition} if {long} throw $e1 end {other} delegate 0 \
                 catch $e1 end {taken}"
            ),
        })
    }
}
