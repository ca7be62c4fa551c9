//! Types of component functions as WIT writes them (WIT.md "Types").
//!
//! A component's types have no names inside; the names by which its interface exports them are put back here. Two types that
//! are built alike bear the name of the first.

use mini_wasm_canonical_abi::{FuncType, ResourceType, ValType};
use mini_wasm_runtime::component::{Component, ExternType, TypeBound};
use std::cell::Cell;
use std::fmt::Write;

/// The names that types have in an interface.
pub(crate) struct Names<'c> {
    component: &'c Component,
    types: Vec<(&'c str, &'c ValType)>,
    /// How many more parts of types are written. A type may name one part a million times.
    parts_left: Cell<u32>,
}

/// More than anyone reads.
const MAX_PARTS: u32 = 2000;

impl<'c> Names<'c> {
    /// The names that an exported interface gives, or the component itself.
    pub(crate) fn of(component: &'c Component, interface: Option<&str>) -> Names<'c> {
        let exports = match interface {
            None => component.exports(),
            Some(interface) => component
                .exports()
                .iter()
                .find_map(|(name, ty)| match ty {
                    ExternType::Instance(instance) if **name == *interface => Some(&*instance.exports),
                    _ => None,
                })
                .unwrap_or_default(),
        };
        let named = |(name, ty): &'c (std::sync::Arc<str>, ExternType)| match ty {
            ExternType::Type(TypeBound::Value(ty)) if is_nominal(ty) => Some((&**name, ty)),
            _ => None,
        };
        let types = exports.iter().filter_map(named).collect();
        Names { component, types, parts_left: Cell::new(MAX_PARTS) }
    }

    /// `func(a: u32, b: shape) -> result<f64, string>`
    pub(crate) fn func(&self, ty: &FuncType) -> String {
        let mut text = String::from("func(");
        for (i, (name, ty)) in ty.param_names().iter().zip(ty.param_types()).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{name}: {}", self.val(ty));
        }
        text.push(')');
        if let Some(result) = ty.result() {
            let _ = write!(text, " -> {}", self.val(result));
        }
        text
    }

    /// A type by its name if it has one.
    pub(crate) fn val(&self, ty: &ValType) -> String {
        match (self.parts_left.get().checked_sub(1), self.name(ty)) {
            (None, _) => "...".into(),
            (Some(left), name) => {
                self.parts_left.set(left);
                name.map_or_else(|| self.definition(ty), str::to_owned)
            }
        }
    }

    /// What a resource is called, `handle` if it has no name.
    pub(crate) fn resource(&self, rt: ResourceType) -> &str {
        self.component.resource_name(rt).unwrap_or("handle")
    }

    /// The named types that a function speaks of, those in them included, each with its definition: `enum color { red, green }`.
    pub(crate) fn definitions(&self, ty: &FuncType) -> Vec<String> {
        let mut found: Vec<(&str, &ValType)> = Vec::new();
        let mut next: Vec<&ValType> = ty.param_types().iter().chain(ty.result()).rev().collect();
        for _ in 0..MAX_PARTS {
            let Some(ty) = next.pop() else { break };
            if let Some(name) = self.name(ty) {
                if found.iter().any(|(known, _)| *known == name) {
                    continue;
                }
                found.push((name, ty));
            }
            next.extend(parts(ty).into_iter().rev());
        }
        let define = |(name, ty): (&str, &ValType)| {
            let text = self.definition(ty);
            match text.split_once(' ') {
                Some((keyword, body)) => format!("{keyword} {name} {body}"),
                None => text,
            }
        };
        found.into_iter().map(define).collect()
    }

    fn name(&self, ty: &ValType) -> Option<&'c str> {
        if !is_nominal(ty) {
            return None;
        }
        self.types.iter().find(|(_, known)| *known == ty).map(|(name, _)| *name)
    }

    /// How a type is built; its parts by their names.
    fn definition(&self, ty: &ValType) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        let opt = |ty: Option<&ValType>| ty.map_or_else(|| "_".into(), |ty| self.val(ty));
        match ty {
            ValType::List(ty) => match ty.length() {
                None => format!("list<{}>", self.val(ty.element())),
                Some(length) => format!("list<{}, {length}>", self.val(ty.element())),
            },
            ValType::Record(ty) => {
                let fields =
                    ty.fields().iter().map(|field| format!("{}: {}", field.label, self.val(&field.t)));
                format!("record {{ {} }}", list(fields.collect()))
            }
            ValType::Tuple(ty) => {
                format!("tuple<{}>", list(ty.types().iter().map(|ty| self.val(ty)).collect()))
            }
            ValType::Variant(ty) => {
                let cases = ty.cases().iter().map(|case| match &case.t {
                    Some(ty) => format!("{}({})", case.label, self.val(ty)),
                    None => case.label.to_string(),
                });
                format!("variant {{ {} }}", list(cases.collect()))
            }
            ValType::Enum(ty) => format!("enum {{ {} }}", ty.labels().join(", ")),
            ValType::Option(ty) => format!("option<{}>", self.val(ty.some())),
            ValType::Result(ty) => match (ty.ok(), ty.error()) {
                (None, None) => "result".into(),
                (ok, None) => format!("result<{}>", opt(ok)),
                (ok, error) => format!("result<{}, {}>", opt(ok), opt(error)),
            },
            ValType::Map(ty) => format!("map<{}, {}>", self.val(ty.key()), self.val(ty.value())),
            ValType::Flags(ty) => format!("flags {{ {} }}", ty.labels().join(", ")),
            ValType::Own(rt) => self.resource(*rt).into(),
            ValType::Borrow(rt) => format!("borrow<{}>", self.resource(*rt)),
            primitive => primitive.kind().into(),
        }
    }
}

/// WIT has these only with a name.
fn is_nominal(ty: &ValType) -> bool {
    matches!(ty, ValType::Record(_) | ValType::Variant(_) | ValType::Enum(_) | ValType::Flags(_))
}

/// What a type is made of, in order.
fn parts(ty: &ValType) -> Vec<&ValType> {
    match ty {
        ValType::List(ty) => vec![ty.element()],
        ValType::Record(ty) => ty.fields().iter().map(|field| &field.t).collect(),
        ValType::Tuple(ty) => ty.types().iter().collect(),
        ValType::Variant(ty) => ty.cases().iter().filter_map(|case| case.t.as_ref()).collect(),
        ValType::Option(ty) => vec![ty.some()],
        ValType::Result(ty) => ty.ok().into_iter().chain(ty.error()).collect(),
        ValType::Map(ty) => vec![ty.key(), ty.value()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_runtime::Engine;

    fn component(text: &str) -> Component {
        let wasm = wat::parse_str(text).expect("text");
        Component::new(&Engine::new(mini_wasm_runtime::Config::default()), wasm).expect("a component")
    }

    fn func(component: &Component) -> &FuncType {
        let found = component.exports().iter().find_map(|(_, ty)| match ty {
            ExternType::Func(func) => Some(func.ty()),
            _ => None,
        });
        found.expect("a function")
    }

    /// A component that exports a function of these types; `types` come before it.
    fn exporting(types: &str, signature: &str) -> Component {
        component(&format!(
            r#"(component
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                    (func (export "f") (param i32) (result i32) i32.const 0))
                (core instance $i (instantiate $m))
                {types}
                (func (export "f") {signature}
                    (canon lift (core func $i "f") (memory (core memory $i "memory"))
                        (realloc (core func $i "realloc")))))"#
        ))
    }

    #[test]
    fn a_function_is_written_as_in_wit_with_its_types_by_name() {
        let component = exporting(
            r#"(type $c (enum "red" "green"))
               (export $color "color" (type $c))
               (type $p (record (field "of" (option $color)) (field "rest" (result (list u8) (error string)))))
               (export $pixel "pixel" (type $p))"#,
            r#"(param "p" $color) (result $pixel)"#,
        );
        let names = Names::of(&component, None);
        assert_eq!(names.func(func(&component)), "func(p: color) -> pixel");
        assert_eq!(
            names.definitions(func(&component)),
            [
                "enum color { red, green }",
                "record pixel { of: option<color>, rest: result<list<u8>, string> }"
            ]
        );
    }

    #[test]
    fn a_type_that_names_one_part_a_million_times_is_cut_short() {
        let mut types = String::from("(type $t0 (tuple u8 u8))");
        for i in 1..12 {
            types += &format!("(type $t{i} (tuple $t{0} $t{0} $t{0}))", i - 1);
        }
        let component = exporting(&types, r#"(param "p" $t11) (result u32)"#);
        let text = Names::of(&component, None).func(func(&component));
        assert!(text.len() < 20_000 && text.contains("..."), "{} bytes", text.len());
    }
}
