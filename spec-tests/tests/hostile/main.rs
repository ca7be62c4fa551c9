//! Hostile modules: each gives a clear error or a trap, inside a budget of time and memory, in the interpreter and in native code.
//!
//! Every test runs in a process of its own ([`alone`]), so that a crash, an abort or an endless loop is that test's failure.
//!
//! # What was found elsewhere and where we test for it
//!
//! Published defects of other engines that concern the core engine, by class (A codegen, B garbage collection, C trampolines and
//! host calls, D mix-ups and races, G memory of the host sized by the guest, J panics, K metering). What concerns components and
//! WASI is in `runtime/src/component/tests/hostile.rs` and in `wasi/tests`.
//!
//! | class, defect | what it was | test here, else where |
//! |---|---|---|
//! | A CVE-2021-32629 | spilled value came back sign-extended | `advisories/CVE-2021-32629.wast` |
//! | A CVE-2022-31104 | swizzle, select of vectors | `advisories/CVE-2022-31104.wast` |
//! | A CVE-2022-31169 | division by constants, aarch64 | `advisories/CVE-2022-31169.wast` |
//! | A CVE-2023-26489 | shift in an address | `advisories/CVE-2023-26489.wast` |
//! | A CVE-2023-27477 | selection of bytes for bits | `advisories/CVE-2023-27477.wast` |
//! | A CVE-2023-41880 | i64x2.shr_s by constants | `advisories/CVE-2023-41880.wast` |
//! | A CVE-2026-24116 | copysign loaded 16 bytes | `advisories/CVE-2026-24116.wast` |
//! | A CVE-2026-34944 | splat loaded 16 bytes | `advisories/CVE-2026-34944.wast` |
//! | A CVE-2026-34971, WasmEdge CVE-2025-69261 | address and offset added wrongly | `advisories/CVE-2026-34971.wast` |
//! | A CVE-2026-34987, -34945, -35186, -34946 | Winch | no such compiler here |
//! | A CVE-2026-115889 | bit packing in Cranelift | `the_compiler_underneath_is_no_older_than_its_own_advisories_ask` in `tests/advisories.rs` |
//! | A CVE-2026-115893 | big `br_table` on aarch64 | the same, and `code::a_branch_table_finds_each_of_thousands_of_places_far_apart` (also emulated: `.ci/emulated`) |
//! | A wasmer#3670 | defects of a shared compiler | `tests/differential.rs`, `tests/core.rs` in every mode |
//! | A WAMR CVE-2025-58749 | memory.fill of 2 GiB and more | `advisories/CVE-2025-58749.wast` |
//! | A WAMR CVE-2026-54912 | interpreter's frame too small | `advisories/WAMR-CVE-2026-54912.wast`, `code::a_stack_of_a_million_operands_is_refused_with_words_or_runs` |
//! | A WT#11682, #911, #10033 | compiler panics or hangs on giant functions | `code::*`, `jit/tests/bombs.rs`, `structure::very_many_types_and_functions_are_compiled_in_time_or_interpreted` |
//! | B GHSA-cfhf | mistyped tag import | `advisories/GHSA-cfhf.wast` |
//! | B GHSA-hw8m | roots across a call in a try block | `jit/tests/exceptions.rs` |
//! | B all | roots of garbage collection | `runtime/src/gc`, collecting at every allocation |
//! | C CVE-2022-39394, GHSA-32h6, CVE-2026-27195 | C API; async callbacks; dropped futures | none of these exists in the core engine yet |
//! | C CVE-2024-47763 | backtrace over a tail call | `mixups::a_backtrace_over_tail_calls_names_frames_that_exist` |
//! | C CVE-2025-62711 | crash in what guests call | `mixups::every_builtin_that_traps_leaves_the_guest_and_the_store_whole` |
//! | C GHSA-hj27 | host function not called by a guest | `mixups::a_host_function_works_whoever_calls_it` |
//! | D CVE-2021-39219 | things of another store | `mixups::what_is_of_another_engine_or_store_is_refused`, `runtime/tests/embedding.rs` |
//! | D CVE-2024-47813 | race in the registry of types | `mixups::threads_that_make_and_drop_modules_agree_on_types` |
//! | D CVE-2026-34983 | clone of a linker | `mixups::linkers_and_modules_may_go_before_the_instances_made_of_them` |
//! | D GHSA-hgjw | type indices across engines | `mixups::what_is_of_another_engine_or_store_is_refused`, `mixups::a_number_of_a_type_of_another_engine_lets_no_value_past_its_type` |
//! | D CVE-2025-64345 | shared memory's API | `runtime/tests`, where threads are tested |
//! | D lucet CVE-2021-43790 | instance gone too early | `mixups::what_an_instance_that_failed_left_in_a_table_can_still_be_called` |
//! | D CVE-2026-104855 | interruption inside bulk work | no bulk work is interrupted here: `running::bulk_work_is_paid_by_its_length_before_it_is_done` |
//! | G CVE-2026-44216 | huge table | `advisories/CVE-2026-44216.wast`, `running::what_is_past_a_limit_of_the_store_is_an_error_in_words` |
//! | G CVE-2026-27204 and others | memory of the host sized by the guest | `structure::a_count_that_lies_costs_nothing`, `running::the_largest_memories_cost_nothing_until_they_are_touched`, `running::growing_*`, `code::branches_that_move_a_thousand_operands_for_a_few_bytes_are_refused_with_words` |
//! | J CVE-2024-30266 | dropped segment of elements | `advisories/CVE-2024-30266.wast` |
//! | J GHSA-rc4p, GHSA-2674 | panics where a feature is off | `structure::what_a_switched_off_feature_would_allow_is_refused` |
//! | J all | panics | `structure::*`, `tests/malformed.rs` |
//! | K all | work that is not metered | `running::a_start_function_that_never_ends_is_stopped_by_fuel_and_by_the_deadline`, `running::bulk_work_is_paid_by_its_length_before_it_is_done` |
//!
//! # Budgets
//!
//! | what | limit | where it stands |
//! |---|---|---|
//! | numbers of things in a module, nesting of types, sizes of bodies and names | wasmparser's | `wasmparser::limits` |
//! | operands that validation moves | 2^27 and 8 for each byte of bodies | `runtime/src/module/bodies.rs` |
//! | code that the interpreter translates | 16 MiB and 64 bytes for each byte of bodies | `runtime/src/interp/code.rs` |
//! | slots of an interpreted frame | 65,535 | `runtime/src/interp/translate.rs` |
//! | a function that is compiled: bytes, values, operands of wide calls and branches, entries of branch tables, time, frame | beyond, it is interpreted | `CompileOptions`, `jit/src/compile/func.rs` |
//! | what compiling a function takes: time, memory | beyond, it is interpreted; known before | `jit/src/compile/shape.rs`, `jit/src/compile/budget.rs` |
//! | a file that is compiled: time, text | beyond, functions are interpreted, at last all of them | `CompileOptions::time_budget`, `Target::most_text` |
//! | memories, tables, instances and what they take | the embedder's | `StoreLimits` |
//! | stacks, fuel, time | the embedder's | `Config`, `Store::set_fuel`, `Store::set_epoch_deadline` |

mod alone;
mod binary;
mod code;
mod mixups;
mod running;
mod structure;

use mini_wasm_runtime::{Engine, ErrorKind, Instance, Linker, Module, Result, Store};

/// Makes an instance without imports in a store of its own, with default limits.
fn instantiate(engine: &Engine, wasm: &[u8]) -> Result<(Store<()>, Instance)> {
    let module = Module::new(engine, wasm)?;
    let mut store = Store::new(engine, ());
    let instance = Linker::<()>::new().instantiate(&mut store, &module)?;
    Ok((store, instance))
}

/// The engine says that this is malformed or invalid, in words.
#[track_caller]
fn refused(engine: &Engine, wasm: &[u8]) {
    let Err(error) = Module::new(engine, wasm) else { panic!("{} bytes were taken for valid", wasm.len()) };
    assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Invalid), "{:?}: {error}", error.kind());
    assert!(!error.message().is_empty());
}
