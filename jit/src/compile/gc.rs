//! Defined types and what is asked of references at run time (core specification 4.4.3 "Reference Instructions").

use super::func::Translation;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mini_wasm_runtime::registry::LEAST_DISPLAY;
use mini_wasm_runtime::vm::VmType;
use std::mem::offset_of;

impl Translation<'_> {
    /// The address of a type of the module.
    pub(super) fn vm_type(&mut self, ty: u32) -> Value {
        let (fixed, offset) = (self.regions.fixed(), self.env.info.layout.types + ty * 8);
        self.b.ins().load(types::I64, fixed, self.vmctx, offset as i32)
    }

    /// Is `want`, which is type `ty` of the module, in the display of the type `have`? Answers as an i8.
    pub(super) fn matches_above(&mut self, have: Value, want: Value, ty: u32) -> Value {
        let depth = self.env.info.depth(ty);
        // V6: a type never changes; `have` may be read only where it is one: not `can_move`.
        let field = self.regions.field().with_readonly();
        let supers = self.b.ins().load(types::I64, field, have, offset_of!(VmType, supers) as i32);
        if (depth as usize) < LEAST_DISPLAY {
            let above = self.b.ins().load(types::I64, field, supers, depth as i32 * 8);
            return self.b.ins().icmp(IntCC::Equal, above, want);
        }
        let own_depth = self.b.ins().load(types::I32, field, have, offset_of!(VmType, depth) as i32);
        let deep = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, own_depth, i64::from(depth));
        let (look, done) = (self.b.create_block(), self.b.create_block());
        let answer = self.b.append_block_param(done, types::I8);
        self.b.ins().brif(deep, look, &[], done, &[deep.into()]);
        self.b.seal_block(look);
        self.b.switch_to_block(look);
        let above = self.b.ins().load(types::I64, field, supers, depth as i32 * 8);
        let equal = self.b.ins().icmp(IntCC::Equal, above, want);
        self.b.ins().jump(done, &[equal.into()]);
        self.b.seal_block(done);
        self.b.switch_to_block(done);
        answer
    }
}
