//! Types of imports and exports in words, and how two of them differ: for whoever is told that they do not fit.

use crate::types::{ExternType, Limits, MemoryType, TableType};
use alloc::string::String;
use alloc::{format, vec::Vec};

/// What is wanted, what is given instead, and each property in which they differ. `given_as` is the end of "... is".
pub(crate) fn wanted_and_given(want: &ExternType, have: &ExternType, given_as: &str) -> String {
    let mut words = format!("{} is wanted, {} is {given_as}", describe(want), describe(have));
    let differences = differences(want, have);
    if !differences.is_empty() {
        words += "; they differ in ";
        words += &differences.join(", ");
    }
    words
}

/// A type in words.
pub(crate) fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => format!("function {ty}"),
        ExternType::Table(ty) => describe_table(ty),
        ExternType::Memory(ty) => describe_memory(ty),
        ExternType::Global(ty) => {
            format!("{}global {}", if ty.mutable { "mutable " } else { "" }, ty.content)
        }
        ExternType::Tag(ty) => format!("tag {ty}"),
    }
}

fn describe_memory(ty: &MemoryType) -> String {
    let wide = if ty.memory64 { "64-bit " } else { "" };
    let shared = if ty.shared { "shared " } else { "" };
    let page = match ty.page_size_log2 {
        16 => String::new(),
        log2 => format!(" of {}", page_bytes(log2)),
    };
    format!("{wide}{shared}memory of {} pages{page}, {}", ty.limits.min, most(&ty.limits))
}

fn describe_table(ty: &TableType) -> String {
    let wide = if ty.table64 { "64-bit " } else { "" };
    format!("{wide}table of {} {}, {}", ty.limits.min, ty.element, most(&ty.limits))
}

fn most(limits: &Limits) -> String {
    limits.max.map_or_else(|| "no maximum".into(), |max| format!("at most {max}"))
}

fn page_bytes(log2: u8) -> String {
    match log2 {
        0 => "1 byte".into(),
        log2 => format!("{} bytes", 1u64 << log2),
    }
}

/// Each property in which `have` does not do for `want`.
fn differences(want: &ExternType, have: &ExternType) -> Vec<String> {
    let mut all = Vec::new();
    let mut note = |what: &str, wanted: &str, given: &str| {
        all.push(format!("{what} ({wanted} wanted, {given} given)"));
    };
    let bits = |wide| if wide { "64 bits" } else { "32 bits" };
    match (want, have) {
        (ExternType::Memory(want), ExternType::Memory(have)) => {
            if want.memory64 != have.memory64 {
                note("address size", bits(want.memory64), bits(have.memory64));
            }
            if want.page_size_log2 != have.page_size_log2 {
                note("page size", &page_bytes(want.page_size_log2), &page_bytes(have.page_size_log2));
            }
            if want.shared != have.shared {
                let word = |shared| if shared { "shared" } else { "not shared" };
                note("sharing", word(want.shared), word(have.shared));
            }
            limits("pages", &want.limits, &have.limits, &mut note);
        }
        (ExternType::Table(want), ExternType::Table(have)) => {
            if want.table64 != have.table64 {
                note("address size", bits(want.table64), bits(have.table64));
            }
            if want.element != have.element {
                note("type of the elements", &format!("{}", want.element), &format!("{}", have.element));
            }
            limits("elements", &want.limits, &have.limits, &mut note);
        }
        (ExternType::Global(want), ExternType::Global(have)) => {
            if want.mutable != have.mutable {
                let word = |mutable| if mutable { "mutable" } else { "immutable" };
                note("mutability", word(want.mutable), word(have.mutable));
            }
            if want.content != have.content {
                note("type", &format!("{}", want.content), &format!("{}", have.content));
            }
        }
        (ExternType::Func(want), ExternType::Func(have)) | (ExternType::Tag(want), ExternType::Tag(have)) => {
            if want.params() != have.params() {
                all.push("parameters".into());
            }
            if want.results() != have.results() {
                all.push("results".into());
            }
            if all.is_empty() {
                all.push("the recursion group or hierarchy of the type".into());
            }
        }
        _ => all.push("kind".into()),
    }
    all
}

fn limits(unit: &str, want: &Limits, have: &Limits, note: &mut impl FnMut(&str, &str, &str)) {
    if have.min < want.min {
        note("size", &format!("at least {} {unit}", want.min), &format!("{}", have.min));
    }
    if let Some(max) = want.max
        && have.max.is_none_or(|have| have > max)
    {
        let given = have.max.map_or_else(|| "none".into(), |max| format!("{max}"));
        note("maximum", &format!("at most {max} {unit}"), &given);
    }
}
