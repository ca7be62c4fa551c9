//! What a random program does, as far as a guest, its host and its embedder can see it.

use crate::Mode;
use crate::program::{Choices, Program, Type};
use mini_wasm_runtime::{
    Caller, Config, ErrorKind, ExternRef, Func, Linker, Module, Store, StoreLimits, Val,
};

/// A value, comparable; the identity of a function is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is a type of value")]
pub enum Seen {
    Number(u64),
    Vector(u128),
    Extern(Option<u32>),
    Func { null: bool },
}

impl From<&Val> for Seen {
    fn from(val: &Val) -> Seen {
        match *val {
            Val::I32(v) => Seen::Number(u64::from(v as u32)),
            Val::I64(v) => Seen::Number(v as u64),
            Val::F32(bits) => Seen::Number(u64::from(bits)),
            Val::F64(bits) => Seen::Number(bits),
            Val::V128(bits) => Seen::Vector(bits),
            Val::ExternRef(r) => Seen::Extern(r.map(|ExternRef(n)| n)),
            Val::FuncRef(f) => Seen::Func { null: f.is_none() },
        }
    }
}

/// How one call ended, and what was left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// The function's number.
    pub function: usize,
    /// Its results, or the kind of error (with the trap).
    pub end: Result<Vec<Seen>, ErrorKind>,
    /// Index and offset of each guest frame, when it trapped.
    pub backtrace: Vec<(u32, Option<u32>)>,
    /// Fuel left.
    pub fuel: Option<u64>,
    /// What the guest told the host since the instance was made.
    pub log: Vec<i64>,
    /// The exported globals, by number.
    pub globals: Vec<Option<Seen>>,
    /// Size of each memory in bytes, and what it hashes to.
    pub memories: Vec<(usize, u64)>,
}

/// Calls each function of the program a few times in one instance.
///
/// # Errors
/// The program cannot be instantiated; then so in every mode.
pub fn observe(
    mode: Mode,
    config: Config,
    program: &Program,
    binary: &[u8],
    choices: &mut Choices<'_>,
) -> Result<Vec<Called>, ErrorKind> {
    let engine = mode.engine(config);
    let module = mode.module(&engine, binary).map_err(|error| error.kind())?;
    observe_module(&module, program, choices)
}

/// The same for a module that exists.
///
/// # Errors
/// As [`observe`].
pub fn observe_module(
    module: &Module,
    program: &Program,
    choices: &mut Choices<'_>,
) -> Result<Vec<Called>, ErrorKind> {
    let mut store = Store::new(module.engine(), Vec::<i64>::new());
    store.set_limits(StoreLimits { memory_bytes: 1 << 20, table_elements: 1000, ..StoreLimits::default() });
    let mut linker = Linker::new();
    linker
        .func_wrap("host", "log", |mut caller: Caller<'_, Vec<i64>>, n: i64| {
            caller.data_mut().push(n);
            n as i32
        })
        .map_err(|error| error.kind())?;
    store.set_fuel(10_000);
    let instance = linker.instantiate(&mut store, module).map_err(|error| error.kind())?;
    let mut calls = Vec::new();
    for round in 0..2 {
        for function in (0..program.functions.len()).rev() {
            let Some(func) = instance.func(&mut store, &format!("f{function}")) else { continue };
            let args: Vec<Val> =
                program.functions[function].iter().map(|&ty| argument(choices, ty, func)).collect();
            store.set_fuel(if round == 0 { 20_000 } else { choices.amount() });
            let end = func.call(&mut store, &args);
            let backtrace = match &end {
                Ok(_) => Vec::new(),
                Err(error) => {
                    error.backtrace().frames.iter().map(|frame| (frame.func, frame.offset)).collect()
                }
            };
            let globals = (0..program.globals).map(|i| {
                let global = instance.export(&mut store, &format!("g{i}"))?.global()?;
                Some(Seen::from(&global.get(&mut store).ok()?))
            });
            let globals = globals.collect();
            let memories = ["m0", "m1"].into_iter().filter_map(|name| {
                let memory = instance.memory(&mut store, name)?;
                let bytes = memory.data(&store).ok()?;
                Some((bytes.len(), hash(bytes)))
            });
            calls.push(Called {
                function,
                end: end.map(|vals| vals.iter().map(Seen::from).collect()).map_err(|error| error.kind()),
                backtrace,
                memories: memories.collect(),
                globals,
                fuel: store.fuel(),
                log: store.data().clone(),
            });
        }
    }
    Ok(calls)
}

fn argument(choices: &mut Choices<'_>, ty: Type, func: Func) -> Val {
    let bits = choices.bits();
    match ty {
        Type::I32 => Val::I32(bits as i32),
        Type::I64 => Val::I64(bits as i64),
        Type::F32 => Val::F32(bits as u32),
        Type::F64 => Val::F64(bits),
        Type::FuncRef => Val::FuncRef((bits & 1 == 1).then_some(func)),
        Type::ExternRef => Val::ExternRef((bits & 1 == 1).then_some(ExternRef(bits as u32 >> 1))),
    }
}

/// FNV-1a over words: differences matter, not attackers.
fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}
