//! Which native code a program counter belongs to. Read by the trap handler, so reading takes no lock and allocates nothing.
//!
//! A sorted list is replaced as a whole by writers, who take turns; a list is freed when no reader is left that may have
//! seen it. Readers are few and short: a binary search.
//!
//! Invariant R1: a registered `CodeInfo` stays valid until it is unregistered, and code is unregistered only when nothing can
//! run in it (its module, and every store with an instance of it, are gone).

use crate::tables::Tables;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Where one module's text and tables lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeInfo {
    /// First byte of the text.
    pub(crate) text: usize,
    /// The tables' bytes.
    pub(crate) tables_at: *const u8,
    pub(crate) tables_len: usize,
    pub(crate) tables: Tables,
}

// SAFETY: plain addresses of memory that is read-only and shared by all threads (R1).
unsafe impl Send for CodeInfo {}
// SAFETY: as above.
unsafe impl Sync for CodeInfo {}

impl CodeInfo {
    /// The tables' bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: R1.
        unsafe { std::slice::from_raw_parts(self.tables_at, self.tables_len) }
    }

    fn end(&self) -> usize {
        self.text + self.tables.text_len as usize
    }
}

static LIST: AtomicPtr<Vec<CodeInfo>> = AtomicPtr::new(std::ptr::null_mut());
static READERS: AtomicUsize = AtomicUsize::new(0);
static WRITERS: Mutex<()> = Mutex::new(());

/// The code whose text holds `pc`.
pub(crate) fn find(pc: usize) -> Option<CodeInfo> {
    READERS.fetch_add(1, Ordering::SeqCst);
    let list = LIST.load(Ordering::SeqCst);
    // SAFETY: a list is freed only after it was replaced and no reader was counted since; this reader is counted.
    let found = unsafe { list.as_ref() }.and_then(|list| {
        let after = list.partition_point(|code| code.text <= pc);
        list[..after].last().filter(|code| pc < code.end()).copied()
    });
    READERS.fetch_sub(1, Ordering::SeqCst);
    found
}

/// Adds code.
pub(crate) fn register(code: CodeInfo) {
    replace(|list| {
        let at = list.partition_point(|other| other.text < code.text);
        list.insert(at, code);
    });
}

/// Removes the code whose text begins at `text`.
pub(crate) fn unregister(text: usize) {
    replace(|list| list.retain(|code| code.text != text));
}

fn replace(change: impl FnOnce(&mut Vec<CodeInfo>)) {
    let _turn = WRITERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let old = LIST.load(Ordering::SeqCst);
    // SAFETY: only writers free lists, and this is the only writer.
    let mut list = unsafe { old.as_ref() }.cloned().unwrap_or_default();
    change(&mut list);
    LIST.store(Box::into_raw(Box::new(list)), Ordering::SeqCst);
    while READERS.load(Ordering::SeqCst) != 0 {
        std::hint::spin_loop();
    }
    if !old.is_null() {
        // SAFETY: made by `Box::into_raw` above; replaced, and no reader has been inside since.
        drop(unsafe { Box::from_raw(old) });
    }
}
