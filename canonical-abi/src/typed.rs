//! Rust types as component values: lifted and lowered without a `Val` in between.
//!
//! A Rust type that is a component type says so by `ComponentType` and moves by `Lift` and `Lower`: numbers, `bool`, `char`,
//! `String`, `str`, `Vec`, slices, arrays, maps, `Option`, `Result`, tuples up to 16, `Own` and `Borrow` (resources of the host),
//! `GuestOwn` and `GuestBorrow` (resources of a guest), and the types that `record!`, `variant!`, `enumeration!` and `flags!` declare. Parameters are tuples (`ValueList`), a result is `()` or a type
//! (`OptionalType`).
//!
//! The results, traps and `realloc` calls are those of load.rs, store.rs, lift.rs and lower.rs: the tests hold the two paths
//! against each other.
//!
//! Must not know: functions, linkers.

mod collections;
mod guest_resource;
mod lent;
mod macros;
mod values;

use crate::context::{Guest, LiftLowerContext};
use crate::error::{Content, Error, Result, Trap};
use crate::flatten::MAX_FLAT_RESULTS;
use crate::layout::{Layout, RecordLayout, VariantLayout, align_to};
use crate::lift::CoreValueIter;
use crate::load::load_unsigned;
use crate::lower::{CoreValueSink, spill};
use crate::store::store_unsigned;
use crate::types::{FuncType, TypeError, ValType};
use alloc::string::String;
use alloc::vec::Vec;

pub use guest_resource::{GuestBorrow, GuestOwn};
pub use lent::{Lent, LentList, LiftLent, Numbers, TextPlace};
pub use values::{Borrow, Own};

/// A Rust type that is a component type.
pub trait ComponentType {
    /// Alignment, size and flat count.
    const LAYOUT: Layout;

    /// The component type.
    fn val_type() -> Result<ValType, TypeError>;
}

/// A component type whose values can be lifted: taken over from a guest.
pub trait Lift: ComponentType + Sized {
    /// The value at `ptr`, which is aligned and in bounds.
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Self>;

    /// The value from the next core values.
    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self>;

    /// `length` values one after the other from `ptr`, which is aligned; all of them are in bounds.
    fn load_list<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        ptr: usize,
        length: usize,
    ) -> Result<Vec<Self>> {
        let mut values = cx.vec(length)?;
        let elem_size = Self::LAYOUT.elem_size(cx.ptr_type());
        for i in 0..length {
            values.push(Self::load(cx, ptr + i * elem_size)?);
        }
        Ok(values)
    }
}

/// A component type whose values can be lowered: handed over to a guest.
pub trait Lower: ComponentType {
    /// Stores the value at `ptr`, which is aligned and in bounds.
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()>;

    /// Puts the value into the next core values.
    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()>;

    /// Stores `values` one after the other from `ptr`, which is aligned; all of them are in bounds.
    fn store_list<G: Guest + ?Sized>(
        values: &[Self],
        cx: &mut LiftLowerContext<'_, G>,
        ptr: usize,
    ) -> Result<()>
    where
        Self: Sized,
    {
        let elem_size = Self::LAYOUT.elem_size(cx.ptr_type());
        for (i, value) in values.iter().enumerate() {
            value.store(cx, ptr + i * elem_size)?;
        }
        Ok(())
    }
}

/// A component type or `()`, which stands for none: the result of a function, the payload of a case.
pub trait OptionalType {
    /// The layout of the type, if it is one.
    const PAYLOAD: Option<Layout>;

    /// The type, if it is one.
    fn payload_type() -> Result<Option<ValType>, TypeError>;
}

impl OptionalType for () {
    const PAYLOAD: Option<Layout> = None;

    fn payload_type() -> Result<Option<ValType>, TypeError> {
        Ok(None)
    }
}

impl<T: ComponentType> OptionalType for T {
    const PAYLOAD: Option<Layout> = Some(T::LAYOUT);

    fn payload_type() -> Result<Option<ValType>, TypeError> {
        T::val_type().map(Some)
    }
}

/// An optional type whose value, if any, can be lifted.
pub trait LiftOptional: OptionalType + Sized {
    /// `Lift::load`, or nothing.
    fn load_payload<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Self>;

    /// `Lift::lift_flat`, or nothing.
    fn lift_flat_payload<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self>;

    /// The result of a guest's function from its core results (`lift_flat_values` of at most one type).
    fn lift_flat_result<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self> {
        match Self::PAYLOAD {
            Some(layout) if !layout.goes_flat(MAX_FLAT_RESULTS) => {
                let ptr = spilled(cx, vi, &layout)?;
                Self::load_payload(cx, ptr)
            }
            _ => Self::lift_flat_payload(cx, vi),
        }
    }
}

impl LiftOptional for () {
    fn load_payload<G: Guest + ?Sized>(_: &mut LiftLowerContext<'_, G>, _: usize) -> Result<()> {
        Ok(())
    }

    fn lift_flat_payload<G: Guest + ?Sized>(
        _: &mut LiftLowerContext<'_, G>,
        _: &mut CoreValueIter<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

impl<T: Lift> LiftOptional for T {
    #[inline]
    fn load_payload<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<T> {
        T::load(cx, ptr)
    }

    #[inline]
    fn lift_flat_payload<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<T> {
        T::lift_flat(cx, vi)
    }
}

/// An optional type whose value, if any, can be lowered.
pub trait LowerOptional: OptionalType {
    /// `Lower::store`, or nothing.
    fn store_payload<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()>;

    /// `Lower::lower_flat`, or nothing.
    fn lower_flat_payload<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()>;

    /// The result of a host function into the core results of the guest's import, or to where the import's last parameter
    /// `out_param` points (`lower_flat_values` of at most one type).
    fn lower_flat_result<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out_param: Option<usize>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        match Self::PAYLOAD {
            Some(layout) if !layout.goes_flat(MAX_FLAT_RESULTS) => {
                let (alignment, size) = (layout.alignment(cx.ptr_type()), layout.elem_size(cx.ptr_type()));
                let ptr = spill(cx, alignment, size, out_param, out)?;
                self.store_payload(cx, ptr)
            }
            _ => self.lower_flat_payload(cx, out),
        }
    }
}

impl LowerOptional for () {
    fn store_payload<G: Guest + ?Sized>(&self, _: &mut LiftLowerContext<'_, G>, _: usize) -> Result<()> {
        Ok(())
    }

    fn lower_flat_payload<G: Guest + ?Sized>(
        &self,
        _: &mut LiftLowerContext<'_, G>,
        _: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

impl<T: Lower> LowerOptional for T {
    #[inline]
    fn store_payload<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        self.store(cx, ptr)
    }

    #[inline]
    fn lower_flat_payload<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        self.lower_flat(cx, out)
    }
}

/// A tuple of component types as the parameters of a function.
pub trait ValueList {
    /// All of them as one tuple.
    const TUPLE: Layout;

    /// Their types.
    fn val_types() -> Result<Vec<ValType>, TypeError>;
}

/// Parameters that can be lifted: those of a host function.
pub trait LiftList: ValueList + Sized {
    /// `lift_flat_values`
    fn lift_flat_values<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        max_flat: usize,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<Self>;
}

/// Parameters that can be lowered: those of a guest's function.
pub trait LowerList: ValueList {
    /// `lower_flat_values`
    fn lower_flat_values<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        max_flat: usize,
        out_param: Option<usize>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()>;
}

impl ValueList for () {
    const TUPLE: Layout = RecordLayout::new().finish();

    fn val_types() -> Result<Vec<ValType>, TypeError> {
        Ok(Vec::new())
    }
}

impl LiftList for () {
    fn lift_flat_values<G: Guest + ?Sized>(
        _: &mut LiftLowerContext<'_, G>,
        _: usize,
        _: &mut CoreValueIter<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

impl LowerList for () {
    fn lower_flat_values<G: Guest + ?Sized>(
        &self,
        _: &mut LiftLowerContext<'_, G>,
        _: usize,
        _: Option<usize>,
        _: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

/// A Rust type that lowers as `T` does, so that what a caller only lends need not be owned first: `&str` for `String`, `&[E]` for
/// `Vec<E>`, `&T` and `T` itself.
pub trait LowerAs<T: ComponentType>: Lower {}

impl<T: Lower> LowerAs<T> for T {}
impl<T: Lower> LowerAs<T> for &T {}
impl LowerAs<String> for &str {}
impl<T: Lower> LowerAs<Vec<T>> for &[T] {}

/// Parameters that lower as `P` do, one by one.
pub trait LowerListAs<P>: LowerList {}

impl LowerListAs<()> for () {}

/// The type of a function with the parameters `P` and the result `R`. Rust types have no parameter names: they are empty.
pub fn func_type<P: ValueList, R: OptionalType>() -> Result<FuncType, TypeError> {
    Ok(FuncType::new(P::val_types()?.into_iter().map(|t| ("", t)), R::payload_type()?))
}

/// The pointer to values that are too many to be flat: taken from the next core value and checked.
fn spilled<G: Guest + ?Sized>(
    cx: &LiftLowerContext<'_, G>,
    vi: &mut CoreValueIter<'_>,
    layout: &Layout,
) -> Result<usize> {
    let ptr = vi.next_ptr(cx.ptr_type())?;
    cx.check_range(ptr, layout.alignment(cx.ptr_type()), layout.elem_size(cx.ptr_type()), Content::Values)?;
    Ok(ptr)
}

macro_rules! tuples {
    ($($($name:ident $as:ident $i:tt)*;)*) => {$(
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            const LAYOUT: Layout = RecordLayout::new()$(.field($name::LAYOUT))*.finish();

            fn val_type() -> Result<ValType, TypeError> {
                ValType::tuple([$($name::val_type()?),*])
            }
        }

        impl<$($name: Lift),*> Lift for ($($name,)*) {
            fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<Self> {
                let mut fields = Fields::at(ptr);
                Ok(($(fields.load::<$name, G>(cx)?,)*))
            }

            fn lift_flat<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<Self> {
                Ok(($($name::lift_flat(cx, vi)?,)*))
            }
        }

        impl<$($name: Lower),*> Lower for ($($name,)*) {
            fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
                let mut fields = Fields::at(ptr);
                $(fields.store(cx, &self.$i)?;)*
                Ok(())
            }

            fn lower_flat<G: Guest + ?Sized>(
                &self,
                cx: &mut LiftLowerContext<'_, G>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                $(self.$i.lower_flat(cx, out)?;)*
                Ok(())
            }
        }

        impl<$($name: ComponentType),*> ValueList for ($($name,)*) {
            const TUPLE: Layout = Self::LAYOUT;

            fn val_types() -> Result<Vec<ValType>, TypeError> {
                Ok(Vec::from([$($name::val_type()?),*]))
            }
        }

        impl<$($name: Lift),*> LiftList for ($($name,)*) {
            fn lift_flat_values<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                max_flat: usize,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<Self> {
                if !Self::LAYOUT.goes_flat(max_flat) {
                    let ptr = spilled(cx, vi, &Self::LAYOUT)?;
                    Self::load(cx, ptr)
                } else {
                    Self::lift_flat(cx, vi)
                }
            }
        }

        impl<$($name: Lower),*> LowerList for ($($name,)*) {
            fn lower_flat_values<G: Guest + ?Sized>(
                &self,
                cx: &mut LiftLowerContext<'_, G>,
                max_flat: usize,
                out_param: Option<usize>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                if !Self::LAYOUT.goes_flat(max_flat) {
                    let (alignment, size) =
                        (Self::LAYOUT.alignment(cx.ptr_type()), Self::LAYOUT.elem_size(cx.ptr_type()));
                    let ptr = spill(cx, alignment, size, out_param, out)?;
                    self.store(cx, ptr)
                } else {
                    self.lower_flat(cx, out)
                }
            }
        }

        impl<$($as: ComponentType, $name: LowerAs<$as>),*> LowerListAs<($($as,)*)> for ($($name,)*) {}
    )*};
}
tuples! {
    A AAs 0;
    A AAs 0 B BAs 1;
    A AAs 0 B BAs 1 C CAs 2;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10 M MAs 11;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10 M MAs 11 N NAs 12;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10 M MAs 11 N NAs 12 O OAs 13;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10 M MAs 11 N NAs 12 O OAs 13 P PAs 14;
    A AAs 0 B BAs 1 C CAs 2 D DAs 3 E EAs 4 F FAs 5 H HAs 6 I IAs 7 J JAs 8 K KAs 9 L LAs 10 M MAs 11 N NAs 12 O OAs 13 P PAs 14 Q QAs 15;
}

/// Goes over the fields of a record in memory (`load_record`, `store_record`).
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    ptr: usize,
}

impl Fields {
    /// The fields of the record at `ptr`.
    pub fn at(ptr: usize) -> Fields {
        Fields { ptr }
    }

    #[inline]
    fn next<G: Guest + ?Sized>(&mut self, cx: &LiftLowerContext<'_, G>, layout: Layout) -> usize {
        let ptr = align_to(self.ptr, layout.alignment(cx.ptr_type()));
        self.ptr = ptr + layout.elem_size(cx.ptr_type());
        ptr
    }

    /// Loads the next field.
    #[inline]
    pub fn load<T: Lift, G: Guest + ?Sized>(&mut self, cx: &mut LiftLowerContext<'_, G>) -> Result<T> {
        let ptr = self.next(cx, T::LAYOUT);
        T::load(cx, ptr)
    }

    /// Stores the next field.
    #[inline]
    pub fn store<T: Lower, G: Guest + ?Sized>(
        &mut self,
        cx: &mut LiftLowerContext<'_, G>,
        value: &T,
    ) -> Result<()> {
        let ptr = self.next(cx, T::LAYOUT);
        value.store(cx, ptr)
    }
}

/// A Rust type that is a variant, enum, option or result (`load_variant`, `store_variant` and their flat forms).
pub trait VariantType: ComponentType {
    /// How many cases there are.
    const CASES: u32;
    /// Where discriminant and payload are.
    const VARIANT: VariantLayout;

    /// The index of the case at `ptr`, checked, and where its payload is.
    #[inline]
    fn load_case<G: Guest + ?Sized>(cx: &LiftLowerContext<'_, G>, ptr: usize) -> Result<(u32, usize)> {
        let case = load_unsigned(cx, ptr, usize::from(Self::VARIANT.discriminant_size))?;
        Self::check_case(case)?;
        Ok((case, ptr + Self::VARIANT.payload_offset(cx.ptr_type())))
    }

    /// The index of the case in the next core value, checked, and the index of the first core value after the variant.
    #[inline]
    fn lift_flat_case(vi: &mut CoreValueIter<'_>) -> Result<(u32, usize)> {
        let end = vi.taken() + Self::VARIANT.layout.flat_count();
        let case = vi.next_i32()?;
        Self::check_case(case)?;
        Ok((case, end))
    }

    /// Stores the index of the case; where its payload goes.
    #[inline]
    fn store_case<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        ptr: usize,
        case: u32,
    ) -> Result<usize> {
        store_unsigned(cx, case, ptr, usize::from(Self::VARIANT.discriminant_size))?;
        Ok(ptr + Self::VARIANT.payload_offset(cx.ptr_type()))
    }

    /// Puts the index of the case into the next core value; the index of the first core value after the variant.
    #[inline]
    fn lower_flat_case(out: &mut CoreValueSink<'_>, case: u32) -> Result<usize> {
        let end = out.filled() + Self::VARIANT.layout.flat_count();
        out.push(u64::from(case))?;
        Ok(end)
    }

    /// A trap for a case that there is not.
    #[inline]
    fn check_case(case: u32) -> Result<()> {
        if case < Self::CASES {
            Ok(())
        } else {
            Err(Trap::InvalidDiscriminant { discriminant: case, cases: Self::CASES }.into())
        }
    }
}

/// The label that a Rust name stands for: kebab-case of `snake_case`, `CamelCase` or `SHOUTING_CASE`.
pub fn label_of(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    let camel = name.chars().any(char::is_lowercase);
    let mut label = String::new();
    for (i, c) in name.chars().enumerate() {
        if c == '_' {
            label.push('-');
        } else {
            if camel && c.is_uppercase() && i > 0 {
                label.push('-');
            }
            label.extend(c.to_lowercase());
        }
    }
    label
}

/// A label that a row gives itself.
#[doc(hidden)]
pub fn label(label: &str) -> String {
    String::from(label)
}

/// The trap for a case index beyond the list. (`VariantType::check_case` has come first: this is for the compiler.)
#[doc(hidden)]
pub fn no_such_case<T: VariantType>(case: u32) -> Error {
    Trap::InvalidDiscriminant { discriminant: case, cases: T::CASES }.into()
}

/// The bits of flags in memory, those without a label included.
#[doc(hidden)]
pub fn load_flags<G: Guest + ?Sized>(
    cx: &LiftLowerContext<'_, G>,
    ptr: usize,
    layout: Layout,
) -> Result<u32> {
    load_unsigned(cx, ptr, layout.elem_size(cx.ptr_type()))
}

/// Stores the bits of flags.
#[doc(hidden)]
pub fn store_flags<G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    bits: u32,
    ptr: usize,
    layout: Layout,
) -> Result<()> {
    store_unsigned(cx, bits, ptr, layout.elem_size(cx.ptr_type()))
}

/// Where `name` stands among `names`; at compile time.
#[doc(hidden)]
pub const fn position(names: &[&str], name: &str) -> u32 {
    let mut i = 0;
    while i < names.len() {
        if same(names[i].as_bytes(), name.as_bytes()) {
            return i as u32;
        }
        i += 1;
    }
    panic!("the name is not in the list")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}
