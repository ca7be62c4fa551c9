//! The types of component values. CanonicalABI.md: "Despecialization", "Type Predicates", and the value types of Explainer.md.
//!
//! Types come from hostile binaries: they may name one part a million times and nest deeply. So a compound type is one
//! shared pointer (`Clone` is cheap), its layout is computed once when it is made, from its parts, and making a type that
//! nests deeper than `MAX_TYPE_DEPTH`, is larger than `MAX_ELEM_SIZE` bytes, or expands to more than `MAX_TYPE_SIZE` parts
//! is an error. Every walk over a type is therefore bounded in time and in stack.
//!
//! Must not know: component binaries, indices, names of types.

use crate::layout::{Layout, MAX_ELEM_SIZE, PtrType, RecordLayout, VariantLayout, VariantLayoutBuilder};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::TypeId;
use core::fmt;

/// No type nests deeper (validation allows 100 levels).
pub const MAX_TYPE_DEPTH: u8 = 120;

/// No type has more parts, counted as often as they are named (validation allows a million, counted a little otherwise).
pub const MAX_TYPE_SIZE: u32 = 2_000_000;

/// `FlagsType` has at most this many labels.
pub const MAX_FLAGS_LABELS: usize = 32;

/// Which resource a handle type is about. The embedder gives the meaning of `Id` (an index of the component, a number of
/// the store); two types are one if they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// A resource that the host defines by a Rust type.
    Host(TypeId),
    /// A resource that the embedder knows by number, mostly one that a component defines.
    Id(u32),
}

impl ResourceType {
    /// The resource that the host defines by the Rust type `T`.
    pub fn host<T: 'static + ?Sized>() -> ResourceType {
        ResourceType::Host(TypeId::of::<T>())
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceType::Host(_) => "host-defined resource",
            ResourceType::Id(_) => "guest-defined resource",
        })
    }
}

/// Why a type cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeError {
    /// Nested deeper than `MAX_TYPE_DEPTH`.
    TooDeep,
    /// `MAX_ELEM_SIZE` bytes or more in memory.
    TooLarge,
    /// More than `MAX_TYPE_SIZE` parts.
    TooManyParts,
    /// A record, tuple, variant, enum, flags or list of fixed length without any part.
    Empty,
    /// More than `MAX_FLAGS_LABELS` flags.
    TooManyFlags,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeError::TooDeep => write!(f, "a type nests deeper than {MAX_TYPE_DEPTH} levels"),
            TypeError::TooLarge => write!(f, "a type is larger than {} bytes", MAX_ELEM_SIZE - 1),
            TypeError::TooManyParts => write!(f, "a type has more than {MAX_TYPE_SIZE} parts"),
            TypeError::Empty => {
                f.write_str("a record, tuple, variant, enum, flags or fixed-length list has no parts")
            }
            TypeError::TooManyFlags => write!(f, "flags have more than {MAX_FLAGS_LABELS} labels"),
        }
    }
}

impl core::error::Error for TypeError {}

/// A value type. The constructors of compound types are functions: `ValType::list`, `ValType::record`, ...
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are WIT's")]
pub enum ValType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(ListType),
    Record(RecordType),
    Tuple(TupleType),
    Variant(VariantType),
    Enum(EnumType),
    Option(OptionType),
    Result(ResultType),
    Map(MapType),
    Flags(FlagsType),
    Own(ResourceType),
    Borrow(ResourceType),
}

/// What is known of every type without a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeInfo {
    pub(crate) layout: Layout,
    /// 1 for a type without parts.
    depth: u8,
    /// The type itself and its parts, as often as they are named.
    size: u32,
    contains_borrow: bool,
}

impl TypeInfo {
    const fn leaf(layout: Layout) -> TypeInfo {
        TypeInfo { layout, depth: 1, size: 1, contains_borrow: false }
    }

    /// The info of a compound of `layout` with these `parts`.
    fn compound<'a>(layout: Layout, parts: impl Iterator<Item = &'a ValType>) -> Result<TypeInfo, TypeError> {
        let mut info = TypeInfo::leaf(layout);
        for part in parts {
            let part = part.info();
            info.depth = info.depth.max(part.depth.saturating_add(1));
            info.size = info.size.saturating_add(part.size);
            info.contains_borrow |= part.contains_borrow;
        }
        if info.depth > MAX_TYPE_DEPTH {
            Err(TypeError::TooDeep)
        } else if info.size > MAX_TYPE_SIZE {
            Err(TypeError::TooManyParts)
        } else if !info.layout.is_valid() {
            Err(TypeError::TooLarge)
        } else {
            Ok(info)
        }
    }
}

/// What `ListType` and the like point to.
#[derive(PartialEq, Eq)]
struct Node<D> {
    info: TypeInfo,
    def: D,
}

macro_rules! compound_types {
    ($($(#[$doc:meta])* $name:ident($def:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Eq)]
        pub struct $name(Arc<Node<$def>>);

        impl $name {
            fn with(info: TypeInfo, def: $def) -> $name {
                $name(Arc::new(Node { info, def }))
            }
        }

        /// Structural: the same parts in the same order, with the same labels.
        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }
    )*};
}

compound_types! {
    /// `list<t>`, or `list<t, n>` with a fixed length.
    ListType(ListDef);
    /// `record { label: t, ... }`
    RecordType(Box<[FieldType]>);
    /// `tuple<t, ...>`
    TupleType(Box<[ValType]>);
    /// `variant { label, label(t), ... }`
    VariantType(VariantDef);
    /// `enum { label, ... }`
    EnumType(EnumDef);
    /// `option<t>`
    OptionType(OptionDef);
    /// `result<ok, error>`, both optional.
    ResultType(ResultDef);
    /// `map<k, v>`; lies in memory as `list<tuple<k, v>>`.
    MapType(TupleType);
    /// `flags { label, ... }`
    FlagsType(Box<[Arc<str>]>);
}

#[derive(PartialEq, Eq)]
struct ListDef {
    element: ValType,
    length: Option<u32>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldType {
    /// The name, in kebab-case.
    pub label: Arc<str>,
    /// The type of the value.
    pub t: ValType,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseType {
    /// The name, in kebab-case.
    pub label: Arc<str>,
    /// The type of the payload, if there is one.
    pub t: Option<ValType>,
}

#[derive(PartialEq, Eq)]
struct VariantDef {
    cases: Box<[CaseType]>,
    layout: VariantLayout,
}

#[derive(PartialEq, Eq)]
struct EnumDef {
    labels: Box<[Arc<str>]>,
    layout: VariantLayout,
}

#[derive(PartialEq, Eq)]
struct OptionDef {
    t: ValType,
    layout: VariantLayout,
}

#[derive(PartialEq, Eq)]
struct ResultDef {
    ok: Option<ValType>,
    error: Option<ValType>,
    layout: VariantLayout,
}

impl ListType {
    /// The type of the elements.
    pub fn element(&self) -> &ValType {
        &self.0.def.element
    }

    /// The number of elements if it is fixed.
    pub fn length(&self) -> Option<u32> {
        self.0.def.length
    }
}

impl RecordType {
    /// The fields, in order.
    pub fn fields(&self) -> &[FieldType] {
        &self.0.def
    }
}

impl TupleType {
    /// The types of the elements, in order.
    pub fn types(&self) -> &[ValType] {
        &self.0.def
    }

    /// The tuple of `types`.
    pub fn new(types: impl IntoIterator<Item = ValType>) -> Result<TupleType, TypeError> {
        let types: Box<[ValType]> = types.into_iter().collect();
        if types.is_empty() {
            return Err(TypeError::Empty);
        }
        let info = TypeInfo::compound(record_layout(types.iter()), types.iter())?;
        Ok(TupleType::with(info, types))
    }
}

impl VariantType {
    /// The cases, in order.
    pub fn cases(&self) -> &[CaseType] {
        &self.0.def.cases
    }
}

impl EnumType {
    /// The names of the cases, in order.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.0.def.labels
    }
}

impl OptionType {
    /// The type of the payload of `some`.
    pub fn some(&self) -> &ValType {
        &self.0.def.t
    }
}

impl ResultType {
    /// The type of the payload of `ok`, if there is one.
    pub fn ok(&self) -> Option<&ValType> {
        self.0.def.ok.as_ref()
    }

    /// The type of the payload of `error`, if there is one.
    pub fn error(&self) -> Option<&ValType> {
        self.0.def.error.as_ref()
    }
}

impl MapType {
    /// The type of the keys.
    pub fn key(&self) -> &ValType {
        &self.element().types()[0]
    }

    /// The type of the values.
    pub fn value(&self) -> &ValType {
        &self.element().types()[1]
    }

    /// `tuple<k, v>`
    pub fn element(&self) -> &TupleType {
        &self.0.def
    }
}

impl FlagsType {
    /// The names of the flags; the first is bit 0.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.0.def
    }
}

pub(crate) fn record_layout<'a>(types: impl Iterator<Item = &'a ValType>) -> Layout {
    types.fold(RecordLayout::new(), |layout, t| layout.field(t.layout())).finish()
}

/// A length as the specification counts cases, or more than any layout allows.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl ValType {
    /// `list<element>`
    pub fn list(element: ValType) -> Result<ValType, TypeError> {
        let info = TypeInfo::compound(Layout::pointer_and_length(), core::iter::once(&element))?;
        Ok(ValType::List(ListType::with(info, ListDef { element, length: None })))
    }

    /// `list<element, length>`
    pub fn fixed_length_list(element: ValType, length: u32) -> Result<ValType, TypeError> {
        if length == 0 {
            return Err(TypeError::Empty);
        }
        let info = TypeInfo::compound(element.layout().repeat(length), core::iter::once(&element))?;
        Ok(ValType::List(ListType::with(info, ListDef { element, length: Some(length) })))
    }

    /// `record { label: t, ... }`
    pub fn record<L: Into<Arc<str>>>(
        fields: impl IntoIterator<Item = (L, ValType)>,
    ) -> Result<ValType, TypeError> {
        let fields: Box<[FieldType]> =
            fields.into_iter().map(|(label, t)| FieldType { label: label.into(), t }).collect();
        if fields.is_empty() {
            return Err(TypeError::Empty);
        }
        let types = || fields.iter().map(|field| &field.t);
        let info = TypeInfo::compound(record_layout(types()), types())?;
        Ok(ValType::Record(RecordType::with(info, fields)))
    }

    /// `tuple<t, ...>`
    pub fn tuple(types: impl IntoIterator<Item = ValType>) -> Result<ValType, TypeError> {
        TupleType::new(types).map(ValType::Tuple)
    }

    /// `variant { label, label(t), ... }`
    pub fn variant<L: Into<Arc<str>>>(
        cases: impl IntoIterator<Item = (L, Option<ValType>)>,
    ) -> Result<ValType, TypeError> {
        let cases: Box<[CaseType]> =
            cases.into_iter().map(|(label, t)| CaseType { label: label.into(), t }).collect();
        if cases.is_empty() {
            return Err(TypeError::Empty);
        }
        let layout = variant_layout(cases.iter().map(|case| case.t.as_ref()));
        let mut info = TypeInfo::compound(layout.layout, cases.iter().filter_map(|case| case.t.as_ref()))?;
        info.size = info.size.saturating_add(count(cases.len()));
        if info.size > MAX_TYPE_SIZE {
            return Err(TypeError::TooManyParts);
        }
        Ok(ValType::Variant(VariantType::with(info, VariantDef { cases, layout })))
    }

    /// `enum { label, ... }`
    pub fn enumeration<L: Into<Arc<str>>>(labels: impl IntoIterator<Item = L>) -> Result<ValType, TypeError> {
        let labels: Box<[Arc<str>]> = labels.into_iter().map(Into::into).collect();
        if labels.is_empty() {
            return Err(TypeError::Empty);
        }
        let layout = VariantLayoutBuilder::new().cases(count(labels.len())).finish();
        let mut info = TypeInfo::leaf(layout.layout);
        info.size = info.size.saturating_add(count(labels.len()));
        if info.size > MAX_TYPE_SIZE {
            return Err(TypeError::TooManyParts);
        }
        Ok(ValType::Enum(EnumType::with(info, EnumDef { labels, layout })))
    }

    /// `option<some>`
    pub fn option(some: ValType) -> Result<ValType, TypeError> {
        let layout = variant_layout([None, Some(&some)].into_iter());
        let info = TypeInfo::compound(layout.layout, core::iter::once(&some))?;
        Ok(ValType::Option(OptionType::with(info, OptionDef { t: some, layout })))
    }

    /// `result<ok, error>`
    pub fn result(ok: Option<ValType>, error: Option<ValType>) -> Result<ValType, TypeError> {
        let layout = variant_layout([ok.as_ref(), error.as_ref()].into_iter());
        let info = TypeInfo::compound(layout.layout, [&ok, &error].into_iter().flatten())?;
        Ok(ValType::Result(ResultType::with(info, ResultDef { ok, error, layout })))
    }

    /// `map<key, value>`
    pub fn map(key: ValType, value: ValType) -> Result<ValType, TypeError> {
        let element = ValType::tuple([key, value])?;
        let info = TypeInfo::compound(Layout::pointer_and_length(), core::iter::once(&element))?;
        let ValType::Tuple(element) = element else { return Err(TypeError::Empty) };
        Ok(ValType::Map(MapType::with(info, element)))
    }

    /// `flags { label, ... }`
    pub fn flags<L: Into<Arc<str>>>(labels: impl IntoIterator<Item = L>) -> Result<ValType, TypeError> {
        let labels: Box<[Arc<str>]> = labels.into_iter().map(Into::into).collect();
        match labels.len() {
            0 => Err(TypeError::Empty),
            1..=MAX_FLAGS_LABELS => {
                Ok(ValType::Flags(FlagsType::with(TypeInfo::leaf(Layout::flags(labels.len())), labels)))
            }
            _ => Err(TypeError::TooManyFlags),
        }
    }

    #[inline]
    pub(crate) fn info(&self) -> TypeInfo {
        match self {
            ValType::Bool | ValType::S8 | ValType::U8 => TypeInfo::leaf(Layout::scalar(1)),
            ValType::S16 | ValType::U16 => TypeInfo::leaf(Layout::scalar(2)),
            ValType::S32 | ValType::U32 | ValType::F32 | ValType::Char => TypeInfo::leaf(Layout::scalar(4)),
            ValType::S64 | ValType::U64 | ValType::F64 => TypeInfo::leaf(Layout::scalar(8)),
            ValType::String => TypeInfo::leaf(Layout::pointer_and_length()),
            ValType::Own(_) => TypeInfo::leaf(Layout::scalar(4)),
            ValType::Borrow(_) => TypeInfo { contains_borrow: true, ..TypeInfo::leaf(Layout::scalar(4)) },
            ValType::List(t) => t.0.info,
            ValType::Record(t) => t.0.info,
            ValType::Tuple(t) => t.0.info,
            ValType::Variant(t) => t.0.info,
            ValType::Enum(t) => t.0.info,
            ValType::Option(t) => t.0.info,
            ValType::Result(t) => t.0.info,
            ValType::Map(t) => t.0.info,
            ValType::Flags(t) => t.0.info,
        }
    }

    /// Alignment, size and flat count.
    #[inline]
    pub fn layout(&self) -> Layout {
        self.info().layout
    }

    /// `alignment`, in bytes.
    #[inline]
    pub fn alignment(&self, ptr: PtrType) -> usize {
        self.layout().alignment(ptr)
    }

    /// `elem_size`, in bytes.
    #[inline]
    pub fn elem_size(&self, ptr: PtrType) -> usize {
        self.layout().elem_size(ptr)
    }

    /// Whether a `borrow` is among the parts (`contains_borrow`).
    pub fn contains_borrow(&self) -> bool {
        self.info().contains_borrow
    }

    /// The kind of the type as WIT spells it: `u8`, `list`, `record`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            ValType::Bool => "bool",
            ValType::S8 => "s8",
            ValType::U8 => "u8",
            ValType::S16 => "s16",
            ValType::U16 => "u16",
            ValType::S32 => "s32",
            ValType::U32 => "u32",
            ValType::S64 => "s64",
            ValType::U64 => "u64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Char => "char",
            ValType::String => "string",
            ValType::List(_) => "list",
            ValType::Record(_) => "record",
            ValType::Tuple(_) => "tuple",
            ValType::Variant(_) => "variant",
            ValType::Enum(_) => "enum",
            ValType::Option(_) => "option",
            ValType::Result(_) => "result",
            ValType::Map(_) => "map",
            ValType::Flags(_) => "flags",
            ValType::Own(_) => "own",
            ValType::Borrow(_) => "borrow",
        }
    }

    /// Whether `self` and `other` are one type if `same` says which resources are one. A linker compares what a component
    /// asks for (resources by index) with what the host defines (resources by Rust type).
    pub fn matches(&self, other: &ValType, same: &mut dyn FnMut(ResourceType, ResourceType) -> bool) -> bool {
        match (self, other) {
            (ValType::List(a), ValType::List(b)) => {
                a.length() == b.length() && a.element().matches(b.element(), same)
            }
            (ValType::Record(a), ValType::Record(b)) => {
                a.fields().len() == b.fields().len()
                    && a.fields()
                        .iter()
                        .zip(b.fields())
                        .all(|(a, b)| a.label == b.label && a.t.matches(&b.t, same))
            }
            (ValType::Tuple(a), ValType::Tuple(b)) => all_match(a.types(), b.types(), same),
            (ValType::Variant(a), ValType::Variant(b)) => {
                a.cases().len() == b.cases().len()
                    && a.cases()
                        .iter()
                        .zip(b.cases())
                        .all(|(a, b)| a.label == b.label && both_match(a.t.as_ref(), b.t.as_ref(), same))
            }
            (ValType::Option(a), ValType::Option(b)) => a.some().matches(b.some(), same),
            (ValType::Result(a), ValType::Result(b)) => {
                both_match(a.ok(), b.ok(), same) && both_match(a.error(), b.error(), same)
            }
            (ValType::Map(a), ValType::Map(b)) => all_match(a.element().types(), b.element().types(), same),
            (ValType::Own(a), ValType::Own(b)) | (ValType::Borrow(a), ValType::Borrow(b)) => same(*a, *b),
            // No resources inside.
            (a, b) => a == b,
        }
    }
}

fn all_match(a: &[ValType], b: &[ValType], same: &mut dyn FnMut(ResourceType, ResourceType) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.matches(b, same))
}

fn both_match(
    a: Option<&ValType>,
    b: Option<&ValType>,
    same: &mut dyn FnMut(ResourceType, ResourceType) -> bool,
) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.matches(b, same),
        (None, None) => true,
        _ => false,
    }
}

fn variant_layout<'a>(cases: impl Iterator<Item = Option<&'a ValType>>) -> VariantLayout {
    cases.fold(VariantLayoutBuilder::new(), |layout, t| layout.case(t.map(ValType::layout))).finish()
}

/// Despecialization
///
/// A variant, enum, option or result seen as what each of them is: cases, some with a payload.
#[derive(Clone, Copy)]
pub(crate) struct Cases<'a> {
    pub(crate) layout: VariantLayout,
    kind: CasesKind<'a>,
}

#[derive(Clone, Copy)]
enum CasesKind<'a> {
    Variant(&'a [CaseType]),
    Enum(u32),
    Option(&'a ValType),
    Result(&'a ResultDef),
}

impl<'a> Cases<'a> {
    pub(crate) fn of_variant(t: &'a VariantType) -> Cases<'a> {
        Cases { layout: t.0.def.layout, kind: CasesKind::Variant(&t.0.def.cases) }
    }

    pub(crate) fn of_enum(t: &'a EnumType) -> Cases<'a> {
        Cases { layout: t.0.def.layout, kind: CasesKind::Enum(count(t.0.def.labels.len())) }
    }

    pub(crate) fn of_option(t: &'a OptionType) -> Cases<'a> {
        Cases { layout: t.0.def.layout, kind: CasesKind::Option(&t.0.def.t) }
    }

    pub(crate) fn of_result(t: &'a ResultType) -> Cases<'a> {
        Cases { layout: t.0.def.layout, kind: CasesKind::Result(&t.0.def) }
    }

    pub(crate) fn len(&self) -> u32 {
        match self.kind {
            CasesKind::Variant(cases) => count(cases.len()),
            CasesKind::Enum(n) => n,
            CasesKind::Option(_) | CasesKind::Result(_) => 2,
        }
    }

    /// The payload type of case `index`, `None` where there is no such case.
    pub(crate) fn payload(&self, index: u32) -> Option<Option<&'a ValType>> {
        match self.kind {
            CasesKind::Variant(cases) => cases.get(index as usize).map(|case| case.t.as_ref()),
            CasesKind::Enum(n) => (index < n).then_some(None),
            CasesKind::Option(t) => [None, Some(t)].get(index as usize).copied(),
            CasesKind::Result(def) => [def.ok.as_ref(), def.error.as_ref()].get(index as usize).copied(),
        }
    }

    /// The payload types of all cases, in order.
    pub(crate) fn payloads(self) -> impl Iterator<Item = &'a ValType> {
        // An enum has no payloads, and may have very many cases.
        let cases = if let CasesKind::Enum(_) = self.kind { 0 } else { self.len() };
        (0..cases).filter_map(move |index| self.payload(index).flatten())
    }
}

impl fmt::Debug for ValType {
    /// As WIT would spell it, labels included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = |f: &mut fmt::Formatter<'_>, t: Option<&ValType>| match t {
            Some(t) => write!(f, "{t:?}"),
            None => f.write_str("_"),
        };
        match self {
            ValType::List(t) => match t.length() {
                None => write!(f, "list<{:?}>", t.element()),
                Some(n) => write!(f, "list<{:?}, {n}>", t.element()),
            },
            ValType::Record(t) => {
                f.write_str("record {")?;
                for (i, field) in t.fields().iter().enumerate() {
                    write!(f, "{} {}: {:?}", if i > 0 { "," } else { "" }, field.label, field.t)?;
                }
                f.write_str(" }")
            }
            ValType::Tuple(t) => {
                f.write_str("tuple<")?;
                for (i, t) in t.types().iter().enumerate() {
                    write!(f, "{}{t:?}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(">")
            }
            ValType::Variant(t) => {
                f.write_str("variant {")?;
                for (i, case) in t.cases().iter().enumerate() {
                    write!(f, "{} {}", if i > 0 { "," } else { "" }, case.label)?;
                    if let Some(t) = &case.t {
                        write!(f, "({t:?})")?;
                    }
                }
                f.write_str(" }")
            }
            ValType::Enum(t) => write!(f, "enum {{ {} }}", join_labels(t.labels())),
            ValType::Flags(t) => write!(f, "flags {{ {} }}", join_labels(t.labels())),
            ValType::Option(t) => write!(f, "option<{:?}>", t.some()),
            ValType::Result(t) => {
                f.write_str("result<")?;
                payload(f, t.ok())?;
                f.write_str(", ")?;
                payload(f, t.error())?;
                f.write_str(">")
            }
            ValType::Map(t) => write!(f, "map<{:?}, {:?}>", t.key(), t.value()),
            ValType::Own(rt) => write!(f, "own<{rt:?}>"),
            ValType::Borrow(rt) => write!(f, "borrow<{rt:?}>"),
            scalar => f.write_str(scalar.kind()),
        }
    }
}

fn join_labels(labels: &[Arc<str>]) -> String {
    let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
    labels.join(", ")
}

/// The type of a component function of the 0.2 level: named parameters, at most one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuncType(Arc<FuncDef>);

#[derive(Debug, PartialEq, Eq)]
struct FuncDef {
    names: Box<[Arc<str>]>,
    params: Box<[ValType]>,
    result: Option<ValType>,
}

impl FuncType {
    /// A function of these parameters and this result.
    pub fn new<L: Into<Arc<str>>>(
        params: impl IntoIterator<Item = (L, ValType)>,
        result: Option<ValType>,
    ) -> FuncType {
        let (names, params): (Vec<Arc<str>>, Vec<ValType>) =
            params.into_iter().map(|(name, t)| (name.into(), t)).unzip();
        FuncType(Arc::new(FuncDef { names: names.into(), params: params.into(), result }))
    }

    /// The names of the parameters.
    pub fn param_names(&self) -> &[Arc<str>] {
        &self.0.names
    }

    /// The types of the parameters (`param_types`).
    pub fn param_types(&self) -> &[ValType] {
        &self.0.params
    }

    /// The type of the result, if there is one.
    pub fn result(&self) -> Option<&ValType> {
        self.0.result.as_ref()
    }

    /// The type of the result as a list of none or one (`result_type`).
    pub fn result_types(&self) -> &[ValType] {
        self.0.result.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    #[test]
    fn a_type_that_names_one_part_a_million_times_is_refused_or_cheap() {
        // list<tuple<t, t>> doubles the expanded size at each level while the bytes stay at 16.
        let mut t = ValType::U8;
        let mut levels = 0;
        let error = loop {
            match ValType::tuple([t.clone(), t.clone()]).and_then(ValType::list) {
                Ok(next) => t = next,
                Err(error) => break error,
            }
            levels += 1;
        };
        assert_eq!(error, TypeError::TooManyParts);
        assert!((15..25).contains(&levels), "{levels}");
    }

    #[test]
    fn a_type_that_nests_too_deep_is_refused() {
        let mut t = ValType::U8;
        for _ in 1..MAX_TYPE_DEPTH {
            t = ValType::option(t).unwrap();
        }
        assert_eq!(ValType::option(t.clone()), Err(TypeError::TooDeep));
        assert_eq!(ValType::list(t), Err(TypeError::TooDeep));
    }

    #[test]
    fn a_type_of_2_to_the_28_bytes_is_refused() {
        let list = |n| ValType::fixed_length_list(ValType::U8, n);
        assert!(list((1 << 28) - 1).is_ok());
        assert_eq!(list(1 << 28), Err(TypeError::TooLarge));
        let half = list(1 << 27).unwrap();
        assert_eq!(ValType::tuple([half.clone(), half]), Err(TypeError::TooLarge));
    }

    #[test]
    fn types_without_parts_are_refused() {
        assert_eq!(ValType::tuple([]), Err(TypeError::Empty));
        assert_eq!(ValType::record::<&str>([]), Err(TypeError::Empty));
        assert_eq!(ValType::variant::<&str>([]), Err(TypeError::Empty));
        assert_eq!(ValType::enumeration::<&str>([]), Err(TypeError::Empty));
        assert_eq!(ValType::flags::<&str>([]), Err(TypeError::Empty));
        assert_eq!(ValType::fixed_length_list(ValType::U8, 0), Err(TypeError::Empty));
        assert_eq!(ValType::flags(vec!["x"; 33]), Err(TypeError::TooManyFlags));
    }

    #[test]
    fn equality_is_structural_and_labels_count() {
        let record = |label: &str| ValType::record([(label, ValType::U8)]).unwrap();
        assert_eq!(record("a"), record("a"));
        assert_ne!(record("a"), record("b"));
        assert_ne!(record("a"), ValType::tuple([ValType::U8]).unwrap());
    }

    #[test]
    fn matching_asks_which_resources_are_one() {
        let by_id = ValType::option(ValType::Own(ResourceType::Id(7))).unwrap();
        let by_type = ValType::option(ValType::Own(ResourceType::host::<str>())).unwrap();
        assert!(!by_id.matches(&by_type, &mut |a, b| a == b));
        assert!(
            by_id.matches(&by_type, &mut |a, b| a == ResourceType::Id(7) && b == ResourceType::host::<str>())
        );
        let borrow = ValType::option(ValType::Borrow(ResourceType::Id(7))).unwrap();
        assert!(!by_id.matches(&borrow, &mut |_, _| true));
        assert!(borrow.contains_borrow() && !by_id.contains_borrow());
    }

    #[test]
    fn types_print_as_wit() {
        let t = ValType::record([
            ("a", ValType::list(ValType::U8).unwrap()),
            ("b", ValType::result(None, Some(ValType::String)).unwrap()),
        ]);
        assert_eq!(format!("{:?}", t.unwrap()), "record { a: list<u8>, b: result<_, string> }");
    }
}
