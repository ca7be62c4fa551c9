//! What a function will cost Cranelift, told from its intermediate code before Cranelift sees it.
//!
//! Nothing stops Cranelift once it has begun, and several of its passes take more than linear time. What each of them
//! multiplies is counted here in linear time: values by the blocks that they live through, operands of branches by the rounds
//! that a fixpoint takes, instructions by the loops around them. Live ranges are those of a linear scan: from the definition
//! to the last use in layout order, and to the end of each loop that was entered in between.
//!
//! Must not know: clocks, threads, wasm.

use super::budget::Price;
use cranelift_codegen::ir::{Block, BlockArg, Function, Inst};
use std::time::Duration;

/// No function with more operands of branches is compiled.
const MOST_EDGES: usize = 1 << 20;
/// Beyond, the visits are not counted.
const MOST_VISITS: u64 = 20_000_000;

/// What the passes multiply.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) insts: u64,
    pub(crate) blocks: u64,
    pub(crate) calls: u64,
    /// Operands of branches.
    pub(crate) edge_args: u64,
    /// Operands of branches, once for each round in which `remove_constant_phis` looks at them.
    pub(crate) phi_visits: u64,
    /// Sum over values: blocks that they live through.
    pub(crate) live: u64,
    /// Sum over values: calls that they live across.
    pub(crate) crossings: u64,
    /// Sum over instructions: the square of the number of loops around.
    pub(crate) nesting: u64,
}

/// Where blocks and instructions lie, in layout order.
struct Places {
    /// By block: its first position.
    start: Vec<u32>,
    /// By block: the last position of the loop that it is the header of; 0 if it is none.
    loop_end: Vec<u32>,
    positions: u32,
}

impl Places {
    fn new(func: &Function) -> Places {
        let mut start = vec![u32::MAX; func.dfg.num_blocks()];
        let mut positions = 0;
        for block in func.layout.blocks() {
            start[block.as_u32() as usize] = positions;
            positions += 1 + func.layout.block_insts(block).count() as u32;
        }
        let mut loop_end = vec![0; start.len()];
        for block in func.layout.blocks() {
            // Branches end their blocks.
            let Some(last) = func.layout.last_inst(block) else { continue };
            let end = start[block.as_u32() as usize] + func.layout.block_insts(block).count() as u32;
            for target in targets(func, last) {
                let target = target.as_u32() as usize;
                if start[target] <= end {
                    loop_end[target] = loop_end[target].max(end);
                }
            }
        }
        Places { start, loop_end, positions }
    }
}

fn targets(func: &Function, inst: Inst) -> impl Iterator<Item = Block> + '_ {
    let dfg = &func.dfg;
    let destinations = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    destinations.iter().map(|call| call.block(&dfg.value_lists))
}

impl Shape {
    /// What Cranelift is expected to need, and rather more than less: the dearest of many functions made to be dear, and no
    /// function of real programs, needed as much.
    pub(crate) fn price(self) -> Price {
        let nanoseconds = [
            (self.insts, 5_000),
            (self.calls, 5_000),
            (self.edge_args, 6_000),
            (self.phi_visits, 50),
            (self.live, 30),
            (self.crossings, 10),
            (self.nesting, 3),
        ];
        let bytes = [(self.insts, 1_200), (self.calls, 1_500), (self.edge_args, 2_000), (self.live, 32)];
        let sum = |parts: &[(u64, u64)]| {
            parts.iter().fold(0, |sum: u64, (count, each)| sum.saturating_add(count.saturating_mul(*each)))
        };
        Price { time: Duration::from_nanos(sum(&nanoseconds)), bytes: sum(&bytes) }
    }

    /// What it needs at most if equal values are merged and live on: each could live everywhere.
    pub(crate) fn worst_price(self) -> Price {
        Shape {
            live: self.insts.saturating_mul(self.blocks),
            crossings: self.insts.saturating_mul(self.calls),
            ..self
        }
        .price()
    }

    /// The shape of a function whose blocks have this reverse postorder.
    pub(crate) fn of(func: &Function, rpo: &[Block]) -> Shape {
        let places = Places::new(func);
        let mut shape = Shape { blocks: places.start.len() as u64, ..Shape::default() };
        (shape.edge_args, shape.phi_visits) = phi_visits(func, rpo);
        // By value: where it is defined, and the last position at which it is needed.
        let mut born = vec![u32::MAX; func.dfg.num_values()];
        let mut last = vec![0u32; born.len()];
        // By position: blocks and calls before it.
        let mut before: Vec<(u32, u32)> = Vec::with_capacity(places.positions as usize + 1);
        let (mut blocks, mut calls) = (0, 0);
        // The loops around: first and last position.
        let mut open: Vec<(u32, u32)> = Vec::new();
        for block in func.layout.blocks() {
            let at = places.start[block.as_u32() as usize];
            blocks += 1;
            while open.last().is_some_and(|&(_, end)| end < at) {
                open.pop();
            }
            let end = places.loop_end[block.as_u32() as usize];
            if end > 0 {
                open.push((at, end));
            }
            before.push((blocks, calls));
            for &param in func.dfg.block_params(block) {
                born[param.as_u32() as usize] = at;
            }
            let depth = open.len() as u64;
            for inst in func.layout.block_insts(block) {
                let at = before.len() as u32;
                if func.dfg.insts[inst].opcode().is_call() {
                    calls += 1;
                }
                before.push((blocks, calls));
                shape.insts += 1;
                shape.nesting = shape.nesting.saturating_add(depth * depth);
                for &result in func.dfg.inst_results(inst) {
                    born[result.as_u32() as usize] = at;
                }
                for value in func.dfg.inst_values(inst) {
                    let value = func.dfg.resolve_aliases(value).as_u32() as usize;
                    let first = born[value];
                    // The outermost loop that the value was not made in.
                    let entered = open.partition_point(|&(start, _)| start < first.saturating_add(1));
                    let until = open.get(entered).map_or(at, |&(_, end)| end.max(at));
                    last[value] = last[value].max(until);
                }
            }
        }
        shape.calls = u64::from(calls);
        for (&born, &last) in born.iter().zip(&last) {
            if let (Some(from), Some(to)) = (before.get(born as usize), before.get(last as usize)) {
                shape.live += u64::from(to.0.saturating_sub(from.0));
                shape.crossings += u64::from(to.1.saturating_sub(from.1));
            }
        }
        shape
    }
}

/// The operands of branches, and how many of them `remove_constant_phis` looks at until nothing changes any more: it goes over
/// all of them once for each step that a fact takes against the order of blocks and operands. The same rounds, on plain arrays.
fn phi_visits(func: &Function, rpo: &[Block]) -> (u64, u64) {
    const NONE: u32 = u32::MAX;
    const MANY: u32 = u32::MAX - 1;
    let entry = func.layout.entry_block();
    // By value: what it can be, if it is a parameter of a block other than the entry.
    let mut facts: Vec<u32> = (0..func.dfg.num_values() as u32).collect();
    let mut tracked = vec![false; facts.len()];
    for &block in rpo.iter().filter(|&&block| Some(block) != entry) {
        for &param in func.dfg.block_params(block) {
            facts[param.as_u32() as usize] = NONE;
            tracked[param.as_u32() as usize] = true;
        }
    }
    let mut edges: Vec<(u32, u32)> = Vec::new();
    for &block in rpo {
        let Some(last) = func.layout.last_inst(block) else { continue };
        let dfg = &func.dfg;
        let destinations = dfg.insts[last].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
        for call in destinations {
            let params = dfg.block_params(call.block(&dfg.value_lists));
            for (&param, arg) in params.iter().zip(call.args(&dfg.value_lists)) {
                let actual = match arg {
                    BlockArg::Value(value) => dfg.resolve_aliases(value).as_u32(),
                    _ => MANY,
                };
                edges.push((param.as_u32(), actual));
            }
            // Too dear already.
            if edges.len() > MOST_EDGES {
                return (edges.len() as u64, edges.len() as u64);
            }
        }
    }
    let mut visits = 0;
    let mut changed = true;
    while changed && visits < MOST_VISITS {
        changed = false;
        visits += edges.len() as u64;
        for &(formal, actual) in &edges {
            let new = facts.get(actual as usize).copied().unwrap_or(MANY);
            let old = facts[formal as usize];
            let joined = match (old, new) {
                (NONE, fact) | (fact, NONE) => fact,
                (a, b) if a == b => a,
                _ => MANY,
            };
            if joined != old && tracked[formal as usize] {
                facts[formal as usize] = joined;
                changed = true;
            }
        }
    }
    (edges.len() as u64, visits)
}
