//! Every operator compiles for every architecture, from the operator table; and everything links.

use mini_wasm_jit::compile::{CompileOptions, compile};
use mini_wasm_jit::{Arch, CpuFeatures};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::for_each_op;
use mini_wasm_runtime::module::{Module, WasmBytes};
use std::time::Duration;

/// A function in the text format for each plain row, and for memory accesses.
macro_rules! functions {
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
    ) => {{
        let one = |op: &str, a: &str, r: &str| format!("(func (param {a}) (result {r}) ({op} (local.get 0)))\n");
        let two = |op: &str, a: &str, r: &str| {
            format!("(func (param {a} {a}) (result {r}) ({op} (local.get 0) (local.get 1)))\n")
        };
        let far = ["", "1 ", "offset=0x1000 ", "offset=0xffffffff ", "1 offset=0x80000000 "];
        let load = |op: &str, r: &str| far.map(|m| format!("(func (param i32) (result {r}) ({op} {m}(local.get 0)))\n")).concat();
        let store = |op: &str, a: &str| far.map(|m| format!("(func (param i32 {a}) ({op} {m}(local.get 0) (local.get 1)))\n")).concat();
        [
            $(one($ut, stringify!($ua), stringify!($ur)),)*
            $(one($vt, stringify!($va), stringify!($vr)),)*
            $(two($bt, stringify!($ba), stringify!($br)),)*
            $(two($ct, stringify!($ca), stringify!($cr)),)*
            $(two($dt, stringify!($da), "i32"),)*
            $(two($et, stringify!($ea), "i32"),)*
            $(one($tt, stringify!($ta), "i32"),)*
            $(load($lt, stringify!($lr)),)*
            $(store($st, stringify!($sa)),)*
        ].concat()
    }};
}

/// The rows of class `custom`, several to a function.
fn custom() -> String {
    let many = "i32 ".repeat(40);
    let floats = "f64 ".repeat(12);
    let consts = "(i32.const 7)".repeat(40);
    let depths: String = (0..2000).map(|i| format!("{} ", i % 3)).collect();
    format!(
        r#"
    (type $many (func (param {many}) (result {many})))
    (type $floats (func (param {floats}) (result {floats})))
    (func $many (type $many) {consts})
    (func $pass (type $many) (return_call $many {consts}))
    (func (type $floats) (return_call_indirect (type $floats) {zeros} (i32.const 1)))
    (func (result i32) (call $many {consts}) {drops})
    (func (param i32) (result i32) (call $imported (local.get 0)) (call_indirect (type $one) (local.get 0)))
    (func (param i32) (result i32) (return_call $imported (local.get 0)))
    (func (param i32) (result i32) (block (block (block (br_table {depths} (local.get 0)))) (return (i32.const 1))) (i32.const 2))
    (func (param i32) (result i64) (local i64) (loop (result i64)
        (local.set 1 (i64.add (local.tee 1 (local.get 1)) (i64.const 3)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) (local.get 1)))
    (func (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.const 1)) (else (unreachable))))
    (func (param i32 f32) (result f32) (select (f32.const 1.5) (local.get 1) (local.get 0)))
    (func (param i32 externref) (result externref) (select (result externref) (ref.null extern) (local.get 1) (local.get 0)))
    (func (param i32) (result i32) (global.set $g (local.get 0)) (global.set $h (f64.const 2)) (i32.add (global.get $g) (global.get $i)))
    (func (param i32) (result funcref) (table.set $t (i32.const 0) (table.get $t (local.get 0))) (ref.func $pass))
    (func (result funcref) (ref.func $imported))
    (func (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)) (table.size $t) i32.add)
    (func (param i32 i32 i32) (table.fill $t (local.get 0) (ref.null func) (local.get 2))
        (table.copy $t $u (local.get 0) (local.get 1) (local.get 2)) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)) (elem.drop $e))
    (func (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))
        (memory.copy 0 1 (local.get 0) (local.get 1) (local.get 2)) (memory.init $d (local.get 0) (local.get 1) (local.get 2)) (data.drop $d))
    (func (param i32) (result i32) (memory.grow 1 (local.get 0)) (memory.size 1) i32.add)
    (func (param externref) (result i32) nop (ref.is_null (local.get 0)))
    "#,
        zeros = "(f64.const 0)".repeat(12),
        drops = "drop ".repeat(39),
    )
}

#[test]
fn every_operator_compiles_for_every_architecture() {
    let wat = format!(
        r#"(module
        (type $one (func (param i32) (result i32)))
        (import "m" "f" (func $imported (type $one)))
        (import "m" "g" (global $i i32))
        (memory 1) (memory 1) (data $d "abc")
        (table $t 3 funcref) (table $u 3 funcref) (elem $e func $pass) (elem declare func $imported)
        (global $g (mut i32) (i32.const 0)) (global $h (mut f64) (f64.const 0))
        {} {})"#,
        custom(),
        for_each_op!(functions)
    );
    let wasm = wat::parse_str(&wat).unwrap();
    for arch in Arch::ALL {
        for guard_pages in [true, false] {
            for metered in [false, true] {
                let config = Config {
                    guard_pages,
                    fuel: metered,
                    epoch: metered,
                    canonicalize_nans: metered,
                    ..Config::default()
                };
                let engine = Engine::new(config.clone());
                let info = Module::parse_only(&engine, WasmBytes::new(wasm.clone().into())).unwrap();
                let options = CompileOptions {
                    verifier: true,
                    time_budget: Some(Duration::MAX),
                    ..CompileOptions::default()
                };
                let done = compile(&info, &config, arch, CpuFeatures::baseline(arch), &options).unwrap();
                assert_eq!(done.left_out, [], "{arch:?}, guard pages {guard_pages}, metered {metered}");
            }
        }
    }
}

#[test]
fn an_old_processor_gets_no_native_code() {
    let config = Config::default();
    let engine = Engine::new(config.clone());
    let info =
        Module::parse_only(&engine, WasmBytes::new(wat::parse_str("(module)").unwrap().into())).unwrap();
    let options = CompileOptions::default();
    let error = compile(&info, &config, Arch::X86_64, CpuFeatures::default(), &options).unwrap_err();
    assert!(error.to_string().contains("sse3"), "{error}");
}

#[test]
fn what_cannot_be_compiled_is_left_out_and_the_rest_is_not() {
    let config = Config::default();
    let engine = Engine::new(config.clone());
    // A frame of 6000 values that are all needed at the end.
    let sets: String = (0..6000).map(|i| format!("(local.set {i} (call $f (i64.const {i})))")).collect();
    let sums: String = (0..6000).map(|i| format!("(local.get {i}) i64.xor ")).collect();
    let wat = format!(
        "(module (func $f (param i64) (result i64) (local.get 0))
            (func (result i64) (local {}) {sets} (i64.const 0) {sums})
            (func (result i32) (i32.const 1)))",
        "i64 ".repeat(6000)
    );
    let info = Module::parse_only(&engine, WasmBytes::new(wat::parse_str(&wat).unwrap().into())).unwrap();
    let arch = Arch::X86_64;
    let options = CompileOptions { max_body: 100 << 10, ..CompileOptions::default() };
    let done = compile(&info, &config, arch, CpuFeatures::baseline(arch), &options).unwrap();
    let numbers: Vec<usize> = done.left_out.iter().map(|(own, _)| *own).collect();
    assert_eq!(numbers, [1], "{:?}", done.left_out);
    let options = CompileOptions { max_body: 0, ..CompileOptions::default() };
    let done = compile(&info, &config, arch, CpuFeatures::baseline(arch), &options).unwrap();
    assert_eq!(done.left_out.len(), 3);
    let options = CompileOptions { time_budget: Some(Duration::ZERO), ..CompileOptions::default() };
    let done = compile(&info, &config, arch, CpuFeatures::baseline(arch), &options).unwrap();
    assert_eq!(done.left_out.len(), 3);
}
