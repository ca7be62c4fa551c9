//! Damaged binaries are refused or run, and nothing else: no panic, no endless loop, no memory past the limits.

use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Module, Store, StoreLimits};
use mini_wasm_spec_tests::cases::cases;
use mini_wasm_spec_tests::observe::{Plan, observe_module};
use mini_wasm_spec_tests::program::{Choices, Program};
use proptest::prelude::*;

/// One damage: where (as a part of the length), what, and how.
type Damage = (u16, u8, u8);

fn damage(binary: &mut Vec<u8>, damages: &[Damage]) {
    for &(place, byte, how) in damages {
        if binary.is_empty() {
            return;
        }
        // The header is left alone: what follows it is what the reader has to withstand.
        let at = (8 + usize::from(place) * binary.len() / 65536).min(binary.len() - 1);
        match how % 6 {
            0 => binary[at] = byte,
            1 => binary[at] ^= 1 << (byte % 8),
            2 => binary.insert(at, byte),
            3 => drop(binary.remove(at)),
            4 => binary.truncate(at),
            _ => {
                let end = (at + usize::from(byte)).min(binary.len());
                let piece = binary[at..end].to_vec();
                binary.splice(at..at, piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_module_is_refused_or_runs(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        damages in proptest::collection::vec(any::<Damage>(), 1..4),
    ) {
        let program = Program::grow(&mut Choices::new(&bytes));
        let mut binary = wat::parse_str(&program.text).expect("a generated program is valid text");
        damage(&mut binary, &damages);
        let engine = Engine::new(Config { fuel: true, ..Config::default() });
        if let Ok(module) = Module::new(&engine, binary) {
            let _ = observe_module(&module, Plan::new(bytes.len() as u64));
        }
    }
}

/// Small components whose `run` goes through strings, lists, resources, nested components and aliases.
const COMPONENTS: [&str; 3] = [
    r#"(component
        (component $inner
            (core module $m
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 64))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8)))))
                (func (export "length") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "length") (param "text" string) (result u32)
                (canon lift (core func $i "length") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc")))))
        (instance $inner (instantiate $inner))
        (core module $memory (memory (export "memory") 1) (data (i32.const 8) "text"))
        (core instance $memory (instantiate $memory))
        (core func $length (canon lower (func $inner "length") (memory (core memory $memory "memory"))))
        (core module $main
            (import "" "length" (func $length (param i32 i32) (result i32)))
            (func (export "run") (result i32) (call $length (i32.const 8) (i32.const 4))))
        (core instance $main
            (instantiate $main (with "" (instance (export "length" (func $length))))))
        (func (export "run") (result u32) (canon lift (core func $main "run"))))"#,
    r#"(component
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core func $drop (canon resource.drop $r))
        (core module $main
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $handle i32)
                (local.set $handle (call $new (i32.const 7)))
                (call $rep (local.get $handle))
                (call $drop (local.get $handle))))
        (core instance $main (instantiate $main (with "" (instance
            (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
        (func (export "run") (result u32) (canon lift (core func $main "run"))))"#,
    r#"(component
        (type $shape (variant (case "none") (case "some" (list u8)) (case "many" (tuple u8 string))))
        (type $all (record (field "a" $shape) (field "b" (option char)) (field "c" (flags "x" "y"))))
        (export $shape' "shape" (type $shape))
        (core module $m
            (memory (export "memory") 1)
            (func (export "run") (result i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i32.store offset=4 (i32.const 16) (i32.const 40))
                (i32.store offset=8 (i32.const 16) (i32.const 3))
                (i32.const 16)))
        (core instance $i (instantiate $m))
        (func (export "run") (result $shape')
            (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#,
];

/// Instantiates a component and calls `run`; whether it got that far.
fn run_component(component: &Component) -> bool {
    let mut store = Store::new(component.engine(), ());
    store.set_limits(StoreLimits { memory_bytes: 1 << 20, table_elements: 1000, ..StoreLimits::default() });
    store.set_fuel(100_000);
    let linker = Linker::<()>::new(component.engine());
    let Ok(instance) = linker.instantiate(&mut store, component) else { return false };
    let Some(run) = instance.func(&mut store, "run") else { return false };
    run.call(&mut store, &[]).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(600), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_component_is_refused_or_runs(
        which in 0..COMPONENTS.len(),
        damages in proptest::collection::vec(any::<Damage>(), 1..4),
    ) {
        let mut binary = wat::parse_str(COMPONENTS[which]).expect("text of a component");
        damage(&mut binary, &damages);
        let engine = Engine::new(Config { fuel: true, ..Config::default() });
        if let Ok(component) = Component::new(&engine, binary) {
            run_component(&component);
        }
    }
}

#[test]
fn every_truncation_of_a_component_is_refused_unless_it_is_one_too() {
    let engine = Engine::new(Config { fuel: true, ..Config::default() });
    for text in COMPONENTS {
        let binary = wat::parse_str(text).expect("text of a component");
        for length in 0..binary.len() {
            // Behind a whole section a component may end, and be one that runs or not.
            if let Ok(component) = Component::new(&engine, &binary[..length]) {
                assert!(
                    wasmparser::validate(&binary[..length]).is_ok(),
                    "{length} of {} bytes",
                    binary.len()
                );
                run_component(&component);
            }
        }
        let whole = Component::new(&engine, binary).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(run_component(&whole), "{text}");
    }
}

#[test]
fn every_truncation_of_a_module_is_refused_unless_it_is_one_too() {
    let entropy: Vec<u8> = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let program = Program::grow(&mut Choices::new(&entropy));
    let binary = wat::parse_str(&program.text).expect("a generated program is valid text");
    let engine = Engine::new(Config::default());
    assert!(Module::new(&engine, binary.clone()).is_ok());
    for length in 0..binary.len() {
        let cut = Module::new(&engine, &binary[..length]);
        // Behind a whole section a module may end, if what it declared is there.
        if cut.is_ok() {
            assert!(wasmparser::validate(&binary[..length]).is_ok(), "{length} of {} bytes", binary.len());
        }
    }
}
