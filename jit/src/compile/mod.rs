//! The compiler: a module's functions to native code, through Cranelift, on several threads.
//!
//! A function that is too large, that Cranelift refuses or panics on, that needs too much stack, or that the embedder keeps for
//! the interpreter is left out: a small stub stands in its place. Nothing a guest sends makes the compiler fail as a whole.
//!
//! Text of a module: array entries, stubs, functions in index order. What lies where is told by the tables.
//!
//! Must not know: stores, files, how code is mapped.

pub(crate) mod adapter;
mod atomic;
mod blame;
mod budget;
mod call;
mod exception;
mod func;
mod gc;
mod link;
mod lower;
mod memory;
mod scalar_call;
mod shape;
mod simd;
mod stubs;
mod switching;
mod target;
mod vectorless;
mod wide;

use crate::artifact::{Content, Kind, Seal};
use crate::cpu::{Arch, CpuFeatures};
use crate::key::CodeKey;
use crate::tables::{EntryRow, FuncRow, HandlerRow, NONE, Site, TablesBuilder};
use budget::{Clock, Loan};
use cranelift_codegen::FinalizedMachExceptionHandler;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{SourceLoc, StackSlot, TrapCode};
use cranelift_codegen::{CodegenError, Context};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_module::{DataDescription, FuncId, Linkage, Module, ModuleError, ModuleReloc};
use func::ModuleEnv;
use link::TextModule;
use mini_wasm_runtime::backend::{AdapterInfo, FileBudget};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::module::{FuncIdx, ModuleInfo, TypeIdx};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::types::FuncType;
use mini_wasm_runtime::{Error, ErrorKind, Result};
use shape::Shape;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use target::Target;

/// Largest frame of a compiled function, in bytes: the prologue looks at the stack after it has taken the frame, so this much of
/// `Config::native_stack_reserve` may be used below the limit.
const LARGEST_FRAME: u32 = 32 << 10;
/// Modules smaller than this are compiled on the calling thread.
const WORTH_A_THREAD: usize = 16 << 10;
/// Functions with fewer instructions and SSA values cannot be dear, whatever their shape.
const WORTH_PRICING: usize = 2_000;
/// Functions that are expected to take less are compiled without watching the clock, and on the worker's own memory.
const WORTH_WATCHING: Duration = Duration::from_millis(100);
/// A worker does not keep what a function has left behind that needed more than this.
const WORTH_KEEPING: u64 = 4 << 20;
/// Native stack of a compiling thread.
const THREAD_STACK: usize = 8 << 20;

/// How to compile. Everything has a sensible default.
#[derive(Clone)]
pub struct CompileOptions {
    /// Threads at most; 0 for as many as the machine has processors.
    pub threads: usize,
    /// Functions with a longer body, in bytes, are left to the interpreter.
    pub max_body: usize,
    /// Time for all core modules of a file. Functions that cannot be done in two thirds of it are left to the interpreter; the
    /// rest is for the code around them. By default 6 seconds for each MiB of the file that is begun.
    pub time_budget: Option<Duration>,
    /// A function that is expected to take longer, or does, is left to the interpreter.
    pub function_budget: Duration,
    /// Own functions (counted without imports) to leave to the interpreter.
    pub interpret: Option<Arc<dyn Fn(usize) -> bool + Send + Sync>>,
    /// Told how many functions of how many are done, from any thread.
    pub progress: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>,
    /// Check Cranelift's intermediate code at each step. Costs about 70% of the time.
    pub verifier: bool,
}

impl Default for CompileOptions {
    fn default() -> CompileOptions {
        CompileOptions {
            threads: 0,
            max_body: 1 << 20,
            time_budget: None,
            function_budget: Duration::from_secs(3),
            interpret: None,
            progress: None,
            verifier: cfg!(debug_assertions),
        }
    }
}

impl std::fmt::Debug for CompileOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompileOptions")
            .field("threads", &self.threads)
            .field("max_body", &self.max_body)
            .field("time_budget", &self.time_budget)
            .field("function_budget", &self.function_budget)
            .finish_non_exhaustive()
    }
}

/// Why a function is left to the interpreter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// [`CompileOptions::interpret`] says so.
    Chosen,
    /// The body or its intermediate code is too large.
    TooLarge,
    /// Its frame would need too much native stack.
    LargeFrame,
    /// Compiling it would take too much time or memory.
    TooCostly,
    /// It took longer than was expected, or the time was used up before its turn came.
    OutOfTime,
    /// The body could not be read (it was validated before: an engine bug if it happens).
    Malformed,
    /// It mentions v128, which the target has no registers for.
    Vectors,
    /// Something that this target or compiler cannot do.
    Unsupported(String),
    /// Cranelift panicked.
    Panicked,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LeftOut::Chosen => f.write_str("kept for the interpreter"),
            LeftOut::TooLarge => f.write_str("too large"),
            LeftOut::LargeFrame => f.write_str("its frame takes too much stack"),
            LeftOut::TooCostly => f.write_str("compiling it takes too much time or memory"),
            LeftOut::OutOfTime => f.write_str("out of time"),
            LeftOut::Malformed => f.write_str("its body cannot be read"),
            LeftOut::Vectors => f.write_str("it uses vectors, which the target lacks"),
            LeftOut::Unsupported(what) => write!(f, "not supported: {what}"),
            LeftOut::Panicked => f.write_str("the compiler panicked"),
        }
    }
}

/// Native code of one module, linked, with its tables, before it is mapped or written anywhere.
#[derive(Debug)]
pub struct CompiledModule {
    pub(crate) text: Vec<u8>,
    pub(crate) tables: Vec<u8>,
    /// The own functions that the interpreter runs, and why.
    pub left_out: Vec<(usize, LeftOut)>,
}

/// The ids under which this module's code refers to itself.
pub(crate) struct Symbols {
    /// By own function.
    pub(crate) own: Vec<FuncId>,
    /// By type; equal types share.
    pub(crate) stubs: Vec<FuncId>,
    entries: Vec<FuncId>,
}

#[allow(clippy::result_large_err, reason = "the trait's own error type")]
impl Symbols {
    fn declare(
        module: &mut TextModule<'_>,
        info: &ModuleInfo,
        target: &Target,
    ) -> Result<Symbols, ModuleError> {
        let mut ids: HashMap<&FuncType, (FuncId, FuncId)> = HashMap::new();
        let (mut entries, mut stubs) = (Vec::new(), Vec::new());
        // A type that is no function's keeps its place; nobody asks for its symbols.
        let none = FuncType::new([], []);
        for (i, ty) in info.types.iter().enumerate() {
            let ty = ty.as_func().unwrap_or(&none);
            let pair = match ids.get(ty) {
                Some(&pair) => pair,
                None => {
                    let entry = target.array_signature();
                    let entry = module.declare_function(&format!("entry {i}"), Linkage::Local, &entry)?;
                    let stub = target.signature(ty);
                    let stub = module.declare_function(&format!("stub {i}"), Linkage::Local, &stub)?;
                    ids.insert(ty, (entry, stub));
                    (entry, stub)
                }
            };
            entries.push(pair.0);
            stubs.push(pair.1);
        }
        let mut own = Vec::with_capacity(info.bodies.len());
        for i in info.imported_funcs..info.funcs.len() as u32 {
            let sig = target.signature(info.func_type(FuncIdx(i)));
            own.push(module.declare_function(&format!("func {i}"), Linkage::Local, &sig)?);
        }
        Ok(Symbols { own, stubs, entries })
    }
}

/// One compiled function.
struct Code {
    bytes: Vec<u8>,
    alignment: u64,
    relocs: Vec<ModuleReloc>,
    /// Relative to the function.
    sites: Vec<Site>,
    /// Relative to the function.
    handlers: Vec<HandlerRow>,
}

/// Compiles a module for an architecture. It has the time of a file to itself.
pub fn compile(
    info: &ModuleInfo,
    config: &Config,
    arch: Arch,
    cpu: CpuFeatures,
    options: &CompileOptions,
) -> Result<CompiledModule> {
    compile_part(info, config, arch, cpu, options, &FileBudget::new(info.wasm.file().len()))
}

/// Compiles one of the modules of a file in what is left of the file's time.
pub(crate) fn compile_part(
    info: &ModuleInfo,
    config: &Config,
    arch: Arch,
    cpu: CpuFeatures,
    options: &CompileOptions,
    file: &FileBudget,
) -> Result<CompiledModule> {
    let begun = Instant::now();
    let whole = options.time_budget.unwrap_or_else(|| budget::file_time(file.bytes as u64, options.verifier));
    let clock = Clock::new(whole.saturating_sub(file.spent.get()));
    let key = CodeKey::new(config);
    let target = Target::new(arch, cpu, &key, options.verifier)?;
    let mut module = TextModule::new(&*target.isa);
    let symbols = Symbols::declare(&mut module, info, &target).map_err(internal)?;
    let stubs_wanted: Vec<AtomicBool> = info.types.iter().map(|_| AtomicBool::new(false)).collect();
    for import in &info.funcs[..info.imported_funcs as usize] {
        stubs_wanted[import.ty.index()].store(true, Ordering::Relaxed);
    }
    let env = ModuleEnv {
        info,
        target: &target,
        key,
        symbols: &symbols,
        stubs_wanted: &stubs_wanted,
        until: Some(clock.functions),
    };
    let functions = compile_functions(&env, options, &clock, budget::file_room(file.bytes as u64));
    let assembled = assemble(module, &env, functions, &clock);
    file.spent.set(file.spent.get().saturating_add(begun.elapsed()));
    match assembled {
        Ok(compiled) => Ok(compiled),
        // More stubs than there is time for, more text than branches reach over: then all of the module is interpreted.
        Err(why) => nothing(&env, why),
    }
}

/// How long compiling a file of this many bytes may take.
pub(crate) fn file_time(options: &CompileOptions, bytes: usize) -> Duration {
    options.time_budget.unwrap_or_else(|| budget::file_time(bytes as u64, options.verifier))
}

/// A module without any code.
fn nothing(env: &ModuleEnv<'_>, why: LeftOut) -> Result<CompiledModule> {
    let tables = TablesBuilder {
        funcs: env.info.bodies.iter().map(|_| FuncRow { start: 0, len: 0, entry: NONE }).collect(),
        stubs: env.symbols.stubs.iter().map(|_| NONE).collect(),
        ..TablesBuilder::default()
    };
    let left_out = (0..env.info.bodies.len()).map(|own| (own, why.clone())).collect();
    Ok(CompiledModule { text: Vec::new(), tables: tables.finish(), left_out })
}

fn internal(error: ModuleError) -> Error {
    Error::new(ErrorKind::Usage, format!("native code cannot be linked: {error}"))
}

/// Compiles all own functions, the longest first so that no thread is left with a long one at the end.
fn compile_functions(
    env: &ModuleEnv<'_>,
    options: &CompileOptions,
    clock: &Clock,
    room: u64,
) -> Vec<Result<Code, LeftOut>> {
    let most = options.function_budget.saturating_mul(budget::times(options.verifier));
    let bodies = &env.info.bodies;
    let total: usize = bodies.iter().map(|body| body.range.len()).sum();
    let mut queue: Vec<usize> = (0..bodies.len()).collect();
    queue.sort_by_key(|&own| std::cmp::Reverse(bodies[own].range.len()));
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<Code, LeftOut>>>> =
        Mutex::new((0..bodies.len()).map(|_| None).collect());
    let work = || {
        let mut worker = Worker::default();
        let mut finished = Vec::new();
        while let Some(&own) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = match clock.functions.checked_duration_since(Instant::now()) {
                None => Err(LeftOut::OutOfTime),
                Some(left) => worker.function(env, own, options, (left.min(most), room)),
            };
            finished.push((own, result));
            if let Some(progress) = &options.progress {
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, bodies.len());
            }
        }
        let mut results = results.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (own, result) in finished {
            results[own] = Some(result);
        }
    };
    let wanted = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let threads = wanted.min(total / WORTH_A_THREAD);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that the system refuses is one fewer; the others do its work.
            let builder = std::thread::Builder::new().name("compile".into()).stack_size(THREAD_STACK);
            if builder.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.into_iter().map(|result| result.unwrap_or(Err(LeftOut::Panicked))).collect()
}

/// What a thread keeps between functions.
struct Worker {
    ctx: Context,
    frontend: FunctionBuilderContext,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker { ctx: Context::new(), frontend: FunctionBuilderContext::new() }
    }
}

impl Worker {
    fn function(
        &mut self,
        env: &ModuleEnv<'_>,
        own: usize,
        options: &CompileOptions,
        budget: (Duration, u64),
    ) -> Result<Code, LeftOut> {
        if options.interpret.as_ref().is_some_and(|interpret| interpret(own)) {
            return Err(LeftOut::Chosen);
        }
        if env.info.bodies[own].range.len() > options.max_body {
            return Err(LeftOut::TooLarge);
        }
        if vectorless::is_vectorless(env.target.arch)
            && vectorless::in_function(env.info, own).ok_or(LeftOut::Malformed)?
        {
            return Err(LeftOut::Vectors);
        }
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let kept = func::translate(env, own, &mut self.ctx, &mut self.frontend)?;
            let bytes = self.run_cranelift(env.target, budget)?;
            let code = self.finish(env.symbols.own[own], kept, LARGEST_FRAME);
            if bytes > WORTH_KEEPING {
                *self = Worker::default();
            }
            code
        }));
        attempt.unwrap_or_else(|_panic| {
            // What a panic left behind is not to be trusted.
            *self = Worker::default();
            Err(LeftOut::Panicked)
        })
    }

    /// Compiles what `ctx` holds, if that is likely to be done in this time; how much memory it was expected to need. There is no way
    /// to stop Cranelift, see [`budget`].
    fn run_cranelift(&mut self, target: &Target, (time, room): (Duration, u64)) -> Result<u64, LeftOut> {
        let dfg = &self.ctx.func.dfg;
        if dfg.num_insts() + dfg.num_values() < WORTH_PRICING {
            return run_cranelift(&mut self.ctx, target).map(|()| 0);
        }
        let until = Instant::now() + time;
        let shape = shape_of(&mut self.ctx);
        let price = shape.price();
        if !price.fits(time, room) {
            return Err(LeftOut::TooCostly);
        }
        // What optimisation may add.
        let most = (price.bytes + price.bytes / 2 + WORTH_KEEPING).min(room);
        let Some(loan) = Loan::take(most, room, until) else { return Err(LeftOut::OutOfTime) };
        let worst = shape.worst_price();
        if worst.time < WORTH_WATCHING {
            run_cranelift(&mut self.ctx, target)?;
            return Ok(price.bytes);
        }
        if budget::has_strays() {
            return Err(LeftOut::OutOfTime);
        }
        let (mut ctx, target) = (std::mem::replace(&mut self.ctx, Context::new()), target.clone());
        let work = move || {
            let compiled = catch_unwind(AssertUnwindSafe(|| {
                // Merging equal values and moving others out of loops makes live ranges longer: only then it shows what
                // the allocation of registers takes.
                if worst.fits(time, most) {
                    return run_cranelift(&mut ctx, &target);
                }
                ctx.optimize(&*target.isa, &mut ControlPlane::default()).map_err(unsupported)?;
                let left = until.saturating_duration_since(Instant::now());
                if !shape_of(&mut ctx).price().fits(left, most) {
                    return Err(LeftOut::TooCostly);
                }
                ctx.compile(&*target.optimized, &mut ControlPlane::default())
                    .map(|_| ())
                    .map_err(|e| unsupported(e.inner))
            }));
            (ctx, compiled.unwrap_or(Err(LeftOut::Panicked)))
        };
        let left = until.saturating_duration_since(Instant::now());
        let done = budget::watched(left, THREAD_STACK, loan, work)
            .map_err(|e| LeftOut::Unsupported(format!("no thread: {e}")))?;
        let (ctx, result) = done.ok_or(LeftOut::OutOfTime)?;
        self.ctx = ctx;
        result.map(|()| price.bytes)
    }

    /// Compiles a stub. Its frame is bounded by the most parameters and results that a type may have.
    fn stub(&mut self, target: &Target, id: FuncId, kept: Option<StackSlot>) -> Result<Code, LeftOut> {
        run_cranelift(&mut self.ctx, target)?;
        self.finish(id, kept, u32::MAX)
    }

    /// What the compiled function is made of; with the stack slot that keeps the context, where its calls are left to.
    fn finish(&mut self, id: FuncId, kept: Option<StackSlot>, largest_frame: u32) -> Result<Code, LeftOut> {
        let compiled =
            self.ctx.compiled_code().ok_or_else(|| LeftOut::Unsupported("nothing compiled".into()))?;
        let buffer = &compiled.buffer;
        let frame =
            buffer.frame_layout().ok_or_else(|| LeftOut::Unsupported("a frame without layout".into()))?;
        if frame.frame_to_fp_offset > largest_frame {
            return Err(LeftOut::LargeFrame);
        }
        let mut handlers = Vec::new();
        for site in kept.iter().flat_map(|_| buffer.call_sites()) {
            let (Some(sp), Some(slot)) = (site.frame_offset, kept) else { continue };
            let vmctx = frame.frame_to_fp_offset - frame.stackslots[slot].offset;
            for handler in site.exception_handlers {
                let (tag, handler) = match handler {
                    FinalizedMachExceptionHandler::Tag(tag, handler) => (tag.as_u32(), *handler),
                    FinalizedMachExceptionHandler::Default(handler) => (NONE, *handler),
                    FinalizedMachExceptionHandler::Context(_) => continue,
                };
                handlers.push(HandlerRow { ret: site.ret_addr, handler, sp, vmctx, tag });
            }
        }
        let srclocs = buffer.get_srclocs_sorted();
        let offset_of = |pc: u32| {
            let after = srclocs.partition_point(|loc| loc.start <= pc);
            let loc = srclocs[..after].last().filter(|loc| pc < loc.end && loc.loc != SourceLoc::default());
            loc.map_or(NONE, |loc| loc.loc.bits())
        };
        let calls = buffer.call_sites().map(|site| Site {
            pc: site.ret_addr,
            code: 0,
            offset: offset_of(site.ret_addr.saturating_sub(1)),
        });
        let traps = buffer.traps().iter().map(|trap| Site {
            pc: trap.offset,
            code: trap_code(trap.code),
            offset: offset_of(trap.offset),
        });
        let mut traps: Vec<Site> = traps.collect();
        blame::settle(&self.ctx.func, &mut traps);
        let code = Code {
            bytes: buffer.data().to_vec(),
            alignment: u64::from(buffer.alignment),
            relocs: buffer
                .relocs()
                .iter()
                .map(|r| ModuleReloc::from_mach_reloc(r, &self.ctx.func, id))
                .collect(),
            sites: calls.chain(traps).collect(),
            handlers,
        };
        Ok(code)
    }
}

fn run_cranelift(ctx: &mut Context, target: &Target) -> Result<(), LeftOut> {
    match ctx.compile(&*target.isa, &mut ControlPlane::default()) {
        Ok(_) => Ok(()),
        Err(e) => Err(unsupported(e.inner)),
    }
}

fn unsupported(error: CodegenError) -> LeftOut {
    LeftOut::Unsupported(error.to_string())
}

/// Computes what is needed for it on the way.
fn shape_of(ctx: &mut Context) -> Shape {
    ctx.flowgraph();
    let rpo: Vec<_> = ctx.domtree.cfg_rpo().copied().collect();
    Shape::of(&ctx.func, &rpo)
}

/// Our code for one of Cranelift's.
fn trap_code(code: TrapCode) -> u8 {
    match code {
        TrapCode::STACK_OVERFLOW => Trap::StackOverflow.code(),
        TrapCode::INTEGER_OVERFLOW => Trap::IntegerOverflow.code(),
        TrapCode::HEAP_OUT_OF_BOUNDS => Trap::MemoryOutOfBounds.code(),
        TrapCode::INTEGER_DIVISION_BY_ZERO => Trap::IntegerDivideByZero.code(),
        TrapCode::BAD_CONVERSION_TO_INTEGER => Trap::InvalidConversionToInteger.code(),
        user => user.as_raw().get(),
    }
}

/// Lays the text out and writes the tables. What fails here fails for the whole module.
fn assemble(
    mut module: TextModule<'_>,
    env: &ModuleEnv<'_>,
    functions: Vec<Result<Code, LeftOut>>,
    clock: &Clock,
) -> Result<CompiledModule, LeftOut> {
    let (info, target, symbols) = (env.info, env.target, env.symbols);
    let mut worker = Worker::default();
    let mut tables = TablesBuilder::default();
    let unlinked = |error: ModuleError| LeftOut::Unsupported(format!("it cannot be linked: {error}"));
    let in_time = || if Instant::now() > clock.stubs { Err(LeftOut::OutOfTime) } else { Ok(()) };
    let define = |module: &mut TextModule<'_>, sites: &mut Vec<Site>, id: FuncId, code: Code| {
        module.define_function_bytes(id, code.alignment, &code.bytes, &code.relocs).map_err(unlinked)?;
        let start = module.start(id).unwrap_or(0);
        sites.extend(code.sites.iter().map(|site| Site { pc: start + site.pc, ..*site }));
        Ok::<u32, LeftOut>(start)
    };

    // Array entries of the types that compiled functions have.
    for (own, result) in functions.iter().enumerate() {
        let ty = info.funcs[info.imported_funcs as usize + own].ty.index();
        let id = symbols.entries[ty];
        if result.is_err() || module.start(id).is_some() {
            continue;
        }
        in_time()?;
        let ty = info.signature(TypeIdx(ty as u32));
        let kept = stubs::array_entry(target, ty, &mut worker.ctx, &mut worker.frontend);
        let code = worker.stub(target, id, Some(kept))?;
        let [HandlerRow { ret, handler, sp, vmctx, .. }] = code.handlers[..] else {
            return Err(LeftOut::Unsupported("an array entry without its one handler".into()));
        };
        let start = define(&mut module, &mut tables.sites, id, code)?;
        tables.entries.push(EntryRow { ret: start + ret, handler: start + handler, sp, vmctx });
    }
    tables.entries_end = module.len();

    for (ty, want) in env.stubs_wanted.iter().enumerate() {
        let id = symbols.stubs[ty];
        let Some(sig) = info.types[ty].as_func() else { continue };
        if want.load(Ordering::Relaxed) && module.start(id).is_none() && target.carries(sig) {
            in_time()?;
            stubs::stub(target, sig, &mut worker.ctx, &mut worker.frontend);
            let code = worker.stub(target, id, None)?;
            define(&mut module, &mut tables.sites, id, code)?;
        }
    }
    tables.stubs = symbols.stubs.iter().map(|&id| module.start(id).unwrap_or(NONE)).collect();

    let mut left_out = Vec::new();
    let mut text_left = target.most_text().saturating_sub(module.len() as usize);
    for (own, mut result) in functions.into_iter().enumerate() {
        let func = FuncIdx(info.imported_funcs + own as u32);
        let (ty, id) = (info.funcs[func.index()].ty.index(), symbols.own[own]);
        if let Ok(code) = &result {
            match text_left.checked_sub(code.bytes.len()) {
                Some(left) => text_left = left,
                None => result = Err(LeftOut::TooLarge),
            }
        }
        let (code, entry) = match result {
            Ok(code) => (code, module.start(symbols.entries[ty]).unwrap_or(NONE)),
            Err(why) => {
                in_time()?;
                left_out.push((own, why));
                let sig = info.signature(TypeIdx(ty as u32));
                match target.carries(sig) {
                    true => stubs::fallback(target, sig, func.0, &mut worker.ctx, &mut worker.frontend),
                    false => stubs::nothing(target, &mut worker.ctx, &mut worker.frontend),
                }
                let code = worker.stub(target, id, None)?;
                (code, NONE)
            }
        };
        let (len, handlers) = (code.bytes.len() as u32, code.handlers.clone());
        let start = define(&mut module, &mut tables.sites, id, code)?;
        tables.handlers.extend(handlers.into_iter().map(|row| HandlerRow {
            ret: start + row.ret,
            handler: start + row.handler,
            ..row
        }));
        tables.funcs.push(FuncRow { start, len, entry });
    }
    tables.text_len = module.len();

    // The tables are the module's one data object.
    let id = module.declare_data("tables", Linkage::Local, false, false).map_err(unlinked)?;
    let mut data = DataDescription::new();
    data.define(tables.finish().into());
    module.define_data(id, &data).map_err(unlinked)?;
    let (text, mut data) = module.finish().map_err(unlinked)?;
    let tables = data.remove("tables").unwrap_or_default().into_vec();
    Ok(CompiledModule { text, tables, left_out })
}

/// How to make an artifact.
#[derive(Clone, Debug)]
pub struct ArtifactOptions {
    /// The architecture; this machine's by default.
    pub arch: Option<Arch>,
    /// Processor features that the code may use; by default this machine's, or for another architecture its baseline.
    pub cpu: Option<CpuFeatures>,
    /// How to compile.
    pub compile: CompileOptions,
    /// With what it is sealed.
    pub seal: Seal,
}

/// An artifact and what became of it.
#[derive(Debug)]
pub struct NewArtifact {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Functions that the interpreter will run: number of the core module, own function, why.
    pub left_out: Vec<(usize, usize, LeftOut)>,
}

/// Compiles the core modules of a WebAssembly file into an artifact. `modules` are the file's core modules in order of
/// appearance: for a module itself, one.
///
/// `adapters`: calls between components that it is to have code for (`Component::adapter_infos`).
///
/// # Errors
/// `Usage` when there is no native code for the target.
pub fn compile_artifact(
    config: &Config,
    wasm: &[u8],
    kind: Kind,
    modules: &[&ModuleInfo],
    adapters: &[AdapterInfo],
    options: &ArtifactOptions,
) -> Result<NewArtifact> {
    let host = Arch::host();
    let arch = options.arch.or(host).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "there is no native code for this machine; name a target")
    })?;
    let cpu = options.cpu.unwrap_or_else(|| match host == Some(arch) {
        true => CpuFeatures::host(),
        false => CpuFeatures::baseline(arch),
    });
    let total: usize = modules.iter().map(|info| info.bodies.len()).sum();
    let mut before = 0;
    let file = FileBudget::new(wasm.len());
    let (mut compiled, mut left_out) = (Vec::new(), Vec::new());
    for (i, info) in modules.iter().enumerate() {
        let mut compile_options = options.compile.clone();
        if let Some(progress) = options.compile.progress.clone() {
            compile_options.progress = Some(Arc::new(move |done, _| progress(before + done, total)));
        }
        let module = compile_part(info, config, arch, cpu, &compile_options, &file)?;
        left_out.extend(module.left_out.iter().map(|(own, why)| (i, *own, why.clone())));
        compiled.push(module);
        before += info.bodies.len();
    }
    let key = CodeKey::new(config);
    let between = if adapters.is_empty() {
        None
    } else {
        let target = Target::new(arch, cpu, &key, options.compile.verifier)?;
        let left = file_time(&options.compile, wasm.len()).saturating_sub(file.spent.get());
        adapter::assemble(&target, adapters, Clock::new(left).stubs).ok()
    };
    let content = Content {
        kind,
        arch,
        cpu,
        key,
        wasm,
        modules: &compiled,
        adapters: between.as_ref().map(|code| (adapters, code)),
    };
    Ok(NewArtifact { bytes: crate::artifact::assemble(&content, &options.seal), left_out })
}

/// The intermediate code of one function, as text, for tests and for `mini-wasm` developers.
///
/// # Errors
/// `Usage` when there is no such function or it cannot be compiled.
pub fn clif(info: &ModuleInfo, config: &Config, arch: Arch, own: usize) -> Result<String> {
    if own >= info.bodies.len() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the module has {} functions of its own", info.bodies.len()),
        ));
    }
    let key = CodeKey::new(config);
    let target = Target::new(arch, CpuFeatures::baseline(arch), &key, true)?;
    let mut module = TextModule::new(&*target.isa);
    let symbols = Symbols::declare(&mut module, info, &target).map_err(internal)?;
    let stubs_wanted: Vec<AtomicBool> = info.types.iter().map(|_| AtomicBool::new(false)).collect();
    let env =
        ModuleEnv { info, target: &target, key, symbols: &symbols, stubs_wanted: &stubs_wanted, until: None };
    let mut worker = Worker::default();
    func::translate(&env, own, &mut worker.ctx, &mut worker.frontend)
        .map_err(|why| Error::new(ErrorKind::Usage, format!("not compiled: {why}")))?;
    Ok(worker.ctx.func.display().to_string())
}
