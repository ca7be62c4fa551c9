//! Tables (core specification 4.2.7): slots of references, how they grow, and the embedder's handle.

use crate::deadline::PIECE_ELEMS;
use crate::error::{Error, Result};
use crate::handle::Table;
use crate::limits::{ELEMENT_BYTES, StoreLimits};
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::types::{TableType, ValType};
use crate::val::{RawVal, Val};
use crate::vm::VmTable;
use alloc::{boxed::Box, format, vec::Vec};
use core::ptr::NonNull;

/// A table of a store. Guest code points at its head (V1).
#[repr(C)]
pub(crate) struct TableData {
    pub(crate) vm: VmTable,
    pub(crate) ty: TableType,
    elements: Vec<RawVal>,
}

impl TableData {
    pub(crate) fn elements(&self) -> &[RawVal] {
        // SAFETY: V3: the head describes `elements`, through which guest code writes.
        unsafe { core::slice::from_raw_parts(self.vm.base, self.vm.len) }
    }

    pub(crate) fn elements_mut(&mut self) -> &mut [RawVal] {
        // SAFETY: V3; the table is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.vm.base, self.vm.len) }
    }

    pub(crate) fn range(&self, at: u64, len: u64) -> Result<core::ops::Range<usize>, Trap> {
        let end =
            at.checked_add(len).filter(|&end| end <= self.vm.len as u64).ok_or(Trap::TableOutOfBounds)?;
        Ok(at as usize..end as usize)
    }

    fn max(&self) -> u64 {
        let reach = if self.ty.table64 { u64::MAX } else { u64::from(u32::MAX) };
        self.ty.limits.max.unwrap_or(u64::MAX).min(reach)
    }
}

impl StoreInner {
    /// A new table filled with one reference, within the limits.
    pub(crate) fn add_table(&mut self, ty: TableType, init: RawVal) -> Result<u32> {
        let min = ty.limits.min;
        let Some(total) = self.table_room(min) else {
            let StoreLimits { table_elements, total_bytes, .. } = *self.limits();
            return Err(Error::exhausted(if min > table_elements.saturating_sub(self.table_elements) {
                format!(
                    "a table of {min} elements goes past the store's limit of {table_elements} elements ({} are in use)",
                    self.table_elements
                )
            } else {
                self.past_total(format_args!("a table of {min} elements"), total_bytes)
            }));
        };
        let refused = || Error::exhausted(format!("no room for a table of {min} elements"));
        let len = usize::try_from(min).map_err(|_| refused())?;
        let mut elements = Vec::new();
        elements.try_reserve_exact(len).map_err(|_| refused())?;
        elements.resize(len, init);
        let vm = VmTable { base: elements.as_mut_ptr(), len };
        self.table_elements = total;
        self.tables.push(NonNull::from(Box::leak(Box::new(TableData { vm, ty, elements }))));
        Ok(self.tables.len() as u32 - 1)
    }

    /// The elements of all tables with so many more; `None` when a limit refuses.
    fn table_room(&mut self, more: u64) -> Option<u64> {
        let total = self.table_elements.checked_add(more)?;
        if total > self.limits().table_elements {
            return None;
        }
        let bytes = more.checked_mul(ELEMENT_BYTES)?;
        (bytes <= self.bytes_left_for(bytes)).then_some(total)
    }

    /// The size of a table after growth, and of all tables together; `None` when a limit refuses.
    pub(crate) fn table_growth(&mut self, table: &TableData, delta: u64) -> Option<(usize, u64)> {
        let new = (table.vm.len as u64).checked_add(delta).filter(|&new| new <= table.max())?;
        let total = self.table_room(delta)?;
        Some((usize::try_from(new).ok()?, total))
    }

    /// `table.grow`: the old size, or `None` when a limit refuses.
    ///
    /// # Errors
    /// `Interrupted`; nothing has changed then.
    pub(crate) fn grow_table(
        &mut self,
        mut table: NonNull<TableData>,
        init: RawVal,
        delta: u64,
    ) -> Result<Option<u64>, Trap> {
        // SAFETY: V1, V5.
        let data = unsafe { table.as_mut() };
        let Some((new, total)) = self.table_growth(data, delta) else { return Ok(None) };
        let old = data.vm.len;
        if data.elements.try_reserve(new - old).is_err() {
            return Ok(None);
        }
        // What waits in between finds the table where it is now, with its old length.
        data.vm.base = data.elements.as_mut_ptr();
        let grown = self.in_pieces(new - old, PIECE_ELEMS, |_, part| {
            // SAFETY: V1, V5.
            unsafe { table.as_mut() }.elements.resize(old + part.end, init);
        });
        // SAFETY: V1, V5.
        let data = unsafe { table.as_mut() };
        if let Err(trap) = grown {
            data.elements.truncate(old);
            return Err(trap);
        }
        data.vm.len = new;
        self.table_elements = total;
        Ok(Some(old as u64))
    }

    pub(crate) fn table_ptr(&self, table: Table) -> Result<NonNull<TableData>> {
        self.check(table.store)?;
        self.tables
            .get(table.index as usize)
            .copied()
            .ok_or_else(|| Error::usage("no such table in this store"))
    }

    /// A reference of a table's type, raw.
    fn element(&self, ty: &TableType, val: &Val) -> Result<RawVal> {
        if !self.val_matches(val, ValType::Ref(ty.element)) {
            return Err(Error::usage(format!("{val:?} is no {} element", ty.element)));
        }
        let mut slot = [0];
        self.lower_val(val, &mut slot)?;
        Ok(slot[0])
    }
}

impl Table {
    /// A new table, each element `init`.
    pub fn new(mut store: impl AsStoreMut, ty: TableType, init: Val) -> Result<Table> {
        let store = store.as_store_mut();
        let init = store.element(&ty, &init)?;
        Ok(Table { store: store.id(), index: store.add_table(ty, init)? })
    }

    /// Its type, with its current size as the minimum.
    pub fn ty(self, store: impl AsStore) -> Result<TableType> {
        // SAFETY: V1.
        let data = unsafe { store.as_store().table_ptr(self)?.as_ref() };
        let mut ty = data.ty;
        ty.limits.min = data.vm.len as u64;
        Ok(ty)
    }

    /// Elements now.
    pub fn size(self, store: impl AsStore) -> Result<u64> {
        // SAFETY: V1.
        Ok(unsafe { store.as_store().table_ptr(self)?.as_ref() }.vm.len as u64)
    }

    /// An element; `None` past the end.
    pub fn get(self, mut store: impl AsStoreMut, index: u64) -> Result<Option<Val>> {
        let store = store.as_store_mut();
        // SAFETY: V1.
        let data = unsafe { &*store.table_ptr(self)?.as_ptr() };
        let slot = usize::try_from(index).ok().and_then(|i| data.elements().get(i).copied());
        Ok(slot.map(|slot| store.lift_val(ValType::Ref(data.ty.element), &[slot])))
    }

    /// Sets an element.
    ///
    /// # Errors
    /// `Trap` past the end, `Usage` for a value of another type.
    pub fn set(self, mut store: impl AsStoreMut, index: u64, val: Val) -> Result<()> {
        let store = store.as_store_mut();
        // SAFETY: V1, V5.
        let data = unsafe { &mut *store.table_ptr(self)?.as_ptr() };
        let slot = store.element(&data.ty, &val)?;
        let place = usize::try_from(index).ok().and_then(|i| data.elements_mut().get_mut(i));
        *place.ok_or(Trap::TableOutOfBounds)? = slot;
        Ok(())
    }

    /// Grows by `delta` elements, each `init`; the old size.
    ///
    /// # Errors
    /// `Exhausted` when a limit refuses.
    pub fn grow(self, mut store: impl AsStoreMut, delta: u64, init: Val) -> Result<u64> {
        let store = store.as_store_mut();
        let table = store.table_ptr(self)?;
        // SAFETY: V1.
        let init = store.element(unsafe { &table.as_ref().ty }, &init)?;
        store
            .grow_table(table, init, delta)?
            .ok_or_else(|| Error::exhausted(format!("table cannot grow by {delta}")))
    }
}
