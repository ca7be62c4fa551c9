//! What no guest is handed, whatever it was granted.
//!
//! * What procfs tells of processes, our own among them: their memory, environment, open files, threads. A guest that reads
//!   or writes `/proc/self/mem` is no longer in a sandbox. Only what is of the whole system is left: [`OF_THE_SYSTEM`].
//! * The devices that are the memory of the machine.
//! * Files that the embedder names: keys. Folders on the way to them cannot be renamed either, nor made where they are not
//!   there yet, or a guest could put a key of its own in their place.
//!
//! An object is judged once it is open, by what it is: not by a path, which bind mounts, hard links, renames and a racing
//! process make say anything.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, PROC_SUPER_MAGIC, fstatfs, lstat, readlink, stat};

use crate::sys::Errno;
use crate::sys::file::{self, Status};
use crate::sys::path::Place;

/// Files of procfs that programs read to learn about the machine, and that tell of no process.
const OF_THE_SYSTEM: [&[u8]; 10] = [
    b"cpuinfo",
    b"diskstats",
    b"filesystems",
    b"loadavg",
    b"meminfo",
    b"stat",
    b"swaps",
    b"uptime",
    b"version",
    b"vmstat",
];
/// The number of procfs' first folder (`PROC_ROOT_INO`).
const PROC_ROOT: u64 = 1;
/// The numbers of its files that are no process's (from `PROC_DYNAMIC_FIRST` on).
const PROC_NUMBERS: core::ops::RangeInclusive<u64> = 0xF000_0000..=0xFFFF_FFFF;
/// The minor numbers of the devices `mem`, `kmem` and `port`, whose major number is 1.
const MEMORY: [u32; 3] = [1, 2, 4];

/// What is withheld besides what always is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Withheld {
    files: Arc<[PathBuf]>,
}

/// Which object, whatever it is called.
type Identity = (u64, u64);

fn identity(status: &Status) -> Identity {
    (status.device, status.number)
}

impl Withheld {
    /// Adds a file; its path is absolute. It need not be there yet.
    pub(crate) fn add(&mut self, file: PathBuf) {
        self.files = self.files.iter().cloned().chain([file]).collect();
    }

    /// Refuses an object that was opened for a guest.
    pub(crate) fn judge(&self, object: BorrowedFd<'_>, status: &Status) -> Result<(), Errno> {
        // File systems that are no disk's have no major number.
        let may_be_proc = status.device >> 32 == 0;
        let (major, minor) = status.names;
        let is_withheld = match status.kind {
            FileType::CharacterDevice if major == 1 && MEMORY.contains(&minor) => true,
            _ if may_be_proc && fstatfs(object)?.f_type == PROC_SUPER_MAGIC => {
                !is_of_the_system(object, status)
            }
            // A key is readable by its owner alone, else it is none: others need not be compared.
            FileType::RegularFile => status.permissions & 0o077 == 0 && self.names(identity(status)),
            _ => false,
        };
        if is_withheld { Err(Errno::PERM) } else { Ok(()) }
    }

    /// Whether an object is one of the files.
    fn names(&self, object: Identity) -> bool {
        // Looked up each time: the file may have been made, or replaced, since the grant.
        self.files.iter().any(|file| stat(file).is_ok_and(|found| identity(&found.into()) == object))
    }

    /// Refuses to change a name that a file or a folder on the way to it has, or that the first of them would get that is not
    /// there yet.
    pub(crate) fn judge_name(&self, place: &Place<'_>) -> Result<(), Errno> {
        let is_theirs = match file::status_of(&place.parent, &place.name) {
            Ok(found) => {
                let found = identity(&found);
                self.files.iter().any(|file| way(file).any(|step| step == found))
            }
            Err(_) => {
                let folder = identity(&file::status(&place.parent)?);
                self.files.iter().any(|file| is_missing_from(file, folder, &place.name))
            }
        };
        if is_theirs { Err(Errno::PERM) } else { Ok(()) }
    }

    /// The first of the files that lies beneath a directory.
    pub(crate) fn beneath(&self, directory: impl AsFd) -> Option<&Path> {
        let directory = identity(&file::status(directory).ok()?);
        self.files.iter().find(|file| way(file).any(|step| step == directory)).map(PathBuf::as_path)
    }

    /// [`beneath`](Self::beneath), if it is there now: for whoever grants the directory to be told.
    pub(crate) fn found_beneath(&self, directory: impl AsFd) -> Option<&Path> {
        self.beneath(directory).filter(|file| stat(*file).is_ok())
    }
}

/// What lies on the way to a file, itself and symbolic links included.
fn way(file: &Path) -> impl Iterator<Item = Identity> {
    let real = file.parent().and_then(|folder| std::fs::canonicalize(folder).ok()).unwrap_or_default();
    let steps: Vec<PathBuf> = file.ancestors().chain(real.ancestors()).map(Path::to_owned).collect();
    steps
        .into_iter()
        .flat_map(|step| [stat(&step), lstat(&step)])
        .flatten()
        .map(|found| identity(&found.into()))
}

/// Whether the way to a file ends in this folder because this name is not there.
fn is_missing_from(file: &Path, folder: Identity, name: &[u8]) -> bool {
    let Some(missing) = file.ancestors().take_while(|step| lstat(*step).is_err()).last() else {
        return false;
    };
    let above = missing.parent().and_then(|above| stat(above).ok()).map(|found| identity(&found.into()));
    above == Some(folder) && missing.file_name().is_some_and(|missing| missing.as_encoded_bytes() == name)
}

/// Whether an object of procfs tells of no process. Its number must be of those, and since numbers of processes' files get
/// there too in time, its name as well: by where the system says that it is.
fn is_of_the_system(object: BorrowedFd<'_>, status: &Status) -> bool {
    let Ok(path) = readlink(format!("/proc/self/fd/{}", object.as_raw_fd()), Vec::new()) else {
        return false;
    };
    match (status.kind, path.as_bytes().strip_prefix(b"/proc")) {
        (FileType::Directory, Some([])) => status.number == PROC_ROOT,
        (FileType::RegularFile, Some([b'/', name @ ..])) => {
            PROC_NUMBERS.contains(&status.number) && OF_THE_SYSTEM.contains(&name)
        }
        _ => false,
    }
}

/// Where procfs can be found in a directory or beneath it, for whoever grants it to be told.
pub(crate) fn proc_beneath(directory: &Path) -> Option<PathBuf> {
    let directory = std::fs::canonicalize(directory).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        // See proc_pid_mountinfo(5): the fifth word is the place, the first after the dash the kind.
        let (mount, kind) = line.split_once(" - ")?;
        let place = PathBuf::from(unescaped(mount.split(' ').nth(4)?));
        let is_proc = kind.split(' ').next() == Some("proc");
        let within = place.starts_with(&directory) || directory.starts_with(&place);
        // Around it: the directory is of procfs itself, if nothing is mounted in between.
        (is_proc && within).then_some(place)
    })
}

/// A word of `mountinfo`, in which spaces and the like are three octal digits.
fn unescaped(word: &str) -> String {
    let mut parts = word.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(byte.into());
                text.push_str(&part[3..]);
            }
            None => text.push_str(part),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, open};

    fn judged(path: &str, withheld: &Withheld) -> Result<(), Errno> {
        let object = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        withheld.judge(object.as_fd(), &file::status(&object).unwrap())
    }

    #[test]
    fn of_procfs_only_what_is_the_systems_is_handed_out() {
        let none = Withheld::default();
        for path in ["/proc", "/proc/meminfo", "/proc/cpuinfo", "/proc/uptime", "/dev/null", "/dev/zero"] {
            assert_eq!(judged(path, &none), Ok(()), "{path}");
        }
        let own = std::process::id();
        for path in [
            "/proc/self/mem".to_owned(),
            "/proc/self/environ".to_owned(),
            "/proc/self/maps".to_owned(),
            "/proc/self/fd".to_owned(),
            "/proc/self/task".to_owned(),
            "/proc/thread-self/mem".to_owned(),
            "/proc/thread-self".to_owned(),
            "/proc/self".to_owned(),
            format!("/proc/{own}"),
            format!("/proc/{own}/mem"),
            format!("/proc/{own}/task/{own}/mem"),
            "/proc/1/environ".to_owned(),
            "/proc/sys".to_owned(),
            "/proc/sys/kernel/core_pattern".to_owned(),
            "/proc/net/tcp".to_owned(),
            "/proc/kallsyms".to_owned(),
        ] {
            if Path::new(&path).exists() {
                assert_eq!(judged(&path, &none), Err(Errno::PERM), "{path}");
            }
        }
    }

    #[test]
    fn the_place_of_procfs_is_found_from_above_and_from_within() {
        assert_eq!(proc_beneath(Path::new("/")), Some("/proc".into()));
        assert_eq!(proc_beneath(Path::new("/proc")), Some("/proc".into()));
        assert_eq!(proc_beneath(Path::new("/proc/self")), Some("/proc".into()));
        assert_eq!(proc_beneath(Path::new("/usr")), None);
        assert_eq!(unescaped(r"/a\040b\011c\\"), "/a b\tc");
    }
}
