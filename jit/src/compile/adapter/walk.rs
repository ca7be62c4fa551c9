//! The steps of a plan, in both parts of the code.
//!
//! Jumps of a plan lead forward, so one pass makes the blocks: a step that something leads to begins one. Where the code is in lists of
//! lists is known when it is made; elements are counted when it runs.

use super::Translation;
use super::region::Frame;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, JumpTableData, Value, types};
use cranelift_frontend::Variable;
use mini_wasm_runtime::component::abi::MAX_LIST_BYTE_LENGTH;
use mini_wasm_runtime::component::abi::plan::{At, Elements, PIECE_ELEMENTS, Plan, Scalar, Step, transcode};
use mini_wasm_runtime::vm::{AdapterContent, AdapterTrap};
use std::collections::BTreeMap;

/// Which part of the code is being made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Core values are converted, ranges that they name are checked. No effect yet.
    Check,
    /// What lies in memory is moved, and handles. Which resources the destination defines.
    Move(&'a [bool]),
}

/// Values on their way in one direction.
pub(super) struct Way<'p> {
    pub(super) plan: &'p Plan,
    /// From the callee to the caller.
    pub(super) results: bool,
    /// The source's core values.
    pub(super) source: Vec<Value>,
    /// The destination's.
    pub(super) slots: Vec<Variable>,
    /// Where the destination says that values go which are spilled.
    pub(super) out: Option<Value>,
    /// Where a rule is broken in the first part.
    pub(super) refused: Block,
    /// Bytes that have been moved, or will be; where some are.
    pub(super) moved: Option<Variable>,
    /// They are counted when they are moved: how many there are is not known before.
    pub(super) counts_late: bool,
    /// The regions of memory that the code is in, innermost last.
    pub(super) frames: Vec<Frame>,
    /// For each step that lends a handle, its index, 0 when it did not.
    pub(super) lent: BTreeMap<usize, Variable>,
    /// Where the words of its resources begin among those of the adapter.
    pub(super) resources: usize,
}

impl<'p> Way<'p> {
    pub(super) fn new(
        t: &mut Translation<'_>,
        plan: &'p Plan,
        results: bool,
        source: Vec<Value>,
        slots: Vec<Variable>,
        out: Option<Value>,
        refused: Block,
    ) -> Way<'p> {
        let zero = t.b.ins().iconst(types::I64, 0);
        let moved = plan.needs().memory.then(|| t.b.declare_var(types::I64));
        if let Some(moved) = moved {
            t.b.def_var(moved, zero);
        }
        // So that every one has a value on every way.
        for (&slot, &value) in slots.iter().zip(&source) {
            t.b.def_var(slot, value);
        }
        let mut lent = BTreeMap::new();
        for (i, step) in plan.steps().iter().enumerate() {
            if let Step::Borrow { .. } = step {
                let index = t.b.declare_var(types::I32);
                let none = t.b.ins().iconst(types::I32, 0);
                t.b.def_var(index, none);
                lent.insert(i, index);
            }
        }
        let (from, to) = plan.sides();
        let in_one_pass = transcode(from.string_encoding, to.string_encoding).is_some();
        let counts_late = plan.steps().iter().any(|step| match step {
            Step::List { .. } | Step::String { at: At::Memory { .. } } => true,
            Step::Whole { at: At::Memory { .. }, .. } => true,
            Step::String { .. } => !in_one_pass,
            _ => false,
        });
        let (frames, resources) = (Vec::new(), 0);
        Way { plan, results, source, slots, out, refused, moved, counts_late, frames, lent, resources }
    }

    /// The place of a resource's word.
    pub(super) fn resource(&self, resource: u32) -> usize {
        self.resources + resource as usize
    }
}

/// Blocks by the step that they begin with.
#[derive(Default)]
struct Blocks(BTreeMap<u32, Block>);

impl Blocks {
    fn of(&mut self, t: &mut Translation<'_>, step: u32) -> Block {
        *self.0.entry(step).or_insert_with(|| t.b.create_block())
    }
}

impl Translation<'_> {
    /// One part of the code for all steps, in order.
    pub(super) fn walk(&mut self, way: &mut Way<'_>, part: Part<'_>) {
        let (steps, targets) = (way.plan.steps(), way.plan.targets());
        let mut blocks = Blocks::default();
        // Whether the current block has its end.
        let mut filled = false;
        // Steps before this one are left out.
        let mut from = 0;
        // Loops that the code is in.
        let mut heads = Vec::new();
        for (i, step) in steps.iter().chain([&Step::Jump(0)]).enumerate() {
            if let Some(&block) = blocks.0.get(&(i as u32)) {
                if !filled {
                    self.b.ins().jump(block, &[]);
                }
                self.b.switch_to_block(block);
                filled = false;
            }
            if i == steps.len() {
                break;
            }
            if i < from {
                continue;
            }
            match (*step, part) {
                (Step::Case { at, size, cases, first }, _) => {
                    let targets = &targets[first as usize..(first + cases) as usize];
                    let targets: Vec<Block> = targets.iter().map(|&step| blocks.of(self, step)).collect();
                    self.case(way, at, Scalar::Enum { size, cases }, &targets, part);
                    filled = true;
                }
                (Step::Jump(to), _) => {
                    let to = blocks.of(self, to);
                    self.b.ins().jump(to, &[]);
                    filled = true;
                }
                (Step::Scalar { kind, at: At::Slot(slot) }, Part::Check) => {
                    let (value, wrong) = self.convert(kind, way.source[usize::from(slot)]);
                    if let Some(wrong) = wrong {
                        self.leave_if(wrong, way.refused);
                    }
                    self.b.def_var(way.slots[usize::from(slot)], value);
                }
                (Step::Scalar { kind, at: at @ At::Memory { .. } }, Part::Move(_)) => {
                    let value = self.scalar(way, at, kind);
                    self.write(way, at, kind.size(), value);
                }
                (Step::Bytes { from, to, len }, Part::Move(_)) => self.bytes(way, from, to, len),
                (Step::Zero { first, end }, Part::Check) => {
                    for slot in usize::from(first)..usize::from(end) {
                        let zero = self.zero(way.source[slot]);
                        self.b.def_var(way.slots[slot], zero);
                    }
                }
                (Step::String { at }, part) => self.string(way, at, part),
                (Step::Whole { at, size, alignment, check }, part) => {
                    self.list(way, at, (size, alignment), check, i as u32, part);
                }
                (Step::List { at, elements, end }, Part::Check) => {
                    if let At::Slot(_) = at {
                        self.list_range(way, at, elements, part);
                    }
                    from = end as usize;
                }
                (Step::List { at, elements, end }, Part::Move(_)) => {
                    let end = blocks.of(self, end);
                    heads.push((self.enter(way, at, elements, end), at, elements));
                }
                (Step::Next { .. }, Part::Move(_)) => {
                    if let Some((head, at, elements)) = heads.pop() {
                        self.next(way, head, at, elements);
                    }
                }
                (Step::Spilled { elements }, Part::Check) => {
                    self.check_spilled(way, elements);
                    from = steps.len();
                }
                (Step::Spilled { elements }, Part::Move(_)) => self.spilled(way, elements),
                (Step::Own { at, resource }, Part::Move(_)) => self.own_handle(way, at, resource),
                (Step::Borrow { at, resource }, Part::Move(defines)) => {
                    let defined = defines.get(resource as usize).copied().unwrap_or(false);
                    self.borrow_handle(way, i, at, resource, defined);
                }
                _ => {}
            }
        }
        way.frames.clear();
    }

    fn zero(&mut self, like: Value) -> Value {
        match self.b.func.dfg.value_type(like) {
            types::F32 => self.b.ins().f32const(0.0),
            types::F64 => self.b.ins().f64const(0.0),
            ty => self.b.ins().iconst(ty, 0),
        }
    }

    /// The value of a place in memory, which is judged.
    fn scalar(&mut self, way: &Way<'_>, at: At, kind: Scalar) -> Value {
        let bits = self.read(way, at, kind.size());
        let (value, wrong) = self.convert(kind, bits);
        if let Some(wrong) = wrong {
            let (trap, second) = match kind {
                Scalar::Enum { cases, .. } => (AdapterTrap::Discriminant, cases),
                _ => (AdapterTrap::Char, 0),
            };
            self.trap_if(wrong, trap, Some(bits), second);
        }
        value
    }

    /// Goes on where the discriminant says. Fills the block.
    fn case(&mut self, way: &Way<'_>, at: At, kind: Scalar, targets: &[Block], part: Part<'_>) {
        let discriminant = match (at, part) {
            (At::Memory { .. }, Part::Check) => unreachable!("crash: the first part looks at memory"),
            (At::Memory { .. }, Part::Move(_)) => {
                let discriminant = self.scalar(way, at, kind);
                self.write(way, at, kind.size(), discriminant);
                discriminant
            }
            (At::Slot(slot), Part::Check) => {
                let (value, wrong) = self.convert(kind, way.source[usize::from(slot)]);
                if let Some(wrong) = wrong {
                    self.leave_if(wrong, way.refused);
                }
                self.b.def_var(way.slots[usize::from(slot)], value);
                self.low(value)
            }
            (At::Slot(slot), Part::Move(_)) => self.low(way.source[usize::from(slot)]),
        };
        if let [no, yes] = *targets {
            self.b.ins().brif(discriminant, yes, &[], no, &[]);
            return;
        }
        let call = |t: &mut Self, block| t.b.func.dfg.block_call(block, &[] as &[BlockArg]);
        let calls: Vec<_> = targets.iter().map(|&block| call(self, block)).collect();
        // There is no other, as was checked.
        let default = call(self, way.refused);
        let table = self.b.create_jump_table(JumpTableData::new(default, &calls));
        self.b.ins().br_table(discriminant, table);
    }

    /// Pointer, length and bytes of a list, checked and counted.
    fn list_range(
        &mut self,
        way: &Way<'_>,
        at: At,
        elements: Elements,
        part: Part<'_>,
    ) -> (Value, Value, Value) {
        let (ptr, length) = self.read_range(way, at);
        // Below 2^32 elements of less than 2^28 bytes.
        let bytes = self.times(length, elements.from_size as usize);
        if part == Part::Check || matches!(at, At::Memory { .. }) {
            let alignment = usize::from(elements.from_alignment);
            let most = MAX_LIST_BYTE_LENGTH;
            self.check_source(way, part, (ptr, bytes), alignment, most, AdapterContent::List);
        }
        self.charge(way, part, bytes);
        (ptr, length, bytes)
    }

    /// Begins a list: the block of an element.
    fn enter(&mut self, way: &mut Way<'_>, at: At, elements: Elements, end: Block) -> Block {
        let (ptr, length, bytes) = self.list_range(way, at, elements, Part::Move(&[]));
        let (to, _) = self.allocate(way, bytes, usize::from(elements.to_alignment), AdapterContent::List);
        let to = self.b.ins().uextend(types::I64, to);
        let frame = Frame {
            from: self.b.declare_var(types::I64),
            to: self.b.declare_var(types::I64),
            left: self.b.declare_var(types::I64),
            rest: self.b.declare_var(types::I64),
            begin: to,
            length,
        };
        self.b.def_var(frame.from, ptr);
        self.b.def_var(frame.to, to);
        self.begin_piece(&frame, length);
        let (empty, head) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(length, head, &[], empty, &[]);
        self.b.switch_to_block(empty);
        self.write_range(way, at, to, length);
        self.b.ins().jump(end, &[]);
        self.b.switch_to_block(head);
        way.frames.push(frame);
        head
    }

    /// So many elements are to go: some of them until the next pause.
    fn begin_piece(&mut self, frame: &Frame, length: Value) {
        let most = self.b.ins().iconst(types::I64, PIECE_ELEMENTS as i64);
        let left = self.b.ins().umin(length, most);
        let rest = self.b.ins().isub(length, left);
        self.b.def_var(frame.left, left);
        self.b.def_var(frame.rest, rest);
    }

    /// Ends an element: the next one, or what comes after the list.
    fn next(&mut self, way: &mut Way<'_>, head: Block, at: At, elements: Elements) {
        let Some(frame) = way.frames.pop() else { return };
        for (variable, step) in [
            (frame.from, i64::from(elements.from_size)),
            (frame.to, i64::from(elements.to_size)),
            (frame.left, -1),
        ] {
            let value = self.b.use_var(variable);
            let value = self.b.ins().iadd_imm_s(value, step);
            self.b.def_var(variable, value);
        }
        let left = self.b.use_var(frame.left);
        let (pieces, done) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(left, head, &[], pieces, &[]);
        self.b.switch_to_block(pieces);
        let rest = self.b.use_var(frame.rest);
        let pause = self.cold_block();
        self.b.ins().brif(rest, pause, &[], done, &[]);
        self.b.switch_to_block(pause);
        let vm = self.vm;
        self.builtin("adapter_pause", &[vm]);
        self.begin_piece(&frame, rest);
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(done);
        self.write_range(way, at, frame.begin, frame.length);
    }

    /// Checks where values lie that are too many to go flat, and where they go if the destination says so.
    fn check_spilled(&mut self, way: &Way<'_>, elements: Elements) {
        let ptr = self.low(way.source[0]);
        let ptr = self.b.ins().uextend(types::I64, ptr);
        let size = self.b.ins().iconst(types::I64, i64::from(elements.from_size));
        let alignment = usize::from(elements.from_alignment);
        let most = usize::MAX;
        self.check_source(way, Part::Check, (ptr, size), alignment, most, AdapterContent::Values);
        self.charge(way, Part::Check, size);
        if let Some(out) = way.out {
            let out = self.b.ins().uextend(types::I64, out);
            let memory = self.memory(way, true);
            self.leave_unless_inside(memory, (out, size), usize::from(elements.to_alignment), way.refused);
        }
    }

    /// Makes room for them.
    fn spilled(&mut self, way: &mut Way<'_>, elements: Elements) {
        let ptr = self.low(way.source[0]);
        let ptr = self.b.ins().uextend(types::I64, ptr);
        let size = self.b.ins().iconst(types::I64, i64::from(elements.to_size));
        self.charge(way, Part::Move(&[]), size);
        let to = match way.out {
            Some(out) => out,
            None => {
                let alignment = usize::from(elements.to_alignment);
                let (to, _) = self.allocate(way, size, alignment, AdapterContent::Values);
                self.b.def_var(way.slots[0], to);
                to
            }
        };
        let to = self.b.ins().uextend(types::I64, to);
        let [from_at, to_at, left, rest] = [ptr, to, size, size].map(|value| {
            let variable = self.b.declare_var(types::I64);
            self.b.def_var(variable, value);
            variable
        });
        way.frames.push(Frame { from: from_at, to: to_at, left, rest, begin: to, length: size });
    }

    /// Leaves all frames where this is not 0.
    pub(super) fn trap_if(&mut self, wrong: Value, trap: AdapterTrap, first: Option<Value>, second: u32) {
        let bad = self.cold_block();
        let good = self.b.create_block();
        self.b.ins().brif(wrong, bad, &[], good, &[]);
        self.b.switch_to_block(bad);
        self.trap(trap, first, second);
        self.b.switch_to_block(good);
    }

    /// A rule is broken: leaves it to the first part's end, or tells the runtime.
    pub(super) fn broken_if(&mut self, way: &Way<'_>, part: Part<'_>, wrong: Value, trap: AdapterTrap) {
        match part {
            Part::Check => self.leave_if(wrong, way.refused),
            Part::Move(_) => self.trap_if(wrong, trap, None, 0),
        }
    }

    /// Counts bytes that are moved.
    pub(super) fn charge(&mut self, way: &Way<'_>, part: Part<'_>, bytes: Value) {
        let Some(moved) = way.moved else { return };
        if way.counts_late == (part == Part::Check) {
            return;
        }
        let sum = self.b.use_var(moved);
        let sum = self.b.ins().iadd(sum, bytes);
        self.b.def_var(moved, sum);
        if way.counts_late {
            let limit = self.budget();
            let too_many = self.b.ins().icmp(IntCC::UnsignedGreaterThan, sum, limit);
            self.trap_if(too_many, AdapterTrap::CopyBudget, None, 0);
        }
    }
}
