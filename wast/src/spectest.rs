//! The host module `spectest` that core scripts import from (the reference interpreter's README, "Spectest host module").

use mini_wasm_runtime::types::{FuncType, GlobalType, Limits, MemoryType, RefType, TableType, ValType};
use mini_wasm_runtime::val::Val;
use mini_wasm_runtime::{Caller, Extern, Func, Global, Memory, Result, Store, Table};

/// Names and items of the module, made in `store`.
pub(crate) fn items(store: &mut Store<()>) -> Result<Vec<(&'static str, Extern)>> {
    use ValType::{F32, F64, I32, I64};
    let mut items: Vec<(&'static str, Extern)> = Vec::new();

    // What the reference interpreter prints, ours throws away: a suite's output would drown the report.
    let prints: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, params) in prints {
        let ty = FuncType::new(params.iter().copied(), []);
        items.push((name, Func::new(&mut *store, ty, |_: Caller<'_, ()>, _, _| Ok(())).into()));
    }

    let globals = [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::from(666.6f32)),
        ("global_f64", Val::from(666.6f64)),
    ];
    for (name, value) in globals {
        let ty = GlobalType { content: value.ty(), mutable: false };
        items.push((name, Global::new(&mut *store, ty, value)?.into()));
    }

    let limits = Limits { min: 10, max: Some(20) };
    for (name, table64) in [("table", false), ("table64", true)] {
        let table = TableType { element: RefType::FUNCREF, limits, table64 };
        items.push((name, Table::new(&mut *store, table, Val::FuncRef(None))?.into()));
    }
    let limits = Limits { min: 1, max: Some(2) };
    let memory = MemoryType { limits, memory64: false, shared: false, page_size_log2: 16 };
    items.push(("memory", Memory::new(&mut *store, memory)?.into()));
    let shared = MemoryType { shared: true, ..memory };
    items.push(("shared_memory", Memory::new(&mut *store, shared)?.into()));
    Ok(items)
}
