//! Resource types at run time: who defines them, what their end calls, and the calls that borrows belong to (CanonicalABI.md
//! "Resource State", "canon resource.drop", the borrow counts of "Task").
//!
//! A resource that a component defines is `ResourceType::Id`, a number of the store, new with every instantiation. A resource
//! of the host is `ResourceType::Host`, the same everywhere; what ends it is whatever the linker said where it was imported.

use super::abi::ResourceType;
use super::abi::handle::Dropped;
use super::abi::{Resource, Trap as AbiTrap};
use super::canon;
use super::guest::raise;
use crate::error::{Error, Result};
use crate::handle::Func as CoreFunc;
use crate::store::{AsStoreMut, StoreInner};
use alloc::format;
use alloc::sync::Arc;

/// What the host does when a guest drops the last handle of a resource; it gets the representation.
pub(super) type HostDestructor = dyn Fn(&mut StoreInner, u32) -> Result<()> + Send + Sync;

/// A resource type as an item.
#[derive(Clone)]
pub(super) struct ResourceItem {
    pub(super) rt: ResourceType,
    /// For resources of the host.
    pub(super) destructor: Option<Arc<HostDestructor>>,
}

/// A resource type that a component instance defines.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResourceData {
    /// The instance whose code its destructor is.
    pub(super) definer: u32,
    pub(super) destructor: Option<CoreFunc>,
}

impl StoreInner {
    /// A new resource type.
    pub(super) fn add_resource_type(
        &mut self,
        definer: u32,
        destructor: Option<CoreFunc>,
    ) -> Result<ResourceType> {
        let resources = &mut self.components().resources;
        let id = u32::try_from(resources.len()).map_err(|_| Error::exhausted("too many resource types"))?;
        resources.push(ResourceData { definer, destructor });
        Ok(ResourceType::Id(id))
    }

    /// The definition of a resource type; `None` for the host's.
    fn resource_data(&mut self, rt: ResourceType) -> Option<ResourceData> {
        match rt {
            ResourceType::Id(id) => self.components().resources.get(id as usize).copied(),
            ResourceType::Host(_) => None,
        }
    }

    /// Whether `instance` defines the resource type: then it knows borrows by their representation.
    pub(super) fn defines(&mut self, instance: u32, rt: ResourceType) -> bool {
        self.resource_data(rt).is_some_and(|data| data.definer == instance)
    }

    /// Ends a resource that nobody owns any more.
    pub(super) fn destroy(&mut self, resource: Resource, host: Option<&HostDestructor>) -> Result<()> {
        if let Some(destructor) = host {
            return destructor(self, resource.rep_i32().map_err(|trap| raise(trap.into(), false))?);
        }
        match self.resource_data(resource.rt) {
            Some(ResourceData { definer, destructor: Some(destructor) }) => {
                canon::call_destructor(self, definer, destructor, resource.rep)
            }
            _ => Ok(()),
        }
    }

    /// `canon resource.drop`, when the caller may leave its instance.
    pub(super) fn drop_handle(&mut self, instance: u32, resource: &ResourceItem, index: u32) -> Result<()> {
        let dropped = self.component_instance(instance)?.handles.resource_drop(resource.rt, index);
        match dropped.map_err(|error| raise(error, false))? {
            Dropped::Own(ended) => self.destroy(ended, resource.destructor.as_deref()),
            Dropped::Borrow(scope) if self.components().tasks.dropped(scope) => Ok(()),
            Dropped::Borrow(_) => Err(raise(AbiTrap::UnknownHandle(index).into(), false)),
        }
    }
}

/// Ends a resource that the host owns, because a guest gave it an `own` handle: calls the destructor of the component that
/// defines it. Resources that the host defines itself have none here.
///
/// # Errors
/// What the destructor ends with; `Usage` for a resource type that is not of this store.
pub fn resource_drop(mut store: impl AsStoreMut, resource: Resource) -> Result<()> {
    store.as_store_mut().without_waiting(|store| resource_drop_here(store, resource))
}

/// The same on whatever stack this is.
pub(super) fn resource_drop_here(store: &mut StoreInner, resource: Resource) -> Result<()> {
    match resource.rt {
        ResourceType::Host(_) => Ok(()),
        rt @ ResourceType::Id(_) => match store.resource_data(rt) {
            Some(_) => store.destroy(resource, None),
            None => Err(Error::usage(format!("{rt:?} is no resource type of this store"))),
        },
    }
}
