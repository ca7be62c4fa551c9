//! A module for an interface: with a trait for its host when it is imported, with typed callers when it is exported. The functions
//! of the world itself are handled as an interface without a module.

use crate::names::{camel, snake};
use crate::types::{Scope, Wit, docs};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use wit_parser::{Function, FunctionKind, Type, TypeDefKind, TypeId};

/// Types and functions under one name of the linker.
pub(crate) struct Items<'w> {
    /// The name of the instance; `None` for the root.
    pub(crate) instance: Option<String>,
    pub(crate) types: Vec<TypeId>,
    pub(crate) functions: Vec<&'w Function>,
}

/// The function of a resource that `[constructor]` and the like say.
fn resource(function: &Function) -> Result<Option<TypeId>, String> {
    match function.kind {
        FunctionKind::Freestanding => Ok(None),
        FunctionKind::Method(id) | FunctionKind::Static(id) | FunctionKind::Constructor(id) => Ok(Some(id)),
        _ => Err(format!("`{}` is async or an accessor: not there yet", function.name)),
    }
}

/// Parameters as Rust: names beside types.
fn params(
    wit: &Wit<'_>,
    function: &Function,
    lent: bool,
    scope: &Scope,
) -> Result<Vec<(String, String)>, String> {
    let mut taken = BTreeSet::from([String::from("store")]);
    let params = function.params.iter().map(|param| {
        let mut name = snake(&param.name);
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        let ty = if lent { wit.lent(&param.ty, scope)? } else { wit.owned(&param.ty, scope)? };
        Ok((name, ty))
    });
    params.collect::<Result<Vec<_>, String>>().map_err(|error| format!("`{}`: {error}", function.name))
}

fn result(wit: &Wit<'_>, result: &Option<Type>, scope: &Scope) -> Result<String, String> {
    result.as_ref().map_or(Ok(String::from("()")), |ty| wit.owned(ty, scope))
}

impl<'w> Items<'w> {
    /// Declarations of the types.
    pub(crate) fn types(&self, wit: &Wit<'_>, scope: &Scope) -> Result<String, String> {
        let owner = self.instance.as_deref().unwrap_or_default();
        self.types.iter().map(|&id| wit.declaration(id, owner, scope)).collect()
    }

    /// The resources defined here.
    fn resources(&self, wit: &Wit<'_>) -> Vec<TypeId> {
        let defined = |id: &&TypeId| matches!(wit.resolve.types[**id].kind, TypeDefKind::Resource);
        self.types.iter().filter(defined).copied().collect()
    }

    /// Is there something that a host has to do?
    pub(crate) fn needs_host(&self, wit: &Wit<'_>) -> bool {
        !self.functions.is_empty() || !self.resources(wit).is_empty()
    }

    fn resource_name<'r>(wit: &'r Wit<'_>, id: TypeId) -> &'r str {
        wit.resolve.types[id].name.as_deref().unwrap_or_default()
    }

    /// The trait `name` for its host, the traits of its resources, and a function that adds it to a linker.
    pub(crate) fn host(&self, wit: &Wit<'_>, name: &str, scope: &Scope) -> Result<String, String> {
        let (runtime, component, abi) = (wit.runtime(scope), wit.component(scope), wit.abi(scope));
        let mut source = String::new();
        let mut supertraits = Vec::new();
        let mut adds = String::new();
        for id in self.resources(wit) {
            let wit_name = Self::resource_name(wit, id);
            let (resource, host) = (camel(wit_name), format!("Host{}", camel(wit_name)));
            let mut methods = String::new();
            for function in &self.functions {
                if self::resource(function)? == Some(id) {
                    methods += &self.method(wit, function, scope)?;
                    adds += &self.add(wit, function, &host, scope)?;
                }
            }
            let (end, drop) = if wit.options.waits {
                let end = format!("impl ::core::future::Future<Output = {runtime}::Result<()>> + Send");
                let drop = format!(
                    "instance.resource_async::<{resource}>({wit_name:?}, move |mut caller, rep| \
                     Box::new(async move {{ {host}::drop(host(caller.data_mut()), {abi}::Own::new(rep)).await }}))?;"
                );
                (end, drop)
            } else {
                let drop = format!(
                    "instance.resource::<{resource}>({wit_name:?}, move |mut caller, rep| \
                     {host}::drop(host(caller.data_mut()), {abi}::Own::new(rep)))?;"
                );
                (format!("{runtime}::Result<()>"), drop)
            };
            let _ = writeln!(
                source,
                "#[doc = \"What the host does for the resource `{wit_name}`.\"]\n#[allow(missing_docs)]\npub trait {host} {{\n{methods}\
                 #[doc = \"A guest has dropped its handle: the end of the resource.\"]\n\
                 fn drop(&mut self, resource: {abi}::Own<{resource}>) -> {end};\n}}"
            );
            let _ = writeln!(adds, "{drop}");
            supertraits.push(host);
        }
        let mut methods = String::new();
        for function in &self.functions {
            if self::resource(function)?.is_none() {
                methods += &self.method(wit, function, scope)?;
                adds += &self.add(wit, function, name, scope)?;
            }
        }
        let (what, instance) = match &self.instance {
            Some(instance) => (instance.as_str(), format!("linker.instance({instance:?})?")),
            None => ("the world itself", String::from("linker.root()")),
        };
        let bounds =
            if supertraits.is_empty() { String::new() } else { format!(": {}", supertraits.join(" + ")) };
        let send = wit.options.send();
        let vis = if self.instance.is_some() { "pub " } else { "" };
        let add = if self.instance.is_some() { "add_to_linker" } else { "add_root_to_linker" };
        let _ = writeln!(
            source,
            "#[doc = \"What the host does for {what}.\"]\n#[allow(missing_docs)]\npub trait {name}{bounds} {{\n{methods}}}\n\
             #[doc = \"Defines {what} in a linker; `host` finds the host in what a store holds.\"]\n\
             {vis}fn {add}<T: {send}'static, H: {name} + {send}'static>(linker: &mut {component}::Linker<T>, host: fn(&mut T) -> &mut H) \
             -> {runtime}::Result<()> {{\n\
             let mut instance = {instance};\n{adds}Ok(())\n}}"
        );
        Ok(source)
    }

    fn method(&self, wit: &Wit<'_>, function: &Function, scope: &Scope) -> Result<String, String> {
        let mut list = String::new();
        for (name, ty) in params(wit, function, false, scope)? {
            let _ = write!(list, ", {name}: {ty}");
        }
        let mut result = result(wit, &function.result, scope)?;
        if wit.options.trappable {
            result = format!("{}::Result<{result}>", wit.runtime(scope));
        }
        if wit.options.waits {
            result = format!("impl ::core::future::Future<Output = {result}> + Send");
        }
        let arrow = if result == "()" { String::new() } else { format!(" -> {result}") };
        Ok(format!("{}fn {}(&mut self{list}){arrow};\n", docs(&function.docs), method_name(function)))
    }

    fn add(&self, wit: &Wit<'_>, function: &Function, host: &str, scope: &Scope) -> Result<String, String> {
        let types: String =
            params(wit, function, false, scope)?.iter().map(|(_, ty)| format!("{ty},")).collect();
        let names: Vec<String> = (0..function.params.len()).map(|i| format!("p{i}")).collect();
        let pattern: String = names.iter().map(|name| format!("{name},")).collect();
        let call =
            format!("{host}::{}(host(caller.data_mut()), {})", method_name(function), names.join(", "));
        let call = if wit.options.waits { format!("{call}.await") } else { call };
        let call = if wit.options.trappable { call } else { format!("Ok({call})") };
        if wit.options.waits {
            return Ok(format!(
                "instance.func_wrap_async({:?}, move |mut caller: {}::Caller<'_, T>, ({pattern}): ({types})| \
                 Box::new(async move {{ {call} }}))?;\n",
                function.name,
                wit.runtime(scope),
            ));
        }
        Ok(format!(
            "instance.func_wrap({:?}, move |mut caller: {}::Caller<'_, T>, ({pattern}): ({types})| {call})?;\n",
            function.name,
            wit.runtime(scope),
        ))
    }

    /// Fields of typed functions, the expressions that find them, and the methods that call them.
    pub(crate) fn callers(&self, wit: &Wit<'_>, scope: &Scope) -> Result<Callers, String> {
        let (runtime, component, abi) = (wit.runtime(scope), wit.component(scope), wit.abi(scope));
        let (asynchronous, call, wait) = wit.options.caller();
        let store = match wit.options.waits {
            true => format!("&mut (impl {runtime}::AsStoreMut + ?Sized)"),
            false => format!("impl {runtime}::AsStoreMut"),
        };
        let mut callers = Callers::default();
        let mut taken = BTreeSet::new();
        for (i, function) in self.functions.iter().enumerate() {
            let owned: String =
                params(wit, function, false, scope)?.iter().map(|(_, ty)| format!("{ty},")).collect();
            let result = result(wit, &function.result, scope)?;
            let _ = writeln!(callers.fields, "f{i}: {component}::TypedFunc<({owned}), {result}>,");
            let find = match &self.instance {
                Some(instance) => format!("instance.typed_of(store, {instance:?}, {:?})?", function.name),
                None => format!("instance.typed(store, {:?})?", function.name),
            };
            let _ = writeln!(callers.found, "f{i}: {find},");
            let mut name = match self::resource(function)? {
                Some(id) => format!("{}_{}", snake(Self::resource_name(wit, id)), method_name(function)),
                None => snake(&function.name),
            };
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let (mut list, mut values) = (String::new(), String::new());
            for (name, ty) in params(wit, function, true, scope)? {
                let _ = write!(list, ", {name}: {ty}");
                let _ = write!(values, "{name},");
            }
            let _ = writeln!(
                callers.methods,
                "{}pub {asynchronous}fn call_{name}(&self, store: {store}{list}) -> {runtime}::Result<{result}> {{\n\
                 self.f{i}.call_lent{call}(store, ({values})){wait}\n}}",
                docs(&function.docs)
            );
        }
        for id in self.resources(wit) {
            let (name, resource) = (snake(Self::resource_name(wit, id)), camel(Self::resource_name(wit, id)));
            let _ = writeln!(
                callers.methods,
                "#[doc = \"Ends the resource: calls the guest's destructor.\"]\n\
                 pub {asynchronous}fn drop_{name}(&self, store: {store}, resource: {abi}::GuestOwn<{resource}>) \
                 -> {runtime}::Result<()> {{\n{component}::resource_drop{call}(store, resource.resource()){wait}\n}}"
            );
        }
        Ok(callers)
    }
}

/// The parts of a struct that calls guests.
#[derive(Default)]
pub(crate) struct Callers {
    pub(crate) fields: String,
    pub(crate) found: String,
    pub(crate) methods: String,
}

/// `get` for `[method]bucket.get`.
fn method_name(function: &Function) -> String {
    match function.kind {
        FunctionKind::Constructor(_) => String::from("constructor"),
        _ => snake(function.item_name()),
    }
}
