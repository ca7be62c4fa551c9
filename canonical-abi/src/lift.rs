//! Values out of core values: parameters and results. CanonicalABI.md: "Flat Lifting", `lift_flat_values`.
//!
//! A core value is a `u64` slot: an i32 or f32 is its low 32 bits, and what stands above is ignored. So a slot that the cases
//! of a variant share needs no conversion: `wrap_i64_to_i32` and the reinterpretations of the specification all take the low
//! bits of the slot.
//!
//! Must not know: how the slots got their values.

use crate::context::{Guest, LiftLowerContext};
use crate::error::{Content, Result, TypeMismatch};
use crate::flatten::goes_flat;
use crate::layout::PtrType;
use crate::load::{
    check_case, convert_i32_to_char, convert_int_to_bool, decode_i32_as_float, decode_i64_as_float,
    load_list_from_range, load_map_from_range, load_record, unpack_flags_from_int, variant_val,
};
use crate::string::load_string_from_range;
use crate::types::{Cases, ListType, ValType};
use crate::val::{List, Val};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Takes core values one after the other.
#[derive(Clone, Debug)]
pub struct CoreValueIter<'a> {
    values: &'a [u64],
    i: usize,
}

impl<'a> CoreValueIter<'a> {
    /// All of `values`, from the first.
    pub fn new(values: &'a [u64]) -> CoreValueIter<'a> {
        CoreValueIter { values, i: 0 }
    }

    /// How many have been taken.
    pub fn taken(&self) -> usize {
        self.i
    }

    /// The next slot as an i64 or the bits of an f64. Too few slots are the embedder's mistake: a `TypeMismatch`.
    #[inline]
    pub fn next_i64(&mut self) -> Result<u64> {
        let value = self.values.get(self.i).copied();
        self.i += 1;
        value.ok_or_else(|| {
            TypeMismatch::Count { what: "core values", expected: self.i, found: self.values.len() }.into()
        })
    }

    /// The next slot as an i32 or the bits of an f32.
    #[inline]
    pub fn next_i32(&mut self) -> Result<u32> {
        Ok(self.next_i64()? as u32)
    }

    /// The next slot as a pointer or length: what does not fit in a `usize` is beyond any memory.
    #[inline]
    pub fn next_ptr(&mut self, ptr_type: PtrType) -> Result<usize> {
        Ok(ptr_type.address(self.next_tagged(ptr_type)?))
    }

    /// The next slot as the (tagged) length of a string.
    #[inline]
    pub fn next_tagged(&mut self, ptr_type: PtrType) -> Result<u64> {
        match ptr_type {
            PtrType::I32 => self.next_i32().map(u64::from),
            PtrType::I64 => self.next_i64(),
        }
    }

    /// Passes over slots up to the one of index `i`: those that a shorter case of a variant leaves unused.
    #[inline]
    pub fn skip_to(&mut self, i: usize) {
        self.i = i;
    }
}

/// A value of type `t` from the next core values.
pub fn lift_flat<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    vi: &mut CoreValueIter<'_>,
    t: &ValType,
) -> Result<Val> {
    Ok(match t {
        ValType::Bool => Val::Bool(convert_int_to_bool(vi.next_i32()?)),
        ValType::U8 => Val::U8(vi.next_i32()? as u8),
        ValType::U16 => Val::U16(vi.next_i32()? as u16),
        ValType::U32 => Val::U32(vi.next_i32()?),
        ValType::U64 => Val::U64(vi.next_i64()?),
        ValType::S8 => Val::S8(vi.next_i32()? as i8),
        ValType::S16 => Val::S16(vi.next_i32()? as i16),
        ValType::S32 => Val::S32(vi.next_i32()? as i32),
        ValType::S64 => Val::S64(vi.next_i64()? as i64),
        ValType::F32 => Val::F32(decode_i32_as_float(vi.next_i32()?)),
        ValType::F64 => Val::F64(decode_i64_as_float(vi.next_i64()?)),
        ValType::Char => Val::Char(convert_i32_to_char(vi.next_i32()?)?),
        ValType::String => {
            let ptr = vi.next_ptr(cx.ptr_type())?;
            let tagged_code_units = vi.next_tagged(cx.ptr_type())?;
            Val::String(load_string_from_range(cx, ptr, tagged_code_units)?)
        }
        ValType::List(t) => Val::List(lift_flat_list(cx, vi, t)?),
        ValType::Map(t) => {
            let ptr = vi.next_ptr(cx.ptr_type())?;
            let length = vi.next_ptr(cx.ptr_type())?;
            Val::Map(load_map_from_range(cx, ptr, length, t)?)
        }
        ValType::Record(t) => Val::Record(lift_flat_record(cx, vi, t.fields().iter().map(|field| &field.t))?),
        ValType::Tuple(t) => Val::Tuple(lift_flat_record(cx, vi, t.types().iter())?),
        ValType::Variant(variant) => lift_flat_variant(cx, vi, Cases::of_variant(variant), t)?,
        ValType::Enum(cases) => lift_flat_variant(cx, vi, Cases::of_enum(cases), t)?,
        ValType::Option(option) => lift_flat_variant(cx, vi, Cases::of_option(option), t)?,
        ValType::Result(result) => lift_flat_variant(cx, vi, Cases::of_result(result), t)?,
        ValType::Flags(t) => Val::Flags(unpack_flags_from_int(vi.next_i32()?, t.labels().len())),
        ValType::Own(rt) => Val::Own(cx.guest.lift_own(vi.next_i32()?, *rt)?),
        ValType::Borrow(rt) => Val::Borrow(cx.guest.lift_borrow(vi.next_i32()?, *rt)?),
    })
}

#[inline(never)]
fn lift_flat_list<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    vi: &mut CoreValueIter<'_>,
    t: &ListType,
) -> Result<List> {
    match t.length() {
        None => {
            let ptr = vi.next_ptr(cx.ptr_type())?;
            let length = vi.next_ptr(cx.ptr_type())?;
            load_list_from_range(cx, ptr, length, t.element())
        }
        Some(length) => {
            // At most `MAX_FLAT_PARAMS` elements: the value is flat.
            let mut vals = cx.vec(length as usize)?;
            for _ in 0..length {
                vals.push(lift_flat(cx, vi, t.element())?);
            }
            Ok(List::Vals(vals))
        }
    }
}

#[inline(never)]
fn lift_flat_record<'t, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    vi: &mut CoreValueIter<'_>,
    fields: impl ExactSizeIterator<Item = &'t ValType>,
) -> Result<Vec<Val>> {
    let mut vals = cx.vec(fields.len())?;
    for t in fields {
        vals.push(lift_flat(cx, vi, t)?);
    }
    Ok(vals)
}

#[inline(never)]
fn lift_flat_variant<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    vi: &mut CoreValueIter<'_>,
    cases: Cases<'_>,
    t: &ValType,
) -> Result<Val> {
    let end = vi.taken() + cases.layout.layout.flat_count();
    let case_index = vi.next_i32()?;
    let payload = match check_case(&cases, case_index)? {
        None => None,
        Some(payload) => {
            cx.charge(size_of::<Val>())?;
            Some(Box::new(lift_flat(cx, vi, payload)?))
        }
    };
    vi.skip_to(end);
    Ok(variant_val(t, case_index, payload))
}

/// Lifting and Lowering Values
///
/// The values of `types` from core values, or from the memory that the first core value points to if there are more than
/// `max_flat` of them (`MAX_FLAT_PARAMS` for parameters, `MAX_FLAT_RESULTS` for results).
pub fn lift_flat_values<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    max_flat: usize,
    vi: &mut CoreValueIter<'_>,
    types: &[ValType],
) -> Result<Vec<Val>> {
    if !goes_flat(types, max_flat) {
        let tuple = crate::types::record_layout(types.iter());
        let ptr = vi.next_ptr(cx.ptr_type())?;
        cx.check_range(ptr, tuple.alignment(cx.ptr_type()), tuple.elem_size(cx.ptr_type()), Content::Values)?;
        load_record(cx, ptr, types.iter())
    } else {
        lift_flat_record(cx, vi, types.iter())
    }
}
