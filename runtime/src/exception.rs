//! Exceptions (core specification 4.2.14 "Exception Instances", 4.4.11): objects of the heap that carry the slots of their
//! tag's parameters; how they travel; the host's handle.
//!
//! An exception on its way waits in [`crate::vm::VmStore::exception`], and the status that everybody hands on is
//! [`Status::EXCEPTION`]. Who catches it takes it out (`StoreInner::take_exception`). Must not know: how handlers are found.

use crate::error::{Error, Result};
use crate::gc::{self, GcHeader, Rooted};
use crate::handle::Tag;
use crate::module::TagIdx;
use crate::store::{AsStoreMut, StoreInner};
use crate::trap::Trap;
use crate::val::{RawVal, Val};
use crate::vm::{Status, VmContext, VmTag};
use alloc::string::String;
use alloc::{format, vec, vec::Vec};
use core::ptr::{self, NonNull};

/// An exception that the host holds. It stays alive for as long as this or a clone does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExnRef {
    object: Rooted,
    tag: Tag,
}

impl ExnRef {
    /// A new exception of a tag.
    ///
    /// # Errors
    /// `Usage` when the values do not fit the tag or belong to another store; the trap of a full heap.
    pub fn new(mut store: impl AsStoreMut, tag: Tag, values: &[Val]) -> Result<ExnRef> {
        let store = store.as_store_mut();
        let ty = tag.ty(&*store)?;
        let fit = values.len() == ty.params().len()
            && values.iter().zip(ty.params()).all(|(val, &ty)| store.val_matches(val, ty));
        if !fit {
            return Err(Error::usage(format!("{values:?} do not fit a tag of type {ty}")));
        }
        let mut slots = vec![0; ty.param_slots()];
        let mut at = 0;
        for (val, ty) in values.iter().zip(ty.params()) {
            store.lower_val(val, &mut slots[at..])?;
            at += ty.slots();
        }
        let vm = store.tag_data(tag)?.vm();
        // SAFETY: the tag is this store's, and the slots hold values of its parameters. Their references are the host's, who
        // holds them in `values`.
        let object = unsafe { store.new_exception(vm, slots.as_ptr())? };
        Ok(ExnRef { object: Rooted::new(store, object), tag })
    }

    /// Takes the exception that is on its way.
    pub(crate) fn of(store: &mut StoreInner) -> Option<ExnRef> {
        let reference = store.take_exception();
        ExnRef::from_reference(store, reference)
    }

    /// The handle of a reference to an exception, `None` for null.
    pub(crate) fn from_reference(store: &mut StoreInner, reference: RawVal) -> Option<ExnRef> {
        let object = gc::object::object(reference)?;
        // SAFETY: a reference of this type leads to a live exception, whose tag is this store's (V1).
        let index = unsafe { (*tag_of(object)).index };
        Some(ExnRef { object: Rooted::new(store, object), tag: Tag { store: store.id(), index } })
    }

    /// The reference, as slots carry it.
    pub(crate) fn reference(&self, store: &StoreInner) -> Result<RawVal> {
        self.object.reference(store)
    }

    /// Its tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// In words: the tag, by the name that its module gives it, and the numbers that the exception carries.
    pub(crate) fn describe(&self, store: &mut StoreInner) -> String {
        let definer = store.instances.iter().find_map(|instance| {
            let place = instance.tags.iter().position(|tag| *tag == self.tag.index)?;
            Some((instance.module.info(), TagIdx(place as u32)))
        });
        let name = definer.map(|(info, tag)| {
            let name = info.tag_name(tag).unwrap_or_else(|| format!("#{}", tag.0));
            match info.module_name() {
                Some(module) => format!("`{name}` of `{module}`"),
                None => format!("`{name}`"),
            }
        });
        let mut words = String::from(Trap::UnhandledException.message());
        words += ": tag ";
        words += name.as_deref().unwrap_or("of the host");
        let values = self.values(&mut *store).unwrap_or_default();
        for (i, value) in values.iter().enumerate() {
            words += if i == 0 { " (" } else { ", " };
            words += &match value {
                Val::I32(v) => format!("{v}"),
                Val::I64(v) => format!("{v}"),
                Val::F32(bits) => format!("{}", f32::from_bits(*bits)),
                Val::F64(bits) => format!("{}", f64::from_bits(*bits)),
                other => format!("{}", other.ty()),
            };
        }
        if !values.is_empty() {
            words += ")";
        }
        words
    }

    /// What it carries.
    ///
    /// # Errors
    /// `Usage` when it belongs to another store.
    pub fn values(&self, mut store: impl AsStoreMut) -> Result<Vec<Val>> {
        let store = store.as_store_mut();
        let ty = self.tag.ty(&*store)?;
        let object = self.object.object(store)?;
        // SAFETY: the handle keeps the exception alive; nothing writes to it.
        let slots = unsafe {
            let (first, count) = payload(object);
            core::slice::from_raw_parts(first, count)
        };
        let mut at = 0;
        let lift = |&ty: &_| {
            let val = store.lift_val(ty, &slots[at..]);
            at += ty.slots();
            val
        };
        Ok(ty.params().iter().map(lift).collect())
    }
}

/// Where an interpreted frame goes on that catches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landing {
    /// The instance.
    pub(crate) ctx: *mut VmContext,
    /// The instruction.
    pub(crate) ip: *const u8,
    /// The frame.
    pub(crate) sp: *mut RawVal,
    /// Content of the function's pinned local.
    pub(crate) l0: RawVal,
}

impl Default for Landing {
    fn default() -> Landing {
        Landing { ctx: ptr::null_mut(), ip: ptr::null(), sp: ptr::null_mut(), l0: 0 }
    }
}

/// The tag of an exception.
///
/// # Safety
/// `exception` is a live exception.
pub(crate) unsafe fn tag_of(exception: NonNull<GcHeader>) -> *const VmTag {
    // SAFETY: a tag's shape is its first field (V1), and only tags have shapes of exceptions.
    unsafe { (*exception.as_ptr()).shape.cast() }
}

/// The slots that an exception carries: where they begin and how many.
///
/// # Safety
/// As for [`tag_of`].
pub(crate) unsafe fn payload(exception: NonNull<GcHeader>) -> (*mut RawVal, usize) {
    // SAFETY: the caller's promise; the shape says how much lies behind the header.
    unsafe {
        let bytes = (*(*exception.as_ptr()).shape).size - gc::FIELDS;
        let first = exception.as_ptr().byte_add(gc::FIELDS as usize).cast();
        (first, bytes as usize / size_of::<RawVal>())
    }
}

impl StoreInner {
    /// A new exception with what lies in `slots`.
    ///
    /// # Errors
    /// The trap of a full heap.
    ///
    /// # Safety
    /// `tag` is one of this store (V1), `slots` hold values of its parameters. References in them are found by the collector
    /// where they lie.
    pub(crate) unsafe fn new_exception(
        &mut self,
        tag: *const VmTag,
        slots: *const RawVal,
    ) -> Result<NonNull<GcHeader>, Trap> {
        // SAFETY: a tag lives as long as its store; the payload has as many slots as the tag's parameters.
        unsafe {
            let exception = gc::alloc(self, &raw const (*tag).shape, 0)?;
            let (first, count) = payload(exception);
            core::ptr::copy_nonoverlapping(slots, first, count);
            Ok(exception)
        }
    }

    /// `throw`: makes the exception and sends it off.
    ///
    /// # Safety
    /// As for [`StoreInner::new_exception`].
    pub(crate) unsafe fn throw(&mut self, tag: *const VmTag, slots: *const RawVal) -> Status {
        // SAFETY: the caller's promise.
        match unsafe { self.new_exception(tag, slots) } {
            Ok(exception) => self.send_exception(gc::object::reference(exception)),
            Err(trap) => Status::trap(trap),
        }
    }

    /// `throw_ref`: sends an exception off once more.
    pub(crate) fn throw_ref(&mut self, exception: RawVal) -> Status {
        if exception == 0 {
            return Status::trap(Trap::NullReference);
        }
        self.send_exception(exception)
    }

    fn send_exception(&mut self, exception: RawVal) -> Status {
        // SAFETY: V1, V5.
        unsafe { (*self.vm()).exception = exception };
        Status::EXCEPTION
    }

    /// The exception that is on its way.
    pub(crate) fn exception(&self) -> Option<NonNull<GcHeader>> {
        // SAFETY: V1, V5.
        gc::object::object(unsafe { (*self.vm()).exception })
    }

    /// The tag of the exception that is on its way.
    pub fn thrown_tag(&self) -> Option<*const VmTag> {
        // SAFETY: it is live: the store's word is a root.
        self.exception().map(|exception| unsafe { tag_of(exception) })
    }

    /// Takes the exception that is on its way out of the store.
    pub(crate) fn take_exception(&mut self) -> RawVal {
        // SAFETY: V1, V5.
        core::mem::take(unsafe { &mut (*self.vm()).exception })
    }
}
