//! A component as a guest: linked with WASI, given what the flags grant, instantiated as often as is wanted.

use crate::deadline::Deadline;
use crate::engine;
use crate::failure::Failure;
use crate::flags::{Grants, Limits};
use crate::grant::grant;
use crate::missing;
use mini_wasm_runtime::component::{Component, Instance, InstancePre, Linker};
use mini_wasm_runtime::{Result as EngineResult, Store};
use mini_wasm_wasi::{Wasi, WasiBuilder};
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
