//! Stack switching where there are no fibers: modules that use it are refused ([`crate::features`]), so nothing here is ever asked.

use crate::engine::Engine;
use crate::gc::{GcHeader, Marker};
use crate::val::RawVal;
use core::ptr::NonNull;

/// No fibers.
pub(crate) struct Switching;

impl Switching {
    pub(crate) fn new(_engine: &Engine) -> Switching {
        Switching
    }

    pub(crate) fn enter(&mut self) -> usize {
        0
    }

    pub(crate) fn leave(&mut self, _barrier: usize) {}

    pub(crate) fn charged_bytes(&self) -> u64 {
        0
    }

    pub(crate) fn settle(&mut self) {}

    pub(crate) fn live(&self) -> u32 {
        0
    }

    pub(crate) fn native_end(&self) -> Option<usize> {
        None
    }

    pub(crate) fn values(&self) -> Option<*mut RawVal> {
        None
    }

    pub(crate) unsafe fn mark_active(&self, _marker: &mut Marker<'_>, _main: (usize, *mut RawVal)) {}

    pub(crate) fn release_unmarked(&mut self, _marker: &Marker<'_>) {}
}

pub(crate) unsafe fn mark_continuation(_marker: &mut Marker<'_>, _object: NonNull<GcHeader>) {}

pub(crate) mod builtins {
    use crate::trap::Trap;
    use crate::val::RawVal;
    use crate::vm::{Status, VmContext};

    macro_rules! refused {
        ($($name:ident($($ty:ty),*) -> $ret:ty = $answer:expr;)*) => { $(
            pub(crate) unsafe extern "C" fn $name(_: *mut VmContext $(, _: $ty)*) -> $ret { $answer }
        )* };
    }
    const TRAP: Status = Status::trap(Trap::TooManyContinuations);
    refused! {
        cont_new(u32, u32, *mut RawVal) -> Status = TRAP;
        cont_bind(u32, *mut RawVal) -> Status = TRAP;
        resume(u32, u32, *mut RawVal, u32, *mut RawVal) -> u64 = (TRAP.0 as u64) << 32;
        resume_throw(u32, u32, u32, *mut RawVal, u32, *mut RawVal) -> u64 = (TRAP.0 as u64) << 32;
        resume_throw_ref(u32, *mut RawVal, u32, *mut RawVal) -> u64 = (TRAP.0 as u64) << 32;
        suspend(u32, u32, u32, *mut RawVal) -> Status = TRAP;
        switch_to(u32, u32, u32, *mut RawVal) -> Status = TRAP;
    }
}
