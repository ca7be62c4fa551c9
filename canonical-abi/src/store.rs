//! Values into linear memory. CanonicalABI.md: "Storing".
//!
//! The counterpart of load.rs. A value that does not fit its type is a `TypeMismatch`, found as the walk comes to it. Padding
//! is not written: what the guest had there stays.
//!
//! Recursion is as deep as the type (`MAX_TYPE_DEPTH`).
//!
//! Must not know: flat values, how memory is held.

use crate::context::{Guest, LiftLowerContext};
use crate::error::{Content, Error, Result, TypeMismatch};
use crate::layout::{PtrType, align_to};
use crate::load::{MAX_LIST_BYTE_LENGTH, Number};
use crate::string::store_string;
use crate::types::{ListType, MapType, ValType};
use crate::val::{List, Val, case_payload, check_count, check_flags, check_length, for_each_number};

/// Stores `v` as a `t` at `ptr`, which is aligned and in bounds.
pub fn store<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &Val,
    t: &ValType,
    ptr: usize,
) -> Result<()> {
    match (v, t) {
        (Val::Bool(v), ValType::Bool) => store_int(cx, u8::from(*v), ptr),
        (Val::U8(v), ValType::U8) => store_int(cx, *v, ptr),
        (Val::U16(v), ValType::U16) => store_int(cx, *v, ptr),
        (Val::U32(v), ValType::U32) => store_int(cx, *v, ptr),
        (Val::U64(v), ValType::U64) => store_int(cx, *v, ptr),
        (Val::S8(v), ValType::S8) => store_int(cx, *v, ptr),
        (Val::S16(v), ValType::S16) => store_int(cx, *v, ptr),
        (Val::S32(v), ValType::S32) => store_int(cx, *v, ptr),
        (Val::S64(v), ValType::S64) => store_int(cx, *v, ptr),
        (Val::F32(v), ValType::F32) => store_int(cx, *v, ptr),
        (Val::F64(v), ValType::F64) => store_int(cx, *v, ptr),
        (Val::Char(v), ValType::Char) => store_int(cx, u32::from(*v), ptr),
        (Val::String(v), ValType::String) => store_string(cx, v.as_str(), v.encoding(), ptr),
        (Val::List(v), ValType::List(t)) => store_list(cx, v, ptr, t),
        (Val::Record(vals), ValType::Record(t)) => {
            store_record(cx, "fields", vals, ptr, t.fields().iter().map(|field| &field.t))
        }
        (Val::Tuple(vals), ValType::Tuple(t)) => store_record(cx, "elements", vals, ptr, t.types().iter()),
        (Val::Map(entries), ValType::Map(t)) => {
            let (begin, length) = store_map_into_range(cx, entries, t)?;
            store_range(cx, begin, length, ptr)
        }
        (Val::Flags(bits), ValType::Flags(flags)) => {
            check_flags(*bits, flags.labels().len())?;
            store_unsigned(cx, *bits, ptr, t.elem_size(cx.ptr_type()))
        }
        (Val::Own(resource), ValType::Own(rt)) => {
            let index = cx.guest.lower_own(*resource, *rt)?;
            store_int(cx, index, ptr)
        }
        (Val::Borrow(resource), ValType::Borrow(rt)) => {
            let index = cx.guest.lower_borrow(*resource, *rt)?;
            store_int(cx, index, ptr)
        }
        (v, t) => store_variant(cx, v, ptr, t),
    }
}

/// Stores a number.
#[inline]
pub(crate) fn store_int<N: Number, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: N,
    ptr: usize,
) -> Result<()> {
    v.encode(cx.bytes_mut(ptr, size_of::<N>())?);
    Ok(())
}

/// Stores an unsigned integer of 1, 2 or 4 bytes, which it fits: a discriminant, flags.
#[inline]
pub(crate) fn store_unsigned<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: u32,
    ptr: usize,
    nbytes: usize,
) -> Result<()> {
    match nbytes {
        1 => store_int(cx, v as u8, ptr),
        2 => store_int(cx, v as u16, ptr),
        _ => store_int(cx, v, ptr),
    }
}

/// Stores a pointer and a (tagged) length.
pub(crate) fn store_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    begin: usize,
    length: u64,
    ptr: usize,
) -> Result<()> {
    match cx.ptr_type() {
        // A 32-bit memory has no larger pointers, and no string or list in it is longer.
        PtrType::I32 => {
            store_int(cx, begin as u32, ptr)?;
            store_int(cx, length as u32, ptr + 4)
        }
        PtrType::I64 => {
            store_int(cx, begin as u64, ptr)?;
            store_int(cx, length, ptr + 8)
        }
    }
}

#[inline(never)]
fn store_list<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &List,
    ptr: usize,
    t: &ListType,
) -> Result<()> {
    if t.length().is_some() {
        check_length(v.len(), t.length())?;
        return store_list_into_valid_range(cx, v, ptr, t.element());
    }
    let (begin, length) = store_list_into_range(cx, v, t.element())?;
    store_range(cx, begin, length, ptr)
}

/// Allocates room for `length` elements of the given size.
pub(crate) fn allocate_list<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    length: usize,
    alignment: usize,
    elem_size: usize,
) -> Result<usize> {
    match length.checked_mul(elem_size) {
        Some(bytes) if bytes <= MAX_LIST_BYTE_LENGTH => cx.allocate(alignment, bytes, Content::List),
        _ => Err(Error::Type(TypeMismatch::TooLong(Content::List))),
    }
}

/// Allocates and stores the elements; pointer and length of the list.
pub(crate) fn store_list_into_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &List,
    element: &ValType,
) -> Result<(usize, u64)> {
    let ptr = allocate_list(cx, v.len(), element.alignment(cx.ptr_type()), element.elem_size(cx.ptr_type()))?;
    store_list_into_valid_range(cx, v, ptr, element)?;
    Ok((ptr, v.len() as u64))
}

fn store_list_into_valid_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &List,
    ptr: usize,
    element: &ValType,
) -> Result<()> {
    macro_rules! store_by_type {
        ($($name:ident $ty:ty),*) => {
            match (v, element) {
                $((List::$name(numbers), ValType::$name) => store_numbers(cx, numbers, ptr),)*
                (List::Vals(vals), element) => {
                    let elem_size = element.elem_size(cx.ptr_type());
                    for (i, val) in vals.iter().enumerate() {
                        store(cx, val, element, ptr + i * elem_size)?;
                    }
                    Ok(())
                }
                // Numbers of another type; without any there is nothing to store.
                (numbers, element) => match numbers.element(0) {
                    Some(number) => store(cx, &number, element, ptr),
                    None => Ok(()),
                },
            }
        };
    }
    for_each_number!(store_by_type)
}

/// Stores numbers one after the other: one bounds check, one pass.
pub(crate) fn store_numbers<N: Number, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    numbers: &[N],
    ptr: usize,
) -> Result<()> {
    let bytes = cx.bytes_mut(ptr, size_of_val(numbers))?;
    bytes.chunks_exact_mut(size_of::<N>()).zip(numbers).for_each(|(bytes, number)| number.encode(bytes));
    Ok(())
}

#[inline(never)]
pub(crate) fn store_map_into_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    entries: &[(Val, Val)],
    t: &MapType,
) -> Result<(usize, u64)> {
    let entry = crate::types::record_layout(t.element().types().iter());
    let elem_size = entry.elem_size(cx.ptr_type());
    let begin = allocate_list(cx, entries.len(), entry.alignment(cx.ptr_type()), elem_size)?;
    let value_offset = align_to(t.key().elem_size(cx.ptr_type()), t.value().alignment(cx.ptr_type()));
    for (i, (key, value)) in entries.iter().enumerate() {
        let at = begin + i * elem_size;
        store(cx, key, t.key(), at)?;
        store(cx, value, t.value(), at + value_offset)?;
    }
    Ok((begin, entries.len() as u64))
}

#[inline(never)]
pub(crate) fn store_record<'t, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    what: &'static str,
    vals: &[Val],
    mut ptr: usize,
    fields: impl ExactSizeIterator<Item = &'t ValType>,
) -> Result<()> {
    check_count(what, fields.len(), vals.len())?;
    for (val, t) in vals.iter().zip(fields) {
        ptr = align_to(ptr, t.alignment(cx.ptr_type()));
        store(cx, val, t, ptr)?;
        ptr += t.elem_size(cx.ptr_type());
    }
    Ok(())
}

#[inline(never)]
fn store_variant<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    v: &Val,
    ptr: usize,
    t: &ValType,
) -> Result<()> {
    let (cases, case_index, payload) = v.match_case(t)?;
    let payload_type = case_payload(&cases, case_index)?;
    store_unsigned(cx, case_index, ptr, usize::from(cases.layout.discriminant_size))?;
    match (payload, payload_type) {
        (Some(val), Some(t)) => store(cx, val, t, ptr + cases.layout.payload_offset(cx.ptr_type())),
        (None, None) => Ok(()),
        (_, t) => Err(TypeMismatch::Payload { expected: t.is_some() }.into()),
    }
}
