//! How fast does native code compute?

use crate::Options;

#[cfg(feature = "wasmtime")]
pub(crate) fn run(options: &Options) {
    use crate::peers::{Ours, Runner, Wasmtime, workloads};
    use crate::timing::{geomean, head, pairs, row, time};
    head("ours", "wasmtime");
    let mut speeds = Vec::new();
    for w in workloads() {
        let (mut ours, mut theirs) = (Ours::native(&w.wasm), Wasmtime::load(&w.wasm));
        assert_eq!(ours.run(w.n), w.result, "{}: ours", w.name);
        assert_eq!(theirs.run(w.n), w.result, "{}: wasmtime", w.name);
        let times =
            pairs(options.rounds, &mut || time(&mut || assert_eq!(ours.run(w.n), w.result)), &mut || {
                time(&mut || assert_eq!(theirs.run(w.n), w.result))
            });
        speeds.push(row(&w.name, &times));
    }
    println!("\ngeomean: {:.2}x the speed of wasmtime", geomean(&speeds));
}

#[cfg(not(feature = "wasmtime"))]
pub(crate) fn run(_options: &Options) {
    println!("left out: built without the feature `wasmtime`");
}
