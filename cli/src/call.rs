//! A call of a component's function as a user writes it: `func(1, "two")`, `interface.func()`, `ns:pkg/interface@1.2.3#func()`.
//!
//! A function is known by its name and by that of the interface that exports it; as much of both is written as leaves one
//! function. Methods are written as WIT has them (`[method]counter.inc`) or plainly (`counter.inc`; `counter` constructs).

use crate::wave::{self, Handles};
use crate::wit_type::Names;
use mini_wasm_canonical_abi::{FuncType, Val, ValType};
use mini_wasm_runtime::component::{Component, ExternType, Func, Instance};
use mini_wasm_runtime::{Error, ErrorKind, Result as EngineResult, Store};
use std::fmt::Write;

/// How many functions a message lists.
const LISTED: usize = 40;

/// A function that a component exports.
#[derive(Clone, Copy)]
pub(crate) struct Function<'c> {
    component: &'c Component,
    interface: Option<&'c str>,
    name: &'c str,
    ty: &'c FuncType,
}

impl<'c> Function<'c> {
    /// All of them, in the order of the binary.
    pub(crate) fn all(component: &'c Component) -> Vec<Function<'c>> {
        let mut found = Vec::new();
        for (name, ty) in component.exports() {
            match ty {
                ExternType::Func(func) => {
                    found.push(Function { component, interface: None, name, ty: func.ty() });
                }
                // Interfaces hold no interfaces (WIT), so one step is all there is.
                ExternType::Instance(instance) => {
                    for (inner, ty) in &instance.exports {
                        if let ExternType::Func(func) = ty {
                            let (interface, ty) = (Some(&**name), func.ty());
                            found.push(Function { component, interface, name: inner, ty });
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The one that `written` names.
    pub(crate) fn find(component: &'c Component, written: &str) -> Result<Function<'c>, String> {
        let all = Function::all(component);
        let named: Vec<_> = all.iter().filter(|function| function.is_named(written)).copied().collect();
        match named.as_slice() {
            [one] => return Ok(*one),
            [] => {}
            // The component's own function needs no interface before it.
            _ => match named.iter().find(|function| function.full_name() == written) {
                Some(exact) => return Ok(*exact),
                None => return Err(format!("`{written}` may be any of:{}", list(&named))),
            },
        }
        Err(match all.as_slice() {
            [] => format!("there is no `{written}`: the component exports no function at all"),
            all => format!("there is no `{written}`; the component exports:{}", list(all)),
        })
    }

    fn is_named(&self, written: &str) -> bool {
        // The version stands behind the interface, or, as WAVE has it, at the end.
        let at_end = written.rsplit_once('@').map(|(path, version)| (path, Some(version)));
        let forms = std::iter::once((written, None)).chain(at_end);
        forms.into_iter().any(|(path, version)| {
            [self.name, self.plain_name()].into_iter().any(|name| match path.strip_suffix(name) {
                Some("") => version.is_none(),
                Some(before) => {
                    let interface = before.strip_suffix(['#', '.']);
                    self.interface.zip(interface).is_some_and(|(known, written)| match version {
                        None => is_interface(known, written),
                        Some(version) => is_interface(known, &format!("{written}@{version}")),
                    })
                }
                None => false,
            })
        })
    }

    /// The name without what WIT's encoding puts before it.
    pub(crate) fn plain_name(&self) -> &'c str {
        match self.name.split_once(']') {
            Some((_, plain)) if self.name.starts_with('[') => plain,
            _ => self.name,
        }
    }

    /// `ns:pkg/interface@1.2.3#func`
    pub(crate) fn full_name(&self) -> String {
        self.interface.map_or_else(String::new, |interface| format!("{interface}#")) + self.name
    }

    /// The name and the type.
    pub(crate) fn signature(&self) -> String {
        format!("{}: {}", self.full_name(), self.names().func(self.ty))
    }

    /// The names of types where it is exported.
    pub(crate) fn names(&self) -> Names<'c> {
        Names::of(self.component, self.interface)
    }

    pub(crate) fn ty(&self) -> &'c FuncType {
        self.ty
    }

    fn func(&self, store: &mut Store<impl Send + 'static>, instance: Instance) -> EngineResult<Func> {
        let func = match self.interface {
            None => instance.func(store, self.name),
            Some(interface) => instance.func_of(store, interface, self.name),
        };
        func.ok_or_else(|| {
            let what =
                format!("the instance has no function `{}`, which its component exports", self.full_name());
            Error::new(ErrorKind::Unlinkable, what)
        })
    }
}

/// Whether `written` names the interface: whole, without its version, without its package, or without both.
fn is_interface(known: &str, written: &str) -> bool {
    let without_package = known.rsplit_once('/').map_or(known, |(_, interface)| interface);
    let without_version = |name| str::split_once(name, '@').map_or(name, |(name, _)| name);
    [known, without_package].into_iter().any(|name| name == written || without_version(name) == written)
}

/// Functions with their types, a line each.
pub(crate) fn list(functions: &[Function]) -> String {
    let mut text = String::new();
    for function in functions.iter().take(LISTED) {
        let _ = write!(text, "\n  {}", function.signature());
    }
    if functions.len() > LISTED {
        let _ = write!(text, "\n  ... and {} more", functions.len() - LISTED);
    }
    text
}

/// A function and what it is called with.
pub(crate) struct Call<'c> {
    function: Function<'c>,
    args: Vec<Val>,
}

impl<'c> Call<'c> {
    /// Reads a call; `handles` are those that its arguments may name.
    pub(crate) fn parse(component: &'c Component, text: &str, handles: &Handles) -> Result<Call<'c>, String> {
        let text = text.trim();
        let Some(open) = text.find('(') else {
            return Err(format!("`{text}` is no call: `func(arguments)` is"));
        };
        let (name, arguments) = text.split_at(open);
        let function = Function::find(component, name.trim())?;
        let types = function.ty.param_types();
        if handles.is_empty()
            && let Some((name, ty)) = handle_among(function.ty)
        {
            return Err(format!(
                "`{}` takes a handle (`{name}: {}`), and none is held: what makes one has to be called before, in \
                 `mini-wasm repl`",
                function.full_name(),
                function.names().val(ty)
            ));
        }
        match wave::arguments(arguments, types, handles) {
            Ok(args) => Ok(Call { function, args }),
            Err(wrong) => Err(format!("the arguments of `{}`: {wrong}", function.signature())),
        }
    }

    /// Calls it; the result as WAVE, if there is one. What handles it takes and gives, `handles` lacks and has afterwards.
    pub(crate) fn invoke(
        &self,
        store: &mut Store<impl Send + 'static>,
        instance: Instance,
        handles: &mut Handles,
    ) -> EngineResult<Option<String>> {
        let Function { ty, .. } = self.function;
        let func = self.function.func(store, instance)?;
        let result = func.call(&mut *store, &self.args)?;
        for (ty, arg) in ty.param_types().iter().zip(&self.args) {
            wave::for_each_handle(ty, arg, &mut |_, resource, owned| {
                if owned {
                    handles.forget(resource);
                }
            });
        }
        let Some((ty, val)) = ty.result().zip(result) else { return Ok(None) };
        let names = self.function.names();
        wave::for_each_handle(ty, &val, &mut |ty, resource, _| {
            if let ValType::Own(rt) | ValType::Borrow(rt) = ty {
                handles.keep(names.resource(*rt), resource);
            }
        });
        Ok(Some(wave::format(ty, &val, handles)))
    }
}

/// The first parameter that takes a handle.
fn handle_among(ty: &FuncType) -> Option<(&str, &ValType)> {
    let mut params = ty.param_names().iter().zip(ty.param_types());
    params.find(|(_, ty)| wave::has_handles(ty)).map(|(name, ty)| (&**name, ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_known_by_as_much_of_its_name_as_is_written() {
        let known = "demo:poly/engine@0.1.0";
        for written in [known, "demo:poly/engine", "engine", "engine@0.1.0"] {
            assert!(is_interface(known, written), "{written}");
        }
        for other in ["", "poly/engine", "demo:poly", "engine@0.2.0", "ngine"] {
            assert!(!is_interface(known, other), "{other}");
        }
    }
}
