//! `Val`, a component value whose type is known only at run time, and the check of a value against a type.
//!
//! A `Val` holds no labels: fields stand in the order of the type, cases are indices. A list of numbers is held as a vector
//! of those numbers (`List`), so `list<u8>` costs a byte an element and not a whole `Val`; a list written as `Vec<Val>` is
//! equal to it and is accepted wherever it is.
//!
//! Equality is equality of component values: there is one NaN (so NaN equals NaN), and -0.0 is not 0.0.
//!
//! Must not know: memories, flat values.

use crate::error::{Trap, TypeMismatch};
use crate::string::SourceEncoding;
use crate::types::{Cases, ResourceType, ValType};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// A component value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are WIT's")]
pub enum Val {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Char(char),
    String(Text),
    List(List),
    /// The fields, in the order of the type.
    Record(Vec<Val>),
    Tuple(Vec<Val>),
    Variant {
        /// The index of the case.
        case: u32,
        /// The payload, if the case has one.
        payload: Option<Box<Val>>,
    },
    /// The index of the case.
    Enum(u32),
    Option(Option<Box<Val>>),
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// Keys may repeat.
    Map(Vec<(Val, Val)>),
    /// Bit n is the label n of the type.
    Flags(u32),
    Own(Resource),
    Borrow(Resource),
}

/// What a handle stands for on the other side of the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Of which resource.
    pub rt: ResourceType,
    /// The number by which the definer of the resource knows this one: an i32, or an i64 if it said so (`rep i64`).
    pub rep: u64,
}

impl Resource {
    /// The representation where it has to be an i32: what the definer is lent (`lower_borrow`), and how the host knows its own.
    ///
    /// # Errors
    /// The specification does not say what becomes of one that does not fit; it is a trap rather than another resource.
    #[inline]
    pub fn rep_i32(self) -> Result<u32, Trap> {
        u32::try_from(self.rep).map_err(|_| Trap::WideRepresentation)
    }
}

/// A string value: its text, and how the component it came from had it encoded. The encoding is no part of the value, but
/// it decides which calls of `realloc` another component sees when it is given the string.
#[derive(Clone)]
pub struct Text {
    text: String,
    encoding: SourceEncoding,
}

impl Text {
    /// A text that is stored as if it came from a component that had it in `encoding`. One with characters above U+00FF is
    /// never Latin-1: it becomes tagged UTF-16.
    pub fn with_encoding(text: String, encoding: SourceEncoding) -> Text {
        let encoding = match encoding {
            SourceEncoding::Latin1 if text.chars().any(|c| c as u32 >= 0x100) => SourceEncoding::TaggedUtf16,
            encoding => encoding,
        };
        Text { text, encoding }
    }

    /// For a text that was decoded from `encoding`.
    pub(crate) fn decoded(text: String, encoding: SourceEncoding) -> Text {
        Text { text, encoding }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, taken out.
    pub fn into_string(self) -> String {
        self.text
    }

    /// How the component that it came from had it encoded; UTF-8 for a string of the host.
    pub fn encoding(&self) -> SourceEncoding {
        self.encoding
    }
}

impl<S: Into<String>> From<S> for Text {
    fn from(text: S) -> Text {
        Text { text: text.into(), encoding: SourceEncoding::Utf8 }
    }
}

impl core::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl core::fmt::Debug for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.text.fmt(f)
    }
}

/// Calls a macro with the number types: the variant of `Val`, `ValType` and `List`, and the Rust type.
macro_rules! for_each_number {
    ($then:ident) => {
        $then! {
            S8 i8, U8 u8, S16 i16, U16 u16, S32 i32, U32 u32, S64 i64, U64 u64, F32 f32, F64 f64
        }
    };
}
pub(crate) use for_each_number;

macro_rules! list_of_numbers {
    ($($name:ident $ty:ty),*) => {
        /// The elements of a list.
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "the names are WIT's")]
        pub enum List {
            /// Elements of any type.
            Vals(Vec<Val>),
            $($name(Vec<$ty>),)*
        }

        impl List {
            /// How many elements.
            pub fn len(&self) -> usize {
                match self {
                    List::Vals(vals) => vals.len(),
                    $(List::$name(numbers) => numbers.len(),)*
                }
            }

            /// Element `index` as a value.
            pub fn element(&self, index: usize) -> Option<Val> {
                match self {
                    List::Vals(vals) => vals.get(index).cloned(),
                    $(List::$name(numbers) => numbers.get(index).map(|number| Val::$name(*number)),)*
                }
            }

            /// All elements as values.
            pub fn into_vals(self) -> Vec<Val> {
                match self {
                    List::Vals(vals) => vals,
                    $(List::$name(numbers) => numbers.into_iter().map(Val::$name).collect(),)*
                }
            }

            /// Whether these are numbers of the type `t`, in which case no element needs a look.
            pub(crate) fn is_numbers_of(&self, t: &ValType) -> bool {
                match (self, t) {
                    $((List::$name(_), ValType::$name) => true,)*
                    _ => false,
                }
            }
        }

        $(
            impl From<Vec<$ty>> for List {
                fn from(numbers: Vec<$ty>) -> List {
                    List::$name(numbers)
                }
            }

            impl From<$ty> for Val {
                fn from(number: $ty) -> Val {
                    Val::$name(number)
                }
            }
        )*
    };
}
for_each_number!(list_of_numbers);

impl List {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<Val>> for List {
    fn from(vals: Vec<Val>) -> List {
        List::Vals(vals)
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        match (self, other) {
            (List::Vals(a), List::Vals(b)) => a == b,
            (List::U8(a), List::U8(b)) => a == b,
            _ => self.len() == other.len() && (0..self.len()).all(|i| self.element(i) == other.element(i)),
        }
    }
}

impl Eq for List {}

impl PartialEq for Val {
    fn eq(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::S8(a), Val::S8(b)) => a == b,
            (Val::U8(a), Val::U8(b)) => a == b,
            (Val::S16(a), Val::S16(b)) => a == b,
            (Val::U16(a), Val::U16(b)) => a == b,
            (Val::S32(a), Val::S32(b)) => a == b,
            (Val::U32(a), Val::U32(b)) => a == b,
            (Val::S64(a), Val::S64(b)) => a == b,
            (Val::U64(a), Val::U64(b)) => a == b,
            (Val::F32(a), Val::F32(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            (Val::F64(a), Val::F64(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            (Val::Char(a), Val::Char(b)) => a == b,
            (Val::String(a), Val::String(b)) => a == b,
            (Val::List(a), Val::List(b)) => a == b,
            (Val::Record(a), Val::Record(b)) | (Val::Tuple(a), Val::Tuple(b)) => a == b,
            (Val::Variant { case: a, payload: p }, Val::Variant { case: b, payload: q }) => a == b && p == q,
            (Val::Enum(a), Val::Enum(b)) => a == b,
            (Val::Option(a), Val::Option(b)) => a == b,
            (Val::Result(a), Val::Result(b)) => a == b,
            (Val::Map(a), Val::Map(b)) => a == b,
            (Val::Flags(a), Val::Flags(b)) => a == b,
            (Val::Own(a), Val::Own(b)) | (Val::Borrow(a), Val::Borrow(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Val {}

impl From<bool> for Val {
    fn from(value: bool) -> Val {
        Val::Bool(value)
    }
}

impl From<char> for Val {
    fn from(value: char) -> Val {
        Val::Char(value)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Val {
        Val::String(text.into())
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Val {
        Val::String(text.into())
    }
}

impl Val {
    /// The kind of the value as WIT spells it: `u8`, `list`, `record`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Bool(_) => "bool",
            Val::S8(_) => "s8",
            Val::U8(_) => "u8",
            Val::S16(_) => "s16",
            Val::U16(_) => "u16",
            Val::S32(_) => "s32",
            Val::U32(_) => "u32",
            Val::S64(_) => "s64",
            Val::U64(_) => "u64",
            Val::F32(_) => "f32",
            Val::F64(_) => "f64",
            Val::Char(_) => "char",
            Val::String(_) => "string",
            Val::List(_) => "list",
            Val::Record(_) => "record",
            Val::Tuple(_) => "tuple",
            Val::Variant { .. } => "variant",
            Val::Enum(_) => "enum",
            Val::Option(_) => "option",
            Val::Result(_) => "result",
            Val::Map(_) => "map",
            Val::Flags(_) => "flags",
            Val::Own(_) => "own",
            Val::Borrow(_) => "borrow",
        }
    }

    /// Whether the value is of type `t`; if not, the first place where it is not. Lowering checks the same as it goes: this
    /// is for those who want to know before the guest is touched.
    pub fn check(&self, t: &ValType) -> Result<(), TypeMismatch> {
        match (self, t) {
            (Val::Bool(_), ValType::Bool)
            | (Val::S8(_), ValType::S8)
            | (Val::U8(_), ValType::U8)
            | (Val::S16(_), ValType::S16)
            | (Val::U16(_), ValType::U16)
            | (Val::S32(_), ValType::S32)
            | (Val::U32(_), ValType::U32)
            | (Val::S64(_), ValType::S64)
            | (Val::U64(_), ValType::U64)
            | (Val::F32(_), ValType::F32)
            | (Val::F64(_), ValType::F64)
            | (Val::Char(_), ValType::Char)
            | (Val::String(_), ValType::String) => Ok(()),
            (Val::List(list), ValType::List(t)) => {
                check_length(list.len(), t.length())?;
                if list.is_numbers_of(t.element()) {
                    return Ok(());
                }
                match list {
                    List::Vals(vals) => vals.iter().try_for_each(|val| val.check(t.element())),
                    numbers => numbers.element(0).map_or(Ok(()), |number| number.check(t.element())),
                }
            }
            (Val::Record(vals), ValType::Record(t)) => {
                check_count("fields", t.fields().len(), vals.len())?;
                vals.iter().zip(t.fields()).try_for_each(|(val, field)| val.check(&field.t))
            }
            (Val::Tuple(vals), ValType::Tuple(t)) => check_all("elements", vals, t.types()),
            (Val::Map(entries), ValType::Map(t)) => entries.iter().try_for_each(|(key, value)| {
                key.check(t.key())?;
                value.check(t.value())
            }),
            (Val::Flags(bits), ValType::Flags(t)) => check_flags(*bits, t.labels().len()),
            // Which resource it is only the guest's side can tell: `Guest::lower_own` and `lower_borrow` check.
            (Val::Own(_), ValType::Own(_)) | (Val::Borrow(_), ValType::Borrow(_)) => Ok(()),
            (val, t) => {
                let (cases, index, payload) = val.match_case(t)?;
                match (payload, case_payload(&cases, index)?) {
                    (Some(val), Some(t)) => val.check(t),
                    (None, None) => Ok(()),
                    (_, t) => Err(TypeMismatch::Payload { expected: t.is_some() }),
                }
            }
        }
    }

    /// The value as a variant: the cases of the type, the index of the value's case, and its payload (`match_case`). An
    /// error if value and type are not both variants, enums, options or results.
    pub(crate) fn match_case<'v, 't>(
        &'v self,
        t: &'t ValType,
    ) -> Result<(Cases<'t>, u32, Option<&'v Val>), TypeMismatch> {
        Ok(match (self, t) {
            (Val::Variant { case, payload }, ValType::Variant(t)) => {
                (Cases::of_variant(t), *case, payload.as_deref())
            }
            (Val::Enum(case), ValType::Enum(t)) => (Cases::of_enum(t), *case, None),
            (Val::Option(payload), ValType::Option(t)) => {
                (Cases::of_option(t), u32::from(payload.is_some()), payload.as_deref())
            }
            (Val::Result(Ok(payload)), ValType::Result(t)) => (Cases::of_result(t), 0, payload.as_deref()),
            (Val::Result(Err(payload)), ValType::Result(t)) => (Cases::of_result(t), 1, payload.as_deref()),
            (val, t) => return Err(TypeMismatch::Kind { expected: t.kind(), found: val.kind() }),
        })
    }
}

/// The payload type of case `index`.
pub(crate) fn case_payload<'t>(cases: &Cases<'t>, index: u32) -> Result<Option<&'t ValType>, TypeMismatch> {
    cases.payload(index).ok_or(TypeMismatch::Case { cases: cases.len(), found: index })
}

/// Whether each of `vals` is of its type.
pub(crate) fn check_all(what: &'static str, vals: &[Val], types: &[ValType]) -> Result<(), TypeMismatch> {
    check_count(what, types.len(), vals.len())?;
    vals.iter().zip(types).try_for_each(|(val, t)| val.check(t))
}

pub(crate) fn check_count(what: &'static str, expected: usize, found: usize) -> Result<(), TypeMismatch> {
    if expected == found { Ok(()) } else { Err(TypeMismatch::Count { what, expected, found }) }
}

pub(crate) fn check_length(found: usize, length: Option<u32>) -> Result<(), TypeMismatch> {
    match length {
        Some(length) => check_count("elements", length as usize, found),
        None => Ok(()),
    }
}

pub(crate) fn check_flags(bits: u32, labels: usize) -> Result<(), TypeMismatch> {
    if bits & !flags_mask(labels) == 0 {
        Ok(())
    } else {
        Err(TypeMismatch::Flags { labels: labels as u32, found: bits })
    }
}

/// The bits that flags with `labels` labels may have.
pub(crate) const fn flags_mask(labels: usize) -> u32 {
    if labels >= 32 { u32::MAX } else { (1 << labels) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_val_is_no_larger_than_four_words() {
        assert!(size_of::<Val>() <= 40, "{}", size_of::<Val>());
    }

    #[test]
    fn there_is_one_nan_and_two_zeros() {
        assert_eq!(Val::F32(f32::from_bits(0x7fa0_0000)), Val::F32(f32::NAN));
        assert_eq!(Val::F64(-f64::NAN), Val::F64(f64::NAN));
        assert_ne!(Val::F64(0.0), Val::F64(-0.0));
        assert_eq!(List::F32(vec![f32::NAN]), List::F32(vec![-f32::NAN]));
    }

    #[test]
    fn a_list_of_numbers_equals_the_same_list_of_values() {
        let numbers = Val::List(vec![1u8, 2].into());
        let vals = Val::List(vec![Val::U8(1), Val::U8(2)].into());
        assert_eq!(numbers, vals);
        assert_ne!(numbers, Val::List(vec![1u16, 2].into()));
        let t = ValType::list(ValType::U8).unwrap();
        assert_eq!(numbers.check(&t), Ok(()));
        assert_eq!(vals.check(&t), Ok(()));
        assert!(Val::List(vec![1u16].into()).check(&t).is_err());
    }

    #[test]
    fn flag_bits_beyond_the_labels_are_a_mismatch_and_no_panic() {
        let t = ValType::flags(["a", "b", "c"]).unwrap();
        assert_eq!(Val::Flags(7).check(&t), Ok(()));
        assert_eq!(Val::Flags(8).check(&t), Err(TypeMismatch::Flags { labels: 3, found: 8 }));
        let all: Vec<alloc::string::String> = (0..32).map(|i| alloc::format!("f{i}")).collect();
        assert_eq!(Val::Flags(u32::MAX).check(&ValType::flags(all).unwrap()), Ok(()));
    }

    #[test]
    fn a_case_must_exist_and_have_the_payload_that_its_type_has() {
        let t = ValType::variant([("none", None), ("some", Some(ValType::U8))]).unwrap();
        let val = |case, payload: Option<Val>| Val::Variant { case, payload: payload.map(Box::new) };
        assert_eq!(val(0, None).check(&t), Ok(()));
        assert_eq!(val(1, Some(Val::U8(1))).check(&t), Ok(()));
        assert_eq!(val(1, None).check(&t), Err(TypeMismatch::Payload { expected: true }));
        assert_eq!(val(0, Some(Val::U8(1))).check(&t), Err(TypeMismatch::Payload { expected: false }));
        assert_eq!(val(2, None).check(&t), Err(TypeMismatch::Case { cases: 2, found: 2 }));
        assert!(val(1, Some(Val::U16(1))).check(&t).is_err());
    }
}
