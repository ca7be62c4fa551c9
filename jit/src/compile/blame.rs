//! Which operator a memory trap is blamed on.
//!
//! Cranelift folds a load into the instruction that takes its value (or into the store that writes the changed value back to the
//! same place), and that instruction carries the taker's place in the wasm. Whoever reads a backtrace wants the load's. A
//! folded load shows itself by having no trap site of its own; the taker has one more than it has accesses, or is such a store.

use super::trap_code;
use crate::tables::Site;
use cranelift_codegen::ir::{Function, Inst, Opcode, SourceLoc, TrapCode, Value, ValueDef};
use mini_wasm_runtime::trap::Trap;
use std::collections::{BTreeMap, BTreeSet};

/// How many instructions may lie between a folded load and the operator that takes it: an extension, an arithmetic one.
const DEPTH: usize = 3;

/// Puts the memory traps of one function where they belong. `func` is what was compiled, after optimisation; `sites` are
/// its traps with ascending program counters.
pub(super) fn settle(func: &Function, sites: &mut [Site]) {
    let memory = Trap::MemoryOutOfBounds.code();
    let mut own: BTreeMap<u32, usize> = BTreeMap::new();
    let instructions = || func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    for inst in instructions().filter(|&inst| may_trap(func, inst)) {
        *own.entry(place(func, inst)).or_default() += 1;
    }
    let mut seen: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, site) in sites.iter().enumerate().filter(|(_, site)| site.code == memory) {
        seen.entry(site.offset).or_default().push(i);
    }
    let count = |offset: u32| seen.get(&offset).map_or(0, Vec::len);
    let folded = |offset: u32| count(offset) < own.get(&offset).copied().unwrap_or(0);
    let mut takers: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut writers: BTreeSet<u32> = BTreeSet::new();
    for inst in instructions() {
        let at = place(func, inst);
        if count(at) == 0 {
            continue;
        }
        if func.dfg.insts[inst].opcode() == Opcode::Store {
            writers.insert(at);
        }
        for &arg in func.dfg.inst_args(inst) {
            loads_behind(func, arg, DEPTH, &mut |load| {
                let from = place(func, load);
                if from < at && folded(from) {
                    takers.entry(at).or_default().insert(from);
                }
            });
        }
    }
    // What has a site too many first: it must hold a folded load. What is left went into a store.
    let mut settled: BTreeSet<u32> = BTreeSet::new();
    for (at, places) in &seen {
        let Some(loads) = takers.get(at) else { continue };
        let extra = places.len().saturating_sub(own.get(at).copied().unwrap_or(0));
        let latest = loads.iter().rev().take(extra).collect::<Vec<_>>();
        for (&i, &&load) in places.iter().zip(latest.iter().rev()) {
            sites[i].offset = load;
            settled.insert(load);
        }
    }
    for at in writers {
        let (Some(loads), Some([i])) = (takers.get(&at), seen.get(&at).map(Vec::as_slice)) else { continue };
        if let Some(&load) = loads.iter().rev().find(|load| !settled.contains(load))
            && sites[*i].offset == at
        {
            sites[*i].offset = load;
            settled.insert(load);
        }
    }
}

fn place(func: &Function, inst: Inst) -> u32 {
    func.srcloc(inst).bits()
}

/// Can this end as a memory trap?
fn may_trap(func: &Function, inst: Inst) -> bool {
    let data = &func.dfg.insts[inst];
    let codes = [data.trap_code(), data.memflags_trap_code(&func.dfg)];
    let memory = |code: TrapCode| trap_code(code) == Trap::MemoryOutOfBounds.code();
    func.srcloc(inst) != SourceLoc::default() && codes.into_iter().flatten().any(memory)
}

/// The loads that a value is made of, through instructions that only compute.
fn loads_behind(func: &Function, value: Value, depth: usize, found: &mut dyn FnMut(Inst)) {
    let ValueDef::Result(inst, _) = func.dfg.value_def(func.dfg.resolve_aliases(value)) else { return };
    let opcode = func.dfg.insts[inst].opcode();
    if opcode.can_load() {
        if may_trap(func, inst) {
            found(inst);
        }
    } else if depth > 0 && !opcode.is_call() && !opcode.can_store() {
        for &arg in func.dfg.inst_args(inst) {
            loads_behind(func, arg, depth - 1, found);
        }
    }
}
