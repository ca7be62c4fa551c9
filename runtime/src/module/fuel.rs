//! What each basic block of a function costs, found in one pass that both engines share, so that they agree on the fuel left
//! after any trap.
//!
//! A block is paid in full when it is entered. It begins at the function's first operator and after each operator that can
//! branch, is branched to, or leaves (`loop`, `if`, `else`, `end`, `br*`, `return*`, `unreachable`). Calls do not end a block.

use crate::error::Result;
use crate::module::{FuncBody, ModuleInfo};
use crate::ops::Op;
use alloc::vec::Vec;

/// The charges of one function, in the order of its operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FuelPlan {
    charges: Vec<Charge>,
}

/// Before the operator at `offset` runs, `cost` units are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Offset of the block's first operator in the file.
    pub offset: u32,
    /// Units of fuel; never 0.
    pub cost: u32,
}

impl FuelPlan {
    /// Reads a validated body.
    pub fn new(info: &ModuleInfo, body: &FuncBody) -> Result<FuelPlan> {
        let bytes = info.wasm.file().get(body.range.clone()).unwrap_or_default();
        let reader =
            wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(bytes, body.range.start as u64));
        let mut ops = reader.get_operators_reader()?;
        let mut charges = Vec::new();
        let mut block = Charge { offset: ops.original_position() as u32, cost: 0 };
        while !ops.eof() {
            let (op, offset) = ops.read_with_offset()?;
            let Some(op) = Op::of(&op) else { continue };
            if block.cost == 0 {
                block.offset = offset as u32;
            }
            block.cost = block.cost.saturating_add(op.fuel());
            if ends_block(op) {
                if block.cost > 0 {
                    charges.push(block);
                }
                block.cost = 0;
            }
        }
        if block.cost > 0 {
            charges.push(block);
        }
        Ok(FuelPlan { charges })
    }

    /// The charges, offsets ascending.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }
}

fn ends_block(op: Op) -> bool {
    matches!(
        op,
        Op::Loop
            | Op::If
            | Op::Else
            | Op::End
            | Op::Br
            | Op::BrIf
            | Op::BrTable
            | Op::Return
            | Op::Unreachable
            | Op::Throw
            | Op::ThrowRef
            | Op::Catch
            | Op::CatchAll
            | Op::Rethrow
            | Op::Delegate
            | Op::ReturnCall
            | Op::ReturnCallIndirect
            | Op::ReturnCallRef
            | Op::BrOnNull
            | Op::BrOnNonNull
            | Op::BrOnCast
            | Op::BrOnCastFail
            | Op::Resume
            | Op::ResumeThrow
            | Op::ResumeThrowRef
            | Op::BrOnCastDescEq
            | Op::BrOnCastDescEqFail
    )
}
