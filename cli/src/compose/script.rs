//! A script in wac's language: which instances there are, how they are connected, what is exported.

use super::{BorrowedPackageKey, EncodeOptions, PROCESSOR, chain, component};
use crate::failure::Failure;
use crate::flags::Compose;
use crate::input::Input;
use crate::wit::{Unstable, Wit};
use crate::{deep, nesting, quote};
use miette::Diagnostic;
use std::path::{Path, PathBuf};
use wac_parser::Document;
use wac_parser::lexer::{Lexer, Token};

/// Whether a file is a script: it is called one, or begins with its package.
pub(super) fn is_script(path: &Path, bytes: &[u8]) -> bool {
    let is_called_so = path.extension().is_some_and(|extension| extension == "wac");
    std::str::from_utf8(bytes).is_ok_and(|text| is_called_so || after_comments(text).starts_with("package"))
}

fn after_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let end = match rest.get(..2) {
            Some("//") => rest.find('\n'),
            Some("/*") => rest.find("*/").map(|end| end + 2),
            _ => return rest,
        };
        rest = end.map_or("", |end| rest[end..].trim_start());
    }
}

/// What a script composes.
pub(super) fn compose(name: &str, text: &str, flags: &Compose) -> Result<Vec<u8>, Failure> {
    let script = Script { name, text };
    nesting::check(name, text)?;
    script.has_few_definitions()?;
    let document = deep::on_a_large_stack(|| Document::parse(text))?.map_err(|error| script.wrong(&error))?;
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
    deep::on_a_large_stack(|| {
        let resolution = document.resolve(packages).map_err(|error| script.wrong(&error))?;
        let options = EncodeOptions { processor: Some(PROCESSOR), ..EncodeOptions::default() };
        resolution.encode(options).map_err(|error| script.wrong(&error))
    })?
}

/// Types, interfaces and worlds that a script may define, and definitions that it may use or
/// include.
const MAX_DEFINITIONS: usize = 1500;

struct Script<'s> {
    name: &'s str,
    text: &'s str,
}

impl<'s> Script<'s> {
    /// Definitions that stand on each other, one after the other, take the square of their number.
    fn has_few_definitions(&self) -> Result<(), Failure> {
        let is_definition = |token: Token| {
            matches!(
                token,
                Token::TypeKeyword
                    | Token::RecordKeyword
                    | Token::VariantKeyword
                    | Token::FlagsKeyword
                    | Token::EnumKeyword
                    | Token::ResourceKeyword
                    | Token::InterfaceKeyword
                    | Token::WorldKeyword
                    | Token::UseKeyword
                    | Token::IncludeKeyword
            )
        };
        let Ok(tokens) = Lexer::new(self.text) else { return Ok(()) };
        let mut definitions =
            tokens.filter(|(token, _)| token.as_ref().is_ok_and(|token| is_definition(*token)));
        match definitions.nth(MAX_DEFINITIONS) {
            None => Ok(()),
            Some((_, span)) => {
                let what = format!(
                    "a script has {MAX_DEFINITIONS} types, interfaces, worlds and uses of them at most"
                );
                Err(Failure::Other(quote::wrong_at(self.name, self.text, span.offset(), &what)))
            }
        }
    }

    /// Every package that is named but the script's own, with its version, each once.
    fn packages(&self, own: &str) -> Vec<(&'s str, Option<&'s str>)> {
        let Ok(tokens) = Lexer::new(self.text) else { return Vec::new() };
        let mut found = Vec::new();
        for (token, span) in tokens {
            // `ns:name/interface@1.2.3` is of the package `ns:name@1.2.3`.
            if matches!(token, Ok(Token::PackageName | Token::PackagePath)) {
                let Some(text) = self.text.get(span.offset()..span.offset() + span.len()) else { continue };
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
        Failure::Other(match at {
            Some(at) => quote::wrong_at(self.name, self.text, at, &chain(error)),
            None => format!("{}: {}", self.name, quote::brief(&chain(error))),
        })
    }
}

/// The component or WIT package of a name.
fn package(flags: &Compose, name: &str) -> Result<Vec<u8>, Failure> {
    let path = match flags.deps.iter().find(|dep| dep.name == name) {
        Some(dep) => dep.file.clone(),
        None => in_folder(flags.deps_dir.as_deref().unwrap_or(Path::new("deps")), name)?,
    };
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "wit") {
        return Wit::read(&path, Unstable::LeftOut)?.encode();
    }
    component(Input::read(&path)?, &flags.language).map(|(_, bytes)| bytes)
}

/// Where a package lies: `ns/name`, with its version as one more part, and an ending.
fn in_folder(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let mut path = folder.to_owned();
    path.extend(name.split([':', '@']));
    let with_ending = |ending: &str| {
        let mut path = path.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let candidates = [with_ending(".wasm"), with_ending(".wat"), with_ending(".wit"), path.clone()];
    candidates.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let (name, file) = (quote::brief(name), candidates[0].display().to_string());
        Failure::Other(format!(
            "the package `{name}` is not there: neither {} nor a folder of WIT; `--dep {name}=FILE` names it",
            quote::brief(&file)
        ))
    })
}
