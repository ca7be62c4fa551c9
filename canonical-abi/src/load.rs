//! Values out of linear memory. CanonicalABI.md: "Loading".
//!
//! `load` and what it calls are for values whose type is known at run time (`Val`); the `load_*_range` checks and the scalar
//! conversions serve the Rust types of typed.rs as well. Nothing here trusts a pointer: ranges are checked where the
//! specification checks them, and every access is checked once more by the slice it goes through.
//!
//! Recursion is as deep as the type (`MAX_TYPE_DEPTH`).
//!
//! Must not know: flat values, how memory is held.

use crate::context::{Guest, LiftLowerContext};
use crate::error::{Content, Result, Trap};
use crate::layout::{PtrType, align_to};
use crate::string::load_string;
use crate::types::{Cases, ListType, MapType, ValType};
use crate::val::{List, Val, flags_mask, for_each_number};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A list has at most this many bytes.
pub const MAX_LIST_BYTE_LENGTH: usize = (1 << 28) - 1;

/// A number as it lies in memory.
pub(crate) trait Number: Copy {
    /// From its little-endian bytes, as many as the type has. NaNs become the canonical NaN.
    fn decode(bytes: &[u8]) -> Self;
    /// Writes the little-endian bytes.
    fn encode(self, bytes: &mut [u8]);
}

macro_rules! int_is_number {
    ($($ty:ty)*) => {$(
        impl Number for $ty {
            #[inline]
            fn decode(bytes: &[u8]) -> $ty {
                let mut array = [0; size_of::<$ty>()];
                array.copy_from_slice(bytes);
                <$ty>::from_le_bytes(array)
            }

            #[inline]
            fn encode(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
int_is_number!(i8 u8 i16 u16 i32 u32 i64 u64);

impl Number for f32 {
    #[inline]
    fn decode(bytes: &[u8]) -> f32 {
        decode_i32_as_float(u32::decode(bytes))
    }

    #[inline]
    fn encode(self, bytes: &mut [u8]) {
        canonicalize_nan32(self).to_bits().encode(bytes);
    }
}

impl Number for f64 {
    #[inline]
    fn decode(bytes: &[u8]) -> f64 {
        decode_i64_as_float(u64::decode(bytes))
    }

    #[inline]
    fn encode(self, bytes: &mut [u8]) {
        canonicalize_nan64(self).to_bits().encode(bytes);
    }
}

/// The value of type `t` at `ptr`, which is aligned and in bounds.
pub fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize, t: &ValType) -> Result<Val> {
    Ok(match t {
        ValType::Bool => Val::Bool(convert_int_to_bool(u32::from(load_int::<u8, G>(cx, ptr)?))),
        ValType::U8 => Val::U8(load_int(cx, ptr)?),
        ValType::U16 => Val::U16(load_int(cx, ptr)?),
        ValType::U32 => Val::U32(load_int(cx, ptr)?),
        ValType::U64 => Val::U64(load_int(cx, ptr)?),
        ValType::S8 => Val::S8(load_int(cx, ptr)?),
        ValType::S16 => Val::S16(load_int(cx, ptr)?),
        ValType::S32 => Val::S32(load_int(cx, ptr)?),
        ValType::S64 => Val::S64(load_int(cx, ptr)?),
        ValType::F32 => Val::F32(load_int(cx, ptr)?),
        ValType::F64 => Val::F64(load_int(cx, ptr)?),
        ValType::Char => Val::Char(convert_i32_to_char(load_int(cx, ptr)?)?),
        ValType::String => Val::String(load_string(cx, ptr)?),
        ValType::List(t) => Val::List(load_list(cx, ptr, t)?),
        ValType::Record(t) => Val::Record(load_record(cx, ptr, t.fields().iter().map(|field| &field.t))?),
        ValType::Tuple(t) => Val::Tuple(load_record(cx, ptr, t.types().iter())?),
        ValType::Variant(variant) => load_variant(cx, ptr, Cases::of_variant(variant), t)?,
        ValType::Enum(cases) => load_variant(cx, ptr, Cases::of_enum(cases), t)?,
        ValType::Option(option) => load_variant(cx, ptr, Cases::of_option(option), t)?,
        ValType::Result(result) => load_variant(cx, ptr, Cases::of_result(result), t)?,
        ValType::Map(t) => Val::Map(load_map(cx, ptr, t)?),
        ValType::Flags(flags) => {
            let bits = load_unsigned(cx, ptr, t.elem_size(cx.ptr_type()))?;
            Val::Flags(unpack_flags_from_int(bits, flags.labels().len()))
        }
        ValType::Own(rt) => {
            let index = load_int(cx, ptr)?;
            Val::Own(cx.guest.lift_own(index, *rt)?)
        }
        ValType::Borrow(rt) => {
            let index = load_int(cx, ptr)?;
            Val::Borrow(cx.guest.lift_borrow(index, *rt)?)
        }
    })
}

/// The number at `ptr`.
#[inline]
pub(crate) fn load_int<N: Number, G: Guest + ?Sized>(cx: &LiftLowerContext<'_, G>, ptr: usize) -> Result<N> {
    Ok(N::decode(cx.bytes(ptr, size_of::<N>())?))
}

/// The unsigned integer of 1, 2 or 4 bytes at `ptr`: a discriminant, flags.
#[inline]
pub(crate) fn load_unsigned<G: Guest + ?Sized>(
    cx: &LiftLowerContext<'_, G>,
    ptr: usize,
    nbytes: usize,
) -> Result<u32> {
    Ok(match nbytes {
        1 => u32::from(load_int::<u8, G>(cx, ptr)?),
        2 => u32::from(load_int::<u16, G>(cx, ptr)?),
        _ => load_int(cx, ptr)?,
    })
}

/// The pointer or length at `ptr`. What does not fit in a `usize` is beyond any memory: the largest `usize` stands for it.
#[inline]
pub(crate) fn load_ptr<G: Guest + ?Sized>(cx: &LiftLowerContext<'_, G>, ptr: usize) -> Result<usize> {
    let slot = match cx.ptr_type() {
        PtrType::I32 => u64::from(load_int::<u32, G>(cx, ptr)?),
        PtrType::I64 => load_int(cx, ptr)?,
    };
    Ok(cx.ptr_type().address(slot))
}

/// Any number but 0 is true.
#[inline]
pub(crate) fn convert_int_to_bool(i: u32) -> bool {
    i != 0
}

/// The one NaN that component values have, as 32 bits.
pub const CANONICAL_FLOAT32_NAN: u32 = 0x7fc0_0000;
/// The one NaN that component values have, as 64 bits.
pub const CANONICAL_FLOAT64_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The canonical NaN for every NaN, all else as it is.
#[inline]
pub fn canonicalize_nan32(f: f32) -> f32 {
    if f.is_nan() { f32::from_bits(CANONICAL_FLOAT32_NAN) } else { f }
}

/// The canonical NaN for every NaN, all else as it is.
#[inline]
pub fn canonicalize_nan64(f: f64) -> f64 {
    if f.is_nan() { f64::from_bits(CANONICAL_FLOAT64_NAN) } else { f }
}

#[inline]
pub(crate) fn decode_i32_as_float(i: u32) -> f32 {
    canonicalize_nan32(f32::from_bits(i))
}

#[inline]
pub(crate) fn decode_i64_as_float(i: u64) -> f64 {
    canonicalize_nan64(f64::from_bits(i))
}

/// A Unicode scalar value, or a trap.
#[inline]
pub(crate) fn convert_i32_to_char(i: u32) -> Result<char> {
    char::from_u32(i).ok_or_else(|| Trap::InvalidChar(i).into())
}

#[inline(never)]
fn load_list<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize, t: &ListType) -> Result<List> {
    match t.length() {
        Some(length) => load_list_from_valid_range(cx, ptr, length as usize, t.element()),
        None => {
            let begin = load_ptr(cx, ptr)?;
            let length = load_ptr(cx, ptr + cx.ptr_type().size())?;
            load_list_from_range(cx, begin, length, t.element())
        }
    }
}

/// The list of `length` elements at `ptr`, neither of them checked.
pub(crate) fn load_list_from_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
    element: &ValType,
) -> Result<List> {
    check_list_range(cx, ptr, length, element.alignment(cx.ptr_type()), element.elem_size(cx.ptr_type()))?;
    load_list_from_valid_range(cx, ptr, length, element)
}

/// Checks pointer and length of a list: total size, alignment, bounds, in this order.
#[inline]
pub(crate) fn check_list_range<G: Guest + ?Sized>(
    cx: &LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
    alignment: usize,
    elem_size: usize,
) -> Result<()> {
    cx.check_range(ptr, alignment, list_bytes(length, elem_size)?, Content::List)
}

/// How many bytes a list has, unless they are too many.
#[inline]
pub(crate) fn list_bytes(length: usize, elem_size: usize) -> Result<usize> {
    match length.checked_mul(elem_size) {
        Some(bytes) if bytes <= MAX_LIST_BYTE_LENGTH => Ok(bytes),
        _ => Err(Trap::TooLong(Content::List).into()),
    }
}

fn load_list_from_valid_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
    element: &ValType,
) -> Result<List> {
    macro_rules! load_by_type {
        ($($name:ident $ty:ty),*) => {
            Ok(match element {
                $(ValType::$name => List::$name(load_numbers(cx, ptr, length)?),)*
                _ => {
                    let elem_size = element.elem_size(cx.ptr_type());
                    let mut vals: Vec<Val> = cx.vec(length)?;
                    for i in 0..length {
                        vals.push(load(cx, ptr + i * elem_size, element)?);
                    }
                    List::Vals(vals)
                }
            })
        };
    }
    for_each_number!(load_by_type)
}

/// `length` numbers at `ptr`: one bounds check, one pass.
pub(crate) fn load_numbers<N: Number, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
) -> Result<Vec<N>> {
    let mut numbers = cx.vec(length)?;
    let bytes = cx.bytes(ptr, length * size_of::<N>())?;
    numbers.extend(bytes.chunks_exact(size_of::<N>()).map(N::decode));
    Ok(numbers)
}

#[inline(never)]
fn load_map<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    t: &MapType,
) -> Result<Vec<(Val, Val)>> {
    let begin = load_ptr(cx, ptr)?;
    let length = load_ptr(cx, ptr + cx.ptr_type().size())?;
    load_map_from_range(cx, begin, length, t)
}

pub(crate) fn load_map_from_range<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
    t: &MapType,
) -> Result<Vec<(Val, Val)>> {
    let entry = crate::types::record_layout(t.element().types().iter());
    let elem_size = entry.elem_size(cx.ptr_type());
    check_list_range(cx, ptr, length, entry.alignment(cx.ptr_type()), elem_size)?;
    let value_offset = align_to(t.key().elem_size(cx.ptr_type()), t.value().alignment(cx.ptr_type()));
    let mut entries = cx.vec(length)?;
    for i in 0..length {
        let at = ptr + i * elem_size;
        entries.push((load(cx, at, t.key())?, load(cx, at + value_offset, t.value())?));
    }
    Ok(entries)
}

#[inline(never)]
pub(crate) fn load_record<'t, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    mut ptr: usize,
    fields: impl ExactSizeIterator<Item = &'t ValType>,
) -> Result<Vec<Val>> {
    let mut vals = cx.vec(fields.len())?;
    for t in fields {
        ptr = align_to(ptr, t.alignment(cx.ptr_type()));
        vals.push(load(cx, ptr, t)?);
        ptr += t.elem_size(cx.ptr_type());
    }
    Ok(vals)
}

#[inline(never)]
fn load_variant<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    cases: Cases<'_>,
    t: &ValType,
) -> Result<Val> {
    let case_index = load_unsigned(cx, ptr, usize::from(cases.layout.discriminant_size))?;
    let payload = match check_case(&cases, case_index)? {
        None => None,
        Some(payload) => {
            cx.charge(size_of::<Val>())?;
            Some(Box::new(load(cx, ptr + cases.layout.payload_offset(cx.ptr_type()), payload)?))
        }
    };
    Ok(variant_val(t, case_index, payload))
}

/// The payload type of the case that the guest named, or a trap.
pub(crate) fn check_case<'t>(cases: &Cases<'t>, case_index: u32) -> Result<Option<&'t ValType>> {
    cases
        .payload(case_index)
        .ok_or_else(|| Trap::InvalidDiscriminant { discriminant: case_index, cases: cases.len() }.into())
}

/// A case of `t` as the value that `t` has: the way back from despecialization.
pub(crate) fn variant_val(t: &ValType, case: u32, payload: Option<Box<Val>>) -> Val {
    match t {
        ValType::Enum(_) => Val::Enum(case),
        ValType::Option(_) => Val::Option(payload),
        ValType::Result(_) if case == 0 => Val::Result(Ok(payload)),
        ValType::Result(_) => Val::Result(Err(payload)),
        _ => Val::Variant { case, payload },
    }
}

/// Bits beyond the labels are ignored.
#[inline]
pub(crate) fn unpack_flags_from_int(i: u32, labels: usize) -> u32 {
    i & flags_mask(labels)
}
