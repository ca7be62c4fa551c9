//! Component values as WAVE, the Component Model's text for values (crate wasm-wave has its grammar): what `run --invoke` and
//! `repl` read and print.
//!
//! A handle is no value of WAVE. Where one is held (`repl`), it has a name, such as `counter-1`, which stands where an enum's
//! label would.

use crate::quote;
use mini_wasm_canonical_abi::{Resource, Val, ValType};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue, WasmValueError};

/// Handles that are held, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handles(Rc<BTreeMap<String, Resource>>);

impl Handles {
    /// Names a handle that was given to us, after its resource.
    pub(crate) fn keep(&mut self, resource_name: &str, resource: Resource) {
        let held = Rc::make_mut(&mut self.0);
        let mut number = 1;
        let free = loop {
            let name = format!("{resource_name}-{number}");
            if !held.contains_key(&name) {
                break name;
            }
            number += 1;
        };
        held.insert(free, resource);
    }

    /// Gives a handle up.
    pub(crate) fn take(&mut self, name: &str) -> Option<Resource> {
        Rc::make_mut(&mut self.0).remove(name)
    }

    /// Gives up what was handed over to the guest.
    pub(crate) fn forget(&mut self, resource: Resource) {
        Rc::make_mut(&mut self.0).retain(|_, held| *held != resource);
    }

    /// Whether none is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn name(&self, resource: Resource) -> Option<&str> {
        self.0.iter().find(|(_, held)| **held == resource).map(|(name, _)| &**name)
    }
}

/// Calls `found` with each handle in a value, its type and whether it is owned.
pub(crate) fn for_each_handle(ty: &ValType, val: &Val, found: &mut dyn FnMut(&ValType, Resource, bool)) {
    let mut each = |ty: &ValType, vals: &[Val]| vals.iter().for_each(|val| for_each_handle(ty, val, found));
    match (ty, val) {
        (ValType::Own(_), Val::Own(resource)) => found(ty, *resource, true),
        (ValType::Borrow(_), Val::Borrow(resource)) => found(ty, *resource, false),
        // Numbers are not stored as values: there is nothing in them.
        (ValType::List(list), Val::List(mini_wasm_canonical_abi::List::Vals(vals))) => {
            each(list.element(), vals);
        }
        (ValType::Record(record), Val::Record(vals)) => {
            for (field, val) in record.fields().iter().zip(vals) {
                for_each_handle(&field.t, val, found);
            }
        }
        (ValType::Tuple(tuple), Val::Tuple(vals)) => {
            for (ty, val) in tuple.types().iter().zip(vals) {
                for_each_handle(ty, val, found);
            }
        }
        (ValType::Variant(variant), Val::Variant { case, payload: Some(val) }) => {
            if let Some(ty) = variant.cases().get(*case as usize).and_then(|case| case.t.as_ref()) {
                for_each_handle(ty, val, found);
            }
        }
        (ValType::Option(option), Val::Option(Some(val))) => for_each_handle(option.some(), val, found),
        (ValType::Result(result), Val::Result(val)) => {
            let (ty, val) = match val {
                Ok(val) => (result.ok(), val),
                Err(val) => (result.error(), val),
            };
            if let (Some(ty), Some(val)) = (ty, val) {
                for_each_handle(ty, val, found);
            }
        }
        (ValType::Map(map), Val::Map(entries)) => {
            for (key, val) in entries {
                for_each_handle(map.key(), key, found);
                for_each_handle(map.value(), val, found);
            }
        }
        _ => {}
    }
}

/// Whether values of a type may hold handles.
pub(crate) fn has_handles(ty: &ValType) -> bool {
    match ty {
        ValType::Own(_) | ValType::Borrow(_) => true,
        ValType::List(list) => has_handles(list.element()),
        ValType::Record(record) => record.fields().iter().any(|field| has_handles(&field.t)),
        ValType::Tuple(tuple) => tuple.types().iter().any(has_handles),
        ValType::Variant(variant) => {
            variant.cases().iter().filter_map(|case| case.t.as_ref()).any(has_handles)
        }
        ValType::Option(option) => has_handles(option.some()),
        ValType::Result(result) => result.ok().into_iter().chain(result.error()).any(has_handles),
        ValType::Map(map) => has_handles(map.key()) || has_handles(map.value()),
        _ => false,
    }
}

/// Writes a value. Its handles are among `handles`.
pub(crate) fn format(ty: &ValType, val: &Val, handles: &Handles) -> String {
    let value = Value { ty: Type::new(ty, handles), val: val.clone() };
    // Types without a text in WAVE are the ones that no value of which comes out of a call (futures, streams).
    wasm_wave::to_string(&value).unwrap_or_else(|error| format!("({error})"))
}

/// More than any type nests; the parser goes down as deep as the text does.
const MAX_NESTING: u32 = 300;

/// Whether brackets nest deeper than [`MAX_NESTING`], those in strings and characters left out.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut quote, mut escaped) = (0u32, None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > MAX_NESTING {
            return true;
        }
    }
    false
}

/// Reads the arguments of a call, `(1, "two")`; the error says what is wrong, and where in the text.
pub(crate) fn arguments(text: &str, types: &[ValType], handles: &Handles) -> Result<Vec<Val>, String> {
    if is_too_deep(text) {
        return Err(format!("they nest deeper than {MAX_NESTING} levels"));
    }
    // The grammar has calls, not lists of arguments.
    let call = format!("f{text}");
    let types: Vec<Type> = types.iter().map(|ty| Type::new(ty, handles)).collect();
    let read = wasm_wave::untyped::UntypedFuncCall::parse(&call)
        .and_then(|call| call.to_wasm_params::<Value>(types.iter()));
    match read {
        Ok(values) => Ok(values.into_iter().map(|value| value.val).collect()),
        Err(error) => {
            let what = match (std::error::Error::source(&error), error.detail()) {
                (Some(source), _) => source.to_string(),
                (None, Some(detail)) => format!("{}: {detail}", error.kind()),
                (None, None) => error.kind().to_string(),
            };
            let span = error.span();
            let column = |at: usize| call.get(..at).map_or(0, |before| before.chars().count()).max(1) - 1;
            let (from, to) = (column(span.start), column(span.end));
            let what = quote::brief(&what);
            Err(match text.contains('\n') {
                true => what,
                false => format!("{what}\n{}", quote::marked(text, from, to)),
            })
        }
    }
}

/// A type, with the handles that values of it may name.
#[derive(Clone, Debug)]
struct Type {
    ty: ValType,
    handles: Handles,
}

impl Type {
    fn new(ty: &ValType, handles: &Handles) -> Type {
        Type { ty: ty.clone(), handles: handles.clone() }
    }

    fn part(&self, ty: &ValType) -> Type {
        Type::new(ty, &self.handles)
    }
}

/// A value and its type.
#[derive(Clone, Debug)]
struct Value {
    ty: Type,
    val: Val,
}

impl Value {
    fn of(ty: &Type, val: Val) -> Value {
        Value { ty: ty.clone(), val }
    }

    fn part(&self, ty: &ValType, val: &Val) -> Value {
        Value { ty: self.ty.part(ty), val: val.clone() }
    }

    fn parts<'v>(
        &'v self,
        types: impl Iterator<Item = &'v ValType> + 'v,
        vals: &'v [Val],
    ) -> impl Iterator<Item = Cow<'v, Value>> + 'v {
        types.zip(vals).map(|(ty, val)| Cow::Owned(self.part(ty, val)))
    }
}

impl WasmType for Type {
    fn kind(&self) -> WasmTypeKind {
        match &self.ty {
            ValType::Bool => WasmTypeKind::Bool,
            ValType::S8 => WasmTypeKind::S8,
            ValType::U8 => WasmTypeKind::U8,
            ValType::S16 => WasmTypeKind::S16,
            ValType::U16 => WasmTypeKind::U16,
            ValType::S32 => WasmTypeKind::S32,
            ValType::U32 => WasmTypeKind::U32,
            ValType::S64 => WasmTypeKind::S64,
            ValType::U64 => WasmTypeKind::U64,
            ValType::F32 => WasmTypeKind::F32,
            ValType::F64 => WasmTypeKind::F64,
            ValType::Char => WasmTypeKind::Char,
            ValType::String => WasmTypeKind::String,
            // Also one of fixed length, which the crate writes but does not read: `make_list` counts.
            ValType::List(_) => WasmTypeKind::List,
            ValType::Record(_) => WasmTypeKind::Record,
            ValType::Tuple(_) => WasmTypeKind::Tuple,
            ValType::Variant(_) => WasmTypeKind::Variant,
            // A handle stands where a label would.
            ValType::Enum(_) | ValType::Own(_) | ValType::Borrow(_) => WasmTypeKind::Enum,
            ValType::Option(_) => WasmTypeKind::Option,
            ValType::Result(_) => WasmTypeKind::Result,
            ValType::Map(_) => WasmTypeKind::Map,
            ValType::Flags(_) => WasmTypeKind::Flags,
            #[allow(unreachable_patterns, reason = "kinds of values that are yet to come")]
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Type> {
        let ValType::List(list) = &self.ty else { return None };
        Some(self.part(list.element()))
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Type)> + '_> {
        let ValType::Record(record) = &self.ty else { return Box::new(std::iter::empty()) };
        Box::new(record.fields().iter().map(|field| (Cow::Borrowed(&*field.label), self.part(&field.t))))
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Type> + '_> {
        let ValType::Tuple(tuple) = &self.ty else { return Box::new(std::iter::empty()) };
        Box::new(tuple.types().iter().map(|ty| self.part(ty)))
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Type>)> + '_> {
        let ValType::Variant(variant) = &self.ty else { return Box::new(std::iter::empty()) };
        let case = |case: &mini_wasm_canonical_abi::types::CaseType| case.t.as_ref().map(|ty| self.part(ty));
        Box::new(variant.cases().iter().map(move |c| (Cow::Owned(c.label.to_string()), case(c))))
    }

    fn enum_cases(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match &self.ty {
            ValType::Enum(labels) => Box::new(labels.labels().iter().map(|label| Cow::Borrowed(&**label))),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn option_some_type(&self) -> Option<Type> {
        let ValType::Option(option) = &self.ty else { return None };
        Some(self.part(option.some()))
    }

    fn result_types(&self) -> Option<(Option<Type>, Option<Type>)> {
        let ValType::Result(result) = &self.ty else { return None };
        let part = |ty: Option<&ValType>| ty.map(|ty| self.part(ty));
        Some((part(result.ok()), part(result.error())))
    }

    fn flags_names(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let ValType::Flags(flags) = &self.ty else { return Box::new(std::iter::empty()) };
        Box::new(flags.labels().iter().map(|label| Cow::Borrowed(&**label)))
    }

    fn map_key_value_types(&self) -> Option<(Type, Type)> {
        let ValType::Map(map) = &self.ty else { return None };
        Some((self.part(map.key()), self.part(map.value())))
    }
}

/// `make_u8`, `unwrap_u8` and their like.
macro_rules! leaves {
    ($($make:ident $unwrap:ident $kind:ident $ty:ty),* $(,)?) => {
        $(
            fn $make(val: $ty) -> Value {
                Value { ty: Type { ty: ValType::$kind, handles: Handles::default() }, val: Val::$kind(val) }
            }

            fn $unwrap(&self) -> $ty {
                match self.val {
                    Val::$kind(val) => val,
                    _ => mismatch(),
                }
            }
        )*
    };
}

/// The crate asks a value only for what its kind is.
#[cold]
fn mismatch() -> ! {
    unreachable!("crash: a value was taken for one of another kind")
}

/// The label of the part `index` of a type.
fn label<T>(parts: &[T], index: u32, label: impl Fn(&T) -> &str) -> Cow<'_, str> {
    match parts.get(index as usize) {
        Some(part) => Cow::Owned(label(part).to_owned()),
        None => mismatch(),
    }
}

impl WasmValue for Value {
    type Type = Type;

    fn kind(&self) -> WasmTypeKind {
        self.ty.kind()
    }

    leaves! {
        make_bool unwrap_bool Bool bool,
        make_s8 unwrap_s8 S8 i8,
        make_u8 unwrap_u8 U8 u8,
        make_s16 unwrap_s16 S16 i16,
        make_u16 unwrap_u16 U16 u16,
        make_s32 unwrap_s32 S32 i32,
        make_u32 unwrap_u32 U32 u32,
        make_s64 unwrap_s64 S64 i64,
        make_u64 unwrap_u64 U64 u64,
        make_f32 unwrap_f32 F32 f32,
        make_f64 unwrap_f64 F64 f64,
        make_char unwrap_char Char char,
    }

    fn make_string(val: Cow<str>) -> Value {
        let ty = Type { ty: ValType::String, handles: Handles::default() };
        Value { ty, val: Val::String(val.into_owned().into()) }
    }

    fn make_list(ty: &Type, vals: impl IntoIterator<Item = Value>) -> Result<Value, WasmValueError> {
        let vals: Vec<Val> = vals.into_iter().map(|value| value.val).collect();
        if let ValType::List(list) = &ty.ty
            && let Some(length) = list.length()
            && vals.len() != length as usize
        {
            let text = format!("{length} elements are wanted, {} are there", vals.len());
            return Err(WasmValueError::Other(text));
        }
        Ok(Value::of(ty, Val::List(vals.into())))
    }

    fn make_record<'a>(
        ty: &Type,
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Value, WasmValueError> {
        let ValType::Record(record) = &ty.ty else { mismatch() };
        let mut given: BTreeMap<&str, Val> =
            fields.into_iter().map(|(name, value)| (name, value.val)).collect();
        let vals = record.fields().iter().map(|field| {
            given.remove(&*field.label).ok_or_else(|| WasmValueError::MissingField(field.label.to_string()))
        });
        Ok(Value::of(ty, Val::Record(vals.collect::<Result<_, _>>()?)))
    }

    fn make_tuple(ty: &Type, vals: impl IntoIterator<Item = Value>) -> Result<Value, WasmValueError> {
        Ok(Value::of(ty, Val::Tuple(vals.into_iter().map(|value| value.val).collect())))
    }

    fn make_variant(ty: &Type, case: &str, val: Option<Value>) -> Result<Value, WasmValueError> {
        let ValType::Variant(variant) = &ty.ty else { mismatch() };
        let index = variant.cases().iter().position(|known| *known.label == *case);
        let index = index.ok_or_else(|| WasmValueError::UnknownCase(case.into()))?;
        let payload = val.map(|value| Box::new(value.val));
        Ok(Value::of(ty, Val::Variant { case: index as u32, payload }))
    }

    fn make_enum(ty: &Type, case: &str) -> Result<Value, WasmValueError> {
        let val = match &ty.ty {
            ValType::Enum(labels) => {
                let index = labels.labels().iter().position(|known| **known == *case);
                Val::Enum(index.ok_or_else(|| WasmValueError::UnknownCase(case.into()))? as u32)
            }
            handle => {
                let resource = ty.handles.0.get(case).copied();
                let resource =
                    resource.ok_or_else(|| WasmValueError::Other(format!("no handle is called {case:?}")))?;
                match handle {
                    ValType::Own(_) => Val::Own(resource),
                    _ => Val::Borrow(resource),
                }
            }
        };
        Ok(Value::of(ty, val))
    }

    fn make_option(ty: &Type, val: Option<Value>) -> Result<Value, WasmValueError> {
        Ok(Value::of(ty, Val::Option(val.map(|value| Box::new(value.val)))))
    }

    fn make_result(ty: &Type, val: Result<Option<Value>, Option<Value>>) -> Result<Value, WasmValueError> {
        let payload = |value: Option<Value>| value.map(|value| Box::new(value.val));
        Ok(Value::of(ty, Val::Result(val.map(payload).map_err(payload))))
    }

    fn make_flags<'a>(ty: &Type, names: impl IntoIterator<Item = &'a str>) -> Result<Value, WasmValueError> {
        let ValType::Flags(flags) = &ty.ty else { mismatch() };
        let mut bits = 0;
        for name in names {
            let bit = flags.labels().iter().position(|known| **known == *name);
            bits |= 1 << bit.ok_or_else(|| WasmValueError::Other(format!("no flag is called {name:?}")))?;
        }
        Ok(Value::of(ty, Val::Flags(bits)))
    }

    fn make_map(
        ty: &Type,
        entries: impl IntoIterator<Item = (Value, Value)>,
    ) -> Result<Value, WasmValueError> {
        let entries = entries.into_iter().map(|(key, value)| (key.val, value.val));
        Ok(Value::of(ty, Val::Map(entries.collect())))
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        let Val::String(text) = &self.val else { mismatch() };
        Cow::Borrowed(text.as_str())
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Value>> + '_> {
        let (ValType::List(ty), Val::List(list)) = (&self.ty.ty, &self.val) else { mismatch() };
        let ty = self.ty.part(ty.element());
        let element = |index| list.element(index).unwrap_or_else(|| mismatch());
        Box::new((0..list.len()).map(move |index| Cow::Owned(Value::of(&ty, element(index)))))
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Value>)> + '_> {
        let (ValType::Record(ty), Val::Record(vals)) = (&self.ty.ty, &self.val) else { mismatch() };
        let labels = ty.fields().iter().map(|field| Cow::Borrowed(&*field.label));
        Box::new(labels.zip(self.parts(ty.fields().iter().map(|field| &field.t), vals)))
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Value>> + '_> {
        let (ValType::Tuple(ty), Val::Tuple(vals)) = (&self.ty.ty, &self.val) else { mismatch() };
        Box::new(self.parts(ty.types().iter(), vals))
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Value>>) {
        let (ValType::Variant(ty), Val::Variant { case, payload }) = (&self.ty.ty, &self.val) else {
            mismatch()
        };
        let name = label(ty.cases(), *case, |case| &case.label);
        let part = ty.cases().get(*case as usize).and_then(|case| case.t.as_ref()).zip(payload.as_deref());
        (name, part.map(|(ty, val)| Cow::Owned(self.part(ty, val))))
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match (&self.ty.ty, &self.val) {
            (ValType::Enum(ty), Val::Enum(case)) => label(ty.labels(), *case, |label| label),
            // One that nobody named is one that nobody holds.
            (_, Val::Own(resource) | Val::Borrow(resource)) => {
                Cow::Borrowed(self.ty.handles.name(*resource).unwrap_or("handle"))
            }
            _ => mismatch(),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Value>> {
        let (ValType::Option(ty), Val::Option(val)) = (&self.ty.ty, &self.val) else { mismatch() };
        val.as_deref().map(|val| Cow::Owned(self.part(ty.some(), val)))
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Value>>, Option<Cow<'_, Value>>> {
        let (ValType::Result(ty), Val::Result(val)) = (&self.ty.ty, &self.val) else { mismatch() };
        let part = |ty: Option<&ValType>, val: &Option<Box<Val>>| {
            ty.zip(val.as_deref()).map(|(ty, val)| Cow::Owned(self.part(ty, val)))
        };
        match val {
            Ok(val) => Ok(part(ty.ok(), val)),
            Err(val) => Err(part(ty.error(), val)),
        }
    }

    fn unwrap_flags(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let (ValType::Flags(ty), Val::Flags(bits)) = (&self.ty.ty, &self.val) else { mismatch() };
        let set = move |index: &usize| bits >> index & 1 == 1;
        let labels = ty.labels();
        Box::new((0..labels.len()).filter(set).map(|index| Cow::Borrowed(&*labels[index])))
    }

    fn unwrap_map(&self) -> Box<dyn Iterator<Item = (Cow<'_, Value>, Cow<'_, Value>)> + '_> {
        let (ValType::Map(ty), Val::Map(entries)) = (&self.ty.ty, &self.val) else { mismatch() };
        let part = |ty: &ValType, val: &Val| Cow::Owned(self.part(ty, val));
        Box::new(entries.iter().map(move |(key, val)| (part(ty.key(), key), part(ty.value(), val))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_canonical_abi::ResourceType;

    fn again(ty: &ValType, text: &str) -> String {
        let handles = Handles::default();
        let vals = arguments(&format!("({text})"), std::slice::from_ref(ty), &handles).unwrap();
        vals[0].check(ty).unwrap();
        format(ty, &vals[0], &handles)
    }

    fn wrong(ty: &ValType, text: &str) -> String {
        arguments(&format!("({text})"), std::slice::from_ref(ty), &Handles::default()).unwrap_err()
    }

    #[test]
    fn every_kind_of_value_is_read_and_written_back() {
        let point =
            ValType::record([("x", ValType::F64), ("label", ValType::option(ValType::String).unwrap())]);
        let point = point.unwrap();
        let shape = ValType::variant([("circle", Some(point.clone())), ("none", None)]).unwrap();
        for (ty, text) in [
            (ValType::Bool, "true"),
            (ValType::S8, "-128"),
            (ValType::U64, "18446744073709551615"),
            (ValType::F32, "-0.5"),
            (ValType::F64, "nan"),
            (ValType::F64, "-inf"),
            (ValType::Char, r"'\''"),
            (ValType::String, r#""a \"☃\"\n""#),
            (ValType::list(ValType::U8).unwrap(), "[1, 2, 3]"),
            (ValType::fixed_length_list(ValType::U8, 2).unwrap(), "[1, 2]"),
            (ValType::tuple([ValType::U8, ValType::String]).unwrap(), r#"(1, "")"#),
            (point.clone(), r#"{x: 1.5, label: some("p")}"#),
            (point.clone(), "{x: 1}"),
            (shape.clone(), "circle({x: 2})"),
            (shape.clone(), "%none"),
            (ValType::enumeration(["red", "ok"]).unwrap(), "%ok"),
            (ValType::option(ValType::U8).unwrap(), "none"),
            (ValType::result(None, Some(ValType::String)).unwrap(), r#"err("no")"#),
            (ValType::result(None, None).unwrap(), "ok"),
            (ValType::flags(["r", "w", "x"]).unwrap(), "{r, x}"),
            (ValType::map(ValType::String, ValType::U8).unwrap(), r#"{"a": 1, "b": 2}"#),
        ] {
            assert_eq!(again(&ty, text), text, "{ty:?}");
        }
    }

    #[test]
    fn an_error_points_at_what_is_wrong() {
        assert_eq!(
            wrong(&ValType::list(ValType::U8).unwrap(), "[1, 256]"),
            "invalid value\n  ([1, 256])\n       ^^^"
        );
        let colour = ValType::enumeration(["red"]).unwrap();
        assert!(wrong(&colour, "rad").contains(r#"unknown case "rad""#), "{}", wrong(&colour, "rad"));
        assert!(wrong(&ValType::fixed_length_list(ValType::U8, 2).unwrap(), "[1]").contains("2 elements"));
        assert!(wrong(&ValType::String, "☃").contains('^'));
    }

    #[test]
    fn the_number_of_arguments_is_checked_and_trailing_options_may_be_left_out() {
        let option = ValType::option(ValType::U8).unwrap();
        let read = |text: &str| arguments(text, &[ValType::U8, option.clone()], &Handles::default());
        assert_eq!(read("(1)").unwrap(), [Val::U8(1), Val::Option(None)]);
        assert_eq!(read("(1, 2)").unwrap().len(), 2);
        for wrong in ["()", "(1, 2, 3)", "(", "1", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn brackets_without_end_are_an_error() {
        for open in ["[", "(", "{", "some("] {
            assert!(wrong(&ValType::U8, &open.repeat(1_000_000)).contains("levels"), "{open}");
        }
        let text = "(".repeat(1_000);
        assert_eq!(again(&ValType::String, &format!("\"{text}\\\"[\"")), format!("\"{text}\\\"[\""));
    }

    #[test]
    fn a_handle_is_read_and_written_by_its_name() {
        let ty = ValType::Own(ResourceType::Id(0));
        let resource = |rep| Resource { rt: ResourceType::Id(7), rep };
        let mut handles = Handles::default();
        handles.keep("counter", resource(5));
        handles.keep("counter", resource(6));
        assert_eq!(handles.names().collect::<Vec<_>>(), ["counter-1", "counter-2"]);
        let read = |handles: &Handles, text| arguments(text, std::slice::from_ref(&ty), handles);
        assert_eq!(read(&handles, "(counter-2)").unwrap(), [Val::Own(resource(6))]);
        assert_eq!(format(&ty, &Val::Own(resource(6)), &handles), "counter-2");
        handles.forget(resource(6));
        assert!(read(&handles, "(counter-2)").unwrap_err().contains("no handle is called"));
        handles.keep("counter", resource(9));
        assert_eq!(handles.take("counter-2"), Some(resource(9)));
    }
}
