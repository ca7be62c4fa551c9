//! Components, end to end: what a `.wat` says is what a call gives. Here on the interpreter, on native code by jit/tests/components.rs
//! and components_reloaded.rs, which read these very files.
//!
//! What went wrong elsewhere, and the tests that would see it here (the rows that concern asynchrony between components are not among
//! them; `canonical-abi/tests/hostile.rs` has the same on a guest made of bytes alone):
//!
//! | what went wrong | tests |
//! |---|---|
//! | CVE-2026-35195, 34942: what `realloc` gives at first, growing, shrinking | `pitfalls::whatever_realloc_gives_for_a_string_is_checked_..`, `pitfalls::the_hosts_own_strings_go_the_same_way`, `hostile::a_hostile_realloc_traps` |
//! | CVE-2026-34941: code units taken for bytes | `pitfalls::a_string_may_end_where_the_memory_ends_and_not_one_unit_later` |
//! | CVE-2026-34943: flag bits without a label | `pitfalls::flag_bits_without_a_label_are_dropped_on_every_way` |
//! | CVE-2025-62711: traps inside the host's own functions | `pitfalls::a_deadline_ends_a_realloc_..`, `resources::a_destructor_that_traps_..`, `hostile::a_panic_in_a_host_function_comes_through`, `exceptions` |
//! | CVE-2026-27204: host memory without bound | `pitfalls::a_quadratic_list_of_strings_..`, `hostile::one_call_copies_no_more_..`, `resources::the_handle_table_is_bounded_..`, `hostile::a_small_binary_cannot_make_instances_..` |
//! | CVE-2026-27195: a call that is dropped | jit/tests/waiting.rs and waiting_components.rs: at every point, nested, on another thread |
//! | CVE-2026-34983, GHSA-2hw9: copies of linkers; preemption inside a copy | `pitfalls::a_linker_is_copied_and_outlives_its_copies`, `pitfalls::a_deadline_ends_a_realloc_..` |
//! | wasmtime 12886, 12882, 12893, 13059, 13653: lengths at the limit, odd ends of memory | `pitfalls::lengths_at_and_beyond_the_limit_..`, `pitfalls::a_memory_need_not_end_at_a_multiple_of_64_kib` (no type has size 0) |
//! | wasmtime 12356, 8322: discriminants, truncated binaries | `hostile::discriminants_past_the_last_case_trap`, `hostile::every_truncation_of_a_component_is_an_error` |
//! | the current call during `realloc` and post-return | `resources::resource_new_and_drop_may_not_be_called_from_realloc_..`, `canon::realloc_and_post_return_may_not_leave_..`; `context.get` there: values/post-return.wast |
//! | handles of another type, of nothing, freed, 0, 2^32-1 | `pitfalls::a_handle_is_what_it_is_and_nothing_else`, `resources::unknown_and_freed_handles_trap` |
//! | borrows kept, given away, not dropped; what is lent and dropped | `pitfalls::a_borrow_ends_with_its_call_..`, `resources::a_borrow_must_be_dropped_..`, `resources::a_handle_cannot_be_dropped_while_it_is_lent` |
//! | destructors that trap or come back | `resources::a_destructor_that_traps_..`, `resources::a_destructor_may_enter_its_component_again` |
//! | built-ins and imports while an instance may not leave | `canon::realloc_and_post_return_..`, values/post-return.wast |
//! | surrogates, overlong UTF-8, tags with far too long lengths | `pitfalls::text_that_is_none_traps_..`, `pitfalls::lengths_at_and_beyond_the_limit_..` |
//! | `char` among the surrogates, `bool` above 1 | `hostile::characters_and_bools_are_checked` |
//! | NaN | `pitfalls::nans_are_canonical_after_a_crossing_..` |
//! | 16 and 17 parameters | `canon::sixteen_parameters_are_flat_and_seventeen_are_not` |
//! | where a result goes | `pitfalls::where_a_result_is_to_go_is_checked`, `hostile::pointers_that_lie_trap` |
//! | types of exponential size, nesting | `pitfalls::a_type_that_would_be_huge_..`, `hostile::components_nested_very_deep_are_no_danger` |
//! | recursion through boundaries | `pitfalls::components_that_call_each_other_without_end_trap`, `hostile::endless_recursion_through_the_host_is_a_trap` |
//! | a copy that ends half way, then the instance again | `pitfalls::a_copy_that_ends_half_way_ends_the_instance` |
//! | what is left behind | `pitfalls::resources_that_come_and_go_leave_nothing` (`MINI_WASM_LONG`: a million), jit/tests/waiting.rs |

mod adapters;
mod canon;
mod exceptions;
mod gates;
mod hostile;
mod lent;
mod linking;
mod pitfalls;
mod resources;

use super::abi::Val;
use super::{Component, Instance, Linker, engine};
use crate::error::{Error, Result};
use crate::{Config, Engine, Store};

/// An engine, a store without data, and an instance of `wat` that imports nothing.
struct Setup {
    store: Store<()>,
    instance: Instance,
}

fn component(engine: &Engine, wat: &str) -> Component {
    Component::new(engine, wat::parse_str(wat).expect("the test's text parses"))
        .expect("the test's component is valid")
}

fn instantiate(wat: &str) -> Setup {
    let engine = engine(Config::default());
    let component = component(&engine, wat);
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).expect("it instantiates");
    Setup { store, instance }
}

impl Setup {
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Option<Val>> {
        let func =
            self.instance.func(&mut self.store, name).unwrap_or_else(|| panic!("`{name}` is exported"));
        func.call(&mut self.store, args)
    }

    /// The message of the trap that a call ends with.
    fn trap(&mut self, name: &str, args: &[Val]) -> String {
        trap_of(self.call(name, args))
    }
}

fn trap_of<T: core::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.expect_err("the call traps");
    assert!(error.trap().is_some(), "{error:?}");
    error.to_string()
}

/// A core module whose memory is `memory` and whose `realloc` hands out one region after the other, aligned, from 4096 on.
const LIBC: &str = r#"
    (core module $libc
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $new-size i32) (result i32)
            (local $at i32)
            (local.set $at
                (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.xor (i32.sub (local.get $align) (i32.const 1)) (i32.const -1))))
            (global.set $next (i32.add (local.get $at) (local.get $new-size)))
            (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
            (local.get $at)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;
