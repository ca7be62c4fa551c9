//! A component as a guest: linked with WASI, given what the flags grant, instantiated as often as is wanted.

use crate::deadline::Deadline;
use crate::engine;
use crate::failure::Failure;
use crate::flags::{Grants, Limits};
use crate::grant::grant;
use crate::missing;
use mini_wasm_canonical_abi::{FuncType, ValType};
use mini_wasm_runtime::component::{Component, ExternType, Instance, InstancePre, Linker};
use mini_wasm_runtime::{Result as EngineResult, Store};
use mini_wasm_wasi::http::server;
use mini_wasm_wasi::{Wasi, WasiBuilder, cli};
use std::ffi::OsStr;
use std::sync::Arc;

/// What a guest reads as its standard input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Ours.
    Ours,
    /// Nothing.
    Empty,
}

/// A component whose imports are all there.
pub(crate) struct Guest<'f> {
    pre: InstancePre<Wasi>,
    wasi: WasiBuilder,
    limits: &'f Limits,
}

impl<'f> Guest<'f> {
    /// Links a component. `name` is what messages call it, `args` are its own, the first being its name.
    pub(crate) fn link(
        component: &Component,
        name: &str,
        args: Vec<String>,
        grants: &Grants,
        limits: &'f Limits,
        stdin: Input,
    ) -> Result<Guest<'f>, Failure> {
        let mut wasi = grant(args, grants, &limits.budgets)?;
        if stdin == Input::Ours {
            wasi.inherit_stdin();
        }
        Ok(Guest { pre: linked(component, name, grants, Waiting::OnThread)?, wasi, limits })
    }

    /// A store with nothing in it.
    pub(crate) fn store(&self) -> Store<Wasi> {
        engine::store(self.pre.component().engine(), self.wasi.build(), self.limits)
    }

    /// Starts the clock for what runs in a store next.
    pub(crate) fn start_clock(&self, store: &mut Store<Wasi>) -> Result<Option<Deadline>, Failure> {
        let deadline = Deadline::start(self.pre.component().engine(), &mut *store, self.limits)?;
        if let Some(deadline) = &deadline {
            store.data_mut().deadline(Arc::new(deadline.over));
        }
        Ok(deadline)
    }

    /// An instance.
    pub(crate) fn instantiate(&self, store: &mut Store<Wasi>) -> EngineResult<Instance> {
        self.pre.instantiate(store)
    }
}

/// How a guest waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// On the thread that calls it.
    OnThread,
    /// Suspended, so that the thread can do other things.
    Suspended,
}

/// A component with all of WASI that the flags offer.
pub(crate) fn linked(
    component: &Component,
    name: &str,
    grants: &Grants,
    waiting: Waiting,
) -> Result<InstancePre<Wasi>, Failure> {
    let mut linker = Linker::<Wasi>::new(component.engine());
    match waiting {
        Waiting::OnThread => mini_wasm_wasi::add_to_linker(&mut linker, |wasi| wasi)?,
        Waiting::Suspended => mini_wasm_wasi::add_to_linker_async(&mut linker, |wasi| wasi)?,
    }
    let mut unstable = grants.unstable.clone();
    unstable.sort_unstable();
    unstable.dedup();
    for &feature in &unstable {
        mini_wasm_wasi::link_unstable(&mut linker, |wasi| wasi, feature)?;
    }
    if grants.stub_missing {
        linker.define_unknown_imports_as_traps(component)?;
    }
    linker.instantiate_pre(component).map_err(|error| missing::explain(component, name, &unstable, error))
}

/// A function that a component has to export in an interface of WASI 0.2, whichever version of that it names.
pub(crate) struct Entry {
    /// The interface, with a version.
    pub(crate) interface: &'static str,
    pub(crate) function: &'static str,
    /// Its type in words, and whether a type is that.
    pub(crate) ty: &'static str,
    pub(crate) fits: fn(&FuncType) -> bool,
}

/// What a command exports.
pub(crate) const RUN: Entry = Entry {
    interface: cli::run::INSTANCE,
    function: cli::run::RUN,
    ty: "func() -> result",
    fits: |ty| {
        let is_plain =
            |ty: &ValType| matches!(ty, ValType::Result(ty) if ty.ok().is_none() && ty.error().is_none());
        ty.param_types().is_empty() && ty.result().is_some_and(is_plain)
    },
};

/// What answers requests.
pub(crate) const HANDLE: Entry = Entry {
    interface: server::INSTANCE,
    function: server::HANDLE,
    ty: "func(request: incoming-request, response-out: response-outparam)",
    fits: |ty| matches!(ty.param_types(), [ValType::Own(_), ValType::Own(_)]) && ty.result().is_none(),
};

impl Entry {
    /// Whether a component exports the interface, with or without what has to be in it.
    pub(crate) fn is_exported(&self, component: &Component) -> bool {
        self.exports(component).next().is_some()
    }

    /// Does a component export it as it has to be? Else what is wrong, in words behind the component's name.
    pub(crate) fn check(&self, component: &Component) -> Result<(), String> {
        let wrong = self.exports(component).map(|(name, ty)| self.check_one(name, ty));
        // One of several versions is enough.
        let none = || Err(format!("does not export `{}@0.2`", unversioned(self.interface)));
        wrong.min_by_key(Result::is_err).unwrap_or_else(none)
    }

    fn exports<'c>(&self, component: &'c Component) -> impl Iterator<Item = (&'c str, &'c ExternType)> {
        let wanted = unversioned(self.interface);
        let is_it =
            move |name: &str| name.strip_prefix(wanted).is_some_and(|version| version.starts_with("@0.2."));
        component.exports().iter().map(|(name, ty)| (&**name, ty)).filter(move |(name, _)| is_it(name))
    }

    fn check_one(&self, name: &str, ty: &ExternType) -> Result<(), String> {
        let (function, wanted) = (self.function, self.ty);
        let ExternType::Instance(instance) = ty else {
            return Err(format!(
                "exports `{name}` as {}, and an instance is wanted",
                with_article(ty.kind())
            ));
        };
        match instance.exports.iter().find(|(name, _)| **name == *function) {
            Some((_, ExternType::Func(func))) if (self.fits)(func.ty()) => Ok(()),
            Some((_, ExternType::Func(_))) => {
                Err(format!("exports `{function}` of `{name}` with another type than `{wanted}`"))
            }
            Some((_, ty)) => Err(format!(
                "exports `{function}` of `{name}` as {}, and a func is wanted",
                with_article(ty.kind())
            )),
            None => Err(format!("exports `{name}` without `{function}: {wanted}` in it")),
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with('i') { "an" } else { "a" };
    format!("{article} {kind}")
}

/// The name of an interface without its version.
pub(crate) fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Text of the system's as WASI wants it.
pub(crate) fn unicode(what: &str, text: &OsStr) -> Result<String, Failure> {
    text.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Usage(format!("{what} {text:?} is not Unicode, which WASI asks for")))
}
