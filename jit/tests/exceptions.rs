//! Exceptions across the two engines and the host, in every order: whoever throws, passes or catches may be native code, the
//! interpreter, or the host.

use mini_wasm_jit::artifact::{Kind, Seal};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::{Arch, Jit};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::{AsStore, Caller, Error, ErrorKind, ExnRef, Linker, Module, Store, Tag, Trap, Val};
use std::sync::Arc;

fn configs() -> [Config; 2] {
    let mut guarded = Config::default();
    guarded.features.set("legacy-exceptions", true).unwrap();
    [guarded.clone(), Config { guard_pages: false, ..guarded }]
}

/// An engine whose compiler leaves the functions of the bit set to the interpreter.
fn engine(config: &Config, interpreted: u32) -> Engine {
    let options = CompileOptions {
        interpret: Some(Arc::new(move |own| interpreted >> own & 1 == 1)),
        ..CompileOptions::default()
    };
    Engine::with_backend(config.clone(), Arc::new(Jit::new(options)))
}

/// Seven functions: what they call is chosen by `$way`, what is thrown by `$n`.
const WAT: &str = r#"(module $m
    (import "h" "pass" (func $pass (param i32 i32)))
    (import "h" "tag" (tag $a (param i32 i64)))
    (import "h" "throw" (func $host_throws (param i32)))
    (tag $b) (tag $c)
    (type $t (func (param i32 i32)))
    (table funcref (elem $throw $middle $indirect $tail $host $legacy))
    (func $throw (param $way i32) (param $n i32)
        (if (i32.eqz (local.get $n)) (then (throw $b)))
        (if (i32.eq (local.get $n) (i32.const 1)) (then (unreachable)))
        (if (i32.eq (local.get $n) (i32.const 2)) (then (throw $c)))
        (if (i32.eq (local.get $n) (i32.const 3)) (then (call $host_throws (i32.const 33))))
        (if (i32.gt_s (local.get $n) (i32.const 3))
            (then (throw $a (local.get $n) (i64.extend_i32_s (i32.mul (local.get $n) (i32.const 2)))))))
    (func $middle (param $way i32) (param $n i32) (local $e exnref)
        (block $again (result exnref)
            (block $on_b
                (try_table (catch $b $on_b) (catch_all_ref $again) (call $throw (i32.const 0) (local.get $n)))
                (return))
            (throw $a (i32.const 100) (i64.const 7)))
        (throw_ref))
    (func $indirect (param $way i32) (param $n i32)
        (block $h
            (try_table (catch $b $h) (catch $b 1)
                (call_indirect (type $t) (i32.const 0) (local.get $n) (i32.const 1)))
            (return))
        (unreachable))
    (func $tail (param $way i32) (param $n i32)
        (block $h (try_table (catch_all $h)
            (return_call_indirect (type $t) (i32.const 0) (local.get $n) (i32.shr_u (local.get $way) (i32.const 8)))))
        (unreachable))
    (func $host (param $way i32) (param $n i32)
        (block $h
            (try_table (catch $c $h) (call $pass (i32.shr_u (local.get $way) (i32.const 8)) (local.get $n)))
            (return))
        (throw $b))
    (func $legacy (param $way i32) (param $n i32)
        try
            try
                local.get $way i32.const 8 i32.shr_u local.get $n
                local.get $way i32.const 8 i32.shr_u i32.const 255 i32.and
                call_indirect (type $t)
            delegate 0
        catch $c
            i32.const 7
            i64.const 7
            throw $a
        catch $a
            drop drop
            rethrow 0
        catch_all
            rethrow 0
        end)
    (func $catch (export "catch") (param $way i32) (param $n i32) (result i32 i64 f64 i32 i32 i32 i32 i32 i32 i32 i32)
        (local $count i32) (local $float f64)
        (local.set $float (f64.const 1.5))
        (block $h (result i32 i64)
            (block $none
                (try_table (catch $a $h) (catch $b $none)
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (local.set $float (f64.add (local.get $float) (f64.const 1)))
                    (call_indirect (type $t) (local.get $way) (local.get $n) (i32.and (local.get $way) (i32.const 255)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1))))
                (br $h (i32.const -1) (i64.const -1)))
            (i32.const -2) (i64.const -2))
        (local.get $float) (local.get $count)
        (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7))
    (export "call" (func $throw)) (export "middle" (func $middle)) (export "indirect" (func $indirect))
    (func (export "go") (param $way i32) (param $n i32)
        (call_indirect (type $t) (local.get $way) (local.get $n) (i32.and (local.get $way) (i32.const 255)))))"#;

/// All of the module's functions but the last.
const ALL: u32 = 0b111_1111;

struct World {
    store: Store<()>,
    instance: mini_wasm_runtime::Instance,
}

fn world(engine: &Engine) -> World {
    let module = Module::new(engine, wat::parse_str(WAT).unwrap()).unwrap();
    let mut store = Store::new(engine, ());
    let mut linker = Linker::<()>::new();
    let tag = Tag::new(&mut store, FuncType::new([ValType::I32, ValType::I64], [])).unwrap();
    linker.define("h", "tag", tag).unwrap();
    let two = FuncType::new([ValType::I32; 2], []);
    let pass = |mut caller: Caller<'_, ()>, args: &[Val], _: &mut [Val]| {
        let go = caller.export("go").unwrap().func().unwrap();
        match go.call(&mut caller, args) {
            Ok(_) => Ok(()),
            Err(error) if error.exception().is_some() => {
                Err(Error::throw(error.exception().unwrap().clone()))
            }
            Err(error) => Err(error),
        }
    };
    linker.func_new("h", "pass", two, pass).unwrap();
    let throw = move |mut caller: Caller<'_, ()>, args: &[Val], _: &mut [Val]| {
        Err(Error::throw(ExnRef::new(&mut caller, tag, &[args[0].clone(), Val::I64(34)])?))
    };
    linker.func_new("h", "throw", FuncType::new([ValType::I32], []), throw).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    World { store, instance }
}

impl World {
    fn call(&mut self, name: &str, way: i32, n: i32) -> Result<Vec<Val>, Error> {
        let func = self.instance.func(&mut self.store, name).unwrap();
        func.call(&mut self.store, &[Val::I32(way), Val::I32(n)])
    }

    /// What `catch` answers: what was caught, the float and the counter; or how it ended.
    fn catch(&mut self, way: i32, n: i32) -> Result<(i32, i64, f64, i32), ErrorKind> {
        let values = self.call("catch", way, n).map_err(|error| error.kind())?;
        let [Val::I32(a), Val::I64(b), Val::F64(float), Val::I32(count), Val::I32(1), .., Val::I32(7)] =
            values[..]
        else {
            panic!("{values:?}")
        };
        Ok((a, b, f64::from_bits(float), count))
    }
}

/// Every way through the functions, two deep.
fn ways() -> Vec<i32> {
    let mut ways = vec![0, 1, 2];
    for through in [3, 4, 5] {
        ways.extend([0, 1, 2].map(|inner| through | inner << 8));
        ways.extend([3, 4, 5].map(|middle| through | middle << 8 | 1 << 16));
    }
    ways
}

#[test]
fn whoever_throws_whoever_catches_the_outcome_is_the_same() {
    let sets = (0..=ALL).filter(|set| set.count_ones() <= 1 || set.count_ones() >= 6 || set % 11 == 3);
    let sets: Vec<u32> = sets.collect();
    let outcomes = |world: &mut World| -> Vec<_> {
        let ways = ways();
        ways.iter()
            .flat_map(|&way| (0..7).map(move |n| (way, n)))
            .map(|(way, n)| world.catch(way, n))
            .collect()
    };
    let oracle = outcomes(&mut world(&Engine::new(configs()[0].clone())));
    // By hand, for the first way: nothing between.
    assert_eq!(
        oracle[..7],
        [
            Ok((-2, -2, 2.5, 1)),
            Err(ErrorKind::Trap(Trap::Unreachable)),
            Err(ErrorKind::Exception),
            Ok((33, 34, 2.5, 1)),
            Ok((4, 8, 2.5, 1)),
            Ok((5, 10, 2.5, 1)),
            Ok((6, 12, 2.5, 1)),
        ]
    );
    assert_eq!(oracle[7], Ok((100, 7, 2.5, 1)));
    for config in configs() {
        for &interpreted in &sets {
            let mut world = world(&engine(&config, interpreted));
            // Twice: what one left behind must not show in the next.
            for round in 0..2 {
                let got = outcomes(&mut world);
                let what = format!("{interpreted:#b}, guard pages {}, round {round}", config.guard_pages);
                for (i, (got, want)) in got.iter().zip(&oracle).enumerate() {
                    let (way, n) = (ways()[i / 7], i % 7);
                    assert_eq!(got, want, "{what}: way {way:#x}, n {n}");
                }
            }
        }
    }
}

#[test]
fn what_nobody_catches_has_the_whole_backtrace() {
    for config in configs() {
        for interpreted in [0, ALL, 0b1, 0b10, 0b100, 0b101, 0b1000000, 0b1111110] {
            let mut world = world(&engine(&config, interpreted));
            let what = format!("{interpreted:#b}, guard pages {}", config.guard_pages);
            for (way, n, funcs) in [
                (0, 2, &[2, 8][..]),
                (1, 2, &[3, 8]),
                (2, 2, &[3, 4, 8]),
                (2, 4, &[3, 4, 8]),
                (0, 3, &[2, 8]),
            ] {
                // Functions 0 and 1 are imported. `$middle` throws again, so the trace begins there.
                let error = match n {
                    4 => world.call("indirect", way, n).unwrap_err(),
                    _ => world.call("catch", way, n).err().unwrap_or_else(|| Error::host("caught")),
                };
                if n == 3 {
                    assert_eq!(error.kind(), ErrorKind::Host);
                    continue;
                }
                assert_eq!(error.kind(), ErrorKind::Exception, "{what}");
                let frames = &error.backtrace().frames;
                let got: Vec<u32> = frames.iter().map(|frame| frame.func).collect();
                let funcs = if n == 4 { &funcs[..2] } else { funcs };
                assert_eq!(got, funcs, "{what}: way {way}, n {n}");
                assert!(frames.iter().all(|frame| frame.offset.is_some()), "{what}");
                assert_eq!(
                    error.exception().unwrap().values(&mut world.store).unwrap().len(),
                    if n == 4 { 2 } else { 0 }
                );
            }
        }
    }
}

#[test]
fn nothing_of_it_is_left_to_the_interpreter() {
    let Some(arch) = Arch::host() else { return };
    let wasm = wat::parse_str(WAT).unwrap();
    for config in configs() {
        let module = Module::new(&Engine::new(config.clone()), wasm.clone()).unwrap();
        for arch in [arch, Arch::X86_64, Arch::Aarch64, Arch::Riscv64] {
            let options = ArtifactOptions {
                arch: Some(arch),
                cpu: None,
                compile: CompileOptions::default(),
                seal: Seal::None,
            };
            let made =
                compile_artifact(&config, &wasm, Kind::Module, &[module.info()], &[], &options).unwrap();
            assert_eq!(made.left_out, [], "{arch:?}");
        }
    }
}

#[test]
fn a_stack_that_is_full_traps_past_every_handler() {
    let text = r#"(module (tag $t)
        (func $deep (param i32) (result i32)
            (block $h (try_table (result i32) (catch_all $h)
                (if (i32.eqz (local.get 0)) (then (throw $t)))
                (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)) (return))
              (drop))
            (i32.const 1000))
        (func $deep2 (export "deep") (param i32) (result i32) (call $deep (local.get 0))))"#;
    for config in configs() {
        for interpreted in [0, 1, 2] {
            let engine = engine(&config, interpreted);
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
            let deep = instance.func(&mut store, "deep").unwrap().typed::<i32, i32>(&store).unwrap();
            for _ in 0..3 {
                assert_eq!(deep.call(&mut store, 10).unwrap(), 1010);
                assert_eq!(deep.call(&mut store, -1).unwrap_err().trap(), Some(Trap::StackOverflow));
            }
        }
    }
}

#[test]
fn fuel_left_is_the_same_whoever_throws_and_catches() {
    let text = r#"(module (tag $t (param i32)) (tag $u)
        (func $step (param i32) (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (local.get 0)))) (nop)
            (if (i32.and (local.get 0) (i32.const 2)) (then (throw $u))))
        (func (export "work") (param i32) (result i32) (local i32)
            (loop $l
                (block $next (block $u
                    (block $h (result i32)
                        (try_table (catch $t $h) (catch $u $u) (call $step (local.get 0)) (local.set 1 (i32.add (local.get 1) (i32.const 1))))
                        (br $next))
                    (local.set 1 (i32.add (local.get 1))) (br $next))
                    (local.set 1 (i32.mul (local.get 1) (i32.const 3))))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))"#;
    for config in configs() {
        let config = Config { fuel: true, ..config };
        let ends = [0, 1, 2, 3].map(|interpreted| {
            let engine = engine(&config, interpreted);
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
            let work = instance.func(&mut store, "work").unwrap().typed::<i32, i32>(&store).unwrap();
            (0..400)
                .step_by(7)
                .map(|fuel| {
                    store.set_fuel(fuel);
                    (work.call(&mut store, 9).map_err(|error| error.trap()), store.fuel())
                })
                .collect::<Vec<_>>()
        });
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
        assert!(matches!(ends[0].last(), Some((Ok(_), _))));
    }
}

/// Advisories of class B (rooting): exceptions are objects, and may hold others by their references.
#[test]
fn exceptions_that_hold_exceptions_survive_a_collector_that_runs_at_every_allocation() {
    let text = r#"(module (tag $link (param exnref i32))
        (func $wrap (param exnref i32) (result exnref)
            (block $h (result exnref)
                (try_table (catch_all_ref $h) (throw $link (local.get 0) (local.get 1)))
                (unreachable)))
        (func $unwrap (param exnref) (result exnref i32)
            (block $h (result exnref i32)
                (try_table (catch $link $h) (throw_ref (local.get 0)))
                (unreachable)))
        (func (export "chain") (param i32) (result i32) (local $e exnref) (local $n i32) (local $sum i32)
            (loop $l
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $e (call $wrap (local.get $e) (local.get $n)))
                (drop (call $wrap (local.get $e) (i32.const 1000)))
                (br_if $l (i32.lt_u (local.get $n) (local.get 0))))
            (loop $l
                (call $unwrap (local.get $e))
                (local.set $sum (i32.add (local.get $sum)))
                (local.set $e)
                (br_if $l (i32.eqz (ref.is_null (local.get $e)))))
            (local.get $sum)))"#;
    for config in configs() {
        let config = Config { gc_stress: true, ..config };
        for interpreted in 0..8 {
            let engine = engine(&config, interpreted);
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
            let chain = instance.func(&mut store, "chain").unwrap().typed::<i32, i32>(&store).unwrap();
            assert_eq!(chain.call(&mut store, 50).unwrap(), 1275, "{interpreted:#b}");
            assert!(store.as_store().gc_stats().objects < 200, "{:?}", store.as_store().gc_stats());
        }
    }
}

/// GHSA-hw8m: references that live across a call in a try block were no roots there. What is held by a local that only the code
/// behind reads, by one that only the handler reads, by an operand below the block, and by the exception itself survives a call that
/// allocates, whether it returns or throws.
#[test]
fn references_that_live_across_a_call_in_a_try_block_survive_a_collection_inside_it() {
    let text = r#"(module
        (type $cell (struct (field $n (mut i32)) (field $next (mut (ref null $cell)))))
        (tag $e (param i32 (ref null $cell)))
        (func $cell (param $n i32) (result (ref $cell))
            (struct.new $cell (local.get $n) (struct.new $cell (i32.mul (local.get $n) (i32.const 2)) (ref.null $cell))))
        (func $sum (param $c (ref null $cell)) (result i32)
            (i32.add (struct.get $cell $n (local.get $c)) (struct.get $cell $n (struct.get $cell $next (local.get $c)))))
        ;; Fills what a wrong collection has freed with other numbers.
        (func $busy (local $i i32)
            (local.set $i (i32.const 20))
            (loop $l
                (drop (call $cell (i32.const 0x55555555)))
                (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
        (func $may_throw (param $throws i32) (param $c (ref null $cell)) (result i32)
            (call $busy)
            (if (local.get $throws) (then (throw $e (i32.const 7) (local.get $c))))
            (call $sum (local.get $c)))
        (func $run (export "run") (param $throws i32) (result i32)
            (local $behind (ref null $cell)) (local $handler (ref null $cell)) (local $caught (ref null $cell)) (local $sum i32)
            (local.set $behind (call $cell (i32.const 1)))
            (local.set $handler (call $cell (i32.const 10)))
            (call $cell (i32.const 100))
            (block $done
                (block $h (result i32 (ref null $cell))
                    (try_table (catch $e $h)
                        (local.set $sum (call $may_throw (local.get $throws) (call $cell (i32.const 1000))))
                        (br $done))
                    (unreachable))
                (local.set $caught)
                (call $busy)
                (local.set $sum (i32.add (i32.add (call $sum (local.get $caught))) (call $sum (local.get $handler)))))
            (call $busy)
            (i32.add (call $sum) (i32.add (local.get $sum) (call $sum (local.get $behind))))))"#;
    for config in configs() {
        let config = Config { gc_stress: true, ..config };
        for interpreted in [0, 0b1_1111, 0b0_1000, 0b1_0000, 0b0_0100, 0b0_0001] {
            let engine = engine(&config, interpreted);
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
            let run = instance.func(&mut store, "run").unwrap().typed::<i32, i32>(&store).unwrap();
            for _ in 0..3 {
                assert_eq!(run.call(&mut store, 0).unwrap(), 3 * (100 + 1000 + 1), "{interpreted:#b}");
                assert_eq!(
                    run.call(&mut store, 1).unwrap(),
                    3 * (100 + 1000 + 10 + 1) + 7,
                    "{interpreted:#b}"
                );
            }
        }
    }
}

/// CVE-2024-47763: a backtrace over tail calls.
#[test]
fn an_exception_out_of_tail_calls_has_a_backtrace_and_finds_its_handler() {
    let text = r#"(module (tag $t (param i32)) (type $f (func (param i32) (result i32)))
        (table funcref (elem $down $down2))
        (func $down (param i32) (result i32)
            (block $h (try_table (catch_all $h)
                (if (i32.eqz (local.get 0)) (then (return_call $throw (i32.const 5))))
                (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.and (local.get 0) (i32.const 1)))))
            (unreachable))
        (func $down2 (param i32) (result i32)
            (return_call $down (local.get 0)))
        (func $throw (param i32) (result i32) (throw $t (local.get 0)))
        (func (export "caught") (param i32) (result i32)
            (block $h (result i32) (try_table (result i32) (catch $t $h) (call $down (local.get 0)))))
        (func (export "uncaught") (param i32) (result i32) (i32.add (call $down (local.get 0)) (i32.const 1))))"#;
    for config in configs() {
        for interpreted in 0..8 {
            let engine = engine(&config, interpreted);
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let instance = Linker::<()>::new().instantiate(&mut store, &module).unwrap();
            let caught = instance.func(&mut store, "caught").unwrap().typed::<i32, i32>(&store).unwrap();
            assert_eq!(caught.call(&mut store, 9).unwrap(), 5, "{interpreted:#b}");
            let uncaught = instance.func(&mut store, "uncaught").unwrap().typed::<i32, i32>(&store).unwrap();
            for depth in [0, 1, 8] {
                let error = uncaught.call(&mut store, depth).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Exception);
                let funcs: Vec<u32> = error.backtrace().frames.iter().map(|frame| frame.func).collect();
                assert_eq!(
                    (funcs.first(), funcs.last()),
                    (Some(&2), Some(&4)),
                    "{interpreted:#b}: {funcs:?}"
                );
                // Where one engine tail-calls the other, its frame may wait underneath.
                assert!(funcs.len() == 2 || interpreted % 7 != 0, "{interpreted:#b}: {funcs:?}");
            }
        }
    }
}
