//! One function: from wasm operators to CLIF (core specification 4.4 "Instructions", control in 4.4.8).
//!
//! The operand stack holds SSA values, locals are variables of the frontend, labels are blocks with parameters. Nesting is a
//! vector, not recursion. Code that cannot be reached is read and skipped.
//!
//! Must not know: how code is linked, loaded or entered.

use super::call::Sigs;
use super::exception::Exceptions;
use super::lower;
use super::memory::MemTy;
use super::target::{Target, clif_type};
use super::{LeftOut, Symbols};
use super::{atomic, simd};
use crate::key::CodeKey;
use cranelift_codegen::Context;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AliasRegion, AliasRegionData, Block, BlockArg, InstBuilder, JumpTableData, MemFlagsData, SourceLoc,
    StackSlot, TrapCode, Type, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use mini_wasm_runtime::for_each_op;
use mini_wasm_runtime::module::fuel::{Charge, FuelPlan};
use mini_wasm_runtime::module::{FuncIdx, ModuleInfo, TypeIdx};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::vm::{VmContext, VmStore};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use wasmparser::{BinaryReader, BlockType, FunctionBody, Operator};

/// Most SSA values a function may need; beyond, Cranelift's time and memory are out of proportion and the interpreter runs it.
const MOST_VALUES: usize = 1 << 19;
/// Calls with more parameters and results than this are wide.
const WIDE_CALL: usize = 16;
/// Most parameters and results of all wide calls of a function: a few bytes of wasm can ask for thousands.
const MOST_WIDE: usize = 1 << 16;
/// Most entries of all branch tables of a function: each is a word of its text, and one byte of wasm.
const MOST_TARGETS: usize = 1 << 18;
/// Most pairs of locals and blocks: the frontend's SSA construction looks at each, and may make an operand of each branch of it.
const MOST_LOCALS_TIMES_BLOCKS: usize = 1 << 25;

/// Expands the rows of the table, all classes but `custom`: operands from the stack, the row's function in `lower`.
macro_rules! operators_by_row {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_trap { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_trap { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        compare { $($d:ident $dt:literal $da:ident $dm:ident $dn:ident $dl:ident;)* }
        compare_float { $($e:ident $et:literal $ea:ident $em:ident $el:ident;)* }
        test { $($t:ident $tt:literal $ta:ident $tm:ident $tl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        custom { $($x:ident $xt:literal $xf:ident;)* }
    ) => {
        /// Lowers an operator by its row; hands back those of class `custom`, and those the table does not have.
        fn by_row<'a, 'o>(t: &mut Translation<'a>, op: Operator<'o>) -> Option<Operator<'o>> {
            match op {
                $(Operator::$u => t.unary(lower::$ul),)*
                $(Operator::$v => t.unary(lower::$vl),)*
                $(Operator::$b => t.binary(lower::$bl),)*
                $(Operator::$c => t.binary(lower::$cl),)*
                $(Operator::$d => t.compare(lower::$dl),)*
                $(Operator::$e => t.compare(lower::$el),)*
                $(Operator::$t => {
                    let a = t.pop();
                    let truth = lower::$tl(t, a);
                    t.push_bool(truth);
                })*
                $(Operator::$l { memarg } => t.load(&memarg, MemTy::$lm, operators_by_row!(@clif $lr)),)*
                $(Operator::$s { memarg } => t.store_to(&memarg, MemTy::$sm),)*
                custom => return Some(custom),
            }
            None
        }
    };
    (@clif i32) => { types::I32 };
    (@clif i64) => { types::I64 };
    (@clif f32) => { types::F32 };
    (@clif f64) => { types::F64 };
}
for_each_op!(operators_by_row);

/// What the functions of one module share while they are compiled.
pub(crate) struct ModuleEnv<'a> {
    pub(crate) info: &'a ModuleInfo,
    pub(crate) target: &'a Target,
    pub(crate) key: CodeKey,
    pub(crate) symbols: &'a Symbols,
    /// By type: is the stub for calls of functions without native code wanted?
    pub(crate) stubs_wanted: &'a [AtomicBool],
    /// When translation gives up.
    pub(crate) until: Option<Instant>,
}

/// Disjoint kinds of memory, so that a store to one does not invalidate loads of another.
#[derive(Clone, Copy)]
pub(crate) struct Regions {
    vmctx: AliasRegion,
    heap: AliasRegion,
    table: AliasRegion,
    global: AliasRegion,
    /// Fields and elements of objects; declared when the first is reached.
    pub(super) objects: Option<AliasRegion>,
}

impl Regions {
    fn new(func: &mut ir::Function) -> Regions {
        let mut region = |user_id, description: &'static str| {
            func.dfg.alias_regions.insert(AliasRegionData { user_id, description: description.into() })
        };
        Regions {
            vmctx: region(0, "vmctx"),
            heap: region(1, "heap"),
            table: region(2, "table"),
            global: region(3, "global"),
            objects: None,
        }
    }

    /// A field that never changes while the instance lives.
    pub(crate) fn fixed(self) -> MemFlagsData {
        self.field().with_readonly().with_can_move()
    }

    /// A field of the engine's structures.
    pub(crate) fn field(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.vmctx))
    }

    /// Linear memory.
    pub(crate) fn heap(self) -> MemFlagsData {
        MemFlagsData::new().with_endianness(ir::Endianness::Little).with_alias_region(Some(self.heap))
    }

    /// Elements of tables.
    pub(crate) fn table(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.table))
    }

    /// Values of globals.
    pub(crate) fn global(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.global))
    }
}

/// A label and what is open around it.
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Where the construct ends; takes the results. Unused by loops.
    pub(super) next: Block,
    /// Operands below the construct's parameters.
    pub(super) height: usize,
    pub(super) results: usize,
    /// Something branches to `next`.
    pub(super) branched: bool,
}

pub(super) enum Kind {
    Func,
    Block,
    Loop {
        header: Block,
        params: usize,
    },
    /// An `if` whose `else` was not met yet: where it goes and with what.
    If {
        otherwise: Block,
        params: Vec<Value>,
    },
    Else,
    TryTable,
    /// The body of a legacy `try`.
    Try,
    /// A clause of a legacy `try`: where the clauses behind it land, the last first, and the reference to what this one has caught.
    Catch {
        rest: Vec<Option<Block>>,
        reference: Option<Value>,
    },
}

/// The translation of one function.
pub(crate) struct Translation<'a> {
    pub(crate) b: FunctionBuilder<'a>,
    pub(crate) env: &'a ModuleEnv<'a>,
    pub(crate) vmctx: Value,
    pub(crate) regions: Regions,
    pub(crate) sigs: Sigs,
    /// Where results go that do not fit in registers.
    pub(crate) result_area: Option<Value>,
    /// Does the function call anything? Then its prologue checks the stack.
    pub(crate) calls: bool,
    /// Parameters and results of wide calls so far.
    wide: usize,
    /// Entries of branch tables so far.
    targets: usize,
    pub(super) exceptions: Exceptions,
    pub(super) stack: Vec<Value>,
    pub(super) frames: Vec<Frame>,
    locals: Vec<Variable>,
    ty: FuncType,
    pub(super) reachable: bool,
    /// Constructs opened in unreachable code.
    dead: usize,
}

/// Translates own function `own` into `ctx.func`. Answers with the stack slot that holds the `VmContext`, if anything can be caught.
pub(crate) fn translate(
    env: &ModuleEnv<'_>,
    own: usize,
    ctx: &mut Context,
    frontend: &mut FunctionBuilderContext,
) -> Result<Option<StackSlot>, LeftOut> {
    let info = env.info;
    let func_idx = FuncIdx(info.imported_funcs + own as u32);
    let ty = info.func_type(func_idx).clone();
    ctx.clear();
    ctx.func.name = UserFuncName::user(0, env.symbols.own[own].as_u32());
    ctx.func.signature = env.target.signature(&ty);
    let regions = Regions::new(&mut ctx.func);
    let mut b = FunctionBuilder::new(&mut ctx.func, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let params = b.block_params(entry).to_vec();
    let hidden = usize::from(!env.target.results_in_registers(ty.results()));
    let next = b.create_block();
    let mut t = Translation {
        vmctx: params[0],
        result_area: (hidden == 1).then(|| params[1]),
        b,
        env,
        regions,
        sigs: Sigs::default(),
        calls: false,
        wide: 0,
        targets: 0,
        exceptions: Exceptions::default(),
        stack: Vec::new(),
        frames: vec![Frame {
            kind: Kind::Func,
            next,
            height: 0,
            results: ty.results().len(),
            branched: false,
        }],
        locals: Vec::new(),
        ty,
        reachable: true,
        dead: 0,
    };
    let done = t.function(own, &params[1 + hidden..], entry);
    match done {
        Ok(kept) => {
            t.b.finalize(env.target.isa.frontend_config());
            Ok(kept)
        }
        Err(why) => {
            // The builder's context must be left empty for the next function; a fresh one is the plain way.
            drop(t);
            *frontend = FunctionBuilderContext::new();
            Err(why)
        }
    }
}

fn wasm_type(ty: wasmparser::ValType) -> Type {
    match ty {
        wasmparser::ValType::I32 => types::I32,
        wasmparser::ValType::I64 | wasmparser::ValType::Ref(_) => types::I64,
        wasmparser::ValType::F32 => types::F32,
        wasmparser::ValType::F64 => types::F64,
        wasmparser::ValType::V128 => simd::WAITING,
    }
}

impl<'a> Translation<'a> {
    fn function(&mut self, own: usize, params: &[Value], entry: Block) -> Result<Option<StackSlot>, LeftOut> {
        let info = self.env.info;
        let body = info.bodies.get(own).ok_or(LeftOut::Malformed)?;
        let bytes = info.wasm.file().get(body.range.clone()).ok_or(LeftOut::Malformed)?;
        let reader = FunctionBody::new(BinaryReader::new(bytes, body.range.start as u64));

        self.look_for_tries(bytes, body.range.start)?;
        for &param in params {
            let var = self.b.declare_var(self.b.func.dfg.value_type(param));
            self.b.def_var(var, param);
            self.locals.push(var);
        }
        for local in reader.get_locals_reader().map_err(|_| LeftOut::Malformed)? {
            let (count, ty) = local.map_err(|_| LeftOut::Malformed)?;
            let ty = wasm_type(ty);
            let zero = self.zero(ty);
            for _ in 0..count {
                let var = self.b.declare_var(ty);
                self.b.def_var(var, zero);
                self.locals.push(var);
            }
        }
        let start = self.b.create_block();
        let to_start = self.b.ins().jump(start, &[]);
        self.b.switch_to_block(start);
        self.b.seal_block(start);

        let plan = match self.env.key.fuel {
            true => FuelPlan::new(info, body).map_err(|_| LeftOut::Malformed)?,
            false => FuelPlan::default(),
        };
        let mut charges = plan.charges().iter().peekable();
        let mut ops = reader.get_operators_reader().map_err(|_| LeftOut::Malformed)?;
        let begin = SourceLoc::new(ops.original_position() as u32);
        self.b.set_srcloc(begin);
        self.epoch_check();
        let mut count = 0u32;
        while !ops.eof() {
            let (op, offset) = ops.read_with_offset().map_err(|_| LeftOut::Malformed)?;
            self.b.set_srcloc(SourceLoc::new(offset as u32));
            while let Some(&&Charge { offset: at, cost }) = charges.peek() {
                if u64::from(at) > offset {
                    break;
                }
                charges.next();
                if u64::from(at) == offset && self.reachable {
                    self.charge(cost);
                }
            }
            self.operator(op)?;
            count = count.wrapping_add(1);
            if count.is_multiple_of(16) {
                self.check_size()?;
            }
            if count.is_multiple_of(1024) {
                self.check_time()?;
            }
        }
        self.check_size()?;
        self.check_time()?;
        self.b.set_srcloc(begin);
        let kept = self.keep_context(to_start);
        if self.calls {
            self.stack_check(entry, start, to_start);
        }
        self.b.seal_all_blocks();
        Ok(kept)
    }

    fn check_size(&self) -> Result<(), LeftOut> {
        let dfg = &self.b.func.dfg;
        let pairs = dfg.num_blocks().saturating_mul(self.locals.len());
        match dfg.num_values() > MOST_VALUES
            || pairs > MOST_LOCALS_TIMES_BLOCKS
            || self.wide > MOST_WIDE
            || self.too_many_clauses()
        {
            true => Err(LeftOut::TooLarge),
            false => Ok(()),
        }
    }

    fn check_time(&self) -> Result<(), LeftOut> {
        match self.env.until.is_some_and(|until| Instant::now() > until) {
            true => Err(LeftOut::OutOfTime),
            false => Ok(()),
        }
    }

    // Operands

    pub(crate) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// The topmost operand. Validation has proved that there is one.
    pub(crate) fn pop(&mut self) -> Value {
        self.stack.pop().expect("crash: validated code has its operands")
    }

    pub(crate) fn pop_many(&mut self, count: usize) -> Vec<Value> {
        self.stack.split_off(self.stack.len() - count)
    }

    /// An index or length as 64 bits, whatever the index type.
    pub(crate) fn pop_index(&mut self) -> Value {
        let index = self.pop();
        self.widen(index)
    }

    pub(crate) fn widen(&mut self, index: Value) -> Value {
        match self.b.func.dfg.value_type(index) {
            types::I64 => index,
            _ => self.b.ins().uextend(types::I64, index),
        }
    }

    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.b.ins().f32const(0.0),
            types::F64 => self.b.ins().f64const(0.0),
            simd::WAITING => self.vector(ty, &[0; 16]),
            int => self.b.ins().iconst(int, 0),
        }
    }

    /// Notes how many operands a call or branch moves.
    pub(crate) fn widen_by(&mut self, operands: usize) {
        if operands > WIDE_CALL {
            self.wide += operands;
        }
    }

    // Traps

    pub(crate) fn code(trap: Trap) -> TrapCode {
        TrapCode::unwrap_user(trap.code())
    }

    /// Traps here. The block is filled afterwards.
    pub(crate) fn trap(&mut self, trap: Trap) {
        if !self.env.key.guard_pages {
            let status = self.b.ins().iconst(types::I32, i64::from(trap.code()));
            self.raise(status);
            return;
        }
        self.b.ins().trap(Self::code(trap));
    }

    /// Traps if `condition` is not zero.
    pub(crate) fn trap_if(&mut self, condition: Value, trap: Trap) {
        if self.env.key.guard_pages {
            self.b.ins().trapnz(condition, Self::code(trap));
            return;
        }
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(condition, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        self.trap(trap);
        self.b.switch_to_block(go_on);
    }

    /// Traps if `condition` is zero.
    pub(crate) fn trap_unless(&mut self, condition: Value, trap: Trap) {
        if self.env.key.guard_pages {
            self.b.ins().trapz(condition, Self::code(trap));
            return;
        }
        let zero = self.b.ins().icmp_imm_u(IntCC::Equal, condition, 0);
        self.trap_if(zero, trap);
    }

    /// A cold block and the one after it.
    pub(crate) fn cold_block(&mut self) -> (Block, Block) {
        let (cold, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        (cold, go_on)
    }

    // Meters

    /// The store's limits and meters.
    pub(crate) fn store(&mut self) -> Value {
        let flags = self.regions.fixed();
        self.b.ins().load(types::I64, flags, self.vmctx, offset_of!(VmContext, store) as i32)
    }

    fn charge(&mut self, cost: u32) {
        let store = self.store();
        let flags = self.regions.field();
        let offset = offset_of!(VmStore, fuel) as i32;
        let left = self.b.ins().load(types::I64, flags, store, offset);
        let cost = self.b.ins().iconst(types::I64, i64::from(cost));
        let short = self.b.ins().icmp(IntCC::UnsignedLessThan, left, cost);
        self.trap_if(short, Trap::OutOfFuel);
        let left = self.b.ins().isub(left, cost);
        self.b.ins().store(flags, left, store, offset);
    }

    fn epoch_check(&mut self) {
        if !self.env.key.epoch {
            return;
        }
        let store = self.store();
        let (fixed, field) = (self.regions.fixed(), self.regions.field());
        let counter = self.b.ins().load(types::I64, fixed, store, offset_of!(VmStore, epoch) as i32);
        // Atomic, because another thread counts up; a plain load would be merged with the one before the loop.
        let now = self.b.ins().atomic_load(types::I64, MemFlagsData::trusted(), counter);
        let deadline =
            self.b.ins().load(types::I64, field, store, offset_of!(VmStore, epoch_deadline) as i32);
        let due = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, now, deadline);
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(due, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.switch_to_block(cold);
        self.builtin_status("epoch", &[]);
        self.b.ins().jump(go_on, &[]);
        self.b.seal_block(go_on);
        self.b.switch_to_block(go_on);
    }

    /// The prologue's check, put in front of `to_start` once it is known that the function calls something: less than the
    /// store's limit of native stack is `StackOverflow`. The frame is taken by then; functions with large frames are left out.
    fn stack_check(&mut self, entry: Block, start: Block, to_start: ir::Inst) {
        let (fixed, field) = (self.regions.fixed(), self.regions.field());
        let vmctx = self.vmctx;
        let guard_pages = self.env.key.guard_pages;
        let srcloc = self.b.srcloc();
        let mut at = FuncCursor::new(self.b.func).at_inst(to_start).with_srcloc(srcloc);
        let sp = at.ins().get_stack_pointer(types::I64);
        let store = at.ins().load(types::I64, fixed, vmctx, offset_of!(VmContext, store) as i32);
        let limit = at.ins().load(types::I64, field, store, offset_of!(VmStore, stack_limit) as i32);
        let low = at.ins().icmp(IntCC::UnsignedLessThan, sp, limit);
        if guard_pages {
            at.ins().trapnz(low, Self::code(Trap::StackOverflow));
            return;
        }
        at.remove_inst();
        let cold = self.b.create_block();
        self.b.set_cold_block(cold);
        FuncCursor::new(self.b.func).at_bottom(entry).ins().brif(low, cold, &[], start, &[]);
        self.b.seal_block(cold);
        self.b.switch_to_block(cold);
        self.trap(Trap::StackOverflow);
    }

    // Control

    pub(super) fn block_type(&self, ty: BlockType) -> (Vec<Type>, Vec<Type>) {
        let list = |types: &[ValType]| types.iter().map(|&t| clif_type(t)).collect();
        match ty {
            BlockType::Empty => (vec![], vec![]),
            BlockType::Type(t) => (vec![], vec![wasm_type(t)]),
            BlockType::FuncType(i) => {
                let ty = self.env.info.signature(TypeIdx(i));
                (list(ty.params()), list(ty.results()))
            }
        }
    }

    fn block_with(&mut self, params: &[Type]) -> Block {
        let block = self.b.create_block();
        for &ty in params {
            self.b.append_block_param(block, ty);
        }
        block
    }

    fn args(values: &[Value]) -> Vec<BlockArg> {
        values.iter().map(|&v| BlockArg::Value(v)).collect()
    }

    pub(super) fn top(&mut self, count: usize) -> Vec<BlockArg> {
        self.widen_by(count);
        Self::args(&self.stack[self.stack.len() - count..])
    }

    pub(super) fn open(&mut self, kind: Kind, params: usize, results: &[Type]) {
        let next = self.block_with(results);
        let height = self.stack.len() - params;
        self.frames.push(Frame { kind, next, height, results: results.len(), branched: false });
    }

    /// The block and number of operands of a label.
    pub(super) fn label(&mut self, depth: u32) -> (Block, usize) {
        let frame = self.frames.len() - 1 - depth as usize;
        if frame == 0 {
            self.ensure_exit();
        }
        let frame = &mut self.frames[frame];
        match frame.kind {
            Kind::Loop { header, params } => (header, params),
            _ => {
                frame.branched = true;
                (frame.next, frame.results)
            }
        }
    }

    /// The function's own label gets its parameters when the first branch goes there.
    fn ensure_exit(&mut self) {
        if !self.frames[0].branched {
            let exit = self.frames[0].next;
            for &ty in self.ty.clone().results() {
                self.b.append_block_param(exit, clif_type(ty));
            }
        }
    }

    fn die(&mut self) {
        self.reachable = false;
    }

    fn br(&mut self, depth: u32) {
        if depth as usize == self.frames.len() - 1 {
            return self.return_();
        }
        let (block, count) = self.label(depth);
        let args = self.top(count);
        self.b.ins().jump(block, &args);
        self.die();
    }

    /// Goes to a label with these values.
    pub(super) fn jump_to_label(&mut self, depth: u32, values: &[Value]) {
        if depth as usize == self.frames.len() - 1 {
            return self.return_values(values);
        }
        let (block, _) = self.label(depth);
        self.b.ins().jump(block, &Self::args(values));
    }

    fn br_if(&mut self, depth: u32) {
        let condition = self.pop();
        self.branch_if(condition, depth);
    }

    /// A branch taken when `condition` is not zero.
    pub(super) fn branch_if(&mut self, condition: Value, depth: u32) {
        let (block, count) = self.label(depth);
        let args = self.top(count);
        let go_on = self.b.create_block();
        self.b.ins().brif(condition, block, &args, go_on, &[]);
        self.b.seal_block(go_on);
        self.b.switch_to_block(go_on);
    }

    fn br_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<(), LeftOut> {
        let index = self.pop();
        self.targets = self.targets.saturating_add(targets.len() as usize);
        if self.targets > MOST_TARGETS {
            return Err(LeftOut::TooLarge);
        }
        let mut depths = Vec::with_capacity(targets.len() as usize + 1);
        for depth in targets.targets() {
            depths.push(depth.map_err(|_| LeftOut::Malformed)?);
        }
        depths.push(targets.default());
        // One edge per label: a thousand entries with a thousand operands each would make a million edge values.
        let mut edges: BTreeMap<u32, Block> = BTreeMap::new();
        let mut calls = Vec::with_capacity(depths.len());
        for depth in depths {
            let block = match edges.get(&depth) {
                Some(&block) => block,
                None => {
                    let (target, count) = self.label(depth);
                    let block = if count == 0 { target } else { self.b.create_block() };
                    edges.insert(depth, block);
                    block
                }
            };
            calls.push(self.b.func.dfg.block_call(block, &[]));
        }
        let default = calls.pop().expect("the default is there");
        let table = self.b.create_jump_table(JumpTableData::new(default, &calls));
        self.b.ins().br_table(index, table);
        for (depth, edge) in edges {
            let (target, count) = self.label(depth);
            if count > 0 {
                self.check_size()?;
                let args = self.top(count);
                self.b.seal_block(edge);
                self.b.switch_to_block(edge);
                self.b.ins().jump(target, &args);
            }
        }
        self.die();
        Ok(())
    }

    fn return_(&mut self) {
        let results = self.stack[self.stack.len() - self.ty.results().len()..].to_vec();
        self.return_values(&results);
        self.die();
    }

    fn return_values(&mut self, results: &[Value]) {
        match self.result_area {
            None => {
                self.b.ins().return_(results);
            }
            Some(area) => {
                let ty = self.ty.clone();
                super::call::store_slots(&mut self.b, area, ty.results(), results);
                self.b.ins().return_(&[]);
            }
        }
    }

    fn else_(&mut self) {
        let frame = self.frames.last_mut().expect("crash: validated code is nested");
        let (next, results) = (frame.next, frame.results);
        let Kind::If { otherwise, params } = std::mem::replace(&mut frame.kind, Kind::Else) else { return };
        if self.reachable {
            frame.branched = true;
            let args = self.top(results);
            self.b.ins().jump(next, &args);
        }
        let height = self.frames.last().map_or(0, |f| f.height);
        self.stack.truncate(height);
        self.stack.extend(params);
        self.b.seal_block(otherwise);
        self.b.switch_to_block(otherwise);
        self.reachable = true;
    }

    fn end(&mut self) {
        // An `if` without `else` passes its parameters on.
        if matches!(self.frames.last(), Some(Frame { kind: Kind::If { .. }, .. })) {
            self.else_();
        }
        let frame = self.frames.pop().expect("crash: validated code is nested");
        match frame.kind {
            Kind::Loop { header, .. } => {
                self.b.seal_block(header);
                if !self.reachable {
                    self.stack.truncate(frame.height);
                }
            }
            Kind::Func => {
                if self.reachable && !frame.branched {
                    self.return_();
                } else if frame.branched {
                    if self.reachable {
                        let args = self.top(frame.results);
                        self.b.ins().jump(frame.next, &args);
                    }
                    self.b.seal_block(frame.next);
                    self.b.switch_to_block(frame.next);
                    let results = self.b.block_params(frame.next).to_vec();
                    self.return_values(&results);
                }
                self.die();
            }
            Kind::Block | Kind::If { .. } | Kind::Else | Kind::TryTable | Kind::Try | Kind::Catch { .. } => {
                if self.reachable && !frame.branched && matches!(frame.kind, Kind::Block) {
                    return;
                }
                if self.reachable {
                    let args = self.top(frame.results);
                    self.b.ins().jump(frame.next, &args);
                }
                match frame.kind {
                    Kind::TryTable => self.end_try_table(),
                    Kind::Try => self.end_try(),
                    _ => {}
                }
                self.stack.truncate(frame.height);
                if self.reachable || frame.branched {
                    self.b.seal_block(frame.next);
                    self.b.switch_to_block(frame.next);
                    self.stack.extend(self.b.block_params(frame.next));
                    self.reachable = true;
                }
            }
        }
    }

    fn operator(&mut self, op: Operator<'_>) -> Result<(), LeftOut> {
        if !self.reachable {
            match op {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. } => self.dead += 1,
                Operator::Try { .. } => {
                    self.dead_try();
                    self.dead += 1;
                }
                Operator::End | Operator::Delegate { .. } if self.dead > 0 => self.dead -= 1,
                Operator::Catch { tag_index } if self.dead == 0 => self.catch(Some(tag_index)),
                Operator::CatchAll if self.dead == 0 => self.catch(None),
                Operator::Delegate { .. } => self.end(),
                Operator::End => self.end(),
                Operator::Else if self.dead == 0 => self.else_(),
                _ => {}
            }
            return Ok(());
        }
        let left = by_row(self, op).and_then(|op| simd::by_row(self, op));
        if let Some(op) = left.and_then(|op| atomic::by_row(self, op)) {
            self.custom(op)?;
        }
        Ok(())
    }

    /// The operators with immediates of their own: class `custom` of the table.
    fn custom(&mut self, op: Operator<'_>) -> Result<(), LeftOut> {
        use Operator as O;
        match op {
            O::Unreachable => {
                self.trap(Trap::Unreachable);
                self.die();
            }
            O::Nop => {}
            O::Block { blockty } => {
                let (params, results) = self.block_type(blockty);
                self.open(Kind::Block, params.len(), &results);
            }
            O::Loop { blockty } => {
                let (params, results) = self.block_type(blockty);
                let header = self.block_with(&params);
                let args = self.top(params.len());
                self.b.ins().jump(header, &args);
                self.open(Kind::Loop { header, params: params.len() }, params.len(), &results);
                self.b.switch_to_block(header);
                let height = self.stack.len() - params.len();
                self.stack.truncate(height);
                self.stack.extend(self.b.block_params(header));
                self.epoch_check();
            }
            O::If { blockty } => {
                let condition = self.pop();
                let (params, results) = self.block_type(blockty);
                let (then, otherwise) = (self.b.create_block(), self.b.create_block());
                self.b.ins().brif(condition, then, &[], otherwise, &[]);
                let saved = self.stack[self.stack.len() - params.len()..].to_vec();
                self.open(Kind::If { otherwise, params: saved }, params.len(), &results);
                self.b.seal_block(then);
                self.b.switch_to_block(then);
            }
            O::Else => self.else_(),
            O::End => self.end(),
            O::Br { relative_depth } => self.br(relative_depth),
            O::BrIf { relative_depth } => self.br_if(relative_depth),
            O::BrTable { targets } => self.br_table(&targets)?,
            O::Return => self.return_(),
            O::Call { function_index } => self.call(FuncIdx(function_index)),
            O::CallIndirect { type_index, table_index } => self.call_indirect(type_index, table_index),
            O::ReturnCall { function_index } => {
                self.return_call(FuncIdx(function_index));
                self.die();
            }
            O::ReturnCallIndirect { type_index, table_index } => {
                self.return_call_indirect(type_index, table_index);
                self.die();
            }
            O::TryTable { try_table } => self.try_table(&try_table),
            O::Throw { tag_index } => {
                self.throw(tag_index);
                self.die();
            }
            O::ThrowRef => {
                self.throw_ref();
                self.die();
            }
            O::Try { blockty } => self.try_(blockty),
            O::Catch { tag_index } => self.catch(Some(tag_index)),
            O::CatchAll => self.catch(None),
            O::Delegate { .. } => self.end(),
            O::Rethrow { relative_depth } => {
                self.rethrow(relative_depth);
                self.die();
            }
            O::Drop => {
                self.pop();
            }
            O::Select | O::TypedSelect { .. } => {
                let condition = self.pop();
                let (second, first) = (self.pop(), self.pop());
                let value = self.b.ins().select(condition, first, second);
                self.push(value);
            }
            O::LocalGet { local_index } => {
                let value = self.b.use_var(self.locals[local_index as usize]);
                self.push(value);
            }
            O::LocalSet { local_index } => {
                let value = self.pop();
                self.b.def_var(self.locals[local_index as usize], value);
            }
            O::LocalTee { local_index } => {
                let value = self.pop();
                self.b.def_var(self.locals[local_index as usize], value);
                self.push(value);
            }
            O::GlobalGet { global_index } => self.global_get(global_index),
            O::GlobalSet { global_index } => self.global_set(global_index),
            O::I32Const { value } => self.constant(types::I32, i64::from(value)),
            O::I64Const { value } => self.constant(types::I64, value),
            O::F32Const { value } => {
                let value = self.b.ins().f32const(ir::immediates::Ieee32::with_bits(value.bits()));
                self.push(value);
            }
            O::F64Const { value } => {
                let value = self.b.ins().f64const(ir::immediates::Ieee64::with_bits(value.bits()));
                self.push(value);
            }
            O::RefNull { .. } => self.constant(types::I64, 0),
            O::RefIsNull => {
                let reference = self.pop();
                let null = self.b.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                self.push_bool(null);
            }
            O::RefFunc { function_index } => self.ref_func(FuncIdx(function_index)),
            O::TableGet { table } => self.table_get(table),
            O::TableSet { table } => self.table_set(table),
            O::TableSize { table } => self.table_size(table),
            O::TableGrow { table } => self.table_grow(table),
            O::TableFill { table } => {
                let (len, value, at) = (self.pop_index(), self.pop(), self.pop_index());
                let table = self.immediate(table);
                self.builtin_status("table_fill", &[table, at, value, len]);
            }
            O::TableCopy { dst_table, src_table } => {
                let (len, from, to) = (self.pop_index(), self.pop_index(), self.pop_index());
                let (to_table, from_table) = (self.immediate(dst_table), self.immediate(src_table));
                self.builtin_status("table_copy", &[to_table, from_table, to, from, len]);
            }
            O::TableInit { elem_index, table } => {
                let (len, from, to) = (self.pop(), self.pop(), self.pop_index());
                let (table, elem) = (self.immediate(table), self.immediate(elem_index));
                self.builtin_status("table_init", &[table, elem, to, from, len]);
            }
            O::ElemDrop { elem_index } => {
                let elem = self.immediate(elem_index);
                self.builtin_status("elem_drop", &[elem]);
            }
            O::MemorySize { mem } => self.memory_size(mem),
            O::MemoryGrow { mem } => self.memory_grow(mem),
            O::MemoryFill { mem } => {
                let (len, value, at) = (self.pop_index(), self.pop(), self.pop_index());
                let memory = self.immediate(mem);
                self.builtin_status("memory_fill", &[memory, at, value, len]);
            }
            O::MemoryCopy { dst_mem, src_mem } => {
                let (len, from, to) = (self.pop_index(), self.pop_index(), self.pop_index());
                let (to_memory, from_memory) = (self.immediate(dst_mem), self.immediate(src_mem));
                self.builtin_status("memory_copy", &[to_memory, from_memory, to, from, len]);
            }
            O::MemoryInit { data_index, mem } => {
                let (len, from, to) = (self.pop(), self.pop(), self.pop_index());
                let (memory, data) = (self.immediate(mem), self.immediate(data_index));
                self.builtin_status("memory_init", &[memory, data, to, from, len]);
            }
            O::DataDrop { data_index } => {
                let data = self.immediate(data_index);
                self.builtin_status("data_drop", &[data]);
            }
            O::I64Add128 => self.add128(),
            O::I64Sub128 => self.sub128(),
            O::I64MulWideS => self.mul_wide(true),
            O::I64MulWideU => self.mul_wide(false),
            O::ReturnCallRef { .. } => {
                self.gc(op)?;
                self.die();
            }
            other => {
                if let Some(other) = self.switching(other)? {
                    self.gc(other)?;
                }
            }
        }
        Ok(())
    }

    fn constant(&mut self, ty: Type, value: i64) {
        let value = self.b.ins().iconst(ty, value);
        self.push(value);
    }

    pub(crate) fn immediate(&mut self, n: u32) -> Value {
        self.b.ins().iconst(types::I32, i64::from(n))
    }

    /// Pushes a truth value as an i32.
    pub(crate) fn push_bool(&mut self, truth: Value) {
        let value = self.b.ins().uextend(types::I32, truth);
        self.push(value);
    }

    fn unary(&mut self, lower: fn(&mut Translation<'a>, Value) -> Value) {
        let a = self.pop();
        let value = lower(self, a);
        self.push(value);
    }

    fn binary(&mut self, lower: fn(&mut Translation<'a>, Value, Value) -> Value) {
        let (second, first) = (self.pop(), self.pop());
        let value = lower(self, first, second);
        self.push(value);
    }

    fn compare(&mut self, lower: fn(&mut Translation<'a>, Value, Value) -> Value) {
        let (second, first) = (self.pop(), self.pop());
        let truth = lower(self, first, second);
        self.push_bool(truth);
    }
}
