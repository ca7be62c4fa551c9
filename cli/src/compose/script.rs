//! A script in wac's language: which instances there are, how they are connected, what is exported.

use super::{BorrowedPackageKey, EncodeOptions, PROCESSOR, chain, component};
use crate::failure::Failure;
use crate::flags::Compose;
use crate::wit::{Unstable, Wit};
use miette::Diagnostic;
use std::path::{Path, PathBuf};
use wac_parser::Document;
use wac_parser::lexer::{Lexer, Token};

/// What a script composes.
pub(super) fn compose(file: &Path, flags: &Compose) -> Result<Vec<u8>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Other(format!("cannot read {}: {error}", file.display())))?;
    let script = Script { file, text: &text };
    let document = Document::parse(&text).map_err(|error| script.wrong(&error))?;
    let mut found = Vec::new();
    for (name, version) in script.packages(document.directive.package.name) {
        let bytes = match version {
            None => package(flags, name)?,
            Some(version) => package(flags, &format!("{name}@{version}"))?,
        };
        // The parser has seen that it is a semantic version.
        found.push((name, version.and_then(|version| version.parse().ok()), bytes));
    }
    let packages = found
        .iter()
        .map(|(name, version, bytes)| {
            (BorrowedPackageKey::from_name_and_version(name, version.as_ref()), bytes.clone())
        })
        .collect();
    let resolution = document.resolve(packages).map_err(|error| script.wrong(&error))?;
    let options = EncodeOptions { processor: Some(PROCESSOR), ..EncodeOptions::default() };
    resolution.encode(options).map_err(|error| script.wrong(&error))
}

struct Script<'s> {
    file: &'s Path,
    text: &'s str,
}

impl<'s> Script<'s> {
    /// Every package that is named but the script's own, with its version, each once.
    fn packages(&self, own: &str) -> Vec<(&'s str, Option<&'s str>)> {
        let Ok(tokens) = Lexer::new(self.text) else { return Vec::new() };
        let mut found = Vec::new();
        for (token, span) in tokens {
            // `ns:name/interface@1.2.3` is of the package `ns:name@1.2.3`.
            if matches!(token, Ok(Token::PackageName | Token::PackagePath)) {
                let text = &self.text[span.offset()..][..span.len()];
                let (path, version) = match text.split_once('@') {
                    Some((path, version)) => (path, Some(version)),
                    None => (text, None),
                };
                let name = path.split_once('/').map_or(path, |(name, _)| name);
                if name != own && !found.contains(&(name, version)) {
                    found.push((name, version));
                }
            }
        }
        found
    }

    /// An error, and where in the script.
    fn wrong<E: std::error::Error + Diagnostic>(&self, error: &E) -> Failure {
        let at = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        let place = at.and_then(|at| self.text.get(..at)).map_or_else(String::new, |before| {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!(":{line}:{column}")
        });
        Failure::Other(format!("{}{place}: {}", self.file.display(), chain(error)))
    }
}

/// The component or WIT package of a name.
fn package(flags: &Compose, name: &str) -> Result<Vec<u8>, Failure> {
    let path = match flags.deps.iter().find(|dep| dep.name == name) {
        Some(dep) => dep.file.clone(),
        None => in_folder(flags.deps_dir.as_deref().unwrap_or(Path::new("deps")), name)?,
    };
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "wit") {
        let wit = Wit::read(&path, Unstable::LeftOut)?;
        return wit_component::encode(&wit.resolve, wit.package, false).map_err(|error| {
            Failure::Other(format!("the WIT in {} cannot be encoded: {error:#}", path.display()))
        });
    }
    component(&path, &flags.language).map(|(_, bytes)| bytes)
}

/// Where a package lies: `ns/name`, with its version as one more part, and an ending.
fn in_folder(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = name.split([':', '@']).fold(folder.to_owned(), |path, part| path.join(part));
    let with_ending = |ending: &str| {
        let mut path = path.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let candidates = [with_ending(".wasm"), with_ending(".wat"), with_ending(".wit"), path.clone()];
    candidates.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        Failure::Other(format!(
            "the package `{name}` is not there: neither {} nor a folder of WIT; `--dep {name}=FILE` names it",
            candidates[0].display()
        ))
    })
}
