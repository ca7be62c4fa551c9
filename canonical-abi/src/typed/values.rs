//! The Rust types that are component types as they are: numbers, `bool`, `char`, strings, lists, `Option`, `Result`, handles.
//! Each follows its arm of `load`, `store`, `lift_flat` and `lower_flat` in CanonicalABI.md.

use super::{ComponentType, Lift, LiftOptional, Lower, LowerOptional, OptionalType, VariantType};
use crate::context::{Guest, LiftLowerContext};
use crate::error::Result;
use crate::layout::{Layout, VariantLayout, VariantLayoutBuilder};
use crate::lift::CoreValueIter;
use crate::load::{
    canonicalize_nan32, canonicalize_nan64, check_list_range, convert_i32_to_char, convert_int_to_bool,
    decode_i32_as_float, decode_i64_as_float, load_int, load_numbers, load_ptr,
};
use crate::lower::{CoreValueSink, lower_flat_signed, lower_range};
use crate::store::{allocate_list, store_int, store_numbers, store_range};
use crate::string::{
    SourceEncoding, load_string, load_string_from_range, store_string, store_string_into_range,
};
use crate::types::{ResourceType, TypeError, ValType};
use crate::val::{Resource, Text};
use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// The numbers: how each is told from its core value, and becomes one.
macro_rules! numbers {
    ($($ty:ty, $name:ident, $size:literal, $vi:ident => $lift:expr, $v:ident => $lower:expr;)*) => {$(
        impl ComponentType for $ty {
            const LAYOUT: Layout = Layout::scalar($size);

            fn val_type() -> Result<ValType, TypeError> {
                Ok(ValType::$name)
            }
        }

        impl Lift for $ty {
            #[inline]
            fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<$ty> {
                load_int(cx, ptr)
            }

            #[inline]
            fn lift_flat<G: Guest + ?Sized>(
                _: &mut LiftLowerContext<'_, G>,
                $vi: &mut CoreValueIter<'_>,
            ) -> Result<$ty> {
                Ok($lift)
            }

            fn load_list<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                ptr: usize,
                length: usize,
            ) -> Result<Vec<$ty>> {
                load_numbers(cx, ptr, length)
            }
        }

        impl Lower for $ty {
            #[inline]
            fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
                store_int(cx, *self, ptr)
            }

            #[inline]
            fn lower_flat<G: Guest + ?Sized>(
                &self,
                _: &mut LiftLowerContext<'_, G>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                let $v = *self;
                out.push($lower)
            }

            fn store_list<G: Guest + ?Sized>(
                values: &[$ty],
                cx: &mut LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> Result<()> {
                store_numbers(cx, values, ptr)
            }
        }
    )*};
}
numbers! {
    u8, U8, 1, vi => vi.next_i32()? as u8, v => u64::from(v);
    u16, U16, 2, vi => vi.next_i32()? as u16, v => u64::from(v);
    u32, U32, 4, vi => vi.next_i32()?, v => u64::from(v);
    u64, U64, 8, vi => vi.next_i64()?, v => v;
    i8, S8, 1, vi => vi.next_i32()? as i8, v => lower_flat_signed(i32::from(v));
    i16, S16, 2, vi => vi.next_i32()? as i16, v => lower_flat_signed(i32::from(v));
    i32, S32, 4, vi => vi.next_i32()? as i32, v => lower_flat_signed(v);
    i64, S64, 8, vi => vi.next_i64()? as i64, v => v as u64;
    f32, F32, 4, vi => decode_i32_as_float(vi.next_i32()?), v => u64::from(canonicalize_nan32(v).to_bits());
    f64, F64, 8, vi => decode_i64_as_float(vi.next_i64()?), v => canonicalize_nan64(v).to_bits();
}

impl ComponentType for bool {
    const LAYOUT: Layout = Layout::scalar(1);

    fn val_type() -> Result<ValType, TypeError> {
        Ok(ValType::Bool)
    }
}

impl Lift for bool {
    #[inline]
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<bool> {
        Ok(convert_int_to_bool(u32::from(load_int::<u8, G>(cx, ptr)?)))
    }

    #[inline]
    fn lift_flat<G: Guest + ?Sized>(
        _: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<bool> {
        Ok(convert_int_to_bool(vi.next_i32()?))
    }
}

impl Lower for bool {
    #[inline]
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        store_int(cx, u8::from(*self), ptr)
    }

    #[inline]
    fn lower_flat<G: Guest + ?Sized>(
        &self,
        _: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        out.push(u64::from(*self))
    }
}

impl ComponentType for char {
    const LAYOUT: Layout = Layout::scalar(4);

    fn val_type() -> Result<ValType, TypeError> {
        Ok(ValType::Char)
    }
}

impl Lift for char {
    #[inline]
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<char> {
        convert_i32_to_char(load_int(cx, ptr)?)
    }

    #[inline]
    fn lift_flat<G: Guest + ?Sized>(
        _: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<char> {
        convert_i32_to_char(vi.next_i32()?)
    }
}

impl Lower for char {
    #[inline]
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        store_int(cx, u32::from(*self), ptr)
    }

    #[inline]
    fn lower_flat<G: Guest + ?Sized>(
        &self,
        _: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        out.push(u64::from(u32::from(*self)))
    }
}

impl ComponentType for str {
    const LAYOUT: Layout = Layout::pointer_and_length();

    fn val_type() -> Result<ValType, TypeError> {
        Ok(ValType::String)
    }
}

impl Lower for str {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        store_string(cx, self, SourceEncoding::Utf8, ptr)
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        let (ptr, tagged_code_units) = store_string_into_range(cx, self, SourceEncoding::Utf8)?;
        lower_range(out, ptr, tagged_code_units)
    }
}

impl Lift for String {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<String> {
        load_string(cx, ptr).map(Text::into_string)
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<String> {
        let ptr = vi.next_ptr(cx.ptr_type())?;
        let tagged_code_units = vi.next_tagged(cx.ptr_type())?;
        load_string_from_range(cx, ptr, tagged_code_units).map(Text::into_string)
    }
}

impl<T: ComponentType> ComponentType for [T] {
    const LAYOUT: Layout = Layout::pointer_and_length();

    fn val_type() -> Result<ValType, TypeError> {
        ValType::list(T::val_type()?)
    }
}

impl<T: Lower> Lower for [T] {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        let begin = store_list_into_range(cx, self)?;
        store_range(cx, begin, self.len() as u64, ptr)
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        let begin = store_list_into_range(cx, self)?;
        lower_range(out, begin, self.len() as u64)
    }
}

fn store_list_into_range<T: Lower, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    values: &[T],
) -> Result<usize> {
    let begin = allocate_list(
        cx,
        values.len(),
        T::LAYOUT.alignment(cx.ptr_type()),
        T::LAYOUT.elem_size(cx.ptr_type()),
    )?;
    T::store_list(values, cx, begin)?;
    Ok(begin)
}

fn load_list_from_range<T: Lift, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    ptr: usize,
    length: usize,
) -> Result<Vec<T>> {
    let (alignment, elem_size) = (T::LAYOUT.alignment(cx.ptr_type()), T::LAYOUT.elem_size(cx.ptr_type()));
    check_list_range(cx, ptr, length, alignment, elem_size)?;
    T::load_list(cx, ptr, length)
}

impl<T: Lift> Lift for Vec<T> {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Vec<T>> {
        let begin = load_ptr(cx, ptr)?;
        let length = load_ptr(cx, ptr + cx.ptr_type().size())?;
        load_list_from_range(cx, begin, length)
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Vec<T>> {
        let ptr = vi.next_ptr(cx.ptr_type())?;
        let length = vi.next_ptr(cx.ptr_type())?;
        load_list_from_range(cx, ptr, length)
    }
}

/// Types that are what they point to.
macro_rules! pointers {
    ($([$($generics:tt)*] $ty:ty => $target:ty;)*) => {$(
        impl<$($generics)*> ComponentType for $ty
        where
            $target: ComponentType,
        {
            const LAYOUT: Layout = <$target>::LAYOUT;

            fn val_type() -> Result<ValType, TypeError> {
                <$target>::val_type()
            }
        }

        impl<$($generics)*> Lower for $ty
        where
            $target: Lower,
        {
            #[inline]
            fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
                <$target as Lower>::store(self, cx, ptr)
            }

            #[inline]
            fn lower_flat<G: Guest + ?Sized>(
                &self,
                cx: &mut LiftLowerContext<'_, G>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                <$target as Lower>::lower_flat(self, cx, out)
            }
        }
    )*};
}
pointers! {
    [] String => str;
    [T] Vec<T> => [T];
    [T: ?Sized] &T => T;
    [T: ?Sized] Box<T> => T;
    [T: ?Sized + ToOwned] Cow<'_, T> => T;
}

impl<T: Lift> Lift for Box<T> {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Box<T>> {
        cx.charge(size_of::<T>())?;
        T::load(cx, ptr).map(Box::new)
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Box<T>> {
        cx.charge(size_of::<T>())?;
        T::lift_flat(cx, vi).map(Box::new)
    }
}

impl<T: ComponentType> VariantType for Option<T> {
    const CASES: u32 = 2;
    const VARIANT: VariantLayout = VariantLayoutBuilder::new().case(None).case(Some(T::LAYOUT)).finish();
}

impl<T: ComponentType> ComponentType for Option<T> {
    const LAYOUT: Layout = Self::VARIANT.layout;

    fn val_type() -> Result<ValType, TypeError> {
        ValType::option(T::val_type()?)
    }
}

impl<T: Lift> Lift for Option<T> {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Option<T>> {
        match Self::load_case(cx, ptr)? {
            (0, _) => Ok(None),
            (_, ptr) => T::load(cx, ptr).map(Some),
        }
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Option<T>> {
        let (case, end) = Self::lift_flat_case(vi)?;
        let value = if case == 0 { None } else { Some(T::lift_flat(cx, vi)?) };
        vi.skip_to(end);
        Ok(value)
    }
}

impl<T: Lower> Lower for Option<T> {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        let payload = Self::store_case(cx, ptr, u32::from(self.is_some()))?;
        match self {
            None => Ok(()),
            Some(value) => value.store(cx, payload),
        }
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        let end = Self::lower_flat_case(out, u32::from(self.is_some()))?;
        if let Some(value) = self {
            value.lower_flat(cx, out)?;
        }
        out.pad_to(end)
    }
}

impl<T: OptionalType, E: OptionalType> VariantType for Result<T, E> {
    const CASES: u32 = 2;
    const VARIANT: VariantLayout = VariantLayoutBuilder::new().case(T::PAYLOAD).case(E::PAYLOAD).finish();
}

impl<T: OptionalType, E: OptionalType> ComponentType for Result<T, E> {
    const LAYOUT: Layout = Self::VARIANT.layout;

    fn val_type() -> Result<ValType, TypeError> {
        ValType::result(T::payload_type()?, E::payload_type()?)
    }
}

impl<T: LiftOptional, E: LiftOptional> Lift for Result<T, E> {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Result<T, E>> {
        match Self::load_case(cx, ptr)? {
            (0, ptr) => T::load_payload(cx, ptr).map(Ok),
            (_, ptr) => E::load_payload(cx, ptr).map(Err),
        }
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Result<T, E>> {
        let (case, end) = Self::lift_flat_case(vi)?;
        let value =
            if case == 0 { Ok(T::lift_flat_payload(cx, vi)?) } else { Err(E::lift_flat_payload(cx, vi)?) };
        vi.skip_to(end);
        Ok(value)
    }
}

impl<T: LowerOptional, E: LowerOptional> Lower for Result<T, E> {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        let payload = Self::store_case(cx, ptr, u32::from(self.is_err()))?;
        match self {
            Ok(value) => value.store_payload(cx, payload),
            Err(error) => error.store_payload(cx, payload),
        }
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        let end = Self::lower_flat_case(out, u32::from(self.is_err()))?;
        match self {
            Ok(value) => value.lower_flat_payload(cx, out)?,
            Err(error) => error.lower_flat_payload(cx, out)?,
        }
        out.pad_to(end)
    }
}

impl<T: ?Sized> Clone for Borrow<T> {
    fn clone(&self) -> Borrow<T> {
        *self
    }
}

impl<T: ?Sized> Copy for Borrow<T> {}

/// The two handles to a resource that the host defines by the Rust type `T`.
macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident $lift:ident $lower:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name<T: ?Sized> {
            rep: u32,
            resource: PhantomData<fn() -> T>,
        }

        impl<T: ?Sized> $name<T> {
            /// The handle to the resource that the host knows by the number `rep`.
            pub const fn new(rep: u32) -> $name<T> {
                $name { rep, resource: PhantomData }
            }

            /// The number by which the host knows the resource.
            pub const fn rep(&self) -> u32 {
                self.rep
            }
        }

        impl<T: ?Sized> core::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}<{}>({})", stringify!($name), core::any::type_name::<T>(), self.rep)
            }
        }

        impl<T: ?Sized> PartialEq for $name<T> {
            fn eq(&self, other: &$name<T>) -> bool {
                self.rep == other.rep
            }
        }

        impl<T: ?Sized> Eq for $name<T> {}

        impl<T: ?Sized + 'static> ComponentType for $name<T> {
            const LAYOUT: Layout = Layout::scalar(4);

            fn val_type() -> Result<ValType, TypeError> {
                Ok(ValType::$name(ResourceType::host::<T>()))
            }
        }

        impl<T: ?Sized + 'static> Lift for $name<T> {
            fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<$name<T>> {
                let index = load_int(cx, ptr)?;
                Ok($name::new(cx.guest.$lift(index, ResourceType::host::<T>())?.rep_i32()?))
            }

            fn lift_flat<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<$name<T>> {
                Ok($name::new(cx.guest.$lift(vi.next_i32()?, ResourceType::host::<T>())?.rep_i32()?))
            }
        }

        impl<T: ?Sized + 'static> Lower for $name<T> {
            fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
                let rt = ResourceType::host::<T>();
                let index = cx.guest.$lower(Resource { rt, rep: u64::from(self.rep) }, rt)?;
                store_int(cx, index, ptr)
            }

            fn lower_flat<G: Guest + ?Sized>(
                &self,
                cx: &mut LiftLowerContext<'_, G>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                let rt = ResourceType::host::<T>();
                out.push(u64::from(cx.guest.$lower(Resource { rt, rep: u64::from(self.rep) }, rt)?))
            }
        }
    )*};
}
handles! {
    /// `own<t>`: the resource changes hands. Whoever has an `Own` sees to its end.
    Own lift_own lower_own;
    /// `borrow<t>`: the resource is lent for one call.
    Borrow lift_borrow lower_borrow;
}

impl<T: ?Sized> Own<T> {
    /// The same resource, lent: good while this is.
    pub const fn borrow(&self) -> Borrow<T> {
        Borrow::new(self.rep)
    }
}
