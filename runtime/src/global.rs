//! Globals (core specification 4.2.9): the embedder's handle.

use crate::error::{Error, Result};
use crate::handle::Global;
use crate::store::{AsStore, AsStoreMut, GlobalData, StoreInner};
use crate::types::GlobalType;
use crate::val::Val;

impl StoreInner {
    pub(crate) fn global_data(&self, global: Global) -> Result<&GlobalData> {
        self.check(global.store)?;
        self.globals.get(global.index as usize).ok_or_else(|| Error::usage("no such global in this store"))
    }
}

impl Global {
    /// A new global.
    pub fn new(mut store: impl AsStoreMut, ty: GlobalType, val: Val) -> Result<Global> {
        let store = store.as_store_mut();
        let slots = slots(store, &ty, &val)?;
        Ok(Global { store: store.id(), index: store.add_owned_global(slots, ty) })
    }

    /// Its type.
    pub fn ty(self, store: impl AsStore) -> Result<GlobalType> {
        Ok(store.as_store().global_data(self)?.ty)
    }

    /// Its value.
    pub fn get(self, mut store: impl AsStoreMut) -> Result<Val> {
        let store = store.as_store_mut();
        let data = store.global_data(self)?;
        // SAFETY: V1.
        let (ty, slots) = (data.ty.content, unsafe { (*data.vm).slots });
        Ok(store.lift_val(ty, &slots))
    }

    /// Sets its value.
    ///
    /// # Errors
    /// `Usage` when it is immutable or the value has another type.
    pub fn set(self, mut store: impl AsStoreMut, val: Val) -> Result<()> {
        let store = store.as_store_mut();
        let data = store.global_data(self)?;
        if !data.ty.mutable {
            return Err(Error::usage("this global is immutable"));
        }
        let slots = slots(store, &data.ty, &val)?;
        // SAFETY: V1, V5.
        unsafe { (*data.vm).slots = slots }
        Ok(())
    }
}

fn slots(store: &StoreInner, ty: &GlobalType, val: &Val) -> Result<[u64; 2]> {
    if !store.val_matches(val, ty.content) {
        return Err(Error::usage(alloc::format!("{val:?} is no {}", ty.content)));
    }
    let mut slots = [0; 2];
    store.lower_val(val, &mut slots)?;
    Ok(slots)
}
