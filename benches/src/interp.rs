//! How fast does the interpreter compute?

use crate::Options;
use crate::peers::{Ours, Runner, Wasmi, workloads};
use crate::timing::{geomean, head, pairs, row, time};

pub(crate) fn run(options: &Options) {
    head("ours", "wasmi");
    let mut speeds = Vec::new();
    for w in workloads() {
        let (mut ours, mut theirs) = (Ours::interpreter(&w.wasm), Wasmi::load(&w.wasm));
        assert_eq!(ours.run(w.n), w.result, "{}: ours", w.name);
        assert_eq!(theirs.run(w.n), w.result, "{}: wasmi", w.name);
        let times =
            pairs(options.rounds, &mut || time(&mut || assert_eq!(ours.run(w.n), w.result)), &mut || {
                time(&mut || assert_eq!(theirs.run(w.n), w.result))
            });
        speeds.push(row(&w.name, &times));
    }
    println!("\ngeomean: {:.2}x the speed of wasmi", geomean(&speeds));
}
