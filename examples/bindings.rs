//! Embeds a component by the interface that it exports: `bindgen!` makes Rust types and callers from its WIT.
//!
//! `cargo run -p mini-wasm-examples --bin bindings`

use demo::poly::types::{Point, Shape};
use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use mini_wasm_wasi::{Wasi, add_to_linker};
use std::sync::Arc;

mini_wasm_bindgen::bindgen!("provider" in "../guests/src/demo/wit/demo.wit");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/bin/demo-provider.wasm");
    let engine = Engine::with_backend(Config::default(), Arc::new(Jit::default()));
    let component = Component::new(&engine, std::fs::read(file)?)?;
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi)?;
    let mut store = Store::new(&engine, Wasi::builder().build());

    let provider = Provider::instantiate(&mut store, &component, &linker)?;
    let shapes = provider.demo_poly_engine();
    let corner = |x, y| Point { x, y, label: None };
    let square = Shape::Polygon(vec![corner(0.0, 0.0), corner(3.0, 0.0), corner(3.0, 3.0), corner(0.0, 3.0)]);
    println!("area: {:?}", shapes.call_area(&mut store, &square)?);
    println!("area of nothing: {:?}", shapes.call_area(&mut store, &Shape::Empty)?);

    let counter = shapes.call_counter_constructor(&mut store, 40)?;
    println!("counted to {}", shapes.call_counter_inc(&mut store, counter.borrow(), 2)?);
    shapes.drop_counter(&mut store, counter)?;
    Ok(())
}
