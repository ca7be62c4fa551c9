//! Values without parts: what a core value, or what lies in memory, means as a value of its type (canonical-abi/plan `Scalar`).
//!
//! Must not know: where values are.

use super::super::call::as_slot;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mini_wasm_runtime::component::abi::plan::Scalar;
use mini_wasm_runtime::component::abi::{CANONICAL_FLOAT32_NAN, CANONICAL_FLOAT64_NAN};
use mini_wasm_runtime::types::ValType;

/// Does such a value go over as it is?
pub(super) fn is_identity(kind: Scalar, ty: ValType) -> bool {
    match kind {
        Scalar::Word64 => true,
        Scalar::Word32 => ty != ValType::I64,
        _ => false,
    }
}

/// The low 32 bits of a core value.
pub(super) fn low(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    match b.func.dfg.value_type(value) {
        types::I64 => b.ins().ireduce(types::I32, value),
        types::F32 => b.ins().bitcast(types::I32, MemFlagsData::new(), value),
        _ => value,
    }
}

/// The value that a core value means, as a core value of the same type; and whether it is none, where that can be.
pub(crate) fn convert(b: &mut FunctionBuilder<'_>, kind: Scalar, value: Value) -> (Value, Option<Value>) {
    let ty = b.func.dfg.value_type(value);
    match (kind, ty) {
        (Scalar::Word64, _) | (Scalar::Word32, types::I32 | types::F32) => return (value, None),
        (Scalar::F64, _) => {
            let bits = if ty == types::F64 {
                value
            } else {
                b.ins().bitcast(types::F64, MemFlagsData::new(), value)
            };
            let is_nan = b.ins().fcmp(FloatCC::Unordered, bits, bits);
            let nan = b.ins().iconst(types::I64, CANONICAL_FLOAT64_NAN as i64);
            let nan = b.ins().bitcast(types::F64, MemFlagsData::new(), nan);
            let fixed = b.ins().select(is_nan, nan, bits);
            let fixed = if ty == types::F64 {
                fixed
            } else {
                b.ins().bitcast(types::I64, MemFlagsData::new(), fixed)
            };
            return (fixed, None);
        }
        _ => {}
    }
    let low = low(b, value);
    let mut wrong = None;
    let low = match kind {
        Scalar::Bool => {
            let is = b.ins().icmp_imm_u(IntCC::NotEqual, low, 0);
            b.ins().uextend(types::I32, is)
        }
        Scalar::U8 => b.ins().band_imm_u(low, 0xff),
        Scalar::U16 => b.ins().band_imm_u(low, 0xffff),
        Scalar::S8 => {
            let byte = b.ins().ireduce(types::I8, low);
            b.ins().sextend(types::I32, byte)
        }
        Scalar::S16 => {
            let half = b.ins().ireduce(types::I16, low);
            b.ins().sextend(types::I32, half)
        }
        Scalar::Flags { mask, .. } => b.ins().band_imm_u(low, i64::from(mask)),
        Scalar::F32 => {
            let float = b.ins().bitcast(types::F32, MemFlagsData::new(), low);
            let is_nan = b.ins().fcmp(FloatCC::Unordered, float, float);
            let nan = b.ins().iconst(types::I32, i64::from(CANONICAL_FLOAT32_NAN));
            b.ins().select(is_nan, nan, low)
        }
        Scalar::Char => {
            let high = b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, low, 0x10_ffff);
            let block = b.ins().band_imm_u(low, 0xffff_f800);
            let surrogate = b.ins().icmp_imm_u(IntCC::Equal, block, 0xd800);
            wrong = Some(b.ins().bor(high, surrogate));
            low
        }
        Scalar::Enum { cases, .. } => {
            wrong = Some(b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, low, i64::from(cases)));
            low
        }
        Scalar::Word32 | Scalar::Word64 | Scalar::F64 => low,
    };
    let value = match ty {
        types::I64 => as_slot(b, low),
        types::F32 => b.ins().bitcast(types::F32, MemFlagsData::new(), low),
        _ => low,
    };
    (value, wrong)
}
