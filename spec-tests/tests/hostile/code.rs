//! What stands in function bodies: nesting, tables of branches, locals, sizes.

use super::alone::{Budget, USUAL, alone};
use super::binary::*;
use super::{instantiate, refused};
use mini_wasm_runtime::{Config, Engine, ErrorKind, Module, Trap, Val};
use mini_wasm_spec_tests::Mode;
use std::time::Duration;

/// wasmparser's limit, and every browser's.
const LONGEST_BODY: usize = 7_654_321;

fn engines() -> [Engine; 2] {
    [Mode::Interp, Mode::Jit].map(|mode| mode.engine(Config::default()))
}

fn run(engine: &Engine, wasm: &[u8], arguments: &[Val]) -> mini_wasm_runtime::Result<Vec<Val>> {
    let (mut store, instance) = instantiate(engine, wasm)?;
    let run = instance.func(&mut store, "run").expect("`run` is exported");
    run.call(&mut store, arguments)
}

fn i32_of(values: &[Val]) -> i32 {
    match values {
        [Val::I32(n)] => *n,
        other => panic!("{other:?}"),
    }
}

/// `(param i32) (result i32)`
fn one_to_one() -> Vec<u8> {
    func_type(&[I32], &[I32])
}

#[test]
fn blocks_loops_and_ifs_nested_a_million_deep_are_handled_without_recursion() {
    alone(Budget { cpu: Duration::from_secs(120), mib: 1024 }, || {
        for engine in engines() {
            for depth in [50_000, 1_000_000] {
                let blocks = cat(&[&[BLOCK, EMPTY].repeat(depth), &[END].repeat(depth), &[LOCAL_GET, 0]]);
                let loops = cat(&[&[LOOP, EMPTY].repeat(depth), &[END].repeat(depth), &[LOCAL_GET, 0]]);
                let ifs =
                    cat(&[&[LOCAL_GET, 0, IF, EMPTY].repeat(depth), &[END].repeat(depth), &[LOCAL_GET, 0]]);
                // Out of all of them at once.
                let out = cat(&[
                    &[BLOCK, EMPTY].repeat(depth),
                    &[LOCAL_GET, 0, BR_IF],
                    &leb(depth as u64 - 1),
                    &[END].repeat(depth),
                    &[LOCAL_GET, 0],
                ]);
                // In code that cannot be reached.
                let dead = cat(&[&[LOCAL_GET, 0, 0x0f], &blocks[..blocks.len() - 2], &[I32_CONST, 0]]);
                for code in [blocks, loops, ifs, out, dead] {
                    let wasm = one_function(&one_to_one(), &body(&[], &code));
                    assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(7)]).unwrap()), 7);
                }
            }
        }
    });
}

#[test]
fn the_longest_function_runs_and_a_longer_one_is_refused() {
    alone(Budget { cpu: Duration::from_secs(120), mib: 1024 }, || {
        for engine in engines() {
            // Three bytes each: `i32.const 0 drop`.
            let room = LONGEST_BODY - 4;
            let code = cat(&[&[I32_CONST, 0, DROP].repeat(room / 3), &[LOCAL_GET, 0]]);
            let wasm = one_function(&one_to_one(), &body(&[], &code));
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(9)]).unwrap()), 9);
            let code = cat(&[&code, &[0x01; 20]]);
            refused(&engine, &one_function(&one_to_one(), &body(&[], &code)));
        }
    });
}

#[test]
fn the_largest_branch_tables_are_validated_translated_and_taken() {
    alone(Budget { cpu: Duration::from_secs(120), mib: 1024 }, || {
        let most = 65_520usize; // as browsers allow
        for engine in engines() {
            // One table, each second target further out; all but the last entries leave one block.
            let targets: Vec<u8> = (0..most + 1).map(|i| (i % 2) as u8).collect();
            let code = cat(&[
                &[BLOCK, EMPTY, BLOCK, EMPTY, LOCAL_GET, 0, BR_TABLE],
                &leb(most as u64),
                &targets,
                &[END, I32_CONST, 5, 0x0f, END, I32_CONST, 6],
            ]);
            let wasm = one_function(&one_to_one(), &body(&[], &code));
            for (index, result) in [(0, 5), (1, 6), (most as i32 - 1, 6), (most as i32, 5), (-1, 5)] {
                assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(index)]).unwrap()), result, "{index}");
            }
            // As many as a body has room for.
            let all = LONGEST_BODY - 100;
            let table =
                cat(&[&[BLOCK, EMPTY, LOCAL_GET, 0, BR_TABLE], &leb(all as u64), &vec![0; all + 1], &[END]]);
            let wasm = one_function(&one_to_one(), &body(&[], &cat(&[&table, &[LOCAL_GET, 0]])));
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(-3)]).unwrap()), -3);

            // A hundred of them in one function.
            let table = cat(&[
                &[BLOCK, EMPTY, LOCAL_GET, 0, BR_TABLE],
                &leb(most as u64),
                &vec![0; most + 1],
                &[END],
            ]);
            let code = cat(&[&table.repeat(100), &[LOCAL_GET, 0]]);
            let wasm = one_function(&one_to_one(), &body(&[], &code));
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(3)]).unwrap()), 3);
        }
    });
}

#[test]
fn a_branch_table_finds_each_of_thousands_of_places_far_apart() {
    alone(USUAL, || {
        // Each place is some forty bytes of native code at least, so the last ones are far from the table.
        let places = 6000usize;
        let mut code = [BLOCK, EMPTY].repeat(places);
        code.extend(cat(&[&[LOCAL_GET, 0, BR_TABLE], &leb(places as u64 - 1)]));
        code.extend((0..places as u64).flat_map(leb));
        for place in 0..places {
            // `end`, a few stores, `return (i32.const place)`; a constant below 2^20 in two pieces needs no signed LEB128.
            let (high, low) = ((place >> 6) as u8, (place & 63) as u8);
            let store = [LOCAL_GET, 0, LOCAL_GET, 0, 0x36, 2, 0];
            code.extend(cat(&[
                &[END],
                &[&[I32_CONST, 0, LOCAL_GET, 0, 0x36, 2], &leb(place as u64 * 4)[..]].concat(),
                &[I32_CONST, 4],
                &store[2..],
                &[I32_CONST, high & 63, I32_CONST, 6, 0x74, I32_CONST, low, I32_ADD],
                &[I32_CONST, high >> 6, I32_CONST, 12, 0x74, I32_ADD, 0x0f],
            ]));
        }
        code.extend([I32_CONST, 0]);
        let wasm = one_function(&one_to_one(), &body(&[], &code));
        for engine in engines() {
            let (mut store, instance) = instantiate(&engine, &wasm).unwrap();
            let run = instance.func(&mut store, "run").unwrap();
            for place in (0..places).step_by(7).chain([places - 1]) {
                let values = run.call(&mut store, &[Val::I32(place as i32)]).unwrap();
                assert_eq!(i32_of(&values), place as i32);
            }
            let values = run.call(&mut store, &[Val::I32(-1)]).unwrap();
            assert_eq!(i32_of(&values), places as i32 - 1);
        }
    });
}

#[test]
fn branch_tables_whose_labels_take_a_thousand_values_are_no_bomb() {
    alone(Budget { cpu: Duration::from_secs(120), mib: 1024 }, || {
        // Many blocks of a thousand results around one table that names each of them, with different heights below, so that
        // the values must be moved for every label: a thousand moves for two bytes of wasm.
        let wide = 1000;
        let depth = 400usize;
        let ty = vector(2, &cat(&[&one_to_one(), &func_type(&[], &[I32].repeat(wide))]));
        let open = [I32_CONST, 1, BLOCK, 1].repeat(depth);
        let values = [I32_CONST, 2].repeat(wide);
        let targets: Vec<u8> = (0..=depth as u64 - 1).flat_map(leb).collect();
        let table = cat(&[&values, &[LOCAL_GET, 0, BR_TABLE], &leb(depth as u64 - 1), &targets]);
        let close = cat(&[&[END], &[DROP].repeat(wide + 1), &values]).repeat(depth - 1);
        let last = cat(&[&[END], &[DROP].repeat(wide + 1), &[LOCAL_GET, 0]]);
        let code = cat(&[&open, &table, &close, &last]);
        let wasm = module(&[
            section(TYPE, &ty),
            section(FUNCTION, &[1, 0]),
            section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
            section(CODE, &vector(1, &body(&[], &code))),
        ]);
        for engine in engines() {
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(11)]).unwrap()), 11);
        }
    });
}

#[test]
fn branches_that_move_a_thousand_operands_for_a_few_bytes_are_refused_with_words() {
    alone(Budget { cpu: Duration::from_secs(60), mib: 1024 }, || {
        let wide = 1000;
        let of = |code: &[u8]| {
            module(&[
                section(TYPE, &vector(2, &cat(&[&one_to_one(), &func_type(&[], &[I32].repeat(wide))]))),
                section(FUNCTION, &[1, 0]),
                section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
                section(CODE, &vector(1, &body(&[], code))),
            ])
        };
        // A block of a thousand results with something below it, so that every branch moves them.
        let block = |inner: &[u8]| {
            cat(&[
                &[I32_CONST, 1, BLOCK, 1],
                &[I32_CONST, 2].repeat(wide),
                inner,
                &[END],
                &[DROP].repeat(wide + 1),
                &[LOCAL_GET, 0],
            ])
        };
        let entries = 1_000_000usize;
        let table =
            of(&block(&cat(&[&[LOCAL_GET, 0, BR_TABLE], &leb(entries as u64), &vec![0; entries + 1]])));
        let conditional = |count: usize| of(&block(&[LOCAL_GET, 0, BR_IF, 0].repeat(count)));
        for engine in engines() {
            // To validate either would take a thousand million steps.
            for wasm in [&table, &conditional(600_000)] {
                refused(&engine, wasm);
            }
            // Valid in time, but hundreds of millions of bytes of code.
            let error = run(&engine, &conditional(15_000), &[Val::I32(0)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
            assert!(error.message().contains("out of proportion"), "{error}");
            assert_eq!(i32_of(&run(&engine, &conditional(50), &[Val::I32(0)]).unwrap()), 0);
        }
    });
}

#[test]
fn operators_that_move_many_operands_for_a_few_bytes_are_refused_with_words() {
    alone(Budget { cpu: Duration::from_secs(60), mib: 128 }, || {
        // In dead code each finds as many operands as it wants.
        let dead = |ty: &[u8], code: &[u8]| {
            module(&[
                section(TYPE, &vector(2, &cat(&[&func_type(&[], &[]), ty]))),
                section(FUNCTION, &[1, 0]),
                section(CODE, &vector(1, &body(&[], &cat(&[&[UNREACHABLE], code])))),
            ])
        };
        let structure = cat(&[&[0x5f], &leb(10_000), &[I32, 0].repeat(10_000)]);
        let fixed = cat(&[&[0xfb, 0x08, 1], &leb(10_000), &[DROP]]);
        // Results that nobody takes: a call is two bytes, and leaves a thousand operands.
        let results = module(&[
            section(TYPE, &vector(2, &cat(&[&func_type(&[], &[]), &func_type(&[], &[I32].repeat(1000))]))),
            section(FUNCTION, &[2, 0, 1]),
            section(
                CODE,
                &vector(
                    2,
                    &cat(&[
                        &body(&[], &cat(&[&[CALL, 1].repeat(20_000), &[UNREACHABLE]])),
                        &body(&[], &[UNREACHABLE]),
                    ]),
                ),
            ),
        ]);
        let of_structures = dead(&structure, &[0xfb, 0x00, 1, DROP].repeat(240_000));
        let of_arrays = dead(&[0x5e, I32, 0], &fixed.repeat(150_000));
        for engine in engines() {
            for wasm in [&of_structures, &results] {
                refused(&engine, wasm);
            }
            Module::new(&engine, &of_arrays[..]).unwrap();
            Module::new(&engine, dead(&structure, &[0xfb, 0x00, 1, DROP].repeat(1000))).unwrap();
        }
    });
}

#[test]
fn a_backtrace_of_very_long_functions_is_made_in_time() {
    alone(Budget { cpu: Duration::from_secs(20), mib: 512 }, || {
        let wide = [I32].repeat(1000);
        let types = [func_type(&[], &[]), func_type(&[], &wide), func_type(&wide, &[])];
        // Endless recursion, before much that takes long to translate.
        let code = cat(&[&[CALL, 0], &[CALL, 1, CALL, 2].repeat(15_000)]);
        let bodies = [body(&[], &code), body(&[], &[UNREACHABLE]), body(&[], &[])];
        let wasm = module(&[
            section(TYPE, &vector(3, &types.concat())),
            section(FUNCTION, &[3, 0, 1, 2]),
            section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
            section(CODE, &vector(3, &bodies.concat())),
        ]);
        let error = run(&Engine::new(Config::default()), &wasm, &[]).unwrap_err();
        assert_eq!(error.trap(), Some(Trap::StackOverflow), "{error}");
        let frames = &error.backtrace().frames;
        assert!(frames.len() > 32 && frames.iter().all(|frame| frame.offset.is_some()), "{error}");
    });
}

#[test]
fn a_branch_table_in_each_of_very_many_blocks_is_compiled_in_time() {
    alone(Budget { cpu: Duration::from_secs(60), mib: 1024 }, || {
        // What looks at all open blocks for each of the tables takes a square of this.
        let depth = 150_000;
        let table = [BLOCK, EMPTY, LOCAL_GET, 0, BR_TABLE, 1, 0, 0, END];
        let code = cat(&[
            &[BLOCK, EMPTY].repeat(depth),
            &table.repeat(50_000),
            &[END].repeat(depth),
            &[LOCAL_GET, 0],
        ]);
        for engine in engines() {
            let wasm = one_function(&one_to_one(), &body(&[], &code));
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(4)]).unwrap()), 4);
        }
    });
}

#[test]
fn fifty_thousand_locals_in_a_thousand_functions_cost_what_is_used() {
    alone(Budget { cpu: Duration::from_secs(120), mib: 1024 }, || {
        for engine in engines() {
            let count = 1000;
            let body_of = body(&[(49_999, I64)], &[LOCAL_GET, 0]);
            let wasm = module(&[
                section(TYPE, &vector(1, &one_to_one())),
                section(FUNCTION, &many(count, &[0])),
                section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
                section(CODE, &many(count, &body_of)),
            ]);
            assert_eq!(i32_of(&run(&engine, &wasm, &[Val::I32(5)]).unwrap()), 5);
            // Each of many groups is small, together they are too many: in the type's parameters as well.
            for locals in [
                vec![(50_000, I64)],
                vec![(1, I32); 50_000],
                vec![(u32::MAX.into(), I32)],
                vec![(u32::MAX.into(), I32), (u32::MAX.into(), I32)],
            ] {
                refused(&engine, &one_function(&one_to_one(), &body(&locals, &[LOCAL_GET, 0])));
            }
        }
    });
}

#[test]
fn recursion_with_enormous_frames_is_a_trap() {
    alone(USUAL, || {
        for engine in engines() {
            for locals in [10, 1000, 49_999] {
                let code = [LOCAL_GET, 0, CALL, 0];
                let wasm = one_function(&one_to_one(), &body(&[(locals, I64)], &code));
                let error = run(&engine, &wasm, &[Val::I32(1)]).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::StackOverflow), "{locals}: {error}");
            }
        }
    });
}

#[test]
fn a_stack_of_a_million_operands_is_refused_with_words_or_runs() {
    alone(USUAL, || {
        for engine in engines() {
            for height in [60_000, 1_000_000] {
                let code = cat(&[&[LOCAL_GET, 0], &[I32_CONST, 1].repeat(height), &[I32_ADD].repeat(height)]);
                let wasm = one_function(&one_to_one(), &body(&[], &code));
                match run(&engine, &wasm, &[Val::I32(0)]) {
                    Ok(values) => assert_eq!(i32_of(&values), height as i32),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                        assert!(error.message().contains("slots"), "{error}");
                    }
                }
            }
        }
    });
}

#[test]
fn functions_of_a_thousand_parameters_and_results_call_each_other() {
    alone(USUAL, || {
        let wide = 1000;
        let ty = func_type(&[I64].repeat(wide), &[I64].repeat(wide));
        let gets: Vec<u8> = (0..wide as u64).flat_map(|i| cat(&[&[LOCAL_GET], &leb(i)])).collect();
        let calls = cat(&[&gets, &[CALL, 1].repeat(200)]);
        for engine in engines() {
            let wasm = module(&[
                section(TYPE, &vector(1, &ty)),
                section(FUNCTION, &many(2, &[0])),
                section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
                section(CODE, &vector(2, &cat(&[&body(&[], &calls), &body(&[], &gets)]))),
            ]);
            let arguments: Vec<Val> = (0..wide as i64).map(Val::I64).collect();
            let results = run(&engine, &wasm, &arguments).unwrap();
            assert!(results.iter().enumerate().all(|(i, v)| matches!(v, Val::I64(n) if *n == i as i64)));
            let more = func_type(&[I64].repeat(wide + 1), &[]);
            refused(&engine, &module(&[section(TYPE, &vector(1, &more))]));
            let more = func_type(&[], &[I64].repeat(wide + 1));
            refused(&engine, &module(&[section(TYPE, &vector(1, &more))]));
        }
    });
}
