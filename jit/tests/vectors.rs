//! Vectors in native code: every operator of the table compiles where there are vectors; where there are none, the functions that
//! mention them are chosen for the interpreter and nobody else is.

use mini_wasm_jit::compile::{CompileOptions, CompiledModule, LeftOut, compile};
use mini_wasm_jit::{Arch, CpuFeatures, Jit};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::module::{Module, WasmBytes};
use mini_wasm_runtime::{Instance, Store, V128, Val, for_each_simd_op};
use std::sync::Arc;

/// A function in the text format for each row.
macro_rules! functions {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_float { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_float { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        ternary { $($d:ident $dt:literal $da:ident -> $dr:ident $dm:ident $dl:ident;)* }
        ternary_float { $($e:ident $et:literal $ea:ident -> $er:ident $em:ident $el:ident;)* }
        shift { $($h:ident $ht:literal $ha:ident $hm:ident $hl:ident;)* }
        splat { $($p:ident $pt:literal $pa:ident -> $pr:ident $pm:ident $pl:ident;)* }
        extract { $($x:ident $xt:literal $xa:ident -> $xr:ident $xm:ident $xl:ident;)* }
        replace { $($y:ident $yt:literal $ya:ident $yb:ident $ym:ident $yl:ident;)* }
        reduce { $($r:ident $rt:literal $ra:ident $rm:ident $rl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident $lf:ident $ll:ident;)* }
        store { $($s:ident $st:literal $sm:ident;)* }
        load_lane { $($i:ident $it:literal $im:ident $ia:ident $if:ident;)* }
        store_lane { $($j:ident $jt:literal $jm:ident $ja:ident $jf:ident;)* }
        custom { $($z:ident $zt:literal;)* }
    ) => {{
        let of = |op: &str, params: &str, result: &str| {
            let operands: String =
                (0..params.split_whitespace().count()).map(|i| format!("(local.get {i})")).collect();
            let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
            format!("(func (param {params}) {result} ({op} {operands}))\n")
        };
        let memory = |op: &str, lane: &str, params: &str, result: &str| {
            ["", "1 ", "offset=0x1000 ", "offset=0xffffffff ", "1 offset=0x80000000 "]
                .map(|at| of(&format!("{op} {at}{lane}"), params, result))
                .concat()
        };
        [
            $(of($ut, "v128", "v128"),)*
            $(of($vt, "v128", "v128"),)*
            $(of($bt, "v128 v128", "v128"),)*
            $(of($ct, "v128 v128", "v128"),)*
            $(of($dt, "v128 v128 v128", "v128"),)*
            $(of($et, "v128 v128 v128", "v128"),)*
            $(of($ht, "v128 i32", "v128"),)*
            $(of($pt, stringify!($pa), "v128"),)*
            $(of(concat!($xt, " 1"), "v128", stringify!($xr)),)*
            $(of(concat!($yt, " 1"), concat!("v128 ", stringify!($yb)), "v128"),)*
            $(of($rt, "v128", "i32"),)*
            $(memory($lt, "", "i32", "v128"),)*
            $(memory($st, "", "i32 v128", ""),)*
            $(memory($it, "1", "i32 v128", "v128"),)*
            $(memory($jt, "1", "i32 v128", ""),)*
        ].concat()
    }};
}

/// What has immediates of its own, and what moves vectors about.
fn custom() -> String {
    let many = "v128 ".repeat(20);
    let consts = "(v128.const i64x2 1 2)".repeat(20);
    format!(
        r#"
    (type $many (func (param {many}) (result {many})))
    (type $two (func (param i32 v128) (result v128 i64)))
    (func $many (type $many) {consts})
    (func (type $many) (return_call $many {consts}))
    (func (type $many) (call_indirect (type $many) {consts} (i32.const 1)))
    (func (type $two) (return_call_indirect (type $two) (local.get 0) (local.get 1) (i32.const 1)))
    (func (type $two) (return_call $imported (local.get 0) (local.get 1)))
    (func (param v128 v128) (result v128)
        (i8x16.shuffle 0 31 2 29 4 27 6 25 8 23 10 21 12 19 14 17 (local.get 0) (local.get 1)))
    (func (param v128 v128 i32) (result v128) (select (local.get 0) (local.get 1) (local.get 2)))
    (func (param i32) (result v128) (local v128)
        (loop (result v128) (local.set 1 (i8x16.add (local.get 1) (v128.const i64x2 1 1)))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) (local.get 1)))
    (func (param v128) (result v128) (global.set $g (local.get 0)) (v128.xor (global.get $g) (global.get $i)))
    "#
    )
}

fn compiled(wat: &str, arch: Arch, config: &Config) -> CompiledModule {
    let engine = Engine::new(config.clone());
    let wasm = WasmBytes::new(wat::parse_str(wat).unwrap().into());
    let info = Module::parse_only(&engine, wasm).unwrap();
    let options = CompileOptions { verifier: true, ..CompileOptions::default() };
    compile(&info, config, arch, CpuFeatures::baseline(arch), &options).unwrap()
}

fn everything() -> String {
    format!(
        r#"(module
        (type $two (func (param i32 v128) (result v128 i64)))
        (import "m" "f" (func $imported (type $two)))
        (import "m" "g" (global $i v128))
        (memory 1) (memory 1) (table 3 funcref) (global $g (mut v128) (v128.const i64x2 3 4))
        {} {} (func (param i32) (result i32) (i32.clz (local.get 0))))"#,
        custom().replace("(type $two (func (param i32 v128) (result v128 i64)))", ""),
        for_each_simd_op!(functions)
    )
}

#[test]
fn every_vector_operator_compiles_where_there_are_vectors() {
    let wat = everything();
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for (guard_pages, metered, deterministic) in
            [(true, false, true), (false, true, true), (true, false, false)]
        {
            let config = Config {
                guard_pages,
                fuel: metered,
                epoch: metered,
                canonicalize_nans: metered,
                relaxed_simd_deterministic: deterministic,
                ..Config::default()
            };
            let done = compiled(&wat, arch, &config);
            assert_eq!(done.left_out, [], "{arch:?}, {guard_pages}, metered {metered}");
        }
    }
}

#[test]
fn without_vectors_every_function_that_mentions_them_is_interpreted_and_no_other() {
    let wat = everything();
    let functions = wat.matches("(func ").count() - wat.matches("(type ").count();
    let done = compiled(&wat, Arch::Riscv64, &Config::default());
    assert!(done.left_out.iter().all(|(_, why)| *why == LeftOut::Vectors), "{:?}", done.left_out);
    assert!(functions > 250 && done.left_out.len() > 250, "{functions} {}", done.left_out.len());

    let mentions = |function: &str| {
        let wat = format!(
            r#"(module
            (type $v (func (param v128))) (type $i (func (param i32)))
            (import "m" "v" (func $v (type $v))) (import "m" "i" (func $i (type $i)))
            (import "m" "gv" (global $gv v128)) (global $gi i32 (i32.const 1))
            (memory 1) (table 1 funcref) (elem declare func $v)
            {function})"#
        );
        let done = compiled(&wat, Arch::Riscv64, &Config::default());
        !done.left_out.is_empty()
    };
    for function in [
        "(func (param v128))",
        "(func (result v128) unreachable)",
        "(func (local v128))",
        "(func (v128.const i64x2 0 0) drop)",
        "(func (block (result v128) unreachable) drop)",
        "(func unreachable (block (type $v) drop))",
        "(func unreachable (call $v))",
        "(func unreachable (return_call $v))",
        "(func (i32.const 0) unreachable (call_indirect (type $v)))",
        "(func (global.get $gv) drop)",
        "(func (drop (i8x16.all_true (v128.load (i32.const 0)))))",
        "(func unreachable (select (result v128)) drop)",
    ] {
        assert!(mentions(function), "{function}");
    }
    for function in [
        "(func (param i32) (result i32) (local i64 f32) (i32.clz (local.get 0)))",
        "(func (call $i (i32.const 1)) (call_indirect (type $i) (i32.const 1) (i32.const 0)))",
        "(func (global.get $gi) drop)",
        "(func (result funcref) (ref.func $v))",
        "(func (param i64 i64) (result i64) (select (local.get 0) (local.get 1) (i32.const 1)))",
    ] {
        assert!(!mentions(function), "{function}");
    }
}

fn results(engine: &Engine, wat: &str, name: &str, args: &[Val]) -> Vec<u128> {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, wat::parse_str(wat).unwrap()).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let found = instance.func(&mut store, name).unwrap().call(&mut store, args).unwrap();
    let bits = |value: &Val| match value {
        Val::V128(bits) => *bits,
        Val::I32(n) => u128::from(*n as u32),
        other => panic!("{other:?}"),
    };
    found.iter().map(bits).collect()
}

fn native(config: Config, options: CompileOptions) -> Engine {
    Engine::with_backend(config, Arc::new(Jit::new(options)))
}

fn relaxed(deterministic: bool) -> Config {
    Config { relaxed_simd_deterministic: deterministic, ..Config::default() }
}

/// The relaxed operators with operands for which the specification allows one result.
fn settled() -> String {
    let of = |i: usize, op: &str, operands: &[&str]| {
        let operands: String = operands.iter().map(|lanes| format!("(v128.const {lanes})")).collect();
        format!("(func (export \"r{i}\") (result v128) ({op} {operands}))\n")
    };
    let (bytes, picks) =
        ("i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "i8x16 15 0 -1 3 4 -128 6 7 8 9 10 2 2 2 1 0");
    let (floats, others) = ("f32x4 1.5 -2.25 3 -4", "f32x4 2 0.5 -8 16");
    let (doubles, pair) = ("f64x2 1.5 -2.25", "f64x2 -8 0.125");
    let halves = "i16x8 0x4000 -3 100 -32767 5 6 7 8";
    let (masks, wide) = ("i32x4 -1 0 0 -1", "i64x2 -1 0");
    let small = "i8x16 0 1 2 3 127 126 64 63 9 10 11 12 100 50 25 1";
    let rows: [(&str, &[&str]); 20] = [
        ("i8x16.relaxed_swizzle", &[bytes, picks]),
        ("i32x4.relaxed_trunc_f32x4_s", &[floats]),
        ("i32x4.relaxed_trunc_f32x4_u", &["f32x4 0 1.5 3e9 4e9"]),
        ("i32x4.relaxed_trunc_f64x2_s_zero", &[doubles]),
        ("i32x4.relaxed_trunc_f64x2_u_zero", &["f64x2 0.5 4e9"]),
        ("f32x4.relaxed_madd", &[floats, others, floats]),
        ("f32x4.relaxed_nmadd", &[floats, others, floats]),
        ("f64x2.relaxed_madd", &[doubles, pair, doubles]),
        ("f64x2.relaxed_nmadd", &[doubles, pair, doubles]),
        ("i8x16.relaxed_laneselect", &[bytes, picks, masks]),
        ("i16x8.relaxed_laneselect", &[bytes, picks, masks]),
        ("i32x4.relaxed_laneselect", &[bytes, picks, masks]),
        ("i64x2.relaxed_laneselect", &[bytes, picks, wide]),
        ("f32x4.relaxed_min", &[floats, others]),
        ("f32x4.relaxed_max", &[floats, others]),
        ("f64x2.relaxed_min", &[doubles, pair]),
        ("f64x2.relaxed_max", &[doubles, pair]),
        ("i16x8.relaxed_q15mulr_s", &[halves, halves]),
        ("i16x8.relaxed_dot_i8x16_i7x16_s", &[picks, small]),
        ("i32x4.relaxed_dot_i8x16_i7x16_add_s", &[picks, small, masks]),
    ];
    let functions: String = rows.iter().enumerate().map(|(i, (op, operands))| of(i, op, operands)).collect();
    format!("(module {functions})")
}

#[test]
fn where_the_specification_leaves_no_choice_relaxed_operators_have_one_result() {
    let wat = settled();
    for i in 0..20 {
        let name = format!("r{i}");
        let expected = results(&Engine::new(relaxed(true)), &wat, &name, &[]);
        for deterministic in [true, false] {
            let found = results(&native(relaxed(deterministic), CompileOptions::default()), &wat, &name, &[]);
            assert_eq!(found, expected, "{i} {deterministic}");
        }
    }
}

#[test]
fn relaxed_operators_differ_from_the_deterministic_ones_only_when_asked_to() {
    let wat = r#"(module (func (export "min") (param v128 v128) (result v128)
        (f32x4.relaxed_min (local.get 0) (local.get 1))))"#;
    let vector = |lanes: [f32; 4]| Val::V128(V128::from(lanes).bits());
    let args = [vector([f32::NAN, 1.0, 0.0, -0.0]), vector([1.0, 2.0, -0.0, 0.0])];
    let lanes = |deterministic| {
        let engine = native(relaxed(deterministic), CompileOptions::default());
        V128::from_bits(results(&engine, wat, "min", &args)[0]).u32x4()
    };
    let [nan, one, zero, other] = lanes(true);
    assert!(f32::from_bits(nan).is_nan());
    assert_eq!([one, zero, other], [1f32.to_bits(), 1 << 31, 1 << 31]);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(lanes(false), [1f32.to_bits(), 1f32.to_bits(), 1 << 31, 0], "the processor's own");
    }
}

#[test]
fn vectors_cross_between_the_engines_in_both_directions() {
    let many = "v128 ".repeat(11);
    // Each function turns its operands by one and calls the next, every other one interpreted.
    let turned: String = (0..11).map(|i| format!("(local.get {})", (i + 1) % 11)).collect();
    let functions: String = (0..5)
        .map(|f| {
            let body = match f {
                4 => turned.clone(),
                1 => format!("(return_call $f{} {turned} (i32.add (local.get 11) (i32.const 1)))", f + 1),
                2 => format!(
                    "(call_indirect (type $t) {turned} (i32.add (local.get 11) (i32.const 1)) (i32.const {}))",
                    f + 1
                ),
                _ => format!("(call $f{} {turned} (i32.add (local.get 11) (i32.const 1)))", f + 1),
            };
            let last = if f == 4 { "(local.get 11)" } else { "" };
            format!("(func $f{f} (export \"f{f}\") (type $t) {body} {last})\n")
        })
        .collect();
    let wat = format!(
        "(module (type $t (func (param {many} i32) (result {many} i32)))
            (table funcref (elem $f0 $f1 $f2 $f3 $f4)) {functions})"
    );
    let lanes = |i: u128| i << 64 | (i + 100);
    let args: Vec<Val> = (0..11).map(|i| Val::V128(lanes(i))).chain([Val::I32(40)]).collect();
    let expected: Vec<u128> = (0..11).map(|i| lanes((i + 5) % 11)).chain([44]).collect();
    for guard_pages in [true, false] {
        for odd in [0, 1] {
            let options = CompileOptions {
                interpret: Some(Arc::new(move |own| own % 2 == odd)),
                ..CompileOptions::default()
            };
            let engine = native(Config { guard_pages, ..Config::default() }, options);
            assert_eq!(results(&engine, &wat, "f0", &args), expected, "{guard_pages} {odd}");
        }
    }
}
