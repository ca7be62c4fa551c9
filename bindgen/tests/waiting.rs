//! A host whose functions wait: `async: true`.

use mini_wasm_runtime::component::abi::{Borrow, Own};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::{Config, Engine, Result, Store};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

mini_wasm_bindgen::bindgen!({
    inline: "
        package my:shop@1.2.0;

        interface store {
            resource bucket {
                constructor(name: string);
                size: func() -> u32;
            }
            price: func(of: string) -> u64;
        }

        world till {
            import store;
            import tick: func();
            export total: func(name: string, times: u32) -> u64;
        }
    ",
    async: true,
    with: { "my:shop/store/bucket": Bucket },
});

use my::shop::store;

/// A name.
pub struct Bucket;

/// Ready at the second poll.
struct Once(bool);
impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[derive(Default)]
struct Host {
    buckets: Vec<String>,
    ticks: u32,
}

impl TillImports for Host {
    async fn tick(&mut self) {
        Once(false).await;
        self.ticks += 1;
    }
}

impl store::Host for Host {
    async fn price(&mut self, of: String) -> u64 {
        Once(false).await;
        of.len() as u64 * 100
    }
}

impl store::HostBucket for Host {
    async fn constructor(&mut self, name: String) -> Own<Bucket> {
        self.buckets.push(name);
        Own::new(self.buckets.len() as u32 - 1)
    }

    async fn size(&mut self, self_: Borrow<Bucket>) -> u32 {
        Once(false).await;
        self.buckets[self_.rep() as usize].len() as u32
    }

    async fn drop(&mut self, resource: Own<Bucket>) -> Result<()> {
        Once(false).await;
        self.buckets[resource.rep() as usize].clear();
        Ok(())
    }
}

/// `total(name, times)`: the price of the name and the size of a bucket of that name, so many times.
const GUEST: &str = r#"(component
    (import "my:shop/store@1.2.0" (instance $store
        (export "bucket" (type $bucket (sub resource)))
        (export "[constructor]bucket" (func (param "name" string) (result (own $bucket))))
        (export "[method]bucket.size" (func (param "self" (borrow $bucket)) (result u32)))
        (export "price" (func (param "of" string) (result u64)))))
    (import "tick" (func $tick))
    (alias export $store "bucket" (type $bucket))
    (core module $libc
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (core func $make (canon lower (func $store "[constructor]bucket") (memory (core memory $libc "memory"))))
    (core func $size (canon lower (func $store "[method]bucket.size")))
    (core func $price (canon lower (func $store "price") (memory (core memory $libc "memory"))))
    (core func $tick (canon lower (func $tick)))
    (core func $drop (canon resource.drop $bucket))
    (core module $m
        (import "" "make" (func $make (param i32 i32) (result i32)))
        (import "" "size" (func $size (param i32) (result i32)))
        (import "" "price" (func $price (param i32 i32) (result i64)))
        (import "" "tick" (func $tick))
        (import "" "drop" (func $drop (param i32)))
        (func $start (call $tick))
        (start $start)
        (func (export "total") (param $at i32) (param $len i32) (param $times i32) (result i64)
            (local $sum i64) (local $bucket i32)
            (loop $l
                (local.set $bucket (call $make (local.get $at) (local.get $len)))
                (local.set $sum (i64.add (local.get $sum)
                    (i64.add (call $price (local.get $at) (local.get $len))
                        (i64.extend_i32_u (call $size (local.get $bucket))))))
                (call $drop (local.get $bucket))
                (br_if $l (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
            (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
        (export "make" (func $make)) (export "size" (func $size)) (export "price" (func $price))
        (export "tick" (func $tick)) (export "drop" (func $drop))))))
    (func (export "total") (param "name" string) (param "times" u32) (result u64)
        (canon lift (core func $i "total") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))"#;

fn block_on<F: Future + Send>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return (output, polls);
        }
    }
    unreachable!("the future is never ready")
}

#[test]
fn a_world_whose_host_waits() -> Result<()> {
    let engine = Engine::new(Config::default());
    let component = Component::new(&engine, wat::parse_str(GUEST).unwrap())?;
    let mut linker = Linker::<Host>::new(&engine);
    Till::add_to_linker(&mut linker, |host| host)?;
    let mut store = Store::new(&engine, Host::default());
    let (till, polls) = block_on(Till::instantiate(&mut store, &component, &linker));
    let till = till?;
    assert_eq!((polls, store.data().ticks), (2, 1), "its start function waits");
    let (total, polls) = block_on(till.call_total(&mut store, "four", 3));
    assert_eq!((total?, polls), (3 * 404, 1 + 3 * 3));
    assert_eq!(store.data().buckets, ["", "", ""]);
    Ok(())
}
