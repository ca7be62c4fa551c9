//! The host seen from inside a component: limits, traps, exits and deadlines come out of the call as what they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Error, ErrorKind, Store, Trap};
use mini_wasm_wasi::{Unstable, Wasi, add_to_linker, link_unstable};

/// A component with a memory, imports, and the core function `run` with `body`. `lowered` makes core functions of what is
/// imported and `core` imports them.
fn component(imports: &str, lowered: &str, core: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            {imports}
            (core module $memory
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $mem))
            (alias core export $memory "realloc" (core func $realloc))
            {lowered}
            (core module $m
                {core}
                (func (export "run") {body}))
            (core instance $i (instantiate $m (with "" (instance {exports}))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
        exports = core
            .split("(import \"\" \"")
            .skip(1)
            .map(|import| import.split('"').next().unwrap())
            .map(|name| format!("(export \"{name}\" (func ${name}))"))
            .collect::<String>(),
    ))
    .unwrap()
}

/// Calls `run`; what it ended with and the store's data.
fn run(wasm: Vec<u8>, wasi: Wasi) -> (Result<(), Error>, Wasi) {
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    let component = Component::new(&engine, wasm).unwrap();
    let mut store = Store::new(&engine, wasi);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance.func(&mut store, "run").unwrap().typed::<(), ()>(&store).unwrap();
    let result = run.call(&mut store, ());
    (result, core::mem::replace(store.data_mut(), Wasi::builder().build()))
}

/// Asks for so many random bytes.
fn random(len: u64) -> Vec<u8> {
    component(
        r#"(import "wasi:random/random@0.2.0" (instance $random
               (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#,
        r#"(core func $get (canon lower (func $random "get-random-bytes") (memory $mem) (realloc $realloc)))"#,
        r#"(import "" "get" (func $get (param i64 i32)))"#,
        &format!("(call $get (i64.const {len}) (i32.const 16))"),
    )
}

#[test]
fn a_rule_that_a_guest_breaks_is_a_trap_that_names_the_function() {
    let (result, _) = run(random(1 << 40), Wasi::builder().build());
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::HostFunction));
    let message = error.to_string();
    assert!(message.contains("wasi:random/random@0.2.12#get-random-bytes"), "{message}");
    assert!(message.contains("1099511627776 random bytes"), "{message}");
}

#[test]
fn a_list_that_does_not_fit_the_guests_memory_is_a_trap_too() {
    assert!(run(random(1000), Wasi::builder().build()).0.is_ok());
    let (result, _) = run(random(100_000), Wasi::builder().build());
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::Trap(_)));
}

/// Gets standard input so often, and drops it each time or never.
fn handles(count: u32, drop: bool) -> Vec<u8> {
    component(
        r#"(import "wasi:io/streams@0.2.3" (instance $streams (export "input-stream" (type (sub resource)))))
           (alias export $streams "input-stream" (type $stream))
           (import "wasi:cli/stdin@0.2.1" (instance $stdin
               (export "input-stream" (type $s (eq $stream)))
               (export "get-stdin" (func (result (own $s))))))"#,
        r#"(core func $get (canon lower (func $stdin "get-stdin")))
           (core func $drop (canon resource.drop $stream))"#,
        r#"(import "" "get" (func $get (result i32)))
           (import "" "drop" (func $drop (param i32)))"#,
        &format!(
            "(local $n i32)
             (loop $again
                (call $get) {}
                (br_if $again (i32.lt_u
                    (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                    (i32.const {count}))))",
            if drop { "(call $drop)" } else { "(drop)" }
        ),
    )
}

// GHSA-852m-cvvp-9p4w, GHSA-q554-3cjc-rx7p: ten million handles.
#[test]
fn a_guest_that_collects_handles_traps_at_the_limit() {
    let (result, wasi) = run(handles(10_000_000, false), Wasi::builder().max_resources(5000).build());
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::HostFunction), "{error}");
    assert!(error.to_string().contains("5000 resources"), "{error}");
    assert_eq!(wasi.resources(), 5000);
}

#[test]
fn dropping_a_handle_frees_what_is_behind_it() {
    let (result, wasi) = run(handles(100_000, true), Wasi::builder().max_resources(10).build());
    result.unwrap();
    assert_eq!(wasi.resources(), 0);
}

#[test]
fn an_exit_is_not_a_failure_and_carries_its_code() {
    let exit = |code: u32| {
        component(
            r#"(import "wasi:cli/exit@0.2.4" (instance $exit (export "exit-with-code" (func (param "status-code" u8)))))"#,
            r#"(core func $exit (canon lower (func $exit "exit-with-code")))"#,
            r#"(import "" "exit" (func $exit (param i32)))"#,
            &format!("(call $exit (i32.const {code})) unreachable"),
        )
    };
    for code in [0, 1, 42, 255] {
        let (result, _) = run(exit(code), Wasi::builder().build());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Exit(code as u8));
    }
}

#[test]
fn a_sleep_past_the_deadline_ends_like_a_loop_past_it() {
    let sleep = component(
        r#"(import "wasi:io/poll@0.2.0" (instance $poll
               (export "pollable" (type $p (sub resource)))
               (export "[method]pollable.block" (func (param "self" (borrow $p))))))
           (alias export $poll "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
               (export "pollable" (type $p (eq $pollable)))
               (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))"#,
        r#"(core func $subscribe (canon lower (func $clock "subscribe-duration")))
           (core func $block (canon lower (func $poll "[method]pollable.block")))"#,
        r#"(import "" "subscribe" (func $subscribe (param i64) (result i32)))
           (import "" "block" (func $block (param i32)))"#,
        "(call $block (call $subscribe (i64.const 60000000000)))",
    );
    let begin = Instant::now();
    let deadline = Arc::new(begin + Duration::from_millis(50));
    let (result, _) = run(sleep, Wasi::builder().deadline(deadline).build());
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_import_that_the_host_lacks_is_named_when_linking() {
    let wasm = component(
        r#"(import "wasi:random/random@0.2.99" (instance $random (export "get-random-cats" (func (result u64)))))"#,
        r#"(core func $get (canon lower (func $random "get-random-cats")))"#,
        r#"(import "" "get" (func $get (result i64)))"#,
        "(drop (call $get))",
    );
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    let component = Component::new(&engine, wasm).unwrap();
    let error = linker.instantiate_pre(&component).expect_err("nothing gives cats");
    assert_eq!(error.kind(), ErrorKind::Unlinkable);
    assert!(error.to_string().contains("get-random-cats"), "{error}");
    assert!(error.to_string().contains("wasi:random/random@0.2.99"), "{error}");
}

/// A component that imports a function of an interface and never calls it.
fn importing(interface: &str, types: &str, function: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(component (import "{interface}" (instance {types} {function})))"#)).unwrap()
}

#[test]
fn what_is_unstable_is_linked_only_for_who_asks() {
    let datetime = r#"(type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "datetime" (type $datetime (eq $record)))"#;
    let rows = [
        (
            Unstable::ClocksTimezone,
            importing(
                "wasi:clocks/timezone@0.2.12",
                datetime,
                r#"(export "utc-offset" (func (param "when" $datetime) (result s32)))"#,
            ),
        ),
        (
            Unstable::NetworkErrorCode,
            wat::parse_str(
                r#"(component
                    (import "wasi:io/error@0.2.12" (instance $e (export "error" (type (sub resource)))))
                    (alias export $e "error" (type $error))
                    (import "wasi:sockets/network@0.2.12" (instance
                        (export "error" (type $error' (eq $error)))
                        (type $code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory"
                            "timeout" "concurrency-conflict" "not-in-progress" "would-block" "invalid-state"
                            "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable"
                            "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
                            "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
                        (export "error-code" (type $code' (eq $code)))
                        (export "network-error-code" (func (param "err" (borrow $error')) (result (option $code')))))))"#,
            )
            .unwrap(),
        ),
    ];
    for (feature, wasm) in rows {
        let engine = Engine::new(Config::default());
        let component = Component::new(&engine, wasm).unwrap();
        let mut linker = Linker::<Wasi>::new(&engine);
        add_to_linker(&mut linker, |wasi| wasi).unwrap();
        let Err(error) = linker.instantiate_pre(&component) else { panic!("{feature:?} is linked") };
        assert_eq!(error.kind(), ErrorKind::Unlinkable, "{error}");
        for other in Unstable::ALL.iter().filter(|other| **other != feature) {
            link_unstable(&mut linker, |wasi| wasi, *other).unwrap();
        }
        assert!(linker.instantiate_pre(&component).is_err(), "another feature brings {feature:?}");
        link_unstable(&mut linker, |wasi| wasi, feature).unwrap();
        linker.instantiate_pre(&component).unwrap();
    }
}
