//! Types of WIT as types of Rust: what a use of a type is called from where, and how a type is declared.

use crate::names::{camel, shouting, snake};
use crate::options::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use wit_parser::{Docs, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// Where the Rust for an interface is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a module that is generated: its path from where `bindgen!` stands.
    Module(Vec<String>),
    /// In a module that the embedder has: its Rust path.
    There(String),
}

/// The WIT that Rust is made of, and where everything goes.
pub(crate) struct Wit<'o> {
    pub(crate) resolve: Resolve,
    pub(crate) options: &'o Options,
    pub(crate) imports: BTreeMap<InterfaceId, Place>,
    pub(crate) exports: BTreeMap<InterfaceId, Vec<String>>,
    /// Types that some function returns as its error.
    pub(crate) errors: BTreeSet<TypeId>,
}

/// The module that Rust is being written for.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Its path from where `bindgen!` stands.
    pub(crate) path: Vec<String>,
    /// Is it that of an exported interface?
    pub(crate) exporting: bool,
}

impl Scope {
    /// The module in which `bindgen!` stands.
    pub(crate) fn root() -> Scope {
        Scope { path: Vec::new(), exporting: false }
    }

    /// A path from here to what is at `path` from the root.
    pub(crate) fn to(&self, path: &[String], item: &str) -> String {
        if path == self.path {
            return String::from(item);
        }
        let mut relative = "super::".repeat(self.path.len());
        for module in path {
            let _ = write!(relative, "{module}::");
        }
        relative + item
    }

    /// A path that the embedder wrote where `bindgen!` stands, from here.
    pub(crate) fn outside(&self, path: &str) -> String {
        let path = path.replace(' ', "");
        if path.starts_with("::") || path.starts_with("crate::") || self.path.is_empty() {
            return path;
        }
        let supers = "super::".repeat(self.path.len());
        supers + path.strip_prefix("self::").unwrap_or(&path)
    }
}

/// What the values of a type are made of, as far as it decides what can be derived.
#[derive(Clone, Copy, Default)]
struct Contents {
    allocates: bool,
    owns: bool,
    of_guest: bool,
}

impl Contents {
    fn and(self, other: Contents) -> Contents {
        Contents {
            allocates: self.allocates | other.allocates,
            owns: self.owns | other.owns,
            of_guest: self.of_guest | other.of_guest,
        }
    }
}

impl Wit<'_> {
    /// The path of the Canonical ABI's types and macros.
    pub(crate) fn abi(&self, scope: &Scope) -> String {
        self.component(scope) + "::abi"
    }

    /// The path of the runtime's component module.
    pub(crate) fn component(&self, scope: &Scope) -> String {
        self.runtime(scope) + "::component"
    }

    /// The path of the runtime.
    pub(crate) fn runtime(&self, scope: &Scope) -> String {
        scope.outside(&self.options.runtime)
    }

    /// What the embedder has for a name of WIT, which may be written with or without its version.
    pub(crate) fn with(&self, name: &str) -> Option<&str> {
        let bare = without_version(name);
        let found = self.options.with.iter().find(|(wit, _)| wit == name || *wit == bare);
        found.map(|(_, path)| path.as_str())
    }

    /// Follows aliases to what a type is.
    pub(crate) fn dealias(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(next)) = self.resolve.types[id].kind {
            id = next;
        }
        id
    }

    fn type_path(&self, id: TypeId, scope: &Scope) -> Option<String> {
        let def = &self.resolve.types[id];
        let name = camel(def.name.as_deref()?);
        Some(match def.owner {
            TypeOwner::Interface(interface) => {
                match (self.exports.get(&interface), self.imports.get(&interface)) {
                    (Some(path), _) if scope.exporting => scope.to(path, &name),
                    (_, Some(Place::Module(path))) => scope.to(path, &name),
                    (_, Some(Place::There(path))) => format!("{}::{name}", scope.outside(path)),
                    (Some(path), None) => scope.to(path, &name),
                    (None, None) => return None,
                }
            }
            TypeOwner::World(_) => scope.to(&[], &name),
            TypeOwner::None => return None,
        })
    }

    /// Does a guest define the resource, seen from `scope`?
    fn of_guest(&self, resource: TypeId, scope: &Scope) -> bool {
        match self.resolve.types[self.dealias(resource)].owner {
            TypeOwner::Interface(interface) => {
                self.exports.contains_key(&interface)
                    && (scope.exporting || !self.imports.contains_key(&interface))
            }
            _ => false,
        }
    }

    /// A type, owned.
    pub(crate) fn owned(&self, ty: &Type, scope: &Scope) -> Result<String, String> {
        Ok(match ty {
            Type::Bool => "bool".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::S8 => "i8".into(),
            Type::S16 => "i16".into(),
            Type::S32 => "i32".into(),
            Type::S64 => "i64".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "::std::string::String".into(),
            Type::ErrorContext => return Err("error contexts are not there yet".into()),
            Type::Id(id) => match self.type_path(*id, scope) {
                Some(path) => path,
                None => self.structure(*id, scope)?,
            },
        })
    }

    /// A type by what it is, not by its name.
    fn structure(&self, id: TypeId, scope: &Scope) -> Result<String, String> {
        let optional = |ty: &Option<Type>| ty.as_ref().map_or(Ok("()".into()), |ty| self.owned(ty, scope));
        Ok(match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.owned(ty, scope)?,
            TypeDefKind::Option(ty) => format!("::core::option::Option<{}>", self.owned(ty, scope)?),
            TypeDefKind::Result(result) => {
                format!("::core::result::Result<{}, {}>", optional(&result.ok)?, optional(&result.err)?)
            }
            TypeDefKind::List(ty) => format!("::std::vec::Vec<{}>", self.owned(ty, scope)?),
            TypeDefKind::FixedLengthList(ty, length) => format!("[{}; {length}]", self.owned(ty, scope)?),
            TypeDefKind::Map(key, value) => {
                format!(
                    "::std::collections::BTreeMap<{}, {}>",
                    self.owned(key, scope)?,
                    self.owned(value, scope)?
                )
            }
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.owned(ty, scope).map(|ty| ty + ","));
                format!("({})", types.collect::<Result<String, String>>()?)
            }
            TypeDefKind::Handle(handle) => {
                let (kind, id) = match handle {
                    Handle::Own(id) => ("Own", *id),
                    Handle::Borrow(id) => ("Borrow", *id),
                };
                let guest = if self.of_guest(id, scope) { "Guest" } else { "" };
                let resource = self.type_path(id, scope).ok_or("a resource without a name")?;
                format!("{}::{guest}{kind}<{resource}>", self.abi(scope))
            }
            other => return Err(format!("`{}` types are not there yet", other.as_str())),
        })
    }

    /// A parameter that a caller lends: `&str`, a slice, a reference to what is declared; other types owned.
    pub(crate) fn lent(&self, ty: &Type, scope: &Scope) -> Result<String, String> {
        let Type::Id(id) = ty else {
            return if *ty == Type::String { Ok("&str".into()) } else { self.owned(ty, scope) };
        };
        Ok(match &self.resolve.types[self.dealias(*id)].kind {
            TypeDefKind::List(element) => format!("&[{}]", self.owned(element, scope)?),
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) => {
                let contents = self.contents(ty, scope);
                let lend = if contents.allocates && !contents.owns { "&" } else { "" };
                format!("{lend}{}", self.owned(ty, scope)?)
            }
            TypeDefKind::Type(Type::String) => "&str".into(),
            _ => self.owned(ty, scope)?,
        })
    }

    fn contents(&self, ty: &Type, scope: &Scope) -> Contents {
        let all = |types: &mut dyn Iterator<Item = &Type>| {
            types.fold(Contents::default(), |all, ty| all.and(self.contents(ty, scope)))
        };
        let heap = Contents { allocates: true, ..Contents::default() };
        let id = match ty {
            Type::String => return heap,
            Type::Id(id) => *id,
            _ => return Contents::default(),
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) | TypeDefKind::Option(ty) | TypeDefKind::FixedLengthList(ty, _) => {
                self.contents(ty, scope)
            }
            TypeDefKind::List(ty) => heap.and(self.contents(ty, scope)),
            TypeDefKind::Map(key, value) => heap.and(all(&mut [key, value].into_iter())),
            TypeDefKind::Record(record) => all(&mut record.fields.iter().map(|field| &field.ty)),
            TypeDefKind::Variant(variant) => {
                all(&mut variant.cases.iter().filter_map(|case| case.ty.as_ref()))
            }
            TypeDefKind::Tuple(tuple) => all(&mut tuple.types.iter()),
            TypeDefKind::Result(result) => all(&mut result.ok.iter().chain(&result.err)),
            TypeDefKind::Handle(handle) => {
                let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
                let of_guest = self.of_guest(*resource, scope);
                Contents { owns: matches!(handle, Handle::Own(_)), of_guest, allocates: false }
            }
            _ => Contents::default(),
        }
    }

    /// The derives of a record or variant.
    fn derives(&self, id: TypeId, scope: &Scope) -> String {
        let contents = self.contents(&Type::Id(id), scope);
        let mut derives = vec!["Debug"];
        if !contents.owns {
            derives.push("Clone");
            if !contents.allocates {
                derives.push("Copy");
            }
        }
        if !contents.of_guest {
            derives.push("PartialEq");
        }
        self.derive(&derives)
    }

    fn derive(&self, usual: &[&str]) -> String {
        let mut derives: Vec<&str> = usual.to_vec();
        derives.extend(self.additional_derives(usual));
        format!("#[derive({})]", derives.join(", "))
    }

    fn additional_derives<'s>(&'s self, present: &'s [&str]) -> impl Iterator<Item = &'s str> {
        let derives = self.options.additional_derives.iter().map(String::as_str);
        derives.filter(|path| !present.contains(&path.rsplit("::").next().unwrap_or(path).trim()))
    }

    /// Declares a type that an interface or a world defines. `wit` is the name of its owner.
    pub(crate) fn declaration(&self, id: TypeId, wit: &str, scope: &Scope) -> Result<String, String> {
        let def = &self.resolve.types[id];
        let wit_name = def.name.as_deref().ok_or("a type without a name")?;
        let (name, abi, docs) = (camel(wit_name), self.abi(scope), docs(&def.docs));
        let field_docs = |docs: &Docs| self::docs(docs);
        let mut rows = String::new();
        let mut source = match &def.kind {
            TypeDefKind::Record(record) => {
                for field in &record.fields {
                    let (docs, ty) = (field_docs(&field.docs), self.owned(&field.ty, scope)?);
                    let _ = writeln!(rows, "{docs}pub {}: {ty} = {:?},", snake(&field.name), field.name);
                }
                let derives = self.derives(id, scope);
                format!(
                    "{abi}::record! {{ {docs}{derives} pub struct {name} = {wit_name:?} {{ {rows} }} }}\n"
                )
            }
            TypeDefKind::Variant(variant) => {
                for case in &variant.cases {
                    let payload = match &case.ty {
                        Some(ty) => format!("({})", self.owned(ty, scope)?),
                        None => String::new(),
                    };
                    let docs = field_docs(&case.docs);
                    let _ = writeln!(rows, "{docs}{}{payload} = {:?},", camel(&case.name), case.name);
                }
                let derives = self.derives(id, scope);
                format!("{abi}::variant! {{ {docs}{derives} pub enum {name} = {wit_name:?} {{ {rows} }} }}\n")
            }
            TypeDefKind::Enum(cases) => {
                for case in &cases.cases {
                    let docs = field_docs(&case.docs);
                    let _ = writeln!(rows, "{docs}{} = {:?},", camel(&case.name), case.name);
                }
                let present = ["Clone", "Copy", "Debug", "PartialEq", "Eq", "Hash"];
                let more = self.additional_derives(&present).collect::<Vec<_>>().join(", ");
                format!(
                    "{abi}::enumeration! {{ {docs}#[derive({more})] pub enum {name} = {wit_name:?} {{ {rows} }} }}\n"
                )
            }
            TypeDefKind::Flags(flags) => {
                for flag in &flags.flags {
                    let docs = field_docs(&flag.docs);
                    let _ = writeln!(rows, "{docs}{} = {:?},", shouting(&flag.name), flag.name);
                }
                let present = ["Clone", "Copy", "Debug", "Default", "PartialEq", "Eq", "Hash"];
                let more = self.additional_derives(&present).collect::<Vec<_>>().join(", ");
                format!(
                    "{abi}::flags! {{ {docs}#[derive({more})] pub struct {name} = {wit_name:?} {{ {rows} }} }}\n"
                )
            }
            TypeDefKind::Resource => match self.with(&format!("{wit}/{wit_name}")) {
                Some(path) => format!("{docs}pub use {} as {name};\n", scope.outside(path)),
                None => format!("{docs}#[derive(Debug)] pub enum {name} {{}}\n"),
            },
            TypeDefKind::Type(Type::Id(other)) if self.type_path(*other, scope).is_some() => {
                let path = self.type_path(*other, scope).unwrap_or_default();
                if path == name { String::new() } else { format!("{docs}pub use {path} as {name};\n") }
            }
            _ => format!("{docs}pub type {name} = {};\n", self.structure(id, scope)?),
        };
        let is_type =
            matches!(def.kind, TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_));
        if is_type && self.errors.contains(&id) {
            let _ = writeln!(
                source,
                "impl ::core::fmt::Display for {name} {{\n\
                 fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{ ::core::write!(f, \"{{self:?}}\") }}\n}}\n\
                 impl ::core::error::Error for {name} {{}}"
            );
        }
        Ok(source)
    }
}

/// The name without `@1.2.3`, wherever it stands: `a:b/c@1.0.0/d` is `a:b/c/d`.
pub(crate) fn without_version(name: &str) -> String {
    match name.split_once('@') {
        Some((before, after)) => match after.split_once('/') {
            Some((_, rest)) => format!("{before}/{rest}"),
            None => String::from(before),
        },
        None => String::from(name),
    }
}

/// Documentation as attributes.
pub(crate) fn docs(docs: &Docs) -> String {
    let lines = docs.contents.iter().flat_map(|text| text.trim().lines());
    lines.map(|line| format!("#[doc = {:?}]\n", format!(" {}", line.trim_end()))).collect()
}
