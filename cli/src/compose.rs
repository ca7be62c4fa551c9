//! `mini-wasm compose`: components plugged together into one, through wac's graph of instances.

mod script;

use crate::failure::Failure;
use crate::flags::{Compose, Language};
use crate::input::{Content, Input};
use crate::proposals::{refused, warn_of_wasi_03};
use crate::{deep, engine, input, output};
use mini_wasm_runtime::component::Component;
use std::path::{Path, PathBuf};
use wac_graph::types::{BorrowedPackageKey, Package, SubtypeChecker, are_semver_compatible};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId, Processor};

/// What is left in the component as the tool that made it.
const PROCESSOR: Processor<'static> = Processor { name: "mini-wasm", version: env!("CARGO_PKG_VERSION") };

/// Composes.
pub(crate) fn compose(flags: &Compose) -> Result<u8, Failure> {
    let (file, plugs) = match (&flags.file, &*flags.plugs) {
        (Some(file), plugs) => (file, plugs),
        (None, [first, plugs @ ..]) => (first, plugs),
        // Clap asks for one of both.
        (None, []) => return Err(Failure::Usage("FILE or --plug is wanted".into())),
    };
    let (name, bytes) = input::read_bytes(file)?;
    let composed = match (script::is_script(file, &bytes), plugs, &flags.deps_dir) {
        (true, [], _) => script::compose(&name, &String::from_utf8_lossy(&bytes), flags)?,
        (true, ..) => {
            return Err(Failure::Usage(format!(
                "--plug wants a component to plug into, and {name} is a script"
            )));
        }
        (false, [], None) => {
            return Err(Failure::Usage(format!(
                "--plug or --deps-dir has to say what is plugged into {name}"
            )));
        }
        (false, [], Some(folder)) => {
            plug(Input::recognise(name, bytes)?, &components_in(folder)?, &flags.language)?
        }
        (false, plugs, _) => plug(Input::recognise(name, bytes)?, plugs, &flags.language)?,
    };
    // Ours to run: so our own reader has the last word.
    Component::new(&engine::reader(&flags.language), composed.clone())
        .map_err(Failure::engine("what was composed"))?;
    output::write_component(&composed, &flags.made).map(|()| 0)
}

/// Every component in a folder, by name.
fn components_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error| Failure::Other(format!("cannot read {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file that has to be a valid component: what comes after relies on that.
fn component(file: Input, language: &Language) -> Result<(String, Vec<u8>), Failure> {
    let Input { name, content } = file;
    let bytes = match content {
        Content::Component(bytes) => bytes,
        Content::Module(_) => {
            return Err(Failure::Usage(format!(
                "{name} is a core module; `mini-wasm componentize` makes a component of it"
            )));
        }
        Content::Artifact(_) => {
            return Err(Failure::Usage(format!("{name} is an artifact, and a component is wanted")));
        }
    };
    let engine = engine::reader(language);
    Component::new(&engine, &*bytes).map_err(refused(&name, &engine, &bytes))?;
    warn_of_wasi_03(&name, &bytes);
    Ok((name, bytes))
}

/// One component among those that are plugged together.
struct Part {
    name: String,
    package: PackageId,
}

/// An import of one part that another part's export fills.
struct Joint {
    importer: usize,
    import: String,
    exporter: usize,
    export: String,
}

fn plug(socket: Input, plugs: &[PathBuf], language: &Language) -> Result<Vec<u8>, Failure> {
    let mut components = vec![component(socket, language)?];
    for path in plugs {
        components.push(component(Input::read(path)?, language)?);
    }
    deep::on_a_large_stack(|| join(components))?
}

/// Components, the first being the one that the others are plugged into, as one.
fn join(components: Vec<(String, Vec<u8>)>) -> Result<Vec<u8>, Failure> {
    let mut graph = CompositionGraph::new();
    let mut parts = Vec::new();
    for (number, (name, bytes)) in components.into_iter().enumerate() {
        let wrong = |error: &dyn std::fmt::Display| Failure::Other(format!("{name}: {error}"));
        // Two plugs may be one file; the graph knows packages by name.
        let package = Package::from_bytes(&format!("part:part-{number}"), None, bytes, graph.types_mut())
            .map_err(|error| wrong(&format_args!("{error:#}")))?;
        let package = graph.register_package(package).map_err(|error| wrong(&error))?;
        parts.push(Part { name, package });
    }
    let joints = joints(&graph, &parts);
    let reached = reached(&joints, parts.len());
    if !reached.iter().skip(1).any(|reached| *reached) {
        let imports: Vec<&str> =
            graph.types()[graph[parts[0].package].ty()].imports.keys().map(String::as_str).collect();
        let name = &parts[0].name;
        return Err(Failure::Other(match imports.is_empty() {
            true => format!("{name} imports nothing that could be plugged"),
            false => format!("no plug exports what {name} imports: {}", imports.join(", ")),
        }));
    }
    for (part, _) in parts.iter().zip(&reached).filter(|(_, reached)| !**reached) {
        output::warn(format_args!("{} is left out: no import takes what it exports", part.name));
    }
    let nodes: Vec<Option<NodeId>> = parts
        .iter()
        .zip(&reached)
        .map(|(part, reached)| reached.then(|| graph.instantiate(part.package)))
        .collect();
    let wrong = |error: &dyn std::fmt::Display| Failure::Other(format!("cannot compose: {error}"));
    for joint in &joints {
        let (Some(importer), Some(exporter)) = (nodes[joint.importer], nodes[joint.exporter]) else {
            continue;
        };
        let export = graph.alias_instance_export(exporter, &joint.export).map_err(|error| wrong(&error))?;
        graph.set_instantiation_argument(importer, &joint.import, export).map_err(|error| wrong(&error))?;
    }
    let exports: Vec<String> = graph.types()[graph[parts[0].package].ty()].exports.keys().cloned().collect();
    for name in exports {
        let Some(socket) = nodes[0] else { continue };
        let export = graph.alias_instance_export(socket, &name).map_err(|error| wrong(&error))?;
        graph.export(export, &name).map_err(|error| wrong(&error))?;
    }
    let options = EncodeOptions { processor: Some(PROCESSOR), ..EncodeOptions::default() };
    graph.encode(options).map_err(|error| wrong(&chain(&error)))
}

/// For each import the first part behind that exports it. An export of another type fills nothing, and is told.
fn joints(graph: &CompositionGraph, parts: &[Part]) -> Vec<Joint> {
    let types = graph.types();
    let world = |part: &Part| &types[graph[part.package].ty()];
    let mut joints = Vec::new();
    for (importer, part) in parts.iter().enumerate() {
        for (import, wanted) in &world(part).imports {
            for (exporter, plug) in parts.iter().enumerate().skip(importer + 1) {
                let exports = &world(plug).exports;
                let named = exports
                    .get_key_value(import)
                    .or_else(|| exports.iter().find(|(export, _)| are_semver_compatible(export, import)));
                let Some((export, offered)) = named else { continue };
                let mut cache = Default::default();
                match SubtypeChecker::new(&mut cache).is_subtype(*offered, types, *wanted, types) {
                    Ok(()) => {
                        let (import, export) = (import.clone(), export.clone());
                        joints.push(Joint { importer, import, exporter, export });
                        break;
                    }
                    Err(error) => output::warn(format_args!(
                        "{} exports `{export}`, but not as {} imports `{import}`: {error:#}",
                        plug.name, part.name
                    )),
                }
            }
        }
    }
    joints
}

/// Which parts the first one needs.
fn reached(joints: &[Joint], parts: usize) -> Vec<bool> {
    let mut reached = vec![false; parts];
    reached[0] = true;
    // Exporters stand behind importers: one pass in order is all it takes.
    for importer in 0..parts {
        if reached[importer] {
            joints
                .iter()
                .filter(|joint| joint.importer == importer)
                .for_each(|joint| reached[joint.exporter] = true);
        }
    }
    reached
}

/// An error with what it stems from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
