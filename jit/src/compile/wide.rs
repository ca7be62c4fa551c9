//! 128-bit arithmetic (proposal wide-arithmetic) by Cranelift's own 128-bit integers.

use super::func::Translation;
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Translation<'_> {
    /// The 128 bits on the stack: low half, high half.
    fn pop_wide(&mut self) -> Value {
        let (high, low) = (self.pop(), self.pop());
        self.b.ins().iconcat(low, high)
    }

    fn push_wide(&mut self, value: Value) {
        let (low, high) = self.b.ins().isplit(value);
        self.push(low);
        self.push(high);
    }

    pub(super) fn add128(&mut self) {
        let (second, first) = (self.pop_wide(), self.pop_wide());
        let sum = self.b.ins().iadd(first, second);
        self.push_wide(sum);
    }

    pub(super) fn sub128(&mut self) {
        let (second, first) = (self.pop_wide(), self.pop_wide());
        let difference = self.b.ins().isub(first, second);
        self.push_wide(difference);
    }

    /// The whole product. Cranelift knows a multiplication of extended operands as one instruction.
    pub(super) fn mul_wide(&mut self, signed: bool) {
        let (second, first) = (self.pop(), self.pop());
        let [first, second] = [first, second].map(|factor| match signed {
            true => self.b.ins().sextend(types::I128, factor),
            false => self.b.ins().uextend(types::I128, factor),
        });
        let product = self.b.ins().imul(first, second);
        self.push_wide(product);
    }
}
