//! Two components of which neither keeps to its types: the caller gives any bits for its parameters, the callee any bits for its result, and
//! either's `realloc` may give anything, grow the memory or trap, and what lies in their memories is anything too. Whatever stands between them (native code, the plan, values of the
//! host's own), it comes to the same: what the callee is given, what is in its memory, what the caller gets, and why it ends.
//!
//! `CASES` is how many types there are (60), `VALUES` how many calls of each (24).

mod component_text;
#[path = "../../canonical-abi/tests/random/mod.rs"]
mod random;
mod reloading;
mod whole_artifact;

use component_text::{ALLOCATE, Types, core};
use mini_wasm_jit::Jit;
use mini_wasm_runtime::component::abi::flatten::{FlattenContext, flatten_functype};
use mini_wasm_runtime::component::abi::{FuncType, PtrType, Val, ValType};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reloading::Reloading;
use std::fmt::Write;
use std::sync::Arc;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Types of which most are a few core values.
fn small_types() -> BoxedStrategy<ValType> {
    use ValType::*;
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char]),
        2 => Just(String),
        2 => prop::sample::select(vec![U8, S16, U32, F64]).prop_map(|t| ValType::list(t).unwrap()),
        1 => (2usize..9).prop_map(|n| ValType::enumeration((0..n).map(|i| format!("e{i}"))).unwrap()),
        1 => (1usize..33).prop_map(|n| ValType::flags((0..n).map(|i| format!("b{i}"))).unwrap()),
    ]
    .boxed();
    let maybe = prop::option::of(leaf.clone());
    prop_oneof![
        4 => leaf.clone(),
        1 => leaf.clone().prop_map(|t| ValType::option(t).unwrap()),
        1 => (maybe.clone(), maybe.clone()).prop_map(|(ok, error)| ValType::result(ok, error).unwrap()),
        1 => prop::collection::vec(maybe, 1..5).prop_map(|ts| {
            ValType::variant(ts.into_iter().enumerate().map(|(i, t)| (format!("c{i}"), t))).unwrap()
        }),
        1 => prop::collection::vec(leaf, 1..4).prop_map(|ts| ValType::tuple(ts).unwrap()),
    ]
    .boxed()
}

/// Types of any kind and size: lists of lists, of texts, of records with padding, more than go flat.
fn large_types() -> BoxedStrategy<ValType> {
    small_types()
        .prop_recursive(2, 12, 4, |part| {
            let tuple = |parts| ValType::tuple(parts).unwrap();
            prop_oneof![
                3 => part.clone().prop_map(|t| ValType::list(t).unwrap()),
                2 => prop::collection::vec(part.clone(), 1..4).prop_map(tuple),
                1 => prop::collection::vec(part.clone(), 5..20).prop_map(tuple),
                1 => (part.clone(), part.clone()).prop_map(|(ok, error)| ValType::result(Some(ok), Some(error)).unwrap()),
                1 => part.prop_map(|t| ValType::option(t).unwrap()),
            ]
        })
        .boxed()
}

/// Words of memory: small numbers, places, anything.
fn words() -> impl Strategy<Value = Vec<u32>> {
    let word = prop_oneof![
        30 => 0u32..2,
        9 => prop::sample::select(vec![0u32, 2, 8, 64, 72, 256, 264, 272, 0x0101, 0x8000_0004]),
        1 => any::<u32>(),
    ];
    prop::collection::vec(word, 48)
}

/// `local.get` of an i64 as a core type, and back.
fn as_core(ty: &str, local: usize) -> String {
    match ty {
        "i32" => format!("(i32.wrap_i64 (local.get {local}))"),
        "i64" => format!("(local.get {local})"),
        "f32" => format!("(f32.reinterpret_i32 (i32.wrap_i64 (local.get {local})))"),
        _ => format!("(f64.reinterpret_i64 (local.get {local}))"),
    }
}

fn as_i64(ty: &str, value: &str) -> String {
    match ty {
        "i32" => format!("(i64.extend_i32_u {value})"),
        "i64" => value.to_string(),
        "f32" => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        _ => format!("(i64.reinterpret_f64 {value})"),
    }
}

/// A calls `take` of B with the bits that it is given itself; B tells what it got, and what its memory is like then.
fn pair(
    params: &[ValType],
    result: &ValType,
    (from, to): (&str, &str),
    text: &str,
    words: &[u32],
) -> Option<(String, usize)> {
    let mut types = Types::default();
    let texts: Vec<String> = params.iter().map(|ty| types.text(ty)).collect();
    let result_text = types.text(result);
    let func = FuncType::new(
        params.iter().enumerate().map(|(i, ty)| (format!("p{i}"), ty.clone())),
        Some(result.clone()),
    );
    let lifted = flatten_functype(PtrType::I32, &func, FlattenContext::Lift);
    let lowered = flatten_functype(PtrType::I32, &func, FlattenContext::Lower);
    let (given, returned) = (core(lifted.params.as_slice()), core(lifted.results.as_slice())[0]);
    let import = core(lowered.params.as_slice());
    // The host gives them one by one.
    if given.len() > 16 {
        return None;
    }
    let signature: String = texts.iter().enumerate().fold(String::new(), |mut all, (i, text)| {
        let _ = write!(all, "(param \"p{i}\" {text}) ");
        all
    });
    let rows = types.rows.concat();
    let with: String = (0..types.rows.len()).map(|n| format!("(with \"n{n}\" (type $n{n}))")).collect();
    let spills = import.len() > given.len();
    let args: String = given.iter().enumerate().map(|(i, ty)| as_core(ty, i)).collect();
    let call = if spills {
        format!(
            "(call $take {args} (global.get $out)) (i64.load (i32.and (global.get $out) (i32.const 0xff8)))"
        )
    } else {
        as_i64(returned, &format!("(call $take {args})"))
    };
    let mix: String = given
        .iter()
        .enumerate()
        .map(|(i, ty)| format!("(call $mix {})", as_i64(ty, &format!("(local.get {i})"))))
        .collect();
    let reply = as_core(returned, given.len())
        .replace(&format!("(local.get {})", given.len()), "(global.get $reply)");
    let bits = "i64 ".repeat(given.len());
    // Pointers and lengths that are right, from 0 on.
    let table = "\\00\\01\\00\\00\\04\\00\\00\\00".repeat(8);
    let data = words.iter().flat_map(|word| word.to_le_bytes()).fold(String::new(), |mut all, byte| {
        let _ = write!(all, "\\{byte:02x}");
        all
    });
    let data = format!(
        r#"(data (i32.const 0) "{table}") (data (i32.const 64) "{data}") (data (i32.const 256) "{text}")"#
    );
    let numbers: String = (0..given.len()).fold(String::new(), |mut all, i| {
        let _ = write!(all, "(param \"b{i}\" u64) ");
        all
    });
    let memory = format!(
        r#"{data}
        (global $next (mut i32) (i32.const 4096))
        (global $mode (mut i32) (i32.const 0))
        (global $hash (mut i64) (i64.const 17))
        (func $mix (param i64)
            (global.set $hash (i64.add (i64.mul (global.get $hash) (i64.const 31)) (local.get 0))))
        (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
            (local $at i32)
            (call $mix (i64.extend_i32_u (local.get $old))) (call $mix (i64.extend_i32_u (local.get $old-size)))
            (call $mix (i64.extend_i32_u (local.get $align))) (call $mix (i64.extend_i32_u (local.get $size)))
            (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.const 4097))))
            (if (i32.eq (global.get $mode) (i32.const 2))
                (then (return (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))))
            (if (i32.eq (global.get $mode) (i32.const 3)) (then
                (drop (memory.grow (i32.const 1)))
                (return (i32.shl (i32.sub (memory.size) (i32.const 1)) (i32.const 16)))))
            (if (i32.eq (global.get $mode) (i32.const 4)) (then unreachable))
            (if (i32.eq (global.get $mode) (i32.const 5)) (then (return (i32.const -16))))
            {ALLOCATE})
        (func (export "state") (result i64)
            (local $i i32)
            (call $mix (i64.extend_i32_u (memory.size)))
            (loop $more
                (call $mix (i64.load (local.get $i)))
                (local.set $i (i32.add (local.get $i) (i32.const 8)))
                (br_if $more (i32.lt_u (local.get $i) (i32.shl (memory.size) (i32.const 16)))))
            (global.get $hash))"#
    );
    let wat = format!(
        r#"(component
            {rows}
            (component $B {rows}
                (core module $m
                    (memory (export "memory") 1)
                    {memory}
                    (global $reply (mut i64) (i64.const 0))
                    (func (export "set") (param i32 i64) (global.set $mode (local.get 0)) (global.set $reply (local.get 1)))
                    (func (export "take") (param {given}) (result {returned}) {mix} {reply}))
                (core instance $i (instantiate $m))
                (func (export "set") (param "mode" u32) (param "reply" u64) (canon lift (core func $i "set")))
                (func (export "state") (result u64) (canon lift (core func $i "state")))
                (func (export "take") {signature} (result {result_text})
                    (canon lift (core func $i "take") string-encoding={to}
                        (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
            (component $A {rows}
                (import "take" (func $take {signature} (result {result_text})))
                (core module $libc
                    (memory (export "memory") 1)
                    {memory}
                    (global (export "out") (mut i32) (i32.const 512))
                    (func (export "set") (param i32) (global.set $mode (local.get 0))))
                (core instance $libc (instantiate $libc))
                (core func $take' (canon lower (func $take) string-encoding={from}
                    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
                (core module $m
                    (import "" "memory" (memory 1))
                    (import "" "out" (global $out (mut i32)))
                    (import "" "set" (func $set (param i32)))
                    (import "" "take" (func $take (param {import}) (result {import_result})))
                    (func (export "set") (param i32 i64)
                        (call $set (local.get 0)) (global.set $out (i32.wrap_i64 (local.get 1))))
                    (func (export "send") (param {bits}) (result i64) {call}))
                (core instance $i (instantiate $m (with "" (instance
                    (export "memory" (memory $libc "memory")) (export "out" (global $libc "out"))
                    (export "set" (func $libc "set")) (export "take" (func $take'))))))
                (func (export "set") (param "mode" u32) (param "out" u64) (canon lift (core func $i "set")))
                (func (export "state") (result u64) (canon lift (core func $libc "state")))
                (func (export "send") {numbers} (result u64) (canon lift (core func $i "send"))))
            (instance $b (instantiate $B {with}))
            (instance $a (instantiate $A {with} (with "take" (func $b "take"))))
            (export "set" (func $b "set"))
            (export "state" (func $b "state"))
            (export "set-caller" (func $a "set"))
            (export "state-of-caller" (func $a "state"))
            (export "send" (func $a "send")))"#,
        given = given.join(" "),
        import = import.join(" "),
        import_result = core(lowered.results.as_slice()).join(" "),
    );
    Some((wat, given.len()))
}

/// What one call comes to.
#[derive(Debug, PartialEq)]
struct Outcome {
    sent: Result<Option<Val>, String>,
    states: [Result<Option<Val>, String>; 2],
}

/// A call in one engine.
struct Run {
    outcome: Outcome,
    /// Where the frames of the trap were: engines may name different operators of one that traps (`if`, or the `unreachable` in it).
    places: Vec<Option<u32>>,
    /// Calls between the components that went by the plan.
    planned: u64,
}

fn run(component: &Component, bits: &[u64], (mode, reply): (u32, u64), (own_mode, out): (u32, u64)) -> Run {
    let mut store = Store::new(component.engine(), ());
    let instance = Linker::<()>::new(component.engine()).instantiate(&mut store, component).unwrap();
    let mut places = Vec::new();
    let mut call = |name: &str, args: &[Val]| {
        let func = instance.func(&mut store, name).unwrap();
        let result = func.call(&mut store, args);
        result.map_err(|error| {
            let frames = &error.backtrace().frames;
            places.extend(frames.iter().map(|frame| frame.offset));
            let funcs: Vec<u32> = frames.iter().map(|frame| frame.func).collect();
            format!("{error} {:?} {funcs:?}", error.trap())
        })
    };
    call("set", &[Val::U32(mode), Val::U64(reply)]).unwrap();
    call("set-caller", &[Val::U32(own_mode), Val::U64(out)]).unwrap();
    let bits: Vec<Val> = bits.iter().map(|&bits| Val::U64(bits)).collect();
    let sent = call("send", &bits);
    let outcome = Outcome { sent, states: ["state", "state-of-caller"].map(|name| call(name, &[])) };
    Run { outcome, places, planned: store.planned_calls() }
}

/// Bits for a core value: small numbers, places in the text, anything.
fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0u64..4,
        6 => (0u64..5).prop_map(|n| 8 * n),
        4 => (0u64..16).prop_map(|n| 256 + 8 * n),
        1 => 250u64..300,
        1 => 65_500u64..65_560,
        1 => (0u64..64).prop_map(|n| n | 1 << 31),
        1 => any::<u64>(),
        1 => Just(0x7ff8_0000_7fa0_0001),
    ]
}

/// An engine keeps code for a thousand kinds of calls and leaves the others to their plans (`MOST_ADAPTERS` in jit/src/backend.rs).
const TYPES_OF_AN_ENGINE: usize = 400;

#[test]
fn what_neither_side_keeps_to_comes_to_the_same_on_every_way() {
    let (cases, values) = (number("CASES", 60), number("VALUES", 24));
    let config = Config::default();
    let nans = Config { canonicalize_nans: true, ..config.clone() };
    let plain = Config { plain_adapters: true, ..nans.clone() };
    let jit = |config: &Config| Engine::with_backend(config.clone(), Arc::new(Jit::default()));
    // Each with the one that it is compared with.
    let made = || {
        [
            ("native", jit(&config), 1),
            ("by the plan", Engine::new(config.clone()), 1),
            ("reloaded, by the plan", Engine::with_backend(config.clone(), Arc::new(Reloading)), 1),
            ("native, canonical NaNs", jit(&nans), 5),
            // All NaNs are canonical there.
            ("by values, canonical NaNs", Engine::new(plain.clone()), 5),
            ("by the plan, canonical NaNs", Engine::new(nans.clone()), 5),
            ("an artifact", Engine::new(config.clone()), 1),
        ]
    };
    let mut engines = made();
    let text = [
        "ASCII and more of it, so that there is a block or two of it to be moved at once; ",
        "Gr\\c3\\bc\\c3\\9fe \\ff\\d8",
        "\\00\\d8a\\00b\\00",
    ];
    let mut runner = TestRunner::deterministic();
    let (mut calls, mut native, mut trapped, mut returned) = (0, 0, 0, 0);
    let mut types = 0;
    for case in 0.. {
        if types == cases {
            break;
        }
        let one = if case % 2 == 0 { small_types() } else { large_types() };
        let tree = (prop::collection::vec(one.clone(), 0..4), one, words()).new_tree(&mut runner).unwrap();
        let (params, result, words) = tree.current();
        let (from, to) = (ENCODINGS[case % 3], ENCODINGS[case / 3 % 3]);
        let Some((wat, given)) = pair(&params, &result, (from, to), &text.concat(), &words) else { continue };
        types += 1;
        if types % TYPES_OF_AN_ENGINE == 0 {
            engines = made();
        }
        let wasm = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        let components: Vec<Component> = engines
            .iter()
            .map(|(name, engine, _)| match *name {
                "an artifact" => whole_artifact::reloaded(engine.config(), &wasm),
                _ => Component::new(engine, wasm.as_slice()).unwrap(),
            })
            .collect();
        for _ in 0..values {
            let strategy = (
                prop::collection::vec(bits(), given..=given),
                prop_oneof![8 => Just(0u32), 3 => 1u32..6],
                bits(),
                prop_oneof![9 => Just(0u32), 2 => 1u32..6],
                prop_oneof![9 => Just(512u64), 1 => Just(515), 1 => Just(65_532), 1 => any::<u64>()],
            );
            let (bits, mode, reply, own_mode, out) = strategy.new_tree(&mut runner).unwrap().current();
            let runs: Vec<Run> = components
                .iter()
                .map(|component| run(component, &bits, (mode, reply), (own_mode, out)))
                .collect();
            let what = format!(
                "{from} to {to}, {bits:x?} mode {mode} reply {reply:x} {own_mode} {out:x}: {params:?} -> {result:?}"
            );
            for ((name, _, with), run) in engines.iter().zip(&runs) {
                let other = &runs[*with].outcome;
                if run.outcome.sent.is_err() && name.starts_with("by values") {
                    // Where more than one thing is wrong, all values are looked at before the first is stored.
                    assert!(other.sent.is_err(), "{name}, {what}: {other:?}");
                } else {
                    assert_eq!(run.outcome, *other, "{name}, {what}");
                }
            }
            assert_eq!(
                runs[0].places, runs[2].places,
                "with and without code between the components: {what}"
            );
            assert_eq!(runs[0].planned, runs[6].planned, "in the process and in an artifact: {what}");
            calls += 1;
            native += usize::from(runs[0].planned == 0);
            trapped += usize::from(runs[0].outcome.sent.is_err());
            returned += usize::from(runs[0].outcome.sent.is_ok() && runs[0].planned == 0);
        }
    }
    println!(
        "{types} types, {calls} calls: {native} without the plan, of which {returned} returned; {trapped} trapped; 0 differences"
    );
    assert!(returned * 16 > calls && (native - returned) * 50 > calls && trapped * 4 > calls);
}
