//! The interpreter through the public API, with the translator's options on and off.

use super::code::Options;
use crate::{Config, Engine, Instance, Linker, Module, Store, Val};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::cell::Cell;

std::thread_local! {
    /// What the options about speed are for modules made on this thread: accumulators, pinned local, fusion.
    static SPEED: Cell<[bool; 3]> = const { Cell::new([true; 3]) };
}

/// The options with what the running test wants.
pub(super) fn with_speed(options: Options) -> Options {
    let [accumulators, pinned_local, fusion] = SPEED.get();
    Options { accumulators, pinned_local, fusion, ..options }
}

/// Runs `test` once for every combination of the options about speed.
pub(super) fn for_all_speeds(mut test: impl FnMut([bool; 3])) {
    for bits in 0..8 {
        let speed = [bits & 1 == 0, bits & 2 == 0, bits & 4 == 0];
        SPEED.set(speed);
        test(speed);
    }
    SPEED.set([true; 3]);
}

pub(super) fn instance(store: &mut Store<()>, engine: &Engine, wasm: &[u8]) -> Instance {
    let module = Module::new(engine, wasm).unwrap();
    Linker::<()>::new().instantiate(store, &module).unwrap()
}

pub(super) fn call(
    store: &mut Store<()>,
    instance: Instance,
    name: &str,
    args: &[Val],
) -> crate::Result<Vec<Val>> {
    let func = instance.export(&mut *store, name).unwrap().func().unwrap();
    func.call(store, args)
}

#[test]
fn the_benchmarks_compute_the_same_with_every_combination_of_options() {
    let guests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests");
    let list = std::fs::read_to_string(guests.join("bench.txt")).unwrap();
    let mut done: Vec<&str> = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        let [file, n, result] = columns[..] else { panic!("three columns: {line}") };
        if done.contains(&file) {
            continue;
        }
        done.push(file);
        let wasm = std::fs::read(guests.join("bin").join(file)).unwrap();
        for_all_speeds(|speed| {
            let engine = Engine::new(Config::default());
            let mut store = Store::new(&engine, ());
            let instance = instance(&mut store, &engine, &wasm);
            let got = call(&mut store, instance, "run", &[Val::I32(n.parse().unwrap())]);
            let expected: i64 = result.parse().unwrap();
            assert!(
                matches!(&got, Ok(values) if matches!(values[..], [Val::I64(v)] if v == expected)),
                "{file} {n} with {speed:?}: {got:?}"
            );
        });
    }
    assert!(done.len() >= 6);
}

/// Writes a module of random but valid code: statements over a few locals of each type, memory, a global, calls; loops are
/// bounded. Made from a seed, so that a failure can be seen again.
struct Program {
    seed: u64,
    text: String,
    depth: u32,
    loops: u32,
}

const TYPES: [&str; 5] = ["i32", "i64", "f32", "f64", "v128"];
/// First of the three locals of type v128, among the others.
const VECTORS: u64 = 12;
/// First of the four locals that count loops.
const COUNTERS: u32 = 15;

impl Program {
    fn text(seed: u64) -> String {
        let mut program = Program { seed: seed | 1, text: String::new(), depth: 0, loops: 0 };
        program.text.push_str(
            "(module (memory 1) (global $g0 (mut i32) (i32.const 7)) (global $g1 (mut i64) (i64.const -3))
             (global $g4 (mut v128) (v128.const i32x4 1 2 3 4))
             (func $callee (param i32 i64 f32 f64 v128) (result i64)
               (global.set $g4 (i64x2.add (local.get 4) (i64x2.splat (local.get 1))))
               (local.set 1 (i64.add (local.get 1) (i64.extend_i32_s (local.get 0))))
               (i64.xor (local.get 1) (i64.reinterpret_f64 (local.get 3))))
             (func (export \"run\") (param i32 i64 f32 f64) (result i64)
               (local i32 i32 i64 i64 f32 f32 f64 f64 v128 v128 v128 i32 i32 i32 i32)",
        );
        for _ in 0..12 {
            program.statement();
        }
        // Everything that can be seen goes into the result.
        program.text.push_str("(global.get $g1)");
        for local in 0..12u64 {
            let ty = Program::local_type(local);
            program.text.push_str(&match ty {
                0 => format!("(i64.extend_i32_u (local.get {local}))"),
                1 => format!("(local.get {local})"),
                2 => format!("(i64.extend_i32_u (i32.reinterpret_f32 (local.get {local})))"),
                _ => format!("(i64.reinterpret_f64 (local.get {local}))"),
            });
            program.text.push_str("(i64.add) (i64.const 1000003) (i64.mul)");
        }
        for vector in ["(global.get $g4)", "(local.get 12)", "(local.get 13)", "(local.get 14)"] {
            for lane in 0..2 {
                program.text.push_str(&format!("(i64x2.extract_lane {lane} {vector})"));
                program.text.push_str("(i64.add) (i64.const 1000003) (i64.mul)");
            }
        }
        program.text.push_str("))");
        program.text
    }

    fn local_type(local: u64) -> u64 {
        if local < 4 { local } else { (local - 4) / 2 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) % below
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.random(from.len() as u64) as usize]
    }

    fn local(&mut self, ty: u64) -> u64 {
        match self.random(3) {
            n if ty == 4 => VECTORS + n,
            0 => ty,
            n => 4 + 2 * ty + n - 1,
        }
    }

    fn statement(&mut self) {
        self.depth += 1;
        let choice = if self.depth > 3 { self.random(4) } else { self.random(9) };
        match choice {
            0..=2 => {
                let ty = self.random(5);
                let local = self.local(ty);
                self.text.push_str(&format!("(local.set {local} "));
                self.expression(ty, 3);
                self.text.push(')');
            }
            3 => {
                let store = self.random(5);
                let width = ["", "", "8", "16"][self.random(4) as usize];
                let width = if store > 1 { "" } else { width };
                self.text.push_str(&format!(
                    "({}.store{width} offset={} ",
                    TYPES[store as usize],
                    self.seed % 64
                ));
                self.address();
                self.expression(store, 2);
                self.text.push(')');
            }
            4 => {
                self.text.push_str("(if ");
                self.expression(0, 2);
                self.text.push_str("(then ");
                self.statement();
                self.text.push_str(") (else ");
                self.statement();
                self.text.push_str("))");
            }
            5 if self.loops < 4 => {
                let counter = COUNTERS + self.loops;
                self.loops += 1;
                self.text
                    .push_str(&format!("(local.set {counter} (i32.const {})) (loop ", 1 + self.seed % 9));
                self.statement();
                self.statement();
                self.text.push_str(&format!(
                    "(br_if 0 (i32.gt_s (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))
                                        (i32.const 0))))"
                ));
                self.loops -= 1;
            }
            6 => {
                self.text.push_str("(block (br_if 0 ");
                self.expression(0, 2);
                self.text.push(')');
                self.statement();
                self.text.push(')');
            }
            7 => {
                self.text.push_str("(block (block (block (br_table 0 1 2 1 ");
                self.expression(0, 1);
                self.text.push_str("))");
                self.statement();
                self.text.push(')');
                self.statement();
                self.text.push(')');
            }
            _ => {
                let ty = [0, 1, 4][self.random(3) as usize];
                self.text.push_str(&format!("(global.set $g{ty} "));
                self.expression(ty, 2);
                self.text.push(')');
            }
        }
        self.depth -= 1;
    }

    fn address(&mut self) {
        self.text.push_str("(i32.and ");
        self.expression(0, 1);
        self.text.push_str("(i32.const 0x7ff8))");
    }

    fn unary(&mut self, op: &str, ty: u64, depth: u32) {
        self.text.push_str(&format!("({op} "));
        self.expression(ty, depth);
        self.text.push(')');
    }

    fn binary(&mut self, op: &str, ty: u64, depth: u32) {
        self.text.push_str(&format!("({op} "));
        self.expression(ty, depth);
        self.expression(ty, depth);
        self.text.push(')');
    }

    fn constant(&mut self, ty: u64) {
        let value = match self.random(3) {
            0 => self.random(16) as i64,
            1 => -(self.random(300) as i64),
            _ => self.seed as i64,
        };
        if ty == 4 {
            return self.text.push_str(&format!("(v128.const i64x2 {value} {})", self.seed as i64));
        }
        let value = if ty == 0 || ty == 2 { i64::from(value as i32) } else { value };
        self.text.push_str(&format!("({}.const {value})", TYPES[ty as usize]));
    }

    fn expression(&mut self, ty: u64, depth: u32) {
        let name = TYPES[ty as usize];
        if depth == 0 || self.random(6) == 0 {
            if self.random(3) == 0 {
                return self.constant(ty);
            }
            let local = self.local(ty);
            self.text.push_str(&format!("(local.get {local})"));
            return;
        }
        let depth = depth - 1;
        match self.random(12) {
            0 => {
                let local = self.local(ty);
                self.text.push_str(&format!("(local.tee {local} "));
                self.expression(ty, depth);
                self.text.push(')');
            }
            1 => {
                self.text.push_str("(select ");
                self.expression(ty, depth);
                self.expression(ty, depth);
                self.expression(0, depth);
                self.text.push(')');
            }
            2 => {
                self.text.push_str(&format!("({name}.load offset={} ", self.seed % 64));
                self.address();
                self.text.push(')');
            }
            3 => {
                self.text.push_str(&format!("(if (result {name}) "));
                self.expression(0, depth);
                self.text.push_str("(then ");
                self.expression(ty, depth);
                self.text.push_str(") (else ");
                self.expression(ty, depth);
                self.text.push_str("))");
            }
            4 => {
                self.text.push_str(&format!("(block (result {name}) "));
                self.expression(ty, depth);
                self.text.push_str("(br_if 0 ");
                self.expression(0, depth);
                self.text.push(')');
                self.text.push_str("(drop) ");
                self.expression(ty, depth);
                self.text.push(')');
            }
            5 if ty == 0 => {
                let of = self.random(4);
                let op = if of < 2 {
                    self.pick(&["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"])
                } else {
                    self.pick(&["eq", "ne", "lt", "gt", "le", "ge"])
                };
                self.binary(&format!("{}.{op}", TYPES[of as usize]), of, depth);
            }
            6 if ty == 0 => self.unary("i32.eqz", 0, depth),
            6 if ty == 1 => {
                self.text.push_str("(call $callee ");
                (0..5).for_each(|ty| self.expression(ty, depth));
                self.text.push(')');
            }
            7 => {
                let (op, from) = match (ty, self.random(3)) {
                    (4, 0) => ("i32x4.splat", 0),
                    (4, 1) => ("f64x2.splat", 3),
                    (4, _) => ("f32x4.abs", 4),
                    (0, 0) if depth > 1 => ("i32x4.extract_lane 2", 4),
                    (1, 0) if depth > 1 => ("i64x2.extract_lane 1", 4),
                    (2, 0) if depth > 1 => ("f32x4.extract_lane 3", 4),
                    (3, 0) if depth > 1 => ("f64x2.extract_lane 0", 4),
                    (0, 1) if depth > 1 => ("i8x16.bitmask", 4),
                    (0, 0) => ("i32.wrap_i64", 1),
                    (0, 1) => ("i32.reinterpret_f32", 2),
                    (0, _) => ("i32.trunc_sat_f64_s", 3),
                    (1, 0) => ("i64.extend_i32_s", 0),
                    (1, 1) => ("i64.reinterpret_f64", 3),
                    (1, _) => ("i64.extend_i32_u", 0),
                    (2, 0) => ("f32.convert_i32_s", 0),
                    (2, 1) => ("f32.demote_f64", 3),
                    (2, _) => ("f32.reinterpret_i32", 0),
                    (_, 0) => ("f64.convert_i64_s", 1),
                    (_, 1) => ("f64.promote_f32", 2),
                    (_, _) => ("f64.convert_i32_u", 0),
                };
                self.unary(op, from, depth);
            }
            8 if ty < 2 => {
                let op = self.pick(&["load8_s", "load8_u", "load16_s", "load16_u"]);
                self.text.push_str(&format!("({name}.{op} "));
                self.address();
                self.text.push(')');
            }
            9 if ty < 2 || ty == 4 => {
                self.text.push_str(&format!("(global.get $g{ty})"));
            }
            8 if ty == 4 => {
                self.text.push_str("(i16x8.shl ");
                self.expression(4, depth);
                self.expression(0, depth);
                self.text.push(')');
            }
            10 if ty == 4 => {
                self.text.push_str("(v128.bitselect ");
                (0..3).for_each(|_| self.expression(4, depth));
                self.text.push(')');
            }
            _ if ty == 4 => {
                let op = self.pick(&[
                    "i8x16.add",
                    "i16x8.mul",
                    "i32x4.sub",
                    "i64x2.mul",
                    "v128.xor",
                    "v128.andnot",
                    "f32x4.add",
                    "f64x2.mul",
                    "f32x4.lt",
                    "i8x16.swizzle",
                    "i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31",
                ]);
                self.binary(op, 4, depth);
            }
            _ if ty < 2 => {
                let op = self.pick(&[
                    "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "add", "add",
                ]);
                self.binary(&format!("{name}.{op}"), ty, depth);
            }
            _ => {
                let op = self.pick(&["add", "sub", "mul", "div", "min", "max", "copysign", "add", "mul"]);
                self.binary(&format!("{name}.{op}"), ty, depth);
            }
        }
    }
}

#[test]
fn random_programs_compute_the_same_with_every_combination_of_options() {
    for seed in 1..=150u64 {
        let text = Program::text(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut first: Option<(i64, Option<u64>)> = None;
        for_all_speeds(|speed| {
            let config = Config {
                fuel: seed % 2 == 0,
                epoch: seed % 3 == 0,
                canonicalize_nans: true,
                ..Config::default()
            };
            let engine = Engine::new(config);
            let mut store = Store::new(&engine, ());
            store.set_fuel(1 << 40);
            store.set_epoch_deadline(1);
            let instance = instance(&mut store, &engine, &wasm);
            let args = [Val::I32(3), Val::I64(-5), Val::from(1.5f32), Val::from(-2.25f64)];
            let values = call(&mut store, instance, "run", &args).unwrap();
            let Val::I64(value) = values[0] else { panic!("{values:?}") };
            let got = (value, store.fuel());
            assert_eq!(*first.get_or_insert(got), got, "seed {seed}, {speed:?}\n{text}");
        });
    }
}
