//! Shared memories on several threads of the system, in every mode (proposal threads), and what advisories of other engines teach
//! about them.

use mini_wasm_runtime::types::{Limits, MemoryType};
use mini_wasm_runtime::{
    Config, Engine, ErrorKind, Instance, Linker, Memory, Module, SharedMemory, Store, StoreLimits, Trap,
    Woken,
};
use mini_wasm_spec_tests::Mode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PAGE: usize = 65536;

fn shared(engine: &Engine, min: u64, max: u64) -> SharedMemory {
    let limits = Limits { min, max: Some(max) };
    SharedMemory::new(engine, MemoryType { limits, memory64: false, shared: true, page_size_log2: 16 })
        .unwrap()
}

fn each_mode(text: &str, config: &Config, test: impl Fn(Mode, &Engine, &Module)) {
    let wasm = wat::parse_str(text).unwrap();
    for &mode in Mode::ALL {
        let engine = mode.engine(config.clone());
        test(mode, &engine, &mode.module(&engine, &wasm).unwrap());
    }
}

/// An instance in a store of its own that imports the memory.
fn instance(module: &Module, memory: &SharedMemory) -> (Store<()>, Instance) {
    let mut store = Store::new(module.engine(), ());
    let mut linker = Linker::<()>::new();
    linker.define_shared_memory("env", "memory", memory).unwrap();
    let instance = linker.instantiate(&mut store, module).unwrap();
    (store, instance)
}

/// A mutex over wait and notify guards a counter that is counted up by plain accesses.
const MUTEX: &str = r#"(module
  (memory (import "env" "memory") 1 4 shared)
  (func $lock
    (local $state i32)
    (if (i32.eqz (local.tee $state (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 0) (i32.const 1)))) (then (return)))
    (loop $again
      (if (i32.or (i32.eq (local.get $state) (i32.const 2))
                  (i32.ne (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 1) (i32.const 2)) (i32.const 0)))
        (then (drop (memory.atomic.wait32 (i32.const 0) (i32.const 2) (i64.const -1)))))
      (br_if $again (local.tee $state (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 0) (i32.const 2))))))
  (func $unlock
    (if (i32.ne (i32.atomic.rmw.sub (i32.const 0) (i32.const 1)) (i32.const 1))
      (then
        (i32.atomic.store (i32.const 0) (i32.const 0))
        (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))))
  (func (export "count") (param $times i32)
    (loop $more
      (call $lock)
      (i64.store (i32.const 64) (i64.add (i64.load (i32.const 64)) (i64.const 1)))
      (call $unlock)
      (drop (i64.atomic.rmw16.add_u (i32.const 128) (i64.const 1)))
      (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"#;

#[test]
fn a_mutex_of_the_guest_excludes_on_four_threads() {
    const TIMES: i32 = 3000;
    each_mode(MUTEX, &Config::default(), |mode, engine, module| {
        let memory = shared(engine, 1, 4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (mut store, instance) = instance(module, &memory);
                    let count = instance.func(&mut store, "count").unwrap().typed::<i32, ()>(&store).unwrap();
                    count.call(&mut store, TIMES).unwrap();
                });
            }
        });
        let count = memory.atomic_u64(64).unwrap().load(Ordering::SeqCst);
        assert_eq!(u64::from_le(count), 4 * TIMES as u64, "{mode}");
        let mut narrow = [0; 4];
        memory.read(128, &mut narrow).unwrap();
        assert_eq!(
            u32::from_le_bytes(narrow),
            (4 * TIMES as u32) & 0xffff,
            "{mode}: only two bytes are counted in"
        );
        assert_eq!(memory.atomic_u32(0).unwrap().load(Ordering::SeqCst), 0, "{mode}");
    });
}

const WAIT: &str = r#"(module
  (memory (import "env" "memory") 1 4 shared)
  (func (export "wait32") (param i32 i64) (result i32) (memory.atomic.wait32 (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "wait64") (param i32 i64) (result i32) (memory.atomic.wait64 offset=8 (local.get 0) (i64.const 0) (local.get 1)))
  (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1))))"#;

#[test]
fn a_waiting_thread_is_ended_by_the_deadline() {
    each_mode(WAIT, &Config { epoch: true, ..Config::default() }, |mode, engine, module| {
        let memory = shared(engine, 1, 4);
        let (mut store, instance) = instance(module, &memory);
        store.set_epoch_deadline(1);
        let wait = instance.func(&mut store, "wait32").unwrap().typed::<(i32, i64), i32>(&store).unwrap();
        let begun = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(30));
                engine.increment_epoch();
            });
            let error = wait.call(&mut store, (0, -1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Trap(Trap::Interrupted), "{mode}");
        });
        assert!(begun.elapsed() < Duration::from_secs(5), "{mode}");
        // It waits no more: nobody is there to be woken.
        assert_eq!(memory.notify(0, u32::MAX).unwrap(), 0, "{mode}");
    });
}

#[test]
fn waiting_ends_by_another_value_by_time_or_by_notice() {
    each_mode(WAIT, &Config::default(), |mode, engine, module| {
        let memory = shared(engine, 1, 4);
        let (mut store, instance) = instance(module, &memory);
        let mut wait = |name: &str, at, timeout| {
            let wait = instance.func(&mut store, name).unwrap().typed::<(i32, i64), i32>(&store).unwrap();
            wait.call(&mut store, (at, timeout))
        };
        memory.write(16, &[1]).unwrap();
        assert_eq!(wait("wait32", 16, -1).unwrap(), Woken::NotEqual as i32, "{mode}");
        assert_eq!(wait("wait64", 8, -1).unwrap(), Woken::NotEqual as i32, "{mode}");
        assert_eq!(wait("wait32", 0, 0).unwrap(), Woken::TimedOut as i32, "{mode}");
        let begun = Instant::now();
        assert_eq!(wait("wait64", 0, 20_000_000).unwrap(), Woken::TimedOut as i32, "{mode}");
        assert!(begun.elapsed() >= Duration::from_millis(20), "{mode}");
        thread::scope(|scope| {
            let host = memory.clone();
            scope.spawn(move || while host.notify(0, 1).unwrap() == 0 {});
            assert_eq!(wait("wait32", 0, -1).unwrap(), Woken::Notified as i32, "{mode}");
        });
        // Alignment comes before bounds, and both before anything else.
        let trap = |error: mini_wasm_runtime::Error| error.trap().unwrap();
        assert_eq!(trap(wait("wait32", 2, 0).unwrap_err()), Trap::UnalignedAtomic, "{mode}");
        assert_eq!(trap(wait("wait32", -2, 0).unwrap_err()), Trap::UnalignedAtomic, "{mode}");
        assert_eq!(trap(wait("wait32", PAGE as i32, 0).unwrap_err()), Trap::MemoryOutOfBounds, "{mode}");
        assert_eq!(trap(wait("wait64", PAGE as i32 - 8, 0).unwrap_err()), Trap::MemoryOutOfBounds, "{mode}");
        assert_eq!(trap(wait("wait64", -8, 0).unwrap_err()), Trap::MemoryOutOfBounds, "{mode}");
    });
}

#[test]
fn notify_wakes_as_many_as_it_says_and_the_longest_waiting_first() {
    each_mode(WAIT, &Config::default(), |mode, engine, module| {
        let memory = shared(engine, 1, 4);
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut store, instance) = instance(module, &memory);
                        let wait = instance.func(&mut store, "wait32").unwrap();
                        wait.typed::<(i32, i64), i32>(&store).unwrap().call(&mut store, (0, -1)).unwrap()
                    })
                })
                .collect();
            let (mut store, instance) = instance(module, &memory);
            let notify =
                instance.func(&mut store, "notify").unwrap().typed::<(i32, i32), i32>(&store).unwrap();
            assert_eq!(notify.call(&mut store, (4, -1)).unwrap(), 0, "{mode}: another address");
            let mut woken = 0;
            while woken < 3 {
                let some = notify.call(&mut store, (0, 2)).unwrap();
                assert!(some <= 2, "{mode}");
                woken += some;
            }
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == 0), "{mode}");
            assert_eq!(notify.call(&mut store, (0, -1)).unwrap(), 0, "{mode}");
        });
    });
}

/// Reads as far as the size that it has just seen, and whatever is there.
const READER: &str = r#"(module
  (memory (import "env" "memory") 1 64 shared)
  (func (export "last") (result i32) (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "bulk") (param i32)
    (memory.fill (i32.const 0) (local.get 0) (i32.mul (memory.size) (i32.const 65536)))
    (memory.copy (i32.const 3) (i32.const 0) (i32.const 60000)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

#[test]
fn a_memory_grows_while_other_threads_read_it() {
    each_mode(READER, &Config::default(), |mode, engine, module| {
        let memory = shared(engine, 1, 64);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let (mut store, instance) = instance(module, &memory);
                    let last = instance.func(&mut store, "last").unwrap().typed::<(), i32>(&store).unwrap();
                    let bulk = instance.func(&mut store, "bulk").unwrap().typed::<i32, ()>(&store).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        last.call(&mut store, ()).unwrap();
                        bulk.call(&mut store, 7).unwrap();
                    }
                });
            }
            let (mut store, instance) = instance(module, &memory);
            let grow = instance.func(&mut store, "grow").unwrap().typed::<(), i32>(&store).unwrap();
            for pages in 1..40 {
                assert_eq!(grow.call(&mut store, ()).unwrap(), pages, "{mode}");
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(memory.size(), 40, "{mode}");
        // What nobody has granted traps, on every thread and after any growth.
        let (mut store, instance) = instance(module, &memory);
        let load = instance.func(&mut store, "load").unwrap().typed::<i32, i32>(&store).unwrap();
        load.call(&mut store, 40 * PAGE as i32 - 4).unwrap();
        let error = load.call(&mut store, 40 * PAGE as i32 - 3).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds), "{mode}");
        let error = load.call(&mut store, -4).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::MemoryOutOfBounds), "{mode}");
        memory.grow(24).unwrap();
        assert_eq!(memory.grow(1).unwrap_err().kind(), ErrorKind::Exhausted, "{mode}");
        load.call(&mut store, 64 * PAGE as i32 - 4).unwrap();
    });
}

#[test]
fn growth_by_several_threads_gives_each_page_to_one_of_them() {
    each_mode(READER, &Config::default(), |mode, engine, module| {
        let memory = shared(engine, 1, 64);
        let mut olds: Vec<i32> = thread::scope(|scope| {
            let grower = || {
                let (mut store, instance) = instance(module, &memory);
                let grow = instance.func(&mut store, "grow").unwrap().typed::<(), i32>(&store).unwrap();
                (0..20).map(|_| grow.call(&mut store, ()).unwrap()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(grower)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        olds.sort_unstable();
        let granted: Vec<i32> = olds.iter().copied().filter(|&old| old != -1).collect();
        assert_eq!(granted, (1..64).collect::<Vec<_>>(), "{mode}");
        assert_eq!(olds.len() - granted.len(), 80 - 63, "{mode}");
    });
}

#[test]
fn the_bytes_of_a_shared_memory_are_not_lent_as_rust_slices() {
    let engine = Engine::new(Config::default());
    let memory = shared(&engine, 1, 2);
    let mut store = Store::new(&engine, ());
    let handle = memory.memory(&mut store).unwrap();
    assert_eq!(handle.data(&store).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(handle.data_mut(&mut store).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(memory.memory(&mut store).unwrap(), handle, "the same each time");
    handle.shared(&store).unwrap().unwrap().write(5, b"x").unwrap();
    let mut byte = [0];
    memory.read(5, &mut byte).unwrap();
    assert_eq!(&byte, b"x");
    assert_eq!(memory.read(PAGE as u64, &mut byte).unwrap_err().trap(), Some(Trap::MemoryOutOfBounds));
    assert_eq!(memory.write(u64::MAX, b"x").unwrap_err().trap(), Some(Trap::MemoryOutOfBounds));
    assert_eq!(memory.atomic_u32(2).unwrap_err().trap(), Some(Trap::UnalignedAtomic));
    // Nor in a store of another engine, whose layout of memories may be another.
    let other = Engine::new(Config::default());
    assert_eq!(memory.memory(&mut Store::new(&other, ())).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_shared_memory_keeps_to_its_type_and_to_the_stores_limit() {
    let engine = Engine::new(Config::default());
    let ty = |min, max, shared| MemoryType {
        limits: Limits { min, max },
        memory64: false,
        shared,
        page_size_log2: 16,
    };
    for wrong in [ty(1, None, true), ty(1, Some(2), false)] {
        assert_eq!(SharedMemory::new(&engine, wrong).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(SharedMemory::new(&engine, ty(3, Some(2), true)).unwrap_err().kind(), ErrorKind::Invalid);
    // A maximum past all address space: it grows as far as there is some, and then says so.
    let huge = MemoryType { memory64: true, ..ty(0, Some(1 << 48), true) };
    let huge = SharedMemory::new(&engine, huge).unwrap();
    assert_eq!(huge.grow(1).unwrap(), 0);
    assert_eq!(huge.grow(1 << 47).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(huge.size(), 1);

    let mut store = Store::new(&engine, ());
    store.set_limits(StoreLimits { memory_bytes: 3 * PAGE as u64, ..StoreLimits::default() });
    let memory = Memory::new(&mut store, ty(2, Some(10), true)).unwrap();
    assert_eq!(memory.grow(&mut store, 1).unwrap(), 2);
    assert_eq!(memory.grow(&mut store, 1).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(memory.size(&store).unwrap(), 3);
}

#[test]
fn atomics_of_64_bit_memories_check_alignment_then_bounds() {
    let text = r#"(module
      (memory i64 1 1 shared)
      (func (export "add") (param i64) (result i64) (i64.atomic.rmw32.add_u offset=4 (local.get 0) (i64.const 1)))
      (func (export "cas") (param i64) (result i32) (i32.atomic.rmw8.cmpxchg_u (local.get 0) (i32.const 0x100) (i32.const 7))))"#;
    each_mode(text, &Config::default(), |mode, engine, module| {
        let mut store = Store::new(engine, ());
        let instance = Linker::<()>::new().instantiate(&mut store, module).unwrap();
        let add = instance.func(&mut store, "add").unwrap().typed::<i64, i64>(&store).unwrap();
        assert_eq!(add.call(&mut store, 0).unwrap(), 0, "{mode}");
        assert_eq!(add.call(&mut store, 0).unwrap(), 1, "{mode}");
        let mut trap = |at| add.call(&mut store, at).unwrap_err().trap().unwrap();
        assert_eq!(trap(2), Trap::UnalignedAtomic, "{mode}");
        assert_eq!(trap(-1), Trap::UnalignedAtomic, "{mode}");
        assert_eq!(trap(PAGE as i64 - 4), Trap::MemoryOutOfBounds, "{mode}");
        assert_eq!(trap(-4), Trap::MemoryOutOfBounds, "{mode}");
        assert_eq!(trap(1 << 32), Trap::MemoryOutOfBounds, "{mode}");
        // The expected value is wrapped to the access's width.
        let cas = instance.func(&mut store, "cas").unwrap().typed::<i64, i32>(&store).unwrap();
        assert_eq!(cas.call(&mut store, 1).unwrap(), 0, "{mode}");
        assert_eq!(cas.call(&mut store, 1).unwrap(), 7, "{mode}");
    });
}
