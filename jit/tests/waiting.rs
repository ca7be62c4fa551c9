//! Calls that may wait (`call_async`), of core functions: interpreted and compiled. Components: waiting_components.rs.

mod executor;

use executor::{Pending, block_on, engines, poll_once};
use mini_wasm_runtime::{
    AsyncCall, Caller, Engine, ErrorKind, Instance, Linker, Module, Result, Store, Trap, TypedFunc, Val,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// What a store of these tests holds: how often the host was called, and what counts futures that were dropped.
#[derive(Default)]
struct Data {
    calls: u32,
    dropped: Arc<AtomicUsize>,
}

/// Counts its own end.
struct Noted(Arc<AtomicUsize>);
impl Drop for Noted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// `wait(n)` waits n times and gives n + 1; `wait-and-fail` waits once; `enter` calls the guest's `inner` inside its future;
/// `plain` calls the guest's `sum` as a function that cannot wait.
fn linker() -> Linker<Data> {
    let mut linker = Linker::<Data>::new();
    linker
        .func_wrap_async("host", "wait", |mut caller: Caller<'_, Data>, (n,): (i32,)| {
            Box::new(async move {
                caller.data_mut().calls += 1;
                let _noted = Noted(caller.data().dropped.clone());
                Pending(n as usize).await;
                Ok(n + 1)
            })
        })
        .unwrap();
    linker
        .func_wrap_async("host", "panic", |caller: Caller<'_, Data>, (): ()| {
            Box::new(async move {
                Pending(1).await;
                if caller.data().calls == 0 {
                    panic!("the host is at fault");
                }
                Ok(())
            })
        })
        .unwrap();
    linker
        .func_wrap_async("host", "enter", |mut caller: Caller<'_, Data>, (n,): (i32,)| {
            Box::new(async move {
                Pending(1).await;
                let inner = caller.export("inner").and_then(|item| item.func()).expect("it is exported");
                let inner = inner.typed::<i32, i32>(&caller)?;
                inner.call_async(&mut caller, n).await
            })
        })
        .unwrap();
    linker
        .func_wrap("host", "plain", |mut caller: Caller<'_, Data>, n: i32| -> Result<i32> {
            let sum = caller.export("sum").and_then(|item| item.func()).expect("it is exported");
            sum.typed::<i32, i32>(&caller)?.call(&mut caller, n)
        })
        .unwrap();
    linker
}

const GUEST: &str = r#"(module
    (import "host" "wait" (func $wait (param i32) (result i32)))
    (import "host" "panic" (func $panic))
    (import "host" "enter" (func $enter (param i32) (result i32)))
    (import "host" "plain" (func $plain (param i32) (result i32)))
    (memory (export "memory") 1)
    ;; 1 + 2 + ... + n, each by a call of the host that waits as often.
    (func $sum (export "sum") (param $n i32) (result i32)
        (if (result i32) (i32.eqz (local.get $n))
            (then (i32.const 0))
            (else (i32.add
                (call $wait (i32.sub (local.get $n) (i32.const 1)))
                (call $sum (i32.sub (local.get $n) (i32.const 1)))))))
    (func (export "trap") (param i32) (result i32) (drop (call $wait (local.get 0))) (unreachable))
    (func (export "fault") (param i32) (result i32) (drop (call $wait (local.get 0))) (i32.load (i32.const 65536)))
    (func (export "panic") (param i32) (result i32) (call $panic) (i32.const 0))
    (func (export "spin") (param i32) (result i32) (drop (call $wait (local.get 0))) (loop $l (br $l)) (unreachable))
    (func $deep (export "deep") (param i32) (result i32)
        (i32.add (call $deep (i32.add (call $wait (i32.const 0)) (local.get 0))) (i32.const 1)))
    (func (export "count") (param $n i32) (result i32) (local $i i32)
        (loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $i))
    (func (export "inner") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (call $wait (i32.const 2)))
            (else (i32.add (call $enter (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))
    (func (export "endless") (param i32) (result i32) (call $enter (i32.const 1000000)))
    (func (export "plain") (param i32) (result i32) (call $plain (local.get 0))))"#;

fn instance(engine: &Engine) -> (Store<Data>, Instance) {
    let module = Module::new(engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let mut store = Store::new(engine, Data::default());
    let instance = linker().instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn func(store: &mut Store<Data>, instance: Instance, name: &str) -> TypedFunc<i32, i32> {
    instance.func(&mut *store, name).expect("it is exported").typed(&*store).unwrap()
}

/// The same in both engines, each with a fresh instance; afterwards nothing is left.
fn each(test: impl Fn(&mut Store<Data>, Instance)) {
    for engine in engines(|_| ()) {
        let (mut store, instance) = instance(&engine);
        test(&mut store, instance);
        drop(store);
        assert_eq!(engine.gc_bytes(), 0, "stacks are given back");
    }
}

#[test]
fn a_guest_waits_in_its_import_and_goes_on() {
    each(|store, instance| {
        let sum = func(store, instance, "sum");
        let (result, polls) = block_on(sum.call_async(store, 5));
        assert_eq!(result.unwrap(), 15);
        assert_eq!(polls, 1 + 4 + 3 + 2 + 1);
        assert_eq!(store.data().calls, 5);
        // Over values as well.
        let (result, _) = block_on(sum.func().call_async(store, &[Val::I32(3)]));
        assert!(matches!(result.unwrap()[..], [Val::I32(6)]));
    });
}

#[test]
fn two_stores_take_turns_on_one_thread() {
    for engine in engines(|_| ()) {
        let (mut one, one_instance) = instance(&engine);
        let (mut two, two_instance) = instance(&engine);
        let (one_sum, two_sum) = (func(&mut one, one_instance, "sum"), func(&mut two, two_instance, "sum"));
        {
            let mut one = one_sum.call_async(&mut one, 4);
            let mut two = two_sum.call_async(&mut two, 6);
            let (mut first, mut second) = (None, None);
            while first.is_none() || second.is_none() {
                if let (None, Poll::Ready(result)) = (&first, poll_once_or_pending(&mut one, first.is_some()))
                {
                    first = Some(result.unwrap());
                }
                if let (None, Poll::Ready(result)) =
                    (&second, poll_once_or_pending(&mut two, second.is_some()))
                {
                    second = Some(result.unwrap());
                }
            }
            assert_eq!((first, second), (Some(10), Some(21)));
        }
        assert_eq!((one.data().calls, two.data().calls), (4, 6));
    }
}

fn poll_once_or_pending(call: &mut AsyncCall<'_, i32>, over: bool) -> Poll<Result<i32>> {
    if over { Poll::Pending } else { poll_once(call) }
}

#[test]
fn a_call_may_be_dropped_wherever_it_waits_and_the_store_goes_on() {
    each(|store, instance| {
        let sum = func(store, instance, "sum");
        let dropped = store.data().dropped.clone();
        for polls in 0..10 {
            store.data_mut().calls = 0;
            dropped.store(0, Ordering::Relaxed);
            let mut call = sum.call_async(store, 4);
            for _ in 0..polls {
                if poll_once(&mut call).is_ready() {
                    break;
                }
            }
            drop(call);
            assert_eq!(
                dropped.load(Ordering::Relaxed) as u32,
                store.data().calls,
                "futures are dropped, {polls}"
            );
            assert_eq!(block_on(sum.call_async(store, 3)).0.unwrap(), 6);
        }
    });
}

#[test]
fn dropping_an_outer_call_ends_the_calls_inside_its_future() {
    each(|store, instance| {
        let inner = func(store, instance, "inner");
        let dropped = store.data().dropped.clone();
        for polls in 0..8 {
            dropped.store(0, Ordering::Relaxed);
            store.data_mut().calls = 0;
            let mut call = inner.call_async(store, 3);
            for _ in 0..polls {
                if poll_once(&mut call).is_ready() {
                    break;
                }
            }
            drop(call);
            assert_eq!(dropped.load(Ordering::Relaxed) as u32, store.data().calls);
        }
        // 3 calls one in another, and the innermost waits: 2 + 1, and 1 for each call around it.
        assert_eq!(block_on(inner.call_async(store, 3)).0.unwrap(), 6);
    });
}

#[test]
fn traps_and_faults_come_out_of_a_call_that_has_waited() {
    each(|store, instance| {
        for waits in [0, 1, 3] {
            let trap = func(store, instance, "trap");
            let (error, polls) = block_on(trap.call_async(store, waits));
            let error = error.unwrap_err();
            assert_eq!(error.trap(), Some(Trap::Unreachable));
            assert!(!error.backtrace().frames.is_empty());
            assert_eq!(polls, 1 + waits as usize);
            let fault = func(store, instance, "fault");
            let error = block_on(fault.call_async(store, waits)).0.unwrap_err();
            assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds));
        }
        let sum = func(store, instance, "sum");
        assert_eq!(block_on(sum.call_async(store, 2)).0.unwrap(), 3);
    });
}

#[test]
fn a_panic_of_the_hosts_future_comes_through_to_whoever_polls() {
    each(|store, instance| {
        let panic = func(store, instance, "panic");
        let mut call = panic.call_async(store, 0);
        assert!(poll_once(&mut call).is_pending());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_once(&mut call)));
        let payload = caught.expect_err("it panics");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the host is at fault"));
        drop(call);
        let sum = func(store, instance, "sum");
        assert_eq!(block_on(sum.call_async(store, 2)).0.unwrap(), 3);
    });
}

#[test]
fn a_call_has_stacks_of_its_own_and_traps_at_their_end() {
    for engine in engines(|config| config.async_stack_bytes = 256 << 10) {
        let (mut store, instance) = instance(&engine);
        let deep = func(&mut store, instance, "deep");
        let error = block_on(deep.call_async(&mut store, 0)).0.unwrap_err();
        assert_eq!(error.trap(), Some(Trap::StackOverflow));
        let shallow = store.data().calls;
        assert!(shallow > 100, "{shallow}");
        let endless = func(&mut store, instance, "endless");
        let error = block_on(endless.call_async(&mut store, 0)).0.unwrap_err();
        assert_eq!(error.trap(), Some(Trap::StackOverflow), "calls inside the futures of calls");
        let sum = func(&mut store, instance, "sum");
        assert_eq!(block_on(sum.call_async(&mut store, 2)).0.unwrap(), 3);
    }
}

#[test]
fn a_deadline_ends_a_call_that_has_waited() {
    for engine in engines(|config| config.epoch = true) {
        let (mut store, instance) = instance(&engine);
        store.set_epoch_deadline(1);
        let spin = func(&mut store, instance, "spin");
        let mut call = spin.call_async(&mut store, 1);
        assert!(poll_once(&mut call).is_pending());
        engine.increment_epoch();
        match poll_once(&mut call) {
            Poll::Ready(Err(error)) => assert_eq!(error.trap(), Some(Trap::Interrupted)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn at_its_deadline_a_call_lets_others_have_a_turn_if_the_host_says_so() {
    for engine in engines(|config| config.epoch = true) {
        let (mut store, instance) = instance(&engine);
        store.set_epoch_deadline(0);
        store.set_epoch_yield(Some(1));
        let count = func(&mut store, instance, "count");
        // Each turn ends at a deadline that was reached before it began: the call waits once, then the deadline lies ahead.
        let (result, polls) = block_on(count.call_async(&mut store, 1000));
        assert_eq!(result.unwrap(), 1000);
        assert_eq!(polls, 2);
        // A guest that never ends never holds anybody up, and is got rid of by a drop.
        let spin = func(&mut store, instance, "spin");
        store.set_epoch_deadline(0);
        let over = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while over.load(Ordering::Relaxed) == 0 {
                    engine.increment_epoch();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
            let mut call = spin.call_async(&mut store, 0);
            for _ in 0..20 {
                assert!(poll_once(&mut call).is_pending());
            }
            drop(call);
            over.store(1, Ordering::Relaxed);
        });
        // Who cannot wait is stopped.
        store.set_epoch_deadline(0);
        assert_eq!(count.call(&mut store, 1000).unwrap_err().trap(), Some(Trap::Interrupted));
    }
}

#[test]
fn what_was_called_without_waiting_does_not_wait() {
    each(|store, instance| {
        let sum = func(store, instance, "sum");
        let error = sum.call(&mut *store, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("call_async"), "{error}");
        // Nor does what a function of the host leads to that could not be sent to another thread in the meantime.
        let plain = func(store, instance, "plain");
        let error = block_on(plain.call_async(store, 1)).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert_eq!(block_on(plain.call_async(store, 0)).0.unwrap(), 0);
    });
}

#[test]
fn a_call_goes_on_on_another_thread() {
    for engine in engines(|_| ()) {
        let (mut store, instance) = instance(&engine);
        let fault = func(&mut store, instance, "fault");
        let sum = func(&mut store, instance, "sum");
        let mut call = sum.call_async(&mut store, 4);
        for _ in 0..6 {
            let polled = std::thread::scope(|scope| {
                let call = &mut call;
                scope.spawn(move || poll_once(call).is_ready()).join().unwrap()
            });
            assert!(!polled);
        }
        assert_eq!(block_on(call).0.unwrap(), 10);
        // A fault is found on whatever thread it happens.
        let mut call = fault.call_async(&mut store, 1);
        assert!(poll_once(&mut call).is_pending());
        let trap = std::thread::scope(|scope| {
            let call = &mut call;
            scope
                .spawn(move || match poll_once(call) {
                    Poll::Ready(Err(error)) => error.trap(),
                    other => panic!("{other:?}"),
                })
                .join()
                .unwrap()
        });
        assert_eq!(trap, Some(Trap::MemoryOutOfBounds));
    }
}

#[test]
fn a_call_that_is_forgotten_takes_nothing_else_with_it() {
    for engine in engines(|_| ()) {
        let (mut store, instance) = instance(&engine);
        let sum = func(&mut store, instance, "sum");
        let mut call = sum.call_async(&mut store, 4);
        assert!(poll_once(&mut call).is_pending());
        std::mem::forget(call);
        assert_eq!(block_on(sum.call_async(&mut store, 3)).0.unwrap(), 6);
        assert_eq!(func(&mut store, instance, "count").call(&mut store, 7).unwrap(), 7);
    }
}

#[test]
fn a_guest_may_wait_inside_its_continuations() {
    let wat = r#"(module
        (type $f (func)) (type $k (cont $f))
        (import "host" "wait" (func $wait (param i32) (result i32)))
        (tag $yield (param i32))
        (elem declare func $gen)
        (func $gen (local $i i32)
            (loop $l
                (local.set $i (call $wait (local.get $i)))
                (suspend $yield (local.get $i))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 4)))))
        (func (export "main") (param i32) (result i32) (local $sum i32) (local $k (ref null $k)) (local $v i32)
            (local.set $k (cont.new $k (ref.func $gen)))
            (loop $l
                (block $on (result i32 (ref $k))
                    (resume $k (on $yield $on) (local.get $k))
                    (return (local.get $sum)))
                (local.set $k)
                (local.set $v)
                (local.set $sum (i32.add (local.get $sum) (local.get $v)))
                (br $l))
            (unreachable)))"#;
    for engine in engines(|config| config.features.stack_switching = true) {
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, Data::default());
        let instance = linker().instantiate(&mut store, &module).unwrap();
        let main = func(&mut store, instance, "main");
        for polls in 0..9 {
            let mut call = main.call_async(&mut store, 0);
            for _ in 0..polls {
                if poll_once(&mut call).is_ready() {
                    break;
                }
            }
            drop(call);
        }
        let (sum, polls) = block_on(main.call_async(&mut store, 0));
        assert_eq!((sum.unwrap(), polls), (10, 7));
        store.collect();
        assert_eq!(store.gc_stats().continuations, 0);
        drop(store);
        assert_eq!(engine.gc_bytes(), 0);
    }
}

#[test]
fn objects_on_the_stack_of_a_call_that_waits_stay_while_others_collect() {
    let wat = r#"(module
        (type $cell (struct (field (mut i32))))
        (import "host" "enter" (func $enter (param i32) (result i32)))
        (func (export "inner") (param $n i32) (result i32) (local $i i32) (local $cell (ref null $cell))
            (loop $l
                (local.set $cell (struct.new $cell (local.get $i)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 50))))
            (struct.get $cell 0 (local.get $cell)))
        (func (export "main") (param i32) (result i32)
            (call $add (struct.new $cell (i32.const 1000)) (call $enter (i32.const 0))))
        (func $add (param (ref $cell)) (param i32) (result i32)
            (i32.add (struct.get $cell 0 (local.get 0)) (local.get 1))))"#;
    for engine in engines(|config| config.gc_stress = true) {
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, Data::default());
        let instance = linker().instantiate(&mut store, &module).unwrap();
        let main = func(&mut store, instance, "main");
        assert_eq!(block_on(main.call_async(&mut store, 0)).0.unwrap(), 1049);
    }
}

#[test]
fn a_start_function_may_wait() {
    let wat = r#"(module
        (import "host" "wait" (func $wait (param i32) (result i32)))
        (global $n (mut i32) (i32.const 0))
        (func $start (global.set $n (call $wait (i32.const 2))))
        (start $start)
        (func (export "n") (param i32) (result i32) (global.get $n)))"#;
    for engine in engines(|_| ()) {
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, Data::default());
        let pre = linker().instantiate_pre(&module).unwrap();
        assert_eq!(pre.instantiate(&mut store).unwrap_err().kind(), ErrorKind::Usage);
        let (instance, polls) = block_on(pre.instantiate_async(&mut store));
        let instance = instance.unwrap();
        assert_eq!(polls, 3);
        assert_eq!(func(&mut store, instance, "n").call(&mut store, 0).unwrap(), 3);
    }
}

#[test]
fn many_calls_dropped_and_finished_leave_nothing() {
    each(|store, instance| {
        let sum = func(store, instance, "sum");
        for n in 0..500 {
            let mut call = sum.call_async(store, 3);
            for _ in 0..n % 6 {
                if poll_once(&mut call).is_ready() {
                    break;
                }
            }
        }
    });
}
