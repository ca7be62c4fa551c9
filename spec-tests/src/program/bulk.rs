//! Operators of random programs that work on whole memories, tables and segments.

use super::Type::{self, FuncRef, I32, I64};
use super::body::Body;

impl Body<'_, '_, '_> {
    /// A number for a bulk operator: mostly small, so that it succeeds.
    fn bulk_operand(&mut self, ty: Type) {
        if self.choices.one_in(24) {
            self.push(ty);
            self.stack.pop();
        } else {
            let small = if self.choices.one_in(12) {
                self.choices.of(&[13, 100, 65530, 65536])
            } else {
                self.choices.below(4)
            };
            self.emit(format_args!("{ty}.const {small}"));
        }
    }

    fn bulk_operands(&mut self, types: [Type; 3]) {
        for ty in types {
            self.bulk_operand(ty);
        }
    }

    pub(super) fn memory(&mut self) {
        let (memory, address) = self.memory_of();
        match self.choices.below(7) {
            0 => {
                self.emit(format_args!("memory.size {memory}"));
                self.stack.push(address);
            }
            1 => {
                let pages = self.choices.of(&[0, 1, 2, 65535]);
                self.emit(format_args!("{address}.const {pages}"));
                self.emit(format_args!("memory.grow {memory}"));
                self.stack.push(address);
            }
            2 => {
                self.bulk_operands([address, I32, address]);
                self.emit(format_args!("memory.fill {memory}"));
            }
            3 => {
                let (from, place) = self.memory_of();
                let length = if address == I64 && place == I64 { I64 } else { I32 };
                self.bulk_operands([address, place, length]);
                self.emit(format_args!("memory.copy {memory} {from}"));
            }
            4 => {
                self.bulk_operands([address, I32, I32]);
                self.emit(format_args!("memory.init {memory} $bytes"));
            }
            5 if self.environment.abilities.threads => {
                // Nobody wakes it: it finds another value, or its time is over, or the memory is not shared.
                let bits = self.choices.of(&[32, 64]);
                let (mask, timeout) = (65536 - bits / 8, self.choices.of(&[0, 1, 1000]));
                self.want(&[address]);
                self.emit(format_args!("{address}.const {mask}"));
                self.emit(format_args!("{address}.and"));
                self.push(if bits == 32 { I32 } else { I64 });
                self.emit(format_args!("i64.const {timeout}"));
                self.emit(format_args!("memory.atomic.wait{bits} {memory}"));
                self.stack.truncate(self.stack.len() - 2);
                self.stack.push(I32);
            }
            _ if self.choices.one_in(4) => self.emit(format_args!("data.drop $bytes")),
            _ => self.plain(),
        }
    }

    pub(super) fn table(&mut self) {
        let (refs, index) = if self.environment.abilities.memory64 && self.choices.one_in(3) {
            ("$refs64", I64)
        } else {
            ("$refs", I32)
        };
        let place =
            if self.choices.one_in(8) { self.choices.of(&[6, 9, 1000]) } else { self.choices.below(6) };
        match self.choices.below(8) {
            0 => {
                self.emit(format_args!("{index}.const {place}"));
                self.emit(format_args!("table.get {refs}"));
                self.stack.push(FuncRef);
            }
            1 => {
                self.emit(format_args!("{index}.const {place}"));
                self.push(FuncRef);
                self.stack.pop();
                self.emit(format_args!("table.set {refs}"));
            }
            2 => {
                self.emit(format_args!("table.size {refs}"));
                self.stack.push(index);
            }
            3 => {
                self.push(FuncRef);
                self.stack.pop();
                let count = self.choices.of(&[0, 1, 2, 5, -1]);
                self.emit(format_args!("{index}.const {count}"));
                self.emit(format_args!("table.grow {refs}"));
                self.stack.push(index);
            }
            4 => {
                self.emit(format_args!("{index}.const {place}"));
                self.push(FuncRef);
                self.stack.pop();
                let count = self.choices.of(&[0, 1, 2, 7]);
                self.emit(format_args!("{index}.const {count}"));
                self.emit(format_args!("table.fill {refs}"));
            }
            5 => {
                let (from, place) = if self.choices.one_in(2) { ("$refs", I32) } else { (refs, index) };
                let length = if index == I64 && place == I64 { I64 } else { I32 };
                self.bulk_operands([index, place, length]);
                self.emit(format_args!("table.copy {refs} {from}"));
            }
            6 => {
                self.bulk_operands([index, I32, I32]);
                self.emit(format_args!("table.init {refs} $functions"));
            }
            _ if self.choices.one_in(4) => self.emit(format_args!("elem.drop $functions")),
            _ => self.plain(),
        }
    }
}
