//! Which feature a binary needs that the engine does not have yet, or that is off.
//!
//! The engine refused the binary. If it is valid with every feature that the validator knows, and one that the engine did not
//! have is among those that it cannot do without, then this is not a failure but a gap in the plan, and the directive is skipped
//! with the gate's name. What the engine has stands in [`Features::LIST`] and nowhere else: a feature that gets its row there is
//! gated no more, and from then on a refusal is a failure.

use mini_wasm_runtime::features::Features;
use wasmparser::{Validator, WasmFeatures};

/// Is the binary valid with these features?
pub(crate) fn accepts(bytes: &[u8], flags: WasmFeatures) -> bool {
    Validator::new_with_features(flags).validate_all(bytes).is_ok()
}

/// Those of `flags` that a binary, valid with `all`, cannot do without: as few as possible. Where one of several would do (a typed
/// function reference is allowed by two proposals) it is the older one.
pub(crate) fn needed(bytes: &[u8], all: WasmFeatures, flags: WasmFeatures) -> WasmFeatures {
    if !accepts(bytes, all) || accepts(bytes, all.difference(flags)) {
        return WasmFeatures::empty();
    }
    let mut left = all;
    let flags: Vec<WasmFeatures> = flags.iter_names().map(|(_, flag)| flag).collect();
    for &flag in flags.iter().rev() {
        if accepts(bytes, left.difference(flag)) {
            left = left.difference(flag);
        }
    }
    flags.into_iter().filter(|flag| left.intersects(*flag)).fold(WasmFeatures::empty(), WasmFeatures::union)
}

/// Features as a reader calls them.
pub(crate) fn names(flags: WasmFeatures) -> String {
    let names: Vec<String> =
        flags.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-")).collect();
    names.join(" and ")
}

/// The gates of a binary that an engine with `features` refused, joined; `None` when it is invalid anyhow, or needs nothing that
/// the engine was without.
pub fn gate(features: Features, bytes: &[u8]) -> Option<String> {
    let all = WasmFeatures::all();
    let needed = needed(bytes, all, all.difference(features.wasmparser()));
    (!needed.is_empty()).then(|| format!("needs {}", names(needed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn without(name: &str) -> Features {
        let mut features = Features::default();
        let _ = features.set(name, false);
        features
    }

    #[test]
    fn an_invalid_binary_has_no_gate() {
        assert_eq!(gate(Features::default(), b"\0asm\x01\0\0"), None);
    }

    #[test]
    fn a_binary_that_needs_nothing_special_has_no_gate() {
        assert_eq!(gate(Features::default(), MODULE), None);
    }

    #[test]
    fn a_binary_is_gated_by_the_feature_it_cannot_do_without() {
        // A table of 64-bit indices: type section absent, table section with flag 4.
        let table64 = [MODULE, &[4, 4, 1, 0x70, 4, 0]].concat();
        assert_eq!(gate(without("memory64"), &table64).as_deref(), Some("needs memory64"));
    }
}
