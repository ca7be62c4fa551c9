//! `bindgen!` makes Rust out of WIT: types, a trait for what a world imports, typed callers for what it exports. Three derives make
//! a Rust type a component type.
//!
//! | file | what |
//! |---|---|
//! | `options` | what stands between the parentheses |
//! | `names` | names of WIT as names of Rust |
//! | `types` | types of WIT as types of Rust |
//! | `interface` | a module for an interface, imported or exported |
//! | `world` | the world's own struct, and everything together |
//! | `derive` | the derives |
//!
//! What is generated is rows for the macros of `mini-wasm-canonical-abi` and calls of `mini_wasm_runtime::component`; no bytes are moved
//! here. Must not know: engines, stores, how values lie in memory.

mod derive;
mod interface;
mod names;
mod options;
mod types;
mod world;

use proc_macro::TokenStream;

/// Rust for a world.
///
/// ```
/// use mini_wasm_runtime::component::{Component, Linker};
/// use mini_wasm_runtime::{Config, Engine, Store};
///
/// mini_wasm_bindgen::bindgen!({
///     inline: "
///         package my:calc;
///         world calculator {
///             import log: func(n: u32);
///             export add: func(a: u32, b: u32) -> u32;
///         }
///     ",
/// });
///
/// struct Host(Vec<u32>);
/// impl CalculatorImports for Host {
///     fn log(&mut self, n: u32) {
///         self.0.push(n);
///     }
/// }
///
/// let engine = Engine::new(Config::default());
/// let component = Component::new(&engine, wat::parse_str(
///     r#"(component
///         (import "log" (func $log (param "n" u32)))
///         (core func $log' (canon lower (func $log)))
///         (core module $m
///             (import "" "log" (func $log (param i32)))
///             (func (export "add") (param i32 i32) (result i32)
///                 (call $log (local.get 0))
///                 (i32.add (local.get 0) (local.get 1))))
///         (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
///         (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#,
/// )?)?;
/// let mut linker = Linker::<Host>::new(&engine);
/// Calculator::add_to_linker(&mut linker, |host| host)?;
/// let mut store = Store::new(&engine, Host(Vec::new()));
/// let calculator = Calculator::instantiate(&mut store, &component, &linker)?;
/// assert_eq!(calculator.call_add(&mut store, 40, 2)?, 42);
/// assert_eq!(store.data().0, [40]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// All that it can be told:
///
/// ```ignore
/// mini_wasm_bindgen::bindgen!("calculator" in "wit");        // a world, a folder or file next to Cargo.toml
/// mini_wasm_bindgen::bindgen!("calculator");                 // the folder is `wit`
/// mini_wasm_bindgen::bindgen!({
///     path: "wit",                    // or several: ["deps/a", "wit"], each may use the packages before it
///     inline: "package my:shop; ...",  // WIT in the source itself
///     world: "my:shop/calculator",     // when there are several
///     trappable: true,                // host functions give `mini_wasm_runtime::Result`; an error ends the guest
///     async: true,                    // host functions give futures (`async fn`), and callers wait for guests
///     with: {
///         "wasi:io/streams": crate::io::streams,      // an interface whose module is there already
///         "my:shop/store/bucket": crate::Bucket,       // a resource of the host: the Rust type that names it
///     },
///     additional_derives: [PartialEq],
///     runtime: ::mini_wasm_runtime,   // where the runtime is, if it goes by another name
/// });
/// ```
///
/// For a world `calculator` there is then
///
/// * `Calculator`, an instance: `Calculator::add_to_linker`, `Calculator::instantiate`, and `call_...` for each function that the
///   world exports;
/// * `CalculatorImports`, a trait for the functions that the world itself imports;
/// * for an imported interface `my:shop/log` the module `my::shop::log` with its types, a trait `Host` with its functions, a trait
///   `HostBucket` for each resource (`drop` is its end), and `add_to_linker`;
/// * for an exported interface the module `exports::my::shop::log` with its types and a struct `Guest` with `call_...` for each
///   function, which `Calculator::my_shop_log` gives.
///
/// Host traits are implemented for what the store holds, or for a part of it that `add_to_linker` is told how to find. Resources of
/// the host are `Own<T>` and `Borrow<T>`, those of a guest `GuestOwn<T>` and `GuestBorrow<T>`, of `mini_wasm_runtime::component::abi`.
/// With `async: true` the host's methods may be written as `async fn` (their futures must be `Send`, and so must the host and what the
/// store holds), and what calls guests is an `async fn`, so that a guest waits in its imports while others run.
///
/// Functions that are `async` in WIT, streams and futures are refused by name.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    let options = syn::parse_macro_input!(input as options::Options);
    let span = options.span;
    match world::generate(&options) {
        Ok(source) => source
            .parse()
            .unwrap_or_else(|error| panic!("crash: bindgen! made what is no Rust ({error}):\n{source}")),
        Err(message) => syn::Error::new(span, message).to_compile_error().into(),
    }
}

/// Says that a struct is a record, an enum a variant or an enum: `mini_wasm_runtime::component::abi::ComponentType`.
///
/// Labels are the kebab-case of the Rust names unless `#[component(name = "...")]` on a field or case says otherwise. An enum of Rust
/// without payloads is an enum of WIT unless `#[component(variant)]` says that it is a variant; `#[component(record)]` and
/// `#[component(enum)]` may be written and are checked.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::Trait::ComponentType).into()
}

/// Takes values of the type over from guests: `mini_wasm_runtime::component::abi::Lift`.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::Trait::Lift).into()
}

/// Hands values of the type over to guests: `mini_wasm_runtime::component::abi::Lower`.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::Trait::Lower).into()
}
