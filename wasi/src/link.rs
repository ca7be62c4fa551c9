//! From declarations to a linker: every interface at once, or those of a list.
//!
//! Must not know: any interface by name.

use std::sync::Arc;

use mini_wasm_canonical_abi::Own;
use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};
use mini_wasm_runtime::component::Linker;
use mini_wasm_runtime::{Caller, Error, ErrorKind, Result, Trap};

use crate::{First, HostFunction, Rows, Stop, Unstable, Wasi, drafts, rows};

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Exit(code) => Self::exit(code),
            Stop::Deadline => Self::new(ErrorKind::Trap(Trap::Interrupted), stop.to_string()),
            Stop::Trap(message) => Self::new(ErrorKind::Trap(Trap::HostFunction), message),
        }
    }
}

/// Links all interfaces, those of drafts too, for stores whose data has a [`Wasi`], which `wasi` finds in it.
///
/// ```no_run
/// use mini_wasm_runtime::component::Linker;
/// use mini_wasm_runtime::{Config, Engine, Store};
/// use mini_wasm_wasi::{Wasi, add_to_linker};
///
/// let engine = Engine::new(Config::default());
/// let mut linker = Linker::<Wasi>::new(&engine);
/// add_to_linker(&mut linker, |wasi| wasi)?;
/// let store = Store::new(&engine, Wasi::builder().inherit_stdio().build());
/// # Ok::<(), mini_wasm_runtime::Error>(())
/// ```
///
/// # Errors
/// `Usage` if the linker has one of the names already and allows no shadowing.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, wasi: fn(&mut T) -> &mut Wasi) -> Result<()> {
    all(Link { linker, wasi, interface: String::new(), feature: None, suspends: false })
}

/// The same for guests that are called with `call_async`: while such a guest waits, its stack stands still and the thread does
/// other things. For tokio with its clock and its reactor; [`Deadline::wait`](crate::Deadline::wait) is told of the few waits that
/// hold the thread all the same.
///
/// # Errors
/// As for [`add_to_linker`].
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    wasi: fn(&mut T) -> &mut Wasi,
) -> Result<()> {
    all(Link { linker, wasi, interface: String::new(), feature: None, suspends: true })
}

fn all<T: Send + 'static>(mut link: Link<'_, T>) -> Result<()> {
    rows(&mut link)?;
    drafts::rows(&mut link)
}

/// Links what belongs to an unstable feature, beside what [`add_to_linker`] links.
///
/// # Errors
/// As for [`add_to_linker`].
pub fn link_unstable<T: Send + 'static>(
    linker: &mut Linker<T>,
    wasi: fn(&mut T) -> &mut Wasi,
    feature: Unstable,
) -> Result<()> {
    rows(&mut Link { linker, wasi, interface: String::new(), feature: Some(feature), suspends: false })
}

struct Link<'l, T> {
    linker: &'l mut Linker<T>,
    wasi: fn(&mut T) -> &mut Wasi,
    interface: String,
    /// Of which feature the rows are that are linked; `None` for those that are stable.
    feature: Option<Unstable>,
    /// Whether guests are suspended while they wait.
    suspends: bool,
}

/// What a guest is stopped with in the function of this name.
fn error(stop: Stop, label: &str) -> Error {
    match stop {
        Stop::Exit(_) => stop.into(),
        stop => Error::from(stop).context(label.to_owned()),
    }
}

impl<T: Send + 'static> Link<'_, T> {
    fn label(&self, name: &str) -> String {
        format!("{}#{name}", self.interface)
    }
}

impl<T: Send + 'static> Rows for Link<'_, T> {
    type Error = Error;

    fn interface(&mut self, name: &str) -> Result<()> {
        name.clone_into(&mut self.interface);
        Ok(())
    }

    fn wants(&mut self, feature: Option<Unstable>) -> bool {
        feature == self.feature
    }

    fn resource<R: Send + 'static>(&mut self, name: &str) -> Result<()> {
        let wasi = self.wasi;
        let drop = move |mut caller: Caller<'_, T>, rep: u32| {
            Ok(wasi(caller.data_mut()).resource_drop(Own::<R>::new(rep))?)
        };
        self.linker.instance(&self.interface)?.resource::<R>(name, drop).map(|_| ())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        _: &[String],
        function: HostFunction<P, R>,
    ) -> Result<()> {
        let (wasi, label) = (self.wasi, self.label(name));
        let call = move |mut caller: Caller<'_, T>, params: P| {
            function(wasi(caller.data_mut()), params).map_err(|stop| error(stop, &label))
        };
        self.linker.instance(&self.interface)?.func_wrap(name, call).map(|_| ())
    }

    fn function_after<P: LiftList + Send + Sync + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        params: &[String],
        function: HostFunction<P, R>,
        first: First<P>,
    ) -> Result<()> {
        if !self.suspends {
            return self.function(name, params, function);
        }
        let (wasi, label) = (self.wasi, self.label(name));
        let label: Arc<str> = label.into();
        let mut instance = self.linker.instance(&self.interface)?;
        let linked = instance.func_wrap_async(name, move |mut caller, params: P| {
            let label = label.clone();
            Box::new(async move {
                let wasi = wasi(caller.data_mut());
                let waited = first(wasi, &params).await;
                waited.and_then(|()| function(wasi, params)).map_err(|stop| error(stop, &label))
            })
        });
        linked.map(|_| ())
    }
}
