//! Components, end to end on the interpreter: what a `.wat` says is what a call gives.

mod canon;
mod exceptions;
mod gates;
mod hostile;
mod linking;
mod resources;

use super::abi::Val;
use super::{Component, Instance, Linker, engine};
use crate::error::{Error, Result};
use crate::{Config, Engine, Store};

/// An engine, a store without data, and an instance of `wat` that imports nothing.
struct Setup {
    store: Store<()>,
    instance: Instance,
}

fn component(engine: &Engine, wat: &str) -> Component {
    Component::new(engine, wat::parse_str(wat).expect("the test's text parses"))
        .expect("the test's component is valid")
}

fn instantiate(wat: &str) -> Setup {
    let engine = engine(Config::default());
    let component = component(&engine, wat);
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).expect("it instantiates");
    Setup { store, instance }
}

impl Setup {
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Option<Val>> {
        let func =
            self.instance.func(&mut self.store, name).unwrap_or_else(|| panic!("`{name}` is exported"));
        func.call(&mut self.store, args)
    }

    /// The message of the trap that a call ends with.
    fn trap(&mut self, name: &str, args: &[Val]) -> String {
        trap_of(self.call(name, args))
    }
}

fn trap_of<T: core::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.expect_err("the call traps");
    assert!(error.trap().is_some(), "{error:?}");
    error.to_string()
}

/// A core module whose memory is `memory` and whose `realloc` hands out one region after the other, aligned, from 4096 on.
const LIBC: &str = r#"
    (core module $libc
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $new-size i32) (result i32)
            (local $at i32)
            (local.set $at
                (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.xor (i32.sub (local.get $align) (i32.const 1)) (i32.const -1))))
            (global.set $next (i32.add (local.get $at) (local.get $new-size)))
            (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
            (local.get $at)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;
