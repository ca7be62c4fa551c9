//! `interface!`: the one declaration of an interface, in its own file: its resources and functions by their Rust names.
//!
//! Everything else derives from the declaration through [`Rows`]: linking, the list in the README, the check against the
//! official WIT. WIT names are the Rust names in kebab-case; types come from the Rust functions.

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};

use crate::{Stop, Wasi};

/// A host function: its parameters as one tuple.
pub type HostFunction<P, R> = fn(&mut Wasi, P) -> Result<R, Stop>;

/// Something to do with each row of an interface.
pub trait Rows {
    /// Why it failed.
    type Error;

    /// Begins an interface, named with package and version; its rows follow.
    ///
    /// # Errors
    /// Its own.
    fn interface(&mut self, name: &str) -> Result<(), Self::Error>;

    /// A resource whose representation is that of a `T` in the host's table.
    ///
    /// # Errors
    /// Its own.
    fn resource<T: Send + 'static>(&mut self, name: &str) -> Result<(), Self::Error>;

    /// A function with the names of its parameters.
    ///
    /// # Errors
    /// Its own.
    fn function<P: LiftList + 'static, R: LowerOptional + 'static>(
        &mut self,
        name: &str,
        params: &[String],
        function: HostFunction<P, R>,
    ) -> Result<(), Self::Error>;
}

/// Declares what an interface has: `NAME`, and `rows` that hands each row to a [`Rows`].
///
/// ```text
/// interface! {
///     "wasi:io/poll@0.2.12";
///     resource Pollable in self { method ready(this); }
///     func poll(pollables);
/// }
/// ```
macro_rules! interface {
    (
        $name:literal;
        $(resource $Resource:ident in $module:ident { $($kind:ident $method:ident($($param:ident),*);)* })*
        $(func $func:ident($($func_param:ident),*);)*
    ) => {
        /// The name and version of the interface.
        pub const NAME: &str = $name;

        /// Hands each row of the interface to `rows`.
        ///
        /// # Errors
        /// Those of `rows`.
        pub fn rows<R: $crate::Rows>(rows: &mut R) -> Result<(), R::Error> {
            rows.interface(NAME)?;
            $({
                let resource = $crate::interface::label(stringify!($Resource));
                rows.resource::<$Resource>(&resource)?;
                $(rows.function(
                    &$crate::interface::$kind(&resource, stringify!($method)),
                    &$crate::interface::labels(stringify!($kind), &[$(stringify!($param)),*]),
                    |wasi: &mut $crate::Wasi, ($($param,)*)| $module::$method(wasi, $($param),*),
                )?;)*
            })*
            $(rows.function(
                &$crate::interface::label(stringify!($func)),
                &$crate::interface::labels("func", &[$(stringify!($func_param)),*]),
                |wasi: &mut $crate::Wasi, ($($func_param,)*)| $func(wasi, $($func_param),*),
            )?;)*
            Ok(())
        }
    };
}
pub(crate) use interface;

/// Makes of a list of modules, one for each interface, all that goes over all interfaces.
macro_rules! interfaces {
    ($($package:ident::$module:ident,)*) => {
        /// The names of all interfaces that the host has, with their version.
        pub const INTERFACES: &[&str] = &[$($package::$module::NAME),*];

        /// Hands each row of each interface to `rows`.
        ///
        /// # Errors
        /// Those of `rows`.
        pub fn rows<R: Rows>(rows: &mut R) -> Result<(), R::Error> {
            $($package::$module::rows(rows)?;)*
            Ok(())
        }
    };
}
pub(crate) use interfaces;

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
