//! A directory that is granted, one beside it that is not, and a guest's view of the first.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use mini_wasm_wasi::filesystem::descriptor::{self, Descriptor};
use mini_wasm_wasi::filesystem::preopens::get_directories;
use mini_wasm_wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, ErrorCode, OpenFlags, PathFlags, directory_entry_stream,
};
use mini_wasm_wasi::io::streams::{StreamError, input_stream, output_stream};
use mini_wasm_wasi::{Own, Resolution, Stop, Wasi};

/// `base/inside` is granted; `base/outside` holds a canary.
pub(crate) struct Sandbox {
    base: PathBuf,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("mini-wasm-wasi-{}-{count}", std::process::id()));
        // What a process of this number left that was killed.
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("inside")).unwrap();
        fs::create_dir_all(base.join("outside/dir")).unwrap();
        fs::write(base.join("outside/canary"), "alive").unwrap();
        Self { base }
    }

    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.base.join("inside").join(path)
    }

    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.base.join("outside").join(path)
    }

    /// Fails if anything outside has changed.
    pub(crate) fn check_canary(&self) {
        let mut names: Vec<_> =
            fs::read_dir(self.outside("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["canary", "dir"], "the directory outside has changed");
        assert_eq!(fs::read_to_string(self.outside("canary")).unwrap(), "alive");
        assert_eq!(fs::read_dir(self.outside("dir")).unwrap().count(), 0);
        let mut names: Vec<_> =
            fs::read_dir(&self.base).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["inside", "outside"], "something was made above the grant");
    }

    pub(crate) fn guest(&self, resolution: Resolution, read_only: bool) -> Guest {
        let mut builder = Wasi::builder();
        builder.resolution(resolution).preopen(self.inside(""), "/", read_only).unwrap();
        Guest::of(builder.build())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// Runs a test with the kernel's resolution and with the walk, each in a new sandbox.
pub(crate) fn both(test: impl Fn(&Sandbox, Resolution)) {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let sandbox = Sandbox::new();
        test(&sandbox, resolution);
        sandbox.check_canary();
    }
}

pub(crate) const READ: DescriptorFlags = DescriptorFlags::READ;
pub(crate) const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
pub(crate) const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub(crate) const NO_FOLLOW: PathFlags = PathFlags::empty();
pub(crate) const NONE: OpenFlags = OpenFlags::empty();
pub(crate) const CREATE: OpenFlags = OpenFlags::CREATE;
pub(crate) const TRUNCATE: OpenFlags = OpenFlags::TRUNCATE;
pub(crate) const DIRECTORY: OpenFlags = OpenFlags::DIRECTORY;
pub(crate) const EXCLUSIVE: OpenFlags = OpenFlags::EXCLUSIVE;

/// A guest with one granted directory.
pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) dir: Own<Descriptor>,
}

type Outcome<T> = Result<T, ErrorCode>;

impl Guest {
    pub(crate) fn of(mut wasi: Wasi) -> Self {
        let (dir, _) = get_directories(&mut wasi).unwrap().remove(0);
        Self { wasi, dir }
    }

    pub(crate) fn open_in(
        &mut self,
        dir: &Own<Descriptor>,
        path_flags: PathFlags,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Outcome<Own<Descriptor>> {
        descriptor::open_at(&mut self.wasi, dir.borrow(), path_flags, path.into(), open, flags).unwrap()
    }

    pub(crate) fn open(
        &mut self,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Outcome<Own<Descriptor>> {
        let dir = Own::new(self.dir.rep());
        self.open_in(&dir, FOLLOW, path, open, flags)
    }

    pub(crate) fn stat(&mut self, path_flags: PathFlags, path: &str) -> Outcome<DescriptorStat> {
        descriptor::stat_at(&mut self.wasi, self.dir.borrow(), path_flags, path.into()).unwrap()
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Outcome<()> {
        descriptor::create_directory_at(&mut self.wasi, self.dir.borrow(), path.into()).unwrap()
    }

    pub(crate) fn rmdir(&mut self, path: &str) -> Outcome<()> {
        descriptor::remove_directory_at(&mut self.wasi, self.dir.borrow(), path.into()).unwrap()
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Outcome<()> {
        descriptor::unlink_file_at(&mut self.wasi, self.dir.borrow(), path.into()).unwrap()
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> Outcome<()> {
        let dir = self.dir.borrow();
        descriptor::rename_at(&mut self.wasi, self.dir.borrow(), old.into(), dir, new.into()).unwrap()
    }

    pub(crate) fn link(&mut self, flags: PathFlags, old: &str, new: &str) -> Outcome<()> {
        let dir = self.dir.borrow();
        descriptor::link_at(&mut self.wasi, self.dir.borrow(), flags, old.into(), dir, new.into()).unwrap()
    }

    pub(crate) fn symlink(&mut self, target: &str, path: &str) -> Outcome<()> {
        descriptor::symlink_at(&mut self.wasi, self.dir.borrow(), target.into(), path.into()).unwrap()
    }

    pub(crate) fn readlink(&mut self, path: &str) -> Outcome<String> {
        descriptor::readlink_at(&mut self.wasi, self.dir.borrow(), path.into()).unwrap()
    }

    /// The names in a directory, sorted.
    pub(crate) fn list(&mut self, path: &str) -> Outcome<Vec<String>> {
        let dir = self.open(path, DIRECTORY, READ)?;
        let entries = descriptor::read_directory(&mut self.wasi, dir.borrow()).unwrap()?;
        let mut names = Vec::new();
        while let Some(entry) =
            directory_entry_stream::read_directory_entry(&mut self.wasi, entries.borrow()).unwrap()?
        {
            names.push(entry.name);
        }
        names.sort();
        self.wasi.resource_drop(entries).unwrap();
        self.wasi.resource_drop(dir).unwrap();
        Ok(names)
    }

    /// All that a file holds, through a stream.
    pub(crate) fn read(&mut self, path: &str) -> Outcome<Vec<u8>> {
        let file = self.open(path, NONE, READ)?;
        let stream = descriptor::read_via_stream(&mut self.wasi, file.borrow(), 0).unwrap()?;
        let mut all = Vec::new();
        loop {
            match input_stream::blocking_read(&mut self.wasi, stream.borrow(), u64::MAX).unwrap() {
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        self.wasi.resource_drop(stream).unwrap();
        self.wasi.resource_drop(file).unwrap();
        Ok(all)
    }

    /// Makes a file with these contents, through a stream.
    pub(crate) fn write(&mut self, path: &str, contents: &[u8]) -> Outcome<()> {
        let file = self.open(path, CREATE | TRUNCATE, WRITE)?;
        let stream = descriptor::write_via_stream(&mut self.wasi, file.borrow(), 0).unwrap()?;
        for chunk in contents.chunks(4096) {
            output_stream::blocking_write_and_flush(&mut self.wasi, stream.borrow(), chunk.into())
                .unwrap()
                .unwrap();
        }
        self.wasi.resource_drop(stream).unwrap();
        self.wasi.resource_drop(file).unwrap();
        Ok(())
    }
}

/// The message of a trap; fails if it is something else.
pub(crate) fn trap<T: std::fmt::Debug>(result: Result<T, Stop>) -> String {
    match result {
        Err(Stop::Trap(message)) => message,
        other => panic!("a trap was expected: {other:?}"),
    }
}
