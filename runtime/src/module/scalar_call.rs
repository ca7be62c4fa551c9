//! Calls from one component into another that are so small that a compiler may make them where they stand, without a function in
//! between: all parameters and the result are core values, and nothing is left to do once the callee has returned but to make the
//! result what its type says.
//!
//! What a module's import will be is known only where it is linked. But the component around the module says what it may be, and a compiler
//! makes code for both cases: instantiation says of each import which it is ([`crate::vm::VmImport::adapter`]).
//!
//! Must not know: who is linked to whom, native code.

use alloc::boxed::Box;
use mini_wasm_canonical_abi::plan::{At, Plan, Scalar, Step};

/// Such a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarCall {
    /// What becomes of each parameter. One that is no value goes by the import's own function, which says so.
    pub params: Box<[Scalar]>,
    /// What becomes of the result. Any core value is one.
    pub result: Option<Scalar>,
    /// Whether there are times at which the caller may not leave, so that it has to be asked.
    pub asks_caller: bool,
}

/// More parameters are not worth the code.
const MOST_PARAMS: usize = 8;

impl ScalarCall {
    /// The call with these plans for parameters and results, if it is so small.
    pub fn new(params: &Plan, results: &Plan, asks_caller: bool) -> Option<ScalarCall> {
        let scalars = |plan: &Plan| {
            plan.steps()
                .iter()
                .enumerate()
                .map(|(i, step)| match step {
                    Step::Scalar { kind, at: At::Slot(slot) } if usize::from(*slot) == i => Some(*kind),
                    _ => None,
                })
                .collect::<Option<Box<[Scalar]>>>()
        };
        let (params, results) = (scalars(params)?, scalars(results)?);
        let result = match results[..] {
            [] => None,
            [Scalar::Char | Scalar::Enum { .. }] => return None,
            [kind] => Some(kind),
            _ => return None,
        };
        (params.len() <= MOST_PARAMS).then_some(ScalarCall { params, result, asks_caller })
    }
}
