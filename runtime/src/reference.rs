//! What references say of themselves, for both engines and the host (core specification 4.4.3 "Reference Instructions", 2.3.2).
//!
//! In a slot: null is 0; `i31` is its 31 bits shifted left once and a 1; number `n` of the host is `n` shifted left three times and
//! a 2; everything else is an address: of a [`VmFunc`] in the `func` hierarchy, of an object of the heap elsewhere. The `any` and
//! `extern` hierarchies share this, so conversion between them changes nothing.

use crate::gc::{GcHeader, Kind, object};
use crate::val::RawVal;
use crate::vm::{VmFunc, VmType};
use core::ptr::with_exposed_provenance;

/// What builtins give below this is no reference, but the status of a failure.
pub const LEAST_REFERENCE: u64 = 0x1000;

/// `ref.i31`
pub const fn i31(value: u32) -> RawVal {
    ((value << 1) | 1) as RawVal
}

/// The value of an `i31`, sign-extended.
pub const fn i31_s(reference: RawVal) -> i32 {
    reference as i32 >> 1
}

/// The value of an `i31`, zero-extended.
pub const fn i31_u(reference: RawVal) -> u32 {
    reference as u32 >> 1
}

/// Is it an `i31`? The reference is of the `any` or `extern` hierarchy.
pub const fn is_i31(reference: RawVal) -> bool {
    reference & 1 == 1
}

/// A number of the host.
pub(crate) const fn host(number: u32) -> RawVal {
    (number as RawVal) << 3 | 2
}

/// The number of the host that a reference is.
pub(crate) const fn as_host(reference: RawVal) -> Option<u32> {
    if reference & 7 == 2 { Some((reference >> 3) as u32) } else { None }
}

/// What a test or cast asks of a reference that is not null, as far as it can tell within the reference's hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Test {
    /// Nothing fits: `none`, `nofunc`, `noextern`, ...
    Never,
    /// Everything fits: the top of the hierarchy.
    Always,
    /// `i31`
    I31,
    /// `eq`: an `i31` or an object.
    Eq,
    /// `struct`
    Struct,
    /// `array`
    Array,
    /// An object of a defined type or a subtype of it.
    Object,
    /// A function of a defined type or a subtype of it.
    Func,
    /// An object of exactly this type.
    ObjectExact,
    /// A function of exactly this type.
    FuncExact,
}

impl Test {
    /// Every test, by its number.
    pub const ALL: [Test; 10] = [
        Test::Never,
        Test::Always,
        Test::I31,
        Test::Eq,
        Test::Struct,
        Test::Array,
        Test::Object,
        Test::Func,
        Test::ObjectExact,
        Test::FuncExact,
    ];

    /// What a heap type of a module asks, and the index of the defined type that it names. `is_func` tells whether that is a
    /// function's. `None` for types that no operator tests.
    pub fn of(ty: wasmparser::HeapType, is_func: impl Fn(u32) -> bool) -> Option<(Test, Option<u32>)> {
        use wasmparser::AbstractHeapType as A;
        use wasmparser::HeapType as H;
        Some(match ty {
            H::Abstract { ty, .. } => (
                match ty {
                    A::None | A::NoFunc | A::NoExtern | A::NoExn | A::NoCont => Test::Never,
                    A::Any | A::Func | A::Extern | A::Exn | A::Cont => Test::Always,
                    A::I31 => Test::I31,
                    A::Eq => Test::Eq,
                    A::Struct => Test::Struct,
                    A::Array => Test::Array,
                },
                None,
            ),
            H::Concrete(index) => {
                let index = index.as_module_index()?;
                (if is_func(index) { Test::Func } else { Test::Object }, Some(index))
            }
            H::Exact(index) => {
                let index = index.as_module_index()?;
                (if is_func(index) { Test::FuncExact } else { Test::ObjectExact }, Some(index))
            }
        })
    }
}

/// The type of an object.
///
/// # Safety
/// `reference` is a live object of kind struct or array.
#[inline]
pub(crate) unsafe fn type_of(reference: RawVal) -> *const VmType {
    // SAFETY: the caller's promise: the shape of such an object is the head of its type.
    unsafe { (*with_exposed_provenance::<GcHeader>(reference as usize)).shape.cast() }
}

/// The kind of an object; `None` for null, an `i31`, a number of the host.
///
/// # Safety
/// `reference` is of the `any` or `extern` hierarchy, and live.
#[inline]
pub(crate) unsafe fn kind_of(reference: RawVal) -> Option<Kind> {
    // SAFETY: the caller's promise; every object has a shape.
    object::object(reference).map(|object| unsafe { (*object.as_ref().shape).kind })
}

/// The descriptor of an object; `None` when its type has none.
///
/// # Safety
/// `reference` is a live structure or array.
#[inline]
pub(crate) unsafe fn descriptor(reference: RawVal) -> Option<RawVal> {
    // SAFETY: the caller's promise; V6.
    unsafe {
        let offset = (*type_of(reference)).descriptor_offset;
        let object = with_exposed_provenance::<u8>(reference as usize);
        (offset != 0).then(|| object.add(offset as usize).cast::<RawVal>().read())
    }
}

/// Does a reference that is not null pass a test?
///
/// # Safety
/// `reference` is live and of the hierarchy that the test belongs to; `ty` is the type that the test names, if it names one (V6).
#[inline]
pub unsafe fn passes(reference: RawVal, test: Test, ty: *const VmType) -> bool {
    let is = |kind: Kind| {
        // SAFETY: the caller's promise.
        unsafe { kind_of(reference) == Some(kind) }
    };
    let func = || {
        // SAFETY: the caller's promise; V1.
        unsafe { (*with_exposed_provenance::<VmFunc>(reference as usize)).ty }
    };
    // SAFETY: the caller's promise; V6. Objects of a store's `any` hierarchy are structures and arrays.
    unsafe {
        match test {
            Test::Never => false,
            Test::Always => true,
            Test::I31 => is_i31(reference),
            Test::Eq => is_i31(reference) || object::is_object(reference),
            Test::Struct => is(Kind::Struct),
            Test::Array => is(Kind::Array),
            Test::Object => object::is_object(reference) && VmType::is_subtype(type_of(reference), ty),
            Test::Func => VmType::is_subtype(func(), ty),
            Test::ObjectExact => object::is_object(reference) && type_of(reference) == ty,
            Test::FuncExact => func() == ty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_i31_keeps_31_bits_and_their_sign() {
        for (value, s, u) in
            [(0, 0, 0), (-1i32 as u32, -1, 0x7fff_ffff), (0x4000_0000, -0x4000_0000, 0x4000_0000)]
        {
            let reference = i31(value);
            assert!(is_i31(reference) && reference <= u64::from(u32::MAX) && reference != 0);
            assert_eq!((i31_s(reference), i31_u(reference)), (s, u));
            assert_eq!(as_host(reference), None);
        }
    }

    #[test]
    fn a_number_of_the_host_is_neither_null_nor_an_i31_nor_an_object() {
        for number in [0, 1, u32::MAX] {
            let reference = host(number);
            assert_eq!(as_host(reference), Some(number));
            assert!(reference != 0 && !is_i31(reference) && !object::is_object(reference));
        }
    }

    #[test]
    fn tests_are_numbered_in_their_order() {
        for (i, test) in Test::ALL.into_iter().enumerate() {
            assert_eq!(test as usize, i);
        }
    }
}
