//! What the tests of components (runtime/src/component/tests) find by `crate::` and `super::` where they are at home.

#![allow(unused_imports, reason = "each name is one that some of them use")]

pub(crate) use mini_wasm_runtime::component::{
    Component, ExternType, Func, Instance, Linker, LinkerInstance, TypedFunc, abi, resource_drop,
};
pub(crate) use mini_wasm_runtime::{
    Caller, Config, Engine, Error, ErrorKind, ExnRef, Module, Result, Store, StoreLimits, Tag, Trap, error,
    features, types,
};
