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
/// ```ignore
/// mini_wasm_bindgen::bindgen!("calculator" in "wit");        // a world, a folder or file next to Cargo.toml
/// mini_wasm_bindgen::bindgen!("calculator");                 // the folder is `wit`
/// mini_wasm_bindgen::bindgen!({
///     path: "wit",                    // or several: ["deps/a", "wit"], each may use the packages before it
///     inline: "package my:shop; ...",  // WIT in the source itself
///     world: "my:shop/calculator",     // when there are several
///     trappable: true,                // host functions give `mini_wasm_runtime::Result`; an error ends the guest
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
/// Functions that are `async`, streams and futures are refused by name.
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
