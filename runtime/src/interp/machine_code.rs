//! Tests of what the compiler made of the handlers: the safety net under threaded dispatch.
//!
//! A handler that returns instead of jumping on, or that calls the next one, lets the native stack grow with every
//! instruction. So no handler may contain a `ret`, except those that end a run, and hot ones no call either.

use super::dispatch::{Handler, cold, handler};
use super::operand::{Acc, Class, Pinned, Slot};
use super::{arith, bulk, call, flow, gc, rows};
use crate::ops::Op;
use crate::{AsStoreMut, Config, Engine, Func, Linker, Module, Store};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Every handler of a plain operator, named.
fn plain() -> Vec<(String, Handler)> {
    let classes = [Class::S, Class::K, Class::W, Class::A, Class::L];
    let mut found = Vec::new();
    let mut add =
        |name: String, handler: Option<Handler>| found.extend(handler.map(|handler| (name, handler)));
    for &op in Op::ALL {
        for a in classes {
            for b in classes {
                add(format!("{op:?} {a:?} -> {b:?}"), rows::unary(op, a, b));
                for other in [false, true] {
                    add(format!("{op:?} {a:?} -> {b:?}, {other}"), rows::load(op, a, b, other));
                    add(format!("{op:?} {a:?} {b:?}, {other}"), rows::store(op, a, b, other));
                    add(format!("branch {op:?} {a:?} {b:?}, {other}"), rows::branch(op, a, b, other));
                }
                for sense in [false, true] {
                    add(format!("common bit {a:?} {b:?}, {sense}"), super::select::bit_test(a, b, sense));
                }
                for d in classes {
                    add(format!("sum {op:?} {a:?} {b:?} {d:?}"), rows::load_sum(op, a, b, d));
                    add(format!("sum {op:?} {a:?} {b:?} {d:?}"), rows::store_sum(op, a, b, d));
                    add(format!("step {op:?} {d:?} {a:?} {b:?}"), rows::step(op, d, a, b));
                    add(format!("{op:?} {a:?} {b:?} -> {d:?}"), rows::binary(op, a, b, d));
                    add(format!("{op:?} {a:?} {b:?} -> {d:?}"), rows::compare(op, a, b, d));
                }
            }
        }
    }
    found.extend(super::vector::handlers());
    found.extend(super::far::handlers());
    #[cfg(target_has_atomic = "64")]
    found.extend(super::atomic::handlers());
    found
}

macro_rules! named {
    ($($kind:ty),* $(,)?) => { [$((String::from(stringify!($kind)), handler::<$kind>())),*] };
}

/// Those of other instructions that must not call.
fn hot() -> Vec<(String, Handler)> {
    Vec::from(named![
        arith::Copy<Slot, Slot>,
        arith::Copy<Acc, Slot>,
        arith::Copy<Pinned, Slot>,
        arith::Copy<Slot, Pinned>,
        arith::Const32<Slot>,
        arith::Const64<Slot>,
        arith::Select<Slot, Slot>,
        arith::Select<Acc, Slot>,
        arith::Canonical<f64>,
        arith::Pin,
        flow::Br,
        flow::BrIf<Slot, true>,
        flow::BrIf<Acc, false>,
        flow::BrTable<Slot>,
        flow::Return0,
        flow::Return1<u32, Slot>,
        flow::Return1<u64, Acc>,
        flow::Return1<f64, Acc>,
        flow::ReturnMany,
        flow::Unreachable,
        flow::Fuel,
        flow::Epoch,
        flow::GlobalGet<Slot, true>,
        flow::GlobalSet<Slot, false>,
        flow::Zero,
        arith::Copy2,
        call::Call,
        call::CallImport,
        call::CallIndirect,
        call::ReturnCall,
        bulk::TableGet,
        bulk::MemorySize,
        gc::CallRef,
        gc::RefAsNonNull,
        gc::RefI31,
        gc::I31GetS,
        gc::ArrayLen,
        gc::RefGetDesc,
        gc::DescTest,
        gc::DescCast,
        gc::Get<gc::InStruct, u64>,
        gc::Get<gc::InArray, i8>,
        gc::Set<gc::InStruct, u8>,
        gc::Set<gc::InArray, u64>,
        gc::GetWide<gc::InArray>,
        gc::SetWide<gc::InStruct>,
    ])
}

/// Those that call Rust, yet must go on by a jump.
fn slow() -> Vec<(String, Handler)> {
    let mut slow = Vec::from(named![
        call::CallNative,
        call::ReturnCallImport,
        call::ReturnCallIndirect,
        call::ReturnCallNative,
        bulk::MemoryGrow<u32>,
        bulk::MemoryFill,
        bulk::MemoryCopy,
        bulk::MemoryInit,
        bulk::DataDrop,
        bulk::TableGrow<u32>,
        bulk::TableFill,
        bulk::TableCopy,
        bulk::TableInit,
        bulk::ElemDrop,
        gc::StructNew,
        gc::StructNewDefault,
        gc::StructNewDesc,
        gc::ArrayNew,
        gc::ArrayNewFixed,
        gc::ArrayNewData,
        gc::ArrayFill,
        gc::ArrayCopy,
        gc::ArrayInitData,
        gc::RefTest,
        gc::RefCast,
        gc::ReturnCallRef,
    ]);
    slow.push((String::from("calls that leave the instance"), cold::<call::CallOther<24>>()));
    slow.push((String::from("indirect calls that leave the instance"), cold::<call::CallOther<32>>()));
    slow.push((String::from("the deadline"), cold::<flow::EpochReached>()));
    slow.extend(call::statics().map(|(name, handler)| (String::from(name), handler)));
    slow
}

#[test]
fn every_plain_operator_has_a_handler_for_slots() {
    let names: Vec<String> = plain().into_iter().map(|(name, _)| name).collect();
    for &op in Op::ALL {
        let some = |suffix: &str| names.iter().any(|name| *name == format!("{op:?} {suffix}"));
        let found = match rows::shape(op) {
            rows::Shape::Unary(..) => some("S -> S"),
            rows::Shape::Binary(..) | rows::Shape::Compare(_) => some("S S -> S"),
            rows::Shape::Load(_) => some("S -> S, false") && some("S -> S, true"),
            rows::Shape::Store(_) => {
                let sums = ["S S S", "S S K", "S K S", "S K K", "L S S", "L S K", "L K S", "L K K"];
                let sums = sums.iter().all(|classes| names.contains(&format!("sum {op:?} {classes}")));
                some("S S, false") && some("S S, true") && sums
            }
            rows::Shape::Test(_) | rows::Shape::Custom | rows::Shape::Vector => true,
        };
        assert!(found, "{op:?}");
    }
    for name in
        ["common bit S S, true", "common bit S S, false", "common bit S K, true", "common bit S K, false"]
    {
        assert!(names.iter().any(|other| other == name), "{name}");
    }
}

/// The tool of this architecture, by Debian's name.
#[cfg(threaded_dispatch)]
macro_rules! concat_arch {
    ($rest:literal) => {
        if cfg!(target_arch = "x86_64") {
            concat!("x86_64", $rest)
        } else if cfg!(target_arch = "aarch64") {
            concat!("aarch64", $rest)
        } else {
            concat!("riscv64", $rest)
        }
    };
}

/// The instructions of this test's program by function, with the address at which it begins: by `objdump`, if there is one.
#[cfg(threaded_dispatch)]
fn disassembly() -> Option<alloc::collections::BTreeMap<usize, Vec<String>>> {
    let program = std::env::current_exe().ok()?;
    // Where the program was loaded: its program headers (AT_PHDR, 3) stand behind the 64 bytes of the file's own.
    let auxv = std::fs::read("/proc/self/auxv").ok()?;
    let mut words = auxv.as_chunks().0.iter().map(|word| usize::from_ne_bytes(*word));
    let base =
        core::iter::from_fn(|| Some((words.next()?, words.next()?))).find(|(kind, _)| *kind == 3)?.1 - 64;
    // Under an emulator it is the other machine's tool that knows this one's instructions.
    let tools = [concat_arch!("-linux-gnu-objdump"), "objdump"];
    let output = tools.into_iter().find_map(|tool| {
        let done = std::process::Command::new(tool)
            .args(["-d", "--no-show-raw-insn"])
            .arg(&program)
            .output()
            .ok()?;
        (done.status.success() && !done.stdout.is_empty()).then_some(done)
    })?;
    let mut functions = alloc::collections::BTreeMap::new();
    let mut current: Option<&mut Vec<String>> = None;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.ends_with(">:") {
            let start = usize::from_str_radix(line.split(' ').next()?, 16).ok()?;
            current = Some(functions.entry(base + start).or_insert_with(Vec::new));
        } else if let (Some(function), Some((_, instruction))) = (current.as_mut(), line.split_once('\t')) {
            function.push(String::from(instruction.trim()));
        }
    }
    Some(functions)
}

#[cfg(threaded_dispatch)]
#[test]
fn no_handler_returns_and_no_hot_one_calls() {
    let Some(functions) = disassembly() else {
        std::eprintln!("no objdump here: the handlers were not looked at");
        return;
    };
    let starts_with = |instruction: &String, words: &[&str]| {
        let word =
            instruction.split_whitespace().find(|word| !matches!(*word, "bnd" | "rep" | "repz" | "notrack"));
        word.is_some_and(|word| words.contains(&word))
    };
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (may_call, handlers) in [(false, plain()), (false, hot()), (true, slow())] {
        for (name, handler) in handlers {
            let code = functions.get(&(handler as usize));
            let code = code.unwrap_or_else(|| panic!("the handler of {name} is not in the disassembly"));
            looked_at += 1;
            let returns = code.iter().any(|i| starts_with(i, &["ret", "retq"]));
            let calls = code.iter().any(|i| starts_with(i, &["call", "callq", "bl", "blr", "jal", "jalr"]));
            // Without a promise of LSE the compiler asks at run time for it, in a function for each size and operation.
            let outlined = cfg!(all(target_arch = "aarch64", not(target_feature = "lse")));
            let may_call = may_call || (outlined && name.contains("AtomicRmw"));
            if returns || (calls && !may_call) {
                wrong.push(format!("{name}:\n    {}", code.join("\n    ")));
            }
        }
    }
    assert!(looked_at > 1000, "{looked_at}");
    assert!(wrong.is_empty(), "{} of {looked_at} handlers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_long_loop_leaves_the_native_stack_where_it_was() {
    let engine = Engine::new(Config::default());
    let mut store = Store::new(&engine, ());
    let (lowest, highest) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let (low, high) = (lowest.clone(), highest.clone());
    let probe = Func::wrap(&mut store, move |_: crate::Caller<'_, ()>| {
        let here = 0u8;
        let at = core::hint::black_box(&raw const here).addr();
        low.fetch_min(at, Ordering::Relaxed);
        high.fetch_max(at, Ordering::Relaxed);
    });
    // About ten million instructions of many kinds, with a look at the stack pointer every 65,536 rounds.
    let wasm = wat::parse_str(
        r#"(module
            (import "" "probe" (func $probe))
            (memory 1) (global $g (mut i64) (i64.const 0)) (table funcref (elem $twice))
            (type $t (func (param i32) (result i32)))
            (func $twice (type $t) (i32.shl (local.get 0) (i32.const 1)))
            (func (export "run") (result i64) (local i32 i32 f64)
              (loop $again
                (local.set 1 (i32.xor (local.get 1) (call $twice (local.get 0))))
                (local.set 1 (i32.add (local.get 1) (call_indirect (type $t) (local.get 0) (i32.const 0))))
                (i32.store (i32.and (local.get 0) (i32.const 0xfff0)) (local.get 1))
                (global.set $g (i64.add (global.get $g) (i64.load32_u (i32.and (local.get 1) (i32.const 0xfff0)))))
                (local.set 2 (f64.sqrt (f64.add (local.get 2) (f64.convert_i32_u (local.get 0)))))
                (if (i32.eqz (i32.and (local.get 0) (i32.const 0xffff))) (then (call $probe)))
                (br_if $again (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 400000))))
              (call $probe)
              (global.get $g)))"#,
    )
    .unwrap();
    let module = Module::new(&engine, wasm).unwrap();
    let mut linker = Linker::<()>::new();
    linker.define("", "probe", probe).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.func(store.as_store_mut(), "run").unwrap();
    run.call(&mut store, &[]).unwrap();
    let moved = highest.load(Ordering::Relaxed) - lowest.load(Ordering::Relaxed);
    assert!(moved < 4096, "{moved} bytes");
}
