//! Parameters that a host function looks at where they lie, in the guest's memory, for as long as it runs: nothing is copied and the copy
//! budget is not touched.
//!
//! Lifting is in two steps. First each parameter becomes a place (`LiftLent::Place`), checked as lifting checks it: length, alignment,
//! bounds. Then, while nobody can write to the memory, places become views. What has no memory of its own is its own view.

use super::{ComponentType, Fields, Lift, ValueList, spilled};
use crate::context::{Guest, LiftLowerContext, StringEncoding};
use crate::error::{Content, Result, Trap};
use crate::flatten::MAX_FLAT_PARAMS;
use crate::layout::Layout;
use crate::lift::CoreValueIter;
use crate::load::{check_list_range, load_int, load_ptr};
use crate::string::{MAX_STRING_BYTE_LENGTH, load_string_from_range};
use crate::types::{TypeError, ValType};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Range;

/// Stands for a parameter that is looked at in place: `Lent<str>`, `Lent<[u8]>`, `Lent<[u32]>` and so on.
#[derive(Clone, Copy, Debug)]
pub struct Lent<T: ?Sized>(PhantomData<fn() -> T>);

impl<T: ComponentType + ?Sized> ComponentType for Lent<T> {
    const LAYOUT: Layout = T::LAYOUT;

    fn val_type() -> Result<ValType, TypeError> {
        T::val_type()
    }
}

/// A component type that a host function can look at in place.
pub trait LiftLent: ComponentType {
    /// Where it lies, checked; or the value itself.
    type Place;
    /// What the host function gets.
    type View<'m>;

    /// The place of a value in the next core values.
    fn place<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self::Place>;

    /// The place of a value that is itself described at `ptr`, which is aligned and in bounds.
    fn place_at<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Self::Place>;

    /// The value at its place in the memory that it was checked against.
    fn view(place: Self::Place, memory: &[u8]) -> Result<Self::View<'_>>;
}

fn bytes(memory: &[u8], range: Range<usize>, content: Content) -> Result<&[u8]> {
    Ok(memory.get(range).ok_or(Trap::OutOfBounds(content))?)
}

/// Where a string lies: its bytes if they are UTF-8, else the string, decoded.
#[derive(Debug)]
pub enum TextPlace {
    /// UTF-8, not yet looked at.
    Utf8(Range<usize>),
    /// Another encoding.
    Decoded(String),
}

fn text_place<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    tagged_code_units: u64,
) -> Result<TextPlace> {
    if cx.opts().string_encoding != StringEncoding::Utf8 {
        let text = load_string_from_range(cx, ptr, tagged_code_units)?;
        return Ok(TextPlace::Decoded(text.into_string()));
    }
    let length = usize::try_from(tagged_code_units).ok().filter(|length| *length <= MAX_STRING_BYTE_LENGTH);
    let length = length.ok_or(Trap::TooLong(Content::String))?;
    cx.check_range(ptr, 1, length, Content::String)?;
    Ok(TextPlace::Utf8(ptr..ptr + length))
}

impl LiftLent for Lent<str> {
    type Place = TextPlace;
    /// Borrowed from a guest whose strings are UTF-8.
    type View<'m> = Cow<'m, str>;

    fn place<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<TextPlace> {
        let ptr = vi.next_ptr(cx.ptr_type())?;
        let tagged_code_units = vi.next_tagged(cx.ptr_type())?;
        text_place(cx, ptr, tagged_code_units)
    }

    fn place_at<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<TextPlace> {
        let (begin, size) = (load_ptr(cx, ptr)?, cx.ptr_type().size());
        let tagged_code_units = match size {
            4 => u64::from(load_int::<u32, G>(cx, ptr + size)?),
            _ => load_int(cx, ptr + size)?,
        };
        text_place(cx, begin, tagged_code_units)
    }

    fn view(place: TextPlace, memory: &[u8]) -> Result<Cow<'_, str>> {
        match place {
            TextPlace::Utf8(range) => {
                let text = core::str::from_utf8(bytes(memory, range, Content::String)?);
                Ok(Cow::Borrowed(text.map_err(Trap::InvalidUtf8)?))
            }
            TextPlace::Decoded(text) => Ok(Cow::Owned(text)),
        }
    }
}

/// Numbers that lie in a guest's memory, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'m, T> {
    bytes: &'m [u8],
    number: PhantomData<T>,
}

macro_rules! lists {
    ($($ty:ident)*) => {$(
        impl LiftLent for Lent<[$ty]> {
            type Place = Range<usize>;
            type View<'m> = lists!(@view $ty 'm);

            fn place<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<Range<usize>> {
                let ptr = vi.next_ptr(cx.ptr_type())?;
                let length = vi.next_ptr(cx.ptr_type())?;
                check_list_range(cx, ptr, length, size_of::<$ty>(), size_of::<$ty>())?;
                Ok(ptr..ptr + length * size_of::<$ty>())
            }

            fn place_at<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Range<usize>> {
                let begin = load_ptr(cx, ptr)?;
                let length = load_ptr(cx, ptr + cx.ptr_type().size())?;
                check_list_range(cx, begin, length, size_of::<$ty>(), size_of::<$ty>())?;
                Ok(begin..begin + length * size_of::<$ty>())
            }

            fn view(place: Range<usize>, memory: &[u8]) -> Result<Self::View<'_>> {
                let bytes = bytes(memory, place, Content::List)?;
                Ok(lists!(@make $ty bytes))
            }
        }

        lists!(@numbers $ty);
    )*};
    (@view u8 $m:lifetime) => { &$m [u8] };
    (@view $ty:ident $m:lifetime) => { Numbers<$m, $ty> };
    (@make u8 $bytes:ident) => { $bytes };
    (@make $ty:ident $bytes:ident) => { Numbers { bytes: $bytes, number: PhantomData } };
    (@numbers u8) => {};
    (@numbers $ty:ident) => {
        impl<'m> Numbers<'m, $ty> {
            /// How many there are.
            pub fn len(&self) -> usize {
                self.bytes.len() / size_of::<$ty>()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.bytes.is_empty()
            }

            /// All of them, in order.
            pub fn iter(&self) -> impl ExactSizeIterator<Item = $ty> + 'm {
                let number = |bytes: &[u8]| <$ty>::from_le_bytes(bytes.try_into().unwrap_or_default());
                self.bytes.chunks_exact(size_of::<$ty>()).map(number)
            }

            /// The bytes as they lie there, little-endian.
            pub fn as_bytes(&self) -> &'m [u8] {
                self.bytes
            }
        }
    };
}
lists! { u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 }

/// What is copied as ever: its own view.
macro_rules! values {
    ($([$($generic:tt)*] $ty:ty;)*) => {$(
        impl<$($generic)*> LiftLent for $ty {
            type Place = $ty;
            type View<'m> = $ty;

            fn place<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<$ty> {
                <$ty>::lift_flat(cx, vi)
            }

            fn place_at<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<$ty> {
                <$ty>::load(cx, ptr)
            }

            fn view(place: $ty, _: &[u8]) -> Result<$ty> {
                Ok(place)
            }
        }
    )*};
}
values! {
    [] bool;
    [] u8;
    [] i8;
    [] u16;
    [] i16;
    [] u32;
    [] i32;
    [] u64;
    [] i64;
    [] f32;
    [] f64;
    [] char;
    [] String;
    [T: Lift] Vec<T>;
    [T: Lift] Option<T>;
    [T: ?Sized + 'static] super::Own<T>;
    [T: ?Sized + 'static] super::Borrow<T>;
}

/// Parameters that a host function can look at in place.
pub trait LentList: ValueList {
    /// Their places.
    type Places;
    /// What the host function gets.
    type Views<'m>;

    /// Their places (`lift_flat_values`, of what is no copy).
    fn places<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self::Places>;

    /// Their views in the memory that the places were checked against.
    fn views(places: Self::Places, memory: &[u8]) -> Result<Self::Views<'_>>;
}

impl LentList for () {
    type Places = ();
    type Views<'m> = ();

    fn places<G: Guest + ?Sized>(_: &mut LiftLowerContext<'_, G>, _: &mut CoreValueIter<'_>) -> Result<()> {
        Ok(())
    }

    fn views((): (), _: &[u8]) -> Result<()> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($($name:ident $i:tt)*;)*) => {$(
        impl<$($name: LiftLent),*> LentList for ($($name,)*) {
            type Places = ($($name::Place,)*);
            type Views<'m> = ($($name::View<'m>,)*);

            fn places<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<Self::Places> {
                if Self::TUPLE.goes_flat(MAX_FLAT_PARAMS) {
                    return Ok(($($name::place(cx, vi)?,)*));
                }
                let mut fields = Fields::at(spilled(cx, vi, &Self::TUPLE)?);
                Ok(($({
                    let ptr = fields.next(cx, $name::LAYOUT);
                    $name::place_at(cx, ptr)?
                },)*))
            }

            fn views(places: Self::Places, memory: &[u8]) -> Result<Self::Views<'_>> {
                Ok(($($name::view(places.$i, memory)?,)*))
            }
        }
    )*};
}
tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 H 6;
    A 0 B 1 C 2 D 3 E 4 F 5 H 6 I 7;
}
