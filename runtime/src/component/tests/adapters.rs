//! Calls between components: the plan against the way through values (`Config::plain_adapters`), with guests that mean harm on
//! either side; and what may be left out of a call and what may not.

use super::*;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// Ends a call's outcome that can be compared.
type Outcome = core::result::Result<Option<Val>, String>;

fn outcome(result: Result<Option<Val>>) -> Outcome {
    result.map_err(|error| error.to_string())
}

fn instantiate_with(wat: &str, plain_adapters: bool) -> Setup {
    let engine = engine(Config { plain_adapters, ..Config::default() });
    let component = component(&engine, wat);
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).expect("it instantiates");
    Setup { store, instance }
}

/// Does the same with both kinds of adapters, in an instance of its own each.
fn both(wat: &str, run: impl Fn(&mut Setup) -> Vec<Outcome>) -> Vec<Outcome> {
    let (fused, plain) = (run(&mut instantiate_with(wat, false)), run(&mut instantiate_with(wat, true)));
    assert_eq!(fused, plain);
    fused
}

/// Texts, as they lie in a memory of an encoding: bytes and code units.
fn texts(encoding: &str) -> Vec<(Vec<u8>, u32)> {
    let long: String = "0123456789abcdef".repeat(70);
    [
        "plain",
        "Grüße, ÿ",
        "a日本語",
        "mixed é 日 \u{1f600} end",
        &long,
        &format!("{long}é"),
        &format!("{long}日"),
    ]
    .iter()
    .map(|text| {
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let units = utf16.len() as u32 / 2;
        match encoding {
            "utf8" => (text.as_bytes().to_vec(), text.len() as u32),
            "utf16" => (utf16, units),
            _ if text.chars().all(|c| c <= 'ÿ') => {
                (text.chars().map(|c| c as u8).collect(), text.chars().count() as u32)
            }
            _ => (utf16, units | 1 << 31),
        }
    })
    .collect()
}

/// Component A, whose `send` gives this pointer and length to `take` of component B as a string; B's `set` says at which call its
/// `realloc` returns what instead of its duty. `take` answers with a number made of all that B was given and asked for.
fn sender(from: &str, to: &str) -> String {
    let mut data = String::new();
    let mut at = 1024;
    for (bytes, _) in texts(from) {
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        data += &format!("(data (i32.const {at}) \"{bytes}\")");
        at += 8192;
    }
    format!(
        r#"(component
            (component $B
                (core module $m
                    (memory (export "memory") 2)
                    (global $next (mut i32) (i32.const 4096))
                    (global $calls (mut i32) (i32.const 0))
                    (global $at (mut i32) (i32.const -1))
                    (global $bad (mut i32) (i32.const 0))
                    (global $hash (mut i32) (i32.const 17))
                    (func $mix (param i32)
                        (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (local.get 0))))
                    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $new-size i32) (result i32)
                        (local $ptr i32)
                        (call $mix (local.get $old)) (call $mix (local.get $old-size))
                        (call $mix (local.get $align)) (call $mix (local.get $new-size))
                        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                        (if (i32.eq (global.get $calls) (global.get $at)) (then
                            (if (i32.eq (global.get $bad) (i32.const 7)) (then unreachable))
                            (return (global.get $bad))))
                        (drop (memory.grow (i32.const 1)))
                        (local.set $ptr (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                        (global.set $next (i32.add (local.get $ptr) (local.get $new-size)))
                        (memory.copy (local.get $ptr) (local.get $old)
                            (select (local.get $old-size) (local.get $new-size)
                                (i32.lt_u (local.get $old-size) (local.get $new-size))))
                        (local.get $ptr))
                    (func (export "set") (param i32 i32) (global.set $at (local.get 0)) (global.set $bad (local.get 1)))
                    (func (export "take") (param $ptr i32) (param $len i32) (result i32)
                        (local $i i32)
                        (call $mix (local.get $ptr)) (call $mix (local.get $len))
                        (loop $more
                            (call $mix (i32.load8_u (local.get $i)))
                            (local.set $i (i32.add (local.get $i) (i32.const 1)))
                            (br_if $more (i32.lt_u (local.get $i) (i32.const 60000))))
                        (global.get $hash)))
                (core instance $i (instantiate $m))
                (func (export "set") (param "at" u32) (param "bad" u32) (canon lift (core func $i "set")))
                (func (export "take") (param "s" string) (result u32)
                    (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                        string-encoding={to})))
            (component $A
                (import "take" (func $take (param "s" string) (result u32)))
                (core module $libc (memory (export "memory") 1) {data})
                (core instance $libc (instantiate $libc))
                (core func $take' (canon lower (func $take) (memory (core memory $libc "memory")) string-encoding={from}))
                (core module $m
                    (import "" "take" (func $take (param i32 i32) (result i32)))
                    (func (export "send") (param i32 i32) (result i32) (call $take (local.get 0) (local.get 1))))
                (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
                (func (export "send") (param "ptr" u32) (param "len" u32) (result u32) (canon lift (core func $i "send"))))
            (instance $b (instantiate $B))
            (instance $a (instantiate $A (with "take" (func $b "take"))))
            (export "set" (func $b "set"))
            (export "send" (func $a "send")))"#
    )
}

#[test]
fn strings_cross_in_all_nine_pairs_with_the_same_calls_of_realloc() {
    for (from, to) in ENCODINGS.iter().flat_map(|from| ENCODINGS.iter().map(move |to| (from, to))) {
        let outcomes = both(&sender(from, to), |setup| {
            let send = |(i, (_, units)): (usize, (Vec<u8>, u32))| {
                outcome(setup.call("send", &[Val::U32(1024 + 8192 * i as u32), Val::U32(units)]))
            };
            texts(from).into_iter().enumerate().map(send).collect()
        });
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{from} {to}: {outcomes:?}");
    }
}

#[test]
fn a_hostile_realloc_meets_the_same_end_by_plan_and_by_value() {
    // Odd, at the end, beyond it, wrapping, where everything is, and a trap (7 is odd as well).
    const BAD: [u32; 6] = [4097, 131_070, 0xffff_fff0, 0x7fff_fffe, 4096, 7];
    let mut ends = 0;
    for (from, to) in ENCODINGS.iter().flat_map(|from| ENCODINGS.iter().map(move |to| (from, to))) {
        let wat = sender(from, to);
        for (i, (_, units)) in texts(from).into_iter().enumerate().take(4) {
            for (at, bad) in (1..=3).flat_map(|at| BAD.map(|bad| (at, bad))) {
                let outcomes = both(&wat, |setup| {
                    setup.call("set", &[Val::U32(at), Val::U32(bad)]).unwrap();
                    let args = [Val::U32(1024 + 8192 * i as u32), Val::U32(units)];
                    vec![outcome(setup.call("send", &args)), outcome(setup.call("send", &args))]
                });
                ends += outcomes.iter().filter(|outcome| outcome.is_err()).count();
            }
        }
    }
    assert!(ends > 500, "{ends}");
}

#[test]
fn a_string_may_end_where_the_memory_ends_and_not_beyond() {
    for (from, to) in ENCODINGS.iter().flat_map(|from| ENCODINGS.iter().map(move |to| (from, to))) {
        let unit = if *from == "utf8" || *from == "latin1+utf16" { 1 } else { 2 };
        let wat = sender(from, to);
        for (len, past) in
            [(0, 0), (0, 2), (10, 0), (10, 1), (10, 2), (1 << 27, 0), (1 << 28, 0), (u32::MAX, 0)]
        {
            let ptr = 65536u32.wrapping_sub(unit * (len & 0xff)).wrapping_add(past);
            for tag in [0, 1u32 << 31] {
                let args = [Val::U32(ptr), Val::U32(len | tag)];
                let outcomes = both(&wat, |setup| vec![outcome(setup.call("send", &args))]);
                let fits = len == 0 && past == 0 || len == 10 && past == 0 && tag == 0;
                if tag == 0 {
                    assert_eq!(outcomes[0].is_ok(), fits, "{from} {to} {len} {past}: {outcomes:?}");
                }
            }
        }
    }
}

/// Component A, whose `send` gives a raw i32 to `take: func(x: ty) -> u32` of component B, which answers with what it got.
fn raw(ty: &str) -> String {
    format!(
        r#"(component
            (type $t' {ty})
            (component $B
                (type $t' {ty}) (export $t "t" (type $t'))
                (core module $m (func (export "take") (param i32) (result i32) (local.get 0)))
                (core instance $i (instantiate $m))
                (func (export "take") (param "x" $t) (result u32) (canon lift (core func $i "take"))))
            (component $A
                (type $t' {ty})
                (import "t" (type $t (eq $t')))
                (import "take" (func $take (param "x" $t) (result u32)))
                (core func $take' (canon lower (func $take)))
                (core module $m
                    (import "" "take" (func $take (param i32) (result i32)))
                    (func (export "send") (param i32) (result i32) (call $take (local.get 0))))
                (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
                (func (export "send") (param "x" u32) (result u32) (canon lift (core func $i "send"))))
            (instance $b (instantiate $B))
            (instance $a (instantiate $A (with "t" (type $b "t")) (with "take" (func $b "take"))))
            (export "send" (func $a "send")))"#
    )
}

#[test]
fn a_callee_gets_values_of_its_type_whatever_bits_the_caller_gives() {
    let rows: [(&str, u32, Option<u32>); 18] = [
        ("bool", 2, Some(1)),
        ("bool", 0x100, Some(1)),
        ("u8", 0x1ff, Some(0xff)),
        ("s8", 0x80, Some(0xffff_ff80)),
        ("u16", 0x1_2345, Some(0x2345)),
        ("s16", 0x8000, Some(0xffff_8000)),
        ("u32", u32::MAX, Some(u32::MAX)),
        ("char", 0x10_ffff, Some(0x10_ffff)),
        ("char", 0xd800, None),
        ("char", 0xdfff, None),
        ("char", 0x11_0000, None),
        ("(enum \"a\" \"b\" \"c\")", 2, Some(2)),
        ("(enum \"a\" \"b\" \"c\")", 3, None),
        ("(enum \"a\" \"b\" \"c\")", 255, None),
        ("(enum \"a\" \"b\" \"c\")", u32::MAX, None),
        ("(flags \"a\" \"b\" \"c\")", u32::MAX, Some(7)),
        ("(result)", 1, Some(1)),
        ("(result)", 2, None),
    ];
    for (ty, bits, want) in rows {
        let outcomes = both(&raw(ty), |setup| vec![outcome(setup.call("send", &[Val::U32(bits)]))]);
        assert_eq!(outcomes[0].clone().ok(), want.map(|want| Some(Val::U32(want))), "{ty} {bits:#x}");
    }
}

/// Two components and a third that has nothing to do with them; `call` of A makes B trap.
const TRAPPING: &str = r#"(component
    (component $B
        (core module $m (func (export "f") (param i32) (if (local.get 0) (then unreachable))))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" u32) (canon lift (core func $i "f"))))
    (component $A
        (import "f" (func $f (param "x" u32)))
        (import "back" (func $back))
        (core func $f' (canon lower (func $f)))
        (core func $back' (canon lower (func $back)))
        (core module $m
            (import "" "f" (func $f (param i32)))
            (import "" "back" (func $back))
            (func (export "call") (param i32) (call $f (local.get 0)))
            (func (export "host") (call $back) (call $f (i32.const 0))))
        (core instance $i (instantiate $m (with "" (instance
            (export "f" (func $f')) (export "back" (func $back'))))))
        (func (export "call") (param "x" u32) (canon lift (core func $i "call")))
        (func (export "host") (canon lift (core func $i "host"))))
    (import "back" (func $back))
    (instance $b (instantiate $B))
    (instance $c (instantiate $B))
    (instance $a (instantiate $A (with "f" (func $b "f")) (with "back" (func $back))))
    (export "b" (func $b "f"))
    (export "c" (func $c "f"))
    (export "call" (func $a "call"))
    (export "host" (func $a "host")))"#;

fn trapping() -> (Store<Option<super::super::Func>>, Instance) {
    let engine = engine(Config::default());
    let component = component(&engine, TRAPPING);
    let mut linker = Linker::<Option<super::super::Func>>::new(&engine);
    // The host calls what it was given, and keeps to itself how that ended.
    let back = |mut caller: crate::Caller<'_, Option<super::super::Func>>, (): ()| -> Result<()> {
        if let Some(func) = *caller.data() {
            let _ = func.call(&mut caller, &[Val::U32(1)]);
        }
        Ok(())
    };
    linker.root().func_wrap("back", back).unwrap();
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

#[test]
fn a_trap_ends_all_instances_of_its_root() {
    let (mut store, instance) = trapping();
    let call = |store: &mut Store<_>, name: &str, x| {
        instance.func(store, name).unwrap().call(&mut *store, &[Val::U32(x)])
    };
    call(&mut store, "call", 0).unwrap();
    assert!(trap_of(call(&mut store, "call", 1)).contains("unreachable"));
    for name in ["call", "b", "c"] {
        assert!(trap_of(call(&mut store, name, 0)).contains("cannot enter component instance"), "{name}");
    }
}

#[test]
fn a_host_function_cannot_hide_that_its_callers_component_has_trapped() {
    let (mut store, instance) = trapping();
    let host = instance.func(&mut store, "host").unwrap();
    host.call(&mut store, &[]).unwrap();
    *store.data_mut() = instance.func(&mut store, "b");
    assert!(trap_of(host.call(&mut store, &[])).contains("cannot enter component instance"));
}

#[test]
fn what_moves_between_components_costs_fuel_by_its_length() {
    let engine = engine(Config { fuel: true, ..Config::default() });
    let component = component(&engine, &sender("utf8", "utf8"));
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX);
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
    let send = instance.func(&mut store, "send").unwrap();
    let mut cost = |len| {
        store.set_fuel(10_000_000);
        send.call(&mut store, &[Val::U32(0), Val::U32(len)]).unwrap();
        10_000_000 - store.fuel().unwrap()
    };
    let none = cost(0);
    // `realloc` copies nothing; what is more than for nothing is the move.
    assert!(cost(64_000) >= none + 1000);
}

#[test]
fn one_call_between_components_moves_no_more_than_its_budget() {
    let mut setup = instantiate_with(&sender("utf8", "utf16"), false);
    let limits = crate::StoreLimits { copy_bytes_per_call: 1000, ..Default::default() };
    setup.store.set_limits(limits);
    setup.call("send", &[Val::U32(0), Val::U32(1000)]).unwrap();
    assert!(setup.trap("send", &[Val::U32(0), Val::U32(1001)]).contains("copy budget"));
}
