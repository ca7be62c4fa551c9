//! What a module does, as far as a guest, its host and its embedder can see it.
//!
//! A module is instantiated with imports that answer the same in every mode, and its exported functions are called with
//! arguments that a seed decides. What it did is comparable: results bit by bit, errors by kind, memories, globals, tables, what
//! the host was told, the fuel left. References are compared by what the embedder can see of them.

use crate::Mode;
use crate::random::Random;
use mini_wasm_runtime::types::{ExternType, RefType, ValType};
use mini_wasm_runtime::{
    AnyRef, Caller, Config, Error, ErrorKind, Extern, ExternRef, Func, Global, Instance, Linker, Memory,
    Module, Result, Store, StoreLimits, Table, Tag, Trap, Val,
};

/// A value, comparable; the identity of a reference is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is a type of value")]
pub enum Seen {
    Number(u64),
    Vector(u128),
    Extern(Option<u32>),
    Func {
        null: bool,
    },
    I31(i32),
    /// An object is compared by its kind: where it lies differs.
    Object(&'static str),
    /// A structure or an array that was looked into: what it and those near it hold hashes to.
    Held(u64),
}

impl From<&Val> for Seen {
    fn from(val: &Val) -> Seen {
        match val.clone() {
            Val::I32(v) => Seen::Number(u64::from(v as u32)),
            Val::I64(v) => Seen::Number(v as u64),
            Val::F32(bits) => Seen::Number(u64::from(bits)),
            Val::F64(bits) => Seen::Number(bits),
            Val::V128(bits) => Seen::Vector(bits),
            Val::ExternRef(r) => Seen::Extern(r.map(|ExternRef(n)| n)),
            Val::FuncRef(f) => Seen::Func { null: f.is_none() },
            Val::AnyRef(None) | Val::ExnRef(None) => Seen::Object("null"),
            Val::ExnRef(Some(_)) => Seen::Object("exception"),
            Val::AnyRef(Some(any)) | Val::Externalized(any) => match any {
                AnyRef::I31(value) => Seen::I31(value),
                AnyRef::Host(ExternRef(n)) => Seen::Extern(Some(n)),
                AnyRef::Struct(_) => Seen::Object("struct"),
                AnyRef::Array(_) => Seen::Object("array"),
                AnyRef::Other(_) => Seen::Object("other"),
            },
        }
    }
}

/// How far objects are followed, and elements of an array that are looked at.
const DEPTH: usize = 3;
const FIRST: u32 = 16;

/// A value with what lies behind a reference.
fn look_into(store: &mut Store<Vec<u64>>, val: &Val, depth: usize) -> Seen {
    let mut hash = 0;
    match val {
        Val::AnyRef(Some(AnyRef::Struct(object))) | Val::Externalized(AnyRef::Struct(object))
            if depth > 0 =>
        {
            for index in 0..object.fields(&*store).unwrap_or_default() {
                if let Ok(Some(field)) = object.field(&mut *store, index) {
                    hash = mix(hash, &look_into(store, &field, depth - 1));
                }
            }
        }
        Val::AnyRef(Some(AnyRef::Array(object))) | Val::Externalized(AnyRef::Array(object)) if depth > 0 => {
            let length = object.len(&*store).unwrap_or_default();
            hash = mix(1, &Seen::Number(u64::from(length)));
            for index in 0..length.min(FIRST) {
                if let Ok(Some(element)) = object.get(&mut *store, index) {
                    hash = mix(hash, &look_into(store, &element, depth - 1));
                }
            }
        }
        _ => return Seen::from(val),
    }
    Seen::Held(hash)
}

/// How one call ended, and what was left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// The exported function's name.
    pub function: String,
    /// Its results, or the kind of error (with the trap).
    pub end: std::result::Result<Vec<Seen>, ErrorKind>,
    /// Index and offset of each guest frame, when it trapped.
    pub backtrace: Vec<(u32, Option<u32>)>,
    /// Fuel left.
    pub fuel: Option<u64>,
    /// What the guest told the host since the instance was made.
    pub log: Vec<u64>,
    /// The exported globals.
    pub globals: Vec<Option<Seen>>,
    /// Size of each exported memory in bytes, and what it hashes to.
    pub memories: Vec<(usize, u64)>,
    /// Size of each exported table, and what its first elements are.
    pub tables: Vec<(u64, Vec<Option<Seen>>)>,
}

impl Called {
    /// The end depends on how much stack or heap an engine has: nothing that follows can be compared.
    pub fn is_incomparable(&self) -> bool {
        let resource =
            |trap| matches!(trap, Trap::StackOverflow | Trap::GcHeapOutOfMemory | Trap::OutOfMemory);
        matches!(&self.end, Err(ErrorKind::Trap(trap)) if resource(*trap))
            || matches!(&self.end, Err(ErrorKind::Exhausted))
    }
}

/// What a module did: each call, or why there was none.
pub type Observed = std::result::Result<Vec<Called>, ErrorKind>;

/// How a module is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides the arguments, what the host answers, and the fuel.
    pub seed: u64,
    /// How often the whole list of functions is called.
    pub rounds: usize,
    /// Fuel of each call of the first round, in which nothing should run out of it.
    pub fuel: u64,
}

impl Plan {
    /// The usual plan of a seed: each function twice, the second time with little fuel now and then.
    pub fn new(seed: u64) -> Plan {
        Plan { seed, rounds: 2, fuel: 20_000 }
    }
}

/// Name under which a rewritten module exports the memory of its counters (`diff/coverage.rs`).
pub const COUNTERS: &str = "executions counted";

/// Functions of a module that are called.
const FUNCTIONS: usize = 12;
/// Elements of a table that are looked at.
const ELEMENTS: u64 = 32;

/// Instantiates a binary in a mode and calls what it exports.
///
/// # Errors
/// The kind of error, when there is no instance.
pub fn observe(mode: Mode, config: Config, binary: &[u8], plan: Plan) -> Observed {
    let engine = mode.engine(config);
    let module = mode.module(&engine, binary).map_err(|error| error.kind())?;
    observe_module(&module, plan)
}

/// The same for a module that exists.
///
/// # Errors
/// As [`observe`].
pub fn observe_module(module: &Module, plan: Plan) -> Observed {
    let mut running = Running::new(module, plan, 1 << 20).map_err(|error| error.kind())?;
    Ok(running.calls())
}

/// A module that was instantiated.
pub struct Running {
    /// Its store; the data is what the host was told.
    pub store: Store<Vec<u64>>,
    /// The instance.
    pub instance: Instance,
    exports: Vec<(String, Extern)>,
    plan: Plan,
}

impl Running {
    /// Instantiates a module, whose memories may have so many bytes together.
    ///
    /// # Errors
    /// As [`Linker::instantiate`].
    pub fn new(module: &Module, plan: Plan, memory_bytes: u64) -> Result<Running> {
        let mut store = Store::new(module.engine(), Vec::new());
        let limits = StoreLimits::default();
        store.set_limits(StoreLimits {
            memory_bytes,
            table_elements: 4000,
            gc_heap_bytes: 32 << 20,
            ..limits
        });
        let linker = imports(&mut store, module, plan.seed)?;
        store.set_fuel(plan.fuel);
        let instance = linker.instantiate(&mut store, module)?;
        let exports = instance.exports(&mut store);
        Ok(Running { store, instance, exports, plan })
    }

    /// Makes the calls of the plan.
    pub fn calls(&mut self) -> Vec<Called> {
        let mut random = Random::new(self.plan.seed);
        let mut calls: Vec<Called> = Vec::new();
        let exports = std::mem::take(&mut self.exports);
        self.fill(&exports);
        for round in 0..self.plan.rounds {
            let functions = exports.iter().rev().filter_map(|(name, item)| Some((name, item.func()?)));
            for (name, func) in functions.take(FUNCTIONS) {
                let fuel = match round {
                    // From nothing to plenty.
                    1.. if random.one_in(3) => random.bits() >> (50 + random.below(14)),
                    _ => self.plan.fuel,
                };
                let Some(args) = self.arguments(func, &mut random) else { continue };
                self.store.set_fuel(fuel);
                let end = func.call(&mut self.store, &args);
                let called = self.look(name, end, &exports);
                let stop = called.is_incomparable();
                calls.push(called);
                if stop {
                    return calls;
                }
            }
        }
        self.exports = exports;
        calls
    }

    /// Puts something into the exported memories: what is read from zeros tells little. A quarter of the words stays as it is.
    fn fill(&mut self, exports: &[(String, Extern)]) {
        for (number, (name, item)) in exports.iter().enumerate() {
            let Some(memory) = item.memory().filter(|_| name != COUNTERS) else { continue };
            let Ok(bytes) = memory.data_mut(&mut self.store) else { continue };
            let mut random = Random::new(self.plan.seed ^ number as u64);
            for word in bytes.as_chunks_mut::<8>().0 {
                let bits = random.bits();
                if bits & 3 != 0 {
                    *word = bits.to_le_bytes();
                }
            }
        }
    }

    /// Arguments for a function; `None` when the embedder cannot make a value of a parameter's type.
    fn arguments(&self, func: Func, random: &mut Random) -> Option<Vec<Val>> {
        let ty = func.ty(&self.store).ok()?;
        ty.params().iter().map(|&ty| value(ty, random, Some(func))).collect()
    }

    fn look(&mut self, name: &str, end: Result<Vec<Val>>, exports: &[(String, Extern)]) -> Called {
        let backtrace = match &end {
            Ok(_) => Vec::new(),
            Err(error) => error.backtrace().frames.iter().map(|frame| (frame.func, frame.offset)).collect(),
        };
        let (mut globals, mut memories, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for (_, item) in exports {
            match item {
                Extern::Global(global) => {
                    let val = global.get(&mut self.store).ok();
                    globals.push(val.map(|val| look_into(&mut self.store, &val, DEPTH)));
                }
                Extern::Memory(memory) => {
                    let bytes = memory.data(&self.store).unwrap_or_default();
                    memories.push((bytes.len(), hash(bytes)));
                }
                Extern::Table(table) => {
                    let size = table.size(&self.store).unwrap_or_default();
                    let element = |index| {
                        let val = table.get(&mut self.store, index).ok()??;
                        Some(look_into(&mut self.store, &val, DEPTH))
                    };
                    tables.push((size, (0..size.min(ELEMENTS)).map(element).collect()));
                }
                _ => {}
            }
        }
        Called {
            function: name.to_owned(),
            end: end
                .map(|vals| vals.iter().map(|val| look_into(&mut self.store, val, DEPTH)).collect())
                .map_err(|error| error.kind()),
            backtrace,
            fuel: self.store.fuel(),
            log: self.store.data().clone(),
            globals,
            memories,
            tables,
        }
    }
}

/// A value of a type as a seed has it; functions are `func`.
fn value(ty: ValType, random: &mut Random, func: Option<Func>) -> Option<Val> {
    const NUMBERS: [u64; 16] = [
        0,
        1,
        u64::MAX,
        0x7fff_ffff,
        0x8000_0000,
        1 << 63,
        i64::MAX as u64,
        0x7f80_0000,
        0x7ff0_0000_0000_0000,
        0x3ff8_0000_0000_0000,
        // NaNs of both widths, told apart by their payloads.
        0x7ff8_0000_7fc0_0001,
        0xfff8_0000_ffc0_0002,
        0x7ff4_0000_7fa0_0003,
        0xfff4_0000_ffa0_0004,
        65_535,
        16,
    ];
    let bits = if random.one_in(2) { random.bits() } else { NUMBERS[random.below(NUMBERS.len())] };
    Some(match ty {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32(bits as u32),
        ValType::F64 => Val::F64(bits),
        ValType::V128 => Val::V128(u128::from(bits) << 64 | u128::from(random.bits())),
        _ => match Val::default_for(ty)? {
            Val::FuncRef(None) => Val::FuncRef(func.filter(|_| bits & 1 == 1 && is_funcref(ty))),
            Val::ExternRef(None) if is_externref(ty) && bits & 1 == 1 => {
                Val::ExternRef(Some(ExternRef((bits >> 1) as u32 & 0xffff)))
            }
            Val::AnyRef(None) if ty == ValType::Ref(RefType::ANYREF) && bits & 1 == 1 => {
                Val::AnyRef(Some(AnyRef::I31((bits >> 1) as i32)))
            }
            null => null,
        },
    })
}

fn is_funcref(ty: ValType) -> bool {
    ty == ValType::Ref(RefType::FUNCREF)
}

fn is_externref(ty: ValType) -> bool {
    ty == ValType::Ref(RefType::EXTERNREF)
}

/// Something for each import of a module: functions that note what they were given and answer with numbers that follow from it.
fn imports(store: &mut Store<Vec<u64>>, module: &Module, seed: u64) -> Result<Linker<Vec<u64>>> {
    let mut linker = Linker::new();
    linker.allow_shadowing(true);
    let mut random = Random::new(!seed);
    for (number, (from, name, ty)) in module.imports().enumerate() {
        let none = || Error::new(ErrorKind::Unlinkable, "no value of an imported type can be made");
        let item: Extern = match ty {
            ExternType::Func(ty) => {
                let results = ty.results().to_vec();
                Func::new(&mut *store, ty.clone(), move |mut caller: Caller<'_, Vec<u64>>, args, out| {
                    let mut told = args.iter().fold(number as u64, |told, arg| mix(told, &Seen::from(arg)));
                    told ^= caller.data().len() as u64;
                    caller.data_mut().push(told);
                    let mut random = Random::new(told);
                    for (result, &ty) in out.iter_mut().zip(&results) {
                        *result = value(ty, &mut random, None)
                            .ok_or_else(|| Error::host("no value of a result's type can be made"))?;
                    }
                    Ok(())
                })
                .into()
            }
            ExternType::Global(ty) => {
                let val = value(ty.content, &mut random, None).ok_or_else(none)?;
                Global::new(&mut *store, *ty, val)?.into()
            }
            ExternType::Table(ty) => {
                let null = Val::default_for(ValType::Ref(ty.element)).ok_or_else(none)?;
                Table::new(&mut *store, *ty, null)?.into()
            }
            ExternType::Memory(ty) => Memory::new(&mut *store, *ty)?.into(),
            ExternType::Tag(ty) => Tag::new(&mut *store, ty.clone())?.into(),
        };
        linker.define(from, name, item)?;
    }
    Ok(linker)
}

fn mix(told: u64, seen: &Seen) -> u64 {
    let bits = match *seen {
        Seen::Number(bits) => bits,
        Seen::Vector(bits) => bits as u64 ^ (bits >> 64) as u64,
        Seen::Extern(n) => n.map_or(3, |n| u64::from(n) << 2),
        Seen::Func { null } => u64::from(null),
        Seen::I31(value) => 5 ^ (value as u64) << 8,
        Seen::Held(hash) => hash,
        Seen::Object(kind) => 6 ^ (kind.len() as u64) << 8,
    };
    (told ^ bits).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}

/// FNV-1a over words: differences matter, not attackers.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)))
}

/// The first thing that differs, in words; backtraces do not count.
pub fn difference(found: &Observed, expected: &Observed) -> Option<String> {
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(ErrorKind::Trap(a)), Err(ErrorKind::Trap(b))) if a != b => {
            let resource = |trap: &Trap| matches!(trap, Trap::StackOverflow | Trap::GcHeapOutOfMemory);
            let incomparable = resource(a) || resource(b);
            return (!incomparable).then(|| format!("found {found:?}, expected {expected:?}"));
        }
        _ => return (found != expected).then(|| format!("found {found:?}, expected {expected:?}")),
    };
    for (found, expected) in found.iter().zip(expected) {
        if found.is_incomparable() || expected.is_incomparable() {
            return None;
        }
        let found = Called { backtrace: expected.backtrace.clone(), ..found.clone() };
        if found != *expected {
            return Some(format!("found    {found:?}\nexpected {expected:?}"));
        }
    }
    (found.len() != expected.len()).then(|| format!("{} calls, expected {}", found.len(), expected.len()))
}
