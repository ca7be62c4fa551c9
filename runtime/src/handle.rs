//! Handles: small `Copy` names of what a store owns. A handle of another store is an error, never a panic.

use core::num::NonZeroU64;

/// Identity of a store in this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoreId(pub(crate) NonZeroU64);

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name {
            pub(crate) store: StoreId,
            pub(crate) index: u32,
        }
    )* };
}
handles! {
    /// A function of a store.
    Func
    /// A memory of a store.
    Memory
    /// A table of a store.
    Table
    /// A global of a store.
    Global
    /// A tag of a store.
    Tag
    /// An instance of a module.
    Instance
}

/// What can be imported and exported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Extern {
    Func(Func),
    Memory(Memory),
    Table(Table),
    Global(Global),
    Tag(Tag),
}

macro_rules! externs {
    ($($name:ident $method:ident)*) => { $(
        impl From<$name> for Extern { fn from(item: $name) -> Extern { Extern::$name(item) } }
    )*
        impl Extern { $(
            #[doc = concat!("The ", stringify!($method), ", if it is one.")]
            pub fn $method(self) -> Option<$name> { match self { Extern::$name(item) => Some(item), _ => None } }
        )* }
    };
}
externs! { Func func  Memory memory  Table table  Global global  Tag tag }
