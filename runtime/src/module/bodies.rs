//! Validation of function bodies (core specification 3.4): wasmparser's, with a bound on the work.
//!
//! Validation is linear in the operands that operators move, not in their bytes: with types of a thousand results each entry of a
//! `br_table` and each `call` costs a thousand steps for a byte or two. What compilers make stays far below the bound.

use crate::error::{Error, Result};
use alloc::format;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator,
    Payload, ValidatorResources,
};

/// Types with more parameters and results than this make it worth to count.
const WIDE: usize = 32;
/// Operands that may be moved in all bodies of a module or component, and how many more for each byte of them.
const STEPS: u64 = 1 << 27;
const STEPS_PER_BYTE: u64 = 8;

/// The validator of one file's bodies.
#[derive(Default)]
pub(crate) struct Bodies {
    allocations: FuncValidatorAllocations,
    wide: bool,
    steps: u64,
    bytes: u64,
}

impl Bodies {
    /// Sees every payload before its bodies come.
    pub(crate) fn payload(&mut self, payload: &Payload<'_>) {
        if let Payload::TypeSection(section) = payload {
            let types =
                section.clone().into_iter().map_while(Result::ok).flat_map(|group| group.into_types());
            self.wide |= types.into_iter().any(|ty| match &ty.composite_type.inner {
                CompositeInnerType::Func(ty) => ty.params().len() + ty.results().len() > WIDE,
                _ => false,
            });
        }
    }

    /// Validates a body.
    ///
    /// # Errors
    /// `Invalid`, also when the bound is reached.
    pub(crate) fn validate(
        &mut self,
        func: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<()> {
        let mut func = func.into_validator(core::mem::take(&mut self.allocations));
        if !self.wide {
            func.validate(body).map_err(invalid)?;
            self.allocations = func.into_allocations();
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(body.range().end - body.range().start);
        let mut reader = body.get_binary_reader();
        func.read_locals(&mut reader).map_err(invalid)?;
        reader.set_features(*func.features());
        while !reader.eof() {
            let offset = reader.original_position();
            let mut visitor = func.visitor(offset);
            let op = reader.peek_operator(&visitor).map_err(invalid)?;
            let entries = match &op {
                Operator::BrTable { targets } => u64::from(targets.len()) + 1,
                _ => 1,
            };
            let (popped, pushed) = op.operator_arity(&visitor).unwrap_or_default();
            self.steps = self.steps.saturating_add(entries * (u64::from(popped) + u64::from(pushed)));
            if self.steps > STEPS.saturating_add(self.bytes.saturating_mul(STEPS_PER_BYTE)) {
                return Err(Error::invalid(format!(
                    "branches and calls move more operands than this engine validates (at offset {offset:#x})"
                )));
            }
            reader.visit_operator(&mut visitor).map_err(invalid)?.map_err(invalid)?;
        }
        let end = reader.original_position();
        reader.finish_expression(&func.visitor(end)).map_err(invalid)?;
        self.allocations = func.into_allocations();
        Ok(())
    }
}

fn invalid(error: BinaryReaderError) -> Error {
    Error::invalid(format!("{} (at offset {:#x})", error.message(), error.offset()))
}
