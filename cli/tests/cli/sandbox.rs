//! A folder of a test's own, gone when the test passed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Sandbox {
    root: PathBuf,
    fresh: AtomicU32,
}

impl Sandbox {
    /// `name` is the test's.
    pub(crate) fn new(name: &str) -> Sandbox {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).expect("a folder for the test");
        Sandbox { root, fresh: AtomicU32::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A name that was not used before.
    pub(crate) fn fresh(&self, what: &str) -> PathBuf {
        self.path(&format!("{what}-{}", self.fresh.fetch_add(1, Ordering::Relaxed)))
    }

    /// A file with this content.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file for the test");
        path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}
