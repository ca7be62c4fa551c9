//! The core values that a component value becomes. CanonicalABI.md: "Flattening".
//!
//! How many there are is known from the layout (`Layout::flat_count`); which they are is asked once per function, when a core
//! signature is made. A type with more than `MAX_FLAT_PARAMS` of them never goes flat and is not walked.
//!
//! Must not know: values, memories.

use crate::layout::{FLAT_COUNT_MANY, PtrType};
use crate::types::{Cases, FuncType, ValType};

/// A function with more flat parameters gets one pointer to all of them.
pub const MAX_FLAT_PARAMS: usize = 16;

/// A function with more flat results gets or returns one pointer to all of them.
pub const MAX_FLAT_RESULTS: usize = 1;

/// The type of a core value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are WebAssembly's")]
pub enum CoreType {
    I32,
    I64,
    F32,
    F64,
}

impl From<PtrType> for CoreType {
    fn from(ptr_type: PtrType) -> CoreType {
        match ptr_type {
            PtrType::I32 => CoreType::I32,
            PtrType::I64 => CoreType::I64,
        }
    }
}

/// A list of core types, as long as a core signature of the Canonical ABI can be: `MAX_FLAT_PARAMS` and a result pointer.
#[derive(Clone, Copy)]
pub struct FlatTypes {
    types: [CoreType; MAX_FLAT_PARAMS + 1],
    len: u8,
}

impl FlatTypes {
    const EMPTY: FlatTypes = FlatTypes { types: [CoreType::I32; MAX_FLAT_PARAMS + 1], len: 0 };

    /// The types.
    pub fn as_slice(&self) -> &[CoreType] {
        &self.types[..usize::from(self.len)]
    }

    /// Callers ask for the flat count first, so there is room.
    fn push(&mut self, t: CoreType) {
        if let Some(slot) = self.types.get_mut(usize::from(self.len)) {
            *slot = t;
            self.len += 1;
        }
    }

    fn extend(&mut self, other: &FlatTypes) {
        other.as_slice().iter().for_each(|t| self.push(*t));
    }
}

impl PartialEq for FlatTypes {
    fn eq(&self, other: &FlatTypes) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for FlatTypes {}

impl core::fmt::Debug for FlatTypes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// The type of the core function that a component function becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreFuncType {
    /// At most `MAX_FLAT_PARAMS` and a result pointer.
    pub params: FlatTypes,
    /// At most one.
    pub results: FlatTypes,
}

/// Which side of a boundary a core function stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlattenContext {
    /// `canon lift`: the core function is the guest's export.
    Lift,
    /// `canon lower`: the core function is the guest's import.
    Lower,
}

/// The core signature of `ft` (sync functions).
pub fn flatten_functype(ptr_type: PtrType, ft: &FuncType, context: FlattenContext) -> CoreFuncType {
    let pointer = FlatTypes { len: 1, types: [ptr_type.into(); MAX_FLAT_PARAMS + 1] };
    let mut params = flatten_types(ft.param_types(), ptr_type, MAX_FLAT_PARAMS).unwrap_or(pointer);
    let results =
        flatten_types(ft.result_types(), ptr_type, MAX_FLAT_RESULTS).unwrap_or_else(|| match context {
            FlattenContext::Lift => pointer,
            FlattenContext::Lower => {
                params.extend(&pointer);
                FlatTypes::EMPTY
            }
        });
    CoreFuncType { params, results }
}

/// How many flat values `types` have together, or `FLAT_COUNT_MANY` for more than `MAX_FLAT_PARAMS`.
pub fn flat_count(types: &[ValType]) -> usize {
    let sum: usize = types.iter().map(|t| t.layout().flat_count()).sum();
    sum.min(usize::from(FLAT_COUNT_MANY))
}

/// Whether values of `types` go flat where `max_flat` core values may (never more than `MAX_FLAT_PARAMS`). Asked at every
/// call, so no layout is made for it.
pub(crate) fn goes_flat(types: &[ValType], max_flat: usize) -> bool {
    flat_count(types) <= max_flat.min(MAX_FLAT_PARAMS)
}

/// The flat types of a list of values, or `None` for more than `max_flat` (at most `MAX_FLAT_PARAMS`).
pub fn flatten_types(types: &[ValType], ptr_type: PtrType, max_flat: usize) -> Option<FlatTypes> {
    if !goes_flat(types, max_flat) {
        return None;
    }
    let mut flat = FlatTypes::EMPTY;
    types.iter().for_each(|t| flatten_type(t, ptr_type, &mut flat));
    Some(flat)
}

/// Adds the flat types of `t`, which has no more of them than there is room for.
fn flatten_type(t: &ValType, ptr_type: PtrType, flat: &mut FlatTypes) {
    match t {
        ValType::Bool
        | ValType::U8
        | ValType::U16
        | ValType::U32
        | ValType::S8
        | ValType::S16
        | ValType::S32
        | ValType::Char
        | ValType::Flags(_)
        | ValType::Own(_)
        | ValType::Borrow(_) => flat.push(CoreType::I32),
        ValType::S64 | ValType::U64 => flat.push(CoreType::I64),
        ValType::F32 => flat.push(CoreType::F32),
        ValType::F64 => flat.push(CoreType::F64),
        ValType::String | ValType::Map(_) => {
            flat.push(ptr_type.into());
            flat.push(ptr_type.into());
        }
        ValType::List(t) => match t.length() {
            None => {
                flat.push(ptr_type.into());
                flat.push(ptr_type.into());
            }
            Some(length) => (0..length).for_each(|_| flatten_type(t.element(), ptr_type, flat)),
        },
        ValType::Record(t) => t.fields().iter().for_each(|field| flatten_type(&field.t, ptr_type, flat)),
        ValType::Tuple(t) => t.types().iter().for_each(|t| flatten_type(t, ptr_type, flat)),
        ValType::Variant(t) => flatten_variant(Cases::of_variant(t), ptr_type, flat),
        ValType::Enum(t) => flatten_variant(Cases::of_enum(t), ptr_type, flat),
        ValType::Option(t) => flatten_variant(Cases::of_option(t), ptr_type, flat),
        ValType::Result(t) => flatten_variant(Cases::of_result(t), ptr_type, flat),
    }
}

/// The discriminant, then for each place the type that can hold what any case has there.
fn flatten_variant(cases: Cases<'_>, ptr_type: PtrType, flat: &mut FlatTypes) {
    flat.push(CoreType::I32);
    let mut joined = FlatTypes::EMPTY;
    for t in cases.payloads() {
        let mut payload = FlatTypes::EMPTY;
        flatten_type(t, ptr_type, &mut payload);
        for (i, t) in payload.as_slice().iter().enumerate() {
            if i < usize::from(joined.len) {
                joined.types[i] = join(joined.types[i], *t);
            } else {
                joined.push(*t);
            }
        }
    }
    flat.extend(&joined);
}

/// The smallest core type that can hold the bits of both.
pub fn join(a: CoreType, b: CoreType) -> CoreType {
    match (a, b) {
        (a, b) if a == b => a,
        (CoreType::I32, CoreType::F32) | (CoreType::F32, CoreType::I32) => CoreType::I32,
        _ => CoreType::I64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CoreType::*;
    use alloc::vec::Vec;

    fn functype(
        params: &[ValType],
        result: Option<ValType>,
        context: FlattenContext,
    ) -> (Vec<CoreType>, Vec<CoreType>) {
        let ft = FuncType::new(params.iter().map(|t| ("p", t.clone())), result);
        let core = flatten_functype(PtrType::I32, &ft, context);
        (core.params.as_slice().to_vec(), core.results.as_slice().to_vec())
    }

    #[test]
    fn sixteen_parameters_go_flat_and_seventeen_through_a_pointer() {
        let sixteen = [const { ValType::U64 }; 16];
        let seventeen = [const { ValType::U64 }; 17];
        assert_eq!(functype(&sixteen, None, FlattenContext::Lift), (alloc::vec![I64; 16], alloc::vec![]));
        assert_eq!(functype(&seventeen, None, FlattenContext::Lift), (alloc::vec![I32], alloc::vec![]));
    }

    #[test]
    fn two_flat_results_are_returned_by_pointer_when_lifted_and_through_a_parameter_when_lowered() {
        let sixteen = [const { ValType::F32 }; 16];
        let (params, results) = functype(&sixteen, Some(ValType::String), FlattenContext::Lift);
        assert_eq!((params.len(), results), (16, alloc::vec![I32]));
        let (params, results) = functype(&sixteen, Some(ValType::String), FlattenContext::Lower);
        assert_eq!((params.len(), params[16], results.len()), (17, I32, 0));
        let (params, results) = functype(&[], Some(ValType::F64), FlattenContext::Lower);
        assert_eq!((params, results), (alloc::vec![], alloc::vec![F64]));
    }

    #[test]
    fn the_cases_of_a_variant_share_their_places() {
        let case = |name, t| (name, Some(t));
        let pair = ValType::tuple([ValType::F32, ValType::F64]).unwrap();
        let t =
            ValType::variant([case("a", ValType::U8), case("b", pair), case("c", ValType::F32), ("d", None)]);
        let flat = flatten_types(&[t.unwrap()], PtrType::I32, MAX_FLAT_PARAMS).unwrap();
        assert_eq!(flat.as_slice(), [I32, I32, F64]);
    }

    #[test]
    fn join_takes_i64_for_all_but_equal_and_32_bit_types() {
        assert_eq!(join(F32, F32), F32);
        assert_eq!(join(F32, I32), I32);
        assert_eq!(join(F32, F64), I64);
        assert_eq!(join(I32, I64), I64);
        assert_eq!(join(F64, I64), I64);
    }
}
