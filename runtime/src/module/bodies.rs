//! Validation of function bodies (core specification 3.4): wasmparser's, with a bound on the work.
//!
//! Validation is linear in the operands that operators move, not in their bytes: with types of a thousand results each entry of a
//! `br_table` and each `call` costs a thousand steps for a byte or two. What compilers make stays far below the bound.

use crate::error::{Error, Result};
use alloc::format;
use alloc::vec::Vec;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, FrameKind, FrameStack, FuncToValidate, FuncValidatorAllocations,
    FunctionBody, ModuleArity, Operator, Payload, ValidatorResources, VisitOperator, VisitSimdOperator,
};

/// Types with more parameters and results than this make it worth to count.
const WIDE: usize = 32;
/// Operands that may be moved in all bodies of a module or component, and how many more for each byte of them.
const STEPS: u64 = 1 << 25;
const STEPS_PER_BYTE: u64 = 8;
/// Operands that may be on the stack at once.
const MAX_HEIGHT: u32 = 1 << 20;

/// The validator of one file's bodies.
#[derive(Default)]
pub(crate) struct Bodies {
    allocations: FuncValidatorAllocations,
    work: Work,
}

/// What validation has taken, and may take.
#[derive(Default)]
struct Work {
    /// Some function type is: every operator is counted, and not only those that pop fields.
    wide: bool,
    steps: u64,
    bytes: u64,
    too_much: bool,
}

impl Bodies {
    /// Sees every payload before its bodies come.
    pub(crate) fn payload(&mut self, payload: &Payload<'_>) {
        if let Payload::TypeSection(section) = payload {
            let types =
                section.clone().into_iter().map_while(Result::ok).flat_map(|group| group.into_types());
            self.work.wide |= types.into_iter().any(|ty| match &ty.composite_type.inner {
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
        self.work.bytes = self.work.bytes.saturating_add(body.range().end - body.range().start);
        let mut reader = body.get_binary_reader();
        func.read_locals(&mut reader).map_err(invalid)?;
        reader.set_features(*func.features());
        while !reader.eof() {
            let offset = reader.original_position();
            {
                let mut visitor = Counting { validator: func.visitor(offset), work: &mut self.work };
                reader.visit_operator(&mut visitor).map_err(invalid)?.map_err(invalid)?;
            }
            if self.work.too_much || func.operand_stack_height() > MAX_HEIGHT {
                return Err(Error::invalid(format!(
                    "operators move more operands, or leave more on the stack, than this engine validates \
                     (at offset {offset:#x})"
                )));
            }
        }
        let end = reader.original_position();
        reader.finish_expression(&func.visitor(end)).map_err(invalid)?;
        self.allocations = func.into_allocations();
        Ok(())
    }
}

impl Work {
    /// Counts an operator before it is validated. False if that would be too much.
    fn allows(&mut self, op: &Operator<'_>, module: &impl ModuleArity) -> bool {
        let entries = match op {
            Operator::BrTable { targets } => u64::from(targets.len()) + 1,
            // It takes no more steps than there are operands on the stack.
            Operator::ArrayNewFixed { .. } => 0,
            _ => 1,
        };
        let (popped, pushed) = op.operator_arity(module).unwrap_or_default();
        self.steps = self.steps.saturating_add(entries * (u64::from(popped) + u64::from(pushed)));
        self.too_much = self.steps > STEPS.saturating_add(self.bytes.saturating_mul(STEPS_PER_BYTE));
        !self.too_much
    }
}

/// Operators that pop as many operands as a type of objects has fields.
const fn pops_fields(operator: &str) -> bool {
    matches!(operator.as_bytes(), b"StructNew" | b"StructNewDesc")
}

/// The validator's visitor, with the work counted.
struct Counting<'w, V> {
    validator: V,
    work: &'w mut Work,
}

impl<V: FrameStack> FrameStack for Counting<'_, V> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.validator.current_frame()
    }
}

macro_rules! counted {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => { $(
        fn $visit(&mut self $(, $($arg: $ty),*)?) -> Self::Output {
            if self.work.wide || const { pops_fields(stringify!($op)) } {
                let op = Operator::$op $({ $($arg: $arg.clone()),* })?;
                if !self.work.allows(&op, &self.validator) {
                    return Ok(());
                }
            }
            self.validator.$visit($($($arg),*)?)
        }
    )* };
}

impl<'a, V> VisitOperator<'a> for Counting<'_, V>
where
    V: VisitOperator<'a, Output = core::result::Result<(), BinaryReaderError>> + ModuleArity,
{
    type Output = V::Output;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Self::Output>> {
        self.validator.simd_visitor()
    }

    wasmparser::for_each_visit_operator!(counted);
}

fn invalid(error: BinaryReaderError) -> Error {
    Error::invalid(format!("{} (at offset {:#x})", error.message(), error.offset()))
}
