//! Linking by components: one stands between another and what it imports (link-time virtualisation), and two core modules share a third
//! one's memory and functions (shared-everything dynamic linking), while other components have a copy of their own.
//!
//! `cargo run -p mini-wasm-examples --bin linking`

use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use std::sync::Arc;

/// The application logs numbers, and does not know whom to.
const APPLICATION: &str = r#"(component
    (import "demo:log/sink" (instance $log (export "write" (func (param "n" u32)))))
    (core func $write (canon lower (func $log "write")))
    (core module $m
        (import "" "write" (func $write (param i32)))
        (func (export "run") (call $write (i32.const 1)) (call $write (i32.const 2))))
    (core instance $i (instantiate $m (with "" (instance (export "write" (func $write))))))
    (func (export "run") (canon lift (core func $i "run"))))"#;

/// Has the application inside and gives it a log of its own making: every number goes on to the real one a hundred times as large. It is
/// built of `$libc`, whose memory both `$count` and `$scale` use.
const VIRTUAL: &str = r#"(component
    (import "demo:log/sink" (instance $log (export "write" (func (param "n" u32)))))
    (import "application" (component $application
        (import "demo:log/sink" (instance (export "write" (func (param "n" u32)))))
        (export "run" (func))))
    (core func $write (canon lower (func $log "write")))
    (core module $libc (memory (export "memory") 1) (func (export "slot") (result i32) (i32.const 8)))
    (core module $count
        (import "libc" "memory" (memory 1)) (import "libc" "slot" (func $slot (result i32)))
        (func (export "count") (i32.store (call $slot) (i32.add (i32.load (call $slot)) (i32.const 1)))))
    (core module $scale
        (import "libc" "memory" (memory 1)) (import "libc" "slot" (func $slot (result i32)))
        (import "count" "count" (func $count)) (import "log" "write" (func $write (param i32)))
        (func (export "write") (param i32)
            (call $count)
            (call $write (i32.mul (local.get 0) (i32.const 100))))
        (func (export "counted") (result i32) (i32.load (call $slot))))
    (core instance $libc (instantiate $libc))
    (core instance $count (instantiate $count (with "libc" (instance $libc))))
    (core instance $scale (instantiate $scale (with "libc" (instance $libc)) (with "count" (instance $count))
        (with "log" (instance (export "write" (func $write))))))
    (func $scaled (param "n" u32) (canon lift (core func $scale "write")))
    (instance $sink (export "write" (func $scaled)))
    (instance $inside (instantiate $application (with "demo:log/sink" (instance $sink))))
    (export "run" (func $inside "run"))
    (func (export "counted") (result u32) (canon lift (core func $scale "counted"))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::with_backend(Config::default(), Arc::new(Jit::default()));
    let application = Component::new(&engine, wat::parse_str(APPLICATION)?)?;
    let around = Component::new(&engine, wat::parse_str(VIRTUAL)?)?;
    let mut linker = Linker::<Vec<u32>>::new(&engine);
    linker.instance("demo:log/sink")?.func_wrap("write", |mut caller, (n,): (u32,)| {
        caller.data_mut().push(n);
        Ok(())
    })?;
    linker.root().component("application", &application)?;

    let mut store = Store::new(&engine, Vec::<u32>::new());
    let plain = linker.instantiate(&mut store, &application)?;
    plain.typed::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    println!("alone: {:?}", store.data());

    store.data_mut().clear();
    let inside = linker.instantiate(&mut store, &around)?;
    inside.typed::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    let counted = inside.typed::<(), u32>(&mut store, "counted")?.call(&mut store, ())?;
    println!("virtualised: {:?}, {counted} counted", store.data());
    Ok(())
}
