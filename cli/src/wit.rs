//! WIT as commands read and print it (WIT.md), through the crates wit-parser and wit-component.

use crate::failure::Failure;
use crate::guest::unversioned;
use std::path::Path;
use wit_component::DecodedWasm;
use wit_parser::{CloneMaps, PackageId, Resolve, WorldId};

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
        let mut resolve = Resolve { all_features: unstable == Unstable::Counts, ..Resolve::default() };
        // The error shows the source.
        let (package, _) = resolve
            .push_path(path)
            .map_err(|error| Failure::Other(format!("cannot read WIT from {}: {error:#}", path.display())))?;
        Ok(Wit { resolve, package })
    }

    /// The WIT that a component carries, or a package that is encoded as one.
    pub(crate) fn of_component(name: &str, bytes: &[u8]) -> Result<Wit, Failure> {
        let wrong = |error| Failure::Other(format!("{name} carries no WIT that can be shown: {error:#}"));
        let decoded = wit_component::decode(bytes).map_err(wrong)?;
        let package = decoded.package();
        match decoded {
            DecodedWasm::WitPackage(resolve, _) | DecodedWasm::Component(resolve, _) => {
                Ok(Wit { resolve, package })
            }
        }
    }

    /// The world that toolchains put into a core module; none if there is none.
    pub(crate) fn of_module(name: &str, bytes: &[u8]) -> Result<Option<Wit>, Failure> {
        let (rest, metadata) = wit_component::metadata::decode(bytes)
            .map_err(|error| Failure::Other(format!("{name}: its world cannot be read: {error:#}")))?;
        let package = metadata.resolve.worlds[metadata.world].package;
        Ok(rest.and(package).map(|package| Wit { resolve: metadata.resolve, package }))
    }

    /// The package as text, then those that it uses.
    pub(crate) fn print(&self) -> Result<String, Failure> {
        let nested: Vec<_> =
            self.resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != self.package).collect();
        let mut printer = wit_component::WitPrinter::default();
        printer
            .print(&self.resolve, self.package, &nested)
            .map_err(|error| Failure::Other(format!("the WIT cannot be printed: {error:#}")))?;
        Ok(String::from(printer.output))
    }

    /// A world by its name, `world` or `ns:pkg/world@1.2.3`; without one the only one.
    pub(crate) fn world(&self, name: Option<&str>) -> Result<WorldId, Failure> {
        self.resolve.select_world(&[self.package], name).map_err(|error| {
            let all = self.worlds().map(|(_, name)| format!("\n  {name}")).collect::<String>();
            Failure::Usage(format!("--world: {error:#}; the worlds are:{all}"))
        })
    }

    /// Lets a world import all that WASI 0.2 has for commands and for HTTP as well.
    pub(crate) fn import_wasi(&mut self, world: WorldId) -> Result<(), Failure> {
        for name in ["wasi:cli/imports", "wasi:http/imports"] {
            let cannot = |error| Failure::Other(format!("cannot add {name} to the world: {error:#}"));
            let (wasi, imports) = wasi_world(name)?;
            let moved = self.resolve.merge(wasi.resolve).map_err(cannot)?;
            let imports =
                moved.map_world(imports, Default::default()).map_err(|error| cannot(error.into()))?;
            self.resolve.merge_worlds(imports, world, &mut CloneMaps::default()).map_err(cannot)?;
        }
        Ok(())
    }

    /// All worlds with their whole names.
    pub(crate) fn worlds(&self) -> impl Iterator<Item = (WorldId, String)> {
        self.resolve
            .worlds
            .iter()
            .filter_map(|(id, world)| Some((id, self.resolve.id_of_name(world.package?, &world.name))))
    }
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
