//! Handles to resources that a guest defines, as the host holds them.
//!
//! Such a resource type is new with every instance that defines it, so no Rust type can *be* it. A Rust type names it instead:
//! where a function is given Rust types, the names are matched with the resources of its type (`Guest::resource_type`), and
//! each handle carries the resource that it really is, so a handle of another instance is refused.

use crate::context::{Guest, LiftLowerContext};
use crate::error::Result;
use crate::layout::Layout;
use crate::lift::CoreValueIter;
use crate::load::load_int;
use crate::lower::CoreValueSink;
use crate::store::store_int;
use crate::typed::{ComponentType, Lift, Lower};
use crate::types::{ResourceType, TypeError, ValType};
use crate::val::Resource;
use core::marker::PhantomData;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident $t:ident $lift:ident $lower:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name<T: ?Sized> {
            resource: Resource,
            name: PhantomData<fn() -> T>,
        }

        impl<T: ?Sized> $name<T> {
            /// The handle to this resource. Whether it is what `T` names is found out when the handle is used.
            pub const fn new(resource: Resource) -> $name<T> {
                $name { resource, name: PhantomData }
            }

            /// The resource.
            pub const fn resource(&self) -> Resource {
                self.resource
            }
        }

        impl<T: ?Sized> core::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}<{}>({:?})", stringify!($name), core::any::type_name::<T>(), self.resource)
            }
        }

        impl<T: ?Sized + 'static> ComponentType for $name<T> {
            const LAYOUT: Layout = Layout::scalar(4);

            fn val_type() -> Result<ValType, TypeError> {
                Ok(ValType::$t(ResourceType::host::<T>()))
            }
        }

        impl<T: ?Sized + 'static> Lift for $name<T> {
            fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<$name<T>> {
                let index = load_int(cx, ptr)?;
                let rt = cx.guest.resource_type(ResourceType::host::<T>());
                Ok($name::new(cx.guest.$lift(index, rt)?))
            }

            fn lift_flat<G: Guest + ?Sized>(
                cx: &mut LiftLowerContext<'_, G>,
                vi: &mut CoreValueIter<'_>,
            ) -> Result<$name<T>> {
                let rt = cx.guest.resource_type(ResourceType::host::<T>());
                Ok($name::new(cx.guest.$lift(vi.next_i32()?, rt)?))
            }
        }

        impl<T: ?Sized + 'static> Lower for $name<T> {
            fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
                let rt = cx.guest.resource_type(ResourceType::host::<T>());
                let index = cx.guest.$lower(self.resource, rt)?;
                store_int(cx, index, ptr)
            }

            fn lower_flat<G: Guest + ?Sized>(
                &self,
                cx: &mut LiftLowerContext<'_, G>,
                out: &mut CoreValueSink<'_>,
            ) -> Result<()> {
                let rt = cx.guest.resource_type(ResourceType::host::<T>());
                out.push(u64::from(cx.guest.$lower(self.resource, rt)?))
            }
        }
    )*};
}
handles! {
    /// `own<t>` of a guest's resource. It is not dropped by itself, since its end is a call into the guest: give it back to a
    /// guest, or end it where the store is at hand.
    GuestOwn Own lift_own lower_own;
    /// `borrow<t>` of a guest's resource.
    GuestBorrow Borrow lift_borrow lower_borrow;
}

impl<T: ?Sized> GuestOwn<T> {
    /// The same resource, lent for one call.
    pub const fn borrow(&self) -> GuestBorrow<T> {
        GuestBorrow::new(self.resource)
    }
}

impl<T: ?Sized> Clone for GuestBorrow<T> {
    fn clone(&self) -> GuestBorrow<T> {
        *self
    }
}

impl<T: ?Sized> Copy for GuestBorrow<T> {}
