//! Which feature a binary needs that the engine does not have yet.
//!
//! The engine refused the binary. If it is valid with the usual features and all of [`LEFT_OUT`], and one of [`LEFT_OUT`] is
//! among those that it cannot do without, then this is not a failure but a gap in the plan, and the directive is skipped with the
//! gate's name. [`LEFT_OUT`] shrinks: whoever builds a feature takes it off, and from then on a refusal is a failure.

use wasmparser::{Validator, WasmFeatures};

/// Features that component scripts use and the engine does not have.
pub const LEFT_OUT: WasmFeatures = WasmFeatures::SIMD
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_FORWARD)
    .union(WasmFeatures::CM_ACCESSORS)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_VALUES)
    .union(WasmFeatures::CM_NESTED_NAMES);

/// The gates of a refused binary, joined; `None` when it is invalid anyhow, or needs nothing that is left out.
pub fn gate(bytes: &[u8]) -> Option<String> {
    let accepts = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    let all = WasmFeatures::default().union(LEFT_OUT);
    if !accepts(all) {
        return None;
    }
    let needed: Vec<&str> = LEFT_OUT
        .iter_names()
        .filter(|&(_, flag)| !accepts(all.difference(flag)))
        .map(|(name, _)| name)
        .collect();
    (!needed.is_empty()).then(|| format!("needs {}", needed.join(" and ").to_lowercase().replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn an_invalid_binary_has_no_gate() {
        assert_eq!(gate(b"\0asm\x01\0\0"), None);
    }

    #[test]
    fn a_binary_that_needs_nothing_special_has_no_gate() {
        assert_eq!(gate(MODULE), None);
    }

    #[test]
    fn a_binary_is_gated_by_the_feature_it_cannot_do_without() {
        // A table of 64-bit indices: type section absent, table section with flag 4.
        let table64 = [MODULE, &[4, 4, 1, 0x70, 4, 0]].concat();
        assert_eq!(gate(&table64).as_deref(), Some("needs memory64"));
    }
}
