//! One module's native code as the engine sees it.

use super::code::CodeMap;
use super::registry::{self, CodeInfo};
use crate::tables::{NONE, Tables};
use mini_wasm_runtime::backend::{NativeAdapter, NativeCode, NativeFunc};
use mini_wasm_runtime::vm::ArrayCall;
use mini_wasm_runtime::{Error, ErrorKind, Result};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;

/// Code of one module inside a mapping that it may share with others of the same component.
#[derive(Debug)]
pub(crate) struct NativeModule {
    info: CodeInfo,
    /// Held for as long as the code may run.
    _map: Arc<CodeMap>,
}

impl NativeModule {
    /// Takes code into use: `text` and `tables` say where it lies in the published mapping.
    ///
    /// # Safety
    /// The text was made by this crate's compiler for this machine and for the configuration of every store it will run in,
    /// and the tables belong to it.
    pub(crate) unsafe fn new(
        map: Arc<CodeMap>,
        text: Range<usize>,
        tables: Range<usize>,
    ) -> Result<NativeModule> {
        let wrong = || Error::new(ErrorKind::Artifact, "the tables do not fit the code");
        let bytes = map.bytes().get(tables).ok_or_else(wrong)?;
        let parsed = Tables::parse(bytes).ok_or_else(wrong)?;
        let code = map.bytes().get(text).ok_or_else(wrong)?;
        if code.len() != parsed.text_len as usize {
            return Err(wrong());
        }
        let info = CodeInfo {
            text: code.as_ptr() as usize,
            tables_at: bytes.as_ptr(),
            tables_len: bytes.len(),
            tables: parsed,
        };
        if !code.is_empty() {
            registry::register(info);
        }
        Ok(NativeModule { info, _map: map })
    }

    fn at(&self, offset: u32) -> *const c_void {
        (self.info.text + offset as usize) as *const c_void
    }
}

impl Drop for NativeModule {
    fn drop(&mut self) {
        if self.info.tables.text_len > 0 {
            registry::unregister(self.info.text);
        }
    }
}

/// An adapter's tables have no functions, and its entry in the place of the first stub.
impl NativeAdapter for NativeModule {
    fn entry(&self) -> *const c_void {
        self.stub(0)
    }
}

impl NativeCode for NativeModule {
    fn func(&self, own: usize) -> Option<NativeFunc> {
        let row = self.info.tables.func(self.info.bytes(), own)?;
        if row.entry == NONE {
            return None;
        }
        // SAFETY: `new`'s caller vouches that the tables belong to the text: an array entry starts there, and it has this type.
        let array_call = unsafe { std::mem::transmute::<*const c_void, ArrayCall>(self.at(row.entry)) };
        Some(NativeFunc { native: self.at(row.start), array_call })
    }

    fn stub(&self, ty: u32) -> *const c_void {
        let start = self.info.tables.stub(self.info.bytes(), ty as usize);
        start.map_or(std::ptr::null(), |start| self.at(start))
    }

    fn locate(&self, pc: usize) -> Option<(u32, Option<u32>)> {
        let (tables, bytes) = (self.info.tables, self.info.bytes());
        let pc = u32::try_from(pc.checked_sub(self.info.text)?).ok()?;
        let own = tables.func_at(bytes, pc)?;
        if tables.func(bytes, own)?.entry == NONE {
            // A fallback stub: the interpreter has noted the function already.
            return None;
        }
        let site = tables.site(bytes, pc, false).or_else(|| tables.site(bytes, pc.checked_add(1)?, true));
        Some((own as u32, site.map(|site| site.offset).filter(|&offset| offset != NONE)))
    }
}
