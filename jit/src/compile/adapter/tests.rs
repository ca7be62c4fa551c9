//! What is compiled, and for which architectures.

use super::*;
use crate::tables::Tables;
use mini_wasm_runtime::component::abi::ValType as ComponentValType;
use mini_wasm_runtime::component::abi::flatten::{CoreType, FlattenContext, flatten_functype};
use mini_wasm_runtime::component::abi::plan::Side;
use mini_wasm_runtime::component::abi::{FuncType as ComponentFuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use mini_wasm_runtime::component::abi::{ResourceType, StringEncoding};
use mini_wasm_runtime::types::ValType;
use std::time::Duration;

fn adapter(params: &[ComponentValType], result: ComponentValType, encoding: StringEncoding) -> AdapterInfo {
    let side = Side { string_encoding: encoding, ptr_type: PtrType::I32 };
    let ty = ComponentFuncType::new(params.iter().map(|ty| ("p", ty.clone())), Some(result));
    let core = |context| {
        let flat = flatten_functype(PtrType::I32, &ty, context);
        let types = |types: &[CoreType]| -> Vec<ValType> {
            let name = |ty: &CoreType| match ty {
                CoreType::I32 => ValType::I32,
                CoreType::I64 => ValType::I64,
                CoreType::F32 => ValType::F32,
                CoreType::F64 => ValType::F64,
            };
            types.iter().map(name).collect()
        };
        FuncType::new(types(flat.params.as_slice()), types(flat.results.as_slice()))
    };
    AdapterInfo {
        caller: core(FlattenContext::Lower),
        callee: core(FlattenContext::Lift),
        params: Plan::new(ty.param_types(), MAX_FLAT_PARAMS, side, side, true).unwrap(),
        results: Some(Plan::new(ty.result_types(), MAX_FLAT_RESULTS, side, side, true).unwrap()),
        callee_defines: vec![false, true],
        asks_caller: true,
        has_post_return: true,
    }
}

#[test]
fn adapters_compile_for_every_architecture_and_unknown_steps_are_left_to_the_plan() {
    use ComponentValType::{Bool, Borrow, Char, F32, F64, Own, S8, S16, String, U8, U16, U32, U64};
    let list = |t: &ComponentValType| ComponentValType::list(t.clone()).unwrap();
    let variant = ComponentValType::result(Some(F64), Some(list(&U32))).unwrap();
    let [first, second] = [0, 1].map(ResourceType::Id);
    let record =
        ComponentValType::tuple([U8, String, list(&list(&Bool)), Own(first), variant.clone()]).unwrap();
    let many = ComponentValType::tuple(vec![record.clone(); 4]).unwrap();
    let known = [
        adapter(&[Bool, S8, U16, S16, Char, F32, F64, U64], U8, StringEncoding::Utf8),
        adapter(&[String, list(&U32), Char], Char, StringEncoding::Latin1OrUtf16),
        adapter(&[variant.clone(), String], String, StringEncoding::Utf16),
        adapter(&[list(&String), list(&Bool), list(&variant)], list(&record), StringEncoding::Utf8),
        adapter(&[Own(first), Borrow(second), Borrow(first)], Own(second), StringEncoding::Utf8),
        adapter(&[many.clone(), Borrow(first), Borrow(second)], many, StringEncoding::Latin1OrUtf16),
    ];
    for arch in Arch::ALL {
        let key = CodeKey::new(&Config::default());
        let target = Target::new(arch, CpuFeatures::baseline(arch), &key, true).unwrap();
        for adapter in &known {
            assert!(knows_params(adapter) && known_results(adapter).is_some(), "{adapter:?}");
        }
        let until = Instant::now() + Duration::from_secs(600);
        let made = assemble(&target, &known, until).unwrap_or_else(|why| panic!("{}: {why}", arch.triple()));
        let tables = Tables::parse(&made.tables).unwrap();
        assert!((0..known.len()).all(|i| tables.stub(&made.tables, i).is_some()), "{}", arch.triple());
    }
    assert!(!knows_params(&adapter(&[list(&Borrow(first))], U8, StringEncoding::Utf8)));
}
