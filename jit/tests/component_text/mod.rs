//! Types of components in the text format, for tests that make components of random types.

use mini_wasm_runtime::component::abi::ValType;
use mini_wasm_runtime::component::abi::flatten::CoreType;
use std::fmt::Write;

/// The end of a `realloc` of `$old`, `$old-size`, `$align` and `$size`, with a local `$at`: what the global `$next` says is free.
pub(crate) const ALLOCATE: &str = "
    (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old-size) (local.get $size) (i32.lt_u (local.get $old-size) (local.get $size))))
    (local.get $at)";

/// Types as text; those that need names are imported, so that functions may name them.
#[derive(Default)]
pub(crate) struct Types {
    /// Definition and import of each named type, in order.
    pub(crate) rows: Vec<String>,
}

impl Types {
    /// The type, or the name that it is imported by.
    pub(crate) fn text(&mut self, ty: &ValType) -> String {
        let named = match ty {
            ValType::Bool => return "bool".into(),
            ValType::S8 => return "s8".into(),
            ValType::U8 => return "u8".into(),
            ValType::S16 => return "s16".into(),
            ValType::U16 => return "u16".into(),
            ValType::S32 => return "s32".into(),
            ValType::U32 => return "u32".into(),
            ValType::S64 => return "s64".into(),
            ValType::U64 => return "u64".into(),
            ValType::F32 => return "f32".into(),
            ValType::F64 => return "f64".into(),
            ValType::Char => return "char".into(),
            ValType::String => return "string".into(),
            ValType::List(list) => {
                let element = self.text(list.element());
                return match list.length() {
                    Some(length) => format!("(list {element} {length})"),
                    None => format!("(list {element})"),
                };
            }
            ValType::Map(map) => {
                let (key, value) = (self.text(map.key()), self.text(map.value()));
                return format!("(map {key} {value})");
            }
            ValType::Tuple(tuple) => {
                let types: Vec<String> = tuple.types().iter().map(|ty| self.text(ty)).collect();
                return format!("(tuple {})", types.join(" "));
            }
            ValType::Option(option) => return format!("(option {})", self.text(option.some())),
            ValType::Result(result) => {
                let ok = result.ok().map(|ty| self.text(ty)).unwrap_or_default();
                let error = result.error().map(|ty| format!("(error {})", self.text(ty)));
                return format!("(result {ok} {})", error.unwrap_or_default());
            }
            ValType::Record(record) => {
                let mut text = String::from("(record");
                for field in record.fields() {
                    let ty = self.text(&field.t);
                    let _ = write!(text, " (field \"{}\" {ty})", field.label);
                }
                text + ")"
            }
            ValType::Variant(variant) => {
                let mut text = String::from("(variant");
                for case in variant.cases() {
                    let ty = case.t.as_ref().map(|ty| self.text(ty)).unwrap_or_default();
                    let _ = write!(text, " (case \"{}\" {ty})", case.label);
                }
                text + ")"
            }
            ValType::Enum(labels) => {
                let labels: Vec<String> =
                    labels.labels().iter().map(|label| format!("\"{label}\"")).collect();
                format!("(enum {})", labels.join(" "))
            }
            ValType::Flags(flags) => {
                let labels: Vec<String> = flags.labels().iter().map(|label| format!("\"{label}\"")).collect();
                format!("(flags {})", labels.join(" "))
            }
            ValType::Own(_) | ValType::Borrow(_) => unreachable!("there are no handles among these types"),
        };
        let n = self.rows.len();
        self.rows.push(format!("(type $n{n}' {named}) (import \"n{n}\" (type $n{n} (eq $n{n}')))\n"));
        format!("$n{n}")
    }
}

/// The names of core types.
pub(crate) fn core(types: &[CoreType]) -> Vec<&'static str> {
    let name = |ty: &CoreType| match ty {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    };
    types.iter().map(name).collect()
}
