//! Decides how the interpreter dispatches (see src/interp/threaded.rs), and whether there are fibers (src/sys/fiber.rs).

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(threaded_dispatch)");
    println!("cargo::rustc-check-cfg=cfg(shared_memory)");
    // Threads need a system that has some, and atomics as wide as wasm's.
    let atomics = var("CARGO_CFG_TARGET_HAS_ATOMIC").unwrap_or_default();
    if var("CARGO_FEATURE_STD").is_ok() && atomics.split(',').any(|width| width == "64") {
        println!("cargo::rustc-cfg=shared_memory");
    }
    println!("cargo::rustc-check-cfg=cfg(fibers)");
    let target = |name: &str| var(format!("CARGO_CFG_{name}")).unwrap_or_default();
    // LLVM makes jumps of calls in tail position from opt-level 1 on, where all arguments fit into registers.
    let registers = matches!(target("TARGET_ARCH").as_str(), "x86_64" | "aarch64" | "riscv64");
    let optimized = var("OPT_LEVEL").is_ok_and(|level| level != "0");
    // The checks that debug assertions add to every pointer keep locals alive over the call, which then is none in tail
    // position. This workspace's dev profile leaves them out of this crate.
    let checked = var("CARGO_CFG_DEBUG_ASSERTIONS").is_ok();
    let watched = var("CARGO_CFG_MIRI").is_ok() || !target("SANITIZE").is_empty();
    let asked_for_loop = var("CARGO_FEATURE_LOOP_DISPATCH").is_ok();
    // Stacks of their own for continuations: src/sys/fiber.rs.
    let unix = var("CARGO_CFG_UNIX").is_ok() && var("CARGO_FEATURE_STD").is_ok();
    if registers && unix && !watched {
        println!("cargo::rustc-cfg=fibers");
    }
    if registers && optimized && !checked && !watched && !asked_for_loop {
        println!("cargo::rustc-cfg=threaded_dispatch");
    }
}
