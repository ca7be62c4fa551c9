//! Built-ins that asynchrony between components brings (CanonicalABI.md "Canonical Definitions"), as far as synchronous components can use
//! them: what a task keeps, backpressure. The others are there by name, and trap.

use super::canon::leave;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Func as CoreFunc;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::FuncType;
use alloc::format;

fn slot(slots: &mut [u64]) -> Result<&mut u64> {
    slots.first_mut().ok_or_else(|| Error::usage("too few slots"))
}

fn kept(store: &mut StoreInner, slot: u32) -> Result<&mut u64> {
    let kept = store.components().context.get_mut(slot as usize);
    kept.ok_or_else(|| Error::usage("crash: a task keeps no such slot"))
}

/// `canon context.get`
pub(super) fn canon_context_get(store: &mut StoreInner, index: u32, ty: FuncType) -> CoreFunc {
    CoreFunc::new_raw(store, ty, move |store, slots| {
        *slot(slots)? = *kept(store, index)?;
        Ok(())
    })
}

/// `canon context.set`
pub(super) fn canon_context_set(store: &mut StoreInner, index: u32, ty: FuncType) -> CoreFunc {
    CoreFunc::new_raw(store, ty, move |store, slots| {
        *kept(store, index)? = *slot(slots)?;
        Ok(())
    })
}

/// `canon backpressure.inc` and `backpressure.dec`
pub(super) fn canon_backpressure(store: &mut StoreInner, instance: u32, more: bool) -> CoreFunc {
    CoreFunc::new_raw(store, FuncType::new([], []), move |store, _| {
        let count = &mut store.component_instance(instance)?.backpressure;
        let changed = if more { count.checked_add(1) } else { count.checked_sub(1) };
        *count = changed.ok_or_else(|| {
            Error::new(ErrorKind::Trap(Trap::CanonicalAbi), "backpressure counter overflow")
        })?;
        Ok(())
    })
}

/// A built-in that is not there yet. Where no built-in may be called it is as good as any other.
pub(super) fn unsupported(
    store: &mut StoreInner,
    instance: u32,
    name: &'static str,
    ty: FuncType,
) -> CoreFunc {
    CoreFunc::new_raw(store, ty, move |store, _| {
        leave(store, instance)?;
        Err(Error::new(ErrorKind::Trap(Trap::MissingImport), format!("`{name}` is not supported yet")))
    })
}
