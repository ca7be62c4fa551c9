//! The table of file descriptors: numbers of a guest's, and what they stand for.
//!
//! The objects are WASI 0.2's own resources, in the same table and under the same limit. A number given is always the lowest that is
//! free, and no number that a guest names makes the table larger, so renumbering costs nothing.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mini_wasm_canonical_abi::{Borrow, Own};

use crate::allowance::Charge;
use crate::filesystem::descriptor::Descriptor;
use crate::filesystem::types::DescriptorType;
use crate::io::streams::{InputStream, OutputStream};
use crate::preview1::Outcome;
use crate::preview1::errno::{Errno, Fault};
use crate::preview1::readdir::{Listing, POSITIONS};
use crate::preview1::types::{FdFlags, Filetype, Rights};
use crate::sys::file;
use crate::{Stop, Wasi, cli};

/// A socket, as a resource of the table.
pub(super) type Socket = Arc<OwnedFd>;

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Object {
    Input(Own<InputStream>),
    Output(Own<OutputStream>),
    File {
        descriptor: Own<Descriptor>,
        /// Where the next read or write begins.
        offset: u64,
    },
    Directory {
        descriptor: Own<Descriptor>,
        /// The guest's name of a directory that was granted.
        preopen: Option<String>,
        listing: Option<Box<Listing>>,
    },
    Socket(Own<Socket>),
}

/// An open descriptor.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) object: Object,
    /// The rights that it is said to have, and to pass on.
    pub(super) base: Rights,
    pub(super) inheriting: Rights,
    /// Those that were given up, here or on the way here: what is refused.
    lost: Rights,
    lost_inheriting: Rights,
    pub(super) flags: FdFlags,
    /// Of a socket: nothing is received any more.
    pub(super) deaf: bool,
}

impl Entry {
    fn new(object: Object, base: Rights, inheriting: Rights, flags: FdFlags) -> Self {
        let (lost, lost_inheriting) = (Rights::empty(), Rights::empty());
        Self { object, base, inheriting, lost, lost_inheriting, flags, deaf: false }
    }

    /// What `path_open` opened; of the rights asked for those that its kind can have. What the directory no longer passes on is lost.
    pub(super) fn opened(
        descriptor: Own<Descriptor>,
        kind: DescriptorType,
        (base, inheriting): (Rights, Rights),
        lost: Rights,
        flags: FdFlags,
    ) -> Self {
        let entry = match kind {
            DescriptorType::Directory => {
                let object = Object::Directory { descriptor, preopen: None, listing: None };
                Self::new(object, base.and(Rights::DIRECTORY), inheriting, flags)
            }
            _ => {
                let object = Object::File { descriptor, offset: 0 };
                Self::new(object, base.and(Rights::FILE), Rights::empty(), flags)
            }
        };
        Self { lost, lost_inheriting: lost, ..entry }
    }

    pub(super) fn socket(socket: Own<Socket>, flags: FdFlags) -> Self {
        Self::new(Object::Socket(socket), Rights::SOCKET, Rights::SOCKET, flags)
    }

    fn stream(object: Object) -> Self {
        Self::new(object, Rights::STREAM, Rights::empty(), FdFlags::empty())
    }

    /// `notcapable` if the guest has given up one of these rights.
    pub(super) fn needs(&self, rights: Rights) -> Outcome<()> {
        if self.lost.meets(rights) { Err(Errno::NotCapable.into()) } else { Ok(()) }
    }

    /// `notcapable` if what is opened through this cannot have one of these rights; else those that it can have no more.
    pub(super) fn passes_on(&self, rights: Rights) -> Outcome<Rights> {
        match self.lost_inheriting.meets(rights) {
            true => Err(Errno::NotCapable.into()),
            false => Ok(self.lost_inheriting),
        }
    }

    /// Gives up all rights but these, for good.
    pub(super) fn keep(&mut self, base: Rights, inheriting: Rights) -> Outcome<()> {
        if !self.base.has(base) || !self.inheriting.has(inheriting) {
            return Err(Errno::NotCapable.into());
        }
        self.lost = self.lost.or(self.base.without(base));
        self.lost_inheriting = self.lost_inheriting.or(self.inheriting.without(inheriting));
        (self.base, self.inheriting) = (base, inheriting);
        Ok(())
    }

    /// The directory that paths are resolved beneath, if it is one and the right is there.
    pub(super) fn directory(&self, rights: Rights) -> Outcome<Borrow<Descriptor>> {
        let Object::Directory { descriptor, .. } = &self.object else { return Err(Errno::NotDir.into()) };
        self.needs(rights)?;
        Ok(descriptor.borrow())
    }

    /// A file or directory; `otherwise` for streams and sockets.
    pub(super) fn descriptor(&self, rights: Rights, otherwise: Errno) -> Outcome<Borrow<Descriptor>> {
        match &self.object {
            Object::File { descriptor, .. } | Object::Directory { descriptor, .. } => {
                self.needs(rights)?;
                Ok(descriptor.borrow())
            }
            _ => Err(otherwise.into()),
        }
    }

    /// A file; `badf` for a directory, `otherwise` for streams and sockets.
    pub(super) fn file(&self, rights: Rights, otherwise: Errno) -> Outcome<Borrow<Descriptor>> {
        match &self.object {
            Object::File { descriptor, .. } => {
                self.needs(rights)?;
                Ok(descriptor.borrow())
            }
            Object::Directory { .. } => Err(Errno::BadF.into()),
            _ => Err(otherwise.into()),
        }
    }

    /// Its kind.
    pub(super) fn filetype(&self, wasi: &Wasi) -> Outcome<Filetype> {
        let stream = |terminal: bool| if terminal { Filetype::CharacterDevice } else { Filetype::Unknown };
        Ok(match &self.object {
            Object::Input(stream_in) => stream(wasi.table.get(&stream_in.borrow())?.is_terminal()),
            Object::Output(stream_out) => stream(wasi.table.get(&stream_out.borrow())?.is_terminal()),
            Object::File { descriptor, .. } => wasi.table.get(&descriptor.borrow())?.kind().into(),
            Object::Directory { .. } => Filetype::Directory,
            Object::Socket(_) => Filetype::SocketStream,
        })
    }

    /// Ends what it stands for.
    pub(super) fn close(self, wasi: &mut Wasi) -> Outcome<()> {
        match self.object {
            Object::Input(stream) => wasi.resource_drop(stream)?,
            Object::Output(stream) => wasi.resource_drop(stream)?,
            Object::File { descriptor, .. } | Object::Directory { descriptor, .. } => {
                wasi.resource_drop(descriptor)?;
            }
            Object::Socket(socket) => wasi.resource_drop(socket)?,
        }
        Ok(())
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Entry>>,
    free: BTreeSet<u32>,
    /// How many positions in directories may still be kept.
    pub(super) positions: Arc<AtomicUsize>,
    /// For the slots.
    charge: Charge,
}

impl Descriptors {
    /// The standard streams, the granted directories, the granted sockets: in this order, from 0 on.
    pub(super) fn new(wasi: &mut Wasi) -> Result<Self, Stop> {
        let positions = Arc::new(AtomicUsize::new(POSITIONS));
        let charge = wasi.memory.charge();
        let mut all = Self { slots: Vec::new(), free: BTreeSet::new(), positions, charge };
        let mut add = |entry| all.slots.push(Some(entry));
        add(Entry::stream(Object::Input(cli::stdin::get_stdin(wasi)?)));
        add(Entry::stream(Object::Output(cli::stdout::get_stdout(wasi)?)));
        add(Entry::stream(Object::Output(cli::stderr::get_stderr(wasi)?)));
        for preopen in wasi.preopens.clone() {
            let descriptor = wasi.table.push(Descriptor::granted(&preopen))?;
            let object = Object::Directory { descriptor, preopen: Some(preopen.guest), listing: None };
            let inheriting = Rights::DIRECTORY.or(Rights::FILE);
            add(Entry::new(object, Rights::DIRECTORY, inheriting, FdFlags::empty()));
        }
        for listener in wasi.listeners.clone() {
            add(Entry::socket(wasi.table.push(listener)?, FdFlags::empty()));
        }
        Ok(all)
    }

    /// What a number stands for.
    pub(super) fn entry(&mut self, fd: u32) -> Result<&mut Entry, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadF)
    }

    /// Gives the lowest free number.
    pub(super) fn add(&mut self, entry: Entry) -> Outcome<u32> {
        if let Some(fd) = self.free.pop_first() {
            self.slots[fd as usize] = Some(entry);
            return Ok(fd);
        }
        let fd = u32::try_from(self.slots.len()).map_err(|_| Errno::MFile)?;
        // Twice: a vector that grows takes more than it holds, and a number that is free has a place in the set.
        if !self.charge.grow(2 * size_of::<Option<Entry>>()) {
            return Err(Errno::NoMem.into());
        }
        self.slots.push(Some(entry));
        Ok(fd)
    }

    /// Takes out what a number stands for; the number is free.
    pub(super) fn remove(&mut self, fd: u32) -> Result<Entry, Errno> {
        let entry = self.slots.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::BadF)?;
        self.free.insert(fd);
        Ok(entry)
    }

    /// Lets `to` stand for what `from` stands for, and frees `from`; what `to` stood for, unless they are the same.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Entry>, Errno> {
        self.entry(to)?;
        self.entry(from)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(self.slots[to as usize].replace(moved))
    }
}

/// The status of what a file or directory has open.
pub(super) fn status(wasi: &Wasi, descriptor: &Borrow<Descriptor>) -> Outcome<file::Status> {
    file::status(&**wasi.table.get(descriptor)?.object()).map_err(Fault::from)
}
