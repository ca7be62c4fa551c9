//! The interpreter. (Being built: this entry refuses to run anything.)

use crate::backend::NativeCode;
use crate::config::Config;
use crate::module::ModuleInfo;
use crate::trap::Trap;
use crate::val::RawVal;
use crate::vm::{Status, VmContext, VmFunc};
use alloc::sync::Arc;

/// Translated code of one module.
pub(crate) struct CodeTable {}

impl CodeTable {
    pub(crate) fn new(
        _info: &Arc<ModuleInfo>,
        _config: &Config,
        _native: Option<Arc<dyn NativeCode>>,
    ) -> CodeTable {
        CodeTable {}
    }

    pub(crate) fn as_ptr(&self) -> *const core::ffi::c_void {
        core::ptr::from_ref(self).cast()
    }
}

pub(crate) unsafe extern "C" fn array_call(_func: *const VmFunc, _slots: *mut RawVal) -> Status {
    Status::trap(Trap::MissingImport)
}

pub(crate) unsafe extern "C" fn call_own(_ctx: *mut VmContext, _func: u32, _slots: *mut RawVal) -> Status {
    Status::trap(Trap::MissingImport)
}
