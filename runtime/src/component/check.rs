//! Do definitions fit what a component imports (Explainer.md "Subtyping")? Structural: an instance may have more than is asked
//! of it, functions must have equal types, and resources are bound as they come: the first mention of a resource decides what
//! it is, every later one must agree.
//!
//! Must not know: where the definitions come from.

use super::abi::{FuncType, ResourceType, ValType};
use super::func::Signature;
use super::host::{HostBody, HostFunc, TypeOf};
use super::info::ComponentInfo;
use super::instance::{FuncItem, Item, Items};
use super::names;
use super::resource::ResourceItem;
use super::types::*;
use crate::difference::wanted_and_given;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::module::Module;
use crate::types::ExternType as CoreExternType;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

/// What a linker knows under a name.
#[derive(Clone)]
pub(super) enum Definition {
    /// A host function. Without a type it takes the one it is imported with.
    Func {
        ty: Option<TypeOf>,
        body: HostBody,
    },
    Instance(BTreeMap<Arc<str>, Definition>),
    /// A resource that nobody defined: the one of this name that is known already, else one that nobody can make.
    MissingResource,
    /// Everything else.
    Item(Item),
}

impl Definition {
    /// The sort as the specification calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Definition::Func { .. } => "func",
            Definition::Instance(_) => "instance",
            Definition::MissingResource => "resource",
            Definition::Item(item) => item.kind(),
        }
    }
}

/// Matches the imports of one component, in order.
pub(super) struct Matcher<'c> {
    engine: &'c Engine,
    info: &'c ComponentInfo,
    bindings: Bindings,
    /// What slots were bound to.
    resources: BTreeMap<Slot, ResourceItem>,
}

fn mismatch(at: &str, want: &str, found: &str) -> Error {
    Error::unlinkable(format!("`{at}`: the component imports a {want}, the definition is a {found}"))
}

impl<'c> Matcher<'c> {
    pub(super) fn new(engine: &'c Engine, info: &'c ComponentInfo) -> Matcher<'c> {
        Matcher { engine, info, bindings: Bindings::default(), resources: BTreeMap::new() }
    }

    /// The item that `found` gives for an import of type `want`; `at` is the import's name for messages.
    pub(super) fn item(&mut self, at: &str, want: &ExternType, found: &Definition) -> Result<Item> {
        match (want, found) {
            (ExternType::Func(want), Definition::Func { ty, body }) => {
                let resolved = self.bindings.func(&self.info.open_types, want);
                let resolved = resolved.map_err(|error| error.context(format!("`{at}`")))?;
                if let Some(type_of) = ty {
                    let have = type_of().map_err(|error| Error::from(error).context(format!("`{at}`")))?;
                    same_func(at, &resolved, &have)?;
                }
                let func = HostFunc::new(self.engine, resolved, body.clone());
                Ok(Item::Func(FuncItem::Host(Arc::new(func))))
            }
            (ExternType::Func(want), Definition::Item(item @ Item::Func(have))) => {
                let resolved = self.bindings.func(&self.info.open_types, want);
                let resolved = resolved.map_err(|error| error.context(format!("`{at}`")))?;
                let have = match have {
                    FuncItem::Lifted(lifted) => &lifted.ty,
                    FuncItem::Host(host) => &host.ty,
                };
                same_func(at, &resolved, have)?;
                Ok(item.clone())
            }
            (ExternType::Type(TypeBound::Resource(slot)), Definition::Item(item @ Item::Resource(have))) => {
                match self.bindings.resource(*slot) {
                    None => {
                        self.bindings.bind(*slot, have.rt);
                        self.resources.insert(*slot, have.clone());
                    }
                    Some(known) if known == have.rt => {}
                    Some(_) => {
                        return Err(Error::unlinkable(format!(
                            "`{at}`: this resource is another one than where the component imported it first"
                        )));
                    }
                }
                Ok(item.clone())
            }
            (want @ ExternType::Type(TypeBound::Resource(slot)), Definition::MissingResource) => {
                let known = self.known(want);
                Ok(known.unwrap_or_else(|| {
                    // Nobody can make one, so all of them may be one type.
                    struct Missing;
                    let rt = ResourceType::host::<Missing>();
                    let missing = ResourceItem { rt, destructor: None };
                    self.bindings.bind(*slot, rt);
                    self.resources.insert(*slot, missing.clone());
                    Item::Resource(missing)
                }))
            }
            (ExternType::Instance(want), Definition::Instance(found)) => self.instance(at, want, |name| {
                let (name, found) = names::lookup(found, name)?;
                Some((name.clone(), found.clone()))
            }),
            (ExternType::Instance(want), Definition::Item(Item::Instance(found))) => {
                self.instance(at, want, |name| {
                    let (name, found) = names::lookup(found, name)?;
                    Some((name.clone(), Definition::Item(found.clone())))
                })
            }
            (ExternType::Module(want), Definition::Item(Item::Module(found))) => {
                module(at, want, found)?;
                Ok(Item::Module(found.clone()))
            }
            (ExternType::Component(want), Definition::Item(Item::Component(found))) => {
                let found_info = &found.info;
                Pairing::default().component(at, &found_info.imports, &found_info.exports, want)?;
                Ok(Item::Component(found.clone()))
            }
            (ExternType::Type(TypeBound::Value(_) | TypeBound::Other), _) => Ok(Item::Type),
            (want, found) => Err(mismatch(at, want.kind(), found.kind())),
        }
    }

    fn instance(
        &mut self,
        at: &str,
        want: &InstanceType,
        find: impl Fn(&str) -> Option<(Arc<str>, Definition)>,
    ) -> Result<Item> {
        let mut items = Items::new();
        for (name, ty) in &want.exports {
            let found = find(name);
            let item = match (ty, found) {
                (ExternType::Type(TypeBound::Value(_) | TypeBound::Other), _) => Item::Type,
                (ty, Some((_, found))) => self.item(&format!("{at}#{name}"), ty, &found)?,
                (ty, None) => self.known(ty).ok_or_else(|| {
                    Error::unlinkable(format!("the {} `{name}` of `{at}` is missing", ty.kind()))
                })?,
            };
            items.insert(name.clone(), item);
        }
        Ok(Item::Instance(Arc::new(items)))
    }

    /// A resource that was bound before needs no definition where it comes again: an interface that uses another's resource
    /// exports it too.
    fn known(&self, ty: &ExternType) -> Option<Item> {
        match ty {
            ExternType::Type(TypeBound::Resource(slot)) => {
                self.resources.get(slot).cloned().map(Item::Resource)
            }
            _ => None,
        }
    }
}

fn same_func(at: &str, want: &FuncType, have: &FuncType) -> Result<()> {
    if want.param_types() == have.param_types() && want.result() == have.result() {
        return Ok(());
    }
    Err(Error::unlinkable(format!(
        "`{at}`: the component imports {}, the definition is {}; they differ in {}",
        Signature(want),
        Signature(have),
        func_difference(want, have, |a, b| a == b)
    )))
}

/// Where two function types differ that do not fit.
fn func_difference(want: &FuncType, have: &FuncType, same: impl Fn(&ValType, &ValType) -> bool) -> String {
    let (wanted, given) = (want.param_types(), have.param_types());
    if wanted.len() != given.len() {
        return format!("the number of parameters ({} wanted, {} given)", wanted.len(), given.len());
    }
    let at = wanted.iter().zip(given).position(|(a, b)| !same(a, b));
    let (place, wanted, given) = match at {
        Some(at) => (format!("parameter {}", at + 1), Some(&wanted[at]), Some(&given[at])),
        None => (String::from("the result"), want.result(), have.result()),
    };
    let word = |ty: Option<&ValType>| ty.map_or_else(|| "none".into(), |ty| format!("{ty:?}"));
    match (word(wanted), word(given)) {
        (a, b) if a == b => format!("the resource type in {place}"),
        (a, b) => format!("{place} ({a} wanted, {b} given)"),
    }
}

/// Does a core module fit? It may export more and import less than the type says.
fn module(at: &str, want: &ModuleType, found: &Module) -> Result<()> {
    for (namespace, name, ty) in found.imports() {
        let given =
            want.imports.iter().find(|(n, m, _)| **n == *namespace && **m == *name).map(|(_, _, ty)| ty);
        match given {
            Some(given) if core_subtype(given, ty) => {}
            Some(given) => {
                return Err(Error::unlinkable(format!(
                    "`{at}`: the module's import `{namespace}::{name}`: {}",
                    wanted_and_given(ty, given, "given by the component")
                )));
            }
            None => {
                return Err(Error::unlinkable(format!(
                    "`{at}`: the module imports `{namespace}::{name}`, which the component does not give it"
                )));
            }
        }
    }
    for (name, ty) in &want.exports {
        let found = found.exports().find(|(found, _)| *found == &**name).map(|(_, ty)| ty);
        match found {
            Some(found) if core_subtype(&found, ty) => {}
            Some(found) => {
                return Err(Error::unlinkable(format!(
                    "`{at}`: the module's export `{name}`: {}",
                    wanted_and_given(ty, &found, "exported")
                )));
            }
            None => return Err(Error::unlinkable(format!("`{at}`: the module lacks the export `{name}`"))),
        }
    }
    Ok(())
}

/// Core specification 3.4 "Import matching", on types alone.
fn core_subtype(have: &CoreExternType, want: &CoreExternType) -> bool {
    match (have, want) {
        (CoreExternType::Table(have), CoreExternType::Table(want)) => have.fits(want),
        (CoreExternType::Memory(have), CoreExternType::Memory(want)) => have.fits(want),
        (have, want) => have == want,
    }
}

/// Compares types of two components, neither instantiated: which slot of the one is which slot of the other.
#[derive(Default)]
struct Pairing {
    /// Slot of the found component's types to slot of the wanted type.
    slots: BTreeMap<Slot, Slot>,
}

impl Pairing {
    /// A component that imports no more and exports no less.
    fn component(
        &mut self,
        at: &str,
        imports: &[(Arc<str>, ExternType)],
        exports: &[(Arc<str>, ExternType)],
        want: &ComponentType,
    ) -> Result<()> {
        for (name, ty) in imports {
            let given = want.imports.iter().find(|(given, _)| given == name).map(|(_, ty)| ty);
            let given = given.ok_or_else(|| {
                Error::unlinkable(format!(
                    "`{at}`: the component given imports `{name}`, which it does not get"
                ))
            })?;
            self.given(&format!("{at}#{name}"), given, ty)?;
        }
        for (name, ty) in &want.exports {
            let found = exports.iter().find(|(found, _)| found == name).map(|(_, ty)| ty);
            let found = found.ok_or_else(|| {
                Error::unlinkable(format!("`{at}`: the component given lacks the export `{name}`"))
            })?;
            self.found(&format!("{at}#{name}"), found, ty)?;
        }
        Ok(())
    }

    /// `given`, of the wanted type, must do for an import of the found component.
    fn given(&mut self, at: &str, given: &ExternType, import: &ExternType) -> Result<()> {
        self.compare(at, import, given, true)
    }

    /// `found`, an export of the found component, must do for an export of the wanted type.
    fn found(&mut self, at: &str, found: &ExternType, want: &ExternType) -> Result<()> {
        self.compare(at, found, want, false)
    }

    /// `theirs` is of the found component, `ours` of the wanted type; `ours_is_sub` tells which must be the subtype. Recursion
    /// is as deep as types nest.
    fn compare(&mut self, at: &str, theirs: &ExternType, ours: &ExternType, ours_is_sub: bool) -> Result<()> {
        match (theirs, ours) {
            (ExternType::Func(theirs), ExternType::Func(ours)) => self.func(at, &theirs.ty, &ours.ty),
            (ExternType::Type(theirs), ExternType::Type(ours)) => match (theirs, ours) {
                (TypeBound::Resource(theirs), TypeBound::Resource(ours)) => {
                    if *self.slots.entry(*theirs).or_insert(*ours) == *ours {
                        Ok(())
                    } else {
                        Err(Error::unlinkable(format!("`{at}`: another resource is wanted")))
                    }
                }
                (TypeBound::Value(theirs), TypeBound::Value(ours)) if self.same(theirs, ours) => Ok(()),
                (TypeBound::Other, TypeBound::Other) => Ok(()),
                (TypeBound::Value(theirs), TypeBound::Value(ours)) => {
                    Err(Error::unlinkable(format!("`{at}`: {ours:?} is wanted, {theirs:?} is there")))
                }
                _ => Err(Error::unlinkable(format!("`{at}`: another kind of type is wanted"))),
            },
            (ExternType::Instance(theirs), ExternType::Instance(ours)) => {
                let (sub, sup) = if ours_is_sub { (ours, theirs) } else { (theirs, ours) };
                for (name, sup_ty) in &sup.exports {
                    let at = format!("{at}#{name}");
                    let sub_ty =
                        sub.export(name).ok_or_else(|| Error::unlinkable(format!("`{at}` is missing")))?;
                    let (theirs, ours) = if ours_is_sub { (sup_ty, sub_ty) } else { (sub_ty, sup_ty) };
                    self.compare(&at, theirs, ours, ours_is_sub)?;
                }
                Ok(())
            }
            (ExternType::Module(theirs), ExternType::Module(ours)) => {
                let (sub, sup) = if ours_is_sub { (ours, theirs) } else { (theirs, ours) };
                module_subtype(at, sub, sup)
            }
            (ExternType::Component(theirs), ExternType::Component(ours)) if ours_is_sub => {
                // The roles turn round with the variance of a component that is itself an import.
                let mut turned = Pairing { slots: self.slots.iter().map(|(a, b)| (*b, *a)).collect() };
                turned.component(at, &ours.imports, &ours.exports, theirs)
            }
            (ExternType::Component(theirs), ExternType::Component(ours)) => {
                self.component(at, &theirs.imports, &theirs.exports, ours)
            }
            (theirs, ours) => Err(mismatch(at, ours.kind(), theirs.kind())),
        }
    }

    fn func(&self, at: &str, theirs: &FuncType, ours: &FuncType) -> Result<()> {
        let params = theirs.param_types().iter().zip(ours.param_types()).all(|(a, b)| self.same(a, b));
        let result = match (theirs.result(), ours.result()) {
            (Some(a), Some(b)) => self.same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if params && result && theirs.param_types().len() == ours.param_types().len() {
            return Ok(());
        }
        Err(Error::unlinkable(format!(
            "`{at}`: {} is wanted, {} is there; they differ in {}",
            Signature(ours),
            Signature(theirs),
            func_difference(ours, theirs, |ours, theirs| self.same(theirs, ours))
        )))
    }

    fn same(&self, theirs: &ValType, ours: &ValType) -> bool {
        theirs.matches(ours, &mut |theirs, ours| match (theirs, ours) {
            (ResourceType::Id(theirs), ResourceType::Id(ours)) => self.slots.get(&theirs) == Some(&ours),
            _ => false,
        })
    }
}

fn module_subtype(at: &str, sub: &ModuleType, sup: &ModuleType) -> Result<()> {
    let wrong = |what: String| Err(Error::unlinkable(format!("`{at}`: {what}")));
    for (namespace, name, ty) in &sub.imports {
        let given = sup.imports.iter().find(|(n, m, _)| n == namespace && m == name);
        match given {
            Some((_, _, given)) if core_subtype(given, ty) => {}
            Some((_, _, given)) => {
                let differs = wanted_and_given(ty, given, "given");
                return wrong(format!("the module's import `{namespace}::{name}`: {differs}"));
            }
            None => return wrong(format!("the module's import `{namespace}::{name}` is not given")),
        }
    }
    for (name, ty) in &sup.exports {
        match sub.exports.iter().find(|(found, _)| found == name) {
            Some((_, found)) if core_subtype(found, ty) => {}
            Some((_, found)) => {
                let differs = wanted_and_given(ty, found, "exported");
                return wrong(format!("the module's export `{name}`: {differs}"));
            }
            None => return wrong(format!("the module lacks the export `{name}`")),
        }
    }
    Ok(())
}
