//! What [`link`] decides.

use super::super::abi::{PtrType, StringEncoding};
use super::super::instance::FuncItem;
use super::super::{Component, Linker};
use super::*;
use crate::{AsStoreMut, Config, Engine, Store};

/// Component A, which imports `take: func(x: ty) -> u32` of component B.
fn pair(ty: &str) -> String {
    format!(
        r#"(component
            (component $B
                (core module $m (func (export "take") (param i32) (result i32) (local.get 0)))
                (core instance $i (instantiate $m))
                (func (export "take") (param "x" {ty}) (result u32) (canon lift (core func $i "take"))))
            (component $A
                (import "take" (func $take (param "x" {ty}) (result u32)))
                (core func $take' (canon lower (func $take))))
            (instance $b (instantiate $B))
            (instance $a (instantiate $A (with "take" (func $b "take")))))"#
    )
}

#[test]
fn where_nothing_can_forbid_a_call_the_import_is_the_callees_function_itself() {
    for (ty, is_direct) in [("u32", true), ("u8", false)] {
        let engine = Engine::new(Config::default());
        let component = Component::new(&engine, wat::parse_str(pair(ty)).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
        let FuncItem::Lifted(take) = store.as_store_mut().components().funcs[0].clone() else {
            panic!("B's `take` is lifted first")
        };
        let mut linked = |instance, always_leaves| {
            let cx = CanonContext {
                instance,
                string_encoding: StringEncoding::Utf8,
                ptr_type: PtrType::I32,
                memory: None,
                realloc: None,
            };
            let last = LastKind::default();
            link(store.as_store_mut(), &component, &last, cx, always_leaves, take.clone()).unwrap()
        };
        assert_eq!(linked(2, true) == take.core_func, is_direct, "{ty}");
        assert_ne!(linked(2, false), take.core_func, "an instance with a `realloc` may be kept from leaving");
        assert_ne!(linked(take.cx.instance, true), take.core_func, "a component that calls itself");
    }
}
