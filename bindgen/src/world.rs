//! A world as Rust: WIT is read, each interface gets its place, and everything is put together.

use crate::interface::Items;
use crate::names::{camel, snake};
use crate::options::Options;
use crate::types::{Place, Scope, Wit, docs, without_version};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use wit_parser::{InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem, WorldKey};

/// All of the Rust, or what is wrong with the WIT.
pub(crate) fn generate(options: &Options) -> Result<String, String> {
    let (resolve, world, files) = read(options)?;
    let mut wit =
        Wit { resolve, options, imports: BTreeMap::new(), exports: BTreeMap::new(), errors: BTreeSet::new() };
    place(&mut wit, world)?;
    let mut source = module(&wit, world)?;
    for file in files {
        // So that a change of the file is a change of the crate.
        let _ = writeln!(source, "const _: &[u8] = ::core::include_bytes!({file:?});");
    }
    Ok(source)
}

/// The WIT, the world, and the files it came from.
fn read(options: &Options) -> Result<(Resolve, WorldId, Vec<String>), String> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let (mut packages, mut files) = (Vec::new(), Vec::new());
    for path in &options.paths {
        let path = Path::new(&root).join(path);
        let (package, sources) = resolve.push_path(&path).map_err(|error| format!("{error:#}"))?;
        packages.push(package);
        files.extend(sources.paths().map(|path| path.display().to_string()));
    }
    if let Some(inline) = &options.inline {
        packages = vec![resolve.push_str("inline.wit", inline).map_err(|error| format!("{error:#}"))?];
    }
    let world =
        resolve.select_world(&packages, options.world.as_deref()).map_err(|error| format!("{error:#}"))?;
    Ok((resolve, world, files))
}

/// Decides where the Rust for each interface goes.
fn place(wit: &mut Wit<'_>, world: WorldId) -> Result<(), String> {
    let world = &wit.resolve.worlds[world];
    let interfaces = |items: &wit_parser::IndexMap<WorldKey, WorldItem>| -> Vec<(WorldKey, InterfaceId)> {
        let interface = |(key, item): (&WorldKey, &WorldItem)| match item {
            WorldItem::Interface { id, .. } => Some((key.clone(), *id)),
            _ => None,
        };
        items.iter().filter_map(interface).collect()
    };
    for (key, id) in interfaces(&world.imports) {
        let place = match wit.with(&wit.resolve.name_world_key(&key)) {
            Some(path) => Place::There(path.to_owned()),
            None => Place::Module(path(&wit.resolve, &key)),
        };
        wit.imports.insert(id, place);
    }
    for (key, id) in interfaces(&world.exports) {
        let path = [String::from("exports")].into_iter().chain(path(&wit.resolve, &key)).collect();
        wit.exports.insert(id, path);
    }
    for (wit_name, _) in &wit.options.with {
        let known = wit.resolve.interfaces.iter().any(|(id, interface)| {
            let Some(name) = wit.resolve.id_of(id) else { return false };
            let names = [name.clone(), without_version(&name)];
            let types = |name: &String| interface.types.keys().any(|ty| *wit_name == format!("{name}/{ty}"));
            names.contains(wit_name) || names.iter().any(types)
        });
        if !known {
            return Err(format!("`with`: there is no interface or resource `{wit_name}` in the WIT"));
        }
    }
    wit.errors = wit.resolve.types.iter().filter_map(|(_, def)| error_of(wit, &def.kind)).collect();
    Ok(())
}

fn error_of(wit: &Wit<'_>, kind: &TypeDefKind) -> Option<TypeId> {
    match kind {
        TypeDefKind::Result(result) => match result.err {
            Some(Type::Id(id)) => Some(wit.dealias(id)),
            _ => None,
        },
        _ => None,
    }
}

/// The module of an interface. The version is part of it only where two versions meet.
fn path(resolve: &Resolve, key: &WorldKey) -> Vec<String> {
    let id = match key {
        WorldKey::Name(name) => return vec![snake(name)],
        WorldKey::Interface(id) => *id,
    };
    let interface = &resolve.interfaces[id];
    let name = interface.name.as_deref().unwrap_or_default();
    let Some(package) = interface.package else { return vec![snake(name)] };
    let package = &resolve.packages[package].name;
    let same =
        |other: &wit_parser::PackageName| other.namespace == package.namespace && other.name == package.name;
    let versions = resolve.packages.iter().filter(|(_, other)| same(&other.name)).count();
    let mut module = snake(&package.name);
    if let (true, Some(version)) = (versions > 1, &package.version) {
        module = snake(&format!("{}{version}", package.name));
    }
    vec![snake(&package.namespace), module, snake(name)]
}

/// Modules in modules.
#[derive(Default)]
struct Modules {
    source: String,
    inner: BTreeMap<String, Modules>,
}

impl Modules {
    fn insert(&mut self, path: &[String], source: String) {
        match path.split_first() {
            Some((first, rest)) => self.inner.entry(first.clone()).or_default().insert(rest, source),
            None => self.source += &source,
        }
    }

    fn print(self, out: &mut String) {
        out.push_str(&self.source);
        for (name, module) in self.inner {
            let _ = writeln!(
                out,
                "#[allow(missing_docs, unused_imports, dead_code, clippy::all)]\npub mod {name} {{"
            );
            module.print(out);
            out.push_str("}\n");
        }
    }
}

fn interface_items<'w>(wit: &'w Wit<'_>, key: &WorldKey, id: InterfaceId) -> Items<'w> {
    let interface = &wit.resolve.interfaces[id];
    Items {
        instance: Some(wit.resolve.name_world_key(key)),
        types: interface.types.values().copied().collect(),
        functions: interface.functions.values().collect(),
    }
}

fn module(wit: &Wit<'_>, id: WorldId) -> Result<String, String> {
    let world = &wit.resolve.worlds[id];
    let (name, root) = (camel(&world.name), Scope::root());
    let mut modules = Modules::default();
    let (mut bounds, mut adds) = (Vec::new(), String::new());
    let mut imported = Items { instance: None, types: Vec::new(), functions: Vec::new() };
    for (key, item) in &world.imports {
        match item {
            WorldItem::Function(function) => imported.functions.push(function),
            WorldItem::Type { id, .. } => imported.types.push(*id),
            WorldItem::Interface { id, .. } => {
                let Some(Place::Module(path)) = wit.imports.get(id) else { continue };
                let (items, scope) =
                    (interface_items(wit, key, *id), Scope { path: path.clone(), exporting: false });
                let mut source = items.types(wit, &scope)?;
                if items.needs_host(wit) {
                    source += &items.host(wit, "Host", &scope)?;
                    bounds.push(root.to(path, "Host"));
                    let _ = writeln!(adds, "{}(linker, host)?;", root.to(path, "add_to_linker"));
                }
                modules.insert(path, source);
            }
        }
    }
    let mut source = imported.types(wit, &root)?;
    if imported.needs_host(wit) {
        let imports = format!("{name}Imports");
        source += &imported.host(wit, &imports, &root)?;
        bounds.push(imports);
        adds += "add_root_to_linker(linker, host)?;\n";
    }
    let mut exported = Items { instance: None, types: Vec::new(), functions: Vec::new() };
    let (mut fields, mut found, mut methods) = (String::new(), String::new(), String::new());
    for (key, item) in &world.exports {
        match item {
            WorldItem::Function(function) => exported.functions.push(function),
            WorldItem::Type { .. } => {}
            WorldItem::Interface { id, .. } => {
                let path = &wit.exports[id];
                let scope = Scope { path: path.clone(), exporting: true };
                let items = interface_items(wit, key, *id);
                let accessor = path[1..].join("_");
                let guest = root.to(path, "Guest");
                modules.insert(path, items.types(wit, &scope)? + &guest_struct(wit, &items, &scope)?);
                let _ = writeln!(fields, "{accessor}: {guest},");
                let _ = writeln!(found, "{accessor}: {guest}::new(store, instance)?,");
                let exported = wit.resolve.name_world_key(key);
                let _ = writeln!(
                    methods,
                    "#[doc = \"What it exports as `{exported}`.\"]\npub fn {accessor}(&self) -> &{guest} {{ &self.{accessor} }}"
                );
            }
        }
    }
    let callers = exported.callers(wit, &root)?;
    fields += &callers.fields;
    found += &callers.found;
    methods += &callers.methods;

    let (runtime, component) = (wit.runtime(&root), wit.component(&root));
    let (asynchronous, call, wait) = wit.options.caller();
    let send = wit.options.send();
    let add = if bounds.is_empty() {
        String::new()
    } else {
        format!(
            "#[doc = \"Defines all that the world imports; `host` finds the host in what a store holds.\"]\n\
             pub fn add_to_linker<T: {send}'static, H: {} + {send}'static>(linker: &mut {component}::Linker<T>, host: fn(&mut T) -> &mut H) \
             -> {runtime}::Result<()> {{\n{adds}Ok(())\n}}",
            bounds.join(" + ")
        )
    };
    let _ = writeln!(
        source,
        "{}#[doc = \"\"]\n#[doc = \"An instance of a component of the world `{}`.\"]\n#[derive(Clone, Debug)]\n\
         #[allow(dead_code)]\npub struct {name} {{ instance: {component}::Instance, {fields} }}\n\
         #[allow(missing_docs, dead_code, clippy::all)]\nimpl {name} {{\n{add}\n\
         #[doc = \"Links and instantiates a component, and finds what the world exports.\"]\n\
         pub {asynchronous}fn instantiate<T: Send + 'static>(store: &mut {runtime}::Store<T>, component: &{component}::Component, \
         linker: &{component}::Linker<T>) -> {runtime}::Result<{name}> {{\n\
         let instance = linker.instantiate{call}(&mut *store, component){wait}?;\n{name}::new(store, instance)\n}}\n\
         #[doc = \"Finds what the world exports in an instance.\"]\n\
         pub fn new(store: &mut impl {runtime}::AsStoreMut, instance: {component}::Instance) -> {runtime}::Result<{name}> {{\n\
         let _ = &store;\nOk({name} {{ instance, {found} }})\n}}\n\
         #[doc = \"The instance.\"]\npub fn instance(&self) -> {component}::Instance {{ self.instance }}\n{methods}}}",
        docs(&world.docs),
        world.name,
    );
    modules.print(&mut source);
    Ok(source)
}

/// The struct that calls an exported interface.
fn guest_struct(wit: &Wit<'_>, items: &Items<'_>, scope: &Scope) -> Result<String, String> {
    let (runtime, component) = (wit.runtime(scope), wit.component(scope));
    let callers = items.callers(wit, scope)?;
    Ok(format!(
        "#[doc = \"The functions of the interface in an instance.\"]\n#[derive(Clone, Debug)]\n\
         pub struct Guest {{ {} }}\nimpl Guest {{\n\
         #[doc = \"Finds the functions of the interface in an instance.\"]\n\
         pub fn new(store: &mut impl {runtime}::AsStoreMut, instance: {component}::Instance) -> {runtime}::Result<Guest> {{\n\
         let _ = (&store, instance);\nOk(Guest {{ {} }})\n}}\n{}}}\n",
        callers.fields, callers.found, callers.methods
    ))
}
