//! Vectors in native code: every operator of the table compiles where there are vectors; where there are none, the functions that
//! mention them are chosen for the interpreter and nobody else is.

use mini_wasm_jit::compile::{CompileOptions, CompiledModule, LeftOut, compile};
use mini_wasm_jit::{Arch, CpuFeatures};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::for_each_simd_op;
use mini_wasm_runtime::module::{Module, WasmBytes};

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
