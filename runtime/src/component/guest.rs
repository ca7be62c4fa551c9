//! A component instance as the Canonical ABI sees it: [`Guest`], over a store.
//!
//! Must not know: who calls whom.

use super::abi::handle::{BorrowScope, Subtask};
use super::abi::{
    self, Error as AbiError, Guest, LiftLowerContext, Options, PtrType, Resource, ResourceType,
    StringEncoding, Trap as AbiTrap,
};
use super::canon::CALL_SLOTS;
use super::instance::ComponentStore;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Memory;
use crate::host::crossing::Callee;
use crate::store::StoreInner;
use crate::trap::Trap;
use alloc::string::ToString;

/// Canonical options, with what they name in a store (CanonicalABI.md `LiftLowerOptions`).
#[derive(Clone, Copy, Debug)]
pub(super) struct CanonContext {
    /// The component instance.
    pub(super) instance: u32,
    pub(super) string_encoding: StringEncoding,
    /// The address type of `memory`.
    pub(super) ptr_type: PtrType,
    pub(super) memory: Option<Memory>,
    pub(super) realloc: Option<Callee>,
}

impl CanonContext {
    /// The `realloc` of the options.
    pub(super) fn realloc(&self) -> abi::Result<Callee> {
        // Validation asks for the option wherever a value needs it.
        self.realloc.ok_or_else(|| {
            AbiError::guest(Error::usage("a value needs `realloc`, which the canonical options lack"))
        })
    }
}

/// Which call the borrows of a lifting or lowering belong to.
pub(super) enum Scope<'a> {
    /// The instance calls: what it lends is noted here.
    Caller(&'a mut Subtask),
    /// The instance is called.
    Callee(BorrowScope),
}

/// An instance during one lifting or lowering.
pub(super) struct InstanceGuest<'a> {
    store: &'a mut StoreInner,
    cx: &'a CanonContext,
    scope: Scope<'a>,
    names: &'a ResourceNames,
}

/// Which resource of a store each Rust type names that stands for a guest's resource (`GuestOwn`).
pub(super) type ResourceNames = [(ResourceType, ResourceType)];

impl<'a> InstanceGuest<'a> {
    pub(super) fn new(
        store: &'a mut StoreInner,
        cx: &'a CanonContext,
        scope: Scope<'a>,
    ) -> InstanceGuest<'a> {
        InstanceGuest { store, cx, scope, names: &[] }
    }

    /// The same, for a host that names resources of guests.
    pub(super) fn with_names(self, names: &'a ResourceNames) -> InstanceGuest<'a> {
        InstanceGuest { names, ..self }
    }

    /// The context that lifts and lowers with it.
    pub(super) fn context(&mut self) -> LiftLowerContext<'_, InstanceGuest<'a>> {
        let opts = Options {
            string_encoding: self.cx.string_encoding,
            ptr_type: self.cx.ptr_type,
            copy_budget: usize::try_from(self.store.limits().copy_bytes_per_call).unwrap_or(usize::MAX),
        };
        LiftLowerContext::new(self, opts)
    }
}

/// An error of the Canonical ABI as the engine's. `between`: both sides are components, which the suite words differently.
pub(super) fn raise(error: AbiError, between: bool) -> Error {
    match error {
        AbiError::Trap(trap) => {
            let text = if between { trap.between_components().to_string() } else { trap.to_string() };
            Error::new(ErrorKind::Trap(Trap::CanonicalAbi), text)
        }
        AbiError::Type(mismatch) => Error::usage(mismatch.to_string()),
        AbiError::Guest(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::host(other.to_string()),
        },
    }
}

impl Guest for InstanceGuest<'_> {
    fn memory(&self) -> &[u8] {
        self.cx.memory.and_then(|memory| memory.data(&*self.store).ok()).unwrap_or(&[])
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        self.cx.memory.and_then(|memory| memory.data_mut(&mut *self.store).ok()).unwrap_or(&mut [])
    }

    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> abi::Result<usize> {
        let (realloc, ptr_type) = (self.cx.realloc()?, self.cx.ptr_type);
        let mut slots = [0; CALL_SLOTS];
        for (slot, size) in slots.iter_mut().zip([old_ptr, old_size, alignment, new_size]) {
            *slot = ptr_type.slot(size);
        }
        leaving(self.store, self.cx.instance, |store| store.call_from_host(realloc, &mut slots))
            .map_err(AbiError::guest)?;
        Ok(ptr_type.address(slots[0]))
    }

    fn keep(&mut self, bytes: usize) -> bool {
        self.store.lifted.grow(bytes)
    }

    fn resource_type(&self, rt: ResourceType) -> ResourceType {
        self.names.iter().find(|(name, _)| *name == rt).map_or(rt, |&(_, rt)| rt)
    }

    fn lift_own(&mut self, index: u32, rt: ResourceType) -> abi::Result<Resource> {
        let instance = self.store.component_instance(self.cx.instance).map_err(AbiError::guest)?;
        instance.handles.lift_own(index, rt)
    }

    fn lift_borrow(&mut self, index: u32, rt: ResourceType) -> abi::Result<Resource> {
        let instance = self.store.component_instance(self.cx.instance).map_err(AbiError::guest)?;
        match &mut self.scope {
            Scope::Caller(subtask) => instance.handles.lift_borrow(index, rt, subtask),
            // Validation keeps borrows out of results.
            Scope::Callee(_) => Err(AbiTrap::UnknownHandle(index).into()),
        }
    }

    fn lower_own(&mut self, resource: Resource, rt: ResourceType) -> abi::Result<u32> {
        let instance = self.store.component_instance(self.cx.instance).map_err(AbiError::guest)?;
        instance.handles.lower_own(resource, rt)
    }

    fn lower_borrow(&mut self, resource: Resource, rt: ResourceType) -> abi::Result<u32> {
        let Scope::Callee(scope) = self.scope else {
            return Err(AbiError::guest(Error::usage("a borrow among the results of a call")));
        };
        if resource.rt == rt && self.store.defines(self.cx.instance, rt) {
            return Ok(resource.rep_i32()?);
        }
        let ComponentStore { instances, tasks, .. } = self.store.components();
        let lowered = match instances.get_mut(self.cx.instance as usize) {
            Some(instance) => instance.handles.lower_borrow(resource, rt, tasks, scope)?,
            None => None,
        };
        lowered.ok_or_else(|| AbiError::guest(Error::usage("a borrow outside of any call")))
    }
}

/// Runs code of an instance during which it may not leave (`realloc`, `post-return`). After an error the instance stays so.
pub(super) fn leaving(
    store: &mut StoreInner,
    instance: u32,
    run: impl FnOnce(&mut StoreInner) -> Result<()>,
) -> Result<()> {
    store.component_instance(instance)?.set_may_leave(false);
    run(store)?;
    store.component_instance(instance)?.set_may_leave(true);
    Ok(())
}
