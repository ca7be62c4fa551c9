//! The mapping that holds text and tables: private, anonymous, written once, then text is executable and nothing is writable.

use memmap2::MmapMut;
use mini_wasm_runtime::{Error, ErrorKind, Result};
use region::Protection;
use std::ops::Range;

/// A private mapping. Writable until [`CodeMap::publish`], never writable and executable at once.
#[derive(Debug)]
pub(crate) struct CodeMap {
    map: MmapMut,
    /// Bytes wanted; the system has no empty mappings.
    len: usize,
    text: Range<usize>,
}

fn io(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: {error}"))
}

impl CodeMap {
    /// A zeroed mapping of `len` bytes.
    pub(crate) fn new(len: usize) -> Result<CodeMap> {
        let map = MmapMut::map_anon(len.max(1)).map_err(|e| io("no memory for native code", &e))?;
        Ok(CodeMap { map, len, text: 0..0 })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map[..self.len]
    }

    /// The bytes, to fill in.
    ///
    /// # Panics
    /// After [`CodeMap::publish`]: writing would fault.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(self.text.is_empty(), "crash: published code is not writable");
        &mut self.map[..self.len]
    }

    /// Makes `text` executable and everything read-only.
    ///
    /// # Errors
    /// `Usage` when `text` is not made of whole pages of the mapping, `Io` when the system refuses.
    pub(crate) fn publish(&mut self, text: Range<usize>) -> Result<()> {
        let page = region::page::size();
        let whole = text.start.is_multiple_of(page) && text.start <= text.end && text.end <= self.len;
        if !whole {
            return Err(Error::new(ErrorKind::Usage, "text must begin at a page of its mapping"));
        }
        let base = self.map.as_mut_ptr();
        // SAFETY: the range is this mapping's own, and nothing points into it yet.
        unsafe { region::protect(base, self.map.len(), Protection::READ) }
            .map_err(|e| io("native code cannot be made read-only", &e))?;
        if !text.is_empty() {
            // SAFETY: as above; `text` lies inside. Text is the last thing in its mapping or ends on a page boundary, so no
            // table becomes executable that was not meant to.
            unsafe { region::protect(base.add(text.start), text.len(), Protection::READ_EXECUTE) }
                .map_err(|e| io("native code cannot be made executable", &e))?;
            crate::sys::sync_instruction_cache(&self.map[text.clone()]);
        }
        self.text = text;
        Ok(())
    }
}
