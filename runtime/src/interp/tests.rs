//! The interpreter through the public API, with the translator's options on and off.

use super::code::Options;
use crate::{Config, Engine, Instance, Linker, Module, Store, Val};
use alloc::vec::Vec;
use std::cell::Cell;

std::thread_local! {
    /// What the options about speed are for modules made on this thread: accumulators, pinned local, fusion.
    static SPEED: Cell<[bool; 3]> = const { Cell::new([true; 3]) };
}

/// The options with what the running test wants.
pub(super) fn with_speed(options: Options) -> Options {
    let [accumulators, pinned_local, fusion] = SPEED.get();
    Options { accumulators, pinned_local, fusion, ..options }
}

/// Runs `test` once for every combination of the options about speed.
fn for_all_speeds(mut test: impl FnMut([bool; 3])) {
    for bits in 0..8 {
        let speed = [bits & 1 == 0, bits & 2 == 0, bits & 4 == 0];
        SPEED.set(speed);
        test(speed);
    }
    SPEED.set([true; 3]);
}

fn instance(store: &mut Store<()>, engine: &Engine, wasm: &[u8]) -> Instance {
    let module = Module::new(engine, wasm).unwrap();
    Linker::<()>::new().instantiate(store, &module).unwrap()
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> crate::Result<Vec<Val>> {
    let func = instance.export(&mut *store, name).unwrap().func().unwrap();
    func.call(store, args)
}

#[test]
fn the_benchmarks_compute_the_same_with_every_combination_of_options() {
    let guests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests");
    let list = std::fs::read_to_string(guests.join("bench.txt")).unwrap();
    let mut done: Vec<&str> = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        let [file, n, result] = columns[..] else { panic!("three columns: {line}") };
        if done.contains(&file) {
            continue;
        }
        done.push(file);
        let wasm = std::fs::read(guests.join("bin").join(file)).unwrap();
        for_all_speeds(|speed| {
            let engine = Engine::new(Config::default());
            let mut store = Store::new(&engine, ());
            let instance = instance(&mut store, &engine, &wasm);
            let got = call(&mut store, instance, "run", &[Val::I32(n.parse().unwrap())]);
            let expected: i64 = result.parse().unwrap();
            assert!(
                matches!(&got, Ok(values) if matches!(values[..], [Val::I64(v)] if v == expected)),
                "{file} {n} with {speed:?}: {got:?}"
            );
        });
    }
    assert!(done.len() >= 6);
}
