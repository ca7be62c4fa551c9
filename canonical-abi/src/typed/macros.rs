//! `record!`, `variant!`, `enumeration!`, `flags!`: each declares a Rust type and makes it a component type, from one list of
//! fields, cases or labels. A label is the kebab-case of the Rust name unless the list says otherwise.
//!
//! The macros expand rows: all that moves bytes is in typed.rs.

/// Declares a record.
///
/// ```
/// use mini_wasm_canonical_abi::record;
/// record! {
///     /// When something happened.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Datetime = "datetime" {
///         pub seconds: u64,
///         pub fraction: u32 = "nanoseconds",
///     }
/// }
/// # use mini_wasm_canonical_abi::ComponentType;
/// assert_eq!(format!("{:?}", Datetime::val_type().unwrap()), "record { seconds: u64, nanoseconds: u32 }");
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident = $wit:literal {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $ty:ty $(= $label:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("`", $wit, "` in WIT.")]
        #[allow(missing_docs, reason = "fields and cases are WIT's")]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty,)+
        }

        #[allow(dead_code)]
        impl $name {
            /// The name of the type in WIT.
            $vis const WIT_NAME: &'static str = $wit;
        }

        $crate::__record! { @type $name { $($field: $ty $(= $label)?,)+ } }
        $crate::__record! { @lift $name { $($field: $ty $(= $label)?,)+ } }
        $crate::__record! { @lower $name { $($field: $ty $(= $label)?,)+ } }
    };
}

/// Declares a variant: a Rust enum whose cases have one payload or none.
///
/// ```
/// use mini_wasm_canonical_abi::variant;
/// variant! {
///     #[derive(Clone, Debug, PartialEq)]
///     pub enum NewTimestamp = "new-timestamp" {
///         NoChange,
///         Now,
///         Timestamp(u64) = "at",
///     }
/// }
/// # use mini_wasm_canonical_abi::ComponentType;
/// assert_eq!(format!("{:?}", NewTimestamp::val_type().unwrap()), "variant { no-change, now, at(u64) }");
/// ```
#[macro_export]
macro_rules! variant {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident = $wit:literal {
            $($(#[$case_meta:meta])* $case:ident $(($ty:ty))? $(= $label:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("`", $wit, "` in WIT.")]
        #[allow(missing_docs, reason = "fields and cases are WIT's")]
        $vis enum $name {
            $($(#[$case_meta])* $case $(($ty))?,)+
        }

        #[allow(dead_code)]
        impl $name {
            /// The name of the type in WIT.
            $vis const WIT_NAME: &'static str = $wit;
        }

        $crate::__variant! { @cases $name { $($case $(($ty))? $(= $label)?,)+ } }
        $crate::__variant! { @type $name { $($case $(($ty))? $(= $label)?,)+ } }
        $crate::__variant! { @lift $name { $($case $(($ty))? $(= $label)?,)+ } }
        $crate::__variant! { @lower $name { $($case $(($ty))? $(= $label)?,)+ } }
    };
}

/// Declares an enum (`enum` is a word of Rust's own): cases without payloads. The Rust type is `Copy`, `Eq`, `Hash` and
/// `Debug`.
///
/// ```
/// use mini_wasm_canonical_abi::enumeration;
/// enumeration! {
///     pub enum DescriptorType = "descriptor-type" { Unknown, BlockDevice, Fifo }
/// }
/// # use mini_wasm_canonical_abi::ComponentType;
/// assert_eq!(format!("{:?}", DescriptorType::val_type().unwrap()), "enum { unknown, block-device, fifo }");
/// ```
#[macro_export]
macro_rules! enumeration {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident = $wit:literal {
            $($(#[$case_meta:meta])* $case:ident $(= $label:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("`", $wit, "` in WIT.")]
        #[allow(missing_docs, reason = "fields and cases are WIT's")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$case_meta])* $case,)+
        }

        #[allow(dead_code)]
        impl $name {
            /// The name of the type in WIT.
            $vis const WIT_NAME: &'static str = $wit;
            /// All cases, in order.
            $vis const ALL: &'static [$name] = &[$($name::$case),+];
        }

        $crate::__variant! { @cases $name { $($case $(= $label)?,)+ } }
        $crate::__variant! { @enumeration $name { $($case $(= $label)?,)+ } }
        $crate::__variant! { @lift $name { $($case $(= $label)?,)+ } }
        $crate::__variant! { @lower $name { $($case $(= $label)?,)+ } }
    };
}

/// Declares flags: a set of labels, at most 32. Bits that no label names are dropped on the way in and cannot be made here.
///
/// ```
/// use mini_wasm_canonical_abi::flags;
/// flags! {
///     pub struct OpenFlags = "open-flags" { CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = "cut" }
/// }
/// let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
/// assert!(flags.contains(OpenFlags::CREATE) && !flags.contains(OpenFlags::EXCLUSIVE));
/// # use mini_wasm_canonical_abi::ComponentType;
/// assert_eq!(format!("{:?}", OpenFlags::val_type().unwrap()), "flags { create, directory, exclusive, cut }");
/// ```
#[macro_export]
macro_rules! flags {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident = $wit:literal {
            $($(#[$flag_meta:meta])* $flag:ident $(= $label:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("`", $wit, "` in WIT.")]
        #[allow(missing_docs, reason = "fields and cases are WIT's")]
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        $vis struct $name {
            bits: u32,
        }

        #[allow(dead_code)]
        impl $name {
            /// The name of the type in WIT.
            $vis const WIT_NAME: &'static str = $wit;
            const NAMES: &'static [&'static str] = &[$(stringify!($flag)),+];
            $($(#[$flag_meta])* #[allow(missing_docs)] $vis const $flag: $name =
                $name { bits: 1 << $crate::typed::position($name::NAMES, stringify!($flag)) };)+

            /// No flag.
            $vis const fn empty() -> $name {
                $name { bits: 0 }
            }

            /// All flags.
            $vis const fn all() -> $name {
                $name { bits: u32::MAX >> (32 - $name::NAMES.len()) }
            }

            /// The flags whose bits are set; other bits are dropped.
            $vis const fn from_bits_truncate(bits: u32) -> $name {
                $name { bits: bits & $name::all().bits }
            }

            /// Bit n is label n.
            $vis const fn bits(self) -> u32 {
                self.bits
            }

            /// Whether all flags of `other` are among these.
            $vis const fn contains(self, other: $name) -> bool {
                self.bits & other.bits == other.bits
            }

            /// Whether any flag of `other` is among these.
            $vis const fn intersects(self, other: $name) -> bool {
                self.bits & other.bits != 0
            }

            /// Whether there is no flag.
            $vis const fn is_empty(self) -> bool {
                self.bits == 0
            }
        }

        impl ::core::ops::BitOr for $name {
            type Output = $name;

            fn bitor(self, other: $name) -> $name {
                $name { bits: self.bits | other.bits }
            }
        }

        impl ::core::ops::BitAnd for $name {
            type Output = $name;

            fn bitand(self, other: $name) -> $name {
                $name { bits: self.bits & other.bits }
            }
        }

        impl ::core::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: $name) {
                self.bits |= other.bits;
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let mut set = f.debug_set();
                $(if self.contains($name::$flag) {
                    set.entry(&::core::format_args!("{}", stringify!($flag)));
                })+
                set.finish()
            }
        }

        impl $crate::typed::ComponentType for $name {
            const LAYOUT: $crate::layout::Layout = {
                assert!($name::NAMES.len() <= 32, "flags have at most 32 labels");
                $crate::layout::Layout::flags($name::NAMES.len())
            };

            fn val_type() -> ::core::result::Result<$crate::types::ValType, $crate::types::TypeError> {
                $crate::types::ValType::flags([$($crate::__label!($flag $($label)?)),+])
            }
        }

        impl $crate::typed::Lift for $name {
            fn load<G: $crate::context::Guest + ?Sized>(
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<Self> {
                $crate::typed::load_flags(cx, ptr, <$name as $crate::typed::ComponentType>::LAYOUT)
                    .map($name::from_bits_truncate)
            }

            fn lift_flat<G: $crate::context::Guest + ?Sized>(
                _: &mut $crate::context::LiftLowerContext<'_, G>,
                vi: &mut $crate::lift::CoreValueIter<'_>,
            ) -> $crate::error::Result<Self> {
                vi.next_i32().map($name::from_bits_truncate)
            }
        }

        impl $crate::typed::Lower for $name {
            fn store<G: $crate::context::Guest + ?Sized>(
                &self,
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<()> {
                $crate::typed::store_flags(
                    cx,
                    self.bits & $name::all().bits,
                    ptr,
                    <$name as $crate::typed::ComponentType>::LAYOUT,
                )
            }

            fn lower_flat<G: $crate::context::Guest + ?Sized>(
                &self,
                _: &mut $crate::context::LiftLowerContext<'_, G>,
                out: &mut $crate::lower::CoreValueSink<'_>,
            ) -> $crate::error::Result<()> {
                out.push(u64::from(self.bits & $name::all().bits))
            }
        }
    };
}

/// What makes a struct a record: `@type`, `@lift`, `@lower` each give one trait. For `record!` and for derives.
#[doc(hidden)]
#[macro_export]
macro_rules! __record {
    (@type $name:ident { $($field:ident: $ty:ty $(= $label:literal)?,)+ }) => {
        impl $crate::typed::ComponentType for $name {
            const LAYOUT: $crate::layout::Layout = $crate::layout::RecordLayout::new()
                $(.field(<$ty as $crate::typed::ComponentType>::LAYOUT))+
                .finish();

            fn val_type() -> ::core::result::Result<$crate::types::ValType, $crate::types::TypeError> {
                $crate::types::ValType::record([
                    $(($crate::__label!($field $($label)?), <$ty as $crate::typed::ComponentType>::val_type()?),)+
                ])
            }
        }
    };
    (@lift $name:ident { $($field:ident: $ty:ty $(= $label:literal)?,)+ }) => {
        impl $crate::typed::Lift for $name {
            fn load<G: $crate::context::Guest + ?Sized>(
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<Self> {
                let mut fields = $crate::typed::Fields::at(ptr);
                Ok($name { $($field: fields.load(cx)?,)+ })
            }

            fn lift_flat<G: $crate::context::Guest + ?Sized>(
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                vi: &mut $crate::lift::CoreValueIter<'_>,
            ) -> $crate::error::Result<Self> {
                Ok($name { $($field: <$ty as $crate::typed::Lift>::lift_flat(cx, vi)?,)+ })
            }
        }
    };
    (@lower $name:ident { $($field:ident: $ty:ty $(= $label:literal)?,)+ }) => {
        impl $crate::typed::Lower for $name {
            fn store<G: $crate::context::Guest + ?Sized>(
                &self,
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<()> {
                let mut fields = $crate::typed::Fields::at(ptr);
                $(fields.store(cx, &self.$field)?;)+
                Ok(())
            }

            fn lower_flat<G: $crate::context::Guest + ?Sized>(
                &self,
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                out: &mut $crate::lower::CoreValueSink<'_>,
            ) -> $crate::error::Result<()> {
                $($crate::typed::Lower::lower_flat(&self.$field, cx, out)?;)+
                Ok(())
            }
        }
    };
}

/// What makes a Rust enum a variant or (`@enumeration` for `@type`) an enum, which moves as a variant without payloads does.
#[doc(hidden)]
#[macro_export]
macro_rules! __variant {
    (@cases $name:ident { $($case:ident $(($ty:ty))? $(= $label:literal)?,)+ }) => {
        impl $crate::typed::VariantType for $name {
            const CASES: u32 = [$(stringify!($case)),+].len() as u32;
            const VARIANT: $crate::layout::VariantLayout = $crate::layout::VariantLayoutBuilder::new()
                $(.case(<$crate::__payload_type!($($ty)?) as $crate::typed::OptionalType>::PAYLOAD))+
                .finish();
        }
    };
    (@type $name:ident { $($case:ident $(($ty:ty))? $(= $label:literal)?,)+ }) => {
        impl $crate::typed::ComponentType for $name {
            const LAYOUT: $crate::layout::Layout = <$name as $crate::typed::VariantType>::VARIANT.layout;

            fn val_type() -> ::core::result::Result<$crate::types::ValType, $crate::types::TypeError> {
                $crate::types::ValType::variant([$((
                    $crate::__label!($case $($label)?),
                    <$crate::__payload_type!($($ty)?) as $crate::typed::OptionalType>::payload_type()?,
                ),)+])
            }
        }
    };
    (@enumeration $name:ident { $($case:ident $(($ty:ty))? $(= $label:literal)?,)+ }) => {
        impl $crate::typed::ComponentType for $name {
            const LAYOUT: $crate::layout::Layout = <$name as $crate::typed::VariantType>::VARIANT.layout;

            fn val_type() -> ::core::result::Result<$crate::types::ValType, $crate::types::TypeError> {
                $crate::types::ValType::enumeration([$($crate::__label!($case $($label)?)),+])
            }
        }
    };
    (@lift $name:ident { $($case:ident $(($ty:ty))? $(= $label:literal)?,)+ }) => {
        impl $crate::typed::Lift for $name {
            fn load<G: $crate::context::Guest + ?Sized>(
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<Self> {
                #[allow(clippy::enum_variant_names)]
                enum CaseIndex { $($case),+ }
                let (case, _payload) = <$name as $crate::typed::VariantType>::load_case(cx, ptr)?;
                $(if case == CaseIndex::$case as u32 {
                    return Ok($name::$case $((<$ty as $crate::typed::Lift>::load(cx, _payload)?))?);
                })+
                Err($crate::typed::no_such_case::<$name>(case))
            }

            fn lift_flat<G: $crate::context::Guest + ?Sized>(
                _cx: &mut $crate::context::LiftLowerContext<'_, G>,
                vi: &mut $crate::lift::CoreValueIter<'_>,
            ) -> $crate::error::Result<Self> {
                #[allow(clippy::enum_variant_names)]
                enum CaseIndex { $($case),+ }
                let (case, end) = <$name as $crate::typed::VariantType>::lift_flat_case(vi)?;
                $(if case == CaseIndex::$case as u32 {
                    let value = $name::$case $((<$ty as $crate::typed::Lift>::lift_flat(_cx, vi)?))?;
                    vi.skip_to(end);
                    return Ok(value);
                })+
                Err($crate::typed::no_such_case::<$name>(case))
            }
        }
    };
    (@lower $name:ident { $($case:ident $(($ty:ty))? $(= $label:literal)?,)+ }) => {
        impl $crate::typed::Lower for $name {
            fn store<G: $crate::context::Guest + ?Sized>(
                &self,
                cx: &mut $crate::context::LiftLowerContext<'_, G>,
                ptr: usize,
            ) -> $crate::error::Result<()> {
                #[allow(clippy::enum_variant_names)]
                enum CaseIndex { $($case),+ }
                match self {
                    $($name::$case $(($crate::__payload!(payload $ty)))? => {
                        let _ptr = <$name as $crate::typed::VariantType>::store_case(
                            cx,
                            ptr,
                            CaseIndex::$case as u32,
                        )?;
                        $(<$ty as $crate::typed::Lower>::store(payload, cx, _ptr)?;)?
                    })+
                }
                Ok(())
            }

            fn lower_flat<G: $crate::context::Guest + ?Sized>(
                &self,
                _cx: &mut $crate::context::LiftLowerContext<'_, G>,
                out: &mut $crate::lower::CoreValueSink<'_>,
            ) -> $crate::error::Result<()> {
                #[allow(clippy::enum_variant_names)]
                enum CaseIndex { $($case),+ }
                let end = match self {
                    $($name::$case $(($crate::__payload!(payload $ty)))? => {
                        let end = <$name as $crate::typed::VariantType>::lower_flat_case(
                            out,
                            CaseIndex::$case as u32,
                        )?;
                        $(<$ty as $crate::typed::Lower>::lower_flat(payload, _cx, out)?;)?
                        end
                    })+
                };
                out.pad_to(end)
            }
        }
    };
}

/// The label of a row: the one that it gives, else that of its Rust name.
#[doc(hidden)]
#[macro_export]
macro_rules! __label {
    ($name:ident) => {
        $crate::typed::label_of(stringify!($name))
    };
    ($name:ident $label:literal) => {
        $crate::typed::label($label)
    };
}

/// The type of a payload, `()` for none.
#[doc(hidden)]
#[macro_export]
macro_rules! __payload_type {
    () => {
        ()
    };
    ($ty:ty) => {
        $ty
    };
}

/// A pattern for a payload: binds the name (the type only says that there is one).
#[doc(hidden)]
#[macro_export]
macro_rules! __payload {
    ($payload:ident $ty:ty) => {
        $payload
    };
}
