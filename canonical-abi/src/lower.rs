//! Values into core values: parameters and results. CanonicalABI.md: "Flat Lowering", `lower_flat_values`.
//!
//! A core value is a `u64` slot whose bits above an i32 or f32 are zero; the slots that a shorter case of a variant leaves
//! unused are zero. So the slots of a payload need no conversion to the types that the cases share.
//!
//! Must not know: where the slots go.

use crate::context::{Guest, LiftLowerContext};
use crate::error::{Content, Result, TypeMismatch};
use crate::flatten::goes_flat;
use crate::load::{canonicalize_nan32, canonicalize_nan64};
use crate::store::{store_list_into_range, store_map_into_range, store_record};
use crate::string::store_string_into_range;
use crate::types::ValType;
use crate::val::{List, Val, case_payload, check_count, check_flags, check_length};

/// Fills core values one after the other.
#[derive(Debug)]
pub struct CoreValueSink<'a> {
    slots: &'a mut [u64],
    len: usize,
}

impl<'a> CoreValueSink<'a> {
    /// Fills `slots` from the first. Too few of them are the embedder's mistake: a `TypeMismatch`.
    pub fn new(slots: &'a mut [u64]) -> CoreValueSink<'a> {
        CoreValueSink { slots, len: 0 }
    }

    /// How many have been filled.
    pub fn filled(&self) -> usize {
        self.len
    }

    /// The next slot: an i64, the bits of an f64, or an i32 or the bits of an f32 with zeros above.
    #[inline]
    pub fn push(&mut self, value: u64) -> Result<()> {
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                *slot = value;
                self.len += 1;
                Ok(())
            }
            None => Err(TypeMismatch::Count {
                what: "core values",
                expected: self.len + 1,
                found: self.slots.len(),
            }
            .into()),
        }
    }

    /// Zeros up to the slot of index `end`.
    #[inline]
    pub fn pad_to(&mut self, end: usize) -> Result<()> {
        while self.len < end {
            self.push(0)?;
        }
        Ok(())
    }
}

/// Puts `v`, a value of type `t`, into the next core values.
pub fn lower_flat<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &Val,
    t: &ValType,
    out: &mut CoreValueSink<'_>,
) -> Result<()> {
    match (v, t) {
        (Val::Bool(v), ValType::Bool) => out.push(u64::from(*v)),
        (Val::U8(v), ValType::U8) => out.push(u64::from(*v)),
        (Val::U16(v), ValType::U16) => out.push(u64::from(*v)),
        (Val::U32(v), ValType::U32) => out.push(u64::from(*v)),
        (Val::U64(v), ValType::U64) => out.push(*v),
        (Val::S8(v), ValType::S8) => out.push(lower_flat_signed(i32::from(*v))),
        (Val::S16(v), ValType::S16) => out.push(lower_flat_signed(i32::from(*v))),
        (Val::S32(v), ValType::S32) => out.push(lower_flat_signed(*v)),
        (Val::S64(v), ValType::S64) => out.push(*v as u64),
        (Val::F32(v), ValType::F32) => out.push(u64::from(canonicalize_nan32(*v).to_bits())),
        (Val::F64(v), ValType::F64) => out.push(canonicalize_nan64(*v).to_bits()),
        (Val::Char(v), ValType::Char) => out.push(u64::from(u32::from(*v))),
        (Val::String(v), ValType::String) => {
            let (ptr, tagged_code_units) = store_string_into_range(cx, v.as_str(), v.encoding())?;
            lower_range(out, ptr, tagged_code_units)
        }
        (Val::List(v), ValType::List(t)) if t.length().is_none() => {
            let (ptr, length) = store_list_into_range(cx, v, t.element())?;
            lower_range(out, ptr, length)
        }
        (Val::List(v), ValType::List(t)) => {
            check_length(v.len(), t.length())?;
            lower_flat_elements(cx, v, t.element(), out)
        }
        (Val::Map(entries), ValType::Map(t)) => {
            let (ptr, length) = store_map_into_range(cx, entries, t)?;
            lower_range(out, ptr, length)
        }
        (Val::Record(vals), ValType::Record(t)) => {
            lower_flat_record(cx, "fields", vals, t.fields().iter().map(|field| &field.t), out)
        }
        (Val::Tuple(vals), ValType::Tuple(t)) => {
            lower_flat_record(cx, "elements", vals, t.types().iter(), out)
        }
        (Val::Flags(bits), ValType::Flags(t)) => {
            check_flags(*bits, t.labels().len())?;
            out.push(u64::from(*bits))
        }
        (Val::Own(resource), ValType::Own(rt)) => out.push(u64::from(cx.guest.lower_own(*resource, *rt)?)),
        (Val::Borrow(resource), ValType::Borrow(rt)) => {
            out.push(u64::from(cx.guest.lower_borrow(*resource, *rt)?))
        }
        (v, t) => lower_flat_variant(cx, v, t, out),
    }
}

/// An i32 slot: sign-extended to 32 bits, zeros above.
#[inline]
pub(crate) fn lower_flat_signed(i: i32) -> u64 {
    u64::from(i as u32)
}

/// A pointer and a (tagged) length.
#[inline]
pub(crate) fn lower_range(out: &mut CoreValueSink<'_>, ptr: usize, length: u64) -> Result<()> {
    out.push(ptr as u64)?;
    out.push(length)
}

#[inline(never)]
fn lower_flat_elements<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &List,
    element: &ValType,
    out: &mut CoreValueSink<'_>,
) -> Result<()> {
    match v {
        List::Vals(vals) => vals.iter().try_for_each(|val| lower_flat(cx, val, element, out)),
        numbers => (0..numbers.len())
            .filter_map(|i| numbers.element(i))
            .try_for_each(|number| lower_flat(cx, &number, element, out)),
    }
}

#[inline(never)]
fn lower_flat_record<'t, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    what: &'static str,
    vals: &[Val],
    fields: impl ExactSizeIterator<Item = &'t ValType>,
    out: &mut CoreValueSink<'_>,
) -> Result<()> {
    check_count(what, fields.len(), vals.len())?;
    vals.iter().zip(fields).try_for_each(|(val, t)| lower_flat(cx, val, t, out))
}

#[inline(never)]
fn lower_flat_variant<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &Val,
    t: &ValType,
    out: &mut CoreValueSink<'_>,
) -> Result<()> {
    let (cases, case_index, payload) = v.match_case(t)?;
    let payload_type = case_payload(&cases, case_index)?;
    let end = out.filled() + cases.layout.layout.flat_count();
    out.push(u64::from(case_index))?;
    match (payload, payload_type) {
        (Some(val), Some(t)) => lower_flat(cx, val, t, out)?,
        (None, None) => {}
        (_, t) => return Err(TypeMismatch::Payload { expected: t.is_some() }.into()),
    }
    out.pad_to(end)
}

/// Lifting and Lowering Values
///
/// Puts `vals`, values of `types`, into core values; or, if those would be more than `max_flat`, into memory: at
/// `out_param` if there is one (the last flat parameter of a lowered function, for its results), else into a fresh region
/// whose pointer becomes the one core value (the parameters of a lifted function).
pub fn lower_flat_values<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    max_flat: usize,
    vals: &[Val],
    types: &[ValType],
    out_param: Option<usize>,
    out: &mut CoreValueSink<'_>,
) -> Result<()> {
    if !goes_flat(types, max_flat) {
        let tuple = crate::types::record_layout(types.iter());
        let ptr = spill(cx, tuple.alignment(cx.ptr_type()), tuple.elem_size(cx.ptr_type()), out_param, out)?;
        store_record(cx, "values", vals, ptr, types.iter())
    } else {
        lower_flat_record(cx, "values", vals, types.iter(), out)
    }
}

/// Where values go that are too many to be flat: checked.
pub(crate) fn spill<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    alignment: usize,
    byte_length: usize,
    out_param: Option<usize>,
    out: &mut CoreValueSink<'_>,
) -> Result<usize> {
    match out_param {
        Some(ptr) => {
            cx.check_range(ptr, alignment, byte_length, Content::Values)?;
            Ok(ptr)
        }
        None => {
            let ptr = cx.allocate(alignment, byte_length, Content::Values)?;
            out.push(ptr as u64)?;
            Ok(ptr)
        }
    }
}
