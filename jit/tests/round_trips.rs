//! Random values of random types go from the host into a component, on into a second one, out to a function of the host, and all the way
//! back: interpreted, compiled, and compiled into an artifact that is loaded again, by plans and by values, with strings in every pair of
//! encodings. What comes out is what went in, and so is what the host saw in between.
//!
//! `CASES` is how many types there are (40), `VALUES` how many values of each in each engine (25).

mod component_text;
#[path = "../../canonical-abi/tests/random/mod.rs"]
mod random;
mod reloading;

use component_text::{ALLOCATE, Types, core};
use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::abi::flatten::{FlattenContext, flatten_functype};
use mini_wasm_runtime::component::abi::{FuncType, PtrType, Val, ValType};
use mini_wasm_runtime::component::{Component, Func, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use reloading::Reloading;
use std::sync::Arc;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A component that hands what it gets to `next`, and gives back what that gives.
fn relay(ty: &ValType, text: &str, rows: &str, encoding: &str) -> String {
    let func = FuncType::new([("x", ty.clone())], Some(ty.clone()));
    let lifted = flatten_functype(PtrType::I32, &func, FlattenContext::Lift);
    let lowered = flatten_functype(PtrType::I32, &func, FlattenContext::Lower);
    let (params, results) = (core(lifted.params.as_slice()), core(lifted.results.as_slice()));
    let import = core(lowered.params.as_slice());
    let args: String = (0..params.len()).map(|i| format!("(local.get {i})")).collect();
    let spills = import.len() > params.len();
    let body = if spills {
        let size = ty.elem_size(PtrType::I32);
        format!(
            "(local $at i32) (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const {size})))
             (call $next {args} (local.get $at)) (local.get $at)"
        )
    } else {
        format!("(call $next {args})")
    };
    let import_result = core(lowered.results.as_slice()).join(" ");
    format!(
        r#"{rows}
        (import "next" (func $next (param "x" {text}) (result {text})))
        (core module $libc
            (memory (export "memory") 32)
            (global $next (mut i32) (i32.const 64))
            (func (export "reset") (global.set $next (i32.const 64)))
            (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                {ALLOCATE}))
        (core instance $libc (instantiate $libc))
        (core func $next (canon lower (func $next) string-encoding={encoding}
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "next" (func $next (param {import}) (result {import_result})))
            (import "" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
            (import "" "reset" (func $reset))
            (func (export "echo") (param {params}) (result {results}) {body})
            (func (export "free") (param {results}) (call $reset)))
        (core instance $i (instantiate $m (with "" (instance
            (export "next" (func $next)) (export "realloc" (func $libc "realloc")) (export "reset" (func $libc "reset"))))))
        (func (export "echo") (param "x" {text}) (result {text})
            (canon lift (core func $i "echo") string-encoding={encoding} (memory (core memory $libc "memory"))
                (realloc (core func $libc "realloc")) (post-return (core func $i "free"))))"#,
        import = import.join(" "),
        params = params.join(" "),
        results = results.join(" "),
    )
}

/// Two relays one behind the other, behind them the host.
fn chain(ty: &ValType, first: &str, second: &str) -> String {
    let mut types = Types::default();
    let text = types.text(ty);
    let rows = types.rows.concat();
    let with: String = (0..types.rows.len()).map(|n| format!("(with \"n{n}\" (type $n{n}))")).collect();
    format!(
        r#"(component
            {rows}
            (import "next" (func $next (param "x" {text}) (result {text})))
            (component $first {first})
            (component $second {second})
            (instance $second (instantiate $second {with} (with "next" (func $next))))
            (instance $first (instantiate $first {with} (with "next" (func $second "echo"))))
            (export "echo" (func $first "echo")))"#,
        first = relay(ty, &text, &rows, first),
        second = relay(ty, &text, &rows, second),
    )
}

struct Way {
    name: &'static str,
    store: Store<Vec<Val>>,
    echo: Func,
}

fn ways(wasm: &[u8]) -> Option<Vec<Way>> {
    let mut config = Config::default();
    config.features.set("component-fixed-length-lists", true);
    let plain = Config { plain_adapters: true, ..config.clone() };
    let engines = [
        ("interpreted", Engine::new(config.clone())),
        ("interpreted, by values", Engine::new(plain)),
        ("compiled", Engine::with_backend(config.clone(), Arc::new(Jit::default()))),
        ("reloaded", Engine::with_backend(config, Arc::new(Reloading))),
    ];
    let mut ways = Vec::new();
    for (name, engine) in engines {
        let component = match Component::new(&engine, wasm) {
            Ok(component) => component,
            // Keys of maps may not be of every type, and types may be too large.
            Err(error) => {
                assert!(
                    ["map key", "exceeds", "too large", "limit"]
                        .iter()
                        .any(|why| error.to_string().contains(why)),
                    "{error}"
                );
                return None;
            }
        };
        let mut linker = Linker::<Vec<Val>>::new(&engine);
        linker
            .root()
            .func_new("next", |mut caller, _, args| {
                caller.data_mut().extend_from_slice(args);
                Ok(Some(args[0].clone()))
            })
            .unwrap();
        let mut store = Store::new(&engine, Vec::new());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let echo = instance.func(&mut store, "echo").unwrap();
        ways.push(Way { name, store, echo });
    }
    Some(ways)
}

#[test]
fn random_values_of_random_types_come_back_as_they_went() {
    let (cases, values) = (number("CASES", 40), number("VALUES", 25));
    let mut runner = TestRunner::deterministic();
    let (mut types, mut trips, mut kinds) = (0, 0usize, 0);
    for case in 0..cases * 4 {
        if types == cases {
            break;
        }
        let ty = random::types().new_tree(&mut runner).unwrap().current();
        let (first, second) = (ENCODINGS[case % 3], ENCODINGS[case / 3 % 3]);
        let wasm = wat::parse_str(chain(&ty, first, second)).unwrap();
        let Some(mut ways) = ways(&wasm) else { continue };
        types += 1;
        kinds = ways.len();
        let strategy = random::values(&ty);
        for _ in 0..values {
            let value = strategy.new_tree(&mut runner).unwrap().current();
            for way in &mut ways {
                way.store.data_mut().clear();
                let back = way.echo.call(&mut way.store, std::slice::from_ref(&value));
                let what = format!("{}, {first} to {second}: {ty:?}", way.name);
                assert_eq!(
                    back.unwrap_or_else(|error| panic!("{what}: {error}")),
                    Some(value.clone()),
                    "{what}"
                );
                assert_eq!(way.store.data().as_slice(), std::slice::from_ref(&value), "{what}");
                trips += 1;
            }
        }
    }
    assert!(types == cases && trips == cases * values * kinds, "{types} types, {trips} trips");
    println!("{types} types, {trips} round trips in {kinds} ways, 0 differences");
}
