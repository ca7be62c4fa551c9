//! The Component Model's Canonical ABI: values across a component boundary.
