//! What an object on the heap looks like, for the collector and for whoever reads its fields (both engines: the jit takes
//! [`core::mem::offset_of!`] of these).
//!
//! Fields begin at [`FIELDS`] behind the header's start in declaration order at natural alignment; the elements of an array
//! begin there too. References are one 8-byte slot.

use core::ptr::NonNull;

/// Where fields and elements begin, in bytes from the header's start.
pub const FIELDS: u32 = size_of::<GcHeader>() as u32;

/// What every object begins with. A reference to the object is the address of its header.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct GcHeader {
    /// Layout of the object: the head of a `VmType` or of a `VmTag`, outlives the store. Never null in an object.
    pub shape: *const Shape,
    /// Elements of an array, else 0. Never changes.
    pub len: u32,
    /// The heap's own.
    pub(crate) bits: u32,
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Kind {
    Struct,
    Array,
    Exception,
    Continuation,
}

/// How objects of a type lie in memory: all that the collector knows about types.
///
/// `refs` and `element_ref` speak of references of the `any`, `extern`, `exn` and `cont` hierarchies. References of the `func`
/// hierarchy are no objects and are left out (naming them costs a look-up each time and does no harm).
#[repr(C)]
#[derive(Debug)]
pub struct Shape {
    /// What such an object is.
    pub kind: Kind,
    /// Bytes with the header; for arrays the header's alone, which is [`FIELDS`].
    pub size: u32,
    /// Bytes of an element, for arrays.
    pub element_size: u32,
    /// Not 0 when the elements are references.
    pub element_ref: u32,
    /// How many offsets `refs` has.
    pub ref_count: u32,
    /// Byte offsets of the reference fields from the header's start. May be dangling when there are none.
    pub refs: *const u32,
}

// SAFETY: immutable, and so is what `refs` points at.
unsafe impl Send for Shape {}
// SAFETY: as above.
unsafe impl Sync for Shape {}

impl Shape {
    /// Bytes of an object with `len` elements (0 for all but arrays), header included. `None` past the address space.
    pub fn bytes(&self, len: u32) -> Option<usize> {
        let elements = u64::from(self.element_size) * u64::from(len);
        usize::try_from(u64::from(self.size).checked_add(elements)?).ok()
    }

    /// The offsets of the reference fields.
    ///
    /// # Safety
    /// `refs` is as the field says.
    pub(crate) unsafe fn ref_offsets(&self) -> &[u32] {
        if self.ref_count == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts(self.refs, self.ref_count as usize) }
    }
}

/// Is a reference of the `any` or `extern` hierarchy an object? Else it is null, an `i31` or a host's extern number.
pub const fn is_object(reference: u64) -> bool {
    reference != 0 && reference & 7 == 0
}

/// The object of a reference.
pub fn object(reference: u64) -> Option<NonNull<GcHeader>> {
    if !is_object(reference) {
        return None;
    }
    NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(reference).ok()?))
}

/// The reference to an object.
pub fn reference(object: NonNull<GcHeader>) -> u64 {
    object.as_ptr().expose_provenance() as u64
}
