//! Whatever numbers a guest passes, in whatever order: an error code, a trap or an exit, and the host goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, iter};

use mini_wasm_runtime::{ErrorKind, Trap};
use mini_wasm_wasi::Wasi;
use mini_wasm_wasi::preview1::{Errno, FUNCTIONS};
use proptest::prelude::*;

use crate::guest::{Guest, PATH};
use crate::sandbox::Sandbox;

/// Numbers at which something begins or ends: of descriptors, addresses, lengths, flags and of the memory.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..8_u64,
        3 => prop::sample::select(vec![0x100, 0x1000, 0x8000, 0x1_fff8, 0x1_ffff, 0x2_0000, 0x2_0001]),
        2 => prop::sample::select(vec![0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff, 1 << 40, u64::MAX, 1 << 63]),
        1 => any::<u64>(),
    ]
}

fn calls() -> impl Strategy<Value = Vec<(usize, Vec<u64>)>> {
    prop::collection::vec((0..FUNCTIONS.len(), prop::collection::vec(number(), 9)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_calls_ends_the_host(calls in calls()) {
        let sandbox = Sandbox::new();
        fs::write(sandbox.inside("f"), "content").unwrap();
        let mut builder = Wasi::builder();
        builder.preopen(sandbox.inside(""), "/", false).unwrap();
        let mut guest = Guest::of(builder.build());
        guest.store.data_mut().deadline(Arc::new(Instant::now() + Duration::from_millis(200)));
        // Something to find wherever an address points.
        guest.write(PATH, b"f\0../outside/canary");
        guest.write(0x8000, &iter::repeat_n([0, 0x80, 0, 0, 16, 0, 0, 0], 64).flatten().collect::<Vec<u8>>());
        for (function, args) in calls {
            let function = FUNCTIONS[function];
            match guest.raw(function.name, &args[..function.params.len()]) {
                Ok(Some(errno)) => prop_assert!((errno as usize) < Errno::ALL.len()),
                Ok(None) => prop_assert!(false, "{} returned", function.name),
                Err(error) => match error.kind() {
                    ErrorKind::Exit(_) => prop_assert_eq!(function.name, "proc_exit"),
                    ErrorKind::Trap(Trap::Interrupted) => break,
                    kind => {
                        prop_assert_eq!(kind, ErrorKind::Trap(Trap::HostFunction));
                        prop_assert_eq!(function.name, "proc_raise");
                    }
                },
            }
        }
        sandbox.check_canary();
    }
}

#[test]
fn an_address_at_the_edge_of_memory_is_a_fault_in_every_function() {
    // Two pages of memory.
    const END: u64 = 0x2_0000;
    let mut guest = Guest::of(Wasi::builder().arg("prog").env("K", "V").build());
    let u32_max = u64::from(u32::MAX);
    for at in [END, END - 1, u32_max, u32_max - 3] {
        for (name, args) in [
            ("args_get", vec![at, 0]),
            ("args_get", vec![0, at]),
            ("args_sizes_get", vec![at, 0]),
            ("args_sizes_get", vec![0, at]),
            ("environ_get", vec![at, 0]),
            ("environ_sizes_get", vec![0, at]),
            ("clock_time_get", vec![0, 0, at]),
            ("clock_res_get", vec![0, at]),
            ("fd_fdstat_get", vec![0, at]),
            ("fd_filestat_get", vec![0, at]),
            ("fd_read", vec![0, at, 1, 0]),
            ("fd_read", vec![0, 0, 0, at]),
            ("fd_write", vec![1, at, 1, 0]),
            ("fd_write", vec![1, 0, 0, at]),
            ("poll_oneoff", vec![at, 0, 1, 0]),
            ("poll_oneoff", vec![0, at, 1, 0]),
            ("poll_oneoff", vec![0, 0, 1, at]),
            ("random_get", vec![at, 4]),
        ] {
            assert_eq!(guest.call(name, &args), Errno::Fault, "{name} {args:?}");
        }
    }
}
