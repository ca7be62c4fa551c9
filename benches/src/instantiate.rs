//! What does a fresh instance cost that a server makes for each request: a store, an instance of a linked component, and its end?
//!
//! The imports are traps, so that neither host takes part. The peer is wasmtime with its defaults and, as a second row, with
//! pooled memories whose pages stay resident. Guests: one that serves, and one that is composed of two.

use crate::Options;
use crate::peers::guests;
use crate::timing::time;
#[cfg(feature = "wasmtime")]
use crate::timing::{head, pairs, row};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use std::sync::Arc;

/// Instances that are made in one turn.
const INSTANCES: u32 = 2_000;

/// Makes and drops so many instances.
type Turn = Box<dyn FnMut(u32)>;

fn ours(wasm: &[u8]) -> Turn {
    let engine = Engine::with_backend(Config::default(), Arc::new(mini_wasm_jit::Jit::default()));
    let component = Component::new(&engine, wasm).expect("a committed guest is valid");
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component).expect("it imports functions and resources");
    let pre = linker.instantiate_pre(&component).expect("each import is a trap");
    Box::new(move |n| {
        for _ in 0..n {
            let mut store = Store::new(&engine, ());
            pre.instantiate(&mut store).expect("nothing runs that could trap");
        }
    })
}

#[cfg(feature = "wasmtime")]
fn theirs(config: &wasmtime::Config, wasm: &[u8]) -> Turn {
    use wasmtime::component::{Component, Linker};
    let engine = wasmtime::Engine::new(config).expect("the peer's configuration is sound");
    let component = Component::new(&engine, wasm).expect("a committed guest is valid");
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component).expect("it imports functions and resources");
    let pre = linker.instantiate_pre(&component).expect("each import is a trap");
    Box::new(move |n| {
        for _ in 0..n {
            let mut store = wasmtime::Store::new(&engine, ());
            pre.instantiate(&mut store).expect("nothing runs that could trap");
        }
    })
}

pub(crate) fn run(options: &Options) {
    for guest in ["http-server.wasm", "demo-composed.wasm"] {
        guest_of(options, guest);
    }
}

fn guest_of(options: &Options, guest: &str) {
    let wasm = std::fs::read(guests().join("bin").join(guest)).expect("the guest is committed");
    let mut ours = ours(&wasm);
    #[cfg(feature = "wasmtime")]
    {
        let mut pooling = wasmtime::PoolingAllocationConfig::default();
        pooling.linear_memory_keep_resident(1 << 20).table_keep_resident(1 << 16);
        let mut pooled = wasmtime::Config::new();
        pooled.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pooling));
        println!("\n{INSTANCES} instances of guests/bin/{guest}:\n");
        head("ours", "wasmtime");
        for (name, config) in [("default", &wasmtime::Config::new()), ("pooled, resident", &pooled)] {
            let mut theirs = theirs(config, &wasm);
            let (mut a, mut b) = (|| time(&mut || ours(INSTANCES)), || time(&mut || theirs(INSTANCES)));
            row(name, &pairs(options.rounds, &mut a, &mut b));
        }
    }
    #[cfg(not(feature = "wasmtime"))]
    {
        let seconds = crate::timing::median((0..options.rounds).map(|_| time(&mut || ours(INSTANCES))));
        println!(
            "one instance of {guest}: {:.2} us (peer left out: `--features wasmtime`)",
            seconds * 1e6 / f64::from(INSTANCES)
        );
    }
}
