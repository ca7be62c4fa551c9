//! `mini-wasm check FILE --world W`: does a component fit a world? wit-component judges, by subtyping as at instantiation; what is
//! listed comes from wac's comparison item by item.

use crate::failure::Failure;
use crate::flags::Check;
use crate::input::{Content, Input};
use crate::proposals::{refused, warn_of_wasi_03};
use crate::wit::{Unstable, Wit, wasi_world};
use crate::{deep, engine, output};
use mini_wasm_runtime::component::Component;
use std::fmt::Write;
use wac_graph::types::{ItemKind, Package, TargetValidationReport, Type, Types, validate_target};
use wit_parser::WorldId;

/// Checks; 1 if it does not fit.
pub(crate) fn check(flags: &Check) -> Result<u8, Failure> {
    let Input { name, content } = Input::read(&flags.file)?;
    let Content::Component(component) = content else {
        return Err(Failure::Usage(format!("{name} is no component, and only components have worlds")));
    };
    // What comes after relies on it.
    let engine = engine::reader(&flags.language);
    Component::new(&engine, &*component).map_err(refused(&name, &engine, &component))?;
    let (wit, world) = match (&flags.wit, &flags.world) {
        (Some(path), wanted) => {
            let wit = Wit::read(path, Unstable::Counts)?;
            let world = wit.world(wanted.as_deref())?;
            (wit, world)
        }
        (None, Some(wanted)) => wasi_world(wanted)?,
        // Clap asks for one of both.
        (None, None) => return Err(Failure::Usage("--world or --wit is wanted".into())),
    };
    let world_name = wit.worlds().find(|(id, _)| *id == world).map_or_else(String::new, |(_, name)| name);
    let (wit, world) = if flags.wasi { wit.with_wasi(world)? } else { (wit, world) };
    warn_of_wasi_03(&name, &component);
    let fits = deep::on_a_large_stack(|| wit_component::targets(&wit.resolve, world, &component, true))?;
    let Err(error) = fits else {
        return output::print(format!("{name} fits {world_name}\n")).map(|()| 0);
    };
    let misses = match deep::on_a_large_stack(|| misses(&wit, world, &component).ok())? {
        Some(misses) if !misses.is_empty() => misses,
        _ => format!("\n  {error:#}"),
    };
    Err(Failure::Other(format!("{name} does not fit {world_name}:{misses}")))
}

/// What keeps it from fitting, a line each.
fn misses(wit: &Wit, world: WorldId, component: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let mut types = Types::default();
    let encoded = wit.encode().map_err(|failure| failure.to_string())?;
    let package = Package::from_bytes("wit", None, encoded, &mut types)?;
    let component = Package::from_bytes("component", None, component, &mut types)?;
    let world = &wit.resolve.worlds[world].name;
    // A package exports each of its worlds as a component that exports the world's type.
    let found = types[package.ty()].exports.get(world).and_then(|kind| match kind {
        ItemKind::Type(Type::World(outer)) => types[*outer].exports.values().next(),
        _ => None,
    });
    let Some(ItemKind::Component(world)) = found else { return Ok(String::new()) };
    Ok(match validate_target(&types, *world, component.ty()) {
        Ok(()) => String::new(),
        Err(report) => list(&report, &types),
    })
}

fn list(report: &TargetValidationReport, types: &Types) -> String {
    let mut text = String::new();
    for import in report.imports_not_in_target() {
        let _ = write!(text, "\n  it imports `{import}`, and the world does not");
    }
    for (export, kind) in report.missing_exports() {
        let _ = write!(text, "\n  it does not export `{export}` ({})", kind.promote().desc(types));
    }
    for (name, kind, error) in report.mismatched_types() {
        let _ = write!(text, "\n  its {kind} `{name}` is of another type: {error:#}");
    }
    text
}
