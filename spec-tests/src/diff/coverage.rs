//! How often each operator is executed.
//!
//! A module is rewritten so that it counts: a memory is added, and a counter there goes up before each stretch of operators that
//! run together or not at all. The rewritten module runs interpreted, by the same plan with more fuel, and the counters are read.
//! Native code does the same (that was just compared), so its counts are those of the functions that have native code.

use crate::Mode;
use crate::binary::{EXPORT, MEMORY, Sections, operator_offsets, push_leb, push_signed_leb};
use crate::observe::{COUNTERS, Called, Plan, Running};
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::ops::Op;
use mini_wasm_runtime::{ErrorKind, Module, Trap};
use wasmparser::{BinaryReader, FunctionBody, Parser, Payload, TypeRef};

/// Executions by operator: interpreted, native.
#[derive(Clone, Debug)]
pub struct Counts(Vec<(u64, u64)>);

impl Default for Counts {
    fn default() -> Counts {
        Counts(vec![(0, 0); Op::ALL.len()])
    }
}

impl Counts {
    /// The counts of an operator.
    pub fn of(&self, op: Op) -> (u64, u64) {
        self.0[op as usize]
    }

    /// So many operators that were executed least, in the engine that executed them less often.
    pub fn rarest(&self, count: usize) -> Vec<Op> {
        let mut ops = Op::ALL.to_vec();
        ops.sort_by_key(|&op| self.of(op).0.min(self.of(op).1));
        ops.truncate(count);
        ops
    }

    /// Adds to the counts of the operator with this place in the table.
    pub(super) fn add(&mut self, place: usize, interpreted: u64, native: u64) {
        if let Some(count) = self.0.get_mut(place) {
            count.0 += interpreted;
            count.1 += native;
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            sum.0 += count.0;
            sum.1 += count.1;
        }
    }
}

/// Operators that are executed together or not at all.
struct Stretch {
    /// The function, counted among the module's own.
    function: usize,
    ops: Vec<Op>,
}

/// Counts what a module executes in the first round of a plan; `None` when it cannot be rewritten. Counting costs fuel: a module that
/// ran out of it gets no more than it had, so that it is not counted beyond where it came; the others get plenty.
pub fn count(features: Features, binary: &[u8], plan: Plan, calls: &[Called]) -> Option<Counts> {
    let mut first = calls.iter().take(calls.len() / plan.rounds.max(1));
    let starved = first.any(|call| call.end == Err(ErrorKind::Trap(Trap::OutOfFuel)));
    let (rewritten, stretches) = rewrite(binary)?;
    let config = super::config(features, [true; 3], binary);
    let engine = Mode::Interp.engine(config.clone());
    let module = Module::new(&engine, rewritten).ok()?;
    let plan = Plan { rounds: 1, fuel: if starved { plan.fuel } else { plan.fuel * 16 }, ..plan };
    let mut running = Running::new(&module, plan, 8 << 20).ok()?;
    running.calls();
    let memory = running.instance.memory(&mut running.store, COUNTERS)?;
    let bytes = memory.data(&running.store).ok()?;
    let native = Module::new(&Mode::Jit.engine(config), binary).ok()?;
    let mut counts = Counts::default();
    for (stretch, counter) in stretches.iter().zip(bytes.as_chunks::<8>().0) {
        let times = u64::from_le_bytes(*counter);
        let native = native.native().is_some_and(|code| code.func(stretch.function).is_some());
        for &op in &stretch.ops {
            let count = &mut counts.0[op as usize];
            count.0 += times;
            count.1 += if native { times } else { 0 };
        }
    }
    Some(counts)
}

/// The module that counts, and what its counters stand for.
fn rewrite(binary: &[u8]) -> Option<(Vec<u8>, Vec<Stretch>)> {
    let mut sections = Sections::of(binary)?;
    let mut memories = 0;
    for payload in Parser::new(0).parse_all(binary) {
        match payload.ok()? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    memories += usize::from(matches!(import.ok()?.ty, TypeRef::Memory(_)));
                }
            }
            Payload::MemorySection(section) => memories += section.count() as usize,
            _ => {}
        }
    }
    let mut stretches = Vec::new();
    let mut bodies = Vec::new();
    for (function, body) in sections.bodies()?.iter().enumerate() {
        bodies.push(rewrite_body(function, body, memories, &mut stretches)?);
    }
    sections.set_bodies(&bodies);
    let pages = (stretches.len() * 8).div_ceil(65536);
    if pages == 0 || pages > 64 {
        return None;
    }
    sections.push_item(MEMORY, &[0, pages as u8])?;
    let mut export = vec![COUNTERS.len() as u8];
    export.extend(COUNTERS.as_bytes());
    export.push(2);
    push_leb(&mut export, memories);
    sections.push_item(EXPORT, &export)?;
    Some((sections.binary(), stretches))
}

fn rewrite_body(
    function: usize,
    body: &[u8],
    memory: usize,
    stretches: &mut Vec<Stretch>,
) -> Option<Vec<u8>> {
    let offsets = operator_offsets(body)?;
    let reader = FunctionBody::new(BinaryReader::new(body, 0));
    let mut operators = reader.get_operators_reader().ok()?;
    let mut written = body[..offsets[0]].to_vec();
    let mut begins = true;
    for place in offsets.windows(2) {
        let op = Op::of(&operators.read().ok()?)?;
        // What comes before a handler or an alternative leaves the block: these are executed when what is behind them is.
        let entered = matches!(op, Op::Else | Op::Catch | Op::CatchAll);
        if entered {
            written.extend(&body[place[0]..place[1]]);
        }
        if begins || entered {
            counter(&mut written, stretches.len() * 8, memory);
            stretches.push(Stretch { function, ops: Vec::new() });
        }
        stretches.last_mut()?.ops.push(op);
        if !entered {
            written.extend(&body[place[0]..place[1]]);
        }
        begins = !goes_on(op) && !entered;
    }
    Some(written)
}

/// Does the operator behind this one always follow it? It is enough to know it of those that are common.
fn goes_on(op: Op) -> bool {
    let name = op.mnemonic();
    let plain = ["local.", "global.", "nop", "drop", "select", "ref.null", "ref.func"];
    name.ends_with(".const") || plain.iter().any(|plain| name.starts_with(plain))
}

/// `counter += 1`, which leaves the operand stack as it was.
fn counter(written: &mut Vec<u8>, address: usize, memory: usize) {
    let memarg = |written: &mut Vec<u8>| {
        // Alignment of 8, and that the index of a memory follows; offset 0.
        written.push(0x43);
        push_leb(written, memory);
        written.push(0);
    };
    for _ in 0..2 {
        written.push(0x41);
        push_signed_leb(written, address as i64);
    }
    written.push(0x29);
    memarg(written);
    written.extend([0x42, 1, 0x7c, 0x37]);
    memarg(written);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::observe;

    #[test]
    fn operators_are_counted_as_often_as_they_are_executed() {
        let text = r#"(module (memory 1)
            (func (export "f") (result i32) (local i32)
                (loop $again
                    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get 0) (i32.const 10))))
                (if (i32.eqz (local.get 0)) (then (drop (i32.clz (i32.const 1)))) (else (drop (i32.ctz (i32.const 1)))))
                (if (local.get 0) (then (drop (i32.const 1))) (else (drop (i32.const 2))))
                (i32.load (i32.const -1))
                i32.popcnt))"#;
        let binary = wat::parse_str(text).unwrap();
        let (features, plan) = (Features::default(), Plan::new(1));
        let calls =
            observe(Mode::Interp, super::super::config(features, [true; 3], &binary), &binary, plan).unwrap();
        let counts = count(features, &binary, plan, &calls).unwrap();
        assert_eq!(counts.of(Op::I32Add), (10, 10));
        assert_eq!(counts.of(Op::I32LtU), (10, 10));
        assert_eq!(counts.of(Op::I32Load), (1, 1));
        assert_eq!(counts.of(Op::I32Clz), (0, 0), "the branch that is not taken");
        assert_eq!(
            (counts.of(Op::I32Ctz), counts.of(Op::Else)),
            ((1, 1), (1, 1)),
            "the alternative that is taken"
        );
        assert_eq!(counts.of(Op::I32Popcnt), (0, 0), "behind the trap");
    }
}
