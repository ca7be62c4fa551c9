//! WIT as commands read and print it (WIT.md), through the crates wit-parser and wit-component.

use crate::failure::Failure;
use crate::guest::unversioned;
use crate::input::{Content, Input};
use crate::{deep, input, nesting, quote};
use mini_wasm_wast::text;
use std::collections::HashMap;
use std::path::Path;
use wit_component::DecodedWasm;
use wit_parser::{CloneMaps, PackageId, Resolve, Type, TypeDefKind, TypeId, WorldId};

/// The packages of WASI 0.2, licensed as this is: what `inspect --wit` prints of the official ones, but for comments (a test
/// compares).
const WASI: &str = include_str!("wasi-0.2.12.wit");

/// What becomes of items that a package calls unstable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unstable {
    /// They count: a component may use them.
    Counts,
    /// They are not there, as for who builds against a package and has not asked for them.
    LeftOut,
}

/// A WIT package with all that it uses.
pub(crate) struct Wit {
    pub(crate) resolve: Resolve,
    pub(crate) package: PackageId,
}

impl Wit {
    /// Reads a folder with its `deps`, a .wit file, or a WIT package in binary or text.
    pub(crate) fn read(path: &Path, unstable: Unstable) -> Result<Wit, Failure> {
        if path.is_dir() {
            let mut resolve = Wit::beginning(unstable);
            let name = path.display().to_string();
            nesting::check_folder(path)?;
            let (package, _) = deep::on_a_large_stack(|| resolve.push_dir(path))?
                .map_err(|error| unreadable(&name, error))?;
            return Wit { resolve, package }.checked(&name);
        }
        let (name, bytes) = input::read_bytes(path)?;
        Wit::of(name, bytes, unstable)
    }

    /// WIT that was read already, text or binary.
    pub(crate) fn of(name: String, bytes: Vec<u8>, unstable: Unstable) -> Result<Wit, Failure> {
        let text = std::str::from_utf8(&bytes).ok().filter(|text| text::begins_like_text(text) != Some(true));
        let Some(text) = text else {
            return match Input::recognise(name, bytes)? {
                Input { name, content: Content::Component(bytes) } => Wit::of_component(&name, &bytes),
                Input { name, .. } => Err(Failure::Other(format!("{name} is no WIT, as text or binary"))),
            };
        };
        nesting::check(&name, text)?;
        let mut resolve = Wit::beginning(unstable);
        let read = deep::on_a_large_stack(|| resolve.push_str(&name, text))?;
        let package = read.map_err(|error| unreadable(&name, error))?;
        Wit { resolve, package }.checked(&name)
    }

    /// Itself, if its types do not lead from one to the next for longer than encoders and printers can follow.
    fn checked(self, name: &str) -> Result<Wit, Failure> {
        let mut depths = HashMap::new();
        // A type stands behind those that it is made of.
        for (id, ty) in self.resolve.types.iter() {
            let depth = 1 + parts(&ty.kind).filter_map(|part| depths.get(&part)).max().copied().unwrap_or(0);
            if depth > MAX_TYPE_DEPTH {
                let ty = ty.name.as_deref().unwrap_or("a type");
                return Err(Failure::Other(format!(
                    "{name}: `{ty}` is made of types that are made of types, and so on for more than {MAX_TYPE_DEPTH} levels"
                )));
            }
            depths.insert(id, depth);
        }
        Ok(self)
    }

    fn beginning(unstable: Unstable) -> Resolve {
        Resolve { all_features: unstable == Unstable::Counts, ..Resolve::default() }
    }

    /// The WIT that a component carries, or a package that is encoded as one.
    pub(crate) fn of_component(name: &str, bytes: &[u8]) -> Result<Wit, Failure> {
        let wrong = |error: &dyn core::fmt::Display| {
            Failure::Other(format!("{name} carries no WIT that can be shown: {error}"))
        };
        // The decoder reads as from a stream: it makes room for as many bytes as a section says
        // that it has, whether they come or not.
        for payload in wasmparser::Parser::new(0).parse_all(bytes) {
            payload.map_err(|error| wrong(&error))?;
        }
        let decoded = deep::on_a_large_stack(|| wit_component::decode(bytes))?;
        let decoded = decoded.map_err(|error| wrong(&format_args!("{error:#}")))?;
        let package = decoded.package();
        match decoded {
            DecodedWasm::WitPackage(resolve, _) | DecodedWasm::Component(resolve, _) => {
                Wit { resolve, package }.checked(name)
            }
        }
    }

    /// The world that toolchains put into a core module; none if there is none.
    pub(crate) fn of_module(name: &str, bytes: &[u8]) -> Result<Option<Wit>, Failure> {
        let (rest, metadata) = deep::on_a_large_stack(|| wit_component::metadata::decode(bytes))?
            .map_err(|error| Failure::Other(format!("{name}: its world cannot be read: {error:#}")))?;
        let package = metadata.resolve.worlds[metadata.world].package;
        let wit = rest.and(package).map(|package| Wit { resolve: metadata.resolve, package });
        wit.map(|wit| wit.checked(name)).transpose()
    }

    /// The package as text, then those that it uses.
    pub(crate) fn print(&self) -> Result<String, Failure> {
        let nested: Vec<_> =
            self.resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != self.package).collect();
        deep::on_a_large_stack(|| {
            let mut printer = wit_component::WitPrinter::default();
            printer
                .print(&self.resolve, self.package, &nested)
                .map_err(|error| Failure::Other(format!("the WIT cannot be printed: {error:#}")))?;
            Ok(String::from(printer.output))
        })?
    }

    /// The package as a binary.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Failure> {
        deep::on_a_large_stack(|| wit_component::encode(&self.resolve, self.package, false))?
            .map_err(|error| Failure::Other(format!("the WIT cannot be encoded: {error:#}")))
    }

    /// A world by its name, `world` or `ns:pkg/world@1.2.3`; without one the only one.
    pub(crate) fn world(&self, name: Option<&str>) -> Result<WorldId, Failure> {
        self.resolve.select_world(&[self.package], name).map_err(|error| {
            let mut worlds = self.worlds();
            let mut all: String =
                worlds.by_ref().take(LISTED).map(|(_, name)| format!("\n  {name}")).collect();
            match worlds.count() {
                0 => {}
                more => all += &format!("\n  ... and {more} more"),
            }
            let told = quote::brief(&format!("{error:#}"));
            Failure::Usage(format!("--world: {told}; the worlds are:{all}"))
        })
    }

    /// A world that also imports all that WASI 0.2 has for commands and for HTTP. It stands in a package of its own: if a world
    /// of WASI's had these imports, packages of WASI would depend on each other in a circle, which wit-parser follows without end.
    pub(crate) fn with_wasi(mut self, world: WorldId) -> Result<(Wit, WorldId), Failure> {
        let cannot = |error| Failure::Other(format!("cannot add WASI to the world: {error:#}"));
        let package = self.resolve.push_str("check.wit", "package mini-wasm:check;\nworld with-wasi {}\n");
        let package = package.map_err(|error| Failure::Other(format!("{error}")))?;
        let wider = self.resolve.packages[package].worlds["with-wasi"];
        self.resolve.merge_worlds(world, wider, &mut CloneMaps::default()).map_err(cannot)?;
        for name in ["wasi:cli/imports", "wasi:http/imports"] {
            let (wasi, imports) = wasi_world(name)?;
            let moved = self.resolve.merge(wasi.resolve).map_err(cannot)?;
            let imports =
                moved.map_world(imports, Default::default()).map_err(|error| cannot(error.into()))?;
            self.resolve.merge_worlds(imports, wider, &mut CloneMaps::default()).map_err(cannot)?;
        }
        Ok((Wit { package, ..self }, wider))
    }

    /// All worlds with their whole names.
    pub(crate) fn worlds(&self) -> impl Iterator<Item = (WorldId, String)> {
        self.resolve
            .worlds
            .iter()
            .filter_map(|(id, world)| Some((id, self.resolve.id_of_name(world.package?, &world.name))))
    }
}

/// How many worlds a message lists.
const LISTED: usize = 40;

/// How many types may lead from one to the next; interfaces have a dozen.
const MAX_TYPE_DEPTH: u32 = 1000;

/// The types that a type is made of.
fn parts(kind: &TypeDefKind) -> impl Iterator<Item = TypeId> {
    let types: Vec<&Type> = match kind {
        TypeDefKind::Type(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Option(ty) => vec![ty],
        TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().collect(),
        TypeDefKind::Map(key, value) => vec![key, value],
        TypeDefKind::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty.as_ref()).collect(),
        TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).collect(),
        TypeDefKind::Resource
        | TypeDefKind::Handle(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Unknown => Vec::new(),
    };
    let ids = |ty: &Type| match ty {
        Type::Id(id) => Some(*id),
        _ => None,
    };
    types.into_iter().filter_map(ids).collect::<Vec<_>>().into_iter()
}

/// The reader's words; they show the source.
fn unreadable(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Other(format!("cannot read WIT from {name}: {}", quote::brief(&format!("{error:#}"))))
}

/// One of the worlds of WASI 0.2, which come with us; its version need not be said.
pub(crate) fn wasi_world(name: &str) -> Result<(Wit, WorldId), Failure> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let package = resolve
        .push_str("wasi-0.2.12.wit", WASI)
        .map_err(|error| Failure::Other(format!("crash: our own WIT does not parse: {error:#}")))?;
    let mut wit = Wit { resolve, package };
    let found = wit.worlds().find(|(_, known)| known == name || unversioned(known) == name);
    let Some((world, _)) = found else {
        let all = wit.worlds().map(|(_, name)| format!("\n  {name}")).collect::<String>();
        return Err(Failure::Usage(format!(
            "--world: `{name}` is none of the worlds that come with mini-wasm; and `--wit` does not say where it is; there are:{all}"
        )));
    };
    // A world is of the package that it is in, not of the one that holds them all.
    wit.package = wit.resolve.worlds[world].package.unwrap_or(wit.package);
    Ok((wit, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_that_a_core_module_carries_is_found() {
        let mut module = wat::parse_str("(module)").unwrap();
        assert!(Wit::of_module("it", &module).unwrap().is_none());
        let (wit, world) = wasi_world("wasi:http/proxy").unwrap();
        let encoding = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &wit.resolve, world, encoding, false).unwrap();
        let found = Wit::of_module("it", &module).unwrap().unwrap();
        let text = found.print().unwrap();
        assert!(text.contains("export wasi:http/incoming-handler@0.2.12;"), "{text}");
    }

    #[test]
    fn every_world_of_wasi_is_found_with_and_without_its_version() {
        let (wit, _) = wasi_world("wasi:cli/command").unwrap();
        let names: Vec<String> = wit.worlds().map(|(_, name)| name).collect();
        assert!(names.len() >= 9, "{names:?}");
        for name in names {
            let base = unversioned(&name);
            let (wit, world) = wasi_world(base).unwrap();
            assert_eq!(wit.resolve.worlds[world].package, Some(wit.package), "{name}");
            assert!(wasi_world(&name).is_ok(), "{name}");
            assert!(wasi_world(&format!("{base}x")).is_err(), "{name}");
        }
    }
}
