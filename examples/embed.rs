//! A core module that calls back into its host, with limits on what it may use.
//!
//! `cargo run -p mini-wasm-examples --bin embed`

use mini_wasm_runtime::{Caller, Config, Engine, Linker, Module, Store, StoreLimits};

const GUEST: &str = r#"(module
    (import "host" "note" (func $note (param i32)))
    (func (export "squares") (param $n i32) (local $i i32)
        (loop $next
            (call $note (i32.mul (local.get $i) (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $n))))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Interprets. `Engine::with_backend(config, Arc::new(mini_wasm_jit::Jit::default()))` compiles.
    let engine = Engine::new(Config { fuel: true, ..Config::default() });
    let module = Module::new(&engine, wat::parse_str(GUEST)?)?;

    // The store's data is the host's own: here what the guest noted.
    let mut linker = Linker::<Vec<i32>>::new();
    linker.func_wrap("host", "note", |mut caller: Caller<'_, Vec<i32>>, n: i32| caller.data_mut().push(n))?;

    let mut store = Store::new(&engine, Vec::<i32>::new());
    store.set_limits(StoreLimits { memory_bytes: 1 << 20, ..StoreLimits::default() });
    store.set_fuel(1000);

    let instance = linker.instantiate(&mut store, &module)?;
    let squares = instance.func(&mut store, "squares").ok_or("the guest exports no squares")?;
    squares.typed::<i32, ()>(&store)?.call(&mut store, 5)?;
    println!("the guest noted {:?}", store.data());

    let error = squares.typed::<i32, ()>(&store)?.call(&mut store, i32::MAX).unwrap_err();
    println!("then it was stopped: {error}");
    Ok(())
}
