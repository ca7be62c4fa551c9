//! What stands in sections: numbers of things, counts that lie, names, constant expressions.

use super::alone::{Budget, USUAL, alone};
use super::binary::*;
use super::{instantiate, refused};
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::{Config, Engine, ErrorKind, Linker, Module, Store, Trap, Val};
use mini_wasm_spec_tests::Mode;
use std::time::Duration;

/// A module of one million functions takes this much when compiled for debugging.
const LARGE: Budget = Budget { cpu: Duration::from_secs(120), mib: 2048 };

const MILLION: usize = 1_000_000;

#[test]
fn a_count_that_lies_costs_nothing() {
    alone(Budget { cpu: Duration::from_secs(10), mib: 64 }, || {
        let engine = Engine::new(Config::default());
        let lies = [leb(u32::MAX.into()), leb(1 << 31), leb(100_000), vec![0xff; 5], vec![0x80; 10]];
        for id in 0..=14 {
            for lie in &lies {
                // Alone; before some items; and as the section's size.
                refused(&engine, &module(&[section(id, lie)]));
                refused(&engine, &module(&[section(id, &cat(&[lie, &[0; 64]]))]));
                refused(&engine, &cat(&[&module(&[]), &[id], lie, &[0; 64]]));
            }
        }
        // Parameters, locals, targets, function indices, bytes of data.
        let empty = func_type(&[], &[]);
        for lie in &lies {
            refused(&engine, &module(&[section(TYPE, &cat(&[&[1, 0x60], lie, &[I32; 32]]))]));
            refused(&engine, &one_function(&empty, &sized(&cat(&[lie, &[1, I32, END]]))));
            refused(&engine, &one_function(&empty, &sized(&cat(&[&[1], lie, &[I32, END]]))));
            refused(
                &engine,
                &one_function(&empty, &body(&[], &cat(&[&[I32_CONST, 0, BR_TABLE], lie, &[0; 40]]))),
            );
            refused(&engine, &module(&[section(ELEMENT, &cat(&[&[1, 1, 0], lie, &[0; 40]]))]));
            refused(&engine, &module(&[section(DATA, &cat(&[&[1, 1], lie, &[0; 40]]))]));
        }
    });
}

/// `count` things of a kind, in a module that is valid if there may be so many.
fn of_kind(kind: &str, count: usize) -> Vec<u8> {
    let types = section(TYPE, &vector(1, &func_type(&[], &[])));
    let numbered = |item: &dyn Fn(usize) -> Vec<u8>| {
        vector(count as u64, &(0..count).flat_map(item).collect::<Vec<u8>>())
    };
    let memory = section(MEMORY, &[1, 0, 1]);
    match kind {
        "types" => module(&[section(TYPE, &many(count, &func_type(&[], &[])))]),
        "imports" => module(&[types, section(IMPORT, &many(count, &[0, 0, 0, 0]))]),
        "functions" => module(&[
            types,
            section(FUNCTION, &many(count, &[0])),
            section(CODE, &many(count, &body(&[], &[]))),
        ]),
        "globals" => module(&[section(GLOBAL, &many(count, &[I32, 0, I32_CONST, 0, END]))]),
        "exports" => module(&[
            memory,
            section(EXPORT, &numbered(&|i| cat(&[&sized(format!("{i:x}").as_bytes()), &[2, 0]]))),
        ]),
        "element segments" => module(&[
            section(TABLE, &[1, FUNCREF, 0, 1]),
            section(ELEMENT, &many(count, &[0, I32_CONST, 0, END, 0])),
        ]),
        "data segments" => module(&[memory, section(DATA, &many(count, &[0, I32_CONST, 0, END, 0]))]),
        "tables" => module(&[section(TABLE, &many(count, &[FUNCREF, 0, 1]))]),
        "memories" => module(&[section(MEMORY, &many(count, &[0, 0]))]),
        "custom sections" => module(&vec![custom("x", b"y"); count]),
        _ => unreachable!("{kind}"),
    }
}

#[test]
fn as_many_things_as_may_be_are_instantiated_and_more_are_refused() {
    alone(LARGE, || {
        let engine = Engine::new(Config::default());
        // The sizes of all imports' and exports' types together have a limit of their own.
        for (kind, count, most) in [
            ("types", MILLION, MILLION),
            ("globals", MILLION, MILLION),
            ("exports", 900_000, MILLION),
            ("functions", MILLION, MILLION),
            ("element segments", 100_000, 100_000),
            ("data segments", 100_000, 100_000),
            ("tables", 100_000, 100_000),
            ("memories", 100, 100),
        ] {
            let wasm = of_kind(kind, count);
            instantiate(&engine, &wasm).unwrap_or_else(|error| panic!("{count} {kind}: {error}"));
            refused(&engine, &of_kind(kind, most + 1));
        }
        let error = instantiate(&engine, &of_kind("imports", 400_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unlinkable);
        refused(&engine, &of_kind("imports", MILLION + 1));
        instantiate(&engine, &of_kind("custom sections", MILLION)).unwrap();
    });
}

#[test]
fn very_many_types_and_functions_are_compiled_in_time_or_interpreted() {
    alone(Budget { cpu: Duration::from_secs(200), mib: 2048 }, || {
        let engine = Mode::Jit.engine(Config::default());
        // Types that all differ, each with an import that wants a stub: parameters are the digits of a number.
        let count = 20_000usize;
        let ty = |i: usize| {
            func_type(&(0..16).map(|bit| if i >> bit & 1 == 1 { I32 } else { I64 }).collect::<Vec<u8>>(), &[])
        };
        let types: Vec<u8> = (0..count).flat_map(ty).collect();
        let imports: Vec<u8> = (0..count).flat_map(|i| cat(&[&[0, 0, 0], &leb(i as u64)])).collect();
        let stubs = module(&[
            section(TYPE, &vector(count as u64, &types)),
            section(IMPORT, &vector(count as u64, &imports)),
        ]);
        Module::new(&engine, stubs).unwrap();
        let functions: Vec<u8> = (0..count).flat_map(|i| leb(i as u64)).collect();
        let entries = module(&[
            section(TYPE, &vector(count as u64, &types)),
            section(FUNCTION, &vector(count as u64, &functions)),
            section(CODE, &many(count, &body(&[], &[]))),
        ]);
        Module::new(&engine, entries).unwrap();
        let module = Module::new(&engine, of_kind("functions", 200_000)).unwrap();
        Linker::<()>::new().instantiate(&mut Store::new(&engine, ()), &module).unwrap();
    });
}

#[test]
fn an_element_segment_of_millions_is_read_and_written() {
    alone(LARGE, || {
        let count = 5_000_000;
        let engine = Engine::new(Config::default());
        let table = section(TABLE, &cat(&[&[1, FUNCREF, 0], &leb(count as u64)]));
        let types = section(TYPE, &vector(1, &func_type(&[], &[])));
        let functions = section(FUNCTION, &[1, 0]);
        let code = section(CODE, &vector(1, &body(&[], &[])));
        let head = [0, I32_CONST, 0, END];
        let wasm = module(&[
            types.clone(),
            functions.clone(),
            table.clone(),
            section(ELEMENT, &cat(&[&[1], &head, &many(count, &[0])])),
            code.clone(),
        ]);
        instantiate(&engine, &wasm).unwrap();
        // The same as expressions.
        let wasm = module(&[
            types,
            functions,
            table,
            section(ELEMENT, &cat(&[&[1, 4], &head[1..], &many(count, &[REF_FUNC, 0, END])])),
            code,
        ]);
        instantiate(&engine, &wasm).unwrap();
    });
}

#[test]
fn constant_expressions_in_chains_and_of_great_length_are_evaluated_without_recursion() {
    alone(USUAL, || {
        for mode in [Mode::Interp, Mode::Jit] {
            let engine = mode.engine(Config::default());
            // Each global is the one before it and 1.
            let chain = 300_000usize;
            let globals: Vec<u8> = (0..chain)
                .flat_map(|i| match i {
                    0 => vec![I32, 0, I32_CONST, 0, END],
                    _ => cat(&[&[I32, 0, GLOBAL_GET], &leb(i as u64 - 1), &[I32_CONST, 1, I32_ADD, END]]),
                })
                .collect();
            let last = cat(&[&sized(b"last"), &[3], &leb(chain as u64 - 1)]);
            let wasm = module(&[
                section(GLOBAL, &vector(chain as u64, &globals)),
                section(EXPORT, &vector(1, &last)),
            ]);
            // An engine without garbage collection allows imported globals only.
            let made = Module::new(&engine, &wasm[..]);
            let chained = !made.is_err_and(|error| error.message().contains("locally defined global"));
            if chained {
                let (mut store, instance) = instantiate(&engine, &wasm).unwrap();
                let last = instance.export(&mut store, "last").and_then(|e| e.global()).unwrap();
                assert!(matches!(last.get(&mut store).unwrap(), Val::I32(n) if n as usize == chain - 1));
            }
            // One expression: a million constants, then as many sums.
            let length = MILLION;
            let sum = cat(&[&[I32_CONST, 1].repeat(length), &[I32_ADD].repeat(length - 1)]);
            let wasm = module(&[
                section(GLOBAL, &vector(1, &cat(&[&[I32, 0], &sum, &[END]]))),
                section(EXPORT, &vector(1, &cat(&[&sized(b"sum"), &[3, 0]]))),
            ]);
            let (mut store, instance) = instantiate(&engine, &wasm).unwrap();
            let sum = instance.export(&mut store, "sum").and_then(|e| e.global()).unwrap();
            assert!(matches!(sum.get(&mut store).unwrap(), Val::I32(n) if n as usize == length));
        }
    });
}

/// A module whose `run` traps, with this as the content of its name section.
fn named(content: &[u8]) -> Vec<u8> {
    cat(&[&one_function(&func_type(&[], &[]), &body(&[], &[UNREACHABLE])), &custom("name", content)])
}

#[test]
fn a_malicious_name_section_changes_nothing_but_names() {
    alone(USUAL, || {
        let name_of_0 = |name: &[u8]| section(1, &vector(1, &cat(&[&[0], &sized(name)])));
        let mut contents = vec![
            name_of_0(b"plain"),
            // Colours, a new title, lines that look like ours, text that runs backwards, not UTF-8 at all.
            name_of_0(b"\x1b[31mred\x1b]0;title\x07\r\n    1: innocent\0"),
            name_of_0("\u{202e}sdrawkcab\u{2066}".as_bytes()),
            name_of_0(b"\xff\xfe\xc0\x80"),
            name_of_0(&[b'x'; 90_000]),
            name_of_0(&[b'y'; 5_000_000]),
            section(0, &sized(&[b'z'; 90_000])),
            // Names twice, of functions that do not exist, in the wrong order.
            section(1, &many(300_000, &cat(&[&[0], &sized(b"again")]))),
            section(1, &vector(2, &cat(&[&leb(u32::MAX.into()), &sized(b"none"), &[0], &sized(b"zero")]))),
            // Subsections that lie about their size, unknown ones, many.
            cat(&[&[1], &leb(u32::MAX.into())]),
            cat(&[&[1], &leb(3), &leb(u32::MAX.into())]),
            section(77, b"??"),
            section(1, &[0]).repeat(300_000),
            section(2, &many(100_000, &[0, 0])),
            vec![0xff; 1000],
            vec![],
        ];
        contents.extend((0..contents[0].len()).map(|cut| contents[0][..cut].to_vec()).collect::<Vec<_>>());
        for mode in [Mode::Interp, Mode::Jit] {
            let engine = mode.engine(Config::default());
            for (i, content) in contents.iter().enumerate() {
                let (mut store, instance) = instantiate(&engine, &named(content)).unwrap();
                let error = instance.func(&mut store, "run").unwrap().call(&mut store, &[]).unwrap_err();
                assert_eq!(error.trap(), Some(Trap::Unreachable), "{i}");
                let said = format!("{error}{}", error.backtrace());
                assert_eq!(error.backtrace().frames.len(), 1, "{i}");
                assert!(said.len() < 1000, "{i}: {} bytes", said.len());
                let clean = said
                    .chars()
                    .all(|c| c == '\n' || !c.is_control() && !('\u{202a}'..'\u{206f}').contains(&c));
                assert!(clean, "{i}: {said:?}");
                assert!(!said.contains("\n    1: "), "{i}: {said:?}");
            }
        }
    });
}

#[test]
fn names_of_imports_and_exports_are_cleaned_before_they_are_said() {
    alone(USUAL, || {
        let engine = Engine::new(Config::default());
        let long = vec![b'n'; 90_000];
        for name in [&b"\x1b[2J\x1b[31mgone\r\n"[..], &long] {
            let wasm = module(&[
                section(TYPE, &vector(1, &func_type(&[], &[]))),
                section(IMPORT, &vector(1, &cat(&[&sized(name), &sized(name), &[0, 0]]))),
            ]);
            let error = instantiate(&engine, &wasm).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unlinkable);
            let said = error.to_string();
            assert!(said.len() < 2000, "{} bytes", said.len());
            assert!(!said.contains('\x1b') && !said.contains('\r'), "{said:?}");
        }
    });
}

#[test]
fn every_nesting_of_sections_and_subtypes_is_read_without_recursion() {
    alone(USUAL, || {
        let engine = Engine::new(Config::default());
        // A component in a component, and so on: as a core module this is refused at once, at any depth.
        let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..2000 {
            nested = cat(&[b"\0asm\x0d\0\x01\0", &section(4, &nested)]);
        }
        refused(&engine, &nested);
        // Sections in a wrong order, twice, unknown, empty, with bytes left over.
        for sections in [
            vec![section(CODE, &[0]), section(TYPE, &[0])],
            vec![section(TYPE, &[0]), section(TYPE, &[0])],
            vec![section(99, &[0])],
            vec![section(TYPE, &[])],
            vec![section(TYPE, &[0, 0])],
            vec![section(START, &[0])],
            vec![section(FUNCTION, &[1, 0])],
        ] {
            refused(&engine, &module(&sections));
        }
    });
}

#[test]
fn what_a_switched_off_feature_would_allow_is_refused() {
    alone(USUAL, || {
        let samples = [
            ("saturating-float-to-int", "(func (param f32) (drop (i32.trunc_sat_f32_s (local.get 0))))"),
            ("sign-extension", "(func (param i32) (drop (i32.extend8_s (local.get 0))))"),
            ("multi-value", "(func (result i32 i32) (i32.const 1) (i32.const 2))"),
            ("bulk-memory", "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))"),
            ("reference-types", "(table 1 externref)"),
            ("tail-call", "(func $f (return_call $f))"),
            ("extended-const", "(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
            ("multi-memory", "(memory 1) (memory 1)"),
            ("simd", "(func (result v128) (v128.const i64x2 0 0))"),
            (
                "relaxed-simd",
                "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
            ),
            ("threads", "(memory 1 1 shared)"),
            ("memory64", "(memory i64 1)"),
            ("exceptions", "(tag) (func (throw 0))"),
            ("function-references", "(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))"),
            ("gc", "(type (struct (field i32)))"),
            (
                "wide-arithmetic",
                "(func (param i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 0)))",
            ),
            ("custom-page-sizes", "(memory 1 (pagesize 1))"),
        ];
        let mut looked_at = 0;
        for (name, text) in samples {
            let wasm = wat::parse_str(format!("(module {text})")).unwrap();
            for mode in [Mode::Interp, Mode::Jit] {
                let mut features = Features::default();
                if features.set(name, true).is_none() {
                    continue;
                }
                Module::new(&mode.engine(Config { features, ..Config::default() }), &wasm[..])
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                // What builds on it goes with it.
                for (other, _, _) in Features::LIST {
                    let builds_on = match name {
                        "simd" => *other == "relaxed-simd",
                        "reference-types" => matches!(*other, "function-references" | "gc"),
                        "function-references" => *other == "gc",
                        _ => false,
                    };
                    if builds_on || *other == name {
                        features.set(other, false);
                    }
                }
                refused(&mode.engine(Config { features, ..Config::default() }), &wasm);
                looked_at += 1;
            }
        }
        assert!(looked_at >= 16, "{looked_at}");
    });
}
