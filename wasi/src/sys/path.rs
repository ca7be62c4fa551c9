//! Beneath-only resolution of a guest's path.
//!
//! One `openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)` per lookup. Where the system has no such call, or a filter
//! forbids it, or it lost too many races against renames, a checked walk takes its place: one `O_PATH | O_NOFOLLOW`
//! per component, `..` answered from a stack of open directories, at most 40 symbolic links. The tests run both. The walk
//! holds a handle per level, and a guest must not use up those of the process: more than [`MAX_LEVELS`] levels are `NAMETOOLONG` to it.
//!
//! Calls that create, remove or rename a name never hand a path to the system: they get the open parent directory and
//! one single component from [`parent`].
//!
//! Whatever is opened is judged ([`super::withheld`]) before anybody gets it, and before it is cut to no bytes.
//!
//! Errors: a path or link that leaves the directory, and every absolute path or link, is `PERM`; an empty path is
//! `NOENT`; a path with NUL is `INVAL`. See path_resolution(7), openat2(2).

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};

use crate::sys::Errno;
use crate::sys::file::{self, Status};
use crate::sys::withheld::Withheld;

/// How many symbolic links one lookup follows, as Linux does.
const MAX_LINKS: usize = 40;
/// The longest path in bytes (`PATH_MAX` without its NUL).
const MAX_PATH: usize = 4095;
/// How many directories a walk has open at once.
const MAX_LEVELS: usize = 256;
/// How often a lookup that lost a race is tried again.
const MAX_RETRIES: usize = 32;

/// Who resolves a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// `openat2`, and the walk where that is not to be had.
    #[default]
    Kernel,
    /// The walk alone.
    Walk,
}

/// How a guest's paths are looked up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    pub(crate) resolution: Resolution,
    pub(crate) withheld: Withheld,
}

/// What a path led to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) object: OwnedFd,
    /// When it was opened.
    pub(crate) status: Status,
}

/// The directory that holds the last name of a path.
#[derive(Debug)]
pub(crate) enum Parent<'d> {
    /// The directory that the lookup began at.
    Same(BorrowedFd<'d>),
    /// A directory beneath it.
    Beneath(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Same(fd) => fd.as_fd(),
            Self::Beneath(fd) => fd.as_fd(),
        }
    }
}

/// What [`parent`] found: a directory and one component in it.
#[derive(Debug)]
pub(crate) struct Place<'d> {
    /// The directory.
    pub(crate) parent: Parent<'d>,
    /// One component: no `/`, not empty, not `..`; `.` only from [`leaf`].
    pub(crate) name: Vec<u8>,
    /// The path ended in `/`: the name must be a directory, and not a link to one.
    pub(crate) directory: bool,
}

/// The last component of a path given to a call that acts on a name.
#[derive(Debug)]
pub(crate) enum Entry<'d> {
    /// A name in a directory.
    Name(Place<'d>),
    /// The path ended in `.`: it names a directory that is there.
    Dot,
    /// The path ended in `..`: it names a directory that is there.
    DotDot,
}

/// Opens what `path` names beneath `dir`. `follow` says whether a symbolic link in the last component is followed; a
/// trailing `/` always follows it and asks for a directory. New files get mode 0666 less the umask.
pub(crate) fn open(
    how: &Paths,
    dir: BorrowedFd<'_>,
    path: &str,
    follow: bool,
    mut flags: OFlags,
) -> Result<Opened, Errno> {
    // What is withheld must not be cut by the system on the way.
    let cut = flags.contains(OFlags::TRUNC);
    if cut {
        flags.remove(OFlags::TRUNC);
        if !flags.contains(OFlags::WRONLY) {
            // To be cut it must be writable, as the system asks for too.
            flags.insert(OFlags::RDWR);
        }
    }
    let object = lookup(how.resolution, dir, path, follow, flags)?;
    let mut status = file::status(&object)?;
    how.withheld.judge(object.as_fd(), &status)?;
    if cut && status.kind == FileType::RegularFile {
        file::set_size(&object, 0)?;
        status.size = 0;
    }
    Ok(Opened { object, status })
}

fn lookup(
    how: Resolution,
    dir: BorrowedFd<'_>,
    path: &str,
    follow: bool,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    check(path)?;
    let mut flags = flags | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() };
    if how == Resolution::Kernel {
        for _ in 0..MAX_RETRIES {
            let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match openat2(dir, path, flags, mode, beneath) {
                Ok(fd) => return Ok(fd),
                Err(Errno::INTR) => {}
                // A rename raced with `..`: the kernel could not tell whether the path stayed beneath.
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV) => return Err(Errno::PERM),
                // No such call, or a filter that forbids it, or the object itself refuses: the walk knows.
                Err(Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::TOOBIG) => break,
                Err(error) => return Err(error),
            }
        }
    }
    walk_open(dir, path.as_bytes(), follow, flags, mode)
}

/// Opens the directory that holds the last component of `path`.
pub(crate) fn parent<'d>(how: &Paths, dir: BorrowedFd<'d>, path: &str) -> Result<Entry<'d>, Errno> {
    check(path)?;
    let stripped = path.trim_end_matches('/');
    let (before, name) = stripped.rsplit_once('/').unwrap_or(("", stripped));
    if name == "." || name == ".." {
        // Whatever the call wants, it cannot have it; but it may only learn that of a path that stays beneath.
        open(how, dir, path, true, OFlags::PATH | OFlags::DIRECTORY)?;
        return Ok(if name == "." { Entry::Dot } else { Entry::DotDot });
    }
    let parent = if before.is_empty() {
        Parent::Same(dir)
    } else {
        Parent::Beneath(open(how, dir, before, true, OFlags::PATH | OFlags::DIRECTORY)?.object)
    };
    let directory = stripped.len() != path.len();
    Ok(Entry::Name(Place { parent, name: name.as_bytes().to_vec(), directory }))
}

/// Finds the directory and name of what `path` names after its last component's symbolic links have been followed.
/// A call on that place that does not follow links acts on the object that was found, or on nothing.
pub(crate) fn leaf<'d>(how: &Paths, dir: BorrowedFd<'d>, path: &str) -> Result<Place<'d>, Errno> {
    check(path)?;
    let found = if how.resolution == Resolution::Kernel { kernel_leaf(how, dir, path)? } else { None };
    found.map_or_else(|| walk_leaf(dir, path), Ok)
}

/// [`leaf`] by the kernel; `None` if a link's target is nothing that it can be asked.
fn kernel_leaf<'d>(how: &Paths, dir: BorrowedFd<'d>, path: &str) -> Result<Option<Place<'d>>, Errno> {
    let mut links = 0;
    let mut now = path.to_owned();
    loop {
        let place = match parent(how, dir, &now)? {
            Entry::Name(place) => place,
            Entry::Dot | Entry::DotDot => {
                let itself = open(how, dir, &now, true, OFlags::PATH | OFlags::DIRECTORY)?.object;
                let (parent, name) = (Parent::Beneath(itself), b".".to_vec());
                return Ok(Some(Place { parent, name, directory: true }));
            }
        };
        let found = peek(place.parent.as_fd(), &place.name)?;
        match found.kind {
            FileType::Symlink => {}
            FileType::Directory => return Ok(Some(place)),
            _ if place.directory => return Err(Errno::NOTDIR),
            _ => return Ok(Some(place)),
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        // The link's target takes its place, as text: only a whole path can be seen to stay beneath.
        let target = target_of(&found.fd)?;
        let stripped = now.trim_end_matches('/');
        let before = stripped.rfind('/').map_or("", |slash| &stripped[..=slash]);
        let slash = if place.directory { "/" } else { "" };
        now = match core::str::from_utf8(&target) {
            Ok(target) if before.len() + target.len() < MAX_PATH => format!("{before}{target}{slash}"),
            _ => return Ok(None),
        };
    }
}

/// [`leaf`] by the walk.
fn walk_leaf<'d>(dir: BorrowedFd<'d>, path: &str) -> Result<Place<'d>, Errno> {
    let mut walk = Walk::new(dir, path.as_bytes());
    loop {
        let Some(Part { name, slash }) = walk.last()? else {
            return Ok(Place { parent: walk.into_parent(), name: b".".to_vec(), directory: true });
        };
        let found = peek(walk.here(), &name)?;
        match found.kind {
            FileType::Symlink => walk.expand(&found.fd, slash)?,
            FileType::Directory => return Ok(Place { parent: walk.into_parent(), name, directory: slash }),
            _ if slash => return Err(Errno::NOTDIR),
            _ => return Ok(Place { parent: walk.into_parent(), name, directory: false }),
        }
    }
}

/// The target of a link that may be followed.
fn target_of(link: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let target = readlinkat(link, c"", Vec::new())?.into_bytes();
    match target.as_slice() {
        [] => Err(Errno::NOENT),
        [b'/', ..] => Err(Errno::PERM),
        _ => Ok(target),
    }
}

/// Rejects what no lookup may be asked.
fn check(path: &str) -> Result<(), Errno> {
    match path.as_bytes() {
        [] => Err(Errno::NOENT),
        bytes if bytes.contains(&0) => Err(Errno::INVAL),
        [b'/', ..] => Err(Errno::PERM),
        bytes if bytes.len() > MAX_PATH => Err(Errno::NAMETOOLONG),
        _ => Ok(()),
    }
}

/// One component, and whether a `/` followed it.
struct Part {
    name: Vec<u8>,
    slash: bool,
}

/// The walk: directories entered so far, components still to come.
struct Walk<'d> {
    root: BorrowedFd<'d>,
    entered: Vec<OwnedFd>,
    pending: VecDeque<Part>,
    links: usize,
}

impl<'d> Walk<'d> {
    fn new(root: BorrowedFd<'d>, path: &[u8]) -> Self {
        let mut walk = Self { root, entered: Vec::new(), pending: VecDeque::new(), links: 0 };
        walk.prepend(path, false);
        walk
    }

    /// Puts the components of `path` before those still to come.
    fn prepend(&mut self, path: &[u8], slash: bool) {
        let slash = slash || path.ends_with(b"/");
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        for (at, name) in names.iter().enumerate().rev() {
            let slash = at + 1 < names.len() || slash;
            self.pending.push_front(Part { name: name.to_vec(), slash });
        }
    }

    /// The directory the walk stands in.
    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.root, AsFd::as_fd)
    }

    fn into_parent(mut self) -> Parent<'d> {
        self.entered.pop().map_or(Parent::Same(self.root), Parent::Beneath)
    }

    /// Enters directories until one component is left, and gives that; `None` if the path ended in the directory
    /// where the walk now stands.
    fn last(&mut self) -> Result<Option<Part>, Errno> {
        while let Some(part) = self.pending.pop_front() {
            match part.name.as_slice() {
                b"." => {}
                // Never above the directory that the lookup began at.
                b".." => drop(self.entered.pop().ok_or(Errno::PERM)?),
                _ if self.pending.is_empty() => return Ok(Some(part)),
                name => {
                    let found = peek(self.here(), name)?;
                    match found.kind {
                        FileType::Directory if self.entered.len() >= MAX_LEVELS => {
                            return Err(Errno::NAMETOOLONG);
                        }
                        FileType::Directory => self.entered.push(found.fd),
                        FileType::Symlink => self.expand(&found.fd, true)?,
                        _ => return Err(Errno::NOTDIR),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Replaces a symbolic link by its target.
    fn expand(&mut self, link: &OwnedFd, slash: bool) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        self.prepend(&target_of(link)?, slash);
        Ok(())
    }
}

/// A name, held open without having been followed.
struct Peeked {
    fd: OwnedFd,
    kind: FileType,
}

fn peek(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Peeked, Errno> {
    let fd = openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let kind = file::status(&fd)?.kind;
    Ok(Peeked { fd, kind })
}

/// [`open`] by the walk.
fn walk_open(
    dir: BorrowedFd<'_>,
    path: &[u8],
    follow: bool,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let create = flags.contains(OFlags::CREATE);
    // "Create it new" never follows: a link there is something there.
    let follow = follow && !flags.contains(OFlags::CREATE | OFlags::EXCL);
    let mut walk = Walk::new(dir, path);
    let mut retries = 0;
    loop {
        let Some(Part { name, slash }) = walk.last()? else {
            return openat(walk.here(), c".", flags, mode);
        };
        if slash && create {
            return Err(Errno::ISDIR);
        }
        match peek(walk.here(), &name) {
            Ok(found) if found.kind == FileType::Symlink && (follow || slash) => {
                walk.expand(&found.fd, slash)?;
                continue;
            }
            Err(Errno::NOENT) if create => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let directory = if slash { OFlags::DIRECTORY } else { OFlags::empty() };
        match openat(walk.here(), name.as_slice(), flags | OFlags::NOFOLLOW | directory, mode) {
            // A link took the name since it was looked at.
            Err(Errno::LOOP) if follow && retries < MAX_RETRIES => {
                retries += 1;
                walk.pending.push_front(Part { name, slash });
            }
            Err(Errno::INTR) => walk.pending.push_front(Part { name, slash }),
            result => return result,
        }
    }
}
