//! Handles on their way between components that keep to nothing: indices that are there, that are not, of another type, lent, given away
//! twice; borrows that are dropped or kept; a trap in the middle of a call. Native code between the components, the plan, and values of the
//! host's own come to the same: the same numbers, the same traps.
//!
//! `CASES` is how many sequences of calls there are (400).

mod reloading;
mod whole_artifact;

use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::abi::Val;
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Store, StoreLimits};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reloading::Reloading;
use std::sync::Arc;

/// What A calls of B: a name, the type, core parameters and result of the lowered function.
const FUNCS: [(&str, &str, &str, &str); 9] = [
    ("own", r#"(param "a" (own $r)) (result (own $r))"#, "i32", "i32"),
    ("two", r#"(param "a" (own $r)) (param "b" (borrow $r)) (result u32)"#, "i32 i32", "i32"),
    ("borrow", r#"(param "a" (borrow $r)) (param "b" (borrow $r)) (result u32)"#, "i32 i32", "i32"),
    ("new", r#"(param "rep" u32) (result (own $s))"#, "i32", "i32"),
    ("method", r#"(param "a" (borrow $s)) (param "b" (borrow $s)) (result u32)"#, "i32 i32", "i32"),
    ("end", r#"(param "a" (own $s)) (param "b" (borrow $r))"#, "i32 i32", ""),
    (
        "maybe",
        r#"(param "a" (option (borrow $r))) (param "b" string) (param "c" (option (own $r))) (result (result (own $r) (error string)))"#,
        "i32 i32 i32 i32 i32 i32 i32",
        "",
    ),
    ("list", r#"(param "a" (list (own $r))) (result (list (own $r)))"#, "i32 i32 i32", ""),
    (
        "many",
        r#"(param "a" (tuple u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64)) (param "b" (borrow $r)) (param "c" string)
           (param "d" (own $s)) (result (tuple (own $s) char))"#,
        "i32 i32",
        "",
    ),
];

/// B does with each borrow what `mode` says: bit 0, the first is dropped; bit 1, the second is; bit 2, a trap.
const CALLEE: &str = r#"
    (func $used (param i32 i32)
        (if (i32.and (global.get $mode) (i32.const 4)) (then unreachable))
        (if (i32.and (global.get $mode) (i32.const 1)) (then (call $drop-r (local.get 0))))
        (if (i32.and (global.get $mode) (i32.const 2)) (then (call $drop-r (local.get 1)))))
    (func $reply (param i32) (result i32)
        (select (global.get $reply) (local.get 0) (i32.and (global.get $mode) (i32.const 8))))
    (func (export "own") (param i32) (result i32) (call $reply (local.get 0)))
    (func (export "two") (param i32 i32) (result i32)
        (call $used (local.get 1) (local.get 0)) (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 100))))
    (func (export "borrow") (param i32 i32) (result i32)
        (call $used (local.get 0) (local.get 1)) (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 100))))
    (func (export "new") (param i32) (result i32) (call $new-s (local.get 0)))
    (func (export "method") (param i32 i32) (result i32)
        (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 100))))
    (func (export "end") (param i32 i32)
        (call $drop-s (local.get 0)) (call $used (local.get 1) (local.get 0)))
    (func (export "maybe") (param i32 i32 i32 i32 i32 i32) (result i32)
        (if (local.get 0) (then (call $used (local.get 1) (local.get 5))))
        (i32.store (i32.const 512) (i32.eqz (local.get 4)))
        (i32.store (i32.const 516) (select (call $reply (local.get 5)) (local.get 2) (local.get 4)))
        (i32.store (i32.const 520) (local.get 3))
        (i32.const 512))
    (func (export "list") (param i32 i32) (result i32)
        (if (i32.and (global.get $mode) (i32.const 4)) (then unreachable))
        (i32.store (i32.const 512) (local.get 0)) (i32.store (i32.const 516) (local.get 1)) (i32.const 512))
    (func (export "many") (param $at i32) (result i32)
        (call $used (i32.load offset=112 (local.get $at)) (i32.const 1))
        (i32.store (i32.const 512) (call $reply (i32.load offset=124 (local.get $at))))
        (i32.store (i32.const 516) (i32.add (i32.const 97) (i32.load8_u (i32.load offset=116 (local.get $at)))))
        (i32.const 512))"#;

/// A: `do` calls the function of a number with these arguments.
const CALLER: &str = r#"
    (func (export "do") (param $what i32) (param $a i32) (param $b i32) (result i32)
        (local $at i32)
        (if (i32.eq (local.get $what) (i32.const 0)) (then (return (call $own (local.get $a)))))
        (if (i32.eq (local.get $what) (i32.const 1)) (then (return (call $two (local.get $a) (local.get $b)))))
        (if (i32.eq (local.get $what) (i32.const 2)) (then (return (call $borrow (local.get $a) (local.get $b)))))
        (if (i32.eq (local.get $what) (i32.const 3)) (then (return (call $new (local.get $a)))))
        (if (i32.eq (local.get $what) (i32.const 4)) (then (return (call $method (local.get $a) (local.get $b)))))
        (if (i32.eq (local.get $what) (i32.const 5)) (then (call $end (local.get $a) (local.get $b)) (return (i32.const 0))))
        (if (i32.eq (local.get $what) (i32.const 6)) (then
            (call $maybe (i32.and (local.get $a) (i32.const 1)) (i32.shr_u (local.get $a) (i32.const 1))
                (i32.const 256) (i32.const 5) (i32.and (local.get $b) (i32.const 1)) (i32.shr_u (local.get $b) (i32.const 1))
                (i32.const 1024))
            (return (i32.add (i32.mul (i32.load8_u (i32.const 1024)) (i32.const 1000)) (i32.load (i32.const 1028))))))
        (if (i32.eq (local.get $what) (i32.const 7)) (then
            (i32.store (i32.const 768) (local.get $a)) (i32.store (i32.const 772) (local.get $b))
            (i32.store (i32.const 776) (local.get $a))
            (call $list (i32.const 768) (i32.and (local.get $b) (i32.const 3)) (i32.const 1024))
            (local.set $at (i32.load (i32.const 1024)))
            (return (i32.add (i32.add (local.get $at) (i32.mul (i32.load (i32.const 1028)) (i32.const 100_000)))
                (i32.add (i32.load (local.get $at)) (i32.mul (i32.load offset=4 (local.get $at)) (i32.const 10)))))))
        (if (i32.eq (local.get $what) (i32.const 8)) (then
            (i32.store (i32.const 1648) (local.get $a)) (i32.store (i32.const 1660) (local.get $b))
            ;; At times the text lies outside.
            (i32.store (i32.const 1652) (select (i32.const 65535) (i32.const 256) (i32.eq (local.get $a) (local.get $b))))
            (i32.store (i32.const 1656) (i32.const 5))
            (call $many (i32.const 1536) (i32.const 1024))
            (return (i32.add (i32.load (i32.const 1024)) (i32.mul (i32.load (i32.const 1028)) (i32.const 1000))))))
        (if (i32.eq (local.get $what) (i32.const 9)) (then (return (call $make (local.get $a)))))
        (if (i32.eq (local.get $what) (i32.const 10)) (then (return (call $look (local.get $a)))))
        (if (i32.eq (local.get $what) (i32.const 11)) (then (call $drop-r (local.get $a)) (return (i32.const 0))))
        (if (i32.eq (local.get $what) (i32.const 12)) (then (call $drop-s (local.get $a)) (return (i32.const 0))))
        (i32.const -1))"#;

const REALLOC: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 256) "\01text")
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))"#;

/// D defines `r`, B defines `s`, A uses both and calls B.
fn text() -> String {
    let each = |each: &dyn Fn(&str, &str, &str, &str) -> String| -> String {
        FUNCS.iter().map(|&(name, ty, params, result)| each(name, ty, params, result)).collect()
    };
    let options = r#"(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))"#;
    let lifts = each(&|name, ty, _, _| {
        format!("(func (export \"{name}\") {ty} (canon lift (core func $i \"{name}\") {options}))")
    });
    let imports = each(&|name, ty, _, _| format!("(import \"{name}\" (func ${name} {ty}))"));
    let lowers = each(&|name, _, _, _| format!("(core func ${name} (canon lower (func ${name}) {options}))"));
    let core_imports = each(&|name, _, params, result| {
        format!("(import \"\" \"{name}\" (func ${name} (param {params}) (result {result})))")
    });
    let exports = each(&|name, _, _, _| format!("(export \"{name}\" (func ${name}))"));
    let given = each(&|name, _, _, _| format!("(with \"{name}\" (func $b \"{name}\"))"));
    format!(
        r#"(component
        (component $D
            (type $r' (resource (rep i32)))
            (export $r "r" (type $r'))
            (core func $new (canon resource.new $r'))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
                (func (export "look") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
            (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $i "make")))
            (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "look"))))
        (component $B
            (import "r" (type $r (sub resource)))
            (type $s' (resource (rep i32)))
            (export $s "s" (type $s'))
            (core func $drop-r (canon resource.drop $r))
            (core func $drop-s (canon resource.drop $s))
            (core func $new-s (canon resource.new $s'))
            (core module $libc {REALLOC})
            (core instance $libc (instantiate $libc))
            (core module $m
                (import "" "drop-r" (func $drop-r (param i32)))
                (import "" "drop-s" (func $drop-s (param i32)))
                (import "" "new-s" (func $new-s (param i32) (result i32)))
                (import "" "memory" (memory 1))
                (global $mode (mut i32) (i32.const 0))
                (global $reply (mut i32) (i32.const 0))
                (func (export "set") (param i32 i32) (global.set $mode (local.get 0)) (global.set $reply (local.get 1)))
                (func (export "drop") (param i32) (call $drop-r (local.get 0)))
                {CALLEE})
            (core instance $i (instantiate $m (with "" (instance
                (export "drop-r" (func $drop-r)) (export "drop-s" (func $drop-s)) (export "new-s" (func $new-s))
                (export "memory" (memory $libc "memory"))))))
            (func (export "set") (param "mode" u32) (param "reply" u32) (canon lift (core func $i "set")))
            (func (export "drop") (param "i" u32) (canon lift (core func $i "drop")))
            {lifts})
        (component $A
            (import "r" (type $r (sub resource)))
            (import "s" (type $s (sub resource)))
            (import "make" (func $make (param "rep" u32) (result (own $r))))
            (import "look" (func $look (param "r" (borrow $r)) (result u32)))
            {imports}
            (core module $libc {REALLOC})
            (core instance $libc (instantiate $libc))
            (core func $drop-r (canon resource.drop $r))
            (core func $drop-s (canon resource.drop $s))
            (core func $make (canon lower (func $make)))
            (core func $look (canon lower (func $look)))
            {lowers}
            (core module $m
                {core_imports}
                (import "" "make" (func $make (param i32) (result i32)))
                (import "" "look" (func $look (param i32) (result i32)))
                (import "" "drop-r" (func $drop-r (param i32)))
                (import "" "drop-s" (func $drop-s (param i32)))
                (import "" "memory" (memory 1))
                {CALLER})
            (core instance $i (instantiate $m (with "" (instance {exports}
                (export "make" (func $make)) (export "look" (func $look))
                (export "drop-r" (func $drop-r)) (export "drop-s" (func $drop-s))
                (export "memory" (memory $libc "memory"))))))
            (func (export "do") (param "what" u32) (param "a" u32) (param "b" u32) (result u32)
                (canon lift (core func $i "do"))))
        (instance $d (instantiate $D))
        (instance $b (instantiate $B (with "r" (type $d "r"))))
        (instance $a (instantiate $A (with "r" (type $d "r")) (with "s" (type $b "s"))
            (with "make" (func $d "make")) (with "look" (func $d "look")) {given}))
        (export "set" (func $b "set"))
        (export "drop" (func $b "drop"))
        (export "do" (func $a "do")))"#
    )
}

/// One call.
#[derive(Clone, Debug)]
enum Call {
    /// Mode and reply of B.
    Set(u32, u32),
    /// A handle of B's.
    Drop(u32),
    /// A function of `FUNCS`, then four of A's own.
    Do(u32, u32, u32),
}

fn call() -> impl Strategy<Value = Call> {
    let index = prop_oneof![12 => 1u32..5, 1 => Just(0), 1 => 5u32..12, 1 => any::<u32>()];
    let what = prop_oneof![3 => 0u32..9, 2 => Just(9u32), 1 => 10u32..13, 1 => Just(3u32)];
    prop_oneof![
        2 => (prop_oneof![3 => Just(1u32), 2 => Just(3), 1 => 0u32..16], 0u32..4).prop_map(|(a, b)| Call::Set(a, b)),
        1 => (1u32..4).prop_map(Call::Drop),
        9 => (what, index.clone(), index).prop_map(|(what, a, b)| Call::Do(what, a, b)),
    ]
}

/// What the calls come to, up to the first that traps; and how many went by the plan.
fn run(component: &Component, calls: &[Call], handles: u32) -> (Vec<Result<Option<Val>, String>>, u64) {
    let mut store = Store::new(component.engine(), ());
    store.set_limits(StoreLimits { handles, ..StoreLimits::default() });
    let instance = Linker::<()>::new(component.engine()).instantiate(&mut store, component).unwrap();
    let mut outcomes = Vec::new();
    // Handles to begin with, and free places among them.
    let begin = [Call::Do(9, 11, 0), Call::Do(9, 12, 0), Call::Do(9, 13, 0), Call::Do(3, 14, 0)];
    let begin = begin.into_iter().chain([Call::Do(0, 1, 0), Call::Do(11, 2, 0), Call::Set(1, 1)]);
    for call in begin.chain(calls.iter().cloned()) {
        let (name, args) = match call {
            Call::Set(mode, reply) => ("set", vec![mode, reply]),
            Call::Drop(index) => ("drop", vec![index]),
            Call::Do(what, a, b) => ("do", vec![what, a, b]),
        };
        let args: Vec<Val> = args.into_iter().map(Val::U32).collect();
        let func = instance.func(&mut store, name).unwrap();
        let outcome = func.call(&mut store, &args).map_err(|error| {
            let frames: Vec<u32> = error.backtrace().frames.iter().map(|frame| frame.func).collect();
            format!("{error} {:?} {frames:?}", error.trap())
        });
        let ended = outcome.is_err();
        outcomes.push(outcome);
        if ended {
            break;
        }
    }
    // Nothing of the root is entered again.
    if outcomes.last().is_some_and(|outcome| outcome.is_err()) {
        let func = instance.func(&mut store, "drop").unwrap();
        let again = func.call(&mut store, &[Val::U32(1)]).unwrap_err().to_string();
        assert!(again.contains("cannot enter component instance"), "{again}");
    }
    (outcomes, store.planned_calls())
}

#[test]
fn handles_that_neither_side_keeps_to_come_to_the_same_on_every_way() {
    let cases = std::env::var("CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let plain = Config { plain_adapters: true, ..Config::default() };
    let engines = [
        Engine::with_backend(Config::default(), Arc::new(Jit::default())),
        Engine::new(Config::default()),
        Engine::with_backend(Config::default(), Arc::new(Reloading)),
        Engine::new(plain),
    ];
    let wasm = wat::parse_str(text()).unwrap();
    let components = engines.map(|engine| Component::new(&engine, wasm.as_slice()).unwrap());
    let artifact = whole_artifact::reloaded(&Config::default(), &wasm);
    let mut runner = TestRunner::deterministic();
    let (mut all, mut planned, mut trapped, mut by_plan) = (0, 0, 0, 0);
    for case in 0..cases {
        let calls = prop::collection::vec(call(), 1..24).new_tree(&mut runner).unwrap().current();
        let handles = if case % 8 == 0 { 4 } else { 1000 };
        let [native, plan, reloaded, plain] =
            components.each_ref().map(|component| run(component, &calls, handles));
        assert_eq!(native.0, plan.0, "native code and the plan: {calls:?}");
        assert_eq!(native.0, reloaded.0, "native code and modules of artifacts: {calls:?}");
        assert_eq!(native, run(&artifact, &calls, handles), "native code and an artifact: {calls:?}");
        // Where two things are wrong, all parameters are looked at before the first is stored.
        let same = |(a, b): (&Result<_, String>, &Result<_, String>)| a == b || a.is_err() && b.is_err();
        assert!(
            native.0.len() == plain.0.len() && native.0.iter().zip(&plain.0).all(same),
            "native code and values: {calls:?} {native:?} {plain:?}"
        );
        all += native.0.len();
        planned += native.1;
        by_plan += plan.1;
        trapped += usize::from(native.0.last().is_some_and(|outcome| outcome.is_err()));
    }
    println!(
        "{cases} sequences, {all} calls, {trapped} end in a trap; {by_plan} between components by the plan, {planned} with native code; 0 differences"
    );
    assert!(trapped * 4 > cases && planned * 20 < by_plan, "{trapped} of {cases}, {planned} of {by_plan}");
}
