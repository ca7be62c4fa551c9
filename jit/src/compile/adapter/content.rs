//! Strings, and lists whose elements move all at once.

use super::super::call::slot_area;
use super::Translation;
use super::walk::{Part, Way};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mini_wasm_runtime::component::abi::plan::{At, Check, Transcode, transcode};
use mini_wasm_runtime::component::abi::{MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH, StringEncoding};
use mini_wasm_runtime::vm::AdapterContent;

impl Translation<'_> {
    pub(super) fn string(&mut self, way: &Way<'_>, at: At, part: Part<'_>) {
        let in_memory = matches!(at, At::Memory { .. });
        if in_memory && part == Part::Check {
            return;
        }
        let (from, to) = way.plan.sides();
        let Some(transcode) = transcode(from.string_encoding, to.string_encoding) else {
            // How many bytes it becomes is known at its end.
            if part != Part::Check {
                let (ptr, units) = self.read_range(way, at);
                self.text(way, at, ptr, units);
            }
            return;
        };
        let (ptr, units) = self.read_range(way, at);
        let done = self.b.create_block();
        if from.string_encoding == StringEncoding::Latin1OrUtf16 && (in_memory || part == Part::Check) {
            // Tagged: it is UTF-16. (No string of Latin-1 is as long.)
            let tagged = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, units, 0x7fff_ffff);
            if in_memory {
                let (other, go_on) = (self.cold_block(), self.b.create_block());
                self.b.ins().brif(tagged, other, &[], go_on, &[]);
                self.b.switch_to_block(other);
                self.text(way, at, ptr, units);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(go_on);
            } else {
                self.leave_if(tagged, way.refused);
            }
        }
        let ((unit, to_unit), (alignment, to_alignment)) = (transcode.units(), transcode.alignments());
        let bytes = self.times(units, unit);
        if in_memory || part == Part::Check {
            let most = MAX_STRING_BYTE_LENGTH;
            self.check_source(way, part, (ptr, bytes), alignment, most, AdapterContent::String);
        }
        self.charge(way, part, bytes);
        if part != Part::Check {
            let bytes = self.times(units, to_unit);
            let (to, address) = self.allocate(way, bytes, to_alignment, AdapterContent::String);
            let source = self.source(way, ptr);
            let vm = self.vm;
            if transcode == Transcode::Latin1 {
                self.builtin("adapter_list", &[vm, source, address, bytes]);
            } else {
                let number = self.b.ins().iconst(types::I32, i64::from(transcode as u32));
                self.builtin("adapter_string", &[vm, number, source, address, units]);
            }
            let to = self.b.ins().uextend(types::I64, to);
            self.write_range(way, at, to, units);
        }
        self.b.ins().jump(done, &[]);
        self.b.switch_to_block(done);
    }

    /// Has the runtime move a string by the plan.
    fn text(&mut self, way: &Way<'_>, at: At, ptr: Value, units: Value) {
        let area = match self.text {
            Some(area) => area,
            None => *self.text.insert(slot_area(&mut self.b, 3)),
        };
        let values = self.b.ins().stack_addr(types::I64, area, 0);
        let moved = match way.moved {
            Some(moved) => self.b.use_var(moved),
            None => self.b.ins().iconst(types::I64, 0),
        };
        for (i, value) in [ptr, units, moved].into_iter().enumerate() {
            self.b.ins().store(MemFlagsData::trusted(), value, values, 8 * i as i32);
        }
        let results = self.b.ins().iconst(types::I32, i64::from(way.results));
        let vm = self.vm;
        self.builtin("adapter_text", &[vm, results, values]);
        let [ptr, units, now] = [0, 8, 16].map(|offset| self.word(values, offset));
        if let Some(moved) = way.moved {
            self.b.def_var(moved, now);
        }
        self.write_range(way, at, ptr, units);
    }

    /// A list of elements of this size and alignment, which step `step` moves.
    pub(super) fn list(
        &mut self,
        way: &Way<'_>,
        at: At,
        (size, alignment): (u32, u8),
        check: Check,
        step: u32,
        part: Part<'_>,
    ) {
        let in_memory = matches!(at, At::Memory { .. });
        if in_memory && part == Part::Check {
            return;
        }
        let (ptr, length) = self.read_range(way, at);
        // Below 2^32 elements of less than 2^28 bytes.
        let bytes = self.times(length, size as usize);
        let alignment = usize::from(alignment);
        if in_memory || part == Part::Check {
            let most = MAX_LIST_BYTE_LENGTH;
            self.check_source(way, part, (ptr, bytes), alignment, most, AdapterContent::List);
        }
        self.charge(way, part, bytes);
        if part == Part::Check {
            return;
        }
        let (to, address) = self.allocate(way, bytes, alignment, AdapterContent::List);
        let (source, vm) = (self.source(way, ptr), self.vm);
        match check {
            Check::None => self.builtin("adapter_list", &[vm, source, address, bytes]),
            Check::Scalar(_) => {
                let [results, step] =
                    [u32::from(way.results), step].map(|n| self.b.ins().iconst(types::I32, i64::from(n)));
                self.builtin("adapter_checked", &[vm, results, step, source, address, bytes]);
            }
        }
        let to = self.b.ins().uextend(types::I64, to);
        self.write_range(way, at, to, length);
    }
}
