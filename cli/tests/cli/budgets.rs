//! Guests that ask for more than they may: each flag moves its ceiling, and memory stays below it.

use crate::sandbox::Sandbox;
use crate::{PATIENCE, end, mini_wasm};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a guest imports from preview 1, and a `_start` with this body.
fn module(imports: &str, body: &str) -> String {
    format!(
        r#"(module
            {imports}
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 32)
            (func (export "_start") (local $i i32) (local $n i32) {body}))"#
    )
}

/// A component with a command whose body is `body`. `imports` are its imports and `lowered` makes core functions of them; `core`
/// imports those, `with` names them.
fn component(imports: &str, lowered: &str, core: &str, with: &str, pages: u32, body: &str) -> String {
    format!(
        r#"(component
            {imports}
            (core module $memory
                (memory (export "memory") {pages})
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $mem))
            (alias core export $memory "realloc" (core func $realloc))
            {lowered}
            (core module $m
                (import "" "memory" (memory 1))
                {core}
                (func (export "run") (result i32) (local $i i32) {body}))
            (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $mem)) {with}))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    )
}

/// Gets so many random bytes at once.
fn random(len: u64) -> String {
    component(
        r#"(import "wasi:random/random@0.2.0" (instance $random
               (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#,
        r#"(core func $get (canon lower (func $random "get-random-bytes") (memory $mem) (realloc $realloc)))"#,
        r#"(import "" "get" (func $get (param i64 i32)))"#,
        r#"(export "get" (func $get))"#,
        1100,
        &format!("(call $get (i64.const {len}) (i32.const 16)) (i32.const 0)"),
    )
}

/// Makes so many timers that are due at once and waits for all of them, the first so often named that there are `named` in all.
fn timers(count: u32, named: u32) -> String {
    waits(count, named, 0)
}

/// Makes `count` timers of `idle` nanoseconds, and waits for them and, if that is not 0, one of 300 ms.
fn waits(count: u32, named: u32, idle: u64) -> String {
    component(
        r#"(import "wasi:io/poll@0.2.0" (instance $poll
               (export "pollable" (type $pollable (sub resource)))
               (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
           (alias export $poll "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
               (export "pollable" (type $pollable' (eq $pollable)))
               (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))"#,
        r#"(core func $poll (canon lower (func $poll "poll") (memory $mem) (realloc $realloc)))
           (core func $timer (canon lower (func $clock "subscribe-duration")))"#,
        r#"(import "" "poll" (func $poll (param i32 i32 i32)))
           (import "" "timer" (func $timer (param i64) (result i32)))"#,
        r#"(export "poll" (func $poll)) (export "timer" (func $timer))"#,
        320,
        &format!(
            r#"(loop $make
                (i32.store (i32.add (i32.const 131072) (i32.shl (local.get $i) (i32.const 2))) (call $timer (i64.const {idle})))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $make (i32.lt_u (local.get $i) (i32.const {count}))))
            (if (i64.ne (i64.const {idle}) (i64.const 0)) (then
                (i32.store (i32.const 131072) (call $timer (i64.const 300000000)))))
            (block $named (loop $name
                (br_if $named (i32.ge_u (local.get $i) (i32.const {named})))
                (i32.store (i32.add (i32.const 131072) (i32.shl (local.get $i) (i32.const 2)))
                    (i32.load (i32.const 131072)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $name)))
            (call $poll (i32.const 131072) (local.get $i) (i32.const 16))
            (i32.const 0)"#
        ),
    )
}

/// Hands the host a list of so many header fields. The first `named` have a name; if there are more, the host says that they are none.
fn fields(pairs: u32, named: u32) -> String {
    component(
        r#"(import "wasi:http/types@0.2.0" (instance $http
               (export "fields" (type $fields (sub resource)))
               (type $error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
               (export "header-error" (type $error (eq $error')))
               (export "[static]fields.from-list" (func (param "entries" (list (tuple string (list u8))))
                   (result (result (own $fields) (error $error)))))))"#,
        r#"(core func $from (canon lower (func $http "[static]fields.from-list") (memory $mem) (realloc $realloc)))"#,
        r#"(import "" "from" (func $from (param i32 i32 i32)))"#,
        r#"(export "from" (func $from))"#,
        1100,
        &format!(
            r#"(i32.store8 (i32.const 64) (i32.const 97))
            (block $named (loop $name
                (br_if $named (i32.ge_u (local.get $i) (i32.const {named})))
                (i64.store (i32.add (i32.const 131072) (i32.shl (local.get $i) (i32.const 4))) (i64.const 0x100000040))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $name)))
            (call $from (i32.const 131072) (i32.const {pairs}) (i32.const 16))
            (i32.load8_u (i32.const 16))"#
        ),
    )
}

/// Makes answers that are never sent, and fills the queue of each by writes of so many bytes.
fn bodies(each: u32) -> String {
    component(
        r#"(import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
           (alias export $errors "error" (type $error))
           (import "wasi:io/streams@0.2.0" (instance $streams
               (export "output-stream" (type $stream (sub resource)))
               (export "error" (type $error' (eq $error)))
               (type $failed' (variant (case "last-operation-failed" (own $error')) (case "closed")))
               (export "stream-error" (type $failed (eq $failed')))
               (export "[method]output-stream.check-write" (func (param "self" (borrow $stream))
                   (result (result u64 (error $failed)))))
               (export "[method]output-stream.write" (func (param "self" (borrow $stream))
                   (param "contents" (list u8)) (result (result (error $failed)))))))
           (alias export $streams "output-stream" (type $stream))
           (import "wasi:http/types@0.2.0" (instance $http
               (export "output-stream" (type $stream' (eq $stream)))
               (export "fields" (type $fields (sub resource)))
               (export "outgoing-response" (type $response (sub resource)))
               (export "outgoing-body" (type $body (sub resource)))
               (export "[constructor]fields" (func (result (own $fields))))
               (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
               (export "[method]outgoing-response.body" (func (param "self" (borrow $response))
                   (result (result (own $body)))))
               (export "[method]outgoing-body.write" (func (param "self" (borrow $body))
                   (result (result (own $stream')))))))"#,
        r#"(core func $fields (canon lower (func $http "[constructor]fields")))
           (core func $response (canon lower (func $http "[constructor]outgoing-response")))
           (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $mem)))
           (core func $stream (canon lower (func $http "[method]outgoing-body.write") (memory $mem)))
           (core func $check (canon lower (func $streams "[method]output-stream.check-write") (memory $mem)))
           (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $mem)))"#,
        r#"(import "" "fields" (func $fields (result i32)))
           (import "" "response" (func $response (param i32) (result i32)))
           (import "" "body" (func $body (param i32 i32)))
           (import "" "stream" (func $stream (param i32 i32)))
           (import "" "check" (func $check (param i32 i32)))
           (import "" "write" (func $write (param i32 i32 i32 i32)))"#,
        r#"(export "fields" (func $fields)) (export "response" (func $response)) (export "body" (func $body))
           (export "stream" (func $stream)) (export "check" (func $check)) (export "write" (func $write))"#,
        4,
        &format!(
            r#"(loop $bodies
                (call $body (call $response (call $fields)) (i32.const 0))
                (call $stream (i32.load (i32.const 4)) (i32.const 0))
                (i32.store (i32.const 32) (i32.load (i32.const 4)))
                (call $check (i32.load (i32.const 32)) (i32.const 0))
                (local.set $i (i32.const 65536))
                (loop $write
                    (call $write (i32.load (i32.const 32)) (i32.const 1024) (i32.const {each}) (i32.const 16))
                    (br_if $write (local.tee $i (i32.sub (local.get $i) (i32.const {each})))))
                (br $bodies))
            (unreachable)"#
        ),
    )
}

/// Opens `f` in the granted directory again and again; ends with how often that worked, divided by ten.
fn opens() -> String {
    module(
        r#"(import "wasi_snapshot_preview1" "path_open"
               (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
           (data (i32.const 0) "f")"#,
        r#"(block $done (loop $again
               (br_if $done (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
                   (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 2000)))))
           (call $exit (i32.div_u (local.get $i) (i32.const 10)))"#,
    )
}

/// Runs a program with these flags; its exit status and standard error.
#[track_caller]
fn run(sandbox: &Sandbox, program: &Path, flags: &[&str]) -> (i32, String) {
    let ended = end(sandbox, mini_wasm(sandbox).args(["run", "--engine=interp"]).args(flags).arg(program));
    (ended.status, ended.stderr)
}

#[test]
fn each_flag_moves_its_ceiling() {
    let sandbox = Sandbox::new("budgets");
    let rows = [
        ("random", random(1000), ["--max-random=1000", "--max-random=999"], "the limit is 999"),
        ("poll", timers(10, 100), ["--max-poll=100", "--max-poll=99"], "the limit is 99"),
        ("handles", timers(100, 0), ["--max-handles=101", "--max-handles=50"], "50"),
        ("host", timers(1000, 0), ["--max-host-memory=1M", "--max-host-memory=50K"], "host"),
        ("lifted", fields(1000, 1000), ["--max-call-bytes=1M", "--max-call-bytes=1000"], "bytes"),
    ];
    for (name, text, [enough, too_few], word) in rows {
        let program = sandbox.file(&format!("{name}.wat"), text);
        let (status, stderr) = run(&sandbox, &program, &[enough]);
        assert_eq!(status, 0, "{name}: {stderr}");
        let (status, stderr) = run(&sandbox, &program, &[too_few]);
        assert_eq!(status, 134, "{name}: {stderr}");
        assert!(stderr.contains(word), "{name}: {stderr}");
    }
    // Header fields, past their sum.
    let program = sandbox.file("fields.wat", fields(1000, 1000));
    let (status, stderr) = run(&sandbox, &program, &["--max-header-bytes=10K"]);
    assert_eq!(status, 134, "{stderr}");
    assert!(stderr.contains("more memory than the host allows"), "{stderr}");
    // Open files: an error that the guest sees.
    let program = sandbox.file("opens.wat", opens());
    std::fs::create_dir(sandbox.path("dir")).unwrap();
    let dir = format!("--dir={}::/", sandbox.path("dir").display());
    assert_eq!(run(&sandbox, &program, &[&dir, "--max-descriptors=100"]).0, 10);
    assert_eq!(run(&sandbox, &program, &[&dir, "--max-descriptors=50"]).0, 5);
    // Instances, and the stack on which they call each other.
    let one = r#"(component
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $a (instantiate $m)) (core instance $b (instantiate $m)) (core instance $c (instantiate $m))
        (func $run (result (result)) (canon lift (core func $c "run")))
        (instance $r (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    let program = sandbox.file("instances.wat", one);
    assert_eq!(run(&sandbox, &program, &["--max-instances=3"]).0, 0);
    let (status, stderr) = run(&sandbox, &program, &["--max-instances=2"]);
    assert!(status == 134 && stderr.contains("2 instances"), "{status} {stderr}");
}

#[test]
fn the_stack_of_instances_that_call_each_other_has_one_ceiling_however_many_they_are() {
    let sandbox = Sandbox::new("budgets-stack");
    // Two instances that call each other through a table, so deep as the argument says.
    let text = r#"(component
        (core module $table (table (export "t") 2 funcref))
        (core instance $t (instantiate $table))
        (core module $m
            (import "" "t" (table 2 funcref))
            (import "" "me" (global $me i32))
            (type $f (func (param i32) (result i32)))
            (func $go (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (i32.add (i32.const 0) (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1))
                        (i32.sub (i32.const 1) (global.get $me)))))
                    (else (i32.const 0))))
            (elem declare func $go)
            (func (export "start") (table.set (global.get $me) (ref.func $go)))
            (func (export "run") (result i32) (call $go (i32.const 5000))))
        (core module $zero (global (export "me") i32 (i32.const 0)))
        (core module $one (global (export "me") i32 (i32.const 1)))
        (core instance $z (instantiate $zero)) (core instance $o (instantiate $one))
        (core instance $a (instantiate $m (with "" (instance (export "t" (table $t "t")) (export "me" (global $z "me"))))))
        (core instance $b (instantiate $m (with "" (instance (export "t" (table $t "t")) (export "me" (global $o "me"))))))
        (core module $s (import "" "a" (func $a)) (import "" "b" (func $b)) (func $go (call $a) (call $b)) (start $go))
        (core instance (instantiate $s (with "" (instance (export "a" (func $a "start")) (export "b" (func $b "start"))))))
        (func $run (result (result)) (canon lift (core func $a "run")))
        (instance $r (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    let program = sandbox.file("deep.wat", text);
    for engine in ["--engine=interp", "--engine=jit"] {
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", engine]).arg(&program));
        assert_eq!(ended.status, 0, "{ended:?}");
        let ended = end(&sandbox, mini_wasm(&sandbox).args(["run", engine, "--max-stack=32K"]).arg(&program));
        assert_eq!(ended.status, 134, "{ended:?}");
        assert!(ended.stderr.contains("call stack exhausted"), "{ended:?}");
    }
}

/// What a process took at most until it ended.
struct Peak {
    /// Memory in use, in bytes.
    memory: u64,
    threads: u64,
    took: Duration,
    status: Option<i32>,
    stderr: String,
}

#[track_caller]
fn peak(sandbox: &Sandbox, program: &Path, flags: &[&str]) -> Peak {
    let errors = sandbox.fresh("stderr");
    let mut command = mini_wasm(sandbox);
    command.args(["run", "--engine=interp"]).args(flags).arg(program);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&errors).unwrap())
        .spawn()
        .expect("the binary starts");
    let (begin, facts) = (Instant::now(), format!("/proc/{}/status", child.id()));
    let (mut memory, mut threads) = (0, 0);
    let ended = loop {
        // The mark of memory goes up only, so the last look before the end has it.
        let text = std::fs::read_to_string(&facts).unwrap_or_default();
        let number = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        memory = memory.max(number("VmHWM:").unwrap_or(0) << 10);
        threads = threads.max(number("Threads:").unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("it can be waited for") {
            break ended;
        }
        assert!(begin.elapsed() < PATIENCE, "it did not end");
        std::thread::sleep(Duration::from_micros(200));
    };
    let stderr = std::fs::read_to_string(&errors).unwrap();
    Peak { memory, threads, took: begin.elapsed(), status: ended.code(), stderr }
}

/// What the system counts beside what is budgeted.
const SLACK: u64 = 16 << 20;

// Advisories, class G: memory of the host's, sized by the guest.
#[test]
fn a_guest_that_tries_to_pass_its_ceiling_stays_within_16_mib_of_it() {
    let sandbox = Sandbox::new("budgets-memory");
    const MIB: u64 = 1 << 20;
    // What a guest takes that asks for nothing, with the memory that the hostile ones have.
    let base = |pages: u32| {
        let text = component(
            "",
            "",
            "",
            "",
            pages,
            r#"(loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 20000000))))
            (i32.const 0)"#,
        );
        let program = sandbox.file(&format!("base-{pages}.wat"), text);
        let base = peak(&sandbox, &program, &[]);
        assert_eq!((base.status, &*base.stderr), (Some(0), ""));
        assert!(base.memory > MIB, "it was looked at");
        base.memory
    };
    let base = base(1100);
    // Each asks for more than its ceiling in bytes.
    let rows: [(&str, String, &[&str], u64); 9] = [
        ("bodies", bodies(65_536), &["--max-host-memory=16M"], 16 * MIB),
        ("bodies-by-bytes", bodies(1), &["--max-host-memory=4M"], 4 * MIB),
        ("random", random(1 << 40), &[], 0),
        ("random-8", random(64 * MIB), &["--max-random=8M"], 0),
        // A list is the host's before it can judge how long it is: that is the budget of a call.
        ("poll", timers(1, 4_000_000), &["--max-call-bytes=8M"], 8 * MIB),
        ("timers", timers(4_000_000, 0), &[], 0),
        ("fields", fields(4_000_000, 0), &["--max-call-bytes=8M"], 0),
        ("fields-8", fields(170_000, 0), &["--max-call-bytes=8M"], 8 * MIB),
        (
            "grow",
            module(
                "",
                r#"(loop $l
                    (drop (memory.grow (i32.const 16)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 100000))))"#,
            ),
            &["--max-memory=4M"],
            4 * MIB,
        ),
    ];
    for (name, text, flags, ceiling) in rows {
        let program = sandbox.file(&format!("{name}.wat"), text);
        let Peak { memory: peak, stderr, .. } = peak(&sandbox, &program, flags);
        // The lists above lie in the guest's own memory: up to 16 MiB of it that the base has not touched.
        let touched = if matches!(name, "poll" | "timers") { 16 * MIB } else { 0 };
        assert!(
            peak <= base + ceiling + touched + SLACK,
            "{name}: {} MiB, {} of them the base\n{stderr}",
            peak / MIB,
            base / MIB
        );
    }
}

#[test]
fn ten_thousand_idle_pollables_take_no_threads() {
    let sandbox = Sandbox::new("budgets-idle");
    let program = sandbox.file("idle.wat", waits(10_000, 0, 3_600_000_000_000));
    let none = peak(&sandbox, &program, &[]);
    assert_eq!((none.status, none.threads), (Some(0), 1), "{}", none.stderr);
    assert!(none.took >= Duration::from_millis(300), "it waited for the one that is due");
    let with_deadline = peak(&sandbox, &program, &["--timeout=1h"]);
    assert_eq!(with_deadline.status, Some(0), "{}", with_deadline.stderr);
    assert!(with_deadline.threads <= 2, "{} threads", with_deadline.threads);
    assert!(with_deadline.memory <= none.memory + SLACK);
}
