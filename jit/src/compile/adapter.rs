//! A call from one component into another in native code: a plan whose values are core values, strings and lists of numbers.
//!
//! The code is in two parts. The first has no effect: it asks whether the caller may leave, makes every core value what the
//! callee's type says, and checks every range of the caller's memory. Whatever is not as it should be there, and whatever the code does not
//! know (a tagged string), goes to the function that follows the plan, with the caller's own parameters, as if there were no code: so each trap
//! is told by the plan alone. The second part moves what lies in memory: for each region it calls the callee's `realloc`, checks what that
//! returns, and has the bytes moved. Then the callee itself is called. Its result is made what its type says if it is a core value; any
//! other, and one that breaks a rule, is left to the plan for results ([`VmBuiltins::adapter_finish`]).
//!
//! Addresses are all in the [`VmAdapter`], so the code is that of every pair with such a plan.
//!
//! Must not know: stores, instances.
//!
//! [`VmBuiltins::adapter_finish`]: mini_wasm_runtime::vm::VmBuiltins::adapter_finish

use super::call::{as_slot, builtin_signature, never, own_func, slot_area, store_slots};
use super::stubs::begin;
use super::target::{Target, clif_type};
use super::{LeftOut, Worker, stubs};
use crate::cpu::{Arch, CpuFeatures};
use crate::key::CodeKey;
use crate::tables::TablesBuilder;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    Block, BlockArg, FuncRef, InstBuilder, JumpTableData, MemFlagsData, Type, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_module::{FuncId, Linkage, Module};
use mini_wasm_runtime::backend::AdapterInfo;
use mini_wasm_runtime::component::abi::plan::{At, Check, Plan, Scalar, Step, Transcode, transcode};
use mini_wasm_runtime::component::abi::{
    CANONICAL_FLOAT32_NAN, CANONICAL_FLOAT64_NAN, MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH, PtrType,
    StringEncoding,
};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::vm::{CROSSING_SLOTS, VmAdapter, VmImport, VmMemory, VmStore};
use std::collections::BTreeMap;
use std::mem::offset_of;

/// A longer plan is not worth the code.
const MOST_STEPS: usize = 256;

/// Whether the parameters of an adapter can be moved by native code.
fn is_known(adapter: &AdapterInfo) -> bool {
    let (from, to) = adapter.params.sides();
    let (caller, callee) = (adapter.caller.params(), adapter.callee.params());
    // A caller may have one parameter more: where the result goes.
    let same = caller.len() - callee.len().min(caller.len()) <= 1 && caller.starts_with(callee);
    let i32_pointers = from.ptr_type == PtrType::I32 && to.ptr_type == PtrType::I32;
    let knows = |step: &Step| match step {
        Step::Scalar { at: At::Slot(_), .. } | Step::Case { at: At::Slot(_), .. } => true,
        Step::Jump(_) | Step::Zero { .. } => true,
        Step::String { at: At::Slot(_) } => {
            i32_pointers && transcode(from.string_encoding, to.string_encoding).is_some()
        }
        Step::Whole { at: At::Slot(_), check: Check::None, .. } => i32_pointers,
        _ => false,
    };
    same && adapter.callee.results().len() <= 1
        && adapter.params.len() <= MOST_STEPS
        && adapter.params.targets().len() <= MOST_STEPS
        && adapter.params.steps().iter().all(knows)
}

/// The result's one step, if it is a core value on both sides.
fn flat_result(adapter: &AdapterInfo) -> Option<Option<Scalar>> {
    if adapter.caller.results() != adapter.callee.results() {
        return None;
    }
    match adapter.results.steps() {
        [] => Some(None),
        [Step::Scalar { kind, at: At::Slot(0) }] => Some(Some(*kind)),
        // A variant without payloads.
        _ => None,
    }
}

/// Text and tables with the adapter in the place of the stub of type 1. `None` when the plan is to be followed step by step.
pub(crate) fn compile(adapter: &AdapterInfo, verifier: bool) -> Option<super::CompiledModule> {
    if !is_known(adapter) {
        return None;
    }
    let (arch, cpu) = (Arch::host()?, CpuFeatures::host());
    // None of the settings that differ between engines shapes the code; what a plan says of NaNs, it says in its steps.
    let target = Target::new(arch, cpu, &CodeKey::new(&Config::default()), verifier).ok()?;
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assemble(&target, adapter)));
    made.ok()?.ok()
}

fn assemble(target: &Target, adapter: &AdapterInfo) -> Result<super::CompiledModule, LeftOut> {
    let unlinked = |error| LeftOut::Unsupported(format!("it cannot be linked: {error}"));
    let mut module = super::TextModule::new(&*target.isa);
    let mut declare = |name| {
        module.declare_function(name, Linkage::Local, &target.signature(&adapter.caller)).map_err(unlinked)
    };
    let (plan, own) = (declare("plan")?, declare("adapter")?);
    let mut worker = Worker::default();
    let mut tables = TablesBuilder::default();
    for (id, is_own) in [(plan, false), (own, true)] {
        if is_own {
            translate(target, adapter, plan, &mut worker);
        } else {
            stubs::plan(target, &adapter.caller, &mut worker.ctx, &mut worker.frontend);
        }
        let code = worker.stub(target, id, None)?;
        module.define_function_bytes(id, code.alignment, &code.bytes, &code.relocs).map_err(unlinked)?;
        tables.stubs.push(module.start(id).unwrap_or(0));
    }
    tables.text_len = module.len();
    let (text, _) = module.finish().map_err(unlinked)?;
    Ok(super::CompiledModule { text, tables: tables.finish(), left_out: Vec::new() })
}

fn translate(target: &Target, adapter: &AdapterInfo, plan: FuncId, worker: &mut Worker) {
    worker.ctx.clear();
    worker.ctx.func.signature = target.signature(&adapter.caller);
    let (mut b, params) = begin(&mut worker.ctx, &mut worker.frontend);
    let sig = b.import_signature(target.signature(&adapter.caller));
    let plan = own_func(b.func, plan, sig);
    let refused = b.create_block();
    b.set_cold_block(refused);
    let slots = adapter.callee.params().iter().map(|&ty| b.declare_var(clif_type(ty))).collect();
    let adapter_at = params[0];
    let mut t = Translation { target, b, vm: adapter_at, params, slots, refused, moved: None };
    t.whole(adapter, plan);
    t.b.seal_all_blocks();
    t.b.finalize(target.isa.frontend_config());
}

/// Which part of the code is being made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Core values are converted, ranges are checked. No effect yet.
    Check,
    /// What lies in memory is moved.
    Move,
}

struct Translation<'a> {
    target: &'a Target,
    b: FunctionBuilder<'a>,
    /// The [`VmAdapter`].
    vm: Value,
    /// With the context.
    params: Vec<Value>,
    /// The callee's parameters.
    slots: Vec<Variable>,
    /// Where the call is handed over to the plan; nothing has happened yet.
    refused: Block,
    /// Bytes that will be moved, where some are.
    moved: Option<Variable>,
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

    /// The function of a [`VmImport`] in the adapter: address and context.
    fn import(&mut self, at: usize) -> (Value, Value) {
        let vm = self.vm;
        let native = self.field(types::I64, vm, at + offset_of!(VmImport, native));
        (native, self.field(types::I64, vm, at + offset_of!(VmImport, context)))
    }

    fn whole(&mut self, adapter: &AdapterInfo, plan: FuncRef) {
        let vm = self.vm;
        if adapter.asks_caller {
            let word = self.field(types::I64, vm, offset_of!(VmAdapter, caller_may_leave));
            let may_leave = self.b.ins().load(types::I32, MemFlagsData::trusted(), word, 0);
            self.refuse_unless(may_leave);
        }
        let zero = self.b.ins().iconst(types::I64, 0);
        if adapter.params.needs().memory {
            let moved = self.b.declare_var(types::I64);
            self.b.def_var(moved, zero);
            self.moved = Some(moved);
        }
        // So that every one has a value on every way.
        for i in 0..self.slots.len() {
            self.b.def_var(self.slots[i], self.params[i + 1]);
        }
        self.walk(&adapter.params, Part::Check);
        if let Some(moved) = self.moved {
            let moved = self.b.use_var(moved);
            let store = self.field(types::I64, vm, offset_of!(VmAdapter, store));
            let limit = self.word(store, offset_of!(VmStore, copy_bytes_per_call));
            let too_many = self.b.ins().icmp(IntCC::UnsignedGreaterThan, moved, limit);
            self.refuse_if(too_many);
            self.walk(&adapter.params, Part::Move);
        }
        let mut args = vec![];
        let (callee, context) = self.import(offset_of!(VmAdapter, callee));
        args.push(context);
        args.extend(self.slots.iter().map(|&slot| self.b.use_var(slot)).collect::<Vec<_>>());
        let sig = self.b.import_signature(self.target.signature(&adapter.callee));
        let result = flat_result(adapter);
        let as_it_is = match result {
            Some(None) => true,
            Some(Some(kind)) => self.is_identity(kind, adapter.callee.results()[0]),
            None => false,
        };
        if as_it_is && !adapter.has_post_return {
            // What the callee returns, the caller gets.
            self.b.ins().return_call_indirect(sig, callee, &args);
        } else {
            let call = self.b.ins().call_indirect(sig, callee, &args);
            let returned = self.b.inst_results(call).to_vec();
            self.results(adapter, result, &returned);
        }
        self.b.switch_to_block(self.refused);
        let func = self.field(types::I64, vm, offset_of!(VmAdapter, func));
        let mut args = self.params.clone();
        args[0] = func;
        self.b.ins().return_call(plan, &args);
    }

    /// What comes after the callee's return. Fills the block.
    fn results(&mut self, adapter: &AdapterInfo, result: Option<Option<Scalar>>, returned: &[Value]) {
        let Some(kind) = result else { return self.finish(adapter, returned) };
        let mut values = returned.to_vec();
        if let (Some(kind), [value]) = (kind, returned) {
            let (converted, wrong) = self.convert(kind, *value);
            if let Some(wrong) = wrong {
                let (bad, good) = (self.b.create_block(), self.b.create_block());
                self.b.set_cold_block(bad);
                self.b.ins().brif(wrong, bad, &[], good, &[]);
                self.b.switch_to_block(bad);
                self.finish(adapter, returned);
                self.b.switch_to_block(good);
            }
            values = vec![converted];
        }
        if adapter.has_post_return {
            let ty = FuncType::new(adapter.callee.results().iter().copied(), []);
            let sig = self.b.import_signature(self.target.signature(&ty));
            self.own_call(offset_of!(VmAdapter, post_return), sig, returned);
        }
        self.b.ins().return_(&values);
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
        let returned = super::call::load_slots(&mut self.b, values, adapter.caller.results());
        self.b.ins().return_(&returned);
    }

    /// Calls a function of the callee's during which its instance may not leave.
    fn own_call(&mut self, at: usize, sig: cranelift_codegen::ir::SigRef, args: &[Value]) -> Vec<Value> {
        let vm = self.vm;
        let word = self.field(types::I64, vm, offset_of!(VmAdapter, callee_may_leave));
        let (native, context) = self.import(at);
        let [no, yes] = [0, 1].map(|n| self.b.ins().iconst(types::I32, n));
        self.b.ins().store(MemFlagsData::trusted(), no, word, 0);
        let args: Vec<Value> = [context].into_iter().chain(args.iter().copied()).collect();
        let call = self.b.ins().call_indirect(sig, native, &args);
        let results = self.b.inst_results(call).to_vec();
        self.b.ins().store(MemFlagsData::trusted(), yes, word, 0);
        results
    }

    /// Calls a builtin, and leaves all frames when its status is not 0.
    fn builtin(&mut self, name: &'static str, args: &[Value]) {
        let vm = self.vm;
        let table = self.field(types::I64, vm, offset_of!(VmAdapter, builtins));
        let null = self.b.ins().iconst(types::I64, 0);
        let (offset, sig) = builtin_signature(self.target, name);
        let sig = self.b.import_signature(sig);
        let builtin = self.field(types::I64, table, offset as usize);
        let args: Vec<Value> = [null].into_iter().chain(args.iter().copied()).collect();
        let call = self.b.ins().call_indirect(sig, builtin, &args);
        let status = self.b.inst_results(call)[0];
        let (failed, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(failed);
        self.b.ins().brif(status, failed, &[], go_on, &[]);
        self.b.switch_to_block(failed);
        let (offset, sig) = builtin_signature(self.target, "raise");
        let sig = self.b.import_signature(sig);
        let raise = self.field(types::I64, table, offset as usize);
        self.b.ins().call_indirect(sig, raise, &[null, status]);
        never(&mut self.b);
        self.b.switch_to_block(go_on);
    }

    /// Hands the call over to the plan.
    fn refuse_if(&mut self, wrong: Value) {
        let go_on = self.b.create_block();
        self.b.ins().brif(wrong, self.refused, &[], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    fn refuse_unless(&mut self, right: Value) {
        let go_on = self.b.create_block();
        self.b.ins().brif(right, go_on, &[], self.refused, &[]);
        self.b.switch_to_block(go_on);
    }

    /// One part of the code for all steps, in order: jumps lead forward.
    fn walk(&mut self, plan: &Plan, part: Part) {
        let (steps, targets) = (plan.steps(), plan.targets());
        let mut blocks = BTreeMap::new();
        let to = steps.iter().filter_map(|step| if let Step::Jump(to) = step { Some(to) } else { None });
        for &to in targets.iter().chain(to) {
            blocks.entry(to).or_insert_with(|| self.b.create_block());
        }
        let end = steps.len() as u32;
        // Whether the current block has its end.
        let mut filled = false;
        for (i, step) in steps.iter().enumerate() {
            if let Some(&block) = blocks.get(&(i as u32)) {
                if !filled {
                    self.b.ins().jump(block, &[]);
                }
                self.b.switch_to_block(block);
                filled = false;
            }
            match (*step, part) {
                (Step::Case { at: At::Slot(slot), cases, first, .. }, _) => {
                    self.case(usize::from(slot), cases, part, |case| {
                        blocks[&targets[(first + case) as usize]]
                    });
                    filled = true;
                }
                (Step::Jump(to), _) => {
                    self.b.ins().jump(blocks[&to], &[]);
                    filled = true;
                }
                (Step::Scalar { kind, at: At::Slot(slot) }, Part::Check) => {
                    let slot = usize::from(slot);
                    let (value, wrong) = self.convert(kind, self.params[slot + 1]);
                    if let Some(wrong) = wrong {
                        self.refuse_if(wrong);
                    }
                    self.b.def_var(self.slots[slot], value);
                }
                (Step::Zero { first, end }, Part::Check) => {
                    for slot in usize::from(first)..usize::from(end) {
                        let zero = self.zero(slot);
                        self.b.def_var(self.slots[slot], zero);
                    }
                }
                (Step::String { at: At::Slot(slot) }, part) => self.string(usize::from(slot), plan, part),
                (Step::Whole { at: At::Slot(slot), size, alignment, .. }, part) => {
                    self.list(usize::from(slot), size, alignment, part);
                }
                _ => {}
            }
        }
        if let Some(&block) = blocks.get(&end) {
            if !filled {
                self.b.ins().jump(block, &[]);
            }
            self.b.switch_to_block(block);
        }
    }

    fn zero(&mut self, slot: usize) -> Value {
        match self.b.func.dfg.value_type(self.params[slot + 1]) {
            types::F32 => self.b.ins().f32const(0.0),
            types::F64 => self.b.ins().f64const(0.0),
            ty => self.b.ins().iconst(ty, 0),
        }
    }

    fn case(&mut self, slot: usize, cases: u32, part: Part, block: impl Fn(u32) -> Block) {
        let discriminant = self.low(self.params[slot + 1]);
        if part == Part::Check {
            let (value, wrong) = self.convert(Scalar::Enum { size: 4, cases }, self.params[slot + 1]);
            self.refuse_if(wrong.unwrap_or(discriminant));
            self.b.def_var(self.slots[slot], value);
        }
        if let [no, yes] = (0..cases).map(&block).collect::<Vec<_>>()[..] {
            self.b.ins().brif(discriminant, yes, &[], no, &[]);
            return;
        }
        let calls: Vec<_> =
            (0..cases).map(|case| self.b.func.dfg.block_call(block(case), &[] as &[BlockArg])).collect();
        // In the second part no other is possible.
        let default = self.b.func.dfg.block_call(self.refused, &[] as &[BlockArg]);
        let table = self.b.create_jump_table(JumpTableData::new(default, &calls));
        self.b.ins().br_table(discriminant, table);
    }

    // Core values

    /// Does such a value go over as it is?
    fn is_identity(&self, kind: Scalar, ty: ValType) -> bool {
        match kind {
            Scalar::Word64 => true,
            Scalar::Word32 => ty != ValType::I64,
            _ => false,
        }
    }

    fn low(&mut self, value: Value) -> Value {
        low(&mut self.b, value)
    }

    fn convert(&mut self, kind: Scalar, value: Value) -> (Value, Option<Value>) {
        convert(&mut self.b, kind, value)
    }

    // What lies in memory

    /// Pointer and length in two slots, as 64-bit numbers.
    fn range(&mut self, slot: usize) -> (Value, Value) {
        let (ptr, length) = (self.low(self.params[slot + 1]), self.low(self.params[slot + 2]));
        (self.b.ins().uextend(types::I64, ptr), self.b.ins().uextend(types::I64, length))
    }

    fn times(&mut self, n: Value, factor: usize) -> Value {
        if factor == 1 { n } else { self.b.ins().imul_imm_s(n, factor as i64) }
    }

    fn is_unaligned(&mut self, ptr: Value, alignment: usize) -> Option<Value> {
        (alignment > 1).then(|| self.b.ins().band_imm_u(ptr, alignment as i64 - 1))
    }

    /// Checks `bytes` of the source at `ptr`, and counts them.
    fn check_source(&mut self, ptr: Value, bytes: Value, alignment: usize, most: usize) {
        let too_many = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, bytes, most as i64);
        self.refuse_if(too_many);
        if let Some(unaligned) = self.is_unaligned(ptr, alignment) {
            self.refuse_if(unaligned);
        }
        let end = self.b.ins().iadd(ptr, bytes);
        let vm = self.vm;
        let memory = self.field(types::I64, vm, offset_of!(VmAdapter, from));
        let len = self.word(memory, offset_of!(VmMemory, len));
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        self.refuse_if(outside);
        if let Some(moved) = self.moved {
            let sum = self.b.use_var(moved);
            let sum = self.b.ins().iadd(sum, bytes);
            self.b.def_var(moved, sum);
        }
    }

    /// Has `realloc` give a region of `bytes`: where it is, as the guest says and as an address.
    fn allocate(&mut self, bytes: Value, alignment: usize, is_string: bool) -> (Value, Value) {
        let sig = self.target.signature(&FuncType::new([ValType::I32; 4], [ValType::I32]));
        let sig = self.b.import_signature(sig);
        let zero = self.b.ins().iconst(types::I32, 0);
        let align = self.b.ins().iconst(types::I32, alignment as i64);
        let size = self.b.ins().ireduce(types::I32, bytes);
        let ptr = self.own_call(offset_of!(VmAdapter, realloc), sig, &[zero, zero, align, size])[0];
        let wide = self.b.ins().uextend(types::I64, ptr);
        let end = self.b.ins().iadd(wide, bytes);
        let vm = self.vm;
        let memory = self.field(types::I64, vm, offset_of!(VmAdapter, to));
        let (len, base) =
            (self.word(memory, offset_of!(VmMemory, len)), self.word(memory, offset_of!(VmMemory, base)));
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        let wrong = match self.is_unaligned(ptr, alignment) {
            Some(unaligned) => {
                let unaligned = self.b.ins().icmp_imm_u(IntCC::NotEqual, unaligned, 0);
                self.b.ins().bor(outside, unaligned)
            }
            None => outside,
        };
        let (bad, good) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(bad);
        self.b.ins().brif(wrong, bad, &[], good, &[]);
        self.b.switch_to_block(bad);
        let string = self.b.ins().iconst(types::I32, i64::from(is_string));
        let align = self.b.ins().iconst(types::I64, alignment as i64);
        self.builtin("adapter_refuse", &[vm, string, wide, align, bytes]);
        never(&mut self.b);
        self.b.switch_to_block(good);
        (ptr, self.b.ins().iadd(base, wide))
    }

    /// The address of a place in the source that was checked.
    fn source(&mut self, ptr: Value) -> Value {
        let vm = self.vm;
        let memory = self.field(types::I64, vm, offset_of!(VmAdapter, from));
        let base = self.word(memory, offset_of!(VmMemory, base));
        self.b.ins().iadd(base, ptr)
    }

    /// What the callee gets: pointer and length.
    fn set_range(&mut self, slot: usize, ptr: Value, length: Value) {
        for (slot, value) in [(slot, ptr), (slot + 1, length)] {
            let value = match self.b.func.dfg.value_type(self.params[slot + 1]) {
                types::I64 => as_slot(&mut self.b, value),
                types::F32 => self.b.ins().bitcast(types::F32, MemFlagsData::new(), value),
                _ => value,
            };
            self.b.def_var(self.slots[slot], value);
        }
    }

    fn string(&mut self, slot: usize, plan: &Plan, part: Part) {
        let (from, to) = plan.sides();
        let Some(transcode) = transcode(from.string_encoding, to.string_encoding) else { return };
        let (ptr, units) = self.range(slot);
        let (unit, to_unit) = transcode.units();
        let (alignment, to_alignment) = transcode.alignments();
        if part == Part::Check {
            if from.string_encoding == StringEncoding::Latin1OrUtf16 {
                // Tagged: it is UTF-16. (No string of Latin-1 is as long.)
                let tagged = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, units, 0x7fff_ffff);
                self.refuse_if(tagged);
            }
            let bytes = self.times(units, unit);
            return self.check_source(ptr, bytes, alignment, MAX_STRING_BYTE_LENGTH);
        }
        let bytes = self.times(units, to_unit);
        let (at, address) = self.allocate(bytes, to_alignment, true);
        let source = self.source(ptr);
        match transcode {
            Transcode::Latin1 => self.builtin("adapter_list", &[source, address, bytes]),
            _ => {
                let number = self.b.ins().iconst(types::I32, i64::from(transcode as u32));
                let vm = self.vm;
                self.builtin("adapter_string", &[vm, number, source, address, units]);
            }
        }
        let length = self.low(self.params[slot + 2]);
        self.set_range(slot, at, length);
    }

    fn list(&mut self, slot: usize, size: u32, alignment: u8, part: Part) {
        let (ptr, length) = self.range(slot);
        // Below 2^32 elements of less than 2^28 bytes.
        let bytes = self.times(length, size as usize);
        let alignment = usize::from(alignment);
        if part == Part::Check {
            return self.check_source(ptr, bytes, alignment, MAX_LIST_BYTE_LENGTH);
        }
        let (at, address) = self.allocate(bytes, alignment, false);
        let source = self.source(ptr);
        self.builtin("adapter_list", &[source, address, bytes]);
        let length = self.low(self.params[slot + 2]);
        self.set_range(slot, at, length);
    }
}

/// The low 32 bits of a core value.
fn low(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    match b.func.dfg.value_type(value) {
        types::I64 => b.ins().ireduce(types::I32, value),
        types::F32 => b.ins().bitcast(types::I32, MemFlagsData::new(), value),
        _ => value,
    }
}

/// The value that a core value means, as a core value of the same type; and whether it is none, where that can be.
pub(super) fn convert(b: &mut FunctionBuilder<'_>, kind: Scalar, value: Value) -> (Value, Option<Value>) {
    let ty = b.func.dfg.value_type(value);
    match (kind, ty) {
        (Scalar::Word64, _) | (Scalar::Word32, types::I32 | types::F32) => return (value, None),
        (Scalar::F64, _) => {
            let bits = if ty == types::F64 {
                value
            } else {
                b.ins().bitcast(types::F64, MemFlagsData::new(), value)
            };
            let is_nan = b.ins().fcmp(FloatCC::Unordered, bits, bits);
            let nan = b.ins().iconst(types::I64, CANONICAL_FLOAT64_NAN as i64);
            let nan = b.ins().bitcast(types::F64, MemFlagsData::new(), nan);
            let fixed = b.ins().select(is_nan, nan, bits);
            let fixed = if ty == types::F64 {
                fixed
            } else {
                b.ins().bitcast(types::I64, MemFlagsData::new(), fixed)
            };
            return (fixed, None);
        }
        _ => {}
    }
    let low = low(b, value);
    let mut wrong = None;
    let low = match kind {
        Scalar::Bool => {
            let is = b.ins().icmp_imm_u(IntCC::NotEqual, low, 0);
            b.ins().uextend(types::I32, is)
        }
        Scalar::U8 => b.ins().band_imm_u(low, 0xff),
        Scalar::U16 => b.ins().band_imm_u(low, 0xffff),
        Scalar::S8 => {
            let byte = b.ins().ireduce(types::I8, low);
            b.ins().sextend(types::I32, byte)
        }
        Scalar::S16 => {
            let half = b.ins().ireduce(types::I16, low);
            b.ins().sextend(types::I32, half)
        }
        Scalar::Flags { mask, .. } => b.ins().band_imm_u(low, i64::from(mask)),
        Scalar::F32 => {
            let float = b.ins().bitcast(types::F32, MemFlagsData::new(), low);
            let is_nan = b.ins().fcmp(FloatCC::Unordered, float, float);
            let nan = b.ins().iconst(types::I32, i64::from(CANONICAL_FLOAT32_NAN));
            b.ins().select(is_nan, nan, low)
        }
        Scalar::Char => {
            let high = b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, low, 0x10_ffff);
            let block = b.ins().band_imm_u(low, 0xffff_f800);
            let surrogate = b.ins().icmp_imm_u(IntCC::Equal, block, 0xd800);
            wrong = Some(b.ins().bor(high, surrogate));
            low
        }
        Scalar::Enum { cases, .. } => {
            wrong = Some(b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, low, i64::from(cases)));
            low
        }
        Scalar::Word32 | Scalar::Word64 | Scalar::F64 => low,
    };
    let value = match ty {
        types::I64 => as_slot(b, low),
        types::F32 => b.ins().bitcast(types::F32, MemFlagsData::new(), low),
        _ => low,
    };
    (value, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_runtime::component::abi::ValType as ComponentValType;
    use mini_wasm_runtime::component::abi::flatten::{CoreType, FlattenContext, flatten_functype};
    use mini_wasm_runtime::component::abi::plan::Side;
    use mini_wasm_runtime::component::abi::{
        FuncType as ComponentFuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
    };

    fn adapter(
        params: &[ComponentValType],
        result: ComponentValType,
        encoding: StringEncoding,
    ) -> AdapterInfo {
        let side = Side { string_encoding: encoding, ptr_type: PtrType::I32 };
        let ty = ComponentFuncType::new(params.iter().map(|ty| ("p", ty.clone())), Some(result));
        let core = |context| {
            let flat = flatten_functype(PtrType::I32, &ty, context);
            let types = |types: &[CoreType]| -> Vec<ValType> {
                let name = |ty: &CoreType| match ty {
                    CoreType::I32 => ValType::I32,
                    CoreType::I64 => ValType::I64,
                    CoreType::F32 => ValType::F32,
                    CoreType::F64 => ValType::F64,
                };
                types.iter().map(name).collect()
            };
            FuncType::new(types(flat.params.as_slice()), types(flat.results.as_slice()))
        };
        AdapterInfo {
            caller: core(FlattenContext::Lower),
            callee: core(FlattenContext::Lift),
            params: Plan::new(ty.param_types(), MAX_FLAT_PARAMS, side, side, true).unwrap(),
            results: Plan::new(ty.result_types(), MAX_FLAT_RESULTS, side, side, true).unwrap(),
            asks_caller: true,
            has_post_return: true,
        }
    }

    #[test]
    fn adapters_compile_for_every_architecture_and_unknown_steps_are_left_to_the_plan() {
        use ComponentValType::{Bool, Char, F32, F64, S8, S16, String, U8, U16, U32, U64};
        let list = ComponentValType::list(U32).unwrap();
        let variant = ComponentValType::result(Some(F64), Some(list.clone())).unwrap();
        let known = [
            adapter(&[Bool, S8, U16, S16, Char, F32, F64, U64], U8, StringEncoding::Utf8),
            adapter(&[String, list.clone(), Char], Char, StringEncoding::Latin1OrUtf16),
            adapter(&[variant, String], String, StringEncoding::Utf16),
        ];
        for arch in Arch::ALL {
            let key = CodeKey::new(&Config::default());
            let target = Target::new(arch, CpuFeatures::baseline(arch), &key, true).unwrap();
            for adapter in &known {
                assert!(is_known(adapter), "{adapter:?}");
                let made =
                    assemble(&target, adapter).unwrap_or_else(|why| panic!("{}: {why}", arch.triple()));
                assert!(!made.text.is_empty());
            }
        }
        let strings = ComponentValType::list(String).unwrap();
        assert!(!is_known(&adapter(&[strings], U8, StringEncoding::Utf8)));
    }
}
