//! Types of imports and exports as the text format writes them (core specification 6.4 "Types").

use mini_wasm_runtime::types::{ExternType, FuncType, Limits};

/// `(func (param i32) (result i64))`, `(memory 1)`, and so on.
pub(crate) fn extern_type(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => format!("(func{})", signature(ty)),
        ExternType::Tag(ty) => format!("(tag{})", signature(ty)),
        ExternType::Memory(ty) => {
            let address = if ty.memory64 { " i64" } else { "" };
            let shared = if ty.shared { " shared" } else { "" };
            let page = if ty.page_size_log2 == 16 {
                String::new()
            } else {
                format!(" (pagesize {})", ty.page_size())
            };
            format!("(memory{address}{}{shared}{page})", limits(&ty.limits))
        }
        ExternType::Table(ty) => {
            let address = if ty.table64 { " i64" } else { "" };
            format!("(table{address}{} {})", limits(&ty.limits), ty.element)
        }
        ExternType::Global(ty) if ty.mutable => format!("(global (mut {}))", ty.content),
        ExternType::Global(ty) => format!("(global {})", ty.content),
    }
}

fn limits(limits: &Limits) -> String {
    let max = limits.max.map(|max| format!(" {max}")).unwrap_or_default();
    format!(" {}{max}", limits.min)
}

fn signature(ty: &FuncType) -> String {
    let list = |word: &str, types: &[mini_wasm_runtime::types::ValType]| match types {
        [] => String::new(),
        types => format!(" ({word} {})", types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    };
    list("param", ty.params()) + &list("result", ty.results())
}
