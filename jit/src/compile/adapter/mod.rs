//! A call from one component into another in native code: the plans of its parameters and of its results (canonical-abi/plan), with all
//! that is known of both sides.
//!
//! In each direction the code is in two parts. The first has no effect: it asks whether the caller may leave, makes every core value what
//! the other side's type says, and checks every range of memory that a core value names. Whatever is not as it should be there goes to the
//! plan in the runtime, from the start of this direction, as if there were no code: so most traps are told by the plan alone. The second part
//! ([`walk`]) follows the plan step by step: it has `realloc` called and checks what that returns, moves bytes, and moves handles from table
//! to table. Rules that it finds broken then, among values that lie in memory, it names to the runtime, which tells them in the plan's words.
//!
//! Addresses are all in the [`VmAdapter`], so the code is that of every pair with such plans.
//!
//! | room | what |
//! |------|------|
//! | [`walk`] | the steps of a plan: jumps, lists, values without parts |
//! | [`region`] | places in memory: ranges, `realloc`, what is a call of the runtime |
//! | [`content`] | strings, and lists that move as a whole |
//! | [`handle`] | own and borrow: tables, lends, the call that has borrows |
//! | [`scalar`] | conversions |
//!
//! Must not know: stores, instances.

mod content;
mod handle;
mod region;
mod scalar;
#[cfg(test)]
mod tests;
mod walk;

use super::call::{builtin_signature, load_slots, never, own_func, slot_area, store_slots};
use super::stubs::begin;
use super::target::{Target, clif_type};
use super::{LeftOut, Worker, stubs};
use crate::cpu::{Arch, CpuFeatures};
use crate::key::CodeKey;
use crate::tables::{NONE, TablesBuilder};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, FuncRef, InstBuilder, MemFlagsData, SigRef, StackSlot, Type, Value, types,
};
use cranelift_frontend::FunctionBuilder;
use cranelift_module::{FuncId, Linkage, Module, ModuleError};
use mini_wasm_runtime::backend::AdapterInfo;
use mini_wasm_runtime::component::abi::PtrType;
use mini_wasm_runtime::component::abi::plan::{Plan, Scalar, Step};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::types::FuncType;
use mini_wasm_runtime::vm::{CROSSING_SLOTS, VmAdapter, VmImport, VmStore};
use std::mem::offset_of;
use std::time::Instant;
use walk::{Part, Way};

pub(super) use scalar::convert;

/// A longer plan is not worth the code.
const MOST_STEPS: usize = 256;

/// Bytes of stack. Adapters do not look at the limit: guests do, on both sides, and leave far more than that.
const LARGEST_FRAME: u32 = 4 << 10;

/// Whether there is code for the steps of a plan.
fn is_known(plan: &Plan) -> bool {
    let (from, to) = plan.sides();
    let i32_pointers = from.ptr_type == PtrType::I32 && to.ptr_type == PtrType::I32;
    let mut depth = 0;
    let knows = |step: &Step| match step {
        Step::List { .. } => {
            depth += 1;
            true
        }
        Step::Next { .. } => {
            depth -= 1;
            true
        }
        // How many are lent is known before.
        Step::Borrow { .. } => depth == 0,
        Step::Repeat { .. } => false,
        _ => true,
    };
    (i32_pointers || !plan.needs().memory)
        && plan.len() <= MOST_STEPS
        && plan.targets().len() <= MOST_STEPS
        && plan.steps().iter().all(knows)
}

/// Whether the parameters of an adapter can be moved by native code.
fn knows_params(adapter: &AdapterInfo) -> bool {
    let (caller, callee) = (adapter.caller.params(), adapter.callee.params());
    // A caller may have one parameter more: where the result goes.
    let same = caller.len() - callee.len().min(caller.len()) <= 1 && caller.starts_with(callee);
    same && adapter.callee.results().len() <= 1 && is_known(&adapter.params)
}

/// The plan of the results, if native code can move them.
fn known_results(adapter: &AdapterInfo) -> Option<&Plan> {
    let plan = adapter.results.as_ref()?;
    let (caller, callee) = (&adapter.caller, &adapter.callee);
    let as_planned = match plan.steps().first() {
        Some(Step::Spilled { .. }) => {
            caller.results().is_empty()
                && callee.results().len() == 1
                && caller.params().len() == callee.params().len() + 1
        }
        _ => caller.results() == callee.results() && caller.params() == callee.params(),
    };
    (as_planned && is_known(plan)).then_some(plan)
}

/// Text and tables with the adapter in the place of the first stub. `None` when the plan is to be followed step by step.
pub(crate) fn compile(
    adapter: &AdapterInfo,
    verifier: bool,
    until: Instant,
) -> Option<super::CompiledModule> {
    let (arch, cpu) = (Arch::host()?, CpuFeatures::host());
    // None of the settings that differ between engines shapes the code; what a plan says of NaNs, it says in its steps.
    let target = Target::new(arch, cpu, &CodeKey::new(&Config::default()), verifier).ok()?;
    if knows_params(adapter) { assemble(&target, std::slice::from_ref(adapter), until).ok() } else { None }
}

/// The same for all of these, in order. One that is left to its plan, as those are whose turn does not come before `until`, has no stub.
pub(crate) fn assemble(
    target: &Target,
    adapters: &[AdapterInfo],
    until: Instant,
) -> Result<super::CompiledModule, LeftOut> {
    let mut module = super::TextModule::new(&*target.isa);
    let mut tables = TablesBuilder::default();
    for (i, adapter) in adapters.iter().enumerate() {
        let start = match knows_params(adapter) && Instant::now() <= until {
            true => define(target, &mut module, i, adapter)?,
            false => NONE,
        };
        tables.stubs.push(start);
    }
    tables.text_len = module.len();
    let (text, _) = module.finish().map_err(unlinked)?;
    Ok(super::CompiledModule { text, tables: tables.finish(), left_out: Vec::new() })
}

fn unlinked(error: ModuleError) -> LeftOut {
    LeftOut::Unsupported(format!("it cannot be linked: {error}"))
}

/// Where its code starts.
fn define(
    target: &Target,
    module: &mut super::TextModule<'_>,
    number: usize,
    adapter: &AdapterInfo,
) -> Result<u32, LeftOut> {
    let mut declare = |name: &str| {
        let sig = target.signature(&adapter.caller);
        module.declare_function(&format!("{name} {number}"), Linkage::Local, &sig).map_err(unlinked)
    };
    let (plan, own) = (declare("plan")?, declare("adapter")?);
    let mut worker = Worker::default();
    stubs::plan(target, &adapter.caller, &mut worker.ctx, &mut worker.frontend);
    let back = worker.stub(target, plan, None)?;
    module.define_function_bytes(plan, back.alignment, &back.bytes, &back.relocs).map_err(unlinked)?;
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        translate(target, adapter, plan, &mut worker);
        super::run_cranelift(&mut worker.ctx, target)?;
        worker.finish(own, None, LARGEST_FRAME)
    }));
    let Ok(Ok(code)) = made else {
        // Nobody calls it.
        module.define_function_bytes(own, back.alignment, &back.bytes, &back.relocs).map_err(unlinked)?;
        return Ok(NONE);
    };
    module.define_function_bytes(own, code.alignment, &code.bytes, &code.relocs).map_err(unlinked)?;
    Ok(module.start(own).unwrap_or(NONE))
}

fn translate(target: &Target, adapter: &AdapterInfo, plan: FuncId, worker: &mut Worker) {
    worker.ctx.clear();
    worker.ctx.func.signature = target.signature(&adapter.caller);
    let (mut b, params) = begin(&mut worker.ctx, &mut worker.frontend);
    let sig = b.import_signature(target.signature(&adapter.caller));
    let plan = own_func(b.func, plan, sig);
    let mut t = Translation { target, b, vm: params[0], params, text: None };
    t.whole(adapter, plan);
    t.b.seal_all_blocks();
    t.b.finalize(target.isa.frontend_config());
}

struct Translation<'a> {
    target: &'a Target,
    b: FunctionBuilder<'a>,
    /// The [`VmAdapter`].
    vm: Value,
    /// With the context.
    params: Vec<Value>,
    /// What strings are handed over in that the runtime moves.
    text: Option<StackSlot>,
}

/// Fields that never change while code runs, and may be read in any order.
fn fixed() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

impl Translation<'_> {
    fn field(&mut self, ty: Type, base: Value, offset: usize) -> Value {
        self.b.ins().load(ty, fixed(), base, offset as i32)
    }

    /// A word that guests change.
    fn word(&mut self, base: Value, offset: usize) -> Value {
        self.b.ins().load(types::I64, MemFlagsData::trusted(), base, offset as i32)
    }

    /// An address in the adapter.
    fn own(&mut self, offset: usize) -> Value {
        let vm = self.vm;
        self.field(types::I64, vm, offset)
    }

    /// The function of a [`VmImport`] in the adapter: address and context.
    fn import(&mut self, at: usize) -> (Value, Value) {
        (self.own(at + offset_of!(VmImport, native)), self.own(at + offset_of!(VmImport, context)))
    }

    fn cold_block(&mut self) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }

    fn whole(&mut self, adapter: &AdapterInfo, plan: FuncRef) {
        let refused = self.cold_block();
        if adapter.asks_caller {
            let word = self.own(offset_of!(VmAdapter, caller_may_leave));
            let may_leave = self.b.ins().load(types::I32, MemFlagsData::trusted(), word, 0);
            self.go_on_if(may_leave, refused);
        }
        let slots = adapter.callee.params().iter().map(|&ty| self.b.declare_var(clif_type(ty))).collect();
        let source = self.params[1..].to_vec();
        let mut way = Way::new(self, &adapter.params, false, source, slots, None, refused);
        self.walk(&mut way, Part::Check);
        self.check_budget(&way);
        let task = self.begin_task(adapter, refused);
        let needs = adapter.params.needs();
        if needs.memory || needs.own || needs.borrow {
            self.walk(&mut way, Part::Move(&adapter.callee_defines));
        }
        let mut args = vec![];
        let (callee, context) = self.import(offset_of!(VmAdapter, callee));
        args.push(context);
        args.extend(way.slots.iter().map(|&slot| self.b.use_var(slot)).collect::<Vec<_>>());
        let sig = self.b.import_signature(self.target.signature(&adapter.callee));
        let results = known_results(adapter);
        let as_it_is = results.is_some_and(|plan| match plan.steps() {
            [] => true,
            [Step::Scalar { kind, .. }] => scalar::is_identity(*kind, adapter.callee.results()[0]),
            _ => false,
        });
        if as_it_is && !adapter.has_post_return && task.is_none() && way.lent.is_empty() {
            // What the callee returns, the caller gets.
            self.b.ins().return_call_indirect(sig, callee, &args);
        } else {
            let call = self.b.ins().call_indirect(sig, callee, &args);
            let returned = self.b.inst_results(call).to_vec();
            self.end_task(task);
            self.give_back(&way);
            self.results(adapter, results, returned);
        }
        self.b.switch_to_block(refused);
        let func = self.own(offset_of!(VmAdapter, func));
        let mut args = self.params.clone();
        args[0] = func;
        self.b.ins().return_call(plan, &args);
    }

    /// What comes after the callee's return. Fills the block.
    fn results(&mut self, adapter: &AdapterInfo, plan: Option<&Plan>, returned: Vec<Value>) {
        let Some(plan) = plan else { return self.finish(adapter, &returned) };
        let unfinished = self.cold_block();
        let slots = adapter.caller.results().iter().map(|&ty| self.b.declare_var(clif_type(ty))).collect();
        let out = (adapter.caller.params().len() > adapter.callee.params().len())
            .then(|| self.params[adapter.caller.params().len()]);
        let mut way = Way::new(self, plan, true, returned.clone(), slots, out, unfinished);
        way.resources = adapter.params.resources().len();
        self.walk(&mut way, Part::Check);
        self.check_budget(&way);
        if plan.needs().memory || plan.needs().own {
            self.walk(&mut way, Part::Move(&[]));
        }
        if adapter.has_post_return {
            let ty = FuncType::new(adapter.callee.results().iter().copied(), []);
            let sig = self.b.import_signature(self.target.signature(&ty));
            self.own_call(
                offset_of!(VmAdapter, callee_may_leave),
                offset_of!(VmAdapter, post_return),
                sig,
                &returned,
            );
        }
        let values: Vec<Value> = way.slots.iter().map(|&slot| self.b.use_var(slot)).collect();
        self.b.ins().return_(&values);
        self.b.switch_to_block(unfinished);
        self.finish(adapter, &returned);
    }

    /// Leaves results and `post-return` to the plan. Fills the block.
    fn finish(&mut self, adapter: &AdapterInfo, returned: &[Value]) {
        let (values, results) =
            (slot_area(&mut self.b, adapter.caller.call_slots()), slot_area(&mut self.b, CROSSING_SLOTS));
        let values = self.b.ins().stack_addr(types::I64, values, 0);
        let results = self.b.ins().stack_addr(types::I64, results, 0);
        let params = self.params[1..].to_vec();
        store_slots(&mut self.b, values, adapter.caller.params(), &params);
        store_slots(&mut self.b, results, adapter.callee.results(), returned);
        let vm = self.vm;
        self.builtin("adapter_finish", &[vm, values, results]);
        let returned = load_slots(&mut self.b, values, adapter.caller.results());
        self.b.ins().return_(&returned);
    }

    /// Calls a function of an instance during which that may not leave.
    fn own_call(&mut self, may_leave: usize, at: usize, sig: SigRef, args: &[Value]) -> Vec<Value> {
        let word = self.own(may_leave);
        let (native, context) = self.import(at);
        let [no, yes] = [0, 1].map(|n| self.b.ins().iconst(types::I32, n));
        self.b.ins().store(MemFlagsData::trusted(), no, word, 0);
        let args: Vec<Value> = [context].into_iter().chain(args.iter().copied()).collect();
        let call = self.b.ins().call_indirect(sig, native, &args);
        let results = self.b.inst_results(call).to_vec();
        self.b.ins().store(MemFlagsData::trusted(), yes, word, 0);
        results
    }

    /// Calls a builtin: what it answers with.
    fn call_builtin(&mut self, name: &'static str, args: &[Value]) -> Option<Value> {
        let table = self.own(offset_of!(VmAdapter, builtins));
        let null = self.b.ins().iconst(types::I64, 0);
        let (offset, sig) = builtin_signature(self.target, name);
        let sig = self.b.import_signature(sig);
        let builtin = self.field(types::I64, table, offset as usize);
        let args: Vec<Value> = [null].into_iter().chain(args.iter().copied()).collect();
        let call = self.b.ins().call_indirect(sig, builtin, &args);
        self.b.inst_results(call).first().copied()
    }

    /// Calls a builtin that answers with a status, and leaves all frames when that is not 0.
    fn builtin(&mut self, name: &'static str, args: &[Value]) {
        if let Some(status) = self.call_builtin(name, args) {
            self.leave_unless_ok(status);
        }
    }

    /// Calls a builtin that answers with a number, or with a status in the upper half: the number.
    fn builtin_number(&mut self, name: &'static str, args: &[Value]) -> Option<Value> {
        let both = self.call_builtin(name, args)?;
        let status = self.b.ins().ushr_imm_u(both, 32);
        let status = self.b.ins().ireduce(types::I32, status);
        self.leave_unless_ok(status);
        Some(self.b.ins().ireduce(types::I32, both))
    }

    fn leave_unless_ok(&mut self, status: Value) {
        let (failed, go_on) = (self.cold_block(), self.b.create_block());
        self.b.ins().brif(status, failed, &[], go_on, &[]);
        self.b.switch_to_block(failed);
        self.call_builtin("raise", &[status]);
        never(&mut self.b);
        self.b.switch_to_block(go_on);
    }

    /// Goes to a block where this is not 0.
    fn leave_if(&mut self, wrong: Value, to: Block) {
        let go_on = self.b.create_block();
        self.b.ins().brif(wrong, to, &[], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Goes to a block where this is 0.
    fn go_on_if(&mut self, right: Value, otherwise: Block) {
        let go_on = self.b.create_block();
        self.b.ins().brif(right, go_on, &[], otherwise, &[]);
        self.b.switch_to_block(go_on);
    }

    /// The most bytes that may be moved in one direction.
    fn budget(&mut self) -> Value {
        let store = self.own(offset_of!(VmAdapter, store));
        self.word(store, offset_of!(VmStore, copy_bytes_per_call))
    }

    /// At the end of the first part: the sum of what is going to be moved.
    fn check_budget(&mut self, way: &Way<'_>) {
        let Some(moved) = way.moved else { return };
        if !way.counts_late {
            let (moved, limit) = (self.b.use_var(moved), self.budget());
            let too_many = self.b.ins().icmp(IntCC::UnsignedGreaterThan, moved, limit);
            self.leave_if(too_many, way.refused);
        }
    }

    fn low(&mut self, value: Value) -> Value {
        scalar::low(&mut self.b, value)
    }

    fn convert(&mut self, kind: Scalar, value: Value) -> (Value, Option<Value>) {
        scalar::convert(&mut self.b, kind, value)
    }
}
