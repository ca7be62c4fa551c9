//! Imports that nobody defines: which they are, and what would provide them.

use crate::failure::Failure;
use crate::guest::unversioned;
use crate::wat_type::extern_type;
use crate::{input, proposals};
use mini_wasm_runtime::component::{Component, ExternType, TypeBound};
use mini_wasm_runtime::{Error, ErrorKind, Module};
use mini_wasm_wasi::{INTERFACES, Listed, Unstable, drafts};

/// The last line of either message.
const STUBS: &str = "\n`--stub-missing` runs it anyway: a call of one of them is then a trap";

/// How many are listed.
const LISTED: usize = 12;

/// Are all imports of a core module among the names that are `defined`?
pub(crate) fn check(module: &Module, name: &str, defined: &[(String, String)]) -> Result<(), Failure> {
    let is_defined = |from: &str, name: &str| defined.iter().any(|(f, n)| f == from && n == name);
    let missing: Vec<_> = module.imports().filter(|(from, name, _)| !is_defined(from, name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(what) = input::for_other_tools(module.info().wasm.bytes()) {
        return Err(Error::new(ErrorKind::Unlinkable, format!("{name} is {what}")).into());
    }
    let mut text = list(name, &missing, |(from, name, ty)| format!("{from:?} {name:?} {}", extern_type(ty)));
    let mut modules: Vec<&str> = missing.iter().map(|(from, _, _)| *from).collect();
    modules.sort_unstable();
    modules.dedup();
    for from in modules {
        text += "\n";
        text += &provider(from);
    }
    text += STUBS;
    Err(Error::new(ErrorKind::Unlinkable, text).into())
}

/// The first lines of either message.
fn list<I>(name: &str, missing: &[I], line: impl Fn(&I) -> String) -> String {
    let mut text = format!("{name} imports what nobody defines:");
    for import in missing.iter().take(LISTED) {
        text += &format!("\n  {}", line(import));
    }
    if missing.len() > LISTED {
        text += &format!("\n  ... and {} more", missing.len() - LISTED);
    }
    text
}

/// What would provide the imports under a core module's import name.
fn provider(from: &str) -> String {
    match from {
        "wasi_snapshot_preview1" => "WASI preview 1, which mini-wasm offers whole, has no function of this name".into(),
        "wasi_unstable" => {
            "`wasi_unstable` is the forerunner of WASI preview 1: `--wasi-unstable` offers it".into()
        }
        "wasi" => "`wasi` `thread-spawn` is a draft for threads, which mini-wasm does not offer".into(),
        "env" => "`env` is what toolchains import from when they link against nothing: a module that exports these names \
                  would provide them (`--preload env=FILE`)"
            .into(),
        from => format!("a module that exports these names would provide `{from}`: `--preload {from}=FILE`"),
    }
}

/// The linker's error for a component, with all imports of which we offer no version and what would provide them. `unstable` is
/// what the flags ask for.
pub(crate) fn explain(component: &Component, name: &str, unstable: &[Unstable], error: Error) -> Failure {
    let same = |known: &str, import: &str| unversioned(known) == unversioned(import);
    let functions = mini_wasm_wasi::functions();
    // Of a draft there is the one version that has its name.
    let known = |import: &str| {
        !proposals::is_wasi_03(import)
            && (INTERFACES.iter().any(|known| same(known, import)) || drafts::INTERFACES.contains(&import))
    };
    // What an import wants of what is unstable and was not asked for.
    let wanted = |import: &str, ty: &ExternType| -> Vec<Unstable> {
        let ExternType::Instance(ty) = ty else { return Vec::new() };
        let has =
            |f: &&Listed| same(&f.interface, import) && ty.exports.iter().any(|(name, _)| **name == *f.name);
        let features = functions.iter().filter(has).filter_map(|f| f.feature);
        features.filter(|feature| !unstable.contains(feature)).collect()
    };
    let mut features = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for (import, ty) in component.imports() {
        let unstable = wanted(import, ty);
        if needs_definition(ty) && (!known(import) || !unstable.is_empty()) {
            missing.push(import);
        }
        features.extend(unstable);
    }
    features.sort_unstable();
    features.dedup();
    if error.kind() != ErrorKind::Unlinkable || missing.is_empty() {
        return Failure::engine(name)(error);
    }
    let mut text = list(name, &missing, |import| String::from(*import));
    for feature in features {
        let feature = feature.name();
        text += &format!("\n`{feature}` is unstable in WASI 0.2: `--unstable {feature}` offers it");
    }
    let (wasi, others): (Vec<&str>, Vec<&str>) =
        missing.iter().partition(|import| import.starts_with("wasi:"));
    if wasi.iter().any(|import| proposals::is_wasi_03(import)) {
        text += &format!("\nit {}", proposals::NEEDS_ASYNC);
    } else if let Some(import) = wasi.iter().find(|import| !known(import)) {
        text += &format!(
            "\n`{import}` is not among the interfaces of WASI 0.2 that mini-wasm offers; if the program does not need it, \
             build it without"
        );
    }
    if let Some(import) = others.first() {
        text += &format!(
            "\na component that exports `{import}` would provide it: plug the two together \
             (`mini-wasm compose app.wasm --plug provider.wasm -o whole.wasm`)"
        );
    }
    text += STUBS;
    Error::new(ErrorKind::Unlinkable, text).into()
}

/// Types that are no resources need none, nor do instances of nothing but such types.
fn needs_definition(ty: &ExternType) -> bool {
    match ty {
        ExternType::Type(TypeBound::Value(_) | TypeBound::Other) => false,
        // Interfaces hold no interfaces (WIT), so one step is all there is.
        ExternType::Instance(instance) => {
            let is_plain =
                |ty: &ExternType| matches!(ty, ExternType::Type(TypeBound::Value(_) | TypeBound::Other));
            !instance.exports.iter().all(|(_, ty)| is_plain(ty))
        }
        _ => true,
    }
}
