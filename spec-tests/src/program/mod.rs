//! Random programs that are valid by construction, for holding the engines against each other.
//!
//! A program is grown from a string of bytes ([`Choices`]): the same bytes give the same program, and fewer or smaller bytes a
//! simpler one, so whoever found a difference can shrink the bytes. The plain operators come from the engine's own table
//! (`rows.rs`), so a new row is generated without a change here; the structured ones are written out, and a test sees to it
//! that every operator of the table occurs.
//!
//! Code is grown as the stack machine runs it, one operator after the other over a typed operand stack. That reaches shapes which
//! expression trees do not have: values that wait on the stack while their local is set, results of blocks under other
//! operands, code that nothing reaches.
//!
//! What makes every program end the same way in every engine: functions call lower-numbered ones only (directly, by reference, and
//! through a table that no operator writes), loops count down, and fuel bounds the rest.
//!
//! | file | what |
//! |---|---|
//! | `choices.rs` | where decisions come from |
//! | `rows.rs` | the plain operators and their types |
//! | `constant.rs` | constants |
//! | `body.rs` | a function body: operands, locals, blocks, branches, calls |
//! | `bulk.rs` | whole memories, tables, segments |
//! | `exceptions.rs` | throwing and catching, in both generations |
//! | `drill.rs`, `drill/` | programs that execute given operators often |
//! | `heap.rs` | structures, arrays, casts, function references |

mod body;
mod bulk;
mod choices;
mod constant;
mod drill;
mod exceptions;
mod heap;
mod rows;

use Type::*;
use body::Body;
pub use choices::Choices;
use constant::constant;
use heap::Definition;
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::ops::Op;
use rows::{Row, rows};
use std::fmt::{self, Write};

/// A type of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
    AnyRef,
    EqRef,
    I31Ref,
    /// A nullable reference to a structure or array of the program, by its number.
    Heap(u8),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
            V128 => "v128",
            FuncRef => "funcref",
            ExternRef => "externref",
            AnyRef => "anyref",
            EqRef => "eqref",
            I31Ref => "i31ref",
            Heap(number) => return write!(f, "(ref null $h{number})"),
        })
    }
}

/// What programs may use beyond version 2.0 of the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the features' own names")]
pub struct Abilities {
    pub vectors: bool,
    pub wide: bool,
    pub exceptions: bool,
    pub legacy_exceptions: bool,
    pub function_references: bool,
    pub gc: bool,
    pub memory64: bool,
    pub threads: bool,
    pub page_sizes: bool,
    pub switching: bool,
    pub descriptors: bool,
}

impl Abilities {
    /// What an engine has and these features allow.
    pub fn of(features: Features) -> Abilities {
        let on = |name: &str, operator: &str| {
            let mut off = features;
            let known = off.set(name, false).is_some();
            known && off != features && Op::ALL.iter().any(|op| op.mnemonic() == operator)
        };
        Abilities {
            vectors: on("simd", "v128.const"),
            wide: on("wide-arithmetic", "i64.add128"),
            exceptions: on("exceptions", "try_table"),
            legacy_exceptions: on("legacy-exceptions", "try"),
            function_references: on("function-references", "call_ref"),
            gc: on("gc", "struct.new") && on("function-references", "call_ref"),
            memory64: on("memory64", "memory.size"),
            threads: on("threads", "i32.atomic.load"),
            page_sizes: on("custom-page-sizes", "memory.size"),
            switching: on("stack-switching", "cont.new")
                && on("exceptions", "try_table")
                && on("function-references", "call_ref"),
            descriptors: on("custom-descriptors", "struct.new_desc") && on("gc", "struct.new"),
        }
    }
}

/// A program: a module's text.
#[derive(Debug)]
pub struct Program {
    /// The text format.
    pub text: String,
}

/// What bodies may name.
struct Environment {
    signatures: Vec<Signature>,
    globals: Vec<Type>,
    /// What exceptions of the second tag carry; those of the first carry nothing.
    carried: Vec<Type>,
    /// Structures and arrays.
    heap: Vec<Definition>,
    /// The types of operands.
    types: Vec<Type>,
    /// The plain operators, those on vectors apart.
    scalars: Vec<&'static Row>,
    vectors: Vec<&'static Row>,
    abilities: Abilities,
}

struct Signature {
    params: Vec<Type>,
    results: Vec<Type>,
}

impl Signature {
    fn of(params: &[Type], results: &[Type]) -> Signature {
        Signature { params: params.to_vec(), results: results.to_vec() }
    }

    fn random(choices: &mut Choices<'_>, types: &[Type]) -> Signature {
        let mut list = |sizes: &[usize]| {
            let size = choices.of(sizes);
            (0..size).map(|_| choices.of(types)).collect()
        };
        // Long lists leave the registers: parameters on the stack, results in the hidden area.
        Signature { params: list(&[1, 0, 2, 3, 2, 5, 9, 14]), results: list(&[1, 0, 1, 2, 3, 1, 9, 17]) }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, types) in [("param", &self.params), ("result", &self.results)] {
            if !types.is_empty() {
                write!(f, " ({word}")?;
                types.iter().try_for_each(|ty| write!(f, " {ty}"))?;
                f.write_str(")")?;
            }
        }
        Ok(())
    }
}

const PAGES: usize = 1;
const MAX_PAGES: usize = 3;
const TABLE: usize = 6;

impl Program {
    /// The program of these choices, with all that the engine has.
    pub fn grow(choices: &mut Choices<'_>) -> Program {
        Program::grow_with(choices, Abilities::of(crate::diff::features(&[])))
    }

    /// The program of these choices.
    pub fn grow_with(choices: &mut Choices<'_>, abilities: Abilities) -> Program {
        let mut text = String::from("(module\n");
        let line = |text: &mut String, content: fmt::Arguments<'_>| {
            let _ = writeln!(text, "  {content}");
        };
        let mut types = vec![I32, I64, F32, F64, FuncRef, ExternRef];
        if abilities.vectors {
            types.push(V128);
        }
        let mut heap = Vec::new();
        // Half of the programs have a heap: the others are denser in everything else.
        if abilities.gc && choices.one_in(2) {
            types.extend([AnyRef, EqRef, I31Ref]);
            types.extend((0..heap::DEFINITIONS as u8).map(Heap));
            heap = heap::definitions(choices, &types);
            text.push_str("  (rec\n");
            for (number, definition) in heap.iter().enumerate() {
                line(&mut text, format_args!("  (type $h{number} {definition})"));
            }
            text.push_str("  )\n");
        }
        let mut signatures: Vec<Signature> = Vec::new();
        for _ in 0..2 + choices.below(4) {
            let mut signature = Signature::random(choices, &types);
            // Functions with the same results can call each other in tail position.
            if let Some(before) = signatures.last().filter(|_| choices.one_in(2)) {
                signature.results.clone_from(&before.results);
            }
            signatures.push(signature);
        }
        for (i, signature) in signatures.iter().enumerate() {
            line(&mut text, format_args!("(type $t{i} (func{signature}))"));
        }
        line(&mut text, format_args!("(import \"host\" \"log\" (func $log (param i64) (result i32)))"));
        for memory in ["m0", "m1"] {
            line(&mut text, format_args!("(memory ${memory} (export \"{memory}\") {PAGES} {MAX_PAGES})"));
        }
        if abilities.memory64 {
            line(&mut text, format_args!("(memory $m64 (export \"m64\") i64 {PAGES} {MAX_PAGES})"));
            line(
                &mut text,
                format_args!("(table $refs64 (export \"refs64\") i64 {TABLE} {} funcref)", TABLE + 4),
            );
        }
        if abilities.threads {
            line(&mut text, format_args!("(memory $shared {PAGES} {MAX_PAGES} shared)"));
        }
        let globals: Vec<Type> = (0..choices.below(5)).map(|_| choices.of(&types)).collect();
        for (i, &ty) in globals.iter().enumerate() {
            let name = if matches!(ty, FuncRef) { String::new() } else { format!(" (export \"g{i}\")") };
            line(&mut text, format_args!("(global $g{i}{name} (mut {ty}) ({}))", constant(choices, ty)));
        }
        let carried: Vec<Type> = (0..choices.below(5)).map(|_| choices.of(&types)).collect();
        if abilities.exceptions || abilities.legacy_exceptions {
            line(&mut text, format_args!("(tag $e0)"));
            line(&mut text, format_args!("(tag $e1{})", Signature::of(&carried, &[])));
        }
        // `$calls` holds function i at i and is never written; `$refs` is everybody's.
        let names: Vec<String> = (0..signatures.len()).map(|i| format!("$f{i}")).collect();
        line(&mut text, format_args!("(table $calls funcref (elem {}))", names.join(" ")));
        line(&mut text, format_args!("(table $refs (export \"refs\") {TABLE} {} funcref)", TABLE + 4));
        line(&mut text, format_args!("(elem $functions func {})", names.join(" ")));
        line(&mut text, format_args!("(data $bytes \"\\01\\02\\ff\\80mini-wasm\\00\\7f\\fe\")"));
        line(&mut text, format_args!("(data (memory $m0) (i32.const 65530) \"\\de\\ad\\be\\ef\\01\")"));
        let (vectors, scalars): (Vec<&Row>, Vec<&Row>) = rows()
            .iter()
            .filter(|row| abilities.threads || !row.is_atomic())
            .filter(|row| abilities.wide || !row.is_wide())
            .partition(|row| row.is_vector());
        let vectors = if abilities.vectors { vectors } else { Vec::new() };
        let environment =
            Environment { signatures, globals, carried, heap, types, scalars, vectors, abilities };
        for i in 0..environment.signatures.len() {
            let (locals, body) = Body::grow(choices, i, &environment);
            let _ = write!(text, "  (func $f{i} (export \"f{i}\") (type $t{i})");
            locals.iter().for_each(|ty| {
                let _ = write!(text, " (local {ty})");
            });
            let _ = write!(text, "\n{body}  )\n");
        }
        text.push_str(")\n");
        Program { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeSet;
    use wasmparser::{Validator, WasmFeatures};

    /// Grows programs, holds them against the validator, and gives back every word of them.
    fn words(abilities: Abilities, programs: u64) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for seed in 0..programs {
            let entropy = Random::new(seed).bytes(3000);
            let program = Program::grow_with(&mut Choices::new(&entropy), abilities);
            let binary =
                wat::parse_str(&program.text).unwrap_or_else(|error| panic!("{error}\n{}", program.text));
            if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&binary) {
                panic!("seed {seed}: {error}\n{}", program.text);
            }
            seen.extend(program.text.split_whitespace().map(str::to_owned));
        }
        seen
    }

    #[test]
    fn every_program_is_valid_and_every_operator_of_the_table_occurs() {
        let seen = words(Abilities::of(crate::diff::features(&[])), 400);
        // These need a module of another kind: fibers, descriptors.
        let apart = ["cont.", "resume", "suspend", "switch", "_desc"];
        let missing: Vec<&str> = Op::ALL
            .iter()
            .map(|op| op.mnemonic())
            .filter(|name| !seen.contains(*name) && !apart.iter().any(|part| name.contains(part)))
            .collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn every_program_is_valid_with_and_without_everything() {
        let all = Abilities {
            vectors: true,
            wide: true,
            exceptions: true,
            legacy_exceptions: true,
            function_references: true,
            gc: true,
            memory64: true,
            threads: true,
            page_sizes: true,
            switching: true,
            descriptors: true,
        };
        let seen = words(all, 150);
        for name in ["struct.get_u", "array.init_data", "br_on_cast_fail", "call_ref", "delegate"] {
            assert!(seen.contains(name), "{name}");
        }
        let mut none = Features::default();
        for (name, _, _) in Features::LIST {
            none.set(name, false);
        }
        words(Abilities::of(none), 20);
    }

    #[test]
    fn no_bytes_give_the_simplest_program() {
        let program = Program::grow(&mut Choices::new(&[]));
        assert!(wat::parse_str(&program.text).is_ok_and(|binary| binary.len() < 400), "{}", program.text);
    }
}
