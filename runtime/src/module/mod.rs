//! Modules: parsing, validation, and the facts that stay.

mod info;

pub use info::*;
