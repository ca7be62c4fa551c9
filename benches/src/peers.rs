//! The engines, each behind the same two steps: load a module, call its `run: (i32) -> i64`.

use mini_wasm_runtime::{Config, Engine, Linker, Module, Store, TypedFunc};
use std::path::PathBuf;

/// A loaded module.
pub(crate) trait Runner {
    /// Calls `run`.
    fn run(&mut self, n: i32) -> i64;
}

/// mini-wasm, with or without native code.
pub(crate) struct Ours {
    store: Store<()>,
    run: TypedFunc<i32, i64>,
}

impl Ours {
    pub(crate) fn interpreter(wasm: &[u8]) -> Ours {
        Ours::load(&Engine::new(Config::default()), wasm)
    }

    #[cfg(feature = "wasmtime")]
    pub(crate) fn native(wasm: &[u8]) -> Ours {
        let config = Config::default();
        Ours::load(&Engine::with_backend(config, std::sync::Arc::new(mini_wasm_jit::Jit::default())), wasm)
    }

    fn load(engine: &Engine, wasm: &[u8]) -> Ours {
        let module = Module::new(engine, wasm).expect("a benchmark module is valid");
        let mut store = Store::new(engine, ());
        let instance = Linker::<()>::new().instantiate(&mut store, &module).expect("it has no imports");
        let run = instance.func(&mut store, "run").expect("it exports `run`");
        let run = run.typed::<i32, i64>(&store).expect("run: (i32) -> i64");
        Ours { store, run }
    }
}

impl Runner for Ours {
    fn run(&mut self, n: i32) -> i64 {
        self.run.call(&mut self.store, n).expect("it does not trap")
    }
}

/// wasmi with its defaults.
pub(crate) struct Wasmi {
    store: wasmi::Store<()>,
    run: wasmi::TypedFunc<i32, i64>,
}

impl Wasmi {
    pub(crate) fn load(wasm: &[u8]) -> Wasmi {
        let engine = wasmi::Engine::default();
        let module = wasmi::Module::new(&engine, wasm).expect("a benchmark module is valid");
        let mut store = wasmi::Store::new(&engine, ());
        let linker = wasmi::Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut store, &module).expect("it has no imports");
        let run = instance.get_typed_func(&store, "run").expect("run: (i32) -> i64");
        Wasmi { store, run }
    }
}

impl Runner for Wasmi {
    fn run(&mut self, n: i32) -> i64 {
        self.run.call(&mut self.store, n).expect("it does not trap")
    }
}

/// wasmtime with its defaults.
#[cfg(feature = "wasmtime")]
pub(crate) struct Wasmtime {
    store: wasmtime::Store<()>,
    run: wasmtime::TypedFunc<i32, i64>,
}

#[cfg(feature = "wasmtime")]
impl Wasmtime {
    pub(crate) fn load(wasm: &[u8]) -> Wasmtime {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).expect("a benchmark module is valid");
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("it has no imports");
        let run = instance.get_typed_func(&mut store, "run").expect("run: (i32) -> i64");
        Wasmtime { store, run }
    }
}

#[cfg(feature = "wasmtime")]
impl Runner for Wasmtime {
    fn run(&mut self, n: i32) -> i64 {
        self.run.call(&mut self.store, n).expect("it does not trap")
    }
}

/// A benchmark: its name, its module, the argument to measure with, the result that is right.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) wasm: Vec<u8>,
    pub(crate) n: i32,
    pub(crate) result: i64,
}

/// The workloads of guests/bench.txt, each with its largest argument.
pub(crate) fn workloads() -> Vec<Workload> {
    let guests = guests();
    let list = std::fs::read_to_string(guests.join("bench.txt"))
        .expect("guests/bench.txt is part of the repository");
    let mut workloads: Vec<Workload> = Vec::new();
    for line in list.lines().filter(|l| !l.starts_with('#')) {
        let mut columns = line.split(' ');
        let (Some(file), Some(n), Some(result)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let name = file.trim_start_matches("bench-").trim_end_matches(".wasm").to_string();
        let (n, result) = (n.parse().expect("a number"), result.parse().expect("a number"));
        match workloads.last_mut() {
            Some(last) if last.name == name => (last.n, last.result) = (n, result),
            _ => {
                let wasm = std::fs::read(guests.join("bin").join(file))
                    .expect("guests/bin is part of the repository");
                workloads.push(Workload { name, wasm, n, result });
            }
        }
    }
    workloads
}

/// The folder of the guest programs.
pub(crate) fn guests() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../guests"))
}
