//! Where random modules come from.

use super::coverage::Counts;
use crate::program::{Abilities, Choices, Program};
use crate::random::Random;
use arbitrary::Unstructured;
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::ops::Op;

/// A maker of modules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `wasm-smith`: any corner of the binary format; most of its modules trap early.
    Smith,
    /// The typed generator, whose programs run far.
    Typed,
    /// The typed generator's drills: what is seldom executed otherwise.
    Drill,
}

impl Source {
    /// The source of a name.
    pub fn of(name: &str) -> Option<Vec<Source>> {
        match name {
            "smith" => Some(vec![Source::Smith]),
            "typed" => Some(vec![Source::Typed]),
            "drill" => Some(vec![Source::Drill]),
            "all" => Some(vec![Source::Typed, Source::Drill, Source::Smith]),
            _ => None,
        }
    }

    /// The module of a seed; `None` when the source makes none of it. Drills execute some of the operators that were `executed`
    /// least so far, if that is known, and some others.
    pub fn module(self, seed: u64, features: Features, executed: Option<&Counts>) -> Option<Vec<u8>> {
        let mut random = Random::new(seed);
        let binary = |program: Program| {
            wat::parse_str(&program.text).unwrap_or_else(|error| panic!("{error}\n{}", program.text))
        };
        match self {
            Source::Typed => {
                let length = 200 + random.below(2000);
                let bytes = random.bytes(length);
                Some(binary(Program::grow_with(&mut Choices::new(&bytes), Abilities::of(features))))
            }
            Source::Drill => {
                let bytes = random.bytes(1500);
                let mut wanted: Vec<Op> = (0..4).map(|_| Op::ALL[random.below(Op::ALL.len())]).collect();
                if let Some(executed) = executed {
                    let rarest = executed.rarest(40);
                    wanted.push(rarest[0]);
                    wanted.extend((0..3).map(|_| rarest[random.below(rarest.len())]));
                }
                Some(binary(Program::drill(&mut Choices::new(&bytes), Abilities::of(features), &wanted)))
            }
            Source::Smith => {
                let length = 500 + random.below(6000);
                let bytes = random.bytes(length);
                let mut unstructured = Unstructured::new(&bytes);
                let module = wasm_smith::Module::new(smith(features, &mut random), &mut unstructured).ok()?;
                Some(module.to_bytes())
            }
        }
    }
}

/// What `wasm-smith` may use: the engine's features, small memories and tables, everything exported.
fn smith(features: Features, random: &mut Random) -> wasm_smith::Config {
    let on = |name: &str| {
        let mut off = features;
        // A feature that the engine does not know is off.
        off.set(name, false).is_some() && off != features
    };
    let mut config = wasm_smith::Config {
        allow_start_export: true,
        export_everything: true,
        canonicalize_nans: false,
        bulk_memory_enabled: on("bulk-memory"),
        compact_imports_enabled: on("compact-imports"),
        custom_descriptors_enabled: on("custom-descriptors"),
        custom_page_sizes_enabled: on("custom-page-sizes"),
        exceptions_enabled: on("exceptions"),
        extended_const_enabled: on("extended-const"),
        gc_enabled: on("gc") && on("function-references"),
        memory64_enabled: on("memory64"),
        multi_value_enabled: on("multi-value"),
        reference_types_enabled: on("reference-types"),
        relaxed_simd_enabled: on("relaxed-simd"),
        saturating_float_to_int_enabled: on("saturating-float-to-int"),
        sign_extension_ops_enabled: on("sign-extension"),
        simd_enabled: on("simd"),
        tail_call_enabled: on("tail-call"),
        threads_enabled: on("threads"),
        wide_arithmetic_enabled: on("wide-arithmetic"),
        shared_everything_threads_enabled: false,
        max_memories: if on("multi-memory") { 3 } else { 1 },
        max_tables: if on("reference-types") { 4 } else { 1 },
        max_imports: if random.one_in(2) { 0 } else { 5 },
        min_funcs: 2,
        max_funcs: 12,
        min_exports: 1,
        max_instructions: 60 + random.below(200),
        max_memory32_bytes: 1 << 19,
        max_memory64_bytes: 1 << 19,
        max_table_elements: 500,
        max_types: 20,
        max_globals: 12,
        max_data_segments: 6,
        max_element_segments: 6,
        max_tags: 4,
        memory_max_size_required: false,
        ..wasm_smith::Config::default()
    };
    // Mostly inside of a memory of a page or a few.
    config.memory_offset_choices = wasm_smith::MemoryOffsetChoices(90, 9, 1);
    config.disallow_traps = random.one_in(3);
    config
}
