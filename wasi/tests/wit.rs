//! Every interface, function and type of the host is that of the official WIT of WASI 0.2.12, and none is missing.
//!
//! The WIT comes with the crate wasip2; cargo says where that lies. That of drafts is in the folder `wit`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Command;

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional, func_type};
use mini_wasm_canonical_abi::{FuncType, ResourceType, ValType};
use mini_wasm_wasi::{HostFunction, INTERFACES, Rows, Unstable, drafts, rows};
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// Exports of a guest, not of the host.
const EXPORTS: [&str; 2] = ["wasi:cli/run@0.2.12", "wasi:http/incoming-handler@0.2.12"];

/// What the host declares.
#[derive(Default)]
struct Declared {
    interface: String,
    resources: BTreeMap<(String, String), ResourceType>,
    functions: BTreeMap<(String, String), FuncType>,
}

impl Rows for Declared {
    type Error = Infallible;

    fn interface(&mut self, name: &str) -> Result<(), Infallible> {
        self.interface = name.to_owned();
        Ok(())
    }

    fn resource<T: Send + 'static>(&mut self, name: &str) -> Result<(), Infallible> {
        let known =
            self.resources.insert((self.interface.clone(), name.to_owned()), ResourceType::host::<T>());
        assert_eq!(known, None, "{name} is declared twice");
        Ok(())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        params: &[String],
        _: HostFunction<P, R>,
    ) -> Result<(), Infallible> {
        let ty = func_type::<P, R>().unwrap();
        let named = params.iter().map(String::as_str).zip(ty.param_types().iter().cloned());
        let ty = FuncType::new(named, ty.result().cloned());
        assert_eq!(ty.param_types().len(), params.len(), "{name}");
        let known = self.functions.insert((self.interface.clone(), name.to_owned()), ty);
        assert!(known.is_none(), "{name} is declared twice");
        Ok(())
    }
}

/// The folder of the official WIT.
fn official_wit() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        // Else cargo would fetch what other systems need.
        .arg("--filter-platform")
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).unwrap();
    let at =
        metadata.find("wasip2-2.0.1+wasi-0.2.12/Cargo.toml\"").expect("wasip2 is a dependency of this test");
    let begin = metadata[..at].rfind('"').unwrap() + 1;
    PathBuf::from(&metadata[begin..at]).join("wasip2-2.0.1+wasi-0.2.12/wit")
}

/// The official types as component types, with the host's resources for those of the same name.
struct Official {
    resolve: Resolve,
    declared: Declared,
}

impl Official {
    fn func(&self, function: &Function) -> FuncType {
        let params = function.params.iter().map(|param| (param.name.as_str(), self.ty(&param.ty)));
        FuncType::new(params, function.result.as_ref().map(|ty| self.ty(ty)))
    }

    fn optional(&self, ty: &Option<Type>) -> Option<ValType> {
        ty.as_ref().map(|ty| self.ty(ty))
    }

    fn ty(&self, ty: &Type) -> ValType {
        match ty {
            Type::Bool => ValType::Bool,
            Type::U8 => ValType::U8,
            Type::U16 => ValType::U16,
            Type::U32 => ValType::U32,
            Type::U64 => ValType::U64,
            Type::S8 => ValType::S8,
            Type::S16 => ValType::S16,
            Type::S32 => ValType::S32,
            Type::S64 => ValType::S64,
            Type::F32 => ValType::F32,
            Type::F64 => ValType::F64,
            Type::Char => ValType::Char,
            Type::String => ValType::String,
            Type::Id(id) => self.defined(*id),
            Type::ErrorContext => panic!("not of WASI 0.2"),
        }
    }

    fn defined(&self, id: TypeId) -> ValType {
        let labels =
            |names: Vec<&String>| names.into_iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Handle(Handle::Own(resource)) => ValType::Own(self.resource(*resource)),
            TypeDefKind::Handle(Handle::Borrow(resource)) => ValType::Borrow(self.resource(*resource)),
            TypeDefKind::Resource => ValType::Own(self.resource(id)),
            TypeDefKind::List(ty) => ValType::list(self.ty(ty)).unwrap(),
            TypeDefKind::Option(ty) => ValType::option(self.ty(ty)).unwrap(),
            TypeDefKind::Result(result) => {
                ValType::result(self.optional(&result.ok), self.optional(&result.err)).unwrap()
            }
            TypeDefKind::Tuple(tuple) => {
                ValType::tuple(tuple.types.iter().map(|ty| self.ty(ty)).collect::<Vec<_>>()).unwrap()
            }
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                ValType::record(
                    fields.map(|field| (field.name.clone(), self.ty(&field.ty))).collect::<Vec<_>>(),
                )
                .unwrap()
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                ValType::variant(
                    cases.map(|case| (case.name.clone(), self.optional(&case.ty))).collect::<Vec<_>>(),
                )
                .unwrap()
            }
            TypeDefKind::Enum(cases) => {
                ValType::enumeration(labels(cases.cases.iter().map(|case| &case.name).collect())).unwrap()
            }
            TypeDefKind::Flags(flags) => {
                ValType::flags(labels(flags.flags.iter().map(|flag| &flag.name).collect())).unwrap()
            }
            other => panic!("not of WASI 0.2: {other:?}"),
        }
    }

    /// The host's resource of the same interface and name; through `use`, the one that is used.
    fn resource(&self, id: TypeId) -> ResourceType {
        let def = &self.resolve.types[id];
        if let TypeDefKind::Type(Type::Id(used)) = def.kind {
            return self.resource(used);
        }
        let TypeOwner::Interface(owner) = def.owner else { panic!("a resource outside an interface") };
        let key = (self.resolve.id_of(owner).unwrap(), def.name.clone().unwrap());
        *self.declared.resources.get(&key).unwrap_or_else(|| panic!("the host has no resource {key:?}"))
    }
}

impl Official {
    /// Sees that the host declares these interfaces with all their functions and types, and nothing else; how many functions.
    fn compare(&self, interfaces: &[&str]) -> usize {
        let mut names = BTreeSet::new();
        let mut functions = 0;
        let mut wrong = Vec::new();
        for (id, interface) in self.resolve.interfaces.iter() {
            let Some(name) = self.resolve.id_of(id).filter(|name| !EXPORTS.contains(&name.as_str())) else {
                continue;
            };
            names.insert(name.clone());
            for def in interface.types.values() {
                if matches!(self.resolve.types[*def].kind, TypeDefKind::Resource) {
                    self.resource(*def);
                }
            }
            for function in interface.functions.values() {
                functions += 1;
                let expected = self.func(function);
                match self.declared.functions.get(&(name.clone(), function.name.clone())) {
                    None => wrong.push(format!("{name} {}: missing", function.name)),
                    Some(found) if *found != expected => wrong
                        .push(format!("{name} {}:\n  host {found:?}\n  WIT  {expected:?}", function.name)),
                    Some(_) => {}
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(names, interfaces.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            self.declared.functions.len(),
            functions,
            "the host declares functions that are not in the WIT"
        );
        functions
    }
}

#[test]
fn the_host_is_exactly_the_official_wit() {
    let mut declared = Declared::default();
    let Ok(()) = rows(&mut declared);
    let mut resolve = Resolve::default();
    resolve.features.extend(Unstable::ALL.iter().map(|feature| feature.name().to_owned()));
    resolve.push_dir(official_wit()).unwrap();
    let functions = Official { resolve, declared }.compare(INTERFACES);
    assert_eq!(functions, 175 + 4, "WASI 0.2.12 has 177 stable functions, two of them exports of guests");
}

#[test]
fn what_is_of_drafts_is_exactly_their_wit() {
    let mut declared = Declared::default();
    let Ok(()) = drafts::rows(&mut declared);
    let mut resolve = Resolve::default();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wit");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "wit") {
            resolve.push_str(&path, &std::fs::read_to_string(&path).unwrap()).unwrap();
        }
    }
    let functions = Official { resolve, declared }.compare(drafts::INTERFACES);
    assert_eq!(functions, 2 * 2 + (6 + 3 + 1) + (6 + 3 + 4));
}
