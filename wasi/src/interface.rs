//! `interface!`: the one declaration of an interface, in its own file: its resources and functions by their Rust names.
//!
//! Everything else derives from the declaration through [`Rows`]: linking, the list in the README, the check against the
//! official WIT. WIT names are the Rust names in kebab-case; types come from the Rust functions.

use core::future::Future;
use core::pin::Pin;

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};

use crate::{Stop, Wasi};

/// A host function: its parameters as one tuple.
pub type HostFunction<P, R> = fn(&mut Wasi, P) -> Result<R, Stop>;

/// A wait that holds no thread.
pub type Waited<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>>;

/// What is waited for before a function that may wait is called with these parameters, where the guest's stack can be suspended:
/// then it has little left to wait for.
pub type First<P> = for<'a> fn(&'a mut Wasi, &'a P) -> Waited<'a>;

/// What the official WIT calls unstable: there, and linked only where somebody asks for it
/// ([`link_unstable`](crate::link_unstable)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unstable {
    /// `wasi:clocks/timezone`.
    ClocksTimezone,
    /// `wasi:sockets/network`'s `network-error-code`.
    NetworkErrorCode,
    /// `wasi:http/types`' `response-outparam.send-informational`.
    InformationalOutboundResponses,
}

impl Unstable {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::ClocksTimezone, Self::NetworkErrorCode, Self::InformationalOutboundResponses];

    /// The name of the feature in WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClocksTimezone => "clocks-timezone",
            Self::NetworkErrorCode => "network-error-code",
            Self::InformationalOutboundResponses => "informational-outbound-responses",
        }
    }
}

/// Something to do with each row of an interface.
pub trait Rows {
    /// Why it failed.
    type Error;

    /// Begins an interface, named with package and version; its rows follow.
    ///
    /// # Errors
    /// Its own.
    fn interface(&mut self, name: &str) -> Result<(), Self::Error>;

    /// Whether rows are wanted that are of this feature; `None` for those that are stable. All are, unless an implementation says
    /// otherwise.
    fn wants(&mut self, feature: Option<Unstable>) -> bool {
        let _ = feature;
        true
    }

    /// A resource whose representation is that of a `T` in the host's table.
    ///
    /// # Errors
    /// Its own.
    fn resource<T: Send + 'static>(&mut self, name: &str) -> Result<(), Self::Error>;

    /// A function with the names of its parameters.
    ///
    /// # Errors
    /// Its own.
    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        params: &[String],
        function: HostFunction<P, R>,
    ) -> Result<(), Self::Error>;

    /// A function that may wait, and the better way to do that. As any other, unless an implementation says otherwise.
    ///
    /// # Errors
    /// Its own.
    fn function_after<P: LiftList + Send + Sync + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        params: &[String],
        function: HostFunction<P, R>,
        first: First<P>,
    ) -> Result<(), Self::Error> {
        let _ = first;
        self.function(name, params, function)
    }
}

/// Declares what an interface has: `NAME`, and `rows` that hands each row to a [`Rows`].
///
/// ```text
/// interface! {
///     "wasi:io/poll@0.2.12";
///     resource Pollable in self { method ready(this); }
///     func poll(pollables) after first::poll;
/// }
/// ```
///
/// `after` names the [`First`] of a function that may wait.
/// A word after the name of the interface, or after the parameters of a function, says of which [`Unstable`] feature it is.
macro_rules! interface {
    (
        $name:literal $(unstable $feature:ident)?;
        $(resource $Resource:ident in $module:ident {
            $($kind:ident $method:ident($($param:ident),*) $(unstable $method_feature:ident)?
                $(after $method_first:path)?;)*
        })*
        $(func $func:ident($($func_param:ident),*) $(unstable $func_feature:ident)? $(after $func_first:path)?;)*
    ) => {
        /// The name and version of the interface.
        pub const NAME: &str = $name;

        /// Hands each row of the interface to `rows`.
        ///
        /// # Errors
        /// Those of `rows`.
        pub fn rows<R: $crate::Rows>(rows: &mut R) -> Result<(), R::Error> {
            rows.interface(NAME)?;
            // A feature of the whole interface is that of all its rows.
            let feature: Option<$crate::Unstable> = None$(.or(Some($crate::Unstable::$feature)))?;
            $({
                let resource = $crate::interface::label(stringify!($Resource));
                if rows.wants(feature) {
                    rows.resource::<$Resource>(&resource)?;
                }
                $(if rows.wants(feature$(.or(Some($crate::Unstable::$method_feature)))?) {
                    $crate::interface::row!(
                        rows,
                        &$crate::interface::$kind(&resource, stringify!($method)),
                        &$crate::interface::labels(stringify!($kind), &[$(stringify!($param)),*]),
                        |wasi: &mut $crate::Wasi, ($($param,)*)| $module::$method(wasi, $($param),*)
                        $(, $method_first)?
                    )?;
                })*
            })*
            $(if rows.wants(feature$(.or(Some($crate::Unstable::$func_feature)))?) {
                $crate::interface::row!(
                    rows,
                    &$crate::interface::label(stringify!($func)),
                    &$crate::interface::labels("func", &[$(stringify!($func_param)),*]),
                    |wasi: &mut $crate::Wasi, ($($func_param,)*)| $func(wasi, $($func_param),*)
                    $(, $func_first)?
                )?;
            })*
            Ok(())
        }
    };
}
pub(crate) use interface;

/// Hands one row over.
macro_rules! row {
    ($rows:ident, $name:expr, $labels:expr, $function:expr) => {
        $rows.function($name, $labels, $function)
    };
    ($rows:ident, $name:expr, $labels:expr, $function:expr, $first:path) => {
        $rows.function_after($name, $labels, $function, $first)
    };
}
pub(crate) use row;

/// Makes of a list of modules, one for each interface, all that goes over all interfaces.
macro_rules! interfaces {
    ($($($part:ident)::+),* $(,)?) => {
        /// The names of all interfaces that the host has, with their version.
        pub const INTERFACES: &[&str] = &[$($crate::$($part)::+::NAME),*];

        /// Hands each row of each interface to `rows`.
        ///
        /// # Errors
        /// Those of `rows`.
        pub fn rows<R: $crate::Rows>(rows: &mut R) -> Result<(), R::Error> {
            $($crate::$($part)::+::rows(rows)?;)*
            Ok(())
        }
    };
}
pub(crate) use interfaces;

/// A function of the host, as a list of them names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its interface, with version.
    pub interface: String,
    /// Its name in WIT: `poll`, `[method]pollable.block`.
    pub name: String,
    /// The unstable feature that it belongs to.
    pub feature: Option<Unstable>,
}

/// Collects what is handed to it.
#[derive(Default)]
pub(crate) struct List {
    interface: String,
    feature: Option<Unstable>,
    pub(crate) functions: Vec<Listed>,
}

impl Rows for List {
    type Error = core::convert::Infallible;

    fn interface(&mut self, name: &str) -> Result<(), Self::Error> {
        name.clone_into(&mut self.interface);
        Ok(())
    }

    fn wants(&mut self, feature: Option<Unstable>) -> bool {
        self.feature = feature;
        true
    }

    fn resource<T: Send + 'static>(&mut self, _: &str) -> Result<(), Self::Error> {
        Ok(())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        _: &[String],
        _: HostFunction<P, R>,
    ) -> Result<(), Self::Error> {
        let interface = self.interface.clone();
        self.functions.push(Listed { interface, name: name.to_owned(), feature: self.feature });
        Ok(())
    }
}

/// The WIT name of a Rust name.
pub(crate) fn label(name: &str) -> String {
    mini_wasm_canonical_abi::typed::label_of(name)
}

/// The WIT names of parameters. That of a method's first is a word of Rust's own, so Rust says `this`.
pub(crate) fn labels(kind: &str, names: &[&str]) -> Vec<String> {
    let mut labels: Vec<String> = names.iter().map(|name| label(name)).collect();
    if let ("method", Some(this)) = (kind, labels.first_mut()) {
        this.clear();
        this.push_str("self");
    }
    labels
}

/// The name of a constructor.
pub(crate) fn constructor(resource: &str, _: &str) -> String {
    format!("[constructor]{resource}")
}

/// The name of a method.
pub(crate) fn method(resource: &str, name: &str) -> String {
    format!("[method]{resource}.{}", label(name))
}

/// The name of a function that belongs to a resource and takes none.
pub(crate) fn static_method(resource: &str, name: &str) -> String {
    format!("[static]{resource}.{}", label(name))
}
