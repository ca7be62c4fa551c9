//! The fuzzer of damaged binaries: mutations of valid modules, components and artifacts are refused or run, and nothing else.
//!
//! Half of the mutations know the format: they change bytes inside a section or a function body and set the lengths right
//! again, put operators of one body into another, leave out, repeat or exchange sections, write numbers in more bytes than they
//! need. So a good part of the inputs passes the reader and is refused, or run, by what lies behind it. Everything follows from
//! the seed. A panic is caught and counted; fuel and limits bound what runs.

use crate::binary::{CODE, Section, Sections, operator_offsets};
use crate::diff::{Source, features};
use crate::mode::{self, Mode};
use crate::observe::{Plan, observe_module};
use crate::panics;
use crate::random::Random;
use crate::suites;
use mini_wasm_jit::artifact::{Artifact, Kind};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::module::ModuleInfo;
use mini_wasm_runtime::{Config, Engine, Module, Store, StoreLimits};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wasmparser::{Parser, ValidPayload, Validator};

/// Small components whose `run` goes through strings, lists, resources, nested components and aliases.
pub const COMPONENTS: [&str; 3] = [
    r#"(component
        (component $inner
            (core module $m
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 64))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8)))))
                (func (export "length") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "length") (param "text" string) (result u32)
                (canon lift (core func $i "length") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc")))))
        (instance $inner (instantiate $inner))
        (core module $memory (memory (export "memory") 1) (data (i32.const 8) "text"))
        (core instance $memory (instantiate $memory))
        (core func $length (canon lower (func $inner "length") (memory (core memory $memory "memory"))))
        (core module $main
            (import "" "length" (func $length (param i32 i32) (result i32)))
            (func (export "run") (result i32) (call $length (i32.const 8) (i32.const 4))))
        (core instance $main
            (instantiate $main (with "" (instance (export "length" (func $length))))))
        (func (export "run") (result u32) (canon lift (core func $main "run"))))"#,
    r#"(component
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core func $drop (canon resource.drop $r))
        (core module $main
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $handle i32)
                (local.set $handle (call $new (i32.const 7)))
                (call $rep (local.get $handle))
                (call $drop (local.get $handle))))
        (core instance $main (instantiate $main (with "" (instance
            (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
        (func (export "run") (result u32) (canon lift (core func $main "run"))))"#,
    r#"(component
        (type $shape (variant (case "none") (case "some" (list u8)) (case "many" (tuple u8 string))))
        (type $all (record (field "a" $shape) (field "b" (option char)) (field "c" (flags "x" "y"))))
        (export $shape' "shape" (type $shape))
        (core module $m
            (memory (export "memory") 1)
            (func (export "run") (result i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i32.store offset=4 (i32.const 16) (i32.const 40))
                (i32.store offset=8 (i32.const 16) (i32.const 3))
                (i32.const 16)))
        (core instance $i (instantiate $m))
        (func (export "run") (result $shape')
            (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#,
];

/// Instantiates a component and calls `run`; whether it got that far.
pub fn run_component(component: &Component) -> bool {
    let mut store = Store::new(component.engine(), ());
    store.set_limits(StoreLimits { memory_bytes: 1 << 20, table_elements: 1000, ..StoreLimits::default() });
    store.set_fuel(100_000);
    let linker = Linker::<()>::new(component.engine());
    let Ok(instance) = linker.instantiate(&mut store, component) else { return false };
    let Some(run) = instance.func(&mut store, "run") else { return false };
    run.call(&mut store, &[]).is_ok()
}

/// What the fuzzer is asked to do.
#[derive(Debug)]
pub struct Request {
    /// Inputs.
    pub count: u64,
    /// Decides them.
    pub seed: u64,
    /// Where inputs that bring something down are kept; nowhere if `None`.
    pub folder: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Of those, mutated modules, components and artifacts.
    pub kinds: [u64; 3],
    /// Inputs that were accepted all the same, by kind.
    pub accepted: [u64; 3],
    /// Panics of the engine.
    pub panics: u64,
    /// Modules of which it was looked at how far validation comes: one in eight.
    pub modules_looked_at: u64,
    /// Those of which validation reached a function body.
    pub bodies: u64,
    /// The longest that one input took.
    pub slowest: Duration,
    /// How long all took.
    pub time: Duration,
    /// The most memory that the process held, in KiB; 0 where the system does not say.
    pub peak_kib: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        writeln!(
            f,
            "{} inputs in {seconds:.1} s ({:.0} each second)",
            self.inputs,
            self.inputs as f64 / seconds
        )?;
        for (word, (tried, accepted)) in
            ["modules", "components", "artifacts"].iter().zip(self.kinds.iter().zip(self.accepted))
        {
            writeln!(f, "{word}: {tried}, accepted all the same {accepted}")?;
        }
        let part = 100.0 * self.bodies as f64 / self.modules_looked_at.max(1) as f64;
        writeln!(
            f,
            "validation reached a function body in {} of {} modules that were looked at ({part:.1} %)",
            self.bodies, self.modules_looked_at
        )?;
        writeln!(
            f,
            "slowest {:.0} ms, peak {} MiB",
            self.slowest.as_secs_f64() * 1000.0,
            self.peak_kib / 1024
        )?;
        write!(f, "{} panics", self.panics)
    }
}

/// Valid binaries to start from.
pub(crate) struct Pool {
    pub(crate) modules: Vec<Vec<u8>>,
    pub(crate) components: Vec<Vec<u8>>,
    pub(crate) artifacts: Vec<Vec<u8>>,
}

/// Binaries of each kind in a pool.
const POOL: usize = 120;
/// Inputs after which the modules of the pool are others, and the engine a new one.
const TURN: u64 = 20_000;

impl Pool {
    pub(crate) fn new(seed: u64, engine: &Engine) -> Pool {
        let mut random = Random::new(seed);
        let features = features(&[]);
        let mut modules = Vec::new();
        while modules.len() < POOL {
            let source = if random.one_in(2) { Source::Typed } else { Source::Smith };
            modules
                .extend(source.module(random.bits(), features, None).filter(|module| module.len() < 20_000));
        }
        let texts = COMPONENTS.iter().map(|text| wat::parse_str(text).expect("text of a component"));
        let mut components: Vec<Vec<u8>> = texts.collect();
        // The specification's own scripts hold every kind of definition.
        components.extend(suites::component_binaries().unwrap_or_default());
        let artifacts = modules.iter().take(12).filter_map(|bytes| {
            let module = Module::new(engine, bytes.as_slice()).ok()?;
            mode::artifact(engine, bytes, Kind::Module, &[module.info()], &[]).ok()
        });
        // With code between components.
        let of_components = components.iter().take(COMPONENTS.len()).filter_map(|bytes| {
            let component = Component::new(engine, bytes.as_slice()).ok()?;
            let modules: Vec<&ModuleInfo> =
                component.core_modules().iter().map(|module| &**module.info()).collect();
            mode::artifact(engine, bytes, Kind::Component, &modules, &component.adapter_infos()).ok()
        });
        let artifacts = artifacts.chain(of_components).collect();
        Pool { modules, components, artifacts }
    }
}

/// Runs the fuzzer.
pub fn run(request: &Request) -> Found {
    let started = Instant::now();
    let mut found = Found::default();
    let mut random = Random::new(request.seed);
    let fresh = || Mode::Aot.engine(Config { fuel: true, features: features(&[]), ..Config::default() });
    let mut engine = fresh();
    let mut pool = Pool::new(random.bits(), &engine);
    for number in 0..request.count {
        if number > 0 && number.is_multiple_of(TURN) {
            engine = fresh();
            pool = Pool::new(random.bits(), &engine);
        }
        let kind = match random.below(16) {
            0 if !pool.artifacts.is_empty() => 2,
            0..=3 => 1,
            _ => 0,
        };
        let from = [&pool.modules, &pool.components, &pool.artifacts][kind];
        let mut input = from[random.below(from.len())].clone();
        let other = &from[random.below(from.len())];
        for _ in 0..1 + random.below(3) {
            mutate(&mut input, other, kind == 0, &mut random);
        }
        found.inputs += 1;
        found.kinds[kind] += 1;
        let began = Instant::now();
        let seed = random.bits();
        let answer = catch_unwind(AssertUnwindSafe(|| accepted(&engine, kind, &input, seed)));
        let noted = panics::take();
        match answer {
            Ok(accepted) if noted.is_empty() => found.accepted[kind] += u64::from(accepted),
            _ => {
                found.panics += 1;
                println!("a panic: input {number} of seed {:#x}: {noted:?}", request.seed);
                if let Some(folder) = &request.folder {
                    let path = folder.join(format!("malformed-{:x}-{number}.wasm", request.seed));
                    let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, &input));
                }
            }
        }
        found.slowest = found.slowest.max(began.elapsed());
        if kind == 0 && number.is_multiple_of(8) {
            found.modules_looked_at += 1;
            found.bodies += u64::from(reaches_a_body(&input));
        }
    }
    found.time = started.elapsed();
    found.peak_kib = peak_kib();
    found
}

/// What the system says the process held at most.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Parses, instantiates, calls; whether the binary was accepted.
fn accepted(engine: &Engine, kind: usize, input: &[u8], seed: u64) -> bool {
    match kind {
        0 => match Module::new(engine, input) {
            Ok(module) => {
                let _ = observe_module(&module, Plan { seed, rounds: 1, fuel: 2_000 });
                true
            }
            Err(_) => false,
        },
        1 => match Component::new(engine, input) {
            Ok(component) => {
                run_component(&component);
                true
            }
            Err(_) => false,
        },
        _ => {
            let _ = Artifact::wasm(input);
            let loaded = mode::load(engine, input);
            // What a refused artifact carries runs interpreted, so it is a module like any other.
            if let Ok(Err(refused)) = &loaded
                && let Some((_, wasm)) = &refused.wasm
            {
                let _ = Module::new(engine, &**wasm);
            }
            matches!(loaded, Ok(Ok(_)))
        }
    }
}

/// Does the validator come as far as a function body?
fn reaches_a_body(input: &[u8]) -> bool {
    let mut validator = Validator::new_with_features(features(&[]).wasmparser());
    for payload in Parser::new(0).parse_all(input) {
        let Ok(payload) = payload else { return false };
        match validator.payload(&payload) {
            Ok(ValidPayload::Func(..)) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// One mutation; `other` is a valid binary of the same kind.
pub(crate) fn mutate(input: &mut Vec<u8>, other: &[u8], is_module: bool, random: &mut Random) {
    if is_module && !random.one_in(4) {
        let donor = Sections::of(other);
        if let (Some(mut sections), Some(donor)) = (Sections::of(input), donor)
            && mutate_sections(&mut sections, &donor, random).is_some()
        {
            *input = sections.binary();
            return;
        }
    }
    // The header is left alone: what follows it is what the reader has to withstand.
    damage(input, 8, random);
}

/// Damages bytes behind the first `from`.
fn damage(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    if bytes.len() <= from {
        return;
    }
    let at = from + random.below(bytes.len() - from);
    let byte = random.bits() as u8;
    match random.below(7) {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => drop(bytes.remove(at)),
        4 if random.one_in(4) => bytes.truncate(at),
        5 => {
            let end = (at + usize::from(byte)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        // A number in one byte more than it needs, or the largest there is.
        6 if bytes[at] < 0x80 => {
            bytes[at] |= 0x80;
            bytes.insert(at + 1, 0);
        }
        _ => {
            let end = (at + 5).min(bytes.len());
            bytes.splice(at..end, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        }
    }
}

/// A mutation that leaves the frame of the module whole.
fn mutate_sections(sections: &mut Sections, donor: &Sections, random: &mut Random) -> Option<()> {
    match random.below(10) {
        // Inside bodies, most often: the lengths are right again afterwards.
        0..=6 => {
            let mut bodies = sections.bodies()?;
            let others = donor.bodies()?;
            let number = random.below(bodies.len());
            let body = bodies.get_mut(number)?;
            if random.one_in(3) {
                damage(body, 1, random);
            } else {
                let offsets = operator_offsets(body)?;
                let stretch = |offsets: &[usize], random: &mut Random| {
                    let first = random.below(offsets.len() - 1);
                    let last = (first + 1 + random.below(3)).min(offsets.len() - 1);
                    offsets[first]..offsets[last]
                };
                let place = stretch(&offsets, random);
                match random.below(3) {
                    0 => drop(body.drain(place)),
                    1 => {
                        let piece = body[place.clone()].to_vec();
                        body.splice(place.start..place.start, piece);
                    }
                    _ => {
                        let other = others.get(random.below(others.len()))?;
                        let piece = other[stretch(&operator_offsets(other)?, random)].to_vec();
                        body.splice(place, piece);
                    }
                }
            }
            sections.set_bodies(&bodies);
        }
        7 => {
            let number = random.below(sections.0.len());
            let section: &mut Section = sections.0.get_mut(number)?;
            if section.id != CODE {
                damage(&mut section.content, 0, random);
            }
        }
        8 => {
            let number = random.below(sections.0.len());
            let section = sections.0.get(number)?.clone();
            match random.below(3) {
                0 => drop(sections.0.remove(number)),
                1 => sections.0.insert(number, section),
                _ => {
                    let with = random.below(sections.0.len());
                    sections.0.swap(number, with);
                }
            }
        }
        _ => {
            let section = donor.0.get(random.below(donor.0.len()))?.clone();
            sections.set(section.id, section.content);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let run = || {
            let found = run(&Request { count: 200, seed: 3, folder: None });
            (found.kinds, found.accepted, found.bodies)
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn how_far_validation_comes_is_seen() {
        let valid = wat::parse_str("(module (func (result i32) (i32.const 1)))").unwrap();
        assert!(reaches_a_body(&valid));
        // The type's form is none.
        assert!(!reaches_a_body(b"\0asm\x01\0\0\0\x01\x02\x01\x00"));
    }
}
