//! A host and a guest of one world: the guest is written by hand, so that every number that crosses is known.

use mini_wasm_runtime::component::abi::{Borrow, ComponentType as _, Own};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Result, Store};
use std::collections::BTreeMap;

mini_wasm_bindgen::bindgen!({
    inline: "
        package my:shop@1.2.0;

        /// Bytes by key.
        interface buckets {
            variant error { no-such-key, other(string) }
            resource bucket {
                constructor(name: string);
                get: func(key: string) -> result<list<u8>, error>;
                set: func(key: string, value: list<u8>);
                count: static func() -> u32;
            }
        }

        interface plugin {
            use buckets.{bucket};
            record report { name: string, %type: u32 }
            /// Reads and writes.
            run: func(%with: borrow<bucket>, key: string) -> u32;
            make: func() -> bucket;
            length: func(of: report) -> u32;
        }

        world plug {
            enum level { info, warn }
            import log: func(level: level, text: string);
            import buckets;
            export plugin;
            export sum: func(numbers: list<u32>, store: u32) -> u64;
        }
    ",
    with: { "my:shop/buckets/bucket": Bucket },
    additional_derives: [Eq, Debug],
});

use my::shop::buckets;

/// What the host keeps for a bucket.
#[derive(Debug, Default)]
pub struct Bucket {
    name: String,
    entries: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
struct Host {
    buckets: Vec<Option<Bucket>>,
    log: Vec<(Level, String)>,
}

impl Host {
    fn push(&mut self, bucket: Bucket) -> Own<Bucket> {
        self.buckets.push(Some(bucket));
        Own::new(self.buckets.len() as u32 - 1)
    }

    fn bucket(&mut self, handle: Borrow<Bucket>) -> &mut Bucket {
        self.buckets[handle.rep() as usize].as_mut().expect("the runtime checks handles")
    }
}

impl PlugImports for Host {
    fn log(&mut self, level: Level, text: String) {
        self.log.push((level, text));
    }
}

impl buckets::Host for Host {}

impl buckets::HostBucket for Host {
    fn constructor(&mut self, name: String) -> Own<Bucket> {
        self.push(Bucket { name, ..Bucket::default() })
    }

    fn get(&mut self, self_: Borrow<Bucket>, key: String) -> std::result::Result<Vec<u8>, buckets::Error> {
        self.bucket(self_).entries.get(&key).cloned().ok_or(buckets::Error::NoSuchKey)
    }

    fn set(&mut self, self_: Borrow<Bucket>, key: String, value: Vec<u8>) {
        self.bucket(self_).entries.insert(key, value);
    }

    fn count(&mut self) -> u32 {
        self.buckets.iter().flatten().count() as u32
    }

    fn drop(&mut self, resource: Own<Bucket>) -> Result<()> {
        self.buckets[resource.rep() as usize] = None;
        Ok(())
    }
}

/// `run` stores the key under itself, logs it, reads it back, drops the borrow; `make` makes a bucket called "new".
const GUEST: &str = r#"(component
    (import "my:shop/buckets@1.2.0" (instance $buckets
        (export "bucket" (type $bucket (sub resource)))
        (type $error' (variant (case "no-such-key") (case "other" string)))
        (export "error" (type $error (eq $error')))
        (export "[constructor]bucket" (func (param "name" string) (result (own $bucket))))
        (export "[method]bucket.get" (func (param "self" (borrow $bucket)) (param "key" string)
            (result (result (list u8) (error $error)))))
        (export "[method]bucket.set" (func (param "self" (borrow $bucket)) (param "key" string) (param "value" (list u8))))
        (export "[static]bucket.count" (func (result u32)))))
    (type $level' (enum "info" "warn"))
    (import "level" (type $level (eq $level')))
    (import "log" (func $log (param "level" $level) (param "text" string)))
    (alias export $buckets "bucket" (type $bucket))
    (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $m (instantiate $memory))
    (core func $make (canon lower (func $buckets "[constructor]bucket") (memory (core memory $m "memory"))))
    (core func $get (canon lower (func $buckets "[method]bucket.get") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (core func $set (canon lower (func $buckets "[method]bucket.set") (memory (core memory $m "memory"))))
    (core func $count (canon lower (func $buckets "[static]bucket.count")))
    (core func $log' (canon lower (func $log) (memory (core memory $m "memory"))))
    (core func $drop (canon resource.drop $bucket))
    (core module $code
        (import "m" "memory" (memory 1))
        (import "h" "make" (func $make (param i32 i32) (result i32)))
        (import "h" "get" (func $get (param i32 i32 i32 i32)))
        (import "h" "set" (func $set (param i32 i32 i32 i32 i32)))
        (import "h" "count" (func $count (result i32)))
        (import "h" "log" (func $log (param i32 i32 i32)))
        (import "h" "drop" (func $drop (param i32)))
        (data (i32.const 0) "new")
        (func (export "run") (param $bucket i32) (param $at i32) (param $length i32) (result i32)
            (call $set (local.get $bucket) (local.get $at) (local.get $length) (local.get $at) (local.get $length))
            (call $log (i32.const 1) (local.get $at) (local.get $length))
            (call $get (local.get $bucket) (local.get $at) (local.get $length) (i32.const 16))
            (call $drop (local.get $bucket))
            ;; 100 for an error, else the length of the value; 1000 for each bucket that the host has.
            (i32.add
                (if (result i32) (i32.load8_u (i32.const 16)) (then (i32.const 100)) (else (i32.load (i32.const 24))))
                (i32.mul (call $count) (i32.const 1000))))
        (func (export "make") (result i32) (call $make (i32.const 0) (i32.const 3)))
        (func (export "length") (param i32 i32 i32) (result i32) (i32.add (local.get 1) (local.get 2)))
        (func (export "sum") (param $at i32) (param $length i32) (param $more i32) (result i64)
            (local $sum i64)
            (local.set $sum (i64.extend_i32_u (local.get $more)))
            (block $done (loop $next
                (br_if $done (i32.eqz (local.get $length)))
                (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                (br $next)))
            (local.get $sum)))
    (core instance $i (instantiate $code (with "m" (instance $m)) (with "h" (instance
        (export "make" (func $make)) (export "get" (func $get)) (export "set" (func $set))
        (export "count" (func $count)) (export "log" (func $log')) (export "drop" (func $drop))))))
    (func $run (param "with" (borrow $bucket)) (param "key" string) (result u32)
        (canon lift (core func $i "run") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (func $make' (result (own $bucket)) (canon lift (core func $i "make")))
    (type $report' (record (field "name" string) (field "type" u32)))
    (component $plugin
        (import "bucket" (type $bucket (sub resource)))
        (type $report (record (field "name" string) (field "type" u32)))
        (import "report" (type $report' (eq $report)))
        (import "run" (func $run (param "with" (borrow $bucket)) (param "key" string) (result u32)))
        (import "make" (func $make (result (own $bucket))))
        (import "length" (func $length (param "of" $report') (result u32)))
        (export "bucket" (type $bucket))
        (export $named "report" (type $report'))
        (export "run" (func $run))
        (export "make" (func $make))
        (export "length" (func $length) (func (param "of" $named) (result u32))))
    (func $length (param "of" $report') (result u32)
        (canon lift (core func $i "length") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (instance $plugin-instance (instantiate $plugin
        (with "bucket" (type $bucket)) (with "report" (type $report'))
        (with "run" (func $run)) (with "make" (func $make')) (with "length" (func $length))))
    (export "my:shop/plugin@1.2.0" (instance $plugin-instance))
    (func (export "sum") (param "numbers" (list u32)) (param "store" u32) (result u64)
        (canon lift (core func $i "sum") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))"#;

fn plug() -> (Store<Host>, Plug) {
    let engine = Engine::new(Config::default());
    let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    Plug::add_to_linker(&mut linker, |host: &mut Host| host).unwrap();
    let mut store = Store::new(&engine, Host::default());
    let plug = Plug::instantiate(&mut store, &component, &linker).unwrap();
    (store, plug)
}

#[test]
fn a_guest_uses_a_resource_of_the_host_and_what_the_world_imports() {
    let (mut store, plug) = plug();
    let bucket = store.data_mut().push(Bucket::default());
    let answer = plug.my_shop_plugin().call_run(&mut store, bucket.borrow(), "a key").unwrap();
    assert_eq!(answer, 1005);
    let host = store.data_mut();
    assert_eq!(host.log, [(Level::Warn, String::from("a key"))]);
    assert_eq!(host.bucket(bucket.borrow()).entries["a key"], b"a key");
}

#[test]
fn what_a_guest_makes_by_the_host_and_gives_back_is_the_hosts() {
    let (mut store, plug) = plug();
    let bucket = plug.my_shop_plugin().call_make(&mut store).unwrap();
    assert_eq!(store.data_mut().bucket(bucket.borrow()).name, "new");
}

#[test]
fn parameters_are_lent() {
    let (mut store, plug) = plug();
    assert_eq!(plug.call_sum(&mut store, &[1, 2, u32::MAX], 4).unwrap(), 6 + u64::from(u32::MAX) + 1);
    let report = exports::my::shop::plugin::Report { name: String::from("seven"), type_: 2 };
    assert_eq!(plug.my_shop_plugin().call_length(&mut store, &report).unwrap(), 7);
    assert_eq!(report.clone(), report, "it is still there, and Eq was asked for");
}

#[test]
fn types_and_errors_are_what_wit_says() {
    assert_eq!(format!("{:?}", Level::val_type().unwrap()), "enum { info, warn }");
    let error: Box<dyn std::error::Error> = Box::new(buckets::Error::Other(String::from("x")));
    assert_eq!(error.to_string(), "Other(\"x\")");
}

#[test]
fn an_instance_without_the_exports_is_refused_with_what_it_has() {
    let engine = Engine::new(Config::default());
    let component = Component::new(&engine, wat::parse_str("(component)").unwrap()).unwrap();
    let mut store = Store::new(&engine, Host::default());
    let error = Plug::instantiate(&mut store, &component, &Linker::new(&engine)).unwrap_err();
    assert!(error.to_string().contains("does not export `my:shop/plugin@1.2.0`"), "{error}");
}
