//! NaNs have the same bits in every engine: whichever the operator, whichever operands are NaN, and wherever the operands come from. The
//! interpreter, native code and an artifact's are asked; none of them is told to canonicalize.

mod reloading;

use mini_wasm_jit::Jit;
use mini_wasm_runtime::backend::Backend;
use mini_wasm_runtime::handle::Instance;
use mini_wasm_runtime::val::Val;
use mini_wasm_runtime::{Config, Engine, Module, Store};
use reloading::Reloading;
use std::sync::Arc;

const BINARY: [&str; 6] = ["add", "sub", "mul", "div", "min", "max"];
const UNARY: [&str; 7] = ["sqrt", "ceil", "floor", "trunc", "nearest", "abs", "neg"];

/// Operands by where they come from: what is put in `A` and `B`, each used once.
const SHAPES: [(&str, &str, &str); 9] = [
    ("locals", "(local.get $a)", "(local.get $b)"),
    ("memory first", "A", "(local.get $b)"),
    ("memory second", "(local.get $a)", "B"),
    ("memory", "A", "B"),
    ("negated", "(F.neg (local.get $a))", "(F.neg (local.get $b))"),
    ("negated memory", "(F.neg A)", "(F.neg B)"),
    ("negated twice", "(F.neg (F.neg A))", "(local.get $b)"),
    ("computed", "(F.sqrt (local.get $a))", "B"),
    ("memory and computed", "A", "(F.sqrt (local.get $b))"),
];

struct Format {
    name: &'static str,
    load: &'static str,
    ty: &'static str,
    /// Gives the result in two halves.
    results: &'static str,
    constant: fn(u64) -> String,
    /// Bits of a lane.
    bits: u32,
    relaxed: bool,
}

const FORMATS: [Format; 4] = [
    Format {
        name: "f32",
        load: "f32.load",
        ty: "f32",
        results: "(i64.extend_i32_u (i32.reinterpret_f32 (local.get $r))) (i64.const 0)",
        constant: |bits| format!("(f32.reinterpret_i32 (i32.const {}))", bits as u32),
        bits: 32,
        relaxed: false,
    },
    Format {
        name: "f64",
        load: "f64.load",
        ty: "f64",
        results: "(i64.reinterpret_f64 (local.get $r)) (i64.const 0)",
        constant: |bits| format!("(f64.reinterpret_i64 (i64.const {bits}))"),
        bits: 64,
        relaxed: false,
    },
    Format {
        name: "f32x4",
        load: "v128.load",
        ty: "v128",
        results: "(i64x2.extract_lane 0 (local.get $r)) (i64x2.extract_lane 1 (local.get $r))",
        constant: |bits| format!("(v128.const i32x4 {bits} {bits} {bits} {bits})"),
        bits: 32,
        relaxed: true,
    },
    Format {
        name: "f64x2",
        load: "v128.load",
        ty: "v128",
        results: "(i64x2.extract_lane 0 (local.get $r)) (i64x2.extract_lane 1 (local.get $r))",
        constant: |bits| format!("(v128.const i64x2 {bits} {bits})"),
        bits: 64,
        relaxed: true,
    },
];

/// NaNs quiet and signalling, of both signs and of different payloads, and what is none.
fn numbers(bits: u32) -> Vec<u64> {
    match bits {
        32 => vec![0x7fc0_0000, 0xffc0_1234, 0x7fff_ffff, 0x7fa0_0001, 0xff80_0001, 0x3f80_0000, 0x8000_0000],
        _ => vec![
            0x7ff8_0000_0000_0000,
            0xfff8_0000_0000_1234,
            0x7fff_ffff_ffff_ffff,
            0x7ff4_0000_0000_0001,
            0xfff0_0000_0000_0001,
            0x3ff0_0000_0000_0000,
            0x8000_0000_0000_0000,
        ],
    }
}

/// Names and texts of functions that compute something of the numbers at 0 and at 16.
fn functions(format: &Format) -> Vec<(String, String)> {
    let Format { name, load, ty, results, .. } = format;
    let (a, b) = (format!("({load} (i32.const 0))"), format!("({load} (i32.const 16))"));
    let mut made = Vec::new();
    let mut function = |what: String, body: String| {
        let body = body.replace("F.", &format!("{name}.")).replace("A", &a).replace("B", &b);
        let text = format!(
            "(func (export \"{what}\") (result i64 i64) (local $a {ty}) (local $b {ty}) (local $r {ty})
                (local.set $a {a}) (local.set $b {b}) (local.set $r {body}) {results})"
        );
        made.push((what, text));
    };
    let mut binary: Vec<String> = BINARY.map(|op| format!("{name}.{op}")).into();
    if format.relaxed {
        binary.extend(["pmin", "pmax", "relaxed_min", "relaxed_max"].map(|op| format!("{name}.{op}")));
    } else {
        binary.push(format!("{name}.copysign"));
    }
    for op in &binary {
        for (shape, first, second) in SHAPES {
            function(format!("{op} of {shape}"), format!("({op} {first} {second})"));
        }
        for bits in numbers(format.bits) {
            let constant = (format.constant)(bits);
            function(format!("{op} of {bits:#x} first"), format!("({op} {constant} B)"));
            function(format!("{op} of {bits:#x} second"), format!("({op} A {constant})"));
            for other in numbers(format.bits) {
                let other_constant = (format.constant)(other);
                function(
                    format!("{op} of {bits:#x} {other:#x}"),
                    format!("({op} {constant} {other_constant})"),
                );
            }
        }
    }
    for op in UNARY {
        function(format!("{name}.{op}"), format!("({name}.{op} A)"));
        for bits in numbers(format.bits) {
            let constant = (format.constant)(bits);
            function(format!("{name}.{op} of {bits:#x}"), format!("({name}.{op} {constant})"));
        }
    }
    if format.relaxed {
        for op in ["relaxed_madd", "relaxed_nmadd"] {
            function(format!("{name}.{op}"), format!("({name}.{op} A B (local.get $a))"));
            function(format!("{name}.{op}, local"), format!("({name}.{op} (local.get $a) (local.get $b) B)"));
        }
    }
    match *name {
        "f32" => function("demote".into(), "(f32.demote_f64 (f64.load (i32.const 0)))".into()),
        "f64" => function("promote".into(), "(f64.promote_f32 (f32.load (i32.const 0)))".into()),
        "f32x4" => function("demote lanes".into(), "(f32x4.demote_f64x2_zero A)".into()),
        _ => function("promote lanes".into(), "(f64x2.promote_low_f32x4 A)".into()),
    }
    made
}

fn engines() -> [(&'static str, Engine); 3] {
    let backends: [Arc<dyn Backend>; 2] = [Arc::new(Jit::default()), Arc::new(Reloading)];
    let [jit, reloading] = backends.map(|backend| Engine::with_backend(Config::default(), backend));
    [("interpreter", Engine::default()), ("native", jit), ("artifact", reloading)]
}

#[test]
fn nans_have_the_same_bits_in_every_engine() {
    let formats: Vec<Format> = FORMATS.into();
    for format in formats {
        let functions = functions(&format);
        let texts: String = functions.iter().map(|(_, text)| text.as_str()).collect();
        let wasm = wat::parse_str(format!("(module (memory (export \"memory\") 1) {texts})")).unwrap();
        let mut guests = engines().map(|(engine_name, engine)| {
            let module = Module::new(&engine, wasm.clone()).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            (engine_name, store, instance)
        });
        let numbers = numbers(format.bits);
        let lane = |bits: u64| match format.bits {
            32 => (bits as u32).to_le_bytes().repeat(4),
            _ => bits.to_le_bytes().repeat(2),
        };
        for &a in &numbers {
            for &b in &numbers {
                for (name, _) in &functions {
                    let mut answers = guests.iter_mut().map(|(engine, store, instance)| {
                        let memory = instance.memory(&mut *store, "memory").unwrap();
                        let bytes = memory.data_mut(store).unwrap();
                        bytes[..16].copy_from_slice(&lane(a));
                        bytes[16..32].copy_from_slice(&lane(b));
                        let func = instance.func(&mut *store, name).unwrap();
                        let halves = func.call(&mut *store, &[]).unwrap();
                        let halves: Vec<String> = halves
                            .iter()
                            .map(|half| match half {
                                Val::I64(half) => format!("{half:#x}"),
                                other => panic!("{other:?}"),
                            })
                            .collect();
                        (*engine, halves)
                    });
                    let (_, expected) = answers.next().unwrap();
                    for (engine, found) in answers {
                        assert_eq!(found, expected, "{name}, {a:#x} and {b:#x}: {engine}, interpreter");
                    }
                }
            }
        }
    }
}
