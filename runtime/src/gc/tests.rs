//! The heap against a model: what is reachable stays as it is, everything else goes.

use super::object::{is_object, object, reference};
use super::*;
use crate::store::{AsStoreMut, Store, StoreLimits};
use crate::{Config, Engine};
use alloc::collections::{BTreeMap, BTreeSet};
use proptest::prelude::*;

const PAIR_REFS: [u32; 2] = [16, 24];

/// Two references.
static PAIR: Shape = Shape {
    kind: Kind::Struct,
    size: 32,
    element_size: 0,
    element_ref: 0,
    ref_count: 2,
    refs: PAIR_REFS.as_ptr(),
};
/// A number.
static BOX: Shape = leaf(Kind::Struct, 24, 0);
static EMPTY: Shape = leaf(Kind::Struct, 16, 0);
static BYTES: Shape = leaf(Kind::Array, 16, 1);
static REFS: Shape = Shape {
    kind: Kind::Array,
    size: 16,
    element_size: 8,
    element_ref: 1,
    ref_count: 0,
    refs: core::ptr::dangling(),
};

const fn leaf(kind: Kind, size: u32, element_size: u32) -> Shape {
    Shape { kind, size, element_size, element_ref: 0, ref_count: 0, refs: core::ptr::dangling() }
}

fn make(store: &mut Store<()>, shape: &'static Shape, len: u32) -> NonNull<GcHeader> {
    // SAFETY: the shape is static.
    unsafe { alloc(store.as_store_mut(), shape, len) }.expect("there is room")
}

fn field(object: NonNull<GcHeader>, i: usize) -> *mut u64 {
    object.as_ptr().wrapping_byte_add(FIELDS as usize + 8 * i).cast()
}

fn set(object: NonNull<GcHeader>, i: usize, value: u64) {
    // SAFETY: the tests know the object's shape and that it lives.
    unsafe { *field(object, i) = value }
}

fn read(object: NonNull<GcHeader>, i: usize) -> u64 {
    // SAFETY: as above.
    unsafe { *field(object, i) }
}

fn store(config: Config) -> (Engine, Store<()>) {
    let engine = Engine::new(config);
    let store = Store::new(&engine, ());
    (engine, store)
}

fn stress() -> Config {
    Config { gc_stress: true, ..Config::default() }
}

fn root(store: &mut Store<()>, object: NonNull<GcHeader>) -> Rooted {
    Rooted::new(store.as_store_mut(), object)
}

fn collect(store: &mut Store<()>) -> GcStats {
    store.as_store_mut().collect_garbage();
    store.as_store_mut().gc_stats()
}

#[test]
fn a_handle_keeps_its_object_and_all_that_it_reaches() {
    let (_, mut store) = store(stress());
    let pair = make(&mut store, &PAIR, 0);
    let handle = root(&mut store, pair);
    let left = make(&mut store, &BOX, 0);
    set(left, 0, 42);
    set(pair, 0, reference(left));
    set(pair, 1, reference(pair));
    assert_eq!(collect(&mut store).objects, 2);
    let pair = handle.object(store.as_store_mut()).expect("its own store");
    assert_eq!(read(object(read(pair, 0)).expect("an object"), 0), 42);
    let other = handle.clone();
    drop(handle);
    let stats = collect(&mut store);
    assert_eq!((stats.objects, stats.handles), (2, 1));
    drop(other);
    let stats = collect(&mut store);
    assert_eq!((stats.objects, stats.handles, stats.bytes), (0, 0, 0));
}

#[test]
fn numbers_among_references_are_no_objects() {
    let (_, mut store) = store(stress());
    let pair = make(&mut store, &PAIR, 0);
    let _handle = root(&mut store, pair);
    for word in [0, 1, u64::MAX, (7 << 3) | 2, 0xffff_ffff, 16, 1 << 47, u64::MAX - 15] {
        set(pair, 0, word);
        set(pair, 1, !word);
        assert_eq!(collect(&mut store).objects, 1);
        assert_eq!((read(pair, 0), read(pair, 1)), (word, !word));
    }
    assert!(!is_object(0) && !is_object(3) && !is_object(10));
}

#[test]
fn functions_among_references_are_left_alone() {
    let (_, mut store) = store(stress());
    let pair = make(&mut store, &PAIR, 0);
    let _handle = root(&mut store, pair);
    let foreign = alloc::boxed::Box::new([0u64; 8]);
    set(pair, 0, foreign.as_ptr().addr() as u64);
    assert_eq!(collect(&mut store).objects, 1);
    assert_eq!(*foreign, [0; 8]);
}

#[test]
fn a_handle_is_useless_with_another_store() {
    let (engine, mut one) = store(Config::default());
    let mut two = Store::new(&engine, ());
    let object = make(&mut one, &BOX, 0);
    let handle = root(&mut one, object);
    assert!(handle.reference(one.as_store_mut()).is_ok());
    let error = handle.reference(two.as_store_mut()).expect_err("another store's");
    assert_eq!(error.kind(), crate::ErrorKind::Usage);
    assert!(handle.object(two.as_store_mut()).is_err());
    // Nor does collecting the one concern the other.
    let lonely = make(&mut two, &PAIR, 0);
    let _kept = root(&mut two, lonely);
    set(lonely, 0, reference(object));
    assert_eq!(collect(&mut two).objects, 1);
    assert_eq!(collect(&mut one).objects, 1);
}

#[test]
fn a_list_of_a_million_is_marked_without_recursion() {
    let (_, mut store) = store(Config::default());
    let first = make(&mut store, &PAIR, 0);
    let _handle = root(&mut store, first);
    let n = if cfg!(miri) { 1000 } else { 1_000_000 };
    let mut last = first;
    for _ in 1..n {
        let next = make(&mut store, &PAIR, 0);
        set(last, 1, reference(next));
        last = next;
    }
    assert_eq!(collect(&mut store).objects, n);
    // The same with the link in the other field, from the other end: each new object is the root.
    let mut head = root(&mut store, last);
    for _ in 0..n {
        let next = make(&mut store, &PAIR, 0);
        set(next, 0, head.reference(store.as_store_mut()).expect("its own store"));
        head = root(&mut store, next);
    }
    assert_eq!(collect(&mut store).objects, 2 * n);
}

#[test]
fn wide_arrays_are_marked_without_memory() {
    let (_, mut store) = store(Config::default());
    let n = if cfg!(miri) { 100 } else { 300_000 };
    let array = make(&mut store, &REFS, n);
    let _handle = root(&mut store, array);
    for i in 0..n {
        let inner = make(&mut store, &REFS, 1);
        set(array, i as usize, reference(inner));
        set(inner, 0, reference(array));
    }
    assert_eq!(collect(&mut store).objects, u64::from(n) + 1);
}

#[test]
fn every_address_inside_an_object_keeps_it() {
    let (_, mut store) = store(Config::default());
    for len in [0, 1, 100, 5000, 70_000, 1 << 20] {
        let array = make(&mut store, &BYTES, len);
        for offset in [0, 1, 8, 15, 16, 15 + len as usize].into_iter().filter(|&o| o < 16 + len as usize) {
            let heap = &mut store.as_store_mut().gc;
            heap.scratch.push(0);
            let mut marker = Marker::new(&mut heap.space);
            marker.word((array.as_ptr().addr() + offset) as u64);
            assert!(marker.is_marked(array), "{len} {offset}");
            let live = heap.space.sweep(false);
            assert!(live >= 16 + u64::from(len));
            assert_eq!(heap.space.objects, 1);
        }
        let heap = &mut store.as_store_mut().gc;
        let mut marker = Marker::new(&mut heap.space);
        marker.word(array.as_ptr().addr() as u64 - 1);
        marker.word((array.as_ptr().addr() + (16 + len as usize).next_multiple_of(4096).max(16384)) as u64);
        assert!(!marker.is_marked(array));
        heap.space.sweep(true);
        assert_eq!(heap.space.objects, 0);
    }
}

#[test]
fn what_is_kept_in_scratch_lives() {
    let (_, mut store) = store(stress());
    let object = make(&mut store, &BOX, 0);
    set(object, 0, 7);
    let inner = store.as_store_mut();
    inner.gc.scratch.push(reference(object));
    inner.collect_garbage();
    assert_eq!((inner.gc_stats().objects, read(object, 0)), (1, 7));
    inner.gc.scratch.clear();
    inner.collect_garbage();
    assert_eq!(inner.gc_stats().objects, 0);
}

#[test]
fn the_limit_is_a_trap_and_never_more_memory() {
    let (engine, mut store) = store(Config::default());
    let limit = 8 << 20;
    store.set_limits(StoreLimits { gc_heap_bytes: limit, ..StoreLimits::default() });
    // A loop that keeps everything.
    let first = make(&mut store, &PAIR, 0);
    let handle = root(&mut store, first);
    let mut last = first;
    let trap = loop {
        // SAFETY: the shape is static.
        match unsafe { alloc(store.as_store_mut(), &PAIR, 0) } {
            Ok(next) => {
                set(last, 0, reference(next));
                last = next;
            }
            Err(trap) => break trap,
        }
    };
    assert_eq!(trap, Trap::GcHeapOutOfMemory);
    let stats = store.as_store_mut().gc_stats();
    assert!(stats.bytes <= limit && stats.bytes > limit - (1 << 17), "{stats:?}");
    assert!(stats.collections < 40, "{stats:?}");
    assert!(engine.gc_bytes() as u64 <= limit + (1 << 20));
    // A single object beyond it, and beyond the address space.
    for len in [8 << 20, u32::MAX] {
        // SAFETY: the shape is static.
        assert_eq!(unsafe { alloc(store.as_store_mut(), &REFS, len) }, Err(Trap::GcHeapOutOfMemory));
    }
    // When the guest lets go there is room again.
    drop(handle);
    for _ in 0..1000 {
        make(&mut store, &REFS, 1000);
    }
    // One object of each size in each block: blocks count, whatever is in them.
    for len in 0..10_000 {
        make(&mut store, &BYTES, len);
    }
    assert!(store.as_store_mut().gc_stats().bytes <= limit);
}

#[test]
fn garbage_alone_needs_no_more_than_a_few_megabytes() {
    let (engine, mut store) = store(Config::default());
    for i in 0..if cfg!(miri) { 100 } else { 2_000_000 } {
        make(&mut store, &PAIR, 0);
        make(&mut store, &BYTES, i % 3000);
    }
    assert!(engine.gc_bytes() < 32 << 20, "{}", engine.gc_bytes());
    assert!(cfg!(miri) || store.as_store_mut().gc_stats().collections > 10);
}

#[test]
fn nothing_is_left_of_a_store_that_is_gone() {
    let (engine, mut store) = store(Config::default());
    let mut handles = alloc::vec::Vec::new();
    for i in 0..1000 {
        let (a, b) = (make(&mut store, &PAIR, 0), make(&mut store, &REFS, 10 * i));
        set(a, 0, reference(b));
        if i > 0 {
            set(b, 0, reference(a));
        }
        handles.push(root(&mut store, a));
    }
    assert!(engine.gc_bytes() > 0);
    assert_eq!(store.as_store_mut().gc_stats().handles, 1000);
    drop(store);
    assert_eq!(engine.gc_bytes(), 0);
    // Handles may go after their store.
    drop(handles);
}

#[test]
fn handles_that_were_dropped_do_not_pile_up() {
    let (_, mut store) = store(Config::default());
    let object = make(&mut store, &EMPTY, 0);
    let kept = root(&mut store, object);
    for _ in 0..100_000 {
        drop(root(&mut store, object));
    }
    assert!(store.as_store_mut().gc.roots.addresses().count() < 200);
    assert_eq!(store.as_store_mut().gc_stats().handles, 1);
    assert_eq!(kept.object(store.as_store_mut()).expect("its own store"), object);
}

/// What a random program does.
#[derive(Clone, Debug)]
enum Step {
    /// Makes an object of a kind and length and roots it.
    Make(u8, u32),
    /// Writes a reference to one rooted object into a field of another.
    Link(usize, usize, usize),
    /// Cuts a field.
    Cut(usize, usize),
    /// Roots what a field refers to.
    Follow(usize, usize),
    /// Lets a root go.
    Drop(usize),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0usize..64;
    prop_oneof![
        4 => (0u8..5, prop_oneof![0u32..20, 900u32..1200, 8000u32..70_000]).prop_map(|(k, n)| Step::Make(k, n)),
        6 => (any.clone(), any.clone(), any.clone()).prop_map(|(a, b, c)| Step::Link(a, b, c)),
        1 => (any.clone(), any.clone()).prop_map(|(a, b)| Step::Cut(a, b)),
        2 => (any.clone(), any.clone()).prop_map(|(a, b)| Step::Follow(a, b)),
        3 => any.prop_map(Step::Drop),
        1 => Just(Step::Collect),
    ]
}

/// An object as the model has it: how many reference fields, what they hold, how long the rest is.
struct Model {
    fields: alloc::vec::Vec<usize>,
    mark: u64,
}

fn reachable(objects: &BTreeMap<usize, Model>, roots: &[(usize, Rooted)]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut waiting: alloc::vec::Vec<usize> = roots.iter().map(|(id, _)| *id).collect();
    while let Some(id) = waiting.pop() {
        if id != 0 && found.insert(id) {
            waiting.extend(&objects[&id].fields);
        }
    }
    found
}

fn run(steps: &[Step], config: Config) {
    let (_, mut store) = store(config);
    let mut objects: BTreeMap<usize, Model> = BTreeMap::new();
    let mut roots: alloc::vec::Vec<(usize, Rooted)> = alloc::vec::Vec::new();
    let shapes = [&PAIR, &BOX, &EMPTY, &BYTES, &REFS];
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Make(kind, len) => {
                let shape = shapes[kind as usize];
                let len = if shape.kind == Kind::Array { len } else { 0 };
                let object = make(&mut store, shape, len);
                let bytes = shape.bytes(len).expect("it is small");
                // Objects are all zero, whoever had the memory before.
                // SAFETY: it is that long.
                let content = unsafe { core::slice::from_raw_parts(object.as_ptr().cast::<u8>(), bytes) };
                assert!(content[16..].iter().all(|&byte| byte == 0));
                let fields = if shape.element_ref != 0 { len } else { shape.ref_count };
                let id = object.as_ptr().addr();
                let mark = n as u64 + 1;
                if core::ptr::eq(shape, &BOX) {
                    set(object, 0, mark);
                } else if core::ptr::eq(shape, &BYTES) && len >= 8 {
                    set(object, (len / 8 - 1) as usize, mark);
                }
                objects.insert(id, Model { fields: alloc::vec![0; fields as usize], mark });
                let handle = root(&mut store, object);
                roots.push((id, handle));
            }
            Step::Link(..) | Step::Cut(..) | Step::Follow(..) | Step::Drop(_) if roots.is_empty() => {}
            Step::Link(from, at, to) => {
                let (from, to) = (roots[from % roots.len()].0, roots[to % roots.len()].0);
                let fields = &mut objects.get_mut(&from).expect("rooted").fields;
                if !fields.is_empty() {
                    let at = at % fields.len();
                    fields[at] = to;
                    set(object(from as u64).expect("an object"), at, to as u64);
                }
            }
            Step::Cut(from, at) => {
                let from = roots[from % roots.len()].0;
                let fields = &mut objects.get_mut(&from).expect("rooted").fields;
                if !fields.is_empty() {
                    let at = at % fields.len();
                    fields[at] = 0;
                    set(object(from as u64).expect("an object"), at, 0);
                }
            }
            Step::Follow(from, at) => {
                let from = roots[from % roots.len()].0;
                let fields = &objects[&from].fields;
                if let Some(&to) = fields.get(at % fields.len().max(1)).filter(|&&to| to != 0) {
                    let handle = root(&mut store, object(to as u64).expect("an object"));
                    roots.push((to, handle));
                }
            }
            Step::Drop(at) => {
                roots.swap_remove(at % roots.len());
            }
            Step::Collect => {
                collect(&mut store);
            }
        }
        if matches!(step, Step::Collect) {
            let alive = reachable(&objects, &roots);
            objects.retain(|id, _| alive.contains(id));
            let mut found = BTreeSet::new();
            store.as_store_mut().gc.space.each_object(|object| {
                found.insert(object.as_ptr().addr());
            });
            assert_eq!(found, alive);
            assert_eq!(store.as_store_mut().gc_stats().objects, alive.len() as u64);
        } else {
            // Addresses of the dead are used again.
            let alive = reachable(&objects, &roots);
            objects.retain(|id, _| alive.contains(id));
        }
        for (&id, model) in &objects {
            let object = object(id as u64).expect("an object");
            for (i, &to) in model.fields.iter().enumerate() {
                assert_eq!(read(object, i), to as u64);
            }
            // SAFETY: it lives.
            let header = unsafe { object.as_ref() };
            if core::ptr::eq(header.shape, &BOX) {
                assert_eq!(read(object, 0), model.mark);
            } else if core::ptr::eq(header.shape, &BYTES) && header.len >= 8 {
                assert_eq!(read(object, (header.len / 8 - 1) as usize), model.mark);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 60 }))]

    #[test]
    fn what_is_reachable_is_what_stays(steps in proptest::collection::vec(step(), 1..200)) {
        run(&steps, Config::default());
    }

    #[test]
    fn collecting_at_every_allocation_changes_nothing(steps in proptest::collection::vec(step(), 1..120)) {
        run(&steps, stress());
    }
}
